"""Lamps against closed forms: candela, lumens and lux, cones, ranges, places; and the grid hides none of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from renderer.gltf.model import Animation, Asset, Channel, Light, Material, Mesh, Node, Primitive
from renderer.light_config import LightConfig
from renderer.lights import CAPACITY, Grid, Lamp, Lights, configured, lamp_of, rec709_from_temperature
from renderer.scene import Scene
from renderer.working import AP1_FROM_REC709
from stage.frames import pose_from_pan_tilt_roll

MATT = Material(metallic=0.0, roughness=1.0, specular=0.0)
SIZE = (64, 64)
HALF_M = 8.0
WHITE_NIT = 1.0 / (100.0 * np.pi)
"""What a white matt surface shows of one lux: E / pi nit, 1.0 = 100 nit."""


def floor(half_m: float = 20.0, material: Material = MATT) -> Asset:
    """A floor at z = 0."""
    square = np.array([[-1, 0, -1], [-1, 0, 1], [1, 0, 1], [1, 0, -1]], np.float32)
    made = Primitive(
        square, np.tile(np.float32([0, 1, 0]), (4, 1)), None, None, None, None,
        np.array([0, 1, 2, 0, 2, 3], np.uint32), 0,
    )  # fmt: skip
    node = Node("floor", mesh=0, scale=(half_m, 1, half_m))
    return Asset(Path("f.glb"), (node,), (0,), (Mesh("s", (made,)),), (material,), (), (), (), ())


def with_light(light: Light, *, moves: bool = False, **node: Any) -> Asset:
    """The floor, and a lamp on a node of its own."""
    hung = Node("lamp", light=0, **node)
    keys = np.array([[-4.0, 2.0, 0.0], [4.0, 2.0, 0.0]])
    path = Animation("go", (Channel(1, "translation", np.array([0.0, 1.0]), keys, "linear"),), 1.0)
    asset = floor()
    nodes = (*asset.nodes, hung)
    return replace(asset, nodes=nodes, roots=(0, 1), lights=(light,), animations=(path,) if moves else ())


class Rig:
    """Looks straight down on the floor from 50 m, in parallel: pixel (row, column) is a place."""

    def __init__(self, easel: Any) -> None:
        self.easel, self.device, self.scene_pass = easel, easel.device, easel.scene_pass

    def scene(self, asset: Asset | None = None, lights: dict[str, Any] | None = None, **config: Any) -> Scene:
        lamps = {name: LightConfig(**light) for name, light in (lights or {}).items()}
        scene: Scene = self.easel.scene(asset or floor(), lights=lamps, **config)
        return scene

    def draw(self, scene: Scene, *, middle: tuple[float, float] = (0.0, 0.0), **options: Any) -> Any:
        """Light on the floor, [64, 64, 3], row 0 at +y; see `places`."""
        pose = pose_from_pan_tilt_roll((*middle, 50.0), tilt_deg=-90.0)
        return self.easel.draw(scene, pose, np.diag([1 / HALF_M, 1 / HALF_M, -0.01, 1.0]), **options)[..., :3]


def places(middle: tuple[float, float] = (0.0, 0.0)) -> Any:
    """x and y of the floor's pixels, [64, 64, 2]."""
    across = (np.arange(SIZE[0]) + 0.5) / SIZE[0] * 2 * HALF_M - HALF_M
    x, y = np.meshgrid(across, -across)
    return np.stack([x + middle[0], y + middle[1]], axis=-1)


@pytest.fixture
def rig(easel: Any) -> Rig:
    return Rig(easel(SIZE, shadow_px=256))


def illuminance(at: tuple[float, float, float], candela: float) -> Any:
    """Lux of a bare inverse-square light on the floor's pixels."""
    away = np.concatenate([places(), np.zeros((*SIZE, 1))], axis=-1) - at
    d2 = (away**2).sum(axis=-1)
    return candela / d2 * (at[2] / np.sqrt(d2))


# --- units ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [(0.0, 0.0, 2.0), (3.0, -2.0, 1.0), (-5.0, 6.0, 9.0)])
def test_a_point_of_so_many_candela_shows_what_physics_says(rig: Rig, at: tuple[float, float, float]) -> None:
    """A white matt floor shows I cos / (pi d^2) nit."""
    got = rig.draw(rig.scene(lights={"lamp": {"kind": "point", "position_m": at, "candela": 400.0}}))
    want = illuminance(at, 400.0) * WHITE_NIT
    # The light has no range: it ends where it gives 0.05 lux, 89 m away, and is 1 % less at a third of that.
    assert np.allclose(got[..., 0], want, rtol=0.01)


def test_exposure_lifts_it_and_an_assets_lamp_is_the_same_light(rig: Rig) -> None:
    here = (1.0, 2.0, 3.0)
    plain = rig.draw(rig.scene(lights={"a": {"kind": "point", "position_m": here, "candela": 90.0, "range_m": 30.0}}))
    lamp = Light("point", (1.0, 1.0, 1.0), 90.0, range_m=30.0)
    hung = rig.draw(rig.scene(with_light(lamp, translation=(here[0], here[2], -here[1]))))
    assert np.allclose(hung, plain, rtol=1e-6)
    lifted = rig.draw(
        rig.scene(
            lights={"a": {"kind": "point", "position_m": here, "candela": 90.0, "range_m": 30.0}}, exposure_ev=3.0
        )
    )
    assert np.allclose(lifted, 8.0 * plain, rtol=1e-6)


@pytest.mark.parametrize("tilt_deg", [-90.0, -30.0])
def test_a_directional_light_gives_its_lux(rig: Rig, tilt_deg: float) -> None:
    lights = {"moon": {"kind": "directional", "lux": 250.0, "tilt_deg": tilt_deg, "pan_deg": 40.0}}
    got = rig.draw(rig.scene(lights=lights))
    assert np.allclose(got, 250.0 * np.sin(np.radians(-tilt_deg)) * WHITE_NIT, rtol=1e-4)


def test_several_directional_lights_add_up_beside_the_sun(rig: Rig) -> None:
    suns = {k: {"kind": "directional", "lux": v, "tilt_deg": -90.0} for k, v in (("a", 100.0), ("b", 250.0))}
    sun = {"elevation_deg": 90.0, "illuminance": 1.0, "shadow": False}
    got = rig.draw(rig.scene(lights=suns, sun=sun))
    # The sun's illuminance counts in hundreds of lux: 1.0 shows 1 / pi.
    assert np.allclose(got, 450.0 * WHITE_NIT, rtol=1e-4)


def test_lumens_are_all_the_light_that_leaves_a_lamp() -> None:
    """The flux of the cone falloff, integrated numerically, is the lumens asked for."""
    point = configured(LightConfig(kind="point", lumens=1000.0))
    assert point.light[1] / WHITE_NIT == pytest.approx(1000.0 / (4 * np.pi))
    for cones in ((0.0, 20.0), (30.0, 60.0), (44.0, 45.0)):
        lamp = configured(LightConfig(kind="spot", lumens=1000.0, cones_deg=cones))
        cosine = np.linspace(lamp.outer_cos, 1.0, 200_001)
        falloff = np.clip((cosine - lamp.outer_cos) / (lamp.inner_cos - lamp.outer_cos), 0.0, 1.0) ** 2
        flux = 2 * np.pi * lamp.light[1] / WHITE_NIT * np.trapezoid(falloff, cosine)
        assert flux == pytest.approx(1000.0, rel=1e-4)


def test_colour_temperatures_are_those_of_black_bodies() -> None:
    """Daylight is nearly white, tungsten orange, and all have the luminance asked for."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    for kelvin in (1_667.0, 2_222.5, 3_200.0, 4_000.5, 6_504.0, 20_000.0):
        assert rec709_from_temperature(kelvin) @ weights == pytest.approx(1.0, abs=2e-4)
    assert np.allclose(rec709_from_temperature(6_504.0), 1.0, atol=0.05)
    red, green, blue = rec709_from_temperature(3_200.0)
    assert red > 1.5 > green > 2 * blue
    # No step where the formula's pieces meet.
    for kelvin in (2_222.0, 4_000.0):
        assert np.allclose(rec709_from_temperature(kelvin), rec709_from_temperature(kelvin + 0.01), atol=2e-3)
    lamp = configured(LightConfig(kind="point", candela=100.0, temperature_k=3_200.0))
    assert np.allclose(lamp.light, AP1_FROM_REC709 @ rec709_from_temperature(3_200.0) * 100.0 * WHITE_NIT)


# --- shapes -----------------------------------------------------------------------------------------------------


def test_the_cone_falls_off_as_the_extension_says(rig: Rig) -> None:
    at, inner, outer = (0.5, -0.5, 4.0), 25.0, 50.0
    lights = {
        "spot": {"kind": "spot", "position_m": at, "candela": 1000.0, "cones_deg": (inner, outer), "shadow": False}
    }
    got = rig.draw(rig.scene(lights=lights))[..., 0]
    away = np.concatenate([places(), np.zeros((*SIZE, 1))], axis=-1) - at
    cosine = -away[..., 2] / np.linalg.norm(away, axis=-1)
    low, high = np.cos(np.radians(outer)), np.cos(np.radians(inner))
    cone = np.clip((cosine - low) / (high - low), 0.0, 1.0) ** 2
    want = illuminance(at, 1000.0) * WHITE_NIT * cone
    assert np.allclose(got, want, rtol=0.01, atol=1e-6)
    assert (got[cosine < low - 1e-4] == 0.0).all()


def test_a_spot_shines_where_it_is_aimed(rig: Rig) -> None:
    lights = {
        "a": {"kind": "spot", "position_m": (-4.0, 0.0, 5.0), "aim_m": (4.0, 3.0, 0.0), "candela": 900.0,
              "cones_deg": (0.0, 12.0)},
    }  # fmt: skip
    got = rig.draw(rig.scene(lights=lights))[..., 0]
    middle = (places() * got[..., None]).sum(axis=(0, 1)) / got.sum()
    assert np.linalg.norm(middle - (4.0, 3.0)) < 0.6
    # glTF: the node's -Z, turned to the stage's axes; half a turn about x aims straight up.
    up = with_light(Light("spot", (1, 1, 1), 500.0), translation=(0, 3, 0), rotation=(0.7071068, 0, 0, 0.7071068))
    down = with_light(Light("spot", (1, 1, 1), 500.0), translation=(0, 3, 0), rotation=(-0.7071068, 0, 0, 0.7071068))
    assert rig.draw(rig.scene(up)).max() == 0.0
    assert rig.draw(rig.scene(down)).max() > 0.1


def test_the_range_fades_to_exactly_nothing_without_an_edge(rig: Rig) -> None:
    at = (0.0, 0.0, 1.0)
    got = rig.draw(rig.scene(lights={"a": {"kind": "point", "position_m": at, "candela": 100.0, "range_m": 5.0}}))[
        ..., 0
    ]
    away = np.concatenate([places(), np.zeros((*SIZE, 1))], axis=-1) - at
    distance = np.linalg.norm(away, axis=-1)
    want = illuminance(at, 100.0) * WHITE_NIT * np.clip(1.0 - (distance / 5.0) ** 4, 0.0, 1.0)
    assert np.allclose(got, want, rtol=1e-3, atol=1e-7)
    assert (got[distance >= 5.0] == 0.0).all()
    assert (got[distance < 4.9] > 0.0).all()


def test_a_large_lamp_is_no_brighter_from_within_and_mirrors_larger(rig: Rig) -> None:
    shiny = Material(metallic=1.0, roughness=0.15)
    lamps = {
        radius: {"a": {"kind": "point", "position_m": (0, 0, 2.0), "candela": 10.0, "radius_m": radius}}
        for radius in (0.0, 0.5)
    }
    small, large = (rig.draw(rig.scene(floor(material=shiny), lights=value))[..., 1] for value in lamps.values())
    assert large.max() < 0.6 * small.max()
    assert (large > 0.3 * large.max()).sum() > (small > 0.3 * small.max()).sum()
    near = {"a": {"kind": "point", "position_m": (0, 0, 0.1), "candela": 10.0, "radius_m": 1.0}}
    assert rig.draw(rig.scene(lights=near)).max() <= 10.0 * WHITE_NIT * 1.01


# --- many lights ------------------------------------------------------------------------------------------------


def test_many_lights_are_the_sum_of_each_alone(rig: Rig) -> None:
    """40 lamps (two words of the grid): the picture is their sum, and zero lights cost no line of shader."""
    rng = np.random.default_rng(5)
    lamps = {}
    for i in range(40):
        x, y = rng.uniform(-9, 9, 2)
        lamps[f"l{i}"] = {
            "kind": "spot" if i % 3 else "point", "position_m": (float(x), float(y), float(rng.uniform(0.5, 4))),
            "candela": float(rng.uniform(5, 50)), "range_m": float(rng.uniform(1.5, 6)), "shadow": False,
        }  # fmt: skip
    together = rig.draw(rig.scene(lights=lamps))
    alone = sum(rig.draw(rig.scene(lights={name: value})) for name, value in lamps.items())
    assert np.allclose(together, alone, rtol=2e-5, atol=1e-6)
    assert together.max() > 0.05
    empty = rig.scene()
    rig.draw(empty)
    assert id(empty) not in rig.scene_pass._lightings


def test_a_place_looks_the_same_from_everywhere(rig: Rig) -> None:
    """Two views whose edges lie elsewhere agree on every place both see."""
    lamps = {
        f"l{i}": {"kind": "point", "position_m": (i * 1.3 - 5, (i * 7 % 5) - 2.0, 1.0), "candela": 20.0, "range_m": 4.0}
        for i in range(9)
    }
    scene = rig.scene(lights=lamps)
    step = 2 * HALF_M / SIZE[0]
    whole = rig.draw(scene)
    beside = rig.draw(scene, middle=(16 * step, 0.0))
    assert np.allclose(whole[:, 16:], beside[:, :-16], rtol=2e-5, atol=1e-6)
    assert np.array_equal(rig.draw(scene), whole)


positions = st.tuples(*(st.floats(-30, 30) for _ in range(3)))
lamps_drawn = st.builds(
    lambda kind, at, reach, axis, outer: Lamp(
        kind, (1.0, 1.0, 1.0), at, tuple(np.asarray(axis) / np.linalg.norm(axis)), reach, 1.0, outer
    ),
    st.sampled_from(["point", "spot"]),
    positions,
    st.floats(0.2, 25.0),
    positions.filter(lambda v: np.linalg.norm(v) > 0.1),
    st.floats(0.0, 0.99),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(lamps_drawn, min_size=1, max_size=40), st.lists(positions, min_size=1, max_size=30), st.data())
def test_the_grid_hides_no_light_that_reaches_a_place(lamps: list[Lamp], at: Any, data: st.DataObject) -> None:
    low, high = np.full(3, -30.0), np.full(3, 30.0)
    grid = Grid()
    grid.update(lamps, low, high)
    for _ in range(2):
        for place in np.asarray(at):
            cell = np.floor((place - grid.low_m) / grid.cell_m).astype(int)
            inside = (cell >= 0).all() and (cell < grid.size).all()
            for i, lamp in enumerate(lamps):
                away = place - lamp.position_m
                distance = np.linalg.norm(away)
                reaches = distance < lamp.range_m and (
                    lamp.kind == "point" or away @ lamp.axis >= lamp.outer_cos * distance
                )
                if reaches:
                    assert inside
                    assert grid.cells[cell[2], cell[1], cell[0], i // 32] >> np.uint32(i % 32) & np.uint32(1)
        # Moved lights: the grid is mended, not made anew, and must be as one that is.
        moved = data.draw(st.integers(0, len(lamps) - 1))
        lamps = [replace(lamp, position_m=(1.0, 2.0, 3.0)) if i == moved else lamp for i, lamp in enumerate(lamps)]
        grid.update(lamps, low, high)
        fresh = Grid()
        fresh.update(lamps, low, high)
        assert np.array_equal(fresh.cells, grid.cells)


# --- life -------------------------------------------------------------------------------------------------------


def test_an_animated_lamp_goes_along_and_the_same_time_is_the_same_picture(rig: Rig) -> None:
    scene = rig.scene(with_light(Light("point", (1, 1, 1), 20.0, range_m=5.0), moves=True, translation=(0, 2, 0)))
    left, right = rig.draw(scene, scene_time_s=0.1)[..., 0], rig.draw(scene, scene_time_s=0.9)[..., 0]
    where = [(places()[..., 0] * light).sum() / light.sum() for light in (left, right)]
    assert where[0] == pytest.approx(-3.2, abs=0.3)
    assert where[1] == pytest.approx(3.2, abs=0.3)
    assert np.array_equal(rig.draw(scene, scene_time_s=0.1)[..., 0], left)


def test_lights_change_live_and_are_sent_only_then(rig: Rig) -> None:
    config = {"kind": "point", "position_m": (0.0, 0.0, 2.0), "candela": 50.0, "range_m": 20.0}
    scene = rig.scene(lights={"a": config})
    first = rig.draw(scene)
    version = scene.lights.version
    scene.lights.configure("a", LightConfig(**config))
    assert scene.lights.version == version
    scene.lights.configure("a", LightConfig(**config | {"candela": 100.0}))
    assert np.allclose(rig.draw(scene), 2 * first, rtol=1e-3)
    scene.lights.configure("a", LightConfig(**config | {"on": False}))
    assert rig.draw(scene).max() == 0.0
    scene.lights.remove("a")
    scene.lights.configure("b", LightConfig(**config))
    assert np.array_equal(rig.draw(scene), first)


def test_lamps_that_hang_on_nodes_keep_their_place_when_changed() -> None:
    from renderer.lights import Follows

    lights = Lights({}, [("x", Light("spot", (1, 1, 1), 10.0), Follows(0, 3))])
    place = np.eye(4)
    place[:3, 3] = 1.0, 2.0, 3.0
    lights.follow(lambda _: place)
    lights.change("x", lamp_of(Light("spot", (1, 0, 0), 20.0)))
    assert lights.lamps["x"].position_m == (1.0, 2.0, 3.0)
    assert lights.lamps["x"].light[0] > 0


def test_more_lights_than_there_is_room_for_are_told() -> None:
    many = {f"l{i}": LightConfig(kind="point", candela=1.0) for i in range(CAPACITY + 3)}
    lights = Lights(many)
    assert len(lights.lit()) == CAPACITY
    assert str(CAPACITY) in lights.notes[0]
    cast = {f"l{i}": LightConfig(kind="point", candela=1.0, shadow=True) for i in range(8)}
    assert Lights(cast).notes == ()
    cast["one more"] = LightConfig(kind="spot", candela=1.0)
    assert "49 maps" in Lights(cast).notes[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "point"}, "candela or lumens"),
        ({"kind": "point", "lux": 5.0}, "candela or lumens"),
        ({"kind": "spot", "candela": 5.0, "lumens": 5.0}, "one of them"),
        ({"kind": "directional", "lumens": 5.0}, "lux"),
        ({"kind": "spot", "candela": 5.0, "cones_deg": (50.0, 40.0)}, "inner cone"),
        ({"kind": "point", "candela": 5.0, "colour": (1.0, 1.0, 1.0), "temperature_k": 3200.0}, "not both"),
        ({"kind": "directional", "lux": 5.0, "shadow": True}, "sun"),
        ({"kind": "spot", "candela": 5.0, "aim_m": (0.0, 0.0, 0.0)}, "aim_m"),
    ],
)
def test_contradictions_are_refused_in_words(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LightConfig(**values)
