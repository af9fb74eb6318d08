"""The vertical blank of a display as the show's reference: pictures begin so long before it that they make it.

Pure: instants of blanks in, how far frames are off out. A display may show several pictures to a frame; then frames
begin before whichever of its blanks is nearest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median
from typing import Final, NamedTuple, Protocol

from runtime.clock import NS_PER_S
from runtime.frame_clock import FrameClock

SILENT_NS: Final = 2 * NS_PER_S
"""A display of which nothing was heard for so long is gone."""
LEAST: Final = 5
"""Blanks before an error is told."""


class Blank(NamedTuple):
    """A vertical blank that a picture was met with, and the time from one to the next by the display's mode."""

    t_ns: int
    period_ns: int


class Blanks(Protocol):
    """Where blanks are heard of."""

    def take(self, now_ns: int) -> Iterable[Blank]:
        """Those not taken yet."""

    def close(self) -> None:
        """Let go of it."""


class DisplayPhase:
    """How far frames begin from where the display wants them: `lead_ns` before its blanks."""

    def __init__(self, lead_ns: int) -> None:
        self._lead_ns = lead_ns
        self._phases: deque[int] = deque(maxlen=64)
        self._heard_ns: int | None = None
        self.heard = 0

    def hear(self, blank: Blank, frames: FrameClock) -> None:
        """A blank that was met."""
        if blank.period_ns <= 0:
            return
        self.heard += 1
        self._heard_ns = blank.t_ns
        _, after_ns = frames.nearest(blank.t_ns - self._lead_ns)
        # Nearest to the one before: an error of half a period must not jump to and fro.
        near_ns = self._phases[-1] if self._phases else 0
        half = blank.period_ns // 2
        self._phases.append(near_ns + (after_ns - near_ns + half) % blank.period_ns - half)

    def error_ns(self) -> int | None:
        """How much later than now frames should begin, by what was heard since it was asked last; None: too little."""
        if len(self._phases) < LEAST:
            return None
        error_ns = round(median(self._phases))
        self._phases.clear()
        return error_ns

    def forget(self) -> None:
        """Frames have jumped: what was heard before says nothing."""
        self._phases.clear()

    def silent(self, now_ns: int) -> bool:
        """Whether the display has gone. Before its first blank it has not come."""
        return self._heard_ns is not None and now_ns - self._heard_ns > SILENT_NS
