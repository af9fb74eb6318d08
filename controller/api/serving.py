"""How the app is served: uvicorn with limits on what a connection may send before anybody has looked at it.

A client that is slow with its headers, sends endless ones, or opens connections without end, is let go here; what is
wrong with a whole request, the gate tells (`controller.api.guard`). Every answer is a problem document.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

import msgspec
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from controller.access.certificates import Certificates
from controller.api.corked import Corked
from controller.api.problems import MEDIA_TYPE, document
from stage.errors import Problem

MOST_HEAD_BYTES: Final = 32 * 1024
"""Of the first line and all headers of a request."""
HEAD_S: Final = 10.0
"""A connection that has not said what it wants by then is closed."""
MOST_OF_ONE_ADDRESS: Final = 192
"""Connections one address may hold; WebSockets have limits of their own."""
MOST_CONNECTIONS: Final = 2048


def server_config(app: FastAPI, *, tls: Certificates | None = None) -> uvicorn.Config:
    """What serves the app, with the limits."""
    return uvicorn.Config(
        app,
        http=LimitedHttp,
        ssl_certfile=tls.leaf if tls else None,
        ssl_keyfile=tls.key if tls else None,
        log_config=None,
        # Starts, ends and every WebSocket are no news in our log.
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        ws_max_size=1 << 16,
        ws_max_queue=4,
        # A client that is gone, or reads nothing, is let go within five seconds; one that was cut off comes back.
        ws_ping_interval=2.0,
        ws_ping_timeout=2.0,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
    )


class LimitedHttp(HttpToolsProtocol):
    """One connection, until it is a WebSocket's."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._in_head = True
        self._timer: asyncio.TimerHandle | None = None
        self._address: str | None = None

    @property
    def held(self) -> Counter[str]:
        """Connections of this server by address."""
        found: Counter[str] = self.server_state.__dict__.setdefault("held_by_address", Counter())
        return found

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if its address has not too many."""
        super().connection_made(Corked(transport, self.loop))
        self._address = self.client[0] if self.client else ""
        self.held[self._address] += 1
        if self.held[self._address] > MOST_OF_ONE_ADDRESS:
            mend = "close some, or use them again"
            self._answer(503, "controller.too_many", f"{MOST_OF_ONE_ADDRESS} connections are open already", mend)
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before a request is known, and hand it on."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._timer is None:
                self._await_head()
        super().data_received(data)
        # A body may have come with its head: only a head that goes on is too long.
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            detail = f"at most {MOST_HEAD_BYTES} bytes of headers are taken"
            self._answer(431, "controller.head_too_large", detail, "send fewer or shorter headers")

    def handle_websocket_upgrade(self) -> None:
        """It is a WebSocket's from now on."""
        self._let_go()
        if isinstance(self.transport, Corked):
            self.transport.flush()
            self.transport = self.transport.bare
        super().handle_websocket_upgrade()

    def on_headers_complete(self) -> None:
        """A request is known."""
        self._in_head, self._head_bytes = False, 0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Its body is there: what comes now is another request."""
        self._in_head = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP."""
        self._answer(400, "controller.bad_request", msg, "send HTTP/1.1")

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_S, self._too_slow)

    def _too_slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self._answer(408, "controller.too_slow", f"no request within {HEAD_S:g} s", "connect again")

    def _answer(self, status: int, code: str, detail: str, mend: str) -> None:
        self._stop_timer()
        body = msgspec.json.encode(document(status, [Problem(code, "connection", detail, None, mend)]))
        told = (
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + told.encode() + body)
        self.transport.close()

    def _let_go(self) -> None:
        self._stop_timer()
        if self._address is not None:
            self.held[self._address] -= 1
            if not self.held[self._address]:
                del self.held[self._address]
            self._address = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
