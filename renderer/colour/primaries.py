"""Primaries of the walls: 3x3 transforms from linear ACEScg (AP1, ACES white) to what a canvas is encoded in."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from renderer.working import AP1, REC709, Chromaticities, rgb_from_rgb
from stage.compiled import Primaries

CHROMATICITIES: Final[dict[Primaries, Chromaticities]] = {
    "rec709": REC709,
    "p3d65": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),
    "rec2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
}
"""CIE xy of red, green, blue and white."""


def target_from_ap1(primaries: Primaries) -> NDArray[np.float64]:
    """[3, 3]  linear RGB of a canvas' primaries from linear AP1; white goes to white (Bradford)."""
    return rgb_from_rgb(CHROMATICITIES[primaries], AP1)


def ap1_from_target(primaries: Primaries) -> NDArray[np.float64]:
    """[3, 3]  the inverse of `target_from_ap1`."""
    return rgb_from_rgb(AP1, CHROMATICITIES[primaries])
