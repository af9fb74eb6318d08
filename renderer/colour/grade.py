"""What a grade does to light: the exact reference in numpy, and the numbers of `shaders/wall/grade.glsl`.

In linear ACEScg: exposure and white are one 3x3, then ASC CDL, contrast about mid grey, lift/gamma/gain, saturation.
Without exponents all of it is one 3x3 and an offset, and only that is computed. Exponents act on the magnitude of
negative light (those of the CDL leave it as it is), so nothing is clipped here and every step has an inverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from renderer.working import AP1, adaptation, planckian_xy, xyz_from_rgb
from stage.grade import NEUTRAL, NEUTRAL_K, ONES, Grade

Array = NDArray[np.float64]

MID_GREY: Final = 0.18
LUMA_709: Final = np.array([0.2126, 0.7152, 0.0722])
"""Weights the CDL's standard names, whatever the primaries."""
LUMA_AP1: Final = xyz_from_rgb(AP1)[1]
"""Luminance of linear ACEScg."""
TINT_DUV: Final = 0.0003
"""What one step of tint is, CIE 1960 uv off the curve of black bodies."""
LEVELS: Final = ("none", "affine", "full")
"""How much of a grade there is to compute: nothing; one 3x3 and an offset; exponents."""
VECTORS: Final = 9
"""How many vec4 a grade is in the shader."""


@dataclass(frozen=True, slots=True)
class GradeNumbers:
    """A grade as the shader computes it: `level` of LEVELS as a number, and [VECTORS, 4] float32."""

    level: int
    vectors: NDArray[np.float32]


def adapted_white(temperature_k: float, tint: float) -> Array:
    """[3, 3]  linear ACEScg with its white brought to another (Bradford), as bright; the identity at neutral."""
    if temperature_k == NEUTRAL_K and tint == 0.0:
        return np.eye(3)
    working = np.array(AP1[3])
    u, v = _uv(working) + _white_uv(temperature_k, tint) - _white_uv(NEUTRAL_K, 0.0)
    scale = 2.0 * u - 8.0 * v + 4.0
    target = np.array([3.0 * u / scale, 2.0 * v / scale])
    xyz = xyz_from_rgb(AP1)
    return np.asarray(np.linalg.solve(xyz, adaptation(working, target) @ xyz))


def saturating(saturation: float, luma: Array) -> Array:
    """[3, 3]  every channel so far from the luma as `saturation` says: 0 grey, 1 as it is."""
    return np.asarray(saturation * np.eye(3) + (1.0 - saturation) * luma)


def graded(light: ArrayLike, grade: Grade) -> Array:
    """Linear ACEScg light, [..., 3], after a grade; of a neutral one exactly the light itself."""
    x = np.asarray(light, dtype=np.float64)
    if grade == NEUTRAL:
        return x
    x = x @ (2.0**grade.exposure_ev * adapted_white(grade.temperature_k, grade.tint)).T
    x = x * np.array(grade.cdl_slope) + np.array(grade.cdl_offset)
    x = np.where(x > 0.0, np.power(np.maximum(x, 0.0), np.array(grade.cdl_power)), x)
    x = x @ saturating(grade.cdl_saturation, LUMA_709).T
    x = MID_GREY * _odd_power(x / MID_GREY, grade.contrast)
    lift, gain = np.array(grade.lift), np.array(grade.gain)
    x = _odd_power(x * (gain - lift) + lift, 1.0 / np.array(grade.gamma))
    return np.asarray(x @ saturating(grade.saturation, LUMA_AP1).T)


@lru_cache(maxsize=256)
def grade_numbers(grade: Grade) -> GradeNumbers:
    """A grade's numbers for the shader; the last ones are kept, for most frames are graded like the one before."""
    out = np.zeros((VECTORS, 4))
    if grade == NEUTRAL:
        return GradeNumbers(0, out.astype(np.float32))
    first = 2.0**grade.exposure_ev * adapted_white(grade.temperature_k, grade.tint)
    first = np.array(grade.cdl_slope)[:, None] * first
    offset = np.array(grade.cdl_offset)
    lift, gain = np.array(grade.lift), np.array(grade.gain)
    last = saturating(grade.saturation, LUMA_AP1)
    level = 2 if grade.cdl_power != ONES or grade.contrast != 1.0 or grade.gamma != ONES else 1
    if level == 1:
        rest = last @ np.diag(gain - lift) @ saturating(grade.cdl_saturation, LUMA_709)
        first, offset = rest @ first, rest @ offset + last @ lift
    out[0:3, :3], out[0:3, 3] = first, offset
    out[3, :3], out[3, 3] = grade.cdl_power, grade.contrast
    # Mid grey is 1 between the two: the contrast is one exponent.
    out[4:7, :3] = saturating(grade.cdl_saturation, LUMA_709) / MID_GREY
    out[4:7, 3] = lift
    out[7, :3], out[7, 3] = MID_GREY * (gain - lift), grade.saturation
    out[8, :3], out[8, 3] = 1.0 / np.array(grade.gamma), float(level)
    return GradeNumbers(level, out.astype(np.float32))


def grade_defines() -> dict[str, str]:
    """The constants of `shaders/wall/grade.glsl`, as GLSL text."""
    r, g, b = (repr(float(weight)) for weight in LUMA_AP1)
    return {"LUMA_AP1": f"vec3({r}, {g}, {b})"}


def _odd_power(x: Array, exponent: float | Array) -> Array:
    return np.asarray(np.sign(x) * np.power(np.abs(x), exponent))


def _uv(xy: ArrayLike) -> Array:
    """CIE 1960 u, v of CIE xy."""
    x, y = np.asarray(xy, dtype=np.float64)
    return np.asarray(np.array([4.0 * x, 6.0 * y]) / (-2.0 * x + 12.0 * y + 3.0))


def _white_uv(temperature_k: float, tint: float) -> Array:
    """CIE 1960 u, v of a temperature's white, so far off the curve of black bodies as the working white and tint are.

    Whites of daylight lie a little to the green side of that curve; so does this one all along it.
    """
    here = _uv(planckian_xy(temperature_k))
    # Even in reciprocal kelvin, where the curve is even too; one-sided at the ends of what is known of it.
    colder = 1.0 / max(1e6 / 25000.0, 1e6 / temperature_k - 1.0) * 1e6
    warmer = 1.0 / min(1e6 / 1667.0, 1e6 / temperature_k + 1.0) * 1e6
    along = _uv(planckian_xy(warmer)) - _uv(planckian_xy(colder))
    along = along / np.linalg.norm(along)
    # Across the curve, to the green side: up in v where the curve goes to warmer, greater u.
    across = np.array([-along[1], along[0]])
    return np.asarray(here + (_DAYLIGHT_DUV - tint * TINT_DUV) * across)


_DAYLIGHT_DUV: Final = float(np.hypot(*(_uv(AP1[3]) - _uv(planckian_xy(NEUTRAL_K)))))
