"""Maps a sender's own time stamps to our clock, so that network jitter does not shake the poses.

The offset is the smallest (arrival - stamp) of the last two seconds: the quickest datagram had the least delay. A
clock that jumps is followed, one that stands still is not believed.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

WINDOW_NS: Final = 2_000_000_000
JUMP_NS: Final = 100_000_000
"""A stamp this far off the offset is no jitter."""
JUMP_COUNT: Final = 3
"""So many late stamps in a row are a clock set back, not a delayed datagram."""
STALLED_COUNT: Final = 2
RECOVERED_COUNT: Final = 25


class SourceClock:
    """State of one sender's clock.

    Attributes
    ----------
    offset_ns : our clock minus the sender's; None before the first stamp.
    jumps : how often the sender's clock was set.
    stalled : whether the sender's stamps stand still, so that arrivals are used instead.
    """

    def __init__(self, mode: Literal["auto", "arrival", "sample"] = "auto") -> None:
        self.mode = mode
        self.offset_ns: int | None = None
        self.jumps = 0
        self.stalled = False
        self._smallest: deque[tuple[int, int]] = deque()
        self._off = 0
        self._last_source_ns: int | None = None
        self._still = 0
        self._moving = 0

    def local_ns(self, t_source_ns: int | None, t_received_ns: int) -> int:
        """When the sample was taken on our clock, ns; never later than it was received."""
        if t_source_ns is None or self.mode == "arrival":
            return t_received_ns
        if self.mode == "auto" and not self._runs(t_source_ns):
            return t_received_ns
        difference = t_received_ns - t_source_ns
        offset = self.offset_ns
        if offset is not None and abs(difference - offset) > JUMP_NS:
            self._off += 1
            # A stamp ahead of the mapping cannot be a delay; one behind it may be, once or twice.
            if difference < offset or self._off >= JUMP_COUNT:
                self.jumps += 1
                self._smallest.clear()
            else:
                return t_source_ns + offset
        self._off = 0
        smallest = self._smallest
        while smallest and smallest[-1][1] >= difference:
            smallest.pop()
        smallest.append((t_received_ns, difference))
        while smallest[0][0] < t_received_ns - WINDOW_NS:
            smallest.popleft()
        self.offset_ns = smallest[0][1]
        return t_source_ns + self.offset_ns

    def _runs(self, t_source_ns: int) -> bool:
        if t_source_ns == self._last_source_ns:
            self._still += 1
            self._moving = 0
            if self._still >= STALLED_COUNT:
                self.stalled = True
        else:
            self._still = 0
            self._moving += 1
            if self._moving >= RECOVERED_COUNT:
                self.stalled = False
        self._last_source_ns = t_source_ns
        return not self.stalled
