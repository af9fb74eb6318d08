"""Scenes: which is on the walls and how it gets there."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from controller.api import present
from controller.api.http import (
    Here,
    answers,
    change,
    known,
    only,
    read_object,
    router,
    send_json,
    send_outcome,
    takes,
    who,
)
from controller.api.schema import plain_schema
from controller.api.views import OutcomeView, SceneView
from controller.commands import Command
from controller.switching import SwitchOrder

routes = router()
_HOW: Final[dict[str, Any]] = {
    **plain_schema(SwitchOrder),
    "properties": {k: v for k, v in plain_schema(SwitchOrder)["properties"].items() if k != "scene"},
    "required": [],
}


@routes.get("/scenes", responses=answers(SceneView, many=True), tags=["scenes"])
async def get_scenes(control: Here) -> Response:
    """Every scene by id."""
    return send_json(present.scenes(control.desk), rev=control.desk.rev_of("scenes"))


@routes.get("/scenes/{scene}", responses=answers(SceneView), tags=["scenes"])
async def get_scene(control: Here, scene: str) -> Response:
    """One scene."""
    known(scene, control.desk.around.scenes, f"scenes/{scene}")
    return send_json(present.scenes(control.desk)[scene])


@routes.post(
    "/scenes/{scene}/activate",
    responses=answers(OutcomeView),
    openapi_extra=takes(_HOW, required=False),
    tags=["scenes"],
)
async def activate_scene(request: Request, control: Here, scene: str) -> Response:
    """Put a scene on the walls, at the position it opens with: cut to it at once, or, told in the body, by dissolve or
    wipe, from a named frame on, over so many frames."""
    known(scene, control.desk.around.scenes, f"scenes/{scene}")
    how = await read_object(request, optional=True)
    only(how, *_HOW["properties"])
    order: Any = {"scene": scene, **how} if how else scene
    return send_outcome(await change(control, Command({"scenes/active": order}, who=who(request))))
