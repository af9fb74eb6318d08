"""Takes a network's jitter out of samples whose sender tells no time: trackers sample at an even pace.

Looks at the last arrivals now and then. Where they are those of an even pace that the network has shaken, each datagram
gets the slot it belongs to, slots get a time by the same fitted line that sender's stamps get, and lost ones leave a
slot free. Where arrivals are even anyway, or of no pace at all, they stay as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from tracking.source_clock import SourceClock

LOOK_EVERY: Final = 64
"""Arrivals are looked at so often,"""
LOOKED_AT: Final = 64
"""and so many of them at least."""
FEWEST_FILLED: Final = 0.6
"""Share of the slots that arrivals must fill."""
MOST_SHARED: Final = 0.12
"""Share of arrivals that may fall into a slot that is taken: doubles and overtaken ones."""
STRAY: Final = 0.35
"""Of the period: so far from its slot's middle nine of ten arrivals are at most."""
SHAKEN_NS: Final = 400_000
"""Arrivals that differ by less need no help."""
REMEMBERED: Final = 512
OPEN_SLOTS: Final = 4
"""So many slots back a free one is waited for."""
RESTART_SLOTS: Final = 40
USUAL_SHARE: Final = 0.05
RATES: Final = (24, 25, 30, 48, 50, 60, 72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 240, 250, 300, 360)
DROPPED: Final = (24, 30, 48, 60, 72, 120, 240)
USUAL_NS: Final = (*(1e9 / rate for rate in RATES), *(1.001e9 / rate for rate in DROPPED))
"""Periods of the rates that trackers have."""
OFF_BY: Final = 1.5e-3
"""A period measured over LOOKED_AT arrivals is off by so much at most,"""
CRYSTAL: Final = 1e-4
"""and a sender's crystal by so much."""


class Slot(NamedTuple):
    """Where a datagram belongs: a slot's number, and its time on our clock."""

    number: int
    t_ns: int


class EvenPace:
    """One source's pace.

    Attributes
    ----------
    period_ns : between slots, while arrivals are put into slots; 0 while they are not.
    begun : when slots have just begun: the time of the slot of each arrival before; to be emptied by who has read it.
    """

    def __init__(self) -> None:
        self.period_ns = 0.0
        self._count = 0
        self._clock = SourceClock("sample_time")
        self._last = Slot(0, 0)
        self._label_ns = 0.0
        self._free: deque[Slot] = deque(maxlen=OPEN_SLOTS)
        self._usual_ns = 0.0
        self.begun: dict[int, int] = {}
        self._clashes = 0
        self._seen: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)

    def slots(self, t_received_ns: int, arrivals: Sequence[int]) -> list[Slot]:
        """The slots a datagram may belong to, likeliest first; none: its arrival stands.

        arrivals : the last ones, this one included. Say `took` for the slot that it was given.
        """
        self._count += 1
        if self._count >= LOOK_EVERY and len(arrivals) >= LOOKED_AT:
            self._count = 0
            self._look(arrivals)
        if not self.period_ns:
            return []
        steps = round((t_received_ns - self._last.t_ns - self._usual_ns) / self.period_ns)
        if not -OPEN_SLOTS <= steps <= RESTART_SLOTS:
            self._stop()
            return []
        free = list(reversed(self._free))
        if steps <= 0:
            # Its slot is taken: it is a double, was overtaken and belongs to a free one, or was sent early.
            taken = [*free, self._last] if free else [self._last]
            if t_received_ns > self._last.t_ns + 0.5 * self.period_ns:
                taken.append(Slot(self._last.number + 1, self._last.t_ns + round(self.period_ns)))
            return taken
        label_ns = self._label_ns + steps * self.period_ns
        t_ns = self._clock.local_ns(round(label_ns), t_received_ns)
        return [Slot(self._last.number + steps, t_ns), *free]

    def is_next(self, slot: Slot) -> bool:
        """Whether a slot lies behind all that are taken."""
        return slot.number > self._last.number

    def took(self, slot: Slot, t_received_ns: int) -> bool:
        """Note that a slot is taken; whether it was free."""
        if slot.number <= self._last.number:
            if slot not in self._free:
                self._clashes += 1
                return False
            self._free.remove(slot)
            return True
        missed = slot.number - self._last.number - 1
        for back in range(min(missed, OPEN_SLOTS), 0, -1):
            self._free.append(Slot(slot.number - back, slot.t_ns - round(back * self.period_ns)))
        while self._free and self._free[0].number < slot.number - OPEN_SLOTS:
            self._free.popleft()
        self._label_ns += (slot.number - self._last.number) * self.period_ns
        self._last = slot
        self._usual_ns += (t_received_ns - slot.t_ns - self._usual_ns) * USUAL_SHARE
        self._seen.append((slot.number, t_received_ns))
        return True

    def _look(self, arrivals: Sequence[int]) -> None:
        if self.period_ns:
            numbers = np.array(self._seen, dtype=np.float64)
            found = _fitted(numbers[:, 0], numbers[:, 1])
            clashes, self._clashes = self._clashes, 0
            if found is None or found[1] > STRAY * found[0] or clashes > MOST_SHARED * LOOK_EVERY:
                # The pace is another one by now, or none.
                self._stop()
            else:
                self.period_ns = _usual_period_ns(found[0], len(numbers))
            return
        times = np.array(sorted(arrivals), dtype=np.float64)
        period_ns = float(np.median(np.diff(times)))
        if period_ns <= 0.0:
            return
        stray_ns = 0.0
        for _ in range(3):
            # Each from the one before: an error of the first guess must not add up.
            steps = np.rint(np.diff(times) / period_ns)
            numbers = np.concatenate([[0.0], np.cumsum(steps)])
            found = _fitted(numbers, times)
            if found is None:
                return
            period_ns, stray_ns = found
        taken = len(np.unique(numbers))
        even = taken >= FEWEST_FILLED * (numbers[-1] + 1) and len(numbers) - taken <= MOST_SHARED * len(numbers)
        if not even or not SHAKEN_NS < stray_ns < STRAY * period_ns:
            return
        self.period_ns = _usual_period_ns(period_ns, len(numbers))
        self._clock = SourceClock("sample_time")
        self._label_ns = 0.0
        self._free.clear()
        self._seen.clear()
        late = times - numbers * period_ns
        first_ns = round(float(late.min()))
        self._usual_ns = float(late.mean()) - first_ns
        # The line begins under the quickest of those looked at.
        number = int(numbers[-1])
        self._last = Slot(number, first_ns + round(number * period_ns))
        self._clock.local_ns(0, self._last.t_ns)
        self._seen.extend((int(n), int(t)) for n, t in zip(numbers, times, strict=True))
        self.begun = {t: first_ns + round(n * period_ns) for n, t in self._seen}

    def _stop(self) -> None:
        self.period_ns = 0.0
        self._count = self._clashes = 0
        self._free.clear()


def _usual_period_ns(period_ns: float, count: int) -> float:
    """The period of the rate that trackers have which is nearest to one measured over `count` arrivals, if that may be
    it; else the one measured."""
    nearest_ns = min(USUAL_NS, key=lambda usual_ns: abs(usual_ns - period_ns))
    may_be_off = OFF_BY * (LOOKED_AT / count) ** 1.5 + CRYSTAL
    return nearest_ns if abs(nearest_ns / period_ns - 1.0) < may_be_off else period_ns


def _fitted(numbers: np.ndarray, times: np.ndarray) -> tuple[float, float] | None:
    """Period of the line through arrivals over their slots' numbers, and how far nine of ten are from it, ns; outliers
    aside. None: there is no line."""
    if len(numbers) < LOOKED_AT // 2:
        return None
    keep = np.ones(len(numbers), dtype=bool)
    slope = stray_ns = 0.0
    for _ in range(3):
        n, t = numbers[keep], times[keep]
        n0, t0 = n.mean(), t.mean()
        spread = float(((n - n0) ** 2).sum())
        if spread <= 0.0:
            return None
        slope = float(((n - n0) * (t - t0)).sum()) / spread
        left = np.abs(times - t0 - slope * (numbers - n0))
        stray_ns = float(np.quantile(left, 0.9))
        keep = left <= 2.0 * stray_ns
    return (slope, stray_ns) if slope > 0.0 else None
