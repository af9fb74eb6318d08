"""Pictures of a glTF asset: PNG, JPEG (and WebP where a file embeds it) decoded to RGBA bytes."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from renderer.gltf.errors import AssetImageError

MOST_PX = 16384
"""Longest side taken; GL 4.5 devices guarantee this size."""


def decode(asset: Path, data: bytes | memoryview, place: str) -> NDArray[np.uint8]:
    """A picture's bytes as RGBA, [height, width, 4], row 0 top; 16-bit pictures are brought to 8.

    Raises
    ------
    AssetImageError : not a picture, damaged, or larger than 16384 px a side.
    """
    try:
        with warnings.catch_warnings():
            # Size is judged below; Pillow's own warning about large pictures says nothing more.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(io.BytesIO(data))
            width, height = picture.size
            if max(width, height) > MOST_PX:
                raise AssetImageError(
                    asset,
                    place,
                    f"is larger than {MOST_PX} px a side",
                    value=f"{width}x{height}",
                    mend="make it smaller",
                )
            if picture.mode in ("I;16", "I;16B", "I"):
                grey = (np.asarray(picture, dtype=np.int64) >> 8).clip(0, 255).astype(np.uint8)
                picture = Image.fromarray(grey)
            return np.array(picture.convert("RGBA"), dtype=np.uint8)
    except AssetImageError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise AssetImageError(
            asset, place, f"cannot be decoded: {error}", mend="export the texture again as PNG or JPEG"
        ) from error
