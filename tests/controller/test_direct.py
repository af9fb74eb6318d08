"""The short way to endpoints answers what FastAPI would have answered, and takes only what it can."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Annotated, Any, cast

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import Response
from starlette.types import Message, Scope

from controller.api import problems
from controller.api.control import Control
from controller.api.direct import Direct
from controller.errors import BadValue
from stage.errors import Problem

routes = APIRouter(prefix="/api/v1", default_response_class=Response)
CONTROL = cast("Control", SimpleNamespace(name="the control plane"))


async def _here(request: Request) -> Control:
    return cast("Control", request.app.state.control)


# At runtime this is what it means to the endpoints below; annotations of this file are text.
Here = Annotated[Any, Depends(_here)]


@routes.post("/cues/go")
async def go(request: Request, control: Here) -> Response:
    """Reads the body itself."""
    body = (await request.body()).decode()
    if body == "bad":
        raise BadValue(Problem(BadValue.code, "cues/go", "is bad"))
    if body == "broken":
        raise RuntimeError(body)
    return Response(f"{control.name} {body} {request.query_params.get('n', '')}")


@routes.put("/cues/order")
async def order(request: Request, control: Here) -> Response:
    """Stands before the one with a word at its place."""
    return Response("order")


@routes.put("/cues/{cue}")
async def put(request: Request, control: Here, cue: str) -> Response:
    """Takes a word of the path."""
    return Response(f"cue {cue}")


@routes.delete("/cues/{number}")
async def delete(request: Request, control: Here, number: int) -> Response:
    """Has its word converted, which is FastAPI's to do."""
    return Response(f"number {number + 1}")


@routes.patch("/cues")
async def patch(request: Request, control: Here, dry: Annotated[bool, Query()] = False) -> Response:
    """Has its query read by FastAPI."""
    return Response(f"dry {dry}")


def an_app() -> FastAPI:
    app = FastAPI(default_response_class=Response)
    app.state.control = CONTROL
    app.include_router(routes)
    problems.install(app)
    return app


async def ask(app: Any, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of the answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(), "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    try:
        await app(scope, receive, send)
    except RuntimeError:
        # The server is told of it after it was answered.
        assert sent
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/cues/go", b""), ("POST", "/api/v1/cues/go?n=3", b"text"), ("POST", "/api/v1/cues/go", b"bad"),
        ("POST", "/api/v1/cues/go", b"broken"), ("PUT", "/api/v1/cues/order", b""), ("PUT", "/api/v1/cues/dusk", b""),
        ("DELETE", "/api/v1/cues/7", b""), ("DELETE", "/api/v1/cues/seven", b""), ("PATCH", "/api/v1/cues?dry=1", b""),
        ("PATCH", "/api/v1/cues?dry=perhaps", b""), ("POST", "/api/v1/nothing", b""), ("PUT", "/api/v1/cues/go", b""),
        ("DELETE", "/api/v1/cues", b""),
    ],
)  # fmt: skip
def test_both_ways_answer_the_same(method: str, path: str, body: bytes) -> None:
    short = an_app()
    short.add_middleware(Direct, control=CONTROL, routers=[routes])
    answers = [asyncio.run(ask(app, method, path, body)) for app in (an_app(), short)]
    assert answers[0] == answers[1]


def test_what_reads_itself_goes_the_short_way() -> None:
    """FastAPI is not asked for it at all."""

    async def long_way(*_: object) -> None:
        raise AssertionError("the long way")

    direct = Direct(long_way, control=CONTROL, routers=[routes])
    assert asyncio.run(ask(direct, "POST", "/api/v1/cues/go", b"now")) == (200, b"the control plane now ")
    assert asyncio.run(ask(direct, "PUT", "/api/v1/cues/dusk")) == (200, b"cue dusk")
    with pytest.raises(AssertionError, match="the long way"):
        asyncio.run(ask(direct, "DELETE", "/api/v1/cues/7"))
