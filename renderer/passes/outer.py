"""The outer pass: what the walls show outside the inner frusta, drawn from the eye point as faces of a cube.

Each item of wall (a cabinet, a patch of mesh) takes its picture from one face, the one that looks at it best. A face
spans exactly the items it serves, which may reach a little over its 90 degrees, so no lookup ever crosses from face
to face and nothing is drawn that no wall needs. The pictures stay until the plan says `drawn_frame` has changed.

A picture that is drawn every few frames may be drawn beforehand, a face at a time: what a coming plan will show is
known but for its cameras, and those do not matter here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import moderngl
import msgspec
import numpy as np
from numpy.typing import NDArray

from renderer.canvas_mesh import CanvasMesh
from renderer.device import Device
from renderer.passes.inner import MIPS_ABOVE_TEXELS
from renderer.passes.target import Kind, ViewTarget
from renderer.passes.view import View
from renderer.world import World
from stage.frames import Array
from stage.plan import FramePlan
from stage.projection import cube_view_from_stage

FACES = 6
_FINEST = 0.2
_STEP_PX = 32
"""Sides of the pictures are multiples of it, so that a moving eye does not make a new size every frame."""
_WIDEST_TANGENT = 12.0
"""No face looks further aside than this (85 degrees); a wall so close to the eye is black beyond."""


@dataclass(frozen=True, slots=True)
class OuterLayout:
    """Which face serves which item, seen from one eye point.

    `face` gives, per canvas and part, the face of each item, [k]; `views` the faces that are needed;
    `texels_per_pixel` per face the largest number of texels one canvas pixel spans.
    """

    eye_m: tuple[float, float, float]
    face: dict[str, tuple[NDArray[np.int64], ...]]
    views: dict[int, View]
    texels_per_pixel: dict[int, float]


def outer_layout(
    meshes: dict[str, CanvasMesh],
    eye_m: tuple[float, float, float],
    /,
    *,
    face_px: int,
    texels_per_led: float | None = None,
) -> OuterLayout:
    """The faces the walls need from an eye point.

    `face_px` texels span 90 degrees, or fewer where `texels_per_led` for each canvas pixel (of all but the finest
    fifth of the items: far corners seen at a slant) are had with less.
    """
    eye = np.array(eye_m, dtype=np.float64)
    cameras = [cube_view_from_stage(face, eye) for face in range(FACES)]
    full = [View(eye, camera, (-1.0, 1.0, -1.0, 1.0), (face_px, face_px)) for camera in cameras]
    parts = [(name, part) for name, mesh in meshes.items() for part in mesh.parts]
    chosen = [np.argmin(np.stack([_reach(view, part.points_m) for view in full]), axis=0) for _, part in parts]
    views: dict[int, View] = {}
    spans: dict[int, float] = {}
    for k in range(FACES):
        served = [(part, face == k) for (_, part), face in zip(parts, chosen, strict=True) if np.any(face == k)]
        if not served:
            continue
        per_pixel = np.concatenate(
            [
                full[k].texels_per_pixel(part.points_m[on].mean(axis=1), part.across_m[on], part.along_m[on])
                for part, on in served
            ]
        )
        less = 1.0
        if texels_per_led is not None:
            finest = float(np.quantile(per_pixel, _FINEST))
            # In steps of a quarter octave, so that a moving eye does not make a new size every frame.
            less = 2.0 ** (min(0.0, np.ceil(4.0 * np.log2(texels_per_led / max(finest, 1e-6)))) / 4.0)
        tangents = np.concatenate([_tangents(full[k], part.points_m[on].reshape(-1, 3)) for part, on in served])
        # A texel and a half more on every side, so that the filter stays inside; then up to whole steps.
        texel = 2.0 / max(1.0, face_px * less)
        sides, size = [], []
        for low, high in zip(tangents.min(axis=0), tangents.max(axis=0), strict=True):
            start = np.floor(low / texel - 1.5)
            count = np.ceil((high / texel + 1.5 - start) / _STEP_PX) * _STEP_PX
            sides.append((start * texel, (start + count) * texel))
            size.append(int(count))
        (left, right), (bottom, top) = sides
        views[k] = View(eye, cameras[k], (left, right, bottom, top), (size[0], size[1]))
        spans[k] = float(per_pixel.max() * less)
    faces: dict[str, tuple[NDArray[np.int64], ...]] = {
        name: tuple(face for (owner, _), face in zip(parts, chosen, strict=True) if owner == name) for name in meshes
    }
    return OuterLayout(eye_m, faces, views, spans)


def _reach(view: View, points_m: Array) -> Array:
    """How far from the view's middle each hull, [k, c, 3], reaches: its largest tangent; endless behind it, [k]."""
    at = view.coordinates(points_m)
    z = at[..., 2]
    aside = np.abs(at[..., :2]).max(axis=-1)
    # Behind the face the measure must still order the faces: the further behind, the worse.
    tangent = np.where(z > 1e-6, aside / np.maximum(z, 1e-6), 1e9 - z)
    return np.asarray(tangent.max(axis=1))


def _tangents(view: View, points_m: Array) -> Array:
    at = view.coordinates(points_m)
    z = np.maximum(at[:, 2:], np.abs(at[:, :2]).max(axis=1, keepdims=True) / _WIDEST_TANGENT)
    return np.asarray(at[:, :2] / np.maximum(z, 1e-9))


def _needed(layout: OuterLayout, canvases: Collection[str] | None) -> list[int]:
    """The faces that serve any item of the canvases."""
    if canvases is None:
        return list(layout.views)
    served = {int(face) for name in canvases for part in layout.face[name] for face in np.unique(part)}
    return [face for face in layout.views if face in served]


@dataclass(slots=True)
class _Coming:
    """The picture of a plan that is still to come."""

    content: FramePlan
    world: World
    kind: Kind
    layout: OuterLayout
    drawn: set[int]


def _content(plan: FramePlan) -> FramePlan:
    """A plan less everything an outer picture does not show: equal ones give equal pictures."""
    outer = msgspec.structs.replace(plan.outer, drawn_frame=0)
    return msgspec.structs.replace(
        plan, frame=0, t_present_ns=0, epoch=0, timecode="", tai_ns=0, show_version=0, seed=0, cameras=[], outer=outer,
        cards=[], key=None, looks=[], patterns=[], output_delays={}, actions=[], t_latched_ns=0,
    )  # fmt: skip


class OuterPass:
    """Draws the faces when the plan asks for it and holds them in between."""

    def __init__(
        self,
        device: Device,
        *,
        face_px: int,
        texels_per_led: float | None = None,
        samples: int,
        near_m: float,
        far_m: float,
    ) -> None:
        self._device, self._samples, self._near_m, self._far_m = device, samples, near_m, far_m
        self._face_px, self._texels_per_led = face_px, texels_per_led
        self._targets: dict[int, ViewTarget] = {}
        self._spare: dict[int, ViewTarget] = {}
        self._layout: OuterLayout | None = None
        self._coming: _Coming | None = None
        self._held: tuple[int, World, Kind] | None = None
        self.exposure_ev = 0.0
        self.generation = 0
        """Counts redraws: equal numbers are equal pictures."""

    @property
    def layout(self) -> OuterLayout:
        """The layout of the pictures held."""
        assert self._layout is not None, "nothing is drawn yet"
        return self._layout

    def draw(
        self,
        plan: FramePlan,
        meshes: dict[str, CanvasMesh],
        world: World,
        *,
        kind: Kind,
        canvases: Collection[str] | None = None,
    ) -> bool:
        """Draw the faces if `plan.outer.drawn_frame` is not the frame held. Returns whether anything was drawn.

        `meshes` are those of the whole stage: they alone say how large faces are. Of `canvases` (None: all) only
        the faces are drawn that these need.
        """
        held = (plan.outer.drawn_frame, world, kind)
        if self._held is not None and self._held[0] == held[0] and self._held[1] is world and self._held[2] == kind:
            return False
        done: set[int] = set()
        if self._is_coming(plan, world, kind):
            assert self._coming is not None
            self._layout, done = self._coming.layout, self._coming.drawn
            self._targets, self._spare = self._spare, self._targets
        self._coming = None
        if self._layout is None or self._layout.eye_m != plan.outer.eye_m:
            self._layout = self._new_layout(plan, meshes)
        for face in [face for face in self._targets if face not in self._layout.views]:
            self._targets.pop(face).release()
        for face in _needed(self._layout, canvases):
            if face not in done:
                self._draw_face(self._targets, face, self._layout, plan, world, kind)
        self._held = held
        self.exposure_ev = plan.exposure_ev
        self.generation += 1
        return True

    def ahead(
        self,
        plan: FramePlan,
        meshes: dict[str, CanvasMesh],
        world: World,
        *,
        kind: Kind,
        canvases: Collection[str] | None = None,
    ) -> int:
        """Draw one face of the picture that a coming `plan` will ask for; how many are still missing then.

        `draw` takes the picture over when that plan comes and shows nothing else (`drawn_frame` and cameras apart),
        draws what is missing, or all of it anew: with or without this, the same plan gives the same pixels.
        """
        if not self._is_coming(plan, world, kind):
            same_eye = self._layout is not None and self._layout.eye_m == plan.outer.eye_m
            layout = self._layout if same_eye and self._layout is not None else self._new_layout(plan, meshes)
            self._coming = _Coming(_content(plan), world, kind, layout, set())
        coming = self._coming
        assert coming is not None
        missing = [face for face in _needed(coming.layout, canvases) if face not in coming.drawn]
        if missing:
            self._draw_face(self._spare, missing[0], coming.layout, plan, world, kind)
            coming.drawn.add(missing[0])
        return max(0, len(missing) - 1)

    def is_ahead(self, plan: FramePlan, world: World, *, kind: Kind, canvases: Collection[str] | None = None) -> bool:
        """Whether all of the picture that a coming `plan` will ask for is drawn."""
        coming = self._coming
        if coming is None or not self._is_coming(plan, world, kind):
            return False
        return coming.drawn.issuperset(_needed(coming.layout, canvases))

    def _is_coming(self, plan: FramePlan, world: World, kind: Kind) -> bool:
        coming = self._coming
        return coming is not None and coming.world is world and coming.kind == kind and coming.content == _content(plan)

    def _new_layout(self, plan: FramePlan, meshes: dict[str, CanvasMesh]) -> OuterLayout:
        return outer_layout(meshes, plan.outer.eye_m, face_px=self._face_px, texels_per_led=self._texels_per_led)

    def _draw_face(
        self,
        targets: dict[int, ViewTarget],
        face: int,
        layout: OuterLayout,
        plan: FramePlan,
        world: World,
        kind: Kind,
    ) -> None:
        view = layout.views[face]
        target = self._target(targets, face, view.size_px, kind)
        world.draw(
            plan,
            view_from_stage=view.view_from_stage,
            clip_from_view=view.clip_from_view(near_m=self._near_m, far_m=self._far_m),
            target=target.framebuffer,
        )
        target.finish(mips=kind == "f2" and layout.texels_per_pixel[face] > MIPS_ABOVE_TEXELS)

    def texture(self, face: int) -> moderngl.Texture:
        """The picture of a face."""
        return self._targets[face].texture

    def forget(self) -> None:
        """Draw anew at the next plan, whatever it says."""
        self._held = self._coming = None

    def _target(self, targets: dict[int, ViewTarget], face: int, size: tuple[int, int], kind: Kind) -> ViewTarget:
        target = targets.get(face)
        if target is None or target.size != size or target.kind != kind:
            if target is not None:
                target.release()
            target = ViewTarget(self._device, *size, kind, samples=self._samples if kind == "f2" else 1)
            targets[face] = target
        return target

    def release(self) -> None:
        """Free every face."""
        for targets in (self._targets, self._spare):
            for target in targets.values():
                target.release()
            targets.clear()
        self._held = self._coming = None
