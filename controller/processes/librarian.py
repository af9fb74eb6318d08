"""The process that indexes the library: `python -P -m controller.processes.librarian RUN_DIR`.

The lowest priority there is; until a library is configured it has loaded next to nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from controller.processes.darkroom import let_the_walls_begin
from controller.rundir import RunDir
from runtime.clock import SystemClock
from runtime.log import set_up_logging
from runtime.rights import be_nice
from runtime.role import Beat, EndSignal, run_role

LOOK_S = 0.5
NICENESS = 19


class _Told(Struct):
    """What of a version's snapshot (controller.show.Snapshot) says whether there is a library."""

    library: str = ""


def wanted(run: RunDir) -> bool:
    """Whether the version that holds has a library."""
    try:
        data = run.snapshot(run.current_version()).read_bytes()
        return bool(msgspec.msgpack.decode(data, type=_Told).library)
    except (OSError, msgspec.MsgspecError):
        return False  # being replaced: the next look finds it


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait until a library is configured, then look after it."""
    parser = argparse.ArgumentParser(prog="librarian")
    parser.add_argument("run_dir", type=Path)
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("librarian", run.run)
    be_nice(NICENESS)
    with contextlib.suppress(OSError):
        # Only what nobody else wants of a processor.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    clock = SystemClock()
    let_the_walls_begin(run)
    with EndSignal() as end:
        beat = Beat(run.path, "librarian")
        while not end.asked and not wanted(run):
            beat.touch(clock.now_ns())
            select.select([end.fileno()], [], [], LOOK_S)
        beat.close()
        if end.asked:
            return 0
    from controller.library.librarian import Librarian

    return run_role(Librarian(run=run, clock=clock), name="librarian", run_dir=run.path, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
