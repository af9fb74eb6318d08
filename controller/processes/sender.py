"""The sender's process: `python -P -m controller.processes.sender RUN_DIR`. Canvases as ST 2110-20 over the network.

It is always there, so that outputs can be configured while the show runs; until one is, it has loaded next to nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from controller.rundir import RunDir
from runtime.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from runtime.log import set_up_logging
from runtime.role import Role, run_role, wake_exactly, wake_fds

LOOK_NS = NS_PER_S // 2
QUIET_NS = NS_PER_MS
"""Packets leave by plain sleeps; letters are looked for between them."""


class _Told(Struct):
    """What of a version's snapshot (controller.show.Snapshot) says whether anything is sent."""

    sends: bool = False


class SenderWhenNeeded:
    """Role. Waits until a version sends a canvas, then becomes the sender."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._seen = -1
        self._sender: Role | None = None

    def start(self) -> None:
        """Look at the version that holds."""
        self._look()

    def wake_fds(self) -> Sequence[int]:
        """The sender's."""
        return () if self._sender is None else wake_fds(self._sender)

    def step(self, now_ns: int) -> int | None:
        """Send, or look whether that is wanted by now."""
        if self._sender is None:
            self._look()
        return now_ns + LOOK_NS if self._sender is None else self._sender.step(now_ns)

    def stop(self) -> None:
        """End the sender."""
        if self._sender is not None:
            self._sender.stop()

    def _look(self) -> None:
        number = self._run.current_version()
        if number == self._seen:
            return
        try:
            wanted = msgspec.msgpack.decode(self._run.snapshot(number).read_bytes(), type=_Told).sends
        except (OSError, msgspec.MsgspecError):
            return  # being replaced: the next look finds it
        self._seen = number
        if wanted:
            from controller.st2110.role import SenderRole

            sender = SenderRole(run=self._run, clock=self._clock)
            sender.start()
            self._sender = sender


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="sender")
    parser.add_argument("run_dir", type=Path)
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("sender", run.run)
    clock = SystemClock()
    wake_exactly()
    return run_role(
        SenderWhenNeeded(run=run, clock=clock), name="sender", run_dir=run.path, clock=clock, quiet_ns=QUIET_NS
    )


if __name__ == "__main__":
    sys.exit(main())
