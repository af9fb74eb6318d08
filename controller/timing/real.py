"""A run in real time: the show's own processes, a simulated tracker through real sockets, loads and faults beside it.

Everything is read from the run's rings by this process, which stands back; a metronome of equal class tells what the
machine itself lost meanwhile. Rows of the fault matrix follow one after the other once the show itself was measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from controller.config import LoadedConfig, compile_config, nodes_of
from controller.ledger import Ledger
from controller.rundir import RunDir
from controller.timing.judging import Judge
from controller.timing.limits import Limits, Place
from controller.timing.motion import TrueCamera
from controller.timing.played import SETTLED_S, Played
from controller.timing.recording import Photos, Recorder, Recording
from controller.timing.result import Phase, Result, judge_phases, machine_facts, measure_cameras, phases_of
from controller.timing.rows import PLAYABLE, RowResult, Script, Stage, play_row, scripts_of
from controller.timing.settings import LOADS, REAL_ONLY, ROWS, VIRTUAL_ONLY, Settings, TimingError, configuration
from controller.timing.slip import WallPoints, measure
from runtime.clock import NS_PER_MS, NS_PER_S
from runtime.rights import NICENESS, be_nice, other_cpus
from stage.compiled import CompiledStage
from stage.errors import Problem

START_S: Final = 60.0
CALM_S: Final = 2.0
"""After the first pictures: imports and first photos are over, lead and prediction have settled."""
POLL_S: Final = 0.05
END_S: Final = 15.0
A1_S: Final = 10.0
NICE: Final = 5
DISTURBED: Final = ("config_storm", "scene_reload")
LimitsOf = Callable[[Place], Limits]
Told = Callable[[str], None]


@dataclass(slots=True)
class Load:
    """A load that runs."""

    name: str
    process: subprocess.Popen[str]

    def end(self) -> dict[str, Any]:
        """Stop it; what it did."""
        with contextlib.suppress(BrokenPipeError, OSError):
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.stdin = None
        try:
            out, _ = self.process.communicate(timeout=END_S)
            told: dict[str, Any] = json.loads(out)
            return told
        except (subprocess.TimeoutExpired, ValueError):
            self.process.kill()
            self.process.communicate()
            return {"ended": "it did not end by itself"}


class RealShow:
    """The running show and its tracker. Use as a context; everything started here is ended by it."""

    def __init__(self, settings: Settings, loaded: LoadedConfig) -> None:
        self.settings, self.loaded = settings, loaded
        self.stage: CompiledStage = compile_config(loaded)
        self.folder = Path(tempfile.mkdtemp(prefix="openvolume-timing-"))
        self.report = self.folder / "run.json"
        self._processes: list[subprocess.Popen[str]] = []
        self.recording = Recording(self.stage.rate, tuple(self.stage.canvases))
        self.ledger = Ledger(self.stage.rate, self.stage.canvases, keep=1 << 13)
        self.cameras: dict[str, TrueCamera] = {}
        self.url = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what still runs."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- starting -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        spec = self.folder / "show.json"
        text = {"config": self.loaded.source, "base_dir": str(self.loaded.base_dir), "report": str(self.report)}
        spec.write_text(json.dumps(text))
        environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}
        self.log = self.folder / "show.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "controller.timing.child", "show", str(spec)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment, text=True,
            )  # fmt: skip
        self._processes.append(self.process)
        said = self._said(self.process, "(run ")
        if not said:
            raise self._failed("the show did not start")
        found = re.search(r"(http://\S+/)\s+\(run (\S+)\)", said)
        assert found is not None
        self.url = found[1]
        self.run = RunDir(Path("/dev/shm") / f"openvolume-{found[2]}")  # noqa: S108 - where runs are
        self.recorder = Recorder(self.run, list(nodes_of(self.loaded.config)), self.recording, self.ledger)
        self._start_tracker()

    def _start_tracker(self) -> None:
        settings = self.settings
        spec = self.folder / "tracker.json"
        spec.write_text(
            json.dumps(
                {
                    "config": self.loaded.source,
                    "base_dir": str(self.loaded.base_dir),
                    "move": settings.move,
                    "seed": settings.seed,
                    "samples": [settings.samples.num, settings.samples.den],
                    "protocol": settings.protocol,
                }
            )
        )
        self.tracker = subprocess.Popen(
            [sys.executable, "-P", "-m", "controller.timing.child", "tracker", str(spec)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._processes.append(self.tracker)
        if cpus := other_cpus():
            # Where the node is real-time on one processor, who feeds it keeps off that one.
            with contextlib.suppress(OSError):
                os.sched_setaffinity(self.tracker.pid, cpus)
        said = self._said(self.tracker, "}")
        if not said:
            raise self._failed("the simulated tracker did not start")
        t0_ns = json.loads(said)["t0_ns"]
        for number, source in enumerate(self.loaded.config.tracking.sources.values()):
            true = TrueCamera(self.stage.cameras[source.camera], settings.move, settings.seed + number)
            true.t0_ns = t0_ns
            self.cameras.setdefault(source.camera, true)

    def _said(self, process: subprocess.Popen[str], until: str) -> str:
        """What a process says up to the line that holds `until`; "" when it ends, or stays silent for too long."""
        assert process.stdout is not None
        fd = process.stdout.fileno()
        deadline_s = time.monotonic() + START_S
        said = b""
        while time.monotonic() < deadline_s:
            readable, _, _ = select.select([fd], [], [], 0.2)
            if not readable:
                continue
            data = os.read(fd, 1 << 16)
            said += data
            if until.encode() in said and said.endswith(b"\n"):
                return said.decode()
            if not data:
                return ""
        return ""

    def _failed(self, detail: str) -> TimingError:
        with contextlib.suppress(OSError):
            lines = self.log.read_text().strip().splitlines()
            if lines:
                detail += f": {lines[-1][-300:]}"
        error = TimingError(Problem("controller.timing_show", "show", detail, mend="try openvolume run with it"))
        error.exit_code = 1
        return error

    # --- while it runs ------------------------------------------------------------------------------------------

    def until_calm(self) -> None:
        """Wait for pictures, for every process, and a moment longer. Raises TimingError."""
        deadline_s = time.monotonic() + START_S
        while True:
            self.poll()
            node = self.recording.node
            children = self.children()
            running = bool(children) and all(child.get("state") == "running" for child in children.values())
            if running and node is not None and node.presented > 3 and self.recording.conductor is not None:
                break
            if time.monotonic() > deadline_s:
                raise self._failed(f"no pictures within {START_S:g} s")
            time.sleep(POLL_S)
        self.wait(CALM_S)

    def poll(self) -> None:
        """Read the rings. Raises TimingError when the show has ended."""
        if self.process.poll() is not None:
            raise self._failed("the show ended by itself")
        self.recorder.poll()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.wait_until(time.monotonic_ns() + int(seconds * NS_PER_S))

    def wait_until(self, t_ns: int) -> None:
        """Let time pass until a monotonic instant."""
        while True:
            self.poll()
            left_s = (t_ns - time.monotonic_ns()) / NS_PER_S
            if left_s <= 0.0:
                return
            time.sleep(min(POLL_S, left_s))

    def children(self) -> dict[str, Any]:
        """The processes as the supervisor tells them."""
        try:
            found: dict[str, Any] = json.loads(self.run.supervisor_status.read_bytes())["children"]
        except (OSError, ValueError, KeyError):
            return {}
        return found

    def spell(self, begin_ns: int, end_ns: int, names: Sequence[str]) -> None:
        """Have the tracker's datagrams suffer."""
        order = {"begin_ns": begin_ns, "end_ns": end_ns, "faults": list(names), "seed": self.settings.seed}
        assert self.tracker.stdin is not None
        self.tracker.stdin.write(json.dumps(order) + "\n")
        self.tracker.stdin.flush()

    def load(self, name: str) -> Load:
        """Begin a load."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "controller.timing.loads", name, self.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._processes.append(process)
        return Load(name, process)

    def metronome(self, slots: int) -> subprocess.Popen[str]:
        """A process of the node's class that only sleeps."""
        rate = self.stage.rate
        rt_class = self.recording.node.rt_class if self.recording.node is not None else 0
        command = [sys.executable, "-P", "-m", "runtime.metronome", str(rate), str(slots)]
        if rt_class:
            command += ["--fifo", str(rt_class)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        return process

    def end(self) -> dict[str, Any]:
        """End the show; its own report."""
        self.recorder.poll()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        try:
            told: dict[str, Any] = json.loads(self.report.read_text())
        except (OSError, ValueError):
            return {}
        return told


def run_real(settings: Settings, limits_of: LimitsOf, told: Told) -> Result:
    """Run the show and what was asked for. Raises ConfigError, TimingError."""
    began = time.perf_counter()
    phases = phases_of(settings)
    loaded = configuration(settings)
    be_nice(NICE)
    with RealShow(settings, loaded) as show:
        show.until_calm()
        node = show.recording.node
        assert node is not None
        place: Place = "software_gl" if _is_software(node.renderer) else "gpu"
        limits = limits_of(place)
        restarts = _restarts(show)
        period_s = show.stage.rate.period_ns / NS_PER_S
        begin_ns = time.monotonic_ns() + int(0.2 * NS_PER_S)
        pendulum = show.metronome(int(settings.seconds_s / period_s))
        told(f"{settings.seconds_s:g} s of {loaded.name} at {show.stage.rate.hz:.5g} frames a second ...")
        loads = _play(show, phases, begin_ns, told)
        metronome = _metronome(pendulum)
        end_ns = begin_ns + int(settings.seconds_s * NS_PER_S)
        rows = _RealRows(show, begin_ns, end_ns, limits, metronome)
        for row in settings.faults:
            if row not in VIRTUAL_ONLY:
                told(f"{row} in real time ...")
                rows.play(row)
        show.wait(0.3)
        after = _restarts(show)
        conductor = show.recording.conductor
        run_report = show.end()
        result = _result(show, settings, limits, phases, loaded.name, begin_ns, end_ns)
        result.ledger = run_report
        result.metronome = metronome
        result.loads = loads
        result.rows = rows.results
        result.machine |= {"renderer": node.renderer, "rt_class": node.rt_class}
        if conductor is not None:
            result.machine["conductor_rt_class"] = conductor.rt_class
        allowed = metronome["host_stalls"] + metronome["half_late"]
        judge_phases(result, allowed_repeats=allowed)
        own = run_report.get("latency_ms", {}).get("own_share", {})
        result.judge.limit("own_share_p50_ms", own.get("p50"))
        result.judge.limit("own_share_p99_ms", own.get("p99"))
        result.judge.limit("processes_restarted", float(after - restarts))
        result.judge.holds("nothing_missed", show.recording.missed == 0, "show", "every plan and report was read")
        _judge_loads(result)
        measure_cameras(result, {name: true.poses for name, true in show.cameras.items()}, disturbed=DISTURBED)
    _notes(result)
    for row in settings.faults:
        if row in VIRTUAL_ONLY and row in PLAYABLE:
            told(f"{row} under the virtual clock ...")
            result.rows.append(play_row(row, settings, limits_of("virtual")))
    result.rows.sort(key=lambda found: list(ROWS).index(found.row))
    result.took_s = time.perf_counter() - began
    return result


def _is_software(renderer: str) -> bool:
    return any(word in renderer.lower() for word in ("llvmpipe", "softpipe", "swrast", "software"))


def _restarts(show: RealShow) -> int:
    return sum(int(child.get("restarts", 0)) for child in show.children().values())


def _play(show: RealShow, phases: Sequence[Phase], begin_ns: int, told: Told) -> dict[str, dict[str, Any]]:
    """Let the measured time pass, loads coming and going."""
    done: dict[str, dict[str, Any]] = {}
    for phase in phases:
        show.wait_until(begin_ns + int(phase.begin_s * NS_PER_S))
        end_ns = begin_ns + int(phase.end_s * NS_PER_S)
        if phase.name not in LOADS:
            show.wait_until(end_ns)
            continue
        told(f"load {phase.name} ...")
        load = show.load(phase.name)
        # Its last answers belong to its own stretch.
        show.wait_until(end_ns - 300 * NS_PER_MS)
        done[phase.name] = load.end()
        show.wait_until(end_ns)
    return done


def _metronome(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=END_S + 5.0)
    told: dict[str, Any] = json.loads(out)
    return told


def _result(
    show: RealShow,
    settings: Settings,
    limits: Limits,
    phases: tuple[Phase, ...],
    name: str,
    begin_ns: int,
    end_ns: int,
) -> Result:
    whole = show.recording.slots()
    return Result(
        settings=settings,
        mode="real",
        name=name,
        stage=show.stage,
        begin_ns=begin_ns,
        recording=show.recording,
        slots=whole.only(whole.between(begin_ns, end_ns)),
        phases=phases,
        judge=Judge(limits),
        records=[r for r in show.ledger.latest(1 << 13) if begin_ns <= r.t_present_ns < end_ns],
        machine=machine_facts(),
    )


def _judge_loads(result: Result) -> None:
    for name, told in result.loads.items():
        where = f"load {name}"
        if "ended" in told:
            result.judge.holds("ended", False, where, "the load could be stopped")
        if name == "flood":
            busy = told.get("requests", 0) > 0 and told.get("failed", 1) == 0
            result.judge.holds("answered", busy, where, "every request was answered", float(told.get("failed", -1)))
        elif name in ("config_storm", "scene_reload"):
            result.judge.limit("changes_refused", float(told.get("refused", 0)), where)
            result.judge.limit("change_p99_ms", told.get("change_p99_ms"), where)
        elif name == "slow_clients":
            judge_slow_clients(result.judge, told, where)


def judge_slow_clients(judge: Judge, told: dict[str, Any], where: str) -> None:
    """What must hold while clients do not read."""
    judge.holds("others_hear", told.get("messages", 0) > 0, where, "a client that reads goes on hearing")
    judge.limit("websocket_gap_ms", told.get("gap_ms"), where)
    judge.limit("websocket_memory_mb", told.get("memory_mb"), where)
    judge.limit("websocket_closed_s", told.get("closed_s"), where)


def _notes(result: Result) -> None:
    stolen = result.metronome.get("stolen_ms", 0.0) if result.metronome else 0.0
    if stolen:
        result.notes.append(f"The hypervisor gave {stolen:.0f} ms of processor time to others meanwhile.")


class _RealRows:
    """Rows of the fault matrix, as stretches of the running show."""

    def __init__(self, show: RealShow, begin_ns: int, end_ns: int, limits: Limits, metronome: dict[str, Any]) -> None:
        self.show, self.limits = show, limits
        self.results: list[RowResult] = []
        self.lost = int(metronome["host_stalls"] + metronome["half_late"])
        self.clean = self._played(begin_ns, end_ns)

    def play(self, row: str) -> None:
        """Play one row and judge it."""
        if row in REAL_ONLY:
            self._a1(row)
            return
        stage = Stage(self.show.settings, self.limits, clean=self.clean, lost=self.lost)
        seconds = 0.0
        for script in scripts_of(row, stage):
            if script.plot is not None:
                # It needs another configuration: that part belongs under the virtual clock.
                continue
            script.judge(stage, self._script(script))
            seconds += script.seconds
        self.results.append(RowResult(row, ROWS[row], "real", tuple(stage.judge.checks), seconds))

    def _script(self, script: Script) -> Played:
        show = self.show
        begin_ns = time.monotonic_ns() - int((SETTLED_S - 0.5) * NS_PER_S)
        for begin_s, end_s, names in script.spells:
            show.spell(begin_ns + int(begin_s * NS_PER_S), begin_ns + int(end_s * NS_PER_S), names)
        for begin_s, for_s in script.stalls:
            show.wait_until(begin_ns + int(begin_s * NS_PER_S))
            pid = int(show.children()["conductor"]["pid"])
            os.kill(pid, signal.SIGSTOP)
            try:
                show.wait_until(begin_ns + int((begin_s + for_s) * NS_PER_S))
            finally:
                os.kill(pid, signal.SIGCONT)
        end_ns = begin_ns + int(script.seconds * NS_PER_S)
        show.wait_until(end_ns + 200 * NS_PER_MS)
        return self._played(begin_ns, end_ns)

    def _played(self, begin_ns: int, end_ns: int) -> Played:
        show = self.show
        recording = show.recording
        whole = recording.slots()
        whole = whole.only(whole.between(begin_ns, end_ns))
        slots = whole.only(whole.plan >= 0)
        camera = next(iter(show.cameras))
        source = next(n for n, s in show.loaded.config.tracking.sources.items() if s.camera == camera)
        photos: Photos = recording.photos(camera, slots, show.cameras[camera].poses)
        walls = WallPoints(show.stage, show.stage.cameras[camera].walls)
        status = recording.conductor
        before = next((s for s in reversed(recording.states) if s.t_ns < begin_ns), None)
        refused = dict(status.sources[source].refused) if status is not None else {}
        if before is not None:
            refused = {r: n - before.refused.get(source, {}).get(r, 0) for r, n in refused.items()}
        return Played(
            loaded=show.loaded,
            stage=show.stage,
            begin_ns=begin_ns,
            recording=recording,
            whole=whole,
            slots=slots,
            t_s=(slots.t_present_ns - begin_ns) / NS_PER_S,
            camera=camera,
            source=source,
            photos=photos,
            measured=measure(photos, recording.lenses, walls),
            refused=refused,
            clock_jumps=None,
        )

    def _a1(self, row: str) -> None:
        judge = Judge(self.limits)
        begin_ns = time.monotonic_ns()
        load = self.show.load("slow_clients")
        self.show.wait(A1_S)
        told = load.end()
        self.show.wait(0.3)
        judge_slow_clients(judge, told, row)
        whole = self.show.recording.slots()
        slots = whole.only(whole.between(begin_ns, begin_ns + int(A1_S * NS_PER_S)))
        judge.limit("slots_unreported", float((~slots.reported).sum()), row)
        extra = max(0, int(np.sum(slots.repeated)) - self.lost)
        judge.limit("repeats_beyond_metronome_share", extra / max(1, len(slots)), row)
        self.results.append(RowResult(row, ROWS[row], "real", tuple(judge.checks), A1_S))
