"""LED processor emulator: what a processor does with the canvases it receives, up to the light of each LED.

Written from the contract alone (encoding, range, primaries, delay), with nothing of the code that encodes canvases:
a fault there must show here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.errors import RendererError
from stage.compiled import Canvas, CompiledStage, Encoding
from stage.errors import Problem
from stage.frames import Array

Codes = NDArray[Any]
"""One canvas as the processor takes it in, row 0 on top: uint8 [h, w, 4] (RGBA) or uint32 [h, w] packed
2_10_10_10 (bits 0-9 red, 10-19 green, 20-29 blue)."""

# CIE xy of red, green, blue and white.
_D65 = (0.3127, 0.3290)
_CHROMATICITIES = {
    "ap1": ((0.713, 0.293), (0.165, 0.830), (0.128, 0.044), (0.32168, 0.33767)),
    "rec709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    "p3d65": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    "rec2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class CanvasFormError(RendererError):
    """A canvas that no processor of this encoding could take in."""

    code = "renderer.canvas_form"


def _xyz(xy: tuple[float, float]) -> Array:
    return np.array([xy[0] / xy[1], 1.0, (1.0 - xy[0] - xy[1]) / xy[1]])


def _xyz_from_rgb(name: str) -> Array:
    *primaries, white = _CHROMATICITIES[name]
    columns = np.stack([_xyz(xy) for xy in primaries], axis=1)
    return np.asarray(columns * np.linalg.solve(columns, _xyz(white)))


def rgb_from_rgb(target: str, source: str, /) -> Array:
    """Linear light in `source` primaries to `target` primaries, [3, 3], white adapted by Bradford.

    Names: ap1 (ACEScg), rec709, p3d65, rec2020.
    """
    have, want = (_BRADFORD @ _xyz(_CHROMATICITIES[name][3]) for name in (source, target))
    adapt = np.linalg.solve(_BRADFORD, (want / have)[:, None] * _BRADFORD)
    return np.asarray(np.linalg.solve(_xyz_from_rgb(target), adapt @ _xyz_from_rgb(source)), dtype=np.float64)


def light_of_signal(encoding: Encoding, signal: Array) -> Array:
    """EOTF: signal 0..1 (clipped) to linear light in units of 100 nit, before the primaries."""
    v = np.clip(np.asarray(signal, dtype=np.float64), 0.0, 1.0)
    peak = encoding.peak_nits / 100.0
    if encoding.transfer == "gamma24":
        return np.asarray(peak * v**2.4)
    if encoding.transfer == "srgb":
        return np.asarray(peak * np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4))
    root = v ** (32.0 / 2523.0)
    y = np.maximum(root - 3424.0 / 4096.0, 0.0) / (2413.0 / 128.0 - 2392.0 / 128.0 * root)
    return np.asarray(np.minimum(100.0 * y ** (16384.0 / 2610.0), peak))


def decode_table(encoding: Encoding) -> Array:
    """Light of one channel for every code, [2 ** bits], units of 100 nit, before the primaries."""
    codes = np.arange(2**encoding.bits, dtype=np.float64)
    if encoding.range == "legal":
        step = 2.0 ** (encoding.bits - 8)
        signal = (codes / step - 16.0) / 219.0
    else:
        signal = codes / codes[-1]
    return light_of_signal(encoding, signal)


def ap1_from_led(encoding: Encoding) -> Array:
    """Linear light of the wall's primaries to linear ACEScg (AP1), [3, 3]."""
    return rgb_from_rgb("ap1", encoding.primaries)


def packed_words(encoding: Encoding, codes: Codes, /) -> NDArray[np.uint32]:
    """A canvas as one uint32 a pixel, [h, w], ready for a shader: 8 or 10 bits a channel, red lowest. Codes of 12 bits
    do not fit: they are rounded to 10 of the same signal (`photo_encoding`).

    Raises
    ------
    CanvasFormError : the array's form does not fit the encoding's bits.
    """
    if encoding.bits == 8 and codes.dtype == np.uint8 and codes.ndim == 3 and codes.shape[2] == 4:
        return np.ascontiguousarray(codes).view(np.uint32)[..., 0]
    if encoding.bits == 10 and codes.dtype == np.uint32 and codes.ndim == 2:
        return np.ascontiguousarray(codes)
    if encoding.bits == 12 and codes.dtype == np.uint16 and codes.ndim == 3 and codes.shape[2] == 4:
        wide = codes[..., :3].astype(np.uint32)
        # Ranges of video are whole multiples of four of each other, full ones a fourth and a bit.
        ten = wide + 2 >> 2 if encoding.range == "legal" else (wide * 1023 + 2047) // 4095
        ten = np.minimum(ten, 1023)
        return np.asarray(ten[..., 0] | ten[..., 1] << 10 | ten[..., 2] << 20, dtype=np.uint32)
    raise CanvasFormError(
        Problem(
            "renderer.canvas_form",
            "canvas",
            f"a {encoding.bits}-bit canvas cannot be {codes.dtype} {list(codes.shape)}",
            mend="8 bit: uint8 [h, w, 4]; 10 bit: packed uint32 [h, w]; 12 bit: uint16 [h, w, 4]",
        )
    )


def photo_encoding(encoding: Encoding) -> Encoding:
    """How `packed_words` of a canvas are encoded."""
    return replace(encoding, bits=10) if encoding.bits == 12 else encoding


def channels(encoding: Encoding, codes: Codes, /) -> NDArray[np.int64]:
    """Code values, [h, w, 3], of a canvas."""
    if encoding.bits == 12 and codes.dtype == np.uint16:
        return np.asarray(codes[..., :3].astype(np.int64))
    words = packed_words(encoding, codes).astype(np.int64)
    mask = 2**encoding.bits - 1
    return np.stack([(words >> (i * encoding.bits)) & mask for i in range(3)], axis=-1)


def decode(encoding: Encoding, codes: Codes, /) -> Array:
    """Linear ACEScg, [h, w, 3], 1.0 = 100 nit, of the LEDs lit by a canvas' pixels."""
    return np.asarray(decode_table(encoding)[channels(encoding, codes)] @ ap1_from_led(encoding).T)


class ProcessorEmulator:
    """One processor with its canvas: takes pictures in at frame slots and shows them after its delay.

    Times are in frames, so that fractional delays come out right. Nothing arriving leaves the last picture up.
    """

    def __init__(self, canvas: Canvas, *, latency_frames: float = 0.0) -> None:
        self.canvas = canvas
        self.latency_frames = latency_frames
        self._waiting: deque[tuple[float, Codes]] = deque()
        self._shown: Codes | None = None

    def receive(self, frame: float, codes: Codes, /) -> None:
        """The picture presented in slot `frame`; slots must come in order.

        Raises
        ------
        CanvasFormError : the array's form or size is not the canvas' (at any whole scale).
        """
        words = packed_words(self.canvas.encoding, codes)
        height, width = words.shape
        if width * self.canvas.height_px != height * self.canvas.width_px or self.canvas.width_px % width:
            raise CanvasFormError(
                Problem(
                    "renderer.canvas_form",
                    f"canvases/{self.canvas.id}",
                    f"{width} x {height} is no whole division of {self.canvas.width_px} x {self.canvas.height_px}",
                )
            )
        self._waiting.append((frame + self.latency_frames, codes))

    def shown(self, frame: float, /) -> Codes | None:
        """What the LEDs show at the start of slot `frame` (any real number); None before the first picture."""
        # A thousandth of a frame of grace: slot arithmetic in floats must not hide a picture that is due now.
        while self._waiting and self._waiting[0][0] <= frame + 1e-3:
            self._shown = self._waiting.popleft()[1]
        return self._shown

    @property
    def frames_waiting(self) -> int:
        """Pictures taken in and not yet shown."""
        return len(self._waiting)


class Processors:
    """All processors of a stage, each with its own delay; canvases with less delay are presented later, as planned."""

    def __init__(self, stage: CompiledStage, /) -> None:
        self.emulators = {
            canvas.id: ProcessorEmulator(canvas, latency_frames=stage.processors[canvas.processor].latency_frames)
            for canvas in stage.canvases.values()
        }

    @property
    def delay_frames(self) -> float:
        """Delay of the slowest processor."""
        return max((emulator.latency_frames for emulator in self.emulators.values()), default=0.0)

    def receive(self, frame: int, canvases: Mapping[str, Codes], output_delays: Mapping[str, int], /) -> None:
        """The pictures drawn for slot `frame`, each presented its `output_delays` frames later."""
        for name, codes in canvases.items():
            self.emulators[name].receive(frame + output_delays.get(name, 0), codes)

    def shown(self, frame: float, /) -> dict[str, Codes | None]:
        """What every wall shows at the start of slot `frame`."""
        return {name: emulator.shown(frame) for name, emulator in self.emulators.items()}


def settled(stage: CompiledStage, canvases: Mapping[str, Codes], /) -> dict[str, Codes | None]:
    """What the walls show once every processor has brought these pictures out."""
    processors = Processors(stage)
    processors.receive(0, canvases, {})
    return processors.shown(processors.delay_frames)
