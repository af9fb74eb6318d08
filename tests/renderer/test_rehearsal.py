"""Edits that need other programs: got ready before they hold, without a change of what is shown, and then quick."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer import atmosphere
from renderer.addresses import UnknownAddressError, takes_preparing
from renderer.config import SceneConfig
from renderer.device import Device
from renderer.gltf.model import Asset, Material, Mesh, Node, Primitive
from renderer.passes.rehearsal import rehearse
from renderer.passes.scene import ScenePass, release_target, target
from renderer.scene import Scene

CLIP = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, -1.0, -0.1], [0, 0, -1, 0]])
FORWARD = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def plates() -> Asset:
    """Three plates beside each other, each of its own material."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
    normals = np.tile(np.float32([0, 0, 1]), (4, 1))
    triangles = np.array([0, 1, 2, 0, 2, 3], np.uint32)
    meshes = tuple(
        Mesh(f"m{i}", (Primitive(corners, normals, None, None, None, None, triangles, i),)) for i in range(3)
    )
    nodes = tuple(Node(f"n{i}", mesh=i, translation=(2.2 * (i - 1), 0.0, -4.0)) for i in range(3))
    materials = tuple(Material(name=f"paint {i}", metallic=0.0, roughness=0.4) for i in range(3))
    return Asset(Path("plates.glb"), nodes, (0, 1, 2), meshes, materials, (), (), (), ())


class Bench:
    def __init__(self, device: Device, **config: Any) -> None:
        self.device, self.scene_pass = device, ScenePass(device, shadow_px=256)
        self.scene = Scene.from_assets(device, SceneConfig.model_validate(config), [plates()])
        self.small, self.large = target(device, (16, 16)), target(device, (48, 32))

    def draw(self) -> Any:
        self.scene_pass.draw(
            self.scene, view_from_stage=FORWARD, clip_from_view=CLIP, stage_from_scene=np.eye(4), target=self.large
        )
        return self.device.read(self.large, dtype="f2").copy()

    def rehearse(self, **edits: Any) -> int:
        named = {name.replace("__", "/"): value for name, value in edits.items()}
        steps = rehearse(
            self.scene_pass, self.scene, named, stage_from_scene=np.eye(4), target=self.small
        )  # fmt: skip
        return sum(1 for _ in steps)

    def programs(self) -> int:
        return len(self.scene_pass._programs)

    def release(self) -> None:
        self.scene_pass.forget(self.scene)
        self.scene.release()
        self.scene_pass.release()
        for made in (self.small, self.large):
            release_target(made)


@pytest.fixture
def bench(gl: Device) -> Iterator[Bench]:
    made = Bench(gl, ambient=(0.3, 0.3, 0.3), sun={"elevation_deg": 60.0}, fog={"distance_m": 50.0})
    yield made
    made.release()


EDITS = {
    "objects__plates__materials__paint_0__metallic": 1.0,
    "objects__plates__materials__paint_1__emissive": (0.0, 2.0, 0.0),
    "objects__plates__materials__paint_2__roughness": 0.95,
    "fog__sun_glow": 0.2,
}


def test_what_an_edit_needs_is_there_when_it_holds_and_nothing_is_seen_before(bench: Bench) -> None:
    before = bench.draw()
    assert bench.rehearse(**EDITS) >= 3
    assert np.array_equal(bench.draw(), before)
    ready = bench.programs()
    assert bench.rehearse(**EDITS) == 0, "what is there takes no step"
    bench.scene.apply({name.replace("__", "/"): value for name, value in EDITS.items()})
    assert not np.array_equal(bench.draw(), before)
    assert bench.programs() == ready, "nothing was compiled on the frame path"
    bench.scene.apply({})
    assert np.array_equal(bench.draw(), before)
    assert bench.programs() == ready


def test_a_change_without_rehearsal_does_compile(bench: Bench) -> None:
    """So that the test above can fail."""
    bench.draw()
    before = bench.programs()
    bench.scene.apply({"objects/plates/materials/paint_0/metallic": 1.0})
    bench.draw()
    assert bench.programs() == before + 1


def test_switches_of_light_are_rehearsed_too(bench: Bench, gl: Device) -> None:
    bench.draw()
    sky = Bench(gl, sky={"elevation_deg": 30.0})
    try:
        before = sky.draw()
        assert sky.rehearse(sky__light=False, sky__sun=False, sky__background=False) >= 1
        ready = sky.programs()
        assert np.array_equal(sky.draw(), before)
        sky.scene.apply({"sky/light": False, "sky/sun": False, "sky/background": False})
        sky.draw()
        assert sky.programs() == ready
    finally:
        sky.release()


def test_wrong_edits_get_nothing_ready(bench: Bench) -> None:
    bench.draw()
    before = bench.programs()
    with pytest.raises(UnknownAddressError):
        bench.rehearse(objects__plates__materials__gold__metallic=1.0)
    assert bench.programs() == before


def test_only_the_edited_material_gets_another_array(bench: Bench) -> None:
    """A scene of a thousand batches must not build a thousand arrays for one of them."""
    bench.draw()
    (arrays,) = bench.scene_pass._arrays.values()
    held = list(arrays)
    bench.scene.apply({"objects/plates/materials/paint_1/emissive": (1.0, 0.0, 0.0)})
    bench.draw()
    (arrays,) = bench.scene_pass._arrays.values()
    assert sum(made is not kept for made, kept in zip(arrays, held, strict=True)) == 1


@pytest.mark.parametrize(
    ("address", "before", "after", "takes"),
    [
        ("objects/a/materials/m/metallic", 0.0, 0.5, True), ("objects/a/materials/m/metallic", 0.4, 0.5, False),
        ("objects/a/materials/m/emissive", (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), True),
        ("objects/a/materials/m/emissive", (0.1, 0.0, 0.0), (0.0, 1.0, 0.0), False),
        ("objects/a/materials/m/roughness", 0.79, 0.81, True), ("objects/a/materials/m/roughness", 0.1, 0.7, False),
        ("objects/a/visible", True, False, False), ("objects/a/variant", None, "red", True),
        ("objects/a/x_m", 0.0, 5.0, False), ("sun/elevation_deg", 0.0, 50.0, False), ("sky/haze", 1.0, 1.2, True),
        ("sky/light", True, False, True), ("lights/a/on", True, False, True), ("sky/haze", 1.0, 1.0, False),
        ("fog/sun_glow", 0.0, 0.1, True), ("exposure_ev", 0.0, 1.0, False),
    ],
)  # fmt: skip
def test_only_changes_that_may_need_something_are_waited_for(
    address: str, before: Any, after: Any, takes: bool
) -> None:
    assert takes_preparing(address, before, after) is takes


def test_another_air_is_worked_out_once_for_all_processes(
    gl: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Haze, ozone, ground and altitude are live: what one process worked out another reads."""
    bench = Bench(gl, sky={"elevation_deg": 20.0})
    atmosphere.keep_tables(tmp_path / "skies")
    try:
        before = bench.draw()
        assert bench.rehearse(sky__haze=4.0) >= 1
        assert np.array_equal(bench.draw(), before)
        bench.scene.apply({"sky/haze": 4.0})
        hazy = bench.draw()
        assert not np.array_equal(hazy, before)
        assert len(list((tmp_path / "skies").glob("*.npz"))) == 1
        # As another process: nothing in memory, and nothing worked out.
        bench.scene.apply({})
        atmosphere.sky_table.cache_clear()
        air = replace(bench.scene.sky.table.air, haze=4.0)  # type: ignore[union-attr]
        monkeypatch.setattr(atmosphere, "_worked_out", lambda _: pytest.fail("worked out on the frame path"))
        read = atmosphere.sky_table(air)
        assert read.air == air
        bench.scene.apply({"sky/haze": 4.0})
        assert np.array_equal(bench.draw(), hazy), "the same to the bit"
        # A file that was cut short is worked out again.
        (file,) = (tmp_path / "skies").glob("*.npz")
        file.write_bytes(file.read_bytes()[:100])
        atmosphere.sky_table.cache_clear()
        asked: list[Any] = []
        monkeypatch.setattr(atmosphere, "_worked_out", lambda air: (asked.append(air), read)[1])
        assert atmosphere.sky_table(air) is read
        assert asked == [air]
    finally:
        atmosphere.keep_tables(None)
        atmosphere.sky_table.cache_clear()
        bench.release()


def test_the_hour_of_a_sky_is_live_and_a_wrong_one_refused(gl: Device) -> None:
    when = {"when": "2026-06-21T12:00:00+02:00", "latitude_deg": 48.0, "longitude_deg": 11.0}
    bench = Bench(gl, sky=when)
    try:
        noon = bench.scene.sky.elevation_deg  # type: ignore[union-attr]
        bench.scene.apply({"sky/when": "2026-12-21T12:00:00+01:00"})
        assert bench.scene.sky.elevation_deg < noon - 40.0  # type: ignore[union-attr]
        with pytest.raises(Exception, match="2026-06-21"):
            bench.scene.apply({"sky/when": "yesterday"})
    finally:
        bench.release()
