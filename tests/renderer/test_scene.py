"""The scene pass against closed forms: places, light, textures, order, time; and the world a plan is drawn of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
import pytest

from renderer.air_config import FogConfig
from renderer.config import PositionConfig, SceneConfig, SceneFileError, SunConfig, asset_path
from renderer.device import Device
from renderer.domes import Dome, directions
from renderer.gltf.model import Animation, Asset, Channel, Material, Mesh, Node, Primitive, Sampler, Texture, TextureUse
from renderer.panoramas import DomePicture
from renderer.passes.scene import Fringes, ScenePass, release_target, target
from renderer.scene import Scene
from renderer.scene_world import SceneWorld, UnknownSceneError
from renderer.working import AP1_FROM_REC709
from stage.frames import pose_from_pan_tilt_roll, stage_from_gl
from stage.plan import FramePlan, PlanOuter, PlanScene, matrix16

SIZE = (64, 48)
PLAIN = Sampler(mag_linear=False, min_linear=False, mips=False)


def perspective(fov_deg: float = 60.0, aspect: float = 4 / 3, near_m: float = 0.05, far_m: float = 5000.0) -> Any:
    t = 1 / np.tan(np.radians(fov_deg) / 2)
    a, b = -(far_m + near_m) / (far_m - near_m), -2 * far_m * near_m / (far_m - near_m)
    return np.array([[t / aspect, 0, 0, 0], [0, t, 0, 0], [0, 0, a, b], [0, 0, -1, 0]])


def view(position: Any = (0, 0, 0), **angles: float) -> Any:
    return np.linalg.inv(stage_from_gl(pose_from_pan_tilt_roll(position, **angles)))


def quad(material: int | None = 0, *, colours: Any = None) -> Primitive:
    """2 x 2 m in glTF's x, y; it faces +z, which is -Y of the stage: towards someone who looks along +Y."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    return Primitive(
        corners, np.tile(np.float32([0, 0, 1]), (4, 1)), uv, uv * 2, None,
        None if colours is None else np.asarray(colours, np.float32),
        np.array([0, 1, 2, 0, 2, 3], np.uint32), material,
    )  # fmt: skip


def asset(
    *materials: Material,
    nodes: tuple[Node, ...] = (Node("quad", mesh=0, translation=(0, 0, -3)),),
    primitives: tuple[Primitive, ...] | None = None,
    images: tuple[Any, ...] = (),
    sampler: Sampler = PLAIN,
    animations: tuple[Animation, ...] = (),
) -> Asset:
    return Asset(
        Path("made.glb"), nodes, tuple(range(len(nodes))),
        (Mesh("quad", primitives or (quad(0 if materials else None),)),), materials,
        tuple(Texture(i, sampler) for i in range(len(images))), images, animations, (),
    )  # fmt: skip


class Bench:
    """Draws scenes and reads pictures: row 0 top."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.scene_pass = ScenePass(device, shadow_px=256)
        self.scenes: list[Scene] = []
        self.targets = {kind: target(device, SIZE, dtype=kind) for kind in ("f2", "f4")}

    def scene(self, *assets: Asset, dome: Dome | None = None, **config: Any) -> Scene:
        scene = Scene.from_assets(self.device, SceneConfig(**config), list(assets), dome=dome)
        self.scenes.append(scene)
        return scene

    def draw(self, scene: Scene, *, dtype: Any = "f4", **options: Any) -> Any:
        values = {
            "view_from_stage": view(), "clip_from_view": perspective(), "stage_from_scene": np.eye(4),
        } | options  # fmt: skip
        self.scene_pass.draw(scene, target=self.targets[dtype], **values)
        return self.device.read(self.targets[dtype], dtype=dtype).astype(np.float64)[::-1]

    def release(self) -> None:
        for scene in self.scenes:
            self.scene_pass.forget(scene)
            scene.release()
        self.scene_pass.release()
        for made in self.targets.values():
            release_target(made)


@pytest.fixture
def bench(gl: Device) -> Iterator[Bench]:
    made = Bench(gl)
    yield made
    made.release()


def unlit(*colour: float, **more: Any) -> Material:
    return Material(base_colour=(*colour, 1.0) if len(colour) == 3 else colour, unlit=True, **more)  # type: ignore[arg-type]


MIDDLE = (24, 32)


# --- places -----------------------------------------------------------------------------------------------------


def test_gltf_world_stands_the_right_way_round(bench: Bench) -> None:
    """glTF +x is right, +y is up, -z is forward, seen from the stage's origin along +Y."""
    colours = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    scenes = [
        asset(unlit(*colour), nodes=(Node("n", mesh=0, translation=place, scale=(0.3, 0.3, 0.3)),))
        for colour, place in zip(colours, ((1, 0, -3), (0, 1, -3), (-1, -0.5, -3)), strict=True)
    ]
    picture = bench.draw(bench.scene(*scenes))
    lit = [np.argwhere(np.isclose(picture[..., :3], AP1_FROM_REC709 @ c, atol=1e-3).all(axis=-1)) for c in colours]
    red, green, blue = (places.mean(axis=0) for places in lit)
    assert red[1] > 40
    assert abs(red[0] - 23.5) < 1.5
    assert green[0] < 15
    assert abs(green[1] - 31.5) < 1.5
    assert blue[1] < 23
    assert blue[0] > 25


def test_positions_are_exact_wherever_the_stage_stands(bench: Bench) -> None:
    scene = bench.scene(asset(nodes=(Node("n", mesh=0, translation=(90_000.0, 20.0, -70_003.0), scale=(9, 9, 1)),)))
    where = PositionConfig(x_m=90_000.0, y_m=70_000.0, z_m=20.0, pan_deg=0.0)
    turned = PositionConfig(x_m=90_003.0, y_m=70_003.0, z_m=20.0, pan_deg=-90.0)
    eye = np.array([0.4, -0.7, 0.2])
    for position, angles in ((where, {"pan_deg": 12.0, "tilt_deg": -7.0}), (turned, {"pan_deg": 95.0})):
        picture = bench.draw(
            scene,
            view_from_stage=view(eye, **angles),
            stage_from_scene=position.stage_from_scene,
            output="position",
        )
        got = picture[picture[..., 3] == 1.0][:, :3]
        assert len(got) > 100
        in_scene = got @ position.scene_from_stage[:3, :3].T + position.scene_from_stage[:3, 3]
        # The quad lies in the scene's plane y = 70 003: metres, at 90 km from the scene's origin.
        assert np.abs(in_scene[:, 1] - 70_003.0).max() < 4e-6
        rows, columns = np.nonzero(picture[..., 3] == 1.0)
        clip = perspective() @ view(eye, **angles)
        seen = np.column_stack([got, np.ones(len(got))]) @ clip.T
        x = (seen[:, 0] / seen[:, 3] + 1) / 2 * SIZE[0] - 0.5
        y = (1 - seen[:, 1] / seen[:, 3]) / 2 * SIZE[1] - 0.5
        assert np.abs(x - columns).max() < 2e-4
        assert np.abs(y - rows).max() < 2e-4


def test_sky_position_is_a_direction(bench: Bench) -> None:
    picture = bench.draw(bench.scene(), output="position", view_from_stage=view((5, 6, 7), pan_deg=30.0))
    assert (picture[..., 3] == 0).all()
    directions_seen = picture[..., :3] / 1e5
    assert np.allclose(np.linalg.norm(directions_seen, axis=-1), 1.0, atol=1e-6)
    ahead = directions_seen[23:25, 31:33].mean(axis=(0, 1))
    assert np.allclose(ahead, [-0.5, np.sqrt(0.75), 0], atol=1e-3)


def test_upside_down_projection_gives_the_picture_upside_down(bench: Bench) -> None:
    scene = bench.scene(asset(unlit(1, 0.5, 0.25), nodes=(Node("n", mesh=0, translation=(0.5, 0.7, -3)),)))
    plain = bench.draw(scene)
    turned = bench.draw(scene, clip_from_view=np.diag([1.0, -1, 1, 1]) @ perspective())
    assert plain.max() > 0.5
    assert np.array_equal(turned[::-1], plain)


def test_back_faces_and_mirrored_nodes(bench: Bench) -> None:
    away = (Node("n", mesh=0, translation=(0, 0, -3), rotation=(0, 1, 0, 0)),)
    mirrored = (Node("n", mesh=0, translation=(0, 0, -3), scale=(-1, 1, 1)),)
    both = unlit(1, 1, 1, double_sided=True)
    assert bench.draw(bench.scene(asset(unlit(1, 1, 1), nodes=away)))[MIDDLE][0] == 0
    assert bench.draw(bench.scene(asset(both, nodes=away)))[MIDDLE][0] == pytest.approx(1.0, abs=1e-3)
    assert bench.draw(bench.scene(asset(unlit(1, 1, 1), nodes=mirrored)))[MIDDLE][0] == pytest.approx(1.0, abs=1e-3)


def test_only_what_is_in_view_is_drawn(bench: Bench) -> None:
    nodes = tuple(
        Node(str(i), mesh=0, translation=(10 * np.cos(a), 0, 10 * np.sin(a)))
        for i, a in enumerate(np.arange(12) / 12 * 2 * np.pi)
    )
    scene = bench.scene(asset(unlit(1, 1, 1, double_sided=True), nodes=nodes))
    for pan in (0.0, 77.0):
        whole = bench.draw(scene, view_from_stage=view(pan_deg=pan))
        statistics = bench.scene_pass.statistics
        assert 1 <= statistics.draws <= 5
        assert statistics.calls == 1
        assert statistics.triangles == 2 * statistics.draws
        assert whole[..., 0].max() > 0.9


# --- light ------------------------------------------------------------------------------------------------------


def test_colours_become_acescg_and_exposure_is_a_factor(bench: Bench) -> None:
    scene = bench.scene(asset(unlit(0.2, 0.4, 0.8)), exposure_ev=1.0)
    assert np.allclose(bench.draw(scene, exposure_ev=2.0)[MIDDLE][:3], 8 * AP1_FROM_REC709 @ [0.2, 0.4, 0.8], rtol=1e-5)
    assert np.allclose(bench.draw(scene)[MIDDLE][3], 1.0)
    bright = bench.scene(asset(unlit(1.0, 1.0, 1.0)), exposure_ev=20.0)
    assert np.isfinite(bench.draw(bright, dtype="f2")).all()


@pytest.mark.parametrize("elevation_deg", [0.0, 40.0, 70.0])
def test_a_matt_surface_under_the_sun(bench: Bench, elevation_deg: float) -> None:
    """The quad faces -Y; a sun behind the viewer's back at elevation e meets it under the cosine of e."""
    scene = bench.scene(
        asset(Material(base_colour=(0.5, 0.5, 0.5, 1), metallic=0.0, roughness=1.0)),
        sun={"pan_deg": 180.0, "elevation_deg": elevation_deg, "illuminance": 3.0, "shadow": False},
    )
    cosine = np.cos(np.radians(elevation_deg))
    got = bench.draw(scene)[MIDDLE][:3]
    half = np.cos(np.radians(elevation_deg / 2))
    # GGX at roughness 1: D = 1 / pi, the visibility term 0.5 / (n_l + n_v) and Schlick's reflectance.
    specular = (0.04 + 0.96 * (1 - half) ** 5) * 0.5 / (cosine + 1.0)
    want = 3.0 / np.pi * cosine * (0.5 * 0.96 + specular)
    assert np.allclose(got, want, rtol=0.02)


def test_a_sun_from_below_or_behind_lights_nothing(bench: Bench) -> None:
    scene = bench.scene(asset(Material(metallic=0.0)), sun={"pan_deg": 0.0, "elevation_deg": 30.0, "shadow": False})
    assert np.allclose(bench.draw(scene)[MIDDLE][:3], 0.0)


def test_sun_stands_where_its_pan_says(bench: Bench) -> None:
    """A quad turned to face the stage's left (-X) is lit by a sun at pan +90 and not by one at -90."""
    half = np.sqrt(0.5)
    # Turned about glTF's y by -45 degrees: it faces between the viewer and the left.
    node = (Node("n", mesh=0, translation=(0, 0, -3), rotation=(0, -np.sin(np.pi / 8), 0, np.cos(np.pi / 8))),)
    for pan, lit in ((90.0, True), (-90.0, False)):
        sun = {"pan_deg": pan, "elevation_deg": 0.0, "illuminance": np.pi, "shadow": False}
        scene = bench.scene(asset(Material(metallic=0.0, roughness=1.0), nodes=node), sun=sun)
        got = bench.draw(scene)[MIDDLE][0]
        assert (got > 0.9 * half) if lit else got == 0.0


@pytest.mark.parametrize("metallic", [0.0, 1.0])
@pytest.mark.parametrize("roughness", [0.1, 0.5, 1.0])
def test_white_furnace(bench: Bench, metallic: float, roughness: float) -> None:
    """Under even light a white surface shows that light, whatever its roughness."""
    dome = Dome(bench.device, DomePicture(np.full((16, 32, 3), 0.8, np.float32)))
    scene = bench.scene(asset(Material(metallic=metallic, roughness=roughness)), dome=dome)
    picture = bench.draw(scene)
    assert np.allclose(picture[0, 0, :3], 0.8, rtol=2e-3)
    assert picture[MIDDLE][0] == pytest.approx(0.8, rel=0.02)


def test_dome_background_and_yaw(bench: Bench) -> None:
    d = directions(256, 128)
    spot = np.where((d @ [0.0, 1.0, 0.0] > np.cos(0.15))[..., None], 5.0, 0.1) * np.ones(3)
    dome = Dome(bench.device, DomePicture(spot.astype(np.float32)))
    scene = bench.scene(dome=dome)
    bright = np.argwhere(bench.draw(scene)[..., 0] > 2.0).mean(axis=0)
    assert np.allclose(bright, [23.5, 31.5], atol=0.6)
    scene.dome_config = replace_config(scene.dome_config, yaw_deg=20.0)
    left = np.argwhere(bench.draw(scene)[..., 0] > 2.0).mean(axis=0)
    assert left[1] < 20
    again = bench.draw(scene, view_from_stage=view(pan_deg=20.0))
    assert np.allclose(np.argwhere(again[..., 0] > 2.0).mean(axis=0), [23.5, 31.5], atol=0.6)


def replace_config(config: Any, **values: Any) -> Any:
    return config.model_copy(update=values)


def test_fog_takes_contrast_with_distance(bench: Bench) -> None:
    near = bench.scene(asset(unlit(1, 1, 1)), fog=FogConfig(distance_m=9.0, colour=(0.0, 0.0, 0.0)))
    assert bench.draw(near)[MIDDLE][0] == pytest.approx(np.exp(-1.0), rel=2e-3)


def test_emission_and_its_strength(bench: Bench) -> None:
    scene = bench.scene(asset(Material(base_colour=(0, 0, 0, 1), emissive=(4.0, 0.0, 0.0), metallic=0.0)))
    assert np.allclose(bench.draw(scene)[MIDDLE][:3], AP1_FROM_REC709 @ [4, 0, 0], rtol=1e-3)


# --- textures ---------------------------------------------------------------------------------------------------

CHECKS = np.array(
    [[[255, 0, 0, 255], [0, 255, 0, 255]], [[0, 0, 255, 255], [188, 188, 188, 255]]], np.uint8
)  # row 0 top: red, green; blue, grey


def corner_colours(picture: Any) -> list[Any]:
    """Colours near the quad's upper left, upper right, lower left and lower right corner."""
    return [picture[18, 26, :3], picture[18, 37, :3], picture[29, 26, :3], picture[29, 37, :3]]


def test_textures_lie_row_0_top_and_are_srgb(bench: Bench) -> None:
    scene = bench.scene(asset(unlit(1, 1, 1, base_texture=TextureUse(0)), images=(CHECKS,)))
    got = corner_colours(bench.draw(scene))
    for colour, want in zip(got, ([1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5029] * 3), strict=True):
        assert np.allclose(colour, AP1_FROM_REC709 @ want, atol=2e-3)


def test_texture_transform_and_second_coordinates(bench: Bench) -> None:
    # Shifted by half a picture to the right: columns change places.
    shifted = TextureUse(0, uv_from_uv=(1, 0, 0.5, 0, 1, 0))
    scene = bench.scene(asset(unlit(1, 1, 1, base_texture=shifted), images=(CHECKS,)))
    assert np.allclose(corner_colours(bench.draw(scene))[0], AP1_FROM_REC709 @ [0, 1, 0], atol=2e-3)
    # Set 1 repeats twice each way: at a quarter of the way in, the whole picture has gone by.
    scene = bench.scene(asset(unlit(1, 1, 1, base_texture=TextureUse(0, uv_set=1)), images=(CHECKS,)))
    picture = bench.draw(scene)
    for column, colour in ((22, [1, 0, 0]), (28, [0, 1, 0]), (35, [1, 0, 0]), (42, [0, 1, 0])):
        assert np.allclose(picture[14, column, :3], AP1_FROM_REC709 @ colour, atol=2e-3)


@pytest.mark.parametrize(("wrap", "column"), [("repeat", [1, 0, 0]), ("clamp", [0, 1, 0]), ("mirror", [0, 1, 0])])
def test_wrap_modes(bench: Bench, wrap: Any, column: Any) -> None:
    sampler = Sampler(wrap, wrap, mag_linear=False, min_linear=False, mips=False)
    stretched = TextureUse(0, uv_from_uv=(3, 0, 0, 0, 0.1, 0))
    scene = bench.scene(asset(unlit(1, 1, 1, base_texture=stretched), images=(CHECKS,), sampler=sampler))
    picture = bench.draw(scene)
    # u runs 0..3 over 28 columns; at u = 1.1 a repeated picture starts again, a mirrored one turns back.
    assert np.allclose(picture[20, 29, :3], AP1_FROM_REC709 @ column, atol=2e-3)
    last = {"repeat": [0, 1, 0], "clamp": [0, 1, 0], "mirror": [0, 1, 0]}[wrap]
    assert np.allclose(picture[20, 41, :3], AP1_FROM_REC709 @ last, atol=2e-3)


def test_vertex_colours_masks_and_blending(bench: Bench) -> None:
    colours = [[1, 0, 0, 1]] * 4
    scene = bench.scene(asset(unlit(1, 1, 1), primitives=(quad(colours=colours),)))
    assert np.allclose(bench.draw(scene)[MIDDLE][:3], AP1_FROM_REC709 @ [1, 0, 0], atol=1e-3)
    half_clear = np.full((2, 2, 4), 255, np.uint8)
    half_clear[:, 1, 3] = 10
    mask = unlit(1, 1, 1, base_texture=TextureUse(0), alpha_mode="mask")
    picture = bench.draw(bench.scene(asset(mask, images=(half_clear,))))
    assert picture[24, 27, 0] == pytest.approx(1.0, abs=1e-3)
    assert picture[24, 37, 0] == 0.0
    # Two veils before a wall: the farther is drawn first, whichever the file lists first.
    wall, far, near = (
        Node(n, mesh=i, translation=(0, 0, -z)) for i, (n, z) in enumerate((("w", 4), ("f", 3), ("n", 2)))
    )
    veils = Asset(
        Path("v.glb"), (near, far, wall), (0, 1, 2),
        tuple(Mesh("", (quad(i),)) for i in range(3)),
        (unlit(1, 1, 1), unlit(1, 0, 0, 0.5, alpha_mode="blend"), unlit(0, 1, 0, 0.5, alpha_mode="blend")),
        (), (), (), (),
    )  # fmt: skip
    got = bench.draw(bench.scene(veils))[MIDDLE]
    want = 0.5 * np.array([0, 1, 0]) + 0.5 * (0.5 * np.array([1, 0, 0]) + 0.5 * np.ones(3))
    assert np.allclose(got[:3], AP1_FROM_REC709 @ want, atol=2e-3)
    assert got[3] == pytest.approx(1.0)


def test_normal_map_tilts_the_light(bench: Bench) -> None:
    """A normal map that leans everywhere to +u (right) is brighter under light from the right."""
    lean = np.zeros((4, 4, 4), np.uint8)
    lean[:] = [218, 128, 218, 255]
    material = Material(metallic=0.0, roughness=1.0, normal_texture=TextureUse(0))
    shape = replace(quad(), tangents=np.tile(np.float32([1, 0, 0, 1]), (4, 1)))
    values = {}
    for pan in (135.0, -135.0):
        sun = {"pan_deg": pan, "elevation_deg": 0.0, "illuminance": np.pi, "shadow": False}
        scene = bench.scene(asset(material, primitives=(shape,), images=(lean,)), sun=sun)
        values[pan] = bench.draw(scene)[MIDDLE][0]
    assert values[-135.0] > 0.93
    assert values[135.0] < 0.05


# --- time -------------------------------------------------------------------------------------------------------


def moving() -> Asset:
    times = np.array([0.0, 1.0, 2.0])
    values = np.array([[-1.0, 0, -3], [1.0, 0, -3], [-1.0, 0, -3]])
    channel = Channel(0, "translation", times, values, "linear")
    return asset(
        unlit(1, 1, 1),
        nodes=(Node("n", mesh=0, scale=(0.4, 0.4, 0.4)),),
        animations=(Animation("go", (channel,), 2.0),),
    )


def test_the_same_time_gives_the_same_pixels_whatever_came_before(bench: Bench) -> None:
    scene, other = bench.scene(moving()), bench.scene(moving())
    assert scene.placement.animated
    first = bench.draw(scene, scene_time_s=0.25)
    middle = bench.draw(scene, scene_time_s=0.75)
    assert np.argwhere(first[..., 0] > 0).mean(axis=0)[1] < 31 < np.argwhere(middle[..., 0] > 0).mean(axis=0)[1]
    for _ in range(2):
        assert np.array_equal(bench.draw(scene, scene_time_s=0.25), first)
        assert np.array_equal(bench.draw(other, scene_time_s=8.25), bench.draw(scene, scene_time_s=8.25))
        bench.draw(scene, scene_time_s=1.7)


def test_fringes_on_surfaces_and_sky(bench: Bench) -> None:
    scene = bench.scene(asset())
    fringes = Fringes(axis=(1.0, 0.0, 0.0), cycles_per_rad=7.0, cycles_per_m=2.0, phase_cycles=0.25)
    place = bench.draw(scene, output="position")
    got = bench.draw(scene, output="fringes", fringes=fringes)[..., 0]
    on = place[..., 3] == 1.0
    want = np.where(on, 2.0 * place[..., 0] + 0.25, 7.0 * np.arcsin(np.clip(place[..., 0] / 1e5, -1, 1)) + 0.25)
    assert on.any()
    assert not on.all()
    assert np.allclose(got, 0.5 + 0.5 * np.cos(2 * np.pi * want), atol=2e-3)


def test_multisampled_target(bench: Bench, gl: Device) -> None:
    samples = min(4, gl.capabilities.max_samples)
    many = target(gl, SIZE, samples=samples)
    one = target(gl, SIZE)
    scene = bench.scene(asset(unlit(1, 1, 1), nodes=(Node("n", mesh=0, translation=(0.03, 0, -3)),)))
    bench.scene_pass.draw(
        scene,
        view_from_stage=view(roll_deg=10.0),
        clip_from_view=perspective(),
        stage_from_scene=np.eye(4),
        target=many,
    )
    gl.ctx.copy_framebuffer(one, many)
    edge = gl.read(one, dtype="f2").astype(float)[..., 0]
    assert ((edge > 0.1) & (edge < 0.9)).sum() > 10
    release_target(many)
    release_target(one)


# --- configuration, files, plans --------------------------------------------------------------------------------


def test_positions_put_the_stage_into_the_scene() -> None:
    position = PositionConfig(x_m=10.0, y_m=20.0, z_m=1.0, pan_deg=90.0)
    assert np.allclose(position.scene_from_stage @ [0, 1, 0, 1], [9, 20, 1, 1])
    assert np.allclose(position.stage_from_scene @ position.scene_from_stage, np.eye(4))


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path, gl: Device) -> None:
    with pytest.raises(SceneFileError, match=r"renderer\.scene_file .*none\.glb"):
        Scene(gl, SceneConfig(gltf=["none.glb"]), tmp_path)
    here = Path(__file__)
    assert asset_path(here.parent, here.name) == here


def test_sun_of_the_asset_serves_where_none_is_configured(bench: Bench) -> None:
    from renderer.gltf.model import Light

    lamp = Light("directional", (1.0, 0.5, 0.25), 100.0 * np.pi)  # lux
    # Turned to shine along glTF's +z... the node's -z points there after half a turn about y: from the front.
    nodes = (Node("q", mesh=0, translation=(0, 0, -3)), Node("sun", light=0))
    scene = bench.scene(replace(asset(Material(metallic=0.0, roughness=1.0), nodes=nodes), lights=(lamp,)))
    assert scene.sun is not None
    assert np.allclose(scene.sun.direction, [0, -1, 0])
    assert np.allclose(scene.sun.light, AP1_FROM_REC709 @ [1.0, 0.5, 0.25])
    assert bench.draw(scene)[MIDDLE][0] > 0.5
    assert bench.scene(asset(), sun=SunConfig()).sun is not None


def plan(*scenes: PlanScene, time_ns: int = 0) -> FramePlan:
    return FramePlan(
        frame=1, rate=(24, 1), t_present_ns=0, cameras=[], outer=PlanOuter("live", 1, (0.0, 0.0, 0.0)),
        scenes=list(scenes), scene_time_ns=time_ns,
    )  # fmt: skip


def test_world_of_a_plan_dissolves_in_light(bench: Bench, gl: Device) -> None:
    red, green = bench.scene(asset(unlit(1, 0, 0))), bench.scene(asset(unlit(0, 1, 0)))
    world = SceneWorld(gl, {"red": red, "green": green}, shadow_px=64)
    place = matrix16(np.eye(4))
    out = bench.targets["f4"]

    def draw(*scenes: PlanScene) -> Any:
        made = plan(*scenes)
        world.prepare(made)
        world.draw(made, view_from_stage=view(), clip_from_view=perspective(), target=out)
        return gl.read(out, dtype="f4")[::-1][MIDDLE]

    assert np.allclose(draw(PlanScene("red", 1, 1.0, place))[:3], AP1_FROM_REC709 @ [1, 0, 0], atol=1e-3)
    mixed = draw(PlanScene("red", 1, 0.25, place), PlanScene("green", 1, 0.75, place))
    assert np.allclose(mixed[:3], AP1_FROM_REC709 @ [0.25, 0.75, 0], atol=2e-3)
    assert mixed[3] == pytest.approx(1.0, abs=1e-3)
    assert np.array_equal(draw(), [0, 0, 0, 1])
    with pytest.raises(UnknownSceneError, match="blue"):
        draw(PlanScene("blue", 1, 1.0, place))
    assert world.forget("red") is red
    world.release()


def test_nothing_is_left_bound_that_stops_the_next_pass(bench: Bench, gl: Device) -> None:
    bench.draw(bench.scene(asset(unlit(1, 0, 0, 0.5, alpha_mode="blend"))))
    out = bench.targets["f4"]
    assert out.depth_mask
    out.clear(0.25, 0.5, 0.75, 1.0)
    assert np.allclose(gl.read(out, dtype="f4")[0, 0], [0.25, 0.5, 0.75, 1.0])
    assert isinstance(gl.ctx, moderngl.Context)


@pytest.mark.parametrize("way", ["drawn", "warmed"])
def test_after_glass_several_targets_are_drawn_to_without_a_fault(bench: Bench, gl: Device, way: str) -> None:
    """OpenGL refuses more than one target while a function of blending takes two colours from the shader, whether
    blending is on or not: what is drawn last of a scene must not leave one behind."""
    glass = Material(base_colour=(1.0, 1.0, 1.0, 1.0), metallic=0.0, roughness=0.0, transmission=1.0)
    scene = bench.scene(asset(glass), ambient=(0.2, 0.2, 0.2))
    ctx = gl.ctx
    several = ctx.framebuffer([ctx.texture((8, 8), 4, dtype="f2") for _ in range(2)])
    program = ctx.program(
        "#version 330\nvoid main() { gl_Position = vec4(gl_VertexID % 2 * 4 - 1, gl_VertexID / 2 * 4 - 1, 0, 1); }",
        "#version 330\nlayout(location = 0) out vec4 a; layout(location = 1) out vec4 b;"
        "void main() { a = vec4(1); b = vec4(0.5); }",
    )
    triangle = ctx.vertex_array(program, [])
    while ctx.error != "GL_NO_ERROR":
        pass
    for blending in (False, True):
        if way == "drawn":
            bench.draw(scene)
        else:
            list(bench.scene_pass.warm(scene, stage_from_scene=np.eye(4), target=bench.targets["f2"]))
        several.use()
        several.clear()
        ctx.enable_only(moderngl.BLEND if blending else moderngl.NOTHING)
        triangle.render(vertices=3)
        assert ctx.error == "GL_NO_ERROR"
        assert np.allclose(gl.read(several, dtype="f2")[0, 0], 1.0)
    ctx.enable_only(moderngl.NOTHING)
    triangle.release()
    program.release()
    for texture in several.color_attachments:
        texture.release()
    several.release()


# --- files of the wild ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "eye", "ev"),
    [
        ("FlightHelmet/FlightHelmet.gltf", (0.25, -1.1, 0.5), 0.0),
        ("BoxTextured.glb", (0.5, -2.2, 0.4), 0.0),
        ("alien.glb", (0.3, -2.6, 0.8), 0.0),
        ("SimpleSkin.gltf", (0.5, -4.0, 1.0), 0.0),
    ],
)
def test_real_assets_under_a_real_sky(
    gl: Device, reference: Path, name: str, eye: tuple[float, float, float], ev: float
) -> None:
    config = SceneConfig.model_validate(
        {
            "gltf": [name],
            "dome": {"file": "spiaggia_di_mondello_1k.hdr", "light_limit": 50.0},
            "sun": {"pan_deg": 150.0, "elevation_deg": 40.0},
        }
    )
    pictures = []
    for _ in range(2):
        # Everything anew: files, programs, maps.
        scene, scene_pass = Scene(gl, config, reference / "assets"), ScenePass(gl, shadow_px=256)
        out = target(gl, (96, 72))
        placed = target(gl, (96, 72), dtype="f4")
        options: dict[str, Any] = {
            "view_from_stage": view(eye, pan_deg=float(np.degrees(np.arctan2(eye[0], -eye[1])))),
            "clip_from_view": perspective(45.0), "stage_from_scene": np.eye(4), "exposure_ev": ev,
        }  # fmt: skip
        scene_pass.draw(scene, target=out, **options)
        pictures.append(gl.read(out, dtype="f2"))
        scene_pass.draw(scene, target=placed, output="position", **options)
        surface = gl.read(placed, dtype="f4")[..., 3] == 1.0
        for thing in (scene_pass, scene):
            thing.release()
        for made in (out, placed):
            release_target(made)
    assert np.array_equal(*pictures)
    picture = pictures[0].astype(np.float64)
    assert 0.02 < surface.mean() < 0.9
    assert np.isfinite(picture).all()
    assert 0.005 < picture[surface][:, :3].mean() < 5.0
    # It is not one flat patch: its own detail, or its shape in the light, is there.
    assert picture[surface][:, :3].std() > 0.01
