"""The shipped demo world is what its program makes, and the renderer's reader takes it whole."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import configs
from configs.assets.make_demo import make_glb, make_sky, rgbe_bytes
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
