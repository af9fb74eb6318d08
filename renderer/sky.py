"""A physical sky that lights a scene: its picture, its irradiance, its blurred reflections and its sun.

`change` follows a new configuration. While only the sun, the exposure or what is seen change it costs some
milliseconds, always all at once: the same configuration gives the same sky, whatever stood before. Other air takes
a new table (see `renderer.atmosphere`), which is kept and can be made beforehand with `sky_table`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.air_config import SkyConfig
from renderer.atmosphere import AZIMUTHS, DOWN_ROWS, UP_ROWS, Air, SkyTable, haze_phase, sky_table
from renderer.device import Device
from renderer.domes import BASIS_CONSTANTS, ROUGHNESS_LEVELS, directions, irradiance_sh
from renderer.night import DARK_BELOW_DEG, Night, night_of
from renderer.panoramas import HALF_MAX, DomePicture
from renderer.sun_position import direction_from_pan_elevation
from renderer.working import AP1_FROM_REC709

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

OCTAHEDRON_PX: Final = 64
"""Side of a sky's reflections: it has no detail that a dome's 128 would show."""
WIDTH: Final = 128
HEIGHT: Final = 64
"""The panorama that irradiance and reflections are made of."""
TABLE_ROWS: Final = 2 * UP_ROWS + DOWN_ROWS
NIGHT: Final = AP1_FROM_REC709 @ np.array([0.45, 0.75, 2.2]) / 0.791
"""Colour of the night's own light, its luminance 1."""


def air_of(config: SkyConfig) -> Air:
    """What of a configuration needs a table of its own."""
    return Air(config.haze, config.ozone, config.ground_albedo, config.altitude_m)


class Sky:
    """A sky on the GPU. Its panorama's middle is the sun's azimuth: `yaw_deg` turns it there."""

    def __init__(self, device: Device, config: SkyConfig) -> None:
        ctx = device.ctx
        self.texture = ctx.texture((AZIMUTHS, TABLE_ROWS), 4, dtype="f2")
        self.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.texture.repeat_x = self.texture.repeat_y = False
        self.reflections = ctx.texture3d((OCTAHEDRON_PX, OCTAHEDRON_PX, ROUGHNESS_LEVELS), 4, dtype="f2")
        self.reflections.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.reflections.repeat_x = self.reflections.repeat_y = self.reflections.repeat_z = False
        self._working = device.working_from_rec709 @ np.linalg.inv(AP1_FROM_REC709)
        self._drawn: tuple[Air, float, float] | None = None
        self.config = config
        self.version = 0
        self.change(config)

    def change(self, config: SkyConfig) -> None:
        """Become the sky of `config`."""
        table = sky_table(air_of(config))
        pan, elevation = config.sun_pan_elevation_deg
        self.config = config
        self.table = table
        self.yaw_deg = pan
        self.elevation_deg = elevation
        self.direction = np.asarray(direction_from_pan_elevation(pan, elevation))
        gain = self.gain = float(np.exp2(config.exposure_ev))
        self.night = self._night_of(config, elevation)
        """Stars and moon; None by day."""
        self.illuminance = self._working @ table.sun_illuminance(elevation) * gain
        """[3]  of the sun on a surface that faces it, 100 lux."""
        state = (table.air, elevation, config.night_nits)
        if state != self._drawn:
            self._drawn = state
            self._bake(table, elevation, config.night_nits)
        self.brightness = self._scale * gain
        """What the textures' numbers are to be multiplied by."""
        self.sh = irradiance_sh(self._panorama, yaw_deg=pan) * self.brightness
        """[9, 3]  see `domes.irradiance_sh`; in light."""
        self.version += 1

    def _night_of(self, config: SkyConfig, elevation_deg: float) -> Night | None:
        instant, latitude, longitude = config.instant, config.latitude_deg, config.longitude_deg
        if instant is None or latitude is None or longitude is None:
            return None
        if not (config.stars and config.background) or elevation_deg > DARK_BELOW_DEG:
            return None
        return night_of(instant, latitude, longitude, config.north_deg, self.direction)

    def horizon(self) -> F64:
        """[3, 3]  light at the horizon: even, and what grows along the scene's x and y."""
        rows = self._panorama.pixels[HEIGHT // 2 - 2 : HEIGHT // 2].mean(axis=0) * self.brightness
        around = directions(WIDTH, HEIGHT, yaw_deg=self.yaw_deg)[HEIGHT // 2]
        even = rows.mean(axis=0)
        return np.stack([even, 2.0 * (rows * around[:, :1]).mean(axis=0), 2.0 * (rows * around[:, 1:2]).mean(axis=0)])

    def light_block(self) -> F64:
        """[9, 3]  the sky's light as shaders/scene/lit.glsl sums it."""
        return np.asarray(self.sh * BASIS_CONSTANTS[:, None])

    def _bake(self, table: SkyTable, elevation_deg: float, night_nits: float) -> None:
        glow, halo = table.at(elevation_deg)
        glow = glow @ self._working.T.astype(np.float32)
        halo = halo @ self._working.T.astype(np.float32)
        night = (self._working @ NIGHT * (night_nits / 100.0)).astype(np.float32)
        # Down below, the ground gives back what it gets.
        glow[:UP_ROWS] += night
        glow[UP_ROWS:] += night * np.float32(np.mean(table.air.albedo))
        picture = panorama(table, glow, halo, elevation_deg)
        # Half floats hold seven decades, day and night together twelve: the textures hold shares of the brightest.
        self._scale = float(picture.max())
        scale = np.float32(1.0 / self._scale)
        self._panorama = DomePicture(np.minimum(picture * scale, np.float32(HALF_MAX)))
        rows = np.zeros((TABLE_ROWS, AZIMUTHS, 4), dtype=np.float16)
        rows[: UP_ROWS + DOWN_ROWS, :, :3] = glow * scale
        rows[UP_ROWS + DOWN_ROWS :, :, :3] = halo * scale
        self.texture.write(rows.tobytes())
        self.reflections.write(octahedra(blurred(self._panorama.pixels)).tobytes())

    @property
    def size_bytes(self) -> int:
        """Bytes held on the GPU."""
        return AZIMUTHS * TABLE_ROWS * 8 + OCTAHEDRON_PX * OCTAHEDRON_PX * ROUGHNESS_LEVELS * 8

    def release(self) -> None:
        """Free its textures."""
        self.texture.release()
        self.reflections.release()


# --- from the table to a panorama ---------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _interpolation(dip_rad: float) -> tuple[F32, F32, F64]:
    """[64, rows] and [128, azimuths] that make a panorama of a table, and its rows' elevations, [64]."""
    elevation = np.pi / 2 - (np.arange(HEIGHT) + 0.5) / HEIGHT * np.pi
    above = elevation >= -dip_rad
    rise = np.pi / 2 + dip_rad
    up = np.sqrt(np.clip((elevation + dip_rad) / rise, 0.0, 1.0)) * (UP_ROWS - 1)
    down = np.sqrt(np.clip((-dip_rad - elevation) / (np.pi - rise), 0.0, 1.0)) * (DOWN_ROWS - 1)
    rows = np.zeros((HEIGHT, UP_ROWS + DOWN_ROWS), dtype=np.float32)
    for i in range(HEIGHT):
        at, first, count = (up[i], 0, UP_ROWS) if above[i] else (down[i], UP_ROWS, DOWN_ROWS)
        row = min(int(at), count - 2)
        rows[i, first + row], rows[i, first + row + 1] = 1.0 - (at - row), at - row
    aside = np.abs((np.arange(WIDTH) + 0.5) / WIDTH - 0.5) * 2.0 * (AZIMUTHS - 1)
    columns = np.zeros((WIDTH, AZIMUTHS), dtype=np.float32)
    low = np.minimum(aside.astype(np.intp), AZIMUTHS - 2)
    columns[np.arange(WIDTH), low] = 1.0 - (aside - low)
    columns[np.arange(WIDTH), low + 1] = aside - low
    return rows, columns, elevation


def panorama(table: SkyTable, glow: F32, halo: F32, elevation_deg: float) -> F32:
    """[64, 128, 3]  the sky without the sun's disc, its middle under the sun."""
    rows, columns, elevation = _interpolation(table.dip_rad)
    spread = np.concatenate([halo, np.zeros((DOWN_ROWS, AZIMUTHS, 3), np.float32)])
    both = np.concatenate([glow, spread], axis=2)
    first = np.einsum("hr,rak->hak", rows, both)
    wide = np.einsum("wa,hak->hwk", columns, first)
    azimuth = ((np.arange(WIDTH) + 0.5) / WIDTH - 0.5) * 2.0 * np.pi
    sun = np.radians(elevation_deg)
    cosine = np.cos(elevation)[:, None] * np.cos(sun) * np.cos(azimuth) + np.sin(elevation)[:, None] * np.sin(sun)
    return np.asarray(wide[..., :3] + wide[..., 3:] * haze_phase(cosine)[..., None], dtype=np.float32)


# --- reflections --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _kernels() -> F32:
    """[levels - 1, frequencies, 64, 64]  the GGX lobe of each roughness as it falls from row to row of a panorama.

    Along a row the blur is the same everywhere, so it is a product of frequencies. Normal, view and reflection are
    taken as one direction, as for domes: the lobe at an angle t is D(cos(t / 2)) cos(t).
    """
    elevation = np.pi / 2 - (np.arange(HEIGHT) + 0.5) / HEIGHT * np.pi
    turn = np.arange(WIDTH) / WIDTH * 2.0 * np.pi
    cosine = (
        np.sin(elevation)[:, None, None] * np.sin(elevation)[None, :, None]
        + np.cos(elevation)[:, None, None] * np.cos(elevation)[None, :, None] * np.cos(turn)
    )  # fmt: skip
    half2 = (1.0 + np.clip(cosine, -1.0, 1.0)) / 2.0
    out = np.empty((ROUGHNESS_LEVELS - 1, WIDTH // 2 + 1, HEIGHT, HEIGHT), dtype=np.float32)
    for level in range(1, ROUGHNESS_LEVELS):
        # No lobe is narrower than the panorama's own pixels.
        a = max((level / (ROUGHNESS_LEVELS - 1)) ** 2, 0.03)
        d = half2 * (a * a - 1.0) + 1.0
        lobe = np.maximum(cosine, 0.0) / (d * d) * np.cos(elevation)[None, :, None]
        lobe /= lobe.sum(axis=(1, 2), keepdims=True)
        out[level - 1] = np.fft.rfft(lobe, axis=2).real.transpose(2, 0, 1)
    return out


def blurred(picture: F32) -> F32:
    """[levels, 64, 128, 3]  a panorama as surfaces of each roughness mirror it, the smoothest first."""
    parts = np.fft.rfft(picture, axis=1).transpose(1, 0, 2)
    split = np.concatenate([parts.real, parts.imag], axis=2).astype(np.float32)
    mixed = np.matmul(_kernels(), split)
    lobes = np.fft.irfft((mixed[..., :3] + 1j * mixed[..., 3:]).transpose(0, 2, 1, 3), n=WIDTH, axis=2)
    return np.concatenate([picture[None], np.maximum(lobes, 0.0)]).astype(np.float32)


@lru_cache(maxsize=1)
def _octahedron() -> tuple[NDArray[np.intp], F32]:
    """[4, texels] pixels of a panorama and [4, texels, 1] their shares that make each texel of an octahedron."""
    place = np.arange(OCTAHEDRON_PX) / (OCTAHEDRON_PX - 1) * 2.0 - 1.0
    x, y = np.meshgrid(place, place)
    z = 1.0 - np.abs(x) - np.abs(y)
    fold = np.maximum(-z, 0.0)
    x, y = x - np.where(x >= 0.0, fold, -fold), y - np.where(y >= 0.0, fold, -fold)
    across = (np.arctan2(x, y) / (2.0 * np.pi) + 0.5) * WIDTH - 0.5
    down = np.clip(np.arctan2(np.hypot(x, y), z) / np.pi * HEIGHT - 0.5, 0.0, HEIGHT - 1.0)
    left, top = np.floor(across).astype(np.intp), np.minimum(down.astype(np.intp), HEIGHT - 2)
    u, v = across - left, down - top
    corners, shares = [], []
    for dy, wy in ((0, 1.0 - v), (1, v)):
        for dx, wx in ((0, 1.0 - u), (1, u)):
            corners.append(((top + dy) * WIDTH + (left + dx) % WIDTH).ravel())
            shares.append((wx * wy).ravel())
    return np.stack(corners), np.stack(shares).astype(np.float32)[..., None]


def octahedra(levels: F32) -> NDArray[np.float16]:
    """[levels, 64, 64, 4]  panoramas of each roughness laid on the octahedron."""
    corners, shares = _octahedron()
    flat = np.ascontiguousarray(levels.transpose(1, 2, 0, 3)).reshape(HEIGHT * WIDTH, -1)
    texels = sum(flat[corner] * share for corner, share in zip(corners, shares, strict=True))
    out = np.ones((len(levels), OCTAHEDRON_PX, OCTAHEDRON_PX, 4), dtype=np.float16)
    shaped = np.asarray(texels).reshape(OCTAHEDRON_PX, OCTAHEDRON_PX, len(levels), 3)
    out[..., :3] = shaped.transpose(2, 0, 1, 3)
    return out
