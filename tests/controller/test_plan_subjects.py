"""Subjects in the frame plan: predicted to the photo of the camera on air, whole through bytes, beside the cameras."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.config import compile_config, load_config
from controller.planner import InnerLimits, Planner
from controller.show import first_show
from controller.sources import plan_subjects, source_alarms
from runtime.clock import NS_PER_MS, VirtualClock
from stage.compiled import CompiledStage
from stage.plan import decode_plan, encode_plan, plan_hash, transform_of
from stage.rate import Rate
from tracking.config import TrackingConfig
from tracking.encoders import encoder
from tracking.inputs import TrackingInputs
from tracking.mocap_encoders import FIGURE, figure_at
from tracking.moves import move
from tracking.sender import capture

SOURCE: dict[str, Any] = {"protocol": "natnet", "listen": "127.0.0.1:1511"}
SUBJECTS: dict[str, Any] = {
    "dancer": {"source": "s", "kind": "performer", "body": "Actor"},
    "rig": {"source": "s", "body": "1"},
    "gone": {"source": "s", "body": "9"},
}
RATE = Rate(100)
MOCAP = """tracking:
  subjects:
    dancer: {source: mocap, kind: performer, body: Actor}
"""
MOCAP_SOURCE = """  sources:
    mocap: {protocol: natnet, listen: 127.0.0.1:1511}
"""


@pytest.fixture(scope="module")
def stage() -> CompiledStage:
    return compile_config(load_config("minimal"))


@pytest.fixture
def inputs() -> TrackingInputs:
    clock = VirtualClock(0)
    config = TrackingConfig.model_validate({"sources": {"s": SOURCE}, "subjects": SUBJECTS})
    inputs = TrackingInputs(config, clock)
    encode = encoder("natnet", rate=RATE, source=config.sources["s"])
    for n, datagrams in enumerate(capture(move("tripod").pose, encode, RATE, 50)):
        clock.advance_to(n * 10 * NS_PER_MS)
        for datagram in datagrams:
            inputs.inject("s", datagram, n * 10 * NS_PER_MS)
    return inputs


def test_every_subject_that_was_seen_is_told(inputs: TrackingInputs) -> None:
    t_ns = 510 * NS_PER_MS
    found = {subject.id: subject for subject in plan_subjects(inputs, t_ns, 490 * NS_PER_MS)}
    assert list(found) == ["dancer", "rig"]
    dancer, rig = found["dancer"], found["rig"]
    assert (dancer.kind, rig.kind, rig.joints, dancer.source, dancer.quality) == ("performer", "prop", [], "s", "ok")
    assert (dancer.t_photo_ns, dancer.t_received_ns) == (t_ns, 490 * NS_PER_MS)
    assert np.allclose(transform_of(rig.stage_from_subject), move("tripod").pose(0.51), atol=0.01)
    assert [joint.name for joint in dancer.joints] == [bone[0] for bone in FIGURE]
    assert [joint.parent for joint in dancer.joints] == [bone[1] for bone in FIGURE]
    hips = figure_at(0.51)[0]
    assert np.allclose(dancer.joints[0].position_m, hips[:3, 3], atol=1e-3)
    assert np.linalg.norm(dancer.joints[3].rotation) == pytest.approx(1.0)


def test_a_lost_prop_is_a_warning_not_an_emergency(inputs: TrackingInputs) -> None:
    for now_ns in range(490, 1500, 10):
        plan_subjects(inputs, now_ns * NS_PER_MS, now_ns * NS_PER_MS)
    alarms = {alarm.path: alarm for alarm in source_alarms(inputs, 1500 * NS_PER_MS)}
    assert alarms["subjects/rig"].severity == "warning"
    assert alarms["subjects/rig"].code == "tracking.source_lost"


def test_plans_carry_subjects_whole(inputs: TrackingInputs, stage: CompiledStage) -> None:
    planner = Planner(stage, InnerLimits())
    show = first_show(stage, scenes=[])
    camera = next(iter(show.cameras))
    t_present_ns = 500 * NS_PER_MS
    photo_ns = planner.photo_time_ns(camera, show, t_present_ns)
    on_air = msgspec.structs.replace(show.cameras[camera], on_air=True)
    show = msgspec.structs.replace(show, cameras={camera: on_air})
    assert planner.subject_time_ns(show, t_present_ns) == photo_ns
    plan = planner.plan(
        show, {}, frame=12, t_present_ns=t_present_ns, subjects=plan_subjects(inputs, photo_ns, t_present_ns)
    )
    data = encode_plan(plan)
    assert decode_plan(data) == plan
    assert plan_hash(data) != plan_hash(encode_plan(msgspec.structs.replace(plan, subjects=[])))
    nobody = msgspec.structs.replace(show, cameras={camera: msgspec.structs.replace(on_air, on_air=False)})
    period_ns = stage.rate.period_ns
    assert t_present_ns <= planner.subject_time_ns(nobody, t_present_ns) <= t_present_ns + 5 * period_ns


def test_the_conductor_puts_them_into_its_plans(shm: Path, housekit: ModuleType) -> None:
    text, changed = re.subn(r"^tracking:\n", MOCAP, housekit.minimal_text(), flags=re.MULTILINE)
    text, sources = re.subn(r"^  sources:\n", MOCAP_SOURCE, text, flags=re.MULTILINE)
    assert (changed, sources) == (1, 1)
    with housekit.VirtualShow(shm, text, tracker=False) as show:
        inputs = show.conductor.inputs
        encode = encoder("natnet", rate=RATE, source=inputs.config.sources["mocap"])
        show.run_to(10)
        for datagrams in capture(move("tripod").pose, encode, RATE, 3):
            for datagram in datagrams:
                inputs.inject("mocap", datagram)
        show.run_to(14)
        plans = show.plans
    assert plans[9].subjects == []
    (dancer,) = plans[13].subjects
    assert (dancer.id, dancer.kind, len(dancer.joints)) == ("dancer", "performer", len(FIGURE))
