"""How wrong predictions were, once the samples of their photos have come; against holding and constant velocity too."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stage.frames import Array, rotation_from_vector
from stage.overscan import COVERED, PoseErrors
from tracking.history import History
from tracking.lattice import vectors_of
from tracking.lens_track import lens_at
from tracking.sample import Sample

RESIDUALS: Final = 2048
WINDOW_NS: Final = 90_000_000_000
"""Photos whose errors count."""
TOLD_EVERY: Final = 8
"""The errors of hundreds of photos hardly change from one to the next."""
FEW: Final = 64
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
    focal_length_mm: float | None = None
    """What was used,"""
    t_lens_ns: int = 0
    """and when the lens was so."""


@dataclass(frozen=True, slots=True)
class Misses:
    """Errors over the last photos of one way to predict."""

    rms_deg: float = 0.0
    p95_deg: float = 0.0
    rms_mm: float = 0.0
    p95_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class PredictionError:
    """How wrong predictions were at the last photos: what 99.9 % of them did not exceed, each for itself."""

    pan_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0
    position_m: float = 0.0
    zoom: float = 0.0
    """Relative error of the focal length."""


class Judge:
    """Remembers predictions until their photos' samples come, then how far off they were."""

    def __init__(self) -> None:
        self._pending: deque[Prediction] = deque(maxlen=MAX_PENDING)
        self._rows = np.zeros((RESIDUALS, 7))
        self._rivals = np.zeros((RESIDUALS, len(RIVALS), 2))
        self._times = np.zeros(RESIDUALS, dtype=np.int64)
        self._since_ns = 0
        self._judged = 0
        self._errors: PoseErrors | None = None
        self._stale = 0
        self._told: tuple[int, int, PredictionError, dict[str, Misses]] | None = None
        """What was told last, and how many had been judged then."""

    def wants(self, t_photo_ns: int) -> bool:
        """Whether a prediction for this photo would be the first one."""
        return not self._pending or self._pending[-1].t_photo_ns < t_photo_ns

    def remember(self, prediction: Prediction) -> None:
        """Keep a prediction until the samples around its photo are there."""
        self._pending.append(prediction)

    def forget_pending(self) -> None:
        """Drop what waits: it was predicted under another alignment."""
        self._pending.clear()

    def forget_before(self, t_ns: int) -> None:
        """Photos before `t_ns` no longer count: what predicted them knew less of this camera."""
        self._since_ns = t_ns

    def settle(self, history: History) -> None:
        """Judge what can be judged by now."""
        newest = history.newest
        while newest is not None and self._pending and self._pending[0].t_photo_ns <= newest.t_sampled_ns:
            prediction = self._pending.popleft()
            truth = history.at(prediction.t_photo_ns)
            if truth is not None:
                self._take(prediction, truth, history)

        if self._stale >= TOLD_EVERY or (self._stale and self._judged < FEW):
            self._stale = 0
            recent = self._recent()
            self._errors = PoseErrors(self._rows[recent], self._times[recent])

    def errors(self) -> PoseErrors | None:
        """The last photos' errors, for overscan; None before the first."""
        return self._errors

    def error(self) -> PredictionError:
        """p99.9 of the last photos' errors; zeros before the first. Worked out anew every few photos."""
        return self._summary()[0]

    def misses(self) -> dict[str, Misses]:
        """Errors of the prediction used, of holding the newest sample, and of constant velocity, at the same photos.
        Worked out anew every few photos."""
        return self._summary()[1]

    def _summary(self) -> tuple[PredictionError, dict[str, Misses]]:
        told, judged = self._told, self._judged
        if (
            told is None
            or told[1] != self._since_ns
            or (judged != told[0] and (judged < FEW or judged - told[0] >= TOLD_EVERY))
        ):
            told = self._told = (judged, self._since_ns, self._error(), self._misses())
        return told[2], told[3]

    def _error(self) -> PredictionError:
        residuals = self.residuals()
        if not len(residuals):
            return PredictionError()
        rank = min(len(residuals) - 1, ceil(COVERED * (len(residuals) - 1)))
        tilt, roll, pan, position, zoom = np.partition(residuals, rank, axis=0)[rank].tolist()
        return PredictionError(pan_deg=pan, tilt_deg=tilt, roll_deg=roll, position_m=position, zoom=zoom)

    def residuals(self) -> Array:
        """Errors of the last photos, absolute, [n, 5]: tilt, roll, pan (deg), position (m), zoom (ratio)."""
        rows = self._rows[self._recent()]
        out = np.abs(rows[:, [0, 1, 2, 3, 6]])
        out[:, 3] = np.sqrt((rows[:, 3:6] ** 2).sum(axis=1))
        return np.asarray(out)

    def _misses(self) -> dict[str, Misses]:
        squares = self._rivals[self._recent()]
        count = len(squares)
        if not count:
            return {name: Misses() for name in RIVALS}
        rms = np.sqrt(squares.mean(axis=0))
        # Not np.quantile: its first call imports half of numpy, in the middle of a show.
        rank = min(count - 1, ceil(0.95 * (count - 1)))
        p95 = np.sqrt(np.partition(squares, rank, axis=0)[rank])
        return {
            name: Misses(float(rms[i, 0]), float(p95[i, 0]), 1000.0 * float(rms[i, 1]), 1000.0 * float(p95[i, 1]))
            for i, name in enumerate(RIVALS)
        }

    def _recent(self) -> NDArray[np.intp]:
        """Rows of the last photos."""
        count = min(self._judged, RESIDUALS)
        if not count:
            return np.zeros(0, dtype=np.intp)
        newest_ns = int(self._times[(self._judged - 1) % RESIDUALS])
        return np.flatnonzero(self._times[:count] > max(newest_ns - WINDOW_NS, self._since_ns))

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
        if prediction.focal_length_mm:
            lens = lens_at(history.samples, prediction.t_lens_ns)
            true_mm = None if lens is None else lens.focal_length_mm
            zoom = true_mm / prediction.focal_length_mm - 1.0 if true_mm else 0.0
        self._rows[row, :3] = turned[0]
        self._rows[row, 3:6] = prediction.predicted[:3, :3].T @ moved[0]
        self._rows[row, 6] = zoom
        self._times[row] = prediction.t_photo_ns
        self._judged += 1
        self._stale += 1
