"""Reads a glTF 2.0 asset (.gltf or .glb) into plain arrays, and says in words what is wrong with a bad one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from renderer.gltf import geometry, images
from renderer.gltf.accessors import Accessors
from renderer.gltf.document import (
    Document,
    JsonAnimation,
    JsonMaterial,
    JsonNode,
    JsonPrimitive,
    JsonTextureInfo,
    read_document,
    read_uri,
)
from renderer.gltf.errors import AssetDataError, AssetExtensionError, AssetFormatError, AssetReferenceError
from renderer.gltf.model import (
    AlphaMode,
    AnimatedPath,
    Animation,
    Asset,
    Channel,
    Interpolation,
    Light,
    LightKind,
    Material,
    Mesh,
    Node,
    Primitive,
    Sampler,
    Texture,
    TextureUse,
    Wrap,
)

EXTENSIONS = frozenset(
    {
        "KHR_lights_punctual",
        "KHR_materials_emissive_strength",
        "KHR_materials_unlit",
        "KHR_mesh_quantization",
        "KHR_texture_transform",
    }
)
"""Extensions that are read in full; any other that a file requires is refused by name."""

_WRAPS: dict[int, Wrap] = {10497: "repeat", 33071: "clamp", 33648: "mirror"}
_MODE_NAMES = {0: "points", 1: "lines", 2: "line loops", 3: "line strips"}
_MEND = "export the asset again"


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
        raise AssetExtensionError(
            file,
            "extensionsRequired",
            f"the asset requires {', '.join(unknown)}, which OpenVolume does not read",
            value=unknown,
            mend="export it without the extension (uncompressed meshes, PNG or JPEG textures)",
        )
    return _Loader(file, document, binary).asset()


class _Loader:
    def __init__(self, file: Path, document: Document, binary: bytes | None) -> None:
        self.file = file
        self.document = document
        self.accessors = Accessors(file, document, binary)
        self.notes: list[str] = [
            f"extension {name} is not read and was left out"
            for name in document.extensionsUsed
            if name not in EXTENSIONS
        ]

    def asset(self) -> Asset:
        document = self.document
        materials = tuple(self._material(m, f"materials[{i}]") for i, m in enumerate(document.materials))
        textures = tuple(self._texture(i) for i in range(len(document.textures)))
        meshes = tuple(
            Mesh(
                mesh.name,
                tuple(
                    primitive
                    for j, source in enumerate(mesh.primitives)
                    if (primitive := self._primitive(source, f"meshes[{i}].primitives[{j}]", materials)) is not None
                ),
            )
            for i, mesh in enumerate(document.meshes)
        )
        lights = self._lights()
        nodes = tuple(self._node(n, f"nodes[{i}]", len(lights)) for i, n in enumerate(document.nodes))
        roots = self._roots(nodes)
        animations = tuple(self._animation(a, f"animations[{i}]") for i, a in enumerate(document.animations))
        if any(node.skin is not None for node in document.nodes):
            self.notes.append("skins are not read; skinned meshes stand in their rest pose")
        if any(p.targets for mesh in document.meshes for p in mesh.primitives):
            self.notes.append("morph targets are not read; meshes keep their base shape")
        pictures = tuple(self._image(i) for i in range(len(document.images)))
        return Asset(
            self.file, nodes, roots, meshes, materials, textures, pictures, animations, lights,
            tuple(dict.fromkeys(self.notes)),
        )  # fmt: skip

    # --- tree -------------------------------------------------------------------------------------------------

    def _roots(self, nodes: tuple[Node, ...]) -> tuple[int, ...]:
        document = self.document
        children = [child for node in nodes for child in node.children]
        if document.scenes:
            number = document.scene or 0
            scene = self.accessors.pick(document.scenes, number, "scenes", "scene")
            roots = tuple(scene.nodes)
            for i, root in enumerate(roots):
                self.accessors.pick(document.nodes, root, "nodes", f"scenes[{number}].nodes[{i}]")
        else:
            below = set(children)
            roots = tuple(i for i in range(len(nodes)) if i not in below)
            if nodes and not roots:
                raise AssetFormatError(
                    self.file, "nodes[0]", "every node is below another: the tree is a ring", mend=_MEND
                )
        # The nodes must form a tree: a node reached twice would be drawn twice, a ring would never end.
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            index = stack.pop()
            if index in seen:
                raise AssetFormatError(
                    self.file, f"nodes[{index}]", "is a child of two nodes, or of itself", value=index, mend=_MEND
                )
            seen.add(index)
            stack.extend(nodes[index].children)
        return roots

    def _node(self, node: JsonNode, place: str, light_count: int) -> Node:
        for i, child in enumerate(node.children):
            self.accessors.pick(self.document.nodes, child, "nodes", f"{place}.children[{i}]")
        if node.mesh is not None:
            self.accessors.pick(self.document.meshes, node.mesh, "meshes", f"{place}.mesh")
        light = _object(node.extensions.get("KHR_lights_punctual")).get("light")
        if light is not None and not (isinstance(light, int) and 0 <= light < light_count):
            raise AssetReferenceError(
                self.file, f"{place}.extensions.KHR_lights_punctual.light", f"the asset has {light_count} lights",
                value=light, mend=_MEND,
            )  # fmt: skip
        fixed = None
        numbers = [*node.translation, *node.rotation, *node.scale]
        if node.matrix is not None:
            if len(node.matrix) != 16:
                raise AssetFormatError(
                    self.file, f"{place}.matrix", "must have 16 numbers", value=len(node.matrix), mend=_MEND
                )
            numbers = node.matrix
            fixed = np.array(node.matrix, dtype=np.float64).reshape(4, 4).T.copy()
        if not np.isfinite(numbers).all():
            raise AssetDataError(self.file, place, "the transform is not finite", value=str(numbers), mend=_MEND)
        length = math.sqrt(sum(v * v for v in node.rotation))
        if length < 1e-6:
            raise AssetDataError(self.file, f"{place}.rotation", "has no direction", value=node.rotation, mend=_MEND)
        x, y, z, w = (v / length for v in node.rotation)
        settings = _object(_object(node.extras).get("openvolume"))
        return Node(
            node.name, tuple(node.children), node.mesh, light, node.translation, (x, y, z, w), node.scale, fixed,
            settings.get("shadow") is not False,
        )  # fmt: skip

    # --- surfaces ---------------------------------------------------------------------------------------------

    def _image(self, index: int) -> NDArray[np.uint8]:
        image = self.document.images[index]
        place = f"images[{index}]"
        if image.uri is not None:
            return images.decode(self.file, read_uri(self.file, image.uri, f"{place}.uri"), place)
        if image.bufferView is None:
            raise AssetFormatError(self.file, place, "has neither a uri nor a bufferView", mend=_MEND)
        return images.decode(self.file, self.accessors.view(image.bufferView, f"{place}.bufferView"), place)

    def _texture(self, index: int) -> Texture:
        texture = self.document.textures[index]
        place = f"textures[{index}]"
        webp = _object(texture.extensions.get("EXT_texture_webp")).get("source")
        source = texture.source if texture.source is not None else webp
        if not isinstance(source, int):
            raise AssetFormatError(
                self.file, place, "names no picture that can be read", mend="export textures as PNG or JPEG"
            )
        self.accessors.pick(self.document.images, source, "images", f"{place}.source")
        if texture.sampler is None:
            return Texture(source, Sampler())
        sampler = self.accessors.pick(self.document.samplers, texture.sampler, "samplers", f"{place}.sampler")
        for name, value in (("wrapS", sampler.wrapS), ("wrapT", sampler.wrapT)):
            if value not in _WRAPS:
                raise AssetFormatError(
                    self.file, f"samplers[{texture.sampler}].{name}", "is not a wrap mode", value=value, mend=_MEND
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

    def _use(self, info: JsonTextureInfo | None, place: str, *, strength: float = 1.0) -> TextureUse | None:
        if info is None:
            return None
        self.accessors.pick(self.document.textures, info.index, "textures", f"{place}.index")
        uv_set = info.texCoord
        rows = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        change = _object(info.extensions.get("KHR_texture_transform"))
        if change:
            here = f"{place}.extensions.KHR_texture_transform"
            ox, oy = self._numbers(change.get("offset", [0.0, 0.0]), 2, f"{here}.offset")
            sx, sy = self._numbers(change.get("scale", [1.0, 1.0]), 2, f"{here}.scale")
            (turn,) = self._numbers([change.get("rotation", 0.0)], 1, f"{here}.rotation")
            c, s = math.cos(turn), math.sin(turn)
            rows = (c * sx, s * sy, ox, -s * sx, c * sy, oy)
            uv_set = change.get("texCoord", uv_set)
        if uv_set not in (0, 1):
            raise AssetFormatError(
                self.file, f"{place}.texCoord", "only coordinate sets 0 and 1 are read", value=uv_set, mend=_MEND
            )
        return TextureUse(info.index, uv_set, rows, strength)

    def _material(self, material: JsonMaterial, place: str) -> Material:
        pbr = material.pbrMetallicRoughness
        modes: dict[str, AlphaMode] = {"OPAQUE": "opaque", "MASK": "mask", "BLEND": "blend"}
        if material.alphaMode not in modes:
            raise AssetFormatError(
                self.file, f"{place}.alphaMode", "is not an alpha mode", value=material.alphaMode, mend=_MEND
            )
        strength = 1.0
        emission = _object(material.extensions.get("KHR_materials_emissive_strength"))
        if emission:
            here = f"{place}.extensions.KHR_materials_emissive_strength.emissiveStrength"
            (strength,) = self._numbers([emission.get("emissiveStrength", 1.0)], 1, here)
        normal, occlusion = material.normalTexture, material.occlusionTexture
        red, green, blue = (v * strength for v in material.emissiveFactor)
        return Material(
            name=material.name,
            base_colour=pbr.baseColorFactor,
            metallic=pbr.metallicFactor,
            roughness=pbr.roughnessFactor,
            emissive=(red, green, blue),
            base_texture=self._use(pbr.baseColorTexture, f"{place}.pbrMetallicRoughness.baseColorTexture"),
            metallic_roughness_texture=self._use(
                pbr.metallicRoughnessTexture, f"{place}.pbrMetallicRoughness.metallicRoughnessTexture"
            ),
            normal_texture=self._use(normal, f"{place}.normalTexture", strength=normal.scale if normal else 1.0),
            occlusion_texture=self._use(
                occlusion, f"{place}.occlusionTexture", strength=occlusion.strength if occlusion else 1.0
            ),
            emissive_texture=self._use(material.emissiveTexture, f"{place}.emissiveTexture"),
            alpha_mode=modes[material.alphaMode],
            alpha_cutoff=material.alphaCutoff,
            double_sided=material.doubleSided,
            unlit="KHR_materials_unlit" in material.extensions,
        )

    def _primitive(self, source: JsonPrimitive, place: str, materials: tuple[Material, ...]) -> Primitive | None:
        if source.mode in _MODE_NAMES:
            self.notes.append(f"{_MODE_NAMES[source.mode]} are not drawn ({place})")
            return None
        if source.mode not in (geometry.TRIANGLES, geometry.STRIP, geometry.FAN):
            raise AssetFormatError(self.file, f"{place}.mode", "is not a primitive mode", value=source.mode, mend=_MEND)
        if "POSITION" not in source.attributes:
            self.notes.append(f"a primitive without positions is not drawn ({place})")
            return None
        material = None
        if source.material is not None:
            material = self.accessors.pick(list(materials), source.material, "materials", f"{place}.material")
        read = self._attribute
        positions = read(source, "POSITION", place, 3)
        assert positions is not None
        count = len(positions)
        if source.indices is None:
            indices = np.arange(count, dtype=np.uint32)
        else:
            indices = self.accessors.read_indices(source.indices, f"{place}.indices")
            if indices.size and int(indices.max()) >= count:
                raise AssetReferenceError(
                    self.file, f"{place}.indices", f"the primitive has {count} vertices", value=int(indices.max()),
                    mend=_MEND,
                )  # fmt: skip
        indices = geometry.triangle_list(indices, source.mode)
        if not indices.size:
            return None
        optional = {
            name: read(source, name, place, width, count)
            for name, width in (
                ("NORMAL", 3), ("TANGENT", 4), ("TEXCOORD_0", 2), ("TEXCOORD_1", 2), ("COLOR_0", (3, 4)),
            )
        }  # fmt: skip
        if optional["NORMAL"] is None:
            # The specification asks for flat normals here: every triangle gets vertices of its own.
            positions = positions[indices]
            optional = {name: None if v is None else v[indices] for name, v in optional.items()}
            optional["TANGENT"] = None
            indices = np.arange(len(positions), dtype=np.uint32)
            normals = geometry.flat_normals(positions)
        else:
            normals = optional["NORMAL"]
            length = np.linalg.norm(normals, axis=1, keepdims=True)
            normals = np.divide(
                normals, length, out=np.tile(np.array([0, 0, 1], np.float32), (len(normals), 1)), where=length > 0
            )
        colours = optional["COLOR_0"]
        if colours is not None and colours.shape[1] == 3:
            colours = np.column_stack([colours, np.ones(len(colours), dtype=np.float32)])
        uv = (optional["TEXCOORD_0"], optional["TEXCOORD_1"])
        tangents = None
        if material is not None and material.normal_texture is not None:
            tangents = optional["TANGENT"]
            chosen = uv[material.normal_texture.uv_set]
            if tangents is None and chosen is not None:
                tangents = geometry.tangents(positions, normals, chosen, indices)
        return Primitive(positions, normals, uv[0], uv[1], tangents, colours, indices, source.material)

    def _attribute(
        self, source: JsonPrimitive, name: str, place: str, width: int | tuple[int, ...], count: int | None = None
    ) -> NDArray[np.float32] | None:
        index = source.attributes.get(name)
        if index is None:
            return None
        here = f"{place}.attributes.{name}"
        values = self.accessors.read(index, here, width=width)
        if count is not None and len(values) != count:
            raise AssetDataError(
                self.file, here, f"has {len(values)} elements where POSITION has {count}", value=len(values), mend=_MEND
            )
        return values

    # --- movement and light -----------------------------------------------------------------------------------

    def _animation(self, animation: JsonAnimation, place: str) -> Animation:
        channels: list[Channel] = []
        kinds: dict[str, Interpolation] = {"STEP": "step", "LINEAR": "linear", "CUBICSPLINE": "cubic"}
        for i, channel in enumerate(animation.channels):
            here = f"{place}.channels[{i}]"
            if channel.target.node is None or channel.target.path not in ("translation", "rotation", "scale"):
                self.notes.append(f"animation of {channel.target.path} is not read")
                continue
            path = cast("AnimatedPath", channel.target.path)
            self.accessors.pick(self.document.nodes, channel.target.node, "nodes", f"{here}.target.node")
            source = self.accessors.pick(animation.samplers, channel.sampler, "samplers", f"{here}.sampler")
            there = f"{place}.samplers[{channel.sampler}]"
            if source.interpolation not in kinds:
                raise AssetFormatError(
                    self.file, f"{there}.interpolation", "is not known", value=source.interpolation, mend=_MEND
                )
            kind = kinds[source.interpolation]
            times = self.accessors.read(source.input, f"{there}.input", width=1)[:, 0].astype(np.float64)
            width = 4 if path == "rotation" else 3
            values = self.accessors.read(source.output, f"{there}.output", width=width).astype(np.float64)
            per_key = 3 if kind == "cubic" else 1
            if len(values) != len(times) * per_key:
                raise AssetDataError(
                    self.file, f"{there}.output", f"has {len(values)} values for {len(times)} {kind} keys",
                    value=len(values), mend=_MEND,
                )  # fmt: skip
            if np.any(np.diff(times) <= 0) or times[0] < 0:
                raise AssetDataError(self.file, f"{there}.input", "key times must grow from 0 or later", mend=_MEND)
            if kind == "cubic":
                values = values.reshape(len(times), 3, width)
            elif path == "rotation":
                length = np.linalg.norm(values, axis=1, keepdims=True)
                if np.any(length < 1e-6):
                    raise AssetDataError(self.file, f"{there}.output", "a rotation has no direction", mend=_MEND)
                values = values / length
            channels.append(Channel(channel.target.node, path, times, values, kind))
        return Animation(animation.name, tuple(channels), max((float(c.times_s[-1]) for c in channels), default=0.0))

    def _lights(self) -> tuple[Light, ...]:
        out: list[Light] = []
        source = _object(self.document.extensions.get("KHR_lights_punctual")).get("lights", [])
        for i, light in enumerate(source if isinstance(source, list) else []):
            here = f"extensions.KHR_lights_punctual.lights[{i}]"
            light = _object(light)
            kind = light.get("type")
            if kind not in ("directional", "point", "spot"):
                raise AssetFormatError(self.file, f"{here}.type", "is not a light type", value=kind, mend=_MEND)
            red, green, blue = self._numbers(light.get("color", [1.0, 1.0, 1.0]), 3, f"{here}.color")
            (intensity,) = self._numbers([light.get("intensity", 1.0)], 1, f"{here}.intensity")
            reach = light.get("range")
            spot = _object(light.get("spot"))
            inner, outer = self._numbers(
                [spot.get("innerConeAngle", 0.0), spot.get("outerConeAngle", math.pi / 4)], 2, f"{here}.spot"
            )
            out.append(
                Light(
                    cast("LightKind", kind),
                    (red, green, blue),
                    intensity,
                    None if reach is None else self._numbers([reach], 1, f"{here}.range")[0],
                    inner,
                    outer,
                )
            )
        return tuple(out)

    def _numbers(self, value: Any, count: int, place: str) -> tuple[float, ...]:
        good = isinstance(value, (list, tuple)) and len(value) == count
        if not good or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in value):
            raise AssetFormatError(self.file, place, f"must be {count} finite numbers", value=value, mend=_MEND)
        return tuple(float(v) for v in value)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
