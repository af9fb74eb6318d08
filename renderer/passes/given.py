"""Inner pictures that somebody else has drawn, put where our own would be: the wall pass looks them up alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.device import Device
from renderer.passes.inner import MIPS_ABOVE_TEXELS, InnerPicture, inner_view
from renderer.passes.target import ready
from renderer.passes.view import View
from stage.plan import PlanCamera


@dataclass(frozen=True, slots=True)
class GivenInner:
    """A picture of what a camera of some plan must see, overscan and all.

    `camera` : as that plan has it, which may be one before the plan that is drawn; `pixels` : linear AP1 half floats,
    [h, w, 4], row 0 on top, of any size; None: those given for this camera before.
    """

    camera: PlanCamera
    pixels: NDArray[np.float16] | None

    def view(self, held: tuple[int, int] | None) -> View:
        """What the picture spans; `held` is the size of the one before."""
        size = (self.pixels.shape[1], self.pixels.shape[0]) if self.pixels is not None else held
        view = inner_view(self.camera)
        return view if size is None else replace(view, size_px=size)


class GivenInners:
    """The textures of given pictures, one a camera."""

    def __init__(self, device: Device) -> None:
        self._ctx = device.ctx
        self._textures: dict[str, moderngl.Texture] = {}

    def view(self, given: GivenInner) -> View:
        """What a given picture spans."""
        held = self._textures.get(given.camera.id)
        return given.view(None if held is None else held.size)

    def picture(self, camera: PlanCamera, given: GivenInner, *, texels_per_pixel: float) -> InnerPicture:
        """It, ready for the wall pass, with the edge of `camera` (the plan's that is drawn)."""
        view = self.view(given)
        texture = self._textures.get(camera.id)
        if texture is None or texture.size != view.size_px:
            if texture is not None:
                texture.release()
            texture = self._textures[camera.id] = self._made(view.size_px)
        if given.pixels is not None:
            # A texture's first row is the lowest.
            texture.write(np.ascontiguousarray(given.pixels[::-1]).data)
        ready(texture, mips=texels_per_pixel > MIPS_ABOVE_TEXELS)
        return InnerPicture(camera, view, texture)

    def _made(self, size: tuple[int, int]) -> moderngl.Texture:
        texture = self._ctx.texture(size, 4, dtype="f2")
        texture.repeat_x = texture.repeat_y = False
        return texture

    def release(self) -> None:
        """Free them."""
        for texture in self._textures.values():
            texture.release()
        self._textures.clear()
