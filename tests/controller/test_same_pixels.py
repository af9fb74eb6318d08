"""Same plan, same pixels: a node that was there all the time, one that joined late, and a second run draw the same
canvases, with animation, live edits, a reloaded scene, a dissolve and a wipe."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from configs.assets.glb import Glb
from configs.assets.shapes import box
from controller.beginning import fresh_show, snapshot_of
from controller.config import LoadedConfig, compile_config, load_config_text
from controller.library.cache import SceneCache
from controller.library.compiler import compile_scene
from controller.painter import GLPainter
from controller.planner import Planner
from controller.redraw import redraw
from controller.replay import Replayed
from controller.rundir import RunDir
from controller.scene_book import write_states
from controller.show import ActiveScene, SceneState, Show, Snapshot, Transport
from controller.sources import inner_limits
from controller.switching import Switch
from controller.tracking_recorder import TrackingRecorder, start_recording
from renderer.device import Device
from renderer.scene_world import SceneWorld
from renderer.sinks.ring import codes_of
from runtime.clock import VirtualClock
from runtime.ring import KIND_CANVAS, KIND_PLANS, RingReader, RingWriter
from stage.compiled import encode_stage
from stage.plan import FramePlan, encode_plan, plan_hash
from tracking.capture import read_capture

SCENES = """scenes:
  turning:
    gltf: turning.glb
    ambient: [0.4, 0.4, 0.4]
    sun: {elevation_deg: 40.0, pan_deg: 30.0}
  plain:
    background: [0.3, 0.1, 0.05]

"""


def turning(colour: float) -> bytes:
    """A box that turns once a second."""
    glb = Glb()
    paint = glb.material("paint", baseColorFactor=[colour, 0.4, 0.2, 1.0], roughnessFactor=0.9, metallicFactor=0.0)
    node = glb.node("one", glb.mesh("one", box((2.0, 1.0, 1.5), (0.0, 0.0, 0.0)), paint), (0.0, 6.0, 1.0))
    times = np.linspace(0.0, 1.0, 5)
    angle = times * np.pi
    zero = np.zeros_like(angle)
    glb.turning(node, times, np.stack([zero, np.sin(angle), zero, np.cos(angle)], axis=-1))
    return glb.to_bytes()


class Scenario:
    """A run directory in which a show has changed several times, and the plans of all of it."""

    def __init__(self, shm: Path, tmp_path: Path, kit: ModuleType) -> None:
        self.run = RunDir(shm)
        (tmp_path / "turning.glb").write_bytes(turning(0.8))
        text = kit.minimal_text().replace("scale: 8", "scale: 16\n  outer_px: 64\n  max_inner_px: 128")
        head, _, tail = text.partition("scenes:\n")
        text = head + SCENES + tail[tail.index("render:") :]
        self.loaded: LoadedConfig = load_config_text(text, base_dir=tmp_path)
        self.stage = compile_config(self.loaded)
        self.cache = SceneCache(tmp_path / "cache")
        old = self.compiled()
        (tmp_path / "turning.glb").write_bytes(turning(0.1))
        new = self.compiled()
        assert old != new
        show = msgspec.structs.replace(
            fresh_show(self.loaded.config, self.stage), version=1, config_version=1, outer_mode="live"
        )
        rate = self.stage.rate
        self.plans: list[FramePlan] = []
        begin = [show]
        lift = {"objects/turning/nodes/one/z_m": 0.5, "sun/elevation_deg": 70.0}
        half = Transport(0.5, True, 0, 0, 1.0, 0)
        begin.append(self.state(begin[-1], 2, SceneState(2, old)))
        begin.append(self.state(begin[-1], 3, SceneState(3, old, lift)))
        begin.append(self.state(begin[-1], 4, SceneState(4, new, lift, half)))
        place = begin[-1].stage_from_scene
        for version, kind in ((5, "dissolve"), (6, "wipe")):
            switch = Switch("turning", place, 50, rate.deadline_ns(0, 50), kind, 10)  # type: ignore[arg-type]
            begin.append(
                msgspec.structs.replace(begin[-1], version=version, scenes=[ActiveScene("plain")], switches=[switch])
            )
        planner = Planner(self.stage, inner_limits(self.loaded.config.render))
        for changed, frame in zip(begin, (10, 20, 30, 40, 54, 56), strict=True):
            write_states(self.run, changed)
            self.write(changed)
            self.plans.append(planner.plan(changed, {}, frame=frame, t_present_ns=rate.deadline_ns(0, frame)))
        self.last = begin[-1]

    def compiled(self) -> str:
        device = Device.create()
        world = SceneWorld(device, {})
        config = self.loaded.config.scenes["turning"]
        state, cached = compile_scene(
            device, world, config, self.loaded.base_dir, self.cache, scene_id="turning", clock=VirtualClock()
        )
        assert not cached
        world.release()
        device.release()
        return state.key

    def state(self, show: Show, version: int, state: SceneState) -> Show:
        return msgspec.structs.replace(show, version=version, scene_states={"turning": state})

    def write(self, show: Show) -> None:
        data = msgspec.msgpack.encode(self.snapshot(show))
        self.run.write_snapshot(show.version, data)

    def snapshot(self, show: Show) -> Snapshot:
        made = snapshot_of(show, self.loaded, encode_stage(self.stage))
        return msgspec.structs.replace(made, scene_cache=str(self.cache.folder))

    def draw(self, show: Show, plans: Sequence[FramePlan]) -> list[NDArray[np.uint8]]:
        """What a node that starts with a version draws of plans."""
        painter = GLPainter(run=self.run, clock=VirtualClock())
        try:
            for _ in painter.prepare(self.snapshot(show)):
                pass
            out = []
            for plan in plans:
                painter.draw(plan)
                painter.present(plan, 1, "none")
                ring = RingReader.open(self.run.canvas("main"), kind=KIND_CANVAS)
                slot = ring.latest()
                assert slot is not None
                assert slot.frame == plan.frame
                out.append(codes_of(ring.shape, slot.data).copy())
                ring.close()
            return out
        finally:
            painter.close()


@pytest.mark.timeout(90)
def test_every_node_draws_the_same(shm: Path, tmp_path: Path, housekit: ModuleType) -> None:
    scenario = Scenario(shm, tmp_path, housekit)
    first = msgspec.structs.replace(scenario.last, version=1, scenes=[ActiveScene("turning")], switches=[])
    first = msgspec.structs.replace(first, scene_states={})
    always = scenario.draw(first, scenario.plans)
    for one, other in pairwise(always):
        assert not np.array_equal(one, other), "every plan shows something else"
    again = scenario.draw(first, scenario.plans)
    for number, (one, other) in enumerate(zip(always, again, strict=True)):
        assert np.array_equal(one, other), f"a second run, plan {number}"
    for number in range(len(scenario.plans)):
        (late,) = scenario.draw(scenario.last, scenario.plans[number : number + 1])
        assert np.array_equal(late, always[number]), f"a node that joined at plan {number}"


@pytest.mark.timeout(90)
def test_a_recording_is_drawn_again_to_the_code(shm: Path, tmp_path: Path, housekit: ModuleType) -> None:
    """What the recorder kept gives the canvases that were shown: edits, a reloaded scene, dissolve and wipe."""
    scenario = Scenario(shm, tmp_path, housekit)
    (tmp_path / "turning.glb").unlink()
    shown = redraw_of(scenario, tmp_path / "take.mcap")
    first = msgspec.structs.replace(scenario.last, version=1, scenes=[ActiveScene("turning")], switches=[])
    glb = tmp_path / "turning.glb"
    glb.write_bytes(turning(0.1))
    codes = scenario.draw(msgspec.structs.replace(first, scene_states={}), scenario.plans[1:])
    assert list(shown.canvases) == [plan.frame for plan in scenario.plans[1:]]
    assert shown.frames == len(codes) == 5
    assert len({hashes["main"] for hashes in shown.canvases.values()}) == 5
    ring = RingReader.open(scenario.run.canvas("main"), kind=KIND_CANVAS)
    for plan, picture in zip(scenario.plans[1:], codes, strict=True):
        hashed = blake2b(picture.tobytes(), digest_size=8).hexdigest()
        assert shown.canvases[plan.frame]["main"] == hashed, f"plan {plan.frame}"
    ring.close()


def redraw_of(scenario: Scenario, path: Path) -> Replayed:
    """The scenario's plans as the recorder would have kept them, drawn again with nothing else than that."""
    ring = RingWriter.create(scenario.run.plans, kind=KIND_PLANS, slots=16, capacity=1 << 16)
    clock = VirtualClock()
    recorder = TrackingRecorder(scenario.run, clock, reserve_bytes=0)
    scenario.run.set_current_version(1)
    start_recording(scenario.run, path)
    recorder.step(clock.now_ns())
    for plan in scenario.plans[1:]:
        # The first one reads files, which are gone by now; all others are compiled.
        data = encode_plan(plan)
        ring.publish(data, frame=plan.frame, t_ns=clock.now_ns(), plan_hash=plan_hash(data))
        clock.advance_to(clock.now_ns() + 10**9)
        recorder.step(clock.now_ns())
    recorder.stop()
    ring.close()
    found, said = redraw(read_capture(path))
    assert said == []
    assert found.plans == {plan.frame: plan_hash(encode_plan(plan)) for plan in scenario.plans[1:]}
    return found
