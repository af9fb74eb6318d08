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
    shade: F | None = None
    """[n]  how much light from around reaches each vertex (0..1); left out, all of it."""

    def dimmed(self, factor: F) -> Shape:
        """The same shape with this much, [n], of the light from around that reached it before."""
        before = 1.0 if self.shade is None else self.shade
        return Shape(self.points, self.normals, self.uv, self.triangles, np.clip(before * factor, 0.0, 1.0))

    def tilted(self, about_deg: float) -> Shape:
        """Turned about x."""
        c, s = np.cos(np.radians(about_deg)), np.sin(np.radians(about_deg))
        turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        return Shape(self.points @ turn.T, self.normals @ turn.T, self.uv, self.triangles, self.shade)

    def moved(
        self, at: Sequence[float] = (0, 0, 0), turn_deg: float = 0.0, scale: Sequence[float] = (1, 1, 1)
    ) -> Shape:
        c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        normals = self.normals / np.asarray(scale)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return Shape((self.points * scale) @ turn.T + at, normals @ turn.T, self.uv, self.triangles, self.shade)


def joined(shapes: Sequence[Shape]) -> Shape:
    """Several shapes as one."""
    offsets = np.cumsum([0, *(len(s.points) for s in shapes[:-1])])
    return Shape(
        np.concatenate([s.points for s in shapes]),
        np.concatenate([s.normals for s in shapes]),
        np.concatenate([s.uv for s in shapes]),
        np.concatenate([s.triangles + o for s, o in zip(shapes, offsets, strict=True)]),
        np.concatenate([np.ones(len(s.points)) if s.shade is None else s.shade for s in shapes]),
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


FLUTED = 60
"""Facets round a shaft: three a flute."""


def far_column(height: float = 5.2) -> Shape:
    """A column for the distance, where its flutes are finer than an LED."""
    shaft_top = height - 0.65
    rings = [(0.60, 0.22), (0.60, 0.34), (0.45, 0.45), (0.37, shaft_top), (0.62, shaft_top + 0.36)]
    parts = [
        box((1.25, 1.25, 0.22), (0, 0, 0)),
        lathe(rings, 20),
        box((1.30, 1.30, 0.29), (0, 0, shaft_top + 0.36)),
    ]
    whole = grounded(joined(parts))
    return whole.dimmed(1 - 0.35 * np.exp(-(((whole.points[:, 2] - shaft_top) / 0.22) ** 2)))


def column(height: float = 5.2, broken: int | None = None) -> Shape:
    """A fluted column with base and capital; a broken one ends in a rough stump."""
    shaft_top = height - 0.65
    radii = [(0.46 - 0.07 * t, 0.45 + t * (shaft_top - 0.45)) for t in np.linspace(0, 1, 5)]
    parts = [
        box((1.25, 1.25, 0.22), (0, 0, 0)),
        lathe([(0.60, 0.22), (0.62, 0.30), (0.58, 0.38), (0.48, 0.45)], 24),
        lathe(radii, FLUTED, flutes=20, depth=0.11),
    ]
    if broken is None:
        parts += [
            lathe([(0.40, shaft_top), (0.46, shaft_top + 0.12), (0.62, shaft_top + 0.36)], 24),
            box((1.30, 1.30, 0.29), (0, 0, shaft_top + 0.36)),
        ]
        whole = grounded(joined(parts))
        # Under the capital less of the sky is seen.
        return whole.dimmed(1 - 0.35 * np.exp(-(((whole.points[:, 2] - shaft_top) / 0.22) ** 2)))
    shaft = parts[-1]
    around = np.arctan2(shaft.points[:, 1], shaft.points[:, 0]) / (2 * np.pi)
    ragged = (noise(around, np.zeros_like(around), 9, broken) - 0.5) * 0.9
    share = (shaft.points[:, 2] - 0.45) / (shaft_top - 0.45)
    shaft.points[:, 2] += ragged * share**4
    rim = shaft.points[-FLUTED - 1 :]
    top = rim.mean(axis=0)
    cap = np.concatenate([rim, top[None]])
    triangles = np.array([[k, k + 1, FLUTED + 1] for k in range(FLUTED)])
    parts.append(Shape(cap, smooth_normals(cap, triangles), cap[:, :2] / 2, triangles))
    return grounded(joined(parts))


def gate() -> Shape:
    """Two piers, a round arch of wedge stones, a cornice."""
    parts = [grounded(box((1.9, 1.9, 1.0), (side * 3.3, 0, 0)), reach_m=1.0, dark=0.55) for side in (-1, 1)]
    parts += [box((1.9, 1.9, 4.0), (side * 3.3, 0, 1.0)) for side in (-1, 1)]
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
            facing = normal if outward else -normal
            piece = Shape(points, np.tile(facing, (4, 1)), uv, np.array([[0, 1, 2], [0, 2, 3]]))
            # No two wedge stones are quite alike, and the arch's underside is darker.
            tone = 0.82 + 0.18 * float(np.sin(7.3 * k) ** 2)
            parts.append(piece.dimmed(np.full(4, tone * (0.62 if facing[2] < -0.15 and abs(facing[1]) < 0.1 else 1.0))))
    # Haunches carry the cornice on both sides of the arch.
    parts += [box((0.95, 1.7, 3.35), (side * 3.78, 0, 5.35)) for side in (-1, 1)]
    parts.append(box((9.4, 2.0, 0.5), (0, 0, 8.66)))
    parts.append(box((9.9, 2.4, 0.25), (0, 0, 9.16)))
    whole = joined(parts)
    under = smoothstep(8.2, 8.66, whole.points[:, 2]) * (whole.points[:, 2] < 8.67) + (whole.normals[:, 2] < -0.9)
    return whole.dimmed(1 - 0.45 * np.clip(under, 0, 1))


def boulder(seed: int, rows: int, columns: int) -> Shape:
    """A rock broken along planes, about 1 m, sunk a little into the ground."""
    theta = np.linspace(0.02, np.pi - 0.02, rows)[:, None]
    phi = np.linspace(0, 2 * np.pi, columns + 1)[None]
    out = np.stack(
        np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)), axis=-1
    )
    random = np.random.default_rng(seed)
    planes = random.normal(size=(17, 3))
    planes /= np.linalg.norm(planes, axis=1, keepdims=True)
    facing = np.maximum(out @ planes.T, 1e-3)
    radius = np.minimum((random.uniform(0.40, 0.66, 17) / facing).min(axis=-1), 0.78)
    radius *= 0.94 + 0.14 * fbm(phi / (2 * np.pi), theta / np.pi / 2, 6, seed, octaves=3)
    radius[:, -1] = radius[:, 0]
    points = (out * radius[..., None] * (1.15, 0.95, 0.75)).reshape(-1, 3)
    triangles = sheet(rows, columns + 1)[:, ::-1]
    uv = np.stack(np.broadcast_arrays(phi * 0.25, theta * 0.35), -1).reshape(-1, 2)
    normals = smooth_normals(points, triangles).reshape(rows, columns + 1, 3)
    normals[:, 0] = normals[:, -1] = normals[:, 0] + normals[:, -1]
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return grounded(Shape(points + np.array((0.0, 0.0, 0.22)), normals.reshape(-1, 3), uv, triangles), reach_m=0.35)


def grounded(shape: Shape, reach_m: float = 0.7, dark: float = 0.45) -> Shape:
    """The shape with less light from around near the ground it stands on, and on its undersides."""
    rise = smoothstep(-0.05, reach_m, shape.points[:, 2])
    under = 1 - 0.5 * smoothstep(0.3, 0.9, -shape.normals[:, 2])
    return shape.dimmed((dark + (1 - dark) * rise) * under)


def drum(length_m: float) -> Shape:
    """A piece of a shaft that lies on the ground."""
    radius = 0.43
    standing = joined(
        [
            lathe([(radius, 0.0), (radius, length_m / 2), (radius, length_m)], 80, flutes=20, depth=0.11),
            lathe([(0.001, length_m), (radius * 0.96, length_m)][::-1], 40),
            lathe([(radius * 0.96, 0.0), (0.001, 0.0)][::-1], 40),
        ]
    )
    return grounded(standing.tilted(90.0).moved((0.0, length_m / 2, 0.36)), reach_m=0.5)


def road() -> Shape:
    """A paved way from behind the stage to beyond the gate, 6 m wide, level with the stage's floor."""
    rows, columns = 90, 6
    y, x = np.meshgrid(np.linspace(-22.0, 88.0, rows), np.linspace(-3.05, 3.05, columns), indexing="ij")
    edge = 0.35 * (noise(y / 60.0, np.sign(x) * 0.25, 40, 221) - 0.5)
    x = x + np.where(np.abs(x) > 3.0, edge, 0.0)
    points = np.stack([x, y, np.full_like(x, -0.002)], -1).reshape(-1, 3)
    triangles = sheet(rows, columns)
    worn = 0.86 + 0.28 * (fbm(x / 30 + 0.5, y / 30 + 0.5, 5, 227, octaves=4).reshape(-1) - 0.5)
    shape = Shape(points, np.tile((0.0, 0.0, 1.0), (len(points), 1)), points[:, :2] * (0.25, -0.25), triangles)
    return shape.dimmed(worn)


def ground_height(x: F, y: F) -> F:
    """Even round the stage and the plaza, dunes beyond, falling a little to the far plain."""
    r = np.hypot(x, y)
    dunes = 7.0 * (fbm(x / 420 + 0.5, y / 420 + 0.5, 6, 201, octaves=4) - 0.45)
    # The road lies in a shallow bed: sand drifts over its edges, never through its middle.
    bed = (1 - smoothstep(3.0, 3.9, np.abs(x))) * smoothstep(-24, -21, y) * (1 - smoothstep(84, 92, y))
    near = 1 - bed * (1 - smoothstep(60, 90, np.abs(y)))
    return np.asarray(smoothstep(24, 110, r) * dunes * near - smoothstep(250, 1200, r) * 6.0 - 0.05 * bed)


def terrain() -> Shape:
    """Rings of ground, finer near by, out to 4 km."""
    radii = np.concatenate([[0.0], np.geomspace(1.5, 4000, 44)])
    columns = 64
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
    # Broad patches, so that the texture's own period is not seen from afar.
    patches = fbm(x / 90 + 0.5, y / 90 + 0.5, 6, 211, octaves=5) * 0.6 + fbm(x / 900 + 0.5, y / 900 + 0.5, 9, 217) * 0.4
    shape = Shape(points, normals, points[:, :2] * (0.25, -0.25), triangles)
    return shape.dimmed(0.62 + 0.60 * (patches.reshape(-1) - 0.2))


def mesa(radius_m: float, height_m: float, seed: int) -> Shape:
    """A table mountain: steep bands of cliff over a skirt of scree."""
    columns = 44
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
    shape = Shape(points, smooth_normals(points, triangles), uv, triangles)
    deep = np.stack([row[:, 2] for row in rows]).reshape(-1) / height_m
    return shape.dimmed(0.72 + 0.28 * smoothstep(0.0, 0.9, deep))


def mountains() -> Shape:
    """A far range all round: one skyline at 3 km."""
    columns = 200
    angles = np.linspace(0, 2 * np.pi, columns + 1)
    crest = fbm(angles / (2 * np.pi), np.zeros_like(angles), 9, 301, octaves=6, gain=0.55)
    teeth = 1 - np.abs(2 * fbm(angles / (2 * np.pi), np.full_like(angles, 0.4), 40, 317, octaves=4) - 1)
    crest = 15 + 1500 * np.clip(crest - 0.40, 0, 1) ** 1.25 + 90 * smoothstep(0.36, 0.6, crest) * teeth
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
    profile = [(0.7 * np.sin(t), -0.7 * np.cos(t)) for t in np.linspace(0.02, np.pi - 0.02, 19)]
    return lathe(profile, 36)
