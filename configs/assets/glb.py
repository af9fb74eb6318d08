"""Writes shapes as one binary glTF file."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.assets.shapes import Shape
from configs.assets.texture import F


@dataclass(slots=True)
class Glb:
    """Collects a binary glTF file."""

    blob: bytearray = field(default_factory=bytearray)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    textures: list[dict[str, Any]] = field(default_factory=list)
    materials: list[dict[str, Any]] = field(default_factory=list)
    meshes: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    channels: list[dict[str, Any]] = field(default_factory=list)
    samplers: list[dict[str, Any]] = field(default_factory=list)

    def view(self, data: bytes, target: int | None = None) -> int:
        """A buffer view of `data`."""
        self.blob.extend(b"\0" * (-len(self.blob) % 4))
        entry: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.blob), "byteLength": len(data)}
        if target:
            entry["target"] = target
        self.blob.extend(data)
        self.views.append(entry)
        return len(self.views) - 1

    def accessor(
        self, values: NDArray[Any], kind: str, component: int, target: int | None, bounds: bool, *,
        normalized: bool = False,
    ) -> int:  # fmt: skip
        """An accessor over a view of its own."""
        entry: dict[str, Any] = {
            "bufferView": self.view(values.tobytes(), target), "componentType": component, "count": len(values),
            "type": kind,
        }  # fmt: skip
        if normalized:
            entry["normalized"] = True
        if bounds:
            flat = values.reshape(len(values), -1)
            entry |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def texture(self, data: bytes) -> int:
        """A JPEG picture as a texture."""
        self.images.append({"bufferView": self.view(data), "mimeType": "image/jpeg"})
        self.textures.append({"source": len(self.images) - 1, "sampler": 0})
        return len(self.textures) - 1

    def material(self, name: str, **pbr: Any) -> int:
        """A metallic-roughness material."""
        entry: dict[str, Any] = {"name": name, "pbrMetallicRoughness": {}}
        for key in ("baseColorTexture", "baseColorFactor", "metallicFactor", "roughnessFactor"):
            if key in pbr:
                entry["pbrMetallicRoughness"][key] = pbr.pop(key)
        self.materials.append(entry | pbr)
        return len(self.materials) - 1

    def mesh(self, name: str, shape: Shape, material: int) -> int:
        """A shape with a material, turned to glTF axes."""
        axes = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=float)
        wide = len(shape.points) > 65535
        attributes = {
            "POSITION": self.accessor((shape.points @ axes.T).astype("<f4"), "VEC3", 5126, 34962, True),
            "NORMAL": self.accessor((shape.normals @ axes.T).astype("<f4"), "VEC3", 5126, 34962, False),
            "TEXCOORD_0": self.accessor(shape.uv.astype("<f4"), "VEC2", 5126, 34962, False),
        }
        if shape.shade is not None:
            grey = np.round(np.clip(shape.shade, 0, 1) * 255).astype("u1")
            rgba = np.stack([grey, grey, grey, np.full_like(grey, 255)], -1)
            attributes["COLOR_0"] = self.accessor(rgba, "VEC4", 5121, 34962, False, normalized=True)
        index = shape.triangles.reshape(-1).astype("<u4" if wide else "<u2")
        indices = self.accessor(index, "SCALAR", 5125 if wide else 5123, 34963, False)
        self.meshes.append(
            {"name": name, "primitives": [{"attributes": attributes, "indices": indices, "material": material}]}
        )
        return len(self.meshes) - 1

    def node(
        self, name: str, mesh: int, at: Sequence[float] = (0, 0, 0), turn_deg: float = 0.0, scale: float = 1.0
    ) -> int:
        """A mesh put somewhere (stage axes), turned about the vertical."""
        half = np.radians(turn_deg) / 2
        x, y, z = (float(v) for v in at)
        self.nodes.append(
            {"name": name, "mesh": mesh, "translation": [x, z, -y], "scale": [scale] * 3,
             "rotation": [0.0, float(np.sin(half)), 0.0, float(np.cos(half))]}
        )  # fmt: skip
        return len(self.nodes) - 1

    def turning(self, node: int, times: F, quaternions: F) -> None:
        """Animate a node's rotation (glTF axes, xyzw)."""
        self.samplers.append(
            {"input": self.accessor(times.astype("<f4"), "SCALAR", 5126, None, True),
             "output": self.accessor(quaternions.astype("<f4"), "VEC4", 5126, None, False),
             "interpolation": "LINEAR"}
        )  # fmt: skip
        self.channels.append({"sampler": len(self.samplers) - 1, "target": {"node": node, "path": "rotation"}})

    def to_bytes(self) -> bytes:
        """The file."""
        wind = {"name": "wind", "channels": self.channels, "samplers": self.samplers}
        document = {
            "asset": {"version": "2.0", "generator": "OpenVolume make_demo"},
            "scene": 0, "scenes": [{"nodes": list(range(len(self.nodes)))}], "nodes": self.nodes,
            "meshes": self.meshes, "materials": self.materials, "textures": self.textures, "images": self.images,
            "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 10497, "wrapT": 10497}],
            "animations": [wind] if self.channels else [],
            "accessors": self.accessors, "bufferViews": self.views, "buffers": [{"byteLength": len(self.blob)}],
        }  # fmt: skip
        # glTF knows no empty lists.
        document = {key: value for key, value in document.items() if value != []}
        text = json.dumps(document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        blob = bytes(self.blob) + b"\0" * (-len(self.blob) % 4)
        total = 12 + 8 + len(text) + 8 + len(blob)
        return b"".join(
            [struct.pack("<4sII", b"glTF", 2, total), struct.pack("<I4s", len(text), b"JSON"), text,
             struct.pack("<I4s", len(blob), b"BIN\0"), blob]
        )  # fmt: skip
