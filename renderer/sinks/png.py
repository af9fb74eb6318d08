"""Canvases as PNG: the very codes a processor gets. 8-bit canvases as 8-bit RGB; deeper ones as 16-bit with the code
repeated in the low bits: `value >> 6` (12 bit: `>> 4`) is the code again, `value / 65535` its share of full signal."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.device import unpack_10bit
from renderer.renderer import CanvasPicture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def code_values(picture: CanvasPicture) -> NDArray[np.uint16]:
    """Codes, [h, w, 3], of a canvas in codes (0..255, 0..1023 or 0..4095).

    Raises
    ------
    ValueError : the picture holds light, not codes.
    """
    if picture.format == "rgb10a2":
        return unpack_10bit(picture.array)
    if picture.format in ("rgba8", "rgba12"):
        return np.asarray(picture.array[..., :3].astype(np.uint16))
    raise ValueError(f"canvas {picture.id} holds {picture.format}, not codes")


def png_bytes(pixels: NDArray[Any], /, *, level: int = 1) -> bytes:
    """A PNG of RGB pixels, [h, w, 3] uint8 or uint16, row 0 on top."""
    height, width, _ = pixels.shape
    depth = 16 if pixels.dtype == np.uint16 else 8
    rows = np.ascontiguousarray(pixels.astype(">u2" if depth == 16 else np.uint8)).view(np.uint8).reshape(height, -1)
    # The Up filter: most canvases change little from row to row.
    filtered = np.empty((height, rows.shape[1] + 1), dtype=np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), level)
    return _SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def canvas_png(picture: CanvasPicture, /, *, level: int = 1) -> bytes:
    """A canvas as PNG bytes: 8 bit as it is, 10 and 12 bit as 16-bit values with the code repeated below itself."""
    codes = code_values(picture)
    if picture.format == "rgb10a2":
        return png_bytes(codes << 6 | codes >> 4, level=level)
    if picture.format == "rgba12":
        return png_bytes(codes << 4 | codes >> 8, level=level)
    return png_bytes(codes.astype(np.uint8), level=level)


def write_canvas(picture: CanvasPicture, path: Path, /) -> None:
    """Write `canvas_png` to a file; its folder must exist."""
    path.write_bytes(canvas_png(picture, level=6))
