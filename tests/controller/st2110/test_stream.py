"""Streams over real sockets: exact pictures, even pacing, and one path lost without a picture lost."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import pytest

from controller.st2110.pixels import octets_of
from controller.st2110.receiver import Receiver
from controller.st2110.rfc4175 import VideoForm, parse
from controller.st2110.sdp import Path
from controller.st2110.stream import ACTIVE_SHARE, FrameSent, VideoStream

PERIOD_NS = 40_000_000
FORM = VideoForm(320, 180, "RGB", 10)


class Time:
    """Sleeps take no time and end late by what the test says."""

    def __init__(self, late_ns: int = 0) -> None:
        self.ns, self.late_ns = 0, late_ns
        self.slept: list[int] = []

    def now(self) -> int:
        return self.ns

    def sleep_until(self, t_ns: int) -> None:
        self.slept.append(t_ns)
        self.ns = max(self.ns, t_ns + self.late_ns)


@pytest.fixture
def ears() -> Any:
    sockets = []
    for _ in range(2):
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
        sockets.append(ear)
    yield sockets
    for ear in sockets:
        ear.close()


def heard(ear: socket.socket) -> list[bytes]:
    out = []
    while True:
        try:
            out.append(ear.recv(2048))
        except BlockingIOError:
            return out


def stream_to(ears: list[socket.socket], time: Time, form: VideoForm = FORM) -> VideoStream:
    paths = [Path("127.0.0.1", ear.getsockname()[1], "127.0.0.1") for ear in ears]
    return VideoStream(form, paths, period_ns=PERIOD_NS, ssrc=7, now_ns=time.now)


def send(stream: VideoStream, time: Time, picture: np.ndarray[Any, Any] | None, *, frame: int) -> FrameSent:
    start_ns = frame * PERIOD_NS
    stream.begin(picture, start_ns=start_ns, tai_ns=start_ns, sequence=frame * stream.packets)
    while (due_ns := stream.step(time.now())) is not None:
        time.sleep_until(due_ns)
    return stream.sent


def canvas(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 1 << 30, (180, 320), dtype=np.uint32)


def test_pictures_arrive_exactly_and_evenly(ears: list[socket.socket]) -> None:
    time = Time(late_ns=30_000)
    stream = stream_to(ears[:1], time)
    receiver = Receiver(FORM, stream.packets)
    wanted = np.empty(FORM.octets, np.uint8)
    for frame in range(4):
        picture = canvas(frame)
        sent = send(stream, time, picture, frame=frame)
        assert sent.packets == stream.packets
        assert sent.late_most_ns == 30_000
        assert sent.took_ns <= PERIOD_NS * ACTIVE_SHARE + 30_000
        found = receiver.take(heard(ears[0]))
        octets_of(picture, FORM, wanted)
        assert [(p.octets == wanted).all() for p in found] == [True]
        assert found[0].timestamp == frame * 3600
    gaps = np.diff(time.slept[: len(time.slept) // 4])
    assert gaps.max() <= 2 * 250_000 + 1
    assert stream.counts[0].refused == 0
    assert (receiver.pictures, receiver.torn, receiver.duplicates, receiver.strange) == (4, 0, 0, 0)
    stream.close()


def test_one_path_lost_costs_no_picture(ears: list[socket.socket]) -> None:
    time = Time()
    stream = stream_to(ears, time)
    receiver = Receiver(FORM, stream.packets)
    rng = np.random.default_rng(4)
    for frame in range(6):
        send(stream, time, canvas(frame), frame=frame)
        first, second = heard(ears[0]), heard(ears[1])
        assert first == second
        if frame == 2:
            first = []
        elif frame == 3:
            # Packets are lost on both, not the same ones, and the order is gone.
            lost = rng.random(len(first)) < 0.5
            first = [p for p, gone in zip(first, lost, strict=True) if not gone]
            second = [p for p, gone in zip(second, ~lost, strict=True) if not gone]
        mixed = [*first, *second]
        rng.shuffle(mixed)
        assert len(receiver.take(mixed)) == 1
    assert (receiver.pictures, receiver.torn) == (6, 0)
    stream.close()


def test_a_path_that_refuses_is_counted_and_the_other_goes_on(ears: list[socket.socket]) -> None:
    time = Time()
    paths = [Path("127.0.0.1", ears[0].getsockname()[1], "127.0.0.1"), Path("127.0.0.1", 9, "127.0.0.1")]
    stream = VideoStream(FORM, paths, period_ns=PERIOD_NS, ssrc=7, now_ns=time.now)
    receiver = Receiver(FORM, stream.packets)
    for frame in range(2):
        send(stream, time, canvas(frame), frame=frame)
        assert len(receiver.take(heard(ears[0]))) == 1
    # Nobody listens on the second: the kernel says so for some packets.
    assert stream.counts[0].refused == 0
    assert stream.counts[1].refused > 0
    stream.close()


def test_sequences_go_on_over_frames(ears: list[socket.socket]) -> None:
    time = Time()
    stream = stream_to(ears[:1], time)
    for frame in range(2):
        send(stream, time, canvas(frame), frame=frame)
    numbers = [p.sequence for p in map(parse, heard(ears[0])) if p is not None]
    assert numbers == list(range(2 * stream.packets))
    stream.close()


def test_a_source_that_is_not_this_machine_is_refused() -> None:
    time = Time()
    with pytest.raises(OSError, match="assign"):
        VideoStream(FORM, [Path("127.0.0.1", 5004, "192.0.2.1")], period_ns=PERIOD_NS, ssrc=1, now_ns=time.now)


def test_a_receiver_that_does_not_listen_yet_costs_no_packet(ears: list[socket.socket]) -> None:
    """Its machine says so of what came before; what leaves next is not lost for it."""
    time = Time()
    stream = stream_to(ears, time)
    port = ears[1].getsockname()[1]
    ears[1].close()
    send(stream, time, canvas(0), frame=0)
    assert stream.counts[1].refused > 0
    again = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    again.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    again.bind(("127.0.0.1", port))
    again.setblocking(False)
    ears[1] = again
    send(stream, time, canvas(1), frame=1)
    receiver = Receiver(FORM, stream.packets)
    assert [picture.timestamp for picture in receiver.take(heard(again))] == [3600]
    assert stream.counts[1].packets == 2 * stream.packets
    stream.close()
