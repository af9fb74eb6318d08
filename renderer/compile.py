"""Assets compiled to one draw list: vertices by layout, clusters, materials, and what of it bends or has variants.

All triangles of one vertex layout share one buffer; a draw is one indirect command. Objects of one asset share its
vertices; a mesh that bends has its own for every node that shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.clusters import Cluster, clustered
from renderer.device import Device
from renderer.gltf.animation import Hierarchy
from renderer.gltf.model import Asset, Material, Primitive, PrimitiveMode, Skin
from renderer.materials import MaterialDraw
from renderer.passes.deform import Bending, bends

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

MaterialKey = tuple[int | None, bool, bool]
"""Material of the asset, with vertex colours, lit."""
NO_VARIANT: Final = -1
_GL_MODES: Final[dict[PrimitiveMode, int]] = {
    "triangles": moderngl.TRIANGLES, "lines": moderngl.LINES, "points": moderngl.POINTS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """Which attributes the vertices of a buffer have, in this order after position and normal."""

    uv0: bool
    uv1: bool
    tangents: bool
    colours: bool

    @property
    def attributes(self) -> tuple[tuple[str, int], ...]:
        """(name, float count) of each attribute in order."""
        optional = (
            ("in_uv0", 2, self.uv0), ("in_uv1", 2, self.uv1), ("in_tangent", 4, self.tangents),
            ("in_colour", 4, self.colours),
        )  # fmt: skip
        return (("in_position", 3), ("in_normal", 3), *((name, n) for name, n, here in optional if here))

    @property
    def floats(self) -> int:
        """Floats a vertex."""
        return sum(n for _, n in self.attributes)

    @property
    def tangent_at(self) -> int:
        """Float of a vertex at which its tangent begins."""
        return 6 + 2 * self.uv0 + 2 * self.uv1


@dataclass(slots=True)
class Geometry:
    """One vertex and one index buffer."""

    layout: Layout
    vertices: moderngl.Buffer
    indices: moderngl.Buffer


@dataclass(slots=True)
class Batch:
    """Draws that differ in nothing but their commands: a range of the scene's draw list."""

    geometry: Geometry
    material: MaterialDraw
    mirrored: bool
    """Its objects' transforms turn handedness round."""
    first: int
    count: int
    mode: int = moderngl.TRIANGLES
    """GL's primitive: triangles, lines or points."""


@dataclass(slots=True)
class Draws:
    """The static draw list, sorted by batch. Arrays are parallel, one entry a draw."""

    commands: NDArray[np.uint32]
    """[n, 5]  count, instances, first index, base vertex, object: OpenGL's indirect command."""
    objects: NDArray[np.intp]
    centres_m: F64
    """[n, 3]  bounding sphere in the object's own frame."""
    radii_m: F64
    casts: NDArray[np.bool_]
    blend: NDArray[np.bool_]
    batch_of: NDArray[np.intp]
    """Which of `batches` each draw belongs to."""
    batches: list[Batch] = field(default_factory=list)


@dataclass(slots=True)
class Bent:
    """A primitive that bends, and where its vertices lie."""

    bending: Bending
    geometry: Geometry
    first: int
    """Its first vertex in the geometry."""
    object: int
    draws: NDArray[np.intp]
    """Which draws show it."""


@dataclass(slots=True)
class Compiled:
    """What `compile_draws` makes."""

    draws: Draws
    geometries: list[Geometry]
    owners: list[tuple[int, int]]
    """(asset, node) of each object."""
    bent: list[Bent]
    variants: dict[int, frozenset[int]]
    """Draws that show in some variants only: which ones (`NO_VARIANT`: while none is chosen)."""


@dataclass(slots=True)
class _Item:
    layout: Layout
    material: MaterialDraw
    mirrored: bool
    mode: int
    command: tuple[int, int, int, int, int]
    object: int
    centre_m: F64
    radius_m: float
    casts: bool
    variants: frozenset[int] | None
    bent: int


@dataclass(slots=True)
class _Unmade:
    """A primitive that bends, before its buffers are made."""

    primitive: Primitive
    skin: Skin | None
    layout: Layout
    first: int
    object: int


def material_of(asset: Asset, key: MaterialKey) -> Material:
    """The asset's material of `key`; points and lines without normals are drawn without light."""
    number, _, lit = key
    material = Material() if number is None else asset.materials[number]
    return material if lit else replace(material, unlit=True)


def materials_used(asset: Asset) -> list[MaterialKey]:
    """Every way the asset's primitives use its materials, in the file's order."""
    return list(
        dict.fromkeys(
            (number, primitive.colours is not None, primitive.lit)
            for mesh in asset.meshes
            for primitive in mesh.primitives
            for number in (primitive.material, *(material for _, material in primitive.variant_materials))
        )
    )


class _Compiler:
    def __init__(
        self,
        assets: Sequence[Asset],
        trees: Sequence[Hierarchy],
        materials: Sequence[Mapping[MaterialKey, MaterialDraw]],
    ) -> None:
        self.assets, self.trees, self.materials = assets, trees, materials
        self.vertices: dict[Layout, list[F32]] = {}
        self.indices: dict[Layout, list[NDArray[np.uint32]]] = {}
        self.filled: dict[Layout, tuple[int, int]] = {}
        self.placed: dict[Any, tuple[int, int, list[Cluster]]] = {}
        self.items: list[_Item] = []
        self.owners: list[tuple[int, int]] = []
        self.unmade: list[_Unmade] = []

    def add(self, a: int) -> None:
        """All nodes of asset `a` that show something."""
        asset, tree = self.assets[a], self.trees[a]
        world = tree.world_from_nodes(0.0)
        for node_index, _ in tree.order:
            node = asset.nodes[node_index]
            if node.mesh is None or not asset.meshes[node.mesh].primitives:
                continue
            skin = None if node.skin is None else asset.skins[node.skin]
            # A skinned mesh stands where its joints are, whatever its node says. Rigid and skinned primitives of
            # one mesh are different objects for that.
            for skinned in (False, True):
                chosen = [
                    (p, primitive)
                    for p, primitive in enumerate(asset.meshes[node.mesh].primitives)
                    if (skin is not None and primitive.joints is not None) == skinned
                ]
                if not chosen:
                    continue
                self.owners.append((a, node_index))
                stands = world[node_index]
                if skinned and skin is not None:
                    stands = world[skin.joints[0]] @ skin.joint_from_mesh[0]
                # A mirrored object stays mirrored: animations that turn an object inside out are not followed.
                mirrored = float(np.linalg.det(stands[:3, :3])) < 0.0
                for p, primitive in chosen:
                    self._primitive(a, node_index, p, primitive, skin if skinned else None, mirrored=mirrored)

    def _primitive(
        self, a: int, node_index: int, p: int, primitive: Primitive, skin: Skin | None, *, mirrored: bool
    ) -> None:
        asset = self.assets[a]
        node = asset.nodes[node_index]
        number = len(self.owners) - 1
        bending = bends(primitive, skin)
        # Each layout it is drawn in needs its own bent vertices; with variants that differ so, there are several.
        own: dict[Layout, int] = {}
        for key, variants in self._by_material(asset, primitive).items():
            material = self.materials[a][key]
            layout = layout_of(primitive, material)
            whole = material.blend or bending or primitive.mode != "triangles"
            place = (id(asset), node.mesh, p, layout, whole, number if bending else -1)
            if place not in self.placed:
                # Blended triangles keep the file's order, which is what they are drawn in.
                if primitive.mode == "triangles":
                    order, pieces = clustered(primitive.positions, primitive.indices, whole=whole)
                else:
                    order, pieces = primitive.indices, [_whole(primitive)]
                packed = interleave(primitive, layout)
                vertex, index = self.filled.get(layout, (0, 0))
                self.vertices.setdefault(layout, []).append(packed)
                self.indices.setdefault(layout, []).append(order)
                self.placed[place] = (vertex, index, pieces)
                self.filled[layout] = (vertex + len(packed), index + order.size)
            vertex, index, pieces = self.placed[place]
            if bending and layout not in own:
                own[layout] = len(self.unmade)
                self.unmade.append(_Unmade(primitive, skin, layout, vertex, number))
            casts = node.casts_shadow and not material.blend and primitive.mode == "triangles"
            for piece in pieces:
                command = (piece.count, 1, index + piece.first, vertex, number)
                self.items.append(
                    _Item(
                        layout, material, mirrored, _GL_MODES[primitive.mode], command, number, piece.centre_m,
                        piece.radius_m, casts, variants, own.get(layout, -1),
                    )
                )  # fmt: skip

    def _by_material(self, asset: Asset, primitive: Primitive) -> dict[MaterialKey, frozenset[int] | None]:
        """The materials a primitive may have, each with the variants it has it in (None: all)."""
        coloured, lit = primitive.colours is not None, primitive.lit
        if not primitive.variant_materials:
            return {(primitive.material, coloured, lit): None}
        chosen = dict(primitive.variant_materials)
        out: dict[MaterialKey, set[int]] = {}
        for variant in range(NO_VARIANT, len(asset.variants)):
            material = chosen.get(variant, primitive.material)
            out.setdefault((material, coloured, lit), set()).add(variant)
        return {key: None if len(out) == 1 else frozenset(variants) for key, variants in out.items()}

    def finish(self, device: Device) -> Compiled:
        """Sorted by what costs a change of state, and uploaded."""
        geometries = {
            layout: Geometry(
                layout,
                device.ctx.buffer(np.concatenate(self.vertices[layout]).tobytes()),
                device.ctx.buffer(np.concatenate(self.indices[layout]).astype(np.uint32).tobytes()),
            )
            for layout in self.vertices
        }
        rank = {layout: i for i, layout in enumerate(geometries)}
        items = self.items
        items.sort(
            key=lambda i: (
                i.material.blend, i.material.defines, rank[i.layout], i.material.index, i.mirrored, i.mode,
            )
        )  # fmt: skip
        draws = Draws(
            np.array([i.command for i in items], dtype=np.uint32).reshape(-1, 5),
            np.array([i.object for i in items], dtype=np.intp),
            np.array([i.centre_m for i in items], dtype=np.float64).reshape(-1, 3),
            np.array([i.radius_m for i in items], dtype=np.float64),
            np.array([i.casts for i in items], dtype=np.bool_),
            np.array([i.material.blend for i in items], dtype=np.bool_),
            np.zeros(len(items), dtype=np.intp),
        )
        for n, item in enumerate(items):
            last = draws.batches[-1] if draws.batches else None
            geometry = geometries[item.layout]
            same = last is not None and (last.geometry, last.material.index, last.mirrored, last.mode) == (
                geometry, item.material.index, item.mirrored, item.mode,
            )  # fmt: skip
            # Transparent draws are sorted among all of them: each is its own batch.
            if last is not None and same and not item.material.blend:
                last.count += 1
            else:
                draws.batches.append(Batch(geometry, item.material, item.mirrored, n, 1, item.mode))
            draws.batch_of[n] = len(draws.batches) - 1
        owned = np.array([item.bent for item in items], dtype=np.intp)
        bent = [
            Bent(
                Bending(device, u.primitive, u.skin, tangents=u.layout.tangents), geometries[u.layout], u.first,
                u.object, np.flatnonzero(owned == i),
            )
            for i, u in enumerate(self.unmade)
        ]  # fmt: skip
        variants = {n: item.variants for n, item in enumerate(items) if item.variants is not None}
        return Compiled(draws, list(geometries.values()), self.owners, bent, variants)


def compile_draws(
    device: Device,
    assets: Sequence[Asset],
    trees: Sequence[Hierarchy],
    materials: Sequence[Mapping[MaterialKey, MaterialDraw]],
) -> Compiled:
    """The draw list of `assets`, each with its node tree and its materials as they are drawn."""
    compiler = _Compiler(assets, trees, materials)
    for a in range(len(assets)):
        compiler.add(a)
    return compiler.finish(device)


def batches_alike(batches: Sequence[Batch], blocks: Sequence[bytes]) -> NDArray[np.intp]:
    """[batches]  the first batch that is drawn with the same vertices and a material equal in everything: those of
    objects that share an asset. `blocks`: each material as it lies on the GPU, by index."""
    first: dict[tuple[object, ...], int] = {}
    out = np.arange(len(batches), dtype=np.intp)
    for number, batch in enumerate(batches):
        material = batch.material
        if material.blend:
            # What is seen through is drawn one by one, the farthest first.
            continue
        paint = replace(material, index=0), blocks[material.index]
        out[number] = first.setdefault((id(batch.geometry), batch.mirrored, batch.mode, *paint), number)
    return out


def layout_of(primitive: Primitive, material: MaterialDraw) -> Layout:
    """The attributes drawing a primitive with a material reads."""
    textured = bool(dict(material.defines)["UV_COUNT"])
    return Layout(textured, material.uv1, material.tangents, primitive.colours is not None)


def interleave(primitive: Primitive, layout: Layout) -> F32:
    """A primitive's vertices as one array, [vertices, floats]."""
    count = len(primitive.positions)
    parts: list[F32] = [primitive.positions, primitive.normals]
    if layout.uv0:
        parts.append(np.zeros((count, 2), np.float32) if primitive.uv0 is None else primitive.uv0)
    if layout.uv1:
        parts.append(np.zeros((count, 2), np.float32) if primitive.uv1 is None else primitive.uv1)
    if layout.tangents:
        plain = np.tile(np.array([1, 0, 0, 1], np.float32), (count, 1))
        parts.append(plain if primitive.tangents is None else primitive.tangents)
    if layout.colours and primitive.colours is not None:
        parts.append(primitive.colours)
    return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)


def _whole(primitive: Primitive) -> Cluster:
    points = primitive.positions[np.unique(primitive.indices)].astype(np.float64)
    centre = (points.min(axis=0) + points.max(axis=0)) / 2.0
    radius = float(np.linalg.norm(points - centre, axis=1).max())
    return Cluster(0, primitive.indices.size, centre, radius)
