"""Keeps what is on the walls from jumping when a source that was held comes back, or another takes its camera over."""

from __future__ import annotations

from typing import Final

import numpy as np

from stage.frames import Array, rotation_from_vector, vector_from_rotation

STEP_MM: Final = 75.0
STEP_DEG: Final = 4.5
"""The most that is made up in one frame, unless it is configured."""
PERIOD_NS: Final = 40_000_000
SHORTEST_NS: Final = 120_000_000
STEEPEST: Final = 1.875
"""Of the curve that the way back follows: its middle is so much steeper than its mean."""
UNSEEN_M: Final = 0.002
UNSEEN_DEG: Final = 0.05


class Follower:
    """Spreads the step from a held pose to the tracker's over time.

    step_mm, step_deg : the most it makes up in a frame of `period_ns`, beyond the camera's own movement.
    """

    def __init__(self, step_mm: float = STEP_MM, step_deg: float = STEP_DEG, period_ns: int = PERIOD_NS) -> None:
        self.limit(step_mm, step_deg, period_ns)
        self._held: Array | None = None
        self._last: Array | None = None
        self._offset: tuple[Array, Array] | None = None
        self._from_ns = 0
        self._for_ns = 0

    def limit(self, step_mm: float, step_deg: float, period_ns: int) -> None:
        """Set what is made up in a frame at most, from the next return on."""
        self._step_m, self._step_deg, self._period_ns = step_mm / 1000.0, step_deg, period_ns

    def follow(self, predicted: Array, t_photo_ns: int, *, holding: bool) -> Array:
        """The pose to use, [4, 4]. `holding`: the source is overdue and its pose eases into a hold."""
        if not holding and self._held is not None:
            self._begin(self._held, predicted, t_photo_ns)
        self._last = self._blended(predicted, t_photo_ns)
        self._held = self._last if holding else None
        return self._last

    def stay(self) -> None:
        """What follows is elsewhere: go there from where the camera was last."""
        if self._held is None:
            self._held = self._last

    def take_over(self, held: Array) -> None:
        """Begin at `held`, [4, 4]: where another source's follower left the camera."""
        self._held, self._offset = held, None

    def reset(self) -> None:
        """Forget the past: the next pose is taken as it is."""
        self._held = self._last = self._offset = None

    def _begin(self, held: Array, predicted: Array, t_photo_ns: int) -> None:
        move_m = held[:3, 3] - predicted[:3, 3]
        turn_rad = vector_from_rotation(predicted[:3, :3].T @ held[:3, :3])
        far_m, far_deg = float(np.linalg.norm(move_m)), float(np.degrees(np.linalg.norm(turn_rad)))
        if far_m < UNSEEN_M and far_deg < UNSEEN_DEG:
            self._offset = None
            return
        self._offset = (move_m, turn_rad)
        self._from_ns = t_photo_ns
        frames = STEEPEST * max(far_m / self._step_m, far_deg / self._step_deg)
        self._for_ns = max(int(frames * self._period_ns), SHORTEST_NS)

    def _blended(self, predicted: Array, t_photo_ns: int) -> Array:
        if self._offset is None:
            return predicted
        s = (t_photo_ns - self._from_ns) / self._for_ns
        if s >= 1.0:
            self._offset = None
            return predicted
        left = 1.0 - max(0.0, s) ** 3 * (10.0 - 15.0 * s + 6.0 * s * s)
        move_m, turn_rad = self._offset
        out = predicted.copy()
        out[:3, 3] += move_m * left
        out[:3, :3] = predicted[:3, :3] @ rotation_from_vector(turn_rad * left)[:3, :3]
        return out
