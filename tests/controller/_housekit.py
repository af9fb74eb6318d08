"""A whole show under one virtual clock: conductor, node and tracker in one process, every step exact.

`VirtualShow` has no sockets and no GL: datagrams are put into the conductor's inputs, and the painter's cost is
virtual time. Its recorder keeps every plan and every report before the rings overwrite them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from controller.beginning import fresh_show, snapshot_of
from controller.conductor import Conductor
from controller.config import LoadedConfig, compile_config, load_config, load_config_text
from controller.drawing import Painter
from controller.messages import AnyMessage, Commit, LoadScene, Prepare, RehearseEdits
from controller.node import Node
from controller.post import Post
from controller.processes.simulator import simulated_sender
from controller.rundir import RunDir
from controller.show import Show, Snapshot, encode_snapshot
from controller.status import KIND_STATUS, ConductorStatus, NodeStatus, decode_conductor, decode_node
from runtime.clock import NS_PER_MS, NS_PER_S, VirtualClock
from runtime.house import VirtualHouse
from runtime.ring import KIND_PLANS, KIND_REPORTS, RingReader
from stage.compiled import encode_stage
from stage.plan import FramePlan, FrameReport, decode_plan, decode_report, plan_hash
from tracking.sender import Sender

START_NS = 10 * NS_PER_S


class TimedPainter:
    """Draws at a cost in virtual time; keeps what it showed.

    cost_ms : frames that take another time than `usual_ms`; broken : what drawing a frame raises; unpreparable :
    what preparing a version raises.
    """

    canvases: tuple[str, ...] = ("left", "right")
    device = "virtual"
    software = True
    scenes: tuple[()] = ()
    scene_budget_bytes = 0
    loading = ""
    late: Mapping[str, int] = {}
    alarms: tuple[()] = ()

    def __init__(self, clock: VirtualClock, cost_ms: dict[int, float] | None = None, usual_ms: float = 10.0) -> None:
        self.clock, self.cost_ms, self.usual_ms = clock, cost_ms or {}, usual_ms
        self.shown: list[tuple[int, str, int]] = []
        self.slices = 3
        self.looked_ahead = 0
        self.ahead_ms = 0.0
        self.rehearsal_ms = 0.0
        self.versions: set[int] = set()
        self.forgotten: list[int] = []
        self.broken: dict[int, Exception] = {}
        self.unpreparable: dict[int, Exception] = {}

    def holds(self, config_version: int) -> bool:
        return config_version in self.versions

    def prepare(self, snapshot: Snapshot) -> Iterator[int]:
        number = snapshot.show.config_version
        for _ in range(self.slices):
            self.clock.sleep_until(self.clock.now_ns() + 2 * NS_PER_MS)
            yield 0
        if number in self.unpreparable:
            raise self.unpreparable[number]
        self.versions.add(number)

    def load(self, message: LoadScene) -> Iterator[int]:
        for _ in range(self.slices):
            self.clock.sleep_until(self.clock.now_ns() + 2 * NS_PER_MS)
            yield 0

    def rehearse_edits(self, message: RehearseEdits) -> Iterator[int]:
        yield from self.load(message)  # type: ignore[arg-type]

    def forget(self, config_version: int) -> None:
        self.forgotten.append(config_version)

    def rehearse(self, plan: FramePlan) -> None:
        assert plan.config_version in self.versions
        self.clock.sleep_until(self.clock.now_ns() + int(self.rehearsal_ms * NS_PER_MS))

    def draw(self, plan: FramePlan) -> None:
        assert plan.config_version in self.versions
        assert plan.actions == []
        if plan.frame in self.broken:
            raise self.broken[plan.frame]
        cost_ms = self.cost_ms.get(plan.frame, self.usual_ms)
        self.clock.sleep_until(self.clock.now_ns() + int(cost_ms * NS_PER_MS))

    def ahead(self, most: int) -> int:
        self.looked_ahead += 1
        self.clock.sleep_until(self.clock.now_ns() + int(self.ahead_ms * NS_PER_MS))
        return 1

    def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
        self.shown.append((plan.frame, action, self.clock.now_ns()))

    def close(self) -> None:
        pass


def minimal_text(*, rate: str = "24", listen: str = "127.0.0.1:0", prediction: str = "auto") -> str:
    """The shipped `minimal` at another rate, listening elsewhere, without control ports."""
    text = load_config("minimal").source
    for pattern, new in (
        (r"^rate: .*$", f"rate: {rate}"),
        (r"listen: 127\.0\.0\.1:\d+", f"listen: {listen}\n      prediction: {prediction}"),
    ):
        text, changed = re.subn(pattern, new, text, flags=re.MULTILINE)
        assert changed == 1
    return text + "\ncontrol:\n  http: {port: 0}\n  osc: null\n"


def loaded_of(text: str) -> LoadedConfig:
    """The configuration in a text; files in it are found where the shipped ones lie."""
    shipped = load_config("minimal").path
    assert shipped is not None
    return load_config_text(text, base_dir=shipped.parent)


class Tracker:
    """Role: a simulated tracker that speaks straight into the conductor's inputs.

    silent : whether nothing is sent at an instant (a dropped datagram, a stalled sender).
    """

    address = "virtual"

    def __init__(self, show: VirtualShow, silent: Callable[[int], bool] | None = None) -> None:
        self._show, self._silent = show, silent or (lambda _: False)
        self.sent = 0
        source = show.loaded.config.tracking.sources["tracker"]
        self._sender: Sender = simulated_sender(source, show.clock, wire=self)

    def start(self) -> None:
        pass

    def step(self, now_ns: int) -> int:
        return self._sender.step(now_ns)

    def stop(self) -> None:
        pass

    def send(self, data: bytes) -> None:
        if not self._silent(self._show.clock.now_ns()):
            self.sent += 1
            self._show.conductor.inputs.inject("tracker", data)

    def close(self) -> None:
        pass


class Recorder:
    """Role: keeps plans and reports. Looks every 100 ms; the rings hold far more than that."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._readers: dict[int, RingReader] = {}
        self._n = {KIND_PLANS: 0, KIND_REPORTS: 0}
        self.plans: list[tuple[FramePlan, int, int]] = []
        """Plan, hash, when it was published."""
        self.reports: list[FrameReport] = []

    def start(self) -> None:
        pass

    def step(self, now_ns: int) -> int:
        for slot in self._new(KIND_PLANS, self._run.plans):
            assert slot.plan_hash == plan_hash(slot.data)
            self.plans.append((decode_plan(slot.data), slot.plan_hash, slot.t_ns))
        for slot in self._new(KIND_REPORTS, self._run.reports("main")):
            self.reports.append(decode_report(slot.data))
        return now_ns + 100 * NS_PER_MS

    def stop(self) -> None:
        for reader in self._readers.values():
            reader.close()

    def _new(self, kind: int, path: Path) -> list[Any]:
        reader = self._readers.get(kind) or RingReader.try_open(path, kind=kind)
        if reader is None:
            return []
        self._readers[kind] = reader
        batch = reader.read_since(self._n[kind])
        assert batch.missed == 0
        self._n[kind] = batch.latest_n
        return batch.slots


class VirtualShow:
    """One show in one process. Use as a context. `first` are fields of the show it begins with."""

    def __init__(
        self,
        path: Path,
        text: str,
        *,
        painter: Callable[[VirtualShow], Painter] | None = None,
        first: dict[str, Any] | None = None,
        silent: Callable[[int], bool] | None = None,
        tracker: bool = True,
        node: bool = True,
        **conductor: Any,
    ) -> None:
        self.loaded = loaded_of(text)
        self.stage = compile_config(self.loaded)
        self.clock = VirtualClock(START_NS)
        self.run = RunDir(path)
        fresh = fresh_show(self.loaded.config, self.stage)
        self.first = msgspec.structs.replace(fresh, version=1, config_version=1, **(first or {}))
        self.write(self.first)
        self.run.set_current_version(1)
        self.house = VirtualHouse(self.clock)
        self.desk = Post(self.run.service_socket)
        self._conductor_options = {"fifo": False, "sockets": False, "nodes": ["main"], **conductor}
        self.painter: Any = None
        self._make_painter = painter or self._timed_painter
        self.recorder = Recorder(self.run)
        self.conductor = self._new_conductor()
        self.house.add("conductor", self.conductor)
        self.house.add("recorder", self.recorder)
        if node:
            self.start_node()
        if tracker:
            self.tracker = Tracker(self, silent)
            self.house.add("tracker", self.tracker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.house.close()
        self.desk.close()

    # --- what happens to it -------------------------------------------------------------------------------------

    def run_for(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.house.run_until(self.clock.now_ns() + int(seconds * NS_PER_S))

    def run_to(self, frame: int) -> None:
        """Let time run until `frame` and all before it have been reported, and a little longer."""
        assert self.house.run_while(
            lambda: not self.recorder.reports or self.recorder.reports[-1].frame < frame,
            until_ns=self.clock.now_ns() + 600 * NS_PER_S,
        )

    def kill_conductor(self) -> None:
        """kill -9."""
        self.house.kill("conductor")
        # The kernel would drop its locks and sockets.
        self.conductor._post.close()
        self.conductor._plan_ring.close()
        self.conductor._status.close()
        self.conductor._datagrams.close()
        self.conductor.inputs.tap = None

    def start_conductor(self) -> None:
        """A successor."""
        self.conductor = self._new_conductor()
        self.house.add("conductor", self.conductor)

    def start_node(self) -> None:
        """The one node."""

        def painter() -> Painter:
            self.painter = self._make_painter(self)
            return self.painter

        self.house.add(
            "node",
            Node(run=self.run, name="main", clock=self.clock, painter=painter, fifo=False),
            own_thread=True,
        )

    def _new_conductor(self) -> Conductor:
        return Conductor(run=self.run, clock=self.clock, **self._conductor_options)

    @staticmethod
    def _timed_painter(show: VirtualShow) -> Painter:
        painter = TimedPainter(show.clock)
        painter.canvases = tuple(show.stage.canvases)
        return painter  # type: ignore[return-value]

    # --- changes ------------------------------------------------------------------------------------------------

    def write(self, show: Show, loaded: LoadedConfig | None = None) -> None:
        """Put a version in the run directory."""
        loaded = loaded or self.loaded
        stage = encode_stage(compile_config(loaded))
        self.run.write_snapshot(show.version, encode_snapshot(snapshot_of(show, loaded, stage)))

    def prepare(self, show: Show, *, to: str = "conductor") -> None:
        """Ask a process to get ready for a version."""
        path = self.run.conductor_socket if to == "conductor" else self.run.node_socket(to)
        self.desk.send(path, Prepare(show.version, show.config_version, self.run.service_socket.name))

    def commit(self, version: int, frame: int = 0) -> None:
        """Ask for the switch."""
        self.desk.send(self.run.conductor_socket, Commit(version, self.run.service_socket.name, frame))

    def answers(self) -> list[AnyMessage]:
        """What the processes answered since last time."""
        return self.desk.receive()

    # --- what is known of it ------------------------------------------------------------------------------------

    @property
    def plans(self) -> dict[int, FramePlan]:
        """Every plan by frame."""
        self.recorder.step(self.clock.now_ns())
        return {plan.frame: plan for plan, _, _ in self.recorder.plans}

    @property
    def published_ns(self) -> dict[int, int]:
        """When each frame's plan was published."""
        self.recorder.step(self.clock.now_ns())
        return {plan.frame: t_ns for plan, _, t_ns in self.recorder.plans}

    @property
    def hashes(self) -> list[int]:
        """Every plan's hash in order."""
        self.recorder.step(self.clock.now_ns())
        return [hash_ for _, hash_, _ in self.recorder.plans]

    @property
    def reports(self) -> dict[int, FrameReport]:
        """Every report by frame; asserts that no slot is missing or told twice."""
        self.recorder.step(self.clock.now_ns())
        frames = [report.frame for report in self.recorder.reports]
        assert frames == list(range(frames[0], frames[0] + len(frames)))
        return {report.frame: report for report in self.recorder.reports}

    def outcome(self) -> dict[int, tuple[int, str]]:
        """Per frame: what was shown, and the reason."""
        out = {}
        for frame, report in self.reports.items():
            told = {(canvas.presented_frame, canvas.reason) for canvas in report.canvases.values()}
            assert len(told) == 1, "canvases of one node move together"
            out[frame] = told.pop()
        return out

    def conductor_status(self) -> ConductorStatus:
        """The newest."""
        slot = _newest(self.run.conductor_status)
        return decode_conductor(slot)

    def node_status(self) -> NodeStatus:
        """The newest."""
        return decode_node(_newest(self.run.node_status("main")))


def _newest(path: Path) -> bytes:
    reader = RingReader.open(path, kind=KIND_STATUS)
    slot = reader.latest()
    reader.close()
    assert slot is not None
    return slot.data
