"""One real show for the console's tests: `openvolume run` on a small demo, with a state folder of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.bench.browser import PeerMissingError, chromium
from controller.rundir import RunDir

COMMAND = (sys.executable, "-P", "-c", "from controller.cli import main; main()")
WALKS = Path(__file__).parent / "walks"


@dataclass(frozen=True, slots=True)
class Show:
    """A show that runs."""

    url: str
    code: str
    """What makes the first administrator."""
    key_file: Path
    client: httpx.Client
    walk: Callable[..., dict[str, Any]]
    """Runs a script of `walks/` in a real browser; returns what it told."""

    @property
    def local_key(self) -> str:
        """Lets the commands of whoever started the show in; a service that starts again makes another."""
        return self.key_file.read_text().strip()

    def get(self, path: str) -> Any:
        """What the API answers."""
        answer = self.client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()


def _small_demo(root: Path, folder: Path) -> Path:
    """The demo with pictures as small as they can be (but for documents), beside its assets."""
    text = (root / "configs/demo.yaml").read_text()
    for before, after in (("scale: 8", "scale: 16"), ("outer_px: 192", "outer_px: 64")):
        assert before in text
        if not os.environ.get("OPENVOLUME_PICTURES"):
            text = text.replace(before, after)
    for name in ("assets", "scenes"):
        shutil.copytree(root / "configs" / name, folder / name)
    config = folder / "small.yaml"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        tracker = probe.getsockname()[1]
    text = text.replace("127.0.0.1:55555", f"127.0.0.1:{tracker}")
    config.write_text(f"{text}\ncontrol:\n  osc: null\n")
    return config


@pytest.fixture(scope="session")
def node_modules(root: Path) -> Path:
    """npm's packages of the console as locked; tests are skipped where npm or its registry is not to be had."""
    result = subprocess.run(
        [root / "scripts/console", "--packages"], capture_output=True, text=True, timeout=110, check=False
    )
    if result.returncode == 3:
        pytest.skip(result.stderr.strip())
    assert result.returncode == 0, result.stderr
    return root / "web/node_modules"


@pytest.fixture(scope="module")
def show(root: Path, node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    """The running show. It ends with its module: it takes most of a core, and a session goes on for minutes."""
    try:
        browser = chromium()
    except PeerMissingError as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("show")
    log = folder / "log"
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "LP_NUM_THREADS": "1"}
    with log.open("w") as written:
        process = subprocess.Popen(
            [*COMMAND, "run", str(_small_demo(root, folder)), "--simulate", "--port", "0"],
            stdout=subprocess.PIPE, stderr=written, env=environment, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            said = ""
            while "set-up code" not in said:
                line = process.stdout.readline()
                assert line, f"it ended: {process.wait()}\n{said}\n{log.read_text()}"
                said += line
            address = re.search(r"http://\S+/", said)
            code = re.search(r"set-up code\s+([A-Z0-9-]{14})", said)
            run = re.search(r"\(run (\S+)\)", said)
            assert address is not None, said
            assert run is not None, said
            key = RunDir(Path("/dev/shm") / f"openvolume-{run[1]}").local_key
            for _ in range(900):  # until the service is there
                with suppress(subprocess.TimeoutExpired):
                    if key.is_file() and key.read_text().strip():
                        break
                    raise AssertionError(f"it ended: {process.wait(0.1)}\n{log.read_text()[-4000:]}")
            assert code is not None, said

            def walk(name: str, *arguments: str, timeout_s: float = 360) -> dict[str, Any]:
                result = subprocess.run(
                    ["node", str(WALKS / f"{name}.mjs"), address[0], *arguments],
                    env={**os.environ, "CHROMIUM": str(browser), "NODE_MODULES": str(node_modules)},
                    capture_output=True, text=True, timeout=timeout_s, check=False,
                )  # fmt: skip
                assert result.returncode == 0, f"{name}:\n{result.stdout[-4000:]}\n{result.stderr[-6000:]}"
                found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
                return found

            with httpx.Client(base_url=address[0].rstrip("/"), timeout=30) as client:
                yield Show(address[0], code[1], key, client, walk)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            if process.stdout is not None:
                process.stdout.close()
