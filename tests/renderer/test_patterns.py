"""Patterns: exact codes from the published table, lines where geometry says, only on what they are aimed at."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from renderer.colour.transfer import pq_from_nits
from renderer.config import RenderConfig
from renderer.device import Device, unpack_10bit
from renderer.glyphs import GLYPHS, HEIGHT_DOTS, WIDTH_DOTS, atlas, numbers_of
from renderer.pattern_kinds import PatternKinds, pattern_about
from renderer.pattern_text import data_lines, nit_steps
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
        assert parse_pattern(kind.replace("<nits>", "203.5").replace("<leds>", "4")).nits > 0
    for wrong in ("uniform", "uniform_", "uniform_-3", "grid", "ramp_2", "checker_0", "checker_", "checker_1.5"):
        assert wrong not in PatternKinds()
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


def text_seen(lit: Any, text: str, dot: int) -> list[tuple[int, int]]:
    """Every place, row and column, where exactly this text stands in a picture of lit dots `dot` pixels large."""
    signs = atlas() > 0
    shape = np.zeros((HEIGHT_DOTS, 6 * len(text) - 1), dtype=bool)
    for place, number in enumerate(numbers_of(text, len(text))):
        shape[:, 6 * place : 6 * place + WIDTH_DOTS] = signs[:, number * WIDTH_DOTS : (number + 1) * WIDTH_DOTS]
    wanted = np.kron(shape, np.ones((dot, dot), dtype=bool))
    windows = np.lib.stride_tricks.sliding_window_view(lit, wanted.shape)
    return [(int(y), int(x)) for y, x in zip(*np.nonzero((windows == wanted).all(axis=(2, 3))), strict=True)]


def test_the_font_has_its_signs_and_no_two_alike() -> None:
    shapes = {atlas()[:, n * WIDTH_DOTS : (n + 1) * WIDTH_DOTS].tobytes() for n in range(len(GLYPHS))}
    assert len(shapes) == len(GLYPHS)
    assert list(numbers_of("a?", 3)) == [GLYPHS.index("A"), GLYPHS.index("?"), 0]
    assert numbers_of("é", 1)[0] == GLYPHS.index("?")
    for kind in KINDS:
        assert pattern_about(kind.replace("<nits>", "203.5").replace("<leds>", "4"))


def drawn(
    gl: Device, renderer: Renderer, wallkit: ModuleType, kind: str, stage: Any, *targets: str, **more: Any
) -> Any:
    renderer.load_stage(stage, render=RenderConfig(outer_px=16))
    plan = wallkit.plan(patterns=[wallkit.pattern(kind, *targets)], **more)
    return codes(renderer, plan, wallkit.even_world(gl.ctx, 0.3))


def test_the_cabinet_map_names_every_cabinet_where_it_is_however_it_is_mounted(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    whole = ((0, 0, 96, 96), (96, 0, 96, 96))
    cabinets = [
        wallkit.cabinet(n, wallkit.flat_corners((-0.3 + 0.6 * n, 4, 1.5), 0.5, 0.5), rect, rect, rotate=180 * n)
        for n, rect in enumerate(whole)
    ]
    stage = wallkit.stage_of(cabinets, size=(192, 96), encoding=FULL)
    got = drawn(gl, renderer, wallkit, "cabinet_map", stage)
    ink = np.all(got == 520, axis=-1)
    # Two dots a LED: the longest line, "96,0" or canvas c, leaves room for them.
    upright, turned = ink[:, :96], ink[::-1, 191:95:-1]
    for half, number in ((upright, 0), (turned, 1)):
        for text in (str(number + 1), f"k{number}", f"{96 * number},0"):
            assert any(text_seen(half, text, dot) for dot in (1, 2, 3)), text
    assert not any(text_seen(upright, "k1", dot) for dot in (1, 2, 3))


def test_data_lines_carry_as_many_cabinets_as_they_can(wallkit: ModuleType) -> None:
    stage = wallkit.flat_wall(4, 2, px=10)
    assert set(data_lines(stage, "c").values()) == {0}
    load = {"line_px": 320.0}
    processors = {"p": dataclasses.replace(stage.processors["p"], load=load)}
    lines = data_lines(dataclasses.replace(stage, processors=processors), "c")
    assert list(lines.values()) == [1, 1, 1, 2, 2, 2, 3, 3]


def test_the_frame_count_tells_the_frame_in_signs_and_in_bits(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = wallkit.flat_wall(8, 4, px=32, encoding=FULL)
    for frame in (7, 90210):
        got = drawn(gl, renderer, wallkit, "frame_count", stage, frame=frame, drawn=1, timecode="01:00:00:07")
        white = np.all(got == 520, axis=-1)
        assert text_seen(white[8:112], str(frame), 3)
        bits = [bool(white[124, round((n + 0.5) * 8)]) for n in range(32)]
        assert sum(bit << (31 - n) for n, bit in enumerate(bits)) == frame
        boxes = [bool(white[2, int((n + 0.5) * 256 / 24)]) for n in range(24)]
        assert boxes.index(True) == frame % 24
        assert sum(boxes) == 1


def test_bars_move_evenly_and_cross_the_wall_in_two_seconds(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = wallkit.flat_wall(6, 2, px=32, encoding=FULL)
    left = []
    for frame in range(0, 48, 6):
        got = drawn(gl, renderer, wallkit, "moving_bars", stage, frame=frame, drawn=0)
        white = np.all(got == 520, axis=-1).all(axis=0)
        left.append(int(np.flatnonzero(white)[0]))
        assert white.sum() == 8
    assert left == [24 * n for n in range(8)]


@pytest.mark.parametrize("encoding", [FULL, Encoding("gamma24", 500.0, 8, "rec709")], ids=["10bit", "8bit"])
def test_bits_and_range_are_codes_as_told(
    gl: Device, renderer: Renderer, wallkit: ModuleType, encoding: Encoding
) -> None:
    stage = wallkit.flat_wall(8, 4, px=32, encoding=encoding)
    shift = 10 - encoding.bits
    bands = drawn(gl, renderer, wallkit, "bit_depth", stage)[..., 1]
    wanted = 200 + np.arange(64)
    for band in range(4):
        assert np.array_equal(bands[28 + 32 * band, 2::4], (200 + ((wanted - 200) >> band << band)) >> shift)
    fields = drawn(gl, renderer, wallkit, "range", stage)[..., 1]
    told = [[0, 16, 32, 48, 64, 80, 96, 128], [896, 920, 940, 960, 980, 1000, 1012, 1023]]
    for row in range(2):
        assert np.array_equal(fields[8 + 64 * row, 16::32], np.array(told[row]) >> shift)


def test_nit_steps_have_the_published_codes_and_their_names(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = wallkit.flat_wall(16, 8, px=32, encoding=Encoding("pq", 1500.0, 10, "rec2020"))
    got = drawn(gl, renderer, wallkit, "nit_steps", stage)
    steps = nit_steps(1500.0)
    assert (steps[0], steps[-1]) == (0.0, 1500.0)
    rows = -(-len(steps) // 8)
    for number, nits in enumerate(steps):
        y, x = int((number // 8 + 0.2) * 256 / rows), (number % 8) * 64 + 32
        assert np.all(got[y, x] == np.floor(pq_from_nits(nits) * 1023 + 0.5)), nits
    black = np.all(got == 0, axis=-1)
    assert text_seen(black[86:172, 192:256], "100", 1)


def test_a_checker_of_single_leds_changes_at_each(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    stage = wallkit.flat_wall(4, 2, px=16, encoding=FULL)
    lit = drawn(gl, renderer, wallkit, "checker_1", stage)[..., 0] == 520
    y, x = np.mgrid[:32, :64]
    assert np.array_equal(lit, (x + y) % 2 == 0)
    lit = drawn(gl, renderer, wallkit, "checker", stage)[..., 0] == 520
    assert np.array_equal(lit, (x // 16 + y // 16) % 2 == 0)


def test_a_picture_aimed_at_a_canvas_lies_on_all_of_it(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    stage = wallkit.flat_wall(2, 1, px=8, encoding=FULL)
    assert np.all(drawn(gl, renderer, wallkit, "uniform_100", stage, "c") == 520)
    assert not np.any(drawn(gl, renderer, wallkit, "uniform_100", stage, "d") == 520)
