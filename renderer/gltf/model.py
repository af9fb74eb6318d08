"""A 3D asset as plain data: what the loader reads and the scene compiler uploads. glTF's own axes (Y up)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

AlphaMode = Literal["opaque", "mask", "blend"]
Wrap = Literal["repeat", "clamp", "mirror"]
Interpolation = Literal["step", "linear", "cubic"]
AnimatedPath = Literal["translation", "rotation", "scale", "weights"]
PrimitiveMode = Literal["triangles", "lines", "points"]
LightKind = Literal["directional", "point", "spot"]


@dataclass(frozen=True, slots=True)
class Sampler:
    """How a texture is read."""

    wrap_s: Wrap = "repeat"
    wrap_t: Wrap = "repeat"
    mag_linear: bool = True
    min_linear: bool = True
    mips: bool = True


@dataclass(frozen=True, slots=True)
class Texture:
    """A picture (index into `Asset.images`) with its sampler."""

    image: int
    sampler: Sampler


@dataclass(frozen=True, slots=True)
class TextureUse:
    """A texture as one material uses it: `uv' = uv_from_uv @ (u, v, 1)` on vertex coordinate set `uv_set`."""

    texture: int
    uv_set: int = 0
    uv_from_uv: tuple[float, float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    """Rows of the 2x3 transform (KHR_texture_transform); the identity when absent."""
    strength: float = 1.0
    """Normal scale or occlusion strength."""


@dataclass(frozen=True, slots=True)
class Material:
    """Metallic-roughness surface. Colours are linear Rec.709."""

    name: str = ""
    base_colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    metallic: float = 1.0
    roughness: float = 1.0
    emissive: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Emitted light with the emissive strength in it."""
    base_texture: TextureUse | None = None
    metallic_roughness_texture: TextureUse | None = None
    normal_texture: TextureUse | None = None
    occlusion_texture: TextureUse | None = None
    emissive_texture: TextureUse | None = None
    alpha_mode: AlphaMode = "opaque"
    alpha_cutoff: float = 0.5
    double_sided: bool = False
    unlit: bool = False
    ior: float = 1.5
    """KHR_materials_ior; 0 reflects like a mirror seen edge-on, as the extension has it."""
    specular: float = 1.0
    """KHR_materials_specular: strength (its texture's alpha) and colour (its texture's red, green, blue; sRGB)."""
    specular_colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    specular_texture: TextureUse | None = None
    specular_colour_texture: TextureUse | None = None
    clearcoat: float = 0.0
    """KHR_materials_clearcoat: strength (red), roughness (green), and a normal map of its own."""
    clearcoat_roughness: float = 0.0
    clearcoat_texture: TextureUse | None = None
    clearcoat_roughness_texture: TextureUse | None = None
    clearcoat_normal_texture: TextureUse | None = None
    sheen_colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """KHR_materials_sheen: colour (red, green, blue; sRGB) and roughness (alpha)."""
    sheen_roughness: float = 0.0
    sheen_colour_texture: TextureUse | None = None
    sheen_roughness_texture: TextureUse | None = None
    transmission: float = 0.0
    """KHR_materials_transmission: share of the light that goes through (red)."""
    transmission_texture: TextureUse | None = None
    thickness_m: float = 0.0
    """KHR_materials_volume, in the mesh's own metres (green); 0: thin walled."""
    thickness_texture: TextureUse | None = None
    attenuation_distance_m: float = math.inf
    attenuation_colour: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class MorphTarget:
    """What a weight of 1 adds to positions, normals and tangents, each [vertices, 3] or None."""

    positions: F32 | None
    normals: F32 | None
    tangents: F32 | None


@dataclass(frozen=True, slots=True)
class Primitive:
    """Triangles (or lines or points) of one material. `indices` is [triangles * 3], [lines * 2] or [points];
    attributes are [vertices, n]."""

    positions: F32
    normals: F32
    uv0: F32 | None
    uv1: F32 | None
    tangents: F32 | None
    """[n, 4]  xyz and the bitangent's sign; present where a material it may have has a normal or coat normal map."""
    colours: F32 | None
    """[n, 4]  linear Rec.709 and alpha."""
    indices: NDArray[np.uint32]
    material: int | None
    variant_materials: tuple[tuple[int, int], ...] = ()
    """KHR_materials_variants: (index into `Asset.variants`, material); variants not named keep `material`."""
    mode: PrimitiveMode = "triangles"
    joints: NDArray[np.uint32] | None = None
    """[n, 4 or 8]  which of the skin's joints move each vertex..."""
    weights: F32 | None = None
    """...and how much each, summing to 1."""
    morphs: tuple[MorphTarget, ...] = ()
    flat: bool = False
    """The file has no normals: every triangle has three vertices of its own and its own normal, deformed too."""
    lit: bool = True
    """False for points and lines without normals, which are drawn without light."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Primitives that move together."""

    name: str
    primitives: tuple[Primitive, ...]
    weights: tuple[float, ...] = ()
    """Of the morph targets, at rest."""
    shapes: tuple[str, ...] = ()
    """Names of the morph targets (`extras.targetNames`, as modellers write them); none when they have none."""


@dataclass(frozen=True, slots=True)
class Skin:
    """Nodes that bend a mesh. `joint_from_mesh`, [joints, 4, 4], takes the mesh as modelled into each joint's frame."""

    name: str
    joints: tuple[int, ...]
    joint_from_mesh: F64


@dataclass(frozen=True, slots=True)
class Light:
    """KHR_lights_punctual. It shines along the node's -Z; intensity in lux (directional) or candela."""

    kind: LightKind
    colour: tuple[float, float, float]
    intensity: float
    range_m: float | None = None
    inner_cone_rad: float = 0.0
    outer_cone_rad: float = 0.7853981633974483


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its rest transform as translation, rotation (xyzw) and scale, or as one fixed transform."""

    name: str
    children: tuple[int, ...] = ()
    mesh: int | None = None
    light: int | None = None
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    parent_from_node: F64 | None = None
    """[4, 4]  given instead of translation, rotation and scale when the file holds a `matrix`."""
    skin: int | None = None
    weights: tuple[float, ...] | None = None
    """Of its mesh's morph targets, instead of the mesh's own."""
    casts_shadow: bool = True
    """False when the node's extras say `{"openvolume": {"shadow": false}}`."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One animated value of one node. `values` is [keys, n], for cubic [keys, 3, n] (in, value, out); n is the number
    of morph targets for `weights`."""

    node: int
    path: AnimatedPath
    times_s: F64
    values: F64
    interpolation: Interpolation


@dataclass(frozen=True, slots=True)
class Animation:
    """Channels that run together; it loops after `duration_s`."""

    name: str
    channels: tuple[Channel, ...]
    duration_s: float


@dataclass(frozen=True, slots=True)
class Asset:
    """A whole glTF asset. `roots` are the nodes of its default scene; `notes` tell what was left out, in words."""

    file: Path
    nodes: tuple[Node, ...]
    roots: tuple[int, ...]
    meshes: tuple[Mesh, ...]
    materials: tuple[Material, ...]
    textures: tuple[Texture, ...]
    images: tuple[NDArray[np.uint8], ...]
    """Each [height, width, 4], row 0 top, as stored (sRGB or data)."""
    animations: tuple[Animation, ...]
    lights: tuple[Light, ...]
    notes: tuple[str, ...] = field(default=())
    variants: tuple[str, ...] = ()
    """Names of the material variants (KHR_materials_variants)."""
    skins: tuple[Skin, ...] = ()

    @property
    def triangles(self) -> int:
        """Triangles drawn, counting each node that shows a mesh."""
        per_mesh = [sum(p.indices.size // 3 for p in mesh.primitives if p.mode == "triangles") for mesh in self.meshes]
        return sum(per_mesh[node.mesh] for node in self.nodes if node.mesh is not None)
