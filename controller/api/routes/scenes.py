"""Scenes: which is on the walls and how it gets there, what is edited of them, what is known of their files."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import Response

from controller.api import present_scenes
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
    takes,
    who,
)
from controller.api.problems import problem
from controller.api.schema import plain_schema, scene_schema
from controller.api.timed import TIMED, timed
from controller.api.views import OutcomeView
from controller.api.views_scenes import SceneView, SunPositionView
from controller.commands import Command
from controller.errors import BadValue, UnknownAddress
from controller.show import SceneState
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
    found = present_scenes.scenes(control.desk, control.backend, control.scenery)
    return send_json(found, rev=control.desk.rev_of("scenes"))


@routes.get("/scene-switches", responses=answers("SceneSwitches"), tags=["scenes"])
async def get_switches(control: Here) -> Response:
    """Switches from scene to scene that wait for their frame or are under way, oldest first."""
    return send_json({"switches": present_scenes.switches(control.desk)})


@routes.get("/scene-memory", responses=answers("SceneMemory"), tags=["scenes"])
async def get_memory(control: Here) -> Response:
    """What scenes take on each node's GPU, and what they may."""
    return send_json({"memory": present_scenes.scene_memory(control.backend)})


@routes.get("/sun-position", responses=answers(SunPositionView), tags=["scenes"])
async def get_sun_position(
    when: str,
    latitude_deg: Annotated[float, Query(ge=-90.0, le=90.0)],
    longitude_deg: Annotated[float, Query(ge=-180.0, le=180.0, description="East is positive.")],
    north_deg: Annotated[float, Query(ge=-360.0, le=360.0, description="Pan of north in the scene.")] = 0.0,
) -> Response:
    """Where the sun stands by date, time and place, as a physical sky puts it: for the sun of any scene."""
    try:
        # A plus sign that was not escaped comes as a space.
        moment = datetime.fromisoformat(when.replace(" ", "+"))
        if moment.tzinfo is None:
            raise ValueError
        found = present_scenes.sun_position(moment, latitude_deg, longitude_deg, north_deg)
    except (ValueError, OverflowError):
        mend = "write it like 2026-06-21T05:10:00+02:00"
        raise problem(BadValue, "when", "no date and time with its offset from UTC", value=when, mend=mend) from None
    return send_json(found)


@routes.get("/scenes/{scene}", responses=answers(SceneView), tags=["scenes"])
async def get_scene(control: Here, scene: str) -> Response:
    """One scene."""
    known(scene, control.desk.around.scenes, f"scenes/{scene}")
    return send_json(present_scenes.scenes(control.desk, control.backend, control.scenery)[scene])


@routes.patch(
    "/scenes/{scene}", responses=answers(OutcomeView), openapi_extra={**takes(scene_schema()), **TIMED}, tags=["scenes"]
)
async def patch_scene(request: Request, control: Here, scene: str) -> Response:
    """Edit a scene live: any of its addresses, nested (`{"sun": {"elevation_deg": 12}}`); null takes an edit back.
    Which compiled state is shown (`compiled`) is structural and needs If-Match. Numbers, colours and angles may take
    `seconds` along a `curve`."""
    return await _patch(request, control, scene, f"scenes/{scene}")


@routes.patch(
    "/scenes/{scene}/{below:path}",
    responses=answers(OutcomeView),
    openapi_extra={**takes({"type": "object", "additionalProperties": True}), **TIMED},
    tags=["scenes"],
)
async def patch_below(request: Request, control: Here, scene: str, below: str) -> Response:
    """The same from an address on: `PATCH scenes/plaza/objects/statue {"pan_deg": 30}`."""
    return await _patch(request, control, scene, f"scenes/{scene}/{below.strip('/')}")


async def _patch(request: Request, control: Control, scene: str, prefix: str) -> Response:
    known(scene, control.desk.around.scenes, f"scenes/{scene}")
    changes = _flat(prefix, await read_object(request))
    rev = control.desk.rev_of(f"scenes/{scene}")
    if f"scenes/{scene}/compiled" in changes:
        needed_rev(request, rev, f"scenes/{scene}")
    else:
        checked_rev(request, rev, f"scenes/{scene}")
    seconds, curve = timed(request)
    return send_outcome(await change(control, Command(changes, who=who(request), seconds=seconds, curve=curve)))


def _flat(prefix: str, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in body.items():
        inner = _flat(f"{prefix}/{name}", value) if isinstance(value, dict) else {f"{prefix}/{name}": value}
        found.update(inner)
    return found


@routes.get("/scenes/{scene}/addresses", responses=answers("SceneValues"), tags=["scenes"])
async def get_addresses(control: Here, scene: str) -> Response:
    """Every live value of a scene, as it is now."""
    known(scene, control.desk.around.scenes, f"scenes/{scene}")
    values = present_scenes.scene_addresses(control.desk, scene)
    return send_json({"values": values}, rev=control.desk.rev_of(f"scenes/{scene}"))


@routes.get("/scenes/{scene}/states", responses=answers("SceneStates"), tags=["scenes"])
async def get_states(control: Here, scene: str) -> Response:
    """Compiled states of a scene that are kept, those used last first: `compiled` may be set to any of them."""
    known(scene, control.desk.around.scenes, f"scenes/{scene}")
    shown = control.desk.show.scene_states.get(scene, SceneState()).key
    states = await asyncio.to_thread(control.scenery.cache.states)
    found = [present_scenes.compiled(s, shown=s.key == shown) for s in states if s.scene == scene]
    return send_json({"states": found})


@routes.get("/scenes/{scene}/thumbnail.jpg", responses=picture_answers("jpg"), tags=["scenes"])
async def get_thumbnail(control: Here, scene: str, key: str = "") -> Response:
    """What the scene looks like from the stage's middle; of the state shown, or of the one `key` names."""
    known(scene, control.desk.around.scenes, f"scenes/{scene}")
    key = key or control.desk.show.scene_states.get(scene, SceneState()).key
    try:
        data = await asyncio.to_thread(control.scenery.cache.thumbnail(key).read_bytes)
    except (OSError, ValueError):
        mend = f"POST /api/v1/scenes/{scene}/compile makes one"
        raise problem(UnknownAddress, f"scenes/{scene}/thumbnail.jpg", "it has no picture yet", mend=mend) from None
    return Response(data, media_type="image/jpeg", headers={"etag": f'"{key}"', "cache-control": "no-store"})


@routes.post("/scenes/{scene}/compile", responses=answers(SceneView), tags=["scenes"])
async def compile_scene(control: Here, scene: str) -> Response:
    """Compile a scene as its files are now, in the darkroom, and show that state from the next change on; answers when
    it is done. Nothing on air waits for it."""
    known(scene, control.desk.around.scenes, f"scenes/{scene}")
    await control.scenery.refresh(scene)
    return send_json(present_scenes.scenes(control.desk, control.backend, control.scenery)[scene])


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
