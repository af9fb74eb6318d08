"""Grades measured in the twin's photo of a flat wall: the colours a look comes to, in nit, as the camera sees them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from renderer.colour.grade import graded
from renderer.twin.emulator import settled
from stage.frames import pose_from_pan_tilt_roll
from stage.grade import Grade
from stage.plan import PlanLens, PlanLook

LENS = PlanLens(focal_length_mm=24.0, sensor_width_mm=28.0, sensor_height_mm=15.75, entrance_pupil_m=0.12)
GREYED = (0.9, 1.1, 0.7)
"""Light of the whole world, AP1: nothing of it, graded or not, is brighter than the wall or out of its colours."""
GRADES = [
    Grade(exposure_ev=1.2, temperature_k=4200.0, tint=-8.0, saturation=0.7),
    Grade(
        contrast=1.3,
        cdl_slope=(1.2, 1.0, 0.8),
        cdl_offset=(0.05, 0.02, 0.1),
        cdl_power=(0.9, 1.1, 1.0),
        cdl_saturation=0.8,
        lift=(0.1, 0.05, 0.02),
        gamma=(1.2, 1.0, 0.9),
        gain=(1.2, 1.1, 1.3),
    ),
]


class Even:
    """A world of one light everywhere."""

    def prepare(self, plan: Any) -> None:
        pass

    def draw(self, plan: Any, *, view_from_stage: Any, clip_from_view: Any, target: Any) -> None:
        target.clear(*GREYED, 1.0)


def seen(place: Any, looks: list[PlanLook], *, inner: bool) -> Any:
    """Mean AP1 light, [3], of the middle of a photo whose inner picture is on the wall, or is not."""
    pose = pose_from_pan_tilt_roll((0.2, 0.1, 1.45))
    plan = place.room.plan(pose, LENS, eye_m=(0.3, -0.3, 1.4), enabled=inner)
    plan = msgspec.structs.replace(plan, looks=looks)
    canvases = {name: p.array.copy() for name, p in place.renderer.draw(plan, world=Even()).items()}
    shot = place.camera.expose([settled(place.room.stage, canvases)], plan, width_px=320, fine=1)
    light = shot.light[0]
    height, width = light.shape[:2]
    return light[height // 2 - 15 : height // 2 + 15, width // 2 - 15 : width // 2 + 15].mean(axis=(0, 1))


@pytest.mark.parametrize("grade", GRADES)
def test_the_camera_sees_the_graded_light(grade: Grade, places: Any) -> None:
    place = places("flat")
    expected = graded(GREYED, grade)
    for target, inner in (("outer", False), ("inner", True)):
        light = seen(place, [PlanLook("", 1, 1.0, [target], grade)], inner=inner)
        assert light * 100.0 == pytest.approx(expected * 100.0, rel=0.01), target
    # What is of the other layer is not graded.
    assert seen(place, [PlanLook("", 1, 1.0, ["inner"], grade)], inner=False) == pytest.approx(
        np.array(GREYED), rel=0.01
    )
