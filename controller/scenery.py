"""Scenes between disk and walls: compiled when somebody needs them, loaded on every node, watched for changes.

Everything here happens before a change of the show, never in it: a switch to a scene that is not ready waits here,
without holding up anybody else's change, until the darkroom has compiled it and every node holds it; then it is an
ordinary change. A file that changes becomes a new compiled state the same way, and `scenes/<id>/compiled` is set to
it: undo goes back to the old one. A scene that cannot be compiled is refused with the reason, and the old one stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from controller.commands import Command
from controller.errors import ChangeRefused, ChangeTimedOut
from controller.library.cache import SceneCache
from controller.library.inputs import Inputs, inputs_of, looked_at, read_hash
from controller.library.order import Order
from controller.messages import (
    CompileScene,
    LoadScene,
    Message,
    RehearseEdits,
    SceneCompiled,
    SceneLoaded,
    SceneRefused,
)
from controller.rundir import RunDir, replace_file
from controller.scene_values import SceneValues, scene_values
from controller.show import SceneState, Show
from controller.status import Alarm
from renderer.config import SceneConfig
from runtime.clock import NS_PER_MS, Clock
from stage.errors import OpenVolumeError, Problem
from stage.plan import matrix16

log = logging.getLogger(__name__)

COMPILE_TIMEOUT_S: Final = 600.0
LOAD_TIMEOUT_S: Final = 60.0
REHEARSE_TIMEOUT_S: Final = 10.0
LOOK_S: Final = 0.25
"""How often files are looked at."""
QUIET_NS: Final = 400 * NS_PER_MS
"""A file that was written to a moment ago is taken to be still written to."""
DARKROOM: Final = "darkroom"
FILES: Final = "/files"
"""What the alarm of scene files is kept by: no scene's name."""
LIGHT_BYTES: Final = 32 << 20
"""A scene whose files are smaller is kept ready on every node while there is room, shown or not."""


class Links(Protocol):
    """The other processes, as scenes need them."""

    def send(self, who: str, message: Message) -> bool:
        """A letter; False when nobody is there."""

    def living(self) -> list[str]:
        """Ids of the nodes that live now, and `darkroom` if that does."""


class Desk(Protocol):
    """What of the desk scenes need."""

    show: Show

    async def submit(self, command: Command) -> Any:
        """Change the show."""


@dataclass(slots=True)
class _Asked:
    missing: set[str]
    answer: SceneCompiled | None = None
    problems: list[Problem] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class SceneWatch:
    """The files of one scene as they are watched."""

    config: SceneConfig
    inputs: Inputs
    changed_ns: int = 0
    """When a change was seen that nothing was made of yet; 0: none."""
    latest: Inputs | None = None
    compiling: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """Where scenes come from and lie: of the configuration that runs."""

    scenes: Mapping[str, SceneConfig]
    folder: Path
    stage_from_scene: Mapping[str, list[float]]
    scene_files: Mapping[str, Path] = field(default_factory=dict)
    """The file of every scene that has one of its own."""


class Scenery:
    """The service's hand on scenes. All calls from one event loop.

    Attributes
    ----------
    alarms : by scene: what is wrong with its files
    """

    def __init__(
        self,
        *,
        run: RunDir,
        cache: SceneCache,
        links: Links,
        clock: Clock,
        reply_to: str,
        desk: Desk,
        held: Callable[[str, str, str], bool] = lambda _, __, ___: False,
    ) -> None:
        """`held(scene, key, read)` tells whether every node that lives can show that state of a scene already; without
        a key, whether it has read it as the hash `read` of its configuration says."""
        self.cache = cache
        self._run, self._links, self._clock, self._reply_to, self._desk = run, links, clock, reply_to, desk
        self._every_node_holds = held
        self._places = Places({}, Path(), {})
        self._watches: dict[str, SceneWatch] = {}
        self._asked: dict[int, _Asked] = {}
        self._next_request = 1
        self._locks: dict[str, asyncio.Lock] = {}
        self._rehearsal_locks: dict[str, asyncio.Lock] = {}
        self._rehearsing: dict[str, int] = {}
        """By scene: edits that are got ready, or wait behind one that is."""
        self._loop: asyncio.Task[None] | None = None
        self._reloads: set[asyncio.Task[None]] = set()
        self.reread: Callable[[], Awaitable[None]] | None = None
        """Reads the configuration again: a scene file is part of it."""
        self._files: tuple[Inputs, int] | None = None
        """The scene files as they were read, and when a change of them was seen last (0: none)."""
        self.values: dict[str, SceneValues] = {}
        """What may be edited live, by scene."""
        self.alarms: dict[str, Alarm] = {}
        self.states: dict[str, str] = {}
        """By scene: what is done with it now (`compiling`, `loading`), for display."""

    def configure(self, places: Places) -> None:
        """The configuration has changed: what it names is watched from now on."""
        same = {name for name, scene in places.scenes.items() if self._places.scenes.get(name) == scene}
        first, self._places = not self._places.scenes, places
        if not first and len(same) < len(places.scenes):
            warming = asyncio.get_running_loop().create_task(self._warm(places), name="warm scenes")
            self._reloads.add(warming)
            warming.add_done_callback(self._reloads.discard)
        for name in [name for name in self.values if name not in same]:
            del self.values[name]
        task = asyncio.get_running_loop().create_task(self._read_values(list(places.scenes)), name="scene values")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
        self._watches = {
            name: watch for name, watch in self._watches.items() if places.scenes.get(name) == watch.config
        }
        for name in [name for name in self.alarms if name not in places.scenes and name != FILES]:
            del self.alarms[name]

    async def _read_values(self, names: list[str]) -> None:
        """Learn what may be edited of scenes, from their files."""
        for name in names:
            config = self._places.scenes.get(name)
            if config is None or (name in self.values and len(names) > 1):
                continue
            try:
                # Whoever knows what can be edited knows that changes of the files are seen, from the first on.
                await self._begin_to_watch(name, config)
                self.values[name] = await asyncio.to_thread(scene_values, config, self._places.folder)
            except Exception:
                log.exception("what can be edited of scene %s is not known", name)

    async def start(self) -> None:
        """Begin to watch."""
        self._loop = asyncio.create_task(self._watch(), name="scenery")

    async def stop(self) -> None:
        """Let go of what is under way."""
        for task in [self._loop, *self._reloads]:
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    @property
    def busy(self) -> bool:
        """Whether anything is under way: files read, scenes warmed or reloaded."""
        return bool(self._reloads)

    # --- getting scenes ready -------------------------------------------------------------------------------------

    async def ready(self, command: Command) -> Command:
        """A command whose scenes every node holds: what it needs beyond itself is added to it.

        Raises
        ------
        ChangeRefused : a scene cannot be compiled or does not fit. ChangeTimedOut.
        """
        wanted = [
            name
            for path, value in command.changes.items()
            if (name := _scene_wanted(path, value)) and name in self._places.scenes
        ]
        await self._rehearsed(command)
        changes = dict[str, Any]()
        for name in dict.fromkeys(wanted):
            key = await self.prepare(name)
            state = self._desk.show.scene_states.get(name)
            if key and (state is None or state.key != key) and f"scenes/{name}/compiled" not in command.changes:
                changes[f"scenes/{name}/compiled"] = key
        for path, value in command.changes.items():
            name, _, what = path.removeprefix("scenes/").partition("/")
            if path.startswith("scenes/") and what == "compiled" and isinstance(value, str) and self.cache.has(value):
                await self._load(name, value)
        return msgspec.structs.replace(command, changes={**changes, **command.changes}) if changes else command

    async def _rehearsed(self, command: Command) -> None:
        """Wait until every node has what a live edit needs: programs of a material that changes its kind, another sky.
        Edits of one scene that come meanwhile wait behind it, so that the last one is the one that stays."""
        edits = edits_of(command, self._desk.show)
        for name, edit in edits.items():
            values = self.values.get(name)
            if values is None or name not in self._places.scenes:
                continue
            busy = self._rehearsing.get(name, 0)
            if not busy and not any(values.takes_preparing(address, *change) for address, change in edit.items()):
                continue
            self._rehearsing[name] = busy + 1
            try:
                async with self._rehearsal_locks.setdefault(name, asyncio.Lock()):
                    await self._rehearse(name, values, edits_of(command, self._desk.show).get(name, {}))
            finally:
                self._rehearsing[name] -= 1

    async def _rehearse(self, name: str, values: SceneValues, edit: Mapping[str, tuple[Any, Any]]) -> None:
        """First in the darkroom, which leaves what it makes where nodes find it; then on the nodes, between pictures.
        Who does not answer holds up nothing: the edit is made all the same."""
        if not any(values.takes_preparing(address, *change) for address, change in edit.items()):
            return
        state = self._desk.show.scene_states.get(name, SceneState())
        wanted = {**state.edits, **{address: after for address, (_, after) in edit.items()}}
        wanted = {address: value for address, value in wanted.items() if value is not None}
        living = self._links.living()
        for group in ([DARKROOM] if DARKROOM in living else [], [who for who in living if who != DARKROOM]):
            request, asked = self._ask(set(group))
            message = RehearseEdits(name, state.key, wanted, request, self._reply_to)
            try:
                for who in group:
                    if not self._links.send(who, message):
                        asked.missing.discard(who)
                if asked.missing:
                    await asyncio.wait_for(asked.done.wait(), REHEARSE_TIMEOUT_S)
                for problem in asked.problems:
                    log.warning("an edit of scene %s was not rehearsed: %s", name, problem)
            except TimeoutError:
                log.warning("an edit of scene %s was not rehearsed by %s in time", name, ", ".join(asked.missing))
            finally:
                del self._asked[request]

    async def prepare(self, name: str) -> str:
        """See to it that every node can show a scene; its compiled state ("" when nothing can be compiled here)."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            state = self._desk.show.scene_states.get(name)
            key = state.key if state is not None else ""
            if self._held(name, key):
                return key
            if not key or not self.cache.has(key):
                on_air = {entry.id for entry in self._desk.show.scenes}
                if not key and name in on_air:
                    return ""
                if DARKROOM not in self._links.living():
                    return ""
                key = await self.compile(name, self._places.scenes[name], self._places.folder)
            await self._load(name, key)
            return key

    async def refresh(self, name: str) -> str:
        """Compile a scene as its files are now and make that its state; the state's key. Raises as `compile`."""
        key = await self.compile(name, self._places.scenes[name], self._places.folder)
        state = self._desk.show.scene_states.get(name)
        if state is None or state.key != key:
            await self._desk.submit(Command({f"scenes/{name}/compiled": key}, who="files"))
        return key

    def _held(self, name: str, key: str) -> bool:
        config = self._places.scenes.get(name)
        read = "" if key or config is None else read_hash(config, self._places.folder)
        return self._every_node_holds(name, key, read)

    async def ready_config(self, loaded: Any, show: Show) -> dict[str, str]:
        """Have the scenes that a show of a coming configuration needs at once on every node, loaded in slices; their
        compiled states by scene, without those that stand as they are. Raises as `compile`."""
        coming = places_of(loaded.config, loaded.base_dir)
        kept = [name for name, state in show.scene_states.items() if state.preload]
        wanted = [*(entry.id for entry in show.scenes), *(switch.scene for switch in show.switches), *kept]
        keys = {}
        for name in dict.fromkeys(wanted):
            config = coming.scenes.get(name)
            if config is None or DARKROOM not in self._links.living():
                continue
            state = show.scene_states.get(name)
            key = state.key if state is not None else ""
            as_it_is = self._places.folder == coming.folder and self._places.scenes.get(name) == config
            if not self.cache.has(key):
                if as_it_is and (key or self._held(name, key)):
                    continue
                key = keys[name] = await self.compile(name, config, coming.folder, coming)
            if not self._held(name, key):
                await self._load(name, key, coming)
        return keys

    async def _warm(self, places: Places) -> None:
        """Have every node hold the light scenes of a configuration that came on air, as those of one it starts with."""
        for name, config in places.scenes.items():
            state = self._desk.show.scene_states.get(name)
            try:
                inputs = await asyncio.to_thread(inputs_of, config, places.folder)
                light = sum(stamp[0] for stamp in inputs.stamps.values() if stamp is not None) <= LIGHT_BYTES
                if self._places is places and light and not self._held(name, state.key if state is not None else ""):
                    await self.prepare(name)
            except OpenVolumeError as error:
                log.info("scene %s is not kept ready: %s", name, error.problems[0])

    async def compile(self, name: str, config: SceneConfig, folder: Path, places: Places | None = None) -> str:
        """Have a scene compiled as its files are now; its state's key.

        Raises
        ------
        ChangeRefused : the reason, as the darkroom has it. ChangeTimedOut : no answer.
        """
        request, asked = self._ask({DARKROOM})
        order = Order(
            scene=name,
            config=config.model_dump_json(),
            folder=str(folder),
            cache=str(self.cache.folder),
            limit_bytes=self.cache.limit_bytes,
            keep=[state.key for state in self._desk.show.scene_states.values() if state.key],
            stage_from_scene=(places or self._places).stage_from_scene.get(name, []),
        )
        data = msgspec.msgpack.encode(order)
        path = self._run.scene_order(request)
        await asyncio.to_thread(replace_file, path, data)
        self.states[name] = "compiling"
        try:
            if not self._links.send(DARKROOM, CompileScene(name, request, self._reply_to)):
                raise _refused(name, "the darkroom is not there", "wait a second: the supervisor restarts it")
            await self._answered(asked, COMPILE_TIMEOUT_S, name)
        finally:
            self.states.pop(name, None)
            del self._asked[request]
            path.unlink(missing_ok=True)
        assert asked.answer is not None
        log.info(
            "scene %s: %s in %.0f ms", name, "was compiled" if not asked.answer.cached else "found compiled",
            asked.answer.took_ms,
        )  # fmt: skip
        return asked.answer.key

    async def _load(self, name: str, key: str, places: Places | None = None) -> None:
        nodes = [who for who in self._links.living() if who != DARKROOM]
        if not nodes:
            return
        request, asked = self._ask(set(nodes))
        message = LoadScene(
            name,
            key,
            str(self.cache.scene(key)),
            request,
            self._reply_to,
            (places or self._places).stage_from_scene.get(name, []),
        )
        self.states[name] = "loading"
        try:
            for node in nodes:
                if not self._links.send(node, message):
                    # Dead in this moment: it loads what its plans name when it is back.
                    asked.missing.discard(node)
            if asked.missing:
                await self._answered(asked, LOAD_TIMEOUT_S, name)
        finally:
            self.states.pop(name, None)
            del self._asked[request]

    def _ask(self, who: set[str]) -> tuple[int, _Asked]:
        request, self._next_request = self._next_request, self._next_request + 1
        asked = self._asked[request] = _Asked(who)
        return request, asked

    async def _answered(self, asked: _Asked, timeout_s: float, name: str) -> None:
        try:
            await asyncio.wait_for(asked.done.wait(), timeout_s)
        except TimeoutError:
            missing = ", ".join(sorted(asked.missing))
            detail = f"no answer from {missing} within {timeout_s:g} s"
            raise ChangeTimedOut(
                Problem(ChangeTimedOut.code, f"scenes/{name}", detail, None, "look at its state under /api/v1/nodes")
            ) from None
        if asked.problems:
            raise ChangeRefused(*asked.problems)

    def on_message(self, message: object) -> bool:
        """Take a letter from another process; False when it is not about scenes."""
        if not isinstance(message, SceneCompiled | SceneLoaded | SceneRefused):
            return False
        asked = self._asked.get(message.request)
        if asked is None:
            return True
        who = DARKROOM if isinstance(message, SceneCompiled) else message.who
        asked.missing.discard(who)
        if isinstance(message, SceneCompiled):
            asked.answer = message
        elif isinstance(message, SceneRefused):
            asked.problems.extend(message.problems)
        if not asked.missing or asked.problems:
            asked.done.set()
        return True

    # --- files that change ----------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("scenes' files cannot be watched")
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look at the files of every scene once; reload those that have changed and are written to no more."""
        places = self._places
        await self._look_at_scene_files(places)
        for name, config in places.scenes.items():
            if self._places is not places:
                # Another configuration came meanwhile: the next look is at its files.
                return
            watch = self._watches.get(name)
            if watch is None:
                await self._begin_to_watch(name, config)
                continue
            if watch.compiling:
                continue
            now_ns = self._clock.now_ns()
            if await asyncio.to_thread((watch.latest or watch.inputs).changed):
                watch.latest = await asyncio.to_thread(inputs_of, config, places.folder)
                watch.changed_ns = now_ns
            elif watch.latest is not None and now_ns - watch.changed_ns >= QUIET_NS:
                watch.inputs, watch.latest = watch.latest, None
                watch.compiling = True
                task = asyncio.create_task(self._reload(name, watch), name=f"reload {name}")
                self._reloads.add(task)
                task.add_done_callback(self._reloads.discard)

    async def _begin_to_watch(self, name: str, config: SceneConfig) -> None:
        places = self._places
        if name in self._watches:
            return
        inputs = await asyncio.to_thread(inputs_of, config, places.folder)
        if self._places is places:
            self._watches.setdefault(name, SceneWatch(config, inputs))

    async def _look_at_scene_files(self, places: Places) -> None:
        """A scene file that changes is a change of the configuration."""
        files = list(places.scene_files.values())
        if not files:
            self._files = None
            return
        if self._files is None or list(self._files[0].files) != files:
            self._files = await asyncio.to_thread(looked_at, files), 0
            return
        inputs, changed_ns = self._files
        changed: bool = await asyncio.to_thread(inputs.changed)
        if changed:
            self._files = await asyncio.to_thread(looked_at, files), self._clock.now_ns()
        elif changed_ns and self._clock.now_ns() - changed_ns >= QUIET_NS:
            self._files = inputs, 0
            task = asyncio.create_task(self._reread(), name="read scene files")
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)

    async def _reread(self) -> None:
        if self.reread is None:
            return
        try:
            await self.reread()
            self.alarms.pop(FILES, None)
        except OpenVolumeError as error:
            problem = error.problems[0]
            log.error("scenes stay as they were: %s", problem)
            detail = f"a changed scene file is not shown: {problem.detail} ({problem.path})"
            mend = problem.mend or "mend the file: it is tried again when it changes"
            now_ns, values = self._clock.now_ns(), {"error": problem.detail, "place": problem.path}
            self.alarms[FILES] = Alarm("scenes.broken", "scenes", detail, "warning", mend, now_ns, values)

    async def _reload(self, name: str, watch: SceneWatch) -> None:
        """Make a changed scene the one that is shown; or tell why not, and leave the old one."""
        try:
            state = self._desk.show.scene_states.get(name)
            live = name in {entry.id for entry in self._desk.show.scenes} or (state is not None and bool(state.key))
            key = await self.compile(name, watch.config, self._places.folder)
            self.alarms.pop(name, None)
            await self._read_values([name])
            # Another configuration may run by now.
            live = live and self._places.scenes.get(name) == watch.config
            if live and (state is None or state.key != key):
                await self._desk.submit(Command({f"scenes/{name}/compiled": key}, who="files"))
                log.warning("scene %s was reloaded: its files have changed", name)
        except OpenVolumeError as error:
            problem = error.problems[0]
            log.error("scene %s stays as it was: %s", name, problem)
            self.alarms[name] = Alarm(
                "scenes.broken",
                f"scenes/{name}",
                f"its changed files are not shown: {problem.detail} ({problem.path})",
                "warning",
                problem.mend or "mend the file: it is tried again when it changes",
                self._clock.now_ns(),
                {"error": problem.detail, "place": problem.path},
            )
        finally:
            watch.compiling = False


def places_of(config: Any, folder: Path, scene_files: Mapping[str, Path] | None = None) -> Places:
    """Where the scenes of a configuration come from and lie."""
    places = {}
    for name, scene in config.scenes.items():
        position = config.positions.get(scene.position) if scene.position else None
        places[name] = matrix16(position.stage_from_scene) if position is not None else []
    return Places(dict(config.scenes), folder, places, dict(scene_files or {}))


def edits_of(command: Command, show: Show) -> dict[str, dict[str, tuple[Any, Any]]]:
    """By scene and address below it, what a command's live edits change: from which edit to which (None: as
    configured). Steps count from what is edited now."""
    found: dict[str, dict[str, tuple[Any, Any]]] = {}
    for path, value in [*command.changes.items(), *command.steps.items()]:
        first, _, rest = path.partition("/")
        name, _, address = rest.partition("/")
        if first != "scenes" or not address or address.split("/")[0] in ("transport", "compiled", "preload"):
            continue
        before = show.scene_states.get(name, SceneState()).edits.get(address)
        after = value
        if path not in command.changes:
            after = (before if isinstance(before, int | float) else 0.0) + value
        found.setdefault(name, {})[address] = before, after
    return found


def _scene_wanted(path: str, value: Any) -> str:
    """The scene a change needs ready; empty: none."""
    if path == "scenes/active":
        return value if isinstance(value, str) else str(value.get("scene", "")) if isinstance(value, dict) else ""
    parts = path.split("/")
    if len(parts) == 3 and parts[0] == "scenes" and parts[2] == "preload" and value in (True, 1):
        return parts[1]
    return ""


def _refused(name: str, detail: str, mend: str) -> ChangeRefused:
    return ChangeRefused(Problem(ChangeRefused.code, f"scenes/{name}", detail, None, mend))
