"""The capture process: `python -P -m controller.processes.capture RUN_DIR`. It writes pictures to disk on order.

It is always there, so that anything can be captured while the show runs; until something is, it has loaded next to
nothing. Its processor and its disk come after everybody else's.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.rundir import RunDir
from runtime.clock import NS_PER_S, Clock, SystemClock
from runtime.log import set_up_logging
from runtime.rights import be_nice
from runtime.role import Role, run_role

NICENESS = 15
SWITCH_S = 0.001
LOOK_NS = NS_PER_S // 4
_IOPRIO_SET = 251
_IDLE_CLASS = 3 << 13


class CaptureWhenNeeded:
    """Role. Waits until something is ordered, then becomes the capture."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._capture: Role | None = None

    def start(self) -> None:
        """Look for orders."""
        self._look()

    def wake_fds(self) -> Sequence[int]:
        """Rings are polled."""
        return ()

    def step(self, now_ns: int) -> int | None:
        """Capture, or look whether that is wanted by now."""
        if self._capture is None:
            self._look()
        return now_ns + LOOK_NS if self._capture is None else self._capture.step(now_ns)

    def stop(self) -> None:
        """End the captures."""
        if self._capture is not None:
            self._capture.stop()

    def _look(self) -> None:
        if self._run.capture_orders.exists():
            from controller.capture.role import Capture

            capture = Capture(run=self._run, clock=self._clock)
            capture.start()
            self._capture = capture


def write_last() -> bool:
    """Have the disk serve everybody else first (Linux, x86-64); False where that cannot be asked for."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return False
    return int(ctypes.CDLL(None, use_errno=True).syscall(_IOPRIO_SET, 1, 0, _IDLE_CLASS)) == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="capture")
    parser.add_argument("run_dir", type=Path)
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("capture", run.run)
    be_nice(NICENESS)
    # Rings are followed beside threads that encode: nobody keeps Python's lock for long.
    sys.setswitchinterval(SWITCH_S)
    write_last()
    clock = SystemClock()
    return run_role(CaptureWhenNeeded(run=run, clock=clock), name="capture", run_dir=run.path, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
