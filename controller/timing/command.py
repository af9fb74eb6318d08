"""`openvolume timing CONFIG`: run, judge, report. Exit 0: within the limits, 1: one is broken, 2: bad input."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from controller.timing.limits import Limits, Place, load_limits
from controller.timing.result import Result, phases_of, verdict_words
from controller.timing.settings import Settings, configuration, report_folder


def timing_command(settings: Settings, *, report: Path, limits: Path | None = None) -> int:
    """Run and report. Returns the exit code.

    Raises
    ------
    OpenVolumeError : the configuration, limits or folder cannot be used, or the show did not run.
    """
    began = time.perf_counter()
    # Whatever can be refused is refused before anything starts.
    phases_of(settings)
    configuration(settings)
    load_limits(limits, "virtual")
    folder = report_folder(report)
    told = _told
    if settings.virtual:
        from controller.timing.virtual_run import run_virtual

        result = run_virtual(settings, load_limits(limits, "virtual"), told)
    else:
        from controller.timing.real import run_real

        def limits_of(place: Place) -> Limits:
            return load_limits(limits, place)

        result = run_real(settings, limits_of, told)
    if settings.photos:
        from controller.timing.rendered import render_some

        told("photos ...")
        render_some(result)
    result.took_s = time.perf_counter() - began
    from controller.timing.report import write_reports

    write_reports(result, folder)
    sys.stdout.write(_summary(result, folder))
    return 0 if result.good else 1


def _told(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _summary(result: Result, folder: Path) -> str:
    lines = [verdict_words(result)]
    lines += [f"  {check.told()}: {check.words}" for check in result.broken]
    judged = sum(check.good is not None for check in result.checks)
    lines.append(f"{judged} checks, {len(result.broken)} broken; {result.took_s:.1f} s. {folder / 'report.html'}")
    return "\n".join(lines) + "\n"
