"""The frame clock: exact over days, slewed by 50 ppm at most, never a slot twice, no illegal change of state."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import NS_PER_MS, NS_PER_S
from runtime.frame_clock import MAX_SLEW_PPM, ClockState, ClockStateError, FrameClock, Loop
from stage.rate import RATES, Rate
from stage.timecode import frames_per_day, timecode_at

rates = st.sampled_from(sorted(RATES.values(), key=str))
LEGAL = {
    "free": "locking",
    "locking": "locked slewing step_refused free",
    "locked": "free locking slewing holdover step_refused",
    "slewing": "free locking locked holdover step_refused",
    "holdover": "free locking locked slewing step_refused",
    "step_refused": "free locking locked slewing holdover",
}


def following(rate: Rate, *, loop: Loop | None = None, origin_ns: int = 0) -> FrameClock:
    clock = FrameClock(rate, origin_ns=origin_ns, loop=loop)
    clock.go(ClockState.LOCKING)
    clock.follow(0, 0)
    assert clock.state is ClockState.LOCKED
    return clock


@pytest.mark.parametrize("before", ClockState)
@pytest.mark.parametrize("after", ClockState)
def test_only_legal_changes_of_state_are_made(before: ClockState, after: ClockState) -> None:
    clock = FrameClock(Rate(24), origin_ns=0)
    clock.state = before
    if after is before or after.value in LEGAL[before.value].split():
        clock.go(after)
        assert clock.state is after
        return
    with pytest.raises(ClockStateError) as caught:
        clock.go(after)
    (problem,) = caught.value.problems
    assert before.value in problem.detail
    assert after.value in problem.detail
    assert clock.state is before


@pytest.mark.parametrize("name", ["23.976", "29.97"])
def test_24_hours_frame_by_frame_are_exact(name: str) -> None:
    """Numbers, labels and deadlines: latched one after the other, as the conductor does."""
    rate = RATES[name]
    origin_ns = 1_234_567_891
    clock = following(rate, origin_ns=origin_ns)
    count = frames_per_day(rate)
    minute = 60 * round(rate.hz)
    deadline_ns, passed = clock.deadline_ns, clock.passed
    for n in range(count):
        if deadline_ns(n) != origin_ns + n * rate.den * NS_PER_S // rate.num:
            pytest.fail(f"frame {n}")
        passed()
        if n % minute == 0:
            clock.follow(0, n)
            assert clock.frame_at(deadline_ns(n)) == n
    assert clock.state is ClockState.LOCKED
    assert timecode_at(rate, count) == timecode_at(rate, 0)


@given(rates, st.integers(-9_000_000, 9_000_000), st.integers(-(10**18), 10**18), st.integers(1, 200))
def test_slewing_is_never_more_than_50_ppm_and_ends_exactly(
    rate: Rate, error_ns: int, origin_ns: int, stride: int
) -> None:
    clock = following(rate, origin_ns=origin_ns, loop=Loop(dead_band_ns=0))
    if abs(error_ns) > clock.step_ns:
        error_ns //= 4
    clock.follow(error_ns, 1)
    frame, goal_ns = 0, origin_ns + error_ns
    needed = abs(error_ns) * rate.num * 10**6 // (rate.den * NS_PER_S * MAX_SLEW_PPM) + 2 * stride
    previous_ns = clock.deadline_ns(0)
    while frame <= needed:
        # A stall skips frames: those that follow may move by what was allowed meanwhile.
        clock.passed(stride)
        frame += stride
        now_ns = clock.deadline_ns(frame)
        exact_ns = rate.deadline_ns(0, frame) - rate.deadline_ns(0, frame - stride)
        assert abs(now_ns - previous_ns - exact_ns) <= exact_ns * MAX_SLEW_PPM / 1e6 + 1
        previous_ns = now_ns
    assert clock.origin_ns == goal_ns
    clock.follow(0, 2)
    assert clock.state is ClockState.LOCKED
    assert clock.deadline_ns(frame) == rate.deadline_ns(goal_ns, frame)


@given(
    rates,
    st.lists(
        st.one_of(
            st.tuples(st.just("pass"), st.integers(1, 50)),
            st.tuples(st.just("error"), st.integers(-60 * NS_PER_S, 60 * NS_PER_S)),
            st.tuples(st.just("error"), st.integers(-3 * NS_PER_MS, 3 * NS_PER_MS)),
            st.tuples(st.just("lose"), st.just(0)),
            st.tuples(st.just("jam"), st.integers(-50 * NS_PER_S, 50 * NS_PER_S)),
        ),
        max_size=40,
    ),
)
def test_whatever_happens_numbers_rise_and_no_slot_is_cut_short(rate: Rate, events: list[tuple[str, int]]) -> None:
    clock = following(rate)
    frame = 10
    last_ns = clock.deadline_ns(frame - 1)
    slack_ns = rate.period_ns * MAX_SLEW_PPM // 10**6 + 2
    for now_ns, (event, value) in enumerate(events):
        if event == "error":
            clock.follow(value, now_ns)
        elif event == "lose":
            clock.lose()
        elif event == "jam":
            number = clock.jam(frame, value, counts=True)
            assert number >= frame
            frame = number
        for _ in range(value if event == "pass" else 1):
            due_ns = clock.deadline_ns(frame)
            longest_ns = 2 * rate.period_ns + slack_ns if event == "jam" else rate.period_ns + slack_ns
            assert rate.period_ns - slack_ns <= due_ns - last_ns <= longest_ns
            assert clock.frame_at(due_ns) == frame
            last_ns = due_ns
            clock.passed()
            frame += 1
            event = "pass" if event == "jam" else event


@given(rates, st.integers(-40 * NS_PER_S, 40 * NS_PER_S))
def test_a_jam_lands_on_the_references_grid(rate: Rate, error_ns: int) -> None:
    clock = following(rate, origin_ns=77)
    frame = 5000
    due_ns = clock.deadline_ns(frame)
    number = clock.jam(frame, error_ns, counts=True)
    begins_ns = clock.deadline_ns(number)
    assert due_ns <= begins_ns < due_ns + rate.period_ns + 1
    theirs = rate.frame_at(77 + error_ns, begins_ns)
    assert rate.deadline_ns(77 + error_ns, theirs) == begins_ns
    assert number == max(frame, theirs)
    assert clock.frame_lead == number - theirs
    # Where the reference only has a phase, numbers go on.
    other = following(rate, origin_ns=77)
    assert other.jam(frame, error_ns, counts=False) == frame
    assert other.deadline_ns(frame) == begins_ns


def test_a_step_is_refused_until_it_is_ordered_and_never_while_a_take_rolls() -> None:
    clock = following(Rate(24))
    clock.follow(NS_PER_S, 5)
    assert (clock.state, clock.error_ns) == (ClockState.STEP_REFUSED, NS_PER_S)
    clock.passed(1000)
    assert clock.deadline_ns(1000) == Rate(24).deadline_ns(0, 1000)
    clock.rolling = True
    with pytest.raises(ClockStateError, match="take rolls"):
        clock.jam(2000, NS_PER_S, counts=True)
    clock.rolling = False
    assert clock.jam(2000, NS_PER_S, counts=True) == 2000, "the reference is later: its number 1976 is long past"
    assert clock.frame_lead == 24
    # A small error afterwards is slewed as ever, and the step is forgotten.
    clock.follow(1000_000, 9)
    assert (clock.state, clock.refused_ns) == (ClockState.SLEWING, 0)


def test_a_reference_that_runs_fast_is_learned_and_held_over() -> None:
    """A signal 20 ppm slow against this machine: followed, and its speed kept when it is gone."""
    rate = RATES["25"]
    clock = following(rate, loop=Loop(settle_s=8.0, learns=True, dead_band_ns=NS_PER_MS))
    second_ns = NS_PER_S
    theirs_ns = 0.0
    for half_second in range(1, 400):
        theirs_ns = half_second * second_ns / 2 * (1 + 20e-6)
        frame = round(half_second * 12.5)
        clock.passed(12 if half_second % 2 else 13)
        error_ns = round(theirs_ns - half_second * second_ns / 2) - clock.origin_ns
        clock.follow(error_ns, half_second * second_ns // 2)
        assert abs(clock.slew_ppm) <= MAX_SLEW_PPM
    assert clock.frequency_ppm == pytest.approx(20.0, abs=0.3)
    assert abs(clock.error_ns) < 20_000
    clock.lose()
    assert clock.state is ClockState.HOLDOVER
    before_ns = clock.origin_ns
    clock.passed(25 * 60)
    # A minute without it: as far as it would have gone, give or take 20 us.
    assert clock.origin_ns - before_ns == pytest.approx(60e9 * 20e-6, abs=20_000)
    assert frame > 0


def test_a_change_of_rate_goes_on_counting() -> None:
    for on_grid, (old, new) in product((False, True), (("24", "50"), ("60", "23.976"), ("29.97", "59.94"))):
        clock = following(RATES[old], origin_ns=13)
        frame = 100_001
        due_ns = clock.deadline_ns(frame)
        clock.change_rate(RATES[new], frame, on_grid=on_grid)
        begins_ns = clock.deadline_ns(frame)
        if on_grid:
            assert due_ns <= begins_ns <= due_ns + RATES[new].period_ns + 1
            theirs = RATES[new].frame_at(13, begins_ns)
            assert RATES[new].deadline_ns(13, theirs) == begins_ns
        else:
            assert begins_ns == due_ns
        assert clock.frame_at(begins_ns) == frame


@given(rates, st.integers(-(10**17), 10**17), st.integers(0, 10**11), st.integers(-1000, 1000))
def test_a_successor_goes_on_where_it_was(rate: Rate, origin_ns: int, frame: int, lead: int) -> None:
    clock = FrameClock(rate, origin_ns=origin_ns, frame_lead=lead)
    other = FrameClock(rate, origin_ns=0, frame_lead=lead)
    other.resume(frame, clock.deadline_ns(frame))
    assert [other.deadline_ns(frame + i) for i in range(5)] == [clock.deadline_ns(frame + i) for i in range(5)]
    t_ns = clock.deadline_ns(frame) + rate.period_ns // 3
    assert clock.nearest(t_ns) == (frame, t_ns - clock.deadline_ns(frame))
    assert clock.first_after(clock.deadline_ns(frame)) == frame
    assert clock.first_after(t_ns) == frame + 1
    with pytest.raises(ClockStateError, match="free"):
        clock.follow(5, 0)
