"""The sun's shadow: where it falls, how it is fitted, and that it is drawn again only when something moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer.config import SceneConfig
from renderer.device import Device
from renderer.gltf.model import Animation, Asset, Channel, Material, Mesh, Node, Primitive
from renderer.passes.scene import ScenePass, release_target, target
from renderer.passes.shadow import fit
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

    def __init__(self, device: Device) -> None:
        self.device = device
        self.scene_pass = ScenePass(device, shadow_px=512)
        self.target = target(device, SIZE, dtype="f4")
        self.scenes: list[Scene] = []

    def scene(self, asset: Asset, **sun: Any) -> Scene:
        values = {"pan_deg": 90.0, "elevation_deg": 45.0, "illuminance": np.pi} | sun
        config = SceneConfig.model_validate({"sun": values, "shadow_range_m": 30.0}, strict=False)
        scene = Scene.from_assets(self.device, config, [asset])
        self.scenes.append(scene)
        return scene

    def light_at(self, scene: Scene, *places: tuple[float, float], **options: Any) -> list[float]:
        """Light on the floor at stage (x, y), seen from a point that the plate never hides."""
        out = []
        for x, y in places:
            eye = (x, y, 0.9)
            self.scene_pass.draw(
                scene,
                view_from_stage=np.linalg.inv(stage_from_gl(pose_from_pan_tilt_roll(eye, tilt_deg=-90.0))),
                clip_from_view=np.diag([20.0, 20.0, -0.5, 1.0]),
                target=self.target,
                **{"stage_from_scene": np.eye(4)} | options,
            )
            out.append(float(self.device.read(self.target, dtype="f4")[64, 64, 0]))
        return out

    def release(self) -> None:
        for scene in self.scenes:
            self.scene_pass.forget(scene)
            scene.release()
        self.scene_pass.release()
        release_target(self.target)


@pytest.fixture
def rig(gl: Device) -> Iterator[Rig]:
    made = Rig(gl)
    yield made
    made.release()


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


def test_surfaces_do_not_shadow_themselves(rig: Rig) -> None:
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
