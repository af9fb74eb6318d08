"""How far an inner frustum must reach beyond its picture: what the lens sees, how wrong predictions are, a held frame.

All is told per side, left, right, top, bottom, in degrees: a camera that turned further left than predicted needs more
on the left, and less on the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from stage.frames import Array, vector_from_rotation
from stage.lens import lens_cover_deg, pinhole_tangents
from stage.plan import PlanLens
from stage.projection import overscan_tangents

Sides = tuple[float, float, float, float]
"""Left, right, top, bottom, degrees."""

COVERED = 0.999
"""Share of a camera's own prediction errors that its overscan covers."""
NEAREST_M = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class PoseErrors:
    """How wrong a camera's predictions were at its last photos; the same object for as long as nothing was added."""

    rows: Array
    """[n, 7]  from the predicted pose to the true one, in the predicted camera's axes: tilt, roll, pan (deg; up,
    clockwise, left), right, forward, up (m), and the true focal length over the predicted one, less 1."""
    t_photo_ns: NDArray[np.int64]
    """[n]  the photos' times."""


@dataclass(frozen=True, slots=True)
class Overscan:
    """Overscan of one camera and where it comes from."""

    total_deg: Sides
    lens_deg: Sides
    prediction_deg: Sides
    hold_deg: Sides
    feather_deg: float
    margin_deg: float
    focus_deg: float = 0.0
    """What blurred content reaches in from beyond the picture."""


def movement(before: Array, after: Array, zoom: float = 0.0) -> Array:
    """Row of `PoseErrors.rows`, [7], of a camera that is at `after` where `before` was expected, [4, 4] each.

    zoom : its focal length over the expected one, less 1.
    """
    out = np.zeros(7)
    out[6] = zoom
    out[:3] = np.degrees(vector_from_rotation(before[:3, :3].T @ after[:3, :3]))
    out[3:6] = before[:3, :3].T @ (after[:3, 3] - before[:3, 3])
    return out


def side_gains(lens: PlanLens, nearest_wall_m: float) -> Array:
    """By how many degrees each column of `PoseErrors.rows` moves the picture's corners beyond its sides, [8, 7]: two
    corners each of left, right, top, bottom. To first order; walls at `nearest_wall_m`, where a step of the pupil
    counts most."""
    left, right, bottom, top = (float(v) for v in pinhole_tangents(lens))
    far_m = max(nearest_wall_m, NEAREST_M)
    step = np.degrees(1.0) / far_m
    out = []
    for x, z in ((left, bottom), (left, top), (right, bottom), (right, top)):
        # A ray (x, 1, z) in camera axes, turned by (tilt, roll, pan) and seen from elsewhere: how its tangent moves.
        across = np.array([x * z, z, -(1.0 + x * x), step, -x * step, 0.0, -np.degrees(1.0) * x])
        out.append(across * np.sign(x) / (1.0 + x * x))
    for x, z in ((left, top), (right, top), (left, bottom), (right, bottom)):
        up = np.array([1.0 + z * z, -x, -x * z, 0.0, -z * step, step, -np.degrees(1.0) * z])
        out.append(up * np.sign(z) / (1.0 + z * z))
    return np.array(out)


def exceeded_deg(gains: Array, rows: Array) -> Array:
    """By how much each row's true picture reaches beyond the predicted one on each side, [n, 4] degrees; negative:
    it ends inside."""
    corners = rows @ gains.T
    return np.asarray(np.maximum(corners[:, 0::2], corners[:, 1::2]))


def covering_deg(gains: Array, rows: Array, share: float = COVERED) -> Sides:
    """What covers that share of the rows, side by side; at least 0."""
    beyond = exceeded_deg(gains, rows)
    rank = min(len(beyond) - 1, ceil(share * (len(beyond) - 1)))
    left, right, top, bottom = np.maximum(np.partition(beyond, rank, axis=0)[rank], 0.0).tolist()
    return left, right, top, bottom


def required_overscan(
    lens: PlanLens,
    /,
    *,
    prediction_deg: Sides,
    hold_deg: Sides,
    soft_edge_deg: float,
    margin_deg: float,
    min_deg: float = 0.0,
    max_deg: float,
    focus_deg: float = 0.0,
) -> Overscan:
    """Overscan per side = lens cover + prediction error + one held frame + feather + focus blur + margin, from
    `min_deg` to `max_deg`."""
    cover = lens_cover_deg(lens)
    left, right, top, bottom = (
        min(max_deg, max(min_deg, c + p + h + soft_edge_deg + focus_deg + margin_deg))
        for c, p, h in zip(cover, prediction_deg, hold_deg, strict=True)
    )
    return Overscan((left, right, top, bottom), cover, prediction_deg, hold_deg, soft_edge_deg, margin_deg, focus_deg)


def cost_of(lens: PlanLens, overscan_deg: Sides) -> float:
    """Pixels drawn for an overscan over those of the picture alone, less 1, at the same density of texels."""
    return _area(overscan_tangents(lens, overscan_deg)) / _area(overscan_tangents(lens, (0.0, 0.0, 0.0, 0.0))) - 1.0


def width_factor(lens: PlanLens, overscan_deg: Sides) -> float:
    """Width of the inner frustum over that of the picture alone."""
    left, right, _, _ = overscan_tangents(lens, overscan_deg)
    bare_left, bare_right, _, _ = overscan_tangents(lens, (0.0, 0.0, 0.0, 0.0))
    return (right - left) / (bare_right - bare_left)


def overscan_px(lens: PlanLens, overscan_deg: Sides, raster_px: tuple[int, int]) -> Sides:
    """Pixels of the inner picture beyond each side, left, right, top, bottom, of a raster that includes them."""
    left, right, bottom, top = overscan_tangents(lens, overscan_deg)
    bare_left, bare_right, bare_bottom, bare_top = overscan_tangents(lens, (0.0, 0.0, 0.0, 0.0))
    across, down = raster_px[0] / (right - left), raster_px[1] / (top - bottom)
    return (
        (bare_left - left) * across,
        (right - bare_right) * across,
        (top - bare_top) * down,
        (bare_bottom - bottom) * down,
    )


def _area(tangents: tuple[float, float, float, float]) -> float:
    left, right, bottom, top = tangents
    return (right - left) * (top - bottom)
