"""The wall pass: every LED shows what it must, judged against numpy and analytic worlds, never against the pass."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from renderer.canvas_mesh import canvas_mesh, stage_origin
from renderer.colour.encode import canvas_colour
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.passes.wall import Surface, WallPass
from renderer.renderer import Renderer
from stage.compiled import CompiledStage, Encoding, MeshTile
from stage.frames import Array
from stage.plan import FramePlan
from stage.projection import overscan_tangents

FINE = RenderConfig(outer_px=512, dither=False)
PX_PER_RAD = 3840 / 24.0 * 24.0
"""A 3840-px sensor 24 mm wide behind a 24 mm lens, at its middle."""


@pytest.fixture(scope="module")
def renderer(gl: Device) -> Any:
    made = Renderer(gl)
    yield made
    made.release()


def data(renderer: Renderer, stage: CompiledStage, plan: FramePlan, world: Any, **more: Any) -> Array:
    renderer.load_stage(stage, render=FINE, **more)
    return renderer.draw(plan, world=world, output="data")["c"].array.astype(np.float64)


def coverage(renderer: Renderer, plan: FramePlan, world: Any) -> Array:
    return renderer.draw(plan, world=world, output="coverage")["c"].array.astype(np.float64)


def angle(a: Array, b: Array) -> Array:
    """Angle between vectors, [...], radians, exact for small ones."""
    a, b = a / np.linalg.norm(a, axis=-1, keepdims=True), b / np.linalg.norm(b, axis=-1, keepdims=True)
    return np.asarray(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)))


def test_each_led_of_a_flat_wall_shows_its_own_position(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    stage = wallkit.flat_wall(8, 4)
    world = wallkit.plane_world(gl.ctx, y_m=4.0)
    own = wallkit.led_positions(stage)
    for plan in (wallkit.plan(), wallkit.plan(wallkit.camera(pan=7.0, tilt=3.0, roll=4.0), eye=(0.7, -1.0, 1.1))):
        shown = data(renderer, stage, plan, world)[..., :3]
        error = np.linalg.norm(shown - own, axis=-1) / 3.0 * PX_PER_RAD
        assert error.mean() <= 0.02
        assert np.percentile(error, 99) <= 0.1
        assert error.max() <= 0.1


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_turned_and_mirrored_tiles_show_their_own_position(
    gl: Device, renderer: Renderer, wallkit: ModuleType, rotate: int, flip: bool
) -> None:
    wide, high = (96, 64) if rotate in (0, 180) else (64, 96)
    cabinets = [
        wallkit.cabinet(
            0,
            wallkit.flat_corners((-0.4, 4, 1), 0.6, 0.4),
            (0, 0, 96, 64),
            (8, 16, wide, high),
            rotate=rotate,
            flip=flip,
        ),
        wallkit.cabinet(
            1,
            wallkit.flat_corners((0.4, 4, 1), 0.6, 0.4),
            (96, 0, 96, 64),
            (120, 0, wide, high),
            rotate=(rotate + 90) % 360 if rotate % 180 else rotate,
            flip=not flip,
        ),
    ]
    if rotate % 180:
        cabinets = cabinets[:1]
    stage = wallkit.stage_of(cabinets, size=(240, 128))
    own = wallkit.led_positions(stage)
    shown = data(renderer, stage, wallkit.plan(wallkit.camera()), wallkit.plane_world(gl.ctx, y_m=4.0))
    lit = np.isfinite(own[..., 0])
    assert np.linalg.norm(shown[..., :3] - own, axis=-1)[lit].max() < 1e-5
    assert np.all(shown[~lit] == 0.0)


def test_a_scaled_canvas_shows_the_middle_of_each_block(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    stage = wallkit.flat_wall(4, 2)
    shown = data(renderer, stage, wallkit.plan(), wallkit.plane_world(gl.ctx, y_m=4.0), scale=4)
    assert shown.shape[:2] == (32, 64)
    assert np.linalg.norm(shown[..., :3] - wallkit.led_positions(stage, scale=4), axis=-1).max() < 1e-5


def test_inner_shows_the_direction_from_the_pupil_and_outer_from_the_eye(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = wallkit.arc_wall()
    camera = wallkit.camera(position=(0.4, -0.3, 1.3), pan=6.0, tilt=-2.0, roll=3.0, raster=(1024, 640))
    plan = wallkit.plan(camera, eye=(-0.5, 0.8, 1.0))
    shown = data(renderer, stage, plan, wallkit.direction_world(gl.ctx))[..., :3]
    inside = coverage(renderer, plan, wallkit.direction_world(gl.ctx))[..., 0] == 1.0
    own = wallkit.led_positions(stage)
    assert 0.2 < inside.mean() < 0.8
    from_pupil = angle(shown, own - np.array(camera.pupil_m))[inside] * PX_PER_RAD
    from_eye = angle(shown, own - np.array(plan.outer.eye_m))[~inside] * PX_PER_RAD
    # Unit directions are not linear over a texel: a texel's sag is part of this figure.
    assert from_pupil.mean() <= 0.02
    assert np.percentile(from_pupil, 99) <= 0.1
    assert from_eye.mean() <= 0.02
    # Mistaking one point for the other must be seen at once.
    assert np.median(angle(own - np.array(camera.pupil_m), own - np.array(plan.outer.eye_m)) * PX_PER_RAD) > 100


def test_turning_about_the_pupil_moves_no_shown_point(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    stage = wallkit.arc_wall()
    still = wallkit.LENS.__class__(
        **{**{f: getattr(wallkit.LENS, f) for f in wallkit.LENS.__struct_fields__}, "entrance_pupil_m": 0.0}
    )
    world = wallkit.plane_world(gl.ctx, y_m=3.0)
    shown, inside = [], []
    for pan in (0.0, 2.0):
        plan = wallkit.plan(wallkit.camera(pan=pan, lens=still, raster=(1024, 640)))
        shown.append(data(renderer, stage, plan, world)[..., :3])
        inside.append(coverage(renderer, plan, world)[..., 0] == 1.0)
    both = inside[0] & inside[1]
    assert both.mean() > 0.2
    moved = angle(shown[0] - (0, 0, 1.5), shown[1] - (0, 0, 1.5))[both] * PX_PER_RAD
    assert moved.max() <= 0.1


def test_no_seam_when_the_eye_is_at_the_pupil(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    stage = wallkit.arc_wall()
    camera = wallkit.camera(position=(0.3, 0.1, 1.4), pan=10.0, raster=(768, 480))
    plan = wallkit.plan(camera, eye=camera.pupil_m)
    world = wallkit.direction_world(gl.ctx)
    seen = wallkit.led_positions(stage) - np.array(camera.pupil_m)
    led = 0.5 / 32 / np.linalg.norm(seen, axis=-1)
    slip = angle(data(renderer, stage, plan, world)[..., :3], seen) / led
    assert slip.max() <= 0.1


def test_a_mesh_wall_shows_its_own_position_inside_its_rectangle_only(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    wall_px = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0], [100.0, 100.0]])
    positions = np.stack([wall_px[:, 0] / 50 - 1, np.full(4, 4.0), 2 - wall_px[:, 1] / 50], axis=1)
    normals = np.tile([0.0, -1.0, 0.0], (4, 1))
    tile = MeshTile(
        "m",
        "main",
        "c",
        (30, 40, 50, 40),
        (10, 20, 50, 40),
        0,
        False,
        positions,
        normals,
        wall_px,
        np.array([[0, 2, 1], [1, 2, 3]]),
    )
    stage = wallkit.stage_of([], meshes=(tile,), size=(100, 100))
    camera = wallkit.camera(raster=(1024, 640))
    world = wallkit.plane_world(gl.ctx, y_m=4.0)
    shown = data(renderer, stage, wallkit.plan(camera), world)
    lit = np.zeros((100, 100), dtype=bool)
    lit[20:60, 10:60] = True
    assert np.array_equal(shown[..., 3] != 0.0, lit)
    j, i = np.nonzero(lit)
    own = np.stack([(i + 0.5 + 20) / 50 - 1, np.full(len(i), 4.0), 2 - (j + 0.5 + 20) / 50], axis=1)
    assert np.linalg.norm(shown[lit][:, :3] - own, axis=1).max() < 1e-5
    assert coverage(renderer, wallkit.plan(camera), world)[..., 0][lit].mean() > 0.5
    # Seen from behind, the same mesh takes no inner.
    behind = wallkit.camera(position=(0.0, 8.0, 1.5), pan=180.0)
    assert coverage(renderer, wallkit.plan(behind), world).max() == 0.0


def test_an_inner_stays_on_its_walls_and_on_faces_turned_to_it(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    corners = wallkit.flat_corners
    cabinets = [
        wallkit.cabinet(0, corners((-0.6, 4, 1.5), 0.5, 0.5), (0, 0, 32, 32), (0, 0, 32, 32), wall="main"),
        wallkit.cabinet(1, corners((0, 4, 1.5), 0.5, 0.5), (0, 0, 32, 32), (32, 0, 32, 32), wall="side"),
        wallkit.cabinet(2, corners((0.6, 4, 1.5), 0.5, 0.5)[[1, 0, 3, 2]], (0, 0, 32, 32), (64, 0, 32, 32)),
        wallkit.cabinet(3, corners((0, -4, 1.5), 0.5, 0.5, yaw_deg=180), (0, 0, 32, 32), (96, 0, 32, 32)),
    ]
    renderer.load_stage(wallkit.stage_of(cabinets, size=(128, 32)), render=FINE)
    world = wallkit.even_world(gl.ctx, 1.0)
    for walls, expected in ((("main",), [1, 0, 0, 0]), (("main", "side"), [1, 1, 0, 0]), ((), [0, 0, 0, 0])):
        got = coverage(renderer, wallkit.plan(wallkit.camera(walls=walls)), world)[..., 0]
        assert [float(got[:, k * 32 : k * 32 + 32].mean()) for k in range(4)] == expected


def test_a_higher_rank_covers_a_lower_one_and_a_switched_off_camera_none(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    renderer.load_stage(wallkit.flat_wall(8, 4), render=FINE)
    # The world tells by its light which pupil it was drawn from.
    world = wallkit.ShaderWorld(gl.ctx, "vec4 world(vec3 d, vec3 e) { return vec4(e.x, 0.0, 0.0, 1.0); }")
    left, right = (wallkit.camera(n, position=(x, 0, 1.5), rank=r) for n, x, r in (("l", 1, 0), ("r", 2, 1)))

    def at_middle(*cameras: Any) -> float:
        plan = wallkit.plan(*cameras, eye=(4.0, 0.0, 1.5), frame=2)
        return float(renderer.draw(plan, world=world, output="light")["c"].array[128, 300, 0])

    both = coverage(renderer, wallkit.plan(left, right), world)[128, 300]
    assert both[0] == both[1] == 1.0
    assert at_middle(left, right) == pytest.approx(2.0, abs=1e-3)
    assert at_middle(right, left) == pytest.approx(2.0, abs=1e-3)
    higher = wallkit.camera("l", position=(1, 0, 1.5), rank=5)
    assert at_middle(higher, right) == pytest.approx(1.0, abs=1e-3)
    off = wallkit.camera("r", position=(2, 0, 1.5), rank=1, enabled=False)
    assert at_middle(left, off) == pytest.approx(1.0, abs=1e-3)
    assert at_middle() == pytest.approx(4.0, abs=1e-3)


def test_five_inners_lie_on_one_wall(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(8, 4), render=FINE)
    world = wallkit.ShaderWorld(gl.ctx, "vec4 world(vec3 d, vec3 e) { return vec4(e.x, 0.0, 0.0, 1.0); }")
    cameras = [
        wallkit.camera(f"c{k}", position=(k * 0.05, 1.0 + 0.5 * k, 1.5), rank=k, overscan=(0, 0, 0, 0))
        for k in range(5)
    ]
    light = renderer.draw(wallkit.plan(*cameras, eye=(9, 0, 1.5)), world=world, output="light")["c"].array[..., 0]
    seen = {round(float(x) / 0.05) for x in np.unique(np.round(light, 3))}
    assert {0, 1, 2, 3, 4} <= seen


def test_the_feather_is_measured_in_degrees_from_the_rasters_edge(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = wallkit.flat_wall(8, 4)
    renderer.load_stage(stage, render=FINE)
    camera = wallkit.camera(feather=3.0, overscan=(4.0, 4.0, 2.0, 2.0), raster=(2048, 1280))
    got = coverage(renderer, wallkit.plan(camera), wallkit.even_world(gl.ctx, 1.0))[..., 0]
    away = wallkit.led_positions(stage) - np.array(camera.pupil_m)
    left, right, bottom, top = overscan_tangents(camera.lens, camera.overscan_deg)
    pan, tilt = np.arctan(away[..., 0] / away[..., 1]), np.arctan(away[..., 2] / away[..., 1])
    inward = np.degrees(
        np.minimum.reduce(
            [pan - np.arctan(left), np.arctan(right) - pan, tilt - np.arctan(bottom), np.arctan(top) - tilt]
        )
    )
    t = np.clip(inward / 3.0, 0.0, 1.0)
    assert np.abs(got - t * t * (3 - 2 * t)).max() < 0.02
    assert np.all(got[inward >= 3.05] == 1.0)
    assert np.all(got[inward <= 0.0] == 0.0)


def test_at_rest_only_what_an_inner_reaches_is_drawn_and_the_picture_is_the_same(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = wallkit.arc_wall(16, 6)
    world = wallkit.direction_world(gl.ctx)
    renderer.load_stage(stage, render=RenderConfig(outer_px=128))
    narrow = {"raster": (128, 80), "overscan": (0, 0, 0, 0), "feather": 0.0}
    codes = []
    for frame, pan in ((1, 0.0), (2, 1.0), (3, 14.0)):
        plan = wallkit.plan(wallkit.camera(pan=pan, **narrow), frame=frame, drawn=1)
        codes.append(renderer.draw(plan, world=world)["c"].array.copy())
        drawn = sum(count for s in renderer._rigs[0].surfaces.values() for p in s.parts for _, _, _, count in p.groups)
        assert drawn == 96 * 6 if frame == 1 else drawn < 0.75 * 96 * 6
    renderer.load_stage(stage, render=RenderConfig(outer_px=128))
    fresh = renderer.draw(wallkit.plan(wallkit.camera(pan=14.0, **narrow), frame=3, drawn=3), world=world)["c"].array
    assert np.array_equal(codes[2], fresh)
    assert not np.array_equal(codes[0], codes[2])


def test_two_draws_of_one_plan_are_the_same_bytes(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    stage = wallkit.arc_wall()
    world = wallkit.direction_world(gl.ctx)
    plan = wallkit.plan(wallkit.camera(pan=5.0, feather=1.0), wallkit.camera("b", pan=-9.0, rank=1), seed=3)
    pictures = []
    for version in (0, 1):
        renderer.load_stage(stage, version=version)
        there = plan.__class__(**{f: getattr(plan, f) for f in plan.__struct_fields__} | {"config_version": version})
        pictures.append(renderer.draw(there, world=world)["c"].array.tobytes())
    renderer.drop_stage(1)
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("value_range", ["full", "legal"])
@pytest.mark.parametrize("bits", [8, 10])
def test_pixels_no_led_shows_are_black(
    gl: Device, renderer: Renderer, wallkit: ModuleType, bits: Any, value_range: Any
) -> None:
    encoding = Encoding("pq", 1000.0, bits, "p3d65", value_range)
    corners = wallkit.flat_corners((0, 4, 1.5), 0.5, 0.5)
    stage = wallkit.stage_of(
        [wallkit.cabinet(0, corners, (0, 0, 32, 32), (8, 8, 32, 32))], size=(48, 48), encoding=encoding
    )
    renderer.load_stage(stage)
    got = renderer.draw(wallkit.plan(), world=wallkit.even_world(gl.ctx, 0.5))["c"].array
    codes = got[..., 0].astype(int) if bits == 8 else (got & 1023).astype(int)
    black = 16 << (bits - 8) if value_range == "legal" else 0
    outside = np.ones((48, 48), dtype=bool)
    outside[8:40, 8:40] = False
    assert np.all(codes[outside] == black)
    assert np.all(codes[~outside] > black)


def test_a_loaded_stage_has_used_its_programs_and_is_black(gl: Device, wallkit: ModuleType) -> None:
    """Also with smaller copies, which drivers prepare when they first make some; nothing of the practice is left."""
    stage = wallkit.flat_wall(2, 1, px=8)
    walls = WallPass(gl)
    colour = canvas_colour(stage.canvases["c"].encoding, knee=1.0, content=1.0, dither=False)
    surface = Surface(gl, canvas_mesh(stage, "c", origin_m=stage_origin(stage)), colour)
    before = surface.framebuffer.read(components=4)
    steps = list(walls.prepare(surface, 2))
    assert len(steps) == 8 + 2 * 3 * 3
    assert surface.framebuffer.read(components=4) == before
    # A second canvas of the same encoding finds all of it used.
    assert len(list(walls.prepare(surface, 2))) == 6
    surface.release()
    walls.release()
