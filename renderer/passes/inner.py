"""The inner pass: one picture per tracked camera, drawn from its entrance pupil with its overscan.

A node that shows a part of the walls draws the part of the picture that they look up. It is cut out of the same raster,
so that every pixel is the one a node would draw that shows all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import moderngl
import numpy as np

from renderer.device import Device
from renderer.passes.focus import TILE, FocusPass, WallArrays, widest_px
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
_FILTER_PX = 3
"""What a lookup reads beside its place, and what numbers in float32 may be off by."""
_STEEPEST_TANGENT = 40.0
_DISCS = 3
"""Radii of the widest disc that a texel's blur depends on: its own, a neighbour's, and the tiles that tell of both."""

Part = tuple[int, int, int, int]
"""Left, bottom, width and height of a part of a picture, texels."""


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


def part_of(view: View, points_m: Array, /, *, beside_px: float = 0.0) -> Part | None:
    """The part of a picture that lookups inside the hull of stage points, [n, 3], may read; None: all of it.

    `beside_px` is how far beside it texels count too.
    """
    at = view.coordinates(points_m)
    if not len(at) or np.any(at[:, 2] * _STEEPEST_TANGENT <= np.abs(at[:, :2]).max(axis=1)):
        return None
    scale_x, scale_y, offset_x, offset_y = view.uv
    width, height = view.size_px
    tangent = at[:, :2] / at[:, 2:]
    px = (tangent * (scale_x, scale_y) + (offset_x, offset_y)) * (width, height)
    margin = _FILTER_PX + ceil(beside_px)
    low = np.clip(np.floor(px.min(axis=0)) - margin, 0, (width, height)).astype(int)
    high = np.clip(np.ceil(px.max(axis=0)) + margin, 0, (width, height)).astype(int)
    if low[0] == 0 and low[1] == 0 and high[0] == width and high[1] == height:
        return None
    # A part of no texels is none: one of them is drawn, and nobody looks.
    size = np.maximum(high - low, 1)
    return int(low[0]), int(low[1]), int(size[0]), int(size[1])


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
        looked_up_m: Array | None = None,
    ) -> InnerPicture:
        """One camera's picture. `texels_per_pixel` is the largest a canvas pixel spans; beyond 2 it gets mips.

        `walls` are what lens-aware focus asks for the walls' distance (see `FocusPass.blurred`). `looked_up_m`, [n, 3]
        stage points, hold everything that will look the picture up in their hull: nothing is drawn that they do not
        need. None: all of it.
        """
        view = inner_view(camera)
        focus = kind == "f2" and camera.focus_blur_deg > 0.0 and origin_m is not None
        target = self._target(camera.id, view.size_px, kind, readable_depth=focus)
        mips = kind == "f2" and texels_per_pixel > MIPS_ABOVE_TEXELS
        part = None
        # Smaller copies are made of the whole picture.
        if looked_up_m is not None and not mips:
            part = part_of(view, looked_up_m, beside_px=_DISCS * widest_px(camera, view) + 2 * TILE if focus else 0.0)
        with target.only(part):
            world.draw(
                plan,
                view_from_stage=view.view_from_stage,
                clip_from_view=view.clip_from_view(near_m=self._near_m, far_m=self._far_m),
                target=target.framebuffer,
            )
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
