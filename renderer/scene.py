"""A scene compiled for drawing: every asset's triangles, materials and movement, ready on the GPU.

All triangles of one vertex layout share one buffer; a draw is one indirect command. Per view the pass culls,
writes the visible commands and one row triple an object, and makes one call a material: no Python work a draw.
The scene's frame is the stage's kind: Z up, metres; glTF assets are turned into it once, here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.clusters import Cluster, clustered
from renderer.config import DomeConfig, SceneConfig, SunConfig, asset_path, linear_from_ev
from renderer.device import Device
from renderer.domes import Dome
from renderer.gltf.animation import Hierarchy
from renderer.gltf.loader import load
from renderer.gltf.model import Asset, Light, Material, Primitive
from renderer.lights import LINEAR_FROM_LUX, Follows, Lights
from renderer.materials import BLOCK_BYTES, MaterialDraw, Textures, pack
from renderer.panoramas import load_picture
from renderer.working import AP1, REC709, rgb_from_rgb
from stage.frames import STAGE_FROM_Y_UP, rotation_from_pan_tilt_roll

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_SWEEP_STEPS: Final = 48
"""Moments of an animation at which its reach is looked at."""

WORKING_FROM_REC709: Final = rgb_from_rgb(AP1, REC709)


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
class _Item:
    layout: Layout
    material: MaterialDraw
    mirrored: bool
    command: tuple[int, int, int, int, int]
    object: int
    centre_m: F64
    radius_m: float
    casts: bool


@dataclass(frozen=True, slots=True)
class Sun:
    """The directional light in the scene's frame."""

    direction: F64
    """[3]  to the sun, unit length."""
    light: F64
    """[3]  illuminance / pi, linear ACEScg."""
    shadow: bool


class Scene:
    """A compiled scene. `update(time)` moves it; `sun`, `dome`, `ambient`... are what the passes read."""

    def __init__(self, device: Device, config: SceneConfig, folder: Path, *, anisotropy: float | None = None) -> None:
        """Load and upload everything `config` names (paths relative to `folder`). Takes its time: never on air.

        Raises
        ------
        SceneFileError, AssetError (and its kinds)
        """
        files = [asset_path(folder, name, path="gltf") for name in config.gltf]
        assets = [load(file) for file in files]
        dome = None
        if config.dome is not None:
            files = [asset_path(folder, name, path="dome/file") for name in config.dome.files]
            picture = load_picture(files[0] if len(files) == 1 else files, colour_space=config.dome.colour_space)
            dome = Dome(device, picture, light_limit=config.dome.light_limit)
        self._build(device, config, assets, dome, anisotropy)

    @classmethod
    def from_assets(
        cls, device: Device, config: SceneConfig, assets: list[Asset], *, dome: Dome | None = None
    ) -> Scene:
        """A scene of assets already read (or made), without files; `config.gltf` and `config.dome.file` are unused."""
        self = cls.__new__(cls)
        self._build(device, config, assets, dome, None)
        return self

    def _build(
        self, device: Device, config: SceneConfig, assets: list[Asset], dome: Dome | None, anisotropy: float | None
    ) -> None:
        self.config = config
        self.assets = assets
        self.dome = dome
        self.notes = tuple(f"{asset.file.name}: {note}" for asset in assets for note in asset.notes)
        # Software GL pays for every tap; a GPU gives anisotropy away.
        taps = anisotropy if anisotropy is not None else (1.0 if device.capabilities.software else 8.0)
        self._textures = [Textures(device, asset, anisotropy=taps) for asset in assets]
        self._trees = [Hierarchy(asset.nodes, asset.roots, asset.animations) for asset in assets]
        materials: list[dict[tuple[int | None, bool], MaterialDraw]] = []
        blocks: list[F32] = []
        first = 0
        for asset, textures in zip(assets, self._textures, strict=True):
            used = list(
                dict.fromkeys((p.material, p.colours is not None) for mesh in asset.meshes for p in mesh.primitives)
            )
            plain = [Material() if i is None else asset.materials[i] for i, _ in used]
            drawn, packed = pack(
                [(material, key[1]) for material, key in zip(plain, used, strict=True)], textures, first=first
            )
            materials.append(dict(zip(used, drawn, strict=True)))
            blocks.append(packed)
            first += len(drawn)
        data = np.concatenate(blocks) if blocks else np.zeros((1, BLOCK_BYTES // 4), np.float32)
        self.material_blocks = device.ctx.buffer(data.tobytes())
        self._compile(device, materials)
        self.commands = device.ctx.buffer(reserve=max(20, 20 * len(self.draws.commands)))
        self.rows = device.ctx.buffer(reserve=max(48, 48 * self.object_count))
        self._hang_lights(device)
        self.dome_config = config.dome or DomeConfig(file="none")
        self.dome_light = linear_from_ev(self.dome_config.exposure_ev)
        self.ambient = WORKING_FROM_REC709 @ np.asarray(config.ambient, dtype=np.float64)
        self.background = WORKING_FROM_REC709 @ np.asarray(config.background, dtype=np.float64)
        self.sh = self._light()
        self.haze = np.zeros(4)
        if config.haze is not None:
            self.haze[:3] = WORKING_FROM_REC709 @ np.asarray(config.haze.colour, dtype=np.float64)
            self.haze[3] = 3.0 / config.haze.distance_m

    def _hang_lights(self, device: Device) -> None:
        """The sun, and all other lights: of the configuration, and of the assets' nodes."""
        self._sun_node: tuple[Follows, Light] | None = None
        hanging: dict[str, tuple[Light, Follows]] = {}
        for a, (asset, tree) in enumerate(zip(self.assets, self._trees, strict=True)):
            for index, _ in tree.order:
                node = asset.nodes[index]
                if node.light is None:
                    continue
                light, owner = asset.lights[node.light], Follows(a, index)
                if light.kind == "directional" and self.config.sun is None and self._sun_node is None:
                    self._sun_node = owner, light
                    continue
                name = f"{asset.file.stem}/{node.name or index}"
                hanging[name if name not in hanging else f"{name}_{index}"] = light, owner
        self.lights = Lights(
            self.config.lights,
            [(name, *value) for name, value in hanging.items()],
            exposure_ev=self.config.exposure_ev,
            working_from_rec709=device.working_from_rec709,
        )
        self.notes += self.lights.notes
        self.lights.follow(self._scene_from_node)
        moved = [self._trees[owner.asset].animated for owner in self.lights.follows.values()]
        self._moving_lights = [
            name for (name, owner), nodes in zip(self.lights.follows.items(), moved, strict=True) if owner.node in nodes
        ]
        self.sun = _configured_sun(self.config.sun)
        self._place_sun()

    def _scene_from_node(self, owner: Follows) -> F64:
        return np.asarray(STAGE_FROM_Y_UP @ self._trees[owner.asset].world_from_nodes(self.time_s)[owner.node])

    def _place_sun(self) -> None:
        """The first directional light of the assets is the sun where none is configured."""
        if self._sun_node is None:
            return
        owner, light = self._sun_node
        # It shines along the node's -Z; the sun stands the other way.
        to_sun = self._scene_from_node(owner)[:3, 2]
        colour = WORKING_FROM_REC709 @ np.asarray(light.colour, dtype=np.float64)
        self.sun = Sun(to_sun / np.linalg.norm(to_sun), colour * (light.intensity * LINEAR_FROM_LUX), shadow=True)

    # --- compile ----------------------------------------------------------------------------------------------

    def _compile(self, device: Device, materials: list[dict[tuple[int | None, bool], MaterialDraw]]) -> None:
        vertices: dict[Layout, list[F32]] = {}
        indices: dict[Layout, list[NDArray[np.uint32]]] = {}
        filled: dict[Layout, tuple[int, int]] = {}
        placed: dict[tuple[int, int, int], tuple[Layout, int, int, list[Cluster]]] = {}
        items: list[_Item] = []
        owners: list[tuple[int, int]] = []
        for a, (asset, tree) in enumerate(zip(self.assets, self._trees, strict=True)):
            world = tree.world_from_nodes(0.0)
            for node_index, _ in tree.order:
                node = asset.nodes[node_index]
                if node.mesh is None:
                    continue
                owners.append((a, node_index))
                # A mirrored object stays mirrored: animations that turn an object inside out are not followed.
                mirrored = float(np.linalg.det(world[node_index][:3, :3])) < 0.0
                for p, primitive in enumerate(asset.meshes[node.mesh].primitives):
                    material = materials[a][primitive.material, primitive.colours is not None]
                    key = (a, node.mesh, p)
                    if key not in placed:
                        packed, layout = interleave(primitive, material)
                        # Blended triangles keep the file's order, which is what they are drawn in.
                        order, pieces = clustered(primitive.positions, primitive.indices, whole=material.blend)
                        vertex, index = filled.get(layout, (0, 0))
                        vertices.setdefault(layout, []).append(packed)
                        indices.setdefault(layout, []).append(order)
                        placed[key] = (layout, vertex, index, pieces)
                        filled[layout] = (vertex + len(packed), index + order.size)
                    layout, vertex, index, pieces = placed[key]
                    number = len(owners) - 1
                    casts = node.casts_shadow and not material.blend
                    for piece in pieces:
                        command = (piece.count, 1, index + piece.first, vertex, number)
                        items.append(
                            _Item(layout, material, mirrored, command, number, piece.centre_m, piece.radius_m, casts)
                        )
        geometries = {
            layout: Geometry(
                layout,
                device.ctx.buffer(np.concatenate(vertices[layout]).tobytes()),
                device.ctx.buffer(np.concatenate(indices[layout]).astype(np.uint32).tobytes()),
            )
            for layout in vertices
        }
        self.geometries = list(geometries.values())
        rank = {layout: i for i, layout in enumerate(geometries)}
        items.sort(key=lambda i: (i.material.blend, i.material.defines, rank[i.layout], i.material.index, i.mirrored))
        self.draws = Draws(
            np.array([i.command for i in items], dtype=np.uint32).reshape(-1, 5),
            np.array([i.object for i in items], dtype=np.intp),
            np.array([i.centre_m for i in items], dtype=np.float64).reshape(-1, 3),
            np.array([i.radius_m for i in items], dtype=np.float64),
            np.array([i.casts for i in items], dtype=np.bool_),
            np.array([i.material.blend for i in items], dtype=np.bool_),
            np.zeros(len(items), dtype=np.intp),
        )
        for n, item in enumerate(items):
            last = self.draws.batches[-1] if self.draws.batches else None
            geometry = geometries[item.layout]
            same = last is not None and (last.geometry, last.material.index, last.mirrored) == (
                geometry, item.material.index, item.mirrored,
            )  # fmt: skip
            # Transparent draws are sorted among all of them: each is its own batch.
            if last is not None and same and not item.material.blend:
                last.count += 1
            else:
                self.draws.batches.append(Batch(geometry, item.material, item.mirrored, n, 1))
            self.draws.batch_of[n] = len(self.draws.batches) - 1
        self._owners = owners
        self.object_count = len(owners)
        self._moving = np.array(
            [i for i, (a, node) in enumerate(owners) if node in self._trees[a].animated], dtype=np.intp
        )
        self.scene_from_objects = np.tile(np.eye(4), (self.object_count, 1, 1))
        """[objects, 4, 4]  where each object stands."""
        self.stretch = np.ones(self.object_count)
        """Largest scale of each object."""
        self.time_s = 0.0
        self._place(range(self.object_count), 0.0)
        self.moving = np.isin(self.draws.objects, self._moving)
        """[draws]  which draws an animation moves."""
        self.swept = self._sweep()
        """Bounding spheres of all draws over the whole of the animation: centres, [n, 3], and radii, [n]."""

    def _place(self, objects: range | NDArray[np.intp], time_s: float) -> None:
        self._bounds: tuple[F64, F64] | None = None
        worlds = [tree.world_from_nodes(time_s) for tree in self._trees]
        for i in objects:
            a, node = self._owners[int(i)]
            self.scene_from_objects[i] = STAGE_FROM_Y_UP @ worlds[a][node]
        if len(objects):
            chosen = self.scene_from_objects[list(objects)][:, :3, :3]
            self.stretch[list(objects)] = np.linalg.norm(chosen, ord=2, axis=(1, 2))

    def _sweep(self) -> tuple[F64, F64]:
        centres, radii = self.bounds()
        if not self._moving.size:
            return centres, radii
        length_s = max(a.duration_s for asset in self.assets for a in asset.animations)
        low, high, widest = centres.copy(), centres.copy(), radii.copy()
        for time_s in np.linspace(0.0, length_s, _SWEEP_STEPS, endpoint=False):
            self._place(self._moving, float(time_s))
            centres, radii = self.bounds()
            np.minimum(low, centres, out=low)
            np.maximum(high, centres, out=high)
            np.maximum(widest, radii, out=widest)
        self._place(self._moving, 0.0)
        return (low + high) / 2.0, np.linalg.norm(high - low, axis=1) / 2.0 + widest

    def _light(self) -> F64:
        """[9, 4]  as the surface shader sums them (`Dome.light_block`)."""
        sh = np.zeros((9, 4))
        if self.dome is not None and self.dome_config.light:
            sh = self.dome.light_block(self.dome_config.yaw_deg, self.dome_light)
        sh[0, :3] += self.ambient
        return sh

    # --- life -------------------------------------------------------------------------------------------------

    @property
    def animated(self) -> bool:
        return bool(self._moving.size)

    @property
    def triangles(self) -> int:
        return int(self.draws.commands[:, 0].sum() // 3)

    @property
    def size_bytes(self) -> int:
        """Bytes held on the GPU."""
        held = sum(g.vertices.size + g.indices.size for g in self.geometries)
        held += sum(textures.size_bytes for textures in self._textures)
        if self.dome is not None:
            held += self.dome.background.width * self.dome.background.height * 8 * 4 // 3
        return int(held)

    def update(self, time_s: float) -> None:
        """Move what is animated to `time_s`. The same time gives the same transforms, whatever came before."""
        if self._moving.size and time_s != self.time_s:
            self._place(self._moving, time_s)
        if time_s != self.time_s:
            self.time_s = time_s
            if self._moving_lights:
                self.lights.follow(self._scene_from_node, self._moving_lights)
            if self._sun_node is not None and self._sun_node[0].node in self._trees[self._sun_node[0].asset].animated:
                self._place_sun()

    def bounds(self) -> tuple[F64, F64]:
        """Bounding spheres of all draws as they stand: centres, [n, 3] scene metres, and radii, [n]."""
        if self._bounds is not None:
            return self._bounds
        transforms = self.scene_from_objects[self.draws.objects]
        centres = np.einsum("nij,nj->ni", transforms[:, :3, :3], self.draws.centres_m) + transforms[:, :3, 3]
        self._bounds = centres, self.draws.radii_m * self.stretch[self.draws.objects]
        return self._bounds

    def release(self) -> None:
        """Free all it holds on the GPU."""
        for geometry in self.geometries:
            geometry.vertices.release()
            geometry.indices.release()
        for textures in self._textures:
            textures.release()
        for buffer in (self.material_blocks, self.commands, self.rows):
            buffer.release()
        if self.dome is not None:
            self.dome.release()


def interleave(primitive: Primitive, material: MaterialDraw) -> tuple[F32, Layout]:
    """A primitive's vertices as one array, [vertices, floats], with the attributes its material reads."""
    defines = dict(material.defines)
    count = len(primitive.positions)
    textured = bool(defines["UV_COUNT"])
    layout = Layout(textured, material.uv1, material.tangents, primitive.colours is not None)
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
    return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32), layout


def _configured_sun(sun: SunConfig | None) -> Sun | None:
    if sun is None:
        return None
    turn = rotation_from_pan_tilt_roll(sun.pan_deg, sun.elevation_deg, 0.0)
    colour = WORKING_FROM_REC709 @ np.asarray(sun.colour, dtype=np.float64)
    return Sun(turn @ np.array([0.0, 1.0, 0.0]), colour * (sun.illuminance / np.pi), sun.shadow)
