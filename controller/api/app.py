"""The app: every resource over one `Control`. `create_app(control)` is what the service serves and tests drive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.types import Message, Scope

from controller.access.doorman import Doorman
from controller.api import problems, schema
from controller.api.control import Control
from controller.api.direct import Direct
from controller.api.guard import Guard
from controller.api.routes import (
    access,
    cameras,
    captures,
    cards,
    config,
    cues,
    frames,
    guided,
    library,
    live,
    looks,
    page,
    processors,
    recording,
    relays,
    room,
    running,
    scenes,
    show,
    show_files,
    sources,
    streams,
    subjects,
    surfaces,
    takes,
    windows,
)
from runtime.clock import SystemClock

GROUPS = (
    running, frames, room, processors, streams, windows, surfaces, cameras, sources, subjects, guided, relays,
    recording, captures, show, cards, looks, cues, scenes, library, config, show_files, takes, live, access,
)  # fmt: skip


def create_app(control: Control | None = None, *, version: str = "") -> FastAPI:
    """The app over a control plane, which its lifespan starts and stops. Without one: for its OpenAPI document."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        assert control is not None, "an app without a control plane cannot be served"
        await control.start()
        try:
            app.openapi()
            await _warm_up(app)
            yield
        finally:
            await control.stop()

    app = FastAPI(
        title="OpenVolume",
        version=control.version if control is not None else version,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        default_response_class=Response,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.control = control
    for group in GROUPS:
        app.include_router(group.routes)
    app.include_router(page.routes)
    app.add_api_route("/api/v1/asyncapi.json", running.get_asyncapi, include_in_schema=False)
    app.add_api_route("/metrics", running.get_metrics, include_in_schema=False)
    problems.install(app)
    if control is not None:
        app.add_middleware(Direct, control=control, routers=[group.routes for group in GROUPS])
    app.add_middleware(Guard, doorman=control.doorman if control is not None else Doorman(None, clock=SystemClock()))

    def document() -> dict[str, Any]:
        return schema.openapi(app)

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to replace the document
    return app


async def _warm_up(app: FastAPI) -> None:
    """Ask for a path that is not there: FastAPI prepares its routes on the first request, which takes a frame."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        return

    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/api/v1/warm-up", "raw_path": b"/api/v1/warm-up", "root_path": "", "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 0),
    }  # fmt: skip
    await app(scope, receive, send)
