"""A node's process: `python -P -m controller.processes.node RUN_DIR NAME`. One GL context, one Python thread."""

from __future__ import annotations

import argparse
import faulthandler
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.node import Node
from controller.painter import GLPainter
from controller.rundir import RunDir
from runtime.clock import NS_PER_MS, SystemClock
from runtime.log import set_up_logging
from runtime.role import run_role

QUIET_NS = NS_PER_MS // 2
"""A plan that comes shortly before its drawing would have to begin must still wake it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="node")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("name")
    parser.add_argument("--no-fifo", action="store_true")
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging(f"node-{given.name}", run.run)
    # A crash in a driver or an extension must leave a trace.
    faulthandler.enable()
    clock = SystemClock()
    role = Node(
        run=run,
        name=given.name,
        clock=clock,
        painter=lambda: GLPainter(run=run, clock=clock, node=given.name),
        fifo=not given.no_fifo,
    )
    return run_role(role, name=f"node-{given.name}", run_dir=run.path, clock=clock, quiet_ns=QUIET_NS)


if __name__ == "__main__":
    sys.exit(main())
