"""What the API tells of tracked props, lights and performers."""

from __future__ import annotations

from typing import Literal

from controller.api.views import View
from stage.plan import Vec3


class JointView(View, frozen=True):
    """One joint of a performer."""

    name: str
    parent: int
    """Index among the joints; -1: none."""
    position_m: Vec3


class SubjectView(View, frozen=True):
    """A subject beside the cameras, as it was planned last: at the photo, in the stage."""

    id: str
    rev: int
    kind: Literal["prop", "light", "performer"]
    source: str
    """The source whose stream carries it."""
    seen: bool
    """Whether a pose of it has come at all; before that it stands nowhere."""
    quality: str
    """ok, or why its pose is not trusted; empty while it was never seen."""
    age_ms: float | None
    """From its sample to the photo it is predicted for."""
    position_m: Vec3
    pan_deg: float
    tilt_deg: float
    roll_deg: float
    joints: list[JointView]
    """Of a performer."""
