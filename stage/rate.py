"""Exact frame rates: a rational number of frames a second, and integer deadlines made from it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`num / den` frames a second, in lowest terms. 23.976 is `Rate(24000, 1001)`."""

    num: int
    den: int = 1

    def __post_init__(self) -> None:
        if self.num <= 0 or self.den <= 0:
            raise ValueError(f"a frame rate is positive, not {self.num}/{self.den}")
        fraction = Fraction(self.num, self.den)
        object.__setattr__(self, "num", fraction.numerator)
        object.__setattr__(self, "den", fraction.denominator)

    @property
    def hz(self) -> float:
        """Frames a second, for display only: deadlines never pass through it."""
        return self.num / self.den

    @property
    def period_ns(self) -> int:
        """One frame in whole nanoseconds, rounded down: for budgets; deadlines come from `deadline_ns`."""
        return self.den * NS_PER_S // self.num

    def deadline_ns(self, t0_ns: int, n: int) -> int:
        """Start of frame `n` when frame 0 starts at `t0_ns`: never an accumulated period, never a float."""
        return t0_ns + n * self.den * NS_PER_S // self.num

    def frame_at(self, t0_ns: int, t_ns: int) -> int:
        """The frame whose slot holds `t_ns`: the largest n with `deadline_ns(t0_ns, n) <= t_ns`."""
        return ((t_ns - t0_ns + 1) * self.num - 1) // (self.den * NS_PER_S)

    def __str__(self) -> str:
        return str(self.num) if self.den == 1 else f"{self.num}/{self.den}"


RATES: Final[dict[str, Rate]] = {
    "23.976": Rate(24000, 1001),
    "24": Rate(24),
    "25": Rate(25),
    "29.97": Rate(30000, 1001),
    "30": Rate(30),
    "47.952": Rate(48000, 1001),
    "48": Rate(48),
    "50": Rate(50),
    "59.94": Rate(60000, 1001),
    "60": Rate(60),
    "120": Rate(120),
}
"""The rates a show may run at, by the name people write."""


def parse_rate(value: str | float) -> Rate:
    """The rate meant by `24`, `23.976`, `"29.97"` or `"24000/1001"`.

    Raises
    ------
    ValueError : not one of `RATES`.
    """
    # 24.0 is 24: rounding 23.976 to one decimal must never be taken for it.
    text = str(value).strip().removesuffix(".0")
    if text in RATES:
        return RATES[text]
    for rate in RATES.values():
        if text in (str(rate), f"{rate.hz:.3f}"):
            return rate
    raise ValueError(f"{value!r} is not a frame rate of the field; use one of {', '.join(RATES)}")
