"""Primaries: 3x3 transforms between linear ACEScg (AP1, ACES white) and the primaries walls and textures use."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Space = Literal["ap1", "rec709", "p3d65", "rec2020"]

CHROMATICITIES: Final[dict[Space, tuple[tuple[float, float], ...]]] = {
    "ap1": ((0.713, 0.293), (0.165, 0.830), (0.128, 0.044), (0.32168, 0.33767)),
    "rec709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), (0.3127, 0.3290)),
    "p3d65": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),
    "rec2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
}
"""CIE x, y of red, green, blue and white."""

_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def _xyz(xy: tuple[float, float]) -> Array:
    x, y = xy
    return np.array([x / y, 1.0, (1.0 - x - y) / y])


def xyz_from(space: Space) -> Array:
    """[3, 3]  XYZ (white at Y = 1) from linear RGB of `space`."""
    red, green, blue, white = CHROMATICITIES[space]
    primaries = np.stack([_xyz(red), _xyz(green), _xyz(blue)], axis=1)
    return np.asarray(primaries * np.linalg.solve(primaries, _xyz(white)))


def _adapted(source: Space, target: Space) -> Array:
    """[3, 3]  Bradford adaptation of XYZ from one white to the other."""
    ratio = (_BRADFORD @ _xyz(CHROMATICITIES[target][3])) / (_BRADFORD @ _xyz(CHROMATICITIES[source][3]))
    return np.asarray(np.linalg.solve(_BRADFORD, ratio[:, None] * _BRADFORD))


def rgb_from_rgb(target: Space, source: Space, /) -> Array:
    """[3, 3]  linear RGB of `target` from linear RGB of `source`; white maps to white (Bradford)."""
    return np.asarray(np.linalg.solve(xyz_from(target), _adapted(source, target) @ xyz_from(source)))


def convert(colours: ArrayLike, /, *, target: Space, source: Space) -> Array:
    """Colours, [..., 3], linear RGB of `source`, in linear RGB of `target`."""
    return np.asarray(np.asarray(colours, dtype=np.float64) @ rgb_from_rgb(target, source).T)
