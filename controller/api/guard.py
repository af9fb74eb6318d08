"""The gate before every request: size, pace, origin, host, who it is and whether they may. Plain ASGI.

A page of another site in the operator's browser is somebody else, whatever cookie it sends: its Origin is refused, and
a Host that is not this machine's (a name that was made to point here) is refused on loopback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.access.doorman import Doorman, is_here
from controller.access.pace import PACE_HZ
from controller.access.roles import HAND, READS, Hand, needed, scope_of_request
from controller.api.problems import (
    Forbidden,
    TooFast,
    TooLarge,
    TooMany,
    TooManyHeaders,
    TooSlow,
    Unauthorized,
    UrlTooLong,
    problem,
    refusal_response,
)
from controller.config import is_loopback
from controller.errors import ControllerError, ShowLocked
from controller.show_file import MOST_BYTES as SHOW_FILE_BYTES
from controller.show_lock import request_held
from stage.documents import MAX_BYTES

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; img-src 'self' blob: data:; connect-src 'self' ws: wss:"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


SHOW_FILE_PATH: Final = "/api/v1/show/import"
MOST_URL_BYTES: Final = 4096
MOST_HEADERS: Final = 64
MOST_AT_ONCE: Final = 256
"""Requests that are answered at once: most wait for a frame, some for a scene."""
TOLD: Final = frozenset({403, 412, 423})
"""Refusals of the resources themselves that the audit log tells of, as of the gate's own."""
BODY_S: Final = 15.0
"""A body that is not there by then, and a second later for each `BODY_BYTES_PER_S` that came, is not waited for: one
that drips would hold its place for ever."""
BODY_BYTES_PER_S: Final = 20_000


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, doorman: Doorman, max_body_bytes: int = MAX_BYTES + 4096) -> None:
        self.app, self.doorman = app, doorman
        self.max_body_bytes = max_body_bytes
        self.at_once = 0
        """Requests that are being answered."""

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
        counted = _Counted(receive, self._most_bytes(scope["path"]), asyncio.get_running_loop().time)
        self.at_once += 1

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
                status = message["status"]
                if status in TOLD and scope["method"] not in READS and scope["path"].startswith("/api/"):
                    # What the path alone did not bar: an address, a stale revision.
                    self.doorman.on_refused(HAND.get(), scope["path"], f"{status} {HTTPStatus(status).phrase}")
            await send(message)

        try:
            await self.app(scope, counted, send_with_headers)
        except (TooLarge, TooSlow) as late:
            await self._refuse(late, scope, receive, send)
        finally:
            self.at_once -= 1

    def _most_bytes(self, path: str) -> int:
        return max(self.max_body_bytes, SHOW_FILE_BYTES) if path.startswith(SHOW_FILE_PATH) else self.max_body_bytes

    def _refusal(self, scope: Scope, headers: Headers) -> ControllerError | None:
        client = scope.get("client")
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > MOST_URL_BYTES:
            return problem(UrlTooLong, "url", f"at most {MOST_URL_BYTES} bytes are taken", mend="ask for less at once")
        if len(scope["headers"]) > MOST_HEADERS:
            return problem(TooManyHeaders, "headers", f"at most {MOST_HEADERS} are taken", mend="send fewer")
        wait_s = self.doorman.wait_s(headers, "" if client is None else str(client[0]))
        if wait_s > 0.0:
            detail = f"more than {PACE_HZ:g} requests a second"
            return problem(TooFast, "client", detail, value=round(wait_s, 3), mend="wait as long as Retry-After says")
        if scope["type"] == "http" and self.at_once >= MOST_AT_ONCE:
            return problem(
                TooMany, "client", f"{self.at_once} requests are being answered", mend="try again in a second"
            )
        length, most = headers.get("content-length", "0"), self._most_bytes(scope["path"])
        if not length.isdecimal() or int(length) > most:
            return _too_large(most)
        host = headers.get("host", "")
        server = scope.get("server")
        if server is not None and is_loopback(str(server[0])) and not _local_name(host):
            mend = "use http://127.0.0.1"
            return problem(Forbidden, "host", "this name is not of this machine", value=host, mend=mend)
        origin = headers.get("origin")
        writes = scope["type"] == "websocket" or scope["method"] not in READS
        if origin is not None and writes and urlsplit(origin).netloc != host:
            mend = "open the console at the show's own address; programs send no Origin"
            return problem(Forbidden, "origin", "a page of another site may not do this", value=origin, mend=mend)
        return self._unwelcome(scope, headers)

    def _unwelcome(self, scope: Scope, headers: Headers) -> ControllerError | None:
        """Why whoever asks may not; sets whose hand it is."""
        client = scope.get("client")
        host = "" if client is None else str(client[0])
        here = is_here(host)
        hand = self.doorman.hand(headers, host or "local", is_here=here)
        error = self._verdict(scope, hand, host, is_here=here)
        if error is not None and scope["type"] == "http" and scope["method"] not in READS:
            self.doorman.on_refused(hand or self.doorman.stranger(host), scope["path"], error.problems[0].detail)
        return error

    def _verdict(self, scope: Scope, hand: Hand | None, host: str, *, is_here: bool) -> ControllerError | None:
        method = "GET" if scope["type"] == "websocket" else scope["method"]
        needs = scope_of_request(method, scope["path"])
        verdict = self.doorman.lets_in(hand, needs, scope["path"], is_here=is_here)
        if verdict == "yes":
            HAND.set(hand or self.doorman.stranger(host))
            return self._held(method, scope["path"])
        if verdict == "who":
            detail = "say who you are" if hand is not None else "this session or key lets nobody in (any more)"
            mend = "log in (POST /api/v1/session), or send a key: Authorization: Bearer ov_..."
            return problem(Unauthorized, "authorization", detail, mend=mend)
        if not self.doorman.is_set_up:
            detail = "only programs on this machine may change the show while there are no users"
            mend = "set up the first user with the code that `openvolume run` printed, on the show's own machine"
            return problem(Forbidden, "client", detail, value=host, mend=mend)
        assert hand is not None
        detail = f"{hand.name} is {hand.role}; this needs {needed(needs)}"
        return problem(Forbidden, "role", detail, value=hand.role, mend="ask an admin for another role")

    def _held(self, method: str, path: str) -> ControllerError | None:
        if method not in READS:
            try:
                request_held(self.doorman.lock(), method, path)
            except ShowLocked as locked:
                return locked
        return None

    async def _refuse(self, error: ControllerError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": error.problems[0].detail})
            return
        await refusal_response(error)(scope, receive, send)


class _Counted:
    """A body that stops at the limit, also when its length was not told before, and that must come in time."""

    def __init__(self, receive: Receive, limit_bytes: int, now_s: Callable[[], float]) -> None:
        self._receive, self._left, self._limit = receive, limit_bytes, limit_bytes
        self._more = True
        self._now_s = now_s
        self._until_s = now_s() + BODY_S

    async def __call__(self) -> Message:
        if not self._more:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._until_s - self._now_s())
        except TimeoutError:
            came = self._limit - self._left
            detail = f"only {came} bytes of it came in time"
            raise problem(TooSlow, "body", detail, mend="send it again, faster") from None
        self._more = message.get("more_body", False)
        self._left -= len(message.get("body", b""))
        self._until_s += len(message.get("body", b"")) / BODY_BYTES_PER_S
        if self._left < 0:
            raise _too_large(self._limit)
        return message


def _too_large(limit_bytes: int) -> ControllerError:
    return problem(TooLarge, "body", f"at most {limit_bytes} bytes are taken", mend="send less")


def _local_name(host: str) -> bool:
    name = urlsplit("//" + host).hostname or ""
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)
