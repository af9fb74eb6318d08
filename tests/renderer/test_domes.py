"""Domes: orientation, primaries, irradiance and blurred reflections against closed forms."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from renderer import domes, panoramas
from renderer.device import Device
from renderer.gltf.errors import AssetImageError, AssetMissingError
from renderer.working import AP1, AP1_FROM_REC709, REC709, rgb_from_rgb


def plain(light: np.ndarray) -> panoramas.DomePicture:
    return panoramas.DomePicture(np.asarray(light, dtype=np.float32))


def test_rec709_to_ap1_is_the_published_one() -> None:
    # ACES: linear Rec.709 to AP1 through Bradford, as OpenColorIO's builtin transform has it.
    want = [[0.6130974, 0.3395231, 0.0473795], [0.0701937, 0.9163539, 0.0134524], [0.0206156, 0.1095698, 0.8698146]]
    assert np.allclose(AP1_FROM_REC709, want, atol=2e-7)
    assert np.allclose(AP1_FROM_REC709 @ [1, 1, 1], 1.0)
    assert np.allclose(rgb_from_rgb(REC709, AP1) @ AP1_FROM_REC709, np.eye(3))


def test_directions_middle_is_forward_and_right_is_right() -> None:
    d = domes.directions(64, 32)
    assert d.shape == (32, 64, 3)
    assert np.allclose(np.linalg.norm(d, axis=-1), 1.0)
    assert np.allclose(d[15:17, 31:33].mean(axis=(0, 1)), [0, 1, 0], atol=0.01)
    assert d[16, 48, 0] > 0.99
    assert d[0, 0, 2] > 0.99
    turned = domes.directions(64, 32, yaw_deg=90.0)
    assert np.allclose(turned[15:17, 31:33].mean(axis=(0, 1)), [-1, 0, 0], atol=0.01)


def test_even_light_shows_as_itself_everywhere() -> None:
    sh = domes.irradiance_sh(plain(np.full((32, 64, 3), 0.7)))
    normals = domes.directions(16, 8)
    assert np.allclose(domes.sh_basis(normals) @ sh, 0.7, atol=1e-3)


@pytest.mark.parametrize("size", [(64, 128), (512, 1024)])
def test_half_lit_sky_follows_the_cosine_law(size: tuple[int, int]) -> None:
    """Light from above only: a matt surface shows (1 + cos) / 2; degree 2 holds it within 3 %."""
    light = np.zeros((*size, 3))
    light[: size[0] // 2] = 1.0
    sh = domes.irradiance_sh(plain(light))
    for angle in (0.0, 60.0, 90.0, 120.0, 180.0):
        normal = np.array([np.sin(np.radians(angle)), 0.0, np.cos(np.radians(angle))])
        assert np.allclose(domes.sh_basis(normal) @ sh, (1 + np.cos(np.radians(angle))) / 2, atol=0.03)


@pytest.mark.parametrize("yaw_deg", [-170.0, -30.0, 12.5, 90.0, 261.0])
def test_a_turned_dome_shines_as_the_turned_picture_does(yaw_deg: float) -> None:
    """Nine numbers turned are what the whole picture, summed again, gives."""
    light = np.random.default_rng(5).random((64, 128, 3)) * np.linspace(0.1, 9.0, 128)[None, :, None]
    whole = domes.irradiance_sh(plain(light), yaw_deg=yaw_deg)
    assert np.allclose(domes.turned_sh(domes.irradiance_sh(plain(light)), yaw_deg), whole, atol=1e-6)
    assert not np.allclose(domes.irradiance_sh(plain(light)), whole, atol=1e-2)


def test_turning_a_dome_sums_no_picture(gl: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    light = np.full((64, 128, 3), 0.5, np.float32)
    light[20, 30] = 400.0
    dome = domes.Dome(gl, plain(light))
    first = dome.light_block(0.0, 1.0)
    monkeypatch.setattr(domes, "irradiance_sh", lambda *_, **__: pytest.fail("a slider's step sums the picture"))
    turned = dome.light_block(90.0, 2.0)
    assert np.allclose(turned[2], [*(2.0 * first[2, :3]), first[2, 3]])
    # What stood at +Y stands at -X.
    assert np.allclose(turned[3, :3], -2.0 * first[1, :3], atol=1e-5)
    dome.release()


def test_light_limit_takes_the_sun_out_of_the_light() -> None:
    light = np.full((32, 64, 3), 0.5)
    light[8, 40] = 50_000.0
    with_sun = domes.irradiance_sh(plain(light))
    without = domes.irradiance_sh(plain(light), light_limit=0.5)
    assert with_sun[0, 0] > 2 * without[0, 0]
    assert np.allclose(without, domes.irradiance_sh(plain(np.full((32, 64, 3), 0.5))), atol=1e-6)


def test_reflections_of_an_even_dome_are_even(gl: Device) -> None:
    dome = domes.Dome(gl, plain(np.full((64, 128, 3), [0.25, 0.5, 2.0])))
    levels = np.frombuffer(dome.reflections.read(), np.float16).reshape(domes.ROUGHNESS_LEVELS, -1, 4)
    assert np.allclose(levels[..., :3], [0.25, 0.5, 2.0], rtol=2e-3)
    dome.release()


def test_reflections_widen_with_roughness_and_keep_their_place(gl: Device) -> None:
    """A bright spot at +Y +Z: level 0 shows it sharp, higher levels ever wider, all centred on it."""
    to_spot = np.array([0.0, np.sqrt(0.5), np.sqrt(0.5)])
    d = domes.directions(256, 128)
    dome = domes.Dome(gl, plain(np.where((d @ to_spot > np.cos(0.1))[..., None], 10.0, 0.0) * np.ones(3)))
    size = domes.OCTAHEDRON_PX
    levels = np.frombuffer(dome.reflections.read(), np.float16).reshape(-1, size, size, 4)[..., 0].astype(np.float64)
    place = np.arange(size) / (size - 1) * 2 - 1
    p = np.stack(np.meshgrid(place, place), axis=-1)
    n = np.concatenate([p, 1 - np.abs(p).sum(axis=-1, keepdims=True)], axis=-1)
    t = np.maximum(-n[..., 2:], 0.0)
    n[..., :2] -= np.where(n[..., :2] >= 0, t, -t)
    n /= np.linalg.norm(n, axis=-1, keepdims=True)
    # Texels are not of equal solid angle; near the spot they nearly are.
    peaks, widths = [], []
    for level in levels:
        mean = (n * level[..., None]).sum(axis=(0, 1))
        assert mean @ to_spot / np.linalg.norm(mean) > np.cos(0.2)
        peaks.append(float(level.max()))
        widths.append(float(np.linalg.norm(mean) / level.sum()))
    assert peaks[0] == pytest.approx(10.0, rel=1e-2)
    assert all(a > b for a, b in itertools.pairwise(peaks[1:]))
    assert all(a > b for a, b in itertools.pairwise(widths[:5]))
    dome.release()


def test_files_enter_by_their_own_curve(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 16, 3), 188, np.uint8)).save(tmp_path / "grey.png")
    picture = panoramas.load_picture(tmp_path / "grey.png")
    assert picture.size_px == (16, 8)
    assert np.allclose(picture.pixels, 0.5029, atol=1e-3)


def test_exr_and_its_primaries(tmp_path: Path) -> None:
    import OpenImageIO as oiio

    for name, tag in (("plain.exr", None), ("ap1.exr", (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767))):
        spec = oiio.ImageSpec(4, 2, 3, oiio.FLOAT)
        if tag is not None:
            spec.attribute("chromaticities", "float[8]", tag)
        out = oiio.ImageOutput.create(str(tmp_path / name))
        assert out is not None
        assert out.open(str(tmp_path / name), spec)
        assert out.write_image(np.tile(np.array([1, 0, 0], np.float32), (2, 4, 1)))
        out.close()
    assert np.allclose(panoramas.load_picture(tmp_path / "plain.exr").pixels[0, 0], AP1_FROM_REC709[:, 0], atol=1e-6)
    assert np.allclose(panoramas.load_picture(tmp_path / "ap1.exr").pixels[0, 0], [1, 0, 0], atol=1e-6)


def test_a_real_sky_is_read(reference: Path) -> None:
    picture = panoramas.load_picture(reference / "assets" / "spiaggia_di_mondello_1k.hdr")
    assert picture.size_px == (1024, 512)
    assert picture.pixels.max() > 1000
    assert np.isfinite(picture.pixels).all()
    sh = domes.irradiance_sh(picture, light_limit=20.0)
    up, down = domes.sh_basis(np.array([[0, 0, 1.0], [0, 0, -1.0]])) @ sh
    assert up[2] > 1.5 * up[0]  # a blue sky
    assert down[0] > 1.2 * down[2]  # over sand


def test_wrong_domes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="no such dome"):
        panoramas.load_picture(tmp_path / "none.hdr")
    (tmp_path / "bad.hdr").write_bytes(b"#?RADIANCE\nhello")
    with pytest.raises(AssetImageError, match="cannot be decoded"):
        panoramas.load_picture(tmp_path / "bad.hdr")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "square.png")
    with pytest.raises(AssetImageError, match="twice as wide"):
        panoramas.load_picture(tmp_path / "square.png")


# --- cubes, tags and broken files ---------------------------------------------------------------------------------


def looked_at(directions: np.ndarray) -> np.ndarray:
    """A smooth picture of directions, [..., 3], whose six sides differ."""
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.stack([1.0 + 0.5 * x, 1.0 + 0.5 * y + 0.2 * x * z, 1.0 + 0.5 * z], axis=-1)


def cube_faces(side: int) -> list[np.ndarray]:
    """The six faces of `looked_at`, written down face by face: what stands right, down and in the middle of each."""
    seen = [  # right, down, middle
        ((0, -1, 0), (0, 0, -1), (1, 0, 0)), ((0, 1, 0), (0, 0, -1), (-1, 0, 0)),
        ((1, 0, 0), (0, 1, 0), (0, 0, 1)), ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
        ((1, 0, 0), (0, 0, -1), (0, 1, 0)), ((-1, 0, 0), (0, 0, -1), (0, -1, 0)),
    ]  # fmt: skip
    t = (np.arange(side) + 0.5) / side * 2 - 1
    faces = []
    for right, down, middle in seen:
        d = np.array(middle) + t[None, :, None] * np.array(right) + t[:, None, None] * np.array(down)
        faces.append(looked_at(d / np.linalg.norm(d, axis=-1, keepdims=True)).astype(np.float32))
    return faces


def write(file: Path, pixels: Any) -> Path:
    import OpenImageIO as oiio

    height, width = pixels.shape[:2]
    out = oiio.ImageOutput.create(str(file))
    assert out is not None
    assert out.open(str(file), oiio.ImageSpec(width, height, 3, oiio.FLOAT))
    assert out.write_image(np.ascontiguousarray(pixels, dtype=np.float32))
    out.close()
    return file


@pytest.mark.parametrize("form", ["files", "lying", "standing", "row", "column"])
def test_a_cube_is_the_panorama_it_was_cut_from(tmp_path: Path, form: str) -> None:
    side = 32
    right, left, up, down, front, back = faces = cube_faces(side)
    empty = np.zeros_like(up)
    if form == "files":
        names = ("px", "nx", "py", "ny", "pz", "nz")
        files = [write(tmp_path / f"{name}.exr", face) for name, face in zip(names, faces, strict=True)]
        picture = panoramas.load_picture(files, colour_space="acescg")
    else:
        joined = {
            "lying": [[empty, up, empty, empty], [left, front, right, back], [empty, down, empty, empty]],
            "standing": [
                [empty, up, empty], [left, front, right], [empty, down, empty], [empty, back[::-1, ::-1], empty],
            ],
            "row": [faces],
            "column": [[face] for face in faces],
        }[form]  # fmt: skip
        whole = np.concatenate([np.concatenate(row, axis=1) for row in joined], axis=0)
        picture = panoramas.load_picture(write(tmp_path / "cube.exr", whole), colour_space="acescg")
    assert picture.size_px == (4 * side, 2 * side)
    want = looked_at(domes.directions(4 * side, 2 * side))
    # Half a texel at a face's rim is held, not crossed.
    assert np.abs(picture.pixels - want).max() < 0.02
    assert np.abs(picture.pixels - want).mean() < 0.001


def test_a_tagged_space_is_taken_at_its_word(tmp_path: Path) -> None:
    file = write(tmp_path / "red.exr", np.tile(np.array([1.0, 0, 0]), (4, 8, 1)))
    for tag in get_args(panoramas.ColourSpace)[2:]:
        got = panoramas.load_picture(file, colour_space=tag).pixels[0, 0]
        want = rgb_from_rgb(AP1, panoramas._PRIMARIES[tag])[:, 0]
        assert np.allclose(got, np.clip(want, 0, None), atol=1e-6), tag
    assert panoramas.load_picture(file, colour_space="acescg").pixels[0, 0, 0] == pytest.approx(1.0)
    Image.fromarray(np.full((8, 16, 3), 188, np.uint8)).save(tmp_path / "grey.png")
    raw = panoramas.load_picture(tmp_path / "grey.png", colour_space="linear_rec709")
    assert np.allclose(raw.pixels, 188 / 255, atol=1e-3)


@pytest.mark.parametrize("name", ["sky.webp", "sky.jpg", "sky.png"])
def test_eight_bit_files_are_srgb(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.full((32, 64, 3), 188, np.uint8)).save(tmp_path / name)
    assert np.allclose(panoramas.load_picture(tmp_path / name).pixels, 0.5029, atol=0.02)


@pytest.mark.parametrize("name", ["sky.webp", "sky.jpg", "sky.png", "sky.hdr", "sky.exr"])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(5).random((128, 256, 3)).astype(np.float32)
    file = tmp_path / name
    if name.endswith(("hdr", "exr")):
        write(file, noise)
    else:
        Image.fromarray((noise * 255).astype(np.uint8)).save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(AssetImageError, match="cannot be decoded"):
        panoramas.load_picture(file)


def test_what_is_no_number_is_refused_and_what_is_endless_is_held(tmp_path: Path) -> None:
    pixels = np.ones((4, 8, 3), np.float32)
    pixels[1, 2] = np.nan
    with pytest.raises(AssetImageError, match="NaN"):
        panoramas.load_picture(write(tmp_path / "nan.exr", pixels))
    pixels[1, 2] = np.inf
    assert panoramas.load_picture(write(tmp_path / "inf.exr", pixels)).pixels.max() == panoramas.HALF_MAX


def test_six_faces_must_be_alike(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{i}.exr", np.ones((8, 8, 3))) for i in range(5)]
    with pytest.raises(AssetImageError, match="six faces"):
        panoramas.load_picture(files)
    with pytest.raises(AssetImageError, match="one size"):
        panoramas.load_picture([*files, write(tmp_path / "5.exr", np.ones((4, 4, 3)))])
