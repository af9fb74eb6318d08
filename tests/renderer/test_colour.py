"""Colour: published matrices and codes, the fits' errors, the roll-off, the dither, and the shaders against numpy."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer.colour.encode import BitsError, canvas_colour
from renderer.colour.fits import pq_from_root, root_from_pq
from renderer.colour.noise import triangular_noise, void_and_cluster
from renderer.colour.primaries import ap1_from_target, target_from_ap1
from renderer.colour.rolloff import roll_off
from renderer.colour.transfer import (
    codes_from_signal,
    nits_from_pq,
    nits_from_signal,
    pq_from_nits,
    signal_from_nits,
)
from renderer.config import RenderConfig
from renderer.device import Device, unpack_10bit
from renderer.renderer import Renderer
from stage.compiled import Encoding


def test_ap1_to_rec709_is_the_published_matrix() -> None:
    # ACES: AP1 to linear sRGB with Bradford from D60 to D65, as printed in its reference gallery, 4 digits.
    published = [[1.7051, -0.6218, -0.0833], [-0.1303, 1.1408, -0.0105], [-0.0240, -0.1290, 1.1530]]
    assert np.allclose(target_from_ap1("rec709"), published, atol=1e-4)


@pytest.mark.parametrize("primaries", ["rec709", "p3d65", "rec2020"])
def test_white_stays_white_and_the_way_back_is_exact(primaries: Any) -> None:
    assert np.allclose(target_from_ap1(primaries) @ np.ones(3), 1.0, atol=1e-12)
    assert np.allclose(target_from_ap1(primaries) @ ap1_from_target(primaries), np.eye(3), atol=1e-12)


def test_pq_codes_are_the_published_ones(reference: Path) -> None:
    rows = json.loads((reference / "colour" / "pq_codes.json").read_text())["rows"]
    for row in rows:
        signal = pq_from_nits(row["nits"])
        assert signal == pytest.approx(row["pq"], abs=1e-9)
        for bits in (10, 12):
            for value_range in ("full", "legal"):
                encoding = Encoding("pq", 10000.0, bits, "rec2020", value_range)  # type: ignore[arg-type]
                assert codes_from_signal(signal, encoding) == row[f"{value_range}{bits}"]


@pytest.mark.parametrize("transfer", ["pq", "gamma24", "srgb"])
def test_curves_and_their_inverses_meet(transfer: Any) -> None:
    nits = np.linspace(0.0, 800.0, 4001)
    assert np.allclose(nits_from_signal(signal_from_nits(nits, transfer, 800.0), transfer, 800.0), nits, atol=1e-8)
    assert signal_from_nits(2000.0, transfer, 800.0) == signal_from_nits(800.0, transfer, 800.0)


def test_srgb_meets_its_standard() -> None:
    # IEC 61966-2-1: 8-bit 188 of white is a linear 0.5029; the line's end.
    assert nits_from_signal(188 / 255, "srgb", 1.0) == pytest.approx(0.502886, abs=1e-6)
    assert signal_from_nits(0.0031308, "srgb", 1.0) == pytest.approx(0.04045, abs=1e-5)


def test_fits_keep_their_errors_in_float32() -> None:
    root = np.linspace(0.0, 1.0, 400001)
    assert np.abs(pq_from_root(root) - pq_from_nits(1e4 * root**4)).max() < 1.7e-6
    assert pq_from_root(0.0) == 0.0
    high = root[root >= (5 / 1e4) ** 0.25]
    assert np.abs(root_from_pq(pq_from_nits(1e4 * high**4)) - high).max() < 3.1e-7


@given(peak=st.floats(50.0, 5000.0), knee=st.floats(0.3, 1.0), content=st.floats(1.0, 20.0))
def test_roll_off_keeps_the_dark_bends_the_bright_and_never_turns_back(
    peak: float, knee: float, content: float
) -> None:
    roll = roll_off(peak, knee=knee, content=content)
    nits = np.concatenate([np.linspace(0.0, peak * 1.2, 500), np.geomspace(peak, 10000.0, 300)])
    nits.sort()
    bent = roll.bend_nits(nits)
    below = nits <= peak * min(knee, 1.0) * (1 - 1e-9)
    if knee < 1.0 and content > 1.01 and peak * content < 10000:
        assert np.array_equal(bent[below], nits[below])
    assert np.all(np.diff(bent) >= -1e-6 * peak)
    assert bent.max() <= peak * (1 + 1e-6)
    assert roll.bend_nits(10000.0) == pytest.approx(peak, rel=1e-6)


def test_default_roll_off_is_smooth_at_the_knee() -> None:
    roll = roll_off(1500.0, knee=RenderConfig().roll_off_knee, content=RenderConfig().roll_off_content)
    assert roll.slope == 0.0
    e = np.array([roll.knee - 1e-4, roll.knee, roll.knee + 1e-4])
    first, second = np.diff(roll.bend(e))
    assert second == pytest.approx(first, rel=5e-3)


def test_roll_off_follows_its_hermite(reference: Path) -> None:
    roll = roll_off(1000.0, knee=0.8, content=4.0)
    x0, x1, y1 = (float(pq_from_nits(n)) for n in (800.0, 4000.0, 1000.0))
    slope = min(1.0, 3 * (y1 - x0) / (x1 - x0))
    t = np.linspace(0, 1, 50)
    hermite = (2 * t**3 - 3 * t**2 + 1) * x0 + (t**3 - 2 * t**2 + t) * slope * (x1 - x0) + (3 * t**2 - 2 * t**3) * y1
    assert np.allclose(roll.bend(x0 + t * (x1 - x0)), hermite, atol=1e-12)


def test_bits_that_nobody_draws_are_refused_with_a_mend() -> None:
    with pytest.raises(BitsError) as caught:
        canvas_colour(Encoding("pq", 1000.0, 16, "rec2020"), knee=0.7, content=2.0, dither=True)  # type: ignore[arg-type]
    assert caught.value.problems[0].mend


# --- dither -----------------------------------------------------------------------------------------------------


def test_noise_is_blue_triangular_and_whole() -> None:
    noise = triangular_noise()
    assert noise.shape == (64, 64, 3)
    even = np.sort(noise[..., 0].ravel() * (2 - np.abs(noise[..., 0].ravel())))
    assert np.allclose(even, (np.arange(4096) + 0.5) / 2048 - 1, atol=9e-3)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    for channel in range(3):
        power = np.abs(np.fft.fft2(noise[..., channel])) ** 2
        assert power[(radius > 0) & (radius < 0.1)].mean() < 0.01 * power.mean()
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.1


def test_void_and_cluster_gives_every_rank_once() -> None:
    assert np.array_equal(np.sort(void_and_cluster(16, seed=5).ravel()), np.arange(256))


@pytest.mark.parametrize("value_range", ["full", "legal"])
def test_dither_keeps_the_mean_and_the_ends(value_range: Any) -> None:
    colour = canvas_colour(Encoding("pq", 10000.0, 8, "rec2020", value_range), knee=1.0, content=1.0, dither=True)
    noise = triangular_noise()
    span, low = (219, 16) if value_range == "legal" else (255, 0)
    for code in (0.0, 0.2, 0.4, 0.7, 3.3, 100.5, span - 0.3, float(span)):
        light = np.ones((64, 64, 3)) * (nits_from_pq(code / span) / 100.0) @ ap1_from_target("rec2020").T
        got = colour.codes(light, noise) - low
        assert got.mean() == pytest.approx(code, abs=0.02)
        if code in (0.0, span):
            assert np.all(got == code)


# --- the shaders ------------------------------------------------------------------------------------------------

ENCODINGS = [
    Encoding("pq", 1500.0, 10, "rec2020"),
    Encoding("pq", 10000.0, 10, "rec2020", "legal"),
    Encoding("pq", 1000.0, 8, "p3d65"),
    Encoding("gamma24", 500.0, 8, "rec709"),
    Encoding("gamma24", 1200.0, 10, "p3d65", "legal"),
    Encoding("srgb", 300.0, 8, "rec709"),
    Encoding("srgb", 800.0, 10, "rec709", "legal"),
]

GRADIENT = """vec4 world(vec3 d, vec3 e) {
    // Light from nothing over 1 nit to far above any peak, in colours of every kind, by direction.
    vec2 p = clamp(vec2(d.x, d.z) / d.y + 0.5, 0.0, 1.0);
    float l = exp2(p.x * 22.0 - 14.0) - exp2(-14.0);
    vec3 c = 0.5 + 0.5 * cos(6.2831853 * (p.y * 3.0 + vec3(0.0, 0.33, 0.67)));
    return vec4(l * mix(vec3(1.0), c * 1.3 - 0.1, step(0.25, p.y)), 1.0);
}"""


@pytest.mark.parametrize("dither", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_the_shaders_codes_are_those_of_the_reference(
    gl: Device, wallkit: ModuleType, encoding: Encoding, dither: bool
) -> None:
    renderer = Renderer(gl)
    stage = wallkit.flat_wall(8, 4, encoding=encoding, distance_m=4.0, bottom_m=0.7)
    config = RenderConfig(outer_px=256, dither=dither)
    renderer.load_stage(stage, render=config)
    world = wallkit.ShaderWorld(gl.ctx, GRADIENT)
    plan = wallkit.plan(seed=11)
    light = renderer.draw(plan, world=world, output="light")["c"].array[..., :3].astype(np.float64)
    picture = renderer.draw(plan, world=world)["c"]
    got = unpack_10bit(picture.array) if encoding.bits == 10 else picture.array[..., :3]
    colour = canvas_colour(encoding, knee=config.roll_off_knee, content=config.roll_off_content, dither=dither)
    noise = np.tile(np.roll(triangular_noise(), (-(11 * 41 % 64), -(11 * 29 % 64)), (0, 1)), (4, 8, 1))
    want = colour.codes(light, noise)
    assert len(np.unique(want)) > 0.6 * (219 if encoding.range == "legal" else 255)
    off = np.abs(got.astype(int) - want)
    assert off.max() <= 1
    assert (off != 0).mean() < 0.004, "more codes differ than rounding at a code's edge explains"
    renderer.release()
