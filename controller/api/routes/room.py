"""The room: stage, walls, canvases with their pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from controller.api import present
from controller.api.http import (
    Here,
    answers,
    change,
    checked_rev,
    flat,
    known,
    picture_answers,
    read_object,
    router,
    send_json,
    send_outcome,
    send_picture,
    takes,
    who,
)
from controller.api.schema import patch_schema
from controller.api.views import CanvasView, EngineView, OutcomeView, WallView
from controller.commands import Command

routes = router()
MaxWidth = Annotated[int | None, Query(ge=16, le=16384, description="Every k-th pixel only, to be at most this wide.")]


@routes.get("/stage", responses=answers("StageDocument"), tags=["room"])
async def get_stage(control: Here) -> Response:
    """The compiled stage, as `openvolume check CONFIG --json` prints it: enough to build the walls again."""
    body = await control.stage_document()
    headers = {"etag": f'"{control.desk.rev_of("config")}"', "cache-control": "no-store"}
    return Response(body, headers=headers, media_type="application/json")


@routes.get("/walls", responses=answers(WallView, many=True), tags=["room"])
async def get_walls(control: Here) -> Response:
    """Every LED wall by id."""
    return send_json(present.walls(control.desk, control.feeds), rev=control.desk.rev_of("config"))


@routes.get("/walls/{wall}", responses=answers(WallView), tags=["room"])
async def get_wall(control: Here, wall: str) -> Response:
    """One LED wall."""
    known(wall, control.desk.stage.walls, f"walls/{wall}")
    return send_json(present.walls(control.desk, control.feeds)[wall])


@routes.get("/canvases", responses=answers(CanvasView, many=True), tags=["room"])
async def get_canvases(control: Here) -> Response:
    """Every canvas by id, with what it shows."""
    desk = control.desk
    found = {name: present.canvas(desk, control.backend, name, control.feeds) for name in desk.stage.canvases}
    return send_json(found, rev=desk.rev)


@routes.get("/canvases/{canvas}.png", responses=picture_answers("png"), tags=["room"])
async def get_canvas_png(control: Here, canvas: str, max_width_px: MaxWidth = None) -> Response:
    """What the processor gets, 8 bits of its codes."""
    known(canvas, control.desk.stage.canvases, f"canvases/{canvas}")
    return send_picture(await control.pictures.canvas(canvas, "png", max_width_px=max_width_px), "png")


@routes.get("/canvases/{canvas}.jpg", responses=picture_answers("jpg"), tags=["room"])
async def get_canvas_jpg(control: Here, canvas: str, max_width_px: MaxWidth = None) -> Response:
    """The same for a quick look."""
    known(canvas, control.desk.stage.canvases, f"canvases/{canvas}")
    return send_picture(await control.pictures.canvas(canvas, "jpg", max_width_px=max_width_px), "jpg")


@routes.get("/canvases/{canvas}", responses=answers(CanvasView), tags=["room"])
async def get_canvas(control: Here, canvas: str) -> Response:
    """One canvas."""
    known(canvas, control.desk.stage.canvases, f"canvases/{canvas}")
    return send_json(present.canvas(control.desk, control.backend, canvas, control.feeds))


@routes.patch(
    "/canvases/{canvas}", responses=answers(OutcomeView), openapi_extra=takes(patch_schema("canvases")), tags=["room"]
)
async def patch_canvas(request: Request, control: Here, canvas: str) -> Response:
    """Change how long a canvas is held back, or what it shows in place of its picture: black, frozen, identify."""
    known(canvas, control.desk.stage.canvases, f"canvases/{canvas}")
    checked_rev(request, control.desk.rev_of(f"canvases/{canvas}"), f"canvases/{canvas}")
    changes = flat(f"canvases/{canvas}", await read_object(request))
    return send_outcome(await change(control, Command(changes, who=who(request))))


@routes.get("/engines", responses=answers(EngineView, many=True), tags=["room"])
async def get_engines(control: Here) -> Response:
    """Other programs that draw canvases or inner pictures, by id."""
    return send_json(present.engines(control.desk), rev=control.desk.rev)


@routes.get("/engines/{engine}", responses=answers(EngineView), tags=["room"])
async def get_engine(control: Here, engine: str) -> Response:
    """One of them."""
    known(engine, present.engines(control.desk), f"engines/{engine}")
    return send_json(present.engines(control.desk)[engine])


@routes.patch(
    "/engines/{engine}", responses=answers(OutcomeView), openapi_extra=takes(patch_schema("engines")), tags=["room"]
)
async def patch_engine(request: Request, control: Here, engine: str) -> Response:
    """Show what an engine draws, or our own."""
    known(engine, present.engines(control.desk), f"engines/{engine}")
    checked_rev(request, control.desk.rev_of(f"engines/{engine}"), f"engines/{engine}")
    changes = flat(f"engines/{engine}", await read_object(request))
    return send_outcome(await change(control, Command(changes, who=who(request))))
