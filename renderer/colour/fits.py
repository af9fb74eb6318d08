"""Fast curves of the shaders: rational fits of PQ in the fourth root of light, and back.

Two square roots and a few multiplications replace four powers. Least-maximum fits (Lawson's weighting) of the exact
formulas of `renderer.colour.transfer`; the tests hold them to their stated errors.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

PQ_OVER: Final = (0.0, 0.00987343665, 4.31704354, 2058.18845, 2887.15782, 37.2078484)
PQ_UNDER: Final = (1.0, 49.5071721, 732.814636, 2499.25692, 1704.30897)
"""PQ signal of t = (nits / 10,000) ** 0.25, 0..1: within 1.7e-6, exactly 0 at 0."""

ROOT_OVER: Final = (0.02408376, 0.694790233, 1.42056663, -0.287367078)
ROOT_UNDER: Final = (1.0, 4.6714889, -5.03687994, 1.21746512)
"""t of a PQ signal, for light of 5 nits and more: within 3e-7."""


def _ratio(over: tuple[float, ...], under: tuple[float, ...], x: ArrayLike) -> Array:
    values = np.asarray(x, dtype=np.float64)
    return np.asarray(np.polyval(over[::-1], values) / np.polyval(under[::-1], values))


def pq_from_root(root: ArrayLike) -> Array:
    """PQ signal of t = (nits / 10,000) ** 0.25, as the shaders compute it."""
    return _ratio(PQ_OVER, PQ_UNDER, root)


def root_from_pq(pq: ArrayLike) -> Array:
    """t = (nits / 10,000) ** 0.25 of a PQ signal, as the shaders compute it (5 nits and more)."""
    return _ratio(ROOT_OVER, ROOT_UNDER, pq)


def glsl_defines() -> dict[str, str]:
    """The coefficients under the names `shaders/wall/encode.glsl` uses."""
    named = (("PQ_P", PQ_OVER), ("PQ_Q", PQ_UNDER), ("ROOT_P", ROOT_OVER), ("ROOT_Q", ROOT_UNDER))
    return {f"{name}{i}": f"({value!r})" for name, values in named for i, value in enumerate(values)}
