"""The lights of a scene: lamps of its assets and of its configuration, in physical units, and where they reach.

A white matt surface under E lux shows E / pi nit, and 1.0 is 100 nit: light / (100 pi) is what the shaders sum.
Nothing here knows of views: a light is chosen for a place in the world by its range alone, and fades to exactly
nothing there, so that the same place looks the same from everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from renderer.gltf.model import Light
from renderer.light_config import LightConfig
from renderer.working import AP1_FROM_REC709, REC709, planckian_xy, xyz_from_rgb
from stage.frames import rotation_from_pan_tilt_roll

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

LINEAR_FROM_LUX: Final = 1.0 / (100.0 * np.pi)
"""What a white matt surface shows of one lux, in scene-linear units: 1.0 = 100 nit."""
DARK_LUX: Final = 0.05
"""Illuminance at which a light without a range is taken to end, before the exposure."""
SHADOW_MAPS_MOST: Final = 48
"""Maps of lamps a scene can have, as many as shaders/scene/lights.glsl holds."""
_WIDEST_COS: Final = 0.34
"""Spots wider than 70 degrees take six maps."""
CAPACITY: Final = 128
"""Lights a scene can have; shaders/scene/lights.glsl holds as many."""
_CELLS_MOST: Final = 65_536
"""Small cells list few lights that do not reach a place: software GL pays for those as for the others."""
_CELL_LEAST_M: Final = 0.25

Kind = Literal["point", "spot", "directional"]


@dataclass(frozen=True, slots=True)
class Lamp:
    """One light in the scene's frame."""

    kind: Kind
    light: tuple[float, float, float]
    """Intensity in the middle, linear ACEScg: candela (directional: lux) / (100 pi)."""
    position_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    axis: tuple[float, float, float] = (0.0, 0.0, -1.0)
    """Unit vector, the way it shines."""
    range_m: float = 0.0
    inner_cos: float = 1.0
    outer_cos: float = 0.0
    """Cosines of a spot's cones."""
    radius_m: float = 0.0
    shadow: bool = False
    on: bool = True

    @property
    def shadow_maps(self) -> int:
        """Maps its shadow takes, once for what stands still; 0 where it casts none (the sun's are others)."""
        if not self.shadow or self.kind == "directional":
            return 0
        return 6 if self.kind == "point" or self.outer_cos < _WIDEST_COS else 1


@dataclass(frozen=True, slots=True)
class Follows:
    """The node a light of an asset hangs on."""

    asset: int
    node: int


def lamp_of(light: Light, *, exposure_ev: float = 0.0, working_from_rec709: F64 = AP1_FROM_REC709) -> Lamp:
    """A light of an asset (KHR_lights_punctual), at its scene's origin, shining down; spots cast shadows."""
    return Lamp(
        light.kind,
        _triple(working_from_rec709 @ np.asarray(light.colour) * light.intensity * LINEAR_FROM_LUX),
        range_m=light.range_m or dark_at_m(light.intensity * max(light.colour), exposure_ev),
        inner_cos=float(np.cos(light.inner_cone_rad)),
        outer_cos=float(np.cos(light.outer_cone_rad)),
        shadow=light.kind == "spot",
    )


def configured(config: LightConfig, *, exposure_ev: float = 0.0, working_from_rec709: F64 = AP1_FROM_REC709) -> Lamp:
    """A light of the configuration."""
    inner_cos, outer_cos = (float(np.cos(np.radians(v))) for v in config.cones_deg)
    intensity = config.candela if config.lux is None else config.lux
    if intensity is None:
        assert config.lumens is not None
        intensity = config.lumens / solid_angle_sr(config.kind, inner_cos, outer_cos)
    if config.temperature_k is not None:
        colour = rec709_from_temperature(config.temperature_k)
    else:
        colour = np.asarray(config.colour or (1.0, 1.0, 1.0), dtype=np.float64)
    position = np.asarray(config.position_m, dtype=np.float64)
    if config.aim_m is not None:
        axis = np.asarray(config.aim_m) - position
        axis = axis / np.linalg.norm(axis)
    else:
        axis = rotation_from_pan_tilt_roll(config.pan_deg, config.tilt_deg, 0.0) @ np.array([0.0, 1.0, 0.0])
    return Lamp(
        config.kind,
        _triple(working_from_rec709 @ colour * intensity * LINEAR_FROM_LUX),
        _triple(position),
        _triple(axis),
        config.range_m or dark_at_m(intensity * float(colour.max()), exposure_ev),
        inner_cos,
        outer_cos,
        config.radius_m,
        config.kind == "spot" if config.shadow is None else config.shadow,
        config.on,
    )


def solid_angle_sr(kind: Kind, inner_cos: float, outer_cos: float) -> float:
    """Lumens of a light through the candela in its middle: the integral of the extension's cone falloff."""
    if kind == "point":
        return float(4.0 * np.pi)
    return float(2.0 * np.pi * ((1.0 - inner_cos) + (inner_cos - outer_cos) / 3.0))


def dark_at_m(candela: float, exposure_ev: float) -> float:
    """How far a light of an intensity gives as much as `DARK_LUX` (fewer, where the exposure lifts it)."""
    return float(max(0.1, np.sqrt(candela / (DARK_LUX * 2.0**-exposure_ev))))


def rec709_from_temperature(temperature_k: float) -> F64:
    """Linear Rec.709 of a black body, [3], its luminance 1 (Kim et al. 2002; 1,667 to 25,000 K)."""
    x, y = planckian_xy(temperature_k)
    rgb = np.linalg.solve(xyz_from_rgb(REC709), np.array([x / y, 1.0, (1.0 - x - y) / y]))
    rgb = np.maximum(rgb, 0.0)
    return np.asarray(rgb / (xyz_from_rgb(REC709)[1] @ rgb))


class Lights:
    """All lights of a scene but its sun. `version` counts every change: equal numbers are equal lights.

    Directional ones come first; lamps that are off, or black, are in `lamps` and not in `lit`.
    """

    def __init__(
        self,
        configs: Mapping[str, LightConfig],
        hanging: Sequence[tuple[str, Light, Follows]] = (),
        *,
        exposure_ev: float = 0.0,
        working_from_rec709: F64 = AP1_FROM_REC709,
    ) -> None:
        """`hanging` are lights of assets: a name, the light, and the node it hangs on (see `follow`)."""
        self._exposure_ev, self._working = exposure_ev, working_from_rec709
        self._hangs: dict[str, Follows] = {}
        made: dict[str, Lamp] = {}
        for name, light, owner in hanging:
            made[name] = lamp_of(light, exposure_ev=exposure_ev, working_from_rec709=working_from_rec709)
            self._hangs[name] = owner
        for name, config in configs.items():
            made[name] = self._configured(config)
        self.lamps = made
        self.version = 0
        self.notes: tuple[str, ...] = ()
        if len(made) > CAPACITY:
            self.notes = (f"{len(made)} lights, of which the first {CAPACITY} shine",)
        maps = sum(lamp.shadow_maps for lamp in made.values())
        if maps > SHADOW_MAPS_MOST:
            told = f"shadows of lamps take {maps} maps (a spot one, a point six), of which there are {SHADOW_MAPS_MOST}"
            self.notes += (f"{told}: the last lamps shine without one",)

    @property
    def follows(self) -> dict[str, Follows]:
        """The node of each light that hangs on one."""
        return self._hangs

    def follow(self, scene_from_node: Callable[[Follows], F64], names: Sequence[str] | None = None) -> None:
        """Put lights of assets (all, or `names`) where their nodes are. A node's -Z is the way its light shines."""
        for name in self._hangs if names is None else names:
            placed = scene_from_node(self._hangs[name])
            axis = -placed[:3, 2]
            length = float(np.linalg.norm(axis))
            axis = axis / length if length > 0 else np.array([0.0, 0.0, -1.0])
            lamp = replace(self.lamps[name], position_m=_triple(placed[:3, 3]), axis=_triple(axis))
            if lamp != self.lamps[name]:
                self.lamps[name] = lamp
                self.version += 1

    def configure(self, name: str, config: LightConfig) -> None:
        """Change, or add, a light of the configuration."""
        lamp = self._configured(config)
        if self.lamps.get(name) != lamp:
            self.lamps[name] = lamp
            self.version += 1

    def _configured(self, config: LightConfig) -> Lamp:
        return configured(config, exposure_ev=self._exposure_ev, working_from_rec709=self._working)

    def change(self, name: str, lamp: Lamp) -> None:
        """Change, or add, a light as it is drawn; one that hangs on a node keeps its place there."""
        if name in self._hangs and name in self.lamps:
            lamp = replace(lamp, position_m=self.lamps[name].position_m, axis=self.lamps[name].axis)
        if self.lamps.get(name) != lamp:
            self.lamps[name] = lamp
            self.version += 1

    def remove(self, name: str) -> None:
        """Take a light out; harmless when there is none of the name."""
        if self.lamps.pop(name, None) is not None:
            self._hangs.pop(name, None)
            self.version += 1

    def lit(self) -> list[Lamp]:
        """The lights that shine, directional ones first, in the order the shaders sum them; at most `CAPACITY`."""
        shining = [lamp for lamp in self.lamps.values() if lamp.on and any(lamp.light)]
        shining.sort(key=lambda lamp: lamp.kind != "directional")
        return shining[:CAPACITY]


class Grid:
    """Boxes of the world and which lights reach each: bit i % 32 of word i // 32 of a cell is light i.

    A cell may list a light that does not quite reach it, never the other way round: what is lit is the same for any
    grid.
    """

    def __init__(self) -> None:
        self.low_m = np.zeros(3)
        self.cell_m = 1.0
        self.cells = np.zeros((1, 1, 1, 1), dtype=np.uint32)
        """[z, y, x, words]"""
        self._box: tuple[tuple[float, ...], tuple[float, ...]] | None = None
        self._lamps: list[Lamp] = []

    @property
    def size(self) -> tuple[int, int, int]:
        """Cells along x, y, z."""
        z, y, x = self.cells.shape[:3]
        return x, y, z

    def update(self, lamps: Sequence[Lamp], low_m: F64, high_m: F64) -> None:
        """Enter `lamps` (directional ones apart) where they reach in the box that holds all surfaces."""
        words = max(1, (len(lamps) + 31) // 32)
        local = [lamp for lamp in lamps if lamp.kind != "directional"]
        if local:
            at = np.array([lamp.position_m for lamp in local])
            reach = np.array([lamp.range_m for lamp in local])[:, None]
            low_m = np.maximum(low_m, (at - reach).min(axis=0))
            high_m = np.minimum(high_m, (at + reach).max(axis=0))
        # In coarse steps, so that moving lights seldom move the box.
        extent = float(np.max(high_m - low_m, initial=1e-3))
        step = 2.0 ** np.floor(np.log2(extent / 8.0))
        low_m, high_m = np.floor(low_m / step) * step, np.ceil(high_m / step) * step
        high_m = np.maximum(high_m, low_m + step)
        box = tuple(low_m.tolist()), tuple(high_m.tolist())
        if box != self._box or words != self.cells.shape[3]:
            self._box, self._lamps = box, []
            self._divide(low_m, high_m - low_m, words)
        old = self._lamps
        for i in range(max(len(lamps), len(old))):
            before, now = old[i] if i < len(old) else None, lamps[i] if i < len(lamps) else None
            if before == now:
                continue
            word, bit = self.cells[..., i // 32], np.uint32(1 << (i % 32))
            if before is not None:
                word[self._near(before)] &= ~bit
            if now is not None and now.kind != "directional":
                near = self._near(now)
                word[near] |= np.where(self._reached(now, near), bit, np.uint32(0))
        self._lamps = list(lamps)

    def _divide(self, low_m: F64, extent: F64, words: int) -> None:
        cell = max(_CELL_LEAST_M, float(np.cbrt(extent.prod() / _CELLS_MOST)))
        # Flat scenes have few layers: the rounding up of each axis must not pass the most.
        while np.ceil(extent / cell).prod() > _CELLS_MOST:
            cell *= 1.1
        size = np.ceil(extent / cell).astype(int)
        self.low_m, self.cell_m = np.asarray(low_m, dtype=np.float64), cell
        self.cells = np.zeros((*size[::-1], words), dtype=np.uint32)

    def _near(self, lamp: Lamp) -> tuple[slice, slice, slice]:
        """The block of cells, [z, y, x], that a lamp's range may touch."""
        if lamp.kind == "directional":
            return slice(0), slice(0), slice(0)
        at = (np.asarray(lamp.position_m) - self.low_m) / self.cell_m
        reach = lamp.range_m / self.cell_m + 0.01
        first = np.clip(np.floor(at - reach), 0, self.size).astype(int)
        last = np.clip(np.floor(at + reach) + 1, 0, self.size).astype(int)
        x, y, z = (slice(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True))
        return z, y, x

    def _reached(self, lamp: Lamp, near: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
        """Which cells of a block the lamp reaches."""
        cell = self.cell_m
        # A little larger than the cell, so that the rounding of the shader's float32 stays inside.
        half = cell * 0.501
        x, y, z = (
            self.low_m[axis] + (np.arange(block.start, block.stop) + 0.5) * cell - lamp.position_m[axis]
            for axis, block in enumerate(reversed(near))
        )
        z, y = z[:, None, None], y[:, None]
        gaps = [np.maximum(np.abs(away) - half, 0.0) ** 2 for away in (x, y, z)]
        reached = gaps[2] + gaps[1] + gaps[0] <= lamp.range_m**2
        if lamp.kind == "spot" and lamp.outer_cos > 0.0:
            along = x * lamp.axis[0] + y * lamp.axis[1] + z * lamp.axis[2]
            aside = np.sqrt(np.maximum(x * x + y * y + z * z - along * along, 0.0))
            outside = lamp.outer_cos * aside - np.sqrt(1.0 - lamp.outer_cos**2) * along
            reached &= outside <= half * np.sqrt(3.0)
        return np.asarray(reached)


def _triple(values: F64) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z
