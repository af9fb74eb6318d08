"""How many datagrams wake the conductor, and that none is lost or comes out with another stamp."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.coalescing import A_LOT, AHEAD_NS, BURST, FEW_HZ, PAUSE_NS, SHORT_PAUSE_NS, Coalescing
from runtime.clock import NS_PER_MS, NS_PER_S
from tracking.protocols.freed import FreeDPacket

Build = Callable[..., Any]
POSES = [bytes(FreeDPacket(1, n, 0, 0, 0, 0, 0)) for n in range(600)]


@pytest.fixture
def build(shm: Path, housekit: ModuleType) -> Iterator[Build]:
    made: list[Any] = []

    def make(**options: Any) -> Any:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        text = housekit.minimal_text(listen=f"127.0.0.1:{port}").replace("protocol: opentrackio", "protocol: freed")
        made.append(housekit.VirtualShow(shm, text, sockets=True, tracker=False, **options))
        return made[-1], ("127.0.0.1", port)

    yield make
    for show in made:
        show.__exit__()


@given(st.lists(st.integers(1, 8), min_size=10, max_size=400))
def test_few_datagrams_are_read_when_they_come(at_once: list[int]) -> None:
    coalescing, now_ns = Coalescing(), NS_PER_S
    for datagrams in at_once:
        now_ns += datagrams * NS_PER_S // FEW_HZ
        coalescing.heard(datagrams, now_ns)
        assert coalescing.until_ns == 0


def test_many_are_read_together_and_few_at_once_again() -> None:
    coalescing, now_ns, wakes = Coalescing(), NS_PER_S, 0
    # Sixteen trackers of 240 Hz, one datagram each 260 us.
    while now_ns < 3 * NS_PER_S:
        came_ns = NS_PER_S // 3840
        now_ns = max(now_ns + came_ns, coalescing.until_ns)
        waited_ns = max(came_ns, PAUSE_NS if coalescing.until_ns else 0)
        coalescing.heard(waited_ns // came_ns, now_ns)
        wakes += now_ns >= 2 * NS_PER_S
    assert wakes < 1.2 * NS_PER_S / PAUSE_NS
    # One tracker of 240 Hz is left: within a moment it is heard at once.
    for n in range(30):
        now_ns = max(now_ns + NS_PER_S // 240, coalescing.until_ns)
        coalescing.heard(1, now_ns)
        if n >= 20:
            assert coalescing.until_ns == 0


def test_nothing_read_is_no_reason_to_wait() -> None:
    coalescing = Coalescing()
    coalescing.heard(3 * BURST, NS_PER_S)
    assert coalescing.until_ns == NS_PER_S + PAUSE_NS
    coalescing.heard(0, NS_PER_S + PAUSE_NS)
    assert coalescing.until_ns == 0


def test_a_pause_ends_before_what_must_be_in_time() -> None:
    coalescing = Coalescing()
    due_ns = 2 * NS_PER_S
    coalescing.heard(3 * BURST, due_ns - PAUSE_NS, due_ns)
    assert coalescing.until_ns == due_ns - AHEAD_NS
    coalescing.heard(3 * BURST, due_ns - AHEAD_NS, due_ns)
    assert coalescing.until_ns == due_ns - AHEAD_NS + PAUSE_NS, "the latch reads what waits by itself"
    coalescing.heard(3 * BURST, due_ns, due_ns + NS_PER_S)
    assert coalescing.until_ns == due_ns + PAUSE_NS


def test_a_shorter_pause_holds_at_once() -> None:
    coalescing = Coalescing()
    coalescing.heard(3 * BURST, NS_PER_S)
    coalescing.pause_ns = SHORT_PAUSE_NS
    assert coalescing.until_ns == 0
    coalescing.heard(3 * BURST, NS_PER_S)
    assert coalescing.until_ns == NS_PER_S + SHORT_PAUSE_NS


def test_after_very_much_the_pause_is_short() -> None:
    coalescing = Coalescing()
    coalescing.heard(A_LOT, NS_PER_S)
    assert coalescing.until_ns == NS_PER_S + SHORT_PAUSE_NS


def test_the_conductor_leaves_its_sockets_alone_under_load_and_loses_nothing(build: Build) -> None:
    show, address = build()
    show.run_to(30)
    conductor = show.conductor
    (tracking,) = conductor.inputs.filenos()
    assert tracking in conductor.wake_fds()
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            for data in POSES[sent : sent + 200]:
                sender.sendto(data, address)
            sent += 200
            show.run_for(0.005)
            if conductor._coalescing.until_ns > show.clock.now_ns():
                assert tracking not in conductor.wake_fds()
    assert conductor._coalescing.until_ns > 0
    show.run_for(0.5)
    status = show.conductor_status().sources["tracker"]
    assert status.datagrams == status.samples + sum(status.refused.values()) == sent
    assert set(status.refused) <= {"duplicate"}, "the virtual clock stamps those of one instant alike"
    assert tracking in conductor.wake_fds()


def test_the_latch_reads_what_waits_however_busy_it_was(build: Build) -> None:
    show, address = build()
    show.run_to(30)
    conductor = show.conductor
    conductor._coalescing.heard(3 * BURST, conductor._latch_ns - NS_PER_MS)
    frame = conductor._frame
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(POSES[5], address)
        show.house.run_until(conductor._latch_ns)
    show.run_for(0.1)
    (camera,) = show.plans[frame].cameras
    assert camera.packet_id == 1
