"""Whatever dies, the rest goes on: kill -9 of each process, orders with everybody dead, a flood of nonsense."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from controller.ledger_file import read_segments, runs_in
from controller.ledger_words import explain
from runtime.clock import NS_PER_S
from runtime.ring import Slot

Command = Callable[..., subprocess.CompletedProcess[str]]


def get(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5.0) as answer:
        answer.read()
        return int(answer.status)


def answers(url: str) -> bool:
    try:
        return get(url) == 200
    except OSError:
        return False


def codes(slot: Slot) -> np.ndarray:
    """8-bit red, green, blue of every pixel."""
    return np.frombuffer(slot.data, dtype=np.uint8).reshape(-1, 4)[:, :3]


def nonsense(seed: int) -> bytes:
    """Datagrams that are almost right, and ones that are not at all."""
    chance = random.Random(seed)
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.randrange(0, 200))
    if kind == 1:
        return b"OTrk" + chance.randbytes(12 + chance.randrange(0, 100))
    if kind == 2:
        return b"\xd1" + chance.randbytes(28)
    return b"/camera/a/pose\0\0,ffffff\0" + chance.randbytes(24)


def flood(run: Any, port: int) -> None:
    """A flood of nonsense is counted and moves nothing."""
    run.until(lambda: run.conductor().sources["tracker"].state == "ok", "tracking")
    first = len(run.plans())
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(20):
            for _ in range(100):
                sender.sendto(nonsense(sent), ("127.0.0.1", port))
                sent += 1
            run.until(lambda: True, "reading")
            time.sleep(0.02)
    run.until(lambda: sum(run.conductor().sources["tracker"].refused.values()) > 0, "it is counted")
    status = run.conductor()
    source = status.sources["tracker"]
    assert source.datagrams > source.samples
    assert set(source.refused) & {"magic", "short", "syntax", "checksum", "rate", "type", "schema", "encoding"}
    assert [run.child(name)["restarts"] for name in ("conductor", "node-main")] == [0, 0]
    run.until(lambda: run.conductor().sources["tracker"].state == "ok", "tracking is well again")
    samples = source.samples
    run.until(lambda: run.conductor().sources["tracker"].samples > samples + 20, "the tracker is heard")
    plans = run.plans()[first:]
    assert all(b.frame == a.frame + 1 for a, b in pairwise(plans)), "a plan for every frame, flood or not"
    moved = np.array([plan.cameras[0].stage_from_camera for plan in plans]).reshape(-1, 4, 4)[:, :3, 3]
    assert np.linalg.norm(np.diff(moved, axis=0), axis=1).max() < 0.1, "no nonsense became a pose"


def test_a_flood_of_nonsense_and_kill_9_of_each_process_in_turn(
    start: Callable[..., Any], config: Callable[..., Path], environment: dict[str, str]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run = start(str(config(port=port)), "--simulate", "--port", "0")
    names = ("conductor", "node-main", "service", "darkroom", "simulator", "metronome", "recorder")
    run.running(*names)
    plans = run.follow(run.dir.plans, 0x4E414C50)
    canvas = run.canvas("main")
    run.reports()
    page = f"{run.url}api/v1/health"
    run.until(lambda: answers(page), "the API answers")
    flood(run, port)
    for name in ("node-main", "service", "conductor", "darkroom", "metronome", "recorder"):
        before = {other: run.child(other)["pid"] for other in names}
        run.until(lambda: canvas.poll(), "a picture")
        last = canvas.slots[-1]
        run.kill(name)
        if name == "node-main":
            # The emulators keep the last frame: it stands in the ring, whole, until a successor draws.
            dead = before[name]
            run.until(lambda dead=dead: run.child("node-main")["pid"] not in (0, dead), "the node is restarted")
            canvas.poll()
            assert canvas.slots[-1].frame - last.frame <= 2
            assert canvas.slots[-1].n == canvas._reader.latest_n
        run.until(
            lambda name=name, before=before: (
                run.child(name)["state"] == "running" and run.child(name)["pid"] != before[name]
            ),
            f"{name} runs again",
        )
        now = {other: run.child(other)["pid"] for other in names}
        assert {other for other in names if now[other] != before[other]} == {name}, "nobody else was touched"
        count = len(canvas.slots)
        run.until(lambda count=count: len(canvas.slots) > count + 4, f"pictures go on after {name}")
        if name == "conductor":
            newest = plans.slots[-1].n
            run.until(lambda newest=newest: plans.poll() or plans.slots[-1].n > newest + 4, "plans go on")
    run.until(lambda: answers(page), "the API answers again")
    run.until(lambda: get(f"{run.url}api/v1/cameras/a/photo.jpg") == 200, "a photo from the new darkroom")
    assert {name: run.child(name)["restarts"] for name in names} == {
        "node-main": 1, "service": 1, "conductor": 1, "darkroom": 1, "simulator": 0, "metronome": 1, "recorder": 1,
    }  # fmt: skip
    # Plans: one a frame, never twice, never backwards; two writers.
    made = run.plans()
    assert all(b.frame > a.frame for a, b in pairwise(made))
    assert {plan.epoch for plan in made} == {1, 2}
    # Reports: every slot of each node's life, in order; canvases never run backwards.
    reports = run.reports()
    jumps = [(a.frame, b.frame) for a, b in pairwise(reports) if b.frame != a.frame + 1]
    assert len(jumps) <= 1, jumps
    assert all(b > a for a, b in jumps)
    frames = [slot.frame for slot in canvas.slots]
    assert all(b >= a for a, b in pairwise(frames))
    reasons = {canvas.reason for report in reports for canvas in report.canvases.values()}
    assert reasons <= {"none", "no_plan", "late_plan", "late_draw", "host_stall", "switching"}
    # The plans of the killed conductor are missing, and the node made them itself.
    gap = {frame for a, b in pairwise(made) for frame in range(a.frame + 1, b.frame)}
    told = {report.frame: report.canvases["main"].reason for report in reports}
    assert gap
    assert {told[frame] for frame in gap if frame in told} <= {"no_plan", "late_draw", "host_stall"}
    # The ledger has every slot once, although its recorder was killed, and names those who ended.
    name, stored = run.dir.run, Path(environment["XDG_STATE_HOME"]) / "openvolume" / "own" / "ledger"
    assert run.end(signal.SIGTERM) == 0
    reading = read_segments(runs_in(stored)[name])
    assert len(reading.segments) == 2
    assert reading.missed == reading.lost == 0
    kept = [record.frame for record in reading.records if record.counted]
    assert kept == sorted(set(kept))
    assert {report.frame for report in reports} <= {record.frame for record in reading.records}
    ended = {event.name for event in reading.events if event.what == "process_ended"}
    assert {"node-main", "service", "conductor", "darkroom", "metronome"} <= ended
    fenced = next((record for record in reading.records if record.reason == "fenced"), None)
    if fenced is not None:
        told_why = explain(fenced, reading.records, events=reading.events)
        assert "node-main had ended (killed by SIGKILL)" in told_why.headline


def test_black_with_service_and_conductor_dead(
    start: Callable[..., Any], config: Callable[..., Path], openvolume: Command
) -> None:
    # A bright wall: black must be told from it.
    run = start(str(config((r"background: .*$", "background: [0.5, 0.5, 0.5]"))), "--port", "0")
    run.running("conductor", "node-main", "service")
    canvas = run.canvas("main")
    run.until(lambda: canvas.slots and codes(canvas.slots[-1]).max() > 50, "a bright picture")
    os.kill(run.process.pid, signal.SIGSTOP)
    try:
        pids = [run.kill("service"), run.kill("conductor")]
        canvas.poll()
        canvas.slots.clear()
        done = openvolume("action", "black", "--run", run.dir.run)
        assert done.returncode == 0, done.stderr
        word = int.from_bytes(run.dir.action_word.read_bytes(), "little")
        ordered_ns = word >> 3
        run.until(lambda: canvas.slots and canvas.slots[-1].t_ns > ordered_ns + NS_PER_S // 4, "pictures after it")
        pictures = [(slot.t_ns, int(codes(slot).max())) for slot in canvas.slots]
        assert any(light > 50 for t_ns, light in pictures if t_ns < ordered_ns), "it was bright before"
        late = [light for t_ns, light in pictures if t_ns >= ordered_ns + 2 * NS_PER_S // 24]
        assert late
        assert max(late) == 0, "black within two frames"
        assert run.child("conductor")["pid"] == pids[1], "nobody was restarted meanwhile"
        assert openvolume("action", "none", "--run", run.dir.run).returncode == 0
        run.until(lambda: codes(canvas.slots[-1]).max() > 50, "the walls are given back")
    finally:
        os.kill(run.process.pid, signal.SIGCONT)
