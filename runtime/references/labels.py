"""A time code label as it was heard outside, and what is left aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stage.timecode import LabelParts

Refusal = Literal["short", "magic", "version", "range", "order", "parity", "gap"]
"""Why something heard is no label: too few bytes; no time code at all; another version; fields out of range; pieces
out of order; a parity that does not fit; a signal that broke off."""


@dataclass(frozen=True, slots=True)
class HeardLabel:
    """One label of an outside time code.

    parts : its fields; t_ns : the monotonic instant at which its frame began; labels_per_s : 24, 25 or 30 as the
    protocol says, 0 where it does not (LTC); drop_frame : its flag; reverse : it was played backwards; exact :
    `t_ns` comes from the signal itself, not from a network's or a driver's moment of delivery.
    """

    parts: LabelParts
    t_ns: int
    labels_per_s: int = 0
    drop_frame: bool = False
    reverse: bool = False
    exact: bool = False


def plausible(parts: LabelParts, *, labels_per_s: int = 30, drop_frame: bool = False) -> bool:
    """Whether the fields can be a label at all."""
    hours, minutes, seconds, frames = parts
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= labels_per_s:
        return False
    return not (drop_frame and seconds == 0 and frames < 2 and minutes % 10)
