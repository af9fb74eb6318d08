"""Keeps a flooded socket usable: while far more comes than any tracker sends, the kernel lets through only the senders
that move something already, and a few hundred a second of all others, by lot.

Those few tell how the flood goes on, and let a new tracker in. Behind an allow-list there is nothing to guard.
"""

from __future__ import annotations

from math import ceil, log2
from typing import Final

LOOK_NS: Final = 20_000_000
"""How often the rate is looked at."""
FLOOD_HZ: Final = 5000.0
"""So many datagrams a second that no source takes are a flood, or five times the sources' own limit."""
OVER_NS: Final = 500_000_000
"""A flood is over once so long less than half of that has come."""
LET_IN_HZ: Final = 400.0
"""About so many of a flood are let in."""
MOST_OTHERS: Final = 1024


class FloodGuard:
    """Watches one socket. It is told counts that only grow; times are those of arrival.

    Attributes
    ----------
    flooded : whether senders that are not known are kept out.
    floods : how often that began.
    one_in : of those kept out, one in so many is let in; a power of two.
    """

    def __init__(self, rate_limit_hz: float = 1000.0) -> None:
        self.flooded = False
        self.floods = 0
        self.one_in = 1
        self.due_ns = 0
        self._flood_hz = max(FLOOD_HZ, 5.0 * rate_limit_hz)
        self._last: tuple[int, int] | None = None
        """Time and count when looked last."""

    def look(self, useless: int, t_ns: int) -> bool:
        """Whether somebody else is to be kept out now. useless: datagrams so far that no source took."""
        last = self._last
        if last is None or t_ns < last[0]:
            self._begin(useless, t_ns)
            return False
        elapsed_ns = t_ns - last[0]
        if elapsed_ns < (OVER_NS if self.flooded else LOOK_NS):
            return False
        rate_hz = (useless - last[1]) * 1e9 / elapsed_ns * self.one_in
        was = self.flooded
        self.flooded = rate_hz > (self._flood_hz / 2.0 if was else self._flood_hz)
        self.floods += self.flooded and not was
        self._begin(useless, t_ns)
        had, self.one_in = self.one_in, _one_in(rate_hz) if self.flooded else 1
        # A flood that comes and goes a little is no other one.
        if was and self.flooded and had // 2 <= self.one_in <= had * 2:
            self.one_in = had
        return self.one_in != had

    def _begin(self, useless: int, t_ns: int) -> None:
        self._last = (t_ns, useless)
        self.due_ns = t_ns + (OVER_NS if self.flooded else LOOK_NS)


def _one_in(rate_hz: float) -> int:
    return min(MOST_OTHERS, 1 << max(1, ceil(log2(rate_hz / LET_IN_HZ))))
