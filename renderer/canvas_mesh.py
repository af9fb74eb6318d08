"""Canvas meshes: what each canvas shows, as triangles in canvas pixels that carry stage positions.

A wall is not a map of positions but a mesh: cabinets (or triangles of a mesh wall) lie in canvas space, and the
rasteriser interpolates the stage position of every LED. Positions are float32 relative to an origin near the walls
(error measured 2 um on 42 m). Surfaces are cut into items of at most `ITEM_M`, the grain of culling: an item is seen
by a camera or not, and takes its outer picture from one face.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from renderer.errors import RendererError
from stage.compiled import Cabinet, Canvas, CompiledStage, MeshTile, Rect, Rotate
from stage.errors import Problem

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

ITEM_M = 0.75
"""Longest side of an item, metres (a usual cabinet is one item)."""
_CHUNK_TRIANGLES = 256


class ScaleError(RendererError):
    """`render.scale` does not divide a canvas."""

    code = "renderer.scale"


@dataclass(frozen=True, slots=True)
class Part:
    """Items of one canvas that are drawn alike: all its cabinets, or all its mesh triangles.

    Per vertex (float32): `position_m` [n, 3] from the stage's origin, `pixel` [n, 2] of the canvas as drawn (x right,
    y down from the top left corner), `wall_px` [n, 2] of the wall's raster at scale 1, `tile_px` [n, 4] the rectangle
    of that raster its tile shows (x, y, w, h), `wall_size_px` [n, 2] the raster's size, `normal` [n, 3], `clip_px`
    [n, 4] canvas rectangle x0 y0 x1 y1 it may draw in, `label` [n] number of its tile on the canvas.
    `triangles` [m, 3] uint32; `triangle_item` [m] the item each belongs to.
    Per item (float64): `points_m` [k, c, 3] corners of its hull in the stage frame, `normal` [k, 3] (planar items),
    `wall` [k] index into `walls`, `across_m`, `along_m` [k, 3] stage metres per canvas pixel along x and y.
    """

    kind: Literal["cabinets", "mesh"]
    walls: tuple[str, ...]
    position_m: Floats
    pixel: Floats
    wall_px: Floats
    tile_px: Floats
    wall_size_px: Floats
    normal: Floats
    clip_px: Floats
    label: NDArray[np.uint32]
    triangles: NDArray[np.uint32]
    triangle_item: NDArray[np.int64]
    points_m: Array
    item_normal: Array
    wall: NDArray[np.int64]
    across_m: Array
    along_m: Array

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.wall)


@dataclass(frozen=True, slots=True)
class CanvasMesh:
    """One canvas as it is drawn: its size in pixels at `scale`, and its parts."""

    canvas: Canvas
    width_px: int
    height_px: int
    origin_m: Array
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    """Ids of the tiles (cabinets, mesh tiles), by the number vertices carry."""


def canvas_px_from_picture(picture: ArrayLike, /, *, rect_px: Rect, rotate: Rotate, flip: bool) -> Array:
    """Canvas pixels, [..., 2], of points of a tile's picture, [..., 2] as (u, v) in 0..1, v down.

    The picture, seen from the lit side, is mirrored left-right if `flip`, then turned clockwise by `rotate`.
    """
    points = np.asarray(picture, dtype=np.float64)
    u, v = points[..., 0], points[..., 1]
    if flip:
        u = 1.0 - u
    if rotate == 90:
        u, v = 1.0 - v, u
    elif rotate == 180:
        u, v = 1.0 - u, 1.0 - v
    elif rotate == 270:
        u, v = v, 1.0 - u
    x, y, width, height = rect_px
    return np.stack([x + u * width, y + v * height], axis=-1)


def canvas_meshes(stage: CompiledStage, /, *, scale: int = 1) -> dict[str, CanvasMesh]:
    """The mesh of every canvas of a stage, canvas sides divided by `scale`.

    Raises
    ------
    ScaleError : `scale` does not divide every canvas.
    """
    origin = stage_origin(stage)
    return {name: canvas_mesh(stage, name, origin_m=origin, scale=scale) for name in stage.canvases}


def canvas_mesh(stage: CompiledStage, canvas_id: str, /, *, origin_m: Array, scale: int = 1) -> CanvasMesh:
    """The mesh of one canvas; positions are relative to `origin_m`, [3] (see `stage_origin`).

    Raises
    ------
    ScaleError : `scale` does not divide the canvas.
    """
    canvas = stage.canvases[canvas_id]
    if canvas.width_px % scale or canvas.height_px % scale:
        raise ScaleError(
            Problem(
                "renderer.scale",
                "render/scale",
                f"it does not divide canvas {canvas.id} ({canvas.width_px} x {canvas.height_px} px)",
                scale,
                "use a common divisor of all canvas sides",
            )
        )
    walls = {wall.id: (wall.width_px, wall.height_px) for wall in stage.walls.values()}
    cabinets = [cabinet for cabinet in stage.cabinets if cabinet.canvas == canvas.id]
    tiles = [tile for tile in stage.meshes if tile.canvas == canvas.id]
    parts = []
    if cabinets:
        parts.append(_Builder("cabinets", walls, origin_m, scale).cabinets(cabinets))
    if tiles:
        parts.append(_Builder("mesh", walls, origin_m, scale).tiles(tiles, first_label=len(cabinets)))
    return CanvasMesh(
        canvas,
        canvas.width_px // scale,
        canvas.height_px // scale,
        origin_m,
        tuple(parts),
        (*(cabinet.id for cabinet in cabinets), *(tile.id for tile in tiles)),
    )


def stage_origin(stage: CompiledStage) -> Array:
    """A point in the middle of the walls, [3] metres, on a grid that float32 holds exactly."""
    points = [cabinet.corners_m for cabinet in stage.cabinets] + [tile.positions_m for tile in stage.meshes]
    if not points:
        return np.zeros(3)
    everything = np.concatenate(points)
    return np.asarray(np.round((everything.min(axis=0) + everything.max(axis=0)) * 128.0) / 256.0)


class _Builder:
    """Collects the vertices and items of one part."""

    def __init__(
        self, kind: Literal["cabinets", "mesh"], walls: dict[str, tuple[int, int]], origin: Array, scale: int
    ) -> None:
        self.kind, self.walls, self.origin, self.scale = kind, tuple(walls), origin, scale
        self.wall_sizes = walls
        self.columns: dict[str, list[NDArray[np.float64]]] = {
            name: []
            for name in ("position_m", "pixel", "wall_px", "tile_px", "wall_size_px", "normal", "clip_px", "label")
        }
        self.triangles: list[NDArray[np.int64]] = []
        self.triangle_item: list[NDArray[np.int64]] = []
        self.points: list[Array] = []
        self.item_normal: list[Array] = []
        self.wall: list[int] = []
        self.across: list[Array] = []
        self.along: list[Array] = []
        self.vertices = 0

    def cabinets(self, cabinets: Iterable[Cabinet]) -> Part:
        """Each cabinet as one quad, or as a grid of quads where it is larger than an item."""
        for label, cabinet in enumerate(cabinets):
            lower_left, lower_right, upper_left, upper_right = np.asarray(cabinet.corners_m, dtype=np.float64)
            columns, rows = (
                max(1, int(np.ceil(max(np.linalg.norm(a), np.linalg.norm(b)) / ITEM_M - 1e-9)))
                for a, b in (
                    (lower_right - lower_left, upper_right - upper_left),
                    (upper_left - lower_left, upper_right - lower_right),
                )
            )
            u, v = np.meshgrid(np.linspace(0.0, 1.0, columns + 1), np.linspace(0.0, 1.0, rows + 1))
            grid = np.stack([u, v], axis=-1).reshape(-1, 2)
            s, t = grid[:, :1], grid[:, 1:]
            positions = (
                upper_left * (1 - s) * (1 - t)
                + upper_right * s * (1 - t)
                + lower_left * (1 - s) * t
                + lower_right * s * t
            )
            rect = np.array(cabinet.wall_rect_px, dtype=np.float64)
            first = self._vertices(
                positions,
                canvas_px_from_picture(grid, rect_px=cabinet.rect_px, rotate=cabinet.rotate, flip=cabinet.flip),
                rect[:2] + grid * rect[2:],
                np.broadcast_to(cabinet.normal, positions.shape),
                cabinet,
                label,
            )
            for row in range(rows):
                for column in range(columns):
                    a = row * (columns + 1) + column
                    quad = np.array([a, a + 1, a + columns + 1, a + columns + 2])
                    self._item(
                        first + np.array([[quad[0], quad[2], quad[1]], [quad[1], quad[2], quad[3]]]),
                        positions[quad],
                        cabinet.normal,
                        cabinet.wall,
                    )
                    self._density(quad[[0, 1, 2]] + first)
        return self._part()

    def tiles(self, tiles: Iterable[MeshTile], *, first_label: int) -> Part:
        """Mesh tiles, triangles that reach beyond an item cut smaller, gathered into items of neighbours."""
        for label, tile in enumerate(tiles, first_label):
            positions, normals, wall_px, triangles = _refined(tile)
            rect = np.array(tile.wall_rect_px, dtype=np.float64)
            picture = (wall_px - rect[:2]) / rect[2:]
            pixels = canvas_px_from_picture(picture, rect_px=tile.rect_px, rotate=tile.rotate, flip=tile.flip)
            x, y, width, height = tile.rect_px
            corner, end = np.array([x, y]), np.array([x + width, y + height])
            lo, hi = pixels[triangles].min(axis=1), pixels[triangles].max(axis=1)
            triangles = triangles[np.all((lo < end) & (hi > corner), axis=1)]
            first = self._vertices(positions, pixels, wall_px, normals, tile, label)
            for chunk in _chunks(positions, triangles):
                points = positions[chunk].reshape(-1, 3)
                low, high = points.min(axis=0), points.max(axis=0)
                hull = np.array([[(low, high)[i >> k & 1][k] for k in range(3)] for i in range(8)])
                self._item(first + chunk, hull, np.zeros(3), tile.wall)
                self._density(chunk[0] + first)
        return self._part()

    def _vertices(
        self,
        positions: Array,
        pixels: Array,
        wall_px: Array,
        normals: Array,
        tile: Cabinet | MeshTile,
        label: int,
    ) -> int:
        count = len(positions)
        x, y, width, height = tile.rect_px
        first, self.vertices = self.vertices, self.vertices + count
        for name, values in (
            ("position_m", positions - self.origin),
            ("pixel", pixels / self.scale),
            ("wall_px", wall_px),
            ("normal", normals),
            ("tile_px", np.broadcast_to(np.array(tile.wall_rect_px, dtype=np.float64), (count, 4))),
            ("wall_size_px", np.broadcast_to(np.array(self.wall_sizes[tile.wall], dtype=np.float64), (count, 2))),
            ("clip_px", np.broadcast_to(np.array([x, y, x + width, y + height]) / self.scale, (count, 4))),
            ("label", np.full(count, float(label))),
        ):
            self.columns[name].append(np.asarray(values))
        return first

    def _item(self, triangles: NDArray[np.int64], hull: Array, normal: Array, wall: str) -> None:
        self.triangles.append(triangles)
        self.triangle_item.append(np.full(len(triangles), len(self.wall)))
        self.points.append(hull)
        self.item_normal.append(np.asarray(normal))
        self.wall.append(self.walls.index(wall))

    def _density(self, corners: NDArray[np.int64]) -> None:
        """Stage metres per canvas pixel along x and y, from one triangle of the item just added."""
        positions = self.columns["position_m"][-1][corners - (self.vertices - len(self.columns["position_m"][-1]))]
        pixels = self.columns["pixel"][-1][corners - (self.vertices - len(self.columns["pixel"][-1]))]
        edges = np.stack([pixels[1] - pixels[0], pixels[2] - pixels[0]])
        metres = np.stack([positions[1] - positions[0], positions[2] - positions[0]])
        flat = abs(float(np.linalg.det(edges))) < 1e-12
        step = np.zeros((2, 3)) if flat else np.linalg.solve(edges, metres)
        self.across.append(step[0])
        self.along.append(step[1])

    def _part(self) -> Part:
        columns = {name: np.concatenate(values) for name, values in self.columns.items()}
        return Part(
            kind=self.kind,
            walls=self.walls,
            position_m=columns["position_m"].astype(np.float32),
            pixel=columns["pixel"].astype(np.float32),
            wall_px=columns["wall_px"].astype(np.float32),
            tile_px=columns["tile_px"].astype(np.float32),
            wall_size_px=columns["wall_size_px"].astype(np.float32),
            normal=columns["normal"].astype(np.float32),
            clip_px=columns["clip_px"].astype(np.float32),
            label=columns["label"].astype(np.uint32),
            triangles=_joined(self.triangles).astype(np.uint32),
            triangle_item=np.concatenate(self.triangle_item) if self.triangle_item else np.zeros(0, dtype=np.int64),
            points_m=np.array(self.points).reshape(len(self.points), -1, 3),
            item_normal=np.array(self.item_normal).reshape(-1, 3),
            wall=np.array(self.wall, dtype=np.int64),
            across_m=np.array(self.across).reshape(-1, 3),
            along_m=np.array(self.along).reshape(-1, 3),
        )


def _joined(pieces: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(pieces) if pieces else np.zeros((0, 3), dtype=np.int64)


def _refined(tile: MeshTile) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """Positions, normals, wall pixels and triangles of a tile, triangles halved until no side is over `ITEM_M`.

    Cutting a triangle changes nothing that is drawn: position and pixel stay linear over it.
    """
    vertices = np.concatenate([tile.positions_m, tile.normals, tile.wall_px], axis=1).astype(np.float64)
    triangles = np.asarray(tile.triangles, dtype=np.int64).reshape(-1, 3)
    for _ in range(16):
        corners = vertices[triangles]
        sides = np.linalg.norm(corners[:, [1, 2, 0], :3] - corners[:, :, :3], axis=2)
        longest = sides.argmax(axis=1)
        large = sides.max(axis=1, initial=0.0) > ITEM_M
        if not large.any():
            break
        a, b, c = (triangles[large, (longest[large] + k) % 3] for k in range(3))
        middle = len(vertices) + np.arange(int(large.sum()))
        vertices = np.concatenate([vertices, (vertices[a] + vertices[b]) / 2])
        halves = np.concatenate([np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)])
        triangles = np.concatenate([triangles[~large], halves])
    normals = vertices[:, 3:6]
    return vertices[:, :3], normals, vertices[:, 6:8], triangles


def _chunks(positions: Array, triangles: NDArray[np.int64]) -> Iterable[NDArray[np.int64]]:
    """Triangles in groups whose middles share a cell of `ITEM_M`, at most `_CHUNK_TRIANGLES` each."""
    if not len(triangles):
        return
    cells = np.floor(positions[triangles].mean(axis=1) / ITEM_M).astype(np.int64)
    order = np.lexsort(cells.T)
    changes = np.flatnonzero(np.any(np.diff(cells[order], axis=0) != 0, axis=1)) + 1
    for group in np.split(order, changes):
        for start in range(0, len(group), _CHUNK_TRIANGLES):
            yield triangles[group[start : start + _CHUNK_TRIANGLES]]
