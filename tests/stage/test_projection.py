"""Projections against float64 plane coordinates and against Panda3D, an engine that shares no code with this one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from stage.frames import Array, pose_from_pan_tilt_roll, rotation_from_pan_tilt_roll
from stage.plan import PlanLens
from stage.projection import (
    CUBE_FACES,
    clip_from_view,
    cube_view_from_stage,
    overscan_tangents,
    view_from_stage,
    wall_clip_from_stage,
)


@dataclass(frozen=True)
class Case:
    corners_m: Array
    eye_m: Array
    points_m: Array
    plane: Array
    """Where the points lie between the corners, -1..1, known from how they were made."""


def random_cases(count: int, seed: int) -> list[Case]:
    """Walls of any size and direction, and eyes in front of them that may look past their edges."""
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(count):
        rotation = rotation_from_pan_tilt_roll(rng.uniform(-180, 180), rng.uniform(-80, 80), rng.uniform(-180, 180))
        width, height = rng.uniform(0.5, 20.0), rng.uniform(0.5, 10.0)
        middle = rng.uniform(-10.0, 10.0, 3)
        local = np.array([[-1, 0, -1], [1, 0, -1], [-1, 0, 1], [1, 0, 1]]) * (width / 2, 1.0, height / 2)
        away = (rng.uniform(-1, 1) * width, -rng.uniform(0.5, 8.0), rng.uniform(-1, 1) * height)
        plane = rng.uniform(-1.0, 1.0, (8, 2))
        points = np.column_stack([plane[:, 0] * width / 2, np.zeros(8), plane[:, 1] * height / 2])
        cases.append(Case(middle + local @ rotation.T, middle + rotation @ away, middle + points @ rotation.T, plane))
    return cases


def ndc_of(clip_from_stage: Array, points_m: Array) -> Array:
    clip = np.column_stack([points_m, np.ones(len(points_m))]) @ clip_from_stage.T
    assert (clip[:, 3] > 0).all()
    return np.asarray(clip[:, :3] / clip[:, 3:])


def test_wall_projection_equals_plane_coordinates() -> None:
    worst = 0.0
    for case in random_cases(2000, seed=1):
        ndc = ndc_of(wall_clip_from_stage(case.corners_m, case.eye_m), case.points_m)
        worst = max(worst, float(np.abs(ndc[:, :2] - case.plane).max()))
        assert (np.abs(ndc[:, 2]) <= 1.0).all()
    assert worst <= 1e-9


def test_wall_projection_equals_panda3d() -> None:
    core = pytest.importorskip("panda3d.core", reason="panda3d is the oracle here")
    flags = core.Lens.FC_off_axis | core.Lens.FC_aspect_ratio | core.Lens.FC_shear
    worst = 0.0
    for case in random_cases(2000, seed=2):
        lens = core.PerspectiveLens()
        lens.set_near_far(0.05, 5000.0)
        ll, lr, ul, ur = (core.LPoint3(*(float(x) for x in corner - case.eye_m)) for corner in case.corners_m)
        lens.set_frustum_from_corners(ul, ur, ll, lr, flags)
        rows = np.array(lens.get_projection_mat()).reshape(4, 4)
        theirs = np.column_stack([case.points_m - case.eye_m, np.ones(8)]) @ rows
        ours = ndc_of(wall_clip_from_stage(case.corners_m, case.eye_m), case.points_m)
        worst = max(worst, float(np.abs(theirs[:, :2] / theirs[:, 3:] - ours[:, :2]).max()))
    # Panda3D calculates in float32.
    assert worst <= 2e-5


def test_a_wrong_eye_is_seen_by_the_oracle() -> None:
    """The comparison above can fail: 10 mm of eye error is far over the bar."""
    case = random_cases(1, seed=3)[0]
    moved = case.eye_m + np.array([0.01, 0.0, 0.0])
    ndc = ndc_of(wall_clip_from_stage(case.corners_m, moved), case.points_m)
    # Points on the wall itself stay: what moves is everything before and behind it.
    np.testing.assert_allclose(ndc[:, :2], case.plane, atol=1e-9)
    behind = case.points_m + (case.points_m - case.eye_m) * 0.5
    right = ndc_of(wall_clip_from_stage(case.corners_m, case.eye_m), behind)[:, :2]
    wrong = ndc_of(wall_clip_from_stage(case.corners_m, moved), behind)[:, :2]
    np.testing.assert_allclose(right, case.plane, atol=1e-9)
    assert float(np.abs(wrong - right).max()) > 1e-5


def test_eye_behind_the_wall_is_refused() -> None:
    corners = np.array([[-1.0, 2.0, 0.0], [1.0, 2.0, 0.0], [-1.0, 2.0, 1.0]])
    wall_clip_from_stage(corners, (0.0, 0.0, 0.5))
    with pytest.raises(ValueError, match="behind"):
        wall_clip_from_stage(corners, (0.0, 3.0, 0.5))
    with pytest.raises(ValueError, match="no rectangle"):
        wall_clip_from_stage(np.zeros((3, 3)), (0.0, 0.0, 0.5))


def test_inner_frustum_maps_its_edges_to_the_clip_edges() -> None:
    lens = PlanLens(
        focal_length_mm=35.0, sensor_width_mm=36.0, sensor_height_mm=20.25, projection_offset_mm=(1.0, -0.5)
    )
    left, right, bottom, top = overscan_tangents(lens, (1.0, 2.0, 3.0, 4.0))
    half = np.degrees(np.arctan2((18.0 + 1.0), 35.0))
    assert np.degrees(np.arctan(left)) == pytest.approx(-half - 1.0)
    assert np.degrees(np.arctan(right)) == pytest.approx(np.degrees(np.arctan2(17.0, 35.0)) + 2.0)
    # y is down on the sensor: an offset of -0.5 mm lifts the axis in the picture, so more is seen below.
    assert np.degrees(np.arctan(top)) == pytest.approx(np.degrees(np.arctan2(10.125 - 0.5, 35.0)) + 3.0)
    assert np.degrees(np.arctan(bottom)) == pytest.approx(-np.degrees(np.arctan2(10.125 + 0.5, 35.0)) - 4.0)
    stage_from_camera = pose_from_pan_tilt_roll((1.0, 2.0, 1.5), pan_deg=20.0, tilt_deg=-5.0, roll_deg=3.0)
    pupil = np.array([1.0, 2.1, 1.5])
    clip = clip_from_view(left, right, bottom, top) @ view_from_stage(stage_from_camera, pupil)
    tangents = np.array([[left, bottom], [right, bottom], [left, top], [right, top]])
    rays = np.column_stack([tangents[:, 0], np.ones(4), tangents[:, 1]]) * 4.0
    ndc = ndc_of(clip, pupil + rays @ stage_from_camera[:3, :3].T)
    np.testing.assert_allclose(ndc[:, :2], [[-1, -1], [1, -1], [-1, 1], [1, 1]], atol=1e-12)


def test_cube_faces_cover_every_direction_once() -> None:
    rng = np.random.default_rng(4)
    eye = np.array([0.3, -0.2, 1.7])
    directions = rng.normal(size=(500, 3))
    seen = np.zeros(500, dtype=int)
    for face, name in enumerate(CUBE_FACES):
        view = np.column_stack([eye + directions, np.ones(500)]) @ cube_view_from_stage(face, eye).T
        inside = (-view[:, 2] > np.abs(view[:, 0])) & (-view[:, 2] > np.abs(view[:, 1]))
        seen += inside
        axis, sign = "xyz".index(name[1]), 1.0 if name[0] == "+" else -1.0
        assert (directions[inside][:, axis] * sign > 0).all()
    assert (seen == 1).all()
