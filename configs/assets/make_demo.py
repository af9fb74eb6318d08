"""Makes the demo world: `python -m configs.assets.make_demo` writes demo.glb and demo_sky.hdr beside itself.

A plateau at evening: a plaza with rows of fluted columns, a gate, boulders and banners near by, mesas and mountains
far away, an even horizon and a low sun. Everything comes from numbers in this file (numpy and a seed), so it may be
used and changed by anybody. Written in stage axes (x right, y forward, z up, metres) and turned to glTF's at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.assets.glb import Glb
from configs.assets.shapes import (
    banner,
    boulder,
    box,
    column,
    drum,
    far_column,
    gate,
    globe,
    ground_height,
    grounded,
    joined,
    lathe,
    mesa,
    mountains,
    road,
    terrain,
    vane,
)
from configs.assets.texture import (
    F,
    banner_texture,
    cliff_texture,
    fbm,
    ground_texture,
    limestone_texture,
    mix,
    paving_texture,
    smoothstep,
    stone_texture,
)

SUN_PAN_DEG = 112.0
SUN_ELEVATION_DEG = 19.0
SKY_W, SKY_H = 1024, 512


def make_glb() -> bytes:
    """The whole world."""
    glb = Glb()
    ground_colour, ground_normal = ground_texture()
    stone_colour, stone_normal = stone_texture()
    pale_colour, pale_normal = limestone_texture()
    flags_colour, flags_normal = paving_texture()
    ground = glb.material(
        "sand", baseColorTexture={"index": glb.texture(ground_colour)}, metallicFactor=0.0, roughnessFactor=0.95,
        normalTexture={"index": glb.texture(ground_normal)},
    )  # fmt: skip
    stone = glb.material(
        "sandstone", baseColorTexture={"index": glb.texture(stone_colour)}, metallicFactor=0.0, roughnessFactor=0.85,
        normalTexture={"index": glb.texture(stone_normal)},
    )  # fmt: skip
    pale_maps = {"index": glb.texture(pale_colour)}, {"index": glb.texture(pale_normal)}
    pale = glb.material(
        "limestone", baseColorTexture=pale_maps[0], metallicFactor=0.0, roughnessFactor=0.85, normalTexture=pale_maps[1]
    )
    flags = glb.material(
        "flags", baseColorTexture={"index": glb.texture(flags_colour)}, metallicFactor=0.0, roughnessFactor=0.8,
        normalTexture={"index": glb.texture(flags_normal)},
    )  # fmt: skip
    cliff = glb.material(
        "cliff", baseColorTexture={"index": glb.texture(cliff_texture())}, metallicFactor=0.0, roughnessFactor=1.0
    )
    cloth = glb.material(
        "cloth", baseColorTexture={"index": glb.texture(banner_texture())}, metallicFactor=0.0, roughnessFactor=0.8,
        doubleSided=True,
    )  # fmt: skip
    bronze = glb.material("bronze", baseColorFactor=[0.86, 0.58, 0.30, 1.0], metallicFactor=1.0, roughnessFactor=0.22)
    wood = glb.material(
        "painted wood", baseColorFactor=[0.50, 0.47, 0.41, 1.0], metallicFactor=0.0, roughnessFactor=0.7,
        doubleSided=True,
    )  # fmt: skip

    glb.node("ground", glb.mesh("ground", terrain(), ground))
    glb.node("road", glb.mesh("road", road(), flags))
    whole, stump, short = (
        glb.mesh("column", column(), pale),
        glb.mesh("stump", column(3.1, broken=7), pale),
        glb.mesh("short stump", column(1.9, broken=19), pale),
    )
    far = glb.mesh("far column", far_column(), pale)
    # Two rows that lead the eye to the gate; near ones stand just behind the wall, far ones beyond the gate.
    for k, y in enumerate((7.6, 11.6, 16.0, 21.0, 34.0, 42.0, 52.0)):
        for side in (-1, 1):
            broken = (k, side) in {(1, 1), (4, -1)}
            low = (k, side) == (2, -1)
            glb.node(f"column {k} {side}", short if low else stump if broken else whole if y < 30 else far,
                     (side * (3.7 + 0.06 * y), y, 0), turn_deg=37.0 * k)  # fmt: skip
    glb.node("gate", glb.mesh("gate", gate(), stone), (0, 27.0, 0))
    for k, (x, y) in enumerate(((-8.6, 5.2), (8.8, 4.6), (-9.8, -2.5), (10.0, -3.4), (-6.0, -8.5), (6.4, -9.0))):
        glb.node(f"side column {k}", whole if k % 2 else stump, (x, y, 0), turn_deg=61.0 * k)
    steps = joined([box((6.4 - 0.8 * k, 2.6 - 0.7 * k, 0.16), (0, 0, 0.16 * k)) for k in range(3)])
    plinth = joined([steps, box((1.06, 1.06, 0.12), (0, 0, 0.48)), box((0.9, 0.9, 0.86), (0, 0, 0.60)),
                     box((1.04, 1.04, 0.12), (0, 0, 1.46))])  # fmt: skip
    glb.node("pedestal", glb.mesh("pedestal", grounded(plinth, reach_m=0.3), pale), (0, 14.0, 0))
    fallen = [glb.mesh("long drum", drum(1.7), pale), glb.mesh("drum", drum(0.8), pale)]
    for k, (x, y, turn) in enumerate(
        ((-6.2, 9.3, 24), (-7.0, 10.6, 71), (6.9, 9.6, -38), (5.9, 17.6, 12), (-5.6, 22.4, 80), (7.6, 13.4, 55),
         (-8.4, 15.8, -20), (8.9, 7.2, 8))
    ):  # fmt: skip
        glb.node(f"fallen {k}", fallen[k % 2], (x, y, 0), turn_deg=turn)
    glb.node("globe", glb.mesh("globe", globe(), bronze), (0, 14.0, 2.28))
    wall = joined(
        [box((5.5, 0.7, 1.3), (0, 0, 0)), box((2.1, 0.7, 0.6), (-1.4, 0, 1.3)), box((5.5, 0.9, 0.12), (0, 0, 0))]
    )
    wall = grounded(wall, reach_m=1.0)
    for k, (x, y, turn) in enumerate(((-11.5, 9.0, 24), (12.5, 12.0, -31), (-14.5, 22.0, 8), (16.0, 25.0, -12))):
        glb.node(f"low wall {k}", glb.mesh(f"low wall {k}", wall, stone) if k == 0 else len(glb.meshes) - 1,
                 (x, y, 0), turn_deg=turn)  # fmt: skip

    random = np.random.default_rng(5)
    rock = glb.material(
        "rock", baseColorTexture=pale_maps[0], baseColorFactor=[0.66, 0.48, 0.38, 1.0], metallicFactor=0.0,
        roughnessFactor=0.95, normalTexture=pale_maps[1],
    )  # fmt: skip
    rocks = [glb.mesh(f"rock {k}", boulder(400 + 10 * k, 16, 24), rock) for k in range(3)]
    # From afar a rock is a few LEDs wide: fewer triangles than those are all it needs.
    far_rocks = [glb.mesh(f"far rock {k}", boulder(400 + 10 * k, 8, 12), rock) for k in range(3)]
    for k in range(90):
        angle, r = random.uniform(0, 2 * np.pi), 7.5 + 52 * random.random() ** 1.5
        x, y = r * np.sin(angle), r * np.cos(angle)
        if abs(x) < 3.6:
            continue
        z = float(ground_height(np.array(x), np.array(y)))
        glb.node(f"rock {k}", (rocks if r < 12 else far_rocks)[k % 3], (x, y, z),
                 turn_deg=float(random.uniform(0, 360)), scale=float(0.25 + 0.9 * random.random() ** 2))  # fmt: skip

    for k, (bearing, far, radius, height) in enumerate(
        ((-34, 330, 62, 74), (-12, 620, 90, 105), (19, 430, 48, 88), (41, 260, 55, 58), (78, 380, 80, 66),
         (-72, 300, 70, 60), (128, 420, 90, 84), (-131, 360, 75, 72), (176, 520, 95, 96))
    ):  # fmt: skip
        x, y = far * np.sin(np.radians(bearing)), far * np.cos(np.radians(bearing))
        glb.node(f"mesa {k}", glb.mesh(f"mesa {k}", mesa(radius, height, 500 + 17 * k), cliff), (x, y, -8.0))
    glb.node("mountains", glb.mesh("mountains", mountains(), cliff), (0, 0, -20.0))

    times = np.linspace(0, 8, 33)
    cloth_mesh = glb.mesh("banner", banner(), cloth)
    for k, (x, y) in enumerate(((-2.4, 25.45), (2.4, 25.45), (-4.16, 7.0), (4.16, 7.0))):
        node = glb.node(f"banner {k}", cloth_mesh, (x, y, 5.2 if k < 2 else 4.6))
        sway = np.radians(4.5) * np.sin(2 * np.pi * (times / 4.0 + 0.23 * k)) + np.radians(2) * np.sin(
            np.pi * times / 2
        )
        glb.turning(node, times, np.stack([np.sin(sway / 2), 0 * sway, 0 * sway, np.cos(sway / 2)], -1))
    mast = joined([lathe([(0.16, 0.0), (0.09, 7.4)], 16), box((0.3, 1.1, 0.3), (0, 0, 7.2))])
    glb.node("mast", glb.mesh("mast", mast, wood), (9.5, 19.0, 0))
    wheel = glb.node("wind wheel", glb.mesh("wind wheel", vane(), wood), (9.5, 18.3, 7.35))
    spin = 2 * np.pi * times / 8.0
    glb.turning(wheel, times, np.stack([0 * spin, 0 * spin, np.sin(spin / 2), np.cos(spin / 2)], -1))
    return glb.to_bytes()


def make_sky() -> F:
    """Linear Rec.709 light, [512, 1024, 3], row 0 at the zenith, middle column at +Y, 1.0 = 100 nit."""
    pan = np.pi - 2 * np.pi * (np.arange(SKY_W) + 0.5) / SKY_W
    elevation = np.pi / 2 - np.pi * (np.arange(SKY_H) + 0.5) / SKY_H
    pan, elevation = np.meshgrid(pan, elevation)
    direction = np.stack([-np.sin(pan) * np.cos(elevation), np.cos(pan) * np.cos(elevation), np.sin(elevation)], -1)
    p, e = np.radians(SUN_PAN_DEG), np.radians(SUN_ELEVATION_DEG)
    sun = np.array([-np.sin(p) * np.cos(e), np.cos(p) * np.cos(e), np.sin(e)])
    to_sun = np.arccos(np.clip(direction @ sun, -1, 1))
    up = np.clip(direction[..., 2], 0.0, 1.0)

    low = np.exp(-up * 7.0)
    sky = mix((0.085, 0.235, 0.66), (0.22, 0.46, 0.86), np.exp(-up * 2.6))
    sky = (
        sky * (1 - low[..., None]) + mix((0.92, 0.66, 0.62), (1.25, 0.92, 0.58), np.exp(-to_sun * 1.1)) * low[..., None]
    )
    glow = np.exp(-up * 16.0)[..., None]
    sky = sky * (1 - 0.45 * glow) + np.array((1.10, 0.84, 0.66)) * 0.45 * glow
    # Opposite the sun the air's own shadow lies on the horizon under a rosy belt.
    away = np.exp(-(((np.pi - to_sun) * 0.9) ** 2))
    belt = np.exp(-(((np.clip(elevation, 0, None) - 0.16) / 0.11) ** 2)) * away
    sky = sky * (1 - 0.30 * belt[..., None]) + np.array((0.95, 0.55, 0.60)) * (0.30 * belt)[..., None]
    sky = sky + np.array((1.0, 0.52, 0.20)) * (1.3 * np.exp(-to_sun * 3.0) * (0.35 + 0.65 * low))[..., None]
    sky = sky + np.array((1.0, 0.78, 0.50)) * (3.0 * np.exp(-to_sun * 13.0))[..., None]

    # Clouds lie on a plane 1 above the eye: they gather and flatten toward the horizon.
    reach = 1.0 / (np.maximum(direction[..., 2], 0.0) + 0.05)
    u, v = direction[..., 0] * reach * 0.052, direction[..., 1] * reach * 0.052

    def body(du: float, dv: float) -> F:
        a, b = u + du, v + dv
        bent = 0.02 * (fbm(a + 0.5, b + 0.2, 12, 631, octaves=3) - 0.5)
        return 0.72 * fbm(a + 0.37 + bent, b + 0.11 - bent, 5, 611, octaves=7, gain=0.54) + 0.28 * fbm(
            a * 0.55 + 0.7, b * 1.8 + 0.3, 6, 641, octaves=6
        )

    thick = body(0.0, 0.0)
    # A cloud is bright where there is less of it on the sun's side.
    open_side = np.clip(0.5 + 9.0 * (thick - body(0.010 * float(sun[0]), 0.010 * float(sun[1]))), 0.0, 1.0)
    cover = smoothstep(0.45, 0.63, thick) * smoothstep(0.02, 0.13, direction[..., 2])
    warm = np.exp(-to_sun * 0.9)
    cloud = mix((0.40, 0.41, 0.54), (1.30, 0.92, 0.72), np.clip(0.15 + 0.85 * open_side, 0, 1))
    cloud = cloud * (0.62 + 1.3 * warm)[..., None] * (1 - 0.25 * smoothstep(0.6, 0.8, thick))[..., None]
    sky = sky * (1 - 0.90 * cover[..., None]) + cloud * 0.90 * cover[..., None]

    disc = smoothstep(np.radians(1.5), np.radians(0.9), to_sun)
    sky = sky * (1 - disc[..., None]) + np.array((9.0, 7.6, 5.6)) * disc[..., None]
    ground = np.array((0.34, 0.24, 0.15)) * (0.75 + 0.25 * np.exp(-np.clip(-direction[..., 2:3], 0, 1) * 4))
    below = smoothstep(-0.004, -0.012, direction[..., 2])[..., None]
    return np.asarray(sky * (1 - below) + ground * below)


def rgbe_bytes(light: F) -> bytes:
    """A Radiance picture with run-length coded rows."""
    height, width, _ = light.shape
    peak = light.max(axis=-1)
    exponent = np.where(peak > 1e-32, np.frexp(peak)[1], -128)
    scale = np.where(peak > 1e-32, np.ldexp(256.0, -exponent), 0.0)
    # The steps of 8 bit would show as bands in a sky; noise of one step hides them. Even rows stay even, and short.
    noise = np.random.default_rng(9).random(light.shape) * (np.ptp(light, axis=1, keepdims=True) > 1e-6)
    noise = np.where(noise > 0, noise, 0.5)
    coded = np.concatenate(
        [np.clip(np.floor(light * scale[..., None] + noise), 0, 255), (exponent + 128)[..., None]], -1
    ).astype(np.uint8)
    out = bytearray(b"#?RADIANCE\nSOFTWARE=OpenVolume make_demo\nFORMAT=32-bit_rle_rgbe\n\n")
    out += f"-Y {height} +X {width}\n".encode()
    for row in coded:
        out += bytes((2, 2, width >> 8, width & 255))
        for channel in range(4):
            out += _runs(row[:, channel])
    return bytes(out)


def _runs(values: NDArray[np.uint8]) -> bytes:
    out = bytearray()
    at = 0
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    ends = np.append(starts[1:], len(values))
    long_runs = [(int(s), int(e)) for s, e in zip(starts, ends, strict=True) if e - s >= 4]
    for start, end in [*long_runs, (len(values), len(values))]:
        while at < start:
            count = min(128, start - at)
            out += bytes((count,)) + values[at : at + count].tobytes()
            at += count
        while at < end:
            count = min(127, end - at)
            out += bytes((128 + count, int(values[at])))
            at += count
    return bytes(out)


FILES: dict[str, Callable[[], bytes]] = {"demo.glb": make_glb, "demo_sky.hdr": lambda: rgbe_bytes(make_sky())}


def main(folder: Path) -> None:
    """Write every file into `folder`."""
    for name, make in FILES.items():
        data = make()
        (folder / name).write_bytes(data)
        sys.stdout.write(f"{name}: {len(data) / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
