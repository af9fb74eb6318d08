"""The node's hand: a GL context, the stages and scenes of every version that is near, and the canvas rings.

Pixels are read straight into the ring's next slot and published when their time comes; the pictures of BLACK, SAFE
and WORK are made when a version is prepared, so that showing them needs no drawing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from controller.config import OpenVolumeConfig, load_config_text
from controller.node import PainterLost
from controller.planner import Planner
from controller.rundir import RunDir
from controller.show import Snapshot
from controller.sources import inner_limits
from renderer.config import SceneConfig
from renderer.device import Device, DeviceLostError
from renderer.renderer import CanvasPicture, Format, Renderer
from renderer.scene import Scene
from renderer.scene_world import SceneWorld
from renderer.sinks.ring import canvas_ring
from runtime.clock import Clock
from runtime.ring import RingWriter, fourcc
from stage.compiled import CompiledStage, decode_stage, encode_stage
from stage.plan import FramePlan
from stage.rate import Rate

LONGEST_STEP_FRAMES = 240
KEEP_VERSIONS = 2
"""Versions of the stage that stay on the GPU beside the one on air: the newest, prepared or to go back to."""

SceneKey = tuple[str, str, str]
"""Scene id, its configuration, its folder: what makes two versions' scenes the same."""


@dataclass(slots=True)
class _Version:
    drawn: bytes
    """Everything of the version that is drawn: two of equal ones share what is on the GPU."""
    stage: CompiledStage
    scenes: dict[str, Scene]
    shadow_px: int
    actions: dict[str, dict[str, CanvasPicture]]
    """Picture per action, per canvas."""
    outer_every_frames: int
    """How often the outer picture is likely drawn, before plans have shown it; 0: every frame."""


@dataclass(slots=True)
class _Output:
    """One canvas' ring, and the pictures it is held back by."""

    ring: RingWriter
    held_back: deque[NDArray[Any]] = field(default_factory=deque)


class GLPainter:
    """Painter of a real node. Make it on the thread that draws."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._device = Device.create()
        self._renderer = Renderer(self._device)
        self._versions: dict[int, _Version] = {}
        self._scenes: dict[SceneKey, Scene] = {}
        self._world: tuple[int, SceneWorld] | None = None
        self._outputs: dict[str, _Output] = {}
        self._drawn: dict[str, CanvasPicture] = {}
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

    def holds(self, config_version: int) -> bool:
        """Whether plans of this version can be drawn at once."""
        return config_version in self._versions

    def prepare(self, snapshot: Snapshot) -> Generator[None]:
        """Compile a version's stage, load its scenes, make its action pictures and draw once; one slice at a time.

        The first drawing compiles shaders: it must not be the first on air.

        Raises
        ------
        OpenVolumeError : a scene cannot be read; the versions before stay as they are.
        """
        number = snapshot.show.config_version
        if number in self._versions:
            return
        stage = decode_stage(snapshot.stage)
        folder = Path(snapshot.base_dir)
        config = load_config_text(snapshot.config_text, base_dir=folder).config
        drawn = _drawn_of(stage, config, folder)
        every = snapshot.show.outer_every_frames if snapshot.show.outer_every_frames > 1 else 0
        yield
        for other, held in self._versions.items():
            if held.drawn == drawn:
                # Tracking, cameras, processors may differ: nothing that has to be made ready here.
                self._renderer.share_stage(number, of=other)
                self._versions[number] = replace(held, stage=stage, outer_every_frames=every)
                self._drop_old()
                return
        scenes: dict[str, Scene] = {}
        for name, scene in config.scenes.items():
            scenes[name] = self._scene(name, scene, folder)
            yield
        yield from self._renderer.loading_stage(stage, version=number, render=config.render)
        actions: dict[str, dict[str, CanvasPicture]] = {}
        for action, codes in self._renderer.action_pictures(number).items():
            forms: dict[str, Format] = {
                name: "rgb10a2" if canvas.encoding.bits == 10 else "rgba8" for name, canvas in stage.canvases.items()
            }
            actions[action] = {name: CanvasPicture(name, forms[name], array) for name, array in codes.items()}
        version = _Version(drawn, stage, scenes, config.render.shadow_px, actions, every)
        plan = Planner(stage, inner_limits(config.render)).plan(snapshot.show, {}, frame=0, t_present_ns=0)
        # A frame number that never comes: no later plan may take this outer picture for its own.
        plan = msgspec.structs.replace(plan, outer=msgspec.structs.replace(plan.outer, drawn_frame=-1), actions=[])
        self._renderer.submit(plan, world=self._world_of(version)).collect()
        yield
        self._versions[number] = version
        if not self._outputs:
            self._open(self._versions[number])
            self._show_safe_picture(number)
        self._drop_old()

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
            self._renderer.submit(plan, world=self._world_of(self._versions[plan.config_version])).collect()
        except DeviceLostError as error:
            raise PainterLost(*error.problems) from error

    def draw(self, plan: FramePlan) -> None:
        """Draw the plan's canvases and wait for their pixels; Python's lock is free meanwhile.

        Raises
        ------
        PainterLost : the GPU is gone.
        """
        version = self._versions[plan.config_version]
        into = {
            name: output.ring.begin()
            for name, output in self._outputs.items()
            if not plan.output_delays.get(name, 0) and self._fits(version, name)
        }
        try:
            self._drawn = self._renderer.submit(plan, world=self._world_of(version)).collect(into)
        except DeviceLostError as error:
            raise PainterLost(*error.problems) from error
        self._on_air = plan.config_version
        if self._last is not None and plan.outer.drawn_frame != self._last.outer.drawn_frame:
            step = plan.outer.drawn_frame - self._last.outer.drawn_frame
            self._outer_step = step if 1 < step <= LONGEST_STEP_FRAMES else 0
        elif self._last is None:
            self._outer_step = version.outer_every_frames
        self._last = plan

    def ahead(self) -> None:
        """Draw a piece of the next outer picture, when it is drawn every few frames: so that no frame draws it all.

        Raises
        ------
        PainterLost : the GPU is gone.
        """
        plan, step = self._last, self._outer_step
        if plan is None or step == 0 or plan.outer.mode != "every" or plan.config_version not in self._versions:
            return
        left = plan.outer.drawn_frame + step - plan.frame
        if not 0 < left <= step:
            return
        coming = _coming(plan, plan.outer.drawn_frame + step)
        world = self._world_of(self._versions[plan.config_version])
        try:
            while self._renderer.ahead(coming, world=world) >= left:
                pass
        except DeviceLostError as error:
            raise PainterLost(*error.problems) from error

    def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
        """Hand every canvas over: what was drawn, or the action's picture."""
        # An action may be ordered while a version that is not here yet is asked for: then the last one's picture.
        number = plan.config_version if plan.config_version in self._versions else self._on_air
        version = self._versions[number if number is not None else max(self._versions)]
        pictures = self._drawn if action == "none" else version.actions[action]
        if version.stage.canvases.keys() != self._outputs.keys() or not all(
            self._fits(version, name) for name in self._outputs
        ):
            self._open(version)
        for name, output in self._outputs.items():
            picture = pictures[name].array
            delay = plan.output_delays.get(name, 0)
            if action != "none":
                # What was held back must not come out when the walls are given back.
                output.held_back.clear()
            elif delay:
                picture = _held_back(output.held_back, picture, delay)
            else:
                output.held_back.clear()
            _commit(output.ring, picture, plan, plan_hash)

    def close(self) -> None:
        """Free the GPU; the rings' last pictures stay."""
        # They may lie in ring memory, which cannot be given back while something looks at it.
        self._drawn = {}
        for output in self._outputs.values():
            output.ring.close()
        if self._world is not None:
            self._world[1].release()
        for scene in self._scenes.values():
            scene.release()
        self._renderer.release()
        self._device.release()

    # --- versions -----------------------------------------------------------------------------------------------

    def _scene(self, name: str, config: SceneConfig, folder: Path) -> Scene:
        key = (name, config.model_dump_json(), str(folder))
        scene = self._scenes.get(key)
        if scene is None:
            scene = self._scenes[key] = Scene(self._device, config, folder)
        return scene

    def _drop_old(self) -> None:
        newest = sorted(number for number in self._versions if number != self._on_air)
        for number in newest[:-KEEP_VERSIONS]:
            del self._versions[number]
            self._renderer.drop_stage(number)
        self._drop_scenes()

    def _drop_scenes(self) -> None:
        used = {id(scene) for version in self._versions.values() for scene in version.scenes.values()}
        for key, scene in list(self._scenes.items()):
            if id(scene) not in used:
                del self._scenes[key]
                if self._world is not None:
                    self._world[1].scene_pass.forget(scene)
                scene.release()

    def _world_of(self, version: _Version) -> SceneWorld:
        """The one world, showing a version's scenes: its programs are compiled once for all of them."""
        if self._world is None or self._world[0] != version.shadow_px:
            if self._world is not None:
                self._world[1].release()
            self._world = (version.shadow_px, SceneWorld(self._device, {}, shadow_px=version.shadow_px))
        world = self._world[1]
        world.scenes = version.scenes
        return world

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
        """A ring for every canvas of the stage at the size it is drawn; rings of canvases that are gone go too."""
        for name in self._outputs.keys() - version.stage.canvases.keys():
            self._outputs.pop(name).ring.remove()
        for name in version.stage.canvases:
            if name in self._outputs:
                if self._fits(version, name):
                    continue
                self._outputs[name].ring.close()
            self._outputs[name] = _Output(canvas_ring(self._run.canvas(name), version.actions["black"][name]))

    def _show_safe_picture(self, number: int) -> None:
        """A wall that shows nothing yet gets the safe picture; one with a last good frame keeps it."""
        for name, output in self._outputs.items():
            if output.ring.n == 0:
                codes = self._versions[number].actions["safe"][name].array
                output.ring.publish(codes.data.cast("B"), frame=0, t_ns=self._clock.now_ns(), config_version=number)


def _drawn_of(stage: CompiledStage, config: OpenVolumeConfig, folder: Path) -> bytes:
    """What of a version is drawn, as bytes to compare: walls, canvases, scenes, settings of the renderer."""
    walls = replace(stage, name="", rate=Rate(24), eye_m=(0.0, 0.0, 0.0), processors={}, cameras={})
    scenes = {name: scene.model_dump_json() for name, scene in config.scenes.items()}
    return msgspec.msgpack.encode(
        [encode_stage(walls), len(stage.cameras), config.render.model_dump_json(), scenes, str(folder)]
    )


def _coming(plan: FramePlan, frame: int) -> FramePlan:
    """The plan of a coming frame as far as it can be known: as this one, but for its time."""
    rate = Rate(*plan.rate)
    ahead_ns = rate.deadline_ns(0, frame) - rate.deadline_ns(0, plan.frame)
    outer = msgspec.structs.replace(plan.outer, drawn_frame=frame)
    return msgspec.structs.replace(plan, frame=frame, scene_time_ns=plan.scene_time_ns + ahead_ns, outer=outer)


def _held_back(waiting: deque[NDArray[Any]], picture: NDArray[Any], frames: int) -> NDArray[Any]:
    """The picture of `frames` ago: a faster way to the wall is held back to the slowest."""
    # Pictures of another size belong to a version that has gone.
    while waiting and waiting[0].shape != picture.shape:
        waiting.popleft()
    waiting.append(picture.copy())
    while len(waiting) > frames + 1:
        waiting.popleft()
    return waiting[0]


def _commit(ring: RingWriter, picture: NDArray[Any], plan: FramePlan, plan_hash: int) -> None:
    """Publish a picture as the plan's frame; one that was drawn into the ring's slot already is not copied."""
    slot = np.frombuffer(ring.begin(), dtype=np.uint8, count=picture.nbytes)
    if slot.ctypes.data != picture.ctypes.data:
        np.copyto(slot, picture.reshape(-1).view(np.uint8))
    ring.commit(
        picture.nbytes,
        frame=plan.frame,
        t_ns=plan.t_present_ns,
        config_version=plan.config_version,
        plan_hash=plan_hash,
    )
