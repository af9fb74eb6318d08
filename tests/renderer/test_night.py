"""Stars and moon: where almanacs have them, as bright as they are, and gone by day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from renderer.config import SceneConfig
from renderer.night import disc_share, lux_of_magnitude, moon_ecliptic_deg, moon_equatorial_deg, night_of, passing
from renderer.scene import Scene
from renderer.stars import MAGNITUDES, STARS, equatorial_deg
from renderer.sun_position import (
    direction_from_pan_elevation,
    horizontal_deg,
    sun_azimuth_elevation_deg,
    sun_equatorial_deg,
    terrestrial_days,
)
from renderer.working import AP1_FROM_REC709

SIZE = (160, 120)
MUNICH = (48.137, 11.575)
LUMINANCE = np.linalg.inv(AP1_FROM_REC709).T @ [0.2126, 0.7152, 0.0722]


def of(ascension: float, declination: float) -> Any:
    a, d = np.radians([ascension, declination])
    return np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


def apart_deg(a: Any, b: Any) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


def test_the_moon_stands_where_almanacs_say() -> None:
    # Meeus, Astronomical Algorithms, example 47.a: 1992 April 12, 0h TD.
    days = 2448724.5 - 2451545.0
    longitude, latitude, parallax = moon_ecliptic_deg(days)
    assert longitude == pytest.approx(133.162655, abs=0.3)
    assert latitude == pytest.approx(-3.229126, abs=0.2)
    assert parallax == pytest.approx(0.991990, abs=0.003)
    assert apart_deg(of(*moon_equatorial_deg(days)), of(134.688470, 13.768368)) < 0.3
    # Example 48.a: then 0.6786 of it is lit.
    elongation = apart_deg(of(*moon_equatorial_deg(days)), of(*sun_equatorial_deg(days)))
    assert (1.0 - np.cos(np.radians(elongation))) / 2.0 == pytest.approx(0.6786, abs=0.01)


@pytest.mark.parametrize(
    ("when", "elongation"),
    [(datetime(2026, 1, 3, 10, 3, tzinfo=UTC), 180.0), (datetime(2026, 2, 17, 12, 1, tzinfo=UTC), 0.0),
     (datetime(2026, 3, 25, 19, 18, tzinfo=UTC), 90.0)],
)  # fmt: skip
def test_full_new_and_half_moons_of_2026(when: datetime, elongation: float) -> None:
    days = terrestrial_days(when)
    found = apart_deg(of(*moon_equatorial_deg(days)), of(*sun_equatorial_deg(days)))
    assert abs(found - elongation) < (6.0 if elongation in (0.0, 180.0) else 1.0)


def test_stars_are_where_they_are() -> None:
    names = [star[0] for star in STARS]
    assert len(set(names)) == len(names) <= 100
    assert np.all(np.diff(MAGNITUDES) >= 0.0)
    places = {name: of(*place) for name, place in zip(names, equatorial_deg(0.0), strict=True)}
    # Angles between well known pairs.
    for one, other, angle in (
        ("Alnilam", "Alnitak", 1.36), ("Alnilam", "Mintaka", 1.39), ("Castor", "Pollux", 4.51),
        ("Dubhe", "Merak", 5.37), ("Betelgeuse", "Rigel", 18.6), ("Vega", "Altair", 34.2), ("Vega", "Deneb", 23.8),
        ("Acrux", "Gacrux", 6.0), ("Rigil Kentaurus", "Hadar", 4.4), ("Dubhe", "Polaris", 28.7),
        ("Markab", "Scheat", 12.9), ("Alpheratz", "Scheat", 14.2), ("Mizar", "Alkaid", 6.7),
    ):  # fmt: skip
        assert apart_deg(places[one], places[other]) == pytest.approx(angle, abs=0.1), (one, other)
    # Precession: the pole comes nearer to Polaris, 89.37 degrees in 2026.
    later = equatorial_deg(26.5 * 365.25)[names.index("Polaris")]
    assert later[1] == pytest.approx(89.37, abs=0.02)
    # Everywhere and always Polaris stands near north, as high as the latitude.
    for hour in (0, 7, 15):
        when = datetime(2026, 5, 1, hour, tzinfo=UTC)
        ((azimuth, elevation),) = horizontal_deg(np.array([later]), when, *MUNICH)
        assert abs((azimuth + 180.0) % 360.0 - 180.0) < 1.2
        assert elevation == pytest.approx(MUNICH[0], abs=0.8)


def test_the_air_takes_light_and_the_phase_more() -> None:
    assert float(passing(np.array(90.0))) == pytest.approx(10 ** (-0.4 * 0.25), rel=0.01)
    assert float(passing(np.array(1.0))) < 0.02
    assert float(passing(np.array(-0.5))) == 0.0
    assert float(lux_of_magnitude(-26.74)) == pytest.approx(128_000, rel=0.25)
    assert disc_share(0.0) == pytest.approx(1.0, abs=0.01)
    assert disc_share(90.0) == pytest.approx(0.28, abs=0.1)
    assert disc_share(180.0) == pytest.approx(0.0, abs=1e-3)


class Bench:
    def __init__(self, easel: Any) -> None:
        self.easel, self.device = easel, easel.device

    def scene(self, when: str, **sky: Any) -> Scene:
        place = {"latitude_deg": MUNICH[0], "longitude_deg": MUNICH[1]}
        made: Scene = self.easel.scene(sky={"when": when, **place, **sky})
        return made

    def lux_about(self, scene: Scene, direction: Any, tangent: float) -> float:
        """Illuminance, lux, of what is brighter than the sky about it in a view that looks at `direction`."""
        light = self.easel.look(scene, along=direction, tangent=tangent)[::-1, :, :3] @ LUMINANCE
        self.light = light
        return float((light - np.median(light)).sum() * (2 * tangent / SIZE[1]) ** 2 * 100.0)


@pytest.fixture
def bench(easel: Any) -> Bench:
    return Bench(easel(SIZE))


NIGHT = "2026-01-03T22:00:00+01:00"


@pytest.mark.parametrize("tangent", [0.02, 0.06])
def test_a_star_gives_its_light_at_every_size_of_picture(bench: Bench, tangent: float) -> None:
    scene = bench.scene(NIGHT, night_nits=0.0)
    days = terrestrial_days(datetime(2026, 1, 3, 21, tzinfo=UTC))
    ((azimuth, elevation),) = horizontal_deg(equatorial_deg(days)[:1], datetime(2026, 1, 3, 21, tzinfo=UTC), *MUNICH)
    sirius = direction_from_pan_elevation(-azimuth, elevation)
    want = lux_of_magnitude(-1.46) * passing(np.array(elevation))
    assert bench.lux_about(scene, sirius, tangent) == pytest.approx(float(want), rel=0.03)
    rows, columns = np.nonzero(bench.light > 0.5 * bench.light.max())
    assert abs(rows.mean() - SIZE[1] / 2 + 0.5) < 1.0
    assert abs(columns.mean() - SIZE[0] / 2 + 0.5) < 1.0


def test_the_moon_gives_its_light_and_turns_its_face_to_the_sun(bench: Bench) -> None:
    for when, utc in ((NIGHT, datetime(2026, 1, 3, 21, tzinfo=UTC)),
                      ("2026-02-20T19:00:00+01:00", datetime(2026, 2, 20, 18, tzinfo=UTC))):  # fmt: skip
        scene = bench.scene(when, night_nits=0.0)
        sun = direction_from_pan_elevation(*(np.array([-1, 1]) * sun_azimuth_elevation_deg(utc, *MUNICH)))
        night = night_of(utc, *MUNICH, 0.0, sun)
        phase = np.degrees(np.arccos(-night.moon @ sun))
        elevation = np.degrees(np.arcsin(night.moon[2]))
        want = lux_of_magnitude(-12.73 + 0.026 * phase + 4e-9 * phase**4) * passing(np.array(elevation))
        found = bench.lux_about(scene, night.moon, 0.02)
        tint = float(np.array([1.05, 1.0, 0.88]) @ [0.2126, 0.7152, 0.0722])
        # A thin crescent is little but edge, and edges are a pixel wide.
        assert found == pytest.approx(float(want) * tint, rel=0.05 if phase < 60.0 else 0.2)
        # Its light lies towards the sun, which is below.
        rows, _ = np.nonzero(bench.light > 0.3 * bench.light.max())
        assert (rows.mean() < SIZE[1] / 2 - 4) == (phase > 60.0)
    assert scene.sky is not None


def test_by_day_and_by_hand_there_is_none(bench: Bench) -> None:
    for scene in (
        bench.scene("2026-01-03T12:00:00+01:00"),
        bench.scene(NIGHT, stars=False),
        bench.scene(NIGHT, background=False),
    ):
        assert scene.sky is not None
        assert scene.sky.night is None
    by_hand = Scene.from_assets(bench.device, SceneConfig(sky={"elevation_deg": -30.0}), [])
    bench.easel.keep(by_hand)
    assert by_hand.sky is not None
    assert by_hand.sky.night is None
    # The hour is a live value: stars come out as it passes.
    noon = bench.scene("2026-01-03T12:00:00+01:00")
    noon.apply({"sky/later_h": 10.0})
    assert noon.sky is not None
    assert noon.sky.night is not None
    assert noon.sky.night.stars[:, 2].min() > 0.0
