"""The inner pass: views, what they may reach, texels per LED, and when smaller copies are used."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import moderngl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer.canvas_mesh import canvas_meshes
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.passes.inner import InnerPass, inner_view
from renderer.passes.view import View
from renderer.passes.wall import reach_of
from renderer.renderer import Renderer
from stage.frames import pose_from_pan_tilt_roll
from stage.projection import clip_from_view, view_from_stage

angles = st.floats(-80.0, 80.0)


@given(pan=st.floats(-180.0, 180.0), tilt=angles, roll=angles, wide=st.floats(0.2, 2.0), seed=st.integers(0, 1000))
def test_coordinates_and_texture_place_agree_with_the_projection(
    pan: float, tilt: float, roll: float, wide: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pose = pose_from_pan_tilt_roll((0.3, -1.2, 1.7), pan_deg=pan, tilt_deg=tilt, roll_deg=roll)
    sides = (-wide, 0.8 * wide, -0.6 * wide, 0.7 * wide)
    view = View(pose[:3, 3], view_from_stage(pose, pose[:3, 3]), sides, (640, 360))
    points = rng.normal(size=(20, 3)) * 5
    clip = np.concatenate([points, np.ones((20, 1))], axis=1) @ (clip_from_view(*sides) @ view.view_from_stage).T
    right, up, forward = view.coordinates(points).T
    sx, sy, ox, oy = view.uv
    assert np.allclose(clip[:, 3], forward)
    assert np.allclose(right / forward * sx + ox, clip[:, 0] / clip[:, 3] / 2 + 0.5)
    assert np.allclose(up / forward * sy + oy, clip[:, 1] / clip[:, 3] / 2 + 0.5)


@given(seed=st.integers(0, 10_000))
def test_culling_never_drops_what_can_be_seen(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pose = pose_from_pan_tilt_roll(rng.normal(size=3), pan_deg=rng.uniform(-180, 180), tilt_deg=rng.uniform(-60, 60))
    view = View(pose[:3, 3], view_from_stage(pose, pose[:3, 3]), (-0.5, 0.6, -0.3, 0.4), (640, 360))
    corner = rng.normal(size=(30, 1, 3)) * 3
    across, along = rng.normal(size=(2, 30, 1, 3))
    st_ = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])
    hulls = corner + st_[:, :1] * across + st_[:, 1:] * along
    inside = rng.uniform(size=(400, 2))
    samples = corner + inside[:, :1] * across + inside[:, 1:] * along
    x, y, z = np.moveaxis(view.coordinates(samples), -1, 0)
    seen = (z > 0) & (x > -0.5 * z) & (x < 0.6 * z) & (y > -0.3 * z) & (y < 0.4 * z)
    assert np.all(view.may_see(hulls)[seen.any(axis=1)])


def test_culling_drops_most_of_what_cannot_be_seen(wallkit: ModuleType) -> None:
    stage = wallkit.arc_wall(40, 4)
    meshes = canvas_meshes(stage)
    camera = wallkit.camera(overscan=(0, 0, 0, 0))
    (on,) = reach_of(meshes, camera, inner_view(camera)).items["c"]
    columns = np.flatnonzero(on.reshape(40, 4).any(axis=1))
    # 53 degrees of 7.2-degree cabinets: at most the ones touched, and they lie in the middle.
    assert 7 <= len(columns) <= 10
    assert columns.mean() == pytest.approx(19.5, abs=0.6)


def test_texels_per_pixel_are_those_of_finite_differences(wallkit: ModuleType) -> None:
    camera = wallkit.camera(pan=10, tilt=5, roll=20, raster=(1920, 1080))
    view = inner_view(camera)
    (mesh,) = canvas_meshes(wallkit.arc_wall()).values()
    (part,) = mesh.parts
    points = part.points_m.mean(axis=1)
    got = view.texels_per_pixel(points, part.across_m, part.along_m)

    def texel(p: Any) -> Any:
        at = view.coordinates(p)
        return at[:, :2] / at[:, 2:] * view.texels_per_tangent

    h = 1e-4
    spans = [
        np.linalg.norm((texel(points + h * s) - texel(points - h * s)) / (2 * h), axis=1)
        for s in (part.across_m, part.along_m)
    ]
    assert np.allclose(got, np.minimum(*spans), rtol=1e-4)


def test_smaller_copies_are_used_only_beyond_two_texels(gl: Device, wallkit: ModuleType) -> None:
    renderer = Renderer(gl)
    renderer.load_stage(wallkit.flat_wall(4, 2, px=32), render=RenderConfig(outer_px=64))
    for raster, mips in (((256, 160), False), ((1024, 640), True)):
        plan = wallkit.plan(wallkit.camera(raster=raster))
        renderer.draw(plan, world=wallkit.even_world(gl.ctx, 1.0))
        texture = renderer._rigs[0].inner._targets["a"][-1].texture
        assert (texture.filter[0] == moderngl.LINEAR_MIPMAP_LINEAR) == mips
    renderer.release()


def test_a_fine_checker_does_not_alias_when_it_is_far_finer_than_the_leds(gl: Device, wallkit: ModuleType) -> None:
    renderer = Renderer(gl)
    renderer.load_stage(wallkit.flat_wall(4, 2, px=16), render=RenderConfig(outer_px=64))
    checker = wallkit.ShaderWorld(
        gl.ctx,
        """vec4 world(vec3 d, vec3 e) {
        vec2 c = floor(gl_FragCoord.xy); return vec4(vec3(mod(c.x + c.y, 2.0)), 1.0); }""",
    )
    plan = wallkit.plan(wallkit.camera(raster=(1600, 1000)))
    light = renderer.draw(plan, world=checker, output="light")["c"].array[..., 0]
    inside = renderer.draw(plan, world=checker, output="coverage")["c"].array[..., 0] == 1.0
    assert light[inside].mean() == pytest.approx(0.5, abs=0.01)
    assert light[inside].std() < 0.05
    renderer.release()


def test_the_pictures_of_recent_sizes_are_kept(gl: Device, wallkit: ModuleType) -> None:
    inner = InnerPass(gl, samples=1, near_m=0.1, far_m=100.0)
    world = wallkit.even_world(gl.ctx, 1.0)
    seen = []
    for width in (128, 192, 128, 192, 256, 320, 128):
        camera = wallkit.camera(raster=(width, 96))
        picture = inner.draw(wallkit.plan(camera), camera, world, kind="f2", texels_per_pixel=1.0)
        assert picture.texture.size == (width, 96)
        seen.append(picture.texture.glo)
    assert seen[0] == seen[2]
    assert seen[1] == seen[3]
    assert len(inner._targets["a"]) == 3
    inner.release()


def test_multisampled_pictures_come_out_joined(gl: Device, wallkit: ModuleType) -> None:
    if gl.capabilities.max_samples < 4:
        pytest.skip("this device has no multisampling")
    inner = InnerPass(gl, samples=4, near_m=0.1, far_m=100.0)
    camera = wallkit.camera(raster=(64, 64))
    picture = inner.draw(
        wallkit.plan(camera), camera, wallkit.even_world(gl.ctx, 0.75), kind="f2", texels_per_pixel=1.0
    )
    held = np.frombuffer(picture.texture.read(), dtype=np.float16).reshape(64, 64, 4)
    assert np.all(held[..., :3] == 0.75)
    inner.release()
