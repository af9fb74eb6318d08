"""Takes over HTTP: listed, marked, noted, and played on the walls again. The show lock makes them (`PUT /lock`)."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import Path, Query, Request
from fastapi.responses import Response

from controller.api.http import Here, answers, closed, only, read_object, router, send_json, takes
from controller.api.problems import problem
from controller.api.views_takes import TakesView, TakeView
from controller.errors import BadValue
from controller.takes.take import MARKS, TakeEdit

routes = router()
Number = Annotated[int, Path(ge=1, le=2**53)]
Before = Annotated[int | None, Query(ge=1, description="Only takes with a lower number.")]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
_EDIT: Final[dict[str, Any]] = closed(
    {
        "slate": {"type": "string", "minLength": 1, "maxLength": 60},
        "number": {"type": "integer", "minimum": 1, "maximum": 9999},
        "mark": {"type": "string", "enum": list(MARKS), "description": "circle: to be printed; ng: no good."},
        "notes": {"type": "string", "maxLength": 4000},
    }
)
_PLAY: Final[dict[str, Any]] = closed({"loop": {"type": "boolean", "description": "Begin again at the end."}})


@routes.get("/takes", responses=answers(TakesView), tags=["takes"])
async def get_takes(control: Here, before: Before = None, limit: Limit = 100) -> Response:
    """The newest takes, newest first; `before`: those further back."""
    await control.takes.settled()
    return send_json(control.takes.view() if before is None else await control.takes.older(before, limit))


@routes.delete("/takes/replay", responses=answers(TakesView), tags=["takes"])
async def stop_replay(control: Here) -> Response:
    """End a replay: who really tracks is heard again. Harmless when nothing plays."""
    await control.takes.replay.stop()
    return send_json(control.takes.view())


@routes.get("/takes/{take}", responses=answers(TakeView), tags=["takes"])
async def get_take(control: Here, take: Number) -> Response:
    """One of them."""
    return send_json(await control.takes.get(take))


@routes.patch("/takes/{take}", responses=answers(TakeView), openapi_extra=takes(_EDIT), tags=["takes"])
async def patch_take(request: Request, control: Here, take: Number) -> Response:
    """Mark it, note something, put slate or number right; while it rolls, too: `{"mark": "circle"}`."""
    body = await read_object(request)
    try:
        edit = msgspec.convert(body, TakeEdit)
    except msgspec.ValidationError as error:
        mend = "slate, number (1 to 9999), mark (circle, ng, hold or empty), notes"
        raise problem(BadValue, f"takes/{take}", str(error), value=body, mend=mend) from error
    return send_json(await control.takes.edit(take, edit))


@routes.post("/takes/{take}/replay", responses=answers(TakesView), openapi_extra=takes(_PLAY), tags=["takes"])
async def play_take(request: Request, control: Here, take: Number) -> Response:
    """Play its tracking on the walls again, in the scene that stands now. Nobody else is heard meanwhile."""
    body = await read_object(request)
    only(body, "loop")
    loop = body.get("loop", False)
    if not isinstance(loop, bool):
        raise problem(BadValue, "loop", "neither true nor false", value=loop, mend="leave it out to play it once")
    await control.takes.play(take, loop=loop)
    return send_json(control.takes.view())
