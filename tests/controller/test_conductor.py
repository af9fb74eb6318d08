"""The conductor by itself, under a virtual clock: what it does when something is missing, late or wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.conductor import REHEARSAL_NS
from controller.messages import Abort, Prepared
from controller.planner import Planner, TrackedPose
from runtime.clock import NS_PER_MS, NS_PER_S
from stage.frames import pose
from stage.plan import encode_plan
from stage.rate import Rate
from stage.timecode import timecode_at

Build = Callable[..., Any]


@pytest.fixture
def build(shm: Path, housekit: ModuleType) -> Iterator[Build]:
    made: list[Any] = []

    def make(text: str | None = None, **options: Any) -> Any:
        folder = shm / str(len(made))
        folder.mkdir()
        made.append(housekit.VirtualShow(folder, text or housekit.minimal_text(), **options))
        return made[-1]

    yield make
    for show in made:
        show.__exit__()


@pytest.fixture
def taken_port() -> Iterator[tuple[int, socket.socket]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        yield other.getsockname()[1], other


def test_without_tracking_the_camera_stands_where_the_file_puts_it(build: Build) -> None:
    show = build(tracker=False)
    show.run_to(20)
    (camera,) = show.plans[20].cameras
    assert camera.quality == "untracked"
    assert camera.packet_id == 0
    expected = show.stage.cameras["a"].default_stage_from_camera
    assert camera.stage_from_camera == expected.reshape(16).tolist()
    assert show.conductor_status().cameras["a"].state == "waiting"


def test_a_port_that_is_taken_is_an_alarm_and_is_tried_again(
    build: Build, housekit: ModuleType, taken_port: tuple[int, socket.socket]
) -> None:
    port, other = taken_port
    show = build(housekit.minimal_text(listen=f"127.0.0.1:{port}"), sockets=True, tracker=False)
    show.run_for(2.5)
    assert len(show.plans) > 48, "the walls do not wait for tracking"
    (alarm,) = [alarm for alarm in show.conductor_status().alarms if alarm.severity == "critical"]
    assert alarm.code == "tracking.listen"
    assert alarm.path == "sources/tracker/listen"
    assert "use" in alarm.detail
    assert alarm.mend
    other.close()
    show.run_for(1.2)
    assert [alarm for alarm in show.conductor_status().alarms if alarm.severity == "critical"] == []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"no packet at all", ("127.0.0.1", port))
        show.run_for(0.2)
    assert show.conductor_status().sources["tracker"].datagrams == 1


def test_a_plan_that_cannot_be_made_is_the_one_before(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    show = build()
    show.run_to(40)
    good = Planner.plan

    def bad(self: Planner, *_: Any, **__: Any) -> Any:
        raise FloatingPointError("no such angle")

    monkeypatch.setattr(Planner, "plan", bad)
    show.run_to(60)
    (alarm,) = [alarm for alarm in show.conductor_status().alarms if alarm.code == "conductor.plan_failed"]
    assert (alarm.path, alarm.severity, alarm.detail) == ("plans", "critical", "FloatingPointError: no such angle")
    monkeypatch.setattr(Planner, "plan", good)
    show.run_to(80)
    assert not [alarm for alarm in show.conductor_status().alarms if alarm.code == "conductor.plan_failed"]
    plans = show.plans
    assert [plans[f].cameras for f in range(45, 60)] == [plans[45].cameras] * 15
    assert [plans[f].timecode for f in range(45, 60)] == [timecode_at(Rate(24), f) for f in range(45, 60)]
    steps = np.diff([plans[f].scene_time_ns for f in range(40, 60)])
    assert set(steps // 1000) == {41_666}
    assert plans[79].cameras != plans[60].cameras
    assert set(show.outcome().values()) == {(f, "none") for f in show.outcome()}


def test_a_disciplined_clock_counts_frames_from_the_smpte_epoch(build: Build, clockkit: ModuleType) -> None:
    show = build(discipline=clockkit.KeptClock())
    show.run_for(2.0)
    plans = show.plans
    rate = Rate(24)
    assert min(plans) > 24 * 1_600_000_000
    assert all(plan.tai_ns == rate.deadline_ns(0, frame) for frame, plan in plans.items())
    assert plans[min(plans)].timecode == timecode_at(rate, min(plans))
    assert set(show.outcome().values()) == {(f, "none") for f in show.outcome()}


def test_without_discipline_frame_0_comes_soon_after_the_start(build: Build) -> None:
    show = build()
    show.run_for(1.0)
    plans = show.plans
    assert min(plans) == 0
    assert plans[0].t_present_ns == 10 * NS_PER_S + NS_PER_S // 4
    assert plans[0].tai_ns - plans[0].t_present_ns == show.clock.tai_ns() - show.clock.now_ns()


def test_a_counted_run_ends_by_itself_with_a_report(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "any name.txt"
    path.write_text("was here before")
    show = build(frames=100, report_path=path)
    assert show.house.run_while(lambda: "conductor" not in show.house.finished, until_ns=60 * NS_PER_S)
    report = json.loads(path.read_text())
    assert {"rate", "frames", "presented", "repeated", "repeats", "rt_class", "latency_ms", "age_ms"} <= report.keys()
    assert (report["rate"], report["frames"], report["presented"], report["repeated"], report["repeats"]) == (
        [24, 1], 100, 100, 0, {},
    )  # fmt: skip
    assert report["latency_ms"].keys() == {
        "receive_to_latch", "latch_to_plan", "receive_to_plan", "plan_to_draw", "draw", "receive_to_present",
        "own_share",
    }  # fmt: skip
    assert all(spread.keys() == {"p50", "p95", "p99", "max"} for spread in report["latency_ms"].values())
    assert report["latency_ms"]["draw"] == {"p50": 10.0, "p95": 10.0, "p99": 10.0, "max": 10.0}
    assert report["age_ms"]["a"]["p50"] == pytest.approx(report["age_ms"]["a"]["max"], abs=60)
    assert [entry.name for entry in tmp_path.iterdir()] == ["any name.txt"]
    assert show.conductor_status().state == "stopped"


class Busy:
    """A clock that runs on while the conductor works: every look at it costs a little."""

    def __init__(self, clock: Any, cost_ns: int) -> None:
        self._clock, self._cost_ns = clock, cost_ns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def now_ns(self) -> int:
        self._clock.jump(self._cost_ns)
        return int(self._clock.now_ns())


def test_its_own_share_is_its_work_and_not_the_wait_for_the_latch(build: Build) -> None:
    show = build(tracker=False)
    show.run_to(60)
    conductor = show.conductor
    conductor._clock = Busy(show.clock, 1000)
    conductor.inputs.predict("a", show.clock.now_ns())
    show.run_to(120)
    own_ms = conductor._own_ms.last(40)
    # A handful of looks at the clock between waking and publishing; the rest of the frame was waiting.
    assert min(own_ms) >= 0.001
    assert max(own_ms) < 0.05


def test_long_work_waits_for_a_datagram_that_is_about_to_come(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    show = build(tracker=False)
    show.run_to(60)
    conductor, inputs = show.conductor, show.conductor.inputs
    now_ns = conductor._next_ns - 3 * conductor._rate.period_ns // 4
    monkeypatch.setattr(conductor, "_sockets", True)
    due: list[int] = []
    monkeypatch.setattr(inputs, "next_datagram_ns", lambda: due[-1])
    due.append(now_ns + NS_PER_MS // 2)
    assert due[-1] < conductor._awaited_ns(now_ns) < due[-1] + NS_PER_MS
    due.append(now_ns + 3 * NS_PER_MS)
    assert conductor._awaited_ns(now_ns) == 0, "there is time before it"
    due.append(now_ns - NS_PER_MS)
    assert conductor._awaited_ns(now_ns) == 0, "it did not come"
    due.append(conductor._next_ns - conductor._rate.period_ns // 4)
    assert conductor._awaited_ns(due[-1] - NS_PER_MS // 2) == 0, "the frame is half over"


def test_a_rehearsal_leaves_nothing_behind(build: Build) -> None:
    show = build(tracker=False)
    stage, settings = show.stage, show.first
    # So little that the walls' density is worked out once: that alone may be done in practice.
    moves = [pose((0.0003 * n * (n % 3), -1.0, 1.5)) for n in range(20)]

    def plans(*, practised: bool) -> list[bytes]:
        planner = Planner(stage, show.conductor._versions.now.planner.limits)
        out = []
        for frame, stage_from_camera in enumerate(moves):
            poses = {"a": TrackedPose(stage_from_camera, source="tracker")}
            if practised:
                with planner.practice():
                    planner.plan(settings, poses, frame=frame, t_present_ns=0)
            out.append(encode_plan(planner.plan(settings, poses, frame=frame, t_present_ns=0)))
        return out

    assert plans(practised=True) == plans(practised=False)


def test_a_rehearsal_precedes_every_latch_of_a_long_frame_and_none_of_a_short_one(
    build: Build, housekit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rate, wanted in (("24", 1), ("120", 0)):
        show = build(housekit.minimal_text(rate=rate))
        times: list[int] = []
        rehearse = show.conductor._rehearse

        def noted(now_ns: int, rehearse: Any = rehearse, times: list[int] = times) -> None:
            times.append(now_ns)
            rehearse(now_ns)

        monkeypatch.setattr(show.conductor, "_rehearse", noted)
        show.run_for(2.0)
        plans = show.plans
        latches = [plan.t_latched_ns for plan in plans.values()]
        assert len(times) == pytest.approx(wanted * len(latches), abs=2)
        assert set(times) <= {latch_ns - REHEARSAL_NS for latch_ns in latches} | {show.conductor._rehearsal_ns}


def test_an_aborted_version_is_forgotten_with_its_sockets(build: Build, housekit: ModuleType) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    show = build(sockets=True, tracker=False)
    show.run_to(10)
    loaded = housekit.loaded_of(housekit.minimal_text(listen=f"127.0.0.1:{port}"))
    changed = msgspec.structs.replace(show.first, version=2, config_version=2)
    show.write(changed, loaded)
    show.prepare(changed)
    show.run_for(0.2)
    assert [type(answer) for answer in show.answers()] == [Prepared]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        show.desk.send(show.run.conductor_socket, Abort(2))
        show.run_for(0.2)
        other.bind(("127.0.0.1", port))
    assert show.plans[max(show.plans)].config_version == 1


def test_a_version_whose_port_is_taken_is_refused_and_the_old_inputs_stay(
    build: Build, housekit: ModuleType, taken_port: tuple[int, socket.socket]
) -> None:
    show = build(sockets=True, tracker=False)
    show.run_to(10)
    loaded = housekit.loaded_of(housekit.minimal_text(listen=f"127.0.0.1:{taken_port[0]}"))
    changed = msgspec.structs.replace(show.first, version=2, config_version=2)
    show.write(changed, loaded)
    show.prepare(changed)
    show.run_for(0.2)
    (answer,) = show.answers()
    assert answer.problems[0].code == "tracking.listen"
    show.run_for(0.5)
    assert show.conductor_status().config_version == 1
