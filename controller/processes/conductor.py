"""The conductor's process: `python -P -m controller.processes.conductor RUN_DIR --nodes main [--frames N] ...`."""

from __future__ import annotations

import argparse
import faulthandler
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.conductor import QUIET_NS, Conductor
from controller.rundir import RunDir
from runtime.clock import SystemClock
from runtime.log import set_up_logging
from runtime.role import run_role


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is done or asked to end."""
    parser = argparse.ArgumentParser(prog="conductor")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--nodes", required=True, help="ids of the nodes to ring, joined by commas")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--no-fifo", action="store_true")
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("conductor", run.run)
    # A crash in a driver or an extension must leave a trace.
    faulthandler.enable()
    clock = SystemClock()
    role = Conductor(
        run=run,
        clock=clock,
        nodes=given.nodes.split(","),
        frames=given.frames,
        report_path=given.report,
        fifo=not given.no_fifo,
    )
    return run_role(role, name="conductor", run_dir=run.path, clock=clock, quiet_ns=QUIET_NS)


if __name__ == "__main__":
    sys.exit(main())
