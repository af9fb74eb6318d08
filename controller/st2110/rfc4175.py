"""Uncompressed video in RTP packets (RFC 4175 with the limits of ST 2110-20): which octets go into which packet.

The octets of a picture lie row after row without padding, and so does what packets carry: packet i holds one range of
them behind a header that differs from frame to frame in 10 octets only. Nothing is copied to cut a picture up.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from controller.errors import ControllerError
from stage.errors import Problem

Sampling = Literal["RGB", "YCbCr-4:2:2"]
U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
U32_1023: Final = np.uint32(1023)

MAX_RTP_OCTETS: Final = 1452
"""A standard UDP datagram of ST 2110-10 holds 1460 octets, its own header of 8 included."""
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
def packet_layout(form: VideoForm, payload_type: int = 96, max_octets: int = MAX_RTP_OCTETS) -> PacketLayout:
    """Cut a picture up: each packet takes as much as fits, over line ends (GPM)."""
    octets, pixels = form.group
    headers: list[bytes] = []
    ranges: list[tuple[int, int]] = []
    row = offset_px = at = 0
    while row < form.height_px:
        room = max_octets - _RTP.size - 2
        segments: list[tuple[int, int, int]] = []
        first = at
        while row < form.height_px and room - _SEGMENT.size >= octets:
            left_px = form.width_px - offset_px
            groups = min(left_px // pixels, (room - _SEGMENT.size) // octets)
            segments.append((groups * octets, row, offset_px))
            room -= _SEGMENT.size + groups * octets
            at += groups * octets
            offset_px += groups * pixels
            if offset_px == form.width_px:
                row, offset_px = row + 1, 0
        marker = 0x80 if row == form.height_px else 0
        header = _RTP.pack(0x80, marker | payload_type, 0, 0, 0) + b"\0\0"
        for index, (length, line, start_px) in enumerate(segments):
            more = 0x8000 if index < len(segments) - 1 else 0
            header += _SEGMENT.pack(length, line, start_px | more)
        headers.append(header)
        ranges.append((first, at))
    return PacketLayout(form, tuple(headers), tuple(ranges))


def stamped(layout: PacketLayout, *, first_sequence: int, timestamp: int, ssrc: int) -> list[bytearray]:
    """The headers of one frame. `first_sequence` counts packets over all frames, 32 bits of it are sent."""
    out: list[bytearray] = []
    for index, header in enumerate(layout.headers):
        sequence = (first_sequence + index) & 0xFFFFFFFF
        one = bytearray(header)
        one[2:4] = (sequence & 0xFFFF).to_bytes(2, "big")
        one[4:8] = (timestamp & 0xFFFFFFFF).to_bytes(4, "big")
        one[8:12] = (ssrc & 0xFFFFFFFF).to_bytes(4, "big")
        one[12:14] = (sequence >> 16).to_bytes(2, "big")
        out.append(one)
    return out


class PacketFrame:
    """Every packet of a picture side by side, all of one length, so that the kernel cuts them from one buffer.

    Each packet is one stretch of one row; rows that cannot be cut into equal stretches have no such frame.

    Attributes
    ----------
    packets : uint8 [count, octets of a packet]; places : the pixel groups in them, [row, stretch, group, octets].
    """

    def __init__(self, form: VideoForm, payload_type: int = 96, max_octets: int = MAX_RTP_OCTETS) -> None:
        octets, pixels = form.group
        groups = form.width_px // pixels
        head = _RTP.size + 2 + _SEGMENT.size
        each = next(g for g in range((max_octets - head) // octets, 0, -1) if groups % g == 0)
        stretches = groups // each
        size = head + each * octets
        self.packets: U8 = np.zeros((form.height_px * stretches, size), np.uint8)
        self.places: U8 = np.lib.stride_tricks.as_strided(
            self.packets[:, head:],
            shape=(form.height_px, stretches, each, octets),
            strides=(stretches * size, size, octets, 1),
        )
        for index, packet in enumerate(self.packets):
            row, stretch = divmod(index, stretches)
            marker = 0x80 if index == len(self.packets) - 1 else 0
            header = _RTP.pack(0x80, marker | payload_type, 0, 0, 0) + b"\0\0"
            header += _SEGMENT.pack(each * octets, row, stretch * each * pixels)
            packet[:head] = np.frombuffer(header, np.uint8)
        self._numbers = np.arange(len(self.packets), dtype=np.uint64)
        self.efficiency = each * octets / size
        """Share of the octets sent that are picture."""

    def stamp(self, *, first_sequence: int, timestamp: int, ssrc: int) -> None:
        """Number and label every packet; see `stamped`."""
        sequence = (self._numbers + np.uint64(first_sequence & 0xFFFFFFFF)).astype(">u4").view(np.uint8).reshape(-1, 4)
        self.packets[:, 12:14], self.packets[:, 2:4] = sequence[:, :2], sequence[:, 2:]
        label = struct.pack(">II", timestamp & 0xFFFFFFFF, ssrc & 0xFFFFFFFF)
        self.packets[:, 4:12] = np.frombuffer(label, np.uint8)


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


# --- pixels -----------------------------------------------------------------------------------------------------


def octets_of(picture: NDArray[np.uint8] | U32, form: VideoForm, out: U8) -> None:
    """A canvas as the octets of a form, into `out`.

    picture : [h, w, 4] uint8 (RGBA) or [h, w] uint32 (2_10_10_10, red in the low bits), row 0 on top; codes are sent
        as they are: depth is changed by whole bits (with the code repeated below), sampling by BT.709's matrix.
    out : [form.octets], or [..., octets of a pixel group] with all groups of the picture in order (places in packets).
    """
    octets, pixels = form.group
    places = out.reshape(-1, octets) if out.ndim == 1 else out
    shape = (*places.shape[:-1], pixels)
    if form.sampling == "RGB" and form.bits == 10 and picture.dtype == np.uint32:
        _pack_30(_turned(np.asarray(picture, np.uint32)).reshape(shape), places)
        return
    red, green, blue = _codes(picture, form.bits)
    if form.sampling == "RGB":
        _pack_rgb(red.reshape(shape), green.reshape(shape), blue.reshape(shape), form, places)
    else:
        _pack_422(red, green, blue, form, places)


def _turned(words: U32) -> U32:
    """Red from the low ten bits to the high ones of thirty."""
    out = (words & U32_1023) << np.uint32(20)
    out |= words & np.uint32(0xFFC00)
    out |= words >> np.uint32(20) & U32_1023
    return out


def _codes(picture: NDArray[np.uint8] | NDArray[np.uint32], bits: int) -> tuple[U32, U32, U32]:
    if picture.dtype == np.uint32:
        have = 10
        words = picture.astype(np.uint32, copy=False)
        channels = [words & U32_1023, words >> np.uint32(10) & U32_1023, words >> np.uint32(20) & U32_1023]
    else:
        have = 8
        channels = [picture[..., c].astype(np.uint32) for c in range(3)]
    if bits > have:
        # The code is repeated below itself: full stays full, black stays black.
        up, down = np.uint32(bits - have), np.uint32(2 * have - bits)
        channels = [c << up | c >> down for c in channels]
    elif bits < have:
        channels = [c >> np.uint32(have - bits) for c in channels]
    return channels[0], channels[1], channels[2]


def _pack_rgb(red: U32, green: U32, blue: U32, form: VideoForm, out: U8) -> None:
    """Codes, [..., pixels of a group], into [..., octets of a group]."""
    if form.bits == 8:
        out[..., 0], out[..., 1], out[..., 2] = red[..., 0], green[..., 0], blue[..., 0]
    elif form.bits == 10:
        _pack_30(red << np.uint32(20) | green << np.uint32(10) | blue, out)
    else:
        # Two pixels of 36 bits are nine octets.
        pixel = red.astype(np.uint64) << np.uint64(24) | green.astype(np.uint64) << np.uint64(12) | blue
        first, second = pixel[..., 0], pixel[..., 1]
        out[..., :8] = _octets(first << np.uint64(28) | second >> np.uint64(8))
        out[..., 8] = second & np.uint64(0xFF)


def _pack_30(pixel: U32, out: U8) -> None:
    """Four pixels of 30 bits, [..., 4], are fifteen octets: two words of eight that share one octet."""
    left = pixel[..., 0].astype(np.uint64)
    left <<= np.uint64(30)
    left |= pixel[..., 1]
    right = pixel[..., 2].astype(np.uint64)
    right <<= np.uint64(30)
    right |= pixel[..., 3]
    out[..., :8].view(">u8")[..., 0] = left << np.uint64(4) | right >> np.uint64(56)
    left <<= np.uint64(60)
    left |= right
    out[..., 7:15].view(">u8")[..., 0] = left


def _pack_422(red: U32, green: U32, blue: U32, form: VideoForm, out: U8) -> None:
    """Full-range RGB codes, [h, w], to narrow-range Y'CbCr of BT.709; chroma is the mean of each pair."""
    top = float(2**form.bits - 1)
    r, g, b = (c.astype(np.float32) / np.float32(top) for c in (red, green, blue))
    luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
    unit = float(2 ** (form.bits - 8))
    y = np.rint((16.0 + 219.0 * luma) * unit).astype(np.uint32)
    cb = np.rint((128.0 + 224.0 * _pairs((b - luma) / 1.8556)) * unit).astype(np.uint32)
    cr = np.rint((128.0 + 224.0 * _pairs((r - luma) / 1.5748)) * unit).astype(np.uint32)
    shape = out.shape[:-1]
    four = [channel.reshape(shape) for channel in (cb, y[:, 0::2], cr, y[:, 1::2])]
    if form.bits == 8:
        for index, channel in enumerate(four):
            out[..., index] = channel
        return
    bits = np.uint64(form.bits)
    packed = np.zeros(shape, np.uint64)
    for channel in four:
        packed = packed << bits | channel
    octets, _ = form.group
    out[...] = _octets(packed << np.uint64(64 - 4 * form.bits))[..., :octets]


def _octets(words: NDArray[np.uint64]) -> U8:
    """[...] to [..., 8], the highest first."""
    return words.astype(">u8").view(np.uint8).reshape(*words.shape, 8)


def _pairs(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(0.5 * (channel[:, 0::2] + channel[:, 1::2]), dtype=np.float32)


def _refused(path: str, detail: str, mend: str) -> VideoFormatError:
    return VideoFormatError(Problem(VideoFormatError.code, path, detail, None, mend))
