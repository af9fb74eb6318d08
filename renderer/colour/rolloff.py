"""Roll-off: light above a knee is bent to reach the wall's peak instead of being cut there.

In PQ: the identity up to the knee, then one cubic Hermite from the knee to (content maximum, peak), whose slope starts
at min(1, 3 * secant), so it is monotonic and, where it can be, smooth at the knee; it ends flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from renderer.colour.transfer import PQ_NITS, nits_from_pq, pq_from_nits

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RollOff:
    """`pq + d * (slope + d * (square + d * cube))` with `d = clip(pq - knee, 0, reach)`, then clipped to `peak`."""

    knee: float
    reach: float
    slope: float
    """Slope at the knee, less one."""
    square: float
    cube: float
    peak: float

    def bend(self, pq: ArrayLike) -> Array:
        """PQ signals after the roll-off."""
        e = np.asarray(pq, dtype=np.float64)
        d = np.clip(e - self.knee, 0.0, self.reach)
        return np.asarray(
            np.minimum(
                np.minimum(e, self.knee + self.reach) + d * (self.slope + d * (self.square + d * self.cube)), self.peak
            )
        )

    def bend_nits(self, nits: ArrayLike) -> Array:
        """Light after the roll-off, nits; light below the knee comes back exactly as it is."""
        light = np.clip(np.asarray(nits, dtype=np.float64), 0.0, PQ_NITS)
        e = pq_from_nits(light)
        return np.asarray(np.where(e <= self.knee, light, nits_from_pq(self.bend(e))))


def roll_off(peak_nits: float, *, knee: float, content: float) -> RollOff:
    """The roll-off to a peak: `knee` is the share of the peak where it starts, `content` the multiple that reaches it.

    A knee of 1 or content of 1 gives a plain clip.
    """
    peak = float(pq_from_nits(peak_nits))
    top = float(pq_from_nits(min(peak_nits * content, PQ_NITS)))
    start = float(pq_from_nits(peak_nits * knee))
    width = top - start
    if knee >= 1.0 or top <= peak + 1e-9:
        # Nothing is expected above the peak, or nothing may be bent below it.
        return RollOff(peak, 0.0, 0.0, 0.0, 0.0, peak)
    secant = (peak - start) / width
    slope = min(1.0, 3.0 * secant)
    square = (3.0 * secant - 2.0 * slope) / width
    cube = (slope - 2.0 * secant) / (width * width)
    return RollOff(start, width, slope - 1.0, square, cube, peak)
