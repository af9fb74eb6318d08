"""Cooke /i records: a real lens' record, its broken twins, and any bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.protocols.cooke import INFINITY, CookeRecord, parse
from tracking.sample import Refusal


@pytest.fixture(scope="module")
def vector(reference: Path) -> dict:
    return json.loads((reference / "tracking/lens/cooke_i_frame0.json").read_text())


def test_a_real_record_says_what_its_source_states(vector: dict) -> None:
    data = bytes.fromhex(vector["hex"])
    (record,) = parse(data)
    assert isinstance(record, CookeRecord)
    assert record.t_number_x100 == vector["expected"]["t_number_x100"]
    assert record.entrance_pupil_units == vector["expected"]["entrance_pupil_mm"]
    assert bytes(record) == data
    # Depth of field about the focus, a 24 mm wide picture at 40 mm, no zoom: it agrees with itself.
    assert record.near < record.focus < record.far
    assert (record.focus, record.near, record.far) == (424, 414, 435)
    assert record.field_of_view_x10 == 334
    assert record.zoom_mm == 0
    assert record.serial == "G53599764"
    lens = record.lens()
    assert (lens.t_stop, lens.entrance_pupil_m, lens.focus_distance_m) == (5.6, 0.127, 0.424)
    assert lens.focal_length_mm is None
    assert record.lens(imperial=True).focus_distance_m == pytest.approx(424 * 0.00254)


def test_broken_twins_are_refused(vector: dict) -> None:
    data = bytes.fromhex(vector["hex"])
    twins = {
        "short": data[:-1],
        "long": data + b"\0",
        "magic": b"D" + data[1:],
        "malformed": data[:2] + b"\x00" + data[3:],
    }
    for reason, twin in twins.items():
        (refusal,) = parse(twin)
        assert isinstance(refusal, Refusal)
        assert refusal.reason == reason


@given(
    st.binary(max_size=60)
    | st.binary(min_size=41, max_size=41).map(lambda b: b"d" + b[1:29] + b"S" + b[30:39] + b"\n\r")
)
def test_any_bytes(data: bytes) -> None:
    (got,) = parse(data)
    if isinstance(got, CookeRecord):
        assert bytes(got) == data


@given(
    st.integers(0, INFINITY), st.integers(0, 4095), st.integers(0, 4095), st.integers(-1023, 1023),
    st.text("ABC0123456789-/ ", min_size=9, max_size=9),
)  # fmt: skip
def test_there_and_back(distance: int, t_number: int, zoom: int, pupil: int, serial: str) -> None:
    record = CookeRecord(
        distance, t_number, (0x80 | 56, 0x83), zoom, distance, distance, distance, 334, pupil, zoom, serial
    )
    assert parse(bytes(record)) == [record]
    assert (record.lens().focus_distance_m is None) == (distance in (0, INFINITY))
