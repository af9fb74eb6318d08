"""What the processes of one host tell of themselves, each about ten times a second.

The structs go into rings (`controller.rundir` names them): the newest one wins and nobody waits. What they ask of each
other is in `controller.messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from runtime.clock_report import ClockReport
from runtime.ring import fourcc
from stage.plan import Vec3

KIND_STATUS: Final = fourcc("STAT")
"""Rings that hold a status struct."""
STATUS_CAPACITY: Final = 1 << 18
"""Bytes a status ring's slot holds."""

SourceState = Literal["waiting", "ok", "coasting", "lost", "bad"]
Severity = Literal["info", "warning", "critical"]
RoleState = Literal["starting", "preparing", "ready", "running", "stopping", "stopped", "failed"]


class Percentiles(Struct, frozen=True):
    """p50, p95, p99 and maximum, by nearest rank: every figure is one that was measured."""

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


AlarmValue = str | int | float | bool | list[str]


class Alarm(Struct, frozen=True):
    """Something a person should know: what is wrong, and what to do. One per `code` and `path` at a time. Every code
    with its values, in `controller.alarm_codes`."""

    code: str
    path: str
    detail: str
    severity: Severity = "warning"
    mend: str = ""
    since_ns: int = 0
    values: Mapping[str, AlarmValue] = {}
    """What `detail` speaks of, each by itself, the unit in its name."""


class SourceStatus(Struct, frozen=True):
    """One tracking source as its receiver sees it."""

    state: SourceState
    protocol: str
    address: str
    """Where it listens (or connects), `host:port`."""
    camera: str = ""
    reason: str = ""
    """Why the state is what it is, in words."""
    moves: bool = False
    """Whether it is the source that moves its camera now."""
    datagrams: int = 0
    samples: int = 0
    refused: dict[str, int] = {}
    """Count per reason (tracking.sample.Reason)."""
    lost: int = 0
    """Numbers of the sender's own counter that never came."""
    dropped: int = 0
    """Datagrams that the kernel dropped unread."""
    rate_hz: float = 0.0
    age_ms: float | None = None
    """Since its newest sample was received; None before the first."""
    jitter_ms: float = 0.0
    clock_drift_ppm: float = 0.0
    """By how much our clock runs faster than the sender's."""
    clock_jumps: int = 0
    """How often the sender's clock was set."""
    last_packet_id: int = 0
    sender: str = ""
    stage_from_tracker: list[float] = []
    """The alignment in use, 16 numbers row by row."""
    prediction_error_deg: Percentiles = Percentiles()
    """How far predictions lay from what came later, at the photo's reach."""
    prediction_error_mm: Percentiles = Percentiles()
    prediction_rms_deg: dict[str, float] = {}
    """At the same photos: of what was `predicted`, had the pose been `held`, and at constant `velocity`."""
    prediction_rms_mm: dict[str, float] = {}
    prediction_learned_s: float = 0.0
    """How much movement prediction has been learned from."""


class CameraStatus(Struct, frozen=True):
    """One camera as planned last."""

    state: SourceState
    source: str
    quality: str
    position_m: Vec3
    pan_deg: float
    tilt_deg: float
    roll_deg: float
    focal_length_mm: float
    age_ms: float | None
    """From the sample's receipt to the photo it was predicted for; None without one."""
    overscan_deg: tuple[float, float, float, float]
    """Left, right, top, bottom as drawn."""
    overscan_causes_deg: dict[str, float] = {}
    """What the overscan is made of: `lens`, `prediction`, `hold`, `feather`, `margin`."""
    overscan_px: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Pixels of the inner picture beyond the camera's own on each side."""
    overscan_cost_percent: float = 0.0
    """Pixels drawn for it, over those of the camera's own picture."""
    texels_per_led: float = 0.0
    lowered_steps: int = 0
    """Eighths of an octave by which it is drawn coarser because drawing took too long."""


class ResolutionStatus(Struct, frozen=True):
    """Whether inner pictures are drawn coarser than configured, and why."""

    enabled: bool = False
    lowered_steps: int = 0
    """Eighths of an octave, on all cameras that are not held."""
    steps_most: int = 0
    changes: int = 0
    held: bool = False
    """Nothing is changed: a take rolls, or every camera is frozen."""
    draw_p99_ms: float = 0.0
    """Of the slowest node since the last change."""
    budget_ms: float = 0.0


class ConductorStatus(Struct, frozen=True):
    """What the conductor knows, published about ten times a second in `conductor.ring`."""

    t_ns: int
    pid: int
    state: RoleState
    frame: int
    rate: tuple[int, int]
    epoch: int
    t0_ns: int
    """Slot 0's start, so that every frame's time follows from its number."""
    show_version: int
    config_version: int
    rt_class: int
    """0, or the FIFO priority it runs at."""
    lead_ms: float
    """From latch to presentation, as adapted now."""
    plans: int = 0
    slots_skipped: int = 0
    """Slots without a plan of ours because the host stalled."""
    own_share_ms: Percentiles = Percentiles()
    receive_to_history_ms: Percentiles = Percentiles()
    clock: ClockReport = ClockReport()
    """What frames get their time from, and how well."""
    sources: dict[str, SourceStatus] = {}
    cameras: dict[str, CameraStatus] = {}
    resolution: ResolutionStatus = ResolutionStatus()
    alarms: list[Alarm] = []


class ResidentScene(Struct, frozen=True):
    """A scene that a node holds ready."""

    scene: str
    key: str
    """Its compiled state; empty: read from its files."""
    size_bytes: int
    on_air: bool = False
    read: str = ""
    """Of a scene read from its files: which configuration of it (`controller.library.inputs.read_hash`)."""


class NodeStatus(Struct, frozen=True):
    """What a node (or the darkroom) knows, published about ten times a second in its status ring."""

    t_ns: int
    pid: int
    node: str
    state: RoleState
    frame: int
    show_version: int
    config_version: int
    rt_class: int
    renderer: str
    """GL renderer string."""
    canvases: list[str] = []
    presented: int = 0
    repeated: int = 0
    repeats: dict[str, int] = {}
    """Count per reason (stage.plan.REASONS)."""
    draw_ms: Percentiles = Percentiles()
    scenes: list[ResidentScene] = []
    """What it can show at any frame, those used last first."""
    scene_budget_bytes: int = 0
    loading: str = ""
    """The scene it makes ready now."""
    action: str = "none"
    """What it obeys now: none, black, hold, safe or work."""
    action_stamp_ns: int = 0
    alarms: list[Alarm] = []


class ChildStatus(Struct, frozen=True):
    """One process of the house as the supervisor sees it."""

    role: str
    pid: int
    state: RoleState
    restarts: int = 0
    since_ns: int = 0
    last_exit: str = ""


class SupervisorStatus(Struct, frozen=True):
    """`supervisor.json`."""

    pid: int
    t_ns: int
    children: dict[str, ChildStatus]


_ENCODER = msgspec.msgpack.Encoder()
_CONDUCTOR = msgspec.msgpack.Decoder(ConductorStatus)
_NODE = msgspec.msgpack.Decoder(NodeStatus)


def encode_status(status: ConductorStatus | NodeStatus) -> bytes:
    """A status as msgpack bytes."""
    return _ENCODER.encode(status)


def decode_conductor(data: bytes | memoryview) -> ConductorStatus:
    """The conductor's status. Raises msgspec.ValidationError when the bytes are not one."""
    return _CONDUCTOR.decode(data)


def decode_node(data: bytes | memoryview) -> NodeStatus:
    """A node's status. Raises msgspec.ValidationError when the bytes are not one."""
    return _NODE.decode(data)
