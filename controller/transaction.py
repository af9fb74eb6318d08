"""What the desk does one after the other: transactions, what they make hold, and the answers they wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from msgspec import Struct

from controller.access.roles import HAND, Hand
from controller.commands import Command
from controller.config import LoadedConfig
from controller.show import Show
from controller.store import Change, Kind
from stage.compiled import CompiledStage
from stage.errors import Problem


class Undone(Struct, frozen=True):
    """The change that an undo takes back, or a redo brings back: whose it was."""

    rev: int
    who: str
    t_tai_ns: int


class Outcome(Struct, frozen=True):
    """An accepted change. `frame` is the first that carries it; None when the conductor did not say in time (a
    restarted one begins with it)."""

    rev: int
    frame: int | None
    changes: dict[str, Change]
    kind: Kind = "set"
    who: str = ""
    t_committed_ns: int = 0
    """When the conductor was told, CLOCK_MONOTONIC: from then on the next latch carries it. 0: there was nothing to
    change."""
    undoes: Undone | None = None
    """Of an undo or redo: what it took back."""


@dataclass(slots=True)
class Task:
    """A transaction that waits. Live ones of one hand merge."""

    who: str
    done: asyncio.Future[Outcome]
    command: Command | None = None
    whole: Callable[[], Awaitable[Next]] | None = None
    hand: Hand = field(default_factory=HAND.get)


@dataclass(slots=True)
class Next:
    """What a transaction makes hold."""

    show: Show
    changes: dict[str, Change]
    kind: Kind
    loaded: LoadedConfig | None = None
    stage: CompiledStage | None = None
    first: Show | None = None
    undoes: Undone | None = None
    taken: frozenset[str] | None = None
    """Which of its addresses; None: all."""
    at_frame: int = 0
    """The frame it holds from; 0: the first that is not latched yet."""
    hand: Hand | None = None
    """Whose it is; None: the program's own."""


@dataclass(slots=True)
class Waiting:
    """Answers to one Prepare or Commit."""

    missing: set[str]
    problems: list[Problem] = field(default_factory=list)
    frame: int | None = None
    refused: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)


def future() -> asyncio.Future[Outcome]:
    """Where a transaction's outcome will be."""
    return asyncio.get_running_loop().create_future()


def finish(task: Task, outcome: Outcome) -> None:
    """Tell whoever asked what came of it."""
    if not task.done.done():
        task.done.set_result(outcome)


def fail(tasks: list[Task], error: Exception) -> None:
    """Tell all who asked why it did not."""
    for task in tasks:
        if not task.done.done():
            task.done.set_exception(error)
