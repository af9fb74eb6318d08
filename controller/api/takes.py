"""The service's hand on takes: follows the show lock, keeps what is written about takes, plays them again."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from controller.api.backend import RunBackend
from controller.api.views_takes import TakesView, TakeView
from controller.desk import Desk
from controller.errors import BadValue
from controller.recorder import recording_now
from controller.rundir import RunDir
from controller.status import Alarm
from controller.takes.book import TakeBook
from controller.takes.keeper import Circumstances, TakeKeeper, recordings_in
from controller.takes.replay import TakeReplay
from controller.takes.take import Take, TakeEdit
from controller.tracking_recorder import read_order, start_recording, stop_recording
from runtime.clock import Clock
from stage.errors import Problem
from stage.rate import Rate
from stage.timecode import TimecodeError, frame_of, timecode_at

log = logging.getLogger(__name__)
RECORDINGS: Final = "recordings"


class TakeHand:
    """All calls from one event loop; what is written goes through a thread, in order."""

    def __init__(
        self, run: RunDir, desk: Desk, backend: RunBackend, alarms: dict[str, Alarm], *, folder: Path, clock: Clock
    ) -> None:
        self._run, self._desk, self._backend, self._clock = run, desk, backend, clock
        recordings = recordings_in(
            folder / RECORDINGS,
            lambda file: start_recording(run, file),
            lambda: stop_recording(run),
            self._recorded,
        )
        self._keeper = TakeKeeper(TakeBook(folder), recordings, alarms, clock=clock)
        self.replay = TakeReplay(backend)
        self._turn = asyncio.Lock()
        self._following: set[asyncio.Task[None]] = set()

    def changed(self, frame: int | None = None, who: str = "") -> None:
        """The lock may have moved, with a change that `frame` carries first."""
        task = asyncio.create_task(self._follow(self._desk.show.take, self._now(frame, who)))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def settled(self) -> None:
        """Wait until all the lock said has been written."""
        await asyncio.gather(*self._following)

    async def edit(self, number: int, edit: TakeEdit) -> TakeView:
        """Change what is written about one. Raises UnknownAddress, StoreError."""
        await self.settled()
        async with self._turn:
            return _view(await asyncio.to_thread(self._keeper.edit, number, edit))

    async def get(self, number: int) -> TakeView:
        """One of them. Raises UnknownAddress, StoreError."""
        return _view(await asyncio.to_thread(self._keeper.get, number))

    @property
    def alarms(self) -> list[Alarm]:
        """Nobody may wonder why the trackers move nothing."""
        if self.replay.take is None:
            return []
        detail = f"take {self.replay.take} plays on the walls: live tracking is not heard"
        values = {"take": self.replay.take}
        mend = "stop it on the page Takes, or wait"
        return [Alarm("controller.replaying", "takes", detail, "info", mend, values=values)]

    async def older(self, before: int, limit: int) -> TakesView:
        """Those before a number. Raises StoreError."""
        found = await asyncio.to_thread(self._keeper.older, before, limit)
        return TakesView([_view(take) for take in found], self.replay.take, self.replay.loop)

    def view(self) -> TakesView:
        """The newest."""
        return TakesView([_view(take) for take in self._keeper.newest], self.replay.take, self.replay.loop)

    async def play(self, number: int, *, loop: bool) -> None:
        """Play one on the walls again. Raises UnknownAddress, BadValue, ReplayError."""
        take = await asyncio.to_thread(self._keeper.get, number)
        file = Path(take.recording)
        if take.t_end_tai_ns is None or not await asyncio.to_thread(file.is_file):
            detail = "it still rolls" if take.t_end_tai_ns is None else "its tracking was not recorded, or is gone"
            mend = "cut first" if take.t_end_tai_ns is None else "configure control.ledger: then takes are recorded"
            raise BadValue(Problem(BadValue.code, f"takes/{number}", detail, take.recording or None, mend))
        await self.replay.start(number, file, loop=loop)

    async def stop(self) -> None:
        """Let everything go; a take that rolls goes on."""
        await self.replay.stop()
        await self.settled()
        self._keeper.close()

    async def _follow(self, take: str, now: Circumstances) -> None:
        if take:
            await self.replay.stop()  # what rolls is tracked live
        async with self._turn:
            await asyncio.to_thread(self._keeper.follow, take, now)

    def _now(self, frame: int | None, who: str) -> Circumstances:
        show, plan = self._desk.show, self._backend.plan
        scene = max(show.scenes, key=lambda entry: entry.weight).id if show.scenes else ""
        at = frame if frame is not None else plan.frame if plan is not None else 0
        label = ""
        if plan is not None:
            label = plan.timecode
            try:
                rate = Rate(*plan.rate)
                label = timecode_at(rate, frame_of(rate, plan.timecode) + at - plan.frame)
            except TimecodeError:
                log.debug("no label to count from: %s", plan.timecode)
        return Circumstances(at, label, who, self._desk.rev, scene, show.position)

    def _recorded(self) -> str | None:
        order = read_order(self._run)
        if order is not None:
            return order.path
        return None if recording_now(self._run, self._clock.now_ns()) is None else ""


def _view(take: Take) -> TakeView:
    return TakeView(
        id=take.id, name=take.name, slate=take.slate, number=take.number, mark=take.mark, notes=take.notes,
        rolls=take.t_end_tai_ns is None, who=take.who, t_begin_tai_ns=take.t_begin_tai_ns,
        t_end_tai_ns=take.t_end_tai_ns, first_frame=take.first_frame, last_frame=take.last_frame,
        first_timecode=take.first_timecode, last_timecode=take.last_timecode, scene=take.scene,
        position=take.position, at_rev=take.rev, recording=take.recording,
    )  # fmt: skip
