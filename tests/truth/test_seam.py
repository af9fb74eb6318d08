"""Where inner and outer meet: no seam with the eye at the pupil, none for content on the wall, and just the parallax
that theory gives for everything else."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from renderer.twin.measures import GEOMETRY_MEAN_PX, GEOMETRY_P99_PX, Slip, leds_in_view, shown_points, wall_slips
from renderer.twin.view import PhotoView
from renderer.twin.worlds import Shapes
from stage.frames import pose, rotation_from_pan_tilt_roll
from stage.plan import matrix16, transform_of

KINDS = ("flat", "arc", "ceiling", "mesh", "turned")
SEAM_LEDS = 0.1
PARALLAX = 0.05
EYE_M = (0.4, -0.6, 1.1)


def data_of(place, plan, world, *, inner: bool):
    """What every canvas pixel shows, with the inner frustum or with the outer picture alone."""
    camera = msgspec.structs.replace(plan.cameras[0], enabled=inner)
    drawn = place.renderer.draw(msgspec.structs.replace(plan, cameras=[camera]), world=world, output="data")
    return {name: picture.array.copy() for name, picture in drawn.items()}


def both(place, plan, world):
    """The LEDs in view, what the inner shows on them, and what the outer does, where neither is at a depth edge."""
    view = PhotoView.of(plan.cameras[0], width_px=960)
    seen = leds_in_view(place.camera, view, at_most=30_000)
    inner, outer = (data_of(place, plan, world, inner=on) for on in (True, False))
    walls = place.camera.walls
    smooth = np.ones(len(seen.leds), dtype=bool)
    for data in (inner, outer):
        near = [
            np.linalg.norm(shown_points(walls, data, seen.leds, dx=dx, dy=dy)[:, :3] - view.pupil_m, axis=1)
            for dx in (-2, 0, 2)
            for dy in (-2, 0, 2)
        ]
        smooth &= np.max(near, axis=0) < 1.1 * np.min(near, axis=0)
    leds = seen.leds.where(smooth)
    assert len(leds) > 2000
    assert smooth.mean() > 0.6
    return view, leds, shown_points(walls, inner, leds), shown_points(walls, outer, leds)


def plan_of(place, lens, *, eye_at_pupil: bool = False):
    plan = place.plan(place.room.random_pose(np.random.default_rng(11)), lens)
    eye = plan.cameras[0].pupil_m if eye_at_pupil else EYE_M
    return msgspec.structs.replace(plan, outer=msgspec.structs.replace(plan.outer, eye_m=eye))


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_eye_at_the_pupil_there_is_no_seam(kind: str, places, lenses) -> None:
    place = places(kind)
    plan = plan_of(place, lenses["barrel"], eye_at_pupil=True)
    view, leds, inner, outer = both(place, plan, place.surroundings())
    slips = np.linalg.norm(wall_slips(leds, outer, view.pupil_m) - wall_slips(leds, inner, view.pupil_m), axis=1)
    assert np.percentile(slips, 99) <= SEAM_LEDS
    assert slips.mean() <= SEAM_LEDS / 5


@pytest.mark.parametrize("kind", ["flat", "arc", "ceiling", "turned"])
def test_content_on_the_wall_has_no_seam_wherever_the_eye_is(kind: str, places, lenses) -> None:
    place = places(kind)
    quads = [
        (c.corners_m[0], c.corners_m[1] - c.corners_m[0], c.corners_m[2] - c.corners_m[0])
        for c in place.room.stage.cabinets
    ]
    world = Shapes(place.device, quads=quads, positions=True)
    plan = plan_of(place, lenses["pinhole"])
    view, leds, inner, outer = both(place, plan, world)
    for shown in (inner, outer):
        slips = np.linalg.norm(wall_slips(leds, shown, view.pupil_m), axis=1)
        assert np.percentile(slips, 99) <= SEAM_LEDS
    # The seam is real elsewhere: the same eye and pupil slip on a world that is not the wall.
    view, leds, inner, outer = both(place, plan, place.surroundings())
    slips = np.linalg.norm(wall_slips(leds, outer, view.pupil_m) - wall_slips(leds, inner, view.pupil_m), axis=1)
    assert np.median(slips) > 10.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_dome_slips_by_the_angle_between_eye_and_pupil(kind: str, places, lenses) -> None:
    place = places(kind)
    dome = Shapes(place.device, spheres=[((0.0, 0.0, 0.0), 20_000.0)], positions=True)
    view, leds, inner, outer = both(place, plan_of(place, lenses["pinhole"]), dome)

    def angle(a, b):
        return np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), np.einsum("ij,ij->i", a, b))

    slips = angle(outer[:, :3] - view.pupil_m, inner[:, :3] - view.pupil_m)
    theory = angle(leds.position_m - np.array(EYE_M), leds.position_m - view.pupil_m)
    assert theory.min() > 0.02
    assert np.abs(slips / theory - 1.0).max() <= PARALLAX


@pytest.mark.parametrize("kind", ["flat", "arc", "mesh", "turned"])
def test_a_near_scene_slips_by_parallax(kind: str, places, lenses) -> None:
    """A wide card behind the wall: rays from the eye meet it where algebra says; the pupil sees that beside the LED."""
    place = places(kind)
    depth_m = 4.5
    card = Shapes(place.device, quads=[((-40.0, depth_m, -40.0), (80.0, 0.0, 0.0), (0.0, 0.0, 80.0))], positions=True)
    view, leds, inner, outer = both(place, plan_of(place, lenses["barrel"]), card)
    slips = wall_slips(leds, outer, view.pupil_m) - wall_slips(leds, inner, view.pupil_m)

    def onward(eye):
        ray = leds.position_m - eye
        return eye + ray * ((depth_m - eye[1]) / ray[:, 1])[:, None]

    meant = onward(np.array(EYE_M))
    theory = wall_slips(leds, np.c_[meant, np.ones(len(meant))], view.pupil_m)
    sizes = np.linalg.norm(theory, axis=1)
    assert np.median(sizes) > 10.0
    far = sizes > 2.0
    assert far.mean() > 0.9
    assert (np.linalg.norm(slips - theory, axis=1) / sizes)[far].max() <= PARALLAX


def moved(place, plan, rotation, *, about_pupil: bool) -> Slip:
    """How far the shown points move when the camera is turned, px of a 3840-wide sensor."""
    camera = plan.cameras[0]
    before = transform_of(camera.stage_from_camera)
    turned_to = before[:3, :3] @ rotation
    to_pupil = turned_to @ (0.0, camera.lens.entrance_pupil_m, 0.0)
    after = pose(np.array(camera.pupil_m) - to_pupil if about_pupil else before[:3, 3], turned_to)
    turned = msgspec.structs.replace(
        camera, stage_from_camera=matrix16(after), pupil_m=tuple(float(v) for v in after[:3, 3] + to_pupil)
    )
    world = place.surroundings()
    view, leds, first, _ = both(place, plan, world)
    plan = msgspec.structs.replace(plan, cameras=[turned])
    kept = place.camera.visible(leds, PhotoView.of(turned, width_px=960))
    assert kept.mean() > 0.8
    second = shown_points(place.camera.walls, data_of(place, plan, world, inner=True), leds)

    def px(points):
        p = view.camera_of_stage(points[kept, :3])
        return view.px_of_tangents(p[:, [0, 2]] / p[:, 1:2])

    return Slip.of((px(second) - px(first)) * view.report_px_per_px)


@pytest.mark.parametrize("turn", [(2.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 2.0)], ids=["pan", "tilt", "roll"])
def test_turning_about_the_pupil_moves_nothing(turn, places, lenses) -> None:
    """What a wall point must show depends on the pupil alone: turning only moves the frustum's edge."""
    place = places("arc")
    slip = moved(place, plan_of(place, lenses["pinhole"]), rotation_from_pan_tilt_roll(*turn), about_pupil=True)
    assert slip.count > 2000
    assert slip.within(GEOMETRY_MEAN_PX, GEOMETRY_P99_PX), slip


def test_turning_about_the_sensor_moves_the_picture(places, lenses) -> None:
    place = places("arc")
    turn = rotation_from_pan_tilt_roll(2.0, 0.0, 0.0)
    slip = moved(place, plan_of(place, lenses["pinhole"]), turn, about_pupil=False)
    assert slip.mean_px > 50 * GEOMETRY_MEAN_PX, slip
