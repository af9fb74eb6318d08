"""The brightest stars: where they stand, how bright they are, and of what colour.

Places are of the year 2000 (right ascension and declination, degrees), magnitudes visual, colours B - V. Facts of
astronomy, rounded; precession takes them to any date, their own motions are left out (Rigil Kentaurus: 0.03 degrees
in thirty years).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stage.frames import Array

STARS: Final = (
    ("Sirius", 101.287, -16.716, -1.46, 0.00), ("Canopus", 95.988, -52.696, -0.74, 0.15),
    ("Rigil Kentaurus", 219.902, -60.834, -0.27, 0.71), ("Arcturus", 213.915, 19.182, -0.05, 1.23),
    ("Vega", 279.235, 38.784, 0.03, 0.00), ("Capella", 79.172, 45.998, 0.08, 0.80),
    ("Rigel", 78.634, -8.202, 0.13, -0.03), ("Procyon", 114.825, 5.225, 0.34, 0.42),
    ("Achernar", 24.429, -57.237, 0.46, -0.16), ("Betelgeuse", 88.793, 7.407, 0.50, 1.85),
    ("Hadar", 210.956, -60.373, 0.61, -0.23), ("Altair", 297.696, 8.868, 0.76, 0.22),
    ("Acrux", 186.650, -63.099, 0.76, -0.24), ("Aldebaran", 68.980, 16.509, 0.86, 1.54),
    ("Antares", 247.352, -26.432, 0.96, 1.83), ("Spica", 201.298, -11.161, 0.97, -0.23),
    ("Pollux", 116.329, 28.026, 1.14, 1.00), ("Fomalhaut", 344.413, -29.622, 1.16, 0.09),
    ("Deneb", 310.358, 45.280, 1.25, 0.09), ("Mimosa", 191.930, -59.689, 1.25, -0.23),
    ("Regulus", 152.093, 11.967, 1.39, -0.11), ("Adhara", 104.656, -28.972, 1.50, -0.21),
    ("Castor", 113.650, 31.888, 1.58, 0.03), ("Shaula", 263.402, -37.104, 1.62, -0.22),
    ("Gacrux", 187.791, -57.113, 1.64, 1.59), ("Bellatrix", 81.283, 6.350, 1.64, -0.22),
    ("Elnath", 81.573, 28.608, 1.65, -0.13), ("Miaplacidus", 138.300, -69.717, 1.68, 0.00),
    ("Alnilam", 84.053, -1.202, 1.69, -0.18), ("Alnair", 332.058, -46.961, 1.74, -0.13),
    ("Alnitak", 85.190, -1.943, 1.77, -0.21), ("Alioth", 193.507, 55.960, 1.77, -0.02),
    ("Dubhe", 165.932, 61.751, 1.79, 1.07), ("Mirfak", 51.081, 49.861, 1.80, 0.48),
    ("Wezen", 107.098, -26.393, 1.84, 0.68), ("Kaus Australis", 276.043, -34.385, 1.85, -0.03),
    ("Avior", 125.628, -59.510, 1.86, 1.28), ("Alkaid", 206.885, 49.313, 1.86, -0.19),
    ("Sargas", 264.330, -42.998, 1.87, 0.40), ("Menkalinan", 89.882, 44.947, 1.90, 0.03),
    ("Atria", 252.166, -69.028, 1.92, 1.44), ("Alhena", 99.428, 16.399, 1.93, 0.00),
    ("Peacock", 306.412, -56.735, 1.94, -0.20), ("Alsephina", 131.176, -54.709, 1.96, 0.04),
    ("Mirzam", 95.675, -17.956, 1.98, -0.24), ("Alphard", 141.897, -8.659, 1.98, 1.44),
    ("Polaris", 37.955, 89.264, 1.98, 0.60), ("Hamal", 31.793, 23.462, 2.00, 1.15),
    ("Algieba", 154.993, 19.842, 2.01, 1.13), ("Diphda", 10.897, -17.987, 2.02, 1.02),
    ("Nunki", 283.816, -26.297, 2.05, -0.22), ("Menkent", 211.671, -36.370, 2.06, 1.01),
    ("Mirach", 17.433, 35.621, 2.06, 1.58), ("Alpheratz", 2.097, 29.090, 2.06, -0.11),
    ("Rasalhague", 263.734, 12.560, 2.08, 0.15), ("Kochab", 222.676, 74.156, 2.08, 1.47),
    ("Saiph", 86.939, -9.670, 2.09, -0.17), ("Tiaki", 340.667, -46.885, 2.11, 1.60),
    ("Algol", 47.042, 40.957, 2.12, -0.05), ("Denebola", 177.265, 14.572, 2.14, 0.09),
    ("Muhlifain", 190.379, -48.960, 2.17, -0.01), ("Suhail", 136.999, -43.433, 2.21, 1.66),
    ("Mizar", 200.981, 54.925, 2.23, 0.02), ("Alphecca", 233.672, 26.715, 2.23, -0.02),
    ("Mintaka", 83.002, -0.299, 2.23, -0.22), ("Sadr", 305.557, 40.257, 2.23, 0.68),
    ("Eltanin", 269.152, 51.489, 2.23, 1.52), ("Schedar", 10.127, 56.537, 2.23, 1.17),
    ("Naos", 120.896, -40.003, 2.25, -0.26), ("Aspidiske", 139.273, -59.275, 2.25, 0.18),
    ("Almach", 30.975, 42.330, 2.26, 1.37), ("Caph", 2.295, 59.150, 2.27, 0.34),
    ("Larawag", 252.541, -34.293, 2.29, 1.15), ("Dschubba", 240.083, -22.622, 2.32, -0.12),
    ("Izar", 221.247, 27.074, 2.37, 0.97), ("Merak", 165.460, 56.382, 2.37, -0.02),
    ("Ankaa", 6.571, -42.306, 2.38, 1.09), ("Enif", 326.046, 9.875, 2.39, 1.53),
    ("Girtab", 265.622, -39.030, 2.41, -0.22), ("Scheat", 345.944, 28.083, 2.42, 1.67),
    ("Sabik", 257.595, -15.725, 2.43, 0.06), ("Phecda", 178.458, 53.695, 2.44, 0.00),
    ("Aludra", 111.024, -29.303, 2.45, -0.08), ("Markeb", 140.528, -55.011, 2.47, -0.18),
    ("Navi", 14.177, 60.717, 2.47, -0.15), ("Markab", 346.190, 15.205, 2.48, -0.04),
    ("Aljanah", 311.553, 33.970, 2.48, 1.03), ("Menkar", 45.570, 4.090, 2.53, 1.64),
    ("Zosma", 168.527, 20.524, 2.56, 0.12), ("Arneb", 83.183, -17.822, 2.58, 0.21),
    ("Gienah", 183.952, -17.542, 2.59, -0.11), ("Zubeneschamali", 229.252, -9.383, 2.61, -0.11),
    ("Acrab", 241.359, -19.805, 2.62, -0.07), ("Sheratan", 28.660, 20.808, 2.64, 0.13),
    ("Unukalhai", 236.067, 6.426, 2.65, 1.17), ("Kraz", 188.597, -23.397, 2.65, 0.89),
    ("Ruchbah", 21.454, 60.235, 2.68, 0.13), ("Tarazed", 296.565, 10.613, 2.72, 1.52),
)  # fmt: skip
"""Name, right ascension, declination, magnitude, B - V; the brightest first."""

_PLACES: Final = np.array([star[1:3] for star in STARS])
MAGNITUDES: Final = np.array([star[3] for star in STARS])
COLOUR_INDICES: Final = np.array([star[4] for star in STARS])


def equatorial_deg(days: float, /) -> Array:
    """Right ascension and declination of the date, [stars, 2], `days` after noon of 1 January 2000 (precession)."""
    t = days / 36525.0
    zeta, z, theta = np.radians(np.array([2306.2181, 2306.2181, 2004.3109]) * t / 3600.0)
    ascension, declination = np.radians(_PLACES).T
    a = np.cos(declination) * np.sin(ascension + zeta)
    across = np.cos(theta) * np.cos(declination) * np.cos(ascension + zeta)
    b = across - np.sin(theta) * np.sin(declination)
    c = np.sin(theta) * np.cos(declination) * np.cos(ascension + zeta) + np.cos(theta) * np.sin(declination)
    places = np.stack([(np.arctan2(a, b) + z) % (2.0 * np.pi), np.arcsin(np.clip(c, -1.0, 1.0))], axis=1)
    return np.asarray(np.degrees(places))


def temperatures_k() -> Array:
    """Temperature of a black body of each star's colour, [stars] (Ballesteros' formula)."""
    b_v = np.clip(COLOUR_INDICES, -0.3, 2.0)
    return np.asarray(4600.0 * (1.0 / (0.92 * b_v + 1.7) + 1.0 / (0.92 * b_v + 0.62)))
