"""What is on the walls besides the tracking: the show's state, immutable, one version a change."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from controller.cards import Card
from controller.chromakeys import ChromaKey
from controller.cues import Cue, CuesAt
from controller.looks import Look
from controller.show_lock import ShowLock
from controller.switching import Switch, planned_scenes
from controller.transitions import Transition
from stage.compiled import CompiledStage
from stage.frames import Array, pose, pose_from_pan_tilt_roll
from stage.grade import Grade
from stage.plan import Action, Matrix16, OuterMode, PlanEngine, PlanPattern, PlanScene, matrix16
from stage.rate import Rate


class CameraSettings(Struct, frozen=True):
    """What an operator may change of one camera while it runs. Delays are signed."""

    enabled: bool = True
    on_air: bool = True
    rank: int = 0
    overscan_mode: Literal["auto", "fixed", "frozen"] = "auto"
    overscan_deg: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Left, right, top, bottom; used when the mode is fixed."""
    overscan_margin_deg: float = 1.0
    overscan_min_deg: float = 0.0
    overscan_max_deg: float = 20.0
    soft_edge_deg: float = 1.0
    focus_blur_deg: float = 0.0
    """Largest radius of lens-aware focus blur; 0 = off."""
    delay_ms: float = 0.0
    preferred_source: str = ""
    """Who moves it of its sources; empty: priorities tell."""
    framing: list[str] | None = None
    """Its frame lines that monitors show; None: the first (`controller.frame_lines`)."""


class ActiveScene(Struct, frozen=True):
    """One scene on air. Weights of all active scenes sum to 1 (two during a dissolve)."""

    id: str
    version: int = 1
    weight: float = 1.0


class Transport(Struct, frozen=True):
    """How a scene's animations run: at `scene time * speed + offset`; before `from_ns` of it as they did before."""

    speed: float = 1.0
    """1: as authored; negative: backwards."""
    playing: bool = True
    """Otherwise they stand still."""
    offset_ns: int = 0
    from_ns: int = 0
    """Plan's scene time from which on this holds."""
    before_speed: float = 1.0
    before_offset_ns: int = 0

    def at(self, scene_time_ns: int) -> tuple[float, int]:
        """Speed and offset at a scene time of the plan."""
        if scene_time_ns < self.from_ns:
            return self.before_speed, self.before_offset_ns
        return (self.speed if self.playing else 0.0), self.offset_ns

    def time_ns(self, scene_time_ns: int) -> int:
        """The animations' own time."""
        speed, offset_ns = self.at(scene_time_ns)
        return PlanScene("", 0, 0.0, [], None, speed, offset_ns).time_ns(scene_time_ns)

    def changed(
        self, from_ns: int, *, speed: float | None = None, playing: bool | None = None, time_ns: int | None = None
    ) -> Transport:
        """From `from_ns` of the plan's scene time on otherwise; going on from where they are, unless `time_ns` says."""
        now_ns = self.time_ns(from_ns) if time_ns is None else time_ns
        new = Transport(self.speed if speed is None else speed, self.playing if playing is None else playing)
        moved_ns = PlanScene("", 0, 0.0, [], None, new.speed if new.playing else 0.0, 0).time_ns(from_ns)
        before_speed, before_offset_ns = self.at(from_ns - 1)
        return Transport(new.speed, new.playing, now_ns - moved_ns, from_ns, before_speed, before_offset_ns)


class SceneState(Struct, frozen=True):
    """What is live of one scene of the show."""

    version: int = 1
    """Revision of the show at which what is drawn of it changed last; every node reads that revision's edits."""
    key: str = ""
    """Its compiled state in the cache (`controller.library.cache`); empty: as its files are when a node reads them."""
    edits: dict[str, Any] = {}
    """Live edits by address below the scene (`objects/lamp/visible`): all that hold."""
    transport: Transport = Transport()
    preload: bool = False
    """Whether it is kept ready on every node, on air or not."""


class Nudge(Struct, frozen=True):
    """A line-up correction before a source's `stage_from_tracker`, metres and degrees."""

    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float = 0.0
    pan_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0

    def pose(self) -> Array:
        """The correction as a transform, [4, 4]."""
        return pose_from_pan_tilt_roll(
            (self.x_m, self.y_m, self.z_m), pan_deg=self.pan_deg, tilt_deg=self.tilt_deg, roll_deg=self.roll_deg
        )


class SourceDelays(Struct, frozen=True):
    """How much older a source's samples are than their time says, signed; see `tracking.config.Delays`."""

    delay_ms: float = 0.0
    position_ms: float = 0.0
    position_frames: float = 0.0
    rotation_ms: float = 0.0
    rotation_frames: float = 0.0
    lens_ms: float = 0.0
    lens_frames: float = 0.0


class OutputState(Struct, frozen=True):
    """What an operator has one canvas show in place of its picture: the first of these that is on."""

    black: bool = False
    frozen: bool = False
    identify: bool = False


class Show(Struct, frozen=True):
    """The whole state a plan is made from, apart from poses and time."""

    version: int = 0
    config_version: int = 0
    cameras: dict[str, CameraSettings] = {}
    scenes: list[ActiveScene] = []
    """On air once every switch is done."""
    switches: list[Switch] = []
    """From scene to scene, those that wait and those under way; oldest first."""
    transitions: list[Transition] = []
    """Values on their way to what the show holds."""
    cues: list[Cue] = []
    """In the order they are played."""
    cues_at: CuesAt = CuesAt()
    scene_states: dict[str, SceneState] = {}
    """By scene; one that is not in it is as its files have it."""
    position: str = ""
    """Name of the stage position in use; `stage_from_scene` is what counts."""
    stage_from_scene: Matrix16 = msgspec.field(default_factory=lambda: matrix16(pose((0.0, 0.0, 0.0))))
    exposure_ev: float = 0.0
    outer_mode: OuterMode = "live"
    outer_every_frames: int = 1
    eye_m: tuple[float, float, float] = (0.0, 0.0, 1.7)
    cards: dict[str, Card] = {}
    """Light cards and flags, by id."""
    chromakeys: dict[str, ChromaKey] = {}
    grades: dict[str, Grade] = {}
    """By layer; one that is not in it is neutral."""
    grades_version: int = 0
    """Revision at which they changed last."""
    look: str = ""
    """The look that was put on last; empty: none."""
    looks: dict[str, Look] = {}
    """Those that are stored."""
    patterns: list[PlanPattern] = []
    nudges: dict[str, Nudge] = {}
    delays: dict[str, SourceDelays] = {}
    """Of every source, as configured or as changed since."""
    output_delays: dict[str, int] = {}
    """Frames by canvas, signed."""
    output_delays_ms: dict[str, float] = {}
    """What the chain after each canvas' processor adds, signed."""
    processor_settings: dict[str, dict[str, bool | int | float | str]] = {}
    """How processors are wanted to be set, beyond their configuration and the scene on air; by processor and name."""
    processor_frames: dict[str, float] = {}
    """From a processor's input to light in the mode it is really in, by processor; one that is not in it is as
    configured."""
    outputs: dict[str, OutputState] = {}
    """Canvases that show something else."""
    engines: list[PlanEngine] = []
    """Those of the configuration."""
    engines_off: list[str] = []
    """Engines that are switched off."""
    action: Action | None = None
    take: str = ""
    """Name of the take that rolls, empty when none does: time does not jump meanwhile."""
    lock: ShowLock = ShowLock()
    seed: int = 0


def scenes_at(show: Show, t_present_ns: int, scene_time_ns: int, rate: Rate) -> list[PlanScene]:
    """What a frame shows of the show's scenes: entries of its plan."""
    states = {
        name: PlanScene(name, state.version, 1.0, [], None, *state.transport.at(scene_time_ns))
        for name, state in show.scene_states.items()
    }
    scenes = []
    for scene in show.scenes:
        known = states.get(scene.id)
        entry = PlanScene(scene.id, scene.version, scene.weight, show.stage_from_scene)
        if known is not None:
            entry = PlanScene(
                scene.id, known.version, scene.weight, show.stage_from_scene, None,
                known.time_speed, known.time_offset_ns,
            )  # fmt: skip
        scenes.append(entry)
    if not show.switches:
        return scenes
    return planned_scenes(scenes, show.switches, states, t_present_ns, rate)


def first_show(stage: CompiledStage, *, scenes: list[str], config_version: int = 0) -> Show:
    """The show a configuration starts with: its cameras as configured, its first scene on air."""
    cameras = {
        camera.id: CameraSettings(
            enabled=camera.enabled,
            on_air=camera.on_air,
            rank=camera.rank,
            overscan_mode="auto" if camera.overscan_deg is None else "fixed",
            overscan_deg=camera.overscan_deg or (0.0, 0.0, 0.0, 0.0),
            overscan_margin_deg=camera.overscan_margin_deg,
            overscan_min_deg=camera.overscan_min_deg,
            overscan_max_deg=camera.overscan_max_deg,
            soft_edge_deg=camera.soft_edge_deg,
            focus_blur_deg=camera.focus_blur_deg,
            delay_ms=camera.delay_ms,
        )
        for camera in stage.cameras.values()
    }
    return Show(
        config_version=config_version,
        cameras=cameras,
        scenes=[ActiveScene(scenes[0])] if scenes else [],
        eye_m=stage.eye_m,
        output_delays={canvas.id: canvas.delay_frames for canvas in stage.canvases.values()},
        output_delays_ms={canvas.id: canvas.delay_ms for canvas in stage.canvases.values()},
    )


class Snapshot(Struct, frozen=True):
    """One whole version of what runs, as every process reads it: `show-<version>.msgpack` in the run directory."""

    show: Show
    config_text: str
    """The configuration the stage was compiled from (YAML)."""
    base_dir: str
    """Folder that file names in it are relative to."""
    stage: bytes
    """`stage.compiled.encode_stage` of the compiled stage."""
    lens_tables: dict[str, bytes] = {}
    """`tracking.lens_table.encode_grid` of every lens table file, by the name the configuration gives it."""
    relays: bool = False
    """Whether the configuration sends cameras on: until then their process sleeps."""
    scene_cache: str = ""
    """Folder of compiled scenes (`controller.library.cache`)."""
    processors: bool = False
    """Whether the configuration speaks to LED processors: until then their process sleeps."""
    sends: bool = False
    """Whether any canvas is sent over the network: until then the process for it sleeps."""
    library: str = ""
    """`controller.library.config.LibraryConfig` as JSON, its folder absolute; empty: there is none."""
    windows: str = ""
    """What is shown on monitors (`controller.windows.wishes.write_order`); empty: nothing, and the process for it
    sleeps."""
    osc_maps: dict[str, str] = {}
    """Every OSC mapping file as JSON, by the name the configuration gives it."""


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot as msgpack bytes."""
    return msgspec.msgpack.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """The snapshot of `encode_snapshot`'s bytes. Raises msgspec.ValidationError when they are not one."""
    return msgspec.msgpack.decode(data, type=Snapshot)
