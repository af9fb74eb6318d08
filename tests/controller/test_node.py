"""The node's slots under a virtual clock: every slot has a picture and a report, every repeat a reason."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from controller.action import write_action
from controller.drawing import PainterLost
from controller.messages import Abort, Failed, Prepare, Prepared
from controller.node import Node
from controller.post import Post
from controller.rundir import RunDir
from controller.show import Show, Snapshot, encode_snapshot
from controller.status import KIND_STATUS, NodeStatus, decode_node
from runtime.clock import NS_PER_MS, VirtualClock
from runtime.house import VirtualHouse
from runtime.ring import KIND_PLANS, KIND_REPORTS, RingReader, RingWriter
from stage.errors import ConfigError, Problem
from stage.plan import FramePlan, FrameReport, PlanOuter, decode_report, encode_plan, plan_hash
from stage.rate import RATES, Rate

RATE = Rate(24)
START_NS = 10_000_000_000


class Stage:
    """A run directory with a plans ring, a node, and a conductor's hand on the bell."""

    def __init__(self, path: Path, housekit: ModuleType, rate: Rate = RATE, **painter: object) -> None:
        self.rate = rate
        self.clock = VirtualClock(START_NS)
        self.run = RunDir(path)
        self.run.write_snapshot(1, encode_snapshot(Snapshot(Show(version=1), "", "", b"")))
        self.run.set_current_version(1)
        self.plans = RingWriter.create(self.run.plans, kind=KIND_PLANS, slots=64, capacity=4032)
        self.painter = housekit.TimedPainter(self.clock, **painter)
        self.node = Node(run=self.run, name="main", clock=self.clock, painter=lambda: self.painter, fifo=False)
        self.house = VirtualHouse(self.clock)
        self.house.add("node", self.node, own_thread=True)
        self.post = Post(self.run.path / "conductor.sock")
        self.t0_ns = self.clock.now_ns() + 100 * NS_PER_MS

    def due_ns(self, frame: int) -> int:
        return self.rate.deadline_ns(self.t0_ns, frame)

    def plan(self, frame: int, **changes: object) -> FramePlan:
        plan = FramePlan(
            frame=frame,
            rate=(self.rate.num, self.rate.den),
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
        self.plans.publish(data, frame=frame, t_ns=self.clock.now_ns(), plan_hash=plan_hash(data))
        self.post.ring(self.run.node_socket("main"))

    def snapshot(self, version: int, config_version: int) -> None:
        snapshot = Snapshot(Show(version=version, config_version=config_version), "", "", b"")
        self.run.write_snapshot(version, encode_snapshot(snapshot))

    def status(self) -> NodeStatus:
        slot = RingReader.open(self.run.node_status("main"), kind=KIND_STATUS).latest()
        assert slot is not None
        return decode_node(slot.data)

    def reports(self) -> dict[int, FrameReport]:
        reader = RingReader.open(self.run.reports("main"), kind=KIND_REPORTS)
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
def make(folder: Path, housekit: ModuleType) -> Iterator[object]:
    made: list[Stage] = []

    def build(**painter: object) -> Stage:
        made.append(Stage(folder, housekit, **painter))
        return made[-1]

    yield build
    for stage in made:
        stage.house.close()
        stage.post.close()


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
    stage.snapshot(2, 1)
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


@pytest.mark.parametrize("name", RATES)
def test_every_rate_is_presented_exactly_on_its_deadlines(make, name: str) -> None:
    rate = RATES[name]
    stage = make(rate=rate, usual_ms=rate.period_ns / NS_PER_MS / 4)
    lead_ms = rate.period_ns / NS_PER_MS / 2
    for frame in range(2 * round(rate.hz)):
        stage.publish(frame, lead_ms=lead_ms)
    last = 2 * round(rate.hz) - 1
    stage.house.run_until(stage.due_ns(last))
    assert [(f, t) for f, _, t in stage.painter.shown] == [(f, stage.due_ns(f)) for f in range(last + 1)]
    assert set(stage.outcome().values()) == {(f, "none") for f in range(last + 1)}


def test_whatever_drawing_raises_the_last_picture_stays_and_the_next_frame_is_drawn(make) -> None:
    stage = make()
    stage.painter.broken = {frame: RuntimeError("no such uniform") for frame in range(8, 24)}
    for frame in range(30):
        stage.publish(frame)
        if frame == 20:
            (alarm,) = stage.status().alarms
            assert (alarm.code, alarm.severity, alarm.detail) == (
                "node.draw_failed", "critical", "RuntimeError: no such uniform",
            )  # fmt: skip
    stage.house.run_until(stage.due_ns(29))
    outcome = stage.outcome()
    assert all(outcome[f] == (7, "late_draw") for f in range(8, 24))
    assert all(outcome[f] == (f, "none") for f in range(24, 30))
    assert stage.status().alarms == []


def test_black_goes_out_even_when_drawing_fails(make) -> None:
    stage = make()
    stage.painter.broken = {frame: RuntimeError("gone") for frame in range(5, 40)}
    for frame in range(20):
        if frame == 10:
            write_action(stage.run.action_word, "black", stamp_ns=stage.clock.now_ns())
        stage.publish(frame)
    stage.house.run_until(stage.due_ns(19))
    assert [what for f, what, _ in stage.painter.shown if f >= 10] == ["black"] * 10
    assert stage.outcome()[12] == (12, "none")


def test_a_lost_device_ends_the_process_so_that_a_new_one_takes_over(make) -> None:
    stage = make()
    stage.painter.broken = {5: PainterLost(Problem("renderer.device_lost", "device", "the GPU is gone"))}
    for frame in range(6):
        stage.publish(frame)
    with pytest.raises(PainterLost):
        stage.house.run_until(stage.due_ns(5))


def test_a_version_nobody_announced_is_fetched_and_the_last_picture_stays_meanwhile(make) -> None:
    stage = make()
    stage.painter.slices = 20
    stage.snapshot(2, 7)
    for frame in range(10):
        stage.publish(frame, **({"show_version": 2, "config_version": 7} if frame >= 5 else {}))
    stage.house.run_until(stage.due_ns(9))
    outcome = stage.outcome()
    assert outcome[5] == (4, "switching")
    assert outcome[9] == (9, "none")
    assert stage.painter.versions == {0, 7}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError(Problem("renderer.scene_file", "scenes/a/gltf", "there is no file")), "renderer.scene_file"),
        (ZeroDivisionError("oops"), "node.prepare_failed"),
    ],
)
def test_a_version_that_cannot_be_prepared_is_answered_and_the_show_goes_on(make, error: Exception, code: str) -> None:
    stage = make()
    stage.painter.unpreparable = {1: error}
    stage.snapshot(2, 1)
    answers = []
    for frame in range(20):
        if frame == 5:
            stage.post.send(stage.run.node_socket("main"), Prepare(2, 1, "conductor.sock"))
        stage.publish(frame)
        answers += stage.post.receive()
    (answer,) = answers
    assert isinstance(answer, Failed)
    assert (answer.version, answer.who, answer.problems[0].code) == (2, "main", code)
    assert stage.painter.forgotten == [1]
    assert set(stage.outcome().values()) == {(f, "none") for f in stage.outcome()}


def test_a_snapshot_that_is_not_there_is_answered(make) -> None:
    stage = make()
    answers = []
    stage.post.send(stage.run.node_socket("main"), Prepare(9, 1, "conductor.sock"))
    for frame in range(3):
        stage.publish(frame)
        answers += stage.post.receive()
    assert [(type(a), a.problems[0].code) for a in answers] == [(Failed, "node.snapshot")]


def test_an_aborted_version_is_prepared_no_further(make) -> None:
    stage = make()
    stage.painter.slices = 1000
    stage.snapshot(2, 1)
    stage.post.send(stage.run.node_socket("main"), Prepare(2, 1, "conductor.sock"))
    for frame in range(20):
        if frame == 5:
            stage.post.send(stage.run.node_socket("main"), Abort(2))
        stage.publish(frame)
    assert stage.painter.forgotten == [1]
    assert stage.painter.versions == {0}
    assert stage.post.receive() == []


def test_a_show_without_slack_can_still_change_to_a_lighter_one(make) -> None:
    stage = make(usual_ms=45.0)
    stage.snapshot(2, 1)
    stage.post.send(stage.run.node_socket("main"), Prepare(2, 1, "conductor.sock"))
    answers = []
    for frame in range(80):
        stage.publish(frame, lead_ms=40.0)
        answers += stage.post.receive()
    assert [type(a) for a in answers] == [Prepared]


def test_a_version_that_is_held_already_is_answered_at_once(make) -> None:
    stage = make()
    stage.post.send(stage.run.node_socket("main"), Prepare(3, 0, "conductor.sock"))
    stage.publish(0)
    assert [type(a) for a in stage.post.receive()] == [Prepared]


def test_what_the_node_tells_of_itself(make) -> None:
    stage = make(cost_ms={8: 45.0})
    for frame in range(40):
        if frame not in (5, 6):
            stage.publish(frame)
    stage.house.run_until(stage.due_ns(39))
    status = stage.status()
    assert status.state == "running"
    assert (status.presented + status.repeated, status.repeats) == (status.frame + 1, {"late_draw": 1})
    assert status.draw_ms.p50 == 10.0
    assert status.canvases == ["left", "right"]
    stage.house.close()
    assert stage.status().state == "stopped"


def test_the_first_plan_is_practice_and_the_first_slot_has_time_for_its_own_drawing(make) -> None:
    stage = make()
    stage.painter.rehearsal_ms = 60.0
    for frame in range(12):
        stage.publish(frame)
    outcome = stage.outcome()
    # 60 ms of practice from the first latch, 30 ms before slot 0, and a period more: slots 0 and 1 would be short.
    assert min(outcome) == 2
    assert outcome == {frame: (frame, "none") for frame in outcome}
