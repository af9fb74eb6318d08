"""Draws stars and moon onto a night's sky: a few small squares a view. By day nothing is made or drawn."""

from __future__ import annotations

from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.device import Device
from renderer.night import Night
from renderer.shaders import source
from renderer.stars import STARS

WIDE_PX: Final = 0.8
"""Standard deviation of a star's dot: narrower ones would flicker from pixel to pixel."""
_REACH_PX: Final = 4.0
_FLOATS: Final = 7


class NightPass:
    """Stars and moon of the scenes a scene pass draws."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._arrays: dict[bool, moderngl.VertexArray] = {}
        self._buffer: moderngl.Buffer | None = None

    def draw(
        self,
        night: Night,
        clip_from_relative: NDArray[np.float64],
        *,
        rad_per_px: float,
        size_px: tuple[int, int],
        gain: float,
        fog: bool,
    ) -> None:
        """Add them to the picture that is drawn now, where no surface is. `gain` multiplies their light.

        clip_from_relative : [4, 4]  with the eye as origin, along the scene's axes
        """
        rows = np.zeros((len(night.stars) + 1, _FLOATS), dtype=np.float32)
        rows[:-1, :3] = night.stars
        rows[:-1, 3] = _REACH_PX
        spot_sr = 2.0 * np.pi * (WIDE_PX * rad_per_px) ** 2
        rows[:-1, 4:] = night.star_light @ self._device.working_from_rec709.T * (gain / spot_sr)
        rows[-1, :3] = night.moon
        rows[-1, 3] = 1.5 * night.moon_radius_rad / rad_per_px + 2.0
        rows[-1, 4:] = self._device.working_from_rec709 @ night.moon_light * gain
        array = self._array(fog, rows.tobytes())
        program = array.program
        values = {
            "last": len(rows) - 1,
            "pixel": (2.0 / size_px[0], 2.0 / size_px[1]),
            "size_px": size_px,
            "moon_direction": tuple(night.moon),
            "moon_sun": tuple(night.moon_sun),
            "moon_radius": night.moon_radius_rad,
        }
        for name, value in values.items():
            uniform = program.get(name, None)
            if isinstance(uniform, moderngl.Uniform):
                uniform.value = value
        inverse = program.get("relative_from_clip", None)
        if isinstance(inverse, moderngl.Uniform):
            inverse.write(np.ascontiguousarray(np.linalg.inv(clip_from_relative).T, dtype=np.float32).tobytes())
        ctx = self._device.ctx
        ctx.disable(moderngl.CULL_FACE)
        ctx.enable(moderngl.BLEND)
        ctx.blend_func = moderngl.ONE, moderngl.ONE
        array.render(moderngl.TRIANGLE_STRIP, vertices=4, instances=len(rows))
        ctx.disable(moderngl.BLEND)
        ctx.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA

    def _array(self, fog: bool, data: bytes) -> moderngl.VertexArray:
        ctx = self._device.ctx
        if self._buffer is None or self._buffer.size < len(data):
            self.release()
            self._buffer = ctx.buffer(reserve=max(len(data), 4 * _FLOATS * (len(STARS) + 1)))
            self._buffer.write(data)
        else:
            self._buffer.orphan()
            self._buffer.write(data)
        if fog not in self._arrays:
            defines: dict[str, object] = {
                "WIDE": repr(WIDE_PX), "FOG": int(fog), "FOG_GLOW": 0, "SKY": 0, "OCCLUSION": 0,
            }  # fmt: skip
            program = ctx.program(source("scene/night.vert", defines), source("scene/night.frag", defines))
            self._arrays[fog] = ctx.vertex_array(program, [(self._buffer, "4f 3f/i", "in_place", "in_light")])
        return self._arrays[fog]

    def release(self) -> None:
        """Free it."""
        for array in self._arrays.values():
            array.program.release()
            array.release()
        self._arrays.clear()
        if self._buffer is not None:
            self._buffer.release()
        self._buffer = None
