"""A clear sky worked out from physics: what the air scatters and swallows, for every sun from night to noon.

Eight wavelengths pass Rayleigh's air, haze and ozone in a round shell over a round earth; light that is scattered
more than once is added as an even glow of each height (Hillaire's closed sum). The result is a table over sun, view
height and azimuth in linear ACEScg, 1.0 = 100 nit. Haze's single scattering is kept apart, without its phase: that is
the bright halo, and the shader works it out where the sun really stands. A sun that moves only reads the table.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from renderer.working import AP1_FROM_REC709, REC709, xyz_from_rgb

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

EARTH_M: Final = 6_360_000.0
TOP_M: Final = 6_460_000.0
SUN_RADIUS_RAD: Final = np.radians(0.2666)
HAZE_G: Final = 0.8
"""How far forward haze scatters (Cornette and Shanks' phase function)."""
LUX_AT_TOP: Final = 133_000.0
"""Illuminance of the sun before the air, at its mean distance."""

LAMBDA_NM: Final = np.array([410.0, 450.0, 490.0, 530.0, 570.0, 610.0, 650.0, 690.0])
_RAYLEIGH: Final = 1.24062e-6 * (LAMBDA_NM / 1000.0) ** -4.0
"""Scattering of sea-level air, per metre."""
_HAZE: Final = 4.0e-6
_HAZE_SWALLOWED: Final = 0.44e-6
# The Chappuis band in 1e-25 m2 a molecule; 300 Dobson units in a layer 15 km to both sides of 25 km.
_OZONE: Final = np.array([0.01, 0.16, 0.77, 2.6, 4.6, 4.7, 2.4, 1.1]) * 1e-25 * (8.07e22 / 15_000.0)
_HEIGHTS_M: Final = (8_000.0, 1_200.0)

SUN_ELEVATIONS_DEG: Final = np.concatenate(
    [np.arange(-18.0, -6.0, 1.5), np.arange(-6.0, 12.0, 1.0), [12, 14, 17, 20, 24, 28, 33, 38, 44, 50, 57, 65, 74, 90]]
)
UP_ROWS: Final = 40
DOWN_ROWS: Final = 8
AZIMUTHS: Final = 33
_STEPS: Final = 28
_TABLES_MOST: Final = 64
"""Tables kept in a folder: the oldest go first."""


def _bump(x: F64, mean: float, left: float, right: float) -> F64:
    return np.exp(-0.5 * ((x - mean) / np.where(x < mean, left, right)) ** 2)


@lru_cache(maxsize=1)
def _light() -> tuple[F64, F64]:
    """Sunlight before the air by wavelength, [8] (W m-2 nm-1 up to a factor), and [3, 8] what makes ACEScg of such."""
    nm = np.arange(380.0, 741.0, 1.0)
    # The observer of 1931 as sums of bells (Wyman, Sloan and Shirley); the sun as a black body of 5,778 K.
    observer = np.stack(
        [
            1.056 * _bump(nm, 599.8, 37.9, 31.0) + 0.362 * _bump(nm, 442.0, 16.0, 26.7)
            - 0.065 * _bump(nm, 501.1, 20.4, 26.2),
            0.821 * _bump(nm, 568.8, 46.9, 40.5) + 0.286 * _bump(nm, 530.9, 16.3, 31.1),
            1.217 * _bump(nm, 437.0, 11.8, 36.0) + 0.681 * _bump(nm, 459.0, 26.0, 13.8),
        ]
    )  # fmt: skip
    sun = _planck(nm)
    # A spectrum between two wavelengths is the sunlight there times the mean of what the air left of both.
    share = np.stack([np.interp(nm, LAMBDA_NM, row) for row in np.eye(len(LAMBDA_NM))])
    xyz = (observer * sun) @ share.T
    xyz *= LUX_AT_TOP / 100.0 / xyz[1].sum()
    rgb = AP1_FROM_REC709 @ np.linalg.solve(xyz_from_rgb(REC709), xyz)
    return np.ones(len(LAMBDA_NM)), rgb


def _planck(nm: F64) -> F64:
    return np.asarray((nm / 500.0) ** -5.0 / np.expm1(14_387_769.0 / (nm * 5778.0)))


@dataclass(frozen=True, slots=True)
class Air:
    """What a sky is made of."""

    haze: float = 1.0
    """Aerosol, in multiples of clear country air."""
    ozone: float = 1.0
    albedo: tuple[float, float, float] = (0.3, 0.3, 0.3)
    """Colour of the ground, linear Rec.709."""
    altitude_m: float = 0.0


@dataclass(frozen=True, slots=True)
class SkyTable:
    """The sky of one kind of air. Rows go up from the horizon, then down from it; azimuth 0 is the sun's, the last
    opposite; the first axis is `SUN_ELEVATIONS_DEG`."""

    glow: F32
    """[suns, rows, azimuths, 3]  all light but `halo`'s."""
    halo: F32
    """[suns, up rows, azimuths, 3]  light that haze scattered once, to be multiplied by its phase."""
    columns: F32
    """[heights, angles, 3]  the optical table `sun_illuminance` reads."""
    air: Air
    dip_rad: float
    """How far below level the horizon lies."""

    def at(self, elevation_deg: float, /) -> tuple[F32, F32]:
        """Glow and halo, [rows, azimuths, 3] and [up rows, azimuths, 3], of a sun at any elevation."""
        where = float(np.clip(elevation_deg, SUN_ELEVATIONS_DEG[0], SUN_ELEVATIONS_DEG[-1]))
        last = min(int(np.searchsorted(SUN_ELEVATIONS_DEG, where, side="right")) - 1, len(SUN_ELEVATIONS_DEG) - 2)
        low, high = SUN_ELEVATIONS_DEG[last], SUN_ELEVATIONS_DEG[last + 1]
        share = np.float32((where - low) / (high - low))
        # In ratios: dusk falls through seven decades. But where the earth's shadow goes by, evenly.
        mixed = []
        for table in (self.glow, self.halo):
            a, b = table[last], table[last + 1]
            ratios = np.exp(np.log(a) * (np.float32(1.0) - share) + np.log(b) * share)
            evenly = a * (np.float32(1.0) - share) + b * share
            mixed.append(np.where(np.maximum(a, b) > 20.0 * np.minimum(a, b), evenly, ratios))
        # Below the table's end it is night, without a step.
        faded = np.float32(10.0 ** (0.4 * (elevation_deg - where))) if elevation_deg < where else np.float32(1.0)
        return mixed[0] * faded, mixed[1] * faded

    def sun_illuminance(self, elevation_deg: float, /) -> F64:
        """[3]  light of the sun on a surface that faces it, in units of 100 lux, linear ACEScg; its disc sinks into the
        horizon."""
        spectrum, rgb = _light()
        up = np.radians(elevation_deg)
        risen = float(np.clip(0.5 + 0.5 * (up + self.dip_rad) / SUN_RADIUS_RAD, 0.0, 1.0))
        risen = risen * risen * (3.0 - 2.0 * risen)
        height = np.array([2.0 + self.air.altitude_m])
        # The lower part of a half-sunk disc is hidden: what is seen is never below the horizon.
        seen = np.sin(np.maximum(up, -self.dip_rad + 1e-4))
        through = np.exp(-_extinction(self.air) @ _look_up(self.columns, height, np.array([seen]))[0])
        return np.asarray(np.maximum(rgb @ (spectrum * through), 0.0) * risen)


def row_elevations(dip_rad: float) -> F64:
    """[rows]  elevation of each row in radians: `UP_ROWS` from the horizon to the zenith, then down to the nadir."""
    up = np.linspace(0.0, 1.0, UP_ROWS) ** 2
    down = np.linspace(0.0, 1.0, DOWN_ROWS) ** 2
    rise = np.pi / 2 + dip_rad
    return np.concatenate([-dip_rad + up * rise, -dip_rad - down * (np.pi - rise)])


def _extinction(air: Air) -> F64:
    """[8, 3]  of sea-level air, haze at the ground and ozone at its densest, per metre."""
    haze = np.full(len(LAMBDA_NM), (_HAZE + _HAZE_SWALLOWED) * air.haze)
    return np.stack([_RAYLEIGH, haze, _OZONE * air.ozone], axis=1)


def _density(height_m: NDArray[np.floating]) -> NDArray[np.floating]:
    """[..., 3]  of air, haze and ozone at a height, 1 at their densest."""
    return np.stack(
        [
            np.exp(-height_m / _HEIGHTS_M[0]),
            np.exp(-height_m / _HEIGHTS_M[1]),
            np.maximum(0.0, 1.0 - np.abs(height_m - 25_000.0) / 15_000.0),
        ],
        axis=-1,
    )


_COLUMN_SHAPE: Final = (48, 160)


@lru_cache(maxsize=1)
def _columns() -> F32:
    """[heights, angles, 3]  density summed along rays to space, metres; angles from the horizon to the zenith."""
    heights, angles = _COLUMN_SHAPE
    horizon_top = np.sqrt(TOP_M**2 - EARTH_M**2)
    to_horizon = np.linspace(0.0, 1.0, heights)[:, None] * horizon_top
    r = np.sqrt(to_horizon**2 + EARTH_M**2)
    shortest = TOP_M - r
    length = shortest + np.linspace(0.0, 1.0, angles) * (to_horizon + horizon_top - shortest)
    length = np.maximum(length, 1.0)
    up = np.clip((TOP_M**2 - r**2 - length**2) / (2.0 * r * length), -1.0, 1.0)
    # Denser where the ray starts, and again where a grazing one is lowest.
    edge = np.linspace(0.0, 1.0, 161)
    out = np.zeros((heights, angles, 3))
    for a, b in pairwise(edge):
        s = (a + b) / 2.0 * length
        height = np.sqrt(np.maximum(r * r + s * s + 2.0 * r * s * up, EARTH_M**2)) - EARTH_M
        out += _density(height) * ((b - a) * length)[..., None]
    return np.asarray(out, dtype=np.float32)


def _look_up(columns: F32, height_m: NDArray[np.floating], up: NDArray[np.floating]) -> NDArray[np.floating]:
    """[..., 3]  columns to space from a height towards `up`, the sine of the elevation, at or above the horizon."""
    heights, angles = columns.shape[:2]
    r = np.clip(height_m, 0.0, TOP_M - EARTH_M - 1.0) + EARTH_M
    horizon_top = np.sqrt(TOP_M**2 - EARTH_M**2)
    to_horizon = np.sqrt(np.maximum(r * r - EARTH_M**2, 0.0))
    up = np.maximum(up, -to_horizon / r)
    length = -r * up + np.sqrt(np.maximum(r * r * (up * up - 1.0) + TOP_M**2, 0.0))
    shortest = TOP_M - r
    y = to_horizon / horizon_top * (heights - 1)
    x = np.clip((length - shortest) / (to_horizon + horizon_top - shortest), 0.0, 1.0) * (angles - 1)
    y0 = np.minimum(y.astype(np.intp), heights - 2)
    x0 = np.minimum(x.astype(np.intp), angles - 2)
    v, u = (y - y0)[..., None].astype(np.float32), (x - x0)[..., None].astype(np.float32)
    flat = columns.reshape(-1, 3)
    first = y0 * angles + x0
    near = flat[first] * (1.0 - u) + flat[first + 1] * u
    far = flat[first + angles] * (1.0 - u) + flat[first + angles + 1] * u
    return np.asarray(near * (1.0 - v) + far * v)


def _sunlight(columns: F32, extinction: F64, height_m: NDArray[np.floating], up: NDArray[np.floating]) -> F32:
    """[..., 8]  share of sunlight that reaches a height; 0 in the earth's shadow, its edge as wide as the disc."""
    through = np.exp(-(_look_up(columns, height_m, up) @ extinction.T.astype(np.float32)))
    r = EARTH_M + np.maximum(height_m, 0.0)
    horizon = -np.sqrt(np.maximum(1.0 - (EARTH_M / r) ** 2, 0.0))
    lit = np.clip(0.5 + 0.5 * (up - horizon) / SUN_RADIUS_RAD, 0.0, 1.0)
    return np.asarray(through * lit[..., None], dtype=np.float32)


_GLOW_HEIGHTS_M: Final = np.linspace(0.0, 1.0, 14) ** 2 * 60_000.0
_GLOW_SUNS: Final = np.concatenate([-(np.linspace(1.0, 0.0, 17)[:-1] ** 2), np.linspace(0.0, 1.0, 17) ** 2])
"""Sines of the sun's elevation: dense about the horizon."""


def _repeated(columns: F32, air: Air) -> F32:
    """[heights, suns, 8]  light scattered twice and more, per unit of scattering, where it is scattered last."""
    extinction = _extinction(air)
    spectrum, _ = _light()
    scattering = np.stack([_RAYLEIGH, np.full(8, _HAZE * air.haze)], axis=1)
    count = 40
    spiral = (np.arange(count) + 0.5) / count * 2.0 - 1.0
    turn = np.arange(count) * np.pi * (3.0 - np.sqrt(5.0))
    side = np.sqrt(1.0 - spiral**2)
    ray = np.stack([side * np.cos(turn), side * np.sin(turn), spiral], axis=1)
    sun_up = _GLOW_SUNS
    sun = np.stack([np.sqrt(1.0 - sun_up**2), np.zeros_like(sun_up), sun_up], axis=1)
    ground = np.asarray(air.albedo).mean()
    out = np.zeros((len(_GLOW_HEIGHTS_M), len(sun_up), 8), dtype=np.float32)
    for i, start in enumerate(_GLOW_HEIGHTS_M):
        place = np.array([0.0, 0.0, EARTH_M + max(1.0, start)])
        length, hits = _reach(place[2], ray[:, 2])
        edges = np.linspace(0.0, 1.0, 15) ** 1.5
        through = np.ones((count, 8))
        second, fed = np.zeros((len(sun_up), count, 8)), np.zeros((count, 8))
        for a, b in pairwise(edges):
            at = place + ray * ((a + b) / 2.0 * length)[:, None]
            radius = np.linalg.norm(at, axis=1)
            height = radius - EARTH_M
            density = _density(height)
            lost = density @ extinction.T
            gained = density[:, :2] @ scattering.T
            step = np.exp(-lost * ((b - a) * length)[:, None])
            part = through * gained * (1.0 - step) / lost
            local = np.einsum("si,ri->sr", sun, at / radius[:, None])
            second += part * _sunlight(columns, extinction, np.broadcast_to(height, local.shape), local)
            fed += part
            through = through * step
        foot = place + ray * length[:, None]
        normal = foot / np.linalg.norm(foot, axis=1)[:, None]
        local = np.einsum("si,ri->sr", sun, normal)
        lit = _sunlight(columns, extinction, np.zeros_like(local), local) * np.maximum(local, 0.0)[..., None]
        second += np.where(hits[:, None], through * (ground / np.pi), 0.0) * lit * (4.0 * np.pi)
        once = second.mean(axis=1) / (4.0 * np.pi) * spectrum
        out[i] = once / np.maximum(1.0 - fed.mean(axis=0), 0.05)
    return out


def _reach(radius_m: float, up: NDArray[np.floating]) -> tuple[F64, NDArray[np.bool_]]:
    """How far rays with sines `up` of their elevation go, to the ground or to space, and which hit the ground."""
    inside = radius_m**2 * (np.asarray(up, dtype=np.float64) ** 2 - 1.0)
    ground = inside + EARTH_M**2
    hits = (np.asarray(up) < 0.0) & (ground > 0.0)
    to_ground = -radius_m * up - np.sqrt(np.maximum(ground, 0.0))
    to_space = -radius_m * up + np.sqrt(inside + TOP_M**2)
    return np.where(hits, to_ground, to_space), hits


def _glow(repeated: F32, height_m: NDArray[np.floating], up: NDArray[np.floating]) -> F32:
    """[..., 8]  `_repeated` at heights and suns."""
    y = np.sqrt(np.clip(height_m / _GLOW_HEIGHTS_M[-1], 0.0, 1.0)) * (len(_GLOW_HEIGHTS_M) - 1)
    half = (len(_GLOW_SUNS) - 1) / 2
    x = half + np.sign(up) * np.sqrt(np.abs(up)) * half
    y0 = np.minimum(y.astype(np.intp), len(_GLOW_HEIGHTS_M) - 2)
    x0 = np.clip(x.astype(np.intp), 0, len(_GLOW_SUNS) - 2)
    v, u = (y - y0)[..., None].astype(np.float32), (x - x0)[..., None].astype(np.float32)
    near = repeated[y0, x0] * (1.0 - u) + repeated[y0, x0 + 1] * u
    far = repeated[y0 + 1, x0] * (1.0 - u) + repeated[y0 + 1, x0 + 1] * u
    return np.asarray(near * (1.0 - v) + far * v, dtype=np.float32)


@lru_cache(maxsize=4)
def sky_table(air: Air) -> SkyTable:
    """The sky of `air` for every sun. A second's work: never on air; kept for the last four kinds, and, where
    `keep_tables` says so, in a folder that other processes read it from within milliseconds."""
    table = _kept(air)
    if table is None:
        table = _worked_out(air)
        _keep(air, table)
    return table


def keep_tables(folder: Path | None) -> None:
    """Where tables are kept from now on; None: nowhere."""
    _kept_in[:] = [] if folder is None else [folder]


def _kept(air: Air) -> SkyTable | None:
    for folder in _kept_in:
        try:
            with (folder / _name(air)).open("rb") as file, np.load(file) as read:
                glow, halo, columns = read["glow"], read["halo"], read["columns"]
                return SkyTable(glow, halo, columns, air, float(read["dip_rad"]))
        except (OSError, KeyError, ValueError, EOFError, BadZipFile):
            continue
    return None


def _keep(air: Air, table: SkyTable) -> None:
    for folder in _kept_in:
        path = folder / _name(air)
        partial = path.with_name(f".{os.getpid()}.{path.name}")
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            np.savez(partial, glow=table.glow, halo=table.halo, columns=table.columns, dip_rad=table.dip_rad)
            partial.rename(path)
            kept = sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime_ns)
            for old in kept[:-_TABLES_MOST]:
                old.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _form() -> bytes:
    """What works tables out: another text of this module, another table."""
    return Path(__file__).read_bytes()


def _name(air: Air) -> str:
    return f"{blake2b(_form() + repr(air).encode(), digest_size=12).hexdigest()}.npz"


_kept_in: list[Path] = []


def _worked_out(air: Air) -> SkyTable:
    columns = _columns()
    repeated = _repeated(columns, air)
    eye = EARTH_M + 2.0 + air.altitude_m
    dip = float(np.arccos(EARTH_M / eye))
    elevations = row_elevations(dip)
    # A hair to its own side of the horizon.
    elevations[0] += 1e-6
    elevations[UP_ROWS] -= 1e-6
    suns = np.radians(SUN_ELEVATIONS_DEG)
    glow = np.empty((len(suns), UP_ROWS + DOWN_ROWS, AZIMUTHS, 3), dtype=np.float32)
    halo = np.empty((len(suns), UP_ROWS, AZIMUTHS, 3), dtype=np.float32)
    for row, elevation in enumerate(elevations):
        one, two = _row(columns, repeated, air, eye, float(elevation), suns)
        glow[:, row] = one
        if row < UP_ROWS:
            halo[:, row] = two
        else:
            glow[:, row] += two * haze_phase(_cosine(float(elevation), suns))[..., None]
    # The ground in the skylight, which is known now; the air before it takes as much of this as of the sun's.
    ground = AP1_FROM_REC709 @ np.asarray(air.albedo, dtype=np.float64) / np.pi
    lit = _on_the_ground(elevations[:UP_ROWS], glow[:, :UP_ROWS], halo, suns) * ground
    eye_height = np.array([2.0 + air.altitude_m])
    below = _look_up(columns, np.zeros(1), np.ones(1)) - _look_up(columns, eye_height, np.ones(1))
    depth = _extinction(air) @ below[0]
    for row in range(UP_ROWS, UP_ROWS + DOWN_ROWS):
        kept = np.exp(-depth[4] / max(float(-np.sin(elevations[row])), 1e-3))
        glow[:, row] += (lit * kept)[:, None]
    return SkyTable(np.maximum(glow, 1e-12), np.maximum(halo, 1e-12), columns, air, dip)


def _cosine(elevation_rad: float, suns: F64) -> F64:
    """[suns, azimuths]  of the angle between view and sun."""
    azimuth = np.linspace(0.0, np.pi, AZIMUTHS)
    return np.asarray(
        np.cos(elevation_rad) * np.cos(suns)[:, None] * np.cos(azimuth) + np.sin(elevation_rad) * np.sin(suns)[:, None]
    )


def haze_phase(cosine: NDArray[np.floating]) -> NDArray[np.floating]:
    """Share of light that haze scatters by an angle of this cosine, per steradian (the shader has the same)."""
    g = HAZE_G
    return np.asarray(
        3.0 / (8.0 * np.pi) * (1.0 - g * g) / (2.0 + g * g)
        * (1.0 + cosine**2) / (1.0 + g * g - 2.0 * g * cosine) ** 1.5
    )  # fmt: skip


def _on_the_ground(elevations: F64, glow: F32, halo: F32, suns: F64) -> F64:
    """[suns, 3]  light of the sky (without the sun) on level ground."""
    out = np.zeros((len(suns), 3))
    middles = (elevations[1:] + elevations[:-1]) / 2.0
    for row, elevation in enumerate(middles):
        light = (glow[:, row] + glow[:, row + 1]) / 2.0
        phase = haze_phase(_cosine(float(elevation), suns))[..., None]
        light = light + (halo[:, row] + halo[:, row + 1]) / 2.0 * phase
        # Azimuths from the sun's to the opposite one: the trapeze rule, once for each half.
        ring = (light[:, 1:] + light[:, :-1]).mean(axis=1) * np.pi
        wide = elevations[row + 1] - elevations[row]
        out += ring * float(np.sin(elevation) * np.cos(elevation) * wide)
    return out


def _row(columns: F32, repeated: F32, air: Air, eye: float, elevation_rad: float, suns: F64) -> tuple[F32, F32]:
    """Glow and halo, [suns, azimuths, 3] each, along one row of the table."""
    spectrum, rgb = _light()
    extinction = _extinction(air)
    length_m, hits = _reach(eye, np.array([np.sin(elevation_rad)]))
    length = float(length_m[0])
    # The eye's own air counts most: steps grow along the ray.
    edges = np.linspace(0.0, 1.0, _STEPS + 1) ** 2 * length
    middles, steps = (edges[:-1] + edges[1:]) / 2.0, np.diff(edges)
    ray = np.array([np.cos(elevation_rad), 0.0, np.sin(elevation_rad)])
    at = np.array([0.0, 0.0, eye]) + middles[:, None] * ray
    radius = np.linalg.norm(at, axis=1)
    height, normal = radius - EARTH_M, at / radius[:, None]
    density = _density(height)
    lost = density @ extinction.T
    step = np.exp(-lost * steps[:, None])
    through = np.concatenate([np.ones((1, 8)), np.cumprod(step, axis=0)])
    reaches = through[:-1] * (1.0 - step) / lost
    azimuth = np.linspace(0.0, np.pi, AZIMUTHS)
    to_sun = np.stack(
        [
            np.cos(suns)[:, None] * np.cos(azimuth),
            np.cos(suns)[:, None] * np.sin(azimuth),
            np.broadcast_to(np.sin(suns)[:, None], (len(suns), AZIMUTHS)),
        ],
        axis=-1,
    )
    local = np.einsum("saj,nj->nsa", to_sun, normal)
    heights = np.broadcast_to(height[:, None, None], local.shape)
    sunlight = _sunlight(columns, extinction, heights, local)
    cosine = _cosine(elevation_rad, suns)
    air_phase = (3.0 / (16.0 * np.pi) * (1.0 + cosine**2))[..., None]
    by_air = reaches * density[:, :1] * _RAYLEIGH
    by_haze = reaches * density[:, 1:2] * (_HAZE * air.haze)
    once = np.einsum("nsak,nk->sak", sunlight, (by_air * spectrum).astype(np.float32))
    halo = np.einsum("nsak,nk->sak", sunlight, (by_haze * spectrum).astype(np.float32))
    again = np.einsum("nsak,nk->sak", _glow(repeated, heights, local), (by_air + by_haze).astype(np.float32))
    light = (once * air_phase + again) @ rgb.T
    if hits[0]:
        foot = np.array([0.0, 0.0, eye]) + length * ray
        facing = np.einsum("saj,j->sa", to_sun, foot / np.linalg.norm(foot))
        zero = np.zeros_like(facing)
        direct = _sunlight(columns, extinction, zero, facing) * np.maximum(facing, 0.0)[..., None] * spectrum
        albedo = AP1_FROM_REC709 @ np.asarray(air.albedo, dtype=np.float64)
        light = light + (direct * through[-1]) @ rgb.T * (albedo / np.pi)
    return np.asarray(light, dtype=np.float32), np.asarray(halo @ rgb.T, dtype=np.float32)
