"""A timing run's result: what was measured, what was judged, and the words for it. Both modes make one."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from controller.ledger_record import FrameRecord
from controller.timing.judging import SHOW, Check, Judge, figures_of, judge_photos, judge_slots, p
from controller.timing.limits import title
from controller.timing.recording import Photos, Recording, Slots
from controller.timing.rows import RowResult
from controller.timing.settings import LOADS, Settings, TimingError
from controller.timing.slip import Measured, WallPoints, measure
from runtime.clock import NS_PER_S
from stage.compiled import CompiledStage
from stage.errors import Problem

ALONE_SHARE = 0.25
"""Share of a run with loads in which the show is alone: what the loads are compared with."""
SHORTEST_LOAD_S = 1.5
MOST_POINTS = 1200
"""Points of a course in the report."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the run: the show alone, or one load beside it. Seconds from the measured beginning."""

    name: str
    begin_s: float
    end_s: float


@dataclass(slots=True)
class CameraResult:
    """What one camera photographed."""

    photos: Photos
    measured: Measured
    figures: dict[str, Any]


@dataclass(slots=True)
class Result:
    """Everything a report tells."""

    settings: Settings
    mode: str
    """`real` or `virtual`."""
    name: str
    stage: CompiledStage
    begin_ns: int
    recording: Recording
    slots: Slots
    """Every measured slot."""
    phases: tuple[Phase, ...]
    judge: Judge
    records: Sequence[FrameRecord]
    """The newest slots as the ledger keeps them."""
    cameras: dict[str, CameraResult] = field(default_factory=dict)
    rows: list[RowResult] = field(default_factory=list)
    loads: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each load did."""
    metronome: dict[str, Any] | None = None
    ledger: dict[str, Any] = field(default_factory=dict)
    """The run's own report (`openvolume run --report`)."""
    rendered: list[dict[str, Any]] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    stalls: list[tuple[int, int]] = field(default_factory=list)
    """Standstills of the host, monotonic ns."""
    notes: list[str] = field(default_factory=list)
    """Anything a reader should know before believing the figures."""
    took_s: float = 0.0

    @property
    def checks(self) -> list[Check]:
        """Every check, the show's first."""
        return [*self.judge.checks, *(check for row in self.rows for check in row.checks)]

    @property
    def broken(self) -> list[Check]:
        """Checks that failed."""
        return [check for check in self.checks if check.good is False]

    @property
    def good(self) -> bool:
        """Whether no limit is broken."""
        return not self.broken

    @property
    def t_s(self) -> Any:
        """When each measured slot began, seconds."""
        return (self.slots.t_present_ns - self.begin_ns) / NS_PER_S

    @property
    def plans_hash(self) -> str:
        """Of every plan's hash in order: equal for equal runs."""
        return blake2b(self.recording.hash.tobytes(), digest_size=16).hexdigest()


def phases_of(settings: Settings) -> tuple[Phase, ...]:
    """The show alone, then each load beside it.

    Raises
    ------
    TimingError : the seconds are too few for so many loads.
    """
    seconds = settings.seconds_s
    if not settings.loads:
        return (Phase(SHOW, 0.0, seconds),)
    alone_s = seconds * ALONE_SHARE
    each_s = (seconds - alone_s) / len(settings.loads)
    if each_s < SHORTEST_LOAD_S:
        least = SHORTEST_LOAD_S * len(settings.loads) / (1.0 - ALONE_SHARE)
        detail = f"{seconds:g} s are too short for {len(settings.loads)} loads"
        problem = Problem("controller.timing_option", "--seconds", detail, None, f"give at least {least:.0f}")
        raise TimingError(problem)
    loads = [
        Phase(name, alone_s + number * each_s, alone_s + (number + 1) * each_s)
        for number, name in enumerate(settings.loads)
    ]
    return (Phase(SHOW, 0.0, alone_s), *loads)


def measure_cameras(result: Result, true_poses: dict[str, Any], *, disturbed: Sequence[str] = ()) -> None:
    """Work out what every tracked camera photographed, and judge it.

    true_poses : by camera: monotonic instants to sensor poses; disturbed : phases whose photos are shown but not
    judged (configurations come and go in them).
    """
    known = result.slots.only(result.slots.plan >= 0)
    period_ns = result.stage.rate.period_ns
    for name, poses in true_poses.items():
        if name not in result.recording.cameras or not len(known):
            continue
        photos = result.recording.photos(name, known, poses)
        walls = WallPoints(result.stage, result.stage.cameras[name].walls)
        measured = measure(photos, result.recording.lenses, walls)
        figures = figures_of(photos, measured, period_ns)
        result.cameras[name] = CameraResult(photos, measured, figures)
        t_s = (known.t_present_ns - result.begin_ns) / NS_PER_S
        keep = np.ones(len(known), dtype=bool)
        for phase in result.phases:
            if phase.name in disturbed:
                keep &= (t_s < phase.begin_s) | (t_s >= phase.end_s + 1.0)
        judge_photos(
            result.judge, known.only(keep), _photos_only(photos, keep), measured.only(keep), period_ns,
            sample_ns=result.settings.samples.period_ns,
        )  # fmt: skip


def _photos_only(photos: Photos, keep: Any) -> Photos:
    return Photos(
        photos.camera, *(getattr(photos, name)[keep] for name in Photos.__dataclass_fields__ if name != "camera")
    )  # fmt: skip


def judge_phases(result: Result, allowed_repeats: int) -> None:
    """Judge the slots of each stretch. What the metronome lost is shared out by length."""
    t_s = result.t_s
    whole_s = result.phases[-1].end_s or 1.0
    for phase in result.phases:
        inside = (t_s >= phase.begin_s) & (t_s < phase.end_s)
        share = (phase.end_s - phase.begin_s) / whole_s
        where = SHOW if phase.name == SHOW else f"load {phase.name}"
        # A metronome that lost any may have lost them in this stretch.
        allowed = allowed_repeats if len(result.phases) == 1 else int(np.ceil(allowed_repeats * max(share, 0.5)))
        judge_slots(result.judge, result.slots.only(inside), allowed_repeats=allowed, where=where)


def machine_facts() -> dict[str, Any]:
    """What the figures were measured on; nothing that names the host."""
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        pass
    return {
        "cores": os.cpu_count() or 1,
        "processor": model,
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
    }


def verdict_words(result: Result) -> str:
    """The verdict in a sentence or two, for a person who has never seen the tool."""
    slots = len(result.slots)
    repeats = int(result.slots.repeated.sum())
    rate = result.stage.rate
    said = f"{slots} frames at {rate.hz:.5g} a second"
    if not repeats:
        said += ", every one of them on the walls in its own slot"
    else:
        said += f"; in {repeats} of them ({100.0 * repeats / max(1, slots):.2g} %) the picture before stayed up"
    camera = next(iter(result.cameras.values()), None)
    if camera is not None:
        age = p(camera.photos.age_ms, 50)
        slip = p(camera.measured.slip_px, 99)
        if age is not None:
            said += f". The camera's pose is {age:.0f} ms old when it is photographed"
            said += f", and what stands behind the wall is at most {slip:.1f} px beside its place" if slip else ""
            said += " in 99 of 100 photos" if slip else ""
    broken = result.broken
    if not broken:
        return f"Within all limits: {said}."
    named = "; ".join(dict.fromkeys(f"{_where(check)}: {title(check.name).lower()}" for check in broken))
    count = "1 limit is" if len(broken) == 1 else f"{len(broken)} limits are"
    return f"{count} broken ({named}). {said[0].upper()}{said[1:]}."


def _where(check: Check) -> str:
    kind, _, name = check.where.partition(" ")
    return f"under {name.replace('_', ' ')}" if kind == "load" else check.where


def loads_told(settings: Settings) -> dict[str, str]:
    """What each load of a run is."""
    return {name: LOADS[name] for name in settings.loads}
