"""Lenses of OpenCV and Unreal as OpenLensIO ones: against OpenCV's own functions, and what is left over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.lens_fit import fisheye_lens, fit_lens, opencv_lens, unreal_lens
from calibration.pivot import CalibrationError
from stage.frames import Array
from stage.lens import D_U, U_D, distort, frame_size_mm, undistort

cv2 = pytest.importorskip("cv2")

W, H = 3840, 2160
MATRIX = np.array([[2700.0, 0.0, 1931.5], [0.0, 2700.0, 1071.5], [0.0, 0.0, 1.0]])
SENSOR = {"sensor_width_mm": 36.0, "sensor_height_mm": 20.25}


def image_mm(pixels: Array) -> Array:
    """OpenCV's pixels (first pixel's middle at 0, 0) as millimetres from the sensor's middle."""
    return np.asarray((pixels + 0.5 - (W / 2, H / 2)) * 36.0 / W)


def grid() -> Array:
    x, y = np.meshgrid(np.linspace(0, W - 1, 33), np.linspace(0, H - 1, 21))
    return np.stack([x.ravel(), y.ravel()], -1)


def far_from_opencv(coefficients: list[float]) -> tuple[float, float]:
    """Worst distance in px of the fitted lens from OpenCV's own undistortion over the picture, and what it told."""
    fit = fit_lens(opencv_lens(MATRIX, coefficients, width_px=W, height_px=H), **SENSOR)
    pixels = grid()
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    straight = cv2.undistortPointsIter(
        pixels[:, None], MATRIX, np.array(coefficients), None, MATRIX, criteria
    )[:, 0]  # fmt: skip
    off_mm = distort(fit.lens, image_mm(straight)) - image_mm(pixels)
    return float(np.hypot(*off_mm.T).max() * W / 36.0), fit.worst_px


@pytest.mark.parametrize(
    ("coefficients", "bar_px"),
    [
        ([-0.12, 0.05, 0.0008, -0.0005, -0.01], 0.02),  # the reference's sample lens
        ([0.08, -0.02, 0.0, 0.0], 0.02),
        ([-0.25, 0.09, 0.001, 0.0005, -0.02], 0.05),
        ([0.3, 0.02, 0.0, 0.0, 0.01, 0.5, 0.05, 0.0], 0.05),  # rational
        ([-0.1, 0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0005, 0.0, -0.0003, 0.0], 1.5),  # thin prism: no counterpart
    ],
)
def test_opencv_lenses(coefficients: list[float], bar_px: float) -> None:
    off_px, told_px = far_from_opencv(coefficients)
    assert off_px < bar_px
    assert told_px == pytest.approx(off_px, rel=0.2, abs=0.005)


def test_copied_coefficients_would_be_far_off() -> None:
    """What a copy of k1 k2 k3 in another program's place would be wrong by: tens of pixels."""
    coefficients = [-0.12, 0.05, 0.0008, -0.0005, -0.01]
    fit = fit_lens(opencv_lens(MATRIX, coefficients, width_px=W, height_px=H), **SENSOR)
    f = fit.lens.focal_length_mm
    copied = type(fit.lens)(
        focal_length_mm=f, sensor_width_mm=36.0, sensor_height_mm=20.25, model=fit.lens.model,
        radial=[-0.12 / f**2, 0.05 / f**2, -0.01 / f**4], projection_offset_mm=fit.lens.projection_offset_mm,
    )  # fmt: skip
    points = image_mm(grid())
    off_px = np.hypot(*(undistort(copied, points) - undistort(fit.lens, points)).T).max() * W / 36.0
    assert off_px > 50.0


def test_the_reference_lens_is_found_again(reference: Path) -> None:
    """The vectors hold the polynomial in OpenCV's direction; the fit runs the other way: there and back is one."""
    vectors = json.loads((reference / "tracking/lens/openlensio_vectors.json").read_text())
    w, h = vectors["sensor_mm"]
    f_px = vectors["F_mm"] * W / w
    matrix = np.array([[f_px, 0.0, W / 2], [0.0, f_px, H / 2], [0.0, 0.0, 1.0]])
    k1, k2, k3, *_ = vectors["opencv"]["k1k2k3k4k5k6"]
    coefficients = [k1, k2, *vectors["opencv"]["p1p2"], k3]
    other = opencv_lens(matrix, coefficients, width_px=W, height_px=H, half_pixel=False)
    for model, worst_px in ((U_D, 1e-6), (D_U, 0.2)):
        fit = fit_lens(other, sensor_width_mm=w, sensor_height_mm=h, model=model)
        assert fit.lens.model == model
        assert fit.worst_px < worst_px
        for vector in vectors["vectors"]:
            # U maps as OpenCV's polynomial does: undistorted to distorted.
            far_mm = np.abs(distort(fit.lens, vector["eps_in_mm"]) - vector["U_mm"]).max()
            assert far_mm < fit.worst_mm + 1e-9


def test_a_real_calibration(reference: Path) -> None:
    """OpenCV's own sample camera (a webcam): its calibration file, read by OpenCV, carried over."""
    path = reference / "colour/lens_chessboard/upstream_left_intrinsics.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    matrix, coefficients = (storage.getNode(name).mat() for name in ("camera_matrix", "distortion_coefficients"))
    storage.release()
    fit = fit_lens(
        opencv_lens(matrix, coefficients, width_px=640, height_px=480), sensor_width_mm=4.8, sensor_height_mm=3.6
    )
    assert fit.worst_px < 0.1
    assert fit.stretch == pytest.approx(1.0, abs=0.005)


def test_unreal_lenses_carry_over_exactly() -> None:
    other = unreal_lens(
        fx=0.675, fy=1.2, centre=(0.503, 0.497), k=(0.08, 0.01, -0.002), p=(0.0004, -0.0003), width_px=W, height_px=H
    )
    fit = fit_lens(other, **SENSOR)
    f = fit.lens.focal_length_mm
    assert f == pytest.approx(0.675 * 36.0)
    assert fit.stretch == pytest.approx(1.0)
    assert fit.worst_px < 1e-6
    assert fit.lens.radial == pytest.approx([0.08 / f**2, 0.0, 0.01 / f**4, 0.0, -0.002 / f**6], rel=1e-5)
    assert fit.lens.tangential == pytest.approx([0.0004 / f, -0.0003 / f], rel=1e-6)
    assert fit.lens.projection_offset_mm == pytest.approx((0.003 * 36.0, -0.003 * 20.25))


def test_fisheyes_come_near() -> None:
    matrix = np.array([[2600.0, 0.0, W / 2], [0.0, 2600.0, H / 2], [0.0, 0.0, 1.0]])
    fit = fit_lens(fisheye_lens(matrix, [0.02, -0.005, 0.001, 0.0], width_px=W, height_px=H), **SENSOR)
    assert fit.worst_px < 3.0
    pixels = grid()
    straight = cv2.fisheye.undistortPoints(pixels[:, None], matrix, np.array([0.02, -0.005, 0.001, 0.0]), P=matrix)[
        :, 0
    ]
    off_mm = distort(fit.lens, image_mm(straight)) - image_mm(pixels)
    assert np.hypot(*off_mm.T).max() * W / 36.0 == pytest.approx(fit.worst_px, abs=1.0)


@settings(max_examples=15)
@given(
    st.floats(-0.1, 0.2), st.floats(-0.02, 0.05), st.floats(-1e-3, 1e-3), st.floats(-1e-3, 1e-3), st.floats(0.8, 2.0)
)
def test_any_moderate_lens_fits_to_a_fraction_of_a_pixel(
    k1: float, k2: float, p1: float, p2: float, focal: float
) -> None:
    # The corner's radius in units of the focal length scales the terms, so that each lens bends its corner alike.
    r = float(np.hypot(0.5, 0.5 * H / W)) / focal
    matrix = np.array([[focal * W, 0.0, W / 2], [0.0, focal * W, H / 2], [0.0, 0.0, 1.0]])
    coefficients = [k1 / r**2, k2 / r**4, p1, p2]
    fit = fit_lens(opencv_lens(matrix, coefficients, width_px=W, height_px=H), **SENSOR)
    assert fit.rms_px <= fit.worst_px < 1.0
    w, h = frame_size_mm(fit.lens)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 2)) * (w, h)
    np.testing.assert_allclose(distort(fit.lens, undistort(fit.lens, points)), points, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: opencv_lens(MATRIX, [0.1, 0.2, 0.3], width_px=W, height_px=H), "4, 5, 8"),
        (lambda: opencv_lens(MATRIX, [0.0] * 12 + [0.1, 0.0], width_px=W, height_px=H), "tilted sensor"),
        (lambda: opencv_lens(np.eye(4), [0.0] * 4, width_px=W, height_px=H), "3 x 3"),
        (lambda: opencv_lens(MATRIX, [-2.0, 0.0, 0.0, 0.0], width_px=W, height_px=H), "folds|no lens"),
        (lambda: unreal_lens(fx=0.3, fy=0.5, k=(-2.0, 0.0, 0.0)), "no lens"),
    ],
)
def test_what_is_no_lens_is_told(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CalibrationError, match=words) as caught:
        fit_lens(make(), **SENSOR)
    assert all(p.mend for p in caught.value.problems)


def test_the_wrong_sensor_size_shows() -> None:
    other = opencv_lens(MATRIX, [-0.05, 0.0, 0.0, 0.0], width_px=W, height_px=H)
    fit = fit_lens(other, sensor_width_mm=36.0, sensor_height_mm=24.0)
    assert fit.stretch == pytest.approx(24.0 / 20.25)
    assert fit.worst_px > 20.0
