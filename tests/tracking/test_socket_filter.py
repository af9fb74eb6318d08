"""The kernel's filter lets through exactly whom Python would, and a flooded socket is narrowed and opened again."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.flood_guard import FLOOD_HZ, LET_IN_HZ, LOOK_NS, OVER_NS, FloodGuard
from tracking.socket_filter import MOST_NETWORKS, Screen, attach, dropped, program

S = 1_000_000_000
networks = st.builds(
    lambda address, bits: ipaddress.ip_network((address, bits), strict=False),
    st.integers(0, 2**32 - 1), st.integers(0, 32),
)  # fmt: skip
hosts = st.builds(lambda n: str(ipaddress.IPv4Address(n)), st.integers(0, 2**32 - 1))


def run(screen: Screen, host: str, port: int, lot: int) -> bool:
    """What the kernel would make of a datagram: the program, interpreted."""
    steps, at, value = program(screen), 0, 0
    source = int(ipaddress.IPv4Address(host))
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        if code == 0x20:
            value = source if operand == 2**32 - 0x100000 + 12 else lot
        elif code == 0x28:
            value = port
        elif code == 0x54:
            value &= operand
        elif code == 0x05:
            at += operand
        elif code == 0x15:
            at += if_true if value == operand else if_false
        else:
            assert code == 0x06
            return operand != 0


@given(
    st.lists(networks, max_size=6).map(tuple),
    st.none() | st.lists(st.tuples(hosts, st.integers(0, 65535)), max_size=4).map(tuple),
    hosts,
    st.integers(1, 65535),
    st.integers(0, 2**32 - 1),
    st.integers(0, 9),
)
def test_the_program_is_the_rule(
    allowed: tuple[ipaddress.IPv4Network, ...],
    senders: tuple[tuple[str, int], ...] | None,
    host: str,
    port: int,
    lot: int,
    pick: int,
) -> None:
    # Hosts by chance are in no list: half of the time it is one of them.
    if pick < 3 and allowed:
        host = str(allowed[pick % len(allowed)].network_address)
    elif pick < 6 and senders:
        host, listed = senders[pick % len(senders)]
        port = listed or port
    inside = not allowed or any(ipaddress.ip_address(host) in network for network in allowed)
    known = senders is None or any(host == h and p in (0, port) for h, p in senders) or lot % 8 == 0
    assert run(Screen(allowed, senders, 8), host, port, lot) == (inside and known)


def test_addresses_of_another_family_let_nobody_in() -> None:
    screen = Screen((ipaddress.ip_network("fe80::/10"),))
    assert not run(screen, "10.0.0.1", 5000, 0)


@pytest.fixture
def reader() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        if not attach(sock, Screen((ipaddress.ip_network("127.0.0.0/8"),))):
            pytest.skip("this kernel takes no socket filters")
        yield sock


def say(reader: socket.socket, host: str, times: int = 1) -> tuple[str, int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((host, 0))
        for _ in range(times):
            sender.sendto(b"x", reader.getsockname())
        address: tuple[str, int] = sender.getsockname()
        return address


def heard(reader: socket.socket) -> list[tuple[str, int]]:
    out = []
    while True:
        try:
            out.append(reader.recvfrom(16)[1])
        except BlockingIOError:
            return out


def test_the_kernel_keeps_out_who_is_not_listed_and_counts_them(reader: socket.socket) -> None:
    before = dropped(reader)
    assert attach(reader, Screen((ipaddress.ip_network("127.0.0.8/30"), ipaddress.ip_network("127.0.1.1"))))
    say(reader, "127.0.0.2", 10)
    good = [say(reader, host) for host in ("127.0.0.9", "127.0.1.1")]
    assert heard(reader) == good
    assert dropped(reader) - before == 10
    # Opened again, and one with more networks than fit: looked at after reading.
    assert not attach(reader, Screen())
    many = tuple(ipaddress.ip_network(f"10.{n >> 8}.{n & 255}.0/24") for n in range(MOST_NETWORKS + 1))
    assert not attach(reader, Screen(many))
    assert heard(reader) == []
    assert [say(reader, "127.0.0.2")] == heard(reader)


def test_known_senders_pass_and_one_in_so_many_of_the_others(reader: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as known:
        known.bind(("127.0.0.7", 0))
        assert attach(reader, Screen((), (known.getsockname(),), one_in=4))
        known.sendto(b"x", reader.getsockname())
        assert heard(reader) == [known.getsockname()]
    # The same host from another port is one of the others.
    say(reader, "127.0.0.7", 200)
    assert 10 < len(heard(reader)) < 100


def test_a_guard_sees_a_flood_begin_and_end() -> None:
    guard = FloodGuard()
    t_ns, count = S, 0
    assert not guard.look(count, t_ns)
    # A tracker in many segments, 240 Hz: no flood, however long.
    for _ in range(100):
        t_ns, count = t_ns + LOOK_NS, count + 15
        assert not guard.look(count, t_ns)
    t_ns, count = t_ns + LOOK_NS, count + int(FLOOD_HZ)
    assert guard.look(count, t_ns)
    assert guard.flooded
    # A few are let in of however many come: they tell how many.
    for rate_hz in (250_000, 270_000, 100_000, 8_000):
        for _ in range(2):
            t_ns, count = t_ns + OVER_NS, count + rate_hz // guard.one_in // 2
            guard.look(count, t_ns)
        assert guard.flooded
        assert LET_IN_HZ / 4 <= rate_hz / guard.one_in <= 2 * LET_IN_HZ
    assert guard.one_in & (guard.one_in - 1) == 0
    t_ns, count = t_ns + OVER_NS, count + 1000 // guard.one_in
    assert guard.look(count, t_ns)
    assert (guard.flooded, guard.one_in, guard.floods) == (False, 1, 1)


def test_a_guard_counts_time_by_arrival_not_by_reading() -> None:
    guard = FloodGuard()
    guard.look(0, S)
    # A backlog of ten seconds read at once, in turns.
    for n in range(1, 11):
        assert not guard.look(400 * n, S + n * S)
