"""The conductor: takes all tracking in, owns the frame clock, and publishes the plan of every frame.

It latches as late as drawing allows, predicts every camera to its own photo time, publishes, rings the nodes, and
does everything else (changes of the show, reports, status) in the time left until the next latch. Whatever fails in
between, the next plan goes out: without tracking, or as the one before.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from controller import ledger_keep
from controller.action import ActionWord
from controller.arrivals import Arrivals
from controller.coalescing import PAUSE_NS, SHORT_PAUSE_NS, Coalescing
from controller.conductor_status import conductor_status
from controller.jamming import Jamming
from controller.lead import AdaptiveLead
from controller.ledger import Ledger, Series
from controller.ledger_batch import LedgerBatch
from controller.ledger_feed import RingQueue, decode_note
from controller.listening import Listening
from controller.messages import Abort, AnyMessage, Commit, HearOnly, JamTime, Prepare
from controller.metronome import KIND_NOTES
from controller.node_reports import NodeReports
from controller.plan_maker import PlanMaker
from controller.planner import all_held
from controller.post import Post
from controller.resolution import DynamicResolution
from controller.rundir import RunDir
from controller.sources import (
    mounts_of,
    pictures_of,
    preferences,
    resolution_limits,
    steered,
)
from controller.status import KIND_STATUS, STATUS_CAPACITY, Alarm, RoleState, encode_status
from controller.tracking_recorder import DATAGRAM_CAPACITY, DATAGRAM_SLOTS, KIND_DATAGRAMS
from controller.versions import Version, Versions, load_version
from controller.windows.blanks import BlankRing
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from runtime.references.system import Discipline
from runtime.rights import Rights, SlackCollector, freeze_garbage, take_fifo, thaw_garbage
from runtime.ring import KIND_PLANS, RingReader, RingWriter
from runtime.timekeeper import Timekeeper
from stage.plan import FramePlan, encode_plan, plan_hash
from stage.rate import Rate
from stage.timecode import TimeOfDay
from tracking.inputs import TrackingInputs
from tracking.tap import Tap

log = logging.getLogger(__name__)

PLAN_SLOTS = 256
PLAN_CAPACITY = (1 << 16) - 64
FIFO_PRIORITY = 25
STATUS_NS = NS_PER_S // 10
LEDGER_NS = NS_PER_S
TELLING_NS = 4 * NS_PER_MS
"""Status and counts are told only when so much time is left until the next latch: they take a tenth of it."""
QUIET_NS = NS_PER_MS // 2
"""Before a deadline the conductor stops listening for this long and sleeps straight to it."""
REHEARSAL_NS = 2 * NS_PER_MS
"""So long before the latch the plan is made once for practice, and then what comes is read until it is time. A process
that slept for a frame finds its code and data gone from the caches, and is five times slower; at the latch that would
be latency. Even a millisecond of sleep cools them again."""
LETTERS_NS = NS_PER_MS // 2
"""Until so shortly before the latch a change is taken in that the next plan can carry."""
SLOWEST_REHEARSED_NS = 12 * NS_PER_MS
"""Periods shorter than this leave the caches warm, and no time for practice."""
SLACK_NS = NS_PER_MS
"""Nothing else is begun this close to rehearsal or latch."""
GAP_NS = 3 * NS_PER_MS // 2
"""A longer piece of work is not begun so shortly before a camera's next datagram is likely to come: that would wait."""
KEEP_VALUES = 1 << 16


class Conductor:
    """Role. `frames` counted slots end the run; the report is written to `report_path` then.

    discipline : tells how the system clock is kept; None: the kernel and ptp4l do (under a virtual clock nobody).
    """

    def __init__(
        self,
        *,
        run: RunDir,
        clock: Clock,
        nodes: Sequence[str],
        frames: int | None = None,
        report_path: Path | None = None,
        fifo: bool = True,
        sockets: bool = True,
        discipline: Discipline | None = None,
    ) -> None:
        self._run, self._clock, self._nodes = run, clock, list(nodes)
        self._frames, self._report_path, self._fifo, self._sockets = frames, report_path, fifo, sockets
        self._discipline = discipline
        self._frame = 0
        self._epoch = 1
        self._plans = 0
        self._skipped = 0
        self._adapted_frame = -1
        self._status_due_ns = 0
        self._ledger_due_ns = 0
        self._rights = Rights(0, "not asked for")
        self._own_ms = Series(KEEP_VALUES)
        self._arrivals = Arrivals(KEEP_VALUES)
        self._reports = NodeReports(run, nodes)
        self._notes = RingQueue(run.metronome, KIND_NOTES)
        self._last: FramePlan | None = None
        self._put_off: list[AnyMessage] = []
        """Letters that are read once the latch has passed."""
        self._hears_only_until_ns = 0
        self._alarms: dict[str, Alarm] = {}
        self._garbage = SlackCollector()
        self._coalescing = Coalescing()
        self._practice_ns = REHEARSAL_NS // 4
        """What practice takes with warm caches, at most."""
        self._taken = ExitStack()
        self._done = False

    @property
    def inputs(self) -> TrackingInputs:
        """The tracking it listens to: scenarios under a virtual clock put datagrams in here."""
        return self._inputs

    @property
    def keeper(self) -> Timekeeper:
        """What keeps the show's time."""
        return self._keeper

    @property
    def ledger(self) -> Ledger:
        """What became of every frame so far."""
        return self._told.tell()

    # --- role ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Sockets, rings, the version that holds now; goes on where a conductor before it was killed."""
        take = self._taken.callback
        self._post = Post(self._run.conductor_socket)
        take(self._post.close)
        self._action = ActionWord(self._run.action_word)
        take(self._action.close)
        first = load_version(self._run, self._run.current_version())
        rate = first.stage.rate
        self._plan_ring = RingWriter.create(self._run.plans, kind=KIND_PLANS, slots=PLAN_SLOTS, capacity=PLAN_CAPACITY)
        take(self._plan_ring.close)
        self._status = RingWriter.create(
            self._run.conductor_status, kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY
        )
        take(self._status.close)
        self._datagrams = RingWriter.create(
            self._run.datagrams, kind=KIND_DATAGRAMS, slots=DATAGRAM_SLOTS, capacity=DATAGRAM_CAPACITY
        )
        take(self._datagrams.close)
        self._tap = Tap(self._hand_on)
        self._epoch = self._plan_ring.epoch
        self._lead = AdaptiveLead(rate, first.picture)
        self._resolution = DynamicResolution(rate, resolution_limits(first.config.render))
        self._inputs = TrackingInputs(
            steered(first.config.tracking, first.show),
            self._clock,
            rate=rate,
            day_at=self._day_at,
            mounts=mounts_of(first.stage),
            pictures_mm=pictures_of(first.stage),
            lens_tables=first.lens_tables,
        )
        take(self._inputs.close)
        self._inputs.tap = self._tap
        self._inputs.prefer(preferences(first.show))
        self._coalescing.pause_ns = _pause_ns(first)
        self._versions = Versions(first, run=self._run, post=self._post, clock=self._clock, inputs=self._inputs)
        self._listening = Listening(self._inputs)
        if self._sockets:
            self._listening.open(self._clock.now_ns())
        self._told = LedgerBatch(Ledger(rate, first.stage.canvases), frames=self._frames)
        self._keeper = Timekeeper(
            first.config.time,
            rate,
            self._clock,
            discipline=self._discipline,
            sockets=self._sockets,
            blanks=BlankRing(self._run),
        )
        take(self._keeper.close)
        self._keeper.rolling = bool(first.show.take)
        self._jamming = Jamming(self._run, self._post, self._keeper)
        self._maker = PlanMaker(self._versions, self._inputs, self._keeper, self._action, epoch=self._epoch)
        self._begin()
        if self._fifo:
            self._rights = take_fifo(FIFO_PRIORITY)
            if self._rights.mend:
                log.warning("no real-time rights: %s -> %s", self._rights.why, self._rights.mend)
        freeze_garbage()
        take(thaw_garbage)
        take(self._say_last)

    def wake_fds(self) -> Sequence[int]:
        """Tracking sockets; also the letter box and outside time code, while there is time to read them (what is left
        unread would wake it again and again)."""
        now_ns = self._clock.now_ns()
        letters = [self._post.fileno(), *self._keeper.filenos()] if self._next_ns - now_ns > SLACK_NS else []
        if not self._sockets or now_ns < self._coalescing.until_ns:
            return letters
        return [*self._inputs.filenos(), *letters]

    def step(self, now_ns: int) -> int | None:
        """Take in what arrived; latch and publish when it is time; then the rest."""
        self._take_in(latch=now_ns >= self._latch_ns)
        if not self._rehearsed and self._rehearsal_ns <= now_ns < self._latch_ns:
            self._rehearse(now_ns)
            # Awake until the latch: if something of its own makes it late, that is its own share.
            now_ns = min(self._stay_warm(), self._latch_ns) if self._sockets else self._clock.now_ns()
        if now_ns >= self._latch_ns:
            self._latch(now_ns)
            now_ns = self._clock.now_ns()
        if self._next_ns - now_ns > SLACK_NS:
            self._housekeeping(now_ns)
            if self._done:
                return None
        return min(self._next_ns, self._coalescing.until_ns or self._next_ns, self._awaited_ns(now_ns) or self._next_ns)

    def stop(self) -> None:
        """Write what is known, let the nodes go on by themselves."""
        self._taken.close()

    def _say_last(self) -> None:
        self._tap.flush()
        self._read_notes(look=True)
        self._notes.close()
        self._read_reports()
        self._save_ledger()
        if self._report_path is not None:
            self._write_report()
        self._publish_status(self._clock.now_ns(), "stopped")

    def _take_in(self, *, latch: bool = False, practising: bool = False) -> bool:
        """Read what waits, as `Arrivals` counts it; whether samples came of it."""
        inputs = self._inputs
        read, began_ns = inputs.received, self._clock.now_ns()
        samples = inputs.drain()
        self._coalescing.heard(inputs.received - read, self._clock.now_ns(), self._next_ns)
        if samples:
            self._arrivals.joined(
                samples,
                began_ns=began_ns,
                joined_ns=self._clock.now_ns(),
                deaf_from_ns=self._rehearsal_ns - QUIET_NS,
                latch=latch,
                practising=practising,
            )
        return bool(samples)

    def _take_in_few(self) -> None:
        """Read what waits, unless there is so much that it is left to wait."""
        if not self._coalescing.until_ns:
            self._take_in()

    # --- the frame clock ----------------------------------------------------------------------------------------

    @property
    def _rate(self) -> Rate:
        return self._versions.now.stage.rate

    def _day_at(self, t_ns: int) -> TimeOfDay | None:
        """The show's time of day by its time code, at a time of ours."""
        keeper: Timekeeper | None = getattr(self, "_keeper", None)
        return None if keeper is None else keeper.time_of_day(t_ns)

    def _begin(self) -> None:
        """The timekeeper says where frames begin; a successor keeps the clock it finds in the plans."""
        before = RingReader.open(self._run.plans, kind=KIND_PLANS)
        slot = before.latest()
        before.close()
        if slot is None:
            self._frame = self._keeper.begin()
        else:
            plan = msgspec.msgpack.decode(slot.data, type=FramePlan)
            kept = ledger_keep.resume(self._run, self._told.ledger, self._reports.read_to)
            self._frame = self._keeper.begin(before=(plan.frame, plan.t_present_ns), kept=kept)
            self._versions.now.planner.remember(plan)
            self._resolution.resume(plan)
        self._set_latch()

    def _set_latch(self) -> None:
        due_ns = self._keeper.frames.deadline_ns(self._frame)
        picture = (self._versions.coming(self._frame) or self._versions.now).picture_at(due_ns)
        if picture != self._lead.what:
            # Nobody knows yet how long the new picture takes: the lead grows first, then it is switched to.
            self._lead.expect(self._frame, picture)
            self._resolution.expect(self._frame)
        self._latch_ns = due_ns - self._lead.lead_ns
        self._rehearsal_ns = self._latch_ns - REHEARSAL_NS
        self._rehearsed = self._last is None or self._rate.period_ns < SLOWEST_REHEARSED_NS

    @property
    def _next_ns(self) -> int:
        """What it waits for: the rehearsal, then the latch."""
        return self._latch_ns if self._rehearsed else self._rehearsal_ns

    def _rehearse(self, now_ns: int) -> None:
        """Practise once, after the sleep of a frame."""
        self._rehearsed = True
        self._practise(now_ns)

    def _stay_warm(self) -> int:
        """Read whatever comes until the latch, and practise with it while there is time; the time then. At once where
        time stands still."""
        before_ns, now_ns = 0, self._clock.now_ns()
        while before_ns < now_ns < self._latch_ns:
            before_ns = now_ns
            if self._latch_ns - now_ns > LETTERS_NS:
                self._letters(hurried=True)
            if self._take_in(practising=True):
                now_ns = self._clock.now_ns()
                left_ns = self._latch_ns - now_ns
                if left_ns > self._practice_ns:
                    self._practise(now_ns)
                    took_ns = self._clock.now_ns() - now_ns
                    self._practice_ns = max(took_ns, self._practice_ns - (self._practice_ns - took_ns) // 16)
                elif left_ns > self._practice_ns // 2:
                    self._inputs.look_ahead()
            now_ns = self._clock.now_ns()
        return now_ns

    def _practise(self, now_ns: int) -> None:
        """Make the last frame's plan again and throw it away."""
        assert self._last is not None
        try:
            # The last frame's photo times: the predictors have answered for them, and remember nothing new.
            with self._versions.now.planner.practice():
                encode_plan(self._maker.plan(self._last.frame, now_ns))
        except Exception:  # noqa: S110, BLE001 - the latch meets it again, and tells it
            pass

    def _latch(self, started_ns: int) -> None:
        latched_ns = self._clock.now_ns()
        late = self._keeper.frames.frame_at(latched_ns) + 1
        if late > self._frame:
            # Their slots have begun: the nodes made their own plans. Go on in phase.
            self._skipped += late - self._frame
            self._keeper.latched(late - self._frame)
            self._frame = late
        self._frame = self._keeper.latching(self._frame)
        self._versions.apply(self._frame, self._switched)
        frame = self._frame
        try:
            plan = self._maker.plan(frame, latched_ns)
        except Exception as error:
            if self._last is None:
                raise
            if "plans" not in self._alarms:
                log.exception("no plan can be made: the one before is repeated")
            detail = f"{type(error).__name__}: {error}"
            self._alarms["plans"] = Alarm(
                "conductor.plan_failed", "plans", detail, "critical", "take back the newest change; its log says more",
                latched_ns, {"error": detail},
            )  # fmt: skip
            plan = self._maker.repeated(self._last, frame, latched_ns)
        else:
            self._alarms.pop("plans", None)
        data = encode_plan(plan)
        hash_ = plan_hash(data)
        # The slot's stamp is when it was published: readers elsewhere make their ledger from it.
        self._plan_ring.publish(
            data, frame=frame, t_ns=self._clock.now_ns(), config_version=plan.config_version, plan_hash=hash_
        )
        published_ns = self._clock.now_ns()
        for node in self._nodes:
            self._post.ring(self._run.node_socket(node))
        self._own_ms.add((published_ns - started_ns + self._arrivals.slowest_ns(plan)) / NS_PER_MS)
        self._told.plan(plan, published_ns, hash_)
        self._reports.published(frame, published_ns)
        if self._last is not None and [c.quality for c in plan.cameras] != [c.quality for c in self._last.cameras]:
            # That a source is lost, or back, is told at once.
            self._status_due_ns = min(self._status_due_ns, latched_ns)
        self._last = plan
        self._plans += 1
        self._keeper.latched()
        self._jamming.answer(frame)
        self._frame = frame + 1
        self._set_latch()

    # --- versions -----------------------------------------------------------------------------------------------

    def _letters(self, *, hurried: bool = False) -> None:
        """Read what waits; hurried: shortly before the latch, when another configuration is left for later."""
        waiting, self._put_off = [*self._put_off, *self._post.receive()], []
        for message in waiting:
            if hurried and (self._put_off or self._is_long(message)):
                self._put_off.append(message)
                continue
            if isinstance(message, Prepare | Commit | Abort):
                self._versions.take(message)
            elif isinstance(message, JamTime):
                self._jamming.order(message)
            elif isinstance(message, HearOnly):
                self._inputs.only = frozenset(message.senders) if message.for_ms else None
                self._hears_only_until_ns = self._clock.now_ns() + message.for_ms * NS_PER_MS
        if self._inputs.only is not None and self._clock.now_ns() > self._hears_only_until_ns:
            self._inputs.only = None

    def _is_long(self, message: AnyMessage) -> bool:
        return isinstance(message, Prepare) and message.config_version != self._versions.now.show.config_version

    def _switched(self, before: Version, now: Version) -> None:
        if now.planner is not before.planner and self._last is not None:
            now.planner.remember(self._last)
        self._inputs.prefer(preferences(now.show))
        self._coalescing.pause_ns = _pause_ns(now)
        self._keeper.rolling = bool(now.show.take)
        limits = resolution_limits(now.config.render)
        if limits != self._resolution.limits or now.stage.rate != before.stage.rate:
            self._resolution = DynamicResolution(now.stage.rate, limits)
            if self._last is not None:
                self._resolution.resume(self._last)
        now.planner.lowered_steps = self._resolution.lowered_steps
        self._keeper.reconfigure(now.config.time, now.stage.rate, self._frame)
        if now.stage.rate != before.stage.rate:
            self._lead = AdaptiveLead(now.stage.rate, now.picture)
            self._told.tell().rate = now.stage.rate
        elif (picture := now.picture_at(self._keeper.frames.deadline_ns(self._frame))) != self._lead.what:
            self._lead.expect(self._frame, picture)
            self._resolution.expect(self._frame)
        if now.stage.canvases.keys() != before.stage.canvases.keys():
            self._told.tell().expect(now.stage.canvases)

    # --- the rest -----------------------------------------------------------------------------------------------

    def _hand_on(self, datagrams: bytes) -> None:
        """Put what was received where the recorder finds it."""
        self._datagrams.publish(datagrams, frame=self._frame, t_ns=self._clock.now_ns())

    def _housekeeping(self, now_ns: int) -> None:
        self._letters()
        self._tap.flush(now_ns)
        self._keeper.look(now_ns)
        self._read_notes(look=now_ns >= self._ledger_due_ns)
        self._read_reports()
        if self._frames is not None:
            self._told.tell()
            if self._told.done:
                self._done = True
                return
        # What was prepared counts on the sockets as they are.
        if self._sockets and self._listening.due(now_ns) and not self._versions.preparing:
            self._listening.open(now_ns)
        if self._awaited_ns(now_ns):
            return
        if self._adapted_frame != self._frame:
            self._adapted_frame = self._frame
            now = self._versions.now
            now.planner.lowered_steps = self._resolution.decide(self._frame, held=all_held(now.show))
            # What has come meanwhile need not wait for the longer pieces of work.
            self._take_in_few()
            self._inputs.adapt(until_ns=self._next_ns - SLACK_NS)
            self._take_in_few()
            self._garbage.collect(self._next_ns - self._clock.now_ns())
        # What has waited for too long is told all the same: a show of 120 frames may never have the time.
        time_enough = self._next_ns - self._clock.now_ns() >= TELLING_NS
        if (time_enough or now_ns >= self._status_due_ns + LEDGER_NS) and self._tell(now_ns):
            self._take_in_few()

    def _awaited_ns(self, now_ns: int) -> int:
        """Until when longer work is put off, because a camera's next datagram is about to come; 0: no longer. In the
        second half of a frame nothing is put off any more, nor while what comes is left to wait anyway."""
        if not self._sockets or self._coalescing.until_ns or self._next_ns - now_ns < self._rate.period_ns // 2:
            return 0
        due_ns = self._inputs.next_datagram_ns()
        return due_ns + GAP_NS // 4 if now_ns < due_ns + GAP_NS // 4 < now_ns + GAP_NS else 0

    def _tell(self, now_ns: int) -> bool:
        """Status or counts, whichever is due, one of them at a time; whether one was."""
        if now_ns >= self._status_due_ns:
            self._publish_status(now_ns, "running")
            self._status_due_ns = now_ns + STATUS_NS
            return True
        if now_ns >= self._ledger_due_ns:
            self._save_ledger()
            self._ledger_due_ns = now_ns + LEDGER_NS
            return True
        if self._told.is_due(now_ns):
            self._told.tell(now_ns)
            return True
        return False

    def _read_notes(self, *, look: bool) -> None:
        """What the metronome noticed of the host: repeats that it explains are counted as the host's."""
        for slot in self._notes.take(look=look):
            self._told.note(decode_note(slot.data))

    def _read_reports(self) -> None:
        for report in self._reports.read(self._clock.now_ns()):
            took_ns = self._reports.plan_to_drawn_ns(report)
            if took_ns is not None:
                self._lead.measured(report.frame, took_ns)
            if report.t_drawn_ns:
                self._resolution.measured(report.node, report.frame, report.t_drawn_ns - report.t_draw_started_ns)
            self._told.report(report)

    def _save_ledger(self) -> None:
        ledger_keep.keep(self._run, self._told.tell(), read_to=self._reports.read_to, clock=self._keeper.keep())

    def _write_report(self) -> None:
        assert self._report_path is not None
        ledger = self._told.tell()
        ledger.set_own_share(self._own_ms.percentiles())
        ledger_keep.write_report(self._report_path, ledger.report(rt_class=self._rights.rt_class))

    def _publish_status(self, now_ns: int, state: RoleState) -> None:
        status = conductor_status(
            state,
            now_ns=now_ns,
            frame=self._frame,
            epoch=self._epoch,
            plans=self._plans,
            slots_skipped=self._skipped,
            version=self._versions.now,
            lead=self._lead,
            keeper=self._keeper,
            rights=self._rights,
            inputs=self._inputs,
            resolution=self._resolution,
            last=self._last,
            own_ms=self._own_ms,
            history_ms=self._arrivals.history_ms,
            alarms=[*self._listening.alarms.values(), *self._alarms.values()],
            between=self._take_in,
        )
        self._status.publish(encode_status(status), frame=status.frame, t_ns=now_ns)
        self._status.heartbeat(now_ns)


def _pause_ns(version: Version) -> int:
    """How long the sockets may be left alone while much comes."""
    sends_on = any(relay.pose == "raw" for relay in version.config.tracking.relays.values())
    return SHORT_PAUSE_NS if sends_on else PAUSE_NS
