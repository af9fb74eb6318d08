"""What NMOS APIs answer, and the ASGI app that carries it: JSON, errors as AMWA's documents say them, open to pages."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

log = logging.getLogger(__name__)

MOST_OCTETS: Final = 1 << 20
_OPEN: Final = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, PUT, POST, PATCH, HEAD, OPTIONS, DELETE",
    "access-control-allow-headers": "Content-Type, Accept",
    "access-control-max-age": "3600",
}
_MEANINGS: Final = {
    400: "the request cannot be read", 404: "there is no such resource", 405: "not a method of this resource",
    413: "the body is too long", 423: "an activation waits; only cancelling it is taken", 500: "it could not be done",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: `body` is JSON data, or bytes of `media_type`."""

    status: int
    body: Any = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Handle = Callable[[str, str, Any], Awaitable[Answer]]
"""Method, path without its last slash, JSON body (None: none)."""


def error(status: int, debug: str = "") -> Answer:
    """An error as every NMOS API says it."""
    return Answer(status, {"code": status, "error": _MEANINGS.get(status, "error"), "debug": debug or None})


def app_of(handle: Handle) -> Callable[..., Awaitable[None]]:
    """The ASGI app of an API."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False) and len(body) <= MOST_OCTETS
        answer = await _answer(handle, scope["method"], scope["path"].rstrip("/") or "/", body)
        data = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
        if answer.status == 204 or answer.body is None:
            data = b""
        headers = {**_OPEN, "content-type": answer.media_type, "content-length": str(len(data)), **answer.headers}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else data})

    return app


async def _answer(handle: Handle, method: str, path: str, body: bytes) -> Answer:
    if method == "OPTIONS":
        return Answer(200)
    if len(body) > MOST_OCTETS:
        return error(413)
    try:
        told = msgspec.json.decode(body) if body else None
    except msgspec.MsgspecError as problem:
        return error(400, str(problem))
    try:
        return await handle("GET" if method == "HEAD" else method, path, told)
    except Exception as problem:
        log.exception("%s %s failed", method, path)
        return error(500, f"{type(problem).__name__}: {problem}")
