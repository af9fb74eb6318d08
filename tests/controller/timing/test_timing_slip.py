"""Slip, pose error and cover worked out from poses, against geometry that can be done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.config import compile_config, load_config
from controller.timing.recording import Photos
from controller.timing.slip import WallPoints, measure
from stage.compiled import CompiledStage
from stage.frames import Array, pose_from_pan_tilt_roll, rotation_from_vector
from stage.plan import PlanLens

LENS = PlanLens(focal_length_mm=36.0, sensor_width_mm=36.0, sensor_height_mm=20.25, entrance_pupil_m=0.1)
"""A tangent of 1 is 3840 px."""


@pytest.fixture(scope="module")
def stage() -> CompiledStage:
    return compile_config(load_config("minimal"))


def photos(true: Array, predicted: Array, overscan_deg: float = 3.0, soft_edge_deg: float = 1.0) -> Photos:
    count = len(true)
    zeros = np.zeros(count, dtype=np.int64)
    pupil = predicted[:, :3, 3] + LENS.entrance_pupil_m * predicted[:, :3, 1]
    return Photos(
        "a", zeros, np.zeros(count), predicted, pupil, true, np.full((count, 4), overscan_deg),
        np.full(count, soft_edge_deg), zeros, zeros,
    )  # fmt: skip


def figures(stage: CompiledStage, true: Array, predicted: Array, **more: Any) -> Any:
    found = photos(true[None], predicted[None], **more)
    return measure(found, [LENS], WallPoints(stage, ("main",)))


def at(x_m: float = 0.0, y_m: float = -1.0, **angles: float) -> Array:
    turned = {"pan_deg": 0.0, "tilt_deg": 0.0, "roll_deg": 0.0, **angles}
    return pose_from_pan_tilt_roll((x_m, y_m, 1.4), **turned)


def test_a_right_prediction_slips_nothing(stage: CompiledStage) -> None:
    found = figures(stage, at(pan_deg=5.0), at(pan_deg=5.0))
    assert found.error_mm[0] == pytest.approx(0.0, abs=1e-9)
    assert found.error_deg[0] == pytest.approx(0.0, abs=1e-6)
    assert found.slip_px[0] == pytest.approx(0.0, abs=1e-6)
    assert found.covered[0] == 1.0


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05))
def test_beside_its_place_the_pupil_slips_by_similar_triangles(
    stage: CompiledStage, across_m: float, up_m: float
) -> None:
    """A flat wall at 3 m, looked at squarely from 3.9 m: the parallax of far content is step / distance everywhere."""
    true, predicted = at(), at()
    predicted[:3, 3] += (across_m, 0.0, up_m)
    found = figures(stage, true, predicted)
    distance_m = 3.0 - (-1.0 + LENS.entrance_pupil_m)
    expected = 3840.0 * np.hypot(across_m, up_m) / distance_m
    assert found.slip_px[0] == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert found.slip_max_px[0] == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert found.error_mm[0] == pytest.approx(1000.0 * np.hypot(across_m, up_m), abs=1e-6)


def test_turning_about_the_pupil_slips_nothing_until_the_edge_comes_into_view(stage: CompiledStage) -> None:
    true = at()
    pupil = true[:3, 3] + LENS.entrance_pupil_m * true[:3, 1]
    for pan_deg, covered in ((1.0, True), (1.9, True), (2.4, False)):
        predicted = at(pan_deg=pan_deg)
        predicted[:3, 3] = pupil - LENS.entrance_pupil_m * predicted[:3, 1]
        found = figures(stage, true, predicted)
        assert found.slip_px[0] == pytest.approx(0.0, abs=1e-6)
        assert found.error_deg[0] == pytest.approx(pan_deg, abs=1e-6)
        # 3 degrees of overscan, of which 1 is soft edge: 2 are left.
        assert bool(found.covered[0] == 1.0) is covered


def test_turning_the_body_moves_the_pupil(stage: CompiledStage) -> None:
    found = figures(stage, at(), at(pan_deg=2.0))
    assert found.error_mm[0] == pytest.approx(2.0 * 100.0 * np.sin(np.radians(1.0)), rel=1e-6)
    assert found.slip_px[0] > 1.0


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(-0.5, 0.5)] * 3))
def test_the_angle_between_two_orientations(stage: CompiledStage, turn: tuple[float, float, float]) -> None:
    true, predicted = at(), at()
    predicted[:3, :3] = predicted[:3, :3] @ rotation_from_vector(np.array(turn))
    expected = np.degrees(np.linalg.norm(turn))
    assert figures(stage, true, predicted).error_deg[0] == pytest.approx(expected, rel=1e-5, abs=1e-4)


def test_a_camera_that_sees_no_wall_is_not_told(stage: CompiledStage) -> None:
    away = at(pan_deg=180.0)
    found = figures(stage, away, away)
    assert np.isnan(found.slip_px[0])
    assert np.isnan(found.covered[0])
    assert found.error_mm[0] == pytest.approx(0.0, abs=1e-9)


def test_a_picture_drawn_for_a_place_behind_the_wall_slips_by_no_more_than_the_photo(stage: CompiledStage) -> None:
    found = figures(stage, at(), at(y_m=9000.0))
    assert found.slip_px[0] == 3840.0


def test_lenses_are_told_apart(stage: CompiledStage) -> None:
    true = np.stack([at(), at()])
    predicted = true.copy()
    predicted[:, 0, 3] += 0.01
    found = photos(true, predicted)
    found.lens[1] = 1
    long = PlanLens(focal_length_mm=72.0, sensor_width_mm=36.0, sensor_height_mm=20.25, entrance_pupil_m=0.1)
    measured = measure(found, [LENS, long], WallPoints(stage, ("main",)))
    assert measured.slip_px[1] == pytest.approx(2.0 * measured.slip_px[0], rel=1e-9)


def test_points_lie_on_the_walls_asked_for() -> None:
    stage = compile_config(load_config("demo"))
    arc, ceiling = WallPoints(stage, ("arc",)), WallPoints(stage, ("ceiling",))
    assert len(arc.points_m) > 50
    assert len(ceiling.points_m) > 50
    assert arc.points_m[:, 2].max() <= 5.01
    assert ceiling.points_m[:, 2] == pytest.approx(5.2, abs=0.01)
    assert len(WallPoints(stage, ()).points_m) == 0
