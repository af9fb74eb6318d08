"""The inner pass: one picture per tracked camera, drawn from its entrance pupil with its overscan."""

from __future__ import annotations

from dataclasses import dataclass

import moderngl
import numpy as np

from renderer.device import Device
from renderer.passes.focus import FocusPass, WallArrays
from renderer.passes.target import Kind, ViewTarget, ready
from renderer.passes.view import View
from renderer.world import World
from stage.frames import Array
from stage.plan import FramePlan, PlanCamera, transform_of
from stage.projection import overscan_tangents, view_from_stage

MIPS_ABOVE_TEXELS = 2.0
"""Texels per canvas pixel beyond which smaller copies of the picture are used."""
_MOST_PX = 16384
_POOL = 3
"""Pictures kept per camera: overscan and zoom go back and forth between neighbouring sizes."""


@dataclass(frozen=True, slots=True)
class InnerPicture:
    """What one camera must see, ready to be looked up by the wall pass."""

    camera: PlanCamera
    view: View
    texture: moderngl.Texture

    @property
    def feather(self) -> tuple[Array, Array]:
        """Rise and start, [4] each for left, bottom, right, top: alpha is `tangent * rise + start`, clipped to 0..1.

        0 at the picture's edge, 1 at `soft_edge_deg` inside it, measured as an angle (at least a millionth degree).
        """
        edge = np.array(self.view.sampled_edge)
        inward = np.array([1.0, 1.0, -1.0, -1.0]) * np.radians(max(self.camera.soft_edge_deg, 1e-6))
        rise = 1.0 / (np.tan(np.clip(np.arctan(edge) + inward, -1.55, 1.55)) - edge)
        return rise, -edge * rise


def inner_view(camera: PlanCamera) -> View:
    """The view of a camera's inner frustum: its rotation, its pupil, the pinhole frame with overscan."""
    return View(
        np.array(camera.pupil_m, dtype=np.float64),
        view_from_stage(transform_of(camera.stage_from_camera), camera.pupil_m),
        overscan_tangents(camera.lens, camera.overscan_deg),
        camera.raster_px,
    )


class InnerPass:
    """Draws inner pictures and keeps their targets."""

    def __init__(self, device: Device, *, samples: int, near_m: float, far_m: float, finer: int = 1) -> None:
        self._device, self._samples, self._near_m, self._far_m = device, samples, near_m, far_m
        self._finer = finer
        self._targets: dict[str, list[ViewTarget]] = {}
        self._focus = FocusPass(device, near_m=near_m, far_m=far_m)

    def draw(
        self,
        plan: FramePlan,
        camera: PlanCamera,
        world: World,
        *,
        kind: Kind,
        texels_per_pixel: float,
        walls: WallArrays = (),
        origin_m: Array | None = None,
    ) -> InnerPicture:
        """One camera's picture. `texels_per_pixel` is the largest a canvas pixel spans; beyond 2 it gets mips.

        `walls` are what lens-aware focus asks for the walls' distance (see `FocusPass.blurred`).
        """
        view = inner_view(camera)
        focus = kind == "f2" and camera.focus_blur_deg > 0.0 and origin_m is not None
        target = self._target(camera.id, view.size_px, kind, readable_depth=focus)
        world.draw(
            plan,
            view_from_stage=view.view_from_stage,
            clip_from_view=view.clip_from_view(near_m=self._near_m, far_m=self._far_m),
            target=target.framebuffer,
        )
        mips = kind == "f2" and texels_per_pixel > MIPS_ABOVE_TEXELS
        if focus and origin_m is not None and target.depth is not None:
            target.join()
            blurred = self._focus.blurred(camera, view, target.texture, target.depth, walls, origin_m)
            ready(blurred, mips=mips)
            return InnerPicture(camera, view, blurred)
        target.finish(mips=mips)
        return InnerPicture(camera, view, target.texture)

    def _target(self, camera: str, size: tuple[int, int], kind: Kind, *, readable_depth: bool) -> ViewTarget:
        pool = self._targets.setdefault(camera, [])
        for target in pool:
            if target.size == size and target.kind == kind and (target.depth is not None) == readable_depth:
                pool.remove(target)
                break
        else:
            samples = self._samples if kind == "f2" else 1
            # Pictures whose fine parts no GPU could hold are drawn plain.
            finer = self._finer if kind == "f2" and max(size) * self._finer <= _MOST_PX else 1
            target = ViewTarget(self._device, *size, kind, samples=samples, finer=finer, readable_depth=readable_depth)
        pool.append(target)
        while len(pool) > _POOL:
            pool.pop(0).release()
        return target

    def release(self) -> None:
        """Free every picture."""
        for pool in self._targets.values():
            for target in pool:
                target.release()
        self._targets.clear()
        self._focus.release()
