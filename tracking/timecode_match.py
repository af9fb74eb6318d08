"""Meets a tracker's time code with the show's: both name the same instants, however long datagrams travel. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tracking.source_clock import DAY_NS

DayAt = Callable[[int], int | None]
"""The show's time of day, ns since midnight by its time code, at a time of our clock; None: it has none."""
LATEST_NS: Final = 1_000_000_000
DAYS_NS: Final = (DAY_NS, DAY_NS * 1001 // 1000)
"""How long the labels of a day last: those of 23.976, 29.97 non-drop and 59.94 are slower than clocks."""
EARLIEST_NS: Final = -200_000_000
"""A datagram comes so long after the frame it names, or so much before it: else the two are not the same time code."""


class TimecodeMatch:
    """State of one source whose samples are matched by time code.

    Attributes
    ----------
    apart_ns : how far the show's time code is ahead of the source's while that cannot be; None while they agree.
    """

    def __init__(self) -> None:
        self.apart_ns: int | None = None
        self._label_ns: int | None = None
        self._first_ns = 0

    def local_ns(self, label_ns: int, t_received_ns: int, day_at: DayAt) -> int | None:
        """When the sample labelled `label_ns` (ns since midnight) was taken, on our clock; None: cannot be told.

        Samples that share a label (several in a frame, no sub-frames said) lie as far after it as they came later.
        """
        day_ns = day_at(t_received_ns)
        if day_ns is None:
            return None
        if label_ns != self._label_ns:
            self._label_ns, self._first_ns = label_ns, t_received_ns
        within_ns = t_received_ns - self._first_ns
        apart_ns = day_ns - label_ns - within_ns
        # One of both may have gone over midnight already.
        age_ns = min((apart_ns + day * sign for day in DAYS_NS for sign in (0, 1, -1)), key=abs)
        if not EARLIEST_NS <= age_ns <= LATEST_NS:
            self.apart_ns = age_ns
            return None
        self.apart_ns = None
        return t_received_ns - age_ns
