"""The guided axis check as it is sent."""

from __future__ import annotations

from typing import Any, Literal

from controller.api.views import View

GuidedState = Literal["off", "waiting", "recording"]
GuidedStepName = Literal["still", "pan_right", "tilt_up", "roll_clockwise", "walk_forward", "walk_right", "raise"]


class GuidedStepView(View, frozen=True):
    """One move that the operator is asked for."""

    id: GuidedStepName
    label: str
    prompt: str
    """What to do, in words."""
    samples: int = 0
    """Poses that came during it; 0: not done yet."""
    turned_deg: float = 0.0
    """The farthest the camera turned from how it stood when the step began."""
    moved_m: float = 0.0


class GuidedFindingView(View, frozen=True):
    """One thing that the check says."""

    code: str
    weight: Literal["fault", "note"]
    """`fault` matters on the wall."""
    says: str
    seen: str = ""
    """The figures it was told by."""
    tracker: str = ""
    """What to change at the tracker."""


class GuidedResultView(View, frozen=True):
    """What the moves made so far tell together."""

    right: bool
    """As the source is configured, the moves come out as they were made."""
    certain: bool
    """Every step was done and understood."""
    findings: list[GuidedFindingView]
    change: dict[str, Any] = {}
    """Keys of the source that would make them right, proved on the same moves; null removes one. `apply` sets them."""


class GuidedView(View, frozen=True):
    """The guided check of one source."""

    source: str
    rev: int
    """Of the configuration it would change."""
    state: GuidedState
    step: GuidedStepName | None = None
    """The step that is recorded now."""
    next: GuidedStepName | None = None
    """The first one that has not been done."""
    steps: list[GuidedStepView] = []
    heard: int = 0
    """Poses of the source since the check began: stands still while nothing is received."""
    result: GuidedResultView | None = None
    """None until a step has been done."""
