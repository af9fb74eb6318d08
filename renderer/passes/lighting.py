"""What every view of a scene shares of its lights: the sun's and the lamps' shadows, the lamps, and where they reach.

Brought up to date once a frame, whatever the number of views; what has not changed is not drawn or sent again.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from renderer.device import Device
from renderer.lights import CAPACITY, SHADOW_MAPS_MOST, Grid, Lamp
from renderer.passes.casters import Casters, ShadowStatistics
from renderer.passes.lamp_shadow import FAR, NEAR_M, SIX_VIEWS, LampShadows
from renderer.passes.shadow import CASCADES_MOST, EDGE, MARGIN_TEXELS, Fit, ShadowPass
from renderer.scene import F32, F64, Scene
from stage.frames import Array

SUN_UNIT, MOVING_UNIT, LAMP_UNIT = 6, 8, 9
"""Texture units of the shadow maps."""
_SUN_BLOCK, _LAMP_BLOCK, _CELL_BUFFER = 2, 3, 0
_LAMPS_BYTES: Final = 32 + 64 * CAPACITY + 48 * SHADOW_MAPS_MOST

_CONSTANTS: Final[dict[str, object]] = {
    "SHADOW_CASCADES_MOST": CASCADES_MOST,
    "SHADOW_EDGE": EDGE,
    "SHADOW_MARGIN": f"{MARGIN_TEXELS}.0",
    "LAMP_CAPACITY": CAPACITY,
    "LAMP_VIEWS": SHADOW_MAPS_MOST,
    "LAMP_NEAR": NEAR_M,
    "LAMP_FAR": FAR,
    "SIX_VIEWS": SIX_VIEWS,
}


def constants(*, software: bool) -> dict[str, object]:
    """Defines of the shaders that are lit.

    Nine filtered lookups soften a shadow's edge; without a GPU they would be half of the picture. They reach two
    texels aside, and so further up a surface that is seen at a slant by the light.
    """
    if software:
        return {**_CONSTANTS, "SHADOW_TAPS": 1, "SHADOW_SLOPE": 1.0, "LAMP_OFF": 1.5}
    return {**_CONSTANTS, "SHADOW_TAPS": 9, "SHADOW_SLOPE": 2.5, "LAMP_OFF": 3.0}


class Lighting:
    """The lights of one scene on the GPU."""

    def __init__(self, device: Device, scene: Scene, *, shadow_px: int, lamp_px: int) -> None:
        ctx = device.ctx
        self._scene = scene
        self._casters = Casters(device, scene)
        self.sun = ShadowPass(device, shadow_px, self._casters)
        self.lamps = LampShadows(device, lamp_px, self._casters)
        self.grid = Grid()
        self.fit: Fit | None = None
        self._ctx = ctx
        self._sun_block = ctx.buffer(reserve=16 * (2 * CASCADES_MOST + 2))
        self._sun_sent: Fit | None = None
        self._lamp_block = ctx.buffer(reserve=_LAMPS_BYTES)
        self._lamps_state: tuple[int, bytes, int] | None = None
        self._swept: tuple[F64, F64] | None = None
        self._cells = ctx.buffer(reserve=4)
        self._cells_sent: bytes | None = None
        self._origin_m = np.zeros(3)
        self._shining: list[Lamp] = []
        self._version = -1

    @property
    def statistics(self) -> ShadowStatistics:
        """What the shadows have cost since the scene came on."""
        return self._casters.statistics

    def update(self, stage_from_scene: Array) -> Fit | None:
        """Once a frame, before its views: draw the maps and send the lights that have changed."""
        scene = self._scene
        has_sun = scene.sun is not None and scene.sun.shadow
        self.fit = self.sun.update(scene, stage_from_scene) if has_sun else None
        if self.fit is not None and self.fit is not self._sun_sent:
            self._sun_sent = self.fit
            self._sun_block.write(self.fit.block().tobytes())
        if scene.lights.version != self._version:
            self._version = scene.lights.version
            self._shining = scene.lights.lit()
        if self._shining:
            stage = np.linalg.solve(np.asarray(stage_from_scene, dtype=np.float64), [0.0, 0.0, 0.0, 1.0])[:3]
            self._origin_m = np.round(stage)
            self.lamps.update(scene, self._shining)
            self._send_lamps()
        return self.fit

    def _send_lamps(self) -> None:
        scene, lamps = self._scene, self._shining
        state = scene.lights.version, self._origin_m.tobytes(), self.lamps.version
        if state == self._lamps_state and scene.placement.swept is self._swept:
            return
        self._lamps_state, self._swept = state, scene.placement.swept
        centres, radii = scene.placement.swept
        if len(centres):
            low, high = (centres - radii[:, None]).min(axis=0), (centres + radii[:, None]).max(axis=0)
        else:
            low = high = np.zeros(3)
        self.grid.update(lamps, low, high)
        head = np.zeros(8, dtype=np.float32)
        head[:3], head[3] = self.grid.low_m - self._origin_m, 1.0 / self.grid.cell_m
        head[4:].view(np.int32)[:3] = self.grid.size
        rows = np.zeros((CAPACITY, 16), dtype=np.float32)
        for i, lamp in enumerate(lamps):
            rows[i, 4:7], rows[i, 7] = lamp.light, lamp.radius_m
            rows[i, 8:11], rows[i, 12:] = lamp.axis, (0.0, 1.0, -1.0, -1.0)
            if lamp.kind == "directional":
                rows[i, :3] = -np.asarray(lamp.axis)
                continue
            rows[i, :3] = np.asarray(lamp.position_m) - self._origin_m
            rows[i, 3] = 1.0 / lamp.range_m**2
            if lamp.kind == "spot":
                scale = 1.0 / max(0.001, lamp.inner_cos - lamp.outer_cos)
                rows[i, 12:14] = scale, -lamp.outer_cos * scale
            if i in self.lamps.codes:
                rows[i, 11], rows[i, 14:] = self.lamps.texels[i], self.lamps.codes[i]
        views = self.lamps.views(lamps, self._origin_m)
        self._lamp_block.orphan()
        self._lamp_block.write(head.tobytes() + rows.tobytes() + views.tobytes())
        cells = self.grid.cells.tobytes()
        if cells != self._cells_sent:
            self._cells_sent = cells
            self._cells.orphan(len(cells))
            self._cells.write(cells)

    def defines(self) -> dict[str, int]:
        """What of it every lit surface's program depends on."""
        fit, lamps = self.fit, self._shining
        local = [lamp for lamp in lamps if lamp.kind != "directional"]
        return {
            "SHADOW": int(fit is not None),
            "SHADOW_CASCADES": 0 if fit is None else len(fit.cascades),
            "MOVING_SHADOW": int(fit is not None and fit.moving is not None),
            "LAMPS": int(bool(lamps)),
            "LAMP_WORDS": (len(lamps) + 31) // 32 if local else 0,
            "DIRECTIONALS": len(lamps) - len(local),
            "LAMP_SHADOWS": int(bool(lamps) and bool(self.lamps.codes)),
            "LAMP_SIZES": int(any(lamp.radius_m > 0.0 for lamp in local)),
        }

    def bind(self) -> None:
        """Make maps and buffers those the surfaces read."""
        if self.fit is not None:
            assert self.sun.map is not None
            self.sun.map.use(SUN_UNIT)
            if self.sun.moving_map is not None:
                self.sun.moving_map.use(MOVING_UNIT)
            self._sun_block.bind_to_uniform_block(_SUN_BLOCK)
        if self._shining:
            self._lamp_block.bind_to_uniform_block(_LAMP_BLOCK)
            self._cells.bind_to_storage_buffer(_CELL_BUFFER)
            if self.lamps.map is not None:
                self.lamps.map.use(LAMP_UNIT)

    def shadow_from_relative(self, eye_in_scene: F64) -> F64 | None:
        """[4, 4]  a place in the coarsest cascade, 0..1, from scene metres relative to the eye; None without a sun's
        shadow."""
        if self.fit is None:
            return None
        shift = np.eye(4)
        shift[:3, 3] = eye_in_scene - self.fit.origin_m
        half = np.diag([0.5, 0.5, 0.5, 1.0])
        half[:3, 3] = 0.5
        return np.asarray(half @ self.fit.clip_from_relative @ shift)

    def texels(self) -> tuple[float, float]:
        """One texel of a cascade, and of the map of what moves, as shares of the map."""
        if self.fit is None:
            return 0.0, 0.0
        return 1.0 / self.fit.size_px, 1.0 / self.fit.moving_px

    def eye_in_lights(self, eye_in_scene: F64) -> F64:
        """[3]  the eye, relative to where the lamps' positions are counted from."""
        return np.asarray(eye_in_scene - self._origin_m)

    def release(self) -> None:
        """Free all of it."""
        self.sun.release()
        self.lamps.release()
        self._casters.release()
        for buffer in (self._sun_block, self._lamp_block, self._cells):
            buffer.release()


def view_floats(lighting: Lighting | None, eye_in_scene: F64) -> F32:
    """[20]  shadow_from_relative, column by column, and eye_in_lights of the View block."""
    out = np.zeros(20, dtype=np.float32)
    if lighting is not None:
        shadow = lighting.shadow_from_relative(eye_in_scene)
        if shadow is not None:
            out[:16] = shadow.T.reshape(16)
        out[16:19] = lighting.eye_in_lights(eye_in_scene)
    return out
