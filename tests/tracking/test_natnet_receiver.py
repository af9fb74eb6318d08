"""The sockets of a NatNet source against a stand-in server: connect, names, clock, keep-alive, silence, multicast."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator

import pytest

from runtime.clock import SystemClock
from tracking.config import TrackingConfig
from tracking.inputs import TrackingInputs
from tracking.natnet_receiver import EVERY_NS, SILENT_NS, NatNetReceiver
from tracking.protocols.natnet import (
    CONNECT,
    KEEP_ALIVE,
    MODELS_REQUEST,
    Assembler,
    Echo,
    Frame,
    Message,
    ModelDefinitions,
    ServerInfo,
    parse,
)
from tracking.protocols.natnet_models import BodyModel, Models
from tracking.protocols.natnet_sections import Section
from tracking.sample import Refusal

HZ = 10_000_000


class SettableClock(SystemClock):
    """The system's clock, set forward at will."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


class Server:
    """A server in the state of a test: answers what it is asked when it is told to."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(("127.0.0.1", 0))
        self.client = ("", 0)

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def heard(self) -> list[object]:
        """What clients said since."""
        out: list[object] = []
        while True:
            try:
                data, self.client = self.socket.recvfrom(65535)
            except BlockingIOError:
                return out
            (item,) = parse(data)
            assert not isinstance(item, Refusal)
            out.append(item)

    def say(self, *messages: object) -> None:
        for message in messages:
            self.socket.sendto(bytes(message), self.client)  # type: ignore[call-overload]


INFO = ServerInfo(b"Motive".ljust(256, b"\0"), (3, 1, 0, 0), (4, 1, 0, 0), HZ)
MODELS = ModelDefinitions.build(Models((BodyModel("Camera", 7),)))


def frame(number: int, *, flags: int = 0) -> Frame:
    body = struct.pack("<i7ffH", 7, 1, 2, 3, 0, 0, 0, 1, 0, 1)
    return Frame(number, rigid_body_section=Section(1, body), asset_section=Section(), transmit_ticks=number * HZ,
                 mid_exposure_ticks=number * HZ, flags=flags)  # fmt: skip


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.socket.close()


def config(server: Server, listen: str = "127.0.0.1:0") -> TrackingConfig:
    source = {"protocol": "natnet", "listen": listen, "camera": "a", "body": "Camera", "interface": "127.0.0.1",
              "natnet": {"server": server.address}}  # fmt: skip
    return TrackingConfig.model_validate({"sources": {"t": source}})


@pytest.fixture
def receiver(server: Server) -> Iterator[tuple[NatNetReceiver, SettableClock]]:
    clock = SettableClock()
    receiver = NatNetReceiver("t", config(server).sources["t"], clock)
    yield receiver, clock
    receiver.close()


def kinds(items: list[object]) -> list[object]:
    return [item.id if isinstance(item, Message) else type(item) for item in items]


def test_a_server_is_connected_to_asked_and_kept(
    server: Server, receiver: tuple[NatNetReceiver, SettableClock]
) -> None:
    sockets, clock = receiver
    (connect,) = server.heard()
    assert isinstance(connect, Message)
    assert (connect.id, connect.text, tuple(connect.body[265:269])) == (CONNECT, "Ping", (4, 1, 0, 0))
    assert sockets.receive() == []
    assert server.heard() == []  # not before its time
    clock.ahead_ns += EVERY_NS
    assert sockets.receive() == []
    assert kinds(server.heard()) == [CONNECT]
    server.say(INFO)
    assert select.select([sockets.fileno()], [], [], 1.0)[0]
    assert [a.data for a in sockets.receive()] == [bytes(INFO)]
    assert sockets.connected
    clock.ahead_ns += EVERY_NS
    sockets.receive()
    assert kinds(server.heard()) == [KEEP_ALIVE, MODELS_REQUEST, Echo]
    server.say(MODELS, frame(1))
    assert len(sockets.receive()) == 2
    clock.ahead_ns += EVERY_NS
    sockets.receive()
    assert kinds(server.heard()) == [KEEP_ALIVE, Echo]
    # What is tracked has changed: names are asked for again.
    server.say(frame(2, flags=2))
    sockets.receive()
    clock.ahead_ns += EVERY_NS
    sockets.receive()
    assert kinds(server.heard()) == [KEEP_ALIVE, MODELS_REQUEST, Echo]
    # Silence: from the beginning.
    clock.ahead_ns += SILENT_NS + EVERY_NS
    sockets.receive()
    assert kinds(server.heard()) == [CONNECT]
    assert not sockets.connected


def test_echoes_come_back_as_a_way(server: Server, receiver: tuple[NatNetReceiver, SettableClock]) -> None:
    sockets, clock = receiver
    server.heard()
    server.say(INFO)
    sockets.receive()
    clock.ahead_ns += EVERY_NS
    sockets.receive()
    echo = server.heard()[-1]
    assert isinstance(echo, Echo)
    server.say(Echo(echo.client_ticks, 77))
    (arrival,) = sockets.receive()
    assembler = Assembler()
    assembler.feed(arrival.data, echo.client_ticks + 300_000)
    assert assembler.way_ns == 150_000
    clock.ahead_ns = 0


def test_strangers_at_the_command_port_are_not_heard(
    server: Server, receiver: tuple[NatNetReceiver, SettableClock]
) -> None:
    sockets, _ = receiver
    server.heard()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.sendto(bytes(INFO), server.client)
    assert sockets.receive() == []
    assert not sockets.connected


def test_unicast_frames_come_through_the_inputs(server: Server) -> None:
    inputs = TrackingInputs(config(server), SystemClock())
    inputs.open()
    try:
        assert inputs.filenos()
        server.heard()
        server.say(INFO, MODELS, frame(1))
        (sample,) = inputs.drain()
        assert sample.stage_from_camera[:3, 3].tolist() == [1.0, -3.0, 2.0]
        assert inputs.statistics()["t"].refused == {}
    finally:
        inputs.close()
    assert inputs.filenos() == []


def test_multicast_data_comes_beside_the_commands(server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clock = SystemClock()
    source = config(server, f"239.255.42.99:{port}").sources["t"]
    sockets = NatNetReceiver("t", source, clock)
    try:
        server.heard()
        server.say(INFO)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            sender.sendto(bytes(frame(1)), ("239.255.42.99", port))
        found = sockets.receive()
        assert sorted(type(parse(a.data)[0]).__name__ for a in found) == ["Frame", "ServerInfo"]
        assert [a.t_received_ns for a in found] == sorted(a.t_received_ns for a in found)
    finally:
        sockets.close()


def test_without_a_server_it_only_listens() -> None:
    told = TrackingConfig.model_validate(
        {"sources": {"t": {"protocol": "natnet", "listen": "127.0.0.1:0", "camera": "a"}}}
    )
    inputs = TrackingInputs(told, SystemClock())
    inputs.open()
    try:
        host, _, port = inputs.addresses()["t"].partition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(bytes(frame(3)), (host, int(port)))
        (sample,) = inputs.drain()
        assert sample.sequence == 3
    finally:
        inputs.close()
