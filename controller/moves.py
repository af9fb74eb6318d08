"""Commands that take time: what of a change moves, how, and the show with it on its way. Pure.

Numbers, colours and places move; angles that go all round take the shorter way, temperatures go as they look. What has
no way between (a choice, a text) changes at the first frame, and so does a lamp that goes on; one that goes off does
so after the last.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Final

import msgspec

from controller.addresses import find
from controller.commands import Command, apply
from controller.look_addresses import expanded
from controller.looks import ACTIVE
from controller.scene_addresses import state_of
from controller.show import Show
from controller.store import Change
from controller.surroundings import Surroundings
from controller.switching import Moment
from controller.transitions import FADED, FadeCurve, Transition, Way, numbers_at, with_transitions
from renderer.addresses import AIR, Address

_ROUND_DEG: Final = 360.0
LONGEST_S: Final = 3600.0


def frames_of(seconds: float, moment: Moment) -> int:
    """A time in whole frames, the nearest."""
    return math.floor(seconds * moment.rate.hz + 0.5)


def moves(path: str, around: Surroundings) -> bool:
    """Whether a change at an address may take time: all live values of scenes may, though some only change at its
    first frame. Raises UnknownAddress."""
    find(path, around)
    scene, _, below = path.removeprefix("scenes/").partition("/")
    live = path.startswith("scenes/") and scene in around.scene_values and below in around.scene_values[scene].known
    return path == ACTIVE or live or FADED.fullmatch(path) is not None


def applied(show: Show, command: Command, around: Surroundings) -> tuple[Show, dict[str, Change]]:
    """As `apply`, with looks expanded, and on its way there over the command's time.

    Raises
    ------
    UnknownAddress, BadValue : nothing applies.
    """
    command = msgspec.structs.replace(command, changes=expanded(command.changes, show))
    after, changes = apply(show, command, around)
    moment = around.moment
    frames = 0 if moment is None else frames_of(command.seconds, moment)
    if moment is None or not frames or not changes:
        return after, changes
    begin_ns = moment.present_ns(moment.frame + 1)
    paths = [path.strip("/") for path in (*command.changes, *command.steps)]
    return with_moves(show, after, paths, around, frames=frames, curve=command.curve, begin_ns=begin_ns), changes


def with_moves(
    shown: Show,
    show: Show,
    paths: Collection[str],
    around: Surroundings,
    *,
    frames: int,
    curve: FadeCurve,
    begin_ns: int,
) -> Show:
    """`show` with what can move of `paths` on its way there from where `shown` has it; `around` has a moment."""
    moment = around.moment
    assert moment is not None
    numbers = [path for path in paths if FADED.fullmatch(path)]
    show = with_transitions(shown, show, numbers, frames=frames, curve=curve, moment=moment, begin_ns=begin_ns)
    known = {path: entry for path in paths if (entry := _scene_value(path, around)) is not None}
    made = [
        transition
        for path, entry in known.items()
        if (transition := _scene_move(shown, show, path, entry, frames, curve, begin_ns, moment)) is not None
    ]
    kept = [transition for transition in show.transitions if transition.address not in known]
    return msgspec.structs.replace(show, transitions=[*kept, *made]) if known else show


def _scene_value(path: str, around: Surroundings) -> Address | None:
    """What is known of a live value of a scene that can move; None of all else."""
    parts = path.split("/", 2)
    if len(parts) != 3 or parts[0] != "scenes":
        return None
    values = around.scene_values.get(parts[1])
    entry = None if values is None else values.known.get(parts[2])
    slow = entry is None or entry.address.rpartition("/")[2] in AIR
    return entry if entry is not None and not slow and entry.kind in ("number", "colour", "vector", "switch") else None


def _scene_move(
    shown: Show, show: Show, path: str, entry: Address, frames: int, curve: FadeCurve, begin_ns: int, moment: Moment
) -> Transition | None:
    _, scene, below = path.split("/", 2)
    after = _numbers(state_of(show, scene).edits.get(below, entry.value))
    under_way = next((transition for transition in shown.transitions if transition.address == path), None)
    if under_way is not None:
        before = numbers_at(under_way, under_way.after, begin_ns, moment.rate)
    else:
        before = _numbers(state_of(shown, scene).edits.get(below, entry.value))
    if before == after or len(before) != len(after):
        return None
    way = _way_of(below, entry)
    if way == "late" and after != (0.0,):
        return None
    return Transition(path, before, begin_ns, frames, curve, after, way)


def _numbers(value: Any) -> tuple[float, ...]:
    if isinstance(value, list | tuple):
        return tuple(float(number) for number in value)
    return () if value is None or isinstance(value, str) else (float(value),)


def _way_of(below: str, entry: Address) -> Way:
    if entry.kind == "switch":
        return "late"
    if below.endswith("temperature_k"):
        return "kelvin"
    # A direction all round, not a height that has two ends.
    wide = entry.low is None or entry.high is None or entry.high - entry.low >= _ROUND_DEG
    return "turn" if entry.kind == "number" and entry.unit == "deg" and wide else "number"
