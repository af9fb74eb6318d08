"""What an edit of a scene will need of the GPU and has not got yet, made ready before the edit holds: programs of
materials that change their kind, of lights and air that come or go, pictures no material read until now, a sky's table.

Nothing that is shown changes: the scene keeps its configuration; every step draws a single mesh into a small target.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import moderngl
import numpy as np
from numpy.typing import ArrayLike

from renderer.air_config import SkyConfig
from renderer.atmosphere import sky_table
from renderer.config import SceneConfig, SunConfig
from renderer.materials import MaterialDraw
from renderer.passes.scene import ScenePass
from renderer.scene import Scene, Sun
from renderer.sky import air_of


def rehearse(
    scene_pass: ScenePass,
    scene: Scene,
    edits: Mapping[str, Any],
    *,
    stage_from_scene: ArrayLike,
    target: moderngl.Framebuffer,
) -> Iterator[None]:
    """Make ready what `scene` needs to show `edits` (all that will hold), a piece a step. What is there takes no step.

    Raises
    ------
    UnknownAddressError, EditValueError : nothing was made ready.
    """
    config = scene.edited(edits)
    if config.sky is not None and scene.sky is not None and air_of(config.sky) != air_of(scene.sky.config):
        # Worked out off air and kept in a file, or here and now, where nobody did.
        sky_table(air_of(config.sky))
        yield
    look = _looking_so(scene, config, scene.coming_materials(config))
    try:
        yield from scene_pass.rehearse(scene, look, stage_from_scene=stage_from_scene, target=target)
    finally:
        scene_pass.forget(look)


def _looking_so(scene: Scene, config: SceneConfig, materials: Mapping[int, MaterialDraw]) -> Scene:
    """A scene of the same things that says of itself what it will say: for choosing programs, never for showing."""
    look = copy.copy(scene)
    look.config, look.fog = config, config.fog
    look.draws = replace(
        scene.draws,
        batches=[replace(b, material=materials.get(b.material.index, b.material)) for b in scene.draws.batches],
    )
    shines: SunConfig | SkyConfig | None = config.sun
    if config.sky is not None and scene.sky is not None:
        look.sky = copy.copy(scene.sky)
        look.sky.config = config.sky
        shines = config.sky if config.sky.sun else None
    if config.dome is not None:
        look.dome_config = config.dome
        lit = scene.dome is not None and config.dome.light
        look.sh = scene.dome.light_block(0.0, 1.0) if scene.dome is not None and lit else np.zeros((9, 4))
    if config.sun is not None or config.sky is not None:
        # Else it is a lamp of an asset, which edits do not switch.
        look.sun = None if shines is None else Sun(np.array([0.0, 0.0, 1.0]), np.ones(3), shines.shadow)
    return look
