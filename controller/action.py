"""BLACK, HOLD, SAFE PICTURE, WORK LIGHT: one word in the run directory that every node reads each frame.

`action.word` is 8 bytes: the monotonic ns of the order, shifted left by three, and the action's code in the low three
bits (0 none, 1 black, 2 hold, 3 safe, 4 work). It is mapped and written by one 8-byte store, so that a reader sees
the old order or the new one. No process has to live for it to work except the node that obeys: any key, OSC message,
HTTP call or local command (`openvolume action black`) only writes the word. The conductor copies it into the plans'
`actions`, for the ledger and for replay; the node goes by the word, which may be newer.

The standard library only.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, get_args

from controller.rundir import is_alive, runs
from stage.errors import Problem

ActionName = Literal["none", "black", "hold", "safe", "work"]
ACTIONS: Final[tuple[ActionName, ...]] = get_args(ActionName)
"""By code."""
_BITS: Final = 3
_MASK: Final = (1 << _BITS) - 1
_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class ActionOrder:
    """What is ordered, and since when (monotonic ns; 0 = nobody ever ordered anything)."""

    action: ActionName
    stamp_ns: int


NOTHING: Final = ActionOrder("none", 0)


def pack_action(order: ActionOrder) -> int:
    """The order as a word. Raises ValueError for an unknown action or a stamp that does not fit."""
    if order.action not in ACTIONS:
        raise ValueError(f"{order.action!r} is not one of {', '.join(ACTIONS)}")
    if not 0 <= order.stamp_ns < 1 << (64 - _BITS):
        raise ValueError(f"{order.stamp_ns} ns does not fit the word")
    return order.stamp_ns << _BITS | ACTIONS.index(order.action)


def unpack_action(word: int) -> ActionOrder:
    """The order of a word; an unknown code is no order, since a wall must not obey what nobody can mean."""
    code = word & _MASK
    return ActionOrder(ACTIONS[code], word >> _BITS) if code < len(ACTIONS) else NOTHING


class ActionWord:
    """The mapped word. Readers keep one open and call `read` every frame: one load, no system call.

    Opening makes the file if it is not there: whoever comes first.
    """

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size < _BYTES:
                os.ftruncate(fd, _BYTES)
            self._map = mmap.mmap(fd, _BYTES)
        finally:
            os.close(fd)
        self._words = memoryview(self._map).cast("Q")

    def read(self) -> ActionOrder:
        """The order that holds."""
        return unpack_action(self._words[0])

    def write(self, action: ActionName, stamp_ns: int) -> ActionOrder:
        """Order `action` from now on. Raises ValueError as `pack_action`."""
        order = ActionOrder(action, stamp_ns)
        self._words[0] = pack_action(order)
        return order

    def close(self) -> None:
        """Unmap it."""
        self._words.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_action(path: Path) -> ActionOrder:
    """The order in `path`, once; nothing is ordered while the file is absent."""
    try:
        data = path.read_bytes()[:_BYTES]
    except FileNotFoundError:
        return NOTHING
    return unpack_action(int.from_bytes(data, "little")) if len(data) == _BYTES else NOTHING


def write_action(path: Path, action: ActionName, *, stamp_ns: int | None = None) -> ActionOrder:
    """Order `action`, once; `stamp_ns` is now (CLOCK_MONOTONIC) unless told. Raises ValueError as `pack_action`."""
    with ActionWord(path) as word:
        return word.write(action, time.monotonic_ns() if stamp_ns is None else stamp_ns)


def action_command(action: str, *, run: str | None = None) -> int:
    """`openvolume action NAME [--run RUN]`: order an action on a show of this machine. Returns the exit code.

    Without `run` the one running show is meant; with none, or more than one, the order is refused and they are named.
    It needs neither the service nor the conductor.
    """
    found = [directory for directory in runs() if run in (None, directory.run) and is_alive(directory)]
    if action not in ACTIONS:
        problem = Problem("controller.action", "action", "not an action", action, f"use one of {', '.join(ACTIONS)}")
    elif not found:
        problem = Problem("controller.no_run", "run", "no show runs here", run, "start one: openvolume run CONFIG")
    elif len(found) > 1:
        names = ", ".join(directory.run for directory in found)
        problem = Problem(
            "controller.many_runs", "run", f"{len(found)} shows run here: {names}", None, "add --run NAME"
        )
    else:
        write_action(found[0].action_word, ACTIONS[ACTIONS.index(action)])
        sys.stdout.write(f"{action} ordered for run {found[0].run}\n")
        return 0
    sys.stderr.write(f"{problem}\n")
    return 2
