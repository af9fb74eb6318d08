"""Streams over the API: a real sender process beside the house, its description, and sending it elsewhere."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from controller.st2110.rfc4175 import parse

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def an_ear() -> socket.socket:
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    ear.bind(("127.0.0.1", 0))
    ear.settimeout(10)
    return ear


@pytest.fixture(scope="module")
def ears() -> Iterator[list[socket.socket]]:
    """Three receivers; two of them are sent to from the beginning."""
    made = [an_ear() for _ in range(3)]
    yield made
    for ear in made:
        ear.close()


@pytest.fixture(scope="module")
def ports(ears: list[socket.socket]) -> list[int]:
    return [ear.getsockname()[1] for ear in ears]


@pytest.fixture(scope="module")
def more(ports: list[int]) -> str:
    return f"""
outputs:
  main:
    st2110:
      paths:
        - {{destination: 127.0.0.1, port: {ports[0]}, source: lo}}
        - {{destination: 127.0.0.1, port: {ports[1]}, source: 127.0.0.1}}
"""


@pytest.fixture(scope="module", autouse=True)
def sender(house: RunningHouse) -> Iterator[subprocess.Popen[bytes]]:
    assert house.get("streams/main")["state"] == "waiting"
    refused = house.client.patch("/api/v1/streams/main", json={"enabled": False})
    assert (refused.status_code, refused.json()["code"]) == (409, "controller.not_connected")
    argv = [sys.executable, "-P", "-m", "controller.processes.sender", str(house.run.path)]
    process = subprocess.Popen(argv)
    house.eventually(lambda: house.get("streams/main")["state"] == "sending")
    yield process
    process.terminate()
    assert process.wait(5) in (0, -9)  # the last test kills it


def emptied(ear: socket.socket) -> None:
    ear.setblocking(False)
    while True:
        try:
            ear.recv(2048)
        except BlockingIOError:
            break
    ear.settimeout(10)


def test_a_stream_is_told_and_described(house: RunningHouse, ears: list[socket.socket], ports: list[int]) -> None:
    streams = house.get("streams")
    assert streams.keys() == {"main"}
    told = streams["main"]
    assert (told["width_px"], told["sampling"], told["bits"]) == (176, "RGB", 8)
    answer = house.client.get("/api/v1/streams/main/sdp")
    assert answer.headers["content-type"].startswith("application/sdp")
    assert answer.text.replace("\r\n", "\n") == house.run.description("main").read_text()
    assert re.findall(r"m=video (\d+)", answer.text) == [str(port) for port in ports[:2]]
    for ear in ears[:2]:
        packet = parse(ear.recv(2048))
        assert packet is not None
    metrics = house.client.get("/metrics").text
    assert 'openvolume_stream_sending{canvas="main"} 1.0' in metrics
    assert 'openvolume_stream_packets_total{canvas="main",path="1"}' in metrics


def test_a_stream_goes_elsewhere_and_off(house: RunningHouse, ears: list[socket.socket], ports: list[int]) -> None:
    session = house.get("streams/main")["session"]
    moved = house.client.patch("/api/v1/streams/main", json={"paths": [{"port": ports[2]}, {"enabled": False}]})
    assert moved.status_code == 200, moved.text
    told = moved.json()
    assert [leg["port"] for leg in told["connection"]["legs"]] == [ports[2], ports[1]]
    assert told["activated_tai_ns"] > 0
    assert told["session"] > session
    assert parse(ears[2].recv(2048)) is not None
    assert str(ports[0]) not in house.client.get("/api/v1/streams/main/sdp").text
    assert house.client.patch("/api/v1/streams/main", json={"enabled": False}).json()["state"] == "off"
    gone = house.client.get("/api/v1/streams/main/sdp")
    assert (gone.status_code, gone.json()["path"]) == (404, "streams/main/sdp")
    for ear in ears:
        emptied(ear)
    back = {"enabled": True, "paths": [{"port": ports[0]}, {"enabled": True}]}
    assert house.client.patch("/api/v1/streams/main", json=back).json()["state"] == "sending"
    assert parse(ears[0].recv(2048)) is not None
    assert parse(ears[1].recv(2048)) is not None


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"paths": [{"port": 5004}]}, "streams/main/paths"),
        ({"paths": [{"port": 0}, {}]}, "streams/main/paths/0/port"),
        ({"paths": [{}, {"port": True}]}, "streams/main/paths/1/port"),
        ({"paths": [{"destination": "here"}, {}]}, "streams/main/paths/0/destination"),
        ({"paths": [{"source": "nowhere0"}, {}]}, "streams/main/paths/0/source"),
        ({"paths": [{"ttl": 3}, {}]}, "ttl"),
        ({"enabled": 1}, "streams/main/enabled"),
        ({"where": 1}, "where"),
    ],
)
def test_what_is_no_connection_is_refused(house: RunningHouse, body: object, path: str) -> None:
    answer = house.client.patch("/api/v1/streams/main", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["path"] == path


def test_one_that_cannot_be_made_leaves_all_as_it_was(house: RunningHouse) -> None:
    before = house.get("streams/main")["connection"]
    answer = house.client.patch("/api/v1/streams/main", json={"paths": [{"source": "192.0.2.1"}, {}]})
    assert (answer.status_code, answer.json()["code"]) == (409, "controller.not_connected")
    assert answer.json()["mend"]
    assert house.get("streams/main")["connection"] == before
    assert house.client.get("/api/v1/streams/left").status_code == 404


def test_a_new_sender_goes_on(house: RunningHouse, sender: subprocess.Popen[bytes]) -> None:
    """Killed, it is started again by the supervisor; what it was told it finds in the run directory."""
    sender.kill()
    sender.wait(5)
    argv = [sys.executable, "-P", "-m", "controller.processes.sender", str(house.run.path)]
    other = subprocess.Popen(argv)
    try:
        house.eventually(lambda: house.get("streams/main")["reasons"].get("away", 0) > 0)
        record = house.control.backend.ledger.latest(400)
        assert any(r.sent.get("main") == "away" for r in record)
        assert house.get("streams/main")["state"] == "sending"
    finally:
        other.terminate()
        assert other.wait(5) == 0
