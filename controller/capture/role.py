"""The capture role: follows the rings of canvases, plans and reports, and has what is ordered written to disk.

It copies a picture out of its ring before the ring comes round, and does everything else later: drawing inner
pictures and photos, encoding and writing happen on threads behind bounded queues. Nobody on the way to the walls
knows that it is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from controller.capture.account import Account
from controller.capture.job import Job
from controller.capture.order import CaptureOrder, CaptureStatus, read_orders
from controller.capture.pictures import CanvasCapture, LightCapture, Stamp, canvas_picture
from controller.capture.writer import Sink, Writer
from controller.engines import KIND_INNER, Feed
from controller.ledger_feed import RingQueue
from controller.rundir import RunDir
from controller.show import decode_snapshot
from controller.status import KIND_STATUS, Alarm
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from runtime.ring import KIND_CANVAS, KIND_PLANS, KIND_REPORTS, RingWriter, Slot
from stage.compiled import CompiledStage, decode_stage
from stage.plan import FramePlan, PlanEngine, Reason, decode_plan, decode_report
from stage.rate import Rate
from stage.timecode import TimecodeError, frame_of, timecode_at

POLL_NS: Final = 4 * NS_PER_MS
"""A ring of eight pictures comes round in 66 ms at 120 frames a second."""
IDLE_NS: Final = NS_PER_S // 4
SAVE_NS: Final = NS_PER_S
KEEP_FRAMES: Final = 2048
"""Plans and reasons that are remembered."""
_STATUS_CAPACITY: Final = 1 << 18
MEND: Final = "free space, or capture fewer pixels or frames; the file beside it lists what is missing"
KEEP_SETS: Final = 4
"""Frames whose canvases are waited for."""
KEEP_JOBS: Final = 64
"""Jobs that are done and still told of."""


class _Canvas:
    """A canvas' ring, followed."""

    def __init__(self, run: RunDir, name: str) -> None:
        self.queue = RingQueue(run.canvas(name), KIND_CANVAS)
        self.began = False

    def take(self, *, look: bool) -> tuple[list[Slot], bool]:
        """New pictures, and whether some were overwritten first."""
        missed = self.queue.missed
        slots = self.queue.take(look=look or not self.began)
        if not self.began:
            # What was shown before anybody asked.
            self.began = self.queue.n > 0
            slots = slots[-1:]
        return slots, self.queue.missed > missed


class Capture:
    """Role."""

    def __init__(
        self,
        *,
        run: RunDir,
        clock: Clock,
        draws: bool | None = None,
        writer: Callable[[Account, Callable[[], Sink]], Writer] = Writer,
    ) -> None:
        """`draws`: whether it takes what must be drawn again (inner pictures, photos) or canvases; None: both.

        Drawing holds Python's lock for long: who follows every canvas does not draw.
        """
        self._draws = draws
        self._run, self._clock, self._make_writer = run, clock, writer
        self._jobs: dict[int, Job] = {}
        self._orders_at_ns = -1
        self._canvases: dict[str, _Canvas] = {}
        self._plans = RingQueue(run.plans, KIND_PLANS)
        self._reports: dict[str, RingQueue] = {}
        self._plan_of: dict[int, tuple[FramePlan, int]] = {}
        self._newest: FramePlan | None = None
        self._reasons: dict[int, Reason] = {}
        self._stages: dict[int, CompiledStage] = {}
        self._sets: dict[int, dict[str, CanvasCapture]] = {}
        """Canvases of one frame, for photos, while some are missing."""
        self._offair: Any = None
        self._feeds: dict[str, Feed] = {}
        """Inner pictures that engines draw, by camera."""
        self._shown: dict[str, int] = {}
        """The newest frame of each canvas that was taken."""
        self._first = True
        self._loading = False
        self._look_due_ns = self._save_due_ns = self._publish_due_ns = 0

    def start(self) -> None:
        """Go on with what a process before this one began."""
        path = self._run.drawer_status if self._draws else self._run.capture_status
        self._status = RingWriter.create(path, kind=KIND_STATUS, slots=4, capacity=_STATUS_CAPACITY)

    def wake_fds(self) -> Sequence[int]:
        """Rings are polled."""
        return ()

    def step(self, now_ns: int) -> int:
        """Take what is new."""
        look = now_ns >= self._look_due_ns
        if look:
            self._look_due_ns = now_ns + IDLE_NS
            self._obey()
        live = [job for job in self._jobs.values() if not job.ended]
        if live:
            self._read(look=look)
            self._settle(live)
        else:
            for canvas in self._canvases.values():
                canvas.began = False
        if now_ns >= self._save_due_ns:
            self._save_due_ns = now_ns + SAVE_NS
            for job in live:
                job.save()
        if now_ns >= self._publish_due_ns:
            self._publish_due_ns = now_ns + IDLE_NS
            self._publish(now_ns)
        return now_ns + (POLL_NS if live else IDLE_NS)

    def stop(self) -> None:
        """End every capture with what was taken so far; its files are whole."""
        live = [job for job in self._jobs.values() if not job.ended]
        if live:
            self._read(look=True)
        if self._offair is not None:
            self._offair.close()
        for job in live:
            job.finish()
        for job in live:
            job.settle(wait_s=20.0)
        self._publish(self._clock.now_ns())
        for feed in self._feeds.values():
            feed.close()
        for queue in (self._plans, *self._reports.values(), *(one.queue for one in self._canvases.values())):
            queue.close()
        self._status.close()

    # --- orders -------------------------------------------------------------------------------------------------

    def _obey(self) -> None:
        try:
            changed_ns = self._run.capture_orders.stat().st_mtime_ns
        except OSError:
            return
        if changed_ns == self._orders_at_ns:
            return
        self._orders_at_ns = changed_ns
        for order in read_orders(self._run):
            if self._draws is not None and (order.kind != "canvas") != self._draws:
                continue
            job = self._jobs.get(order.number)
            if job is None:
                job = self._jobs[order.number] = Job(order, writer=self._make_writer, resume=self._first)
                if order.kind != "canvas" and not job.ended and self._offair is None:
                    from controller.capture.offair import OffAir

                    self._offair = OffAir(self._run, now_ns=self._clock.now_ns)
            elif not job.ended:
                job.change(order, self._newest_shown(order))
        self._first = False
        ended = [number for number, job in self._jobs.items() if job.ended]
        for number in ended[:-KEEP_JOBS]:
            del self._jobs[number]

    def _newest_shown(self, order: CaptureOrder) -> int:
        """The newest frame on the canvases an order needs."""
        return max((self._shown.get(name, -1) for name in self._needs(order)), default=-1)

    def _needs(self, order: CaptureOrder) -> list[str]:
        """The canvases whose pictures an order needs; of an inner picture any one tells that the frame was shown."""
        if order.kind == "canvas":
            return [order.of]
        known = self._run.canvases()
        return known if order.kind == "photo" else known[:1]

    # --- frames -------------------------------------------------------------------------------------------------

    def _read(self, *, look: bool) -> None:
        if look:
            for node in self._run.nodes():
                self._reports.setdefault(node, RingQueue(self._run.reports(node), KIND_REPORTS))
        live = [job for job in self._jobs.values() if not job.ended]
        # Loading what writes holds Python's lock: what begins with the next frame begins after it.
        self._loading = not all(job.ready for job in live)
        needed = {name for job in live for name in self._needs(job.order)}
        for name in needed - self._canvases.keys():
            self._canvases[name] = _Canvas(self._run, name)
        for name in self._canvases.keys() - needed:
            self._canvases[name].began = False
        taken = {name: self._canvases[name].take(look=look) for name in sorted(needed)}
        # After the pictures: a report of a frame that was not shown is there before the next picture.
        self._learn(look=look)
        for name, (slots, missed) in taken.items():
            for slot in slots:
                self._shown[name] = slot.frame
                for job in live:
                    if name in self._needs(job.order):
                        self._offer(job, name, slot, missed=missed)
        for frame in sorted(self._sets)[:-KEEP_SETS]:
            del self._sets[frame]

    def _learn(self, *, look: bool) -> None:
        for slot in self._plans.take(look=look):
            try:
                plan = decode_plan(slot.data)
            except msgspec.MsgspecError:
                continue
            self._plan_of[plan.frame] = (plan, slot.plan_hash)
            self._newest = plan
        for queue in self._reports.values():
            for slot in queue.take(look=look):
                try:
                    report = decode_report(slot.data)
                except msgspec.MsgspecError:
                    continue
                for told in report.canvases.values():
                    if told.reason != "none" and told.presented_frame != report.frame:
                        self._reasons[report.frame] = told.reason
        for kept in (self._plan_of, self._reasons):
            while len(kept) > KEEP_FRAMES:
                del kept[next(iter(kept))]

    def _offer(self, job: Job, name: str, slot: Slot, *, missed: bool) -> None:
        found = self._plan(slot.frame)
        if found is None:
            return
        plan, hash_ = found
        rate = Rate(*plan.rate)
        offair = job.order.kind != "canvas"
        if not job.order.first_frame and job.frame < 0 and (self._loading or (offair and not self._offair.ready)):
            return
        whole: dict[str, CanvasCapture] | None = {}
        if job.order.kind == "photo":
            whole = self._whole(plan, name, slot)
        if whole is None:
            return
        if not job.look_at(slot.frame, rate, self._reasons, missed=missed):
            return
        stamp = Stamp(slot.frame, plan.timecode, plan.rate, slot.t_ns, slot.config_version, slot.plan_hash or hash_)
        if job.order.kind == "canvas":
            picture = self._canvas(name, slot, stamp, plan)
            if picture is None:
                job.lose(slot.frame, "the stage it was drawn for is not known")
                return
            job.take(picture, held_back_frames=plan.output_delays.get(name, 0))
            return
        engine = next((engine for engine in plan.engines if job.order.of in engine.cameras), None)
        if job.order.kind == "inner" and engine is not None:
            self._take_given(job, stamp, engine)
        else:
            self._draw(job, stamp, plan, whole)

    def _take_given(self, job: Job, stamp: Stamp, engine: PlanEngine) -> None:
        """The inner picture of a camera that an engine draws."""
        name = job.order.of
        feed = self._feeds.get(name)
        if feed is None:
            target = f"cameras/{name}"
            feed = self._feeds[name] = Feed(self._run.engine_inner(name), KIND_INNER, target, engine, self._clock)
        view = feed.find(stamp.frame, None)
        pixels = None if view is None else feed.half_floats(view)
        feed.note(stamp.frame, found=pixels is not None)
        if pixels is None:
            job.lose(stamp.frame, f"engine {engine.id} had not drawn it in time")
        else:
            job.take(LightCapture(stamp, pixels[..., :3]))

    def _whole(self, plan: FramePlan, name: str, slot: Slot) -> dict[str, CanvasCapture] | None:
        """All canvases of a frame, once they are there."""
        stage = self._stage(plan)
        if stage is None:
            return None
        stamp = Stamp(slot.frame, plan.timecode, plan.rate)
        held = self._sets.setdefault(slot.frame, {})
        picture = self._canvas(name, slot, stamp, plan)
        if picture is not None:
            held[name] = picture
        return held if held.keys() >= stage.canvases.keys() else None

    def _draw(self, job: Job, stamp: Stamp, plan: FramePlan, canvases: dict[str, CanvasCapture]) -> None:
        from controller.capture.offair import SLOW, Wanted

        def take(picture: LightCapture) -> None:
            job.take(picture)

        def fail(why: str) -> None:
            job.lose(stamp.frame, why)

        codes = {name: picture.pixels for name, picture in canvases.items()}
        if not self._offair.give(Wanted(job.order, stamp, plan, codes, take, fail)):
            rate = Rate(*plan.rate)
            job.lose(stamp.frame, SLOW)
            job.advice = self._offair.advice(rate.num / rate.den, job.order.every)

    def _canvas(self, name: str, slot: Slot, stamp: Stamp, plan: FramePlan) -> CanvasCapture | None:
        stage = self._stage(plan)
        if stage is None or name not in stage.canvases:
            return None
        canvas = stage.canvases[name]
        shape = self._canvases[name].queue.shape
        if shape is None or len(slot.data) < shape.width * shape.height * 4:
            return None
        return canvas_picture(slot.data, stamp, canvas.encoding, (shape.width, shape.height))

    def _plan(self, frame: int) -> tuple[FramePlan, int] | None:
        """The plan of a frame; one the node made up itself follows the newest before it."""
        found = self._plan_of.get(frame)
        if found is not None or self._newest is None:
            return found
        plan = self._newest
        rate = Rate(*plan.rate)
        try:
            label = timecode_at(rate, frame_of(rate, plan.timecode) + frame - plan.frame)
        except TimecodeError:
            label = ""
        return msgspec.structs.replace(plan, frame=frame, timecode=label), 0

    def _stage(self, plan: FramePlan) -> CompiledStage | None:
        number = plan.config_version
        if number not in self._stages:
            for version in (plan.show_version, self._run.current_version()):
                try:
                    snapshot = decode_snapshot(self._run.snapshot(version).read_bytes())
                except (OSError, msgspec.MsgspecError):
                    continue
                if snapshot.show.config_version == number:
                    self._stages[number] = decode_stage(snapshot.stage)
                    break
            else:
                return None
        return self._stages[number]

    # --- state --------------------------------------------------------------------------------------------------

    def _settle(self, live: list[Job]) -> None:
        for job in live:
            if not job.over:
                continue
            if self._offair is None or not self._offair.waits_for(job.order.number):
                job.finish()
                job.settle()

    def _publish(self, now_ns: int) -> None:
        alarms = []
        for number, job in self._jobs.items():
            if job.trouble:
                path, error = f"captures/{number}", {"error": job.trouble}
                alarms.append(Alarm("capture.trouble", path, job.trouble, "warning", MEND, now_ns, error))
        status = CaptureStatus(now_ns, os.getpid(), [job.job for job in self._jobs.values()], alarms)
        self._status.publish(msgspec.msgpack.encode(status), frame=0, t_ns=now_ns)
        self._status.heartbeat(now_ns)
