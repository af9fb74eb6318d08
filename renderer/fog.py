"""The light of a scene's fog: its own colour, or that of the sky or dome at the horizon, each way as it is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from renderer.panoramas import DomePicture

F64 = NDArray[np.float64]

_BAND_RAD = np.radians(6.0)


def horizon_of(picture: DomePicture, *, light_limit: float) -> F64:
    """[3, 3]  a dome's light just above the horizon at yaw 0: even, and what grows along x and y (per unit vector)."""
    height, width = picture.pixels.shape[:2]
    rows = max(1, round(_BAND_RAD / np.pi * height))
    band = np.minimum(picture.pixels[height // 2 - rows : height // 2], np.float32(light_limit)).mean(axis=0)
    pan = np.pi - (np.arange(width) + 0.5) / width * 2.0 * np.pi
    x, y = -np.sin(pan)[:, None], np.cos(pan)[:, None]
    return np.stack([band.mean(axis=0), 2.0 * (band * x).mean(axis=0), 2.0 * (band * y).mean(axis=0)])


def turned(light: F64, yaw_deg: float) -> F64:
    """A horizon's light, [3, 3], turned to the left."""
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    return np.stack([light[0], c * light[1] - s * light[2], s * light[1] + c * light[2]])


def even(light: F64) -> F64:
    """The same light, [3], from every side: [3, 3]."""
    return np.stack([light, np.zeros(3), np.zeros(3)])
