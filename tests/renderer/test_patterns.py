"""Patterns: exact codes from the published table, lines where geometry says, only on what they are aimed at."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from renderer.config import RenderConfig
from renderer.device import Device, unpack_10bit
from renderer.patterns import KINDS, PatternError, parse_pattern
from renderer.renderer import Renderer
from stage.compiled import Encoding
from stage.lens import pinhole_tangents

FULL = Encoding("pq", 10000.0, 10, "rec2020")
LEGAL = Encoding("pq", 10000.0, 10, "rec709", "legal")


@pytest.fixture(scope="module")
def renderer(gl: Device) -> Any:
    made = Renderer(gl)
    yield made
    made.release()


def codes(renderer: Renderer, plan: Any, world: Any) -> Any:
    picture = renderer.draw(plan, world=world)["c"]
    return (
        unpack_10bit(picture.array).astype(int) if picture.format == "rgb10a2" else picture.array[..., :3].astype(int)
    )


def test_every_kind_is_known_and_others_are_refused() -> None:
    for kind in KINDS:
        assert parse_pattern(kind.replace("<nits>", "203.5")).nits > 0
    for wrong in ("uniform", "uniform_", "uniform_-3", "grid", "ramp_2"):
        with pytest.raises(PatternError) as caught:
            parse_pattern(wrong)
        assert caught.value.problems[0].value == wrong


@pytest.mark.parametrize("encoding", [FULL, LEGAL], ids=["full", "legal"])
def test_plain_light_has_the_published_codes(
    gl: Device, renderer: Renderer, wallkit: ModuleType, reference: Path, encoding: Encoding
) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8, encoding=encoding), render=RenderConfig(outer_px=16))
    world = wallkit.even_world(gl.ctx, 0.3)
    for row in json.loads((reference / "colour" / "pq_codes.json").read_text())["rows"]:
        plan = wallkit.plan(patterns=[wallkit.pattern(f"uniform_{row['nits']:g}")])
        assert np.all(codes(renderer, plan, world) == row[f"{encoding.range}10"]), row


def test_exposure_and_roll_off_do_not_touch_patterns(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    encoding = Encoding("pq", 1000.0, 10, "p3d65")
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8, encoding=encoding), render=RenderConfig(outer_px=16))
    world = wallkit.even_world(gl.ctx, 1.0)
    plan = wallkit.plan(patterns=[wallkit.pattern("uniform_1000")], exposure_ev=-3.0)
    assert np.all(codes(renderer, plan, world) == 769)
    brighter = wallkit.plan(patterns=[wallkit.pattern("uniform_4000")])
    assert np.all(codes(renderer, brighter, world) == 769)


def test_a_pattern_lies_on_its_targets_only_and_leaves_when_it_is_over(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    corners = wallkit.flat_corners
    cabinets = [
        wallkit.cabinet(0, corners((-0.6, 4, 1.5), 0.5, 0.5), (0, 0, 32, 32), (0, 0, 32, 32), wall="main"),
        wallkit.cabinet(1, corners((0.6, 4, 1.5), 0.5, 0.5), (0, 0, 32, 32), (32, 0, 32, 32), wall="side"),
    ]
    renderer.load_stage(wallkit.stage_of(cabinets, size=(64, 32), encoding=FULL), render=RenderConfig(outer_px=32))
    world = wallkit.even_world(gl.ctx, 0.0)
    got = codes(renderer, wallkit.plan(patterns=[wallkit.pattern("uniform_100", "side")]), world)
    assert np.all(got[:, :32] == 0)
    assert np.all(got[:, 32:] == 520)
    assert np.all(codes(renderer, wallkit.plan(frame=1), world) == 0)


def test_inner_grid_shows_the_cameras_frame_and_stays_inside_its_picture(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = wallkit.flat_wall(8, 4, encoding=FULL)
    renderer.load_stage(stage, render=RenderConfig(outer_px=64))
    world = wallkit.even_world(gl.ctx, 0.0)
    camera = wallkit.camera(overscan=(1.0, 1.0, 1.0, 1.0))
    plan = wallkit.plan(camera, patterns=[wallkit.pattern("inner_grid", "a")])
    lit = codes(renderer, plan, world).max(axis=-1) > 0
    covered = renderer.draw(plan, world=world, output="coverage")["c"].array[..., 0] > 0
    assert lit.any()
    assert not np.any(lit & ~covered)
    away = wallkit.led_positions(stage) - np.array(camera.pupil_m)
    x, y = away[..., 0] / away[..., 1], away[..., 2] / away[..., 1]
    left, right, bottom, top = pinhole_tangents(camera.lens)
    step = 0.5 / 64 / 3.88
    inside = (x > left + 2 * step) & (x < right - 2 * step) & (y > bottom + 2 * step) & (y < top - 2 * step)
    rim = (np.abs(x - right) < 0.5 * step) & (y > bottom) & (y < top)
    assert lit[rim].all()
    middle = (np.abs(x - (left + right) / 2) < 0.5 * step) & inside
    assert lit[middle].all()
    between = (np.abs((x - left) / (right - left) - 0.44) < 0.02) & (
        np.abs((y - bottom) / (top - bottom) - 0.56) < 0.02
    )
    assert between.any()
    assert not lit[between].any()
    other = wallkit.plan(camera, patterns=[wallkit.pattern("inner_grid", "b")])
    assert codes(renderer, other, world).max() == 0


def test_the_eye_card_is_straight_seen_from_the_eye(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    stage = wallkit.arc_wall(16, 6, px=64, encoding=FULL)
    renderer.load_stage(stage, render=RenderConfig(outer_px=64))
    plan = wallkit.plan(eye=(0.5, -0.4, 1.5), patterns=[wallkit.pattern("eye_card")])
    got = codes(renderer, plan, wallkit.even_world(gl.ctx, 0.0))
    away = wallkit.led_positions(stage) - np.array(plan.outer.eye_m)
    tilt = np.degrees(np.arctan2(away[..., 2], np.hypot(away[..., 0], away[..., 1])))
    pan = np.degrees(np.arctan2(away[..., 0], away[..., 1]))
    red, green = (got[..., 0] > got[..., 1]), (got[..., 1] > got[..., 0])
    assert np.abs(tilt[red]).max() < 0.2
    assert np.abs(pan[green]).max() < 0.2
    assert red.sum() > 0.98 * stage.canvases["c"].width_px
    lines = got.max(axis=-1) > 0
    on_ten = np.minimum(np.abs(tilt - 10 * np.round(tilt / 10)), np.abs(pan - 10 * np.round(pan / 10)))
    assert on_ten[lines].max() < 0.2
    assert lines[on_ten < 0.03].all()


def test_outlines_frame_every_tile_and_mark_its_top_left(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    cabinets = [
        wallkit.cabinet(0, wallkit.flat_corners((-0.3, 4, 1.5), 0.5, 0.5), (0, 0, 64, 64), (0, 0, 64, 64)),
        wallkit.cabinet(1, wallkit.flat_corners((0.3, 4, 1.5), 0.5, 0.5), (64, 0, 64, 64), (64, 0, 64, 64), rotate=90),
    ]
    renderer.load_stage(wallkit.stage_of(cabinets, size=(128, 64), encoding=FULL), render=RenderConfig(outer_px=64))
    plan = wallkit.plan(patterns=[wallkit.pattern("tile_outlines")])
    lit = codes(renderer, plan, wallkit.even_world(gl.ctx, 0.0)).max(axis=-1) > 0
    for tile in (lit[:, :64], lit[:, 64:]):
        assert tile[0].all()
        assert tile[-1].all()
        assert tile[:, 0].all()
        assert tile[:, -1].all()
    # The block of the second tile has turned with it, to the upper right; its number too.
    assert lit[2:8, 2:8].all()
    assert lit[2:8, 64 + 56 : 64 + 62].all()
    assert not lit[2:8, 64 + 2 : 64 + 8].any()
    one, two = lit[20:44, 20:44], np.rot90(lit[20:44, 84:108], 1)
    assert 0 < one.sum() < one.size / 2
    assert not np.array_equal(one, two)


def test_the_ramp_rises_evenly_in_pq_in_four_bands(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(8, 4, encoding=FULL), render=RenderConfig(outer_px=32))
    got = codes(renderer, wallkit.plan(patterns=[wallkit.pattern("ramp")]), wallkit.even_world(gl.ctx, 0.3))
    wanted = (np.arange(512) + 0.5) / 512 * 1023
    for band, channels in enumerate(((0, 1, 2), (0,), (1,), (2,))):
        row = got[band * 64 + 32]
        for channel in range(3):
            if channel in channels:
                assert np.abs(row[:, channel] - wanted).max() <= 1.0
            else:
                assert row[:, channel].max() == 0


def test_the_alignment_grid_crosses_in_the_middle_of_the_wall(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    renderer.load_stage(wallkit.flat_wall(8, 4, encoding=FULL), render=RenderConfig(outer_px=32))
    got = codes(renderer, wallkit.plan(patterns=[wallkit.pattern("alignment_grid")]), wallkit.even_world(gl.ctx, 0.0))
    lit = got.max(axis=-1) > 0
    assert lit[:, 255:257].all()
    assert lit[127:129].all()
    assert lit[0].all()
    assert lit[128, 0]
    assert not lit[120:125, 240:250].any()
