"""The whole configuration: shipped files, cross references, and what an installation promises."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import configs
from controller.config import (
    LoadedConfig,
    compile_config,
    compile_loaded,
    config_path,
    config_schema,
    is_loopback,
    load_config,
    load_config_data,
    load_config_text,
)
from controller.schema import SCHEMAS, schema_text
from stage.compiled import CompiledStage
from stage.documents import read_yaml
from stage.errors import ConfigError, Problem
from stage.frames import pose_from_pan_tilt_roll
from stage.lens import frame_size_mm, tangents_of_image
from stage.rate import Rate

SMALL = """\
openvolume: 1
name: small
rate: 24
stage:
  walls:
    main:
      type: flat
      panel: roe_bp2v2
      columns: 2
      rows: 1
      position_m: [0.0, 3.0, 0.0]
  processors:
    led:
      model: simulated
  canvases:
    main:
      processor: led
      width_px: 352
      height_px: 176
      tiles:
        - wall: main
cameras:
  a:
    sensor:
      mode: uhd
      modes:
        uhd:
          width_mm: 36.0
          height_mm: 20.25
          width_px: 3840
          height_px: 2160
    lens:
      focal_length_mm: 35.0
tracking:
  sources:
    t:
      protocol: freed
      listen: 127.0.0.1:40000
      camera: a
scenes:
  grey:
    background: [0.18, 0.18, 0.18]
"""


def refused(text: str, base_dir: Path | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        compile_loaded(load_config_text(text, base_dir=base_dir))
    return caught.value.problems


@pytest.mark.parametrize("name", configs.SHIPPED)
def test_shipped_configurations_compile(name: str) -> None:
    loaded = load_config(name)
    compilation = compile_loaded(loaded)
    assert loaded.name == name
    assert loaded.path == configs.find(name)
    # Files of scenes count too.
    alone = loaded.sha256 == hashlib.sha256(configs.find(name).read_bytes()).hexdigest()
    assert alone == (not loaded.scene_files)
    assert not compilation.warnings
    assert compilation.stage.cabinets
    # Block style: no flow mappings, and every figure keeps its unit.
    assert "{" not in "".join(line.split("#")[0] for line in loaded.source.splitlines())


@pytest.mark.parametrize("name", configs.SHIPPED)
def test_shipped_configurations_fit_the_schema(name: str) -> None:
    jsonschema.validate(read_yaml(configs.find(name).read_bytes()).data, config_schema())


def inner_share(stage: CompiledStage, x_m: float, y_m: float, z_m: float, pan_deg: float) -> float:
    """Share of the picture of camera `a` whose rays meet a cabinet of a wall its inner shows on, from its front."""
    camera = stage.cameras["a"]
    w, h = frame_size_mm(camera.lens)
    px, py = np.meshgrid((np.arange(48) + 0.5) / 48 - 0.5, (np.arange(27) + 0.5) / 27 - 0.5)
    tangents = tangents_of_image(camera.lens, np.stack([px * w, py * h], axis=-1).reshape(-1, 2))
    pose = pose_from_pan_tilt_roll((x_m, y_m, z_m), pan_deg=pan_deg)
    pupil = pose[:3, :3] @ (0.0, camera.lens.entrance_pupil_m, 0.0) + pose[:3, 3]
    rays = np.column_stack([tangents[:, 0], np.ones(len(tangents)), tangents[:, 1]]) @ pose[:3, :3].T
    hit = np.zeros(len(rays), dtype=bool)
    for cabinet in stage.cabinets:
        if cabinet.wall not in camera.walls:
            continue
        ll, lr, ul, _ = cabinet.corners_m
        normal = np.cross(lr - ll, ul - ll)
        facing = rays @ normal
        with np.errstate(divide="ignore", invalid="ignore"):
            t = ((ll - pupil) @ normal) / facing
            at = pupil + t[:, None] * rays - ll
            u, v = at @ (lr - ll) / ((lr - ll) @ (lr - ll)), at @ (ul - ll) / ((ul - ll) @ (ul - ll))
            hit |= (facing < 0) & (t > 0) & (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    return float(hit.mean())


def test_demo_is_what_it_says() -> None:
    stage = compile_config(load_config("demo"))
    arc = stage.walls["arc"]
    assert (arc.width_m, arc.height_m) == pytest.approx((12.0, 5.0))
    corners = np.array([c.corners_m for c in stage.cabinets if c.wall == "arc"])
    # The nearest points of a faceted arc are the middles of its facets' edges.
    nearest = min(float(np.hypot(*((c[0] + c[1]) / 2.0)[:2])) for c in corners)
    assert nearest >= 3.0
    assert abs(float(corners[..., 0].mean())) < 1e-9
    assert float(corners[..., 1].min()) > 0.0
    assert stage.walls["ceiling"].kind == "ceiling"
    assert len(stage.processors) == 2
    assert all(load_config("demo").config.stage.processors[p].simulated for p in stage.processors)
    assert stage.rate == Rate(24)
    assert list(stage.cameras) == ["a"]
    pixels = sum(c.width_px * c.height_px for c in stage.canvases.values())
    assert pixels / stage.scale**2 <= 300_000
    assert all(c.width_px % stage.scale == 0 and c.height_px % stage.scale == 0 for c in stage.canvases.values())
    assert {c.encoding.transfer for c in stage.canvases.values()} == {"gamma24", "pq"}


def test_demo_camera_sees_the_inner_wherever_it_may_stand() -> None:
    stage = compile_config(load_config("demo"))
    rng = np.random.default_rng(7)
    places = [(1.5 * np.cos(a), 1.5 * np.sin(a)) for a in np.radians(range(0, 360, 45))]
    places += [tuple(p) for p in rng.uniform(-1.0, 1.0, (10, 2))]
    worst = min(inner_share(stage, x, y, z, pan) for x, y in places for z in (1.0, 2.0) for pan in (-25.0, 0.0, 25.0))
    assert worst >= 0.3


def test_yongchuan_is_what_it_says() -> None:
    loaded = load_config("yongchuan")
    stage = compile_config(loaded)
    arc = stage.walls["arc"]
    assert (arc.columns, arc.rows) == (84, 14)
    assert (arc.width_m, arc.height_m) == pytest.approx((42.0, 7.0))
    assert arc.pitch_mm == pytest.approx(1.953, abs=0.0005)
    assert arc.nits == 2600.0
    assert arc.width_px * arc.height_px == pytest.approx(77e6, rel=0.01)
    assert sum(w.kind == "ceiling" for w in stage.walls.values()) == 3
    assert loaded.config.stage.panels
    assert all(p.model == "brompton_tessera_sx40" for p in stage.processors.values())
    assert all(0.0 < p.load["share"] <= 1.0 for p in stage.processors.values())
    assert sum(c.wall_rect_px[2] * c.wall_rect_px[3] for c in stage.cabinets if c.wall == "arc") == 21504 * 3584


def test_minimal_is_one_flat_wall_and_well_told() -> None:
    loaded = load_config("minimal")
    stage = compile_config(loaded)
    assert [w.kind for w in stage.walls.values()] == ["flat"]
    notes = sum(line.lstrip().startswith("#") for line in loaded.source.splitlines())
    assert notes >= 10


def test_a_copy_of_a_shipped_file_may_lie_anywhere(tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    copy.write_text(configs.find("minimal").read_text().replace("name: minimal", "name: mine"))
    loaded = load_config(copy)
    assert loaded.base_dir == tmp_path
    assert compile_config(loaded).name == "mine"


def test_a_file_goes_before_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config_path("demo") == configs.find("demo")
    (tmp_path / "demo").write_text(SMALL)
    assert load_config("demo").name == "small"


@pytest.mark.parametrize(("name", "said"), [("nope", "no such file"), (".", "is a folder"), ("x\x00y", "no such file")])
def test_other_names_are_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(name)
    assert caught.value.problems[0].code == "controller.config_file"
    assert said in caught.value.problems[0].detail
    assert "demo" in caught.value.problems[0].mend


def line(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("camera: a\n", "camera: b\n", "stage.unknown_camera", "tracking/sources/t/camera"),
        ("listen: 127.0.0.1:40000", "listen: here", "stage.bad_value", "tracking/sources/t"),
        ("protocol: freed", "protocol: smoke", "stage.not_one_of", "tracking/sources/t/protocol"),
        ("    background: [0.18, 0.18, 0.18]", "    gltf: gone.glb", "renderer.scene_file", "scenes/grey/gltf/0"),
        ("    background: [0.18, 0.18, 0.18]", "    dome:\n      file: gone.hdr", "renderer.scene_file",
         "scenes/grey/dome/file"),
        ("    background: [0.18, 0.18, 0.18]", "    position: p", "stage.unknown_position", "scenes/grey/position"),
        ("scenes:", "outputs:\n  mainn: {}\nscenes:", "stage.unknown_canvas", "outputs/mainn"),
        ("scenes:", "render:\n  scale: 3\nscenes:", "stage.scale", "render/scale"),
        ("openvolume: 1", "openvolume: 2", "stage.not_one_of", "openvolume"),
        ("name: small", "name: Small Stage", "stage.bad_text", "name"),
        ("rate: 24", "rate: 23", "stage.bad_value", "rate"),
        ("        - wall: main", "        - wall: mian", "stage.unknown_wall", "stage/canvases/main/tiles/0/wall"),
        ("      columns: 2", "      colums: 2", "stage.unknown_key", "stage/walls/main/colums"),
    ],
)  # fmt: skip
def test_one_fault_gives_one_problem_with_its_line(old: str, new: str, code: str, path: str, tmp_path: Path) -> None:
    text = SMALL.replace(old, new)
    assert text != SMALL
    problems = refused(text, tmp_path)
    found = [p for p in problems if p.code == code]
    assert [p.path for p in found] == [path], problems
    # On the changed line itself, or within the block it opens.
    assert found[0].line is not None
    assert line(text, new) <= found[0].line + 2
    assert found[0].line <= line(text, new) + new.count("\n") + 1
    assert found[0].mend


def test_every_fault_of_a_file_is_told_at_once() -> None:
    text = SMALL.replace("rate: 24", "rate: 23").replace("columns: 2", "columns: 0").replace("  a:\n", "  A:\n")
    assert {p.code for p in refused(text)} == {"stage.bad_value", "stage.out_of_range", "stage.bad_id"}


def test_warnings() -> None:
    second = "    u:\n      protocol: osc\n      listen: 127.0.0.1:1\n      camera: a\n"
    text = SMALL.replace("  sources:\n", "  sources:\n" + second)
    text = text.replace("scenes:\n  grey:\n    background: [0.18, 0.18, 0.18]\n", "")
    text = text.replace("  a:\n", "  a: &a\n", 1).replace("35.0\n", "35.0\n  b: *a\n")
    text += "control:\n  http:\n    host: 0.0.0.0\n"
    warnings = compile_loaded(load_config_text(text)).warnings
    assert sorted(w.code for w in warnings) == [
        "controller.no_scene", "controller.open_to_network", "controller.second_source", "controller.untracked"
    ]  # fmt: skip
    assert all(w.line for w in warnings if w.path != "scenes")


def test_json_bodies_load_the_same(tmp_path: Path) -> None:
    data = read_yaml(SMALL).data
    loaded = load_config_data(data, base_dir=tmp_path)
    assert isinstance(loaded, LoadedConfig)
    assert loaded.config == load_config_text(SMALL).config
    # Its source is YAML as well: what is stored can be loaded again.
    assert load_config_text(loaded.source).config == loaded.config
    with pytest.raises(ConfigError) as caught:
        load_config_data({**data, "rate": 23}, base_dir=tmp_path)
    assert caught.value.problems[0].path == "rate"


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("led", False)],
)
def test_loopback_is_known(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize("kind", SCHEMAS)
def test_committed_schemas_are_current(kind: str, root: Path) -> None:
    committed = root / "docs/schema" / f"{kind}.schema.json"
    assert committed.read_text() == schema_text(kind), f"run: openvolume schema {kind} > docs/schema/{kind}.schema.json"
    jsonschema.Draft202012Validator.check_schema(json.loads(committed.read_text()))
