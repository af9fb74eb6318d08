"""Time in a whole show under a virtual clock: PTP that steps, goes and comes, 37 s slips, time zones, takes (rows K1,
K2, C7, T6)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.messages import JamTime, TimeJammed, TimeNotJammed
from runtime.clock import NS_PER_MS, NS_PER_S
from stage.rate import RATES
from stage.timecode import frame_of, timecode_at

Build = Callable[..., Any]
SLOWEST = 50e-6


@pytest.fixture
def build(shm: Path, housekit: ModuleType) -> Iterator[Build]:
    made: list[Any] = []

    def make(rate: str = "24", time_yaml: str = "", **options: Any) -> Any:
        folder = shm / str(len(made))
        folder.mkdir()
        text = housekit.minimal_text(rate=rate) + (f"\ntime:\n{time_yaml}\n" if time_yaml else "")
        made.append(housekit.VirtualShow(folder, text, **options))
        return made[-1]

    yield make
    for show in made:
        show.__exit__()


def clock_of(show: Any) -> Any:
    return show.conductor_status().clock


def codes(show: Any) -> set[str]:
    return {alarm.code for alarm in show.conductor_status().alarms if alarm.code.startswith("clock.")}


def assert_steady(show: Any, *, until: int | None = None) -> None:
    """Every slot has its picture at its time, and no slot is longer or shorter than its period by over 50 ppm."""
    plans = show.plans
    frames = sorted(f for f in plans if until is None or f <= until)
    assert frames == list(range(frames[0], frames[-1] + 1)), "numbers rise by one"
    starts = np.array([plans[f].t_present_ns for f in frames], dtype=np.int64)
    rate = show.stage.rate
    exact = np.diff([rate.deadline_ns(0, f) for f in frames])
    assert np.abs(np.diff(starts) - exact).max() <= rate.period_ns * SLOWEST + 1
    shown = {f: t for f, what, t in show.painter.shown}
    told = {r.frame: r for r in show.recorder.reports if until is None or r.frame <= until}
    assert list(told) == list(range(min(told), max(told) + 1))
    assert {(c.presented_frame - f, c.reason) for f, r in told.items() for c in r.canvases.values()} == {(0, "none")}
    late_ns = [shown[f] - plans[f].t_present_ns for f in frames if f in shown]
    assert max(late_ns) <= 1000, "the node presents when the plan says"


def test_a_wall_clock_that_is_stepped_moves_no_frame(build: Build) -> None:
    """T6: pacing is monotonic."""
    show = build()
    show.run_to(60)
    show.clock.step_tai(-3600 * NS_PER_S)
    show.run_to(120)
    show.clock.step_tai(7200 * NS_PER_S)
    show.run_to(180)
    assert clock_of(show).reference == "free"
    assert codes(show) == set()
    assert_steady(show)
    plans = show.plans
    tai = [plans[f].tai_ns - plans[f].t_present_ns for f in (50, 100, 170)]
    assert np.diff(tai).tolist() == [-3600 * NS_PER_S, 7200 * NS_PER_S], "labels follow"


def test_a_ptp_step_of_a_millisecond_is_slewed_away(build: Build, clockkit: ModuleType) -> None:
    """C7, and 23.976: numbers and TAI agree exactly again afterwards."""
    kept = clockkit.KeptClock()
    show = build("23.976", discipline=kept, tracker=False)
    show.run_for(2.0)
    assert clock_of(show).state == "locked"
    kept.step(show, 1 * NS_PER_MS)
    show.run_for(1.0)
    now = clock_of(show)
    assert now.state == "slewing"
    assert -1000.0 < now.error_us < -900.0
    assert now.slew_ppm == pytest.approx(-50.0, abs=0.1)
    assert codes(show) == set()
    show.run_for(22.0)
    now = clock_of(show)
    assert (now.state, now.error_us, now.slew_ppm) == ("locked", 0.0, 0.0)
    assert_steady(show)
    rate = RATES["23.976"]
    plans = show.plans
    last = max(plans)
    assert plans[last].tai_ns == rate.deadline_ns(0, last)
    assert plans[last].t_present_ns + show.clock.tai_ns() - show.clock.now_ns() == rate.deadline_ns(0, last)


def test_a_ptp_step_of_a_second_waits_for_the_take_and_an_order(build: Build, clockkit: ModuleType) -> None:
    kept = clockkit.KeptClock()
    show = build(discipline=kept, first={"take": "s1_t1"}, tracker=False)
    show.run_for(2.0)
    assert clock_of(show).rolling
    kept.step(show, NS_PER_S)
    show.run_for(2.0)
    now = clock_of(show)
    assert (now.state, now.error_us) == ("step_refused", -1e6)
    (alarm,) = [a for a in show.conductor_status().alarms if a.code == "clock.step_refused"]
    assert alarm.severity == "critical"
    assert "after the take" in alarm.mend
    show.desk.send(show.run.conductor_socket, JamTime(1, show.run.service_socket.name))
    show.run_for(0.2)
    (refused,) = show.answers()
    assert isinstance(refused, TimeNotJammed)
    assert "take" in refused.problems[0].detail
    assert_steady(show)
    # The take ends; only then may time jump, at a frame that is named.
    ended = msgspec.structs.replace(show.first, version=2, take="")
    show.write(ended)
    show.prepare(ended)
    show.run_for(0.2)
    show.commit(2)
    show.run_for(0.2)
    show.answers()
    before = max(show.plans)
    show.desk.send(show.run.conductor_socket, JamTime(2, show.run.service_socket.name, before + 12))
    show.run_for(2.0)
    (jammed,) = show.answers()
    assert isinstance(jammed, TimeJammed)
    plans = show.plans
    assert jammed.frame == before + 12 + 24
    assert max(plans) == before + 12 + 24 + len([f for f in plans if f > jammed.frame])
    assert_steady(show, until=before + 11)
    steps_ns = np.diff([plans[f].t_present_ns for f in sorted(plans)])
    assert steps_ns.min() >= show.stage.rate.period_ns, "no slot twice, none cut short"
    assert steps_ns.max() < 2 * show.stage.rate.period_ns
    rate = show.stage.rate
    assert plans[jammed.frame].tai_ns == rate.deadline_ns(0, jammed.frame)
    assert clock_of(show).state == "locked"
    assert codes(show) == set()
    shown = [f for f, _, _ in show.painter.shown]
    assert shown == sorted(set(shown)), "no picture twice"
    assert show.conductor.ledger.repeats == {}


def test_a_step_back_keeps_numbers_rising(build: Build, clockkit: ModuleType) -> None:
    kept = clockkit.KeptClock()
    show = build(discipline=kept, tracker=False)
    show.run_for(2.0)
    kept.step(show, -10 * NS_PER_S - 7 * NS_PER_MS)
    show.run_for(0.5)
    show.desk.send(show.run.conductor_socket, JamTime(1, show.run.service_socket.name))
    show.run_for(1.0)
    (jammed,) = show.answers()
    now = clock_of(show)
    assert now.state == "locked"
    assert now.frame_lead == 240
    assert codes(show) == {"clock.numbers_ahead"}
    plans = show.plans
    frames = sorted(plans)
    assert frames == list(range(frames[0], frames[-1] + 1))
    rate = show.stage.rate
    assert all(plans[f].tai_ns == rate.deadline_ns(0, f - 240) for f in frames if f >= jammed.frame)
    steps_ns = np.diff([plans[f].t_present_ns for f in frames])
    assert rate.period_ns <= steps_ns.min() <= steps_ns.max() < 2 * rate.period_ns
    assert show.conductor.ledger.repeats == {}


def test_a_lost_grandmaster_is_held_over_and_found_again_without_a_jump(build: Build, clockkit: ModuleType) -> None:
    kept = clockkit.KeptClock()
    show = build("29.97", discipline=kept, tracker=False)
    show.run_for(2.0)
    kept.lose()
    show.run_for(3.0)
    now = clock_of(show)
    assert now.state == "holdover"
    assert 2.5 < now.holdover_s <= 3.1
    assert {"clock.holdover", "clock.unsynchronised"} <= codes(show)
    # Meanwhile the clock drifted by 0.4 ms.
    kept.step(show, 400_000)
    kept.keep()
    show.run_for(1.0)
    assert clock_of(show).state == "slewing"
    show.run_for(9.0)
    assert clock_of(show).state == "locked"
    assert codes(show) == set()
    assert_steady(show)


@pytest.mark.parametrize("slip_s", [37, -37])
def test_a_slip_of_37_s_is_named_and_changes_nothing(build: Build, clockkit: ModuleType, slip_s: int) -> None:
    kept = clockkit.KeptClock()
    show = build(discipline=kept)
    show.run_for(2.0)
    kept.step(show, slip_s * NS_PER_S)
    show.run_for(3.0)
    assert clock_of(show).state == "step_refused"
    (alarm,) = [a for a in show.conductor_status().alarms if a.code == "clock.tai_slip"]
    assert alarm.severity == "critical"
    assert f"{slip_s:+d}" in alarm.detail
    assert "phc2sys" in alarm.mend
    assert_steady(show)
    # Put right, nothing has happened.
    kept.step(show, -slip_s * NS_PER_S)
    show.run_for(0.5)
    assert clock_of(show).state == "locked"
    assert codes(show) == set()
    assert_steady(show)
    plans = show.plans
    assert plans[max(plans)].tai_ns == show.stage.rate.deadline_ns(0, max(plans))


def test_a_kernel_that_was_not_told_tai_is_an_alarm_with_its_mend(build: Build, clockkit: ModuleType) -> None:
    kept = clockkit.KeptClock()
    kept.kernel = msgspec_replace(kept.kernel, tai_offset_s=0)
    show = build(discipline=kept, time_yaml="  reference: system")
    show.run_for(1.0)
    (alarm,) = [a for a in show.conductor_status().alarms if a.code == "clock.tai_unset"]
    assert "adjtimex --tai 37" in alarm.mend
    assert clock_of(show).tai_offset_s == 0


def msgspec_replace(value: Any, **changes: Any) -> Any:
    import dataclasses

    return dataclasses.replace(value, **changes)


def test_hosts_with_one_tai_count_the_same_frames_without_talking(
    shm: Path, housekit: ModuleType, clockkit: ModuleType
) -> None:
    """Booted at other times, started at other times: the same numbers at the same TAI, also after both slewed."""
    shows = []
    for index, booted_s in enumerate((0, 12_345)):
        folder = shm / str(index)
        folder.mkdir()
        offset_ns = clockkit.TAI_MINUS_MONOTONIC_NS + booted_s * NS_PER_S + index * 987_654_321
        kept = clockkit.KeptClock(tai_minus_monotonic_ns=offset_ns)
        show = housekit.VirtualShow(folder, housekit.minimal_text(rate="59.94"), discipline=kept, tracker=False)
        show.kept = kept
        shows.append(show)
    first, second = shows
    for show in shows:
        show.run_for(1.0)
        show.kept.step(show, 250_000)
        show.run_for(8.0)
        show.kept.step(show, -3_000)
        show.run_for(1.0)
    rate = RATES["59.94"]
    for show in shows:
        plans = show.plans
        settled = [f for f in plans if f > max(plans) - 30]
        tai = {f: plans[f].t_present_ns - show.kept.epoch_ns for f in settled}
        assert tai == {f: rate.deadline_ns(0, f) for f in settled}
        assert {plans[f].timecode for f in settled} == {timecode_at(rate, f) for f in settled}
    for show in shows:
        show.__exit__()
    assert first.kept.epoch_ns != second.kept.epoch_ns


def test_time_zones_and_daylight_saving_reach_no_frame(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """K2: TAI and monotonic time only; the zone of the host changes nothing."""
    made = []
    for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu"):
        monkeypatch.setitem(os.environ, "TZ", zone)
        time.tzset()
        show = build()
        show.run_to(60)
        made.append(show.hashes[:60])
    monkeypatch.undo()
    time.tzset()
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("year_2038", [True, False])
def test_numbers_do_not_end_in_2038_nor_at_a_leap_second(build: Build, clockkit: ModuleType, year_2038: bool) -> None:
    """K2: 2^31 s passes; a leap second moves UTC and TAI - UTC, never TAI."""
    start_s = 2**31 - 12 if year_2038 else 1_700_000_000
    kept = clockkit.KeptClock(tai_minus_monotonic_ns=start_s * NS_PER_S)
    show = build("50", discipline=kept, tracker=False)
    show.run_for(1.5)
    if not year_2038:
        kept.kernel = msgspec_replace(kept.kernel, tai_offset_s=38)
    show.run_for(1.5)
    assert_steady(show)
    plans = show.plans
    assert all(plan.tai_ns == RATES["50"].deadline_ns(0, frame) for frame, plan in plans.items())
    assert max(plan.tai_ns for plan in plans.values()) > (2**31 * NS_PER_S if year_2038 else 0)
    assert codes(show) == set()


def test_a_conductor_that_is_killed_hands_its_time_on(build: Build, clockkit: ModuleType) -> None:
    """Also numbers that were ahead, and while a step waits."""
    kept = clockkit.KeptClock()
    show = build(discipline=kept, tracker=False)
    show.run_for(2.0)
    kept.step(show, -2 * NS_PER_S)
    show.run_for(0.3)
    show.desk.send(show.run.conductor_socket, JamTime(1, show.run.service_socket.name))
    show.run_for(2.0)
    show.answers()
    lead = clock_of(show).frame_lead
    assert lead == 48
    kept.step(show, 5 * NS_PER_S)
    show.run_for(1.5)
    assert clock_of(show).state == "step_refused"
    killed_at = max(show.plans)
    show.kill_conductor()
    show.run_for(0.7)
    show.start_conductor()
    show.run_for(2.0)
    now = clock_of(show)
    assert (now.frame_lead, now.state, now.error_us) == (lead, "step_refused", -5e6)
    plans = show.plans
    later = [f for f in plans if f > killed_at]
    rate = show.stage.rate
    assert all(
        plans[f].t_present_ns - plans[killed_at].t_present_ns
        == rate.deadline_ns(0, f - lead) - rate.deadline_ns(0, killed_at - lead)
        for f in later
    )


def test_genlock_phase_moves_every_wall_frame(build: Build, clockkit: ModuleType) -> None:
    show = build("25", "  genlock_phase_deg: 90.0", discipline=clockkit.KeptClock(), tracker=False)
    show.run_for(1.0)
    rate = RATES["25"]
    assert all(plan.tai_ns == rate.deadline_ns(0, frame) + 10 * NS_PER_MS for frame, plan in show.plans.items())


def test_labels_begin_where_they_are_told(build: Build) -> None:
    show = build("29.97", "  reference: free\n  label_offset_frames: 107892", tracker=False)
    show.run_to(40)
    plans = show.plans
    assert plans[0].timecode == "01:00:00;00"
    assert plans[31].timecode == "01:00:01;01"
    other = build("29.97", "  reference: free\n  drop_frame: false", tracker=False)
    other.run_to(10)
    assert other.plans[7].timecode == "00:00:00:07"
    assert frame_of(RATES["29.97"], "01:00:00;00") == 107892


def change(show: Any, housekit: ModuleType, version: int, text: str, *, frame: int = 0) -> None:
    """Another configuration, committed at a frame."""
    loaded = housekit.loaded_of(text)
    changed = msgspec.structs.replace(show.first, version=version, config_version=version)
    show.write(changed, loaded)
    show.prepare(changed)
    show.prepare(changed, to="main")
    show.run_for(0.5)
    show.answers()
    show.commit(version, frame)


def test_a_free_show_may_begin_to_follow_tai_while_it_runs(
    build: Build, housekit: ModuleType, clockkit: ModuleType
) -> None:
    """Its numbers jump from hundreds to the count since 1970, at one frame, and nothing is lost or counted twice."""
    show = build("24", "  reference: free", discipline=clockkit.KeptClock(), tracker=False)
    show.run_to(60)
    change(show, housekit, 2, housekit.minimal_text(rate="24") + "\ntime: {reference: system}\n")
    show.run_for(2.0)
    plans = show.plans
    rate = RATES["24"]
    old, new = [f for f in plans if f < 10**6], [f for f in plans if f > 10**9]
    assert old == list(range(len(old)))
    assert sorted(new) == list(range(min(new), max(new) + 1))
    assert len(new) > 40
    assert all(plans[f].tai_ns == rate.deadline_ns(0, f) for f in new)
    starts = sorted(plan.t_present_ns for plan in plans.values())
    steps_ns = np.diff(starts)
    assert rate.period_ns <= steps_ns.min() <= steps_ns.max() < 2 * rate.period_ns
    assert clock_of(show).state == "locked"
    shown = [f for f, _, _ in show.painter.shown]
    assert shown == sorted(set(shown))
    assert set(shown) >= {*old, *sorted(new)[:-2]}, "every slot has its picture"
    ledger = show.conductor.ledger
    assert ledger.repeats == {}
    assert ledger.presented == pytest.approx(len(plans), abs=20)


@pytest.mark.parametrize(("old", "new"), [("24", "50"), ("59.94", "25")])
def test_another_rate_on_the_same_tai_goes_on_counting(
    build: Build, housekit: ModuleType, clockkit: ModuleType, old: str, new: str
) -> None:
    show = build(old, discipline=clockkit.KeptClock(), tracker=False)
    show.run_for(1.0)
    change(show, housekit, 2, housekit.minimal_text(rate=new))
    show.run_for(1.5)
    plans = show.plans
    frames = sorted(plans)
    assert frames == list(range(frames[0], frames[-1] + 1))
    rate = RATES[new]
    lead = clock_of(show).frame_lead
    later = [f for f in frames if plans[f].rate == (rate.num, rate.den)]
    assert len(later) > 20
    assert all(plans[f].tai_ns == rate.deadline_ns(0, f - lead) for f in later), "on the new rate's grid since 1970"
    assert show.conductor.ledger.repeats == {}
    assert codes(show) == {"clock.numbers_ahead" if lead > 0 else "clock.numbers_behind"}
    show.desk.send(show.run.conductor_socket, JamTime(1, show.run.service_socket.name))
    show.run_for(0.5)
    assert clock_of(show).frame_lead == max(0, lead), "numbers only rise"


def test_ltc_names_frames_and_steers_the_whole_house(build: Build) -> None:
    """A tape 15 ppm slow: plans bear its labels, walls change with it, and every slot has its picture."""
    from runtime.references.ltc import LtcEncoder, write_word
    from stage.timecode import parts_at

    listen = "  reference: timecode\n  timecode: {type: ltc, listen: '127.0.0.1:0'}"
    show = build("25", listen, tracker=False)
    rate, slow = RATES["25"], 1 + 15e-6
    encoder = LtcEncoder(rate, 48000)
    start_ns = show.clock.now_ns()
    words = (write_word(parts_at(rate, 90_000 + i), labels_per_s=25) for i in range(10_000))
    samples = np.zeros(0, dtype=np.float32)
    sent = 0

    class Tape:
        def start(self) -> None: ...
        def stop(self) -> None: ...

        def step(self, now_ns: int) -> int:
            nonlocal samples, sent
            wanted = int((now_ns - start_ns) * 48e-6 / slow)
            while sent + len(samples) < wanted:
                samples = np.concatenate([samples, encoder.frame(next(words))])
            data = (samples[: wanted - sent] * 20000).astype("<i2").tobytes()
            samples, sent = samples[wanted - sent :], wanted
            if data:
                show.conductor.keeper.take(data, now_ns)
            return now_ns + 10 * NS_PER_MS

    show.house.add("tape", Tape())
    show.run_for(60.0)
    now = clock_of(show)
    assert (now.labels, now.state, now.fault) == ("jammed", "locked", "")
    assert codes(show) == set()
    plans = show.plans
    last = max(plans)
    for frame in range(last - 20, last):
        label = frame_of(rate, plans[frame].timecode)
        begins_ns = start_ns + (label - 90_000) * 40e6 * slow
        assert plans[frame].t_present_ns == pytest.approx(begins_ns, abs=300_000)
    settled = [f for f in plans if f > 100]
    steps_ns = np.diff([plans[f].t_present_ns for f in sorted(settled)])
    assert np.abs(steps_ns - 40 * NS_PER_MS).max() <= 2001
    assert show.conductor.ledger.repeats == {}


def test_a_wild_reference_never_costs_a_slot(build: Build, clockkit: ModuleType) -> None:
    """Seeded: steps of all sizes, losses, returns and jams; each slot has one picture, numbers rise."""
    random = np.random.default_rng(7)
    kept = clockkit.KeptClock()
    show = build("30", discipline=kept, tracker=False)
    for _ in range(40):
        show.run_for(float(random.uniform(0.2, 0.8)))
        what = random.integers(5)
        if what == 0:
            kept.step(show, int(random.normal(0, 3e5)))
        elif what == 1:
            kept.step(show, int(random.normal(0, 5e9)))
        elif what == 2:
            kept.lose()
        elif what == 3:
            kept.keep()
        else:
            show.desk.send(show.run.conductor_socket, JamTime(1, show.run.service_socket.name))
    plans = show.plans
    assert list(plans) == sorted(plans)
    starts = [plan.t_present_ns for plan in plans.values()]
    steps_ns = np.diff(starts)
    period_ns = show.stage.rate.period_ns
    assert steps_ns.min() >= period_ns * (1 - SLOWEST) - 1
    assert steps_ns.max() <= 2 * period_ns
    shown = [f for f, _, _ in show.painter.shown]
    assert shown == sorted(set(shown))
    assert set(plans) - set(shown) <= set(sorted(plans)[-2:])
    assert show.conductor.ledger.repeats == {}
