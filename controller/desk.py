"""The desk: the one place where the running show changes. Prepare, keep, commit; or nothing happens at all.

Everything that changes the show is a transaction here, one after the other: a command (`submit`), an undo, a new
configuration, a roll-back. A transaction writes the next version's snapshot, has every process that must know it
prepare it, keeps it in the store, and commits it at the first frame not latched yet. Refused or unanswered: the
running version stays, and so does the store. What was acknowledged survives every crash: a desk that starts behind
its store publishes the store's last revision first.

GO and sliders need nobody but the conductor, which can hardly refuse them: the disk takes those in while the conductor
gets ready, and gives them back should it refuse after all. Nothing is committed before it is kept.

Commands of one hand that wait while another transaction runs are taken together: a slider never builds a queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from controller.access.roles import HAND, Hand, allowed, scope_of_address
from controller.agreement import Agreement, Links
from controller.audit import Deed, Entry, What
from controller.beginning import fresh_show, snapshot_of, surroundings
from controller.commands import Command, apply
from controller.config import LoadedConfig, load_config_text
from controller.database import store_error
from controller.errors import ControllerError, StoreError
from controller.layer_addresses import is_whole
from controller.look_addresses import expanded
from controller.messages import Message
from controller.moves import applied
from controller.rundir import RunDir
from controller.scene_book import KEEP, drop_states, numbered, write_states
from controller.scene_values import SceneValues
from controller.show import Show, Snapshot, decode_snapshot, encode_snapshot
from controller.show_file import ShowFile
from controller.show_lock import LockOrder, held
from controller.show_transfer import fitted
from controller.store import Change, Revision, Store
from controller.surroundings import Surroundings
from controller.switching import Moment
from controller.transaction import Next, Outcome, Task, fail, finish, future
from controller.whole_changes import WholeChanges
from runtime.clock import NS_PER_S, Clock
from runtime.rights import be_prompt
from stage.compiled import CompiledStage, decode_stage, encode_stage
from stage.errors import OpenVolumeError, Problem

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Changing = Callable[[Show, Surroundings], Awaitable[tuple[Show, dict[str, Change]]]]
"""What makes the next show of a show, and tells what its addresses held before and after."""

GESTURE_NS: Final = NS_PER_S
"""Changes of the same addresses by the same hand, each within this of the last, are one step of undo."""
KEEP_SNAPSHOTS: Final = 16
_DEEP: Final = (
    "cameras",
    "sources",
    "canvases",
    "patterns",
    "scenes",
    "engines",
    "processors",
    "cards",
    "chromakeys",
    "looks",
)
"""First words of addresses whose objects have an id."""


class Desk:
    """Holds the running show and changes it. All calls from one event loop. It begins with what `read_current` gives.

    Attributes
    ----------
    show, loaded, stage, around : what runs
    revs : by object (`cameras/a`, `config`, ...): the revision that changed it last
    """

    def __init__(
        self,
        snapshot: Snapshot,
        loaded: LoadedConfig,
        *,
        run: RunDir,
        store: Store,
        links: Links,
        clock: Clock,
        reply_to: str,
    ) -> None:
        self._run, self._clock = run, clock
        self.store = store
        """For `on_disk` only."""
        self._agreement = Agreement(links, reply_to)
        self._whole = WholeChanges(self)
        self._queue: deque[Task] = deque()
        self._more = asyncio.Event()
        # Between GO and light it is waited for as the loop itself is.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="store", initializer=be_prompt)
        self._worker: asyncio.Task[None] | None = None
        self._gesture: tuple[Revision, int] | None = None
        self._behind: set[asyncio.Task[None]] = set()
        self.listeners: list[Callable[[Outcome], None]] = []
        self.not_kept: Callable[[StoreError], None] = _nothing
        """Is told when the disk did not take something."""
        self.revs: dict[str, int] = {}
        self.ready: Callable[[Command], Awaitable[Command]] = _as_it_is
        """What a command waits for before its turn, and what it then comes to: scenes are made ready."""
        self.ready_config: Callable[[LoadedConfig, Show], Awaitable[dict[str, str]]] = _none_compiled
        """What a coming configuration waits for: its scenes on every node, and their compiled states by scene."""
        self.scene_values: Mapping[str, SceneValues] = {}
        """What may be edited live, by scene; kept up to date by whoever reads scenes' files."""
        self.moment: Moment | None = None
        """The newest frame planned: what an order that names frames counts from."""
        self.show: Show = snapshot.show
        self.loaded: LoadedConfig = loaded
        self.stage: CompiledStage = decode_stage(snapshot.stage)
        self.around: Surroundings = surroundings(self.loaded.config, self.stage)
        self._stage_bytes = snapshot.stage
        self.first: Show = fresh_show(self.loaded.config, self.stage)
        """As the configuration alone would have it."""
        self._found_rev = self.show.version
        last = store.last()
        if last is None or store.config(self.show.config_version) is None:
            raise _error(StoreError, str(store.path), "does not know the running show", "start it with openvolume run")
        self._ahead = last if last[0].rev > self.show.version else None
        # A number is never used twice, not even by a change that was refused: processes know a version by it.
        self._next_rev = max(last[0].rev, self.show.version) + 1

    @property
    def rev(self) -> int:
        """The running revision."""
        return self.show.version

    @property
    def around_now(self) -> Surroundings:
        """What runs, what of its scenes can be edited, and when "now" is."""
        return replace(self.around, moment=self.moment, scene_values=self.scene_values)

    def rev_of(self, path: str) -> int:
        """The revision that last changed an object (`cameras/a`); the one it was found at if none did since."""
        return self.revs.get(path, self.revs.get("config", self._found_rev))

    async def start(self) -> None:
        """Begin to take transactions; first of all, publish what the store holds and the run does not."""
        self._worker = asyncio.create_task(self._work(), name="desk")
        if self._ahead is not None:
            revision, show = self._ahead
            log.warning("revision %d was kept but never committed: it is committed now", revision.rev)
            await self._enqueue(Task("start", future(), whole=lambda: self._whole.stored(revision, show)))

    async def stop(self) -> None:
        """Finish the transaction at hand, refuse those that wait."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        for task in self._queue:
            task.done.cancel()
        for late in list(self._behind):
            late.cancel()
        self._disk.shutdown(wait=True)

    # --- what can be asked ----------------------------------------------------------------------------------------

    async def submit(self, command: Command) -> Outcome:
        """Change the show by address.

        Raises
        ------
        UnknownAddress, BadValue : nothing changed. ChangeRefused, ChangeTimedOut, ConductorAbsent, StoreError.
        """
        command = msgspec.structs.replace(command, changes=expanded(command.changes, self.show))
        for address in (*command.changes, *command.steps):
            allowed(scope_of_address(address), address)
        held(self.show.lock, *command.changes, *command.steps)
        # Told at once, without waiting for a turn; checked again when it has it.
        apply(self.show, command, self.around_now)
        command = await self.ready(command)
        return await self._enqueue(Task(command.who, future(), command=command))

    async def make(
        self, path: str, change: Changing, *, who: str = "", at_frame: int | Callable[[], int] = 0
    ) -> Outcome:
        """Change the show to what `change` makes of it when its turn has come; `path` is what it is allowed by.

        at_frame : the frame it holds from (a call is asked when the change is made); 0: the first not latched yet.

        Raises
        ------
        What `change` does; and as `submit`.
        """
        self._allowed(path)

        async def following() -> Next:
            show, changes = await change(self.show, self.around_now)
            return Next(show, changes, "set", at_frame=at_frame() if callable(at_frame) else at_frame)

        return await self._enqueue(Task(who, future(), whole=following))

    async def undo(self, prefix: str = "", *, who: str = "", mine: bool = False) -> Outcome:
        """Take back the newest change at or under `prefix` (any, without one) that was not taken back yet: whoever's
        it is, which the outcome tells; `mine`: of `who` alone, and only where nobody else has changed it since.

        Raises
        ------
        NothingToUndo, and as `submit`.
        """
        allowed("look", "undo")
        held(self.show.lock, "undo")
        hand = HAND.get()
        return await self._enqueue(
            Task(who, future(), whole=lambda: self._whole.undo(prefix, hand, who if mine else None))
        )

    async def redo(self, prefix: str = "", *, who: str = "", mine: bool = False) -> Outcome:
        """Bring back what the newest undo at or under `prefix` (`mine`: of `who` alone) took back, if nothing was
        changed there since.

        Raises
        ------
        NothingToUndo, and as `submit`.
        """
        allowed("look", "redo")
        held(self.show.lock, "redo")
        hand = HAND.get()
        return await self._enqueue(
            Task(who, future(), whole=lambda: self._whole.redo(prefix, hand, who if mine else None))
        )

    async def replace_config(self, loaded: LoadedConfig, *, who: str = "", rev: int | None = None) -> Outcome:
        """Run another configuration; live changes are kept where the new one leaves them room.

        rev : the revision it was made from; StaleChange when the configuration has changed since.

        Raises
        ------
        ConfigError : with every problem; and as `submit`.
        """
        self._allowed("config", whole=True)
        # What takes long is done before its turn: others' changes go on meanwhile.
        await self.ready_config(loaded, self._whole.with_scenes_of(loaded, self.show))
        return await self._enqueue(Task(who, future(), whole=lambda: self._whole.replace(loaded, rev)))

    async def take_in(self, file: ShowFile, *, who: str = "") -> Outcome:
        """Run the show of a file, as a new revision: all of it, or nothing changes.

        Raises
        ------
        ConfigError : with every problem, files that are not there among them; and as `submit`.
        """
        self._allowed("config", whole=True)
        loaded, _, show = await asyncio.to_thread(fitted, file, self.loaded.base_dir)
        # What takes long is done before its turn: others' changes go on meanwhile.
        await self.ready_config(loaded, show)
        return await self._enqueue(Task(who, future(), whole=lambda: self._whole.imported(file)))

    async def roll_back(self, rev: int, *, who: str = "") -> Outcome:
        """Run again, as a new revision, exactly what ran as revision `rev`.

        Raises
        ------
        UnknownAddress : there is no such revision (any more); and as `replace_config`.
        """
        self._allowed("config", whole=True)
        return await self._enqueue(Task(who, future(), whole=lambda: self._whole.roll_back(rev)))

    async def lock(self, order: LockOrder, *, who: str = "") -> Outcome:
        """Move the show lock on, or break it.

        Raises
        ------
        BadValue : no take to roll, or somebody else's lock and no reason; and as `submit`.
        """
        allowed("run", "lock")
        return await self._enqueue(Task(who, future(), whole=lambda: self._whole.lock(order, who)))

    async def revisions(self, *, before: int | None = None, limit: int = 50) -> list[Revision]:
        """The newest revisions, newest first."""
        return await self.on_disk(lambda: self.store.revisions(before=before, limit=limit))

    def on_message(self, message: Message) -> bool:
        """Take a letter from another process; False when it is not for the desk."""
        return self._agreement.on_message(message)

    def seen(self, frame: int, version: int, moment: Moment | None = None) -> None:
        """A plan was seen: the proof that a version holds, also when the conductor's word was lost with it."""
        self.moment = moment or self.moment
        self._agreement.seen(frame, version)

    def _allowed(self, path: str, *, whole: bool = False) -> None:
        allowed("run", path)
        held(self.show.lock, path, whole=whole)

    # --- transactions ---------------------------------------------------------------------------------------------

    async def _enqueue(self, task: Task) -> Outcome:
        self._queue.append(task)
        self._more.set()
        return await task.done

    async def _work(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._queue:
                tasks = [self._queue.popleft()]
                while (
                    self._queue and tasks[0].command and self._queue[0].command and self._queue[0].who == tasks[0].who
                ):
                    tasks.append(self._queue.popleft())
                try:
                    await self._transaction(tasks)
                except asyncio.CancelledError:
                    for task in tasks:
                        task.done.cancel()
                    raise
                except OpenVolumeError as error:
                    fail(tasks, error)
                except Exception as error:
                    log.exception("a change failed")
                    fail(tasks, error)

    async def _transaction(self, tasks: list[Task]) -> None:
        if tasks[0].whole is not None:
            following = await tasks[0].whole()
        else:
            following = self._merged(tasks)
        following.hand = tasks[0].hand
        open_tasks = [task for task in tasks if not task.done.done()]
        if not open_tasks:
            return
        # An undo or a roll-back that finds everything in place is kept all the same: it has been done.
        if following.kind == "set" and following.show == self.show:
            outcome = Outcome(self.show.version, None, {}, following.kind, tasks[0].who)
            for task in open_tasks:
                finish(task, outcome)
            return
        rev, config, t_ns = await self._make_hold(following, tasks[0].who)
        late = asyncio.create_task(self._acknowledge(open_tasks, rev, config, following, tasks[0].who, t_ns))
        self._behind.add(late)
        late.add_done_callback(self._behind.discard)

    def _merged(self, tasks: list[Task]) -> Next:
        """All commands in order on the running show; one that does not fit fails alone."""
        show, changes = self.show, dict[str, Change]()
        for task in tasks:
            assert task.command is not None
            try:
                held(show.lock, *task.command.changes, *task.command.steps)
                show, moved = applied(show, task.command, self.around_now)
            except ControllerError as error:
                fail([task], error)
                continue
            for path, change in moved.items():
                changes[path] = Change(changes[path].before, change.after) if path in changes else change
        return Next(show, changes, "set")

    async def _make_hold(self, following: Next, who: str) -> tuple[int, int, int]:
        """Prepare, keep, commit. Returns the new revision, its configuration's, and when the conductor was told."""
        rev, self._next_rev = self._next_rev, self._next_rev + 1
        loaded, stage = following.loaded or self.loaded, following.stage or self.stage
        config, stage_bytes = self.show.config_version, self._stage_bytes
        if following.loaded is not None:
            config = await self.on_disk(lambda: self.store.add_config(loaded.source, str(loaded.base_dir)))
            stage_bytes = await asyncio.to_thread(encode_stage, stage)
        show = msgspec.structs.replace(following.show, version=rev, config_version=config)
        show = numbered(show, self.show)
        if show.scene_states != self.show.scene_states:
            await self.on_disk(lambda: write_states(self._run, show))
        self._write_snapshot(show, loaded, stage_bytes)
        revision = Revision(rev, self._clock.tai_ns(), who, following.kind, following.changes, config)
        replaces = self._same_gesture(revision)
        if replaces is not None:
            changes = {
                path: Change(replaces.changes[path].before, change.after) for path, change in revision.changes.items()
            }
            revision = msgspec.structs.replace(revision, changes=changes)
        deeds = self._deeds(revision, following)

        def keep() -> None:
            self.store.append(
                revision, show, undoes=following.undoes.rev if following.undoes else None, taken=following.taken,
                replaces=replaces.rev if replaces else None, deeds=deeds,
            )  # fmt: skip

        if _is_light(following, show, self.show):
            await self._agree_and_keep(show, keep, replaces)
        else:
            await self._prepare(show)
            try:
                await self.on_disk(keep)
            except StoreError:
                self._agreement.forget(rev)
                raise
        # It is kept: whoever restarts begins with it. A service that dies between these two lines finds it in the store
        # and commits it again.
        self._agreement.commit(rev, following.at_frame)
        t_ns = self._clock.now_ns()
        self._run.set_current_version(rev)
        self._gesture = (revision, self._clock.now_ns()) if following.kind == "set" else None
        self.show = show
        if following.loaded is not None:
            self.loaded, self.stage, self._stage_bytes = loaded, stage, stage_bytes
            self.around = surroundings(loaded.config, stage)
            self.first = following.first or fresh_show(loaded.config, stage)
            self.revs = {"config": rev}
        for path in following.changes:
            self.revs[object_of(path)] = rev
        self._run.drop_snapshots(keep_from=rev - KEEP_SNAPSHOTS)
        drop_states(self._run, keep={state.version for state in show.scene_states.values()}, keep_from=rev - KEEP)
        return rev, config, t_ns

    async def _acknowledge(
        self, tasks: list[Task], rev: int, config: int, following: Next, who: str, t_committed_ns: int
    ) -> None:
        """Wait for the conductor's word on the frame, then tell those who asked."""
        frame = await self._agreement.committed(rev, config)
        outcome = Outcome(rev, frame, following.changes, following.kind, who, t_committed_ns, following.undoes)
        for listener in self.listeners:
            listener(outcome)
        for task in tasks:
            finish(task, outcome)

    def _write_snapshot(self, show: Show, loaded: LoadedConfig, stage_bytes: bytes) -> None:
        data = encode_snapshot(snapshot_of(show, loaded, stage_bytes))
        try:
            self._run.write_snapshot(show.version, data)
        except OSError as error:
            raise store_error(self._run.path, error.strerror or str(error)) from error

    async def _prepare(self, show: Show) -> None:
        whole = show.config_version != self.show.config_version
        scenes_changed = _scenes(show) != _scenes(self.show)
        try:
            self._agreement.ask(show.version, show.config_version, whole=whole, scenes_changed=scenes_changed)
            await self._agreement.agreed(show.version, long=whole or scenes_changed)
        except OpenVolumeError:
            self._drop_snapshot(show.version)
            raise

    async def _agree_and_keep(self, show: Show, keep: Callable[[], None], replaces: Revision | None) -> None:
        """Have the disk take a version in beside the conductor that prepares it: both, or neither in the end."""
        try:
            self._agreement.ask(show.version, show.config_version, whole=False, scenes_changed=False)
        except OpenVolumeError:
            self._drop_snapshot(show.version)
            raise
        before = (replaces, self.show) if replaces is not None else None
        agreed, kept = await asyncio.gather(
            self._agreement.agreed(show.version, long=False), self.on_disk(keep), return_exceptions=True
        )
        if kept is not None:
            self._agreement.forget(show.version)
        elif agreed is not None:
            deed = self.deed("refused", "show", None, str(agreed))
            await self.on_disk(lambda: self.store.withdraw(show.version, before=before, deeds=[deed]))
        # Why the conductor would not comes first: a disk that is full as well is told by its alarm.
        for error in (agreed, kept):
            if error is not None:
                self._drop_snapshot(show.version)
                raise error

    def _drop_snapshot(self, version: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._run.snapshot(version).unlink()

    def _deeds(self, revision: Revision, following: Next) -> list[Deed]:
        """What the audit log tells of a revision: each address by itself."""
        what: What = "change" if following.kind == "set" else "config" if following.kind == "file" else following.kind
        changes = following.changes
        return [
            self.deed("lock" if path == "lock" else what, path, change.before, change.after, following.hand)
            for path, change in changes.items()
        ] or [self.deed(what, "show", None, None, following.hand)]

    def deed(self, what: What, path: str, before: object, after: object, hand: Hand | None = None) -> Deed:
        """Something for the audit log, done now."""
        hand = hand or HAND.get()
        frame = self.moment.frame if self.moment is not None else -1
        return Deed(self._clock.tai_ns(), hand.name, hand.role, what, path, before, after, frame, self.show.take)

    async def note(self, *deeds: Deed) -> None:
        """Write into the audit log what is no change of the show."""
        await self.on_disk(lambda: self.store.note(deeds))

    async def audit(self, *, before: int | None = None, limit: int = 100, take: str | None = None) -> list[Entry]:
        """The newest entries of the audit log, newest first."""
        return await self.on_disk(lambda: self.store.audit(before=before, limit=limit, take=take))

    async def audit_faults(self) -> list[str]:
        """Where the audit log does not fit together; read whole."""
        return await self.on_disk(self.store.audit_faults)

    def _same_gesture(self, revision: Revision) -> Revision | None:
        """The revision this one goes on from: the same hand on the same addresses, a moment ago."""
        if self._gesture is None or revision.kind != "set":
            return None
        before, t_ns = self._gesture
        if any(
            path.endswith("/compiled") or path.startswith(("cues/", "looks/", "look/active")) or is_whole(path)
            for path in revision.changes
        ):
            # Every state of a scene's files, every GO, every look, and each card that is made or deleted is one to go
            # back to.
            return None
        same = before.rev == self.show.version and before.who == revision.who
        same = same and before.changes.keys() == revision.changes.keys()
        return before if same and self._clock.now_ns() - t_ns <= GESTURE_NS else None

    async def on_disk(self, call: Callable[[], Result]) -> Result:
        """Run a call of the store on its own thread: it may wait for the disk.

        Raises
        ------
        StoreError : the disk is full, gone or damaged; and what the call raises.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._disk, call)
        except StoreError as error:
            self.not_kept(error)
            raise
        except (sqlite3.Error, msgspec.DecodeError) as error:
            # Found while it was read: what stands there is not what was written.
            said = str(error) if isinstance(error, sqlite3.Error) else f"malformed: {error}"
            broken = store_error(self.store.path, said)
            self.not_kept(broken)
            raise broken from error
        except OSError as error:
            full = store_error(Path(error.filename or self.store.path), error.strerror or str(error))
            self.not_kept(full)
            raise full from error


def read_current(run: RunDir) -> tuple[Snapshot, LoadedConfig]:
    """The version that holds in a run, with its configuration read. Raises FileNotFoundError, ConfigError."""
    snapshot = decode_snapshot(run.snapshot(run.current_version()).read_bytes())
    return snapshot, load_config_text(snapshot.config_text, base_dir=Path(snapshot.base_dir))


def _is_light(following: Next, show: Show, before: Show) -> bool:
    """Whether nobody but the conductor need prepare a change, and that without new sockets: it is as good as agreed."""
    return (
        following.kind == "set"
        and following.loaded is None
        and following.undoes is None
        and _scenes(show) == _scenes(before)
        and not any(path.startswith("sources/") for path in following.changes)
    )


def _scenes(show: Show) -> set[str]:
    return {scene.id for scene in show.scenes}


def _nothing(_: StoreError) -> None:
    return


async def _as_it_is(command: Command) -> Command:
    return command


async def _none_compiled(_: LoadedConfig, __: Show) -> dict[str, str]:
    return {}


def object_of(path: str) -> str:
    """The object an address belongs to: `cameras/a` of `cameras/a/rank`, `outer` of `outer/mode`."""
    parts = path.split("/")
    deep = parts[0] in _DEEP and len(parts) > 1
    deep = deep and path != "scenes/active"
    return "/".join(parts[:2]) if deep else parts[0]


def _error(kind: type[ControllerError], path: str, detail: str, mend: str) -> ControllerError:
    return kind(Problem(kind.code, path, detail, mend=mend))
