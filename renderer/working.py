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
    adapt = adaptation(source[3], target[3])
    return np.asarray(np.linalg.solve(xyz_from_rgb(target), adapt @ xyz_from_rgb(source)))


def adaptation(source_xy: ArrayLike, target_xy: ArrayLike) -> NDArray[np.float64]:
    """[3, 3]  CIE XYZ under another white (Bradford): the white `source_xy` comes to `target_xy`, as bright."""
    cone_source, cone_target = _BRADFORD @ _xyz(source_xy), _BRADFORD @ _xyz(target_xy)
    return np.asarray(np.linalg.solve(_BRADFORD, (cone_target / cone_source)[:, None] * _BRADFORD))


def planckian_xy(temperature_k: float) -> tuple[float, float]:
    """CIE xy of a black body (Kim et al. 2002; 1,667 to 25,000 K)."""
    t = 1000.0 / temperature_k
    if temperature_k <= 4000.0:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
    if temperature_k <= 2222.0:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif temperature_k <= 4000.0:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    return x, y


AP1_FROM_REC709: Final[NDArray[np.float64]] = rgb_from_rgb(AP1, REC709)


def linear_from_srgb(code: NDArray[np.floating]) -> NDArray[np.float64]:
    """Linear light 0..1 of sRGB signal 0..1 (the piecewise curve)."""
    v = np.asarray(code, dtype=np.float64)
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
