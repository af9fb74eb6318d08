"""The physical sky: where the sun stands, how bright day, dusk and night are, and that all its parts agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import moderngl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from renderer.air_config import SkyConfig
from renderer.atmosphere import Air, SkyTable, row_elevations, sky_table
from renderer.config import DomeConfig, SceneConfig, SunConfig
from renderer.device import Device
from renderer.domes import ROUGHNESS_LEVELS, directions, sh_basis
from renderer.sky import HEIGHT, WIDTH, Sky, blurred, octahedra, panorama
from renderer.sun_position import direction_from_pan_elevation, sun_azimuth_elevation_deg, sun_equatorial_deg
from renderer.working import AP1_FROM_REC709

LUMINANCE = np.linalg.inv(AP1_FROM_REC709).T @ [0.2126, 0.7152, 0.0722]
SIZE = (96, 64)


@pytest.fixture(scope="module")
def clear() -> SkyTable:
    return sky_table(Air())


# --- the sun's place ----------------------------------------------------------------------------------------------


def test_the_sun_stands_where_almanacs_say() -> None:
    # Meeus, Astronomical Algorithms, example 25.a: 1992 October 13, 0h TD.
    ascension, declination = sun_equatorial_deg(2448908.5 - 2451545.0)
    assert ascension == pytest.approx(198.38083, abs=0.001)
    assert declination == pytest.approx(-7.78507, abs=0.001)
    # NREL's solar position algorithm, its worked example: Golden, Colorado; at 820 mbar it bends 0.003 degrees less.
    when = datetime(2003, 10, 17, 12, 30, 30, tzinfo=timezone(timedelta(hours=-7)))
    azimuth, elevation = sun_azimuth_elevation_deg(when, 39.742476, -105.1786)
    assert azimuth == pytest.approx(194.34024, abs=0.05)
    assert elevation == pytest.approx(90.0 - 50.11162, abs=0.05)


def test_seasons_and_hours_have_their_heights() -> None:
    """At noon of a solstice the sun stands 23.44 degrees off the equator; at the pole it never sets then."""
    noon = max(
        sun_azimuth_elevation_deg(
            datetime(2026, 6, 21, 11, tzinfo=UTC) + timedelta(minutes=m), 48.137, 11.575, refraction=False
        )[1]
        for m in range(30)
    )
    assert noon == pytest.approx(90.0 - 48.137 + 23.437, abs=0.02)
    for hour in range(24):
        when = datetime(2026, 12, 21, hour, tzinfo=UTC)
        assert sun_azimuth_elevation_deg(when, 89.99, 0.0)[1] == pytest.approx(-23.44, abs=0.05)
    # Refraction lifts a sun on the horizon by its own width and a little.
    when = datetime(2026, 3, 20, 6, 8, tzinfo=UTC)
    bare = sun_azimuth_elevation_deg(when, 0.0, 0.0, refraction=False)
    seen = sun_azimuth_elevation_deg(when, 0.0, 0.0)
    assert abs(bare[1]) < 0.6
    assert 0.3 < seen[1] - bare[1] < 0.7
    assert bare[0] == pytest.approx(90.0, abs=0.5)
    with pytest.raises(ValueError, match="offset"):
        sun_azimuth_elevation_deg(datetime(2026, 6, 21, 12), 0.0, 0.0)  # noqa: DTZ001


@given(st.floats(-180, 180), st.floats(-89, 89))
def test_hand_and_almanac_share_one_frame(pan_deg: float, elevation_deg: float) -> None:
    d = direction_from_pan_elevation(pan_deg, elevation_deg)
    assert np.linalg.norm(d) == pytest.approx(1.0)
    assert np.degrees(np.arcsin(d[2])) == pytest.approx(elevation_deg, abs=1e-6)
    assert np.allclose(direction_from_pan_elevation(90.0, 0.0), [-1, 0, 0])


def test_a_configuration_gives_place_and_time_together() -> None:
    sky = SkyConfig(when="2026-06-21T13:15:00+02:00", latitude_deg=48.137, longitude_deg=11.575, north_deg=30.0)
    pan, elevation = sky.sun_pan_elevation_deg
    assert elevation == pytest.approx(65.3, abs=0.1)
    assert (pan - 30.0) % 360.0 == pytest.approx(180.0, abs=2.5)  # it stands in the south
    later = sky.model_copy(update={"later_h": 5.0}).sun_pan_elevation_deg
    assert later[1] < 35.0
    assert 60.0 < (later[0] - 30.0) % 360.0 < 120.0  # pan + is left of north: the west
    for wrong in ({"when": "yesterday"}, {"when": "2026-06-21T13:15:00"}, {"latitude_deg": 3.0},
                  {"when": "2026-06-21T13:15:00Z", "latitude_deg": 3.0}):  # fmt: skip
        with pytest.raises(ValidationError):
            SkyConfig(**wrong)
    for other in ({"dome": DomeConfig(file="a.hdr")}, {"sun": SunConfig()}):
        with pytest.raises(ValidationError, match="sky brings"):
            SceneConfig(sky=SkyConfig(), **other)


# --- how bright it is ---------------------------------------------------------------------------------------------


def sky_lux(table: SkyTable, elevation_deg: float) -> tuple[float, float]:
    """Illuminance of level ground by the sun and by the sky alone."""
    glow, halo = table.at(elevation_deg)
    picture = panorama(table, glow, halo, elevation_deg)[: HEIGHT // 2]
    polar = (np.arange(HEIGHT // 2) + 0.5) / HEIGHT * np.pi
    weight = np.sin(polar) * np.cos(polar) * (np.pi / HEIGHT) * (2 * np.pi / WIDTH)
    sky = float(LUMINANCE @ (picture * weight[:, None, None]).sum(axis=(0, 1)))
    sun = float(LUMINANCE @ table.sun_illuminance(elevation_deg)) * max(0.0, float(np.sin(np.radians(elevation_deg))))
    return sun * 100.0, sky * 100.0


@pytest.mark.parametrize(
    ("elevation_deg", "sun_lux", "sky_lux_"),
    [
        # Clear days as handbooks tell them; twilights: 400 lux at sunset, 3.4 at the end of the civil, 0.01 nautical.
        (60.0, (80e3, 110e3), (8e3, 20e3)),
        (30.0, (40e3, 60e3), (6e3, 15e3)),
        (10.0, (7e3, 14e3), (3e3, 8e3)),
        (-0.8, (0.0, 1.0), (300.0, 1000.0)),
        (-6.0, (0.0, 0.0), (1.5, 10.0)),
        (-12.0, (0.0, 0.0), (0.003, 0.05)),
    ],
)
def test_day_and_dusk_have_real_light(
    clear: SkyTable, elevation_deg: float, sun_lux: tuple[float, float], sky_lux_: tuple[float, float]
) -> None:
    sun, sky = sky_lux(clear, elevation_deg)
    assert sun_lux[0] <= sun <= sun_lux[1]
    assert sky_lux_[0] <= sky <= sky_lux_[1]


def test_colours_of_the_day(clear: SkyTable) -> None:
    """Blue above at noon and in twilight, a red sun at the horizon, whiter the higher; a sun below gives nothing."""
    to_rec709 = np.linalg.inv(AP1_FROM_REC709)
    for elevation in (-5.0, 40.0):
        zenith = to_rec709 @ clear.at(elevation)[0][39, 0]
        assert zenith[2] > 1.5 * zenith[0]
    ratios = []
    for elevation in (0.5, 3.0, 10.0, 30.0, 80.0):
        light = clear.sun_illuminance(elevation)
        ratios.append(light[2] / light[0])
    assert ratios == sorted(ratios)
    assert ratios[0] < 0.25
    assert ratios[-1] > 0.7
    assert not clear.sun_illuminance(-1.0).any()


@settings(deadline=None, max_examples=25)
@given(st.floats(-60.0, 90.0))
def test_every_sun_gives_a_finite_sky_that_changes_smoothly(elevation_deg: float) -> None:
    table = sky_table(Air())
    here, near = table.at(elevation_deg), table.at(min(90.0, elevation_deg + 0.05))
    for a in (*here, *near):
        assert np.isfinite(a).all()
        assert (a >= 0.0).all()
    # A twentieth of a degree changes no part of it by more than a twelfth of its brightest.
    first, second = (glow[: halo.shape[0]] + 0.3 * halo for glow, halo in (here, near))
    assert np.abs(first - second).max() < max(first.max(), second.max()) / 12.0


def test_rows_reach_from_the_horizon_to_both_poles() -> None:
    rows = row_elevations(0.01)
    assert rows[0] == pytest.approx(-0.01)
    assert rows[39] == pytest.approx(np.pi / 2)
    assert rows[40] == pytest.approx(-0.01)
    assert rows[-1] == pytest.approx(-np.pi / 2)


# --- light of all round -------------------------------------------------------------------------------------------


def test_an_even_sky_is_mirrored_evenly_and_a_spot_keeps_its_light() -> None:
    even = np.full((HEIGHT, WIDTH, 3), 0.7, np.float32)
    levels = blurred(even)
    assert levels.shape == (ROUGHNESS_LEVELS, HEIGHT, WIDTH, 3)
    assert np.allclose(levels, 0.7, rtol=1e-4)
    assert np.allclose(octahedra(levels)[..., :3], 0.7, rtol=1e-3)
    spot = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    spot[20, 70] = 1.0
    wide = blurred(spot)
    for level in wide[1:]:
        row, column = np.unravel_index(int(np.argmax(level[..., 0])), (HEIGHT, WIDTH))
        assert abs(int(row) - 20) <= 2  # rows towards the pole are shorter: the peak may lean there
        assert column == 70
        # Lobes are turned round, never moved along a row.
        assert np.allclose(np.roll(level, -70, axis=1)[:, 1:], np.roll(level, -70, axis=1)[:, :0:-1], atol=1e-6)
    assert all(a[20, 70, 0] >= b[20, 70, 0] for a, b in pairwise(wide[1:]))


@pytest.fixture
def bench(easel: Any) -> Any:
    return easel(SIZE)


def test_the_picture_is_the_table_and_the_disc_is_the_suns_light(bench: Any, clear: SkyTable) -> None:
    scene = bench.scene(sky=SkyConfig(pan_deg=25.0, elevation_deg=20.0), exposure_ev=-10.0)
    assert scene.sky is not None
    assert scene.sun is not None
    glow, halo = clear.at(20.0)
    want = panorama(clear, glow, halo, 20.0)
    for pan, elevation in ((25.0, 60.0), (-155.0, 45.0), (115.0, 10.0), (25.0, -30.0)):
        seen = bench.look(scene, pan_deg=pan, tilt_deg=elevation, tangent=0.01)[SIZE[1] // 2, SIZE[0] // 2, :3] * 1024.0
        across = ((25.0 - pan) / 360.0 + 0.5) % 1.0 * WIDTH
        row = (want[:, int(across - 0.5) % WIDTH] + want[:, int(across + 0.5) % WIDTH]) / 2
        at = (90.0 - elevation) / 180.0 * HEIGHT - 0.5
        expected = row[int(at)] * (1 - at % 1) + row[int(at) + 1] * (at % 1)
        assert np.allclose(seen, expected, rtol=0.03), (pan, elevation)
    # All the disc's light on a surface that faces it is the sun's illuminance.
    tangent = 0.01
    bright = bench.look(scene, pan_deg=25.0, tilt_deg=20.0, tangent=tangent)[..., :3] * 1024.0
    bare = bench.look(
        bench.scene(sky=SkyConfig(pan_deg=25.0, elevation_deg=20.0, disc=False), exposure_ev=-10.0),
        pan_deg=25.0, tilt_deg=20.0, tangent=tangent,
    )[..., :3] * 1024.0  # fmt: skip
    pixel_sr = (2 * tangent / SIZE[1]) ** 2
    assert np.allclose((bright - bare).sum(axis=(0, 1)) * pixel_sr, scene.sun.light * np.pi, rtol=0.03)


def test_a_sun_that_moves_gives_what_a_new_sky_gives(bench: Any) -> None:
    """The same configuration, the same sky, whatever stood before: irradiance, reflections, picture and sun."""
    scene = bench.scene(sky=SkyConfig(pan_deg=-70.0, elevation_deg=50.0))
    assert scene.sky is not None
    later = SkyConfig(pan_deg=140.0, elevation_deg=-3.3, exposure_ev=2.0)
    fresh = Sky(bench.device, later)
    scene.sky.change(later)
    assert np.array_equal(scene.sky.sh, fresh.sh)
    assert np.array_equal(scene.sky.illuminance, fresh.illuminance)
    assert scene.sky.reflections.read() == fresh.reflections.read()
    assert scene.sky.texture.read() == fresh.texture.read()
    assert scene.sky.brightness == fresh.brightness
    fresh.release()


def test_irradiance_turns_with_the_sun_and_comes_from_above(gl: Device) -> None:
    sky = Sky(gl, SkyConfig(pan_deg=90.0, elevation_deg=10.0))
    up, down = sh_basis(np.array([[0, 0, 1.0], [0, 0, -1.0]])) @ sky.sh
    assert up[2] > up[0]
    left, right = sh_basis(np.array([[-1.0, 0, 0], [1.0, 0, 0]])) @ sky.sh
    assert left[0] > 1.2 * right[0]
    assert down.min() > 0.0
    horizon = sky.horizon()
    d = directions(8, 4, yaw_deg=0.0)[2, :, :2]
    around = horizon[0] + d[:, :1] * horizon[1] + d[:, 1:] * horizon[2]
    assert int(np.argmax(around[:, 0])) in (1, 2)  # the sun's side, pan 90: a quarter of the way round
    sky.release()


def test_night_is_dark_blue_and_without_sun(gl: Device) -> None:
    sky = Sky(gl, SkyConfig(elevation_deg=-40.0, night_nits=0.02))
    assert not sky.illuminance.any()
    zenith = np.linalg.inv(AP1_FROM_REC709) @ (sky._panorama.pixels[0, 0] * sky.brightness)
    assert zenith[2] > 2.0 * zenith[0] > 0.0
    assert float(LUMINANCE @ (AP1_FROM_REC709 @ zenith)) == pytest.approx(0.0002, rel=0.1)
    sky.release()


def test_a_sky_costs_textures_of_a_megabyte_at_most(gl: Device) -> None:
    sky = Sky(gl, SkyConfig())
    assert sky.size_bytes < 1 << 20
    assert isinstance(sky.reflections, moderngl.Texture3D)
    sky.release()
