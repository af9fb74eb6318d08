"""Meets a tracker's time code with the show's: both name the same instants, however long datagrams travel. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from stage.rate import Rate
from stage.timecode import LabelParts, TimecodeError, TimeOfDay, day_length_ns, drops, frame_of_parts, nominal_fps

DayAt = Callable[[int], TimeOfDay | None]
"""The show's time of day by its time code, at a time of our clock; None: it has none."""
LATEST_NS: Final = 1_000_000_000
EARLIEST_NS: Final = -200_000_000
"""A datagram comes so long after the frame it names, or so much before it: else the two are not the same time code."""


class SaidLabel(NamedTuple):
    """A time code as a packet says it."""

    parts: LabelParts
    rate: Rate
    """Labels a second; where the protocol knows only 24, 25 and 30, these."""
    rate_is_exact: bool = True
    """False: 24 and 30 may stand for 23.976 and 29.97."""
    drop_frame: bool | None = None
    """None: the packet does not say."""
    within_ns: int = 0
    """After the beginning of its frame."""

    @property
    def t_ns(self) -> int | None:
        """Since its midnight, taken by itself; None: it is no label of its rate."""
        try:
            frame = frame_of_parts(self.rate, self.parts, drop_frame=bool(self.drop_frame))
        except TimecodeError:
            return None
        return self.rate.deadline_ns(0, frame) + self.within_ns

    def counted(self, show: TimeOfDay | None) -> tuple[int | None, int]:
        """Since its midnight, and how long its day lasts; what the packet leaves open, as the show counts. None: it is
        no label of its rate."""
        named = None if show is None else _named(self, show.rate, show.drop_frame)
        if named is not None:
            return named
        return self.t_ns, day_length_ns(self.rate, drop_frame=bool(self.drop_frame))


class TimecodeMatch:
    """State of one source whose samples are matched by time code.

    Attributes
    ----------
    apart_ns : how far the show's time code is ahead of the source's while that cannot be; None while they agree.
    """

    def __init__(self) -> None:
        self.apart_ns: int | None = None
        self._label: SaidLabel | None = None
        self._first_ns = 0

    def local_ns(self, label: SaidLabel, t_received_ns: int, show: TimeOfDay) -> int | None:
        """When the sample with this label was taken, on our clock; None: cannot be told. show: when it came.

        Samples that share a label (several in a frame, no sub-frames said) lie as far after it as they came later.
        """
        named = _named(label, show.rate, show.drop_frame)
        if named is None:
            return None
        label_ns, label_day_ns = named
        if label != self._label:
            self._label, self._first_ns = label, t_received_ns
        apart_ns = show.t_ns - label_ns - (t_received_ns - self._first_ns)
        # One of both may have gone over midnight already; how long its day was, its own rate says to the nanosecond.
        age_ns = min(apart_ns, apart_ns + label_day_ns, apart_ns - show.day_ns, key=abs)
        if not EARLIEST_NS <= age_ns <= LATEST_NS:
            self.apart_ns = age_ns
            return None
        self.apart_ns = None
        return t_received_ns - age_ns


@lru_cache(maxsize=256)
def _named(label: SaidLabel, show_rate: Rate, show_drop_frame: bool | None) -> tuple[int, int] | None:
    """When a label began, ns since its midnight, and how long its day lasts; None: no label of its rate."""
    rate, within_ns = label.rate, label.within_ns
    if not label.rate_is_exact and show_rate.den != 1 and nominal_fps(show_rate) % rate.num == 0:
        # 24 and 30 are said of 23.976 and 29.97 too: of two that are one time code, the show knows.
        rate, within_ns = Rate(rate.num * 1000, 1001), within_ns * 1001 // 1000
    counted: tuple[bool | None, ...] = (label.drop_frame,)
    if label.drop_frame is None:
        # Labels that the show's counting leaves out were not counted so.
        counted = (True, False) if drops(show_rate) and show_drop_frame is not False else (False,)
    for drop_frame in counted:
        try:
            frame = frame_of_parts(rate, label.parts, drop_frame=drop_frame)
        except TimecodeError:
            continue
        return rate.deadline_ns(0, frame) + within_ns, day_length_ns(rate, drop_frame=drop_frame)
    return None
