"""glTF animation: a node's translation, rotation and scale at a time, and the whole hierarchy's transforms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from renderer.gltf.model import F64, Animation, Channel, Node

_STANDING: Final = 1e-6
"""Speed below which an animation is taken to stand still: it would take weeks to be anywhere else."""


def sample(channel: Channel, time_s: float) -> F64:
    """A channel's value, [n], at `time_s`; before the first key it is the first, after the last the last.

    Rotations (xyzw) come back normalised: linear keys along the shortest arc (slerp), cubic ones as splines.
    """
    times = channel.times_s
    if time_s <= times[0] or times.size == 1:
        return _normal(channel, _value(channel, 0))
    if time_s >= times[-1]:
        return _normal(channel, _value(channel, times.size - 1))
    after = int(np.searchsorted(times, time_s, side="right"))
    before = after - 1
    if channel.interpolation == "step":
        return _normal(channel, _value(channel, before))
    span = float(times[after] - times[before])
    u = (time_s - float(times[before])) / span
    if channel.interpolation == "cubic":
        _, p0, m0 = channel.values[before]
        m1, p1, _ = channel.values[after]
        u2, u3 = u * u, u * u * u
        value = (
            (2 * u3 - 3 * u2 + 1) * p0 + (u3 - 2 * u2 + u) * span * m0 + (3 * u2 - 2 * u3) * p1 + (u3 - u2) * span * m1
        )
        return _normal(channel, value)
    a, b = channel.values[before], channel.values[after]
    if channel.path == "rotation":
        return _slerp(a, b, u)
    return np.asarray(a + (b - a) * u)


def _value(channel: Channel, key: int) -> F64:
    return np.asarray(channel.values[key, 1] if channel.interpolation == "cubic" else channel.values[key])


def _normal(channel: Channel, value: F64) -> F64:
    if channel.path != "rotation":
        return np.asarray(value)
    length = float(np.linalg.norm(value))
    return np.asarray(value / length) if length > 0 else np.array([0.0, 0.0, 0.0, 1.0])


def _slerp(a: F64, b: F64, u: float) -> F64:
    # Plain numbers: a figure has a hundred of these a frame, and numpy takes five times as long for four of them.
    ax, ay, az, aw = a.tolist()
    bx, by, bz, bw = b.tolist()
    cosine = ax * bx + ay * by + az * bz + aw * bw
    flip = -1.0 if cosine < 0.0 else 1.0
    cosine *= flip
    if cosine > 0.9995:
        p, q = 1.0 - u, u * flip
    else:
        angle = math.acos(cosine)
        p, q = math.sin((1.0 - u) * angle), math.sin(u * angle) * flip
    x, y, z, w = p * ax + q * bx, p * ay + q * by, p * az + q * bz, p * aw + q * bw
    length = math.sqrt(x * x + y * y + z * z + w * w)
    return np.array([x / length, y / length, z / length, w / length])


def transform_from_trs(
    translation: Sequence[float] | F64, rotation: Sequence[float] | F64, scale: Sequence[float] | F64
) -> F64:
    """`parent_from_node`, [4, 4], of a translation, a unit quaternion xyzw and a scale."""
    x, y, z, w = (float(v) for v in rotation)
    out = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), translation[0]],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), translation[1]],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), translation[2]],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )
    out[:3, :3] *= np.asarray(scale, dtype=np.float64)
    return out


def rest_transform(node: Node) -> F64:
    """`parent_from_node`, [4, 4], of a node at rest."""
    if node.parent_from_node is not None:
        return node.parent_from_node
    return transform_from_trs(node.translation, node.rotation, node.scale)


@dataclass(frozen=True, slots=True)
class Run:
    """One animation acting: at scene time t it stands at `time_s + speed * t`, or at `time_s` when it does not play."""

    animation: int
    play: bool = True
    time_s: float = 0.0
    speed: float = 1.0

    def at(self, scene_time_s: float, duration_s: float) -> float:
        """Its own time, looping."""
        time_s = self.time_s + (self.speed * scene_time_s if self.play else 0.0)
        return time_s % duration_s if duration_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Places from outside, in the asset's own axes: they win over animations, and carry the nodes below with them."""

    worlds: Mapping[int, F64] = field(default_factory=dict)
    """Node -> its whole transform, [4, 4]."""
    turns: Mapping[int, F64] = field(default_factory=dict)
    """Node -> its rotation, [3, 3]; place and size stay those of the hierarchy..."""
    points: Mapping[int, F64] = field(default_factory=dict)
    """...but for a node's place, [3], here."""


def default_runs(animations: Sequence[Animation]) -> tuple[Run, ...]:
    """All animations that do not move what an earlier one moves, in the file's order."""
    taken: set[tuple[int, str]] = set()
    out = []
    for number, animation in enumerate(animations):
        moves = {(channel.node, channel.path) for channel in animation.channels}
        if moves and not moves & taken:
            taken |= moves
            out.append(Run(number))
    return tuple(out)


class Hierarchy:
    """The node tree of an asset, evaluated at any time: animations, then lasting changes, then poses from outside."""

    def __init__(self, nodes: Sequence[Node], roots: Sequence[int], animations: Sequence[Animation]) -> None:
        self._nodes = nodes
        self._animations = tuple(animations)
        order: list[tuple[int, int]] = []
        stack = [(root, -1) for root in reversed(roots)]
        while stack:
            index, parent = stack.pop()
            order.append((index, parent))
            stack.extend((child, index) for child in reversed(nodes[index].children))
        self.order: tuple[tuple[int, int], ...] = tuple(order)
        """(node, parent or -1) of every node of the scene, parents first."""
        self._rest = {index: rest_transform(nodes[index]) for index, _ in order}
        self._world = np.tile(np.eye(4), (len(nodes), 1, 1))
        self.configure(default_runs(animations))

    def configure(
        self, runs: Sequence[Run], changes: Mapping[int, F64] | None = None, posed: Iterable[int] = ()
    ) -> None:
        """Choose which animations act and what is changed for good.

        `changes` are transforms, [4, 4], laid over a node's own: it moves along its parent's axes, turns and grows
        about its own origin. `posed` are nodes that poses from outside may move.
        """
        self.runs = tuple(runs)
        self._changes = dict(changes or {})
        self.pose = Pose()
        moved = {c.node for run in self.runs for c in self._animations[run.animation].channels if c.path != "weights"}
        moved |= set(posed)
        animated: set[int] = set()
        for index, parent in self.order:
            if index in moved or parent in animated:
                animated.add(index)
        self.animated: frozenset[int] = frozenset(animated)
        """Nodes whose place can change with time."""
        self.reshaped: frozenset[int] = frozenset(
            c.node for run in self.runs for c in self._animations[run.animation].channels if c.path == "weights"
        )
        """Nodes whose morph targets' weights change with time."""
        self.period_s = max(
            (
                self._animations[run.animation].duration_s / abs(run.speed)
                for run in self.runs
                if run.play and abs(run.speed) > _STANDING
            ),
            default=0.0,
        )
        """Scene time after which all that is animated has been everywhere."""
        self._moving = tuple((index, parent) for index, parent in self.order if index in animated)
        self._weights: dict[int, F64] = {}
        self._time_s: float | None = None
        self._evaluate(self.order, self._rest)

    def world_from_nodes(self, time_s: float) -> F64:
        """Transforms of all nodes, [nodes, 4, 4], at `time_s`. The array is reused by the next call."""
        self._update(time_s)
        return self._world

    def weights(self, node: int, time_s: float) -> F64 | None:
        """The weights an animation gives a node's morph targets at `time_s`, or None."""
        self._update(time_s)
        return self._weights.get(node)

    def set_pose(self, pose: Pose) -> None:
        """Places from outside for the next evaluation, of nodes named as `posed`."""
        if pose is not self.pose:
            self.pose = pose
            self._time_s = None

    def _update(self, time_s: float) -> None:
        if time_s == self._time_s or not (self.runs or self._moving):
            return
        local = dict(self._rest)
        self._weights = {}
        for run in self.runs:
            animation = self._animations[run.animation]
            t = run.at(time_s, animation.duration_s)
            values: dict[int, dict[str, F64]] = {}
            for channel in animation.channels:
                if channel.path == "weights":
                    self._weights[channel.node] = sample(channel, t)
                else:
                    values.setdefault(channel.node, {})[channel.path] = sample(channel, t)
            for index, change in values.items():
                node = self._nodes[index]
                if index in local:
                    local[index] = transform_from_trs(
                        change.get("translation", np.asarray(node.translation)),
                        change.get("rotation", np.asarray(node.rotation)),
                        change.get("scale", np.asarray(node.scale)),
                    )
        self._evaluate(self._moving, local)
        self._time_s = time_s

    def _evaluate(self, order: Sequence[tuple[int, int]], local: dict[int, F64]) -> None:
        pose, changes = self.pose, self._changes
        for index, parent in order:
            if index in pose.worlds:
                self._world[index] = pose.worlds[index]
                continue
            own = local[index]
            if index in changes:
                change = changes[index]
                moved = np.eye(4)
                moved[:3, :3] = change[:3, :3] @ own[:3, :3]
                moved[:3, 3] = own[:3, 3] + change[:3, 3]
                own = moved
            world = own if parent < 0 else self._world[parent] @ own
            if index in pose.turns:
                world = world.copy()
                world[:3, :3] = pose.turns[index] * np.linalg.norm(world[:3, :3], axis=0)
                if index in pose.points:
                    world[:3, 3] = pose.points[index]
            self._world[index] = world
