"""Tracking as the show sees it: predictions become poses, nudges become alignments, statistics become status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from controller.planner import InnerLimits, TrackedPose
from controller.resolution import ResolutionLimits
from controller.show import Nudge, Show, SourceDelays
from controller.status import Alarm, Percentiles, Severity, SourceStatus
from renderer.config import RenderConfig
from stage.cameras import Camera
from stage.compiled import CompiledStage
from stage.frames import Array, pan_tilt_roll_from_rotation
from stage.lens import frame_size_mm
from stage.plan import PlanJoint, PlanSubject, matrix16
from tracking.config import Delays, PoseOffset, TrackingConfig
from tracking.inputs import TrackingInputs
from tracking.predict import PredictedPose
from tracking.sample import LensReading

_CRITICAL = ("tracking.source_lost", "tracking.source_bad")


def inner_limits(render: RenderConfig) -> InnerLimits:
    """What the render section says about inner frusta."""
    return InnerLimits(render.texels_per_led, render.max_inner_px, render.scale)


def resolution_limits(render: RenderConfig) -> ResolutionLimits:
    """What the render section says about drawing coarser when drawing takes too long."""
    dynamic = render.dynamic
    if not dynamic.enabled:
        return ResolutionLimits()
    return ResolutionLimits.of(
        ceiling=render.texels_per_led, floor_=dynamic.floor_texels_per_led, budget_share=dynamic.budget_share
    )


def mounts_of(stage: CompiledStage) -> dict[str, Array]:
    """`body_from_sensor`, [4, 4], of every camera."""
    return {camera.id: camera.body_from_sensor for camera in stage.cameras.values()}


def pictures_of(stage: CompiledStage) -> dict[str, tuple[float, float]]:
    """Width and height of every camera's desqueezed picture on its sensor, mm."""
    return {camera.id: frame_size_mm(camera.lens) for camera in stage.cameras.values()}


def pose_of(inputs: TrackingInputs, camera: Camera, t_photo_ns: int, now_ns: int) -> TrackedPose | None:
    """What the planner is told about a camera at a photo; None: nothing is known but its configuration.

    A camera that nothing moves stands where the file puts it, with what its lens says of itself.
    """
    predicted = inputs.predict(camera.id, t_photo_ns, now_ns)
    if predicted is not None:
        return tracked_pose(predicted, camera)
    lens, errors = inputs.lens_alone(camera.id, t_photo_ns, now_ns)
    if lens is None:
        return None
    return TrackedPose(camera.default_stage_from_camera, quality="untracked", errors=errors, **_known(lens))


def tracked_pose(predicted: PredictedPose, camera: Camera) -> TrackedPose:
    """What the planner is told about a camera: the sensor's pose, and whatever of the lens is tracked."""
    lens = predicted.sample.lens
    pupil_m = camera.lens.entrance_pupil_m
    if lens is not None and lens.entrance_pupil_m is not None:
        pupil_m = lens.entrance_pupil_m
    return TrackedPose(
        predicted.sensor_pose(pupil_m),
        source=predicted.sample.source,
        packet_id=predicted.sample.packet_id,
        t_sampled_ns=predicted.sample.t_sampled_ns,
        t_received_ns=predicted.sample.t_received_ns,
        quality=predicted.quality,
        errors=predicted.errors,
        **({} if lens is None else _known(lens)),
    )


def _known(lens: LensReading) -> dict[str, Any]:
    """A reading, under the names that `TrackedPose` has for it."""
    return {
        "focal_length_mm": lens.focal_length_mm,
        "focus_distance_m": lens.focus_distance_m,
        "entrance_pupil_m": lens.entrance_pupil_m,
        "radial": None if lens.radial is None else list(lens.radial),
        "model": None if lens.radial is None else lens.model,
        "tangential": None if lens.tangential is None else list(lens.tangential),
        "distortion_offset_mm": lens.distortion_offset_mm,
        "projection_offset_mm": lens.projection_offset_mm,
        "f_stop": lens.f_stop,
    }


def nudged(tracking: TrackingConfig, nudges: Mapping[str, Nudge]) -> TrackingConfig:
    """The tracking section with every line-up nudge put before its source's alignment."""
    if not nudges:
        return tracking
    sources = dict(tracking.sources)
    for name, nudge in nudges.items():
        if name not in sources:
            continue
        source = sources[name]
        aligned = nudge.pose() @ source.stage_from_tracker.pose()
        pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(aligned)
        x_m, y_m, z_m = (float(v) for v in aligned[:3, 3])
        offset = PoseOffset(x_m=x_m, y_m=y_m, z_m=z_m, pan_deg=pan_deg, tilt_deg=tilt_deg, roll_deg=roll_deg)
        sources[name] = source.model_copy(update={"stage_from_tracker": offset})
    return tracking.model_copy(update={"sources": sources})


def configured_delays(tracking: TrackingConfig) -> dict[str, SourceDelays]:
    """Every source's delays as the file has them."""
    return {
        name: SourceDelays(delay_ms=source.delay_ms, **source.delays.model_dump())
        for name, source in tracking.sources.items()
    }


def steered(tracking: TrackingConfig, show: Show) -> TrackingConfig:
    """The tracking section as the show changes it: nudges and delays."""
    tracking = nudged(tracking, show.nudges)
    changed = {}
    for name, delays in show.delays.items():
        source = tracking.sources.get(name)
        if source is None:
            continue
        told = msgspec.structs.asdict(delays)
        delay_ms = told.pop("delay_ms")
        if (delay_ms, told) != (source.delay_ms, source.delays.model_dump()):
            changed[name] = source.model_copy(update={"delay_ms": delay_ms, "delays": Delays(**told)})
    if not changed:
        return tracking
    return tracking.model_copy(update={"sources": {**tracking.sources, **changed}})


def preferences(show: Show) -> dict[str, str]:
    """Which source should move each camera; "" leaves it to their priorities."""
    return {name: settings.preferred_source for name, settings in show.cameras.items()}


def source_status(inputs: TrackingInputs, now_ns: int) -> dict[str, SourceStatus]:
    """Every source's state and counts."""
    out: dict[str, SourceStatus] = {}
    for name, found in inputs.statistics(now_ns).items():
        residuals = inputs.residuals(name)
        turn, move = (residuals[:, 2], residuals[:, 3] * 1000.0) if len(residuals) else (np.zeros(0), np.zeros(0))
        out[name] = SourceStatus(
            state="waiting" if found.last_packet_id == 0 and found.state.value == "lost" else found.state.value,
            protocol=found.protocol,
            address=found.address,
            camera=found.camera,
            datagrams=found.datagrams,
            reason=found.reason,
            samples=found.samples,
            lost=found.lost,
            dropped=found.dropped,
            refused={str(reason): count for reason, count in found.refused.items()},
            rate_hz=found.rate_hz,
            age_ms=found.age_ms,
            jitter_ms=found.jitter_ms,
            clock_drift_ppm=found.clock_drift_ppm,
            clock_jumps=found.clock_jumps,
            moves=inputs.moving(found.camera) == name,
            last_packet_id=found.last_packet_id,
            sender=found.sender,
            stage_from_tracker=matrix16(inputs.config.sources[name].stage_from_tracker.pose()),
            prediction_error_deg=_spread(turn),
            prediction_error_mm=_spread(move),
            prediction_rms_deg={name: misses.rms_deg for name, misses in found.misses.items()},
            prediction_rms_mm={name: misses.rms_mm for name, misses in found.misses.items()},
            prediction_learned_s=found.learned_s,
        )
    return out


def plan_subjects(inputs: TrackingInputs, t_photo_ns: int, now_ns: int) -> list[PlanSubject]:
    """Every subject that was ever seen, at the photo."""
    out: list[PlanSubject] = []
    for name in inputs.config.subjects:
        found = inputs.predict_subject(name, t_photo_ns, now_ns)
        if found is None:
            continue
        sample, skeleton = found.pose.sample, found.skeleton
        joints: list[PlanJoint] = []
        if skeleton is not None:
            joints = [
                PlanJoint(joint, parent, (x, y, z), (qx, qy, qz, qw))
                for joint, parent, (x, y, z, qx, qy, qz, qw) in zip(
                    skeleton.names, skeleton.parents, found.joints().tolist(), strict=True
                )
            ]
        out.append(
            PlanSubject(
                id=name,
                kind=found.kind,
                t_photo_ns=t_photo_ns,
                stage_from_subject=matrix16(found.stage_from_subject),
                joints=joints,
                blend_shapes=dict(skeleton.blend_shapes) if skeleton is not None else {},
                source=sample.source,
                packet_id=sample.packet_id,
                t_sampled_ns=sample.t_sampled_ns,
                t_received_ns=sample.t_received_ns,
                quality=found.pose.quality,
            )
        )
    return out


def source_alarms(inputs: TrackingInputs, now_ns: int) -> list[Alarm]:
    """What a person should know about the inputs."""
    alarms: list[Alarm] = []
    for problem in inputs.alarms(now_ns):
        path = problem.path.removeprefix("tracking/")
        # A prop that is out of sight leaves the walls right.
        is_critical = problem.code in _CRITICAL and not path.startswith("subjects/")
        severity: Severity = "critical" if is_critical else "warning"
        alarms.append(Alarm(problem.code, path, problem.detail, severity, problem.mend, now_ns, problem.values))
    return alarms


def _spread(values: Array) -> Percentiles:
    if not len(values):
        return Percentiles()
    # Not np.percentile: its first call imports half of numpy, in the middle of a show.
    ordered = np.sort(np.abs(values))
    p50, p95, p99, most = ordered[np.rint((len(ordered) - 1) * np.array((0.5, 0.95, 0.99, 1.0))).astype(int)].tolist()
    return Percentiles(p50, p95, p99, most)
