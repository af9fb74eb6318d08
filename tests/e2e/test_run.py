"""`openvolume run` from the outside: what it refuses, how it counts, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.ring import KIND_CANVAS, RingReader

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_runs_count_tell_go_on_where_the_last_ended_and_end_as_they_are_told(
    start: Callable[..., Any], config: Callable[..., Path], tmp_path: Path
) -> None:
    path = str(config())
    counted = start(
        path, "--simulate", "--frames", "48", "--port", "0", "--report", str(tmp_path / "report of today")
    )  # fmt: skip
    assert counted.url.startswith("http://127.0.0.1:")
    assert counted.end() == 0
    report = report_of(tmp_path / "report of today")
    assert report["frames"] == 48
    assert set(report["repeats"]) <= {"late_plan", "late_draw", "host_stall"}
    assert not counted.dir.path.exists()

    # Where the last one ended; SIGTERM ends it well.
    again = start(path, "--port", "0")
    again.running("conductor", "node-main")
    version = again.dir.current_version()
    assert again.end(signal.SIGTERM) == 0
    assert not again.dir.path.exists()

    # From the beginning; Ctrl-C ends it with 130 and leaves nothing.
    fresh = start(path, "--simulate", "--port", "0", "--fresh", "--report", str(tmp_path / "tracked"))
    fresh.running("conductor", "node-main", "service", "darkroom", "simulator")
    assert fresh.dir.current_version() > version
    ring = RingReader.open(fresh.dir.canvas("main"), kind=KIND_CANVAS)
    assert (ring.shape.width, ring.shape.height) == (176, 110)
    ring.close()
    fresh.until(lambda: fresh.conductor().sources["tracker"].state == "ok", "tracking")
    frame = fresh.node().frame
    fresh.until(lambda: fresh.node().frame > frame + 4, "tracked frames")
    pids = [child["pid"] for child in fresh.state()["children"].values()]
    assert fresh.end(signal.SIGINT) == 130
    assert not fresh.dir.path.exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert "leaked" not in fresh.log.read_text()
    report = report_of(tmp_path / "tracked")
    assert report["age_ms"]["a"]["p50"] > 0
    assert report["latency_ms"]["receive_to_present"]["p50"] > 0


def report_of(path: Path) -> dict[str, Any]:
    """A run's report: what holds of each."""
    report: dict[str, Any] = json.loads(path.read_text())
    assert report["frames"] == report["presented"] + report["repeated"]
    assert report["repeated"] == sum(report["repeats"].values())
    return report


def one_line(done: subprocess.CompletedProcess[str], code: str) -> str:
    """Refused with 2, one line a problem, nothing on the other channel."""
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(code), line
    assert " -> " in line
    return line


def test_what_cannot_be_read_is_refused_by_name(openvolume: Command, tmp_path: Path) -> None:
    assert "no such file" in one_line(openvolume("run", "no/such.yaml"), "controller.config_file no/such.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("openvolume: 1\n  name: [")
    one_line(openvolume("run", str(bad)), "stage.yaml_syntax")


def test_a_wrong_value_is_refused_with_its_line(openvolume: Command, config: Callable[..., Path]) -> None:
    path = config((r"columns: 8", "columns: -8"))
    line = one_line(openvolume("run", str(path), "--port", "0"), "stage.")
    number = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "columns: -8" in text)
    assert f"stage/walls/main/columns:{number}:" in line


@pytest.mark.parametrize("what", ["page", "tracking"])
def test_a_taken_port_is_refused_before_anything_starts(
    openvolume: Command, config: Callable[..., Path], what: str
) -> None:
    kind = socket.SOCK_STREAM if what == "page" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        if what == "page":
            other.listen()
            line = one_line(openvolume("run", str(config()), "--port", str(port)), "controller.port control/http/port")
            assert "pid" in line, "it says who has it"
        else:
            done = openvolume("run", str(config(port=port)), "--port", "0")
            line = one_line(done, "tracking.listen tracking/sources/tracker/listen")
        assert str(port) in line
        assert "in use" in line


def test_a_report_that_cannot_be_written_is_refused(openvolume: Command, config: Callable[..., Path]) -> None:
    done = openvolume("run", str(config()), "--port", "0", "--report", "/nowhere/report.json")
    one_line(done, "controller.report --report")
