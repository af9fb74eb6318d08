"""Lenses as other programs write them to files: OpenCV's calibrations, Unreal's coefficients, measured point pairs.

    OpenCV (YAML, JSON, also cv::FileStorage): camera_matrix, distortion_coefficients, image_width, image_height;
        distortion_model: fisheye (or equidistant) for the fisheye model
    Unreal (YAML, JSON): fx, fy, and where they are not 0 cx, cy (shares of the picture), k1, k2, k3, p1, p2
    points (CSV): x_px, y_px of the picture, ray_x, ray_y (right and down, metres at one metre's distance) of each point

Each may name the encoders it was measured at, `zoom` and `focus` (raw), and `focus_distance_m`, `entrance_pupil_m`;
a CSV file does so in comments above its header (`# width_px: 3840`).
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final

import numpy as np

from calibration.lens_fit import OtherLens, fisheye_lens, opencv_lens, unreal_lens
from calibration.pivot import CalibrationError
from stage.errors import Problem
from stage.frames import Array

FISHEYE: Final = ("fisheye", "equidistant", "kannala_brandt")
LARGEST_BYTES: Final = 4_000_000
FEWEST_POINTS: Final = 12
THINNEST: Final = 0.1
"""Points must be spread by so much of their length across it."""
OPENCV_NAMES: Final = {
    "matrix": ("camera_matrix", "cameraMatrix", "Camera_Matrix", "K", "mtx"),
    "coefficients": ("distortion_coefficients", "Distortion_Coefficients", "dist_coeffs", "distCoeffs", "D", "dist"),
    "width": ("image_width", "width", "width_px", "image_Width"),
    "height": ("image_height", "height", "height_px", "image_Height"),
}


@dataclass(frozen=True, slots=True)
class LensFileFound:
    """A lens read from a file, and what it says of where it was measured."""

    kind: str
    """opencv, fisheye, unreal or points."""
    lens: OtherLens
    at: dict[str, float]
    """zoom, focus, focus_distance_m, entrance_pupil_m, as far as told."""
    rms_px: float = 0.0
    """Points: how far they lie from the model fitted through them."""


def read_lens_file(path: Path, *, width_px: int | None = None, height_px: int | None = None) -> LensFileFound:
    """The lens a file describes. width_px, height_px: of its picture, where the file does not say.

    Raises
    ------
    CalibrationError : the file cannot be read, or describes no lens.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise _error(path, "too long for a lens", None, "give one calibration a file")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _error(path, f"cannot be read: {error}", None, "check the name") from error
    if path.suffix.lower() == ".csv":
        return _points(path, text, width_px, height_px)
    data = _document(path, text)
    at = _where(path, data)
    intrinsics_given = _first(data, OPENCV_NAMES["matrix"])
    size = tuple(
        _count(path, name, given if given is not None else _first(data, OPENCV_NAMES[name]))
        for name, given in (("width", width_px), ("height", height_px))
    )
    if intrinsics_given is not None:
        fisheye = str(data.get("distortion_model", data.get("model", ""))).lower() in FISHEYE
        intrinsics = _numbers(path, "camera_matrix", intrinsics_given)
        if intrinsics.size != 9:
            raise _error(path, "a camera matrix has 9 numbers", int(intrinsics.size), "give 3 rows of 3")
        coefficients = _numbers(path, "distortion_coefficients", _first(data, OPENCV_NAMES["coefficients"]) or [])
        make = fisheye_lens if fisheye else opencv_lens
        if fisheye and coefficients.size != 4:
            raise _error(path, "the fisheye model has 4 coefficients", int(coefficients.size), "give k1 k2 k3 k4")
        lens = make(intrinsics.reshape(3, 3), coefficients.tolist(), width_px=size[0], height_px=size[1])
        return LensFileFound("fisheye" if fisheye else "opencv", lens, at)
    if "fx" in data and "fy" in data:
        v = {name: _number(path, name, data.get(name, 0.0)) for name in ("fx", "fy", "k1", "k2", "k3", "p1", "p2")}
        centre = (_number(path, "cx", data.get("cx", 0.5)), _number(path, "cy", data.get("cy", 0.5)))
        if not (0.0 < v["fx"] < 100.0 and 0.0 < v["fy"] < 100.0):
            raise _error(path, "fx and fy are shares of the picture's size", v["fx"], "for pixels give a camera_matrix")
        unreal = unreal_lens(
            fx=v["fx"], fy=v["fy"], centre=centre, k=(v["k1"], v["k2"], v["k3"]), p=(v["p1"], v["p2"]),
            width_px=size[0], height_px=size[1],
        )  # fmt: skip
        return LensFileFound("unreal", unreal, at)
    raise _error(path, "no lens in it", None, "a camera_matrix (OpenCV), fx and fy (Unreal), or a CSV file of points")


def lens_through(points_px: Array, rays: Array, *, width_px: int, height_px: int) -> tuple[OtherLens, float]:
    """The lens through measured points, square pixels, by linear least squares; and what is left over, RMS px.

    points_px : [n, 2] right and down from the picture's outer corner; rays : [n, 2] right and down, as seen at one
    metre's distance from the entrance pupil.

    Raises
    ------
    CalibrationError : too few points, or all in one place.
    """
    if len(points_px) < FEWEST_POINTS:
        raise _plain(f"{FEWEST_POINTS} points are needed at least", len(points_px), "spread them over the picture")
    spread = np.linalg.svd(rays - rays.mean(axis=0), compute_uv=False)
    if spread[1] < THINNEST * spread[0]:
        raise _plain("the points lie in one place or on one line", None, "spread them over the picture")
    x, y = rays[:, 0], rays[:, 1]
    r2 = x * x + y * y
    one, none = np.ones(len(x)), np.zeros(len(x))
    # x_px = f (x (1 + k1 r2 + k2 r4 + k3 r6) + 2 p1 x y + p2 (r2 + 2 x2)) + cx, and the same down.
    across = np.stack([x, x * r2, x * r2**2, x * r2**3, 2 * x * y, r2 + 2 * x * x, one, none], axis=-1)
    down = np.stack([y, y * r2, y * r2**2, y * r2**3, r2 + 2 * y * y, 2 * x * y, none, one], axis=-1)
    terms, wanted = np.concatenate([across, down]), np.concatenate([points_px[:, 0], points_px[:, 1]])
    scale = np.abs(terms).max(axis=0)
    found, _, rank, _ = np.linalg.lstsq(terms / scale, wanted, rcond=1e-10)
    f, k1, k2, k3, p1, p2, cx, cy = (found / scale).tolist()
    if rank < len(scale) or f <= 0.0:
        raise _plain("the points lie in one place or on one line", None, "spread them over the picture")
    left = (terms @ (found / scale) - wanted).reshape(2, -1)
    intrinsics = np.array([[f, 0.0, cx], [0.0, f, cy], [0.0, 0.0, 1.0]])
    coefficients = [k1 / f, k2 / f, p1 / f, p2 / f, k3 / f]
    lens = opencv_lens(intrinsics, coefficients, width_px=width_px, height_px=height_px, half_pixel=False)
    return lens, float(np.sqrt((left**2).sum(axis=0).mean()))


def _points(path: Path, text: str, width_px: int | None, height_px: int | None) -> LensFileFound:
    told: dict[str, Any] = {}
    lines = text.splitlines()
    while lines and (not lines[0].strip() or lines[0].lstrip().startswith("#")):
        key, _, value = lines.pop(0).strip().lstrip("#").partition(":")
        told[key.strip()] = value.strip()
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    names = ("x_px", "y_px", "ray_x", "ray_y")
    if not rows or any(name not in rows[0] for name in names):
        raise _error(path, "the columns x_px, y_px, ray_x and ray_y are needed", None, "name them in the first line")
    values = np.array([[_number(path, name, row[name]) for name in names] for row in rows])
    width = _count(path, "width_px", width_px if width_px is not None else told.get("width_px"))
    height = _count(path, "height_px", height_px if height_px is not None else told.get("height_px"))
    lens, rms_px = lens_through(values[:, :2], values[:, 2:], width_px=width, height_px=height)
    return LensFileFound("points", lens, _where(path, told), rms_px)


def _document(path: Path, text: str) -> dict[str, Any]:
    """A YAML or JSON mapping; OpenCV's own header and tags are let pass."""
    plain = re.sub(r"^%YAML[:\s].*$", "", text, count=1, flags=re.MULTILINE).replace("!!opencv-matrix", "")
    try:
        if path.suffix.lower() == ".json":
            data = json.loads(plain)
        else:
            from ruamel.yaml import YAML

            data = YAML(typ="safe", pure=True).load(plain)
    except Exception as error:
        raise _error(path, f"neither YAML nor JSON: {str(error).splitlines()[0]}", None, "check the file") from error
    if not isinstance(data, dict):
        raise _error(path, "no mapping of names to values", None, "check the file")
    return data


def _first(data: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((data[name] for name in names if data.get(name) is not None), None)


def _where(path: Path, data: dict[str, Any]) -> dict[str, float]:
    names = ("zoom", "focus", "focus_distance_m", "entrance_pupil_m")
    return {name: _number(path, name, data[name]) for name in names if data.get(name) not in (None, "")}


def _numbers(path: Path, name: str, value: Any) -> Array:
    if isinstance(value, dict):
        value = value.get("data")
    try:
        out = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise _error(path, f"{name} is no list of numbers", None, "check the file") from error
    if not np.all(np.isfinite(out)):
        raise _error(path, f"{name} holds a number that is not finite", None, "check the file")
    return out


def _number(path: Path, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not isfinite(number):
        raise _error(path, f"{name} is no number", value, "check the file")
    return number


def _count(path: Path, name: str, value: Any) -> int:
    if value in (None, ""):
        mend = "say --width and --height, or name them in the file"
        raise _error(path, f"the picture's {name.removesuffix('_px')} is not told", None, mend)
    count = _number(path, name, value)
    if count != int(count) or not 1 <= count <= 100_000:
        raise _error(path, f"{name} is no count of pixels", value, "check the file")
    return int(count)


def _error(path: Path, detail: str, value: object, mend: str) -> CalibrationError:
    return CalibrationError(Problem("calibration.lens_file", str(path), detail, value, mend))


def _plain(detail: str, value: object, mend: str) -> CalibrationError:
    return CalibrationError(Problem("calibration.lens", "points", detail, value, mend))
