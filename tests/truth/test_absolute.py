"""A dot at a surveyed stage point lands in the photo where OpenCV, which knows nothing of us, projects it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from renderer.twin.emulator import settled
from renderer.twin.measures import ABSOLUTE_PX
from renderer.twin.view import PhotoView
from renderer.twin.worlds import Dot
from stage.plan import PlanLens, transform_of

KINDS = ("flat", "arc", "ceiling", "mesh", "turned")
WIDTH_PX = 960
# Stage axes of a camera (x right, y forward, z up) to OpenCV's (x right, y down, z forward).
CV_FROM_CAMERA = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
LENSES = {
    "pinhole": {},
    "shifted": {"projection_offset_mm": (0.9, -0.6)},
    "u_d": {
        "model": "Brown-Conrady U-D",
        "radial": [-2.5e-4, 0.0, 3.0e-7],
        "tangential": [3.0e-5, -2.0e-5],
        "projection_offset_mm": (-0.3, 0.2),
    },
    "d_u": {"radial": [3.5e-4, 2.0e-5, 2.0e-7], "tangential": [2.0e-5, -3.0e-5], "projection_offset_mm": (0.2, 0.1)},
    "anamorphic": {"sensor_width_mm": 18.0, "squeeze": 1.5},
}


def lens_of(name: str) -> PlanLens:
    base = {"focal_length_mm": 26.0, "sensor_width_mm": 28.0, "sensor_height_mm": 15.75, "entrance_pupil_m": 0.12}
    return PlanLens(**{**base, **LENSES[name]})


def opencv_px(lens: PlanLens, size_px: tuple[int, int], stage_from_camera, pupil_m, point_m):
    """Where OpenCV sees a stage point, photo px, from the facts of reference/tracking.md section 3."""
    width, height = size_px
    per_mm = np.array([width / (lens.sensor_width_mm * lens.squeeze), height / lens.sensor_height_mm])
    f = lens.focal_length_mm
    focal = f * per_mm
    centre = np.array([width, height]) / 2 + np.array(lens.projection_offset_mm) * per_mm
    k = np.zeros(6)
    k[: len(lens.radial)] = lens.radial
    p = np.zeros(2)
    p[: len(lens.tangential)] = lens.tangential
    coefficients = np.array(
        [k[0] * f**2, k[2] * f**4, p[0] * f, p[1] * f, k[4] * f**6, k[1] * f**2, k[3] * f**4, k[5] * f**6]
    )
    intrinsics = np.array([[focal[0], 0.0, centre[0]], [0.0, focal[1], centre[1]], [0.0, 0.0, 1.0]])
    rotation = CV_FROM_CAMERA @ stage_from_camera[:3, :3].T
    turn, _ = cv2.Rodrigues(rotation)
    move = -rotation @ np.asarray(pupil_m)
    points = np.asarray(point_m, dtype=np.float64).reshape(1, 1, 3)
    if lens.model == "Brown-Conrady U-D":
        px, _ = cv2.projectPoints(points, turn, move, intrinsics, coefficients)
        return px.reshape(2)
    # D-U: the polynomial maps what is photographed to the pinhole's picture. OpenCV's own inversion of it gives the way
    # back.
    ideal, _ = cv2.projectPoints(points, turn, move, np.eye(3), np.zeros(5))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    seen = cv2.undistortPointsIter(ideal.reshape(1, 1, 2), np.eye(3), coefficients, None, None, criteria)
    return seen.reshape(2) * focal + centre


@pytest.mark.parametrize(
    ("kind", "lens_name"), [*((kind, "u_d") for kind in KINDS), *(("arc", name) for name in LENSES if name != "u_d")]
)
def test_a_surveyed_dot_lands_where_opencv_says(kind: str, lens_name: str, places) -> None:
    place = places(kind)
    rng = np.random.default_rng([KINDS.index(kind), list(LENSES).index(lens_name)])
    lens = lens_of(lens_name)
    plan = place.plan(place.room.random_pose(rng), lens)
    camera = plan.cameras[0]
    view = PhotoView.of(camera, width_px=WIDTH_PX)
    pose = transform_of(camera.stage_from_camera)
    # A point anywhere before, on or behind the wall, in the direction of the wall's middle, and not a multiple of LEDs.
    to = place.room.target_m + rng.uniform(-0.2, 0.2, 3) - np.array(camera.pupil_m)
    point = np.array(camera.pupil_m) + to * rng.uniform(0.6, 4.0)
    dot = Dot(place.device, point, radius_rad=0.003)
    codes = {name: p.array.copy() for name, p in place.renderer.draw(plan, world=dot).items()}
    photo = place.camera.photo(settled(place.room.stage, codes), plan, width_px=WIDTH_PX, fine=5)
    dot.release()
    expected = opencv_px(lens, (view.width_px, view.height_px), pose, camera.pupil_m, point)
    x, y = np.floor(expected).astype(int)
    reach = 20
    assert reach < x < view.width_px - reach
    assert reach < y < view.height_px - reach
    patch = photo[y - reach : y + reach, x - reach : x + reach, 1].astype(np.float64)
    assert patch.max() > 1.0, "there is no dot"
    patch = np.maximum(patch - 0.02 * patch.max(), 0.0)
    rows, columns = np.mgrid[y - reach : y + reach, x - reach : x + reach] + 0.5
    found = np.array([(patch * columns).sum(), (patch * rows).sum()]) / patch.sum()
    off_px = np.linalg.norm(found - expected) * view.report_px_per_px
    assert off_px <= ABSOLUTE_PX, (found, expected)
