"""Which canvases must be of one frame: those that show the same camera's inner picture on air.

A camera sees a cut wall where they are not. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from stage.compiled import Cabinet, CompiledStage, MeshTile
from stage.plan import FramePlan


def canvases_by_wall(stage: CompiledStage) -> dict[str, frozenset[str]]:
    """The canvases that each wall's picture comes from."""
    found: dict[str, set[str]] = {}
    tiles: list[Cabinet | MeshTile] = [*stage.cabinets, *stage.meshes]
    for tile in tiles:
        found.setdefault(tile.wall, set()).add(tile.canvas)
    return {wall: frozenset(canvases) for wall, canvases in found.items()}


def with_inner_of(plan: FramePlan, by_wall: Mapping[str, frozenset[str]], canvases: Collection[str]) -> set[str]:
    """`canvases`, and all that share an inner picture on air with one of them, over however many cameras."""
    groups = [
        frozenset().union(*(by_wall.get(wall, frozenset()) for wall in camera.walls))
        for camera in plan.cameras
        if camera.enabled and camera.on_air
    ]
    found = set(canvases)
    grown = True
    while grown and found:
        grown = False
        for group in groups:
            if group & found and not group <= found:
                found |= group
                grown = True
    return found
