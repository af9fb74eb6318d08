"""The measures of truth on every kind of wall, with and without distortion, from random places: DESIGN section 9."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

KINDS = ("flat", "arc", "ceiling", "mesh", "turned")
LENSES = ("pinhole", "barrel")
# Panels of so many pixels photographed so wide: from half a photo pixel per LED up to five.
RUNGS = ((128, 400), (128, 640), (96, 640), (96, 800), (48, 960))
PICTURE_RUNG = 1


def panel_px_of(kind: str, rung: int) -> int:
    """A ceiling is seen so flat that the same panels would need an inner picture twice as large."""
    return 84 if kind == "ceiling" and rung == PICTURE_RUNG else RUNGS[rung][0]


def measure(place, lens, rng, rung: int) -> None:
    pictured = rung == PICTURE_RUNG
    plan = place.plan(place.room.random_pose(rng), lens)
    found = place.gather(plan, width_px=RUNGS[rung][1], pictured=pictured)
    told = f"q {found.q:.2f}, {found.report()}"
    assert 0.3 < found.q < 6.0, told
    assert found.inner_coverage > 0.4, told
    assert found.texels_per_led == pytest.approx(1.35, rel=0.02), told
    assert found.geometry.good, told
    assert found.path.count > 500, told
    assert found.path.within(0.05, 0.15), told
    if pictured:
        assert found.picture.slip.count > 20, told
        assert found.picture.slip.within(0.15, 0.5), told
        assert found.picture.psnr_db >= 36.0, told


def cases() -> Iterator[object]:
    """Every kind at every rung with one of the lenses, in turn: each pair of them comes. The rest with `--all`."""
    for rung, name in enumerate(("q_half", "picture", "q_1", "q_2", "q_4")):
        for number, kind in enumerate(KINDS):
            for lens in LENSES:
                turn = (rung + number) % 2 == LENSES.index(lens)
                marks = () if turn else (pytest.mark.slow,)
                yield pytest.param(kind, lens, rung, id=f"{name}-{kind}-{lens}", marks=marks)


@pytest.mark.parametrize(("kind", "lens", "rung"), list(cases()))
def test_what_the_camera_sees_is_true(kind: str, lens: str, rung: int, places, lenses) -> None:
    rng = np.random.default_rng([KINDS.index(kind), lens == "barrel", rung])
    measure(places(kind, panel_px_of(kind, rung)), lenses[lens], rng, rung)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_camera_sees_is_true_from_fifty_places(kind: str, lens: str, places, lenses) -> None:
    rng = np.random.default_rng([100 + KINDS.index(kind), lens == "barrel"])
    for number in range(50):
        rung = number % len(RUNGS)
        measure(places(kind, panel_px_of(kind, rung)), lenses[lens], rng, rung)
