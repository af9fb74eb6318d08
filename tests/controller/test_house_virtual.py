"""The whole house under a virtual clock: every plan at its latch, every frame on its deadline, every run the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.action import write_action
from controller.lead import FEWEST, FIRST_SHARE, GUARD_LEAST_NS, GUARD_SHARE
from controller.messages import Committed, Failed, Prepared
from controller.painter import GLPainter
from runtime.clock import NS_PER_MS, NS_PER_S
from runtime.ring import KIND_CANVAS, RingReader
from stage.plan import PlanPattern, transform_of
from stage.rate import RATES, Rate

FRAMES = 600
COST_MS = 10.0

Build = Callable[..., Any]


@pytest.fixture
def build(shm: Path, housekit: ModuleType) -> Iterator[Build]:
    """Makes shows, each in a folder of its own, and ends them."""
    made: list[Any] = []

    def make(text: str | None = None, **options: Any) -> Any:
        folder = shm / str(len(made))
        folder.mkdir()
        made.append(housekit.VirtualShow(folder, text or housekit.minimal_text(), **options))
        return made[-1]

    yield make
    for show in made:
        show.__exit__()


def adapted_lead_ns(rate: Rate, drawing_ns: int) -> int:
    return drawing_ns + max(GUARD_LEAST_NS, int(rate.period_ns * GUARD_SHARE))


def test_600_frames_are_exact_and_the_same_again(build: Build) -> None:
    show, again = build(), build()
    show.run_to(FRAMES - 1)
    again.run_to(FRAMES // 2 - 1)
    plans, rate = show.plans, show.stage.rate
    frames = range(FRAMES)
    assert {f: o for f, o in show.outcome().items() if f in frames} == {f: (f, "none") for f in frames}
    # Presented on the deadline, which follows from the number alone.
    t0_ns = plans[0].t_present_ns
    assert [plans[f].t_present_ns for f in frames] == [rate.deadline_ns(t0_ns, f) for f in frames]
    assert [(f, t) for f, _, t in show.painter.shown][:FRAMES] == [(f, plans[f].t_present_ns) for f in frames]
    # Latched with the cautious lead first, then as late as drawing and guard allow.
    leads_ns = [plans[f].t_present_ns - plans[f].t_latched_ns for f in frames]
    assert set(leads_ns[: 2 * FEWEST]) == {int(rate.period_ns * FIRST_SHARE)}
    assert set(leads_ns[2 * FEWEST + 2 :]) == {adapted_lead_ns(rate, int(COST_MS * NS_PER_MS))}
    assert [show.published_ns[f] for f in frames] == [plans[f].t_latched_ns for f in frames]
    reports = show.reports
    assert all(reports[f].t_draw_started_ns == plans[f].t_latched_ns for f in frames)
    assert all(reports[f].t_drawn_ns - reports[f].t_draw_started_ns == COST_MS * NS_PER_MS for f in frames)
    # Nothing of it depends on anything but the clock and the datagrams.
    assert len(again.hashes) >= FRAMES // 2
    assert show.hashes[: len(again.hashes)] == again.hashes
    assert show.recorder.reports[: len(again.recorder.reports)] == again.recorder.reports
    counted = show.conductor.ledger.report()
    assert (counted["presented"], counted["repeated"], counted["made_by_node"]) == (counted["frames"], 0, 0)


def test_poses_are_the_newest_before_the_latch_and_predicted_to_the_photo(build: Build) -> None:
    show = build()
    show.run_to(100)
    plans = show.plans
    stage = show.stage
    camera, processor = stage.cameras["a"], next(iter(stage.processors.values()))
    period_ns = stage.rate.period_ns
    for frame in range(60, 100):
        (planned,) = plans[frame].cameras
        delay = processor.latency_frames + camera.shutter_deg / 720.0
        expected_ns = plans[frame].t_present_ns + round(delay * period_ns + camera.readout_ms / 2.0 * NS_PER_MS)
        assert planned.t_photo_ns == pytest.approx(expected_ns, abs=2)
        assert 0 <= plans[frame].t_latched_ns - planned.t_received_ns < NS_PER_S // 120 + NS_PER_MS
        assert planned.quality == "ok"
    packets = [plans[f].cameras[0].packet_id for f in range(60, 100)]
    assert np.diff(packets).tolist() == [5] * 39, "120 samples a second, 24 frames: every fifth"


@pytest.mark.parametrize("name", RATES)
def test_every_rate_of_the_field(build: Build, housekit: ModuleType, name: str) -> None:
    rate = RATES[name]

    def painter(show: Any) -> Any:
        made = housekit.TimedPainter(show.clock, usual_ms=rate.period_ns / NS_PER_MS / 4)
        made.canvases = tuple(show.stage.canvases)
        return made

    show = build(housekit.minimal_text(rate=f'"{name}"'), painter=painter)
    last = 3 * round(rate.hz)
    show.run_to(last)
    plans = show.plans
    t0_ns = plans[0].t_present_ns
    frames = range(last + 1)
    assert plans[0].rate == (rate.num, rate.den)
    assert [plans[f].t_present_ns for f in frames] == [rate.deadline_ns(t0_ns, f) for f in frames]
    assert [(f, t) for f, _, t in show.painter.shown][: last + 1] == [(f, plans[f].t_present_ns) for f in frames]
    outcome = show.outcome()
    assert [outcome[f] for f in frames] == [(f, "none") for f in frames]


def test_versions_land_at_the_frame_they_were_committed_for(build: Build) -> None:
    show = build()
    show.run_to(30)
    answers: list[Any] = []
    for number, frame in ((2, 0), (3, 60), (4, 61)):
        changed = msgspec.structs.replace(show.first, version=number, exposure_ev=float(number))
        show.write(changed)
        show.prepare(changed)
        show.run_for(0.2)
        answers += show.answers()
        assert answers[-1].who == "conductor"
        show.commit(number, frame)
        show.run_for(0.1)
    show.run_to(90)
    answers += show.answers()
    assert [type(answer) for answer in answers if not isinstance(answer, Committed)] == [Prepared] * 3
    committed = {answer.version: answer.frame for answer in answers if isinstance(answer, Committed)}
    plans = show.plans
    assert (committed[3], committed[4]) == (60, 61)
    assert 30 < committed[2] <= 38, "the first frame not latched yet"
    for frame, plan in plans.items():
        version = max([1] + [number for number, first in committed.items() if first <= frame])
        assert (plan.show_version, plan.exposure_ev) == (version, 0.0 if version == 1 else float(version))
    assert {o for f, o in show.outcome().items()} == {(f, "none") for f in show.outcome()}, "no slot lost by a change"


def test_a_new_configuration_is_prepared_by_the_node_and_switched_whole(build: Build, housekit: ModuleType) -> None:
    show = build()
    show.run_to(30)
    loaded = housekit.loaded_of(housekit.minimal_text().replace("focal_length_mm: 35.0", "focal_length_mm: 50.0"))
    changed = msgspec.structs.replace(show.first, version=2, config_version=2)
    show.write(changed, loaded)
    show.prepare(changed)
    show.prepare(changed, to="main")
    show.run_for(0.5)
    assert sorted(answer.who for answer in show.answers()) == ["conductor", "main"]
    show.commit(2)
    show.run_for(1.0)
    (committed,) = [answer for answer in show.answers() if isinstance(answer, Committed)]
    plans = show.plans
    assert {f: p.config_version for f, p in plans.items()} == {f: 1 if f < committed.frame else 2 for f in plans}
    assert set(show.outcome().values()) == {(f, "none") for f in show.outcome()}


def test_a_new_rate_goes_on_counting_and_keeps_every_slot(build: Build, housekit: ModuleType) -> None:
    show = build()
    show.run_to(30)
    loaded = housekit.loaded_of(housekit.minimal_text(rate="50"))
    changed = msgspec.structs.replace(show.first, version=2, config_version=2)
    show.write(changed, loaded)
    show.prepare(changed)
    show.prepare(changed, to="main")
    show.run_for(0.5)
    show.answers()
    show.commit(2, 60)
    show.run_to(160)
    plans = show.plans
    steps = np.diff([plans[f].t_present_ns for f in range(40, 160)])
    assert set(steps[:19] // 1000) == {41_666}
    assert set(steps[20:].tolist()) == {20 * NS_PER_MS}
    assert plans[60].rate == (50, 1)
    outcome = show.outcome()
    assert all(outcome[f] == (f, "none") for f in range(30, 160))


def test_what_was_never_prepared_is_not_committed(build: Build) -> None:
    show = build()
    show.run_to(10)
    show.commit(9)
    show.prepare(msgspec.structs.replace(show.first, version=8))
    show.run_for(0.3)
    answers = show.answers()
    assert [type(answer) for answer in answers] == [Failed, Failed]
    assert {answer.version: answer.problems[0].code for answer in answers} == {
        9: "conductor.not_prepared",
        8: "conductor.snapshot",
    }
    assert {plan.show_version for plan in show.plans.values()} == {1}


def test_dropped_datagrams_cost_no_slot_and_a_silent_tracker_is_held(build: Build) -> None:
    second = NS_PER_S
    start_ns = 10 * second

    def silent(now_ns: int) -> bool:
        t_ns = now_ns - start_ns
        every_third = 2 * second <= t_ns < 4 * second and (t_ns // (second // 120)) % 3 == 0
        return every_third or 6 * second <= t_ns < 8 * second

    show = build(silent=silent)
    show.run_to(290)
    plans = show.plans
    assert set(show.outcome().values()) == {(f, "none") for f in show.outcome()}

    def at(seconds: float) -> Any:
        return min(plans.values(), key=lambda p: abs(p.t_latched_ns - start_ns - seconds * second)).cameras[0]

    assert at(3.0).quality == "ok"
    assert at(6.1).quality == "coasting"
    assert at(7.0).quality == "lost"
    assert at(9.5).quality == "ok"
    held = [p.cameras[0].stage_from_camera for p in plans.values() if 7.0 < (p.t_latched_ns - start_ns) / second < 7.9]
    assert np.ptp(np.array(held), axis=0).max() < 1e-8, "a lost camera stands still"
    # It comes back without a jump: the way back is walked at 1 m/s (eased: 1.9 at most), on top of the hand's own.
    positions = np.array([transform_of(p.cameras[0].stage_from_camera)[:3, 3] for p in plans.values()])[30:]
    assert np.linalg.norm(np.diff(positions, axis=0), axis=1).max() < 0.1


def test_slow_frames_repeat_in_phase_with_their_reason_and_the_latch_moves_earlier(
    build: Build, housekit: ModuleType
) -> None:
    slow = {100: 38.0, 200: 60.0}

    def painter(show: Any) -> Any:
        made = housekit.TimedPainter(show.clock, cost_ms=slow)
        made.canvases = tuple(show.stage.canvases)
        return made

    show = build(painter=painter)
    show.run_to(300)
    outcome = show.outcome()
    assert outcome[100] == (99, "late_draw")
    assert outcome[200][1] == "late_draw"
    assert all(outcome[f] == (f, "none") for f in outcome if f not in slow and f != 201)
    plans = show.plans
    lead = {f: plans[f].t_present_ns - plans[f].t_latched_ns for f in plans}
    assert lead[99] == adapted_lead_ns(show.stage.rate, 10 * NS_PER_MS)
    assert lead[103] == adapted_lead_ns(show.stage.rate, 38 * NS_PER_MS)
    assert lead[203] == show.stage.rate.period_ns
    report = show.conductor.ledger.report()
    assert report["repeats"] == {"late_draw": report["repeated"]}


def test_a_killed_conductor_is_followed_by_one_that_goes_on(build: Build) -> None:
    show = build(frames=240)
    show.run_to(60)
    show.kill_conductor()
    show.run_for(0.9)
    show.start_conductor()
    show.run_to(150)
    outcome = show.outcome()
    own = {f for f, (_, reason) in outcome.items() if reason == "no_plan"}
    assert set(outcome) == set(range(max(outcome) + 1)), "every slot was reported"
    assert all(shown == f for f, (shown, _) in outcome.items()), "the node made its own plans"
    assert 20 <= len(own) <= 26
    assert own == set(range(min(own), max(own) + 1))
    plans = show.plans
    t0_ns = plans[0].t_present_ns
    assert all(p.t_present_ns == show.stage.rate.deadline_ns(t0_ns, f) for f, p in plans.items()), "the clock goes on"
    assert {p.epoch for f, p in plans.items() if f < min(own)} == {1}
    assert {p.epoch for f, p in plans.items() if f > max(own)} == {2}
    assert show.house.run_while(lambda: "conductor" not in show.house.finished, until_ns=show.clock.now_ns() + 10**11)
    report = show.conductor.ledger.report()
    assert (report["frames"], report["repeated"], report["made_by_node"]) == (240, 0, len(own)), "it counted on"


def test_a_stalled_conductor_skips_whole_slots_in_phase(build: Build) -> None:
    show = build()
    show.run_to(50)
    show.house.pause("conductor")
    show.run_for(0.5)
    show.house.resume("conductor")
    show.run_to(90)
    plans, outcome = show.plans, show.outcome()
    missing = set(range(50, 90)) - set(plans)
    assert 10 <= len(missing) <= 13
    assert all(outcome[f] == (f, "no_plan") for f in missing)
    assert show.conductor_status().slots_skipped == len(missing)
    t0_ns = plans[0].t_present_ns
    assert all(p.t_present_ns == show.stage.rate.deadline_ns(t0_ns, f) for f, p in plans.items())


def test_orders_reach_the_walls_within_two_frames_and_the_plans_for_the_record(build: Build) -> None:
    show = build()
    show.run_to(50)
    write_action(show.run.action_word, "black", stamp_ns=show.clock.now_ns())
    show.run_to(70)
    write_action(show.run.action_word, "none", stamp_ns=show.clock.now_ns())
    show.run_to(90)
    shown = {frame: what for frame, what, _ in show.painter.shown}
    assert shown[50] == "none"
    assert {shown[f] for f in range(52, 71)} == {"black"}
    assert {shown[f] for f in range(73, 90)} == {"none"}
    plans = show.plans
    assert plans[53].actions == ["black"]
    assert plans[90].actions == []


def test_the_same_with_the_real_painter_gives_the_same_pixels(build: Build, shm: Path) -> None:
    """Two runs of conductor, node and renderer: the same codes in every canvas of every frame."""
    codes: list[dict[int, bytes]] = []
    for _ in range(2):
        show = build(
            painter=lambda show: GLPainter(run=show.run, clock=show.clock),
            first={"patterns": [PlanPattern("inner_grid")]},
        )
        seen: dict[int, bytes] = {}
        ring = None
        for frame in range(0, 48, 4):
            show.run_to(frame)
            ring = ring or RingReader.open(show.run.canvas("main"), kind=KIND_CANVAS)
            for slot in ring.read_since(max(0, ring.latest_n - 7)).slots:
                if slot.plan_hash:
                    seen[slot.frame] = blake2b(slot.data).digest()
        assert ring is not None
        ring.close()
        assert set(show.outcome().values()) == {(f, "none") for f in show.outcome()}
        assert {plan.frame: hash_ for plan, hash_, _ in show.recorder.plans if plan.frame in seen}
        codes.append(seen)
    assert codes[0] == codes[1]
    assert set(range(44)) <= set(codes[0])
    assert len(set(codes[0].values())) > 20, "the camera moves, and so does the picture"
