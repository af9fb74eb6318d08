"""The lens model against the OpenLensIO vectors, and against itself both ways."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.cameras import pupil_m
from stage.frames import pose_from_pan_tilt_roll
from stage.lens import (
    D_U,
    U_D,
    LensError,
    distort,
    distortion_fault,
    frame_outline_mm,
    frame_size_mm,
    image_of_tangents,
    lens_cover_deg,
    overscan_ratio,
    pinhole_tangents,
    reach_mm,
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


def test_overscan_equals_the_vectors(vectors: dict) -> None:
    assert overscan_ratio(lens_of(vectors, offsets=True)) == pytest.approx(vectors["overscan_eq23_24"], abs=1e-12)
    assert overscan_ratio(msgspec.structs.replace(lens_of(vectors, offsets=False), radial=[], tangential=[])) == 1.0


@given(
    model=st.sampled_from([D_U, U_D]),
    edge=st.floats(-0.12, 0.12),
    edge4=st.floats(-0.02, 0.02),
    below=st.floats(-0.05, 0.05),
    tangential=st.tuples(st.floats(-5e-5, 5e-5), st.floats(-5e-5, 5e-5)),
    offset=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
    squeeze=st.sampled_from([1.0, 1.3, 1.8, 2.0]),
    seed=st.integers(0, 1000),
)
def test_every_plausible_lens_goes_both_ways(
    model: str,
    edge: float,
    edge4: float,
    below: float,
    tangential: tuple[float, float],
    offset: tuple[float, float],
    squeeze: float,
    seed: int,
) -> None:
    """Distortions given by what they do at the corner: up to 12 % by the first term, 2 % by the second."""
    plain = PlanLens(
        focal_length_mm=28.0, sensor_width_mm=36.0 / squeeze, sensor_height_mm=20.25, squeeze=squeeze,
        distortion_offset_mm=offset, projection_offset_mm=(offset[1], offset[0]),
    )  # fmt: skip
    r2 = reach_mm(plain) ** 2
    lens = msgspec.structs.replace(
        plain, model=model, radial=[edge / r2, below / r2, edge4 / r2**2], tangential=list(tangential)
    )
    assert distortion_fault(lens.radial, reach_mm(lens)) == ""
    w, h = frame_size_mm(lens)
    points = np.random.default_rng(seed).uniform(-0.5, 0.5, (50, 2)) * (w, h)
    np.testing.assert_allclose(distort(lens, undistort(lens, points)), points, atol=1e-9)
    np.testing.assert_allclose(undistort(lens, distort(lens, points)), points, atol=1e-9)
    np.testing.assert_allclose(image_of_tangents(lens, tangents_of_image(lens, points)), points, atol=1e-9)


@pytest.mark.parametrize(
    ("radial", "words"),
    [
        ([], ""),
        ([2e-4, 0.0, 1e-7], ""),
        ([-0.01], "folds within"),
        ([0.0, -0.005], "denominator"),
        ([0.1], "moves by a factor of"),
        ([float("inf")], "not a finite"),
    ],
)
def test_distortions_no_lens_has_are_told(radial: list[float], words: str) -> None:
    fault = distortion_fault(radial, 20.65)
    assert words in fault
    assert bool(words) == bool(fault)


def test_an_anamorphic_lens_is_bent_on_the_desqueezed_picture() -> None:
    """The same glass seen through a 2x squeeze: equal angles land at half the width on the sensor, and a distortion
    given for the desqueezed picture bends them there."""
    spherical = PlanLens(focal_length_mm=50.0, sensor_width_mm=44.0, sensor_height_mm=18.0, radial=[1e-4])
    squeezed = msgspec.structs.replace(spherical, sensor_width_mm=22.0, squeeze=2.0)
    assert frame_size_mm(squeezed) == frame_size_mm(spherical)
    points = frame_outline_mm(squeezed)
    np.testing.assert_allclose(tangents_of_image(squeezed, points), tangents_of_image(spherical, points), atol=1e-15)
    assert lens_cover_deg(squeezed) == lens_cover_deg(spherical)


def test_the_pupil_lies_in_front_of_the_sensor() -> None:
    """The worked example of the conventions: pan 30 right, tilt -10, roll 5, pupil 120 mm before the sensor."""
    stage_from_camera = pose_from_pan_tilt_roll((1.25, -2.0, 1.75), pan_deg=-30.0, tilt_deg=-10.0, roll_deg=5.0)
    lens = PlanLens(focal_length_mm=35.0, sensor_width_mm=36.0, sensor_height_mm=20.25, entrance_pupil_m=0.12)
    np.testing.assert_allclose(pupil_m(stage_from_camera, lens), (1.309088, -1.897656, 1.729162), atol=1e-6)
