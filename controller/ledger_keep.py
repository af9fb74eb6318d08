"""What of a conductor's counts lies on disk: its state for a successor, and the report at the end of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from controller.ledger import Ledger
from controller.rundir import RunDir, replace_file

FILE = "ledger.json"


def keep(run: RunDir, ledger: Ledger, *, read_to: dict[str, int], clock: dict[str, Any]) -> None:
    """Counts survive a kill: the successor reads nodes' reports on from `read_to`."""
    state = {"counts": ledger.counts(), "reports_n": read_to, "clock": clock}
    replace_file(run.path / FILE, json.dumps(state).encode())


def resume(run: RunDir, ledger: Ledger, read_to: dict[str, int]) -> dict[str, Any]:
    """Take over what was kept, if anything was; what the timekeeper kept."""
    try:
        state = json.loads((run.path / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    ledger.resume(state["counts"])
    read_to.update(state["reports_n"])
    clock: dict[str, Any] = state.get("clock", {})
    return clock


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(report, indent=2) + "\n")
    os.replace(temporary, path)
