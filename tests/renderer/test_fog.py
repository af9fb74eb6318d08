"""Fog against its own integral: along every ray, for surfaces and sky alike, from wherever it is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer.air_config import FogConfig
from renderer.config import SunConfig
from renderer.device import Device
from renderer.domes import Dome
from renderer.fog import even, horizon_of, turned
from renderer.gltf.model import Asset, Material, Mesh, Node, Primitive
from renderer.panoramas import DomePicture
from renderer.working import AP1_FROM_REC709
from stage.frames import pose_from_pan_tilt_roll

SIZE = (48, 32)


def board(distance_m: float, half_m: float) -> Asset:
    """A white board that gives light of its own, facing -Y, at the scene's +Y."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32) * np.float32(half_m)
    shape = Primitive(
        corners, np.tile(np.array([0, 0, 1], np.float32), (4, 1)), None, None, None, None,
        np.array([0, 1, 2, 0, 2, 3], np.uint32), 0,
    )  # fmt: skip
    return Asset(
        Path("board.glb"), (Node("board", mesh=0, translation=(0, 0, -distance_m)),), (0,), (Mesh("board", (shape,)),),
        (Material(base_colour=(1, 1, 1, 1), unlit=True),), (), (), (), (),
    )  # fmt: skip


class Bench:
    def __init__(self, easel: Any) -> None:
        self.easel, self.device = easel, easel.device

    def look(
        self, *assets: Asset, eye: Any = (0, 0, 0), dome: Dome | None = None, size_tangent: float = 0.5, **config: Any
    ) -> tuple[Any, Any]:
        """The picture, and the unit direction of each of its pixels in the scene."""
        half = config.pop("right_half", False)
        angles = {key: config.pop(key) for key in ("pan_deg", "tilt_deg") if key in config}
        scene = self.easel.scene(*assets, dome=dome, **config)
        pose = pose_from_pan_tilt_roll(eye, **angles)
        t = (size_tangent * SIZE[0] / SIZE[1], size_tangent)
        clip = self.easel.pinhole(size_tangent)
        if half:
            clip[0] = 2 / t[0], 0, 1, 0
        picture = self.easel.draw(scene, pose, clip)
        x = ((np.arange(SIZE[0]) + 0.5) / SIZE[0] * 2 - 1) * t[0]
        y = (1 - (np.arange(SIZE[1]) + 0.5) / SIZE[1] * 2) * t[1]
        d = np.stack([*np.meshgrid(x, y), np.ones(SIZE[::-1])], axis=-1)[..., [0, 2, 1]]
        d = d @ pose[:3, :3].T / np.linalg.norm(d, axis=-1, keepdims=True)
        return picture, d


@pytest.fixture
def bench(easel: Any) -> Bench:
    return Bench(easel(SIZE))


def depth_along(fog: FogConfig, eye_m: Any, d: Any, distance_m: Any) -> Any:
    """Optical depth by summing 20,000 slices of the ray."""
    s = (np.arange(20_000) + 0.5) / 20_000
    z = np.asarray(eye_m)[2] + d[..., 2:] * np.asarray(distance_m)[..., None] * s
    fall = 0.0 if fog.falloff_m is None else 1.0 / fog.falloff_m
    return (3.0 / fog.distance_m * np.exp(-fall * (z - fog.base_m))).mean(axis=-1) * distance_m


@pytest.mark.parametrize("falloff_m", [None, 5.0, 400.0])
@pytest.mark.parametrize(("eye", "tilt_deg"), [((0, 0, 1.0), 0.0), ((3.0, -20.0, 30.0), -35.0)])
def test_a_surface_keeps_what_the_integral_leaves(
    bench: Bench, falloff_m: float | None, eye: Any, tilt_deg: float
) -> None:
    fog = FogConfig(distance_m=60.0, falloff_m=falloff_m, base_m=1.0, colour=(0.0, 0.0, 0.0))
    picture, d = bench.look(board(25.0, 100.0), eye=eye, tilt_deg=tilt_deg, fog=fog)
    distance = (25.0 - eye[1]) / d[..., 1]
    pick = (slice(None, None, 7), slice(None, None, 7))
    want = np.exp(-depth_along(fog, eye, d[pick], distance[pick]))
    white = AP1_FROM_REC709 @ np.ones(3)
    assert np.allclose(picture[pick][..., :3], want[..., None] * white, rtol=2e-3, atol=1e-5)


def test_the_sky_behind_is_as_far_as_it_is_said_to_be(bench: Bench) -> None:
    fog = FogConfig(distance_m=500.0, falloff_m=40.0, colour=(0.2, 0.4, 0.6), sky_distance_m=2000.0)
    picture, d = bench.look(fog=fog, background=(1.0, 1.0, 1.0), tilt_deg=20.0, eye=(0, 0, 2.0))
    kept = np.exp(-depth_along(fog, (0, 0, 2.0), d[::6, ::6], np.full(d[::6, ::6].shape[:2], 2000.0)))[..., None]
    want = (AP1_FROM_REC709 @ np.ones(3)) * kept + (AP1_FROM_REC709 @ np.array([0.2, 0.4, 0.6])) * (1 - kept)
    assert np.allclose(picture[::6, ::6, :3], want, rtol=2e-3)


def test_from_high_above_and_far_below_nothing_breaks(bench: Bench) -> None:
    fog = FogConfig(distance_m=10.0, falloff_m=2.0, colour=(1.0, 0.0, 0.0))
    for eye, tilt in (((0, 0, 9_000.0), -80.0), ((0, 0, -9_000.0), 80.0), ((0, 0, 500.0), 0.0)):
        picture, _ = bench.look(board(50.0, 1000.0), eye=eye, tilt_deg=tilt, fog=fog)
        assert np.isfinite(picture).all()
        assert (picture[..., :3] >= 0.0).all()


def test_a_view_in_two_parts_is_the_whole_view(bench: Bench) -> None:
    """What fog does depends on the eye and the place alone: half a frustum shows half the picture."""
    fog = FogConfig(distance_m=40.0, falloff_m=3.0, sun_glow=0.5, colour=(0.3, 0.3, 0.4))
    sun = SunConfig(pan_deg=10.0, elevation_deg=12.0)
    for things in ([board(20.0, 60.0)], []):
        whole, _ = bench.look(*things, fog=fog, sun=sun)
        right, _ = bench.look(*things, fog=fog, sun=sun, right_half=True)
        # Twice as fine: two of its columns stand about one of the whole's.
        pair = (right[:, 0::2] + right[:, 1::2]) / 2
        assert np.allclose(pair[:, :, :3], whole[:, SIZE[0] // 2 :, :3], rtol=3e-3)


def test_fog_glows_about_the_sun(bench: Bench) -> None:
    sun = SunConfig(pan_deg=0.0, elevation_deg=10.0, illuminance=10.0)
    fog = FogConfig(distance_m=1.0, colour=(0.0, 0.0, 0.0), sun_glow=1.0, glow_forward=0.5)
    picture, d = bench.look(fog=fog, sun=sun, tilt_deg=10.0)
    cosine = d @ np.array([0.0, np.cos(np.radians(10)), np.sin(np.radians(10))])
    lobe = (1 - 0.25) / (4 * np.pi * (1.25 - cosine) ** 1.5)
    assert np.allclose(picture[..., 0], 10.0 * (AP1_FROM_REC709 @ np.ones(3))[0] * lobe, rtol=2e-3)


def test_fog_without_a_colour_takes_the_horizons(bench: Bench, gl: Device) -> None:
    light = np.full((64, 128, 3), 5.0, np.float32)
    light[28:32] = 1.0
    light[28:32, 96:] = 3.0  # behind, on the right
    picture = DomePicture(light)
    first = horizon_of(picture, light_limit=1e9)
    assert np.allclose(first[0], 1.5)
    assert first[1][0] > 0.0 > first[2][0]
    back = turned(first, 90.0)
    assert np.allclose(back[1], -first[2])
    assert np.allclose(back[2], first[1])
    assert np.allclose(even(np.ones(3)), [[1, 1, 1], [0, 0, 0], [0, 0, 0]])
    dome = Dome(gl, picture)
    drawn, d = bench.look(fog=FogConfig(distance_m=0.01), dome=dome, size_tangent=0.3)
    want = first[0] + d[..., :1] * first[1] + d[..., 1:2] * first[2]
    assert np.allclose(drawn[..., :3], want, rtol=1e-2)
