"""Histories: order, doubles, gates, settling after a jump, interpolation, new alignments."""

from __future__ import annotations

import numpy as np
import pytest

from stage.frames import Array, pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll
from tracking.config import Gates, Source
from tracking.history import KEEP_NS, MAX_SAMPLES, History
from tracking.mapping import mapping_of
from tracking.sample import Sample

MS = 1_000_000


def sample(t_ms: float, x_m: float = 0.0, pan_deg: float = 0.0, pose: Array | None = None) -> Sample:
    stage_from_camera = pose_from_pan_tilt_roll((x_m, 0.0, 1.5), pan_deg=pan_deg) if pose is None else pose
    t_ns = int(t_ms * MS)
    return Sample("t", "a", t_ns, t_ns, stage_from_camera, stage_from_camera)


def filled(*samples: Sample) -> History:
    history = History(Gates())
    for s in samples:
        assert history.add(s) is None
    return history


def test_order_and_doubles() -> None:
    history = filled(sample(0), sample(40), sample(80))
    assert history.add(sample(60, 0.2)) is None  # late, but still of use
    assert [s.t_sampled_ns // MS for s in history.samples] == [0, 40, 60, 80]
    assert history.add(sample(60)) == "duplicate"
    assert history.add(sample(-10)) == "late"
    assert history.newest is not None
    assert history.newest.t_sampled_ns == 80 * MS
    assert history.period_ns() == 20 * MS


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("at", [(0, 3), (1, 1), (2, 0)])
def test_not_finite(value: float, at: tuple[int, int]) -> None:
    pose = np.eye(4)
    pose[at] = value
    history = filled(sample(0))
    assert history.add(sample(40, pose=pose)) == "nan"
    assert len(history) == 1


def test_range_and_speed() -> None:
    history = filled(sample(0), sample(40))
    assert history.add(sample(80, 10_000.0)) == "range"
    assert history.add(sample(80, 3.0)) == "speed"
    assert history.add(sample(80, pan_deg=90.0)) == "speed"
    assert history.add(sample(80, 0.4, 20.0)) is None
    # Two samples a microsecond apart are jitter, not speed.
    assert history.add(sample(80.001, 0.45, 20.5)) is None
    # After a gap the camera may be anywhere.
    assert history.add(sample(2000, 5.0, 120.0)) is None


@pytest.mark.parametrize("far_m", [2.0, 9.0])
def test_a_place_that_only_time_makes_possible_begins_anew(far_m: float) -> None:
    """A camera said to be at the origin for a while, and then where it is: no movement lies between the two."""
    history = History(Gates(settle_ms=900))
    assert history.add(sample(0, 0.0)) is None
    came = [history.add(sample(t_ms, far_m)) for t_ms in range(10, 800, 10)]
    first = came.index(None)
    assert first > 5
    assert set(came[:first]) == {"speed"}
    assert set(came[first:]) == {None}
    assert {round(float(s.stage_from_camera[0, 3])) for s in history.samples} == {round(far_m)}


def test_nonsense_between_good_poses_forgets_nothing() -> None:
    history = filled(*(sample(10 * n, 0.001 * n) for n in range(20)))
    assert history.add(sample(200, 50.0)) == "speed"
    assert history.add(sample(210, 0.021)) is None
    assert len(history) == 21
    # A gap alone is none: the camera went on while nobody saw it.
    assert history.add(sample(900, 1.0)) is None
    assert len(history) == 22


def test_a_jump_is_believed_once_it_has_settled() -> None:
    history = filled(sample(0), sample(40))
    reasons = [history.add(sample(80 + 40 * i, 3.0)) for i in range(5)]
    assert reasons == ["speed"] * 4 + [None]
    assert len(history) == 1
    assert history.add(sample(280, 3.0)) is None
    # Flickering between two places never settles.
    history = filled(sample(0), sample(40))
    assert {history.add(sample(80 + 40 * i, 30.0 if i % 2 else -30.0)) for i in range(9)} == {"speed"}


def test_the_history_is_bounded() -> None:
    history = filled(*(sample(10 * i) for i in range(1000)))
    assert history.samples[0].t_sampled_ns >= history.samples[-1].t_sampled_ns - KEEP_NS
    assert 190 <= len(history) <= 201, "a tenth of a second is forgotten at once"
    quick = filled(*(sample(0.1 * i) for i in range(5000)))
    assert len(quick) == MAX_SAMPLES


def test_interpolation() -> None:
    history = filled(sample(0, 0.0, 0.0), sample(40, 0.1, 10.0), sample(80, 0.2, 20.0))
    between = history.at(50 * MS)
    assert between is not None
    assert between[0, 3] == pytest.approx(0.125)
    assert pan_tilt_roll_from_rotation(between)[0] == pytest.approx(12.5)
    assert np.array_equal(history.at(40 * MS), history.samples[1].stage_from_camera)  # type: ignore[arg-type]
    assert history.at(81 * MS) is None
    assert history.at(-1) is None
    held = history.sample_at(79 * MS)
    assert held is not None
    assert held.t_sampled_ns == 40 * MS
    assert history.sample_at(-1) is None
    # Across +-180 degrees the short way round.
    history = filled(sample(0, 0.0, 175.0), sample(40, 0.0, -175.0))
    around = history.at(20 * MS)
    assert around is not None
    assert abs(pan_tilt_roll_from_rotation(around)[0]) == pytest.approx(180.0)


def test_a_new_alignment_moves_the_past_too() -> None:
    history = filled(sample(0), sample(40, 0.1))
    source = Source.model_validate(
        {"protocol": "freed", "listen": "127.0.0.1:1", "camera": "a", "stage_from_tracker": {"x_m": 1.0}}
    )
    history.remap(mapping_of("t", source))
    assert [s.stage_from_camera[0, 3] for s in history.samples] == [1.0, 1.1]
    assert [s.tracker_from_body[0, 3] for s in history.samples] == [0.0, 0.1]
    history.clear()
    assert history.newest is None
    assert history.period_ns() is None
