"""Real sockets on loopback: UDP with kernel stamps, multicast, ZeroMQ, addresses in use, live changes."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytest

from runtime.clock import SystemClock
from stage.rate import Rate
from tracking.config import TrackingConfig
from tracking.encoders import encoder
from tracking.errors import ListenError
from tracking.inputs import TrackingInputs
from tracking.moment import Moment
from tracking.moves import move
from tracking.protocols.freed import FreeDPacket
from tracking.sample import Sample
from tracking.sender import UdpWire, ZmqWire

WAIT_S = 5.0
PACKET = bytes(FreeDPacket(1, 0, 0, 0, 64_000, 0, 0))


@contextmanager
def opened(**sources: dict[str, Any]) -> Iterator[TrackingInputs]:
    inputs = TrackingInputs(TrackingConfig.model_validate({"sources": sources}), SystemClock())
    inputs.open()
    try:
        yield inputs
    finally:
        inputs.close()


def udp(protocol: str = "freed", **change: Any) -> dict[str, Any]:
    return {"protocol": protocol, "listen": "127.0.0.1:0", "camera": "a", **change}


def drained(inputs: TrackingInputs, count: int, prod: Callable[[], object] | None = None) -> list[Sample]:
    """Samples until there are `count`; `prod` is called until then."""
    out: list[Sample] = []
    end = time.monotonic() + WAIT_S
    while len(out) < count and time.monotonic() < end:
        if prod is not None:
            prod()
        out.extend(inputs.drain())
        threading.Event().wait(0.002)
    return out


@pytest.mark.parametrize(
    "protocol", ["freed", "osc", "opentrackio", "mosys_f4", "stype", "stype_a5", "psn", "rttrpm", "live_link"]
)
def test_udp_loopback(protocol: str) -> None:
    pose_at, encode = move("orbit").pose, encoder(protocol, rate=Rate(50))
    with opened(t=udp(protocol.removesuffix("_a5"), match="arrival")) as inputs:
        wire = UdpWire(inputs.addresses()["t"])
        before_ns = time.monotonic_ns()
        for n in range(20):
            for datagram in encode(Moment(pose_at(n / 50), n, n * 20_000_000)):
                wire.send(datagram)
        sent_ns = time.monotonic_ns()
        samples = drained(inputs, 20)
        wire.close()
        statistics = inputs.statistics()["t"]
    assert len(samples) == 20
    # Stamped by the kernel when they arrived, not when they were read.
    assert all(before_ns - 1_000_000 <= s.t_received_ns <= sent_ns + 1_000_000 for s in samples)
    assert np.abs(samples[-1].stage_from_camera - pose_at(19 / 50)).max() < 2e-5
    assert [s.packet_id for s in samples] == list(range(1, 21))
    assert statistics.sender.startswith("127.0.0.1:")
    assert statistics.address.startswith("127.0.0.1:")


def test_inside_asyncio() -> None:
    async def receive() -> list[Sample]:
        with opened(t=udp()) as inputs:
            loop = asyncio.get_running_loop()
            got: list[Sample] = []
            done = asyncio.Event()

            def ready() -> None:
                got.extend(inputs.drain())
                if len(got) >= 3:
                    done.set()

            for fd in inputs.filenos():
                loop.add_reader(fd, ready)
            wire = UdpWire(inputs.addresses()["t"])
            for _ in range(3):
                wire.send(PACKET)
            await asyncio.wait_for(done.wait(), WAIT_S)
            wire.close()
            for fd in inputs.filenos():
                loop.remove_reader(fd)
            return got

    assert len(asyncio.run(receive())) == 3


@pytest.mark.parametrize(("protocol", "group"), [("freed", "239.135.1.7"), ("psn", "236.10.10.10")])
def test_multicast_on_loopback(protocol: str, group: str) -> None:
    with opened(t=udp(protocol, listen=f"{group}:0", interface="127.0.0.1")) as inputs:
        wire = UdpWire(inputs.addresses()["t"], interface="127.0.0.1")
        pose, numbers = move("orbit").pose(0.0), iter(range(100_000))

        def send() -> None:
            n = next(numbers)
            for datagram in encoder(protocol)(Moment(pose, n, n * 20_000_000)):
                wire.send(datagram)

        assert len(drained(inputs, 1, send)) >= 1
        wire.close()


@pytest.mark.parametrize("mode", ["sub", "pull"])
@pytest.mark.parametrize("protocol", ["zmq", "zmq_msgpack"])
def test_zmq(mode: str, protocol: str) -> None:
    pose = move("dolly").pose(1.0)
    encode = encoder(protocol)
    if mode == "sub":
        wire = ZmqWire("tcp://127.0.0.1:0")
        listen = wire.endpoint
    else:
        listen = "tcp://127.0.0.1:0"
    with opened(t={"protocol": "zmq", "listen": listen, "camera": "a", "zmq": {"mode": mode}}) as inputs:
        if mode == "pull":
            wire = ZmqWire("push+" + inputs.addresses()["t"])
        numbers = iter(range(100_000))
        (sample, *_) = drained(inputs, 1, lambda: wire.send(encode(Moment(pose, n := next(numbers), n))[0]))
        wire.close()
    assert np.allclose(sample.stage_from_camera, pose)


def test_an_address_in_use_is_told() -> None:
    with opened(t=udp()) as inputs:
        taken = inputs.addresses()["t"]
        second = TrackingInputs(TrackingConfig.model_validate({"sources": {"u": udp(listen=taken)}}), SystemClock())
        with pytest.raises(ListenError) as caught:
            second.open()
        (problem,) = caught.value.problems
        assert problem.code == "tracking.listen"
        assert problem.path == "tracking/sources/u/listen"
        assert problem.value == taken
        assert "another program has it" in problem.mend
        assert second.filenos() == []


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ListenError, match="use an address of this machine"), opened(t=udp(listen="192.0.2.1:0")):
        pass


def test_a_change_is_whole_or_not_at_all() -> None:
    with opened(t=udp()) as inputs:
        address = inputs.addresses()["t"]
        with opened(other=udp()) as other:
            clash = {"t": udp(listen=address), "u": udp(listen=other.addresses()["other"], camera="b")}
            with pytest.raises(ListenError):
                inputs.apply(TrackingConfig.model_validate({"sources": clash}))
        assert list(inputs.addresses()) == ["t"]
        wire = UdpWire(address)
        assert len(drained(inputs, 1, lambda: wire.send(PACKET))) >= 1
        wire.close()


def test_a_source_is_added_live_and_given_up() -> None:
    with opened(t=udp(listen="127.0.0.1:0")) as inputs:
        sources = {"t": udp(), "u": udp(listen="127.0.0.2:0", camera="b")}
        two = TrackingConfig.model_validate({"sources": sources})
        fd = inputs.filenos()
        prepared = inputs.prepare(two)
        assert inputs.filenos() == fd
        inputs.give_up(prepared)
        inputs.apply(two)
        assert fd[0] in inputs.filenos()
        assert len(inputs.filenos()) == 2
        wire = UdpWire(inputs.addresses()["u"])
        (sample, *_) = drained(inputs, 1, lambda: wire.send(PACKET))
        assert sample.camera == "b"
        inputs.apply(TrackingConfig())
        assert inputs.filenos() == []
        wire.close()


def test_rubbish_over_a_real_socket_is_counted() -> None:
    with opened(t=udp()) as inputs:
        wire = UdpWire(inputs.addresses()["t"])
        for data in (b"", b"rubbish", PACKET[:-1] + b"\0", bytes(5000), bytes(20_000)):
            wire.send(data)
        wire.send(PACKET)
        assert len(drained(inputs, 1)) == 1
        refused = inputs.statistics()["t"].refused
        wire.close()
    assert refused == {"short": 1, "magic": 1, "checksum": 1, "long": 2}


def test_only_named_senders_are_heard() -> None:
    """By host and port: what another host sends from the same port is read and let go."""
    with (
        opened(t=udp()) as inputs,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as named,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        named.bind(("127.0.0.1", 0))
        sender = named.getsockname()
        other.bind(("127.0.0.2", sender[1]))
        host, _, port = inputs.addresses()["t"].rpartition(":")
        to = (host, int(port))
        inputs.only = frozenset({sender})
        for _ in range(20):
            other.sendto(PACKET, to)
        heard = drained(inputs, 1, lambda: named.sendto(PACKET, to))
        assert heard
        told = inputs.statistics()["t"]
        assert (told.datagrams, told.refused) == (len(heard), {}), "who is not named counts for nothing"
        inputs.only = None
        assert len(drained(inputs, len(heard) + 1, lambda: named.sendto(PACKET, to))) > len(heard)


def test_a_sender_is_known_before_it_sends() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("0.0.0.0", 0))
        ear.settimeout(WAIT_S)
        with closing(UdpWire(f"127.0.0.1:{ear.getsockname()[1]}")) as wire:
            said = wire.sender()
            wire.send(b"x")
            assert ear.recvfrom(10)[1] == said
        with closing(UdpWire(f"239.255.7.7:{ear.getsockname()[1]}", interface="127.0.0.1")) as wire:
            assert wire.sender()[0] == "127.0.0.1"
