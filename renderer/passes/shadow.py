"""The sun's shadow maps: depth of the casters seen from the sun, drawn again only when something in them moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.device import Device
from renderer.scene import F64, Batch, Scene
from renderer.shaders import source
from stage.frames import Array

Mask = NDArray[np.bool_]

_BIAS: Final = (1.5, 2.0)
"""Slope and constant depth offset: what keeps a lit face from shadowing itself at its own texel size."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Where the shadow maps look. `clip_from_relative` works on scene metres relative to `origin_m`."""

    origin_m: F64
    clip_from_relative: F64
    texel_m: float
    moving_scale: F64
    """[3]  a place in the map of what moves, 0..1, is place in the still map, 0..1, times this..."""
    moving_offset: F64
    """[3]  ...plus this. Both are zero when nothing that moves casts."""


def fit(scene: Scene, stage_from_scene: Array, size_px: int) -> Fit | None:
    """The maps' frusta: all casters where they are few, else what lies within the scene's shadow range.

    They follow the sun, the casters' whole movement and the stage's place alone, never a camera or the time: every
    view shares one map, and shadows do not crawl. None where there is nothing to cast.
    """
    sun = scene.sun
    casts = scene.draws.casts
    if sun is None or not sun.shadow or not casts.any():
        return None
    centres, radii = scene.swept[0][casts], scene.swept[1][casts]
    middle, reach = _round(centres, radii)
    stage_in_scene = np.linalg.solve(np.asarray(stage_from_scene, dtype=np.float64), [0.0, 0.0, 0.0, 1.0])[:3]
    if reach > scene.config.shadow_range_m:
        middle, reach = np.asarray(stage_in_scene, dtype=np.float64), scene.config.shadow_range_m
    z = sun.direction
    x = np.cross([0.0, 0.0, 1.0] if abs(z[2]) < 0.99 else [0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    turn = np.stack([x, np.cross(z, x), z])
    along = (centres - middle) @ z
    near_m, far_m = float((along + radii).max()) + 0.1, float((along - radii).min()) - 0.1
    # A caster far towards the sun still counts, one far beyond the range in depth does not.
    far_m = max(far_m, -2.0 * reach)
    clip = np.eye(4)
    clip[:2, :3] = turn[:2] / reach
    clip[2, :3] = -2.0 / (near_m - far_m) * turn[2]
    clip[2, 3] = (near_m + far_m) / (near_m - far_m)
    scale, offset = np.zeros(3), np.zeros(3)
    if scene.moving[casts].any():
        at, wide = _round(centres[scene.moving[casts]], radii[scene.moving[casts]])
        # A rim stays empty: what lies beyond the map is read there, and must find nothing.
        wide *= 1.05
        if wide < reach:
            place = 0.5 + 0.5 * (turn[:2] @ (at - middle)) / reach
            scale[:] = reach / wide, reach / wide, 1.0
            offset[:2] = 0.5 - place * scale[:2]
        else:
            scale[:] = 1.0
    return Fit(middle, clip, 2.0 * reach / size_px, scale, offset)


def _round(centres: F64, radii: F64) -> tuple[F64, float]:
    """A sphere round spheres: centre and radius."""
    low, high = (centres - radii[:, None]).min(axis=0), (centres + radii[:, None]).max(axis=0)
    middle = (low + high) / 2.0
    return middle, float((np.linalg.norm(centres - middle, axis=1) + radii).max())


class ShadowPass:
    """Draws and keeps one scene's shadow maps: `map` of what stands still, `moving_map` of what an animation moves.

    The still map is drawn when the sun or the stage's place changes, the other, small one with every step in time.
    """

    def __init__(self, device: Device, size_px: int) -> None:
        self._ctx = device.ctx
        self._size_px = size_px
        self.map, self._target = self._make(size_px)
        self.moving_map, self._moving_target = self._make(max(64, size_px // 4))
        self._programs: dict[tuple[tuple[str, int], ...], moderngl.Program] = {}
        self._arrays: dict[tuple[int, int], moderngl.VertexArray] = {}
        self._rows: moderngl.Buffer | None = None
        self._commands: moderngl.Buffer | None = None
        self._scene: Scene | None = None
        self._drawn: tuple[bytes, bytes] | None = None
        self._moved: bytes | None = None
        self.fit: Fit | None = None
        self.still_count = 0
        """How often the still map was drawn."""
        self.moving_count = 0

    def _make(self, size_px: int) -> tuple[moderngl.Texture, moderngl.Framebuffer]:
        texture = self._ctx.depth_texture((size_px, size_px))
        texture.compare_func = "<="
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        texture.repeat_x = texture.repeat_y = False
        return texture, self._ctx.framebuffer(depth_attachment=texture)

    def update(self, scene: Scene, stage_from_scene: Array) -> Fit | None:
        """The maps' fit for `scene` as it stands now, drawn again if need be; None without a sun that casts."""
        if scene is not self._scene:
            self._use(scene)
        state = (
            b"" if scene.sun is None else scene.sun.direction.tobytes(),
            np.asarray(stage_from_scene, dtype=np.float64).tobytes(),
        )
        casts = scene.draws.casts
        if state != self._drawn:
            self._drawn, self._moved = state, None
            self.fit = fit(scene, stage_from_scene, self._size_px)
            if self.fit is not None:
                self._draw(scene, self._target, self.fit.origin_m, self.fit.clip_from_relative, casts & ~scene.moving)
                self.still_count += 1
        if self.fit is not None and self.fit.moving_scale.any():
            moved = scene.scene_from_objects[np.unique(scene.draws.objects[scene.moving])].tobytes()
            if moved != self._moved:
                self._moved = moved
                # The same in clip space, -1..1: p' = scale * (p + 1) + 2 * offset - 1.
                closer = np.diag([*self.fit.moving_scale, 1.0])
                closer[:3, 3] = self.fit.moving_scale + 2.0 * self.fit.moving_offset - 1.0
                clip = closer @ self.fit.clip_from_relative
                self._draw(scene, self._moving_target, self.fit.origin_m, clip, casts & scene.moving)
                self.moving_count += 1
        return self.fit

    def _use(self, scene: Scene) -> None:
        self._drop()
        self._scene, self._drawn = scene, None
        self._rows = self._ctx.buffer(reserve=max(48, 48 * scene.object_count))
        self._commands = self._ctx.buffer(scene.draws.commands.tobytes() or bytes(20))

    def _draw(
        self, scene: Scene, target: moderngl.Framebuffer, origin_m: F64, clip_from_relative: F64, which: Mask
    ) -> None:
        assert self._rows is not None
        assert self._commands is not None
        rows = scene.scene_from_objects[:, :3, :].copy()
        rows[:, :, 3] -= origin_m
        self._rows.orphan()
        self._rows.write(rows.astype(np.float32).tobytes())
        clip = np.ascontiguousarray(clip_from_relative.T, dtype=np.float32).tobytes()
        ctx = self._ctx
        target.use()
        target.clear()
        ctx.enable_only(moderngl.DEPTH_TEST)
        ctx.depth_func = "<="
        ctx.polygon_offset = _BIAS
        for batch in scene.draws.batches:
            # Draws are sorted by batch, and casting goes by node: runs of casters are drawn one call each.
            for first, count in _runs(which[batch.first : batch.first + batch.count]):
                array = self._array(scene, batch)
                values = {"clip_from_relative": clip}
                if batch.material.masked:
                    values |= {
                        "uv_row0": np.asarray(batch.material.base_uv[:3], np.float32).tobytes(),
                        "uv_row1": np.asarray(batch.material.base_uv[3:], np.float32).tobytes(),
                        "alpha": np.asarray(batch.material.cut, np.float32).tobytes(),
                    }
                for name, value in values.items():
                    uniform = array.program[name]
                    assert isinstance(uniform, moderngl.Uniform)
                    uniform.write(value)
                if batch.material.masked:
                    batch.material.textures[0][1].use(0)
                array.render_indirect(self._commands, moderngl.TRIANGLES, count, first=batch.first + first)
        ctx.polygon_offset = 0.0, 0.0

    def _array(self, scene: Scene, batch: Batch) -> moderngl.VertexArray:
        key = (id(batch.geometry), int(batch.material.masked))
        if key not in self._arrays:
            defines = batch.material.depth_defines
            if defines not in self._programs:
                self._programs[defines] = self._ctx.program(
                    source("scene/depth.vert", dict(defines)), source("scene/depth.frag", dict(defines))
                )
            program = self._programs[defines]
            read = ("in_position", "in_uv0") if batch.material.masked else ("in_position",)
            form = " ".join(f"{n}f" if name in read else f"{4 * n}x" for name, n in batch.geometry.layout.attributes)
            names = [name for name, _ in batch.geometry.layout.attributes if name in read]
            self._arrays[key] = self._ctx.vertex_array(
                program,
                [
                    (batch.geometry.vertices, form, *names),
                    (self._rows, "4f 4f 4f/i", "in_row0", "in_row1", "in_row2"),
                ],
                index_buffer=batch.geometry.indices,
            )
        return self._arrays[key]

    def _drop(self) -> None:
        for array in self._arrays.values():
            array.release()
        self._arrays.clear()
        for buffer in (self._rows, self._commands):
            if buffer is not None:
                buffer.release()
        self._rows = self._commands = None

    def release(self) -> None:
        """Free the map and what drew it."""
        self._drop()
        for program in self._programs.values():
            program.release()
        for thing in (self._target, self._moving_target, self.map, self.moving_map):
            thing.release()


def _runs(chosen: Mask) -> list[tuple[int, int]]:
    """(first, count) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]
