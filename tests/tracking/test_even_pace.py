"""Arrivals of an even pace that a network has shaken get the times they were sampled at; others are left alone."""

from __future__ import annotations

from collections import deque
from random import Random

import numpy as np
import pytest

from tracking.even_pace import EvenPace

S, MS = 1_000_000_000, 1_000_000


def placed(arrivals: list[int]) -> tuple[EvenPace, list[int | None]]:
    """What each arrival becomes; None: refused. Arrivals before slots begin are themselves."""
    pace, last = EvenPace(), deque[int](maxlen=128)
    out: list[int | None] = []
    for t_ns in arrivals:
        last.append(t_ns)
        slots = pace.slots(t_ns, last)
        if not slots:
            out.append(t_ns)
        else:
            out.append(slots[0].t_ns if pace.took(slots[0], t_ns) else None)
    return pace, out


@pytest.mark.parametrize("hz", [24000 / 1001, 25.0, 50.0, 60000 / 1001, 60.0, 57.3, 100.0])
def test_jitter_is_taken_out(hz: float) -> None:
    random = Random(hz)
    true = [round(n * S / hz) for n in range(int(14 * hz))]
    arrivals = sorted(t + 2 * MS + int(random.random() * min(8 * MS, 0.5 * S / hz)) for t in true)
    pace, out = placed(arrivals)
    assert pace.period_ns == pytest.approx(S / hz, rel=3e-4)
    late = [o - t for o, t in zip(out, true, strict=True) if o is not None][len(true) // 2 :]
    assert np.std(late) < 0.25 * MS
    assert np.abs(np.diff(late)).max() < 0.05 * MS
    assert 1.5 * MS < np.mean(late) < 3.0 * MS


def test_what_is_lost_leaves_its_slot_free_and_what_comes_twice_is_told() -> None:
    random = Random(1)
    arrivals, true = [], []
    for n in range(600):
        if random.random() < 0.05:
            continue
        arrivals.append(n * S // 60 + int(random.random() * 7 * MS))
        true.append(n * S // 60)
        if n > 300 and n % 20 == 0:
            arrivals.append(arrivals[-1] + MS)
            true.append(-1)
    _, out = placed(arrivals)
    pairs = list(zip(out, true, strict=True))[len(true) // 2 :]
    assert all(o is None or abs(o - t) > 4 * MS for o, t in pairs if t < 0)
    assert np.mean([o is not None and abs(o - t) < 1 * MS for o, t in pairs if t >= 0]) > 0.97


def test_even_arrivals_and_arrivals_of_no_pace_stay() -> None:
    random = Random(2)
    even = [n * S // 60 + int(random.random() * 0.1 * MS) for n in range(600)]
    assert placed(even)[1] == even
    t, wild = 0, []
    for _ in range(600):
        t += int(random.expovariate(60.0) * S) + MS
        wild.append(t)
    assert placed(wild)[1] == wild


def test_another_rate_and_a_pause_begin_anew() -> None:
    random = Random(3)
    times = [n * S // 60 for n in range(400)]
    times += [times[-1] + 3 * S + n * S // 50 for n in range(600)]
    arrivals = [t + int(random.random() * 6 * MS) for t in times]
    pace, out = placed(arrivals)
    assert pace.period_ns == pytest.approx(S / 50, rel=3e-4)
    assert sum(o is None for o in out) < 12
    late = [o - t for o, t in zip(out, times, strict=True) if o is not None][-200:]
    assert np.std(late) < 0.2 * MS
