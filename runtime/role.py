"""A role: one job of the house as `start`, `step`, `stop`; and the shell that drives one in a process of its own.

A role never sleeps and never loops: `step` does what is due and says when it wants to be called again. So the same
role runs in its own process on the system clock (`run_role`), or beside others in one process under a virtual clock
(`runtime.house.VirtualHouse`).

The shell ends it on SIGTERM, ignores SIGINT (the supervisor decides), and keeps `<run_dir>/<role>.beat` fresh: one
u64 of monotonic ns which stops moving when a step hangs.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import mmap
import os
import select
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final, Protocol, Self, runtime_checkable

from runtime.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from stage.errors import OpenVolumeError

BEAT_NS: Final = 100 * NS_PER_MS
"""How often, at least, a living role moves its heartbeat."""

QUIET_NS: Final = 2 * NS_PER_MS
"""Before a deadline the shell stops listening for this long and sleeps straight to it."""

EXIT_LACKS_PART: Final = 3

_PR_SET_TIMERSLACK: Final = 29
_PR_SET_PDEATHSIG: Final = 1

log = logging.getLogger(__name__)


class Role(Protocol):
    """One job of the house."""

    def start(self) -> None:
        """Take what it needs: contexts, sockets, rings. Called once, on the thread that will step it."""

    def step(self, now_ns: int) -> int | None:
        """Do what is due at `now_ns`; the monotonic ns it wants to be called at next, None when its job is done.

        It may be called earlier than asked for (a descriptor of `wake_fds` is readable); a deadline that has
        passed means "at once".
        """

    def stop(self) -> None:
        """Give everything back. Called once, also after a failure."""


@runtime_checkable
class Wakeful(Protocol):
    """A role that also wants to be stepped when one of its descriptors is readable."""

    def wake_fds(self) -> Sequence[int]:
        """Descriptors to listen to; asked again before every wait. `step` must drain them."""


def wake_fds(role: Role) -> Sequence[int]:
    """The descriptors a role listens to; none unless it is `Wakeful`."""
    # Not isinstance: a protocol's check costs more than all the rest of an event under a virtual clock.
    ask = getattr(role, "wake_fds", None)
    return () if ask is None else ask()


def beat_path(run_dir: Path, name: str) -> Path:
    """Where the heartbeat of the role `name` lies."""
    return run_dir / f"{name}.beat"


class Beat:
    """A role's heartbeat: one u64 of monotonic ns in a small mapped file, written in one store."""

    def __init__(self, run_dir: Path, name: str) -> None:
        self.path = beat_path(run_dir, name)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, 8)
            self._map = mmap.mmap(fd, 8)
        finally:
            os.close(fd)
        self._words = memoryview(self._map).cast("Q")

    def touch(self, now_ns: int) -> None:
        """Say that the role lives."""
        self._words[0] = now_ns

    def close(self) -> None:
        """Unmap it; the file stays for the supervisor to read."""
        self._words.release()
        self._map.close()


def read_beat_ns(path: Path, *, offset: int = 0) -> int:
    """The heartbeat in a beat file (or, with `ring.HEARTBEAT_OFFSET`, in a ring); 0 while there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        return int.from_bytes(os.pread(fd, 8, offset), "little")
    finally:
        os.close(fd)


def die_with_parent(parent_pid: int | None = None) -> None:
    """Have the kernel end this process when the one that started it ends, however that happens (Linux).

    `parent_pid` names the parent that is meant: when it has already gone, this process ends at once.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent_pid is not None and os.getppid() != parent_pid:
        os._exit(1)


def wake_exactly() -> None:
    """Have this thread's sleeps end when they are due, not up to 50 us later as the kernel bundles them (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


class EndSignal:
    """Turns SIGTERM into a flag and a readable descriptor; ignores SIGINT and SIGHUP. Main thread only.

    Use as a context; `asked` is True once the process is to end. Loops of their own (uvicorn, asyncio) may use it
    too: `fileno()` is readable then.
    """

    def __init__(self) -> None:
        self.asked = False
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before: dict[int, object] = {}
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGHUP):
            self._before[number] = signal.signal(number, signal.SIG_IGN)
        self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._on_end)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Readable once a signal has come."""
        return self._reader.fileno()

    def ask(self) -> None:
        """End as if SIGTERM had come."""
        self.asked = True
        with contextlib.suppress(BlockingIOError):
            self._writer.send(b"\0")

    def _on_end(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def run_role(
    role: Role,
    *,
    name: str,
    run_dir: Path,
    clock: Clock | None = None,
    quiet_ns: int = QUIET_NS,
) -> int:
    """Drive one role in this process until it is done or the process is to end.

    Returns the exit code: 0, 1 when it failed, 3 when this machine lacks a part it needs (a restart cannot help).

    quiet_ns : how long before its deadline the role is no longer woken by descriptors, so that the deadline is met
        by one plain sleep.
    """
    clock = clock or SystemClock()
    beat = Beat(run_dir, name)
    code = 0
    with EndSignal() as end:
        try:
            # No heartbeat before it has started: loading may take longer than a running role may be silent.
            role.start()
            _drive(role, clock, beat, end, quiet_ns)
        except Exception as error:
            log.exception("%s failed", name)
            lacks_part = isinstance(error, OpenVolumeError) and error.exit_code == EXIT_LACKS_PART
            code = EXIT_LACKS_PART if lacks_part else 1
        try:
            role.stop()
        except Exception:
            log.exception("%s failed while it ended", name)
            code = code or 1
    beat.close()
    return code


def _drive(role: Role, clock: Clock, beat: Beat, end: EndSignal, quiet_ns: int) -> None:
    now_ns = clock.now_ns()
    while not end.asked:
        beat.touch(now_ns)
        deadline_ns = role.step(now_ns)
        if deadline_ns is None:
            return
        fds = [*wake_fds(role), end.fileno()]
        while not end.asked:
            now_ns = clock.now_ns()
            left_ns = deadline_ns - now_ns
            if left_ns <= quiet_ns:
                clock.sleep_until(deadline_ns)
                now_ns = clock.now_ns()
                break
            beat.touch(now_ns)
            # select counts in microseconds (poll and epoll in milliseconds, too coarse beside a deadline).
            readable, _, _ = select.select(fds, [], [], min(left_ns - quiet_ns, BEAT_NS) / NS_PER_S)
            if readable:
                now_ns = clock.now_ns()
                break
