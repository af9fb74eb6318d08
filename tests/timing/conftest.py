"""What real-time tests stand on: runs of their own, and windows beside a metronome of equal class."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runtime.clock import NS_PER_S
from runtime.metronome import stolen_ns

TICK_NS = NS_PER_S // os.sysconf("SC_CLK_TCK")
FOREIGN_SHARE = 0.05
"""Of all cores: a window in which other programs took more says nothing about the product."""


@pytest.fixture(scope="session")
def runkit() -> ModuleType:
    """`tests/e2e/conftest.py`: real runs."""
    name = "e2e_runkit"
    if name not in sys.modules:
        path = Path(__file__).parent.parent / "e2e" / "conftest.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def start(runkit: ModuleType, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts runs as a user would (no LP_NUM_THREADS), and ends them."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    environment.pop("LP_NUM_THREADS", None)
    runs: list[Any] = []

    def begin(*arguments: str) -> Any:
        runs.append(runkit.Run(arguments, environment, tmp_path / f"run-{len(runs)}.log"))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(20.0)
        run.close()


def busy_ns() -> int:
    """Processor time that was not idle since boot, over all cores, without what the hypervisor took."""
    words = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(words[:7]) - words[3] - words[4]) * TICK_NS


def used_ns(pids: list[int]) -> int:
    """Processor time so far of processes, and of this one's children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = round((ended.ru_utime + ended.ru_stime) * NS_PER_S)
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) * TICK_NS
    return total


@dataclass(frozen=True)
class Window:
    """A stretch of slots, and what the machine did to a process that did nothing meanwhile.

    repeats : slots of the product in it that repeated; allowed : slots its metronome lost or took half a period late;
    void : why it says nothing, "" when it counts.
    """

    first_frame: int
    slots: int
    repeats: int
    allowed: int
    void: str

    @property
    def extra(self) -> int:
        """Repeats beyond the machine's own."""
        return max(0, self.repeats - self.allowed)


class Watch:
    """Measures one window beside a run: `open`, let time pass, `close`."""

    def __init__(self, run: Any, rate: str, slots: int, *, others: list[int] | None = None) -> None:
        self._run, self._slots = run, slots
        self._cores = os.cpu_count() or 1
        # The node is nice -10 where it may be and not real-time on software GL: so is its yardstick.
        command = [sys.executable, "-P", "-m", "runtime.metronome", rate, str(slots)]
        self._metronome = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=_urgent)
        self._pids = [os.getpid(), run.process.pid, self._metronome.pid, *(others or [])]
        self._pids += [child["pid"] for child in run.state()["children"].values()]
        self._first = len(run.reports())
        self._began_ns = time.monotonic_ns()
        self._stolen_ns, self._busy_ns, self._used_ns = stolen_ns(), busy_ns(), used_ns(self._pids)

    def close(self) -> Window:
        """Wait for the metronome's last slot; what the window showed."""
        out, _ = self._metronome.communicate(timeout=120.0)
        told = json.loads(out)
        reports = self._run.reports()[self._first :][: self._slots]
        repeats = sum(
            any(canvas.presented_frame != report.frame for canvas in report.canvases.values()) for report in reports
        )
        stolen = stolen_ns() - self._stolen_ns
        foreign_ns = busy_ns() - self._busy_ns - (used_ns(self._pids) - self._used_ns)
        void = ""
        if stolen:
            void = f"the hypervisor took {stolen / 1e6:.0f} ms"
        elif foreign_ns > FOREIGN_SHARE * self._cores * (time.monotonic_ns() - self._began_ns):
            void = f"other programs took {foreign_ns / 1e6:.0f} ms of the processors"
        allowed = told["host_stalls"] + told["half_late"]
        return Window(reports[0].frame, len(reports), repeats, allowed, void)


def _urgent() -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except PermissionError:
        return


@pytest.fixture(scope="session")
def watch() -> type[Watch]:
    """Windows beside a metronome."""
    return Watch
