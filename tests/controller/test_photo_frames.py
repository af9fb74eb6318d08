"""On the film of a show under the virtual clock every change of scenes is seen first on exactly its frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from numpy.typing import NDArray

from configs.assets.glb import Glb
from configs.assets.shapes import box
from controller.beginning import snapshot_of
from controller.config import load_config_text
from controller.library.cache import SceneCache
from controller.library.compiler import compile_scene
from controller.messages import Committed
from controller.painter import GLPainter
from controller.scene_book import write_states
from controller.show import ActiveScene, SceneState, Show, encode_snapshot
from controller.switching import Switch
from renderer.device import Device
from renderer.scene_world import SceneWorld
from renderer.sinks.ring import codes_of
from renderer.twin.camera import VirtualCamera
from renderer.twin.film import Film, changes
from runtime.clock import VirtualClock
from runtime.ring import KIND_CANVAS, RingReader
from stage.compiled import encode_stage
from stage.plan import FramePlan
from stage.rate import Rate

SCENES = """scenes:
  plain:
    background: [0.3, 0.1, 0.05]
  boxed:
    gltf: boxed.glb
    ambient: [0.4, 0.4, 0.4]

"""
CUT, DISSOLVE, STEPS, BACK, EDIT, RELOAD, LAST = 40, 50, 8, 64, 75, 88, 96


def boxed(colour: float) -> bytes:
    """A box before the camera, as light as it is told."""
    glb = Glb()
    paint = glb.material("paint", baseColorFactor=[colour, colour, 0.2, 1.0], roughnessFactor=1.0, metallicFactor=0.0)
    glb.node("one", glb.mesh("one", box((4.0, 1.0, 3.0), (0.0, 0.0, 0.0)), paint), (0.0, 6.0, 1.0))
    return glb.to_bytes()


class Watched:
    """The real painter; what it hands over is kept, as the processor gets it."""

    def __init__(self, painter: GLPainter, run: Any, seen: dict[int, NDArray[Any]]) -> None:
        self._painter, self._run, self._seen = painter, run, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._painter, name)

    def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
        self._painter.present(plan, plan_hash, action)
        ring = RingReader.open(self._run.canvas("main"), kind=KIND_CANVAS)
        slot = ring.latest()
        assert slot is not None
        self._seen[plan.frame] = codes_of(ring.shape, slot.data).copy()
        ring.close()


def filmed(stage: Any, seen: Mapping[int, NDArray[Any]], plans: Mapping[int, FramePlan]) -> dict[int, NDArray[Any]]:
    """The photo of every frame."""
    with Device.create() as device:
        film = Film(VirtualCamera(device, stage))
        presented = {frame: {"main": codes} for frame, codes in seen.items()}
        return {frame: photo.light[0] for frame, photo in film.roll(presented, plans.values())}


def later_by_a_frame(plan: FramePlan) -> FramePlan:
    """A plan whose camera exposes a frame later than it should."""
    (camera,) = plan.cameras
    later = msgspec.structs.replace(camera, t_photo_ns=camera.t_photo_ns + Rate(*plan.rate).period_ns)
    return msgspec.structs.replace(plan, cameras=[later])


def states(text: str, file: Path, cache: SceneCache) -> list[str]:
    """Keys of two compiled states of one scene, before and after its file was changed."""
    keys = []
    for colour in (0.8, 0.3):
        file.write_bytes(boxed(colour))
        loaded = load_config_text(text, base_dir=file.parent)
        device = Device.create()
        world = SceneWorld(device, {})
        config = loaded.config.scenes["boxed"]
        state, _ = compile_scene(device, world, config, file.parent, cache, scene_id="boxed", clock=VirtualClock())
        world.release()
        device.release()
        keys.append(state.key)
    assert keys[0] != keys[1]
    return keys


@pytest.mark.timeout(120)
@pytest.mark.parametrize("latency_frames", [0.0, 2.0, 3.5])
def test_the_photo_shows_each_change_on_exactly_its_frame(
    latency_frames: float, shm: Path, tmp_path: Path, housekit: ModuleType
) -> None:
    text = housekit.minimal_text().replace("scale: 8", "scale: 16\n  outer_px: 64\n  max_inner_px: 96")
    head, _, tail = text.partition("scenes:\n")
    scenes = SCENES.replace("boxed.glb", str(tmp_path / "boxed.glb"))
    text = head + scenes + tail[tail.index("render:") :]
    text = text.replace("simulated: true", f"simulated: true\n      latency_frames: {latency_frames}")
    cache = SceneCache(tmp_path / "cache")
    old, new = states(text, tmp_path / "boxed.glb", cache)
    seen: dict[int, NDArray[Any]] = {}
    first = {"scenes": [ActiveScene("plain")], "scene_states": {"boxed": SceneState(1, old)}, "outer_mode": "live"}

    def write(show: Any, changed: Show) -> None:
        made = snapshot_of(changed, show.loaded, encode_stage(show.stage))
        made = msgspec.structs.replace(made, scene_cache=str(cache.folder))
        write_states(show.run, changed)
        show.run.write_snapshot(changed.version, encode_snapshot(made))

    def painter(show: Any) -> Any:
        write(show, show.first)
        return Watched(GLPainter(run=show.run, clock=show.clock), show.run, seen)

    with housekit.VirtualShow(shm, text, painter=painter, first=first, tracker=False) as show:
        rate = show.stage.rate
        show.run_to(20)
        t0_ns = show.plans[20].t_present_ns - rate.deadline_ns(0, 20)
        to_boxed, to_plain = (
            Switch(scene, show.first.stage_from_scene, frame, t0_ns + rate.deadline_ns(0, frame), kind, steps)
            for scene, frame, kind, steps in (("plain", CUT, "cut", 0), ("boxed", DISSOLVE, "dissolve", STEPS))
        )
        back = Switch("plain", show.first.stage_from_scene, BACK, t0_ns + rate.deadline_ns(0, BACK))
        changed = msgspec.structs.replace(
            show.first, version=2, scenes=[ActiveScene("boxed")], switches=[to_boxed, to_plain, back]
        )
        edits = {"exposure_ev": -1.0}
        for version, frame, state in (
            (2, CUT - 10, SceneState(1, old)),
            (3, EDIT, SceneState(3, old, edits)),
            (4, RELOAD, SceneState(4, new, edits)),
        ):
            changed = msgspec.structs.replace(changed, version=version, scene_states={"boxed": state})
            write(show, changed)
            show.prepare(changed)
            show.prepare(changed, to="main")
            show.run_to(frame - 6)
            show.commit(version, frame)
            show.run_to(frame + 2)
        show.run_to(LAST + 10)
        assert [a.frame for a in show.answers() if isinstance(a, Committed)] == [CUT - 10, EDIT, RELOAD]
        assert all(told == (frame, "none") for frame, told in show.outcome().items() if frame > 5)
        plans = show.plans
        photos = filmed(show.stage, seen, plans)
    photos = {frame: photo for frame, photo in photos.items() if CUT - 12 <= frame <= LAST}
    # Where nothing is changed, photos are equal to the last bit.
    dissolve = list(range(DISSOLVE, DISSOLVE + STEPS + 1))
    assert changes(photos, least=0.0) == [CUT, *dissolve, BACK, EDIT, RELOAD]
    # The film can tell: a camera that exposes a frame later sees each of them a frame earlier.
    late = {frame: later_by_a_frame(plan) for frame, plan in plans.items() if CUT - 4 <= frame <= CUT + 4}
    assert changes(filmed(show.stage, seen, late), least=0.0) == [CUT - 1]
    dissolving = [float(photos[DISSOLVE + n].mean()) for n in range(-1, STEPS + 1)]
    assert len({round(level, 5) for level in dissolving}) == STEPS + 2, "every frame of it is another"
