"""The guided axis check over the API: begun, stepped through, read, and its result set in the configuration."""

from __future__ import annotations

from typing import Any, Final, get_args

from fastapi import Request
from fastapi.responses import Response

from controller.api.http import (
    Here,
    answers,
    checked_rev,
    known,
    only,
    read_object,
    router,
    send_json,
    send_outcome,
    takes,
    who,
)
from controller.api.problems import problem
from controller.api.views import OutcomeView
from controller.api.views_guided import GuidedStepName, GuidedView
from controller.errors import BadValue
from tracking.config import LENS_ONLY

routes = router()
ACTIONS: Final = ("start", "step", "hold", "stop")
STEPS: Final = get_args(GuidedStepName)
_ORDER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["action"],
    "properties": {
        "action": {
            "type": "string",
            "enum": list(ACTIONS),
            "description": "start a check; record a step; hold: the step is done; stop and forget the check.",
        },
        "step": {"type": "string", "enum": list(STEPS), "description": "Which step to record."},
    },
    "additionalProperties": False,
}


@routes.get("/sources/{source}/guided", responses=answers(GuidedView), tags=["sources"])
async def get_guided(control: Here, source: str) -> Response:
    """How the guided axis check of a source stands: what to do, what was read, and what follows from it."""
    known(source, control.desk.around.sources, f"sources/{source}")
    return send_json(await control.guided.view(source))


@routes.post("/sources/{source}/guided", responses=answers(GuidedView), openapi_extra=takes(_ORDER), tags=["sources"])
async def post_guided(request: Request, control: Here, source: str) -> Response:
    """Walk through the check: `{"action": "start"}`, then for each step `{"action": "step", "step": "pan_right"}` while
    the camera is moved as its prompt says, and `{"action": "hold"}`. Steps may be done again, or left out."""
    known(source, control.desk.around.sources, f"sources/{source}")
    body = await read_object(request)
    only(body, "action", "step")
    action, step = body.get("action"), body.get("step")
    if action not in ACTIONS:
        raise problem(BadValue, "action", "nothing that can be done", value=action, mend=f"use {', '.join(ACTIONS)}")
    if (action == "step") != ("step" in body) or (action == "step" and step not in STEPS):
        mend = f"one of {', '.join(STEPS)}" if action == "step" else f"{action} takes no step"
        raise problem(BadValue, "step", "no step of the check", value=step, mend=mend)
    guided = control.guided
    if action == "start":
        protocol = control.desk.loaded.config.tracking.sources[source].protocol
        if protocol in LENS_ONLY:
            detail = f"{protocol} carries no poses: there are no axes to check"
            raise problem(BadValue, f"sources/{source}/guided", detail, mend="check the source that moves the camera")
        guided.start(source)
    elif step is not None:
        guided.begin(source, step)
    elif action == "hold":
        guided.hold(source)
    elif guided.source == source:
        guided.stop()
    return send_json(await guided.view(source))


@routes.post("/sources/{source}/guided/apply", responses=answers(OutcomeView), tags=["sources"])
async def apply_guided(request: Request, control: Here, source: str) -> Response:
    """Set what the check found in the configuration, by prepare and commit; undo takes it back. The check goes on with
    the new configuration: its result tells whether the moves come out right now. Set zero afterwards."""
    known(source, control.desk.around.sources, f"sources/{source}")
    checked_rev(request, control.desk.rev_of("config"), "config")
    return send_outcome(await control.guided.apply(source, who=who(request)))
