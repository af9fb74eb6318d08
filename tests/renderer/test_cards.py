"""Cards and flags in the wall pass: what they do to light, where they may lie, and that nothing of them stays."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from renderer.config import RenderConfig
from renderer.device import Device
from renderer.renderer import Renderer
from stage.plan_cards import PlanCard

EYE = (0.0, 0.0, 1.7)


@pytest.fixture(scope="module")
def renderer(gl: Device) -> Any:
    made = Renderer(gl)
    yield made
    made.release()


def card(name: str = "c", **more: Any) -> PlanCard:
    told = {
        "kind": "light", "shape": "rectangle", "from_m": EYE, "pan_deg": 0.0, "tilt_deg": 0.0, "spin_deg": 0.0,
        "width_deg": 16.0, "height_deg": 10.0, "light": (1.0, 0.5, 0.25),
    }  # fmt: skip
    return PlanCard(id=name, **{**told, **more})


def light(renderer: Renderer, plan: Any, world: Any) -> Any:
    return renderer.draw(plan, world=world, output="light")["c"].array[..., :3].astype(np.float64)


def at(wallkit: ModuleType, stage: Any, pan_deg: float = 0.0, tilt_deg: float = 0.0, eye: Any = EYE) -> tuple[int, int]:
    """The canvas pixel, row and column, that a point sees at an angle."""
    away = wallkit.led_positions(stage) - np.array(eye)
    pan = np.degrees(np.arctan2(-away[..., 0], away[..., 1]))
    tilt = np.degrees(np.arctan2(away[..., 2], np.hypot(away[..., 0], away[..., 1])))
    found = np.unravel_index(np.nanargmin(np.hypot(pan - pan_deg, tilt - tilt_deg)), pan.shape)
    return int(found[0]), int(found[1])


@pytest.fixture(scope="module")
def wall(gl: Device, renderer: Renderer, wallkit: ModuleType) -> Any:
    stage = wallkit.flat_wall(8, 4, px=32)
    renderer.load_stage(stage, render=RenderConfig(outer_px=32))
    return stage


def test_lights_cover_flags_multiply_and_the_upper_one_wins(
    gl: Device, renderer: Renderer, wallkit: ModuleType, wall: Any
) -> None:
    world = wallkit.even_world(gl.ctx, 0.8)
    middle, beside = at(wallkit, wall), at(wallkit, wall, 12.0)
    got = light(renderer, wallkit.plan(cards=[card(opacity=0.25)]), world)
    assert got[middle] == pytest.approx(0.75 * 0.8 + 0.25 * np.array([1.0, 0.5, 0.25]), abs=1e-3)
    assert got[beside] == pytest.approx([0.8] * 3, abs=1e-3)
    flag = card("f", kind="flag", light=(0.25, 0.25, 0.25), width_deg=40.0)
    assert light(renderer, wallkit.plan(cards=[flag]), world)[beside] == pytest.approx([0.2] * 3, abs=1e-3)
    over = light(renderer, wallkit.plan(cards=[card(), flag]), world)
    assert over[middle] == pytest.approx(0.25 * np.array([1.0, 0.5, 0.25]), abs=1e-3)
    under = light(renderer, wallkit.plan(cards=[flag, card()]), world)
    assert under[middle] == pytest.approx([1.0, 0.5, 0.25], abs=1e-3)
    assert under[beside] == pytest.approx([0.2] * 3, abs=1e-3)


def test_gradients_and_feathers_run_the_way_they_are_told(
    gl: Device, renderer: Renderer, wallkit: ModuleType, wall: Any
) -> None:
    world = wallkit.even_world(gl.ctx, 0.0)
    white = {"light": (1.0, 1.0, 1.0), "width_deg": 16.0, "height_deg": 16.0}
    half = np.tan(np.radians(8.0))
    there = float(np.degrees(np.arctan(half / 2)))  # half way from the middle to an edge
    for degrees, brighter, dimmer in ((0.0, (0.0, -there), (0.0, there)), (90.0, (there, 0.0), (-there, 0.0))):
        told = card(**white, gradient="linear", gradient_deg=degrees, gradient_ev=-4.0)
        got = light(renderer, wallkit.plan(cards=[told]), world)
        assert got[at(wallkit, wall, *brighter)][0] == pytest.approx(2.0**-1, rel=0.06)
        assert got[at(wallkit, wall, *dimmer)][0] == pytest.approx(2.0**-3, rel=0.06)
    got = light(renderer, wallkit.plan(cards=[card(**white, gradient="radial", gradient_ev=-4.0)]), world)
    assert got[at(wallkit, wall)][0] == pytest.approx(1.0, rel=0.06)
    assert got[at(wallkit, wall, there)][0] == pytest.approx(2.0**-2, rel=0.06)
    got = light(renderer, wallkit.plan(cards=[card(**white, feather=1.0)]), world)
    assert got[at(wallkit, wall, there)][0] == pytest.approx(0.5, abs=0.05)
    assert got.max() <= 1.0
    outside = at(wallkit, wall, 8.6)
    assert got[outside][0] == 0.0


def test_a_card_lies_on_its_walls_and_on_lit_sides_only(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    corners = wallkit.flat_corners
    cabinets = [
        wallkit.cabinet(0, corners((-0.3, 4, 1.7), 0.5, 0.5), (0, 0, 32, 32), (0, 0, 32, 32), wall="main"),
        wallkit.cabinet(1, corners((0.3, 4, 1.7), 0.5, 0.5), (0, 0, 32, 32), (32, 0, 32, 32), wall="side"),
        wallkit.cabinet(
            2, corners((0.9, 4, 1.7), 0.5, 0.5, yaw_deg=180.0), (0, 0, 32, 32), (64, 0, 32, 32), wall="back"
        ),
    ]  # fmt: skip
    stage = wallkit.stage_of(cabinets, size=(96, 32))
    renderer.load_stage(stage, version=7, render=RenderConfig(outer_px=16))
    world = wallkit.even_world(gl.ctx, 0.1)

    def lit(**more: Any) -> list[bool]:
        told = card(width_deg=60.0, height_deg=40.0, **more)
        got = light(renderer, wallkit.plan(cards=[told], config_version=7), world)[..., 0]
        return [bool(np.all(got[:, x : x + 32] > 0.9)) for x in (0, 32, 64)]

    assert lit() == [True, True, False]
    assert lit(walls=["side"]) == [False, True, False]
    # From behind the walls, looking back, only the one that is turned that way.
    assert lit(from_m=(0.0, 8.0, 1.7), pan_deg=180.0) == [False, False, True]
    assert lit(pan_deg=180.0) == [False, False, False]


def test_cards_that_move_over_a_resting_outer_leave_nothing_behind(
    gl: Device, renderer: Renderer, wallkit: ModuleType, wall: Any
) -> None:
    world = wallkit.even_world(gl.ctx, 0.2)
    camera = wallkit.camera(pan=20.0, overscan=(0.0, 0.0, 0.0, 0.0))
    cards: list[list[PlanCard]] = [
        [], [card()], [card(pan_deg=-15.0), card("d", tilt_deg=-9.0, in_camera=["a"], pan_deg=18.0)],
        [card("d", tilt_deg=-9.0, pan_deg=18.0)], [],
    ]  # fmt: skip

    def codes(frame: int, drawn: int, these: list[PlanCard]) -> Any:
        plan = wallkit.plan(camera, frame=frame, drawn=drawn, cards=these)
        return renderer.draw(plan, world=world)["c"].array.copy()

    codes(1, 1, [])
    resting = [codes(2 + n, 1, these) for n, these in enumerate(cards)]
    for n, these in enumerate(cards):
        assert np.array_equal(resting[n], codes(100 + n, 100 + n, these)), n
    assert not np.array_equal(resting[1], resting[0])
    assert np.array_equal(resting[-1], resting[0])


def test_no_cards_and_cards_that_touch_nothing_change_no_bit(
    gl: Device, renderer: Renderer, wallkit: ModuleType, wall: Any
) -> None:
    world = wallkit.direction_world(gl.ctx)
    camera = wallkit.camera(feather=0.5)
    plain = renderer.draw(wallkit.plan(camera, frame=1), world=world)["c"].array.copy()
    for n, told in enumerate((card(pan_deg=150.0), card(opacity=0.0), card(walls=["elsewhere"]))):
        got = renderer.draw(wallkit.plan(camera, frame=2 + n, cards=[told]), world=world)["c"].array
        assert np.array_equal(got, plain)


def test_as_many_cards_as_a_plan_may_have(gl: Device, renderer: Renderer, wallkit: ModuleType, wall: Any) -> None:
    world = wallkit.even_world(gl.ctx, 0.0)
    pans = np.linspace(-22.0, 22.0, 8)
    tilts = np.linspace(-10.0, 8.0, 4)
    cards = [
        card(f"c{n}", pan_deg=float(pans[n % 8]), tilt_deg=float(tilts[n // 8]), width_deg=3.0, height_deg=3.0,
             shape="polygon", corners=[(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)], light=(0.02 * (n + 1),) * 3)
        for n in range(32)
    ]  # fmt: skip
    got = light(renderer, wallkit.plan(cards=cards), world)
    for n, told in enumerate(cards):
        assert got[at(wallkit, wall, told.pan_deg, told.tilt_deg)][0] == pytest.approx(0.02 * (n + 1), rel=1e-3)
    again = [msgspec.structs.replace(told, shape="rectangle", corners=[]) for told in cards]
    other = light(renderer, wallkit.plan(cards=again, frame=2), world)
    # Only at corners, where an LED lies half outside two edges, the two shapes are smoothed differently.
    assert np.count_nonzero(np.abs(other - got).max(axis=-1) > 2e-3) <= 4 * 32
