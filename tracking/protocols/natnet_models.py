"""NatNet model definitions (message 5): names, numbers and parents of everything a server tracks.

Descriptions differ by bitstream: 3.x without marker names, 4.0 with them, 4.1 with a byte size before each, 4.2 with a
rotation offset too. The message does not say which it is; the one that uses up every byte is.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct

MAX_DATASETS: Final = 512
MAX_NAMES: Final = 4096
_INT: Final = struct.Struct("<i")
_TWO: Final = struct.Struct("<ii")
_OFFSET: Final = struct.Struct("<iifff")
MARKER_SET, RIGID_BODY, SKELETON, FORCE_PLATE, DEVICE, CAMERA, ASSET = range(7)


class BodyModel(Struct, frozen=True, gc=False):
    """A rigid body, or a bone of a skeleton."""

    name: str
    id: int
    parent_id: int = -1
    offset_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """From its parent, in the server's axes."""


class SkeletonModel(Struct, frozen=True, gc=False):
    """A skeleton (or a trained marker set) and its bones in the order they are sent."""

    name: str
    id: int
    bones: tuple[BodyModel, ...] = ()


class Models(Struct, frozen=True):
    """What a server tracks."""

    rigid_bodies: tuple[BodyModel, ...] = ()
    skeletons: tuple[SkeletonModel, ...] = ()
    assets: tuple[SkeletonModel, ...] = ()
    """Trained marker sets (4.1)."""
    cameras: tuple[str, ...] = ()
    """The server's own cameras."""


class Directory(Struct, frozen=True):
    """Models by name and by number, worked out once."""

    models: Models = Models()
    body_ids: dict[str, int] = {}
    """Number of each rigid body."""
    skeletons: dict[str, SkeletonModel] = {}
    """Every skeleton and trained marker set."""
    skeleton_names: dict[int, str] = {}

    @classmethod
    def of(cls, models: Models) -> Directory:
        """The directory of a server's models."""
        skeletons = {skeleton.name: skeleton for skeleton in (*models.assets, *models.skeletons)}
        return cls(
            models,
            {body.name: body.id for body in models.rigid_bodies},
            skeletons,
            {skeleton.id: name for name, skeleton in skeletons.items()},
        )


class Layout(NamedTuple):
    """How descriptions are laid out."""

    sized: bool
    marker_names: bool
    rotation: bool


LAYOUTS: Final = {
    "4.2": Layout(sized=True, marker_names=True, rotation=True),
    "4.1": Layout(sized=True, marker_names=True, rotation=False),
    "4.0": Layout(sized=False, marker_names=True, rotation=False),
    "3.0": Layout(sized=False, marker_names=False, rotation=False),
}


class BadModels(ValueError):
    """The bytes are no model definitions of a known layout."""


class _Reader:
    """Walks the bytes of one message; every step is checked against their end."""

    def __init__(self, data: bytes, layout: Layout) -> None:
        self.data, self.at, self.layout = data, 0, layout
        self._names = 0

    def skip(self, size: int) -> None:
        self.at += size
        if size < 0 or self.at > len(self.data):
            raise BadModels("cut off")

    def integer(self) -> int:
        at = self.at
        self.skip(4)
        return int(_INT.unpack_from(self.data, at)[0])

    def count(self) -> int:
        n = self.integer()
        if not 0 <= n <= MAX_NAMES:
            raise BadModels(f"{n} of something")
        return n

    def text(self) -> str:
        end = self.data.find(b"\0", self.at)
        self._names += 1
        if end < 0 or self._names > MAX_NAMES:
            raise BadModels("a name does not end")
        text = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return text

    def texts(self) -> None:
        for _ in range(self.count()):
            self.text()

    def body(self) -> BodyModel:
        name = self.text()
        at = self.at
        self.skip(_OFFSET.size)
        number, parent, x, y, z = _OFFSET.unpack_from(self.data, at)
        if self.layout.rotation:
            self.skip(16)
        markers = self.count()
        self.skip(16 * markers)
        if self.layout.marker_names:
            for _ in range(markers):
                self.text()
        return BodyModel(name, number, parent, (x, y, z))

    def skeleton(self, kind: int) -> SkeletonModel:
        name = self.text()
        if kind == ASSET:
            self.skip(4)
        number = self.integer()
        bones = tuple(self.body() for _ in range(self.count()))
        if kind == ASSET:
            for _ in range(self.count()):
                self.text()
                self.skip(22)
        return SkeletonModel(name, number, bones)

    def other(self, kind: int) -> None:
        if kind == MARKER_SET:
            self.text()
            self.texts()
        elif kind == FORCE_PLATE:
            self.skip(4)
            self.text()
            # width, length, origin, a 12 x 12 calibration, four corners, plate type, channel type
            self.skip(4 * (2 + 3 + 144 + 12 + 2))
            self.texts()
        elif kind == DEVICE:
            self.skip(4)
            self.text()
            self.text()
            self.skip(8)
            self.texts()
        else:
            raise BadModels(f"a description of kind {kind}")


def read_models(body: bytes) -> Models:
    """The models of a message's body, whatever its layout.

    Raises
    ------
    BadModels : no known layout uses up every byte.
    """
    for layout in LAYOUTS.values():
        try:
            return _read(body, layout)
        except (BadModels, struct.error):
            continue
    raise BadModels("no known layout fits")


def _read(body: bytes, layout: Layout) -> Models:
    reader = _Reader(body, layout)
    bodies: list[BodyModel] = []
    skeletons: list[SkeletonModel] = []
    assets: list[SkeletonModel] = []
    cameras: list[str] = []
    count = reader.count()
    if count > MAX_DATASETS:
        raise BadModels(f"{count} descriptions")
    for _ in range(count):
        kind = reader.integer()
        end: int | None = None
        if layout.sized:
            size = reader.integer()
            end = reader.at + size
            if size < 0 or end > len(body):
                raise BadModels("a description is cut off")
        if kind == RIGID_BODY:
            bodies.append(reader.body())
        elif kind in (SKELETON, ASSET):
            (skeletons if kind == SKELETON else assets).append(reader.skeleton(kind))
        elif kind == CAMERA:
            cameras.append(reader.text())
            reader.skip(28)
        elif end is not None and kind > ASSET:
            reader.at = end  # a kind younger than this code: its size says how far it reaches
        else:
            reader.other(kind)
        if end is not None and reader.at != end:
            raise BadModels("a description has another size than it says")
    # A server may pad the message; names or numbers are never all zero.
    if any(body[reader.at :]):
        raise BadModels("bytes are left over")
    return Models(tuple(bodies), tuple(skeletons), tuple(assets), tuple(cameras))


def write_models(models: Models, version: str = "4.1") -> bytes:
    """The body of a message that describes the models' rigid bodies and skeletons, for a simulated server. Markers
    are none; `version` is one of LAYOUTS."""
    layout = LAYOUTS[version]
    parts: list[bytes] = []

    def add(kind: int, data: bytes) -> None:
        parts.append(_INT.pack(kind) + (_INT.pack(len(data)) if layout.sized else b"") + data)

    for body in models.rigid_bodies:
        add(RIGID_BODY, _body(body, layout))
    for skeleton in models.skeletons:
        add(SKELETON, _text(skeleton.name) + _TWO.pack(skeleton.id, len(skeleton.bones)) + _bodies(skeleton, layout))
    if layout.sized:
        for asset in models.assets:
            head = _text(asset.name) + _INT.pack(0) + _TWO.pack(asset.id, len(asset.bones))
            add(ASSET, head + _bodies(asset, layout) + _INT.pack(0))
    return _INT.pack(len(parts)) + b"".join(parts)


def _body(body: BodyModel, layout: Layout) -> bytes:
    rotation = struct.pack("<4f", 0.0, 0.0, 0.0, 1.0) if layout.rotation else b""
    return _text(body.name) + _OFFSET.pack(body.id, body.parent_id, *body.offset_m) + rotation + _INT.pack(0)


def _bodies(skeleton: SkeletonModel, layout: Layout) -> bytes:
    return b"".join(_body(bone, layout) for bone in skeleton.bones)


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


@lru_cache(maxsize=64)
def parent_indices(bones: tuple[BodyModel, ...]) -> tuple[int, ...]:
    """Index of each bone's parent among the bones; -1 for those whose parent is none of them, or comes later."""
    index = {bone.id & 0xFFFF: i for i, bone in enumerate(bones)}
    out = []
    for i, bone in enumerate(bones):
        parent = index.get(bone.parent_id & 0xFFFF, -1)
        out.append(parent if parent < i else -1)
    return tuple(out)


NOTHING: Final = Directory()
