"""The truth: a world drawn straight from the pupil, supersampled, and put through the lens onto the photo's raster.

It knows no wall, no inner texture and no canvas.
"""

from __future__ import annotations

import moderngl
import numpy as np

from renderer.device import Device
from renderer.twin.camera import Picture
from renderer.twin.programs import fragment_program, set_uniforms
from renderer.twin.view import PhotoView
from renderer.world import World
from stage.frames import Array
from stage.plan import FramePlan

EDGE_SAMPLES = 4
"""Samples of every pixel of the wide picture: edges stand to an eighth of a photo pixel and better."""
NEAR_M = 0.05
FAR_M = 20_000.0
# Camera axes (x right, y forward, z up) to GL view axes (x right, y up, looking along -z).
_VIEW_FROM_CAMERA = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


class Truth:
    """Draws worlds as the photographed camera would see them if there were no walls."""

    def __init__(self, device: Device, /) -> None:
        self.device = device
        self._program = fragment_program(device.ctx, "truth.frag")
        self._vertices = device.ctx.vertex_array(self._program, [])

    def picture(self, world: World, plan: FramePlan, view: PhotoView, /, *, fine: float = 2.0) -> Picture:
        """The world through the lens, [h, w, 3] float32 linear ACEScg, 1.0 = 100 nit.

        `fine`: pixels of the wide picture per photo pixel (where the photo is finest), per side.
        """
        ctx = self.device.ctx
        bounds = view.bounds(margin_px=4.0)
        step = view.tangent_per_px()[0] / fine
        limit = self.device.capabilities.max_texture_px
        size = (
            min(limit, int(np.ceil((bounds.right - bounds.left) / step))),
            min(limit, int(np.ceil((bounds.top - bounds.bottom) / step))),
        )
        wide = ctx.texture(size, 4, dtype="f2")
        wide.filter = (moderngl.LINEAR, moderngl.LINEAR)
        wide.repeat_x = wide.repeat_y = False
        wide_frame = ctx.framebuffer(color_attachments=[wide])
        samples = min(EDGE_SAMPLES, self.device.capabilities.max_samples)
        colour = ctx.renderbuffer(size, 4, samples=samples, dtype="f2")
        depth = ctx.depth_renderbuffer(size, samples=samples)
        frame = ctx.framebuffer(color_attachments=[colour], depth_attachment=depth)
        photo_size = (view.width_px, view.height_px)
        photo = ctx.texture(photo_size, 4, dtype="f4")
        photo_frame = ctx.framebuffer(color_attachments=[photo])
        try:
            world.prepare(plan)
            world.draw(
                plan,
                view_from_stage=view_from_stage(view),
                clip_from_view=clip_from_tangents(bounds.left, bounds.right, bounds.bottom, bounds.top),
                target=frame,
            )
            ctx.copy_framebuffer(wide_frame, frame)
            photo_frame.use()
            ctx.viewport = (0, 0, *photo_size)
            ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
            wide.use(0)
            set_uniforms(
                self._program,
                {
                    **view.lens_uniforms(),
                    "wide": 0,
                    "bounds": (bounds.left, bounds.right, bounds.bottom, bounds.top),
                    "photo_px": photo_size,
                    "fine": max(3, round(2 * fine)),
                },
            )
            self._vertices.render(moderngl.TRIANGLES, vertices=3)
            return np.asarray(self.device.read(photo_frame, components=4, dtype="f4")[..., :3])
        finally:
            for framebuffer in (frame, wide_frame, photo_frame):
                framebuffer.release()
            for buffer in (colour, depth):
                buffer.release()
            for texture in (wide, photo):
                texture.release()

    def release(self) -> None:
        """Free what it holds on the GPU."""
        self._vertices.release()
        self._program.release()


def view_from_stage(view: PhotoView, /) -> Array:
    """GL view transform, [4, 4], with its origin at the pupil."""
    out = np.eye(4)
    out[:3, :3] = _VIEW_FROM_CAMERA @ view.stage_from_camera.T
    out[:3, 3] = -out[:3, :3] @ view.pupil_m
    return out


def clip_from_tangents(left: float, right: float, bottom: float, top: float, /) -> Array:
    """GL clip space, [4, 4], whose sides have these tangents: a point (x, y, -1) lands at x mapped to -1..1."""
    out = np.zeros((4, 4))
    out[0] = (2.0 / (right - left), 0.0, (right + left) / (right - left), 0.0)
    out[1] = (0.0, 2.0 / (top - bottom), (top + bottom) / (top - bottom), 0.0)
    out[2] = (0.0, 0.0, (FAR_M + NEAR_M) / (NEAR_M - FAR_M), 2.0 * FAR_M * NEAR_M / (NEAR_M - FAR_M))
    out[3, 2] = -1.0
    return out
