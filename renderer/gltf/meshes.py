"""Meshes of a glTF asset: all seven primitive modes, every attribute, morph targets, joints, variants, Draco."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from renderer.gltf import draco, geometry
from renderer.gltf.document import JsonPrimitive
from renderer.gltf.errors import AssetDataError, AssetFormatError, AssetReferenceError
from renderer.gltf.model import F32, Material, Mesh, MorphTarget, Primitive, PrimitiveMode
from renderer.gltf.reading import MEND, Reading, as_object

_KINDS: Final[dict[int, PrimitiveMode]] = {
    0: "points", 1: "lines", 2: "lines", 3: "lines", 4: "triangles", 5: "triangles", 6: "triangles",
}  # fmt: skip
_READ: Final = frozenset(
    {
        "POSITION", "NORMAL", "TANGENT", "TEXCOORD_0", "TEXCOORD_1", "COLOR_0",
        "JOINTS_0", "JOINTS_1", "WEIGHTS_0", "WEIGHTS_1",
    }
)  # fmt: skip
_MORPHED: Final = frozenset({"POSITION", "NORMAL", "TANGENT"})
_Width = int | tuple[int, ...]


def read_mesh(reading: Reading, index: int, materials: tuple[Material, ...], variants: int) -> Mesh:
    """Mesh `index`; primitives that hold nothing to draw are left out.

    Raises
    ------
    AssetFormatError, AssetReferenceError, AssetDataError, AssetExtensionError
    """
    source, place = reading.document.meshes[index], f"meshes[{index}]"
    targets = {len(primitive.targets) for primitive in source.primitives}
    if len(targets) > 1:
        raise AssetFormatError(
            reading.file, place, "its primitives have different numbers of morph targets", value=sorted(targets),
            mend=MEND,
        )  # fmt: skip
    count = targets.pop() if targets else 0
    if source.weights and len(source.weights) != count:
        raise AssetFormatError(
            reading.file, f"{place}.weights", f"must be {count} numbers, one a morph target",
            value=len(source.weights), mend=MEND,
        )  # fmt: skip
    weights = reading.numbers(source.weights or [0.0] * count, count, f"{place}.weights")
    found = [
        _Primitive(reading, primitive, f"{place}.primitives[{j}]", materials, variants).read()
        for j, primitive in enumerate(source.primitives)
    ]
    shapes = source.shapes if len(source.shapes) == count else ()
    return Mesh(source.name, tuple(p for p in found if p is not None), weights, shapes)


class _Primitive:
    def __init__(
        self, reading: Reading, source: JsonPrimitive, place: str, materials: tuple[Material, ...], variants: int
    ) -> None:
        self.reading = reading
        self.source = source
        self.place = place
        self.materials = materials
        self.variants = variants
        self.unpacked: dict[str, NDArray[Any]] = {}
        self.count = 0

    def read(self) -> Primitive | None:
        source, place, reading = self.source, self.place, self.reading
        if source.mode not in _KINDS:
            raise AssetFormatError(
                reading.file, f"{place}.mode", "is not a primitive mode", value=source.mode, mend=MEND
            )
        if "POSITION" not in source.attributes:
            reading.note(f"a primitive without positions is not drawn ({place})")
            return None
        for name in source.attributes:
            if name not in _READ and not name.startswith("_"):
                reading.note(f"attribute {name} is not read ({place})")
        indices = self._indices()
        positions = self._attribute("POSITION", 3)
        assert positions is not None
        self.count = len(positions)
        if indices is None:
            indices = np.arange(self.count, dtype=np.uint32)
        if indices.size and int(indices.max()) >= self.count:
            raise AssetReferenceError(
                reading.file, f"{place}.indices", f"the primitive has {self.count} vertices",
                value=int(indices.max()), mend=MEND,
            )  # fmt: skip
        indices = geometry.drawn_list(indices, source.mode)
        if not indices.size:
            return None
        colours = self._attribute("COLOR_0", (3, 4))
        if colours is not None and colours.shape[1] == 3:
            colours = np.column_stack([colours, np.ones(len(colours), dtype=np.float32)])
        joints, weights = self._joints()
        normals = self._attribute("NORMAL", 3)
        mode = _KINDS[source.mode]
        made = Primitive(
            positions,
            np.tile(np.array([0, 0, 1], np.float32), (self.count, 1)) if normals is None else _unit(normals),
            self._attribute("TEXCOORD_0", 2),
            self._attribute("TEXCOORD_1", 2),
            self._attribute("TANGENT", 4),
            colours,
            indices,
            self._material(source.material, f"{place}.material"),
            self._variants(),
            mode=mode,
            joints=joints,
            weights=weights,
            morphs=tuple(self._morph(i) for i in range(len(source.targets))),
            flat=normals is None and mode == "triangles",
            lit=normals is not None or mode == "triangles",
        )
        if made.flat:
            # The specification asks for flat normals here: every triangle gets vertices of its own.
            made = _unshared(made)
        return self._with_tangents(made)

    def _indices(self) -> NDArray[np.uint32] | None:
        packed = self.source.extensions.get(draco.NAME)
        if isinstance(packed, dict):
            here = f"{self.place}.extensions.{draco.NAME}"
            self.unpacked, faces = draco.decode(self.reading, packed, self.source.attributes, here)
            if self.source.mode == geometry.STRIP:
                raise AssetFormatError(
                    self.reading.file, f"{self.place}.mode", "Draco strips are not read", value=self.source.mode,
                    mend="export triangle lists",
                )  # fmt: skip
            return faces
        if self.source.indices is None:
            return None
        return self.reading.accessors.read_indices(self.source.indices, f"{self.place}.indices")

    def _attribute(self, name: str, width: _Width) -> F32 | None:
        index = self.source.attributes.get(name)
        if index is None:
            return None
        here = f"{self.place}.attributes.{name}"
        if name in self.unpacked:
            values = self.unpacked[name].astype(np.float32)
            wanted = (width,) if isinstance(width, int) else width
            if values.shape[1] not in wanted or not np.isfinite(values).all():
                raise AssetDataError(
                    self.reading.file, here, "the Draco stream does not hold it so", value=values.shape[1], mend=MEND
                )
        else:
            values = self.reading.accessors.read(index, here, width=width)
        return self._counted(values, here)

    def _counted(self, values: F32, here: str) -> F32:
        if self.count and len(values) != self.count:
            raise AssetDataError(
                self.reading.file, here, f"has {len(values)} elements where POSITION has {self.count}",
                value=len(values), mend=MEND,
            )  # fmt: skip
        return values

    def _joints(self) -> tuple[NDArray[np.uint32] | None, F32 | None]:
        joints: list[NDArray[np.uint32]] = []
        weights: list[F32] = []
        for number in (0, 1):
            name = f"JOINTS_{number}"
            index = self.source.attributes.get(name)
            weight = self._attribute(f"WEIGHTS_{number}", 4)
            if index is None or weight is None:
                continue
            here = f"{self.place}.attributes.{name}"
            if name in self.unpacked:
                values = self.unpacked[name].astype(np.uint32)
            else:
                values = self.reading.accessors.read_integers(index, here, width=4)
            if len(values) != self.count:
                raise AssetDataError(
                    self.reading.file, here, f"has {len(values)} elements where POSITION has {self.count}",
                    value=len(values), mend=MEND,
                )  # fmt: skip
            joints.append(values)
            weights.append(weight)
        if not joints:
            return None, None
        joint, weight = np.concatenate(joints, axis=1), np.maximum(np.concatenate(weights, axis=1), 0.0)
        total = weight.sum(axis=1, keepdims=True)
        lost = total[:, 0] <= 0.0
        weight = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0.0)
        weight[lost, 0] = 1.0
        # A joint that counts nothing may be any number in a file; it must not be looked up.
        return np.where(weight > 0.0, joint, 0).astype(np.uint32), weight.astype(np.float32)

    def _morph(self, number: int) -> MorphTarget:
        target, place = self.source.targets[number], f"{self.place}.targets[{number}]"
        for name in target:
            if name not in _MORPHED:
                self.reading.note(f"morphing of {name} is not read ({self.place})")
        found: dict[str, F32 | None] = {}
        for name in ("POSITION", "NORMAL", "TANGENT"):
            here = f"{place}.{name}"
            index = target.get(name)
            found[name] = (
                None if index is None else self._counted(self.reading.accessors.read(index, here, width=3), here)
            )
        return MorphTarget(found["POSITION"], found["NORMAL"], found["TANGENT"])

    def _material(self, index: int | None, place: str) -> int | None:
        if index is not None:
            self.reading.accessors.pick(list(self.materials), index, "materials", place)
        return index

    def _variants(self) -> tuple[tuple[int, int], ...]:
        place = f"{self.place}.extensions.KHR_materials_variants"
        mappings = as_object(self.source.extensions.get("KHR_materials_variants")).get("mappings", [])
        out: dict[int, int] = {}
        for i, entry in enumerate(mappings if isinstance(mappings, list) else []):
            here = f"{place}.mappings[{i}]"
            mapping = as_object(entry)
            material = mapping.get("material")
            if not isinstance(material, int):
                raise AssetFormatError(self.reading.file, f"{here}.material", "must be a number", mend=MEND)
            self._material(material, f"{here}.material")
            chosen = mapping.get("variants", [])
            for variant in chosen if isinstance(chosen, list) else [chosen]:
                if not isinstance(variant, int) or not 0 <= variant < self.variants:
                    raise AssetReferenceError(
                        self.reading.file, f"{here}.variants", f"the asset has {self.variants} variants",
                        value=variant, mend=MEND,
                    )  # fmt: skip
                out[variant] = material
        return tuple(sorted(out.items()))

    def _with_tangents(self, made: Primitive) -> Primitive:
        """Tangents where any of its materials needs them, made if the file has none."""
        chosen = [made.material, *(material for _, material in made.variant_materials)]
        uses = []
        for material in (self.materials[m] for m in chosen if m is not None):
            uses += [use for use in (material.normal_texture, material.clearcoat_normal_texture) if use is not None]
        if not uses or made.mode != "triangles":
            return replace(made, tangents=None)
        uv = (made.uv0, made.uv1)[uses[0].uv_set]
        if made.tangents is not None or uv is None:
            return made
        return replace(made, tangents=geometry.tangents(made.positions, made.normals, uv, made.indices))


def _unit(normals: F32) -> F32:
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    plain = np.tile(np.array([0, 0, 1], np.float32), (len(normals), 1))
    return np.asarray(np.divide(normals, length, out=plain, where=length > 0))


def _unshared(p: Primitive) -> Primitive:
    at = p.indices
    positions = p.positions[at]

    def own(values: Any) -> Any:
        return None if values is None else values[at]

    return replace(
        p,
        positions=positions,
        normals=geometry.flat_normals(positions),
        uv0=own(p.uv0),
        uv1=own(p.uv1),
        tangents=None,
        colours=own(p.colours),
        joints=own(p.joints),
        weights=own(p.weights),
        morphs=tuple(MorphTarget(own(m.positions), None, None) for m in p.morphs),
        indices=np.arange(len(positions), dtype=np.uint32),
    )
