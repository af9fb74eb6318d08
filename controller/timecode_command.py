"""`openvolume timecode KIND`: send LTC, MIDI or Art-Net time code in real time."""

from __future__ import annotations

from controller.errors import BadValue
from runtime.references.player import DEFAULT_TARGETS, KINDS, play_timecode
from stage.errors import Problem
from stage.rate import parse_rate
from stage.timecode import LABEL_RATES, nominal_fps


def timecode_command(kind: str, target: str | None, *, rate: str, first: str, seconds: float | None) -> str:
    """Play; what to say at the end.

    Raises
    ------
    BadValue, TimecodeError : something on the command line that cannot be played.
    """
    named = next((known for known in KINDS if known == kind), None)
    if named is None:
        raise _bad("kind", "no such time code", kind, f"use {', '.join(KINDS)}")
    target = target or DEFAULT_TARGETS.get(named)
    if target is None:
        raise _bad("--target", "MIDI time code needs a device", None, "--target /dev/snd/midiC1D0, or a FIFO")
    try:
        played = parse_rate(rate)
        if nominal_fps(played) not in LABEL_RATES:
            raise _bad("--rate", "time code has at most 30 labels a second", rate, "use 23.976, 24, 25, 29.97 or 30")
        ended = play_timecode(named, target, played, first=first, seconds=seconds)
    except ValueError as error:
        raise _bad("--rate" if "frame rate" in str(error) else "--target", str(error), None, "") from error
    return f"{named} to {target} ended at {ended}"


def _bad(path: str, detail: str, value: object, mend: str) -> BadValue:
    return BadValue(Problem(BadValue.code, path, detail, value, mend))
