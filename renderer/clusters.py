"""Large meshes cut into compact clusters, so that a view draws only the parts it sees, nearest first.

Triangles are put in the order of a space-filling curve: neighbours in space become neighbours in the index
buffer, which keeps vertices in the cache of GPUs and of software GL alike.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

CLUSTER_TRIANGLES: Final = 1536
"""Few enough to cull well, enough that a draw's own cost does not show."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A run of a primitive's indices and the sphere round it, in the mesh's own frame."""

    first: int
    count: int
    centre_m: F64
    radius_m: float


def clustered(
    positions: F32, indices: NDArray[np.uint32], *, whole: bool = False
) -> tuple[NDArray[np.uint32], list[Cluster]]:
    """The indices, [triangles * 3], in curve order, and their clusters.

    Small meshes, and `whole` ones, are one cluster in the order they come in.
    """
    triangles = indices.reshape(-1, 3)
    if len(triangles) > 2 * CLUSTER_TRIANGLES and not whole:
        corners = positions[triangles].astype(np.float64)
        middles = (corners.min(axis=1) + corners.max(axis=1)) / 2.0
        triangles = triangles[np.argsort(_curve(middles), kind="stable")]
        pieces = int(np.ceil(len(triangles) / CLUSTER_TRIANGLES))
    else:
        pieces = 1
    edges = np.linspace(0, len(triangles), pieces + 1).round().astype(int)
    out = []
    for first, last in itertools.pairwise(edges):
        points = positions[np.unique(triangles[first:last])].astype(np.float64)
        centre = (points.min(axis=0) + points.max(axis=0)) / 2.0
        radius = float(np.linalg.norm(points - centre, axis=1).max())
        out.append(Cluster(int(first) * 3, int(last - first) * 3, centre, radius))
    return np.ascontiguousarray(triangles.reshape(-1)), out


def _curve(points: F64) -> NDArray[np.uint64]:
    """Place of each point, [n, 3], on a Z-order curve through their box; 21 bits an axis."""
    low = points.min(axis=0)
    extent = max(float((points.max(axis=0) - low).max()), 1e-30)
    cells = ((points - low) / extent * (2**21 - 1)).astype(np.uint64)
    code = np.zeros(len(points), dtype=np.uint64)
    for axis in range(3):
        v = cells[:, axis]
        for shift, mask in (
            (32, 0x1F00000000FFFF), (16, 0x1F0000FF0000FF), (8, 0x100F00F00F00F00F), (4, 0x10C30C30C30C30C3),
            (2, 0x1249249249249249),
        ):  # fmt: skip
            v = (v | (v << np.uint64(shift))) & np.uint64(mask)
        code |= v << np.uint64(axis)
    return code
