"""The cue list as it is sent; see `controller.api.views`."""

from __future__ import annotations

from typing import Any

from controller.api.views import View
from controller.cues import Cue


class WaitingCueView(View, frozen=True):
    """A cue that goes by itself."""

    cue: str
    frame: int
    """The first frame that shows it."""


class CueListView(View, frozen=True):
    """The cue list, and where it stands."""

    rev: int
    cues: list[Cue]
    current: str
    """The cue that went last; empty: none yet."""
    next: str
    """The cue that GO plays; empty: the list is at its end."""
    chase: bool
    """Whether cues go by time code."""
    waiting: list[WaitingCueView]
    problem: str
    """Why a cue that was to go by itself did not, the last time; empty: it never happened."""


class CueChangeView(View, frozen=True):
    """What one address holds now, and would hold after a cue."""

    before: Any
    after: Any


class CuePreviewView(View, frozen=True):
    """What a cue, and those that go with it, would change now."""

    cue: str
    changes: dict[str, CueChangeView]
    """By address; what would stay as it is is left out."""
