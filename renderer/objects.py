"""One asset as it stands in a scene: its place, what of it is seen, which animations act, what it follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from renderer.compile import MaterialKey, material_of, materials_used
from renderer.gltf.animation import Hierarchy, Pose, Run, default_runs
from renderer.gltf.model import F64, Asset, Material
from renderer.gltf.outline import Outline, asset_outline, ids_of, shape_ids
from renderer.object_config import AnimationConfig, BindingConfig, ObjectConfig
from stage.frames import STAGE_FROM_Y_UP, rotation_from_pan_tilt_roll, rotation_from_quaternion
from stage.plan import PlanSubject, transform_of

_PREFIX = "mixamorig_"


class SceneObject:
    """An asset placed in a scene. `tree` is its own: animations and changes of one object leave others alone."""

    def __init__(self, name: str, asset: Asset, config: ObjectConfig, bindings: Sequence[BindingConfig] = ()) -> None:
        self.name = name
        self.asset = asset
        self.outline: Outline = asset_outline(asset)
        self.tree = Hierarchy(asset.nodes, asset.roots, asset.animations)
        self.rest = Hierarchy(asset.nodes, asset.roots, ()).world_from_nodes(0.0).copy()
        """[nodes, 4, 4]  the asset's own transforms with no animation, in its axes."""
        self.material_keys: list[MaterialKey] = materials_used(asset)
        self.scene_from_asset: F64 = STAGE_FROM_Y_UP.copy()
        """[4, 4]  where the asset's own axes (Y up) stand in the scene."""
        self._posed_by: tuple[object, ...] = ()
        self.configure(config, bindings)

    def configure(self, config: ObjectConfig, bindings: Sequence[BindingConfig] = ()) -> None:
        """Take a configuration over, whole; names the asset does not have are left alone."""
        self.config = config
        outline = self.outline
        self._follows = next((b for b in bindings if b.node is None and b.joints is None and b.shapes is None), None)
        self._node_bindings = [
            (outline.nodes[b.node], b) for b in bindings if b.node is not None and b.node in outline.nodes
        ]
        self._skeletons = [(b, dict(_pairs(b, outline))) for b in bindings if b.joints is not None]
        self._faces = [b for b in bindings if b.shapes is not None]
        self._shaped: dict[int, dict[int, float]] = {}
        posed = {node for node, _ in self._node_bindings}
        if self._skeletons:
            # Which nodes are joints of the subject is known when a plan carries it; all of the skins' may be.
            posed |= {joint for skin in self.asset.skins for joint in skin.joints}
            posed |= {node for _, pairs in self._skeletons for node in pairs}
        changes = {
            outline.nodes[name]: STAGE_FROM_Y_UP.T @ node.transform @ STAGE_FROM_Y_UP
            for name, node in config.nodes.items()
            if name in outline.nodes and node.moved
        }
        self.tree.configure(self._runs(config), changes, posed)
        still = {name: node.model_copy(update={"visible": True}) for name, node in config.nodes.items()}
        self.movement: tuple[object, ...] = (config.animation, config.animations, still)
        """Equal ones move alike, seen from where the object stands."""
        self.place: F64 = config.transform @ STAGE_FROM_Y_UP
        self.scene_from_asset = self.place
        self._posed_by = ()
        hidden = {outline.nodes[name] for name, n in config.nodes.items() if name in outline.nodes and not n.visible}
        for index, parent in self.tree.order:
            if parent in hidden:
                hidden.add(index)
        self.hidden: frozenset[int] = frozenset(hidden)
        """Nodes that are not seen, with all below them."""
        self.variant = outline.variants.index(config.variant) if config.variant in outline.variants else -1

    @property
    def follows(self) -> bool:
        """Whether the whole of it goes where a subject goes."""
        return self._follows is not None

    @property
    def bound(self) -> bool:
        """Whether anything of it follows a subject."""
        return bool(self._follows or self._node_bindings or self._skeletons or self._faces)

    def materials(self, config: ObjectConfig | None = None) -> list[tuple[Material, bool]]:
        """(material with this object's changes, with vertex colours) for each of `material_keys`; `config` in place of
        what it has now."""
        changes = (config or self.config).materials
        names = list(self.outline.materials)
        out = []
        for key in self.material_keys:
            material = material_of(self.asset, key)
            change = None if key[0] is None else changes.get(names[key[0]])
            if change is not None:
                given = {
                    name: value
                    for name in ("base_colour", "metallic", "roughness", "emissive")
                    if (value := getattr(change, name)) is not None
                }
                material = replace(material, **given)
            out.append((material, key[1]))
        return out

    def follow(self, subjects: Mapping[str, PlanSubject], scene_from_stage: F64) -> None:
        """Take over where its subjects are, for all times until the next call."""
        if not self.bound:
            return
        names = {b.subject for b, _ in self._skeletons} | {b.subject for _, b in self._node_bindings}
        names |= {b.subject for b in self._faces}
        if self._follows is not None:
            names.add(self._follows.subject)
        state = (scene_from_stage.tobytes(), *(subjects.get(name) for name in sorted(names)))
        if state == self._posed_by:
            return
        self._posed_by = state
        self.scene_from_asset = self.place
        if self._follows is not None and self._follows.subject in subjects:
            self.scene_from_asset = scene_from_stage @ _of(subjects[self._follows.subject]) @ self.place
        asset_from_scene = np.linalg.inv(self.scene_from_asset)
        worlds: dict[int, F64] = {}
        turns: dict[int, F64] = {}
        points: dict[int, F64] = {}
        for node, binding in self._node_bindings:
            subject = subjects.get(binding.subject)
            if subject is None:
                continue
            # The node's axes are Y up like the asset's: its -Z looks where the subject's +Y does.
            world = asset_from_scene @ scene_from_stage @ _of(subject) @ STAGE_FROM_Y_UP
            size = np.linalg.norm((self.scene_from_asset @ self.rest[node])[:3, :3], axis=0)
            world[:3, :3] *= size
            worlds[node] = world
        for binding, pairs in self._skeletons:
            subject = subjects.get(binding.subject)
            if subject is not None:
                self._skeleton(subject, binding, pairs, asset_from_scene @ scene_from_stage, turns, points)
        self.tree.set_pose(Pose(worlds, turns, points))
        self._shaped = {}
        for binding in self._faces:
            subject = subjects.get(binding.subject)
            if subject is not None:
                self._face(subject, binding)

    def shaped(self, node: int, weights: F64) -> F64:
        """The weights of a node's morph targets, [targets], with those a subject's face gives in their place."""
        given = self._shaped.get(node)
        if not given:
            return weights
        out = np.array(weights, dtype=np.float64)
        out[list(given)] = list(given.values())
        return out

    def _face(self, subject: PlanSubject, binding: BindingConfig) -> None:
        """Weights of the facial shapes for every node whose mesh has targets that mean them."""
        ids = dict(zip(ids_of(subject.blend_shapes, "shape"), subject.blend_shapes.values(), strict=True))
        wanted = {
            target: subject.blend_shapes[name]
            for target, name in (binding.shapes or {}).items()
            if name in subject.blend_shapes
        }
        id_of = shape_ids(mesh.shapes for mesh in self.asset.meshes)
        for index, _ in self.tree.order:
            mesh = self.asset.nodes[index].mesh
            for number, name in enumerate(self.asset.meshes[mesh].shapes if mesh is not None else ()):
                weight = wanted.get(id_of[name], ids.get(id_of[name]))
                if weight is not None:
                    self._shaped.setdefault(index, {})[number] = weight

    def _skeleton(
        self,
        subject: PlanSubject,
        binding: BindingConfig,
        pairs: Mapping[int, str],
        asset_from_stage: F64,
        turns: dict[int, F64],
        points: dict[int, F64],
    ) -> None:
        """Rotations of every joint of the subject over the figure at rest; the uppermost one stands where it does."""
        joints = {joint.name: joint for joint in subject.joints}
        found = {node: joints[name] for node, name in pairs.items() if name in joints}
        # Nodes named like a joint need not be written down.
        ids = dict(zip(ids_of(joints, "joint"), joints.values(), strict=True))
        for name, node in self.outline.nodes.items():
            joint = ids.get(name) or ids.get(name.removeprefix(_PREFIX))
            if joint is not None and node not in pairs:
                found[node] = joint
        turn = rotation_from_pan_tilt_roll(binding.turn_deg, 0.0, 0.0)
        unit = asset_from_stage[:3, :3] / np.linalg.norm(asset_from_stage[:3, :3], axis=0)
        above: dict[int, bool] = {}
        for index, parent in self.tree.order:
            above[index] = parent >= 0 and (above[parent] or parent in found)
            if index not in found:
                continue
            joint = found[index]
            rest = self.rest[index][:3, :3]
            rest = rest / np.linalg.norm(rest, axis=0)
            turns[index] = unit @ rotation_from_quaternion(joint.rotation) @ turn @ STAGE_FROM_Y_UP[:3, :3] @ rest
            if not above[index]:
                point = np.array([*(binding.scale_to * v for v in joint.position_m), 1.0])
                points[index] = (asset_from_stage @ point)[:3]

    def _runs(self, config: ObjectConfig) -> tuple[Run, ...]:
        """The animations that act, in the asset's order."""
        names = list(self.outline.animations)
        if config.animation is None:
            chosen = {run.animation for run in default_runs(self.asset.animations)}
        else:
            chosen = {self.outline.animations[config.animation]} if config.animation in names else set()
        out = []
        for number, name in enumerate(names):
            settings = config.animations.get(name, AnimationConfig())
            if (number in chosen) if settings.on is None else settings.on:
                out.append(Run(number, settings.play, settings.time_s, settings.speed))
        return tuple(out)

    def notes(self) -> list[str]:
        """What of the asset contradicts itself and was decided for it."""
        if self.config.animation is not None or any(a.on is not None for a in self.config.animations.values()):
            return []
        acting = {run.animation for run in self.tree.runs}
        left = [name for i, name in enumerate(self.outline.animations) if i not in acting]
        left = [name for name in left if self.asset.animations[self.outline.animations[name]].channels]
        return [f"animation {name} moves what an earlier one moves: choose it by name" for name in left]


def _pairs(binding: BindingConfig, outline: Outline) -> list[tuple[int, str]]:
    return [(outline.nodes[node], joint) for node, joint in (binding.joints or {}).items() if node in outline.nodes]


def _of(subject: PlanSubject) -> F64:
    return np.asarray(transform_of(subject.stage_from_subject), dtype=np.float64)
