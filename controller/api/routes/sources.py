"""Tracking sources: their health, and the line-up nudge of where the tracker's world lies in the stage."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from controller.api import present
from controller.api.http import (
    Here,
    answers,
    change,
    checked_rev,
    flat,
    known,
    only,
    read_object,
    router,
    send_json,
    send_outcome,
    takes,
    who,
)
from controller.api.schema import NUDGE_FIELDS, patch_schema, steps_schema, zero_schema
from controller.api.views import OutcomeView, SourceView
from controller.commands import Command

routes = router()


@routes.get("/sources", responses=answers(SourceView, many=True), tags=["sources"])
async def get_sources(control: Here) -> Response:
    """Every tracking source by id."""
    desk = control.desk
    found = {name: present.source(desk, control.backend, name) for name in desk.loaded.config.tracking.sources}
    return send_json(found, rev=desk.rev)


@routes.get("/sources/{source}", responses=answers(SourceView), tags=["sources"])
async def get_source(control: Here, source: str) -> Response:
    """One tracking source."""
    known(source, control.desk.around.sources, f"sources/{source}")
    return send_json(present.source(control.desk, control.backend, source))


@routes.patch(
    "/sources/{source}", responses=answers(OutcomeView), openapi_extra=takes(patch_schema("sources")), tags=["sources"]
)
async def patch_source(request: Request, control: Here, source: str) -> Response:
    """Set the nudge of `stage_from_tracker` or the delays, absolutely: `{"nudge": {"x_m": 0.012}}`,
    `{"delays": {"rotation_frames": 0.5}}`."""
    known(source, control.desk.around.sources, f"sources/{source}")
    checked_rev(request, control.desk.rev_of(f"sources/{source}"), f"sources/{source}")
    changes = flat(f"sources/{source}", await read_object(request), nested=("nudge", "delays"))
    return send_outcome(await change(control, Command(changes, who=who(request))))


@routes.post(
    "/sources/{source}/nudge", responses=answers(OutcomeView), openapi_extra=takes(steps_schema()), tags=["sources"]
)
async def nudge_source(request: Request, control: Here, source: str) -> Response:
    """Add to the nudge; a line-up step is 1 mm or 0.01 degree: `{"x_m": 0.001, "pan_deg": -0.01}`."""
    known(source, control.desk.around.sources, f"sources/{source}")
    body = await read_object(request)
    only(body, *NUDGE_FIELDS)
    steps = {f"sources/{source}/nudge/{name}": value for name, value in body.items()}
    return send_outcome(await change(control, Command(steps=steps, who=who(request))))


@routes.post(
    "/sources/{source}/zero",
    responses=answers(OutcomeView),
    openapi_extra=takes(zero_schema(), required=False),
    tags=["sources"],
)
async def zero_source(request: Request, control: Here, source: str) -> Response:
    """Set zero: the camera, where it stands now, is at the given pose (left out: at its configured one)."""
    known(source, control.desk.around.sources, f"sources/{source}")
    body = await read_object(request, optional=True)
    return send_outcome(await control.zero(source, body, who=who(request)))


@routes.post("/sources/{source}/undo", responses=answers(OutcomeView), tags=["sources"])
async def undo_source(request: Request, control: Here, source: str) -> Response:
    """Take back the last change of this source's nudge."""
    known(source, control.desk.around.sources, f"sources/{source}")
    return send_outcome(await control.desk.undo(f"sources/{source}", who=who(request)))
