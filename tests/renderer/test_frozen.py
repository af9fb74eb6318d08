"""Compiled scenes as files: drawn as the scene they were made of, put on the GPU in small slices, nothing else read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import moderngl
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from configs.assets.glb import Glb
from configs.assets.shapes import box
from renderer.config import SceneConfig
from renderer.device import Device
from renderer.frozen import FrozenSceneError, Thaw, freeze, thaw
from renderer.passes.scene import ScenePass
from renderer.passes.target import ViewTarget
from renderer.scene import Scene
from renderer.sinks.png import png_bytes
from stage.projection import cube_view_from_stage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frozen")
    rng = np.random.default_rng(1)
    glb = Glb()
    picture = glb.texture(simplejpeg.encode_jpeg(rng.integers(0, 255, (128, 256, 3), dtype=np.uint8)))
    paint = glb.material("paint", baseColorTexture={"index": picture}, roughnessFactor=0.4, metallicFactor=0.5)
    node = glb.node("one", glb.mesh("one", box((2.0, 1.0, 1.5), (0.0, 0.0, 0.0)), paint), (0.0, 4.0, 0.0))
    times = np.linspace(0.0, 1.0, 5)
    zero = np.zeros_like(times)
    glb.turning(node, times, np.stack([zero, np.sin(times * 3), zero, np.cos(times * 3)], axis=-1))
    (path / "box.glb").write_bytes(glb.to_bytes())
    (path / "sky.png").write_bytes(png_bytes(rng.integers(40, 200, (32, 64, 3), dtype=np.uint8)))
    return path


@pytest.fixture(scope="module")
def frozen(gl: Device, folder: Path) -> Iterator[tuple[Scene, Path]]:
    config = SceneConfig.model_validate(
        {"gltf": "box.glb", "dome": {"file": "sky.png"}, "sun": {"elevation_deg": 50.0}, "ambient": (0.1, 0.1, 0.1)}
    )
    scene = Scene(gl, config, folder)
    file = folder / "one.scene"
    assert freeze(gl, scene, file) == file.stat().st_size
    yield scene, file
    scene.release()


def drawn(gl: Device, scene: Scene, time_s: float) -> NDArray[np.float16]:
    scene_pass = ScenePass(gl, shadow_px=128)
    target = ViewTarget(gl, 96, 96, "f2")
    clip = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1.001, -0.1], [0, 0, -1, 0]], dtype=np.float64)
    scene_pass.draw(
        scene, view_from_stage=cube_view_from_stage(2, np.zeros(3)), clip_from_view=clip, stage_from_scene=np.eye(4),
        target=target.framebuffer, scene_time_s=time_s,
    )  # fmt: skip
    out: NDArray[np.float16] = gl.read(target.framebuffer, dtype="f2")
    scene_pass.forget(scene)
    scene_pass.release()
    target.release()
    return out


def test_it_is_drawn_and_edited_as_the_scene_it_was_made_of(gl: Device, frozen: tuple[Scene, Path]) -> None:
    scene, file = frozen
    thawed = thaw(gl, file)
    other = thawed.scene
    assert other is not None
    assert other.size_bytes == scene.size_bytes
    for time_s in (0.0, 0.4):
        assert np.array_equal(drawn(gl, scene, time_s), drawn(gl, other, time_s)), time_s
    still = drawn(gl, other, 0.4)
    for edits in ({"exposure_ev": 1.0}, {"objects/box/nodes/one/z_m": 0.3, "dome/yaw_deg": 90.0}):
        for one in (scene, other):
            one.apply(edits)
        assert np.array_equal(drawn(gl, scene, 0.4), drawn(gl, other, 0.4)), edits
        assert not np.array_equal(still, drawn(gl, other, 0.4))
    scene.apply({})
    thawed.release()


def test_a_figure_bends_as_the_one_it_was_made_of(gl: Device, reference: Path, tmp_path: Path) -> None:
    found = sorted((reference / "assets").rglob("SimpleSkin.gltf"))
    if not found:
        pytest.skip("no SimpleSkin among the samples")
    scene = Scene(gl, SceneConfig.model_validate({"gltf": str(found[0]), "sun": {}}), Path("/"))
    freeze(gl, scene, tmp_path / "skin.scene")
    thawed = thaw(gl, tmp_path / "skin.scene")
    assert thawed.scene is not None
    for time_s in (0.0, 1.3):
        assert np.array_equal(drawn(gl, scene, time_s), drawn(gl, thawed.scene, time_s))
    thawed.release()
    scene.release()


def test_two_of_one_file_do_not_touch_each_other(gl: Device, frozen: tuple[Scene, Path]) -> None:
    first, second = thaw(gl, frozen[1]), thaw(gl, frozen[1])
    assert first.scene is not None
    assert second.scene is not None
    before = drawn(gl, second.scene, 0.0)
    first.scene.apply({"objects/box/x_m": 2.0})
    drawn(gl, first.scene, 0.7)
    first.release()
    assert np.array_equal(drawn(gl, second.scene, 0.0), before)
    second.release()


def test_it_comes_in_slices_and_may_be_given_up(gl: Device, frozen: tuple[Scene, Path]) -> None:
    _ = gl.ctx.error
    thawing = Thaw(gl, frozen[1])
    count = sum(1 for _ in thawing.slices())
    assert count > 10
    thawing.release()
    for stop in (1, 5, count - 1):
        given_up = Thaw(gl, frozen[1])
        slices = given_up.slices()
        for _ in range(stop):
            next(slices)
        slices.close()
        assert given_up.scene is None
    assert gl.ctx.error == "GL_NO_ERROR"


def test_what_is_no_compiled_scene_is_refused(gl: Device, frozen: tuple[Scene, Path], tmp_path: Path) -> None:
    whole = frozen[1].read_bytes()
    for name, data in {
        "short": whole[: len(whole) // 2],
        "empty": b"",
        "foreign": b"x" * 9000,
        "head": whole[:100],
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FrozenSceneError):
            Thaw(gl, path)
    with pytest.raises(FileNotFoundError):
        Thaw(gl, tmp_path / "nowhere")


def test_a_file_runs_no_code(gl: Device, frozen: tuple[Scene, Path], tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> object:
            return (os.system, ("touch " + str(tmp_path / "harm"),))

    scene, _ = frozen
    notes, scene.notes = scene.notes, (Bad(),)  # type: ignore[assignment]
    try:
        freeze(gl, scene, tmp_path / "bad.scene")
    finally:
        scene.notes = notes
    with pytest.raises(FrozenSceneError, match="does not belong"):
        thaw(gl, tmp_path / "bad.scene")
    assert not (tmp_path / "harm").exists()


def test_a_scene_that_holds_a_program_is_refused(gl: Device, frozen: tuple[Scene, Path], tmp_path: Path) -> None:
    scene, _ = frozen
    notes = scene.notes
    framebuffer = gl.ctx.framebuffer([gl.ctx.texture((4, 4), 4)])
    scene.notes = (framebuffer,)  # type: ignore[assignment]
    try:
        with pytest.raises(FrozenSceneError, match="Framebuffer"):
            freeze(gl, scene, tmp_path / "no.scene")
    finally:
        scene.notes = notes
    assert list(tmp_path.iterdir()) == []
    assert isinstance(framebuffer, moderngl.Framebuffer)
