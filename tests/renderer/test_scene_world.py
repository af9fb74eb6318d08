"""Two scenes in one view: dissolves in light, and wipes whose edge every view sees in the same place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from renderer.config import SceneConfig
from renderer.device import Device
from renderer.passes.target import ViewTarget
from renderer.scene import WORKING_FROM_REC709, Scene
from renderer.scene_world import SceneWorld
from stage.frames import pose
from stage.plan import FramePlan, PlanOuter, PlanScene, PlanWipe, matrix16
from stage.projection import cube_view_from_stage

HERE = matrix16(pose((0.0, 0.0, 0.0)))
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 4.0)


@pytest.fixture(scope="module")
def device(gl: Device) -> Device:
    return gl


@pytest.fixture(scope="module")
def world(device: Device) -> Iterator[SceneWorld]:
    scenes = {
        name: Scene.from_assets(device, SceneConfig(background=colour), [])
        for name, colour in (("red", RED), ("blue", BLUE))
    }
    made = SceneWorld(device, scenes, shadow_px=64)
    made.ready()
    yield made
    made.release()
    for scene in scenes.values():
        scene.release()


def plan_of(*scenes: PlanScene) -> FramePlan:
    return FramePlan(1, (24, 1), 0, [], PlanOuter("live", 1, (0.0, 0.0, 0.0)), list(scenes))


def view(
    device: Device, world: SceneWorld, plan: FramePlan, *, face: int = 0, size: tuple[int, int] = (64, 64),
    window: tuple[float, float, float, float] = (-1.0, 1.0, -1.0, 1.0), eye: tuple[float, float, float] = (0, 0, 0),
) -> NDArray[Any]:  # fmt: skip
    """A view through a window (left, right, bottom, top) of a cube's face, [h, w, 3]; row 0 is the bottom."""
    left, right, bottom, top = window
    near, far = 0.1, 100.0
    clip = np.array(
        [
            [2 / (right - left), 0, (right + left) / (right - left), 0],
            [0, 2 / (top - bottom), (top + bottom) / (top - bottom), 0],
            [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, -1, 0],
        ]
    )
    target = ViewTarget(device, *size, "f2")
    world.prepare(plan)
    world.draw(
        plan,
        view_from_stage=cube_view_from_stage(face, np.array(eye, dtype=np.float64)),
        clip_from_view=clip,
        target=target.framebuffer,
    )
    target.finish(mips=False)
    out = device.read(target.framebuffer, dtype="f2")[..., :3].astype(np.float64)
    target.release()
    return out


def light(colour: tuple[float, float, float]) -> NDArray[Any]:
    return np.asarray(WORKING_FROM_REC709 @ np.asarray(colour))


def wiped(edge_deg: float, *, softness_deg: float = 0.0, angle_deg: float = 0.0) -> FramePlan:
    angle = np.radians(angle_deg)
    wipe = PlanWipe((float(np.cos(angle)), 0.0, float(np.sin(angle))), edge_deg, softness_deg)
    return plan_of(PlanScene("red", 1, 0.5, HERE), PlanScene("blue", 1, 0.5, HERE, wipe))


def test_a_dissolve_is_a_sum_of_light(device: Device, world: SceneWorld) -> None:
    plan = plan_of(PlanScene("red", 1, 0.75, HERE), PlanScene("blue", 1, 0.25, HERE))
    found = view(device, world, plan)
    assert found == pytest.approx(np.broadcast_to(0.75 * light(RED) + 0.25 * light(BLUE), found.shape), abs=4e-3)


@pytest.mark.parametrize("face", range(6))
@pytest.mark.parametrize("edge_deg", [-30.0, 0.0, 50.0])
def test_every_view_sees_the_edge_in_the_same_direction(
    device: Device, world: SceneWorld, face: int, edge_deg: float
) -> None:
    size = 64
    found = view(device, world, wiped(edge_deg, angle_deg=20.0), face=face, size=(size, size))
    at = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    x, y = np.meshgrid(at, at)
    seen = np.stack([x, y, -np.ones_like(x)], axis=-1) @ cube_view_from_stage(face, np.zeros(3))[:3, :3]
    seen /= np.linalg.norm(seen, axis=-1, keepdims=True)
    way = np.array([np.cos(np.radians(20.0)), 0.0, np.sin(np.radians(20.0))])
    along = np.degrees(np.arcsin(np.clip(seen @ way, -1.0, 1.0)))
    covered = np.abs(found - light(BLUE)).max(axis=-1) < 1e-2
    sure = np.abs(along - edge_deg) > 0.01
    assert np.array_equal(covered[sure], (along < edge_deg)[sure])


def test_a_soft_edge_mixes_over_its_width(device: Device, world: SceneWorld) -> None:
    found = view(device, world, wiped(0.0, softness_deg=40.0), face=2, size=(181, 3), window=(-1, 1, -0.01, 0.01))
    share = found[1] @ light(BLUE) / (light(BLUE) @ light(BLUE))
    angle = np.degrees(np.arctan((np.arange(181) + 0.5) / 181 * 2.0 - 1.0))
    if share[0] < share[-1]:
        angle = -angle
    x = np.clip((angle + 20.0) / 40.0, 0.0, 1.0)
    red_in_blue = float(light(RED) @ light(BLUE) / (light(BLUE) @ light(BLUE)))
    covered = 1.0 - x * x * (3.0 - 2.0 * x)
    assert share == pytest.approx(covered + (1.0 - covered) * red_in_blue, abs=5e-3)


HALVES = plan_of(PlanScene("red", 1, 0.3, HERE), PlanScene("blue", 1, 0.7, HERE))


@pytest.mark.parametrize("plan", [wiped(10.0, softness_deg=30.0), wiped(-20.0), HALVES])
def test_a_view_in_two_halves_is_the_whole_one(device: Device, world: SceneWorld, plan: FramePlan) -> None:
    whole = view(device, world, plan, size=(64, 32))
    left = view(device, world, plan, size=(32, 32), window=(-1.0, 0.0, -1.0, 1.0))
    right = view(device, world, plan, size=(32, 32), window=(0.0, 1.0, -1.0, 1.0))
    assert np.concatenate([left, right], axis=1) == pytest.approx(whole, abs=1e-3)


def test_a_view_beside_the_edge_draws_one_scene(
    device: Device, world: SceneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    draw = SceneWorld._draw
    monkeypatch.setattr(
        SceneWorld, "_draw", lambda self, plan, entry, *rest: (drawn.append(entry.id), draw(self, plan, entry, *rest))
    )
    for edge_deg, names in ((-89.0, ["red"]), (89.0, ["blue"])):
        drawn.clear()
        view(device, world, wiped(edge_deg), face=2, window=(-0.2, 0.2, -0.2, 0.2))
        assert drawn == names


def test_every_scene_runs_in_its_own_time(device: Device, world: SceneWorld) -> None:
    plan = plan_of(PlanScene("red", 1, 0.5, HERE, None, 0.0, 250_000_000), PlanScene("blue", 1, 0.5, HERE))
    world.prepare(plan)
    assert (world.scenes["red"].time_s, world.scenes["blue"].time_s) == (0.25, 0.0)


def test_values_on_their_way_are_drawn_as_edits_would_be_and_leave_nothing_behind(gl: Device) -> None:
    scene = Scene(gl, SceneConfig(background=(0.1, 0.2, 0.3), ambient=(0.5, 0.5, 0.5)), Path())
    world = SceneWorld(gl, {"hall": scene}, shadow_px=16)
    view = ViewTarget(gl, 8, 8, "f4")

    def shown(version: int, moving: dict[str, Any]) -> Any:
        entry = PlanScene("hall", version, 1.0, matrix16(np.eye(4)), moving=moving)
        plan = FramePlan(1, (24, 1), 0, [], PlanOuter("live", 1, (0.0, 0.0, 1.7)), [entry])
        world.prepare(plan)
        world.draw(plan, view_from_stage=np.eye(4), clip_from_view=np.eye(4), target=view.framebuffer)
        return gl.read(view.framebuffer, dtype="f4")[..., :3].copy()

    try:
        scene.apply({"background": [0.4, 0.2, 0.1]})
        edited = shown(1, {})
        halfway = shown(1, {"background": [0.25, 0.2, 0.2], "gone/from_the_scene": 3.0, "ambient": "red"})
        assert np.array_equal(shown(1, {}), edited)
        scene.apply({"background": [0.25, 0.2, 0.2]})
        assert np.array_equal(shown(2, {}), halfway)
        assert not np.array_equal(halfway, edited)
        scene.apply({})
        assert np.array_equal(shown(3, {"background": [0.4, 0.2, 0.1]}), edited)
    finally:
        view.release()
        world.release()
        scene.release()
