"""Pictures, textures and materials of a glTF asset, with the material extensions that are read."""

from __future__ import annotations

import math
from typing import Any, Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from renderer.gltf import images
from renderer.gltf.document import JsonMaterial, JsonTextureInfo, read_uri
from renderer.gltf.errors import AssetExtensionError, AssetFormatError
from renderer.gltf.model import AlphaMode, Material, Sampler, Texture, TextureUse, Wrap
from renderer.gltf.reading import MEND, Reading, as_object

_WRAPS: Final[dict[int, Wrap]] = {10497: "repeat", 33071: "clamp", 33648: "mirror"}
_MODES: Final[dict[str, AlphaMode]] = {"OPAQUE": "opaque", "MASK": "mask", "BLEND": "blend"}
_RGB = tuple[float, float, float]


def read_image(reading: Reading, index: int) -> NDArray[np.uint8]:
    """Picture `index`, [height, width, 4].

    Raises
    ------
    AssetError : any kind.
    """
    image = reading.document.images[index]
    place = f"images[{index}]"
    if image.uri is not None:
        return images.decode(reading.file, read_uri(reading.file, image.uri, f"{place}.uri"), place)
    if image.bufferView is None:
        raise AssetFormatError(reading.file, place, "has neither a uri nor a bufferView", mend=MEND)
    return images.decode(reading.file, reading.accessors.view(image.bufferView, f"{place}.bufferView"), place)


def read_texture(reading: Reading, index: int) -> Texture:
    """Texture `index`: the plain picture where there is one, else the WebP one.

    Raises
    ------
    AssetFormatError, AssetReferenceError, AssetExtensionError
    """
    texture = reading.document.textures[index]
    place = f"textures[{index}]"
    source = texture.source
    if source is None:
        source = as_object(texture.extensions.get("EXT_texture_webp")).get("source")
    if not isinstance(source, int):
        strange = next(iter(texture.extensions), None)
        if strange is not None:
            raise AssetExtensionError(
                reading.file, place, f"its only picture is one of {strange}, which OpenVolume does not read",
                value=strange, mend="export textures as PNG, JPEG or WebP",
            )  # fmt: skip
        raise AssetFormatError(
            reading.file, place, "names no picture that can be read", mend="export textures as PNG or JPEG"
        )
    reading.accessors.pick(reading.document.images, source, "images", f"{place}.source")
    if texture.sampler is None:
        return Texture(source, Sampler())
    sampler = reading.accessors.pick(reading.document.samplers, texture.sampler, "samplers", f"{place}.sampler")
    for name, value in (("wrapS", sampler.wrapS), ("wrapT", sampler.wrapT)):
        if value not in _WRAPS:
            raise AssetFormatError(
                reading.file, f"samplers[{texture.sampler}].{name}", "is not a wrap mode", value=value, mend=MEND
            )
    smallest = 9987 if sampler.minFilter is None else sampler.minFilter
    return Texture(
        source,
        Sampler(
            _WRAPS[sampler.wrapS],
            _WRAPS[sampler.wrapT],
            mag_linear=sampler.magFilter != 9728,
            min_linear=smallest in (9729, 9985, 9987),
            mips=smallest >= 9984,
        ),
    )


def read_material(reading: Reading, index: int) -> Material:
    """Material `index` with its extensions.

    Raises
    ------
    AssetFormatError, AssetReferenceError
    """
    material, place = reading.document.materials[index], f"materials[{index}]"
    pbr = material.pbrMetallicRoughness
    if material.alphaMode not in _MODES:
        raise AssetFormatError(
            reading.file, f"{place}.alphaMode", "is not an alpha mode", value=material.alphaMode, mend=MEND
        )
    emission = as_object(material.extensions.get("KHR_materials_emissive_strength"))
    here = f"{place}.extensions.KHR_materials_emissive_strength"
    strength = reading.number(emission, "emissiveStrength", 1.0, here)
    normal, occlusion = material.normalTexture, material.occlusionTexture
    red, green, blue = (v * strength for v in material.emissiveFactor)

    def use(info: JsonTextureInfo | None, name: str, strength: float = 1.0) -> TextureUse | None:
        return _use(reading, info, f"{place}.{name}", strength=strength)

    return Material(
        name=material.name,
        base_colour=pbr.baseColorFactor,
        metallic=pbr.metallicFactor,
        roughness=pbr.roughnessFactor,
        emissive=(red, green, blue),
        base_texture=use(pbr.baseColorTexture, "pbrMetallicRoughness.baseColorTexture"),
        metallic_roughness_texture=use(pbr.metallicRoughnessTexture, "pbrMetallicRoughness.metallicRoughnessTexture"),
        normal_texture=use(normal, "normalTexture", normal.scale if normal else 1.0),
        occlusion_texture=use(occlusion, "occlusionTexture", occlusion.strength if occlusion else 1.0),
        emissive_texture=use(material.emissiveTexture, "emissiveTexture"),
        alpha_mode=_MODES[material.alphaMode],
        alpha_cutoff=material.alphaCutoff,
        double_sided=material.doubleSided,
        unlit="KHR_materials_unlit" in material.extensions,
        **_layers(reading, material, place),
    )


def _layers(reading: Reading, material: JsonMaterial, place: str) -> dict[str, Any]:
    """Fields of `Material` that the material's extensions give."""
    out: dict[str, Any] = {}

    def extension(name: str) -> tuple[dict[str, Any] | None, str]:
        source = material.extensions.get(name)
        return (source if isinstance(source, dict) else None), f"{place}.extensions.{name}"

    def texture(source: dict[str, Any], key: str, where: str) -> TextureUse | None:
        info = source.get(key)
        if info is None:
            return None
        try:
            read = msgspec.convert(info, JsonTextureInfo)
        except msgspec.ValidationError as error:
            raise AssetFormatError(reading.file, f"{where}.{key}", str(error), mend=MEND) from error
        return _use(reading, read, f"{where}.{key}", strength=read.scale)

    def colour(source: dict[str, Any], key: str, default: _RGB, where: str) -> _RGB:
        return cast("_RGB", reading.numbers(source.get(key, default), 3, f"{where}.{key}"))

    source, where = extension("KHR_materials_ior")
    if source is not None:
        out["ior"] = reading.number(source, "ior", 1.5, where)
    source, where = extension("KHR_materials_specular")
    if source is not None:
        out["specular"] = reading.number(source, "specularFactor", 1.0, where)
        out["specular_colour"] = colour(source, "specularColorFactor", (1.0, 1.0, 1.0), where)
        out["specular_texture"] = texture(source, "specularTexture", where)
        out["specular_colour_texture"] = texture(source, "specularColorTexture", where)
    source, where = extension("KHR_materials_clearcoat")
    if source is not None:
        out["clearcoat"] = reading.number(source, "clearcoatFactor", 0.0, where)
        out["clearcoat_roughness"] = reading.number(source, "clearcoatRoughnessFactor", 0.0, where)
        out["clearcoat_texture"] = texture(source, "clearcoatTexture", where)
        out["clearcoat_roughness_texture"] = texture(source, "clearcoatRoughnessTexture", where)
        out["clearcoat_normal_texture"] = texture(source, "clearcoatNormalTexture", where)
    source, where = extension("KHR_materials_sheen")
    if source is not None:
        out["sheen_colour"] = colour(source, "sheenColorFactor", (0.0, 0.0, 0.0), where)
        out["sheen_roughness"] = reading.number(source, "sheenRoughnessFactor", 0.0, where)
        out["sheen_colour_texture"] = texture(source, "sheenColorTexture", where)
        out["sheen_roughness_texture"] = texture(source, "sheenRoughnessTexture", where)
    source, where = extension("KHR_materials_transmission")
    if source is not None:
        out["transmission"] = reading.number(source, "transmissionFactor", 0.0, where)
        out["transmission_texture"] = texture(source, "transmissionTexture", where)
    source, where = extension("KHR_materials_volume")
    if source is not None:
        out["thickness_m"] = reading.number(source, "thicknessFactor", 0.0, where)
        out["thickness_texture"] = texture(source, "thicknessTexture", where)
        if "attenuationDistance" in source:
            out["attenuation_distance_m"] = reading.number(source, "attenuationDistance", math.inf, where)
            if out["attenuation_distance_m"] <= 0.0:
                raise AssetFormatError(
                    reading.file, f"{where}.attenuationDistance", "must be above 0",
                    value=out["attenuation_distance_m"], mend=MEND,
                )  # fmt: skip
        out["attenuation_colour"] = colour(source, "attenuationColor", (1.0, 1.0, 1.0), where)
    return out


def _use(reading: Reading, info: JsonTextureInfo | None, place: str, *, strength: float = 1.0) -> TextureUse | None:
    if info is None:
        return None
    reading.accessors.pick(reading.document.textures, info.index, "textures", f"{place}.index")
    uv_set = info.texCoord
    rows = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    change = as_object(info.extensions.get("KHR_texture_transform"))
    if change:
        here = f"{place}.extensions.KHR_texture_transform"
        ox, oy = reading.numbers(change.get("offset", [0.0, 0.0]), 2, f"{here}.offset")
        sx, sy = reading.numbers(change.get("scale", [1.0, 1.0]), 2, f"{here}.scale")
        turn = reading.number(change, "rotation", 0.0, here)
        c, s = math.cos(turn), math.sin(turn)
        rows = (c * sx, s * sy, ox, -s * sx, c * sy, oy)
        uv_set = change.get("texCoord", uv_set)
    if uv_set not in (0, 1):
        raise AssetFormatError(
            reading.file, f"{place}.texCoord", "only coordinate sets 0 and 1 are read", value=uv_set, mend=MEND
        )
    return TextureUse(info.index, uv_set, rows, strength)
