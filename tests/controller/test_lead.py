"""The latch follows the drawing: up at once, down when slow frames have left the window, never beyond a period."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.lead import FEWEST, FIRST_SHARE, GUARD_LEAST_NS, GUARD_SHARE, WINDOW, AdaptiveLead
from stage.rate import Rate


def started(rate: Rate) -> AdaptiveLead:
    """A lead whose first, uncounted drawings are over."""
    lead = AdaptiveLead(rate)
    for _ in range(FEWEST):
        lead.measured(40_000_000)
    return lead


def test_a_run_begins_with_a_cautious_lead_and_its_first_drawings_do_not_count() -> None:
    lead = started(Rate(24))
    for _ in range(FEWEST - 1):
        lead.measured(1_000_000)
    assert lead.lead_ns == int(Rate(24).period_ns * FIRST_SHARE)
    lead.measured(1_000_000)
    assert lead.lead_ns < 5_000_000


def test_a_slow_frame_raises_it_at_once_and_leaves_with_the_window() -> None:
    rate = Rate(24)
    lead = started(rate)
    guard_ns = max(GUARD_LEAST_NS, int(rate.period_ns * GUARD_SHARE))
    for _ in range(FEWEST):
        lead.measured(5_000_000)
    assert lead.lead_ns == 5_000_000 + guard_ns
    lead.measured(20_000_000)
    assert lead.lead_ns == 20_000_000 + guard_ns
    for _ in range(WINDOW - 1):
        lead.measured(5_000_000)
    assert lead.lead_ns == 20_000_000 + guard_ns
    lead.measured(5_000_000)
    assert lead.lead_ns == 5_000_000 + guard_ns


def test_it_never_exceeds_a_period() -> None:
    lead = started(Rate(120))
    for _ in range(FEWEST):
        lead.measured(100_000_000)
    assert lead.lead_ns == Rate(120).period_ns


@given(st.lists(st.integers(0, 40_000_000), min_size=FEWEST, max_size=3 * WINDOW))
def test_it_is_the_windows_largest_plus_a_guard(times_ns: list[int]) -> None:
    rate = Rate(24)
    lead = started(rate)
    for time_ns in times_ns:
        lead.measured(time_ns)
    guard_ns = max(GUARD_LEAST_NS, int(rate.period_ns * GUARD_SHARE))
    wanted = max(times_ns[-WINDOW:]) + guard_ns
    assert lead.lead_ns == min(rate.period_ns, max(2_000_000, wanted))
