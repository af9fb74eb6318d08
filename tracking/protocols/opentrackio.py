"""OpenTrackIO 1.0.x (SMPTE RIS-OSVP): a 16-byte header, then JSON or CBOR; one sample a video frame.

`parse` reads single datagrams completely and segments as `Segment`; an `Assembler` per sender joins segments (both
numbering styles: every datagram counted, or one number a payload), drops doubles and remembers the last `static`
block, which is sent only about every two seconds. The frame is the stage frame itself: metres, degrees.
"""

from __future__ import annotations

import struct
from collections import deque
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal

import cbor2
import msgspec
import numpy as np
from msgspec import Struct

from stage.frames import Array, pose, pose_from_pan_tilt_roll
from stage.rate import NS_PER_S, Rate
from stage.timecode import LabelParts, drops
from tracking.protocols.opentrackio_sample import (
    Encoders,
    Protocol,
    Ratio,
    Static,
    Timecode,
    TrackSample,
    Transform,
    lenient,
)
from tracking.sample import LensReading, Refusal, Sample, Stamp
from tracking.timecode_match import SaidLabel

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "opentrackio"
MAGIC: Final = b"OTrk"
HEADER_SIZE: Final = 16
JSON: Final = 1
CBOR: Final = 2
LAST_SEGMENT: Final = 0x8000
MAX_SEGMENT: Final = 0x7FFF
MAX_PAYLOAD: Final = 65536
"""Longest joined payload; the complete example with its static block takes 2.9 kB."""
SAFE_PAYLOAD: Final = 1456
"""Longest payload that keeps an Ethernet packet whole."""
MAX_SEGMENTS: Final = 64
MAX_TRANSFORMS: Final = 16
MAX_SOURCE_NUMBER: Final = 200
LONGEST_OFFSET_S: Final = 1.0
"""No tracker samples its parts further from its stamp; examples in documents do."""
NO_OFFSETS: Final = (0, 0, 0)
EPOCH_SLACK_NS: Final = 15 * NS_PER_S
TAI_MINUS_UTC_NS: Final = 37 * NS_PER_S
PORT: Final = 55555
"""The specified port; the group is 239.135.1.<sourceNumber>."""
GOOD_STATES: Final = frozenset({"optical good", "good", "ok", "tracking", "tracked", "valid"})
"""Words of trackers for poses that can be trusted; all others are told on as the sample's quality."""
_NO_ENCODERS: Final = Encoders()
_HEADER: Final = struct.Struct(">4sBBHIHH")
_JSON: Final = msgspec.json.Decoder(TrackSample)
_ANY_JSON: Final = msgspec.json.Decoder()

Modulus = Literal[256, 255]


class Segment(Struct, frozen=True, gc=False):
    """One datagram: header fields and payload bytes."""

    encoding: int
    """1 = JSON, 2 = CBOR."""
    sequence: int
    offset: int
    """Where in the payload these bytes belong."""
    last: bool
    payload: bytes
    modulus: Modulus = 256
    """Which Fletcher-16 the sender used: 256 (1.0.1 and the reference tools), 255 (as the 1.0.0 document says)."""
    reserved: int = 0

    def __bytes__(self) -> bytes:
        length = len(self.payload) | (LAST_SEGMENT if self.last else 0)
        head = _HEADER.pack(MAGIC, self.reserved, self.encoding, self.sequence, self.offset, length, 0)[:14]
        s1, s2 = _sums(head + self.payload)
        return head + struct.pack(">H", s2 % self.modulus << 8 | s1 % self.modulus) + self.payload


class OpenTrackIOPacket(Struct, frozen=True):
    """One whole sample with what its header said."""

    sample: TrackSample
    payload: bytes
    """The sample's bytes as sent."""
    encoding: int = JSON
    sequence_number: int = 0
    """Of the header; of the last segment when the payload came in several."""
    modulus: Modulus = 256
    reserved: int = 0
    segments: int = 1
    faults: tuple[str, ...] = ()
    """Top-level blocks that did not fit their schema and were left out."""
    cached_static: Static | None = None
    """The static block in force when the sample brings none."""

    @classmethod
    def build(cls, sample: TrackSample, *, sequence: int = 0, encoding: int = JSON) -> OpenTrackIOPacket:
        """A packet of a sample, encoded as JSON or CBOR."""
        if encoding == CBOR:
            payload = cbor2.dumps(msgspec.to_builtins(sample))
        else:
            payload = msgspec.json.encode(sample)
        return cls(sample, payload, encoding, sequence & 0xFFFF)

    def __bytes__(self) -> bytes:
        """The packet as one datagram.

        Raises
        ------
        ValueError : the payload is longer than one datagram's header can say (32767 bytes); use `datagrams`.
        """
        if len(self.payload) > MAX_SEGMENT:
            raise ValueError(f"{len(self.payload)} bytes do not fit one datagram")
        return bytes(Segment(self.encoding, self.sequence_number, 0, True, self.payload, self.modulus, self.reserved))

    def datagrams(self, max_payload: int = SAFE_PAYLOAD, *, same_sequence: bool = False) -> list[bytes]:
        """The packet cut into datagrams; each counted from `sequence_number`, or all with that number."""
        pieces = [self.payload[i : i + max_payload] for i in range(0, max(len(self.payload), 1), max_payload)]
        return [
            bytes(
                Segment(
                    self.encoding,
                    (self.sequence_number + (0 if same_sequence else i)) & 0xFFFF,
                    i * max_payload,
                    i == len(pieces) - 1,
                    piece,
                    self.modulus,
                )
            )
            for i, piece in enumerate(pieces)
        ]

    @property
    def t_source_ns(self) -> int | None:
        """`sampleTimestamp`, ns of the sender's epoch (TAI or Unix); else its time code, ns of the day."""
        timing = self.sample.timing
        if timing is not None and timing.sample_timestamp is not None:
            return timing.sample_timestamp.ns
        return self.timecode_ns

    @property
    def timecode_ns(self) -> int | None:
        """Its time code, ns of the day; None without one."""
        label = self.label
        return None if label is None else label.t_ns

    @property
    def label(self) -> SaidLabel | None:
        """Its time code; None without one, or when it is no label of its rate."""
        timing = self.sample.timing
        return None if timing is None or timing.timecode is None else label_of(timing.timecode, timing.sample_rate)

    @property
    def by_label(self) -> bool:
        """Whether `t_source_ns` is its time code."""
        timing = self.sample.timing
        return timing is not None and timing.sample_timestamp is None

    @property
    def offsets_ns(self) -> tuple[int, int, int]:
        """By how much position, rotation and lens were sampled after the sync that the stamp names, ns; 0 where it does
        not say, or says what no tracker does."""
        timing = self.sample.timing
        if timing is None or timing.synchronization is None or timing.synchronization.offsets is None:
            return NO_OFFSETS
        offsets = timing.synchronization.offsets
        return _offset_ns(offsets.translation), _offset_ns(offsets.rotation), _offset_ns(offsets.lens_encoders)

    @property
    def sequence(self) -> int | None:
        """`timing.sequenceNumber`, else the header's number."""
        timing = self.sample.timing
        if timing is not None and timing.sequence_number is not None:
            return timing.sequence_number
        return self.sequence_number

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the source's `source_id` and `source_number` filters let this sample through."""
        return (mapping.source_id is None or mapping.source_id == self.sample.source_id) and (
            mapping.source_number is None or mapping.source_number == self.sample.source_number
        )

    def tracker_from_body(self) -> Array:
        """The chain of transforms, [4, 4]: M = M0 M1 ... Mn in list order, the first nearest the stage.

        A link's `scale` is of what hangs on it: it stretches the places of the links after it, never a turn.
        """
        transforms = self.sample.transforms or ()
        out = _link(transforms[0])
        if all(transform.scale is None for transform in transforms):
            for transform in transforms[1:]:
                out = out @ _link(transform)
            return out
        stretched = np.eye(3)
        for before, transform in pairwise(transforms):
            link = _link(transform)
            stretched = stretched @ _link(before)[:3, :3]
            if before.scale is not None:
                stretched = stretched @ np.diag([before.scale.x, before.scale.y, before.scale.z])
            out = pose(out[:3, 3] + stretched @ link[:3, 3], out[:3, :3] @ link[:3, :3])
        return out

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The pose and lens in stage units; a sample without transforms only updates the lens."""
        sample = self.sample
        lens = lens_reading(sample, sample.static or self.cached_static)
        if not sample.transforms:
            if lens is None:
                return []
            return [mapping.lens(lens)]
        quality = "ok"
        status = None if sample.tracker is None else sample.tracker.status
        if status and status.lower() not in GOOD_STATES:
            quality = status
        return [mapping.sample(self.tracker_from_body(), lens, stamp, sequence=self.sequence, quality=quality)]


def _link(transform: Transform) -> Array:
    t, r = transform.translation, transform.rotation
    return pose_from_pan_tilt_roll((t.x, t.y, t.z), pan_deg=r.pan_deg, tilt_deg=r.tilt_deg, roll_deg=r.roll_deg)


def _offset_ns(offset_s: float | None) -> int:
    return round(offset_s * 1e9) if offset_s is not None and abs(offset_s) <= LONGEST_OFFSET_S else 0


@lru_cache(maxsize=64)
def _rate(num: int, denom: int) -> Rate:
    return Rate(num, denom)


def label_of(label: Timecode, sample_rate: Ratio | None) -> SaidLabel | None:
    """A sample's time code; None: it names no rate, or is no label of it. Sub-frames count the samples of a frame,
    where the sample rate is a multiple of the label's."""
    ratio = label.frame_rate
    if ratio is None or ratio.num <= 0 or ratio.denom <= 0 or ratio.num > 1000 * ratio.denom:
        return None
    rate = _rate(ratio.num, ratio.denom)
    within_ns = 0
    if label.sub_frame and sample_rate is not None and sample_rate.num > 0 and sample_rate.denom > 0:
        within_ns = min(label.sub_frame * sample_rate.denom * NS_PER_S // sample_rate.num, rate.period_ns)
    said = SaidLabel(
        LabelParts(label.hours, label.minutes, label.seconds, label.frames),
        rate,
        drop_frame=None if label.drop_frame is None else label.drop_frame and drops(rate) > 0,
        within_ns=within_ns,
    )
    return None if said.t_ns is None else said


def epoch_of(t_source_ns: int, tai_ns: int) -> Literal["tai", "unix", "other"]:
    """Which epoch a sender's time stamp counts from, seen at `tai_ns`: the document says TAI, the reference tools send
    Unix time, 37 s less."""
    if abs(t_source_ns - tai_ns) < EPOCH_SLACK_NS:
        return "tai"
    return "unix" if abs(t_source_ns + TAI_MINUS_UTC_NS - tai_ns) < EPOCH_SLACK_NS else "other"


def lens_reading(sample: TrackSample, static: Static | None) -> LensReading | None:
    """What a sample and the static block in force say about the lens; only the first distortion entry counts."""
    lens = sample.lens
    camera = None if static is None else static.camera
    fixed = None if static is None else static.lens
    if lens is None and camera is None:
        return None
    size = None if camera is None else camera.active_sensor_physical_dimensions
    squeeze = None if camera is None or camera.anamorphic_squeeze is None else camera.anamorphic_squeeze
    width = None if size is None else size.width
    height = None if size is None else size.height
    ratio = None if squeeze is None or squeeze.denom == 0 else squeeze.num / squeeze.denom
    if lens is None:
        return LensReading(sensor_width_mm=width, sensor_height_mm=height, squeeze=ratio)
    first = lens.distortion[0] if lens.distortion else None
    encoders, raw, falloff = lens.encoders or _NO_ENCODERS, lens.raw_encoders or _NO_ENCODERS, lens.exposure_falloff
    overscan = None if first is None else first.overscan_ratio
    if overscan is None and fixed is not None:
        overscan = fixed.distortion_overscan_max
    return LensReading(
        focal_length_mm=lens.focal_length_mm,
        focus_distance_m=lens.focus_distance_m,
        entrance_pupil_m=lens.entrance_pupil_m,
        f_stop=lens.f_stop,
        t_stop=lens.t_stop,
        zoom_raw=raw.zoom if encoders.zoom is None else encoders.zoom,
        focus_raw=raw.focus if encoders.focus is None else encoders.focus,
        iris_raw=raw.iris if encoders.iris is None else encoders.iris,
        radial=None if first is None else first.radial,
        tangential=None if first is None else first.tangential,
        model=None if first is None else (first.model or "Brown-Conrady D-U"),
        overscan_ratio=overscan,
        distortion_offset_mm=None
        if lens.distortion_offset is None
        else (lens.distortion_offset.x, lens.distortion_offset.y),
        projection_offset_mm=None
        if lens.projection_offset is None
        else (lens.projection_offset.x, lens.projection_offset.y),
        sensor_width_mm=width,
        sensor_height_mm=height,
        squeeze=ratio,
        exposure_falloff=None if falloff is None else (falloff.a1, falloff.a2, falloff.a3),
    )


@lru_cache(maxsize=64)
def _weights(n: int) -> Array:
    return np.arange(n, 0, -1, dtype=np.float64)


def _sums(data: bytes) -> tuple[int, int]:
    # Fletcher's running sums in closed form: s1 = sum b_i, s2 = sum (n - i) b_i; exact in float64 (< 2^53).
    values = np.frombuffer(data, dtype=np.uint8).astype(np.float64)
    return sum(data), int(_weights(len(data)) @ values)


def parse_segment(datagram: bytes) -> Segment | Refusal:
    """Header and payload of one datagram, checked. Never raises."""
    size = len(datagram)
    if size < HEADER_SIZE:
        return Refusal("short", f"{size} of {HEADER_SIZE} header bytes")
    magic, reserved, encoding, sequence, offset, length, checksum = _HEADER.unpack_from(datagram)
    if magic != MAGIC:
        return Refusal("magic", magic.hex())
    last = bool(length & LAST_SEGMENT)
    length &= MAX_SEGMENT
    if size != HEADER_SIZE + length:
        reason: Literal["short", "long"] = "short" if size < HEADER_SIZE + length else "long"
        return Refusal(reason, f"{size - HEADER_SIZE} payload bytes, header says {length}")
    payload = datagram[HEADER_SIZE:]
    s1, s2 = _sums(datagram[:14] + payload)
    if checksum == (s2 % 256) << 8 | s1 % 256:
        modulus: Modulus = 256
    elif checksum == (s2 % 255) << 8 | s1 % 255:
        modulus = 255
    else:
        return Refusal("checksum", f"{checksum:#06x}")
    if encoding not in (JSON, CBOR):
        return Refusal("encoding", f"encoding {encoding:#04x}")
    if length == 0:
        return Refusal("short", "no payload")
    if offset + length > MAX_PAYLOAD:
        return Refusal("long", f"segment ends at byte {offset + length}")
    return Segment(encoding, sequence, offset, last, payload, modulus, reserved)


def parse(datagram: bytes) -> list[OpenTrackIOPacket | Segment | Refusal]:
    """One datagram: a whole sample, or a `Segment` for the sender's `Assembler`, or a refusal. Never raises."""
    segment = parse_segment(datagram)
    if isinstance(segment, Refusal) or segment.offset or not segment.last:
        return [segment]
    return [decode(segment)]


def decode(segment: Segment, segments: int = 1) -> OpenTrackIOPacket | Refusal:
    """The sample in a whole payload. Never raises."""
    faults: tuple[str, ...] = ()
    payload = segment.payload
    try:
        if segment.encoding == JSON:
            try:
                sample = _JSON.decode(payload)
            except msgspec.ValidationError:
                # A live sample is not thrown away for one wrong field: block by block, what does not fit is left out.
                tree: Any = _ANY_JSON.decode(payload)
                if not isinstance(tree, dict):
                    return Refusal("schema", "the payload is not a map")
                sample, faults = lenient(tree)
        else:
            tree = cbor2.loads(payload, max_depth=32)
            if not isinstance(tree, dict):
                return Refusal("schema", "the payload is not a map")
            try:
                sample = msgspec.convert(tree, TrackSample)
            except msgspec.ValidationError:
                sample, faults = lenient(tree)
    except Exception as error:  # noqa: BLE001 - whatever does not decode is one bad sample
        return Refusal("malformed", type(error).__name__)
    refusal = _check(sample, faults)
    if refusal is not None:
        return refusal
    return OpenTrackIOPacket(
        sample, payload, segment.encoding, segment.sequence, segment.modulus, segment.reserved, segments, faults
    )


def _check(sample: TrackSample, faults: tuple[str, ...]) -> Refusal | None:
    if "transforms" in faults:
        return Refusal("schema", "transforms do not fit the schema")
    if sample.source_number is not None and not 1 <= sample.source_number <= MAX_SOURCE_NUMBER:
        return Refusal("range", f"source number {sample.source_number}")
    protocol = sample.protocol or Protocol()
    if protocol.name is not None and protocol.name != "OpenTrackIO":
        return Refusal("magic", "the payload is not OpenTrackIO")
    if protocol.version and protocol.version[0] not in (0, 1):
        return Refusal("version", ".".join(map(str, protocol.version)))
    transforms = sample.transforms or ()
    if len(transforms) > MAX_TRANSFORMS:
        return Refusal("depth", f"{len(transforms)} transforms")
    for transform in transforms:
        t, r = transform.translation, transform.rotation
        if not isfinite(t.x + t.y + t.z + r.pan_deg + r.tilt_deg + r.roll_deg):
            return Refusal("nan", "a transform is not finite")
    lens = sample.lens
    if lens is not None:
        numbers = (lens.focal_length_mm, lens.focus_distance_m, lens.entrance_pupil_m)
        if not all(isfinite(v) for v in numbers if v is not None):
            return Refusal("nan", "a lens value is not finite")
        for distortion in lens.distortion or ():
            if not all(map(isfinite, (*distortion.radial, *distortion.tangential))):
                return Refusal("nan", "a distortion coefficient is not finite")
    return None


def _together(a: Segment, b: Segment) -> bool:
    """Whether two segments can belong to one payload: numbers equal, or counted in the order of the offsets."""
    if a.encoding != b.encoding:
        return False
    low, high = (a, b) if a.offset < b.offset else (b, a)
    return (high.sequence - low.sequence) % 65536 < MAX_SEGMENTS


class Assembler:
    """State of one sender: unfinished segments, recent datagrams, the last static block of each source id.

    No clock: an unfinished payload is thrown away when the next one begins.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, Segment] = {}
        self._recent: deque[tuple[int, int, int]] = deque(maxlen=32)
        self._static: dict[str, Static] = {}

    def feed(self, datagram: bytes) -> list[OpenTrackIOPacket | Refusal]:
        """What a datagram completes: at most one packet, and refusals. Never raises."""
        segment = parse_segment(datagram)
        if isinstance(segment, Refusal):
            return [segment]
        key = (segment.sequence, segment.offset, hash(segment.payload))
        if key in self._recent:
            return [Refusal("duplicate", f"sequence {segment.sequence}")]
        self._recent.append(key)
        if segment.offset == 0 and segment.last:
            out: list[OpenTrackIOPacket | Refusal] = self._lost()
            whole = decode(segment)
        else:
            out = []
            if segment.offset in self._pieces or not all(_together(piece, segment) for piece in self._pieces.values()):
                out = self._lost()
            if len(self._pieces) >= MAX_SEGMENTS:
                out = self._lost()
            self._pieces[segment.offset] = segment
            joined = self._joined()
            if joined is None:
                return out
            whole = decode(*joined)
        if isinstance(whole, OpenTrackIOPacket):
            whole = self._with_static(whole)
        return [*out, whole]

    def _lost(self) -> list[OpenTrackIOPacket | Refusal]:
        if not self._pieces:
            return []
        count = len(self._pieces)
        self._pieces.clear()
        return [Refusal("segment", f"{count} segments of an unfinished payload")]

    def _joined(self) -> tuple[Segment, int] | None:
        pieces = sorted(self._pieces.values(), key=lambda s: s.offset)
        first, last = pieces[0], pieces[-1]
        if first.offset != 0 or not last.last:
            return None
        at = 0
        for piece in pieces:
            if piece.offset != at:
                return None
            at += len(piece.payload)
        if (last.sequence - first.sequence) % 65536 not in (0, len(pieces) - 1):
            return None
        self._pieces.clear()
        payload = b"".join(piece.payload for piece in pieces)
        return Segment(last.encoding, last.sequence, 0, True, payload, last.modulus, last.reserved), len(pieces)

    def _with_static(self, packet: OpenTrackIOPacket) -> OpenTrackIOPacket:
        source = packet.sample.source_id or ""
        static = packet.sample.static
        if static is not None:
            if source not in self._static and len(self._static) >= 64:
                self._static.pop(next(iter(self._static)))
            self._static[source] = static
            return packet
        cached = self._static.get(source)
        return packet if cached is None else msgspec.structs.replace(packet, cached_static=cached)
