"""How much of the walls a camera sees, and how finely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stage.compiled import CompiledStage
from stage.frames import Array, transform_points
from stage.overscan import Sides
from stage.plan import PlanLens
from stage.projection import overscan_tangents, view_from_stage

GRAZING_COSINE = 0.2
"""LEDs seen flatter than this are left out of the density: they would ask for any number of texels."""


class WallSamples:
    """Points spread over the walls with the size of one canvas pixel there: what density and distance come from."""

    def __init__(self, stage: CompiledStage, *, scale: int = 1) -> None:
        points: list[Array] = []
        across: list[Array] = []
        along: list[Array] = []
        walls: list[str] = []
        for cabinet in stage.cabinets:
            lower_left, lower_right, upper_left, _ = cabinet.corners_m
            u, v = lower_right - lower_left, upper_left - lower_left
            _, _, width_px, height_px = cabinet.wall_rect_px
            for a, b in ((0.5, 0.5), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
                points.append(lower_left + a * u + b * v)
                across.append(u / width_px)
                along.append(v / height_px)
                walls.append(cabinet.wall)
        for tile in stage.meshes:
            for a, b, c in tile.triangles:
                p, q = tile.positions_m[[a, b, c]], tile.wall_px[[a, b, c]]
                metres = np.stack([p[1] - p[0], p[2] - p[0]])
                pixels = np.stack([q[1] - q[0], q[2] - q[0]])
                if abs(np.linalg.det(pixels)) < 1e-12:
                    continue
                du, dv = np.linalg.solve(pixels, metres)
                points.append(p.mean(axis=0))
                across.append(du)
                along.append(-dv)
                walls.append(tile.wall)
        self.points_m = np.array(points).reshape(-1, 3)
        self.across_m = np.array(across).reshape(-1, 3) * scale
        self.along_m = np.array(along).reshape(-1, 3) * scale
        normals = np.cross(self.across_m, self.along_m)
        self.normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
        self.walls = np.array(walls)
        self._masks: dict[tuple[str, ...], NDArray[np.bool_]] = {}

    def mask(self, walls: tuple[str, ...]) -> NDArray[np.bool_]:
        """Which samples lie on one of `walls`, [n] bool; not to be changed."""
        if walls not in self._masks:
            self._masks[walls] = np.isin(self.walls, walls)
        return self._masks[walls]


@dataclass(frozen=True, slots=True)
class WallView:
    """What of the walls one camera sees."""

    pixels_per_tangent: float
    """Canvas pixels per unit of tangent at the densest LED in view; 0 when no wall is in view."""
    nearest_m: float
    """Distance of the nearest wall sample in view; infinity when none is."""


def wall_view(
    samples: WallSamples,
    stage_from_camera: Array,
    pupil_m: Array,
    lens: PlanLens,
    overscan_deg: Sides,
    /,
    *,
    walls: tuple[str, ...],
) -> WallView:
    """Density and distance of the walls inside an inner frustum."""
    view = view_from_stage(stage_from_camera, pupil_m)
    seen = transform_points(view, samples.points_m)
    depth = -seen[:, 2]
    left, right, bottom, top = overscan_tangents(lens, overscan_deg)
    facing = np.einsum("ij,ij->i", samples.normals, np.asarray(pupil_m) - samples.points_m)
    distance = np.linalg.norm(samples.points_m - np.asarray(pupil_m), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        tx, ty = seen[:, 0] / depth, seen[:, 1] / depth
        inside = (depth > 0.05) & (tx >= left) & (tx <= right) & (ty >= bottom) & (ty <= top)
    inside &= samples.mask(walls) & (facing > GRAZING_COSINE * distance)
    if not inside.any():
        return WallView(0.0, float("inf"))
    rotation = view[:3, :3].T

    def tangent_step(step_m: Array) -> Array:
        e = step_m[inside] @ rotation
        d = depth[inside, None]
        return np.asarray(np.hypot(*((e[:, :2] + seen[inside, :2] / d * e[:, 2:3]) / d).T))

    smallest = min(float(tangent_step(samples.across_m).min()), float(tangent_step(samples.along_m).min()))
    return WallView(1.0 / smallest, float(distance[inside].min()))
