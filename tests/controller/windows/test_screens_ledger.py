"""The ledger where pictures are shown on monitors: presented is when they were seen, not when they were handed over."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from controller.ledger import Ledger
from controller.ledger_record import SCREENS, intervals_ms, presented_ns
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


def test_screens_that_fall_silent_are_not_waited_for_for_ever(kit: ModuleType) -> None:
    ledger = run(kit, screens="after")
    before = len(ledger.histograms()["receive_to_present"])
    for frame in range(40, 140):
        plan = kit.a_plan(frame, Rate(24))
        ledger.add_plan(plan, t_published_ns=plan.t_latched_ns + MS // 2, plan_hash=frame + 7)
        ledger.add_report(kit.a_report(plan, published_ns=plan.t_latched_ns + MS // 2))
    # A little more than two seconds are not measured; then hand-overs count again.
    assert len(ledger.histograms()["receive_to_present"]) - before == 140 - 39 - 64 - 1
    assert ledger.presented >= 120
