"""What a mesh lacks and drawing needs: lists from strips, fans and loops, flat normals, tangents for normal maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from renderer.gltf.model import F32

POINTS, LINES, LINE_LOOP, LINE_STRIP, TRIANGLES, STRIP, FAN = range(7)


def drawn_list(indices: NDArray[np.uint32], mode: int) -> NDArray[np.uint32]:
    """Indices of points, of a list of lines, or of a list of triangles, whatever the glTF `mode` is."""
    if mode == POINTS:
        return indices
    if mode == LINES:
        return indices[: indices.size - indices.size % 2]
    if mode in (LINE_LOOP, LINE_STRIP):
        ends = np.roll(indices, -1)
        pairs = np.stack([indices, ends], axis=1)
        if mode == LINE_STRIP or indices.size < 2:
            pairs = pairs[:-1]
        return np.ascontiguousarray(pairs.reshape(-1))
    return triangle_list(indices, mode)


def triangle_list(indices: NDArray[np.uint32], mode: int) -> NDArray[np.uint32]:
    """Triangle-list indices, [triangles * 3], of a list, strip or fan (glTF `mode`)."""
    if mode == STRIP:
        count = max(0, indices.size - 2)
        i = np.arange(count)
        odd = i % 2
        # Every second triangle of a strip is turned round so that all face the same way.
        out = np.stack([indices[i], indices[i + 1 + odd], indices[i + 2 - odd]], axis=1)
        return np.ascontiguousarray(out.reshape(-1))
    if mode == FAN:
        i = np.arange(max(0, indices.size - 2))
        first = np.broadcast_to(indices[:1], i.shape)
        return np.ascontiguousarray(np.stack([indices[i + 1], indices[i + 2], first], axis=1).reshape(-1))
    return indices[: indices.size - indices.size % 3]


def flat_normals(positions: F32) -> F32:
    """Normals, [n, 3], of unshared vertices, [n, 3], three a triangle: the triangle's own."""
    corners = positions.reshape(-1, 3, 3).astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, length, out=np.tile([0.0, 0.0, 1.0], (len(normals), 1)), where=length > 0)
    return np.repeat(normals, 3, axis=0).astype(np.float32)


def tangents(positions: F32, normals: F32, uv: F32, indices: NDArray[np.uint32]) -> F32:
    """Tangents, [n, 4] (xyz and bitangent sign), along +u, averaged over the triangles at each vertex."""
    tri = indices.reshape(-1, 3)
    p, t = positions[tri].astype(np.float64), uv[tri].astype(np.float64)
    e1, e2 = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
    d1, d2 = t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]
    area = d1[:, 0] * d2[:, 1] - d2[:, 0] * d1[:, 1]
    good = np.abs(area) > 1e-20
    scale = np.divide(1.0, area, out=np.zeros_like(area), where=good)[:, None]
    along_u = (e1 * d2[:, 1:] - e2 * d1[:, 1:]) * scale
    along_v = (e2 * d1[:, :1] - e1 * d2[:, :1]) * scale
    # Each triangle counts by its size on the surface, whatever its size in the texture.
    weight = np.linalg.norm(np.cross(e1, e2), axis=1, keepdims=True) * good[:, None]
    along_u = _unit(along_u) * weight
    along_v = _unit(along_v) * weight
    count = len(positions)
    u, v = np.zeros((count, 3)), np.zeros((count, 3))
    for corner in range(3):
        for axis in range(3):
            u[:, axis] += np.bincount(tri[:, corner], along_u[:, axis], count)
            v[:, axis] += np.bincount(tri[:, corner], along_v[:, axis], count)
    n = normals.astype(np.float64)
    u -= n * np.sum(n * u, axis=1, keepdims=True)
    lost = np.linalg.norm(u, axis=1) < 1e-12
    if lost.any():
        # No usable coordinates there: any direction in the surface will do, so long as it is always the same.
        axis_from = np.where(np.abs(n[lost, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
        u[lost] = np.cross(axis_from, n[lost])
    u = _unit(u)
    # A normal map's green points up in its picture, v down.
    sign = np.where(np.sum(np.cross(n, u) * v, axis=1) > 0.0, -1.0, 1.0)
    return np.column_stack([u, sign]).astype(np.float32)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0))
