"""The guided axis check in a running show: one source's datagrams, read from the conductor's ring while an operator
moves the camera as asked, and the change of the configuration that follows from them.

The show goes on meanwhile; nothing changes before somebody applies what was found, by prepare and commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from controller.api.problems import problem
from controller.api.views_guided import (
    GuidedFindingView,
    GuidedResultView,
    GuidedState,
    GuidedStepName,
    GuidedStepView,
    GuidedView,
)
from controller.config import osc_maps
from controller.config_patch import with_source
from controller.desk import Desk
from controller.errors import BadValue, StaleChange
from controller.ledger_feed import RingQueue
from controller.rundir import RunDir
from controller.tracking_recorder import KIND_DATAGRAMS
from controller.transaction import Outcome
from runtime.clock import NS_PER_S, Clock

if TYPE_CHECKING:  # numpy and the decoders: loaded with the first check
    from stage.frames import Array
    from tracking.config import Source
    from tracking.doctor.guided_source import Judged, Move, SourceReader

log = logging.getLogger(__name__)

STEP_NS: Final = 120 * NS_PER_S
"""A step that nobody ends is held after so long."""
IDLE_NS: Final = 900 * NS_PER_S
"""A check that nobody asks about any more ends."""
LOOK_NS: Final = NS_PER_S // 4


@dataclass(slots=True)
class _Check:
    """The check of one source."""

    name: str
    plain: Source
    """As configured when it began, without corrections."""
    reader: SourceReader
    moves: dict[GuidedStepName, Move] = field(default_factory=dict)
    step: GuidedStepName | None = None
    until_ns: int = 0
    asked_ns: int = 0
    heard: int = 0
    changes: int = 0
    """Counts what a judgement rests on."""
    judged: tuple[tuple[int, object, object], Judged] | None = None


class GuidedHand:
    """At most one check at a time. `poll` it often; all calls from the service's loop."""

    def __init__(self, run: RunDir, desk: Desk, *, clock: Clock) -> None:
        self._run, self._desk, self._clock = run, desk, clock
        self._queue: RingQueue | None = None
        self._look_due_ns = 0
        self._check: _Check | None = None

    @property
    def source(self) -> str:
        """Which source is checked now; empty: none."""
        return "" if self._check is None else self._check.name

    def start(self, name: str) -> None:
        """Begin a check; one that runs already is thrown away."""
        from tracking.doctor.guided_source import SourceReader, uncorrected

        source = self._configured(name)
        plain = uncorrected(self._desk.loaded.config.tracking.sources[name])
        self.stop()
        self._queue = RingQueue(self._run.datagrams, KIND_DATAGRAMS)
        # What came before is of no move.
        self._queue.take(look=True)
        self._check = _Check(name, plain, SourceReader(name, source), asked_ns=self._clock.now_ns())

    def stop(self) -> None:
        """End the check and forget it."""
        self._check = None
        if self._queue is not None:
            self._queue.close()
            self._queue = None

    def begin(self, name: str, step: GuidedStepName) -> None:
        """Record a step from now on, anew if it was done before; one that is recorded now is held.

        Raises
        ------
        StaleChange : no check of this source runs.
        """
        from tracking.doctor.guided_source import Move

        check = self._running(name)
        self.poll()
        check.step, check.moves[step] = step, Move()
        check.until_ns = self._clock.now_ns() + STEP_NS
        check.changes += 1

    def hold(self, name: str) -> None:
        """End the step that is recorded now. Raises StaleChange: no check of this source runs."""
        check = self._running(name)
        self.poll()
        self._hold(check)

    def poll(self) -> None:
        """Take in what was received. Nothing to do while no check runs."""
        check, queue = self._check, self._queue
        if check is None or queue is None:
            return
        from tracking.receivers import Arrival
        from tracking.tap import decode_batch

        now_ns = self._clock.now_ns()
        look = now_ns >= self._look_due_ns
        if look:
            self._look_due_ns = now_ns + LOOK_NS
            if now_ns - check.asked_ns > IDLE_NS or not self._is_current(check):
                self.stop()
                return
        move = None if check.step is None else check.moves[check.step]
        for slot in queue.take(look=look):
            try:
                batch = decode_batch(slot.data)
            except msgspec.MsgspecError:
                continue
            mine = {number for number, link in enumerate(batch.links) if check.name in link.sources}
            for datagram in batch.datagrams:
                if datagram.link not in mine:
                    continue
                arrival = Arrival(datagram.data, datagram.host, datagram.port, datagram.t_received_ns)
                for pose in check.reader.feed(arrival):
                    check.heard += 1
                    if move is not None:
                        move.add(pose)
        if check.step is not None and now_ns >= check.until_ns:
            self._hold(check)

    async def view(self, name: str) -> GuidedView:
        """How a source's check stands, and what it tells so far; `off` when none runs."""
        rev = self._desk.rev_of("config")
        check = self._check
        if check is None or check.name != name:
            return GuidedView(name, rev, "off", steps=_steps({}))
        check.asked_ns = self._clock.now_ns()
        self.poll()
        judged = None if check.step is not None or not any(m.poses for m in check.moves.values()) else (
            await self._judge(check)
        )  # fmt: skip
        state: GuidedState = "waiting" if check.step is None else "recording"
        steps = _steps(check.moves)
        following = next((step.id for step in steps if not step.samples), None)
        return GuidedView(
            name, rev, state, check.step, following, steps, check.heard, None if judged is None else _result(judged)
        )

    async def apply(self, name: str, *, who: str, rev: int | None = None) -> Outcome:
        """Set what was found in the configuration, by prepare and commit.

        rev : of the configuration, if the caller says which one the change is meant for.

        Raises
        ------
        StaleChange : no check of this source runs. BadValue : there is nothing that could be set.
        ChangeRefused, ... : as `Desk.replace_config`.
        """
        check = self._running(name)
        self._hold(check)
        judged = await self._judge(check) if check.moves else None
        if judged is None or not judged.change:
            path = f"sources/{name}/guided"
            if judged is not None and judged.right:
                raise problem(BadValue, path, "nothing is to be changed: the moves come out as they were made")
            mend = "do the steps, and look at what the check says of them"
            raise problem(BadValue, path, "nothing was found that could be set", mend=mend)
        running = self._desk.loaded
        loaded = await asyncio.to_thread(with_source, running, name, judged.change)
        rev = self._desk.rev_of("config") if rev is None else rev
        return await self._desk.replace_config(loaded, who=who, rev=rev)

    def _hold(self, check: _Check) -> None:
        if check.step is not None:
            check.step = None
            check.changes += 1

    def _running(self, name: str) -> _Check:
        check = self._check
        if check is None or check.name != name or not self._is_current(check):
            mend = f'POST sources/{name}/guided {{"action": "start"}}'
            raise problem(StaleChange, f"sources/{name}/guided", "no check of this source runs", mend=mend)
        check.asked_ns = self._clock.now_ns()
        return check

    def _is_current(self, check: _Check) -> bool:
        """Whether its source still says the same; corrections may have changed, and are judged anew."""
        from tracking.doctor.guided_source import uncorrected

        configured = self._desk.loaded.config.tracking.sources.get(check.name)
        return configured is not None and uncorrected(configured) == check.plain

    def _configured(self, name: str) -> Source:
        loaded = self._desk.loaded
        return loaded.config.tracking.with_osc_files(osc_maps(loaded)).sources[name]

    async def _judge(self, check: _Check) -> Judged:
        from tracking.doctor.guided_source import judge

        nudge = self._desk.show.nudges.get(check.name)
        rests_on = (check.changes, self._desk.rev_of("config"), nudge)
        if check.judged is not None and check.judged[0] == rests_on:
            return check.judged[1]
        source = self._configured(check.name)
        moves: dict[str, Move] = {str(step): move for step, move in check.moves.items()}
        before: Array | None = None if nudge is None else nudge.pose()
        # Some hundred ways to stand are tried on every step.
        call: Callable[[], Judged] = lambda: judge(check.name, source, moves, before)  # noqa: E731
        judged = await asyncio.to_thread(call)
        check.judged = (rests_on, judged)
        return judged


def _steps(moves: dict[GuidedStepName, Move]) -> list[GuidedStepView]:
    from tracking.doctor.guided import NAMES, PROMPTS

    out = []
    for name, prompt in PROMPTS.items():
        move = moves.get(name)
        told = GuidedStepView(name, NAMES[name], prompt)
        if move is not None:
            told = GuidedStepView(
                name, NAMES[name], prompt, move.count, round(move.turned_deg, 3), round(move.moved_m, 4)
            )
        out.append(told)
    return out


def _result(judged: Judged) -> GuidedResultView:
    return GuidedResultView(
        judged.right,
        judged.certain,
        [GuidedFindingView(f.code, f.weight, f.says, f.seen, f.tracker) for f in judged.findings],
        judged.change,
    )
