"""Sinks: PNG files other programs read back exactly, and rings that give back what was handed over."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType

import numpy as np
import OpenImageIO as oiio
import pytest
from PIL import Image

from renderer.renderer import CanvasPicture
from renderer.sinks.png import canvas_png, code_values, write_canvas
from renderer.sinks.ring import PixelFormatError, canvas_ring, codes_of, hand_over
from runtime.ring import KIND_CANVAS, RingReader, RingShape, fourcc

RNG = np.random.default_rng(7)


def eight() -> CanvasPicture:
    return CanvasPicture("a", "rgba8", RNG.integers(0, 256, (37, 53, 4), dtype=np.uint8))


def ten() -> CanvasPicture:
    return CanvasPicture("b", "rgb10a2", RNG.integers(0, 1 << 32, (37, 53), dtype=np.uint32))


def test_eight_bit_png_is_read_back_by_pillow() -> None:
    picture = eight()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(canvas_png(picture)))), picture.array[..., :3])


def test_ten_bit_png_is_sixteen_bit_with_the_codes_on_top(tmp_path: Path) -> None:
    picture = ten()
    write_canvas(picture, tmp_path / "b.png")
    read = oiio.ImageInput.open(str(tmp_path / "b.png"))
    assert read.spec().format == oiio.UINT16
    pixels = read.read_image("uint16")
    read.close()
    red = picture.array & 1023
    assert np.array_equal(pixels[..., 0] >> 6, red)
    assert np.array_equal(pixels[..., 2] >> 6, picture.array >> 20 & 1023)
    np.testing.assert_allclose(pixels[..., 0] / 65535, red / 1023, atol=2e-5)


def test_light_is_no_code() -> None:
    with pytest.raises(ValueError, match="not codes"):
        code_values(CanvasPicture("a", "rgba32f", np.zeros((2, 2, 4), dtype=np.float32)))


@pytest.mark.parametrize("make", [eight, ten])
def test_a_ring_gives_back_the_canvas_and_says_what_it_is(tmp_path: Path, make, wallkit: ModuleType) -> None:  # type: ignore[no-untyped-def]
    picture = make()
    ring = canvas_ring(tmp_path / "canvas-a.ring", picture)
    plan = wallkit.plan(frame=42, config_version=5)
    hand_over(ring, picture, plan, 0xABCDEF)
    reader = RingReader.open(tmp_path / "canvas-a.ring", kind=KIND_CANVAS)
    assert (reader.shape.width, reader.shape.height, reader.shape.row_stride) == (53, 37, 53 * 4)
    assert reader.shape.pixel_format == fourcc("AB24" if picture.format == "rgba8" else "AB30")
    slot = reader.latest()
    assert slot is not None
    assert (slot.frame, slot.config_version, slot.plan_hash) == (42, 5, 0xABCDEF)
    back = codes_of(reader.shape, slot.data)
    assert back.dtype == picture.array.dtype
    assert np.array_equal(back, picture.array)
    reader.close()
    ring.remove()


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(PixelFormatError):
        codes_of(RingShape(KIND_CANVAS, 4, 64, 4, 4, 16, fourcc("XR24")), bytes(64))
