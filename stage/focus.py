"""Lens-aware focus: how blurred a thin lens shows a point, and what a wall must add so that its content looks as far
away as it is.

All in tangents from the entrance pupil (width over distance), where blur is the same all over the picture: a point at
distance z fills a disc of `aperture * |1/focus - 1/z|` across. The LED wall is blurred by the camera itself, as a thing
at the wall's distance; independent blurs add as squares, so the wall's picture needs the root of the difference.
Distances are along the optical axis, from the pupil.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stage.plan import PlanLens

Array = NDArray[np.float64]

NEAREST_FOCUS_M = 0.05


def aperture_m(lens: PlanLens) -> float | None:
    """Width of the entrance pupil; None when the f-number is unknown."""
    if lens.f_stop is None or lens.f_stop <= 0.0:
        return None
    return lens.focal_length_mm / lens.f_stop / 1000.0


def focus_from_pupil_m(lens: PlanLens) -> float | None:
    """Distance of the plane in focus from the pupil (`focus_distance_m` counts from the sensor); None when unknown."""
    if lens.focus_distance_m is None or lens.focus_distance_m <= 0.0:
        return None
    return max(NEAREST_FOCUS_M, lens.focus_distance_m - lens.entrance_pupil_m)


def disc_tangent(lens: PlanLens, distance_m: ArrayLike) -> Array:
    """Width of the disc, in tangents, that points at `distance_m` (infinity too) fill; 0 without focus data."""
    aperture, focus = aperture_m(lens), focus_from_pupil_m(lens)
    z = np.asarray(distance_m, dtype=np.float64)
    if aperture is None or focus is None:
        return np.zeros_like(z)
    return np.asarray(aperture * np.abs(1.0 / focus - 1.0 / z))


def added_tangent(lens: PlanLens, content_m: ArrayLike, wall_m: ArrayLike) -> Array:
    """Width of the disc, in tangents, that a wall at `wall_m` must add to content that stands at `content_m`."""
    own, wall = disc_tangent(lens, content_m), disc_tangent(lens, wall_m)
    return np.asarray(np.sqrt(np.maximum(0.0, own * own - wall * wall)))


def reach_deg(lens: PlanLens, most_deg: float) -> float:
    """Radius of the widest disc a wall may add, in degrees: that of the sky, and of things nearer than half the focus
    distance no more; at most `most_deg`. 0 without focus data: then nothing is blurred, and nothing is covered."""
    if most_deg <= 0.0:
        return 0.0
    return min(most_deg, float(np.degrees(np.arctan(disc_tangent(lens, np.inf) / 2.0))))
