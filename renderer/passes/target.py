"""A picture of one view: what a world draws into, and what the wall pass samples from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import moderngl

from renderer.device import Device
from renderer.shaders import source

Kind = Literal["f2", "f4"]
"""Half floats for pictures, full floats for measuring."""


class ViewTarget:
    """A float colour texture with depth.

    With `samples` > 1 the world draws multisampled, with `finer` > 1 as many times finer each way: it draws into
    `framebuffer`, and `finish` makes `texture` of it.
    """

    def __init__(
        self,
        device: Device,
        width_px: int,
        height_px: int,
        kind: Kind,
        *,
        samples: int = 1,
        finer: int = 1,
        readable_depth: bool = False,
    ) -> None:
        """With `readable_depth` the depth, too, is a texture: `depth`, as fine as it was drawn."""
        ctx = device.ctx
        self.size = (width_px, height_px)
        self.kind = kind
        self._ctx, self._finer = ctx, finer
        self._owned: list[moderngl.Texture | moderngl.Renderbuffer | moderngl.Framebuffer] = []
        self._smaller: tuple[moderngl.Program, moderngl.VertexArray, moderngl.Texture, moderngl.Framebuffer] | None = (
            None
        )
        self.texture = self._picture(self.size)
        drawn, size = self.texture, self.size
        if finer > 1:
            size = (width_px * finer, height_px * finer)
            drawn = self._picture(size)
            program = ctx.program(source("scene/full.vert"), source("scene/smaller.frag", {"FINE": finer}))
            self._smaller = program, ctx.vertex_array(program, []), drawn, ctx.framebuffer([self.texture])
        self.depth: moderngl.Texture | None = None
        if readable_depth:
            self.depth = ctx.depth_texture(size)
            self.depth.compare_func = ""
            self.depth.filter = (moderngl.NEAREST, moderngl.NEAREST)
            self.depth.repeat_x = self.depth.repeat_y = False
            self._owned += [self.depth]
        self._resolved: moderngl.Framebuffer | None = None
        samples = min(samples, device.capabilities.max_samples)
        if samples > 1:
            colour = ctx.renderbuffer(size, 4, samples=samples, dtype=kind)
            depth = ctx.depth_renderbuffer(size, samples=samples)
            self._resolved = ctx.framebuffer([drawn], self.depth)
            self._owned += [colour, depth, self._resolved]
            self.framebuffer = ctx.framebuffer([colour], depth)
        elif self.depth is not None:
            self.framebuffer = ctx.framebuffer([drawn], self.depth)
        else:
            plain = ctx.depth_renderbuffer(size)
            self.framebuffer = ctx.framebuffer([drawn], plain)
            self._owned += [plain]

    def _picture(self, size: tuple[int, int]) -> moderngl.Texture:
        texture = self._ctx.texture(size, 4, dtype=self.kind)
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        texture.repeat_x = texture.repeat_y = False
        return texture

    @contextmanager
    def only(self, part: tuple[int, int, int, int] | None) -> Iterator[None]:
        """Let drawing into `framebuffer` touch a part of the picture alone: left, bottom, width, height in texels of
        `texture`; None: all of it. What lies outside holds whatever it held."""
        if part is None:
            yield
            return
        left, bottom, width, height = (side * self._finer for side in part)
        self.framebuffer.scissor = left, bottom, width, height
        try:
            yield
        finally:
            # Used once more, so that the context cuts nothing off afterwards.
            self.framebuffer.scissor = None  # type: ignore[assignment]  # its setter takes None
            self.framebuffer.use()

    def join(self) -> None:
        """Make `texture` of all samples and parts; harmless where there is one."""
        if self._resolved is not None:
            self._ctx.copy_framebuffer(self._resolved, self.framebuffer)
        if self._smaller is not None:
            _, triangle, drawn, target = self._smaller
            self._ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
            target.use()
            drawn.use(0)
            triangle.render(moderngl.TRIANGLES, vertices=3)

    def finish(self, *, mips: bool) -> None:
        """Make the drawn picture ready to be sampled: joined samples, and smaller copies if `mips`."""
        self.join()
        ready(self.texture, mips=mips)

    def release(self) -> None:
        """Free it."""
        self.framebuffer.release()
        for thing in self._owned:
            thing.release()
        if self._smaller is not None:
            for part in reversed(self._smaller):
                part.release()
        self.texture.release()


def ready(texture: moderngl.Texture, *, mips: bool) -> None:
    """Set how a picture is sampled by the wall pass; with smaller copies if `mips`."""
    if mips:
        texture.build_mipmaps()
        texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    else:
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
