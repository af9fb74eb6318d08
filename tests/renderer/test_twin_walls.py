"""The twin's own reading of tiles: flip, then turn clockwise, then place; checked against numpy's own turns."""

from __future__ import annotations

import numpy as np
import pytest

from renderer.twin.walls import TwinWalls, tile_map
from stage.compiled import Cabinet, Canvas, CompiledStage, Encoding, MeshTile, Processor, Wall
from stage.rate import Rate

W, H = 6, 4


def cabinet(rotate: int, flip: bool) -> Cabinet:
    corners = np.array([[0.0, 2.0, 0.0], [3.0, 2.0, 0.0], [0.0, 2.0, 2.0], [3.0, 2.0, 2.0]])
    w, h = (W, H) if rotate in (0, 180) else (H, W)
    return Cabinet("c", "wall", "panel", corners, (12, 8, W, H), "main", (5, 7, w, h), rotate, flip)  # type: ignore[arg-type]


def stage_of(*tiles: Cabinet | MeshTile) -> CompiledStage:
    rate = Rate(24, 1)
    return CompiledStage(
        "test",
        rate,
        (0.0, 0.0, 1.6),
        {"wall": Wall("wall", "flat", 100, 100, 1000.0, 500.0, 3.0, 2.0, 1)},
        {"main": Canvas("main", "p", 32, 32, rate, Encoding("srgb", 1000.0, 8, "rec709"))},
        {"p": Processor("p", "simulated", 1.0, None, None, None, None)},
        tuple(t for t in tiles if isinstance(t, Cabinet)),
        tuple(t for t in tiles if isinstance(t, MeshTile)),
        {},
    )


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_tiles_lie_on_the_canvas_as_numpy_turns_them(rotate: int, flip: bool) -> None:
    picture = np.arange(W * H).reshape(H, W)  # the number of each LED, row by row
    turned = np.rot90(np.fliplr(picture) if flip else picture, k=-rotate // 90)
    canvas = np.full((32, 32), -1)
    canvas[7 : 7 + turned.shape[0], 5 : 5 + turned.shape[1]] = turned
    m = tile_map(cabinet(rotate, flip))
    for row in range(H):
        for column in range(W):
            x, y = m.x0 + m.xc * column + m.xr * row, m.y0 + m.yc * column + m.yr * row
            assert canvas[y, x] == picture[row, column]
            assert m.tile_of_canvas((x + 0.5, y + 0.5)) == pytest.approx((column + 0.5, row + 0.5))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_leds_stand_where_their_panel_puts_them(rotate: int, flip: bool) -> None:
    walls = TwinWalls(stage_of(cabinet(rotate, flip)))
    leds = walls.sample_leds()
    assert len(leds) == W * H
    assert leds.normal == pytest.approx(np.tile([0.0, -1.0, 0.0], (W * H, 1)))
    assert leds.across_m == pytest.approx(np.tile([0.5, 0.0, 0.0], (W * H, 1)))
    assert leds.along_m == pytest.approx(np.tile([0.0, 0.0, -0.5], (W * H, 1)))
    m = tile_map(cabinet(rotate, flip))
    for x, y, position in zip(leds.x, leds.y, leds.position_m, strict=True):
        column, row = m.tile_of_canvas((x + 0.5, y + 0.5))
        assert position == pytest.approx((3.0 * column / W, 2.0, 2.0 * (1.0 - row / H)))


def test_a_scaled_canvas_has_fewer_larger_leds() -> None:
    corners = np.array([[0.0, 2.0, 0.0], [4.0, 2.0, 0.0], [0.0, 2.0, 2.0], [4.0, 2.0, 2.0]])
    walls = TwinWalls(stage_of(Cabinet("c", "wall", "p", corners, (0, 0, 16, 8), "main", (8, 8, 16, 8), 0, False)))
    leds = walls.sample_leds(scale=4)
    assert len(leds) == 8
    assert sorted(set(leds.x)) == [2, 3, 4, 5]
    assert leds.position_m[0] == pytest.approx((0.5, 2.0, 1.5))
    assert leds.across_m[0] == pytest.approx((1.0, 0.0, 0.0))


def test_a_thinned_lattice_is_a_part_of_the_whole() -> None:
    walls = TwinWalls(stage_of(cabinet(90, True)))
    every, some = walls.sample_leds(), walls.sample_leds(at_most=8)
    whole = set(zip(every.x, every.y, strict=True))
    assert 4 <= len(some) <= 8
    assert set(zip(some.x, some.y, strict=True)) < whole


def test_leds_of_a_mesh_lie_on_its_triangles() -> None:
    positions = np.array([[0.0, 3.0, 2.0], [4.0, 3.0, 2.0], [0.0, 3.0, 0.0], [4.0, 4.0, 0.0]])
    wall_px = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 10.0], [20.0, 10.0]])
    tile = MeshTile(
        "m", "wall", "main", (4, 2, 12, 6), (1, 3, 12, 6), 0, False, positions, np.tile([0.0, -1.0, 0.0], (4, 1)),
        wall_px, np.array([[2, 1, 0], [2, 3, 1]]),
    )  # fmt: skip
    leds = TwinWalls(stage_of(tile)).sample_leds()
    assert len(leds) == 12 * 6
    for x, y, position, across in zip(leds.x, leds.y, leds.position_m, leds.across_m, strict=True):
        column, row = 4 + (x - 1) + 0.5, 2 + (y - 3) + 0.5
        upper = column / 20.0 + row / 10.0 < 1.0
        # The lower triangle leans back: 1 m at its far corner.
        lean = 0.0 if upper else column / 20.0 + row / 10.0 - 1.0
        assert position == pytest.approx((4.0 * column / 20.0, 3.0 + lean, 2.0 - 2.0 * row / 10.0))
        assert across[0] == pytest.approx(0.2)
