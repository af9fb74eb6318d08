"""The gate before every request: who may write, from where, and how much."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send

from controller.access.doorman import Doorman
from controller.api.guard import Guard
from runtime.clock import SystemClock

HOST = (b"host", b"127.0.0.1:7400")


async def answer(
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    client: tuple[str, int] | None = ("127.0.0.1", 5),
    server: tuple[str, int] = ("127.0.0.1", 7400),
    kind: str = "http",
    body: bytes = b"",
) -> tuple[int, Any]:
    """Status and body the guard (or the app behind it, 200 with the bytes it was sent) answers."""
    sent: list[Message] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        taken = (await receive()).get("body", b"")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(len(taken)).encode()})

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": kind, "method": method, "path": "/x", "headers": [*headers], "client": client, "server": server,
    }  # fmt: skip
    await Guard(app, doorman=Doorman(None, clock=SystemClock()), max_body_bytes=1000)(scope, receive, send)
    if sent[0]["type"] == "websocket.close":
        return sent[0]["code"], sent[0]["reason"]
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize(
    "host", [b"127.0.0.1:7400", b"localhost:7400", b"[::1]:7400", b"brain.localhost", b"127.9.9.9"]
)
async def test_names_of_this_machine_are_let_in(host: bytes) -> None:
    assert (await answer((b"host", host)))[0] == 200


@pytest.mark.parametrize("host", [b"example.org", b"127.0.0.1.example.org", b"", b"10.0.0.5", b"localhost.example.org"])
async def test_other_names_are_not_on_loopback(host: bytes) -> None:
    status, body = await answer((b"host", host))
    assert status == 403
    assert msgspec.json.decode(body)["path"] == "host"


async def test_off_loopback_any_name_may_look_but_nobody_may_write() -> None:
    away = {"client": ("10.0.0.9", 5), "server": ("10.0.0.5", 7400)}
    host = (b"host", b"brain.studio.lan:7400")
    assert (await answer(host, **away))[0] == 200  # type: ignore[arg-type]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        status, body = await answer(host, method=method, **away)  # type: ignore[arg-type]
        assert status == 403
        assert "there are no users" in msgspec.json.decode(body)["detail"]


@pytest.mark.parametrize("client", [("127.0.0.1", 5), ("::1", 5), ("::ffff:127.0.0.1", 5), ("127.3.2.1", 5), None])
async def test_this_machine_may_write(client: tuple[str, int] | None) -> None:
    assert (await answer(HOST, method="PATCH", client=client))[0] == 200


@pytest.mark.parametrize(
    ("origin", "good"),
    [
        (b"http://127.0.0.1:7400", True),
        (b"http://127.0.0.1:8000", False),
        (b"https://example.org", False),
        (b"null", False),
        (b"http://127.0.0.1:7400.example.org", False),
    ],
)
async def test_only_its_own_page_may_write_or_listen(origin: bytes, good: bool) -> None:
    assert ((await answer(HOST, (b"origin", origin), method="POST"))[0] == 200) is good
    assert (await answer(HOST, (b"origin", origin)))[0] == 200, "reading is for the browser to keep apart"
    if not good:
        assert (await answer(HOST, (b"origin", origin), kind="websocket"))[0] == 1008


async def test_a_body_has_a_limit_told_or_not() -> None:
    assert (await answer(HOST, method="PUT", body=b"x" * 1000)) == (200, b"1000")
    assert (await answer(HOST, (b"content-length", b"1001"), method="PUT"))[0] == 413
    assert (await answer(HOST, method="PUT", body=b"x" * 1001))[0] == 413
    assert (await answer(HOST, (b"content-length", b"-5"), method="PUT"))[0] == 413
