"""Scheduling rights and garbage: asked for, never required, always reported.

A process without real-time rights runs all the same and says so (`rt_class` 0) with what a person must do.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import os
import resource
import struct
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.clock import NS_PER_MS

NICENESS: Final = -10
"""Of a node where it may not be real-time, and of its driver's threads: it comes before service and darkroom."""

FEW_CPUS: Final = 4

PROMPT_SLICE_NS: Final = NS_PER_MS // 5
_SYS_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
"""Numbers of the call; the one that asks is the next."""
_RESET_ON_FORK: Final = 1

_THROTTLE: Final = Path("/proc/sys/kernel/sched_rt_runtime_us")


@dataclass(frozen=True, slots=True)
class Rights:
    """What the calling thread was given.

    rt_class : its SCHED_FIFO priority, 0 without; why : the reason it was withheld, "" when granted; mend : what a
    person does to grant it, "" when granted.
    """

    rt_class: int
    why: str = ""
    mend: str = ""


def fifo_is_wise(*, software_gl: bool, cpus: int | None = None) -> bool:
    """Whether a drawing process may be SCHED_FIFO: on software GL with few cores its raster threads starve the rest.

    Without raster threads (`LP_NUM_THREADS=0`) it draws on one core, and leaves the others.
    """
    cpus = cpus or os.cpu_count() or 1
    threads = 1 if os.environ.get("LP_NUM_THREADS") == "0" else 2
    return not software_gl or cpus > threads


def drawing_cpu(cpus: Collection[int] | None = None) -> int | None:
    """The processor that real-time drawing on software GL keeps to, where there are few; None where there are many.

    The kernel wakes a normal process where it ran last, also when a real-time one has that processor for a whole
    drawing. Where a free one is seldom found, what must answer quickly keeps off the one that draws.
    """
    cpus = os.sched_getaffinity(0) if cpus is None else cpus
    return max(cpus) if 2 <= len(cpus) <= FEW_CPUS else None


def other_cpus() -> tuple[int, ...]:
    """Processors left to those that must not wait for a drawing; () for all."""
    drawing = drawing_cpu()
    return () if drawing is None else tuple(sorted(os.sched_getaffinity(0) - {drawing}))


def keep_to_drawing_cpu() -> None:
    """Have the calling thread run on `drawing_cpu` alone, if there is one."""
    drawing = drawing_cpu()
    if drawing is not None:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {drawing})


def take_fifo(priority: int) -> Rights:
    """Ask for SCHED_FIFO `priority` (1-99) for the calling thread only; children and later threads start normal.

    On the node: after the GL context exists, on the main thread, so that driver threads stay normal.
    """
    if priority <= 0:
        return Rights(0, "not asked for")
    try:
        # RESET_ON_FORK covers threads too: what this thread starts does not inherit the priority.
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        return Rights(0, *_withheld(priority, error))
    return Rights(priority)


def drop_fifo() -> None:
    """Go back to the normal class."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))


def rt_class() -> int:
    """SCHED_FIFO priority of the calling thread, 0 when it has another class."""
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    return os.sched_getparam(0).sched_priority if policy == os.SCHED_FIFO else 0


def _withheld(priority: int, error: OSError) -> tuple[str, str]:
    """Why FIFO was refused, and the exact mend."""
    if error.errno == errno.EINVAL:
        return f"priority {priority} is out of range", "use 1 to 99"
    soft, hard = resource.getrlimit(resource.RLIMIT_RTPRIO)
    if _throttle_us() == 0:
        return "the kernel gives real-time tasks no time (sched_rt_runtime_us = 0)", (
            "sysctl kernel.sched_rt_runtime_us=950000"
        )
    why = f"no right to SCHED_FIFO {priority} (RLIMIT_RTPRIO soft {soft}, hard {hard}, no CAP_SYS_NICE)"
    mend = (
        f"systemd unit: LimitRTPRIO={priority}; login: '@realtime - rtprio {priority}' in /etc/security/limits.d/; "
        f"container: --cap-add SYS_NICE or --ulimit rtprio={priority}"
    )
    return why, mend


def _throttle_us() -> int | None:
    try:
        return int(_THROTTLE.read_text())
    except (OSError, ValueError):
        return None


def be_nice(level: int) -> int:
    """Raise this process's niceness to `level`; the niceness it has then (lowering needs rights and is not tried)."""
    now = os.getpriority(os.PRIO_PROCESS, 0)
    if level > now:
        os.setpriority(os.PRIO_PROCESS, 0, level)
        return level
    return now


def be_urgent(level: int) -> int:
    """Lower the calling thread's niceness to `level`, as far as it may; threads it starts later inherit it.

    Returns the niceness it has then: below 0 needs CAP_SYS_NICE or RLIMIT_NICE.
    """
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, level)
    return os.getpriority(os.PRIO_PROCESS, 0)


def be_prompt(slice_ns: int = PROMPT_SLICE_NS) -> bool:
    """Have the calling thread run in slices so short that, where it waits for a processor, it comes next.

    Whoever does little at a time and is waited for need not wait until another process has used its own slice up (3 ms
    is usual); it gets no more of the processor than before. Needs no rights, but Linux 6.12: False where the kernel
    does not know of it. Threads that are started later are as usual.
    """
    number = _SYS_SCHED_SETATTR.get(os.uname().machine)
    if number is None or os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
        return False
    # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period.
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, _RESET_ON_FORK, nice, 0, slice_ns, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, 0, wanted, 0) != 0:
        return False
    told = ctypes.create_string_buffer(48)
    if libc.syscall(number + 1, 0, told, 48, 0) != 0:
        return False
    # An older kernel takes it and forgets it.
    return int(struct.unpack("=IIQiIQQQ", told.raw)[5]) == slice_ns


def freeze_garbage() -> int:
    """Collect once, set everything alive aside for ever, switch the collector off. Returns how many were set aside.

    Call after warm-up. Collecting first matters: garbage that is frozen is kept for ever. From here on
    `SlackCollector` collects by hand.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    return gc.get_freeze_count()


def thaw_garbage() -> None:
    """Undo `freeze_garbage` when a role ends: extension modules look for what was never freed, and say so loudly."""
    gc.unfreeze()
    gc.enable()


class SlackCollector:
    """Collects young garbage by hand in the slack of a frame, when the slack is long enough.

    Attributes
    ----------
    collected : objects freed; runs : collections made; worst_ns : the longest one.
    """

    OLDER_EVERY: Final = 256

    def __init__(self, *, least_slack_ns: int = 2 * NS_PER_MS) -> None:
        self._least_slack_ns = least_slack_ns
        self._worst_older_ns = 0
        self.collected = 0
        self.runs = 0
        self.worst_ns = 0

    def collect(self, slack_ns: int) -> bool:
        """Collect generation 0 if `slack_ns` until the next deadline allows it; True if it was done.

        What survives moves to generation 1, which nobody would look at any more: now and then that one is
        collected too, when the slack is ten times what it last took.
        """
        if slack_ns < self._least_slack_ns or slack_ns < 4 * self.worst_ns:
            return False
        older = self.runs % self.OLDER_EVERY == self.OLDER_EVERY - 1 and slack_ns > 10 * self._worst_older_ns
        started_ns = time.perf_counter_ns()
        self.collected += gc.collect(1 if older else 0)
        took_ns = time.perf_counter_ns() - started_ns
        if older:
            self._worst_older_ns = max(self._worst_older_ns, took_ns)
        else:
            self.worst_ns = max(self.worst_ns, took_ns)
        self.runs += 1
        return True
