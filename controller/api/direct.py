"""The short way from a path to its endpoint, at a third of the time.

Consoles and panels ask for small things often, beside a show that needs the processor. A GET without a query whose
endpoint needs nothing but the control plane and words of the path needs nothing FastAPI works out for every request.
Whatever is out of the ordinary (a query, an error) goes the long way, and is answered there.

So with what changes the show (GO, a slider), where every millisecond lies between a hand and the light: an endpoint
that reads the request itself is called with it. It is called once: what it raises is answered here, as FastAPI's
handler would.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, get_type_hints

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.api.control import Control
from controller.api.problems import refusal_response
from stage.errors import OpenVolumeError

Endpoint = Callable[..., Awaitable[Response]]


class Direct:
    """ASGI middleware over the app whose routes it knows. Inside the guard."""

    def __init__(self, app: ASGIApp, *, control: Control, routers: Iterable[APIRouter]) -> None:
        self.app, self._control = app, control
        self._plain: dict[str, Endpoint] = {}
        self._named: list[tuple[re.Pattern[str], Endpoint]] = []
        others: list[re.Pattern[str]] = []
        self._writes: dict[str, list[tuple[re.Pattern[str], Endpoint | None]]] = {}
        """By method, in FastAPI's order; None: that one is FastAPI's."""
        for route in (route for router in routers for route in router.routes):
            if not isinstance(route, APIRoute):
                continue
            for method in (route.methods or set()) - {"GET", "HEAD"}:
                endpoint = route.endpoint if _reads_itself(route) else None
                self._writes.setdefault(method, []).append((route.path_regex, endpoint))
            if "GET" not in (route.methods or ()):
                continue
            if not _is_simple(route):
                others.append(route.path_regex)
            elif route.param_convertors:
                self._named.append((route.path_regex, route.endpoint))
            else:
                self._plain[route.path] = route.endpoint
        # A path that more than one route could take is FastAPI's to decide.
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is simple, hand on the rest."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
            write, words = self._write(scope) if scope["type"] == "http" else (None, {})
            if write is None:
                await self.app(scope, receive, send)
                return
            try:
                done = await write(request=Request(scope, receive, send), control=self._control, **words)
            except OpenVolumeError as error:
                done = refusal_response(error)
            await done(scope, receive, send)
            return
        endpoint, words = self._find(scope["path"])
        if endpoint is not None:
            try:
                response = await endpoint(control=self._control, **words)
            except Exception:  # noqa: BLE001 - asked again the long way, which tells every error as it should be
                response = None
            if response is not None:
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _write(self, scope: Scope) -> tuple[Endpoint | None, dict[str, str]]:
        path = scope["path"]
        for pattern, endpoint in self._writes.get(scope["method"], ()):
            match = pattern.match(path)
            if match is not None:
                return endpoint, match.groupdict()
        return None, {}

    def _find(self, path: str) -> tuple[Endpoint | None, dict[str, str]]:
        endpoint = self._plain.get(path)
        if endpoint is not None:
            return endpoint, {}
        for pattern, candidate in self._named:
            match = pattern.match(path)
            if match is not None and path not in self._plain and not any(o.match(path) for o in self._others):
                return candidate, match.groupdict()
        return None, {}


def _is_simple(route: APIRoute) -> bool:
    """Whether the endpoint needs nothing but the control plane and words of the path; the rest has defaults."""
    hints: dict[str, Any] = get_type_hints(route.endpoint)
    parameters = inspect.signature(route.endpoint).parameters
    words = set(route.param_convertors)
    needed = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    return (
        "control" in parameters
        and needed == words | {"control"}
        and all(hints[name] is str for name in words)
        and not route.dependencies
        and route.status_code in (None, 200)
    )


def _reads_itself(route: APIRoute) -> bool:
    """Whether the endpoint takes the request, the control plane and words of the path, and nothing else."""
    hints: dict[str, Any] = get_type_hints(route.endpoint)
    words = set(route.param_convertors)
    return (
        set(inspect.signature(route.endpoint).parameters) == words | {"request", "control"}
        and all(hints[name] is str for name in words)
        and not route.dependencies
        and route.status_code in (None, 200)
    )
