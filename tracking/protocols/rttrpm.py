"""RTTrPM 2 (Real-Time Tracking Protocol, Motion; BlackTrax): trackables made of modules.

Header of 18 bytes, then modules {type, size, ...}; the byte order is told by the first two bytes, that of the floats
by the next two. Metres and radians; axes as the sender is set up (`up` of the source's section), right-handed.
"""

from __future__ import annotations

import struct
from math import isfinite
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from stage.frames import pose_from_rttrpm, rotation_from_quaternion, rotation_from_turns
from tracking.protocols.bodies import chosen_body
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from stage.frames import Array
    from tracking.mapping import Mapping

NAME: Final = "rttrpm"
PORT: Final = 24220
HEADER_SIZE: Final = 18
MAX_DATAGRAM: Final = 9216
MAX_MODULES: Final = 512
VERSION: Final = 2
BIG, LITTLE = 0x4154, 0x5441
MOTION_BIG, MOTION_LITTLE = 0x4334, 0x3443
LIGHTING_BIG, LIGHTING_LITTLE = 0x4434, 0x3444
TRACKABLE, TRACKABLE_TIMED = 0x01, 0x51
CENTROID, QUATERNION, EULER, POINT = 0x02, 0x03, 0x04, 0x06
CENTROID_MOTION, POINT_MOTION, ZONES = 0x20, 0x21, 0x22
_SIGNATURES: Final = struct.Struct(">HH")
_REST: Final = {">": struct.Struct(">HIBHIB"), "<": struct.Struct("<HIBHIB")}
_SIZE: Final = {">": struct.Struct(">H"), "<": struct.Struct("<H")}
_LONG: Final = {">": struct.Struct(">I"), "<": struct.Struct("<I")}
_DOUBLES: Final = {(o, n): struct.Struct(f"{o}{n}d") for o in "<>" for n in (3, 4)}
_MOTION: Final = {o: struct.Struct(f"{o}3d6f") for o in "<>"}
_LENGTHS: Final = {CENTROID: 29, QUATERNION: 37, EULER: 31, POINT: 30, CENTROID_MOTION: 51, POINT_MOTION: 52}
"""Bytes of each module of fixed size, its type and size included."""

Order = Literal["<", ">"]


class RttrpmModule(Struct, frozen=True, gc=False):
    """One part of a trackable, in wire units; what the kind does not carry is None."""

    kind: int
    values: tuple[float, ...] = ()
    """Position (m), quaternion xyzw, or three angles (rad); the motion kinds: position, acceleration, velocity."""
    latency_ms: int | None = None
    order: int | None = None
    """Euler: axes in three nibbles, 1 x, 2 y, 3 z: 0x0123 turns about X, then Y, then Z."""
    index: int | None = None
    """Which tracked point."""
    zones: tuple[str, ...] = ()
    rest: bytes = b""
    """A kind that is not known: its bytes after the size."""

    def encode(self, order: Order, floats: Order) -> bytes:
        """The module with its type and size."""
        body = self.rest
        if self.kind in (CENTROID, QUATERNION, EULER, POINT):
            body = _SIZE[order].pack(self.latency_ms or 0)
            if self.kind == EULER:
                body += _SIZE[order].pack(self.order or 0)
            body += _DOUBLES[floats, len(self.values)].pack(*self.values)
        elif self.kind in (CENTROID_MOTION, POINT_MOTION):
            body = _MOTION[floats].pack(*self.values)
        elif self.kind == ZONES and not self.rest:
            names = [name.encode() for name in self.zones]
            body = bytes((len(names),)) + b"".join(bytes((len(n) + 2, len(n))) + n for n in names)
        if self.kind in (POINT, POINT_MOTION):
            body += bytes((self.index or 0,))
        return bytes((self.kind,)) + _SIZE[order].pack(len(body) + 3) + body


class RttrpmTrackable(Struct, frozen=True, gc=False):
    """One tracked thing."""

    name: str
    modules: tuple[RttrpmModule, ...] = ()
    timestamp: int | None = None
    """Ticks: BlackTrax counts camera frames, others seconds."""

    def encode(self, order: Order, floats: Order) -> bytes:
        """The trackable with its type and size."""
        name = self.name.encode()
        parts = b"".join(module.encode(order, floats) for module in self.modules)
        time = b"" if self.timestamp is None else _LONG[order].pack(self.timestamp)
        body = bytes((len(name),)) + name + time + bytes((len(self.modules),)) + parts
        kind = TRACKABLE if self.timestamp is None else TRACKABLE_TIMED
        return bytes((kind,)) + _SIZE[order].pack(len(body) + 3) + body

    def position(self, point: int | None) -> RttrpmModule | None:
        """The module with the position of the centroid, or of a tracked point; None: it is not there."""
        kinds = (CENTROID, CENTROID_MOTION) if point is None else (POINT, POINT_MOTION)
        for kind in kinds:
            for module in self.modules:
                if module.kind == kind and (point is None or module.index == point):
                    return module
        return None

    def rotation(self, *, extrinsic: bool = False) -> Array | None:
        """Rotation, [3, 3], in the sender's axes; None: no orientation is there. Raises ValueError: it is none."""
        for module in self.modules:
            if module.kind == QUATERNION:
                return rotation_from_quaternion(module.values)
        for module in self.modules:
            if module.kind == EULER and module.order is not None:
                digits = (module.order >> 8 & 15, module.order >> 4 & 15, module.order & 15)
                if not all(1 <= d <= 3 for d in digits):
                    raise ValueError(f"Euler order {module.order:#06x}")
                turns = [("_xyz"[d], angle) for d, angle in zip(digits, module.values, strict=True)]
                return rotation_from_turns(reversed(turns) if extrinsic else turns)
        return None


class RttrpmPacket(Struct, frozen=True, gc=False):
    """One packet."""

    packet_id: int
    trackables: tuple[RttrpmTrackable, ...] = ()
    """Empty: a heartbeat."""
    context: int = 0
    format: int = 0
    version: int = VERSION
    order: Order = ">"
    floats: Order = ">"
    raw: bytes = b""
    """The datagram as it came."""
    t_source_ns: int | None = None
    """The first trackable's time stamp as time, put in by the `Assembler` where its ticks are known."""
    alone: bool = True
    """Whether the sender has spoken of one trackable only; put in by the `Assembler`."""

    def __bytes__(self) -> bytes:
        if self.raw:
            return self.raw
        body = b"".join(t.encode(self.order, self.floats) for t in self.trackables)
        signatures = _SIGNATURES.pack(
            BIG if self.order == ">" else LITTLE, MOTION_BIG if self.floats == ">" else MOTION_LITTLE
        )
        size = HEADER_SIZE + len(body)
        rest = (self.version, self.packet_id, self.format, size, self.context, len(self.trackables))
        return signatures + _REST[self.order].pack(*rest) + body

    @property
    def sequence(self) -> int:
        """The packet id."""
        return self.packet_id

    def trackable_for(self, mapping: Mapping) -> RttrpmTrackable | None:
        """The trackable a source follows; None: it is not in this packet."""
        chosen = chosen_body(
            [(None, t.name) for t in self.trackables], mapping.body, mapping.camera_name, alone=self.alone
        )
        return None if chosen is None else self.trackables[chosen]

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the source's trackable is in this packet."""
        return self.trackable_for(mapping) is not None

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The trackable's pose in stage units; without an orientation it looks straight ahead.

        The latency it tells makes the sample older than its stamp.
        """
        trackable = self.trackable_for(mapping)
        if trackable is None:
            return []
        section = mapping.rttrpm
        module = trackable.position(section.point)
        if module is None:
            what = "a centroid" if section.point is None else f"point {section.point}"
            return [Refusal("other_message", f"{trackable.name} without {what}")]
        try:
            rotation = trackable.rotation(extrinsic=section.euler == "extrinsic")
        except ValueError as error:
            return [Refusal("range", str(error))]
        position_m = module.values[:3]
        if rotation is None:
            rotation = rotation_from_turns(())
        if not isfinite(sum(position_m) + float(rotation.sum())):
            return [Refusal("nan", trackable.name)]
        if module.latency_ms:
            stamp = msgspec.structs.replace(stamp, t_sampled_ns=stamp.t_sampled_ns - 1_000_000 * module.latency_ms)
        pose = pose_from_rttrpm(position_m, rotation, up=section.up)
        return [mapping.sample(pose, None, stamp, sequence=self.packet_id)]


class _Malformed(Exception):
    """A module that does not hold what it must."""


def parse(datagram: bytes) -> list[RttrpmPacket | Refusal]:
    """The packet of a datagram, or a refusal. Never raises."""
    size = len(datagram)
    if size < HEADER_SIZE:
        return [Refusal("short", f"{size} of {HEADER_SIZE} header bytes")]
    if size > MAX_DATAGRAM:
        return [Refusal("long", f"{size} bytes")]
    integers, reals = _SIGNATURES.unpack_from(datagram)
    if integers not in (BIG, LITTLE):
        return [Refusal("magic", f"{integers:#06x}")]
    if reals in (LIGHTING_BIG, LIGHTING_LITTLE):
        return [Refusal("other_message", "lighting (RTTrPL)")]
    if reals not in (MOTION_BIG, MOTION_LITTLE):
        return [Refusal("magic", f"{reals:#06x}")]
    order: Order = ">" if integers == BIG else "<"
    floats: Order = ">" if reals == MOTION_BIG else "<"
    version, packet_id, form, told, context, count = _REST[order].unpack_from(datagram, 4)
    if version != VERSION:
        return [Refusal("version", str(version))]
    if form != 0:
        return [Refusal("encoding", f"format {form}")]
    if told != size:
        return [Refusal("short" if size < told else "long", f"{size} bytes, the header says {told}")]
    trackables: list[RttrpmTrackable] = []
    try:
        at = HEADER_SIZE
        for _ in range(count):
            kind, end = _module(datagram, at, size, order)
            if kind in (TRACKABLE, TRACKABLE_TIMED):
                trackables.append(_trackable(datagram, at, end, order, floats))
            at = end
        if at != size:
            raise _Malformed(f"{size - at} bytes after the last module")
    except _Malformed as error:
        return [Refusal("malformed", str(error))]
    return [RttrpmPacket(packet_id, tuple(trackables), context, form, version, order, floats, datagram)]


def _module(data: bytes, at: int, end: int, order: Order) -> tuple[int, int]:
    """Kind and end of the module that begins at a place."""
    if end - at < 3:
        raise _Malformed("a module is missing")
    (size,) = _SIZE[order].unpack_from(data, at + 1)
    if size < 3 or at + size > end:
        raise _Malformed(f"module {data[at]:#04x} of {size} bytes, {end - at} are there")
    return data[at], at + size


def _trackable(data: bytes, begin: int, end: int, order: Order, floats: Order) -> RttrpmTrackable:
    timed = data[begin] == TRACKABLE_TIMED
    at = begin + 3
    length = data[at] if at < end else 0
    at += 1
    after = at + length + (4 if timed else 0)
    if after >= end:
        raise _Malformed("a trackable is cut off")
    name = data[at : at + length].decode("utf-8", "replace")
    timestamp = _LONG[order].unpack_from(data, at + length)[0] if timed else None
    count, at = data[after], after + 1
    modules: list[RttrpmModule] = []
    for _ in range(count):
        kind, stop = _module(data, at, end, order)
        modules.append(_part(data, kind, at + 3, stop, order, floats))
        at = stop
    if at != end:
        raise _Malformed(f"{end - at} bytes after the modules of {name[:32]}")
    return RttrpmTrackable(name, tuple(modules), timestamp)


def _part(data: bytes, kind: int, at: int, end: int, order: Order, floats: Order) -> RttrpmModule:
    wanted = _LENGTHS.get(kind)
    if wanted is None:
        zones = _zones(data, at, end) if kind == ZONES else None
        return RttrpmModule(kind, zones=zones or (), rest=b"" if zones is not None else data[at:end])
    if end - at + 3 < wanted:
        raise _Malformed(f"module {kind:#04x} of {end - at + 3} bytes instead of {wanted}")
    if kind in (CENTROID_MOTION, POINT_MOTION):
        index = data[at + 48] if kind == POINT_MOTION else None
        return RttrpmModule(kind, _MOTION[floats].unpack_from(data, at), index=index)
    (latency_ms,) = _SIZE[order].unpack_from(data, at)
    if kind == EULER:
        (turns,) = _SIZE[order].unpack_from(data, at + 2)
        return RttrpmModule(kind, _DOUBLES[floats, 3].unpack_from(data, at + 4), latency_ms, turns)
    values = _DOUBLES[floats, 4 if kind == QUATERNION else 3].unpack_from(data, at + 2)
    return RttrpmModule(kind, values, latency_ms, index=data[at + 26] if kind == POINT else None)


def _zones(data: bytes, at: int, end: int) -> tuple[str, ...] | None:
    """Names of the zones a trackable is in; None: told as older versions do, or not rightly."""
    if at >= end:
        return None
    count, at = data[at], at + 1
    out: list[str] = []
    for _ in range(count):
        if end - at < 2 or data[at] != data[at + 1] + 2 or at + data[at] > end:
            return None
        out.append(data[at + 2 : at + data[at]].decode("utf-8", "replace"))
        at += data[at]
    return tuple(out) if at == end else None


class Assembler:
    """State of one sender: whether it speaks of one trackable or more, and their time stamps as time. No clock.

    The ticks of the stamps are the sender's choice; without a rate nothing is made of them.
    """

    def __init__(self, *, timestamp_hz: float | None = None) -> None:
        self._tick_ns = None if timestamp_hz is None else 1e9 / timestamp_hz
        self._seen: set[str] = set()

    def feed(self, datagram: bytes) -> list[RttrpmPacket | Refusal]:
        """The packet of a datagram. Never raises."""
        items = parse(datagram)
        packet = items[0]
        if isinstance(packet, Refusal) or not packet.trackables:
            return items
        if len(self._seen) < 2:
            self._seen.update(t.name for t in packet.trackables[:2])
        alone = len(self._seen) < 2
        ticks = packet.trackables[0].timestamp
        t_ns = None if self._tick_ns is None or ticks is None else int(ticks * self._tick_ns)
        if alone and t_ns is None:
            return items
        return [msgspec.structs.replace(packet, t_source_ns=t_ns, alone=alone)]
