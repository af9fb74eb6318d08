"""The sun's shadow: where it falls, how it is fitted, and that it is drawn again only when something moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderer.config import SceneConfig, SunConfig
from renderer.gltf.model import (
    Animation,
    Asset,
    Channel,
    Material,
    Mesh,
    Node,
    Primitive,
    Sampler,
    Texture,
    TextureUse,
)  # fmt: skip
from renderer.light_config import LightConfig
from renderer.passes.shadow import cascade_halves, fit
from renderer.scene import Scene
from stage.frames import pose_from_pan_tilt_roll, stage_from_gl

WHITE = Material(metallic=0.0, roughness=1.0)
SIZE = (128, 128)


def floor_and_plate(*, shadow: bool = True, turning: bool = False, floor_half_m: float = 20.0) -> Asset:
    """A floor at z = 0 and a plate 2 x 2 m hanging level 3 m above (5, 6) of the scene (glTF (5, 3, -6))."""
    square = np.array([[-1, 0, -1], [-1, 0, 1], [1, 0, 1], [1, 0, -1]], np.float32)
    made = Primitive(
        square, np.tile(np.float32([0, 1, 0]), (4, 1)), None, None, None, None,
        np.array([0, 1, 2, 0, 2, 3], np.uint32), 0,
    )  # fmt: skip
    nodes = (
        Node("floor", mesh=0, scale=(floor_half_m, 1, floor_half_m)),
        Node("plate", mesh=0, translation=(5, 3, -6), casts_shadow=shadow),
    )
    keys = np.array([[5.0, 3, -6], [5.0, 3, 6]])
    moves = (Animation("go", (Channel(1, "translation", np.array([0.0, 1.0]), keys, "linear"),), 1.0),)
    return Asset(Path("f.glb"), nodes, (0, 1), (Mesh("s", (made,)),), (WHITE,), (), (), moves if turning else (), ())


class Rig:
    """Looks straight down on the floor: a pixel is a place."""

    def __init__(self, easel: Any) -> None:
        self.easel, self.device, self.scene_pass = easel, easel.device, easel.scene_pass

    def scene(self, asset: Asset, **sun: Any) -> Scene:
        values = {"pan_deg": 90.0, "elevation_deg": 45.0, "illuminance": np.pi} | sun
        config = SceneConfig.model_validate({"sun": values, "shadow_range_m": 30.0}, strict=False)
        made: Scene = self.easel.keep(Scene.from_assets(self.device, config, [asset]))
        return made

    def light_at(self, scene: Scene, *places: tuple[float, float], **options: Any) -> list[float]:
        """Light on the floor at stage (x, y), seen from a point that the plate never hides."""
        out = []
        for x, y in places:
            pose = pose_from_pan_tilt_roll((x, y, 0.9), tilt_deg=-90.0)
            out.append(float(self.easel.draw(scene, pose, np.diag([20.0, 20.0, -0.5, 1.0]), **options)[63, 64, 0]))
        return out


@pytest.fixture
def rig(easel: Any) -> Rig:
    return Rig(easel(SIZE, shadow_px=512))


LIT = np.cos(np.radians(45.0)) * 0.96


def test_the_shadow_falls_away_from_the_sun(rig: Rig) -> None:
    """The sun stands to the left (-X) at 45 degrees: what hangs 3 m up at x = 5 shades x = 8."""
    shaded, under, left = rig.light_at(rig.scene(floor_and_plate()), (8.0, 6.0), (5.0, 6.0), (2.0, 6.0))
    assert shaded == pytest.approx(0.0, abs=1e-3)
    assert under == pytest.approx(left)
    assert left > LIT


@pytest.mark.parametrize("edge", [(7.0, 6.0), (9.0, 6.0), (8.0, 5.0), (8.0, 7.0)])
def test_its_edges_lie_where_geometry_puts_them(rig: Rig, edge: tuple[float, float]) -> None:
    scene = rig.scene(floor_and_plate())
    out = np.sign(np.array(edge) - (8.0, 6.0))
    texel = 60.0 / 512
    inner = tuple(np.array(edge) - 2.5 * texel * out)
    outer = tuple(np.array(edge) + 2.5 * texel * out)
    dark, light = rig.light_at(scene, inner, outer)  # type: ignore[arg-type]
    assert dark < 0.02
    assert light > LIT


@pytest.mark.parametrize("software", [True, False])
def test_surfaces_do_not_shadow_themselves(rig: Rig, software: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one lookup, and with the nine a GPU takes."""
    monkeypatch.setattr(rig.device, "capabilities", replace(rig.device.capabilities, software=software))
    for elevation in (10.0, 30.0, 80.0):
        scene = rig.scene(floor_and_plate(), elevation_deg=elevation)
        lit = rig.light_at(scene, *((x, y) for x in (-7.3, -3.1, 1.7) for y in (-9.2, 0.3, 11.9)))
        assert np.ptp(lit) < 1e-5
        assert min(lit) > 0.9 * np.sin(np.radians(elevation))


def test_nodes_and_suns_can_do_without(rig: Rig) -> None:
    for scene in (rig.scene(floor_and_plate(shadow=False)), rig.scene(floor_and_plate(), shadow=False)):
        (light,) = rig.light_at(scene, (8.0, 6.0))
        assert light > LIT


def test_the_map_is_kept_until_something_moves(rig: Rig) -> None:
    still, moving = rig.scene(floor_and_plate()), rig.scene(floor_and_plate(turning=True))

    def count(scene: Scene) -> tuple[int, int]:
        shadow = rig.scene_pass._lightings[id(scene)].sun
        return shadow.still_count, shadow.moving_count

    rig.light_at(still, (8.0, 6.0), (1.0, 1.0), scene_time_s=0.1)
    rig.light_at(still, (3.0, 3.0), scene_time_s=0.7)
    assert count(still) == (1, 0)
    moved = np.eye(4)
    moved[0, 3] = 0.5
    rig.light_at(still, (8.0, 6.0), stage_from_scene=moved)
    assert count(still) == (1, 0)
    moved[0, 3] = 5.0
    rig.light_at(still, (8.0, 6.0), stage_from_scene=moved)
    assert count(still) == (2, 0)
    shaded = rig.light_at(moving, (8.0, 6.0), (8.0, 6.0), scene_time_s=0.0)
    assert count(moving) == (1, 1)
    gone = rig.light_at(moving, (8.0, 6.0), (8.0, -3.0), scene_time_s=0.75)
    assert count(moving) == (1, 2)
    assert shaded == [0.0, 0.0]
    assert gone[0] > LIT
    assert gone[1] == 0.0


def test_a_large_scene_keeps_its_shadows_round_the_stage(rig: Rig) -> None:
    scene = rig.scene(floor_and_plate(floor_half_m=500.0))
    made = fit(scene, np.eye(4), 512)
    assert made is not None
    assert made.texel_m == pytest.approx(60.0 / 512)
    (shaded,) = rig.light_at(scene, (8.0, 6.0))
    assert shaded < 0.02
    # The stage 300 m away: its shadows are there, the plate's are out of range and left out.
    away = np.eye(4)
    away[0, 3] = -300.0
    (light,) = rig.light_at(scene, (8.0 - 300.0, 6.0), stage_from_scene=away)
    assert light > LIT


# --- cascades ---------------------------------------------------------------------------------------------------


def wide_scene(rig: Rig, **sun: Any) -> Scene:
    """A plate over a floor that reaches beyond the shadow range: three cascades round the stage."""
    return rig.scene(floor_and_plate(floor_half_m=500.0), **sun)


def test_cascades_stand_round_the_stage_from_fine_to_coarse(rig: Rig) -> None:
    made = fit(wide_scene(rig), np.eye(4), 512)
    assert made is not None
    halves = [c.half_m for c in made.cascades]
    assert halves[0] == 6.0
    assert halves[-1] == 30.0
    assert halves[1] == pytest.approx(np.sqrt(6.0 * 30.0))
    assert cascade_halves(60.0, 6.0, 4) == pytest.approx([6.0, 12.93, 27.85, 60.0], abs=0.01)
    assert cascade_halves(5.0, 6.0, 4) == [5.0]
    assert cascade_halves(8.0, 6.0, 4) == [6.0, 8.0]


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000), st.floats(-50, 50)),
    st.floats(5.0, 89.0), st.floats(-180.0, 180.0),
)  # fmt: skip
def test_every_cascade_holds_the_stage_and_its_texels_stay_on_one_lattice(
    place: tuple[float, float, float], elevation: float, pan: float
) -> None:
    """Texels of a cascade cover the same ground wherever the stage goes: shadows cannot shimmer."""
    scene = FakeScene(SunConfig(pan_deg=pan, elevation_deg=elevation))
    stage_from_scene = np.eye(4)
    stage_from_scene[:3, 3] = np.negative(place)
    made = fit(scene, stage_from_scene, 512)  # type: ignore[arg-type]
    assert made is not None
    for cascade in made.cascades:
        at = made.clip_of(cascade) @ [*(np.asarray(place) - made.origin_m), 1.0]
        assert np.abs(at[:2]).max() < 0.15
        texels = np.asarray(cascade.centre) / (2.0 * cascade.half_m / made.size_px)
        assert np.allclose(texels, np.round(texels), atol=1e-6)
        # What the block says of a place is where its own map holds it.
    block = made.block()
    for i, cascade in enumerate(made.cascades):
        point = np.add(place, (1.0, -2.0, 0.5))
        base = (made.clip_from_relative @ [*(point - made.origin_m), 1.0])[:2] * 0.5 + 0.5
        own = (made.clip_of(cascade) @ [*(point - made.origin_m), 1.0])[:2] * 0.5 + 0.5
        tile = np.array([i % 2, i // 2])
        assert np.allclose(base * block[i, 2] + block[i, :2], (own + tile) / 2.0, atol=1e-4)


class FakeScene:
    """As much of a scene as the fit reads: casters all over 4 km."""

    def __init__(self, sun: SunConfig) -> None:
        turn = pose_from_pan_tilt_roll((0, 0, 0), pan_deg=sun.pan_deg, tilt_deg=sun.elevation_deg)[:3, :3]
        self.sun = SimpleNamespace(direction=turn @ [0.0, 1.0, 0.0], shadow=True)
        at = np.random.default_rng(0).uniform(-2000, 2000, (200, 3)) * [1, 1, 0.01]
        self.placement = SimpleNamespace(swept=(at, np.full(200, 30.0)), moving=np.zeros(200, dtype=bool))
        self.draws = SimpleNamespace(casts=np.ones(200, dtype=bool))
        self.config = SceneConfig()


def shadow_row(rig: Rig, scene: Scene, *, x: tuple[float, float], y: float, **options: Any) -> Any:
    """Light on the floor along a line of 128 places at `y`, from x[0] to x[1]."""
    half = (x[1] - x[0]) / 2.0
    rig.scene_pass.draw(
        scene,
        view_from_stage=np.linalg.inv(
            stage_from_gl(pose_from_pan_tilt_roll(((x[0] + x[1]) / 2.0, y, 0.9), tilt_deg=-90.0))
        ),
        clip_from_view=np.diag([1.0 / half, 1.0 / half, -0.5, 1.0]),
        target=rig.easel.target,
        **{"stage_from_scene": np.eye(4)} | options,
    )
    return rig.device.read(rig.easel.target, dtype="f4")[64, :, 0].astype(np.float64)


def edge_at(light: Any, x: tuple[float, float]) -> float:
    """Where the light passes half of its largest value, counted from x[0]; the row begins in the shadow."""
    half = light.max() / 2.0
    first = int(np.argmax(light > half))
    before = (half - light[first - 1]) / (light[first] - light[first - 1])
    return x[0] + (first - 0.5 + before) * (x[1] - x[0]) / SIZE[0]


@pytest.mark.parametrize("away_m", [0.0, 4.0, 9.0, 16.0])
def test_an_edge_lies_within_a_texel_of_its_place_in_every_cascade(rig: Rig, away_m: float) -> None:
    """The plate's shadow ends at x = 9: seen with the stage so far from it that another cascade holds it."""
    scene = wide_scene(rig)
    away = np.eye(4)
    away[0, 3] = -(9.0 - away_m)
    x = (8.2, 9.8)
    light = shadow_row(rig, scene, x=(x[0] + away[0, 3], x[1] + away[0, 3]), y=6.0, stage_from_scene=away)
    made = fit(scene, away, 512)
    assert made is not None
    holds = next(c for c in made.cascades if c.half_m * 0.85 > max(away_m, 6.0))
    assert edge_at(light, x) == pytest.approx(9.0, abs=2.0 * holds.half_m / 512)


def test_shadows_do_not_shimmer_while_the_stage_glides(rig: Rig) -> None:
    """The stage moves by parts of a texel: what is looked at in the scene stays as it is, bit for bit."""
    scene = wide_scene(rig)
    still = []
    for step in range(5):
        moved = np.eye(4)
        moved[:3, 3] = 0.003 * step, -0.0017 * step, 0.0
        x = (8.0 + moved[0, 3], 10.0 + moved[0, 3])
        still.append(shadow_row(rig, scene, x=x, y=6.0 + moved[1, 3], stage_from_scene=moved))
    assert rig.scene_pass.shadow_statistics(scene).maps == 3
    for row in still[1:]:
        assert np.abs(row - still[0]).max() < 2e-3


def test_light_changes_softly_from_cascade_to_cascade_and_at_the_end(rig: Rig) -> None:
    """Where nothing is in the way there is no seam between cascades, nor at the end of the last."""
    shaded, bare = wide_scene(rig), wide_scene(rig, shadow=False)
    for y in (-40.0, -12.0, 20.0):
        rows = [shadow_row(rig, scene, x=(-40.0, 40.0), y=y) for scene in (shaded, bare)]
        assert np.allclose(*rows, rtol=1e-6)
        assert rows[0].min() > 0.6


# --- lamps ------------------------------------------------------------------------------------------------------


def lamp_scene(rig: Rig, *, turning: bool = False, **lamp: Any) -> Scene:
    values = {"position_m": (5.0, 6.0, 6.0), "candela": 900.0, "range_m": 40.0} | lamp
    config = SceneConfig(lights={"lamp": LightConfig(**values)})
    scene = Scene.from_assets(rig.device, config, [floor_and_plate(turning=turning)])
    rig.easel.keep(scene)
    return scene


@pytest.mark.parametrize("kind", ["spot", "point"])
def test_a_lamps_shadow_ends_where_geometry_puts_it(rig: Rig, kind: str) -> None:
    """From 6 m, a plate 2 m wide at 3 m shades 4 m of the floor, to x = 7; in the maps of spots and points alike."""
    scene = lamp_scene(rig, kind=kind, shadow=True, cones_deg=(50.0, 60.0))
    x = (6.2, 7.8)
    light = shadow_row(rig, scene, x=x, y=6.0)
    texel = 6.0 * 2.0 * np.tan(np.radians(60.0)) / 512
    assert light[:40].max() == 0.0
    assert edge_at(light, x) == pytest.approx(7.0, abs=1.5 * texel)
    # Without a shadow it is lit: the plate is what takes the light away.
    assert shadow_row(rig, lamp_scene(rig, kind=kind, shadow=False), x=x, y=6.0).min() > 0.01


@pytest.mark.parametrize("software", [True, False])
def test_a_points_six_maps_meet_without_a_seam(rig: Rig, software: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lamp over the bare floor: along the diagonals, where maps meet, light is the same as without shadows."""
    monkeypatch.setattr(rig.device, "capabilities", replace(rig.device.capabilities, software=software))
    lamp = {"kind": "point", "position_m": (-3.0, -4.0, 1.0)}
    with_maps, without = (lamp_scene(rig, shadow=shadow, **lamp) for shadow in (True, False))
    for y in (-4.0, -3.5, -6.0):
        x = (-6.0, 0.0)
        assert np.allclose(shadow_row(rig, with_maps, x=x, y=y), shadow_row(rig, without, x=x, y=y), rtol=1e-5)


def test_maps_of_lamps_are_drawn_once_and_only_what_moves_again(rig: Rig) -> None:
    still = lamp_scene(rig, kind="spot", cones_deg=(30.0, 50.0))
    for time_s in (0.0, 0.3, 0.6):
        shadow_row(rig, still, x=(6.0, 8.0), y=6.0, scene_time_s=time_s)
    assert rig.scene_pass.shadow_statistics(still).maps == 1
    moving = lamp_scene(rig, kind="spot", cones_deg=(30.0, 50.0), turning=True)
    lit = [shadow_row(rig, moving, x=(6.0, 6.8), y=6.0, scene_time_s=t).max() for t in (0.0, 0.5)]
    assert lit[0] == 0.0
    assert lit[1] > 0.01
    first = rig.scene_pass.shadow_statistics(moving)
    assert (first.maps, first.casters) == (3, 2)
    shadow_row(rig, moving, x=(6.0, 6.8), y=6.0, scene_time_s=0.5)
    assert rig.scene_pass.shadow_statistics(moving) == first
    # A lamp that is moved draws its own maps again, and no others.
    moving.lights.configure("lamp", LightConfig(kind="spot", candela=900.0, position_m=(4.0, 6.0, 6.0), range_m=40.0))
    shadow_row(rig, moving, x=(6.0, 6.8), y=6.0, scene_time_s=0.5)
    # (The map of what moves is empty here and stays so without being drawn.)
    assert rig.scene_pass.shadow_statistics(moving).maps == 4


def test_all_views_of_a_frame_share_the_maps(rig: Rig) -> None:
    """Six views, one sun and two lamps: no map is drawn twice; and the same frame again is the same picture."""
    lights = {
        f"l{i}": LightConfig(kind="spot", candela=500.0, position_m=(4.0 + i, 6.0, 6.0), range_m=30.0) for i in range(2)
    }
    config = SceneConfig(lights=lights, sun=SunConfig(pan_deg=90.0, elevation_deg=45.0), shadow_range_m=30.0)
    scene = Scene.from_assets(rig.device, config, [floor_and_plate(floor_half_m=500.0)])
    rig.easel.keep(scene)
    views = [shadow_row(rig, scene, x=(2.0 * i, 2.0 * i + 4.0), y=6.0) for i in range(6)]
    assert rig.scene_pass.shadow_statistics(scene).maps == 3 + 2
    again = [shadow_row(rig, scene, x=(2.0 * i, 2.0 * i + 4.0), y=6.0) for i in range(6)]
    assert all(np.array_equal(a, b) for a, b in zip(views, again, strict=True))


def test_cut_outs_cast_cut_shadows_of_lamps(rig: Rig) -> None:
    """A plate whose right half is cut away shades the left half of its shadow alone."""
    half = np.full((4, 4, 4), 255, np.uint8)
    half[:, 2:, 3] = 0
    asset = floor_and_plate()
    square = asset.meshes[0].primitives[0]
    uv = (square.positions[:, [0, 2]] + 1.0).astype(np.float32) / 2.0
    cut = replace(square, uv0=uv, material=1)
    nodes = (asset.nodes[0], replace(asset.nodes[1], mesh=1))
    leaf = Material(metallic=0.0, alpha_mode="mask", base_texture=TextureUse(0), double_sided=True)
    made = replace(
        asset, nodes=nodes, meshes=(*asset.meshes, Mesh("cut", (cut,))), materials=(WHITE, leaf),
        textures=(Texture(0, Sampler(mag_linear=False, min_linear=False, mips=False)),), images=(half,),
    )  # fmt: skip
    config = SceneConfig(
        lights={"a": LightConfig(kind="spot", candela=900.0, position_m=(5.0, 6.0, 6.0), range_m=40.0)}
    )
    scene = Scene.from_assets(rig.device, config, [made])
    rig.easel.keep(scene)
    row = shadow_row(rig, scene, x=(3.2, 6.8), y=6.0)
    assert row[:60].max() < 1e-6
    assert row[68:].min() > 0.01


def test_lamps_that_find_no_room_shine_without_a_shadow(rig: Rig) -> None:
    lights = {
        f"l{i}": LightConfig(kind="point", candela=50.0, position_m=(float(i), 6.0, 6.0), range_m=30.0, shadow=True)
        for i in range(9)
    }
    scene = Scene.from_assets(rig.device, SceneConfig(lights=lights), [floor_and_plate()])
    rig.easel.keep(scene)
    shadow_row(rig, scene, x=(3.0, 7.0), y=6.0)
    lamps = rig.scene_pass._lightings[id(scene)].lamps
    assert lamps.left_out == 1
    assert rig.scene_pass.shadow_statistics(scene).maps == 48
