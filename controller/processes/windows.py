"""The windows' process: `python -P -m controller.processes.windows RUN_DIR`. Canvases on monitors.

It is always there, so that monitors can be configured while the show runs; until one is, it has loaded next to nothing.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from controller.rundir import RunDir
from runtime.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from runtime.log import set_up_logging
from runtime.role import Role, run_role, wake_fds

LOOK_NS = NS_PER_S // 2
QUIET_NS = NS_PER_MS // 2


class _Told(Struct):
    """What of a version's snapshot (controller.show.Snapshot) says whether anything is shown on monitors."""

    windows: str = ""


class WindowsWhenNeeded:
    """Role. Waits until a version shows a canvas on monitors, then becomes the presenter."""

    def __init__(self, *, run: RunDir, clock: Clock, fifo: bool = True) -> None:
        self._run, self._clock, self._fifo = run, clock, fifo
        self._seen = -1
        self._presenter: Role | None = None

    def start(self) -> None:
        """Look at the version that holds."""
        self._look()

    def wake_fds(self) -> Sequence[int]:
        """The presenter's."""
        return () if self._presenter is None else wake_fds(self._presenter)

    def step(self, now_ns: int) -> int | None:
        """Show what has come, or look whether that is wanted by now."""
        if self._presenter is None:
            self._look()
        return now_ns + LOOK_NS if self._presenter is None else self._presenter.step(now_ns)

    def stop(self) -> None:
        """End the presenter."""
        if self._presenter is not None:
            self._presenter.stop()

    def _look(self) -> None:
        number = self._run.current_version()
        if number == self._seen:
            return
        try:
            wanted = msgspec.msgpack.decode(self._run.snapshot(number).read_bytes(), type=_Told).windows
        except (OSError, msgspec.MsgspecError):
            return  # being replaced: the next look finds it
        self._seen = number
        if wanted:
            from controller.windows.made import presenter_of

            presenter = presenter_of(self._run, self._clock, fifo=self._fifo)
            presenter.start()
            self._presenter = presenter


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="windows")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--no-fifo", action="store_true")
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("windows", run.run)
    # A crash in a driver or an extension must leave a trace.
    faulthandler.enable()
    clock = SystemClock()
    role = WindowsWhenNeeded(run=run, clock=clock, fifo=not given.no_fifo)
    return run_role(role, name="windows", run_dir=run.path, clock=clock, quiet_ns=QUIET_NS)


if __name__ == "__main__":
    sys.exit(main())
