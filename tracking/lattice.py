"""A source's newest poses as six plain numbers each, to be read at even steps back in time.

Learning and predicting want the camera's path as columns of numbers at equal distances, whatever jitter, gaps and
bunches the samples came with. Turning is written as a rotation vector in one fixed chart: seen from an orientation
the camera had a moment ago. It is a coordinate of the whole rotation, exact there and back, and smooth far beyond
what a camera turns until the chart is moved after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stage.frames import Array, pose, rotation_from_vector
from tracking.history import History
from tracking.sample import Sample

GAP_NS: Final = 250_000_000
"""Samples before a gap this long say nothing about how the camera moves after it."""
CLOSEST_SHARE: Final = 0.6
"""Share of a source's period that two of its samples are apart at least."""
CHART_RAD: Final = 0.35
"""How far the camera turns away before the chart is moved after it."""
STAMPED_ALIKE: Final = 8
"""So many samples that took equally long are stamped by their arrival."""
MISSING_SHARE: Final = 1.5
"""Samples that are so many periods apart have lost one between them."""
NEAR_SHARE: Final = 0.25
"""Within such a share of a step a sample tells where the camera was."""
CURVE: Final = 4
LONG_CURVE: Final = 8
CAPACITY: Final = 1024
KEEP_NS: Final = 1_000_000_000


def vectors_of(rotations: Array) -> Array:
    """Rotation vectors, [n, 3], of rotations, [n, 3, 3], well below half a turn."""
    skew = np.stack(
        [
            rotations[:, 2, 1] - rotations[:, 1, 2],
            rotations[:, 0, 2] - rotations[:, 2, 0],
            rotations[:, 1, 0] - rotations[:, 0, 1],
        ],
        axis=1,
    )
    sine2 = np.sqrt((skew * skew).sum(axis=1))
    cosine2 = rotations[:, 0, 0] + rotations[:, 1, 1] + rotations[:, 2, 2] - 1.0
    angle = np.arctan2(sine2, cosine2)
    scale = np.where(sine2 > 1e-12, angle / np.maximum(sine2, 1e-300), 0.5)
    return np.asarray(skew * scale[:, None])


class Lattice:
    """The last second of a source.

    Attributes
    ----------
    newest : the sample its end is made from; None while empty.
    chart : rotation, [3, 3], from which turning is measured.
    """

    def __init__(self) -> None:
        self.newest: Sample | None = None
        self.chart: Array = np.eye(3)
        self._times: NDArray[np.int64] = np.zeros(CAPACITY, dtype=np.int64)
        self._values: Array = np.zeros((CAPACITY, 6))
        self._rotations: Array = np.zeros((CAPACITY, 3, 3))
        self._ways: NDArray[np.int64] = np.zeros(CAPACITY, dtype=np.int64)
        self._count = 0
        self._insertions = 0
        self._long_ns = GAP_NS

    def __len__(self) -> int:
        return self._count

    @property
    def t_ns(self) -> int:
        """Time of the newest sample."""
        return int(self._times[self._count - 1])

    @property
    def first_ns(self) -> int:
        """Time of the oldest sample that belongs to the present movement."""
        return int(self._times[0])

    def clear(self) -> None:
        """Forget everything."""
        self.newest, self._count = None, 0

    def follow(self, history: History) -> bool:
        """Take in what the history has beyond the newest sample taken; False for an empty history."""
        samples = history.samples
        if not samples:
            self.clear()
            return False
        in_order = history.insertions == self._insertions
        if in_order and samples[-1] is self.newest:
            return True
        # A sample that was overtaken stands among those already here: they are taken in anew.
        self._insertions = history.insertions
        fresh = _fresh(samples, self.newest) if in_order else None
        if fresh is None:
            self.clear()
            since_ns = samples[-1].t_sampled_ns - KEEP_NS
            fresh = [s for s in samples[-CAPACITY // 2 :] if s.t_sampled_ns >= since_ns]
        self._append(fresh, history.period_ns())
        return True

    def at(self, t_ns: NDArray[np.int64]) -> Array:
        """Values at times, [..., 6] for [...]: on the line between the samples around each, where one is missing on the
        curve through the two on either side; before the first, on the line through the first and the newest."""
        times, values = self._times[: self._count], self._values[: self._count]
        if self._count == 1:
            return np.broadcast_to(values[0], (*t_ns.shape, 6))
        after = np.searchsorted(times, t_ns).clip(1, self._count - 1)
        t0, t1 = times[after - 1], times[after]
        share = ((t_ns - t0) / (t1 - t0))[..., None]
        low = values[after - 1]
        out = low + (values[after] - low) * share
        gaps = (t1 - t0 > self._long_ns) & (t_ns > times[0])
        if self._count >= CURVE and gaps.any():
            out[gaps] = self._curve(after[gaps], t_ns[gaps])
        before = t_ns < times[0]
        if before.any():
            rate = (values[-1] - values[0]) / float(times[-1] - times[0])
            out[before] = values[0] + (t_ns[before] - times[0])[:, None] * rate
        return np.asarray(out)

    def missing(self, t_ns: NDArray[np.int64], step_ns: int, *, steps: int = 1) -> NDArray[np.bool_]:
        """Which of times that are `step_ns` apart, [...], have no sample near and lie in a gap of more than `steps` of
        them: `at` only guesses there."""
        times = self._times[: self._count]
        if self._count == 1:
            return np.asarray(t_ns != times[0])
        after = np.searchsorted(times, t_ns).clip(1, self._count - 1)
        t0, t1 = times[after - 1], times[after]
        far = np.minimum(t_ns - t0, t1 - t_ns)
        return np.asarray(
            (t1 - t0 > (steps - 1 + MISSING_SHARE) * step_ns) & (far > NEAR_SHARE * step_ns) | (t_ns < times[0])
        )

    def _curve(self, after: NDArray[np.intp], t_ns: NDArray[np.int64]) -> Array:
        """Values, [n, 6], on the polynomials through the samples around each time, [n]: the last four of them at the
        ends, as many on either side as there are elsewhere, four at most."""
        sides = np.minimum(after, self._count - after).clip(CURVE // 2, LONG_CURVE // 2)
        out = np.empty((len(t_ns), 6))
        # Not np.unique: its first call imports half of numpy, in the middle of a show.
        for side in set(sides.tolist()):
            rows = sides == side
            out[rows] = self._through(after[rows], t_ns[rows], 2 * side)
        return out

    def _through(self, after: NDArray[np.intp], t_ns: NDArray[np.int64], count: int) -> Array:
        """Values, [n, 6], on the polynomials through the `count` samples around each time, [n]."""
        nodes = (after - count // 2).clip(0, self._count - count)[:, None] + np.arange(count)
        from_s = (self._times[nodes] - t_ns[:, None]) * 1e-9
        weights = np.ones(from_s.shape)
        for i in range(count):
            for j in range(count):
                if j != i:
                    weights[:, i] *= from_s[:, j] / (from_s[:, j] - from_s[:, i])
        return np.asarray((weights[:, :, None] * self._values[nodes]).sum(axis=1))

    def moved(self, displacement: Array) -> Array:
        """`stage_from_camera`, [4, 4], of the newest sample moved by a displacement, [6]."""
        value = self._values[self._count - 1] + displacement
        return pose(value[3:], self.chart @ rotation_from_vector(value[:3]))

    def _append(self, fresh: Sequence[Sample], period_ns: int | None) -> None:
        # Joined, not `np.array` of them: that looks at each for what it is, and takes four times as long.
        poses = np.concatenate([s.stage_from_camera for s in fresh]).reshape(-1, 4, 4)
        times = [s.t_sampled_ns for s in fresh]
        for i in range(len(times) - 1, -1, -1):
            before_ns = times[i - 1] if i else (self.t_ns if self._count else None)
            if before_ns is not None and times[i] - before_ns > GAP_NS:
                poses, times, fresh = poses[i:], times[i:], fresh[i:]
                self._count = 0
                break
        self._make_room(len(times))
        if self._count == 0:
            self.chart = poses[0, :3, :3].copy()
        n, end = self._count, self._count + len(times)
        self._times[n:end] = times
        self._rotations[n:end] = poses[:, :3, :3]
        self._values[n:end, :3] = vectors_of(self.chart.T @ poses[:, :3, :3])
        self._values[n:end, 3:] = poses[:, :3, 3]
        self._ways[n:end] = [s.t_received_ns - s.t_sampled_ns for s in fresh]
        self._count, self.newest = end, fresh[-1]
        if period_ns is not None:
            self._long_ns = int(MISSING_SHARE * period_ns)
            self._spread(n, int(CLOSEST_SHARE * period_ns))
        if float(np.abs(self._values[end - 1, :3]).max()) > CHART_RAD:
            self.chart = self._rotations[end - 1].copy()
            self._values[:end, :3] = vectors_of(self.chart.T @ self._rotations[:end])

    def _make_room(self, count: int) -> None:
        if self._count + count <= CAPACITY:
            return
        keep = min(CAPACITY // 2, self._count)
        for array in (self._times, self._values, self._rotations, self._ways):
            array[:keep] = array[self._count - keep : self._count].copy()
        self._count = keep

    def _spread(self, first_new: int, least_ns: int) -> None:
        """Where arrivals are the stamps, several at once are a queue that stood still on the way: they are spread back
        in time, or a step of one period in a millisecond would look like forty times the speed."""
        times, ways = self._times, self._ways[max(0, self._count - STAMPED_ALIKE) : self._count]
        if (ways != ways[-1]).any() or (np.diff(times[max(0, first_new - 1) : self._count]) >= least_ns).all():
            return
        for i in range(self._count - 1, 0, -1):
            latest_ns = times[i] - least_ns
            if times[i - 1] > latest_ns:
                times[i - 1] = latest_ns
            elif i <= first_new:
                return


def _fresh(samples: Sequence[Sample], known: Sample | None) -> list[Sample] | None:
    """The samples after `known`; None when it is not among the last ones."""
    if known is None:
        return None
    for back in range(1, min(len(samples), CAPACITY // 2) + 1):
        if samples[-back] is known:
            return list(samples[len(samples) - back + 1 :])
        if samples[-back].t_sampled_ns < known.t_sampled_ns:
            break
    return None
