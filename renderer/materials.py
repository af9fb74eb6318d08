"""Materials on the GPU: textures uploaded once, one uniform block each, and the shader features each needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.addresses import MATT
from renderer.device import Device
from renderer.gltf.model import Asset, Material, Sampler, TextureUse

BLOCK_BYTES: Final = 768
"""One material's place in the uniform buffer; every GPU can bind at multiples of it."""
_SRGB8_ALPHA8: Final = 0x8C43
_LAYERS: Final = ("SPECULAR", "COAT", "SHEEN", "GLASS", "VOLUME")
_COLOURS: Final = ("base", "emissive", "sheen", "specular_colour")
"""Textures whose red, green and blue are colours: sRGB."""
_UV_MOST: Final = 14
_ROWS_AT: Final = 32
"""Where the texture coordinates' rows begin in a block, in floats (shaders/scene/material.glsl)."""
UNITS: Final = {
    "base": 0, "rough": 1, "normal": 2, "occlusion": 3, "emissive": 4, "coat": 16, "coat_rough": 17,
    "coat_normal": 18, "sheen": 19, "sheen_rough": 20, "specular": 21, "specular_colour": 22, "glass": 23,
    "thickness": 24,
}  # fmt: skip
"""Texture units of a surface's pictures, as in shaders/scene/surface.frag."""

_Rows = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class MaterialDraw:
    """What drawing with a material needs. `defines` pick the program; two materials with equal ones share it."""

    index: int
    """Its block in the uniform buffer."""
    defines: tuple[tuple[str, int], ...]
    depth_defines: tuple[tuple[str, int], ...]
    textures: tuple[tuple[int, moderngl.Texture], ...]
    """(unit, texture)"""
    blend: bool
    double_sided: bool
    masked: bool
    cut: tuple[float, float]
    """Alpha factor and cutoff."""
    base_uv: _Rows
    tangents: bool
    uv1: bool


class Textures:
    """Pictures of one asset on the GPU, each uploaded once for every way it is read."""

    def __init__(self, device: Device, asset: Asset, *, anisotropy: float) -> None:
        self._ctx = device.ctx
        self._asset = asset
        self._anisotropy = min(anisotropy, device.capabilities.max_anisotropy)
        self.working_from_rec709 = device.working_from_rec709
        self._made: dict[tuple[int, bool, Sampler], moderngl.Texture] = {}

    def get(self, use: TextureUse, *, srgb: bool) -> moderngl.Texture:
        """The texture of `use`; `srgb` for colours, not for data."""
        texture = self._asset.textures[use.texture]
        key = (texture.image, srgb, texture.sampler)
        if key not in self._made:
            self._made[key] = self._upload(self._asset.images[texture.image], texture.sampler, srgb=srgb)
        return self._made[key]

    def _upload(self, image: NDArray[np.uint8], sampler: Sampler, *, srgb: bool) -> moderngl.Texture:
        # OpenGL through moderngl only repeats or clamps: a picture joined to its mirror image, read at half the
        # coordinates (`rows`), repeats as the mirrored one does.
        if sampler.wrap_s == "mirror":
            image = np.concatenate([image, image[:, ::-1]], axis=1)
        if sampler.wrap_t == "mirror":
            image = np.concatenate([image, image[::-1]], axis=0)
        height, width = image.shape[:2]
        settings: dict[str, Any] = {"internal_format": _SRGB8_ALPHA8} if srgb else {}
        out = self._ctx.texture((width, height), 4, np.ascontiguousarray(image).tobytes(), **settings)
        smaller = moderngl.LINEAR if sampler.min_linear else moderngl.NEAREST
        if sampler.mips:
            out.build_mipmaps()
            smaller = moderngl.LINEAR_MIPMAP_LINEAR if sampler.min_linear else moderngl.NEAREST_MIPMAP_LINEAR
        out.filter = (smaller, moderngl.LINEAR if sampler.mag_linear else moderngl.NEAREST)
        out.repeat_x = sampler.wrap_s != "clamp"
        out.repeat_y = sampler.wrap_t != "clamp"
        if sampler.mips and self._anisotropy > 1.0:
            out.anisotropy = self._anisotropy
        return out

    def rows(self, use: TextureUse) -> _Rows:
        """The 2x3 coordinate transform of `use` onto the picture as uploaded."""
        sampler = self._asset.textures[use.texture].sampler
        s, t = (0.5 if wrap == "mirror" else 1.0 for wrap in (sampler.wrap_s, sampler.wrap_t))
        a, b, c, d, e, f = use.uv_from_uv
        return (a * s, b * s, c * s, d * t, e * t, f * t)

    @property
    def size_bytes(self) -> int:
        """Bytes on the GPU, mips included."""
        return sum(t.width * t.height * 16 // 3 for t in self._made.values())

    def release(self) -> None:
        """Free them all."""
        for texture in self._made.values():
            texture.release()
        self._made.clear()


def pack(
    materials: Sequence[tuple[Material, bool]], textures: Textures, *, first: int
) -> tuple[list[MaterialDraw], NDArray[np.float32]]:
    """How each (material, with vertex colours) is drawn, and the uniform blocks, [materials, 64] float32.

    `first` is the index of the first block.
    """
    draws: list[MaterialDraw] = []
    blocks = np.zeros((len(materials), BLOCK_BYTES // 4), dtype=np.float32)
    for i, (material, coloured) in enumerate(materials):
        draw, blocks[i] = _pack(material, textures, first + i, coloured=coloured)
        draws.append(draw)
    return draws, blocks


def _pack(
    material: Material, textures: Textures, index: int, *, coloured: bool
) -> tuple[MaterialDraw, NDArray[np.float32]]:
    layers = _layers(material)
    uses = _uses(material, layers)
    rough, occlusion = uses["rough"], uses["occlusion"]
    in_rough = (
        rough is not None
        and occlusion is not None
        and (rough.texture, rough.uv_set, rough.uv_from_uv)
        == (occlusion.texture, occlusion.uv_set, occlusion.uv_from_uv)
    )
    if in_rough:
        # The usual packing: occlusion in red of the same picture. One read serves both.
        uses["occlusion"] = None
    coordinates: list[tuple[int, _Rows]] = []
    defines: dict[str, int] = {}
    bound: list[tuple[int, moderngl.Texture]] = []
    for name, use in uses.items():
        if use is None:
            continue
        key = (use.uv_set, textures.rows(use))
        if key not in coordinates:
            coordinates.append(key)
        defines[f"{name.upper()}_UV"] = coordinates.index(key)
        bound.append((UNITS[name], textures.get(use, srgb=name in _COLOURS)))
    uv1 = any(uv_set == 1 for uv_set, _ in coordinates)
    masked, blend = material.alpha_mode == "mask", material.alpha_mode == "blend" or "GLASS" in layers
    tangents = uses["normal"] is not None or uses["coat_normal"] is not None
    defines |= {
        "UV_COUNT": len(coordinates),
        "UV1": int(uv1),
        "TANGENTS": int(tangents),
        "OCCLUSION_IN_ROUGH": int(in_rough),
        "OCCLUDED": int(occlusion is not None),
        "ALPHA_MASK": int(masked),
        "ALPHA_BLEND": int(blend),
        "UNLIT": int(material.unlit),
        "DOUBLE_SIDED": int(material.double_sided),
        "COLOURS": int(coloured),
        "EMISSIVE": int(any(material.emissive)),
        "DIELECTRIC": int(material.metallic == 0.0 and "SPECULAR" not in layers),
        "MATT": int(material.metallic == 0.0 and material.roughness >= MATT and uses["rough"] is None and not layers),
        **{name: int(name in layers) for name in _LAYERS},
    }
    block = _block(material, defines, textures.working_from_rec709)
    for i, (uv_set, rows) in enumerate(coordinates[:_UV_MOST]):
        block[_ROWS_AT + 8 * i : _ROWS_AT + 8 * i + 8] = (*rows[:3], float(uv_set), *rows[3:], 0.0)
    cut = masked and material.base_texture is not None and material.base_texture.uv_set == 0
    base = material.base_texture
    draw = MaterialDraw(
        index,
        tuple(sorted(defines.items())),
        (("ALPHA_MASK", int(cut)),),
        tuple(bound),
        blend,
        material.double_sided,
        cut,
        (material.base_colour[3], material.alpha_cutoff),
        textures.rows(base) if base else (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        tangents,
        uv1,
    )
    return draw, block


def _layers(material: Material) -> tuple[str, ...]:
    """Which layers of glTF's extensions show: defines of shaders/scene/lit.glsl."""
    if material.unlit:
        return ()
    shows = {
        "SPECULAR": material.ior != 1.5 or material.specular != 1.0 or material.specular_colour != (1.0, 1.0, 1.0)
        or material.specular_texture is not None or material.specular_colour_texture is not None,
        "COAT": material.clearcoat > 0.0,
        "SHEEN": any(material.sheen_colour),
        "GLASS": material.transmission > 0.0,
        "VOLUME": material.transmission > 0.0 and material.thickness_m > 0.0,
    }  # fmt: skip
    return tuple(name for name in _LAYERS if shows[name])


def _uses(material: Material, layers: tuple[str, ...]) -> dict[str, TextureUse | None]:
    """The textures drawing with it reads, by the names of `UNITS`."""
    lit = not material.unlit
    return {
        "base": material.base_texture,
        "rough": material.metallic_roughness_texture if lit else None,
        "normal": material.normal_texture if lit else None,
        "occlusion": material.occlusion_texture if lit else None,
        "emissive": material.emissive_texture if any(material.emissive) else None,
        "coat": material.clearcoat_texture if "COAT" in layers else None,
        "coat_rough": material.clearcoat_roughness_texture if "COAT" in layers else None,
        "coat_normal": material.clearcoat_normal_texture if "COAT" in layers else None,
        "sheen": material.sheen_colour_texture if "SHEEN" in layers else None,
        "sheen_rough": material.sheen_roughness_texture if "SHEEN" in layers else None,
        "specular": material.specular_texture if "SPECULAR" in layers else None,
        "specular_colour": material.specular_colour_texture if "SPECULAR" in layers else None,
        "glass": material.transmission_texture if "GLASS" in layers else None,
        "thickness": material.thickness_texture if "VOLUME" in layers else None,
    }


def _block(
    material: Material, defines: dict[str, int], working_from_rec709: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The material's numbers as shaders/scene/material.glsl has them, without texture coordinates."""

    def colour(rgb: Sequence[float], multiplied: bool) -> NDArray[np.float64]:
        # A colour that a texture or a vertex multiplies enters the working space after that, in the shader.
        return np.asarray(rgb) if multiplied else working_from_rec709 @ np.asarray(rgb)

    def strength(use: TextureUse | None) -> float:
        return use.strength if use else 1.0

    # An index of 0 stands for one without end: all is mirrored.
    f0 = 1.0 if material.ior == 0.0 else ((material.ior - 1.0) / (material.ior + 1.0)) ** 2
    tint = np.clip(material.attenuation_colour, 1e-6, 1.0)
    block = np.zeros(BLOCK_BYTES // 4, dtype=np.float32)
    block[0:3] = colour(material.base_colour[:3], "BASE_UV" in defines or bool(defines["COLOURS"]))
    block[3] = material.base_colour[3]
    block[4:7] = colour(material.emissive, "EMISSIVE_UV" in defines)
    block[7] = material.alpha_cutoff
    block[8:12] = (
        material.metallic, material.roughness, strength(material.normal_texture), strength(material.occlusion_texture)
    )  # fmt: skip
    block[12:15] = f0 * colour(material.specular_colour, "SPECULAR_COLOUR_UV" in defines)
    block[15] = material.specular
    block[16:19] = (
        material.clearcoat, material.clearcoat_roughness, strength(material.clearcoat_normal_texture)
    )  # fmt: skip
    block[20:23] = colour(material.sheen_colour, "SHEEN_UV" in defines)
    block[23] = material.sheen_roughness
    block[24:27] = material.transmission, material.thickness_m, material.ior
    block[28:31] = -np.log(np.clip(working_from_rec709 @ tint, 1e-6, 1.0)) / material.attenuation_distance_m
    return block
