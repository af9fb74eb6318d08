"""The processor emulator: every code means the light the contract says, after the delay the contract says."""

from __future__ import annotations

import numpy as np
import pytest

from renderer.twin.emulator import (
    CanvasFormError,
    ProcessorEmulator,
    ap1_from_led,
    channels,
    decode,
    decode_table,
    rgb_from_rgb,
)
from stage.compiled import Canvas, Encoding
from stage.rate import Rate


def canvas() -> Canvas:
    return Canvas("main", "p", 16, 8, Rate(24, 1), Encoding("srgb", 1000.0, 8, "rec709"))


def grey8(value: int, width: int = 16, height: int = 8):
    return np.full((height, width, 4), value, dtype=np.uint8)


@pytest.mark.parametrize(
    ("nits", "signal"), [(100.0, 0.508078), (203.0, 0.580689), (1000.0, 0.751827), (1650.0, 0.806456)]
)
def test_pq_codes_mean_the_nits_of_the_standard(nits: float, signal: float) -> None:
    table = decode_table(Encoding("pq", 10_000.0, 12, "rec2020"))
    assert np.interp(signal * 4095.0, np.arange(4096), table) == pytest.approx(nits / 100.0, rel=1e-4)


def test_pq_stops_at_the_peak_and_starts_at_nothing() -> None:
    table = decode_table(Encoding("pq", 1500.0, 10, "p3d65"))
    assert table[0] == 0.0
    assert table[-1] == pytest.approx(15.0)
    assert np.all(np.diff(table) >= 0.0)


@pytest.mark.parametrize(("transfer", "half"), [("gamma24", 0.5**2.4), ("srgb", ((0.5 + 0.055) / 1.055) ** 2.4)])
def test_relative_curves_reach_the_peak(transfer, half: float) -> None:
    table = decode_table(Encoding(transfer, 800.0, 10, "rec709"))
    assert table[-1] == pytest.approx(8.0)
    assert np.interp(511.5, np.arange(1024), table) == pytest.approx(8.0 * half, rel=1e-4)


def test_legal_range_has_its_own_black_and_white() -> None:
    table = decode_table(Encoding("gamma24", 100.0, 10, "rec709", "legal"))
    assert table[64] == 0.0
    assert table[940] == pytest.approx(1.0)
    assert table[1023] == table[940]
    assert table[0] == 0.0


def test_white_of_every_wall_is_grey_in_acescg() -> None:
    for primaries in ("rec709", "p3d65", "rec2020"):
        turn = ap1_from_led(Encoding("pq", 1000.0, 10, primaries))
        assert turn @ np.ones(3) == pytest.approx(np.ones(3), abs=1e-9)
    # Rec.709 to AP1 with Bradford, as every ACES document prints it.
    assert rgb_from_rgb("ap1", "rec709") == pytest.approx(
        np.array([[0.6131, 0.3395, 0.0474], [0.0702, 0.9164, 0.0134], [0.0206, 0.1096, 0.8698]]), abs=2e-4
    )


def test_channels_are_where_the_pixel_formats_say() -> None:
    eight = np.zeros((8, 16, 4), dtype=np.uint8)
    eight[2, 3] = (10, 20, 30, 255)
    assert channels(Encoding("srgb", 100.0, 8, "rec709"), eight)[2, 3].tolist() == [10, 20, 30]
    ten = np.zeros((8, 16), dtype=np.uint32)
    ten[1, 5] = 1000 | 500 << 10 | 3 << 20 | 3 << 30
    assert channels(Encoding("pq", 100.0, 10, "rec709"), ten)[1, 5].tolist() == [1000, 500, 3]
    assert decode(Encoding("srgb", 100.0, 8, "rec709"), grey8(255))[0, 0] == pytest.approx(np.ones(3), abs=1e-9)


def test_a_picture_comes_out_after_the_delay_and_stays() -> None:
    emulator = ProcessorEmulator(canvas(), latency_frames=2.0)
    assert emulator.shown(0) is None
    for frame in range(3):
        emulator.receive(frame, grey8(frame + 1))
    assert emulator.shown(1.5) is None
    assert emulator.shown(2)[0, 0, 0] == 1
    assert emulator.shown(3)[0, 0, 0] == 2
    assert emulator.frames_waiting == 1
    # Nothing arrives any more: the last picture stays up.
    assert emulator.shown(100)[0, 0, 0] == 3
    assert emulator.shown(101)[0, 0, 0] == 3


def test_a_delay_need_not_be_whole() -> None:
    emulator = ProcessorEmulator(canvas(), latency_frames=1.5)
    emulator.receive(10, grey8(7))
    assert emulator.shown(11) is None
    assert emulator.shown(11.5)[0, 0, 0] == 7


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((8, 16), dtype=np.uint32),
        np.zeros((8, 16, 3), dtype=np.uint8),
        np.zeros((8, 15, 4), dtype=np.uint8),
        np.zeros((7, 16, 4), dtype=np.uint8),
        np.zeros((3, 6, 4), dtype=np.uint8),
    ],
)
def test_a_canvas_of_another_form_is_refused(codes) -> None:
    with pytest.raises(CanvasFormError):
        ProcessorEmulator(canvas()).receive(0, codes)


def test_a_scaled_canvas_is_taken() -> None:
    emulator = ProcessorEmulator(canvas())
    emulator.receive(0, grey8(9, 8, 4))
    assert emulator.shown(0).shape == (4, 8, 4)
