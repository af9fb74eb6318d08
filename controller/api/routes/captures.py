"""Captures: frames of canvases, inner pictures and photos written to disk; begun and ended at named frames."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from fastapi import Request
from fastapi.responses import Response

from controller.api.control import Control
from controller.api.http import Here, answers, closed, known, only, read_object, router, send_json, takes
from controller.api.problems import problem
from controller.api.views_captures import CaptureView
from controller.capture.order import CaptureJob, CaptureOrder, begin_capture, end_capture, read_orders
from controller.errors import BadValue
from controller.store import state_folder
from runtime.clock import ASSUMED_TAI_MINUS_UTC_S, NS_PER_S

routes = router()
FOLDER: Final = "captures"
_NAME: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
_FRAME: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_ORDER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["of", "format"],
    "properties": {
        "of": {"type": "string", "description": "`canvases/left`, `cameras/a/inner` or `cameras/a/photo`."},
        "format": {"type": "string", "enum": ["png", "exr", "prores", "prores_hq", "ffv1"]},
        "name": {
            "type": "string",
            "pattern": _NAME.pattern,
            "description": "Of the files in the show's captures; left out: what it is of, and the time of day.",
        },
        "bits": {"type": "integer", "enum": [8, 16], "description": "png."},
        "light": {"type": "string", "enum": ["acescg", "signal"], "description": "exr."},
        "first_frame": {**_FRAME, "description": "Left out: the next one shown."},
        "last_frame": {**_FRAME, "description": "Left out: until it is ended."},
        "every": {"type": "integer", "minimum": 1, "description": "Each k-th frame only."},
        "width_px": {"type": "integer", "minimum": 16, "maximum": 8192, "description": "Of a photo."},
    },
    "additionalProperties": False,
}
_END: Final[dict[str, Any]] = closed({"last_frame": {**_FRAME, "description": "Left out: the newest that was shown."}})
_PASSED: Final = ("format", "bits", "light", "first_frame", "last_frame", "every", "width_px")


@routes.get("/captures", responses=answers(CaptureView, many=True), tags=["captures"])
async def get_captures(control: Here) -> Response:
    """Every capture of this run by number."""
    return send_json({str(order.number): _view(control, order) for order in read_orders(control.run)})


@routes.post("/captures", responses=answers(CaptureView), openapi_extra=takes(_ORDER), tags=["captures"])
async def post_capture(request: Request, control: Here) -> Response:
    """Begin one: `{"of": "canvases/left", "format": "ffv1", "name": "take_7", "first_frame": 2400}`. It goes into the
    show's folder of captures, beside it a JSON file that lists every missing frame with the reason."""
    body = await read_object(request)
    only(body, "of", "name", *_PASSED)
    kind, name = _of(control, body.get("of"))
    given = body.get("name")
    if given is not None and (not isinstance(given, str) or not _NAME.match(given)):
        raise problem(BadValue, "name", "no name for a capture", value=given, mend="letters, digits, _, - and .")
    stem = given or f"{kind}_{name}-{_now(control)}"
    fields: dict[str, Any] = {key: body[key] for key in _PASSED if key in body}
    path = state_folder(control.desk.loaded.name) / FOLDER / stem
    wanted: dict[str, Any] = {"number": 0, "kind": kind, "of": name, "path": str(path), **fields}
    try:
        order = msgspec.convert(wanted, CaptureOrder)
    except msgspec.ValidationError as error:
        raise problem(BadValue, "body", str(error), mend="GET openapi.json tells what it takes") from error
    for key in ("first_frame", "last_frame", "every", "width_px"):
        value = fields.get(key, 1)
        if value is not None and value < (0 if key.endswith("frame") else 1):
            raise problem(BadValue, key, "too small", value=value, mend="GET openapi.json tells what it takes")
    order = await asyncio.to_thread(begin_capture, control.run, order)
    return send_json(_view(control, order))


@routes.post(
    "/captures/{capture}/end", responses=answers(CaptureView), openapi_extra=takes(_END, required=False),
    tags=["captures"],
)  # fmt: skip
async def post_end(request: Request, control: Here, capture: str) -> Response:
    """End one after a frame, or now; what was taken is still written."""
    known(capture, {str(order.number) for order in read_orders(control.run)}, f"captures/{capture}")
    body = await read_object(request, optional=True)
    only(body, "last_frame")
    last = body.get("last_frame", 0)
    if not isinstance(last, int) or isinstance(last, bool) or last < 0:
        raise problem(BadValue, "last_frame", "no frame", value=last, mend="a frame number, or leave it out")
    order = await asyncio.to_thread(end_capture, control.run, int(capture), last_frame=last)
    return send_json(_view(control, order))


def _of(control: Control, of: object) -> tuple[str, str]:
    """Kind and id. Raises BadValue, UnknownAddress."""
    parts = of.split("/") if isinstance(of, str) else []
    if len(parts) == 2 and parts[0] == "canvases":
        known(parts[1], control.desk.stage.canvases, f"canvases/{parts[1]}")
        return "canvas", parts[1]
    if len(parts) == 3 and parts[0] == "cameras" and parts[2] in ("inner", "photo"):
        known(parts[1], control.desk.stage.cameras, f"cameras/{parts[1]}")
        return parts[2], parts[1]
    mend = "canvases/ID, cameras/ID/inner or cameras/ID/photo"
    raise problem(BadValue, "of", "nothing that can be captured", value=of, mend=mend)


def _view(control: Control, order: CaptureOrder) -> CaptureView:
    status = control.backend.capture
    jobs = {} if status is None else {job.order.number: job for job in status.jobs}
    job = jobs.get(order.number, CaptureJob(order, "waiting"))
    last = order.last_frame if job.order.last_frame is None else job.order.last_frame
    return CaptureView(
        id=str(order.number),
        of=f"canvases/{order.of}" if order.kind == "canvas" else f"cameras/{order.of}/{order.kind}",
        format=order.format,
        path=order.path,
        state=job.state if order.number in jobs else "asked",
        first_frame=order.first_frame,
        last_frame=last,
        every=order.every,
        written=job.written,
        missing=job.missing,
        newest_frame=job.newest_frame if job.newest_frame >= 0 else None,
        sidecar=str(order.sidecar),
        detail=job.detail,
    )


def _now(control: Control) -> str:
    utc_ns = control.clock.tai_ns() - ASSUMED_TAI_MINUS_UTC_S * NS_PER_S
    return datetime.fromtimestamp(utc_ns / NS_PER_S, UTC).strftime("%Y%m%d-%H%M%S")
