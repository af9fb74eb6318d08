"""Ambient occlusion without a view: a box of cells that know how much of the sky they see, and on which side.

When the scene is loaded, depth maps of what stands still are drawn from many directions of the upper half; each cell
adds up the directions nothing stands in the way of, as a mean and a vector. A surface looks its own place up, a little
off the surface, and takes what its normal is turned to: every view and node sees the same.
Light from below comes off the ground, which is lit itself: that half always counts as open.
"""

from __future__ import annotations

from math import ceil
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.air_config import OcclusionConfig
from renderer.device import Device
from renderer.passes.casters import Casters, depth_map
from renderer.scene import Scene
from renderer.shaders import source

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

OCCLUSION_UNIT: Final = 10
DIRECTIONS: Final = 64
_MAP_PX: Final = 512
_GROUP: Final = 4
_INSIDE: Final = 0.03
"""A cell that sees less of the sky lies inside something, and takes what its neighbours see."""


class Occlusion:
    """What the cells of one scene see: `texture` holds the mean of what is open (alpha), and of its directions."""

    def __init__(self, device: Device, scene: Scene, config: OcclusionConfig) -> None:
        """Takes a second or so without a GPU: never on air."""
        self.low_m, self.size_m, shape = _box(scene, config)
        self.cell_m = float((self.size_m / shape).max())
        cells = _seen(device, scene, self.low_m, self.size_m, shape)
        self.texture = device.ctx.texture3d(shape, 4, _filled(cells).astype(np.float16).tobytes(), dtype="f2")
        self.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.texture.repeat_x = self.texture.repeat_y = self.texture.repeat_z = False

    @property
    def size_bytes(self) -> int:
        """Bytes held on the GPU."""
        width, height, depth = self.texture.size
        return int(width * height * depth * 8)

    def release(self) -> None:
        """Free it."""
        self.texture.release()


def directions() -> F64:
    """[n, 3]  even over the upper half."""
    up = (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    turn = np.arange(DIRECTIONS) * np.pi * (3.0 - np.sqrt(5.0))
    side = np.sqrt(1.0 - up**2)
    return np.stack([side * np.cos(turn), side * np.sin(turn), up], axis=1)


def _box(scene: Scene, config: OcclusionConfig) -> tuple[F64, F64, tuple[int, int, int]]:
    """Low corner, size and cells of the box: what stands still, within reach."""
    middle = np.array(config.centre_m)
    low, high = middle - config.reach_m, middle + config.reach_m
    still = scene.draws.casts & ~scene.placement.moving
    if still.any():
        centres, radii = (values[still] for values in scene.placement.bounds())
        low = np.maximum(low, (centres - radii[:, None]).min(axis=0))
        high = np.minimum(high, (centres + radii[:, None]).max(axis=0))
    high = np.maximum(high, low + 0.1)
    # A rim of half a cell: what is looked up off a surface lies in the box too.
    cell = float((high - low).max()) / config.cells
    low, high = low - 0.5 * cell, high + 0.5 * cell
    width, height, depth = (max(2, ceil(side / cell)) for side in high - low)
    shape = (width, height, depth)
    return low, np.array(shape) * cell, shape


def _seen(device: Device, scene: Scene, low_m: F64, size_m: F64, shape: tuple[int, int, int]) -> F32:
    """[z, y, x, 4]  mean of what is open (3) and of each open direction (0..2), over the whole sphere."""
    ctx = device.ctx
    casters = Casters(device, scene)
    still = scene.draws.casts & ~scene.placement.moving
    depth, target = depth_map(device, (_MAP_PX, _MAP_PX))
    cells = ctx.texture3d(shape, 4, bytes(16 * shape[0] * shape[1] * shape[2]), dtype="f4")
    program = ctx.compute_shader(source("scene/occlusion.comp"))
    middle, half = low_m + size_m / 2.0, float(np.linalg.norm(size_m)) / 2.0
    centres, radii = scene.placement.bounds()
    groups = [ceil(side / _GROUP) for side in shape]
    relative_from_cell = np.diag([*(size_m / shape), 1.0])
    relative_from_cell[:3, 3] = low_m - middle
    half_of_clip = np.diag([0.5, 0.5, 0.5, 1.0])
    half_of_clip[:3, 3] = 0.5
    for z in directions():
        x = np.cross([0.0, 0.0, 1.0] if abs(z[2]) < 0.99 else [0.0, 1.0, 0.0], z)
        x /= np.linalg.norm(x)
        along = (centres[still] - middle) @ z + radii[still]
        near, far = max(half, float(along.max(initial=0.0))) + 0.1, -half
        clip = np.eye(4)
        clip[0, :3], clip[1, :3] = x / half, np.cross(z, x) / half
        clip[2, :3], clip[2, 3] = -2.0 / (near - far) * z, (near + far) / (near - far)
        casters.draw(target, (0, 0, _MAP_PX, _MAP_PX), middle, clip, still)
        place = half_of_clip @ clip @ relative_from_cell
        _write(program, "place_from_cell", np.ascontiguousarray(place.T, dtype=np.float32))
        _write(program, "direction", z.astype(np.float32))
        depth.use(0)
        cells.bind_to_image(0, read=True, write=True)
        program.run(*groups)
        ctx.memory_barrier()
    width, height, deep = shape
    summed = np.frombuffer(cells.read(), np.float32).reshape(deep, height, width, 4) / DIRECTIONS
    for thing in (program, cells, target, depth):
        thing.release()
    casters.release()
    # The lower half is open.
    return np.asarray(0.5 * summed + np.array([0.0, 0.0, -0.25, 0.5]), dtype=np.float32)


def _filled(cells: F32) -> F32:
    """Cells inside things take the mean of their neighbours outside, twice: surfaces lie between the two."""
    out = cells.copy()
    inside = out[..., 3] < 0.5 + 0.5 * _INSIDE
    for _ in range(2):
        outside = np.pad(~inside, 1).astype(np.float32)
        padded = np.pad(out * ~inside[..., None], ((1, 1), (1, 1), (1, 1), (0, 0)))
        total, count = np.zeros_like(out), np.zeros(out.shape[:3], np.float32)
        deep, height, width = inside.shape
        for dz in range(3):
            for dy in range(3):
                for dx in range(3):
                    part = (slice(dz, dz + deep), slice(dy, dy + height), slice(dx, dx + width))
                    total += padded[part]
                    count += outside[part]
        chosen = inside & (count > 0)
        out[chosen] = total[chosen] / count[chosen][:, None]
        inside = inside & ~chosen
    return out


def _write(program: moderngl.ComputeShader, name: str, values: F32) -> None:
    uniform = program[name]
    assert isinstance(uniform, moderngl.Uniform)
    uniform.write(values.tobytes())
