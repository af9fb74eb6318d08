"""From scene to scene: the switches of a show, and what of each scene a frame shows. Pure.

A switch is told once, with the frame it begins at, and is a function of time from then on: nobody keeps how far it
has come, so a conductor that was restarted in the middle of a dissolve goes on with it, and a replay shows the same.
It is bound to the instant of its frame, not to the number: time that jumps to another time code moves nothing.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from stage.plan import Matrix16, PlanScene, PlanWipe
from stage.rate import NS_PER_S, Rate

SwitchKind = Literal["cut", "dissolve", "wipe"]
Curve = Literal["linear", "smooth", "ease_in", "ease_out"]

MOST_WAITING: Final = 8
"""Switches that may wait for their frames at a time."""
LONGEST_FRAMES: Final = 100_000


class SwitchOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted: another scene on the walls, how, and from which frame on."""

    scene: str
    kind: SwitchKind = "cut"
    frames: Annotated[int, Meta(ge=0, le=LONGEST_FRAMES)] = 0
    """How many frames show both scenes; 0 is a cut."""
    curve: Curve = "linear"
    at_frame: Annotated[int, Meta(ge=0)] = 0
    """The first frame that shows anything of it; 0: as soon as it can be."""
    angle_deg: Annotated[float, Meta(ge=-360.0, le=360.0)] = 0.0
    """Which way a wipe runs: 0 from left to right, 90 from the floor up, 180 from right to left."""
    softness_deg: Annotated[float, Meta(ge=0.0, le=90.0)] = 5.0
    """Width of a wipe's edge."""


class Switch(Struct, frozen=True):
    """A switch of a show: away from a scene, to the next switch's scene (the last one's is the show's own)."""

    scene: str
    """The scene before it."""
    stage_from_scene: Matrix16
    """Where that scene lies."""
    begin_frame: int
    """As it was ordered; `begin_ns` is what counts."""
    begin_ns: int
    """When that frame is presented, CLOCK_MONOTONIC."""
    kind: SwitchKind = "cut"
    frames: int = 0
    curve: Curve = "linear"
    angle_deg: float = 0.0
    softness_deg: float = 5.0

    def step(self, t_present_ns: int, rate: Rate) -> int:
        """How many frames after its first one the frame at `t_present_ns` comes; negative before it."""
        return round((t_present_ns - self.begin_ns) * rate.num / (rate.den * NS_PER_S))

    def done(self, t_present_ns: int, rate: Rate) -> bool:
        """Whether nothing of the scene before is shown any more."""
        return self.step(t_present_ns, rate) >= self.frames


class Moment(Struct, frozen=True):
    """A frame that was planned lately, and when it is presented: what "now" is to an order."""

    frame: int
    t_present_ns: int
    scene_time_ns: int
    rate: Rate

    def frame_after(self, seconds: float) -> int:
        """The first frame so much later."""
        return self.frame + max(1, math.ceil(seconds * self.rate.hz))

    def present_ns(self, frame: int) -> int:
        """When a frame is presented, as far as can be known now."""
        return self.t_present_ns + self.rate.deadline_ns(0, frame) - self.rate.deadline_ns(0, self.frame)


def curved(curve: Curve, share: float) -> float:
    """How much of the new scene is shown, 0..1, when `share` of the time has passed."""
    x = min(1.0, max(0.0, share))
    match curve:
        case "smooth":
            return x * x * (3.0 - 2.0 * x)
        case "ease_in":
            return x * x
        case "ease_out":
            return x * (2.0 - x)
        case _:
            return x


def direction_of(angle_deg: float) -> tuple[float, float, float]:
    """The way a wipe runs, a unit vector in the stage frame: 0 is +X, 90 is +Z."""
    angle = math.radians(angle_deg)
    return (math.cos(angle), 0.0, math.sin(angle))


def under_way(switches: list[Switch], t_present_ns: int, rate: Rate) -> list[Switch]:
    """The switches that are not done at a frame, oldest first."""
    return [switch for switch in switches if not switch.done(t_present_ns, rate)]


def planned_scenes(
    scenes: list[PlanScene], switches: list[Switch], versions: dict[str, PlanScene], t_present_ns: int, rate: Rate
) -> list[PlanScene]:
    """What a frame shows.

    scenes : what the show comes to, once every switch is done; versions : by scene, an entry with its version and time
    (its weight and place are not looked at).
    """
    left = under_way(switches, t_present_ns, rate)
    if not left:
        return scenes
    switch = left[0]
    before = _entry(switch.scene, switch.stage_from_scene, versions)
    step = switch.step(t_present_ns, rate)
    if step < 0:
        return [before]
    if len(left) > 1:
        after = [_entry(left[1].scene, left[1].stage_from_scene, versions)]
    else:
        after = scenes
    # The first of n frames shows 1/(n+1) of the new scene, the last n/(n+1): the one before nothing, the one after all.
    share = curved(switch.curve, (step + 1) / (switch.frames + 1))
    if not after:
        return [before]
    if switch.kind == "wipe":
        half = switch.softness_deg / 2.0
        edge_deg = -(90.0 + half) + share * (180.0 + 2.0 * half)
        wipe = PlanWipe(direction_of(switch.angle_deg), edge_deg, switch.softness_deg)
        coming = PlanScene(
            after[0].id, after[0].version, share, after[0].stage_from_scene, wipe,
            after[0].time_speed, after[0].time_offset_ns,
        )  # fmt: skip
        return [_weighed(before, 1.0 - share), coming]
    if before.id == after[0].id and before.stage_from_scene == after[0].stage_from_scene:
        return after
    return [_weighed(before, 1.0 - share), *(_weighed(entry, share * entry.weight) for entry in after)]


def _entry(scene: str, stage_from_scene: Matrix16, versions: dict[str, PlanScene]) -> PlanScene:
    known = versions.get(scene)
    if known is None:
        return PlanScene(scene, 1, 1.0, stage_from_scene)
    return PlanScene(scene, known.version, 1.0, stage_from_scene, None, known.time_speed, known.time_offset_ns)


def _weighed(entry: PlanScene, weight: float) -> PlanScene:
    return PlanScene(
        entry.id, entry.version, weight, entry.stage_from_scene, entry.wipe, entry.time_speed, entry.time_offset_ns
    )
