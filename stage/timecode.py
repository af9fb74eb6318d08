"""Time code: frame numbers as SMPTE labels and back, drop-frame where the rate has it. Integers only."""

from __future__ import annotations

import re
from typing import Final

from stage.errors import Problem, StageError
from stage.rate import Rate

_LABEL: Final = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.,])(\d{2,3})", re.ASCII)


class TimecodeError(StageError):
    """A text that is no time code of the rate."""

    code = "stage.timecode"


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


def timecode_at(rate: Rate, frame: int, *, drop_frame: bool | None = None) -> str:
    """Label of frame `frame`, counted from 00:00:00:00, beginning again every day.

    `drop_frame` None: as the rate has it. Drop-frame labels are written with a semicolon before the frames. Above
    99 labels a second the frames have three digits.
    """
    nominal = nominal_fps(rate)
    left_out = drops(rate) if drop_frame is not False else 0
    n = frame % frames_per_day(rate, drop_frame=drop_frame)
    if left_out:
        per_minute = 60 * nominal - left_out
        per_ten = 600 * nominal - 9 * left_out
        tens, rest = divmod(n, per_ten)
        # The first minute of ten keeps all its labels.
        minutes = 0 if rest < 60 * nominal else 1 + (rest - 60 * nominal) // per_minute
        n += left_out * (9 * tens + minutes)
    seconds, frames = divmod(n, nominal)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    digits = 3 if nominal > 100 else 2
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if left_out else ':'}{frames:0{digits}d}"


def frame_of(rate: Rate, label: str, *, drop_frame: bool | None = None) -> int:
    """Frame number of a label: the inverse of `timecode_at`. `;` `.` and `,` are taken as the drop-frame mark.

    Raises
    ------
    TimecodeError : not a label of this rate, such as a dropped one.
    """
    match = _LABEL.fullmatch(label.strip())
    nominal = nominal_fps(rate)
    if match is None:
        raise _error(label, "not hours:minutes:seconds:frames")
    hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= nominal:
        raise _error(label, f"out of range at {rate} ({nominal} labels a second)")
    if drop_frame is None:
        drop_frame = match[4] != ":" if drops(rate) else False
    left_out = drops(rate) if drop_frame else 0
    total_minutes = hours * 60 + minutes
    if left_out and seconds == 0 and frames < left_out and minutes % 10:
        raise _error(label, "this label is dropped")
    return (total_minutes * 60 + seconds) * nominal + frames - left_out * (total_minutes - total_minutes // 10)


def _error(label: str, detail: str) -> TimecodeError:
    return TimecodeError(Problem("stage.timecode", "timecode", detail, label, "write it as 01:02:03:04"))
