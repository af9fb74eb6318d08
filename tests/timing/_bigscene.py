"""A scene of 100 MB, made on the spot: pictures of noise on boxes all round, and a hill of triangles."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import simplejpeg

from configs.assets.glb import Glb
from configs.assets.shapes import Shape, box, sheet, smooth_normals

PICTURE_PX = 2048
PICTURES = 4
"""22 MB each with smaller copies."""


def big_glb(shade: float) -> bytes:
    """The asset. `shade` (0..1) is how light it is: two versions can be told apart on the wall."""
    rng = np.random.default_rng(7)
    glb = Glb()
    for n in range(PICTURES):
        coarse = rng.integers(0, 60, (256, 256, 3), dtype=np.uint8) + np.uint8(150 * shade)
        fine = np.repeat(np.repeat(coarse, PICTURE_PX // 256, axis=0), PICTURE_PX // 256, axis=1)
        picture = glb.texture(simplejpeg.encode_jpeg(np.ascontiguousarray(fine), quality=80, colorspace="RGB"))
        paint = glb.material(f"paint {n}", baseColorTexture={"index": picture}, roughnessFactor=1.0, metallicFactor=0.0)
        paint_box = box((6.0, 0.5, 6.0), (0.0, 0.0, 0.0))
        place = [(0.0, 9.0, 2.0), (0.0, -9.0, 2.0), (9.0, 0.0, 2.0), (-9.0, 0.0, 2.0)][n]
        glb.node(f"board {n}", glb.mesh(f"board {n}", paint_box, paint), place, turn_deg=90.0 * (n > 1))
    stone = glb.material("stone", baseColorFactor=[shade, shade, shade, 1.0], roughnessFactor=1.0, metallicFactor=0.0)
    for n in range(8):
        glb.node(
            f"hill {n}", glb.mesh(f"hill {n}", hill(rng), stone), (60.0 * (n % 4) - 90.0, -80.0 - 60.0 * (n // 4), -4.0)
        )
    return glb.to_bytes()


def hill(rng: np.random.Generator, side: int = 160) -> Shape:
    """A rough ground behind the stage."""
    x, y = np.meshgrid(np.linspace(-25, 25, side), np.linspace(-25, 25, side))
    points = np.stack([x, y, rng.normal(0.0, 0.2, x.shape)], axis=-1).reshape(-1, 3)
    triangles = sheet(side, side)
    uv = points[:, :2] / 10.0
    return Shape(points, smooth_normals(points, triangles), uv, triangles)


def put(path: Path, data: bytes) -> None:
    """A file in place, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    os.replace(partial, path)
