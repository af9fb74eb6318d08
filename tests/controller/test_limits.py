"""What a client may ask of the service, and that it is told so: every refusal is a problem document (RFC 9457)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from controller.access.pace import BURST, Paces
from controller.api import guard, serving
from controller.api.problems import TooSlow

if TYPE_CHECKING:
    from starlette.types import Message

    from tests.controller.conftest import RunningHouse

PROBLEM = "application/problem+json"


@contextmanager
def connection(house: RunningHouse) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", house.service.port), timeout=20) as sock:
        yield sock


def answer(sock: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and problem that a connection is closed with."""
    data = b""
    while part := sock.recv(1 << 16):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert headers["content-type"] == PROBLEM
    return int(lines[0].split()[1]), headers, json.loads(body)


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "no/such/thing", {}, 404),
        ("GET", "cameras/nobody", {}, 404),
        ("DELETE", "show", {}, 405),
        ("PATCH", "show", {"content": b"exposure_ev: 1", "headers": {"content-type": "text/plain"}}, 415),
        ("PATCH", "show", {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ("PATCH", "show", {"json": {"exposure_ev": "bright"}}, 422),
        ("PUT", "config", {"content": b"openvolume: 1", "headers": {"content-type": "application/yaml"}}, 428),
        ("PUT", "config", {"content": b" " * 2_100_000, "headers": {"content-type": "application/yaml"}}, 413),
        ("GET", "frames?window=" + "1" * 5000, {}, 414),
        ("GET", "show", {"headers": {f"x-{n}": "y" for n in range(80)}}, 431),
        ("PATCH", "show", {"json": {}, "headers": {"origin": "https://example.org"}}, 403),
        ("PATCH", "show", {"json": {}, "headers": {"authorization": "Bearer ov_made_up"}}, 200),
    ],
)  # fmt: skip
def test_every_refusal_is_a_problem(
    house: RunningHouse, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    told = house.client.request(method, f"/api/v1/{path}", **options)
    assert told.status_code == status, told.text
    if status == 200:
        return
    assert told.headers["content-type"] == PROBLEM
    said = told.json()
    assert said["status"] == status
    assert said["type"] == f"urn:openvolume:{said['code']}"
    assert said["detail"]


def test_a_fault_of_ours_is_a_problem_too(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(**_: Any) -> None:
        raise RuntimeError("secret words of the inside")

    monkeypatch.setattr(house.control.desk, "revisions", broken)
    told = house.client.get("/api/v1/config/revisions")
    assert (told.status_code, told.headers["content-type"]) == (500, PROBLEM)
    assert told.json()["code"] == "controller.internal"
    assert "secret" not in told.text


def test_who_asks_too_much_waits_and_nobody_else_does(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.control.doorman, "paces", Paces(pace_hz=0.01, burst=3.0))
    statuses = [house.client.get("/api/v1/show").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    told = house.client.patch("/api/v1/show", json={"exposure_ev": 1.0})
    assert told.status_code == 429
    assert told.json()["code"] == "controller.too_fast"
    assert 1 <= int(told.headers["retry-after"]) <= 100
    # Tokens that are made up count for their address; our own commands are never kept waiting.
    for number in range(3):
        made_up = {"authorization": f"Bearer ov_{number}"}
        assert house.client.get("/api/v1/show", headers=made_up).status_code == 429
    ours = {"authorization": f"Bearer {house.control.doorman.local_key}"}
    assert [house.client.get("/api/v1/show", headers=ours).status_code for _ in range(6)] == [200] * 6
    assert BURST >= 500, "sliders are not what is meant"


def test_so_many_requests_at_once(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 0)
    told = house.client.get("/api/v1/show")
    assert (told.status_code, told.headers["retry-after"]) == (503, "1")
    assert told.json()["code"] == "controller.too_many"


def test_what_is_no_http_is_told_so(house: RunningHouse) -> None:
    with connection(house) as sock:
        sock.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        status, _, said = answer(sock)
        assert (status, said["code"]) == (400, "controller.bad_request")


def test_headers_without_end_are_cut_off(house: RunningHouse) -> None:
    with connection(house) as sock:
        sock.sendall(b"GET /api/v1/show HTTP/1.1\r\nHost: 127.0.0.1\r\nx: " + b"y" * 40_000)
        status, _, said = answer(sock)
        assert (status, said["code"]) == (431, "controller.head_too_large")


def test_slow_heads_and_bodies_are_let_go(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_S", 0.2)
    monkeypatch.setattr(guard, "BODY_S", 0.2)
    for sent in (b"", b"GET /api/v1/show HT"):
        with connection(house) as sock:
            sock.sendall(sent)
            status, _, said = answer(sock)
            assert (status, said["code"]) == (408, "controller.too_slow")
    with connection(house) as sock:
        sock.sendall(
            b"PATCH /api/v1/show HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
        )
        status, _, said = answer(sock)
        assert (status, said["code"]) == (408, "controller.too_slow")


async def test_a_body_that_drips_is_let_go_and_a_long_one_is_given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then would hold a place for ever; what comes steadily may take as long as it is large."""
    monkeypatch.setattr(guard, "BODY_S", 0.2)
    monkeypatch.setattr(guard, "BODY_BYTES_PER_S", 100)
    now_s = [0.0]

    def body(bytes_each: int, count: int) -> guard._Counted:
        left = [count]

        async def receive() -> Message:
            now_s[0] += 0.05
            left[0] -= 1
            return {"type": "http.request", "body": b" " * bytes_each, "more_body": left[0] > 0}

        return guard._Counted(receive, 10_000, lambda: now_s[0])

    async def read(one: guard._Counted) -> int:
        size = 0
        while True:
            message = await one()
            size += len(message["body"])
            if not message["more_body"]:
                return size

    assert await read(body(50, 40)) == 2000
    with pytest.raises(TooSlow, match="bytes of it came in time"):
        await read(body(1, 400))


def test_one_address_opens_so_many_connections(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house.get("show")

    def held() -> int:
        return int(house.service.server.server_state.__dict__["held_by_address"]["127.0.0.1"])

    before = held()
    monkeypatch.setattr(serving, "MOST_OF_ONE_ADDRESS", before + 2)
    with connection(house) as first, connection(house) as second:
        house.eventually(lambda: held() == before + 2)
        with connection(house) as third:
            status, headers, said = answer(third)
            assert (status, said["code"]) == (503, "controller.too_many")
            assert headers["retry-after"] == "1"
        first.close()
        second.close()
    house.eventually(lambda: held() <= before)
    with connection(house) as sock:
        sock.sendall(b"GET /api/v1/show HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert b" 200 " in sock.recv(100)


def test_a_wrong_password_waits_a_minute(house: RunningHouse) -> None:
    body = {"name": "nobody", "password": "not it, surely"}
    with httpx.Client(base_url=house.url, timeout=20) as client:
        for _ in range(5):
            house.control.doorman.failed("127.0.0.1")
        told = client.post("/api/v1/session", json=body)
        assert (told.status_code, told.headers["retry-after"]) == (429, "60")
    house.control.doorman._failed.clear()
