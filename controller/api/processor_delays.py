"""Brings the delay that processors really have into the show, where the moment of the photo is reckoned with it.

A processor that is put into another mode delays otherwise from then on: the show is changed so, by itself, at a frame,
as any other change is (and kept, told and held by the show lock as one). Whoever takes that back has the last word
until the processor's mode changes again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

from controller.access.roles import HAND, HERE
from controller.commands import Command
from controller.processors.mode import NEAR_FRAMES
from controller.processors.status import ProcessorsStatus
from controller.show import Show
from runtime.clock import NS_PER_S
from stage.errors import OpenVolumeError

log = logging.getLogger(__name__)

STEADY_NS: Final = NS_PER_S
"""A mode that is being changed may be read half-way: only what was told for so long counts."""
AGAIN_NS: Final = NS_PER_S
"""After a refusal (a take rolls) it is tried again."""


class Desk(Protocol):
    """What of the desk this needs."""

    show: Show

    async def submit(self, command: Command) -> Any:
        """Change the show."""


class ProcessorDelays:
    """`follow` with every status; the rest happens by itself, on the running event loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen: dict[str, tuple[float | None, int]] = {}
        """What each tells, and since when."""
        self._done: dict[str, float | None] = {}
        """What was last brought into the show of each."""
        self._not_before_ns = 0
        self._task: asyncio.Task[None] | None = None

    def forget(self) -> None:
        """Another configuration or an older show holds: everything is to be compared anew."""
        self._done.clear()

    def follow(self, status: ProcessorsStatus | None, now_ns: int) -> None:
        """Begin to change the show where a processor's delay is not what the show takes it for."""
        if status is None or (self._task is not None and not self._task.done()) or now_ns < self._not_before_ns:
            return
        changes: dict[str, float | None] = {}
        for name, told in status.processors.items():
            if told.link != "ready" or told.delay is None:
                continue
            wanted = told.delay.real_frames if told.delay.differs else None
            seen = self._seen.get(name)
            if seen is None or not _same(seen[0], wanted):
                self._seen[name] = (wanted, now_ns)
            elif now_ns - seen[1] >= STEADY_NS and not (name in self._done and _same(self._done[name], wanted)):
                if _same(self._desk.show.processor_frames.get(name), wanted):
                    self._done[name] = wanted
                else:
                    changes[name] = wanted
        if changes:
            self._not_before_ns = now_ns + AGAIN_NS
            self._task = asyncio.create_task(self._change(changes), name="processor delays")

    async def stop(self) -> None:
        """Let go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _change(self, changes: dict[str, float | None]) -> None:
        HAND.set(HERE)
        command = Command({f"processors/{name}/latency_frames": f for name, f in changes.items()}, who="processors")
        try:
            await self._desk.submit(command)
        except OpenVolumeError as error:
            # The alarm of the processor stands meanwhile.
            log.info("the delay of processors is not taken up now: %s", error)
        else:
            self._done |= changes
            log.warning("processors delay otherwise now: %s", changes)


def _same(a: float | None, b: float | None) -> bool:
    return a is b or (a is not None and b is not None and abs(a - b) <= NEAR_FRAMES)
