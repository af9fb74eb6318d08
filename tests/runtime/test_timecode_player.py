"""A time code that plays: what it sends is understood by what listens, at its own moments."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from runtime.clock import NS_PER_S, VirtualClock
from runtime.config import TimeConfig
from runtime.references.inputs import label_input
from runtime.references.labels import HeardLabel
from runtime.references.player import KINDS, FileSink, Kind, TimecodePlayer, UdpSink, play_timecode, sink_to
from stage.rate import RATES
from stage.timecode import TimecodeError, drops, parts_at, timecode_at

SECTIONS = {
    "ltc": {"type": "ltc", "listen": "127.0.0.1:0"},
    "mtc": {"type": "mtc", "path": "/dev/null"},
    "art_timecode": {"type": "art_timecode"},
}


class Listener:
    """A sink that hears itself."""

    def __init__(self, kind: Kind, clock: VirtualClock) -> None:
        source = TimeConfig.model_validate({"timecode": SECTIONS[kind]}).timecode
        assert source is not None
        self.input, self.clock = label_input(source), clock
        self.heard: list[HeardLabel] = []
        self.closed = False

    def send(self, data: bytes) -> None:
        self.heard += self.input.take(data, self.clock.now_ns())

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["23.976", "25", "29.97"])
def test_what_plays_is_heard_at_its_moment(kind: Kind, name: str) -> None:
    rate = RATES[name]
    clock = VirtualClock(5 * NS_PER_S)
    listener = Listener(kind, clock)
    player = TimecodePlayer(kind, rate, clock, listener, first=1790)
    begun_ns = clock.now_ns()
    due_ns = begun_ns
    while due_ns < begun_ns + 3 * NS_PER_S:
        clock.advance_to(due_ns)
        due_ns = player.step(clock.now_ns())
    step = 2 if kind == "mtc" else 1
    assert len(listener.heard) > 60 // step
    for index, label in enumerate(listener.heard):
        assert label.parts == parts_at(rate, 1790 + step * index)
        exact_ns = rate.deadline_ns(begun_ns, step * index)
        assert label.t_ns == pytest.approx(exact_ns, abs=60_000 if kind == "ltc" else 0)
        assert label.drop_frame == (drops(rate) > 0)
    assert player.label == timecode_at(rate, 1790 + rate.frame_at(begun_ns, clock.now_ns()))
    player.stop()
    assert listener.closed


def test_portions_that_are_lost_are_not_sent() -> None:
    clock = VirtualClock(NS_PER_S)
    listener = Listener("art_timecode", clock)
    player = TimecodePlayer("art_timecode", RATES["24"], clock, listener, loss=lambda due_ns: due_ns < 2 * NS_PER_S)
    player.step(clock.now_ns())
    clock.advance_to(2 * NS_PER_S)
    player.step(clock.now_ns())
    assert [label.parts.seconds for label in listener.heard] == [1]


def test_real_sinks(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{receiver.getsockname()[1]}"
        udp = sink_to(target)
        assert isinstance(udp, UdpSink)
        udp.close()
        label = play_timecode("art_timecode", target, RATES["25"], first="10:00:00:00", seconds=0.1)
        assert label >= "10:00:00:02"
        assert len(receiver.recv(100)) == 19
    fifo = tmp_path / "midi"
    os.mkfifo(fifo)
    sink = sink_to(str(fifo))
    assert isinstance(sink, FileSink)
    sink.send(b"nobody reads")
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink.send(b"\xf1\x02")
    assert os.read(reader, 100) == b"\xf1\x02"
    os.close(reader)
    sink.send(b"gone")
    sink.close()
    with pytest.raises(TimecodeError):
        play_timecode("ltc", "127.0.0.1:9", RATES["25"], first="10:00:00:25")
    with pytest.raises(ValueError, match="not host:port"):
        play_timecode("ltc", "nowhere", RATES["25"])
