"""Time code: frame numbers as SMPTE labels and back, drop-frame where the rate has it. Integers only.

Labels count frames, so they are exact at any rate. Rates above 30 count all their frames in the last field (0-47,
0-59, three digits at 120), as cameras display them; where a label of 24, 25 or 30 a second jams a faster show, each
stands for `frames_per_label` frames.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from stage.errors import Problem, StageError
from stage.rate import Rate

_LABEL: Final = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.,])(\d{2,3})", re.ASCII)

LABEL_RATES: Final = (24, 25, 30)
"""Labels a second that LTC, MTC and Art-Net time code can carry."""


class TimecodeError(StageError):
    """A text that is no time code of the rate."""

    code = "stage.timecode"


class LabelParts(NamedTuple):
    """The four fields of a label."""

    hours: int
    minutes: int
    seconds: int
    frames: int


def nominal_fps(rate: Rate) -> int:
    """Labels in one second of time code: 24 for 23.976, 30 for 29.97."""
    return -(-rate.num // rate.den)


def drops(rate: Rate) -> int:
    """Labels left out at the start of each minute but every tenth: 2 at 29.97, 4 at 59.94, else 0.

    Only these rates have drop-frame labels; 23.976 and 47.952 run slow against the clock instead.
    """
    nominal = nominal_fps(rate)
    return nominal // 15 if rate.den != 1 and nominal % 30 == 0 else 0


def frames_per_day(rate: Rate, *, drop_frame: bool | None = None) -> int:
    """Frames after which the labels begin again."""
    left_out = drops(rate) if drop_frame is not False else 0
    return 24 * 3600 * nominal_fps(rate) - left_out * (24 * 60 - 24 * 6)


def day_length_ns(rate: Rate, *, drop_frame: bool | None = None) -> int:
    """How long the labels of a day last: 86.4 ms less than a clock's day at 29.97 drop-frame, 86.4 s more at 23.976."""
    return rate.deadline_ns(0, frames_per_day(rate, drop_frame=drop_frame))


class TimeOfDay(NamedTuple):
    """An instant by a time code's own counting of the day."""

    t_ns: int
    """Since its midnight."""
    rate: Rate
    drop_frame: bool | None = None
    """None: as the rate has it."""

    @property
    def day_ns(self) -> int:
        """How long its day lasts."""
        return day_length_ns(self.rate, drop_frame=self.drop_frame)


def label_rate(rate: Rate, labels_per_s: int | None = None) -> Rate:
    """The rate whose labels an outside time code of a show at `rate` carries: 29.97 for a show at 59.94.

    labels_per_s : 24, 25 or 30; None: the fastest that divides the show's own count (30 for 120).

    Raises
    ------
    ValueError : that many labels a second do not fit the show's frames.
    """
    nominal = nominal_fps(rate)
    fitting = [count for count in LABEL_RATES if nominal % count == 0]
    count = fitting[-1] if labels_per_s is None else labels_per_s
    if count not in fitting:
        fit = " or ".join(str(one) for one in fitting)
        raise ValueError(f"{labels_per_s} labels a second do not fit {nominal} frames a second; use {fit}")
    return Rate(rate.num * count, rate.den * nominal)


def frames_per_label(rate: Rate, labels: Rate) -> int:
    """How many frames of a show at `rate` one label of `labels` stands for: 2 for 59.94 and 29.97."""
    return nominal_fps(rate) // nominal_fps(labels)


def parts_at(rate: Rate, frame: int, *, drop_frame: bool | None = None) -> LabelParts:
    """The fields of frame `frame`, counted from 00:00:00:00, beginning again every day; also before frame 0."""
    nominal = nominal_fps(rate)
    left_out = drops(rate) if drop_frame is not False else 0
    n = frame % frames_per_day(rate, drop_frame=drop_frame)
    if left_out:
        per_minute = 60 * nominal - left_out
        tens, rest = divmod(n, 600 * nominal - 9 * left_out)
        # The first minute of ten keeps all its labels. (Written so that numpy arrays of frames work too.)
        n = n + left_out * (9 * tens + (rest >= left_out) * ((rest - left_out) // per_minute))
    seconds, frames = divmod(n, nominal)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return LabelParts(hours, minutes, seconds, frames)


def frame_of_parts(rate: Rate, parts: LabelParts, *, drop_frame: bool | None = None) -> int:
    """Frame number of a label's fields: the inverse of `parts_at`.

    Raises
    ------
    TimecodeError : no label of this rate, such as a dropped one.
    """
    hours, minutes, seconds, frames = parts
    nominal = nominal_fps(rate)
    if min(parts) < 0 or hours > 23 or minutes > 59 or seconds > 59 or frames >= nominal:
        raise _error(_text(parts, nominal, ":"), f"out of range at {rate} ({nominal} labels a second)")
    left_out = drops(rate) if drop_frame is not False else 0
    if left_out and seconds == 0 and frames < left_out and minutes % 10:
        raise _error(_text(parts, nominal, ";"), "this label is dropped")
    total_minutes = hours * 60 + minutes
    return (total_minutes * 60 + seconds) * nominal + frames - left_out * (total_minutes - total_minutes // 10)


def timecode_at(rate: Rate, frame: int, *, drop_frame: bool | None = None) -> str:
    """Label of frame `frame`, counted from 00:00:00:00, beginning again every day.

    `drop_frame` None: as the rate has it. Drop-frame labels are written with a semicolon before the frames. Above
    99 labels a second the frames have three digits.
    """
    mark = ";" if drop_frame is not False and drops(rate) else ":"
    return _text(parts_at(rate, frame, drop_frame=drop_frame), nominal_fps(rate), mark)


def frame_of(rate: Rate, label: str, *, drop_frame: bool | None = None) -> int:
    """Frame number of a label: the inverse of `timecode_at`. `;` `.` and `,` are taken as the drop-frame mark.

    Raises
    ------
    TimecodeError : not a label of this rate, such as a dropped one.
    """
    match = _LABEL.fullmatch(label.strip())
    if match is None:
        raise _error(label, "not hours:minutes:seconds:frames")
    parts = LabelParts(int(match[1]), int(match[2]), int(match[3]), int(match[5]))
    if drop_frame is None:
        drop_frame = match[4] != ":"
    try:
        return frame_of_parts(rate, parts, drop_frame=drop_frame)
    except TimecodeError as error:
        raise _error(label, error.problems[0].detail) from None


def _text(parts: LabelParts, nominal: int, mark: str) -> str:
    digits = 3 if nominal > 100 else 2
    return f"{parts.hours:02d}:{parts.minutes:02d}:{parts.seconds:02d}{mark}{parts.frames:0{digits}d}"


def _error(label: str, detail: str) -> TimecodeError:
    return TimecodeError(Problem("stage.timecode", "timecode", detail, label, "write it as 01:02:03:04"))
