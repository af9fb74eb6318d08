"""The node's hand: a GL context, the stages and scenes of every version that is near, and the canvas rings."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from controller.config import load_config_text
from controller.rundir import RunDir
from controller.show import Snapshot
from renderer.config import SceneConfig
from renderer.device import Device
from renderer.renderer import CanvasPicture, Renderer, Submission
from renderer.scene import Scene
from renderer.scene_world import SceneWorld
from runtime.clock import Clock
from runtime.ring import KIND_CANVAS, RingWriter, fourcc
from stage.compiled import CompiledStage, decode_stage
from stage.plan import Action, FramePlan, PlanOuter

CANVAS_SLOTS = 8
ACTION_PICTURES: tuple[Action, ...] = ("black", "safe", "work")
KEEP_VERSIONS = 3
"""Versions of the stage that stay on the GPU: the running one, the one being prepared, and the one to go back to."""

SceneKey = tuple[str, str, str]
"""Scene id, its configuration, its folder: what makes two versions' scenes the same."""


@dataclass(slots=True)
class _Version:
    stage: CompiledStage
    scenes: dict[str, Scene]
    world: SceneWorld
    actions: dict[str, dict[str, NDArray[Any]]]
    """Codes per action, per canvas: ready before they are needed, so that they need no drawing."""


@dataclass(slots=True)
class _Output:
    """One canvas' ring, and what it is held back by."""

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
        self._outputs: dict[str, _Output] = {}
        self._drawn: dict[str, CanvasPicture] = {}
        self._canvases: tuple[str, ...] = ()

    @property
    def canvases(self) -> Sequence[str]:
        """Ids of the canvases it draws now."""
        return self._canvases

    @property
    def device(self) -> str:
        """GL renderer string."""
        return self._device.renderer

    @property
    def software(self) -> bool:
        """Whether GL runs on the CPU."""
        return self._device.software

    def prepare(self, snapshot: Snapshot) -> Iterator[None]:
        """Compile a version's stage, load its scenes, draw its action pictures; one slice at a time.

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
        yield
        scenes: dict[str, Scene] = {}
        for name, scene in config.scenes.items():
            scenes[name] = self._scene(name, scene, folder)
            yield
        self._renderer.load_stage(stage, version=number, render=config.render)
        yield
        world = SceneWorld(self._device, scenes, shadow_px=config.render.shadow_px)
        actions: dict[str, dict[str, NDArray[Any]]] = {}
        for action in ACTION_PICTURES:
            plan = FramePlan(0, (24, 1), 0, [], PlanOuter("live", 0, stage.eye_m), [], actions=[action])
            plan = msgspec.structs.replace(plan, config_version=number)
            drawn = self._renderer.draw(plan, world=world)
            actions[action] = {name: picture.array.copy() for name, picture in drawn.items()}
            yield
        self._versions[number] = _Version(stage, scenes, world, actions)
        if not self._canvases:
            self._open(stage)
            self._show_safe_picture(number)
        self._drop_old(number)

    def draw(self, plan: FramePlan) -> None:
        """Draw the plan's canvases and wait for their pixels; Python's lock is free meanwhile."""
        version = self._versions[plan.config_version]
        submission: Submission = self._renderer.submit(plan, world=version.world)
        self._drawn = submission.collect()

    def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
        """Hand every canvas over: what was drawn, or the action's picture."""
        version = self._versions[plan.config_version]
        if version.stage.canvases.keys() != self._outputs.keys() or self._reshaped():
            self._open(version.stage)
        for name, picture in self._drawn.items():
            output = self._outputs[name]
            codes = picture.array if action == "none" else version.actions[action][name]
            codes = self._padded(output, codes, plan.output_delays.get(name, 0))
            self._hand_over(output, codes, plan, plan_hash)

    def close(self) -> None:
        """Free the GPU; the rings' last pictures stay."""
        for output in self._outputs.values():
            output.ring.close()
        for version in self._versions.values():
            version.world.release()
        for scene in self._scenes.values():
            scene.release()
        self._renderer.release()
        self._device.release()

    def _scene(self, name: str, config: SceneConfig, folder: Path) -> Scene:
        key = (name, config.model_dump_json(), str(folder))
        scene = self._scenes.get(key)
        if scene is None:
            scene = self._scenes[key] = Scene(self._device, config, folder)
        return scene

    def _drop_old(self, newest: int) -> None:
        for number in sorted(self._versions)[:-KEEP_VERSIONS]:
            if number != newest:
                self._versions.pop(number).world.release()
                self._renderer.drop_stage(number)
        used = {id(scene) for version in self._versions.values() for scene in version.scenes.values()}
        for key, scene in list(self._scenes.items()):
            if id(scene) not in used:
                del self._scenes[key]
                scene.release()

    # --- rings --------------------------------------------------------------------------------------------------

    def _open(self, stage: CompiledStage) -> None:
        """A ring for every canvas of the stage at the size it is drawn; rings of canvases that are gone go too."""
        for name in self._outputs.keys() - stage.canvases.keys():
            self._outputs.pop(name).ring.remove()
        for name, canvas in stage.canvases.items():
            width, height = canvas.width_px // stage.scale, canvas.height_px // stage.scale
            output = self._outputs.get(name)
            if output is not None:
                if (output.ring.shape.width, output.ring.shape.height) == (width, height):
                    continue
                output.ring.close()
            form = "AB30" if canvas.encoding.bits == 10 else "AB24"
            self._outputs[name] = _Output(
                RingWriter.create(
                    self._run.canvas(name),
                    kind=KIND_CANVAS,
                    slots=CANVAS_SLOTS,
                    capacity=width * height * 4,
                    width=width,
                    height=height,
                    row_stride=width * 4,
                    pixel_format=fourcc(form),
                )
            )
        self._canvases = tuple(stage.canvases)

    def _reshaped(self) -> bool:
        return any(
            picture.array.shape[:2] != (self._outputs[name].ring.shape.height, self._outputs[name].ring.shape.width)
            for name, picture in self._drawn.items()
        )

    def _show_safe_picture(self, version: int) -> None:
        """A wall that shows nothing yet gets the safe picture; one with a last good frame keeps it."""
        for name, output in self._outputs.items():
            if output.ring.n == 0:
                codes = self._versions[version].actions["safe"][name]
                output.ring.publish(memoryview(codes).cast("B"), frame=0, t_ns=self._clock.now_ns())

    def _padded(self, output: _Output, codes: NDArray[Any], frames: int) -> NDArray[Any]:
        """The picture of `frames` ago: a faster way to the wall is held back to the slowest."""
        if frames == 0:
            output.held_back.clear()
            return codes
        output.held_back.append(codes.copy())
        while len(output.held_back) > frames + 1:
            output.held_back.popleft()
        return output.held_back[0]

    def _hand_over(self, output: _Output, codes: NDArray[Any], plan: FramePlan, plan_hash: int) -> None:
        slot = output.ring.begin()
        length = codes.nbytes
        np.copyto(np.frombuffer(slot, dtype=np.uint8, count=length), codes.reshape(-1).view(np.uint8))
        output.ring.commit(
            length,
            frame=plan.frame,
            t_ns=plan.t_present_ns,
            config_version=plan.config_version,
            plan_hash=plan_hash,
        )
