"""Canvases that are sent over the network: how they leave, their session descriptions, and sending them elsewhere."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from controller.api import present_streams
from controller.api.control import Control
from controller.api.http import Here, answers, only, read_object, router, send_json, takes
from controller.api.problems import problem
from controller.api.views_streams import StreamView
from controller.errors import BadValue, UnknownAddress
from controller.st2110.connection import Connection, Leg
from controller.st2110.network import address_of

routes = router()

SDP: Final = "application/sdp"
_PORT: Final = {"type": "integer", "minimum": 1, "maximum": 65535}
_PATH: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "destination": {"type": "string", "description": "IPv4 address"},
        "port": _PORT,
        "source": {"type": "string", "description": "IPv4 address or name of an interface"},
        "source_port": {"type": "integer", "minimum": 0, "maximum": 65535, "description": "0: any"},
        "enabled": {"type": "boolean"},
    },
}
_BODY: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "enabled": {"type": "boolean"},
        "paths": {"type": "array", "maxItems": 2, "items": _PATH, "description": "As many as are configured."},
    },
}


@routes.get("/streams", responses=answers(StreamView, many=True), tags=["room"])
async def get_streams(control: Here) -> Response:
    """Every canvas that is sent over the network, by id."""
    return send_json(present_streams.streams(control.desk, control.backend))


@routes.get("/streams/{canvas}", responses=answers(StreamView), tags=["room"])
async def get_stream(control: Here, canvas: str) -> Response:
    """One of them."""
    _known(control, canvas)
    return send_json(present_streams.stream(control.desk, control.backend, canvas))


@routes.get(
    "/streams/{canvas}/sdp",
    responses={
        **answers("ProblemDocument"),
        200: {"description": "RFC 4566", "content": {SDP: {"schema": {"type": "string"}}}},
    },
    tags=["room"],
)
async def get_description(control: Here, canvas: str) -> Response:
    """Its session description, for receivers."""
    _known(control, canvas)
    status = present_streams.status_of(control.desk, control.backend, canvas)
    if not status.sdp:
        detail = f"nothing is sent now ({status.state})"
        raise problem(UnknownAddress, f"streams/{canvas}/sdp", detail, mend="see how the stream is")
    return Response(status.sdp.encode(), media_type=SDP, headers={"cache-control": "no-store"})


@routes.patch("/streams/{canvas}", responses=answers(StreamView), openapi_extra=takes(_BODY), tags=["room"])
async def patch_stream(request: Request, control: Here, canvas: str) -> Response:
    """Send it elsewhere, or not at all, from the next frame on. The configuration stays: it holds again from the next
    start of the show, or when it is changed."""
    _known(control, canvas)
    body = await read_object(request)
    only(body, "enabled", "paths")
    now = present_streams.status_of(control.desk, control.backend, canvas).connection
    enabled = body.get("enabled", now.enabled)
    if not isinstance(enabled, bool):
        raise problem(BadValue, f"streams/{canvas}/enabled", "true or false", value=enabled, mend="give one of them")
    legs = _legs(f"streams/{canvas}/paths", body["paths"], now.legs) if "paths" in body else now.legs
    await control.stream_hand.connect(canvas, Connection(legs, enabled))
    return send_json(present_streams.stream(control.desk, control.backend, canvas))


def _known(control: Control, canvas: str) -> None:
    sent = [name for name, output in control.desk.loaded.config.outputs.items() if output.st2110 is not None]
    if canvas not in sent:
        mend = f"use one of {', '.join(sent)}" if sent else "configure outputs/<canvas>/st2110"
        raise problem(UnknownAddress, f"streams/{canvas}", "no such canvas is sent", mend=mend)


def _legs(path: str, told: Any, now: list[Leg]) -> list[Leg]:
    if not isinstance(told, list) or len(told) != len(now) or not all(isinstance(one, dict) for one in told):
        detail = f"a list of {len(now)} paths, as configured"
        raise problem(BadValue, path, detail, value=told, mend="leave what stays out of each: {}")
    return [_leg(f"{path}/{index}", one, leg) for index, (one, leg) in enumerate(zip(told, now, strict=True))]


def _leg(path: str, told: dict[str, Any], now: Leg) -> Leg:
    only(told, "destination", "port", "source", "source_port", "enabled")
    kinds = {"destination": str, "port": int, "source": str, "source_port": int, "enabled": bool}
    for name, value in told.items():
        fits = isinstance(value, kinds[name]) and (isinstance(value, bool) == (name == "enabled"))
        if fits and isinstance(value, int) and not isinstance(value, bool):
            fits = (0 if name == "source_port" else 1) <= value <= 65_535
        if not fits:
            raise problem(BadValue, f"{path}/{name}", "not a value of it", value=value, mend="see docs/openapi.json")
    leg = Leg(
        told.get("destination", now.destination),
        told.get("port", now.port),
        address_of(told.get("source", now.source)),
        told.get("source_port", now.source_port),
        told.get("enabled", now.enabled),
    )
    for name, value in (("destination", leg.destination), ("source", leg.source)):
        try:
            IPv4Address(value)
        except ValueError:
            mend = "give an IPv4 address" + (", or an interface's name" if name == "source" else "")
            raise problem(BadValue, f"{path}/{name}", "not an address", value=value, mend=mend) from None
    return leg
