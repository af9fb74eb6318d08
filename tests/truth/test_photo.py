"""`openvolume photo`: the files it writes, what stands in them, and what it says when it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from stage.frames import pan_tilt_roll_from_rotation
from stage.plan import FramePlan, transform_of

CONFIG = """
openvolume: 1
name: tiny
rate: 24
stage:
  eye_m: [0.0, 1.0, 1.6]
  panels:
    small: {width_px: 64, height_px: 64, width_mm: 500, height_mm: 500, nits: 1500}
  walls:
    main: {type: flat, panel: small, columns: 10, rows: 6, position_m: [0.0, 4.0, 0.0]}
  processors:
    p1: {model: simulated}
  canvases:
    main:
      processor: p1
      width_px: 640
      height_px: 384
      encoding: {transfer: pq, peak_nits: 1500, bits: 10, primaries: rec2020}
      tiles:
        - {wall: main}
cameras:
  a:
    sensor:
      mode: uhd
      modes:
        uhd: {width_mm: 28.0, height_mm: 15.75, width_px: 3840, height_px: 2160}
    lens: {focal_length_mm: 35.0, entrance_pupil_m: 0.1}
    pose: {y_m: -0.5, z_m: 1.5}
    inner_on: [main]
scenes:
  grey: {background: [0.18, 0.18, 0.18]}
  dark: {background: [0.01, 0.02, 0.04]}
render: {scale: 4}
"""


def openvolume(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", "from controller.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("config") / "tiny.yaml"
    file.write_text(CONFIG)
    return file


@pytest.fixture(scope="module")
def taken(config: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    out = tmp_path_factory.mktemp("photo") / "made" / "by" / "it"
    return openvolume("photo", config, "--camera", "a", "--pan", "4", "--x", "0.25", "--out", out), out


def test_every_file_is_written(taken) -> None:
    result, out = taken
    assert result.returncode == 0, result.stderr
    files = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert files == {
        "photo.png", "truth.png", "difference.png", "canvases/main.png", "plan.json", "report.json",
    }  # fmt: skip
    for name in ("photo", "truth", "difference"):
        picture = cv2.imread(str(out / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert picture.shape == (1080, 1920, 3)
        assert picture.dtype == np.uint8
    assert "geometry" in result.stdout
    assert str(out / "photo.png") in result.stdout


def test_the_report_has_the_pinned_figures(taken) -> None:
    _, out = taken
    report = json.loads((out / "report.json").read_text())
    assert set(report) == {
        "geometry", "path", "picture", "q", "texels_per_led", "inner_coverage", "scale", "msaa",
    }  # fmt: skip
    assert set(report["geometry"]) == {"mean_px", "p99_px", "kept"}
    assert set(report["path"]) == {"mean_px", "p99_px"}
    assert set(report["picture"]) == {"mean_px", "p99_px", "psnr_db"}
    assert (report["scale"], report["msaa"]) == (1, 4)
    assert report["geometry"]["mean_px"] <= 0.02
    assert report["geometry"]["p99_px"] <= 0.1
    assert report["path"]["mean_px"] <= 0.05
    assert report["path"]["p99_px"] <= 0.15
    assert report["picture"]["psnr_db"] >= 36.0
    assert report["picture"]["mean_px"] is None  # an even grey has nothing to slip
    assert report["q"] == pytest.approx(1920 / 28.0 * 35.0 * 0.5 / 64 / 4.4, rel=0.05)
    assert 1.2 < report["texels_per_led"] < 1.6
    assert report["inner_coverage"] > 0.9


def test_the_plan_is_the_one_drawn(taken) -> None:
    _, out = taken
    plan = msgspec.json.decode((out / "plan.json").read_bytes(), type=FramePlan)
    camera = plan.cameras[0]
    assert camera.id == "a"
    pose = transform_of(camera.stage_from_camera)
    assert pose[:3, 3] == pytest.approx((0.25, -0.5, 1.5))
    assert pan_tilt_roll_from_rotation(pose) == pytest.approx((4.0, 0.0, 0.0), abs=1e-9)
    assert np.array(camera.pupil_m) == pytest.approx(pose[:3, 3] + 0.1 * pose[:3, 1])


def test_the_canvas_is_what_the_processor_got(taken) -> None:
    """18 nit of grey in PQ, ten bits spread over sixteen, at full size."""
    _, out = taken
    canvas = cv2.imread(str(out / "canvases" / "main.png"), cv2.IMREAD_UNCHANGED)
    assert canvas.shape == (384, 640, 3)
    assert canvas.dtype == np.uint16
    codes = canvas >> 6
    assert np.array_equal(canvas, codes << 6 | codes >> 4)
    y = (18.0 / 10_000.0) ** (2610 / 16384)
    signal = ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)
    assert np.abs(codes.astype(float) - 1023.0 * signal).max() <= 2.0
    assert codes.mean() == pytest.approx(1023.0 * signal, abs=0.1)


def test_photo_and_truth_are_the_scene(config: Path, tmp_path: Path) -> None:
    """Another scene, scaled as the show runs: the canvas is four times smaller, the photo looks the same."""
    result = openvolume("photo", config, "--camera", "a", "--scene", "dark", "--scaled", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert cv2.imread(str(tmp_path / "canvases" / "main.png"), cv2.IMREAD_UNCHANGED).shape == (96, 160, 3)
    photo, truth = (cv2.imread(str(tmp_path / name))[540, 960] for name in ("photo.png", "truth.png"))
    # Linear Rec.709 0.01 0.02 0.04, coded for the display; OpenCV gives blue first.
    coded = np.round(255 * (1.055 * np.array([0.04, 0.02, 0.01]) ** (1 / 2.4) - 0.055))
    assert np.abs(truth - coded).max() <= 1
    assert np.abs(photo - coded).max() <= 3
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["scale"], report["msaa"]) == (4, 1)
    assert report["q"] > 5.0


def test_a_camera_that_sees_no_wall_has_no_figures(config: Path, tmp_path: Path) -> None:
    result = openvolume("photo", config, "--camera", "a", "--pan", "180", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["inner_coverage"] == 0.0
    assert report["geometry"]["mean_px"] is None
    assert report["q"] is None
    assert cv2.imread(str(tmp_path / "photo.png")).max() == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--camera", "b"), "controller.unknown_camera --camera: there is no such camera ('b') -> use one of: a"),
        (("--camera", "a", "--scene", "sea"), "sea"),
        (("--camera", "a", "--pan", "nan"), "controller.pose"),
    ],
)
def test_bad_input_is_told_with_exit_two(arguments, told: str, config: Path, tmp_path: Path) -> None:
    result = openvolume("photo", config, *arguments, "--out", tmp_path)
    assert result.returncode == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_that_cannot_be_made_is_told(config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = openvolume("photo", config, "--camera", "a", "--out", tmp_path / "file" / "out")
    assert result.returncode == 2
    assert "controller.out_folder" in result.stderr
