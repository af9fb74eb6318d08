"""Tiles: flips and turns against numpy's own, and every refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.canvases import cabinets_of, check_shown_once, mesh_tile_of, tiles_of, turned_rect_px, turned_size_px
from stage.compiled import Rotate
from stage.config import CanvasConfig, FlatWall, PanelConfig, TileConfig
from stage.errors import Problem
from stage.panels import panels_of
from stage.walls import BuiltWall, build_wall

PANELS = panels_of({"p": PanelConfig(width_mm=500, height_mm=400, width_px=10, height_px=8, nits=1000)})
TURNS: tuple[Rotate, ...] = (0, 90, 180, 270)


def wall(columns: int = 4, rows: int = 3) -> BuiltWall:
    config = FlatWall(type="flat", panel="p", columns=columns, rows=rows, position_m=(0, 3, 0))
    built = build_wall("w", config, PANELS, base_dir=Path(), problems=[])
    assert built is not None
    return built


def canvas(*tiles: TileConfig, width: int = 200, height: int = 200) -> CanvasConfig:
    return CanvasConfig(processor="led", width_px=width, height_px=height, tiles=list(tiles))


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 11),
    st.integers(0, 11),
    st.booleans(),
    st.sampled_from(TURNS),
)
def test_rectangles_move_as_pictures_do(w: int, h: int, x: int, y: int, flip: bool, rotate: Rotate) -> None:
    """The rectangle of a painted block equals where numpy's flip and clockwise turn put the block."""
    x, y = min(x, w - 1), min(y, h - 1)
    rect = (x, y, max(1, (w - x) // 2), max(1, (h - y) // 2))
    picture = np.zeros((h, w), dtype=bool)
    picture[y : y + rect[3], x : x + rect[2]] = True
    moved = np.rot90(np.fliplr(picture) if flip else picture, -(rotate // 90))
    ys, xs = np.nonzero(moved)
    expected = (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)
    assert turned_rect_px(rect, w, h, flip=flip, rotate=rotate) == expected
    assert turned_size_px(w, h, rotate) == moved.shape[::-1]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotate", TURNS)
def test_cabinets_tile_their_rectangle_without_gaps(flip: bool, rotate: Rotate) -> None:
    built = wall()
    problems: list[Problem] = []
    config = TileConfig(wall="w", wall_px=(10, 8, 30, 16), at_px=(7, 5), flip=flip, rotate=rotate)
    (tile,) = tiles_of("c", canvas(config), {"w": built}, {"w": None}, problems=problems)
    cabinets = cabinets_of(tile, built)
    assert not problems
    assert len(cabinets) == 6
    covered = np.zeros((200, 200), dtype=int)
    for cabinet in cabinets:
        x, y, w, h = cabinet.rect_px
        covered[y : y + h, x : x + w] += 1
        assert (w, h) == turned_size_px(10, 8, rotate)
    x, y, w, h = tile.rect_px
    assert (x, y) == (7, 5)
    assert (covered[y : y + h, x : x + w] == 1).all()
    assert covered.sum() == 480


def test_a_whole_wall_is_the_default() -> None:
    (tile,) = tiles_of("c", canvas(TileConfig(wall="w")), {"w": wall()}, {"w": None}, problems=[])
    assert tile.wall_rect_px == tile.rect_px == (0, 0, 40, 24)


@pytest.mark.parametrize(
    ("tile", "code", "path"),
    [
        (TileConfig(wall="v"), "stage.unknown_wall", "stage/canvases/c/tiles/0/wall"),
        (TileConfig(wall="w", wall_px=(10, 0, 40, 8)), "stage.tile_off_wall", "stage/canvases/c/tiles/0/wall_px"),
        (TileConfig(wall="w", at_px=(161, 0)), "stage.tile_off_canvas", "stage/canvases/c/tiles/0/at_px"),
        (TileConfig(wall="w", at_px=(0, 161), rotate=90), "stage.tile_off_canvas", "stage/canvases/c/tiles/0/at_px"),
        (TileConfig(wall="w", wall_px=(5, 0, 10, 8)), "stage.tile_cuts_panel", "stage/canvases/c/tiles/0/wall_px"),
        (TileConfig(wall="w", wall_px=(0, 0, 15, 8)), "stage.tile_cuts_panel", "stage/canvases/c/tiles/0/wall_px"),
    ],
)
def test_bad_tiles_are_refused(tile: TileConfig, code: str, path: str) -> None:
    problems: list[Problem] = []
    assert not tiles_of("c", canvas(tile), {"w": wall()}, {"w": None}, problems=problems)
    assert [(p.code, p.path) for p in problems] == [(code, path)]
    assert problems[0].mend


def test_a_turned_tile_may_fit_where_an_upright_one_does_not() -> None:
    narrow = canvas(TileConfig(wall="w", rotate=90), width=24, height=40)
    problems: list[Problem] = []
    assert tiles_of("c", narrow, {"w": wall()}, {"w": None}, problems=problems)
    assert not problems


def test_overlaps_are_refused_with_the_overlap() -> None:
    problems: list[Problem] = []
    two = canvas(
        TileConfig(wall="w", wall_px=(0, 0, 20, 24)), TileConfig(wall="w", wall_px=(20, 0, 20, 24), at_px=(15, 10))
    )
    tiles_of("c", two, {"w": wall()}, {"w": None}, problems=problems)
    assert [p.code for p in problems] == ["stage.tiles_overlap"]
    assert "5 x 14 px at [15, 10]" in problems[0].detail


def test_tiles_that_touch_do_not_overlap() -> None:
    problems: list[Problem] = []
    two = canvas(
        TileConfig(wall="w", wall_px=(0, 0, 20, 24)), TileConfig(wall="w", wall_px=(20, 0, 20, 24), at_px=(20, 0))
    )
    assert len(tiles_of("c", two, {"w": wall()}, {"w": None}, problems=problems)) == 2
    assert not problems


def test_a_wall_pixel_is_shown_once() -> None:
    built = {"w": wall()}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    two = canvas(
        TileConfig(wall="w", wall_px=(0, 0, 20, 24)), TileConfig(wall="w", wall_px=(10, 0, 30, 24), at_px=(50, 0))
    )
    tiles = tiles_of("c", two, built, {"w": None}, problems=problems)
    assert not problems
    check_shown_once(tiles, built, problems=problems, warnings=warnings)
    assert [p.code for p in problems] == ["stage.shown_twice"]
    assert "10 x 24 px at [10, 0]" in problems[0].detail
    assert not warnings


def test_dark_panels_are_a_warning() -> None:
    built = {"w": wall()}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    tiles = tiles_of("c", canvas(TileConfig(wall="w", wall_px=(0, 0, 30, 24))), built, {"w": None}, problems=problems)
    check_shown_once(tiles, built, problems=problems, warnings=warnings)
    assert not problems
    assert [(w.code, w.path) for w in warnings] == [("stage.not_shown", "stage/walls/w")]
    assert "240 of its 960 px" in warnings[0].detail


def test_a_wall_of_panels_has_no_mesh_tile() -> None:
    (tile,) = tiles_of("c", canvas(TileConfig(wall="w")), {"w": wall()}, {"w": None}, problems=[])
    assert mesh_tile_of(tile, wall()) is None
