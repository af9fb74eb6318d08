"""Exact rates: deadlines by integers, and the names people write."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.rate import NS_PER_S, RATES, Rate, parse_rate

rates = st.sampled_from(list(RATES.values()))
frames = st.integers(0, 10**13)


@given(rates, st.integers(-(2**62), 2**62), frames)
def test_deadlines_are_the_exact_time_rounded_down(rate: Rate, t0_ns: int, n: int) -> None:
    exact = t0_ns + Fraction(n * rate.den * NS_PER_S, rate.num)
    assert rate.deadline_ns(t0_ns, n) == exact.__floor__()


@given(rates, st.integers(0, 2**62), frames)
def test_frame_at_is_the_inverse_of_deadlines(rate: Rate, t0_ns: int, n: int) -> None:
    start = rate.deadline_ns(t0_ns, n)
    assert rate.frame_at(t0_ns, start) == n
    assert rate.frame_at(t0_ns, start - 1) == n - 1
    assert rate.frame_at(t0_ns, rate.deadline_ns(t0_ns, n + 1) - 1) == n


def test_nothing_drifts_in_a_year() -> None:
    rate = RATES["23.976"]
    year = 365 * 24 * 3600 * 24000 // 1001
    # An accumulated period would be half a second late by then.
    assert rate.deadline_ns(0, year) == year * 1001 * NS_PER_S // 24000
    assert abs(rate.period_ns * year - rate.deadline_ns(0, year)) > NS_PER_S // 4


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        (24, Rate(24)), ("24", Rate(24)), (24.0, Rate(24)), (23.976, Rate(24000, 1001)), ("23.976", Rate(24000, 1001)),
        ("24000/1001", Rate(24000, 1001)), (29.97, Rate(30000, 1001)), ("59.94", Rate(60000, 1001)), (120, Rate(120)),
        (47.952, Rate(48000, 1001)),
    ],
)  # fmt: skip
def test_rates_are_read_as_written(text: str | float, rate: Rate) -> None:
    assert parse_rate(text) == rate
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize("text", ["", "0", "-24", 23, 23.9, "1000", "nan", "24fps", "24/0"])
def test_other_rates_are_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="not a frame rate"):
        parse_rate(text)


def test_a_rate_is_in_lowest_terms() -> None:
    assert Rate(48, 2) == Rate(24)
    assert str(Rate(48000, 2002)) == "24000/1001"
    for bad in ((0, 1), (24, 0), (-24, 1)):
        with pytest.raises(ValueError, match="positive"):
            Rate(*bad)
