"""Mo-Sys F4: a list of axes in five bytes each, pose, lens and time code together.

`F4, camera id, axis count n, status, n x {axis id, axis status, 3 bytes}, checksum`, size 5 n + 5, checksum
(0x40 - sum of the rest) mod 256. Status: bits 0-3 frame counter, bit 4 recording, bit 5 genlocked.
Wire units: angles in 1/1000 degree, positions in 1/100 mm, signed 24 bit; encoders in the low 16 bits; lens figures
are float32 made of the axis status and its three bytes (focal lengths and centre in pixels, entrance pupil in metres,
measured on a real take). Frame: the stage's own.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from msgspec import Struct

from stage.frames import pose_from_mosys_f4
from stage.rate import Rate
from stage.timecode import LabelParts
from tracking.protocols.counters import TimecodeClock
from tracking.sample import LensReading, Refusal, Sample, Stamp
from tracking.timecode_match import SaidLabel

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "mosys_f4"
PORT: Final = 8051
TYPE_F4: Final = 0xF4
HEADER_SIZE: Final = 4
AXIS_SIZE: Final = 5
MAX_DATAGRAM: Final = 2048
MAX_CAMERAS: Final = 256

PAN, TILT, ROLL = 0x01, 0x02, 0x13
FOCUS, ZOOM, IRIS = 0x03, 0x04, 0x0D
X, Y, HEIGHT = 0x05, 0x06, 0x07
ENTRANCE_PUPIL, K1, K2 = 0x50, 0x51, 0x52
FX, CENTER_X, CENTER_Y, INVERSE_FOCUS, FY = 0x53, 0x54, 0x55, 0x57, 0x58
APERTURE, TIMECODE, TRACKING = 0x60, 0xF8, 0xF9

ANGLE_COUNTS_PER_DEG: Final = 1000
LENGTH_COUNTS_PER_MM: Final = 100
FARTHEST_FOCUS_M: Final = 10_000.0
"""Told for a focus at infinity."""
STATUS_NAMES: Final = (
    "undefined", "Tracking", "Optical Good", "Optical Acceptable", "Optical Unreliable", "Optical Unstable",
    "Optical Lost", "Too few stars", "Searching", "Busy", "Loading map", "No map", "Test signal", "Encoders only",
    "I/O error", "Internal error",
)  # fmt: skip
_GOOD: Final = frozenset({0, 1, 2, 3})
_NO_POSE: Final = frozenset({6, 7, 8, 10, 11, 14, 15})
"""The tracker itself does not know where it is."""
_FPS: Final = {0: 24, 1: 25, 2: 30}
_TILT_LIMIT: Final = 90 * ANGLE_COUNTS_PER_DEG + 1
_POSE_AXES: Final = frozenset({PAN, TILT, ROLL, X, Y, HEIGHT})
_FLOAT: Final = struct.Struct(">f")
_WORD: Final = struct.Struct(">I")


class Timecode(Struct, frozen=True, gc=False):
    """A time code label and the rate it counts with."""

    hours: int
    minutes: int
    seconds: int
    frames: int
    fps: int | None
    """24, 25 or 30; None: the sender names none."""

    def __str__(self) -> str:
        return f"{self.hours:02}:{self.minutes:02}:{self.seconds:02}:{self.frames:02}"


class F4Packet(Struct, frozen=True, gc=False):
    """One packet in wire units."""

    camera_id: int
    status: int
    axes: bytes
    """Five bytes each: id, status, three of data."""
    index: dict[int, int]
    """Where in `axes` each axis id stands; the last one counts."""
    checksum: int | None = None
    """The byte that was sent when it is not the right one; None = the right one."""
    t_source_ns: int | None = None
    """Time code as time, put in by the `Assembler`."""

    @classmethod
    def build(cls, camera_id: int, axes: list[tuple[int, int, int]], *, status: int = 0) -> F4Packet:
        """A packet of axes, each id, axis status and 24 bits of data. Raises ValueError: a number does not fit."""
        if len(axes) > 255:
            raise ValueError("F4 holds 255 axes")
        try:
            data = b"".join(bytes((a, s)) + (v & 0xFFFFFF).to_bytes(3, "big") for a, s, v in axes if _fits(v))
        except OverflowError as error:
            raise ValueError(str(error)) from error
        if len(data) != AXIS_SIZE * len(axes):
            raise ValueError("F4 holds 24 bits: angles within 8388 degrees, positions within 83 m")
        return cls(camera_id, status, data, _index(data))

    def __bytes__(self) -> bytes:
        body = bytes((TYPE_F4, self.camera_id, len(self.axes) // AXIS_SIZE, self.status)) + self.axes
        return body + bytes(((0x40 - sum(body)) & 0xFF if self.checksum is None else self.checksum,))

    @property
    def frame_counter(self) -> int:
        """0..15, one on with each packet."""
        return self.status & 0x0F

    @property
    def recording(self) -> bool:
        return bool(self.status & 0x10)

    @property
    def genlocked(self) -> bool:
        return bool(self.status & 0x20)

    @property
    def sequence(self) -> int:
        """The frame counter."""
        return self.status & 0x0F

    def signed(self, axis: int) -> int | None:
        """The three bytes of an axis as a signed number; None: it is not there."""
        at = self.index.get(axis)
        return None if at is None else int.from_bytes(self.axes[at + 2 : at + 5], "big", signed=True)

    def encoder(self, axis: int) -> int | None:
        """The low 16 bits of an axis; None: it is not there."""
        at = self.index.get(axis)
        return None if at is None else int.from_bytes(self.axes[at + 3 : at + 5], "big")

    def real(self, axis: int) -> float | None:
        """The float32 of an axis; None: it is not there."""
        at = self.index.get(axis)
        return None if at is None else float(_FLOAT.unpack_from(self.axes, at + 1)[0])

    @property
    def timecode(self) -> Timecode | None:
        """None: the packet carries none, or no label."""
        at = self.index.get(TIMECODE)
        if at is None:
            return None
        data = int.from_bytes(self.axes[at + 2 : at + 5], "big")
        hours, minutes, seconds, frames = data >> 18, data >> 12 & 63, data >> 6 & 63, data & 63
        fps = _FPS.get(self.axes[at + 1] >> 5 & 3)
        if hours > 23 or minutes > 59 or seconds > 59 or frames >= (fps or 60):
            return None
        return Timecode(hours, minutes, seconds, frames, fps)

    @property
    def tracking_status(self) -> int | None:
        """Index into `STATUS_NAMES`; None: the packet does not say."""
        at = self.index.get(TRACKING)
        return None if at is None else self.axes[at + 3] >> 4

    by_label: ClassVar[bool] = True
    """`t_source_ns` is its time code."""

    @property
    def label(self) -> SaidLabel | None:
        """Its time code; None without one, or between its frames when it is not known how far."""
        said = self.timecode
        if said is None or said.fps is None or self.t_source_ns is None:
            return None
        parts = LabelParts(said.hours, said.minutes, said.seconds, said.frames)
        rate = Rate(said.fps)
        within_ns = self.t_source_ns - rate.deadline_ns(0, rate.frame_at(0, self.t_source_ns))
        return SaidLabel(parts, rate, rate_is_exact=False, within_ns=within_ns)

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the source's camera id filter lets this packet through."""
        return mapping.camera_id is None or mapping.camera_id == self.camera_id

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """Pose and lens in stage units; axes that are not sent are zero, a packet without pose only updates the lens.

        Lens figures in pixels become millimetres where the camera's picture is known.
        """
        lens = self._lens(mapping)
        if isinstance(lens, Refusal):
            return [lens]
        if _POSE_AXES.isdisjoint(self.index):
            return [mapping.lens(lens)]
        status = self.tracking_status
        if status is not None and status in _NO_POSE:
            return [Refusal("untracked", STATUS_NAMES[status])]
        tracker_from_body = pose_from_mosys_f4(
            *((self.signed(axis) or 0) / ANGLE_COUNTS_PER_DEG for axis in (PAN, TILT, ROLL)),
            *((self.signed(axis) or 0) / LENGTH_COUNTS_PER_MM for axis in (X, Y, HEIGHT)),
        )
        quality = "ok" if status is None or status in _GOOD else STATUS_NAMES[status]
        return [mapping.sample(tracker_from_body, lens, stamp, sequence=self.sequence, quality=quality)]

    def _lens(self, mapping: Mapping) -> LensReading | Refusal:
        zoom, focus, iris = self.encoder(ZOOM), self.encoder(FOCUS), self.encoder(IRIS)
        reals = {axis: self.real(axis) for axis in (ENTRANCE_PUPIL, K1, K2, FX, CENTER_X, CENTER_Y, INVERSE_FOCUS)}
        aperture = self.real(APERTURE)
        if not all(isfinite(v) for v in (*reals.values(), aperture) if v is not None):
            return Refusal("nan", "a lens figure is not finite")
        inverse_focus, fx_px = reals[INVERSE_FOCUS], reals[FX]
        focus_m = None
        if inverse_focus is not None:
            focus_m = FARTHEST_FOCUS_M if inverse_focus * FARTHEST_FOCUS_M <= 1.0 else 1.0 / inverse_focus
        focal_mm, radial, offset_mm, model = None, None, None, None
        section = mapping.mosys_f4
        if fx_px and mapping.picture_mm is not None:
            mm_per_px = mapping.picture_mm[0] / section.image_width_px
            focal_mm = fx_px * mm_per_px
            k1, k2 = reals[K1], reals[K2]
            if k1 is not None and section.distortion != "off" and focal_mm > 0.0:
                radial = (k1 / focal_mm**2, 0.0, (k2 or 0.0) / focal_mm**4)
                model = "Brown-Conrady D-U" if section.distortion == "d_u" else "Brown-Conrady U-D"
            x_px, y_px = reals[CENTER_X], reals[CENTER_Y]
            if x_px is not None and y_px is not None and section.center_shift != "off":
                down = 1.0 if section.center_shift == "right_down" else -1.0
                offset_mm = (x_px * mm_per_px, down * y_px * mm_per_px)
        return LensReading(
            focal_length_mm=focal_mm,
            focus_distance_m=focus_m,
            entrance_pupil_m=reals[ENTRANCE_PUPIL],
            f_stop=aperture or None,
            zoom_raw=None if zoom is None else float(zoom),
            focus_raw=None if focus is None else float(focus),
            iris_raw=None if iris is None else float(iris),
            radial=radial,
            model=model,
            projection_offset_mm=offset_mm,
        )


def real_axis(axis: int, value: float) -> tuple[int, int, int]:
    """Id, status and data of an axis that is a float32. Raises OverflowError: too large."""
    word: int = _WORD.unpack(_FLOAT.pack(value))[0]
    return axis, word >> 24, word & 0xFFFFFF


def _fits(value: int) -> bool:
    return -0x800000 <= value <= 0xFFFFFF


def _index(axes: bytes) -> dict[int, int]:
    return {axes[at]: at for at in range(0, len(axes), AXIS_SIZE)}


def parse(datagram: bytes, *, checksum: str = "strict") -> list[F4Packet | Refusal]:
    """Every packet of a datagram, and a refusal for each stretch of bytes that is none. Never raises.

    checksum: `strict`; `zero` also takes packets whose checksum byte is 0; `ignore` takes any.
    """
    size = len(datagram)
    if size > MAX_DATAGRAM:
        return [Refusal("long", f"{size} bytes")]
    if (
        size > HEADER_SIZE
        and size == AXIS_SIZE * datagram[2] + 5
        and datagram[0] == TYPE_F4
        and (sum(datagram) & 0xFF == 0x40)
    ):
        return [_packet(datagram, 0, size, None)]
    if size == 0:
        return [Refusal("short", "empty datagram")]
    out: list[F4Packet | Refusal] = []
    sums = list(accumulate(datagram, initial=0))
    at, rubbish = 0, 0
    reason: Refusal | None = None
    while at < size:
        found: F4Packet | Refusal | None = None
        whole = AXIS_SIZE * datagram[at + 2] + 5 if at + HEADER_SIZE < size else 0
        if datagram[at] == TYPE_F4 and whole and at + whole <= size:
            sent = datagram[at + whole - 1]
            right = (0x40 - (sums[at + whole - 1] - sums[at])) & 0xFF
            if sent == right:
                found = _packet(datagram, at, whole, None)
            elif rubbish == 0 and (checksum == "ignore" or (checksum == "zero" and sent == 0)):
                found = _packet(datagram, at, whole, sent)
            elif reason is None:
                reason = Refusal("checksum", f"{sent:#04x} instead of {right:#04x}")
        if found is None:
            if reason is None:
                reason = (
                    Refusal("short", f"{size - at} bytes of {whole or 'a packet'}")
                    if datagram[at] == TYPE_F4
                    else Refusal("magic", f"type {datagram[at]:#04x}")
                )
            rubbish += 1
            at += 1
            continue
        if reason is not None:
            out.append(reason)
            reason, rubbish = None, 0
        out.append(found)
        at += whole
    if reason is not None:
        out.append(reason)
    return out


def _packet(data: bytes, at: int, size: int, checksum: int | None) -> F4Packet | Refusal:
    axes = data[at + HEADER_SIZE : at + size - 1]
    index = _index(axes)
    tilt_at = index.get(TILT)
    if tilt_at is not None:
        tilt = int.from_bytes(axes[tilt_at + 2 : tilt_at + 5], "big", signed=True)
        if not -_TILT_LIMIT <= tilt <= _TILT_LIMIT:
            return Refusal("range", f"tilt {tilt / ANGLE_COUNTS_PER_DEG:.3f} degrees")
    return F4Packet(data[at + 1], data[at + 3], axes, index, checksum)


class Assembler:
    """State of one sender: the time code of each of its cameras. No clock."""

    def __init__(self, *, checksum: str = "strict") -> None:
        self._checksum = checksum
        self._clocks: dict[int, TimecodeClock] = {}

    def feed(self, datagram: bytes) -> list[F4Packet | Refusal]:
        """The packets of a datagram, with their time code as time. Never raises."""
        return [item if isinstance(item, Refusal) else self._timed(item) for item in
                parse(datagram, checksum=self._checksum)]  # fmt: skip

    def _timed(self, packet: F4Packet) -> F4Packet:
        label = packet.timecode
        if label is None or label.fps is None:
            return packet
        clock = self._clocks.get(packet.camera_id)
        if clock is None:
            clock = self._clocks[packet.camera_id] = TimecodeClock(16)
        t_ns = clock.t_ns(label.hours, label.minutes, label.seconds, label.frames, label.fps, packet.frame_counter)
        return packet if t_ns is None else msgspec.structs.replace(packet, t_source_ns=t_ns)
