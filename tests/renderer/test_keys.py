"""Chroma keys: exact codes where the camera looks, markers where geometry says, and nothing of the picture in them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from renderer.config import RenderConfig
from renderer.device import Device, unpack_10bit
from renderer.renderer import Renderer
from stage.compiled import Encoding
from stage.plan_cards import PlanKey

FULL = Encoding("pq", 1500.0, 10, "rec2020")
EIGHT = Encoding("gamma24", 500.0, 8, "rec709")
SIDES = (-0.25, 0.35, -0.2, 0.15)


@pytest.fixture(scope="module")
def renderer(gl: Device) -> Any:
    made = Renderer(gl)
    yield made
    made.release()


def codes(renderer: Renderer, plan: Any, world: Any) -> Any:
    picture = renderer.draw(plan, world=world)["c"]
    if picture.format == "rgb10a2":
        return unpack_10bit(picture.array).astype(int)
    return picture.array[..., :3].astype(int)


def key(**more: Any) -> PlanKey:
    return PlanKey("k", "a", more.pop("tangents", SIDES), more.pop("nits", (0.0, 100.0, 0.0)), **more)


def tangents(wallkit: ModuleType, stage: Any, camera: Any) -> Any:
    """Tangents right and up, [h, w] each, that the camera of pan 0 sees every LED at."""
    away = wallkit.led_positions(stage) - np.array(camera.pupil_m)
    return away[..., 0] / away[..., 1], away[..., 2] / away[..., 1]


@pytest.mark.parametrize("exposure_ev", [0.0, -3.0])
def test_a_key_has_its_exact_codes_where_the_camera_looks(
    gl: Device, renderer: Renderer, wallkit: ModuleType, exposure_ev: float
) -> None:
    stage = wallkit.flat_wall(8, 4, px=32, encoding=FULL)
    renderer.load_stage(stage, render=RenderConfig(outer_px=32))
    camera = wallkit.camera()
    world = wallkit.even_world(gl.ctx, 0.3)
    plain = codes(renderer, wallkit.plan(camera, exposure_ev=exposure_ev), world)
    got = codes(renderer, wallkit.plan(camera, key=[key()], exposure_ev=exposure_ev, frame=2), world)
    x, y = tangents(wallkit, stage, camera)
    inside = (x > SIDES[0]) & (x < SIDES[1]) & (y > SIDES[2]) & (y < SIDES[3])
    assert 1000 < inside.sum() < 0.8 * inside.size
    # 100 nits of the green LEDs: the published PQ code of 100 nits in green, none in red and blue.
    assert np.all(got[inside] == (0, 520, 0))
    assert np.array_equal(got[~inside], plain[~inside])
    assert np.array_equal(codes(renderer, wallkit.plan(camera, frame=3, exposure_ev=exposure_ev), world), plain)


@pytest.mark.parametrize("encoding", [FULL, EIGHT], ids=["10bit", "8bit"])
def test_codes_arrive_as_they_are_told(gl: Device, renderer: Renderer, wallkit: ModuleType, encoding: Encoding) -> None:
    renderer.load_stage(wallkit.flat_wall(4, 2, px=16, encoding=encoding), render=RenderConfig(outer_px=16))
    world = wallkit.even_world(gl.ctx, 0.3)
    shift = 10 - encoding.bits
    for told in ((64, 700, 65), (1023, 0, 1), (511, 512, 513)):
        got = codes(renderer, wallkit.plan(wallkit.camera(), key=[key(tangents=(-2, 2, -2, 2), codes=told)]), world)
        assert np.all(got == np.array(told) >> shift)


@pytest.mark.parametrize("markers", ["crosses", "dots", "triangles", "grid"])
def test_markers_stand_on_their_lattice(gl: Device, renderer: Renderer, wallkit: ModuleType, markers: Any) -> None:
    stage = wallkit.flat_wall(8, 4, px=64, encoding=FULL)
    renderer.load_stage(stage, render=RenderConfig(outer_px=32))
    camera, world = wallkit.camera(), wallkit.even_world(gl.ctx, 0.3)
    shape = {"markers": markers, "marker_nits": (100.0, 0.0, 0.0), "marker_line": 0.25}
    got = codes(
        renderer,
        wallkit.plan(camera, key=[key(**shape, marker_size=0.06, marker_spacing=0.15)]),
        world,
    )
    x, y = tangents(wallkit, stage, camera)
    inside = (x > SIDES[0]) & (x < SIDES[1]) & (y > SIDES[2]) & (y < SIDES[3])
    led = 0.5 / 64 / 3.88
    qx, qy = (v - 0.15 * np.round(v / 0.15) for v in (x, y))
    far = np.maximum(np.abs(qx), np.abs(qy)) > 0.03 + 2 * led
    red = (got[..., 0] == 520) & (got[..., 1] == 0)
    assert np.all(red[inside & (np.hypot(qx, qy) < 2 * led)])
    if markers == "grid":
        assert np.all(red[inside & (np.abs(qx) < 0.0075 - led)])
        assert not np.any(red[np.minimum(np.abs(qx), np.abs(qy)) > 0.0075 + led])
    else:
        assert np.all(got[inside & far] == (0, 520, 0))
    if markers == "triangles":  # they point up
        assert np.all(red[inside & (np.abs(qx) < led) & (qy > 0.0) & (qy < 0.03 - 4 * led)])
        assert not np.any(red[(qy < -0.015 - 2 * led)])


def test_markers_in_the_stage_stay_on_the_wall_when_the_camera_moves(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = wallkit.flat_wall(8, 4, px=64, encoding=FULL)
    renderer.load_stage(stage, render=RenderConfig(outer_px=32))
    world = wallkit.even_world(gl.ctx, 0.3)
    wide = {"tangents": (-1.0, 1.0, -1.0, 1.0), "markers": "dots", "marker_nits": (50.0, 0.0, 0.0)}
    pictures: dict[str, list[Any]] = {"stage": [], "camera": []}
    for space, drawn in pictures.items():
        size, spacing = (0.1, 0.3) if space == "stage" else (0.03, 0.1)
        for n, position in enumerate(((0.0, 0.0, 1.5), (0.11, 0.2, 1.6))):
            camera = wallkit.camera(position=position, pan=3.0 * n)
            told = key(**wide, marker_space=space, marker_size=size, marker_spacing=spacing)
            drawn.append(codes(renderer, wallkit.plan(camera, key=[told], frame=n), world)[..., 0])
    # Where either key ends is another matter: what both cover shows the same markers.
    both = [np.minimum(*pictures[space])[64:-64, 64:-64] for space in ("stage", "camera")]
    assert np.array_equal(both[0], pictures["stage"][0][64:-64, 64:-64])
    assert not np.array_equal(both[1], pictures["camera"][0][64:-64, 64:-64])
    # A dot every 0.3 m of the wall's LEDs, the first in its middle.
    pitch_m = stage.walls["main"].pitch_mm / 1000.0
    row = pictures["stage"][0][128]
    middles = [256 + k * 0.3 / pitch_m for k in (-1, 0, 1)]
    for middle in middles:
        assert row[round(middle)] > 0
        assert row[round(middle + 0.06 / pitch_m)] == 0


def test_no_camera_no_key(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(4, 2, px=16, encoding=FULL), render=RenderConfig(outer_px=16))
    world = wallkit.even_world(gl.ctx, 0.3)
    for camera in (wallkit.camera(enabled=False), wallkit.camera("b"), wallkit.camera(walls=("side",))):
        without = codes(renderer, wallkit.plan(camera, frame=1), world)
        assert np.array_equal(codes(renderer, wallkit.plan(camera, key=[key()], frame=1), world), without)


def test_a_key_that_reaches_beyond_the_inner_leaves_no_trace_while_the_outer_rests(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = wallkit.flat_wall(8, 4, px=16, encoding=FULL)
    renderer.load_stage(stage, render=RenderConfig(outer_px=16))
    world = wallkit.even_world(gl.ctx, 0.3)
    plans = [
        wallkit.plan(wallkit.camera(pan=pan), frame=2, drawn=1, key=told)
        for pan, told in ((0.0, [key(tangents=(-2, 2, -2, 2))]), (20.0, None))
    ]
    codes(renderer, plans[0], world)
    after = codes(renderer, plans[1], world)
    renderer.load_stage(stage, render=RenderConfig(outer_px=16))
    assert np.array_equal(after, codes(renderer, plans[1], world))
