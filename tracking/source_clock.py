"""Maps a sender's own time stamps to our clock, so that network jitter does not shake the poses.

Our clock minus the sender's is a line: an offset, and the drift of two crystals. It lies under all (arrival - stamp) of
the last two seconds, because the quickest datagram had the least delay; its slope comes from the quickest of each
second of the last minute. A clock that is set is followed, one that goes over midnight is unwrapped, one that stands
still is not believed.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, NamedTuple

Match = Literal["auto", "arrival", "timecode", "sample_time"]

WINDOW_NS: Final = 2_000_000_000
BLOCK_NS: Final = 250_000_000
"""The quickest datagram of each such stretch is kept."""
WINDOW_BLOCKS: Final = WINDOW_NS // BLOCK_NS
SECOND_BLOCKS: Final = 4
DRIFT_SECONDS: Final = 60
"""The quickest datagrams of so many seconds tell the drift."""
DRIFT_FROM: Final = 10
"""From so many on it is believed: before, jitter would pass for drift."""
LARGEST_DRIFT: Final = 500e-6
JUMP_NS: Final = 100_000_000
"""A stamp this far off the line is no jitter."""
JUMP_COUNT: Final = 3
"""So many late stamps in a row are a clock set back, not a delayed datagram."""
STEP_NS: Final = 8_000_000
STEP_BLOCKS: Final = 2
"""So many stretches in a row whose quickest datagram is late by more than STEP_NS are a clock set back a little."""
DAY_NS: Final = 86_400_000_000_000
STALLED_COUNT: Final = 2
RECOVERED_COUNT: Final = 25


class _Quickest(NamedTuple):
    """The datagram of a stretch with the least delay: when it came, and (arrival - stamp) less the first one's."""

    t_ns: int
    late_ns: int


class SourceClock:
    """State of one sender's clock.

    Attributes
    ----------
    jumps : how often the sender's clock was set.
    jumped_ns : when that was seen last, on our clock; None: never.
    wraps : how often it went over midnight.
    drift : by how much our clock runs faster than the sender's (1e-6: a microsecond a second); 0 until it is known.
    stalled : whether the sender's stamps stand still, so that arrivals are used instead.
    """

    def __init__(self, match: Match = "auto") -> None:
        self.match = match
        self.jumps = 0
        self.jumped_ns: int | None = None
        self.wraps = 0
        self.drift = 0.0
        self.stalled = False
        self._base_ns: int | None = None
        """(arrival - stamp) of the first datagram; what follows is counted from it."""
        self._line = _Quickest(0, 0)
        self._blocks: deque[_Quickest] = deque(maxlen=WINDOW_BLOCKS)
        self._seconds: deque[_Quickest] = deque(maxlen=DRIFT_SECONDS)
        self._counted = 0
        self._block: _Quickest | None = None
        self._block_until_ns = 0
        self._late_blocks = 0
        self._off = 0
        self._last_source_ns: int | None = None
        self._mapped: tuple[int, int] | None = None
        """The newest stamp and what it was on our clock."""
        self._still = 0
        self._moving = 0

    @property
    def offset_ns(self) -> int | None:
        """Our clock minus the sender's; None before the first stamp."""
        return None if self._base_ns is None else self._base_ns + self._line.late_ns

    @property
    def drift_ppm(self) -> float:
        """`drift` in parts per million."""
        return self.drift * 1e6

    def local_ns(self, t_source_ns: int | None, t_received_ns: int) -> int:
        """When the sample was taken on our clock, ns; never later than it was received."""
        if t_source_ns is None or self.match == "arrival":
            return t_received_ns
        if self.match != "sample_time" and not self._runs(t_source_ns):
            return t_received_ns
        if self._mapped is None or self._mapped[0] != t_source_ns:
            self._mapped = (t_source_ns, self._map(t_source_ns, t_received_ns))
        # A stamp that is said again means the same instant, to the nanosecond: two samples a drift apart would make
        # a camera that flies.
        return self._mapped[1]

    def _map(self, t_source_ns: int, t_received_ns: int) -> int:
        """Our time of a stamp that was not said before."""
        if self._base_ns is None:
            return self._begin(t_source_ns, t_received_ns)
        late_ns = t_received_ns - t_source_ns - self._base_ns
        line_ns = self._at(t_received_ns)
        off_ns = late_ns - line_ns
        if abs(abs(off_ns) - DAY_NS) < JUMP_NS:
            # The time of day began again; the clock runs on.
            day_ns = DAY_NS if off_ns > 0 else -DAY_NS
            self._base_ns += day_ns
            self.wraps += 1
            late_ns -= day_ns
            off_ns -= day_ns
        if abs(off_ns) > JUMP_NS:
            self._off += 1
            # A stamp ahead of the line cannot be a delay; one behind it may be, once or twice.
            if off_ns < 0 or self._off >= JUMP_COUNT:
                return self._jumped(t_source_ns, t_received_ns)
            return t_source_ns + self._base_ns + line_ns
        self._off = 0
        here = _Quickest(t_received_ns, late_ns)
        if late_ns < line_ns:
            self._line, line_ns = here, late_ns
        if self._block is None or late_ns <= self._block.late_ns:
            self._block = here
        if t_received_ns >= self._block_until_ns and self._next_block(t_received_ns):
            return self._jumped(t_source_ns, t_received_ns)
        return t_source_ns + self._base_ns + line_ns

    def _at(self, t_ns: int) -> int:
        """The line at a time of ours."""
        line = self._line
        return line.late_ns + int((t_ns - line.t_ns) * self.drift)

    def _begin(self, t_source_ns: int, t_received_ns: int) -> int:
        self._base_ns = t_received_ns - t_source_ns
        self._line = self._block = _Quickest(t_received_ns, 0)
        self._blocks.clear()
        self._seconds.clear()
        self._counted = 0
        self._block_until_ns = t_received_ns + BLOCK_NS
        self._late_blocks = self._off = 0
        return t_received_ns

    def _jumped(self, t_source_ns: int, t_received_ns: int) -> int:
        """The clock was set: begin again. A crystal keeps its drift."""
        self.jumps += 1
        self.jumped_ns = t_received_ns
        return self._begin(t_source_ns, t_received_ns)

    def _next_block(self, t_ns: int) -> bool:
        """Close a stretch and lay the line anew; whether the sender's clock turns out to have been set back."""
        block = self._block
        assert block is not None
        self._block, self._block_until_ns = None, t_ns + BLOCK_NS
        self._late_blocks = self._late_blocks + 1 if block.late_ns - self._at(block.t_ns) > STEP_NS else 0
        if self._late_blocks >= STEP_BLOCKS:
            return True
        blocks = self._blocks
        blocks.append(block)
        self._counted += 1
        if self._counted % SECOND_BLOCKS == 0:
            self._seconds.append(min(list(blocks)[-SECOND_BLOCKS:], key=lambda b: b.late_ns))
            if len(self._seconds) >= DRIFT_FROM:
                self.drift = _slope(self._seconds)
        drift, since_ns = self.drift, t_ns - WINDOW_NS
        recent = [b for b in blocks if b.t_ns >= since_ns] or [block]
        self._line = min(recent, key=lambda b: b.late_ns + (t_ns - b.t_ns) * drift)
        return False

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


def _slope(seconds: deque[_Quickest]) -> float:
    """The slope that most pairs half the time apart agree on (their median): a few delayed ones do not count. No
    crystal is off by more than LARGEST_DRIFT."""
    half = len(seconds) // 2
    slopes = sorted(
        (seconds[i + half].late_ns - seconds[i].late_ns) / max(1, seconds[i + half].t_ns - seconds[i].t_ns)
        for i in range(len(seconds) - half)
    )
    middle = slopes[len(slopes) // 2]
    return min(max(middle, -LARGEST_DRIFT), LARGEST_DRIFT)
