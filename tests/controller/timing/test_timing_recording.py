"""What stood on the walls in each slot, and with which pose it was photographed, from plans and reports."""

from __future__ import annotations

import numpy as np
import pytest

from controller.timing.judging import Judge, judge_slots, p
from controller.timing.limits import load_limits
from controller.timing.recording import QUALITIES, Recording
from runtime.clock import NS_PER_MS
from runtime.ring import Slot
from stage.frames import pose
from stage.plan import (
    REASONS,
    CanvasReport,
    FramePlan,
    FrameReport,
    PlanCamera,
    PlanLens,
    PlanOuter,
    Reason,
    encode_plan,
    matrix16,
)
from stage.rate import Rate

RATE = Rate(25)
PERIOD_NS = RATE.period_ns
REACH_NS = 90 * NS_PER_MS
T0_NS = 5_000_000_000


def plan(frame: int, *, version: int = 1, x_m: float | None = None) -> FramePlan:
    """A camera that moves a metre a frame."""
    t_present_ns = RATE.deadline_ns(T0_NS, frame)
    camera = PlanCamera(
        id="a", rank=0, on_air=True, slot=0, enabled=True, t_photo_ns=t_present_ns + REACH_NS,
        stage_from_camera=matrix16(pose((float(frame) if x_m is None else x_m, 0.0, 0.0))),
        pupil_m=(float(frame), 0.1, 0.0), lens=PlanLens(35.0, 36.0, 20.0), overscan_deg=(1.0, 2.0, 3.0, 4.0),
        raster_px=(64, 64), soft_edge_deg=0.5, walls=[], source="tracker", packet_id=frame,
        t_sampled_ns=t_present_ns - 30 * NS_PER_MS, t_received_ns=t_present_ns - 29 * NS_PER_MS,
    )  # fmt: skip
    return FramePlan(
        frame=frame, rate=(RATE.num, RATE.den), t_present_ns=t_present_ns, cameras=[camera],
        outer=PlanOuter("live", frame, (0.0, 0.0, 1.0)), scenes=[], show_version=version, config_version=version,
        t_latched_ns=t_present_ns - 20 * NS_PER_MS,
    )  # fmt: skip


def recording(canvases: tuple[str, ...] = ("left", "right")) -> Recording:
    return Recording(RATE, canvases)


def add_plan(to: Recording, made: FramePlan) -> None:
    data = encode_plan(made)
    to.add_plan(made, Slot(1, made.frame, made.t_latched_ns + 1000, made.config_version, 1, data))


def add_report(to: Recording, frame: int, shown: int | tuple[int, int], reason: Reason = "none") -> None:
    left, right = (shown, shown) if isinstance(shown, int) else shown
    t_ns = RATE.deadline_ns(T0_NS, frame)
    to.add_report(
        FrameReport(
            frame, "main", 1, {"left": CanvasReport(left, reason), "right": CanvasReport(right, reason)},
            t_ns - 15 * NS_PER_MS, t_ns - 5 * NS_PER_MS, t_ns,
        )
    )  # fmt: skip


def run(count: int = 10) -> Recording:
    made = recording()
    for frame in range(count):
        add_plan(made, plan(frame))
        add_report(made, frame, frame)
    return made


def test_a_run_without_faults() -> None:
    slots = run().slots()
    assert slots.frame.tolist() == list(range(10))
    assert slots.own.all()
    assert not slots.mixed.any()
    assert slots.repeats() == {}
    assert slots.t_present_ns.tolist() == [RATE.deadline_ns(T0_NS, frame) for frame in range(10)]
    assert slots.plan.tolist() == list(range(10))


def test_a_repeat_is_photographed_with_the_pose_it_was_drawn_for() -> None:
    made = recording()
    for frame in range(6):
        add_plan(made, plan(frame))
        add_report(made, frame, 2 if frame in (3, 4) else frame, "late_draw" if frame in (3, 4) else "none")
    slots = made.slots()
    assert slots.repeats() == {"late_draw": 2}
    photos = made.photos("a", slots, lambda t_ns: np.stack([pose((0.0, 0.0, 0.0))] * len(t_ns)))
    assert photos.predicted[:, 0, 3].tolist() == [0.0, 1.0, 2.0, 2.0, 2.0, 5.0]
    # The camera photographs each slot at its own time; what it sees is older then.
    assert np.diff(photos.t_photo_ns).tolist() == [PERIOD_NS] * 5
    assert photos.age_ms.tolist() == pytest.approx([120.0, 120.0, 120.0, 160.0, 200.0, 120.0])


def test_a_plan_that_never_came_is_the_one_before() -> None:
    made = recording()
    for frame in range(6):
        if frame != 3:
            add_plan(made, plan(frame))
        add_report(made, frame, frame, "no_plan" if frame == 3 else "none")
    slots = made.slots()
    assert slots.own.all(), "a frame the node made itself is presented"
    assert slots.plan[3] == 2
    assert slots.t_latched_ns[3] == 0
    assert slots.t_present_ns[3] == RATE.deadline_ns(T0_NS, 3)


def test_a_plan_that_came_too_late_was_not_drawn() -> None:
    made = recording()
    for frame in range(6):
        add_plan(made, plan(frame))
        add_report(made, frame, frame, "no_plan" if frame == 3 else "none")
    assert made.slots().plan[3] == 2


def test_slots_nobody_reported_and_mixed_ones() -> None:
    made = recording()
    for frame in range(8):
        add_plan(made, plan(frame))
        if frame == 4:
            continue
        add_report(made, frame, (frame, frame - 1) if frame == 6 else frame)
    slots = made.slots()
    assert slots.reported.tolist() == [frame != 4 for frame in range(8)]
    assert slots.mixed.tolist() == [frame == 6 for frame in range(8)]
    assert slots.plan[4] == -1
    judge = Judge(load_limits(None, "virtual"))
    judge_slots(judge, slots)
    assert {check.name for check in judge.broken} >= {"slots_unreported", "slots_mixed"}


def test_a_canvas_without_a_node_is_not_reported() -> None:
    made = run()
    made.canvases = ("left", "right", "ceiling")
    assert not made.slots().reported.any()


def test_two_nodes_make_one_slot() -> None:
    made = recording(("left", "right"))
    for frame in range(5):
        add_plan(made, plan(frame))
        for node, canvas in (("one", "left"), ("two", "right")):
            shown = frame - 1 if (node, frame) == ("two", 2) else frame
            reason: Reason = "none" if shown == frame else "late_draw"
            made.add_report(FrameReport(frame, node, 1, {canvas: CanvasReport(shown, reason)}, 1, 2, 3))
    slots = made.slots()
    assert slots.reported.all()
    assert slots.mixed.tolist() == [False, False, True, False, False]
    assert slots.shown.tolist() == [0, 1, 1, 3, 4]


def test_nothing_recorded_is_no_slot() -> None:
    assert len(recording().slots()) == 0


def test_repeats_a_sleeping_process_lost_too_are_the_machines() -> None:
    made = recording()
    for frame in range(100):
        add_plan(made, plan(frame))
        add_report(made, frame, frame - 1 if frame in (10, 20) else frame, "late_draw" if frame in (10, 20) else "none")
    slots = made.slots()
    limits = load_limits(None, "gpu")
    for allowed, good in ((0, False), (1, False), (2, True)):
        judge = Judge(limits)
        judge_slots(judge, slots, allowed_repeats=allowed)
        assert judge.good is good


def test_percentiles_are_values_that_were_measured() -> None:
    values = np.array([5.0, np.nan, 1.0, 3.0])
    assert p(values, 50) == 3.0
    assert p(values, 99) == 5.0
    assert p(np.array([np.nan]), 50) is None
    assert "ok" in QUALITIES
    assert REASONS[0] == "none"
