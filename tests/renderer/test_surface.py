"""Surfaces against brute force: balls of many kinds under a dome and a sun, each pixel integrated in numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer.config import SceneConfig
from renderer.device import Device
from renderer.domes import Dome
from renderer.gltf.model import Asset, Material, Mesh, Node, Primitive, Sampler, Texture, TextureUse
from renderer.panoramas import DomePicture
from renderer.passes.scene import ScenePass, release_target, target
from renderer.scene import Scene
from stage.frames import pose_from_pan_tilt_roll, stage_from_gl

SIZE = 48
EYE = np.array([0.0, -5.0, 0.0])
HALF = 1.1
"""Half the height of the view where the sphere stands, in its radii."""


def sphere(material: int = 0, rows: int = 48, columns: int = 96) -> Primitive:
    """Radius 1, Y up, with texture coordinates and tangents along growing u."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    n = np.stack([np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)], axis=-1)
    t = np.stack([np.cos(around), np.zeros_like(around), -np.sin(around), np.ones_like(around)], axis=-1)
    uv = np.stack([around / (2 * np.pi), polar / np.pi], axis=-1)
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None]).reshape(-1)
    quads = [first, first + columns, first + columns + 1, first, first + columns + 1, first + 1]
    flat = [v.reshape(-1, v.shape[-1]).astype(np.float32) for v in (n, uv, t)]
    indices = np.stack(quads, axis=1).reshape(-1).astype(np.uint32)
    return Primitive(flat[0], flat[0], flat[1], flat[1], flat[2], None, indices, material)


def asset(material: Material, *images: Any, node: Node | None = None) -> Asset:
    return Asset(
        Path("ball.glb"), (node or Node("ball", mesh=0),), (0,), (Mesh("ball", (sphere(),)),), (material,),
        tuple(Texture(i, Sampler()) for i in range(len(images))), images, (), (),
    )  # fmt: skip


@dataclass
class Studio:
    """Draws a ball from the front; a picture is [SIZE, SIZE, 4], row 0 top."""

    device: Device
    scene_pass: ScenePass
    out: Any

    def picture(self, made: Asset, dome: Dome | None = None, **config: Any) -> Any:
        scene = Scene.from_assets(self.device, SceneConfig(**config), [made], dome=dome)
        d = float(-EYE[1])
        near, far, side = 0.1, 50.0, HALF / d
        a, b = -(far + near) / (far - near), -2 * far * near / (far - near)
        clip = np.array([[1 / side, 0, 0, 0], [0, 1 / side, 0, 0], [0, 0, a, b], [0, 0, -1, 0]])
        self.scene_pass.draw(
            scene,
            view_from_stage=np.linalg.inv(stage_from_gl(pose_from_pan_tilt_roll(EYE))),
            clip_from_view=clip,
            stage_from_scene=np.eye(4),
            target=self.out,
        )
        picture = self.device.read(self.out, dtype="f4").astype(np.float64)[::-1]
        self.scene_pass.forget(scene)
        scene.dome = None
        scene.release()
        return picture


@pytest.fixture
def studio(gl: Device) -> Iterator[Studio]:
    made = Studio(gl, ScenePass(gl, shadow_px=64), target(gl, (SIZE, SIZE), dtype="f4"))
    yield made
    made.scene_pass.release()
    release_target(made.out)


LAYERS = {
    "ior": {"ior": 1.8},
    "specular": {"specular": 0.3, "specular_colour": (1.0, 0.4, 0.2)},
    "coat": {"clearcoat": 1.0, "clearcoat_roughness": 0.1},
    "sheen": {"sheen_colour": (0.9, 0.5, 0.3), "sheen_roughness": 0.4},
    "glass": {"transmission": 1.0},
    "volume": {"transmission": 1.0, "thickness_m": 1.0, "attenuation_distance_m": 0.5,
               "attenuation_colour": (0.2, 0.9, 0.5)},
}  # fmt: skip


@pytest.mark.parametrize("names", [*((name,) for name in LAYERS), tuple(LAYERS)], ids="+".join)
@pytest.mark.parametrize("textured", [False, True])
def test_all_layers_draw(studio: Studio, names: tuple[str, ...], textured: bool) -> None:
    white = np.full((4, 4, 4), 255, np.uint8)
    flat = np.full((4, 4, 4), (128, 128, 255, 255), np.uint8)
    maps = [
        "specular_texture",
        "specular_colour_texture",
        "clearcoat_texture",
        "clearcoat_roughness_texture",
        "sheen_colour_texture",
        "sheen_roughness_texture",
        "transmission_texture",
        "thickness_texture",
        "base_texture",
        "metallic_roughness_texture",
    ]
    values: dict[str, Any] = {"metallic": 0.0, "roughness": 0.4}
    for name in names:
        values |= LAYERS[name]
    uses: dict[str, Any] = {name: TextureUse(0) for name in maps} | {"clearcoat_normal_texture": TextureUse(1)}
    dome = Dome(studio.device, DomePicture(np.full((16, 32, 3), 0.8, np.float32)))
    plain = studio.picture(asset(Material(**values)), dome, sun={"pan_deg": 150.0, "shadow": False})
    assert np.isfinite(plain).all()
    assert plain[SIZE // 2, SIZE // 2, :3].min() > 0.05
    if textured:
        same = studio.picture(
            asset(Material(**values, **uses), white, flat), dome, sun={"pan_deg": 150.0, "shadow": False}
        )
        # White textures and a flat normal change nothing but the normal's last bit of eight.
        assert np.quantile(np.abs(same - plain), 0.98) < 0.01
    dome.release()
