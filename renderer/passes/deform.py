"""Meshes that bend: skins and morph targets worked out once a frame, into the vertices every pass draws from.

A mesh that bends has vertices of its own for each node that shows it. A compute shader writes their positions,
normals and tangents in place; views and shadows then draw it like anything else. Joints' transforms are worked out
in float64 and handed over relative to the object, so that a figure far from the scene's origin bends as finely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.device import Device
from renderer.gltf.model import Primitive, Skin
from renderer.shaders import source

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_GROUP: Final = 64
_REST, _JOINTS, _WEIGHTS, _DELTAS, _POSE, _DRAWN = range(6)


def bends(primitive: Primitive, skin: Skin | None) -> bool:
    """Whether drawing a primitive on a node with `skin` (or none) needs deforming."""
    return bool(primitive.morphs) or (skin is not None and primitive.joints is not None)


@dataclass(slots=True)
class _Reach:
    """How far each joint and each morph target can carry a primitive: what its bounds are made of."""

    joints: NDArray[np.intp]
    """Those that move any of its vertices."""
    centres: F64
    """[joints, 3]  of the vertices each moves, in the joint's frame."""
    radii: F64
    stretch: F64
    """[joints]  by which a joint's frame is larger than the mesh's: scales morphing."""
    morphs: F64
    """[targets]  longest way a weight of 1 moves a vertex."""
    centre: F64
    radius_m: float
    """Sphere of the mesh at rest."""


class Bending:
    """One primitive as one node shows it."""

    def __init__(self, device: Device, primitive: Primitive, skin: Skin | None, *, tangents: bool) -> None:
        self.skin = skin if primitive.joints is not None else None
        self.count = len(primitive.positions)
        self.targets = len(primitive.morphs)
        parts = [primitive.positions, primitive.normals]
        if tangents and primitive.tangents is None:
            parts.append(np.tile(np.array([1, 0, 0, 1], np.float32), (self.count, 1)))
        elif tangents and primitive.tangents is not None:
            parts.append(primitive.tangents)
        rest = np.concatenate(parts, axis=1, dtype=np.float32)
        self._rest_floats = rest.shape[1]
        sets = 0 if self.skin is None or primitive.joints is None else primitive.joints.shape[1] // 4
        self.defines = {
            "SETS": sets, "MORPHS": int(bool(self.targets)), "TANGENTS": int(tangents), "FLAT": int(primitive.flat),
        }  # fmt: skip
        ctx = device.ctx
        empty = np.zeros(4, np.float32)
        joints = primitive.joints if sets and primitive.joints is not None else empty.astype(np.uint32)
        weights = primitive.weights if sets and primitive.weights is not None else empty
        self._buffers = {
            _REST: ctx.buffer(np.ascontiguousarray(rest).tobytes()),
            _JOINTS: ctx.buffer(np.ascontiguousarray(joints, np.uint32).tobytes()),
            _WEIGHTS: ctx.buffer(np.ascontiguousarray(weights, np.float32).tobytes()),
            _DELTAS: ctx.buffer(_deltas(primitive).tobytes() or bytes(16)),
        }
        self._joint_count = len(self.skin.joints) if self.skin is not None else 0
        self._buffers[_POSE] = ctx.buffer(reserve=max(16, 48 * self._joint_count + 16 * self.targets))
        self._reach = _reach(primitive, self.skin)
        self._done: bytes | None = None
        self._tangents = tangents

    @property
    def size_bytes(self) -> int:
        """Bytes held on the GPU beside the vertices drawn."""
        return int(sum(buffer.size for buffer in self._buffers.values()))

    def sphere(self, object_from_joints: F64, weights: F64) -> tuple[F64, float]:
        """Centre, [3], and radius of a sphere that holds it, in the object's frame.

        object_from_joints : [joints, 4, 4]  placed joints, without `joint_from_mesh`; unused without a skin.
        weights : [targets]
        """
        reach = self._reach
        further = float(np.abs(weights) @ reach.morphs) if self.targets else 0.0
        if self.skin is None or not reach.joints.size:
            return reach.centre, reach.radius_m + further
        placed = object_from_joints[reach.joints]
        centres = np.einsum("nij,nj->ni", placed[:, :3, :3], reach.centres) + placed[:, :3, 3]
        radii = (reach.radii + further * reach.stretch) * np.linalg.norm(placed[:, :3, :3], ord=2, axis=(1, 2))
        low, high = (centres - radii[:, None]).min(axis=0), (centres + radii[:, None]).max(axis=0)
        middle = (low + high) / 2.0
        return middle, float((np.linalg.norm(centres - middle, axis=1) + radii).max())

    def pose(self, object_from_joints: F64, weights: F64) -> bytes:
        """What the shader needs: rows of every joint's object_from_mesh, then (target, weight) of those that act."""
        rows = np.zeros((3 * self._joint_count + self.targets, 4), dtype=np.float32)
        if self.skin is not None:
            moved = object_from_joints @ self.skin.joint_from_mesh
            rows[: 3 * self._joint_count] = moved[:, :3, :].reshape(-1, 4)
        acting = np.flatnonzero(weights)
        at = 3 * self._joint_count
        rows[at : at + acting.size, 0] = acting
        rows[at : at + acting.size, 1] = weights[acting]
        return rows[: at + acting.size].tobytes()

    def bind(self, pose: bytes) -> int:
        """Hand the buffers to the shader; how many morph targets act."""
        if pose:
            self._buffers[_POSE].write(pose)
        for binding, buffer in self._buffers.items():
            buffer.bind_to_storage_buffer(binding)
        return len(pose) // 16 - 3 * self._joint_count

    def changed(self, pose: bytes) -> bool:
        """Whether its vertices hold another pose; they are taken to hold this one from now on."""
        if pose == self._done:
            return False
        self._done = pose
        return True

    @property
    def sizes(self) -> tuple[int, int]:
        """Floats of a vertex at rest, and joints."""
        return self._rest_floats, self._joint_count

    @property
    def state(self) -> bytes:
        """The pose its vertices hold."""
        return self._done or b""

    def release(self) -> None:
        """Free its buffers."""
        for buffer in self._buffers.values():
            buffer.release()


class DeformPass:
    """Writes bent vertices. One for a scene; its programs are compiled when first needed."""

    def __init__(self, device: Device) -> None:
        self._ctx = device.ctx
        self._programs: dict[tuple[tuple[str, int], ...], moderngl.ComputeShader] = {}
        self.count = 0
        """How many primitives were bent so far."""

    def bend(
        self, bending: Bending, pose: bytes, vertices: moderngl.Buffer, *, first: int, stride: int, tangent_at: int
    ) -> None:
        """Write a primitive's vertices as `pose` has them, if they do not stand so already.

        first, stride, tangent_at : floats: of its first vertex in `vertices`, of one vertex, to a vertex's tangent.
        """
        if not bending.changed(pose):
            return
        acting = bending.bind(pose)
        rest_floats, joints = bending.sizes
        vertices.bind_to_storage_buffer(_DRAWN)
        program = self._program(bending.defines)
        for name, value in (
            ("count", bending.count), ("rest_floats", rest_floats), ("first", first), ("stride", stride),
            ("tangent_at", tangent_at), ("joint_count", joints), ("active_count", acting),
        ):  # fmt: skip
            uniform = program.get(name, None)
            if isinstance(uniform, moderngl.Uniform):
                uniform.value = value
        program.run(group_x=(bending.count + _GROUP - 1) // _GROUP)
        self.count += 1

    def finish(self) -> None:
        """After the last `bend` of a frame: what is drawn from now on reads the new vertices."""
        self._ctx.memory_barrier(moderngl.VERTEX_ATTRIB_ARRAY_BARRIER_BIT | moderngl.SHADER_STORAGE_BARRIER_BIT)

    def _program(self, defines: dict[str, int]) -> moderngl.ComputeShader:
        key = tuple(defines.items())
        if key not in self._programs:
            self._programs[key] = self._ctx.compute_shader(source("scene/deform.comp", defines))
        return self._programs[key]

    def release(self) -> None:
        """Free its programs."""
        for program in self._programs.values():
            program.release()
        self._programs.clear()


def _deltas(primitive: Primitive) -> F32:
    """[targets, vertices, 9]"""
    out = np.zeros((len(primitive.morphs), len(primitive.positions), 9), dtype=np.float32)
    for i, morph in enumerate(primitive.morphs):
        for at, values in ((0, morph.positions), (3, morph.normals), (6, morph.tangents)):
            if values is not None:
                out[i, :, at : at + 3] = values
    return out


def _reach(primitive: Primitive, skin: Skin | None) -> _Reach:
    points = primitive.positions.astype(np.float64)
    centre = (points.min(axis=0) + points.max(axis=0)) / 2.0
    radius = float(np.linalg.norm(points - centre, axis=1).max())
    morphs = np.array(
        [
            0.0 if m.positions is None else float(np.linalg.norm(m.positions.astype(np.float64), axis=1).max())
            for m in primitive.morphs
        ]
    )
    joints, centres, radii, stretch = [], [], [], []
    if skin is not None and primitive.joints is not None and primitive.weights is not None:
        used = np.where(primitive.weights > 0.0, primitive.joints.astype(np.int64), -1)
        for joint in np.unique(used[used >= 0]).tolist():
            joint_from_mesh = skin.joint_from_mesh[joint]
            held = points[(used == joint).any(axis=1)] @ joint_from_mesh[:3, :3].T + joint_from_mesh[:3, 3]
            middle = (held.min(axis=0) + held.max(axis=0)) / 2.0
            joints.append(joint)
            centres.append(middle)
            radii.append(float(np.linalg.norm(held - middle, axis=1).max()))
            stretch.append(float(np.linalg.norm(joint_from_mesh[:3, :3], ord=2)))
    return _Reach(
        np.array(joints, dtype=np.intp), np.array(centres, dtype=np.float64).reshape(-1, 3),
        np.array(radii, dtype=np.float64), np.array(stretch, dtype=np.float64), morphs, centre, radius,
    )  # fmt: skip
