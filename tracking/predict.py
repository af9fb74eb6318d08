"""Where a camera will be at the photo: filtered constant velocity, damped by what the source's own residuals teach.

The pose predicted is the one after all offsets, as position and rotation vector, never as Euler axes. The velocity is
a weighted line through the last 80 ms. How much of it is carried forward (0..1, separately for turning and moving)
is the factor that would have been best over the last seconds: near 1 for a dolly, less for a hand that trembles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp
from typing import Final

import numpy as np

from stage.coverage import PredictionError
from stage.frames import Array, inverse_pose, pose, rotation_from_vector, vector_from_rotation
from tracking.health import COAST_NS
from tracking.history import History
from tracking.sample import PosePoint, Sample

WINDOW_NS: Final = 80_000_000
WEIGHT_S: Final = 0.05
MIN_SAMPLES: Final = 3
MAX_SAMPLES: Final = 24
CLOSEST_SHARE: Final = 0.6
"""Share of a source's period that two of its samples are apart at least."""
GAP_NS: Final = 250_000_000
"""Samples before a gap this long say nothing about the velocity after it."""
EASE_NS: Final = 60_000_000
"""Time constant of easing into a hold."""
FORGET_S: Final = 3.0
PRIOR_TURN_RAD: Final = 2e-4
PRIOR_MOVE_M: Final = 3e-4
"""Below such predicted steps the gain is not learned but taken as 1: there is nothing to damp."""
RESIDUALS: Final = 2048
QUANTILE: Final = 0.999
MAX_PENDING: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A camera's filtered state at `t_ns`."""

    t_ns: int
    rotation: Array
    """[3, 3]"""
    position_m: Array
    """[3]"""
    turn_rad_s: Array
    """[3]  rotation vector a second, in camera axes."""
    speed_m_s: Array
    """[3]  in stage axes."""
    known: bool = True
    """Whether enough samples made the velocity; else it is a guess that says nothing about the tracker."""

    def after(self, dt_s: float, turn_gain: float = 1.0, move_gain: float = 1.0) -> Array:
        """`stage_from_camera`, [4, 4], `dt_s` later, with that share of each velocity."""
        return pose(
            self.position_m + self.speed_m_s * (dt_s * move_gain),
            self.rotation @ rotation_from_vector(self.turn_rad_s * (dt_s * turn_gain)),
        )


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
    error: PredictionError
    """p99.9 of this source's own residuals at its photos."""

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


def motion_of(history: History) -> Motion | None:
    """The filtered state at the newest sample; None for an empty history."""
    samples = history.samples
    if not samples:
        return None
    newest = samples[-1]
    t_ns = newest.t_sampled_ns
    first = len(samples) - 1
    while first > 0 and len(samples) - first < MAX_SAMPLES:
        before = samples[first - 1].t_sampled_ns
        if samples[first].t_sampled_ns - before > GAP_NS:
            break
        if t_ns - before > WINDOW_NS and len(samples) - first >= MIN_SAMPLES:
            break
        first -= 1
    used = samples[first:]
    rotation, position = newest.stage_from_camera[:3, :3], newest.stage_from_camera[:3, 3]
    if len(used) < 2:
        return Motion(t_ns, rotation, position, np.zeros(3), np.zeros(3), known=False)
    poses = np.array([s.stage_from_camera for s in used])
    times_s = _spread_bunches(used, history.period_ns())
    turned = _vectors(rotation.T @ poses[:, :3, :3])
    weights = np.exp(times_s / WEIGHT_S)
    weights /= weights.sum()
    mean_s = float(weights @ times_s)
    lever = weights * (times_s - mean_s)
    spread = float(lever @ times_s)
    if spread < 1e-12:
        return Motion(t_ns, rotation, position, np.zeros(3), np.zeros(3), known=False)
    values = np.concatenate([turned, poses[:, :3, 3]], axis=1)
    rate = lever @ values / spread
    level = weights @ values - rate * mean_s
    return Motion(
        t_ns,
        rotation @ rotation_from_vector(level[:3]),
        level[3:],
        rate[:3],
        rate[3:],
        known=len(used) >= MIN_SAMPLES,
    )


def _spread_bunches(used: Sequence[Sample], period_ns: int | None) -> Array:
    """Seconds from the newest sample, [n], at most 0. Where arrivals are the stamps, several at once are a queue that
    stood still on the way: they are spread back in time, or a step of one period in a millisecond would look like
    forty times the speed."""
    t_ns = [s.t_sampled_ns for s in used]
    way_ns = used[-1].t_received_ns - used[-1].t_sampled_ns
    if period_ns is not None and all(s.t_received_ns - s.t_sampled_ns == way_ns for s in used):
        least_ns = int(CLOSEST_SHARE * period_ns)
        for i in range(len(t_ns) - 2, -1, -1):
            t_ns[i] = min(t_ns[i], t_ns[i + 1] - least_ns)
    return np.array([(t - t_ns[-1]) * 1e-9 for t in t_ns])


def _vectors(rotations: Array) -> Array:
    """Rotation vectors, [n, 3], of rotations, [n, 3, 3], well below half a turn."""
    skew = np.stack(
        [
            rotations[:, 2, 1] - rotations[:, 1, 2],
            rotations[:, 0, 2] - rotations[:, 2, 0],
            rotations[:, 1, 0] - rotations[:, 0, 1],
        ],
        axis=1,
    )
    sine2 = np.linalg.norm(skew, axis=1)
    cosine2 = np.trace(rotations, axis1=1, axis2=2) - 1.0
    angle = np.arctan2(sine2, cosine2)
    scale = np.where(sine2 > 1e-12, angle / np.maximum(sine2, 1e-300), 0.5)
    return np.asarray(skew * scale[:, None])


def eased_ns(overdue_ns: int) -> int:
    """How far an overdue source is still followed: fully for 100 ms, then easing into a hold."""
    if overdue_ns <= COAST_NS:
        return overdue_ns
    return COAST_NS + int(EASE_NS * (1.0 - exp(-(overdue_ns - COAST_NS) / EASE_NS)))


@dataclass(slots=True)
class _Pending:
    t_photo_ns: int
    motion: Motion
    dt_s: float
    predicted: Array
    focal_length_mm: float | None


class Predictor:
    """Predicts one source and learns from how wrong it was."""

    def __init__(self) -> None:
        self._pending: deque[_Pending] = deque(maxlen=MAX_PENDING)
        self._turn = [0.0, 0.0]
        self._move = [0.0, 0.0]
        self._learned_ns = 0
        self._residuals = np.zeros((RESIDUALS, 5))
        self._judged = 0
        self._error = PredictionError()
        self._error_stale = 0
        self._motion: tuple[Sample, Motion] | None = None

    @property
    def gains(self) -> tuple[float, float]:
        """Share of the turning and of the moving velocity that is carried forward."""
        return _gain(self._turn, PRIOR_TURN_RAD**2), _gain(self._move, PRIOR_MOVE_M**2)

    def predict(self, history: History, t_photo_ns: int, overdue_ns: int) -> Array:
        """`stage_from_camera`, [4, 4], at `t_photo_ns`, from a history that is not empty.

        overdue_ns: how long a sample has been missing. Predictions made while none is are judged later.
        """
        self.settle(history)
        inside = history.at(t_photo_ns)
        if inside is not None:
            return inside
        newest = history.samples[-1]
        if t_photo_ns < newest.t_sampled_ns:
            return history.samples[0].stage_from_camera
        motion = self._motion_of(history, newest)
        horizon_ns = t_photo_ns - motion.t_ns
        dt_s = max(0, horizon_ns - overdue_ns + eased_ns(overdue_ns)) * 1e-9
        turn_gain, move_gain = self.gains
        predicted = motion.after(dt_s, turn_gain, move_gain)
        if overdue_ns == 0:
            self._remember(newest, motion, t_photo_ns, dt_s, predicted)
        return predicted

    def hold(self, history: History, t_photo_ns: int, overdue_ns: int) -> Array:
        """The newest sample's `stage_from_camera`, [4, 4], exactly; how wrong it is at the photo is still learned."""
        self.settle(history)
        newest = history.samples[-1]
        if overdue_ns == 0 and t_photo_ns > newest.t_sampled_ns:
            motion = self._motion_of(history, newest)
            dt_s = (t_photo_ns - newest.t_sampled_ns) * 1e-9
            self._remember(newest, motion, t_photo_ns, dt_s, newest.stage_from_camera)
        return newest.stage_from_camera

    def _remember(self, newest: Sample, motion: Motion, t_photo_ns: int, dt_s: float, predicted: Array) -> None:
        if not motion.known or (self._pending and self._pending[-1].t_photo_ns >= t_photo_ns):
            return
        focal_length_mm = newest.lens.focal_length_mm if newest.lens is not None else None
        self._pending.append(_Pending(t_photo_ns, motion, dt_s, predicted, focal_length_mm))

    def settle(self, history: History) -> None:
        """Judge earlier predictions by the samples that have come since."""
        newest = history.newest
        if newest is None:
            return
        while self._pending and self._pending[0].t_photo_ns <= newest.t_sampled_ns:
            pending = self._pending.popleft()
            truth = history.at(pending.t_photo_ns)
            if truth is not None:
                self._judge(pending, truth, history)

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

    def forget_pending(self) -> None:
        """Drop predictions made under an older alignment; what was learned stays."""
        self._pending.clear()
        self._motion = None

    def _motion_of(self, history: History, newest: Sample) -> Motion:
        if self._motion is None or self._motion[0] is not newest:
            motion = motion_of(history)
            assert motion is not None
            self._motion = (newest, motion)
        return self._motion[1]

    def _judge(self, pending: _Pending, truth: Array, history: History) -> None:
        turned = np.degrees(vector_from_rotation(pending.predicted[:3, :3].T @ truth[:3, :3]))
        moved = float(np.linalg.norm(truth[:3, 3] - pending.predicted[:3, 3]))
        zoom = 0.0
        sample = history.sample_at(pending.t_photo_ns)
        if pending.focal_length_mm and sample is not None and sample.lens is not None:
            true_mm = sample.lens.focal_length_mm
            zoom = abs(true_mm / pending.focal_length_mm - 1.0) if true_mm else 0.0
        self._residuals[self._judged % RESIDUALS] = (*np.abs(turned), moved, zoom)
        self._judged += 1
        self._error_stale += 1
        # Least squares, forgetting: which factor on the predicted steps would have met the truth?
        motion = pending.motion
        keep = exp(-max(0, pending.t_photo_ns - self._learned_ns) * 1e-9 / FORGET_S) if self._learned_ns else 0.0
        self._learned_ns = max(self._learned_ns, pending.t_photo_ns)
        step_turn, step_move = motion.turn_rad_s * pending.dt_s, motion.speed_m_s * pending.dt_s
        true_turn = vector_from_rotation(motion.rotation.T @ truth[:3, :3])
        true_move = truth[:3, 3] - motion.position_m
        for sums, step, true in ((self._turn, step_turn, true_turn), (self._move, step_move, true_move)):
            sums[0] = sums[0] * keep + float(step @ true)
            sums[1] = sums[1] * keep + float(step @ step)


def _gain(sums: list[float], prior: float) -> float:
    return min(1.0, max(0.0, (sums[0] + prior) / (sums[1] + prior)))


RETURN_M_S: Final = 1.0
RETURN_DEG_S: Final = 60.0
RETURN_MIN_NS: Final = 120_000_000
RETURN_MAX_NS: Final = 1_500_000_000
UNSEEN_M: Final = 0.002
UNSEEN_DEG: Final = 0.05


class Follower:
    """Keeps what is on the wall from jumping when a held source comes back: the step is spread over time."""

    def __init__(self) -> None:
        self._held: Array | None = None
        self._offset: tuple[Array, Array] | None = None
        self._from_ns = 0
        self._for_ns = 0

    def follow(self, predicted: Array, t_photo_ns: int, *, holding: bool) -> Array:
        """The pose to use, [4, 4]. `holding`: the source is overdue and its pose eases into a hold."""
        if holding:
            self._held = self._blended(predicted, t_photo_ns)
            return self._held
        if self._held is not None:
            self._begin(self._held, predicted, t_photo_ns)
            self._held = None
        return self._blended(predicted, t_photo_ns)

    def reset(self) -> None:
        """Forget the past: the next pose is taken as it is."""
        self._held = self._offset = None

    def _begin(self, held: Array, predicted: Array, t_photo_ns: int) -> None:
        step = inverse_pose(predicted) @ held
        move_m, turn_rad = step[:3, 3], vector_from_rotation(step)
        far_m, far_deg = float(np.linalg.norm(move_m)), float(np.degrees(np.linalg.norm(turn_rad)))
        if far_m < UNSEEN_M and far_deg < UNSEEN_DEG:
            self._offset = None
            return
        self._offset = (move_m, turn_rad)
        self._from_ns = t_photo_ns
        longest_s = max(far_m / RETURN_M_S, far_deg / RETURN_DEG_S)
        self._for_ns = min(max(int(longest_s * 1e9), RETURN_MIN_NS), RETURN_MAX_NS)

    def _blended(self, predicted: Array, t_photo_ns: int) -> Array:
        if self._offset is None:
            return predicted
        s = (t_photo_ns - self._from_ns) / self._for_ns
        if s >= 1.0:
            self._offset = None
            return predicted
        left = 1.0 - max(0.0, s) ** 3 * (10.0 - 15.0 * s + 6.0 * s * s)
        move_m, turn_rad = self._offset
        out: Array = predicted @ pose(move_m * left, rotation_from_vector(turn_rad * left))
        return out
