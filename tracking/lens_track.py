"""What the lens does at a photo: between samples on the line, past the newest carried on a little, then held. Pure.

A pull speeds up and slows down all the way: past the newest sample it goes on along the parabola through the last ones.
"""

from __future__ import annotations

from math import exp, log
from typing import Final

import msgspec
import numpy as np

from tracking.sample import LensReading, Sample

SPAN_NS: Final = 60_000_000
"""How far back the speed of a pull is taken from where few samples are known,"""
CURVE_NS: Final = 120_000_000
"""and its curve: less, and an encoder's steps show; more, and a hard rack is over before it is seen."""
FEWEST: Final = 4
STEPS: Final = 3
"""So many different values make a movement of what is told in steps."""
LONGEST_AHEAD_NS: Final = 160_000_000
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
    recent = _recent(samples)
    if all(lens is newest.lens for _, lens in recent):
        return newest.lens
    return _carried(recent, newest.lens, ahead_ns)


def _recent(samples: list[Sample]) -> list[tuple[int, LensReading]]:
    """The readings that tell how it moves, newest first, and how long before the newest each was, ns."""
    t_ns = samples[-1].t_sampled_ns
    found: list[tuple[int, LensReading]] = []
    for sample in reversed(samples):
        age_ns = t_ns - sample.t_sampled_ns
        if sample.lens is None or age_ns > (CURVE_NS if len(found) > 1 else STALE_NS):
            break
        found.append((age_ns, sample.lens))
    if len(found) < FEWEST:
        # A line, then: and no farther back than a line is true.
        found = [(age_ns, lens) for i, (age_ns, lens) in enumerate(found) if i < 2 or age_ns <= SPAN_NS]
    return found


def _carried(recent: list[tuple[int, LensReading]], newest: LensReading, ahead_ns: int) -> LensReading:
    """The newest reading as it will be."""
    changed: dict[str, float] = {}
    for name, there, back in (
        ("focal_length_mm", log, exp),
        ("focus_distance_m", _reciprocal, _reciprocal),
        ("entrance_pupil_m", float, float),
    ):
        told = [getattr(lens, name) for _, lens in recent]
        if any(value is None or (value <= 0.0 and there is not float) for value in told):
            continue
        if len(set(told)) < min(len(told), STEPS):
            # It stands, or flutters between two counts of its encoder.
            continue
        values = [there(value) for value in told]
        ahead = values[0] + _on([age_ns / ahead_ns for age_ns, _ in recent], values)
        if there is not _reciprocal or ahead > 0.0:
            changed[name] = back(ahead)
    return msgspec.structs.replace(newest, **changed) if changed else newest


def _on(ages: list[float], values: list[float]) -> float:
    """How far values go on in one unit of time: along the parabola that fits them best, from the newest one on; of a
    few, along the line through the first and the last."""
    if len(values) < FEWEST:
        return (values[0] - values[-1]) / ages[-1]
    x = -np.array(ages)
    y = np.array(values)
    x, y = x - x.mean(), y - y.mean()
    bent = x * x
    bent -= bent.mean()
    xx, xb, bb, xy, by = (float(v) for v in (x @ x, x @ bent, bent @ bent, x @ y, bent @ y))
    whole = xx * bb - xb * xb
    slope, bend = (xy * bb - by * xb) / whole, (by * xx - xy * xb) / whole
    at = float(x[0])
    return slope + bend * ((at + 1.0) ** 2 - at * at)


def _reciprocal(value: float) -> float:
    return 1.0 / value


def _between(a: LensReading, b: LensReading, share: float) -> LensReading:
    """`a` at 0, `b` at 1, along the line; what is not on one is the older one's."""
    changed: dict[str, float] = {}
    if a.focal_length_mm and b.focal_length_mm and a.focal_length_mm != b.focal_length_mm:
        first = log(a.focal_length_mm)
        changed["focal_length_mm"] = exp(first + (log(b.focal_length_mm) - first) * share)
    if a.focus_distance_m and b.focus_distance_m and a.focus_distance_m != b.focus_distance_m:
        first = 1.0 / a.focus_distance_m
        changed["focus_distance_m"] = 1.0 / (first + (1.0 / b.focus_distance_m - first) * share)
    if a.entrance_pupil_m is not None and b.entrance_pupil_m is not None and a.entrance_pupil_m != b.entrance_pupil_m:
        changed["entrance_pupil_m"] = a.entrance_pupil_m + (b.entrance_pupil_m - a.entrance_pupil_m) * share
    return msgspec.structs.replace(a, **changed) if changed else a


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
