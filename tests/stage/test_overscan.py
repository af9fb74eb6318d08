"""Overscan: what each error asks for on each side, against rays; quantiles; cost and pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.frames import Array, pose, pose_from_pan_tilt_roll
from stage.lens import lens_cover_deg
from stage.overscan import (
    cost_of,
    covering_deg,
    exceeded_deg,
    movement,
    overscan_px,
    required_overscan,
    side_gains,
    width_factor,
)
from stage.plan import PlanLens
from stage.projection import overscan_tangents

LENS = PlanLens(focal_length_mm=35.0, sensor_width_mm=36.0, sensor_height_mm=20.25)
WALL_M = 4.0
GAINS = side_gains(LENS, WALL_M)
HERE = pose((0.0, 0.0, 1.5))
small = st.floats(-1.5, 1.5)
step = st.floats(-0.05, 0.05)


def beyond_deg(true: Array, focal_length_mm: float) -> Array:
    """How far the picture of a camera at `true` reaches beyond one at HERE, left, right, top, bottom, by rays to a wall
    facing HERE."""
    half_w, half_h = 18.0 / focal_length_mm, 10.125 / focal_length_mm
    edge = np.linspace(-1.0, 1.0, 41)
    x = np.concatenate([edge, edge, -np.ones(41), np.ones(41)]) * half_w
    z = np.concatenate([-np.ones(41), np.ones(41), edge, edge]) * half_h
    rays = true[:3, 1] + x[:, None] * true[:3, 0] + z[:, None] * true[:3, 2]
    far = (WALL_M - true[1, 3]) / rays[:, 1]
    points = true[:3, 3] + far[:, None] * rays - HERE[:3, 3]
    across, up = (np.degrees(np.arctan(points[:, axis] / points[:, 1])) for axis in (0, 2))
    left, right, bottom, top = np.degrees(np.arctan(overscan_tangents(LENS, (0.0, 0.0, 0.0, 0.0))))
    return np.array([left - across.min(), across.max() - right, up.max() - top, bottom - up.min()])


@given(small, small, small, step, step, step, st.floats(-0.02, 0.02))
def test_what_is_asked_for_is_what_rays_need(
    pan: float, tilt: float, roll: float, x_m: float, y_m: float, z_m: float, zoom: float
) -> None:
    """Within a twentieth of the errors themselves: what is left out is their squares."""
    true = pose_from_pan_tilt_roll((x_m, y_m, 1.5 + z_m), pan_deg=pan, tilt_deg=tilt, roll_deg=roll)
    row = movement(HERE, true)
    row[6] = zoom
    asked = exceeded_deg(GAINS, row[None])[0]
    needed = beyond_deg(true, 35.0 * (1.0 + zoom))
    size = abs(pan) + abs(tilt) + abs(roll) + 15.0 * (abs(x_m) + abs(y_m) + abs(z_m)) + 30.0 * abs(zoom)
    assert np.abs(asked - needed).max() <= 0.05 * size + 1e-9


@pytest.mark.parametrize(
    ("change", "side"),
    [
        ({"pan_deg": 1.0}, 0), ({"pan_deg": -1.0}, 1), ({"tilt_deg": 1.0}, 2), ({"tilt_deg": -1.0}, 3),
    ],
)  # fmt: skip
def test_each_turn_asks_on_its_own_side(change: dict[str, float], side: int) -> None:
    row = movement(HERE, pose_from_pan_tilt_roll((0.0, 0.0, 1.5), **change))
    asked = exceeded_deg(GAINS, row[None])[0]
    assert asked[side] == pytest.approx(1.0)
    assert asked[side ^ 1] == pytest.approx(-1.0)
    # The other way the picture's corners lean out a little.
    assert 0.0 < asked[(side ^ 2) & 2] < 0.15


def test_the_share_covered_is_of_all_errors_together() -> None:
    """Pan and a step aside that cancel ask for nothing, however large each is by itself."""
    random = np.random.default_rng(1)
    rows = np.zeros((4000, 7))
    rows[:, 2] = random.normal(0.0, 0.5, 4000)
    rows[:, 3] = WALL_M * np.tan(np.radians(rows[:, 2]))
    # What turns and steps do to the corners differs a little.
    assert max(covering_deg(GAINS, rows)) < 0.4
    rows[:, 3] = 0.0
    left, right, top, _ = covering_deg(GAINS, rows)
    # One-sided p99.9 of a normal spread.
    assert left == pytest.approx(0.5 * 3.09, rel=0.12)
    assert right == pytest.approx(0.5 * 3.09, rel=0.12)
    assert 0.0 < top < 0.3
    assert (np.mean(rows[:, 2] > left), np.mean(-rows[:, 2] > right)) <= (0.001, 0.001)
    assert covering_deg(GAINS, rows[:1])[0] == max(0.0, rows[0, 2])


def test_the_sum_its_floor_and_its_ceiling() -> None:
    parts = {"prediction_deg": (1.0, 2.0, 0.0, 9.0), "hold_deg": (0.5, 0.0, 0.0, 0.0)}
    found = required_overscan(LENS, **parts, soft_edge_deg=0.5, margin_deg=0.25, min_deg=1.0, max_deg=6.0)
    assert lens_cover_deg(LENS) == pytest.approx((0.0,) * 4)
    assert found.total_deg == pytest.approx((2.25, 2.75, 1.0, 6.0))
    assert (found.feather_deg, found.margin_deg) == (0.5, 0.25)


@given(st.floats(0.0, 12.0), st.floats(0.0, 12.0), st.floats(0.0, 12.0), st.floats(0.0, 12.0))
def test_cost_width_and_pixels_agree_with_the_frustum(left: float, right: float, top: float, bottom: float) -> None:
    sides = (left, right, top, bottom)
    x0, x1, y0, y1 = overscan_tangents(LENS, sides)
    raster = (round((x1 - x0) * 1000), round((y1 - y0) * 1000))
    assert width_factor(LENS, sides) == pytest.approx((x1 - x0) / (36.0 / 35.0))
    assert cost_of(LENS, sides) == pytest.approx((x1 - x0) * (y1 - y0) / (36.0 * 20.25 / 35.0**2) - 1.0)
    px = overscan_px(LENS, sides, raster)
    assert px[0] + px[1] + 36.0 / 35.0 * raster[0] / (x1 - x0) == pytest.approx(raster[0])
    assert px[2] + px[3] + 20.25 / 35.0 * raster[1] / (y1 - y0) == pytest.approx(raster[1])
    assert min(px) >= -1e-9
