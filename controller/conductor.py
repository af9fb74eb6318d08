"""The conductor: takes all tracking in, owns the frame clock, and publishes the plan of every frame.

It latches as late as drawing allows, predicts every camera to its own photo time, publishes, rings the nodes, and
does everything else (changes of the show, reports, status) in the time left until the next latch.
"""

from __future__ import annotations

import json
import logging
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from controller.action import ActionWord
from controller.config import OpenVolumeConfig, load_config_text
from controller.lead import AdaptiveLead
from controller.ledger import Ledger, percentiles_of
from controller.messages import (
    KIND_STATUS,
    STATUS_CAPACITY,
    Abort,
    Alarm,
    CameraStatus,
    Commit,
    Committed,
    ConductorStatus,
    Failed,
    Prepare,
    Prepared,
    RoleState,
    encode,
)
from controller.node import KIND_PLAN, KIND_REPORT
from controller.planner import Planner, TrackedPose
from controller.post import Post
from controller.rundir import RunDir, replace_file
from controller.show import Show, decode_snapshot
from controller.sources import inner_limits, mounts_of, nudged, source_alarms, source_status, tracked_pose
from runtime.clock import NS_PER_MS, NS_PER_S, Clock, tai_at_ns
from runtime.rights import Rights, SlackCollector, freeze_garbage, take_fifo
from runtime.ring import RingReader, RingWriter
from stage.compiled import CompiledStage, decode_stage
from stage.errors import OpenVolumeError, Problem
from stage.frames import pan_tilt_roll_from_rotation
from stage.plan import FramePlan, FrameReport, decode_report, encode_plan, plan_hash, transform_of
from stage.rate import Rate
from stage.timecode import timecode_at
from tracking.inputs import Prepared as PreparedInputs
from tracking.inputs import TrackingInputs

log = logging.getLogger(__name__)

PLAN_SLOTS = 256
PLAN_CAPACITY = (1 << 16) - 64
FIFO_PRIORITY = 25
STATUS_NS = NS_PER_S // 10
LEDGER_NS = NS_PER_S
HEAD_START_NS = NS_PER_S // 4
"""From the start to the first frame."""
SLACK_NS = 3 * NS_PER_MS
"""Nothing but the latch is begun this close to it."""
WINDOW = 1024


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of the show, ready to be switched to."""

    show: Show
    stage: CompiledStage
    config: OpenVolumeConfig
    planner: Planner
    inputs: PreparedInputs | None = None
    """Tracking sockets opened for it; None: they stay as they are."""


class Conductor:
    """Role. `frames` counted slots end the run; the report is written to `report_path` then."""

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
    ) -> None:
        self._run, self._clock, self._nodes = run, clock, list(nodes)
        self._frames, self._report_path, self._fifo, self._sockets = frames, report_path, fifo, sockets
        self._pending: dict[int, _Version] = {}
        self._commits: list[Commit] = []
        self._frame = 0
        self._t0_ns = 0
        self._epoch = 1
        self._plans = 0
        self._skipped = 0
        self._status_due_ns = 0
        self._ledger_due_ns = 0
        self._rights = Rights(0, "not asked for")
        self._own_ms: deque[float] = deque(maxlen=WINDOW)
        self._published: dict[int, int] = {}
        self._reports: dict[str, RingReader] = {}
        self._reports_n: dict[str, int] = dict.fromkeys(nodes, 0)
        self._last: FramePlan | None = None
        self._alarms: dict[str, Alarm] = {}
        self._garbage = SlackCollector()
        self._done = False

    @property
    def inputs(self) -> TrackingInputs:
        """The tracking it listens to: scenarios under a virtual clock put datagrams in here."""
        return self._inputs

    @property
    def ledger(self) -> Ledger:
        """What became of every frame so far."""
        return self._ledger

    # --- role ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Sockets, rings, the version that holds now; goes on where a conductor before it was killed."""
        self._post = Post(self._run.conductor_socket)
        self._action = ActionWord(self._run.action_word)
        self._now_version = self._load(self._run.current_version())
        rate = self._rate
        self._plan_ring = RingWriter.create(self._run.plans, kind=KIND_PLAN, slots=PLAN_SLOTS, capacity=PLAN_CAPACITY)
        self._status = RingWriter.create(
            self._run.conductor_status, kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY
        )
        self._epoch = self._plan_ring.epoch
        self._lead = AdaptiveLead(rate)
        first = self._now_version
        self._inputs = TrackingInputs(
            nudged(first.config.tracking, first.show.nudges), self._clock, mounts=mounts_of(first.stage)
        )
        if self._sockets:
            self._inputs.open()
        self._ledger = Ledger(rate, self._now_version.stage.canvases)
        self._begin(rate)
        if self._fifo:
            self._rights = take_fifo(FIFO_PRIORITY)
            if self._rights.mend:
                log.warning("no real-time rights: %s -> %s", self._rights.why, self._rights.mend)
        freeze_garbage()

    def wake_fds(self) -> Sequence[int]:
        """Tracking sockets, and the letter box."""
        return [*self._inputs.filenos(), self._post.fileno()] if self._sockets else [self._post.fileno()]

    def step(self, now_ns: int) -> int | None:
        """Take in what arrived; latch and publish when it is time; then the rest."""
        self._inputs.drain()
        if now_ns >= self._latch_ns:
            self._latch(now_ns)
            now_ns = self._clock.now_ns()
        if self._latch_ns - now_ns > SLACK_NS:
            self._housekeeping(now_ns)
            if self._done:
                return None
        return self._latch_ns

    def stop(self) -> None:
        """Write what is known, let the nodes go on by themselves."""
        self._read_reports()
        self._save_ledger()
        if self._report_path is not None:
            self._write_report()
        self._publish_status(self._clock.now_ns(), "stopped")
        self._inputs.close()
        self._post.close()
        self._action.close()
        self._plan_ring.close()
        self._status.close()

    # --- the frame clock ----------------------------------------------------------------------------------------

    @property
    def _rate(self) -> Rate:
        return self._now_version.stage.rate

    def _begin(self, rate: Rate) -> None:
        """Slot 0 begins a little after the first start; a successor keeps the clock it finds in the plans."""
        now_ns = self._clock.now_ns()
        self._t0_ns = now_ns + HEAD_START_NS
        self._frame = 0
        before = RingReader.open(self._run.plans, kind=KIND_PLAN)
        slot = before.latest()
        before.close()
        if slot is not None:
            plan = msgspec.msgpack.decode(slot.data, type=FramePlan)
            self._t0_ns = plan.t_present_ns - rate.deadline_ns(0, plan.frame)
            self._frame = max(plan.frame + 1, rate.frame_at(self._t0_ns, now_ns + rate.period_ns) + 1)
            self._resume_ledger()
        self._set_latch()

    def _set_latch(self) -> None:
        self._latch_ns = self._rate.deadline_ns(self._t0_ns, self._frame) - self._lead.lead_ns

    def _latch(self, now_ns: int) -> None:
        rate = self._rate
        late = rate.frame_at(self._t0_ns, now_ns) + 1
        if late > self._frame:
            # Their slots have begun: the nodes made their own plans. Go on in phase.
            self._skipped += late - self._frame
            self._frame = late
        self._apply_commits()
        rate = self._rate
        frame = self._frame
        t_present_ns = rate.deadline_ns(self._t0_ns, frame)
        version = self._now_version
        order = self._action.read()
        show = version.show
        if order.action != (show.action or "none"):
            show = msgspec.structs.replace(show, action=None if order.action == "none" else order.action)
        poses: dict[str, TrackedPose] = {}
        for camera in version.stage.cameras.values():
            settings = show.cameras.get(camera.id)
            if settings is None:
                continue
            photo_ns = version.planner.photo_time_ns(camera.id, settings, t_present_ns)
            predicted = self._inputs.predict(camera.id, photo_ns)
            if predicted is not None:
                poses[camera.id] = tracked_pose(predicted, camera)
        plan = version.planner.plan(
            show,
            poses,
            frame=frame,
            t_present_ns=t_present_ns,
            epoch=self._epoch,
            timecode=timecode_at(rate, frame),
            tai_ns=tai_at_ns(self._clock, t_present_ns),
            t_latched_ns=now_ns,
        )
        data = encode_plan(plan)
        hash_ = plan_hash(data)
        # The slot's stamp is when it was published: readers elsewhere make their ledger from it.
        self._plan_ring.publish(
            data, frame=frame, t_ns=self._clock.now_ns(), config_version=plan.config_version, plan_hash=hash_
        )
        published_ns = self._clock.now_ns()
        for node in self._nodes:
            self._post.ring(self._run.node_socket(node))
        self._own_ms.append((published_ns - now_ns) / NS_PER_MS)
        self._ledger.add_plan(plan, t_published_ns=published_ns, plan_hash=hash_)
        self._published[frame] = published_ns
        self._published.pop(frame - 256, None)
        self._last = plan
        self._plans += 1
        self._frame = frame + 1
        self._set_latch()

    # --- versions -----------------------------------------------------------------------------------------------

    def _load(self, number: int) -> _Version:
        snapshot = decode_snapshot(self._run.snapshot(number).read_bytes())
        config = load_config_text(snapshot.config_text, base_dir=Path(snapshot.base_dir)).config
        stage = decode_stage(snapshot.stage)
        return _Version(snapshot.show, stage, config, Planner(stage, inner_limits(config.render)))

    def _letters(self) -> None:
        for message in self._post.receive():
            if isinstance(message, Prepare):
                self._prepare(message)
            elif isinstance(message, Commit):
                self._commits.append(message)
            elif isinstance(message, Abort):
                version = self._pending.pop(message.version, None)
                if version is not None and version.inputs is not None:
                    self._inputs.give_up(version.inputs)

    def _prepare(self, message: Prepare) -> None:
        started_ns = self._clock.now_ns()
        answer: Prepared | Failed
        try:
            if message.version not in self._pending:
                self._pending[message.version] = self._ready(message)
            took_ms = (self._clock.now_ns() - started_ns) / NS_PER_MS
            answer = Prepared(message.version, "conductor", took_ms)
        except OpenVolumeError as error:
            answer = Failed(message.version, "conductor", list(error.problems))
        except (OSError, msgspec.MsgspecError) as error:
            path = str(self._run.snapshot(message.version))
            answer = Failed(message.version, "conductor", [Problem("conductor.snapshot", path, str(error))])
        self._post.send(self._run.path / message.reply_to, answer)

    def _ready(self, message: Prepare) -> _Version:
        current = self._now_version
        snapshot = decode_snapshot(self._run.snapshot(message.version).read_bytes())
        if snapshot.show.config_version == current.show.config_version:
            # Only the show changes: stage and planner (with its overscan memory) stay.
            version = _Version(snapshot.show, current.stage, current.config, current.planner)
        else:
            version = self._load(message.version)
        if (version.config.tracking, version.show.nudges) == (current.config.tracking, current.show.nudges):
            return version
        tracking = nudged(version.config.tracking, version.show.nudges)
        return replace(version, inputs=self._inputs.prepare(tracking, mounts=mounts_of(version.stage)))

    def _apply_commits(self) -> None:
        """Switch to what was committed for this frame, in the order it was asked."""
        waiting: list[Commit] = []
        for commit in self._commits:
            if commit.frame > self._frame:
                waiting.append(commit)
                continue
            version = self._pending.pop(commit.version, None)
            if version is None:
                problem = Problem("conductor.not_prepared", "show", "this version was never prepared", commit.version)
                self._post.send(self._run.path / commit.reply_to, Failed(commit.version, "conductor", [problem]))
                continue
            self._switch(version)
            self._post.send(self._run.path / commit.reply_to, Committed(commit.version, self._frame))
        self._commits = waiting

    def _switch(self, version: _Version) -> None:
        before = self._now_version
        self._now_version = version
        if version.stage.rate != before.stage.rate:
            # The new rate's frames count on from this one: its slot begins where it would have.
            due_ns = before.stage.rate.deadline_ns(self._t0_ns, self._frame)
            self._t0_ns = due_ns - version.stage.rate.deadline_ns(0, self._frame)
            self._lead = AdaptiveLead(version.stage.rate)
            self._ledger.rate = version.stage.rate
        if version.stage.canvases.keys() != before.stage.canvases.keys():
            self._ledger.expect(version.stage.canvases)
        if version.inputs is not None:
            self._inputs.commit(version.inputs)

    # --- the rest -----------------------------------------------------------------------------------------------

    def _housekeeping(self, now_ns: int) -> None:
        self._letters()
        self._read_reports()
        if self._frames is not None and self._ledger.frames >= self._frames:
            self._done = True
            return
        if now_ns >= self._status_due_ns:
            self._publish_status(now_ns, "running")
            self._status_due_ns = now_ns + STATUS_NS
        if now_ns >= self._ledger_due_ns:
            self._save_ledger()
            self._ledger_due_ns = now_ns + LEDGER_NS
        self._garbage.collect(self._latch_ns - self._clock.now_ns())

    def _read_reports(self) -> None:
        for node in self._nodes:
            reader = self._reports.get(node)
            if reader is None:
                reader = RingReader.try_open(self._run.reports(node), kind=KIND_REPORT)
                if reader is None:
                    continue
                self._reports[node] = reader
            batch = reader.read_since(self._reports_n[node])
            self._reports_n[node] = batch.latest_n
            for slot in batch.slots:
                self._take_report(decode_report(slot.data))

    def _take_report(self, report: FrameReport) -> None:
        if self._frames is not None and self._ledger.frames >= self._frames:
            return
        published_ns = self._published.get(report.frame)
        if published_ns is not None and report.t_drawn_ns:
            self._lead.measured(max(0, report.t_drawn_ns - published_ns))
        self._ledger.add_report(report)

    def _save_ledger(self) -> None:
        """Counts survive a kill: the successor reads on where they end."""
        state = {"counts": self._ledger.counts(), "reports_n": self._reports_n}
        replace_file(self._run.path / "ledger.json", json.dumps(state).encode())

    def _resume_ledger(self) -> None:
        try:
            state = json.loads((self._run.path / "ledger.json").read_bytes())
        except (OSError, ValueError):
            return
        self._ledger.resume(state["counts"])
        self._reports_n.update(state["reports_n"])

    def _write_report(self) -> None:
        assert self._report_path is not None
        self._ledger.set_own_share(percentiles_of(list(self._own_ms)))
        report = self._ledger.report(rt_class=self._rights.rt_class)
        temporary = self._report_path.with_name(f".{self._report_path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(report, indent=2) + "\n")
        os.replace(temporary, self._report_path)

    def _publish_status(self, now_ns: int, state: RoleState) -> None:
        version = self._now_version
        alarms = [*self._alarms.values(), *source_alarms(self._inputs, now_ns)]
        if self._rights.mend:
            alarms.append(Alarm("conductor.no_realtime", "conductor", self._rights.why, "info", self._rights.mend))
        status = ConductorStatus(
            t_ns=now_ns,
            pid=os.getpid(),
            state=state,
            frame=self._frame - 1,
            rate=(self._rate.num, self._rate.den),
            epoch=self._epoch,
            t0_ns=self._t0_ns,
            show_version=version.show.version,
            config_version=version.show.config_version,
            rt_class=self._rights.rt_class,
            lead_ms=self._lead.lead_ns / NS_PER_MS,
            plans=self._plans,
            slots_skipped=self._skipped,
            own_share_ms=percentiles_of(list(self._own_ms)),
            sources=source_status(self._inputs, now_ns),
            cameras=self._camera_status(),
            alarms=alarms,
        )
        self._status.publish(encode(status), frame=self._frame - 1, t_ns=now_ns)
        self._status.heartbeat(now_ns)

    def _camera_status(self) -> dict[str, CameraStatus]:
        plan = self._last
        if plan is None:
            return {}
        planner = self._now_version.planner
        out: dict[str, CameraStatus] = {}
        for camera in plan.cameras:
            transform = transform_of(camera.stage_from_camera)
            pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(transform)
            overscan = planner.overscan(camera.id)
            causes = {}
            if overscan is not None:
                causes = {
                    "lens": max(overscan.lens_deg),
                    "prediction": max(overscan.prediction_deg),
                    "hold": max(overscan.hold_deg),
                    "feather": overscan.feather_deg,
                    "margin": overscan.margin_deg,
                }
            state = camera.quality if camera.quality in ("ok", "coasting", "lost", "bad") else "waiting"
            x_m, y_m, z_m = np.round(transform[:3, 3], 6).tolist()
            out[camera.id] = CameraStatus(
                state=state,  # type: ignore[arg-type]  # one of SourceState, as tested above
                source=camera.source,
                quality=camera.quality,
                position_m=(x_m, y_m, z_m),
                pan_deg=pan_deg,
                tilt_deg=tilt_deg,
                roll_deg=roll_deg,
                focal_length_mm=camera.lens.focal_length_mm,
                age_ms=(camera.t_photo_ns - camera.t_sampled_ns) / NS_PER_MS if camera.t_sampled_ns else None,
                overscan_deg=camera.overscan_deg,
                overscan_causes_deg=causes,
                texels_per_led=planner.texels_per_led(camera.id),
            )
        return out
