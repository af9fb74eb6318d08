"""Prediction: exact on steady motion, damped on trembling, eased when the source stops, judged by what came later."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stage.frames import (
    Array,
    inverse_pose,
    pose,
    pose_from_pan_tilt_roll,
    rotation_from_vector,
    vector_from_rotation,
)
from tracking.config import Gates, Source
from tracking.follower import Follower
from tracking.history import History
from tracking.mapping import mapping_of
from tracking.moves import move
from tracking.predict import Predictor, at_time, eased_ns
from tracking.protocols import freed
from tracking.sample import Sample, Stamp

MS = 1_000_000


def history_of(pose_at: Callable[[float], Array], times_ms: list[float]) -> History:
    """Samples stamped by their sender, that were on their way for 1 or 2 ms."""
    history = History(Gates())
    for n, t_ms in enumerate(times_ms):
        camera = pose_at(t_ms / 1000.0)
        t_ns = int(t_ms * MS)
        assert history.add(Sample("t", "a", t_ns, t_ns + (1 + n % 2) * MS, camera, camera)) is None
    return history


def steady(t_s: float) -> Array:
    """A screw motion: constant turning about a tilted axis in camera axes, constant velocity in the stage."""
    return pose(
        np.array([0.2, -0.1, 1.5]) + t_s * np.array([0.4, 0.2, -0.1]),
        pose_from_pan_tilt_roll((0, 0, 0), pan_deg=10.0)[:3, :3]
        @ rotation_from_vector(t_s * np.radians([3.0, -2.0, 20.0])),
    )


@pytest.mark.parametrize("hz", [24, 25, 60, 240])
@pytest.mark.parametrize("ahead_ms", [20, 80, 292])
def test_steady_motion_is_exact(hz: int, ahead_ms: int) -> None:
    history = history_of(steady, [1000.0 * n / hz for n in range(30)])
    newest = history.newest
    assert newest is not None
    t_ns = newest.t_sampled_ns + ahead_ms * MS
    predicted = Predictor().predict(history, t_ns, 0)
    assert np.allclose(predicted, steady(t_ns * 1e-9), atol=1e-6)


def test_inside_the_history_it_interpolates() -> None:
    history = history_of(steady, [0.0, 40.0, 80.0])
    assert np.allclose(Predictor().predict(history, 50 * MS, 0), steady(0.05), atol=1e-6)
    assert np.array_equal(Predictor().predict(history, -50 * MS, 0), history.samples[0].stage_from_camera)


def test_hold_is_the_newest_sample_exactly() -> None:
    history = history_of(steady, [0.0, 40.0, 80.0])
    assert Predictor().hold(history, 300 * MS, 0) is history.samples[-1].stage_from_camera


def run(
    pose_at: Callable[[float], Array], hz: float, ahead_ms: float, seconds: float, *, hold: bool = False
) -> Predictor:
    history, predictor = History(Gates()), Predictor()
    for n in range(int(seconds * hz)):
        t_ns = int(n * 1e9 / hz)
        camera = pose_at(n / hz)
        assert history.add(Sample("t", "a", t_ns, t_ns, camera, camera)) is None
        (predictor.hold if hold else predictor.predict)(history, t_ns + int(ahead_ms * MS), 0)
        predictor.adapt(history)
    return predictor


def rms(predictor: Predictor) -> tuple[float, float]:
    """Turn (deg) and move (mm)."""
    tilt, roll, pan, position, _ = predictor.residuals().T
    return float(np.sqrt(np.mean(tilt**2 + roll**2 + pan**2))), float(1000 * np.sqrt(np.mean(position**2)))


@pytest.mark.parametrize("name", ["orbit", "dolly", "crane", "tripod"])
def test_it_beats_holding_on_smooth_moves(name: str) -> None:
    pose_at = move(name, 2).pose
    predicted, held = rms(run(pose_at, 50, 80, 20)), rms(run(pose_at, 50, 80, 20, hold=True))
    assert predicted[0] < 0.35 * held[0]
    assert predicted[1] < 0.5 * held[1]


def test_it_learns_not_to_run_with_a_trembling_hand() -> None:
    """Far ahead of a hand that trembles, velocity is worse than no prediction; what is learned is better than both."""
    misses = run(move("handheld", 2).pose, 50, 292, 30).misses()
    assert misses["velocity"].rms_deg > 1.2 * misses["held"].rms_deg
    assert misses["predicted"].rms_deg < 0.85 * misses["held"].rms_deg
    assert misses["predicted"].rms_mm < 0.5 * min(misses["held"].rms_mm, misses["velocity"].rms_mm)


def test_it_tells_its_own_error_beside_holding_and_constant_velocity() -> None:
    """On constant velocity the rivals' errors have closed forms."""
    misses = run(steady, 50, 80, 4).misses()
    turn_deg, move_mm = float(np.linalg.norm((3.0, -2.0, 20.0))) * 0.08, float(np.linalg.norm((400, 200, -100))) * 0.08
    assert misses["held"].rms_deg == pytest.approx(turn_deg, rel=1e-6)
    assert misses["held"].p95_mm == pytest.approx(move_mm, rel=1e-6)
    assert misses["velocity"].rms_deg < 1e-5
    assert misses["predicted"].rms_deg < 1e-5
    assert Predictor().misses()["predicted"].rms_deg == 0.0


def test_a_caller_without_slack_learns_too() -> None:
    pose_at, hz = move("handheld", 2).pose, 50
    history, predictor = History(Gates()), Predictor()
    for n in range(600):
        t_ns, camera = n * 20 * MS, pose_at(n / hz)
        assert history.add(Sample("t", "a", t_ns, t_ns, camera, camera)) is None
        predictor.predict(history, t_ns + 80 * MS, 0)
    misses = predictor.misses()
    assert predictor.learned_s > 10.0
    assert misses["predicted"].rms_deg < 0.5 * misses["velocity"].rms_deg


def test_another_rate_begins_anew() -> None:
    pose_at = move("orbit", 2).pose
    history, predictor = History(Gates()), Predictor()
    t_ns = 0
    for step_ms, seconds in ((20, 5), (40, 1.2)):
        for _ in range(int(1000 * seconds / step_ms)):
            t_ns += step_ms * MS
            camera = pose_at(t_ns * 1e-9)
            assert history.add(Sample("t", "a", t_ns, t_ns, camera, camera)) is None
            predictor.predict(history, t_ns + 80 * MS, 0)
            predictor.adapt(history)
    # Six seconds, less those at the old rate that the last second does not hold.
    assert 0.0 < predictor.learned_s < 3.0
    predicted = predictor.predict(history, t_ns + 80 * MS, 0)
    step = inverse_pose(predicted) @ pose_at((t_ns + 80 * MS) * 1e-9)
    assert np.degrees(np.linalg.norm(vector_from_rotation(step))) < 0.05
    predictor.forget_pending()
    assert np.allclose(predictor.predict(history, t_ns + 80 * MS, 0), predicted, atol=1e-4)


def test_between_the_times_learned_it_is_a_polynomial() -> None:
    times_s = np.array([-0.06, -0.04, -0.02, 0.0, 0.02, 0.04, 0.06, 0.08, 0.12])
    table = np.stack([(times_s + 0.5) ** 3 - 0.125 + k * times_s for k in range(6)], axis=1)
    for ahead_s in (0.0, 0.01, 0.033, 0.07, 0.1, 0.12):
        wanted = (ahead_s + 0.5) ** 3 - 0.125 + np.arange(6) * ahead_s
        assert np.allclose(at_time(times_s, table, np.ones(6), ahead_s), wanted, atol=1e-12)
    assert np.allclose(at_time(times_s, table, np.ones(6), 0.22), table[-1] + 0.1)


def test_error_tells_what_overscan_must_cover() -> None:
    predictor = run(move("handheld", 4).pose, 25, 120, 30)
    residuals = predictor.residuals()
    error = predictor.error()
    for name, column in (("tilt_deg", 0), ("roll_deg", 1), ("pan_deg", 2), ("position_m", 3)):
        # Up to eight photos may be missing: the quantile is not sorted anew each frame.
        assert getattr(error, name) <= residuals[:, column].max()
        assert getattr(error, name) >= np.quantile(residuals[:-8, column], 0.98)
    assert Predictor().error().pan_deg == 0.0


def real_take(reference: Path) -> list[Array]:
    mapping = mapping_of("t", Source(protocol="freed", listen="127.0.0.1:1", camera="a"))
    path = next((reference / "tracking/freed").glob("take_*.jsonl"))
    out = []
    for line in path.read_text().splitlines():
        (packet,) = freed.parse(bytes.fromhex(json.loads(line)["hex"]))
        assert isinstance(packet, freed.FreeDPacket)
        (sample,) = packet.samples(mapping, Stamp())
        assert isinstance(sample, Sample)
        out.append(sample.stage_from_camera)
    return out


@pytest.mark.parametrize("ahead_ms", [40, 80, 160, 292])
def test_real_take(reference: Path, ahead_ms: int) -> None:
    poses = real_take(reference)
    history, predictor, holder = History(Gates()), Predictor(), Predictor()
    for n, camera in enumerate(poses):
        t_ns = n * 40 * MS
        assert history.add(Sample("t", "a", t_ns, t_ns, camera, camera)) is None
        predictor.predict(history, t_ns + ahead_ms * MS, 0)
        predictor.adapt(history)
        holder.hold(history, t_ns + ahead_ms * MS, 0)
    predicted, held = rms(predictor), rms(holder)
    assert predicted[0] < 0.3 * held[0]
    assert predicted[1] < 0.85 * held[1]


def test_easing_into_a_hold() -> None:
    assert eased_ns(0) == 0
    assert eased_ns(100 * MS) == 100 * MS
    steps = np.diff([eased_ns(t * MS) for t in range(0, 1000, 10)])
    assert (np.diff(steps) <= 1).all()
    assert steps.min() >= 0
    assert eased_ns(10_000 * MS) == pytest.approx(160 * MS, rel=1e-6)


def test_a_return_does_not_jump() -> None:
    follower = Follower()
    held, there = steady(0.0), pose_from_pan_tilt_roll((0.6, -0.1, 1.5), pan_deg=40.0)
    assert np.array_equal(follower.follow(held, 0, holding=False), held)
    assert np.array_equal(follower.follow(held, 40 * MS, holding=True), held)
    path = [held] + [follower.follow(there, (80 + 20 * n) * MS, holding=False) for n in range(60)]
    steps = [inverse_pose(a) @ b for a, b in pairwise(path)]
    moved = [float(np.linalg.norm(s[:3, 3])) for s in steps]
    turned = [float(np.degrees(np.linalg.norm(vector_from_rotation(s)))) for s in steps]
    # A step in one go would be 0.41 m and 30 degrees; spread, it stays under twice the return speeds.
    assert max(moved) < 2.0 * 1.0 * 0.02 + 1e-3
    assert max(turned) < 2.0 * 60.0 * 0.02
    assert np.array_equal(path[-1], there)


def test_a_small_return_is_taken_at_once() -> None:
    follower = Follower()
    follower.follow(steady(0.0), 0, holding=True)
    assert np.array_equal(follower.follow(steady(0.001), 20 * MS, holding=False), steady(0.001))
