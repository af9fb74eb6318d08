"""Time from counters and time code: wraps, losses, lateness, packets between frames, midnight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stage.rate import Rate
from tracking.protocols.counters import DAY_S, CounterClock, TimecodeClock


@given(st.integers(2, 4096), st.lists(st.integers(0, 2**40), min_size=1, max_size=50), st.integers(0, 255))
def test_a_counter_unwraps(modulus: int, steps: list[int], first: int) -> None:
    clock = CounterClock(modulus, Rate(60000, 1001))
    n = 0
    assert clock.t_ns(first % modulus) == 0
    for step in steps:
        n += step % (modulus // 2 + 1)
        assert clock.t_ns((first + n) % modulus) == Rate(60000, 1001).deadline_ns(0, n)


def test_a_late_packet_keeps_its_place() -> None:
    clock = CounterClock(16, Rate(100))
    assert [clock.t_ns(n) for n in (14, 15, 1, 0, 2)] == [0, 10_000_000, 30_000_000, 20_000_000, 40_000_000]


@given(st.sampled_from([24, 25, 30]), st.integers(1, 8), st.integers(0, DAY_S * 30), st.lists(st.integers(0, 40)))
def test_time_code_with_several_packets_a_frame(fps: int, held: int, begin: int, lost: list[int]) -> None:
    clock = TimecodeClock(16)
    day = DAY_S * fps
    learned = False
    for n in range(12 * held):
        if n in lost and n >= 3 * held:
            continue
        frame = (begin + n // held) % day
        seconds, frames = divmod(frame, fps)
        t_ns = clock.t_ns(seconds // 3600, seconds // 60 % 60, seconds % 60, frames, fps, n % 16)
        if n >= 3 * held and held > 1:
            learned = True
        if t_ns is not None and (learned or n % held == 0):
            expected = Rate(fps * held).deadline_ns(0, begin % day * held + n)
            # Losses may hide how far into its frame a packet is, never by more than that frame.
            assert abs(t_ns - expected) <= (0 if not lost else Rate(fps).period_ns)


def test_time_code_back_over_midnight() -> None:
    clock = TimecodeClock(16)
    first = clock.t_ns(0, 0, 0, 0, 25, 0)
    before = clock.t_ns(23, 59, 59, 24, 25, 1)
    assert (first, before) == (0, -40_000_000)
