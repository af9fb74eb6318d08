"""The compiled stage: what comes out, that an outsider can build the walls again from it, and every refusal.

Small stages for other tests, in one line each:

    stage = compile_config(load_config("demo"))                          # a shipped one
    stage = compile_config(load_config_text(yaml_text))                  # a text
    stage = compile_stage(name="s", rate=Rate(24), stage=section, cameras={}, base_dir=tmp_path)   # sections
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stage.compile import Compilation, OutputDelay, compile_stage, compile_with_warnings
from stage.compiled import CompiledStage, decode_stage, encode_stage
from stage.config import CameraConfig, StageConfig
from stage.errors import ConfigError, Problem
from stage.frames import Array
from stage.published import stage_document
from stage.rate import RATES, Rate

PANEL = {"width_mm": 500, "height_mm": 400, "width_px": 10, "height_px": 8, "nits": 1000}
CAMERA = {
    "sensor": {
        "mode": "uhd",
        "modes": {"uhd": {"width_mm": 36.0, "height_mm": 20.25, "width_px": 3840, "height_px": 2160}},
    },
    "lens": {"focal_length_mm": 35.0},
}


def section(**changes: Any) -> dict[str, Any]:
    """One flat wall of 4 x 3 panels on one canvas; `changes` replace its parts."""
    return {
        "panels": {"p": PANEL},
        "walls": {"w": {"type": "flat", "panel": "p", "columns": 4, "rows": 3, "position_m": [0.0, 3.0, 0.0]}},
        "processors": {"led": {"model": "simulated"}},
        "canvases": {"c": {"processor": "led", "width_px": 40, "height_px": 24, "tiles": [{"wall": "w"}]}},
        **changes,
    }


def compiled(
    stage: dict[str, Any], cameras: dict[str, Any] | None = None, folder: Path = Path(), **more: Any
) -> Compilation:
    return compile_with_warnings(
        name="test",
        rate=more.pop("rate", Rate(24)),
        stage=StageConfig.model_validate_json(json.dumps(stage)),
        cameras={k: CameraConfig.model_validate_json(json.dumps(v)) for k, v in (cameras or {}).items()},
        base_dir=folder,
        **more,
    )


def problems_of(stage: dict[str, Any], cameras: dict[str, Any] | None = None, **more: Any) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        compiled(stage, cameras, **more)
    return caught.value.problems


def test_a_small_stage() -> None:
    result = compiled(section(), {"a": CAMERA})
    stage = result.stage
    assert not result.warnings
    assert isinstance(stage, CompiledStage)
    assert len(stage.cabinets) == 12
    assert stage.canvases["c"].encoding.peak_nits == 1000.0
    assert stage.processors["led"].latency_frames == 1.0
    assert stage.cameras["a"].walls == ("w",)
    assert stage.cameras["a"].overscan_deg is None
    np.testing.assert_allclose(stage.cabinets[0].normal, (0.0, -1.0, 0.0), atol=1e-12)
    assert compile_stage(
        name="test", rate=Rate(24), stage=StageConfig.model_validate_json(json.dumps(section())), cameras={},
        base_dir=Path(),
    ).cabinets[3].rect_px == stage.cabinets[3].rect_px  # fmt: skip


TURNED = section(
    walls={
        "arc": {"type": "arc", "panel": "p", "columns": 7, "rows": 3, "radius_m": 4.0, "centre_m": [0.5, 0.0, 0.1]},
        "sky": {"type": "ceiling", "panel": "p", "columns": 4, "rows": 2, "centre_m": [0.0, 1.0, 3.0]},
    },
    canvases={
        "c": {
            "processor": "led",
            "width_px": 120,
            "height_px": 120,
            "tiles": [
                {"wall": "arc", "wall_px": [0, 0, 30, 24], "at_px": [1, 2], "rotate": 90},
                {"wall": "arc", "wall_px": [30, 0, 40, 8], "at_px": [40, 0], "rotate": 180, "flip": True},
                {"wall": "arc", "wall_px": [30, 8, 40, 16], "at_px": [60, 40], "rotate": 270, "flip": True},
                {"wall": "sky", "at_px": [0, 60], "flip": True},
            ],
        }
    },
)


def led_positions(corners: Array, w: int, h: int) -> Array:
    """[h, w, 3]  middles of the LEDs of a surface: corners lower left, lower right, upper left, upper right."""
    u, v = np.meshgrid((np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h)
    ll, lr, ul, ur = (np.asarray(c, dtype=float) for c in corners)
    top = ul + u[..., None] * (ur - ul)
    bottom = ll + u[..., None] * (lr - ll)
    return np.asarray(top + v[..., None] * (bottom - top))


def test_the_document_alone_builds_the_walls_again() -> None:
    """Canvases painted with stage positions, tile by tile with numpy, agree with the cabinets of the document."""
    compilation = compiled(TURNED)
    document = json.loads(json.dumps(stage_document(compilation.stage)))
    # What each wall pixel's position is, from the walls' own rasters.
    walls = {k: np.full((w["height_px"], w["width_px"], 3), np.nan) for k, w in document["walls"].items()}
    for cabinet in document["cabinets"]:
        x, y, w, h = cabinet["wall_px"]
        walls[cabinet["wall"]][y : y + h, x : x + w] = led_positions(cabinet["corners_m"], w, h)
    assert not any(np.isnan(w).any() for w in walls.values())
    canvas = np.full((120, 120, 3), np.nan)
    for tile in TURNED["canvases"]["c"]["tiles"]:
        wall = walls[tile["wall"]]
        x, y, w, h = tile.get("wall_px", [0, 0, wall.shape[1], wall.shape[0]])
        picture = wall[y : y + h, x : x + w]
        picture = np.rot90(np.fliplr(picture) if tile.get("flip") else picture, -(tile.get("rotate", 0) // 90))
        x, y = tile.get("at_px", [0, 0])
        assert np.isnan(canvas[y : y + picture.shape[0], x : x + picture.shape[1]]).all()
        canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    for cabinet in document["cabinets"]:
        x, y, w, h = cabinet["rect_px"]
        shown = np.rot90(canvas[y : y + h, x : x + w], cabinet["rotate"] // 90)
        shown = np.fliplr(shown) if cabinet["flip"] else shown
        expected = led_positions(cabinet["corners_m"], shown.shape[1], shown.shape[0])
        np.testing.assert_allclose(shown, expected, atol=1e-9)


def test_the_document_has_the_fields_of_the_contract() -> None:
    document = stage_document(compiled(TURNED, {"a": CAMERA}).stage)
    assert set(document) >= {"walls", "canvases", "cabinets", "meshes", "cameras", "processors"}
    assert set(document["canvases"]["c"]) >= {"width_px", "height_px", "rate", "encoding"}
    assert document["canvases"]["c"]["rate"] == "24"
    for cabinet in document["cabinets"]:
        assert set(cabinet) >= {"id", "wall", "panel", "corners_m", "canvas", "rect_px", "rotate", "flip"}
        assert np.shape(cabinet["corners_m"]) == (4, 3)
    assert len({c["id"] for c in document["cabinets"]}) == 29


def test_a_compiled_stage_travels_as_bytes() -> None:
    stage = compiled(TURNED, {"a": CAMERA}).stage
    again = decode_stage(encode_stage(stage))
    assert stage_document(again) == stage_document(stage)
    assert again.rate == stage.rate


def test_a_mesh_wall_compiles_and_travels(tmp_path: Path) -> None:
    (tmp_path / "m.obj").write_text(
        "v -1 0 -3\nv 1 0 -3\nv 1 2 -3\nv -1 2 -3\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nf 1/1 2/2 3/3 4/4\n"
    )
    stage = section(
        walls={"m": {"type": "mesh", "file": "m.obj", "width_px": 20, "height_px": 20, "nits": 500}},
        canvases={"c": {"processor": "led", "width_px": 30, "height_px": 20, "tiles": [{"wall": "m", "rotate": 90}]}},
    )
    result = compiled(stage, folder=tmp_path).stage
    (mesh,) = result.meshes
    assert not result.cabinets
    assert result.walls["m"].width_m == pytest.approx(2.0)
    again = decode_stage(encode_stage(result)).meshes[0]
    assert np.array_equal(again.triangles, mesh.triangles)
    assert np.array_equal(again.positions_m, mesh.positions_m)
    assert problems_of(stage, folder=tmp_path / "elsewhere")[0].path == "stage/walls/m/file"


def test_cameras_carry_mode_lens_mount_and_overscan() -> None:
    camera = {
        **CAMERA,
        "sensor": {
            "mode": "anamorphic",
            "modes": {
                "anamorphic": {
                    "width_mm": 22.0, "height_mm": 18.0, "width_px": 3424, "height_px": 2800, "squeeze": 2.0,
                    "projection_offset_mm": [0.1, -0.2], "readout_ms": 7.5,
                    "frame_lines": {"scope": {"width_px": 3300, "height_px": 2760, "offset_px": [10, 20]}},
                },
                "full": {"width_mm": 36.0, "height_mm": 24.0, "width_px": 6000, "height_px": 4000},
            },
        },
        "lens": {"focal_length_mm": 50.0, "entrance_pupil_m": 0.2, "radial": [1e-5, 0.0, 1e-9], "f_stop": 2.8},
        "mount": {"y_m": 0.1, "tilt_deg": 90.0},
        "pose": {"x_m": 1.0, "pan_deg": 90.0},
        "overscan": {"mode": "fixed", "left_deg": 1.0, "right_deg": 2.0, "top_deg": 3.0, "bottom_deg": 4.0},
        "inner_on": ["w"],
        "rank": 3,
    }  # fmt: skip
    result = compiled(section(), {"b": CAMERA, "a": camera}).stage
    a = result.cameras["a"]
    assert a.resolution_px == (3424, 2800)
    assert (a.lens.squeeze, a.lens.projection_offset_mm, a.readout_ms) == (2.0, (0.1, -0.2), 7.5)
    assert a.overscan_deg == (1.0, 2.0, 3.0, 4.0)
    assert (a.rank, a.slot) == (3, 1)
    assert (result.cameras["b"].rank, result.cameras["b"].slot) == (0, 0)
    np.testing.assert_allclose(a.default_stage_from_camera[:3, 1], (-1.0, 0.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(a.body_from_sensor[:3, 1], (0.0, 0.0, 1.0), atol=1e-12)
    document = stage_document(result)["cameras"]["a"]
    assert document["picture_mm"] == [44.0, 18.0]
    assert document["field_of_view_deg"][0] == pytest.approx(2 * np.degrees(np.arctan(22 / 50)), abs=0.01)


def test_delays_reach_canvas_and_processor() -> None:
    stage = section(processors={"led": {"model": "simulated", "latency_frames": 2.0}})
    result = compiled(stage, delays={"c": OutputDelay(delay_frames=1, delay_ms=62.5)}).stage
    assert result.canvases["c"].delay_frames == 1
    assert result.processors["led"].latency_frames == pytest.approx(3.5)
    assert problems_of(stage, delays={"d": OutputDelay()})[0].path == "outputs/d"


def change(tree: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    out = json.loads(json.dumps(tree))
    at = out
    *parents, last = path.split("/")
    for key in parents:
        at = at[int(key)] if isinstance(at, list) else at[key]
    at[last] = value
    return out


@pytest.mark.parametrize(
    ("path", "value", "code", "where"),
    [
        ("walls/w/panel", "q", "stage.unknown_panel", "stage/walls/w/panel"),
        ("processors/led/model", "sx41", "stage.unknown_model", "stage/processors/led/model"),
        ("canvases/c/processor", "lad", "stage.unknown_processor", "stage/canvases/c/processor"),
        ("canvases/c/tiles", [{"wall": "w"}, {"wall": "w"}], "stage.tiles_overlap", "stage/canvases/c/tiles/1"),
        ("canvases/d", {"processor": "led", "width_px": 9, "height_px": 9, "tiles": [{"wall": "w"}]},
         "stage.processor_taken", "stage/canvases/d/processor"),
    ],
)  # fmt: skip
def test_bad_references_are_refused(path: str, value: Any, code: str, where: str) -> None:
    problems = problems_of(change(section(), path, value))
    assert (code, where) in [(p.code, p.path) for p in problems]


@pytest.mark.parametrize(
    ("path", "value", "code", "where"),
    [
        ("sensor/mode", "uh", "stage.unknown_mode", "cameras/a/sensor/mode"),
        ("inner_on", ["w", "v"], "stage.unknown_wall", "cameras/a/inner_on/1"),
        ("lens/radial", [-0.01], "stage.lens_fold", "cameras/a/lens/radial"),
        ("lens/radial", [0.05], "stage.lens_fold", "cameras/a/lens/radial"),
        ("sensor/modes/uhd/frame_lines", {"f": {"width_px": 3800, "height_px": 2160, "offset_px": [30, 0]}},
         "stage.out_of_range", "cameras/a/sensor/modes/uhd/frame_lines/f"),
    ],
)  # fmt: skip
def test_bad_cameras_are_refused(path: str, value: Any, code: str, where: str) -> None:
    problems = problems_of(section(), {"a": change(CAMERA, path, value)})
    assert [(p.code, p.path) for p in problems] == [(code, where)]
    assert problems[0].mend


def test_two_cameras_of_one_rank_are_refused() -> None:
    problems = problems_of(section(), {"a": {**CAMERA, "rank": 1}, "b": CAMERA})
    assert [(p.code, p.path) for p in problems] == [("stage.same_rank", "cameras/b/rank")]


def test_every_fault_is_told_at_once() -> None:
    stage = change(change(section(), "canvases/c/tiles", [{"wall": "v"}]), "processors/led/model", "none")
    problems = problems_of(stage, {"a": change(CAMERA, "sensor/mode", "x")}, scale=7)
    assert {p.code for p in problems} == {
        "stage.unknown_wall", "stage.unknown_model", "stage.unknown_mode", "stage.scale"
    }  # fmt: skip


def test_the_scale_divides_every_canvas() -> None:
    assert compiled(section(), scale=2).warnings == ()
    assert compiled(section(), scale=4).warnings[0].code == "stage.scale_edges"
    (problem,) = problems_of(section(), scale=16)
    assert (problem.code, problem.path, problem.value) == ("stage.scale", "render/scale", 16)


def test_over_capacity_names_the_canvas() -> None:
    stage = change(section(), "processors/led/model", "brompton_tessera_m2")
    stage = change(change(stage, "canvases/c/width_px", 1928), "canvases/c/height_px", 1088)
    problems = problems_of(stage)
    assert {p.path for p in problems} == {
        "stage/canvases/c", "stage/canvases/c/width_px", "stage/canvases/c/height_px"
    }  # fmt: skip
    # What fits at 60 does not at 120.
    stage = change(change(stage, "canvases/c/width_px", 1600), "canvases/c/height_px", 1000)
    compiled(stage, rate=RATES["60"])
    assert problems_of(stage, rate=RATES["120"])[0].code == "stage.over_capacity"


@pytest.mark.parametrize(
    ("encoding", "codes"),
    [
        ({"transfer": "srgb", "peak_nits": 1000}, []),
        ({"transfer": "srgb", "peak_nits": 800}, ["stage.peak_under_wall"]),
        ({"transfer": "srgb", "peak_nits": 1200}, ["stage.peak_over_wall"]),
        ({"transfer": "pq", "peak_nits": 800}, []),
        ({"transfer": "pq", "peak_nits": 1200}, ["stage.peak_over_wall"]),
    ],
)
def test_peaks_that_do_not_fit_the_wall_are_warned_of(encoding: dict[str, Any], codes: list[str]) -> None:
    assert [w.code for w in compiled(change(section(), "canvases/c/encoding", encoding)).warnings] == codes


def test_more_warnings() -> None:
    stage = change(change(section(), "walls/w/nits", 1100), "processors/spare", {"model": "simulated"})
    assert [w.code for w in compiled(stage).warnings] == ["stage.over_panel", "stage.unused"]
