"""Inner pictures and photos of captured frames: what the node's renderer puts on the walls, frame for frame."""

from __future__ import annotations

import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import OpenImageIO as oiio
import pytest

from controller.capture import offair
from controller.capture.offair import Wanted
from controller.darkroom import StageVersion
from controller.engines import KIND_INNER, PIXELS_HALF
from controller.scene_book import SceneBook
from controller.show import decode_snapshot
from renderer.device import Device
from renderer.passes.inner import InnerPass
from renderer.renderer import Renderer
from renderer.twin.camera import VirtualCamera
from runtime.ring import RingWriter
from stage.frames import pose_from_pan_tilt_roll
from stage.plan import PlanEngine, matrix16

DOME = (
    "    background: [0.18, 0.18, 0.18]",
    "    background: [0.18, 0.18, 0.18]\n    dome:\n      file: SKY\n",
)


def opened(path: Path) -> np.ndarray:
    file = oiio.ImageInput.open(str(path))
    assert file is not None, oiio.geterror()
    pixels = file.read_image(file.spec().format)
    file.close()
    return pixels


@pytest.fixture
def lit(shm: Path, housekit: ModuleType, capturekit: ModuleType, root: Path) -> Any:
    """A wall under a sky: its inner pictures are nowhere flat."""
    sky = str(root / "configs/assets/demo_sky.hdr")
    made = capturekit.Wall(shm, housekit, more=((DOME[0], DOME[1].replace("SKY", sky)),))
    yield made
    made.close()


def moved(wall: Any, frame: int) -> dict[str, Any]:
    """A plan of a camera that pans: every frame's inner picture is another."""
    plan = wall.plan(frame)
    camera = plan.cameras[0]
    pose = pose_from_pan_tilt_roll(camera.pupil_m, pan_deg=2.0 * (frame % 24))
    return {"cameras": [msgspec.structs.replace(camera, stage_from_camera=matrix16(pose))]}


def test_inner_pictures_are_those_of_the_walls(lit: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first = capturekit.FIRST
    order = lit.order(tmp_path / "inner", "exr", kind="inner", of="a", first_frame=first, last_frame=first + 2)
    lit.begin()
    for n in range(3):
        lit.show_frame(first + n, **moved(lit, first + n))
        lit.step()
    lit.settle()
    assert lit.told(order).gaps == []
    assert lit.told(order).written == 3
    pictures = [opened(tmp_path / f"inner.{first + n:010d}.exr") for n in range(3)]
    with Device.create() as device:
        version = StageVersion(decode_snapshot(lit.run.snapshot(1).read_bytes()))
        renderer = Renderer(device)
        renderer.load_stage(version.stage, version=1, render=version.config.render)
        seen: list[Any] = []
        draw = InnerPass.draw

        def watched(self: InnerPass, *arguments: Any, **options: Any) -> Any:
            seen.append(draw(self, *arguments, **options))
            return seen[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(InnerPass, "draw", watched)
            for n in range(3):
                plan = lit.plan(first + n, **moved(lit, first + n))
                # The whole frame as a node draws it, its outer picture first.
                renderer.draw(plan, world=version.world(device, plan, SceneBook(lit.run)))
                texture = seen[-1].texture
                rows = np.frombuffer(texture.read(), np.float16).reshape(texture.height, texture.width, 4)
                assert np.array_equal(pictures[n], rows[::-1, :, :3]), "the same plan, the same pixels"
        version.release()
        renderer.release()
    assert pictures[0].astype(np.float64).std() > 0.01
    assert not np.array_equal(pictures[0], pictures[1])


def test_photos_are_the_twins_of_the_very_canvases(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first = capturekit.FIRST
    fields = {"kind": "photo", "of": "a", "first_frame": first, "last_frame": first + 3, "every": 2, "width_px": 320}
    order = wall.order(tmp_path / "photo", "exr", **fields)
    png = wall.order(tmp_path / "photo8", "png", bits=8, **fields)
    wall.begin()
    for n in range(4):
        wall.show_frame(first + n, np.full(wall.size[::-1], (100 + 200 * n) * 0x100401 | 3 << 30, dtype=np.uint32))
        wall.step()
    wall.settle()
    assert (wall.told(order).written, wall.told(order).gaps) == (2, [])
    with Device.create() as device:
        camera = VirtualCamera(device, wall.stage)
        for n in (0, 2):
            light = camera.photo({"main": wall.shown[first + n]}, wall.plan(first + n), width_px=320, fine=2)
            found = opened(tmp_path / f"photo.{first + n:010d}.exr")
            assert np.array_equal(found, light[..., :3].astype(np.float16))
        camera.release()
    middle = opened(tmp_path / f"photo8.{first + 2:010d}.png")[90, 160]
    assert middle.min() > 100
    assert wall.told(png).written == 2


def test_an_engines_inner_pictures_are_its_own(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first = capturekit.FIRST
    ring = RingWriter.create(
        wall.run.engine_inner("a"), kind=KIND_INNER, slots=8, capacity=6 * 4 * 8, width=6, height=4, row_stride=48,
        pixel_format=PIXELS_HALF,
    )  # fmt: skip
    order = wall.order(tmp_path / "e", "exr", kind="inner", of="a", first_frame=first, last_frame=first + 2)
    wall.begin()
    engines = [PlanEngine("grid", cameras=["a"])]
    drawn = {}
    for n in range(3):
        if n != 1:
            drawn[n] = np.random.default_rng(n).random((4, 6, 4)).astype(np.float16)
            ring.publish(drawn[n].data.cast("B"), frame=first + n, t_ns=0)
        wall.show_frame(first + n, engines=engines)
        wall.step()
    wall.settle()
    for n, picture in drawn.items():
        assert np.array_equal(opened(tmp_path / f"e.{first + n:010d}.exr"), picture[..., :3])
    (gap,) = wall.told(order).gaps
    assert (gap.first, gap.why) == (first + 1, "engine grid had not drawn it in time")
    ring.close()


def test_a_camera_that_is_not_there_is_told(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first = capturekit.FIRST
    order = wall.order(tmp_path / "x", "png", kind="inner", of="nobody", first_frame=first, last_frame=first)
    wall.begin()
    wall.show_frame(first)
    wall.step()
    wall.settle()
    told = wall.told(order)
    assert told.missing == 1
    assert "nobody" in told.gaps[0].why


class SlowHand:
    """Draws when it is let; then a picture that says its frame."""

    def __init__(self, gate: threading.Semaphore) -> None:
        self.gate = gate

    def warm(self) -> None:
        """Nothing to load."""

    def draw(self, wanted: Wanted) -> np.ndarray:
        self.gate.acquire()
        return np.full((2, 3, 3), wanted.stamp.frame - FIRST_OF[0], dtype=np.float32)

    def close(self) -> None:
        """Nothing to free."""


FIRST_OF = [0]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, capturekit: ModuleType) -> Any:
    made = threading.Semaphore(0)
    FIRST_OF[0] = capturekit.FIRST
    monkeypatch.setattr(offair, "_Hand", lambda run: SlowHand(made))
    monkeypatch.setattr(offair, "QUEUE_PICTURES", 4)
    yield made
    for _ in range(64):
        made.release()


def frames_of(folder: Path, name: str) -> dict[int, int]:
    """By frame number of the file, what its picture says."""
    found = {}
    for path in folder.glob(f"{name}.*.exr"):
        number = int(path.name.split(".")[1])
        found[number] = int(opened(path)[0, 0, 0])
    return found


def test_photos_slower_than_the_show_are_told_with_their_frames(
    wall: Any, capturekit: ModuleType, tmp_path: Path, gate: threading.Semaphore
) -> None:
    first = capturekit.FIRST
    order = wall.order(tmp_path / "p", "exr", kind="photo", of="a", first_frame=first, last_frame=first + 19)
    capture = wall.begin()
    job = capture._jobs[order.number]
    for n in range(20):
        wall.show_frame(first + n)
        wall.step()
        if n % 5 == 4:
            # One is drawn while five are shown.
            before = job.account.written
            gate.release()
            wall.until(lambda before=before: job.account.written > before)
    assert job.account.missing > 0
    assert "frames are missing" in job.trouble
    assert "would be in time" in job.job.detail or "every" in job.job.detail
    for _ in range(20):
        gate.release()
    wall.settle()
    told = wall.told(order)
    assert told.written + told.missing == 20
    assert told.missing >= 8
    assert {gap.why for gap in told.gaps} == {offair.SLOW}
    missing = {frame for gap in told.gaps for frame in range(gap.first, gap.last + 1)}
    found = frames_of(tmp_path, "p")
    assert found.keys() == set(range(first, first + 20)) - missing
    assert all(said == number - first for number, said in found.items()), "each file holds its own frame"


def test_a_reduced_rate_is_whole(wall: Any, capturekit: ModuleType, tmp_path: Path, gate: threading.Semaphore) -> None:
    first = capturekit.FIRST
    fields = {"kind": "photo", "of": "a", "first_frame": first, "last_frame": first + 19, "every": 5}
    order = wall.order(tmp_path / "r", "exr", **fields)
    wall.begin()
    for n in range(20):
        wall.show_frame(first + n)
        wall.step()
        if n % 5 == 4:
            gate.release()
    wall.settle()
    told = wall.told(order)
    assert (told.written, told.missing, told.gaps) == (4, 0, [])
    assert frames_of(tmp_path, "r") == {first + n: n for n in (0, 5, 10, 15)}


def test_what_is_not_drawn_when_the_show_ends_is_told(
    wall: Any, capturekit: ModuleType, tmp_path: Path, gate: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offair.OffAir.close, "__defaults__", (0.05,))
    first = capturekit.FIRST
    order = wall.order(tmp_path / "e", "exr", kind="photo", of="a", first_frame=first, last_frame=None)
    capture = wall.begin()
    for n in range(3):
        wall.show_frame(first + n)
        wall.step()
    capture.stop()
    wall.capture = None
    told = wall.told(order)
    assert (told.written, told.missing) == (0, 3)
    assert [(gap.first, gap.last, gap.why) for gap in told.gaps] == [(first, first + 2, offair.ENDED)]
