"""The ledger where pictures are shown on monitors: presented is when they were seen, not when they were handed over."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from controller.ledger import Ledger
from controller.ledger_record import SCREENS, Event, intervals_ms, presented_ns
from controller.ledger_words import explain
from stage.plan import CanvasReport, FramePlan, FrameReport, Reason
from stage.rate import Rate

MS = 1_000_000
SEEN_MS = 7.0
"""From the hand-over to the blank."""


@pytest.fixture(scope="module")
def kit() -> ModuleType:
    name = "ledgerkit"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "_ledgerkit.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def seen(plan: FramePlan, handed_ns: int, *, shown: int | None = None, reason: Reason = "none") -> FrameReport:
    """What the presenter says of a frame."""
    frame = plan.frame if shown is None else shown
    return FrameReport(
        frame=plan.frame,
        node=SCREENS,
        plan_hash=plan.frame + 7 if shown is None else 0,
        canvases={name: CanvasReport(frame, reason) for name in ("left", "right")},
        t_draw_started_ns=0,
        t_drawn_ns=0,
        t_presented_ns=handed_ns + round(SEEN_MS * MS),
    )


def run(kit: ModuleType, *, screens: str, missed: int = -1) -> Ledger:
    """Forty frames; screens : `after` or `before` the node's reports are read, or `none`."""
    ledger = Ledger(Rate(24), ("left", "right"))
    for frame in range(40):
        plan = kit.a_plan(frame, Rate(24))
        published_ns = plan.t_latched_ns + MS // 2
        ledger.add_plan(plan, t_published_ns=published_ns, plan_hash=frame + 7)
        report = kit.a_report(plan, published_ns=published_ns)
        told = seen(plan, report.t_presented_ns)
        if frame == missed:
            told = seen(plan, report.t_presented_ns, shown=frame - 1, reason="late_draw")
        order = {"after": [report, told], "before": [told, report], "none": [report]}[screens]
        for one in order:
            ledger.add_report(one)
    ledger.flush()
    return ledger


@pytest.mark.parametrize("screens", ["after", "before"])
def test_presented_is_when_it_was_seen(kit: ModuleType, screens: str) -> None:
    without, ledger = run(kit, screens="none"), run(kit, screens=screens)
    assert (ledger.presented, ledger.repeated) == (without.presented, without.repeated) == (40, 0)
    later = ledger.latency_ms()["receive_to_present"].p50 - without.latency_ms()["receive_to_present"].p50
    assert later == pytest.approx(SEEN_MS, abs=1e-6)
    record, plain = ledger.record(20), without.record(20)
    assert record is not None
    assert plain is not None
    gained = intervals_ms(record)["receive_to_present"] - intervals_ms(plain)["receive_to_present"]
    assert gained == pytest.approx(SEEN_MS, abs=1e-6)
    assert presented_ns(record, record.nodes["main"]) == record.nodes[SCREENS].t_presented_ns
    assert presented_ns(plain, plain.nodes["main"]) == plain.nodes["main"].t_presented_ns
    # Nothing else moves.
    assert intervals_ms(record)["draw"] == intervals_ms(plain)["draw"]


@pytest.mark.parametrize("screens", ["after", "before"])
def test_what_was_handed_over_and_never_seen_was_repeated(kit: ModuleType, screens: str) -> None:
    ledger = run(kit, screens=screens, missed=20)
    assert (ledger.presented, ledger.repeated, ledger.repeats) == (39, 1, {"late_draw": 1})
    record = ledger.record(20)
    assert record is not None
    assert (record.presented, record.reason) == (False, "late_draw")


def more(kit: ModuleType, ledger: Ledger, first: int, end: int, *, screens: bool = False) -> None:
    """Further frames that nodes hand over in time."""
    for frame in range(first, end):
        plan = kit.a_plan(frame, Rate(24))
        ledger.add_plan(plan, t_published_ns=plan.t_latched_ns + MS // 2, plan_hash=frame + 7)
        report = kit.a_report(plan, published_ns=plan.t_latched_ns + MS // 2)
        ledger.add_report(report)
        if screens:
            ledger.add_report(seen(plan, report.t_presented_ns))


def test_what_a_dead_presenter_does_not_show_was_not_presented(kit: ModuleType) -> None:
    ledger = run(kit, screens="after")
    before = len(ledger.histograms()["receive_to_present"])
    more(kit, ledger, 40, 140)
    ledger.flush()
    assert (ledger.presented, ledger.repeated, ledger.repeats) == (40, 100, {"fenced": 100})
    record = ledger.record(100)
    assert record is not None
    assert (record.presented, record.reason) == (False, "fenced")
    # A little more than two seconds are not measured; then hand-overs are, again.
    assert len(ledger.histograms()["receive_to_present"]) - before == 140 - 39 - 64 - 1
    # It is back.
    more(kit, ledger, 140, 200, screens=True)
    ledger.flush()
    assert (ledger.presented, ledger.repeated) == (100, 100)


def test_a_word_that_comes_late_is_taken(kit: ModuleType) -> None:
    ledger = run(kit, screens="after")
    more(kit, ledger, 40, 80)
    assert ledger.repeats.get("fenced", 0) > 0
    for frame in range(40, 80):
        ledger.add_report(seen(kit.a_plan(frame, Rate(24)), 0))
    ledger.flush()
    assert (ledger.presented, ledger.repeated) == (80, 0)


def test_screens_that_say_that_they_show_nothing_are_not_waited_for(kit: ModuleType) -> None:
    ledger = run(kit, screens="after")
    ledger.add_report(FrameReport(39, SCREENS, 0, {}, 0, 0, 0))
    more(kit, ledger, 40, 100)
    ledger.flush()
    assert (ledger.presented, ledger.repeated) == (100, 0)


def test_what_a_node_did_not_hand_over_keeps_its_own_reason(kit: ModuleType) -> None:
    ledger = run(kit, screens="after")
    plan = kit.a_plan(40, Rate(24))
    ledger.add_plan(plan, t_published_ns=plan.t_latched_ns + MS // 2, plan_hash=47)
    late = {name: CanvasReport(39, "late_draw") for name in ("left", "right")}
    ledger.add_report(FrameReport(40, "main", 0, late, 0, 0, 0))
    more(kit, ledger, 41, 60, screens=True)
    ledger.flush()
    assert ledger.repeats == {"late_draw": 1}


def test_a_successor_knows_what_is_on_monitors(kit: ModuleType) -> None:
    ledger = run(kit, screens="after")
    again = Ledger(Rate(24), ("left", "right"))
    again.resume(ledger.counts())
    more(kit, again, 40, 80)
    again.flush()
    assert (again.presented, again.repeated) == (40, 40)


def test_a_canvas_whose_monitor_is_lost_was_not_presented(kit: ModuleType) -> None:
    ledger = run(kit, screens="after")
    for frame in range(40, 50):
        plan = kit.a_plan(frame, Rate(24))
        ledger.add_plan(plan, t_published_ns=plan.t_latched_ns + MS // 2, plan_hash=frame + 7)
        report = kit.a_report(plan, published_ns=plan.t_latched_ns + MS // 2)
        ledger.add_report(report)
        shown = {"left": CanvasReport(frame, "none"), "right": CanvasReport(39, "fenced")}
        ledger.add_report(FrameReport(frame, SCREENS, frame + 7, shown, 0, 0, report.t_presented_ns))
    ledger.flush()
    assert (ledger.presented, ledger.repeats) == (40, {"fenced": 10})


def test_why_nobody_saw_it_is_told(kit: ModuleType) -> None:
    ledger = run(kit, screens="after")
    more(kit, ledger, 40, 80)
    ledger.flush()
    record = ledger.record(60)
    assert record is not None
    ended = Event(record.t_present_ns - MS, "process_ended", "windows", "killed by SIGKILL")
    told = explain(record, [], events=[ended])
    assert "not seen on every monitor: windows had ended (killed by SIGKILL)" in told.headline
