"""Every route of the API, found in the app itself: what roles and the show lock are walked over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import Message, Receive, Scope, Send

from controller.access.doorman import Doorman
from controller.access.roles import HAND
from controller.api.app import create_app
from controller.api.guard import Guard
from runtime.clock import SystemClock

METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True)
class Route:
    """One method of one path: `template` as in the document, `path` with a word in place of each name."""

    method: str
    template: str
    operation: dict[str, Any] = field(compare=False, hash=False)

    @property
    def path(self) -> str:
        parts = self.template.split("/")
        return "/".join("1" if part in ("{rev}", "{frame}") else _filled(part) for part in parts)

    @property
    def name(self) -> str:
        return f"{self.method} {self.template.removeprefix('/api/v1')}"

    @property
    def writes(self) -> bool:
        return self.method != "GET"


def _filled(part: str) -> str:
    begin, end = part.find("{"), part.find("}")
    return part if begin < 0 else part[:begin] + "a" + part[end + 1 :]


def every_route() -> Iterator[Route]:
    """Every method of every path in the document."""
    for template, item in create_app(version="test").openapi()["paths"].items():
        for method in METHODS:
            if method in item:
                yield Route(method.upper(), template, item[method])


async def knock(
    doorman: Doorman, method: str, path: str, *headers: tuple[bytes, bytes], client: str = "127.0.0.1"
) -> tuple[int, dict[str, Any]]:
    """Status and problem of the gate's answer; 200 where it lets the request through."""
    sent: list[Message] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "client": (client, 5), "server": (client, 7400),
        "headers": [(b"host", b"127.0.0.1"), *headers],
    }  # fmt: skip
    token = HAND.set(HAND.get())
    try:
        await Guard(app, doorman=doorman)(scope, receive, send)
    finally:
        HAND.reset(token)
    return sent[0]["status"], msgspec.json.decode(sent[1]["body"])


def unguarded() -> Doorman:
    """One that asks nobody who they are."""
    return Doorman(None, clock=SystemClock())
