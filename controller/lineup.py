"""Line-up: the nudge that puts a tracked camera where a person knows it to stand. Pure."""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import Struct

from controller.show import Nudge
from stage.frames import (
    Array,
    inverse_pose,
    pan_tilt_roll_from_rotation,
    pose,
    pose_from_pan_tilt_roll,
    rotation_from_pan_tilt_roll,
)

What = Literal["all", "position", "heading"]


class Zero(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a camera stands when zero is set; what is left out is as configured."""

    what: What = "all"
    x_m: float | None = None
    y_m: float | None = None
    z_m: float | None = None
    pan_deg: float | None = None
    tilt_deg: float | None = None
    roll_deg: float | None = None

    def pose(self, home: Array) -> Array:
        """The pose meant, [4, 4], with `home`, [4, 4], for what is left out."""

        def or_else(value: float | None, otherwise: float) -> float:
            return otherwise if value is None else value

        x_m, y_m, z_m = home[:3, 3].tolist()
        pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(home)
        return pose_from_pan_tilt_roll(
            (or_else(self.x_m, x_m), or_else(self.y_m, y_m), or_else(self.z_m, z_m)),
            pan_deg=or_else(self.pan_deg, pan_deg),
            tilt_deg=or_else(self.tilt_deg, tilt_deg),
            roll_deg=or_else(self.roll_deg, roll_deg),
        )


def nudge_to(nudge: Nudge, stage_from_camera: Array, wanted: Array, *, what: What = "all") -> Nudge:
    """The nudge with which the camera stands at `wanted`, [4, 4], given that it stands at `stage_from_camera`,
    [4, 4], with `nudge`.

    The nudge is the outermost transform, so the tracker's numbers stay what they are. `position` moves only;
    `heading` turns about the vertical through the camera and moves nothing; `all` does everything, level included.
    """
    target = np.array(wanted, dtype=np.float64)
    if what == "position":
        target[:3, :3] = stage_from_camera[:3, :3]
    elif what == "heading":
        turn_deg = pan_tilt_roll_from_rotation(wanted)[0] - pan_tilt_roll_from_rotation(stage_from_camera)[0]
        target = pose(
            stage_from_camera[:3, 3], rotation_from_pan_tilt_roll(turn_deg, 0.0, 0.0) @ stage_from_camera[:3, :3]
        )
    moved = target @ inverse_pose(stage_from_camera) @ nudge.pose()
    x_m, y_m, z_m = moved[:3, 3].tolist()
    pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(moved)
    return Nudge(*(round(v, 9) + 0.0 for v in (x_m, y_m, z_m, pan_deg, tilt_deg, roll_deg)))
