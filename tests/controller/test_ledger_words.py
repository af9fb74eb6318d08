"""Why a frame was late, in words: each case names its own cause, with the figures of the ledger."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger import Ledger
from controller.ledger_record import Event, FrameRecord, HostNote
from controller.ledger_words import REASON_WORDS, Why, explain
from stage.plan import REASONS
from stage.rate import Rate

MS = 1_000_000
RATE = Rate(24)


def load_kit() -> ModuleType:
    name = "ledgerkit"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "_ledgerkit.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def kit() -> ModuleType:
    return load_kit()


def why(ledger: Ledger, frame: int, **more: Any) -> Why:
    record = ledger.record(frame)
    assert record is not None
    return explain(record, ledger.latest(1000), **more)


def put(ledger: Ledger, kit: ModuleType, frame: int, *, plan: dict[str, Any] | None = None, planning_ms: float = 0.4,
        fields: dict[str, Any] | None = None, **report: Any) -> None:  # fmt: skip
    """One slot, special in some way, instead of the one that is there."""
    made = msgspec.structs.replace(kit.a_plan(frame, RATE, **(plan or {})), **(fields or {}))
    published_ns = made.t_latched_ns + round(planning_ms * MS)
    ledger.add_plan(made, t_published_ns=published_ns, plan_hash=frame + 7)
    ledger.add_report(kit.a_report(made, published_ns=published_ns, **report))


def test_a_frame_in_time_says_how_early_it_was(kit: ModuleType) -> None:
    told = why(kit.a_ledger(200), 100)
    assert told.headline.startswith("Frame 100 was shown in its slot; it was ready 3.")
    assert told.headline.endswith("ms before it had to be.")
    assert any("followed packet 500 of tracker" in said for said in told.details)
    assert [step.step for step in told.steps] == ["wait", "plan", "hand_over", "draw", "hold"]
    assert not any(step.longer for step in told.steps)


def test_a_long_drawing_is_named_with_what_is_usual(kit: ModuleType) -> None:
    told = why(kit.a_ledger(200, draws_ms={100: 40.0}), 100)
    assert told.headline.startswith(
        "Frame 100 was not shown in its slot: the walls showed the picture of frame 99, because drawing on node main "
        "took 40.0 ms instead of the usual 12.0 ms, so it was ready 24."
    )
    assert "(5.2 ms are forgiven)" in told.headline
    assert [step.step for step in told.steps if step.longer] == ["draw"]
    assert "The outer picture was drawn anew in it, which most frames do not do." in told.details
    assert "No other slot within half a second was missed." in told.details
    assert not any(said.startswith("Drawing took") for said in told.details), "once is enough"


def test_a_larger_picture_and_a_change_are_told_beside_it(kit: ModuleType) -> None:
    ledger = kit.a_ledger(201)
    camera = kit.a_plan(201, RATE).cameras[0]
    larger = msgspec.structs.replace(camera, raster_px=(1280, 720), quality="coasting")
    put(ledger, kit, 201, draw_ms=30.0, fields={"cameras": [larger], "show_version": 7, "config_version": 2})
    told = why(ledger, 201)
    assert "The inner picture of camera a was larger than usual: 1280 x 720, 4 times the pixels." in told.details
    assert "The configuration was switched with it: 2 after 1." in told.details
    assert "The show was changed with it: revision 7 after 1." in told.details
    assert any("its pose was coasting" in said for said in told.details)


def test_a_short_lead_is_not_blamed_on_the_drawing(kit: ModuleType) -> None:
    ledger = kit.a_ledger(201)
    put(ledger, kit, 201, plan={"lead_ms": 4.0}, draw_ms=12.0)
    told = why(ledger, 201)
    assert "because it was begun too late for a drawing that took 12.0 ms as usual" in told.headline
    assert "latched 4.0 ms before the slot" in told.headline


def test_a_node_that_was_busy_is_named_with_the_frame_it_drew(kit: ModuleType) -> None:
    ledger = kit.a_ledger(201)
    put(ledger, kit, 201, draw_ms=60.0)
    put(ledger, kit, 202, start_ms=20.0, draw_ms=12.0)
    told = why(ledger, 202)
    assert "because the node began to draw it 20.0 ms after its plan was there (it was still drawing frame 201)" in (
        told.headline
    )
    assert "1 other slot was missed within half a second of it." in told.details


def test_a_slot_given_to_a_late_picture_says_so(kit: ModuleType) -> None:
    ledger = kit.a_ledger(201)
    put(ledger, kit, 201, draw_ms=38.0)
    put(ledger, kit, 202, drawn=False, shown=201, reason="late_draw")
    told = why(ledger, 202)
    assert "showed the picture of frame 201" in told.headline
    assert "the picture of frame 201 had come late and took its place" in told.headline


def test_a_late_plan_says_whether_planning_or_the_latch_was_late(kit: ModuleType) -> None:
    ledger = kit.a_ledger(201)
    put(ledger, kit, 201, planning_ms=13.0, drawn=False, reason="late_plan")
    told = why(ledger, 201)
    assert "its plan was published 3.0 ms before the slot, and drawing usually takes 12.0 ms" in told.headline
    assert told.headline.endswith("planning took 13.0 ms, usually 0.39 ms.")
    put(ledger, kit, 202, plan={"lead_ms": 2.0}, drawn=False, reason="late_plan")
    assert why(ledger, 202).headline.endswith("the conductor came to latch it 14.0 ms later than usual.")


def test_a_standstill_is_told_with_its_figure(kit: ModuleType) -> None:
    t_ns = RATE.deadline_ns(kit.T0_NS, 100)
    note = HostNote(100, t_ns, [(t_ns - 10 * MS, t_ns + 32 * MS)], 20 * MS)
    ledger = kit.a_ledger(200, draws_ms={100: 48.0}, notes={100: note})
    told = why(ledger, 100, notes=[note])
    assert told.reason == "host_stall"
    assert told.headline.endswith("because the machine stood still for at least 42.0 ms while it was made.")
    still = "The machine stood still for at least 42.0 ms, from 10.0 ms before the slot on (the metronome's figure)."
    assert still in told.details
    assert "The hypervisor gave 20.0 ms of processor time to other machines then." in told.details


def test_a_wait_for_a_processor_is_told_by_process(kit: ModuleType) -> None:
    t_ns = RATE.deadline_ns(kit.T0_NS, 100)
    note = HostNote(100, t_ns, waited_ns={"node-main": 21 * MS, "conductor": 2 * MS})
    told = why(kit.a_ledger(200, draws_ms={100: 40.0}, notes={100: note}), 100)
    waits = [said for said in told.details if "for a processor" in said]
    assert waits[0] == "node-main waited 21.0 ms for a processor in the half second about it."
    assert len(waits) == 2


def test_a_dead_node_is_named_with_how_it_ended(kit: ModuleType) -> None:
    ledger = kit.a_ledger(200)
    for frame in range(210, 240):
        put(ledger, kit, frame)
    ended = Event(RATE.deadline_ns(kit.T0_NS, 200) + 5 * MS, "process_ended", "node-main", "killed by SIGKILL")
    started = Event(RATE.deadline_ns(kit.T0_NS, 203), "process_started", "node-main")
    told = why(ledger, 205, events=[ended, started])
    assert told.reason == "fenced"
    assert told.headline.endswith("because no node reported it: node-main had ended (killed by SIGKILL).")
    assert "node-main ended (killed by SIGKILL) 0.20 s before it." in told.details
    assert "node-main was started 0.08 s before it." in told.details
    assert any(said.startswith("9 other slots were missed") for said in told.details)


def test_a_slot_without_a_plan_says_so(kit: ModuleType) -> None:
    ledger = kit.a_ledger(200)
    plan = kit.a_plan(200, RATE)
    report = kit.a_report(plan, published_ns=plan.t_latched_ns, drawn=False, shown=199, reason="late_draw")
    ledger.add_report(report)
    for frame in range(201, 230):
        put(ledger, kit, frame)
    assert why(ledger, 200).headline.endswith("because no plan was published for it.")


def test_orders_and_switches_are_no_faults(kit: ModuleType) -> None:
    ledger = kit.a_ledger(201)
    put(ledger, kit, 201, reason="held")
    put(ledger, kit, 202, reason="switching", drawn=False)
    put(ledger, kit, 203, reason="no_plan", drawn=False)
    assert why(ledger, 201).headline.endswith("because HOLD was ordered.")
    assert "loading configuration 1" in why(ledger, 202).headline
    assert "a picture the node made from the plan before" in why(ledger, 203).headline


def test_every_reason_has_words() -> None:
    assert set(REASON_WORDS) == set(REASONS)


@given(
    st.sampled_from(REASONS),
    st.sampled_from([None, True, False]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 60),
    st.lists(st.builds(Event, st.integers(0, 10**12), st.just("process_ended"), st.just("node")), max_size=2),
)
def test_whatever_is_known_makes_sentences(
    reason: Any, presented: bool | None, planned: bool, stalled: bool, kept: int, events: list[Event]
) -> None:
    kit = load_kit()
    ledger = kit.a_ledger(60)
    record = ledger.record(30)
    assert record is not None
    bare = FrameRecord(30, presented=presented, reason=reason, planned=planned, stall_ns=7 * MS * stalled)
    whole = msgspec.structs.replace(record, presented=presented, reason=reason, planned=planned)
    for some in (bare, whole):
        told = explain(some, ledger.latest(kept), events=events)
        for said in told.sentences:
            assert said[0].isupper() or said[0].islower()
            assert said.endswith(".")
            assert "None" not in said
            assert "nan" not in said
