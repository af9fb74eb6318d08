"""The relay's process: `python -P -m controller.processes.relay RUN_DIR`. Sends cameras' poses on to other programs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.relay import RelayRole
from controller.rundir import RunDir
from runtime.clock import SystemClock
from runtime.log import set_up_logging
from runtime.role import run_role


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="relay")
    parser.add_argument("run_dir", type=Path)
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("relay", run.run)
    clock = SystemClock()
    return run_role(RelayRole(run=run, clock=clock), name="relay", run_dir=run.path, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
