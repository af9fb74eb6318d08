"""Time code jam: which label each frame of the show bears, taken from an outside time code, with a flywheel.

The mapping is one whole number: frame n bears the label of frame `n + offset` of the day. It is taken over when
several labels in a row agree, and kept when they stop (the flywheel), when single ones are wrong, and while a take
rolls. Pure: labels and frame numbers in, labels out.
"""

from __future__ import annotations

import enum
from collections import Counter
from typing import Final, Literal

from runtime.references.labels import HeardLabel
from stage.rate import Rate
from stage.timecode import TimecodeError, frame_of_parts, frames_per_day, frames_per_label, label_rate, timecode_at

AGREE: Final = 4
"""Labels in a row that must agree before they are believed."""
SLIP_LABELS: Final = 48
"""A time code without a moment of its own (MTC, Art-Net) may be one frame off by its jitter; so many in a row are no
jitter."""
_SAME: Final = 0.75
"""Labels within this many frames of each other's mapping agree; more than a half, so that one that begins in the middle
of a frame is not taken for two."""
_JITTER: Final = 1.75

Fault = Literal["", "reverse", "stopped", "jumped", "rate", "drop_frame"]
Refused = Literal["rate", "drop_frame", "range", "alone"]


class JamState(enum.Enum):
    """Where the labels come from."""

    WAITING = "waiting"
    """None was ever jammed: labels count from the show's own start."""
    JAMMED = "jammed"
    FLYWHEEL = "flywheel"
    """The time code is gone, or not usable: labels go on by themselves."""


class Jam:
    """The labels of a show at `rate`, as heard from outside.

    labels_per_s : 24, 25 or 30; None: as many as fit the show. drop_frame : what the show's labels are; None: as the
    time code says. agree : labels in a row that must agree.

    Attributes
    ----------
    state : JamState; fault : why the time code is not usable now, "" while it is
    offset : int | None  whole frames; waiting_offset : the one a jumped time code asks for, not taken over yet
    heard, jumps, slips : labels heard; how often another place was taken over; how often by one frame
    refused : labels left aside, by reason
    """

    def __init__(
        self, rate: Rate, *, labels_per_s: int | None = None, drop_frame: bool | None = None, agree: int = AGREE
    ) -> None:
        self.rate = rate
        self.labels = label_rate(rate, labels_per_s)
        self.drop_frame = drop_frame
        self.state = JamState.WAITING
        self.fault: Fault = ""
        self.offset: int | None = None
        self.waiting_offset: int | None = None
        self.heard = self.jumps = self.slips = 0
        self.refused: Counter[Refused] = Counter()
        self.last_ns = 0
        self._each = frames_per_label(rate, self.labels)
        self._agree = agree
        self._candidate: int | None = None
        self._times = 0
        self._number: int | None = None
        self._since_ns = 0
        self._slipping = 0
        self._day = frames_per_day(rate, drop_frame=drop_frame)

    @property
    def silent_after_ns(self) -> int:
        """After so long without a usable label the flywheel takes over: half a second, or six labels."""
        return max(500_000_000, 6 * self.labels.period_ns)

    def hear(self, label: HeardLabel, position: float, *, rolling: bool = False) -> float | None:
        """Take in a label whose frame began at `position` of the show (frame 7 and a half: 7.5). Returns how many
        frames after the beginning of the frame that bears it that is; None while the label is not believed.
        """
        self.heard += 1
        number = self._usable(label)
        if number is None:
            return None
        before, self._number = self._number, number
        if number == before:
            # Some senders repeat each label; a machine in pause repeats one for long.
            if label.t_ns - self._since_ns > 3 * self.labels.period_ns:
                self.fault = "stopped"
                self._times = 0
            return None
        self._since_ns = label.t_ns
        if before is not None and -4 <= number - before < 0:
            self._refuse("reverse", None)
            return None
        wanted = number * self._each - position
        if self._candidate is not None and abs(self._away(wanted, self._candidate)) < _SAME:
            self._times += 1
        else:
            self._candidate, self._times = round(wanted), 1
        if self.offset is None:
            if self._times < self._agree:
                return None
            self._take(self._candidate, label.t_ns)
            return -self._away(wanted, self._candidate)
        away = self._away(wanted, self.offset)
        if abs(away) < (_SAME if label.exact else _JITTER):
            self._fits(label.t_ns)
            self._slipping = self._slipping + 1 if abs(away) >= _SAME else 0
            if self._slipping >= SLIP_LABELS and not rolling:
                self.slips += 1
                self._slipping = 0
                self.offset = (self.offset + round(away)) % self._day
                away = self._away(wanted, self.offset)
            return -away
        if self._times < self._agree:
            self.refused["alone"] += 1
            return None
        if rolling:
            self.waiting_offset, self.fault = self._candidate, "jumped"
            self.state = JamState.FLYWHEEL
            return None
        self.jumps += 1
        self._take(self._candidate, label.t_ns)
        return -self._away(wanted, self._candidate)

    def _away(self, wanted: float, offset: int) -> float:
        """`wanted - offset`, around the day."""
        half = self._day / 2
        return (wanted - offset + half) % self._day - half

    def tick(self, now_ns: int, *, rolling: bool = False) -> None:
        """Look at the time: without labels the flywheel goes on; a jump that waited for a take's end is made."""
        if self.state is JamState.JAMMED and now_ns - self.last_ns > self.silent_after_ns:
            self.state = JamState.FLYWHEEL
        if self.waiting_offset is not None and not rolling:
            self.jumps += 1
            self._take(self.waiting_offset, now_ns)

    def restore(self, offset: int) -> None:
        """Go on with what another process had jammed; the time code must confirm it."""
        self.offset = offset % self._day
        self.state = JamState.FLYWHEEL

    def timecode(self, frame: int) -> str:
        """The label of a frame; before the first jam counted from frame 0."""
        return timecode_at(self.rate, frame + (self.offset or 0), drop_frame=self.drop_frame)

    def _take(self, offset: int, t_ns: int) -> None:
        self.offset = offset % self._day
        self._fits(t_ns)

    def _fits(self, t_ns: int) -> None:
        self.state = JamState.JAMMED
        self.fault = ""
        self.waiting_offset = None
        self.last_ns = t_ns

    def _usable(self, label: HeardLabel) -> int | None:
        """The label's number at the time code's own rate, or None (counted) when it means nothing to this show."""
        if label.reverse:
            self._refuse("reverse", None)
        elif label.labels_per_s and label.labels_per_s != -(-self.labels.num // self.labels.den):
            self._refuse("rate", "rate")
        elif self.drop_frame is not None and label.drop_frame != self.drop_frame:
            self._refuse("drop_frame", "drop_frame")
        else:
            try:
                number = frame_of_parts(self.labels, label.parts, drop_frame=label.drop_frame)
            except TimecodeError:
                # 29 frames in a second of 25: only seen to be wrong now and then.
                self._refuse("rate", "range")
            else:
                if self.drop_frame is None:
                    self.drop_frame = label.drop_frame
                    self._day = frames_per_day(self.rate, drop_frame=label.drop_frame)
                return number
        return None

    def _refuse(self, fault: Fault, reason: Refused | None) -> None:
        self.fault = fault
        self._times = 0
        if reason is not None:
            self.refused[reason] += 1
