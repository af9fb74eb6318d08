"""`openvolume bench control`: from GO, and from a slider, to light, in a real show of its own, read from its ledger.

A show of one small wall runs at 24 frames a second with all its processes; cues go and a slider is set over HTTP at
instants that fall anywhere in a frame. When a frame was latched and presented, the ledger says. What an operator sees
later than that is the processor's own delay, which is not counted.

Strictly counted a change is late that is not seen within the lead and one frame of its request. What comes before the
latch (the request's way, the disk, the conductor's answer) is getting ready: `ready_ms`, from the request to the word
to the conductor. A change whose request falls into the last `ready_ms` before a latch misses that. `latches_missed`:
latches that went by after the conductor had been told; there are none if it hears until shortly before them.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.api.views import OutcomeView, RecordView
from controller.bench.reads import Asker, small_gets
from controller.client import Client, run_here
from controller.config import load_config
from controller.rundir import RunDir
from controller.status import Percentiles
from runtime.clock import NS_PER_MS

GOES, SETS = 40, 80
RATE_HZ: Final = 24
PERIOD_NS: Final = 1_000_000_000 // RATE_HZ
START_S: Final = 60.0
LEDGER_S: Final = 5.0
BAR_MS: Final = 100.0


class ControlBenchError(RuntimeError):
    """The show did not start, or its ledger does not know a frame."""


def run(goes: int = GOES, sets: int = SETS) -> dict[str, Any]:
    """Measure so many GOs and slider positions."""
    return asyncio.run(_measured(goes, sets))


async def _measured(goes: int, sets: int) -> dict[str, Any]:
    async with _show() as (run, show):
        await _settled(show)
        for number, ev in (("1", -1.0), ("2", 1.0)):
            await show.put_cue(f"c{number}", number=number, changes={"exposure_ev": ev})
        await show.go("1")
        gone, slid = await asyncio.to_thread(_changes, show.url, run.local_key.read_text(), goes, sets)
        read = await asyncio.to_thread(small_gets, show.url)
    told = _figures(gone)
    return {
        "rate": f"{RATE_HZ} frames a second, {1e3 / RATE_HZ:.1f} ms each",
        "lead_ms": _spread([one["lead_ms"] for one in gone + slid]),
        "go": {
            **told,
            "late": sum(one["frames"] > one["lead_frames"] + 1.0 for one in gone),
            "late_by_ready_percent": _share([one["ready_ms"] for one in gone]),
            "bar": "lead + 1 frame",
        },
        "slider": {
            **_figures(slid), "late": sum(one["presented_ms"] > BAR_MS for one in slid), "bar": f"{BAR_MS:g} ms"
        },
        "small_get": read,
    }  # fmt: skip


def _changes(url: str, key: str, goes: int, sets: int) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """So many GOs, then so many positions of a slider."""
    with Asker(url, key) as asker:
        gone = [_change(asker, n, "POST", f"cues/{2 - n % 2}/go", None) for n in range(goes)]
        slid = [_change(asker, n, "PATCH", "show", {"exposure_ev": (n % 7) / 7.0}) for n in range(sets)]
    return gone, slid


def _change(asker: Asker, n: int, method: str, path: str, body: dict[str, Any] | None) -> dict[str, float]:
    # Anywhere in a frame: the golden ratio spreads the instants evenly.
    time.sleep(0.05 + (n * 0.6180339887 % 1.0) / RATE_HZ)
    t_ns = time.monotonic_ns()
    status, data = asker.ask(method, path, body)
    answered_ns = time.monotonic_ns()
    if status != 200:
        raise ControlBenchError(f"{path} was answered {status}: {data.decode()[:300]}")
    outcome = msgspec.json.decode(data, type=OutcomeView)
    if outcome.frame is None:
        raise ControlBenchError("the conductor did not say from which frame on a change holds")
    record, presented_ns = _shown(asker, outcome.frame)
    before, _ = _shown(asker, outcome.frame - 1)
    if not before.show_version < outcome.rev <= record.show_version:
        raise ControlBenchError(f"frame {outcome.frame} is not the first that carries revision {outcome.rev}")
    lead_ns = record.t_present_ns - record.t_latched_ns
    return {
        "presented_ms": (presented_ns - t_ns) / NS_PER_MS,
        "answered_ms": (answered_ns - t_ns) / NS_PER_MS,
        "ready_ms": (outcome.t_committed_ns - t_ns) / NS_PER_MS,
        "missed": float(before.t_latched_ns > outcome.t_committed_ns),
        "lead_ms": lead_ns / NS_PER_MS,
        "lead_frames": lead_ns / PERIOD_NS,
        "frames": (record.t_present_ns - t_ns) / PERIOD_NS,
        "repeated": float(record.presented is False),
    }


def _shown(asker: Asker, frame: int) -> tuple[RecordView, int]:
    """What the ledger tells of a frame, and when the last node presented it; waits until it is told."""
    deadline_s = time.monotonic() + LEDGER_S
    while True:
        status, data = asker.ask("GET", f"frames/{frame}")
        if status == 200:  # Else it lies ahead, or nobody has told of it yet.
            record = msgspec.json.decode(data, type=RecordView)
            presented_ns = [node["t_presented_ns"] for node in record.nodes.values()]
            if record.presented is not None and presented_ns and min(presented_ns) > 0:
                return record, max(presented_ns)
        if time.monotonic() > deadline_s:
            raise ControlBenchError(f"the ledger does not know of frame {frame}")
        time.sleep(0.02)


def _share(ready_ms: list[float]) -> float:
    """How many of a hundred changes come so shortly before a latch that they cannot be ready for it."""
    return round(100.0 * NS_PER_MS * sum(ready_ms) / len(ready_ms) / PERIOD_NS, 1)


def _figures(measured: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "changes": len(measured),
        "to_presented_ms": _spread([one["presented_ms"] for one in measured]),
        "ready_ms": _spread([one["ready_ms"] for one in measured]),
        "frames_beyond_lead": _spread([one["frames"] - one["lead_frames"] for one in measured]),
        "whole_frames_beyond_lead": _counted([math.ceil(one["frames"] - one["lead_frames"]) for one in measured]),
        "latches_missed": int(sum(one["missed"] for one in measured)),
        "to_answer_ms": _spread([one["answered_ms"] for one in measured]),
        "repeated": int(sum(one["repeated"] for one in measured)),
    }


def _counted(values: list[int]) -> dict[str, int]:
    """How often each whole number of frames came. 1: the first latch after the request carried it."""
    return {str(value): values.count(value) for value in sorted(set(values))}


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)

    found = Percentiles(at(0.5), at(0.95), at(0.99), at(1.0))
    return {"p50": found.p50, "p95": found.p95, "max": found.max}


async def _settled(show: Client) -> None:
    """Until frames are presented one after the other, and the lead has come to rest."""
    deadline_s = time.monotonic() + START_S
    while True:
        frames = await show.frames()
        if frames.presented > 3 * RATE_HZ:
            return
        if time.monotonic() > deadline_s:
            raise ControlBenchError(f"it presents nothing: {frames.presented} frames after {START_S:g} s")
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def _show() -> AsyncIterator[tuple[RunDir, Client]]:
    """A show of its own, and a client on it."""
    text = load_config("minimal").source
    text = re.sub(r"listen: 127\.0\.0\.1:\d+", "listen: 127.0.0.1:0", text).replace("scale: 8", "scale: 16")
    text += "\ncontrol:\n  http: {port: 0}\n  osc: null\n"
    with tempfile.TemporaryDirectory(prefix="ov-control") as folder:
        config = Path(folder) / "control.yaml"
        config.write_text(text)
        environment = {**os.environ, "XDG_STATE_HOME": folder, "LP_NUM_THREADS": "1"}
        argv = [sys.executable, "-P", "-c", "from controller.cli import main; main()", "run", str(config), "--fresh"]
        process = await asyncio.to_thread(_started, argv, environment)
        try:
            run, show = await _client(process)
            async with show:
                yield run, show
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _started(argv: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True)


async def _client(process: subprocess.Popen[str]) -> tuple[RunDir, Client]:
    assert process.stdout is not None
    said = ""
    while (told := re.search(r"\(run ([\w-]+)\)", said)) is None:
        line = await asyncio.to_thread(process.stdout.readline)
        if not line:
            raise ControlBenchError(f"the show ended at once: exit code {process.wait()}")
        said += line
    deadline_s = time.monotonic() + START_S
    while True:
        with contextlib.suppress(Exception):
            run, show = run_here(told[1]), Client.here(told[1])
            try:
                await show.show()
            except BaseException:
                await show.__aexit__(None, None, None)
                raise
            return run, show
        if time.monotonic() > deadline_s:
            raise ControlBenchError("the show's service does not answer")
        await asyncio.sleep(0.1)
