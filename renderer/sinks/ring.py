"""Canvases in rings of shared memory: what presenters, processor emulators and previews read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.errors import RendererError
from renderer.renderer import FOURCC, CanvasPicture
from runtime.ring import KIND_CANVAS, RingShape, RingWriter, fourcc, fourcc_text
from stage.errors import Problem
from stage.plan import FramePlan

__all__ = ["KIND_CANVAS", "PixelFormatError", "canvas_ring", "codes_of", "hand_over"]


class PixelFormatError(RendererError):
    """A ring's pixels are in a format that is no canvas'."""

    code = "renderer.pixel_format"


def canvas_ring(path: Path, picture: CanvasPicture, /, *, slots: int = 8) -> RingWriter:
    """The ring of a canvas whose pictures are like `picture`; one that is there already is taken over.

    Raises
    ------
    RingBusyError, RingMemoryError
    """
    height, width = picture.array.shape[:2]
    return RingWriter.create(
        path,
        kind=KIND_CANVAS,
        slots=slots,
        capacity=picture.array.nbytes,
        width=width,
        height=height,
        row_stride=picture.array.nbytes // height,
        pixel_format=fourcc(picture.fourcc),
    )


def hand_over(ring: RingWriter, picture: CanvasPicture, plan: FramePlan, plan_hash: int) -> int:
    """Publish a canvas as the picture of a plan; returns the message's number."""
    return ring.publish(
        np.ascontiguousarray(picture.array).data.cast("B"),
        frame=plan.frame,
        t_ns=plan.t_present_ns,
        config_version=plan.config_version,
        plan_hash=plan_hash,
    )


def codes_of(shape: RingShape, data: bytes | memoryview, /) -> NDArray[Any]:
    """The canvas in a slot's data: uint8 [h, w, 4] (RGBA), packed uint32 [h, w] (10 bit) or uint16 [h, w, 4] (12 bit
    in 16), row 0 on top.

    Raises
    ------
    PixelFormatError
    """
    if shape.pixel_format == fourcc(FOURCC["rgb10a2"]):
        return np.frombuffer(data, dtype="<u4", count=shape.width * shape.height).reshape(shape.height, shape.width)
    if shape.pixel_format == fourcc(FOURCC["rgba8"]):
        pixels = np.frombuffer(data, dtype=np.uint8, count=shape.width * shape.height * 4)
        return pixels.reshape(shape.height, shape.width, 4)
    if shape.pixel_format == fourcc(FOURCC["rgba12"]):
        words = np.frombuffer(data, dtype="<u2", count=shape.width * shape.height * 4)
        return words.reshape(shape.height, shape.width, 4)
    raise PixelFormatError(
        Problem(
            "renderer.pixel_format",
            "canvas",
            "the ring holds pixels of a format that is no canvas'",
            fourcc_text(shape.pixel_format),
            "read it with the version of OpenVolume that writes it",
        )
    )
