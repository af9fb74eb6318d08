"""The gate before every request: size, origin, host, and who may write. Plain ASGI: it costs microseconds.

Until there are users and roles, whoever is on this machine may read and write, and nobody else may write. A page of
another site in the operator's browser is somebody else: its Origin is refused, and a Host that is not this machine's
(a name that was made to point here) is refused on loopback.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api.problems import Forbidden, TooLarge, problem, problem_response, status_of
from controller.config import is_loopback
from controller.errors import ControllerError
from stage.documents import MAX_BYTES

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; img-src 'self' blob: data:; connect-src 'self' ws: wss:"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int = MAX_BYTES + 4096) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a good request on, answer a bad one."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        error = self._refusal(scope, headers)
        if error is not None:
            await self._refuse(error, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        counted = _Counted(receive, self.max_body_bytes)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        try:
            await self.app(scope, counted, send_with_headers)
        except TooLarge as too_large:
            await self._refuse(too_large, scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> ControllerError | None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.max_body_bytes:
            return _too_large(self.max_body_bytes)
        host = headers.get("host", "")
        server = scope.get("server")
        if server is not None and is_loopback(str(server[0])) and not _local_name(host):
            mend = "use http://127.0.0.1"
            return problem(Forbidden, "host", "this name is not of this machine", value=host, mend=mend)
        origin = headers.get("origin")
        writes = scope["type"] == "websocket" or scope["method"] not in READS
        if origin is not None and writes and urlsplit(origin).netloc != host:
            return problem(Forbidden, "origin", "a page of another site may not do this", value=origin)
        client = scope.get("client")
        if writes and scope["type"] == "http" and client is not None and not _is_here(str(client[0])):
            detail = "only programs on this machine may change the show while there are no users and roles"
            return problem(Forbidden, "client", detail, value=str(client[0]), mend="work on the show's own machine")
        return None

    async def _refuse(self, error: ControllerError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": error.problems[0].detail})
            return
        await problem_response(status_of(error), error.problems)(scope, receive, send)


class _Counted:
    """A body that stops at the limit, also when its length was not told before."""

    def __init__(self, receive: Receive, limit_bytes: int) -> None:
        self._receive, self._left, self._limit = receive, limit_bytes, limit_bytes

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _too_large(self._limit)
        return message


def _too_large(limit_bytes: int) -> ControllerError:
    return problem(TooLarge, "body", f"at most {limit_bytes} bytes are taken", mend="send less")


def _local_name(host: str) -> bool:
    name = urlsplit("//" + host).hostname or ""
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


def _is_here(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return True  # a Unix socket, or a test client: no network lies between
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
