"""Senders' clocks: jitter taken out, drift and jumps followed, stopped clocks not believed; senders told apart."""

from __future__ import annotations

from random import Random

import pytest

from tracking.senders_seen import RateCap, SenderLock
from tracking.source_clock import SourceClock

MS = 1_000_000
S = 1_000_000_000
EPOCH = 1_718_806_554 * S


def test_jitter_is_taken_out() -> None:
    random = Random(1)
    clock = SourceClock()
    errors = []
    for n in range(500):
        t = n * 40 * MS
        delay = 2 * MS + int(random.random() * 8 * MS)
        errors.append(clock.local_ns(EPOCH + t, t + delay) - t)
    # All samples are mapped alike, whatever their datagrams' delay, and none into the future.
    assert max(errors[100:]) - min(errors[100:]) < 0.6 * MS
    assert all(2 * MS <= e <= 10 * MS for e in errors)
    assert clock.jumps == 0


def test_drift_is_followed() -> None:
    clock = SourceClock()
    for n in range(5000):
        t = n * 10 * MS
        local = clock.local_ns(EPOCH + int(t * 1.0002), t)
        assert abs(local - t) < 1 * MS


@pytest.mark.parametrize("jump_s", [3600, -3600, 1, -1, 86_400])
def test_a_jump_is_followed_within_a_second(jump_s: int) -> None:
    clock = SourceClock()
    for n in range(100):
        clock.local_ns(EPOCH + n * 40 * MS, n * 40 * MS)
    wrong = 0
    for n in range(100, 200):
        local = clock.local_ns(EPOCH + jump_s * S + n * 40 * MS, n * 40 * MS)
        wrong += abs(local - n * 40 * MS) > 5 * MS
    assert wrong <= 3
    # A day on, or back, is midnight: the clock ran on.
    assert (clock.jumps, clock.wraps) == ((0, 1) if jump_s == 86_400 else (1, 0))


@pytest.mark.parametrize("ppm", [-200, -20, 0, 20, 200])
def test_the_drift_is_told(ppm: int) -> None:
    random = Random(3)
    clock = SourceClock()
    errors = []
    for n in range(240 * 40):
        t = n * S // 240
        delay = 1 * MS + int(random.random() * 4 * MS)
        errors.append(clock.local_ns(EPOCH + t + t * ppm // 1_000_000, t + delay) - t)
    assert clock.drift_ppm == pytest.approx(-ppm, abs=10)
    # A clock that runs off by 0.2 ms a second costs nothing once that is known.
    late = errors[len(errors) // 2 :]
    assert max(late) - min(late) < 0.3 * MS
    assert (clock.jumps, clock.wraps) == (0, 0)


@pytest.mark.parametrize("step_ms", [-60, -20, 20, 60])
@pytest.mark.parametrize("hz", [25, 240])
def test_small_steps_are_followed_within_a_second_too(step_ms: int, hz: int) -> None:
    random = Random(4)
    clock = SourceClock()
    for n in range(5 * hz):
        clock.local_ns(EPOCH + n * S // hz, n * S // hz + int(random.random() * 2 * MS))
    wrong_ns = []
    for n in range(5 * hz, 9 * hz):
        t = n * S // hz
        local = clock.local_ns(EPOCH + step_ms * MS + t, t + int(random.random() * 2 * MS))
        if abs(local - t) > 3 * MS:
            wrong_ns.append(t - 5 * S)
    assert max(wrong_ns, default=0) < 1 * S


def test_midnight_is_unwrapped_however_often() -> None:
    clock = SourceClock()
    day = 86_400 * S
    for n in range(300):
        t = n * 40 * MS
        assert clock.local_ns((day - 4 * S + t) % day, t) == t
    for days in (1, 2):
        for n in range(300):
            t = days * day - 4 * S + n * 40 * MS
            assert abs(clock.local_ns((day - 4 * S + t) % day, t) - t) < 1 * MS
    assert (clock.jumps, clock.wraps) == (0, 3)


def test_one_delayed_datagram_is_no_jump() -> None:
    clock = SourceClock()
    for n in range(50):
        clock.local_ns(EPOCH + n * 40 * MS, n * 40 * MS)
    assert clock.local_ns(EPOCH + 50 * 40 * MS, 50 * 40 * MS + 300 * MS) == 50 * 40 * MS
    assert clock.local_ns(EPOCH + 51 * 40 * MS, 51 * 40 * MS) == 51 * 40 * MS
    assert clock.jumps == 0


def test_a_clock_that_stands_still_is_not_believed() -> None:
    clock = SourceClock()
    locals_ns = [clock.local_ns(EPOCH, n * 40 * MS) for n in range(10)]
    assert locals_ns[3:] == [n * 40 * MS for n in range(3, 10)]
    stalled = [clock.stalled]
    for n in range(10, 60):
        clock.local_ns(EPOCH + n * 40 * MS, n * 40 * MS)
    stalled.append(clock.stalled)
    assert stalled == [True, False]
    assert SourceClock("sample_time").local_ns(EPOCH, 7) == 7


def test_a_stamp_that_is_said_again_is_the_same_instant() -> None:
    """With a drift known, the line has moved on a little: not the stamp."""
    clock = SourceClock()
    stamp = local = t_ns = 0
    for n in range(120 * 30):
        t_ns = n * S // 120
        stamp = EPOCH + t_ns + int(t_ns * 200e-6)
        local = clock.local_ns(stamp, t_ns)
    assert clock.drift_ppm < -150.0
    assert clock.local_ns(stamp, t_ns + S // 120) == local
    assert clock.local_ns(stamp, t_ns + 2 * S // 120) == t_ns + 2 * S // 120, "then it stands, and arrivals count"


def test_modes() -> None:
    assert SourceClock("arrival").local_ns(EPOCH, 5 * MS) == 5 * MS
    assert SourceClock("auto").local_ns(None, 5 * MS) == 5 * MS


A, B, ELSEWHERE = ("127.0.0.1", 5000), ("127.0.0.1", 5001), ("10.0.0.9", 5000)


def test_the_first_sender_keeps_the_source() -> None:
    lock = SenderLock()
    for n in range(20):
        assert lock.lets_in(A, n * 40 * MS)
        assert lock.lets_in(B, n * 40 * MS + MS) is (n < 2)
        assert not lock.lets_in(ELSEWHERE, n * 40 * MS + 2 * MS)
    assert lock.contested(800 * MS)
    assert lock.holder == A
    # Silent for half a second, the first has gone.
    assert not lock.lets_in(B, 19 * 40 * MS + 400 * MS)
    assert lock.lets_in(B, 19 * 40 * MS + 600 * MS)
    assert lock.holder == B
    assert not lock.contested(5 * S)


def test_a_socket_for_every_datagram_is_one_sender() -> None:
    lock = SenderLock()
    assert all(lock.lets_in(("127.0.0.1", 40_000 + n), n * 40 * MS) for n in range(500))


def test_rate_cap_counts_by_arrival() -> None:
    cap = RateCap(240.0)
    # A second of backlog, read in one go, is not a flood.
    assert all(cap.lets_in("a", n * S // 240) for n in range(480))
    flood = RateCap(100.0)
    let_in = sum(flood.lets_in("a", n * S // 10_000) for n in range(20_000))
    assert 100 <= let_in <= 320
    assert flood.lets_in("b", S)
