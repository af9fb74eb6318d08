"""Where a camera will be at the photo: a linear predictor that learns this camera's own way of moving.

The pose predicted is the one after all offsets, as position and rotation vector, never as Euler axes. A source begins
with the line through its last steps; while it moves, a `Learner` finds the weights that would have foretold it best,
at every time ahead up to a third of a second. Learning, and judging what was predicted, is `adapt`'s, in the slack
between frames; `predict` itself is a few products of small arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Final

import numpy as np

from stage.frames import Array
from stage.overscan import PoseErrors
from tracking.health import COAST_NS
from tracking.history import History
from tracking.judge import Judge, Misses, Prediction, PredictionError
from tracking.lattice import Lattice
from tracking.learner import LAGS, Learner
from tracking.lens_track import lens_at
from tracking.sample import PosePoint, Sample

EASE_NS: Final = 60_000_000
"""Time constant of easing into a hold."""
SHORTEST_STEP_S: Final = 1 / 80
"""Sources quicker than this are read in steps of several periods: what moves a camera is slower."""
DEFAULT_PERIOD_NS: Final = 40_000_000
OTHER_RATE: Final = 0.15
"""A period that differs by this share is another rate: what was learned at the old one is void."""
KNOWN_SAMPLES: Final = 3
"""Predictions from fewer samples are guesses that say nothing about the tracker."""
LEARN_NS: Final = 60_000_000
"""New rows are taken in together, not more often than this."""
MOST_ROWS: Final = 32
WHOLE_NS: Final = 5_000_000_000
FEW_WHOLE: Final = 0.1
"""Where less than this share of the movement is without gaps, it is learned from with them."""
STANDING_BY_NS: Final = 1_200_000_000
MOST_STANDING_BY: Final = 112
"""So seldom a source learns that nobody asks, and from so many rows: what comes of the quickest in that time."""
NEAREST, NEAREST_SOON = 4, 8
"""So many times around the one asked for are interpolated between; more within the next steps, where all is exact."""
PAST: Final = 3
"""So many of them have been already."""
SOON_STEPS: Final = 2
GROWN_S: Final = 10.0
"""Once so much movement has been learned, the errors of the first half of it no longer count."""
UNADAPTED: Final = 6
"""A caller that never calls `adapt` has it done every so many predictions."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictedPose:
    """One camera at one photo time, with what it was made from."""

    camera: str
    t_photo_ns: int
    stage_from_camera: Array
    """[4, 4]  pose of the `pose_point`."""
    pose_point: PosePoint
    sample: Sample
    """The newest sample it was made from: source, packet_id, lens, stamps."""
    quality: str
    """State of the source: ok, coasting, lost or bad."""
    horizon_ns: int
    """Photo time less the newest sample's time; negative: interpolated."""
    errors: PoseErrors | None
    """This source's own errors at its last photos; None before the first."""

    def sensor_pose(self, entrance_pupil_m: float) -> Array:
        """`stage_from_camera`, [4, 4], of the sensor's middle, for a lens with that entrance pupil."""
        if self.pose_point != "pupil":
            return self.stage_from_camera
        out = self.stage_from_camera.copy()
        out[:3, 3] -= entrance_pupil_m * out[:3, 1]
        return out

    def pupil_m(self, entrance_pupil_m: float) -> Array:
        """Entrance pupil, [3] stage metres."""
        if self.pose_point == "pupil":
            return np.asarray(self.stage_from_camera[:3, 3])
        return np.asarray(self.stage_from_camera[:3, 3] + entrance_pupil_m * self.stage_from_camera[:3, 1])


def eased_ns(overdue_ns: int) -> int:
    """How far an overdue source is still followed: fully for 100 ms, then easing into a hold."""
    if overdue_ns <= COAST_NS:
        return overdue_ns
    return COAST_NS + int(EASE_NS * (1.0 - exp(-(overdue_ns - COAST_NS) / EASE_NS)))


class Predictor:
    """Predicts one source and learns from how it moves and how wrong it was.

    Attributes
    ----------
    lens_ns : by how much younger the lens is than the pose's stamp.
    """

    def __init__(self) -> None:
        self.lens_ns = 0
        self._lattice = Lattice()
        self._judge = Judge()
        self._learner: Learner | None = None
        self._step_ns = 0
        self._times_s: Array = np.zeros(1)
        self._learned_ns = self._since_ns = 0
        self._half_ns = 0
        """When half of what makes it grown was learned; -1 afterwards."""
        self._ahead: tuple[Sample, Array, Array] | None = None
        self._calls = 0
        self._adapted_ns = 0
        self._whole = 1.0
        """Share of the last seconds' movement of which no sample is missing."""

    @property
    def learned_s(self) -> float:
        """How much movement the weights have been learned from so far."""
        return self._learner.rows * self._learner.step_s if self._learner is not None else 0.0

    @property
    def judge(self) -> Judge:
        """What became of earlier predictions."""
        return self._judge

    def predict(self, history: History, t_photo_ns: int, overdue_ns: int) -> Array:
        """`stage_from_camera`, [4, 4], at `t_photo_ns`, from a history that is not empty.

        overdue_ns: how long a sample has been missing. Predictions made while none is are judged later.
        """
        self._calls += 1
        if self._calls > UNADAPTED:
            self.adapt(history)
        inside = history.at(t_photo_ns)
        if inside is not None:
            return inside
        newest = history.samples[-1]
        if t_photo_ns < newest.t_sampled_ns:
            return history.samples[0].stage_from_camera
        ahead_s = max(0, t_photo_ns - newest.t_sampled_ns - overdue_ns + eased_ns(overdue_ns)) * 1e-9
        predicted = self._lattice.moved(self._displacement(history, ahead_s))
        if overdue_ns == 0:
            self._remember(history, t_photo_ns, predicted)
        return predicted

    def hold(self, history: History, t_photo_ns: int, overdue_ns: int) -> Array:
        """The newest sample's `stage_from_camera`, [4, 4], exactly; how wrong it is at the photo is still learned."""
        self._calls += 1
        if self._calls > UNADAPTED:
            self.adapt(history)
        newest = history.samples[-1]
        if overdue_ns == 0 and t_photo_ns > newest.t_sampled_ns:
            self._table(history)
            self._remember(history, t_photo_ns, newest.stage_from_camera, held=True)
        return newest.stage_from_camera

    def adapt(self, history: History, *, standing_by: bool = False) -> None:
        """Judge earlier predictions by the samples that have come since, learn from the movement, and look ahead from
        the newest sample. For the slack between frames: it costs more than a prediction.

        standing_by: nobody asks where it will be. Then it only learns, and from more at a time.
        """
        self._calls = 0
        samples = history.samples
        if standing_by and samples and 0 <= samples[-1].t_sampled_ns - self._adapted_ns < STANDING_BY_NS:
            return
        self._judge.settle(history)
        if not samples:
            self._lattice.clear()
            return
        self._adapted_ns = samples[-1].t_sampled_ns
        self._lattice.follow(history)
        self._fitting(history)
        if self._learn(MOST_STANDING_BY if standing_by else MOST_ROWS):
            self._ahead = None
            self._grow()
        if not standing_by:
            self._table(history)

    def look_ahead(self, history: History) -> None:
        """Work out what does not depend on the time asked for, from the newest sample."""
        if history.samples:
            self._table(history)

    def errors(self) -> PoseErrors | None:
        """The last photos' errors, for overscan; None before the first."""
        return self._judge.errors()

    def error(self) -> PredictionError:
        """p99.9 of the last photos' errors; zeros before the first."""
        return self._judge.error()

    def residuals(self) -> Array:
        """Residuals of the last photos, absolute, [n, 5]: tilt, roll, pan (deg), position (m), zoom (ratio)."""
        return self._judge.residuals()

    def misses(self) -> dict[str, Misses]:
        """Errors at the last photos: of what was predicted, of holding, of constant velocity."""
        return self._judge.misses()

    def forget_pending(self) -> None:
        """Drop predictions made under an older alignment; what was learned stays."""
        self._judge.forget_pending()
        self._lattice.clear()
        self._ahead = None

    def begin_again(self, since_ns: int = 0) -> None:
        """Forget what was learned: it was learned from samples at wrong times. Those before `since_ns` still are."""
        self.forget_pending()
        self._learner, self._step_ns, self._since_ns = None, 0, since_ns

    def _displacement(self, history: History, ahead_s: float) -> Array:
        """From the newest sample, [6]: turn (rad, in the chart) and position (m), `ahead_s` later."""
        table, rate = self._table(history)
        return at_time(self._times_s, table, rate, ahead_s)

    def _table(self, history: History) -> tuple[Array, Array]:
        """Displacements from the newest sample at `_times_s`, [n, 6], and the line's, a second, [6]."""
        lattice = self._lattice
        lattice.follow(history)
        newest, learner = history.samples[-1], self._fitting(history)
        if self._ahead is not None and self._ahead[0] is newest:
            return self._ahead[1], self._ahead[2]
        times = lattice.t_ns - self._step_ns * _BACK
        values = lattice.at(times)
        steps = (values[:-1] - values[1:]).T
        missing = lattice.missing(times, self._step_ns)
        if missing.any():
            steps = learner.completed(steps, missing)
        table = np.concatenate([values[PAST:0:-1] - values[0], np.zeros((1, 6)), learner.displacements(steps)])
        rate = learner.rates(steps)
        self._ahead = (newest, table, rate)
        return table, rate

    def _fitting(self, history: History) -> Learner:
        """The learner for the source's present rate."""
        period_ns = history.period_ns() or DEFAULT_PERIOD_NS
        step_ns = period_ns * max(1, round(SHORTEST_STEP_S * 1e9 / period_ns))
        if self._learner is None or abs(step_ns - self._step_ns) > OTHER_RATE * self._step_ns:
            self._learner, self._step_ns, self._learned_ns = Learner(step_ns * 1e-9), step_ns, 0
            self._ahead, self._half_ns = None, 0
            self._times_s = np.concatenate([self._step_ns * 1e-9 * np.arange(-PAST, 1), self._learner.ahead_s])
        return self._learner

    def _learn(self, most: int) -> bool:
        """Learn from every step whose future is known by now, `most` rows; whether there was one."""
        lattice, learner, step_ns = self._lattice, self._learner, self._step_ns
        if learner is None or lattice.newest is None:
            return False
        # The same rows for every node, so that they share one matrix: those whose farthest future has come.
        until_ns = lattice.t_ns - learner.steps[-1] * step_ns
        first_ns = max(self._learned_ns + step_ns, max(lattice.first_ns, self._since_ns) + LAGS * step_ns)
        if until_ns - first_ns < LEARN_NS:
            return False
        rows = min((until_ns - first_ns) // step_ns + 1, most)
        # Rows lie a step apart and look whole steps back and ahead: they share their times, and each is asked once.
        before = rows - 1 + LAGS
        times = until_ns + step_ns * np.arange(-before, learner.steps[-1] + 1)
        at = np.arange(LAGS, before + 1)[:, None] + np.concatenate([-_BACK, np.array(learner.steps)])
        whole = np.atleast_1d(~lattice.missing(times[: before + 1], step_ns, steps=2)[at[:, : LAGS + 1]].any(axis=1))
        self._whole += (float(whole.mean()) - self._whole) * min(1.0, len(whole) * self._step_ns / WHOLE_NS)
        if self._whole > FEW_WHOLE:
            # What was guessed is no example to learn from, while there are others.
            at = at[whole]
        if not len(at):
            self._learned_ns = until_ns
            return False
        values = lattice.at(times)[at]
        past, now = values[:, : LAGS + 1], values[:, :1]
        learner.learn((past[:, :-1] - past[:, 1:]).transpose(0, 2, 1), values[:, LAGS + 1 :] - now)
        self._learned_ns = until_ns
        return True

    def _grow(self) -> None:
        if self._half_ns == 0 and self.learned_s >= GROWN_S / 2.0:
            self._half_ns = self._lattice.t_ns
        elif self._half_ns > 0 and self.learned_s >= GROWN_S:
            self._judge.forget_before(self._half_ns)
            self._half_ns = -1

    def _remember(self, history: History, t_photo_ns: int, predicted: Array, *, held: bool = False) -> None:
        if len(self._lattice) < KNOWN_SAMPLES or not self._judge.wants(t_photo_ns):
            return
        before, newest = history.samples[-2:]
        t_lens_ns = t_photo_ns - self.lens_ns
        lens = newest.lens if held else lens_at(history.samples, t_lens_ns)
        mm = None if lens is None else lens.focal_length_mm
        self._judge.remember(Prediction(t_photo_ns, predicted, newest, before, mm, t_lens_ns))


_BACK: Final = np.arange(LAGS + 1)


def at_time(times_s: Array, table: Array, rate: Array, ahead_s: float) -> Array:
    """Displacement `ahead_s` from now, [6], from those at `times_s`, [n] and [n, 6]: the polynomial through the nearest
    ones; past the last on at `rate`, [6]."""
    last_s = float(times_s[-1])
    if ahead_s >= last_s:
        return np.asarray(table[-1] + (ahead_s - last_s) * rate)
    after = int(np.searchsorted(times_s, ahead_s))
    count = NEAREST_SOON if after <= PAST + SOON_STEPS else NEAREST
    first = max(0, min(after - count // 2, len(times_s) - count))
    near_s = times_s[first : first + count].tolist()
    weights = []
    for i, here_s in enumerate(near_s):
        weight = 1.0
        for j, other_s in enumerate(near_s):
            if j != i:
                weight *= (ahead_s - other_s) / (here_s - other_s)
        weights.append(weight)
    return np.asarray(np.array(weights) @ table[first : first + count])
