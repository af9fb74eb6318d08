"""`openvolume lens fit`: OpenCV's and Unreal's files and measured points become a lens table that loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.lens_files import lens_through, read_lens_file
from calibration.lens_fit import fit_lens
from calibration.pivot import CalibrationError
from controller.cli import main
from stage.lens import distort
from stage.plan import PlanLens

K = [[2600.0, 0.0, 1931.0], [0.0, 2600.0, 1072.0], [0.0, 0.0, 1.0]]
D = [-0.12, 0.03, 0.0004, -0.0003, -0.004]
FILE_STORAGE = """%YAML:1.0
---
image_width: 3840
image_height: 2160
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 2600., 0., 1931., 0., 2600., 1072., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ -0.12, 0.03, 0.0004, -0.0003, -0.004 ]
"""


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["lens", "fit", *arguments])
    return int(ended.value.code or 0)


def test_opencv_files_become_a_lens_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tracking.lens_table import GridReader, read_lens_table
    from tracking.sample import LensReading

    (tmp_path / "wide.yml").write_text(FILE_STORAGE + "zoom: 0\nfocus_distance_m: 2.5\n")
    tele = {"camera_matrix": [[5200.0, 0, 1930.0], [0, 5200.0, 1078.0], [0, 0, 1]], "dist_coeffs": [0.02, 0, 0, 0, 0],
            "image_width": 3840, "image_height": 2160, "zoom": 65535, "focus_distance_m": 2.5}  # fmt: skip
    (tmp_path / "tele.json").write_text(json.dumps(tele))
    out = tmp_path / "zoom.yaml"
    files = [str(tmp_path / "wide.yml"), str(tmp_path / "tele.json")]
    assert run(*files, "--sensor", "36x20.25", "--model", "du", "--out", str(out)) == 0
    told = capsys.readouterr().out
    assert "focal_length_mm: 24.3750" in told
    assert "px RMS" in told
    table = GridReader(read_lens_table(out))
    wide, middle = (table.apply(LensReading(zoom_raw=zoom_raw)) for zoom_raw in (0.0, 30000.0))
    assert wide.focal_length_mm == pytest.approx(24.375)
    assert 24.4 < (middle.focal_length_mm or 0.0) < 48.7
    assert run(*files, "--sensor", "36x20.25", "--json") == 0
    first: dict[str, Any] = json.loads(capsys.readouterr().out)[0]
    assert first["model"] == "Brown-Conrady U-D"
    assert first["worst_px"] < 0.01


def test_points_of_a_chart_give_the_lens_they_were_seen_through(tmp_path: Path) -> None:
    true = PlanLens(
        focal_length_mm=24.0, sensor_width_mm=36.0, sensor_height_mm=20.25, radial=[2e-4, 0.0, 3e-8],
        tangential=[2e-5, 0.0],
    )  # fmt: skip
    x, y = np.meshgrid(np.linspace(-0.72, 0.72, 17), np.linspace(-0.4, 0.4, 9))
    rays = np.stack([x.ravel(), y.ravel()], axis=-1)
    seen_mm = distort(true, 24.0 * rays)
    px = np.stack([(seen_mm[:, 0] / 36.0 + 0.5) * 3840, (seen_mm[:, 1] / 20.25 + 0.5) * 2160], axis=-1)
    px += np.random.default_rng(1).normal(0.0, 0.05, px.shape)
    file = tmp_path / "chart.csv"
    rows = "\n".join(f"{a},{b},{c},{d}" for (a, b), (c, d) in zip(px.tolist(), rays.tolist(), strict=True))
    file.write_text(f"# width_px: 3840\n# height_px: 2160\n# focus: 1200\nx_px,y_px,ray_x,ray_y\n{rows}\n")
    found = read_lens_file(file)
    assert found.at == {"focus": 1200.0}
    assert found.rms_px == pytest.approx(0.07, abs=0.05)
    fit = fit_lens(found.lens, sensor_width_mm=36.0, sensor_height_mm=20.25, model="Brown-Conrady D-U")
    assert fit.lens.focal_length_mm == pytest.approx(24.0, rel=5e-4)
    off = distort(fit.lens, fit.lens.focal_length_mm * rays) - seen_mm
    assert np.abs(off).max() * 3840 / 36.0 < 0.5


def test_unreal_coefficients(tmp_path: Path) -> None:
    file = tmp_path / "unreal.yaml"
    file.write_text("fx: 0.68\nfy: 1.20888888889\nk1: 0.08\nk2: -0.02\nwidth: 3840\nheight: 2160\n")
    found = read_lens_file(file)
    fit = fit_lens(found.lens, sensor_width_mm=36.0, sensor_height_mm=20.25)
    assert found.kind == "unreal"
    assert fit.lens.model == "Brown-Conrady D-U"
    assert fit.lens.focal_length_mm == pytest.approx(0.68 * 36.0)
    assert fit.worst_px < 0.2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "{"),
        ("a.yaml", "camera_matrix: [1, 2]\nimage_width: 3840\nimage_height: 2160\n"),
        ("a.yaml", "camera_matrix: [2000, 0, x, 0, 1, 1, 0, 0, 1]\nimage_width: 3840\nimage_height: 2160\n"),
        ("a.yaml", "fx: 2600\nfy: 2600\nwidth: 3840\nheight: 2160\n"),
        ("a.json", '{"fx": 0.6, "fy": 1.1}'),
        ("a.csv", "x_px,y_px\n1,2\n"),
        ("a.csv", "# width_px: 3840\n# height_px: 2160\nx_px,y_px,ray_x,ray_y\n1,2,0.1,nan\n"),
        ("a.yaml", "- 1\n"),
    ],
)
def test_what_is_no_lens_is_told(name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CalibrationError) as told:
        read_lens_file(tmp_path / name)
    assert told.value.problems[0].detail
    assert run(str(tmp_path / name), "--sensor", "36x20.25") == 2
    assert "calibration.lens_file" in capsys.readouterr().err


def test_options_that_mean_nothing_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yml").write_text(FILE_STORAGE)
    for options in (["--sensor", "36"], ["--sensor", "36x20.25", "--model", "xy"]):
        assert run(str(tmp_path / "a.yml"), *options) == 2
        assert options[-2] in capsys.readouterr().err
    twice = [str(tmp_path / "a.yml")] * 2
    assert run(*twice, "--sensor", "36x20.25", "--out", str(tmp_path / "t.yaml")) == 2


def test_points_on_a_line_tell_no_lens() -> None:
    x = np.linspace(-0.5, 0.5, 20)
    rays = np.stack([x, np.zeros(20)], axis=-1)
    with pytest.raises(CalibrationError):
        lens_through(3000.0 * rays + 1000.0, rays, width_px=3840, height_px=2160)
    with pytest.raises(CalibrationError):
        lens_through(rays[:4], rays[:4], width_px=3840, height_px=2160)
