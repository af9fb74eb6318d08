"""The service as a process: an inherited socket, OSC, SIGTERM, and kill -9."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pythonosc.osc_message_builder import OscMessageBuilder

from runtime.role import read_beat_ns


@pytest.fixture
def processes(servicekit: ModuleType, tmp_path: Path) -> Iterator[Any]:
    found = servicekit.Processes(tmp_path)
    yield found
    found.close()


def test_it_serves_takes_osc_survives_kill_9_and_ends(servicekit: ModuleType, processes: Any) -> None:
    until = servicekit.until
    until(lambda: processes.run.service_address.exists())
    until(lambda: processes.client.get("health").json()["conductor"] == "running")
    told = json.loads(processes.run.service_address.read_bytes())
    assert told["port"] == processes.listener.getsockname()[1]
    assert told["pid"] == processes.service.pid

    # OSC, by the same addresses.
    builder = OscMessageBuilder(address="/cameras/a/soft_edge_deg")
    builder.add_arg(1.75)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(builder.build().dgram, ("127.0.0.1", told["osc_port"]))
    until(lambda: processes.client.get("cameras/a").json()["soft_edge_deg"] == 1.75)

    # It says that it lives.
    before = read_beat_ns(processes.run.path / "service.beat")
    until(lambda: read_beat_ns(processes.run.path / "service.beat") > before)

    # kill -9: whatever was acknowledged is there, on the same port (in mid write: test_service_faults.py).
    for rank in range(1, 20):
        acknowledged = processes.patch(rank=rank)["rev"]
    processes.service.kill()
    processes.service.wait(10)
    processes.start_service()
    show = until(lambda: processes.client.get("show").is_success and processes.client.get("show").json())
    assert show["rev"] >= acknowledged
    assert processes.client.get("cameras/a").json()["rank"] == 19
    assert processes.client.get("cameras/a").json()["soft_edge_deg"] == 1.75

    processes.service.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert processes.service.poll() is None, "Ctrl-C is the supervisor's business"
    processes.service.send_signal(signal.SIGTERM)
    assert processes.service.wait(30) == 0
