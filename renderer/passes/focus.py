"""Lens-aware focus: blurs an inner picture so that, filmed off the wall, content looks as far away as it stands.

The camera blurs the wall by itself as a thing at the wall's distance; `stage.focus` says what is missing. Each texel's
radius comes from the picture's depth and from the wall's distance behind it; its light is gathered by the texels its
disc reaches. All within one inner picture, whose overscan covers the widest disc: every node draws the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Final

import moderngl
import numpy as np

from renderer.device import Device
from renderer.passes.view import View
from renderer.shaders import source
from stage.focus import aperture_m, focus_from_pupil_m
from stage.frames import Array
from stage.plan import PlanCamera

TILE: Final = 8
_WALL_COARSER: Final = 4
_POOL: Final = 3
_WIDEST_PX: Final = 128.0
"""Radius beyond which no disc grows, whatever the lens: a disc wider than this is made of too few places."""

WallArrays = Iterable[tuple[moderngl.Buffer, moderngl.Buffer, int]]
"""Vertices (`3f` position, `2f` of something else), indices and their count of each piece of wall."""


def widest_px(camera: PlanCamera, view: View) -> float:
    """The largest radius a disc may have in a camera's picture, texels."""
    return min(_WIDEST_PX, float(np.tan(np.radians(camera.focus_blur_deg))) * max(view.texels_per_tangent))


class _Buffers:
    """What one size of picture needs."""

    def __init__(self, ctx: moderngl.Context, size: tuple[int, int]) -> None:
        self.size = size
        self.soft = ctx.texture(size, 4, dtype="f2")
        self.radius = ctx.texture(size, 1, dtype="f2")
        self.radius.filter = (moderngl.NEAREST, moderngl.NEAREST)
        for texture in (self.soft, self.radius):
            texture.repeat_x = texture.repeat_y = False
        self.blurred = ctx.texture(size, 4, dtype="f2")
        self.blurred.repeat_x = self.blurred.repeat_y = False
        small = (ceil(size[0] / _WALL_COARSER), ceil(size[1] / _WALL_COARSER))
        self.wall = ctx.texture(small, 1, dtype="f4")
        self.wall.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.wall.repeat_x = self.wall.repeat_y = False
        self._wall_depth = ctx.depth_renderbuffer(small)
        tiles = (ceil(size[0] / TILE), ceil(size[1] / TILE))
        self.tiles = [ctx.texture(tiles, 1, dtype="f2") for _ in range(3)]
        for texture in self.tiles:
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self.to_soft, self.to_blurred = ctx.framebuffer([self.soft, self.radius]), ctx.framebuffer([self.blurred])
        self.to_wall = ctx.framebuffer([self.wall], self._wall_depth)
        self.to_tiles = [ctx.framebuffer([texture]) for texture in self.tiles]

    def release(self) -> None:
        for frame in (self.to_soft, self.to_blurred, self.to_wall, *self.to_tiles):
            frame.release()
        for texture in (self.soft, self.radius, self.blurred, self.wall, *self.tiles):
            texture.release()
        self._wall_depth.release()


class FocusPass:
    """Blurs inner pictures. It compiles and holds nothing before the first one."""

    def __init__(self, device: Device, *, near_m: float, far_m: float) -> None:
        self._ctx = device.ctx
        self._range = 1.0 / far_m, 1.0 / near_m
        # Without a GPU every place costs; the discs are then made of fewer, wider ones.
        self._taps = 36 if device.capabilities.software else 96
        self._programs: dict[str, moderngl.Program] = {}
        self._triangles: dict[str, moderngl.VertexArray] = {}
        self._walls: dict[int, moderngl.VertexArray] = {}
        self._buffers: dict[str, list[_Buffers]] = {}

    def blurred(
        self,
        camera: PlanCamera,
        view: View,
        picture: moderngl.Texture,
        depth: moderngl.Texture,
        walls: WallArrays,
        origin_m: Array,
    ) -> moderngl.Texture:
        """The picture as the wall must show it. It is kept until three other sizes of this camera came.

        picture, depth : one size; depth as the projection of `View.clip_from_view` leaves it, filtered to the nearest
        walls : positions relative to `origin_m`, [3]
        """
        aperture, focus = aperture_m(camera.lens), focus_from_pupil_m(camera.lens)
        if aperture is None or focus is None or camera.focus_blur_deg <= 0.0:
            return picture
        ctx = self._ctx
        made = self._of(camera.id, picture.size)
        across, down = view.texels_per_tangent
        texels = max(across, down)
        most = widest_px(camera, view)
        lens = {
            "aperture": aperture,
            "in_focus": 1.0 / focus,
            "texels_per_tangent": texels,
            "most_px": most,
            "range": self._range,
            "squash": (across / texels, down / texels),
        }
        self._draw_walls(made, view, walls, origin_m)
        ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        picture.use(0)
        depth.use(1)
        made.wall.use(2)
        self._run("radius", made.to_soft, lens)
        made.radius.use(0)
        self._run("reach", made.to_tiles[0], {})
        tiles = ceil(most / TILE) + 1
        made.tiles[0].use(0)
        self._run("spread", made.to_tiles[1], {"axis": (1, 0), "tiles": tiles})
        made.tiles[1].use(0)
        self._run("spread", made.to_tiles[2], {"axis": (0, 1), "tiles": tiles})
        made.soft.build_mipmaps()
        made.soft.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        for unit, texture in enumerate((picture, depth, made.tiles[2], made.soft, made.radius)):
            texture.use(unit)
        self._run("gather", made.to_blurred, lens)
        return made.blurred

    def _draw_walls(self, made: _Buffers, view: View, walls: WallArrays, origin_m: Array) -> None:
        ctx = self._ctx
        program = self._program("wall")
        _set(program, "offset", tuple(origin_m - view.point_m))
        _set(program, "view", tuple(view.axes.T.reshape(9)))
        _set(program, "tangents", view.tangents)
        made.to_wall.use()
        made.to_wall.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        ctx.enable_only(moderngl.DEPTH_TEST)
        ctx.depth_func = "<="
        for vertices, indices, count in walls:
            array = self._walls.get(vertices.glo)
            if array is None:
                array = self._walls[vertices.glo] = ctx.vertex_array(
                    program, [(vertices, "3f 8x", "position")], indices, index_element_size=4
                )
            array.render(moderngl.TRIANGLES, vertices=count)

    def _run(self, name: str, target: moderngl.Framebuffer, values: dict[str, object]) -> None:
        program = self._program(name)
        if name not in self._triangles:
            self._triangles[name] = self._ctx.vertex_array(program, [])
        for key, value in values.items():
            _set(program, key, value)
        target.use()
        self._triangles[name].render(moderngl.TRIANGLES, vertices=3)

    def _program(self, name: str) -> moderngl.Program:
        if name not in self._programs:
            vertex = "focus/wall.vert" if name == "wall" else "scene/full.vert"
            settings = {"TILE": TILE, "TAPS": self._taps}
            self._programs[name] = self._ctx.program(source(vertex), source(f"focus/{name}.frag", settings))
        return self._programs[name]

    def _of(self, camera: str, size: tuple[int, int]) -> _Buffers:
        pool = self._buffers.setdefault(camera, [])
        for made in pool:
            if made.size == size:
                pool.remove(made)
                break
        else:
            made = _Buffers(self._ctx, size)
        pool.append(made)
        while len(pool) > _POOL:
            pool.pop(0).release()
        return made

    def release(self) -> None:
        """Free everything."""
        for array in (*self._triangles.values(), *self._walls.values()):
            array.release()
        for program in self._programs.values():
            program.release()
        for pool in self._buffers.values():
            for made in pool:
                made.release()
        self._triangles.clear()
        self._walls.clear()
        self._programs.clear()
        self._buffers.clear()


def _set(program: moderngl.Program, name: str, value: object) -> None:
    member = program.get(name, None)
    if isinstance(member, moderngl.Uniform):
        member.value = value
