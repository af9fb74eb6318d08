"""From linear light to the codes of one canvas: the exact reference in numpy, and the constants of the shaders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from renderer.colour.fits import glsl_defines
from renderer.colour.primaries import ap1_from_target, target_from_ap1
from renderer.colour.rolloff import RollOff, roll_off
from renderer.colour.transfer import PQ_NITS, code_range, nits_from_signal, signal_from_codes, signal_from_nits
from renderer.errors import RendererError
from stage.compiled import Encoding, Transfer
from stage.errors import Problem

Array = NDArray[np.float64]

NITS_PER_UNIT: Final = 100.0
"""Scene-linear 1.0 after exposure."""
TRANSFER_NUMBER: Final[dict[Transfer, int]] = {"pq": 0, "gamma24": 1, "srgb": 2}


class BitsError(RendererError):
    """A canvas asks for a bit depth that is not drawn."""

    code = "renderer.bits"


@dataclass(frozen=True, slots=True)
class CanvasColour:
    """How the light of one canvas becomes codes."""

    encoding: Encoding
    roll: RollOff
    dither: bool = True
    own_primaries: bool = False
    """Light is given in the canvas' own primaries, not in AP1."""

    def signal(self, light: ArrayLike) -> Array:
        """Signal 0..1, [..., 3], of linear light, [..., 3], 1.0 = 100 nit."""
        nits = np.asarray(light, dtype=np.float64) @ self._target_from_light().T * NITS_PER_UNIT
        signal = signal_from_nits(self.roll.bend_nits(nits), self.encoding.transfer, self.encoding.peak_nits)
        # PQ of no light is a millionth, enough for the dither to light a few LEDs: black is black.
        return np.asarray(np.where(nits > 0.0, signal, 0.0))

    def codes(self, light: ArrayLike, noise: ArrayLike | None = None) -> NDArray[np.int64]:
        """Codes, [..., 3], of linear light; `noise`, broadcast to it, is the dither in codes, -1..1."""
        low, high = code_range(self.encoding)
        code = self.signal(light) * (high - low) + low
        if noise is not None and self.dither:
            wide = np.broadcast_to(np.asarray(noise, dtype=np.float64), code.shape)
            near_end = np.minimum(code - low, high - code) < 0.5
            code = code + np.where(near_end, wide * (1.0 - 0.5 * np.abs(wide)), wide)
        return np.clip(np.floor(code + 0.5), low, high).astype(np.int64)

    def light(self, codes: ArrayLike) -> Array:
        """Linear AP1 light, [..., 3], that codes stand for (the roll-off is not undone)."""
        nits = nits_from_signal(
            signal_from_codes(codes, self.encoding), self.encoding.transfer, self.encoding.peak_nits
        )
        return np.asarray(nits / NITS_PER_UNIT @ ap1_from_target(self.encoding.primaries).T)

    def _target_from_light(self) -> Array:
        return np.eye(3) if self.own_primaries else target_from_ap1(self.encoding.primaries)

    def black(self) -> int:
        """The code of no light."""
        return code_range(self.encoding)[0]

    @property
    def stored_highest(self) -> int:
        """What the number 1 stands for in the picture's memory: 12-bit codes lie in words of 16."""
        return 65_535 if self.encoding.bits == 12 else (1 << self.encoding.bits) - 1

    def plain(self) -> CanvasColour:
        """The same canvas for patterns: own primaries, clipped at the peak, never rolled off, never dithered."""
        return CanvasColour(self.encoding, roll_off(self.encoding.peak_nits, knee=1.0, content=1.0), False, True)

    def constants(self) -> dict[str, str]:
        """The constants of `shaders/wall/encode.glsl` for this canvas, as GLSL text."""
        low, high = code_range(self.encoding)
        rows = self._target_from_light() * (NITS_PER_UNIT / PQ_NITS)
        roll = self.roll
        return {
            "TRANSFER": str(TRANSFER_NUMBER[self.encoding.transfer]),
            **{f"PRIMARIES_{i}": _vec4(*row, 0.0) for i, row in enumerate(rows)},
            "ROLL": _vec4(roll.knee, roll.knee + roll.reach, roll.slope, roll.square),
            "ROLL_END": _vec4(roll.cube, 0.0, (PQ_NITS / self.encoding.peak_nits) ** 0.25, roll.peak),
            "CODES": _vec4(low, high - low, 1.0 / self.stored_highest, float(self.dither)),
            **glsl_defines(),
        }


def noise_offset(seed: int) -> tuple[int, int]:
    """Where in the noise a dither seed begins, pixels x and y."""
    return seed * 29 % 64, seed * 41 % 64


def _vec4(*values: float) -> str:
    return f"vec4({', '.join(repr(float(value)) for value in values)})"


def canvas_colour(encoding: Encoding, /, *, knee: float, content: float, dither: bool) -> CanvasColour:
    """The colour of a canvas with the show's roll-off.

    Raises
    ------
    BitsError : not 8, 10 or 12 bit.
    """
    if encoding.bits not in (8, 10, 12):
        raise BitsError(
            Problem(
                "renderer.bits",
                "stage/canvases",
                "canvases are drawn with 8, 10 or 12 bit",
                encoding.bits,
                "set the canvas' encoding to 10 bit",
            )
        )
    return CanvasColour(encoding, roll_off(encoding.peak_nits, knee=knee, content=content), dither)
