"""Where everything of a scene stands: its objects, what moves and bends them, and the spheres that hold them.

The same time and the same configuration give the same transforms, whatever came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from renderer.compile import Bent, compile_draws
from renderer.device import Device
from renderer.gltf.model import Skin
from renderer.materials import MaterialDraw
from renderer.objects import SceneObject
from renderer.passes.deform import DeformPass

F64 = NDArray[np.float64]

_SWEEP_STEPS: Final = 48
"""Moments of an animation at which its reach is looked at."""
_ROOM_M: Final = 12.0
"""How far from the stage's origin what follows a subject is taken to go."""


class Placement:
    """The objects of a scene as they are drawn.

    Attributes
    ----------
    draws, geometries : what is drawn, on the GPU
    scene_from_objects, stretch : where each object stands, and how large it is there
    shown, moving : which draws are seen at all, and which an animation or a subject may move
    swept : the spheres that hold each draw through its whole animation
    """

    def __init__(self, device: Device, objects: list[SceneObject], drawn: Sequence[list[MaterialDraw]]) -> None:
        self.objects = objects
        self.time_s = 0.0
        self._bounds: tuple[F64, F64] | None = None
        materials = [
            dict(zip(thing.material_keys, materials_of, strict=True))
            for thing, materials_of in zip(objects, drawn, strict=True)
        ]
        made = compile_draws(device, [thing.asset for thing in objects], [thing.tree for thing in objects], materials)
        self.draws = made.draws
        self.geometries = made.geometries
        self._owners = made.owners
        self._variants = made.variants
        self._bent = made.bent
        self._skins: dict[int, Skin] = {b.object: b.bending.skin for b in made.bent if b.bending.skin is not None}
        self._deform = DeformPass(device)
        self.object_count = len(made.owners)
        self._may_cast = made.draws.casts.copy()
        self._asset_of = np.array([a for a, _ in made.owners], dtype=np.intp)
        self.scene_from_objects = np.tile(np.eye(4), (self.object_count, 1, 1))
        """[objects, 4, 4]  where each object stands."""
        self.stretch = np.ones(self.object_count)
        """Largest scale of each object."""
        self._centres, self._radii = made.draws.centres_m.copy(), made.draws.radii_m.copy()
        self._joints: dict[int, F64] = {}
        self._stage_in_scene = np.zeros(3)
        self._reach = made.draws.centres_m.copy(), made.draws.radii_m.copy()
        self._reached: list[tuple[object, ...] | None] = [None] * len(self.objects)
        self.arrange()

    def arrange(self) -> None:
        """Everything about the objects that their configuration decides."""
        draws = self.draws
        seen = np.array(
            [self.objects[a].config.visible and node not in self.objects[a].hidden for a, node in self._owners],
            dtype=np.bool_,
        )
        shadows = np.array([self.objects[a].config.shadow for a, _ in self._owners], dtype=np.bool_)
        self.shown = seen[draws.objects]
        """[draws]  which are seen at all."""
        for number, variants in self._variants.items():
            self.shown[number] &= self.objects[self._owners[draws.objects[number]][0]].variant in variants
        draws.casts[:] = self._may_cast & self.shown & shadows[draws.objects]
        bent = {b.object for b in self._bent}
        self._moving = np.array(
            [
                i
                for i, (a, node) in enumerate(self._owners)
                if i in bent or self.objects[a].follows or node in self.objects[a].tree.animated
            ],
            dtype=np.intp,
        )
        self.moving = np.isin(draws.objects, self._moving)
        """[draws]  which draws an animation or a subject may move."""
        self._place(range(self.object_count), self.time_s)
        self._bend()
        self._sweep()

    @property
    def animated(self) -> bool:
        """Whether anything may move."""
        return bool(self._moving.size)

    def move(self, time_s: float) -> None:
        """What is animated, to a time."""
        self.time_s = time_s
        if self._moving.size:
            self._place(self._moving, time_s)
            self._bend()

    def stand(self, stage_in_scene: F64) -> None:
        """The stage's origin is there now, [3] scene metres: what follows a subject is somewhere around it."""
        if not np.array_equal(stage_in_scene, self._stage_in_scene):
            self._stage_in_scene = stage_in_scene.copy()
            self._sweep()

    @property
    def deform_count(self) -> int:
        """How many primitives were bent so far."""
        return self._deform.count

    @property
    def bent_state(self) -> bytes:
        """Equal bytes are equal shapes of everything that bends."""
        return b"".join(bent.bending.state for bent in self._bent)

    def bounds(self) -> tuple[F64, F64]:
        """Bounding spheres of all draws as they stand: centres, [n, 3] scene metres, and radii, [n]; what is not seen
        has a radius of minus infinity, and so is in no view."""
        if self._bounds is None:
            centres, radii = self._spheres()
            self._bounds = centres, np.where(self.shown, radii, -np.inf)
        return self._bounds

    def _spheres(self) -> tuple[F64, F64]:
        transforms = self.scene_from_objects[self.draws.objects]
        centres = np.einsum("nij,nj->ni", transforms[:, :3, :3], self._centres) + transforms[:, :3, 3]
        return centres, self._radii * self.stretch[self.draws.objects]

    def _place(self, objects: Iterable[int] | NDArray[np.intp], time_s: float) -> None:
        self._bounds = None
        worlds = [thing.tree.world_from_nodes(time_s) for thing in self.objects]
        chosen = [int(i) for i in objects]
        for i in chosen:
            a, node = self._owners[i]
            skin = self._skins.get(i)
            if skin is None:
                self.scene_from_objects[i] = self.objects[a].scene_from_asset @ worlds[a][node]
                continue
            # A figure is an object that stands where its first joint does: its vertices stay small numbers.
            joints = worlds[a][list(skin.joints)]
            origin = np.eye(4)
            origin[:3, 3] = joints[0, :3, 3]
            joints[:, :3, 3] -= origin[:3, 3]
            self._joints[i] = joints
            self.scene_from_objects[i] = self.objects[a].scene_from_asset @ origin
        if chosen:
            self.stretch[chosen] = np.linalg.norm(self.scene_from_objects[chosen][:, :3, :3], ord=2, axis=(1, 2))
        placed = set(chosen)
        for bent in self._bent:
            if bent.object in placed and bent.draws.size:
                centre, radius = bent.bending.sphere(*self._shape(bent, time_s))
                self._centres[bent.draws], self._radii[bent.draws] = centre, radius

    def _shape(self, bent: Bent, time_s: float) -> tuple[F64, F64]:
        """Placed joints, [joints, 4, 4], and weights of the morph targets, [targets], of what bends."""
        a, index = self._owners[bent.object]
        thing = self.objects[a]
        node = thing.asset.nodes[index]
        weights = thing.tree.weights(index, time_s)
        if weights is None:
            assert node.mesh is not None
            weights = np.asarray(node.weights or thing.asset.meshes[node.mesh].weights, dtype=np.float64)
        joints = self._joints[bent.object] if bent.bending.skin is not None else np.zeros((0, 4, 4))
        return joints, thing.shaped(index, weights)[: bent.bending.targets]

    def _bend(self) -> None:
        """Write the vertices of everything that bends and is seen."""
        if not self._bent:
            return
        for bent in self._bent:
            if not self.shown[bent.draws].any():
                continue
            layout = bent.geometry.layout
            self._deform.bend(
                bent.bending, bent.bending.pose(*self._shape(bent, self.time_s)), bent.geometry.vertices,
                first=bent.first * layout.floats, stride=layout.floats, tangent_at=layout.tangent_at,
            )  # fmt: skip
        self._deform.finish()

    def _sweep(self) -> None:
        """Bring `swept` up to date: only objects that move in another way than before are followed through time."""
        number_of = self._asset_of[self.draws.objects]
        centres_m, radii_m = self._reach
        for number, thing in enumerate(self.objects):
            if self._reached[number] == thing.movement:
                continue
            self._reached[number] = thing.movement
            own = number_of == number
            asset_from_scene = np.linalg.inv(thing.scene_from_asset)
            middle, reach = self._followed(number)
            centres_m[own] = middle[own] @ asset_from_scene[:3, :3].T + asset_from_scene[:3, 3]
            radii_m[own] = reach[own] * np.linalg.norm(asset_from_scene[:3, 0])
        scene_from_assets = np.array([thing.scene_from_asset for thing in self.objects]).reshape(-1, 4, 4)[number_of]
        middle = np.einsum("nij,nj->ni", scene_from_assets[:, :3, :3], centres_m) + scene_from_assets[:, :3, 3]
        reach = radii_m * np.linalg.norm(scene_from_assets[:, :3, 0], axis=1)
        followers = self.moving & np.array([thing.bound for thing in self.objects], dtype=np.bool_)[number_of]
        # Where a subject goes nobody knows before: anywhere in the room.
        middle[followers] = self._stage_in_scene
        reach[followers] = _ROOM_M + 2.0 * reach[followers]
        self.swept = middle, reach
        """Bounding spheres of all draws over the whole of the animation: centres, [n, 3], and radii, [n]."""

    def _followed(self, number: int) -> tuple[F64, F64]:
        """Spheres, as `swept` has them, that hold object `number` (others: as they stand) through its animations."""
        centres, radii = self._spheres()
        moving = [int(i) for i in self._moving if self._asset_of[i] == number]
        period_s = self.objects[number].tree.period_s
        if not moving or not period_s:
            return centres, radii
        low, high, widest = centres.copy(), centres.copy(), radii.copy()
        for time_s in np.linspace(0.0, period_s, _SWEEP_STEPS, endpoint=False):
            self._place(moving, float(time_s))
            centres, radii = self._spheres()
            np.minimum(low, centres, out=low)
            np.maximum(high, centres, out=high)
            np.maximum(widest, radii, out=widest)
        self._place(moving, self.time_s)
        return (low + high) / 2.0, np.linalg.norm(high - low, axis=1) / 2.0 + widest

    @property
    def size_bytes(self) -> int:
        """Bytes held on the GPU."""
        held = sum(g.vertices.size + g.indices.size for g in self.geometries)
        return int(held + sum(bent.bending.size_bytes for bent in self._bent))

    def release(self) -> None:
        """Free all it holds on the GPU."""
        for geometry in self.geometries:
            geometry.vertices.release()
            geometry.indices.release()
        for bent in self._bent:
            bent.bending.release()
        self._deform.release()
