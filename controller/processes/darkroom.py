"""The darkroom's process: `python -P -m controller.processes.darkroom RUN_DIR`. Off the air, nice 10."""

from __future__ import annotations

import argparse
import faulthandler
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.darkroom import Darkroom
from controller.rundir import RunDir
from runtime.clock import SystemClock
from runtime.log import set_up_logging
from runtime.rights import be_nice
from runtime.role import run_role

NICENESS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="darkroom")
    parser.add_argument("run_dir", type=Path)
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("darkroom", run.run)
    # A crash in a driver or an extension must leave a trace.
    faulthandler.enable()
    be_nice(NICENESS)
    clock = SystemClock()
    return run_role(Darkroom(run=run, clock=clock), name="darkroom", run_dir=run.path, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
