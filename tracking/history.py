"""The last two seconds of one source: ordered by time, newest wins, nothing implausible inside."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from math import cos, isfinite, pi, radians, sin
from typing import Final

import msgspec
import numpy as np

from stage.frames import Array, interpolate_pose
from tracking.config import Gates
from tracking.mapping import Mapping as SourceMapping
from tracking.sample import Reason, Sample

KEEP_NS: Final = 2_000_000_000
AT_ONCE_NS: Final = 100_000_000
"""So much of it is forgotten at once: taking the first of hundreds out for every one that comes costs more than a tenth
of what taking it in does."""
MAX_SAMPLES: Final = 2048
FORGET_NS: Final = 500_000_000
"""After so long without a sample the camera may be anywhere: the speed gates ask nothing."""
SLACK_M: Final = 0.05
SLACK_DEG: Final = 2.0
MIN_STEP_S: Final = 0.01
"""Samples closer together than this (jitter, coalesced datagrams) are gated as if this far apart."""


_Flat = tuple[int, list[float]]
"""A time, and the pose then as 16 plain numbers, row by row."""
SLACK_COS: Final = cos(radians(SLACK_DEG))


class History:
    """Samples of one source, oldest first."""

    def __init__(self, gates: Gates) -> None:
        self.gates = gates
        self._times: list[int] = []
        self._samples: list[Sample] = []
        self._last: _Flat | None = None
        """Of the newest sample: plain numbers, because gates on array elements cost more than decoding does."""
        self.insertions = 0
        """How often samples came after younger ones and have found their place, or were given another one."""
        self.restarts = 0
        """How often it has begun again, because the camera was elsewhere in an instant and stayed there."""
        self._jump: list[_Flat] = []
        self._period_ns: int | None = None
        self._period_age = 0

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def gates(self) -> Gates:
        """What no camera does."""
        return self._gates

    @gates.setter
    def gates(self, gates: Gates) -> None:
        self._gates = gates
        # At 90 degrees everything passes, rounding errors of the axis included.
        self._steepest = sin(radians(gates.tilt_deg)) if gates.tilt_deg < 90.0 else 2.0
        self._range2 = gates.range_m**2

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
        flat = sample.stage_from_camera.ravel().tolist()
        if not isfinite(sum(flat)):
            return "nan"
        x, y, z = flat[3], flat[7], flat[11]
        if x * x + y * y + z * z > self._range2:
            return "range"
        # The optical axis' height tells the tilt.
        if not -self._steepest <= flat[9] <= self._steepest:
            return "range"
        t_ns = sample.t_sampled_ns
        times = self._times
        here = (t_ns, flat)
        last = self._last
        if last is not None and not self._jump and t_ns > times[-1] and _is_close(last[1], flat):
            # As nearly all are: the next one, and hardly anywhere else.
            times.append(t_ns)
            self._samples.append(sample)
            self._last = here
            if times[0] < t_ns - KEEP_NS or len(times) > MAX_SAMPLES:
                self._trim()
            return None
        at = len(times) if not times or t_ns > times[-1] else bisect_left(times, t_ns)
        if at < len(times):
            if times[at] == t_ns:
                return "duplicate"
            if at == 0:
                return "late"
        if at > 0:
            if at == len(times) and self._last is not None:
                before = self._last
            else:
                before = _flat(self._samples[at - 1])
            if t_ns - before[0] >= FORGET_NS or self._near(before, here):
                # Where it was refused a moment ago: only time has made it possible. What lies between the two places
                # was no movement, and nothing must be predicted from it.
                begins_again = bool(self._jump) and self._near(self._jump[-1], here)
            elif self._settled(here):
                # The camera is where it was not a moment ago (moved by hand, tracker re-aligned).
                begins_again = True
            else:
                return "speed"
            if begins_again:
                self.clear()
                self.restarts += 1
                at = 0
        self._jump.clear()
        times.insert(at, t_ns)
        self._samples.insert(at, sample)
        if at == len(times) - 1:
            self._last = here
        else:
            self.insertions += 1
        if times[0] < times[-1] - KEEP_NS or len(times) > MAX_SAMPLES:
            self._trim()
        return None

    def _trim(self) -> None:
        times = self._times
        cut = max(bisect_left(times, times[-1] - KEEP_NS + AT_ONCE_NS), len(times) - MAX_SAMPLES)
        del times[:cut], self._samples[:cut]

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

    def far_from(self, t_ns: int, stage_from_camera: Array) -> float:
        """How far a pose lies from where this camera is then, past its last samples if it goes on as between them:
        metres, and as much for a radian. At least two samples are needed."""
        i = bisect_left(self._times, t_ns)
        if i == len(self._times) or i == 0:
            before, last = self._samples[-2:]
            return self.far_past(t_ns, stage_from_camera, last.t_sampled_ns, before.t_sampled_ns)
        before, after = self._samples[i - 1 : i + 1]
        # Between neighbours every number of the pose runs on a line, as far as this matters.
        first, span_ns = before.stage_from_camera[:3], after.t_sampled_ns - before.t_sampled_ns
        place = first + (t_ns - before.t_sampled_ns) / span_ns * (after.stage_from_camera[:3] - first)
        return float(np.abs(stage_from_camera[:3] - place).sum())

    def far_past(self, t_ns: int, stage_from_camera: Array, last_ns: int, before_ns: int) -> float:
        """The same past the last two samples, if they stand at those times."""
        before, last = (sample.stage_from_camera[:3] for sample in self._samples[-2:])
        place = last + (t_ns - last_ns) / max(1, last_ns - before_ns) * (last - before)
        return float(np.abs(stage_from_camera[:3] - place).sum())

    def sample_at(self, t_ns: int) -> Sample | None:
        """The last sample not after `t_ns`."""
        i = bisect_left(self._times, t_ns + 1)
        return self._samples[i - 1] if i else None

    def period_ns(self) -> int | None:
        """Median time between the last samples, ns, looked at anew every few samples; None before the second."""
        self._period_age += 1
        if self._period_ns is None or self._period_age >= 8 or len(self._times) < 16:
            self._period_age = 0
            steps = sorted(b - a for a, b in pairwise(self._times[-17:]))
            self._period_ns = steps[len(steps) // 2] if steps else None
        return self._period_ns

    def remap(self, mapping: SourceMapping) -> None:
        """Put every sample under a new alignment, so that a nudge is no movement."""
        self._samples = [
            msgspec.structs.replace(s, stage_from_camera=mapping.place(s.tracker_from_body)) for s in self._samples
        ]
        self._last = _flat(self._samples[-1]) if self._samples else None
        self._jump.clear()

    def shift(self, later_ns: int) -> None:
        """Move every sample in time by `later_ns`: the source's delay has been set anew."""
        self._samples = [msgspec.structs.replace(s, t_sampled_ns=s.t_sampled_ns + later_ns) for s in self._samples]
        self._times = [s.t_sampled_ns for s in self._samples]
        self._last = _flat(self._samples[-1]) if self._samples else None
        self._jump.clear()

    def retime(self, times_ns: Mapping[int, int], later_ns: int) -> None:
        """Give samples other times, by their packets' ids, `later_ns` added; what would stand twice stays once."""
        samples, times = self._samples, self._times
        left = len(times_ns)
        i = 0
        for i in range(len(samples) - 1, -1, -1):
            t_ns = times_ns.get(samples[i].packet_id)
            if t_ns is None:
                continue
            times[i] = t_ns + later_ns
            samples[i] = msgspec.structs.replace(samples[i], t_sampled_ns=times[i])
            left -= 1
            if not left:
                break
        if any(b <= a for a, b in pairwise(times[max(0, i - 1) :])):
            kept = {s.t_sampled_ns: s for s in samples}
            self._times = sorted(kept)
            self._samples = [kept[t_ns] for t_ns in self._times]
        # Who has read them has to read them again.
        self.insertions += 1
        self._period_ns = None
        self._last = _flat(self._samples[-1]) if self._samples else None
        self._jump.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._times.clear()
        self._samples.clear()
        self._jump.clear()
        self._last = None
        self._period_ns = None

    def _near(self, a: _Flat, b: _Flat) -> bool:
        """Whether a camera can get from `a` to `b`."""
        p, q = a[1], b[1]
        step_s = max(abs(b[0] - a[0]) * 1e-9, MIN_STEP_S)
        dx, dy, dz = q[3] - p[3], q[7] - p[7], q[11] - p[11]
        far_m = self.gates.speed_m_s * step_s + SLACK_M
        if dx * dx + dy * dy + dz * dz > far_m * far_m:
            return False
        turn_rad = radians(self.gates.turn_deg_s * step_s + SLACK_DEG)
        if turn_rad >= pi:
            return True
        # trace(A^T B) = 1 + 2 cos(turn)
        trace = (
            p[0] * q[0] + p[1] * q[1] + p[2] * q[2]
            + p[4] * q[4] + p[5] * q[5] + p[6] * q[6]
            + p[8] * q[8] + p[9] * q[9] + p[10] * q[10]
        )  # fmt: skip
        return (trace - 1.0) / 2.0 >= cos(turn_rad)

    def _settled(self, here: _Flat) -> bool:
        """Whether implausible samples have agreed with each other for `settle_ms`."""
        if self._jump and not self._near(self._jump[-1], here):
            self._jump.clear()
        self._jump.append(here)
        if len(self._jump) > 2:
            del self._jump[1:-1]
        return len(self._jump) > 1 and here[0] - self._jump[0][0] >= self.gates.settle_ms * 1e6


def _flat(sample: Sample) -> _Flat:
    return sample.t_sampled_ns, sample.stage_from_camera.ravel().tolist()


def _is_close(p: list[float], q: list[float]) -> bool:
    """Whether a camera can get from `p` to `q` however short the time."""
    dx, dy, dz = q[3] - p[3], q[7] - p[7], q[11] - p[11]
    return (
        dx * dx + dy * dy + dz * dz <= SLACK_M * SLACK_M
        and p[0] * q[0] + p[1] * q[1] + p[2] * q[2]
        + p[4] * q[4] + p[5] * q[5] + p[6] * q[6]
        + p[8] * q[8] + p[9] * q[9] + p[10] * q[10] >= 1.0 + 2.0 * SLACK_COS
    )  # fmt: skip
