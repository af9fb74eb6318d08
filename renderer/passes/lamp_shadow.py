"""Shadow maps of lamps: one a spot, six a point light, side by side in one atlas, kept until something moves.

What stands still and what an animation moves have maps of their own, as the sun's have; a lamp that nothing moving
can reach has no map for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np

from renderer.device import Device
from renderer.lights import SHADOW_MAPS_MOST, Lamp
from renderer.passes.casters import Casters, Mask, Tile, depth_map
from renderer.scene import F32, F64, Scene

SIX_VIEWS: Final = 1024
"""Added to the number of a point light's first view."""
_MARGIN_TEXELS: Final = 4
NEAR_M: Final = 0.05
"""Nearer to a lamp, or inside its radius, nothing casts."""
FAR: Final = 1.001
"""Where a map ends, as a share of the lamp's range."""


@dataclass(frozen=True, slots=True)
class _View:
    """One map's look into the scene."""

    lamp: int
    """Index among the lights that shine."""
    face: int
    """-1 for a spot, 0..5 of a point light: x, -x, y, -y, z, -z."""
    moving: bool


class LampShadows:
    """Draws and keeps the maps of one scene's lamps."""

    def __init__(self, device: Device, size_px: int, casters: Casters) -> None:
        self._device, self._size_px, self._casters = device, size_px, casters
        self.map: moderngl.Texture | None = None
        self._target: moderngl.Framebuffer | None = None
        self._views: list[_View] = []
        self._held: dict[int, tuple[Lamp, bytes]] = {}
        self._empty: set[int] = set()
        self.codes: dict[int, tuple[float, float]] = {}
        """By lamp: its views of what stands still and of what moves, as the shader takes them."""
        self.texels: dict[int, float] = {}
        """By lamp: metres a texel spans, a metre away."""
        self._state: tuple[int, bytes, bytes] | None = None
        self._swept: tuple[F64, F64] | None = None
        self.version = 0
        """Counts what `codes`, `texels` and `views` depend on beside the lamps: equal numbers, equal answers."""
        self.left_out = 0
        """Lamps that would cast shadows and have no room for their maps."""

    def update(self, scene: Scene, lamps: Sequence[Lamp]) -> None:
        """Bring the maps of `lamps` (those that shine, in order) up to date."""
        still, moving = self._casters.still_state(), self._casters.moving_state()
        state = scene.lights.version, still, moving
        if state == self._state and scene.placement.swept is self._swept:
            return
        self._state, self._swept = state, scene.placement.swept
        self._assign(scene, lamps)
        if not self._views:
            self._free()
            return
        self._make(len(self._views))
        centres, radii = scene.placement.bounds()
        for number, view in enumerate(self._views):
            lamp = lamps[view.lamp]
            key = lamp, moving if view.moving else still
            if self._held.get(number) == key:
                continue
            self._held[number] = key
            which = scene.draws.casts & (scene.placement.moving if view.moving else ~scene.placement.moving)
            which = which & _reaches(lamp, view.face, centres, radii)
            # An empty map stays one.
            if not which.any() and number in self._empty:
                continue
            (self._empty.discard if which.any() else self._empty.add)(number)
            assert self._target is not None
            origin = np.asarray(lamp.position_m)
            self._casters.draw(self._target, self._tile(number), origin, _clip(lamp, view.face, self._size_px), which)

    def views(self, lamps: Sequence[Lamp], origin_m: F64) -> F32:
        """[views, 3, 4]  rows that turn scene metres relative to `origin_m` into a place in the atlas, 0..1, and what
        divides it."""
        out = np.zeros((SHADOW_MAPS_MOST, 3, 4), dtype=np.float32)
        if self.map is None:
            return out
        width, height = self.map.size
        for number, view in enumerate(self._views):
            lamp = lamps[view.lamp]
            rows = _clip(lamp, view.face, self._size_px)[[0, 1, 3]]
            rows[:, 3] += rows[:, :3] @ (origin_m - np.asarray(lamp.position_m))
            x, y, side, _ = self._tile(number)
            out[number, 0] = (0.5 * side * rows[0] + (x + 0.5 * side) * rows[2]) / width
            out[number, 1] = (0.5 * side * rows[1] + (y + 0.5 * side) * rows[2]) / height
            out[number, 2] = rows[2]
        return out

    def _assign(self, scene: Scene, lamps: Sequence[Lamp]) -> None:
        """Give every lamp that casts its views, as long as there are any."""
        casts = scene.draws.casts
        moves = casts & scene.placement.moving
        views: list[_View] = []
        self.codes, self.texels, self.left_out = {}, {}, 0
        centres, radii = scene.placement.swept
        for index, lamp in enumerate(lamps):
            if not lamp.shadow_maps or not casts.any():
                continue
            six = lamp.shadow_maps > 1
            faces = range(6) if six else range(-1, 0)
            away = np.linalg.norm(centres[moves] - lamp.position_m, axis=1) - radii[moves]
            meets = bool((away < lamp.range_m).any())
            if len(views) + len(faces) * (1 + meets) > SHADOW_MAPS_MOST:
                self.left_out += 1
                continue
            code = float(SIX_VIEWS if six else 0)
            still, moving = code + len(views), -1.0
            views += [_View(index, face, moving=False) for face in faces]
            if meets:
                moving = code + len(views)
                views += [_View(index, face, moving=True) for face in faces]
            self.codes[index] = still, moving
            self.texels[index] = 2.0 * _tangent(lamp, self._size_px, six=six) / self._size_px
        if views != self._views:
            self._views = views
            self.version += 1
            self._held.clear()
            self._empty.clear()

    def _tile(self, number: int) -> Tile:
        assert self.map is not None
        columns = self.map.width // self._size_px
        return (number % columns) * self._size_px, (number // columns) * self._size_px, self._size_px, self._size_px

    def _make(self, count: int) -> None:
        columns = int(np.ceil(np.sqrt(count)))
        size = columns * self._size_px, -(-count // columns) * self._size_px
        if self.map is None or self.map.size != size:
            self._free()
            self.map, self._target = depth_map(self._device, size)
            self.version += 1

    def _free(self) -> None:
        self._held.clear()
        self._empty.clear()
        if self.map is not None and self._target is not None:
            self._target.release()
            self.map.release()
        self.map = self._target = None

    def release(self) -> None:
        """Free the maps."""
        self._free()


def _tangent(lamp: Lamp, size_px: int, *, six: bool) -> float:
    """Tangent of half a map's angle, a few texels more than the light needs."""
    half = 1.0 if six else float(np.sqrt(1.0 / max(lamp.outer_cos, 1e-6) ** 2 - 1.0))
    return half / (1.0 - 2.0 * _MARGIN_TEXELS / size_px)


def _axes(lamp: Lamp, face: int) -> F64:
    """[3, 3]  rows right, up, forward of a map's look."""
    if face < 0:
        forward = np.asarray(lamp.axis)
    else:
        forward = np.zeros(3)
        forward[face // 2] = -1.0 if face % 2 else 1.0
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, forward), forward])


def _clip(lamp: Lamp, face: int, size_px: int) -> F64:
    """[4, 4]  clip space from scene metres relative to the lamp."""
    t = _tangent(lamp, size_px, six=face >= 0)
    axes = _axes(lamp, face)
    far = lamp.range_m * FAR
    near = min(max(NEAR_M, lamp.radius_m), 0.5 * far)
    out = np.zeros((4, 4))
    out[0, :3], out[1, :3] = axes[0] / t, axes[1] / t
    out[2, :3], out[2, 3] = axes[2] * (far + near) / (far - near), -2.0 * far * near / (far - near)
    out[3, :3] = axes[2]
    return out


def _reaches(lamp: Lamp, face: int, centres: F64, radii: F64) -> Mask:
    """Which spheres, [n, 3] and [n], may stand in a map's look."""
    away = centres - lamp.position_m
    near = np.einsum("ni,ni->n", away, away) < (lamp.range_m + radii) ** 2
    axes = _axes(lamp, face)
    half = float(np.arccos(lamp.outer_cos)) if face < 0 else float(np.arccos(1.0 / np.sqrt(3.0)))
    along = away @ axes[2]
    aside = np.linalg.norm(away - along[:, None] * axes[2], axis=1)
    return np.asarray(near & (np.cos(half) * aside - np.sin(half) * along <= radii * 1.01 + 0.01))
