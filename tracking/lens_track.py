"""What the lens does at a photo: between samples on the line, past the newest carried on a little, then held. Pure."""

from __future__ import annotations

from math import exp, log
from typing import Final

import msgspec
import numpy as np

from tracking.sample import LensReading, Sample

SPAN_NS: Final = 60_000_000
"""How far back the speed of a pull is taken from."""
LONGEST_AHEAD_NS: Final = 100_000_000
STALE_NS: Final = 250_000_000
"""Samples further apart tell no speed."""


def lens_at(samples: list[Sample], t_ns: int, *, predict: bool = True) -> LensReading | None:
    """The lens at `t_ns`, of samples in order of time; `predict` False holds the newest reading.

    Focal lengths change by ratios, focus by its reciprocal, the entrance pupil evenly; what else a reading says is the
    older sample's.
    """
    newest = samples[-1]
    if newest.lens is None:
        return None
    if t_ns < newest.t_sampled_ns:
        after = newest
        for sample in reversed(samples[:-1]):
            if sample.t_sampled_ns <= t_ns:
                if sample.lens is None or sample.lens is after.lens or after.lens is None:
                    return after.lens if sample.lens is None else sample.lens
                span_ns = after.t_sampled_ns - sample.t_sampled_ns
                return _between(sample.lens, after.lens, (t_ns - sample.t_sampled_ns) / span_ns)
            after = sample
        return after.lens
    ahead_ns = min(t_ns - newest.t_sampled_ns, LONGEST_AHEAD_NS)
    if not predict or ahead_ns <= 0:
        return newest.lens
    before = _before(samples)
    if before is None or before.lens is None or before.lens is newest.lens:
        return newest.lens
    return _between(before.lens, newest.lens, 1.0 + ahead_ns / (newest.t_sampled_ns - before.t_sampled_ns))


def _before(samples: list[Sample]) -> Sample | None:
    """The sample that the speed is taken from."""
    newest, found = samples[-1], None
    for sample in reversed(samples[:-1]):
        age_ns = newest.t_sampled_ns - sample.t_sampled_ns
        if age_ns > STALE_NS or (found is not None and age_ns > SPAN_NS):
            break
        found = sample
    return found


def _between(a: LensReading, b: LensReading, share: float) -> LensReading:
    """`a` at 0, `b` at 1, and on along the same line; the newer one's other fields beyond 1."""
    whole = b if share >= 1.0 else a
    changed: dict[str, float] = {}
    if a.focal_length_mm and b.focal_length_mm and a.focal_length_mm != b.focal_length_mm:
        first = log(a.focal_length_mm)
        changed["focal_length_mm"] = exp(first + (log(b.focal_length_mm) - first) * share)
    if a.focus_distance_m and b.focus_distance_m and a.focus_distance_m != b.focus_distance_m:
        first = 1.0 / a.focus_distance_m
        near = first + (1.0 / b.focus_distance_m - first) * share
        if near > 0.0:
            changed["focus_distance_m"] = 1.0 / near
    if a.entrance_pupil_m is not None and b.entrance_pupil_m is not None and a.entrance_pupil_m != b.entrance_pupil_m:
        changed["entrance_pupil_m"] = a.entrance_pupil_m + (b.entrance_pupil_m - a.entrance_pupil_m) * share
    return msgspec.structs.replace(whole, **changed) if changed else whole


KEPT_NS: Final = 500_000_000
_STILL: Final = np.eye(4)


class LensTrack:
    """What a lens said of late, where no pose comes with it."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []

    @property
    def newest(self) -> Sample | None:
        """Its newest reading, as a sample without a pose of its own; None before the first."""
        return self._samples[-1] if self._samples else None

    @property
    def period_ns(self) -> int | None:
        """Of the readings kept; None: of one nothing can be told."""
        kept = self._samples
        return (kept[-1].t_sampled_ns - kept[0].t_sampled_ns) // (len(kept) - 1) if len(kept) > 1 else None

    def add(self, t_sampled_ns: int, t_received_ns: int, lens: LensReading) -> None:
        """Take in a reading; one that was overtaken is late and let go."""
        kept = self._samples
        if kept and t_sampled_ns < kept[-1].t_sampled_ns:
            return
        if kept and t_sampled_ns == kept[-1].t_sampled_ns:
            kept.pop()
        kept.append(Sample("", "", t_sampled_ns, t_received_ns, _STILL, _STILL, lens=lens))
        if kept[0].t_sampled_ns < t_sampled_ns - 2 * KEPT_NS:
            del kept[: next(i for i, sample in enumerate(kept) if sample.t_sampled_ns >= t_sampled_ns - KEPT_NS)]

    def at(self, t_ns: int, *, predict: bool = True) -> LensReading | None:
        """The lens at a time, as `lens_at` has it; None before the first reading."""
        return lens_at(self._samples, t_ns, predict=predict) if self._samples else None
