"""What a ledger is to be told, kept for a while and told in one go.

A process that sleeps between frames finds its code gone from the caches: noting one frame costs it five times what the
next of a row costs. The conductor, which has no time to lose, notes a quarter of a second at once.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from controller.ledger import Ledger
from controller.ledger_record import HostNote
from runtime.clock import NS_PER_S
from stage.plan import FramePlan, FrameReport

EVERY_NS: Final = NS_PER_S // 4


class LedgerBatch:
    """A ledger's inbox. `frames` counted slots are the last that are taken.

    Attributes
    ----------
    ledger : as it stands after the last `tell`
    """

    def __init__(self, ledger: Ledger, *, frames: int | None = None) -> None:
        self.ledger = ledger
        self._frames = frames
        self._inbox: deque[tuple[FramePlan, int, int] | FrameReport | HostNote] = deque()
        self._due_ns = 0

    @property
    def done(self) -> bool:
        """Whether the last slot has been counted."""
        return self._frames is not None and self.ledger.frames >= self._frames

    def plan(self, plan: FramePlan, t_published_ns: int, plan_hash: int) -> None:
        """A plan that was published."""
        self._inbox.append((plan, t_published_ns, plan_hash))

    def report(self, report: FrameReport) -> None:
        """A node's report."""
        self._inbox.append(report)

    def note(self, note: HostNote) -> None:
        """The metronome's."""
        self._inbox.append(note)

    def is_due(self, now_ns: int) -> bool:
        """Whether it is time to tell; a run that is counted is told at once, so that it ends with its last slot."""
        return now_ns >= self._due_ns or self._frames is not None

    def tell(self, now_ns: int = 0) -> Ledger:
        """Tell the ledger all there is; the ledger."""
        self._due_ns = now_ns + EVERY_NS
        ledger, inbox = self.ledger, self._inbox
        # In the order in which it came: a plan much newer than a report would have its slot given up.
        while inbox:
            told = inbox.popleft()
            if isinstance(told, FrameReport):
                if not self.done:
                    ledger.add_report(told)
            elif isinstance(told, HostNote):
                ledger.add_host(told)
            else:
                plan, t_published_ns, plan_hash = told
                ledger.add_plan(plan, t_published_ns=t_published_ns, plan_hash=plan_hash)
        return ledger
