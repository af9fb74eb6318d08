"""Relays: where cameras' poses go on to, added, changed and removed while the show runs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import Path, Request
from fastapi.responses import Response

from controller.api import present_relays
from controller.api.http import (
    Here,
    answers,
    known,
    needed_rev,
    read_object,
    router,
    send_json,
    send_outcome,
    takes,
    who,
)
from controller.api.views import OutcomeView
from controller.api.views_relays import RelayView
from controller.config_patch import with_relay

routes = router()
RelayId = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["camera", "protocol", "targets"],
    "description": "As under tracking/relays of a configuration (openvolume schema config)",
}


@routes.get("/relays", responses=answers(RelayView, many=True), tags=["sources"])
async def get_relays(control: Here) -> Response:
    """Every relay by id: what it sends, to whom, and whether it does."""
    return send_json(present_relays.relays(control.desk, control.backend), rev=control.desk.rev_of("config"))


@routes.get("/relays/{relay}", responses=answers(RelayView), tags=["sources"])
async def get_relay(control: Here, relay: str) -> Response:
    """One relay."""
    known(relay, control.desk.loaded.config.tracking.relays, f"relays/{relay}")
    return send_json(present_relays.relay(control.desk, control.backend, relay))


@routes.put("/relays/{relay}", responses=answers(OutcomeView), openapi_extra=takes(_BODY), tags=["sources"])
async def put_relay(request: Request, control: Here, relay: RelayId) -> Response:
    """Add a relay, or replace one: a change of the configuration, by prepare and commit. If-Match carries the
    configuration's revision."""
    rev = control.desk.rev_of("config")
    needed_rev(request, rev, "config")
    body = await read_object(request)
    loaded = await asyncio.to_thread(with_relay, control.desk.loaded, relay, body)
    return send_outcome(await control.desk.replace_config(loaded, who=who(request), rev=rev))


@routes.delete("/relays/{relay}", responses=answers(OutcomeView), tags=["sources"])
async def delete_relay(request: Request, control: Here, relay: RelayId) -> Response:
    """Remove a relay. If-Match carries the configuration's revision."""
    rev = control.desk.rev_of("config")
    needed_rev(request, rev, "config")
    loaded = await asyncio.to_thread(with_relay, control.desk.loaded, relay, None)
    return send_outcome(await control.desk.replace_config(loaded, who=who(request), rev=rev))
