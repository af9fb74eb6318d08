"""Where a ray from a point of the stage meets the lit walls: how far away a card's middle lies."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike

from stage.compiled import CompiledStage
from stage.frames import Array


class WallRays:
    """Every wall of a stage as triangles, for rays."""

    def __init__(self, stage: CompiledStage) -> None:
        triangles: list[Array] = []
        walls: list[str] = []
        for cabinet in stage.cabinets:
            corners = np.asarray(cabinet.corners_m, dtype=np.float64)
            triangles.append(corners[[[0, 1, 2], [1, 3, 2]]])
            walls += [cabinet.wall] * 2
        for tile in stage.meshes:
            triangles.append(np.asarray(tile.positions_m, dtype=np.float64)[np.asarray(tile.triangles)])
            walls += [tile.wall] * len(tile.triangles)
        self._triangles = np.concatenate(triangles) if triangles else np.zeros((0, 3, 3))
        self._walls = np.array(walls)

    def distance_m(self, from_m: ArrayLike, direction: ArrayLike, walls: Collection[str] = ()) -> float | None:
        """How far the nearest of `walls` (empty: all) is along a direction, [3] of unit length; None: it meets none."""
        origin, ray = np.asarray(from_m, dtype=np.float64), np.asarray(direction, dtype=np.float64)
        corner = self._triangles[:, 0]
        side_a, side_b = self._triangles[:, 1] - corner, self._triangles[:, 2] - corner
        # Moeller and Trumbore: the point of the triangle's plane in units of its two sides.
        across = np.cross(ray, side_b)
        scale = np.einsum("ij,ij->i", side_a, across)
        with np.errstate(divide="ignore", invalid="ignore"):
            to = origin - corner
            u = np.einsum("ij,ij->i", to, across) / scale
            turned = np.cross(to, side_a)
            v = turned @ ray / scale
            distance = np.einsum("ij,ij->i", side_b, turned) / scale
            hit = (np.abs(scale) > 1e-12) & (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1.0 + 1e-9) & (distance > 1e-6)
        if walls:
            hit &= np.isin(self._walls, list(walls))
        return float(distance[hit].min()) if hit.any() else None
