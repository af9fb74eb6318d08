"""Shimmer, measured: a camera that turns about its pupil must not change what a wall shows.

What each LED must show depends on the pupil alone, so under a slow pan every change of the wall's picture is an error
of sampling: its spread over the frames is the shimmer, in codes of 255 of a display's curve. Truth is the same wall
with LEDs cut in 4 x 4 parts, each drawn for itself, and averaged. Subjects, side by side: a fence one LED wide, leaves
cut out by a texture, metal with bumps finer than LEDs.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from renderer.config import RenderConfig, SceneConfig, SunConfig
from renderer.device import Device
from renderer.gltf.model import Asset, Material, Mesh, Node, Primitive, Sampler, Texture, TextureUse
from renderer.passes.target import ViewTarget
from renderer.renderer import Renderer
from renderer.scene import Scene
from stage.plan import PlanLens, PlanScene, matrix16
from stage.projection import overscan_tangents

LENS = PlanLens(focal_length_mm=24.0, sensor_width_mm=24.0, sensor_height_mm=8.0)
SIDE_PX, COLUMNS = 64, 3
"""Three cabinets of half a metre, 4 m away, one for each subject."""
FINE = 4
FENCE, LEAVES, METAL = 0, 1, 2


def upright(half_w: float, half_h: float, material: int, times: float = 1.0, *, tangents: bool = False) -> Primitive:
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32) * np.array(
        [half_w, half_h, 1], np.float32
    )
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32) * np.float32(times)
    along = np.tile(np.array([1, 0, 0, 1], np.float32), (4, 1)) if tangents else None
    normals = np.tile(np.array([0, 0, 1], np.float32), (4, 1))
    return Primitive(corners, normals, uv, None, along, None, np.array([0, 1, 2, 0, 2, 3], np.uint32), material)


def subjects() -> Asset:
    rng = np.random.default_rng(1)
    leaves = np.zeros((256, 256, 4), np.uint8)
    leaves[..., :3] = 60, 160, 50
    leaves[..., 3] = np.kron(rng.random((64, 64)) > 0.5, np.ones((4, 4))) * 255
    height = np.kron(rng.random((128, 128)), np.ones((2, 2)))
    slope = [np.roll(height, -1, axis) - np.roll(height, 1, axis) for axis in (1, 0)]
    normal = np.stack([-1.2 * slope[0], -1.2 * slope[1], np.ones_like(height)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    bumps = np.full((256, 256, 4), 255, np.uint8)
    bumps[..., :3] = (normal * 127.5 + 127.5).round().astype(np.uint8)
    materials = (
        Material(base_colour=(0.9, 0.85, 0.7, 1), unlit=True),
        Material(base_texture=TextureUse(0), alpha_mode="mask", unlit=True),
        Material(base_colour=(0.9, 0.9, 0.9, 1), metallic=1.0, roughness=0.25, normal_texture=TextureUse(1)),
    )
    meshes = (
        Mesh("post", (upright(0.01, 0.6, 0),)),
        Mesh("leaves", (upright(0.45, 0.6, 1, 2.0),)),
        Mesh("metal", (upright(0.45, 0.6, 2, 3.0, tangents=True),)),
    )
    lean = (0.0, 0.0, float(np.sin(0.035)), float(np.cos(0.035)))
    posts = [Node(f"p{i}", mesh=0, translation=(-1.45 + 0.045 * i, 1.6, -8.0), rotation=lean) for i in range(20)]
    others = [Node("l", mesh=1, translation=(0.0, 1.6, -8.0)), Node("m", mesh=2, translation=(1.0, 1.6, -8.0))]
    nodes = (*posts, *others)
    return Asset(
        Path("subjects.glb"), nodes, tuple(range(len(nodes))), meshes, materials,
        (Texture(0, Sampler()), Texture(1, Sampler())), (leaves, bumps), (), (),
    )  # fmt: skip


def codes(light: Any) -> Any:
    return np.clip(light / 1.5, 0.0, 1.0) ** (1 / 2.2) * 255.0


class Pan:
    """Draws the wall while its camera turns by a third of an LED a frame."""

    def __init__(self, device: Device, kit: ModuleType) -> None:
        self.device, self.kit = device, kit
        self.scene = Scene.from_assets(
            device,
            SceneConfig(
                sun=SunConfig(pan_deg=150.0, elevation_deg=40.0, illuminance=8.0),
                ambient=(0.15, 0.15, 0.18), background=(0.02, 0.03, 0.05),
            ),
            [subjects()],
        )  # fmt: skip
        self.truth = self.draw(1.0, frames=1, fine=FINE)[0]

    def draw(self, texels_per_led: float, *, frames: int = 6, fine: int = 1, **render: Any) -> Any:
        """[frames, h, w, 3]  what the LEDs shine."""
        stage = self.kit.flat_wall(
            columns=COLUMNS, rows=1, px=SIDE_PX * fine, side_m=0.5, distance_m=4.0, bottom_m=1.35
        )
        renderer = Renderer(self.device)
        renderer.load_stage(stage, render=RenderConfig(outer_px=16, max_inner_px=16384, **render))
        renderer.scenes.scenes["s"] = self.scene
        per_tangent = SIDE_PX / 0.5 * 4.0
        out = []
        for frame in range(frames):
            turn = np.degrees(0.37 * frame / per_tangent)
            camera = self.kit.camera(
                lens=LENS, position=(0, 0, 1.6), pan=3 + turn, tilt=-0.6 * turn, roll=2 + turn, overscan=(1, 1, 1, 1)
            )
            left, right, bottom, top = overscan_tangents(LENS, camera.overscan_deg)
            density = per_tangent * texels_per_led * fine
            raster = (round((right - left) * density), round((top - bottom) * density))
            plan = self.kit.plan(msgspec.structs.replace(camera, raster_px=raster))
            plan = msgspec.structs.replace(plan, scenes=[PlanScene("s", 1, 1.0, matrix16(np.eye(4)))])
            light = renderer.draw(plan, output="light")["c"].array[..., :3].astype(np.float64)
            high, wide = light.shape[0] // fine, light.shape[1] // fine
            out.append(light.reshape(high, fine, wide, fine, 3).mean(axis=(1, 3)))
        renderer.scenes.forget("s")
        renderer.release()
        return np.array(out)

    def measure(self, texels_per_led: float, **render: Any) -> tuple[list[float], list[float]]:
        """Shimmer and error of each subject, codes (rms)."""
        error = codes(self.draw(texels_per_led, **render)) - codes(self.truth)
        parts = np.split(error, COLUMNS, axis=2)
        return [float(np.sqrt(p.var(axis=0).mean())) for p in parts], [float(np.sqrt((p**2).mean())) for p in parts]


@pytest.fixture(scope="module")
def pan(gl: Device, wallkit: ModuleType) -> Any:
    made = Pan(gl, wallkit)
    yield made
    made.scene.release()


def test_more_parts_calm_what_is_finer_than_an_led(pan: Pan) -> None:
    plain, plain_error = pan.measure(1.25)
    fine, fine_error = pan.measure(1.25, supersample=2)
    samples, samples_error = pan.measure(1.25, msaa=4)
    for subject in (FENCE, LEAVES):
        assert fine[subject] < 0.7 * plain[subject]
        assert samples[subject] < 0.7 * plain[subject]
        assert fine_error[subject] < 0.8 * plain_error[subject]
        assert samples_error[subject] < 0.85 * plain_error[subject]
    assert plain[METAL] < 12.0
    assert samples[METAL] < 12.0


def test_bumps_too_small_to_see_make_metal_rougher_not_darker(pan: Pan) -> None:
    """Smaller copies of a normal map keep how much its bumps differ: else it kept a third of its light."""
    metal = slice(2 * SIDE_PX + 8, 3 * SIDE_PX - 8)
    shown = pan.draw(1.25, frames=1)[0][8:-8, metal].mean()
    assert shown == pytest.approx(pan.truth[8:-8, metal].mean(), rel=0.2)


def test_a_still_camera_shows_a_still_picture(pan: Pan) -> None:
    first, second = (pan.draw(1.25, frames=1, supersample=2) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_finer_picture_is_joined_to_its_mean(gl: Device) -> None:
    target = ViewTarget(gl, 8, 4, "f2", finer=3, readable_depth=True)
    assert target.framebuffer.size == (24, 12)
    assert target.depth is not None
    assert target.depth.size == (24, 12)
    target.framebuffer.clear(0.25, 0.5, 1.0, 1.0, depth=0.5)
    target.framebuffer.clear(1.0, 1.0, 1.0, 1.0, viewport=(0, 0, 1, 3))
    target.finish(mips=False)
    picture = np.frombuffer(target.texture.read(), np.float16).reshape(4, 8, 4)
    assert np.allclose(picture[0, 0, :3], [0.5, 2 / 3, 1.0], atol=1e-3)
    assert np.allclose(picture[1:, :, :3], [0.25, 0.5, 1.0])
    target.release()
