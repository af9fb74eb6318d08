"""The recorder: what happened to every frame, written to disk while the show runs, within a size, holding up nobody.

It follows the rings of plans, reports and the metronome, and appends to segments in the show's state folder
(controller.ledger_file) about once a second. The disk may be slow, full or gone: then it says so and goes on without.
Killed and started again it goes on after the last frame it wrote; the rings remember a few seconds. No numpy.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from controller.ledger import Ledger
from controller.ledger_feed import LedgerFeed
from controller.ledger_file import Block, LedgerFileError, Opening, SegmentWriter, last_told, read_opening, segments_in
from controller.ledger_record import Event, HostNote
from controller.rundir import RunDir
from controller.st2110.status import SentNote
from controller.status import KIND_STATUS, Alarm, RoleState
from controller.tracking_recorder import RecordingStatus, TrackingRecorder
from runtime.clock import NS_PER_S, Clock
from runtime.ring import RingReader, RingWriter
from stage.plan import FramePlan
from stage.rate import Rate

log = logging.getLogger(__name__)

POLL_NS: Final = NS_PER_S // 5
WRITE_NS: Final = NS_PER_S
LOOK_NS: Final = NS_PER_S // 2
RETRY_NS: Final = 5 * NS_PER_S
SETTLED_SLOTS: Final = 20
"""A slot this much older than the newest is told for good: a dead node has been given up by then."""
SILENT_NS: Final = 5 * NS_PER_S
"""A recorder that has told nothing for so long does not run."""
_STATUS_CAPACITY: Final = 4032


class RecorderStatus(Struct, frozen=True):
    """What the recorder knows, published about once a second in `recorder.ring`."""

    t_ns: int
    pid: int
    state: RoleState
    frame: int
    """The newest frame on the disk; -1 before the first."""
    frames: int = 0
    """Frames written."""
    lost: int = 0
    """Frames that could not be written."""
    missed: int = 0
    """Plans and reports overwritten before it came to read them."""
    written_bytes: int = 0
    path: str = ""
    stalls: int = 0
    """Standstills of the host it was told of."""
    tracking: RecordingStatus = RecordingStatus()
    """The recording of what tracking sends."""
    alarms: list[Alarm] = []


def decode_recorder(data: bytes | memoryview) -> RecorderStatus:
    """The recorder's status. Raises msgspec.ValidationError when the bytes are not one."""
    return msgspec.msgpack.decode(data, type=RecorderStatus)


def recording_now(run: RunDir, now_ns: int) -> RecordingStatus | None:
    """How the recording of a run's tracking stands; None: no recorder runs."""
    reader = RingReader.try_open(run.recorder_status)
    if reader is None:
        return None
    try:
        slot = reader.latest()
        if slot is None or now_ns - slot.t_ns > SILENT_NS:
            return None
        return decode_recorder(slot.data).tracking
    except msgspec.MsgspecError:
        return None
    finally:
        reader.close()


class Recorder:
    """Role.

    folder : where segments go; keep_bytes : what they may take together, 0: the ledger is not written; show, version :
    told in them.
    """

    def __init__(
        self, *, run: RunDir, clock: Clock, folder: Path, keep_bytes: int, show: str, version: str = ""
    ) -> None:
        self._run, self._clock, self._folder = run, clock, folder
        self._keep_bytes, self._show, self._version = keep_bytes, show, version
        self._writer: SegmentWriter | None = None
        self._told = -1
        self._notes: list[HostNote] = []
        self._events: list[Event] = []
        self._lost = self._lost_untold = 0
        self._missed_told = 0
        self._frames = self._bytes = 0
        self._poll_due_ns = self._look_due_ns = self._write_due_ns = self._retry_ns = 0
        self._alarm: Alarm | None = None
        self._tracking = TrackingRecorder(run, clock)

    def start(self) -> None:
        """Open the rings; go on after what a recorder before this one wrote."""
        self._ledger = Ledger(Rate(24), (), keep=2048, keep_values=1)
        self._feed = LedgerFeed(self._run, self._ledger)
        self._feed.on_plan = self._plan
        self._feed.on_note = self._notes.append
        self._feed.on_sent = self._sent
        self._status = RingWriter.create(
            self._run.recorder_status, kind=KIND_STATUS, slots=4, capacity=_STATUS_CAPACITY
        )
        self._told, since_ns = self._last_written()
        self._state = RoleStates(since_ns)

    def step(self, now_ns: int) -> int:
        """Read what is new; write what is settled."""
        look = now_ns >= self._look_due_ns
        if look:
            self._look_due_ns = now_ns + LOOK_NS
            self._look()
        self._feed.poll(look=look)
        self._tracking.step(now_ns)
        if now_ns >= self._write_due_ns:
            self._write_due_ns = now_ns + WRITE_NS
            self._write(now_ns, self._ledger.newest - SETTLED_SLOTS)
            self._publish(now_ns, "running")
        return now_ns + POLL_NS

    def stop(self) -> None:
        """Write everything that is known, and see it on the disk."""
        now_ns = self._clock.now_ns()
        self._look()
        self._feed.poll(look=True)
        self._ledger.flush()
        self._retry_ns = 0
        self._write(now_ns, self._ledger.newest)
        self._tracking.stop()
        self._publish(now_ns, "stopped")
        if self._writer is not None:
            self._writer.close()
        self._feed.close()
        self._status.close()

    def _plan(self, plan: FramePlan) -> None:
        if plan.rate != (self._ledger.rate.num, self._ledger.rate.den):
            self._ledger.rate = Rate(*plan.rate)
        if set(plan.output_delays) != self._ledger.canvases and plan.output_delays:
            # Every canvas of the running configuration has its delay in the plan.
            self._ledger.expect(plan.output_delays)

    def _sent(self, note: SentNote) -> None:
        """Many slots at once are told when they are on the disk already."""
        if note.frames > 1:
            detail = f"frames {note.frame - note.frames + 1} to {note.frame}: {note.reason}"
            self._events.append(Event(self._clock.now_ns(), "not_sent", note.canvas, detail))

    def _look(self) -> None:
        """What the supervisor says: processes that ended or came back are told with the frames they cost."""
        self._events += self._state.look(self._run.supervisor_status, self._clock.now_ns())

    def _write(self, now_ns: int, until: int) -> None:
        if not self._keep_bytes:
            self._notes.clear()
            self._events.clear()
            self._told = max(self._told, until)
            return
        records = [record for record in self._ledger.after(self._told, until=until) if record.nodes or record.planned]
        missed = self._feed.missed - self._missed_told
        if not (records or self._notes or self._events):
            return
        if now_ns < self._retry_ns:
            self._lose(len(records), until)
            return
        block = Block(records, list(self._notes), list(self._events), missed, self._lost_untold)
        try:
            if self._writer is None:
                self._writer = SegmentWriter(self._folder, self._opening(now_ns), keep_bytes=self._keep_bytes)
            self._append(self._writer, block)
        except OSError as error:
            self._retry_ns = now_ns + RETRY_NS
            self._lose(len(records), until)
            self._raise_alarm(error, now_ns)
            return
        if self._alarm is not None:
            log.info("the ledger is written again; %d frames are not in it", self._lost_untold)
            self._alarm = None
        self._frames += len(records)
        self._missed_told += missed
        self._lost_untold = 0
        self._notes.clear()
        self._events.clear()
        self._told = max(self._told, until)

    def _append(self, writer: SegmentWriter, block: Block) -> None:
        try:
            self._bytes += writer.append(block)
        except OSError:
            # An old segment of ours may be all that is in the way.
            if not writer.make_room():
                raise
            self._bytes += writer.append(block)
        writer.sync()

    def _lose(self, frames: int, until: int) -> None:
        """What cannot be written is let go: memory stays as it is, however long the disk is away."""
        self._lost += frames
        self._lost_untold += frames
        self._told = max(self._told, until)
        self._notes.clear()
        del self._events[:-64]

    def _raise_alarm(self, error: OSError, now_ns: int) -> None:
        detail = f"the ledger is not written: {error.strerror or error} ({self._folder})"
        if self._alarm is None:
            log.error("%s; the show goes on", detail)
        since_ns = self._alarm.since_ns if self._alarm is not None else now_ns
        mend = "free space on that disk, or lower control.ledger.keep_mb; it is tried again every few seconds"
        values = {"error": error.strerror or str(error), "folder": str(self._folder)}
        self._alarm = Alarm("recorder.not_written", "recorder", detail, "warning", mend, since_ns, values)

    def _opening(self, now_ns: int) -> Opening:
        rate = self._ledger.rate
        return Opening(
            show=self._show,
            run=self._run.run,
            segment=1,
            t_ns=now_ns,
            tai_ns=self._clock.tai_ns(),
            rate=(rate.num, rate.den),
            canvases=sorted(self._ledger.canvases),
            version=self._version,
        )

    def _last_written(self) -> tuple[int, int]:
        """The last frame a recorder of this run wrote, and its time; -1 and 0 without."""
        for path in reversed(segments_in(self._folder)):
            try:
                opening = read_opening(path)
                if opening is not None and opening.run != self._run.run:
                    break
                frame, t_ns = last_told(path) if opening is not None else (-1, 0)
            except LedgerFileError as error:
                log.warning("%s", error)
                continue
            if frame >= 0:
                return frame, t_ns
        return -1, 0

    def _publish(self, now_ns: int, state: RoleState) -> None:
        status = RecorderStatus(
            t_ns=now_ns,
            pid=os.getpid(),
            state=state,
            frame=self._told,
            frames=self._frames,
            lost=self._lost,
            missed=self._feed.missed,
            written_bytes=self._bytes,
            path=str(self._writer.path) if self._writer is not None and self._writer.path is not None else "",
            stalls=self._ledger.stalls,
            tracking=self._tracking.status,
            alarms=[alarm for alarm in (self._alarm, self._tracking.alarm) if alarm is not None],
        )
        self._status.publish(msgspec.msgpack.encode(status), frame=max(0, self._told), t_ns=now_ns)
        self._status.heartbeat(now_ns)


class RoleStates:
    """What became of the processes, as the supervisor tells it.

    since_ns : ends later than this are told at the first look too: a recorder before this one may not have come to it
    """

    def __init__(self, since_ns: int = 0) -> None:
        self._since_ns = since_ns
        self._modified_ns = 0
        self._ending = False
        self._known: dict[str, tuple[int, int]] = {}
        """Pid and the time of the last end of each role."""

    def look(self, path: Path, now_ns: int) -> list[Event]:
        """Ends and restarts since the last look."""
        try:
            modified_ns = path.stat().st_mtime_ns
            if modified_ns == self._modified_ns:
                return []
            document: dict[str, Any] = msgspec.json.decode(path.read_bytes())
            children: dict[str, Any] = document["children"]
        except (OSError, msgspec.MsgspecError, KeyError, TypeError):
            return []
        self._modified_ns = modified_ns
        events: list[Event] = []
        if document.get("state") == "ending" and not self._ending:
            self._ending = True
            # The file may have been written again since: the first process that ended tells the beginning.
            ended = [int(child["last_exit_ns"]) for child in children.values() if child.get("detail") == "ended"]
            events.append(Event(min([int(document.get("t_ns", now_ns)), *ended]), "run_ending", "supervisor"))
        for name, child in children.items():
            pid, ended_ns = int(child.get("pid", 0)), int(child.get("last_exit_ns", 0))
            before = self._known.get(name)
            self._known[name] = (pid, ended_ns)
            if before is None:
                if not 0 < self._since_ns < ended_ns:
                    continue
                before = (0, 0)
            if ended_ns > before[1]:
                events.append(Event(ended_ns, "process_ended", name, str(child.get("last_exit", ""))))
            if pid and pid != before[0]:
                events.append(Event(int(child.get("since_ns", now_ns)), "process_started", name))
        return events
