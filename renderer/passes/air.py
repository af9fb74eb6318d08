"""The air of a scene as the shaders take it: fog, and the physical sky's shape (`shaders/scene/air.glsl`)."""

from __future__ import annotations

from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.atmosphere import AZIMUTHS, DOWN_ROWS, HAZE_G, SUN_RADIUS_RAD, UP_ROWS
from renderer.device import Device
from renderer.passes.occlusion import OCCLUSION_UNIT
from renderer.scene import Scene
from renderer.sky import OCTAHEDRON_PX as SKY_OCTAHEDRON_PX

AIR_BINDING: Final = 6
_FLOATS: Final = 8 * 4
_THINNEST: Final = -80.0
"""Logarithm of a density that takes nothing away over any distance."""

AIR_CONSTANTS: Final[dict[str, object]] = {
    "SKY_AZIMUTHS": AZIMUTHS,
    "SKY_UP_ROWS": UP_ROWS,
    "SKY_DOWN_ROWS": DOWN_ROWS,
    "HAZE_G": HAZE_G,
    "SUN_RADIUS": repr(float(SUN_RADIUS_RAD)),
}
"""What the shaders' text is made with, the same for every scene."""


def air_defines(scene: Scene) -> dict[str, int]:
    """What every surface's program depends on: what lights it from all round, and the fog before it."""
    light = (scene.sky is not None and scene.sky.config.light) or (
        scene.sky is None and scene.dome is not None and scene.dome_config.light
    )
    out = {"DOME_LIGHT": int(light), "REFLECTIONS": int(light), **_fog(scene)}
    out["OCCLUSION"] = int(scene.occlusion is not None)
    if scene.sky is not None:
        out["OCTAHEDRON_PX"] = SKY_OCTAHEDRON_PX
    return out


def _fog(scene: Scene) -> dict[str, int]:
    glows = scene.fog is not None and scene.fog.sun_glow > 0.0 and scene.sun is not None
    return {"FOG": int(scene.fog is not None), "FOG_GLOW": int(glows)}


def backdrop_defines(scene: Scene) -> dict[str, int]:
    """What the program of the background depends on."""
    dome = scene.sky is None and scene.dome is not None and scene.dome_config.background
    sky = scene.sky is not None and scene.sky.config.background
    return {"DOME": int(dome), "SKY": int(sky), **_fog(scene), "SUN": int(scene.sun is not None)}


def has_backdrop(scene: Scene) -> bool:
    """Whether something but a plain colour is seen where no surface is."""
    defines = backdrop_defines(scene)
    return bool(defines["DOME"] or defines["SKY"] or defines["FOG"])


def dome_turn(scene: Scene, rad_per_px: float) -> tuple[float, float, float, float]:
    """Turn, brightness and mip of what is all round (`dome_turn` of shaders/scene/view.glsl)."""
    if scene.sky is not None:
        yaw = np.radians(scene.sky.yaw_deg)
        return float(np.cos(yaw)), float(np.sin(yaw)), scene.sky.brightness, 0.0
    yaw = np.radians(scene.dome_config.yaw_deg)
    mip = 0.0 if scene.dome is None else max(0.0, float(np.log2(scene.dome.texels_per_rad * rad_per_px)))
    return float(np.cos(yaw)), float(np.sin(yaw)), scene.dome_light, mip


class AirBlock:
    """The uniform block of one view's air; it costs nothing for a scene that has none."""

    def __init__(self, device: Device) -> None:
        self._buffer = device.ctx.buffer(reserve=4 * _FLOATS)

    def write(self, scene: Scene, eye_in_scene: NDArray[np.float64], rad_per_px: float) -> None:
        """Bind the block for a view from `eye_in_scene`, [3], one of whose pixels spans `rad_per_px`."""
        if scene.fog is None and scene.sky is None and scene.occlusion is None:
            return
        out = np.zeros((8, 4), dtype=np.float32)
        fog = scene.fog
        if fog is not None:
            fall = 0.0 if fog.falloff_m is None else 1.0 / fog.falloff_m
            out[0:3, :3] = scene.fog_light
            out[0, 3] = np.clip(np.log(3.0 / fog.distance_m) - fall * (eye_in_scene[2] - fog.base_m), _THINNEST, 20.0)
            out[1, 3], out[2, 3] = fall, fog.sky_distance_m
            if scene.sun is not None:
                out[3, :3] = scene.sun.light * (np.pi * fog.sun_glow)
            out[3, 3], out[4, 0] = np.exp(out[0, 3]), fog.glow_forward
        if scene.sky is not None:
            out[5] = scene.sky.table.dip_rad, rad_per_px, scene.sky.config.disc, 0.0
        if scene.occlusion is not None and scene.config.occlusion is not None:
            box, config = scene.occlusion, scene.config.occlusion
            out[5, 3] = config.strength
            out[6] = *(1.0 / box.size_m), 0.75 * box.cell_m
            out[7] = *((eye_in_scene - box.low_m) / box.size_m), config.least
        self._buffer.orphan()
        self._buffer.write(out.tobytes())
        self._buffer.bind_to_uniform_block(AIR_BINDING)

    def release(self) -> None:
        """Free it."""
        self._buffer.release()


def bind_surroundings(scene: Scene, *, reflections_unit: int, background_unit: int) -> None:
    """Bind what the scene is lit by and stands before: its sky, or its dome; nothing where it has neither."""
    around: tuple[moderngl.Texture3D, moderngl.Texture] | None = None
    if scene.sky is not None:
        around = scene.sky.reflections, scene.sky.texture
    elif scene.dome is not None:
        around = scene.dome.reflections, scene.dome.background
    if around is not None:
        around[0].use(reflections_unit)
        around[1].use(background_unit)
    if scene.occlusion is not None:
        scene.occlusion.texture.use(OCCLUSION_UNIT)
