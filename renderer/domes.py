"""Domes: an equirectangular picture as background and as light (SH irradiance, GGX-blurred reflections).

The picture's middle lies at the scene's +Y, its right half at +X, its top row at +Z; `yaw_deg` turns it left.
`panoramas` reads the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.device import Device
from renderer.panoramas import HALF_MAX, DomePicture
from renderer.shaders import source

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

OCTAHEDRON_PX: Final = 128
ROUGHNESS_LEVELS: Final = 8
_SAMPLES: Final = (1, 128, 256, 128, 128, 128, 128, 128)
"""Rays of each level: against integration the map is then 1 to 2 % off in the mean, after 0.3 s of software GL."""
_KEYED_FROM: Final = 2
"""Level of roughness from which the map is without the dome's key."""


def directions(width: int, height: int, *, yaw_deg: float = 0.0) -> F64:
    """Scene direction, [height, width, 3], of each pixel's middle of a dome turned by `yaw_deg`."""
    pan = np.radians(yaw_deg) - (np.arange(width) + 0.5) / width * 2.0 * np.pi + np.pi
    polar = (np.arange(height) + 0.5) / height * np.pi
    ring = np.stack([-np.sin(pan), np.cos(pan)], axis=-1)
    out = np.empty((height, width, 3))
    out[..., :2] = np.sin(polar)[:, None, None] * ring[None]
    out[..., 2] = np.cos(polar)[:, None]
    return out


def sh_basis(d: F64) -> F64:
    """The nine real spherical harmonics up to degree 2, [..., 9], of unit directions, [..., 3]."""
    x, y, z = d[..., 0], d[..., 1], d[..., 2]
    return np.stack(
        [
            np.full_like(x, 0.28209479177387814),
            0.4886025119029199 * y,
            0.4886025119029199 * z,
            0.4886025119029199 * x,
            1.0925484305920792 * x * y,
            1.0925484305920792 * y * z,
            0.31539156525252005 * (3.0 * z * z - 1.0),
            1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ],
        axis=-1,
    )


BASIS_CONSTANTS: Final = np.array(
    [0.28209479177387814, *[0.4886025119029199] * 3, 1.0925484305920792, 1.0925484305920792, 0.31539156525252005,
     1.0925484305920792, 0.5462742152960396]
)  # fmt: skip
_TURNING: Final = ((3, 1, 1), (7, 5, 1), (8, 4, 2))
"""Harmonics that turn into each other when a picture turns about Z: like x, like y, and turns of them to one of it."""
_COSINE_LOBE: Final = np.array([1.0] + [2.0 / 3.0] * 3 + [0.25] * 5)
"""What a matt surface's cosine does to each harmonic, divided by pi: the sum is then the light it shows."""


def irradiance_sh(picture: DomePicture, *, yaw_deg: float = 0.0, light_limit: float = HALF_MAX) -> F64:
    """[9, 3]: `sh_basis(normal) @ it` is what a white matt surface shows under the dome (irradiance / pi)."""
    pixels = np.minimum(picture.pixels, np.float32(light_limit))
    height, width = pixels.shape[:2]
    step = max(1, width // 256)
    if height % step == 0 and width % step == 0 and step > 1:
        # Degree 2 knows no detail: blocks averaged by their true solid angle give the same numbers.
        weight = _row_solid_angle(height, width)[:, None, None]
        shape = (height // step, step, width // step, step, 3)
        total = (pixels * weight).reshape(shape).sum(axis=(1, 3))
        solid = np.broadcast_to(weight, (height, width, 1)).reshape(*shape[:4], 1).sum(axis=(1, 3))
        pixels, height, width = total / solid, height // step, width // step
        radiance_sr = pixels * solid
    else:
        radiance_sr = pixels * _row_solid_angle(height, width)[:, None, None]
    basis = sh_basis(directions(width, height, yaw_deg=yaw_deg))
    return np.asarray(_COSINE_LOBE[:, None] * np.einsum("hwk,hwc->kc", basis, radiance_sr))


def turned_sh(sh: F64, yaw_deg: float) -> F64:
    """Harmonics, [9, ...], of a picture turned to the left: exactly those that summing the turned picture gives."""
    out = np.array(sh, dtype=np.float64)
    for along, across, order in _TURNING:
        c, s = np.cos(order * np.radians(yaw_deg)), np.sin(order * np.radians(yaw_deg))
        out[along], out[across] = c * sh[along] - s * sh[across], s * sh[along] + c * sh[across]
    return out


def _row_solid_angle(height: int, width: int) -> F64:
    edges = np.cos(np.arange(height + 1) / height * np.pi)
    return np.asarray((edges[:-1] - edges[1:]) * (2.0 * np.pi / width))


@dataclass(frozen=True, slots=True)
class Key:
    """The one small, bright place of a dome that gives much of its light: a sun."""

    direction: F64
    """[3]  to it, unit, in the dome's own frame (yaw 0)."""
    light: F64
    """[3]  what a white matt surface that faces it shows of it."""


_KEY_AT: Final = 16.0
"""A pixel counts as the key's from so many times the dome's mean."""
_KEY_SHARE: Final = 0.02
_KEY_CLOSE: Final = 0.995
"""How nearly the key's rays are parallel: the length of their mean direction."""


def split_key(picture: DomePicture, *, light_limit: float = HALF_MAX) -> tuple[DomePicture, Key | None]:
    """The dome without its key, and the key; the dome as it is when its bright places are none, faint or several.

    Nine harmonics hold a soft sky within a few percent, but make a sun of the dome a lobe that also shines round the
    corner: a sixth of the light is wrong where it grazes. Taken out, it lights surfaces exactly as a direction.
    """
    pixels = np.minimum(picture.pixels, np.float32(light_limit))
    height, width = pixels.shape[:2]
    weight = _row_solid_angle(height, width)[:, None]
    bright = pixels.max(axis=-1)
    mean = float((bright * weight).sum()) / (4.0 * np.pi)
    kept = np.minimum(1.0, _KEY_AT * mean / np.maximum(bright, 1e-9))
    over = (1.0 - kept) * weight
    rows, columns = np.nonzero(kept < 1.0)
    if not rows.size:
        return DomePicture(pixels), None
    light = pixels[rows, columns] * over[rows, columns, None]
    toward = (light.sum(axis=-1)[:, None] * _some_directions(rows, columns, width, height)).sum(axis=0)
    total = float(light.sum())
    length = float(np.linalg.norm(toward))
    if total < _KEY_SHARE * float((pixels.sum(axis=-1) * weight).sum()) or length < _KEY_CLOSE * total:
        return DomePicture(pixels), None
    rest = (pixels * kept[..., None]).astype(np.float32)
    return DomePicture(rest), Key(toward / length, np.asarray(light.sum(axis=0) / np.pi, dtype=np.float64))


def _some_directions(rows: NDArray[np.intp], columns: NDArray[np.intp], width: int, height: int) -> F64:
    """[n, 3]  directions of chosen pixels (see `directions`)."""
    pan = np.pi - (columns + 0.5) / width * 2.0 * np.pi
    polar = (rows + 0.5) / height * np.pi
    return np.stack([-np.sin(polar) * np.sin(pan), np.sin(polar) * np.cos(pan), np.cos(polar)], axis=-1)


def _picture_texture(ctx: moderngl.Context, pixels: F32) -> moderngl.Texture:
    height, width = pixels.shape[:2]
    rgba = np.ones((height, width, 4), dtype=np.float16)
    rgba[..., :3] = pixels
    out = ctx.texture((width, height), 4, rgba.tobytes(), dtype="f2")
    out.build_mipmaps()
    out.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    out.repeat_y = False
    return out


class Dome:
    """A dome on the GPU: `background` (equirectangular, mips) and `reflections` (octahedral, by roughness)."""

    def __init__(self, device: Device, picture: DomePicture, *, light_limit: float | None = None) -> None:
        ctx = device.ctx
        self.picture = picture
        self.light_limit = HALF_MAX if light_limit is None else light_limit
        rest, self.key = split_key(picture, light_limit=self.light_limit)
        # Summed over the whole picture once: a dome that turns on air turns these nine.
        self._sh = irradiance_sh(rest)
        width, _ = picture.size_px
        self.texels_per_rad = width / (2.0 * np.pi)
        self.background = _picture_texture(ctx, picture.pixels)
        self.reflections = self._prefilter(ctx, rest)

    def irradiance_sh(self, yaw_deg: float) -> F64:
        """[9, 3]  see `irradiance_sh`; without exposure, and without the light of `key`."""
        return turned_sh(self._sh, yaw_deg)

    def light_block(self, yaw_deg: float, brightness: float) -> F64:
        """[9, 4]  the dome's light as shaders/scene/lit.glsl sums it (`sh`): harmonics with their constants, and in
        the last column the key's direction and light."""
        out = np.zeros((9, 4))
        out[:, :3] = self.irradiance_sh(yaw_deg) * BASIS_CONSTANTS[:, None] * brightness
        if self.key is not None:
            yaw = np.radians(yaw_deg)
            x, y, z = self.key.direction
            out[:3, 3] = x * np.cos(yaw) - y * np.sin(yaw), x * np.sin(yaw) + y * np.cos(yaw), z
            out[3:6, 3] = self.key.light * brightness
        return out

    def _prefilter(self, ctx: moderngl.Context, without_key: DomePicture) -> moderngl.Texture3D:
        # Narrow lobes see the key as it is; for wide ones shaders light it as a direction (shaders/scene/lit.glsl).
        limited = _picture_texture(ctx, np.minimum(self.picture.pixels, np.float32(self.light_limit)))
        rest = limited if self.key is None else _picture_texture(ctx, without_key.pixels)
        target = ctx.framebuffer([ctx.texture((OCTAHEDRON_PX, OCTAHEDRON_PX), 4, dtype="f2")])
        layers: list[bytes] = []
        ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        target.use()
        program = ctx.program(source("scene/full.vert"), source("scene/prefilter.frag"))
        triangle = ctx.vertex_array(program, [])
        program["dome"] = 0
        program["size_px"] = float(OCTAHEDRON_PX)
        program["texel_sr"] = 1.0 / self.texels_per_rad**2
        for level in range(ROUGHNESS_LEVELS):
            (rest if level >= _KEYED_FROM else limited).use(0)
            program["roughness"] = level / (ROUGHNESS_LEVELS - 1)
            program["sample_count"] = _SAMPLES[level]
            triangle.render(vertices=3)
            layers.append(target.read(components=4, dtype="f2"))
        triangle.release()
        program.release()
        out = ctx.texture3d((OCTAHEDRON_PX, OCTAHEDRON_PX, ROUGHNESS_LEVELS), 4, b"".join(layers), dtype="f2")
        out.filter = (moderngl.LINEAR, moderngl.LINEAR)
        out.repeat_x = out.repeat_y = out.repeat_z = False
        for thing in {target.color_attachments[0], target, limited, rest}:
            thing.release()
        return out

    def release(self) -> None:
        """Free its textures."""
        self.background.release()
        self.reflections.release()
