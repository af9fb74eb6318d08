"""Addresses of scenes: which is on air and how it comes there, its place, compiled state, time, live values. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from controller.address import Address, bad_value, unknown_address
from controller.errors import UnknownAddress
from controller.show import ActiveScene, SceneState, Show, Transport
from controller.surroundings import Surroundings
from controller.switching import MOST_WAITING, Switch, SwitchOrder, under_way
from stage.errors import Problem
from stage.frames import inverse_pose
from stage.plan import matrix16

_KEY: Final = re.compile(r"[0-9a-f]{32}")
SWITCH_LEAD_S: Final = 0.15
"""A switch that names no frame begins so much later: its version must hold on every process by then."""


def read_scene(show: Show, _: str) -> str:
    """The scene on air, or that comes on air; empty: none."""
    return max(show.scenes, key=lambda scene: scene.weight).id if show.scenes else ""


def write_scene(show: Show, _: str, order: str | SwitchOrder, around: Surroundings) -> Show:
    """The show with another scene on air, at its own position: at once, or by a switch that waits. Raises BadValue."""
    wanted = SwitchOrder(order) if isinstance(order, str) else order
    scene, moment = wanted.scene, around.moment
    if scene not in around.scenes:
        raise bad_value(
            "scenes/active", "no scene of this show", scene, f"use one of {', '.join(around.scenes) or '(none)'}"
        )
    waiting = under_way(show.switches, moment.t_present_ns, moment.rate) if moment is not None else []
    frames = 0 if wanted.kind == "cut" else wanted.frames
    if moment is None or not (frames or wanted.at_frame):
        if [active.id for active in show.scenes] == [scene] and not waiting:
            return show
        # At once: whatever is under way or waits ends with it.
        show = msgspec.structs.replace(show, scenes=[ActiveScene(scene)], switches=[])
        return write_position(show, "", around.scene_positions.get(scene, ""), around)
    begin = wanted.at_frame or moment.frame_after(SWITCH_LEAD_S)
    if wanted.at_frame and wanted.at_frame <= moment.frame:
        detail = f"frame {wanted.at_frame} has passed"
        raise bad_value(
            "scenes/active", detail, wanted.at_frame, f"name a frame after {moment.frame_after(SWITCH_LEAD_S)}"
        )
    if waiting:
        ends = waiting[-1].begin_frame + waiting[-1].frames
        if wanted.at_frame and wanted.at_frame < ends:
            detail = f"the switch before it is done at frame {ends}"
            raise bad_value("scenes/active", detail, wanted.at_frame, f"name frame {ends} or a later one, or cut")
        if len(waiting) >= MOST_WAITING:
            raise bad_value("scenes/active", f"{len(waiting)} switches wait already", scene, "cut, or wait")
        begin = max(begin, ends)
    before = read_scene(show, "")
    if not before:
        show = msgspec.structs.replace(show, scenes=[ActiveScene(scene)])
        return write_position(show, "", around.scene_positions.get(scene, ""), around)
    if before == scene:
        return show
    switch = Switch(
        before, show.stage_from_scene, begin, moment.present_ns(begin), wanted.kind, frames, wanted.curve,
        wanted.angle_deg, wanted.softness_deg,
    )  # fmt: skip
    show = msgspec.structs.replace(show, scenes=[ActiveScene(scene)], switches=[*waiting, switch])
    return write_position(show, "", around.scene_positions.get(scene, ""), around)


def write_position(show: Show, _: str, name: str, around: Surroundings) -> Show:
    """The show with the stage elsewhere in the virtual world. Raises BadValue."""
    if name == "":
        return msgspec.structs.replace(show, position="", stage_from_scene=matrix16(np.eye(4)))
    if name not in around.positions:
        known = ", ".join(around.positions) or "(none)"
        raise bad_value("position", "no stage position of this show", name, f"use one of {known}")
    stage_from_scene = matrix16(inverse_pose(around.positions[name]))
    return msgspec.structs.replace(show, position=name, stage_from_scene=stage_from_scene)


def state_of(show: Show, scene: str) -> SceneState:
    """How a scene stands in a show."""
    return show.scene_states.get(scene, SceneState())


def with_state(show: Show, scene: str, **changes: Any) -> Show:
    """The show with a scene that stands otherwise; `changes` are fields of SceneState."""
    state = msgspec.structs.replace(state_of(show, scene), **changes)
    return msgspec.structs.replace(show, scene_states={**show.scene_states, scene: state})


def transport(name: str, kind: Any, about: str, read: Callable[[Transport], Any]) -> Address:
    """The row of one value of a scene's time."""

    def write(show: Show, scene: str, value: Any, around: Surroundings) -> Show:
        transport, moment, from_ns = state_of(show, scene).transport, around.moment, 0
        if moment is not None:
            # From a frame that is not planned yet: what was shown until then stays as it was.
            frame = moment.frame_after(SWITCH_LEAD_S)
            from_ns = (
                moment.scene_time_ns + moment.rate.deadline_ns(0, frame) - moment.rate.deadline_ns(0, moment.frame)
            )
        wanted = {"time_ns": round(value * 1e9)} if name == "time_s" else {name: value}
        return with_state(show, scene, transport=transport.changed(from_ns, **wanted))

    return Address(
        f"scenes/{{}}/transport/{name}", "scenes", kind, about, lambda show, s: read(state_of(show, s).transport), write
    )


def write_compiled(show: Show, scene: str, key: str, _: Surroundings) -> Show:
    """The show with another compiled state of a scene's files. Raises BadValue."""
    if key and not _KEY.fullmatch(key):
        raise bad_value(f"scenes/{scene}/compiled", "no compiled state", key, "take one of GET scenes/<id>/states")
    return with_state(show, scene, key=key)


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
        raise unknown_address(path, f"no scene {scene!r} in this show", f"use one of {known}")
    values = around.scene_values.get(scene)
    if values is None:
        raise unknown_address(
            path, "what can be edited of this scene is not known (yet)", "look at the alarms of its files"
        )
    problem = values.unknown(below)
    if problem is not None:
        raise UnknownAddress(Problem(UnknownAddress.code, path, problem.detail, None, problem.mend))

    def read(show: Show, name: str) -> Any:
        return state_of(show, name).edits.get(below)

    def write(show: Show, name: str, value: Any, _: Surroundings) -> Show:
        edits = dict(state_of(show, name).edits)
        if value is None:
            edits.pop(below, None)
        else:
            problem = values.fault(below, value)
            if problem is not None:
                raise bad_value(path, problem.detail, value, problem.mend)
            edits[below] = value
        return with_state(show, name, edits=edits)

    return Address(path, "", values.kind(below), values.about(below), read, write, values.number(below))
