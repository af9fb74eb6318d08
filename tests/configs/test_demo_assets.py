"""The shipped demo world is what its program makes, and the renderer's reader takes it whole."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import configs
from configs.assets.make_demo import make_glb, make_sky, rgbe_bytes
from configs.assets.make_props import PROPS
from controller.config import load_config_text
from controller.library.tags import read_tags
from renderer.gltf.loader import load
from renderer.panoramas import load_picture

FOLDER = configs.find("demo").parent / "assets"


def parts(glb: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack("<I", glb[12:16])[0]
    return json.loads(glb[20 : 20 + length]), glb[28 + length :]


def test_the_shipped_world_is_the_one_its_program_makes() -> None:
    (old, old_blob), (new, new_blob) = parts((FOLDER / "demo.glb").read_bytes()), parts(make_glb())
    for key in ("nodes", "meshes", "materials", "animations"):
        assert old[key] == new[key]
    for document, blob in ((old, old_blob), (new, new_blob)):
        for entry in document["images"]:
            view = document["bufferViews"][entry["bufferView"]]
            data = blob[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
            entry["pixels"] = np.asarray(Image.open(io.BytesIO(data)), dtype=float)
    # Another JPEG library may code the same picture in other bytes.
    for one, two in zip(old["images"], new["images"], strict=True):
        assert np.abs(one["pixels"] - two["pixels"]).mean() < 1.0
    for one, two in zip(old["accessors"], new["accessors"], strict=True):
        assert one["count"] == two["count"]
        if "max" in one:
            np.testing.assert_allclose(one["max"], two["max"], atol=1e-4)
            np.testing.assert_allclose(one["min"], two["min"], atol=1e-4)


@pytest.mark.parametrize("name", PROPS)
def test_the_shipped_props_are_those_their_program_makes(name: str) -> None:
    (old, old_blob), (new, new_blob) = parts((FOLDER / "props" / name).read_bytes()), parts(PROPS[name]())
    assert len(old_blob) == len(new_blob) < 100_000
    for key in ("nodes", "meshes", "materials"):
        assert old[key] == new[key]
    heights = [(one["min"][1], one["max"][1]) for one in old["accessors"] if "max" in one and len(one["max"]) == 3]
    for low, high in heights:
        assert -2.5 < low < 0.01 < high < 6.0


def test_the_library_offers_them_with_names_and_tags() -> None:
    text = configs.find("demo").read_text().replace("# library:\n#   folder", "library:\n  folder")
    offered = load_config_text(text, base_dir=FOLDER.parent).config.library
    assert offered is not None
    assert Path(offered.folder).name == FOLDER.name
    for file in (FOLDER / "demo.glb", FOLDER / "demo_sky.hdr", *(FOLDER / "props" / name for name in PROPS)):
        told, problems = read_tags(file)
        assert told.label
        assert told.tags
        assert not problems


def test_the_shipped_sky_is_the_one_its_program_makes(tmp_path: Path) -> None:
    (tmp_path / "again.hdr").write_bytes(rgbe_bytes(make_sky()))
    shipped, again = load_picture(FOLDER / "demo_sky.hdr"), load_picture(tmp_path / "again.hdr")
    np.testing.assert_allclose(shipped.pixels, again.pixels, rtol=0.02, atol=0.01)


def test_rgbe_keeps_light_to_its_precision(tmp_path: Path) -> None:
    light = np.random.default_rng(1).uniform(0.0, 8.0, (16, 64, 3))
    light[3] = 0.25
    (tmp_path / "x.hdr").write_bytes(rgbe_bytes(light))
    import OpenImageIO as oiio

    pixels = oiio.ImageBuf(str(tmp_path / "x.hdr")).get_pixels(oiio.FLOAT)
    assert np.abs(pixels - light).max() <= (light.max(axis=-1, keepdims=True) / 100).max()


def test_the_reader_takes_the_world_without_a_note() -> None:
    asset = load(FOLDER / "demo.glb")
    assert not asset.notes
    assert asset.animations


def test_the_files_are_small_enough_for_a_wheel() -> None:
    assert (FOLDER / "demo.glb").stat().st_size < 2_000_000
    assert (FOLDER / "demo_sky.hdr").stat().st_size < 1_600_000
