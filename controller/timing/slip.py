"""What a camera's photo is wrong by, worked out for every frame: pose error, slip in pixels, and whether it is covered.

A wall point shows what lies behind it as seen from the predicted pupil; the true camera photographs that point from
where it truly is. For content far behind the wall the two differ by the parallax of the pupil's error at the wall's
distance: that is the slip, and content nearer the wall slips less. A camera that turned otherwise than predicted
about its pupil photographs the same right picture (DESIGN section 7): only the edge of the inner picture may come into
view, which is what `covered` tells.

Slips are in pixels of a sensor 3840 wide, by the pinhole of the lens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from controller.timing.recording import Bool, Int, Photos
from stage.compiled import CompiledStage
from stage.frames import Array
from stage.lens import frame_outline_mm, frame_size_mm, pinhole_tangents, tangents_of_image
from stage.plan import PlanLens

REPORT_WIDTH_PX: Final = 3840
MOST_POINTS: Final = 192
OUTLINE_PER_SIDE: Final = 4
CHUNK: Final = 256
NEAR_M: Final = 0.05
OFF_WALL: Final = 0.15
"""Where no wall point lies within this tangent of the picture's edge, there is no wall to be covered."""


class WallPoints:
    """Points spread evenly over the walls a camera's inner picture shows on."""

    def __init__(self, stage: CompiledStage, walls: tuple[str, ...]) -> None:
        points: list[Array] = []
        normals: list[Array] = []
        for cabinet in stage.cabinets:
            if cabinet.wall in walls:
                lower_left, lower_right, upper_left, upper_right = cabinet.corners_m
                middle = (lower_left + lower_right + upper_left + upper_right) / 4.0
                points += [middle, lower_left, upper_right]
                normals += [cabinet.normal] * 3
        for tile in stage.meshes:
            if tile.wall in walls:
                points += list(tile.positions_m)
                normals += list(tile.normals)
        spread = np.linspace(0, max(0, len(points) - 1), MOST_POINTS if points else 0)
        at = np.unique(spread.astype(np.int64))
        self.points_m = np.array(points).reshape(-1, 3)[at]
        self.normals = np.array(normals).reshape(-1, 3)[at]


@dataclass(frozen=True, slots=True)
class Measured:
    """One row a photo; nan where it cannot be told (no wall in view)."""

    error_mm: Array
    """Between the predicted and the true pupil."""
    error_deg: Array
    """Angle between the predicted and the true orientation."""
    slip_px: Array
    """Mean over the wall points in the photo."""
    slip_max_px: Array
    covered: Array
    """1.0: the whole photo lies on the inner picture at full strength; else the share of its edge that does."""

    def only(self, mask: Bool) -> Measured:
        """Some of the photos."""
        return Measured(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))


def measure(photos: Photos, lenses: list[PlanLens], walls: WallPoints) -> Measured:
    """Every photo's figures."""
    count = len(photos.t_photo_ns)
    out = Measured(*(np.full(count, np.nan) for _ in Measured.__dataclass_fields__))
    for index in np.unique(photos.lens):
        rows = np.flatnonzero(photos.lens == index)
        for start in range(0, len(rows), CHUNK):
            _measure(photos, rows[start : start + CHUNK], lenses[int(index)], walls, out)
    return out


def _measure(photos: Photos, rows: Int, lens: PlanLens, walls: WallPoints, out: Measured) -> None:
    true_turn, wrong_turn = photos.true[rows, :3, :3], photos.predicted[rows, :3, :3]
    true_pupil = photos.true[rows, :3, 3] + lens.entrance_pupil_m * true_turn[:, :, 1]
    wrong_pupil = photos.predicted_pupil_m[rows]
    out.error_mm[rows] = np.linalg.norm(wrong_pupil - true_pupil, axis=1) * 1000.0
    between = np.einsum("nij,nik->njk", wrong_turn, true_turn)
    skew = between - between.transpose(0, 2, 1)
    sine = np.sqrt(skew[:, 0, 1] ** 2 + skew[:, 0, 2] ** 2 + skew[:, 1, 2] ** 2) / 2.0
    cosine = (np.trace(between, axis1=1, axis2=2) - 1.0) / 2.0
    out.error_deg[rows] = np.degrees(np.arctan2(sine, cosine))
    points = walls.points_m
    if not len(points):
        return
    width_mm, _ = frame_size_mm(lens)
    px_per_tangent = lens.focal_length_mm / width_mm * REPORT_WIDTH_PX
    # Wall points in true camera axes, [n, m, 3]: right, forward, up.
    seen = (points[None] - true_pupil[:, None]) @ true_turn
    distance_m = np.linalg.norm(seen, axis=2)
    facing = np.einsum("mi,nmi->nm", walls.normals, true_pupil[:, None] - points[None]) > 0.0
    front = facing & (seen[:, :, 1] > NEAR_M)
    depth = np.where(front, seen[:, :, 1], 1.0)
    across, up = seen[:, :, 0] / depth, seen[:, :, 2] / depth
    left, right, bottom, top = pinhole_tangents(lens)
    inside = front & (across >= left) & (across <= right) & (up >= bottom) & (up <= top)
    # The far point it shows lies in the direction the predicted pupil sees the wall point in.
    shown = (points[None] - wrong_pupil[:, None]) @ true_turn
    ahead = shown[:, :, 1] > NEAR_M
    shown_depth = np.where(ahead, shown[:, :, 1], 1.0)
    slip = np.hypot(shown[:, :, 0] / shown_depth - across, shown[:, :, 2] / shown_depth - up) * px_per_tangent
    # More than the whole photo cannot be beside its place.
    slip = np.where(ahead, np.minimum(slip, REPORT_WIDTH_PX), REPORT_WIDTH_PX)
    slip = np.where(inside, slip, np.nan)
    some = inside.any(axis=1)
    out.slip_px[rows[some]] = np.nanmean(slip[some], axis=1)
    out.slip_max_px[rows[some]] = np.nanmax(slip[some], axis=1)
    _cover(photos, rows, lens, front, across, up, distance_m, true_turn, true_pupil, out)


def _cover(
    photos: Photos,
    rows: Int,
    lens: PlanLens,
    front: Bool,
    across: Array,
    up: Array,
    distance_m: Array,
    true_turn: Array,
    true_pupil: Array,
    out: Measured,
) -> None:
    """Whether the edge of the photo, put on the wall, lies inside the inner picture where it has full strength."""
    edge = tangents_of_image(lens, frame_outline_mm(lens, per_side=OUTLINE_PER_SIDE))
    far = np.where(front, 0.0, np.inf)
    apart = (across[:, None, :] - edge[None, :, None, 0]) ** 2 + (up[:, None, :] - edge[None, :, None, 1]) ** 2
    apart += far[:, None, :]
    nearest = np.argmin(apart, axis=2)
    on_wall = np.take_along_axis(apart, nearest[:, :, None], axis=2)[:, :, 0] < OFF_WALL**2
    reach_m = np.take_along_axis(distance_m, nearest, axis=1)
    ray = np.stack([edge[:, 0], np.ones(len(edge)), edge[:, 1]], axis=1)
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    on_stage = true_pupil[:, None] + reach_m[:, :, None] * np.einsum("nij,kj->nki", true_turn, ray)
    wrong_turn, wrong_pupil = photos.predicted[rows, :3, :3], photos.predicted_pupil_m[rows]
    seen = (on_stage - wrong_pupil[:, None]) @ wrong_turn
    forward = np.maximum(seen[:, :, 1], 1e-9)
    pan, tilt = np.arctan(seen[:, :, 0] / forward), np.arctan(seen[:, :, 2] / forward)
    left, right, bottom, top = np.arctan(pinhole_tangents(lens))
    wide = np.radians(photos.overscan_deg[rows] - photos.soft_edge_deg[rows, None])
    good = (seen[:, :, 1] > 0.0) & (pan >= (left - wide[:, 0])[:, None]) & (pan <= (right + wide[:, 1])[:, None])
    good &= (tilt <= (top + wide[:, 2])[:, None]) & (tilt >= (bottom - wide[:, 3])[:, None])
    counted = on_wall.sum(axis=1)
    with np.errstate(invalid="ignore"):
        out.covered[rows] = np.where(counted > 0, (good & on_wall).sum(axis=1) / counted, np.nan)
