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


def test_a_counted_run_ends_with_0_and_its_report(
    start: Callable[..., Any], config: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "report of today"
    run = start(str(config()), "--simulate", "--frames", "48", "--port", "0", "--report", str(path))
    assert run.url.startswith("http://127.0.0.1:")
    assert run.end() == 0
    report = json.loads(path.read_text())
    assert report["frames"] == report["presented"] + report["repeated"] == 48
    assert report["repeated"] == sum(report["repeats"].values())
    assert set(report["repeats"]) <= {"late_plan", "late_draw", "host_stall"}
    assert report["age_ms"]["a"]["p50"] > 0
    assert report["latency_ms"]["receive_to_present"]["p50"] > 0
    assert not run.dir.path.exists()


def test_ctrl_c_ends_it_with_130_and_leaves_nothing(start: Callable[..., Any], config: Callable[..., Path]) -> None:
    run = start(str(config()), "--simulate", "--port", "0")
    run.running("conductor", "node-main", "service", "darkroom", "simulator")
    ring = RingReader.open(run.dir.canvas("main"), kind=KIND_CANVAS)
    assert (ring.shape.width, ring.shape.height) == (176, 110)
    ring.close()
    pids = [child["pid"] for child in run.state()["children"].values()]
    assert run.end(signal.SIGINT) == 130
    assert not run.dir.path.exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert "leaked" not in run.log.read_text()


def test_sigterm_ends_it_well(start: Callable[..., Any], config: Callable[..., Path]) -> None:
    run = start(str(config()), "--port", "0")
    run.running("conductor", "node-main")
    assert run.end(signal.SIGTERM) == 0
    assert not run.dir.path.exists()


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


def test_a_run_goes_on_where_the_last_one_ended_unless_it_is_told_not_to(
    start: Callable[..., Any], config: Callable[..., Path]
) -> None:
    path = str(config())
    first = start(path, "--port", "0", "--frames", "2")
    assert first.end() == 0
    again = start(path, "--port", "0", "--frames", "2")
    version = again.dir.current_version()
    assert again.end() == 0
    fresh = start(path, "--port", "0", "--frames", "2", "--fresh")
    assert fresh.dir.current_version() > version
    assert fresh.end() == 0
