"""A performer's joints as they stand relative to the performer's own pose, and what becomes of them at the photo.

Joints are kept relative to the subject's pose (its hips), so that a new alignment of the tracker, the history and the
prediction of that pose hold for them without a word. One array for all joints: a skeleton costs a few array operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from stage.frames import Array, quaternion_from_rotation, quaternion_product

MAX_JOINTS: Final = 512
SPAN_NS: Final = 40_000_000
"""Joints' velocities are taken over so long at most: long enough for noise, short enough for a fast arm."""


class Skeleton(Struct, frozen=True, gc=False, eq=False):
    """Joints and facial weights of one performer at one time."""

    names: tuple[str, ...] = ()
    parents: tuple[int, ...] = ()
    """Index of each joint's parent; -1 = none."""
    subject_from_joint: Array = np.zeros((0, 7))
    """[n, 7]  x y z metres, qx qy qz qw, in the axes of the subject's pose."""
    blend_shapes: Mapping[str, float] = {}
    """Weight of each facial shape, as sent."""

    def placed(self, stage_from_subject: Array) -> Array:
        """Joints in the stage, [n, 7], of a subject that stands at the pose, [4, 4]."""
        out = np.empty_like(self.subject_from_joint)
        out[:, :3] = self.subject_from_joint[:, :3] @ stage_from_subject[:3, :3].T + stage_from_subject[:3, 3]
        out[:, 3:] = quaternion_product(quaternion_from_rotation(stage_from_subject), self.subject_from_joint[:, 3:])
        return out


def relative_joints(tracker_from_joint: Array, tracker_from_subject: Array) -> Array:
    """Joints, [n, 7] in the tracker's place, as they stand to the subject's pose, [4, 4]."""
    out = np.empty_like(tracker_from_joint)
    rotation = tracker_from_subject[:3, :3]
    out[:, :3] = (tracker_from_joint[:, :3] - tracker_from_subject[:3, 3]) @ rotation
    back = quaternion_from_rotation(rotation.T)
    out[:, 3:] = _unit(quaternion_product(back, tracker_from_joint[:, 3:]))
    return out


def chained(local: Sequence[Sequence[float]], parents: Sequence[int]) -> list[tuple[float, ...]]:
    """Joints, [n][7], each given in its parent's axes, in the axes of the roots. A parent comes before its children.

    Plain numbers: for the chains of a body, arrays of four cost five times as much.
    """
    out: list[tuple[float, ...]] = []
    for (x, y, z, qx, qy, qz, qw), parent in zip(local, parents, strict=True):
        if parent < 0:
            out.append((x, y, z, qx, qy, qz, qw))
            continue
        px, py, pz, ax, ay, az, aw = out[parent]
        # v' = v + 2 w (u x v) + 2 u x (u x v)
        cx, cy, cz = 2.0 * (ay * z - az * y), 2.0 * (az * x - ax * z), 2.0 * (ax * y - ay * x)
        out.append(
            (
                px + x + aw * cx + ay * cz - az * cy,
                py + y + aw * cy + az * cx - ax * cz,
                pz + z + aw * cz + ax * cy - ay * cx,
                aw * qx + ax * qw + ay * qz - az * qy,
                aw * qy - ax * qz + ay * qw + az * qx,
                aw * qz + ax * qy - ay * qx + az * qw,
                aw * qw - ax * qx - ay * qy - az * qz,
            )
        )
    return out


def moved_on(newest: Skeleton, older: Skeleton | None, apart_ns: int, ahead_ns: int, gain: float) -> Skeleton:
    """The skeleton `ahead_ns` after the newest, with that share of its joints' velocity since the older one, `apart_ns`
    before. Joints that differ in name, and weights, are held."""
    if older is None or apart_ns <= 0 or gain <= 0.0 or ahead_ns == 0 or older.names != newest.names:
        return newest
    here, before = newest.subject_from_joint, older.subject_from_joint
    step = here - before
    # The same turn may have been sent as q and as -q.
    flipped = np.einsum("ij,ij->i", here[:, 3:], before[:, 3:]) < 0.0
    step[flipped, 3:] = here[flipped, 3:] + before[flipped, 3:]
    out = here + step * (gain * ahead_ns / apart_ns)
    out[:, 3:] = _unit(out[:, 3:])
    return Skeleton(newest.names, newest.parents, out, newest.blend_shapes)


def _unit(quaternions: Array) -> Array:
    length = np.linalg.norm(quaternions, axis=1, keepdims=True)
    return np.where(length > 1e-9, quaternions / np.maximum(length, 1e-9), np.array([0.0, 0.0, 0.0, 1.0]))
