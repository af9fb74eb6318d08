"""Lenses of other programs in OpenLensIO terms, by fitting: OpenCV's pinhole and fisheye models, Unreal's spherical.

Their coefficients cannot be copied: OpenCV's polynomial runs the other way, has terms OpenLensIO lacks (thin prism,
tilt) and another order; Unreal's are in units of its own. A grid over the picture goes through the other model exactly,
an OpenLensIO distortion is fitted to it by least squares, and what is left over is told in pixels of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np

from calibration.pivot import CalibrationError
from stage.errors import Problem
from stage.frames import Array
from stage.lens import D_U, U_D, LensError, distort, distortion_fault, frame_size_mm, reach_mm, undistort
from stage.plan import PlanLens

GRID: Final = (41, 25)
GOOD_PX: Final = 0.02
"""Below so much left over no more terms are tried."""
HOPELESS: Final = 0.05
"""More than this share of the picture's width left over is no likeness."""

Bend = Callable[[Array], Array]
"""Points to points, [n, 2], in units of the focal length, x right, y down, from the optical axis."""


@dataclass(frozen=True, slots=True)
class OtherLens:
    """A lens as another program describes it, for a picture of a known size.

    fx, fy, cx, cy are in pixels of a picture `width_px` x `height_px` whose outer corner is (0, 0); programs that put
    (0, 0) into the middle of the first pixel (OpenCV's calibration does) have cx and cy half a pixel less.
    """

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    undistorted_to_distorted: Bend | None
    """The model's own direction, if it is this one."""
    distorted_to_undistorted: Bend | None
    """The model's own direction, if it is this one."""


@dataclass(frozen=True, slots=True)
class LensFit:
    """An OpenLensIO lens, and how far it is from the one it stands for."""

    lens: PlanLens
    rms_px: float
    """Root mean square over the picture of the distances left over, in its pixels."""
    worst_px: float
    worst_mm: float
    stretch: float
    """fy over fx in millimetres on the sensor: 1 for square pixels and the right sensor size and squeeze."""


def opencv_lens(
    intrinsics_px: Array, coefficients: Sequence[float], *, width_px: int, height_px: int, half_pixel: bool = True
) -> OtherLens:
    """OpenCV's model: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4]]], distances in units of the focal length.

    half_pixel : (0, 0) is the middle of the first pixel, as `calibrateCamera` has it.

    Raises
    ------
    CalibrationError : another count of coefficients, or intrinsics with skew.
    """
    k = np.asarray(intrinsics_px, dtype=np.float64)
    c = [float(v) for v in np.ravel(coefficients)]
    if len(c) == 14 and any(c[12:]):
        raise _error("a tilted sensor (tauX, tauY) has no counterpart", c[12:], "calibrate without the tilted model")
    if len(c) not in (0, 4, 5, 8, 12, 14):
        raise _error("OpenCV has 0, 4, 5, 8, 12 or 14 coefficients", len(c), "give k1 k2 p1 p2 k3 ...")
    if k.shape != (3, 3) or k[0, 1] != 0.0:
        raise _error("a 3 x 3 camera matrix without skew is needed", None, "give the one `calibrateCamera` found")
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = (*c, *([0.0] * 12))[:12]

    def bend(points: Array) -> Array:
        x, y = points[:, 0], points[:, 1]
        r2 = x * x + y * y
        ratio = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        return np.stack([
            x * ratio + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + r2 * s2),
            y * ratio + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + r2 * s4),
        ], axis=-1)  # fmt: skip

    shift = 0.5 if half_pixel else 0.0
    return OtherLens(width_px, height_px, k[0, 0], k[1, 1], k[0, 2] + shift, k[1, 2] + shift, bend, None)


def fisheye_lens(
    intrinsics_px: Array, coefficients: Sequence[float], *, width_px: int, height_px: int, half_pixel: bool = True
) -> OtherLens:
    """OpenCV's fisheye model: the angle theta from the axis becomes theta (1 + k1 theta^2 + ... + k4 theta^8)."""
    k = np.asarray(intrinsics_px, dtype=np.float64)
    k1, k2, k3, k4 = (float(v) for v in np.ravel(coefficients))

    def bend(points: Array) -> Array:
        r = np.hypot(points[:, 0], points[:, 1])
        t = np.arctan(r)
        t2 = t * t
        bent = t * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
        return points * np.where(r > 1e-12, bent / np.maximum(r, 1e-12), 1.0)[:, None]

    shift = 0.5 if half_pixel else 0.0
    return OtherLens(width_px, height_px, k[0, 0], k[1, 1], k[0, 2] + shift, k[1, 2] + shift, bend, None)


def unreal_lens(
    *,
    fx: float,
    fy: float,
    centre: tuple[float, float] = (0.5, 0.5),
    k: tuple[float, float, float] = (0.0, 0.0, 0.0),
    p: tuple[float, float] = (0.0, 0.0),
    width_px: int = 3840,
    height_px: int = 2160,
) -> OtherLens:
    """Unreal's spherical lens model: fx, fy and the image centre as shares of the picture's width and height; its
    polynomial leads from the distorted picture to the undistorted one."""
    k1, k2, k3 = k
    p1, p2 = p

    def unbend(points: Array) -> Array:
        x, y = points[:, 0], points[:, 1]
        r2 = x * x + y * y
        ratio = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        return np.stack([
            x * ratio + p2 * (r2 + 2 * x * x) + 2 * p1 * x * y,
            y * ratio + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ], axis=-1)  # fmt: skip

    return OtherLens(
        width_px, height_px, fx * width_px, fy * height_px, centre[0] * width_px, centre[1] * height_px, None, unbend
    )


def fit_lens(
    other: OtherLens,
    *,
    sensor_width_mm: float,
    sensor_height_mm: float,
    squeeze: float = 1.0,
    model: Literal["Brown-Conrady D-U", "Brown-Conrady U-D"] | None = None,
) -> LensFit:
    """The OpenLensIO lens nearest another program's.

    sensor_width_mm, sensor_height_mm : the sensor's active area the picture shows, before desqueezing; model : which
    way its polynomial shall run (programs that read only one want D-U); None: whichever comes nearer.

    Raises
    ------
    CalibrationError : the other model cannot be evaluated over its picture, or nothing that is a lens comes near it.
    """
    width_mm = sensor_width_mm * squeeze
    x_mm, y_mm = width_mm / other.width_px, sensor_height_mm / other.height_px
    offset = ((other.cx_px - other.width_px / 2) * x_mm, (other.cy_px - other.height_px / 2) * y_mm)
    plain = PlanLens(
        focal_length_mm=float(other.fx_px * x_mm), sensor_width_mm=sensor_width_mm, sensor_height_mm=sensor_height_mm,
        squeeze=squeeze, projection_offset_mm=(float(offset[0]), float(offset[1])),
    )  # fmt: skip
    distorted, undistorted = _pairs(other, plain)
    own = D_U if other.distorted_to_undistorted is not None else U_D
    best: LensFit | None = None
    for direction in (own, D_U if own == U_D else U_D) if model is None else (model,):
        lens = msgspec.structs.replace(plain, model=direction)
        for numerator, denominator in ((1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2), (3, 3)):
            found = _fitted(other, lens, distorted, undistorted, numerator, denominator)
            if found is not None and (best is None or found.worst_px < 0.7 * best.worst_px):
                best = found
            if best is not None and best.worst_px < GOOD_PX:
                return best
    if best is None or best.worst_px > HOPELESS * other.width_px:
        mend = "check their order, their units and the picture's size"
        raise _error("no lens comes near these coefficients", None, mend)
    return best


def _fitted(
    other: OtherLens, plain: PlanLens, distorted: Array, undistorted: Array, numerator: int, denominator: int
) -> LensFit | None:
    """The lens with so many terms, and what it leaves over in the picture; None when it is no lens."""
    offset = np.asarray(plain.projection_offset_mm)
    pairs = (distorted - offset, undistorted - offset)
    start = _linear(*(pairs if plain.model == D_U else pairs[::-1]), numerator, denominator)
    lens = _refined(plain, distorted, undistorted, start, numerator, denominator)
    if lens is None:
        return None
    try:
        left = distort(lens, undistorted) - distorted
    except LensError:
        return None
    w, h = frame_size_mm(plain)
    far_mm = np.hypot(left[:, 0], left[:, 1])
    far_px = np.hypot(left[:, 0] * other.width_px / w, left[:, 1] * other.height_px / h)
    return LensFit(
        lens, float(np.sqrt(np.mean(far_px**2))), float(far_px.max()), float(far_mm.max()), _stretch(other, plain)
    )


def _pairs(other: OtherLens, lens: PlanLens) -> tuple[Array, Array]:
    """Points of the picture as photographed and as a pinhole would have them, [n, 2] mm each."""
    w, h = frame_size_mm(lens)
    x, y = np.meshgrid(np.linspace(-w / 2, w / 2, GRID[0]), np.linspace(-h / 2, h / 2, GRID[1]))
    distorted = np.stack([x.ravel(), y.ravel()], axis=-1)
    offset = np.asarray(lens.projection_offset_mm)
    focal_mm = lens.focal_length_mm * np.array([1.0, _stretch(other, lens)])
    bent = (distorted - offset) / focal_mm
    if other.distorted_to_undistorted is not None:
        straight = other.distorted_to_undistorted(bent)
    else:
        assert other.undistorted_to_distorted is not None
        straight = _inverse(other.undistorted_to_distorted, bent)
    if not np.all(np.isfinite(straight)):
        raise _error("the other model breaks down within its picture", None, "check the coefficients and their order")
    return distorted, straight * lens.focal_length_mm + offset


def _stretch(other: OtherLens, lens: PlanLens) -> float:
    """fy over fx in millimetres on the sensor."""
    w, h = frame_size_mm(lens)
    return float((other.fy_px * h / other.height_px) / (other.fx_px * w / other.width_px))


def _inverse(bend: Bend, target: Array) -> Array:
    """Points that `bend` leads to `target`, by Newton with a numeric Jacobian, damped where it would leap."""
    x = np.array(target)
    step = 1e-6
    right, down = np.array([step, 0.0]), np.array([0.0, step])
    for _ in range(60):
        error = bend(x) - target
        if float(np.abs(error).max()) < 1e-13:
            break
        dx = (bend(x + right) - bend(x - right)) / (2 * step)
        dy = (bend(x + down) - bend(x - down)) / (2 * step)
        det = dx[:, 0] * dy[:, 1] - dy[:, 0] * dx[:, 1]
        move = np.stack([
            (error[:, 0] * dy[:, 1] - error[:, 1] * dy[:, 0]) / det,
            (error[:, 1] * dx[:, 0] - error[:, 0] * dx[:, 1]) / det,
        ], axis=-1)  # fmt: skip
        most = 0.3 * (0.1 + np.hypot(x[:, 0], x[:, 1]))
        size = np.hypot(move[:, 0], move[:, 1])
        x -= move * np.minimum(1.0, most / np.maximum(size, 1e-300))[:, None]
    left = float(np.abs(bend(x) - target).max())
    if not left < 1e-9:
        raise _error(
            "the other model folds within its picture",
            None,
            "check the coefficients and their order; they hold only over the picture they were measured on",
        )
    return x


def _linear(points: Array, targets: Array, numerator: int, denominator: int) -> Array:
    """Coefficients by linear least squares, for lengths in units of the farthest point: radial above, radial below,
    two tangential. points, targets : [n, 2] mm from the centre."""
    scale = _scale(points)
    x, y = points[:, 0] / scale, points[:, 1] / scale
    u, v = targets[:, 0] / scale, targets[:, 1] / scale
    r2 = x * x + y * y
    powers = np.stack([r2, r2**2, r2**3], axis=-1)
    below = np.ones(len(x))
    solution = np.zeros(numerator + denominator + 2)
    # A denominator makes the problem bilinear: weighted by its last value it settles in a few turns.
    for _ in range(8 if denominator else 1):
        weight = 1.0 / below
        columns = [
            *(np.concatenate([x * powers[:, i] * weight, y * powers[:, i] * weight]) for i in range(numerator)),
            *(np.concatenate([-u * powers[:, i] * weight, -v * powers[:, i] * weight]) for i in range(denominator)),
            np.concatenate([2 * x * y, r2 + 2 * y * y]),
            np.concatenate([r2 + 2 * x * x, 2 * x * y]),
        ]
        wanted = np.concatenate([(u - x) * weight, (v - y) * weight])
        solution = np.linalg.lstsq(np.stack(columns, axis=-1), wanted, rcond=1e-12)[0]
        below = 1.0 + powers[:, :denominator] @ solution[numerator : numerator + denominator]
        if below.min() < 0.05:
            break
    return solution


def _refined(
    plain: PlanLens, distorted: Array, undistorted: Array, start: Array, numerator: int, denominator: int
) -> PlanLens | None:
    """The lens nearest the pairs, its distortion's centre free, by Levenberg-Marquardt; None when it is no lens.

    What is left over is weighed as it shows in the picture: the same angle is fewer pixels where a barrel squeezes it.
    """
    forth, back = (distorted, undistorted) if plain.model == D_U else (undistorted, distorted)
    scale = _scale(forth - np.asarray(plain.projection_offset_mm))
    pixel = _bent_by(distorted, undistorted) if plain.model == D_U else np.ones(len(distorted))
    bend = undistort if plain.model == D_U else distort

    def lens_of(c: Array) -> PlanLens:
        radial = [0.0] * (2 * max(numerator, denominator) - (1 if denominator < numerator else 0))
        for i in range(numerator):
            radial[2 * i] = float(c[i]) / scale ** (2 * i + 2)
        for i in range(denominator):
            radial[2 * i + 1] = float(c[numerator + i]) / scale ** (2 * i + 2)
        k = numerator + denominator
        return msgspec.structs.replace(
            plain,
            radial=radial,
            tangential=[float(v) / scale for v in c[k : k + 2]],
            distortion_offset_mm=(float(c[k + 2]) * scale, float(c[k + 3]) * scale),
        )

    def left(c: Array) -> Array:
        return np.asarray(((bend(lens_of(c), forth) - back) / pixel[:, None] / scale).ravel())

    c = np.concatenate([start, [0.0, 0.0]])
    with np.errstate(all="ignore"):
        error, damping = left(c), 1e-6
        for _ in range(15):
            slope = np.stack([(left(c + d) - left(c - d)) / 2e-6 for d in 1e-6 * np.eye(len(c))], axis=-1)
            normal = slope.T @ slope
            move = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-12), slope.T @ error)
            tried = left(c - move)
            if not np.all(np.isfinite(tried)) or tried @ tried > error @ error:
                damping *= 10.0
                if damping > 1e6:
                    break
                continue
            done = error @ error - tried @ tried < 1e-5 * (error @ error) + 1e-22
            c, error, damping = c - move, tried, max(damping / 10.0, 1e-12)
            if done:
                break
        lens = lens_of(c)
    return None if distortion_fault(lens.radial, reach_mm(lens)) else lens


def _bent_by(distorted: Array, undistorted: Array) -> Array:
    """How many times farther apart the undistorted points lie than the distorted ones, [n], by the grid's steps."""
    a, b = (v.reshape(GRID[1], GRID[0], 2) for v in (distorted, undistorted))
    areas = []
    for points in (a, b):
        down, across = (np.asarray(step) for step in np.gradient(points, axis=(0, 1)))
        areas.append(np.abs(across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]))
    return np.asarray(np.sqrt(areas[1] / areas[0]).ravel())


def _scale(points: Array) -> float:
    return float(np.hypot(points[:, 0], points[:, 1]).max())


def _error(detail: str, value: object, mend: str) -> CalibrationError:
    return CalibrationError(Problem("calibration.lens", "lens", detail, value, mend))
