"""A starved process is left alone, a hung one is found in time: with a clock and queues of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from controller.processes.hang import STARVED_MOST, HangWatch, Waits, waits_of
from controller.processes.run_spec import HeartbeatSpec

S = 1_000_000_000
TICK_NS = S // 20
MAIN, OTHER = 100, 101


class Process:
    """A process that gets so much of a processor, and beats after so much work."""

    def __init__(self, *, share: float = 1.0, work_s: float = 1e9, queued: bool = True) -> None:
        self.share, self.work_ns, self.queued = share, work_s * S, queued
        self.waits: dict[int, int] = {MAIN: 7 * S, OTHER: 0}
        self.watch = HangWatch(HeartbeatSpec("x.beat", timeout_s=2.0, start_timeout_s=60.0), lambda: dict(self.waits))

    def found_after_s(self, *, first: bool = False, most_s: float = 1000.0, thread: int = MAIN) -> float | None:
        """When it is found hung; None: it beats before."""
        done_ns = 0.0
        for now_ns in range(0, round(most_s * S), TICK_NS):
            if done_ns >= self.work_ns:
                return None
            if self.watch.hung(0, now_ns, first=first):
                return now_ns / S
            done_ns += TICK_NS * self.share
            if self.queued:
                self.waits[thread] += round(TICK_NS * (1.0 - self.share))
        raise AssertionError("nobody ever found it")


@pytest.mark.parametrize(("first", "patience_s"), [(False, 2.0), (True, 60.0)])
def test_who_sleeps_or_spins_on_a_free_machine_is_found_at_once(first: bool, patience_s: float) -> None:
    for process in (Process(share=0.0, queued=False), Process(share=1.0)):
        found_s = process.found_after_s(first=first)
        assert found_s is not None
        assert patience_s < found_s <= patience_s + 0.1


@pytest.mark.parametrize("share", [0.5, 0.25, 0.1])
def test_who_works_with_little_of_a_processor_is_left_alone(share: float) -> None:
    """Half its patience of work, however long that takes within the bound."""
    assert Process(share=share, work_s=0.9).found_after_s() is None


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_who_spins_on_a_busy_machine_is_found_after_its_patience_of_work(share: float) -> None:
    found_s = Process(share=share).found_after_s()
    assert found_s is not None
    assert 2.0 < found_s <= 2.0 / share + 0.1


def test_there_is_a_bound_to_it() -> None:
    found_s = Process(share=0.0).found_after_s()
    assert found_s is not None
    assert STARVED_MOST * 2.0 < found_s <= STARVED_MOST * 2.0 + 0.1


def test_a_thread_that_waits_for_anothers_lock_is_excused_with_it() -> None:
    assert Process(share=0.1, work_s=0.9).found_after_s(thread=OTHER) is None


def test_a_heartbeat_begins_the_count_anew() -> None:
    process = Process()
    assert not process.watch.hung(0, 2 * S, first=False)
    process.waits[MAIN] += S
    # What it stood in the queue before it beat excuses nothing after.
    assert not process.watch.hung(2 * S, 4 * S, first=False)
    assert process.watch.hung(2 * S, 4 * S + TICK_NS, first=False) == "hung: no heartbeat for 2.05 s"


def test_it_says_how_long_there_was_no_processor() -> None:
    process = Process()
    assert not process.watch.hung(0, 2 * S, first=False)
    process.waits[MAIN] += S
    assert not process.watch.hung(0, 3 * S, first=False)
    assert process.watch.hung(0, 4 * S, first=False) == (
        "hung: no heartbeat for 4.00 s, 1.0 s of them without a processor"
    )


def test_where_the_kernel_keeps_no_account_time_alone_counts() -> None:
    watch = HangWatch(HeartbeatSpec("x.beat"), dict)
    assert not watch.hung(0, 2 * S, first=False)
    assert watch.hung(0, 2 * S + 1, first=False)


@pytest.fixture
def idle() -> Iterator[int]:
    argv = [sys.executable, "-I", "-S", "-c", "import sys\nsys.stdin.read()"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


def test_the_kernels_account_of_a_process(idle: int) -> None:
    told: Waits = waits_of(idle)
    assert list(told) == [idle]
    assert told[idle] >= 0
    assert set(waits_of(os.getpid())) >= {os.getpid()}


def test_a_process_that_is_gone_has_none() -> None:
    assert waits_of(2**22 + 1) == {}
