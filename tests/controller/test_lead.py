"""The latch follows the drawing: up at once, down within seconds, and up first when something else is to be drawn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.lead import (
    CONFIRMED_S,
    FEWEST,
    FIRST_SHARE,
    GUARD_LEAST_NS,
    GUARD_SHARE,
    LEAST_NS,
    LEVEL_S,
    SETTLED,
    WINDOW,
    AdaptiveLead,
    wanted_from_ns,
)
from stage.rate import Rate

RATE = Rate(24)
GUARD_NS = max(GUARD_LEAST_NS, int(RATE.period_ns * GUARD_SHARE))
MS = 1_000_000


class Drawn:
    """A lead fed frame by frame."""

    def __init__(self, rate: Rate = RATE, what: str = "plaza") -> None:
        self.lead = AdaptiveLead(rate, what)
        self.frame = 0
        self.draw(*FEWEST * [40.0])

    def draw(self, *times_ms: float) -> list[int]:
        """Frames that take so long; the lead after each."""
        out = []
        for time_ms in times_ms:
            self.lead.measured(self.frame, int(time_ms * MS))
            self.frame += 1
            out.append(self.lead.lead_ns)
        return out


def test_a_run_begins_with_a_cautious_lead_and_its_first_drawings_do_not_count() -> None:
    drawn = Drawn()
    assert set(drawn.draw(*(FEWEST - 1) * [1.0])) == {int(RATE.period_ns * FIRST_SHARE)}
    assert drawn.draw(1.0)[-1] == 1 * MS + GUARD_NS


def test_one_slow_frame_raises_it_at_once_and_is_set_aside_within_a_second() -> None:
    """A host that stood still once costs no age for long."""
    drawn = Drawn()
    drawn.draw(*200 * [5.0])
    assert drawn.draw(20.0)[-1] == 20 * MS + GUARD_NS
    after = drawn.draw(*100 * [5.0])
    raised = sum(lead_ns == 20 * MS + GUARD_NS for lead_ns in after)
    assert raised == int(CONFIRMED_S * 24) - 1
    assert set(after[raised:]) == {5 * MS + GUARD_NS}


def test_the_second_slow_frame_of_a_thousand_stays() -> None:
    drawn = Drawn()
    drawn.draw(*100 * [5.0])
    drawn.draw(20.0, *100 * [5.0])
    assert drawn.draw(20.0, *500 * [5.0])[-1] == 20 * MS + GUARD_NS
    # Until the first of them has left the window.
    assert drawn.draw(*(WINDOW - 600) * [5.0])[-1] == 5 * MS + GUARD_NS


def test_frames_that_are_slow_every_few_seconds_keep_it_up() -> None:
    drawn = Drawn()
    leads = drawn.draw(*5 * [12.0, *119 * [5.0]])
    assert set(leads[121:]) == {12 * MS + GUARD_NS}


def test_it_falls_within_seconds_when_the_typical_drawing_becomes_quicker() -> None:
    drawn = Drawn()
    drawn.draw(*600 * [25.0])
    after = drawn.draw(*200 * [8.0])
    took = next(n for n, lead_ns in enumerate(after) if lead_ns == 8 * MS + GUARD_NS)
    assert took / 24 <= LEVEL_S + 0.6
    assert set(after[took:]) == {8 * MS + GUARD_NS}


def test_a_load_that_comes_and_goes_teaches_it_to_fall_more_slowly() -> None:
    drawn = Drawn()
    lost = []
    for n in range(12):
        for time_ms in (*96 * [25.0], *96 * [8.0]):
            if drawn.lead.lead_ns < time_ms * MS:
                lost.append(n)
            drawn.draw(time_ms)
    # It fell in the first quiet whiles, and no more.
    assert len(lost) <= 3
    assert max(lost) <= 3


def test_something_else_to_be_drawn_is_met_with_caution_and_what_is_known_is_not() -> None:
    drawn = Drawn()
    drawn.draw(*100 * [8.0])
    drawn.lead.expect(drawn.frame + 2, "hall")
    cautious_ns = int(RATE.period_ns * FIRST_SHARE)
    assert drawn.lead.lead_ns == cautious_ns
    # The plaza's last frames, still on their way, say nothing about the hall.
    assert drawn.draw(8.0, 8.0)[-1] == cautious_ns
    leads = drawn.draw(*SETTLED * [30.0])
    assert set(leads[:-1]) == {cautious_ns}
    assert leads[-1] == 30 * MS + GUARD_NS
    # Known to be quicker: not at once, since nodes go by their latest drawings.
    drawn.lead.expect(drawn.frame, "plaza")
    leads = drawn.draw(*SETTLED * [8.0])
    assert set(leads[:-1]) == {30 * MS + GUARD_NS}
    assert leads[-1] == 8 * MS + GUARD_NS
    # Known to take longer: at once, and no more than that; longer still, as it was found.
    drawn.lead.expect(drawn.frame, "hall")
    assert drawn.lead.lead_ns == 30 * MS + GUARD_NS
    assert drawn.draw(31.0)[-1] == 31 * MS + GUARD_NS


@pytest.mark.parametrize("hz", [24, 120])
def test_it_stays_between_two_milliseconds_and_a_period(hz: int) -> None:
    rate = Rate(hz)
    least_ns = max(LEAST_NS, GUARD_LEAST_NS, int(rate.period_ns * GUARD_SHARE))
    for time_ms, wanted_ns in ((0.0, least_ns), (100.0, rate.period_ns)):
        drawn = Drawn(rate)
        drawn.draw(*FEWEST * [time_ms])
        assert drawn.lead.lead_ns == wanted_ns


@given(st.lists(st.floats(0.1, 40.0), min_size=FEWEST, max_size=300))
def test_it_covers_all_of_the_last_seconds_but_one(times_ms: list[float]) -> None:
    """Whatever the drawings were: at most one of the last two seconds' takes longer than it grants."""
    drawn = Drawn()
    lead_ns = drawn.draw(*times_ms)[-1]
    if lead_ns < RATE.period_ns:
        latest = times_ms[-int(LEVEL_S * 24) :]
        assert sum(int(t * MS) + GUARD_NS > lead_ns for t in latest) <= 1
        assert lead_ns <= max(LEAST_NS, int(max(times_ms) * MS) + GUARD_NS)


@given(st.lists(st.floats(0.1, 40.0), min_size=FEWEST, max_size=200), st.floats(0.1, 40.0))
def test_a_longer_drawing_is_granted_the_next_frame(times_ms: list[float], longer_ms: float) -> None:
    drawn = Drawn()
    before_ns = drawn.draw(*times_ms)[-1]
    after_ns = drawn.draw(longer_ms)[-1]
    assert after_ns >= min(RATE.period_ns, int(longer_ms * MS) + GUARD_NS, max(before_ns, int(longer_ms * MS)))


def test_a_plan_that_lay_there_is_wanted_from_when_it_was_drawn() -> None:
    """The node had time, and drew ahead first: an earlier plan would only lie longer."""
    assert wanted_from_ns(1000 * MS, 990 * MS, 1020 * MS) == 1000 * MS, "it came to a node that was free: all of it"
    assert wanted_from_ns(1000 * MS, 1000 * MS, 1015 * MS) == 1015 * MS
    assert wanted_from_ns(990 * MS, 1000 * MS, 1015 * MS) == 1015 * MS
    assert wanted_from_ns(1000 * MS, 1000 * MS, 0) == 1000 * MS, "made up before it came"
