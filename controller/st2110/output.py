"""One canvas on its way into the network: which picture goes into which slot, and what is said when it is not its own.

A slot begins when its picture was to be presented. The picture leaves as soon as it is in the ring; if none comes
within the time that also counts as presented (and a little), the last one is sent again: a wall is never without.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.ledger import percentiles_of
from controller.ledger_feed import open_ring
from controller.ledger_record import GRACE_SHARE
from controller.st2110.connection import Connection
from controller.st2110.status import SentNote, SentReason
from controller.st2110.stream import END_SHARE, FrameSent, PathCount, VideoStream
from controller.status import Percentiles
from renderer.sinks.ring import codes_of
from runtime.clock import NS_PER_MS, NS_PER_S
from runtime.ring import KIND_CANVAS, RingReader, RingShape
from stage.errors import OpenVolumeError
from stage.rate import Rate

POLL_NS: Final = NS_PER_MS // 2
"""Between two looks for a picture that is due."""
PATIENCE_NS: Final = NS_PER_MS
"""A picture may come so long after the node's own grace."""
LOOK_NS: Final = NS_PER_S // 2
LATE_NS: Final = 4 * NS_PER_MS
"""A run of packets that leaves so late is told: receivers may have run dry."""
WINDOW: Final = 256
STALLED_NS: Final = NS_PER_S


@dataclass(frozen=True, slots=True)
class Slot:
    """One frame slot."""

    frame: int
    t_ns: int


class Output:
    """Follows a canvas' ring and feeds a stream.

    open_stream : makes the stream for pictures of a size, or raises; tell : takes notes of slots that went wrong.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        rate: Rate,
        connection: Connection,
        *,
        open_stream: Callable[[RingShape, Connection], VideoStream],
        now_ns: Callable[[], int],
        tai_at_ns: Callable[[int], int],
        held: Callable[[], bool],
        tell: Callable[[SentNote], None],
    ) -> None:
        self.name, self.rate, self.connection = name, rate, connection
        self._path, self._open_stream, self._now_ns, self._tai_at_ns = path, open_stream, now_ns, tai_at_ns
        self._held, self._tell = held, tell
        self.stream: VideoStream | None = None
        self.slot: Slot | None = None
        self.activated_tai_ns = 0
        self.frames = 0
        self.reasons: Counter[str] = Counter()
        self.detail = ""
        self.on_slot: Callable[[Slot], None] = lambda _: None
        """Called before a slot's picture begins to leave: what changes with the frame changes there."""
        self._reader: RingReader | None = None
        self._n = 0
        self._fresh_ns = 0
        """When a new picture came last."""
        self._look_due_ns = 0
        self._begun: deque[float] = deque(maxlen=WINDOW)
        self._late: deque[float] = deque(maxlen=WINDOW)
        self._took: deque[float] = deque(maxlen=WINDOW)
        self._bucket: deque[float] = deque(maxlen=WINDOW)
        self._reason: SentReason | None = None
        self._counted = True

    # --- stepping -----------------------------------------------------------------------------------------------

    def step(self, now_ns: int) -> int:
        """Send what is due; when to be called again."""
        stream = self.stream
        if stream is not None and stream.busy:
            due_ns = stream.step(now_ns)
            if due_ns is not None:
                return due_ns
            now_ns = self._now_ns()
        if stream is not None and not self._counted:
            self._count(stream.sent)
        if now_ns >= self._look_due_ns:
            self._look_due_ns = now_ns + LOOK_NS
            self._look()
        return self._begin(now_ns)

    def close(self) -> None:
        """Let ring and sockets go."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def connect(self, connection: Connection) -> None:
        """Send there from the next picture on. Raises OSError; then everything stays as it was."""
        if self.stream is not None:
            self.stream.send_to(connection.paths)
        self.connection = connection

    def next_slot(self) -> Slot | None:
        """The slot after the last one; None before the first."""
        return None if self.slot is None else self._slot_after(self.slot, 1)

    # --- what is known ------------------------------------------------------------------------------------------

    def stalled(self, now_ns: int) -> bool:
        """Whether pictures came, and come no more."""
        return self._fresh_ns > 0 and now_ns - self._fresh_ns > STALLED_NS

    @property
    def holds(self) -> bool:
        """Whether the last picture stays up by order."""
        return self._reason == "held"

    @property
    def counts(self) -> list[PathCount]:
        """Of every path that packets take."""
        return [] if self.stream is None else self.stream.counts

    def spread(self) -> tuple[Percentiles, Percentiles, Percentiles, Percentiles]:
        """Of the newest frames: ms from presentation to the first packet, ms that the latest run left late, ms from
        first packet to last, packets in the bucket."""
        begun, late, took, bucket = (
            percentiles_of(list(values)) for values in (self._begun, self._late, self._took, self._bucket)
        )
        return begun, late, took, bucket

    # --- inside -------------------------------------------------------------------------------------------------

    def _begin(self, now_ns: int) -> int:
        """Begin the next slot, if it is time."""
        reader = self._reader
        if reader is None:
            return self._look_due_ns
        view = reader.peek()
        if view is None:
            return now_ns + POLL_NS
        opened = self.stream
        if not self._fits(reader.shape):
            return now_ns + LOOK_NS
        if self.stream is not opened:
            now_ns = self._now_ns()
            passed_ns = now_ns - view.t_ns
            if passed_ns > self.rate.period_ns // 4:
                # That took its time: the next slot is the first, with this picture if no other comes.
                self.slot = self._slot_after(Slot(view.frame, view.t_ns), passed_ns // self.rate.period_ns)
                return now_ns
        coming = self.next_slot()
        if view.n != self._n and (coming is None or view.t_ns >= coming.t_ns - self.rate.period_ns // 2):
            if now_ns < view.t_ns:
                return view.t_ns
            self._miss(view.frame, view.t_ns)
            self._fresh_ns = now_ns
            return self._send(reader, Slot(view.frame, view.t_ns), None, now_ns)
        if coming is None:
            return now_ns + POLL_NS
        patience_ns = self.rate.period_ns // GRACE_SHARE + PATIENCE_NS
        if now_ns < coming.t_ns + patience_ns:
            return coming.t_ns if now_ns < coming.t_ns else min(coming.t_ns + patience_ns, now_ns + POLL_NS)
        if now_ns - coming.t_ns > 2 * self.rate.period_ns:
            # This process stood still: slots that are long over are not sent any more.
            gone = (now_ns - coming.t_ns) // self.rate.period_ns
            self._tell_of(Slot(coming.frame + gone - 1, coming.t_ns), "late", frames=gone)
            coming = self._slot_after(coming, gone)
        if view.n != self._n:
            # Too late for its own slot, and newer than what was sent last.
            self._fresh_ns = now_ns
            return self._send(reader, coming, "late", now_ns)
        return self._send(None, coming, "held" if self._held() else "repeat", now_ns)

    def _send(self, reader: RingReader | None, slot: Slot, reason: SentReason | None, now_ns: int) -> int:
        """Begin to send a slot: the newest picture of the ring, or (None) the last one again."""
        self.on_slot(slot)
        stream = self.stream
        view = reader.peek() if reader is not None else None
        picture = None
        if view is not None and reader is not None:
            self._n = view.n
            picture = codes_of(reader.shape, view.data)
        self.slot = slot
        if stream is None or not stream.counts:
            return now_ns + POLL_NS  # it goes nowhere
        self._reason, self._counted = reason, False
        self.frames += 1
        start_ns = self._now_ns()
        self._begun.append((start_ns - slot.t_ns) / NS_PER_MS)
        stream.begin(
            picture,
            start_ns=start_ns,
            end_ns=slot.t_ns + int(self.rate.period_ns * END_SHARE),
            tai_ns=self._tai_at_ns(slot.t_ns),
            sequence=slot.frame * stream.packets,
            intact=view.intact if view is not None else None,
        )
        return start_ns

    def _count(self, sent: FrameSent) -> None:
        self._counted = True
        self._late.append(sent.late_most_ns / NS_PER_MS)
        self._took.append(sent.took_ns / NS_PER_MS)
        self._bucket.append(float(sent.bucket))
        reason = self._reason
        if sent.torn:
            reason = "torn"
        elif reason is None and sent.late_most_ns >= LATE_NS:
            reason = "late"
        if reason is not None and self.slot is not None:
            self._tell_of(self.slot, reason, late_ns=sent.late_most_ns)

    def _miss(self, frame: int, t_ns: int) -> None:
        """Slots between the last one and this one, which nobody sent."""
        if self.slot is None:
            return
        missed = round((t_ns - self.slot.t_ns) / self.rate.period_ns) - 1
        if 0 < missed < 1 << 18:
            self._tell_of(Slot(frame - 1, t_ns), "late", frames=missed)

    def _tell_of(self, slot: Slot, reason: SentReason, *, frames: int = 1, late_ns: int = 0) -> None:
        self.reasons[reason] += frames
        self._tell(SentNote(self.name, slot.frame, reason, frames, late_ns))

    def _slot_after(self, slot: Slot, frames: int) -> Slot:
        step_ns = self.rate.deadline_ns(0, slot.frame + frames) - self.rate.deadline_ns(0, slot.frame)
        return Slot(slot.frame + frames, slot.t_ns + step_ns)

    def _look(self) -> None:
        """Whether the ring is there, or another file by now."""
        try:
            if self._reader is None:
                self._reader = open_ring(self._path, KIND_CANVAS)
            elif self._reader.refresh():
                self._n = 0
        except OpenVolumeError as error:
            self.detail = str(error)

    def _fits(self, shape: RingShape) -> bool:
        """Whether there is a stream for pictures of the ring's shape; makes it."""
        if self.stream is not None and (self.stream.form.width_px, self.stream.form.height_px) == (
            shape.width, shape.height,
        ):  # fmt: skip
            return True
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        try:
            self.stream = self._open_stream(shape, self.connection)
        except (OSError, OpenVolumeError) as error:
            self.detail = str(error)
            return False
        self.detail = ""
        return True
