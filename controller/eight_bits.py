"""Canvases as eight bits a channel, for what takes no more: video devices and NDI sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def eight_bits(picture: NDArray[Any], out: NDArray[np.uint8]) -> None:
    """Red, green and blue of a canvas into the first three channels of `out`; lower bits are lost.

    picture : [h, w, 4] uint8, [h, w] uint32 (2_10_10_10, red in the low bits) or [h, w, 4] uint16 (codes of 12 bits);
    out : [h, w, 3 or 4].
    """
    if picture.dtype == np.uint32:
        for channel, shift in enumerate((2, 12, 22)):
            out[..., channel] = picture >> np.uint32(shift) & np.uint32(255)
    elif picture.dtype == np.uint16:
        np.copyto(out[..., :3], picture[..., :3] >> 4, casting="unsafe")
    else:
        np.copyto(out[..., :3], picture[..., :3])
