"""The resources as they are sent: one struct each, with the unit in every name. `controller.client` reads the same.

`rev` is the revision that last changed the object, and its ETag. What a person may change stands beside what is
measured now; `controller.addresses.ADDRESSES` tells what can be written.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from controller.show_lock import LockState, ShowLock
from controller.status import Alarm, ChildStatus, Percentiles, ResolutionStatus, Severity, SourceState
from controller.store import Change, Kind
from controller.transaction import Undone
from runtime.clock_report import ClockReport, ReferenceName
from stage.plan import PlanLens, Vec3

Sides = tuple[float, float, float, float]
NodeState = Literal[
    "starting", "preparing", "ready", "running", "stopping", "stopped", "failed", "stale", "gone"
]  # fmt: skip
"""RoleState, or `stale` (it lives but says nothing) or `gone`."""


class View(Struct, frozen=True):
    """Base of every resource."""


class HealthView(View, frozen=True):
    """Whether pictures reach the walls."""

    status: Literal["ok", "degraded", "down"]
    """degraded: pictures go on, but something needs a person; down: no new pictures."""
    name: str
    run: str
    version: str
    rev: int
    rate: str
    uptime_s: float
    frame: int
    timecode: str
    reference: ReferenceName
    """What frames get their time from."""
    clock: str
    """How the frame clock stands to it: free, locking, locked, slewing, holdover, step_refused."""
    action: str
    conductor: NodeState
    nodes: dict[str, NodeState]
    darkroom: NodeState
    alarms: int
    severity: Severity | None
    """Of the worst alarm."""


class WallView(View, frozen=True):
    """One LED wall. Pixels at scale 1."""

    id: str
    rev: int
    type: str
    width_px: int
    height_px: int
    width_m: float
    height_m: float
    nits: float
    pitch_mm: float
    cabinets: int
    columns: int
    rows: int
    canvases: list[str]


class EncodingView(View, frozen=True):
    """How a canvas' code values mean light."""

    transfer: str
    peak_nits: float
    bits: int
    primaries: str
    range: str


class EngineView(View, frozen=True):
    """Another program that draws from our plans (docs/outputs.md, Engines)."""

    id: str
    rev: int
    canvases: list[str]
    """Whose pictures are its own."""
    cameras: list[str]
    """Whose inner pictures are its own."""
    enabled: bool
    """Whether they are shown; writable."""
    wait_ms: float
    hold_frames: int


class CanvasView(View, frozen=True):
    """The raster one processor takes in."""

    id: str
    rev: int
    processor: str
    width_px: int
    height_px: int
    scale: int
    """The running picture is so many times smaller each way."""
    rate: str
    encoding: EncodingView
    walls: list[str]
    delay_frames: int
    """Held back by choice; negative: handed over before the others; writable."""
    delay_ms: float
    """What the chain after its processor adds until light; negative: it is quicker than its figures say; writable."""
    black: bool
    """It is black, whatever the others show; writable."""
    frozen: bool
    """Its picture stays as it is; writable."""
    identify: bool
    """It flashes a card with its name; writable."""
    engine: str | None
    """Another program that draws it."""
    held_back_frames: int
    """By choice, and so that frame N leaves every wall together."""
    to_light_frames: float
    """From a frame's slot to its light on the walls, all told."""
    to_light_ms: float
    node: str | None
    frame: int | None
    """The frame it shows; None before the first."""
    reason: str | None
    """Why its last slot showed an older picture; `none`: it did not."""
    picture: str


class FrameLineView(View, frozen=True):
    """A framing inside a camera's picture, in pixels of its `resolution_px`."""

    width_px: int
    height_px: int
    offset_px: tuple[int, int]
    """Of its middle from the picture's middle: right, down."""
    shown: bool
    """Whether monitors show it: `cameras/<id>/frame_lines/<id>` is the switch."""


class CameraView(View, frozen=True):
    """One tracked camera: what is set, and how it stands now."""

    id: str
    rev: int
    label: str
    enabled: bool
    on_air: bool
    rank: int
    overscan_mode: str
    overscan_deg: Sides
    """Left, right, top, bottom, used when the mode is fixed."""
    overscan_margin_deg: float
    overscan_min_deg: float
    overscan_max_deg: float
    soft_edge_deg: float
    focus_blur_deg: float
    """Largest radius of lens-aware focus blur; 0 = off."""
    delay_ms: float
    preferred_source: str
    """Which of its sources should move it; empty: their priorities tell. `source` is the one that does."""
    walls: list[str]
    resolution_px: tuple[int, int]
    frame_lines: dict[str, FrameLineView]
    """Of its sensor mode, by name."""
    shutter_deg: float
    state: SourceState
    source: str
    quality: str
    position_m: Vec3
    pan_deg: float
    tilt_deg: float
    roll_deg: float
    pupil_m: Vec3
    lens: PlanLens
    field_of_view_deg: tuple[float, float]
    age_ms: float | None
    """From the sample to the photo it is predicted for."""
    overscan_now_deg: Sides
    overscan_causes_deg: dict[str, float]
    """What it is made of: `lens`, `prediction`, `hold`, `feather`, `focus`, `margin`."""
    overscan_now_px: Sides
    """Pixels of the inner picture beyond the camera's own."""
    overscan_cost_percent: float
    """Pixels drawn for it, over those of the camera's own picture."""
    raster_px: tuple[int, int]
    texels_per_led: float
    lowered_steps: int
    """Eighths of an octave by which it is drawn coarser than configured, because drawing took too long."""
    photo: str


class NudgeView(View, frozen=True):
    """The line-up correction before a source's `stage_from_tracker`."""

    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float = 0.0
    pan_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0


class DelaysView(View, frozen=True):
    """How much older the parts of a sample are than its time says; milliseconds and frames add up."""

    position_ms: float = 0.0
    position_frames: float = 0.0
    rotation_ms: float = 0.0
    rotation_frames: float = 0.0
    lens_ms: float = 0.0
    lens_frames: float = 0.0


class RecordingView(View, frozen=True):
    """The recording of what tracking sends."""

    asked: bool
    """Whether one is to run."""
    state: str
    """`idle`, `recording` or `failed`; it follows what is asked within a second."""
    path: str
    """The file of the present recording, or of the last one."""
    datagrams: int
    bytes: int
    missed: int
    """Batches of datagrams the recorder came too late for."""
    detail: str
    """Why it failed."""


class SourceView(View, frozen=True):
    """One tracking source."""

    id: str
    rev: int
    protocol: str
    listen: str
    camera: str
    pose_point: str
    prediction: str
    match: str
    """What tells when a sample was taken."""
    priority: int
    """Of its camera's sources the highest moves it."""
    moves: bool
    """Whether it is the one that does."""
    delay_ms: float
    delays: DelaysView
    nudge: NudgeView
    stage_from_tracker: list[float]
    """The alignment in use, nudge included, 16 numbers row by row."""
    state: SourceState
    reason: str
    """Why, in words."""
    sender: str
    datagrams: int
    samples: int
    refused: dict[str, int]
    lost: int
    """Numbers of the sender's own counter that never came."""
    dropped: int
    """Datagrams for its socket that the kernel dropped: senders not allowed, a flood, or more than its buffer holds."""
    rate_hz: float
    age_ms: float | None
    jitter_ms: float
    clock_drift_ppm: float
    """By how much our clock runs faster than the sender's."""
    clock_jumps: int
    """How often the sender's clock was set."""
    prediction_error_deg: Percentiles
    prediction_error_mm: Percentiles
    prediction_rms_deg: dict[str, float]
    """RMS error at the last photos: of what was `predicted`, had the pose been `held`, and at constant `velocity`."""
    prediction_rms_mm: dict[str, float]
    prediction_learned_s: float
    """How much movement prediction has been learned from."""


class PositionView(View, frozen=True):
    """One named place of the stage in the virtual world."""

    id: str
    rev: int
    label: str
    active: bool
    scene_from_stage: list[float]
    """16 numbers row by row."""


class PatternView(View, frozen=True):
    """One line-up picture."""

    id: str
    rev: int
    on: bool
    targets: list[str]
    """Walls, canvases and cameras it shows on; empty: all."""
    about: str = ""
    """What it shows, in words."""


class ShowView(View, frozen=True):
    """What holds for the whole show."""

    rev: int
    config_rev: int
    name: str
    scene: str
    position: str
    exposure_ev: float
    outer_mode: str
    outer_every_frames: int
    eye_m: Vec3
    action: str
    take: str
    """Name of the take that rolls; empty: none."""
    lock: ShowLock = ShowLock()


class LockView(View, frozen=True):
    """How the show lock stands."""

    rev: int
    state: LockState
    holder: str
    """Who moved it last; empty: nobody."""
    take: str
    """What it was armed for."""
    reason: str
    """Why it was broken, if it was."""
    acts: list[str]
    """Addresses of sliders that act all the same in this take."""


class NodeView(View, frozen=True):
    """One process of the house that draws."""

    id: str
    state: NodeState
    pid: int
    frame: int
    show_version: int
    config_version: int
    rt_class: int
    renderer: str
    canvases: list[str]
    presented: int
    repeated: int
    repeats: dict[str, int]
    draw_ms: Percentiles
    action: str
    age_ms: float


class ConductorView(View, frozen=True):
    """The process that owns the frame clock."""

    state: NodeState
    pid: int
    frame: int
    show_version: int
    config_version: int
    rt_class: int
    lead_ms: float
    plans: int
    slots_skipped: int
    own_share_ms: Percentiles
    resolution: ResolutionStatus
    """Whether inner pictures are drawn coarser than configured, and why."""
    age_ms: float


class NodesView(View, frozen=True):
    """Every process of the run."""

    conductor: ConductorView | None
    nodes: list[NodeView]
    darkroom: NodeView | None
    processes: dict[str, ChildStatus]
    """As the supervisor sees them, with their restarts."""


class FramesView(View, frozen=True):
    """Counts of the run, percentiles of the last `window` frames, and their course."""

    rate: str
    frames: int
    presented: int
    repeated: int
    repeats: dict[str, int]
    made_by_node: int
    first_frame: int | None
    window: int
    latency_ms: dict[str, Percentiles]
    age_ms: dict[str, Percentiles]
    course_ms: dict[str, list[float]]
    """The newest values of some intervals, oldest first."""
    clock: ClockReport
    """What frames get their time from, and how well."""


class JamView(View, frozen=True):
    """Time has jumped to its reference."""

    frame: int
    """The first of the new time."""


class StallsView(View, frozen=True):
    """Standstills of the host that the metronome noticed since this service started."""

    count: int
    total_ms: float
    newest_ms: list[float]
    """The newest, oldest first."""


class StoredView(View, frozen=True):
    """What the recorder has written of the ledger."""

    frame: int
    """The newest frame on the disk; -1 before the first."""
    frames: int
    lost: int
    """Frames that could not be written."""
    missed: int
    """Plans and reports that were overwritten before they could be written."""
    written_bytes: int
    path: str


class StatisticsView(View, frozen=True):
    """Where the time goes: percentiles of the last `window` frames."""

    rate: str
    window: int
    frames: int
    presented: int
    repeated: int
    repeats: dict[str, int]
    made_by_node: int
    latency_ms: dict[str, Percentiles]
    age_ms: dict[str, Percentiles]
    steps_ms: dict[str, float]
    """The median frame's steps from packet to wall, in order; empty before the first."""
    stalls: StallsView
    stored: StoredView | None
    """None: nothing is stored, or the recorder does not run."""


class RecordView(View, frozen=True):
    """One frame slot of the ledger. Stamps are CLOCK_MONOTONIC ns, 0 while unknown."""

    frame: int
    presented: bool | None
    reason: str
    t_present_ns: int
    t_latched_ns: int
    t_published_ns: int
    plan_hash: str
    show_version: int
    config_version: int
    cameras: dict[str, Any]
    nodes: dict[str, Any]
    intervals_ms: dict[str, float]
    """Of this frame, those of poses for its newest packet."""
    age_ms: dict[str, float]
    """By camera: from when its pose was sampled to the photo it was made for."""
    stall_ms: float
    """The longest standstill of the host that touched its making."""
    waited_ms: dict[str, float]
    """By process: how long it waited for a processor in the half second about then, where that is worth a note."""
    why: list[str]
    """What became of it and why, in sentences; empty in lists of many."""


class AlarmsView(View, frozen=True):
    """Everything a person should know now, the worst first."""

    alarms: list[Alarm]


class FindingView(View, frozen=True):
    """One thing that preflight looked at: green is well, amber works with a loss that is named, red will not work."""

    part: str
    colour: Literal["green", "amber", "red"]
    detail: str
    mend: str = ""


class PreflightView(View, frozen=True):
    """What machine and stage lack."""

    findings: list[FindingView]


class ActionView(View, frozen=True):
    """BLACK, HOLD, SAFE, WORK or none: what is ordered, and which nodes obey it."""

    action: str
    stamp_ns: int
    nodes: dict[str, str]


class OutcomeView(View, frozen=True):
    """An accepted change."""

    rev: int
    frame: int | None
    """The first frame that carries it; None: the conductor did not say in time, a restarted one begins with it."""
    changes: dict[str, Change]
    t_committed_ns: int = 0
    """When it was ready and the conductor was told, on the clock of the frames' own times; 0: nothing changed."""
    undoes: Undone | None = None
    """Of an undo the change that it took back, of a redo the undo: its revision, whose it was, and when."""


class ConfigView(View, frozen=True):
    """The running configuration."""

    rev: int
    name: str
    text: str
    """As it was written: YAML (JSON is YAML too)."""
    config: dict[str, Any]
    """The same as plain data with every default."""


class RevisionView(View, frozen=True):
    """One accepted change of the past."""

    rev: int
    t_tai_ns: int
    who: str
    kind: Kind
    changes: dict[str, Change]
    config: int
    undone_by: int | None


class CheckView(View, frozen=True):
    """What a configuration would be."""

    name: str
    walls: int
    canvases: int
    cameras: int
    pixels: int
    warnings: list[str]


class AddressView(View, frozen=True):
    """One thing that can be changed while the show runs."""

    address: str
    """HTTP: PATCH the object with the rest; OSC: the same path with a leading slash."""
    about: str
    schema: dict[str, Any]
    ids: list[str]
