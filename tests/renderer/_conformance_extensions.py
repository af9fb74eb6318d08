"""The conformance list: extensions. Each check is given a `Look`."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer.gltf.errors import AssetExtensionError

_KIT: Any = runpy.run_path(str(Path(__file__).with_name("_gltfkit.py")))
Build, QUAD, QUAD_UV, QUAD_INDICES = (_KIT[name] for name in ("Build", "QUAD", "QUAD_UV", "QUAD_INDICES"))
SIZE, FRONT, at, is_colour = (_KIT[name] for name in ("SIZE", "FRONT", "at", "is_colour"))
RED, GREEN, BLUE = (1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0)


# --- extensions -----------------------------------------------------------------------------------------------------


def _lights(look: Any) -> None:
    for kind, extra in (("directional", {}), ("point", {}), ("spot", {"spot": {"outerConeAngle": 0.6}})):
        build = Build()
        build.quad(material=build.matt())
        build.uses("KHR_lights_punctual")
        # 1 m in front of it 100 pi lux: a white surface shows 100 nit.
        light = {"type": kind, "intensity": 100 * math.pi, **extra}
        build.doc["extensions"] = {"KHR_lights_punctual": {"lights": [light]}}
        build.doc["nodes"].append({"translation": [0, 0, -1], "extensions": {"KHR_lights_punctual": {"light": 0}}})
        build.doc["scenes"] = [{"nodes": [0, 1]}]
        picture = look.rgb(build)
        assert abs(at(picture, 0, 0)[0] - 1.0) < 0.1, kind
        assert (at(picture, 0.45, 0.45)[0] < 0.9 * at(picture, 0, 0)[0]) == (kind != "directional")


def _strength(look: Any) -> None:
    build = Build()
    strength = {"KHR_materials_emissive_strength": {"emissiveStrength": 6.0}}
    build.quad(material=build.matt((0, 0, 0, 1.0), emissiveFactor=[1, 0.5, 0], extensions=strength))
    is_colour(at(look.rgb(build), 0, 0), (6.0, 3.0, 0.0))


def _unlit(look: Any) -> None:
    build = Build()
    build.quad(material=build.unlit((0.5, 0.25, 1.0, 1.0)))
    is_colour(at(look.rgb(build, sun=FRONT, ambient=(1.0, 1.0, 1.0)), 0, 0), (0.5, 0.25, 1.0))


def _transform(look: Any) -> None:
    build = Build()
    texture = build.picture(np.array([[[255, 0, 0, 255], [0, 255, 0, 255]]]))
    material = build.unlit()
    build.doc["materials"][material]["pbrMetallicRoughness"]["baseColorTexture"] = {
        "index": texture, "extensions": {"KHR_texture_transform": {"offset": [0.5, 0.0]}},
    }  # fmt: skip
    build.uses("KHR_texture_transform", required=True)
    build.quad(material=material)
    picture = look.rgb(build)
    is_colour(at(picture, -0.3, 0), GREEN)
    is_colour(at(picture, 0.3, 0), RED)


_EVERYWHERE = {
    # Each texture of a material, and where it stands; True: a normal map.
    "base": ("pbrMetallicRoughness", "baseColorTexture", False),
    "metallic and rough": ("pbrMetallicRoughness", "metallicRoughnessTexture", False),
    "normal": ("", "normalTexture", True),
    "occlusion": ("", "occlusionTexture", False),
    "emissive": ("", "emissiveTexture", False),
    "specular": ("KHR_materials_specular", "specularTexture", False),
    "specular colour": ("KHR_materials_specular", "specularColorTexture", False),
    "coat": ("KHR_materials_clearcoat", "clearcoatTexture", False),
    "coat rough": ("KHR_materials_clearcoat", "clearcoatRoughnessTexture", False),
    "coat normal": ("KHR_materials_clearcoat", "clearcoatNormalTexture", True),
    "sheen": ("KHR_materials_sheen", "sheenColorTexture", False),
    "sheen rough": ("KHR_materials_sheen", "sheenRoughnessTexture", False),
    "transmission": ("KHR_materials_transmission", "transmissionTexture", False),
    "thickness": ("KHR_materials_volume", "thicknessTexture", False),
}


def _transform_everywhere(look: Any) -> None:
    """Every texture is two halves; a transform of its own (offset, turn, scale, coordinate set) chooses the right one,
    as a texture that is all that half would look."""

    def drawn(slot: str, where: str, half: str) -> Any:
        section, name, normals = _EVERYWHERE[slot]
        left, right = ((128, 128, 255, 255), (190, 128, 238, 255)) if normals else ((255,) * 4, (70,) * 4)
        pixels = {"left": [[left] * 4], "right": [[right] * 4], "halves": [[left, left, right, right]]}[half]
        build = Build()
        used: dict[str, Any] = {"index": build.picture(np.array(pixels))}
        if where == "moved":
            build.uses("KHR_texture_transform", required=True)
            # A quarter turn and a fourth of the size, to the middle of the right half.
            change = {"offset": [0.625, 0.5], "rotation": np.pi / 2, "scale": [0.25, 0.25], "texCoord": 1}
            used |= {"texCoord": 7, "extensions": {"KHR_texture_transform": change}}
        material: dict[str, Any] = {
            "emissiveFactor": [0.2, 0.2, 0.2],
            "pbrMetallicRoughness": {"baseColorFactor": [0.8, 0.6, 0.4, 1.0], "metallicFactor": 0.4,
                                     "roughnessFactor": 0.6},
            "extensions": {
                "KHR_materials_specular": {"specularFactor": 0.9},
                "KHR_materials_clearcoat": {"clearcoatFactor": 0.8, "clearcoatRoughnessFactor": 0.5},
                "KHR_materials_sheen": {"sheenColorFactor": [0.6, 0.6, 0.6], "sheenRoughnessFactor": 0.7},
                "KHR_materials_transmission": {"transmissionFactor": 0.8},
                "KHR_materials_volume": {"thicknessFactor": 0.5, "attenuationDistance": 0.5,
                                         "attenuationColor": [0.5, 0.9, 0.5]},
            },
        }  # fmt: skip
        at_ = material if not section else material.get(section) or material["extensions"][section]
        at_[name] = used
        build.uses(*material["extensions"])
        build.quad(material=build.unlit((0.0, 0.5, 0.0, 1.0)))
        build.doc["nodes"][0]["translation"] = [0, 0, -4]
        primitive = build.quad(material=build.add("materials", **material))
        primitive["attributes"]["TEXCOORD_1"] = build.accessor(QUAD_UV)
        return at(look.rgb(build, sun=FRONT, ambient=(0.5, 0.5, 0.5)), 0.1, 0.1)

    for slot in _EVERYWHERE:
        moved, right, left = drawn(slot, "moved", "halves"), drawn(slot, "", "right"), drawn(slot, "", "left")
        assert np.abs(right - left).max() > 2e-3, f"{slot} is seen"
        assert np.abs(moved - right).max() < 0.1 * np.abs(right - left).max() + 1e-4, slot


def _quantised(look: Any) -> None:
    build = Build()
    primitive = build.quad(material=build.unlit(BLUE))
    build.uses("KHR_mesh_quantization", required=True)
    small = np.hstack([np.round(QUAD * 1000), np.zeros((4, 1))]).astype("<i2")
    view = build.view(small.tobytes(), byteStride=8)
    build.doc["accessors"].append({"bufferView": view, "componentType": 5122, "count": 4, "type": "VEC3"})
    primitive["attributes"]["POSITION"] = len(build.doc["accessors"]) - 1
    build.doc["nodes"][0]["scale"] = [0.001, 0.001, 0.001]
    lit = look.rgb(build)[..., 2] > 0.5
    assert lit.sum() == SIZE * SIZE // 4


def _layered(look: Any, name: str, values: dict[str, Any], pbr: dict[str, Any] | None = None, **extra: Any) -> Any:
    """The middle of a quad with a material extension under a light from the camera; or, `behind`, of one without that
    light in front of a green one."""
    build = Build()
    build.uses(name, required=True)
    sun = None if extra.get("behind") else FRONT
    if extra.pop("behind", False):
        build.quad(material=build.unlit((0.0, 0.5, 0.0, 1.0)))
        build.doc["nodes"][0]["translation"] = [0, 0, -4]
    build.quad(material=build.matt((0.5, 0.5, 0.5, 1.0), pbr=pbr or {}, extensions={name: values} | extra))
    return at(look.rgb(build, sun=sun, ambient=(0.5, 0.5, 0.5)), 0, 0)


SMOOTH = {"roughnessFactor": 0.3}


def _ior(look: Any) -> None:
    low, usual, high = (_layered(look, "KHR_materials_ior", {"ior": v}, SMOOTH)[0] for v in (1.0, 1.5, 2.4))
    assert low < usual < high


def _specular(look: Any) -> None:
    name = "KHR_materials_specular"
    none = _layered(look, name, {"specularFactor": 0.0}, SMOOTH)
    full = _layered(look, name, {"specularFactor": 1.0}, SMOOTH)
    red = _layered(look, name, {"specularColorFactor": [1, 0, 0]}, SMOOTH)
    assert none[0] < full[0]
    assert abs(red[0] - full[0]) < 0.02
    assert red[2] < full[2] - 0.01


def _coat(look: Any) -> None:
    off, on = (_layered(look, "KHR_materials_clearcoat", {"clearcoatFactor": v}) for v in (0.0, 1.0))
    assert on[0] > off[0] + 0.05


def _sheen(look: Any) -> None:
    values = {"sheenColorFactor": [0, 0, 1], "sheenRoughnessFactor": 0.5}
    off, on = (_layered(look, "KHR_materials_sheen", v) for v in ({}, values))
    assert on[2] - on[0] > off[2] - off[0] + 0.005


def _transmission(look: Any) -> None:
    clear = {"transmissionFactor": 1.0}
    through = _layered(look, "KHR_materials_transmission", clear, {"roughnessFactor": 0.0}, behind=True)
    solid = _layered(look, "KHR_materials_transmission", {}, {"roughnessFactor": 0.0}, behind=True)
    assert through[1] > through[0] + 0.1
    assert abs(solid[1] - solid[0]) < 0.02


def _volume(look: Any) -> None:
    def through(thickness: float) -> Any:
        volume = {"thicknessFactor": thickness, "attenuationDistance": 0.5, "attenuationColor": [1, 0.25, 1]}
        glass = {"transmissionFactor": 1.0}
        return _layered(
            look, "KHR_materials_transmission", glass, {"roughnessFactor": 0.0}, behind=True,
            KHR_materials_volume=volume,
        )  # fmt: skip

    assert through(1.0)[1] < 0.7 * through(0.001)[1]


def _variants(look: Any) -> None:
    build = Build()
    build.uses("KHR_materials_variants")
    build.doc["extensions"] = {"KHR_materials_variants": {"variants": [{"name": "Day"}, {"name": "Night Blue"}]}}
    primitive = build.quad(material=build.unlit(RED))
    blue = build.unlit(BLUE)
    primitive["extensions"] = {"KHR_materials_variants": {"mappings": [{"material": blue, "variants": [1]}]}}
    scene = look.scene(build)
    is_colour(at(look.rgb(scene), 0, 0), RED)
    scene.apply({"objects/it/variant": "night_blue"})
    is_colour(at(look.rgb(scene), 0, 0), BLUE)
    scene.apply({"objects/it/variant": "day"})
    is_colour(at(look.rgb(scene), 0, 0), RED)


def _draco(look: Any) -> None:
    draco = pytest.importorskip("DracoPy")
    build = Build()
    data = draco.encode(
        QUAD, faces=QUAD_INDICES.reshape(-1, 3).astype(np.uint32), quantization_bits=14, preserve_order=True,
        normals=np.tile([0.0, 0.0, 1.0], (4, 1)), tex_coord=QUAD_UV.astype(np.float64),
    )  # fmt: skip
    ids = {entry["attribute_type"]: entry["unique_id"] for entry in draco.decode(data).attributes}
    texture = build.picture(np.array([[[255, 0, 0, 255], [0, 255, 0, 255]]]))
    material = build.unlit()
    build.doc["materials"][material]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": texture}
    primitive = build.quad(material=material)
    for accessor in build.doc["accessors"]:
        del accessor["bufferView"]
    primitive["extensions"] = {
        "KHR_draco_mesh_compression": {
            "bufferView": build.view(data), "attributes": {"POSITION": ids[0], "NORMAL": ids[1], "TEXCOORD_0": ids[3]},
        }
    }  # fmt: skip
    build.uses("KHR_draco_mesh_compression", required=True)
    picture = look.rgb(build)
    is_colour(at(picture, -0.3, 0.3), RED)
    is_colour(at(picture, 0.3, -0.3), GREEN)


def _webp(look: Any) -> None:
    build = Build()
    texture = build.picture(np.array([[[0, 255, 0, 255]]]), "WEBP")
    source = build.doc["textures"][texture].pop("source")
    build.doc["textures"][texture]["extensions"] = {"EXT_texture_webp": {"source": source}}
    build.uses("EXT_texture_webp", required=True)
    material = build.unlit()
    build.doc["materials"][material]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": texture}
    build.quad(material=material)
    is_colour(at(look.rgb(build), 0, 0), GREEN)


def _refused(look: Any, name: str, mend: str) -> None:
    build = Build()
    build.quad()
    build.uses(name, required=True)
    with pytest.raises(AssetExtensionError) as caught:
        look.load(build)
    (problem,) = caught.value.problems
    assert problem.path.endswith("extensionsRequired")
    assert problem.value == [name]
    assert mend in problem.mend


def _meshopt(look: Any) -> None:
    _refused(look, "EXT_meshopt_compression", "Draco")


def _basis(look: Any) -> None:
    _refused(look, "KHR_texture_basisu", "WebP")
    build = Build()
    texture = build.picture(np.zeros((1, 1, 4)))
    source = build.doc["textures"][texture].pop("source")
    build.doc["textures"][texture]["extensions"] = {"KHR_texture_basisu": {"source": source}}
    with pytest.raises(AssetExtensionError, match="KHR_texture_basisu"):
        look.load(build)


def _unknown(look: Any) -> None:
    _refused(look, "VENDOR_magic", "without VENDOR_magic")


def _optional(look: Any) -> None:
    build = Build()
    build.quad()
    build.uses("KHR_materials_iridescence")
    assert any("KHR_materials_iridescence" in note for note in look.load(build).notes)


ROWS: list[tuple[str, str, str, str, Any]] = [
    ("Extensions", "KHR_lights_punctual", "drawn", "directional, point and spot, in lux and candela", _lights),
    ("Extensions", "KHR_materials_emissive_strength", "drawn", "", _strength),
    ("Extensions", "KHR_materials_unlit", "drawn", "", _unlit),
    ("Extensions", "KHR_texture_transform", "drawn", "", _transform),
    ("Extensions", "KHR_texture_transform on each of the 14 textures", "drawn", "", _transform_everywhere),
    ("Extensions", "KHR_mesh_quantization", "drawn", "", _quantised),
    ("Extensions", "KHR_materials_ior", "drawn", "", _ior),
    ("Extensions", "KHR_materials_specular", "drawn", "", _specular),
    ("Extensions", "KHR_materials_clearcoat", "drawn", "strength, roughness, a normal map of its own", _coat),
    ("Extensions", "KHR_materials_sheen", "drawn", "", _sheen),
    (
        "Extensions",
        "KHR_materials_transmission",
        "drawn",
        "what is behind is coloured, not blurred: rough glass shows the dome",
        _transmission,
    ),
    (
        "Extensions",
        "KHR_materials_volume",
        "drawn",
        "takes colour with thickness; the dome is seen bent, what is behind straight",
        _volume,
    ),
    ("Extensions", "KHR_materials_variants", "drawn", "chosen in the scene, also live", _variants),
    ("Extensions", "KHR_draco_mesh_compression", "drawn", "with the extra `draco` (DracoPy)", _draco),
    ("Extensions", "EXT_texture_webp", "drawn", "", _webp),
    ("Extensions", "EXT_meshopt_compression", "refused", "export uncompressed, or with Draco", _meshopt),
    ("Extensions", "KHR_texture_basisu", "refused", "also where a texture has no other picture", _basis),
    ("Extensions", "any other that the asset requires", "refused", "", _unknown),
    ("Extensions", "any other that the asset only uses", "noted", "", _optional),
]
"""Section, feature, verdict, note, check."""
