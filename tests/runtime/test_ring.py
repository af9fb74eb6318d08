"""The ring: its pinned layout, its promises under any order of events, and two processes that race."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runtime.errors import RingBusyError, RingFormatError, RingMemoryError, RingSlotError
from runtime.ring import (
    HEARTBEAT_OFFSET,
    KIND_CANVAS,
    KIND_PLANS,
    RingReader,
    RingWriter,
    fourcc,
    fourcc_text,
    ring_path,
    run_directory,
)


def make(path: Path, *, slots: int = 4, capacity: int = 100) -> RingWriter:
    return RingWriter.create(path, kind=KIND_PLANS, slots=slots, capacity=capacity)


def test_the_layout_is_the_pinned_one(tmp_path: Path) -> None:
    path = ring_path(run_directory("7", root=tmp_path), "wall")
    assert path == tmp_path / "openvolume-7" / "wall.ring"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    writer = RingWriter.create(
        path,
        kind=KIND_CANVAS,
        slots=4,
        capacity=8000,
        width=50,
        height=40,
        row_stride=200,
        pixel_format=fourcc("RGA8"),
    )
    for n in range(1, 7):
        writer.publish(bytes([n]) * 8000, frame=100 + n, t_ns=10**18 + n, config_version=3, plan_hash=2**64 - n)
    writer.heartbeat(12345)
    raw = path.read_bytes()
    assert raw[:8] == b"OVRING\0\1"
    header = struct.unpack("<13Q", raw[:104])
    stride = 8192
    assert header[1:] == (
        int.from_bytes(b"CANV", "little"), 4, stride, 64, 6, 12345, os.getpid(), 1, 50, 40, 200,
        int.from_bytes(b"RGA8", "little"),
    )  # fmt: skip
    assert len(raw) == 4096 + 4 * stride
    assert struct.unpack_from("<Q", raw, HEARTBEAT_OFFSET) == (12345,)
    assert not any(raw[104:4096])
    for n in range(3, 7):
        start = 4096 + (n - 1) % 4 * stride
        words = struct.unpack_from("<8Q", raw, start)
        assert words == (2 * n, 100 + n, 10**18 + n, 8000, 3, 2**64 - n, 0, 0)
        assert raw[start + 64 : start + 64 + 8000] == bytes([n]) * 8000


def test_a_slot_being_written_has_an_odd_sequence_and_nobody_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    writer = make(path, slots=2)
    reader = RingReader.open(path)
    assert reader.latest() is None
    assert reader.peek() is None
    memory = writer.begin()
    memory[:5] = b"hello"
    assert struct.unpack_from("<Q", path.read_bytes(), 4096) == (1,)
    assert reader.latest() is None
    assert reader.read(1) is None
    assert writer.commit(5, frame=9, t_ns=8) == 1
    slot = reader.latest()
    assert slot is not None
    assert (slot.n, slot.frame, slot.t_ns, slot.data) == (1, 9, 8, b"hello")


def test_a_view_knows_when_it_was_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    writer = make(path, slots=2)
    reader = RingReader.open(path)
    writer.publish(b"one", frame=1, t_ns=1, config_version=4, plan_hash=5)
    view = reader.peek()
    assert view is not None
    assert (view.n, view.frame, view.config_version, view.plan_hash, bytes(view.data)) == (1, 1, 4, 5, b"one")
    assert view.data.readonly
    writer.publish(b"two", frame=2, t_ns=2)
    assert view.intact()
    writer.begin()
    assert not view.intact()
    assert reader.view(1) is None
    assert reader.read(1) is None


def test_read_since_lists_what_is_there_and_counts_what_was_missed(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    writer = make(path, slots=4)
    reader = RingReader.open(path)
    assert reader.read_since(0) == ([], 0, 0)
    for n in range(1, 4):
        writer.publish(b"%d" % n, frame=n, t_ns=n)
    batch = reader.read_since(1)
    assert [slot.n for slot in batch.slots] == [2, 3]
    assert (batch.missed, batch.latest_n) == (0, 3)
    for n in range(4, 12):
        writer.publish(b"%d" % n, frame=n, t_ns=n)
    batch = reader.read_since(batch.latest_n)
    assert [slot.data for slot in batch.slots] == [b"8", b"9", b"10", b"11"]
    assert (batch.missed, batch.latest_n) == (4, 11)
    writer.begin()  # slot of 8 is being overwritten: 8 is lost too
    batch = reader.read_since(7)
    assert [slot.n for slot in batch.slots] == [9, 10, 11]
    assert batch.missed == 1


def test_a_new_writer_takes_the_next_epoch_and_goes_on_from_n(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    writer = make(path)
    reader = RingReader.open(path)
    for n in range(1, 4):
        writer.publish(b"old", frame=n, t_ns=n)
    writer.begin()[:3] = b"bad"  # and dies in the middle of message 4
    writer.heartbeat(77)
    writer.close()
    inode = path.stat().st_ino
    successor = make(path)
    assert path.stat().st_ino == inode
    assert (reader.epoch, reader.latest_n, reader.heartbeat_ns) == (2, 3, 0)
    slot = reader.latest()
    assert slot is not None
    assert slot.data == b"old"
    assert successor.publish(b"new", frame=4, t_ns=4) == 4
    batch = reader.read_since(3)
    assert [slot.data for slot in batch.slots] == [b"new"]
    assert not reader.refresh()


def test_a_message_completed_in_the_last_moment_is_not_numbered_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    writer = make(path)
    writer.publish(b"one", frame=1, t_ns=1)
    writer.publish(b"two", frame=2, t_ns=2)
    writer._header[5] = 1  # died between "complete" and "latest"
    writer.close()
    successor = make(path)
    assert successor.n == 2
    slot = RingReader.open(path).latest()
    assert slot is not None
    assert slot.data == b"two"


def test_another_shape_is_a_new_file_and_the_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    writer = make(path, capacity=100)
    reader = RingReader.open(path)
    for n in range(1, 6):
        writer.publish(b"x", frame=n, t_ns=n)
    writer.close()
    bigger = make(path, capacity=10_000)
    assert (bigger.n, bigger.epoch) == (5, 2)
    slot = reader.latest()
    assert slot is not None
    assert slot.n == 5, "what was mapped stays readable"
    assert reader.refresh()
    assert reader.latest() is None
    assert reader.read_since(4) == ([], 0, 4)
    bigger.publish(b"y" * 10_000, frame=6, t_ns=6)
    batch = reader.read_since(4)
    assert ([slot.n for slot in batch.slots], batch.missed) == ([6], 1)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.ring"]


def test_a_ring_that_was_deleted_and_made_anew_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    writer = make(path)
    for n in range(1, 100):
        writer.publish(b"x", frame=n, t_ns=n)
    reader = RingReader.open(path)
    writer.remove()
    assert not reader.refresh()
    fresh = make(path)
    fresh.publish(b"y", frame=1, t_ns=1)
    assert reader.refresh()
    batch = reader.read_since(99)
    assert ([slot.data for slot in batch.slots], batch.missed, batch.latest_n) == ([b"y"], 0, 1)


def test_a_ring_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    writer = make(path)
    with pytest.raises(RingBusyError, match="another process writes it"):
        make(path)
    with pytest.raises(RingBusyError):
        make(path, capacity=10_000)
    writer.publish(b"x", frame=1, t_ns=1)
    assert RingReader.open(path).epoch == 1
    writer.close()
    make(path).close()


@pytest.mark.parametrize("slots", [0, 1, 3, 12])
def test_slots_are_a_power_of_two(slots: int, tmp_path: Path) -> None:
    with pytest.raises(RingFormatError, match="power of two"):
        make(tmp_path / "a.ring", slots=slots)
    with pytest.raises(RingFormatError, match="largest message"):
        make(tmp_path / "a.ring", capacity=0)


def test_data_that_does_not_fit_is_refused_and_nothing_is_published(tmp_path: Path) -> None:
    writer = make(tmp_path / "a.ring", capacity=4032)
    reader = RingReader.open(tmp_path / "a.ring")
    writer.publish(b"x" * 4032, frame=1, t_ns=1)
    with pytest.raises(RingSlotError, match="4033 bytes do not fit a slot of 4032"):
        writer.publish(b"x" * 4033, frame=2, t_ns=2)
    with pytest.raises(RingSlotError, match="without a begin"):
        writer.commit(1, frame=2, t_ns=2)
    writer.begin()
    with pytest.raises(RingSlotError):
        writer.commit(4033, frame=2, t_ns=2)
    assert reader.latest_n == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x" * 100,
        bytes(8192),
        b"OVRING\0\1" + bytes(8192),
        b"OVRING\0\1" + struct.pack("<4Q", 0, 3, 4096, 64) + bytes(100_000),
        b"OVRING\0\1" + struct.pack("<4Q", 0, 4, 4096, 64) + bytes(8192),
        b"OVRING\0\1" + struct.pack("<4Q", 0, 4, 5000, 64) + bytes(100_000),
    ],
)
def test_a_file_that_is_no_ring_is_refused_by_both_ends(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    path.write_bytes(content)
    open_fds = len(os.listdir("/proc/self/fd"))
    for end in (lambda: RingReader.open(path), lambda: make(path)):
        with pytest.raises(RingFormatError):
            end()
    assert len(os.listdir("/proc/self/fd")) == open_fds


def test_a_ring_of_another_kind_is_refused_and_an_absent_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    assert RingReader.try_open(path) is None
    with pytest.raises(FileNotFoundError):
        RingReader.open(path)
    make(path)
    with pytest.raises(RingFormatError, match="holds PLAN, not CANV"):
        RingReader.open(path, kind=KIND_CANVAS)
    assert RingReader.try_open(path, kind=KIND_PLANS) is not None


def test_no_room_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RingMemoryError, match="--shm-size"):
        make(tmp_path / "a.ring")
    assert list(tmp_path.iterdir()) == []


def test_closing_gives_back_descriptors_even_while_a_view_lives(tmp_path: Path) -> None:
    open_fds = len(os.listdir("/proc/self/fd"))
    writer = make(tmp_path / "a.ring")
    reader = RingReader.open(tmp_path / "a.ring")
    writer.publish(b"kept", frame=1, t_ns=1)
    view = reader.peek()
    assert view is not None
    writer.close()
    reader.close()
    reader.close()
    assert bytes(view.data) == b"kept"
    view.data.release()
    del view, writer, reader
    assert len(os.listdir("/proc/self/fd")) == open_fds


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=4))
def test_a_fourcc_is_its_text(text: str) -> None:
    assert fourcc_text(fourcc(text)) == text
    assert fourcc(text).to_bytes(4, "little") == text.encode()


def test_a_fourcc_has_four_characters() -> None:
    with pytest.raises(ValueError, match="four characters"):
        fourcc("RGBA8")


class RingMachine(RuleBasedStateMachine):
    """Any order of publishing, dying, resizing and reading: numbers go on, nothing is torn, nothing lost uncounted."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="openvolume-ring-"))
        self.path = self.folder / "a.ring"
        self.slots = 4
        self.capacity = 4000
        self.writer = make(self.path, slots=self.slots, capacity=self.capacity)
        self.reader = RingReader.open(self.path)
        self.published: dict[int, bytes] = {}
        self.in_this_file = 0
        self.cursor = 0
        self.seen = 0
        self.missed = 0

    @rule(data=st.binary(max_size=64), in_place=st.booleans())
    def publish(self, data: bytes, in_place: bool) -> None:
        frame = self.writer.n + 1000
        if in_place:
            self.writer.begin()[: len(data)] = data
            n = self.writer.commit(len(data), frame=frame, t_ns=frame)
        else:
            n = self.writer.publish(data, frame=frame, t_ns=frame)
        assert n == len(self.published) + 1
        self.published[n] = data
        self.in_this_file += 1

    @rule(in_the_middle=st.booleans())
    def the_writer_dies_and_another_comes(self, in_the_middle: bool) -> None:
        if in_the_middle:
            self.writer.begin()[:1] = b"!"
            self.in_this_file = min(self.in_this_file, self.slots - 1)
        epoch = self.writer.epoch
        self.writer.close()
        self.writer = make(self.path, slots=self.slots, capacity=self.capacity)
        assert self.writer.epoch == epoch + 1

    @rule(slots=st.sampled_from([2, 4, 8]))
    def the_writer_comes_back_with_another_shape(self, slots: int) -> None:
        if slots != self.slots:
            self.slots = slots
            self.writer.close()
            self.writer = make(self.path, slots=slots, capacity=self.capacity)
            self.in_this_file = 0
            assert self.reader.refresh()

    @rule()
    def read_the_queue(self) -> None:
        batch = self.reader.read_since(self.cursor)
        numbers = [slot.n for slot in batch.slots]
        assert numbers == sorted(numbers)
        for slot in batch.slots:
            assert slot.n > self.cursor
            assert (slot.data, slot.frame) == (self.published[slot.n], slot.n + 999)
        self.seen += len(numbers)
        self.missed += batch.missed
        self.cursor = batch.latest_n
        assert self.seen + self.missed == self.cursor

    @invariant()
    def the_newest_message_is_there_whole(self) -> None:
        if not hasattr(self, "reader"):
            return
        slot = self.reader.latest()
        readable = min(self.in_this_file, self.slots)
        if readable == 0:
            assert slot is None
        else:
            assert slot is not None
            assert (slot.n, slot.data) == (len(self.published), self.published[len(self.published)])

    def teardown(self) -> None:
        if hasattr(self, "reader"):
            self.reader.close()
            self.writer.remove()
            self.folder.rmdir()


TestRingMachine = RingMachine.TestCase
TestRingMachine.settings = settings(max_examples=40, stateful_step_count=30)

RACER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from runtime.ring import KIND_PLANS, RingWriter
    writer = RingWriter.create(Path(sys.argv[1]), kind=KIND_PLANS, slots=int(sys.argv[2]), capacity=256)
    print("ready", flush=True)
    while True:
        n = writer.n + 1
        word = (n & 0xFF).to_bytes(1, "little")
        writer.publish(word * (64 + n % 193), frame=n, t_ns=2 * n, config_version=3 * n, plan_hash=5 * n)
""")


@pytest.mark.parametrize("slots", [2, 8])
def test_nothing_is_torn_between_two_processes_at_full_speed(slots: int, tmp_path: Path) -> None:
    path = tmp_path / "race.ring"
    command = [sys.executable, "-P", "-c", RACER, str(path), str(slots)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as racer:
        assert racer.stdout is not None
        try:
            assert racer.stdout.readline() == "ready\n"
            reader = RingReader.open(path)
            until = time.monotonic() + 0.5
            numbers = set()
            while time.monotonic() < until:
                for _ in range(200):
                    slot = reader.latest()
                    if slot is None:
                        continue
                    n = slot.n
                    assert slot[1:5] == (n, 2 * n, 3 * n, 5 * n)
                    assert slot.data == (n & 0xFF).to_bytes(1, "little") * (64 + n % 193)
                    numbers.add(n)
                    view = reader.peek()
                    if view is not None:
                        copy = bytes(view.data)
                        if view.intact():
                            assert copy == (view.n & 0xFF).to_bytes(1, "little") * (64 + view.n % 193)
        finally:
            racer.kill()
    assert len(numbers) > 10, "the two never ran at the same time"
    # The lock of the dead writer is gone with it.
    successor = RingWriter.create(path, kind=KIND_PLANS, slots=slots, capacity=256)
    assert successor.epoch == 2
    assert successor.n >= max(numbers)
