"""Periodic noise, and the textures of the demo world made from it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

F = NDArray[np.float64]


def lattice(seed: int, cells: int) -> F:
    """Random values, [cells, cells], of a periodic lattice."""
    return np.random.default_rng(seed).random((cells, cells))


def noise(u: F, v: F, cells: int, seed: int) -> F:
    """Smooth periodic value noise 0..1 at `u`, `v` (period 1), with `cells` lattice cells a period."""
    table = lattice(seed, cells)
    x, y = np.asarray(u) * cells, np.asarray(v) * cells
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    a, b = x - i, y - j
    a, b = a * a * a * (a * (a * 6 - 15) + 10), b * b * b * (b * (b * 6 - 15) + 10)
    i0, j0, i1, j1 = i % cells, j % cells, (i + 1) % cells, (j + 1) % cells
    low = table[j0, i0] * (1 - a) + table[j0, i1] * a
    high = table[j1, i0] * (1 - a) + table[j1, i1] * a
    return np.asarray(low * (1 - b) + high * b)


def fbm(u: F, v: F, cells: int, seed: int, octaves: int = 5, gain: float = 0.5) -> F:
    """Fractal noise 0..1, periodic with 1."""
    total, weight, out = 0.0, 1.0, np.zeros(np.broadcast(u, v).shape)
    for octave in range(octaves):
        out = out + weight * noise(u, v, cells << octave, seed + octave)
        total += weight
        weight *= gain
    return out / total


def smoothstep(low: float, high: float, x: F) -> F:
    """Smooth rise from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


def texel_grid(size: int) -> tuple[F, F]:
    """Middles of texels, u and v each [size, size], 0..1."""
    t = (np.arange(size) + 0.5) / size
    return np.asarray(np.meshgrid(t, t)[0]), np.asarray(np.meshgrid(t, t)[1])


def srgb_bytes(linear: F) -> NDArray[np.uint8]:
    """Linear light 0..1 as sRGB bytes."""
    c = np.clip(linear, 0.0, 1.0)
    coded = np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(coded * 255), dtype=np.uint8)


def normal_bytes(height: F, metres_per_tile: float, depth_m: float) -> NDArray[np.uint8]:
    """Tangent-space normal map (glTF: +Y up in the picture) of a periodic height 0..1."""
    size = height.shape[0]
    step = metres_per_tile / size
    dx = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * depth_m / (2 * step)
    dy = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * depth_m / (2 * step)
    n = np.stack([-dx, dy, np.ones_like(dx)], -1)
    n /= np.linalg.norm(n, axis=-1, keepdims=True)
    return np.asarray(np.round((n * 0.5 + 0.5) * 255), dtype=np.uint8)


def jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """A JPEG file of RGB bytes, [h, w, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(buffer, "JPEG", quality=quality, subsampling=0 if quality > 88 else 2)
    return buffer.getvalue()


def mix(a: Sequence[float], b: Sequence[float], t: F) -> F:
    """From colour `a` (t = 0) to `b` (t = 1), [..., 3]."""
    return np.asarray(np.asarray(a) * (1 - t[..., None]) + np.asarray(b) * t[..., None])


def ground_texture() -> tuple[bytes, bytes]:
    """Sand with pebbles and dry cracks, 4 m a tile."""
    u, v = texel_grid(1024)
    broad = fbm(u, v, 4, 11)
    grain = fbm(u, v, 96, 23, octaves=3, gain=0.7)
    pebbles = smoothstep(0.62, 0.72, fbm(u, v, 40, 31, octaves=2))
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (14 * v + 1.4 * fbm(u, v, 3, 41)))
    cracks = 1 - smoothstep(0.0, 0.035, np.abs(fbm(u, v, 6, 53, octaves=4) - 0.5))
    colour = mix((0.50, 0.315, 0.165), (0.70, 0.475, 0.265), broad)
    colour *= (0.76 + 0.46 * grain)[..., None]
    colour = colour * (1 - pebbles[..., None]) + mix((0.20, 0.17, 0.14), (0.45, 0.40, 0.34), grain) * pebbles[..., None]
    colour *= (0.92 + 0.14 * wave)[..., None]
    colour *= (1 - 0.45 * cracks * (1 - pebbles))[..., None]
    height = 0.40 * grain + 0.6 * pebbles + 0.25 * wave - 0.4 * cracks
    return jpeg(srgb_bytes(colour), 84), jpeg(normal_bytes(height, 4.0, 0.008)[::2, ::2], 88)


def _weathered(u: F, v: F, seed: int) -> tuple[F, F]:
    """Colour factor and height of stone that wind and rain have worked on: grain, stains that run down, few pits."""
    grain = fbm(u, v, 64, seed, octaves=3, gain=0.7)
    rough = fbm(u, v, 10, seed + 11, octaves=5, gain=0.6)
    stains = fbm(u, v * 0.35, 9, seed + 23, octaves=4, gain=0.6)
    pits = smoothstep(0.68, 0.86, fbm(u, v, 56, seed + 37, octaves=3, gain=0.6))
    factor = (0.80 + 0.40 * grain) * (0.78 + 0.44 * rough) * (0.66 + 0.58 * stains) * (1 - 0.22 * pits)
    return factor, 0.5 * rough + 0.28 * grain - 0.22 * pits


def stone_texture() -> tuple[bytes, bytes]:
    """Coursed sandstone blocks, 2 m a tile."""
    u, v = texel_grid(512)
    rows, columns = 5, 3
    # Joints are never quite straight.
    wander_u, wander_v = 0.010 * (fbm(u, v, 8, 61) - 0.5), 0.010 * (fbm(u, v, 8, 67) - 0.5)
    y = (v + wander_v) * rows
    row = np.floor(y)
    x = (u + wander_u) * columns + 0.5 * (row % 2)
    column = np.floor(x) % columns
    to_joint = np.minimum(np.minimum(x % 1, 1 - x % 1) * (2.0 / columns), np.minimum(y % 1, 1 - y % 1) * (2.0 / rows))
    joint = 1 - smoothstep(0.003, 0.016, to_joint)
    worn = 1 - smoothstep(0.0, 0.055, to_joint)
    tint = lattice(71, 16)[(row.astype(int)) % 16, (column.astype(int) + 3 * row.astype(int)) % 16]
    factor, height = _weathered(u, v, 83)
    colour = mix((0.42, 0.29, 0.185), (0.58, 0.44, 0.305), tint) * factor[..., None]
    colour *= (1 - 0.52 * joint)[..., None]
    height = height - 0.75 * joint - 0.35 * worn**2 + 0.2 * tint
    return jpeg(srgb_bytes(colour), 84), jpeg(normal_bytes(height, 2.0, 0.016), 84)


def limestone_texture() -> tuple[bytes, bytes]:
    """Weathered pale stone without joints, 2 m a tile: shafts, steps, fallen pieces, rocks."""
    u, v = texel_grid(512)
    factor, height = _weathered(u, v, 151)
    colour = mix((0.52, 0.40, 0.28), (0.66, 0.55, 0.42), fbm(u, v, 4, 171)) * factor[..., None]
    return jpeg(srgb_bytes(colour), 84), jpeg(normal_bytes(height, 2.0, 0.010), 84)


def paving_texture() -> tuple[bytes, bytes]:
    """Worn flags of unequal size with sand in the joints, 4 m a tile."""
    u, v = texel_grid(512)
    # Each cell of a jittered grid is a flag; the two nearest centres give its edge.
    cells = 7
    jitter = np.random.default_rng(331).uniform(0.18, 0.82, (cells, cells, 2))
    tone = lattice(337, cells)
    near, second, shade = np.full(u.shape, 9.0), np.full(u.shape, 9.0), np.zeros(u.shape)
    for j in range(-1, cells + 1):
        for i in range(-1, cells + 1):
            cx, cy = (i + jitter[j % cells, i % cells, 0]) / cells, (j + jitter[j % cells, i % cells, 1]) / cells
            far = np.maximum(np.abs(u - cx), np.abs(v - cy)) + 0.25 * np.hypot(u - cx, v - cy)
            closer = far < near
            second = np.where(closer, near, np.minimum(second, far))
            shade = np.where(closer, tone[j % cells, i % cells], shade)
            near = np.where(closer, far, near)
    edge = (second - near) + 0.010 * (fbm(u, v, 16, 347) - 0.5)
    joint = 1 - smoothstep(0.006, 0.020, edge)
    worn = 1 - smoothstep(0.0, 0.05, edge)
    factor, height = _weathered(u, v, 353)
    colour = mix((0.40, 0.31, 0.22), (0.60, 0.49, 0.37), shade) * factor[..., None]
    sand = np.array((0.50, 0.345, 0.20)) * (0.8 + 0.4 * fbm(u, v, 80, 359, octaves=2))[..., None]
    drift = np.clip(joint + 0.55 * smoothstep(0.52, 0.72, fbm(u, v, 3, 367, octaves=4)), 0.0, 1.0)
    colour = colour * (1 - drift[..., None]) + sand * drift[..., None]
    height = (height + 0.5 * shade - 0.5 * worn**2) * (1 - 0.8 * drift) - 0.9 * joint
    return jpeg(srgb_bytes(colour), 84), jpeg(normal_bytes(height, 4.0, 0.018), 84)


def cliff_texture() -> bytes:
    """Bands of red and ochre rock; v runs up the cliff."""
    u, v = texel_grid(512)
    bent = v + 0.045 * (fbm(u, v, 4, 101) - 0.5) + 0.012 * (fbm(u, v, 24, 103, octaves=3) - 0.5)
    bands = noise(np.zeros_like(u), bent, 12, 111) * 0.5 + noise(np.zeros_like(u), bent, 48, 113) * 0.5
    gullies = fbm(u, v * 0.4, 18, 121, octaves=5, gain=0.65)
    blocks = fbm(u, v, 40, 127, octaves=3, gain=0.7)
    # Clefts run down the face; they break at the bands.
    cleft = smoothstep(0.56, 0.72, fbm(u, v * 0.25, 26, 131, octaves=3, gain=0.6)) * (
        0.5 + 0.5 * smoothstep(0.3, 0.6, bands)
    )
    colour = mix((0.30, 0.115, 0.06), (0.64, 0.39, 0.235), smoothstep(0.2, 0.8, bands))
    colour *= ((0.42 + 1.0 * gullies) * (0.72 + 0.5 * blocks) * (1 - 0.5 * cleft))[..., None]
    return jpeg(srgb_bytes(colour), 82)


def banner_texture() -> bytes:
    """A crimson weave with a gold sign of overlapping rings."""
    u, v = texel_grid(256)
    weave = 0.9 + 0.1 * np.sin(2 * np.pi * 64 * u) * np.sin(2 * np.pi * 64 * v)
    colour = np.array((0.40, 0.020, 0.022)) * weave[..., None]
    gold = np.zeros_like(u)
    for cx in (0.36, 0.64):
        gold = np.maximum(gold, 1 - smoothstep(0.022, 0.03, np.abs(np.hypot(u - cx, v - 0.38) - 0.17)))
    gold = np.maximum(gold, (np.abs(u - 0.5) > 0.44).astype(float))
    gold = np.maximum(gold, ((v > 0.72) & (v < 0.76)).astype(float))
    colour = colour * (1 - gold[..., None]) + np.array((0.62, 0.40, 0.09)) * weave[..., None] * gold[..., None]
    return jpeg(srgb_bytes(colour), 88)
