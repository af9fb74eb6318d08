"""A conductor and the service, each a real process, for tests that kill, fill and secure them."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from controller.beginning import begin_show, write_first_snapshot
from controller.config import compile_config, load_config, load_config_text
from controller.rundir import RunDir
from controller.store import Store


def until(check: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return found


class Processes:
    """A conductor and a service, each a real process."""

    def __init__(self, folder: Path, *, secured: bool = False, more: str = "") -> None:
        """secured : https; more : of the configuration's `control` section."""
        text = re.sub(r"listen: 127\.0\.0\.1:\d+", "listen: 127.0.0.1:0", load_config("minimal").source)
        loaded = load_config_text(f"{text}\ncontrol:\n  osc: {{port: 0}}\n{more}", base_dir=folder)
        self.run = RunDir.create("s", root=folder)
        self.folder = folder
        self.state = folder / "state"
        self.secured = secured
        with Store(self.state) as store:
            write_first_snapshot(self.run, begin_show(loaded, compile_config(loaded), store, t_tai_ns=1))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.log = (folder / "log").open("wb")
        self.conductor = self._start("conductor", "--nodes", "n0", "--no-fifo")
        self.service = self.start_service()
        self.url = f"http{'s' * secured}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.client = httpx.Client(base_url=f"{self.url}/api/v1/", timeout=10)

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-P", "-m", f"controller.processes.{module}", str(self.run.path), *arguments]
        return subprocess.Popen(argv, pass_fds=(self.listener.fileno(),), stdout=self.log, stderr=self.log)

    def start_service(self) -> subprocess.Popen[bytes]:
        tls = ["--tls"] if self.secured else []
        self.service = self._start("service", "--fd", str(self.listener.fileno()), "--state", str(self.state), *tls)
        return self.service

    def began(self) -> None:
        """Wait until both are there; two test processes and a show may share two cores."""

        def there() -> bool:
            assert self.service.poll() is None, (self.folder / "log").read_text()
            return self.run.service_address.exists() and self.run.conductor_socket.exists()

        until(there, 60.0)

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
