"""Real runs of `openvolume run`: real processes, sockets and rings, with a state folder and ports of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from controller.config import load_config
from controller.processes.supervisor import read_state
from controller.rundir import RunDir
from controller.status import KIND_STATUS, ConductorStatus, NodeStatus, decode_conductor, decode_node
from runtime.ring import KIND_CANVAS, KIND_PLANS, KIND_REPORTS, RingReader, Slot
from stage.plan import FramePlan, FrameReport, decode_plan, decode_report

PATIENCE_S = 90.0
"""Two test processes and a show share two cores: only hanging for ever is a failure here."""
Told = TypeVar("Told")
COMMAND = (sys.executable, "-P", "-c", "from controller.cli import main; main()")


def free_udp_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Follower:
    """Reads a ring as it grows: everything, in order."""

    def __init__(self, path: Path, kind: int) -> None:
        self._path, self._kind = path, kind
        self._reader: RingReader | None = None
        self._n = 0
        self.missed = 0
        self.slots: list[Slot] = []

    def poll(self) -> list[Slot]:
        """What is new."""
        if self._reader is None:
            self._reader = RingReader.try_open(self._path, kind=self._kind)
            if self._reader is None:
                return []
        batch = self._reader.read_since(self._n)
        self._n = batch.latest_n
        self.missed += batch.missed
        self.slots += batch.slots
        return batch.slots

    def close(self) -> None:
        """Let it go."""
        if self._reader is not None:
            self._reader.close()


class Run:
    """One `openvolume run`."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.began_s = time.monotonic()
        self.log = log
        self._log = log.open("w")
        self.process = subprocess.Popen(
            [*COMMAND, "run", *arguments], stdout=subprocess.PIPE, stderr=self._log, env=environment, text=True
        )
        assert self.process.stdout is not None
        said = ""
        while "(run " not in said:
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.process.wait()}\n{log.read_text()}"
            said += line
        found = re.search(r"(http://\S+/)\s+\(run (\S+)\)", said)
        assert found is not None, said
        self.url = found[1]
        self.dir = RunDir(Path("/dev/shm") / f"openvolume-{found[2]}")
        self.reports_ring = (self.dir.reports("main"), KIND_REPORTS)
        self._followers: dict[Path, Follower] = {}
        self._plans: list[FramePlan] = []
        self._reports: list[FrameReport] = []

    # --- looking ------------------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """What the condition gives once it is true; reads the rings meanwhile."""
        began_s = time.monotonic()
        while not (found := condition()):
            assert time.monotonic() - began_s < patience_s, f"{what}: never\n{self.log.read_text()[-4000:]}"
            assert self.process.poll() is None, f"{what}: the run ended\n{self.log.read_text()[-4000:]}"
            for follower in self._followers.values():
                follower.poll()
            time.sleep(0.02)
        return found

    def state(self) -> dict[str, Any]:
        """`supervisor.json`."""
        return read_state(self.dir.path) or {"children": {}, "alarms": []}

    def child(self, name: str) -> dict[str, Any]:
        """One process as the supervisor sees it."""
        child: dict[str, Any] = self.state()["children"].get(name, {"pid": 0, "state": "", "restarts": 0})
        return child

    def follow(self, path: Path, kind: int) -> Follower:
        """The ring at `path`, read whenever something is waited for."""
        if path not in self._followers:
            self._followers[path] = Follower(path, kind)
        self._followers[path].poll()
        return self._followers[path]

    def plans(self) -> list[FramePlan]:
        """Every plan since it was first asked for."""
        return self._decoded(self._plans, self.follow(self.dir.plans, KIND_PLANS), decode_plan)

    def reports(self) -> list[FrameReport]:
        """Every report since it was first asked for."""
        return self._decoded(self._reports, self.follow(*self.reports_ring), decode_report)

    @staticmethod
    def _decoded(known: list[Told], follower: Follower, decode: Callable[[bytes], Told]) -> list[Told]:
        """Each slot is read once: what is asked every 20 ms would take time from the run."""
        known += [decode(slot.data) for slot in follower.slots[len(known) :]]
        return list(known)

    def canvas(self, name: str) -> Follower:
        """A canvas, every picture of it."""
        return self.follow(self.dir.canvas(name), KIND_CANVAS)

    def conductor(self) -> ConductorStatus | None:
        """The conductor's newest status."""
        data = self._status(self.dir.conductor_status)
        return None if data is None else decode_conductor(data)

    def node(self) -> NodeStatus | None:
        """The node's newest status."""
        data = self._status(self.dir.node_status("main"))
        return None if data is None else decode_node(data)

    def _status(self, path: Path) -> bytes | None:
        reader = RingReader.try_open(path, kind=KIND_STATUS)
        if reader is None:
            return None
        slot = reader.latest()
        reader.close()
        return None if slot is None else slot.data

    def running(self, *names: str) -> None:
        """Wait until processes run and the walls move."""
        self.until(lambda: all(self.child(name)["state"] == "running" for name in names), f"{names} run")
        self.until(lambda: (node := self.node()) is not None and node.frame > 0 and node.presented > 3, "pictures")

    # --- acting -------------------------------------------------------------------------------------------------

    def kill(self, name: str) -> int:
        """kill -9; the pid it had."""
        pid = int(self.child(name)["pid"])
        os.kill(pid, signal.SIGKILL)
        return pid

    def end(self, number: int | None = None) -> int:
        """Send a signal (None: let it end by itself); its exit code."""
        if number is not None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(PATIENCE_S)
        finally:
            self.close()
        return code

    def close(self) -> None:
        """Leave nothing behind."""
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With a state folder of the test's own."""
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "LP_NUM_THREADS": "0"}


@pytest.fixture
def openvolume(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
        )

    return run


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Run]]:
    """Starts runs, and ends what a test leaves running."""
    runs: list[Run] = []

    def begin(*arguments: str) -> Run:
        runs.append(Run(arguments, environment, tmp_path / f"run-{len(runs)}.log"))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGTERM)
            try:
                run.process.wait(10.0)
            except subprocess.TimeoutExpired:
                run.process.kill()
        run.close()


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Writes the shipped `minimal` with a tracking port of its own, and other changes as (pattern, text)."""

    def write(*changes: tuple[str, str], port: int | None = None, name: str = "own") -> Path:
        text = load_config("minimal").source
        listen = f"listen: 127.0.0.1:{port or free_udp_port()}"
        for pattern, new in ((r"listen: 127\.0\.0\.1:\d+", listen), (r"^name: .*$", f"name: {name}"), *changes):
            text, changed = re.subn(pattern, new, text, flags=re.MULTILINE)
            assert changed == 1, pattern
        path = tmp_path / f"{name}.yaml"
        path.write_text(text + "\ncontrol:\n  http: {port: 0}\n  osc: null\n")
        return path

    return write


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A run shares two cores with a second test process."""
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.timeout(180))


def report_of(path: Path) -> dict[str, Any]:
    """A run's report."""
    document: dict[str, Any] = json.loads(path.read_text())
    return document
