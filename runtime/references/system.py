"""The system clock as a reference: whether somebody keeps it, how well, and whether its TAI can be right.

Nothing here disciplines anything: ptp4l and phc2sys (linuxptp), or chrony, do. This reads what the kernel knows
(`adjtimex`) and, where ptp4l runs, what that knows (`runtime.references.ptp`), and tells the two usual ways in which
a time of day is 37 s wrong: a kernel that does not know TAI, and a clock set to TAI where UTC belongs.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from runtime.clock import ASSUMED_TAI_MINUS_UTC_S, LEAST_TAI_MINUS_UTC_S, NS_PER_S, Clock
from runtime.pace import smpte_epoch_ns
from runtime.references.ptp import PtpMonitor, PtpState
from stage.errors import Problem

Severity = Literal["info", "warning", "critical"]

_STA_UNSYNC: Final = 0x0040
_STA_NANO: Final = 0x2000
_TIME_ERROR: Final = 5
_ASK_NS: Final = NS_PER_S
_SLIP_NS: Final = 15 * NS_PER_S
"""TAI and UTC are 37 s apart: anything beyond this between two clocks that should agree is that confusion."""

KEEP_MEND: Final = "start ptp4l and phc2sys (linuxptp), or chronyd; `openvolume preflight` shows the state"
TAI_MEND: Final = (
    "phc2sys sets it from PTP; chrony: `leapsectz right/UTC` (or `leapseclist`); by hand: `adjtimex --tai 37`"
)
SLIP_MEND: Final = (
    "the clock holds TAI where UTC belongs, or the other way round: phc2sys needs the right offset (`-O 0 -S` only "
    "between equal time scales, else `-w`), and the grandmaster a valid currentUtcOffset"
)


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_s", ctypes.c_long),
        ("time_us", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("spare", ctypes.c_int * 11),
    )


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What the kernel says of its own time of day.

    offset_ns : still to be corrected; max_error_ns, est_error_ns : bound and estimate of the error by whoever keeps
    it; tai_offset_s : TAI - UTC as it was told, 0 when nobody told it.
    """

    synchronised: bool
    offset_ns: int = 0
    frequency_ppm: float = 0.0
    max_error_ns: int = 0
    est_error_ns: int = 0
    tai_offset_s: int = 0


@functools.cache
def _adjtimex() -> Any:
    call = ctypes.CDLL(None, use_errno=True).adjtimex
    call.argtypes, call.restype = (ctypes.POINTER(_Timex),), ctypes.c_int
    return call


def read_kernel_clock() -> KernelClock:
    """Ask the kernel (`adjtimex` with no modes: it reads, and needs no rights).

    Raises
    ------
    OSError : the kernel does not tell (a sandbox may forbid the call).
    """
    found = _Timex()
    state = _adjtimex()(ctypes.byref(found))
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, "adjtimex")
    unit_ns = 1 if found.status & _STA_NANO else 1000
    return KernelClock(
        synchronised=state != _TIME_ERROR and not found.status & _STA_UNSYNC,
        offset_ns=found.offset * unit_ns,
        frequency_ppm=found.freq / 65536.0,
        max_error_ns=found.maxerror * 1000,
        est_error_ns=found.esterror * 1000,
        tai_offset_s=found.tai,
    )


@dataclass(frozen=True, slots=True)
class Sync:
    """How the system clock stands.

    good : it may be followed; epoch_ns : monotonic ns of the SMPTE epoch, None when it could not be read now;
    alarms : what a person should know, with its weight.
    """

    good: bool
    epoch_ns: int | None
    kernel: KernelClock
    ptp: PtpState | None = None
    alarms: tuple[tuple[Severity, Problem], ...] = ()


class Discipline(Protocol):
    """Something that tells how the system clock is kept; tests have their own."""

    def read(self, now_ns: int) -> Sync:
        """How it stands at `now_ns`."""

    def close(self) -> None:
        """Give back what it holds."""


@dataclass(slots=True)
class SystemDiscipline:
    """The real one. ptp4l is asked about once a second, if it is there; its answer is read the next time."""

    clock: Clock
    ptp: PtpMonitor | None = None
    kernel: Callable[[], KernelClock] = read_kernel_clock
    realtime_ns: Callable[[], int] = time.time_ns
    _asked_ns: int | None = field(default=None, init=False)
    _followed: bool = field(default=False, init=False)

    def read(self, now_ns: int) -> Sync:
        """Never waits. A kernel that tells nothing counts as one that nobody keeps."""
        try:
            kernel = self.kernel()
        except OSError:
            kernel = KernelClock(synchronised=False)
        ptp = None
        if self.ptp is not None:
            if self._asked_ns is None or now_ns - self._asked_ns >= _ASK_NS:
                self._asked_ns = now_ns
                self.ptp.ask()
            ptp = self.ptp.hear(now_ns)
            self._followed = self._followed or (ptp is not None and ptp.follows)
        return judge(
            kernel, ptp, smpte_epoch_ns(self.clock), tai_ns=self.clock.tai_ns(), realtime_ns=self.realtime_ns(),
            followed=self._followed,
        )  # fmt: skip

    def close(self) -> None:
        """Give back the socket."""
        if self.ptp is not None:
            self.ptp.close()


def judge(
    kernel: KernelClock, ptp: PtpState | None, epoch: int | None, *, tai_ns: int, realtime_ns: int,
    followed: bool = False,
) -> Sync:  # fmt: skip
    """What the two say together. Pure.

    followed : ptp4l has followed a grandmaster before. The kernel says "synchronised" for hours after whoever kept
    it has gone, so a machine that leads now, and followed before, has lost its time.
    """
    alarms: list[tuple[Severity, Problem]] = []
    good = True

    def tell(severity: Severity, code: str, detail: str, mend: str, value: object = None, **values: object) -> None:
        alarms.append((severity, Problem(code, "clock/system", detail, value, mend, values=values)))

    if not kernel.synchronised and not (ptp is not None and ptp.locked):
        good = False
        tell("warning", "clock.unsynchronised", "nobody keeps the system clock", KEEP_MEND)
    if ptp is not None and not ptp.follows and (followed or not ptp.leads):
        good = False
        tell("warning", "clock.grandmaster_lost", f"ptp4l hears no grandmaster (its port: {ptp.port_state})",
             "look at ptp4l, the grandmaster, the switch and the PTP domain", port_state=ptp.port_state)  # fmt: skip
    elif ptp is not None and ptp.follows and not ptp.locked:
        detail = f"ptp4l hears a grandmaster but is not locked yet ({ptp.port_state}, {ptp.offset_ns} ns off)"
        mend = "wait; if it stays, look at the network's jitter"
        tell("info", "clock.ptp_settling", detail, mend, port_state=ptp.port_state, off_ns=ptp.offset_ns)
    if kernel.synchronised and kernel.tai_offset_s < LEAST_TAI_MINUS_UTC_S:
        detail = (
            f"the system clock is kept, but the kernel was not told TAI (offset {kernel.tai_offset_s} s): "
            f"{ASSUMED_TAI_MINUS_UTC_S} s are assumed"
        )
        told_s, assumed_s = kernel.tai_offset_s, ASSUMED_TAI_MINUS_UTC_S
        tell("warning", "clock.tai_unset", detail, TAI_MEND, told_s, kernel_s=told_s, assumed_s=assumed_s)
    elif ptp is not None and ptp.follows and ptp.utc_offset_valid and ptp.utc_offset_s != kernel.tai_offset_s:
        detail = f"the grandmaster says TAI is {ptp.utc_offset_s} s ahead of UTC, the kernel {kernel.tai_offset_s} s"
        kernel_s, grandmaster_s = kernel.tai_offset_s, ptp.utc_offset_s
        tell("warning", "clock.utc_offset", detail, TAI_MEND, kernel_s, kernel_s=kernel_s, grandmaster_s=grandmaster_s)
    slip_ns = 0 if ptp is None else ptp.slip_ns(tai_ns=tai_ns, realtime_ns=realtime_ns)
    if abs(slip_ns) > _SLIP_NS:
        good = False
        detail = f"this machine's TAI is {slip_ns / NS_PER_S:+.0f} s from the grandmaster's"
        slip_s = round(slip_ns / NS_PER_S)
        tell("critical", "clock.tai_slip", detail, SLIP_MEND, slip_s, slip_s=slip_s)
    return Sync(good, epoch, kernel, ptp, tuple(alarms))
