"""LED processors: how they are, setting them, and putting them back as the show wants them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import Response

from controller.api import present_processors
from controller.api.control import Control
from controller.api.http import Here, answers, known, only, read_object, router, send_json, takes, who
from controller.api.problems import problem
from controller.api.views_processors import (
    ProcessorKeptView,
    ProcessorSetView,
    ProcessorsRestoredView,
    ProcessorView,
)
from controller.commands import Command
from controller.errors import BadValue, ChangeRefused
from controller.processors.keeper import taken
from controller.processors.model import SETTINGS
from controller.processors.wishes import strange_settings

routes = router()

_KINDS: Final[dict[str, dict[str, Any]]] = {
    "switch": {"type": "boolean"}, "number": {"type": "number"}, "choice": {"type": "string"},
    "text": {"type": "string"},
}  # fmt: skip
_SETTINGS: Final = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {
        name: {**_KINDS[one.kind], "description": f"{one.label} [{one.unit}]" if one.unit else one.label}
        for name, one in SETTINGS.items()
    },
}
_BODY: Final = {
    "type": "object", "additionalProperties": False, "minProperties": 1, "maxProperties": 1,
    "properties": {"settings": _SETTINGS, "wishes": {**_SETTINGS, "minProperties": 0}},
}  # fmt: skip


@routes.get("/processors", responses=answers(ProcessorView, many=True), tags=["room"])
async def get_processors(control: Here) -> Response:
    """Every LED processor by id: its load, how it is, how it is set and wanted."""
    found = present_processors.processors(control.desk, control.backend)
    return send_json(found, rev=control.desk.rev_of("config"))


@routes.get("/processors/{processor}", responses=answers(ProcessorView), tags=["room"])
async def get_processor(control: Here, processor: str) -> Response:
    """One LED processor."""
    known(processor, control.desk.stage.processors, f"processors/{processor}")
    return send_json(present_processors.processor(control.desk, control.backend, processor))


@routes.patch("/processors/{processor}", responses=answers(ProcessorSetView), openapi_extra=takes(_BODY), tags=["room"])
async def patch_processor(request: Request, control: Here, processor: str) -> Response:
    """Set a processor, read it back, and say of each setting what came of it. What took is what the show wants from
    then on, and part of the show's revisions; blackout, freeze and test pictures are orders of the moment. `wishes` in
    place of `settings`: only what the show wants beyond configuration and scene; `restore` sets it."""
    path = _spoken_to(control, processor)
    body = await read_object(request)
    only(body, "settings", "wishes")
    if "wishes" in body:
        await control.desk.submit(Command({f"{path}/settings": body["wishes"]}, who=who(request)))
        return send_json(present_processors.done(processor, []))
    settings = body.get("settings")
    if not isinstance(settings, dict) or not settings:
        raise problem(BadValue, f"{path}/settings", "no settings", value=settings, mend='send {"settings": {...}}')
    strange = strange_settings(f"{path}/settings", settings)
    if strange:
        raise BadValue(*strange)
    results = await control.processor_hand.set(processor, settings)
    took = taken(results)
    if took:
        now = control.desk.show.processor_settings.get(processor, {})
        await control.desk.submit(Command({f"{path}/settings": {**now, **took}}, who=who(request)))
    return send_json(present_processors.done(processor, results))


@routes.post("/processors/{processor}/restore", responses=answers(ProcessorSetView), tags=["room"])
async def restore_processor(
    control: Here,
    processor: str,
    dry_run: Annotated[bool, Query(description="Only say what would be set.")] = False,
) -> Response:
    """Set what is not as the show wants it, and read it back."""
    _spoken_to(control, processor)
    results = await control.processor_hand.restore(processor, dry_run=dry_run)
    return send_json(present_processors.done(processor, results, dry_run=dry_run))


@routes.post("/processors/restore", responses=answers(ProcessorsRestoredView), tags=["room"])
async def restore_processors(
    control: Here,
    dry_run: Annotated[bool, Query(description="Only say what would be set.")] = False,
) -> Response:
    """Set every processor that is spoken to as the show wants it, and read each back. One that cannot be set holds up
    no other; `good` says whether all are as they are wanted."""
    configured = control.desk.loaded.config.stage.processors
    names = [name for name, one in configured.items() if one.control is not None]
    found = await control.processor_hand.restore_all(names, dry_run=dry_run)
    return send_json(present_processors.restored(control.backend, found, dry_run=dry_run))


@routes.post("/processors/{processor}/keep", responses=answers(ProcessorKeptView), tags=["room"])
async def keep_processor(request: Request, control: Here, processor: str) -> Response:
    """Want a processor as it is: what is read and can be set becomes what the show wants of it, as a revision. Orders
    of the moment, and what its configuration and the scene on air want anyway, are left out."""
    path = _spoken_to(control, processor)
    status = None if control.backend.processors is None else control.backend.processors.processors.get(processor)
    if status is None or status.link != "ready":
        raise problem(ChangeRefused, path, "it does not answer now", mend=f"GET /api/v1/{path} says why")
    wishes = present_processors.to_keep(control.desk, control.backend, processor)
    await control.desk.submit(Command({f"{path}/settings": wishes}, who=who(request)))
    return send_json(ProcessorKeptView(processor, wishes))


def _spoken_to(control: Control, processor: str) -> str:
    """Its path. Raises UnknownAddress, ChangeRefused."""
    path = f"processors/{processor}"
    known(processor, control.desk.stage.processors, path)
    if control.desk.loaded.config.stage.processors[processor].control is None:
        mend = f"configure stage/processors/{processor}/control"
        raise problem(ChangeRefused, path, "it is not spoken to", mend=mend)
    return path
