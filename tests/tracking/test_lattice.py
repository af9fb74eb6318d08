"""The lattice: a source's path at even steps, whatever jitter, gaps, bunches and turns it came with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stage.frames import Array, pose, pose_from_pan_tilt_roll, rotation_from_vector
from tracking.config import Gates
from tracking.history import History
from tracking.lattice import CAPACITY, Lattice, vectors_of
from tracking.sample import Sample

MS = 1_000_000


def steady(t_s: float) -> Array:
    """A screw motion: constant turning about a tilted axis, constant velocity."""
    return pose(
        np.array([0.2, -0.1, 1.5]) + t_s * np.array([0.4, 0.2, -0.1]),
        pose_from_pan_tilt_roll((0, 0, 0), pan_deg=10.0)[:3, :3]
        @ rotation_from_vector(t_s * np.radians([3.0, -2.0, 20.0])),
    )


def history_of(times_ms: list[float], pose_at: Callable[[float], Array] = steady, *, arrival: bool = False) -> History:
    history = History(Gates(speed_m_s=1000.0, turn_deg_s=100_000.0))
    for n, t_ms in enumerate(times_ms):
        camera, t_ns = pose_at(t_ms / 1000.0), int(t_ms * MS)
        received_ns = t_ns if arrival else t_ns + (1 + n % 2) * MS
        assert history.add(Sample("t", "a", t_ns, received_ns, camera, camera)) is None
    return history


def steps_of(lattice: Lattice, count: int, step_ms: float) -> Array:
    return lattice.at(lattice.t_ns - np.arange(count) * int(step_ms * MS))


def test_rotation_vectors_of_many_are_those_of_each() -> None:
    vectors = np.random.default_rng(3).normal(0.0, 0.5, (50, 3))
    vectors[0] = 0.0
    assert np.allclose(vectors_of(np.array([rotation_from_vector(v) for v in vectors])), vectors, atol=1e-12)


def test_steady_motion_is_a_straight_line_however_it_was_sampled() -> None:
    for times_ms in ([20.0 * n for n in range(40)], [0.0, 13.0, 55.0, 61.0, 100.0], [0.0, 40.0]):
        lattice = Lattice()
        assert lattice.follow(history_of(times_ms))
        # Also before the first sample: the line goes on backwards.
        rows = steps_of(lattice, 13, 20.0)
        assert np.allclose(np.diff(rows, 2, axis=0), 0.0, atol=1e-9)
        assert np.allclose((rows[0] - rows[1])[3:] / 0.02, (0.4, 0.2, -0.1), atol=1e-9)
        assert np.allclose(lattice.moved(np.zeros(6)), steady(times_ms[-1] / 1000.0), atol=1e-12)


def test_one_sample_stands_still_and_none_is_told() -> None:
    lattice = Lattice()
    assert not lattice.follow(History(Gates()))
    assert lattice.follow(history_of([5.0]))
    assert np.allclose(np.ptp(steps_of(lattice, 5, 20.0), axis=0), 0.0)


def test_what_lay_before_a_gap_says_nothing_about_now() -> None:
    times_ms = [0.0, 40.0, 2000.0, 2040.0, 2080.0]
    lattice = Lattice()
    lattice.follow(history_of(times_ms, lambda t_s: steady(0.0) if t_s < 1.0 else steady(t_s)))
    rows = steps_of(lattice, 8, 40.0)
    assert lattice.first_ns == 2000 * MS
    assert np.allclose((rows[:-1] - rows[1:])[:, 3:] / 0.04, (0.4, 0.2, -0.1), atol=1e-9)


@pytest.mark.parametrize("at_once", [True, False])
def test_arrivals_in_a_bunch_are_no_burst_of_speed(at_once: bool) -> None:
    """Stamped by arrival: a queue stood still for three periods, then came at once."""
    arrived_ms = [40.0 * n for n in range(16)] + [760.0 - 0.3 * (3 - k) for k in range(4)]
    true_ms = [40.0 * n for n in range(20)]
    history = history_of(arrived_ms, lambda t_s: steady(true_ms[arrived_ms.index(1000.0 * t_s)] / 1000.0), arrival=True)
    lattice = Lattice()
    if at_once:
        lattice.follow(history)
    else:
        partly = History(history.gates)
        for sample in history.samples:
            assert partly.add(sample) is None
            lattice.follow(partly)
    rows = steps_of(lattice, 4, 40.0)
    speed = np.linalg.norm((rows[:-1] - rows[1:])[:, 3:], axis=1) / 0.04 / np.linalg.norm((0.4, 0.2, -0.1))
    assert (speed > 0.3).all()
    assert (speed < 2.0).all()


def test_it_follows_for_ever_and_round_the_circle() -> None:
    """Sample by sample through more turns and more samples than it keeps: the same as made anew."""
    history, lattice, worst = History(Gates()), Lattice(), 0.0
    for n in range(CAPACITY + 300):
        t_s = n * 0.01
        camera = pose_from_pan_tilt_roll((0.1 * t_s, 0.0, 1.5), pan_deg=60.0 * t_s, tilt_deg=10.0 * np.sin(t_s))
        assert history.add(Sample("t", "a", n * 10 * MS, n * 10 * MS + n % 2, camera, camera)) is None
        lattice.follow(history)
        if n % 50 == 20:
            rows = steps_of(lattice, 10, 10.0)
            turned = np.linalg.norm(rows[:-1, :3] - rows[1:, :3], axis=1)
            worst = max(worst, float(np.abs(turned / np.median(turned) - 1.0).max()))
            assert np.allclose(lattice.moved(np.zeros(6)), camera, atol=1e-12)
    assert worst < 0.05
    assert len(lattice) <= CAPACITY


def test_a_history_under_a_new_alignment_is_read_anew() -> None:
    history, lattice = history_of([20.0 * n for n in range(20)]), Lattice()
    lattice.follow(history)
    other = history_of([20.0 * n for n in range(20)], lambda t_s: pose((9.0, 9.0, 9.0)) @ steady(t_s))
    lattice.follow(other)
    assert np.allclose(lattice.moved(np.zeros(6)), pose((9.0, 9.0, 9.0)) @ steady(0.38), atol=1e-12)
