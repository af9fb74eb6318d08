"""Arrivals of an even pace that a network has shaken get the times they were sampled at; others are left alone."""

from __future__ import annotations

from collections import deque
from random import Random

import numpy as np
import pytest

from tracking.even_pace import EvenPace

S, MS = 1_000_000_000, 1_000_000


def placed(arrivals: list[int], said: list[int] | None = None) -> tuple[EvenPace, list[int | None]]:
    """What each arrival, in order, becomes in the end; None: told as a double. Arrivals before slots begin are
    themselves until then."""
    pace, last = EvenPace(), deque[int](maxlen=128)
    out: dict[int, int | None] = {}
    for packet_id, t_ns in enumerate(arrivals, 1):
        last.append(t_ns)
        found = pace.place(packet_id, last, lambda _: None, 0 if said is None else said[packet_id - 1])
        out.update(pace.moved)
        pace.moved = {}
        out[packet_id] = t_ns if found is None else None if found == "duplicate" else found
        pace.begun = False
    return pace, list(out.values())


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
    arrivals, true, said = [], [], []
    for n in range(600):
        if random.random() < 0.05:
            continue
        arrivals.append(n * S // 60 + int(random.random() * 7 * MS))
        true.append(n * S // 60)
        said.append(0)
        if n > 300 and n % 20 == 0:
            arrivals.append(arrivals[-1] + MS)
            true.append(-1)
            said.append(1)
    _, out = placed(arrivals, said)
    pairs = list(zip(out, true, strict=True))[len(true) // 2 :]
    assert all(o is None for o, t in pairs if t < 0)
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
    assert None not in out
    late = [o - t for o, t in zip(out, times, strict=True) if o is not None][-200:]
    assert np.std(late) < 0.2 * MS


@pytest.mark.parametrize("hz", [60, 240])
@pytest.mark.parametrize("queue_ms", [20, 60, 150])
def test_what_comes_in_one_go_goes_back_to_where_it_belongs(hz: int, queue_ms: int) -> None:
    random = Random(4)
    jitter_ns = min(6 * MS, S // hz // 2)
    true = [n * S // hz for n in range(10 * hz)]
    arrivals = [t + int(random.random() * jitter_ns) for t in true]
    queued = [n for n, t in enumerate(true) if t > 5 * S and t % S < queue_ms * MS]
    for n in queued:
        arrivals[n] = max(arrivals[n], true[n] // S * S + queue_ms * MS + n % 10 * 1000)
    for n in range(1, len(arrivals)):
        arrivals[n] = max(arrivals[n], arrivals[n - 1] + 1000)
    pace, out = placed(arrivals)
    assert pace.period_ns == pytest.approx(S / hz, rel=3e-4)
    assert None not in out
    late_ms = np.array([(o - t) / MS for o, t in zip(out, true, strict=True) if o is not None])
    assert len(queued) >= 4 * queue_ms * hz // 1000
    assert np.abs(late_ms[queued]).max() < 0.25 * 1000 / hz
    assert np.all(np.diff(late_ms[3 * hz :]) > -1000 / hz)


def test_one_that_finds_no_slot_stands_between_two() -> None:
    random = Random(5)
    arrivals = [n * S // 60 + int(random.random() * 6 * MS) for n in range(600)]
    more = [400, 450, 451, 500]
    for n in more:
        arrivals.append(arrivals[n] + 100_000)
    arrivals.sort()
    pace, out = placed(arrivals)
    times = [o for o in out if o is not None]
    assert len(times) == len(arrivals)
    assert sorted(set(times)) == times
    # It throws nothing else off its slot.
    late = [t - round(t * 60 / S) * S // 60 for t in times[-60:]]
    assert np.std(late) < 0.2 * MS
    assert pace.period_ns == pytest.approx(S / 60, rel=3e-4)


def test_a_camera_that_stands_still_says_the_same_in_its_time() -> None:
    random = Random(6)
    arrivals = [n * S // 60 + int(random.random() * 6 * MS) for n in range(300)]
    # The network stood still, and five came in one go.
    for n in range(250, 255):
        arrivals[n] = 254 * S // 60 + 5 * MS + n
    said = [8] * len(arrivals)
    arrivals.insert(280, arrivals[279] + MS)
    said.insert(280, 8)
    _, out = placed(arrivals, said)
    assert [n for n, o in enumerate(out) if o is None] == [280]


def test_slots_end_when_nothing_shakes_the_arrivals_any_more() -> None:
    random = Random(7)
    arrivals = [n * S // 60 + int(random.random() * (6 if n < 300 else 0.05) * MS) for n in range(300 + 24 * 64)]
    pace, out = placed(arrivals)
    assert pace.period_ns == 0.0
    assert None not in out
    assert out[-64:] == arrivals[-64:]


def test_looks_of_sources_that_begin_together_are_apart() -> None:
    looks: list[int] = []
    for stagger in range(16):
        pace, last = EvenPace(stagger), deque[int](maxlen=128)
        for n in range(160):
            last.append(n * S // 60 + n * n % 7 * MS)
            pace.place(n + 1, last, lambda _: None)
            if pace.begun:
                looks.append(n)
                break
    assert len(looks) == 16
    assert max(looks.count(n) for n in looks) <= 2
