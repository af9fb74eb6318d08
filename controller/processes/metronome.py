"""The metronome's process: `python -P -m controller.processes.metronome RUN_DIR`. Notes when the host stands still."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.metronome import HouseMetronome
from controller.rundir import RunDir
from runtime.clock import NS_PER_S, SystemClock
from runtime.log import set_up_logging
from runtime.role import run_role

QUIET_NS = NS_PER_S
"""It listens to nothing: every wait is one plain sleep, as the thing it measures."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="metronome")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--no-fifo", action="store_true")
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("metronome", run.run)
    clock = SystemClock()
    role = HouseMetronome(run=run, clock=clock, fifo=not given.no_fifo)
    return run_role(role, name="metronome", run_dir=run.path, clock=clock, quiet_ns=QUIET_NS)


if __name__ == "__main__":
    sys.exit(main())
