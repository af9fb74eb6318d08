"""Recording what the conductor's sockets receive: on order, into a new file, through full disks and kills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.rundir import RunDir
from controller.tracking_recorder import (
    DATAGRAM_CAPACITY,
    DATAGRAM_SLOTS,
    KIND_DATAGRAMS,
    RecordingError,
    TrackingRecorder,
    order_path,
    read_order,
    start_recording,
    stop_recording,
)
from runtime.clock import VirtualClock
from runtime.ring import RingWriter
from tracking.capture import read_capture
from tracking.receivers import Arrival
from tracking.tap import LinkInfo, Tap

S = 1_000_000_000
LINK = LinkInfo("127.0.0.1:40000", "freed", ("t",))


class Rig:
    """A ring as the conductor writes it, and the recorder that follows it."""

    def __init__(self, folder: Path, *, reserve_bytes: int = 0) -> None:
        self.run = RunDir.create("rec", root=folder)
        self.clock = VirtualClock()
        self.ring = RingWriter.create(
            self.run.datagrams, kind=KIND_DATAGRAMS, slots=DATAGRAM_SLOTS, capacity=DATAGRAM_CAPACITY
        )
        self.tap = Tap(lambda data: self.ring.publish(data, frame=0, t_ns=self.clock.now_ns()))
        self.recorder = TrackingRecorder(self.run, self.clock, reserve_bytes=reserve_bytes)
        self.sent = 0
        self.stopped = False

    def receive(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance_by(4_000_000)
            data = self.sent.to_bytes(4, "big") * 7
            self.tap.take(LINK, [Arrival(data, "10.0.0.9", 5000, self.clock.now_ns())])
            self.sent += 1
        self.tap.flush()

    def step(self) -> None:
        self.clock.advance_by(S // 5)
        self.recorder.step(self.clock.now_ns())

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self.recorder.stop()

    def close(self) -> None:
        self.stop()
        self.ring.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def numbers(path: Path) -> list[int]:
    return [int.from_bytes(d.data[:4], "big") for d in read_capture(path).datagrams]


def test_nothing_is_recorded_unless_asked(rig: Rig) -> None:
    rig.receive(50)
    rig.step()
    assert rig.recorder.status.state == "idle"
    assert read_order(rig.run) is None
    stop_recording(rig.run)


def test_what_comes_between_start_and_stop(rig: Rig, tmp_path: Path) -> None:
    rig.receive(50)
    rig.step()
    start_recording(rig.run, tmp_path / "takes" / "one")
    rig.step()
    for _ in range(20):
        rig.receive(50)
        rig.step()
    path = tmp_path / "takes" / "one.mcap"
    status = rig.recorder.status
    assert (status.state, status.path, status.datagrams, status.missed) == ("recording", str(path), 1000, 0)
    assert read_capture(path).torn  # not yet closed, and readable all the same
    stop_recording(rig.run)
    rig.step()
    rig.receive(10)
    rig.step()
    assert rig.recorder.status.state == "idle"
    capture = read_capture(path)
    assert not capture.torn
    assert numbers(path) == list(range(50, 1050))
    assert capture.links == (LINK,)
    assert {(d.host, d.port) for d in capture.datagrams} == {("10.0.0.9", 5000)}
    # The clock's own monotonic stamps come back exactly.
    assert capture.datagrams[1].t_received_ns - capture.datagrams[0].t_received_ns == 4_000_000
    assert capture.info.run == rig.run.run


def test_a_new_order_ends_the_one_before(rig: Rig, tmp_path: Path) -> None:
    start_recording(rig.run, tmp_path / "a.mcap")
    rig.step()
    rig.receive(10)
    start_recording(rig.run, tmp_path / "b.mcap")
    rig.step()
    rig.receive(10)
    rig.stop()
    assert numbers(tmp_path / "a.mcap") == list(range(10))
    assert numbers(tmp_path / "b.mcap") == list(range(10, 20))


def test_a_killed_recorder_goes_on_in_another_file(rig: Rig, tmp_path: Path) -> None:
    start_recording(rig.run, tmp_path / "a.mcap")
    rig.step()
    rig.receive(10)
    rig.step()
    successor = TrackingRecorder(rig.run, rig.clock, reserve_bytes=0)
    assert rig.recorder._writer is not None
    rig.recorder._writer.abandon()  # killed: its file gets no end
    rig.recorder._writer = None
    successor.step(rig.clock.now_ns())
    rig.receive(10)
    successor.stop()
    assert numbers(tmp_path / "a.2.mcap") == list(range(10, 20))
    assert read_capture(tmp_path / "a.mcap").torn
    assert numbers(tmp_path / "a.mcap") == list(range(10))


def test_what_was_overwritten_is_told(rig: Rig, tmp_path: Path) -> None:
    start_recording(rig.run, tmp_path / "a.mcap")
    rig.receive(5)
    rig.step()
    for _ in range(DATAGRAM_SLOTS + 40):
        rig.receive(1)
    rig.step()
    assert rig.recorder.status.missed >= 40
    rig.stop()
    assert read_capture(tmp_path / "a.mcap").missed >= 40


def test_a_full_disk_ends_the_recording_with_an_alarm(tmp_path: Path) -> None:
    rig = Rig(tmp_path, reserve_bytes=0)
    start_recording(rig.run, tmp_path / "a.mcap")
    rig.step()
    rig.receive(100)
    rig.step()
    rig.recorder._reserve_bytes = 1 << 60
    for _ in range(8):
        rig.receive(10)
        rig.step()
    assert rig.recorder.status.state == "failed"
    assert rig.recorder.alarm is not None
    assert "no longer recorded" in rig.recorder.alarm.detail
    assert rig.recorder.alarm.mend
    capture = read_capture(tmp_path / "a.mcap")
    assert not capture.torn  # what was kept free was enough for its end
    assert len(capture.datagrams) >= 100
    start_recording(rig.run, tmp_path / "b.mcap")  # no room: told at once, and nothing else happens
    rig.step()
    assert rig.recorder.status.state == "failed"
    stop_recording(rig.run)
    rig.step()
    assert rig.recorder.alarm is None
    rig.close()


def test_orders_that_cannot_be(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "there.mcap").write_bytes(b"")
    with pytest.raises(RecordingError, match="is there already"):
        start_recording(rig.run, tmp_path / "there")
    with pytest.raises(RecordingError, match="cannot be made"):
        start_recording(rig.run, tmp_path / "there.mcap" / "inside")
    order_path(rig.run).write_bytes(b"{")
    assert read_order(rig.run) is None
    rig.step()
    assert rig.recorder.status.state == "idle"
