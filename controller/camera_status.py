"""What the conductor tells of every camera: as planned last, with what its overscan is made of."""

from __future__ import annotations

import numpy as np

from controller.planner import Planner
from controller.resolution import DynamicResolution
from controller.status import CameraStatus, ResolutionStatus
from runtime.clock import NS_PER_MS
from stage.frames import pan_tilt_roll_from_rotation
from stage.overscan import cost_of, overscan_px
from stage.plan import FramePlan, transform_of


def camera_status(plan: FramePlan | None, planner: Planner) -> dict[str, CameraStatus]:
    """Every camera of the newest plan; nothing before the first one."""
    if plan is None:
        return {}
    out: dict[str, CameraStatus] = {}
    for camera in plan.cameras:
        transform = transform_of(camera.stage_from_camera)
        pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(transform)
        overscan = planner.overscan(camera.id)
        causes = {}
        if overscan is not None:
            causes = {
                "lens": max(overscan.lens_deg),
                "prediction": max(overscan.prediction_deg),
                "hold": max(overscan.hold_deg),
                "feather": overscan.feather_deg,
                "focus": overscan.focus_deg,
                "margin": overscan.margin_deg,
            }
        state = camera.quality if camera.quality in ("ok", "coasting", "lost", "bad") else "waiting"
        x_m, y_m, z_m = np.round(transform[:3, 3], 6).tolist()
        out[camera.id] = CameraStatus(
            state=state,  # type: ignore[arg-type]  # one of SourceState, as tested above
            source=camera.source,
            quality=camera.quality,
            position_m=(x_m, y_m, z_m),
            pan_deg=pan_deg,
            tilt_deg=tilt_deg,
            roll_deg=roll_deg,
            focal_length_mm=camera.lens.focal_length_mm,
            age_ms=(camera.t_photo_ns - camera.t_sampled_ns) / NS_PER_MS if camera.t_sampled_ns else None,
            overscan_deg=camera.overscan_deg,
            overscan_causes_deg=causes,
            overscan_px=overscan_px(camera.lens, camera.overscan_deg, camera.raster_px),
            overscan_cost_percent=100.0 * cost_of(camera.lens, camera.overscan_deg),
            texels_per_led=planner.texels_per_led(camera.id),
            lowered_steps=camera.lowered_steps,
        )
    return out


def resolution_status(resolution: DynamicResolution, *, held: bool) -> ResolutionStatus:
    """Whether inner pictures are drawn coarser than configured, and why."""
    return ResolutionStatus(
        enabled=resolution.limits.steps_most > 0,
        lowered_steps=resolution.lowered_steps,
        steps_most=resolution.limits.steps_most,
        changes=resolution.changes,
        held=held,
        draw_p99_ms=resolution.draw_p99_ns / NS_PER_MS,
        budget_ms=resolution.budget_ns / NS_PER_MS,
    )
