"""How long before a frame is shown its poses are latched: as late as the measured drawing allows."""

from __future__ import annotations

from collections import deque

from stage.rate import Rate

WINDOW = 512
"""Frames whose drawing times count: long enough for a p99.9, short enough to follow a new scene."""
GUARD_SHARE = 0.06
GUARD_LEAST_NS = 1_000_000
FIRST_SHARE = 1.0
"""Share of a period the lead begins with, until drawing times are known: plans that come early cost age, plans that
come late cost pictures."""
FEWEST = 24
"""So many of the first drawings do not count: the house still starts. So many more before what is measured is used."""


class AdaptiveLead:
    """Lead = drawing p99.9 (the largest of the window) + guard, between 2 ms and one period.

    It grows at once when a frame took longer and falls as slow frames leave the window.
    """

    def __init__(self, rate: Rate) -> None:
        self._period_ns = rate.period_ns
        self._guard_ns = max(GUARD_LEAST_NS, int(self._period_ns * GUARD_SHARE))
        self._times_ns: deque[int] = deque(maxlen=WINDOW)
        self._ignored = 0
        self._largest: deque[int] = deque()

    def measured(self, plan_to_ready_ns: int) -> None:
        """Take in one frame: from the plan's publication to the picture being ready."""
        if self._ignored < FEWEST:
            self._ignored += 1
            return
        if len(self._times_ns) == WINDOW and self._largest[0] == self._times_ns[0]:
            self._largest.popleft()
        # A descending queue keeps the window's maximum at its head at constant cost.
        while self._largest and self._largest[-1] < plan_to_ready_ns:
            self._largest.pop()
        self._largest.append(plan_to_ready_ns)
        self._times_ns.append(plan_to_ready_ns)

    @property
    def lead_ns(self) -> int:
        """From the latch to presentation, now."""
        if len(self._times_ns) < FEWEST:
            return int(self._period_ns * FIRST_SHARE)
        return min(self._period_ns, max(2_000_000, self._largest[0] + self._guard_ns))
