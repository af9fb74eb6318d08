"""The node's hand: a GL context, the stages and scenes of every version that is near, and the canvas rings.

Pixels are read straight into the ring's next slot and published when their time comes; the pictures of BLACK, SAFE
and WORK are made when a version is prepared, so that showing them needs no drawing.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from controller.config import OpenVolumeConfig, load_config_text, nodes_of
from controller.drawing import PainterLost
from controller.engines import Engines
from controller.errors import ControllerError
from controller.library.cache import TABLES_FOLDER, SceneCache
from controller.library.inputs import inputs_of
from controller.messages import LoadScene, RehearseEdits
from controller.outputs import Given, Instead, Output
from controller.planner import Planner
from controller.resident import Resident, Residents, SceneMemoryError
from controller.rundir import RunDir
from controller.scene_book import SceneBook
from controller.show import SceneState, Show, Snapshot
from controller.sources import inner_limits
from controller.status import Alarm, ResidentScene
from controller.swap_group import canvases_by_wall, with_inner_of
from renderer.atmosphere import keep_tables
from renderer.config import SceneConfig
from renderer.device import Device, DeviceLostError
from renderer.renderer import CanvasPicture, Renderer, form_of_bits
from renderer.scene_world import SceneWorld
from renderer.sinks.ring import canvas_ring
from runtime.clock import Clock
from runtime.ring import fourcc
from stage.compiled import CompiledStage, decode_stage, encode_stage
from stage.errors import Problem
from stage.plan import FramePlan, PlanScene, transform_of
from stage.rate import Rate

log = logging.getLogger(__name__)

LONGEST_STEP_FRAMES = 240
LIGHT_BYTES = 32 << 20
"""A scene that nothing shows yet is read from its files beforehand when they are smaller than this."""
KEEP_VERSIONS = 2
"""Versions of the stage that stay on the GPU beside the one on air: the newest, prepared or to go back to."""


class NodesError(ControllerError):
    """A configuration asks for other drawing processes than run."""

    code = "controller.nodes_changed"


@dataclass(slots=True)
class _Version:
    drawn: bytes
    """Everything of the version that is drawn: two of equal ones share what is on the GPU."""
    stage: CompiledStage
    scenes: dict[str, SceneConfig]
    folder: Path
    canvases: tuple[str, ...]
    """What of the stage is drawn here."""
    cache: SceneCache
    shadow_px: int
    actions: dict[str, dict[str, CanvasPicture]]
    """Picture per action, per canvas."""
    outer_every_frames: int
    """How often the outer picture is likely drawn, before plans have shown it; 0: every frame."""
    by_wall: dict[str, frozenset[str]] | None = None
    """Canvases of every wall, once an engine was late."""


class GLPainter:
    """Painter of a real node. Make it on the thread that draws."""

    def __init__(self, *, run: RunDir, clock: Clock, node: str | None = None) -> None:
        """It draws the canvases of a node of the configuration; None: all."""
        self._run, self._clock, self._node = run, clock, node
        self._nodes: frozenset[str] = frozenset()
        """Those of the first version: the others were started with this one."""
        self._drawn_by: dict[str, str] = {}
        """The node of every canvas there ever was: two cannot write one ring."""
        self._device = Device.create()
        self._renderer = Renderer(self._device)
        self._versions: dict[int, _Version] = {}
        self._book = SceneBook(run)
        self._world_px, self._world = 2048, SceneWorld(self._device, {})
        self._world.ready()
        self._residents = Residents(self._device, self._world, clock=clock, budget_bytes=1 << 62)
        self._next: set[Hashable] = set()
        """Scenes that come next or are to be kept."""
        self._outputs: dict[str, Output] = {}
        self._engines = Engines(run, clock)
        self._drawn: dict[str, CanvasPicture] = {}
        self._late: dict[str, int] = {}
        self._shown: dict[str, int] = {}
        """The frame each canvas showed last."""
        self._on_air: int | None = None
        self._last: FramePlan | None = None
        self._outer_step = 0

    @property
    def canvases(self) -> Sequence[str]:
        """Ids of the canvases it shows now."""
        return tuple(self._outputs)

    @property
    def device(self) -> str:
        """GL renderer string."""
        return self._device.capabilities.renderer

    @property
    def software(self) -> bool:
        """Whether GL runs on the CPU."""
        return self._device.capabilities.software

    @property
    def scenes(self) -> list[ResidentScene]:
        """What can be shown at any frame."""
        return self._residents.told(self._shown_scenes())

    @property
    def scene_budget_bytes(self) -> int:
        """What they may take together."""
        return self._residents.budget_bytes

    @property
    def loading(self) -> str:
        """The scene that is made ready now."""
        return self._residents.loading

    @property
    def late(self) -> Mapping[str, int]:
        """Canvases of the frame shown last that an engine had no picture for: the frame each shows."""
        return self._late

    @property
    def alarms(self) -> list[Alarm]:
        """What is wrong with engines."""
        return self._engines.alarms

    def holds(self, config_version: int) -> bool:
        """Whether plans of this version can be drawn at once."""
        return config_version in self._versions

    def prepare(self, snapshot: Snapshot) -> Generator[int]:
        """Compile a version's stage, load its scenes, make its action pictures and draw once; one slice at a time.

        The first drawing compiles shaders: it must not be the first on air. Yields what the next slice needs, ns.

        Raises
        ------
        OpenVolumeError : a scene cannot be read; the versions before stay as they are.
        """
        number = snapshot.show.config_version
        self._book.learn(snapshot.show)
        if number in self._versions:
            yield from self._make_resident(snapshot.show, self._versions[number], others=False)
            return
        stage = decode_stage(snapshot.stage)
        folder = Path(snapshot.base_dir)
        config = load_config_text(snapshot.config_text, base_dir=folder).config
        canvases = self._canvases_of(config, stage)
        drawn = _drawn_of(stage, config, folder, canvases)
        every = snapshot.show.outer_every_frames if snapshot.show.outer_every_frames > 1 else 0
        cache = SceneCache(Path(snapshot.scene_cache))
        keep_tables(cache.folder / TABLES_FOLDER)
        self._residents.budget_bytes = config.render.scene_memory_mb << 20
        yield 0
        for other, held in self._versions.items():
            if held.drawn == drawn:
                # Tracking, cameras, processors may differ: nothing that has to be made ready here.
                yield from self._make_resident(snapshot.show, held, others=True)
                self._renderer.share_stage(number, of=other)
                self._versions[number] = replace(held, stage=stage, outer_every_frames=every)
                self._drop_old()
                return
        version = _Version(
            drawn, stage, dict(config.scenes), folder, canvases, cache, config.render.shadow_px, {}, every
        )
        yield from self._make_resident(snapshot.show, version, others=True)
        grades = bool(snapshot.show.grades or snapshot.show.looks)
        for _ in self._renderer.loading_stage(
            stage, version=number, render=config.render, canvases=canvases, grades=grades
        ):
            yield 0
        for action, codes in self._renderer.action_pictures(number).items():
            forms = {name: form_of_bits(stage.canvases[name].encoding.bits) for name in canvases}
            version.actions[action] = {name: CanvasPicture(name, forms[name], array) for name, array in codes.items()}
        plan = Planner(stage, inner_limits(config.render)).plan(snapshot.show, {}, frame=0, t_present_ns=0)
        # A frame number that never comes: no later plan may take this outer picture for its own.
        plan = msgspec.structs.replace(plan, outer=msgspec.structs.replace(plan.outer, drawn_frame=-1), actions=[])
        self._renderer.submit(plan, world=self._world_of(version, plan)).collect()
        yield 0
        self._versions[number] = version
        if not self._outputs:
            self._open(self._versions[number])
            self._show_safe_picture(number)
        self._drop_old()

    def load(self, message: LoadScene) -> Generator[int]:
        """Put a compiled scene on the GPU in slices, ready to be switched to. Yields what the next slice needs, ns.

        Raises
        ------
        OpenVolumeError : it is no compiled scene, or there is no room. FileNotFoundError : it is not there.
        """
        place = transform_of(message.stage_from_scene) if message.stage_from_scene else None
        self._next.add(message.key)
        yield from self._residents.load_file(
            message.scene, message.key, Path(message.file), keep=self._kept(), stage_from_scene=place
        )

    def rehearse_edits(self, message: RehearseEdits) -> Generator[int]:
        """Get ready what edits of a scene need, if it is here; nothing that is shown changes. Yields as `load`."""
        number = self._on_air if self._on_air in self._versions else max(self._versions, default=None)
        if number is None or message.scene not in self._versions[number].scenes:
            return
        ident = self._ident(self._versions[number], message.scene, SceneState(key=message.key))
        yield from self._residents.rehearse(ident, message.edits)

    def forget(self, config_version: int) -> None:
        """Free a version that will not be used, unless it is on air."""
        if config_version != self._on_air:
            self._versions.pop(config_version, None)
            self._renderer.drop_stage(config_version)
            self._drop_scenes()

    def rehearse(self, plan: FramePlan) -> None:
        """Draw the first plan, outer picture and all, and show nothing of it.

        Raises
        ------
        PainterLost : the GPU is gone.
        """
        try:
            self._renderer.submit(plan, world=self._world_of(self._versions[plan.config_version], plan)).collect()
        except DeviceLostError as error:
            raise PainterLost(*error.problems) from error

    def draw(self, plan: FramePlan) -> None:
        """Draw the plan's canvases and wait for their pixels; Python's lock is free meanwhile.

        Raises
        ------
        PainterLost : the GPU is gone.
        """
        version = self._versions[plan.config_version]
        self._engines.begin(plan)
        into = {
            name: output.ring.begin()
            for name, output in self._outputs.items()
            if not plan.output_delays.get(name, 0)
            and name not in plan.outputs
            and not self._engines.draws(name)
            and self._fits(version, name)
        }
        inners = self._engines.inners(plan)
        try:
            world = self._world_of(version, plan)
            self._drawn = self._renderer.submit(plan, world=world, inners=inners).collect(into)
        except DeviceLostError as error:
            raise PainterLost(*error.problems) from error
        self._on_air = plan.config_version
        if self._last is not None and plan.outer.drawn_frame != self._last.outer.drawn_frame:
            step = plan.outer.drawn_frame - self._last.outer.drawn_frame
            self._outer_step = step if 1 < step <= LONGEST_STEP_FRAMES else 0
        elif self._last is None:
            self._outer_step = version.outer_every_frames
        self._last = plan

    def ahead(self, most: int) -> int:
        """Draw pieces of the next outer picture, when it is drawn every few frames: so that no frame draws it all. As
        many as have to be drawn by now, `most` of them at most; how many were.

        Raises
        ------
        PainterLost : the GPU is gone.
        """
        plan, step = self._last, self._outer_step
        if plan is None or step == 0 or plan.outer.mode != "every" or plan.config_version not in self._versions:
            return 0
        if any(scene.moving for scene in plan.scenes):
            # Where its values will stand then, only that plan will tell.
            return 0
        left = plan.outer.drawn_frame + step - plan.frame
        if not 0 < left <= step:
            return 0
        coming = _coming(plan, plan.outer.drawn_frame + step)
        world = self._world_of(self._versions[plan.config_version], plan)
        try:
            pieces = 1
            while self._renderer.ahead(coming, world=world) >= left and pieces < most:
                pieces += 1
        except DeviceLostError as error:
            raise PainterLost(*error.problems) from error
        return pieces

    def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
        """Hand every canvas over: what was drawn, or the action's picture."""
        # An action may be ordered while a version that is not here yet is asked for: then the last one's picture.
        number = plan.config_version if plan.config_version in self._versions else self._on_air
        version = self._versions[number if number is not None else max(self._versions)]
        pictures = self._drawn if action == "none" else version.actions[action]
        if set(version.canvases) != self._outputs.keys() or not all(
            self._fits(version, name) for name in self._outputs
        ):
            self._open(version)
        cards = {name: version.actions["identify"][name].array for name in plan.outputs if name in self._outputs}
        black = version.actions["black"]
        self._late = {}
        given = self._given(plan, plan_hash, pictures) if action == "none" else {}
        behind = self._behind(version, plan, given)
        for name, output in self._outputs.items():
            if action != "none":
                output.order(pictures[name].array, plan, plan_hash)
                continue
            if name in behind:
                # Its last picture stays up, in phase with the one that an engine is late with.
                self._late[name] = self._shown.get(name, plan.frame - 1)
                continue
            instead = None
            if (told := plan.outputs.get(name)) is not None:
                instead = Instead(told, black[name].array, cards[name])
            shown = output.show(
                pictures[name].array,
                plan,
                plan_hash,
                instead=instead,
                engines=self._engines,
                name=name,
                given=given.get(name),
            )
            self._shown[name] = shown
            if shown != plan.frame or (self._engines.late_inner() and plan.engines):
                self._late[name] = shown

    def _given(self, plan: FramePlan, plan_hash: int, pictures: Mapping[str, CanvasPicture]) -> dict[str, Given | None]:
        """What engines have drawn of this frame, of every canvas that is an engine's; None: it is late."""
        found: dict[str, Given | None] = {}
        for name in self._outputs:
            if self._engines.draws(name):
                found[name] = self._engines.canvas(plan, plan_hash, name, pictures[name].array)
                self._engines.note_canvas(plan.frame, name, found=found[name] is not None)
        return found

    def _behind(self, version: _Version, plan: FramePlan, given: Mapping[str, Given | None]) -> set[str]:
        """Canvases that repeat with one whose engine is late, while its last picture stays up: they show the same inner
        picture on air. What shows something else in place of its picture waits for nobody."""
        late = {
            name
            for name, one in given.items()
            if one is None and name not in plan.outputs and self._engines.held_frame(name) is not None
        }
        if not late:
            return set()
        if version.by_wall is None:
            version.by_wall = canvases_by_wall(version.stage)
        return with_inner_of(plan, version.by_wall, late) - late - plan.outputs.keys()

    def close(self) -> None:
        """Free the GPU; the rings' last pictures stay."""
        # They may lie in ring memory, which cannot be given back while something looks at it.
        self._drawn = {}
        self._engines.close()
        for output in self._outputs.values():
            output.close()
        self._residents.release()
        self._world.release()
        self._renderer.release()
        self._device.release()

    # --- versions -----------------------------------------------------------------------------------------------

    def _canvases_of(self, config: OpenVolumeConfig, stage: CompiledStage) -> tuple[str, ...]:
        if self._node is None:
            return tuple(stage.canvases)
        nodes = nodes_of(config)
        self._nodes = self._nodes or frozenset(nodes)
        mend = "end the show and start it with this configuration"
        if nodes.keys() != self._nodes:
            detail = f"this show was started with the nodes {', '.join(sorted(self._nodes))}"
            raise NodesError(Problem(NodesError.code, "nodes", detail, sorted(nodes), mend))
        for name, canvases in nodes.items():
            for canvas in canvases:
                before = self._drawn_by.setdefault(canvas, name)
                if before != name:
                    path = f"nodes/{name}/canvases"
                    raise NodesError(Problem(NodesError.code, path, f"{before} draws this canvas", canvas, mend))
        return nodes[self._node]

    def _drop_old(self) -> None:
        newest = sorted(number for number in self._versions if number != self._on_air)
        for number in newest[:-KEEP_VERSIONS]:
            del self._versions[number]
            self._renderer.drop_stage(number)
        self._drop_scenes()

    # --- scenes -------------------------------------------------------------------------------------------------

    def _ident(self, version: _Version, name: str, state: SceneState) -> Hashable:
        """What a scene is known by here: its compiled state, or, read from its files, all that says what it reads."""
        if state.key:
            return state.key
        return (name, version.scenes[name].model_dump_json(), str(version.folder))

    def _make_resident(self, show: Show, version: _Version, *, others: bool) -> Generator[int]:
        """Load the scenes a show has on air, comes to or keeps; with `others` all that find room, too."""
        first = [*(entry.id for entry in show.scenes), *(switch.scene for switch in show.switches)]
        kept = [name for name, state in show.scene_states.items() if state.preload]
        wanted = [name for name in dict.fromkeys([*first, *kept]) if name in version.scenes]
        states = {name: show.scene_states.get(name, SceneState()) for name in version.scenes}
        self._next = {self._ident(version, name, states[name]) for name in wanted}
        for name in [*wanted, *(name for name in version.scenes if others and name not in wanted)]:
            state = states[name]
            ident = self._ident(version, name, state)
            if ident in self._residents:
                continue
            reads = name not in wanted and not state.key
            if reads and (self._last is not None or _file_bytes(version.scenes[name], version.folder) > LIGHT_BYTES):
                # It would hold up what is needed, or what is on air: it is compiled off air and loaded in slices.
                continue
            keep = self._kept() if name in wanted else {*self._kept(), *self._all()}
            try:
                if state.key and version.cache.has(state.key):
                    version.cache.touch(state.key)
                    yield from self._residents.load_file(name, state.key, version.cache.scene(state.key), keep=keep)
                else:
                    yield 0
                    self._residents.load_config(name, ident, version.scenes[name], version.folder, keep=keep)
                    yield from self._residents.practise(ident)
            except SceneMemoryError:
                if name in wanted:
                    raise
                log.info("scene %s is not kept ready: the scene memory is full", name)
            yield 0

    def _kept(self) -> set[Hashable]:
        """What must not be let go: on air, coming, kept."""
        return {*self._shown_scenes(), *self._next}

    def _all(self) -> set[Hashable]:
        return {ident for version in self._versions.values() for ident in self._idents(version)}

    def _idents(self, version: _Version) -> set[Hashable]:
        return {self._ident(version, name, SceneState()) for name in version.scenes}

    def _shown_scenes(self) -> set[Hashable]:
        plan = self._last
        if plan is None or plan.config_version not in self._versions:
            return set()
        version = self._versions[plan.config_version]
        known = [entry for entry in plan.scenes if entry.id in version.scenes]
        return {self._ident(version, entry.id, self._book.state(entry.id, entry.version)) for entry in known}

    def _drop_scenes(self) -> None:
        """Scenes read from files belong to versions; those of the cache stay while there is room."""
        wanted = set[Hashable]()
        for version in self._versions.values():
            wanted |= self._idents(version)
        self._residents.keep_only(wanted)

    def _world_of(self, version: _Version, plan: FramePlan) -> SceneWorld:
        """The one world, showing what a plan says of its scenes: programs are compiled once for all of them."""
        if self._world_px != version.shadow_px:
            self._world.release()
            self._world_px, self._world = version.shadow_px, SceneWorld(self._device, {}, shadow_px=version.shadow_px)
            self._world.ready()
            self._residents.use(self._world)
        self._world.scenes = {
            entry.id: self._resident(version, entry).scene for entry in plan.scenes if entry.id in version.scenes
        }
        return self._world

    def _resident(self, version: _Version, entry: PlanScene) -> Resident:
        """The scene of a plan with the edits of its version; loaded at once when it is not here (a node joined)."""
        state = self._book.state(entry.id, entry.version)
        ident = self._ident(version, entry.id, state)
        found = self._residents.get(ident)
        if found is None and state.key and version.cache.has(state.key):
            for _ in self._residents.load_file(
                entry.id, state.key, version.cache.scene(state.key), keep=self._kept(), practice=False
            ):
                pass
            found = self._residents.get(ident)
        if found is None:
            config = version.scenes[entry.id]
            found = self._residents.load_config(entry.id, ident, config, version.folder, keep=self._kept())
        found.edit(entry.version, state.edits)
        return found

    # --- rings --------------------------------------------------------------------------------------------------

    def _fits(self, version: _Version, name: str) -> bool:
        """Whether the ring of a canvas has the size and format this version draws."""
        picture = version.actions["black"].get(name)
        if picture is None:
            return False
        height, width = picture.array.shape[:2]
        shape = self._outputs[name].ring.shape
        return (shape.width, shape.height, shape.pixel_format) == (width, height, fourcc(picture.fourcc))

    def _open(self, version: _Version) -> None:
        """A ring for every canvas drawn here at the size it is drawn; rings of canvases that are gone go too."""
        for name in self._outputs.keys() - set(version.canvases):
            self._outputs.pop(name).ring.remove()
        for name in version.canvases:
            if name in self._outputs:
                if self._fits(version, name):
                    continue
                self._outputs[name].ring.close()
            self._outputs[name] = Output(canvas_ring(self._run.canvas(name), version.actions["black"][name]))

    def _show_safe_picture(self, number: int) -> None:
        """A wall that shows nothing yet gets the safe picture; one with a last good frame keeps it."""
        for name, output in self._outputs.items():
            if output.ring.n == 0:
                codes = self._versions[number].actions["safe"][name].array
                output.ring.publish(codes.data.cast("B"), frame=0, t_ns=self._clock.now_ns(), config_version=number)


def _file_bytes(config: SceneConfig, folder: Path) -> int:
    """What a scene's files hold together."""
    return sum(stamp[0] for stamp in inputs_of(config, folder).stamps.values() if stamp is not None)


def _drawn_of(stage: CompiledStage, config: OpenVolumeConfig, folder: Path, canvases: tuple[str, ...]) -> bytes:
    """What of a version is drawn, as bytes to compare: walls, canvases, scenes, settings of the renderer."""
    walls = replace(stage, name="", rate=Rate(24), eye_m=(0.0, 0.0, 0.0), processors={}, cameras={})
    scenes = {name: scene.model_dump_json() for name, scene in config.scenes.items()}
    return msgspec.msgpack.encode(
        [encode_stage(walls), len(stage.cameras), config.render.model_dump_json(), scenes, str(folder), canvases]
    )


def _coming(plan: FramePlan, frame: int) -> FramePlan:
    """The plan of a coming frame as far as it can be known: as this one, but for its time."""
    rate = Rate(*plan.rate)
    ahead_ns = rate.deadline_ns(0, frame) - rate.deadline_ns(0, plan.frame)
    outer = msgspec.structs.replace(plan.outer, drawn_frame=frame)
    return msgspec.structs.replace(plan, frame=frame, scene_time_ns=plan.scene_time_ns + ahead_ns, outer=outer)
