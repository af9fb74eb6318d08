"""The ledger counts every slot once, names every repeat, and measures what CONTRACTS names."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger import BOUNDS_MS, Ledger, Series, percentiles_of
from controller.ledger_batch import LedgerBatch
from controller.ledger_record import INTERVALS, HostNote
from controller.status import Percentiles
from stage.plan import CanvasReport, FramePlan, FrameReport, PlanCamera, PlanLens, PlanOuter, Reason
from stage.rate import Rate

MS = 1_000_000
RATE = Rate(24)


def a_plan(frame: int, *, received_ms: float = 10.0) -> FramePlan:
    t_ns = RATE.deadline_ns(0, frame)
    camera = PlanCamera(
        id="a",
        rank=0,
        on_air=True,
        slot=0,
        enabled=True,
        t_photo_ns=t_ns + 60 * MS,
        stage_from_camera=[float(i % 5 == 0) for i in range(16)],
        pupil_m=(0.0, 0.0, 0.0),
        lens=PlanLens(35.0, 36.0, 20.25),
        overscan_deg=(1.0, 1.0, 1.0, 1.0),
        raster_px=(640, 360),
        soft_edge_deg=0.5,
        walls=["main"],
        source="sim",
        packet_id=frame,
        t_sampled_ns=t_ns - 42 * MS,
        t_received_ns=t_ns - 40 * MS,
    )
    return FramePlan(
        frame=frame,
        rate=(24, 1),
        t_present_ns=t_ns,
        cameras=[camera],
        outer=PlanOuter("live", frame, (0.0, 0.0, 1.7)),
        scenes=[],
        t_latched_ns=t_ns - int((40 - received_ms) * MS),
    )


def a_report(frame: int, *canvases: str, node: str = "n0", shown: int | None = None, reason: Reason = "none",
             plan_hash: int | None = None) -> FrameReport:  # fmt: skip
    t_ns = RATE.deadline_ns(0, frame)
    return FrameReport(
        frame=frame,
        node=node,
        plan_hash=frame * 7 if plan_hash is None else plan_hash,
        canvases={name: CanvasReport(frame if shown is None else shown, reason) for name in canvases or ("c",)},
        t_draw_started_ns=t_ns - 25 * MS,
        t_drawn_ns=t_ns - 5 * MS,
        t_presented_ns=t_ns,
    )


def feed(ledger: Ledger, frame: int, **report: object) -> None:
    plan = a_plan(frame)
    ledger.add_plan(plan, t_published_ns=plan.t_latched_ns + 1 * MS, plan_hash=frame * 7)
    ledger.add_report(a_report(frame, **report))  # type: ignore[arg-type]


def test_every_interval_is_measured_between_its_own_stamps() -> None:
    ledger = Ledger(RATE, ["c"])
    for frame in range(1, 101):
        feed(ledger, frame)
    latency = ledger.latency_ms()
    assert set(latency) == set(INTERVALS)
    expected = {
        "receive_to_latch": 10.0,
        "latch_to_plan": 1.0,
        "receive_to_plan": 11.0,
        "plan_to_draw": 4.0,
        "draw": 20.0,
        "receive_to_present": 40.0,
    }
    for name, ms in expected.items():
        assert latency[name].p50 == pytest.approx(ms), name
        assert latency[name].max == pytest.approx(ms), name
    assert ledger.age_ms()["a"].p99 == pytest.approx(102.0)


def test_own_share_is_what_the_conductor_measured() -> None:
    ledger = Ledger(RATE, ["c"])
    assert ledger.latency_ms()["own_share"] == Percentiles()
    ledger.set_own_share(Percentiles(0.2, 0.3, 0.4, 0.9))
    assert ledger.report()["latency_ms"]["own_share"] == {"p50": 0.2, "p95": 0.3, "p99": 0.4, "max": 0.9}


def test_counting_begins_with_the_first_slot_of_all_canvases() -> None:
    ledger = Ledger(RATE, ["left", "right"])
    for frame in range(1, 5):
        ledger.add_report(a_report(frame, "left", node="n0"))
    assert ledger.frames == 0
    for frame in range(5, 10):
        ledger.add_report(a_report(frame, "left", node="n0"))
        ledger.add_report(a_report(frame, "right", node="n1"))
    assert ledger.first_frame == 5
    assert (ledger.frames, ledger.presented, ledger.repeated) == (5, 5, 0)


def test_one_canvas_that_repeats_makes_the_slot_repeated() -> None:
    ledger = Ledger(RATE, ["left", "right"])
    for frame in range(1, 11):
        ledger.add_report(a_report(frame, "left", node="n0"))
        late = frame == 4
        ledger.add_report(
            a_report(frame, "right", node="n1", shown=frame - late, reason="late_draw" if late else "none")
        )
    assert (ledger.presented, ledger.repeated, ledger.repeats) == (9, 1, {"late_draw": 1})
    record = ledger.record(4)
    assert record is not None
    assert record.presented is False
    assert record.reason == "late_draw"


def test_a_frame_without_a_plan_is_presented_and_told() -> None:
    ledger = Ledger(RATE, ["c"])
    feed(ledger, 1)
    ledger.add_report(a_report(2, reason="no_plan", plan_hash=99))
    feed(ledger, 3)
    assert (ledger.presented, ledger.repeated, ledger.made_by_node) == (3, 0, 1)


def test_an_older_picture_with_no_reason_is_not_hidden() -> None:
    ledger = Ledger(RATE, ["c"])
    feed(ledger, 1)
    ledger.add_report(a_report(2, shown=1, reason="none"))
    assert ledger.repeats == {"none": 1}


def test_slots_of_a_dead_node_are_fenced_and_all_are_counted() -> None:
    ledger = Ledger(RATE, ["c"])
    for frame in [*range(1, 11), *range(30, 41)]:
        feed(ledger, frame)
    ledger.flush()
    assert ledger.frames == 40
    assert ledger.repeats == {"fenced": 19}


def test_a_dead_node_is_noticed_from_the_plans_alone() -> None:
    ledger = Ledger(RATE, ["c"])
    feed(ledger, 1)
    for frame in range(2, 40):
        ledger.add_plan(a_plan(frame), t_published_ns=0)
    assert ledger.frames == 39 - 16 - 1
    assert ledger.repeats == {"fenced": 39 - 16 - 2}


def test_a_late_report_mends_the_count() -> None:
    ledger = Ledger(RATE, ["c"])
    feed(ledger, 1)
    for frame in range(22, 40):
        feed(ledger, frame)
    ledger.flush()
    assert ledger.repeats == {"fenced": 20}
    for frame in range(2, 22):
        ledger.add_report(a_report(frame, shown=1, reason="host_stall"))
    assert ledger.repeats == {"host_stall": 20}
    assert ledger.frames == 39


def test_flush_decides_what_is_left() -> None:
    ledger = Ledger(RATE, ["left", "right"])
    ledger.add_report(a_report(1, "left", "right"))
    ledger.add_report(a_report(2, "left"))
    assert ledger.frames == 1
    ledger.flush()
    assert ledger.frames == 2
    assert ledger.repeats == {"fenced": 1}


def test_the_order_of_arrival_does_not_matter() -> None:
    events: list[tuple[str, int]] = [(kind, frame) for frame in range(1, 11) for kind in ("plan", "report")]
    outcomes = []
    for seed in range(20):
        chance = random.Random(seed)
        mixed = sorted(events[1:], key=lambda event: event[1] + chance.uniform(0, 6))
        ledger = Ledger(RATE, ["c"])
        for kind, frame in [("report", 1), events[0], *[e for e in mixed if e != ("report", 1)]]:
            if kind == "plan":
                plan = a_plan(frame)
                ledger.add_plan(plan, t_published_ns=plan.t_latched_ns + MS, plan_hash=frame * 7)
            else:
                late = frame in (3, 7)
                ledger.add_report(a_report(frame, shown=frame - late, reason="late_plan" if late else "none"))
        ledger.flush()
        outcomes.append(ledger.report())
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0]["repeats"] == {"late_plan": 2}
    assert outcomes[0]["latency_ms"]["plan_to_draw"]["p50"] == pytest.approx(4.0)


@given(st.lists(st.sampled_from(["presented", "late_plan", "late_draw", "host_stall", "silent"]), max_size=80))
def test_frames_are_presented_plus_repeated(fates: list[str]) -> None:
    ledger = Ledger(RATE, ["c"])
    feed(ledger, 1)
    for frame, fate in enumerate(fates, 2):
        if fate == "presented":
            ledger.add_report(a_report(frame))
        elif fate != "silent":
            ledger.add_report(a_report(frame, shown=frame - 1, reason=fate))  # type: ignore[arg-type]
    last = len(fates) + 2
    feed(ledger, last)
    ledger.flush()
    assert ledger.frames == last
    assert ledger.presented == 2 + fates.count("presented")
    assert ledger.repeated == sum(ledger.repeats.values()) == len(fates) - fates.count("presented")
    assert ledger.repeats.get("fenced", 0) == fates.count("silent")


def test_the_report_has_the_pinned_keys() -> None:
    ledger = Ledger(Rate(24000, 1001), ["c"])
    feed(ledger, 1)
    report = ledger.report(rt_class=20)
    assert set(report) >= {"rate", "frames", "presented", "repeated", "repeats", "rt_class", "latency_ms", "age_ms"}
    assert report["rate"] == [24000, 1001]
    assert report["rt_class"] == 20
    assert set(report["latency_ms"]) == set(INTERVALS)
    assert set(report["latency_ms"]["draw"]) == {"p50", "p95", "p99", "max"}
    assert set(report["age_ms"]) == {"a"}


def test_memory_is_bounded_while_counts_go_on() -> None:
    ledger = Ledger(RATE, ["c"], keep=64, keep_values=50)
    for frame in range(1, 1001):
        feed(ledger, frame)
    assert ledger.frames == 1000
    assert [record.frame for record in ledger.latest(3)] == [998, 999, 1000]
    assert ledger.record(900) is None
    assert len(ledger.history_ms("draw", 500)) == 50


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    random.Random(1).shuffle(values)
    assert percentiles_of(values) == Percentiles(50.0, 95.0, 99.0, 100.0)
    assert percentiles_of([]) == Percentiles()


def test_a_series_remembers_its_greatest_value_for_ever() -> None:
    series = Series(10)
    for value in [99.0, *range(20)]:
        series.add(float(value))
    assert len(series) == 10
    assert series.percentiles().max == 99.0
    assert series.percentiles(5).max == 19.0


def feed_at(ledger: Ledger, frame: int, slot: int, *, shown: int | None = None, reason: Reason = "none") -> None:
    """Frame number `frame` in the slot-th slot of the run."""
    plan = msgspec.structs.replace(a_plan(frame), t_present_ns=RATE.deadline_ns(0, slot))
    ledger.add_plan(plan, t_published_ns=plan.t_present_ns - 20 * MS, plan_hash=frame * 7)
    ledger.add_report(a_report(frame, shown=shown, reason=reason))


@pytest.mark.parametrize("jump", [100_000, 17, -900])
def test_a_clock_that_is_set_leaves_no_slots_that_never_were(jump: int) -> None:
    ledger = Ledger(RATE, ["c"])
    for slot in range(1, 1001):
        feed_at(ledger, slot, slot)
    for slot in range(1001, 1101):
        feed_at(ledger, slot + jump, slot)
    assert (ledger.frames, ledger.repeated) == (1100, 0)
    assert ledger.latest(1)[0].frame == 1100 + jump


def stalled(frame: int, from_ms: float, to_ms: float) -> HostNote:
    """The host stood still between two moments, counted from the slot of `frame`."""
    t_ns = RATE.deadline_ns(0, frame)
    return HostNote(frame, t_ns, [(t_ns + int(from_ms * MS), t_ns + int(to_ms * MS))], 0, {"node-main": 3 * MS})


def test_a_repeat_while_the_host_stood_still_is_the_hosts() -> None:
    ledger = Ledger(RATE, ["c"])
    for frame in range(1, 20):
        feed(ledger, frame)
    # Drawn 30 ms late after a standstill of 35 ms.
    late = a_report(20, shown=19, reason="late_draw")
    late = msgspec.structs.replace(late, t_drawn_ns=late.t_presented_ns + 30 * MS)
    ledger.add_plan(a_plan(20), t_published_ns=a_plan(20).t_latched_ns + MS, plan_hash=140)
    ledger.add_report(late)
    assert ledger.repeats == {"late_draw": 1}
    ledger.add_host(stalled(20, -15, 20))
    record = ledger.record(20)
    assert record is not None
    assert (record.reason, record.stall_ns) == ("host_stall", 35 * MS)
    assert record.waited_ns == {"node-main": 3 * MS}
    assert ledger.repeats == {"host_stall": 1}
    assert (ledger.frames, ledger.stalls, ledger.stalled_ns) == (20, 1, 35 * MS)


def test_a_standstill_told_before_the_repeat_counts_the_same() -> None:
    ledger = Ledger(RATE, ["c"])
    feed(ledger, 1)
    ledger.add_plan(a_plan(2), t_published_ns=a_plan(2).t_latched_ns + MS, plan_hash=14)
    ledger.add_host(stalled(2, -30, 8))
    ledger.add_report(msgspec.structs.replace(a_report(2, shown=1, reason="late_plan"), t_drawn_ns=0))
    assert ledger.repeats == {"host_stall": 1}


def test_a_standstill_that_explains_nothing_excuses_nothing() -> None:
    ledger = Ledger(RATE, ["c"])
    feed(ledger, 1)
    # 40 ms late, the host stood still for 3 of them; and a HOLD is a HOLD.
    late = a_report(2, shown=1, reason="late_draw")
    ledger.add_plan(a_plan(2), t_published_ns=a_plan(2).t_latched_ns + MS, plan_hash=14)
    ledger.add_report(msgspec.structs.replace(late, t_drawn_ns=late.t_presented_ns + 40 * MS))
    feed(ledger, 3)
    feed(ledger, 4)
    feed(ledger, 5)
    ledger.add_plan(a_plan(6), t_published_ns=a_plan(6).t_latched_ns + MS, plan_hash=42)
    ledger.add_report(a_report(6, shown=5, reason="held"))
    ledger.add_host(stalled(2, -10, -7))
    ledger.add_host(stalled(6, -30, 30))
    assert ledger.repeats == {"late_draw": 1, "held": 1}
    record = ledger.record(2)
    assert record is not None
    assert record.stall_ns == 3 * MS
    assert ledger.presented == 4


@pytest.mark.parametrize(("tick_ms", "reason"), [(0.0, "late_draw"), (5.0, "late_draw"), (40.0, "host_stall")])
def test_a_standstill_seen_by_its_end_is_believed_to_be_as_long_again(tick_ms: float, reason: str) -> None:
    """A metronome that wakes seldom sees only the end: 20 ms of what made the picture 30 ms late."""
    ledger = Ledger(RATE, ["c"])
    feed(ledger, 1)
    late = a_report(2, shown=1, reason="late_draw")
    ledger.add_plan(a_plan(2), t_published_ns=a_plan(2).t_latched_ns + MS, plan_hash=14)
    ledger.add_report(msgspec.structs.replace(late, t_drawn_ns=late.t_presented_ns + 35 * MS))
    ledger.add_host(msgspec.structs.replace(stalled(2, -10, 10), tick_ns=int(tick_ms * MS)))
    assert ledger.repeats == {reason: 1}


def test_histograms_hold_every_value_there_was() -> None:
    series = Series(4)
    values = [0.05, 0.06, 3.0, 999.0, 5000.0, 0.0]
    for value in values:
        series.add(value)
    found = series.histogram()
    assert found == [sum(value <= bound for value in values) for bound in BOUNDS_MS] + [len(values)]
    assert series.total == pytest.approx(sum(values))


@given(st.lists(st.integers(0, 3), max_size=60))
def test_told_in_one_go_a_ledger_is_the_same(when: list[int]) -> None:
    """However often the inbox is emptied."""
    at_once, batch = Ledger(RATE, ["c"]), LedgerBatch(Ledger(RATE, ["c"]))
    for frame, action in enumerate(when, 1):
        plan = a_plan(frame)
        at_once.add_plan(plan, t_published_ns=plan.t_latched_ns + MS, plan_hash=frame * 7)
        batch.plan(plan, plan.t_latched_ns + MS, frame * 7)
        report = a_report(frame, shown=frame - (action == 1), reason="late_draw" if action == 1 else "none")
        at_once.add_report(report)
        batch.report(report)
        if action == 2:
            note = stalled(frame, -40, 5)
            at_once.add_host(note)
            batch.note(note)
        if action == 3:
            batch.tell()
    assert batch.tell().report() == at_once.report()
    assert batch.ledger.latest(100) == at_once.latest(100)


def test_a_counted_run_ends_with_its_last_slot() -> None:
    batch = LedgerBatch(Ledger(RATE, ["c"]), frames=5)
    for frame in range(1, 10):
        batch.plan(a_plan(frame), 1, 7)
        batch.report(a_report(frame))
    assert not batch.done
    assert batch.tell().frames == 5
    assert batch.done
