"""Takes a network's jitter out of samples whose sender tells no time: trackers sample at an even pace.

Looks at the last arrivals now and then. Where they are those of an even pace that the network has shaken, each datagram
gets the slot it belongs to, slots get a time by the same fitted line that sender's stamps get, and lost ones leave a
slot free. Where arrivals are even anyway, or of no pace at all, they stay as they are.

No sample is refused. Of datagrams that come in one go, because the network stood still, each moves those before it back
into the slots that they left free; one that finds no slot at all stands between two of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from tracking.source_clock import SourceClock

LOOK_EVERY: Final = 64
"""Arrivals are looked at so often, but once a second at most where they are in slots, or need none,"""
LOOKED_AT: Final = 64
"""and so many of them at least."""
FEWEST_FILLED: Final = 0.6
"""Share of the slots that arrivals must fill."""
MOST_SHARED: Final = 0.12
"""Share of arrivals that may fall into a slot that is taken: doubles and overtaken ones."""
LEAST_FOLLOWED: Final = 0.1
"""Share of arrivals that must come in the slot right behind the last one."""
STRAY: Final = 0.35
"""Of the period: so far from its slot's middle nine of ten arrivals are at most."""
SHAKEN_NS: Final = 400_000
"""Arrivals that differ by less need no help, unless two fall into one slot."""
CALM_LOOKS: Final = 16
"""After so many looks at arrivals that need none, they stand again."""
REMEMBERED: Final = 512
OPEN_SLOTS: Final = 4
"""So many slots back a free one is waited for by what was overtaken."""
FEW_SKIPPED: Final = 3
"""What comes after so many slots at most may have been delayed by some of them, rather than follow lost ones."""
IN_TIME: Final = 1.25
"""Of what nine of ten keep to: what comes so near to its slot is in time, and its pose is asked only for so long,"""
DISORDER: Final = 1000
"""so many datagrams, after one that was overtaken."""
RESTART_SLOTS: Final = 40
APART_SHARE: Final = 0.25
"""Of the period: so far one that finds no slot stands from the one before, at least."""
USUAL_SHARE: Final = 0.05
RATES: Final = (24, 25, 30, 48, 50, 60, 72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 240, 250, 300, 360)
DROPPED: Final = (24, 30, 48, 60, 72, 120, 240)
USUAL_NS: Final = (*(1e9 / rate for rate in RATES), *(1.001e9 / rate for rate in DROPPED))
"""Periods of the rates that trackers have."""
OFF_BY: Final = 1.5e-3
"""A period measured over LOOKED_AT arrivals is off by so much at most,"""
ABOUT: Final = 0.05
"""and by so much where the network turns their order about;"""
CRYSTAL: Final = 1e-4
"""and a sender's crystal by so much."""


class _Slot(Struct, frozen=True, gc=False):
    """A slot that the last packets have taken, or left free."""

    number: int
    t_ns: int
    packet_id: int = 0
    """0: free."""
    waited: bool = False
    """Came after a slot left free, or right behind one that did: it may have waited, and belong to an earlier slot."""


class Places(NamedTuple):
    """Where a packet may belong; times on our clock, ns."""

    in_order_ns: int
    """Behind all that have come,"""
    last_ns: int
    """which makes this the time of the one before it,"""
    before_ns: int
    """and this that of the one before that."""
    free_ns: list[int]
    """Or it was overtaken, or late by whole slots, and belongs here."""


Chooser = Callable[[Places], int | None]
"""Which of `free_ns` a packet belongs to, judged by its pose; None: it came in order."""


class EvenPace:
    """One source's pace.

    stagger : puts the first look off by up to half of `LOOK_EVERY`, so that sources that begin together do not all look
        at once.

    Attributes
    ----------
    period_ns : between slots, while arrivals are put into slots; 0 while they are not.
    moved : the times that earlier packets have now, by their ids; to be emptied by who has read it.
    begun : whether slots have just begun: what is in `moved` stood at its arrival before; to be unset likewise.
    disordered : whether some of that came so late that its slot is a guess.
    """

    def __init__(self, stagger: int = 0) -> None:
        self.period_ns = 0.0
        self.moved: dict[int, int] = {}
        self.begun = self.disordered = False
        self._look_every = LOOK_EVERY
        self._count = -(stagger % (LOOK_EVERY // 2))
        self._clock = SourceClock("sample_time")
        self._slots: deque[_Slot] = deque(maxlen=RESTART_SLOTS)
        """One after the other, the newest taken one last."""
        self._label_ns = 0.0
        self._between_ns = 0
        """The last time given to one that found no slot."""
        self._usual_ns = self._stray_ns = 0.0
        """How late datagrams come after their slots, and how far from that nine of ten are at most."""
        self._clashes = self._followed = self._calm_looks = self._disorder = 0
        self._seen: deque[int] = deque(maxlen=REMEMBERED)
        self._seen_ns: deque[int] = deque(maxlen=REMEMBERED)
        """Numbers of slots, and when their packets came."""

    def place(
        self, packet_id: int, arrivals: Sequence[int], choose: Chooser, said: int = 0
    ) -> int | Literal["duplicate"] | None:
        """When a packet's pose was taken, on our clock; None: its arrival tells; or that it came twice.

        packet_id : numbers the source's packets one by one; arrivals : of the last ones, this one included;
        choose : asked when it may have been overtaken; said : how many of the packets right before it were the same,
        byte by byte.
        """
        self._count += 1
        if self._count >= self._look_every and len(arrivals) >= LOOKED_AT:
            self._count = 0
            self._look(packet_id, arrivals)
            if self.begun:
                return self.moved[packet_id]
        if not self.period_ns:
            return None
        t_received_ns, last = arrivals[-1], self._slots[-1]
        late_ns = t_received_ns - last.t_ns - self._usual_ns
        if self._disorder:
            self._disorder -= 1
        if abs(late_ns - self.period_ns) <= IN_TIME * self._stray_ns and not (self._disorder and self._free()):
            # As nearly all are: the next one, in its time.
            return self._follow(packet_id, last.number + 1, t_received_ns)
        steps = round(late_ns / self.period_ns)
        if not -OPEN_SLOTS <= steps <= RESTART_SLOTS:
            self._stop()
            return None
        if steps > 0:
            return self._next(packet_id, steps, t_received_ns, choose)
        run = self._waited()
        if said == 1 or (said and not run):
            # A camera that stands still says the same, too, but not twice in its time.
            return "duplicate"
        return self._back(packet_id, run, choose) if run else self._between(packet_id, t_received_ns, choose)

    def _follow(self, packet_id: int, number: int, t_received_ns: int) -> int:
        """It comes right after the last one: what the line is laid by."""
        self._label_ns += self.period_ns
        t_ns = self._clock.local_ns(round(self._label_ns), t_received_ns)
        self._followed += 1
        self._usual_ns += (t_received_ns - t_ns - self._usual_ns) * USUAL_SHARE
        self._seen.append(number)
        self._seen_ns.append(t_received_ns)
        self._slots.append(_Slot(number, t_ns, packet_id))
        return t_ns

    def _next(self, packet_id: int, steps: int, t_received_ns: int, choose: Chooser) -> int:
        """It comes in its time, or late by whole slots, or was overtaken."""
        last = self._slots[-1]
        label_ns = round(self._label_ns + steps * self.period_ns)
        # Asked first: one that is late by whole slots says nothing about the line.
        t_ns = self._clock.again_ns(label_ns)
        in_time = abs(t_received_ns - t_ns - self._usual_ns) <= IN_TIME * self._stray_ns
        free, free_ns = [], []
        if self._disorder or not in_time:
            free = self._free()
            free_ns = [self._slots[at].t_ns for at in free]
        if steps <= FEW_SKIPPED and not in_time:
            free_ns += [t_ns - round(back * self.period_ns) for back in range(1, steps)]
        chosen = choose(Places(t_ns, last.t_ns, self._before_ns(), free_ns)) if free_ns else None
        if chosen is None and steps == 1:
            return self._follow(packet_id, last.number + 1, t_received_ns)
        if chosen is None:
            # What it came after may have waited with it: then it is late, however early it seems.
            pass
        elif chosen < len(free):
            return self._take_free(packet_id, free[chosen])
        else:
            t_ns = free_ns[chosen]
            steps -= chosen - len(free) + 1
        for back in range(steps - 1, 0, -1):
            self._slots.append(_Slot(last.number + steps - back, t_ns - round(back * self.period_ns)))
        self._slots.append(_Slot(last.number + steps, t_ns, packet_id, steps > 1))
        self._label_ns += steps * self.period_ns
        return t_ns

    def _back(self, packet_id: int, run: int, choose: Chooser) -> int:
        """It came right behind `run` others that waited with it: they move back into the slots they left free."""
        slots = self._slots
        count = len(slots)
        last_ns = slots[count - 2].t_ns
        before_ns = slots[count - 3].t_ns if run > 1 else self._before_ns()
        found = self._overtaken(packet_id, Places(slots[-1].t_ns, last_ns, before_ns, []), choose)
        if found is not None:
            return found
        for at in range(count - run, count):
            slots[at - 1] = here = replace(slots[at], number=slots[at - 1].number, t_ns=slots[at - 1].t_ns)
            self.moved[here.packet_id] = here.t_ns
        slots[-1] = replace(slots[-1], packet_id=packet_id)
        self._calm_looks = 0
        return slots[-1].t_ns

    def _between(self, packet_id: int, t_received_ns: int, choose: Chooser) -> int:
        """Its slot is taken, and nothing says that it should not be: it was overtaken, or sent early."""
        last_ns = max(self._slots[-1].t_ns, self._between_ns)
        t_ns = max(t_received_ns - round(self._usual_ns), last_ns + round(APART_SHARE * self.period_ns))
        found = self._overtaken(packet_id, Places(t_ns, last_ns, self._before_ns(), []), choose)
        if found is not None:
            return found
        self._clashes += 1
        self._calm_looks = 0
        self._between_ns = t_ns
        return t_ns

    def _overtaken(self, packet_id: int, places: Places, choose: Chooser) -> int | None:
        """Give a packet the free slot that it belongs to; None: it came in order."""
        free = self._free()
        if not free:
            return None
        chosen = choose(places._replace(free_ns=[self._slots[at].t_ns for at in free]))
        return None if chosen is None else self._take_free(packet_id, free[chosen])

    def _free(self) -> list[int]:
        """The free ones among the last slots, newest first."""
        slots, count = self._slots, len(self._slots)
        return [at for at in range(count - 2, max(-1, count - 2 - OPEN_SLOTS), -1) if not slots[at].packet_id]

    def _take_free(self, packet_id: int, at: int) -> int:
        """Give a packet one of the free slots."""
        self._slots[at] = replace(self._slots[at], packet_id=packet_id)
        self._calm_looks, self._disorder = 0, DISORDER
        return self._slots[at].t_ns

    def _waited(self) -> int:
        """How many at the end may have waited for each other, with a free slot before them; 0: none."""
        for run, slot in enumerate(reversed(self._slots)):
            if not slot.packet_id:
                return run
            if not slot.waited:
                break
        return 0

    def _before_ns(self) -> int:
        """The time of the one before the newest."""
        slots = self._slots
        for at in range(len(slots) - 2, -1, -1):
            if slots[at].packet_id:
                return slots[at].t_ns
        return slots[-1].t_ns - round(self.period_ns)

    def _look(self, packet_id: int, arrivals: Sequence[int]) -> None:
        if self.period_ns:
            numbers = np.fromiter(self._seen, np.float64, len(self._seen))
            found = _fitted(numbers, np.fromiter(self._seen_ns, np.float64, len(self._seen_ns)))
            clashes, self._clashes = self._clashes, 0
            self._calm_looks += 1
            if found is not None and found[1] > SHAKEN_NS / 2:
                self._calm_looks = 0
            other = clashes > MOST_SHARED * self._look_every or self._followed < LEAST_FOLLOWED * self._look_every
            self._followed = 0
            if found is None or found[1] > STRAY * found[0] or other or self._calm_looks >= CALM_LOOKS:
                # The pace is another one by now, or none; or nothing shakes it.
                self._stop()
            else:
                self.period_ns, self._stray_ns = _usual_period_ns(found[0], len(numbers)), found[1]
            return
        count = len(arrivals)
        came = np.array(arrivals, dtype=np.int64)
        order = np.argsort(came, kind="stable")
        times = came[order].astype(np.float64)
        apart = np.diff(times)
        period_ns = float(np.partition(apart, len(apart) // 2)[len(apart) // 2])
        if period_ns <= 0.0:
            return
        self._look_every = max(LOOK_EVERY, round(1e9 / max(period_ns, 1e6)))
        numbered = _numbered(times, period_ns)
        if numbered is None:
            return
        numbers, period_ns, stray_ns = numbered
        taken = 1 + int(np.count_nonzero(np.diff(numbers)))
        even = taken >= FEWEST_FILLED * (numbers[-1] + 1) and count - taken <= MOST_SHARED * count
        needed = stray_ns > SHAKEN_NS or taken < count
        if not even or not needed or stray_ns > STRAY * period_ns:
            return
        ids = (packet_id - count + 1 + order).tolist()
        self._stray_ns = stray_ns
        self._begin(period_ns, numbers, times, ids)

    def _begin(
        self, period_ns: float, numbers: NDArray[np.float64], times: NDArray[np.float64], ids: list[int]
    ) -> None:
        """Put arrivals, oldest first, into slots from now on."""
        self.period_ns = _usual_period_ns(period_ns, len(numbers))
        self._look_every = max(LOOK_EVERY, round(1e9 / self.period_ns))
        self._clock = SourceClock("sample_time")
        self._label_ns, self._between_ns = 0.0, 0
        self._clashes = self._followed = self._calm_looks = 0
        late = times - numbers * period_ns
        first_ns = round(float(late.min()))
        self._usual_ns = float(late.mean()) - first_ns
        # The line begins under the quickest of those looked at.
        taken = {int(n): packet_id for n, packet_id in zip(numbers, ids, strict=True)}
        self.disordered = len(taken) < len(numbers)
        self._disorder = DISORDER if self.disordered else 0
        slots = [_Slot(n, first_ns + round(n * period_ns), taken.get(n, 0)) for n in range(int(numbers[-1]) + 1)]
        self._slots.clear()
        self._slots.extend(slots)
        self._clock.local_ns(0, slots[-1].t_ns)
        self._seen.clear()
        self._seen_ns.clear()
        self._seen.extend(int(n) for n in numbers)
        self._seen_ns.extend(int(t) for t in times)
        for n, packet_id in zip(numbers, ids, strict=True):
            # One whose slot was taken already stands between two.
            apart_ns = max(slots[int(n)].t_ns, self._between_ns + round(APART_SHARE * period_ns))
            self.moved[packet_id] = self._between_ns = apart_ns
        self.begun = True

    def _stop(self) -> None:
        self.period_ns = 0.0
        self._look_every = LOOK_EVERY
        self._count = self._clashes = 0
        self._slots.clear()


def _usual_period_ns(period_ns: float, count: int) -> float:
    """The period of the rate that trackers have which is nearest to one measured over `count` arrivals, if that may be
    it; else the one measured."""
    nearest_ns = min(USUAL_NS, key=lambda usual_ns: abs(usual_ns - period_ns))
    may_be_off = OFF_BY * (LOOKED_AT / count) ** 1.5 + CRYSTAL
    return nearest_ns if abs(nearest_ns / period_ns - 1.0) < may_be_off else period_ns


def _numbered(times: NDArray[np.float64], period_ns: float) -> tuple[NDArray[np.float64], float, float] | None:
    """Slots of arrivals, oldest first, from 0 on; the period, and how far nine of ten are from their slots, ns. None:
    there is no pace. period_ns : about what it is."""
    best: tuple[NDArray[np.float64], float, float] | None = None
    for usual_ns in USUAL_NS:
        if abs(usual_ns / period_ns - 1.0) > ABOUT:
            continue
        # All at once against one phase: what was overtaken puts no other out of its slot.
        turns = (times - times[0]) / usual_ns
        angles = 2.0 * np.pi * turns
        phase = np.arctan2(np.sin(angles).mean(), np.cos(angles).mean()) / (2.0 * np.pi)
        numbers = np.rint(turns - phase)
        fitted = _fitted(numbers, times)
        if fitted is not None and (best is None or fitted[1] < best[2]):
            best = (numbers, *fitted)
    apart = np.diff(times)
    steps = np.zeros(0)
    for _ in range(3):
        # Of any other pace each slot follows from the one before: an error of the first guess must not add up.
        steps, before = np.rint(apart / period_ns), steps
        if np.array_equal(steps, before):
            break
        numbers = np.concatenate([[0.0], np.cumsum(steps)])
        fitted = _fitted(numbers, times)
        if fitted is None:
            break
        period_ns = fitted[0]
        if best is None or fitted[1] < best[2]:
            best = (numbers, *fitted)
    return None if best is None else (best[0] - best[0][0], best[1], best[2])


def _fitted(numbers: NDArray[np.float64], times: NDArray[np.float64]) -> tuple[float, float] | None:
    """Period of the line through arrivals over their slots' numbers, and how far nine of ten are from it, ns; outliers
    aside. None: there is no line."""
    count = len(numbers)
    if count < LOOKED_AT // 2:
        return None
    rank = min(count - 1, round(0.9 * (count - 1)))
    keep: slice | NDArray[np.bool_] = slice(None)
    slope = stray_ns = 0.0
    for _ in range(3):
        n, t = numbers[keep], times[keep]
        n0, t0 = n.mean(), t.mean()
        n, t = n - n0, t - t0
        spread = float(n @ n)
        if spread <= 0.0:
            return None
        slope = float(n @ t) / spread
        left = np.abs(times - t0 - slope * (numbers - n0))
        # Not np.quantile: its first call imports half of numpy, in the middle of a show.
        stray_ns = float(np.partition(left, rank)[rank])
        keep = left <= 2.0 * stray_ns
    return (slope, stray_ns) if slope > 0.0 else None
