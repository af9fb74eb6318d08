"""EDID: what is written is read, and what is damaged is refused."""

from __future__ import annotations

import string
from fractions import Fraction
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.windows.edid import BLOCK_BYTES, EdidError, parse_edid

WORDS = st.text(string.ascii_letters + string.digits + " -.#", max_size=13).map(str.strip)


@given(
    vendor=st.text(string.ascii_uppercase, min_size=3, max_size=3),
    product=st.integers(0, 0xFFFF),
    number=st.integers(0, 0xFFFFFFFF),
    name=WORDS,
    serial=WORDS,
    year=st.integers(1991, 2245),
)
def test_what_a_display_says_is_read(
    edids: ModuleType, vendor: str, product: int, number: int, name: str, serial: str, year: int
) -> None:
    found = parse_edid(edids.edid(vendor, product, number, name, serial, year=year))
    assert (found.vendor, found.product_code, found.serial_number) == (vendor, product, number)
    assert (found.name, found.serial_text, found.year, found.version) == (name, serial, year, "1.4")
    assert found.product == (name or f"{product:04x}")
    assert found.serial == (serial or (str(number) if number else ""))


@given(
    width=st.integers(1, 4095),
    height=st.integers(1, 4095),
    h_blank=st.integers(0, 4095),
    v_blank=st.integers(0, 4095),
    clock=st.integers(1, 0xFFFF),
    interlaced=st.booleans(),
)
def test_its_mode_is_exact(
    edids: ModuleType, width: int, height: int, h_blank: int, v_blank: int, clock: int, interlaced: bool
) -> None:
    first = edids.timing(width, height, h_blank, v_blank, clock, interlaced=interlaced)
    mode = parse_edid(edids.edid(first=first)).preferred
    assert mode is not None
    assert (mode.width_px, mode.height_px) == (width, height * (2 if interlaced else 1))
    assert mode.refresh_hz == Fraction(clock * 10_000, (width + h_blank) * (height + v_blank))


@given(at=st.integers(0, BLOCK_BYTES - 1), change=st.integers(1, 255))
def test_one_changed_byte_is_refused(edids: ModuleType, at: int, change: int) -> None:
    block = bytearray(edids.edid(serial="A1"))
    block[at] = (block[at] + change) & 255
    with pytest.raises(EdidError):
        parse_edid(bytes(block))


@given(st.binary(max_size=300))
def test_nothing_else_is_taken_for_one(data: bytes) -> None:
    with pytest.raises(EdidError):
        parse_edid(data)


def test_extensions_are_left_alone(edids: ModuleType) -> None:
    assert parse_edid(edids.edid() + bytes(range(128))).name == "SX40"
    # A wall clock of 148.5 MHz: 1080p60, as processors ask for.
    mode = parse_edid(edids.edid()).preferred
    assert mode is not None
    assert (mode.width_px, mode.height_px, mode.refresh_hz) == (1920, 1080, 60)
