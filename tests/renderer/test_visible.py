"""Culling, sorting and instancing: the draw list of a view, and that nothing of it changes the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderer.compile import Draws
from renderer.config import SceneConfig
from renderer.device import Device
from renderer.gltf.model import Animation, Asset, Channel, Material, Mesh, Node, Primitive
from renderer.passes.scene import ScenePass, release_target, target
from renderer.passes.visible import NOTHING, DrawList
from renderer.scene import Scene
from stage.frames import pose_from_pan_tilt_roll, stage_from_gl
from stage.projection import clip_from_view

SIZE = (96, 72)
CLIP = clip_from_view(-0.8, 0.8, -0.6, 0.6, near_m=0.05, far_m=500.0)


def draw_list(batches: list[int], shapes: list[int], blended: set[int]) -> Draws:
    count = len(batches)
    return Draws(
        np.array([[3 * (s + 1), 1, 100 * s, 0, i] for i, s in enumerate(shapes)], np.uint32).reshape(-1, 5),
        np.arange(count, dtype=np.intp),
        np.zeros((count, 3)),
        np.ones(count),
        np.ones(count, np.bool_),
        np.array([b in blended for b in batches], np.bool_),
        np.array(batches, np.intp),
        [None] * (max(batches, default=-1) + 1),  # type: ignore[list-item]
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.floats(0.1, 100.0), st.booleans()), max_size=40),
    st.sets(st.just(4)),
)
def test_every_seen_draw_is_drawn_once_batch_by_batch(entries: list[Any], blended: set[int]) -> None:
    entries.sort(key=lambda e: e[0])
    batches, shapes = [e[0] for e in entries], [e[1] for e in entries]
    # A blended batch holds one draw: its order is among all of them.
    alone = {b: 5 + i for i, b in enumerate(sorted(blended))}
    batches = [alone[b] + 10 * i if b in alone else b for i, b in enumerate(batches)]
    draws = draw_list(batches, shapes, {b for b in batches if b >= 5})
    which = np.flatnonzero([e[3] for e in entries]).astype(np.intp)
    far = np.array([e[2] for e in entries])[which]
    visible = DrawList(draws).seen(which, far, np.ones(which.size))
    # Every instance is the object of a draw of that very shape and batch.
    drawn: list[int] = []
    for run in visible.runs:
        for count, instances, first, _, base in visible.commands[run.first : run.first + run.count].tolist():
            objects = visible.objects[base : base + instances].tolist()
            assert {(batches[o], shapes[o]) for o in objects} == {(run.batch, first // 100)}
            assert count == 3 * (first // 100 + 1)
            drawn += objects
        assert run.draws == sum(visible.commands[run.first : run.first + run.count, 1])
    assert sorted(drawn) == which.tolist()
    assert len({run.batch for run in visible.runs}) == len(visible.runs)
    assert visible.runs or visible is NOTHING
    # Opaque first, near batches first; blended last, the far first.
    least: dict[int, float] = {}
    for number, distance in zip(which.tolist(), far.tolist(), strict=True):
        key = -distance if draws.blend[number] else distance + 1.0
        least[batches[number]] = min(least.get(batches[number], np.inf), key)
    order = [(run.batch >= 5, least[run.batch]) for run in visible.runs]
    assert order == sorted(order)


def forest(places: list[tuple[float, float, float]], *, own_meshes: bool) -> Asset:
    """Tents at places; each with vertices of its own, or all with the same."""
    corners = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 1, 0.2], [0, 0, 0.5]], np.float32)
    normals = np.tile(np.float32([0, 0, 1]), (4, 1))
    indices = np.array([0, 1, 2, 1, 0, 3], np.uint32)
    tent = Primitive(corners, normals, None, None, None, None, indices, 0)
    meshes = [Mesh(str(i), (replace(tent, positions=corners.copy()),)) for i in range(len(places) if own_meshes else 1)]
    nodes = [Node(str(i), mesh=i if own_meshes else 0, translation=place) for i, place in enumerate(places)]
    return Asset(
        Path("forest.glb"), tuple(nodes), tuple(range(len(nodes))), tuple(meshes),
        (Material(base_colour=(0.3, 0.6, 0.2, 1.0), metallic=0.0, double_sided=True),), (), (), (), (),
    )  # fmt: skip


@pytest.fixture
def scene_pass(gl: Device) -> Iterator[ScenePass]:
    made = ScenePass(gl, shadow_px=64)
    yield made
    made.release()


def draw(gl: Device, scene_pass: ScenePass, scene: Scene, pan_deg: float) -> Any:
    view = np.linalg.inv(stage_from_gl(pose_from_pan_tilt_roll((0.0, 0.0, 1.0), pan_deg=pan_deg)))
    framebuffer = target(gl, SIZE)
    scene_pass.draw(scene, view_from_stage=view, clip_from_view=CLIP, stage_from_scene=np.eye(4), target=framebuffer)
    picture = gl.read(framebuffer, dtype="f2").copy()
    release_target(framebuffer)
    return picture


def test_a_mesh_that_stands_in_many_places_is_one_command_and_the_same_picture(
    gl: Device, scene_pass: ScenePass
) -> None:
    random = np.random.default_rng(4)
    places = [(float(x), 0.0, float(z)) for x, z in random.uniform(-40.0, 40.0, (300, 2))]
    config = SceneConfig(ambient=(0.2, 0.2, 0.2), sun={"pan_deg": 30.0, "elevation_deg": 40.0, "shadow": False})  # type: ignore[arg-type]
    shared, separate = (Scene.from_assets(gl, config, [forest(places, own_meshes=own)]) for own in (False, True))
    for pan_deg in (0.0, 75.0, 200.0):
        pictures, statistics = [], []
        for scene in (shared, separate):
            pictures.append(draw(gl, scene_pass, scene, pan_deg))
            statistics.append(scene_pass.statistics)
        assert np.array_equal(*pictures)
        assert pictures[0].any()
        # Only what is in the view, in one call: once as one command, once as one each.
        assert statistics[0].draws == statistics[1].draws == statistics[1].commands
        assert 0 < statistics[0].draws < 200
        assert statistics[0].commands == statistics[0].calls == statistics[1].calls == 1
        assert statistics[0].triangles == 2 * statistics[0].draws
    for scene in (shared, separate):
        scene_pass.forget(scene)
        scene.release()


def test_programs_are_compiled_one_a_step_before_the_first_picture(gl: Device, scene_pass: ScenePass) -> None:
    """Also of what is not in view; and warming changes no picture."""
    plain = forest([(0.0, 0.0, -5.0), (0.0, 0.0, 40.0)], own_meshes=True)
    shiny, glass = (
        Material(base_colour=(0.9, 0.8, 0.1, alpha), metallic=metallic, unlit=unlit, alpha_mode=mode)  # type: ignore[arg-type]
        for alpha, metallic, unlit, mode in ((1.0, 1.0, False, "opaque"), (0.5, 0.0, True, "blend"))
    )
    nodes = (*plain.nodes, replace(plain.nodes[1], name="glass", mesh=2, translation=(3.0, 0.0, 30.0)))
    meshes = tuple(Mesh(str(i), (replace(plain.meshes[0].primitives[0], material=i),)) for i in range(3))
    asset = replace(plain, nodes=nodes, roots=(0, 1, 2), meshes=meshes, materials=(plain.materials[0], shiny, glass))
    config = SceneConfig(ambient=(0.2, 0.2, 0.2))
    warmed, cold = (Scene.from_assets(gl, config, [asset]) for _ in range(2))
    framebuffer = target(gl, (4, 4))
    steps = sum(1 for _ in scene_pass.warm(warmed, stage_from_scene=np.eye(4), target=framebuffer))
    release_target(framebuffer)
    assert steps == 3
    compiled = len(scene_pass._programs)
    assert compiled == 3
    pictures = [draw(gl, scene_pass, scene, pan_deg) for scene in (warmed, cold) for pan_deg in (0.0, 180.0)]
    assert len(scene_pass._programs) == compiled
    assert np.array_equal(pictures[0], pictures[2])
    assert np.array_equal(pictures[1], pictures[3])
    assert pictures[0].any()
    assert pictures[1].any()
    for scene in (warmed, cold):
        scene_pass.forget(scene)
        scene.release()


def test_animation_and_shadows_are_made_once_a_frame_for_all_its_views(gl: Device, scene_pass: ScenePass) -> None:
    """Three views of one time: one update, one set of shadow maps; the next time one more."""
    values = np.array([[0.0, 0.0, -5.0], [1.0, 0.0, -5.0]])
    channel = Channel(0, "translation", np.array([0.0, 2.0]), values, "linear")
    turning = Animation("turn", (channel,), 2.0)
    asset = replace(forest([(0.0, 0.0, -5.0), (3.0, 0.0, -6.0)], own_meshes=True), animations=(turning,))
    scene = Scene.from_assets(gl, SceneConfig(sun={"elevation_deg": 50.0}), [asset])  # type: ignore[arg-type]
    placed: list[float] = []
    place = scene.placement._place
    scene.placement._place = lambda objects, time_s: (placed.append(time_s), place(objects, time_s))[1]  # type: ignore[assignment, func-returns-value]
    maps = []
    for time_s in (0.5, 1.0):
        before = scene_pass.shadow_statistics(scene).maps
        framebuffer = target(gl, SIZE)
        for pan_deg in (0.0, 20.0, 40.0):
            view = np.linalg.inv(stage_from_gl(pose_from_pan_tilt_roll((0.0, 0.0, 1.0), pan_deg=pan_deg)))
            scene_pass.draw(
                scene, view_from_stage=view, clip_from_view=CLIP, stage_from_scene=np.eye(4), target=framebuffer,
                scene_time_s=time_s,
            )  # fmt: skip
            maps.append(scene_pass.shadow_statistics(scene).maps - before)
        release_target(framebuffer)
    assert placed == [0.5, 1.0]
    # The first view draws them all, the others none; what stands still is not drawn again at the next time.
    assert maps[0] == maps[1] == maps[2] > 0
    assert maps[3] == maps[4] == maps[5]
    assert 0 < maps[3] < maps[0]
    scene_pass.forget(scene)
    scene.release()
