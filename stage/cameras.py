"""Tracked film cameras: body, sensor mode, lens and mount, compiled from the configuration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stage.frames import Array, pose, transform_points
from stage.plan import PlanLens


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of the stage with its chosen sensor mode and lens.

    `lens` holds what stands until tracking says otherwise; a tracked focal length, focus or pupil replaces it.
    """

    id: str
    label: str
    rank: int
    resolution_px: tuple[int, int]
    lens: PlanLens
    shutter_deg: float
    """Shutter angle: the exposure lasts shutter_deg / 360 of a frame."""
    readout_ms: float
    """Rolling shutter: time from the first to the last row."""
    genlock_phase_deg: float
    """Start of the exposure after the wall frame's start, in degrees of a frame."""
    walls: tuple[str, ...]
    """Walls its inner frustum shows on."""
    body_from_sensor: Array
    """[4, 4]  mount: where the sensor's middle sits in the tracked body's frame."""
    default_stage_from_camera: Array
    """[4, 4]  where it stands when nothing tracks it."""
    overscan_deg: tuple[float, float, float, float] | None
    """Fixed overscan left, right, top, bottom; None = computed."""
    overscan_margin_deg: float
    overscan_max_deg: float
    """No side of a computed overscan is larger,"""
    soft_edge_deg: float
    delay_ms: float = 0.0
    on_air: bool = True
    enabled: bool = True
    slot: int = 0
    overscan_min_deg: float = 0.0
    """or smaller than this."""
    focus_blur_deg: float = 0.0
    """Largest radius of lens-aware focus blur; 0 = off."""


def pupil_m(stage_from_camera: Array, lens: PlanLens) -> Array:
    """Entrance pupil, [3] stage metres: `entrance_pupil_m` in front of the sensor along the optical axis."""
    return transform_points(stage_from_camera, (0.0, lens.entrance_pupil_m, 0.0))


def stage_from_camera_at_pupil(pupil: Array, stage_from_camera: Array) -> Array:
    """The camera's rotation with its origin moved to the pupil, [4, 4]."""
    return pose(np.asarray(pupil), np.asarray(stage_from_camera)[:3, :3])
