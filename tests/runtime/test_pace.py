"""Pacing: phase is kept for ever, and every slot is taken or counted as skipped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import NS_PER_MS, VirtualClock
from runtime.metronome import Metronome, MetronomeReport, Spread, stolen_ns
from runtime.pace import Pacer, next_frame, smpte_epoch_ns
from stage.rate import RATES, Rate

rates = st.sampled_from(sorted(RATES.values(), key=str))
origins_ns = st.integers(-(2 * 10**18), 10**18)


@given(rates, origins_ns, st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_every_slot_is_taken_or_skipped_and_phase_never_moves(rate: Rate, t0_ns: int, gaps_ns: list[int]) -> None:
    pacer = Pacer(rate, t0_ns)
    now_ns, waited_for = t0_ns, 0
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        due = pacer.take(now_ns)
        if due is None:
            assert now_ns < rate.deadline_ns(t0_ns, waited_for)
            continue
        assert due.deadline_ns == rate.deadline_ns(t0_ns, due.frame)
        assert due.deadline_ns <= now_ns < rate.deadline_ns(t0_ns, due.frame + 1)
        assert due.late_ns == now_ns - due.deadline_ns
        assert due.skipped == due.frame - waited_for >= 0
        waited_for = due.frame + 1
        assert (pacer.frame, pacer.deadline_ns) == (waited_for, rate.deadline_ns(t0_ns, waited_for))
    assert pacer.taken + pacer.skipped == waited_for


def test_a_day_of_23976_ends_where_it_must() -> None:
    rate = RATES["23.976"]
    pacer = Pacer(rate, 0, frame=24000 * 3600)
    assert pacer.deadline_ns == 1001 * 3600 * 10**9
    due = pacer.take(pacer.deadline_ns)
    assert due is not None
    assert (due.late_ns, due.skipped) == (0, 0)


def test_late_by_more_than_a_frame_skips_whole_periods() -> None:
    pacer = Pacer(Rate(100), 0)
    assert pacer.take(-1) is None
    late = pacer.take(35 * NS_PER_MS)
    assert late is not None
    assert (late.frame, late.skipped, late.late_ns) == (3, 3, 5 * NS_PER_MS)
    assert pacer.deadline_ns == 40 * NS_PER_MS
    pacer.wait_for(10)
    assert (pacer.deadline_ns, pacer.skipped) == (100 * NS_PER_MS, 3)


@given(rates, origins_ns, st.integers(0, 10**13), st.integers(0, 10**10))
def test_the_next_frame_is_the_first_with_that_lead(rate: Rate, t0_ns: int, after_ns: int, lead_ns: int) -> None:
    now_ns = t0_ns + after_ns
    frame = next_frame(rate, t0_ns, now_ns, lead_ns=lead_ns)
    assert rate.deadline_ns(t0_ns, frame) >= now_ns + lead_ns
    assert rate.deadline_ns(t0_ns, frame - 1) < now_ns + lead_ns


def test_frame_0_of_a_disciplined_house_is_the_smpte_epoch() -> None:
    clock = VirtualClock(10**9, tai_minus_monotonic_ns=1_800_000_000 * 10**9)
    rate = Rate(24)
    epoch_ns = smpte_epoch_ns(clock)
    assert epoch_ns is not None
    frame = rate.frame_at(epoch_ns, clock.now_ns())
    assert frame == 24 * 1_800_000_001


def test_the_metronome_counts_only_what_was_taken_from_it() -> None:
    clock = VirtualClock(0)
    rate = Rate(100)
    metronome = Metronome(clock, rate, slots=20, lead_ns=10 * NS_PER_MS)
    # A stall in slot 5 that swallows slots 6 and 7 and makes 8 late by 6 of its 10 ms.
    clock.call_at(61 * NS_PER_MS, lambda: clock.jump(35 * NS_PER_MS))
    report = metronome.run()
    assert (report.slots, report.host_stalls, report.half_late) == (20, 2, 1)
    assert (report.late_ms.max, report.late_ms.p50) == (6.0, 0.0)


def test_the_metronome_alone_on_a_virtual_clock_loses_nothing() -> None:
    report = Metronome(VirtualClock(0), RATES["59.94"], slots=600).run()
    assert (report.slots, report.host_stalls, report.half_late, report.late_ms) == (600, 0, 0, Spread(0, 0, 0, 0))


def test_the_metronome_is_a_command_too() -> None:
    command = [sys.executable, "-P", "-m", "runtime.metronome", "120", "12"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    report = json.loads(done.stdout)
    assert set(report) == set(MetronomeReport.__dataclass_fields__)
    assert (report["slots"], report["rt_class"]) == (12, 0)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_values_that_were_measured(values: list[float]) -> None:
    spread = Spread.of(values)
    assert {spread.p50, spread.p95, spread.p99, spread.max} <= set(values)
    assert spread.p50 <= spread.p95 <= spread.p99 <= spread.max == max(values)
    assert sum(value <= spread.p50 for value in values) * 2 >= len(values)


def test_percentiles_of_a_hundred() -> None:
    assert Spread.of([float(i) for i in range(100, 0, -1)]) == Spread(50, 95, 99, 100)
    assert Spread.of([]) == Spread(0, 0, 0, 0)


def test_stolen_time_is_read_from_the_kernel(tmp_path: Path) -> None:
    assert stolen_ns() >= 0
    stat = tmp_path / "stat"
    stat.write_text("cpu  1 2 3 4 5 6 7 123 0 0\ncpu0 1\n")
    assert stolen_ns(stat) == 1_230_000_000
    assert stolen_ns(tmp_path / "absent") == 0
