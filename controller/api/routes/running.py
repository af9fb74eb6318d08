"""How it runs: health, processes, frames and latencies, alarms, metrics."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import Path, Query, Request
from fastapi.responses import Response

from controller.api import present
from controller.api.http import Here, answers, only, read_object, router, send_json, takes
from controller.api.metrics import CONTENT_TYPE, exposition, reading
from controller.api.problems import problem
from controller.api.views import AlarmsView, FramesView, HealthView, JamView, NodesView, NodeView, RecordView
from controller.errors import BadValue, UnknownAddress

routes = router()
Count = Annotated[int, Query(ge=1, le=1000, description="How many of the newest slots.")]
Window = Annotated[int, Query(ge=1, le=1024, description="How many of the newest frames the percentiles are made of.")]
Frame = Annotated[int, Path(ge=0)]
_JAM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "frame": {
            "type": "integer",
            "minimum": 0,
            "description": "The first frame of the new time; left out, or already past: the next that can be.",
        }
    },
    "additionalProperties": False,
}


@routes.get("/health", responses=answers(HealthView), tags=["running"])
async def get_health(control: Here) -> Response:
    """Whether pictures reach the walls: 200 while they do, 503 while no node draws."""
    health: HealthView = control.health()
    return send_json(health, rev=health.rev, status=503 if health.status == "down" else 200)


@routes.get("/nodes", responses=answers(NodesView), tags=["running"])
async def get_nodes(control: Here) -> Response:
    """Every process of the run."""
    return send_json(present.nodes(control.backend))


@routes.get("/nodes/{node}", responses=answers(NodeView), tags=["running"])
async def get_node(control: Here, node: str) -> Response:
    """One process that draws."""
    status = control.backend.nodes.get(node)
    if status is None:
        mend = f"use one of {', '.join(sorted(control.backend.nodes)) or '(none)'}"
        raise problem(UnknownAddress, f"nodes/{node}", "there is none of this name", mend=mend)
    return send_json(present.node(control.backend, status))


@routes.get("/frames", responses=answers(FramesView), tags=["running"])
async def get_frames(control: Here, window: Window = present.WINDOW) -> Response:
    """Counts of the run and latencies of its newest frames."""
    return send_json(present.frames(control.backend, window=window))


@routes.get("/frames/latest", responses=answers("Records"), tags=["running"])
async def get_latest_frames(control: Here, count: Count = 100) -> Response:
    """The ledger's newest slots, oldest first: when each step happened, and why a picture was repeated."""
    found = control.backend.ledger.latest(count)
    # On a thread: a thousand slots are megabytes.
    return await asyncio.to_thread(lambda: send_json({"records": [present.record(record) for record in found]}))


@routes.post("/frames/jam", responses=answers(JamView), openapi_extra=takes(_JAM, required=False), tags=["running"])
async def post_jam(request: Request, control: Here) -> Response:
    """Let time jump to its reference, at a frame boundary: after a step that was refused, or instead of slewing. 409
    while a take rolls, or when there is no reference."""
    body = await read_object(request, optional=True)
    only(body, "frame")
    frame = body.get("frame", 0)
    if not isinstance(frame, int) or isinstance(frame, bool) or frame < 0:
        raise problem(BadValue, "frame", "no frame number", value=frame, mend="a whole number, or leave it out")
    return send_json(JamView(await control.clock_hand.jam(frame)))


@routes.get("/frames/{frame}", responses=answers(RecordView), tags=["running"])
async def get_frame(control: Here, frame: Frame) -> Response:
    """One slot of the ledger."""
    found = control.backend.ledger.record(frame)
    if found is None:
        raise problem(UnknownAddress, f"frames/{frame}", "not in the ledger (any more)", mend="GET frames/latest")
    return send_json(present.record(found))


@routes.get("/alarms", responses=answers(AlarmsView), tags=["running"])
async def get_alarms(control: Here) -> Response:
    """Everything a person should know now, the worst first."""
    return send_json(AlarmsView(control.alarms))


async def get_metrics(request: Request) -> Response:
    """Prometheus exposition."""
    metrics = reading(request.app.state.control)
    return Response(await asyncio.to_thread(exposition, metrics), media_type=CONTENT_TYPE)
