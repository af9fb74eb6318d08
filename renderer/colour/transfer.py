"""Transfer curves: how code values mean light. Exact, in float64; what the shaders approximate is tested against these.

Light is in nits; signals are 0..1 of the full range.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stage.compiled import Encoding, Transfer

Array = NDArray[np.float64]

PQ_NITS: Final = 10000.0
M1: Final = 2610 / 16384
M2: Final = 2523 / 32
C1: Final = 3424 / 4096
C2: Final = 2413 / 128
C3: Final = 2392 / 128


def pq_from_nits(nits: ArrayLike) -> Array:
    """PQ signal (SMPTE ST 2084) of light; negative light counts as none."""
    y = np.power(np.clip(np.asarray(nits, dtype=np.float64), 0.0, PQ_NITS) / PQ_NITS, M1)
    return np.asarray(np.power((C1 + C2 * y) / (1.0 + C3 * y), M2))


def nits_from_pq(signal: ArrayLike) -> Array:
    """Light of a PQ signal (SMPTE ST 2084)."""
    e = np.power(np.clip(np.asarray(signal, dtype=np.float64), 0.0, 1.0), 1.0 / M2)
    return np.asarray(PQ_NITS * np.power(np.maximum(e - C1, 0.0) / (C2 - C3 * e), 1.0 / M1))


def signal_from_nits(nits: ArrayLike, transfer: Transfer, peak_nits: float) -> Array:
    """Signal 0..1 of light; gamma 2.4 and sRGB reach 1 at `peak_nits`, and light above it is clipped in all three."""
    light = np.clip(np.asarray(nits, dtype=np.float64), 0.0, peak_nits)
    if transfer == "pq":
        return pq_from_nits(light)
    x = light / peak_nits
    if transfer == "gamma24":
        return np.asarray(np.power(x, 1.0 / 2.4))
    return np.asarray(np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, 1.0 / 2.4) - 0.055))


def nits_from_signal(signal: ArrayLike, transfer: Transfer, peak_nits: float) -> Array:
    """Light of a signal 0..1: the inverse of `signal_from_nits` up to the peak."""
    v = np.clip(np.asarray(signal, dtype=np.float64), 0.0, 1.0)
    if transfer == "pq":
        return np.minimum(nits_from_pq(v), peak_nits)
    if transfer == "gamma24":
        return np.asarray(peak_nits * np.power(v, 2.4))
    return np.asarray(peak_nits * np.where(v <= 0.04045, v / 12.92, np.power((v + 0.055) / 1.055, 2.4)))


def code_range(encoding: Encoding) -> tuple[int, int]:
    """Codes of signal 0 and signal 1: `0..2^n-1`, or `16*2^(n-8)..235*2^(n-8)` in legal range."""
    step = 1 << (encoding.bits - 8)
    return (0, (1 << encoding.bits) - 1) if encoding.range == "full" else (16 * step, 235 * step)


def codes_from_signal(signal: ArrayLike, encoding: Encoding) -> NDArray[np.int64]:
    """Nearest codes of a signal 0..1, halves upwards."""
    low, high = code_range(encoding)
    return np.floor(np.asarray(signal, dtype=np.float64) * (high - low) + low + 0.5).astype(np.int64)


def signal_from_codes(codes: ArrayLike, encoding: Encoding) -> Array:
    """Signal of codes; codes outside the range are clipped to it."""
    low, high = code_range(encoding)
    return np.asarray(np.clip((np.asarray(codes, dtype=np.float64) - low) / (high - low), 0.0, 1.0))
