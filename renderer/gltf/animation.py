"""glTF animation: a node's translation, rotation and scale at a time, and the whole hierarchy's transforms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from renderer.gltf.model import F64, Animation, Channel, Node


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
    cosine = float(a @ b)
    if cosine < 0.0:
        b, cosine = -b, -cosine
    if cosine > 0.9995:
        out = a + (b - a) * u
    else:
        angle = float(np.arccos(cosine))
        out = (np.sin((1 - u) * angle) * a + np.sin(u * angle) * b) / np.sin(angle)
    return np.asarray(out / np.linalg.norm(out))


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


class Hierarchy:
    """The node tree of an asset, evaluated at any time. Every animation runs, each looping after its own length."""

    def __init__(self, nodes: Sequence[Node], roots: Sequence[int], animations: Sequence[Animation]) -> None:
        self._nodes = nodes
        self._animations = tuple(a for a in animations if a.channels)
        order: list[tuple[int, int]] = []
        stack = [(root, -1) for root in reversed(roots)]
        while stack:
            index, parent = stack.pop()
            order.append((index, parent))
            stack.extend((child, index) for child in reversed(nodes[index].children))
        self.order: tuple[tuple[int, int], ...] = tuple(order)
        """(node, parent or -1) of every node of the scene, parents first."""
        moved = {c.node for a in self._animations for c in a.channels}
        animated: set[int] = set()
        for index, parent in order:
            if index in moved or parent in animated:
                animated.add(index)
        self.animated: frozenset[int] = frozenset(animated)
        """Nodes whose place can change with time."""
        self._rest = {index: rest_transform(nodes[index]) for index, _ in order}
        self._world = np.tile(np.eye(4), (len(nodes), 1, 1))
        self._evaluate(self.order, self._rest)
        self._moving = tuple((index, parent) for index, parent in order if index in animated)
        self._time_s: float | None = None

    def world_from_nodes(self, time_s: float) -> F64:
        """Transforms of all nodes, [nodes, 4, 4], at `time_s`. The array is reused by the next call."""
        if not self._moving or time_s == self._time_s:
            return self._world
        local = dict(self._rest)
        for animation in self._animations:
            t = time_s % animation.duration_s if animation.duration_s > 0 else 0.0
            values: dict[int, dict[str, F64]] = {}
            for channel in animation.channels:
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
        return self._world

    def _evaluate(self, order: Sequence[tuple[int, int]], local: dict[int, F64]) -> None:
        for index, parent in order:
            self._world[index] = local[index] if parent < 0 else self._world[parent] @ local[index]
