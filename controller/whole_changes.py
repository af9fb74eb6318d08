"""Changes of the show that are more than values by address: another configuration, undo, roll-back, the lock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from controller.access.roles import Hand, allowed, scope_of_address
from controller.beginning import fresh_show, load_stored, surroundings
from controller.carrying import carry_over, settle, with_states_of
from controller.commands import apply, undo_of
from controller.config import LoadedConfig, compile_loaded
from controller.errors import ControllerError, NothingToUndo, StaleChange, UnknownAddress
from controller.show import SceneState, Show
from controller.show_file import ShowFile
from controller.show_lock import LockOrder, moved, rolling_take
from controller.show_transfer import fitted
from controller.store import Change, Kind, Revision
from controller.transaction import Next, Undone
from stage.errors import Problem

if TYPE_CHECKING:
    from controller.desk import Desk


class WholeChanges:
    """What such a change makes of the running show. Each is called when its turn has come, on the desk's loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def replace(self, loaded: LoadedConfig, rev: int | None) -> Next:
        """The show with another configuration, made from revision `rev` (None: whatever runs)."""
        if rev is not None and rev != self._desk.rev_of("config"):
            detail = f"the configuration has changed since revision {rev}"
            raise _error(StaleChange, "config", detail, "GET it again, and change that")
        stage = (await asyncio.to_thread(compile_loaded, loaded)).stage
        around = surroundings(loaded.config, stage)
        first = await asyncio.to_thread(fresh_show, loaded.config, stage)
        show = settle(carry_over(self._desk.first, self._desk.show, first), around, wanted=self._desk.show)
        show = await self._compiled(loaded, self.with_scenes_of(loaded, show))
        changes = {"config": Change(self._desk.show.config_version, None)}
        return Next(show, changes, "config", loaded, stage, first)

    async def imported(self, file: ShowFile) -> Next:
        """The show of a file, with its configuration; the lock and the take stay as they are."""
        now = self._desk.show
        loaded, stage, show = await asyncio.to_thread(fitted, file, self._desk.loaded.base_dir)
        show = msgspec.structs.replace(show, lock=now.lock, take=now.take)
        show = await self._compiled(loaded, show)
        changes = {"config": Change(now.config_version, None), "show": Change(now.version, None)}
        return Next(show, changes, "config", loaded, stage)

    async def lock(self, order: LockOrder, who: str) -> Next:
        """The show with the lock moved on by `who`."""
        before = self._desk.show.lock
        after = moved(before, order, who)
        show = msgspec.structs.replace(self._desk.show, lock=after, take=rolling_take(after))
        return Next(show, {"lock": Change(msgspec.to_builtins(before), msgspec.to_builtins(after))}, "set")

    async def undo(self, prefix: str, hand: Hand, who: str | None) -> Next:
        """The show without the newest change (of `who`, unless it is None) at or under `prefix`. Raises NotAllowed,
        NothingToUndo."""
        revision = await self._desk.on_disk(lambda: self._desk.store.last_undoable(prefix, who=who))
        if revision is None:
            where, whose = f" at {prefix}" if prefix else "", f" of {who}" if who is not None else ""
            raise _error(NothingToUndo, prefix, f"no change{whose}{where} is left to take back", "")
        return await self._taken_back(revision, prefix, "undo", hand)

    async def redo(self, prefix: str, hand: Hand, who: str | None) -> Next:
        """The show with what the newest undo (of `who`, unless it is None) at or under `prefix` took back. Raises
        NotAllowed, NothingToUndo."""
        revision = await self._desk.on_disk(lambda: self._desk.store.last_redoable(prefix, who=who))
        if revision is None:
            where = f" at {prefix}" if prefix else ""
            mend = "only what was undone last is brought back, and nothing may have been changed since"
            raise _error(NothingToUndo, prefix, f"nothing{where} is undone that could be brought back", mend)
        return await self._taken_back(revision, prefix, "redo", hand)

    async def _taken_back(self, revision: Revision, prefix: str, kind: Kind, hand: Hand) -> Next:
        for path in revision.changes:
            # Whoever may make a change may take it back.
            if not prefix or _under(path, prefix):
                allowed(scope_of_address(path), path, hand)
        if "show" in revision.changes:
            rev = revision.changes["show"].before
            found = await self._desk.on_disk(lambda: self._desk.store.get(rev))
            if found is None:
                raise _error(NothingToUndo, "show", f"revision {rev} is no longer kept", "")
            following = await self.stored(*found)
        elif "config" in revision.changes:
            number = revision.changes["config"].before
            config = await self._desk.on_disk(lambda: self._desk.store.config(number))
            if config is None:
                raise _error(NothingToUndo, "config", "the configuration before is no longer kept", "")
            loaded, _ = await asyncio.to_thread(load_stored, config)
            following = await self.replace(loaded, None)
        else:
            taken = {p: c for p, c in revision.changes.items() if not prefix or _under(p, prefix)}
            command = await self._desk.ready(undo_of(taken))
            show, changes = apply(self._desk.show, command, self._desk.around_now)
            following = Next(show, changes, kind, taken=frozenset(taken))
        following.kind, following.undoes = kind, Undone(revision.rev, revision.who, revision.t_tai_ns)
        return following

    async def roll_back(self, rev: int) -> Next:
        """The show as it was at a revision."""
        found = await self._desk.on_disk(lambda: self._desk.store.get(rev))
        if found is None:
            raise _error(UnknownAddress, f"config/revisions/{rev}", "no such revision is kept", "GET config/revisions")
        following = await self.stored(*found)
        following.kind = "rollback"
        return following

    async def stored(self, revision: Revision, show: Show) -> Next:
        """The show of a revision, with the configuration it ran with; a lock stays as it is."""
        config = await self._desk.on_disk(lambda: self._desk.store.config(revision.config))
        if config is None:
            raise _error(UnknownAddress, f"config/revisions/{revision.rev}", "its configuration is not kept", "")
        now = self._desk.show
        show = msgspec.structs.replace(show, lock=now.lock, take=now.take)
        if config.id == now.config_version or config.text == self._desk.loaded.source:
            show = msgspec.structs.replace(show, version=now.version, config_version=now.config_version)
            return Next(show, {"show": Change(now.version, revision.rev)}, "rollback")
        loaded, stage = await asyncio.to_thread(load_stored, config)
        show = await self._compiled(loaded, show)
        changes = {"config": Change(now.config_version, None), "show": Change(now.version, revision.rev)}
        return Next(show, changes, "rollback", loaded, stage)

    def with_scenes_of(self, loaded: LoadedConfig, show: Show) -> Show:
        """The show without the compiled states of scenes that another configuration has otherwise: edits stay."""
        return with_states_of(show, self._desk.loaded, loaded)

    async def _compiled(self, loaded: LoadedConfig, show: Show) -> Show:
        """The show with the compiled states of the scenes that it needs at once, which every node holds now."""
        keys = await self._desk.ready_config(loaded, show)
        states = {n: msgspec.structs.replace(show.scene_states.get(n, SceneState()), key=k) for n, k in keys.items()}
        return msgspec.structs.replace(show, scene_states={**show.scene_states, **states}) if states else show


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


def _error(kind: type[ControllerError], path: str, detail: str, mend: str) -> ControllerError:
    return kind(Problem(kind.code, path, detail, mend=mend))
