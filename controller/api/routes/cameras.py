"""Tracked cameras: how they stand, what may be set, and what they see of the simulated walls."""

from __future__ import annotations

from typing import Annotated, Final

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
from controller.api.views import CameraView, OutcomeView
from controller.commands import Command
from controller.frame_lines import ABOUT, FRAME_LINES
from controller.messages import PhotoKind

routes = router()
_LINES: Final = {"type": "object", "additionalProperties": {"type": "boolean"}, "description": ABOUT}
_PATCH: Final = patch_schema("cameras")
_PATCH["properties"][FRAME_LINES] = _LINES
Width = Annotated[int, Query(ge=64, le=4096, description="Width of the photo.")]


@routes.get("/cameras", responses=answers(CameraView, many=True), tags=["cameras"])
async def get_cameras(control: Here) -> Response:
    """Every camera by id."""
    found = {name: present.camera(control.desk, control.backend, name) for name in control.desk.stage.cameras}
    return send_json(found, rev=control.desk.rev)


@routes.get("/cameras/{camera}", responses=answers(CameraView), tags=["cameras"])
async def get_camera(control: Here, camera: str) -> Response:
    """One camera."""
    known(camera, control.desk.stage.cameras, f"cameras/{camera}")
    return send_json(present.camera(control.desk, control.backend, camera))


@routes.patch("/cameras/{camera}", responses=answers(OutcomeView), openapi_extra=takes(_PATCH), tags=["cameras"])
async def patch_camera(request: Request, control: Here, camera: str) -> Response:
    """Change overscan, soft edge, delay, rank, or switch it or its frame lines on and off; last writer wins, unless
    If-Match is sent. Directors change its frame lines."""
    known(camera, control.desk.stage.cameras, f"cameras/{camera}")
    checked_rev(request, control.desk.rev_of(f"cameras/{camera}"), f"cameras/{camera}")
    changes = flat(f"cameras/{camera}", await read_object(request), nested=("frame_lines",))
    return send_outcome(await change(control, Command(changes, who=who(request))))


@routes.get("/cameras/{camera}/photo.jpg", responses=picture_answers("jpg"), tags=["cameras"])
async def get_photo_jpg(control: Here, camera: str, width_px: Width = 960, kind: PhotoKind = "photo") -> Response:
    """What the camera sees of the simulated walls (or, `truth`, of the scene itself), made now by the darkroom."""
    known(camera, control.desk.stage.cameras, f"cameras/{camera}")
    return send_picture(await control.pictures.photo(camera, "jpg", width_px=width_px, kind=kind), "jpg")


@routes.get("/cameras/{camera}/photo.png", responses=picture_answers("png"), tags=["cameras"])
async def get_photo_png(control: Here, camera: str, width_px: Width = 960, kind: PhotoKind = "photo") -> Response:
    """The same without loss."""
    known(camera, control.desk.stage.cameras, f"cameras/{camera}")
    return send_picture(await control.pictures.photo(camera, "png", width_px=width_px, kind=kind), "png")
