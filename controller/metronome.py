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
import math
import os
import time
from collections.abc import Callable
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
SHARE: Final = 0.004
"""Of one processor: where wake-ups are dear it wakes less often, at last only every few slots."""
SELDOM_HZ: Final = 10.0
STALL_NS: Final = 2 * NS_PER_MS
"""Woken later than this (or an eighth of a slot, if that is less) the host stood still."""
LOOK_NS: Final = NS_PER_S // 2
"""How often it looks for newer plans, and for processes that waited for a processor."""
WAIT_NS: Final = 5 * NS_PER_MS
"""A process that waited longer than this between two looks is noted."""
TELL_NS: Final = NS_PER_S
RARE_NS: Final = 4 * NS_PER_S
"""How often it looks for new processes, and for stolen time without a standstill: both are dear."""


@dataclass(frozen=True, slots=True)
class Beat:
    """When it wakes: `ticks` times in every `slots` slots of a rate, one of them at a slot's deadline.

    t0_ns : deadline of slot 0; either `ticks` or `slots` is 1.
    """

    rate: Rate
    t0_ns: int
    ticks: int
    slots: int

    @classmethod
    def of(cls, rate: Rate, t0_ns: int, affordable_hz: float) -> Beat:
        """As often as wanted, if that can be afforded."""
        most = max(1, min(MOST_TICKS, round(rate.period_ns / TICK_NS)))
        affordable = max(SELDOM_HZ, affordable_hz) / rate.hz
        if affordable >= 1.0:
            return cls(rate, t0_ns, int(min(most, affordable)), 1)
        return cls(rate, t0_ns, 1, math.ceil(1.0 / affordable))

    def due_ns(self, tick: int) -> int:
        """When tick number `tick` is."""
        return self.t0_ns + tick * self.slots * self.rate.den * NS_PER_S // (self.rate.num * self.ticks)

    def tick_after(self, now_ns: int) -> int:
        """Number of the first tick after an instant."""
        tick = (now_ns - self.t0_ns) * self.rate.num * self.ticks // (self.slots * self.rate.den * NS_PER_S)
        while self.due_ns(tick) <= now_ns:
            tick += 1
        return tick

    def frame(self, tick: int) -> int:
        """The slot that a tick belongs to: the first whose deadline it does not follow."""
        return -(-tick * self.slots // self.ticks)


class HouseMetronome:
    """Role.

    Attributes
    ----------
    stalls : standstills noticed so far; rights : what it was given; beat : when it wakes, None before the first plan
    """

    def __init__(
        self,
        *,
        run: RunDir,
        clock: Clock,
        fifo: bool = True,
        proc: Path = Path("/proc"),
        spent_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        """proc, spent_ns : where the kernel tells of processes, and of the processor time of this one."""
        self.stalls = 0
        self.rights = Rights(0, "not asked for")
        self.beat: Beat | None = None
        self._run, self._clock, self._fifo = run, clock, fifo
        self._proc = proc
        self._plans: RingReader | None = None
        self._plans_n = 0
        self._tick = 0
        self._due_ns = 0
        self._stall_ns = STALL_NS
        self._wakes = 0
        self._look_due_ns = self._tell_due_ns = self._rare_due_ns = 0
        self._stolen_ns = 0
        self._waits = _Waits(run, proc)
        self._thrift = _Thrift(spent_ns)

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
        """Notice whether it was woken in time; when to wake next. What is done at each wake-up is kept short: on a
        poor host everything costs ten times as much after a sleep."""
        due_ns = self._due_ns
        if now_ns < due_ns:
            return due_ns
        beat = self.beat
        if beat is not None:
            self._wakes += 1
            stalled = now_ns - due_ns >= self._stall_ns
            if stalled:
                self.stalls += 1
                self._publish(beat, now_ns, [(due_ns, now_ns)], {}, stolen=True)
            if now_ns < self._look_due_ns and not stalled:
                self._tick += 1
                self._due_ns = due_ns = beat.due_ns(self._tick)
                if due_ns > now_ns:
                    return due_ns
        if now_ns >= self._look_due_ns:
            self._look_due_ns = now_ns + LOOK_NS
            self._look(now_ns)
        if self.beat is None:
            self._due_ns = self._look_due_ns
        else:
            # Slots that were slept through are passed over.
            self._tick = self.beat.tick_after(now_ns)
            self._due_ns = self.beat.due_ns(self._tick)
        return self._due_ns

    def stop(self) -> None:
        """Let go of the ring; what it holds stays."""
        thaw_garbage()
        self._waits.close()
        self._ring.close()
        if self._plans is not None:
            self._plans.close()

    def _look(self, now_ns: int) -> None:
        """What need not be looked at in every slot."""
        tell = now_ns >= self._tell_due_ns
        rarely = now_ns >= self._rare_due_ns
        if rarely:
            self._rare_due_ns = now_ns + RARE_NS
        waited_ns = self._waits.read(look=rarely)
        if self.beat is not None and (tell or waited_ns):
            self._publish(self.beat, now_ns, [], waited_ns, stolen=rarely)
        if tell:
            self._tell_due_ns = now_ns + TELL_NS
            self._thrift.review(self._wakes)
            self._wakes = 0
        told = self._newest_clock()
        if told is None and self.beat is not None and tell:
            told = self.beat.rate, self.beat.t0_ns
        if told is not None:
            rate, t0_ns = told
            self.beat = Beat.of(rate, t0_ns, self._thrift.affordable_hz)
            self._stall_ns = min(STALL_NS, rate.period_ns // 8)

    def _newest_clock(self) -> tuple[Rate, int] | None:
        """Rate and slot 0 of the newest plan; None without one that is new."""
        if self._plans is None:
            self._plans = RingReader.try_open(self._run.plans)
            if self._plans is None:
                return None
        elif self._plans.latest_n == self._plans_n:
            self._plans.refresh()
        slot = self._plans.latest() if self._plans.latest_n != self._plans_n else None
        if slot is None:
            return None
        self._plans_n = slot.n
        told = plan_clock(slot.data)
        if told is None:
            return None
        frame, rate, t_present_ns = told
        return rate, t_present_ns - rate.deadline_ns(0, frame)

    def _publish(
        self,
        beat: Beat,
        now_ns: int,
        stalls: list[tuple[int, int]],
        waited_ns: dict[str, int],
        *,
        stolen: bool,
    ) -> None:
        """stolen : whether to look how much processor time the hypervisor took."""
        frame = max(0, beat.frame(self._tick))
        stolen_now_ns = stolen_ns(self._proc / "stat") if stolen else self._stolen_ns
        note = {
            "frame": frame,
            "t_slot_ns": beat.rate.deadline_ns(beat.t0_ns, frame),
            "stalls": stalls,
            "tick_ns": beat.due_ns(1) - beat.due_ns(0),
            "stolen_ns": stolen_now_ns - self._stolen_ns,
            "waited_ns": waited_ns,
        }
        self._stolen_ns = stolen_now_ns
        self._ring.publish(json.dumps(note).encode(), frame=frame, t_ns=now_ns)
        self._ring.heartbeat(now_ns)


class _Thrift:
    """How often it may wake: a wake-up costs a few microseconds on a good host, and a hundred on a poor one.

    Attributes
    ----------
    affordable_hz : wake-ups a second that cost `SHARE` of a processor
    """

    def __init__(self, spent_ns: Callable[[], int]) -> None:
        self.affordable_hz = float("inf")
        self._spent = spent_ns
        self._spent_ns = 0

    def review(self, wakes: int) -> None:
        """See what the wake-ups since the last review cost."""
        spent_ns = self._spent()
        cost_ns = (spent_ns - self._spent_ns) / max(1, wakes)
        # The first stretch holds the start, which is dearer.
        if self._spent_ns and wakes >= SELDOM_HZ / 2 and cost_ns > 0:
            hz = SHARE * NS_PER_S / cost_ns
            slowly = self.affordable_hz < 1e6
            self.affordable_hz = 0.8 * self.affordable_hz + 0.2 * hz if slowly else hz
        self._spent_ns = spent_ns


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
