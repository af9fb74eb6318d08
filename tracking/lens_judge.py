"""How wrong focal lengths were that a lens's own source foretold, once its readings of the photos have come. Pure.

Poses are judged by their own sources (`tracking.judge`); overscan covers both together, so the errors of the focal
length take the place of what came with the pose, photo by photo.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from stage.overscan import PoseErrors
from tracking.judge import FEW, MAX_PENDING, RESIDUALS, TOLD_EVERY, WINDOW_NS
from tracking.sample import LensReading

ZOOM: Final = 6
"""The column of `PoseErrors.rows` that tells how wrong the focal length was."""


class _Foretold(NamedTuple):
    t_photo_ns: int
    focal_length_mm: float


class LensJudge:
    """Remembers the focal lengths of photos until their readings come, then how far off they were."""

    def __init__(self) -> None:
        self._pending: deque[_Foretold] = deque(maxlen=MAX_PENDING)
        self._zoom = np.zeros(RESIDUALS)
        self._times = np.zeros(RESIDUALS, dtype=np.int64)
        self._judged = self._told_at = 0
        self._told: tuple[PoseErrors | None, PoseErrors] | None = None
        """What was told last, and the pose's errors then."""

    def remember(self, t_photo_ns: int, lens: LensReading) -> None:
        """Keep what a photo is planned with; the first word about it counts."""
        if lens.focal_length_mm and (not self._pending or self._pending[-1].t_photo_ns < t_photo_ns):
            self._pending.append(_Foretold(t_photo_ns, lens.focal_length_mm))

    def settle(self, newest_ns: int, at: Callable[[int], LensReading | None]) -> None:
        """Judge what can be judged by now. newest_ns : of the readings; at : the lens at a time up to then."""
        while self._pending and self._pending[0].t_photo_ns <= newest_ns:
            t_photo_ns, foretold_mm = self._pending.popleft()
            lens = at(t_photo_ns)
            if lens is None or not lens.focal_length_mm:
                continue
            row = self._judged % RESIDUALS
            self._zoom[row], self._times[row] = lens.focal_length_mm / foretold_mm - 1.0, t_photo_ns
            self._judged += 1

    def errors(self, own: PoseErrors | None) -> PoseErrors | None:
        """The pose's errors, `own`, with those of the focal length at the same photos; photos of which only the lens is
        known stand beside them. The same object for as long as neither has changed."""
        if not self._judged:
            return own
        fresh = self._judged - self._told_at
        if self._told is None or self._told[0] is not own or fresh >= TOLD_EVERY or (fresh and self._judged < FEW):
            self._told, self._told_at = (own, self._with_zoom(own)), self._judged
        return self._told[1]

    def _with_zoom(self, own: PoseErrors | None) -> PoseErrors:
        count = min(self._judged, RESIDUALS)
        order = np.argsort(self._times[:count], kind="stable")
        times, zoom = self._times[order], self._zoom[order]
        recent = times > times[-1] - WINDOW_NS
        times, zoom = times[recent], zoom[recent]
        rows, photos = (np.zeros((0, 7)), np.zeros(0, np.int64)) if own is None else (own.rows.copy(), own.t_photo_ns)
        at = np.minimum(np.searchsorted(times, photos), len(times) - 1)
        same = times[at] == photos
        rows[:, ZOOM] = np.where(same, zoom[at], 0.0)
        alone = np.ones(len(times), dtype=bool)
        alone[at[same]] = False
        beside = np.zeros((int(np.count_nonzero(alone)), 7))
        beside[:, ZOOM] = zoom[alone]
        return PoseErrors(np.concatenate([rows, beside]), np.concatenate([photos, times[alone]]))
