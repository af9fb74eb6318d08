"""Focal lengths from what trackers say instead of millimetres: a field of view, or pixels."""

from __future__ import annotations

from math import atan, pi, radians, tan

FOV_DEG = (0.1, 175.0)
"""Beyond it a field of view is none."""


def focal_length_from_fov(width_mm: float, fov_deg: float) -> float | None:
    """Millimetres, of a picture `width_mm` wide that spans `fov_deg`; None: no field of view."""
    if not FOV_DEG[0] <= fov_deg <= FOV_DEG[1]:
        return None
    return width_mm / (2.0 * tan(radians(fov_deg) / 2.0))


def fov_from_focal_length(width_mm: float, focal_length_mm: float) -> float:
    """Degrees that a picture `width_mm` wide spans."""
    return 360.0 / pi * atan(width_mm / (2.0 * focal_length_mm))
