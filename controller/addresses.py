"""The table of everything that can be changed while the show runs. Pure.

One address serves the HTTP path, the OSC address and the undo log: PATCH /api/v1/cameras/a {"soft_edge_deg": 1} is OSC
/cameras/a/soft_edge_deg 1.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from controller.address import Address, bad_value, unknown_address
from controller.cues import Cue, CuesAt
from controller.frame_lines import frame_line_address
from controller.layer_addresses import layer_address
from controller.look_addresses import look_address, spreads
from controller.processor_values import with_latency, with_scene, with_settings
from controller.scene_addresses import (
    read_scene,
    scene_address,
    state_of,
    transport,
    with_state,
    write_compiled,
    write_position,
    write_scene,
)
from controller.show import Nudge, OutputState, Show, SourceDelays
from controller.surroundings import Surroundings
from controller.switching import SwitchOrder
from stage.plan import OuterMode, PlanPattern

_Angle = Annotated[float, Meta(ge=0.0, le=80.0)]
_Metres = Annotated[float, Meta(ge=-1000.0, le=1000.0)]
_Milliseconds = Annotated[float, Meta(ge=-1000.0, le=1000.0)]
_Frames = Annotated[float, Meta(ge=-60.0, le=60.0)]


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
        raise bad_value(f"cameras/{camera}/preferred_source", "no source of this camera", source, mend)
    settings = msgspec.structs.replace(show.cameras[camera], preferred_source=source)
    return msgspec.structs.replace(show, cameras={**show.cameras, camera: settings})


def _plain(path: str, name: str, kind: Any, about: str) -> Address:
    def read(show: Show, _: str) -> Any:
        return getattr(show, name)

    def write(show: Show, _: str, value: Any, __: Surroundings) -> Show:
        return msgspec.structs.replace(show, **{name: value})

    return Address(path, "", kind, about, read, write)


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
    known = around.walls | around.cameras | around.canvases
    for target in targets:
        if target not in known:
            mend = f"use of {', '.join(sorted(known))}"
            raise bad_value(f"patterns/{kind}", "no wall, canvas or camera of this show", target, mend)
    others = [pattern for pattern in show.patterns if pattern.kind != kind]
    on = value is not False and value != []
    return msgspec.structs.replace(show, patterns=[*others, PlanPattern(kind, targets)] if on else others)


def _write_patterns(show: Show, _: str, wanted: list[PlanPattern], around: Surroundings) -> Show:
    show = msgspec.structs.replace(show, patterns=[])
    for pattern in wanted:
        if pattern.kind not in around.patterns:
            raise bad_value("patterns", "there is no such picture", pattern.kind, "GET patterns lists them")
        show = _write_pattern(show, pattern.kind, pattern.targets or True, around)
    return show


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
            read_scene, lambda show, _, v, around: with_scene(
                show, write_scene(show, _, v, around), around.scene_processors)),
    Address("scenes/{}/preload", "scenes", bool, "Whether every node keeps it ready, on air or not.",
            lambda show, scene: state_of(show, scene).preload,
            lambda show, scene, value, _: with_state(show, scene, preload=value)),
    Address("scenes/{}/compiled", "scenes", str,
            "Which compiled state of its files is shown; empty: as the files were when a node read them.",
            lambda show, scene: state_of(show, scene).key, write_compiled),
    transport("playing", bool, "Whether its animations run.", lambda transport: transport.playing),
    transport("speed", Annotated[float, Meta(ge=-100.0, le=100.0)], "Of its animations; 1: as authored.",
               lambda transport: transport.speed),
    transport("time_s", Annotated[float, Meta(ge=-1e6, le=1e6)], "Where its animations stand; they go on from there.",
               lambda transport: transport.time_ns(transport.from_ns) / 1e9),
    Address("position", "", str, "The named place of the stage in the virtual world; empty: its origin.",
            lambda show, _: show.position, write_position),
    _plain("exposure_ev", "exposure_ev", Annotated[float, Meta(ge=-20.0, le=20.0)], "Of everything on the walls."),
    _plain("take", "take", Annotated[str, Meta(max_length=80)],
           "Name of the take that rolls; empty: none. While one does, time does not jump."),
    _plain("cues/list", "cues", list[Cue], "The whole cue list, in its order."),
    Address("cues/at", "", CuesAt, "Where the cue list stands: what has gone.", lambda show, _: show.cues_at,
            lambda show, _, at, __: msgspec.structs.replace(show, cues_at=at.stopped(show.cues_at))),
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
            "A line-up or test picture: true, false, or the walls, canvases and cameras it shows on.",
            _read_pattern, _write_pattern),
    Address("patterns", "", list[PlanPattern], "Every line-up and test picture that is on; []: none.",
            lambda show, _: show.patterns, _write_patterns),
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
            raise unknown_address(path, detail, f"use one of {', '.join(sorted(known)) or '(none)'}")
        return address, name
    if len(parts) > 2 and parts[0] == "scenes":
        return scene_address(parts[1], "/".join(parts[2:]), around), parts[1]
    framing = frame_line_address(parts, around)
    if framing is not None:
        return framing, parts[1]
    layered = layer_address(parts)
    if layered is not None:
        return layered, parts[1]
    look = look_address(parts, around)
    if look is not None:
        return look, ""
    raise unknown_address(
        path, "nothing to change is called this", "GET /api/v1/addresses lists all that can be changed"
    )


def convert(address: Address, path: str, value: Any) -> Any:
    """A value as its address takes it. Numbers are forgiving (1 for 1.0, 1 for true from OSC), never NaN.

    Raises
    ------
    BadValue : of the wrong type or out of range.
    """
    if address.pattern.endswith("/overscan_deg") and isinstance(value, int | float) and not isinstance(value, bool):
        value = [value] * 4
    if address.pattern.startswith("look/") and spreads(address) and isinstance(value, int | float):
        value = [value] * 3
    switch = address.kind in (bool, bool | None) or address.pattern.startswith("patterns/")
    if switch and value in (0, 1) and not isinstance(value, list):
        value = bool(value)
    for number in value if isinstance(value, list | tuple) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise bad_value(path, "not a finite number", str(number), address.about)
    try:
        return msgspec.convert(value, address.kind)
    except msgspec.ValidationError as error:
        raise bad_value(path, str(error), value, address.about) from None
