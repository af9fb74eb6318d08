"""The bars of prediction, on the real take and on every simulated move; and that the yardstick measures rightly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stage.frames import pose_from_pan_tilt_roll
from tracking.moves import MOVES
from tracking.yardstick import AHEAD_MS, Mark, marks_of, overshoots_deg, recorded_path, simulated_path
from tracking.yardstick import Path as Walked

TAKES = ("mosys_f4/A003_C001_frames_0000_0699.f4", "freed/take_freed_25fps_frames_0000_0249.jsonl")


def told(marks: list[Mark]) -> str:
    return "\n".join(
        f"{m.path} {m.ahead_ms} ms {m.unit}: {m.rms_ratio:.3f} {m.p95_ratio:.3f}" for m in marks if not m.good
    )


@pytest.mark.parametrize("take", TAKES)
def test_the_real_take(reference: Path, take: str) -> None:
    """From its first half second on, cold: what is learned is learned on the way."""
    path = recorded_path(reference / "tracking" / take)
    marks = marks_of(path)
    assert path.hz == pytest.approx(25.0)
    assert [m.ahead_ms for m in marks[::2]] == [40, 80, 160, 292]
    assert all(m.good for m in marks), told(marks)


@pytest.mark.parametrize("name", MOVES)
def test_simulated_moves(name: str) -> None:
    marks = marks_of(simulated_path(name, seconds=36.0))
    assert [m.ahead_ms for m in marks[::2]] == list(AHEAD_MS)
    assert all(m.good for m in marks), told(marks)


@pytest.mark.parametrize("ahead_ms", [40, 80, 160])
def test_no_overshoot_at_stops_that_anybody_sees(ahead_ms: float) -> None:
    """A pan of 10 degrees in a second and a half, to rest: 0.1 degrees past it is 2 LEDs of 2.6 mm from 3 m."""
    predicted, velocity = overshoots_deg(ahead_ms=ahead_ms, pans=6)
    assert predicted < 0.1
    assert predicted < 0.4 * velocity


def test_far_ahead_it_overshoots_less_than_half_of_constant_velocity() -> None:
    predicted, velocity = overshoots_deg(ahead_ms=292, pans=6)
    assert predicted < 0.5 * velocity


def test_the_yardstick_on_motion_with_closed_forms() -> None:
    """A pan at a degree a second, shaken by white noise: every way's error is known."""
    random, hz, noise_deg = np.random.default_rng(7), 50, 0.001
    pans = np.arange(3000) / hz - 30.0
    shaken = pans + random.normal(0.0, noise_deg, 3000)
    poses = np.array([pose_from_pan_tilt_roll((0.0, 0.0, 1.5), pan_deg=p) for p in shaken])
    path = Walked("pan", hz, poses, lambda t_s: pose_from_pan_tilt_roll((0, 0, 1.5), pan_deg=t_s - 30.0), 10.0)
    turn = marks_of(path, ahead_ms=[80])[0]
    steps = 0.08 * hz
    assert turn.unit == "deg"
    assert turn.ways["held"].rms == pytest.approx(0.08, rel=0.01)
    assert turn.ways["velocity"].rms == pytest.approx(noise_deg * np.hypot(1.0 + steps, steps), rel=0.1)
    # The line through twelve samples: variance of a regression, extrapolated.
    n = 12
    spread = noise_deg * np.sqrt(1.0 / n + ((n - 1) / 2.0 + steps) ** 2 * 12.0 / (n * (n * n - 1.0)))
    assert turn.ways["linear"].rms == pytest.approx(spread, rel=0.1)
    assert turn.rms_ratio < 1.1


def test_a_file_without_poses_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "take.f4"
    empty.write_bytes(b"")
    with pytest.raises(ValueError, match="holds no poses"):
        recorded_path(empty)
