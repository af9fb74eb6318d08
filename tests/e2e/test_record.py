"""A running show is recorded while its tracker falls silent and its recorder is killed; the replay is exact."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from controller.config import load_config
from controller.replay import replay_virtually
from tracking.capture import read_capture
from tracking.encoders import encoder
from tracking.moment import Moment
from tracking.moves import move

HZ = 100


def track(port: int, begin: int, count: int) -> list[bytes]:
    """Send samples of a hand-held camera at their own pace; what was sent."""
    pose, encode = move("handheld", 2).pose, encoder("freed")
    sent: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        t0 = time.monotonic()
        for n in range(begin, begin + count):
            (data,) = encode(Moment(pose(n / HZ), n, n))
            time.sleep(max(0.0, t0 + (n - begin) / HZ - time.monotonic()))
            sender.sendto(data, ("127.0.0.1", port))
            sent.append(data)
    return sent


def port_of(path: Path) -> int:
    (source,) = load_config(path).config.tracking.sources.values()
    return int(source.listen.rpartition(":")[2])


def test_a_recorded_run_replays_the_same_twice(
    start: Callable[..., Any], config: Callable[..., Path], tmp_path: Path
) -> None:
    file = config((r"protocol: \w+", "protocol: freed"))
    port = port_of(file)
    run = start(str(file), "--record", str(tmp_path / "take"))
    run.running("conductor", "recorder", "service")

    def recording() -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{run.url}api/v1/tracking/record").json()
        return found

    run.until(lambda: recording()["state"] == "recording", "recording")
    sent = track(port, 0, 100)
    time.sleep(0.6)  # the tracker falls silent, and comes back
    sent += track(port, 160, 50)
    run.until(lambda: recording()["datagrams"] == 150, "all of it recorded")
    time.sleep(1.2)  # and seen on the disk
    run.kill("recorder")
    run.until(lambda: run.child("recorder")["restarts"] >= 1 and recording()["path"].endswith("take.2.mcap"), "again")
    sent += track(port, 210, 40)
    run.until(lambda: recording()["datagrams"] == 40, "the rest")
    httpx.post(f"{run.url}api/v1/tracking/record", json={"action": "stop"}).raise_for_status()
    run.until(lambda: recording()["state"] == "idle", "the end")
    run.end(2)

    first, second = read_capture(tmp_path / "take.mcap"), read_capture(tmp_path / "take.2.mcap")
    assert first.torn
    assert not second.torn
    assert [d.data for d in (*first.datagrams, *second.datagrams)] == sent
    stamps = [d.t_received_ns for d in (*first.datagrams, *second.datagrams)]
    assert stamps == sorted(stamps)
    assert len({(d.host, d.port) for d in first.datagrams}) == 2  # two sockets were two senders
    assert 0.5e9 < stamps[100] - stamps[99] < 5e9

    loaded = load_config(file)
    one, two = (replay_virtually(first, loaded, draw=True) for _ in range(2))
    assert one.document(whole=True) == two.document(whole=True)
    assert len(one.canvases) > 24 * 3
    assert any(" lost: " in line for line in one.log)
