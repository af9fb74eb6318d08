"""The outer pass: the faces the walls need and no more; live, every k-th frame and frozen by the plan's word."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from renderer.canvas_mesh import canvas_meshes
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.passes.outer import OuterPass, outer_layout
from renderer.renderer import Renderer
from stage.projection import CUBE_FACES


def ring_of_walls(wallkit: ModuleType):  # type: ignore[no-untyped-def]
    """Walls on all sides and a ceiling: a closed room of one canvas."""
    cabinets = []
    sides = [((0, 4, 1.5), 0), ((4, 0, 1.5), -90), ((0, -4, 1.5), 180), ((-4, 0, 1.5), 90)]
    for k, (centre, yaw) in enumerate(sides):
        cabinets.append(
            wallkit.cabinet(k, wallkit.flat_corners(centre, 8, 3, yaw_deg=yaw), (0, 0, 64, 32), (k * 64, 0, 64, 32))
        )
    ceiling = np.array([[-4, 4, 3.0], [4, 4, 3.0], [-4, -4, 3.0], [4, -4, 3.0]])
    cabinets.append(wallkit.cabinet(4, ceiling, (0, 0, 64, 64), (0, 32, 64, 64)))
    return wallkit.stage_of(cabinets, size=(256, 96))


def test_only_faces_with_walls_are_drawn(wallkit: ModuleType) -> None:
    front = outer_layout(canvas_meshes(wallkit.flat_wall()), (0.0, 0.0, 1.2), face_px=256)
    assert [CUBE_FACES[face] for face in front.views] == ["+y"]
    room = outer_layout(canvas_meshes(ring_of_walls(wallkit)), (0.0, 0.0, 1.2), face_px=256)
    assert {CUBE_FACES[face] for face in room.views} == {"+x", "-x", "+y", "-y", "+z"}


def test_a_face_spans_its_items_and_little_more(wallkit: ModuleType) -> None:
    meshes = canvas_meshes(wallkit.flat_wall(4, 2, distance_m=4.0, bottom_m=0.7))
    layout = outer_layout(meshes, (0.0, 0.0, 1.2), face_px=512)
    (view,) = layout.views.values()
    left, right, bottom, _top = view.tangents
    assert (left, right) == (pytest.approx(-0.25, abs=0.02), pytest.approx(0.25, abs=0.15))
    assert bottom == pytest.approx(-0.125, abs=0.02)
    assert view.texels_per_tangent == pytest.approx((256.0, 256.0))
    assert left <= -0.25 - 1 / 256


def test_a_face_is_no_finer_than_the_leds_need(wallkit: ModuleType) -> None:
    meshes = canvas_meshes(wallkit.arc_wall(12, 4, px=16, radius_m=4.0))
    layout = outer_layout(meshes, (0.0, 0.0, 1.2), face_px=4096, texels_per_led=1.0)
    (view,) = layout.views.values()
    # Seen from the arc's middle every panel of 16 px spans 2 atan(0.25 / 4) = 7.15 degrees, so 1 px is 0.00781 of a
    # tangent at the face's middle and more towards its rim: 128 texels a tangent, or up to a quarter octave more.
    assert 128 <= view.texels_per_tangent[0] <= 128 * 2**0.25 + 1
    assert layout.texels_per_pixel[2] >= 1.0
    coarse = outer_layout(meshes, (0.0, 0.0, 1.2), face_px=64, texels_per_led=1.0)
    assert coarse.views[2].texels_per_tangent[0] == pytest.approx(32.0)


@pytest.mark.parametrize("eye", [(0.0, 0.0, 1.2), (1.5, -0.7, 2.0), (-2.0, 2.0, 0.4)])
def test_every_item_lies_inside_its_face(wallkit: ModuleType, eye: tuple[float, float, float]) -> None:
    meshes = canvas_meshes(ring_of_walls(wallkit))
    layout = outer_layout(meshes, eye, face_px=128)
    (part,) = meshes["c"].parts
    (face,) = layout.face["c"]
    for k in np.unique(face):
        view = layout.views[int(k)]
        x, y, z = np.moveaxis(view.coordinates(part.points_m[face == k]), -1, 0)
        low_x, low_y, high_x, high_y = view.sampled_edge
        assert np.all(z > 0)
        assert np.all((x >= low_x * z) & (x <= high_x * z) & (y >= low_y * z) & (y <= high_y * z))


def test_the_picture_is_seamless_across_faces(gl: Device, wallkit: ModuleType) -> None:
    renderer = Renderer(gl)
    stage = ring_of_walls(wallkit)
    renderer.load_stage(stage, render=RenderConfig(outer_px=256, outer_texels_per_led=16.0))
    plan = wallkit.plan(eye=(0.4, -0.3, 1.3))
    shown = renderer.draw(plan, world=wallkit.direction_world(gl.ctx), output="data")["c"].array[..., :3]
    own = wallkit.led_positions(stage)
    lit = np.isfinite(own[..., 0])
    away = own - np.array(plan.outer.eye_m)
    away /= np.linalg.norm(away, axis=-1, keepdims=True)
    # A texel of 256 over 90 degrees spans 0.008; linear interpolation of a unit direction sags by its square / 8.
    assert np.linalg.norm(shown - away, axis=-1)[lit].max() < 2e-5
    renderer.release()


def test_faces_are_drawn_when_the_plan_names_another_frame_and_only_then(gl: Device, wallkit: ModuleType) -> None:
    meshes = canvas_meshes(wallkit.flat_wall())
    world = wallkit.even_world(gl.ctx, 1.0)
    outer = OuterPass(gl, face_px=64, samples=1, near_m=0.1, far_m=100.0)
    drawn = [
        outer.draw(wallkit.plan(frame=frame, drawn=kept), meshes, world, kind="f2")
        for frame, kept in ((1, 1), (2, 2), (3, 2), (4, 2), (5, 5), (6, 5))
    ]
    assert drawn == [True, True, False, False, True, False]
    assert (world.draws, outer.generation) == (3, 3)
    # Another world, or full floats for measuring, is another picture.
    other = wallkit.even_world(gl.ctx, 2.0)
    assert outer.draw(wallkit.plan(frame=7, drawn=5), meshes, other, kind="f2")
    assert outer.draw(wallkit.plan(frame=7, drawn=5), meshes, other, kind="f4")
    outer.forget()
    assert outer.draw(wallkit.plan(frame=7, drawn=5), meshes, other, kind="f4")
    outer.release()


def test_a_frozen_picture_keeps_its_eye_and_follows_the_exposure(gl: Device, wallkit: ModuleType) -> None:
    renderer = Renderer(gl)
    renderer.load_stage(wallkit.flat_wall(), render=RenderConfig(outer_px=64))
    world = wallkit.ShaderWorld(gl.ctx, "vec4 world(vec3 d, vec3 e) { return vec4(e.x + 1.0, 0.0, 0.0, 1.0); }")

    def light(**more: object) -> float:
        return float(renderer.draw(wallkit.plan(**more), world=world, output="light")["c"].array[64, 128, 0])

    assert light(frame=1, eye=(0.5, 0.0, 1.2)) == 1.5
    assert light(frame=2, drawn=1, eye=(2.0, 0.0, 1.2)) == 1.5
    assert light(frame=3, drawn=1, eye=(2.0, 0.0, 1.2), exposure_ev=1.0) == 3.0
    assert light(frame=4, eye=(2.0, 0.0, 1.2), exposure_ev=1.0) == 3.0
    renderer.release()
