"""A picture of one view: what a world draws into, and what the wall pass samples from."""

from __future__ import annotations

from typing import Literal

import moderngl

from renderer.device import Device

Kind = Literal["f2", "f4"]
"""Half floats for pictures, full floats for measuring."""


class ViewTarget:
    """A float colour texture with depth. With `samples` > 1 the world draws multisampled, and `resolve` joins it."""

    def __init__(
        self,
        device: Device,
        width_px: int,
        height_px: int,
        kind: Kind,
        *,
        samples: int = 1,
        readable_depth: bool = False,
    ) -> None:
        """With `readable_depth` the depth, too, is a texture: `depth`, filtered to the nearest."""
        ctx = device.ctx
        self.size = (width_px, height_px)
        self.kind = kind
        self.texture = ctx.texture(self.size, 4, dtype=kind)
        self.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.texture.repeat_x = self.texture.repeat_y = False
        self._ctx = ctx
        self._owned: list[moderngl.Texture | moderngl.Renderbuffer | moderngl.Framebuffer] = []
        self._resolved: moderngl.Framebuffer | None = None
        self.depth: moderngl.Texture | None = None
        if readable_depth:
            self.depth = ctx.depth_texture(self.size)
            self.depth.compare_func = ""
            self.depth.filter = (moderngl.NEAREST, moderngl.NEAREST)
            self.depth.repeat_x = self.depth.repeat_y = False
            self._owned += [self.depth]
        samples = min(samples, device.capabilities.max_samples)
        if samples > 1:
            colour = ctx.renderbuffer(self.size, 4, samples=samples, dtype=kind)
            depth = ctx.depth_renderbuffer(self.size, samples=samples)
            self._resolved = ctx.framebuffer([self.texture], self.depth)
            self._owned += [colour, depth, self._resolved]
            self.framebuffer = ctx.framebuffer([colour], depth)
        elif self.depth is not None:
            self.framebuffer = ctx.framebuffer([self.texture], self.depth)
        else:
            plain = ctx.depth_renderbuffer(self.size)
            self.framebuffer = ctx.framebuffer([self.texture], plain)
            self._owned += [plain]

    def join(self) -> None:
        """Make one sample of several; harmless where there is one."""
        if self._resolved is not None:
            self._ctx.copy_framebuffer(self._resolved, self.framebuffer)

    def finish(self, *, mips: bool) -> None:
        """Make the drawn picture ready to be sampled: joined samples, and smaller copies if `mips`."""
        self.join()
        ready(self.texture, mips=mips)

    def release(self) -> None:
        """Free it."""
        self.framebuffer.release()
        for thing in self._owned:
            thing.release()
        self.texture.release()


def ready(texture: moderngl.Texture, *, mips: bool) -> None:
    """Set how a picture is sampled by the wall pass; with smaller copies if `mips`."""
    if mips:
        texture.build_mipmaps()
        texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    else:
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
