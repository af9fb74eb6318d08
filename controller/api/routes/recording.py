"""Recording what tracking sends: begun, ended, and how it stands."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from controller.api.control import Control
from controller.api.http import Here, answers, only, read_object, router, send_json, takes
from controller.api.problems import problem
from controller.api.views import RecordingView
from controller.errors import BadValue
from controller.recorder import recording_now
from controller.store import state_folder
from controller.tracking_recorder import (
    SUFFIX,
    RecordingError,
    RecordingStatus,
    read_order,
    start_recording,
    stop_recording,
)
from runtime.clock import ASSUMED_TAI_MINUS_UTC_S, NS_PER_S
from stage.errors import Problem

routes = router()
FOLDER: Final = "recordings"
_NAME: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
_ORDER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["action"],
    "properties": {
        "action": {"type": "string", "enum": ["start", "stop"]},
        "name": {
            "type": "string",
            "pattern": _NAME.pattern,
            "description": "Of the file in the show's recordings; left out: the time of day.",
        },
    },
    "additionalProperties": False,
}


@routes.get("/tracking/record", responses=answers(RecordingView), tags=["sources"])
async def get_recording(control: Here) -> Response:
    """How the recording of tracking stands."""
    return send_json(_view(control))


@routes.post("/tracking/record", responses=answers(RecordingView), openapi_extra=takes(_ORDER), tags=["sources"])
async def post_recording(request: Request, control: Here) -> Response:
    """Begin or end a recording of every datagram that tracking sends: `{"action": "start", "name": "take_7"}`. It goes
    into the show's folder of recordings; beginning another one ends the one before."""
    body = await read_object(request)
    only(body, "action", "name")
    action, name = body.get("action"), body.get("name")
    if action not in ("start", "stop"):
        raise problem(BadValue, "action", "nothing that can be done", value=action, mend="start or stop")
    if name is not None and (action == "stop" or not isinstance(name, str) or not _NAME.match(name)):
        mend = "letters, digits, _, - and ., or leave it out" if action == "start" else "stop takes no name"
        raise problem(BadValue, "name", "no name for a recording", value=name, mend=mend)
    if action == "stop":
        stop_recording(control.run)
        return send_json(_view(control))
    if _status(control) is None:
        detail = "no recorder runs"
        raise RecordingError(
            Problem(RecordingError.code, "tracking/record", detail, None, "configure control.ledger, or run --record")
        )
    file = state_folder(control.desk.loaded.name) / FOLDER / ((name or _now(control)) + SUFFIX)
    await asyncio.to_thread(start_recording, control.run, file)
    return send_json(_view(control))


def _view(control: Control) -> RecordingView:
    order = read_order(control.run)
    status = _status(control) or RecordingStatus()
    return RecordingView(
        asked=order is not None,
        state=status.state,
        path=status.path if order is None or status.state != "idle" else order.path,
        datagrams=status.datagrams,
        bytes=status.bytes,
        missed=status.missed,
        detail=status.detail,
    )


def _status(control: Control) -> RecordingStatus | None:
    return recording_now(control.run, control.clock.now_ns())


def _now(control: Control) -> str:
    utc_ns = control.clock.tai_ns() - ASSUMED_TAI_MINUS_UTC_S * NS_PER_S
    return datetime.fromtimestamp(utc_ns / NS_PER_S, UTC).strftime("%Y%m%d-%H%M%S")
