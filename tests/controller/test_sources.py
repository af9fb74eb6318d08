"""Tracking as the show sees it: lens readings on top of the configured lens, nudges, status and alarms."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from controller.config import compile_config
from controller.show import Nudge
from controller.sources import inner_limits, mounts_of, nudged, source_alarms, source_status, tracked_pose
from runtime.clock import NS_PER_MS, VirtualClock
from stage.frames import Array, pose, pose_from_pan_tilt_roll
from stage.overscan import PoseErrors
from tracking.config import TrackingConfig
from tracking.inputs import TrackingInputs
from tracking.predict import PredictedPose
from tracking.protocols.freed import FreeDPacket
from tracking.sample import LensReading, Sample


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def inputs_of(clock: VirtualClock, **source: object) -> TrackingInputs:
    fields = {"protocol": "freed", "listen": "127.0.0.1:40000", "camera": "a", **source}
    return TrackingInputs(TrackingConfig.model_validate({"sources": {"t": fields}}), clock)


def packet(x_mm: float = 0.0) -> bytes:
    return bytes(
        FreeDPacket.from_units(
            camera_id=1, pan_deg=0.0, tilt_deg=0.0, roll_deg=0.0, x_mm=x_mm, y_mm=0.0, z_mm=1500.0, zoom=0, focus=0,
            spare=0,
        )
    )  # fmt: skip


def predicted(
    stage_from_camera: Array, *, pose_point: str = "sensor", lens: LensReading | None = None
) -> PredictedPose:
    sample = Sample("t", "a", 10, 20, stage_from_camera, stage_from_camera, pose_point, lens, 7)
    return PredictedPose(
        "a",
        100,
        stage_from_camera,
        pose_point,
        sample,
        "ok",
        90,
        PoseErrors(np.zeros((1, 7)), np.zeros(1, np.int64)),
    )


def test_a_pose_of_the_pupil_becomes_the_sensors(housekit: ModuleType) -> None:
    stage = compile_config(housekit.loaded_of(housekit.minimal_text()))
    camera = stage.cameras["a"]
    there = pose_from_pan_tilt_roll((1.0, 2.0, 3.0), pan_deg=90.0)
    tracked = tracked_pose(predicted(there, pose_point="pupil"), camera)
    # Looking along -X: the sensor lies 0.1 m behind the pupil, at +X.
    assert np.allclose(tracked.stage_from_camera[:3, 3], [1.1, 2.0, 3.0])
    tracked = tracked_pose(predicted(there, pose_point="pupil", lens=LensReading(entrance_pupil_m=0.3)), camera)
    assert np.allclose(tracked.stage_from_camera[:3, 3], [1.3, 2.0, 3.0])
    assert tracked.entrance_pupil_m == 0.3


def test_what_is_tracked_of_the_lens_goes_along_and_the_rest_stays_open(housekit: ModuleType) -> None:
    camera = compile_config(housekit.loaded_of(housekit.minimal_text())).cameras["a"]
    lens = LensReading(focal_length_mm=50.0, radial=(0.1, 0.2))
    tracked = tracked_pose(predicted(np.eye(4), lens=lens), camera)
    assert (tracked.focal_length_mm, tracked.radial, tracked.focus_distance_m) == (50.0, [0.1, 0.2], None)
    assert (tracked.source, tracked.packet_id, tracked.quality) == ("t", 7, "ok")
    assert tracked.errors is not None
    assert tracked_pose(predicted(np.eye(4)), camera).focal_length_mm is None


def test_a_nudge_goes_before_the_alignment(clock: VirtualClock) -> None:
    config = TrackingConfig.model_validate(
        {
            "sources": {
                "t": {
                    "protocol": "freed",
                    "listen": "127.0.0.1:40000",
                    "camera": "a",
                    "stage_from_tracker": {"x_m": 1.0, "pan_deg": 90.0},
                }
            }
        }
    )
    nudge = Nudge(x_m=0.01, pan_deg=1.0)
    aligned = nudged(config, {"t": nudge, "gone": Nudge(x_m=9.0)}).sources["t"].stage_from_tracker.pose()
    expected = nudge.pose() @ pose_from_pan_tilt_roll((1.0, 0.0, 0.0), pan_deg=90.0)
    assert np.allclose(aligned, expected, atol=1e-12)
    assert nudged(config, {}) is config
    assert config.sources["t"].stage_from_tracker.x_m == 1.0, "the configuration itself stays"


def test_status_tells_what_a_person_wants_to_know(clock: VirtualClock) -> None:
    inputs = inputs_of(clock)
    assert source_status(inputs, clock.now_ns())["t"].state == "waiting"
    for n in range(50):
        clock.advance_by(10 * NS_PER_MS)
        inputs.inject("t", packet(x_mm=float(n)))
    inputs.inject("t", b"nonsense")
    clock.advance_by(4 * NS_PER_MS)
    status = source_status(inputs, clock.now_ns())["t"]
    assert (status.state, status.protocol, status.camera, status.samples) == ("ok", "freed", "a", 50)
    assert status.datagrams == 51
    assert sum(status.refused.values()) == 1
    assert status.rate_hz == pytest.approx(100.0, rel=0.05)
    assert status.age_ms == pytest.approx(4.0)
    assert status.last_packet_id == 50
    assert status.stage_from_tracker == np.eye(4).reshape(16).tolist()


def test_a_lost_source_is_a_critical_alarm_by_its_address(clock: VirtualClock) -> None:
    inputs = inputs_of(clock)
    for _ in range(20):
        clock.advance_by(10 * NS_PER_MS)
        inputs.inject("t", packet())
    assert source_alarms(inputs, clock.now_ns()) == []
    clock.advance_by(1000 * NS_PER_MS)
    (alarm,) = source_alarms(inputs, clock.now_ns())
    assert (alarm.code, alarm.path, alarm.severity) == ("tracking.source_lost", "sources/t", "critical")
    assert alarm.mend


def test_what_the_file_says_of_inner_pictures_and_mounts(housekit: ModuleType) -> None:
    loaded = housekit.loaded_of(housekit.minimal_text())
    limits = inner_limits(loaded.config.render)
    assert (limits.scale, limits.max_side_px) == (8, loaded.config.render.max_inner_px)
    mounts = mounts_of(compile_config(loaded))
    assert mounts.keys() == {"a"}
    assert np.allclose(mounts["a"], pose((0.0, 0.0, 0.0)))
