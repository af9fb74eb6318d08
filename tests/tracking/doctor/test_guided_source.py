"""The guided check of a configured source: what it proposes gives the true poses, and leaves what is right."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stage.frames import Array, pose_from_pan_tilt_roll
from tracking.config import Source
from tracking.doctor.guided_source import MOST_SAMPLES, Judged, Move, SourceReader, judge
from tracking.doctor.signs import signed_permutations
from tracking.mapping import mapping_of
from tracking.receivers import Arrival

_SPEC = importlib.util.spec_from_file_location("_doctorkit", Path(__file__).parent / "_doctorkit.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_KIT = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_KIT)
step_arrivals, told_wrongly = _KIT.step_arrivals, _KIT.told_wrongly
THREE = ("pan_right", "tilt_up", "walk_forward")
LISTEN = {"zmq": "tcp://127.0.0.1:5556"}


def source_of(protocol: str, **keys: Any) -> Source:
    listen = LISTEN.get(protocol, "127.0.0.1:40000")
    return Source.model_validate({"protocol": protocol, "listen": listen, "camera": "a", **keys})


def read(source: Source, steps: dict[str, list[Arrival]]) -> dict[str, Move]:
    reader = SourceReader("t", source)
    moves: dict[str, Move] = {}
    for step, came in steps.items():
        moves[step] = Move()
        for arrival in came:
            for pose in reader.feed(arrival):
                moves[step].add(pose)
    return moves


def changed(source: Source, judged: Judged) -> Source:
    told = source.model_dump(exclude_defaults=True)
    for key, value in judged.change.items():
        told.pop(key, None)
        if value is not None:
            told[key] = value
    return Source.model_validate(told)


def shown(source: Source, moves: dict[str, Move], nudge: Array | None = None) -> Array:
    mapping = mapping_of("t", source)
    out = np.array([mapping.read(pose) for move in moves.values() for pose in move.poses])
    return out if nudge is None else nudge @ out


@pytest.mark.parametrize("protocol", ["freed", "opentrackio", "mosys_f4", "osc", "zmq", "vmc", "natnet", "psn"])
def test_a_source_that_reads_rightly_is_left_alone(protocol: str) -> None:
    source = source_of(protocol, **({"body": "1"} if protocol in ("natnet", "psn") else {}))
    moves = read(source, step_arrivals(protocol)[0])
    assert sum(move.count for move in moves.values()) > 100
    judged = judge("t", source, moves)
    assert (judged.right, judged.certain, judged.change) == (True, True, {})


WRONG = [
    {"signs": {"pan": -1}},
    {"signs": {"tilt": -1, "roll": -1}},
    {"axes": {"x": "-x"}},
    {"axes": {"x": "-y", "y": "x"}, "signs": {"pan": -1}},
    {"offsets": {"pan_deg": 90.0}, "signs": {"tilt": -1}},
]


@pytest.mark.parametrize("told", WRONG)
@pytest.mark.parametrize("configured", [{}, {"signs": {"roll": -1}}, {"axes": {"x": "y", "y": "x"}, "delay_ms": 5.0}])
def test_what_it_proposes_gives_the_true_poses(told: dict[str, Any], configured: dict[str, Any]) -> None:
    steps, truth = step_arrivals("freed", told_wrongly(told))
    source = source_of("freed", **configured)
    moves = read(source, steps)
    judged = judge("t", source, moves)
    assert not judged.right
    assert judged.certain
    assert [f.code for f in judged.findings if f.weight == "fault"] == ["doctor.guided"]
    after = changed(source, judged)
    assert np.abs(shown(after, moves) - np.array([p for poses in truth.values() for p in poses])).max() < 2e-4
    assert after.delay_ms == source.delay_ms
    assert judge("t", after, moves).right


AXES = [dict(zip("xyz", names, strict=True)) for names, _ in signed_permutations()]
SIGN = st.sampled_from((1, -1))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(AXES),
    st.fixed_dictionaries({"pan": SIGN, "tilt": SIGN, "roll": SIGN}),
    st.sampled_from(AXES),
    st.fixed_dictionaries({"pan": SIGN, "tilt": SIGN, "roll": SIGN}),
)
def test_any_map_is_corrected_from_any_other(
    axes: dict[str, str], signs: dict[str, int], configured_axes: dict[str, str], configured_signs: dict[str, int]
) -> None:
    steps, truth = step_arrivals("mosys_f4", told_wrongly({"axes": axes, "signs": signs}), rate_hz=10)
    source = source_of("mosys_f4", axes=configured_axes, signs=configured_signs)
    moves = read(source, steps)
    after = changed(source, judge("t", source, moves))
    assert np.abs(shown(after, moves) - np.array([p for poses in truth.values() for p in poses])).max() < 2e-4


@pytest.mark.parametrize("in_nudge", [False, True])
def test_an_alignment_that_fits_stays_to_the_digit(in_nudge: bool) -> None:
    """A tracker whose world lies turned in the stage, measured well, with one sign wrong."""
    offset = {"x_m": 1.25, "y_m": -0.4, "z_m": 0.02, "pan_deg": 41.3}
    aligned = pose_from_pan_tilt_roll((1.25, -0.4, 0.02), pan_deg=41.3)
    wrong = told_wrongly({"signs": {"pan": -1}})
    steps, truth = step_arrivals("opentrackio", lambda p: wrong(np.linalg.inv(aligned) @ p))
    source = source_of("opentrackio", **({} if in_nudge else {"stage_from_tracker": offset}))
    nudge = aligned if in_nudge else None
    moves = read(source, steps)
    judged = judge("t", source, moves, nudge)
    assert judged.change == {"signs": {"pan": -1}}
    after = shown(changed(source, judged), moves, nudge)
    assert np.abs(after - np.array([p for poses in truth.values() for p in poses])).max() < 2e-4


def test_a_whole_frame_that_is_turned_is_turned_back_whatever_the_nudge() -> None:
    turn = pose_from_pan_tilt_roll((0.0, 0.0, 0.0), pan_deg=90.0)
    steps, truth = step_arrivals("opentrackio", lambda p: turn @ p)
    source = source_of("opentrackio", stage_from_tracker={"x_m": 0.5, "pan_deg": 30.0})
    nudge = pose_from_pan_tilt_roll((0.0, 0.0, 0.0), pan_deg=35.0)
    moves = read(source, steps)
    judged = judge("t", source, moves, nudge)
    assert set(judged.change) == {"stage_from_tracker"}
    rotations = shown(changed(source, judged), moves, nudge)[:, :3, :3]
    true = np.array([p[:3, :3] for poses in truth.values() for p in poses])
    assert np.abs(rotations - true).max() < 2e-4


def test_the_three_moves_of_a_quick_check_are_enough() -> None:
    steps, truth = step_arrivals("freed", told_wrongly({"signs": {"pan": -1}, "axes": {"x": "-x"}}), only=THREE)
    source = source_of("freed")
    moves = read(source, steps)
    judged = judge("t", source, moves)
    assert not judged.certain
    after = shown(changed(source, judged), moves)
    assert np.abs(after[:, :3, :3] - np.array([p[:3, :3] for poses in truth.values() for p in poses])).max() < 2e-4


def test_what_contradicts_itself_proposes_nothing() -> None:
    steps, _ = step_arrivals("freed")
    steps["pan_right"], steps["tilt_up"] = steps["tilt_up"], steps["pan_right"]
    steps["roll_clockwise"] = steps["pan_right"]
    judged = judge("t", source_of("freed"), read(source_of("freed"), steps))
    assert not judged.right
    assert judged.change == {}
    assert any(f.weight == "fault" for f in judged.findings)
    assert judge("t", source_of("freed"), {}).change == {}
    assert judge("t", source_of("freed"), {"still": Move()}).right is False


def test_another_camera_of_the_same_socket_is_not_read_and_rubbish_is_let_go() -> None:
    source = source_of("freed", camera_id=7)
    steps, _ = step_arrivals("freed")
    assert all(not move.poses for move in read(source, steps).values())
    reader = SourceReader("t", source_of("freed"))
    assert list(reader.feed(Arrival(b"rubbish", "10.0.0.1", 1, 0))) == []


def test_long_steps_are_thinned_and_keep_their_reach() -> None:
    move = Move()
    for n in range(5 * MOST_SAMPLES):
        move.add(pose_from_pan_tilt_roll((n * 1e-3, 0.0, 0.0), pan_deg=n * 0.01))
    assert len(move.poses) < 2 * MOST_SAMPLES
    assert move.count == 5 * MOST_SAMPLES
    assert move.moved_m == pytest.approx(5 * MOST_SAMPLES * 1e-3, rel=1e-3)
    assert move.turned_deg == pytest.approx(100.0, rel=1e-3)
