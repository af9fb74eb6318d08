"""The colour of a light by its temperature and tint, as the walls really show it: linear AP1 whose luminance is 1."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from renderer.colour.primaries import CHROMATICITIES, ap1_from_target
from renderer.working import planckian_xy, xyz_from_rgb

Array = NDArray[np.float64]

NEUTRAL_K: Final = 6504.0
"""The white of every canvas (D65)."""
TINT_DUV: Final = 0.02
"""Distance from the curve of white lights in CIE 1960 uv that a tint of 1 stands for."""
_DAYLIGHT_FROM_K, _BLACK_BODY_TO_K = 5000.0, 4000.0


def white_xy(temperature_k: float) -> Array:
    """CIE xy, [2], of a white light: a black body up to 4,000 K, CIE daylight from 5,000 K, mixed between by mireds."""
    if temperature_k <= _BLACK_BODY_TO_K:
        return np.array(planckian_xy(temperature_k))
    if temperature_k >= _DAYLIGHT_FROM_K:
        return _daylight_xy(temperature_k)
    warm, cool = 1.0 / _BLACK_BODY_TO_K, 1.0 / _DAYLIGHT_FROM_K
    share = (warm - 1.0 / temperature_k) / (warm - cool)
    black, day = np.array(planckian_xy(temperature_k)), _daylight_xy(temperature_k)
    return np.asarray(black + (day - black) * share)


def light_colour(temperature_k: float, tint: float = 0.0) -> Array:
    """Linear AP1, [3], of a light of luminance 1; exactly 1, 1, 1 at `NEUTRAL_K` without tint.

    tint : + greener, - more magenta, 1 is `TINT_DUV` away from the curve of white lights. Colours that Rec.2020 does
    not reach are cut to it.
    """
    neutral = _rec2020(NEUTRAL_K, 0.0)
    rgb = np.maximum(_rec2020(temperature_k, tint) / neutral, 0.0)
    rgb /= _luminance() @ rgb
    return np.asarray(ap1_from_target("rec2020") @ rgb)


def _rec2020(temperature_k: float, tint: float) -> Array:
    x, y = white_xy(temperature_k)
    if tint:
        # Along the normal of the curve, in the diagram isotherms are straight in.
        near = _uv(white_xy(temperature_k * 1.001)) - _uv(white_xy(temperature_k / 1.001))
        normal = np.array([near[1], -near[0]]) / np.hypot(*near)
        normal *= np.sign(normal[1])
        u, v = _uv(np.array([x, y])) + normal * tint * TINT_DUV
        x, y = 3.0 * u / (2.0 * u - 8.0 * v + 4.0), 2.0 * v / (2.0 * u - 8.0 * v + 4.0)
    xyz = np.array([x / y, 1.0, (1.0 - x - y) / y])
    return np.asarray(np.linalg.solve(xyz_from_rgb(CHROMATICITIES["rec2020"]), xyz))


@cache
def _luminance() -> Array:
    return np.asarray(xyz_from_rgb(CHROMATICITIES["rec2020"])[1])


def _daylight_xy(temperature_k: float) -> Array:
    t = 1000.0 / temperature_k
    if temperature_k <= 7000.0:
        x = -4.6070 * t**3 + 2.9678 * t**2 + 0.09911 * t + 0.244063
    else:
        x = -2.0064 * t**3 + 1.9018 * t**2 + 0.24748 * t + 0.237040
    return np.array([x, -3.0 * x * x + 2.870 * x - 0.275])


def _uv(xy: Array) -> Array:
    x, y = xy
    below = -2.0 * x + 12.0 * y + 3.0
    return np.asarray(np.array([4.0 * x, 6.0 * y]) / below)
