"""Camera moves: repeatable, smooth, inside the small stage, looking at the wall."""

from __future__ import annotations

import numpy as np
import pytest

from stage.frames import pan_tilt_roll_from_rotation
from tracking.errors import SendError
from tracking.moves import HEIGHT_M, MAX_PAN_DEG, MAX_RADIUS_M, MOVES, look_at, move


@pytest.mark.parametrize("name", MOVES)
def test_limits(name: str) -> None:
    for seed in range(12):
        poses = [move(name, seed).pose(t) for t in np.arange(0.0, 60.0, 0.2)]
        positions = np.array([p[:3, 3] for p in poses])
        pans = [pan_tilt_roll_from_rotation(p)[0] for p in poses]
        assert np.hypot(positions[:, 0], positions[:, 1]).max() <= MAX_RADIUS_M
        assert positions[:, 2].min() >= HEIGHT_M[0]
        assert positions[:, 2].max() <= HEIGHT_M[1]
        assert np.abs(pans).max() <= MAX_PAN_DEG
        # It moves: neither still nor a jump.
        assert np.ptp(positions, axis=0).max() + np.ptp(pans) > 0.3


@pytest.mark.parametrize("name", MOVES)
def test_smooth_to_the_second_derivative(name: str) -> None:
    pose_at = move(name, 1).pose
    step = 1e-3
    times = np.arange(0.0, 12.0, step)
    numbers = np.array([[*p[:3, 3], *np.radians(pan_tilt_roll_from_rotation(p))] for p in map(pose_at, times)])
    acceleration = np.diff(numbers, 2, axis=0) / step**2
    jerk = np.abs(np.diff(acceleration, axis=0)) / step
    # A break in the acceleration would be a jerk of its size over the step: thousands (whip pans: tens of thousands).
    assert jerk.max() < (3000.0 if name == "whip" else 300.0)


def test_same_seed_same_move() -> None:
    for name in MOVES:
        assert np.array_equal(move(name, 7).pose(3.2), move(name, 7).pose(3.2))
        assert not np.array_equal(move(name, 7).pose(3.2), move(name, 8).pose(3.2))


def test_known_poses() -> None:
    """The same on every machine: the seeded moves are part of what tests and demos are compared by."""
    pose = look_at((0.0, 0.0, 1.5), (-1.0, 1.0, 1.5))
    assert pan_tilt_roll_from_rotation(pose) == pytest.approx((45.0, 0.0, 0.0))
    assert pan_tilt_roll_from_rotation(look_at((0, 0, 1.5), (0, 1, 2.5)))[1] == pytest.approx(45.0)


def test_unknown_move() -> None:
    with pytest.raises(SendError, match="orbit, dolly, crane, handheld, tripod, whip"):
        move("pirouette")


def test_a_whip_pan_is_fast_and_settles() -> None:
    """Peak speeds of a real whip pan, rests that are still, and a swing past the mark between them."""
    pose_at = move("whip", 3).pose
    times = np.arange(0.0, 12.0, 0.004)
    pans = np.array([pan_tilt_roll_from_rotation(pose_at(t))[0] for t in times])
    speed = np.abs(np.diff(pans)) / 0.004
    assert 150.0 < speed.max() < 350.0
    assert np.median(speed) < 3.0
