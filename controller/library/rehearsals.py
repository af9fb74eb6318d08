"""Edits made in the darkroom before they are made on air: what compiles there lies in the driver's cache, and tables of
skies on disk, when the nodes come to need them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from controller.library.cache import TABLES_FOLDER, SceneCache
from controller.messages import RehearseEdits
from controller.resident import apply_known
from controller.show import Snapshot
from controller.snapshots import running_config
from renderer.atmosphere import keep_tables
from renderer.device import Device
from renderer.frozen import Thaw, thaw
from renderer.passes.target import ViewTarget
from renderer.scene import Scene
from renderer.scene_world import SceneWorld

_PX = 16


class Rehearsals:
    """Keeps the scene that was edited last: the next edit is most likely of the same."""

    def __init__(self, device: Device, world: SceneWorld) -> None:
        self._device, self._world = device, world
        self._held: tuple[tuple[int, str, str], Scene, Thaw | None] | None = None

    def make(self, snapshot: Snapshot, message: RehearseEdits) -> None:
        """Show what edits come to, to nobody. Raises OpenVolumeError, OSError: the scene cannot be read."""
        cache = SceneCache(Path(snapshot.scene_cache))
        keep_tables(cache.folder / TABLES_FOLDER)
        scene = self._scene(snapshot, cache, message)
        apply_known(scene, message.edits)
        target = ViewTarget(self._device, _PX, _PX, "f2")
        try:
            for _ in self._world.scene_pass.warm(scene, stage_from_scene=np.eye(4), target=target.framebuffer):
                self._device.finish()
        finally:
            target.release()

    def release(self) -> None:
        """Let the scene go."""
        if self._held is not None:
            _, scene, thawed = self._held
            self._world.scene_pass.forget(scene)
            if thawed is not None:
                thawed.release()
            else:
                scene.release()
            self._held = None

    def _scene(self, snapshot: Snapshot, cache: SceneCache, message: RehearseEdits) -> Scene:
        ident = (snapshot.show.config_version, message.scene, message.key)
        if self._held is not None and self._held[0] == ident:
            return self._held[1]
        self.release()
        if message.key and cache.has(message.key):
            thawed = thaw(self._device, cache.scene(message.key))
            assert thawed.scene is not None
            self._held = ident, thawed.scene, thawed
        else:
            config = running_config(snapshot).scenes[message.scene]
            self._held = ident, Scene(self._device, config, Path(snapshot.base_dir)), None
        return self._held[1]
