"""Looks: how the walls are graded now, and looks that are stored, compared and put on, at once or over time."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import Query, Request
from fastapi.responses import Response

from controller.api import present_looks
from controller.api.control import Control
from controller.api.http import (
    Here,
    answers,
    change,
    checked_rev,
    known,
    needed_rev,
    only,
    picture_answers,
    read_object,
    router,
    send_json,
    send_outcome,
    send_picture,
    takes,
    who,
)
from controller.api.pictures import Format
from controller.api.problems import problem
from controller.api.schema import plain_schema
from controller.api.timed import TIMED, timed
from controller.api.views import OutcomeView
from controller.api.views_looks import GradeFieldsView, LookDiffView, LookNowView, LooksView, LookView
from controller.commands import Command
from controller.errors import BadValue
from controller.look_addresses import look_faults
from controller.look_order import order_of
from controller.looks import ACTIVE, Look, find_look, look_of
from stage.grade import FIELDS, Grade

routes = router()

_LOOK: Final[dict[str, Any]] = plain_schema(Look)
_LOOK_PATCH: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {name: _LOOK["properties"][name] for name in ("label", "notes")},
}
_GRADE: Final[dict[str, Any]] = {
    "anyOf": [{"type": "null"}, {**plain_schema(Grade), "additionalProperties": False}],
    "description": "Values to change; null: neutral.",
}
_LAYERS: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "outer": _GRADE,
        "inner": _GRADE,
        "cameras": {"type": "object", "additionalProperties": _GRADE},
        "walls": {"type": "object", "additionalProperties": _GRADE},
    },
}
_NAMES: Final[dict[str, Any]] = {"type": "array", "items": {"type": "string"}}
_STORE: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "label": {"type": "string", "maxLength": 80},
        "notes": {"type": "string", "maxLength": 2000},
        "layers": {**_NAMES, "description": "Left out: all."},
        "scenes": {**_NAMES, "description": "Scenes whose light it keeps; left out: those on air."},
    },
}


_Of = Annotated[str, Query(description="`cameras/ID/photo` or `canvases/ID`; left out: the first camera's photo.")]
_StillWidth = Annotated[int, Query(ge=64, le=1920, description="Of a photo.")]
_StillFrame = Annotated[
    int, Query(ge=0, description="Whose cameras it is seen by, for two that are compared; left out: the newest.")
]


@routes.get("/look", responses=answers(LookNowView), tags=["looks"])
async def get_look_now(control: Here) -> Response:
    """How the walls are graded: every layer, the look that was put on last, what moves, and what values may be."""
    return send_json(present_looks.now(control.desk))


@routes.get("/look/fields", responses=answers(GradeFieldsView), tags=["looks"])
async def get_fields() -> Response:
    """What the values of a grade may be: for sliders."""
    return send_json(GradeFieldsView(present_looks.fields()))


@routes.patch("/look", responses=answers(OutcomeView), openapi_extra={**takes(_LAYERS), **TIMED}, tags=["looks"])
async def patch_look_now(request: Request, control: Here) -> Response:
    """Grade layers live: `{"outer": {"exposure_ev": -1}, "walls": {"main": {"gain": [1, 0.9, 0.8]}}}`; null is neutral.
    At once, or over `seconds` along a `curve`."""
    checked_rev(request, control.desk.rev_of("look"), "look")
    changes: dict[str, Any] = {}
    body = await read_object(request)
    only(body, "outer", "inner", "cameras", "walls")
    for name, value in body.items():
        if name in ("cameras", "walls"):
            if not isinstance(value, dict):
                raise problem(BadValue, f"look/{name}", "needs grades by id", value=value, mend='{"main": {...}}')
            for one, grade in value.items():
                changes |= _graded(f"{name}/{one}", grade)
        else:
            changes |= _graded(name, value)
    seconds, curve = timed(request)
    return send_outcome(await change(control, Command(changes, who=who(request), seconds=seconds, curve=curve)))


def _graded(layer: str, grade: Any) -> dict[str, Any]:
    path = f"look/{layer}"
    if grade is None:
        return {f"{path}/{name}": None for name in FIELDS}
    if not isinstance(grade, dict):
        raise problem(BadValue, path, "needs values of a grade", value=grade, mend='{"exposure_ev": -1.0}')
    return {f"{path}/{name}": value for name, value in grade.items()}


@routes.get("/looks", responses=answers(LooksView), tags=["looks"])
async def get_looks(control: Here) -> Response:
    """Every stored look by id."""
    return send_json(present_looks.looks(control.desk))


@routes.get("/looks/{look}", responses=answers(LookView), tags=["looks"])
async def get_look(control: Here, look: str) -> Response:
    """One stored look."""
    return send_json(present_looks.look(control.desk, look))


@routes.put("/looks/{look}", responses=answers(OutcomeView), openapi_extra=takes(_LOOK), tags=["looks"])
async def put_look(request: Request, control: Here, look: str) -> Response:
    """Store a look. One that is there is only replaced with If-Match."""
    return await _put(request, control, look, look_of(look, await read_object(request)))


@routes.patch("/looks/{look}", responses=answers(OutcomeView), openapi_extra=takes(_LOOK_PATCH), tags=["looks"])
async def patch_look(request: Request, control: Here, look: str) -> Response:
    """Change what people read of a look: `label`, `notes`. Needs If-Match."""
    held = find_look(control.desk.show.looks, look)
    body = await read_object(request)
    only(body, "label", "notes")
    return await _put(request, control, look, look_of(look, {**msgspec.to_builtins(held), **body}))


@routes.delete("/looks/{look}", responses=answers(OutcomeView), tags=["looks"])
async def delete_look(request: Request, control: Here, look: str) -> Response:
    """Delete a look; what it has put on stays. Needs If-Match."""
    find_look(control.desk.show.looks, look)
    needed_rev(request, control.desk.rev_of(f"looks/{look}"), f"looks/{look}")
    return send_outcome(await change(control, Command({f"looks/{look}": None}, who=who(request))))


@routes.post(
    "/looks/{look}/store", responses=answers(OutcomeView), openapi_extra=takes(_STORE, required=False), tags=["looks"]
)
async def store_look(request: Request, control: Here, look: str) -> Response:
    """Store what stands now: the grades of all layers and the light of the scenes on air, unless told otherwise. A look
    that is there is only replaced with If-Match, and keeps its label and notes."""
    body = await read_object(request, optional=True)
    only(body, *_STORE["properties"])
    held = control.desk.show.looks.get(look, Look())
    label, notes = body.get("label", held.label), body.get("notes", held.notes)
    layers, scenes = _names(body, "layers"), _names(body, "scenes")
    standing = present_looks.standing(control.desk, label="", notes="", layers=layers, scenes=scenes)
    told = look_of(look, {**msgspec.to_builtins(standing), "label": label, "notes": notes})
    return await _put(request, control, look, told, active=True)


@routes.post("/looks/{look}/apply", responses=answers(OutcomeView), openapi_extra=TIMED, tags=["looks"])
async def apply_look(request: Request, control: Here, look: str) -> Response:
    """Put a look on: at once, or over `seconds` along a `curve`."""
    find_look(control.desk.show.looks, look)
    seconds, curve = timed(request)
    return send_outcome(await change(control, Command({ACTIVE: look}, who=who(request), seconds=seconds, curve=curve)))


@routes.get("/looks/{look}/diff", responses=answers(LookDiffView), tags=["looks"])
async def get_look_diff(control: Here, look: str, other: str = "") -> Response:
    """What a look says otherwise than another, or, without `other`, than it stands now."""
    return send_json(present_looks.diff(control.desk, look, other))


@routes.get("/look/preview.jpg", responses=picture_answers("jpg"), tags=["looks"])
async def get_now_jpg(control: Here, of: _Of = "", width_px: _StillWidth = 640, frame: _StillFrame = 0) -> Response:
    """A still of how it stands, drawn as `looks/<id>/preview.jpg` is: to compare that with."""
    return await _still(control, "", of, "jpg", width_px, frame)


@routes.get("/looks/{look}/preview.jpg", responses=picture_answers("jpg"), tags=["looks"])
async def get_look_jpg(
    control: Here, look: str, of: _Of = "", width_px: _StillWidth = 640, frame: _StillFrame = 0
) -> Response:
    """A still of the walls as they would stand with a look on; nothing on the air changes. Drawn coarser than the air,
    by the darkroom. `X-Frame` tells whose plan it is of: give that as `frame` for another look seen from there."""
    find_look(control.desk.show.looks, look)
    return await _still(control, look, of, "jpg", width_px, frame)


@routes.get("/looks/{look}/preview.png", responses=picture_answers("png"), tags=["looks"])
async def get_look_png(
    control: Here, look: str, of: _Of = "", width_px: _StillWidth = 640, frame: _StillFrame = 0
) -> Response:
    """The same without loss."""
    find_look(control.desk.show.looks, look)
    return await _still(control, look, of, "png", width_px, frame)


async def _still(control: Control, look: str, of: str, form: Format, width_px: int, frame: int) -> Response:
    desk = control.desk
    of = of or f"cameras/{next(iter(desk.stage.cameras), '')}/photo"
    kind, _, rest = of.partition("/")
    if kind == "cameras" and rest.endswith("/photo"):
        known(rest.removesuffix("/photo"), desk.stage.cameras, of)
    elif kind == "canvases":
        known(rest, desk.stage.canvases, of)
    else:
        raise problem(BadValue, "of", "needs a picture", value=of, mend="cameras/ID/photo or canvases/ID")
    order = order_of(desk.show, look, desk.around_now, of=of)
    return send_picture(await control.pictures.look(order, form, width_px=width_px, frame=frame), form)


def _names(body: dict[str, Any], name: str) -> list[str] | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise problem(BadValue, f"looks/{name}", "needs a list of names", value=value, mend='["outer"]')
    return value


async def _put(request: Request, control: Here, name: str, look: Look, *, active: bool = False) -> Response:
    desk = control.desk
    if name in desk.show.looks:
        needed_rev(request, desk.rev_of(f"looks/{name}"), f"looks/{name}")
    look_faults(name, look, desk.around_now)
    changes: dict[str, Any] = {f"looks/{name}": look, **({ACTIVE: name} if active else {})}
    return send_outcome(await change(control, Command(changes, who=who(request))))
