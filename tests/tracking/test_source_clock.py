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
    assert clock.jumps == 1


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
    assert SourceClock("sample").local_ns(EPOCH, 7) == 7


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
