"""How packets arrive: rate, jitter, loss, doubles, order. By the sender's counter where it has one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from stage.frames import Array
from tracking.doctor.findings import Flow

RESTART_S: Final = 2.0
"""A counter that leaps so much farther than the time does has begun anew."""
FEW: Final = 5
"""Below so many packets nothing is said about their pace."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One packet of a body, as far as its arrival is concerned."""

    t_ns: int
    counter: int | None
    t_source_ns: int | None
    digest: int
    """Equal for packets of equal bytes."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Packets by the sender's count."""

    numbers: list[int]
    """Of each packet that is no double, in order of arrival."""
    times_ns: list[int]
    doubles: int
    overtaken: list[int]
    """Which of them came after a younger one."""
    lost: int
    step: int
    """How far the counter goes from packet to packet."""
    restarts: int


def flow_of(marks: Sequence[Mark], modulus: int | None, *, doubles: int = 0) -> Flow:
    """How a body's packets arrive.

    modulus: of the counter; None: it has none. doubles: how many identical datagrams were already taken out.
    """
    n = len(marks)
    if n < 2:
        return Flow(n + doubles)
    arrivals = sorted(mark.t_ns for mark in marks)
    gaps_ns = [b - a for a, b in pairwise(arrivals)]
    seconds_s = (arrivals[-1] - arrivals[0]) / 1e9
    longest_ms = max(gaps_ns) / 1e6
    if n < FEW or seconds_s <= 0.0:
        return Flow(n + doubles, seconds_s, (n - 1) / seconds_s if seconds_s > 0.0 else 0.0, longest_gap_ms=longest_ms)
    counted = counted_of(marks, modulus) if modulus is not None else None
    by = "counter"
    if counted is None:
        counted, by = _by_source_time(marks), "time"
    if counted is None:
        counted, by = _by_arrivals(marks), "arrivals"
    kept = len(counted.numbers)
    period_ns, late_ns = _pace(np.array(counted.numbers, dtype=np.float64), np.array(counted.times_ns, np.float64))
    if len(counted.overtaken) < kept // 2:
        # Packets that were overtaken are told as such; how evenly the others come is another matter.
        late_ns = np.delete(late_ns, counted.overtaken)
    rate_hz = 1e9 / (period_ns * counted.step) if period_ns > 0.0 else (kept - 1) / seconds_s
    total = kept + counted.doubles + doubles
    return Flow(
        packets=total,
        seconds_s=seconds_s,
        rate_hz=rate_hz,
        jitter_ms=float(np.std(late_ns)) / 1e6,
        latest_ms=float(np.percentile(late_ns, 99) - late_ns.min()) / 1e6,
        lost_ratio=counted.lost / (counted.lost + kept),
        duplicate_ratio=(counted.doubles + doubles) / total,
        reorder_ratio=len(counted.overtaken) / kept,
        longest_gap_ms=longest_ms,
        counted_by=by,
    )


def counted_of(marks: Sequence[Mark], modulus: int) -> Counted | None:
    """Packets by a counter that wraps at `modulus`; None: it does not count them."""
    if any(mark.counter is None for mark in marks):
        return None
    period_ns = _usual_step(sorted(mark.t_ns for mark in marks))
    numbers: list[int] = []
    times_ns: list[int] = []
    seen: set[int] = set()
    doubles = restarts = lost = 0
    overtaken: list[int] = []
    newest, newest_raw, newest_ns = 0, marks[0].counter or 0, marks[0].t_ns
    begin = 0
    steps: Counter[int] = Counter()
    for mark in marks:
        raw = mark.counter or 0
        d = (raw - newest_raw) % modulus
        if d > modulus // 2:
            d -= modulus
        elapsed = (mark.t_ns - newest_ns) / period_ns if period_ns else 0.0
        if modulus <= 256 and elapsed > modulus / 2:
            # A short counter went round while nothing came.
            d += modulus * round((elapsed - d) / modulus)
        if numbers and d > 0 and (d - elapsed) * period_ns > RESTART_S * 1e9 and d > 4 * max(1, _mode(steps)):
            restarts += 1
            lost += _missing(begin, newest, seen, _mode(steps))
            # A new count: it goes on as if nothing had been missed.
            d = max(1, _mode(steps))
            begin = newest + d
            seen = set()
        elif d < 0 and -d * period_ns > RESTART_S * 1e9:
            restarts += 1
            lost += _missing(begin, newest, seen, _mode(steps))
            d = max(1, _mode(steps))
            begin = newest + d
            seen = set()
        number = newest + d
        if number in seen:
            doubles += 1
            continue
        if d < 0:
            overtaken.append(len(numbers))
        else:
            if numbers:
                steps[d] += 1
            newest, newest_raw, newest_ns = number, raw, mark.t_ns
        seen.add(number)
        numbers.append(number)
        times_ns.append(mark.t_ns)
    step = _mode(steps)
    if len(numbers) < FEW or doubles > len(marks) // 2 or step == 0 or steps[step] < len(numbers) // 3:
        return None
    lost += _missing(begin, newest, seen, step)
    return Counted(numbers, times_ns, doubles, overtaken, lost, step, restarts)


def _missing(begin: int, newest: int, seen: set[int], step: int) -> int:
    first = min(seen, default=begin)
    return max(0, (newest - first) // max(step, 1) + 1 - len(seen))


def _mode(steps: Counter[int]) -> int:
    return steps.most_common(1)[0][0] if steps else 0


def _by_source_time(marks: Sequence[Mark]) -> Counted | None:
    """Packets by the sender's own time; None: it has none that runs evenly."""
    stamps = [mark.t_source_ns for mark in marks if mark.t_source_ns is not None]
    if len(stamps) < len(marks):
        return None
    period_ns = _usual_step(sorted(stamps))
    if period_ns <= 0 or len(set(stamps)) < 0.6 * len(stamps):
        return None
    span_ns = max(stamps) - min(stamps)
    if abs(span_ns - (marks[-1].t_ns - marks[0].t_ns)) > 0.2 * span_ns + 1e9:
        return None  # its clock was set meanwhile
    numbers: list[int] = []
    times_ns: list[int] = []
    seen: set[int] = set()
    doubles = 0
    overtaken: list[int] = []
    newest = -1
    for mark in marks:
        assert mark.t_source_ns is not None
        number = round((mark.t_source_ns - stamps[0]) / period_ns)
        if number in seen:
            doubles += 1
            continue
        if number < newest:
            overtaken.append(len(numbers))
        newest = max(newest, number)
        seen.add(number)
        numbers.append(number)
        times_ns.append(mark.t_ns)
    if len(numbers) < FEW:
        return None
    return Counted(numbers, times_ns, doubles, overtaken, _missing(0, newest, seen, 1), 1, 0)


def _by_arrivals(marks: Sequence[Mark]) -> Counted:
    """Packets by an even pace fitted to their arrivals: what order they were sent in, nobody can tell."""
    ordered = sorted(marks, key=lambda mark: mark.t_ns)
    period_ns = _usual_step([mark.t_ns for mark in ordered])
    kept = [ordered[0]]
    doubles = 0
    for mark in ordered[1:]:
        if mark.digest == kept[-1].digest and mark.t_ns - kept[-1].t_ns < 0.3 * period_ns:
            doubles += 1
        else:
            kept.append(mark)
    times = np.array([mark.t_ns for mark in kept], dtype=np.float64)
    gaps = np.diff(times)
    if period_ns <= 0 or len(kept) < FEW or float(np.median(np.abs(gaps - period_ns))) > 0.3 * period_ns:
        return Counted(list(range(len(kept))), [mark.t_ns for mark in kept], doubles, [], 0, 1, 0)
    numbers = np.concatenate(([0.0], np.cumsum(np.maximum(np.rint(gaps / period_ns), 0.0))))
    for _ in range(3):
        slope, offset = _line(numbers, times)
        if slope <= 0.0:
            break
        numbers = np.rint((times - offset) / slope)
    lost = max(0, int(numbers.max() - numbers.min()) + 1 - len(kept))
    return Counted([int(v) for v in numbers], [mark.t_ns for mark in kept], doubles, [], lost, 1, 0)


def _usual_step(sorted_ns: Sequence[int]) -> float:
    gaps = np.diff(np.array(sorted_ns, dtype=np.float64))
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else 0.0


def _line(numbers: Array, times_ns: Array) -> tuple[float, float]:
    """Slope and offset of the line through packets' times."""
    centre = numbers.mean()
    spread = float(((numbers - centre) ** 2).sum())
    if spread == 0.0:
        return 0.0, float(times_ns.mean())
    slope = float(((numbers - centre) * (times_ns - times_ns.mean())).sum()) / spread
    return slope, float(times_ns.mean() - slope * centre)


def _pace(numbers: Array, times_ns: Array) -> tuple[float, Array]:
    """Period of one count, ns, and how late each packet is against an even pace."""
    slope, offset = _line(numbers, times_ns)
    return slope, np.asarray(times_ns - (offset + slope * numbers))
