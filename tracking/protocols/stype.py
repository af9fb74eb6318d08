"""stYpe HF (67 bytes) and A5 (54 bytes): pose, field of view and lens as little-endian floats.

Read from open clients; the makers publish the layout to customers only, and no signs: `StypeConvention` of
`stage.frames` is chosen in the configuration. Metres, degrees, millimetres on the sensor. Checksum: sum of all bytes
before it, mod 256.
"""

from __future__ import annotations

import struct
from math import isfinite
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from stage.frames import pose_from_stype
from stage.rate import Rate
from tracking.protocols.counters import CounterClock
from tracking.protocols.pinhole import focal_length_from_fov
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "stype"
PORT: Final = 6301
HF: Final = 0x0F
A5: Final = 0xA5
HF_SIZE: Final = 67
A5_SIZE: Final = 54
_HF: Final = struct.Struct("<2B3s B15f")
_A5: Final = struct.Struct("<B13f")
_TILT_LIMIT_DEG: Final = 90.01


class StypePacket(Struct, frozen=True, gc=False):
    """One packet in wire units; what the format does not carry is None."""

    format: Literal["hf", "a5"]
    x_m: float
    y_m: float
    """Height."""
    z_m: float
    pan_deg: float
    tilt_deg: float
    roll_deg: float
    fov_x_deg: float
    """Horizontal field of view."""
    focus: float
    """0 close to 1 infinity, or metres."""
    k1: float
    """HF: mm^-2."""
    k2: float
    """HF: mm^-4."""
    center_x: float
    """HF: millimetres; A5: pixels."""
    center_y: float
    aspect: float | None = None
    """HF: width over height."""
    zoom: float | None = None
    """HF: 0 wide to 1 tele."""
    sensor_width_mm: float | None = None
    """HF: of the projection area."""
    fov_y_deg: float | None = None
    """A5: vertical field of view."""
    command: int = 0
    timecode: bytes = b"\0\0\0"
    """HF: three bytes whose layout is not published."""
    number: int = 0
    """HF: 0..255, one on with each packet."""
    checksum: int | None = None
    """The byte that was sent when it is not the right one; None = the right one."""
    t_source_ns: int | None = None
    """Packet number as time, put in by the `Assembler`."""

    def __bytes__(self) -> bytes:
        pose = (self.x_m, self.y_m, self.z_m, self.pan_deg, self.tilt_deg, self.roll_deg, self.fov_x_deg)
        lens = (self.k1, self.k2, self.center_x, self.center_y)
        aspect, zoom, width_mm, fov_y = (
            0.0 if v is None else v for v in (self.aspect, self.zoom, self.sensor_width_mm, self.fov_y_deg)
        )
        if self.format == "hf":
            body = _HF.pack(
                HF, self.command, self.timecode, self.number, *pose, aspect, self.focus, zoom, *lens, width_mm
            )
        else:
            body = _A5.pack(A5, *pose, fov_y, self.focus, *lens)
        return body + bytes((sum(body) & 0xFF if self.checksum is None else self.checksum,))

    @property
    def sequence(self) -> int | None:
        """HF's packet number."""
        return self.number if self.format == "hf" else None

    def is_for(self, mapping: Mapping) -> bool:
        """A stYpe packet names no camera: it is for every source of its socket."""
        return True

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """Pose and lens in stage units."""
        tracker_from_body = pose_from_stype(
            self.pan_deg, self.tilt_deg, self.roll_deg, (self.x_m, self.y_m, self.z_m),
            convention=mapping.stype.convention,
        )  # fmt: skip
        return [mapping.sample(tracker_from_body, self._lens(mapping), stamp, sequence=self.sequence)]

    def _lens(self, mapping: Mapping) -> LensReading:
        section = mapping.stype
        # The field of view counts: told for the sensor that the configuration knows, whatever stYpe was told of it.
        width_mm = mapping.picture_mm[0] if mapping.picture_mm is not None else self.sensor_width_mm
        focal_mm, radial, offset_mm = None, None, None
        if width_mm:
            focal_mm = focal_length_from_fov(width_mm, self.fov_x_deg)
        if width_mm and self.sensor_width_mm:
            scale = width_mm / self.sensor_width_mm
            radial = (self.k1 / scale**2, 0.0, self.k2 / scale**4)
            if section.center_shift != "off":
                down = 1.0 if section.center_shift == "right_down" else -1.0
                offset_mm = (self.center_x * scale, down * self.center_y * scale)
        is_distance = section.focus == "distance" or (section.focus == "auto" and self.focus > 1.0)
        return LensReading(
            focal_length_mm=focal_mm,
            focus_distance_m=self.focus if is_distance and self.focus > 0.0 else None,
            zoom_raw=self.zoom,
            focus_raw=None if is_distance else self.focus,
            radial=radial,
            model=None if radial is None else "Brown-Conrady D-U",
            projection_offset_mm=offset_mm,
        )


def parse(datagram: bytes, *, checksum: str = "strict") -> list[StypePacket | Refusal]:
    """The packet of a datagram, or a refusal. Never raises.

    checksum: `strict`; `zero` also takes packets whose checksum byte is 0; `ignore` takes any.
    """
    size = len(datagram)
    if size == 0:
        return [Refusal("short", "empty datagram")]
    kind = datagram[0]
    wanted = HF_SIZE if kind == HF else A5_SIZE if kind == A5 else 0
    if not wanted:
        return [Refusal("magic", f"type {kind:#04x}")]
    if size != wanted:
        return [Refusal("short" if size < wanted else "long", f"{size} of {wanted} bytes")]
    right, sent = sum(datagram[:-1]) & 0xFF, datagram[-1]
    if sent != right and checksum != "ignore" and not (checksum == "zero" and sent == 0):
        return [Refusal("checksum", f"{sent:#04x} instead of {right:#04x}")]
    kept = None if sent == right else sent
    if kind == HF:
        (_, command, timecode, number, x, y, z, pan, tilt, roll, fov_x, aspect, focus, zoom, k1, k2, cx, cy, width) = (
            _HF.unpack_from(datagram)
        )
        total = x + y + z + pan + tilt + roll + fov_x + aspect + focus + zoom + k1 + k2 + cx + cy + width
        packet = StypePacket(
            "hf", x, y, z, pan, tilt, roll, fov_x, focus, k1, k2, cx, cy, aspect, zoom, width, None, command, timecode,
            number, kept,
        )  # fmt: skip
    else:
        _, x, y, z, pan, tilt, roll, fov_x, fov_y, focus, k1, k2, cx, cy = _A5.unpack_from(datagram)
        total = x + y + z + pan + tilt + roll + fov_x + fov_y + focus + k1 + k2 + cx + cy
        packet = StypePacket(
            "a5", x, y, z, pan, tilt, roll, fov_x, focus, k1, k2, cx, cy, fov_y_deg=fov_y, checksum=kept
        )
    if not isfinite(total):
        return [Refusal("nan", "a number is not finite")]
    if not -_TILT_LIMIT_DEG <= tilt <= _TILT_LIMIT_DEG:
        return [Refusal("range", f"tilt {tilt:.3f} degrees")]
    return [packet]


class Assembler:
    """State of one sender: its packet number as time, if the packets are locked to a rate. No clock."""

    def __init__(self, *, rate: Rate | None = None, checksum: str = "strict") -> None:
        self._checksum = checksum
        self._clock = None if rate is None else CounterClock(256, rate)

    def feed(self, datagram: bytes) -> list[StypePacket | Refusal]:
        """The packet of a datagram, with its number as time. Never raises."""
        items = parse(datagram, checksum=self._checksum)
        packet = items[0]
        if self._clock is None or isinstance(packet, Refusal) or packet.format != "hf":
            return items
        return [msgspec.structs.replace(packet, t_source_ns=self._clock.t_ns(packet.number))]
