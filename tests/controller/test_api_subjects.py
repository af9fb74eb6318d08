"""Tracked props, lights and performers as the API tells them: where they were planned last, or that they never came."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from controller.api import present_subjects
from controller.config import load_config_text
from stage.frames import rotation_from_pan_tilt_roll
from stage.plan import PlanJoint, PlanSubject, matrix16

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def loaded(config: str) -> Any:
    from controller.config import load_config

    text = load_config("minimal").source.replace(
        "scenes:\n", f"  subjects:\n{config}\nscenes:\n", 1
    )  # fmt: skip
    return load_config_text(text, base_dir=load_config("minimal").base_dir)


def told(subjects: list[PlanSubject] | None) -> dict[str, Any]:
    desk: Any = SimpleNamespace(
        loaded=loaded("    crate: {source: tracker}\n    anna: {source: tracker, kind: light}\n"), rev_of=lambda path: 7
    )
    backend: Any = SimpleNamespace(plan=None if subjects is None else SimpleNamespace(subjects=subjects))
    return present_subjects.subjects(desk, backend)


def planned(name: str) -> PlanSubject:
    stage_from_subject = np.eye(4)
    stage_from_subject[:3, :3] = rotation_from_pan_tilt_roll(30.0, -10.0, 5.0)
    stage_from_subject[:3, 3] = 1.0, 2.0, 0.5
    joints = [
        PlanJoint("hips", -1, (1.0, 2.0, 0.9), (0, 0, 0, 1)),
        PlanJoint("head", 0, (1.0, 2.0, 1.60006), (0, 0, 0, 1)),
    ]
    return PlanSubject(
        name, "performer", 50_000_000, matrix16(stage_from_subject), joints, source="tracker", t_sampled_ns=20_000_000
    )  # fmt: skip


def test_where_a_subject_stands_and_its_joints() -> None:
    found = told([planned("anna")])
    anna, crate = found["anna"], found["crate"]
    assert (anna.seen, anna.source, anna.rev, anna.kind) == (True, "tracker", 7, "performer")
    assert anna.position_m == (1.0, 2.0, 0.5)
    assert (anna.pan_deg, anna.tilt_deg, anna.roll_deg) == pytest.approx((30.0, -10.0, 5.0))
    assert anna.age_ms == pytest.approx(30.0)
    assert [(joint.name, joint.parent, joint.position_m[2]) for joint in anna.joints] == [
        ("hips", -1, 0.9),
        ("head", 0, 1.6001),
    ]
    assert (crate.seen, crate.quality, crate.age_ms, crate.joints) == (False, "", None, [])


def test_before_the_first_plan_none_is_seen() -> None:
    assert [one.seen for one in told(None).values()] == [False, False]


def test_a_show_without_subjects_tells_none(house: RunningHouse) -> None:
    assert house.get("subjects") == {}
    answer = house.client.get("/api/v1/subjects/anna")
    assert answer.status_code == 404


def test_a_camera_without_frame_lines_tells_none(house: RunningHouse) -> None:
    assert house.get("cameras/a")["frame_lines"] == {}
    answer = house.client.patch("/api/v1/cameras/a", json={"frame_lines": {"scope": True}})
    assert (answer.status_code, answer.json()["path"]) == (404, "cameras/a/frame_lines/scope")
