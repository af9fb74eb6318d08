"""Grades as numbers: each step against its own formula, ASC CDL against OpenColorIO, whites, inverses, blends."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer.colour.grade import LUMA_AP1, MID_GREY, VECTORS, adapted_white, grade_numbers, graded, saturating
from renderer.working import AP1, planckian_xy, xyz_from_rgb
from stage.frames import Array
from stage.grade import NEUTRAL, NEUTRAL_K, Grade, blended, stacked

LIGHT = np.array(
    [[0.0, 0.0, 0.0], [0.18, 0.18, 0.18], [1.0, 1.0, 1.0], [3.0, 0.2, 0.01], [0.02, 12.0, 0.7], [50.0, 40.0, 30.0]]
)

factor = st.floats(0.1, 4.0)
shift = st.floats(-0.4, 0.4)
grades = st.builds(
    Grade,
    exposure_ev=st.floats(-6.0, 6.0),
    temperature_k=st.floats(2000.0, 20000.0),
    tint=st.floats(-80.0, 80.0),
    cdl_slope=st.tuples(factor, factor, factor),
    cdl_offset=st.tuples(shift, shift, shift),
    cdl_power=st.tuples(factor, factor, factor),
    cdl_saturation=st.floats(0.0, 2.0),
    contrast=st.floats(0.3, 3.0),
    lift=st.tuples(shift, shift, shift),
    gamma=st.tuples(factor, factor, factor),
    gain=st.tuples(factor, factor, factor),
    saturation=st.floats(0.0, 2.0),
)


def as_the_shader(light: Array, grade: Grade) -> Array:
    """What `shaders/wall/grade.glsl` does with the numbers it is given, in float64."""
    numbers = grade_numbers(grade)
    g = numbers.vectors.astype(np.float64)
    if numbers.level == 0:
        return light
    x = light @ g[0:3, :3].T + g[0:3, 3]
    if numbers.level == 1:
        return x
    x = np.where(x > 0.0, np.maximum(x, 0.0) ** g[3, :3], x)
    x = x @ g[4:7, :3].T
    x = np.sign(x) * np.abs(x) ** g[3, 3]
    x = x * g[7, :3] + g[4:7, 3]
    x = np.sign(x) * np.abs(x) ** g[8, :3]
    grey = (x @ LUMA_AP1)[..., None]
    return np.asarray(grey + g[7, 3] * (x - grey))


def test_neutral_is_nothing_at_all() -> None:
    assert graded(LIGHT, Grade()) is not None
    assert np.array_equal(graded(LIGHT, NEUTRAL), LIGHT)
    assert grade_numbers(NEUTRAL).level == 0
    assert msgspec.json.encode(NEUTRAL) == b"{}"


@pytest.mark.parametrize(
    ("fields", "formula"),
    [
        ({"exposure_ev": -1.5}, lambda x: x * 2.0**-1.5),
        ({"contrast": 1.4}, lambda x: MID_GREY * (x / MID_GREY) ** 1.4),
        ({"gain": (1.5, 1.0, 0.5)}, lambda x: x * [1.5, 1.0, 0.5]),
        ({"lift": (0.1, 0.0, -0.05)}, lambda x: x + np.array([0.1, 0.0, -0.05]) * (1.0 - x)),
        ({"gamma": (2.2, 1.0, 0.5)}, lambda x: x ** (1.0 / np.array([2.2, 1.0, 0.5]))),
        ({"saturation": 0.0}, lambda x: np.repeat((x @ LUMA_AP1)[:, None], 3, axis=1)),
        ({"saturation": 1.6}, lambda x: (x @ LUMA_AP1)[:, None] + 1.6 * (x - (x @ LUMA_AP1)[:, None])),
        ({"cdl_saturation": 0.3}, lambda x: (x @ LUMA_709)[:, None] + 0.3 * (x - (x @ LUMA_709)[:, None])),
    ],
)
def test_each_value_is_its_formula(fields: dict[str, Any], formula: Any) -> None:
    light = np.maximum(LIGHT, 0.0)
    expected = formula(light)
    # Where lift goes below black, gamma and contrast would act on magnitudes: not in these.
    assert graded(light, Grade(**fields)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


LUMA_709 = np.array([0.2126, 0.7152, 0.0722])


def test_mid_grey_stays_under_contrast_and_white_under_saturation() -> None:
    grey = np.full(3, MID_GREY)
    for contrast in (0.3, 1.7, 3.0):
        assert graded(grey, Grade(contrast=contrast)) == pytest.approx(grey, rel=1e-12)
    assert graded(np.ones(3), Grade(saturation=2.5, cdl_saturation=0.2)) == pytest.approx(np.ones(3), rel=1e-12)
    assert pytest.approx([0.27222872, 0.67408177, 0.05368952], abs=1e-7) == LUMA_AP1


def drawn(seed: int) -> tuple[Grade, Array]:
    """A grade and some light by chance, always the same by the seed: powers are steep where anything nears zero, so
    that examples searched for would find what no number of 32 bits can hold."""
    chance = np.random.default_rng(seed)

    def three(low: float, high: float) -> tuple[float, float, float]:
        a, b, c = chance.uniform(low, high, 3)
        return float(a), float(b), float(c)

    grade = Grade(
        exposure_ev=float(chance.uniform(-4, 4)), temperature_k=float(chance.uniform(2000, 20000)),
        tint=float(chance.uniform(-80, 80)), cdl_slope=three(0.3, 3), cdl_offset=three(-0.3, 0.3),
        cdl_power=three(0.4, 2.5), cdl_saturation=float(chance.uniform(0.4, 2)),
        contrast=float(chance.uniform(0.5, 2)), lift=three(-0.2, 0.2), gamma=three(0.4, 2.5), gain=three(0.5, 2),
        saturation=float(chance.uniform(0.4, 2)),
    )  # fmt: skip
    return grade, chance.uniform(0.0, 30.0, (50, 3)) ** 2 / 30.0


@pytest.mark.parametrize("seed", range(8))
def test_the_cdl_is_opencolorios(seed: int) -> None:
    ocio = pytest.importorskip("PyOpenColorIO")
    grade, light = drawn(seed)
    cdl = ocio.CDLTransform(
        slope=list(grade.cdl_slope), offset=list(grade.cdl_offset), power=list(grade.cdl_power),
        sat=grade.cdl_saturation,
    )  # fmt: skip
    cdl.setStyle(ocio.CDL_NO_CLAMP)
    processor = ocio.Config.CreateRaw().getProcessor(cdl).getOptimizedCPUProcessor(ocio.OPTIMIZATION_LOSSLESS)
    theirs = (light - 0.1).astype(np.float32)
    assert (theirs < 0.0).any()
    ours = Grade(
        cdl_slope=grade.cdl_slope, cdl_offset=grade.cdl_offset, cdl_power=grade.cdl_power,
        cdl_saturation=grade.cdl_saturation,
    )  # fmt: skip
    found = graded(theirs.astype(np.float64), ours)
    processor.applyRGB(theirs)
    # It works in float32.
    assert np.abs(found - theirs).max() <= 1e-5 * np.abs(found).max()


def test_whites() -> None:
    assert np.array_equal(adapted_white(NEUTRAL_K, 0.0), np.eye(3))
    xyz = xyz_from_rgb(AP1)
    for kelvin in (2000.0, 3200.0, 5600.0, 6500.0, 9000.0, 20000.0):
        white = xyz @ graded(np.ones(3), Grade(temperature_k=kelvin))
        assert white[1] == pytest.approx(1.0), "as bright"
        # So far off the curve of black bodies as daylight is, across it: as near to that temperature as to no other.
        u, v = 4.0 * white[0], 6.0 * white[1]
        u, v = u / (white @ [1.0, 15.0, 3.0]), v / (white @ [1.0, 15.0, 3.0])
        curve = np.array(
            [planckian_xy(k) for k in np.geomspace(max(1667.0, kelvin / 2), min(25000.0, kelvin * 2), 4001)]
        )
        cu = 4.0 * curve[:, 0] / (-2.0 * curve[:, 0] + 12.0 * curve[:, 1] + 3.0)
        cv = 6.0 * curve[:, 1] / (-2.0 * curve[:, 0] + 12.0 * curve[:, 1] + 3.0)
        far = np.hypot(cu - u, cv - v)
        nearest = np.geomspace(max(1667.0, kelvin / 2), min(25000.0, kelvin * 2), 4001)[far.argmin()]
        assert nearest == pytest.approx(kelvin, rel=0.01)
        assert far.min() == pytest.approx(0.0032, abs=2e-4)
    warm, cold = (graded(np.ones(3), Grade(temperature_k=k)) for k in (3200.0, 12000.0))
    assert warm[0] > 1.0 > warm[2]
    assert cold[2] > 1.0 > cold[0]
    magenta = graded(np.ones(3), Grade(tint=40.0))
    assert magenta[1] < 1.0 < min(magenta[0], magenta[2])


@pytest.mark.parametrize("seed", range(8))
def test_the_shaders_numbers_say_the_same(seed: int) -> None:
    grade, light = drawn(100 + seed)
    expected = graded(light, grade)
    assert np.abs(as_the_shader(light, grade) - expected).max() <= 1e-5 * np.abs(expected).max()
    assert grade_numbers(grade).vectors.shape == (VECTORS, 4)


def test_a_grade_without_exponents_is_one_matrix() -> None:
    grade = Grade(
        exposure_ev=1.0, temperature_k=4300.0, tint=5.0, saturation=0.7, gain=(1.1, 1.0, 0.9), lift=(0.01, 0.0, 0.02)
    )
    assert grade_numbers(grade).level == 1
    assert as_the_shader(LIGHT, grade) == pytest.approx(graded(LIGHT, grade), rel=1e-5, abs=1e-6)
    for more in ({"contrast": 1.1}, {"gamma": (1.0, 1.1, 1.0)}, {"cdl_power": (1.0, 1.0, 0.9)}):
        assert grade_numbers(msgspec.structs.replace(grade, **more)).level == 2


@pytest.mark.parametrize("seed", range(8))
def test_every_step_has_an_inverse(seed: int) -> None:
    grade, light = drawn(200 + seed)
    # Powers of powers of much light leave nothing of the other two channels in 64 bits.
    grade, light = msgspec.structs.replace(grade, exposure_ev=grade.exposure_ev / 4.0), light / 15.0
    x = graded(light, grade)
    x = x @ np.linalg.inv(saturating(grade.saturation, LUMA_AP1)).T
    x = np.sign(x) * np.abs(x) ** np.array(grade.gamma)
    x = (x - np.array(grade.lift)) / (np.array(grade.gain) - np.array(grade.lift))
    x = MID_GREY * np.sign(x) * np.abs(x / MID_GREY) ** (1.0 / grade.contrast)
    x = x @ np.linalg.inv(saturating(grade.cdl_saturation, LUMA_709)).T
    x = np.where(x > 0.0, np.maximum(x, 0.0) ** (1.0 / np.array(grade.cdl_power)), x)
    x = (x - np.array(grade.cdl_offset)) / np.array(grade.cdl_slope)
    x = x @ np.linalg.inv(2.0**grade.exposure_ev * adapted_white(grade.temperature_k, grade.tint)).T
    assert np.abs(x - light).max() <= 1e-6 * light.max()


@given(grades, grades, st.floats(0.0, 1.0))
def test_blends_go_from_one_to_the_other(one: Grade, other: Grade, share: float) -> None:
    assert blended(one, other, 0.0) is one
    assert blended(one, other, 1.0) is other
    middle = blended(one, other, share)
    for name in Grade.__struct_fields__:
        ends = np.sort([np.atleast_1d(getattr(one, name)), np.atleast_1d(getattr(other, name))], axis=0)
        value = np.atleast_1d(getattr(middle, name))
        assert np.all(value >= ends[0] - 1e-9 * (1.0 + abs(ends[0])))
        assert np.all(value <= ends[1] + 1e-9 * (1.0 + abs(ends[1])))


@given(grades, grades)
def test_stacks_do_not_ask_for_an_order(one: Grade, other: Grade) -> None:
    assert stacked([]) == stacked([NEUTRAL, NEUTRAL]) == NEUTRAL
    assert stacked([one, NEUTRAL]) == one == stacked([NEUTRAL, one])
    both, turned = stacked([one, other]), stacked([other, one])
    for name in Grade.__struct_fields__:
        assert getattr(both, name) == pytest.approx(getattr(turned, name), rel=1e-9)
    assert both.exposure_ev == one.exposure_ev + other.exposure_ev
    assert both.contrast == one.contrast * other.contrast


def test_stops_and_whites_of_stacks_are_those_of_one_after_the_other() -> None:
    one, other = Grade(exposure_ev=-1.0, gain=(2.0, 1.0, 1.0)), Grade(exposure_ev=0.5, gain=(0.5, 1.0, 3.0))
    assert graded(LIGHT, stacked([one, other])) == pytest.approx(graded(graded(LIGHT, one), other), rel=1e-12)
    back = stacked([Grade(temperature_k=4000.0), Grade(temperature_k=12000.0)])
    assert back.temperature_k == pytest.approx(NEUTRAL_K)
