"""The configuration: read whole, replaced whole by prepare and commit, with every revision kept to go back to."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query, Request
from fastapi.responses import Response

from controller.api.http import (
    JSON_TYPES,
    YAML_TYPES,
    Here,
    answers,
    media_type,
    needed_rev,
    router,
    send_json,
    send_outcome,
    takes,
    who,
)
from controller.api.problems import BadRequest, WrongMediaType, problem
from controller.api.views import CheckView, ConfigView, OutcomeView, RevisionView
from controller.config import LoadedConfig, compile_loaded, load_config_data, load_config_text
from controller.store import Revision

routes = router()
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
Before = Annotated[int | None, Query(ge=1, description="Only revisions older than this one.")]
Rev = Annotated[int, Path(ge=1)]
_BODY: dict[str, Any] = {"description": "A whole configuration (openvolume schema config)", "type": "object"}
_TYPES = (*sorted(JSON_TYPES - {"application/merge-patch+json"}), *sorted(YAML_TYPES))


@routes.get("/config", responses=answers(ConfigView), tags=["config"])
async def get_config(request: Request, control: Here) -> Response:
    """The running configuration; as YAML when that is asked for (Accept: application/yaml)."""
    loaded, rev = control.desk.loaded, control.desk.rev_of("config")
    accepted = {kind.partition(";")[0].strip() for kind in request.headers.get("accept", "").split(",")}
    if accepted & YAML_TYPES:
        headers = {"etag": f'"{rev}"', "cache-control": "no-store"}
        return Response(loaded.source, headers=headers, media_type="application/yaml")
    config = await asyncio.to_thread(lambda: loaded.config.model_dump(mode="json"))
    return send_json(ConfigView(rev, loaded.name, loaded.source, config))


@routes.put("/config", responses=answers(OutcomeView), openapi_extra=takes(_BODY, *_TYPES), tags=["config"])
async def put_config(request: Request, control: Here) -> Response:
    """Run another configuration. Every process prepares it off the frame path, all switch at one frame, or none
    does. If-Match carries the revision it was made from. Live changes are kept where it leaves them room."""
    rev = control.desk.rev_of("config")
    needed_rev(request, rev, "config")
    loaded = await _read(request, control.desk.loaded)
    return send_outcome(await control.desk.replace_config(loaded, who=who(request), rev=rev))


@routes.post("/config/check", responses=answers(CheckView), openapi_extra=takes(_BODY, *_TYPES), tags=["config"])
async def check_config(request: Request, control: Here) -> Response:
    """What a configuration would be, or everything that is wrong with it; nothing changes."""
    loaded = await _read(request, control.desk.loaded)
    result = await asyncio.to_thread(compile_loaded, loaded)
    stage = result.stage
    pixels = sum(canvas.width_px * canvas.height_px for canvas in stage.canvases.values())
    warnings = [str(warning) for warning in result.warnings]
    view = CheckView(loaded.name, len(stage.walls), len(stage.canvases), len(stage.cameras), pixels, warnings)
    return send_json(view)


@routes.get("/config/revisions", responses=answers("Revisions"), tags=["config"])
async def get_revisions(control: Here, before: Before = None, limit: Limit = 50) -> Response:
    """Accepted changes, newest first."""
    found = await control.desk.revisions(before=before, limit=limit)
    return send_json({"revisions": [_view(revision) for revision in found]}, rev=control.desk.rev)


@routes.post("/config/revisions/{rev}/restore", responses=answers(OutcomeView), tags=["config"])
async def restore_revision(request: Request, control: Here, rev: Rev) -> Response:
    """Roll back: run again, as a new revision, exactly what ran as that one. If-Match carries the running one."""
    needed_rev(request, control.desk.rev, "show")
    return send_outcome(await control.desk.roll_back(rev, who=who(request)))


async def _read(request: Request, running: LoadedConfig) -> LoadedConfig:
    """The configuration in a body, checked off the loop. File names in it are relative to the running one's folder."""
    kind, body = media_type(request), await request.body()
    if kind in YAML_TYPES:
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise problem(BadRequest, "body", f"not UTF-8 at byte {error.start}", mend="send UTF-8") from error
        return await asyncio.to_thread(load_config_text, text, base_dir=running.base_dir)
    if kind in JSON_TYPES:
        try:
            data = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:
            raise problem(BadRequest, "body", f"no JSON object: {error}", mend="send a JSON object") from error
        return await asyncio.to_thread(load_config_data, data, base_dir=running.base_dir)
    mend = "send application/yaml or application/json"
    raise problem(WrongMediaType, "content-type", "not a type this resource takes", value=kind, mend=mend)


def _view(revision: Revision) -> RevisionView:
    return msgspec.convert(revision, RevisionView, from_attributes=True)
