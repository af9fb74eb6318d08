"""The walls as they stand on the stage, and which canvas pixel lights which LED.

Built from cabinet corners (or mesh triangles), canvas rectangles, flip and rotation alone. A *surface* is one flat
piece: a whole cabinet, or one triangle of a mesh tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stage.compiled import Cabinet, CompiledStage, MeshTile
from stage.frames import Array

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TileMap:
    """Where the LEDs of a tile (column c from the left, row r from the top, seen from the lit side) sit on a canvas.

    x = x0 + xc c + xr r, y = y0 + yc c + yr r, whole pixels at scale 1.
    """

    x0: int
    y0: int
    xc: int
    xr: int
    yc: int
    yr: int

    def tile_of_canvas(self, canvas_px: ArrayLike, /) -> Array:
        """Continuous tile position, [..., 2] (column, row edges at whole numbers), of canvas positions, [..., 2]."""
        p = np.asarray(canvas_px, dtype=np.float64) - (
            self.x0 + 0.5 - 0.5 * (self.xc + self.xr),
            self.y0 + 0.5 - 0.5 * (self.yc + self.yr),
        )
        # The map is a signed permutation: its inverse is its transpose.
        return np.stack([p[..., 0] * self.xc + p[..., 1] * self.yc, p[..., 0] * self.xr + p[..., 1] * self.yr], axis=-1)


def tile_map(tile: Cabinet | MeshTile, /) -> TileMap:
    """The tile's picture is mirrored left-right if `flip`, then turned clockwise by `rotate`, then put at its place."""
    x, y, _, _ = tile.rect_px
    _, _, w, h = tile.wall_rect_px
    # After the flip, column = first + step * c.
    first, step = (w - 1, -1) if tile.flip else (0, 1)
    if tile.rotate == 0:
        return TileMap(x + first, y, step, 0, 0, 1)
    if tile.rotate == 90:
        return TileMap(x + h - 1, y + first, 0, -1, step, 0)
    if tile.rotate == 180:
        return TileMap(x + w - 1 - first, y + h - 1, -step, 0, 0, -1)
    return TileMap(x, y + w - 1 - first, 0, 1, -step, 0)


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Every flat piece of every wall. Points on it are origin + a u + b v: a cabinet for a, b in 0..1, a triangle
    where also a + b <= 1. Tile pixels there are px_origin + a px_u + b px_v."""

    origin_m: Array
    """[n, 3]  stage metres."""
    u_m: Array
    v_m: Array
    """[n, 3]  u x v points out of the lit side."""
    px_origin: Array
    px_u: Array
    px_v: Array
    """[n, 2]  column and row within the tile."""
    triangle: NDArray[np.bool_]
    tile: Ints
    """[n]  index into TwinWalls.tiles."""

    def __len__(self) -> int:
        return len(self.tile)


@dataclass(frozen=True, slots=True)
class LedSamples:
    """A lattice of LEDs (at render.scale s: of canvas pixels, each s x s LEDs)."""

    position_m: Array
    """[n, 3]  middle of the LED, stage metres."""
    normal: Array
    """[n, 3]  unit, out of the lit side."""
    across_m: Array
    along_m: Array
    """[n, 3]  one LED (one canvas pixel) to the right and down, seen from the lit side."""
    surface: Ints
    tile: Ints
    canvas: Ints
    """[n]  indices into Surfaces, TwinWalls.tiles and TwinWalls.canvas_ids."""
    x: Ints
    y: Ints
    """[n]  canvas pixel at the chosen scale."""

    def __len__(self) -> int:
        return len(self.x)

    def where(self, keep: NDArray[np.bool_], /) -> LedSamples:
        """The LEDs marked in `keep`, [n] bool."""
        return LedSamples(
            self.position_m[keep],
            self.normal[keep],
            self.across_m[keep],
            self.along_m[keep],
            self.surface[keep],
            self.tile[keep],
            self.canvas[keep],
            self.x[keep],
            self.y[keep],
        )


class TwinWalls:
    """The walls of a compiled stage."""

    def __init__(self, stage: CompiledStage) -> None:
        self.stage = stage
        self.canvas_ids: tuple[str, ...] = tuple(stage.canvases)
        self.wall_ids: tuple[str, ...] = tuple(stage.walls)
        self.tiles: tuple[Cabinet | MeshTile, ...] = (*stage.cabinets, *stage.meshes)
        self.maps: tuple[TileMap, ...] = tuple(tile_map(tile) for tile in self.tiles)
        self.tile_canvas: Ints = np.array([self.canvas_ids.index(t.canvas) for t in self.tiles], dtype=np.int64)
        self.tile_wall: Ints = np.array([self.wall_ids.index(t.wall) for t in self.tiles], dtype=np.int64)
        self.surfaces = _surfaces(stage)

    def wall_mask(self, walls: list[str] | tuple[str, ...], /) -> NDArray[np.bool_]:
        """Which tiles belong to the named walls, [tiles] bool."""
        return np.array([tile.wall in walls for tile in self.tiles], dtype=bool)

    def sample_leds(self, *, scale: int = 1, at_most: int = 200_000) -> LedSamples:
        """An even lattice of LEDs over all walls, about `at_most` of them (all, if there are fewer)."""
        total = sum(tile.rect_px[2] * tile.rect_px[3] for tile in self.tiles) / scale**2
        step = max(1, ceil(sqrt(total / at_most)))
        parts = [part for index in range(len(self.tiles)) if (part := self._sample_tile(index, scale, step))]
        if not parts:
            none, flat = np.zeros(0, dtype=np.int64), np.zeros((0, 3))
            return LedSamples(flat, flat, flat, flat, none, none, none, none, none)
        return LedSamples(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _sample_tile(self, index: int, scale: int, step: int) -> tuple[NDArray[np.generic], ...] | None:
        tile = self.tiles[index]
        x0, y0, w, h = tile.rect_px
        # Canvas pixels whose middle lies in the tile.
        xs = np.arange(ceil(x0 / scale - 0.5), ceil((x0 + w) / scale - 0.5))
        ys = np.arange(ceil(y0 / scale - 0.5), ceil((y0 + h) / scale - 0.5))
        xs, ys = xs[len(xs) % step // 2 :: step], ys[len(ys) % step // 2 :: step]
        if not len(xs) or not len(ys):
            return None
        x, y = (grid.ravel() for grid in np.meshgrid(xs, ys))
        at = self.maps[index].tile_of_canvas((np.stack([x, y], axis=-1) + 0.5) * scale)
        surfaces = self.surfaces
        surface = np.full(len(x), -1)
        a, b = np.zeros(len(x)), np.zeros(len(x))
        order = np.argsort(at[:, 0], kind="stable")
        columns = at[order, 0]
        for number in np.flatnonzero(surfaces.tile == index):
            px_o, px_u, px_v = surfaces.px_origin[number], surfaces.px_u[number], surfaces.px_v[number]
            reach = px_o[0] + np.array([0.0, px_u[0], px_v[0], px_u[0] + px_v[0]])
            near = order[np.searchsorted(columns, reach.min()) : np.searchsorted(columns, reach.max(), "right")]
            det = px_u[0] * px_v[1] - px_u[1] * px_v[0]
            d = at[near] - px_o
            s = (d[:, 0] * px_v[1] - d[:, 1] * px_v[0]) / det
            t = (d[:, 1] * px_u[0] - d[:, 0] * px_u[1]) / det
            inside = (s > -1e-9) & (t > -1e-9) & (surface[near] < 0)
            inside &= (s + t < 1 + 1e-9) if surfaces.triangle[number] else (s < 1 + 1e-9) & (t < 1 + 1e-9)
            surface[near[inside]], a[near[inside]], b[near[inside]] = number, s[inside], t[inside]
        lit = surface >= 0
        if not lit.any():
            return None
        n, a, b = surface[lit], a[lit, None], b[lit, None]
        u, v = surfaces.u_m[n], surfaces.v_m[n]
        normal = np.cross(u, v)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        px_u, px_v = surfaces.px_u[n], surfaces.px_v[n]
        det = (px_u[:, 0] * px_v[:, 1] - px_u[:, 1] * px_v[:, 0])[:, None]
        across = (u * px_v[:, 1:] - v * px_u[:, 1:]) / det * scale
        along = (v * px_u[:, :1] - u * px_v[:, :1]) / det * scale
        same = np.full(len(n), index)
        return (
            surfaces.origin_m[n] + a * u + b * v,
            normal,
            across,
            along,
            n,
            same,
            np.full(len(n), self.tile_canvas[index]),
            x[lit],
            y[lit],
        )


def _surfaces(stage: CompiledStage) -> Surfaces:
    rows: list[tuple[Array, Array, Array, tuple[float, float], Array, Array, bool, int]] = []
    for index, cabinet in enumerate(stage.cabinets):
        lower_left, lower_right, upper_left, _ = cabinet.corners_m
        _, _, w, h = cabinet.wall_rect_px
        u, v = lower_right - lower_left, upper_left - lower_left
        # v runs up, rows run down.
        rows.append((lower_left, u, v, (0.0, h), np.array([w, 0.0]), np.array([0.0, -h]), False, index))
    for number, tile in enumerate(stage.meshes):
        corner = np.array(tile.wall_rect_px[:2], dtype=np.float64)
        for i, j, k in tile.triangles:
            p, q = tile.positions_m, tile.wall_px
            px_u, px_v = q[j] - q[i], q[k] - q[i]
            if abs(px_u[0] * px_v[1] - px_u[1] * px_v[0]) < 1e-9:
                continue  # it holds no LED
            q0 = q[i] - corner
            index = len(stage.cabinets) + number
            rows.append((p[i], p[j] - p[i], p[k] - p[i], (float(q0[0]), float(q0[1])), px_u, px_v, True, index))

    def column(index: int, width: int) -> Array:
        return np.array([row[index] for row in rows], dtype=np.float64).reshape(-1, width)

    return Surfaces(
        column(0, 3),
        column(1, 3),
        column(2, 3),
        column(3, 2),
        column(4, 2),
        column(5, 2),
        np.array([row[6] for row in rows], dtype=bool),
        np.array([row[7] for row in rows], dtype=np.int64),
    )
