"""One captured picture: codes of a canvas as its processor got them, or light; and what it becomes in a file.

Codes of 8 and 10 bits become 16 by repeating their high bits below (`value >> 6` is a 10-bit code again), and fewer by
leaving the low bits out. Light is linear ACEScg, 1.0 = 100 nit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from renderer.colour.primaries import CHROMATICITIES
from renderer.device import unpack_10bit
from renderer.twin.display import display_coded
from renderer.twin.emulator import decode
from renderer.working import AP1, Chromaticities
from stage.compiled import Encoding

DISPLAY = Encoding("srgb", 100.0, 10, "rec709")
"""How light is shown where a format holds a signal."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which frame a picture is, and what made it."""

    frame: int
    timecode: str
    rate: tuple[int, int]
    t_present_ns: int = 0
    config_version: int = 0
    plan_hash: int = 0


class Captured(Protocol):
    """A picture on its way to the disk."""

    @property
    def stamp(self) -> Stamp:
        """Which frame it is."""

    @property
    def encoding(self) -> Encoding:
        """What its signal means."""

    @property
    def nbytes(self) -> int:
        """Memory it takes."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""

    def codes(self, bits: int) -> NDArray[np.uint16]:
        """Its signal, [h, w, 3], in 0 .. 2**bits - 1; row 0 on top."""

    def light(self) -> NDArray[np.float32]:
        """Its light, [h, w, 3]."""


@dataclass(frozen=True, slots=True)
class CanvasCapture:
    """A canvas: uint8 [h, w, 4], packed uint32 [h, w], or codes of 12 bits in uint16 [h, w, 4]."""

    stamp: Stamp
    encoding: Encoding
    pixels: NDArray[Any]

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]

    def codes(self, bits: int) -> NDArray[np.uint16]:
        """Signal, [h, w, 3]."""
        if self.pixels.ndim == 2:
            return rescaled(unpack_10bit(self.pixels), 10, bits)
        return rescaled(self.pixels[..., :3].astype(np.uint16), 12 if self.pixels.dtype == np.uint16 else 8, bits)

    def light(self) -> NDArray[np.float32]:
        """Light of the LEDs these codes light, [h, w, 3]."""
        return decode(self.encoding, self.pixels).astype(np.float32)


@dataclass(frozen=True, slots=True)
class LightCapture:
    """An inner picture or a photo: linear ACEScg [h, w, 3], float16 or float32."""

    stamp: Stamp
    pixels: NDArray[Any]

    @property
    def encoding(self) -> Encoding:
        return DISPLAY

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]

    def codes(self, bits: int) -> NDArray[np.uint16]:
        """What a display shows of it, [h, w, 3]."""
        most = float((1 << bits) - 1)
        return (display_coded(self.light()) * most + 0.5).astype(np.uint16)

    def light(self) -> NDArray[np.float32]:
        """Itself, [h, w, 3]."""
        return np.asarray(self.pixels[..., :3], dtype=np.float32)


def rescaled(codes: NDArray[np.uint16], have: int, want: int) -> NDArray[np.uint16]:
    """Codes of `have` bits as codes of `want` bits."""
    if want == have:
        return codes
    if want < have:
        return np.asarray(codes >> (have - want), dtype=np.uint16)
    out = codes << (want - have)
    left = want - have
    while left > 0:
        out = out | (codes << (left - have) if left >= have else codes >> (have - left))
        left -= have
    return np.asarray(out, dtype=np.uint16)


def chromaticities(encoding: Encoding | None) -> tuple[float, ...]:
    """CIE xy of red, green, blue and white, 8 numbers, as EXR has them; None: ACEScg."""
    four: Chromaticities = AP1 if encoding is None else CHROMATICITIES[encoding.primaries]
    return tuple(number for xy in four for number in xy)


def canvas_picture(data: bytes | memoryview, stamp: Stamp, encoding: Encoding, size: tuple[int, int]) -> CanvasCapture:
    """A canvas from a ring slot's bytes; `size` is width and height. Raises ValueError when they are too few."""
    width, height = size
    if encoding.bits == 10:
        return CanvasCapture(stamp, encoding, np.frombuffer(data, "<u4", width * height).reshape(height, width))
    kind = "<u2" if encoding.bits == 12 else np.uint8
    pixels = np.frombuffer(data, kind, width * height * 4).reshape(height, width, 4)
    return CanvasCapture(stamp, encoding, pixels)
