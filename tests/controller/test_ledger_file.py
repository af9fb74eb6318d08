"""Ledger segments: what was written whole is read back, whatever happened to the end, and the folder stays small."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger_file import (
    MAGIC,
    Block,
    LedgerFileError,
    Opening,
    SegmentWriter,
    around_frame,
    encode_entry,
    last_told,
    read_opening,
    read_segments,
    runs_in,
    segments_in,
)
from controller.ledger_record import CameraStamps, Event, FrameRecord, HostNote, NodeStamps

OPENING = Opening("demo", "demo-1", 1, 5, 1_800_000_000_000_000_000, (24, 1), ["left"])

stamps = st.integers(0, (1 << 63) - 1)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
cameras = st.builds(CameraStamps, names, st.integers(0, 1 << 40), stamps, stamps, stamps, names)
nodes = st.builds(NodeStamps, stamps, stamps, stamps, st.integers(0, (1 << 64) - 1), st.dictionaries(names, names))
records = st.builds(
    FrameRecord,
    frame=st.integers(0, 1 << 40),
    t_present_ns=stamps,
    plan_hash=st.integers(0, (1 << 64) - 1),
    cameras=st.dictionaries(names, cameras, max_size=3),
    nodes=st.dictionaries(names, nodes, max_size=2),
    presented=st.sampled_from([None, True, False]),
    reason=st.sampled_from(["none", "late_draw", "host_stall"]),
    rate=st.just((24000, 1001)),
    stall_ns=stamps,
)
notes = st.builds(HostNote, st.integers(0, 1 << 40), stamps, st.lists(st.tuples(stamps, stamps), max_size=2), stamps)
events = st.builds(Event, stamps, st.just("process_ended"), names, names)
blocks = st.builds(
    Block,
    st.lists(records, max_size=4, unique_by=lambda record: record.frame),
    st.lists(notes, max_size=3),
    st.lists(events, max_size=3),
    st.integers(0, 9),
    st.integers(0, 9),
)


def frames(first: int, last: int) -> Block:
    return Block([FrameRecord(frame, t_present_ns=frame * 40_000_000 + 1) for frame in range(first, last)])


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for hundreds of examples: each writes its file anew."""
    return tmp_path_factory.mktemp("ledgers")


@given(st.lists(blocks, max_size=5), st.data())
def test_what_was_written_is_read_back_up_to_where_it_was_torn(
    ledgers: Path, written: list[Block], data: st.DataObject
) -> None:
    path = ledgers / "a.ledger"
    entries = [encode_entry(OPENING), *(encode_entry(block) for block in written)]
    whole = MAGIC + b"".join(entries)
    cut = data.draw(st.integers(0, len(whole)), label="cut")
    path.write_bytes(whole[:cut])
    ends = [len(MAGIC)]
    for entry in entries:
        ends.append(ends[-1] + len(entry))
    kept = sum(end <= cut for end in ends[1:])
    reading = read_segments([path])
    assert reading.opening == (OPENING if kept else None)
    survived = written[: max(0, kept - 1)]
    expected: dict[int, FrameRecord] = {}
    for block in survived:
        expected |= {record.frame: record for record in block.records}
    assert {record.frame: record for record in reading.records} == expected
    assert reading.notes == [note for block in survived for note in block.notes]
    assert reading.events == list(dict.fromkeys(event for block in survived for event in block.events))
    assert reading.lost == sum(block.lost for block in survived)
    assert reading.cut_bytes == cut - max((end for end in ends if end <= cut), default=cut)
    assert last_told(path)[0] == max((r.frame for block in survived for r in block.records), default=-1)


@given(st.integers(0, 1 << 20), st.integers(1, 255))
def test_a_damaged_byte_is_noticed(ledgers: Path, where: int, flip: int) -> None:
    path = ledgers / "a.ledger"
    whole = bytearray(MAGIC + encode_entry(OPENING) + encode_entry(frames(0, 30)) + encode_entry(frames(30, 60)))
    at = len(MAGIC) + where % (len(whole) - len(MAGIC))
    whole[at] ^= flip
    path.write_bytes(whole)
    read = read_segments([path]).records
    # Everything before it, and nothing invented after it.
    assert [record.frame for record in read] in ([], list(range(30)))
    assert read == frames(0, len(read)).records


def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.ledger").write_bytes(b"PNG and more")
    for read in (lambda path: read_segments([path]), read_opening, last_told):
        with pytest.raises(LedgerFileError, match=r"a\.ledger: is no ledger segment"):
            read(tmp_path / "a.ledger")
    with pytest.raises(LedgerFileError, match="cannot be read: No such file"):
        read_opening(tmp_path / "b.ledger")
    assert runs_in(tmp_path) == {}


def test_segments_follow_each_other_and_the_oldest_go(tmp_path: Path) -> None:
    keep = 1 << 20
    writer = SegmentWriter(tmp_path, OPENING, keep_bytes=keep)
    blobs = [frames(0, 1)]
    for frame in range(1, 400):
        noise = os.urandom(8000).hex()
        blobs.append(Block([FrameRecord(frame)], events=[Event(frame, "process_ended", noise)]))
    greatest = 0
    for block in blobs:
        writer.append(block)
        greatest = max(greatest, sum(path.stat().st_size for path in segments_in(tmp_path)))
    writer.sync()
    writer.close()
    assert keep * 3 // 4 < greatest <= keep
    paths = segments_in(tmp_path)
    assert len(paths) >= 6
    reading = read_segments(paths)
    first = reading.records[0].frame
    assert first > 100, "the oldest are gone"
    assert [record.frame for record in reading.records] == list(range(first, 400))
    numbers = [read_opening(path) for path in paths]
    assert [opening.segment for opening in numbers if opening] == list(
        range(numbers[0].segment if numbers[0] else 0, numbers[0].segment + len(paths) if numbers[0] else 0)
    )


def test_runs_are_told_apart_in_order_of_time(tmp_path: Path) -> None:
    for number, run in enumerate(["zebra-1", "ant-2"]):
        opening = msgspec.structs.replace(OPENING, run=run, tai_ns=OPENING.tai_ns + number * 10**9)
        writer = SegmentWriter(tmp_path, opening, keep_bytes=1 << 24)
        writer.append(frames(0, 10))
        writer.close()
    found = runs_in(tmp_path)
    assert list(found) == ["zebra-1", "ant-2"]
    assert all(len(paths) == 1 for paths in found.values())


def test_a_frame_is_found_without_reading_everything(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, OPENING, keep_bytes=1 << 24)
    for first in range(0, 2400, 24):
        writer.append(frames(first, first + 24))
    writer.close()
    reading = around_frame(segments_in(tmp_path), 1000, before=30, after=2)
    assert [record.frame for record in reading.records] == list(range(970, 1003))
    assert reading.opening == OPENING
    assert around_frame(segments_in(tmp_path), 99_999).records == []


def test_a_write_that_fails_half_way_leaves_whole_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SegmentWriter(tmp_path, OPENING, keep_bytes=1 << 24)
    writer.append(frames(0, 10))
    real, left = os.pwrite, [40]

    def short(fd: int, data: bytes, at: int) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(fd, data[: left[0]], at)
        left[0] -= done
        return done

    monkeypatch.setattr(os, "pwrite", short)
    with pytest.raises(OSError, match="No space left"):
        writer.append(frames(10, 20))
    monkeypatch.setattr(os, "pwrite", real)
    writer.append(frames(20, 30))
    writer.close()
    reading = read_segments(segments_in(tmp_path))
    assert [record.frame for record in reading.records] == [*range(10), *range(20, 30)]
    assert reading.cut_bytes == 0


def test_a_size_limit_of_the_system_ends_no_process_and_tears_no_segment(tmp_path: Path) -> None:
    """RLIMIT_FSIZE: the kernel's own short write and EFBIG, in a process of its own."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        sys.path[:0] = [sys.argv[2]]
        from test_ledger_file_kit import OPENING, frames
        from controller.ledger_file import SegmentWriter
        writer = SegmentWriter(Path(sys.argv[1]), OPENING, keep_bytes=1 << 24)
        written = 0
        for first in range(0, 24_000, 24):
            try:
                writer.append(frames(first, first + 24))
                written = first + 24
            except OSError as error:
                print(error.errno, written)
                break
        writer.close()
    """)
    kit = tmp_path / "kit"
    kit.mkdir()
    (kit / "test_ledger_file_kit.py").write_text(Path(__file__).read_text())

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out"), str(kit)],
        capture_output=True, text=True, preexec_fn=limited, check=True, timeout=60, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    number, written = map(int, done.stdout.split())
    assert number == errno.EFBIG
    reading = read_segments(segments_in(tmp_path / "out"))
    assert [record.frame for record in reading.records] == list(range(written))
    assert written > 100
    assert reading.cut_bytes == 0
