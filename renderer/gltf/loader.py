"""Reads a glTF 2.0 asset (.gltf or .glb) into plain arrays, and says in words what is wrong with a bad one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final, cast

import numpy as np

from renderer.gltf import draco
from renderer.gltf.document import Document, JsonNode, read_document
from renderer.gltf.errors import AssetDataError, AssetExtensionError, AssetFormatError, AssetReferenceError
from renderer.gltf.meshes import read_mesh
from renderer.gltf.model import Asset, Light, LightKind, Mesh, Node, Skin
from renderer.gltf.movement import read_animation, read_skin
from renderer.gltf.reading import MEND, Reading, as_object
from renderer.gltf.surfaces import read_image, read_material, read_texture

EXTENSIONS: Final = frozenset(
    {
        draco.NAME,
        "EXT_texture_webp",
        "KHR_lights_punctual",
        "KHR_materials_clearcoat",
        "KHR_materials_emissive_strength",
        "KHR_materials_ior",
        "KHR_materials_sheen",
        "KHR_materials_specular",
        "KHR_materials_transmission",
        "KHR_materials_unlit",
        "KHR_materials_variants",
        "KHR_materials_volume",
        "KHR_mesh_quantization",
        "KHR_texture_transform",
    }
)
"""Extensions that are read; any other that a file requires is refused by name."""

_INSTEAD: Final = {
    "EXT_meshopt_compression": "export it uncompressed, or compressed with Draco",
    "KHR_meshopt_compression": "export it uncompressed, or compressed with Draco",
    "KHR_texture_basisu": "export textures as PNG, JPEG or WebP",
}
"""What to do about extensions that are common and not read."""


def load(path: Path | str) -> Asset:
    """Read the glTF asset at `path`, with its default scene (or the first, or all root nodes).

    Raises
    ------
    AssetMissingError, AssetOutsideError, AssetFormatError, AssetReferenceError, AssetDataError,
    AssetExtensionError, AssetImageError : each names file, place, value and mend.
    """
    file = Path(path)
    document, binary = read_document(file)
    unknown = [name for name in document.extensionsRequired if name not in EXTENSIONS]
    if unknown:
        ways = list(dict.fromkeys(_INSTEAD.get(name, f"export it without {name}") for name in unknown))
        raise AssetExtensionError(
            file,
            "extensionsRequired",
            f"the asset requires {', '.join(unknown)}, which OpenVolume does not read",
            value=unknown,
            mend="; ".join(ways),
        )
    return _asset(Reading(file, document, binary))


def _asset(reading: Reading) -> Asset:
    document = reading.document
    for name in document.extensionsUsed:
        if name not in EXTENSIONS:
            reading.note(f"extension {name} is not read and was left out")
    if document.cameras:
        reading.note("cameras of the asset are not used: cameras are tracked ones")
    if len(document.scenes) > 1:
        reading.note(f"the asset has {len(document.scenes)} scenes; only its default one is drawn")
    materials = tuple(read_material(reading, i) for i in range(len(document.materials)))
    textures = tuple(read_texture(reading, i) for i in range(len(document.textures)))
    variants = _variants(document)
    meshes = tuple(read_mesh(reading, i, materials, len(variants)) for i in range(len(document.meshes)))
    lights = _lights(reading)
    skins = tuple(read_skin(reading, i) for i in range(len(document.skins)))
    nodes = tuple(_node(reading, n, f"nodes[{i}]", len(lights)) for i, n in enumerate(document.nodes))
    nodes = tuple(_skinned(reading, node, i, meshes, skins) for i, node in enumerate(nodes))
    roots = _roots(reading, nodes)
    animations = tuple(read_animation(reading, i, meshes) for i in range(len(document.animations)))
    pictures = tuple(read_image(reading, i) for i in range(len(document.images)))
    return Asset(
        reading.file, nodes, roots, meshes, materials, textures, pictures, animations, lights, reading.notes,
        variants, skins,
    )  # fmt: skip


def _variants(document: Document) -> tuple[str, ...]:
    variants = as_object(document.extensions.get("KHR_materials_variants")).get("variants", [])
    return tuple(str(as_object(v).get("name", "")) for v in variants) if isinstance(variants, list) else ()


# --- tree -----------------------------------------------------------------------------------------------------------


def _roots(reading: Reading, nodes: tuple[Node, ...]) -> tuple[int, ...]:
    document = reading.document
    if document.scenes:
        number = document.scene or 0
        scene = reading.accessors.pick(document.scenes, number, "scenes", "scene")
        roots = tuple(scene.nodes)
        for i, root in enumerate(roots):
            reading.accessors.pick(document.nodes, root, "nodes", f"scenes[{number}].nodes[{i}]")
    else:
        below = {child for node in nodes for child in node.children}
        roots = tuple(i for i in range(len(nodes)) if i not in below)
        if nodes and not roots:
            raise AssetFormatError(
                reading.file, "nodes[0]", "every node is below another: the tree is a ring", mend=MEND
            )
    # The nodes must form a tree: a node reached twice would be drawn twice, a ring would never end.
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        index = stack.pop()
        if index in seen:
            raise AssetFormatError(
                reading.file, f"nodes[{index}]", "is a child of two nodes, or of itself", value=index, mend=MEND
            )
        seen.add(index)
        stack.extend(nodes[index].children)
    for i in sorted(seen):
        skin = reading.document.nodes[i].skin
        away = [] if skin is None else [j for j in reading.document.skins[skin].joints if j not in seen]
        if away:
            raise AssetReferenceError(
                reading.file, f"nodes[{i}].skin", "a joint of its skin is not in the scene", value=away[0], mend=MEND
            )
    return roots


def _node(reading: Reading, node: JsonNode, place: str, light_count: int) -> Node:
    for i, child in enumerate(node.children):
        reading.accessors.pick(reading.document.nodes, child, "nodes", f"{place}.children[{i}]")
    if node.mesh is not None:
        reading.accessors.pick(reading.document.meshes, node.mesh, "meshes", f"{place}.mesh")
    if node.skin is not None:
        reading.accessors.pick(reading.document.skins, node.skin, "skins", f"{place}.skin")
    light = as_object(node.extensions.get("KHR_lights_punctual")).get("light")
    if light is not None and not (isinstance(light, int) and 0 <= light < light_count):
        raise AssetReferenceError(
            reading.file, f"{place}.extensions.KHR_lights_punctual.light", f"the asset has {light_count} lights",
            value=light, mend=MEND,
        )  # fmt: skip
    fixed = None
    numbers = [*node.translation, *node.rotation, *node.scale]
    if node.matrix is not None:
        if len(node.matrix) != 16:
            raise AssetFormatError(
                reading.file, f"{place}.matrix", "must have 16 numbers", value=len(node.matrix), mend=MEND
            )
        numbers = node.matrix
        fixed = np.array(node.matrix, dtype=np.float64).reshape(4, 4).T.copy()
    if not np.isfinite(numbers).all():
        raise AssetDataError(reading.file, place, "the transform is not finite", value=str(numbers), mend=MEND)
    length = math.sqrt(sum(v * v for v in node.rotation))
    if length < 1e-6:
        raise AssetDataError(reading.file, f"{place}.rotation", "has no direction", value=node.rotation, mend=MEND)
    x, y, z, w = (v / length for v in node.rotation)
    settings = as_object(as_object(node.extras).get("openvolume"))
    return Node(
        node.name, tuple(node.children), node.mesh, light, node.translation, (x, y, z, w), node.scale, fixed,
        node.skin, None if node.weights is None else tuple(node.weights), settings.get("shadow") is not False,
    )  # fmt: skip


def _skinned(reading: Reading, node: Node, index: int, meshes: tuple[Mesh, ...], skins: tuple[Skin, ...]) -> Node:
    """The node, after a look at whether its skin and its weights fit its mesh."""
    mesh = None if node.mesh is None else meshes[node.mesh]
    if node.weights is not None:
        count = 0 if mesh is None else len(mesh.weights)
        reading.numbers(node.weights, count, f"nodes[{index}].weights")
    if node.skin is None or mesh is None:
        return node
    count = len(skins[node.skin].joints)
    for j, primitive in enumerate(mesh.primitives):
        if primitive.joints is None:
            reading.note(f"a skinned mesh has no joints and stands still (meshes[{node.mesh}].primitives[{j}])")
        elif int(primitive.joints.max()) >= count:
            raise AssetReferenceError(
                reading.file, f"meshes[{node.mesh}].primitives[{j}].attributes.JOINTS_0",
                f"the skin has {count} joints", value=int(primitive.joints.max()), mend=MEND,
            )  # fmt: skip
    return node


# --- light ----------------------------------------------------------------------------------------------------------


def _lights(reading: Reading) -> tuple[Light, ...]:
    out: list[Light] = []
    source = as_object(reading.document.extensions.get("KHR_lights_punctual")).get("lights", [])
    for i, entry in enumerate(source if isinstance(source, list) else []):
        here = f"extensions.KHR_lights_punctual.lights[{i}]"
        light = as_object(entry)
        kind = light.get("type")
        if kind not in ("directional", "point", "spot"):
            raise AssetFormatError(reading.file, f"{here}.type", "is not a light type", value=kind, mend=MEND)
        red, green, blue = reading.numbers(light.get("color", [1.0, 1.0, 1.0]), 3, f"{here}.color")
        intensity = reading.number(light, "intensity", 1.0, here)
        reach = light.get("range")
        spot = as_object(light.get("spot"))
        inner, outer = reading.numbers(
            [spot.get("innerConeAngle", 0.0), spot.get("outerConeAngle", math.pi / 4)], 2, f"{here}.spot"
        )
        out.append(
            Light(
                cast("LightKind", kind),
                (red, green, blue),
                intensity,
                None if reach is None else reading.numbers([reach], 1, f"{here}.range")[0],
                inner,
                outer,
            )
        )
    return tuple(out)
