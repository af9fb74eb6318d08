"""Thumbnails of the library's files as the darkroom draws them: looked at by what must be in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from configs.assets.glb import Glb
from configs.assets.shapes import box
from controller.library.compiler import THUMBNAIL_PX
from controller.library.portraits import Portraits
from renderer.device import Device
from renderer.gltf.errors import AssetError
from renderer.scene_world import SceneWorld
from stage.errors import OpenVolumeError


@pytest.fixture(scope="module")
def portraits(gl: Device) -> Iterator[Portraits]:
    world = SceneWorld(gl, {}, shadow_px=256)
    made = Portraits(gl, world)
    yield made
    made.release()
    world.release()


def made_glb(path: Path, colour: list[float], size_m: list[float], at: tuple[float, float, float]) -> Path:
    glb = Glb()
    paint = glb.material("paint", baseColorFactor=colour, metallicFactor=0.0, roughnessFactor=1.0)
    glb.node("thing", glb.mesh("thing", box(size_m, at), paint))
    path.write_bytes(glb.to_bytes())
    return path


def drawn(portraits: Portraits, file: Path, kind: str) -> NDArray[np.int16]:
    out = file.parent / "state" / f"{file.name}.jpg"
    portraits.make(file, kind, out)
    picture = np.asarray(Image.open(out).convert("RGB")).astype(np.int16)
    assert picture.shape == (THUMBNAIL_PX[1], THUMBNAIL_PX[0], 3)
    return picture


@pytest.mark.parametrize(
    ("size_m", "at"), [([0.02, 0.02, 0.03], (5.0, -3.0, 1.0)), ([900.0, 20.0, 8.0], (0.0, 0.0, -300.0))]
)
def test_an_asset_fills_its_picture_whatever_its_size_and_place(
    portraits: Portraits, tmp_path: Path, size_m: list[float], at: tuple[float, float, float]
) -> None:
    picture = drawn(portraits, made_glb(tmp_path / "red.glb", [0.9, 0.05, 0.05, 1.0], size_m, at), "asset")
    red = picture[..., 0] - picture[..., 2] > 60
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    down, across = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    assert max(down / THUMBNAIL_PX[1], across / THUMBNAIL_PX[0]) == pytest.approx(0.88, abs=0.05)
    assert abs(rows[0] + rows[-1] + 1 - THUMBNAIL_PX[1]) <= 8
    assert abs(columns[0] + columns[-1] + 1 - THUMBNAIL_PX[0]) <= 8
    # Lit from one side: no two faces are alike.
    assert np.unique(picture[red][:, 0] // 16).size >= 3


def test_a_dome_is_shown_bright_enough_to_know_it(portraits: Portraits, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    picture = np.full((64, 128, 3), 4, np.uint8)
    picture[:32, :, 2] = 12
    picture += rng.integers(0, 3, picture.shape, dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "night.png")
    shown = drawn(portraits, tmp_path / "night.png", "dome")
    assert shown.mean() > 60
    assert shown[10, :, 2].mean() > shown[10, :, 0].mean() + 20, "the sky is above"


def test_a_scene_file_is_seen_from_the_stage(portraits: Portraits, tmp_path: Path) -> None:
    made_glb(tmp_path / "wall.glb", [0.05, 0.9, 0.05, 1.0], [2.0, 0.2, 2.0], (0.0, 0.0, 0.0))
    scene = tmp_path / "yard.scene.yaml"
    scene.write_text("objects:\n  wall: {gltf: wall.glb, x_m: 2.0, y_m: 5.0}\nambient: [0.8, 0.8, 0.8]\n")
    picture = drawn(portraits, scene, "scene")
    green = picture[..., 1] - picture[..., 0] > 60
    assert green[:, THUMBNAIL_PX[0] // 2 + 10 :].any()
    assert not green[:, : THUMBNAIL_PX[0] // 2].any()


def test_any_picture_is_shown_whole(portraits: Portraits, tmp_path: Path) -> None:
    Image.new("RGB", (30, 90), (200, 10, 10)).save(tmp_path / "tall.png")
    picture = drawn(portraits, tmp_path / "tall.png", "picture")
    assert (picture[..., 0] > 150).sum() == pytest.approx(60 * 180, rel=0.1)


def test_what_cannot_be_drawn_says_why(portraits: Portraits, tmp_path: Path) -> None:
    whole = made_glb(tmp_path / "a.glb", [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0], (0.0, 0.0, 0.0)).read_bytes()
    (tmp_path / "b.glb").write_bytes(whole[:-40])
    with pytest.raises(AssetError, match="fewer"):
        portraits.make(tmp_path / "b.glb", "asset", tmp_path / "b.jpg")
    (tmp_path / "c.scene.yaml").write_text("objects: 3\n")
    with pytest.raises(OpenVolumeError, match="objects"):
        portraits.make(tmp_path / "c.scene.yaml", "scene", tmp_path / "c.jpg")
    assert not list(tmp_path.glob("*.jpg"))
