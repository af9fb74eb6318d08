"""`openvolume replay`: a recording sent again, or fed to conductor and node under the virtual clock.

Under the virtual clock everything is exact: the same recording and configuration give the same plans, the same log
and, drawn, the same canvases, every time and on every machine with the same Mesa; the recording's gaps too.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.beginning import fresh_show, snapshot_of
from controller.conductor import Conductor
from controller.config import LoadedConfig, compile_config, load_config, load_config_text
from controller.drawing import Painter
from controller.errors import ControllerError
from controller.messages import Commit, Prepare
from controller.node import Node
from controller.post import Post
from controller.rundir import RunDir
from controller.scene_book import write_states
from controller.show import Snapshot, encode_snapshot
from controller.show_log import SHOW, versions_of
from controller.timing.virtual import VirtualPainter, usual_cost
from runtime.clock import NS_PER_MS, NS_PER_S, VirtualClock
from runtime.house import VirtualHouse
from runtime.ring import KIND_CANVAS, KIND_PLANS, ROOT, RingReader
from stage.compiled import decode_stage, encode_stage
from stage.errors import Problem
from stage.plan import FramePlan
from tracking.capture import Capture, read_capture
from tracking.config import TrackingConfig
from tracking.inputs import TrackingInputs
from tracking.replay import replay, targets_of
from tracking.tap import LinkInfo

BEFORE_NS: Final = NS_PER_S
"""The show runs for so long before the first datagram, and after the last."""
LOOK_NS: Final = 50 * NS_PER_MS
AHEAD_NS: Final = NS_PER_S
"""How long before its frame a version of the show is made ready."""
NODE: Final = "main"
DIRECTOR: Final = "director.sock"
RECORDED: Final = "recorded"
"""In place of a configuration: the one the recording was made under."""


class ReplayError(ControllerError):
    """A recording that does not fit the configuration it is replayed with."""

    code = "controller.replay"


@dataclass(slots=True)
class Replayed:
    """What a recording comes to under the virtual clock."""

    frames: int = 0
    datagrams: int = 0
    plans: dict[int, int] = field(default_factory=dict)
    """Hash of every plan, by frame."""
    canvases: dict[int, dict[str, str]] = field(default_factory=dict)
    """Hash of every canvas presented, by frame; empty unless it was drawn."""
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    """What happened to the sources: each change of state, each alarm as it came and went."""

    @property
    def plans_hash(self) -> str:
        """One number for all plans."""
        return _hash(json.dumps(sorted(self.plans.items())).encode())

    @property
    def canvases_hash(self) -> str:
        """One number for all canvases; empty unless it was drawn."""
        return _hash(json.dumps(self.canvases, sort_keys=True).encode()) if self.canvases else ""

    def document(self, *, whole: bool = False) -> dict[str, Any]:
        """As plain data; `whole`: with the hashes of each frame."""
        out: dict[str, Any] = {
            "frames": self.frames,
            "datagrams": self.datagrams,
            "plans_hash": self.plans_hash,
            "canvases_hash": self.canvases_hash,
            "sources": self.sources,
            "log": self.log,
        }
        if whole:
            out["plans"] = {str(frame): f"{number:016x}" for frame, number in sorted(self.plans.items())}
            out["canvases"] = {str(frame): hashes for frame, hashes in sorted(self.canvases.items())}
        return out


def replay_command(
    file: Path,
    *,
    virtual: str | None = None,
    draw: bool = False,
    target: str | None = None,
    speed: float = 1.0,
    loop: bool = False,
    report: Path | None = None,
) -> int:
    """Send a recording again, or see what the show of a configuration makes of it (virtual: its name or file;
    `recorded`: the recording's own). Returns the exit code.

    Raises
    ------
    CaptureError, SendError, ConfigError, ReplayError
    """
    capture = read_capture(file)
    for said in _remarks(capture):
        sys.stderr.write(f"{file}: {said}\n")
    if virtual is None and draw:
        from controller.redraw import redraw

        found, remarks = redraw(capture)
        sys.stderr.write("".join(f"{file}: {said}\n" for said in remarks))
        return _tell(found, report)
    if virtual is None:
        _only_virtual(report)
        targets = targets_of(capture, target)
        for number, where in targets.items():
            link = capture.links[number]
            sys.stdout.write(f"{link.protocol} received at {link.listen} goes to {where}\n")
        sys.stdout.write(f"{len(capture.datagrams)} datagrams in {capture.seconds / speed:.2f} s\n")
        sys.stdout.flush()
        sent = replay(capture, targets=targets, speed=speed, loop=loop)
        sys.stdout.write(f"{sent} datagrams sent\n")
        return 0
    versions = recorded_versions(capture) if virtual == RECORDED else []
    found = replay_virtually(capture, configured(capture, virtual, file), draw=draw, versions=versions)
    return _tell(found, report)


def _tell(found: Replayed, report: Path | None) -> int:
    if report is not None:
        report.write_text(json.dumps(found.document(whole=True), indent=1) + "\n")
    sys.stdout.write("".join(f"{line}\n" for line in found.log))
    for name, told in found.sources.items():
        refused = ", ".join(f"{count} {reason}" for reason, count in told["refused"].items())
        sys.stdout.write(f"{name}: {told['samples']} samples{f', refused {refused}' if refused else ''}\n")
    drawn = f", canvases {found.canvases_hash}" if found.canvases else ""
    sys.stdout.write(f"{found.datagrams} datagrams, {found.frames} frames: plans {found.plans_hash}{drawn}\n")
    return 0


def _only_virtual(report: Path | None) -> None:
    if report is not None:
        raise _error("--report", "needs --draw or --virtual CONFIG", "add --draw, or --virtual recorded")


def recorded_versions(capture: Capture) -> list[tuple[int, Snapshot]]:
    """First frame and snapshot of every version of the show in a recording. Raises ReplayError: they are not ours."""
    try:
        return versions_of(capture.notes.get(SHOW, []))
    except msgspec.MsgspecError as error:
        detail, mend = f"the show in it is of another OpenVolume: {error}", "replay it with the one that made it"
        raise _error("file", detail, mend) from error


def configured(capture: Capture, config: str, file: Path) -> LoadedConfig:
    """The configuration to replay with: the one named, or the one the recording was made under.

    Raises
    ------
    ConfigError : it cannot be used. ReplayError : the recording holds none.
    """
    if config != RECORDED:
        return load_config(config)
    if not capture.info.config_text:
        raise _error(str(file), "the recording holds no configuration", "name one: --virtual CONFIG")
    base_dir = Path(capture.info.base_dir) if capture.info.base_dir else file.parent
    return load_config_text(capture.info.config_text, base_dir=base_dir)


def replay_virtually(
    capture: Capture,
    loaded: LoadedConfig,
    *,
    draw: bool = False,
    versions: Sequence[tuple[int, Snapshot]] = (),
    painter: Callable[[RunDir, VirtualClock], Painter] | None = None,
) -> Replayed:
    """What conductor and node make of a recording, under a virtual clock that begins a second before it.

    draw : with the real renderer, so that canvases can be compared; versions : of the show, each with the frame it
    holds from, in place of the show `loaded` begins with; painter : another one (tests).

    Raises
    ------
    ConfigError, ReplayError
    """
    if not capture.datagrams:
        raise _error("file", "the recording holds no datagrams", "record again")
    stage = compile_config(loaded)
    names = sources_of(capture, loaded.config.tracking)
    clock = VirtualClock(
        max(NS_PER_S, capture.datagrams[0].t_received_ns - BEFORE_NS),
        tai_minus_monotonic_ns=capture.info.tai_minus_monotonic_ns,
    )
    later_ns = clock.now_ns() + BEFORE_NS - capture.datagrams[0].t_received_ns
    folder = Path(tempfile.mkdtemp(prefix="ovr-", dir=ROOT if ROOT.is_dir() else None))
    out = Replayed(datagrams=len(capture.datagrams))
    try:
        run = RunDir(folder)
        if versions:
            for _, snapshot in versions:
                write_states(run, snapshot.show)
                run.write_snapshot(snapshot.show.version, encode_snapshot(snapshot))
            run.set_current_version(versions[0][1].show.version)
            stage = decode_stage(versions[0][1].stage)
        else:
            show = msgspec.structs.replace(fresh_show(loaded.config, stage), version=1, config_version=1)
            run.write_snapshot(1, encode_snapshot(snapshot_of(show, loaded, encode_stage(stage))))
            run.set_current_version(1)
        conductor = Conductor(run=run, clock=clock, nodes=[NODE], fifo=False, sockets=False)

        def made() -> Painter:
            if painter is not None:
                return Seen(painter(run, clock), run, out)
            if not draw:
                return VirtualPainter(clock, tuple(stage.canvases), usual_cost(stage.rate, None, 0))
            from controller.painter import GLPainter

            return Seen(GLPainter(run=run, clock=clock), run, out)

        with VirtualHouse(clock) as house:
            house.add("conductor", conductor)
            house.add("feeder", _Feeder(capture, names, lambda: conductor.inputs, later_ns))
            if len(versions) > 1:
                house.add("director", _Director(run, versions, lambda: conductor.keeper.frames.deadline_ns))
            house.add("watcher", _Watcher(run, clock, lambda: conductor.inputs, out))
            house.add("node", Node(run=run, name=NODE, clock=clock, painter=made, fifo=False), own_thread=True)
            house.run_until(capture.datagrams[-1].t_received_ns + later_ns + BEFORE_NS)
            for name, told in conductor.inputs.statistics().items():
                out.sources[name] = {"samples": told.samples, "refused": {str(k): v for k, v in told.refused.items()}}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    out.frames = len(out.plans)
    return out


def sources_of(capture: Capture, tracking: TrackingConfig) -> dict[int, str]:
    """The source each of a recording's sockets is fed to: the one of its name, else of its address, else the only one
    of its protocol.

    Raises
    ------
    ReplayError : none fits; every socket is named.
    """
    found: dict[int, str] = {}
    problems: list[Problem] = []
    for number in sorted({datagram.link for datagram in capture.datagrams}):
        link = capture.links[number]
        alike = [name for name, source in tracking.sources.items() if source.protocol == link.protocol]
        named = [name for name in alike if name in link.sources]
        placed = [name for name in alike if tracking.sources[name].listen == link.listen]
        chosen = named or placed or (alike if len(alike) == 1 else [])
        if chosen:
            found[number] = chosen[0]
        else:
            problems.append(_problem(link, tracking))
    if problems:
        raise ReplayError(*problems)
    return found


def _problem(link: LinkInfo, tracking: TrackingConfig) -> Problem:
    known = ", ".join(f"{name} ({source.protocol})" for name, source in tracking.sources.items()) or "none"
    detail = f"no source takes the {link.protocol} that was received at {link.listen} for {', '.join(link.sources)}"
    return Problem(
        ReplayError.code, "tracking/sources", detail, known, "replay with the configuration it was made under"
    )


class _Feeder:
    """Role. Puts each datagram in at its own time."""

    def __init__(
        self, capture: Capture, names: dict[int, str], inputs: Callable[[], TrackingInputs], later_ns: int
    ) -> None:
        self._datagrams, self._names, self._inputs, self._later_ns = capture.datagrams, names, inputs, later_ns
        self._at = 0

    def start(self) -> None:
        """Nothing is needed."""

    def wake_fds(self) -> Sequence[int]:
        """Time alone."""
        return ()

    def step(self, now_ns: int) -> int | None:
        """Everything that is due."""
        while self._at < len(self._datagrams):
            datagram = self._datagrams[self._at]
            due_ns = datagram.t_received_ns + self._later_ns
            if due_ns > now_ns:
                return due_ns
            sender = (datagram.host, datagram.port)
            self._inputs().inject(self._names[datagram.link], datagram.data, due_ns, sender=sender)
            self._at += 1
        return None

    def stop(self) -> None:
        """Nothing is held."""


class _Director:
    """Role. Has every version of the show hold from the frame it held from."""

    def __init__(
        self, run: RunDir, versions: Sequence[tuple[int, Snapshot]], deadline_ns: Callable[[], Callable[[int], int]]
    ) -> None:
        self._run, self._versions, self._deadline_ns = run, versions, deadline_ns
        self._at = 1

    def start(self) -> None:
        """A letter box, though nobody needs to answer: what is recorded was prepared once."""
        self._post = Post(self._run.path / DIRECTOR)

    def wake_fds(self) -> Sequence[int]:
        """Time alone."""
        return ()

    def step(self, now_ns: int) -> int | None:
        """Versions that come soon."""
        self._post.receive()
        while self._at < len(self._versions):
            frame, snapshot = self._versions[self._at]
            due_ns = self._deadline_ns()(frame) - AHEAD_NS
            if due_ns > now_ns:
                return due_ns
            show, before = snapshot.show, self._versions[self._at - 1][1].show
            whole = show.config_version != before.config_version
            scenes = {scene.id for scene in show.scenes} != {scene.id for scene in before.scenes}
            prepare = Prepare(show.version, show.config_version, DIRECTOR, scenes)
            for box in (self._run.conductor_socket, *([self._run.node_socket(NODE)] if whole or scenes else [])):
                self._post.send(box, prepare)
            self._post.send(self._run.conductor_socket, Commit(show.version, DIRECTOR, frame))
            self._at += 1
        return None

    def stop(self) -> None:
        """Close the box."""
        self._post.close()


class _Watcher:
    """Role. Reads every plan, and notes what becomes of the sources."""

    def __init__(self, run: RunDir, clock: VirtualClock, inputs: Callable[[], TrackingInputs], out: Replayed) -> None:
        self._run, self._clock, self._inputs, self._out = run, clock, inputs, out
        self._begin_ns = clock.now_ns() + BEFORE_NS
        self._reader: RingReader | None = None
        self._n = 0
        self._states: dict[str, tuple[str, str]] = {}
        self._alarms: dict[tuple[str, str], str] = {}

    def start(self) -> None:
        """Rings are opened as they appear."""

    def wake_fds(self) -> Sequence[int]:
        """Time alone."""
        return ()

    def step(self, now_ns: int) -> int:
        """What is new."""
        self._plans()
        inputs = self._inputs()
        for name, told in inputs.statistics(now_ns).items():
            state = (told.state.value, told.reason)
            if self._states.get(name) != state:
                self._states[name] = state
                self._say(now_ns, f"{name} {state[0]}: {state[1]}")
        alarms = {(problem.code, problem.path): problem.detail for problem in inputs.alarms(now_ns)}
        for key, detail in alarms.items():
            if key not in self._alarms:
                self._say(now_ns, f"alarm {key[0]} {key[1]}: {detail}")
        for key in self._alarms:
            if key not in alarms:
                self._say(now_ns, f"over {key[0]} {key[1]}")
        self._alarms = alarms
        return now_ns + LOOK_NS

    def stop(self) -> None:
        """Read the rest."""
        self._plans()
        if self._reader is not None:
            self._reader.close()

    def _plans(self) -> None:
        if self._reader is None:
            self._reader = RingReader.try_open(self._run.plans, kind=KIND_PLANS)
            if self._reader is None:
                return
        batch = self._reader.read_since(self._n)
        self._n = batch.latest_n
        for slot in batch.slots:
            self._out.plans[slot.frame] = slot.plan_hash

    def _say(self, now_ns: int, line: str) -> None:
        self._out.log.append(f"{(now_ns - self._begin_ns) / NS_PER_S:9.3f} {line}")


class Seen:
    """A painter whose canvases are hashed as they are presented."""

    def __init__(self, painter: Painter, run: RunDir, out: Replayed) -> None:
        self._painter, self._run, self._out = painter, run, out
        self._readers: dict[str, RingReader] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._painter, name)

    def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
        """Show what was drawn, and look at it."""
        self._painter.present(plan, plan_hash, action)
        seen: dict[str, str] = {}
        for canvas in self._painter.canvases:
            reader = self._readers.get(canvas)
            if reader is None:
                reader = self._readers[canvas] = RingReader.open(self._run.canvas(canvas), kind=KIND_CANVAS)
            slot = reader.latest()
            if slot is not None:
                seen[canvas] = _hash(bytes(slot.data))
        self._out.canvases[plan.frame] = seen

    def close(self) -> None:
        """Let the rings go."""
        for reader in self._readers.values():
            reader.close()
        self._painter.close()


def _remarks(capture: Capture) -> list[str]:
    out = []
    if capture.torn:
        out.append("its end is missing; what is there is used (openvolume recover FILE OUT makes it whole)")
    if capture.damaged:
        out.append("its checksum is wrong: something in it has changed since it was written")
    if capture.missed:
        out.append(f"{capture.missed} batches of datagrams were lost while it was recorded")
    return out


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def _error(path: str, detail: str, mend: str) -> ReplayError:
    return ReplayError(Problem(ReplayError.code, path, detail, None, mend))
