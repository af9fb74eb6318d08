"""The frame plan: bytes and back, its schema, and that nothing slips past it."""

from __future__ import annotations

import jsonschema
import msgspec
import numpy as np
import pytest

from stage.frames import pose_from_pan_tilt_roll
from stage.plan import (
    CanvasReport,
    FramePlan,
    FrameReport,
    PlanCamera,
    PlanLens,
    PlanOuter,
    PlanScene,
    decode_plan,
    decode_report,
    encode_plan,
    encode_report,
    matrix16,
    plan_hash,
    plan_schema,
    transform_of,
)


@pytest.fixture
def plan() -> FramePlan:
    pose = pose_from_pan_tilt_roll((0.1, -1.0, 1.5), pan_deg=10.0)
    camera = PlanCamera(
        id="a", rank=0, on_air=True, slot=0, enabled=True, t_photo_ns=2**61 + 1, stage_from_camera=matrix16(pose),
        pupil_m=(0.1, -0.9, 1.5), lens=PlanLens(focal_length_mm=35.0, sensor_width_mm=36.0, sensor_height_mm=20.25),
        overscan_deg=(1.0, 1.0, 2.0, 2.0), raster_px=(640, 360), soft_edge_deg=0.5, walls=["arc"],
    )  # fmt: skip
    return FramePlan(
        frame=2**40, rate=(24000, 1001), t_present_ns=2**61, cameras=[camera],
        outer=PlanOuter("live", 2**40, (0.0, 1.5, 1.6)), scenes=[PlanScene("valley", 3, 1.0, matrix16(np.eye(4)))],
        actions=["hold"], output_delays={"left": 1},
    )  # fmt: skip


def test_bytes_and_back(plan: FramePlan) -> None:
    data = encode_plan(plan)
    assert decode_plan(data) == plan
    assert decode_plan(memoryview(data)) == plan
    assert encode_plan(decode_plan(data)) == data
    assert len(data) < 4096


def test_the_hash_tells_any_change(plan: FramePlan) -> None:
    first = plan_hash(encode_plan(plan))
    assert first == plan_hash(encode_plan(plan))
    assert 0 <= first < 2**64
    assert plan_hash(encode_plan(msgspec.structs.replace(plan, seed=1))) != first


def test_transforms_survive_as_sixteen_numbers() -> None:
    pose = pose_from_pan_tilt_roll((1.0, 2.0, 3.0), pan_deg=10.0, tilt_deg=20.0, roll_deg=30.0)
    numbers = matrix16(pose)
    assert numbers[3] == 1.0
    assert numbers[7] == 2.0
    assert np.array_equal(transform_of(numbers), pose)


@pytest.mark.parametrize(
    "spoil",
    [
        {"frame": "1"}, {"outer": {"mode": "sometimes", "drawn_frame": 0, "eye_m": [0, 0, 0]}}, {"surprise": 1},
        {"actions": ["dance"]}, {"cameras": [{"id": "a"}]},
        {"scenes": [{"id": "s", "version": 1, "weight": 1.0, "stage_from_scene": [1.0] * 15}]},
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused(plan: FramePlan, spoil: dict) -> None:
    document = msgspec.to_builtins(plan)
    with pytest.raises(msgspec.ValidationError):
        decode_plan(msgspec.msgpack.encode({**document, **spoil}))


def test_truncated_bytes_are_refused(plan: FramePlan) -> None:
    data = encode_plan(plan)
    for end in range(0, len(data), 7):
        with pytest.raises(msgspec.DecodeError):
            decode_plan(data[:end])


def test_the_schema_takes_plans_and_nothing_else(plan: FramePlan) -> None:
    schema = plan_schema()
    document = msgspec.json.decode(msgspec.json.encode(plan))
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "surprise": 1}, schema)


def test_reports_survive() -> None:
    report = FrameReport(7, "node0", 2**64 - 1, {"left": CanvasReport(6, "late_draw")}, 1, 2, 3)
    assert decode_report(encode_report(report)) == report
