"""The last two seconds of one source: ordered by time, newest wins, nothing implausible inside."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from math import isfinite
from typing import Final

import msgspec
import numpy as np

from stage.frames import Array, interpolate_pose
from tracking.config import Gates
from tracking.mapping import Mapping
from tracking.sample import Reason, Sample

KEEP_NS: Final = 2_000_000_000
MAX_SAMPLES: Final = 2048
FORGET_NS: Final = 500_000_000
"""After so long without a sample the camera may be anywhere: the speed gates ask nothing."""
SLACK_M: Final = 0.05
SLACK_DEG: Final = 2.0
MIN_STEP_S: Final = 0.01
"""Samples closer together than this (jitter, coalesced datagrams) are gated as if this far apart."""


class History:
    """Samples of one source, oldest first."""

    def __init__(self, gates: Gates) -> None:
        self.gates = gates
        self._times: list[int] = []
        self._samples: list[Sample] = []
        self._jump: list[Sample] = []

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def newest(self) -> Sample | None:
        """The sample with the latest time."""
        return self._samples[-1] if self._samples else None

    @property
    def samples(self) -> list[Sample]:
        """All samples, oldest first; not to be changed."""
        return self._samples

    def add(self, sample: Sample) -> Reason | None:
        """Take a sample in; the reason when it is refused (nan, range, duplicate, late, speed)."""
        camera = sample.stage_from_camera
        x, y, z = camera[0, 3], camera[1, 3], camera[2, 3]
        if not isfinite(camera.sum()):
            return "nan"
        if x * x + y * y + z * z > self.gates.range_m**2:
            return "range"
        t_ns = sample.t_sampled_ns
        at = bisect_left(self._times, t_ns)
        if at < len(self._times):
            if self._times[at] == t_ns:
                return "duplicate"
            if at == 0:
                return "late"
        if at > 0:
            before = self._samples[at - 1]
            if t_ns - before.t_sampled_ns < FORGET_NS and not self._near(before, sample):
                if not self._settled(sample):
                    return "speed"
                # The camera is where it was not a moment ago (moved by hand, tracker re-aligned): begin again there.
                self._times.clear()
                self._samples.clear()
                at = 0
        self._jump.clear()
        self._times.insert(at, t_ns)
        self._samples.insert(at, sample)
        if len(self._times) > 1 and (self._times[0] < self._times[-1] - KEEP_NS or len(self._times) > MAX_SAMPLES):
            cut = max(bisect_left(self._times, self._times[-1] - KEEP_NS), len(self._times) - MAX_SAMPLES)
            del self._times[:cut], self._samples[:cut]
        return None

    def at(self, t_ns: int) -> Array | None:
        """`stage_from_camera`, [4, 4], between the two samples around `t_ns` (position along the line, rotation along
        the arc); None outside the history."""
        i = bisect_left(self._times, t_ns)
        if i == len(self._times) or (i == 0 and self._times[0] != t_ns):
            return None
        after = self._samples[i]
        if after.t_sampled_ns == t_ns:
            return after.stage_from_camera
        before = self._samples[i - 1]
        span = after.t_sampled_ns - before.t_sampled_ns
        return interpolate_pose(before.stage_from_camera, after.stage_from_camera, (t_ns - before.t_sampled_ns) / span)

    def sample_at(self, t_ns: int) -> Sample | None:
        """The last sample not after `t_ns`."""
        i = bisect_left(self._times, t_ns + 1)
        return self._samples[i - 1] if i else None

    def period_ns(self) -> int | None:
        """Median time between the last samples, ns; None before the second."""
        times = self._times[-17:]
        if len(times) < 2:
            return None
        steps = sorted(b - a for a, b in pairwise(times))
        return steps[len(steps) // 2]

    def remap(self, mapping: Mapping) -> None:
        """Put every sample under a new alignment, so that a nudge is no movement."""
        self._samples = [
            msgspec.structs.replace(s, stage_from_camera=mapping.place(s.tracker_from_body)) for s in self._samples
        ]
        self._jump.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._times.clear()
        self._samples.clear()
        self._jump.clear()

    def _near(self, a: Sample, b: Sample) -> bool:
        """Whether a camera can get from `a` to `b`."""
        first, second = a.stage_from_camera, b.stage_from_camera
        step_s = max(abs(b.t_sampled_ns - a.t_sampled_ns) * 1e-9, MIN_STEP_S)
        moved = second[:3, 3] - first[:3, 3]
        far_m = self.gates.speed_m_s * step_s + SLACK_M
        if float(moved @ moved) > far_m * far_m:
            return False
        # trace(A^T B) = 1 + 2 cos(turn): the turn without a rotation vector per sample.
        turn_deg = self.gates.turn_deg_s * step_s + SLACK_DEG
        if turn_deg >= 180.0:
            return True
        limit = float(np.cos(np.radians(turn_deg)))
        trace = float(np.vdot(first[:3, :3], second[:3, :3]))
        return (trace - 1.0) / 2.0 >= limit

    def _settled(self, sample: Sample) -> bool:
        """Whether implausible samples have agreed with each other for `settle_ms`."""
        if self._jump and not self._near(self._jump[-1], sample):
            self._jump.clear()
        self._jump.append(sample)
        if len(self._jump) > 2:
            del self._jump[1:-1]
        span_ns = sample.t_sampled_ns - self._jump[0].t_sampled_ns
        return len(self._jump) > 1 and span_ns >= self.gates.settle_ms * 1e6
