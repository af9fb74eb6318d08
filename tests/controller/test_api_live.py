"""Events and previews over real WebSockets: snapshot, changes, gaps, slow clients that hold up nobody, limits.

The resources `events` and `previews` are not in OpenAPI, which knows no WebSockets; `openapi.json` is.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from controller.api import events
from controller.api.events import Hub
from controller.api.problems import TooMany

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def url(house: RunningHouse, path: str) -> str:
    return f"ws://127.0.0.1:{house.service.port}/api/v1/{path}"


def receive(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(client.recv(timeout=40))
    assert message["v"] == 1
    return message


def receive_until(client: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        message = receive(client)
        if wanted(message):
            return message
    raise AssertionError("it was never told")


def test_a_client_gets_a_snapshot_then_changes(house: RunningHouse) -> None:
    with connect(url(house, "events"), max_queue=None) as client:
        first = receive(client)
        assert first["type"] == "snapshot"
        assert first["data"]["cameras/a"] == {**house.get("cameras/a"), **_moving(first["data"]["cameras/a"])}
        assert {"show", "frames", "alarms", "nodes", "health", "action", "sources/tracker"} <= first["data"].keys()
        outcome = house.client.patch("/api/v1/cameras/a", json={"rank": 5}).json()
        told = receive_until(client, lambda m: m["type"] == "camera" and m["data"]["rank"] == 5)
        assert told["rev"] == outcome["rev"]
        assert told["seq"] > first["seq"]
        assert told["t_ns"] > first["t_ns"]
        house.client.post("/api/v1/undo")


MOVING = (
    "overscan_now_deg",
    "overscan_now_px",
    "overscan_cost_percent",
    "overscan_causes_deg",
    "raster_px",
    "texels_per_led",
)


def _moving(camera: dict[str, Any]) -> dict[str, Any]:
    """What moves from frame to frame in a camera."""
    return {name: camera[name] for name in MOVING}


def test_topics_choose_what_is_told(house: RunningHouse) -> None:
    with connect(url(house, "events?topics=action,show")) as client:
        assert set(receive(client)["data"]) == {"action", "show"}
        house.client.post("/api/v1/actions/hold")
        seen = [receive(client) for _ in range(2)]
        assert {message["type"] for message in seen} <= {"action", "show"}
        house.client.post("/api/v1/actions/none")


def test_an_unknown_topic_is_told(house: RunningHouse) -> None:
    with connect(url(house, "events?topics=weather")) as client:
        with pytest.raises(ConnectionClosed) as error:
            client.recv(timeout=5)
        assert error.value.rcvd is not None
        assert error.value.rcvd.code == 1008
        assert "weather" in error.value.rcvd.reason


def test_an_accepted_change_is_told_with_its_frame(house: RunningHouse) -> None:
    with connect(url(house, "events?topics=change")) as client:
        receive(client)
        outcome = house.client.patch("/api/v1/show", json={"exposure_ev": 1.0}).json()
        told = receive(client)
        assert (told["type"], told["rev"], told["data"]["frame"]) == ("change", outcome["rev"], outcome["frame"])
        assert told["data"]["who"].startswith("http")
        house.client.post("/api/v1/undo")


def test_a_client_that_comes_back_gets_what_changed_or_a_snapshot(house: RunningHouse) -> None:
    with connect(url(house, "events?topics=show")) as listener:
        seq = receive(listener)["seq"]
        house.client.patch("/api/v1/show", json={"exposure_ev": 1.5})
        receive_until(listener, lambda m: m["data"].get("exposure_ev") == 1.5)
        with connect(url(house, f"events?topics=show&last_seq={seq}")) as client:
            message = receive(client)
            assert (message["type"], message["data"]["exposure_ev"]) == ("show", 1.5)
        for stale in (0, seq + 10**9):
            with connect(url(house, f"events?topics=show&last_seq={stale}")) as client:
                assert receive(client)["type"] == "snapshot"
        house.client.post("/api/v1/undo")


def test_another_sites_page_may_not_listen(house: RunningHouse) -> None:
    with pytest.raises(InvalidStatus) as error:
        connect(url(house, "events"), origin="https://example.org")  # type: ignore[arg-type]
    assert error.value.response.status_code == 403
    with connect(url(house, "events"), origin=house.url) as client:  # type: ignore[arg-type]
        receive(client)


def test_clients_that_read_nothing_hold_up_nobody(house: RunningHouse) -> None:
    """Twenty that never read; the one that does hears every tenth of a second, and memory does not grow with them."""
    lazy = []
    for _ in range(20):
        sock = socket.create_connection(("127.0.0.1", house.service.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(
            b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        lazy.append(sock)
    try:
        gaps, sizes = [], []
        with connect(url(house, "events?topics=frames")) as client:
            receive(client)
            last = time.monotonic()
            while len(gaps) < 30:
                receive(client)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
                sizes.append(max((len(c) for c in house.control.hub._clients), default=0))
        assert sorted(gaps)[len(gaps) // 2] < 0.2
        # One pending change an object: a client's memory has a bound that does not depend on how long it sleeps.
        assert max(sizes) <= len(house.control.objects()) + 2
    finally:
        for sock in lazy:
            sock.close()
    house.eventually(lambda: house.control.hub.clients == 0)


def test_previews_are_pulled_one_by_one(house: RunningHouse) -> None:
    with connect(url(house, "previews?of=canvases/main&width_px=64")) as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.3)
        frames = []
        for _ in range(5):
            client.send("next")
            data = client.recv(timeout=40)
            assert isinstance(data, bytes)
            frames.append(int.from_bytes(data[:8], "little"))
            assert Image.open(io.BytesIO(data[8:])).width <= 64
        assert frames == sorted(set(frames)), "every picture is a newer one"
    house.eventually(lambda: house.control.previews == 0)


def test_previews_of_a_camera_are_photos(house: RunningHouse) -> None:
    with connect(url(house, "previews?of=cameras/a/photo&width_px=320")) as client:
        client.send("next")
        data = client.recv(timeout=40)
        assert Image.open(io.BytesIO(data[8:])).size == (320, 180)  # type: ignore[arg-type]


@pytest.mark.parametrize("of", ["cameras/x/photo", "canvases/x", "walls/main", ""])
def test_previews_of_nothing_are_refused(house: RunningHouse, of: str) -> None:
    with connect(url(house, f"previews?of={of}")) as client:
        with pytest.raises(ConnectionClosed) as error:
            client.recv(timeout=5)
        assert error.value.rcvd is not None
        assert error.value.rcvd.code == 1008


# --- the hub by itself ------------------------------------------------------------------------------------------


def a_hub() -> Hub:
    return Hub(lambda: 5_000_000, lambda topics: (1, {"topics": sorted(topics)}))


async def listen(
    hub: Hub, got: list[dict[str, Any]], send: Callable[[str], Awaitable[None]] | None = None, **options: Any
) -> None:
    async def take(text: str) -> None:
        got.append(json.loads(text))

    await hub.serve(send or take, **options)


async def test_the_newest_change_of_each_object_wins() -> None:
    hub, got = a_hub(), list[dict[str, Any]]()
    task = asyncio.create_task(listen(hub, got))
    await asyncio.sleep(0)
    for n in range(100):
        hub.publish("camera", "cameras/a", n, {"n": n})
        hub.publish("camera", "cameras/b", n, {"n": -n})
    await asyncio.sleep(0.01)
    task.cancel()
    assert [(m["type"], m["data"]) for m in got] == [
        ("snapshot", {"topics": []}), ("camera", {"n": 99}), ("camera", {"n": -99}),
    ]  # fmt: skip
    assert [m["seq"] for m in got] == [5, 204, 205]


async def test_a_client_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SEND_TIMEOUT_S", 0.02)
    hub = a_hub()

    async def never(_: str) -> None:
        await asyncio.Event().wait()

    await asyncio.wait_for(listen(hub, [], never), 2)
    assert (hub.clients, hub.dropped) == (0, 1)


async def test_no_more_clients_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_CLIENTS", 2)
    hub = a_hub()
    tasks = [asyncio.create_task(listen(hub, [])) for _ in range(2)]
    await asyncio.sleep(0.01)
    with pytest.raises(TooMany):
        await listen(hub, [])
    for task in tasks:
        task.cancel()


async def test_what_was_forgotten_is_answered_with_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_CHANGES", 3)
    hub = a_hub()
    for n in range(6):
        hub.publish("camera", f"cameras/{n}", n, {"n": n})
    for last_seq, expected in ((hub.seq - 1, ["camera"]), (hub.seq - 3, ["camera"] * 3), (hub.seq - 4, ["snapshot"])):
        got: list[dict[str, Any]] = []
        task = asyncio.create_task(listen(hub, got, last_seq=last_seq))
        await asyncio.sleep(0.01)
        task.cancel()
        assert [m["type"] for m in got] == expected
