"""The recorder's process: `python -P -m controller.processes.recorder RUN_DIR --folder F --keep-mb N --show NAME`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.recorder import Recorder
from controller.rundir import RunDir
from runtime.clock import SystemClock
from runtime.log import set_up_logging
from runtime.role import run_role

BYTES_PER_MB = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="recorder")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="where the ledger's segments go")
    parser.add_argument("--keep-mb", type=float, required=True, help="what they may take together")
    parser.add_argument("--show", default="")
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("recorder", run.run)
    clock = SystemClock()
    role = Recorder(
        run=run, clock=clock, folder=given.folder, keep_bytes=round(given.keep_mb * BYTES_PER_MB), show=given.show
    )
    return run_role(role, name="recorder", run_dir=run.path, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
