"""Frame pacing: which slot is due, when, and what was lost on the way. No sleeping, no clock of its own.

Deadlines come from the frame number (`Rate.deadline_ns`), so phase is kept for ever: a pacer that wakes late by
more than a frame skips whole periods, counts them and is in phase again at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runtime.clock import Clock
from stage.rate import Rate

WIDEST_NS: Final = 20_000
"""Two readings of clocks further apart than this were interrupted: together they tell nothing exact."""


@dataclass(frozen=True, slots=True)
class Due:
    """One slot that is due.

    frame : the slot's number; deadline_ns : when it began; late_ns : how long after that it was taken, less than a
    period; skipped : whole slots lost just before it (`frame - skipped` was the one waited for).
    """

    frame: int
    deadline_ns: int
    late_ns: int
    skipped: int


class Pacer:
    """Counts slots of one rate from one origin.

    Attributes
    ----------
    frame, deadline_ns : the slot waited for, and when it begins.
    taken, skipped : slots taken, and slots lost because the pacer came late.
    """

    def __init__(self, rate: Rate, t0_ns: int, *, frame: int = 0) -> None:
        self.rate = rate
        self.t0_ns = t0_ns
        self.taken = 0
        self.skipped = 0
        self.frame = frame
        self.deadline_ns = rate.deadline_ns(t0_ns, frame)

    def take(self, now_ns: int) -> Due | None:
        """The slot that is due at `now_ns`, and wait for the one after it; None while none is due."""
        if now_ns < self.deadline_ns:
            return None
        frame = self.rate.frame_at(self.t0_ns, now_ns)
        skipped = frame - self.frame
        deadline_ns = self.rate.deadline_ns(self.t0_ns, frame)
        self.taken += 1
        self.skipped += skipped
        self.frame = frame + 1
        self.deadline_ns = self.rate.deadline_ns(self.t0_ns, self.frame)
        return Due(frame, deadline_ns, now_ns - deadline_ns, skipped)

    def wait_for(self, frame: int) -> None:
        """Wait for `frame` next, whatever came before; nothing is counted as lost."""
        self.frame = frame
        self.deadline_ns = self.rate.deadline_ns(self.t0_ns, frame)


def next_frame(rate: Rate, t0_ns: int, now_ns: int, *, lead_ns: int = 0) -> int:
    """The first frame that begins at least `lead_ns` after `now_ns`."""
    frame = rate.frame_at(t0_ns, now_ns + lead_ns)
    return frame if rate.deadline_ns(t0_ns, frame) == now_ns + lead_ns else frame + 1


def smpte_epoch_ns(clock: Clock) -> int | None:
    """Monotonic ns of the SMPTE epoch (1970-01-01 00:00:00 TAI), frame 0 of a disciplined house: by the tightest of
    five pairs of readings; None when all were interrupted.

    Negative, and the same for as long as nobody steps the clock.
    """
    best_width_ns, best_ns = WIDEST_NS + 1, 0
    for _ in range(5):
        before_ns = clock.now_ns()
        tai_ns = clock.tai_ns()
        width_ns = clock.now_ns() - before_ns
        if width_ns < best_width_ns:
            best_width_ns, best_ns = width_ns, before_ns + width_ns // 2 - tai_ns
    return best_ns if best_width_ns <= WIDEST_NS else None
