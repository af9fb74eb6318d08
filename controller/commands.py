"""The one Command type: a change of the show by address, whoever asks (HTTP, OSC, page, undo). Pure.

`controller.addresses` is the table of what can be changed. `apply` makes the next show of a show and a command, and
tells what every touched address held before: that is the undo. Nothing here happens to the running show;
`controller.desk` prepares and commits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from controller.address import Address, bad_value
from controller.addresses import convert, find
from controller.errors import BadValue, UnknownAddress
from controller.layer_addresses import is_whole, orphans
from controller.processor_values import settings_moved
from controller.show import Show
from controller.store import Change
from controller.surroundings import Surroundings
from controller.transitions import FadeCurve, taken_over
from stage.errors import Problem


class Command(Struct, frozen=True):
    """A change that is wanted: absolute values by address, and steps that are added to what stands there."""

    changes: dict[str, Any] = {}
    steps: dict[str, float] = {}
    who: str = ""
    """Who asks, for the log: `http 127.0.0.1`, `osc 127.0.0.1:9000`, `start`."""
    seconds: float = 0.0
    """How long what can move of it takes (`controller.moves`); 0: at one frame."""
    curve: FadeCurve = "linear"


def apply(show: Show, command: Command, around: Surroundings) -> tuple[Show, dict[str, Change]]:
    """The show after a command, and what each address held before and after. The same show when nothing changes.

    Raises
    ------
    UnknownAddress, BadValue : every fault of the command in one error of the first fault's class; nothing applies.
    """
    problems: list[Problem] = []
    kind: type[UnknownAddress | BadValue] | None = None
    before: dict[str, Any] = {}
    found: list[tuple[str, Address, str]] = []
    after = show
    for path, wanted, is_step in [
        *((path, value, False) for path, value in command.changes.items()),
        *((path, value, True) for path, value in command.steps.items()),
    ]:
        path = path.strip("/")
        try:
            address, name = find(path, around)
            if is_step:
                if not address.numeric:
                    raise bad_value(path, "steps can be added to numbers only", wanted, address.about)
                held = address.read(after, name)
                wanted = (address.base if held is None else held) + convert(address, path, wanted)
            value = convert(address, path, wanted)
            if path not in before:
                before[path] = address.read(show, name)
                found.append((path, address, name))
            after = taken_over(address.write(after, name, value, around), path)
        except (UnknownAddress, BadValue) as error:
            problems.extend(error.problems)
            kind = kind or type(error)
    if kind is not None:
        raise kind(*problems)
    changes: dict[str, Change] = {}
    for path, address, name in found:
        moved = {path: Change(before[path], address.read(after, name))}
        # Writing some addresses moves others: an undo must restore both.
        if path.endswith("/overscan_deg"):
            mode = path.removesuffix("overscan_deg") + "overscan_mode"
            moved[mode] = Change(show.cameras[name].overscan_mode, after.cameras[name].overscan_mode)
        elif path == "scenes/active":
            moved |= {"position": Change(show.position, after.position), **settings_moved(show, after)}
        # A switch or transition that was cut short ends where it would have all the same, and is a change.
        cut_short = (path == "scenes/active" and show.switches != after.switches) or taken_over(show, path) is not show
        if cut_short or any(change.before != change.after for change in moved.values()):
            changes.update(moved)
    return (after, changes) if changes else (show, {})


def undo_of(changes: Mapping[str, Change]) -> Command:
    """The command that puts back what the addresses held before; those last that writing others may move."""
    gone = orphans(changes, lambda path: changes[path].before)
    ordered = sorted(
        changes,
        key=lambda path: (path == "position" or path.endswith(("overscan_mode", "/settings")), not is_whole(path)),
    )
    return Command(changes={path: changes[path].before for path in ordered if path not in gone})
