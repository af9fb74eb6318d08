"""The desk: prepare, keep, commit, or nothing at all; over real sockets, with a conductor that may misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller import agreement
from controller import desk as desk_module
from controller.access.roles import HAND, Hand
from controller.beginning import begin_show, write_first_snapshot
from controller.commands import Command
from controller.config import LoadedConfig, compile_config, load_config, load_config_text
from controller.desk import Desk, read_current
from controller.errors import (
    BadValue,
    ChangeRefused,
    ChangeTimedOut,
    ConductorAbsent,
    NotAllowed,
    NothingToUndo,
    StaleChange,
    StoreError,
    UnknownAddress,
)
from controller.messages import Abort, Commit, Committed, Failed, Message, Prepare, Prepared
from controller.post import Post
from controller.rundir import RunDir
from controller.show import Show, decode_snapshot
from controller.store import Store
from controller.transaction import Outcome
from runtime.clock import SystemClock
from stage.errors import ConfigError, Problem

LOADED = load_config("minimal")
STAGE = compile_config(LOADED)


class Peer:
    """A process that answers the desk's letters: as a conductor, or as a node that only prepares."""

    def __init__(self, run: RunDir, who: str) -> None:
        self.run, self.who = run, who
        self.path = run.conductor_socket if who == "conductor" else run.node_socket(who)
        self.post = Post(self.path)
        self.heard: list[Message] = []
        self.prepared: dict[int, Show] = {}
        self.committed: list[int] = []
        self.refuse: Problem | None = None
        self.silent = False
        self.forgetful = 0
        self.on_commit: Callable[[int], None] | None = None
        self.frame = 100
        asyncio.get_running_loop().add_reader(self.post.fileno(), self._letters)

    def close(self) -> None:
        if self.post.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.post.fileno())
            self.post.close()

    def kinds(self) -> list[str]:
        return [type(message).__name__ for message in self.heard]

    def _letters(self) -> None:
        for message in self.post.receive():
            self.heard.append(message)
            self.frame += 1
            if self.silent:
                continue
            if isinstance(message, Prepare):
                reply = self.run.path / message.reply_to
                if self.refuse is not None:
                    self.post.send(reply, Failed(message.version, self.who, [self.refuse]))
                    continue
                data = self.run.snapshot(message.version).read_bytes()
                self.prepared[message.version] = decode_snapshot(data).show
                self.post.send(reply, Prepared(message.version, self.who))
            elif isinstance(message, Abort):
                self.prepared.pop(message.version, None)
            elif isinstance(message, Commit):
                reply = self.run.path / message.reply_to
                if self.forgetful or message.version not in self.prepared:
                    self.forgetful -= 1
                    problem = Problem("conductor.not_prepared", "show", "never prepared")
                    self.post.send(reply, Failed(message.version, self.who, [problem]))
                    continue
                self.committed.append(message.version)
                if self.on_commit is not None:
                    self.on_commit(message.version)
                    continue
                self.post.send(reply, Committed(message.version, self.frame))


class House:
    """A run directory with a desk, its letter box, and its peers."""

    def __init__(self, run: RunDir, state: Path) -> None:
        self.run = run
        self.nodes: dict[str, Peer] = {}
        self.store = Store(state)
        self.post = Post(run.service_socket)
        self.desk = Desk(
            *read_current(run), run=run, store=self.store, links=self, clock=SystemClock(), reply_to="service.sock"
        )
        self.outcomes: list[Outcome] = []
        self.desk.listeners.append(self.outcomes.append)
        self.conductor = Peer(run, "conductor")
        asyncio.get_running_loop().add_reader(self.post.fileno(), self._letters)

    def _letters(self) -> None:
        for message in self.post.receive():
            assert self.desk.on_message(message)

    def send(self, who: str, message: Message) -> bool:
        return self.post.send(self.run.conductor_socket if who == "conductor" else self.run.node_socket(who), message)

    def living(self) -> list[str]:
        return list(self.nodes)

    async def close(self) -> None:
        await self.desk.stop()
        asyncio.get_running_loop().remove_reader(self.post.fileno())
        self.post.close()
        self.conductor.close()
        for node in self.nodes.values():
            node.close()
        self.store.close()


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir.create("t", root=tmp_path)
    with Store(tmp_path / "state") as store:
        write_first_snapshot(run, begin_show(LOADED, STAGE, store, t_tai_ns=1))
    return run


@pytest.fixture
async def house(run: RunDir, tmp_path: Path) -> AsyncIterator[House]:
    house = House(run, tmp_path / "state")
    await house.desk.start()
    yield house
    await house.close()


async def test_a_change_is_prepared_kept_and_committed(house: House) -> None:
    outcome = await house.desk.submit(Command({"cameras/a/soft_edge_deg": 3}, who="t"))
    assert outcome.rev == house.desk.rev == 2
    assert outcome.frame is not None
    assert house.conductor.kinds() == ["Prepare", "Commit"]
    assert house.conductor.prepared[2].cameras["a"].soft_edge_deg == 3.0
    assert house.conductor.committed == [2]
    assert house.run.current_version() == 2
    last = house.store.last()
    assert last is not None
    assert last[1] == house.desk.show == house.conductor.prepared[2]
    assert (last[0].who, last[0].kind) == ("t", "set")
    assert house.outcomes == [outcome]
    assert house.desk.rev_of("cameras/a") == 2
    assert house.desk.rev_of("scenes") == 1


async def test_what_changes_nothing_makes_no_revision(house: House) -> None:
    outcome = await house.desk.submit(Command({"cameras/a/enabled": True}))
    assert (outcome.rev, outcome.changes) == (1, {})
    assert house.conductor.heard == []


@pytest.mark.parametrize(("path", "error"), [("cameras/x/rank", UnknownAddress), ("cameras/a/rank", BadValue)])
async def test_a_bad_command_reaches_nobody(house: House, path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await house.desk.submit(Command({path: -1}))
    assert house.conductor.heard == []
    assert house.desk.rev == 1


async def test_a_refused_change_leaves_everything_as_it_was(house: House) -> None:
    house.conductor.refuse = Problem("conductor.no", "cameras/a", "will not", mend="ask later")
    with pytest.raises(ChangeRefused) as error:
        await house.desk.submit(Command({"cameras/a/rank": 3}))
    assert error.value.problems[0].mend == "ask later"
    assert house.desk.rev == house.run.current_version() == house.store.last_rev == 1
    assert [path.name for path in house.run.path.glob("show-*")] == ["show-1.msgpack"]
    await asyncio.sleep(0.05)
    assert house.conductor.kinds() == ["Prepare", "Abort"]
    # The number of the refused version is never used again.
    house.conductor.refuse = None
    assert (await house.desk.submit(Command({"cameras/a/rank": 4}))).rev == 3


async def test_the_disk_takes_a_change_in_while_the_conductor_gets_ready(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither waits for the other, and nothing is committed before both are done."""
    append, kept, slow = house.store.append, asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def keep(*told: Any, **named: Any) -> None:
        append(*told, **named)
        loop.call_soon_threadsafe(kept.set)
        slow.wait(20.0)

    monkeypatch.setattr(house.store, "append", keep)
    house.conductor.silent = True
    change = asyncio.create_task(house.desk.submit(Command({"cameras/a/rank": 3})))
    # It is on the disk although the conductor has said nothing yet.
    await asyncio.wait_for(kept.wait(), 20.0)
    house.conductor.silent = False
    house.desk.on_message(Prepared(2, "conductor"))
    house.conductor.prepared[2] = decode_snapshot(house.run.snapshot(2).read_bytes()).show
    await asyncio.sleep(0.05)
    assert house.conductor.kinds() == ["Prepare"]
    assert house.run.current_version() == house.desk.rev == 1
    slow.set()
    assert (await change).rev == house.run.current_version() == 2
    assert house.conductor.kinds() == ["Prepare", "Commit"]


async def test_what_is_kept_and_refused_is_given_back_and_told(house: House) -> None:
    """A slider's step stands for the one before it: that one comes back when the step is refused."""
    await house.desk.submit(Command({"cameras/a/soft_edge_deg": 1.0}, who="slider"))
    before = house.store.last()
    house.conductor.refuse = Problem("conductor.no", "cameras/a", "will not")
    with pytest.raises(ChangeRefused):
        await house.desk.submit(Command({"cameras/a/soft_edge_deg": 2.0}, who="slider"))
    assert house.store.last() == before
    assert house.desk.show.cameras["a"].soft_edge_deg == 1.0
    assert house.store.audit(limit=1)[0].what == "refused"
    assert house.store.audit_faults() == []
    house.conductor.refuse = None
    assert (await house.desk.submit(Command({"cameras/a/soft_edge_deg": 3.0}, who="slider"))).rev == 4
    await house.desk.undo(who="slider")
    assert house.desk.show.cameras["a"].soft_edge_deg == 0.5


async def test_a_service_that_dies_before_it_names_the_version_commits_it_again(run: RunDir, tmp_path: Path) -> None:
    """Kept, committed, and killed before `show.current` was written: the next one begins behind its store."""
    house = House(run, tmp_path / "state")
    await house.desk.start()
    current = run.current_version()
    await house.desk.submit(Command({"cameras/a/rank": 3}))
    await house.close()
    run.set_current_version(current)
    again = House(run, tmp_path / "state")
    await again.desk.start()
    assert again.desk.show.cameras["a"].rank == 3
    assert run.current_version() == again.desk.rev == 3
    await again.close()


async def test_a_silent_conductor_times_the_change_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "LIVE_TIMEOUT_S", 0.05)
    house.conductor.silent = True
    with pytest.raises(ChangeTimedOut, match="conductor"):
        await house.desk.submit(Command({"cameras/a/rank": 3}))
    assert house.desk.rev == house.store.last_rev == 1
    house.conductor.silent = False
    await house.desk.submit(Command({"cameras/a/rank": 3}))


async def test_without_a_conductor_nothing_changes(house: House) -> None:
    house.conductor.close()
    with pytest.raises(ConductorAbsent):
        await house.desk.submit(Command({"cameras/a/rank": 3}))
    assert house.store.last_rev == 1
    house.conductor = Peer(house.run, "conductor")
    await house.desk.submit(Command({"cameras/a/rank": 3}))


async def test_a_conductor_restarted_between_prepare_and_commit_is_asked_again(house: House) -> None:
    house.conductor.forgetful = 1
    outcome = await house.desk.submit(Command({"cameras/a/rank": 3}))
    assert outcome.frame is not None
    assert house.conductor.kinds() == ["Prepare", "Commit", "Prepare", "Commit"]
    assert house.conductor.committed == [2]


async def test_a_plan_that_carries_the_version_is_proof_enough(house: House) -> None:
    house.conductor.on_commit = lambda version: house.desk.seen(4321, version)
    outcome = await house.desk.submit(Command({"cameras/a/rank": 3}))
    assert outcome.frame == 4321


async def test_a_full_disk_refuses_the_change(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreError(Problem(StoreError.code, "show.db", "disk full"))

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "append", full)
        with pytest.raises(StoreError):
            await house.desk.submit(Command({"cameras/a/rank": 3}))
    assert house.desk.rev == house.run.current_version() == 1
    await asyncio.sleep(0.05)
    assert house.conductor.kinds() == ["Prepare", "Abort"]
    await house.desk.submit(Command({"cameras/a/rank": 3}))


async def test_a_slider_builds_no_queue_and_is_one_step_of_undo(house: House) -> None:
    values = [n / 100 for n in range(1, 301)]
    outcomes = await asyncio.gather(
        *(house.desk.submit(Command({"cameras/a/soft_edge_deg": value}, who="slider")) for value in values)
    )
    assert house.desk.show.cameras["a"].soft_edge_deg == 3.0
    assert outcomes[-1].rev == house.desk.rev < 20
    revisions = house.store.revisions()
    assert len(revisions) == 2
    assert revisions[0].changes["cameras/a/soft_edge_deg"].before == 0.5
    await house.desk.undo(who="slider")
    assert house.desk.show.cameras["a"].soft_edge_deg == 0.5


async def test_hands_are_told_apart(house: House) -> None:
    await asyncio.gather(
        *(
            house.desk.submit(Command({f"cameras/a/{field}": n}, who=who))
            for n in range(1, 6)
            for who, field in (("one", "rank"), ("two", "delay_ms"))
        )
    )
    assert {revision.who for revision in house.store.revisions()} == {"start", "one", "two"}
    settings = house.desk.show.cameras["a"]
    assert (settings.rank, settings.delay_ms) == (5, 5.0)


async def test_undo_by_prefix_and_back_to_the_start(house: House) -> None:
    first = house.desk.show
    await house.desk.submit(Command(steps={"sources/tracker/nudge/x_m": 0.001}, who="t"))
    await house.desk.submit(Command({"cameras/a/overscan_deg": 4}, who="t"))
    await house.desk.undo("sources/tracker")
    assert house.desk.show.nudges["tracker"].x_m == 0.0
    assert house.desk.show.cameras["a"].overscan_deg == (4.0,) * 4
    await house.desk.undo()
    with pytest.raises(NothingToUndo):
        await house.desk.undo()
    assert house.desk.show.cameras == first.cameras
    assert house.desk.rev == 5


async def test_what_was_undone_is_brought_back_until_something_else_is_changed(house: House) -> None:
    desk = house.desk
    for value in (1.0, 2.0):
        await desk.submit(Command({"exposure_ev": value}, who=f"w{value:g}"))
    await desk.submit(Command({"cameras/a/rank": 3}, who="t"))
    for _ in range(3):
        await desk.undo()
    assert (desk.show.exposure_ev, desk.show.cameras["a"].rank) == (0.0, 0)
    outcome = await desk.redo(who="again")
    assert (outcome.kind, outcome.who, outcome.changes["exposure_ev"].after) == ("redo", "again", 1.0)
    await desk.redo()
    assert (desk.show.exposure_ev, desk.show.cameras["a"].rank) == (2.0, 0)
    # What was brought back may be taken back again, and brought back again.
    await desk.undo()
    assert desk.show.exposure_ev == 1.0
    await desk.redo()
    await desk.redo("cameras/a")
    assert (desk.show.exposure_ev, desk.show.cameras["a"].rank) == (2.0, 3)
    with pytest.raises(NothingToUndo, match="nothing is undone"):
        await desk.redo()
    await desk.undo("exposure_ev")
    await desk.submit(Command({"cameras/a/rank": 4}))
    with pytest.raises(NothingToUndo):
        await desk.redo()
    await desk.redo("exposure_ev")
    assert desk.show.exposure_ev == 2.0, "nothing was changed there since"
    kinds = [revision.kind for revision in await desk.revisions(limit=3)]
    assert kinds == ["redo", "set", "undo"]
    told = [(entry.what, entry.path, entry.before, entry.after) for entry in await desk.audit(limit=1)]
    assert told == [("redo", "exposure_ev", 1.0, 2.0)]


async def test_a_configuration_that_was_undone_is_brought_back(house: House) -> None:
    house.nodes = {"n0": Peer(house.run, "n0")}
    await house.desk.replace_config(edited("focal_length_mm: 35.0", "focal_length_mm: 50.0"), who="t")
    await house.desk.undo()
    assert house.desk.stage.cameras["a"].lens.focal_length_mm == 35.0
    await house.desk.redo()
    assert house.desk.stage.cameras["a"].lens.focal_length_mm == 50.0
    with pytest.raises(NothingToUndo):
        await house.desk.redo()


async def test_who_may_change_something_may_take_it_back(house: House) -> None:
    await house.desk.submit(Command({"exposure_ev": 1.0}))
    await house.desk.submit(Command({"cameras/a/rank": 2}))
    token = HAND.set(Hand("dora", "director", "dora"))
    try:
        with pytest.raises(NotAllowed):
            await house.desk.undo()
        await house.desk.undo("exposure_ev")
        await house.desk.redo("exposure_ev")
        with pytest.raises(NotAllowed):
            await house.desk.undo("cameras/a")
    finally:
        HAND.reset(token)
    await house.desk.undo()
    assert (house.desk.show.exposure_ev, house.desk.show.cameras["a"].rank) == (1.0, 0)
    token = HAND.set(Hand("dora", "director", "dora"))
    try:
        with pytest.raises(NotAllowed):
            await house.desk.redo()
    finally:
        HAND.reset(token)


def edited(old: str, new: str) -> LoadedConfig:
    assert old in LOADED.source
    return load_config_text(LOADED.source.replace(old, new), base_dir=LOADED.base_dir)


async def test_a_new_configuration_is_prepared_by_everyone(house: House) -> None:
    house.nodes = {name: Peer(house.run, name) for name in ("n0", "n1")}
    await house.desk.submit(Command({"cameras/a/soft_edge_deg": 2.5}))
    outcome = await house.desk.replace_config(edited("focal_length_mm: 35.0", "focal_length_mm: 50.0"), who="t", rev=1)
    assert outcome.kind == "config"
    assert [peer.kinds() for peer in house.nodes.values()] == [["Prepare"], ["Prepare"]]
    assert house.desk.stage.cameras["a"].lens.focal_length_mm == 50.0
    assert house.desk.show.config_version == 2
    # The operator's live change stays, since the new file did not touch it.
    assert house.desk.show.cameras["a"].soft_edge_deg == 2.5
    assert house.desk.rev_of("config") == house.desk.rev_of("cameras/a") == outcome.rev
    await house.desk.undo()
    assert house.desk.stage.cameras["a"].lens.focal_length_mm == 35.0
    assert house.desk.show.config_version == 3
    assert house.desk.show.cameras["a"].soft_edge_deg == 2.5


async def test_one_node_that_cannot_prepare_stops_the_change_for_all(house: House) -> None:
    house.nodes = {name: Peer(house.run, name) for name in ("n0", "n1")}
    house.nodes["n1"].refuse = Problem("renderer.memory", "scenes/grey", "no room")
    with pytest.raises(ChangeRefused, match="no room"):
        await house.desk.replace_config(edited("rate: 24", "rate: 25"))
    assert house.desk.stage.rate.num == 24
    assert house.conductor.committed == []
    await asyncio.sleep(0.05)
    assert house.nodes["n0"].kinds() == ["Prepare", "Abort"]


async def test_a_node_that_dies_does_not_stop_the_change(house: House) -> None:
    house.nodes = {name: Peer(house.run, name) for name in ("n0", "n1")}
    house.nodes["n1"].close()
    await house.desk.replace_config(edited("rate: 24", "rate: 25"))
    assert house.desk.stage.rate.num == 25


async def test_a_configuration_that_does_not_compile_names_its_lines(house: House) -> None:
    loaded = edited("width_px: 1408", "width_px: 400")
    with pytest.raises(ConfigError) as error:
        await house.desk.replace_config(loaded)
    assert all(problem.line for problem in error.value.problems)
    assert house.desk.rev == 1


async def test_a_configuration_from_a_stale_revision_is_refused(house: House) -> None:
    await house.desk.replace_config(edited("rate: 24", "rate: 25"), rev=1)
    with pytest.raises(StaleChange):
        await house.desk.replace_config(edited("rate: 24", "rate: 30"), rev=1)
    assert house.desk.stage.rate.num == 25


async def test_roll_back_runs_exactly_what_ran_and_can_be_undone(house: House) -> None:
    await house.desk.submit(Command({"cameras/a/rank": 7}, who="t"))
    seventh = house.desk.show
    await house.desk.replace_config(edited("focal_length_mm: 35.0", "focal_length_mm: 50.0"))
    await house.desk.submit(Command({"cameras/a/rank": 9}, who="t"))
    await house.desk.roll_back(seventh.version, who="t")
    assert house.desk.stage.cameras["a"].lens.focal_length_mm == 35.0
    assert house.desk.show == msgspec.structs.replace(
        seventh, version=house.desk.rev, config_version=house.desk.show.config_version
    )
    await house.desk.undo()
    assert house.desk.stage.cameras["a"].lens.focal_length_mm == 50.0
    assert house.desk.show.cameras["a"].rank == 9
    with pytest.raises(UnknownAddress):
        await house.desk.roll_back(999)


async def test_a_desk_behind_its_store_commits_what_was_kept(run: RunDir, tmp_path: Path) -> None:
    house = House(run, tmp_path / "state")
    await house.desk.start()
    await house.desk.submit(Command({"cameras/a/rank": 7}))
    await house.close()
    # As if the service had been killed after the store's write and before the run learned of it.
    run.set_current_version(1)
    house = House(run, tmp_path / "state")
    try:
        assert house.desk.show.cameras["a"].rank == 0
        await house.desk.start()
        assert house.desk.show.cameras["a"].rank == 7
        assert house.conductor.committed == [house.desk.rev] == [3]
        assert run.current_version() == 3
    finally:
        await house.close()


async def test_old_snapshots_go_the_newest_stay(house: House) -> None:
    for n in range(40):
        await house.desk.submit(Command({"cameras/a/rank": n % 7}, who=str(n)))
    kept = sorted(int(path.stem[5:]) for path in house.run.path.glob("show-*"))
    assert kept[-1] == house.desk.rev
    assert len(kept) <= desk_module.KEEP_SNAPSHOTS + 1


async def test_changes_that_wait_when_the_desk_stops_are_told(run: RunDir, tmp_path: Path) -> None:
    house = House(run, tmp_path / "state")
    await house.desk.start()
    house.conductor.silent = True
    waiting = asyncio.gather(
        *(house.desk.submit(Command({"cameras/a/rank": n}, who=str(n))) for n in range(1, 4)), return_exceptions=True
    )
    await asyncio.sleep(0.05)
    await house.close()
    with contextlib.suppress(asyncio.CancelledError):
        assert all(isinstance(error, asyncio.CancelledError) for error in await waiting)
