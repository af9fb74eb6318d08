"""The relay's process: `python -P -m controller.processes.relay RUN_DIR`. Sends cameras' poses on to other programs.

It is always there, so that a relay can be configured while the show runs; until one is, it has loaded next to nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from controller.rundir import RunDir
from runtime.clock import NS_PER_S, Clock, SystemClock
from runtime.log import set_up_logging
from runtime.role import Role, run_role

LOOK_NS = NS_PER_S // 2


class _Told(Struct):
    """What of a version's snapshot (controller.show.Snapshot) says whether anything is relayed."""

    relays: bool = False


class RelayWhenNeeded:
    """Role. Waits until a version has relays, then becomes the relay."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._seen = -1
        self._relay: Role | None = None

    def start(self) -> None:
        """Look at the version that holds."""
        self._look()

    def wake_fds(self) -> Sequence[int]:
        """Rings are polled."""
        return ()

    def step(self, now_ns: int) -> int | None:
        """Relay, or look whether that is wanted by now."""
        if self._relay is None:
            self._look()
        return now_ns + LOOK_NS if self._relay is None else self._relay.step(now_ns)

    def stop(self) -> None:
        """End the relay."""
        if self._relay is not None:
            self._relay.stop()

    def _look(self) -> None:
        number = self._run.current_version()
        if number == self._seen:
            return
        try:
            wanted = msgspec.msgpack.decode(self._run.snapshot(number).read_bytes(), type=_Told).relays
        except (OSError, msgspec.MsgspecError):
            return  # being replaced: the next look finds it
        self._seen = number
        if wanted:
            from controller.relay import RelayRole

            relay = RelayRole(run=self._run, clock=self._clock)
            relay.start()
            self._relay = relay


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="relay")
    parser.add_argument("run_dir", type=Path)
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("relay", run.run)
    clock = SystemClock()
    return run_role(RelayWhenNeeded(run=run, clock=clock), name="relay", run_dir=run.path, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
