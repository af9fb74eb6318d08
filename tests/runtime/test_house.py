"""Roles side by side under virtual time: exact, the same every time, and as concurrent as processes are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.clock import NS_PER_MS, NS_PER_S, VirtualClock
from runtime.doorbell import Bell, Ringer
from runtime.errors import VirtualTimeError
from runtime.house import VirtualHouse
from runtime.metronome import Metronome
from runtime.pace import Pacer
from runtime.ring import KIND_PLANS, RingReader, RingWriter
from stage.rate import RATES, Rate

MS = NS_PER_MS


class Every:
    """Steps every so often, `count` times, and may take virtual time for it."""

    def __init__(
        self,
        clock: VirtualClock,
        seen: list[tuple[str, int]],
        name: str,
        period_ns: int,
        count: int = 1000,
        cost_ns: int = 0,
    ) -> None:
        self.clock, self.seen, self.name = clock, seen, name
        self.period_ns, self.count, self.cost_ns = period_ns, count, cost_ns
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def step(self, now_ns: int) -> int | None:
        self.seen.append((self.name, now_ns))
        if self.cost_ns:
            self.clock.sleep_until(now_ns + self.cost_ns)
        self.count -= 1
        return now_ns + self.period_ns if self.count else None

    def stop(self) -> None:
        self.calls.append("stop")


def test_roles_go_by_deadline_then_by_name() -> None:
    clock = VirtualClock(0)
    seen: list[tuple[str, int]] = []
    with VirtualHouse(clock) as house:
        house.add("node", Every(clock, seen, "node", 20))
        house.add("conductor", Every(clock, seen, "conductor", 10))
        house.run_until(40)
    times = [("conductor", 0), ("node", 0), ("conductor", 10), ("conductor", 20), ("node", 20)]
    assert seen == [*times, ("conductor", 30), ("conductor", 40), ("node", 40)]
    assert clock.now_ns() == 40


def test_a_role_that_is_done_is_stopped_and_the_others_go_on() -> None:
    clock = VirtualClock(0)
    seen: list[tuple[str, int]] = []
    short, long = Every(clock, seen, "short", 10, count=2), Every(clock, seen, "long", 10)
    house = VirtualHouse(clock)
    house.add("short", short)
    house.add("long", long)
    assert house.run_while(lambda: not house.finished, until_ns=1000)
    assert (clock.now_ns(), house.finished, short.calls, long.calls) == (10, ["short"], ["start", "stop"], ["start"])
    assert not house.run_while(lambda: True, until_ns=100)
    assert clock.now_ns() == 100
    house.close()
    assert long.calls == ["start", "stop"]


@pytest.mark.parametrize("own_thread", [False, True])
def test_killed_removed_paused_and_woken(own_thread: bool) -> None:
    clock = VirtualClock(0)
    seen: list[tuple[str, int]] = []
    house = VirtualHouse(clock)
    killed, removed, paused = (Every(clock, seen, name, 10) for name in ("killed", "removed", "paused"))
    for role in (killed, removed, paused):
        house.add(role.name, role, own_thread=own_thread)
    house.run_until(15)
    house.kill("killed")
    house.remove("removed")
    house.pause("paused")
    assert (killed.calls, removed.calls) == (["start"], ["start", "stop"])
    seen.clear()
    house.run_until(55)
    assert seen == []
    house.resume("paused")
    house.run_until(56)
    assert seen == [("paused", 55)]
    house.wake("paused")
    house.run_until(60)
    assert seen == [("paused", 55), ("paused", 56)]
    house.add("killed", Every(clock, seen, "killed again", 10), own_thread=own_thread)
    house.run_until(60)
    assert seen[-1] == ("killed again", 60)
    with pytest.raises(ValueError, match="already"):
        house.add("killed", killed)
    house.close()


def test_roles_on_threads_of_their_own_work_at_the_same_time() -> None:
    clock = VirtualClock(0)
    seen: list[tuple[str, int]] = []
    ended: dict[str, list[int]] = {"a": [], "b": []}

    class Draws(Every):
        def step(self, now_ns: int) -> int | None:
            result = super().step(now_ns)
            ended[self.name].append(self.clock.now_ns())
            return result

    with VirtualHouse(clock) as house:
        house.add("a", Draws(clock, seen, "a", 100, cost_ns=30), own_thread=True)
        house.add("b", Draws(clock, seen, "b", 100, cost_ns=50), own_thread=True)
        house.add("tick", Every(clock, seen, "tick", 20))
        house.run_until(160)
    assert ended == {"a": [30, 130], "b": [50, 150]}
    assert [t_ns for name, t_ns in seen if name == "tick"] == [0, 20, 40, 60, 80, 100, 120, 140, 160]


def test_a_threaded_role_leaves_from_inside_a_step() -> None:
    clock = VirtualClock(0)
    role = Every(clock, [], "a", 100, cost_ns=1000)
    house = VirtualHouse(clock)
    house.add("a", role, own_thread=True)
    house.run_until(10)
    house.close()
    assert role.calls == ["start", "stop"]


@pytest.mark.parametrize("own_thread", [False, True])
def test_what_a_role_raises_is_raised_here(own_thread: bool) -> None:
    class Fails(Every):
        def step(self, now_ns: int) -> int | None:
            raise RuntimeError("no picture")

    clock = VirtualClock(0)
    house = VirtualHouse(clock)
    house.add("a", Fails(clock, [], "a", 10), own_thread=own_thread)
    with pytest.raises(RuntimeError, match="no picture"):
        house.run_until(10)
    house.close()


def test_two_sleepers_on_one_thread_are_refused() -> None:
    clock = VirtualClock(0)
    house = VirtualHouse(clock)
    house.add("a", Every(clock, [], "a", 100, cost_ns=30))
    house.add("b", Every(clock, [], "b", 100, cost_ns=50))
    with pytest.raises(VirtualTimeError, match="own_thread=True"):
        house.run_until(100)


class Conductor:
    """Publishes a plan for each slot ahead of its deadline and rings."""

    def __init__(self, clock: VirtualClock, path: Path, rate: Rate, lead_ns: int) -> None:
        self.clock, self.path, self.lead_ns = clock, path, lead_ns
        self.pacer = Pacer(rate, NS_PER_S - lead_ns)

    def start(self) -> None:
        self.plans = RingWriter.create(self.path / "plans.ring", kind=KIND_PLANS, slots=8, capacity=64)
        self.ringer = Ringer(self.path / "node.bell")

    def step(self, now_ns: int) -> int:
        due = self.pacer.take(now_ns)
        if due is not None:
            self.plans.publish(b"plan", frame=due.frame, t_ns=due.deadline_ns + self.lead_ns)
            self.ringer.ring()
        return self.pacer.deadline_ns

    def stop(self) -> None:
        self.plans.close()
        self.ringer.close()


class Node:
    """Draws the plan it is rung for, then presents it at its time."""

    def __init__(self, clock: VirtualClock, path: Path, cost_ns: Callable[[int], int]) -> None:
        self.clock, self.path, self.cost_ns = clock, path, cost_ns
        self.shown: list[tuple[int, int]] = []
        self.late: list[int] = []

    def start(self) -> None:
        self.plans = RingReader.open(self.path / "plans.ring")
        self.bell = Bell(self.path / "node.bell")

    def wake_fds(self) -> tuple[int, ...]:
        return (self.bell.fileno(),)

    def step(self, now_ns: int) -> int:
        if self.bell.drain():
            plan = self.plans.latest()
            assert plan is not None
            self.clock.sleep_until(now_ns + self.cost_ns(plan.frame))
            if self.clock.now_ns() > plan.t_ns:
                self.late.append(plan.frame)
            else:
                self.clock.sleep_until(plan.t_ns)
                self.shown.append((plan.frame, self.clock.now_ns()))
        return self.clock.now_ns() + NS_PER_S

    def stop(self) -> None:
        self.plans.close()
        self.bell.close()


def scenario(path: Path) -> tuple[list[tuple[int, int]], list[int]]:
    """Two seconds at 23.976 through a real ring and a real doorbell; frames 10 and 20 take too long to draw."""
    clock = VirtualClock(0)
    rate = RATES["23.976"]
    path.mkdir()
    node = Node(clock, path, lambda frame: 30 * MS if frame in {10, 20} else 12 * MS)
    with VirtualHouse(clock) as house:
        house.add("conductor", Conductor(clock, path, rate, 25 * MS))
        house.add("node", node, own_thread=True)
        house.add("metronome", Metronome(clock, rate, slots=48))
        house.run_until(3 * NS_PER_S)
    return node.shown, node.late


def test_a_ring_and_a_doorbell_carry_a_show_exactly_and_the_same_each_time(tmp_path: Path) -> None:
    shown, late = scenario(tmp_path / "a")
    rate = RATES["23.976"]
    assert late == [10, 20]
    assert [frame for frame, _ in shown] == [frame for frame in range(len(shown) + 2) if frame not in {10, 20}]
    assert all(t_ns == rate.deadline_ns(NS_PER_S, frame) for frame, t_ns in shown)
    assert len(shown) == 46
    assert scenario(tmp_path / "b") == (shown, late)
