"""The darkroom's process: `python -P -m controller.processes.darkroom RUN_DIR`. Off the air, nice 10."""

from __future__ import annotations

import argparse
import faulthandler
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from controller.rundir import RunDir
from runtime.clock import SystemClock
from runtime.log import set_up_logging
from runtime.rights import be_nice
from runtime.ring import RingReader
from runtime.role import run_role

NICENESS = 10
PATIENCE_S = 10.0
LOOK_S = 0.05


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
    let_the_walls_begin(run)
    # Loaded only now: on a small machine it would take its seconds from the first picture.
    from controller.darkroom import Darkroom

    clock = SystemClock()
    return run_role(Darkroom(run=run, clock=clock), name="darkroom", run_dir=run.path, clock=clock)


def let_the_walls_begin(run: RunDir, patience_s: float = PATIENCE_S) -> None:
    """Wait until a node has reported a frame, or for so long."""
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        for path in run.path.glob("reports-*.ring"):
            reader = RingReader.try_open(path)
            if reader is not None:
                reported = reader.latest_n > 0
                reader.close()
                if reported:
                    return
        time.sleep(LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
