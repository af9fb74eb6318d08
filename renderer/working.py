"""The working space's doors: what linear light of other primaries becomes in ACEScg (AP1), exactly once."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Chromaticities = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""CIE xy of red, green, blue and white."""

REC709: Final[Chromaticities] = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
AP1: Final[Chromaticities] = ((0.713, 0.293), (0.165, 0.830), (0.128, 0.044), (0.32168, 0.33767))

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def _xyz(xy: ArrayLike) -> NDArray[np.float64]:
    x, y = np.asarray(xy, dtype=np.float64)
    return np.array([x / y, 1.0, (1.0 - x - y) / y])


def xyz_from_rgb(space: Chromaticities) -> NDArray[np.float64]:
    """[3, 3]  CIE XYZ (white at Y = 1) of linear RGB with the given primaries and white."""
    columns = np.stack([_xyz(xy) for xy in space[:3]], axis=1)
    return np.asarray(columns * np.linalg.solve(columns, _xyz(space[3])))


def rgb_from_rgb(target: Chromaticities, source: Chromaticities) -> NDArray[np.float64]:
    """[3, 3]  linear RGB of `target` from linear RGB of `source`; white goes to white (Bradford)."""
    cone_source, cone_target = _BRADFORD @ _xyz(source[3]), _BRADFORD @ _xyz(target[3])
    adapt = np.linalg.solve(_BRADFORD, (cone_target / cone_source)[:, None] * _BRADFORD)
    return np.asarray(np.linalg.solve(xyz_from_rgb(target), adapt @ xyz_from_rgb(source)))


AP1_FROM_REC709: Final[NDArray[np.float64]] = rgb_from_rgb(AP1, REC709)


def linear_from_srgb(code: NDArray[np.floating]) -> NDArray[np.float64]:
    """Linear light 0..1 of sRGB signal 0..1 (the piecewise curve)."""
    v = np.asarray(code, dtype=np.float64)
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
