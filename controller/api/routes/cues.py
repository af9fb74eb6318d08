"""The cue list: cues are put, ordered and looked at; GO, BACK, and time code."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import Request
from fastapi.responses import Response

from controller.api.http import (
    Here,
    answers,
    closed,
    needed_rev,
    only,
    read_object,
    router,
    send_json,
    send_outcome,
    takes,
    who,
)
from controller.api.problems import problem
from controller.api.schema import plain_schema
from controller.api.views import OutcomeView
from controller.api.views_cues import CueChangeView, CueListView, CuePreviewView
from controller.cues import Cue, find_cue
from controller.errors import BadValue

routes = router()


def _cue_schema(*, whole: bool) -> dict[str, Any]:
    schema = plain_schema(Cue)
    schema = schema.get("allOf", [schema])[0]
    properties = {name: value for name, value in schema["properties"].items() if name != "id"}
    found: dict[str, Any] = closed(properties)
    return {**found, "required": ["number"]} if whole else found


_ORDER: Final[dict[str, Any]] = closed({"ids": {"type": "array", "items": {"type": "string"}}}, "ids")
_CHASE: Final[dict[str, Any]] = closed({"on": {"type": "boolean"}}, "on")
_GO: Final[dict[str, Any]] = closed(
    {"number": {"type": "string", "description": "Number or id; left out: the next one."}}
)


@routes.get("/cues", responses=answers(CueListView), tags=["cues"])
async def get_cues(control: Here) -> Response:
    """The cue list, the cue that went last, the one that GO plays, and those that wait for their time."""
    return send_json(control.cues.view())


@routes.post("/cues/go", responses=answers(OutcomeView), openapi_extra=takes(_GO, required=False), tags=["cues"])
async def go(request: Request, control: Here) -> Response:
    """GO: the next cue, or the one of a number. Acts in a take, too."""
    body = await read_object(request, optional=True)
    only(body, "number")
    number = body.get("number", "")
    if not isinstance(number, str):
        raise problem(BadValue, "cues/go/number", "needs text", value=number, mend='{"number": "12.5"}')
    return send_outcome(await control.cues.go(number, who=who(request)))


@routes.post("/cues/back", responses=answers(OutcomeView), tags=["cues"])
async def go_back(request: Request, control: Here) -> Response:
    """BACK: as it was before the last cue, as far as that changed it; at one frame. What waits goes no more."""
    return send_outcome(await control.cues.back(who=who(request)))


@routes.post("/cues/stop", responses=answers(OutcomeView), tags=["cues"])
async def stop(request: Request, control: Here) -> Response:
    """STOP: cues that wait for their time go no more; what moves goes on to its end."""
    return send_outcome(await control.cues.stop_waiting(who=who(request)))


@routes.post("/cues/chase", responses=answers(OutcomeView), openapi_extra=takes(_CHASE), tags=["cues"])
async def chase(request: Request, control: Here) -> Response:
    """Whether cues go by their time codes, each once until this is ordered again."""
    body = await read_object(request)
    only(body, "on")
    on = body.get("on")
    if not isinstance(on, bool):
        raise problem(BadValue, "cues/chase", "needs `on`, true or false", value=on, mend='{"on": true}')
    return send_outcome(await control.cues.chase(on, who=who(request)))


@routes.put("/cues/order", responses=answers(OutcomeView), openapi_extra=takes(_ORDER), tags=["cues"])
async def put_order(request: Request, control: Here) -> Response:
    """Put the list in another order: the id of every cue, once. Needs If-Match."""
    needed_rev(request, control.desk.rev_of("cues"), "cues")
    body = await read_object(request)
    only(body, "ids")
    return send_outcome(await control.cues.reorder(body.get("ids"), who=who(request)))


@routes.put("/cues/{cue}", responses=answers(OutcomeView), openapi_extra=takes(_cue_schema(whole=True)), tags=["cues"])
async def put_cue(request: Request, control: Here, cue: str) -> Response:
    """Put a cue in the place of the one of its id, or at the end of the list."""
    return send_outcome(await control.cues.put(cue, await read_object(request), who=who(request)))


@routes.patch(
    "/cues/{cue}", responses=answers(OutcomeView), openapi_extra=takes(_cue_schema(whole=False)), tags=["cues"]
)
async def patch_cue(request: Request, control: Here, cue: str) -> Response:
    """Change fields of a cue; `changes` is replaced as a whole."""
    held = find_cue(control.desk.show.cues, cue)
    body = {**msgspec.to_builtins(held), **await read_object(request)}
    return send_outcome(await control.cues.put(held.id, body, who=who(request)))


@routes.delete("/cues/{cue}", responses=answers(OutcomeView), tags=["cues"])
async def delete_cue(request: Request, control: Here, cue: str) -> Response:
    """Take a cue out of the list."""
    return send_outcome(await control.cues.delete(cue, who=who(request)))


@routes.post("/cues/{cue}/go", responses=answers(OutcomeView), tags=["cues"])
async def go_cue(request: Request, control: Here, cue: str) -> Response:
    """GO to the cue of a number or id."""
    return send_outcome(await control.cues.go(cue, who=who(request)))


@routes.get("/cues/{cue}/preview", responses=answers(CuePreviewView), tags=["cues"])
async def get_preview(control: Here, cue: str) -> Response:
    """What a cue would change now: every address, before and after."""
    changes = control.cues.preview(cue)
    view = {path: CueChangeView(change.before, change.after) for path, change in changes.items()}
    return send_json(CuePreviewView(cue, view))
