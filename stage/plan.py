"""The frame plan: everything a renderer needs for frame N, and nothing else. The same plan gives the same pixels."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from stage.grade import Grade
from stage.plan_cards import PlanCard, PlanKey

if TYPE_CHECKING:
    from stage.frames import Array

SCHEMA = 1

Matrix16 = Annotated[list[float], Meta(min_length=16, max_length=16)]
"""A 4x4 transform (column vectors), 16 numbers row by row."""
Vec3 = tuple[float, float, float]
OuterMode = Literal["live", "every", "frozen"]
Action = Literal["black", "hold", "safe", "work"]
Reason = Literal[
    "none", "held", "late_plan", "late_draw", "no_plan", "switching", "fenced", "host_stall", "late_engine"
]
REASONS: tuple[Reason, ...] = (
    "none", "held", "late_plan", "late_draw", "no_plan", "switching", "fenced", "host_stall", "late_engine",
)  # fmt: skip
OutputPicture = Literal["black", "frozen", "identify"]


class PlanLens(Struct, frozen=True, forbid_unknown_fields=True):
    """The lens as it stands at the photo (OpenLensIO). Offsets are [x, y] on the sensor, x right, y down."""

    focal_length_mm: float
    sensor_width_mm: float
    sensor_height_mm: float
    squeeze: float = 1.0
    """Anamorphic squeeze: the picture seen is `sensor_width_mm * squeeze` wide."""
    radial: list[float] = []
    tangential: list[float] = []
    model: str = "Brown-Conrady D-U"
    distortion_offset_mm: tuple[float, float] = (0.0, 0.0)
    projection_offset_mm: tuple[float, float] = (0.0, 0.0)
    entrance_pupil_m: float = 0.0
    focus_distance_m: float | None = None
    f_stop: float | None = None


class PlanCamera(Struct, frozen=True, forbid_unknown_fields=True):
    """One tracked camera at its own photo time."""

    id: str
    rank: int
    """0 is the undermost inner; a higher rank covers it."""
    on_air: bool
    slot: int
    enabled: bool
    t_photo_ns: int
    stage_from_camera: Matrix16
    """Pose of the sensor's middle in the stage frame; camera axes X right, Y forward, Z up."""
    pupil_m: Vec3
    """Entrance pupil in the stage frame: the projection origin."""
    lens: PlanLens
    overscan_deg: tuple[float, float, float, float]
    """Left, right, top, bottom: how far the inner frustum reaches beyond the undistorted sensor frame."""
    raster_px: tuple[int, int]
    """Width and height of the inner picture, overscan included."""
    soft_edge_deg: float
    walls: list[str]
    source: str = ""
    packet_id: int = 0
    t_sampled_ns: int = 0
    t_received_ns: int = 0
    quality: str = "ok"
    lowered_steps: int = 0
    """By how many eighths of an octave `raster_px` is coarser than configured because drawing took too long."""
    focus_blur_deg: float = 0.0
    """Radius of the widest blur that lens-aware focus adds to what stands out of focus (`stage.focus`); 0 = none."""


class PlanOuter(Struct, frozen=True, forbid_unknown_fields=True):
    """What everything outside the inner frusta shows, seen from the eye point in the stage frame."""

    mode: OuterMode
    drawn_frame: int
    """The frame the outer picture on the walls was drawn for; equal to the plan's frame when it is drawn anew."""
    eye_m: Vec3


class PlanWipe(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a scene already covers those before it: along `direction` up to an edge, seen from every point alike.

    Of a view direction d (unit length, stage frame) it is `asin(d . direction)` that counts, so the edge lies as far
    away as the sky and has no seam anywhere: every wall, camera and node agrees on it.
    """

    direction: Vec3
    """Unit vector in the stage frame: the way the edge moves."""
    edge_deg: float
    """Where the edge is: -90 opposite to `direction`, 0 all round its middle, 90 at its end."""
    softness_deg: float = 0.0
    """Width of the mix around the edge."""


class PlanScene(Struct, frozen=True, forbid_unknown_fields=True):
    """One scene on air: its version counts live edits, the weights of all scenes sum to 1."""

    id: str
    version: int
    weight: float
    stage_from_scene: Matrix16
    wipe: PlanWipe | None = None
    """It is mixed over the scenes before it in place, not by weight; the weight then tells how far it has come."""
    time_speed: float = 1.0
    """Its animations run at `scene_time_ns * time_speed + time_offset_ns`."""
    time_offset_ns: int = 0
    moving: dict[str, Any] = {}
    """Live values by address below the scene that stand otherwise at this frame than in its version: they are on their
    way there."""

    def time_ns(self, scene_time_ns: int) -> int:
        """The time of its animations when the plan's is `scene_time_ns`."""
        if self.time_speed == 1.0:
            return scene_time_ns + self.time_offset_ns
        return int(scene_time_ns * self.time_speed) + self.time_offset_ns


class PlanLook(Struct, frozen=True, forbid_unknown_fields=True):
    """A grade of `targets`: layers as `stage.grade` names them. Grades of one layer are laid over each other
    (`stage.grade.stacked`)."""

    id: str
    """The look it belongs to; empty: none that is stored."""
    version: int
    """Revision of the show at which it changed last."""
    weight: float
    """How much of the grade: 0 none, 1 all of it."""
    targets: list[str]
    grade: Grade | None = None
    """As it stands at this frame; None: no grade."""


class PlanPlate(Struct, frozen=True, forbid_unknown_fields=True):
    """The frame of a moving plate to show."""

    id: str
    frame: int


class PlanPattern(Struct, frozen=True, forbid_unknown_fields=True):
    """A line-up or test picture over the walls. `kind` is one of renderer.pattern_kinds.KINDS; targets are walls,
    canvases or cameras (empty: all)."""

    kind: str
    targets: list[str] = []


class PlanOutput(Struct, frozen=True, forbid_unknown_fields=True):
    """What one canvas shows in place of its own picture."""

    picture: OutputPicture
    """black; frozen: the picture of frame `since_frame` stays; identify: a card with its name, half of each second."""
    since_frame: int


class PlanEngine(Struct, frozen=True, forbid_unknown_fields=True):
    """Another program that draws pictures from the plans (docs/outputs.md, Engines), as far as it is there in time."""

    id: str
    canvases: list[str] = []
    """Whole canvases, in codes."""
    cameras: list[str] = []
    """Inner pictures."""
    wait_ms: float = 0.0
    """So long, at most, a node waits for inner pictures."""
    hold_frames: int = 0
    """So long its last good picture stays when no other comes; then our own is shown."""


class PlanJoint(Struct, frozen=True, forbid_unknown_fields=True):
    """One joint of a performer in the stage frame."""

    name: str
    parent: int
    """Index among the performer's joints; -1 = none."""
    position_m: Vec3
    rotation: tuple[float, float, float, float]
    """Quaternion x y z w."""


class PlanSubject(Struct, frozen=True, forbid_unknown_fields=True):
    """A tracked prop, light or performer at the photo time of the cameras on air."""

    id: str
    kind: Literal["prop", "light", "performer"]
    t_photo_ns: int
    stage_from_subject: Matrix16
    """Axes X right, Y forward, Z up; a performer's is the hips'."""
    joints: list[PlanJoint] = []
    blend_shapes: dict[str, float] = {}
    """Weight of each facial shape, VRM 0 names where the sender's are known."""
    source: str = ""
    packet_id: int = 0
    t_sampled_ns: int = 0
    t_received_ns: int = 0
    quality: str = "ok"


class FramePlan(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a renderer needs for one frame. Written by the conductor, read by every node."""

    frame: int
    rate: tuple[int, int]
    t_present_ns: int
    cameras: list[PlanCamera]
    outer: PlanOuter
    scenes: list[PlanScene]
    schema: int = SCHEMA
    epoch: int = 0
    timecode: str = ""
    tai_ns: int = 0
    config_version: int = 0
    show_version: int = 0
    scene_time_ns: int = 0
    seed: int = 0
    exposure_ev: float = 0.0
    looks: list[PlanLook] = []
    plates: list[PlanPlate] = []
    subjects: list[PlanSubject] = []
    cards: list[PlanCard] = []
    """From the undermost to the uppermost."""
    key: list[PlanKey] | None = None
    """One for each camera that has one."""
    patterns: list[PlanPattern] = []
    output_delays: dict[str, int] = {}
    """Frames each canvas is held back so that frame N leaves every wall together."""
    actions: list[Action] = []
    t_latched_ns: int = 0
    outputs: dict[str, PlanOutput] = {}
    """Canvases that show something else."""
    engines: list[PlanEngine] = []


class CanvasReport(Struct, frozen=True):
    """What one canvas showed in a slot, and why when it was not the slot's own frame."""

    presented_frame: int
    reason: Reason


class FrameReport(Struct, frozen=True):
    """What a node did with one frame slot."""

    frame: int
    node: str
    plan_hash: int
    canvases: dict[str, CanvasReport]
    t_draw_started_ns: int
    t_drawn_ns: int
    t_presented_ns: int


_PLAN_ENCODER = msgspec.msgpack.Encoder()
_PLAN_DECODER = msgspec.msgpack.Decoder(FramePlan)
_REPORT_DECODER = msgspec.msgpack.Decoder(FrameReport)


def encode_plan(plan: FramePlan) -> bytes:
    """The plan as msgpack bytes, the form that is hashed and published."""
    return _PLAN_ENCODER.encode(plan)


def decode_plan(data: bytes | memoryview) -> FramePlan:
    """The plan of `encode_plan`'s bytes. Raises msgspec.ValidationError when they are not one."""
    return _PLAN_DECODER.decode(data)


def encode_report(report: FrameReport) -> bytes:
    """The report as msgpack bytes."""
    return _PLAN_ENCODER.encode(report)


def decode_report(data: bytes | memoryview) -> FrameReport:
    """The report of `encode_report`'s bytes. Raises msgspec.ValidationError when they are not one."""
    return _REPORT_DECODER.decode(data)


def plan_hash(data: bytes | memoryview) -> int:
    """First 8 bytes of BLAKE2b of a plan's bytes, as a little-endian integer."""
    return int.from_bytes(blake2b(data).digest()[:8], "little")


def plan_schema() -> dict[str, Any]:
    """JSON Schema of the frame plan."""
    return msgspec.json.schema(FramePlan)


def matrix16(transform: Array) -> list[float]:
    """A transform, [4, 4], as 16 numbers row by row."""
    # Imported here: the recorder reads plans, and needs no numpy.
    import numpy as np

    return [float(x) for x in np.asarray(transform, dtype=np.float64).reshape(16)]


def transform_of(numbers: list[float]) -> Array:
    """The transform, [4, 4], of 16 numbers row by row."""
    import numpy as np

    return np.array(numbers, dtype=np.float64).reshape(4, 4)
