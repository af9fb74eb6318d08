"""Walls: cabinets mounted as one surface, each with the place of its four corners in the stage.

A wall's own axes are those of one who looks at it squarely: x to the right, y away (into the wall), z up; the lit
side faces -y. So a wall's angles are the pan, tilt and roll of a camera that looks straight at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import asin, cos, degrees
from pathlib import Path
from typing import Final

import numpy as np

from stage.compiled import Rect, Wall
from stage.config import ArcWall, CeilingWall, FlatWall, FloorWall, MeshWall, WallConfig
from stage.documents import join
from stage.errors import Problem
from stage.frames import (
    STAGE_FROM_Y_UP,
    Array,
    pose,
    pose_from_pan_tilt_roll,
    rotation_from_pan_tilt_roll,
    transform_points,
)
from stage.importers.surface import Indices, Surface, SurfaceError, read_surface
from stage.panels import Panel

MAX_RASTER_PX: Final = 65536
MAX_CABINETS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Piece:
    """One cabinet on a wall, before any canvas shows it."""

    id: str
    wall_rect_px: Rect
    corners_m: Array
    """[4, 3]  lower left, lower right, upper left, upper right, seen from the lit side, stage metres."""


@dataclass(frozen=True, slots=True)
class MeshSurface:
    """The surface of a mesh wall, in the stage and on the wall's raster."""

    positions_m: Array
    """[n, 3]  stage metres."""
    normals: Array
    """[n, 3]  unit, out of the lit side."""
    wall_px: Array
    """[n, 2]  pixels on the wall's raster, x right, y down."""
    triangles: Indices
    """[m, 3]  vertex indices, counter-clockwise seen from the lit side."""


@dataclass(frozen=True, slots=True)
class BuiltWall:
    """A wall and what it is made of: pieces, or one mesh."""

    wall: Wall
    pieces: tuple[Piece, ...] = ()
    mesh: MeshSurface | None = None
    panel: Panel | None = None


def build_wall(
    name: str, config: WallConfig, panels: Mapping[str, Panel], /, *, base_dir: Path, problems: list[Problem]
) -> BuiltWall | None:
    """The wall `name` of a configuration; None, with its faults added to `problems`, when it cannot be built."""
    path = join("stage/walls", name)
    if isinstance(config, MeshWall):
        return _mesh_wall(name, config, base_dir, problems)
    panel = panels.get(config.panel)
    if panel is None:
        problems.append(unknown("panel", join(path, "panel"), config.panel, panels))
        return None
    nits = config.nits or panel.nits
    if nits is None:
        problems.append(
            Problem(
                "stage.missing",
                join(path, "nits"),
                f"no source states the peak of {panel.name}",
                None,
                "add `nits:` with the calibrated peak of this wall",
            )
        )
        return None
    width_px, height_px = config.columns * panel.width_px, config.rows * panel.height_px
    if max(width_px, height_px) > MAX_RASTER_PX or config.columns * config.rows > MAX_CABINETS:
        problems.append(
            Problem(
                "stage.out_of_range",
                path,
                f"{width_px} x {height_px} px of {config.columns * config.rows} panels is more than one wall holds",
                None,
                f"at most {MAX_RASTER_PX} px a side and {MAX_CABINETS} panels: make two walls of it",
            )
        )
        return None
    if isinstance(config, ArcWall):
        poses = _arc_columns(path, config, panel, problems)
        if poses is None:
            return None
        width_m = config.columns * panel.width_m
    else:
        poses, width_m = _plane_columns(config, panel), config.columns * panel.width_m
    wall = Wall(
        id=name,
        kind=config.type,
        width_px=width_px,
        height_px=height_px,
        nits=nits,
        pitch_mm=panel.pitch_mm,
        width_m=width_m,
        height_m=config.rows * panel.height_m,
        cabinets=config.columns * config.rows,
        columns=config.columns,
        rows=config.rows,
    )
    return BuiltWall(wall, tuple(_pieces(name, poses, panel, config.rows)), panel=panel)


def _plane_columns(config: FlatWall | CeilingWall | FloorWall, panel: Panel) -> list[Array]:
    """Pose of each column's bottom middle, left to right; its axes are the wall's."""
    if isinstance(config, FlatWall):
        bottom = pose_from_pan_tilt_roll(
            config.position_m, pan_deg=config.pan_deg, tilt_deg=config.tilt_deg, roll_deg=config.roll_deg
        )
    else:
        tilt_deg = config.tilt_deg + (90.0 if isinstance(config, CeilingWall) else -90.0)
        middle = pose_from_pan_tilt_roll(config.centre_m, pan_deg=config.pan_deg, tilt_deg=tilt_deg)
        bottom = middle @ pose((0.0, 0.0, -config.rows * panel.height_m / 2.0))
    first = -(config.columns - 1) / 2.0
    return [bottom @ pose(((first + i) * panel.width_m, 0.0, 0.0)) for i in range(config.columns)]


def _arc_columns(path: str, config: ArcWall, panel: Panel, problems: list[Problem]) -> list[Array] | None:
    """As `_plane_columns`, each column a chord of the circle."""
    half = panel.width_m / (2.0 * config.radius_m)
    step_deg = 2.0 * degrees(asin(half)) if half <= 1.0 else 360.0
    if config.columns * step_deg > 360.0 + 1e-6:
        problems.append(
            Problem(
                "stage.arc_too_long",
                join(path, "columns"),
                f"{config.columns} panels of {panel.width_m:g} m reach {config.columns * step_deg:.1f} degrees round"
                f" a circle of {config.radius_m:g} m radius",
                config.columns,
                f"at most {int(360.0 / step_deg + 1e-9)} columns, or a larger radius_m",
            )
        )
        return None
    apothem_m = config.radius_m * cos(asin(half))
    out = []
    for i in range(config.columns):
        turn_deg = (i - (config.columns - 1) / 2.0) * step_deg
        # From inside, the columns run left to right by turning right; from outside the far edges fall away.
        pan_deg = config.centre_pan_deg - turn_deg if config.concave else config.centre_pan_deg + turn_deg
        rotation = rotation_from_pan_tilt_roll(pan_deg, 0.0, 0.0)
        along = rotation @ (0.0, apothem_m if config.concave else -apothem_m, 0.0)
        out.append(pose(np.add(config.centre_m, along), rotation))
    return out


def _pieces(name: str, columns: list[Array], panel: Panel, rows: int) -> list[Piece]:
    w, h = panel.width_m / 2.0, panel.height_m
    out = []
    for row in range(rows):
        low, high = (rows - 1 - row) * h, (rows - row) * h
        local = np.array([[-w, 0.0, low], [w, 0.0, low], [-w, 0.0, high], [w, 0.0, high]])
        for column, stage_from_column in enumerate(columns):
            rect = (column * panel.width_px, row * panel.height_px, panel.width_px, panel.height_px)
            out.append(Piece(f"{name}/c{column:02d}r{row:02d}", rect, transform_points(stage_from_column, local)))
    return out


def unknown(kind: str, path: str, value: str, known: Mapping[str, object]) -> Problem:
    """The problem of a name that nothing bears, with the nearest one that exists."""
    near = get_close_matches(value, list(known), 1, 0.5)
    mend = f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(sorted(known)) or 'none'}"
    return Problem(f"stage.unknown_{kind}", path, f"there is no {kind} of this name", value, mend)


def _mesh_wall(name: str, config: MeshWall, base_dir: Path, problems: list[Problem]) -> BuiltWall | None:
    path = join("stage/walls", name, "file")
    try:
        surface = read_surface(base_dir / config.file)
    except SurfaceError as error:
        problems.extend(
            Problem(p.code, path, p.detail, config.file if p.value is None else p.value, p.mend) for p in error.problems
        )
        return None
    mesh = _placed(path, config, surface, problems)
    if mesh is None:
        return None
    a, b, c = (mesh.positions_m[mesh.triangles[:, i]] for i in range(3))
    area_m2 = float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2.0)
    p, q, r = (mesh.wall_px[mesh.triangles[:, i]] for i in range(3))
    area_px = float(np.abs(_cross(q - p, r - p)).sum() / 2.0)
    pitch_m = float(np.sqrt(area_m2 / area_px))
    wall = Wall(
        id=name,
        kind="mesh",
        width_px=config.width_px,
        height_px=config.height_px,
        nits=config.nits,
        pitch_mm=pitch_m * 1000.0,
        width_m=pitch_m * config.width_px,
        height_m=pitch_m * config.height_px,
        cabinets=0,
    )
    return BuiltWall(wall, mesh=mesh)


def _cross(a: Array, b: Array) -> Array:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _placed(path: str, config: MeshWall, surface: Surface, problems: list[Problem]) -> MeshSurface | None:
    """The file's surface in the stage and on the raster, its triangles turned to the lit side, or None."""

    def refuse(situation: str, detail: str, mend: str) -> None:
        problems.append(Problem(f"stage.{situation}", path, detail, config.file, mend))

    uv = surface.uv
    if float(uv.min()) < -1e-4 or float(uv.max()) > 1.0 + 1e-4:
        refuse(
            "mesh_uv",
            f"UV coordinates reach from {float(uv.min()):.4g} to {float(uv.max()):.4g}",
            "lay the wall's UVs out inside 0..1",
        )
        return None
    top = config.v_origin == "top" or (config.v_origin == "auto" and surface.v_down)
    v = uv[:, 1] if top else 1.0 - uv[:, 1]
    wall_px = np.clip(np.stack([uv[:, 0], v], axis=1), 0.0, 1.0) * (config.width_px, config.height_px)
    stage_from_file = pose_from_pan_tilt_roll(
        config.position_m, pan_deg=config.pan_deg, tilt_deg=config.tilt_deg, roll_deg=config.roll_deg
    )
    if config.up == "y" or surface.always_y_up:
        stage_from_file = stage_from_file @ STAGE_FROM_Y_UP
    positions = transform_points(stage_from_file, surface.positions * config.unit_m)
    if float(np.abs(positions).max()) > 1000.0:
        refuse("out_of_range", "the surface reaches beyond 1000 m", "set `unit_m` (0.001 for millimetres)")
        return None
    triangles = surface.triangles if config.lit_side == "front" else surface.triangles[:, [0, 2, 1]]
    a, b, c = (positions[triangles[:, i]] for i in range(3))
    p, q, r = (wall_px[triangles[:, i]] for i in range(3))
    faces = np.cross(b - a, c - a)
    # Counter-clockwise from the lit side is clockwise on a raster whose y runs down: negative area.
    area_px = _cross(q - p, r - p) / 2.0
    whole = (np.linalg.norm(faces, axis=1) > 1e-12) & (np.abs(area_px) > 1e-9)
    if not whole.any():
        refuse("mesh_empty", "no triangle has an area both in space and in UV", "give the surface UV coordinates")
        return None
    mirrored = int((area_px[whole] > 0.0).sum())
    if mirrored == int(whole.sum()):
        refuse(
            "mesh_mirrored",
            "its picture is mirrored: seen from the lit side, u runs to the left",
            "set `lit_side: back` if triangles face away, or `v_origin`, or mirror the UVs",
        )
        return None
    if mirrored:
        refuse(
            "mesh_mixed",
            f"{mirrored} of {int(whole.sum())} triangles are turned against the others",
            "make all triangles and UVs face the same way",
        )
        return None
    return MeshSurface(positions, _normals(positions, triangles[whole], faces[whole]), wall_px, triangles[whole])


def _normals(positions: Array, triangles: Indices, faces: Array) -> Array:
    """Area-weighted vertex normals, [n, 3]; vertices that stand at one place share theirs."""
    _, place = np.unique(np.round(positions, 6), axis=0, return_inverse=True)
    place = place.reshape(-1)
    sums = np.zeros((int(place.max()) + 1, 3))
    for corner in range(3):
        np.add.at(sums, place[triangles[:, corner]], faces)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0.0)[place])
