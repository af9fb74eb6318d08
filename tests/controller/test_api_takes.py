"""Takes over HTTP: the lock makes them, people mark them, one is played on the walls again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.takes.book import TakeBook
from runtime.clock import NS_PER_S, SystemClock
from stage.frames import pose
from stage.rate import Rate
from tracking.capture import CaptureInfo, CaptureWriter
from tracking.encoders import encoder
from tracking.moment import Moment
from tracking.sender import UdpWire
from tracking.tap import Batch, Datagram, LinkInfo

pytestmark = pytest.mark.timeout(90)


def test_the_lock_makes_takes_and_people_mark_them(house: Any) -> None:
    client = house.client
    assert client.get("/api/v1/takes").json()["takes"] == []
    assert client.put("/api/v1/lock", json={"state": "armed", "take": "12A/3"}).status_code == 200
    assert client.get("/api/v1/takes").json()["takes"] == [], "an armed take is none yet"
    assert client.put("/api/v1/lock", json={"state": "rolling"}).status_code == 200
    (take,) = client.get("/api/v1/takes").json()["takes"]
    assert (take["name"], take["rolls"], take["last_frame"]) == ("12A/3", True, None)
    assert re.fullmatch(r"\d\d:\d\d:\d\d[:;]\d\d", take["first_timecode"])
    marked = client.patch(f"/api/v1/takes/{take['id']}", json={"mark": "circle", "notes": "the good one"})
    assert marked.status_code == 200, "also while it rolls"
    assert client.post(f"/api/v1/takes/{take['id']}/replay", json={}).status_code == 423
    assert client.put("/api/v1/lock", json={"state": "open"}).status_code == 200
    house.eventually(lambda: not house.get(f"takes/{take['id']}")["rolls"])
    ended = client.get(f"/api/v1/takes/{take['id']}").json()
    assert (ended["mark"], ended["notes"], ended["rolls"]) == ("circle", "the good one", False)
    assert ended["last_frame"] >= ended["first_frame"]
    assert house.client.patch("/api/v1/takes/1", json={"mark": "best"}).status_code == 422
    assert house.client.patch("/api/v1/takes/99", json={"mark": "ng"}).status_code == 404
    problem = client.post("/api/v1/takes/1/replay", json={}).json()
    assert "not recorded" in problem["detail"]


def test_a_take_is_played_again_and_nobody_else_is_heard(house: Any, tmp_path: Path) -> None:
    """A live tracker stands at 0, the recording at 1.5 m: the camera goes there, and comes back when it ends."""
    (source,) = house.get("sources")
    listen = house.get(f"sources/{source}")["listen"]
    live = Standing(listen, x_m=0.0)
    try:
        house.eventually(lambda: live.send() and abs(house.get("cameras/a")["position_m"][0]) < 0.05, timeout_s=20)
        take = house.client.get("/api/v1/takes").json()["takes"][0]["id"]
        with_file(house.state, take, record(tmp_path / "take.mcap", listen, seconds=3.0, x_m=1.5))
        playing = house.client.post(f"/api/v1/takes/{take}/replay", json={"loop": True})
        assert playing.json()["replaying"] == take, playing.text
        assert "not heard" in str(house.get("alarms")["alarms"])
        house.eventually(
            lambda: live.send() and abs(house.get("cameras/a")["position_m"][0] - 1.5) < 0.05, timeout_s=30
        )
        assert house.client.put("/api/v1/lock", json={"state": "rolling", "take": "12B/1"}).status_code == 200
        house.eventually(lambda: house.client.get("/api/v1/takes").json()["replaying"] is None)
        house.eventually(lambda: live.send() and abs(house.get("cameras/a")["position_m"][0]) < 0.05, timeout_s=30)
    finally:
        house.client.put("/api/v1/lock", json={"state": "open"})
        assert house.client.delete("/api/v1/takes/replay").json()["replaying"] is None
        live.close()


class Standing:
    """A tracker that stands still; every `send` is its next packet."""

    def __init__(self, listen: str, *, x_m: float) -> None:
        self._wire, self._pose, self._number = UdpWire(listen), pose((x_m, 0.0, 1.6)), 0
        self._encode = encoder("opentrackio", camera="a", rate=Rate(60))

    def send(self) -> bool:
        """Send one; always true."""
        self._number += 1
        for datagram in self._encode(Moment(self._pose, self._number, SystemClock().tai_ns())):
            self._wire.send(datagram)
        return True

    def close(self) -> None:
        """Let the socket go."""
        self._wire.close()


def record(file: Path, listen: str, *, seconds: float, x_m: float) -> Path:
    """A recording of a tracker that stands still."""
    encode, link = encoder("opentrackio", camera="a", rate=Rate(60)), LinkInfo(listen, "opentrackio", ("tracker",))
    clock = SystemClock()
    tai_ns, now_ns = clock.tai_ns(), clock.now_ns()
    writer = CaptureWriter(file, CaptureInfo(tai_ns - now_ns, tai_ns - now_ns))
    for number in range(int(seconds * 60)):
        after_ns = number * NS_PER_S // 60
        (data,) = encode(Moment(pose((x_m, 0.0, 1.6)), number, tai_ns + after_ns))
        writer.add(Batch((link,), (Datagram(0, now_ns + after_ns, "127.0.0.1", 4242, data),)))
    writer.close()
    return file


def with_file(state: Path, take: int, file: Path) -> None:
    """Note the recording of a take, as the keeper does."""
    book = TakeBook(state)
    book.keep(msgspec.structs.replace(book.get(take), recording=str(file)))
    book.close()
