"""Clocks: the real one, the virtual one, and kernel stamps through a step of the time of day."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import (
    ANCILLARY_BYTES,
    NS_PER_MS,
    NS_PER_S,
    StampConverter,
    SystemClock,
    VirtualClock,
    enable_kernel_stamps,
    kernel_stamp_ns,
    tai_at_ns,
)
from runtime.errors import VirtualTimeError


def test_the_system_clock_is_monotonic_time() -> None:
    clock = SystemClock()
    assert time.monotonic_ns() <= clock.now_ns() <= time.monotonic_ns()


def test_tai_is_ahead_of_utc_by_the_leap_seconds_also_when_the_kernel_does_not_know_them() -> None:
    clock = SystemClock()
    ahead_s = (clock.tai_ns() - time.time_ns()) / NS_PER_S
    assert ahead_s == pytest.approx(clock.tai_offset_s, abs=0.5)
    assert 37 <= clock.tai_offset_s <= 40
    assert tai_at_ns(clock, clock.now_ns() + NS_PER_S) == pytest.approx(clock.tai_ns() + NS_PER_S, abs=NS_PER_S // 2)


def test_sleeping_never_wakes_early_and_a_passed_deadline_returns_at_once() -> None:
    clock = SystemClock()
    for ahead_ns in (0, 1, 50_000, 3 * NS_PER_MS):
        deadline_ns = clock.now_ns() + ahead_ns
        clock.sleep_until(deadline_ns)
        assert clock.now_ns() >= deadline_ns
    began_ns = clock.now_ns()
    clock.sleep_until(began_ns - 10 * NS_PER_S)
    assert clock.now_ns() - began_ns < NS_PER_S


def test_virtual_calls_run_in_order_each_at_its_own_time() -> None:
    clock = VirtualClock(0)
    seen: list[tuple[str, int]] = []
    for t_ns, name in ((30, "c"), (10, "b"), (10, "a"), (50, "late")):
        clock.call_at(t_ns, lambda name=name: seen.append((name, clock.now_ns())), name=name)  # type: ignore[misc]
    clock.call_at(20, lambda: seen.append(("never", 0))).cancel()
    clock.sleep_until(40)
    assert seen == [("a", 10), ("b", 10), ("c", 30)]
    assert clock.now_ns() == 40
    assert clock.next_due_ns() == 50


def test_a_jump_is_a_stall_and_what_came_due_runs_late() -> None:
    clock = VirtualClock(0)
    seen: list[int] = []
    clock.call_at(10, lambda: seen.append(clock.now_ns()))
    clock.jump(100)
    assert seen == []
    clock.advance_by(0)
    assert seen == [100]
    with pytest.raises(VirtualTimeError, match="never runs back"):
        clock.jump(-1)


def test_a_call_may_sleep_as_long_as_its_sleeper_but_not_longer() -> None:
    clock = VirtualClock(0)
    seen: list[int] = []

    def nap(until_ns: int) -> None:
        clock.sleep_until(until_ns)
        seen.append(clock.now_ns())

    clock.call_at(10, lambda: nap(40))
    clock.call_at(20, lambda: seen.append(clock.now_ns()))
    clock.sleep_until(50)
    assert seen == [20, 40]
    clock.call_at(60, lambda: nap(200))
    with pytest.raises(VirtualTimeError, match="own_thread=True"):
        clock.sleep_until(100)


def test_a_step_of_the_time_of_day_moves_labels_only() -> None:
    clock = VirtualClock(5)
    tai_ns = clock.tai_ns()
    clock.step_tai(-NS_PER_S)
    assert (clock.now_ns(), clock.tai_ns()) == (5, tai_ns - NS_PER_S)


@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(0, 1000))
def test_exactly_what_is_due_runs(times_ns: list[int], until_ns: int) -> None:
    clock = VirtualClock(0)
    seen: list[int] = []
    for t_ns in times_ns:
        clock.call_at(t_ns, lambda: seen.append(clock.now_ns()))
    clock.advance_to(until_ns)
    assert seen == sorted(t_ns for t_ns in times_ns if t_ns <= until_ns)


def test_the_kernel_stamps_a_datagram_and_the_stamp_becomes_monotonic_time() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        if not enable_kernel_stamps(receiver):
            pytest.skip("this kernel does not stamp datagrams")
        converter = StampConverter()
        before_ns = time.monotonic_ns()
        sender.sendto(b"hello", receiver.getsockname())
        sent_ns = time.monotonic_ns()
        time.sleep(0.02)  # the stamp must be of the arrival, not of the receipt
        _, ancillary, _, _ = receiver.recvmsg(64, ANCILLARY_BYTES)
        stamp_ns = kernel_stamp_ns(ancillary)
        assert stamp_ns is not None
        assert before_ns - NS_PER_MS <= converter.monotonic_ns(stamp_ns) <= sent_ns + 10 * NS_PER_MS


def test_no_stamp_means_now() -> None:
    assert kernel_stamp_ns([]) is None
    assert kernel_stamp_ns([(socket.SOL_SOCKET, 35, b"short")]) is None
    before_ns = time.monotonic_ns()
    assert before_ns <= StampConverter().monotonic_ns(None) <= time.monotonic_ns()


class TwoClocks:
    """Monotonic and real time that a test moves apart."""

    def __init__(self) -> None:
        self.monotonic_ns = 1000 * NS_PER_S
        self.real_ns = 1_700_000_000 * NS_PER_S

    def go_on(self, by_ns: int) -> None:
        self.monotonic_ns += by_ns
        self.real_ns += by_ns

    def converter(self) -> StampConverter:
        return StampConverter(lambda: self.monotonic_ns, lambda: self.real_ns)


@pytest.mark.parametrize("step_s", [3600, -3600, 0.5, -0.5])
def test_stamps_from_before_and_after_a_step_are_both_right(step_s: float) -> None:
    clocks = TwoClocks()
    converter = clocks.converter()
    stamped_ns, before_step_ns = clocks.monotonic_ns, clocks.real_ns
    clocks.go_on(3 * NS_PER_MS)
    clocks.real_ns += round(step_s * NS_PER_S)
    stamped_later_ns, after_step_ns = clocks.monotonic_ns, clocks.real_ns
    clocks.go_on(2 * NS_PER_MS)
    assert converter.monotonic_ns(before_step_ns) == stamped_ns
    assert converter.monotonic_ns(after_step_ns) == stamped_later_ns
    assert converter.steps == 1


def test_a_stamp_is_never_in_the_future() -> None:
    clocks = TwoClocks()
    assert clocks.converter().monotonic_ns(clocks.real_ns + 5 * NS_PER_S) == clocks.monotonic_ns


def test_a_long_queue_keeps_its_true_age() -> None:
    clocks = TwoClocks()
    converter = clocks.converter()
    stamp_ns, stamped_ns = clocks.real_ns, clocks.monotonic_ns
    clocks.go_on(30 * NS_PER_S)
    assert converter.monotonic_ns(stamp_ns) == stamped_ns


def test_under_a_virtual_clock_a_datagram_came_now() -> None:
    clock = VirtualClock(5 * NS_PER_S)
    converter = StampConverter.of(clock)
    clock.jump(NS_PER_S)
    assert converter.monotonic_ns(time.time_ns()) == clock.now_ns()
    now_ns = time.monotonic_ns()
    assert abs(StampConverter.of(SystemClock()).monotonic_ns(time.time_ns()) - now_ns) < NS_PER_S


def test_another_thread_may_sleep_in_its_own_way() -> None:
    clock = VirtualClock(0)
    slept: list[int] = []

    def body() -> None:
        clock.on_thread(threading.get_ident(), slept.append)
        clock.sleep_until(70)
        clock.on_thread(threading.get_ident(), None)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert (slept, clock.now_ns()) == ([70], 0)
