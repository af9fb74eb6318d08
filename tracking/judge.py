"""How wrong predictions were, once the samples of their photos have come; against holding and constant velocity too."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

import numpy as np

from stage.coverage import PredictionError
from stage.frames import Array, rotation_from_vector
from tracking.history import History
from tracking.lattice import vectors_of
from tracking.sample import Sample

RESIDUALS: Final = 2048
QUANTILE: Final = 0.999
MAX_PENDING: Final = 256
RIVALS: Final = ("predicted", "held", "velocity")


class Prediction(NamedTuple):
    """One prediction that waits for its truth."""

    t_photo_ns: int
    predicted: Array
    """[4, 4]  what was used."""
    newest: Sample
    """The newest sample then,"""
    before: Sample
    """and the one before it."""


@dataclass(frozen=True, slots=True)
class Misses:
    """Errors over the last photos of one way to predict."""

    rms_deg: float = 0.0
    p95_deg: float = 0.0
    rms_mm: float = 0.0
    p95_mm: float = 0.0


class Judge:
    """Remembers predictions until their photos' samples come, then how far off they were."""

    def __init__(self) -> None:
        self._pending: deque[Prediction] = deque(maxlen=MAX_PENDING)
        self._residuals = np.zeros((RESIDUALS, 5))
        self._rivals = np.zeros((RESIDUALS, len(RIVALS), 2))
        self._judged = 0
        self._error = PredictionError()
        self._error_stale = 0

    def wants(self, t_photo_ns: int) -> bool:
        """Whether a prediction for this photo would be the first one."""
        return not self._pending or self._pending[-1].t_photo_ns < t_photo_ns

    def remember(self, prediction: Prediction) -> None:
        """Keep a prediction until the samples around its photo are there."""
        self._pending.append(prediction)

    def forget_pending(self) -> None:
        """Drop what waits: it was predicted under another alignment."""
        self._pending.clear()

    def settle(self, history: History) -> None:
        """Judge what can be judged by now."""
        newest = history.newest
        while newest is not None and self._pending and self._pending[0].t_photo_ns <= newest.t_sampled_ns:
            prediction = self._pending.popleft()
            truth = history.at(prediction.t_photo_ns)
            if truth is not None:
                self._take(prediction, truth, history)

    def error(self) -> PredictionError:
        """p99.9 of the residuals over the last photos, in camera axes; zeros before the first."""
        # The quantile of thousands of photos hardly changes from one to the next, and this is the frame's path.
        if self._error_stale and (self._error_stale >= 8 or self._judged < 64):
            self._error_stale = 0
            count = min(self._judged, RESIDUALS)
            rank = min(count - 1, ceil(QUANTILE * (count - 1)))
            worst = np.partition(self._residuals[:count], rank, axis=0)[rank]
            tilt, roll, pan, position, zoom = (float(v) for v in worst)
            self._error = PredictionError(pan_deg=pan, tilt_deg=tilt, roll_deg=roll, position_m=position, zoom=zoom)
        return self._error

    def residuals(self) -> Array:
        """Residuals of the last photos, absolute, [n, 5]: tilt, roll, pan (deg), position (m), zoom (ratio)."""
        return self._residuals[: min(self._judged, RESIDUALS)].copy()

    def misses(self) -> dict[str, Misses]:
        """Errors of the prediction used, of holding the newest sample, and of constant velocity, at the same photos."""
        count = min(self._judged, RESIDUALS)
        if not count:
            return {name: Misses() for name in RIVALS}
        squares = self._rivals[:count]
        rms = np.sqrt(squares.mean(axis=0))
        p95 = np.sqrt(np.quantile(squares, 0.95, axis=0))
        return {
            name: Misses(float(rms[i, 0]), float(p95[i, 0]), 1000.0 * float(rms[i, 1]), 1000.0 * float(p95[i, 1]))
            for i, name in enumerate(RIVALS)
        }

    def _take(self, prediction: Prediction, truth: Array, history: History) -> None:
        newest, before = prediction.newest, prediction.before
        held, first = newest.stage_from_camera, before.stage_from_camera
        span_ns = max(1, newest.t_sampled_ns - before.t_sampled_ns)
        periods = (prediction.t_photo_ns - newest.t_sampled_ns) / span_ns
        step = vectors_of((first[:3, :3].T @ held[:3, :3])[None])[0]
        velocity = held[:3, :3] @ rotation_from_vector(step * periods)
        rotations = np.stack([prediction.predicted[:3, :3], held[:3, :3], velocity])
        turned = np.degrees(vectors_of(rotations.transpose(0, 2, 1) @ truth[:3, :3]))
        moved_on = held[:3, 3] + (held[:3, 3] - first[:3, 3]) * periods
        places = np.stack([prediction.predicted[:3, 3], held[:3, 3], moved_on])
        moved = truth[:3, 3] - places
        row = self._judged % RESIDUALS
        self._rivals[row, :, 0] = (turned * turned).sum(axis=1)
        self._rivals[row, :, 1] = (moved * moved).sum(axis=1)
        zoom = 0.0
        sample = history.sample_at(prediction.t_photo_ns)
        if newest.lens is not None and sample is not None and sample.lens is not None:
            mm, true_mm = newest.lens.focal_length_mm, sample.lens.focal_length_mm
            zoom = abs(true_mm / mm - 1.0) if mm and true_mm else 0.0
        self._residuals[row, :3] = np.abs(turned[0])
        self._residuals[row, 3] = np.sqrt(self._rivals[row, 0, 1])
        self._residuals[row, 4] = zoom
        self._judged += 1
        self._error_stale += 1
