"""glTF 2.0 and GLB as a bare surface: every triangle of the scene with its node's transform and TEXCOORD_0."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from stage.frames import Array, pose_from_quaternion, transform_points
from stage.importers.surface import MAX_BYTES, MAX_TRIANGLES, Indices, Surface, SurfaceError, refuse

_JSON_CHUNK: Final = 0x4E4F534A
_BIN_CHUNK: Final = 0x004E4942
_TYPES: Final = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_AGAIN: Final = "export the mesh anew"


def read_gltf(data: bytes, folder: Path) -> Surface:
    """The surface in the bytes of a .gltf or .glb file; buffers beside it must lie in `folder`.

    Raises
    ------
    SurfaceError : broken, compressed, without triangles or without UV coordinates.
    """
    try:
        document, binary = _split(data)
        return _Reader(document, binary, folder).surface()
    except SurfaceError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, RecursionError) as error:
        raise refuse(f"broken glTF: {type(error).__name__} {error}", _AGAIN) from error


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    if data[:4] != b"glTF":
        return json.loads(data.decode("utf-8")), b""
    _, version, length = struct.unpack_from("<III", data)
    if version != 2 or length > len(data):
        raise refuse(f"GLB version {version}, {length} bytes stated, {len(data)} there", _AGAIN)
    document: dict[str, Any] | None = None
    binary, at = b"", 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<II", data, at)
        chunk = data[at + 8 : at + 8 + size]
        if len(chunk) != size:
            raise refuse("a chunk is cut short", _AGAIN)
        if kind == _JSON_CHUNK and document is None:
            document = json.loads(chunk.decode("utf-8"))
        elif kind == _BIN_CHUNK and not binary:
            binary = chunk
        at += 8 + size
    if document is None:
        raise refuse("no JSON chunk", _AGAIN)
    return document, binary


class _Reader:
    def __init__(self, document: dict[str, Any], binary: bytes, folder: Path) -> None:
        self.document = document
        self.folder = folder
        needed = [name for name in document.get("extensionsRequired", []) if name != "KHR_mesh_quantization"]
        if needed:
            raise refuse(f"needs {', '.join(map(str, needed))}", "export it without compression and extensions")
        self.buffers = [self.buffer(i, b, binary) for i, b in enumerate(document.get("buffers", []))]
        self.positions: list[Array] = []
        self.uv: list[Array] = []
        self.triangles: list[Indices] = []
        self.count = 0

    def buffer(self, index: int, buffer: dict[str, Any], binary: bytes) -> bytes:
        uri = buffer.get("uri")
        if uri is None:
            data = binary if index == 0 else b""
        elif uri.startswith("data:"):
            try:
                data = base64.b64decode(uri.partition(",")[2], validate=True)
            except binascii.Error as error:
                raise refuse(f"buffer {index} is not base64", _AGAIN) from error
        else:
            path = (self.folder / unquote(uri)).resolve()
            if not path.is_relative_to(self.folder.resolve()):
                raise refuse(f"buffer {uri} lies outside its folder", "keep it beside the glTF file")
            try:
                if path.stat().st_size > MAX_BYTES:
                    raise refuse(f"buffer {uri} is over {MAX_BYTES} bytes", "make the mesh simpler")
                data = path.read_bytes()
            except OSError as error:
                raise refuse(f"buffer {uri} cannot be read: {error.strerror}", "keep it beside the file") from error
        if len(data) < int(buffer["byteLength"]):
            raise refuse(f"buffer {index} is cut short", _AGAIN)
        return data

    def accessor(self, index: int) -> NDArray[Any]:
        """[count, width] values, normalised integers as floats."""
        accessor = self.document["accessors"][_natural(index)]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise refuse("sparse accessors are not read", "export it without them")
        view = self.document["bufferViews"][_natural(accessor["bufferView"])]
        kind = np.dtype(_TYPES[accessor["componentType"]])
        width, count = _WIDTHS[accessor["type"]], _natural(accessor["count"])
        stride = view.get("byteStride") or kind.itemsize * width
        start = _natural(view.get("byteOffset", 0)) + _natural(accessor.get("byteOffset", 0))
        data = self.buffers[_natural(view["buffer"])]
        if count == 0 or start + (count - 1) * stride + kind.itemsize * width > len(data):
            raise refuse(f"accessor {index} reaches beyond its buffer", _AGAIN)
        values = np.ndarray((count, width), kind, data, start, (stride, kind.itemsize))
        if accessor.get("normalized") and kind.kind in "iu":
            return np.maximum(values / float(np.iinfo(kind).max), -1.0)
        return values.astype(np.float64 if kind.kind == "f" else np.int64)

    def surface(self) -> Surface:
        scenes, nodes = self.document.get("scenes"), self.document.get("nodes", [])
        if scenes:
            roots = scenes[_natural(self.document.get("scene", 0))].get("nodes", [])
        else:
            children = {child for node in nodes for child in node.get("children", [])}
            roots = [i for i in range(len(nodes)) if i not in children]
        for root in roots:
            self.node(root, np.eye(4), 0)
        if not self.triangles:
            raise refuse("no triangles with UV coordinates", "export the surface with TEXCOORD_0")
        positions, uv = np.concatenate(self.positions), np.concatenate(self.uv)
        if not (np.isfinite(positions).all() and np.isfinite(uv).all()):
            raise refuse("positions or UV coordinates are not finite", _AGAIN)
        return Surface(positions, uv, np.concatenate(self.triangles), v_down=True, always_y_up=True)

    def node(self, index: int, file_from_parent: Array, depth: int) -> None:
        if depth > 64:
            raise refuse("nodes are nested deeper than 64, or in a circle", _AGAIN)
        node = self.document["nodes"][_natural(index)]
        file_from_node = file_from_parent @ _local(node)
        if "mesh" in node:
            for primitive in self.document["meshes"][_natural(node["mesh"])]["primitives"]:
                self.primitive(primitive, file_from_node)
        for child in node.get("children", []):
            self.node(child, file_from_node, depth + 1)

    def primitive(self, primitive: dict[str, Any], file_from_node: Array) -> None:
        if primitive.get("mode", 4) != 4:
            raise refuse(f"primitive mode {primitive['mode']} is not triangles", "export triangles")
        attributes = primitive["attributes"]
        if "TEXCOORD_0" not in attributes:
            raise refuse("a mesh has no TEXCOORD_0", "give the whole surface UV coordinates")
        positions = self.accessor(attributes["POSITION"])
        uv = self.accessor(attributes["TEXCOORD_0"])
        if "indices" in primitive:
            flat = self.accessor(primitive["indices"]).reshape(-1).astype(np.int64)
        else:
            flat = np.arange(len(positions), dtype=np.int64)
        if len(flat) % 3 or len(uv) != len(positions) or int(flat.max(initial=0)) >= len(positions):
            raise refuse("indices do not fit the vertices", _AGAIN)
        triangles = flat.reshape(-1, 3)
        # A mirroring transform turns the winding round.
        if np.linalg.det(file_from_node[:3, :3]) < 0.0:
            triangles = triangles[:, [0, 2, 1]]
        self.positions.append(transform_points(file_from_node, positions))
        self.uv.append(uv.astype(np.float64))
        self.triangles.append(triangles + self.count)
        self.count += len(positions)
        if sum(len(t) for t in self.triangles) > MAX_TRIANGLES:
            raise refuse(f"more than {MAX_TRIANGLES} triangles", "make the mesh simpler")


def _natural(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} where an index or a count belongs")
    return value


def _local(node: dict[str, Any]) -> Array:
    """Transform of one node, [4, 4], in its parent."""
    if "matrix" in node:
        # glTF writes column by column.
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    out = pose_from_quaternion(node.get("translation", (0, 0, 0)), node.get("rotation", (0, 0, 0, 1)))
    out[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), dtype=np.float64)
    return out
