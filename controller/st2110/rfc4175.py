"""Uncompressed video in RTP packets (RFC 4175 with the limits of ST 2110-20): which octets go into which packet.

The octets of a picture lie row after row without padding, and so does what packets carry: packet i holds one range of
them behind a header that differs from frame to frame in 12 octets only. Nothing is copied to cut a picture up
(`controller.st2110.frame`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from controller.errors import ControllerError
from stage.errors import Problem

Sampling = Literal["RGB", "YCbCr-4:2:2"]
Packing = Literal["rows", "general", "block"]
"""rows: equal parts of one row, so that nearly all packets have one length and many leave by one call; general: as much
as fits, over line ends; block: 1260 octets of pixels. The first two are general packing (2110GPM) to a receiver."""

MAX_RTP_OCTETS: Final = 1452
"""A standard UDP datagram of ST 2110-10 holds 1460 octets, its own header of 8 included."""
BLOCK_OCTETS: Final = 1260
"""What a packet holds in block packing: a whole number of every pixel group."""
CLOCK_HZ: Final = 90_000

_RTP: Final = struct.Struct(">BBHII")
_SEGMENT: Final = struct.Struct(">HHH")
_GROUPS: Final[dict[tuple[Sampling, int], tuple[int, int]]] = {
    ("RGB", 8): (3, 1), ("RGB", 10): (15, 4), ("RGB", 12): (9, 2),
    ("YCbCr-4:2:2", 8): (4, 2), ("YCbCr-4:2:2", 10): (5, 2), ("YCbCr-4:2:2", 12): (6, 2),
}  # fmt: skip
"""Octets and pixels of a pixel group, which no packet may cut."""


class VideoFormatError(ControllerError):
    """A raster that cannot be sent in a form."""

    code = "controller.video_format"


@dataclass(frozen=True, slots=True)
class VideoForm:
    """Size and sampling of a picture on the wire."""

    width_px: int
    height_px: int
    sampling: Sampling = "RGB"
    bits: int = 10

    @property
    def group(self) -> tuple[int, int]:
        """Octets and pixels of its pixel group."""
        return _GROUPS[self.sampling, self.bits]

    @property
    def row_octets(self) -> int:
        """Octets of one row."""
        octets, pixels = self.group
        return self.width_px // pixels * octets

    @property
    def octets(self) -> int:
        """Octets of a picture."""
        return self.row_octets * self.height_px

    def check(self, path: str) -> None:
        """Raises VideoFormatError where rows are no whole pixel groups, or sizes do not fit the header's fields."""
        if (self.sampling, self.bits) not in _GROUPS:
            raise _refused(
                path, f"{self.sampling} of {self.bits} bits is not sent", "choose RGB or 4:2:2 of 8, 10 or 12"
            )
        _, pixels = self.group
        if self.width_px % pixels:
            mend = f"make the canvas a multiple of {pixels} wide, or choose RGB of 8 bits"
            raise _refused(path, f"a row of {self.width_px} px is not a whole number of {pixels} px groups", mend)
        if not (0 < self.width_px < 32_768 and 0 < self.height_px < 32_768):
            raise _refused(path, f"{self.width_px} x {self.height_px} px does not fit RFC 4175", "split the canvas")


@dataclass(frozen=True, slots=True)
class PacketLayout:
    """How pictures of one form are cut up, the same for every frame.

    headers : one per packet, RTP (12), extended sequence (2) and line headers, with marker set on the last; sequence,
        timestamp and SSRC are zero. ranges : first and last (exclusive) octet of the picture in each packet.
    """

    form: VideoForm
    headers: tuple[bytes, ...]
    ranges: tuple[tuple[int, int], ...]

    @property
    def packets(self) -> int:
        """Packets of one picture."""
        return len(self.headers)


@cache
def packet_layout(
    form: VideoForm, payload_type: int = 96, packing: Packing = "general", max_octets: int = MAX_RTP_OCTETS
) -> PacketLayout:
    """Cut a picture up: an equal part of a row in each packet (`rows`), or, over line ends, as much as fits (`general`)
    or 1260 octets of pixels (`block`); there the last packet takes the rest."""
    octets, pixels = form.group
    most = {"rows": _row_part(form, max_octets), "general": max_octets, "block": BLOCK_OCTETS}[packing]
    headers: list[bytes] = []
    ranges: list[tuple[int, int]] = []
    row = offset_px = at = 0
    while row < form.height_px:
        room = max_octets - _RTP.size - 2
        left = most
        segments: list[tuple[int, int, int]] = []
        first = at
        while row < form.height_px and min(room - _SEGMENT.size, left) >= octets:
            groups = min((form.width_px - offset_px) // pixels, min(room - _SEGMENT.size, left) // octets)
            segments.append((groups * octets, row, offset_px))
            room -= _SEGMENT.size + groups * octets
            left -= groups * octets
            at += groups * octets
            offset_px += groups * pixels
            if offset_px == form.width_px:
                row, offset_px = row + 1, 0
                if packing == "rows":
                    break
        marker = 0x80 if row == form.height_px else 0
        header = _RTP.pack(0x80, marker | payload_type, 0, 0, 0) + b"\0\0"
        for index, (length, line, start_px) in enumerate(segments):
            more = 0x8000 if index < len(segments) - 1 else 0
            header += _SEGMENT.pack(length, line, start_px | more)
        headers.append(header)
        ranges.append((first, at))
    return PacketLayout(form, tuple(headers), tuple(ranges))


def _row_part(form: VideoForm, max_octets: int) -> int:
    """Octets of pixels in each packet of a row: as few packets as fit, a few more where they divide it evenly."""
    octets, pixels = form.group
    groups = form.width_px // pixels
    least = -(-groups * octets // ((max_octets - _RTP.size - 2 - _SEGMENT.size) // octets * octets))
    parts = next((n for n in range(least, least + 1 + least // 4) if groups % n == 0), least)
    return -(-groups // parts) * octets


def rtp_timestamp(tai_ns: int) -> int:
    """The media clock's label of an instant: 90 kHz since the SMPTE epoch, 32 bits."""
    return (tai_ns * CLOCK_HZ // 1_000_000_000) & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Parsed:
    """One packet taken apart: what a receiver needs."""

    sequence: int
    """32 bits: the extension above RTP's own 16."""
    timestamp: int
    ssrc: int
    marker: bool
    segments: tuple[tuple[int, int, bytes], ...]
    """(row, first pixel, octets)"""


def parse(packet: bytes) -> Parsed | None:
    """Take a packet apart; None where it is none."""
    if len(packet) < _RTP.size + 2 + _SEGMENT.size or packet[0] != 0x80:
        return None
    _, second, low, timestamp, ssrc = _RTP.unpack_from(packet)
    lines: list[tuple[int, int, int]] = []
    at = _RTP.size + 2
    while True:
        if at + _SEGMENT.size > len(packet):
            return None
        length, row, offset = _SEGMENT.unpack_from(packet, at)
        at += _SEGMENT.size
        lines.append((length, row & 0x7FFF, offset & 0x7FFF))
        if not offset & 0x8000:
            break
    segments = []
    for length, row, offset_px in lines:
        if at + length > len(packet):
            return None
        segments.append((row, offset_px, packet[at : at + length]))
        at += length
    high = int.from_bytes(packet[12:14], "big")
    return Parsed(high << 16 | low, timestamp, ssrc, bool(second & 0x80), tuple(segments))


def _refused(path: str, detail: str, mend: str) -> VideoFormatError:
    return VideoFormatError(Problem(VideoFormatError.code, path, detail, None, mend))
