"""From figures to verdicts: every limit is one check, and a run is good when none is broken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import numpy as np

from controller.ledger import percentiles_of
from controller.status import Percentiles
from controller.timing.limits import LEAST, Limits, about
from controller.timing.recording import Photos, Slots
from controller.timing.slip import Measured
from stage.frames import Array
from stage.plan import REASONS

SHOW: Final = "show"


@dataclass(frozen=True, slots=True)
class Check:
    """One figure beside its limit.

    name : a field of Limits, or a word for what must simply hold; where : `show`, a load, or a row of the fault
    matrix; measured, limit : None where there is none; good : None when it was not judged; words : what it means here.
    """

    name: str
    where: str
    measured: float | None
    limit: float | None
    good: bool | None
    words: str

    def told(self) -> str:
        """For people, in one line."""
        verdict = {True: "good", False: "BROKEN", None: "not judged"}[self.good]
        limit = "" if self.limit is None else f" ({'at least' if self.name in LEAST else 'at most'} {self.limit:g})"
        measured = "not measured" if self.measured is None else f"{self.measured:.4g}"
        return f"{verdict}: {self.where} {self.name} {measured}{limit}"


class Judge:
    """Collects checks of one run."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.checks: list[Check] = []

    @property
    def good(self) -> bool:
        """Whether no limit is broken."""
        return all(check.good is not False for check in self.checks)

    @property
    def broken(self) -> list[Check]:
        """Checks that failed."""
        return [check for check in self.checks if check.good is False]

    def limit(self, name: str, measured: float | None, where: str = SHOW, words: str = "") -> Check:
        """Judge a figure by its limit. A figure that could not be had is not judged."""
        limit: float | None = getattr(self.limits, name)
        value = None if measured is None or not isfinite(measured) else float(measured)
        good: bool | None = None
        if limit is not None and value is not None:
            good = value >= limit if name in LEAST else value <= limit
        return self._add(Check(name, where, value, limit, good, words or about(name)))

    def holds(self, name: str, good: bool, where: str, words: str, measured: float | None = None) -> Check:
        """Judge something that must simply hold."""
        return self._add(Check(name, where, measured, None, bool(good), words))

    def _add(self, check: Check) -> Check:
        self.checks.append(check)
        return check


def spread(values: Array) -> Percentiles:
    """Percentiles of the values that are known."""
    known = np.asarray(values, dtype=np.float64)
    return percentiles_of(known[np.isfinite(known)].tolist())


def p(values: Array, share: float) -> float | None:
    """One percentile, by nearest rank; None of nothing."""
    known = np.sort(np.asarray(values, dtype=np.float64)[np.isfinite(values)])
    if not len(known):
        return None
    return float(known[min(len(known) - 1, max(0, int(np.ceil(len(known) * share / 100.0)) - 1))])


def judge_slots(judge: Judge, slots: Slots, *, allowed_repeats: int = 0, where: str = SHOW) -> None:
    """What must hold of every run's slots; `allowed_repeats`: those a metronome of equal class lost too."""
    count = max(1, len(slots))
    none = REASONS.index("none")
    repeated = slots.repeated
    judge.limit("slots_unreported", float((~slots.reported).sum()), where)
    judge.limit("slots_mixed", float(slots.mixed.sum()), where)
    judge.limit("repeats_without_reason", float((repeated & (slots.reason == none)).sum()), where)
    extra = max(0, int(repeated.sum()) - allowed_repeats)
    judge.limit("repeats_beyond_metronome_share", extra / count, where)
    judge.limit("slots_without_plan_share", float((slots.t_latched_ns == 0).sum()) / count, where)


def judge_photos(
    judge: Judge, slots: Slots, photos: Photos, measured: Measured, period_ns: int, *, sample_ns: int
) -> None:
    """What must hold of what one camera photographed. `sample_ns`: from one of its tracker's samples to the next."""
    reach_ns = photos.t_photo_ns - slots.t_present_ns
    own_frames = (photos.age_ms * 1e6 - reach_ns - sample_ns) / period_ns
    where = f"camera {photos.camera}"
    judge.limit("age_p99_ms", p(photos.age_ms, 99), where)
    judge.limit("age_beyond_wall_p99_frames", p(own_frames, 99), where)
    judge.limit("error_p99_mm", p(measured.error_mm, 99), where)
    judge.limit("error_p99_deg", p(measured.error_deg, 99), where)
    judge.limit("slip_p99_px", p(measured.slip_px, 99), where)
    known = measured.covered[np.isfinite(measured.covered)]
    judge.limit("covered_share", float((known >= 1.0).mean()) if len(known) else None, where)


def figures_of(photos: Photos, measured: Measured, period_ns: int) -> dict[str, Any]:
    """What a camera's photos were like, for the report."""
    import msgspec

    def told(values: Array) -> dict[str, float]:
        out: dict[str, float] = msgspec.to_builtins(spread(values))
        return out

    known = measured.covered[np.isfinite(measured.covered)]
    return {
        "age_ms": told(photos.age_ms),
        "age_frames": told(photos.age_ms / (period_ns / 1e6)),
        "error_mm": told(measured.error_mm),
        "error_deg": told(measured.error_deg),
        "slip_px": told(measured.slip_px),
        "slip_max_px": told(measured.slip_max_px),
        "covered_share": float((known >= 1.0).mean()) if len(known) else None,
        "overscan_deg": [float(v) for v in np.mean(photos.overscan_deg, axis=0)] if len(photos.overscan_deg) else None,
    }


def worst(values: Iterable[float | None]) -> float | None:
    """The greatest of the known ones."""
    known = [value for value in values if value is not None and isfinite(value)]
    return max(known, default=None)
