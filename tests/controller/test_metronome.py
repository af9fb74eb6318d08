"""The metronome follows the plans' slots at every rate, and tells every standstill of the host with its figure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger_feed import decode_note
from controller.ledger_record import HostNote
from controller.metronome import KIND_NOTES, Beat, HouseMetronome, plan_clock
from controller.rundir import RunDir
from runtime.clock import NS_PER_MS, NS_PER_S, VirtualClock
from runtime.house import VirtualHouse
from runtime.ring import KIND_PLANS, RingReader, RingWriter
from stage.plan import FramePlan, PlanOuter, encode_plan
from stage.rate import RATES, Rate

START_NS = 10 * NS_PER_S


class Plans:
    """Role: publishes the plan of each slot a little before it, and nothing while `dead`."""

    def __init__(self, run: RunDir, clock: VirtualClock, rate: Rate, t0_ns: int) -> None:
        self.clock, self.rate, self.t0_ns, self.frame = clock, rate, t0_ns, 0
        self.dead = False
        self.ring = RingWriter.create(run.plans, kind=KIND_PLANS, slots=64, capacity=4032)

    def start(self) -> None:
        pass

    def step(self, now_ns: int) -> int:
        t_ns = self.rate.deadline_ns(self.t0_ns, self.frame)
        outer = PlanOuter("live", self.frame, (0.0, 0.0, 1.7))
        plan = FramePlan(self.frame, (self.rate.num, self.rate.den), t_ns, [], outer, [])
        if not self.dead:
            self.ring.publish(encode_plan(plan), frame=self.frame, t_ns=now_ns)
        self.frame += 1
        return self.rate.deadline_ns(self.t0_ns, self.frame) - 10 * NS_PER_MS

    def stop(self) -> None:
        self.ring.close()

    def change_rate(self, rate: Rate) -> None:
        due_ns = self.rate.deadline_ns(self.t0_ns, self.frame)
        self.t0_ns, self.rate = due_ns - rate.deadline_ns(0, self.frame), rate


class Scene:
    """Plans and metronome in one house, and every note."""

    def __init__(self, path: Path, rate: Rate) -> None:
        self.clock = VirtualClock(START_NS)
        self.spent_ns = 0
        self.house = VirtualHouse(self.clock)
        run = RunDir(path)
        self.plans = Plans(run, self.clock, rate, START_NS + 300 * NS_PER_MS)
        self.metronome = HouseMetronome(
            run=run, clock=self.clock, fifo=False, proc=path / "proc", spent_ns=lambda: self.spent_ns
        )
        self.house.add("plans", self.plans)
        self.house.add("metronome", self.metronome)
        self.reader = RingReader.open(run.metronome, kind=KIND_NOTES)
        self.n = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.house.close()
        self.reader.close()

    def run_for(self, seconds: float) -> list[HostNote]:
        """Let time pass; the notes of that time."""
        self.house.run_until(self.clock.now_ns() + int(seconds * NS_PER_S))
        batch = self.reader.read_since(self.n)
        self.n = batch.latest_n
        return [decode_note(slot.data) for slot in batch.slots]


@pytest.mark.parametrize("name", RATES)
def test_on_an_idle_host_it_says_once_a_second_that_nothing_happened(shm: Path, name: str) -> None:
    rate = RATES[name]
    with Scene(shm, rate) as scene:
        notes = scene.run_for(10.2)
    assert 9 <= len(notes) <= 11
    for note in notes:
        assert note.stalls == []
        assert note.t_slot_ns == rate.deadline_ns(scene.plans.t0_ns, note.frame)
    assert scene.metronome.stalls == 0


@pytest.mark.parametrize("name", ["23.976", "60", "120"])
@pytest.mark.parametrize("stall_ms", [12.0, 180.0])
def test_a_standstill_is_told_with_its_figure_and_its_slot(shm: Path, name: str, stall_ms: float) -> None:
    rate = RATES[name]
    with Scene(shm, rate) as scene:
        scene.run_for(2.05)
        began_ns = scene.clock.now_ns()
        scene.clock.jump(round(stall_ms * NS_PER_MS))
        ended_ns = scene.clock.now_ns()
        notes = [note for note in scene.run_for(1.0) if note.stalls]
        assert len(notes) == 1
        ((first_ns, last_ns),) = notes[0].stalls
        # It knows of a standstill from its next wake-up on: a part of a slot is not seen.
        tick_ns = rate.period_ns // max(1, min(8, round(rate.period_ns / (5 * NS_PER_MS))))
        assert scene.metronome.beat is not None
        assert scene.metronome.beat.ticks == rate.period_ns // tick_ns
        assert began_ns <= first_ns <= began_ns + tick_ns
        assert last_ns == ended_ns
        begin_ns = scene.plans.t0_ns
        assert rate.deadline_ns(begin_ns, notes[0].frame) >= first_ns
        assert scene.metronome.stalls == 1
        # In phase again at once.
        assert [note.stalls for note in scene.run_for(3.0)] == [[]] * 3


def test_it_goes_on_by_itself_and_follows_another_rate(shm: Path) -> None:
    with Scene(shm, Rate(24)) as scene:
        scene.run_for(2.0)
        scene.plans.dead = True
        alone = scene.run_for(5.0)
        assert len(alone) == 5
        assert all(note.t_slot_ns == Rate(24).deadline_ns(scene.plans.t0_ns, note.frame) for note in alone)
        scene.plans.dead = False
        scene.plans.change_rate(Rate(120))
        scene.run_for(0.5)
        t0_ns = scene.plans.t0_ns
        faster = scene.run_for(5.0)
        assert len(faster) == 5
        assert all(note.t_slot_ns == Rate(120).deadline_ns(t0_ns, note.frame) for note in faster)
        assert scene.metronome.stalls == 0


def test_a_ledger_names_the_host_for_what_it_cost(shm: Path, housekit: ModuleType) -> None:
    """A whole show: the machine stands still for 70 ms, and the repeats that follow are the host's."""
    with housekit.VirtualShow(shm, housekit.minimal_text()) as show:
        metronome = HouseMetronome(run=show.run, clock=show.clock, fifo=False, spent_ns=lambda: 0)
        show.house.add("metronome", metronome)
        show.run_to(60)
        assert show.conductor.ledger.repeats == {}
        show.clock.jump(70 * NS_PER_MS)
        show.run_for(2.0)
        ledger = show.conductor.ledger
        assert 1 <= ledger.repeats.get("host_stall", 0) <= 3
        assert ledger.repeated == ledger.repeats["host_stall"]
        told = [record for record in ledger.latest(60) if record.reason == "host_stall"]
        assert max(record.stall_ns for record in told) == pytest.approx(70 * NS_PER_MS, abs=6 * NS_PER_MS)


integers = st.integers(0, (1 << 63) - 1)


@given(integers, st.sampled_from(list(RATES.values())), st.one_of(integers, st.integers(-(1 << 63), -1)))
def test_the_clock_of_a_plan_is_read_without_reading_the_plan(frame: int, rate: Rate, t_ns: int) -> None:
    plan = FramePlan(frame, (rate.num, rate.den), t_ns, [], PlanOuter("live", frame, (0.0, 0.0, 1.7)), [])
    assert plan_clock(encode_plan(plan)) == (frame, rate, t_ns)


@given(st.binary(max_size=80))
def test_what_is_no_plan_has_no_clock(data: bytes) -> None:
    found = plan_clock(data)
    assert found is None or data[1:7] == b"\xa5frame"


@given(st.integers(0, 60))
def test_a_torn_plan_has_no_wrong_clock(length: int) -> None:
    plan = FramePlan(1 << 40, (24000, 1001), 1 << 50, [], PlanOuter("live", 1, (0.0, 0.0, 1.7)), [])
    assert plan_clock(encode_plan(plan)[:length]) in (None, (1 << 40, Rate(24000, 1001), 1 << 50))


def test_waits_for_a_processor_are_told_by_process(shm: Path, tmp_path: Path) -> None:
    """As the kernel counts them; here from files that look like the kernel's."""
    with Scene(shm, Rate(25)) as scene:
        proc = tmp_path / "proc"
        pid = int.from_bytes((shm / "plans.ring").read_bytes()[56:64], "little")
        (proc / str(pid)).mkdir(parents=True)
        stat = proc / str(pid) / "schedstat"
        stat.write_text("500000 1000000 7\n")
        scene.house.remove("metronome")
        scene.house.add("metronome", HouseMetronome(run=RunDir(shm), clock=scene.clock, fifo=False, proc=proc))
        scene.run_for(2.0)
        stat.write_text("900000 8000000 9\n")
        waited = [note.waited_ns for note in scene.run_for(1.0) if note.waited_ns]
        assert waited == [{"conductor": 7_000_000}]
        stat.write_text("900000 9000000 9\n")
        assert not [note for note in scene.run_for(1.0) if note.waited_ns], "a millisecond is nothing"


@pytest.mark.parametrize("name", ["24", "60", "120"])
@pytest.mark.parametrize("cost_us", [5.0, 60.0, 200.0])
def test_it_wakes_as_often_as_it_can_afford(shm: Path, name: str, cost_us: float) -> None:
    rate = RATES[name]
    with Scene(shm, rate) as scene:
        step, wakes = scene.metronome.step, 0

        def counted(now_ns: int) -> int:
            nonlocal wakes
            wakes += 1
            scene.spent_ns += round(cost_us * 1000)
            return step(now_ns)

        scene.metronome.step = counted  # type: ignore[method-assign]
        scene.run_for(6.0)
        wakes = 0
        scene.run_for(10.0)
        assert scene.metronome.stalls == 0
        beat = scene.metronome.beat
        assert beat is not None
        most = rate.hz * min(8, round(rate.period_ns / (5 * NS_PER_MS)))
        allowed = 0.004e6 / cost_us
        assert wakes / 10.0 == pytest.approx(rate.hz * beat.ticks / beat.slots, rel=0.02)
        assert 0.5 * min(most, allowed) <= wakes / 10.0 <= 1.02 * min(most, allowed)
        # Always in phase with the slots.
        assert beat.due_ns(beat.ticks) == rate.deadline_ns(scene.plans.t0_ns, beat.slots)


@given(
    st.sampled_from(list(RATES.values())),
    st.integers(-(1 << 62), 1 << 50),
    st.floats(1.0, 1000.0),
    st.integers(0, 1 << 62),
)
def test_ticks_follow_each_other_and_meet_every_deadline(
    rate: Rate, t0_ns: int, affordable_hz: float, now_ns: int
) -> None:
    beat = Beat.of(rate, t0_ns, affordable_hz)
    tick = beat.tick_after(now_ns)
    assert beat.due_ns(tick - 1) <= now_ns < beat.due_ns(tick)
    frame = beat.frame(tick)
    # It belongs to the slot whose deadline it meets, or comes before.
    assert beat.due_ns(tick) <= rate.deadline_ns(t0_ns, frame)
    assert beat.due_ns(tick) > rate.deadline_ns(t0_ns, frame - 1)
    number = tick - tick % beat.ticks
    assert beat.due_ns(number) == rate.deadline_ns(t0_ns, number // beat.ticks * beat.slots)


def test_it_loads_nothing_but_the_standard_library() -> None:
    """It starts while the node loads, on a machine of two cores."""
    program = (
        "import sys, controller.processes.metronome as m\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'numpy', 'msgspec', 'pydantic', 'typing_extensions', 'asyncio', 'moderngl'}))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_notes_are_json_that_everybody_reads() -> None:
    note = HostNote(5, 6, [(1, 2)], 10, {"node-main": 3})
    assert decode_note(msgspec.json.encode(note)) == note
    with pytest.raises(msgspec.MsgspecError):
        decode_note(b'{"frame": "x"}')


def test_standstills_reach_any_reader_of_json(shm: Path) -> None:
    with Scene(shm, Rate(24)) as scene:
        scene.run_for(1.0)
        scene.clock.jump(20 * NS_PER_MS)
        scene.run_for(1.0)
        slot: Any = scene.reader.latest()
        told = msgspec.json.decode(slot.data)
        assert set(told) == {"frame", "t_slot_ns", "stalls", "tick_ns", "stolen_ns", "waited_ns"}
