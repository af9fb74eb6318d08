"""Where the sun stands, by date, time and place: Meeus' series, good to a hundredth of a degree for centuries.

And where anything else stands whose place among the stars is known.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from stage.frames import Array

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_TERRESTRIAL_S = 69.0
"""Terrestrial minus universal time; it has grown by 6 s in twenty years, which moves the sun by 0.3 arc seconds."""


def sun_equatorial_deg(days: float, /) -> tuple[float, float]:
    """Apparent right ascension and declination, `days` of terrestrial time after noon of 1 January 2000."""
    t = days / 36525.0
    mean_long = 280.46646 + t * (36000.76983 + 0.0003032 * t)
    anomaly = np.radians(357.52911 + t * (35999.05029 - 0.0001537 * t))
    centre = (
        (1.914602 - t * (0.004817 + 0.000014 * t)) * np.sin(anomaly)
        + (0.019993 - 0.000101 * t) * np.sin(2.0 * anomaly)
        + 0.000289 * np.sin(3.0 * anomaly)
    )
    node = np.radians(125.04 - 1934.136 * t)
    # Aberration and the larger part of nutation.
    longitude = np.radians(mean_long + centre - 0.00569 - 0.00478 * np.sin(node))
    tilt = np.radians(23.4392911 - t * (0.0130042 + t * (1.64e-7 - 5.036e-7 * t)) + 0.00256 * np.cos(node))
    ascension = np.degrees(np.arctan2(np.cos(tilt) * np.sin(longitude), np.cos(longitude))) % 360.0
    return float(ascension), float(np.degrees(np.arcsin(np.sin(tilt) * np.sin(longitude))))


def sun_azimuth_elevation_deg(
    when: datetime, latitude_deg: float, longitude_deg: float, /, *, refraction: bool = True
) -> tuple[float, float]:
    """Azimuth (north 0, east 90) and elevation of the sun's middle; east longitudes are positive.

    With `refraction` the air at sea level lifts it as the eye sees it (half a degree at the horizon).

    Raises
    ------
    ValueError : `when` has no time zone.
    """
    if when.tzinfo is None:
        raise ValueError("a date and time needs its offset from UTC")
    equatorial = np.array([sun_equatorial_deg(terrestrial_days(when))])
    ((azimuth, elevation),) = horizontal_deg(
        equatorial, when, latitude_deg, longitude_deg, parallax_deg=8.794 / 3600.0, refraction=refraction
    )
    return float(azimuth), float(elevation)


def terrestrial_days(when: datetime, /) -> float:
    """Days of terrestrial time after noon of 1 January 2000."""
    return ((when - _J2000).total_seconds() + _TERRESTRIAL_S) / 86400.0


def horizontal_deg(
    equatorial_deg: Array,
    when: datetime,
    latitude_deg: float,
    longitude_deg: float,
    /,
    *,
    parallax_deg: float = 0.0,
    refraction: bool = True,
) -> Array:
    """Azimuth (north 0, east 90) and elevation, [n, 2], of places of the date, [n, 2] right ascension and declination.

    `parallax_deg` is how much lower a thing at the horizon stands because the eye is off the earth's middle.
    """
    days = (when - _J2000).total_seconds() / 86400.0
    t = days / 36525.0
    node = np.radians(125.04 - 1934.136 * t)
    sidereal = 280.46061837 + 360.98564736629 * days + 0.000387933 * t * t - 0.00478 * np.sin(node) * 0.9175
    hour = np.radians(sidereal + longitude_deg - equatorial_deg[:, 0])
    dec, lat = np.radians(equatorial_deg[:, 1]), np.radians(latitude_deg)
    up = np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(hour)
    north = np.cos(lat) * np.sin(dec) - np.sin(lat) * np.cos(dec) * np.cos(hour)
    east = -np.cos(dec) * np.sin(hour)
    elevation = np.degrees(np.arctan2(up, np.hypot(north, east)))
    elevation = elevation - parallax_deg * np.cos(np.radians(elevation))
    if refraction:
        lifted = np.maximum(elevation, -2.0)
        by = 1.02 / 60.0 / np.tan(np.radians(lifted + 10.3 / (lifted + 5.11)))
        elevation = elevation + np.where(elevation > -2.0, by, 0.0)
    return np.stack([np.degrees(np.arctan2(east, north)) % 360.0, elevation], axis=1)


def direction_from_pan_elevation(pan_deg: float, elevation_deg: float, /) -> Array:
    """[3]  unit vector: pan 0 over +Y, + to the left (+X is pan -90); elevation from the horizon up."""
    pan, elevation = np.radians(pan_deg), np.radians(elevation_deg)
    return np.array([-np.sin(pan) * np.cos(elevation), np.cos(pan) * np.cos(elevation), np.sin(elevation)])
