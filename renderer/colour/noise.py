"""Blue noise for the static dither: made once by void-and-cluster, kept as data, the same on every machine.

`python -m renderer.colour.noise` writes the file again.
"""

from __future__ import annotations

from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIDE_PX: Final = 64
_FILE: Final = "blue_noise.npy"


def void_and_cluster(side: int, *, seed: int, sigma: float = 1.9) -> NDArray[np.int64]:
    """A dither array, [side, side]: each rank 0..side^2-1 once, with no low frequencies at any threshold.

    Ulichney's method on a torus: an even first pattern, ranks given by taking away from the tightest cluster and
    filling the largest void.
    """
    offsets = np.minimum(np.arange(side), side - np.arange(side)).astype(np.float64)
    kernel = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2.0 * sigma**2))
    count = side * side

    def energy_of(point: int) -> NDArray[np.float64]:
        return np.roll(kernel, divmod(point, side), axis=(0, 1))

    # A fixed mixing of the index stands for chance: no generator whose stream could change.
    index = np.arange(count, dtype=np.uint64) + np.uint64(seed * count)
    index = (index ^ (index >> np.uint64(16))) * np.uint64(0x9E3779B97F4A7C15)
    index = (index ^ (index >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    first = np.argsort(index ^ (index >> np.uint64(32)), kind="stable")[: count // 10]
    on = np.zeros(count, dtype=bool)
    on[first] = True
    energy = np.zeros((side, side))
    for point in first:
        energy += energy_of(int(point))

    def tightest() -> int:
        return int(np.argmax(np.where(on, energy.ravel(), -np.inf)))

    def emptiest() -> int:
        return int(np.argmin(np.where(on, np.inf, energy.ravel())))

    while True:  # spread the first pattern until moving a point gains nothing
        cluster = tightest()
        on[cluster] = False
        energy -= energy_of(cluster)
        void = emptiest()
        on[void] = True
        energy += energy_of(void)
        if void == cluster:
            break
    ranks = np.zeros(count, dtype=np.int64)
    kept, kept_energy = on.copy(), energy.copy()
    for rank in range(len(first) - 1, -1, -1):
        cluster = tightest()
        on[cluster] = False
        energy -= energy_of(cluster)
        ranks[cluster] = rank
    on, energy = kept, kept_energy
    for rank in range(len(first), count):
        void = emptiest()
        on[void] = True
        energy += energy_of(void)
        ranks[void] = rank
    return ranks.reshape(side, side)


def noise_bytes() -> NDArray[np.uint8]:
    """Triangular blue noise as the shaders read it, [64, 64, 4] uint8: 255 levels, symmetric about 127.5; alpha 255."""
    with resources.files("renderer.colour").joinpath(_FILE).open("rb") as file:
        ranks = np.load(file, allow_pickle=False)
    even = (ranks.astype(np.float64) + 0.5) / ranks[0].size * 2.0 - 1.0
    wide = np.sign(even) * (1.0 - np.sqrt(1.0 - np.abs(even)))
    out = np.full((SIDE_PX, SIDE_PX, 4), 255, dtype=np.uint8)
    # Never 0 or 255: the noise stays below one whole code.
    out[..., :3] = np.moveaxis(np.clip(np.round((wide + 1.0) * 127.5), 1, 254), 0, -1)
    return out


def triangular_noise() -> NDArray[np.float64]:
    """Triangular blue noise, [64, 64, 3], each channel in (-1, 1): one code of dither either way."""
    return noise_bytes()[..., :3] / 127.5 - 1.0


if __name__ == "__main__":
    with resources.as_file(resources.files("renderer.colour")) as folder:
        np.save(
            folder / _FILE, np.stack([void_and_cluster(SIDE_PX, seed=seed) for seed in (1, 2, 3)]).astype(np.uint16)
        )
