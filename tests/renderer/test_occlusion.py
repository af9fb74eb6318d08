"""Ambient occlusion against closed forms, and the same from every view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer.air_config import OcclusionConfig
from renderer.config import SunConfig
from renderer.gltf.model import Animation, Asset, Channel, Material, Mesh, Node, Primitive
from renderer.passes.occlusion import directions
from renderer.scene import Scene

SIZE = (64, 64)


def box(low: Any, high: Any) -> Primitive:
    """A solid box in the scene's axes, given to glTF's (x, z, -y)."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    positions: list[Any] = []
    normals: list[Any] = []
    indices: list[int] = []
    for axis in range(3):
        for side in (0, 1):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            corners = np.tile(low, (4, 1))
            corners[:, axis] = (low, high)[side][axis]
            corners[[1, 2], u] = high[u]
            corners[[2, 3], v] = high[v]
            normal = np.zeros(3)
            normal[axis] = 1.0 if side else -1.0
            first = len(positions) * 4
            order = [0, 1, 2, 0, 2, 3] if side else [0, 2, 1, 0, 3, 2]
            positions.append(corners)
            normals.append(np.tile(normal, (4, 1)))
            indices += [first + i for i in order]
    y_up = [np.concatenate(v)[:, [0, 2, 1]] * [1, 1, -1] for v in (positions, normals)]
    return Primitive(
        y_up[0].astype(np.float32), y_up[1].astype(np.float32), None, None, None, None, np.array(indices, np.uint32), 0
    )


def world(*boxes: tuple[Any, Any], moving: tuple[Any, Any] | None = None) -> Asset:
    """White matt boxes; `moving` is one that an animation carries."""
    meshes = [Mesh("still", tuple(box(*b) for b in boxes))]
    nodes = [Node("still", mesh=0)]
    animations: tuple[Animation, ...] = ()
    if moving is not None:
        meshes.append(Mesh("moving", (box(*moving),)))
        nodes.append(Node("moving", mesh=1))
        track = Channel(
            1, "translation", np.array([0.0, 1.0], np.float32), np.array([[0, 0, 0], [0, 0.1, 0]], np.float32), "linear"
        )
        animations = (Animation("a", (track,), 1.0),)
    return Asset(
        Path("w.glb"), tuple(nodes), tuple(range(len(nodes))), tuple(meshes), (Material(metallic=0.0, roughness=1.0),),
        (), (), animations, (),
    )  # fmt: skip


class Bench:
    def __init__(self, easel: Any) -> None:
        self.easel, self.device = easel, easel.device

    def scene(self, asset: Asset, **config: Any) -> Scene:
        made: Scene = self.easel.scene(asset, **{"ambient": (1.0, 1.0, 1.0)} | config)
        return made

    def at(self, scene: Scene, place: Any, eye: Any) -> float:
        """Light of the surface at `place`, seen from `eye`."""
        seen = self.easel.look(scene, eye, along=np.subtract(place, eye), tangent=0.02)
        return float(seen[28:36, 28:36, 1].mean())


@pytest.fixture
def bench(easel: Any) -> Bench:
    return Bench(easel(SIZE))


FLOOR = ((-10, -10, -1.0), (10, 10, 0.0))


def test_directions_are_even_over_the_upper_half() -> None:
    d = directions()
    assert np.allclose(np.linalg.norm(d, axis=1), 1.0)
    assert d.mean(axis=0) == pytest.approx([0.0, 0.0, 0.5], abs=0.02)
    assert (d[:, 2] > 0.0).all()


def test_an_open_floor_is_open(bench: Bench) -> None:
    plain, seen = (bench.scene(world(FLOOR), occlusion=o) for o in (None, OcclusionConfig(reach_m=10.0)))
    for place in ((0, 0, 0), (4, -3, 0), (-9, 9, 0)):
        assert bench.at(seen, place, (0, -2, 6)) == pytest.approx(bench.at(plain, place, (0, -2, 6)), rel=0.03)


def test_a_floor_before_a_long_wall_sees_what_the_wall_leaves(bench: Bench) -> None:
    wall = ((-10, 0.0, 0.0), (10, 1.0, 3.0))
    plain = bench.scene(world(FLOOR, wall))
    seen = bench.scene(world(FLOOR, wall), occlusion=OcclusionConfig(reach_m=10.0, cells=96, least=0.0))
    for away in (1.0, 2.0, 4.0, 8.0):
        place, eye = (0.0, -away, 0.0), (0.0, -6.0, 5.0)
        share = bench.at(seen, place, eye) / bench.at(plain, place, eye)
        assert share == pytest.approx(0.5 * (1 + away / np.hypot(away, 3.0)), abs=0.05)
    # Higher up the wall itself sees half of the sky, and the ground: nothing stands before it.
    assert bench.at(seen, (0, 0, 2.0), (0, -6, 2)) / bench.at(plain, (0, 0, 2.0), (0, -6, 2)) > 0.9


def test_a_closed_room_keeps_the_least_and_strength_takes_it_back(bench: Bench) -> None:
    room = (
        ((-3, -3, -1), (3, 3, 0)), ((-3, -3, 3), (3, 3, 4)), ((-4, -4, -1), (-3, 4, 4)), ((3, -4, -1), (4, 4, 4)),
        ((-4, 3, -1), (4, 4, 4)), ((-4, -4, -1), (4, -3, 4)),
    )  # fmt: skip
    plain = bench.scene(world(*room))
    eye, place = (0.0, -1.5, 1.5), (0.5, 0.5, 0.0)
    light = bench.at(plain, place, eye)
    for strength, want in ((1.0, 0.2), (0.5, 0.6), (0.0, 1.0)):
        scene = bench.scene(world(*room), occlusion=OcclusionConfig(least=0.2, strength=strength))
        assert bench.at(scene, place, eye) / light == pytest.approx(want, abs=0.03)


def test_sunlight_is_not_dimmed_and_what_moves_casts_none(bench: Bench) -> None:
    above = ((-2, -2, 2.0), (2, 2, 2.2))
    sun = SunConfig(elevation_deg=90.0, shadow=False)
    dark: dict[str, Any] = {"ambient": (0.0, 0.0, 0.0), "sun": sun}
    plain, seen = (bench.scene(world(FLOOR, above), occlusion=o, **dark) for o in (None, OcclusionConfig()))
    assert bench.at(seen, (0, 0, 0), (0, -4, 1)) == pytest.approx(bench.at(plain, (0, 0, 0), (0, -4, 1)))
    still = bench.scene(world(FLOOR, above), occlusion=OcclusionConfig(reach_m=10.0))
    carried = bench.scene(world(FLOOR, moving=above), occlusion=OcclusionConfig(reach_m=10.0))
    assert bench.at(still, (0, 0, 0), (0, -4, 1)) < 0.75 * bench.at(carried, (0, 0, 0), (0, -4, 1))


def test_every_view_sees_the_same(bench: Bench) -> None:
    wall = ((-10, 0.0, 0.0), (10, 1.0, 3.0))
    scene = bench.scene(world(FLOOR, wall), occlusion=OcclusionConfig(reach_m=10.0))
    seen = [bench.at(scene, (1.0, -1.5, 0.0), eye) for eye in ((0, -6, 5), (4, -3, 6), (-5, -5, 9))]
    # A matt surface looks a little different from aside whatever the light.
    plain = bench.scene(world(FLOOR, wall))
    bare = [bench.at(plain, (1.0, -1.5, 0.0), eye) for eye in ((0, -6, 5), (4, -3, 6), (-5, -5, 9))]
    assert np.ptp(np.divide(seen, bare)) < 0.01
