"""Cooke /i lens data: the packed record of the lens' `Kd` answer, in cameras' metadata and on the lens' serial line.

On the line (RS-232 levels, 8 data bits, no parity) commands are text that ends with CR, answers end with LF CR, which
no number contains. `Kc` makes the lens send records without end, `N` tells what does not change: serial number, owner,
prime or zoom, focal length, units. `Assembler` cuts answers out of a stream of bytes, wherever that was cut.

41 bytes: `d`, then numbers of six bits a byte (each byte 01xxxxxx, so that none is a control character), then `S`, the
serial number in nine characters, line feed, carriage return. Distances are millimetres, or tenths of an inch on a lens
set to imperial units; the record does not say which.

    offset 1 focus distance 24 bit | 5 T number x 100, 12 bit | 7 ring mark, tenths | 9 zoom focal length mm |
    11 hyperfocal | 15 near | 19 far, 24 bit each | 23 horizontal field of view x 10 | 25 entrance pupil, signed |
    27 normalised zoom | 29 S, serial
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "cooke"
SIZE: Final = 41
TAG: Final = 0x64
END: Final = b"\n\r"
INFINITY: Final = 0xFFFFFF
"""A distance of all ones."""
LONGEST: Final = 160
"""Bytes of an answer: what a user has the lens append to a record (60 at most) included."""
OLD_SIZE: Final = SIZE - 2
"""Lenses of before send no normalised zoom."""
MM_PER_UNIT: Final = {False: 1.0, True: 2.54}
"""By whether the lens is set to imperial units (tenths of an inch)."""


class CookeRecord(Struct, frozen=True, gc=False):
    """One record, in the units of the wire."""

    focus: int
    """Focus distance in the lens' units; INFINITY."""
    t_number_x100: int
    ring: tuple[int, int]
    """T number as marked on the ring x 10, and tenths of a stop beyond it; as sent (bit 7 set)."""
    zoom_mm: int
    """Focal length of a zoom; 0 for primes."""
    hyperfocal: int
    near: int
    far: int
    field_of_view_x10: int
    """Horizontal, tenths of a degree, for the sensor the lens was told."""
    entrance_pupil_units: int
    """In front of the image plane in the lens' units; negative behind it."""
    zoom_normalised: int
    serial: str

    def __bytes__(self) -> bytes:
        pupil = abs(self.entrance_pupil_units)
        return b"".join(
            (
                bytes((TAG,)), _packed(self.focus, 4), _packed(self.t_number_x100, 2), bytes(self.ring),
                _packed(self.zoom_mm, 2), _packed(self.hyperfocal, 4), _packed(self.near, 4), _packed(self.far, 4),
                _packed(self.field_of_view_x10, 2),
                bytes((0x40 | (0x20 if self.entrance_pupil_units < 0 else 0) | pupil >> 6, 0x40 | pupil & 0x3F)),
                _packed(self.zoom_normalised, 2), b"S", self.serial.encode("ascii"), END,
            )
        )  # fmt: skip

    def lens(self, *, imperial: bool = False) -> LensReading:
        """What it says, in metres and millimetres. imperial: the lens is set to tenths of an inch."""
        metres = MM_PER_UNIT[imperial] / 1000.0
        return LensReading(
            focal_length_mm=float(self.zoom_mm) or None,
            focus_distance_m=None if self.focus in (0, INFINITY) else self.focus * metres,
            entrance_pupil_m=self.entrance_pupil_units * metres,
            t_stop=self.t_number_x100 / 100.0 or None,
        )


def parse(record: bytes) -> list[CookeRecord | Refusal]:
    """The record, or why it is none. Never raises. `bytes()` of a record gives what it was made of."""
    if len(record) != SIZE:
        return [Refusal("short" if len(record) < SIZE else "long", f"{len(record)} of {SIZE} bytes")]
    if record[0] != TAG or record[29:30] != b"S" or record[39:] != END:
        return [Refusal("magic", "not a Cooke /i record")]
    digits = (*record[1:7], *record[9:29])
    if any(byte & 0xC0 != 0x40 for byte in digits) or record[25] & 0x10:
        return [Refusal("malformed", "a number holds a byte that is not 01xxxxxx")]
    if not all(32 <= byte < 127 for byte in record[30:39]):
        return [Refusal("malformed", "the serial number is no text")]
    pupil = (record[25] & 0x0F) << 6 | record[26] & 0x3F
    if record[25] & 0x20 and not pupil:
        return [Refusal("malformed", "an entrance pupil of minus zero")]
    return [
        CookeRecord(
            _number(record[1:5]), _number(record[5:7]), (record[7], record[8]), _number(record[9:11]),
            _number(record[11:15]), _number(record[15:19]), _number(record[19:23]), _number(record[23:25]),
            -pupil if record[25] & 0x20 else pupil, _number(record[27:29]), record[30:39].decode("ascii"),
        )
    ]  # fmt: skip


def _number(digits: bytes) -> int:
    value = 0
    for byte in digits:
        value = value << 6 | byte & 0x3F
    return value


def _packed(value: int, size: int) -> bytes:
    return bytes(0x40 | value >> 6 * i & 0x3F for i in reversed(range(size)))


# --- the line -----------------------------------------------------------------------------------------------------

Units = Literal["metric", "imperial"]


class CookeFixed(Struct, frozen=True, gc=False):
    """What the lens says of itself that does not change: the answer to `N`."""

    serial: str
    owner: str
    is_zoom: bool
    focal_length_mm: int
    """Of a prime, or the shortest of a zoom."""
    longest_mm: int
    """Of a zoom."""
    units: Units
    """It starts in."""


class CookePacket(Struct, frozen=True, gc=False):
    """One record of the line, and what is known of the lens that sent it."""

    record: CookeRecord
    fixed: CookeFixed | None = None

    @property
    def t_source_ns(self) -> None:
        """It tells no time."""
        return None

    def is_for(self, mapping: Mapping) -> bool:
        """A line has one lens at its end."""
        return True

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The lens at the stamp; it has no pose."""
        section, record = mapping.cooke, self.record
        units = section.units
        if units == "auto":
            units = "metric" if self.fixed is None or section.asks else self.fixed.units
        lens = record.lens(imperial=units == "imperial")
        focal_length_mm = lens.focal_length_mm
        if section.focal_length == "off":
            focal_length_mm = None
        elif section.focal_length == "nominal" and focal_length_mm is None and self.fixed is not None:
            focal_length_mm = float(self.fixed.focal_length_mm) or None
        focus_raw = None if lens.focus_distance_m is None else lens.focus_distance_m * 1000.0
        return [
            mapping.lens(
                LensReading(
                    focal_length_mm=focal_length_mm,
                    focus_distance_m=lens.focus_distance_m or FARTHEST_FOCUS_M,
                    entrance_pupil_m=lens.entrance_pupil_m,
                    t_stop=lens.t_stop,
                    zoom_raw=float(record.zoom_normalised),
                    focus_raw=focus_raw,
                )
            )
        ]


FARTHEST_FOCUS_M: Final = 10_000.0
"""Told for a focus at infinity."""
_FIXED: Final = re.compile(
    rb"NS(?P<serial>[\x20-\x7e]{9})O(?P<owner>[\x20-\x7e]{0,31}?)L(?P<kind>[PZ])[Nf](?P<focal>\d{3})M(?P<most>\d{3})"
    rb"U(?P<units>[IMBb])"
)
_ASCII: Final = re.compile(
    rb"D(?P<focus>\d{7})T(?P<t>\d{4})t[0-9.+ -]{5}Z(?P<zoom>\d{4})H(?P<hyperfocal>\d{7})N(?P<near>\d{7})"
    rb"F(?P<far>\d{7})V(?P<view>\d{3}\.\d)E(?P<pupil>[+-]\d{3})(?:z(?P<normalised>\d{4}))?S(?P<serial>[\x20-\x7e]{9})"
)
_ASCII_INFINITY: Final = 9_999_999


def parse_answer(answer: bytes) -> CookeRecord | CookeFixed | Refusal:
    """What the lens says between two line ends: a record (packed or as text), what does not change, or neither
    (acknowledgements, what it says when it starts). Never raises."""
    if answer[:1] == b"d":
        body = answer[: SIZE - 2]
        if len(answer) >= OLD_SIZE - 2 and answer[27:28] == b"S" and answer[29:30] != b"S":
            body = answer[:27] + b"@@" + answer[27 : OLD_SIZE - 2]
        (record,) = parse(body + END)
        return record
    if answer[:1] == b"N":
        found = _FIXED.match(answer)
        if found is None:
            return Refusal("malformed", "an answer to N that is not understood")
        return CookeFixed(
            found["serial"].decode("ascii").strip(),
            found["owner"].decode("ascii").strip(),
            found["kind"] == b"Z",
            int(found["focal"]),
            int(found["most"]) if found["kind"] == b"Z" else int(found["focal"]),
            "imperial" if found["units"] in b"IB" else "metric",
        )
    if answer[:1] == b"D":
        told = _ASCII.match(answer)
        return Refusal("malformed", "a D answer that is not understood") if told is None else _record_of(told)
    return Refusal("other_message", answer[:16].decode("ascii", "replace"))


def _record_of(told: re.Match[bytes]) -> CookeRecord:
    distances = (int(told[name]) for name in ("focus", "hyperfocal", "near", "far"))
    focus, hyperfocal, near, far = (INFINITY if d == _ASCII_INFINITY else d for d in distances)
    return CookeRecord(
        focus, int(told["t"]), (0x80, 0x80), int(told["zoom"]), hyperfocal, near, far,
        round(float(told["view"]) * 10), int(told["pupil"]), int(told["normalised"] or 0),
        told["serial"].decode("ascii"),
    )  # fmt: skip


class Assembler:
    """Cuts answers out of one lens' stream of bytes. No clock."""

    def __init__(self) -> None:
        self._rest = b""
        self.fixed: CookeFixed | None = None
        """What the lens said of itself last."""

    def feed(self, piece: bytes) -> list[CookePacket | Refusal]:
        """The records a piece completes, and a refusal for what is none. Never raises."""
        *answers, self._rest = (self._rest + piece).split(END)
        out: list[CookePacket | Refusal] = []
        if len(self._rest) > LONGEST:
            out.append(Refusal("long", f"{len(self._rest)} bytes without a line end"))
            self._rest = b""
        for answer in answers:
            if not answer:
                continue
            found = parse_answer(answer)
            if isinstance(found, CookeFixed):
                self.fixed = found
                out.append(Refusal("other_message", "what does not change"))
            else:
                out.append(found if isinstance(found, Refusal) else CookePacket(found, self.fixed))
        return out
