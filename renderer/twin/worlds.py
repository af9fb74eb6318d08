"""Worlds that are known exactly: measuring fringes, a surveyed dot, and simple surfaces, drawn in place of a scene.

They stand where a scene stands (`renderer.world.World`) and give, in numpy, the truth of what they show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import moderngl
import numpy as np
from numpy.typing import ArrayLike

from renderer.device import Device
from renderer.twin.programs import fragment_program, set_uniforms
from renderer.twin.view import PhotoView
from renderer.world import World
from stage.frames import Array, inverse_pose
from stage.plan import FramePlan

Quad = tuple[ArrayLike, ArrayLike, ArrayLike]
"""Origin, u, v, each [3] stage metres."""
Sphere = tuple[ArrayLike, float]
"""Centre, [3] stage metres, and radius in metres. Seen from inside it is a dome."""


class AnalyticWorld:
    """Base of the exact worlds: a formula for every ray."""

    def __init__(self, device: Device, /, *, level: float = 1.0) -> None:
        """`level`: light of the brightest places, 1.0 = 100 nit."""
        self.device = device
        self.level = level
        self._program = fragment_program(device.ctx, "analytic.frag")
        self._vertices = device.ctx.vertex_array(self._program, [])
        self._pieces = device.ctx.buffer(np.zeros((1, 3, 4), dtype="<f4").tobytes())

    def prepare(self, plan: FramePlan) -> None:
        """Nothing moves."""

    def uniforms(self) -> dict[str, Any]:
        """What the formula needs."""
        return {}

    def draw(
        self, plan: FramePlan, *, view_from_stage: Array, clip_from_view: Array, target: moderngl.Framebuffer
    ) -> None:
        """See `renderer.world.World`."""
        ctx = self.device.ctx
        stage_from_view = inverse_pose(view_from_stage)
        # Clip x, y and w of a direction, turned round: any perspective, off-axis or not.
        ndc_from_stage = (clip_from_view @ view_from_stage)[[0, 1, 3], :3]
        eye = stage_from_view[:3, 3]
        size = target.size
        target.use()
        ctx.viewport = (0, 0, *size)
        ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        self._pieces.bind_to_storage_buffer(1)
        set_uniforms(
            self._program,
            {
                "target_px": size,
                "stage_from_ndc": tuple(np.linalg.inv(ndc_from_stage).T.ravel()),
                "eye": tuple(eye),
                "level": self.level,
                **self.uniforms(),
            },
        )
        self._vertices.render(moderngl.TRIANGLES, vertices=3)

    def release(self) -> None:
        """Free what it holds on the GPU."""
        self._vertices.release()
        self._program.release()
        self._pieces.release()


class InnerOnly:
    """A world drawn into pictures of one size, the inner's, and black in all others: measures need no outer."""

    def __init__(self, world: World, inner_px: tuple[int, int], /) -> None:
        self.world = world
        self.inner_px = inner_px

    def prepare(self, plan: FramePlan) -> None:
        """See `renderer.world.World`."""
        self.world.prepare(plan)

    def draw(
        self, plan: FramePlan, *, view_from_stage: Array, clip_from_view: Array, target: moderngl.Framebuffer
    ) -> None:
        """See `renderer.world.World`."""
        if tuple(target.size) == tuple(self.inner_px):
            self.world.draw(plan, view_from_stage=view_from_stage, clip_from_view=clip_from_view, target=target)
        else:
            target.use()
            target.clear(0.0, 0.0, 0.0, 1.0)


class Fringes(AnalyticWorld):
    """Cosine fringes across and up over the directions a camera sees; the same from wherever they are drawn."""

    def __init__(self, device: Device, view: PhotoView, /, *, cycles_per_tangent: float, level: float = 2.0) -> None:
        super().__init__(device, level=level)
        self.stage_from_camera = view.stage_from_camera
        self.cycles_per_tangent = cycles_per_tangent

    def uniforms(self) -> dict[str, Any]:
        """Camera axes and frequency."""
        return {
            "kind": 0,
            # Columns first, so the transpose of the transpose.
            "camera_from_stage": tuple(self.stage_from_camera.ravel()),
            "cycles": (self.cycles_per_tangent, self.cycles_per_tangent),
        }

    def phases(self, tangents: Array, /) -> Array:
        """Phase of both waves, [..., 2] radians, in directions, [..., 2]."""
        return np.asarray(2.0 * np.pi * self.cycles_per_tangent * tangents)

    def light(self, tangents: Array, /) -> Array:
        """Light, [...], 1.0 = 100 nit, in directions, [..., 2]."""
        return np.asarray(self.level * (0.5 + 0.25 * np.cos(self.phases(tangents)).sum(axis=-1)))


class Dot(AnalyticWorld):
    """A round soft dot of light at one point of the stage."""

    def __init__(self, device: Device, point_m: ArrayLike, /, *, radius_rad: float, level: float = 5.0) -> None:
        super().__init__(device, level=level)
        self.point_m = np.asarray(point_m, dtype=np.float64)
        self.radius_rad = radius_rad

    def uniforms(self) -> dict[str, Any]:
        """Place and size."""
        return {"kind": 1, "dot_at": tuple(self.point_m), "dot_radius": self.radius_rad}


class Shapes(AnalyticWorld):
    """Spheres and flat pieces: their stage positions (`positions`), or a picture that clings to them."""

    def __init__(
        self,
        device: Device,
        /,
        *,
        spheres: Sequence[Sphere] = (),
        quads: Sequence[Quad] = (),
        positions: bool,
        level: float = 1.0,
    ) -> None:
        super().__init__(device, level=level)
        data = np.zeros((max(1, len(spheres) + len(quads)), 3, 4), dtype="<f4")
        for row, (centre, radius_m) in enumerate(spheres):
            data[row, 0] = (*np.asarray(centre), radius_m)
        for row, quad in enumerate(quads, len(spheres)):
            data[row, :, :3] = np.asarray(quad)
        self.counts = (len(spheres), len(quads))
        self.positions = positions
        self._pieces.release()
        self._pieces = device.ctx.buffer(data.tobytes())

    def uniforms(self) -> dict[str, Any]:
        """How many pieces of each kind."""
        return {"kind": 2 if self.positions else 3, "spheres": self.counts[0], "quads": self.counts[1]}
