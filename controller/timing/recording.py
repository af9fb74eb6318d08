"""What happened in a run, slot by slot, kept small: plans, reports and states as columns of numbers.

A `Recorder` reads the rings of a run as they grow, from inside the house (virtual time) or beside it (real time).
`Recording.slots` and `Recording.photos` then tell, for every slot, what stood on the walls and what each camera
photographed: a repeated picture is photographed with the pose it was drawn for.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.ledger import Ledger
from controller.rundir import RunDir
from controller.status import KIND_STATUS, ConductorStatus, NodeStatus, decode_conductor, decode_node
from runtime.clock import NS_PER_MS
from runtime.ring import KIND_PLANS, KIND_REPORTS, RingReader, Slot
from stage.frames import Array
from stage.plan import REASONS, FramePlan, FrameReport, PlanCamera, PlanLens, decode_plan, decode_report
from stage.rate import Rate

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
POLL_NS: Final = 100 * NS_PER_MS
QUALITIES: Final = ("ok", "coasting", "lost", "bad", "untracked", "waiting")
NO_PLAN: Final = REASONS.index("no_plan")


@dataclass(slots=True)
class CameraColumns:
    """One camera, one row a plan."""

    pose: array[float] = field(default_factory=lambda: array("d"))
    pupil_m: array[float] = field(default_factory=lambda: array("d"))
    overscan_deg: array[float] = field(default_factory=lambda: array("d"))
    soft_edge_deg: array[float] = field(default_factory=lambda: array("d"))
    t_photo_ns: array[int] = field(default_factory=lambda: array("q"))
    t_sampled_ns: array[int] = field(default_factory=lambda: array("q"))
    t_received_ns: array[int] = field(default_factory=lambda: array("q"))
    packet: array[int] = field(default_factory=lambda: array("q"))
    quality: array[int] = field(default_factory=lambda: array("b"))
    lens: array[int] = field(default_factory=lambda: array("h"))
    source: array[int] = field(default_factory=lambda: array("h"))

    def add(self, camera: PlanCamera, lens: int, source: int) -> None:
        """One plan's word on the camera."""
        self.pose.extend(camera.stage_from_camera)
        self.pupil_m.extend(camera.pupil_m)
        self.overscan_deg.extend(camera.overscan_deg)
        self.soft_edge_deg.append(camera.soft_edge_deg)
        self.t_photo_ns.append(camera.t_photo_ns)
        self.t_sampled_ns.append(camera.t_sampled_ns)
        self.t_received_ns.append(camera.t_received_ns)
        self.packet.append(camera.packet_id)
        self.quality.append(QUALITIES.index(camera.quality) if camera.quality in QUALITIES else 0)
        self.lens.append(lens)
        self.source.append(source)


@dataclass(frozen=True, slots=True)
class Slots:
    """What became of each slot, in order; one row a slot, also of those nobody reported."""

    frame: Int
    t_present_ns: Int
    """When the slot began."""
    reported: Bool
    shown: Int
    """The frame on the walls in it; -1 while unknown."""
    reason: Int
    """Index into stage.plan.REASONS."""
    mixed: Bool
    """Canvases showed different frames, or frames of different versions."""
    t_latched_ns: Int
    """0: nobody planned it."""
    t_published_ns: Int
    t_draw_started_ns: Int
    t_drawn_ns: Int
    t_presented_ns: Int
    version: Int
    """Show version of the slot's own plan."""
    plan: Int
    """Row of the plan whose picture stood on the walls; -1: none known."""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def own(self) -> Bool:
        """Slots that showed their own frame."""
        return np.asarray(self.reported & (self.shown == self.frame))

    @property
    def repeated(self) -> Bool:
        """Slots in which an older picture stayed up."""
        return np.asarray(self.reported & (self.shown != self.frame))

    def between(self, begin_ns: int, end_ns: int) -> Bool:
        """Slots that begin in a span."""
        return np.asarray((self.t_present_ns >= begin_ns) & (self.t_present_ns < end_ns))

    def only(self, mask: Bool) -> Slots:
        """Some of them."""
        return Slots(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    def repeats(self) -> dict[str, int]:
        """Repeated slots by reason."""
        counts = Counter(self.reason[self.repeated].tolist())
        return {REASONS[index]: count for index, count in sorted(counts.items())}


@dataclass(frozen=True, slots=True)
class Photos:
    """What one camera photographed in each slot: the pose its picture was drawn for, and where it truly was."""

    camera: str
    t_photo_ns: Int
    age_ms: Array
    """Photo less the sample its picture was made from; nan without tracking."""
    predicted: Array
    """[n, 4, 4]  sensor pose the picture on the walls was drawn for."""
    predicted_pupil_m: Array
    """[n, 3]"""
    true: Array
    """[n, 4, 4]  sensor pose at the photo."""
    overscan_deg: Array
    soft_edge_deg: Array
    quality: Int
    lens: Int
    """Index into Recording.lenses."""


@dataclass(frozen=True, slots=True)
class State:
    """What a page would have shown at an instant."""

    t_ns: int
    sources: dict[str, str]
    refused: dict[str, dict[str, int]]
    alarms: frozenset[str]
    own_share_p99_ms: float
    lead_ms: float


@dataclass(slots=True)
class Recording:
    """Everything read so far. Row i of every plan column is the same plan."""

    rate: Rate
    canvases: tuple[str, ...]
    frame: array[int] = field(default_factory=lambda: array("q"))
    t_present_ns: array[int] = field(default_factory=lambda: array("q"))
    t_latched_ns: array[int] = field(default_factory=lambda: array("q"))
    t_published_ns: array[int] = field(default_factory=lambda: array("q"))
    tai_ns: array[int] = field(default_factory=lambda: array("q"))
    show_version: array[int] = field(default_factory=lambda: array("q"))
    config_version: array[int] = field(default_factory=lambda: array("q"))
    hash: array[int] = field(default_factory=lambda: array("Q"))
    timecode: list[str] = field(default_factory=list)
    cameras: dict[str, CameraColumns] = field(default_factory=dict)
    lenses: list[PlanLens] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    reports: dict[str, array[int]] = field(default_factory=dict)
    """Per node, REPORT_WORDS numbers a report."""
    states: list[State] = field(default_factory=list)
    conductor: ConductorStatus | None = None
    node: NodeStatus | None = None
    missed: int = 0
    """Ring messages that were overwritten before they were read: nothing may be concluded then."""
    plans_bytes: int = 0

    def add_plan(self, plan: FramePlan, slot: Slot) -> None:
        """One plan from its ring."""
        self.frame.append(plan.frame)
        self.t_present_ns.append(plan.t_present_ns)
        self.t_latched_ns.append(plan.t_latched_ns)
        self.t_published_ns.append(slot.t_ns)
        self.tai_ns.append(plan.tai_ns)
        self.show_version.append(plan.show_version)
        self.config_version.append(plan.config_version)
        self.hash.append(slot.plan_hash)
        self.timecode.append(plan.timecode)
        self.plans_bytes += len(slot.data)
        for camera in plan.cameras:
            columns = self.cameras.get(camera.id)
            if columns is None:
                columns = self.cameras[camera.id] = CameraColumns()
            columns.add(camera, _index(self.lenses, camera.lens), _index(self.sources, camera.source))

    def add_report(self, report: FrameReport) -> None:
        """One report from a node's ring."""
        shown = {canvas.presented_frame for canvas in report.canvases.values()}
        reasons = {canvas.reason for canvas in report.canvases.values()}
        words = self.reports.setdefault(report.node, array("q"))
        words.extend(
            (
                report.frame,
                min(shown, default=-1),
                max(REASONS.index(reason) for reason in reasons) if reasons else 0,
                len(shown),
                report.t_draw_started_ns,
                report.t_drawn_ns,
                report.t_presented_ns,
                len(report.canvases),
            )
        )

    # --- afterwards ---------------------------------------------------------------------------------------------

    def slots(self) -> Slots:
        """Every slot from the first that all canvases reported to the last one reported."""
        tables = [np.array(words, dtype=np.int64).reshape(-1, REPORT_WORDS) for words in self.reports.values()]
        planned = np.array(self.frame, dtype=np.int64)
        if not tables or not len(planned):
            none, no = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
            return Slots(none, none, no, none, none, no, none, none, none, none, none, none, none)
        first = max(int(table[0, 0]) for table in tables)
        last = min(int(table[-1, 0]) for table in tables)
        count = max(0, last - first + 1)
        frame = np.arange(first, first + count)
        reported = np.ones(count, dtype=bool)
        mixed = np.zeros(count, dtype=bool)
        shown = np.full(count, np.iinfo(np.int64).max)
        newest = np.full(count, -1)
        words = np.zeros((count, REPORT_WORDS), dtype=np.int64)
        canvases = np.zeros(count, dtype=np.int64)
        for table in tables:
            inside = (table[:, 0] >= first) & (table[:, 0] <= last)
            rows, at = table[inside], table[inside, 0] - first
            here = np.zeros(count, dtype=bool)
            here[at] = True
            reported &= here
            shown[at] = np.minimum(shown[at], rows[:, 1])
            newest[at] = np.maximum(newest[at], rows[:, 1])
            mixed[at] |= rows[:, 3] > 1
            canvases[at] += rows[:, 7]
            words[at] = np.maximum(words[at], rows)
        reported &= canvases >= len(self.canvases)
        shown = np.where(reported, shown, -1)
        mixed |= reported & (newest != shown)
        # A plan's row by frame; a successor may have planned a frame again: the last word counts.
        own_plan = np.full(count, -1)
        inside = (planned >= first) & (planned <= last)
        own_plan[planned[inside] - first] = np.flatnonzero(inside)
        has = own_plan >= 0
        order = np.argsort(planned, kind="stable")
        ranked = planned[order]
        # The picture that is up was drawn from the newest plan there was for it, or (no_plan) from the one before.
        wanted = np.where((words[:, 2] == NO_PLAN) & (shown == frame), shown - 1, shown)
        at = np.searchsorted(ranked, wanted, side="right") - 1
        plan = np.where((at >= 0) & reported, order[np.maximum(at, 0)], -1)
        # A slot's beginning follows from any plan's: the frame clock never jumps.
        anchor = np.maximum(np.searchsorted(ranked, frame, side="right") - 1, 0)
        base = order[anchor]
        t_present = np.array(self.t_present_ns, dtype=np.int64)
        num, den = self.rate.num, self.rate.den
        step = (frame - planned[base]) * den * 1_000_000_000 // num

        def of_plan(values: Iterable[int]) -> Int:
            return np.asarray(np.where(has, np.array(values, dtype=np.int64)[own_plan], 0))

        return Slots(
            frame=frame,
            t_present_ns=t_present[base] + step,
            reported=reported,
            shown=shown,
            reason=words[:, 2],
            mixed=mixed,
            t_latched_ns=of_plan(self.t_latched_ns),
            t_published_ns=of_plan(self.t_published_ns),
            t_draw_started_ns=words[:, 4],
            t_drawn_ns=words[:, 5],
            t_presented_ns=words[:, 6],
            version=of_plan(self.show_version),
            plan=plan,
        )

    def photos(self, camera: str, slots: Slots, true_poses: Any) -> Photos:
        """What a camera photographed in slots whose pictures are known (`slots.plan >= 0`).

        true_poses : called with monotonic instants, [n] ns; gives sensor poses, [n, 4, 4].
        """
        columns = self.cameras[camera]
        rows = slots.plan
        t_present = np.array(self.t_present_ns, dtype=np.int64)
        reach_ns = np.array(columns.t_photo_ns, dtype=np.int64) - t_present
        t_photo = slots.t_present_ns + reach_ns[rows]
        sampled = np.array(columns.t_sampled_ns, dtype=np.int64)[rows]
        age = np.where(sampled > 0, (t_photo - sampled) / NS_PER_MS, np.nan)
        return Photos(
            camera=camera,
            t_photo_ns=t_photo,
            age_ms=age,
            predicted=np.array(columns.pose).reshape(-1, 4, 4)[rows],
            predicted_pupil_m=np.array(columns.pupil_m).reshape(-1, 3)[rows],
            true=true_poses(t_photo.tolist()),
            overscan_deg=np.array(columns.overscan_deg).reshape(-1, 4)[rows],
            soft_edge_deg=np.array(columns.soft_edge_deg)[rows],
            quality=np.array(columns.quality, dtype=np.int64)[rows],
            lens=np.array(columns.lens, dtype=np.int64)[rows],
        )


REPORT_WORDS: Final = 8


def _index(known: list[Any], value: Any) -> int:
    """Where a value stands in a short list of different ones; it is added if it is new."""
    if known and known[-1] == value:
        return len(known) - 1
    try:
        return known.index(value)
    except ValueError:
        known.append(value)
        return len(known) - 1


class Recorder:
    """Role. Follows the rings of a run into a recording, and into a ledger as the service keeps one."""

    def __init__(self, run: RunDir, nodes: Iterable[str], recording: Recording, ledger: Ledger | None = None) -> None:
        self._run, self._nodes = run, tuple(nodes)
        self.recording, self.ledger = recording, ledger
        self._readers: dict[Path, RingReader] = {}
        self._n: dict[Path, int] = {}

    def start(self) -> None:
        """Rings are opened as they appear."""

    def step(self, now_ns: int) -> int:
        """Read what is new."""
        self.poll()
        return now_ns + POLL_NS

    def stop(self) -> None:
        """Read the rest, and let the rings go."""
        self.poll()
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def poll(self) -> None:
        """Read what is new."""
        recording, ledger = self.recording, self.ledger
        for slot in self._new(self._run.plans, KIND_PLANS):
            plan = decode_plan(slot.data)
            recording.add_plan(plan, slot)
            if ledger is not None:
                ledger.add_plan(plan, t_published_ns=slot.t_ns, plan_hash=slot.plan_hash)
        for node in self._nodes:
            for slot in self._new(self._run.reports(node), KIND_REPORTS):
                report = decode_report(slot.data)
                recording.add_report(report)
                if ledger is not None:
                    ledger.add_report(report)
        for slot in self._new(self._run.conductor_status, KIND_STATUS, complete=False):
            status = recording.conductor = decode_conductor(slot.data)
            recording.states.append(
                State(
                    status.t_ns,
                    {name: source.state for name, source in status.sources.items()},
                    {name: source.refused for name, source in status.sources.items()},
                    frozenset(alarm.code for alarm in status.alarms),
                    status.own_share_ms.p99,
                    status.lead_ms,
                )
            )
        for slot in self._new(self._run.node_status(self._nodes[0]), KIND_STATUS, complete=False)[-1:]:
            recording.node = decode_node(slot.data)

    def _new(self, path: Path, kind: int, *, complete: bool = True) -> list[Slot]:
        reader = self._readers.get(path)
        if reader is None:
            reader = RingReader.try_open(path, kind=kind)
            if reader is None:
                return []
            self._readers[path] = reader
        seen = self._n.get(path, 0)
        # When nothing is new, a successor may have made the ring anew.
        if reader.latest_n == seen and (not reader.refresh() or reader.latest_n == seen):
            return []
        batch = reader.read_since(self._n.get(path, 0))
        self._n[path] = batch.latest_n
        if complete:
            self.recording.missed += batch.missed
        return list(batch.slots)
