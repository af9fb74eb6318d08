"""The benchmark's own scene: rolling ground and 44 spheres, about 100,000 triangles in 45 draws, made in code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.gltf.model import Asset, Material, Mesh, Node, Primitive

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

GROUND_SIDE = 200
SPHERES = 44
SUN_PAN_DEG, SUN_ELEVATION_DEG = 125.0, 40.0
SUN_ILLUMINANCE = 3.0
AMBIENT = 0.25
FOV_DEG = 55.0
NEAR_M, FAR_M = 0.1, 200.0


@dataclass(frozen=True, slots=True)
class Body:
    """One object: Z-up vertices in place, and its surface."""

    positions: F32
    normals: F32
    indices: NDArray[np.uint32]
    colour: tuple[float, float, float]
    metallic: float
    roughness: float


def bodies(ground_side: int = GROUND_SIDE, spheres: int = SPHERES) -> list[Body]:
    """The scene's 45 objects (or another number of them); the same numbers every time."""
    out = [_ground(ground_side)]
    for i in range(spheres):
        angle, ring = i * 2.399963, 4.0 + 1.1 * np.sqrt(i) * 2.2
        radius = 0.45 + 0.35 * ((i * 7) % 11) / 11
        x, y = ring * np.cos(angle), ring * np.sin(angle)
        red, green, blue = (float(0.6 + 0.35 * np.cos(0.9 * i + k)) for k in (0.0, 2.1, 4.2))
        colour = (red, green, blue)
        centre = (float(x), float(y), float(_height(x, y)) + 0.8 * radius)
        roughness = 0.15 + 0.8 * ((i * 5) % 9) / 9
        out.append(_sphere(centre, radius, colour, metallic=float(i % 3 == 0), roughness=roughness))
    return out


def cameras(count: int) -> list[F64]:
    """`stage_from_camera`, [4, 4] each: a slow orbit round the middle, looking inwards and a little down."""
    from stage.frames import pose_from_pan_tilt_roll

    out = []
    for i in range(count):
        angle = 0.31 * i
        place = (13.0 * np.sin(angle), -13.0 * np.cos(angle), 4.5)
        out.append(pose_from_pan_tilt_roll(place, pan_deg=float(np.degrees(angle)), tilt_deg=-14.0))
    return out


def gl_pose(stage_from_camera: F64) -> F64:
    """[4, 4]  a camera's pose with OpenGL's camera axes (x right, y up, looks along -z), which most renderers take."""
    from stage.frames import stage_from_gl

    return stage_from_gl(stage_from_camera)


def to_sun() -> F64:
    """[3]  the direction to the light, unit length, stage axes."""
    from stage.frames import rotation_from_pan_tilt_roll

    return rotation_from_pan_tilt_roll(SUN_PAN_DEG, SUN_ELEVATION_DEG, 0.0)[:, 1]


def asset_of(triangles: int) -> Asset:
    """The same scene with about so many triangles: four fifths ground, the rest spheres of 480."""
    return asset(round(np.sqrt(0.4 * triangles)) + 1, round(triangles / 5 / 480))


def asset(ground_side: int = GROUND_SIDE, spheres: int = SPHERES) -> Asset:
    """The scene as an asset (Y up)."""
    materials, meshes, nodes = [], [], []
    for i, body in enumerate(bodies(ground_side, spheres)):
        materials.append(Material(str(i), (*body.colour, 1.0), body.metallic, body.roughness))
        turned = [
            np.ascontiguousarray(v[:, [0, 2, 1]] * np.array([1, 1, -1], np.float32))
            for v in (body.positions, body.normals)
        ]
        meshes.append(Mesh(str(i), (Primitive(turned[0], turned[1], None, None, None, None, body.indices, i),)))
        nodes.append(Node(str(i), mesh=i))
    return Asset(Path("bench"), tuple(nodes), tuple(range(len(nodes))), tuple(meshes), tuple(materials), (), (), (), ())


def clip_from_view(aspect: float) -> F64:
    """[4, 4]"""
    t = 1.0 / np.tan(np.radians(FOV_DEG) / 2.0)
    return np.array(
        [
            [t / aspect, 0.0, 0.0, 0.0],
            [0.0, t, 0.0, 0.0],
            [0.0, 0.0, -(FAR_M + NEAR_M) / (FAR_M - NEAR_M), -2.0 * FAR_M * NEAR_M / (FAR_M - NEAR_M)],
            [0.0, 0.0, -1.0, 0.0],
        ]
    )


def _height(x: F64 | float, y: F64 | float) -> F64:
    return np.asarray(0.7 * np.sin(0.35 * x) * np.cos(0.28 * y) + 0.15 * np.sin(1.3 * x + 0.7 * y))


def _ground(count: int) -> Body:
    side = np.linspace(-30.0, 30.0, count)
    x, y = np.meshgrid(side, side)
    step = 1e-3
    slope_x = (_height(x + step, y) - _height(x - step, y)) / (2 * step)
    slope_y = (_height(x, y + step) - _height(x, y - step)) / (2 * step)
    normals = np.stack([-slope_x, -slope_y, np.ones_like(x)], axis=-1).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    positions = np.stack([x, y, _height(x, y)], axis=-1).reshape(-1, 3)
    return Body(
        positions.astype(np.float32), normals.astype(np.float32), _grid(count, count), (0.45, 0.4, 0.33),
        0.0, 0.85,
    )  # fmt: skip


def _sphere(
    centre: tuple[float, float, float], radius_m: float, colour: tuple[float, float, float], *, metallic: float,
    roughness: float,
) -> Body:  # fmt: skip
    rows, columns = 16, 17
    polar, around = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    normals = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1
    ).reshape(-1, 3)
    positions = normals * radius_m + centre
    indices = _grid(columns, rows).reshape(-1, 3)[:, ::-1].reshape(-1)
    return Body(
        positions.astype(np.float32), normals.astype(np.float32), np.ascontiguousarray(indices), colour, metallic,
        roughness,
    )  # fmt: skip


def _grid(columns: int, rows: int) -> NDArray[np.uint32]:
    """Triangles of a vertex grid, row after row, counter-clockwise with columns to the right and rows upwards."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None]).reshape(-1)
    quads = np.stack([first, first + 1, first + columns + 1, first, first + columns + 1, first + columns], axis=1)
    return np.ascontiguousarray(quads.reshape(-1), dtype=np.uint32)
