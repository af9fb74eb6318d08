"""Cooke /i lens data as cameras write it into their metadata: the packed record of the lens' `Kd` answer.

41 bytes: `d`, then numbers of six bits a byte (each byte 01xxxxxx, so that none is a control character), then `S`, the
serial number in nine characters, line feed, carriage return. Distances are millimetres, or tenths of an inch on a lens
set to imperial units; the record does not say which.

    offset 1 focus distance 24 bit | 5 T number x 100, 12 bit | 7 ring mark, tenths | 9 zoom focal length mm |
    11 hyperfocal | 15 near | 19 far, 24 bit each | 23 horizontal field of view x 10 | 25 entrance pupil, signed |
    27 normalised zoom | 29 S, serial
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from tracking.sample import LensReading, Refusal

NAME: Final = "cooke"
SIZE: Final = 41
TAG: Final = 0x64
END: Final = b"\n\r"
INFINITY: Final = 0xFFFFFF
"""A distance of all ones."""
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
