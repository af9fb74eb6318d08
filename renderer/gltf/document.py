"""The glTF file itself: GLB or JSON container, the JSON's types, and files it names inside its own folder."""

from __future__ import annotations

import base64
import binascii
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Struct, field

from renderer.gltf.errors import AssetFormatError, AssetMissingError, AssetOutsideError

_MAGIC = 0x46546C67
_JSON_CHUNK = 0x4E4F534A
_BIN_CHUNK = 0x004E4942


class JsonAssetInfo(Struct):
    """`asset`: the version the file is written in."""

    version: str
    minVersion: str | None = None


class JsonBuffer(Struct):
    """`buffers[]`: bytes, embedded or beside the file."""

    byteLength: int
    uri: str | None = None


class JsonBufferView(Struct):
    """`bufferViews[]`: a stretch of a buffer."""

    buffer: int
    byteLength: int
    byteOffset: int = 0
    byteStride: int | None = None
    extensions: dict[str, Any] = {}


class JsonSparseIndices(Struct):
    """Where the replaced elements of a sparse accessor stand."""

    bufferView: int
    componentType: int
    byteOffset: int = 0


class JsonSparseValues(Struct):
    """What they are replaced by."""

    bufferView: int
    byteOffset: int = 0


class JsonSparse(Struct):
    """`accessors[].sparse`."""

    count: int
    indices: JsonSparseIndices
    values: JsonSparseValues


class JsonAccessor(Struct):
    """`accessors[]`: typed elements in a buffer view."""

    componentType: int
    count: int
    type: str
    bufferView: int | None = None
    byteOffset: int = 0
    normalized: bool = False
    sparse: JsonSparse | None = None
    min: list[float] | None = None
    max: list[float] | None = None


class JsonImage(Struct):
    """`images[]`: a picture, in a buffer view or a file."""

    uri: str | None = None
    mimeType: str | None = None
    bufferView: int | None = None
    name: str = ""


class JsonSampler(Struct):
    """`samplers[]`: OpenGL filter and wrap numbers."""

    magFilter: int | None = None
    minFilter: int | None = None
    wrapS: int = 10497
    wrapT: int = 10497


class JsonTexture(Struct):
    """`textures[]`: a picture with a sampler."""

    sampler: int | None = None
    source: int | None = None
    extensions: dict[str, Any] = {}


class JsonTextureInfo(Struct):
    """A texture as a material uses it."""

    index: int
    texCoord: int = 0
    scale: float = 1.0
    strength: float = 1.0
    extensions: dict[str, Any] = {}


class JsonPbr(Struct):
    """`pbrMetallicRoughness`."""

    baseColorFactor: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    baseColorTexture: JsonTextureInfo | None = None
    metallicFactor: float = 1.0
    roughnessFactor: float = 1.0
    metallicRoughnessTexture: JsonTextureInfo | None = None


class JsonMaterial(Struct):
    """`materials[]`."""

    name: str = ""
    pbrMetallicRoughness: JsonPbr = field(default_factory=JsonPbr)
    normalTexture: JsonTextureInfo | None = None
    occlusionTexture: JsonTextureInfo | None = None
    emissiveTexture: JsonTextureInfo | None = None
    emissiveFactor: tuple[float, float, float] = (0.0, 0.0, 0.0)
    alphaMode: str = "OPAQUE"
    alphaCutoff: float = 0.5
    doubleSided: bool = False
    extensions: dict[str, Any] = {}


class JsonPrimitive(Struct):
    """`meshes[].primitives[]`."""

    attributes: dict[str, int]
    indices: int | None = None
    material: int | None = None
    mode: int = 4
    targets: list[dict[str, int]] = []
    extensions: dict[str, Any] = {}


class JsonMesh(Struct):
    """`meshes[]`."""

    primitives: list[JsonPrimitive]
    name: str = ""
    weights: list[float] = []
    extras: Any = None

    @property
    def shapes(self) -> tuple[str, ...]:
        """Names of its morph targets; none where they are not told."""
        names = self.extras.get("targetNames") if isinstance(self.extras, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return ()
        return tuple(names)


class JsonSkin(Struct):
    """`skins[]`: the nodes that bend a mesh."""

    joints: list[int]
    inverseBindMatrices: int | None = None
    skeleton: int | None = None
    name: str = ""


class JsonNode(Struct):
    """`nodes[]`."""

    name: str = ""
    children: list[int] = []
    mesh: int | None = None
    skin: int | None = None
    weights: list[float] | None = None
    matrix: list[float] | None = None
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    extensions: dict[str, Any] = {}
    extras: Any = None


class JsonTarget(Struct):
    """What an animation channel moves."""

    path: str
    node: int | None = None


class JsonChannel(Struct):
    """`animations[].channels[]`."""

    sampler: int
    target: JsonTarget


class JsonAnimationSampler(Struct):
    """`animations[].samplers[]`."""

    input: int
    output: int
    interpolation: str = "LINEAR"


class JsonAnimation(Struct):
    """`animations[]`."""

    channels: list[JsonChannel]
    samplers: list[JsonAnimationSampler]
    name: str = ""


class JsonScene(Struct):
    """`scenes[]`."""

    nodes: list[int] = []


class Document(Struct):
    """glTF's JSON, the parts OpenVolume reads. Field names are the format's own."""

    asset: JsonAssetInfo
    scene: int | None = None
    scenes: list[JsonScene] = []
    nodes: list[JsonNode] = []
    meshes: list[JsonMesh] = []
    materials: list[JsonMaterial] = []
    textures: list[JsonTexture] = []
    images: list[JsonImage] = []
    samplers: list[JsonSampler] = []
    accessors: list[JsonAccessor] = []
    bufferViews: list[JsonBufferView] = []
    buffers: list[JsonBuffer] = []
    animations: list[JsonAnimation] = []
    skins: list[JsonSkin] = []
    cameras: list[Any] = []
    extensionsUsed: list[str] = []
    extensionsRequired: list[str] = []
    extensions: dict[str, Any] = {}


_DECODER = msgspec.json.Decoder(Document)


def read_document(file: Path) -> tuple[Document, bytes | None]:
    """The JSON of a .gltf or .glb file and, for GLB, its binary chunk.

    Raises
    ------
    AssetMissingError, AssetFormatError
    """
    data = read_file(file, file, "")
    binary: bytes | None = None
    if data[:4] == b"glTF":
        text, binary = _split_glb(file, data)
    else:
        text = data
    return _decode(file, text), binary


def read_document_json(file: Path) -> Document:
    """The JSON alone of a .gltf or .glb file: of a GLB no more than that is read.

    Raises
    ------
    AssetMissingError, AssetFormatError
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(20)
            size, kind = struct.unpack_from("<II", head, 12) if len(head) == 20 else (0, 0)
            if head[:4] == b"glTF" and kind == _JSON_CHUNK:
                return _decode(file, stream.read(size))
    except OSError as error:
        raise AssetMissingError(
            file, "", f"cannot be read: {error.strerror}", value=str(file), mend="correct the path"
        ) from error
    return read_document(file)[0]


def _decode(file: Path, text: bytes) -> Document:
    if text.startswith(b"\xef\xbb\xbf"):
        text = text[3:]
    try:
        document = _DECODER.decode(text)
    except msgspec.ValidationError as error:
        detail, _, place = str(error).partition(" - at `$")
        raise AssetFormatError(
            file, place.rstrip("`").lstrip("."), detail, mend="export the asset again as glTF 2.0"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AssetFormatError(
            file, "", f"not a glTF file: {error}", mend="give a .gltf (JSON) or .glb file"
        ) from error
    if (document.asset.minVersion or document.asset.version).split(".")[0] != "2":
        raise AssetFormatError(
            file,
            "asset.version",
            "only glTF 2.0 is read",
            value=document.asset.version,
            mend="export the asset again as glTF 2.0",
        )
    return document


def _split_glb(file: Path, data: bytes) -> tuple[bytes, bytes | None]:
    mend = "the file is damaged: copy or export it again"
    if len(data) < 20:
        raise AssetFormatError(file, "header", "the GLB file ends in its header", value=len(data), mend=mend)
    _, version, length = struct.unpack_from("<III", data)
    if version != 2:
        raise AssetFormatError(file, "header", "only GLB version 2 is read", value=version, mend="export as glTF 2.0")
    if length > len(data):
        raise AssetFormatError(
            file, "header", f"the GLB says {length} bytes, the file has fewer", value=len(data), mend=mend
        )
    chunks: dict[int, bytes] = {}
    offset = 12
    while offset + 8 <= length:
        size, kind = struct.unpack_from("<II", data, offset)
        if offset + 8 + size > length:
            raise AssetFormatError(file, f"byte {offset}", "a GLB chunk passes the file's end", value=size, mend=mend)
        chunks.setdefault(kind, data[offset + 8 : offset + 8 + size])
        offset += 8 + size
    if _JSON_CHUNK not in chunks:
        raise AssetFormatError(file, "header", "the GLB has no JSON chunk", mend=mend)
    return chunks[_JSON_CHUNK], chunks.get(_BIN_CHUNK)


def read_file(asset: Path, file: Path, place: str) -> bytes:
    """A file's bytes. `asset` and `place` are for the error alone.

    Raises
    ------
    AssetMissingError
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise AssetMissingError(
            asset, place, f"cannot be read: {error.strerror}", value=str(file), mend="correct the path"
        ) from error


def read_uri(asset: Path, uri: str, place: str) -> bytes:
    """The bytes a glTF uri stands for: a data uri, or a file inside the asset's own folder.

    Raises
    ------
    AssetFormatError : a data uri that is not base64.
    AssetOutsideError : a network address, an absolute path, or one that leaves the folder.
    AssetMissingError
    """
    if uri.startswith("data:"):
        head, comma, body = uri.partition(",")
        if not comma or not head.endswith(";base64"):
            raise AssetFormatError(asset, place, "the data uri is not base64", value=uri[:40], mend="export it again")
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError) as error:
            raise AssetFormatError(asset, place, f"broken base64: {error}", value=uri[:40]) from error
    folder = asset.parent.resolve()
    name = unquote(uri)
    target = (folder / name).resolve()
    scheme = uri.split(":", 1)[0] if ":" in uri else ""
    if (scheme and "/" not in scheme) or "\\" in name or not target.is_relative_to(folder) or Path(name).is_absolute():
        raise AssetOutsideError(
            asset,
            place,
            "only files inside the asset's own folder are read",
            value=uri[:200],
            mend="put the file beside the asset and name it by a relative path",
        )
    return read_file(asset, target, place)
