"""Where what a stream follows will be at a photo: its samples, predictor, delays and lens together."""

from __future__ import annotations

import msgspec

from stage.frames import Array, inverse_pose
from tracking.health import COAST_NS
from tracking.lens_track import lens_at
from tracking.predict import PredictedPose
from tracking.stream import SourceStream


def pose_at_photo(state: SourceStream, name: str, t_photo_ns: int, now_ns: int) -> PredictedPose | None:
    """Where what a stream follows will be at the photo, as known at `now_ns`; None before its first sample.

    name : of the camera or subject that follows it.
    """
    sample = state.history.newest
    if sample is None:
        return None
    quality = state.health.step(now_ns)
    overdue_ns = state.health.overdue_ns(now_ns)
    raw = state.source.prediction == "off"
    state.predictor.lens_ns = state.lags.lens_ns
    stage_from_camera = _posed(state, t_photo_ns, overdue_ns, raw=raw)
    if state.restarts != state.history.restarts:
        state.restarts = state.history.restarts
        state.follower.stay()
    if not raw:
        stage_from_camera = state.follower.follow(stage_from_camera, t_photo_ns, holding=overdue_ns > COAST_NS)
    if sample.lens is not None:
        known_ns = (sample.t_sampled_ns if raw else t_photo_ns) - state.lags.lens_ns
        lens = lens_at(state.history.samples, known_ns, predict=not raw)
        if lens is not sample.lens:
            sample = msgspec.structs.replace(sample, lens=lens)
    return PredictedPose(
        name,
        t_photo_ns,
        stage_from_camera,
        sample.pose_point,
        sample,
        quality.value,
        t_photo_ns - sample.t_sampled_ns,
        state.predictor.errors(),
    )


def _posed(state: SourceStream, t_photo_ns: int, overdue_ns: int, *, raw: bool) -> Array:
    """`stage_from_camera`, [4, 4], at the photo, position and rotation each with its own delay."""
    history, predictor, lags = state.history, state.predictor, state.lags
    if raw:
        pose = predictor.hold(history, t_photo_ns, overdue_ns)
        known_ns = history.samples[-1].t_sampled_ns
    else:
        pose = predictor.predict(history, t_photo_ns, overdue_ns)
        known_ns = t_photo_ns
    younger_ns = lags.position_ns or lags.rotation_ns
    if not younger_ns:
        return pose
    known_ns -= younger_ns
    earlier = history.at(known_ns) if raw else predictor.predict(history, known_ns, overdue_ns)
    if earlier is None:
        return pose
    placed, turned = (earlier, pose) if lags.position_ns else (pose, earlier)
    out = turned.copy()
    out[:3, 3] = placed[:3, 3]
    mount = state.mapping.body_from_camera
    if mount is not None:
        # The camera sits beside the tracked point: that one's place is of one time, the arm to the camera of the other.
        arm_m = -inverse_pose(mount)[:3, 3]
        out[:3, 3] += (turned[:3, :3] - placed[:3, :3]) @ arm_m
    return out
