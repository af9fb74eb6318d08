"""Feeds a ledger from the rings of a run: plans, every node's reports, the metronome's notes. It holds up nobody."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from controller.ledger import Ledger
from controller.ledger_record import SCREENS, HostNote
from controller.metronome import KIND_NOTES
from controller.rundir import RunDir
from controller.st2110.status import KIND_SENT, SentNote, decode_sent
from runtime.errors import HouseError
from runtime.ring import KIND_PLANS, KIND_REPORTS, RingReader, RingShape, Slot
from stage.plan import FramePlan, decode_plan, decode_report

log = logging.getLogger(__name__)


_NOTES: Final = msgspec.json.Decoder(HostNote)


def decode_note(data: bytes | memoryview) -> HostNote:
    """The metronome's note. Raises msgspec.MsgspecError when the bytes are not one."""
    return _NOTES.decode(data)


class RingQueue:
    """Every message of one ring once, oldest first, whenever its writer comes or comes again.

    Attributes
    ----------
    n : number of the last message taken; set it before the first `take` to begin there
    missed : messages that were overwritten before they were taken
    """

    def __init__(self, path: Path, kind: int) -> None:
        self.n = 0
        self.missed = 0
        self._path, self._kind = path, kind
        self._reader: RingReader | None = None

    def take(self, *, look: bool = False) -> list[Slot]:
        """What is new. `look` now and then: whether the ring is there, or is another file by now."""
        if self._reader is None:
            if look:
                self._reader = open_ring(self._path, self._kind)
        elif look:
            self._reader.refresh()
        if self._reader is None or self._reader.latest_n == self.n:
            return []
        batch = self._reader.read_since(self.n)
        # What was written before anybody took anything was not missed.
        self.missed += batch.missed if self.n else 0
        self.n = batch.latest_n
        return batch.slots

    @property
    def shape(self) -> RingShape | None:
        """Of the ring that was read; None before there is one."""
        return None if self._reader is None else self._reader.shape

    def close(self) -> None:
        """Let go of the ring."""
        if self._reader is not None:
            self._reader.close()


class LedgerFeed:
    """Takes what is new in the rings of a run into a ledger.

    Attributes
    ----------
    plan : the newest plan read; None before the first
    on_plan, on_note, on_sent : called with each
    """

    def __init__(self, run: RunDir, ledger: Ledger) -> None:
        self.ledger = ledger
        self.plan: FramePlan | None = None
        self.on_plan: Callable[[FramePlan], object] = lambda _: None
        self.on_note: Callable[[HostNote], object] = lambda _: None
        self.on_sent: Callable[[SentNote], object] = lambda _: None
        self._run = run
        self._plans = RingQueue(run.plans, KIND_PLANS)
        self._notes = RingQueue(run.metronome, KIND_NOTES)
        self._sent = RingQueue(run.sent, KIND_SENT)
        self._reports: dict[str, RingQueue] = {}
        self._began = False

    @property
    def missed(self) -> int:
        """Plans and reports that were overwritten unread."""
        return self._plans.missed + sum(queue.missed for queue in self._reports.values())

    def begin_reports_at(self, numbers: dict[str, int]) -> None:
        """Leave out the reports up to these numbers, by node: somebody has counted them."""
        for node, n in numbers.items():
            self._queue(node).n = n

    def poll(self, *, look: bool) -> None:
        """Take in what is new; `look` now and then for rings that came or were replaced."""
        look = look or not self._began
        self._began = True
        if look:
            for node in (*self._run.nodes(), SCREENS):
                self._queue(node)
        for slot in self._plans.take(look=look):
            try:
                plan = decode_plan(slot.data)
            except msgspec.MsgspecError:
                log.warning("plan %d of the ring cannot be read", slot.n)
                continue
            # The slot's stamp is when it was published.
            self.ledger.add_plan(plan, t_published_ns=slot.t_ns, plan_hash=slot.plan_hash)
            self.plan = plan
            self.on_plan(plan)
        # Before the reports: what they are to be judged by.
        for slot in self._notes.take(look=look):
            with contextlib.suppress(msgspec.MsgspecError):
                note = decode_note(slot.data)
                self.ledger.add_host(note)
                self.on_note(note)
        for queue in self._reports.values():
            for slot in queue.take(look=look):
                with contextlib.suppress(msgspec.MsgspecError):
                    self.ledger.add_report(decode_report(slot.data))
        for slot in self._sent.take(look=look):
            with contextlib.suppress(msgspec.MsgspecError):
                sent = decode_sent(slot.data)
                self.ledger.add_sent(sent.canvas, sent.frame, sent.reason, frames=sent.frames)
                self.on_sent(sent)

    def close(self) -> None:
        """Let go of the rings."""
        for queue in (self._plans, self._notes, self._sent, *self._reports.values()):
            queue.close()

    def _queue(self, node: str) -> RingQueue:
        if node not in self._reports:
            self._reports[node] = RingQueue(self._run.reports(node), KIND_REPORTS)
        return self._reports[node]


def open_ring(path: Path, kind: int) -> RingReader | None:
    """The ring, or None while there is none that can be read."""
    try:
        return RingReader.try_open(path, kind=kind)
    except HouseError as error:
        log.warning("%s", error)
        return None
