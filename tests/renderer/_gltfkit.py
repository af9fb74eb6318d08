"""Assets put together by hand, accessor by accessor, for the tests of the glTF reader and of what is drawn of it."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from renderer.config import SunConfig

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4")
QUAD = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]], dtype="<f4")
QUAD_UV = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], dtype="<f4")
QUAD_INDICES = np.array([0, 1, 2, 0, 2, 3], dtype="<u2")
FORWARD = np.tile(np.array([0, 0, 1], dtype="<f4"), (4, 1))

SIZE = 32
"""Pixels a side of a conformance picture; glTF's x and y from -1 to 1 fill it."""
FRONT = SunConfig(pan_deg=180.0, elevation_deg=0.0, illuminance=math.pi, shadow=False)
"""Shines along the view: a white matt surface that faces it shows 1."""


class Build:
    """Puts a glTF together accessor by accessor; `doc` may be bent before it is written."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.doc: dict[str, Any] = {
            "asset": {"version": "2.0"}, "buffers": [], "bufferViews": [], "accessors": [], "nodes": [], "meshes": [],
        }  # fmt: skip

    def view(self, data: bytes, **extra: Any) -> int:
        while len(self.data) % 4:
            self.data.append(0)
        self.doc["bufferViews"].append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data), **extra})
        self.data += data
        return len(self.doc["bufferViews"]) - 1

    def accessor(self, array: np.ndarray[Any, Any], **extra: Any) -> int:
        array = np.atleast_2d(array.T).T
        kinds = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
        self.doc["accessors"].append(
            {
                "bufferView": self.view(array.tobytes()),
                "componentType": kinds[array.dtype.str[1:]],
                "count": len(array),
                "type": {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[array.shape[1]],
                **extra,
            }
        )
        return len(self.doc["accessors"]) - 1

    def triangle(self, positions: np.ndarray[Any, Any] = TRIANGLE, **extra: Any) -> dict[str, Any]:
        primitive: dict[str, Any] = {"attributes": {"POSITION": self.accessor(positions)}, **extra}
        self.doc["meshes"].append({"primitives": [primitive]})
        self.doc["nodes"].append({"mesh": len(self.doc["meshes"]) - 1})
        return primitive

    def quad(self, **extra: Any) -> dict[str, Any]:
        """1 x 1 m, facing +Z, with normals and texture coordinates; one node at z = -2."""
        primitive = self.triangle(QUAD, **extra)
        primitive["attributes"] |= {"NORMAL": self.accessor(FORWARD), "TEXCOORD_0": self.accessor(QUAD_UV)}
        primitive["indices"] = self.accessor(QUAD_INDICES)
        self.doc["nodes"][-1]["translation"] = [0, 0, -2]
        return primitive

    def add(self, kind: str, **entry: Any) -> int:
        """An entry of a top-level list; its number."""
        self.doc.setdefault(kind, []).append(entry)
        return len(self.doc[kind]) - 1

    def picture(self, pixels: np.ndarray[Any, Any], form: str = "PNG") -> int:
        """A texture of RGBA bytes, [height, width, 4], read nearest; its number."""
        out = io.BytesIO()
        Image.fromarray(np.asarray(pixels, np.uint8)).save(out, form, **({"lossless": True} if form == "WEBP" else {}))
        sampler = self.add("samplers", magFilter=9728, minFilter=9728)
        image = self.add("images", bufferView=self.view(out.getvalue()), mimeType=f"image/{form.lower()}")
        return self.add("textures", source=image, sampler=sampler)

    def unlit(self, colour: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0), **extra: Any) -> int:
        """A material that shows its colour; its number."""
        self.uses("KHR_materials_unlit")
        extensions = {"KHR_materials_unlit": {}, **extra.pop("extensions", {})}
        return self.add(
            "materials", pbrMetallicRoughness={"baseColorFactor": list(colour)}, extensions=extensions, **extra
        )

    def matt(self, colour: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0), **extra: Any) -> int:
        """A rough material that is no metal; its number."""
        pbr = {"baseColorFactor": list(colour), "metallicFactor": 0.0, "roughnessFactor": 1.0}
        return self.add("materials", pbrMetallicRoughness=pbr | extra.pop("pbr", {}), **extra)

    def uses(self, *names: str, required: bool = False) -> None:
        for key in ("extensionsUsed", "extensionsRequired") if required else ("extensionsUsed",):
            self.doc[key] = list(dict.fromkeys([*self.doc.get(key, []), *names]))

    def animate(
        self, node: int, path: str, times: Any, values: Any, interpolation: str = "LINEAR", name: str = ""
    ) -> None:
        """A channel of its own animation."""
        flat = np.asarray(values, dtype="<f4")
        flat = flat.reshape(-1) if path == "weights" else flat.reshape(-1, flat.shape[-1])
        self.add(
            "animations",
            name=name,
            channels=[{"sampler": 0, "target": {"node": node, "path": path}}],
            samplers=[
                {
                    "input": self.accessor(np.asarray(times, dtype="<f4")),
                    "output": self.accessor(flat),
                    "interpolation": interpolation,
                }
            ],
        )

    def write(self, folder: Path, *, glb: bool = False) -> Path:
        buffer: dict[str, Any] = {"byteLength": len(self.data)}
        if not glb:
            buffer["uri"] = "data:application/octet-stream;base64," + base64.b64encode(self.data).decode()
        self.doc["buffers"] = self.doc["buffers"] or [buffer]
        text = json.dumps(self.doc).encode()
        if not glb:
            file = folder / "asset.gltf"
            file.write_bytes(text)
            return file
        text += b" " * (-len(text) % 4)
        binary = bytes(self.data) + b"\0" * (-len(self.data) % 4)
        size = 12 + 8 + len(text) + 8 + len(binary)
        file = folder / "asset.glb"
        file.write_bytes(
            struct.pack("<III", 0x46546C67, 2, size)
            + struct.pack("<II", len(text), 0x4E4F534A) + text
            + struct.pack("<II", len(binary), 0x004E4942) + binary
        )  # fmt: skip
        return file


def png(colour: tuple[int, ...], size: tuple[int, int] = (2, 2)) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", size, colour).save(out, "PNG")
    return out.getvalue()


def at(picture: Any, x: float, y: float) -> Any:
    """The pixel of a conformance picture that shows glTF's (x, y)."""
    return picture[int((1 - y) / 2 * SIZE), int((x + 1) / 2 * SIZE)]


def is_colour(pixel: Any, colour: Any) -> None:
    np.testing.assert_allclose(pixel, colour[:3], atol=4e-3)
