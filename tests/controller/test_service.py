"""The service as a process: an inherited socket, OSC, SIGTERM, and kill -9 in the middle of writes."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pythonosc.osc_message_builder import OscMessageBuilder

from controller.beginning import begin_show, write_first_snapshot
from controller.config import compile_config, load_config, load_config_text
from controller.rundir import RunDir
from controller.store import Store
from runtime.role import read_beat_ns


def until(check: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return found


class Processes:
    """A conductor and a service, each a real process."""

    def __init__(self, folder: Path) -> None:
        text = re.sub(r"listen: 127\.0\.0\.1:\d+", "listen: 127.0.0.1:0", load_config("minimal").source)
        loaded = load_config_text(text + "\ncontrol:\n  osc: {port: 0}\n", base_dir=folder)
        self.run = RunDir.create("s", root=folder)
        self.state = folder / "state"
        with Store(self.state) as store:
            write_first_snapshot(self.run, begin_show(loaded, compile_config(loaded), store, t_tai_ns=1))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.log = (folder / "log").open("wb")
        self.conductor = self._start("conductor", "--nodes", "n0", "--no-fifo")
        self.service = self.start_service()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.listener.getsockname()[1]}/api/v1/", timeout=10)

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-P", "-m", f"controller.processes.{module}", str(self.run.path), *arguments]
        return subprocess.Popen(argv, pass_fds=(self.listener.fileno(),), stdout=self.log, stderr=self.log)

    def start_service(self) -> subprocess.Popen[bytes]:
        self.service = self._start("service", "--fd", str(self.listener.fileno()), "--state", str(self.state))
        return self.service

    def patch(self, **values: Any) -> dict[str, Any]:
        answer = self.client.patch("cameras/a", json=values)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def close(self) -> None:
        self.client.close()
        for process in (self.service, self.conductor):
            if process.poll() is None:
                process.kill()
            process.wait(10)
        self.listener.close()
        self.log.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path)
    yield found
    found.close()


def test_it_serves_takes_osc_survives_kill_9_and_ends(processes: Processes) -> None:
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

    # kill -9 in the middle of changes: whatever was acknowledged is there, on the same port, and nothing is half.
    acknowledged = 0
    for round_ in range(3):
        for rank in range(1, 20):
            acknowledged = processes.patch(rank=rank + 20 * round_ % 60)["rev"]
        processes.service.kill()
        processes.service.wait(10)
        processes.start_service()
        show = until(lambda: processes.client.get("show").is_success and processes.client.get("show").json())
        assert show["rev"] >= acknowledged
        assert processes.client.get("cameras/a").json()["rank"] == 19 + 20 * round_ % 60
        assert processes.client.get("cameras/a").json()["soft_edge_deg"] == 1.75

    processes.service.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert processes.service.poll() is None, "Ctrl-C is the supervisor's business"
    processes.service.send_signal(signal.SIGTERM)
    assert processes.service.wait(10) == 0
