"""The injected clock: CLOCK_MONOTONIC for every stamp inside a host, TAI for labels; real, or virtual for tests.

Kernel receive stamps (SO_TIMESTAMPNS) are CLOCK_REALTIME, which may be stepped; they are turned into
CLOCK_MONOTONIC on receipt and never travel further as real time.
"""

from __future__ import annotations

import heapq
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from runtime.errors import VirtualTimeError
from stage.errors import Problem

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000

ASSUMED_TAI_MINUS_UTC_S: Final = 37
"""TAI - UTC since 2017, used while the kernel has not been told (its own offset is then 0)."""
LEAST_TAI_MINUS_UTC_S: Final = 10
"""TAI - UTC has been at least this since leap seconds began: a kernel that says less was not told. (It may say 1 after
a leap second it counted by itself.)"""

SO_TIMESTAMPNS: Final = 35
"""Linux socket option and control message type; Python's socket module does not name it."""

_SOL_SOCKET: Final = int(socket.SOL_SOCKET)
_TIMESPEC: Final = struct.Struct("=qq")

ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_TIMESPEC.size)
"""Room `recvmsg` needs for one kernel stamp."""


class Clock(Protocol):
    """What everything that keeps time is given. All values are integer nanoseconds."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC: the only time that logic may compare."""

    def tai_ns(self) -> int:
        """TAI since 1970-01-01: labels plans, files and hosts."""

    def sleep_until(self, deadline_ns: int) -> None:
        """Return at `deadline_ns` of `now_ns` or as soon after it as possible; at once when it has passed."""


def tai_at_ns(clock: Clock, t_ns: int) -> int:
    """TAI of the monotonic instant `t_ns`, by the offset the clock has now."""
    return t_ns + clock.tai_ns() - clock.now_ns()


class SystemClock:
    """The machine's own clocks."""

    @property
    def tai_assumed(self) -> bool:
        """Whether the kernel does not know TAI, and 37 s are assumed."""
        return _kernel_tai_s(time.clock_gettime_ns(time.CLOCK_TAI)) < LEAST_TAI_MINUS_UTC_S

    @property
    def tai_offset_s(self) -> int:
        """Seconds TAI is ahead of CLOCK_REALTIME as this clock counts it."""
        kernel_s = _kernel_tai_s(time.clock_gettime_ns(time.CLOCK_TAI))
        return kernel_s + (ASSUMED_TAI_MINUS_UTC_S if kernel_s < LEAST_TAI_MINUS_UTC_S else 0)

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def tai_ns(self) -> int:
        """CLOCK_TAI, or CLOCK_REALTIME + 37 s while the kernel's TAI offset is unset: nothing jumps when somebody
        sets it to 37 while the show runs."""
        tai_ns = time.clock_gettime_ns(time.CLOCK_TAI)
        if _kernel_tai_s(tai_ns) < LEAST_TAI_MINUS_UTC_S:
            tai_ns += ASSUMED_TAI_MINUS_UTC_S * NS_PER_S
        return tai_ns

    def sleep_until(self, deadline_ns: int) -> None:
        """Sleep by `time.sleep`, which waits for an absolute deadline inside; it may wake late, never early."""
        # The loop covers clocks that round: a wake-up must not count as early.
        while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
            time.sleep(left_ns / NS_PER_S)


def _kernel_tai_s(tai_ns: int) -> int:
    return (tai_ns - time.clock_gettime_ns(time.CLOCK_REALTIME) + NS_PER_S // 2) // NS_PER_S


@dataclass(order=True, slots=True)
class Timer:
    """A call that is due at `t_ns` of a virtual clock; equal times go by name, then by age."""

    t_ns: int
    name: str
    age: int
    call: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Never run it. Harmless once it has run."""
        self.cancelled = True


class VirtualClock:
    """Time that stands still until it is moved: a test jumps it, or sleeps through it at no cost.

    `advance_to` and `sleep_until` run due calls in order, each at its own time. `jump` lets time pass the way a
    stalled machine does: nothing runs meanwhile, and what came due runs late.
    """

    def __init__(self, start_ns: int = NS_PER_S, *, tai_minus_monotonic_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now_ns = start_ns
        self._tai_minus_monotonic_ns = tai_minus_monotonic_ns
        self._timers: list[Timer] = []
        self._age = 0
        self._sleepers: list[int] = []
        self._threads: dict[int, Callable[[int], None]] = {}

    def now_ns(self) -> int:
        """The virtual instant."""
        return self._now_ns

    def tai_ns(self) -> int:
        """The virtual instant in TAI: a fixed offset from `now_ns`."""
        return self._now_ns + self._tai_minus_monotonic_ns

    def sleep_until(self, deadline_ns: int) -> None:
        """Move time to the deadline, running what comes due on the way (also what is due at the deadline itself).

        Raises
        ------
        VirtualTimeError : a call run by a sleeper sleeps past that sleeper's own deadline. Real processes sleep
            side by side; on one thread the outer one would wake late, and nothing would say so.
        """
        elsewhere = self._threads.get(threading.get_ident()) if self._threads else None
        if elsewhere is not None:
            elsewhere(deadline_ns)
        else:
            self.advance_to(deadline_ns)

    def advance_to(self, t_ns: int) -> None:
        """Move time to `t_ns`, running due calls; time already past it stays. Raises as `sleep_until`."""
        if self._sleepers and t_ns > self._sleepers[-1]:
            raise VirtualTimeError(
                Problem(
                    VirtualTimeError.code,
                    "clock",
                    f"a call sleeps to {t_ns} ns, past the sleeper that runs it ({self._sleepers[-1]} ns)",
                    mend="give the sleeping role a thread of its own: VirtualHouse.add(..., own_thread=True)",
                ),
            )
        self._sleepers.append(max(t_ns, self._now_ns))
        try:
            while (timer := self._due(t_ns)) is not None:
                self._now_ns = max(self._now_ns, timer.t_ns)
                timer.call()
        finally:
            self._sleepers.pop()
        self._now_ns = max(self._now_ns, t_ns)

    def advance_by(self, delta_ns: int) -> None:
        """`advance_to(now + delta)`."""
        self.advance_to(self._now_ns + delta_ns)

    def jump(self, delta_ns: int) -> None:
        """Let `delta_ns` pass with nothing running: a stall. Due calls run late, at the next advance.

        Raises
        ------
        VirtualTimeError : a negative jump; monotonic time has none.
        """
        if delta_ns < 0:
            raise VirtualTimeError(
                Problem(VirtualTimeError.code, "clock", "monotonic time never runs back", delta_ns, "jump forwards"),
            )
        self._now_ns += delta_ns

    def step_tai(self, delta_ns: int) -> None:
        """Step the label clock (a host whose time of day is set); monotonic time does not move."""
        self._tai_minus_monotonic_ns += delta_ns

    def call_at(self, t_ns: int, call: Callable[[], None], *, name: str = "") -> Timer:
        """Have `call` run when time reaches `t_ns` (at the next advance, when that has passed)."""
        self._age += 1
        timer = Timer(t_ns, name, self._age, call)
        heapq.heappush(self._timers, timer)
        return timer

    def next_due_ns(self) -> int | None:
        """When the next call is due; None when nothing is waiting."""
        while self._timers and self._timers[0].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0].t_ns if self._timers else None

    def on_thread(self, ident: int, sleep_until: Callable[[int], None] | None) -> None:
        """Let a thread that is scheduled from outside sleep in its own way (None: no longer)."""
        if sleep_until is None:
            self._threads.pop(ident, None)
        else:
            self._threads[ident] = sleep_until

    def _due(self, t_ns: int) -> Timer | None:
        due_ns = self.next_due_ns()
        return heapq.heappop(self._timers) if due_ns is not None and due_ns <= t_ns else None


def enable_kernel_stamps(sock: socket.socket) -> bool:
    """Ask the kernel to stamp each datagram on arrival; False where it cannot (then stamp on receipt)."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def kernel_stamp_ns(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """CLOCK_REALTIME ns the kernel stamped a datagram with, from `recvmsg`'s control messages; None without one."""
    for level, kind, data in ancillary:
        if level == _SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, ns = _TIMESPEC.unpack_from(data)
            stamp_ns: int = seconds * NS_PER_S + ns
            return stamp_ns
    return None


class StampConverter:
    """Turns kernel stamps (CLOCK_REALTIME) into CLOCK_MONOTONIC ns, on receipt, also when the time of day is stepped.

    A datagram stamped before a step and read after it would be off by the whole step: then the offset known
    before the step is tried too, and the reading that lies closest before now is taken.
    """

    STEP_NS: Final = NS_PER_MS
    TIGHT_NS: Final = 400
    FRESH_NS: Final = NS_PER_MS
    OLD_NS: Final = NS_PER_S
    """A stamp older than this, or of the future, makes it look at the clocks again."""

    def __init__(
        self,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        realtime_ns: Callable[[], int] = time.time_ns,
        *,
        fresh_ns: int = 0,
    ) -> None:
        """fresh_ns : the clocks are compared anew after so long only: many sockets are read one after the other."""
        self._monotonic_ns = monotonic_ns
        self._realtime_ns = realtime_ns
        self._fresh_ns = fresh_ns
        self._measured_ns = monotonic_ns()
        self._offset_ns = self._measure()
        self._before_step_ns = self._offset_ns
        self.steps = 0

    @classmethod
    def of(cls, clock: Clock) -> StampConverter:
        """The converter for a clock, one for all its sockets. Kernel stamps mean nothing to a virtual clock: there
        every datagram came now."""
        if not isinstance(clock, SystemClock):
            return cls(clock.now_ns, clock.now_ns)
        found = _CONVERTERS.get(clock)
        if found is None:
            found = _CONVERTERS[clock] = cls(fresh_ns=cls.FRESH_NS)
        return found

    def _measure(self) -> int:
        """Monotonic - real time: the middle of the tightest of three pairs of readings, or of one that is as tight as
        they ever are."""
        best_width_ns, best_ns = 1 << 62, 0
        for _ in range(3):
            before_ns = self._monotonic_ns()
            real_ns = self._realtime_ns()
            after_ns = self._monotonic_ns()
            if after_ns - before_ns < best_width_ns:
                best_width_ns, best_ns = after_ns - before_ns, (before_ns + after_ns) // 2 - real_ns
                if best_width_ns <= self.TIGHT_NS:
                    break
        return best_ns

    def monotonic_ns(self, stamp_ns: int | None) -> int:
        """CLOCK_MONOTONIC ns of a kernel stamp; never later than now. None (no stamp) gives now."""
        now_ns = self._monotonic_ns()
        return now_ns if stamp_ns is None else self._stamped_ns(stamp_ns, now_ns, self._offset_at(now_ns, stamp_ns))

    def all_monotonic_ns(self, stamps_ns: Sequence[int | None]) -> list[int]:
        """The same of several at once, oldest first; the clocks are read once for all of them."""
        now_ns = self._monotonic_ns()
        newest_ns = stamps_ns[-1]
        offset_ns = self._offset_at(now_ns, now_ns if newest_ns is None else newest_ns)
        return [now_ns if s is None else self._stamped_ns(s, now_ns, offset_ns) for s in stamps_ns]

    def _offset_at(self, now_ns: int, stamp_ns: int) -> int:
        """Monotonic - real time, measured lately, or now if it does not make sense of a stamp."""
        if now_ns - self._measured_ns < self._fresh_ns:
            age_ns = now_ns - stamp_ns - self._offset_ns
            if -self.STEP_NS < age_ns < self.OLD_NS:
                return self._offset_ns
        self._measured_ns = now_ns
        offset_ns = self._measure()
        if abs(offset_ns - self._offset_ns) > self.STEP_NS:
            self._before_step_ns = self._offset_ns
            self.steps += 1
        self._offset_ns = offset_ns
        return offset_ns

    def _stamped_ns(self, stamp_ns: int, now_ns: int, offset_ns: int) -> int:
        t_ns = stamp_ns + offset_ns
        if not self.steps:
            return min(now_ns, t_ns)
        # A whole queue may have been stamped before a step of the clock, so the older offset stays a candidate.
        ages_ns = (now_ns - t_ns, now_ns - stamp_ns - self._before_step_ns)
        plausible_ns = [age_ns for age_ns in ages_ns if age_ns >= -self.STEP_NS]
        return now_ns - max(0, min(plausible_ns, default=0))


_CONVERTERS: Final[WeakKeyDictionary[SystemClock, StampConverter]] = WeakKeyDictionary()
