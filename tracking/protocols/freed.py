"""FreeD D1: 29 bytes of pan, tilt, roll, position and lens encoders (Vinten free-d manual, appendices A and B).

Wire units: angles in 1/32768 degree, positions in 1/64 mm, big-endian signed 24 bit; zoom and focus are raw encoder
counts. No time stamp, no sequence. Frame: Z up, Y forward at pan 0, pan + = right.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stage.frames import pose_from_freed
from tracking.protocols.freed_makers import MAKERS, QUALITIES, MakerPreset
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "freed"
SIZE: Final = 29
TYPE_D1: Final = 0xD1
ANY_CAMERA: Final = 0xFF
ANGLE_COUNTS_PER_DEG: Final = 32768
LENGTH_COUNTS_PER_MM: Final = 64
MAX_DATAGRAM: Final = 2048
"""A datagram holds one message, or a few when a serial bridge coalesces them; more is not FreeD."""

# A signed 24 bit number is a signed byte and an unsigned 16 bit rest: one unpack reads the whole message.
_LAYOUT: Final = struct.Struct(">BBbHbHbHbHbHbHBHBHHB")
_TILT_LIMIT: Final = 90 * ANGLE_COUNTS_PER_DEG + 1
_OTHER_SIZES: Final = {0xD0: 4, 0xD2: 16}
"""Messages that carry no pose and are stepped over: poll/command and status."""


class FreeDPacket(Struct, frozen=True, gc=False):
    """One D1 message in wire counts."""

    camera_id: int
    pan_counts: int
    """1/32768 degree, + = right."""
    tilt_counts: int
    """1/32768 degree, + = up."""
    roll_counts: int
    """1/32768 degree, + = clockwise seen from behind."""
    x_counts: int
    """1/64 mm."""
    y_counts: int
    """1/64 mm."""
    z_counts: int
    """1/64 mm, height."""
    zoom: int = 0
    focus: int = 0
    spare: int = 0
    checksum: int | None = None
    """The byte that was sent when it is not the right one (senders that leave it 0); None = the right one."""

    @property
    def pan_deg(self) -> float:
        return self.pan_counts / ANGLE_COUNTS_PER_DEG

    @property
    def tilt_deg(self) -> float:
        return self.tilt_counts / ANGLE_COUNTS_PER_DEG

    @property
    def roll_deg(self) -> float:
        return self.roll_counts / ANGLE_COUNTS_PER_DEG

    @property
    def x_mm(self) -> float:
        return self.x_counts / LENGTH_COUNTS_PER_MM

    @property
    def y_mm(self) -> float:
        return self.y_counts / LENGTH_COUNTS_PER_MM

    @property
    def z_mm(self) -> float:
        return self.z_counts / LENGTH_COUNTS_PER_MM

    @classmethod
    def from_units(
        cls,
        *,
        camera_id: int,
        pan_deg: float,
        tilt_deg: float,
        roll_deg: float,
        x_mm: float,
        y_mm: float,
        z_mm: float,
        zoom: int = 0,
        focus: int = 0,
        spare: int = 0,
    ) -> FreeDPacket:
        """The message nearest to a FreeD pose in degrees and millimetres.

        Raises
        ------
        ValueError : a value outside the format (angles +-256 degrees, positions +-131 m).
        """
        angles = [round(v * ANGLE_COUNTS_PER_DEG) for v in (pan_deg, tilt_deg, roll_deg)]
        lengths = [round(v * LENGTH_COUNTS_PER_MM) for v in (x_mm, y_mm, z_mm)]
        if any(not -0x800000 <= v <= 0x7FFFFF for v in (*angles, *lengths)):
            raise ValueError("FreeD holds angles within 256 degrees and positions within 131 m")
        pan, tilt, roll = angles
        x, y, z = lengths
        return cls(camera_id, pan, tilt, roll, x, y, z, zoom, focus, spare)

    def __bytes__(self) -> bytes:
        signed = (self.pan_counts, self.tilt_counts, self.roll_counts, self.x_counts, self.y_counts, self.z_counts)
        body = b"".join(
            (
                bytes((TYPE_D1, self.camera_id)),
                *(v.to_bytes(3, "big", signed=True) for v in signed),
                self.zoom.to_bytes(3, "big"),
                self.focus.to_bytes(3, "big"),
                self.spare.to_bytes(2, "big"),
            )
        )
        return body + bytes(((0x40 - sum(body)) & 0xFF if self.checksum is None else self.checksum,))

    @property
    def t_source_ns(self) -> None:
        """FreeD carries no time."""
        return None

    @property
    def sequence(self) -> None:
        """FreeD carries no counter."""
        return None

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the source's camera id filter lets this packet through; id 255 means any camera."""
        wanted = mapping.camera_id
        return wanted is None or self.camera_id == wanted or self.camera_id == ANY_CAMERA

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The pose in stage units, with the encoders and whatever the maker puts beside them."""
        tracker_from_body = pose_from_freed(
            self.pan_counts / ANGLE_COUNTS_PER_DEG,
            self.tilt_counts / ANGLE_COUNTS_PER_DEG,
            self.roll_counts / ANGLE_COUNTS_PER_DEG,
            self.x_counts / LENGTH_COUNTS_PER_MM,
            self.y_counts / LENGTH_COUNTS_PER_MM,
            self.z_counts / LENGTH_COUNTS_PER_MM,
        )
        maker = MAKERS[mapping.freed.maker]
        quality = "ok"
        if maker.spare == "quality":
            code = self.spare & 0xFF
            quality = QUALITIES[code] if code < len(QUALITIES) else f"quality {code}"
        lens = _lens(maker.is_metric, maker.spare, self.zoom, self.focus, self.spare)
        return [mapping.sample(tracker_from_body, lens, stamp, sequence=self.frame(maker), quality=quality)]

    def lens(self, maker: MakerPreset) -> LensReading:
        """The encoders as sent, and what they mean where the maker says so."""
        return _lens(maker.is_metric, maker.spare, self.zoom, self.focus, self.spare)

    def frame(self, maker: MakerPreset) -> int | None:
        """The maker's frame number, 0..15; None: it sends none."""
        return self.spare >> 12 if maker.spare == "f_number_and_frame" else None


def parse(datagram: bytes, *, checksum: str = "strict") -> list[FreeDPacket | Refusal]:
    """Every D1 message of a datagram, and a refusal for each stretch of bytes that is none.

    checksum: `strict`; `zero` also takes messages whose checksum byte is 0; `ignore` takes any. Never raises.
    Messages may be coalesced, and after rubbish the next valid message is found again.
    """
    size = len(datagram)
    if size == SIZE and datagram[0] == TYPE_D1 and sum(datagram) & 0xFF == 0x40:
        return [_packet(datagram, 0, None)]
    if size == 0:
        return [Refusal("short", "empty datagram")]
    if size > MAX_DATAGRAM:
        return [Refusal("long", f"{size} bytes")]
    out: list[FreeDPacket | Refusal] = []
    # Running sums make every checksum test one subtraction: searching rubbish stays linear.
    sums = list(accumulate(datagram, initial=0))
    at = 0
    rubbish = 0
    reason: Refusal | None = None
    while at < size:
        kind = datagram[at]
        step = 0
        found: FreeDPacket | Refusal | None = None
        if kind == TYPE_D1 and size - at >= SIZE:
            sent = datagram[at + SIZE - 1]
            right = (0x40 - (sums[at + SIZE - 1] - sums[at])) & 0xFF
            if sent == right:
                found, step = _packet(datagram, at, None), SIZE
            elif rubbish == 0 and (checksum == "ignore" or (checksum == "zero" and sent == 0)):
                found, step = _packet(datagram, at, sent), SIZE
            elif reason is None:
                reason = Refusal("checksum", f"{sent:#04x} instead of {right:#04x}")
        elif kind in _OTHER_SIZES and size - at >= _OTHER_SIZES[kind]:
            step = _OTHER_SIZES[kind]
            if (sums[at + step] - sums[at]) & 0xFF == 0x40:
                found = Refusal("other_message", f"type {kind:#04x}")
        if found is None:
            if reason is None:
                reason = (
                    Refusal("short", f"{size - at} of {SIZE} bytes")
                    if kind == TYPE_D1
                    else Refusal("magic", f"type {kind:#04x}")
                )
            rubbish += 1
            at += 1
            continue
        if reason is not None:
            out.append(reason)
            reason, rubbish = None, 0
        out.append(found)
        at += step
    if reason is not None:
        out.append(reason)
    return out


def _packet(data: bytes, at: int, checksum: int | None) -> FreeDPacket | Refusal:
    (_, camera, ph, p, th, t, rh, r, xh, x, yh, y, zh, z, zoom_h, zoom, focus_h, focus, spare, _) = _LAYOUT.unpack_from(
        data, at
    )
    tilt = th * 65536 + t
    if not -_TILT_LIMIT <= tilt <= _TILT_LIMIT:
        return Refusal("range", f"tilt {tilt / ANGLE_COUNTS_PER_DEG:.3f} degrees")
    return FreeDPacket(
        camera, ph * 65536 + p, tilt, rh * 65536 + r, xh * 65536 + x, yh * 65536 + y, zh * 65536 + z,
        zoom_h * 65536 + zoom, focus_h * 65536 + focus, spare, checksum,
    )  # fmt: skip


@lru_cache(maxsize=256)
def _lens(is_metric: bool, spare_is: str, zoom: int, focus: int, spare: int) -> LensReading:
    # Most messages say what the one before them said.
    f_number = spare & 0x0FFF if spare_is == "f_number_and_frame" else 0
    return LensReading(
        focal_length_mm=zoom / 100.0 if is_metric and zoom else None,
        focus_distance_m=focus / 10_000.0 if is_metric and focus else None,
        f_stop=f_number / 100.0 if f_number else None,
        zoom_raw=float(zoom),
        focus_raw=float(focus),
        iris_raw=float(spare) if spare_is == "iris" else None,
    )


class StreamReader:
    """Reads D1 messages from a stream of bytes that is cut anywhere: one may begin in a piece and end in the next.

    What follows the last whole message waits for the next piece, if it can still become one. No clock.
    """

    def __init__(self, *, checksum: str = "strict") -> None:
        self._checksum = checksum
        self._rest = b""

    def feed(self, piece: bytes) -> list[FreeDPacket | Refusal]:
        """The messages a piece completes, and a refusal for each stretch of rubbish. Never raises."""
        if len(piece) > MAX_DATAGRAM:
            self._rest = b""
            return [Refusal("long", f"{len(piece)} bytes")]
        data = self._rest + piece
        begin = self._begin(data)
        self._rest = data[begin:]
        return parse(data[:begin], checksum=self._checksum) if begin else []

    def _begin(self, data: bytes) -> int:
        """Where a message begins that the data do not end; their length if none does."""
        at, size = 0, len(data)
        while at < size:
            kind = data[at]
            whole = SIZE if kind == TYPE_D1 else _OTHER_SIZES.get(kind, 0)
            if whole and at + whole > size:
                return at
            at += whole if whole and self._is_message(data[at : at + whole]) else 1
        return size

    def _is_message(self, data: bytes) -> bool:
        # A stream begins anywhere: only the checksum tells a message's first byte from the same byte inside one.
        return sum(data) & 0xFF == 0x40 or (
            data[0] == TYPE_D1 and (self._checksum == "ignore" or (self._checksum == "zero" and data[-1] == 0))
        )
