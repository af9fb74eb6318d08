"""Writes a timing run's result: `junit.xml` for machines, `report.json` for programs, `report.html` for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import numpy as np

from controller.timing.judging import Check
from controller.timing.limits import LEAST
from controller.timing.result import MOST_POINTS, Result, verdict_words
from runtime.clock import NS_PER_S
from stage.plan import REASONS

VERSION: Final = 1
_CONTROL: Final = dict.fromkeys(i for i in range(32) if i not in (9, 10, 13))


def write_reports(result: Result, folder: Path) -> None:
    """All three files, directly in `folder`."""
    (folder / "report.json").write_text(json.dumps(document(result), indent=1) + "\n", encoding="utf-8")
    (folder / "junit.xml").write_text(junit(result), encoding="utf-8")
    from controller.timing.page import page

    (folder / "report.html").write_text(page(result), encoding="utf-8")


def document(result: Result) -> dict[str, Any]:
    """`report.json` as plain data."""
    settings = result.settings
    rate = result.stage.rate
    slots = result.slots
    repeats = slots.repeats()
    out: dict[str, Any] = {
        "version": VERSION,
        "verdict": "passed" if result.good else "failed",
        "words": verdict_words(result),
        "mode": result.mode,
        "name": result.name,
        "rate": [rate.num, rate.den],
        "seconds": settings.seconds_s,
        "seed": settings.seed,
        "move": settings.move,
        "protocol": settings.protocol,
        "samples_hz": settings.samples.hz,
        "frames": len(slots),
        "presented": int(slots.own.sum()),
        "repeated": int(slots.repeated.sum()),
        "repeats": repeats,
        "limits": [_check(check) for check in result.checks],
        "cameras": {name: camera.figures for name, camera in result.cameras.items()},
        "photos": [{k: v for k, v in photo.items() if k != "image"} for photo in result.rendered],
        "faults": [
            {
                "row": row.row,
                "title": row.title,
                "mode": row.mode,
                "good": row.good,
                "seconds": row.seconds,
                "checks": [_check(check) for check in row.checks],
            }
            for row in result.rows
        ],
        "phases": [asdict(phase) for phase in result.phases],
        "loads": result.loads,
        "metronome": result.metronome,
        "run": result.ledger,
        "machine": result.machine,
        "notes": result.notes,
        "plans_hash": result.plans_hash,
        "took_s": round(result.took_s, 3),
        "course": _course(result),
    }
    finite: dict[str, Any] = _finite(out)
    return finite


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "where": check.where,
        "measured": check.measured,
        "limit": check.limit,
        "kind": "least" if check.name in LEAST else "most",
        "good": check.good,
        "words": check.words,
    }


def _course(result: Result) -> dict[str, Any]:
    """Figures over time, at most MOST_POINTS of them; each is the worst of its neighbours."""
    slots = result.slots
    group = max(1, -(-len(slots) // MOST_POINTS))
    out: dict[str, Any] = {
        "t_s": [round(float(v), 4) for v in ((slots.t_present_ns - result.begin_ns) / NS_PER_S)[::group]],
        "repeated": [
            {"frame": int(frame), "reason": REASONS[int(reason)]}
            for frame, reason in zip(slots.frame[slots.repeated], slots.reason[slots.repeated], strict=True)
        ][:MOST_POINTS],
        "cameras": {},
    }
    for name, camera in result.cameras.items():
        out["cameras"][name] = {
            key: _worst(values, group)
            for key, values in (
                ("age_ms", camera.photos.age_ms),
                ("slip_px", camera.measured.slip_px),
                ("error_mm", camera.measured.error_mm),
                ("error_deg", camera.measured.error_deg),
            )
        }
    return out


def _worst(values: Any, group: int) -> list[float | None]:
    padded = np.pad(values, (0, -len(values) % group), constant_values=np.nan).reshape(-1, group)
    filled = np.where(np.isnan(padded), -np.inf, padded).max(axis=1)
    return [round(float(v), 4) if isfinite(v) else None for v in filled]


def junit(result: Result) -> str:
    """JUnit: a suite for the show, one for each load and row; a check is a case."""
    suites: dict[str, list[Check]] = {}
    for check in result.checks:
        suites.setdefault(check.where, []).append(check)
    root = ET.Element("testsuites", name="openvolume timing", time=f"{result.took_s:.3f}")
    failures = 0
    for where, checks in suites.items():
        broken = sum(check.good is False for check in checks)
        skipped = sum(check.good is None for check in checks)
        failures += broken
        suite = ET.SubElement(
            root, "testsuite", name=where, tests=str(len(checks)), failures=str(broken), skipped=str(skipped),
            errors="0",
        )  # fmt: skip
        for check in checks:
            case = ET.SubElement(
                suite, "testcase", classname=f"timing.{where.replace(' ', '.')}", name=_plain(_case_name(check))
            )  # fmt: skip
            if check.good is False:
                ET.SubElement(case, "failure", message=_plain(check.told())).text = _plain(check.words)
            elif check.good is None:
                ET.SubElement(case, "skipped", message=_plain(check.told()))
    root.set("tests", str(len(result.checks)))
    root.set("failures", str(failures))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case_name(check: Check) -> str:
    head, colon, _ = check.words.partition(":")
    return f"{check.name} ({head})" if colon and len(head) < 60 else check.name


def _plain(text: str) -> str:
    """Text without characters that XML has no place for."""
    return text.translate(_CONTROL)


def _finite(value: Any) -> Any:
    """The same data without numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
