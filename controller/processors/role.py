"""The process that speaks to the LED processors: looks at each, sets what is asked, says how they are.

One `Keeper` per processor with `control:`, all on one event loop; a processor that takes its time holds up no other.
What is set while the show runs is what the show wants from then on, until the configuration says otherwise.
`address: emulated` has an emulator of that driver started here, which is then spoken to as any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.errors import UnknownAddress
from controller.messages import ProcessorNotSet, ProcessorSet, RestoreProcessor, SetProcessor
from controller.post import Post
from controller.processors.alarms import alarms_of, alarms_of_mode
from controller.processors.configured import driver_of
from controller.processors.driver import ProcessorError, Telling
from controller.processors.emulators.device import Signal
from controller.processors.keeper import Keeper, SetResult, taken
from controller.processors.mode import Capacity, Delay, capacity_of, delay_of, panels_of, size_fits
from controller.processors.model import Value
from controller.processors.status import ProcessorsStatus, ProcessorStatus, decode_processors
from controller.processors.tables import Tables
from controller.processors.wishes import EMULATED, strange_settings, wanted
from controller.rundir import RunDir, replace_file
from controller.show import decode_snapshot
from controller.show_lock import SHUT, LockState
from controller.snapshots import running_config
from controller.status import KIND_STATUS, STATUS_CAPACITY, Alarm, RoleState
from runtime.clock import NS_PER_S, Clock
from runtime.ring import RingReader, RingWriter
from stage.compiled import CompiledStage, decode_stage
from stage.config import ProcessorConfig, ProcessorControlConfig
from stage.errors import OpenVolumeError, Problem
from stage.processors import processor_library

log = logging.getLogger(__name__)

TURN_S: Final = 0.1
VERSION_NS: Final = NS_PER_S // 2
TELL_NS: Final = NS_PER_S


class _Scene(msgspec.Struct):
    id: str


class _Lock(msgspec.Struct):
    state: LockState = "open"


class _Show(msgspec.Struct):
    config_version: int = 0
    scenes: list[_Scene] = []
    lock: _Lock = msgspec.field(default_factory=_Lock)
    processor_settings: dict[str, dict[str, Value]] = {}


class _Told(msgspec.Struct):
    """What of a version's snapshot says whether the configuration is another, and what the show wants."""

    show: _Show


class _Spoken:
    """One processor: its keeper, its emulator if it has one, and what came of the last settings."""

    def __init__(self, name: str, control: ProcessorControlConfig) -> None:
        self.name, self.control = name, control
        self.lock = asyncio.Lock()
        self.results: list[SetResult] = []
        self.address = control.address
        self.emulator: Any = None
        self.fed: Signal | None = None
        """What an emulated one was begun with at its input."""
        self.memory = b""
        self.keeper: Keeper
        self.delay: Delay | None = None
        self.capacity: Capacity | None = None
        self.fits = True
        """What the mode it is in means; `fits`: what arrives is as large as its canvas."""
        self.follows = False
        """Another scene came on air, and what scenes name is still to be set by itself."""
        self.taken = AsyncExitStack()


class ProcessorsRole:
    """`start`, then `turn` about every `TURN_S`, then `stop`, all on one event loop.

    pause : how keepers wait between tries.
    """

    def __init__(self, *, run: RunDir, clock: Clock, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._run, self._clock, self._pause = run, clock, pause
        self._spoken: dict[str, _Spoken] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: set[str] = set()
        self._config_version = -1
        self._seen = -1
        self._rate_hz = 24.0
        self._wishes: tuple[str, dict[str, dict[str, Value]]] = ("", {})
        """The scene on air, and what was wanted of each processor since it was configured."""
        self._stage: CompiledStage | None = None
        self._configs: Mapping[str, ProcessorConfig] = {}
        self._shut = False
        """Whether a take rolls, or stands between two: nothing is set by itself."""
        self._tables: Tables | None = None
        self._version_due_ns = self._tell_due_ns = 0
        self._since: dict[tuple[str, str], int] = {}
        self._published: object = None
        self._before: ProcessorsStatus | None = None

    async def start(self) -> None:
        """Take box and ring; what an earlier process of this run knew of the show's wishes stays."""
        self._before = _last_status(self._run)
        self._post = Post(self._run.processors_socket)
        self._status = RingWriter.create(
            self._run.processors_status, kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY
        )
        before = self._before
        await self._follow()
        if before is not None and before.scene == self._wishes[0]:
            # This process is new, the scene is not: nothing came on air.
            for spoken in self._spoken.values():
                spoken.follows = False
        self._publish("running")

    def fileno(self) -> int:
        """Of the letter box: readable when something waits; then call `letters`."""
        return self._post.fileno()

    async def turn(self) -> None:
        """Do what is due. Never waits for a processor."""
        now_ns = self._clock.now_ns()
        if now_ns >= self._version_due_ns:
            self._version_due_ns = now_ns + VERSION_NS
            await self._follow()
        self.letters()
        for spoken in self._spoken.values():
            if now_ns >= spoken.keeper.due_ns and spoken.name not in self._looking and not spoken.lock.locked():
                self._looking.add(spoken.name)
                self._do(self._look(spoken))
            elif spoken.follows and not self._shut and not spoken.lock.locked():
                self._do(self._follow_scene(spoken))
            self._remember(spoken)
        self._publish("running")

    def letters(self) -> None:
        """Begin what letters ask for."""
        for message in self._post.receive():
            if isinstance(message, SetProcessor | RestoreProcessor):
                self._do(self._answer(message))

    async def settle(self) -> None:
        """Wait until everything that was begun is done."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Let every processor go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for spoken in self._spoken.values():
            await _close(spoken)
        self._publish("stopped", always=True)
        self._status.close()
        self._post.close()

    # --- what there is ------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Take up the configuration that holds."""
        number = self._run.current_version()
        if number == self._seen:
            return
        try:
            data = self._run.snapshot(number).read_bytes()
            show = msgspec.msgpack.decode(data, type=_Told).show
            config_version = show.config_version
            wishes = (show.scenes[-1].id if show.scenes else "", show.processor_settings)
            others, another_scene = wishes != self._wishes, wishes[0] != self._wishes[0]
            self._wishes, self._shut = wishes, show.lock.state in SHUT
            if config_version != self._config_version:
                snapshot = decode_snapshot(data)
                if self._tables is None or str(self._tables.folder) != snapshot.base_dir:
                    self._tables = Tables(Path(snapshot.base_dir))
                processors = running_config(snapshot).stage.processors
                await self._configure(processors, decode_stage(snapshot.stage), config_version)
            elif others:
                for spoken in self._spoken.values():
                    self._want(spoken)
            if another_scene:
                for spoken in self._spoken.values():
                    spoken.follows = spoken.control.follow_scenes and bool(spoken.control.scenes)
        except (OSError, msgspec.MsgspecError):
            return  # being replaced: the next look finds it
        except OpenVolumeError as error:
            log.error("version %d cannot be used: %s", number, error)
        self._seen = number

    async def _configure(
        self, processors: Mapping[str, ProcessorConfig], stage: CompiledStage, config_version: int
    ) -> None:
        rate_hz = float(stage.rate.hz)
        self._stage, self._configs = stage, processors
        controls = {name: p.control for name, p in processors.items() if p.control is not None}
        again = {
            name
            for name, spoken in self._spoken.items()
            if spoken.emulator is not None and spoken.fed != _signal_for(name, stage)
        }
        for name in list(self._spoken):
            control, spoken = controls.get(name), self._spoken[name]
            rest = None if control is None else control.model_copy(update=_wishes_of(spoken.control))
            if rest != spoken.control or name in again:
                await _close(self._spoken.pop(name))
            elif control is not None and control != spoken.control:
                spoken.control = control
                self._want(spoken)
            elif control is not None:
                self._want(spoken)
        self._rate_hz, self._config_version = rate_hz, config_version
        for name, control in controls.items():
            if name not in self._spoken:
                self._spoken[name] = await self._begin(name, control, stage)
        self._before = None

    def _wanted(self, name: str, control: ProcessorControlConfig) -> dict[str, Value]:
        scene, since = self._wishes
        if self._tables is not None:
            self._tables.wish([since.get(name, {}).get("lut_file")])
        return wanted(control, scene, since.get(name))

    def _want(self, spoken: _Spoken) -> None:
        spoken.keeper.want(self._wanted(spoken.name, spoken.control))

    async def _begin(self, name: str, control: ProcessorControlConfig, stage: CompiledStage) -> _Spoken:
        spoken = _Spoken(name, control)
        if control.address == EMULATED:
            from controller.processors.emulators.command import emulator_of, served
            from controller.processors.emulators.memory import recall

            spoken.fed = _signal_for(name, stage)
            model = f"colorlight_{control.family}" if control.driver == "colorlight" else control.driver
            spoken.emulator = emulator_of(model, signal_in=replace(spoken.fed))
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                recall(spoken.emulator, self._run.emulated(name).read_bytes())
            spoken.address = await spoken.taken.enter_async_context(served(spoken.emulator, host="127.0.0.1", port=0))
        driver = driver_of(name, control.model_copy(update={"address": spoken.address}), self._tables)
        desired = self._wanted(name, control)
        before = self._before
        if (
            before is not None
            and before.config_version == self._config_version
            and (before.scene, before.since) == self._wishes
            and name in before.processors
        ):
            desired = dict(before.processors[name].desired)
        spoken.keeper = Keeper(name, driver, now_ns=self._clock.now_ns, pause=self._pause, desired=desired)
        if isinstance(driver, Telling):
            driver.listen(spoken.keeper.hurry)
        return spoken

    def _weigh(self, spoken: _Spoken) -> None:
        """What the mode it was read in means for the show."""
        reading, config, stage = spoken.keeper.kept.reading, self._configs.get(spoken.name), self._stage
        if reading is None or config is None or stage is None or config.model not in processor_library():
            return
        library = processor_library()[config.model]
        spoken.delay = delay_of(config, library, reading, spoken.keeper.kept.desired, stage.rate)
        fed = next((canvas for canvas in stage.canvases.values() if canvas.processor == spoken.name), None)
        if fed is not None:
            spoken.capacity = capacity_of(config, library, reading, fed, panels_of(stage, fed.id))
            spoken.fits = size_fits(reading, fed)

    def _remember(self, spoken: _Spoken) -> None:
        """An emulated processor outlives this process, as a real one would."""
        if spoken.emulator is None:
            return
        from controller.processors.emulators.memory import memory_of

        memory = memory_of(spoken.emulator)
        if memory != spoken.memory:
            spoken.memory = memory
            replace_file(self._run.emulated(spoken.name), memory)

    # --- what is done -------------------------------------------------------------------------------------------

    def _do(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, spoken: _Spoken) -> None:
        try:
            async with spoken.lock:
                await spoken.keeper.look()
        except Exception:
            # Whatever a processor answers, the others are looked after.
            log.exception("processor %s cannot be read", spoken.name)
            spoken.keeper.due_ns = self._clock.now_ns() + NS_PER_S
        finally:
            self._looking.discard(spoken.name)
        self._publish("running")

    async def _follow_scene(self, spoken: _Spoken) -> None:
        """Set what scenes name of it, as the one on air wants it, or as it is wanted without."""
        if spoken.keeper.kept.link != "ready":
            return  # once it is
        named = {name for settings in spoken.control.scenes.values() for name in settings}
        scene = self._wishes[0]
        try:
            async with spoken.lock:
                if self._shut or not spoken.follows:
                    return
                spoken.follows = False
                results = await spoken.keeper.restore(named)
        except ProcessorError as error:
            spoken.follows = True  # its alarm says why; tried again with the next look
            log.warning("processor %s does not follow scene %s: %s", spoken.name, scene, error.problems[0])
        else:
            if results:
                told = ", ".join(f"{r.name} {r.outcome}" for r in results)
                log.info("processor %s follows scene %s: %s", spoken.name, scene, told)
                spoken.results = results
            self._remember(spoken)
        self._publish("running")

    async def _answer(self, message: SetProcessor | RestoreProcessor) -> None:
        name, path = message.processor, f"processors/{message.processor}"
        answer: ProcessorSet | ProcessorNotSet
        try:
            results = await self._carried_out(message)
            answer = ProcessorSet(name, message.request, results)
        except OpenVolumeError as error:
            answer = ProcessorNotSet(name, message.request, list(error.problems))
        except Exception as error:
            log.exception("processor %s cannot be set", name)
            told = Problem(ProcessorError.code, path, f"{type(error).__name__}: {error}", None, "read the log")
            answer = ProcessorNotSet(name, message.request, [told])
        # First what is so, then that it is so: whoever hears finds it.
        self._publish("running")
        self._post.send(self._run.path / message.reply_to, answer)

    async def _carried_out(self, message: SetProcessor | RestoreProcessor) -> list[SetResult]:
        spoken = self._spoken.get(message.processor)
        path = f"processors/{message.processor}"
        if spoken is None:
            mend = f"use one of {', '.join(sorted(self._spoken)) or '(none)'}"
            raise UnknownAddress(Problem(UnknownAddress.code, path, "no such processor is spoken to", None, mend))
        keeper = spoken.keeper
        async with spoken.lock:
            if isinstance(message, SetProcessor):
                strange = strange_settings(f"{path}/settings", message.settings)
                if strange:
                    raise ProcessorError(*strange)
                if self._tables is not None:
                    self._tables.wish([message.settings.get("lut_file")])
                results = await keeper.set(message.settings)
                keeper.want({**keeper.kept.desired, **taken(results)})
            else:
                results = await keeper.restore(dry_run=message.dry_run)
                if message.dry_run:
                    return results
        self._remember(spoken)
        spoken.results = results
        return results

    # --- what is told -------------------------------------------------------------------------------------------

    def _publish(self, state: RoleState, *, always: bool = False) -> None:
        now_ns = self._clock.now_ns()
        for spoken in self._spoken.values():
            self._weigh(spoken)
        processors = {name: _status_of(spoken) for name, spoken in self._spoken.items()}
        alarms = self._alarms(now_ns)
        # When it was read is no news by itself.
        compared = ({n: msgspec.structs.replace(p, read_ns=None) for n, p in processors.items()}, alarms)
        if not always and now_ns < self._tell_due_ns and compared == self._published:
            return
        self._published, self._tell_due_ns = compared, now_ns + TELL_NS
        status = ProcessorsStatus(now_ns, os.getpid(), state, self._config_version, processors, alarms, *self._wishes)
        data = msgspec.msgpack.encode(status)
        if len(data) > STATUS_CAPACITY:
            # A house of very many: what they are able to do goes first.
            short = {n: msgspec.structs.replace(p, abilities={}, notes=()) for n, p in processors.items()}
            data = msgspec.msgpack.encode(msgspec.structs.replace(status, processors=short))
        self._status.publish(data, frame=0, t_ns=now_ns)
        self._status.heartbeat(now_ns)

    def _alarms(self, now_ns: int) -> list[Alarm]:
        found: list[Alarm] = []
        since: dict[tuple[str, str], int] = {}
        for name, spoken in self._spoken.items():
            kept, told = spoken.keeper.kept, list[Alarm]()
            told += alarms_of(name, kept, rate_hz=self._rate_hz, now_ns=now_ns)
            if kept.link == "ready":
                told += alarms_of_mode(name, spoken.delay, spoken.capacity, fits=spoken.fits, now_ns=now_ns)
            for alarm in told:
                key = (alarm.code, alarm.path)
                since[key] = self._since.get(key, alarm.since_ns)
                found.append(msgspec.structs.replace(alarm, since_ns=since[key]))
        self._since = since
        return found


def _wishes_of(control: ProcessorControlConfig) -> dict[str, object]:
    """What of it can change while it is spoken to."""
    return {"settings": control.settings, "scenes": control.scenes, "follow_scenes": control.follow_scenes}


def _signal_for(name: str, stage: CompiledStage) -> Signal:
    """What arrives at an emulated processor: its canvas."""
    rate_hz = float(stage.rate.hz)
    fed = next((canvas for canvas in stage.canvases.values() if canvas.processor == name), None)
    return Signal(rate_hz=rate_hz) if fed is None else Signal(fed.width_px, fed.height_px, rate_hz, fed.encoding.bits)


def _status_of(spoken: _Spoken) -> ProcessorStatus:
    kept, reading = spoken.keeper.kept, spoken.keeper.kept.reading
    status = ProcessorStatus(
        driver=spoken.control.driver,
        address=spoken.address,
        emulated=spoken.emulator is not None,
        link=kept.link,
        since_ns=kept.since_ns,
        read_ns=kept.read_ns,
        desired=dict(kept.desired),
        drift=list(kept.drift),
        abilities=dict(spoken.keeper.abilities),
        results=list(spoken.results),
        trouble=kept.trouble,
        shown=spoken.emulator.shown if spoken.emulator is not None else None,
    )
    if reading is None:
        return status
    return msgspec.structs.replace(
        status, identity=reading.identity, signal=reading.signal, health=reading.health,
        delay=spoken.delay, capacity=spoken.capacity, settings=dict(reading.settings), notes=reading.notes,
    )  # fmt: skip


async def _close(spoken: _Spoken) -> None:
    async with spoken.lock:
        await spoken.keeper.close()
        await spoken.taken.aclose()


def _last_status(run: RunDir) -> ProcessorsStatus | None:
    reader = RingReader.try_open(run.processors_status, kind=KIND_STATUS)
    if reader is None:
        return None
    slot = reader.latest()
    reader.close()
    with contextlib.suppress(msgspec.MsgspecError):
        return None if slot is None else decode_processors(slot.data)
    return None
