"""The night sky of a date, time and place: the brightest stars, and the moon with its phase.

The moon's place is the Astronomical Almanac's short series (0.3 degrees), its light follows its phase (Allen). Both
are dimmed by the air on the way. They are seen, and light nothing: `night_nits` of the sky is what a night gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from renderer.lights import rec709_from_temperature
from renderer.stars import MAGNITUDES, equatorial_deg, temperatures_k
from renderer.sun_position import direction_from_pan_elevation, horizontal_deg, terrestrial_days
from stage.frames import Array

DARK_BELOW_DEG: Final = -3.0
"""Height of the sun from which stars and moon are drawn: before, the sky outshines them."""
_MAGNITUDES_AN_AIR_MASS: Final = 0.25
_LUX_OF_MAGNITUDE_0: Final = 10.0 ** (-0.4 * 14.18)
_FULL_MOON: Final = -12.73
_ALBEDO_TINT: Final = np.array([1.05, 1.0, 0.88])
"""The moon's colour in sunlight, linear Rec.709."""


@dataclass(frozen=True, slots=True)
class Night:
    """What is seen of a night.

    stars : ndarray, [n, 3]  directions in the scene; star_light : [n, 3]  illuminance, linear Rec.709, 100 lux
    moon : [3]  direction; moon_radius_rad : as it is seen
    moon_light : [3]  luminance of a full moon's disc with the phase's loss in it, linear Rec.709, 100 nit
    moon_sun : [3]  to the sun from the moon
    """

    stars: Array
    star_light: Array
    moon: Array
    moon_radius_rad: float
    moon_light: Array
    moon_sun: Array


def moon_ecliptic_deg(days: float, /) -> tuple[float, float, float]:
    """Longitude, latitude and horizontal parallax, `days` of terrestrial time after noon of 1 January 2000."""
    t = days / 36525.0

    def angle(start: float, century: float) -> float:
        return float(np.radians(start + century * t))

    longitude = (
        218.32
        + 481267.881 * t
        + 6.29 * np.sin(angle(135.0, 477198.87))
        - 1.27 * np.sin(angle(259.3, -413335.36))
        + 0.66 * np.sin(angle(235.7, 890534.22))
        + 0.21 * np.sin(angle(269.9, 954397.74))
        - 0.19 * np.sin(angle(357.5, 35999.05))
        - 0.11 * np.sin(angle(186.5, 966404.03))
    )
    latitude = (
        5.13 * np.sin(angle(93.3, 483202.02))
        + 0.28 * np.sin(angle(228.2, 960400.89))
        - 0.28 * np.sin(angle(318.3, 6003.15))
        - 0.17 * np.sin(angle(217.6, -407332.21))
    )
    parallax = (
        0.9508
        + 0.0518 * np.cos(angle(135.0, 477198.87))
        + 0.0095 * np.cos(angle(259.3, -413335.36))
        + 0.0078 * np.cos(angle(235.7, 890534.22))
        + 0.0028 * np.cos(angle(269.9, 954397.74))
    )
    return float(longitude % 360.0), float(latitude), float(parallax)


def moon_equatorial_deg(days: float, /) -> tuple[float, float]:
    """Right ascension and declination of the date."""
    longitude, latitude, _ = moon_ecliptic_deg(days)
    lon, lat, tilt = np.radians([longitude, latitude, 23.4393 - 0.0130042 * days / 36525.0])
    x = np.cos(lat) * np.cos(lon)
    y = np.cos(tilt) * np.cos(lat) * np.sin(lon) - np.sin(tilt) * np.sin(lat)
    z = np.sin(tilt) * np.cos(lat) * np.sin(lon) + np.cos(tilt) * np.sin(lat)
    return float(np.degrees(np.arctan2(y, x)) % 360.0), float(np.degrees(np.arcsin(z)))


def lux_of_magnitude(magnitude: Array | float, /) -> Array:
    """Illuminance outside the air."""
    return np.asarray(_LUX_OF_MAGNITUDE_0 * 10.0 ** (-0.4 * np.asarray(magnitude)))


def passing(elevation_deg: Array, /) -> Array:
    """Share of a star's light that the air lets through at a height (Kasten and Young's air mass); none below."""
    height = np.maximum(np.asarray(elevation_deg, dtype=np.float64), 0.0)
    mass = 1.0 / (np.sin(np.radians(height)) + 0.50572 * (height + 6.07995) ** -1.6364)
    return np.where(np.asarray(elevation_deg) > 0.0, 10.0 ** (-0.4 * _MAGNITUDES_AN_AIR_MASS * mass), 0.0)


def phase_deg(moon: Array, sun: Array, /) -> float:
    """Angle at the moon between the eye and the sun: 0 full, 180 new (the sun is taken to be endlessly far)."""
    return float(np.degrees(np.arccos(np.clip(-np.dot(moon, sun), -1.0, 1.0))))


def disc_share(phase: float, /) -> float:
    """What the moon's disc gives at a phase angle, degrees, of what it would give if all of it were as bright as its
    lit limb: the mean over the disc of Lommel and Seeliger's law."""
    x, y = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128))
    inside = x * x + y * y < 1.0
    z = np.sqrt(np.clip(1.0 - x * x - y * y, 0.0, 1.0))
    lit = np.maximum(x * np.sin(np.radians(phase)) + z * np.cos(np.radians(phase)), 0.0)
    return float((2.0 * lit / (lit + z + 1e-9))[inside].mean())


def night_of(when: datetime, latitude_deg: float, longitude_deg: float, north_deg: float, sun: Array, /) -> Night:
    """The night of a place; `sun` is the direction to the sun in the scene, [3], `north_deg` the pan of north."""
    days = terrestrial_days(when)
    of_stars = horizontal_deg(equatorial_deg(days), when, latitude_deg, longitude_deg)
    up = of_stars[:, 1] > 0.0
    lux = lux_of_magnitude(MAGNITUDES) * passing(of_stars[:, 1])
    colours = np.array([rec709_from_temperature(float(k)) for k in temperatures_k()])
    _, _, parallax = moon_ecliptic_deg(days)
    ((azimuth, elevation),) = horizontal_deg(
        np.array([moon_equatorial_deg(days)]), when, latitude_deg, longitude_deg, parallax_deg=parallax
    )
    moon = np.asarray(direction_from_pan_elevation(north_deg - azimuth, elevation))
    phase = phase_deg(moon, sun)
    radius = float(np.radians(0.2724 * parallax))
    all_of_it = lux_of_magnitude(_FULL_MOON + 0.026 * phase + 4e-9 * phase**4) * passing(np.array(elevation))
    disc = float(all_of_it) / (np.pi * radius**2) / max(disc_share(phase), 1e-3)
    return Night(
        stars=np.stack([direction_from_pan_elevation(north_deg - a, e) for a, e in of_stars[up]]),
        star_light=colours[up] * (lux[up] / 100.0)[:, None],
        moon=moon,
        moon_radius_rad=radius,
        moon_light=_ALBEDO_TINT * (disc / 100.0),
        moon_sun=np.asarray(sun),
    )
