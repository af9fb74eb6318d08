"""The supervisor: starts the processes of one run, watches them, restarts what dies or hangs, ends all in order.

`openvolume run` checks its arguments, writes a specification (`run_spec`) and becomes this module (same pid). It
imports the standard library and modules of ours that do the same: nothing heavy may fail or stall here.

Every process is a direct child in this process group, ignores Ctrl-C and dies with the supervisor, however that
ends. Death is seen by pidfd, a hang by a heartbeat that stops moving (`hang`). What goes on is told in
`<run_dir>/supervisor.json` (controller.status.SupervisorStatus, and more).

Exit: 0 good, 1 failed while running, 2 bad specification, 130 interrupted; or what a critical role ended with.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import enum
import fcntl
import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from controller.processes.hang import HangWatch, waits_of
from controller.processes.run_spec import (
    START_AFTER_S,
    HeartbeatSpec,
    RestartSpec,
    RoleSpec,
    RunSpec,
    SupervisorError,
    supervisor_error,
)
from runtime.log import set_up_logging

NS_PER_S: Final = 1_000_000_000
TICK_S: Final = 0.05
"""How often heartbeats are read."""

EXIT_GOOD: Final = 0
EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_LACKS_PART: Final = 3
EXIT_INTERRUPTED: Final = 130

_ABANDONED_S: Final = 3600
_PR_SET_PDEATHSIG: Final = 1

log = logging.getLogger("supervisor")


class RoleState(enum.Enum):
    """Where a role stands."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing_off"
    GIVEN_UP = "given_up"
    ENDING = "ending"
    ENDED = "ended"


_TOLD: Final = {
    RoleState.WAITING: "starting",
    RoleState.STARTING: "starting",
    RoleState.RUNNING: "running",
    RoleState.BACKING_OFF: "starting",
    RoleState.GIVEN_UP: "failed",
    RoleState.ENDING: "stopping",
    RoleState.ENDED: "stopped",
}
"""The words the whole house has for it (controller.status.RoleState)."""


_LEGAL: Final[dict[RoleState, frozenset[RoleState]]] = {
    RoleState.WAITING: frozenset({RoleState.STARTING, RoleState.BACKING_OFF, RoleState.GIVEN_UP, RoleState.ENDED}),
    RoleState.STARTING: frozenset(RoleState) - {RoleState.WAITING, RoleState.STARTING},
    RoleState.RUNNING: frozenset(RoleState) - {RoleState.WAITING, RoleState.STARTING, RoleState.RUNNING},
    RoleState.BACKING_OFF: frozenset(
        {RoleState.STARTING, RoleState.BACKING_OFF, RoleState.GIVEN_UP, RoleState.ENDED},
    ),
    RoleState.GIVEN_UP: frozenset({RoleState.STARTING, RoleState.BACKING_OFF, RoleState.GIVEN_UP, RoleState.ENDED}),
    RoleState.ENDING: frozenset({RoleState.ENDED}),
    RoleState.ENDED: frozenset(),
}


class RestartLimit:
    """Counts restarts of one role and says how long to wait before the next, or that it is enough."""

    def __init__(self, spec: RestartSpec) -> None:
        self._spec = spec
        self._recent_ns: collections.deque[int] = collections.deque()

    def next_delay_s(self, now_ns: int) -> float | None:
        """Seconds to wait before a restart asked for at `now_ns`; None when the intensity is used up."""
        while self._recent_ns and now_ns - self._recent_ns[0] > self._spec.period_s * NS_PER_S:
            self._recent_ns.popleft()
        if len(self._recent_ns) >= self._spec.intensity:
            return None
        delay_s: float = min(self._spec.first_delay_s * 2 ** len(self._recent_ns), self._spec.most_delay_s)
        self._recent_ns.append(now_ns)
        return delay_s

    def forget(self) -> None:
        """Start counting anew: a given-up role is tried again."""
        self._recent_ns.clear()


class _Child:
    """One role and the process that plays it now."""

    def __init__(self, spec: RoleSpec) -> None:
        self.spec = spec
        self.state = RoleState.WAITING
        self.limit = RestartLimit(spec.restart)
        self.watch: HangWatch | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.pid = 0
        self.started_ns = 0
        self.start_ticks = 0
        self.restarts = 0
        self.due_ns = 0
        self.kill_ns = 0
        self.why_killed = ""
        self.last_exit = ""
        self.last_code: int | None = None
        self.last_exit_ns = 0
        self.alarm: dict[str, Any] | None = None

    def go(self, state: RoleState) -> None:
        """Change state; an illegal change is a bug and is refused by name."""
        if state not in _LEGAL[self.state]:
            raise supervisor_error(self.spec.name, f"cannot go from {self.state.value} to {state.value}")
        self.state = state

    @property
    def alive(self) -> bool:
        return self.process is not None

    def told(self) -> dict[str, Any]:
        """Its entry in supervisor.json."""
        return {
            "role": self.spec.name,
            "pid": self.pid if self.alive else 0,
            "state": _TOLD[self.state],
            "detail": self.state.value,
            "restarts": self.restarts,
            "since_ns": self.started_ns,
            "start_ticks": self.start_ticks,
            "last_exit": self.last_exit,
            "last_exit_code": self.last_code,
            "last_exit_ns": self.last_exit_ns,
        }


class Supervisor:
    """Runs one `RunSpec` to its end: `Supervisor(spec).run()` returns the exit code. Main thread only."""

    def __init__(self, spec: RunSpec, *, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.spec = spec
        self.run_dir = Path(spec.run_dir)
        self._now_ns = now_ns
        self._children = {role.name: _Child(role) for role in spec.roles}
        self._poll = select.poll()
        self._by_fd: dict[int, _Child] = {}
        self._end_code: int | None = None
        self._end_reason = ""
        self._to_end: list[_Child] = []
        self._interrupts = 0
        self._began_ns = now_ns()
        self._excused_ns = self._began_ns
        self._dirty = True
        # Loaded before any fork: between fork and exec nothing may be imported.
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl

    def run(self) -> int:
        """Start everything, watch until the end, tidy up. Returns the exit code."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._poll.register(reader.fileno(), select.POLLIN)
        lock_fd = _lock_run(self.run_dir)
        sweep_dead_runs(self.run_dir.parent)
        try:
            self._start_waiting(self._began_ns)
            self._watch(reader)
            self._summarise()
        finally:
            self._kill_all()
            if not self.spec.keep_run_dir:
                remove_run_dir(self.run_dir)
            os.close(lock_fd)
            signal.set_wakeup_fd(-1)
            reader.close()
            writer.close()
        return EXIT_GOOD if self._end_code is None else self._end_code

    # -- signals ---------------------------------------------------------------------------------------------------

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self._interrupts += 1
            self._end(EXIT_INTERRUPTED, "interrupted")
        else:
            self._end(EXIT_GOOD, signal.Signals(number).name)

    def _end(self, code: int, reason: str) -> None:
        """End the run: from now on roles are ended, last one first. The first reason counts."""
        if self._end_code is None:
            self._end_code = code
            self._end_reason = reason
            self._to_end = list(self._children.values())
            self._dirty = True

    # -- the loop --------------------------------------------------------------------------------------------------

    def _watch(self, reader: socket.socket) -> None:
        before_ns = self._now_ns()
        while self._end_code is None or self._to_end:
            if self._dirty:
                self._write_state()
            for fd, _ in self._poll.poll(TICK_S * 1000):
                if fd == reader.fileno():
                    with contextlib.suppress(BlockingIOError):
                        reader.recv(4096)
                elif fd in self._by_fd:
                    self._reap(self._by_fd[fd])
            now_ns = self._now_ns()
            if now_ns - before_ns > 10 * TICK_S * NS_PER_S:
                # This process stood still itself (a stopped terminal job, a paused machine): so did the others.
                self._excused_ns = now_ns
            before_ns = now_ns
            if self._end_code is None:
                for child in self._children.values():
                    self._look_after(child, now_ns)
                self._start_waiting(now_ns)
            else:
                self._end_next(now_ns)

    def _look_after(self, child: _Child, now_ns: int) -> None:
        if child.state is RoleState.BACKING_OFF and now_ns >= child.due_ns:
            self._start(child)
        elif child.state is RoleState.GIVEN_UP and child.due_ns and now_ns >= child.due_ns:
            child.limit.forget()
            self._start(child)
        elif child.state is RoleState.STARTING:
            self._look_for_first_beat(child, now_ns)
        elif child.state is RoleState.RUNNING:
            if child.alarm and now_ns - child.started_ns > child.spec.restart.period_s * NS_PER_S:
                log.info("%s runs again", child.spec.name)
                child.alarm = None
                self._dirty = True
            beat = child.spec.heartbeat
            if beat is not None and not child.why_killed:
                self._kill_hung(child, max(self._beat_ns(beat), child.started_ns, self._excused_ns), now_ns)

    def _look_for_first_beat(self, child: _Child, now_ns: int) -> None:
        beat = child.spec.heartbeat
        if beat is None or self._beat_ns(beat) > child.started_ns:
            child.go(RoleState.RUNNING)
            self._dirty = True
        elif not child.why_killed:
            self._kill_hung(child, max(child.started_ns, self._excused_ns), now_ns, first=True)

    def _kill_hung(self, child: _Child, since_ns: int, now_ns: int, *, first: bool = False) -> None:
        why = child.watch.hung(since_ns, now_ns, first=first) if child.watch is not None else ""
        if why:
            self._kill(child, why)

    def _beat_ns(self, beat: HeartbeatSpec) -> int:
        try:
            fd = os.open(self.run_dir / beat.file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            return int.from_bytes(os.pread(fd, 8, beat.offset_bytes), "little")
        finally:
            os.close(fd)

    # -- one process -----------------------------------------------------------------------------------------------

    def _start_waiting(self, now_ns: int) -> None:
        """Start what has not run yet and need wait for nobody any longer."""
        for child in self._children.values():
            if child.state is RoleState.WAITING:
                before = [self._children[name].state for name in child.spec.after]
                busy = any(state in (RoleState.WAITING, RoleState.STARTING) for state in before)
                if not busy or now_ns - self._began_ns > START_AFTER_S * NS_PER_S:
                    self._start(child)

    def _start(self, child: _Child) -> None:
        spec = child.spec
        again = child.state is not RoleState.WAITING
        child.started_ns = self._now_ns()
        child.why_killed = ""
        self._dirty = True
        supervisor_pid = os.getpid()

        def in_child() -> None:
            # Between fork and exec; this process has one thread, so plain Python is safe here.
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != supervisor_pid:
                os._exit(EXIT_FAILED)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if spec.nice:
                os.nice(spec.nice)
            if spec.cpus:
                with contextlib.suppress(OSError):  # a machine with fewer cores than the file was written for
                    os.sched_setaffinity(0, spec.cpus)

        try:
            child.process = subprocess.Popen(
                spec.argv,
                env={**os.environ, **spec.env},
                stdin=subprocess.DEVNULL,
                pass_fds=spec.pass_fds,
                preexec_fn=in_child,  # noqa: PLW1509 - single-threaded, see above
            )
        except (OSError, subprocess.SubprocessError) as error:
            child.last_exit = f"could not start: {error}"
            child.last_code, child.last_exit_ns = None, child.started_ns
            self._after_exit(child, clean=False, hopeless=False)
            return
        child.pid = child.process.pid
        child.pidfd = os.pidfd_open(child.pid)
        child.start_ticks = _start_ticks(child.pid)
        pid = child.pid
        child.watch = None if spec.heartbeat is None else HangWatch(spec.heartbeat, lambda: waits_of(pid))
        child.restarts += again
        child.go(RoleState.STARTING)
        self._by_fd[child.pidfd] = child
        self._poll.register(child.pidfd, select.POLLIN)
        log.info("%s %s (pid %d)", "restarted" if again else "started", spec.name, child.pid)

    def _signal(self, child: _Child, number: int) -> None:
        if child.alive:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(child.pidfd, number)

    def _kill(self, child: _Child, why: str) -> None:
        log.warning("%s is killed: %s", child.spec.name, why)
        child.why_killed = why
        self._signal(child, signal.SIGKILL)

    def _reap(self, child: _Child) -> None:
        """The process has ended: learn how, and decide what follows."""
        if child.process is None:
            return
        code = child.process.wait()
        self._poll.unregister(child.pidfd)
        del self._by_fd[child.pidfd]
        os.close(child.pidfd)
        child.process = None
        child.pidfd = -1
        # Negative: the signal that ended it.
        child.last_code, child.last_exit_ns = code, self._now_ns()
        how = f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        child.last_exit = f"{how} ({child.why_killed})" if child.why_killed else how
        self._after_exit(child, clean=code == EXIT_GOOD, hopeless=code in {EXIT_BAD_INPUT, EXIT_LACKS_PART})

    def _after_exit(self, child: _Child, *, clean: bool, hopeless: bool) -> None:
        spec = child.spec
        why = child.last_exit
        self._dirty = True
        if self._end_code is not None:
            child.go(RoleState.ENDED)
            return
        log.log(logging.INFO if clean else logging.WARNING, "%s has ended: %s", spec.name, why)
        if clean and spec.ends_run:
            child.go(RoleState.ENDED)
            self._end(EXIT_GOOD, f"{spec.name} is done")
        elif spec.restart.when == "never" or (spec.restart.when == "failure" and clean):
            child.go(RoleState.ENDED)
            if not clean and spec.critical:
                self._end(EXIT_FAILED, f"{spec.name} failed: {why}")
        else:
            now_ns = self._now_ns()
            delay_s = None if hopeless else child.limit.next_delay_s(now_ns)
            if delay_s is not None:
                child.go(RoleState.BACKING_OFF)
                child.due_ns = now_ns + round(delay_s * NS_PER_S)
            else:
                self._give_up(child, why, now_ns, hopeless=hopeless)
        self._end_when_nothing_is_left(clean=clean)

    def _end_when_nothing_is_left(self, *, clean: bool) -> None:
        children = self._children.values()
        given_up = [child for child in children if child.state is RoleState.GIVEN_UP]
        ended = [child for child in children if child.state is RoleState.ENDED]
        if len(given_up) + len(ended) == len(children) and not any(child.due_ns for child in given_up):
            self._end(EXIT_GOOD if clean and not given_up else EXIT_FAILED, "nothing is left running")

    def _give_up(self, child: _Child, why: str, now_ns: int, *, hopeless: bool) -> None:
        spec = child.spec
        child.go(RoleState.GIVEN_UP)
        retry_s = spec.restart.retry_after_s
        child.due_ns = now_ns + round(retry_s * NS_PER_S) if retry_s else 0
        limit = f"over {spec.restart.intensity} restarts in {spec.restart.period_s:g} s"
        retry = f"it is tried again every {retry_s:g} s" if retry_s else "start the run again"
        child.alarm = {
            "code": "controller.role_given_up",
            "path": f"processes/{spec.name}",
            "detail": f"{why}; {'a restart would not help' if hopeless else limit}",
            "severity": "critical",
            "mend": f"see its log; {retry}",
            "since_ns": now_ns,
        }
        log.error("%s is given up: %s", spec.name, child.alarm["detail"])
        if spec.critical:
            code = child.last_code if hopeless and child.last_code else EXIT_FAILED
            self._end(code, f"{spec.name} failed: {why}")

    # -- the end ---------------------------------------------------------------------------------------------------

    def _end_next(self, now_ns: int) -> None:
        """End roles one after the other, last started first; a second Ctrl-C kills them all."""
        if self._interrupts > 1:
            self._kill_all()
        while self._to_end:
            child = self._to_end[-1]
            if not child.alive:
                if child.state is not RoleState.ENDED:
                    child.go(RoleState.ENDED)
                    self._dirty = True
                self._to_end.pop()
                continue
            if child.state is not RoleState.ENDING:
                child.go(RoleState.ENDING)
                self._dirty = True
                child.kill_ns = now_ns + round(child.spec.stop_grace_s * NS_PER_S)
                self._signal(child, signal.SIGTERM)
                self._signal(child, signal.SIGCONT)
            elif now_ns >= child.kill_ns and not child.why_killed:
                self._kill(child, f"did not end within {child.spec.stop_grace_s:g} s")
            return

    def _kill_all(self) -> None:
        """The last resort of every way out: nothing survives."""
        for child in self._children.values():
            self._signal(child, signal.SIGKILL)
        for child in self._children.values():
            if child.process is not None:
                if child.state is not RoleState.ENDING:
                    child.go(RoleState.ENDING)
                child.why_killed = child.why_killed or "killed at the end of the run"
                if self._end_code is None:
                    self._end_code = EXIT_FAILED
                self._reap(child)

    def _summarise(self) -> None:
        self._write_state()
        restarts = {name: child.restarts for name, child in self._children.items() if child.restarts}
        alarms = [name for name, child in self._children.items() if child.alarm]
        log.info(
            "run %s ended: %s; %.1f s, restarts %s, alarms %s, exit %d",
            self.spec.run,
            self._end_reason,
            (self._now_ns() - self._began_ns) / NS_PER_S,
            " ".join(f"{name} {count}" for name, count in restarts.items()) or "none",
            " ".join(alarms) or "none",
            self._end_code or 0,
        )

    def _write_state(self) -> None:
        """`supervisor.json`, whole or not at all."""
        self._dirty = False
        states = {child.state for child in self._children.values()}
        if self._end_code is not None:
            state = "ended" if states == {RoleState.ENDED} else "ending"
        else:
            state = "starting" if RoleState.STARTING in states or RoleState.WAITING in states else "running"
        document = {
            "run": self.spec.run,
            "pid": os.getpid(),
            "t_ns": self._now_ns(),
            "start_ticks": _start_ticks(os.getpid()),
            "state": state,
            "since_ns": self._began_ns,
            "exit_code": self._end_code,
            "reason": self._end_reason,
            "children": {name: child.told() for name, child in self._children.items()},
            "alarms": [child.alarm for child in self._children.values() if child.alarm],
        }
        partial = self.run_dir / ".supervisor.json.partial"
        partial.write_text(json.dumps(document, indent=1))
        partial.replace(self.run_dir / "supervisor.json")


def read_state(run_dir: Path) -> dict[str, Any] | None:
    """What the supervisor of a run last told; None before it has. Always a whole document."""
    try:
        document: dict[str, Any] = json.loads((run_dir / "supervisor.json").read_bytes())
    except FileNotFoundError:
        return None
    return document


def sweep_dead_runs(root: Path) -> list[Path]:
    """Remove run directories whose supervisor was killed; they would hold shared memory until the next boot.

    Returns what was removed. A living run holds the lock of its directory, so it is never touched.
    """
    removed = []
    for directory in root.glob("openvolume-*"):
        try:
            lock_fd = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # No supervisor yet: being prepared by `openvolume run`, or left behind by one that failed long ago.
            with contextlib.suppress(OSError):
                if time.time() - directory.stat().st_mtime > _ABANDONED_S:
                    remove_run_dir(directory)
                    removed.append(directory)
            continue
        except OSError:  # another user's
            continue
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_run_dir(directory)
            removed.append(directory)
        except OSError:
            pass
        finally:
            os.close(lock_fd)
    return removed


def remove_run_dir(directory: Path) -> None:
    """Delete a run directory and nothing else: the name must be one."""
    if directory.name.startswith("openvolume-"):
        shutil.rmtree(directory, ignore_errors=True)


def _lock_run(run_dir: Path) -> int:
    fd = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise supervisor_error(
            "spec/run_dir", "another supervisor runs in it", str(run_dir), "use another run id"
        ) from error
    return fd


def _start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot: with the pid it names a process for ever."""
    try:
        # The name in brackets may hold anything; what follows the last bracket is plain.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the specification named on the command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        sys.stderr.write("usage: python -P -m controller.processes.supervisor SPEC.json\n")
        return EXIT_BAD_INPUT
    try:
        spec = RunSpec.from_json(Path(arguments[0]).read_bytes())
        set_up_logging("supervisor", spec.run)
        return Supervisor(spec).run()
    except OSError as error:
        sys.stderr.write(f"controller.supervisor {arguments[0]}: {error}\n")
    except SupervisorError as error:
        sys.stderr.write(f"{error}\n")
    return EXIT_BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
