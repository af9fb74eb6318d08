"""PosiStageNet 2.03: little-endian chunks over multicast; DATA packets with trackers, INFO packets with their names.

Chunk header, 32 bits: id (0-15), length of the data (16-30), whether the data are chunks (31). Unknown chunks are
stepped over, a longer known one is read as far as it is known. Metres, radians, microseconds since the server's start.
Axes: x right, y up, z depth; the orientation is a rotation vector. A frame may come in several packets: each tracker
is used as soon as its packet is there, and the `Assembler` counts the packets of a frame that never come.
"""

from __future__ import annotations

import struct
from collections import deque
from math import isfinite
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from stage.frames import pose_from_psn
from tracking.protocols.bodies import chosen_body
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "psn"
GROUP: Final = "236.10.10.10"
PORT: Final = 56565
MAX_DATAGRAM: Final = 1500
MAX_NAMES: Final = 1024
DATA, INFO = 0x6755, 0x6756
VERSION: Final = (2, 3)
_HEADER, _TRACKERS = 0x0000, 0x0001
_SYSTEM_NAME, _NAMES, _NAME = 0x0001, 0x0002, 0x0000
_POS, _SPEED, _ORI, _STATUS, _ACCEL, _TARGET, _TIMESTAMP = range(7)
_HAS_CHUNKS: Final = 0x80000000
_CHUNK: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<QBBBB")
_VECTOR: Final = struct.Struct("<3f")
_FLOAT: Final = struct.Struct("<f")
_TIME: Final = struct.Struct("<Q")
_SANE_AGE_US: Final = 1_000_000

Vector = tuple[float, float, float]
Chunks = list[tuple[int, int, int]]


class PsnTracker(Struct, frozen=True, gc=False):
    """One tracker of a DATA packet, wire units; None: not sent."""

    id: int
    position_m: Vector | None = None
    speed_m_s: Vector | None = None
    orientation_rad: Vector | None = None
    """Axis times angle."""
    status: float | None = None
    """Validity. Servers leave it 0 for trackers they see well: nothing is refused for it."""
    acceleration_m_s2: Vector | None = None
    target_m: Vector | None = None
    timestamp_us: int | None = None
    """When it was measured, on the server's clock."""

    def _chunks(self) -> bytes:
        out = []
        for kind, vector in (
            (_POS, self.position_m), (_SPEED, self.speed_m_s), (_ORI, self.orientation_rad),
        ):  # fmt: skip
            if vector is not None:
                out.append(_chunk(kind, _VECTOR.pack(*vector)))
        if self.status is not None:
            out.append(_chunk(_STATUS, _FLOAT.pack(self.status)))
        for kind, vector in ((_ACCEL, self.acceleration_m_s2), (_TARGET, self.target_m)):
            if vector is not None:
                out.append(_chunk(kind, _VECTOR.pack(*vector)))
        if self.timestamp_us is not None:
            out.append(_chunk(_TIMESTAMP, _TIME.pack(self.timestamp_us)))
        return b"".join(out)


class PsnHeader(Struct, frozen=True, gc=False):
    """What DATA and INFO packets begin with."""

    timestamp_us: int
    version: tuple[int, int]
    """High, low."""
    frame_id: int
    """0..255."""
    frame_packets: int
    """Packets of the frame."""

    def __bytes__(self) -> bytes:
        return _chunk(_HEADER, _HEAD.pack(self.timestamp_us, *self.version, self.frame_id, self.frame_packets))


class PsnData(Struct, frozen=True, gc=False):
    """One DATA packet."""

    header: PsnHeader
    trackers: tuple[PsnTracker, ...] = ()
    names: dict[int, str] = {}
    """Of the trackers, as INFO packets told so far; put in by the `Assembler`."""
    alone: bool = True
    """Whether the server has spoken of one tracker only; put in by the `Assembler`."""
    raw: bytes = b""
    """The datagram as it came, with chunks that are not known here."""

    def __bytes__(self) -> bytes:
        if self.raw:
            return self.raw
        trackers = b"".join(_chunk(t.id, t._chunks(), nested=True) for t in self.trackers)
        return _chunk(DATA, bytes(self.header) + _chunk(_TRACKERS, trackers, nested=True), nested=True)

    @property
    def t_source_ns(self) -> int:
        """The frame's time stamp, ns since the server's start."""
        return self.header.timestamp_us * 1000

    @property
    def sequence(self) -> int:
        """The frame id."""
        return self.header.frame_id

    def tracker_for(self, mapping: Mapping) -> PsnTracker | None:
        """The tracker a source follows; None: it is not in this packet."""
        names = self.names
        bodies = [(t.id, names.get(t.id, "")) for t in self.trackers]
        chosen = chosen_body(bodies, mapping.body, mapping.camera_name, alone=self.alone)
        return None if chosen is None else self.trackers[chosen]

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the source's tracker is in this packet."""
        return self.tracker_for(mapping) is not None

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The tracker's pose in stage units; without an orientation it looks straight ahead."""
        tracker = self.tracker_for(mapping)
        if tracker is None:
            return []
        if tracker.position_m is None:
            return [Refusal("other_message", f"tracker {tracker.id} without a position")]
        turn = tracker.orientation_rad or (0.0, 0.0, 0.0)
        if not isfinite(sum(tracker.position_m) + sum(turn)):
            return [Refusal("nan", f"tracker {tracker.id}")]
        if tracker.timestamp_us is not None:
            age_us = self.header.timestamp_us - tracker.timestamp_us
            if abs(age_us) <= _SANE_AGE_US:
                stamp = msgspec.structs.replace(stamp, t_sampled_ns=stamp.t_sampled_ns - 1000 * age_us)
        pose = pose_from_psn(tracker.position_m, turn, right_handed=mapping.psn.handedness == "right")
        return [mapping.sample(pose, None, stamp, sequence=self.sequence)]


class PsnInfo(Struct, frozen=True, gc=False):
    """One INFO packet."""

    header: PsnHeader
    system_name: str = ""
    names: dict[int, str] = {}
    """By tracker id."""
    raw: bytes = b""

    def __bytes__(self) -> bytes:
        if self.raw:
            return self.raw
        system = _chunk(_SYSTEM_NAME, self.system_name.encode())
        names = b"".join(_chunk(i, _chunk(_NAME, name.encode()), nested=True) for i, name in self.names.items())
        return _chunk(INFO, bytes(self.header) + system + _chunk(_NAMES, names, nested=True), nested=True)


class _Malformed(Exception):
    """A chunk that does not hold what it must."""


def _chunk(kind: int, data: bytes, *, nested: bool = False) -> bytes:
    return _CHUNK.pack(kind | len(data) << 16 | (_HAS_CHUNKS if nested else 0)) + data


def _chunks(data: bytes, begin: int, end: int) -> Chunks:
    """Id, begin and end of each chunk between two places."""
    out: Chunks = []
    at = begin
    while at < end:
        if end - at < 4:
            raise _Malformed(f"{end - at} bytes after the last chunk")
        (word,) = _CHUNK.unpack_from(data, at)
        first = at + 4
        at = first + (word >> 16 & 0x7FFF)
        if at > end:
            raise _Malformed(f"chunk {word & 0xFFFF:#06x} is cut off")
        out.append((word & 0xFFFF, first, at))
    return out


def parse(datagram: bytes) -> list[PsnData | PsnInfo | Refusal]:
    """The packet of a datagram, or a refusal. Never raises."""
    size = len(datagram)
    if size < 4:
        return [Refusal("short", f"{size} bytes")]
    if size > MAX_DATAGRAM:
        return [Refusal("long", f"{size} bytes")]
    (word,) = _CHUNK.unpack_from(datagram)
    kind, length = word & 0xFFFF, word >> 16 & 0x7FFF
    if kind not in (DATA, INFO):
        return [Refusal("magic", f"chunk {kind:#06x}")]
    if size != 4 + length:
        return [Refusal("short" if size < 4 + length else "long", f"{size - 4} bytes, the chunk says {length}")]
    try:
        chunks = _chunks(datagram, 4, size)
        header = _header(datagram, chunks)
        if header.version[0] != VERSION[0]:
            return [Refusal("version", f"{header.version[0]}.{header.version[1]:02}")]
        if kind == DATA:
            return [_data(datagram, header, chunks)]
        return [_info(datagram, header, chunks)]
    except _Malformed as error:
        return [Refusal("malformed", str(error))]


def _header(data: bytes, chunks: Chunks) -> PsnHeader:
    for kind, begin, end in chunks:
        if kind == _HEADER:
            if end - begin < _HEAD.size:
                raise _Malformed(f"a header of {end - begin} bytes")
            timestamp_us, high, low, frame_id, packets = _HEAD.unpack_from(data, begin)
            return PsnHeader(timestamp_us, (high, low), frame_id, packets)
    raise _Malformed("no header")


def _data(data: bytes, header: PsnHeader, chunks: Chunks) -> PsnData:
    trackers: list[PsnTracker] = []
    for kind, begin, end in chunks:
        if kind != _TRACKERS:
            continue
        for tracker_id, first, last in _chunks(data, begin, end):
            fields: list[Vector | float | int | None] = [None] * 7
            for field, at, stop in _chunks(data, first, last):
                if field > _TIMESTAMP:
                    continue
                layout = _LAYOUTS[field]
                if stop - at < layout.size:
                    raise _Malformed(f"tracker {tracker_id}: field {field} of {stop - at} bytes")
                values = layout.unpack_from(data, at)
                fields[field] = values if layout is _VECTOR else values[0]
            trackers.append(PsnTracker(tracker_id, *fields))  # type: ignore[arg-type]  # each by its own layout
    return PsnData(header, tuple(trackers), raw=data)


_LAYOUTS: Final = (_VECTOR, _VECTOR, _VECTOR, _FLOAT, _VECTOR, _VECTOR, _TIME)


def _info(data: bytes, header: PsnHeader, chunks: Chunks) -> PsnInfo:
    system_name = ""
    names: dict[int, str] = {}
    for kind, begin, end in chunks:
        if kind == _SYSTEM_NAME:
            system_name = _text(data[begin:end])
        elif kind == _NAMES:
            for tracker_id, first, last in _chunks(data, begin, end):
                for field, at, stop in _chunks(data, first, last):
                    if field == _NAME:
                        names[tracker_id] = _text(data[at:stop])
    return PsnInfo(header, system_name, names, data)


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


class Assembler:
    """State of one sender: names of its trackers, the packets of the frame that comes in. No clock."""

    def __init__(self) -> None:
        self.system_name = ""
        self.names: dict[int, str] = {}
        """By tracker id, as told so far."""
        self._seen: set[int] = set()
        self._frame: tuple[int, int, int] | None = None
        """Id, time stamp and packets of the present frame."""
        self._came = 0
        self._recent: deque[int] = deque(maxlen=32)

    def feed(self, datagram: bytes) -> list[PsnData | Refusal]:
        """What a datagram says: its trackers at once, and a refusal when the frame before it was not whole.

        INFO packets are remembered and give nothing. Never raises.
        """
        (packet,) = parse(datagram)
        if isinstance(packet, Refusal):
            return [packet]
        if isinstance(packet, PsnInfo):
            # One packet may name some of the trackers only: names are added, and the oldest forgotten.
            self.system_name = packet.system_name or self.system_name
            names = {**self.names, **packet.names}
            self.names = dict(list(names.items())[-MAX_NAMES:])
            return []
        key = hash(datagram)
        if key in self._recent:
            return [Refusal("duplicate", f"frame {packet.header.frame_id}")]
        self._recent.append(key)
        header = packet.header
        out: list[PsnData | Refusal] = []
        frame = (header.frame_id, header.timestamp_us, header.frame_packets)
        if frame == self._frame:
            self._came += 1
        else:
            if self._frame is not None and self._came < self._frame[2]:
                out.append(Refusal("segment", f"{self._came} of {self._frame[2]} packets of frame {self._frame[0]}"))
            self._frame, self._came = frame, 1
        if len(self._seen) < 2:
            self._seen.update(tracker.id for tracker in packet.trackers[:2])
        alone = len(self._seen) < 2
        if self.names or not alone:
            packet = msgspec.structs.replace(packet, names=self.names, alone=alone)
        return [*out, packet]
