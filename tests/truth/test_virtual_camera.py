"""The virtual camera alone: walls painted LED by LED in numpy, nothing of the renderer."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from renderer.twin.camera import VirtualCamera
from renderer.twin.emulator import CanvasFormError, decode_table
from renderer.twin.measures import fringe_period_px, leds_in_view, path
from renderer.twin.truth import Truth
from renderer.twin.view import PhotoView
from renderer.twin.walls import TwinWalls
from renderer.twin.worlds import Fringes
from stage.compiled import Cabinet, CompiledStage, Encoding
from stage.frames import pose_from_pan_tilt_roll

KINDS = ("flat", "arc", "ceiling", "mesh", "turned")
LOWEST = {"full": 0.0, "legal": 16.0 / 255.0}


def code_of(encoding: Encoding, light):
    """The nearest code for grey light, [n], searched in the table."""
    table = decode_table(encoding)
    first = int(np.ceil(LOWEST[encoding.range] * len(table)))
    table = table[first:]
    above = np.clip(np.searchsorted(table, light), 1, len(table) - 1)
    return first + np.where(light - table[above - 1] < table[above] - light, above - 1, above)


def painted(stage: CompiledStage, light_of, *, scale: int = 1):
    """Canvases on which every LED shows grey light by its own place and tile: light_of(position [n, 3], tile [n])."""
    walls = TwinWalls(stage)
    leds = walls.sample_leds(scale=scale, at_most=10**9)
    light = light_of(leds.position_m, leds.tile)
    out = {}
    for index, name in enumerate(walls.canvas_ids):
        canvas, on = stage.canvases[name], leds.canvas == index
        codes = code_of(canvas.encoding, light[on])
        shape = (canvas.height_px // scale, canvas.width_px // scale)
        if canvas.encoding.bits == 8:
            picture = np.zeros((*shape, 4), dtype=np.uint8)
            picture[leds.y[on], leds.x[on], :3] = codes[:, None]
        else:
            picture = np.zeros(shape, dtype=np.uint32)
            codes = codes.astype(np.uint32)
            picture[leds.y[on], leds.x[on]] = codes | codes << 10 | codes << 20
        out[name] = picture
    return out


@pytest.mark.parametrize("lens", ["pinhole", "barrel"])
@pytest.mark.parametrize("kind", KINDS)
def test_painted_fringes_are_seen_where_they_are(kind: str, lens: str, places, lenses, gl) -> None:
    """The floor of the path measure: what LEDs, codes and sampling alone do to it."""
    place = places(kind)
    rng = np.random.default_rng([7, KINDS.index(kind), lens == "barrel"])
    plan = place.room.plan(place.room.random_pose(rng), lenses[lens])
    view = PhotoView.of(plan.cameras[0], width_px=640)
    q = leds_in_view(place.camera, view, at_most=20_000).q
    cycles = 1.0 / (fringe_period_px(q) * view.tangent_per_px()[1])
    fringes = Fringes(gl, view, cycles_per_tangent=cycles)

    def light_of(position_m, tile):
        p = view.camera_of_stage(position_m)
        seen = p[:, 1] > 0.05
        return np.where(seen, fringes.light(p[:, [0, 2]] / np.where(seen, p[:, 1], 1.0)[:, None]), 0.0)

    photo = place.camera.expose([painted(place.room.stage, light_of)], plan, width_px=640)
    slip = path(photo, fringes, q)
    fringes.release()
    assert slip.count > 500
    assert slip.within(0.025, 0.075), slip


def test_the_truth_of_fringes_is_their_formula(places, lenses, gl) -> None:
    plan = places("flat").room.plan(pose_from_pan_tilt_roll((0.0, 0.0, 1.5), pan_deg=5.0), lenses["barrel"])
    view = PhotoView.of(plan.cameras[0], width_px=480)
    fringes = Fringes(gl, view, cycles_per_tangent=20.0)
    truth = Truth(gl)
    seen = truth.picture(fringes, plan, view)
    y, x = np.mgrid[0 : view.height_px, 0 : view.width_px] + 0.5
    known = fringes.light(view.tangents_of_px(np.stack([x, y], axis=-1)))
    # Twenty waves over 480 px: a pixel's box and the wide picture's filter take half a per cent of them.
    assert np.abs(seen - known[..., None]).max() < 0.03
    assert np.abs((seen - known[..., None]).mean()) < 1e-3
    truth.release()
    fringes.release()


@pytest.mark.parametrize("scale", [1, 4])
def test_each_panel_shines_at_its_own_place(scale: int, places, lenses) -> None:
    """Every cabinet of the turned room a light of its own, projected by its corners, at full and at a quarter size."""
    place = places("turned")
    stage = place.room.stage
    plan = place.room.plan(pose_from_pan_tilt_roll((0.2, -0.4, 1.6), pan_deg=-4.0, roll_deg=2.0), lenses["barrel"])
    view = PhotoView.of(plan.cameras[0], width_px=480)
    light = 0.3 + 0.05 * np.arange(len(stage.cabinets))
    photo = place.camera.photo(painted(stage, lambda _, tile: light[tile], scale=scale), plan, width_px=480, fine=2)
    found = 0
    for index, cabinet in enumerate(stage.cabinets):
        p = view.camera_of_stage(cabinet.corners_m.mean(axis=0))
        x, y = np.floor(view.px_of_tangents(p[[0, 2]] / p[1])).astype(int)
        if 0 <= x < view.width_px and 0 <= y < view.height_px:
            assert photo[y, x] == pytest.approx(np.full(3, light[index]), rel=0.02)
            found += 1
    assert found >= 20


def small_stage(room, corners: list) -> CompiledStage:
    """The flat room's canvas with some panels at places of their own."""
    stage = room.stage
    chosen: list[Cabinet] = [replace(c, corners_m=np.array(at)) for c, at in zip(stage.cabinets, corners, strict=False)]
    return replace(stage, cabinets=tuple(chosen))


def panel(x: float, y: float, z: float, size_m: float, *, back: bool = False) -> list:
    """A panel that looks towards -Y, or away from it: lower left, lower right, upper left, upper right."""
    left, right = (x + size_m, x) if back else (x, x + size_m)
    return [(left, y, z), (right, y, z), (left, y, z + size_m), (right, y, z + size_m)]


def test_walls_hide_each_other_backs_are_dark_and_beside_is_black(places, lenses, gl) -> None:
    room = places("flat").room
    near, far, turned = panel(-0.25, 2.0, 1.25, 0.5), panel(-1.0, 3.0, 0.5, 2.0), panel(0.1, 2.5, 1.3, 0.3, back=True)
    stage = small_stage(room, [far, near, turned])
    camera = VirtualCamera(gl, stage)
    plan = room.plan(pose_from_pan_tilt_roll((0.0, 0.0, 1.5)), lenses["pinhole"])
    view = PhotoView.of(plan.cameras[0], width_px=480)
    exposure = camera.expose([painted(stage, lambda _, tile: 1.0 + tile)], plan, width_px=480)
    photo = exposure.light[0][..., 1]

    def at(x: float, y: float, z: float) -> tuple[float, float]:
        p = view.camera_of_stage(np.array([x, y, z]))
        column, row = np.floor(view.px_of_tangents(p[[0, 2]] / p[1])).astype(int)
        return float(photo[row, column]), float(exposure.inner[row, column])

    assert at(0.0, 2.0, 1.5) == (pytest.approx(2.0, rel=0.02), 1.0)  # the near panel hides the far one
    assert at(-0.8, 3.0, 2.3) == (pytest.approx(1.0, rel=0.02), 1.0)
    assert at(0.36, 2.5, 1.45) == (0.0, 0.0)  # the turned panel shows its back, and hides what is behind it
    assert at(1.3, 3.0, 1.5) == (0.0, 0.0)  # beside every wall
    # The edge between them runs through pixels of both.
    row = view.height_px // 2
    steps = np.flatnonzero(np.abs(np.diff(photo[row])) > 0.2)
    assert len(steps) >= 2
    camera.release()


def test_walls_the_inner_does_not_show_on_do_not_count(places, lenses) -> None:
    place = places("flat")
    plan = place.room.plan(pose_from_pan_tilt_roll((0.0, 0.0, 1.5)), lenses["pinhole"])
    canvases = painted(place.room.stage, lambda position, _: np.ones(len(position)))
    camera = plan.cameras[0]
    for changes in ({"walls": []}, {"enabled": False}):
        other = msgspec.structs.replace(plan, cameras=[msgspec.structs.replace(camera, **changes)])
        photo = place.camera.expose([canvases], other, width_px=160, fine=1)
        assert photo.inner.max() == 0.0
        assert photo.light[0].max() == pytest.approx(1.0, rel=0.02)
    # Overscan too small for the lens leaves the corners out.
    tight = msgspec.structs.replace(
        plan, cameras=[msgspec.structs.replace(camera, overscan_deg=(0.0, 0.0, 0.0, 0.0), soft_edge_deg=2.0)]
    )
    photo = place.camera.expose([canvases], tight, width_px=160, fine=1)
    assert photo.inner[0, 0] == 0.0
    assert photo.inner[45, 80] == 1.0


def test_a_dark_processor_leaves_its_wall_black(places, lenses) -> None:
    place = places("turned")
    plan = place.room.plan(pose_from_pan_tilt_roll((0.0, 0.0, 1.5)), lenses["pinhole"])
    canvases = painted(place.room.stage, lambda position, _: np.ones(len(position)))
    both = place.camera.photo(canvases, plan, width_px=160)
    one = place.camera.photo({**canvases, "left": None}, plan, width_px=160)
    assert 0.3 < one.mean() / both.mean() < 0.7
    with pytest.raises(CanvasFormError):
        place.camera.photo({"left": canvases["right"]}, plan, width_px=160)
