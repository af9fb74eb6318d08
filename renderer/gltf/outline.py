"""What an asset is made of, by name, read from its JSON alone: for addresses, checks and lists without a GPU.

Names of an asset become ids that fit addresses: lower case, other signs than letters and digits an underscore,
`_2`, `_3`... after names that come again, in the file's order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from renderer.gltf.document import Document, read_document_json
from renderer.gltf.errors import AssetMissingError
from renderer.gltf.model import Asset

_LONGEST: Final = 32


@dataclass(frozen=True, slots=True)
class MaterialOutline:
    """A material's own factors, linear Rec.709."""

    base_colour: tuple[float, float, float, float]
    metallic: float
    roughness: float
    emissive: tuple[float, float, float]
    """With the emissive strength in it."""


@dataclass(frozen=True, slots=True)
class Outline:
    """Nodes, materials, animations, variants and skins of an asset by id, in the file's order."""

    nodes: Mapping[str, int]
    materials: Mapping[str, MaterialOutline]
    animations: Mapping[str, int]
    variants: tuple[str, ...]
    skins: int = 0
    lights: int = 0
    shapes: tuple[str, ...] = ()
    """Named morph targets of all meshes, each name once."""


def shape_ids(of_meshes: Iterable[Iterable[str]]) -> dict[str, str]:
    """Id by name of the morph targets of all meshes: those of one name move together."""
    names = list(dict.fromkeys(name for names in of_meshes for name in names))
    return dict(zip(names, ids_of(names, "shape"), strict=True))


def ids_of(names: Iterable[str], kind: str) -> tuple[str, ...]:
    """An id for each name: `Left Arm.001` is `left_arm_001`, a nameless one `kind` with its number."""
    out: list[str] = []
    taken: set[str] = set()
    for number, name in enumerate(names):
        text = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or f"{kind}_{number}"
        if not text[0].isalpha():
            text = f"{kind[0]}_{text}"
        text = text[:_LONGEST].rstrip("_")
        found, again = text, 2
        while found in taken:
            end = f"_{again}"
            found, again = text[: _LONGEST - len(end)].rstrip("_") + end, again + 1
        taken.add(found)
        out.append(found)
    return tuple(out)


def outline(file: Path) -> Outline:
    """The outline of the asset `file`; kept until the file changes.

    Raises
    ------
    AssetMissingError, AssetFormatError
    """
    try:
        stat = file.stat()
    except OSError as error:
        raise AssetMissingError(
            file, "", f"cannot be read: {error.strerror}", value=str(file), mend="correct the path"
        ) from error
    return _outline(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _outline(file: Path, _mtime_ns: int, _size: int) -> Outline:
    return outline_of(read_document_json(file))


def outline_of(document: Document) -> Outline:
    """The outline of a glTF's JSON."""
    nodes = ids_of((node.name for node in document.nodes), "node")
    materials = ids_of((material.name for material in document.materials), "material")
    animations = ids_of((animation.name for animation in document.animations), "animation")
    factors = []
    for material in document.materials:
        pbr = material.pbrMetallicRoughness
        strength = _object(material.extensions.get("KHR_materials_emissive_strength")).get("emissiveStrength", 1.0)
        strength = float(strength) if isinstance(strength, (int, float)) else 1.0
        red, green, blue = (v * strength for v in material.emissiveFactor)
        factors.append(
            MaterialOutline(pbr.baseColorFactor, pbr.metallicFactor, pbr.roughnessFactor, (red, green, blue))
        )
    lights = _object(document.extensions.get("KHR_lights_punctual")).get("lights", [])
    return Outline(
        {name: i for i, name in enumerate(nodes)},
        dict(zip(materials, factors, strict=True)),
        {name: i for i, name in enumerate(animations)},
        variant_ids(document),
        len(document.skins),
        len(lights) if isinstance(lights, list) else 0,
        tuple(shape_ids(mesh.shapes for mesh in document.meshes).values()),
    )


def asset_outline(asset: Asset) -> Outline:
    """The outline of an asset that is read (or made)."""
    return Outline(
        {name: i for i, name in enumerate(ids_of((node.name for node in asset.nodes), "node"))},
        {
            name: MaterialOutline(m.base_colour, m.metallic, m.roughness, m.emissive)
            for name, m in zip(ids_of((m.name for m in asset.materials), "material"), asset.materials, strict=True)
        },
        {name: i for i, name in enumerate(ids_of((a.name for a in asset.animations), "animation"))},
        ids_of(asset.variants, "variant"),
        len(asset.skins),
        len(asset.lights),
        tuple(shape_ids(mesh.shapes for mesh in asset.meshes).values()),
    )


def variant_ids(document: Document) -> tuple[str, ...]:
    """Ids of the asset's material variants."""
    variants = _object(document.extensions.get("KHR_materials_variants")).get("variants", [])
    names = [str(_object(v).get("name", "")) for v in variants] if isinstance(variants, list) else []
    return ids_of(names, "variant")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
