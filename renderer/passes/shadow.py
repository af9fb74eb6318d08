"""The sun's shadow maps: cascades round the stage, drawn again only when the sun, the stage or a caster moved.

They are fitted to the stage and to what casts, never to a view: all views share them, and shadows do not crawl.
What stands still has its cascades; what an animation moves has one map of its own, drawn with every step in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np

from renderer.device import Device
from renderer.passes.casters import Casters, Mask, depth_map
from renderer.scene import F32, F64, Scene
from stage.frames import Array

CASCADES_MOST: Final = 4
_STEPS: Final = 8
"""A cascade's middle stands on a lattice of its size / 8: the stage may move so far before it is drawn again, and a
texel always covers the same ground."""
EDGE: Final = 0.08
"""Share of a cascade's half width over which it gives way to the next coarser one."""
MARGIN_TEXELS: Final = 3
"""Texels at a map's edge that are not read: their filter would reach the neighbour."""
_UP: Final = 0.99


@dataclass(frozen=True, slots=True)
class Cascade:
    """One map: a square of the plane across the sun's light."""

    centre: tuple[float, float]
    """Its middle in the sun's plane, metres."""
    half_m: float
    depth: tuple[float, float]
    """Heights towards the sun between which it holds depth: nearest, farthest."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Where the shadow maps look, from fine to coarse. All of them share the axes `turn` and the origin."""

    origin_m: F64
    turn: F64
    """[3, 3]  rows: right and up in the sun's plane, and towards the sun."""
    cascades: tuple[Cascade, ...]
    moving: Cascade | None
    """The map of what moves; None when nothing that moves casts."""
    size_px: int
    moving_px: int

    @property
    def clip_from_relative(self) -> F64:
        """[4, 4]  the coarsest cascade: clip space from scene metres relative to `origin_m`."""
        return self.clip_of(self.cascades[-1])

    @property
    def texel_m(self) -> float:
        """Of the coarsest cascade."""
        return 2.0 * self.cascades[-1].half_m / self.size_px

    def clip_of(self, cascade: Cascade) -> F64:
        """[4, 4]  a map's clip space from scene metres relative to `origin_m`."""
        near, far = cascade.depth
        out = np.eye(4)
        out[:2, :3] = self.turn[:2] / cascade.half_m
        out[:2, 3] = (self.turn[:2] @ self.origin_m - cascade.centre) / cascade.half_m
        out[2, :3] = -2.0 / (near - far) * self.turn[2]
        out[2, 3] = (near + far - 2.0 * float(self.turn[2] @ self.origin_m)) / (near - far)
        return out

    def block(self) -> F32:
        """[2 * CASCADES_MOST + 2, 4]  the SunShadow block of shaders/scene/shadow.glsl."""
        base, finest = self.cascades[-1], self.cascades[0]
        places = np.zeros((CASCADES_MOST + 1, 4), dtype=np.float32)
        rims = np.zeros((CASCADES_MOST, 4), dtype=np.float32)
        for i, cascade in [*enumerate(self.cascades), (CASCADES_MOST, self.moving)]:
            if cascade is None:
                continue
            scale = base.half_m / cascade.half_m
            shift = (np.asarray(base.centre) - cascade.centre) / (2.0 * cascade.half_m)
            px = self.size_px if i < CASCADES_MOST else self.moving_px
            deep = 2.0 * cascade.half_m / px / (cascade.depth[0] - cascade.depth[1])
            places[i] = *(0.5 - 0.5 * scale + shift), scale, deep
        middle = (np.asarray(finest.centre) - base.centre) / (2.0 * base.half_m) + 0.5
        for i, cascade in enumerate(self.cascades):
            # A square round the finest one's middle that this one holds, with texels to spare for the filter.
            aside = float(np.abs(np.asarray(cascade.centre) - finest.centre).max())
            ends = cascade.half_m * (1.0 - 2.0 * MARGIN_TEXELS / self.size_px) - aside
            rims[i, :2] = ends / (2.0 * base.half_m), 2.0 * base.half_m / (EDGE * ends)
            if len(self.cascades) > 1:
                places[i, :3] *= 0.5
                places[i, :2] += (i % 2) / 2.0, (i // 2) / 2.0
        return np.concatenate([places, rims, [[*middle, 0.0, 0.0]]]).astype(np.float32)


def fit(scene: Scene, stage_from_scene: Array, size_px: int) -> Fit | None:
    """The maps for `scene` with the stage where it is; None where there is nothing to cast.

    The coarsest holds all casters where they are few, else what lies within the scene's shadow range of the stage;
    the finer ones, as many as the configuration says, the stage's surroundings.
    """
    sun = scene.sun
    casts = scene.draws.casts
    if sun is None or not sun.shadow or not casts.any():
        return None
    centres, radii = scene.placement.swept[0][casts], scene.placement.swept[1][casts]
    middle, reach = _round(centres, radii)
    # A rim stays empty, for the fading out at the edge.
    reach /= 1.0 - EDGE - 2.0 * MARGIN_TEXELS / size_px - 0.01
    stage = np.linalg.solve(np.asarray(stage_from_scene, dtype=np.float64), [0.0, 0.0, 0.0, 1.0])[:3]
    z = sun.direction
    x = np.cross([0.0, 0.0, 1.0] if abs(z[2]) < _UP else [0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    turn = np.stack([x, np.cross(z, x), z])
    flat = centres @ turn.T
    # A caster far towards the sun still counts; one that reaches no map does not stretch their depth.
    range_m = scene.config.shadow_range_m
    wide = reach > range_m
    half_m = range_m if wide else reach
    about = turn @ (stage if wide else middle)
    near_by = (np.abs(flat[:, :2] - about[:2]) < half_m * (1.0 + 1.0 / _STEPS) + radii[:, None]).all(axis=1)
    high, low = flat[:, 2] + radii, flat[:, 2] - radii
    if not near_by.any():
        near_by[:] = True
    near, far = float(high[near_by].max()), float(low[near_by].min())
    # In steps, so that a caster more or less does not change every map.
    step = max(1.0, 2.0 ** np.ceil(np.log2(near - far)) / 16.0)
    depth = float(np.ceil(near / step + 0.01) * step), float(np.floor(far / step - 0.01) * step)
    halves = cascade_halves(half_m, scene.config.shadow_detail_m, scene.config.shadow_cascades)
    in_plane = turn @ stage
    cascades = [Cascade(_snapped(in_plane, half), half, depth) for half in halves[:-1]]
    cascades.append(Cascade(_snapped(about, half_m), half_m, depth) if wide else Cascade(_at(about), half_m, depth))
    moving, moving_px = None, max(64, size_px // 4)
    moves = scene.placement.moving[casts]
    if moves.any():
        at, reach = _round(centres[moves], radii[moves])
        reach *= 1.05
        # Half as fine as the finest cascade if half its size is enough, for it is drawn every frame; else coarser.
        moving = Cascade(_at(turn @ at), reach, depth)
        while 2 * moving_px < size_px and reach / moving_px > 2.0 * halves[0] / size_px:
            moving_px *= 2
    return Fit(np.round(stage), turn, tuple(cascades), moving, size_px, moving_px)


def cascade_halves(half_m: float, detail_m: float, count: int) -> list[float]:
    """Half widths of the cascades, from fine to coarse: `detail_m`, geometric steps, `half_m`; fewer where a step
    would be less than a factor of 1.6."""
    if detail_m >= half_m or count < 2:
        return [half_m]
    steps = min(count - 1, max(1, round(np.log(half_m / detail_m) / np.log(1.6))))
    return [float(detail_m * (half_m / detail_m) ** (i / steps)) for i in range(steps)] + [half_m]


def _round(centres: F64, radii: F64) -> tuple[F64, float]:
    """A sphere round spheres: centre and radius."""
    low, high = (centres - radii[:, None]).min(axis=0), (centres + radii[:, None]).max(axis=0)
    middle = (low + high) / 2.0
    return middle, float((np.linalg.norm(centres - middle, axis=1) + radii).max())


def _snapped(in_plane: F64, half_m: float) -> tuple[float, float]:
    step = half_m * 2.0 / _STEPS
    return float(np.round(in_plane[0] / step) * step), float(np.round(in_plane[1] / step) * step)


def _at(in_plane: F64) -> tuple[float, float]:
    return float(in_plane[0]), float(in_plane[1])


class ShadowPass:
    """Draws and keeps one scene's sun shadows: `map` holds the cascades side by side, `moving_map` what moves."""

    def __init__(self, device: Device, size_px: int, casters: Casters) -> None:
        self._device = device
        self._size_px = size_px - size_px % _STEPS
        self._casters = casters
        self.map: moderngl.Texture | None = None
        self.moving_map: moderngl.Texture | None = None
        self._target: moderngl.Framebuffer | None = None
        self._moving_target: moderngl.Framebuffer | None = None
        self._held: dict[int, tuple[Cascade, bytes]] = {}
        self._drawn: tuple[bytes, ...] | None = None
        self._moved: bytes | None = None
        self.fit: Fit | None = None
        self.still_count = 0
        """How often cascades of what stands still were drawn."""
        self.moving_count = 0
        """How often the map of what moves was drawn."""

    def update(self, scene: Scene, stage_from_scene: Array) -> Fit | None:
        """The maps' fit for `scene` as it stands now, drawn again if need be; None without a sun that casts."""
        sun = scene.sun
        still = self._casters.still_state()
        light = b"" if sun is None else sun.direction.tobytes() + bytes([sun.shadow])
        state = (light, np.asarray(stage_from_scene, dtype=np.float64).tobytes(), still)
        if state != self._drawn:
            if self._drawn is not None and (self._drawn[0], self._drawn[2]) != (light, still):
                self._held.clear()
            self._drawn = state
            before, self.fit = self.fit, fit(scene, stage_from_scene, self._size_px)
            if self.fit is not None:
                self._make(self.fit)
                if before is None or before.moving != self.fit.moving or not np.array_equal(before.turn, self.fit.turn):
                    self._moved = None
                self._draw_still(scene, self.fit, still)
        if self.fit is not None and self.fit.moving is not None:
            moved = self._casters.moving_state()
            if moved != self._moved:
                self._moved = moved
                self._draw(scene, self.fit, self.fit.moving, scene.placement.moving)
                self.moving_count += 1
        return self.fit

    def _draw_still(self, scene: Scene, fit: Fit, still: bytes) -> None:
        drawn = False
        for i, cascade in enumerate(fit.cascades):
            if self._held.get(i) == (cascade, still):
                continue
            self._held[i] = cascade, still
            self._draw(scene, fit, cascade, ~scene.placement.moving, tile=i)
            drawn = True
        self.still_count += drawn

    def _draw(self, scene: Scene, fit: Fit, cascade: Cascade, which: Mask, tile: int | None = None) -> None:
        centres, radii = scene.placement.bounds()
        flat = centres @ fit.turn.T
        reach = cascade.half_m + radii
        near = (np.abs(flat[:, :2] - cascade.centre) < reach[:, None]).all(axis=1)
        near &= flat[:, 2] + radii > cascade.depth[1]
        chosen = scene.draws.casts & which & near
        clip = fit.clip_of(cascade)
        if tile is None:
            assert self._moving_target is not None
            place = (0, 0, fit.moving_px, fit.moving_px)
            self._casters.draw(self._moving_target, place, fit.origin_m, clip, chosen)
        else:
            assert self._target is not None
            x, y = (tile % 2) * fit.size_px, (tile // 2) * fit.size_px
            self._casters.draw(self._target, (x, y, fit.size_px, fit.size_px), fit.origin_m, clip, chosen)

    def _make(self, fit: Fit) -> None:
        """Textures of the sizes `fit` needs."""
        count = len(fit.cascades)
        size = (fit.size_px * min(count, 2),) * 2
        if self.map is None or self.map.size != size:
            self._free_still()
            self.map, self._target = depth_map(self._device, size)
        if fit.moving is not None and (self.moving_map is None or self.moving_map.width != fit.moving_px):
            self._free_moving()
            self.moving_map, self._moving_target = depth_map(self._device, (fit.moving_px, fit.moving_px))

    def _free_still(self) -> None:
        self._held.clear()
        if self.map is not None and self._target is not None:
            self._target.release()
            self.map.release()
        self.map = self._target = None

    def _free_moving(self) -> None:
        self._moved = None
        if self.moving_map is not None and self._moving_target is not None:
            self._moving_target.release()
            self.moving_map.release()
        self.moving_map = self._moving_target = None

    def release(self) -> None:
        """Free the maps."""
        self._free_still()
        self._free_moving()
