"""Canvases as octets: exact where the wire holds the canvas' codes, within half a code where it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controller.st2110.pixels import FULL, Coding, octets_of
from controller.st2110.rfc4175 import VideoForm

FORMS = [VideoForm(64, 36, sampling, bits) for sampling in ("RGB", "YCbCr-4:2:2") for bits in (8, 10, 12)]
NARROW = Coding(wire="narrow")


def pictures(form: VideoForm, rng: np.random.Generator) -> Any:
    return rng.integers(0, 256, (form.height_px, form.width_px, 4), dtype=np.uint8)


def unpacked(form: VideoForm, octets: bytes) -> np.ndarray[Any, Any]:
    """Codes by plain big-endian bit strings: another way than the code's."""
    bits = np.unpackbits(np.frombuffer(octets, np.uint8))
    words = bits.reshape(-1, form.bits).astype(np.int64)
    weights = 1 << np.arange(form.bits - 1, -1, -1, dtype=np.int64)
    return np.asarray(words @ weights)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_octets_hold_the_codes(form: VideoForm) -> None:
    picture = pictures(form, np.random.default_rng(1))
    out = np.empty(form.octets, np.uint8)
    octets_of(picture, form, out, FULL if form.sampling == "RGB" else NARROW)
    codes = unpacked(form, out.tobytes())
    wanted = picture[..., :3].astype(np.int64)
    if form.sampling == "RGB":
        found = codes.reshape(form.height_px, form.width_px, 3)
        assert (found >> (form.bits - 8) == wanted).all()
        assert found.max() <= 2**form.bits - 1
        return
    cb, y0, cr, y1 = np.moveaxis(codes.reshape(form.height_px, form.width_px // 2, 4), -1, 0)
    luma = np.stack([y0, y1], -1).reshape(form.height_px, form.width_px)
    r, g, b = np.moveaxis(wanted / 255, -1, 0)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    unit = 2 ** (form.bits - 8)
    assert np.abs(luma - (16 + 219 * y) * unit).max() <= 0.5 + 1e-3 * unit
    pairs = (
        ((b - y) / 1.8556).reshape(form.height_px, -1, 2).mean(-1),
        ((r - y) / 1.5748).reshape(form.height_px, -1, 2).mean(-1),
    )
    for found, pair in zip((cb, cr), pairs, strict=True):
        assert np.abs(found - (128 + 224 * pair) * unit).max() <= 0.5 + 1e-3 * unit


def test_twelve_bits_go_through_exactly_and_fall_to_fewer() -> None:
    picture = np.random.default_rng(3).integers(0, 4096, (8, 16, 4), dtype=np.uint16)
    for bits in (12, 10, 8):
        form = VideoForm(16, 8, "RGB", bits)  # type: ignore[arg-type]
        out = np.empty(form.octets, np.uint8)
        octets_of(picture, form, out)
        found = unpacked(form, out.tobytes()).reshape(8, 16, 3)
        assert np.array_equal(found, picture[..., :3].astype(np.int64) >> (12 - bits))


def test_ten_bits_go_through_exactly() -> None:
    rng = np.random.default_rng(2)
    words = rng.integers(0, 1 << 30, (8, 16), dtype=np.uint32)
    form = VideoForm(16, 8, "RGB", 10)
    out = np.empty(form.octets, np.uint8)
    octets_of(words, form, out)
    found = unpacked(form, out.tobytes()).reshape(8, 16, 3)
    assert (found == np.stack([(words >> s) & 1023 for s in (0, 10, 20)], -1)).all()


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_ranges_meet_at_black_and_white(bits: int) -> None:
    form = VideoForm(4, 1, "RGB", bits)
    out = np.empty(form.octets, np.uint8)
    picture = np.zeros((1, 4, 4), np.uint8)
    picture[0, 2:] = 255
    octets_of(picture, form, out, NARROW)
    unit = 2 ** (bits - 8)
    assert unpacked(form, out.tobytes()).tolist() == [16 * unit] * 6 + [235 * unit] * 6
    picture[0, :2], picture[0, 2:] = 16, 235
    octets_of(picture, form, out, Coding(canvas="narrow", wire="full"))
    assert unpacked(form, out.tobytes()).tolist() == [0] * 6 + [2**bits - 1] * 6
    octets_of(picture, form, out, Coding(canvas="narrow", wire="narrow"))
    assert unpacked(form, out.tobytes()).tolist() == [16 * unit] * 6 + [235 * unit] * 6


def test_pieces_are_the_whole() -> None:
    rng = np.random.default_rng(5)
    for form in FORMS:
        picture = pictures(form, rng)
        whole, pieces = np.empty(form.octets, np.uint8), np.empty(form.octets, np.uint8)
        octets_of(picture, form, whole, NARROW)
        for row in range(0, form.height_px, 7):
            end = min(row + 7, form.height_px)
            octets_of(picture[row:end], form, pieces[row * form.row_octets : end * form.row_octets], NARROW)
        assert (whole == pieces).all()
