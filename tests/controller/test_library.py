"""What scenes are made of, and the cache of their compiled states: keys by content, a bounded folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.library.cache import CompiledState, SceneCache
from controller.library.inputs import content_hash, inputs_of, state_key
from renderer.config import SceneConfig

KEYS = [f"{n:032x}" for n in range(4)]


@pytest.fixture
def asset(tmp_path: Path) -> Path:
    (tmp_path / "part.bin").write_bytes(b"12345678")
    (tmp_path / "wood.jpg").write_bytes(b"picture")
    text = """{"asset": {"version": "2.0"}, "buffers": [{"uri": "part.bin", "byteLength": 8}],
               "images": [{"uri": "wood.jpg"}, {"uri": "data:image/png;base64,AA=="}, {"uri": "../outside.png"}]}"""
    path = tmp_path / "house.gltf"
    path.write_text(text)
    (tmp_path.parent / "outside.png").write_bytes(b"secret")
    return path


def test_every_file_of_a_scene_counts_and_none_outside(asset: Path) -> None:
    folder = asset.parent
    config = SceneConfig.model_validate({"gltf": "house.gltf"})
    inputs = inputs_of(config, folder)
    assert {file.name for file in inputs.files} == {"house.gltf", "part.bin", "wood.jpg"}
    key = state_key(config, inputs)
    assert not inputs.changed()
    for name in ("part.bin", "wood.jpg", "house.gltf"):
        file = folder / name
        file.write_bytes(file.read_bytes() + b" ")
        assert inputs.changed()
        inputs = inputs_of(config, folder)
        other = state_key(config, inputs)
        assert other != key
        key = other
    # Saved again unchanged: another time, the same state.
    os.utime(asset, ns=(1, 1))
    assert inputs.changed()
    assert state_key(config, inputs_of(config, folder)) == key
    lit = config.model_copy(update={"ambient": (1.0, 0.0, 0.0)})
    assert state_key(lit, inputs) != key


def test_a_file_that_is_not_there_is_watched_for(asset: Path) -> None:
    folder = asset.parent
    config = SceneConfig.model_validate({"gltf": "house.gltf"})
    (folder / "part.bin").unlink()
    inputs = inputs_of(config, folder)
    assert (folder / "part.bin").resolve() in inputs.files
    with pytest.raises(FileNotFoundError):
        state_key(config, inputs)
    (folder / "part.bin").write_bytes(b"87654321")
    assert inputs.changed()


def test_contents_are_told_apart_by_contents(tmp_path: Path) -> None:
    for name, data in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(data)
    a, b, c = (content_hash(tmp_path / name) for name in "abc")
    assert a == b != c


def filled(folder: Path, limit_bytes: int) -> SceneCache:
    cache = SceneCache(folder / "scenes", limit_bytes=limit_bytes)
    cache.begin()
    for age, key in enumerate(KEYS):
        cache.scene(key).write_bytes(bytes(1000))
        cache.thumbnail(key).write_bytes(b"picture")
        cache.finish(CompiledState(key, "hall", 1000, 900, 10, 1, 5.0, 0))
        os.utime(cache.scene(key), ns=(age, age))
    return cache


def test_the_folder_is_bounded_and_what_is_needed_stays(tmp_path: Path) -> None:
    cache = filled(tmp_path, 2600)
    cache.touch(KEYS[1])
    assert cache.make_room(keep={KEYS[0]}) == [KEYS[2], KEYS[3]]
    assert [cache.has(key) for key in KEYS] == [True, True, False, False]
    assert {path.stem for path in cache.folder.iterdir()} == {KEYS[0], KEYS[1]}
    assert [state.key for state in cache.states()] == [KEYS[1], KEYS[0]]


def test_keys_name_nothing_outside_the_folder(tmp_path: Path) -> None:
    cache = filled(tmp_path, 1 << 30)
    for bad in ("../secret", "", "x" * 32, KEYS[0] + "/..", KEYS[0].upper().replace("0", "G")):
        assert not cache.has(bad)
        assert cache.about(bad) is None
        with pytest.raises(ValueError, match="no key"):
            cache.scene(bad)
