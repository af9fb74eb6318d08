"""GO, BACK and what goes by itself: the next show of a show and a cue. Pure; frames are counted by plans.

What goes by itself is due at an instant, as a switch of scenes is. Whoever sees plans (`controller.api.cues`) plays it
`CUE_LEAD_S` before, to hold from its very frame on.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from controller.addresses import find
from controller.commands import Command, apply, undo_of
from controller.cues import MOST_STEPS, Cue, CuesAt, CueStep, WaitingCue, after, find_cue, standby, together
from controller.errors import BadValue, NothingToGo
from controller.layer_addresses import is_whole
from controller.look_addresses import expanded
from controller.moves import frames_of, moves, with_moves
from controller.show import Show
from controller.store import Change
from controller.surroundings import Surroundings
from controller.switching import Moment, under_way
from controller.transitions import FADED_ABOUT, FadeCurve
from stage.errors import Problem

CUE_LEAD_S: Final = 0.15
_SWITCH_CURVES: Final[dict[FadeCurve, str]] = {"s_curve": "smooth", "cut_at_end": "linear"}
"""What a dissolve knows of the other curves."""

Moved = dict[str, Change]


def moment_of(around: Surroundings) -> Moment:
    """When "now" is. Raises BadValue before the first frame."""
    if around.moment is None:
        raise BadValue(Problem(BadValue.code, "cues", "no frame has been planned yet", None, "wait a second"))
    return around.moment


def check_cue(show: Show, cue: Cue, around: Surroundings) -> None:
    """Hold a cue to what the show has and what can move.

    Raises
    ------
    UnknownAddress, BadValue
    """
    for path in cue.changes:
        if path.split("/")[0] in ("cues", "take", "lock"):
            detail = "is no cue's to change"
            raise BadValue(Problem(BadValue.code, f"cues/{cue.id}/changes", detail, path, "leave it out"))
        find(path, around)
        if cue.seconds > 0.0 and path != "scenes/active" and not moves(path, around):
            mend = f"{FADED_ABOUT}; scenes dissolve. Put the others into a cue of 0 seconds that goes `with` this one"
            raise BadValue(
                Problem(BadValue.code, f"cues/{cue.id}/seconds", f"{path} cannot move over time", path, mend)
            )
    made = {
        path: value
        for other in show.cues
        for path, value in other.changes.items()
        if is_whole(path) and value is not None and find(path, around)[0].read(show, path.split("/")[1]) is None
    }
    if made:
        # What an earlier cue will have put there may be changed by this one.
        show, _ = apply(show, Command(made), around)
    apply(show, Command(expanded(cue.changes, show)), around)


def wanted(show: Show, name: str = "") -> Cue:
    """The cue of a number or id; without one, that which GO plays.

    Raises
    ------
    UnknownAddress; NothingToGo : the list is at its end.
    """
    if name:
        return find_cue(show.cues, name)
    cue = standby(show.cues, show.cues_at)
    if cue is None:
        detail = "the end of the cue list" if show.cues else "the cue list is empty"
        raise NothingToGo(Problem(NothingToGo.code, "cues/go", detail, None, "go to a number, or BACK"))
    return cue


def command_of(cue: Cue, show: Show, around: Surroundings, at_frame: int = 0) -> Command:
    """What a cue changes, as a command: a scene of a cue that takes time dissolves."""
    changes, moment = expanded(cue.changes, show), moment_of(around)
    scene = changes.get("scenes/active")
    if isinstance(scene, str):
        order: dict[str, Any] = {"scene": scene}
        frames = frames_of(cue.seconds, moment)
        if frames:
            curve = _SWITCH_CURVES.get(cue.curve, cue.curve)
            order |= {"kind": "dissolve", "frames": frames, "curve": curve}
            if at_frame > moment.frame and not under_way(show.switches, moment.t_present_ns, moment.rate):
                order["at_frame"] = at_frame
        changes["scenes/active"] = order
    return Command(changes)


def performed(show: Show, around: Surroundings, cues: list[Cue], at_frame: int = 0) -> tuple[Show, Moved]:
    """The show after cues that begin at a frame (0: the first that can be), and what their addresses held before.

    Raises
    ------
    UnknownAddress, BadValue : what a cue names is no longer there; nothing changes.
    """
    moment = moment_of(around)
    begin_ns = moment.present_ns(at_frame or moment.frame + 1)
    changes: Moved = {}
    for cue in cues:
        command = command_of(cue, show, around, at_frame)
        after_it, moved = apply(show, command, around)
        frames = frames_of(cue.seconds, moment)
        if frames:
            after_it = with_moves(
                show, after_it, command.changes, around, frames=frames, curve=cue.curve, begin_ns=begin_ns
            )
        show = after_it
        for path, change in moved.items():
            changes[path] = Change(changes[path].before if path in changes else change.before, change.after)
    return show, changes


def play(show: Show, around: Surroundings, cue: Cue, at_frame: int = 0, *, chased: bool = False) -> tuple[Show, Moved]:
    """The show after a cue's GO: it, those that go with it, and those that wait for their time.

    Raises
    ------
    As `performed`.
    """
    moment, at = moment_of(around), show.cues_at
    begin = at_frame or moment.frame + 1
    group = together(show.cues, cue)
    delayed = [
        WaitingCue(one.id, moment.present_ns(begin + frames_of(one.delay_s, moment)), alone=True)
        for one in group
        if one.delay_s > 0.0
    ]
    waiting = [*at.waiting, *delayed]
    last = group[-1]
    following = after(show.cues, last) if last.follow == "after" else None
    if following is not None:
        due = begin + max(1, frames_of(last.follow_s, moment))
        waiting.append(WaitingCue(following.id, moment.present_ns(due)))
    now, changes = performed(show, around, [one for one in group if one.delay_s == 0.0], at_frame)
    at = msgspec.structs.replace(at, waiting=waiting, chased=[*at.chased, cue.id] if chased else at.chased)
    return _stepped(show, now, changes, at, cue.id, last.id)


def play_waiting(show: Show, around: Surroundings, one: WaitingCue, at_frame: int) -> tuple[Show, Moved]:
    """The show after a cue that waited; the same one if it does not wait any more."""
    at = show.cues_at
    if one not in at.waiting:
        return show, {}
    without = msgspec.structs.replace(at, waiting=[other for other in at.waiting if other != one])
    cue = next((cue for cue in show.cues if cue.id == one.cue), None)
    ready = msgspec.structs.replace(show, cues_at=without)
    if cue is None:
        return ready, {"cues/at": Change(at, without)}
    if not one.alone:
        now, changes = play(ready, around, cue, at_frame)
        return now, {**changes, "cues/at": Change(at, now.cues_at)}
    now, changes = performed(ready, around, [cue], at_frame)
    now, changes = _stepped(ready, now, changes, without, cue.id, at.current)
    return now, {**changes, "cues/at": Change(at, now.cues_at)}


def dropped(show: Show, one: WaitingCue) -> tuple[Show, Moved]:
    """The show without a cue that waited and could not go."""
    at = show.cues_at
    left = msgspec.structs.replace(at, waiting=[other for other in at.waiting if other != one])
    return (show, {}) if left == at else (_at(show, left), {"cues/at": Change(at, left)})


def spent(show: Show, cue: str) -> tuple[Show, Moved]:
    """The show without a cue that time code could not let go: it is not tried again at every frame."""
    at = show.cues_at
    told = msgspec.structs.replace(at, chased=[*at.chased, cue])
    return _at(show, told), {"cues/at": Change(at, told)}


def with_cues(show: Show, cues: list[Cue]) -> tuple[Show, Moved]:
    """The show with another cue list."""
    if cues == show.cues:
        return show, {}
    return msgspec.structs.replace(show, cues=cues), {"cues/list": Change(show.cues, cues)}


def back(show: Show, around: Surroundings) -> tuple[Show, Moved]:
    """The show as it was before the last cue, as far as that changed it. What waits goes no more.

    Raises
    ------
    NothingToGo : no cue has gone.
    """
    at = show.cues_at
    if not at.steps:
        raise NothingToGo(Problem(NothingToGo.code, "cues/back", "no cue has gone yet", None, ""))
    step = at.steps[-1]
    now, changes = apply(show, undo_of({path: Change(value, None) for path, value in step.before.items()}), around)
    before = msgspec.structs.replace(at, current=step.current, waiting=[], steps=at.steps[:-1])
    return _at(now, before), {**changes, "cues/at": Change(at, before)}


def stopped(show: Show) -> tuple[Show, Moved]:
    """The show with nothing that waits: what moves goes on to its end."""
    at = show.cues_at
    after_it = msgspec.structs.replace(at, waiting=[])
    return (show, {}) if not at.waiting else (_at(show, after_it), {"cues/at": Change(at, after_it)})


def rearmed(show: Show, cues: Collection[str]) -> tuple[Show, Moved]:
    """The show with cues that time code may let go again: it has jumped back to well before them."""
    at = show.cues_at
    after_it = msgspec.structs.replace(at, chased=[cue for cue in at.chased if cue not in cues])
    return (show, {}) if after_it == at else (_at(show, after_it), {"cues/at": Change(at, after_it)})


def chasing(show: Show, on: bool) -> tuple[Show, Moved]:
    """The show with its list following time code, or not: every cue may go once again."""
    at = show.cues_at
    after_it = msgspec.structs.replace(at, chase=on, chased=[])
    return (show, {}) if after_it == at else (_at(show, after_it), {"cues/at": Change(at, after_it)})


def preview(show: Show, around: Surroundings, cue: Cue) -> Moved:
    """What a cue, and those that go with it, would change now: each address before and after."""
    return performed(show, around, together(show.cues, cue))[1]


def _stepped(before: Show, now: Show, changes: Moved, at: CuesAt, cue: str, current: str) -> tuple[Show, Moved]:
    held = {path: change.before for path, change in changes.items()}
    steps = [*at.steps, CueStep(cue, at.current, held)][-MOST_STEPS:]
    after_it = msgspec.structs.replace(at, current=current, steps=steps)
    return _at(now, after_it), {**changes, "cues/at": Change(before.cues_at, after_it)}


def _at(show: Show, at: CuesAt) -> Show:
    return msgspec.structs.replace(show, cues_at=at)
