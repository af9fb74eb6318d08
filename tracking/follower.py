"""Keeps what is on the walls from jumping when a source that was held comes back."""

from __future__ import annotations

from typing import Final

import numpy as np

from stage.frames import Array, inverse_pose, pose, rotation_from_vector, vector_from_rotation

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
