"""Values of the show that move over time: what each frame's plan has of them. Pure.

As a switch of scenes is, a transition is told once, with the instant of its first frame, and is a function of time
from then on. The show holds the value it ends at; frames until then are planned with what lies between. So one that is
done needs nothing any more, a conductor that was restarted goes on with it, and plans alone tell what was shown.

Only what stands in plans as a number can move: everything else is changed at one frame (`FADED`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from controller.cards import MOVING as MOVING_OF_CARDS
from controller.chromakeys import MOVING as MOVING_OF_KEYS
from controller.switching import Moment, curved
from stage.grade import FIELDS as GRADE_FIELDS
from stage.grade import NEUTRAL, kelvin_between
from stage.rate import NS_PER_S, Rate

if TYPE_CHECKING:
    from controller.show import Show
    from stage.plan import PlanScene

FadeCurve = Literal["linear", "smooth", "ease_in", "ease_out", "s_curve", "cut_at_end"]

FADED: Final = re.compile(
    r"exposure_ev|outer/eye_m|cameras/[^/]+/"
    r"(overscan_margin_deg|overscan_min_deg|overscan_max_deg|soft_edge_deg|focus_blur_deg)"
    rf"|cards/[^/]+/({'|'.join(MOVING_OF_CARDS)})|chromakeys/[^/]+/({'|'.join(MOVING_OF_KEYS)})"
    rf"|look/(?:outer|inner|cameras/[^/]+|walls/[^/]+)/(?:{'|'.join(GRADE_FIELDS)})"
)
"""Addresses of the show whose values move. Live values of scenes do too (`controller.moves`); photo times and tracking
(delays, nudges) never."""

FADED_ABOUT: Final = (
    "exposure_ev, outer/eye_m, a camera's overscan margin and limits, soft edge and focus blur, the numbers of "
    "cards and chroma keys, grades, and numbers, colours and switches of scenes move over time"
)


Way = Literal["number", "turn", "kelvin", "late"]
"""How a value goes from one end to the other: evenly; as an angle, the shorter way round; as a temperature, evenly in
reciprocal kelvin; or not at all, and only then at once (a lamp that goes out stays on until what else moves is there).
"""


class Transition(Struct, frozen=True):
    """One value on its way. The show itself holds where it ends."""

    address: str
    before: tuple[float, ...]
    """One number, or as many as the address takes."""
    begin_ns: int
    """When its first frame is presented, CLOCK_MONOTONIC."""
    frames: int
    """How many frames show something between; 0: none."""
    curve: FadeCurve = "linear"
    after: tuple[float, ...] = ()
    """Where a live value of a scene ends (the show may hold no more than that it is as configured); of other addresses
    the show tells."""
    way: Way = "number"

    def step(self, t_present_ns: int, rate: Rate) -> int:
        """How many frames after its first one the frame at `t_present_ns` comes; negative before it."""
        return round((t_present_ns - self.begin_ns) * rate.num / (rate.den * NS_PER_S))

    def done(self, t_present_ns: int, rate: Rate) -> bool:
        """Whether the value is where it ends."""
        return self.step(t_present_ns, rate) >= self.frames


def eased(curve: FadeCurve, share: float) -> float:
    """How far a value has come, 0..1, when `share` of the time has passed."""
    match curve:
        case "s_curve":
            x = min(1.0, max(0.0, share))
            return x * x * x * (x * (6.0 * x - 15.0) + 10.0)
        case "cut_at_end":
            return 1.0 if share >= 1.0 else 0.0
        case _:
            return curved(curve, share)


def numbers_at(transition: Transition, after: tuple[float, ...], t_present_ns: int, rate: Rate) -> tuple[float, ...]:
    """Where a value stands at a frame. Its first of n frames is 1/(n+1) of the way, the last n/(n+1)."""
    step = transition.step(t_present_ns, rate)
    if step < 0:
        return transition.before
    if step >= transition.frames:
        return after
    share = eased(transition.curve, (step + 1) / (transition.frames + 1))
    return tuple(_between(transition.way, b, a, share) for b, a in zip(transition.before, after, strict=True))


def _between(way: Way, before: float, after: float, share: float) -> float:
    match way:
        case "turn":
            # Around the end of the range, where there is more of it on the other side.
            angle = before + ((after - before + 180.0) % 360.0 - 180.0) * share
            return angle - math.copysign(360.0, angle) if abs(angle) > 360.0 else angle
        case "kelvin":
            return kelvin_between(before, after, share)
        case "late":
            return before
        case _:
            return before + (after - before) * share


def moving_values(show: Show, t_present_ns: int, rate: Rate) -> dict[str, dict[str, Any]]:
    """Live values of scenes that stand otherwise at a frame than in the show: by scene and address below it."""
    found: dict[str, dict[str, Any]] = {}
    for transition in show.transitions:
        if transition.address.startswith("scenes/") and not transition.done(t_present_ns, rate):
            _, scene, below = transition.address.split("/", 2)
            numbers = numbers_at(transition, transition.after, t_present_ns, rate)
            value: Any = list(numbers) if len(numbers) > 1 else numbers[0]
            found.setdefault(scene, {})[below] = bool(value) if transition.way == "late" else value
    return found


def with_moving(scenes: list[PlanScene], show: Show, t_present_ns: int, rate: Rate) -> list[PlanScene]:
    """A plan's scenes with what moves of them; the very same list when nothing does."""
    moving = moving_values(show, t_present_ns, rate) if show.transitions else {}
    if not any(scene.id in moving for scene in scenes):
        return scenes
    return [msgspec.structs.replace(scene, moving=moving.get(scene.id, {})) for scene in scenes]


def show_at(show: Show, t_present_ns: int, rate: Rate) -> Show:
    """The show as a frame has it: the very same object when nothing moves."""
    for transition in show.transitions:
        if not transition.done(t_present_ns, rate) and not transition.address.startswith("scenes/"):
            after = numbers_of(show, transition.address)
            if len(after) != len(transition.before):
                continue
            show = with_numbers(show, transition.address, numbers_at(transition, after, t_present_ns, rate))
    return show


def with_transitions(
    shown: Show,
    show: Show,
    addresses: Collection[str],
    *,
    frames: int,
    curve: FadeCurve,
    moment: Moment,
    begin_ns: int,
) -> Show:
    """`show` with the values at `addresses` (as `FADED`) on their way there from where `shown` has them.

    begin_ns : when the first frame that moves is presented. Transitions that are done are left out.
    """
    still = show_at(shown, begin_ns, moment.rate)
    new = [
        Transition(address, before, begin_ns, frames, curve, way=way_of(address))
        for address in addresses
        if (before := numbers_of(still, address)) and before != numbers_of(show, address)
    ]
    kept = [
        transition
        for transition in show.transitions
        if transition.address not in addresses and not transition.done(moment.t_present_ns, moment.rate)
    ]
    return msgspec.structs.replace(show, transitions=[*kept, *new])


def way_of(address: str) -> Way:
    """How a value of the show goes."""
    return "kelvin" if address.endswith("/temperature_k") else "number"


def taken_over(show: Show, address: str) -> Show:
    """The show with whatever moves at an address ended: somebody has set it."""
    if not any(transition.address == address for transition in show.transitions):
        return show
    left = [transition for transition in show.transitions if transition.address != address]
    return msgspec.structs.replace(show, transitions=left)


def taken_over_below(show: Show, prefix: str) -> Show:
    """The show with whatever moves at addresses that begin so ended: what they belong to was set whole."""
    left = [transition for transition in show.transitions if not transition.address.startswith(prefix)]
    return show if len(left) == len(show.transitions) else msgspec.structs.replace(show, transitions=left)


def numbers_of(show: Show, address: str) -> tuple[float, ...]:
    """What a show holds at an address that may move; nothing where what it belongs to is not there."""
    if address == "exposure_ev":
        return (show.exposure_ev,)
    if address == "outer/eye_m":
        return tuple(show.eye_m)
    if address.startswith(("cards/", "chromakeys/")):
        kind, one, name = address.split("/")
        held = (show.cards if kind == "cards" else show.chromakeys).get(one)
        value = () if held is None else getattr(held, name)
        return tuple(value) if isinstance(value, tuple | list) else (value,)
    if address.startswith("look/"):
        layer, _, name = address.removeprefix("look/").rpartition("/")
        value = getattr(show.grades.get(layer, NEUTRAL), name)
        return tuple(value) if isinstance(value, tuple | list) else (value,)
    _, camera, name = address.split("/")
    return (getattr(show.cameras[camera], name),)


def with_numbers(show: Show, address: str, numbers: tuple[float, ...]) -> Show:
    """The show with other numbers at such an address."""
    if address == "exposure_ev":
        return msgspec.structs.replace(show, exposure_ev=numbers[0])
    if address == "outer/eye_m":
        x, y, z = numbers
        return msgspec.structs.replace(show, eye_m=(x, y, z))
    if address.startswith(("cards/", "chromakeys/")):
        kind, one, name = address.split("/")
        held = getattr(show, kind)
        moved = msgspec.structs.replace(held[one], **{name: numbers if len(numbers) > 1 else numbers[0]})
        return msgspec.structs.replace(show, **{kind: {**held, one: moved}})
    if address.startswith("look/"):
        layer, _, name = address.removeprefix("look/").rpartition("/")
        value = numbers if len(numbers) > 1 else numbers[0]
        grade = msgspec.structs.replace(show.grades.get(layer, NEUTRAL), **{name: value})
        return msgspec.structs.replace(show, grades={**show.grades, layer: grade})
    _, camera, name = address.split("/")
    settings = msgspec.structs.replace(show.cameras[camera], **{name: numbers[0]})
    return msgspec.structs.replace(show, cameras={**show.cameras, camera: settings})
