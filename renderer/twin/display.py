"""From the linear light of a photo to a picture for eyes: Rec.709 primaries, 100 nit = 1.0, a gentle shoulder, sRGB.

The shoulder: up to 0.8 the light stays as it is; above, it bends towards 1.0, which 1600 nit nearly reaches:
y = 1 - 0.2 / (1 + (x - 0.8) / 0.2). Value and slope meet at 0.8; each channel bends alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from renderer.twin.emulator import rgb_from_rgb

Picture = NDArray[np.float32]
KNEE = 0.8
_REC709_FROM_AP1 = rgb_from_rgb("rec709", "ap1").astype(np.float32)


def display_coded(light: Picture, /) -> Picture:
    """Display code values 0..1, [..., 3] float32, of linear ACEScg light (1.0 = 100 nit)."""
    rgb = np.maximum(light @ _REC709_FROM_AP1.T, 0.0)
    over = 1.0 - KNEE
    bent = np.where(rgb > KNEE, 1.0 - over / (1.0 + (rgb - KNEE) / over), rgb)
    coded = np.where(bent <= 0.0031308, 12.92 * bent, 1.055 * bent ** np.float32(1 / 2.4) - 0.055)
    return np.asarray(coded, dtype=np.float32)


def srgb8(light: Picture, /) -> NDArray[np.uint8]:
    """Display code values, [..., 3] uint8, of linear ACEScg light (1.0 = 100 nit)."""
    return (display_coded(light) * 255.0 + 0.5).astype(np.uint8)
