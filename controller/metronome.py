"""The metronome of a running show: it only wakes, several times a slot, and notes when the host did not let it.

A picture that is late while the metronome slept too long was late because of the host: the hypervisor, the kernel or
other programs. It follows the plans' own slots, whatever rate they have, goes on by itself when no plans come, and
notes how long conductor and nodes waited for a processor. The standard library only: it starts beside a show that has
two cores, and costs less than half a per cent of one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.rundir import RunDir
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from runtime.metronome import stolen_ns
from runtime.rights import NICENESS, Rights, be_urgent, freeze_garbage, take_fifo, thaw_garbage
from runtime.ring import H_PID, RingReader, RingWriter, fourcc
from stage.rate import Rate

log = logging.getLogger(__name__)

KIND_NOTES: Final = fourcc("NOTE")
"""Its ring: a HostNote (controller.ledger_record) as JSON in each slot."""
NOTE_SLOTS: Final = 128
NOTE_CAPACITY: Final = 4032
FIFO_PRIORITY: Final = 25
"""The conductor's class: what stops this process would have stopped that one."""
TICK_NS: Final = 5 * NS_PER_MS
"""It wakes about this often, at even parts of a slot: shorter standstills may fall between two of its wake-ups."""
MOST_TICKS: Final = 8
STALL_NS: Final = 2 * NS_PER_MS
"""Woken later than this (or an eighth of a slot, if that is less) the host stood still."""
WAIT_NS: Final = NS_PER_MS
"""A process that waited longer than this for a processor during a slot is noted."""
FOLLOW_NS: Final = NS_PER_S // 10
TELL_NS: Final = NS_PER_S


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots that plans were made for last."""

    rate: Rate
    t0_ns: int

    def ticks(self) -> int:
        """How often it wakes in each slot."""
        return max(1, min(MOST_TICKS, round(self.rate.period_ns / TICK_NS)))

    def tick_ns(self, frame: int, tick: int) -> int:
        """When to wake: `tick` 1 to `ticks()` of the slot that ends with the deadline of `frame`."""
        begin_ns = self.rate.deadline_ns(self.t0_ns, frame - 1)
        return begin_ns + (self.rate.deadline_ns(self.t0_ns, frame) - begin_ns) * tick // self.ticks()


class HouseMetronome:
    """Role.

    Attributes
    ----------
    stalls : standstills noticed so far; rights : what it was given
    """

    def __init__(self, *, run: RunDir, clock: Clock, fifo: bool = True, proc: Path = Path("/proc")) -> None:
        self.stalls = 0
        self.rights = Rights(0, "not asked for")
        self._run, self._clock, self._fifo = run, clock, fifo
        self._proc = proc
        self._plans: RingReader | None = None
        self._plans_n = 0
        self._slots: Slots | None = None
        self._frame = 0
        self._tick = 1
        self._follow_due_ns = 0
        self._tell_due_ns = 0
        self._noticed: list[tuple[int, int]] = []
        self._stolen_ns = 0
        self._waits = _Waits(run, proc)

    def start(self) -> None:
        """Make the ring and take the rights."""
        self._ring = RingWriter.create(self._run.metronome, kind=KIND_NOTES, slots=NOTE_SLOTS, capacity=NOTE_CAPACITY)
        self._stolen_ns = stolen_ns(self._proc / "stat")
        if self._fifo:
            self.rights = take_fifo(FIFO_PRIORITY)
            if not self.rights.rt_class:
                be_urgent(NICENESS)
        freeze_garbage()

    def step(self, now_ns: int) -> int:
        """Notice whether it was woken in time; when to wake next."""
        if now_ns >= self._follow_due_ns:
            self._follow(now_ns)
        if self._slots is None:
            return now_ns + FOLLOW_NS
        slots = self._slots
        due_ns = slots.tick_ns(self._frame, self._tick)
        if now_ns < due_ns:
            return due_ns
        if now_ns - due_ns >= min(STALL_NS, slots.rate.period_ns // 8):
            self._noticed.append((due_ns, now_ns))
            self.stalls += 1
        ended: int | None = None
        while (due_ns := slots.tick_ns(self._frame, self._tick)) <= now_ns:
            self._tick += 1
            if self._tick > slots.ticks():
                ended = self._frame
                # Whole slots that were slept through are passed over.
                self._frame = max(self._frame, slots.rate.frame_at(slots.t0_ns, now_ns)) + 1
                self._tick = 1
        if ended is not None:
            self._end_slot(slots, ended, now_ns)
        return due_ns

    def stop(self) -> None:
        """Let go of the ring; what it holds stays."""
        thaw_garbage()
        self._waits.close()
        self._ring.close()
        if self._plans is not None:
            self._plans.close()

    def _follow(self, now_ns: int) -> None:
        """Look at the newest plan: the slots may have moved, or have another rate."""
        self._follow_due_ns = now_ns + FOLLOW_NS
        if self._plans is None:
            self._plans = RingReader.try_open(self._run.plans)
            if self._plans is None:
                return
        elif self._plans.latest_n == self._plans_n:
            self._plans.refresh()
        slot = self._plans.latest() if self._plans.latest_n != self._plans_n else None
        if slot is None:
            return
        self._plans_n = slot.n
        told = plan_clock(slot.data)
        if told is None:
            return
        frame, rate, t_present_ns = told
        slots = Slots(rate, t_present_ns - rate.deadline_ns(0, frame))
        before, self._slots = self._slots, slots
        moved_ns = abs(slots.t0_ns - before.t0_ns) if before is not None else 0
        if before is None or before.rate != rate or moved_ns > NS_PER_MS:
            # Other slots: wait for the next one, whatever was waited for before.
            self._frame, self._tick = max(0, rate.frame_at(slots.t0_ns, now_ns) + 1), 1
            while slots.tick_ns(self._frame, self._tick) <= now_ns:
                self._tick += 1

    def _end_slot(self, slots: Slots, frame: int, now_ns: int) -> None:
        waited_ns = self._waits.read(look=now_ns >= self._tell_due_ns)
        if not (self._noticed or waited_ns or now_ns >= self._tell_due_ns):
            return
        stolen_now_ns = stolen_ns(self._proc / "stat")
        note = {
            "frame": frame,
            "t_slot_ns": slots.rate.deadline_ns(slots.t0_ns, frame),
            "stalls": self._noticed,
            "stolen_ns": stolen_now_ns - self._stolen_ns,
            "waited_ns": waited_ns,
        }
        self._stolen_ns = stolen_now_ns
        self._noticed = []
        self._tell_due_ns = now_ns + TELL_NS
        self._ring.publish(json.dumps(note).encode(), frame=frame, t_ns=now_ns)
        self._ring.heartbeat(now_ns)


class _Waits:
    """How long conductor and nodes were ready to run without a processor, as the kernel counts it."""

    def __init__(self, run: RunDir, proc: Path) -> None:
        self._run, self._proc = run, proc
        self._files: dict[str, tuple[int, int]] = {}
        """Pid and open /proc/<pid>/schedstat of each process."""
        self._before_ns: dict[str, int] = {}

    def read(self, *, look: bool) -> dict[str, int]:
        """Nanoseconds since the last read of those who waited long enough; `look` for processes now and then."""
        if look:
            self._look()
        waited: dict[str, int] = {}
        for name, (_, fd) in self._files.items():
            try:
                total_ns = int(os.pread(fd, 64, 0).split()[1])
            except (OSError, ValueError, IndexError):
                continue
            since_ns = total_ns - self._before_ns.get(name, total_ns)
            self._before_ns[name] = total_ns
            if since_ns >= WAIT_NS:
                waited[name] = since_ns
        return waited

    def close(self) -> None:
        for _, fd in self._files.values():
            os.close(fd)
        self._files.clear()

    def _look(self) -> None:
        pids = {"conductor": _writer_pid(self._run.plans)}
        for node in self._run.nodes():
            pids[f"node-{node}"] = _writer_pid(self._run.node_status(node))
        for name, pid in pids.items():
            known = self._files.get(name)
            if known is not None and known[0] == pid:
                continue
            if known is not None:
                os.close(known[1])
                del self._files[name]
            self._before_ns.pop(name, None)
            # Kernels without it, or a process of another user: then nothing is told of it.
            with contextlib.suppress(OSError):
                self._files[name] = (pid, os.open(self._proc / str(pid) / "schedstat", os.O_RDONLY | os.O_CLOEXEC))


def _writer_pid(ring: Path) -> int:
    try:
        fd = os.open(ring, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int.from_bytes(os.pread(fd, 8, 8 * H_PID), "little")
    finally:
        os.close(fd)


def plan_clock(data: bytes) -> tuple[int, Rate, int] | None:
    """Frame, rate and `t_present_ns` of a plan's msgpack bytes, of which they are the first three fields; None when
    they are not. (msgspec reads whole plans; this process does without it.)"""
    try:
        at = 3 if data[0] == 0xDE else 1
        if data[0] != 0xDE and data[0] & 0xF0 != 0x80:
            return None
        found: list[int] = []
        for name, count in ((b"frame", 1), (b"rate", 2), (b"t_present_ns", 1)):
            if data[at] != 0xA0 | len(name) or data[at + 1 : at + 1 + len(name)] != name:
                return None
            at += 1 + len(name)
            if count > 1:
                if data[at] != 0x90 | count:
                    return None
                at += 1
            for _ in range(count):
                value, at = _integer(data, at)
                found.append(value)
        frame, num, den, t_present_ns = found
        return frame, Rate(num, den), t_present_ns
    except (IndexError, ValueError):
        return None


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """A msgpack integer and where it ends."""
    first = data[at]
    if first < 0x80:
        return first, at + 1
    if first >= 0xE0:
        return first - 256, at + 1
    if not 0xCC <= first <= 0xD3:
        raise ValueError("no integer")
    width = 1 << ((first - 0xCC) & 3)
    signed = first >= 0xD0
    if len(data) < at + 1 + width:
        raise IndexError
    return int.from_bytes(data[at + 1 : at + 1 + width], "big", signed=signed), at + 1 + width
