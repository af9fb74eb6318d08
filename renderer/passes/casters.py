"""What casts shadows, drawn into depth maps: by the sun's pass and the lamps' pass alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.device import Device
from renderer.scene import F64, Batch, Scene
from renderer.shaders import source

Mask = NDArray[np.bool_]
Tile = tuple[int, int, int, int]
"""x, y, width, height in texels."""

_BIAS: Final = (1.5, 2.0)
"""Slope and constant depth offset: what keeps a lit face from shadowing itself at its own texel size."""

_PLANNED: Final = 8


@dataclass(slots=True)
class ShadowStatistics:
    """What shadows have cost since the pass was made: a frame's share is the difference of two readings."""

    maps: int = 0
    """Depth maps drawn (one for a cascade, a spot, a face of a point light)."""
    casters: int = 0
    """Casters drawn into them: an object, or a cluster of a large one, counts once for every map it is drawn into."""


class Casters:
    """Draws casters of one scene. Vertices are read from the buffers the scene itself is drawn from."""

    def __init__(self, device: Device, scene: Scene) -> None:
        self._ctx = device.ctx
        self._scene = scene
        self._programs: dict[tuple[tuple[str, int], ...], moderngl.Program] = {}
        self._arrays: dict[tuple[int, int], moderngl.VertexArray] = {}
        self._rows = self._ctx.buffer(reserve=max(48, 48 * scene.placement.object_count))
        self._commands = self._ctx.buffer(scene.draws.commands.tobytes() or bytes(20))
        self._objects: dict[str, tuple[bytes, NDArray[np.intp]]] = {}
        self._states: dict[str, bytes] = {}
        self._planned: dict[bytes, list[tuple[Batch, int, int]]] = {}
        """Calls that draw the casters of a mask, by its bytes; of the latest few masks."""
        self.statistics = ShadowStatistics()

    def still_state(self) -> bytes:
        """What the maps of what stands still depend on, beside their light: equal bytes are equal casters."""
        return self._kept("still", self._state("still", self._scene.draws.casts & ~self._scene.placement.moving))

    def moving_state(self) -> bytes:
        """The same of what an animation moves."""
        placement = self._scene.placement
        state = self._state("moving", self._scene.draws.casts & placement.moving) + placement.bent_state
        return self._kept("moving", state)

    def _kept(self, kind: str, state: bytes) -> bytes:
        """The same object for equal states, which many maps compare it by every frame."""
        if self._states.get(kind) != state:
            self._states[kind] = state
        return self._states[kind]

    def _state(self, kind: str, which: Mask) -> bytes:
        draws = np.packbits(which).tobytes()
        held = self._objects.get(kind)
        if held is None or held[0] != draws:
            held = self._objects[kind] = draws, np.unique(self._scene.draws.objects[which])
        return self._scene.placement.scene_from_objects[held[1]].tobytes() + draws

    def draw(
        self, target: moderngl.Framebuffer, tile: Tile, origin_m: F64, clip_from_relative: F64, which: Mask
    ) -> None:
        """Clear one tile of `target` and draw the casters `which`, [draws], into it.

        `clip_from_relative` works on scene metres relative to `origin_m`.
        """
        scene, ctx = self._scene, self._ctx
        self.statistics.maps += 1
        self.statistics.casters += int(which.sum())
        target.use()
        target.depth_mask = True
        target.viewport = tile
        target.scissor = tile
        target.clear(depth=1.0, viewport=tile)
        if which.any():
            rows = scene.placement.scene_from_objects[:, :3, :].copy()
            rows[:, :, 3] -= origin_m
            self._rows.orphan()
            self._rows.write(rows.astype(np.float32).tobytes())
            clip = np.ascontiguousarray(clip_from_relative.T, dtype=np.float32).tobytes()
            ctx.enable_only(moderngl.DEPTH_TEST)
            ctx.depth_func = "<="
            ctx.polygon_offset = _BIAS
            for batch, first, count in self._calls(which):
                self._draw_batch(batch, clip, first, count)
            ctx.polygon_offset = 0.0, 0.0
        target.scissor = None  # type: ignore[assignment]  # how moderngl is told to cut no more

    def _calls(self, which: Mask) -> list[tuple[Batch, int, int]]:
        """Batch, first and count of each call that draws `which`. What moves is often the same from frame to frame."""
        key = which.tobytes()
        found = self._planned.pop(key, None)
        if found is None:
            # Draws are sorted by batch, and casting goes by node: runs of casters are drawn one call each.
            found = [
                (batch, batch.first + first, count)
                for batch in self._scene.draws.batches
                for first, count in _runs(which[batch.first : batch.first + batch.count])
            ]
        self._planned[key] = found
        while len(self._planned) > _PLANNED:
            self._planned.pop(next(iter(self._planned)))
        return found

    def _draw_batch(self, batch: Batch, clip: bytes, first: int, count: int) -> None:
        array = self._array(batch)
        values = {"clip_from_relative": clip}
        if batch.material.masked:
            values |= {
                "uv_row0": np.asarray(batch.material.base_uv[:3], np.float32).tobytes(),
                "uv_row1": np.asarray(batch.material.base_uv[3:], np.float32).tobytes(),
                "alpha": np.asarray(batch.material.cut, np.float32).tobytes(),
            }
            batch.material.textures[0][1].use(0)
        for name, value in values.items():
            uniform = array.program[name]
            assert isinstance(uniform, moderngl.Uniform)
            uniform.write(value)
        array.render_indirect(self._commands, moderngl.TRIANGLES, count, first=first)

    def _array(self, batch: Batch) -> moderngl.VertexArray:
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

    def release(self) -> None:
        """Free what draws."""
        for things in (self._arrays, self._programs):
            for thing in things.values():
                thing.release()
            things.clear()
        self._rows.release()
        self._commands.release()


def depth_map(device: Device, size_px: tuple[int, int]) -> tuple[moderngl.Texture, moderngl.Framebuffer]:
    """A depth texture that compares when read, and what draws into it."""
    texture = device.ctx.depth_texture(size_px)
    texture.compare_func = "<="
    texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
    texture.repeat_x = texture.repeat_y = False
    return texture, device.ctx.framebuffer(depth_attachment=texture)


def _runs(chosen: Mask) -> list[tuple[int, int]]:
    """(first, count) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]
