"""The control plane's heart: desk, backend, pictures and events under one roof, with the loops that keep them going."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.access.doorman import Doorman
from controller.access.roles import Hand
from controller.access.store import AccessStore, access_folder
from controller.action import ActionName
from controller.api import (
    present,
    present_cards,
    present_health,
    present_looks,
    present_processors,
    present_running,
    present_scenes,
    present_streams,
    present_subjects,
)
from controller.api.backend import RunBackend
from controller.api.clock import ClockHand
from controller.api.cues import CueHand
from controller.api.events import Hub
from controller.api.guided import GuidedHand
from controller.api.hands import SliderHands
from controller.api.keeping import LOOK_S, StoreKeeper
from controller.api.library import LibraryHand
from controller.api.pictures import Pictures
from controller.api.problems import problem
from controller.api.processor_delays import ProcessorDelays
from controller.api.processors import ProcessorHand
from controller.api.streams import StreamHand
from controller.api.surfaces import Surfaces
from controller.api.takes import TakeHand
from controller.audit import What
from controller.commands import Command
from controller.config import load_config_text
from controller.desk import Desk, read_current
from controller.errors import BadValue, UnknownAddress
from controller.library.cache import CACHE_FOLDER, SceneCache
from controller.library.entries import LIBRARY_FOLDER
from controller.lineup import Zero, nudge_to
from controller.messages import AnyMessage
from controller.midi_control import MidiInput
from controller.osc import OscStatistics
from controller.rundir import RunDir
from controller.scenery import Scenery, places_of
from controller.show import Nudge
from controller.status import Alarm
from controller.store import Store, state_folder
from controller.switching import Moment
from controller.transaction import Outcome
from runtime.clock import NS_PER_S, Clock
from stage.plan import FramePlan, transform_of
from stage.published import stage_document
from stage.rate import Rate

log = logging.getLogger(__name__)

REPLY_TO: Final = "service.sock"
POLL_S: Final = 0.01
REFUSALS_TOLD: Final = 10
"""So many refused writes a second the audit log tells of."""
TELL_S: Final = 0.1
"""How often measured values are told to those who listen."""
REMEMBER_S: Final = 30.0
"""So long after the last listener went it goes on telling, for those who come back with `last_seq`."""


class Control:
    """Everything the resources need. `start` and `stop` once each, on the event loop that serves."""

    def __init__(self, run: RunDir, *, clock: Clock, state: Path | None = None) -> None:
        """state : folder of the show's database; the user's state folder by the show's name if None.

        Raises
        ------
        StoreError : the database cannot be used, or does not know the running show.
        """
        self.run, self.clock = run, clock
        self.own_alarms: dict[str, Alarm] = {}
        snapshot, loaded = read_current(run)
        self.store = store = Store(state or state_folder(loaded.name))
        if store.damaged is not None:
            # It was sound when the show began: what runs goes on, whatever the backup knows of it.
            told = {"text": snapshot.config_text, "base_dir": snapshot.base_dir, "who": "recovery"}
            store.adopt(snapshot.show, t_tai_ns=clock.tai_ns(), **told)
        self.doorman = Doorman(AccessStore(state or access_folder()), clock=clock)
        self.backend = RunBackend(run, clock=clock)
        self.desk = Desk(snapshot, loaded, run=run, store=store, links=self.backend, clock=clock, reply_to=REPLY_TO)
        self.backend.expect(self.desk.stage.rate, self.desk.stage.canvases)
        self.scenery = Scenery(
            run=run,
            cache=SceneCache(store.path.parent / CACHE_FOLDER),
            links=self.backend,
            clock=clock,
            reply_to=REPLY_TO,
            desk=self.desk,
            held=self._held,
        )
        self.doorman.lock = lambda: self.desk.show.lock
        self.doorman.on_refused = self._refused
        self._notes: set[asyncio.Task[None]] = set()
        self._refused_since_ns, self._refused_count = 0, 0
        self.desk.ready = self.scenery.ready
        self.desk.ready_config = self.scenery.ready_config
        self.scenery.reread = self._reread
        self.desk.scene_values = self.scenery.values
        self.pictures = Pictures(self.backend, reply_to=REPLY_TO)
        self.clock_hand = ClockHand(self.backend, reply_to=REPLY_TO)
        self.processor_hand = ProcessorHand(self.backend, reply_to=REPLY_TO)
        self.processor_delays = ProcessorDelays(self.desk)
        self.stream_hand = StreamHand(self.backend, reply_to=REPLY_TO)
        place = store.path.parent / LIBRARY_FOLDER
        self.library_hand = LibraryHand(self.backend, place=place, reply_to=REPLY_TO)
        self.cues = CueHand(self.desk)
        self.surfaces = Surfaces(self)
        self.midi: dict[str, MidiInput] = {}
        self.takes = TakeHand(run, self.desk, self.backend, self.own_alarms, folder=store.path.parent, clock=clock)
        self.guided = GuidedHand(run, self.desk, clock=clock)
        self.hub = Hub(clock.now_ns, self._snapshot)
        self.osc = OscStatistics()
        self.hands = SliderHands()
        self.version = importlib.metadata.version("openvolume")
        self.started_ns = clock.now_ns()
        self.previews = 0
        self.videos = 0
        """Those of the previews that are coded as H.264."""
        self._feeds = present.feeds_of(self.desk.stage)
        self._document: tuple[int, asyncio.Task[bytes]] | None = None
        self._told: dict[str, bytes] = {}
        self._topics: dict[str, str] = {}
        self._listened_ns = 0
        self._loops: list[asyncio.Task[None]] = []
        self.backend.on_message = self._message
        self.backend.on_plan = self._plan
        self.desk.listeners.append(self._changed)
        self.keeper = StoreKeeper(store, self.own_alarms, clock=clock)
        self.desk.not_kept = self.keeper.refused

    @property
    def feeds(self) -> present.Feeds:
        """Which canvas feeds which wall."""
        return self._feeds

    @property
    def uptime_s(self) -> float:
        """Since this service started."""
        return (self.clock.now_ns() - self.started_ns) / NS_PER_S

    @property
    def alarms(self) -> list[Alarm]:
        """Every alarm, the worst first."""
        return present_health.alarms(
            self.backend, [*self.own_alarms.values(), *self.scenery.alarms.values(), *self.takes.alarms]
        )

    async def start(self) -> None:
        """Listen to the other processes and begin to take changes."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.backend.fileno(), self.backend.letters)
        self.backend.poll()
        self._loops = [
            asyncio.create_task(self._every(POLL_S, self.backend.poll), name="poll"),
            asyncio.create_task(self._every(POLL_S, self.guided.poll), name="guided"),
            asyncio.create_task(self._every(TELL_S, self._tell), name="tell"),
            asyncio.create_task(self._every(TELL_S, self.surfaces.look), name="surfaces"),
            asyncio.create_task(self._every(TELL_S, self._follow_delays), name="delays"),
            asyncio.create_task(self._every(LOOK_S, self.keeper.look), name="keeper"),
        ]
        self._watch_scenes()
        self.takes.changed()
        await self.desk.start()
        await self.scenery.start()

    async def stop(self) -> None:
        """Finish what is at hand and let go."""
        for task in self._loops:
            task.cancel()
        for task in self._loops:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.guided.stop()
        await self.takes.stop()
        self.cues.stop()
        await self.processor_delays.stop()
        await self.scenery.stop()
        await asyncio.gather(*self._notes, return_exceptions=True)
        await self.desk.stop()
        await self.pictures.stop()
        if self._document is not None:
            self._document[1].cancel()
        asyncio.get_running_loop().remove_reader(self.backend.fileno())
        self.backend.close()
        await self.keeper.stop()
        self.store.close()
        if self.doorman.store is not None:
            self.doorman.store.close()

    async def stage_document(self) -> bytes:
        """The compiled stage as JSON, made once for each configuration, on a thread: it may be megabytes."""
        rev = self.desk.rev_of("config")
        if self._document is None or self._document[0] != rev:
            stage = self.desk.stage
            task = asyncio.create_task(asyncio.to_thread(lambda: msgspec.json.encode(stage_document(stage))))
            self._document = (rev, task)
        return await asyncio.shield(self._document[1])

    def order(self, action: ActionName) -> None:
        """Order BLACK, HOLD, SAFE, WORK or none, and tell everyone at once."""
        before = self.backend.action().action
        self.backend.order(action)
        log.warning("%s ordered", action)
        self.note("action", "action", before, action)
        if self.hub.clients:
            self._tell()

    def note(
        self, what: What, path: str, before: object = None, after: object = None, hand: Hand | None = None
    ) -> None:
        """Have the audit log tell of what is no change of the show; nobody waits for it."""
        task = asyncio.create_task(self.desk.note(self.desk.deed(what, path, before, after, hand)))
        self._notes.add(task)
        task.add_done_callback(self._noted)

    def _noted(self, task: asyncio.Task[None]) -> None:
        self._notes.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("the audit log cannot be written: %s", task.exception())

    def _refused(self, hand: Hand, path: str, why: str) -> None:
        # A flood of bad requests is not worth the disk: the first ones of each second tell.
        now_ns = self.clock.now_ns()
        if now_ns - self._refused_since_ns >= NS_PER_S:
            self._refused_since_ns, self._refused_count = now_ns, 0
        self._refused_count += 1
        if self._refused_count <= REFUSALS_TOLD:
            self.note("refused", path, None, why, hand)

    async def zero(self, source: str, body: dict[str, Any], *, who: str) -> Outcome:
        """Set zero: nudge a source so that its camera, where it stands now, is at a pose.

        body : any of `x_m y_m z_m pan_deg tilt_deg roll_deg` (those left out are the configured ones) and `what`.

        Raises
        ------
        UnknownAddress : no such source. BadValue : a bad body, or nothing tracks the camera now.
        """
        path = f"sources/{source}"
        if source not in self.desk.around.sources:
            known = ", ".join(sorted(self.desk.around.sources))
            raise problem(UnknownAddress, path, "there is none of this name", mend=f"use one of {known}")
        try:
            wanted = msgspec.convert(body, Zero)
        except msgspec.ValidationError as error:
            raise problem(
                BadValue, path, str(error), mend="metres, degrees, and what: all, position, heading"
            ) from None
        camera = self.desk.loaded.config.tracking.sources[source].camera
        planned = present.plan_camera(self.backend.plan, camera)
        if planned is None or planned.source != source or not planned.t_received_ns:
            mend = "wait until the tracker is received"
            raise problem(BadValue, path, f"it does not move camera {camera} now", mend=mend)
        home = self.desk.stage.cameras[camera].default_stage_from_camera
        target = wanted.pose(home)
        nudge = nudge_to(
            self.desk.show.nudges.get(source, Nudge()),
            transform_of(planned.stage_from_camera),
            target,
            what=wanted.what,
        )
        changes = {f"{path}/nudge/{name}": getattr(nudge, name) for name in Nudge.__struct_fields__}
        return await self.desk.submit(Command(changes, who=who))

    def objects(self) -> dict[str, tuple[str, int, Any]]:
        """Every live object by key: its topic, revision and view."""
        desk, backend = self.desk, self.backend
        show = present.show(desk, backend)
        found: dict[str, tuple[str, int, Any]] = {
            "show": ("show", show.rev, show),
            "frames": ("frames", 0, present_running.frames(backend)),
            "nodes": ("nodes", 0, present_running.nodes(backend)),
            "alarms": ("alarms", 0, {"alarms": self.alarms}),
            "action": ("action", 0, present.action(backend)),
            "health": ("health", 0, self.health()),
            "takes": ("take", 0, self.takes.view()),
            "hands": ("hand", 0, self.hands.view(self.clock.now_ns())),
            "cues": ("cue", desk.rev_of("cues"), self.cues.view()),
            "look": ("grade", desk.rev_of("look"), present_looks.now(desk)),
        }
        for name in desk.stage.cameras:
            camera = present.camera(desk, backend, name)
            found[f"cameras/{name}"] = ("camera", camera.rev, camera)
        for name in desk.loaded.config.tracking.sources:
            source = present.source(desk, backend, name)
            found[f"sources/{name}"] = ("source", source.rev, source)
        for name in desk.stage.canvases:
            canvas = present.canvas(desk, backend, name, self._feeds)
            found[f"canvases/{name}"] = ("canvas", canvas.rev, canvas)
        for topic, views in (
            ("scene", present_scenes.scenes(desk, backend, self.scenery)),
            ("processor", present_processors.processors(desk, backend)),
            ("stream", present_streams.streams(desk, backend)),
            ("subject", present_subjects.subjects(desk, backend)),
            ("position", present.positions(desk)),
            ("pattern", present.patterns(desk)),
            ("card", present_cards.cards(desk)),
            ("chromakey", present_cards.chromakeys(desk)),
            ("look", present_looks.looks(desk).looks),
        ):
            for name, view in views.items():
                found[f"{topic}s/{name}"] = (topic, view.rev, view)
        return found

    def health(self) -> Any:
        """Whether pictures reach the walls."""
        own = [*self.own_alarms.values(), *self.scenery.alarms.values()]
        return present_health.health(self.desk, self.backend, uptime_s=self.uptime_s, version=self.version, own=own)

    def _watch_scenes(self) -> None:
        loaded = self.desk.loaded
        self.scenery.configure(places_of(loaded.config, loaded.base_dir, loaded.scene_files))

    async def _reread(self) -> None:
        """The running configuration with its scene files as they are now."""
        loaded = self.desk.loaded
        now = await asyncio.to_thread(load_config_text, loaded.source, loaded.path, base_dir=loaded.base_dir)
        if now.config != loaded.config:
            await self.desk.replace_config(now, who="files")

    def _held(self, scene: str, key: str, read: str) -> bool:
        nodes = [self.backend.nodes[name] for name in self.backend.living() if name in self.backend.nodes]
        return bool(nodes) and all(
            any((entry.scene, entry.key) == (scene, key) and entry.read in ("", read) for entry in node.scenes)
            for node in nodes
        )

    def _snapshot(self, topics: Collection[str]) -> tuple[int, Any]:
        wanted = {key: view for key, (topic, _, view) in self.objects().items() if not topics or topic in topics}
        return self.desk.rev, wanted

    def _tell(self) -> None:
        """Publish what is not as it was told last; nothing to do while nobody listens."""
        if not self._is_heard():
            return
        objects = self.objects()
        for key in self._told.keys() - objects.keys():
            del self._told[key]
            self.hub.gone(self._topics.pop(key), key)
        for key, (topic, rev, view) in objects.items():
            # Uptime alone is no news.
            comparable = msgspec.structs.replace(view, uptime_s=0.0) if topic == "health" else view
            data = msgspec.json.encode(comparable)
            if self._told.get(key) != data:
                self._told[key], self._topics[key] = data, topic
                self.hub.publish(topic, key, rev, view)

    def _is_heard(self) -> bool:
        """Whether anybody listens, or did a moment ago and may come back."""
        now_ns = self.clock.now_ns()
        if self.hub.clients:
            self._listened_ns = now_ns
        elif self._told and now_ns - self._listened_ns > REMEMBER_S * NS_PER_S:
            self._told.clear()
            self.hub.lapse()
        return bool(self.hub.clients or self._told)

    def _changed(self, outcome: Outcome) -> None:
        self.keeper.accepted()
        if outcome.kind == "set":
            self.hands.moved(outcome.changes, outcome.who, self.clock.now_ns())
        if outcome.kind in ("config", "rollback", "undo", "redo"):
            if outcome.kind not in ("undo", "redo"):
                self.processor_delays.forget()
            self._feeds = present.feeds_of(self.desk.stage)
            self.backend.expect(self.desk.stage.rate, self.desk.stage.canvases)
            self._watch_scenes()
            self._told = dict.fromkeys(self._told, b"")
        self.surfaces.changed(outcome)
        if "lock" in outcome.changes:
            self.takes.changed(outcome.frame, outcome.who)
        if self._is_heard():
            self.hub.publish("change", "change", outcome.rev, outcome)
            self._tell()

    def _follow_delays(self) -> None:
        self.processor_delays.follow(self.backend.processors, self.clock.now_ns())

    def _plan(self, plan: FramePlan) -> None:
        moment = Moment(plan.frame, plan.t_present_ns, plan.scene_time_ns, Rate(*plan.rate))
        self.desk.seen(plan.frame, plan.show_version, moment)
        self.cues.seen(plan)

    def _message(self, message: AnyMessage) -> None:
        takers = (
            self.desk.on_message, self.scenery.on_message, self.pictures.on_message, self.clock_hand.on_message,
            self.processor_hand.on_message, self.stream_hand.on_message, self.library_hand.on_message,
        )  # fmt: skip
        if not any(take(message) for take in takers):
            log.warning("a letter that was not expected: %s", type(message).__name__)

    async def _every(self, period_s: float, call: Callable[[], None]) -> None:
        while True:
            try:
                call()
            except Exception:
                log.exception("%s failed", call.__name__)
            await asyncio.sleep(period_s)
