"""Compiling a scene into the cache: what the darkroom does when it is asked, off air and at its leisure.

Reading, decoding, sorting and filtering all happen here; what comes out is mapped by the nodes. The scene is drawn once
for its thumbnail, which also leaves its programs in the driver's own cache for the nodes to find.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.errors import ControllerError
from controller.library.cache import CompiledState, SceneCache
from controller.library.inputs import content_hash, inputs_of, state_key
from renderer.config import SceneConfig, asset_path
from renderer.device import Device
from renderer.frozen import freeze
from renderer.passes.target import ViewTarget
from renderer.scene import Scene
from renderer.scene_file import files_of
from renderer.scene_world import SceneWorld
from renderer.twin.display import srgb8
from runtime.clock import NS_PER_MS, Clock
from stage.errors import OpenVolumeError, Problem
from stage.frames import Array

THUMBNAIL_PX: Final = (320, 180)
EYE_M: Final = (0.0, 0.0, 1.7)


class SceneChangedError(ControllerError):
    """A file of the scene changed while it was compiled: whoever writes it is not done."""

    code = "controller.scene_changed"


def key_of(config: SceneConfig, folder: Path) -> str:
    """The state a scene's files are in now.

    Raises
    ------
    SceneFileError : one is not there. OSError : one cannot be read.
    """
    for place, name in files_of(config):
        asset_path(folder, name, path=place)
    return state_key(config, inputs_of(config, folder))


def compile_scene(
    device: Device,
    world: SceneWorld,
    config: SceneConfig,
    folder: Path,
    cache: SceneCache,
    *,
    scene_id: str,
    clock: Clock,
    stage_from_scene: Array | None = None,
    keep: Collection[str] = (),
) -> tuple[CompiledState, bool]:
    """The compiled state of a scene's files as they are now, and whether it was in the cache already.

    Raises
    ------
    SceneFileError, AssetError (and its kinds), SceneChangedError, FrozenSceneError, OSError
    """
    began_ns = clock.now_ns()
    key = key_of(config, folder)
    known = cache.about(key) if cache.has(key) else None
    if known is not None:
        cache.touch(key)
        return known, True
    inputs = inputs_of(config, folder)
    scene = Scene(device, config, folder)
    try:
        hashes = {_name(file, folder): content_hash(file) for file in inputs.files}
        if inputs.changed() or state_key(config, inputs) != key:
            problem = "its files change while it is compiled"
            raise SceneChangedError(
                Problem(SceneChangedError.code, f"scenes/{scene_id}", problem, None, "wait until they are written")
            )
        # What can be edited is listed here once, not by a node at the first edit on air.
        scene.apply({})
        cache.begin()
        size = freeze(device, scene, cache.scene(key))
        picture = thumbnail(device, world, scene, stage_from_scene)
        write_jpeg(cache.thumbnail(key), picture)
        state = CompiledState(
            key=key,
            scene=scene_id,
            size_bytes=size,
            gpu_bytes=scene.size_bytes,
            triangles=scene.triangles,
            draws=len(scene.draws.commands),
            took_ms=(clock.now_ns() - began_ns) / NS_PER_MS,
            t_tai_ns=clock.tai_ns(),
            files=hashes,
            notes=list(scene.notes),
        )
        cache.finish(state)
    finally:
        world.scene_pass.forget(scene)
        scene.release()
    cache.make_room(keep={key, *keep})
    return state, False


def thumbnail(
    device: Device, world: SceneWorld, scene: Scene, stage_from_scene: Array | None = None
) -> NDArray[np.uint8]:
    """The scene as a talent on the stage's middle sees it looking forward, [180, 320, 3]."""
    width, height = THUMBNAIL_PX
    wide = np.tan(np.radians(35.0))
    near, far = 0.05, 20_000.0
    clip = np.array(
        [
            [1.0 / wide, 0.0, 0.0, 0.0],
            [0.0, width / (wide * height), 0.0, 0.0],
            [0.0, 0.0, -(far + near) / (far - near), -2.0 * far * near / (far - near)],
            [0.0, 0.0, -1.0, 0.0],
        ]
    )
    # Twice as fine, then averaged: small pictures of fine detail must not sparkle.
    target = ViewTarget(device, 2 * width, 2 * height, "f2")
    eye = np.array(EYE_M)
    looking = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = looking, -looking @ eye
    world.scene_pass.draw(
        scene,
        view_from_stage=view,
        clip_from_view=clip,
        stage_from_scene=np.eye(4) if stage_from_scene is None else stage_from_scene,
        target=target.framebuffer,
    )
    target.finish(mips=False)
    light = device.read(target.framebuffer, dtype="f2")[::-1, :, :3].astype(np.float32)
    target.release()
    return srgb8(light.reshape(height, 2, width, 2, 3).mean(axis=(1, 3)))


def problems_of(error: Exception, scene: str) -> list[Problem]:
    """A fault of compiling as problems whose paths begin at the scene."""
    if isinstance(error, OpenVolumeError):
        return [
            Problem(p.code, f"scenes/{scene}/{p.path}" if not p.path.startswith("scenes/") else p.path,
                    p.detail, p.value, p.mend, p.line)
            for p in error.problems
        ]  # fmt: skip
    if isinstance(error, OSError):
        what = f"{error.filename or 'a file'}: {error.strerror or error}"
        return [Problem("controller.scene_file", f"scenes/{scene}", what, None, "put the file there, or make room")]
    detail = f"{type(error).__name__}: {error}"
    return [Problem("controller.scene_broken", f"scenes/{scene}", detail, None, "export the asset again")]


def _name(file: Path, folder: Path) -> str:
    try:
        return str(file.relative_to(folder.resolve()))
    except ValueError:
        return str(file)


def write_jpeg(path: Path, picture: NDArray[np.uint8]) -> None:
    """Put a picture, [h, w, 3], in place whole. Raises OSError."""
    import simplejpeg

    partial = path.with_name(f".{path.name}")
    partial.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=85, colorspace="RGB"))
    partial.rename(path)
