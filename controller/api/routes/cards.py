"""What lies over the picture: light cards and flags on the walls, chroma keys in cameras' frusta."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from controller.api import present_cards
from controller.api.control import Control
from controller.api.http import (
    Here,
    answers,
    change,
    checked_rev,
    closed,
    flat,
    known,
    needed_rev,
    read_object,
    router,
    send_json,
    send_outcome,
    takes,
    who,
)
from controller.api.schema import plain_schema
from controller.api.views import OutcomeView
from controller.api.views_cards import CardView, ChromaKeyView
from controller.cards import Card
from controller.chromakeys import ChromaKey
from controller.commands import Command
from controller.layer_addresses import LAYERS

routes = router()


def _schema(kind: type[Card | ChromaKey], *, whole: bool) -> dict[str, Any]:
    schema = plain_schema(kind)
    schema = schema.get("allOf", [schema])[0]
    found: dict[str, Any] = closed(schema["properties"])
    return {**found, "required": schema.get("required", [])} if whole else found


@routes.get("/cards", responses=answers(CardView, many=True), tags=["cards"])
async def get_cards(control: Here) -> Response:
    """Every light card and flag by id, with where it comes to lie."""
    return send_json(present_cards.cards(control.desk), rev=control.desk.rev)


@routes.get("/cards/{card}", responses=answers(CardView), tags=["cards"])
async def get_card(control: Here, card: str) -> Response:
    """One card."""
    known(card, control.desk.show.cards, f"cards/{card}")
    return send_json(present_cards.cards(control.desk)[card])


@routes.put(
    "/cards/{card}", responses=answers(OutcomeView), openapi_extra=takes(_schema(Card, whole=True)), tags=["cards"]
)
async def put_card(request: Request, control: Here, card: str) -> Response:
    """Make a card, or put another in its place (which needs If-Match): what is left out is as in a new one."""
    return await _put(request, control, "cards", card)


@routes.patch(
    "/cards/{card}", responses=answers(OutcomeView), openapi_extra=takes(_schema(Card, whole=False)), tags=["cards"]
)
async def patch_card(request: Request, control: Here, card: str) -> Response:
    """Change values of a card; the last writer wins. Made for dragging: what waits is taken together."""
    return await _patch(request, control, "cards", card)


@routes.delete("/cards/{card}", responses=answers(OutcomeView), tags=["cards"])
async def delete_card(request: Request, control: Here, card: str) -> Response:
    """Take a card away. Needs If-Match."""
    return await _delete(request, control, "cards", card)


@routes.get("/chromakeys", responses=answers(ChromaKeyView, many=True), tags=["cards"])
async def get_chromakeys(control: Here) -> Response:
    """Every chroma key by id."""
    return send_json(present_cards.chromakeys(control.desk), rev=control.desk.rev)


@routes.get("/chromakeys/{key}", responses=answers(ChromaKeyView), tags=["cards"])
async def get_chromakey(control: Here, key: str) -> Response:
    """One chroma key."""
    known(key, control.desk.show.chromakeys, f"chromakeys/{key}")
    return send_json(present_cards.chromakeys(control.desk)[key])


@routes.put(
    "/chromakeys/{key}",
    responses=answers(OutcomeView),
    openapi_extra=takes(_schema(ChromaKey, whole=True)),
    tags=["cards"],
)
async def put_chromakey(request: Request, control: Here, key: str) -> Response:
    """Make a key in a camera's frustum, or put another in its place (which needs If-Match)."""
    return await _put(request, control, "chromakeys", key)


@routes.patch(
    "/chromakeys/{key}",
    responses=answers(OutcomeView),
    openapi_extra=takes(_schema(ChromaKey, whole=False)),
    tags=["cards"],
)
async def patch_chromakey(request: Request, control: Here, key: str) -> Response:
    """Change values of a key; the last writer wins."""
    return await _patch(request, control, "chromakeys", key)


@routes.delete("/chromakeys/{key}", responses=answers(OutcomeView), tags=["cards"])
async def delete_chromakey(request: Request, control: Here, key: str) -> Response:
    """Take a key away. Needs If-Match."""
    return await _delete(request, control, "chromakeys", key)


async def _put(request: Request, control: Control, layer: str, name: str) -> Response:
    path = f"{layer}/{name}"
    if name in LAYERS[layer].held(control.desk.show):
        needed_rev(request, control.desk.rev_of(path), path)
    return send_outcome(await change(control, Command({path: await read_object(request)}, who=who(request))))


async def _patch(request: Request, control: Control, layer: str, name: str) -> Response:
    path = f"{layer}/{name}"
    known(name, LAYERS[layer].held(control.desk.show), path)
    checked_rev(request, control.desk.rev_of(path), path)
    return send_outcome(await change(control, Command(flat(path, await read_object(request)), who=who(request))))


async def _delete(request: Request, control: Control, layer: str, name: str) -> Response:
    path = f"{layer}/{name}"
    known(name, LAYERS[layer].held(control.desk.show), path)
    needed_rev(request, control.desk.rev_of(path), path)
    return send_outcome(await change(control, Command({path: None}, who=who(request))))
