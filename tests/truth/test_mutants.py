"""Faults that must be found: each is put into what the renderer is given, never into the twin, and must break a bar."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from renderer.twin.emulator import Processors
from renderer.twin.measures import GEOMETRY_MEAN_PX, GEOMETRY_P99_PX, PATH_MEAN_PX, PATH_P99_PX
from stage.cameras import pupil_m
from stage.compiled import CompiledStage
from stage.frames import pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll
from stage.plan import FramePlan, matrix16, transform_of

WIDTH_PX = 640
POSE = {"pan_deg": 7.0, "tilt_deg": 2.0, "roll_deg": 3.0}


class HalfTexel:
    """A world drawn half a texel to the right of where it should be."""

    def __init__(self, world) -> None:
        self.world = world

    def prepare(self, plan) -> None:
        self.world.prepare(plan)

    def draw(self, plan, *, view_from_stage, clip_from_view, target) -> None:
        shift = np.eye(4)
        shift[0, 3] = 1.0 / target.size[0]  # clip space is two wide
        self.world.draw(plan, view_from_stage=view_from_stage, clip_from_view=shift @ clip_from_view, target=target)


def with_camera(plan: FramePlan, **changes) -> FramePlan:
    return msgspec.structs.replace(plan, cameras=[msgspec.structs.replace(plan.cameras[0], **changes)])


def moved_pose(plan: FramePlan, pose) -> FramePlan:
    """The plan with its camera at another pose, pupil and all."""
    pupil = pupil_m(pose, plan.cameras[0].lens)
    return with_camera(plan, stage_from_camera=matrix16(pose), pupil_m=tuple(float(v) for v in pupil))


def eye_ten_millimetres_off(plan: FramePlan) -> FramePlan:
    x, y, z = plan.cameras[0].pupil_m
    return with_camera(plan, pupil_m=(x + 0.01, y, z))


def pupil_at_the_sensor(plan: FramePlan) -> FramePlan:
    return with_camera(plan, pupil_m=tuple(float(v) for v in transform_of(plan.cameras[0].stage_from_camera)[:3, 3]))


def pan_the_other_way(plan: FramePlan) -> FramePlan:
    pose = transform_of(plan.cameras[0].stage_from_camera)
    pan, tilt, roll = pan_tilt_roll_from_rotation(pose)
    return moved_pose(plan, pose_from_pan_tilt_roll(pose[:3, 3], pan_deg=-pan, tilt_deg=tilt, roll_deg=roll))


def half_a_canvas_pixel(stage: CompiledStage) -> CompiledStage:
    def shifted(cabinet):
        corners = cabinet.corners_m
        return replace(cabinet, corners_m=corners + 0.5 * (corners[1] - corners[0]) / cabinet.wall_rect_px[2])

    return replace(stage, cabinets=tuple(shifted(cabinet) for cabinet in stage.cabinets))


def mirrored_arc(stage: CompiledStage) -> CompiledStage:
    """Columns mounted from right to left."""
    columns = next(iter(stage.walls.values())).columns
    at = {(c.wall_rect_px[0] // c.wall_rect_px[2], c.wall_rect_px[1]): c for c in stage.cabinets}
    return replace(
        stage,
        cabinets=tuple(replace(c, corners_m=at[columns - 1 - column, y].corners_m) for (column, y), c in at.items()),
    )


def _in_view(stage: CompiledStage) -> list[int]:
    """Cabinets in the middle of the wall."""
    middle = np.mean([c.corners_m.mean(axis=0) for c in stage.cabinets], axis=0)
    order = np.argsort([np.linalg.norm(c.corners_m.mean(axis=0) - middle) for c in stage.cabinets])
    return [int(i) for i in order[:2]]


def swapped_tiles(stage: CompiledStage) -> CompiledStage:
    a, b = _in_view(stage)
    cabinets = list(stage.cabinets)
    one, other = cabinets[a], cabinets[b]
    cabinets[a] = replace(one, canvas=other.canvas, rect_px=other.rect_px, rotate=other.rotate, flip=other.flip)
    cabinets[b] = replace(other, canvas=one.canvas, rect_px=one.rect_px, rotate=one.rotate, flip=one.flip)
    return replace(stage, cabinets=tuple(cabinets))


def turned_tile(stage: CompiledStage) -> CompiledStage:
    a, _ = _in_view(stage)
    cabinets = list(stage.cabinets)
    cabinets[a] = replace(cabinets[a], rotate=(cabinets[a].rotate + 180) % 360)
    return replace(stage, cabinets=tuple(cabinets))


def flipped_tile(stage: CompiledStage) -> CompiledStage:
    a, _ = _in_view(stage)
    cabinets = list(stage.cabinets)
    cabinets[a] = replace(cabinets[a], flip=not cabinets[a].flip)
    return replace(stage, cabinets=tuple(cabinets))


def plan_of(place, lens) -> FramePlan:
    y = -0.3 if place.room.kind == "arc" else 0.2
    return place.plan(pose_from_pan_tilt_roll((0.3, y, 1.4), **POSE), lens)


def broken(found) -> None:
    """Both measures must see the fault."""
    slip = found.geometry.slip
    assert slip.mean_px > GEOMETRY_MEAN_PX or slip.p99_px > GEOMETRY_P99_PX, slip
    assert found.path.mean_px > PATH_MEAN_PX or found.path.p99_px > PATH_P99_PX, found.path


@pytest.mark.parametrize("kind", ["flat", "arc", "turned"])
def test_without_a_fault_the_bars_hold(kind: str, places, lenses) -> None:
    place = places(kind)
    found = place.gather(plan_of(place, lenses["barrel"]), width_px=WIDTH_PX)
    assert found.geometry.good, found.report()
    assert found.path.within(PATH_MEAN_PX, PATH_P99_PX), found.report()


@pytest.mark.parametrize("fault", [eye_ten_millimetres_off, pupil_at_the_sensor, pan_the_other_way])
def test_a_wrong_eye_is_found(fault, places, lenses) -> None:
    place = places("flat")
    plan = plan_of(place, lenses["barrel"])
    broken(place.gather(plan, width_px=WIDTH_PX, drawn_plan=fault(plan)))


def test_half_a_texel_is_found(places, lenses) -> None:
    place = places("flat")
    broken(place.gather(plan_of(place, lenses["pinhole"]), width_px=WIDTH_PX, disguise=HalfTexel))


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("flat", half_a_canvas_pixel),
        ("turned", half_a_canvas_pixel),
        ("arc", mirrored_arc),
        ("flat", swapped_tiles),
        ("turned", swapped_tiles),
        ("flat", turned_tile),
        ("turned", turned_tile),
        ("arc", flipped_tile),
    ],
)
def test_a_wrong_wall_is_found(kind: str, fault, places, lenses) -> None:
    place = places(kind)
    broken(place.gather(plan_of(place, lenses["pinhole"]), width_px=WIDTH_PX, stage=fault(place.room.stage)))


@pytest.mark.parametrize("late", [False, True])
def test_one_frame_late_is_found(late: bool, places, lenses) -> None:
    """A dolly of 1 m/s at 24 frames a second: what was drawn for the frame before stands on the wall."""
    place = places("arc")
    now = plan_of(place, lenses["pinhole"])
    pose = transform_of(now.cameras[0].stage_from_camera).copy()
    pose[0, 3] -= 1.0 / 24.0
    before = moved_pose(now, pose)
    stage = place.room.stage
    if late:
        names = {name: replace(p, latency_frames=p.latency_frames + 1) for name, p in stage.processors.items()}
        stage = replace(stage, processors=names)
    processors = Processors(stage)
    delay_frames = Processors(place.room.stage).delay_frames
    # The same directions' fringes, drawn for where the camera was.
    previous = place.gather(now, width_px=WIDTH_PX, drawn_plan=before)
    assert not previous.geometry.good

    def through(canvases):
        processors.receive(0, previous.canvases, {})
        processors.receive(1, canvases, {})
        return processors.shown(1 + delay_frames)

    found = place.gather(now, width_px=WIDTH_PX, measured=False, through=through)
    assert found.path.within(PATH_MEAN_PX, PATH_P99_PX) is not late, found.path
