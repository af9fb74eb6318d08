"""The ledger on disk: append-only segments of checked entries, kept within a size, read up to their last whole entry.

A segment is `OVLEDG\\0\\1`, then entries: u32 length, u32 CRC32 of the payload, payload (little-endian). A payload is
one byte of kind, i64 first and i64 last frame number in it, then zlib-compressed msgpack: first an `Opening`, then
one `Block` about every second. A process killed, a power cut or a full disk leaves at most a torn end, which reading
cuts off. Segments are named by TAI and run, so that names sort by time; the oldest go when the folder is full.

No numpy: the recorder writes with this module.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from controller.errors import ControllerError
from controller.ledger_record import Event, FrameRecord, HostNote
from runtime.clock import NS_PER_S
from stage.errors import Problem

MAGIC: Final = b"OVLEDG\0\1"
SCHEMA: Final = 1
SUFFIX: Final = ".ledger"
FOLDER: Final = "ledger"
"""In a show's state folder."""
KEEP_FILES: Final = 400
LEAST_SEGMENT: Final = 1 << 16
MOST_SEGMENT: Final = 1 << 24
_LONGEST_ENTRY: Final = 1 << 26
_HEAD: Final = 8
_KINDS: Final = 17
"""Bytes of kind and frame numbers before the compressed part."""
_OPENING: Final = 1
_BLOCK: Final = 2


class LedgerFileError(ControllerError):
    """A ledger file that cannot be found or read."""

    code = "controller.ledger_file"


class Opening(Struct, frozen=True, omit_defaults=True):
    """What a segment is about."""

    show: str
    run: str
    segment: int
    """1 for a recorder's first; a recorder that was restarted begins at 1 again."""
    t_ns: int
    """CLOCK_MONOTONIC when it was opened."""
    tai_ns: int
    """TAI at the same moment: turns every stamp into a date."""
    rate: tuple[int, int] = (0, 1)
    canvases: list[str] = []
    schema: int = SCHEMA
    version: str = ""


class Block(Struct, frozen=True, omit_defaults=True):
    """What was learned since the block before."""

    records: list[FrameRecord] = []
    notes: list[HostNote] = []
    events: list[Event] = []
    missed: int = 0
    """Plans and reports that were overwritten before the recorder came to read them."""
    lost: int = 0
    """Frames that could not be written before this block: the disk was full or gone."""


_ENCODER: Final = msgspec.msgpack.Encoder()
_OPENINGS: Final = msgspec.msgpack.Decoder(Opening)
_BLOCKS: Final = msgspec.msgpack.Decoder(Block)


def encode_entry(entry: Opening | Block) -> bytes:
    """One entry as it stands in a segment."""
    kind, first, last = _OPENING, 0, -1
    if isinstance(entry, Block):
        kind = _BLOCK
        frames = [record.frame for record in entry.records]
        first, last = (min(frames), max(frames)) if frames else (0, -1)
    head = kind.to_bytes(1, "little") + first.to_bytes(8, "little", signed=True)
    payload = head + last.to_bytes(8, "little", signed=True) + zlib.compress(_ENCODER.encode(entry), 1)
    return len(payload).to_bytes(4, "little") + zlib.crc32(payload).to_bytes(4, "little") + payload


class SegmentWriter:
    """Writes one recorder's segments into a folder. Calls block on the disk.

    Attributes
    ----------
    path : the segment that is written; None before the first entry
    """

    def __init__(self, folder: Path, opening: Opening, *, keep_bytes: int) -> None:
        """keep_bytes : what all segments of the folder may take together, this one included."""
        self.path: Path | None = None
        self._folder, self._opening, self._keep = folder, opening, keep_bytes
        self._most = min(MOST_SEGMENT, max(LEAST_SEGMENT, keep_bytes // 8))
        self._fd = -1
        self._at = 0
        self._segments = 0

    def append(self, block: Block) -> int:
        """Write one block, all of it or nothing; the bytes it took.

        Raises
        ------
        OSError : no room, or the disk is gone. What was written before stays whole, and a later call tries again.
        """
        data = encode_entry(block)
        if self._fd < 0 or (self._at + len(data) > self._most and self._at > _HEAD):
            self._next()
        self._write(data)
        return len(data)

    def sync(self) -> None:
        """Have the disk keep what was written. Raises OSError."""
        if self._fd >= 0:
            os.fdatasync(self._fd)

    def make_room(self) -> bool:
        """Delete the oldest other segment; False when there is none."""
        others = [path for path in segments_in(self._folder) if path != self.path]
        for path in others[:1]:
            with contextlib.suppress(OSError):
                path.unlink()
        return bool(others)

    def close(self) -> None:
        """Sync and close; errors of a disk that is gone are no news by now."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.fdatasync(self._fd)
            os.close(self._fd)
        self._fd = -1

    def _next(self) -> None:
        """Begin the next segment; the one before is closed once this one is there."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._prune()
        opening = msgspec.structs.replace(self._opening, segment=self._segments + 1)
        second = datetime.fromtimestamp(opening.tai_ns / NS_PER_S, UTC).strftime("%Y%m%dT%H%M%S")
        path = self._folder / f"{second}-{opening.run}-{os.getpid()}-{opening.segment:05d}{SUFFIX}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            begin = MAGIC + encode_entry(opening)
            if os.pwrite(fd, begin, 0) != len(begin):
                raise OSError(28, "No space left on device")
        except OSError:
            os.close(fd)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        self.close()
        self.path, self._fd, self._at, self._segments = path, fd, len(begin), opening.segment

    def _write(self, data: bytes) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._fd, data[done:], self._at + done)
        except OSError:
            # No half entry before whole ones.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._at)
            raise
        self._at += len(data)

    def _prune(self) -> None:
        """Delete the oldest segments until there is room for one more within what may be kept."""
        sizes: list[tuple[Path, int]] = []
        for path in segments_in(self._folder):
            with contextlib.suppress(OSError):
                sizes.append((path, path.stat().st_size))
        total = sum(size for _, size in sizes)
        count = len(sizes)
        for path, size in sizes:
            if total + self._most <= self._keep and count < KEEP_FILES:
                return
            if path == self.path:
                continue
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
                count -= 1


def segments_in(folder: Path) -> list[Path]:
    """Every segment of a folder, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


@dataclass
class Reading:
    """What ledger files hold.

    opening : of the first segment; None when none could be read
    records : every frame slot once, in order of writing (the newest version of each)
    cut_bytes : torn ends that were left out; segments : files read; lost, missed : as blocks tell
    """

    opening: Opening | None = None
    records: list[FrameRecord] = field(default_factory=list)
    notes: list[HostNote] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    missed: int = 0
    lost: int = 0
    cut_bytes: int = 0
    segments: list[Path] = field(default_factory=list)

    @property
    def stalls(self) -> list[tuple[int, int]]:
        """Standstills of the host, from and to, monotonic ns."""
        return [stall for note in self.notes for stall in note.stalls]


def read_segments(paths: list[Path]) -> Reading:
    """Everything that is whole in some segments of one run.

    Raises
    ------
    LedgerFileError : a file cannot be read or is no segment.
    """
    reading = Reading()
    by_frame: dict[int, FrameRecord] = {}
    events: dict[Event, None] = {}
    for path in paths:
        data = _read(path)
        end = min(len(data), len(MAGIC))
        for entry in _entries(data):
            end = entry.end
            if entry.kind == _OPENING:
                reading.opening = reading.opening or entry.opening()
                continue
            block = entry.block()
            for record in block.records:
                # A recorder that was restarted may tell the last slots again.
                by_frame.pop(record.frame, None)
                by_frame[record.frame] = record
            reading.notes += block.notes
            # As it may the last events.
            events |= dict.fromkeys(block.events)
            reading.missed += block.missed
            reading.lost += block.lost
        reading.cut_bytes += max(0, len(data) - end)
        reading.segments.append(path)
    reading.records, reading.events = list(by_frame.values()), list(events)
    return reading


def read_opening(path: Path) -> Opening | None:
    """What a segment is about; None when not even that is whole. Raises LedgerFileError."""
    data = _read(path, most=1 << 16)
    first = next(_entries(data), None)
    return first.opening() if first is not None and first.kind == _OPENING else None


def last_told(path: Path) -> tuple[int, int]:
    """Number and time of the newest frame in a segment; -1 and 0 without one. Raises LedgerFileError."""
    newest = max((entry for entry in _entries(_read(path)) if entry.kind == _BLOCK), key=_last_of, default=None)
    if newest is None or newest.last < 0:
        return -1, 0
    return newest.last, max(record.t_present_ns for record in newest.block().records)


def around_frame(paths: list[Path], frame: int, *, before: int = 0, after: int = 0) -> Reading:
    """The slots from `frame - before` to `frame + after` of one run, with the notes and events of their blocks."""
    reading = Reading()
    first_wanted, last_wanted = frame - before, frame + after
    by_frame: dict[int, FrameRecord] = {}
    for path in paths:
        for entry in _entries(_read(path)):
            if entry.kind == _OPENING:
                reading.opening = reading.opening or entry.opening()
            elif entry.first <= last_wanted and entry.last >= first_wanted:
                block = entry.block()
                by_frame |= {r.frame: r for r in block.records if first_wanted <= r.frame <= last_wanted}
                reading.notes += block.notes
                reading.events += block.events
        reading.segments.append(path)
    reading.records = [by_frame[number] for number in sorted(by_frame)]
    return reading


def runs_in(folder: Path) -> dict[str, list[Path]]:
    """The segments of a folder by run, the oldest run first; damaged ones are left out."""
    found: dict[str, list[Path]] = {}
    for path in segments_in(folder):
        try:
            opening = read_opening(path)
        except LedgerFileError:
            continue
        if opening is not None:
            found.setdefault(opening.run, []).append(path)
    return dict(sorted(found.items(), key=lambda item: item[1][-1].name))


class _Entry(NamedTuple):
    kind: int
    first: int
    last: int
    body: bytes
    end: int
    """Where the next one begins."""

    def opening(self) -> Opening:
        return _OPENINGS.decode(zlib.decompress(self.body))

    def block(self) -> Block:
        return _BLOCKS.decode(zlib.decompress(self.body))


def _last_of(entry: _Entry) -> int:
    return entry.last


def _entries(data: bytes) -> Iterator[_Entry]:
    """Every entry up to the first torn one. Kinds of a later version are passed over."""
    at = len(MAGIC)
    while at + _HEAD + _KINDS <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        checksum = int.from_bytes(data[at + 4 : at + 8], "little")
        payload = data[at + _HEAD : at + _HEAD + length]
        if not _KINDS <= length <= _LONGEST_ENTRY or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        first, last = (int.from_bytes(payload[i : i + 8], "little", signed=True) for i in (1, 9))
        at += _HEAD + length
        if payload[0] in (_OPENING, _BLOCK):
            yield _Entry(payload[0], first, last, payload[_KINDS:], at)


def _read(path: Path, *, most: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most)
    except OSError as error:
        raise _file_error(path, f"cannot be read: {error.strerror}") from error
    # Torn within its first bytes it is a segment all the same.
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise _file_error(path, "is no ledger segment", "give a .ledger file, a folder of them, or a show's name")
    return data


def _file_error(path: Path, detail: str, mend: str = "") -> LedgerFileError:
    return LedgerFileError(Problem(LedgerFileError.code, str(path), detail, mend=mend))
