"""The compiled stage: walls, cabinets and canvases with every number worked out. Pixels are at scale 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_origin

import msgspec
import numpy as np

from stage.cameras import Camera
from stage.frames import Array
from stage.rate import Rate

Rotate = Literal[0, 90, 180, 270]
Transfer = Literal["srgb", "gamma24", "pq"]
Primaries = Literal["rec709", "p3d65", "rec2020"]
Rect = tuple[int, int, int, int]
"""x, y, width, height in pixels, origin top left."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a canvas' code values mean light: `transfer` with `peak_nits` at (or, for PQ, clipped to) full signal."""

    transfer: Transfer
    peak_nits: float
    bits: Literal[8, 10, 12]
    primaries: Primaries
    range: Literal["full", "legal"] = "full"


@dataclass(frozen=True, slots=True)
class Processor:
    """One LED processor and what is asked of it. Times in frames of the show's rate."""

    id: str
    model: str
    latency_frames: float
    max_px: int | None
    px_rate_limit: int | None
    max_width_px: int | None
    max_height_px: int | None
    load: dict[str, float] = field(default_factory=dict)
    """`px`, `px_per_s`, `share` of the tightest limit (1.0 = full), `lines_used`, `lines_max` ..."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """The raster one processor takes in."""

    id: str
    processor: str
    width_px: int
    height_px: int
    rate: Rate
    encoding: Encoding
    delay_frames: int = 0
    """Held back by choice, before padding; negative: handed over before the others."""
    delay_ms: float = 0.0
    """What the chain after its processor was measured to add, as its processor's `latency_frames` has it."""


@dataclass(frozen=True, slots=True)
class Cabinet:
    """One mounted panel. Its picture (as seen from the lit side) is flipped, then turned clockwise onto the canvas."""

    id: str
    wall: str
    panel: str
    corners_m: Array
    """[4, 3]  lower left, lower right, upper left, upper right, seen from the lit side, stage metres."""
    wall_rect_px: Rect
    """Where its pixels lie in the wall's own raster."""
    canvas: str
    rect_px: Rect
    rotate: Rotate
    flip: bool

    @property
    def normal(self) -> Array:
        """[3]  unit vector out of the lit side."""
        n = np.cross(self.corners_m[1] - self.corners_m[0], self.corners_m[2] - self.corners_m[0])
        return np.asarray(n / np.linalg.norm(n))


@dataclass(frozen=True, slots=True)
class MeshTile:
    """A rectangle of a mesh wall's raster shown on a rectangle of a canvas. Triangles may reach beyond it."""

    id: str
    wall: str
    canvas: str
    wall_rect_px: Rect
    rect_px: Rect
    rotate: Rotate
    flip: bool
    positions_m: Array
    """[n, 3]  vertices, stage metres."""
    normals: Array
    """[n, 3]  unit, out of the lit side."""
    wall_px: Array
    """[n, 2]  each vertex in the wall's raster, pixels, x right, y down."""
    triangles: Array
    """[m, 3]  vertex indices, counter-clockwise seen from the lit side."""


@dataclass(frozen=True, slots=True)
class Wall:
    """Cabinets (or one mesh) mounted as one surface, with a raster of its own seen from the lit side."""

    id: str
    kind: Literal["flat", "arc", "ceiling", "floor", "mesh"]
    width_px: int
    height_px: int
    nits: float
    pitch_mm: float
    width_m: float
    height_m: float
    """Size along the surface."""
    cabinets: int
    columns: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class CompiledStage:
    """One stage, ready to be drawn, photographed or published (`openvolume check CONFIG --json`)."""

    name: str
    rate: Rate
    eye_m: tuple[float, float, float]
    walls: dict[str, Wall]
    canvases: dict[str, Canvas]
    processors: dict[str, Processor]
    cabinets: tuple[Cabinet, ...]
    meshes: tuple[MeshTile, ...]
    cameras: dict[str, Camera]
    scale: int = 1
    """render.scale: every canvas side is divided by it when the show runs; figures here are before that."""


def _encode_array(value: object) -> object:
    if isinstance(value, np.ndarray):
        return [str(value.dtype), list(value.shape), value.tobytes()]
    raise NotImplementedError(f"no wire form for {type(value).__name__}")


def _decode_array(kind: type, value: Any) -> object:
    if get_origin(kind) is np.ndarray:
        dtype, shape, data = value
        return np.frombuffer(data, dtype=dtype).reshape(shape)
    raise NotImplementedError(f"no wire form for {kind}")


def encode_stage(stage: CompiledStage) -> bytes:
    """The compiled stage as msgpack bytes: compiled once, read by every process in a moment."""
    return msgspec.msgpack.encode(stage, enc_hook=_encode_array)


def decode_stage(data: bytes) -> CompiledStage:
    """The stage of `encode_stage`'s bytes (arrays are read-only). Raises msgspec.ValidationError otherwise."""
    return msgspec.msgpack.decode(data, type=CompiledStage, dec_hook=_decode_array)
