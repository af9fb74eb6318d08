"""A take on the walls again: its tracking is sent by a process of its own while the conductor hears nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from controller.errors import ControllerError
from controller.messages import HearOnly, Message
from stage.errors import Problem

START_S: Final = 20.0
"""A long recording is read first."""
RENEW_S: Final = 0.5
FOR_MS: Final = 2000
"""Should this service go away, everybody is heard again after so long."""


class ReplayError(ControllerError):
    """A take that cannot be played again."""

    code = "controller.take_replay"


class Said(Struct, frozen=True, omit_defaults=True):
    """The replaying process' first line."""

    senders: list[tuple[str, int]] = []
    problem: str = ""


class Links(Protocol):
    """The other processes, as this needs them."""

    def send(self, who: str, message: Message) -> bool:
        """A letter to `conductor`; False when nobody is there."""


class TakeReplay:
    """The service's hand on a replay; one at a time. All calls from one event loop."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.take: int | None = None
        """Which one plays; None: none."""
        self.loop = False

    async def start(self, take: int, file: Path, *, loop: bool = False) -> None:
        """Play a take; another one that plays ends. Raises ReplayError."""
        await self.stop()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "controller.processes.replayer", str(file), *(["--loop"] if loop else []),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        self._process = process
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_S)
            said = msgspec.json.decode(line, type=Said)
        except (TimeoutError, msgspec.MsgspecError) as error:
            await self.stop()
            raise _error(file, "it could not be read", "openvolume replay FILE says why") from error
        if said.problem or not self._links.send("conductor", HearOnly(said.senders, FOR_MS)):
            await self.stop()
            raise _error(file, said.problem or "no conductor runs", "")
        self.take, self.loop = take, loop
        self._watch = asyncio.create_task(self._follow(process, said.senders), name="take replay")

    async def stop(self) -> None:
        """End it; who really tracks is heard again."""
        watch, process = self._watch, self._process
        self._watch = self._process = self.take = None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        if watch is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            self._links.send("conductor", HearOnly([], 0))

    async def _follow(self, process: asyncio.subprocess.Process, senders: list[tuple[str, int]]) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), RENEW_S)
                break
            self._links.send("conductor", HearOnly(senders, FOR_MS))
        self._links.send("conductor", HearOnly([], 0))
        if self._process is process:
            self._process = self.take = None


def _error(file: Path, detail: str, mend: str) -> ReplayError:
    return ReplayError(Problem(ReplayError.code, "takes", detail, str(file), mend))
