"""A perspective view as the wall pass looks it up: where from, which way, and what its picture spans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stage.frames import Array
from stage.projection import clip_from_view


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole picture drawn from `point_m`.

    `view_from_stage` is [4, 4] (GL axes); `tangents` are left, right, bottom, top over forward; `size_px` the picture.
    """

    point_m: Array
    view_from_stage: Array
    tangents: tuple[float, float, float, float]
    size_px: tuple[int, int]

    @property
    def axes(self) -> Array:
        """[3, 3]  rows right, up, forward: a stage vector becomes (right, up, forward) of the view."""
        return np.asarray(self.view_from_stage[:3, :3] * np.array([[1.0], [1.0], [-1.0]]))

    def clip_from_view(self, *, near_m: float, far_m: float) -> Array:
        """[4, 4]  the projection whose clip square is exactly the picture."""
        return clip_from_view(*self.tangents, near_m=near_m, far_m=far_m)

    @property
    def uv(self) -> tuple[float, float, float, float]:
        """Scale and offset, x then y: texture coordinate = tangent * scale + offset."""
        left, right, bottom, top = self.tangents
        x, y = 1.0 / (right - left), 1.0 / (top - bottom)
        return x, y, -left * x, -bottom * y

    @property
    def texels_per_tangent(self) -> tuple[float, float]:
        """Texels per unit of tangent, x and y."""
        left, right, bottom, top = self.tangents
        return self.size_px[0] / (right - left), self.size_px[1] / (top - bottom)

    @property
    def sampled_edge(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top tangents, half a texel inside the picture: beyond, a filter would leave it."""
        left, right, bottom, top = self.tangents
        x, y = self.texels_per_tangent
        return left + 0.5 / x, bottom + 0.5 / y, right - 0.5 / x, top - 0.5 / y

    def coordinates(self, points_m: Array) -> Array:
        """(right, up, forward), [..., 3], of stage points, [..., 3]."""
        return np.asarray((points_m - self.point_m) @ self.axes.T)

    def may_see(self, points_m: Array) -> NDArray[np.bool_]:
        """Whether hulls, [k, c, 3] stage points, may reach into the picture, [k]: False only where none does."""
        at = self.coordinates(points_m)
        x, y, z = at[..., 0], at[..., 1], at[..., 2]
        left, right, bottom, top = self.tangents
        out = (
            np.all(z <= 0.0, axis=1)
            | np.all(x < left * z, axis=1)
            | np.all(x > right * z, axis=1)
            | np.all(y < bottom * z, axis=1)
            | np.all(y > top * z, axis=1)
        )
        return np.asarray(~out)

    def covers(self, points_m: Array, *, feather_deg: float) -> NDArray[np.bool_]:
        """Whether hulls, [k, c, 3] stage points, lie wholly where a feather of `feather_deg` has reached full, [k]."""
        left, bottom, right, top = np.arctan(self.sampled_edge)
        inset = np.radians(feather_deg) + 1e-6  # the shader counts in float32
        sides = np.array([left + inset, bottom + inset, right - inset, top - inset])
        if sides[0] >= sides[2] or sides[1] >= sides[3]:
            return np.zeros(len(points_m), dtype=bool)
        left, bottom, right, top = np.tan(sides)
        x, y, z = np.moveaxis(self.coordinates(points_m), -1, 0)
        inside = (z > 0.0) & (x >= left * z) & (x <= right * z) & (y >= bottom * z) & (y <= top * z)
        return np.asarray(inside.all(axis=1))

    def texels_per_pixel(self, points_m: Array, across_m: Array, along_m: Array) -> Array:
        """Texels that one canvas pixel spans along the finer of its two sides, [k], at stage points, [k, 3].

        `across_m`, `along_m` [k, 3] are stage metres per canvas pixel. 0 where the point is behind the view.
        """
        at = self.coordinates(points_m)
        seen = at[:, 2] > 1e-3
        z = np.where(seen, at[:, 2], 1.0)[:, None]
        tangent = at[:, :2] / z
        spans = []
        for step_m in (across_m, along_m):
            step = step_m @ self.axes.T
            change = (step[:, :2] - tangent * step[:, 2:]) / z
            spans.append(np.linalg.norm(change * self.texels_per_tangent, axis=1))
        return np.where(seen, np.minimum(*spans), 0.0)
