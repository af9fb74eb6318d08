"""How it runs: health, processes, alarms, metrics. (Frames: controller.api.routes.frames.)"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import msgspec
from fastapi import Request
from fastapi.responses import Response

from controller.alarm_codes import CODES, AlarmCode
from controller.api import present_running
from controller.api.asyncapi import document
from controller.api.http import Here, answers, router, send_json
from controller.api.metrics import CONTENT_TYPE, exposition, reading
from controller.api.problems import problem
from controller.api.views import AlarmsView, FindingView, HealthView, NodesView, NodeView, PreflightView
from controller.errors import PreflightFailed, UnknownAddress

PREFLIGHT_S: Final = 60.0
"""A driver may hang; somebody waits for this."""

routes = router()
_looking = asyncio.Lock()


@routes.get("/health", responses=answers(HealthView), tags=["running"])
async def get_health(control: Here) -> Response:
    """Whether pictures reach the walls: 200 while they do, 503 while no node draws."""
    health: HealthView = control.health()
    return send_json(health, rev=health.rev, status=503 if health.status == "down" else 200)


@routes.get("/nodes", responses=answers(NodesView), tags=["running"])
async def get_nodes(control: Here) -> Response:
    """Every process of the run."""
    return send_json(present_running.nodes(control.backend))


@routes.get("/nodes/{node}", responses=answers(NodeView), tags=["running"])
async def get_node(control: Here, node: str) -> Response:
    """One process that draws."""
    status = control.backend.nodes.get(node)
    if status is None:
        mend = f"use one of {', '.join(sorted(control.backend.nodes)) or '(none)'}"
        raise problem(UnknownAddress, f"nodes/{node}", "there is none of this name", mend=mend)
    return send_json(present_running.node(control.backend, status))


@routes.get("/alarms", responses=answers(AlarmsView), tags=["running"])
async def get_alarms(control: Here) -> Response:
    """Everything a person should know now, the worst first."""
    return send_json(AlarmsView(control.alarms))


@routes.get("/alarms/codes", responses=answers(AlarmCode, many=True), tags=["running"])
async def get_alarm_codes() -> Response:
    """Every alarm there can be, by code: how bad, its cause, what to do, and the values it carries."""
    return send_json(CODES)


@routes.post("/preflight", responses=answers(PreflightView), tags=["running"])
async def post_preflight(control: Here) -> Response:
    """What this machine and stage lack, red, amber or green, each with its mend. Looked at anew, beside the show."""
    async with _looking:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "controller.processes.preflight", str(control.backend.run.path),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            said, wrong = await asyncio.wait_for(process.communicate(), PREFLIGHT_S)
        except TimeoutError as error:
            detail = f"it did not come to an end within {PREFLIGHT_S:g} s"
            mend = "run openvolume preflight CONFIG in a terminal: its last line names the part that hangs"
            raise problem(PreflightFailed, "preflight", detail, mend=mend) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode:
        last = wrong.decode(errors="replace").strip().rpartition("\n")[2]
        raise problem(PreflightFailed, "preflight", f"it ended with {process.returncode}: {last}")
    return send_json(PreflightView(msgspec.json.decode(said, type=list[FindingView])))


async def get_asyncapi(request: Request) -> Response:
    """What goes over the WebSockets, in AsyncAPI; `openapi.json` beside it has the types."""
    return send_json(document(request.app.version))


async def get_metrics(request: Request) -> Response:
    """Prometheus exposition."""
    metrics = reading(request.app.state.control)
    return Response(await asyncio.to_thread(exposition, metrics), media_type=CONTENT_TYPE)
