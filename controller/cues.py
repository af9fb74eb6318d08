"""The cue list: what a cue is, where the list stands, and which cue comes next. Pure data and order.

`controller.cue_play` plays cues; this is what the show keeps of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from controller.errors import BadValue, UnknownAddress
from controller.transitions import FadeCurve
from stage.errors import Problem
from stage.rate import Rate
from stage.timecode import TimecodeError, frame_of, frames_per_day

MOST_CUES: Final = 1000
MOST_STEPS: Final = 64
"""So many times GO can be taken back by BACK."""
WORDS: Final = frozenset({"go", "back", "stop", "chase", "order", "list", "at"})
"""No cue is called so: they mean something below `cues/`."""

CueId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
CueNumber = Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.]{0,11}$")]
Seconds = Annotated[float, Meta(ge=0.0, le=3600.0)]


class Cue(Struct, frozen=True, forbid_unknown_fields=True):
    """Some addresses of the show and what they come to; all else stays as it is."""

    id: CueId
    number: CueNumber
    """What operators call it; no two have the same."""
    label: Annotated[str, Meta(max_length=80)] = ""
    notes: Annotated[str, Meta(max_length=2000)] = ""
    changes: dict[str, Any] = {}
    """Values by address, as commands take them."""
    seconds: Seconds = 0.0
    """How long its values move; 0: at one frame."""
    curve: FadeCurve = "linear"
    delay_s: Seconds = 0.0
    """From GO until it begins."""
    follow: Literal["none", "after", "with"] = "none"
    """When the cue after it goes: by GO; so long after this one; together with this one."""
    follow_s: Seconds = 0.0
    """From this one's GO to the next one's, when `after`."""
    timecode: Annotated[str, Meta(max_length=16)] = ""
    """When the plan's time code gets there, it goes by itself while the list chases; empty: never."""


class WaitingCue(Struct, frozen=True):
    """A cue that goes by itself at an instant."""

    cue: str
    due_ns: int
    """When its first frame is presented, CLOCK_MONOTONIC."""
    alone: bool = False
    """It has gone already and was delayed: its delay is over, and those that follow it wait by themselves."""


class CueStep(Struct, frozen=True):
    """What BACK takes back."""

    cue: str
    current: str
    """The cue that had gone before."""
    before: dict[str, Any] = {}
    """What every address it changed held."""


class CuesAt(Struct, frozen=True, omit_defaults=True):
    """Where the list stands."""

    current: str = ""
    """The cue that went last; empty: none yet."""
    chase: bool = False
    chased: list[str] = []
    """Cues that time code has let go, and that it has not gone back before since: none goes twice."""
    waiting: list[WaitingCue] = []
    steps: list[CueStep] = []
    """Oldest first."""

    def stopped(self, now: CuesAt) -> CuesAt:
        """The same with nothing that waits, and what time code has let go by `now`: an undo lets nothing go again."""
        gone = [cue for cue in now.chased if cue not in self.chased] if self.chase else []
        return msgspec.structs.replace(self, waiting=[], chased=[*self.chased, *gone])


def find_cue(cues: Sequence[Cue], name: str) -> Cue:
    """The cue of an id or a number. Raises UnknownAddress."""
    for cue in cues:
        if name in (cue.id, cue.number):
            return cue
    known = ", ".join(cue.number for cue in cues[:40]) or "(none)"
    problem = Problem(UnknownAddress.code, f"cues/{name}", "no cue of this number or id", name, f"use one of {known}")
    raise UnknownAddress(problem)


def after(cues: Sequence[Cue], cue: Cue) -> Cue | None:
    """The cue that follows another in the list."""
    place = cues.index(cue) + 1
    return cues[place] if place < len(cues) else None


def standby(cues: Sequence[Cue], at: CuesAt) -> Cue | None:
    """The cue that GO plays; None at the end of the list. Those that follow by themselves are passed over."""
    names = [cue.id for cue in cues]
    if at.current not in names:
        return cues[0] if cues else None
    place = names.index(at.current)
    while place < len(cues) and cues[place].follow != "none":
        place += 1
    return cues[place + 1] if place + 1 < len(cues) else None


def frames_ahead(label: str, now: int, rate: Rate) -> int:
    """Frames from a frame of the day (`frame_of` its time code) to a label, the short way over midnight; negative: it
    is past.

    Raises
    ------
    TimecodeError : not a label of this rate.
    """
    day = frames_per_day(rate)
    return (frame_of(rate, label) - now + day // 2) % day - day // 2


def together(cues: Sequence[Cue], cue: Cue) -> list[Cue]:
    """A cue and those that go with it."""
    group = [cue]
    while group[-1].follow == "with" and (following := after(cues, group[-1])) is not None:
        group.append(following)
    return group


def cue_of(cue_id: str, body: dict[str, Any]) -> Cue:
    """A cue from plain data. Raises BadValue."""
    path = f"cues/{cue_id}"
    if cue_id in WORDS:
        raise _bad(path, "no cue is called so", cue_id, "take another id")
    if body.get("id", cue_id) != cue_id:
        raise _bad(f"{path}/id", "it is told in the path", body["id"], "leave it out")
    try:
        return msgspec.convert({**body, "id": cue_id}, Cue)
    except msgspec.ValidationError as error:
        mend = '{"number": "10", "changes": {"exposure_ev": -1.0}, "seconds": 2.0}'
        raise _bad(path, str(error), None, mend) from None


def put(cues: Sequence[Cue], cue: Cue, rate: Rate) -> list[Cue]:
    """The list with a cue in place of the one of its id, or at its end. Raises BadValue."""
    if any(other.number == cue.number and other.id != cue.id for other in cues):
        raise _bad(f"cues/{cue.id}/number", "another cue has this number", cue.number, "take another one")
    if cue.timecode:
        try:
            frame_of(rate, cue.timecode)
        except TimecodeError as error:
            raise _bad(f"cues/{cue.id}/timecode", error.problems[0].detail, cue.timecode, "01:02:03:04") from None
    if any(other.id == cue.id for other in cues):
        return [cue if other.id == cue.id else other for other in cues]
    if len(cues) >= MOST_CUES:
        raise _bad("cues", f"a list has at most {MOST_CUES}", cue.id, "delete some")
    return [*cues, cue]


def ordered(cues: Sequence[Cue], ids: object) -> list[Cue]:
    """The list in another order: every id once. Raises BadValue."""
    by_id = {cue.id: cue for cue in cues}
    if not isinstance(ids, list) or sorted(map(str, ids)) != sorted(by_id):
        raise _bad("cues/order", "needs the id of every cue, once", ids, f"order {', '.join(by_id) or '(none)'}")
    return [by_id[name] for name in ids]


def _bad(path: str, detail: str, value: object, mend: str) -> BadValue:
    return BadValue(Problem(BadValue.code, path, detail, value, mend))
