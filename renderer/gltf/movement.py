"""Animations and skins of a glTF asset."""

from __future__ import annotations

from typing import Final, cast

import numpy as np

from renderer.gltf.document import JsonAnimation
from renderer.gltf.errors import AssetDataError, AssetFormatError
from renderer.gltf.model import AnimatedPath, Animation, Channel, Interpolation, Mesh, Skin
from renderer.gltf.reading import MEND, Reading

_KINDS: Final[dict[str, Interpolation]] = {"STEP": "step", "LINEAR": "linear", "CUBICSPLINE": "cubic"}
_WIDTHS: Final = {"translation": 3, "rotation": 4, "scale": 3}


def read_animation(reading: Reading, index: int, meshes: tuple[Mesh, ...]) -> Animation:
    """Animation `index`; channels of what is not animated here are noted and left out.

    Raises
    ------
    AssetFormatError, AssetReferenceError, AssetDataError
    """
    animation, place = reading.document.animations[index], f"animations[{index}]"
    channels = []
    for i in range(len(animation.channels)):
        channel = _channel(reading, animation, i, place, meshes)
        if channel is not None:
            channels.append(channel)
    return Animation(animation.name, tuple(channels), max((float(c.times_s[-1]) for c in channels), default=0.0))


def _channel(
    reading: Reading, animation: JsonAnimation, number: int, place: str, meshes: tuple[Mesh, ...]
) -> Channel | None:
    channel, here = animation.channels[number], f"{place}.channels[{number}]"
    if channel.target.path == "pointer":
        reading.note(f"animation of a pointer (KHR_animation_pointer) is not read ({here})")
        return None
    if channel.target.path not in (*_WIDTHS, "weights"):
        reading.note(f"animation of {channel.target.path} is not read ({here})")
        return None
    if channel.target.node is None:
        return None  # the specification says: ignore it
    path = cast("AnimatedPath", channel.target.path)
    node = reading.accessors.pick(reading.document.nodes, channel.target.node, "nodes", f"{here}.target.node")
    source = reading.accessors.pick(animation.samplers, channel.sampler, "samplers", f"{here}.sampler")
    there = f"{place}.samplers[{channel.sampler}]"
    if source.interpolation not in _KINDS:
        raise AssetFormatError(
            reading.file, f"{there}.interpolation", "is not known", value=source.interpolation, mend=MEND
        )
    kind = _KINDS[source.interpolation]
    times = reading.accessors.read(source.input, f"{there}.input", width=1)[:, 0].astype(np.float64)
    if np.any(np.diff(times) <= 0) or times[0] < 0:
        raise AssetDataError(reading.file, f"{there}.input", "key times must grow from 0 or later", mend=MEND)
    if path == "weights":
        width = len(meshes[node.mesh].weights) if node.mesh is not None else 0
        if not width:
            reading.note(f"weights of a node without morph targets are animated ({here})")
            return None
        values = reading.accessors.read(source.output, f"{there}.output", width=1).astype(np.float64)
        if len(values) % width == 0:
            values = values.reshape(-1, width)
    else:
        width = _WIDTHS[path]
        values = reading.accessors.read(source.output, f"{there}.output", width=width).astype(np.float64)
    per_key = 3 if kind == "cubic" else 1
    if len(values) != len(times) * per_key:
        raise AssetDataError(
            reading.file, f"{there}.output", f"has {len(values)} values for {len(times)} {kind} keys",
            value=len(values), mend=MEND,
        )  # fmt: skip
    if kind == "cubic":
        values = values.reshape(len(times), 3, width)
    elif path == "rotation":
        length = np.linalg.norm(values, axis=1, keepdims=True)
        if np.any(length < 1e-6):
            raise AssetDataError(reading.file, f"{there}.output", "a rotation has no direction", mend=MEND)
        values = values / length
    return Channel(channel.target.node, path, times, values, kind)


def read_skin(reading: Reading, index: int) -> Skin:
    """Skin `index`.

    Raises
    ------
    AssetFormatError, AssetReferenceError, AssetDataError
    """
    source, place = reading.document.skins[index], f"skins[{index}]"
    if not source.joints:
        raise AssetFormatError(reading.file, f"{place}.joints", "a skin needs joints", mend=MEND)
    for i, joint in enumerate(source.joints):
        reading.accessors.pick(reading.document.nodes, joint, "nodes", f"{place}.joints[{i}]")
    bind = np.tile(np.eye(4), (len(source.joints), 1, 1))
    if source.inverseBindMatrices is not None:
        here = f"{place}.inverseBindMatrices"
        values = reading.accessors.read(source.inverseBindMatrices, here, width=16).astype(np.float64)
        if len(values) < len(source.joints):
            raise AssetDataError(
                reading.file, here, f"has {len(values)} elements for {len(source.joints)} joints", value=len(values),
                mend=MEND,
            )  # fmt: skip
        bind = values[: len(source.joints)].reshape(-1, 4, 4).transpose(0, 2, 1).copy()
    return Skin(source.name, tuple(source.joints), bind)
