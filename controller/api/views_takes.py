"""What the API tells of takes."""

from __future__ import annotations

from controller.api.views import View
from controller.takes.take import Mark


class TakeView(View, frozen=True):
    """One recorded performance."""

    id: int
    name: str
    """As people say it: `12A/3`."""
    slate: str
    number: int
    mark: Mark
    """circle: to be printed; ng: no good; hold: perhaps."""
    notes: str
    rolls: bool
    who: str
    t_begin_tai_ns: int
    t_end_tai_ns: int | None
    first_frame: int
    last_frame: int | None
    first_timecode: str
    last_timecode: str
    scene: str
    position: str
    at_rev: int
    """Revision of the show it began with."""
    recording: str
    """File of its tracking; empty: none was recorded, or it is gone."""


class TakesView(View, frozen=True):
    """The newest takes, newest first, and which one plays on the walls."""

    takes: list[TakeView]
    replaying: int | None
    loop: bool
