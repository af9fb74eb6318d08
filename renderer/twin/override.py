"""What a processor's own settings make of the canvas it takes in: brightness, blackout, freeze, test pictures.

Pure: codes in, codes out. The same emulator brings them to light, so that a photo shows what the room would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from renderer.twin.emulator import Codes, channels, decode_table
from stage.compiled import Encoding

OFF: Final = "off"
_FLAT: Final = {
    "black": (0, 0, 0), "white": (1, 1, 1), "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1),
    "cyan": (0, 1, 1), "magenta": (1, 0, 1), "yellow": (1, 1, 0),
}  # fmt: skip
_BARS: Final = ("white", "yellow", "cyan", "green", "magenta", "red", "blue", "black")
_CELLS: Final = 12
"""Cells of a grid or checkerboard along the longer side."""


@dataclass(frozen=True, slots=True)
class Override:
    """How one processor is set, where that changes its light."""

    brightness: float = 1.0
    """Share of full light."""
    blackout: bool = False
    freeze: bool = False
    """What it showed when that was switched on stays; keeping it is the caller's part (`frozen`)."""
    pattern: str = OFF
    """Its own test picture; of those unknown here a grid is shown."""

    def shown(self, encoding: Encoding, codes: Codes, /, *, frozen: Codes | None = None) -> Codes:
        """What its LEDs show, in codes of the same form, to the nearest code.

        Parameters
        ----------
        codes : what it takes in; frozen : what it held when `freeze` was switched on (None: `codes`)
        """
        if self.freeze and frozen is not None and frozen.shape == codes.shape:
            codes = frozen
        if self.blackout:
            return _packed(encoding, np.zeros((*codes.shape[:2], 3), dtype=np.int64))
        drawn = self.pattern.lower() != OFF
        if not drawn and self.brightness >= 1.0:
            return codes
        values = pattern(encoding, self.pattern, codes.shape[1], codes.shape[0]) if drawn else channels(encoding, codes)
        return _packed(encoding, dimmed(encoding, self.brightness)[values])


def dimmed(encoding: Encoding, brightness: float, /) -> NDArray[np.int64]:
    """For every code the one whose light is nearest to `brightness` (0..1) of it, [2 ** bits]."""
    light = decode_table(encoding)
    wanted = light * min(max(brightness, 0.0), 1.0)
    # Where several codes have one light (clipped ends), the last that is not more.
    above = np.clip(np.searchsorted(light, wanted, side="right"), 1, len(light) - 1)
    nearer = wanted - light[above - 1] <= light[above] - wanted
    found = np.where(nearer, above - 1, above)
    return np.asarray(found if brightness < 1.0 else np.arange(len(light)), dtype=np.int64)


def pattern(encoding: Encoding, name: str, width_px: int, height_px: int, /) -> NDArray[np.int64]:
    """A test picture as code values, [h, w, 3], at full signal."""
    full = 2**encoding.bits - 1
    name = name.lower().replace("_", "-")
    flat = _FLAT.get(name)
    signal: NDArray[Any]
    if flat is not None:
        signal = np.broadcast_to(np.array(flat, dtype=np.float64), (height_px, width_px, 3))
    else:
        x, y = np.arange(width_px)[None, :], np.arange(height_px)[:, None]
        cell = max(2, max(width_px, height_px) // _CELLS)
        if "bars" in name.replace("colorbars", "bars"):
            bars = np.array([_FLAT[bar] for bar in _BARS], dtype=np.float64)
            signal = np.broadcast_to(bars[x[0] * len(bars) // width_px], (height_px, width_px, 3))
        elif "grad" in name:
            signal = np.broadcast_to((x / max(1, width_px - 1))[..., None], (height_px, width_px, 3))
        elif "checker" in name:
            signal = np.broadcast_to(((x // cell + y // cell) % 2)[..., None], (height_px, width_px, 3))
        else:
            lines = (x % cell == 0) | (y % cell == 0) | (x == width_px - 1) | (y == height_px - 1)
            signal = np.broadcast_to(lines[..., None], (height_px, width_px, 3))
    return np.asarray(np.rint(signal * full), dtype=np.int64)


def _packed(encoding: Encoding, values: NDArray[np.int64]) -> Codes:
    """Code values, [h, w, 3], in the form canvases come in."""
    if encoding.bits == 8:
        opaque = np.full((*values.shape[:2], 1), 255, dtype=np.int64)
        return np.concatenate([values, opaque], axis=-1).astype(np.uint8)
    if encoding.bits == 12:
        full = np.full((*values.shape[:2], 1), 65_535, dtype=np.int64)
        return np.concatenate([values, full], axis=-1).astype(np.uint16)
    words = values[..., 0] | values[..., 1] << 10 | values[..., 2] << 20 | 3 << 30
    return np.asarray(words, dtype=np.uint32)
