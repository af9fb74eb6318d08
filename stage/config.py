"""The stage's own sections of a configuration file: panels, walls, processors, canvases, cameras.

Every section is typed and strict: unknown keys, NaN and infinities, and numbers written as text are refused.
`controller/config.py` joins these sections with those of the other packages.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, StringConstraints, WithJsonSchema

from stage.rate import RATES, Rate, parse_rate


class Section(BaseModel):
    """Base of every configuration section, in all packages: frozen, strict, finite, no unknown keys.

    A string under a field becomes its description in the JSON Schema and in error messages (`stage.described`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _rate(value: Any) -> Rate:
    if isinstance(value, Rate):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a frame rate is a number such as 24 or 23.976")
    return parse_rate(value)


_RATE_SCHEMA = {
    "anyOf": [
        {"type": "number", "enum": [float(name) if "." in name else int(name) for name in RATES]},
        {"type": "string", "enum": [*RATES, *(str(rate) for rate in RATES.values() if rate.den != 1)]},
    ]
}

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""A name in the configuration: a small letter, then up to 31 small letters, digits or underscores."""
FrameRate = Annotated[Rate, PlainValidator(_rate), PlainSerializer(str), WithJsonSchema(_RATE_SCHEMA)]
Label = Annotated[str, StringConstraints(max_length=120)]
Metres = Annotated[float, Field(ge=-1000.0, le=1000.0)]
Degrees = Annotated[float, Field(ge=-360.0, le=360.0)]
Size = Annotated[float, Field(gt=0.0, le=100000.0)]
Vec3 = tuple[Metres, Metres, Metres]
Offset = tuple[float, float]
Pixels = Annotated[int, Field(ge=1, le=65536)]
Count = Annotated[int, Field(ge=1, le=2000)]
Nits = Annotated[float, Field(gt=0.0, le=100000.0)]
Bits = Literal[8, 10, 12]


class PanelConfig(Section):
    """An LED panel that is not in the library, or one of it with other figures."""

    maker: Label = ""
    model: Label = ""
    width_mm: Size
    """Width of the lit surface."""
    height_mm: Size
    """Height of the lit surface."""
    width_px: Pixels
    """LED columns. Never worked out from a rounded pitch."""
    height_px: Pixels
    """LED rows."""
    nits: Nits | None = None
    """Peak white, calibrated."""
    weight_kg: Size | None = None
    power_max_w: Size | None = None


class _Wall(Section):
    nits: Nits | None = None
    """Peak white this wall is set to; left out, the panel's own."""
    label: Label = ""


class _PanelWall(_Wall):
    panel: Id
    """A panel of the library, or one defined under `stage/panels`."""
    columns: Count
    """Panels from left to right, seen from the lit side."""
    rows: Count
    """Panels from top to bottom."""


class FlatWall(_PanelWall):
    """Panels in one plane. With all angles 0 it faces -Y, toward someone who looks along +Y."""

    type: Literal["flat"]
    position_m: Vec3
    """Middle of the bottom edge, stage metres."""
    pan_deg: Degrees = 0.0
    """Direction in which one looks to face the wall squarely: + = to the left of +Y."""
    tilt_deg: Degrees = 0.0
    """+ = the wall leans over the one who looks at it."""
    roll_deg: Degrees = 0.0


class ArcWall(_PanelWall):
    """Upright columns round an axis, each a flat chord of the circle, edges touching: faceted as mounted."""

    type: Literal["arc"]
    radius_m: Annotated[float, Field(gt=0.0, le=500.0)]
    """Radius of the circle on which the columns' vertical edges stand."""
    centre_m: Vec3
    """The axis at the height of the wall's bottom edge, stage metres."""
    centre_pan_deg: Degrees = 0.0
    """Direction of the arc's middle seen from the axis (concave): 0 = +Y, + = to the left."""
    concave: bool = True
    """True: lit toward the axis. False: lit outward; `centre_pan_deg` is then the direction one looks in."""


class CeilingWall(_PanelWall):
    """Panels overhead, lit downward. Seen by one who faces the wall (+Y) and looks up: right is +X, and the
    picture's bottom edge is the one toward the wall, so it goes on where the wall's top edge ends."""

    type: Literal["ceiling"]
    centre_m: Vec3
    """Middle of the lit surface, stage metres."""
    pan_deg: Degrees = 0.0
    """Turn about the vertical: + = left."""
    tilt_deg: Annotated[float, Field(ge=-89.0, le=89.0)] = 0.0
    """+ = the edge toward the wall is higher."""


class FloorWall(_PanelWall):
    """Panels underfoot, lit upward. Seen by one who faces the wall (+Y) and looks down: right is +X, and the
    picture's top edge is the one toward the wall."""

    type: Literal["floor"]
    centre_m: Vec3
    """Middle of the lit surface, stage metres."""
    pan_deg: Degrees = 0.0
    """Turn about the vertical: + = left."""
    tilt_deg: Annotated[float, Field(ge=-89.0, le=89.0)] = 0.0
    """+ = the edge toward the wall is higher."""


class MeshWall(_Wall):
    """Any surface with UV coordinates from an OBJ or glTF file: u goes right, v spans the wall's raster."""

    type: Literal["mesh"]
    file: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    """OBJ, glTF or GLB, relative to the configuration."""
    width_px: Pixels
    """Raster that UV 0..1 spans, left to right."""
    height_px: Pixels
    """Raster that UV 0..1 spans, top to bottom."""
    nits: Nits
    """Peak white this wall is set to."""
    up: Literal["y", "z"] = "y"
    """Which axis of the file is up (glTF: always y). y: (x, y, z) stands at stage (x, -z, y)."""
    unit_m: Annotated[float, Field(gt=0.0, le=1000.0)] = 1.0
    """Metres per unit of the file: 0.001 for millimetres."""
    v_origin: Literal["auto", "bottom", "top"] = "auto"
    """Where v = 0 is. auto: bottom for OBJ, top for glTF, as the formats say."""
    lit_side: Literal["front", "back"] = "front"
    """front: triangles are counter-clockwise seen from the lit side."""
    position_m: Vec3 = (0.0, 0.0, 0.0)
    """Where the file's origin stands, stage metres."""
    pan_deg: Degrees = 0.0
    tilt_deg: Degrees = 0.0
    roll_deg: Degrees = 0.0


WallConfig = Annotated[FlatWall | ArcWall | CeilingWall | FloorWall | MeshWall, Field(discriminator="type")]


class ProcessorControlConfig(Section):
    """How a processor is spoken to, and how the show wants it set."""

    driver: Literal["tessera", "helios", "coex", "colorlight"]
    address: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:\[\]-]{1,260}$")]
    """`host` or `host:port`; without a port the maker's own. `emulated`: the running show emulates one itself."""
    family: Literal["v", "z"] = "z"
    """Colorlight: which of its two series."""
    device: Annotated[int, Field(ge=1, le=65_534)] | None = None
    """Colorlight: the device's number; left out, all on that address."""
    settings: dict[str, bool | float | str] = Field(default_factory=dict)
    """How the show wants it: settings by name (docs/processors.md), e.g. `brightness_nits: 1200`. Whatever else it is
    set to is left alone."""
    scenes: dict[Id, dict[str, bool | float | str]] = Field(default_factory=dict)
    """What a scene wants otherwise while it is on air: settings by the scene's name."""
    follow_scenes: bool = False
    """Whether what `scenes` name is set by itself when another scene comes on air, never in a take; otherwise the
    difference is told, and set when it is asked for."""


class ProcessorConfig(Section):
    """One LED processor of the stage."""

    model: Id
    """A processor of the library."""
    label: Label = ""
    simulated: bool = True
    """True: the built-in emulator stands in for the hardware."""
    latency_frames: Annotated[float, Field(ge=0.0, le=60.0)] | None = None
    """Frames from its input to light, measured; left out, the library's figure."""
    data_lines: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Data lines cabled from it to panels; left out, as many as needed."""
    line_bits: Bits | None = None
    """Bits per colour on its data lines; left out, the canvas' own."""
    control: ProcessorControlConfig | None = None
    """How it is spoken to; left out, it is not."""


class EncodingConfig(Section):
    """How a canvas' code values mean light."""

    transfer: Literal["srgb", "gamma24", "pq"] = "srgb"
    peak_nits: Annotated[float, Field(gt=0.0, le=10000.0)] | None = None
    """Light of full signal (PQ: where it is clipped); left out, the dimmest of the canvas' walls."""
    bits: Bits = 8
    primaries: Literal["rec709", "p3d65", "rec2020"] = "rec709"
    range: Literal["full", "legal"] = "full"


class TileConfig(Section):
    """A rectangle of a canvas that shows a rectangle of a wall: flipped left-right, then turned clockwise."""

    wall: Id
    wall_px: (
        tuple[
            Annotated[int, Field(ge=0)],
            Annotated[int, Field(ge=0)],
            Annotated[int, Field(ge=1)],
            Annotated[int, Field(ge=1)],
        ]
        | None
    ) = None
    """x, y, width, height on the wall's raster, origin top left seen from the lit side; left out, the whole wall."""
    at_px: tuple[Annotated[int, Field(ge=0, le=65536)], Annotated[int, Field(ge=0, le=65536)]] = (0, 0)
    """Top left corner on the canvas."""
    flip: bool = False
    """Mirrored left-right before the turn."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise."""


class CanvasConfig(Section):
    """The raster one processor takes in."""

    processor: Id
    width_px: Annotated[int, Field(ge=1, le=16384)]
    height_px: Annotated[int, Field(ge=1, le=16384)]
    encoding: EncodingConfig = EncodingConfig()
    tiles: Annotated[list[TileConfig], Field(min_length=1, max_length=1000)]


class StageConfig(Section):
    """One physical room."""

    eye_m: Vec3 = (0.0, 0.0, 1.7)
    """Point from which everything outside the cameras' views is drawn: the talent's mark, stage metres."""
    panels: dict[Id, PanelConfig] = {}
    """Panels of this file; they go before the library's."""
    walls: Annotated[dict[Id, WallConfig], Field(min_length=1)]
    processors: Annotated[dict[Id, ProcessorConfig], Field(min_length=1)]
    canvases: Annotated[dict[Id, CanvasConfig], Field(min_length=1)]


class FrameLines(Section):
    """A framing inside a sensor mode's picture."""

    width_px: Pixels
    height_px: Pixels
    offset_px: tuple[int, int] = (0, 0)
    """Of its middle from the picture's middle: right, down."""


class SensorMode(Section):
    """The part of a sensor that is read out, and the picture it makes."""

    width_mm: Annotated[float, Field(gt=0.0, le=200.0)]
    """Active area."""
    height_mm: Annotated[float, Field(gt=0.0, le=200.0)]
    """Active area."""
    width_px: Pixels
    height_px: Pixels
    squeeze: Annotated[float, Field(ge=0.5, le=4.0)] = 1.0
    """Anamorphic squeeze: the picture seen is `width_mm * squeeze` wide."""
    projection_offset_mm: Offset = (0.0, 0.0)
    """Of the optical axis from the active area's middle: right, down."""
    readout_ms: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0
    """Rolling shutter: from the first to the last row. 0 = global shutter."""
    frame_lines: dict[Id, FrameLines] = {}


class SensorConfig(Section):
    """A camera's sensor modes and the one in use."""

    mode: Id
    modes: Annotated[dict[Id, SensorMode], Field(min_length=1)]


class LensConfig(Section):
    """A lens (OpenLensIO). What the tracking source sends replaces it live."""

    focal_length_mm: Annotated[float, Field(gt=0.0, le=5000.0)]
    """Pinhole focal length."""
    entrance_pupil_m: Annotated[float, Field(ge=-2.0, le=5.0)] = 0.0
    """Of the entrance pupil in front of the sensor."""
    model: Literal["Brown-Conrady D-U", "Brown-Conrady U-D"] = "Brown-Conrady D-U"
    radial: Annotated[list[float], Field(max_length=6)] = []
    """OpenLensIO order: numerator and denominator in turn, mm^-2, mm^-2, mm^-4 ..."""
    tangential: Annotated[list[float], Field(max_length=2)] = []
    distortion_offset_mm: Offset = (0.0, 0.0)
    """Of the distortion's centre: right, down."""
    f_stop: Annotated[float, Field(gt=0.0, le=100.0)] | None = None
    focus_distance_m: Annotated[float, Field(gt=0.0, le=100000.0)] | None = None


class PoseConfig(Section):
    """A place and a direction in the stage frame."""

    x_m: Metres = 0.0
    """+ = right."""
    y_m: Metres = 0.0
    """+ = forward, toward the wall."""
    z_m: Metres = 0.0
    """+ = up; 0 = the floor."""
    pan_deg: Degrees = 0.0
    """+ = left."""
    tilt_deg: Degrees = 0.0
    """+ = up."""
    roll_deg: Degrees = 0.0
    """+ = clockwise seen from behind the camera."""


class MountConfig(PoseConfig):
    """Where the sensor's middle sits in the tracked body's frame: x right, y forward, z up."""


class AutoOverscan(Section):
    """Overscan worked out from the lens, the tracking's own error, the hold of one frame and the feather."""

    mode: Literal["auto"]
    margin_deg: Annotated[float, Field(ge=0.0, le=20.0)] = 0.5
    """Added on every side."""
    min_deg: Annotated[float, Field(ge=0.0, le=40.0)] = 0.0
    """No side shrinks below it."""
    max_deg: Annotated[float, Field(ge=0.0, le=40.0)] = 15.0
    """No side grows beyond it."""


class FixedOverscan(Section):
    """Overscan set by hand, per side."""

    mode: Literal["fixed"]
    left_deg: Annotated[float, Field(ge=0.0, le=40.0)]
    right_deg: Annotated[float, Field(ge=0.0, le=40.0)]
    top_deg: Annotated[float, Field(ge=0.0, le=40.0)]
    bottom_deg: Annotated[float, Field(ge=0.0, le=40.0)]


class CameraConfig(Section):
    """One tracked film camera."""

    label: Label = ""
    sensor: SensorConfig
    lens: LensConfig
    mount: MountConfig = MountConfig()
    pose: PoseConfig = PoseConfig(z_m=1.6)
    """Where it stands while nothing tracks it."""
    shutter_deg: Annotated[float, Field(gt=0.0, le=360.0)] = 180.0
    """The exposure lasts shutter_deg / 360 of a frame."""
    genlock_phase_deg: Annotated[float, Field(ge=-360.0, le=360.0)] = 0.0
    """Start of the exposure after the wall frame's start, in degrees of a frame."""
    inner_on: list[Id] | None = None
    """Walls its inner frustum shows on; left out, all."""
    overscan: Annotated[AutoOverscan | FixedOverscan, Field(discriminator="mode")] = AutoOverscan(mode="auto")
    soft_edge_deg: Annotated[float, Field(ge=0.0, le=10.0)] = 0.5
    """Feather of the inner frustum, inside its overscan."""
    focus_blur_deg: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    """Lens-aware focus: largest radius by which the wall's content is blurred so that it looks as far away as it is,
    by the tracked focus distance and f-number. 0 = off; 1 holds most lenses."""
    rank: Annotated[int, Field(ge=0, le=63)] | None = None
    """A higher rank covers a lower one; left out, the order in the file."""
    on_air: bool = True
    enabled: bool = True
    delay_ms: Annotated[float, Field(ge=-1000.0, le=1000.0)] = 0.0
    """Added to the time its pose is predicted to."""
