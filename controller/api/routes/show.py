"""What is on the walls: positions, line-up pictures, the show's own settings, actions, undo."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from controller.action import ACTIONS
from controller.api import present
from controller.api.control import Control
from controller.api.http import (
    Here,
    answers,
    change,
    checked_rev,
    closed,
    known,
    only,
    read_object,
    router,
    send_json,
    send_outcome,
    takes,
    who,
)
from controller.api.problems import problem
from controller.api.schema import show_schema
from controller.api.timed import TIMED, timed
from controller.api.views import (
    ActionView,
    AddressView,
    LockView,
    OutcomeView,
    PatternView,
    PositionView,
    ShowView,
)
from controller.api.views_access import HandsView
from controller.commands import Command, apply
from controller.errors import BadValue
from controller.show_lock import LOCK_STATES, MOST_MARKED, lock_order

routes = router()
_ID: Final[dict[str, Any]] = closed({"id": {"type": "string", "description": "Empty: the scene's origin."}}, "id")
_PATTERN: Final[dict[str, Any]] = closed(
    {
        "on": {"type": "boolean"},
        "targets": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Walls, canvases and cameras; empty: all.",
        },
    },
    "on",
)
_LOCK: Final[dict[str, Any]] = closed(
    {
        "state": {"type": "string", "enum": list(LOCK_STATES)},
        "take": {"type": "string", "maxLength": 80},
        "reason": {"type": "string", "maxLength": 500},
        "acts": {
            "type": "array",
            "items": {"type": "string", "maxLength": 200},
            "maxItems": MOST_MARKED,
            "description": "Addresses of sliders that act in the take all the same.",
        },
    },
    "state",
)
_UNDO: Final[dict[str, Any]] = closed(
    {
        "prefix": {"type": "string", "description": "Only changes at or under this address."},
        "mine": {
            "type": "boolean",
            "description": "Only of whoever asks; refused where somebody else has changed the same since.",
        },
    }
)


@routes.get("/show", responses=answers(ShowView), tags=["show"])
async def get_show(control: Here) -> Response:
    """What holds for the whole show."""
    return send_json(present.show(control.desk, control.backend))


@routes.patch("/show", responses=answers(OutcomeView), openapi_extra={**takes(show_schema()), **TIMED}, tags=["show"])
async def patch_show(request: Request, control: Here) -> Response:
    """Change exposure, the outer picture, the scene, the position, or name the take that rolls."""
    checked_rev(request, control.desk.rev, "show")
    names = {"outer_mode": "outer/mode", "outer_every_frames": "outer/every_frames", "eye_m": "outer/eye_m",
             "scene": "scenes/active"}  # fmt: skip
    body = await read_object(request)
    only(body, "scene", "position", "exposure_ev", "outer_mode", "outer_every_frames", "eye_m", "take")
    changes = {names.get(name, name): value for name, value in body.items()}
    # A scene brings its own position: one that is named with it comes after.
    ordered = dict(sorted(changes.items(), key=lambda item: item[0] == "position"))
    seconds, curve = timed(request)
    return send_outcome(await change(control, Command(ordered, who=who(request), seconds=seconds, curve=curve)))


@routes.get("/positions", responses=answers(PositionView, many=True), tags=["show"])
async def get_positions(control: Here) -> Response:
    """Every named stage position by id."""
    return send_json(present.positions(control.desk), rev=control.desk.rev_of("position"))


@routes.get("/positions/{position}", responses=answers(PositionView), tags=["show"])
async def get_position(control: Here, position: str) -> Response:
    """One named stage position."""
    known(position, control.desk.around.positions, f"positions/{position}")
    return send_json(present.positions(control.desk)[position])


@routes.post("/positions/{position}/activate", responses=answers(OutcomeView), tags=["show"])
async def activate_position(request: Request, control: Here, position: str) -> Response:
    """Put the stage at a position of the virtual world."""
    known(position, control.desk.around.positions, f"positions/{position}")
    return send_outcome(await change(control, Command({"position": position}, who=who(request))))


@routes.put("/position", responses=answers(OutcomeView), openapi_extra=takes(_ID), tags=["show"])
async def put_position(request: Request, control: Here) -> Response:
    """The same, named in the body: `{"id": "hill"}`."""
    body = await read_object(request)
    only(body, "id")
    return send_outcome(await change(control, Command({"position": body.get("id")}, who=who(request))))


@routes.get("/patterns", responses=answers(PatternView, many=True), tags=["line-up"])
async def get_patterns(control: Here) -> Response:
    """Every line-up picture by kind."""
    return send_json(present.patterns(control.desk), rev=control.desk.rev)


@routes.delete("/patterns", responses=answers(OutcomeView), tags=["line-up"])
async def clear_patterns(request: Request, control: Here) -> Response:
    """Switch every line-up and test picture off."""
    return send_outcome(await change(control, Command({"patterns": []}, who=who(request))))


@routes.get("/patterns/{pattern}", responses=answers(PatternView), tags=["line-up"])
async def get_pattern(control: Here, pattern: str) -> Response:
    """One line-up picture."""
    known(pattern, control.desk.around.patterns, f"patterns/{pattern}")
    return send_json(present.pattern(control.desk, pattern))


@routes.put("/patterns/{pattern}", responses=answers(OutcomeView), openapi_extra=takes(_PATTERN), tags=["line-up"])
async def put_pattern(request: Request, control: Here, pattern: str) -> Response:
    """Switch a line-up picture: `{"on": true, "targets": ["main"]}`."""
    known(pattern, control.desk.around.patterns, f"patterns/{pattern}")
    body = await read_object(request)
    only(body, "on", "targets")
    on, targets = body.get("on"), body.get("targets", [])
    if not isinstance(on, bool) or not isinstance(targets, list):
        raise problem(BadValue, f"patterns/{pattern}", "needs `on`, true or false", value=on, mend='{"on": true}')
    value: object = (targets or True) if on else False
    return send_outcome(await change(control, Command({f"patterns/{pattern}": value}, who=who(request))))


@routes.get("/action", responses=answers(ActionView), tags=["action"])
async def get_action(control: Here) -> Response:
    """BLACK, HOLD, SAFE, WORK or none, and which nodes obey it."""
    return send_json(present.action(control.backend))


@routes.post("/actions/{action}", responses=answers(ActionView), tags=["action"])
async def order_action(control: Here, action: str) -> Response:
    """Order black, hold, safe or work on every wall; none gives the walls back to the show."""
    name = ACTIONS[ACTIONS.index(known(action, ACTIONS, f"actions/{action}"))]
    control.order(name)
    return send_json(present.action(control.backend))


@routes.get("/hands", responses=answers(HandsView), tags=["show"])
async def get_hands(control: Here) -> Response:
    """Whose hand is on which slider now, and whose was there just before."""
    return send_json(control.hands.view(control.clock.now_ns()))


@routes.get("/lock", responses=answers(LockView), tags=["action"])
async def get_lock(control: Here) -> Response:
    """How the show lock stands: open, armed, rolling or locked; who holds it, and for which take."""
    return send_json(_lock_view(control))


@routes.put("/lock", responses=answers(LockView), openapi_extra=takes(_LOCK), tags=["action"])
async def put_lock(request: Request, control: Here) -> Response:
    """Move the lock on: `{"state": "rolling", "take": "12A/3"}`. While it rolls or is locked, only BLACK, HOLD, SAFE,
    WORK, GO and BACK, captures, the sliders in `acts` and the lock itself act; all else answers 423. Whoever does not
    hold it breaks it with a `reason`, which is kept."""
    order = lock_order(await read_object(request))
    # A step of nothing: it is refused where there is no such slider.
    apply(control.desk.show, Command(steps=dict.fromkeys(order.acts or [], 0.0)), control.desk.around_now)
    await control.desk.lock(order, who=who(request))
    return send_json(_lock_view(control))


def _lock_view(control: Control) -> LockView:
    lock = control.desk.show.lock
    return LockView(control.desk.rev_of("lock"), lock.state, lock.holder, lock.take, lock.reason, lock.acts)


@routes.post("/undo", responses=answers(OutcomeView), openapi_extra=takes(_UNDO, required=False), tags=["show"])
async def undo(request: Request, control: Here) -> Response:
    """Take back the newest change that was not taken back yet, anywhere or under an address: whoever's it was, which
    the answer tells (`undoes`); or `mine` alone. Who may make a change may take it back."""
    prefix, mine = await _which(request)
    return send_outcome(await control.desk.undo(prefix, who=who(request), mine=mine))


@routes.post("/redo", responses=answers(OutcomeView), openapi_extra=takes(_UNDO, required=False), tags=["show"])
async def redo(request: Request, control: Here) -> Response:
    """Bring back what the newest undo (or the newest of `mine`) took back, anywhere or under an address, if nothing was
    changed there since."""
    prefix, mine = await _which(request)
    return send_outcome(await control.desk.redo(prefix, who=who(request), mine=mine))


async def _which(request: Request) -> tuple[str, bool]:
    body = await read_object(request, optional=True)
    only(body, "prefix", "mine")
    prefix, mine = body.get("prefix", ""), body.get("mine", False)
    if not isinstance(prefix, str):
        raise problem(BadValue, "prefix", "an address", value=prefix, mend='for example "cameras/a"')
    if not isinstance(mine, bool):
        raise problem(BadValue, "mine", "true or false", value=mine, mend="true: only your own changes")
    return prefix.strip("/"), mine


@routes.get("/addresses", tags=["show"], responses=answers("Addresses"))
async def get_addresses(control: Here) -> Response:
    """Everything that can be changed while the show runs; the same paths are OSC addresses."""
    addresses: list[AddressView] = present.addresses(control.desk)
    return send_json({"addresses": addresses}, rev=control.desk.rev_of("config"))
