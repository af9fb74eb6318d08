"""The OpenLensIO lens model: ideal pinhole, distortion on the sensor, entrance pupil, overscan cover.

Image coordinates are millimetres on the (desqueezed) sensor, origin at its centre, x right, **y down**; `F` is the
pinhole focal length. U maps a distorted image point to the undistorted one (SMPTE RIS-OSVP OpenLensIO 1.0.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stage.errors import Problem, StageError
from stage.plan import PlanLens

Array = NDArray[np.float64]
D_U = "Brown-Conrady D-U"
U_D = "Brown-Conrady U-D"


class LensError(StageError):
    """A lens model that cannot be evaluated where it is needed."""

    code = "stage.lens"


def frame_size_mm(lens: PlanLens) -> tuple[float, float]:
    """Width and height of the picture on the desqueezed sensor, mm."""
    return lens.sensor_width_mm * lens.squeeze, lens.sensor_height_mm


def has_distortion(lens: PlanLens) -> bool:
    """Whether the lens bends straight lines at all."""
    return any(lens.radial) or any(lens.tangential)


def distortion_fault(radial: Sequence[float], reach_mm: float) -> str:
    """Why radial coefficients cannot be a lens' within `reach_mm` of the distortion's centre, in words; "" if they can.

    A picture folds where the radius stops growing, tears where a denominator passes zero, and no lens of a film camera
    halves or doubles its picture's edge: then unit or order of the coefficients is another.
    """
    k = [*(float(v) for v in radial), *([0.0] * (6 - len(radial)))]
    if not all(isfinite(v) for v in k):
        return "a coefficient is not a finite number"
    before = 0.0
    for step in range(1, 13):
        r = reach_mm * step / 12.0
        r2 = r * r
        below = 1.0 + r2 * (k[1] + r2 * (k[3] + r2 * k[5]))
        if below < 0.05:
            return f"the denominator reaches {below:.3g} at {r:.3g} mm"
        bent = r * (1.0 + r2 * (k[0] + r2 * (k[2] + r2 * k[4]))) / below
        if bent <= before:
            return f"the picture folds within {r:.3g} mm of its centre"
        before = bent
    return (
        "" if 0.5 < before / reach_mm < 2.0 else f"the edge of the picture moves by a factor of {before / reach_mm:.3g}"
    )


def reach_mm(lens: PlanLens) -> float:
    """From the distortion's centre to the farthest corner of the picture, mm."""
    w, h = frame_size_mm(lens)
    x, y = np.abs(np.add(lens.distortion_offset_mm, lens.projection_offset_mm))
    return float(np.hypot(w / 2 + x, h / 2 + y))


def overscan_ratio(lens: PlanLens) -> float:
    """How much wider a pinhole picture must be, about the sensor's middle, to hold all that the lens sees (OpenLensIO's
    overscan; below 1 for a pincushion, where a sender writes 1)."""
    w, h = frame_size_mm(lens)
    reach = np.abs(undistort(lens, frame_outline_mm(lens)))
    return float(2.0 * max(reach[:, 0].max(), w / h * reach[:, 1].max()) / w)


def _polynomial(lens: PlanLens, points_mm: Array) -> Array:
    k = np.zeros(6)
    k[: len(lens.radial)] = lens.radial
    p = np.zeros(2)
    p[: len(lens.tangential)] = lens.tangential
    x, y = points_mm[..., 0], points_mm[..., 1]
    r2 = x * x + y * y
    ratio = (1 + r2 * (k[0] + r2 * (k[2] + r2 * k[4]))) / (1 + r2 * (k[1] + r2 * (k[3] + r2 * k[5])))
    return np.stack(
        [
            x * ratio + 2 * p[0] * x * y + p[1] * (r2 + 2 * x * x),
            y * ratio + 2 * p[1] * x * y + p[0] * (r2 + 2 * y * y),
        ],
        axis=-1,
    )


def _solve(lens: PlanLens, target_mm: Array) -> Array:
    """Point whose polynomial is `target_mm`, by Newton with a numeric Jacobian, started at the target."""
    x = np.array(target_mm, dtype=np.float64)
    step = 1e-4
    right, down = np.array([step, 0.0]), np.array([0.0, step])
    for _ in range(20):
        error = _polynomial(lens, x) - target_mm
        if float(np.max(np.abs(error), initial=0.0)) < 1e-12:
            break
        dx = (_polynomial(lens, x + right) - _polynomial(lens, x - right)) / (2 * step)
        dy = (_polynomial(lens, x + down) - _polynomial(lens, x - down)) / (2 * step)
        det = dx[..., 0] * dy[..., 1] - dy[..., 0] * dx[..., 1]
        x[..., 0] -= (error[..., 0] * dy[..., 1] - error[..., 1] * dy[..., 0]) / det
        x[..., 1] -= (error[..., 1] * dx[..., 0] - error[..., 0] * dx[..., 1]) / det
    worst = float(np.max(np.abs(_polynomial(lens, x) - target_mm), initial=0.0))
    if not worst < 1e-6:
        raise LensError(
            Problem(
                "stage.lens_fold",
                "lens/radial",
                f"the distortion cannot be inverted over the frame (residual {worst:.3g} mm)",
                list(lens.radial),
                "check the coefficients' units and order (OpenLensIO: odd numerator, even denominator, mm^-2n)",
            )
        )
    return x


def undistort(lens: PlanLens, points_mm: ArrayLike) -> Array:
    """U with both offsets: image points as photographed, [..., 2] mm, to where a pinhole would put them."""
    d = np.asarray(points_mm, dtype=np.float64)
    if not has_distortion(lens):
        return d.copy()
    offset = np.add(lens.distortion_offset_mm, lens.projection_offset_mm)
    shifted = d - offset
    return np.asarray((_polynomial(lens, shifted) if lens.model != U_D else _solve(lens, shifted)) + offset)


def distort(lens: PlanLens, points_mm: ArrayLike) -> Array:
    """Inverse of `undistort`: pinhole image points, [..., 2] mm, to where the real lens puts them."""
    u = np.asarray(points_mm, dtype=np.float64)
    if not has_distortion(lens):
        return u.copy()
    offset = np.add(lens.distortion_offset_mm, lens.projection_offset_mm)
    shifted = u - offset
    return np.asarray((_solve(lens, shifted) if lens.model != U_D else _polynomial(lens, shifted)) + offset)


def tangents_of_image(lens: PlanLens, points_mm: ArrayLike) -> Array:
    """Direction of photographed image points, [..., 2] mm, as [x/y, z/y] in camera axes (right, up over forward)."""
    u = undistort(lens, points_mm) - np.asarray(lens.projection_offset_mm)
    return np.asarray(u * (1.0, -1.0) / lens.focal_length_mm)


def image_of_tangents(lens: PlanLens, tangents: ArrayLike) -> Array:
    """Photographed image points, [..., 2] mm, of directions [x/y, z/y] in camera axes."""
    t = np.asarray(tangents, dtype=np.float64) * (lens.focal_length_mm, -lens.focal_length_mm)
    return distort(lens, t + np.asarray(lens.projection_offset_mm))


def frame_outline_mm(lens: PlanLens, per_side: int = 33) -> Array:
    """Points along the edge of the photographed frame, [4 * per_side, 2] mm."""
    w, h = frame_size_mm(lens)
    t = np.linspace(-0.5, 0.5, per_side)
    one = np.full(per_side, 0.5)
    sides = [np.stack([t, -one], -1), np.stack([t, one], -1), np.stack([-one, t], -1), np.stack([one, t], -1)]
    return np.concatenate(sides) * (w, h)


def pinhole_tangents(lens: PlanLens) -> tuple[float, float, float, float]:
    """Left, right, bottom, top tangents of the frame of the ideal pinhole (no distortion): right and top positive."""
    w, h = frame_size_mm(lens)
    f = lens.focal_length_mm
    dx, dy = lens.projection_offset_mm
    return (-w / 2 - dx) / f, (w / 2 - dx) / f, (-h / 2 + dy) / f, (h / 2 + dy) / f


def lens_cover_deg(lens: PlanLens) -> tuple[float, float, float, float]:
    """Left, right, top, bottom degrees by which the distorted frame reaches beyond the pinhole frame (>= 0).

    The wall is drawn undistorted; it must hold everything the real lens sees.
    """
    if not has_distortion(lens):
        return 0.0, 0.0, 0.0, 0.0
    return _cover_deg(
        lens.focal_length_mm,
        lens.sensor_width_mm,
        lens.sensor_height_mm,
        lens.squeeze,
        tuple(lens.radial),
        tuple(lens.tangential),
        lens.model,
        tuple(lens.distortion_offset_mm),
        tuple(lens.projection_offset_mm),
    )


@lru_cache(maxsize=64)
def _cover_deg(
    focal_length_mm: float,
    sensor_width_mm: float,
    sensor_height_mm: float,
    squeeze: float,
    radial: tuple[float, ...],
    tangential: tuple[float, ...],
    model: str,
    distortion_offset_mm: tuple[float, float],
    projection_offset_mm: tuple[float, float],
) -> tuple[float, float, float, float]:
    # Asked for in every frame, and the same until somebody zooms: a third of what a plan costs.
    lens = PlanLens(
        focal_length_mm=focal_length_mm,
        sensor_width_mm=sensor_width_mm,
        sensor_height_mm=sensor_height_mm,
        squeeze=squeeze,
        radial=list(radial),
        tangential=list(tangential),
        model=model,
        distortion_offset_mm=distortion_offset_mm,
        projection_offset_mm=projection_offset_mm,
    )
    left, right, bottom, top = pinhole_tangents(lens)
    seen = tangents_of_image(lens, frame_outline_mm(lens))
    lo, hi = seen.min(axis=0), seen.max(axis=0)

    def beyond(edge: float, reach: float) -> float:
        return max(0.0, float(np.degrees(np.arctan(reach) - np.arctan(edge))))

    return beyond(-left, -lo[0]), beyond(right, hi[0]), beyond(top, hi[1]), beyond(-bottom, -lo[1])
