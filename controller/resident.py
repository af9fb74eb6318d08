"""The scenes a node holds on its GPU: mapped from the cache, put there in slices, made ready to draw, let go in turn.

A scene is known by its compiled state, so two versions of one scene can be here at a time: the one on air, and the one
that is switched to. The memory they take is bounded; the one used longest ago goes first, and never one that is on air,
comes next, or was asked to be kept.
"""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Collection, Generator, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from controller.errors import ControllerError
from controller.library.inputs import read_hash
from controller.status import ResidentScene
from renderer.addresses import EditValueError, UnknownAddressError
from renderer.config import SceneConfig
from renderer.device import Device
from renderer.frozen import Thaw
from renderer.passes.rehearsal import rehearse
from renderer.passes.target import ViewTarget
from renderer.scene import Scene
from renderer.scene_world import SceneWorld
from runtime.clock import NS_PER_MS, Clock
from stage.errors import Problem
from stage.frames import Array

log = logging.getLogger(__name__)

_PRACTICE_PX: Final = 16
MOST_SLOWNESS: Final = 4.0
_FIRST_PRACTICE_NS: Final = 8_000_000
"""What a piece is taken to need until one was drawn."""
_NARROW: Final = 100.0
"""How much longer than wide a view for practice is: little of the scene is in it."""
_UP: Final = np.array([0.0, 0.0, 1.0])
_SHADOW_NS: Final = 60
"""What a triangle takes in a shadow map on a CPU."""


class SceneMemoryError(ControllerError):
    """There is no room for a scene beside those that are on air, come next or are kept."""

    code = "controller.scene_memory"


def apply_known(scene: Scene, edits: Mapping[str, Any]) -> None:
    """Lay over a scene those of the edits that it has room for: the same ones in every process."""
    scene.apply(known_edits(scene, edits))


def known_edits(scene: Scene, edits: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the edits that a scene has room for."""
    left = dict(edits)
    while True:
        try:
            scene.edited(left)
        except (UnknownAddressError, EditValueError) as error:
            before = len(left)
            for problem in error.problems:
                left.pop(problem.path, None)
            if len(left) == before:
                raise
        else:
            return left


@dataclass(slots=True)
class Resident:
    """One scene on the GPU."""

    name: str
    ident: Hashable
    key: str
    scene: Scene
    thawed: Thaw | None
    size_bytes: int
    read: str = ""
    """Of one read from its files: `read_hash` of its configuration."""
    applied: tuple[str, int] | None = None
    """The scene's id and version whose edits it shows."""

    def edit(self, version: int, edits: Mapping[str, Any]) -> None:
        """Show a version's edits. An address that the scene has no more (its file was changed) waits for its return."""
        if self.applied == (self.name, version):
            return
        if edits or self.applied is not None:
            apply_known(self.scene, edits)
        self.applied = (self.name, version)


class Residents:
    """All of them, those used longest ago first."""

    def __init__(self, device: Device, world: SceneWorld, *, clock: Clock, budget_bytes: int) -> None:
        self._device, self._world, self._clock = device, world, clock
        self.budget_bytes = budget_bytes
        self._held: OrderedDict[Hashable, Resident] = OrderedDict()
        self.loading = ""
        self._slowness = 1.0

    def __contains__(self, ident: object) -> bool:
        return ident in self._held

    @property
    def held_bytes(self) -> int:
        """What they take together."""
        return sum(resident.size_bytes for resident in self._held.values())

    def use(self, world: SceneWorld) -> None:
        """Draw with another world from now on."""
        self._world = world

    def get(self, ident: Hashable) -> Resident | None:
        """One of them, which is used now; None when it is not here."""
        found = self._held.get(ident)
        if found is not None:
            self._held.move_to_end(ident)
        return found

    def told(self, on_air: Collection[Hashable]) -> list[ResidentScene]:
        """For status: those used last first."""
        return [
            ResidentScene(held.name, held.key, held.size_bytes, held.ident in on_air, held.read)
            for held in reversed(self._held.values())
        ]

    def load_file(
        self,
        name: str,
        key: str,
        file: Path,
        *,
        keep: Collection[Hashable],
        stage_from_scene: Array | None = None,
        practice: bool = True,
    ) -> Generator[int]:
        """Put a compiled state on the GPU in slices and, for `practice`, make its programs ready. Yields what the next
        slice needs, ns.

        Raises
        ------
        FrozenSceneError, FileNotFoundError, SceneMemoryError
        """
        if self.get(key) is not None:
            return
        self.loading = name
        try:
            thaw = Thaw(self._device, file)
            self.make_room(thaw.size_bytes, keep=keep, name=name)
            course = _Course(self._clock, self._slowness)
            yield from course.through(thaw.slices())
            uploaded = course.longest_ns
            assert thaw.scene is not None
            try:
                if practice:
                    yield from course.through(
                        practise(self._device, self._world, thaw.scene, self._clock, stage_from_scene)
                    )
            except BaseException:
                self._world.scene_pass.forget(thaw.scene)
                thaw.release()
                raise
            self._slowness = course.slowness
            log.info(
                "scene %s is ready: %.0f MB in %d slices, the longest upload %.1f ms, the longest practice %.1f ms",
                name, thaw.size_bytes / 1e6, course.count, uploaded / NS_PER_MS, course.longest_ns / NS_PER_MS,
            )  # fmt: skip
            self._held[key] = Resident(name, key, key, thaw.scene, thaw, thaw.size_bytes)
        finally:
            self.loading = ""

    def load_config(
        self, name: str, ident: Hashable, config: SceneConfig, folder: Path, *, keep: Collection[Hashable]
    ) -> Resident:
        """Read a scene from its files, all at once. Raises as `Scene`, and SceneMemoryError."""
        found = self.get(ident)
        if found is None:
            scene = Scene(self._device, config, folder)
            try:
                self.make_room(scene.size_bytes, keep=keep, name=name)
            except BaseException:
                scene.release()
                raise
            read = read_hash(config, folder)
            found = self._held[ident] = Resident(name, ident, "", scene, None, scene.size_bytes, read)
        return found

    def practise(self, ident: Hashable) -> Generator[int]:
        """Use the programs of one of them once, as `load_file` does: none is compiled when it is switched to. Yields
        what the next slice needs, ns."""
        held = self.get(ident)
        if held is None:
            return
        with contextlib.closing(practise(self._device, self._world, held.scene, self._clock)) as steps:
            for needed_ns in steps:
                yield needed_ns
                if self._held.get(ident) is not held:
                    return

    def rehearse(self, ident: Hashable, edits: Mapping[str, Any]) -> Generator[int]:
        """Get ready what edits of one of them need, a piece at a time; harmless when it is not here. Yields what the
        next slice needs, ns."""
        held = self.get(ident)
        if held is None:
            return
        target = ViewTarget(self._device, _PRACTICE_PX, _PRACTICE_PX, "f2")
        needed_ns = _FIRST_PRACTICE_NS
        try:
            yield needed_ns
            steps = rehearse(
                self._world.scene_pass,
                held.scene,
                known_edits(held.scene, edits),
                stage_from_scene=np.eye(4),
                target=target.framebuffer,
            )
            began_ns = self._clock.now_ns()
            for _ in steps:
                self._device.finish()
                needed_ns = max(self._clock.now_ns() - began_ns, needed_ns * 3 // 4)
                yield needed_ns
                began_ns = self._clock.now_ns()
                if held.ident not in self._held:
                    return
        finally:
            target.release()

    def make_room(self, size_bytes: int, *, keep: Collection[Hashable], name: str) -> None:
        """Let scenes go until `size_bytes` more fit. Raises SceneMemoryError, letting none go, when they never will."""
        free = [ident for ident in self._held if ident not in keep]
        kept_bytes = sum(held.size_bytes for ident, held in self._held.items() if ident in keep)
        if kept_bytes + size_bytes > self.budget_bytes:
            needed, held = size_bytes / 1e6, kept_bytes / 1e6
            raise SceneMemoryError(
                Problem(
                    SceneMemoryError.code,
                    f"scenes/{name}",
                    f"it needs {needed:.0f} MB beside {held:.0f} MB that must stay, and {self.budget_bytes / 1e6:.0f} "
                    "MB is all there may be",
                    mend="keep fewer scenes ready, make it smaller, or raise render/scene_memory_mb",
                )
            )
        for ident in free:
            if self.held_bytes + size_bytes <= self.budget_bytes:
                break
            self.drop(ident)

    def drop(self, ident: Hashable) -> None:
        """Let one go; harmless when it is not here."""
        held = self._held.pop(ident, None)
        if held is None:
            return
        self._world.scene_pass.forget(held.scene)
        if held.thawed is not None:
            held.thawed.release()
        else:
            held.scene.release()

    def keep_only(self, wanted: Collection[Hashable]) -> None:
        """Let all others go that were read from files: those of the cache stay while there is room."""
        for ident in [ident for ident, held in self._held.items() if not held.key and ident not in wanted]:
            self.drop(ident)

    def release(self) -> None:
        """Let all of them go."""
        for ident in list(self._held):
            self.drop(ident)


class _Course:
    """Goes through slices, and learns from how long they took how long those to come will."""

    def __init__(self, clock: Clock, slowness: float) -> None:
        self._clock = clock
        self.slowness = slowness
        """How much longer slices took than they said."""
        self.count, self.longest_ns = 0, 0

    def through(self, slices: Generator[int]) -> Generator[int]:
        """The same slices, with what they need as it was lately."""
        self.longest_ns = 0
        said_ns = 0
        with contextlib.closing(slices):
            while True:
                began_ns = self._clock.now_ns()
                needed_ns = next(slices, None)
                took_ns = self._clock.now_ns() - began_ns
                self.count += 1
                self.longest_ns = max(self.longest_ns, took_ns)
                if said_ns:
                    # Half of what was learned is forgotten each time: one stall of the host is not for ever.
                    self.slowness = max(1.0, took_ns / said_ns, (self.slowness + 1.0) / 2.0)
                if needed_ns is None:
                    return
                said_ns = needed_ns
                yield int(needed_ns * min(self.slowness, MOST_SLOWNESS))


def practise(
    device: Device, world: SceneWorld, scene: Scene, clock: Clock, stage_from_scene: Array | None = None
) -> Generator[int]:
    """Draw a scene's shadows, and then one piece of everything it is made of, each looked at from the stage's middle;
    nothing of it is shown. Programs are compiled and buffers first used here, not on air. Yields what the next step
    needs, ns."""
    place = np.eye(4) if stage_from_scene is None else stage_from_scene
    target = ViewTarget(device, _PRACTICE_PX, _PRACTICE_PX, "f2")
    eye = np.array([0.0, 0.0, 1.7])
    near, far = 0.05, 20_000.0
    clip = np.array(
        [
            [_NARROW, 0.0, 0.0, 0.0],
            [0.0, _NARROW, 0.0, 0.0],
            [0.0, 0.0, -(far + near) / (far - near), -2.0 * far * near / (far - near)],
            [0.0, 0.0, -1.0, 0.0],
        ]
    )
    longest_ns = _FIRST_PRACTICE_NS
    try:
        yield longest_ns + (scene.triangles * _SHADOW_NS if device.capabilities.software else 0)
        # All there is to edit is gathered here, not at the first edit.
        scene.edited({})
        world.scene_pass.prepare(scene, stage_from_scene=place, scene_time_s=0.0)
        device.finish()
        centres = scene.placement.bounds()[0] @ place[:3, :3].T + place[:3, 3]
        firsts = np.unique(scene.draws.batch_of, return_index=True)[1]
        # The sky first.
        for piece in (-1, *firsts.tolist()):
            yield longest_ns
            began_ns = clock.now_ns()
            world.scene_pass.draw(
                scene,
                view_from_stage=_looking(eye, centres[piece] if piece >= 0 else eye + _UP),
                clip_from_view=clip,
                stage_from_scene=place,
                target=target.framebuffer,
            )
            device.finish()
            # One long compilation says little of the next.
            longest_ns = max(clock.now_ns() - began_ns, longest_ns * 3 // 4)
    finally:
        target.release()


def _looking(eye: Array, at: Array) -> Array:
    """`view_from_stage` of a view from `eye` to `at`."""
    forward = np.asarray(at, dtype=np.float64) - eye
    length = float(np.linalg.norm(forward))
    forward = forward / length if length > 1e-6 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, [0.0, 0.0, 1.0])
    side = float(np.linalg.norm(right))
    right = right / side if side > 1e-6 else np.array([1.0, 0.0, 0.0])
    out = np.eye(4)
    out[:3, :3] = np.stack([right, np.cross(right, forward), -forward])
    out[:3, 3] = -out[:3, :3] @ eye
    return out
