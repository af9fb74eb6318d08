"""A take: one recorded performance, from the frame the lock begins to roll to the frame it is cut. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

Mark = Literal["", "circle", "ng", "hold"]
MARKS: Final[tuple[Mark, ...]] = ("", "circle", "ng", "hold")
_NUMBERED: Final = re.compile(r"(.*?)[\s/_-]+(?:t(?:ake)?\s*)?(\d{1,4})", re.IGNORECASE)


class Take(Struct, frozen=True):
    """One take as it is kept."""

    id: int
    slate: str
    """What the slate says without the number: `12A`."""
    number: int
    t_begin_tai_ns: int
    first_frame: int
    first_timecode: str
    who: str
    """Whose hand rolled it."""
    rev: int
    """Revision of the show it began with."""
    scene: str
    position: str
    t_end_tai_ns: int | None = None
    """None: it rolls."""
    last_frame: int | None = None
    last_timecode: str = ""
    mark: Mark = ""
    """circle: to be printed; ng: no good; hold: perhaps."""
    notes: str = ""
    recording: str = ""
    """File of its tracking; empty: none was recorded."""

    @property
    def name(self) -> str:
        """As people say it: `12A/3`."""
        return f"{self.slate}/{self.number}"


class TakeEdit(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody changes of a take afterwards."""

    slate: Annotated[str, Meta(min_length=1, max_length=60)] | msgspec.UnsetType = msgspec.UNSET
    number: Annotated[int, Meta(ge=1, le=9999)] | msgspec.UnsetType = msgspec.UNSET
    mark: Mark | msgspec.UnsetType = msgspec.UNSET
    notes: Annotated[str, Meta(max_length=4000)] | msgspec.UnsetType = msgspec.UNSET


def named(words: str, taken: int) -> tuple[str, int]:
    """Slate and number of what a take was armed as: `12A/3`, `12A take 3`; without a number it is the next one.

    taken : how many the slate has already.
    """
    found = _NUMBERED.fullmatch(words.strip())
    if found is not None and found[1] and int(found[2]) > 0:
        return found[1], int(found[2])
    return words.strip(), taken + 1


def edited(take: Take, edit: TakeEdit) -> Take:
    """The take after an edit."""
    changes = {name: value for name, value in msgspec.structs.asdict(edit).items() if value is not msgspec.UNSET}
    return msgspec.structs.replace(take, **changes)
