"""The sender beside a canvas' ring under a virtual clock, with real sockets: every slot has a picture, and a reason."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from controller.config import compile_config, load_config_text
from controller.errors import UnknownAddress
from controller.messages import Connect, Connected, Disregard, NotConnected
from controller.post import Post
from controller.processes.sender import SenderWhenNeeded
from controller.rundir import RunDir
from controller.st2110.connection import Connection, Leg
from controller.st2110.pixels import Coding, octets_of
from controller.st2110.receiver import Picture, Receiver
from controller.st2110.rfc4175 import VideoForm, packet_layout, rtp_timestamp
from controller.st2110.role import SenderRole
from controller.st2110.status import KIND_SENT, SentNote, StreamStatus, decode_sent
from renderer.renderer import FOURCC
from runtime.clock import NS_PER_MS, VirtualClock
from runtime.house import VirtualHouse
from runtime.ring import KIND_CANVAS, RingReader, RingWriter, fourcc
from stage.errors import ConfigError
from stage.rate import Rate

RATE = Rate(25)
SIZE = (176, 88)
FORM = VideoForm(*SIZE, "RGB", 10)


class Ear:
    """A receiver's socket."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.receiver = Receiver(FORM, packet_layout(FORM).packets)

    def heard(self) -> list[bytes]:
        out = []
        while True:
            try:
                out.append(self.socket.recv(2048))
            except BlockingIOError:
                return out

    def pictures(self) -> list[Picture]:
        return self.receiver.take(self.heard())


def leg(ear: Ear) -> str:
    """The path to it."""
    return f"destination: 127.0.0.1, port: {ear.port}, source: lo"


class Wall:
    """Role. Publishes a picture into the canvas' ring in every slot, or not."""

    def __init__(self, run: RunDir, clock: VirtualClock) -> None:
        self.run, self.clock, self.t0_ns = run, clock, clock.now_ns()
        self.frame = 100
        self.silent: set[int] = set()
        self.late_ns: dict[int, int] = {}

    def t_ns(self, frame: int) -> int:
        return self.t0_ns + RATE.deadline_ns(0, frame) - RATE.deadline_ns(0, 100)

    def picture(self, frame: int) -> np.ndarray[Any, Any]:
        return np.random.default_rng(frame).integers(0, 1 << 30, SIZE[::-1], dtype=np.uint32)

    def start(self) -> None:
        width, height = SIZE
        self.ring = RingWriter.create(
            self.run.canvas("main"), kind=KIND_CANVAS, slots=8, capacity=width * height * 4, width=width,
            height=height, row_stride=width * 4, pixel_format=fourcc(FOURCC["rgb10a2"]),
        )  # fmt: skip

    def step(self, now_ns: int) -> int:
        frame = self.frame
        due_ns = self.t_ns(frame) + self.late_ns.get(frame, 0)
        if now_ns < due_ns:
            return due_ns
        if frame not in self.silent:
            self.ring.publish(self.picture(frame).tobytes(), frame=frame, t_ns=self.t_ns(frame))
        self.frame += 1
        return self.t_ns(frame + 1) + self.late_ns.get(frame + 1, 0)

    def stop(self) -> None:
        self.ring.close()


class Rig:
    def __init__(self, folder: Path, kit: ModuleType) -> None:
        self.clock, self.kit = VirtualClock(), kit
        self.run = RunDir.create("sent", root=folder)
        self.ears = [Ear(), Ear()]
        self.post = Post(self.run.path / "service.sock")
        self.write()
        self.house = VirtualHouse(self.clock)
        self.wall = Wall(self.run, self.clock)
        self.house.add("wall", self.wall)

    def text(self, *legs: str, more: str = "") -> str:
        """Sent over these paths; none: to the ears."""
        told: str = self.kit.config_text(outputs=self.kit.paths(*(legs or map(leg, self.ears))) + more)
        return told

    def write(self, *legs: str, more: str = "", version: int = 1) -> None:
        self.kit.write_version(self.run, self.text(*legs, more=more), version)

    def begin(self) -> None:
        self.house.add("sender", SenderRole(run=self.run, clock=self.clock))

    def run_to(self, frame: int) -> None:
        """So that the pictures of the frames before have left."""
        self.clock.advance_to(self.wall.t_ns(frame) - NS_PER_MS // 4)

    def stream(self) -> StreamStatus:
        return self.status().streams["main"]

    def status(self) -> Any:
        return self.kit.status_of(self.run)

    def notes(self) -> list[SentNote]:
        reader = RingReader.open(self.run.sent, kind=KIND_SENT)
        found = [decode_sent(slot.data) for slot in reader.read_since(0).slots]
        reader.close()
        return found

    def octets(self, frame: int) -> np.ndarray[Any, Any]:
        out = np.empty(FORM.octets, np.uint8)
        octets_of(self.wall.picture(frame), FORM, out, Coding())
        return out

    def label(self, frame: int) -> int:
        offset_ns = self.clock.tai_ns() - self.clock.now_ns()
        return rtp_timestamp(self.wall.t_ns(frame) + offset_ns)

    def connect(self, port: int, *, request: int = 1, at_tai_ns: int = 0, source: str = "127.0.0.1") -> None:
        connection = Connection([Leg("127.0.0.1", port, source)])
        self.post.send(self.run.sender_socket, Connect("main", connection, request, "service.sock", at_tai_ns))

    def close(self) -> None:
        self.house.close()
        self.post.close()
        for ear in self.ears:
            ear.socket.close()


@pytest.fixture
def rig(tmp_path: Path, sentkit: ModuleType) -> Iterator[Rig]:
    made = Rig(tmp_path, sentkit)
    yield made
    made.close()


def test_every_slot_leaves_on_both_paths_with_its_own_picture(rig: Rig) -> None:
    rig.begin()
    for frame in range(100, 120):
        rig.run_to(frame + 1)
        for ear in rig.ears:
            (picture,) = ear.pictures()
            assert (picture.octets == rig.octets(frame)).all()
            assert picture.timestamp == rig.label(frame)
            assert min(picture.sequences) == frame * packet_layout(FORM).packets
    assert rig.notes() == []
    told = rig.stream()
    assert (told.state, told.width_px, told.height_px, told.bits, told.range) == ("sending", *SIZE, 10, "full")
    assert (told.paths[0].packets, told.paths[0].refused) == (told.paths[1].packets, 0)
    assert told.bucket.max <= told.bucket_limit
    assert told.took_ms.max < 40.0
    assert rig.run.description("main").read_bytes() == told.sdp.encode()
    assert "a=group:DUP primary secondary" in told.sdp
    assert "RANGE=FULL" in told.sdp
    assert rig.status().alarms == []


def test_a_ring_that_stalls_leaves_the_last_picture_up_and_says_so(rig: Rig) -> None:
    rig.wall.silent = {*range(103, 140)}
    rig.begin()
    rig.run_to(150)
    pictures = rig.ears[0].pictures()
    shown = [100, 101, 102, *[102] * 37, *range(140, 150)]
    assert [p.timestamp for p in pictures] == [rig.label(frame) for frame in range(100, 150)]
    assert all((p.octets == rig.octets(frame)).all() for p, frame in zip(pictures, shown, strict=True))
    assert [(n.frame, n.reason) for n in rig.notes()] == [(frame, "repeat") for frame in range(103, 140)]
    rig.run_to(170)
    assert rig.stream().reasons == {"repeat": 37}


def test_a_sender_that_comes_to_a_ring_that_stands_sends_what_is_there(rig: Rig) -> None:
    rig.wall.silent = {*range(103, 150)}
    rig.run_to(120)
    rig.begin()
    rig.run_to(130)
    pictures = rig.ears[0].pictures()
    assert [p.timestamp for p in pictures] == [rig.label(frame) for frame in range(120, 130)]
    assert all((p.octets == rig.octets(102)).all() for p in pictures)
    assert [n.reason for n in rig.notes()] == ["late", *["repeat"] * 9]


def test_an_order_to_hold_is_no_alarm(rig: Rig) -> None:
    from controller.action import ActionWord

    rig.wall.silent = {*range(103, 190)}
    word = ActionWord(rig.run.action_word)
    word.write("hold", 1)
    rig.begin()
    rig.run_to(150)
    assert {n.reason for n in rig.notes()} == {"held"}
    assert rig.stream().state == "sending"
    word.write("none", 2)
    rig.run_to(180)
    assert rig.stream().state == "stalled"
    assert [alarm.code for alarm in rig.status().alarms] == ["sender.stalled"]
    word.close()


def test_a_picture_within_the_grace_is_its_slots_and_a_late_one_the_nexts(rig: Rig) -> None:
    rig.wall.late_ns = {103: 5 * NS_PER_MS, 106: 20 * NS_PER_MS}
    rig.begin()
    rig.run_to(110)
    pictures = rig.ears[0].pictures()
    shown = [100, 101, 102, 103, 104, 105, 105, 107, 108, 109]
    assert all((p.octets == rig.octets(frame)).all() for p, frame in zip(pictures, shown, strict=True))
    assert [(n.frame, n.reason) for n in rig.notes()] == [(106, "repeat")]


def test_a_sender_that_was_gone_says_which_slots_it_cost(rig: Rig) -> None:
    rig.begin()
    rig.run_to(121)
    rig.house.remove("sender")
    rig.ears[0].pictures()
    rig.run_to(130)
    rig.begin()
    rig.run_to(140)
    pictures = rig.ears[0].pictures()
    assert [p.timestamp for p in pictures] == [rig.label(frame) for frame in range(130, 140)]
    (note,) = rig.notes()
    last = 129
    assert (note.frame, note.reason) == (last, "away")
    assert last - note.frames == 120


def test_a_connection_moves_with_a_frame(rig: Rig) -> None:
    rig.begin()
    other = Ear()
    offset_ns = rig.clock.tai_ns() - rig.clock.now_ns()
    rig.run_to(105)
    rig.connect(other.port, at_tai_ns=offset_ns + rig.wall.t_ns(110) - 1000)
    rig.run_to(110)
    first = rig.ears[0].pictures()
    assert other.pictures() == []
    rig.run_to(114)
    moved = other.pictures()
    assert rig.ears[0].pictures() == []
    assert [p.timestamp for p in (*first, *moved)] == [rig.label(frame) for frame in range(100, 114)]
    assert moved[0].timestamp == rig.label(110)
    (answer,) = rig.post.receive()
    assert answer == Connected("main", 1, 110, offset_ns + rig.wall.t_ns(110))
    assert f"m=video {other.port} " in rig.run.description("main").read_text()
    # It outlives the process, as long as the configuration says the same.
    rig.house.remove("sender")
    rig.begin()
    rig.run_to(118)
    assert len(other.pictures()) >= 3
    rig.write(leg(rig.ears[1]), version=2)
    rig.run_to(145)
    other.heard()
    rig.ears[1].pictures()
    rig.run_to(150)
    assert (len(other.pictures()), len(rig.ears[1].pictures())) == (0, 5)
    other.socket.close()


def test_connections_that_cannot_be_or_need_not_be(rig: Rig) -> None:
    rig.begin()
    rig.run_to(103)
    rig.connect(5004, source="192.0.2.1")
    rig.connect(5004, request=2, at_tai_ns=1 << 62)
    rig.run_to(106)
    answer = rig.post.receive()
    assert [type(a) for a in answer] == []  # the second took the first's place
    rig.post.send(rig.run.sender_socket, Disregard("main", 2))
    rig.connect(5004, request=3, source="192.0.2.1")
    rig.run_to(109)
    (refused,) = rig.post.receive()
    assert isinstance(refused, NotConnected)
    assert refused.problems[0].path == "streams/main/connection"
    nobody = Connect("other", Connection([]), 4, "service.sock")
    rig.post.send(rig.run.sender_socket, nobody)
    rig.post.send(
        rig.run.sender_socket,
        Connect("main", Connection(rig.stream().connection.legs, enabled=False), 5, "service.sock"),
    )
    rig.run_to(112)
    unknown, off = rig.post.receive()
    assert isinstance(unknown, NotConnected)
    assert unknown.problems[0].code == UnknownAddress.code
    assert isinstance(off, Connected)
    rig.ears[0].pictures()
    rig.run_to(130)
    assert rig.ears[0].pictures() == []
    assert (rig.stream().state, rig.stream().sdp, rig.run.description("main").exists()) == ("off", "", False)
    assert all(n.reason != "late" for n in rig.notes())


def test_a_source_that_is_not_here_is_an_alarm(rig: Rig) -> None:
    rig.write("destination: 239.1.1.1, source: 192.0.2.1")
    rig.begin()
    rig.run_to(130)
    (alarm,) = rig.status().alarms
    assert (alarm.code, alarm.path, alarm.severity) == ("sender.cannot_send", "streams/main", "critical")
    assert rig.stream().state == "failed"


def test_the_process_sleeps_until_something_is_sent(rig: Rig) -> None:
    rig.kit.write_version(rig.run, rig.kit.config_text())
    rig.house.add("sender", SenderWhenNeeded(run=rig.run, clock=rig.clock))
    rig.run_to(120)
    assert not rig.run.sender_status.exists()
    rig.write(version=2)
    rig.run_to(145)
    assert len(rig.ears[0].pictures()) > 5


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("      sampling: YCbCr-4:2:2\n      bits: 12\n", ""),
        ("      payload_type: 5\n", "outputs/main/st2110/payload_type"),
        ("      packing: tight\n", "outputs/main/st2110/packing"),
    ],
)
def test_the_configuration_is_checked(rig: Rig, more: str, path: str) -> None:
    if not path:
        rig.write(more=more)
        return
    with pytest.raises(ConfigError) as caught:
        rig.write(more=more)
    assert caught.value.problems[0].path == path


def test_what_no_form_holds_is_told_with_its_place(rig: Rig) -> None:
    odd = rig.text().replace("width_px: 352", "width_px: 354")
    with pytest.raises(ConfigError) as caught:
        compile_config(load_config_text(odd, base_dir=rig.run.path))
    assert "outputs/main/st2110" in {problem.path for problem in caught.value.problems}
    p3 = rig.text(more="      sampling: YCbCr-4:2:2\n").replace("bits: 10", "bits: 10, primaries: p3d65")
    with pytest.raises(ConfigError, match="luma of P3"):
        compile_config(load_config_text(p3, base_dir=rig.run.path))
