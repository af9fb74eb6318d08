"""The slip measures measure: known shifts come out to a hundredth of a pixel, and none comes out as none."""

from __future__ import annotations

import numpy as np
import pytest

from renderer.twin.display import display_coded, srgb8
from renderer.twin.phase import blurred, fringe_slips, patch_slips, psnr_db

SHAPE = (160, 224)


def fringes(shift, period: float = 16.0):
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]] + 0.5
    phases = 2 * np.pi * np.stack([x - shift[0], y - shift[1]], axis=-1) / period
    return (0.5 + 0.25 * np.cos(phases).sum(axis=-1)).astype(np.float32), phases


def texture(shift, seed: int = 4):
    """Smooth noise made of waves, so that a shift is exact."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    out = np.zeros(SHAPE)
    for fx, fy, phase in zip(*rng.uniform(-0.1, 0.1, (2, 60)), rng.uniform(0, 2 * np.pi, 60), strict=True):
        out += np.cos(2 * np.pi * (fx * (x - shift[0]) + fy * (y - shift[1])) + phase)
    return (0.5 + 0.02 * out).astype(np.float32)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.03, -0.01), (-0.4, 0.25)])
@pytest.mark.parametrize("holes", [False, True])
def test_fringes_tell_their_shift(shift, holes: bool) -> None:
    mask = np.ones(SHAPE, dtype=np.float32)
    if holes:
        mask[:, 150:] = 0.0
        mask[:20] = 0.0
    seen, _ = fringes(shift)
    known, phases = fringes((0.0, 0.0))
    slips = fringe_slips(seen * mask, known, mask, phases, period_px=16.0)
    assert len(slips) > 100
    assert np.abs(slips - shift).max() <= 1e-3 + 0.02 * np.abs(shift).max()


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.05, -0.02), (-0.6, 0.3), (7.25, -3.5)])
def test_patches_tell_their_shift(shift) -> None:
    mask = np.ones(SHAPE, dtype=np.float32)
    slips, middles = patch_slips(texture(shift), texture((0.0, 0.0)), mask)
    assert len(slips) == len(middles) > 5
    # The window stands still while the content moves, which shortens large slips by a few per cent.
    off = np.abs(slips - shift).max()
    assert off <= 0.005 + 0.05 * np.abs(shift).max()


def test_patches_without_texture_say_nothing() -> None:
    flat = np.full(SHAPE, 0.4, dtype=np.float32)
    stripes = np.tile(0.5 + 0.2 * np.sin(np.arange(SHAPE[1]) / 3.0), (SHAPE[0], 1)).astype(np.float32)
    mask = np.ones(SHAPE, dtype=np.float32)
    assert len(patch_slips(flat, flat, mask)[0]) == 0
    assert len(patch_slips(stripes, stripes, mask)[0]) == 0


def test_blur_stays_inside_the_mask() -> None:
    picture = np.full((40, 50, 3), 2.0, dtype=np.float32)
    picture[:, 25:] = 100.0
    mask = np.zeros((40, 50), dtype=np.float32)
    mask[:, :25] = 1.0
    assert blurred(picture, mask, 2.0)[:, :25] == pytest.approx(2.0, rel=1e-4)


def test_psnr_is_of_the_mask_alone() -> None:
    a = np.zeros((10, 10, 3), dtype=np.float32)
    b = a + 0.01
    mask = np.zeros((10, 10), dtype=np.float32)
    assert np.isnan(psnr_db(a, b, mask))
    mask[:5] = 1.0
    b[5:] = 1.0
    assert psnr_db(a, b, mask) == pytest.approx(40.0, abs=0.01)


def test_the_display_keeps_middle_tones_and_bends_highlights() -> None:
    grey = np.array([[0.18] * 3, [0.8] * 3, [1.6] * 3, [16.0] * 3, [1000.0] * 3], dtype=np.float32)
    coded = display_coded(grey)
    assert coded[0] == pytest.approx(0.4613, abs=1e-3)
    assert np.all(np.diff(coded[:, 0]) > 0)
    assert coded[-1].max() <= 1.0
    assert coded[3, 0] > 0.99
    # Value and slope go through the knee without a step.
    near = display_coded(np.array([[0.799] * 3, [0.8] * 3, [0.801] * 3], dtype=np.float32))[:, 0]
    assert near[2] - near[1] == pytest.approx(near[1] - near[0], rel=0.02)
    assert srgb8(np.zeros((2, 2, 3), dtype=np.float32)).dtype == np.uint8
