"""The line-up and test pictures there are, by name. Pure: also for processes that draw nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from renderer.errors import RendererError
from stage.errors import Problem

LINE_NITS: Final = 100.0
CHECKER_LEDS: Final = 16
NUMBERS: Final = {
    "inner_grid": 0, "eye_card": 1, "tile_outlines": 2, "alignment_grid": 3, "uniform": 4, "ramp": 5,
    "cabinet_map": 6, "frame_count": 7, "moving_bars": 8, "bit_depth": 9, "range": 10, "nit_steps": 11, "checker": 12,
}  # fmt: skip
"""Their numbers in the shader."""
PLAIN_KINDS: Final = tuple(name for name in NUMBERS if name != "uniform")
KINDS: Final = (*PLAIN_KINDS, "uniform_<nits>", "checker_<leds>")
"""What `PlanPattern.kind` may be; `uniform_100` is plain white of 100 nits, `checker_1` a checker of single LEDs."""
ABOUT: Final[dict[str, str]] = {
    "inner_grid": "What a camera sees and its overscan",
    "eye_card": "Degrees as seen from the eye point",
    "tile_outlines": "Every tile framed and numbered, a block in its top left corner",
    "alignment_grid": "Grid, rings and axes of each wall, with the names of its cabinets",
    "ramp": "Even steps of PQ up to the peak in white, red, green, blue",
    "cabinet_map": "Every cabinet with its number, name, place on the canvas and data line",
    "frame_count": "The frame's number and time code, large, and as bits along the bottom",
    "moving_bars": "A bar that crosses the wall in two seconds, and one that falls: tearing and uneven pace show",
    "bit_depth": "The same dark ramp in 10, 9, 8 and 7 bits: where two rows look alike, bits are lost between",
    "range": "Codes at both ends, told: where neighbours look alike, full and legal range are mixed up",
    "nit_steps": "Fields of told luminance up to the peak",
    "checker": f"Black and white fields of {CHECKER_LEDS} LEDs, or of as many as are told",
    "uniform": "Plain white of so many nits",
}

_UNIFORM: Final = re.compile(r"uniform_(\d{1,5}(?:\.\d{1,3})?)$")
_CHECKER: Final = re.compile(r"checker_([1-9]\d{0,3})$")


class PatternError(RendererError):
    """A pattern that does not exist."""

    code = "renderer.pattern"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern to draw: its number in the shader, its light in nits, what it lies on (empty: all), its fields."""

    number: int
    nits: float
    targets: tuple[str, ...] = ()
    leds: int = CHECKER_LEDS


def parse_pattern(kind: str, targets: list[str] | tuple[str, ...] = (), /) -> Pattern:
    """The pattern of a plan's `kind`, one of `KINDS`.

    Raises
    ------
    PatternError : there is none of that name.
    """
    plain, checker = _UNIFORM.match(kind), _CHECKER.match(kind)
    if plain:
        return Pattern(NUMBERS["uniform"], float(plain[1]), tuple(targets))
    if checker:
        return Pattern(NUMBERS["checker"], LINE_NITS, tuple(targets), int(checker[1]))
    if kind in PLAIN_KINDS:
        return Pattern(NUMBERS[kind], LINE_NITS, tuple(targets))
    raise PatternError(
        Problem("renderer.pattern", "patterns/kind", "there is no such pattern", kind, f"use one of {', '.join(KINDS)}")
    )


def pattern_about(kind: str) -> str:
    """What a picture shows, in words."""
    return ABOUT.get(kind) or ABOUT.get(kind.rpartition("_")[0], "")


class PatternKinds:
    """Every kind: a collection of those without a number, that knows those with one, too."""

    def __contains__(self, kind: object) -> bool:
        return isinstance(kind, str) and bool(kind in PLAIN_KINDS or _UNIFORM.match(kind) or _CHECKER.match(kind))

    def __iter__(self) -> Iterator[str]:
        return iter(PLAIN_KINDS)

    def __len__(self) -> int:
        return len(PLAIN_KINDS)
