"""The capture processes: `python -P -m controller.processes.capture RUN_DIR [--draw]`. They write pictures to disk on
order: canvases, or (the drawer) what must be drawn again off the air.

They are always there, so that anything can be captured while the show runs; until something is, they have loaded next
to nothing. Their processor and their disk come after everybody else's.
"""

from __future__ import annotations

import argparse
import ctypes
import json
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

    def __init__(self, *, run: RunDir, clock: Clock, draws: bool) -> None:
        self._run, self._clock, self._draws = run, clock, draws
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
        if self._wanted():
            from controller.capture.role import Capture

            capture = Capture(run=self._run, clock=self._clock, draws=self._draws)
            capture.start()
            self._capture = capture

    def _wanted(self) -> bool:
        try:
            orders = json.loads(self._run.capture_orders.read_bytes())
            return any((order["kind"] != "canvas") == self._draws for order in orders)
        except (OSError, ValueError, KeyError, TypeError):
            return False


def write_last() -> bool:
    """Have the disk serve everybody else first (Linux, x86-64); False where that cannot be asked for."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return False
    return int(ctypes.CDLL(None, use_errno=True).syscall(_IOPRIO_SET, 1, 0, _IDLE_CLASS)) == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="capture")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--draw", action="store_true", help="inner pictures and photos, not canvases")
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    name = "drawer" if given.draw else "capture"
    set_up_logging(name, run.run)
    be_nice(NICENESS)
    # Rings are followed beside threads that encode: nobody keeps Python's lock for long.
    sys.setswitchinterval(SWITCH_S)
    write_last()
    clock = SystemClock()
    role = CaptureWhenNeeded(run=run, clock=clock, draws=given.draw)
    return run_role(role, name=name, run_dir=run.path, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
