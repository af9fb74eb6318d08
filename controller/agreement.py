"""How the processes of a show come to hold a new version: all that must know it prepare it, the conductor commits it.

The answers come as letters; the plans that the conductor publishes are the proof when a letter was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol

from controller.errors import ChangeRefused, ChangeTimedOut, ConductorAbsent
from controller.messages import Abort, Commit, Committed, Failed, Message, Prepare, Prepared
from controller.transaction import Waiting
from stage.errors import Problem

LIVE_TIMEOUT_S: Final = 2.0
WHOLE_TIMEOUT_S: Final = 60.0
"""A new configuration loads scenes and compiles shaders."""
COMMIT_TIMEOUT_S: Final = 2.0


class Links(Protocol):
    """The other processes, as the desk needs them."""

    def send(self, who: str, message: Message) -> bool:
        """A letter to `conductor`, `darkroom` or a node's id; False when nobody is there."""

    def living(self) -> list[str]:
        """Ids of the nodes that live now, and `darkroom` if that does."""


class Agreement:
    """What was asked of the other processes, and what they answered. All calls from one event loop."""

    def __init__(self, links: Links, reply_to: str) -> None:
        self._links, self._reply_to = links, reply_to
        self._waiting: dict[tuple[str, int], Waiting] = {}

    def ask(self, version: int, config_version: int, *, whole: bool, scenes_changed: bool) -> None:
        """Have every process that must know a version prepare it: its snapshot is written. `agreed` waits for them.

        whole : it has another configuration. Raises ConductorAbsent: then all forget it.
        """
        message = Prepare(version, config_version, self._reply_to, scenes_changed)
        needed = ["conductor", *(self._links.living() if whole or scenes_changed else [])]
        waiting = self._waiting[("prepare", version)] = Waiting(set(needed))
        for who in needed:
            if self._links.send(who, message):
                continue
            if who == "conductor":
                del self._waiting[("prepare", version)]
                self.forget(version)
                detail = "the conductor is not there, so the show cannot change"
                mend = "wait a second: the supervisor restarts it"
                raise ConductorAbsent(Problem(ConductorAbsent.code, "conductor", detail, mend=mend))
            # Dead in this moment: it begins with the version that holds when it is back.
            waiting.missing.discard(who)

    async def agreed(self, version: int, *, long: bool) -> None:
        """Until all that were asked have prepared a version; long : they load scenes or compile shaders for it.

        Raises ChangeTimedOut, ChangeRefused: then all forget it.
        """
        waiting = self._waiting[("prepare", version)]
        timeout_s = WHOLE_TIMEOUT_S if long else LIVE_TIMEOUT_S
        try:
            try:
                await asyncio.wait_for(waiting.done.wait(), timeout_s)
            except TimeoutError:
                detail = f"no answer from {', '.join(sorted(waiting.missing))} within {timeout_s:g} s"
                mend = "look at its state under /api/v1/nodes"
                raise ChangeTimedOut(Problem(ChangeTimedOut.code, "show", detail, mend=mend)) from None
            if waiting.problems:
                raise ChangeRefused(*waiting.problems)
        except (ChangeTimedOut, ChangeRefused):
            self.forget(version)
            raise
        finally:
            del self._waiting[("prepare", version)]

    def commit(self, version: int, at_frame: int) -> None:
        """Have the conductor make a prepared version hold; `committed` tells when it did."""
        self._waiting[("commit", version)] = Waiting({"conductor"})
        self._links.send("conductor", Commit(version, self._reply_to, at_frame))

    async def committed(self, version: int, config_version: int) -> int | None:
        """The frame a committed version holds from; None when the conductor did not say in time."""
        waiting = self._waiting[("commit", version)]
        frame: int | None = None
        for _ in range(2):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waiting.done.wait(), COMMIT_TIMEOUT_S)
            frame = waiting.frame
            if not waiting.refused:
                break
            # A conductor that was restarted in between never prepared it; it may have begun with it, too.
            waiting.refused = False
            waiting.done.clear()
            self._links.send("conductor", Prepare(version, config_version, self._reply_to))
            self._links.send("conductor", Commit(version, self._reply_to))
        self._waiting.pop(("commit", version), None)
        return frame

    def forget(self, version: int) -> None:
        """Tell all that a version will not come."""
        for who in ("conductor", *self._links.living()):
            self._links.send(who, Abort(version))

    def on_message(self, message: Message) -> bool:
        """Take a letter from another process; False when it is no answer."""
        match message:
            case Prepared(version=version, who=who):
                self._answered("prepare", version, who, [])
            case Failed(version=version, who=who, problems=problems):
                self._answered("prepare", version, who, problems)
                self._answered("commit", version, who, problems)
            case Committed(version=version, frame=frame):
                waiting = self._waiting.get(("commit", version))
                if waiting is not None:
                    waiting.frame = frame
                    waiting.done.set()
            case _:
                return False
        return True

    def seen(self, frame: int, version: int) -> None:
        """A plan was seen: the proof that a version holds, also when the conductor's word was lost with it."""
        for (stage, rev), waiting in self._waiting.items():
            if stage == "commit" and rev <= version and not waiting.done.is_set():
                waiting.frame = frame
                waiting.done.set()

    def _answered(self, stage: str, version: int, who: str, problems: list[Problem]) -> None:
        waiting = self._waiting.get((stage, version))
        if waiting is None:
            return
        waiting.missing.discard(who)
        waiting.problems.extend(problems)
        waiting.refused = bool(problems)
        if not waiting.missing or problems:
            waiting.done.set()
