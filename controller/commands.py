"""The one Command type: a change of the show by address, whoever asks (HTTP, OSC, page, undo). Pure.

`ADDRESSES` is the table of everything that can be changed while the show runs. One address serves the HTTP path, the
OSC address and the undo log: PATCH /api/v1/cameras/a {"soft_edge_deg": 1} is OSC /cameras/a/soft_edge_deg 1.
`apply` makes the next show of a show and a command, and tells what every touched address held before: that is the
undo. Nothing here happens to the running show; `controller.desk` prepares and commits it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from controller.cues import Cue, CuesAt
from controller.errors import BadValue, UnknownAddress
from controller.processor_values import SceneWishes, settings_moved, with_latency, with_scene, with_settings
from controller.scene_values import SceneValues
from controller.show import ActiveScene, CameraSettings, Nudge, OutputState, SceneState, Show, SourceDelays, Transport
from controller.store import Change
from controller.switching import MOST_WAITING, Moment, Switch, SwitchOrder, under_way
from controller.transitions import taken_over
from stage.errors import Problem
from stage.frames import Array, inverse_pose
from stage.plan import OuterMode, PlanPattern, matrix16

Sides = tuple[float, float, float, float]
_Angle = Annotated[float, Meta(ge=0.0, le=80.0)]
_Metres = Annotated[float, Meta(ge=-1000.0, le=1000.0)]
_Milliseconds = Annotated[float, Meta(ge=-1000.0, le=1000.0)]
_Frames = Annotated[float, Meta(ge=-60.0, le=60.0)]

PATTERNS: Final = ("inner_grid", "eye_card", "tile_outlines", "alignment_grid", "ramp")
"""Line-up pictures of renderer.patterns that can be switched while the show runs."""

_KEY: Final = re.compile(r"[0-9a-f]{32}")
SWITCH_LEAD_S: Final = 0.15
"""A switch that names no frame begins so much later: its version must hold on every process by then."""

STEP_M: Final = 0.001
STEP_DEG: Final = 0.01
"""What one step of a line-up nudge is."""


class Command(Struct, frozen=True):
    """A change that is wanted: absolute values by address, and steps that are added to what stands there."""

    changes: dict[str, Any] = {}
    steps: dict[str, float] = {}
    who: str = ""
    """Who asks, for the log: `http 127.0.0.1`, `osc 127.0.0.1:9000`, `start`."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a show's addresses may name: everything from the configuration that commands are checked against."""

    cameras: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    trackers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The sources of each camera."""
    scenes: tuple[str, ...] = ()
    walls: frozenset[str] = frozenset()
    canvases: frozenset[str] = frozenset()
    processors: frozenset[str] = frozenset()
    """Those that are spoken to."""
    engines: frozenset[str] = frozenset()
    positions: Mapping[str, Array] = field(default_factory=dict)
    """`scene_from_stage`, [4, 4], by name."""
    scene_processors: SceneWishes = field(default_factory=dict)
    scene_positions: Mapping[str, str] = field(default_factory=dict)
    """The position each scene opens with; "" or absent: its origin."""
    patterns: tuple[str, ...] = PATTERNS
    """Kinds of line-up pictures the renderer draws."""
    scene_values: Mapping[str, SceneValues] = field(default_factory=dict)
    """What may be edited live of each scene."""
    moment: Moment | None = None
    """A frame planned lately; None before the first: then everything happens at once."""


@dataclass(frozen=True, slots=True)
class Address:
    """One row of the table.

    pattern : path, `{}` stands for an id; collection : which ids those are (a field of Surroundings); kind : the
    type a value is converted to; about : a sentence for people; read, write : from a show, into a new one.
    """

    pattern: str
    collection: str
    kind: Any
    about: str
    read: Callable[[Show, str], Any]
    write: Callable[[Show, str, Any, Surroundings], Show]
    base: float | None = None
    """What steps are added to where nothing else was set; of numbers that `read` has no value of."""

    @property
    def numeric(self) -> bool:
        """Whether steps can be added to it."""
        return self.base is not None or msgspec.inspect.type_info(self.kind).__class__.__name__ in (
            "FloatType",
            "IntType",
        )


def _camera(name: str, kind: Any, about: str) -> Address:
    def read(show: Show, camera: str) -> Any:
        return getattr(show.cameras[camera], name)

    def write(show: Show, camera: str, value: Any, _: Surroundings) -> Show:
        settings = msgspec.structs.replace(show.cameras[camera], **{name: value})
        if name == "overscan_deg":
            # Whoever sets the margin by hand wants to see it: the computed one steps back.
            settings = msgspec.structs.replace(settings, overscan_mode="fixed")
        return msgspec.structs.replace(show, cameras={**show.cameras, camera: settings})

    return Address(f"cameras/{{}}/{name}", "cameras", kind, about, read, write)


def _nudge(name: str, kind: Any, about: str) -> Address:
    def read(show: Show, source: str) -> Any:
        return getattr(show.nudges.get(source, Nudge()), name)

    def write(show: Show, source: str, value: Any, _: Surroundings) -> Show:
        # Steps of a millimetre must add up to a metre, not to 0.9999999.
        nudge = msgspec.structs.replace(show.nudges.get(source, Nudge()), **{name: round(value, 9)})
        # A nudge back at zero stays in the map: the conductor sets what the map names.
        return msgspec.structs.replace(show, nudges={**show.nudges, source: nudge})

    return Address(f"sources/{{}}/nudge/{name}", "sources", kind, about, read, write)


def _delay(name: str, kind: Any, about: str) -> Address:
    def read(show: Show, source: str) -> Any:
        return getattr(show.delays.get(source, SourceDelays()), name)

    def write(show: Show, source: str, value: Any, _: Surroundings) -> Show:
        delays = msgspec.structs.replace(show.delays.get(source, SourceDelays()), **{name: value})
        return msgspec.structs.replace(show, delays={**show.delays, source: delays})

    path = name if name == "delay_ms" else f"delays/{name}"
    return Address(f"sources/{{}}/{path}", "sources", kind, about, read, write)


def _read_preferred(show: Show, camera: str) -> str:
    return show.cameras[camera].preferred_source


def _write_preferred(show: Show, camera: str, source: str, around: Surroundings) -> Show:
    known = around.trackers.get(camera, ())
    if source and source not in known:
        mend = f"use one of {', '.join(known) or '(none)'}, or nothing: their priorities tell then"
        raise _bad(f"cameras/{camera}/preferred_source", "no source of this camera", source, mend)
    settings = msgspec.structs.replace(show.cameras[camera], preferred_source=source)
    return msgspec.structs.replace(show, cameras={**show.cameras, camera: settings})


def _plain(path: str, name: str, kind: Any, about: str) -> Address:
    def read(show: Show, _: str) -> Any:
        return getattr(show, name)

    def write(show: Show, _: str, value: Any, __: Surroundings) -> Show:
        return msgspec.structs.replace(show, **{name: value})

    return Address(path, "", kind, about, read, write)


def _read_scene(show: Show, _: str) -> str:
    return max(show.scenes, key=lambda scene: scene.weight).id if show.scenes else ""


def _write_scene(show: Show, _: str, order: str | SwitchOrder, around: Surroundings) -> Show:
    wanted = SwitchOrder(order) if isinstance(order, str) else order
    scene, moment = wanted.scene, around.moment
    if scene not in around.scenes:
        raise _bad(
            "scenes/active", "no scene of this show", scene, f"use one of {', '.join(around.scenes) or '(none)'}"
        )
    waiting = under_way(show.switches, moment.t_present_ns, moment.rate) if moment is not None else []
    frames = 0 if wanted.kind == "cut" else wanted.frames
    if moment is None or not (frames or wanted.at_frame):
        if [active.id for active in show.scenes] == [scene] and not waiting:
            return show
        # At once: whatever is under way or waits ends with it.
        show = msgspec.structs.replace(show, scenes=[ActiveScene(scene)], switches=[])
        return _write_position(show, "", around.scene_positions.get(scene, ""), around)
    begin = wanted.at_frame or moment.frame_after(SWITCH_LEAD_S)
    if wanted.at_frame and wanted.at_frame <= moment.frame:
        detail = f"frame {wanted.at_frame} has passed"
        raise _bad("scenes/active", detail, wanted.at_frame, f"name a frame after {moment.frame_after(SWITCH_LEAD_S)}")
    if waiting:
        ends = waiting[-1].begin_frame + waiting[-1].frames
        if wanted.at_frame and wanted.at_frame < ends:
            detail = f"the switch before it is done at frame {ends}"
            raise _bad("scenes/active", detail, wanted.at_frame, f"name frame {ends} or a later one, or cut")
        if len(waiting) >= MOST_WAITING:
            raise _bad("scenes/active", f"{len(waiting)} switches wait already", scene, "cut, or wait")
        begin = max(begin, ends)
    before = _read_scene(show, "")
    if not before:
        show = msgspec.structs.replace(show, scenes=[ActiveScene(scene)])
        return _write_position(show, "", around.scene_positions.get(scene, ""), around)
    if before == scene:
        return show
    switch = Switch(
        before, show.stage_from_scene, begin, moment.present_ns(begin), wanted.kind, frames, wanted.curve,
        wanted.angle_deg, wanted.softness_deg,
    )  # fmt: skip
    show = msgspec.structs.replace(show, scenes=[ActiveScene(scene)], switches=[*waiting, switch])
    return _write_position(show, "", around.scene_positions.get(scene, ""), around)


def _write_position(show: Show, _: str, name: str, around: Surroundings) -> Show:
    if name == "":
        return msgspec.structs.replace(show, position="", stage_from_scene=matrix16(np.eye(4)))
    if name not in around.positions:
        known = ", ".join(around.positions) or "(none)"
        raise _bad("position", "no stage position of this show", name, f"use one of {known}")
    stage_from_scene = matrix16(inverse_pose(around.positions[name]))
    return msgspec.structs.replace(show, position=name, stage_from_scene=stage_from_scene)


def _state(show: Show, scene: str) -> SceneState:
    return show.scene_states.get(scene, SceneState())


def _with_state(show: Show, scene: str, **changes: Any) -> Show:
    state = msgspec.structs.replace(_state(show, scene), **changes)
    return msgspec.structs.replace(show, scene_states={**show.scene_states, scene: state})


def _transport(name: str, kind: Any, about: str, read: Callable[[Transport], Any]) -> Address:
    def write(show: Show, scene: str, value: Any, around: Surroundings) -> Show:
        transport, moment, from_ns = _state(show, scene).transport, around.moment, 0
        if moment is not None:
            # From a frame that is not planned yet: what was shown until then stays as it was.
            frame = moment.frame_after(SWITCH_LEAD_S)
            from_ns = (
                moment.scene_time_ns + moment.rate.deadline_ns(0, frame) - moment.rate.deadline_ns(0, moment.frame)
            )
        wanted = {"time_ns": round(value * 1e9)} if name == "time_s" else {name: value}
        return _with_state(show, scene, transport=transport.changed(from_ns, **wanted))

    return Address(
        f"scenes/{{}}/transport/{name}", "scenes", kind, about, lambda show, s: read(_state(show, s).transport), write
    )


def _write_compiled(show: Show, scene: str, key: str, _: Surroundings) -> Show:
    if key and not _KEY.fullmatch(key):
        raise _bad(f"scenes/{scene}/compiled", "no compiled state", key, "take one of GET scenes/<id>/states")
    return _with_state(show, scene, key=key)


def _output(name: str, about: str) -> Address:
    def read(show: Show, canvas: str) -> Any:
        return getattr(show.outputs.get(canvas, OutputState()), name)

    def write(show: Show, canvas: str, value: Any, _: Surroundings) -> Show:
        state = msgspec.structs.replace(show.outputs.get(canvas, OutputState()), **{name: value})
        outputs = {other: held for other, held in show.outputs.items() if other != canvas}
        return msgspec.structs.replace(show, outputs=outputs if state == OutputState() else {**outputs, canvas: state})

    return Address(f"canvases/{{}}/{name}", "canvases", bool, about, read, write)


def _write_engine(show: Show, engine: str, on: bool, _: Surroundings) -> Show:
    others = [name for name in show.engines_off if name != engine]
    return msgspec.structs.replace(show, engines_off=others if on else sorted([*others, engine]))


def _read_delay(show: Show, canvas: str) -> int:
    return show.output_delays.get(canvas, 0)


def _write_delay(show: Show, canvas: str, frames: int, _: Surroundings) -> Show:
    return msgspec.structs.replace(show, output_delays={**show.output_delays, canvas: frames})


def _read_pattern(show: Show, kind: str) -> bool | list[str]:
    found = next((pattern for pattern in show.patterns if pattern.kind == kind), None)
    return False if found is None else (found.targets or True)


def _write_pattern(show: Show, kind: str, value: bool | list[str], around: Surroundings) -> Show:
    targets = value if isinstance(value, list) else []
    for target in targets:
        if target not in around.walls and target not in around.cameras:
            raise _bad(f"patterns/{kind}", "no wall or camera of this show", target, "name a wall or a camera")
    others = [pattern for pattern in show.patterns if pattern.kind != kind]
    on = value is not False and value != []
    return msgspec.structs.replace(show, patterns=[*others, PlanPattern(kind, targets)] if on else others)


ADDRESSES: Final[tuple[Address, ...]] = (
    _camera("enabled", bool, "Whether its inner frustum is on the walls."),
    _camera("on_air", bool, "Whether it counts as on air: canvases that show it change together."),
    _camera("rank", Annotated[int, Meta(ge=0, le=63)], "A higher rank covers a lower one."),
    _camera("overscan_mode", Literal["auto", "fixed", "frozen"], "auto: computed; fixed; frozen: as it stands now."),
    _camera("overscan_deg", tuple[_Angle, _Angle, _Angle, _Angle],
            "Left, right, top, bottom, or one number for all; sets the mode to fixed."),
    _camera("overscan_margin_deg", Annotated[float, Meta(ge=0.0, le=30.0)], "Added to the computed overscan."),
    _camera("overscan_min_deg", _Angle, "The computed overscan never falls below it."),
    _camera("overscan_max_deg", _Angle, "The computed overscan never exceeds it."),
    _camera("soft_edge_deg", Annotated[float, Meta(ge=0.0, le=20.0)], "Width of the feather, inside the overscan."),
    _camera("focus_blur_deg", Annotated[float, Meta(ge=0.0, le=5.0)],
            "Largest radius by which content is blurred to look as far away as it is; 0 = off."),
    _camera("delay_ms", Annotated[float, Meta(ge=-1000.0, le=1000.0)], "Added to the photo time the pose is for."),
    Address("cameras/{}/preferred_source", "cameras", str,
            "Which of its sources moves it, from now on; empty: the one whose priority is highest.",
            _read_preferred, _write_preferred),
    _delay("delay_ms", _Milliseconds, "How much older its samples are than their time says; negative: younger."),
    _delay("position_ms", _Milliseconds, "The same for the position alone, on top."),
    _delay("position_frames", _Frames, "The same in frames of the show; parts of one too."),
    _delay("rotation_ms", _Milliseconds, "The same for the rotation alone."),
    _delay("rotation_frames", _Frames, "The same in frames of the show."),
    _delay("lens_ms", _Milliseconds, "The same for the lens alone."),
    _delay("lens_frames", _Frames, "The same in frames of the show."),
    _nudge("x_m", Annotated[float, Meta(ge=-100.0, le=100.0)], "To the right, metres."),
    _nudge("y_m", Annotated[float, Meta(ge=-100.0, le=100.0)], "Toward the wall, metres."),
    _nudge("z_m", Annotated[float, Meta(ge=-100.0, le=100.0)], "Up, metres."),
    _nudge("pan_deg", Annotated[float, Meta(ge=-360.0, le=360.0)], "+ = left."),
    _nudge("tilt_deg", Annotated[float, Meta(ge=-90.0, le=90.0)], "+ = up."),
    _nudge("roll_deg", Annotated[float, Meta(ge=-360.0, le=360.0)], "+ = clockwise seen from behind."),
    Address("scenes/active", "", str | SwitchOrder,
            "The scene on air; it opens at its own position. A name cuts to it at once; an object tells how and when.",
            _read_scene, lambda show, _, v, around: with_scene(
                show, _write_scene(show, _, v, around), around.scene_processors)),
    Address("scenes/{}/preload", "scenes", bool, "Whether every node keeps it ready, on air or not.",
            lambda show, scene: _state(show, scene).preload,
            lambda show, scene, value, _: _with_state(show, scene, preload=value)),
    Address("scenes/{}/compiled", "scenes", str,
            "Which compiled state of its files is shown; empty: as the files were when a node read them.",
            lambda show, scene: _state(show, scene).key, _write_compiled),
    _transport("playing", bool, "Whether its animations run.", lambda transport: transport.playing),
    _transport("speed", Annotated[float, Meta(ge=-100.0, le=100.0)], "Of its animations; 1: as authored.",
               lambda transport: transport.speed),
    _transport("time_s", Annotated[float, Meta(ge=-1e6, le=1e6)], "Where its animations stand; they go on from there.",
               lambda transport: transport.time_ns(transport.from_ns) / 1e9),
    Address("position", "", str, "The named place of the stage in the virtual world; empty: its origin.",
            lambda show, _: show.position, _write_position),
    _plain("exposure_ev", "exposure_ev", Annotated[float, Meta(ge=-20.0, le=20.0)], "Of everything on the walls."),
    _plain("take", "take", Annotated[str, Meta(max_length=80)],
           "Name of the take that rolls; empty: none. While one does, time does not jump."),
    _plain("cues/list", "cues", list[Cue], "The whole cue list, in its order."),
    Address("cues/at", "", CuesAt, "Where the cue list stands: what has gone.", lambda show, _: show.cues_at,
            lambda show, _, at, __: msgspec.structs.replace(show, cues_at=at.stopped())),
    _plain("outer/mode", "outer_mode", OuterMode, "live: every frame; every: each k-th; frozen: as it stands."),
    _plain("outer/every_frames", "outer_every_frames", Annotated[int, Meta(ge=1, le=240)], "k of outer mode every."),
    _plain("outer/eye_m", "eye_m", tuple[_Metres, _Metres, _Metres], "The eye point the outer is drawn from."),
    Address("canvases/{}/delay_frames", "canvases", Annotated[int, Meta(ge=-60, le=60)],
            "Whole frames this canvas is held back, before the padding; negative: handed over before the others.",
            _read_delay, _write_delay),
    Address("canvases/{}/delay_ms", "canvases", _Milliseconds,
            "What the chain after its processor adds until light; negative: it is quicker than its figures say.",
            lambda show, canvas: show.output_delays_ms.get(canvas, 0.0),
            lambda show, canvas, value, _: msgspec.structs.replace(
                show, output_delays_ms={**show.output_delays_ms, canvas: value})),
    Address("processors/{}/latency_frames", "processors", Annotated[float, Meta(ge=0.0, le=60.0)] | None,
            "From its input to light in the mode it is in, as it was read; null: as configured.",
            lambda show, name: show.processor_frames.get(name), lambda show, name, v, _: with_latency(show, name, v)),
    Address("processors/{}/settings", "processors", dict[str, bool | int | float | str],
            "How it is wanted to be set, beyond its configuration and the scene on air.",
            lambda show, processor: show.processor_settings.get(processor, {}),
            lambda show, processor, value, _: with_settings(show, processor, value)),
    _output("black", "Whether this canvas is black, whatever the others show."),
    _output("frozen", "Whether its picture stays as it is."),
    _output("identify", "Whether it flashes a card with its name, half of each second."),
    Address("engines/{}/enabled", "engines", bool, "Whether the pictures this engine draws are shown.",
            lambda show, engine: engine not in show.engines_off, _write_engine),
    Address("patterns/{}", "patterns", bool | list[str],
            "A line-up picture: true, false, or the walls and cameras it shows on.", _read_pattern, _write_pattern),
)  # fmt: skip
"""Everything that can be changed while the show runs."""


def find(path: str, around: Surroundings) -> tuple[Address, str]:
    """The row of the table an address means, and the id in it ("" without one).

    Raises
    ------
    UnknownAddress : no such address, or the id names nothing of this show.
    """
    parts = path.strip("/").split("/")
    for address in ADDRESSES:
        shape = address.pattern.split("/")
        if len(shape) != len(parts) or any(a not in ("{}", b) for a, b in zip(shape, parts, strict=True)):
            continue
        name = parts[shape.index("{}")] if "{}" in shape else ""
        known = getattr(around, address.collection) if address.collection else ()
        if name and name not in known:
            detail = f"no {address.collection.removesuffix('s')} {name!r} in this show"
            raise _unknown(path, detail, f"use one of {', '.join(sorted(known)) or '(none)'}")
        return address, name
    if len(parts) > 2 and parts[0] == "scenes":
        return scene_address(parts[1], "/".join(parts[2:]), around), parts[1]
    raise _unknown(path, "nothing to change is called this", "GET /api/v1/addresses lists all that can be changed")


def scene_address(scene: str, below: str, around: Surroundings) -> Address:
    """The row of a live value of a scene: as those of the table, but made of what the scene consists of.

    Its value is what was edited, None where the scene is as configured; None takes an edit back.

    Raises
    ------
    UnknownAddress
    """
    path = f"scenes/{scene}/{below}"
    if scene not in around.scenes:
        known = ", ".join(sorted(around.scenes)) or "(none)"
        raise _unknown(path, f"no scene {scene!r} in this show", f"use one of {known}")
    values = around.scene_values.get(scene)
    if values is None:
        raise _unknown(path, "what can be edited of this scene is not known (yet)", "look at the alarms of its files")
    problem = values.unknown(below)
    if problem is not None:
        raise UnknownAddress(Problem(UnknownAddress.code, path, problem.detail, None, problem.mend))

    def read(show: Show, name: str) -> Any:
        return _state(show, name).edits.get(below)

    def write(show: Show, name: str, value: Any, _: Surroundings) -> Show:
        edits = dict(_state(show, name).edits)
        if value is None:
            edits.pop(below, None)
        else:
            problem = values.fault(below, value)
            if problem is not None:
                raise _bad(path, problem.detail, value, problem.mend)
            edits[below] = value
        return _with_state(show, name, edits=edits)

    return Address(path, "", values.kind(below), values.about(below), read, write, values.number(below))


def convert(address: Address, path: str, value: Any) -> Any:
    """A value as its address takes it. Numbers are forgiving (1 for 1.0, 1 for true from OSC), never NaN.

    Raises
    ------
    BadValue : of the wrong type or out of range.
    """
    if address.pattern.endswith("/overscan_deg") and isinstance(value, int | float) and not isinstance(value, bool):
        value = [value] * 4
    switch = address.kind in (bool, bool | None) or address.pattern.startswith("patterns/")
    if switch and value in (0, 1) and not isinstance(value, list):
        value = bool(value)
    for number in value if isinstance(value, list | tuple) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise _bad(path, "not a finite number", str(number), address.about)
    try:
        return msgspec.convert(value, address.kind)
    except msgspec.ValidationError as error:
        raise _bad(path, str(error), value, address.about) from None


def apply(show: Show, command: Command, around: Surroundings) -> tuple[Show, dict[str, Change]]:
    """The show after a command, and what each address held before and after. The same show when nothing changes.

    Raises
    ------
    UnknownAddress, BadValue : every fault of the command in one error of the first fault's class; nothing applies.
    """
    problems: list[Problem] = []
    kind: type[UnknownAddress | BadValue] | None = None
    before: dict[str, Any] = {}
    found: list[tuple[str, Address, str]] = []
    after = show
    for path, wanted, is_step in [
        *((path, value, False) for path, value in command.changes.items()),
        *((path, value, True) for path, value in command.steps.items()),
    ]:
        path = path.strip("/")
        try:
            address, name = find(path, around)
            if is_step:
                if not address.numeric:
                    raise _bad(path, "steps can be added to numbers only", wanted, address.about)
                held = address.read(after, name)
                wanted = (address.base if held is None else held) + convert(address, path, wanted)
            value = convert(address, path, wanted)
            if path not in before:
                before[path] = address.read(show, name)
                found.append((path, address, name))
            after = taken_over(address.write(after, name, value, around), path)
        except (UnknownAddress, BadValue) as error:
            problems.extend(error.problems)
            kind = kind or type(error)
    if kind is not None:
        raise kind(*problems)
    changes: dict[str, Change] = {}
    for path, address, name in found:
        moved = {path: Change(before[path], address.read(after, name))}
        # Writing some addresses moves others: an undo must restore both.
        if path.endswith("/overscan_deg"):
            mode = path.removesuffix("overscan_deg") + "overscan_mode"
            moved[mode] = Change(show.cameras[name].overscan_mode, after.cameras[name].overscan_mode)
        elif path == "scenes/active":
            moved |= {"position": Change(show.position, after.position), **settings_moved(show, after)}
        # A switch or transition that was cut short ends where it would have all the same, and is a change.
        cut_short = (path == "scenes/active" and show.switches != after.switches) or taken_over(show, path) is not show
        if cut_short or any(change.before != change.after for change in moved.values()):
            changes.update(moved)
    return (after, changes) if changes else (show, {})


def undo_of(changes: Mapping[str, Change]) -> Command:
    """The command that puts back what the addresses held before; those last that writing others may move."""
    ordered = sorted(changes, key=lambda path: path == "position" or path.endswith(("overscan_mode", "/settings")))
    return Command(changes={path: changes[path].before for path in ordered})


def carry_over(old_first: Show, old: Show, new_first: Show) -> Show:
    """The show of a new configuration with the operators' live changes kept where they still make sense.

    A setting keeps its live value when the operator had moved it and the configuration did not: when the file
    changed too, the file is newer and wins.
    """

    def kept(name: str) -> Any:
        first, live, new = getattr(old_first, name), getattr(old, name), getattr(new_first, name)
        return live if live != first and new == first else new

    cameras = {}
    for camera, settings in new_first.cameras.items():
        before, live = old_first.cameras.get(camera), old.cameras.get(camera)
        if before is not None and live is not None:
            fields = {
                name: getattr(live, name)
                for name in CameraSettings.__struct_fields__
                if getattr(live, name) != getattr(before, name) and getattr(settings, name) == getattr(before, name)
            }
            settings = msgspec.structs.replace(settings, **fields)
        cameras[camera] = settings
    sources = {
        name: old.delays[name] if name in old.delays and old_first.delays.get(name) == configured else configured
        for name, configured in new_first.delays.items()
    }
    delays = {
        canvas: old.output_delays[canvas]
        if canvas in old.output_delays and old_first.output_delays.get(canvas) == frames
        else frames
        for canvas, frames in new_first.output_delays.items()
    }
    delays_ms = {
        canvas: old.output_delays_ms[canvas]
        if canvas in old.output_delays_ms and old_first.output_delays_ms.get(canvas) == configured
        else configured
        for canvas, configured in new_first.output_delays_ms.items()
    }
    return msgspec.structs.replace(
        new_first,
        cameras=cameras,
        output_delays=delays,
        output_delays_ms=delays_ms,
        outputs={canvas: state for canvas, state in old.outputs.items() if canvas in new_first.output_delays},
        engines_off=kept("engines_off"),
        nudges=old.nudges,
        delays=sources,
        patterns=old.patterns,
        scene_states=old.scene_states,
        cues=old.cues,
        cues_at=old.cues_at,
        take=old.take,
        lock=old.lock,
        exposure_ev=kept("exposure_ev"),
        outer_mode=kept("outer_mode"),
        outer_every_frames=kept("outer_every_frames"),
        eye_m=kept("eye_m"),
        seed=old.seed,
    )


def settle(show: Show, around: Surroundings, *, wanted: Show) -> Show:
    """`show` with the scene, position and nudges of `wanted` where the surroundings still know them."""
    scenes = [scene for scene in wanted.scenes if scene.id in around.scenes]
    if scenes:
        total = sum(scene.weight for scene in scenes) or 1.0
        scenes = [msgspec.structs.replace(scene, weight=scene.weight / total) for scene in scenes]
        kept = all(switch.scene in around.scenes for switch in wanted.switches)
        show = msgspec.structs.replace(show, scenes=scenes, switches=wanted.switches if kept else [])
    states = {name: state for name, state in show.scene_states.items() if name in around.scenes}
    show = msgspec.structs.replace(show, scene_states=states)
    if wanted.position in around.positions:
        show = _write_position(show, "", wanted.position, around)
    targets = around.walls | around.cameras
    patterns = [p for p in show.patterns if p.kind in around.patterns and set(p.targets) <= targets]
    nudges = {source: nudge for source, nudge in show.nudges.items() if source in around.sources}
    delays = {source: delays for source, delays in show.delays.items() if source in around.sources}
    cameras = {
        name: msgspec.structs.replace(settings, preferred_source="")
        if settings.preferred_source not in around.trackers.get(name, ())
        else settings
        for name, settings in show.cameras.items()
    }
    outputs = {canvas: state for canvas, state in show.outputs.items() if canvas in around.canvases}
    # As they were read: another configuration does not change what mode processors are in.
    frames = {name: known for name, known in wanted.processor_frames.items() if name in around.processors}
    settings = {name: known for name, known in wanted.processor_settings.items() if name in around.processors}
    show = msgspec.structs.replace(show, processor_settings=settings)
    return msgspec.structs.replace(
        show, patterns=patterns, nudges=nudges, delays=delays, cameras=cameras, outputs=outputs, processor_frames=frames
    )


def _bad(path: str, detail: str, value: Any, mend: str) -> BadValue:
    return BadValue(Problem(BadValue.code, path, detail, value, mend))


def _unknown(path: str, detail: str, mend: str) -> UnknownAddress:
    return UnknownAddress(Problem(UnknownAddress.code, path, detail, None, mend))
