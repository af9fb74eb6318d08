"""Scenes on a node's GPU: bounded, the one used longest ago goes first, never one that must stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.assets.glb import Glb
from configs.assets.shapes import box
from controller.library.inputs import read_hash
from controller.resident import Residents, SceneMemoryError
from renderer.config import SceneConfig
from renderer.device import Device
from renderer.frozen import freeze
from renderer.scene import Scene
from renderer.scene_world import SceneWorld
from runtime.clock import VirtualClock

KEYS = [f"{n:032x}" for n in range(4)]


@pytest.fixture(scope="module")
def file(gl: Device, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resident")
    glb = Glb()
    glb.node("one", glb.mesh("one", box((1.0, 1.0, 1.0), (0.0, 3.0, 0.0)), glb.material("paint")))
    (folder / "box.glb").write_bytes(glb.to_bytes())
    scene = Scene(gl, SceneConfig.model_validate({"gltf": "box.glb"}), folder)
    freeze(gl, scene, folder / "one.scene")
    scene.release()
    return folder / "one.scene"


@pytest.fixture
def residents(gl: Device) -> Iterator[Residents]:
    world = SceneWorld(gl, {}, shadow_px=64)
    made = Residents(gl, world, clock=VirtualClock(), budget_bytes=1 << 30)
    yield made
    made.release()
    world.release()


def load(residents: Residents, key: str, file: Path, keep: set[str] | None = None) -> int:
    return sum(1 for _ in residents.load_file("hall", key, file, keep=keep or set()))


def test_the_one_used_longest_ago_makes_room(residents: Residents, file: Path) -> None:
    assert load(residents, KEYS[0], file) > 5, "in slices"
    one = residents.held_bytes
    residents.budget_bytes = int(2.5 * one)
    load(residents, KEYS[1], file)
    assert residents.get(KEYS[0]) is not None, "used now"
    load(residents, KEYS[2], file)
    assert [key in residents for key in KEYS] == [True, False, True, False]
    assert residents.held_bytes == 2 * one
    assert load(residents, KEYS[2], file) == 0, "it is here"
    assert [(held.key, held.on_air) for held in residents.told({KEYS[0]})] == [(KEYS[2], False), (KEYS[0], True)]


def test_what_is_on_air_or_next_stays_and_what_does_not_fit_is_refused(residents: Residents, file: Path) -> None:
    load(residents, KEYS[0], file)
    load(residents, KEYS[1], file)
    residents.budget_bytes = int(2.5 * residents.held_bytes / 2)
    with pytest.raises(SceneMemoryError, match="must stay"):
        load(residents, KEYS[2], file, {KEYS[0], KEYS[1]})
    assert [key in residents for key in KEYS[:3]] == [True, True, False]
    load(residents, KEYS[2], file, {KEYS[0]})
    assert [key in residents for key in KEYS[:3]] == [True, False, True]


def test_loading_that_is_given_up_leaves_nothing(residents: Residents, file: Path) -> None:
    slices = residents.load_file("hall", KEYS[0], file, keep=set())
    for _ in range(4):
        next(slices)
    assert residents.loading == "hall"
    slices.close()
    assert (residents.loading, residents.held_bytes, KEYS[0] in residents) == ("", 0, False)


def test_edits_without_a_place_wait_for_it(residents: Residents, file: Path) -> None:
    load(residents, KEYS[0], file)
    held = residents.get(KEYS[0])
    assert held is not None
    held.edit(3, {"exposure_ev": 1.0, "objects/gone/x_m": 2.0})
    assert held.scene.config.exposure_ev == 1.0
    held.edit(4, {})
    assert held.scene.config.exposure_ev == 0.0


def test_what_was_read_for_another_configuration_is_told_apart(tmp_path: Path) -> None:
    grey, red = SceneConfig(background=(0.2, 0.2, 0.2)), SceneConfig(background=(0.9, 0.0, 0.0))
    assert read_hash(grey, tmp_path) == read_hash(grey.model_copy(), tmp_path)
    assert len({read_hash(grey, tmp_path), read_hash(red, tmp_path), read_hash(grey, tmp_path / "b")}) == 3
