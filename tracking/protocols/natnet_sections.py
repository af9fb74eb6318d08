"""Sections of a NatNet frame: where each ends in either layout, and the records in them."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from msgspec import Struct

MAX_BODIES: Final = 1024
MAX_MARKERS: Final = 4096
MAX_CHANNELS: Final = 512
TRACKED: Final = 1

INT: Final = struct.Struct("<i")
SIZED: Final = struct.Struct("<ii")
BODY: Final = struct.Struct("<i7ffH")
MARKER: Final = struct.Struct("<i3ffHf")
POINT: Final = struct.Struct("<3f")
Record = tuple[int, float, float, float, float, float, float, float, float, int]
"""A body as unpacked: number, position, quaternion, error, flags."""


class BadFrame(ValueError):
    """The bytes are no frame of a known layout."""


class RigidBody(NamedTuple):
    """One rigid body (or bone) as sent: metres, quaternion xyzw, in the server's axes."""

    id: int
    position_m: tuple[float, float, float]
    rotation: tuple[float, float, float, float]
    mean_error_m: float
    flags: int

    @property
    def is_tracked(self) -> bool:
        return bool(self.flags & TRACKED)


class Marker(NamedTuple):
    """One labelled marker as sent: metres."""

    id: int
    position_m: tuple[float, float, float]
    size_m: float
    flags: int
    """1 occluded, 2 point cloud solved, 4 model solved, 8 has a model, 16 unlabelled, 32 active."""
    residual_m: float

    @property
    def model_id(self) -> int:
        return self.id >> 16

    @property
    def marker_id(self) -> int:
        return self.id & 0xFFFF


class Section(Struct, frozen=True, gc=False):
    """One section of a frame: how many, and their bytes."""

    count: int = 0
    data: bytes = b""


def rigid_body(record: Record) -> RigidBody:
    """The body of an unpacked record."""
    number, x, y, z, qx, qy, qz, qw, error, flags = record
    return RigidBody(number, (x, y, z), (qx, qy, qz, qw), error, flags)


def bodies_of(section: Section) -> list[Record]:
    """Records of a section of rigid bodies. A later bitstream may have grown them: what is known leads each."""
    if len(section.data) == section.count * BODY.size:
        return list(BODY.iter_unpack(section.data))
    if not section.count or len(section.data) % section.count or len(section.data) // section.count < BODY.size:
        return []
    stride = len(section.data) // section.count
    return [BODY.unpack_from(section.data, i * stride) for i in range(section.count)]


def groups_of(section: Section, *, markers: bool) -> list[tuple[int, list[Record]]]:
    """Number and bones of each skeleton or trained marker set, as far as the bytes make sense."""
    data, out, at = section.data, [], 0
    for _ in range(section.count):
        if at + 8 > len(data):
            break
        number, count = SIZED.unpack_from(data, at)
        end = at + 8 + count * BODY.size
        if not 0 <= count <= MAX_BODIES or end > len(data):
            break
        out.append((number, list(BODY.iter_unpack(data[at + 8 : end]))))
        at = end
        if markers:
            if at + 4 > len(data):
                break
            at += 4 + INT.unpack_from(data, at)[0] * MARKER.size
            if not end < at <= len(data):
                break
    return out


def read_sections(body: bytes, sized: bool) -> tuple[list[Section | None], int]:
    """All sections of a frame's body after its number, the assets None before 4.1; and where they end.

    Raises
    ------
    BadFrame, struct.error : the bytes are no frame of this layout.
    """
    at = 4
    sections: list[Section | None] = []
    for walk in _WALKS:
        if walk is _assets and not sized:
            sections.append(None)
            continue
        if sized:
            count, size = SIZED.unpack_from(body, at)
            at += 8
            end = at + size
            if size < 0 or count < 0 or (count > 0 and size == 0):
                raise BadFrame(f"a section of {count} in {size} bytes")
        else:
            (count,) = INT.unpack_from(body, at)
            at += 4
            end = walk(body, at, count)
        if end > len(body):
            raise BadFrame("a section is cut off")
        sections.append(Section(count, body[at:end]))
        at = end
    return sections, at


def _limited(count: int, most: int) -> int:
    if not 0 <= count <= most:
        raise BadFrame(f"{count} of something")
    return count


def _marker_sets(data: bytes, at: int, count: int) -> int:
    for _ in range(_limited(count, MAX_BODIES)):
        end = data.find(b"\0", at)
        if end < 0:
            raise BadFrame("a name does not end")
        at = end + 5 + _limited(INT.unpack_from(data, end + 1)[0], MAX_MARKERS) * POINT.size
    return at


def _points(_data: bytes, at: int, count: int) -> int:
    return at + _limited(count, MAX_MARKERS) * POINT.size


def _flat_bodies(_data: bytes, at: int, count: int) -> int:
    return at + _limited(count, MAX_BODIES) * BODY.size


def _skeletons(data: bytes, at: int, count: int) -> int:
    for _ in range(_limited(count, MAX_BODIES)):
        at += 8 + _limited(INT.unpack_from(data, at + 4)[0], MAX_BODIES) * BODY.size
    return at


def _assets(_data: bytes, _at: int, _count: int) -> int:
    raise BadFrame("assets always tell their size")


def _markers(_data: bytes, at: int, count: int) -> int:
    return at + _limited(count, MAX_MARKERS) * MARKER.size


def _channels(data: bytes, at: int, count: int) -> int:
    """Force plates and devices: each with channels, each of them with samples."""
    left = MAX_CHANNELS
    for _ in range(_limited(count, MAX_CHANNELS)):
        channels = _limited(INT.unpack_from(data, at + 4)[0], left)
        left -= channels
        at += 8
        for _ in range(channels):
            at += 4 + 4 * _limited(INT.unpack_from(data, at)[0], MAX_MARKERS)
    return at


_WALKS: Final = (_marker_sets, _points, _flat_bodies, _skeletons, _assets, _markers, _channels, _channels)
"""Marker sets, other markers, rigid bodies, skeletons, assets, labelled markers, force plates, devices."""
