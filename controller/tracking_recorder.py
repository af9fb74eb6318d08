"""Records tracking while the show runs: what the conductor's sockets received goes from its ring into MCAP files,
with the show's plans and changes (`controller.show_log`), so that it can be drawn again.

The recorder's process steps it beside the ledger. A file `record.json` in the run directory says what to record into;
`start_recording` writes it, `stop_recording` takes it away. A disk that is slow, full or gone costs the recording and
nothing else: it ends while something is kept free, says so, and the show goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from controller.errors import ControllerError
from controller.ledger_feed import RingQueue
from controller.rundir import RunDir, replace_file
from controller.show_log import ShowLog
from controller.status import Alarm
from runtime.clock import NS_PER_S, Clock
from runtime.ring import KIND_PLANS, fourcc
from stage.errors import OpenVolumeError, Problem

if TYPE_CHECKING:
    from tracking.capture import CaptureWriter

log = logging.getLogger(__name__)

KIND_DATAGRAMS: Final = fourcc("DGRM")
DATAGRAM_SLOTS: Final = 128
DATAGRAM_CAPACITY: Final = 69_568
"""A full batch (tracking.tap.BATCH_BYTES) and the largest datagram beside it."""
SYNC_NS: Final = NS_PER_S
LOOK_NS: Final = NS_PER_S // 5
RESERVE_BYTES: Final = 64_000_000
"""Kept free on the recording's disk: what else runs there must go on."""
SUFFIX: Final = ".mcap"

RecordingState = Literal["idle", "recording", "failed"]


class RecordingError(ControllerError):
    """A recording that cannot begin."""

    code = "controller.recording"


class RecordOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in `record.json`."""

    path: str
    number: int
    """Counts the orders of a run: the same path twice is two recordings."""


class RecordingStatus(Struct, frozen=True):
    """How a recording of tracking stands."""

    state: RecordingState = "idle"
    path: str = ""
    """The present recording, or the last one."""
    datagrams: int = 0
    bytes: int = 0
    missed: int = 0
    """Batches of datagrams, plans and versions of the show that were gone before the recorder came to read them."""
    since_ns: int = 0
    detail: str = ""
    """Why it failed."""


class _Configured(Struct):
    """What a recording keeps of the show's snapshot (controller.show.Snapshot, read without numpy)."""

    config_text: str
    base_dir: str


def order_path(run: RunDir) -> Path:
    """Where the order to record lies."""
    return run.path / "record.json"


def read_order(run: RunDir) -> RecordOrder | None:
    """What is to be recorded into now; None: nothing."""
    try:
        return msgspec.json.decode(order_path(run).read_bytes(), type=RecordOrder)
    except (OSError, msgspec.MsgspecError):
        return None


def recording_path(path: Path) -> Path:
    """The file a recording goes into, absolute and with its suffix, if it can be begun.

    Raises
    ------
    RecordingError : the file is there already, or its folder cannot be written to.
    """
    path = path.expanduser().absolute()
    if path.suffix != SUFFIX:
        path = path.with_name(path.name + SUFFIX)
    if path.exists():
        raise _error(path, "is there already", "give another name: nothing is written over")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _error(path, f"its folder cannot be made: {error.strerror}", "give another place") from error
    if not os.access(path.parent, os.W_OK):
        raise _error(path, "its folder cannot be written to", "give another place")
    return path


def start_recording(run: RunDir, path: Path) -> RecordOrder:
    """Have the tracking of a run recorded into a new file; what runs already ends first. Raises RecordingError."""
    path = recording_path(path)
    before = read_order(run)
    order = RecordOrder(str(path), 1 if before is None else before.number + 1)
    replace_file(order_path(run), msgspec.json.encode(order))
    return order


def stop_recording(run: RunDir) -> None:
    """Have the recording end. Harmless when there is none."""
    with contextlib.suppress(FileNotFoundError):
        order_path(run).unlink()


class TrackingRecorder:
    """Follows the conductor's ring of datagrams, and writes it to disk while it is asked to.

    Attributes
    ----------
    status : how the recording stands.
    alarm : what a person should know; None while all is well.
    """

    def __init__(self, run: RunDir, clock: Clock, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._run, self._clock, self._reserve_bytes = run, clock, reserve_bytes
        self._queue = RingQueue(run.datagrams, KIND_DATAGRAMS)
        self._plans = RingQueue(run.plans, KIND_PLANS)
        self._log = ShowLog(run)
        self._order: RecordOrder | None = None
        self._writer: CaptureWriter | None = None
        self._missed = 0
        self._after_ns = 0
        self._look_due_ns = self._sync_due_ns = 0
        self.status = RecordingStatus()
        self.alarm: Alarm | None = None

    def step(self, now_ns: int) -> None:
        """Take what is new; a few milliseconds at most, but for the disk."""
        look = now_ns >= self._look_due_ns
        if look:
            self._look_due_ns = now_ns + LOOK_NS
            self._obey(read_order(self._run), now_ns)
        self._take(now_ns, look=look)

    def stop(self) -> None:
        """Write what has come, and give the file its end."""
        now_ns = self._clock.now_ns()
        self._obey(read_order(self._run), now_ns)
        self._take(now_ns, look=True)
        self._close(now_ns)
        self._queue.close()
        self._plans.close()

    def _obey(self, order: RecordOrder | None, now_ns: int) -> None:
        if order == self._order:
            return
        if self._writer is not None:
            self._take(now_ns, look=True)
            self._close(now_ns)
        self._order = order
        self.alarm = None
        if order is not None:
            self._open(order, now_ns)

    def _open(self, order: RecordOrder, now_ns: int) -> None:
        from tracking.capture import CaptureInfo, CaptureWriter, read_capture

        tai = self._clock.tai_ns() - self._clock.now_ns()
        info = CaptureInfo(tai - _TAI_MINUS_UNIX_NS, tai, run=self._run.run)
        with contextlib.suppress(OSError, msgspec.MsgspecError, OpenVolumeError):
            data = self._run.snapshot(self._run.current_version()).read_bytes()
            snapshot = msgspec.msgpack.decode(data, type=_Configured)
            info = CaptureInfo(
                tai - _TAI_MINUS_UNIX_NS,
                tai,
                run=self._run.run,
                config_text=snapshot.config_text,
                base_dir=snapshot.base_dir,
            )
        path = Path(order.path)
        self.status = RecordingStatus("recording", str(path), since_ns=now_ns)
        # Plans of before are of no recording; their last version stands at the head of this one.
        self._plans.take(look=True)
        self._log = ShowLog(self._run)
        self._missed = self._lost
        self._after_ns = 0
        try:
            self._room(path)
            number = 1
            while True:
                try:
                    self._writer = CaptureWriter(path, info)
                    break
                except FileExistsError:
                    # The recorder was killed and goes on after what it had written, in another file.
                    with contextlib.suppress(OpenVolumeError, IndexError):
                        self._after_ns = read_capture(path).datagrams[-1].t_received_ns
                    number += 1
                    path = Path(order.path).with_suffix(f".{number}{SUFFIX}")
        except OSError as error:
            self._fail(error, now_ns)
            return
        self.status = RecordingStatus("recording", str(path), since_ns=now_ns)
        self._sync_due_ns = now_ns + SYNC_NS
        log.info("tracking is recorded into %s", path)

    def _take(self, now_ns: int, *, look: bool) -> None:
        from tracking.tap import Batch, decode_batch

        slots = self._queue.take(look=look)
        plans = self._plans.take(look=look)
        writer = self._writer
        if writer is None:
            return
        try:
            for topic, t_ns, data in self._log.notes((slot.t_ns, slot.data) for slot in plans):
                writer.note(topic, t_ns, data)
            if self._lost > self._missed:
                writer.missed(self._lost - self._missed)
            for slot in slots:
                batch = decode_batch(slot.data)
                if self._after_ns:
                    new = tuple(d for d in batch.datagrams if d.t_received_ns > self._after_ns)
                    batch = Batch(batch.links, new)
                writer.add(batch)
            if now_ns >= self._sync_due_ns:
                self._sync_due_ns = now_ns + SYNC_NS
                writer.sync()
                self._room(writer.path)
        except OSError as error:
            self._fail(error, now_ns)
            return
        except msgspec.MsgspecError as error:
            log.error("a batch of datagrams cannot be read: %s", error)
        self.status = RecordingStatus(
            "recording",
            str(writer.path),
            writer.datagrams,
            writer.bytes,
            self.status.missed + self._lost - self._missed,
            self.status.since_ns,
        )
        self._missed = self._lost

    @property
    def _lost(self) -> int:
        return self._queue.missed + self._plans.missed + self._log.missed

    def _close(self, now_ns: int) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            size = writer.bytes
            writer.close()
        except OSError as error:
            self._writer = writer
            self._fail(error, now_ns)
            return
        self.status = msgspec.structs.replace(self.status, state="idle", bytes=max(size, self.status.bytes))
        log.info("%d datagrams recorded into %s", writer.datagrams, writer.path)

    def _fail(self, error: OSError, now_ns: int) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            # With what was kept free the file may still get its end.
            try:
                writer.close()
            except OSError:
                writer.abandon()
        detail = f"tracking is no longer recorded: {error.strerror or error} ({self.status.path})"
        log.error("%s; the show goes on", detail)
        self.status = msgspec.structs.replace(self.status, state="failed", detail=detail)
        mend = "free space on that disk, and begin a new recording"
        values = {"error": error.strerror or str(error), "file": self.status.path}
        path = "recorder/tracking"
        self.alarm = Alarm("recorder.recording_ended", path, detail, "warning", mend, now_ns, values)

    def _room(self, path: Path) -> None:
        """Raises OSError: not enough is free."""
        free = shutil.disk_usage(path.parent).free
        if free < self._reserve_bytes:
            raise OSError(28, f"only {free / 1e6:.0f} MB are free there")


_TAI_MINUS_UNIX_NS: Final = 37 * NS_PER_S


def _error(path: Path, detail: str, mend: str) -> RecordingError:
    return RecordingError(Problem(RecordingError.code, str(path), detail, None, mend))
