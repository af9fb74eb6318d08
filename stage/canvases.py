"""Canvases: which rectangle of a wall each tile shows, flipped and turned, and every way that can be wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stage.compiled import Cabinet, MeshTile, Rect, Rotate
from stage.config import CanvasConfig, TileConfig
from stage.documents import join
from stage.errors import Problem
from stage.walls import BuiltWall, unknown


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile that is in order."""

    path: str
    canvas: str
    wall: str
    wall_rect_px: Rect
    rect_px: Rect
    """Where it lies on the canvas, after the turn."""
    flip: bool
    rotate: Rotate


def turned_size_px(width_px: int, height_px: int, rotate: Rotate) -> tuple[int, int]:
    """Width and height after a clockwise turn."""
    return (width_px, height_px) if rotate in (0, 180) else (height_px, width_px)


def turned_rect_px(rect_px: Rect, width_px: int, height_px: int, *, flip: bool, rotate: Rotate) -> Rect:
    """A rectangle inside a width x height picture after the picture is flipped left-right, then turned clockwise."""
    x, y, w, h = rect_px
    if flip:
        x = width_px - x - w
    if rotate == 90:
        return height_px - y - h, x, h, w
    if rotate == 180:
        return width_px - x - w, height_px - y - h, w, h
    if rotate == 270:
        return y, width_px - x - w, h, w
    return x, y, w, h


def _overlap(a: Rect, b: Rect) -> Rect | None:
    x, y = max(a[0], b[0]), max(a[1], b[1])
    w, h = min(a[0] + a[2], b[0] + b[2]) - x, min(a[1] + a[3], b[1] + b[3]) - y
    return (x, y, w, h) if w > 0 and h > 0 else None


def _show(rect: Rect) -> str:
    return f"{rect[2]} x {rect[3]} px at [{rect[0]}, {rect[1]}]"


def tiles_of(
    canvas_id: str,
    canvas: CanvasConfig,
    walls: Mapping[str, BuiltWall],
    known: Mapping[str, object],
    /,
    *,
    problems: list[Problem],
) -> list[Tile]:
    """The tiles of a canvas that are in order; faults go to `problems`.

    known: every wall of the configuration, so that a wall that failed by itself is not told twice.
    """
    out: list[Tile] = []
    for i, config in enumerate(canvas.tiles):
        path = join("stage/canvases", canvas_id, "tiles", i)
        if config.wall not in known:
            problems.append(unknown("wall", join(path, "wall"), config.wall, known))
        elif config.wall in walls:
            tile = _tile(path, canvas_id, canvas, config, walls[config.wall], problems)
            if tile is not None:
                out.append(tile)
    for i, a in enumerate(out):
        for b in out[:i]:
            both = _overlap(a.rect_px, b.rect_px)
            if both:
                detail = f"covers {_show(both)} of the canvas that {b.path} shows already"
                problems.append(Problem("stage.tiles_overlap", a.path, detail, None, "move one with `at_px`"))
    return out


def _tile(
    path: str, canvas_id: str, canvas: CanvasConfig, config: TileConfig, built: BuiltWall, problems: list[Problem]
) -> Tile | None:
    wall = built.wall
    rect: Rect = config.wall_px or (0, 0, wall.width_px, wall.height_px)
    x, y, w, h = rect
    if x + w > wall.width_px or y + h > wall.height_px:
        detail = f"{_show(rect)} reaches beyond wall `{wall.id}` of {wall.width_px} x {wall.height_px} px"
        problems.append(
            Problem(
                "stage.tile_off_wall",
                join(path, "wall_px"),
                detail,
                list(rect),
                "keep x + width and y + height inside it",
            )
        )
        return None
    size = turned_size_px(w, h, config.rotate)
    on_canvas: Rect = (*config.at_px, *size)
    if on_canvas[0] + size[0] > canvas.width_px or on_canvas[1] + size[1] > canvas.height_px:
        turned = f" (turned {config.rotate})" if config.rotate else ""
        detail = f"{_show(on_canvas)}{turned} reaches beyond the canvas of {canvas.width_px} x {canvas.height_px} px"
        problems.append(
            Problem(
                "stage.tile_off_canvas",
                join(path, "at_px"),
                detail,
                list(config.at_px),
                "move it, cut it with `wall_px`, or make the canvas larger",
            )
        )
        return None
    if built.panel is not None:
        pw, ph = built.panel.width_px, built.panel.height_px
        if x % pw or y % ph or w % pw or h % ph:
            detail = f"{_show(rect)} cuts panels of {pw} x {ph} px"
            problems.append(
                Problem(
                    "stage.tile_cuts_panel",
                    join(path, "wall_px"),
                    detail,
                    list(rect),
                    f"use multiples of {pw} across and {ph} down",
                )
            )
            return None
    return Tile(path, canvas_id, wall.id, rect, on_canvas, config.flip, config.rotate)


def check_shown_once(
    tiles: Sequence[Tile], walls: Mapping[str, BuiltWall], /, *, problems: list[Problem], warnings: list[Problem]
) -> None:
    """A wall pixel shown twice is refused; one shown by no canvas is a warning."""
    for name, built in walls.items():
        own = [tile for tile in tiles if tile.wall == name]
        twice = False
        for i, a in enumerate(own):
            for b in own[:i]:
                both = _overlap(a.wall_rect_px, b.wall_rect_px)
                if both:
                    twice = True
                    detail = f"shows {_show(both)} of wall `{name}` that {b.path} shows already"
                    problems.append(
                        Problem("stage.shown_twice", a.path, detail, None, "cut one of them with `wall_px`")
                    )
        shown = sum(tile.wall_rect_px[2] * tile.wall_rect_px[3] for tile in own)
        total = built.wall.width_px * built.wall.height_px
        if not twice and shown < total:
            detail = f"{total - shown:,} of its {total:,} px are shown by no canvas and stay dark"
            warnings.append(
                Problem("stage.not_shown", join("stage/walls", name), detail, None, "add a tile for them to a canvas")
            )


def cabinets_of(tile: Tile, built: BuiltWall) -> list[Cabinet]:
    """The cabinets a tile shows, each with its rectangle on the canvas."""
    x, y, w, h = tile.wall_rect_px
    out = []
    for piece in built.pieces:
        px, py, pw, ph = piece.wall_rect_px
        if not (x <= px < x + w and y <= py < y + h):
            continue
        rect = turned_rect_px((px - x, py - y, pw, ph), w, h, flip=tile.flip, rotate=tile.rotate)
        out.append(
            Cabinet(
                id=piece.id,
                wall=tile.wall,
                panel=built.panel.id if built.panel is not None else "",
                corners_m=piece.corners_m,
                wall_rect_px=piece.wall_rect_px,
                canvas=tile.canvas,
                rect_px=(rect[0] + tile.rect_px[0], rect[1] + tile.rect_px[1], rect[2], rect[3]),
                rotate=tile.rotate,
                flip=tile.flip,
            )
        )
    return out


def mesh_tile_of(tile: Tile, built: BuiltWall) -> MeshTile | None:
    """The part of a mesh wall a tile shows; triangles wholly outside its rectangle are left out."""
    mesh = built.mesh
    if mesh is None:
        return None
    x, y, w, h = tile.wall_rect_px
    corners = mesh.wall_px[mesh.triangles]
    low, high = corners.min(axis=1), corners.max(axis=1)
    inside = (high > (x, y)).all(axis=1) & (low < (x + w, y + h)).all(axis=1)
    used, triangles = np.unique(mesh.triangles[inside], return_inverse=True)
    if not len(used):
        return None
    return MeshTile(
        id=f"{tile.wall}/{tile.canvas}_{tile.path.rpartition('/')[2]}",
        wall=tile.wall,
        canvas=tile.canvas,
        wall_rect_px=tile.wall_rect_px,
        rect_px=tile.rect_px,
        rotate=tile.rotate,
        flip=tile.flip,
        positions_m=mesh.positions_m[used],
        normals=mesh.normals[used],
        wall_px=mesh.wall_px[used],
        triangles=np.asarray(triangles.reshape(-1, 3), dtype=np.int64),
    )
