"""Maps a sender's own time stamps to our clock, so that network jitter does not shake the poses.

Our clock minus the sender's is a line: an offset, and the drift of two crystals. It lies under all (arrival - stamp) of
the last two seconds, because the quickest datagram had the least delay; its slope comes from the quickest of each
second of the last minute. A clock that is set is followed, one that goes over midnight is unwrapped, one that stands
still is not believed.

A stamp farther off the line than the network's own wandering is either a late datagram or a clock that was set. Until
three datagrams agree, nobody knows: `undecided` says so, and whoever waits asks `again_ns` afterwards.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
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
MOST_WAITING: Final = 16
FINE_COUNT: Final = 2
"""So many good stamps in a row say that what waits was late."""
JUMP_COUNT: Final = 3
"""So many late stamps in a row are a clock set back, not a delayed datagram."""
KNOWN_BLOCKS: Final = 4
"""After so many stretches it is known how the network wanders."""
ODD_NS: Final = 4_000_000
"""A stamp may lie so much farther off the line than any has of late."""
CALM_NS: Final = 500_000
"""A network whose datagrams differ by less does not wander."""
USUAL_SHARE: Final = 0.1
MOST_FADES: Final = 0.9
EVEN_SHARE: Final = 0.05
"""Stamps are even whose distances differ by less than this share."""
QUEUED_NS: Final = 1_000_000_000
"""What comes so late at most, while its stamps go on at their pace, has waited in a queue: its stamp is believed at
once;"""
PAUSED_NS: Final = 250_000_000
"""unless all of them come equally late for so long: then sender and clock have paused together;"""
LONGER_NS: Final = 900_000_000
"""or late by whatever for so long: then the way is longer."""
TOO_LATE_NS: Final = 3_000_000_000
"""A clock that was believed to be set lately may turn out to have been a queue: then the line falls, by so much at most
in steps that keep the order of samples."""
FALLS_NS: Final = 400_000_000
EMPTIED_SHARE: Final = 0.5
"""A queue is being emptied where arrivals follow each other in less than this share of the time between stamps."""
STEP_NS: Final = 8_000_000
STEP_BLOCKS: Final = 2
"""So many stretches in a row whose quickest datagram is late by more than STEP_NS are a clock set back a little."""
DAY_NS: Final = 86_400_000_000_000
EASE_NS: Final = 500_000_000
NEAR_NS: Final = 250_000
STALLED_COUNT: Final = 2
RECOVERED_COUNT: Final = 25


class _Quickest(NamedTuple):
    """The datagram of a stretch with the least delay: when it came, and (arrival - stamp) less the first one's."""

    t_ns: int
    late_ns: int


class _Queued(NamedTuple):
    """What comes late, its stamps going on at their pace."""

    from_ns: int
    """When that began,"""
    even_from_ns: int
    """and since when it has been late by as much as it is:"""
    even_off_ns: int
    t_source_ns: int
    """The last stamp,"""
    off_ns: int
    """and its distance from the line."""


class SourceClock:
    """State of one sender's clock.

    Attributes
    ----------
    jumps : how often the sender's clock was set.
    jumped_ns : when that was seen last, on our clock; None: never.
    wraps : how often it went over midnight.
    drift : by how much our clock runs faster than the sender's (1e-6: a microsecond a second); 0 until it is known.
    stalled : whether the sender's stamps stand still, so that arrivals are used instead.
    undecided : whether the last stamp may be of a clock that was set: the next ones will tell.
    deciding : whether any waits.
    day_ns : how long the sender's day lasts, after which its stamps begin again: labels of 29.97 and 23.976 count a
        longer or shorter one than a clock.
    """

    def __init__(self, match: Match = "auto") -> None:
        self.match = match
        self.day_ns = DAY_NS
        self.jumps = 0
        self.jumped_ns: int | None = None
        self.wraps = 0
        self.drift = 0.0
        self.stalled = False
        self.undecided = False
        self._odd: list[tuple[int, int]] = []
        """Stamps, and their distances from the line, that wait for a decision."""
        self._fine = 0
        self._queued: _Queued | None = None
        self._usual_ns = 0.0
        """How far datagrams usually lie above the line,"""
        self._most_ns = 0
        """and at most, of late."""
        self._step_ns = 0
        """Between stamps, where they come evenly; 0: they do not."""
        self._base_ns: int | None = None
        """(arrival - stamp) of the first datagram; what follows is counted from it."""
        self._line = _Quickest(0, 0)
        self._blocks: deque[_Quickest] = deque(maxlen=WINDOW_BLOCKS)
        self._seconds: deque[_Quickest] = deque(maxlen=DRIFT_SECONDS)
        self._counted = 0
        self._block: _Quickest | None = None
        self._block_until_ns = 0
        self._late_blocks = 0
        self._eased_ns = 0.0
        self._eased_at_ns = 0
        self._most_now_ns = 0
        self._last_source_ns: int | None = None
        self._mapped: tuple[int, int] | None = None
        """The newest stamp and what it was on our clock."""
        self._still = 0
        self._moving = 0
        self._resumed = False
        """Stamps run again: poses went by arrivals until now."""

    @property
    def offset_ns(self) -> int | None:
        """Our clock minus the sender's; None before the first stamp."""
        return None if self._base_ns is None else self._base_ns + round(self._eased_ns)

    @property
    def deciding(self) -> bool:
        """Whether stamps wait for a decision."""
        return bool(self._odd)

    @property
    def drift_ppm(self) -> float:
        """`drift` in parts per million."""
        return self.drift * 1e6

    def local_ns(self, t_source_ns: int | None, t_received_ns: int) -> int:
        """When the sample was taken on our clock, ns. Where the network wanders, that may be a moment after it was
        received: even steps matter more."""
        if t_source_ns is None or self.match == "arrival":
            return t_received_ns
        if self.match != "sample_time" and not self._runs(t_source_ns):
            return t_received_ns
        if self._mapped is None or self._mapped[0] != t_source_ns or self._odd:
            local_ns = self._map(t_source_ns, t_received_ns)
            if self.undecided:
                return local_ns
            self._pace(t_source_ns)
            if self._most_ns < CALM_NS and self._counted >= KNOWN_BLOCKS:
                # Where nothing wanders, only the fit's own slowness puts a sample after its arrival.
                local_ns = min(local_ns, t_received_ns)
            self._mapped = (t_source_ns, local_ns)
        # A stamp that is said again means the same instant, to the nanosecond: two samples a drift apart would make
        # a camera that flies.
        return self._mapped[1]

    def give_up(self) -> None:
        """Nothing more comes that would tell: what waits was late."""
        self._odd.clear()
        self.undecided = False

    def again_ns(self, t_source_ns: int) -> int:
        """What a stamp that was undecided is on our clock, now that it is known."""
        assert self._base_ns is not None
        return t_source_ns + self._base_ns + round(self._eased_ns)

    def _pace(self, t_source_ns: int) -> None:
        """See whether stamps come evenly."""
        if self._mapped is None:
            return
        step_ns = t_source_ns - self._mapped[0]
        if step_ns <= 0:
            return
        times = max(1, round(step_ns / self._step_ns)) if self._step_ns else 1
        self._step_ns = step_ns if abs(step_ns - times * self._step_ns) > EVEN_SHARE * step_ns else self._step_ns

    def _map(self, t_source_ns: int, t_received_ns: int) -> int:
        """Our time of a stamp that was not said before."""
        if self._base_ns is None:
            return self._begin(t_source_ns, t_received_ns)
        late_ns = t_received_ns - t_source_ns - self._base_ns
        line_ns = self._at(t_received_ns)
        off_ns = late_ns - line_ns
        if abs(abs(off_ns) - self.day_ns) < JUMP_NS:
            # The time of day began again; the clock runs on.
            day_ns = self.day_ns if off_ns > 0 else -self.day_ns
            self._base_ns += day_ns
            self.wraps += 1
            late_ns -= day_ns
            off_ns -= day_ns
        self.undecided = False
        if self._is_odd(off_ns) and not self._falls(off_ns, t_source_ns, t_received_ns):
            if 0 < off_ns <= QUEUED_NS and not self._odd and self._goes_on(t_source_ns):
                if self._has_paused(t_source_ns, off_ns, t_received_ns):
                    return self._set([(t_source_ns, off_ns)], t_source_ns, t_received_ns)
                return t_source_ns + self._base_ns + self._eased(line_ns, t_received_ns, late_ns)
            # A stamp ahead of the line cannot be a delay; one behind it may be, once or twice.
            self._odd.append((t_source_ns, off_ns))
            self._fine = 0
            agreed = self._agreed()
            if agreed:
                return self._set(agreed, t_source_ns, t_received_ns)
            if len(self._odd) < MOST_WAITING:
                self.undecided = True
            else:
                self._odd.clear()
            return t_source_ns + self._base_ns + self._eased(line_ns, t_received_ns, late_ns)
        self._queued = None
        if self._odd:
            # One may have been sent before the clock was set.
            self._fine += 1
            if self._fine >= FINE_COUNT:
                self._odd.clear()
        self._usual_ns += (off_ns - self._usual_ns) * USUAL_SHARE
        # One that was overtaken by far, before such were told apart, is no measure of the others.
        self._most_now_ns = max(self._most_now_ns, min(off_ns, round(2.0 * self._usual_ns) + ODD_NS))
        if late_ns < line_ns:
            self._line, line_ns = _Quickest(t_received_ns, late_ns), late_ns
        if self._block is None or late_ns <= self._block.late_ns:
            self._block = _Quickest(t_received_ns, late_ns)
        if t_received_ns >= self._block_until_ns and self._next_block(t_received_ns):
            return self._jumped(t_source_ns, t_received_ns)
        return t_source_ns + self._base_ns + self._eased(line_ns, t_received_ns, late_ns)

    def _is_odd(self, off_ns: int) -> bool:
        """Whether a stamp lies where the network alone does not bring it."""
        if self._counted < KNOWN_BLOCKS:
            return abs(off_ns) > JUMP_NS
        return off_ns > ODD_NS + 1.25 * self._most_ns or off_ns < -(ODD_NS + 0.5 * self._most_ns)

    @property
    def _wanted(self) -> int:
        """How many late stamps decide: a few, and where the network turns their order about, as long as it does."""
        if not self._step_ns or self._most_ns < self._step_ns:
            return JUMP_COUNT
        return max(JUMP_COUNT, min(MOST_WAITING, 2 * self._most_ns // self._step_ns))

    def _agreed(self) -> list[tuple[int, int]]:
        """Of what waits, the stamps that tell of a clock that was set; none while they may be a queue that stood still:
        what waited together comes ever less late, and its stamps go on at their pace."""
        odd, wanted = self._odd, self._wanted
        if odd[-1][1] < 0:
            return odd[-1:]
        middle_ns = sorted(off_ns for _, off_ns in odd)[len(odd) // 2]
        near = [o for o in odd if abs(o[1] - middle_ns) <= (ODD_NS + self._most_ns) // 2]
        if len(near) < wanted or (wanted == JUMP_COUNT and any(b[0] <= a[0] for a, b in pairwise(near))):
            return []
        if not self._goes_on(near[0][0]):
            return near
        queued = middle_ns <= JUMP_NS or any(_emptied(a, b) for a, b in pairwise(near))
        return [] if queued else near

    def _goes_on(self, t_source_ns: int) -> bool:
        """Whether a stamp follows the last one at their pace."""
        if self._mapped is None or not self._step_ns:
            return False
        first_ns = t_source_ns - self._mapped[0]
        even_ns = abs(first_ns - round(first_ns / self._step_ns) * self._step_ns)
        return first_ns > 0 and even_ns <= EVEN_SHARE * first_ns

    def _has_paused(self, t_source_ns: int, off_ns: int, t_received_ns: int) -> bool:
        """Whether what comes late at its pace has come so for long."""
        queued = self._queued
        if queued is None or _emptied((queued.t_source_ns, queued.off_ns), (t_source_ns, off_ns)):
            self._queued = _Queued(t_received_ns, t_received_ns, off_ns, t_source_ns, off_ns)
            return False
        if abs(off_ns - queued.even_off_ns) > ODD_NS + self._most_ns // 2:
            queued = queued._replace(even_from_ns=t_received_ns, even_off_ns=off_ns)
        self._queued = queued._replace(t_source_ns=t_source_ns, off_ns=off_ns)
        return t_received_ns - queued.even_from_ns >= PAUSED_NS or t_received_ns - queued.from_ns >= LONGER_NS

    def _falls(self, off_ns: int, t_source_ns: int, t_received_ns: int) -> bool:
        """Whether a stamp before the line says that the line is too late, rather than that the clock was set."""
        lately = self._counted < KNOWN_BLOCKS or (
            self.jumped_ns is not None and t_received_ns - self.jumped_ns < TOO_LATE_NS
        )
        return -FALLS_NS <= off_ns < 0 and lately and self._goes_on(t_source_ns)

    def _set(self, agreed: list[tuple[int, int]], t_source_ns: int, t_received_ns: int) -> int:
        """The sender's clock was set: go on where it would be, to the step of its pace. Its crystal stays the same."""
        assert self._base_ns is not None
        self.jumps += 1
        self.jumped_ns = t_received_ns
        self._queued = None
        if self._counted < KNOWN_BLOCKS:
            self._odd.clear()
            return self._begin(t_source_ns, t_received_ns)
        offs = sorted(off for _, off in agreed)
        by_ns = offs[len(offs) // 2] - round(self._usual_ns)
        if self._step_ns and self._mapped is not None:
            steps = (agreed[0][0] + by_ns - self._mapped[0]) / self._step_ns
            by_ns += round((round(steps) - steps) * self._step_ns)
        self._odd.clear()
        self._base_ns += by_ns
        line_ns = self._at(t_received_ns)
        return t_source_ns + self._base_ns + self._eased(line_ns, t_received_ns, line_ns)

    def _eased(self, line_ns: int, t_ns: int, late_ns: int) -> int:
        """The line as it is used: it is laid anew now and then, and its steps must not pass for the camera's."""
        if self._resumed:
            self._resumed = False
            self._eased_ns, self._eased_at_ns = float(min(late_ns, line_ns + ODD_NS)), t_ns
        since_ns = max(0, t_ns - self._eased_at_ns)
        self._eased_at_ns = max(t_ns, self._eased_at_ns)
        self._eased_ns += since_ns * self.drift
        off_ns = line_ns - self._eased_ns
        if abs(off_ns) > NEAR_NS:
            # What it is off by less moves a pose by nothing; following it would shake the steps between samples.
            off_ns -= NEAR_NS if off_ns > 0.0 else -NEAR_NS
            self._eased_ns += off_ns * min(1.0, since_ns / EASE_NS)
        return round(self._eased_ns)

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
        self._late_blocks = 0
        self._usual_ns, self._most_ns, self._most_now_ns = 0.0, 0, 0
        self._odd.clear()
        self._eased_ns, self._eased_at_ns = 0.0, t_received_ns
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
        self._late_blocks = (
            self._late_blocks + 1 if block.late_ns - self._at(block.t_ns) > STEP_NS + 0.5 * self._most_ns else 0
        )
        if self._late_blocks >= STEP_BLOCKS:
            return True
        self._most_ns = max(self._most_now_ns, round(self._most_ns * MOST_FADES))
        self._most_now_ns = 0
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
                self._resumed |= self.stalled
                self.stalled = False
        self._last_source_ns = t_source_ns
        return not self.stalled


def _emptied(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two stamps, with their distances from the line, came closer together than they were made."""
    return b[1] - a[1] < (EMPTIED_SHARE - 1.0) * (b[0] - a[0])


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
