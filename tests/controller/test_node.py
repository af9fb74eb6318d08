"""The node's slots under a virtual clock: every slot has a picture and a report, every repeat a reason."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from controller.action import write_action
from controller.messages import Prepare, Prepared
from controller.node import KIND_PLAN, KIND_REPORT, Node
from controller.post import Post
from controller.rundir import RunDir
from controller.show import Show, Snapshot, encode_snapshot
from runtime.clock import NS_PER_MS, VirtualClock
from runtime.house import VirtualHouse
from runtime.ring import RingReader, RingWriter
from stage.plan import FramePlan, FrameReport, PlanOuter, decode_report, encode_plan, plan_hash
from stage.rate import Rate

RATE = Rate(24)
START_NS = 10_000_000_000


class TimedPainter:
    """Draws at a cost in virtual time; keeps what it showed."""

    canvases = ("left", "right")
    device = "virtual"
    software = True

    def __init__(self, clock: VirtualClock, cost_ms: dict[int, float] | None = None, usual_ms: float = 10.0) -> None:
        self.clock, self.cost_ms, self.usual_ms = clock, cost_ms or {}, usual_ms
        self.shown: list[tuple[int, str, int]] = []
        self.slices = 3

    def prepare(self, snapshot: Snapshot) -> Iterator[None]:
        for _ in range(self.slices):
            self.clock.sleep_until(self.clock.now_ns() + 2 * NS_PER_MS)
            yield

    def draw(self, plan: FramePlan) -> None:
        cost_ms = self.cost_ms.get(plan.frame, self.usual_ms)
        self.clock.sleep_until(self.clock.now_ns() + int(cost_ms * NS_PER_MS))

    def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
        self.shown.append((plan.frame, action, self.clock.now_ns()))

    def close(self) -> None:
        pass


class Stage:
    """A run directory with a plans ring, a node, and a conductor's hand on the bell."""

    def __init__(self, path: Path, **painter: object) -> None:
        self.clock = VirtualClock(START_NS)
        self.run = RunDir(path)
        self.run.write_snapshot(1, encode_snapshot(Snapshot(Show(version=1), "", "", b"")))
        self.run.set_current_version(1)
        self.plans = RingWriter.create(self.run.plans, kind=KIND_PLAN, slots=64, capacity=4032)
        self.painter = TimedPainter(self.clock, **painter)  # type: ignore[arg-type]
        self.node = Node(run=self.run, name="main", clock=self.clock, painter=lambda: self.painter, fifo=False)
        self.house = VirtualHouse(self.clock)
        self.house.add("node", self.node, own_thread=True)
        self.post = Post(self.run.path / "conductor.sock")
        self.t0_ns = self.clock.now_ns() + 100 * NS_PER_MS

    def due_ns(self, frame: int) -> int:
        return RATE.deadline_ns(self.t0_ns, frame)

    def plan(self, frame: int, **changes: object) -> FramePlan:
        plan = FramePlan(
            frame=frame,
            rate=(24, 1),
            t_present_ns=self.due_ns(frame),
            cameras=[],
            outer=PlanOuter("live", frame, (0.0, 0.0, 1.7)),
            scenes=[],
            show_version=1,
        )
        return msgspec.structs.replace(plan, **changes)

    def publish(self, frame: int, *, lead_ms: float = 30.0, **changes: object) -> None:
        """Let time run to the frame's latch, then publish it."""
        self.house.run_until(self.due_ns(frame) - int(lead_ms * NS_PER_MS))
        data = encode_plan(self.plan(frame, **changes))
        self.plans.publish(data, frame=frame, t_ns=self.due_ns(frame), plan_hash=plan_hash(data))
        self.post.ring(self.run.node_socket("main"))

    def reports(self) -> dict[int, FrameReport]:
        reader = RingReader.open(self.run.reports("main"), kind=KIND_REPORT)
        reports = [decode_report(slot.data) for slot in reader.read_since(0).slots]
        frames = [report.frame for report in reports]
        assert len(frames) == len(set(frames)), "a slot was reported twice"
        assert frames == list(range(frames[0], frames[0] + len(frames))), "a slot was not reported"
        return {report.frame: report for report in reports}

    def outcome(self) -> dict[int, tuple[int, str]]:
        return {f: (r.canvases["left"].presented_frame, r.canvases["left"].reason) for f, r in self.reports().items()}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ov", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
        yield Path(name)


@pytest.fixture
def make(folder: Path) -> Iterator[object]:
    made: list[Stage] = []

    def build(**painter: object) -> Stage:
        made.append(Stage(folder, **painter))
        return made[-1]

    yield build
    for stage in made:
        stage.house.close()


def test_every_frame_is_presented_exactly_on_its_deadline(make) -> None:
    stage = make()
    for frame in range(48):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(47))
    assert stage.outcome() == {f: (f, "none") for f in range(48)}
    assert [(f, t) for f, _, t in stage.painter.shown] == [(f, stage.due_ns(f)) for f in range(48)]
    report = stage.reports()[10]
    assert report.t_draw_started_ns == stage.due_ns(10) - 30 * NS_PER_MS
    assert report.t_drawn_ns - report.t_draw_started_ns == 10 * NS_PER_MS


def test_a_missing_plan_is_made_from_the_one_before_and_counts_as_presented(make) -> None:
    stage = make()
    for frame in range(12):
        if frame not in (5, 6):
            stage.publish(frame)
    stage.house.run_until(stage.due_ns(11))
    outcome = stage.outcome()
    assert outcome[5] == (5, "no_plan")
    assert outcome[6] == (6, "no_plan")
    assert all(outcome[f] == (f, "none") for f in range(12) if f not in (5, 6))


def test_a_frame_over_budget_repeats_once_and_recovers_on_the_next(make) -> None:
    stage = make(cost_ms={8: 45.0})
    for frame in range(20):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(19))
    outcome = stage.outcome()
    assert outcome[8] == (7, "late_draw")
    assert all(outcome[f] == (f, "none") for f in range(20) if f != 8)


def test_drawing_that_always_takes_too_long_still_moves_the_picture(make) -> None:
    stage = make(usual_ms=60.0)
    for frame in range(40):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(39))
    outcome = stage.outcome()
    assert {reason for _, reason in outcome.values()} <= {"late_draw", "late_plan", "none"}
    shown = [frame for frame, _, _ in stage.painter.shown]
    assert shown == sorted(set(shown))
    assert len(shown) >= 15, "the late pictures are shown, newest first"


def test_a_late_plan_is_named(make) -> None:
    stage = make(usual_ms=30.0)
    for frame in range(20):
        stage.publish(frame, lead_ms=35.0 if frame != 9 else 5.0)
    stage.house.run_until(stage.due_ns(19))
    outcome = stage.outcome()
    # The node did not wait: it made the plan itself when the drawing had to begin.
    assert outcome[9] == (9, "no_plan")


def test_a_stalled_host_is_named_and_phase_is_kept(make) -> None:
    stage = make()
    for frame in range(10):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(9) + NS_PER_MS)
    stage.clock.jump(100 * NS_PER_MS)
    for frame in range(13, 20):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(19))
    outcome = stage.outcome()
    assert outcome[10][1] == "host_stall"
    assert outcome[11][1] == "host_stall"
    assert [t for f, _, t in stage.painter.shown if f >= 14] == [stage.due_ns(f) for f in range(14, 20)]


@pytest.mark.parametrize("action", ["black", "safe", "work"])
def test_actions_hold_within_two_frames_with_everybody_else_dead(make, action: str) -> None:
    stage = make()
    for frame in range(6):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(5) + NS_PER_MS)
    write_action(stage.run.action_word, action, stamp_ns=stage.clock.now_ns())  # type: ignore[arg-type]
    stage.house.run_until(stage.due_ns(9))
    shown = {frame: what for frame, what, _ in stage.painter.shown}
    assert shown[5] == "none"
    assert all(shown[f] == action for f in range(7, 10))


def test_hold_keeps_the_last_picture_up_and_counts_it_held(make) -> None:
    stage = make()
    for frame in range(6):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(5) + NS_PER_MS)
    write_action(stage.run.action_word, "hold", stamp_ns=stage.clock.now_ns())
    for frame in range(6, 10):
        stage.publish(frame)
    write_action(stage.run.action_word, "none", stamp_ns=stage.clock.now_ns())
    for frame in range(10, 13):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(12))
    outcome = stage.outcome()
    assert outcome[7] == (5, "held")
    assert outcome[12] == (12, "none")


def test_a_version_is_prepared_in_the_slack_without_a_lost_slot(make) -> None:
    stage = make()
    for frame in range(6):
        stage.publish(frame)
    stage.painter.slices = 40
    stage.run.write_snapshot(2, encode_snapshot(Snapshot(Show(version=2, config_version=1), "", "", b"")))
    stage.post.send(stage.run.node_socket("main"), Prepare(2, 1, "conductor.sock"))
    answers = []
    for frame in range(6, 40):
        stage.publish(frame)
        answers += stage.post.receive()
    assert [type(a) for a in answers] == [Prepared]
    assert answers[0].who == "main"
    assert set(stage.outcome().values()) == {(f, "none") for f in stage.outcome()}


def test_a_conductor_that_starts_its_clock_anew_is_followed(make) -> None:
    stage = make()
    for frame in range(6):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(5) + NS_PER_MS)
    stage.t0_ns += 7 * NS_PER_MS
    for frame in range(6, 12):
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(11))
    times = {f: t for f, _, t in stage.painter.shown}
    assert all(times[f] == stage.due_ns(f) for f in range(7, 12))
