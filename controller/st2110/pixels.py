"""Canvases as the octets of a video form: depth, range and sampling, in whole numbers where that is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from controller.st2110.rfc4175 import VideoForm
from controller.st2110.sdp import Colorimetry

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
Range = Literal["full", "narrow"]

_LOW: Final = np.uint32(1023)
_WEIGHTS: Final[dict[Colorimetry, tuple[float, float]]] = {
    "BT709": (0.2126, 0.0722), "BT2020": (0.2627, 0.0593), "BT2100": (0.2627, 0.0593),
}  # fmt: skip
"""Red's and blue's share of luma."""


@dataclass(frozen=True, slots=True)
class Coding:
    """What codes mean: on the canvas, and on the wire."""

    canvas: Range = "full"
    wire: Range = "full"
    colorimetry: Colorimetry = "BT709"
    """Whose luma, where luma is made."""


FULL: Final = Coding()


def octets_of(picture: NDArray[Any], form: VideoForm, out: U8, coding: Coding = FULL) -> None:
    """A canvas, or some rows of one, as the octets of a form, into `out`.

    picture : [h, w, 4] uint8 (RGBA), [h, w] uint32 (2_10_10_10, red in the low bits) or [h, w, 4] uint16 (codes of
        12 bits), row 0 on top. RGB of the same range is sent as it is, its depth changed by whole bits (full
        range: with the code repeated below).
    out : [h * octets of a row], contiguous.
    """
    octets, pixels = form.group
    places = out.reshape(-1, octets)
    shape = (-1, pixels)
    if form.sampling == "YCbCr-4:2:2":
        red_part, green_part, blue_part = _parts(picture, coding)
        _pack_422(red_part, green_part, blue_part, form, places, coding)
        return
    if coding.canvas == coding.wire and form.bits == 10 and picture.dtype == np.uint32:
        _pack_30(_turned(np.asarray(picture, np.uint32)).reshape(shape), places)
        return
    if coding.canvas == coding.wire:
        red, green, blue = _codes(picture, form.bits, coding.wire)
    else:
        low, span = _span(form.bits, coding.wire)
        red, green, blue = (_rounded(part * span + low, form.bits) for part in _parts(picture, coding))
    _pack_rgb(red.reshape(shape), green.reshape(shape), blue.reshape(shape), form, places)


def _turned(words: U32) -> U32:
    """Red from the low ten bits to the high ones of thirty."""
    out = (words & _LOW) << np.uint32(20)
    out |= words & np.uint32(0xFFC00)
    out |= words >> np.uint32(20) & _LOW
    return out


def _channels(picture: NDArray[Any]) -> tuple[list[U32], int]:
    """Red, green and blue as they stand, and their bits."""
    if picture.dtype == np.uint32:
        return [picture >> np.uint32(shift) & _LOW for shift in (0, 10, 20)], 10
    return [picture[..., c].astype(np.uint32) for c in range(3)], 12 if picture.dtype == np.uint16 else 8


def _codes(picture: NDArray[Any], bits: int, range_: Range) -> tuple[U32, U32, U32]:
    """The same range in other bits."""
    channels, have = _channels(picture)
    if bits > have:
        up, down = np.uint32(bits - have), np.uint32(2 * have - bits)
        # The code is repeated below itself: full stays full, black stays black. Narrow ranges scale by whole bits.
        channels = [c << up | c >> down if range_ == "full" else c << up for c in channels]
    elif bits < have:
        channels = [c >> np.uint32(have - bits) for c in channels]
    return channels[0], channels[1], channels[2]


def _span(bits: int, range_: Range) -> tuple[np.float32, np.float32]:
    """Code of black, and from there to white."""
    if range_ == "full":
        return np.float32(0), np.float32(2**bits - 1)
    return np.float32(16 << (bits - 8)), np.float32(219 << (bits - 8))


def _parts(picture: NDArray[Any], coding: Coding) -> list[NDArray[np.float32]]:
    """Red, green and blue, 0..1 from black to white."""
    channels, have = _channels(picture)
    low, span = _span(have, coding.canvas)
    return [(c.astype(np.float32) - low) / span for c in channels]


def _rounded(values: NDArray[np.float32], bits: int) -> U32:
    return np.clip(np.rint(values), 0, 2**bits - 1).astype(np.uint32)


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


def _pack_422(
    red: NDArray[np.float32],
    green: NDArray[np.float32],
    blue: NDArray[np.float32],
    form: VideoForm,
    out: U8,
    coding: Coding,
) -> None:
    """Parts, [h, w], to Y'CbCr of the coding's luma; chroma is the mean of each pair."""
    kr, kb = _WEIGHTS[coding.colorimetry]
    luma = kr * red + (1.0 - kr - kb) * green + kb * blue
    low, span = _span(form.bits, coding.wire)
    wide = span if coding.wire == "full" else np.float32(224 << (form.bits - 8))
    middle = np.float32(128 << (form.bits - 8))
    y = _rounded(luma * span + low, form.bits)
    cb = _rounded(_pairs((blue - luma) / (2.0 - 2.0 * kb)) * wide + middle, form.bits)
    cr = _rounded(_pairs((red - luma) / (2.0 - 2.0 * kr)) * wide + middle, form.bits)
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
