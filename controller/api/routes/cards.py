"""What lies over the picture: light cards and flags on the walls, chroma keys in cameras' frusta.

Both are layers of the same make (`controller.layer_addresses`), so their resources are declared once, for every layer.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

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
from controller.commands import Command
from controller.desk import Desk
from controller.layer_addresses import CARDS, KEYS, Layer

Endpoint = Callable[..., Awaitable[Response]]

routes = router()


@dataclass(frozen=True, slots=True)
class LayerRoutes:
    """The resources of one layer.

    word : the id in their paths; view : one of them as it is told; told : all of them, by id; about : what each
    request does, for people.
    """

    layer: Layer
    word: str
    view: type[CardView | ChromaKeyView]
    told: Callable[[Desk], Mapping[str, Any]]
    about: Mapping[str, str]

    def declare(self) -> None:
        """Put them into `routes`."""
        one, many = f"/{self.layer.name}/{{{self.word}}}", f"/{self.layer.name}"
        outcome = answers(OutcomeView)
        whole, part = (takes(_schema(self.layer, whole=whole)) for whole in (True, False))
        routes.get(many, responses=answers(self.view, many=True), tags=["cards"])(self._listing())
        routes.get(one, responses=answers(self.view), tags=["cards"])(self._endpoint("get", self._get, reads=True))
        routes.put(one, responses=outcome, openapi_extra=whole, tags=["cards"])(self._endpoint("put", self._put))
        routes.patch(one, responses=outcome, openapi_extra=part, tags=["cards"])(self._endpoint("patch", self._patch))
        routes.delete(one, responses=outcome, tags=["cards"])(self._endpoint("delete", self._delete))

    def _listing(self) -> Endpoint:
        async def endpoint(control: Here) -> Response:
            return send_json(self.told(control.desk), rev=control.desk.rev)

        endpoint.__name__, endpoint.__doc__ = f"get_{self.layer.name}", self.about["list"]
        return endpoint

    def _endpoint(self, verb: str, do: Endpoint, *, reads: bool = False) -> Endpoint:
        """The function FastAPI is given: its parameters are named as the path names them."""

        async def endpoint(**given: Any) -> Response:
            return await do(given.get("request"), given["control"], given[self.word])

        kinds: dict[str, Any] = {} if reads else {"request": Request}
        kinds |= {"control": Here, self.word: str}
        named = inspect.Parameter.KEYWORD_ONLY
        told = [inspect.Parameter(name, named, annotation=kind) for name, kind in kinds.items()]
        endpoint.__signature__ = inspect.Signature(told, return_annotation=Response)  # type: ignore[attr-defined]
        endpoint.__annotations__ = {**kinds, "return": Response}
        endpoint.__name__, endpoint.__doc__ = f"{verb}_{self.word_in_names}", self.about[verb]
        return endpoint

    @property
    def word_in_names(self) -> str:
        """One of them, in names of operations."""
        return self.layer.name.removesuffix("s")

    async def _get(self, _: Request | None, control: Control, name: str) -> Response:
        known(name, self.layer.held(control.desk.show), f"{self.layer.name}/{name}")
        return send_json(self.told(control.desk)[name])

    async def _put(self, request: Request, control: Control, name: str) -> Response:
        path = f"{self.layer.name}/{name}"
        if name in self.layer.held(control.desk.show):
            needed_rev(request, control.desk.rev_of(path), path)
        return send_outcome(await change(control, Command({path: await read_object(request)}, who=who(request))))

    async def _patch(self, request: Request, control: Control, name: str) -> Response:
        path = f"{self.layer.name}/{name}"
        known(name, self.layer.held(control.desk.show), path)
        checked_rev(request, control.desk.rev_of(path), path)
        return send_outcome(await change(control, Command(flat(path, await read_object(request)), who=who(request))))

    async def _delete(self, request: Request, control: Control, name: str) -> Response:
        path = f"{self.layer.name}/{name}"
        known(name, self.layer.held(control.desk.show), path)
        needed_rev(request, control.desk.rev_of(path), path)
        return send_outcome(await change(control, Command({path: None}, who=who(request))))


def _schema(layer: Layer, *, whole: bool) -> dict[str, Any]:
    schema = plain_schema(layer.kind)
    schema = schema.get("allOf", [schema])[0]
    found: dict[str, Any] = closed(schema["properties"])
    return {**found, "required": schema.get("required", [])} if whole else found


LAYER_ROUTES: Final = (
    LayerRoutes(
        CARDS, "card", CardView, present_cards.cards,
        {
            "list": "Every light card and flag by id, with where it comes to lie.",
            "get": "One card.",
            "put": "Make a card, or put another in its place (which needs If-Match): what is left out is as in a new "
                   "one.",
            "patch": "Change values of a card; the last writer wins. Made for dragging: what waits is taken together.",
            "delete": "Take a card away. Needs If-Match.",
        },
    ),
    LayerRoutes(
        KEYS, "key", ChromaKeyView, present_cards.chromakeys,
        {
            "list": "Every chroma key by id.",
            "get": "One chroma key.",
            "put": "Make a key in a camera's frustum, or put another in its place (which needs If-Match).",
            "patch": "Change values of a key; the last writer wins.",
            "delete": "Take a key away. Needs If-Match.",
        },
    ),
)  # fmt: skip
for _layer in LAYER_ROUTES:
    _layer.declare()
