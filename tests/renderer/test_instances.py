"""Objects of one asset share what they are made of, and are drawn as instances while their materials are equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.assets.glb import Glb
from configs.assets.shapes import box
from renderer.config import SceneConfig
from renderer.device import Device
from renderer.frozen import freeze, thaw
from renderer.passes.scene import ScenePass, release_target, target
from renderer.scene import Scene

CLIP = np.array([[1.0, 0, 0, 0], [0, 1.5, 0, 0], [0, 0, -1.0, -0.1], [0, 0, -1, 0]])
FORWARD = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


class Bench:
    def __init__(self, device: Device, folder: Path) -> None:
        glb = Glb()
        for name, colour in (("wood", [0.5, 0.3, 0.1, 1.0]), ("iron", [0.4, 0.4, 0.45, 1.0])):
            paint = glb.material(name, baseColorFactor=colour, metallicFactor=0.0, roughnessFactor=0.9)
            high = 0.0 if name == "wood" else 0.5
            glb.node(name, glb.mesh(name, box((0.5, 0.5, 0.5), (0.0, 0.0, high)), paint))
        (folder / "crate.glb").write_bytes(glb.to_bytes())
        self.device, self.folder = device, folder
        self.scene_pass, self.picture = ScenePass(device, shadow_px=256), target(device, (96, 64))
        self.scenes: list[Scene] = []

    def scene(self, count: int = 6, **objects: Any) -> Scene:
        crates = {f"c{n}": {"gltf": "crate.glb", "x_m": 0.9 * n - 2.2, "y_m": 4.0} for n in range(count)}
        for name, more in objects.items():
            crates[name] |= more
        config = {"objects": crates, "ambient": (0.2, 0.2, 0.2), "sun": {"pan_deg": 150.0}}
        self.scenes.append(Scene(self.device, SceneConfig.model_validate(config), self.folder))
        return self.scenes[-1]

    def draw(self, scene: Scene) -> Any:
        self.scene_pass.draw(
            scene, view_from_stage=FORWARD, clip_from_view=CLIP, stage_from_scene=np.eye(4), target=self.picture
        )
        return self.device.read(self.picture, dtype="f2").copy()

    def drawn(self) -> tuple[int, int, int]:
        """Meshes, commands and calls of the last view."""
        told = self.scene_pass.statistics
        return told.draws, told.commands, told.calls


@pytest.fixture
def bench(gl: Device, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(gl, tmp_path)
    yield made
    for scene in made.scenes:
        made.scene_pass.forget(scene)
        scene.release()
    made.scene_pass.release()
    release_target(made.picture)


def test_six_of_one_asset_are_two_commands(bench: Bench) -> None:
    scene = bench.scene()
    one = bench.scene(1)
    assert scene.geometries[0].vertices.size == one.geometries[0].vertices.size, "vertices are shared"
    picture = bench.draw(scene)
    assert bench.drawn() == (12, 2, 2)
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 4


def test_one_that_is_painted_otherwise_is_drawn_by_itself_and_joins_again(bench: Bench) -> None:
    scene = bench.scene()
    before = bench.draw(scene)
    scene.apply({"objects/c2/materials/wood/base_colour": (0.0, 0.9, 0.1, 1.0)})
    green = bench.draw(scene)
    assert bench.drawn() == (12, 3, 3)
    changed = np.argwhere((green != before).any(axis=2))
    assert changed.size
    third = before.shape[1] * np.array([0.3, 0.55])
    assert third[0] < changed[:, 1].min(), "only the third crate"
    assert changed[:, 1].max() < third[1], "only the third crate"
    # Configured so, it looks so.
    other = bench.scene(c2={"materials": {"wood": {"base_colour": (0.0, 0.9, 0.1, 1.0)}}})
    assert np.array_equal(bench.draw(other), green)
    # All of them painted so are alike again.
    scene.apply({f"objects/c{n}/materials/wood/base_colour": (0.0, 0.9, 0.1, 1.0) for n in range(6)})
    bench.draw(scene)
    assert bench.drawn() == (12, 2, 2)
    scene.apply({})
    assert np.array_equal(bench.draw(scene), before)
    assert bench.drawn() == (12, 2, 2)


def test_what_moves_turns_round_and_hides_stays_itself(bench: Bench) -> None:
    scene = bench.scene()
    bench.draw(scene)
    scene.apply({"objects/c1/visible": False, "objects/c3/z_m": 0.7, "objects/c4/pan_deg": 40.0})
    picture = bench.draw(scene)
    assert bench.drawn() == (10, 2, 2)
    single = bench.scene(
        c0={"materials": {"wood": {"roughness": 0.901}, "iron": {"roughness": 0.901}}},
        c1={"visible": False}, c3={"z_m": 0.7}, c4={"pan_deg": 40.0},
    )  # fmt: skip
    apart = bench.draw(single)
    assert bench.drawn()[1] == 4
    assert np.allclose(apart.astype(float), picture.astype(float), atol=0.02)


def test_a_compiled_scene_is_drawn_so_too(bench: Bench, gl: Device) -> None:
    scene = bench.scene()
    before = bench.draw(scene)
    scene.apply({})
    freeze(gl, scene, bench.folder / "a.scene")
    thawed = thaw(gl, bench.folder / "a.scene")
    assert thawed.scene is not None
    assert np.array_equal(bench.draw(thawed.scene), before)
    assert bench.drawn() == (12, 2, 2)
    thawed.scene.apply({"objects/c5/materials/iron/metallic": 1.0})
    bench.draw(thawed.scene)
    assert bench.drawn() == (12, 3, 3)
    bench.scene_pass.forget(thawed.scene)
    thawed.release()
