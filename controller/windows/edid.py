"""EDID, the description a display (or an LED processor's input) gives of itself: who it is, and what it likes.

Pure: bytes in, values out. Only what names a display and says its native mode is read (VESA E-EDID 1.3 and 1.4, base
block); extension blocks are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from controller.errors import ControllerError
from stage.errors import Problem

BLOCK_BYTES: Final = 128
_HEADER: Final = bytes.fromhex("00ffffffffffff00")
_DESCRIPTORS: Final = range(54, 126, 18)
_NAME, _SERIAL = 0xFC, 0xFF


class EdidError(ControllerError):
    """Bytes that are no EDID, or a damaged one."""

    code = "controller.edid"


@dataclass(frozen=True, slots=True)
class Timing:
    """A mode as a display describes it."""

    width_px: int
    height_px: int
    refresh_hz: Fraction
    """Exact: pixel clock over all pixels of a frame, blanking included."""
    interlaced: bool


@dataclass(frozen=True, slots=True)
class Edid:
    """What a display says of itself."""

    vendor: str
    """Three letters (PNP id)."""
    product_code: int
    serial_number: int
    """0: it has none, or one only in words."""
    name: str
    """Model in words; empty: none given."""
    serial_text: str
    """Serial number in words; empty: none given."""
    year: int
    """Of its making (or of its model)."""
    version: str
    preferred: Timing | None
    """Its native mode."""

    @property
    def serial(self) -> str:
        """The serial number people read: in words where there is one, else the number, else nothing."""
        return self.serial_text or (str(self.serial_number) if self.serial_number else "")

    @property
    def product(self) -> str:
        """The model's name, else its code as four hex digits."""
        return self.name or f"{self.product_code:04x}"

    def __str__(self) -> str:
        return " ".join(part for part in (self.vendor, self.product, self.serial) if part)


def parse_edid(data: bytes) -> Edid:
    """Read the base block of an EDID.

    Raises
    ------
    EdidError : too short, another header, or a wrong check sum.
    """
    if len(data) < BLOCK_BYTES:
        raise _error(f"{len(data)} bytes are too few, a block has {BLOCK_BYTES}")
    block = data[:BLOCK_BYTES]
    if block[:8] != _HEADER:
        raise _error("it does not begin as an EDID does")
    if sum(block) & 0xFF:
        raise _error("its check sum is wrong: it was damaged on the way")
    letters = int.from_bytes(block[8:10], "big")
    texts = dict(_texts(block))
    week, year = block[16], 1990 + block[17]
    return Edid(
        vendor="".join(_letter(letters >> shift & 0x1F) for shift in (10, 5, 0)),
        product_code=int.from_bytes(block[10:12], "little"),
        serial_number=int.from_bytes(block[12:16], "little"),
        name=texts.get(_NAME, ""),
        serial_text=texts.get(_SERIAL, ""),
        year=year if week != 0 or year != 1990 else 0,
        version=f"{block[18]}.{block[19]}",
        preferred=_timing(block[54:72]),
    )


def _letter(number: int) -> str:
    return chr(ord("A") + number - 1) if 1 <= number <= 26 else "?"


def _texts(block: bytes) -> Iterator[tuple[int, str]]:
    """Tag and text of every display descriptor that holds text."""
    for at in _DESCRIPTORS:
        descriptor = block[at : at + 18]
        if descriptor[:3] == b"\0\0\0" and descriptor[3] in (_NAME, _SERIAL):
            text = descriptor[5:18].split(b"\n", 1)[0]
            yield descriptor[3], "".join(c for c in text.decode("cp437") if c.isprintable()).strip()


def _timing(descriptor: bytes) -> Timing | None:
    """A detailed timing; None where the descriptor is of another kind or counts no pixels."""
    clock_hz = int.from_bytes(descriptor[:2], "little") * 10_000
    if not clock_hz:
        return None
    width = descriptor[2] | (descriptor[4] & 0xF0) << 4
    height = descriptor[5] | (descriptor[7] & 0xF0) << 4
    total = (width + (descriptor[3] | (descriptor[4] & 0x0F) << 8)) * (
        height + (descriptor[6] | (descriptor[7] & 0x0F) << 8)
    )
    interlaced = bool(descriptor[17] & 0x80)
    if not width or not height:
        return None
    return Timing(width, height * (2 if interlaced else 1), Fraction(clock_hz, total), interlaced)


def _error(detail: str) -> EdidError:
    return EdidError(Problem(EdidError.code, "edid", detail, None, "look at the cable and at what lies between"))
