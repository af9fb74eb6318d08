"""How long before a frame is shown its poses are latched: as late as the measured drawing allows."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Hashable
from math import ceil

from stage.rate import Rate

WINDOW = 1000
"""Drawings that count: one in a thousand may take longer."""
GUARD_SHARE = 0.06
GUARD_LEAST_NS = 1_000_000
LEAST_NS = 2_000_000
FIRST_SHARE = 1.0
"""Share of a period the lead begins with, until drawing times are known: plans that come early cost age, plans that
come late cost pictures."""
FEWEST = 24
"""So many of the first drawings of a run do not count: the house still starts. So many more before what is measured is
used,"""
SETTLED = 32
"""or so many of something else: nodes too go by their latest drawings when a plan must be there."""
CONFIRMED_S = 1.0
"""A frame that alone took longer counts for so long; then it was the host, or one in a thousand."""
LEVEL_S = 2.0
"""So long the typical drawing must have been quicker for older ones to be forgotten."""
LEVEL_SHARE = 0.85
LOOK_EVERY = 12
KNOWN = 64
"""Pictures whose drawing is remembered."""

AT_ONCE_NS = 1_000_000
"""A plan that comes so soon after a slot has ended lay there for the node."""


def wanted_from_ns(published_ns: int, free_ns: int, started_ns: int) -> int:
    """From when on a plan was needed: its publication, unless it lay there when the slot before ended (`free_ns`). Then
    the node had time, and draws ahead what coming frames need before it begins; an earlier plan would lie longer."""
    if published_ns > free_ns + AT_ONCE_NS:
        return published_ns
    return max(published_ns, started_ns)


class AdaptiveLead:
    """Lead = drawing p99.9 + guard, between 2 ms and one period.

    It grows at once when a frame took longer. It falls within seconds: a single slow frame is set aside once the
    frames after it were quick, and when the typical drawing has become quicker the slower ones before are forgotten.
    When something else is going to be drawn it is told beforehand (`expect`), and grows first.

    Attributes
    ----------
    what : what is drawn, or will be from the frame expected on.
    """

    def __init__(self, rate: Rate, what: Hashable = None) -> None:
        self._period_ns = rate.period_ns
        self._guard_ns = max(GUARD_LEAST_NS, int(self._period_ns * GUARD_SHARE))
        self._confirmed = max(FEWEST // 2, ceil(CONFIRMED_S * rate.hz))
        self._level_first = self._level = max(FEWEST, ceil(LEVEL_S * rate.hz))
        self._fell_from_ns = 0
        """What drawing took before the lead last fell with the level."""
        self.what = what
        self._from_frame = 0
        self._known: dict[Hashable, int] = {}
        self._least_ns = 0
        """The lead before what is drawn changed."""
        self._ignored = 0
        self._fewest = FEWEST
        self._times_ns: deque[int] = deque()
        self._sorted_ns: list[int] = []
        self._since_largest = 0
        """Drawings since the one that took longest."""
        self._count = 0

    def expect(self, frame: int, what: Hashable) -> None:
        """From `frame` on something else is drawn, `what` it is known by. What was drawn before says nothing about it;
        what it took when it was drawn before does."""
        self._least_ns, self._fewest = self.lead_ns, SETTLED
        if len(self._times_ns) >= FEWEST:
            self._known[self.what] = self._drawing_ns
            if len(self._known) > KNOWN:
                self._known.pop(next(iter(self._known)))
        self.what, self._from_frame = what, frame
        self._times_ns.clear()
        self._sorted_ns.clear()
        self._level, self._fell_from_ns = self._level_first, 0

    def measured(self, frame: int, plan_to_ready_ns: int) -> None:
        """Take in one drawing: from the plan's publication to the picture being ready."""
        if self._ignored < FEWEST:
            self._ignored += 1
            return
        if frame < self._from_frame:
            return
        if self._fell_from_ns and plan_to_ready_ns > LEVEL_SHARE * self._fell_from_ns:
            # It was no other picture after all, only a quiet while: fall more slowly from now on.
            self._level, self._fell_from_ns = min(2 * self._level, WINDOW // 2), 0
        if len(self._times_ns) == WINDOW:
            self._forget(1)
        self._since_largest += 1
        if not self._sorted_ns or plan_to_ready_ns >= self._sorted_ns[-1]:
            self._since_largest = 0
        self._times_ns.append(plan_to_ready_ns)
        insort(self._sorted_ns, plan_to_ready_ns)
        self._count += 1
        if self._count % LOOK_EVERY == 0 and len(self._times_ns) > self._level:
            self._follow_level()

    @property
    def lead_ns(self) -> int:
        """From the latch to presentation, now."""
        needed_ns = self._sorted_ns[-1] + self._guard_ns if self._sorted_ns else 0
        if len(self._times_ns) >= self._fewest:
            needed_ns = self._drawing_ns + self._guard_ns
        elif self.what in self._known:
            needed_ns = max(needed_ns, self._known[self.what] + self._guard_ns, self._least_ns)
        else:
            needed_ns = max(needed_ns, int(self._period_ns * FIRST_SHARE))
        return min(self._period_ns, max(LEAST_NS, needed_ns))

    @property
    def _drawing_ns(self) -> int:
        """p99.9 of the drawings that count: of a thousand, the longest but one."""
        return self._sorted_ns[-1 if self._since_largest < self._confirmed else -2]

    def _forget(self, count: int) -> None:
        for _ in range(count):
            oldest_ns = self._times_ns.popleft()
            del self._sorted_ns[bisect_left(self._sorted_ns, oldest_ns)]

    def _follow_level(self) -> None:
        """A typical frame that has become quicker is another picture, not luck."""
        times = list(self._times_ns)
        before, latest = sorted(times[: -self._level]), sorted(times[-self._level :])
        if latest[len(latest) // 2] < LEVEL_SHARE * before[len(before) // 2]:
            self._fell_from_ns = before[len(before) // 2]
            self._forget(len(before))
