"""Preflight of a show that runs: `python -P -m controller.processes.preflight RUN_DIR`. Prints findings as JSON, ends.

A process of its own, started by the service when somebody asks: a driver that breaks breaks nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from controller.config import load_config_text
from controller.preflight import as_text, preflight
from controller.rundir import RunDir
from controller.show import decode_snapshot
from runtime.rights import be_nice

NICENESS = 15


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at the version that holds now."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    be_nice(NICENESS)
    run = RunDir(Path(folder))
    snapshot = decode_snapshot(run.snapshot(run.current_version()).read_bytes())
    loaded = load_config_text(snapshot.config_text, base_dir=Path(snapshot.base_dir))
    sys.stdout.write(as_text(preflight(loaded, running=True)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
