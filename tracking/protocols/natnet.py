"""OptiTrack NatNet 3.x and 4.x: rigid bodies, skeletons and trained marker sets over UDP, little-endian.

`parse` reads every message; an `Assembler` per server joins what arrives apart: the clock's frequency (server info),
names (model definitions) and the way there and back (echoes). Frames differ by bitstream: from 4.1 on each section
tells its size in bytes and an assets section precedes the labelled markers. A frame does not say which it is, but only
one of the two uses up every byte. Frame of the poses: right-handed, Y up, metres (Motive can stream Z up). A body's
own axes are whatever they were when it was made: a mount is always needed.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from msgspec import Struct

from stage.frames import Array, joints_from_y_up, pose_from_quaternion, pose_from_y_up
from tracking.protocols.natnet_models import (
    NOTHING,
    BadModels,
    Directory,
    Models,
    SkeletonModel,
    parent_indices,
    read_models,
    write_models,
)
from tracking.protocols.natnet_sections import (
    INT,
    MARKER,
    SIZED,
    TRACKED,
    BadFrame,
    Marker,
    Record,
    RigidBody,
    Section,
    bodies_of,
    groups_of,
    read_sections,
    rigid_body,
)
from tracking.sample import LensReading, Refusal, Sample, Stamp
from tracking.skeleton import Skeleton, chained, relative_joints

if TYPE_CHECKING:
    from tracking.mapping import Mapping
    from tracking.mocap_config import NatNetSection

NAME: Final = "natnet"
GROUP: Final = "239.255.42.99"
COMMAND_PORT: Final = 1510
DATA_PORT: Final = 1511
MAX_DATAGRAM: Final = 65507
CONNECT, SERVER_INFO, REQUEST, RESPONSE, MODELS_REQUEST, MODELS, FRAME_REQUEST, FRAME, TEXT = range(9)
DISCONNECT, KEEP_ALIVE, ECHO_REQUEST, ECHO_RESPONSE, DISCOVERY, UNRECOGNISED = 9, 10, 12, 13, 14, 100
NOBODY: Final = frozenset(
    {CONNECT, REQUEST, RESPONSE, MODELS_REQUEST, FRAME_REQUEST, TEXT, DISCONNECT, KEEP_ALIVE, DISCOVERY, UNRECOGNISED}
)
"""Messages that are kept as they are: requests, answers in words, and news."""
MODELS_CHANGED: Final = 2
LONGEST_LATENCY_NS: Final = 1_000_000_000
"""Ticks that say more (a recording played back) say nothing."""
ECHOES: Final = 16

_HEAD: Final = struct.Struct("<HH")
_SUFFIX: Final = struct.Struct("<IIdQQQH")
_SUFFIX_41: Final = struct.Struct("<IIdQQQIIH")
_INFO: Final = struct.Struct("<256s4B4BQH?4s")
_ECHO: Final = struct.Struct("<Q")
_ECHO_BACK: Final = struct.Struct("<QQ")


class ServerInfo(Struct, frozen=True, gc=False):
    """Message 1: who serves, since when its clock counts, where the data goes."""

    name_field: bytes
    """256 bytes; the name ends at the first zero, the rest is whatever it is."""
    app_version: tuple[int, int, int, int]
    natnet_version: tuple[int, int, int, int]
    clock_hz: int
    data_port: int = DATA_PORT
    is_multicast: bool = True
    group_bytes: bytes = b"\xef\xff\x2a\x63"
    """The multicast address, four bytes."""

    @property
    def name(self) -> str:
        return self.name_field.partition(b"\0")[0].decode("utf-8", "replace")

    @property
    def group(self) -> str:
        return ".".join(map(str, self.group_bytes))

    def __bytes__(self) -> bytes:
        return _message(
            SERVER_INFO,
            _INFO.pack(
                self.name_field, *self.app_version, *self.natnet_version, self.clock_hz, self.data_port,
                self.is_multicast, self.group_bytes,
            ),
        )  # fmt: skip


class ModelDefinitions(Struct, frozen=True):
    """Message 5."""

    models: Models
    body: bytes
    """As sent."""

    @classmethod
    def build(cls, models: Models, version: str = "4.1") -> ModelDefinitions:
        """The message of a server of a bitstream version (`natnet_models.LAYOUTS`)."""
        return cls(models, write_models(models, version))

    def __bytes__(self) -> bytes:
        return _message(MODELS, self.body)


class Echo(Struct, frozen=True, gc=False):
    """Message 12 (without `server_ticks`) or 13: what a client's clock showed, and the server's when it answered."""

    client_ticks: int
    server_ticks: int | None = None

    def __bytes__(self) -> bytes:
        if self.server_ticks is None:
            return _message(ECHO_REQUEST, _ECHO.pack(self.client_ticks))
        return _message(ECHO_RESPONSE, _ECHO_BACK.pack(self.client_ticks, self.server_ticks))


class Message(Struct, frozen=True, gc=False):
    """Any other message: requests, words, news."""

    id: int
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.partition(b"\0")[0].decode("utf-8", "replace")

    def __bytes__(self) -> bytes:
        return _message(self.id, self.body)


class Frame(Struct, frozen=True):
    """Message 7: one frame of motion capture. Sections stay bytes until somebody asks for what is in them."""

    frame_number: int
    marker_sets: Section = Section()
    other_markers: Section = Section()
    rigid_body_section: Section = Section()
    skeleton_section: Section = Section()
    asset_section: Section | None = None
    """None before 4.1."""
    labelled_markers: Section = Section()
    force_plates: Section = Section()
    devices: Section = Section()
    timecode: int = 0
    timecode_sub: int = 0
    timestamp_s: float = 0.0
    mid_exposure_ticks: int = 0
    received_ticks: int = 0
    transmit_ticks: int = 0
    precision_s: int = 0
    """4.1: the time stamp of an external clock, seconds and a fraction."""
    precision_fraction: int = 0
    flags: int = 0
    tail: bytes = b"\0\0\0\0"
    directory: Directory = NOTHING
    """What the server said it tracks; empty until it did."""
    clock_hz: int | None = None
    """Of the ticks, as the server said; None until it did."""
    way_ns: int = 0
    """From the server to here, as echoes measured it."""

    @property
    def is_sized(self) -> bool:
        """Whether sections tell their size: bitstream 4.1 and later."""
        return self.asset_section is not None

    @property
    def rigid_bodies(self) -> tuple[RigidBody, ...]:
        return tuple(map(rigid_body, bodies_of(self.rigid_body_section)))

    @property
    def skeletons(self) -> dict[int, tuple[RigidBody, ...]]:
        """Bones of each skeleton, by its number."""
        return {n: tuple(map(rigid_body, bones)) for n, bones in groups_of(self.skeleton_section, markers=False)}

    @property
    def assets(self) -> dict[int, tuple[RigidBody, ...]]:
        """Bodies of each trained marker set, by its number."""
        section = self.asset_section or Section()
        return {n: tuple(map(rigid_body, bones)) for n, bones in groups_of(section, markers=True)}

    @property
    def markers(self) -> tuple[Marker, ...]:
        """The labelled markers."""
        section = self.labelled_markers
        if len(section.data) != section.count * MARKER.size:
            return ()
        return tuple(
            Marker(number, (x, y, z), size, flags, residual)
            for number, x, y, z, size, flags, residual in MARKER.iter_unpack(section.data)
        )

    @property
    def is_recording(self) -> bool:
        return bool(self.flags & 1)

    @property
    def models_changed(self) -> bool:
        """Whether what is tracked is no longer what the model definitions said."""
        return bool(self.flags & MODELS_CHANGED)

    @property
    def latency_ns(self) -> int:
        """From the middle of the exposure to the frame's transmission; 0 where the ticks do not say."""
        if not self.clock_hz or not self.mid_exposure_ticks:
            return 0
        latency_ns = (self.transmit_ticks - self.mid_exposure_ticks) * 1_000_000_000 // self.clock_hz
        return latency_ns if 0 <= latency_ns <= LONGEST_LATENCY_NS else 0

    @property
    def t_source_ns(self) -> int | None:
        """When the frame was sent, ns of the server's clock. Until its frequency is known: the frame's time stamp."""
        if self.clock_hz and self.transmit_ticks:
            return self.transmit_ticks * 1_000_000_000 // self.clock_hz
        return int(self.timestamp_s * 1e9) if 0.0 < self.timestamp_s < 1e9 else None

    @property
    def sequence(self) -> int:
        return self.frame_number

    def __bytes__(self) -> bytes:
        sized = self.is_sized
        parts = [INT.pack(self.frame_number)]
        for section in (
            self.marker_sets, self.other_markers, self.rigid_body_section, self.skeleton_section, self.asset_section,
            self.labelled_markers, self.force_plates, self.devices,
        ):  # fmt: skip
            if section is not None:
                head = SIZED.pack(section.count, len(section.data)) if sized else INT.pack(section.count)
                parts += (head, section.data)
        stamps = (
            self.timecode, self.timecode_sub, self.timestamp_s, self.mid_exposure_ticks, self.received_ticks,
            self.transmit_ticks,
        )  # fmt: skip
        if sized:
            parts.append(_SUFFIX_41.pack(*stamps, self.precision_s, self.precision_fraction, self.flags))
        else:
            parts.append(_SUFFIX.pack(*stamps, self.flags))
        parts.append(self.tail)
        return _message(FRAME, b"".join(parts))

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the frame holds the source's body."""
        return self._record(mapping) is not None or self._skeleton(mapping) is not None

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The body's pose in stage units, or a skeleton with its hips as the pose; taken at mid-exposure."""
        if self.clock_hz:
            early_ns = self.latency_ns + self.way_ns
            stamp = Stamp(stamp.t_sampled_ns - early_ns, stamp.t_received_ns, stamp.packet_id)
        setup = mapping.natnet
        found = self._skeleton(mapping)
        record = self._record(mapping) if found is None else None
        try:
            if found is not None:
                return [self._performer(*found, mapping, setup, stamp)]
            if record is None:
                return [Refusal("not_mine", mapping.body)]
            if not record[9] & TRACKED:
                return [Refusal("untracked", f"body {record[0]} is not seen")]
            return [mapping.sample(_pose(record[1:8], setup), None, stamp, sequence=self.frame_number)]
        except ValueError as error:
            return [Refusal("range", str(error))]

    def _record(self, mapping: Mapping) -> Record | None:
        """The rigid body that is meant: by name, by number, or the only one."""
        section = self.rigid_body_section
        if not section.count:
            return None
        wanted = self.directory.body_ids.get(mapping.body or mapping.camera_name)
        if wanted is None and mapping.body:
            if not mapping.body.isdecimal():
                return None
            wanted = int(mapping.body)
        if wanted is None and section.count > 1:
            return None
        for record in bodies_of(section):
            if wanted is None or record[0] == wanted:
                return record
        return None

    def _skeleton(self, mapping: Mapping) -> tuple[list[Record], SkeletonModel | None] | None:
        """The bones of the skeleton (or trained marker set) a performer is, and its model if the server told it."""
        if mapping.kind != "performer":
            return None
        groups = list(groups_of(self.skeleton_section, markers=False))
        if self.asset_section is not None:
            groups += groups_of(self.asset_section, markers=True)
        model = self.directory.skeletons.get(mapping.body or mapping.camera_name)
        wanted = None if model is None else model.id
        if wanted is None and mapping.body:
            if not mapping.body.isdecimal():
                return None
            wanted = int(mapping.body)
        if wanted is None and len(groups) > 1:
            return None
        for number, bones in groups:
            if bones and (wanted is None or number == wanted):
                name = self.directory.skeleton_names.get(number)
                return bones, None if name is None else self.directory.skeletons[name]
        return None

    def _performer(
        self, bones: list[Record], model: SkeletonModel | None, mapping: Mapping, setup: NatNetSection,
        stamp: Stamp,
    ) -> Sample | Refusal:  # fmt: skip
        if not bones[0][9] & TRACKED:
            return Refusal("untracked", f"skeleton {bones[0][0] >> 16} is not seen")
        if model is not None and len(model.bones) == len(bones):
            names = tuple(bone.name for bone in model.bones)
            parents = parent_indices(model.bones)
        else:
            names = tuple(str(bone[0] & 0xFFFF) for bone in bones)
            parents = (-1,) + (0,) * (len(bones) - 1)
        rows = [bone[1:8] for bone in bones]
        joints = np.array(chained(rows, parents) if setup.bones == "local" else rows)
        if setup.up == "y":
            joints = joints_from_y_up(joints)
        tracker_from_hips = _pose(bones[0][1:8], setup)
        skeleton = Skeleton(names, parents, relative_joints(joints, tracker_from_hips))
        sample = mapping.sample(tracker_from_hips, None, stamp, sequence=self.frame_number)
        return sample if isinstance(sample, Refusal) else msgspec.structs.replace(sample, skeleton=skeleton)


Packet = Frame | ServerInfo | ModelDefinitions | Echo | Message


def _pose(numbers: tuple[float, ...], setup: NatNetSection) -> Array:
    if setup.up == "y":
        return pose_from_y_up(numbers[:3], numbers[3:7])
    return pose_from_quaternion(numbers[:3], numbers[3:7])


def connect_request(bitstream: tuple[int, int, int, int] = (4, 1, 0, 0)) -> Message:
    """What a client says first, with the bitstream it would like to get (servers before 4.0 send their own)."""
    return Message(CONNECT, b"Ping".ljust(265, b"\0") + bytes(bitstream) + b"\0\0")


def _message(number: int, body: bytes) -> bytes:
    return _HEAD.pack(number, len(body)) + body


# --- reading ------------------------------------------------------------------------------------------------------


def parse(datagram: bytes, *, sized: bool | None = None) -> list[Packet | Refusal]:
    """The message of a datagram. Never raises.

    sized: whether frames of this server have sized sections (4.1 and later), if known; the other layout is tried too.
    """
    size = len(datagram)
    if size < _HEAD.size:
        return [Refusal("short", f"{size} bytes")]
    number, length = _HEAD.unpack_from(datagram)
    body = datagram[_HEAD.size :]
    if length != len(body):
        if number not in (FRAME, SERVER_INFO, MODELS, ECHO_REQUEST, ECHO_RESPONSE) and number not in NOBODY:
            return [Refusal("magic", f"message {number}")]
        return [Refusal("short" if len(body) < length else "long", f"{len(body)} of {length} bytes")]
    try:
        if number == FRAME:
            return [_frame(body, sized)]
        if number == SERVER_INFO:
            values = _INFO.unpack(body)
            return [ServerInfo(values[0], values[1:5], values[5:9], *values[9:13])]
        if number == MODELS:
            return [ModelDefinitions(read_models(body), body)]
        if number == ECHO_REQUEST:
            return [Echo(*_ECHO.unpack(body))]
        if number == ECHO_RESPONSE:
            return [Echo(*_ECHO_BACK.unpack(body))]
    except (struct.error, BadFrame, BadModels) as error:
        return [Refusal("malformed", str(error))]
    if number in NOBODY:
        return [Message(number, body)]
    return [Refusal("magic", f"message {number}")]


def _frame(body: bytes, sized: bool | None) -> Frame:
    first = True if sized is None else sized
    for layout in (first, not first):
        try:
            return _read(body, layout)
        except (BadFrame, struct.error):
            continue
    raise BadFrame("no known layout of a frame uses up every byte")


def _read(body: bytes, sized: bool) -> Frame:
    sections, at = read_sections(body, sized)
    layout = _SUFFIX_41 if sized else _SUFFIX
    values = layout.unpack_from(body, at)
    tail = body[at + layout.size :]
    if len(tail) > 8 or any(tail):
        raise BadFrame(f"{len(tail)} bytes are left over")
    if not sized:
        values = (*values[:6], 0, 0, values[6])
    (number,) = INT.unpack_from(body)
    return Frame(number, *sections, *values, tail)  # type: ignore[arg-type, call-arg]  # 8 sections, 9 numbers


# --- one server ---------------------------------------------------------------------------------------------------


class Assembler:
    """State of one server: its clock's frequency, its models, its layout, the way of its datagrams.

    Echoes are asked for by the receiver, with its own clock in ns as the client's ticks: half of the quickest there
    and back of the last ones is the way. No clock: the time of arrival is handed in.
    """

    def __init__(self) -> None:
        self.info: ServerInfo | None = None
        self.directory = NOTHING
        self._sized: bool | None = None
        self._round_trips_ns: deque[int] = deque(maxlen=ECHOES)

    @property
    def way_ns(self) -> int:
        """From the server to here; 0 before the first echo."""
        return min(self._round_trips_ns, default=0) // 2

    def feed(self, datagram: bytes, t_received_ns: int = 0) -> list[Frame | Refusal]:
        """The frame of a datagram with what is known of its server; other messages are remembered. Never raises."""
        (item,) = parse(datagram, sized=self._sized)
        if isinstance(item, Refusal):
            return [item]
        if isinstance(item, Frame):
            self._sized = item.is_sized
            info = self.info
            return [
                msgspec.structs.replace(
                    item,
                    directory=self.directory,
                    clock_hz=None if info is None or info.clock_hz <= 0 else info.clock_hz,
                    way_ns=self.way_ns,
                )
            ]
        if isinstance(item, ServerInfo):
            self.info = item
            if item.natnet_version[0] < 3:
                version = ".".join(map(str, item.natnet_version))
                return [Refusal("version", f"NatNet {version}: 3.0 or later is read")]
        elif isinstance(item, ModelDefinitions):
            self.directory = Directory.of(item.models)
        elif isinstance(item, Echo) and item.server_ticks is not None:
            took_ns = t_received_ns - item.client_ticks
            if 0 <= took_ns <= LONGEST_LATENCY_NS:
                self._round_trips_ns.append(took_ns)
        return []
