"""The guided check finds every wrong map, and what it proposes gives the true poses."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stage.frames import Array, pan_tilt_roll_from_rotation, pose, rotation_from_pan_tilt_roll
from tracking.config import Source
from tracking.decoders import assembler_of, parser_of
from tracking.doctor.guided import STEPS
from tracking.doctor.guided_check import GuidedReport, guided_report
from tracking.doctor.heard import steps_from_file, take_line
from tracking.doctor.signs import signed_permutations
from tracking.errors import PlayError
from tracking.mapping import mapping_of
from tracking.receivers import Arrival
from tracking.sample import Sample, Stamp

_SPEC = importlib.util.spec_from_file_location("_doctorkit", Path(__file__).parent / "_doctorkit.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_KIT = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_KIT)
step_arrivals, told_wrongly = _KIT.step_arrivals, _KIT.told_wrongly

ONES_WITH_PLACES = ("freed", "opentrackio", "mosys_f4", "stype", "zmq", "osc")


def sections_source(report: GuidedReport) -> Source:
    """The source as it would be pasted."""
    tree = YAML(typ="safe").load(report.section)
    (source,) = tree["tracking"]["sources"].values()
    return Source.model_validate(source)


def poses_read(source: Source, arrivals: list[Arrival]) -> list[Array]:
    mapping = mapping_of("t", source)
    parse = parser_of(source)
    feed = parse if parse is not None else assembler_of(source).feed
    out = []
    for arrival in arrivals:
        for packet in feed(arrival.data):
            out += [s.stage_from_camera for s in packet.samples(mapping, Stamp()) if isinstance(s, Sample)]  # type: ignore[union-attr]
    return out


def proves(report: GuidedReport, steps: dict[str, list[Arrival]], truth: dict[str, list[Array]]) -> None:
    """The proposed section gives the true poses."""
    source = sections_source(report)
    read = np.array(poses_read(source, [a for came in steps.values() for a in came]))
    true = np.array([p for poses in truth.values() for p in poses])
    assert read.shape == true.shape
    assert np.abs(read - true).max() < 2e-4


@pytest.mark.parametrize("protocol", [*ONES_WITH_PLACES, "psn", "rttrpm", "live_link", "natnet", "vmc"])
def test_nothing_healthy_is_accused(protocol: str) -> None:
    steps, truth = step_arrivals(protocol)
    report = guided_report(steps)
    assert report.faults == []
    assert report.certain
    assert report.protocol == protocol
    proves(report, steps, truth)


@pytest.mark.parametrize(
    "keys",
    [
        {"signs": {"pan": -1}},
        {"signs": {"tilt": -1}},
        {"signs": {"roll": -1}},
        {"signs": {"pan": -1, "tilt": -1, "roll": -1}},
        {"axes": {"x": "-x"}},
        {"axes": {"x": "y", "y": "x"}},
        {"axes": {"x": "-y", "y": "x"}},
        {"axes": {"y": "z", "z": "y"}, "signs": {"tilt": -1}},
        {"offsets": {"pan_deg": 90.0}},
        {"offsets": {"pan_deg": 180.0}, "signs": {"pan": -1}},
        {"axes": {"x": "-x", "y": "-y"}, "offsets": {"pan_deg": -90.0}, "signs": {"roll": -1}},
    ],
)
@pytest.mark.parametrize("protocol", ["freed", "opentrackio", "stype"])
def test_wrong_maps_are_found(protocol: str, keys: dict[str, Any]) -> None:
    steps, truth = step_arrivals(protocol, told_wrongly(keys))
    report = guided_report(steps)
    assert [f.code for f in report.faults] == ["doctor.guided"]
    proves(report, steps, truth)


AXES = [dict(zip("xyz", names, strict=True)) for names, _ in signed_permutations()]
SIGN = st.sampled_from((1, -1))


@hypothesis_settings(max_examples=40)
@given(st.sampled_from(AXES), st.fixed_dictionaries({"pan": SIGN, "tilt": SIGN, "roll": SIGN}),
       st.sampled_from((0.0, 90.0, 180.0, -90.0)))  # fmt: skip
def test_any_map_of_axes_and_signs_is_found(axes: dict[str, str], signs: dict[str, int], pan_deg: float) -> None:
    keys = {"axes": axes, "signs": signs, "offsets": {"pan_deg": pan_deg}}
    steps, truth = step_arrivals("mosys_f4", told_wrongly(keys), rate_hz=10)
    report = guided_report(steps)
    proves(report, steps, truth)


def test_a_tracker_whose_whole_frame_is_turned() -> None:
    turn = pose((0.0, 0.0, 0.0), rotation_from_pan_tilt_roll(90.0, 0.0, 0.0))
    steps, truth = step_arrivals("opentrackio", lambda p: turn @ p)
    report = guided_report(steps)
    assert report.source["stage_from_tracker"] == {"pan_deg": -90}
    assert "axes" not in report.source
    proves(report, steps, truth)


def test_a_tracker_with_another_axis_up() -> None:
    turn = pose((0.0, 0.0, 0.0), rotation_from_pan_tilt_roll(0.0, 90.0, 0.0))
    steps, truth = step_arrivals("zmq", lambda p: turn @ p)
    report = guided_report(steps)
    assert "stage_from_tracker" in report.source
    proves(report, steps, truth)


@pytest.mark.parametrize("angles", [(90.0, 0.0, 0.0), (180.0, 0.0, 0.0), (0.0, 0.0, 180.0), (0.0, 90.0, 0.0)])
def test_a_body_whose_axes_are_not_the_cameras(angles: tuple[float, float, float]) -> None:
    mount = pose((0.0, 0.0, 0.0), rotation_from_pan_tilt_roll(*angles))
    steps, truth = step_arrivals("zmq", lambda p: p @ np.linalg.inv(mount))
    report = guided_report(steps)
    proves(report, steps, truth)


def test_tilt_and_roll_exchanged_are_named() -> None:
    def exchanged(p: Array) -> Array:
        pan, tilt, roll = pan_tilt_roll_from_rotation(p)
        return pose(p[:3, 3], rotation_from_pan_tilt_roll(pan, roll, tilt))

    report = guided_report(step_arrivals("freed", exchanged)[0])
    # A quarter turn of the mount makes up for it nearly: both are said.
    assert "doctor.swapped" in {f.code for f in report.findings}
    assert report.faults


def test_units_are_told_by_the_metre_that_was_walked() -> None:
    def millimetres(p: Array) -> Array:
        out = p.copy()
        out[:3, 3] *= 1000.0
        return out

    report = guided_report(step_arrivals("zmq", millimetres)[0])
    (fault,) = report.faults
    assert fault.code == "doctor.unit"
    assert "millimetres" in fault.says


def test_radians_are_told_by_the_turns() -> None:
    def radians(p: Array) -> Array:
        return pose(p[:3, 3], rotation_from_pan_tilt_roll(*np.radians(pan_tilt_roll_from_rotation(p))))

    report = guided_report(step_arrivals("freed", radians)[0])
    assert {f.code for f in report.faults} == {"doctor.radians"}


def test_steps_that_show_nothing_are_asked_for_again() -> None:
    steps, _ = step_arrivals("freed")
    steps["tilt_up"] = [Arrival(steps["still"][0].data, a.host, a.port, a.t_received_ns) for a in steps["tilt_up"]]
    report = guided_report(steps)
    assert [f.code for f in report.faults] == ["doctor.guided_step"]
    assert not report.certain
    del steps["walk_right"], steps["tilt_up"]
    report = guided_report(steps)
    assert [f.says for f in report.findings if f.code == "doctor.guided_missing"][:2] == [
        "the step 'tilt up' was not done",
        "the step 'to the right' was not done",
    ]


def test_without_steps_or_poses() -> None:
    assert guided_report({}).faults[0].code == "doctor.silence"
    assert guided_report({"still": [Arrival(b"hello", "", 0, 1)]}).faults[0].code == "doctor.unknown"


def test_recorded_steps(tmp_path: Path) -> None:
    steps, _ = step_arrivals("freed", told_wrongly({"signs": {"tilt": -1}}))
    first_ns = steps["still"][0].t_received_ns
    file = tmp_path / "steps.jsonl"
    file.write_text("".join(take_line(a, first_ns, step) for step, came in steps.items() for a in came))
    read = steps_from_file(file)
    assert list(read) == list(STEPS)
    assert guided_report(read).source["signs"] == {"tilt": -1}
    bare = tmp_path / "bare.jsonl"
    bare.write_text("".join(take_line(a, first_ns) for a in steps["still"]))
    with pytest.raises(PlayError, match="name no steps"):
        steps_from_file(bare)
