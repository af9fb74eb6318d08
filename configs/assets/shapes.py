"""The things of the demo world as triangles, in stage axes (x right, y forward, z up, metres)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.assets.texture import F, fbm, noise, smoothstep

I = NDArray[np.int64]  # noqa: E741


@dataclass(slots=True)
class Shape:
    """Triangles with normals and texture coordinates, stage axes."""

    points: F
    normals: F
    uv: F
    triangles: I

    def moved(
        self, at: Sequence[float] = (0, 0, 0), turn_deg: float = 0.0, scale: Sequence[float] = (1, 1, 1)
    ) -> Shape:
        c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        normals = self.normals / np.asarray(scale)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return Shape((self.points * scale) @ turn.T + at, normals @ turn.T, self.uv, self.triangles)


def joined(shapes: Sequence[Shape]) -> Shape:
    """Several shapes as one."""
    offsets = np.cumsum([0, *(len(s.points) for s in shapes[:-1])])
    return Shape(
        np.concatenate([s.points for s in shapes]),
        np.concatenate([s.normals for s in shapes]),
        np.concatenate([s.uv for s in shapes]),
        np.concatenate([s.triangles + o for s, o in zip(shapes, offsets, strict=True)]),
    )


def smooth_normals(points: F, triangles: I) -> F:
    """Area-weighted unit normals at the vertices, [n, 3]."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


def sheet(rows: int, columns: int, wrap: bool = False) -> I:
    """Triangles of a grid of vertices, row after row; counter-clockwise for x along columns, y along rows."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if wrap else columns - 1), indexing="ij")
    a = r * columns + c
    b = r * columns + (c + 1) % columns
    return np.stack([np.stack([a, b, b + columns], -1), np.stack([a, b + columns, a + columns], -1)], 2).reshape(-1, 3)


def box(size: Sequence[float], at: Sequence[float], metres_per_tile: float = 2.0) -> Shape:
    """A box standing on `at` (middle of its foot)."""
    sx, sy, sz = size
    faces = []
    for normal, right, up, w, h, d in (
        ((0, -1, 0), (1, 0, 0), (0, 0, 1), sx, sz, sy), ((0, 1, 0), (-1, 0, 0), (0, 0, 1), sx, sz, sy),
        ((1, 0, 0), (0, 1, 0), (0, 0, 1), sy, sz, sx), ((-1, 0, 0), (0, -1, 0), (0, 0, 1), sy, sz, sx),
        ((0, 0, 1), (1, 0, 0), (0, 1, 0), sx, sy, sz), ((0, 0, -1), (1, 0, 0), (0, -1, 0), sx, sy, sz),
    ):  # fmt: skip
        n, r, u = (np.array(q, dtype=float) for q in (normal, right, up))
        corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2
        points = corners[:, :1] * r + corners[:, 1:] * u + n * d / 2 + (0, 0, sz / 2)
        uv = corners * (1, -1) / metres_per_tile + 0.5
        faces.append(Shape(points + np.asarray(at), np.tile(n, (4, 1)), uv, np.array([[0, 1, 2], [0, 2, 3]])))
    return joined(faces)


def lathe(profile: Sequence[tuple[float, float]], segments: int, flutes: int = 0, depth: float = 0.0) -> Shape:
    """A body of revolution: (radius, height) upwards, with flutes cut into it."""
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    cut = 1 - depth * (0.5 - 0.5 * np.cos(flutes * angles)) if flutes else np.ones_like(angles)
    rings = np.array(profile)
    points = np.stack(
        [rings[:, :1] * cut * np.cos(angles), rings[:, :1] * cut * np.sin(angles), rings[:, 1:] * np.ones_like(angles)],
        -1,
    ).reshape(-1, 3)
    triangles = sheet(len(rings), segments + 1)
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(rings, axis=0).T))])
    uv = np.stack(np.broadcast_arrays(angles[None] * rings[:, 0].max() / 2, -length[:, None] / 2), -1).reshape(-1, 2)
    normals = smooth_normals(points, triangles).reshape(len(rings), segments + 1, 3)
    normals[:, 0] = normals[:, -1] = normals[:, 0] + normals[:, -1]
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    return Shape(points, normals.reshape(-1, 3), uv, triangles)


def column(height: float = 5.2, broken: int | None = None) -> Shape:
    """A fluted column with base and capital; a broken one ends in a rough stump."""
    shaft_top = height - 0.65
    radii = [(0.46 - 0.07 * t, 0.45 + t * (shaft_top - 0.45)) for t in np.linspace(0, 1, 7)]
    parts = [
        box((1.25, 1.25, 0.22), (0, 0, 0)),
        lathe([(0.60, 0.22), (0.62, 0.30), (0.58, 0.38), (0.48, 0.45)], 40),
        lathe(radii, 80, flutes=20, depth=0.11),
    ]
    if broken is None:
        parts += [
            lathe([(0.40, shaft_top), (0.46, shaft_top + 0.12), (0.62, shaft_top + 0.36)], 40),
            box((1.30, 1.30, 0.29), (0, 0, shaft_top + 0.36)),
        ]
        return joined(parts)
    shaft = parts[-1]
    around = np.arctan2(shaft.points[:, 1], shaft.points[:, 0]) / (2 * np.pi)
    ragged = (noise(around, np.zeros_like(around), 9, broken) - 0.5) * 0.9
    share = (shaft.points[:, 2] - 0.45) / (shaft_top - 0.45)
    shaft.points[:, 2] += ragged * share**4
    rim = shaft.points[-81:]
    top = rim.mean(axis=0)
    cap = np.concatenate([rim, top[None]])
    triangles = np.array([[k, k + 1, 81] for k in range(80)])
    parts.append(Shape(cap, smooth_normals(cap, triangles), cap[:, :2] / 2, triangles))
    return joined(parts)


def gate() -> Shape:
    """Two piers, a round arch of wedge stones, a cornice."""
    parts = [box((1.9, 1.9, 5.0), (side * 3.3, 0, 0)) for side in (-1, 1)]
    parts += [box((2.3, 2.3, 0.35), (side * 3.3, 0, 5.0)) for side in (-1, 1)]
    stones = 15
    for k in range(stones):
        a0, a1 = np.pi * (k + 0.015) / stones, np.pi * (k + 0.985) / stones
        ring = [(r * np.cos(a), r * np.sin(a)) for a in (a0, a1) for r in (2.4, 3.35)]
        front = np.array([[x, -0.85, 5.35 + z] for x, z in (ring[0], ring[1], ring[3], ring[2])])
        back = front + np.array((0.0, 1.7, 0.0))
        sides = ((0, 3), (2, 1), (1, 0), (3, 2))
        quads = [front, back, *(np.array([front[i], front[j], back[j], back[i]]) for i, j in sides)]
        middle = np.concatenate([front, back]).mean(axis=0)
        for quad in quads:
            normal = np.cross(quad[1] - quad[0], quad[2] - quad[0])
            normal /= np.linalg.norm(normal)
            outward = np.dot(normal, quad.mean(axis=0) - middle) > 0
            points = quad if outward else quad[::-1]
            uv = np.array([[0, 0], [0.45, 0], [0.45, 0.45], [0, 0.45]]) + 0.13 * k
            parts.append(Shape(points, np.tile(normal if outward else -normal, (4, 1)), uv,
                               np.array([[0, 1, 2], [0, 2, 3]])))  # fmt: skip
    # Haunches carry the cornice on both sides of the arch.
    parts += [box((0.95, 1.7, 3.35), (side * 3.78, 0, 5.35)) for side in (-1, 1)]
    parts.append(box((9.4, 2.0, 0.5), (0, 0, 8.66)))
    parts.append(box((9.9, 2.4, 0.25), (0, 0, 9.16)))
    return joined(parts)


def boulder(seed: int) -> Shape:
    """A worn rock, about 1 m."""
    rows, columns = 13, 20
    theta = np.linspace(0.02, np.pi - 0.02, rows)[:, None]
    phi = np.linspace(0, 2 * np.pi, columns + 1)[None]
    radius = 0.62 + 0.45 * (fbm(phi / (2 * np.pi), theta / np.pi / 2, 3, seed, octaves=4) - 0.5)
    points = np.stack(
        [radius * np.sin(theta) * np.cos(phi), radius * np.sin(theta) * np.sin(phi), 0.7 * radius * np.cos(theta)], -1
    ).reshape(-1, 3)
    triangles = sheet(rows, columns + 1)[:, ::-1]
    uv = np.stack(np.broadcast_arrays(phi / np.pi, theta / np.pi), -1).reshape(-1, 2)
    normals = smooth_normals(points, triangles).reshape(rows, columns + 1, 3)
    normals[:, 0] = normals[:, -1] = normals[:, 0] + normals[:, -1]
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return Shape(points + np.array((0.0, 0.0, 0.25)), normals.reshape(-1, 3), uv, triangles)


def ground_height(x: F, y: F) -> F:
    """Even round the stage and the plaza, dunes beyond, falling a little to the far plain."""
    r = np.hypot(x, y)
    dunes = 7.0 * (fbm(x / 420 + 0.5, y / 420 + 0.5, 6, 201, octaves=4) - 0.45)
    return np.asarray(smoothstep(24, 110, r) * dunes - smoothstep(250, 1200, r) * 6.0)


def terrain() -> Shape:
    """Rings of ground, finer near by, out to 4 km."""
    radii = np.concatenate([[0.0], np.geomspace(1.5, 4000, 76)])
    columns = 120
    angles = np.linspace(0, 2 * np.pi, columns + 1)
    x, y = radii[:, None] * np.cos(angles), radii[:, None] * np.sin(angles)
    z = ground_height(x, y) - 0.004
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    triangles = sheet(len(radii), columns + 1)[:, ::-1]
    a, b, c = (points[triangles[:, k]] for k in range(3))
    triangles = triangles[np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-9]
    if (
        np.cross(points[triangles[0, 1]] - points[triangles[0, 0]], points[triangles[0, 2]] - points[triangles[0, 0]])[
            2
        ]
        < 0
    ):
        triangles = triangles[:, ::-1]
    normals = smooth_normals(points, triangles)
    return Shape(points, normals, points[:, :2] * (0.25, -0.25), triangles)


def mesa(radius_m: float, height_m: float, seed: int) -> Shape:
    """A table mountain: steep bands of cliff over a skirt of scree."""
    columns = 96
    profile = [
        (1.75, -0.06),
        (1.35, 0.16),
        (1.16, 0.34),
        (1.08, 0.36),
        (1.04, 0.62),
        (0.98, 0.64),
        (0.94, 0.97),
        (0.9, 1.0),
    ]
    angles = np.linspace(0, 2 * np.pi, columns + 1)
    rim = 0.72 + 0.62 * fbm(angles / (2 * np.pi), np.zeros_like(angles), 5, seed, octaves=4)
    rows = []
    for k, (r, h) in enumerate(profile):
        gully = 1 + 0.30 * (fbm(angles / (2 * np.pi), np.full_like(angles, 0.06 * k), 17, seed + 9, octaves=3) - 0.5)
        rows.append(np.stack([radius_m * r * rim * gully * np.cos(angles), radius_m * r * rim * gully * np.sin(angles),
                              np.full_like(angles, height_m * h)], -1))  # fmt: skip
    rows.append(np.stack([0 * angles, 0 * angles, np.full_like(angles, height_m)], -1))
    points = np.stack(rows).reshape(-1, 3)
    triangles = sheet(len(rows), columns + 1)
    heights = np.array([h for _, h in profile] + [1.3])
    uv = np.stack(np.broadcast_arrays(angles[None] / (2 * np.pi) * 6, 1 - heights[:, None] * 0.95), -1).reshape(-1, 2)
    return Shape(points, smooth_normals(points, triangles), uv, triangles)


def mountains() -> Shape:
    """A far range all round: one skyline at 3 km."""
    columns = 360
    angles = np.linspace(0, 2 * np.pi, columns + 1)
    crest = fbm(angles / (2 * np.pi), np.zeros_like(angles), 9, 301, octaves=6, gain=0.55)
    crest = 20 + 330 * smoothstep(0.38, 0.8, crest) + 60 * crest
    rows = []
    for share, back in ((-0.1, 0.0), (0.45, 250.0), (1.0, 620.0)):
        r = 3000 + back
        rows.append(np.stack([r * np.cos(angles), r * np.sin(angles), crest * share], -1))
    points = np.stack(rows).reshape(-1, 3)
    triangles = sheet(3, columns + 1)[:, ::-1]
    uv = np.stack(np.broadcast_arrays(angles[None] * 4, np.array([[1.0], [0.5], [0.0]])), -1).reshape(-1, 2)
    return Shape(points, smooth_normals(points, triangles), uv, triangles)


def banner() -> Shape:
    """A hanging cloth 1.2 x 3 m whose top bar is at the origin, with a little fold; seen from both sides."""
    rows, columns = 12, 6
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    points = np.stack([(u - 0.5) * 1.2, 0.06 * v * np.sin(2 * np.pi * (u * 1.1 + 0.15)), -3.0 * v], -1).reshape(-1, 3)
    triangles = sheet(rows, columns)[:, ::-1]
    return Shape(points, smooth_normals(points, triangles), np.stack([u, v], -1).reshape(-1, 2), triangles)


def vane() -> Shape:
    """Six blades of a wind wheel, turning about y."""
    blades = []
    for k in range(6):
        a = np.pi * k / 3
        along, across = np.array([np.cos(a), 0, np.sin(a)]), np.array([-np.sin(a), 0.28, np.cos(a)])
        corners = np.array([along * 0.25 - across * 0.10, along * 1.6 - across * 0.26,
                            along * 1.6 + across * 0.26, along * 0.25 + across * 0.10])  # fmt: skip
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        normal /= np.linalg.norm(normal)
        uv = np.array([[0, 0], [0.6, 0], [0.6, 0.2], [0, 0.2]])
        blades.append(Shape(corners, np.tile(normal, (4, 1)), uv, np.array([[0, 1, 2], [0, 2, 3]])))
    return joined(blades)


def globe() -> Shape:
    """A polished sphere of 0.7 m."""
    profile = [(0.7 * np.sin(t), -0.7 * np.cos(t)) for t in np.linspace(0.02, np.pi - 0.02, 25)]
    return lathe(profile, 48)
