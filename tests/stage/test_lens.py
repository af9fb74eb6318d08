"""The lens model against the OpenLensIO vectors, and against itself both ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stage.lens import (
    U_D,
    LensError,
    distort,
    frame_outline_mm,
    frame_size_mm,
    image_of_tangents,
    lens_cover_deg,
    pinhole_tangents,
    tangents_of_image,
    undistort,
)
from stage.plan import PlanLens


@pytest.fixture(scope="module")
def vectors(reference: Path) -> dict:
    return json.loads((reference / "tracking/lens/openlensio_vectors.json").read_text())


def lens_of(vectors: dict, *, offsets: bool) -> PlanLens:
    return PlanLens(
        focal_length_mm=vectors["F_mm"],
        sensor_width_mm=vectors["sensor_mm"][0],
        sensor_height_mm=vectors["sensor_mm"][1],
        radial=vectors["radial"],
        tangential=vectors["tangential"],
        distortion_offset_mm=tuple(vectors["distortionOffset_dC_mm"]) if offsets else (0.0, 0.0),
        projection_offset_mm=tuple(vectors["projectionOffset_dP_mm"]) if offsets else (0.0, 0.0),
    )


def test_undistortion_equals_the_vectors(vectors: dict) -> None:
    lens = lens_of(vectors, offsets=False)
    for vector in vectors["vectors"]:
        np.testing.assert_allclose(undistort(lens, vector["eps_in_mm"]), vector["U_mm"], atol=1e-9)


def test_offsets_equal_the_full_equation(vectors: dict) -> None:
    lens = lens_of(vectors, offsets=True)
    for vector in vectors["vectors"]:
        full = vector["full_eq4"]
        np.testing.assert_allclose(undistort(lens, full["eps_d_mm"]), full["eps_u_mm"], atol=1e-9)
        np.testing.assert_allclose(distort(lens, full["eps_u_mm"]), full["eps_d_mm"], atol=1e-9)


@pytest.mark.parametrize("model", ["Brown-Conrady D-U", U_D])
def test_distortion_goes_both_ways(vectors: dict, model: str) -> None:
    import msgspec

    lens = msgspec.structs.replace(lens_of(vectors, offsets=True), model=model)
    points = np.random.default_rng(5).uniform(-1.0, 1.0, (200, 2)) * (17.0, 9.5)
    np.testing.assert_allclose(distort(lens, undistort(lens, points)), points, atol=1e-9)
    np.testing.assert_allclose(image_of_tangents(lens, tangents_of_image(lens, points)), points, atol=1e-9)
    assert float(np.abs(undistort(lens, points) - points).max()) > 0.1


def test_a_pinhole_leaves_points_alone() -> None:
    lens = PlanLens(focal_length_mm=50.0, sensor_width_mm=24.0, sensor_height_mm=18.0)
    points = np.array([[3.0, -2.0], [-12.0, 9.0]])
    assert np.array_equal(undistort(lens, points), points)
    np.testing.assert_allclose(tangents_of_image(lens, points), [[0.06, 0.04], [-0.24, -0.18]], atol=1e-15)
    assert lens_cover_deg(lens) == (0.0, 0.0, 0.0, 0.0)


def test_squeeze_widens_the_picture_only() -> None:
    lens = PlanLens(focal_length_mm=50.0, sensor_width_mm=22.0, sensor_height_mm=18.0, squeeze=2.0)
    assert frame_size_mm(lens) == (44.0, 18.0)
    left, right, bottom, top = pinhole_tangents(lens)
    assert (left, right, bottom, top) == pytest.approx((-0.44, 0.44, -0.18, 0.18))


@pytest.mark.parametrize("k", [3e-5, -3e-5])
def test_cover_holds_the_whole_distorted_frame(k: float) -> None:
    lens = PlanLens(focal_length_mm=35.0, sensor_width_mm=36.0, sensor_height_mm=20.25, radial=[k])
    cover = lens_cover_deg(lens)
    left, right, bottom, top = pinhole_tangents(lens)
    # A barrel (k > 0) sees more than the pinhole, a pincushion less: then nothing needs covering.
    assert all(c > 0.1 for c in cover) if k > 0 else cover == (0.0, 0.0, 0.0, 0.0)
    wide = np.degrees(np.arctan([left, right, bottom, top])) + np.array([-cover[0], cover[1], -cover[3], cover[2]])
    seen = np.degrees(np.arctan(tangents_of_image(lens, frame_outline_mm(lens, 101))))
    assert (seen[:, 0] >= wide[0] - 1e-9).all()
    assert (seen[:, 0] <= wide[1] + 1e-9).all()
    assert (seen[:, 1] >= wide[2] - 1e-9).all()
    assert (seen[:, 1] <= wide[3] + 1e-9).all()


def test_a_fold_is_an_error_that_says_so() -> None:
    lens = PlanLens(focal_length_mm=35.0, sensor_width_mm=36.0, sensor_height_mm=20.25, radial=[-0.005])
    with pytest.raises(LensError) as caught, np.errstate(all="ignore"):
        distort(lens, [[17.0, 9.0]])
    assert caught.value.problems[0].code == "stage.lens_fold"
