"""What is kept of a running show when its configuration changes: live changes, where there is room for them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from controller.layer_addresses import settled_layers
from controller.looks import layers_of
from controller.scene_addresses import write_position
from controller.show import CameraSettings, Nudge, Show
from controller.surroundings import Surroundings

if TYPE_CHECKING:
    from controller.config import LoadedConfig


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
        cards=old.cards,
        chromakeys=old.chromakeys,
        scene_states=old.scene_states,
        looks=old.looks,
        look=old.look,
        grades=old.grades,
        grades_version=old.grades_version,
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


def with_states_of(show: Show, before: LoadedConfig | None, now: LoadedConfig) -> Show:
    """The show without the compiled states of scenes that another configuration has otherwise: edits stay.

    before : the configuration the show ran with; None: nobody knows it.
    """
    same = set[str]()
    if before is not None and before.base_dir == now.base_dir:
        same = {name for name, scene in now.config.scenes.items() if before.config.scenes.get(name) == scene}
    states = {n: s if n in same else msgspec.structs.replace(s, key="") for n, s in show.scene_states.items()}
    return msgspec.structs.replace(show, scene_states=states)


def made_by_hand(show: Show) -> dict[str, list[str]]:
    """What of a show is in no configuration, by name: for words about what is kept and what is not."""
    return {
        "cue": [cue.number for cue in show.cues],
        "look": sorted(show.looks),
        "card": sorted(show.cards),
        "key": sorted(show.chromakeys),
        "grade": sorted(show.grades),
        "edited scene": sorted(name for name, state in show.scene_states.items() if state.edits),
        "line-up": sorted(name for name, nudge in show.nudges.items() if nudge != Nudge()),
    }


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
        show = write_position(show, "", wanted.position, around)
    layers = layers_of(around.cameras, around.walls)
    grades = {layer: grade for layer, grade in show.grades.items() if layer in layers}
    show = msgspec.structs.replace(show, grades=grades)
    targets = around.walls | around.cameras | around.canvases
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
    show = settled_layers(msgspec.structs.replace(show, processor_settings=settings), around.walls, around.cameras)
    return msgspec.structs.replace(
        show, patterns=patterns, nudges=nudges, delays=delays, cameras=cameras, outputs=outputs, processor_frames=frames
    )
