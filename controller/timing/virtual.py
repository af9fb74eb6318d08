"""A whole show in one process under a virtual clock: every run of a seed is the same, and hours take minutes.

Conductor, planner, tracking inputs and node are the product's own; the painter's cost is virtual time, and datagrams
of the real encoders are put into the inputs at the instant they would arrive. Changes of the show go through the same
prepare-and-commit letters as the desk sends.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Self

import msgspec

from controller.beginning import fresh_show, snapshot_of
from controller.conductor import Conductor
from controller.config import LoadedConfig, compile_config
from controller.ledger import Ledger
from controller.messages import LoadScene, RehearseEdits
from controller.node import Node
from controller.rundir import RunDir
from controller.show import Show, Snapshot, encode_snapshot
from controller.status import ResidentScene
from controller.timing.motion import Noise, SimulatedTracker, Spell, TrueCamera
from controller.timing.recording import Recorder, Recording
from controller.timing.settings import TimingError
from runtime.clock import ASSUMED_TAI_MINUS_UTC_S, NS_PER_MS, NS_PER_S, VirtualClock
from runtime.house import VirtualHouse
from runtime.pace import smpte_epoch_ns
from runtime.references.system import KernelClock, Sync
from runtime.ring import ROOT
from stage.compiled import CompiledStage, encode_stage
from stage.errors import Problem
from stage.plan import FramePlan
from stage.rate import Rate
from tracking.faults import Faults, Timed

START_NS: Final = 10 * NS_PER_S
NODE: Final = "main"
DRAW_SHARE: Final = 0.4
"""Share of a frame that drawing takes unless it is told."""
DRAW_SPREAD: Final = 0.05
SLICE_NS: Final = 2 * NS_PER_MS
SLICES: Final = 3

Cost = Callable[[int], int]
"""Virtual time a frame's drawing takes, ns, by its number."""


def usual_cost(rate: Rate, draw_ms: float | None, seed: int) -> Cost:
    """The drawing time of every frame: about `draw_ms` (None: 40 % of a frame), a little different each time."""
    usual_ns = rate.period_ns * DRAW_SHARE if draw_ms is None else draw_ms * NS_PER_MS

    def cost(frame: int) -> int:
        # A number of its own for each frame: the same whatever was drawn before.
        return int(usual_ns * (1.0 + DRAW_SPREAD * (2.0 * Random(seed << 32 ^ frame).random() - 1.0)))

    return cost


class KeptClock:
    """A system clock that somebody keeps well: frames are counted from the SMPTE epoch."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def read(self, now_ns: int) -> Sync:
        """Always good."""
        kernel = KernelClock(synchronised=True, tai_offset_s=ASSUMED_TAI_MINUS_UTC_S)
        return Sync(good=True, epoch_ns=smpte_epoch_ns(self._clock), kernel=kernel)

    def close(self) -> None:
        """Nothing is held."""


class VirtualPainter:
    """Draws at a cost in virtual time, and remembers which versions its pictures were of."""

    device = "virtual"
    software = True
    scenes: list[ResidentScene] = []
    scene_budget_bytes = 0
    loading = ""
    late: Mapping[str, int] = {}
    alarms: tuple[()] = ()

    def __init__(self, clock: VirtualClock, canvases: Sequence[str], cost: Cost) -> None:
        self.canvases = tuple(canvases)
        self._clock, self.cost = clock, cost
        self._versions: set[int] = set()
        self._drawn: tuple[int, int] | None = None
        self.refuses: set[int] = set()
        """Configurations it cannot prepare."""
        self.wrong: list[int] = []
        """Frames presented with a picture of another frame or version: none, or the node is at fault."""
        self.shown = 0

    def holds(self, config_version: int) -> bool:
        """Whether plans of this version can be drawn at once."""
        return config_version in self._versions

    def prepare(self, snapshot: Snapshot) -> Generator[int]:
        """A few slices of virtual time."""
        yield from self._slices()
        number = snapshot.show.config_version
        if number in self.refuses:
            raise TimingError(Problem("timing.refused", "nodes/main", "this one is refused on purpose"))
        self._versions.add(number)

    def load(self, message: LoadScene) -> Generator[int]:
        """As a version."""
        yield from self._slices()

    def rehearse_edits(self, message: RehearseEdits) -> Generator[int]:
        """As a version."""
        yield from self._slices()

    def _slices(self) -> Generator[int]:
        for _ in range(SLICES):
            self._clock.sleep_until(self._clock.now_ns() + SLICE_NS)
            yield 0

    def forget(self, config_version: int) -> None:
        """A prepared version will not be used."""
        self._versions.discard(config_version)

    def draw(self, plan: FramePlan) -> None:
        """Take the time it takes."""
        self._clock.sleep_until(self._clock.now_ns() + self.cost(plan.frame))
        self._drawn = (plan.frame, plan.show_version)

    def rehearse(self, plan: FramePlan) -> None:
        """Nothing is slow the first time here."""

    def ahead(self, most: int) -> int:
        """Nothing is drawn beforehand."""
        return 0

    def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
        """Show what was drawn last."""
        self.shown += 1
        if action == "none" and self._drawn != (plan.frame, plan.show_version):
            self.wrong.append(plan.frame)

    def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class Plot:
    """What a virtual show is to be, and what shall happen in it. Times count from the show's first instant."""

    loaded: LoadedConfig
    move: str = "handheld"
    seed: int = 0
    samples: Rate = field(default_factory=lambda: Rate(120))
    protocol: str | None = None
    noise: bool = True
    """Whether poses scatter as a good tracker's do."""
    draw_ms: float | None = None
    cost: Cost | None = None
    faults: Sequence[tuple[float, float, Faults]] = ()
    """Begin, end (seconds), what goes wrong with the first source's tracking between them."""
    smpte: bool = False
    start_ns: int = START_NS
    tai_minus_monotonic_ns: int = 1_700_000_000 * NS_PER_S
    silent_until_s: dict[str, float] = field(default_factory=dict)
    """Sources whose trackers begin later than the show."""


class VirtualShow:
    """One show. Use as a context, add what is wanted to `house`, then `run_for`."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.loaded = plot.loaded
        self.stage: CompiledStage = compile_config(plot.loaded)
        self.clock = VirtualClock(plot.start_ns, tai_minus_monotonic_ns=plot.tai_minus_monotonic_ns)
        self.begin_ns = self.clock.now_ns()
        root = ROOT if ROOT.is_dir() else None
        # A short name outside the runs' own: nobody takes it for a running show.
        self.folder = Path(tempfile.mkdtemp(prefix="ovt-", dir=root))
        self.run = RunDir(self.folder)
        fresh = fresh_show(self.loaded.config, self.stage)
        self.first: Show = msgspec.structs.replace(fresh, version=1, config_version=1)
        self.stage_bytes = encode_stage(self.stage)
        self.write(self.first, self.loaded, self.stage_bytes)
        self.run.set_current_version(1)
        self.house = VirtualHouse(self.clock)
        self.recording = Recording(self.stage.rate, tuple(self.stage.canvases))
        self.ledger = Ledger(self.stage.rate, self.stage.canvases)
        self.recorder = Recorder(self.run, [NODE], self.recording, self.ledger)
        self.conductor = Conductor(
            run=self.run, clock=self.clock, nodes=[NODE], fifo=False, sockets=False,
            discipline=KeptClock(self.clock) if plot.smpte else None,
        )  # fmt: skip
        cost = plot.cost or usual_cost(self.stage.rate, plot.draw_ms, plot.seed)
        self.painter = VirtualPainter(self.clock, tuple(self.stage.canvases), cost)
        self._queued: list[tuple[str, Timed]] | None = None
        self.cameras: dict[str, TrueCamera] = {}
        self.trackers: dict[str, SimulatedTracker] = {}
        try:
            self.house.add("conductor", self.conductor)
            self.house.add("recorder", self.recorder)
            node = Node(run=self.run, name=NODE, clock=self.clock, painter=self._painter, fifo=False)
            self.house.add("node", node, own_thread=True)
            self._add_trackers()
        except BaseException:
            self.close()
            raise

    def _painter(self) -> Any:
        return self.painter

    def _add_trackers(self) -> None:
        for number, (name, source) in enumerate(self.loaded.config.tracking.sources.items()):
            true = TrueCamera(self.stage.cameras[source.camera], self.plot.move, self.plot.seed + number)
            if source.camera not in self.cameras:
                self.cameras[source.camera] = true
            spells = [self.spell(*part) for part in self.plot.faults] if number == 0 else []
            tracker = SimulatedTracker(
                name,
                source,
                true,
                self.clock,
                self._deliver(name),
                samples=self.plot.samples,
                protocol=self.plot.protocol,
                spells=spells,
                noise=Noise(self.plot.seed + number) if self.plot.noise else None,
            )
            self.trackers[name] = tracker
            late_s = self.plot.silent_until_s.get(name)
            if late_s is None:
                self.house.add(f"tracker-{name}", tracker)
            else:
                self.at(late_s, lambda name=name, tracker=tracker: self.house.add(f"tracker-{name}", tracker))  # type: ignore[misc]  # a lambda with defaults

    def spell(self, begin_s: float, end_s: float, faults: Faults) -> Spell:
        """Faults between two times of the show."""
        return Spell(self.begin_ns + int(begin_s * NS_PER_S), self.begin_ns + int(end_s * NS_PER_S), faults)

    def _deliver(self, name: str) -> Callable[[Timed], None]:
        def deliver(item: Timed) -> None:
            if self._queued is not None:
                self._queued.append((name, item))
                return
            # The true sender has an address too: without one, nobody could be told from it.
            sender = (item.host or "127.0.0.1", item.port or 50000)
            self.conductor.inputs.inject(name, item.data, item.t_ns, sender=sender)

        return deliver

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop every role, and leave nothing behind."""
        try:
            self.house.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- time ---------------------------------------------------------------------------------------------------

    def seconds(self, t_ns: int) -> float:
        """An instant in seconds of the show."""
        return (t_ns - self.begin_ns) / NS_PER_S

    def at(self, seconds: float, call: Callable[[], Any]) -> None:
        """Have something happen."""
        self.clock.call_at(self.begin_ns + int(seconds * NS_PER_S), call, name="~plot")

    def stall(self, begin_s: float, seconds: float) -> None:
        """Have the conductor stand still, as SIGSTOP does: the kernel stamps and keeps what arrives meanwhile."""

        def stand() -> None:
            self._queued = []
            self.house.pause("conductor")

        def go_on() -> None:
            queued, self._queued = self._queued or [], None
            for name, item in queued:
                self._deliver(name)(item)
            self.house.resume("conductor")

        self.at(begin_s, stand)
        self.at(begin_s + seconds, go_on)

    def run_to(self, seconds: float) -> None:
        """Let time pass until so long after the beginning."""
        self.house.run_until(self.begin_ns + int(seconds * NS_PER_S))
        self.recorder.poll()

    # --- changes ------------------------------------------------------------------------------------------------

    def write(self, show: Show, loaded: LoadedConfig, stage: bytes) -> None:
        """Put a version in the run directory."""
        self.run.write_snapshot(show.version, encode_snapshot(snapshot_of(show, loaded, stage)))
