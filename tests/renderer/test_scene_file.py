"""Scene files: the same keys as inline, paths relative to them, faults told with file and line."""

from __future__ import annotations

import json
from pathlib import Path

from renderer.config import SceneConfig
from renderer.scene_check import scene_problems
from renderer.scene_file import files_of, normal_form, with_scene_files

GLTF = {
    "asset": {"version": "2.0"}, "nodes": [{"name": "Lid"}, {"name": "Base"}], "materials": [{"name": "Wood"}],
}  # fmt: skip


def write(folder: Path, text: str) -> Path:
    file = folder / "scenes" / "hall.scene.yaml"
    file.parent.mkdir(exist_ok=True)
    (file.parent / "chest.gltf").write_text(json.dumps(GLTF))
    file.write_text(text)
    return file


def test_a_scene_from_a_file_is_as_if_written_inline(tmp_path: Path) -> None:
    write(
        tmp_path,
        "gltf: chest.gltf\n"
        "objects:\n"
        "  second: {gltf: chest.gltf, x_m: 2.0, nodes: {lid: {tilt_deg: 40.0}}}\n"
        "dome: {file: /skies/a.hdr}\n"
        "label: Hall\n",
    )
    scenes, files, problems = with_scene_files(
        {"hall": SceneConfig(file="scenes/hall.scene.yaml", position="door"), "plain": SceneConfig()}, tmp_path
    )
    assert problems == []
    assert files == {"hall": tmp_path / "scenes/hall.scene.yaml"}
    hall = scenes["hall"]
    assert (hall.label, hall.position, hall.file) == ("Hall", "door", None)
    assert files_of(hall) == [
        ("gltf/0", "scenes/chest.gltf"), ("objects/second/gltf", "scenes/chest.gltf"), ("dome/file", "/skies/a.hdr"),
    ]  # fmt: skip
    assert list(normal_form(hall).objects) == ["chest", "second"]
    assert scene_problems(hall, tmp_path)[0].path == "dome/file"


def test_faults_name_file_line_and_place(tmp_path: Path) -> None:
    write(tmp_path, "sun:\n  elevation_deg: 200.0\nsnu: {}\n")
    _, _, problems = with_scene_files({"hall": SceneConfig(file="scenes/hall.scene.yaml")}, tmp_path)
    told = [str(problem) for problem in problems]
    assert any("hall.scene.yaml:2 sun/elevation_deg" in text and "200.0" in text for text in told)
    assert any("hall.scene.yaml:3 snu" in text and "did you mean `sun`" in text for text in told)
    assert {problem.path for problem in problems} == {"scenes/hall/file"}


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "file: other.yaml\n")
    for scene, said in (
        (SceneConfig(file="none.yaml"), "cannot be read"),
        (SceneConfig(file="scenes/hall.scene.yaml"), "does not name another"),
        (SceneConfig(file="scenes/hall.scene.yaml", exposure_ev=1.0), "not exposure_ev"),
    ):
        _, _, problems = with_scene_files({"hall": scene}, tmp_path)
        assert [said in problem.detail for problem in problems] == [True]


def test_names_are_looked_up_in_assets_and_sections(tmp_path: Path) -> None:
    write(
        tmp_path,
        "objects:\n"
        "  chest: {gltf: chest.gltf, nodes: {lit: {visible: false}}, animation: open, variant: red}\n"
        "  broken: {gltf: broken.gltf}\n"
        "bindings:\n"
        "  wand: {subject: stick, object: chest, node: base}\n"
        "  ghost: {subject: wand, object: cest}\n"
        "  lamp: {subject: wand, light: key}\n"
        "exposed:\n"
        "  lid: {address: objects/chest/nodes/lid/tilt_deg}\n",
    )
    (tmp_path / "scenes" / "broken.gltf").write_text("{")
    scenes, _, problems = with_scene_files({"hall": SceneConfig(file="scenes/hall.scene.yaml")}, tmp_path)
    assert problems == []
    found = {p.path: p for p in scene_problems(scenes["hall"], tmp_path, subjects=["wand"])}
    assert set(found) == {
        "objects/chest/nodes/lit", "objects/chest/animation", "objects/chest/variant", "objects/broken/gltf",
        "bindings/wand/subject", "bindings/ghost/object", "bindings/lamp/light",
    }  # fmt: skip
    assert "lid" in found["objects/chest/nodes/lit"].mend
    assert found["objects/broken/gltf"].code == "renderer.asset_format"
