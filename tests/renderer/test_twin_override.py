"""What a processor's own settings make of its canvas, held against the light the twin's emulator gives it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderer.twin.emulator import Codes, channels, decode, decode_table
from renderer.twin.override import Override, pattern
from stage.compiled import Encoding

ENCODINGS = [
    Encoding("srgb", 1500.0, 8, "rec709", "full"),
    Encoding("gamma24", 1500.0, 10, "p3d65", "full"),
    Encoding("pq", 1500.0, 10, "rec2020", "legal"),
]


def noise(encoding: Encoding, seed: int = 1) -> Codes:
    rng = np.random.default_rng(seed)
    if encoding.bits == 8:
        return rng.integers(0, 256, (9, 16, 4), dtype=np.uint8)
    return rng.integers(0, 2**32, (9, 16), dtype=np.uint32)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_as_it_comes_from_the_store_nothing_changes(encoding: Encoding) -> None:
    codes = noise(encoding)
    assert Override().shown(encoding, codes) is codes


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=20, deadline=None)
@given(brightness=st.floats(0.0, 0.999), seed=st.integers(0, 99))
def test_brightness_is_a_share_of_the_light_to_the_nearest_code(
    encoding: Encoding, brightness: float, seed: int
) -> None:
    codes = noise(encoding, seed)
    shown = Override(brightness).shown(encoding, codes)
    assert (shown.dtype, shown.shape) == (codes.dtype, codes.shape)
    table = decode_table(encoding)
    wanted, found = brightness * table[channels(encoding, codes)], table[channels(encoding, shown)]
    # No other code comes nearer.
    best = np.abs(table[None, None, None, :] - wanted[..., None]).min(axis=-1)
    np.testing.assert_allclose(np.abs(found - wanted), best, atol=1e-12)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_blackout_is_dark_whatever_else(encoding: Encoding) -> None:
    shown = Override(blackout=True, freeze=True, pattern="white").shown(
        encoding, noise(encoding), frozen=noise(encoding)
    )
    assert not decode(encoding, shown).any()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_frozen_shows_what_it_held(encoding: Encoding) -> None:
    now, held = noise(encoding, 1), noise(encoding, 2)
    assert Override(freeze=True).shown(encoding, now, frozen=held) is held
    assert Override(freeze=True).shown(encoding, now) is now
    assert Override().shown(encoding, now, frozen=held) is now
    # A canvas of another size by now is no picture it could hold.
    assert Override(freeze=True).shown(encoding, now, frozen=held[:4]) is now


@pytest.mark.parametrize(
    ("name", "colour"), [("red", (1, 0, 0)), ("green", (0, 1, 0)), ("blue", (0, 0, 1)), ("white", (1, 1, 1)),
                         ("black", (0, 0, 0)), ("Yellow", (1, 1, 0))],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_flat_test_pictures_are_full_light_of_their_colour(
    encoding: Encoding, name: str, colour: tuple[int, int, int]
) -> None:
    codes = noise(encoding)
    table = decode_table(encoding)
    full = table[channels(encoding, Override(pattern=name).shown(encoding, codes))]
    np.testing.assert_allclose(full / 15.0, np.broadcast_to(colour, full.shape), atol=1e-9)
    half = table[channels(encoding, Override(0.5, pattern=name).shown(encoding, codes))]
    np.testing.assert_allclose(half / 7.5, np.broadcast_to(colour, full.shape), atol=0.01)


@pytest.mark.parametrize("name", ["grid", "checkerboard", "colour-bars", "colorBars", "gradient", "something else"])
def test_other_test_pictures_are_pictures(name: str) -> None:
    drawn = pattern(ENCODINGS[1], name, 96, 48)
    assert drawn.shape == (48, 96, 3)
    assert (drawn.min(), drawn.max()) == (0, 1023)
    lit = (drawn > 0).any(axis=-1).mean()
    assert 0.05 < lit < 0.3 if name in ("grid", "something else") else 0.4 < lit < 1.0
