"""How finely inner frusta are drawn when a node cannot draw them in time: dynamic resolution.

It is the planner's decision, made from what the nodes report, and it is in the plan (`lowered_steps`, `raster_px`):
every node and every replay draws the same. Steps are small (an eighth of an octave of texels each way, a sixth of the
pixels). They go down when the drawing's p99 exceeds its budget, and up again only when the finer picture would be drawn
well within it, after a wait that doubles for a size that has proved too much. Pure: time is frame numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log2
from typing import Final

from stage.plan import FramePlan
from stage.rate import Rate

STEPS_PER_OCTAVE: Final = 8
"""Texel densities a camera may have, in each octave."""
PIXELS_A_STEP: Final = 2.0 ** (2.0 / STEPS_PER_OCTAVE)
WINDOW_S: Final = 2.0
WINDOW_LEAST: Final = 100
"""A p99 needs so many drawings."""
QUICK: Final = 12
"""After so many drawings of which a quarter exceed the budget nobody waits for the window."""
QUICK_SHARE: Final = 0.25
MOST_AT_ONCE: Final = 4
SETTLE: Final = 3
"""Frames of a new size that do not count: their pictures are made anew."""
RAISE_S: Final = 5.0
"""So long it must be quick enough for a finer picture."""
RAISE_SHARE: Final = 0.9
"""Share of the budget that the finer picture may be expected to take."""
PATIENCE_MOST: Final = 64
"""How many times RAISE_S is waited at the most."""


@dataclass(frozen=True, slots=True)
class ResolutionLimits:
    """What may be done: `steps_most` of lowering at the most, 0 for none, when drawing takes over `budget_share` of a
    period."""

    steps_most: int = 0
    budget_share: float = 0.75

    @classmethod
    def of(cls, *, ceiling: float, floor_: float, budget_share: float) -> ResolutionLimits:
        """From texels per LED: the usual ones and the fewest."""
        octaves = log2(ceiling / min(floor_, ceiling))
        return cls(floor(STEPS_PER_OCTAVE * octaves + 1e-9), budget_share)


class DynamicResolution:
    """Decides `lowered_steps` once a frame.

    Attributes
    ----------
    lowered_steps : by how many eighths of an octave inner pictures are coarser than configured, from the next plan on.
    changes : how often that has changed.
    """

    def __init__(self, rate: Rate, limits: ResolutionLimits) -> None:
        self.limits = limits
        self.budget_ns = int(rate.period_ns * limits.budget_share)
        self.lowered_steps = 0
        self.changes = 0
        self._window = max(WINDOW_LEAST, ceil(WINDOW_S * rate.hz))
        self._wait = max(self._window, ceil(RAISE_S * rate.hz))
        self._patience: dict[int, int] = {}
        """How many times longer than usual is waited before going up to a size, by its steps."""
        self._times_ns: dict[str, deque[int]] = {}
        self._from_frame = 0
        self._raised_frame: int | None = None
        """When it last went up, until that has proved right."""

    def resume(self, plan: FramePlan) -> None:
        """Go on from a plan that another made: nobody sees that the conductor was another."""
        steps = max((camera.lowered_steps for camera in plan.cameras), default=0)
        self.lowered_steps = min(steps, self.limits.steps_most)

    def expect(self, frame: int) -> None:
        """From `frame` on something else is drawn: what was measured says nothing about it."""
        self._forget(frame)
        self._patience.clear()
        self._raised_frame = None

    def measured(self, node: str, frame: int, draw_ns: int) -> None:
        """A node's report of one frame: from the start of its drawing to the picture being ready."""
        if frame < self._from_frame or draw_ns <= 0:
            return
        times = self._times_ns.setdefault(node, deque(maxlen=self._wait))
        times.append(draw_ns)

    def decide(self, frame: int, *, held: bool = False) -> int:
        """The steps for the plan of `frame`, which is still to be made; unchanged while `held` (a take, frozen
        cameras)."""
        if held or not self.limits.steps_most:
            return self.lowered_steps
        if self._raised_frame is not None and frame - self._raised_frame > 2 * self._wait:
            self._raised_frame = None
            self._patience.pop(self.lowered_steps, None)
        down = max((self._too_slow(times) for times in self._times_ns.values()), default=0)
        if down and self.lowered_steps < self.limits.steps_most:
            if self._raised_frame is not None:
                times = self._patience.get(self.lowered_steps, 1)
                self._patience[self.lowered_steps] = min(PATIENCE_MOST, 2 * times)
                self._raised_frame = None
            self._change(frame, min(self.limits.steps_most, self.lowered_steps + down))
        elif self.lowered_steps and self._quick_enough(frame):
            self._raised_frame = frame
            self._change(frame, self.lowered_steps - 1)
        return self.lowered_steps

    @property
    def draw_p99_ns(self) -> int:
        """The slowest node's p99 since the last change; 0 before it is known."""
        return max((_p99(times) for times in self._times_ns.values() if times), default=0)

    def _too_slow(self, times: deque[int]) -> int:
        """Steps to go down by for what one node took."""
        count = len(times)
        if count < QUICK:
            return 0
        recent = list(times)[-self._window :]
        over = sum(time_ns > self.budget_ns for time_ns in recent)
        if over >= max(3, QUICK_SHARE * len(recent)):
            typical = sorted(time_ns for time_ns in recent if time_ns > self.budget_ns)[over // 2]
        elif len(recent) >= self._window and _p99(recent) > self.budget_ns:
            # A few slow frames among many quick ones: one step, as the typical frame is well.
            return 1
        else:
            return 0
        steps = ceil(STEPS_PER_OCTAVE / 2.0 * log2(typical / self.budget_ns))
        return min(MOST_AT_ONCE, max(1, steps))

    def _quick_enough(self, frame: int) -> bool:
        wait = self._wait * self._patience.get(self.lowered_steps - 1, 1)
        if frame < self._from_frame + wait or not self._times_ns:
            return False
        return all(
            len(times) >= self._window and _p99(times) * PIXELS_A_STEP <= RAISE_SHARE * self.budget_ns
            for times in self._times_ns.values()
        )

    def _change(self, frame: int, steps: int) -> None:
        self.lowered_steps = steps
        self.changes += 1
        self._forget(frame + SETTLE)

    def _forget(self, frame: int) -> None:
        self._times_ns.clear()
        self._from_frame = frame


def _p99(times: Sequence[int] | deque[int]) -> int:
    ordered = sorted(times)
    return ordered[ceil(0.99 * len(ordered)) - 1]
