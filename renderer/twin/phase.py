"""Slips between two pictures, far below a pixel: local phase of fringes, and phase correlation of patches.

Both pictures are treated alike: the same mask, the same blur, the same windows.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stage.frames import Array

Picture = NDArray[np.float32]
Mask = NDArray[np.float32]


@lru_cache(maxsize=32)
def _gaussian(length: int, sigma_px: float, stride: int) -> Picture:
    """Gaussian windows as a matrix, [outputs, length]; each row sums to 1 where the window lies inside."""
    centres = np.arange(stride // 2, length, stride)[:, None]
    x = np.arange(length)[None, :]
    rows = np.exp(-0.5 * ((x - centres) / sigma_px) ** 2) / (sigma_px * np.sqrt(2.0 * np.pi))
    return np.asarray(rows, dtype=np.float32)


def windowed(picture: NDArray[Any], sigma_px: float, /, *, stride: int) -> NDArray[Any]:
    """Gaussian-weighted sums of a picture, [h, w], around every `stride`-th pixel; zero outside it."""
    height, width = picture.shape
    return np.asarray(_gaussian(height, sigma_px, stride) @ picture @ _gaussian(width, sigma_px, stride).T)


def _smooth(picture: Picture, sigma_px: float) -> Picture:
    """A picture, [h, w] or [h, w, c], under a Gaussian cut off at 3.5 sigma; zero outside it."""
    reach = max(1, ceil(3.5 * sigma_px))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    out = picture
    for axis in (0, 1):
        length = out.shape[axis]
        whole = np.zeros_like(out)
        scratch = np.empty_like(out)
        for tap, shift in zip(taps, range(-reach, reach + 1), strict=True):
            if abs(shift) >= length:
                continue
            to = slice(max(0, -shift), length - max(0, shift))
            source = slice(max(0, shift), length + min(0, shift))
            index_to, index_from = ((to,), (source,)) if axis == 0 else ((slice(None), to), (slice(None), source))
            part = scratch[index_to]
            np.multiply(out[index_from], tap, out=part)
            whole[index_to] += part
        out = whole
    return out


def blurred(picture: Picture, mask: Mask, sigma_px: float, /) -> Picture:
    """A picture blurred inside a mask, [h, w] or [h, w, c]: what lies outside takes no part."""
    weight = np.maximum(_smooth(mask, sigma_px), 1e-3)
    if picture.ndim == 2:
        return np.asarray(_smooth(picture * mask, sigma_px) / weight)
    inside = _smooth(picture * mask[..., None], sigma_px)
    inside /= weight[..., None]
    return inside


def fringe_slips(
    photo: Picture,
    truth: Picture,
    mask: Mask,
    phases: Array,
    /,
    *,
    period_px: float,
    stride: int = 4,
    interior: float = 0.97,
) -> Array:
    """How far the photo's fringes stand from the truth's, [n, 2] px (right, down), at points inside the mask.

    Parameters
    ----------
    photo, truth : [h, w]  light, already blurred alike
    mask : [h, w]  1 where the photo counts
    phases : [h, w, 2]  known phase of the two waves, radians; its gradient gives the local frequency
    period_px : about one period, the size of the demodulation window
    interior : share of the window that must lie in the mask
    """
    window_px = 0.8 * period_px
    weight = windowed(mask, window_px, stride=stride)
    keep = weight > interior
    # The mean takes no part in a wave's phase, yet would leak through the window at the mask's edge.
    mean = float((truth * mask).sum() / max(float(mask.sum()), 1.0))
    turned = []
    for wave in range(2):
        carrier = np.exp(-1j * phases[..., wave]).astype(np.complex64) * mask
        seen = windowed((photo - mean) * carrier, window_px, stride=stride)
        known = windowed((truth - mean) * carrier, window_px, stride=stride)
        turned.append(np.angle(seen[keep] * np.conj(known[keep])))
    # Phase falls by gradient . slip where the photo stands shifted by slip.
    by_row, by_column = np.gradient(phases, axis=0), np.gradient(phases, axis=1)
    first = stride // 2
    gx = by_column[first::stride, first::stride][keep]
    gy = by_row[first::stride, first::stride][keep]
    slopes = np.stack([gx, gy], axis=-1)  # [n, wave, axis]
    return np.linalg.solve(slopes, -np.stack(turned, axis=-1)[..., None])[..., 0]


def patch_slips(
    photo: Picture, truth: Picture, mask: Mask, /, *, size_px: int = 96, least_texture: float = 0.008
) -> tuple[Array, Array]:
    """Slip of every patch that lies in the mask and has texture both ways: [n, 2] px (right, down), and middles [n, 2].

    Phase correlation: the whole-pixel peak first, then the slope of the cross spectrum's phase, weighted by its size.
    `photo` and `truth`, [h, w], are display-coded and blurred alike; `least_texture` is the least RMS gradient, per px,
    in the poorer direction.
    """
    step = size_px // 2
    height, width = photo.shape
    rows, columns = np.arange(0, height - size_px + 1, step), np.arange(0, width - size_px + 1, step)
    starts = [(r, c) for r in rows for c in columns if mask[r : r + size_px, c : c + size_px].min() > 0.99]
    if not starts:
        return np.zeros((0, 2)), np.zeros((0, 2))
    window = np.hanning(size_px + 2)[1:-1]
    window = np.outer(window, window)
    fy, fx = np.meshgrid(np.fft.fftfreq(size_px), np.fft.rfftfreq(size_px), indexing="ij")
    radius = np.hypot(fx, fy)
    # The lowest bins are the window's own; beyond a quarter cycle the blur has left nothing.
    band = (radius > 1.5 / size_px) & (radius < 0.25)
    twice = np.where(fx == 0.0, 1.0, 2.0)
    slips, middles = [], []
    for r, c in starts:
        a, b = photo[r : r + size_px, c : c + size_px], truth[r : r + size_px, c : c + size_px]
        spectra = [np.fft.rfft2((patch - (patch * window).sum() / window.sum()) * window) for patch in (a, b)]
        cross = spectra[0] * np.conj(spectra[1])
        # Mean square gradient of the truth, each way (Parseval).
        energy = twice * np.abs(spectra[1]) ** 2 * band * (2 * np.pi) ** 2 / (size_px**2 * (window**2).sum())
        tensor = np.array([[(energy * fx * fx).sum(), (energy * fx * fy).sum()], [0.0, (energy * fy * fy).sum()]])
        tensor[1, 0] = tensor[0, 1]
        if np.linalg.eigvalsh(tensor)[0] < least_texture**2:
            continue
        weights = twice * np.abs(cross) * band
        peak = np.fft.irfft2(cross * band / np.sqrt(np.maximum(np.abs(cross), 1e-12)), s=(size_px, size_px))
        whole = np.array(np.unravel_index(int(np.argmax(peak)), peak.shape), dtype=np.float64)
        whole = np.where(whole > size_px / 2, whole - size_px, whole)[::-1]
        # Repeating content has many peaks: no slip at all is tried as well, and what agrees better is taken.
        tries = [_slope(cross, weights, fx, fy, start) for start in (np.zeros(2), whole)]
        slip = max(tries, key=lambda found: found[1])[0]
        slips.append(slip)
        middles.append((c + size_px / 2, r + size_px / 2))
    if not slips:
        return np.zeros((0, 2)), np.zeros((0, 2))
    return np.array(slips), np.array(middles)


def _slope(cross: NDArray[Any], weights: Array, fx: Array, fy: Array, start: Array) -> tuple[Array, float]:
    """Slip, [2] px, that fits the phase of a cross spectrum from a start on, and how well it agrees (1 = wholly)."""
    slip = start
    both = float((weights * fx * fy).sum())
    normal = np.array([[(weights * fx * fx).sum(), both], [both, (weights * fy * fy).sum()]])
    for _ in range(4):
        left = np.angle(cross * np.exp(2j * np.pi * (fx * slip[0] + fy * slip[1])))
        slip = slip - np.linalg.solve(normal, [(weights * fx * left).sum(), (weights * fy * left).sum()]) / (2 * np.pi)
    turned = cross * np.exp(2j * np.pi * (fx * slip[0] + fy * slip[1]))
    return slip, float((weights * np.cos(np.angle(turned))).sum() / weights.sum())


def psnr_db(photo: Picture, truth: Picture, mask: Mask, /) -> float:
    """Peak signal to noise ratio, dB, of display-coded pictures 0..1, [h, w, 3], over the pixels in the mask."""
    inside = mask > 0.99
    if not inside.any():
        return float("nan")
    error = float(np.mean((photo[inside].astype(np.float64) - truth[inside]) ** 2))
    return float(-10.0 * np.log10(max(error, 1e-12)))
