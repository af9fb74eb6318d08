"""The ledger: what happened to every frame slot, and when. Pure: plans and reports in, stamps and counts out.

Stamps of a frame: `sampled received latched published draw_started drawn presented`, CLOCK_MONOTONIC ns. Intervals
are named as CONTRACTS names them (`INTERVALS`). A slot is *presented* when every canvas showed its own frame, and
*repeated*, with a reason, when an older picture stayed up on any of them: `frames == presented + repeated`, counted
from the first slot that every canvas reported. A frame that a node made itself because its plan was missing counts
as presented; how many is told in `made_by_node`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, islice
from typing import Any, Final

import msgspec

from controller.ledger_record import (
    GRACE_SHARE,
    INTERVALS,
    SCREENS,
    WAITED_NS,
    CameraStamps,
    FrameRecord,
    HostNote,
    NodeStamps,
    period_ns,
)
from controller.status import Percentiles
from runtime.clock import NS_PER_MS
from runtime.metronome import Spread
from stage.plan import REASONS, FramePlan, FrameReport, Reason
from stage.rate import Rate

BOUNDS_MS: Final = (
    0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 200.0, 400.0, 1000.0,
)  # fmt: skip
"""Upper bounds of the histograms that are told to Prometheus."""
SCREENS_SLOTS: Final = 64
"""For so many slots after they reported last, the screens are waited for."""
_LATE_SLOTS: Final = 16
"""A slot without a report is given up when frames this much newer were seen."""
_SERIOUS: Final[tuple[Reason, ...]] = (
    "fenced", "host_stall", "late_plan", "late_draw", "late_engine", "switching", "held", "no_plan", "none",
)  # fmt: skip
"""Which reason stands for a slot whose canvases repeated for different ones: the first of these."""
_FINE: Final = {"none"}
_EXCUSED: Final = frozenset({"late_plan", "late_draw", "none"})
"""Reasons that a standstill of the host explains."""
_STALLS: Final = 256
_STALL_LEAST_NS: Final = 2 * NS_PER_MS
_LONGEST_GAP: Final = 1 << 18
"""More slots than this without a word are not counted one by one: nobody was there."""


class Series:
    """The newest `keep` values of something measured, the greatest there ever was, and how all of them spread.

    Attributes
    ----------
    total : sum of every value there ever was
    """

    def __init__(self, keep: int) -> None:
        self._values: deque[float] = deque(maxlen=keep)
        self._greatest = 0.0
        self._counts = [0] * (len(BOUNDS_MS) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Note one value."""
        self._values.append(value)
        if value > self._greatest:
            self._greatest = value
        self._counts[bisect_left(BOUNDS_MS, value)] += 1
        self.total += value

    def histogram(self) -> list[int]:
        """How many values there ever were up to each of `BOUNDS_MS`, and in all."""
        return list(accumulate(self._counts))

    def __len__(self) -> int:
        return len(self._values)

    def last(self, count: int) -> list[float]:
        """The newest `count` values, oldest first."""
        # From the end: a deque finds its middle by walking there.
        found = list(islice(reversed(self._values), count))
        found.reverse()
        return found

    def percentiles(self, last: int | None = None) -> Percentiles:
        """Of the newest `last` values, or of all that are kept; then `max` is the greatest ever."""
        if last is not None:
            return percentiles_of(self.last(last))
        found = percentiles_of(list(self._values))
        return msgspec.structs.replace(found, max=max(found.max, self._greatest))


def percentiles_of(values: Sequence[float]) -> Percentiles:
    """p50, p95, p99 and maximum by nearest rank; all 0 for no values."""
    spread = Spread.of(values)
    return Percentiles(spread.p50, spread.p95, spread.p99, spread.max)


class Ledger:
    """Collects plans and reports of one run, in any order, and says what became of every slot.

    Parameters
    ----------
    rate : the show's rate
    canvases : every canvas that must report a slot before it counts
    keep : frame records kept for `latest`
    keep_values : values kept for each percentile
    """

    def __init__(self, rate: Rate, canvases: Iterable[str], *, keep: int = 4096, keep_values: int = 1 << 17) -> None:
        self.rate = rate
        self.canvases = frozenset(canvases)
        self.presented = 0
        self.repeated = 0
        self.made_by_node = 0
        self.first_frame: int | None = None
        """The first slot that counts."""
        self._repeats: Counter[str] = Counter()
        self._records: OrderedDict[int, FrameRecord] = OrderedDict()
        self._keep = keep
        self._keep_values = keep_values
        self._next: int | None = None
        self._newest = -1
        self._began = False
        self._last_plan = (0, 0)
        self._stalls: deque[tuple[int, int, int]] = deque(maxlen=_STALLS)
        """From, to, and how long before it may have begun."""
        self.stalls = 0
        self.stalled_ns = 0
        """Standstills of the host that the metronome noticed, and their length together."""
        self._series = {name: Series(keep_values) for name in INTERVALS}
        self._ages: dict[str, Series] = {}
        self._own_share: Percentiles | None = None
        self._screens_until = -1
        """Up to this frame pictures count as presented when they are on the monitors."""
        self._on_screens: frozenset[str] = frozenset()
        self._screens_from = 0
        """Canvases that monitors show, as they told last, and from which frame on they have: what they say nothing of
        was never seen. Nobody is waited for before they said a word."""

    @property
    def frames(self) -> int:
        """Slots counted: `presented + repeated`."""
        return self.presented + self.repeated

    @property
    def repeats(self) -> dict[str, int]:
        """Repeated slots by reason; every reason that occurred."""
        return {reason: self._repeats[reason] for reason in REASONS if self._repeats[reason]}

    def expect(self, canvases: Iterable[str]) -> None:
        """From now on these canvases must report a slot (the configuration has changed)."""
        self.canvases = frozenset(canvases)

    def add_plan(self, plan: FramePlan, *, t_published_ns: int, plan_hash: int = 0) -> None:
        """A frame plan as it was read from the ring."""
        if self._renumbered(plan):
            self._go_on_at(plan.frame)
        self._last_plan = (plan.frame, plan.t_present_ns)
        record = self._record(plan.frame)
        record.planned = True
        record.t_present_ns = plan.t_present_ns
        record.t_latched_ns = plan.t_latched_ns
        record.t_published_ns = t_published_ns
        record.plan_hash = plan_hash
        record.show_version = plan.show_version
        record.config_version = plan.config_version
        record.rate = plan.rate
        record.outer_drawn = plan.outer.drawn_frame == plan.frame
        record.cameras = {
            c.id: CameraStamps(
                c.source, c.packet_id, c.t_sampled_ns, c.t_received_ns, c.t_photo_ns, c.quality, c.raster_px
            )
            for c in plan.cameras
            if c.enabled
        }
        if plan.t_latched_ns:
            self._note("latch_to_plan", t_published_ns - plan.t_latched_ns)
        for name, camera in record.cameras.items():
            if not camera.t_received_ns:
                continue
            if plan.t_latched_ns:
                self._note("receive_to_latch", plan.t_latched_ns - camera.t_received_ns)
            self._note("receive_to_plan", t_published_ns - camera.t_received_ns)
            ages = self._ages.setdefault(name, Series(self._keep_values))
            ages.add((camera.t_photo_ns - camera.t_sampled_ns) / NS_PER_MS)
        # A node may have reported before this reader came to the plan.
        for node in record.nodes.values():
            self._note_node(record, node)
        self._see(plan.frame)

    def add_report(self, report: FrameReport) -> None:
        """What a node did with one slot, or the screens with a picture. Also a late one, for a slot that was given up
        already."""
        record = self._record(report.frame)
        if report.node == SCREENS:
            self._add_screens(record, report)
            return
        stamps = NodeStamps(
            report.t_draw_started_ns,
            report.t_drawn_ns,
            report.t_presented_ns,
            report.plan_hash,
            {
                # A canvas that shows its own frame is fine whatever the reason says: no_plan is told apart by it.
                name: canvas.reason if canvas.presented_frame == report.frame else f"repeat:{canvas.reason}"
                for name, canvas in report.canvases.items()
            },
            min((canvas.presented_frame for canvas in report.canvases.values()), default=-1),
        )
        record.nodes[report.node] = stamps
        if stamps.t_drawn_ns and stamps.t_draw_started_ns:
            self._note("draw", stamps.t_drawn_ns - stamps.t_draw_started_ns)
        if record.planned:
            self._note_node(record, stamps)
        if self._next is None and self._complete(record):
            self._next, self._began = report.frame, True
            self.first_frame = report.frame if self.first_frame is None else self.first_frame
        if record.presented is not None:
            self._decide(record)
        self._see(report.frame)

    def _add_screens(self, record: FrameRecord, report: FrameReport) -> None:
        """When a frame was on the monitors; or which of its canvases came and never were."""
        if not report.canvases:
            # They show nothing any more, and say so: nobody is waited for.
            self._on_screens, self._screens_until = frozenset(), -1
            return
        self._screens_until = report.frame + SCREENS_SLOTS
        if report.plan_hash:
            if not self._on_screens:
                self._screens_from = report.frame
            self._on_screens = frozenset(report.canvases)
        missed = {n: f"repeat:{c.reason}" for n, c in report.canvases.items() if c.presented_frame != report.frame}
        shown = min((canvas.presented_frame for canvas in report.canvases.values()), default=-1)
        record.nodes[SCREENS] = NodeStamps(0, 0, report.t_presented_ns, report.plan_hash, missed, shown)
        if record.planned and report.plan_hash == record.plan_hash:
            self._note_presented(record, report.t_presented_ns)
        if record.presented is not None:
            self._decide(record)
        elif self._next is not None:
            self._see(report.frame)

    def add_host(self, note: HostNote) -> None:
        """What the metronome noticed: slots that repeated meanwhile are the host's, also those decided before."""
        if note.waited_ns:
            since_ns = note.t_slot_ns - WAITED_NS
            for frame in islice(reversed(self._records), 4 * _LATE_SLOTS):
                touched = self._records[frame]
                if since_ns < touched.t_present_ns <= note.t_slot_ns:
                    touched.waited_ns = note.waited_ns
        for stall in note.stalls:
            self._stalls.append((*stall, note.tick_ns))
            self.stalls += 1
            self.stalled_ns += stall[1] - stall[0]
            for frame in islice(reversed(self._records), 4 * _LATE_SLOTS):
                touched = self._records[frame]
                if touched.presented is not None and _overlap_ns(_window_ns(touched, self.rate), stall):
                    self._decide(touched)

    def add_sent(self, canvas: str, frame: int, reason: str, *, frames: int = 1) -> None:
        """What the sender said of `frames` slots of a canvas up to `frame`."""
        for number in range(frame - min(frames, self._keep) + 1, frame + 1):
            # What is not here any more was told, or never was a slot.
            if number in self._records or number > self._newest:
                self._record(number).sent[canvas] = reason

    def set_own_share(self, own_share_ms: Percentiles) -> None:
        """The controller's own share as the conductor measures it: only it sees packets join their histories."""
        self._own_share = own_share_ms

    def flush(self) -> None:
        """Decide every slot up to the newest that was reported by anyone: nothing more will come."""
        reported = max((n for n, r in self._records.items() if r.nodes and n <= self._newest), default=-1)
        self._close(reported + 1)

    def latest(self, count: int) -> list[FrameRecord]:
        """The newest `count` decided slots, oldest first."""
        found: list[FrameRecord] = []
        for frame in reversed(self._records):
            record = self._records[frame]
            if record.presented is not None:
                found.append(record)
                if len(found) == count:
                    break
        return sorted(found, key=lambda record: record.frame)

    def after(self, frame: int, *, until: int) -> list[FrameRecord]:
        """Every slot that is kept with `frame` < number <= `until`, in order; the decided and the undecided."""
        return sorted(
            (record for number, record in self._records.items() if frame < number <= until), key=lambda r: r.frame
        )

    @property
    def newest(self) -> int:
        """The newest slot anybody spoke of; -1 before the first."""
        return self._newest

    def record(self, frame: int) -> FrameRecord | None:
        """One slot, while it is kept."""
        return self._records.get(frame)

    def latency_ms(self, last: int | None = None) -> dict[str, Percentiles]:
        """Percentiles of every interval, ms, over the newest `last` values or all."""
        found = {name: series.percentiles(last) for name, series in self._series.items()}
        if self._own_share is not None:
            found["own_share"] = self._own_share
        return found

    def age_ms(self, last: int | None = None) -> dict[str, Percentiles]:
        """Per camera: from when its pose was sampled to the photo it was made for, ms."""
        return {name: series.percentiles(last) for name, series in sorted(self._ages.items())}

    def histograms(self) -> dict[str, Series]:
        """Every interval's series, for their histograms; `own_share` is measured elsewhere."""
        return {name: series for name, series in self._series.items() if name != "own_share"}

    def age_histograms(self) -> dict[str, Series]:
        """Every camera's series of ages at the photo."""
        return dict(sorted(self._ages.items()))

    def history_ms(self, interval: str, count: int) -> list[float]:
        """The newest values of one interval, ms, oldest first."""
        return self._series[interval].last(count)

    def report(self, *, rt_class: int = 0) -> dict[str, Any]:
        """The report of `openvolume run --report`: plain data, as CONTRACTS name it."""
        return {
            "rate": [self.rate.num, self.rate.den],
            "frames": self.frames,
            "presented": self.presented,
            "repeated": self.repeated,
            "repeats": self.repeats,
            "made_by_node": self.made_by_node,
            "rt_class": rt_class,
            "latency_ms": msgspec.to_builtins(self.latency_ms()),
            "age_ms": msgspec.to_builtins(self.age_ms()),
        }

    def counts(self) -> dict[str, Any]:
        """What a successor needs to go on counting: plain data."""
        return {
            "presented": self.presented,
            "repeated": self.repeated,
            "made_by_node": self.made_by_node,
            "repeats": dict(self._repeats),
            "first_frame": self.first_frame,
            "next": self._next,
            "on_screens": sorted(self._on_screens),
            "screens_from": self._screens_from,
        }

    def resume(self, counts: dict[str, Any]) -> None:
        """Go on from another ledger's `counts`, before anything was added."""
        self.presented, self.repeated = counts["presented"], counts["repeated"]
        self.made_by_node, self.first_frame, self._next = counts["made_by_node"], counts["first_frame"], counts["next"]
        self._repeats = Counter(counts["repeats"])
        self._began = self._next is not None
        self._on_screens = frozenset(counts.get("on_screens", ()))
        self._screens_from = counts.get("screens_from", 0)

    def _record(self, frame: int) -> FrameRecord:
        record = self._records.get(frame)
        if record is None:
            record = self._records[frame] = FrameRecord(frame)
            while len(self._records) > self._keep:
                self._records.popitem(last=False)
        return record

    def _note(self, interval: str, ns: int) -> None:
        self._series[interval].add(ns / NS_PER_MS)

    def _note_node(self, record: FrameRecord, node: NodeStamps) -> None:
        """Intervals from plan to picture: only of a picture that was drawn from this very plan."""
        if node.plan_hash != record.plan_hash or not node.t_draw_started_ns:
            return
        self._note("plan_to_draw", node.t_draw_started_ns - record.t_published_ns)
        if node.t_presented_ns and record.frame > self._screens_until:
            self._note_presented(record, node.t_presented_ns)

    def _note_presented(self, record: FrameRecord, t_ns: int) -> None:
        for camera in record.cameras.values():
            if camera.t_received_ns:
                self._note("receive_to_present", t_ns - camera.t_received_ns)

    def _complete(self, record: FrameRecord) -> bool:
        told = _told(record)
        return self.canvases <= told.keys() and not self._unseen(record, told)

    def _unseen(self, record: FrameRecord, told: Mapping[str, str]) -> bool:
        """Whether what was handed over in time is to be on monitors, and those have not said that it was."""
        if not self._on_screens or SCREENS in record.nodes or record.frame < self._screens_from:
            return False
        return any(told.get(canvas) == "none" for canvas in self._on_screens)

    def _see(self, frame: int) -> None:
        self._newest = max(self._newest, frame)
        if self._next is None:
            return
        self._close(self._newest - _LATE_SLOTS)
        while (record := self._records.get(self._next)) is not None and self._complete(record):
            self._decide(record)
            self._next += 1

    def _renumbered(self, plan: FramePlan) -> bool:
        """Whether the frame clock was set: the numbers went further than the time, or back."""
        frames, passed_ns = plan.frame - self._last_plan[0], plan.t_present_ns - self._last_plan[1]
        if frames == 1 or not self._last_plan[1]:
            return False
        slot_ns = Rate(*plan.rate).period_ns
        return abs(passed_ns - frames * slot_ns) > slot_ns // 2 + abs(passed_ns) // 1000

    def _go_on_at(self, frame: int) -> None:
        """The numbers between were never slots: what is open is decided, counting goes on at `frame`."""
        self._close(self._newest + 1)
        for used in [number for number in self._records if number >= frame]:
            del self._records[used]
        self._newest = frame
        self._screens_from = min(self._screens_from, frame)
        if self._next is not None:
            self._next = frame

    def _close(self, end: int) -> None:
        """Decide every slot before `end`, reported or not."""
        if self._next is not None and end - self._next > _LONGEST_GAP:
            self._next = end
        while self._next is not None and self._next < end:
            self._decide(self._record(self._next))
            self._next += 1

    def _decide(self, record: FrameRecord) -> None:
        if record.counted:
            if record.presented:
                self.presented -= 1
                self.made_by_node -= record.reason == "no_plan"
            else:
                self.repeated -= 1
                self._repeats[record.reason] -= 1
        told = _told(record)
        choices = set(told.values())
        unseen = self._unseen(record, told)
        if choices == _FINE and told.keys() >= self.canvases and not unseen:
            record.presented, record.reason = True, "none"
        else:
            repeats: set[str] = {reason.partition(":")[2] for reason in choices if reason.startswith("repeat:")}
            if unseen or self.canvases - told.keys():
                # Nobody spoke for a canvas: its node, or who shows it on monitors, was dead or cut off, and the last
                # picture stayed on the wall.
                repeats.add("fenced")
            record.presented = not repeats
            choices = repeats or choices
            record.reason = next((reason for reason in _SERIOUS if reason in choices), "none")
        if not record.t_present_ns and self._last_plan[1]:
            # No plan told when it was due: it follows from those that came.
            frame, t_ns = self._last_plan
            record.t_present_ns = self.rate.deadline_ns(t_ns, record.frame - frame)
            record.rate = (self.rate.num, self.rate.den)
        if self._stalls and self._stalls[-1][1] > record.t_latched_ns:
            self._blame_host(record)
        record.counted = self._began
        if not record.counted:
            return
        if record.presented:
            self.presented += 1
            self.made_by_node += record.reason == "no_plan"
        else:
            self.repeated += 1
            self._repeats[record.reason] += 1

    def _blame_host(self, record: FrameRecord) -> None:
        """Say how long the host stood still while a frame was made, and that it is the reason when it is."""
        window_ns = _window_ns(record, self.rate)
        record.stall_ns = noticed_ns = likely_ns = 0
        for from_ns, to_ns, tick_ns in reversed(self._stalls):
            if to_ns <= window_ns[0]:
                break
            if ns := _overlap_ns(window_ns, (from_ns, to_ns)):
                record.stall_ns = max(record.stall_ns, to_ns - from_ns)
                noticed_ns += ns
                # It began between two wake-ups: as much again is believed, where those lie so far apart.
                likely_ns += ns + min(ns, tick_ns)
        if record.presented or record.reason not in _EXCUSED:
            return
        grace_ns = period_ns(record, self.rate) // GRACE_SHARE
        drawn_ns = max((node.t_drawn_ns for node in record.nodes.values()), default=0)
        # Without the standstill it would have been in time. What was never drawn is told by a standstill that matters.
        late_ns = drawn_ns - _slot_ns(record) - grace_ns if drawn_ns else grace_ns
        if noticed_ns >= min(grace_ns, _STALL_LEAST_NS) and likely_ns >= late_ns:
            record.reason = "host_stall"


def _told(record: FrameRecord) -> dict[str, str]:
    """What is known of each canvas, from whichever node it belongs to."""
    if len(record.nodes) == 1:
        return next(iter(record.nodes.values())).canvases
    told = {canvas: reason for node in record.nodes.values() for canvas, reason in node.canvases.items()}
    # What was handed over and never seen was not presented, whoever was read first.
    return told | record.nodes[SCREENS].canvases if SCREENS in record.nodes else told


def _slot_ns(record: FrameRecord) -> int:
    """When a slot was due, also when its plan was never seen."""
    return record.t_present_ns or max((node.t_presented_ns for node in record.nodes.values()), default=0)


def _window_ns(record: FrameRecord, rate: Rate) -> tuple[int, int]:
    """The time in which a frame was made: from its latch to its picture, or to the moment it was given up."""
    slot_ns = _slot_ns(record)
    length_ns = period_ns(record, rate)
    drawn_ns = max((node.t_drawn_ns for node in record.nodes.values()), default=0)
    if drawn_ns:
        return record.t_latched_ns or slot_ns - length_ns, max(drawn_ns, slot_ns)
    # Not drawn at all: the frame before it was late already.
    return slot_ns - 2 * length_ns, slot_ns + length_ns // GRACE_SHARE


def _overlap_ns(window: tuple[int, int], stall: tuple[int, int]) -> int:
    return max(0, min(window[1], stall[1]) - max(window[0], stall[0]))
