"""The real painter: what lands in the canvas rings, and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.beginning import fresh_show, snapshot_of
from controller.config import LoadedConfig, compile_config
from controller.drawing import PainterLost
from controller.library.cache import SceneCache
from controller.library.compiler import compile_scene
from controller.library.rehearsals import Rehearsals
from controller.messages import RehearseEdits
from controller.painter import KEEP_VERSIONS, GLPainter
from controller.planner import still_plan
from controller.resident import Residents
from controller.rundir import RunDir
from controller.scene_book import write_states
from controller.show import SceneState, Show, Snapshot
from controller.sources import inner_limits
from renderer.actions import ActionPictures
from renderer.device import Device, DeviceLostError
from renderer.passes.outer import OuterPass
from renderer.passes.scene import ScenePass
from renderer.renderer import Renderer
from renderer.scene_world import SceneWorld
from renderer.sinks.ring import codes_of
from runtime.clock import VirtualClock
from runtime.ring import KIND_CANVAS, RingReader, fourcc_text
from stage.compiled import CompiledStage, encode_stage
from stage.errors import Problem
from stage.plan import FramePlan, PlanOuter, PlanPattern

SMALL = ("scale: 8", "scale: 16\n  outer_px: 64\n  max_inner_px: 128")


class Desk:
    """A painter, its run directory, and versions of the show to give it."""

    def __init__(self, path: Path, kit: ModuleType) -> None:
        self.run, self.clock, self.kit = RunDir(path), VirtualClock(), kit
        self.painter = GLPainter(run=self.run, clock=self.clock)
        self.n = 0

    def version(self, number: int, *changes: tuple[str, str]) -> Snapshot:
        text = self.kit.minimal_text()
        for old, new in (SMALL, *changes):
            assert old in text
            text = text.replace(old, new)
        self.loaded: LoadedConfig = self.kit.loaded_of(text)
        self.stage: CompiledStage = compile_config(self.loaded)
        show = fresh_show(self.loaded.config, self.stage)
        self.show: Show = msgspec.structs.replace(
            show, version=number, config_version=number, patterns=[PlanPattern("inner_grid")]
        )
        return snapshot_of(self.show, self.loaded, encode_stage(self.stage))

    def prepare(self, snapshot: Snapshot) -> int:
        return sum(1 for _ in self.painter.prepare(snapshot))

    def plan(self, frame: int, **changes: Any) -> FramePlan:
        plan = still_plan(
            self.stage, self.show, camera="a", limits=inner_limits(self.loaded.config.render), frame=frame
        )
        return msgspec.structs.replace(plan, **changes)

    def ring(self) -> RingReader:
        return RingReader.open(self.run.canvas("main"), kind=KIND_CANVAS)

    def newest(self) -> tuple[int, int, np.ndarray]:
        """Frame, hash and codes of the newest picture."""
        ring = self.ring()
        slot = ring.latest()
        assert slot is not None
        out = slot.frame, slot.plan_hash, codes_of(ring.shape, slot.data).copy()
        ring.close()
        return out


@pytest.fixture
def desk(shm: Path, housekit: ModuleType) -> Iterator[Desk]:
    made = Desk(shm, housekit)
    yield made
    made.painter.close()


def test_a_wall_begins_with_the_safe_picture_and_gets_what_is_drawn(desk: Desk) -> None:
    assert desk.prepare(desk.version(1)) > 5, "in slices"
    assert desk.painter.canvases == ("main",)
    safe = ActionPictures(desk.stage, desk.loaded.config.render).codes("safe", "main")
    frame, _, codes = desk.newest()
    assert (frame, np.array_equal(codes, safe)) == (0, True)
    ring = desk.ring()
    assert (ring.shape.width, ring.shape.height, ring.shape.row_stride) == (88, 55, 352)
    assert fourcc_text(ring.shape.pixel_format) == "AB24"
    ring.close()
    plan = desk.plan(7)
    desk.painter.draw(plan)
    assert desk.newest()[0] == 0, "drawn, not shown yet"
    desk.painter.present(plan, 99, "none")
    frame, hash_, codes = desk.newest()
    assert (frame, hash_) == (7, 99)
    renderer = Renderer(desk.painter._device)
    renderer.load_stage(desk.stage, version=1, render=desk.loaded.config.render)
    world = desk.painter._world_of(desk.painter._versions[1], plan)
    assert np.array_equal(codes, renderer.draw(plan, world=world)["main"].array)
    renderer.release()


def test_on_air_nothing_is_read_from_files_that_is_not_shown(
    desk: Desk, shm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another configuration's scenes come compiled; those that nothing shows wait until they are."""
    desk.prepare(desk.version(1))
    plan = desk.plan(7)
    desk.painter.draw(plan)
    desk.painter.present(plan, 1, "none")
    snapshot = desk.version(2, ("[0.18, 0.18, 0.18]", "[0.4, 0.18, 0.18]"))
    config = desk.loaded.config.scenes["grey"]
    cache = SceneCache(shm / "cache")
    device = Device.create()
    world = SceneWorld(device, {})
    state, _ = compile_scene(device, world, config, shm, cache, scene_id="grey", clock=desk.clock)
    world.release()
    device.release()
    show = msgspec.structs.replace(snapshot.show, scene_states={"grey": SceneState(2, state.key)})
    write_states(desk.run, show)
    monkeypatch.setattr(Residents, "load_config", lambda *_, **__: pytest.fail("read in one go on air"))
    assert desk.prepare(msgspec.structs.replace(snapshot, show=show, scene_cache=str(cache.folder))) > 5
    desk.show = show
    now = msgspec.structs.replace(desk.plan(8), show_version=2, config_version=2)
    now = msgspec.structs.replace(now, scenes=[msgspec.structs.replace(now.scenes[0], version=2)])
    before = desk.newest()[2]
    desk.painter.draw(now)
    desk.painter.present(now, 2, "none")
    assert not np.array_equal(desk.newest()[2], before)


def test_edits_are_rehearsed_between_pictures(desk: Desk) -> None:
    """In the darkroom first, then on the node: nothing is compiled, or seen, when the edit holds."""
    sky = ("background: [0.18, 0.18, 0.18]", "sky: {elevation_deg: 20.0}\n    exposure_ev: -6.0")
    snapshot = desk.version(1, sky)
    desk.prepare(snapshot)
    plan = desk.plan(7)
    desk.painter.draw(plan)
    desk.painter.present(plan, 1, "none")
    before = desk.newest()[2]
    edits = {"sky/sun": False, "sky/haze": 3.0, "objects/gone/x_m": 1.0}
    letter = RehearseEdits("grey", "", edits, 1, "service.sock")
    world = SceneWorld(desk.painter._device, {})
    rehearsals = Rehearsals(desk.painter._device, world)
    rehearsals.make(snapshot, letter)
    rehearsals.make(snapshot, letter)
    rehearsals.release()
    world.release()
    assert sum(1 for _ in desk.painter.rehearse_edits(letter)) >= 2
    programs = len(desk.painter._world.scene_pass._programs)
    desk.painter.draw(msgspec.structs.replace(plan, frame=8))
    desk.painter.present(msgspec.structs.replace(plan, frame=8), 1, "none")
    assert np.array_equal(desk.newest()[2], before)
    show = msgspec.structs.replace(desk.show, scene_states={"grey": SceneState(2, edits=edits)})
    write_states(desk.run, show)
    now = msgspec.structs.replace(plan, frame=9, scenes=[msgspec.structs.replace(plan.scenes[0], version=2)])
    desk.painter.draw(now)
    desk.painter.present(now, 1, "none")
    assert not np.array_equal(desk.newest()[2], before)
    assert len(desk.painter._world.scene_pass._programs) == programs
    # A scene that is not here, or none of this show, needs nothing.
    for other in (RehearseEdits("grey", "0f" * 16, edits, 2, "s"), RehearseEdits("hall", "", edits, 3, "s")):
        assert list(desk.painter.rehearse_edits(other)) == []


def test_a_scene_that_was_not_shown_yet_needs_no_program_when_it_is_switched_to(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is read from its files and not compiled off air."""
    grey = "    background: [0.18, 0.18, 0.18]\n"
    desk.prepare(desk.version(1, (grey, grey + "  other:\n    gltf: assets/demo.glb\n")))
    shown = desk.plan(100)
    desk.painter.draw(shown)
    made: list[str] = []
    program = ScenePass._program
    known = set(desk.painter._world.scene_pass._programs)

    def watched(self: ScenePass, vertex: str, fragment: str, defines: Any) -> Any:
        if (vertex, fragment, defines) not in known:
            made.append(fragment)
        return program(self, vertex, fragment, defines)

    monkeypatch.setattr(ScenePass, "_program", watched)
    assert len(known) >= 3
    other = msgspec.structs.replace(shown.scenes[0], id="other")
    assert shown.scenes[0].id != "other"
    desk.painter.draw(desk.plan(101, scenes=[other], outer=PlanOuter("live", 101, desk.show.eye_m)))
    assert made == []


def test_orders_are_shown_without_drawing(desk: Desk) -> None:
    desk.prepare(desk.version(1))
    pictures = ActionPictures(desk.stage, desk.loaded.config.render)
    for frame, action in enumerate(("black", "work", "safe"), 3):
        desk.painter.present(desk.plan(frame), 1, action)
        shown, _, codes = desk.newest()
        assert shown == frame
        assert np.array_equal(codes, pictures.codes(action, "main"))  # type: ignore[arg-type]
    # Of a version that nobody prepared: the last one's picture.
    desk.painter.present(desk.plan(9, config_version=77), 1, "black")
    assert desk.newest()[0] == 9


def test_a_faster_way_to_the_wall_is_held_back_and_an_order_is_not(desk: Desk) -> None:
    desk.prepare(desk.version(1))
    pictures: list[np.ndarray] = []
    for frame in range(6):
        plan = desk.plan(frame, output_delays={"main": 2}, patterns=[PlanPattern(f"uniform_{10 * frame + 5}")])
        desk.painter.draw(plan)
        pictures.append(desk.painter._drawn["main"].array.copy())
        desk.painter.present(plan, frame, "none")
        shown, _, codes = desk.newest()
        assert shown == frame
        assert np.array_equal(codes, pictures[max(0, frame - 2)])
    black = desk.plan(6, output_delays={"main": 2})
    desk.painter.draw(black)
    desk.painter.present(black, 6, "black")
    assert desk.newest()[2][..., :3].max() == 0
    plan = desk.plan(7, output_delays={"main": 2}, patterns=[PlanPattern("uniform_90")])
    desk.painter.draw(plan)
    own = desk.painter._drawn["main"].array.copy()
    desk.painter.present(plan, 7, "none")
    assert np.array_equal(desk.newest()[2], own), "nothing from before the order comes out again"


def test_a_version_of_another_size_replaces_the_ring_and_numbers_go_on(desk: Desk) -> None:
    desk.prepare(desk.version(1))
    plan = desk.plan(1)
    desk.painter.draw(plan)
    desk.painter.present(plan, 1, "none")
    reader = desk.ring()
    n = reader.latest_n
    desk.prepare(desk.version(2, ("scale: 16", "scale: 8"), ("bits: 8", "bits: 10")))
    assert not reader.refresh(), "prepared, not on air"
    plan = desk.plan(2)
    desk.painter.draw(plan)
    desk.painter.present(plan, 2, "none")
    assert reader.refresh()
    assert (reader.shape.width, fourcc_text(reader.shape.pixel_format)) == (176, "AB30")
    slot = reader.latest()
    assert slot is not None
    assert (slot.n, slot.frame, slot.config_version) == (n + 1, 2, 2)
    assert codes_of(reader.shape, slot.data).dtype == np.uint32
    reader.close()


def test_the_version_on_air_is_never_dropped(desk: Desk) -> None:
    desk.prepare(desk.version(1))
    air = desk.plan(1)
    desk.painter.draw(air)
    for number in range(2, 8):
        desk.prepare(desk.version(number))
    assert desk.painter.holds(1)
    assert [number for number in range(2, 8) if desk.painter.holds(number)] == list(range(8 - KEEP_VERSIONS, 8))
    desk.painter.forget(1)
    assert desk.painter.holds(1)
    desk.painter.forget(7)
    assert not desk.painter.holds(7)
    desk.painter.draw(air)
    desk.painter.present(air, 1, "none")


def test_a_scene_that_cannot_be_read_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.prepare(desk.version(1))
    bad = desk.version(2)
    broken = tmp_path / "broken.glb"
    broken.write_bytes(b"glTF" + bytes(40))
    text = bad.config_text.replace("background: [0.18, 0.18, 0.18]", f"gltf: {broken}")
    with pytest.raises(Exception, match=r"broken\.glb"):
        desk.prepare(msgspec.structs.replace(bad, config_text=text))
    assert not desk.painter.holds(2)
    desk.version(1)
    desk.painter.draw(desk.plan(3))


def test_an_outer_drawn_every_few_frames_is_drawn_a_face_at_a_time_and_looks_the_same(
    shm: Path, housekit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pieces drawn ahead or all at once: the same codes in every frame, and never two faces in one."""
    faces: list[int] = []
    draw_face = OuterPass._draw_face

    def counted(self: OuterPass, *arguments: Any) -> None:
        faces[-1] += 1
        draw_face(self, *arguments)

    monkeypatch.setattr(OuterPass, "_draw_face", counted)
    codes: list[list[np.ndarray]] = []
    for ahead in (True, False):
        folder = shm / str(ahead)
        folder.mkdir()
        desk = Desk(folder, housekit)
        faces.append(0)
        # So near the wall that it needs five faces; and a sky that looks different everywhere.
        near = ("eye_m: [0.0, 0.0, 1.7]", "eye_m: [0.0, 2.6, 1.2]")
        desk.prepare(desk.version(1, near, ("background: [0.18, 0.18, 0.18]", "dome: {file: assets/demo_sky.hdr}")))
        faces.clear()
        codes.append([])
        for frame in range(20):
            faces.append(0)
            plan = desk.plan(frame, outer=PlanOuter("every", frame // 4 * 4, desk.stage.eye_m), patterns=[])
            desk.painter.draw(plan)
            desk.painter.present(plan, frame, "none")
            codes[-1].append(desk.newest()[2])
            if ahead:
                desk.painter.ahead(100)
        assert sum(faces[8:]) == 15, "five faces, three times"
        assert max(faces[8:]) == (2 if ahead else 5)
        desk.painter.close()
    assert all(np.array_equal(a, b) for a, b in zip(*codes, strict=True))


def test_a_lost_device_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.prepare(desk.version(1))

    def lost(*_: Any, **__: Any) -> Any:
        raise DeviceLostError(Problem("renderer.device_lost", "device", "gone"))

    monkeypatch.setattr(Renderer, "submit", lost)
    with pytest.raises(PainterLost, match="gone"):
        desk.painter.draw(desk.plan(1))


def test_a_successor_keeps_the_last_good_picture(shm: Path, housekit: ModuleType) -> None:
    first = Desk(shm, housekit)
    first.prepare(first.version(1))
    plan = first.plan(5)
    first.painter.draw(plan)
    first.painter.present(plan, 55, "none")
    before = first.newest()
    first.painter.draw(first.plan(6))
    first.painter.close()
    second = Desk(shm, housekit)
    second.prepare(second.version(1))
    after = second.newest()
    assert after[:2] == before[:2] == (5, 55)
    assert np.array_equal(after[2], before[2])
    second.painter.close()


def test_a_version_that_draws_the_same_is_there_at_once_and_goes_on_drawing(desk: Desk) -> None:
    first = desk.version(1)
    whole = desk.prepare(first)
    desk.painter.draw(desk.plan(1, outer=PlanOuter("every", 1, (0.0, 0.0, 1.7))))
    outer = desk.painter._renderer._rigs[1].outer
    drawn = outer.generation
    second = desk.version(2, ("      listen: 127.0.0.1:0", "      listen: 127.0.0.1:1"))
    assert desk.prepare(second) < 3 < whole
    assert desk.painter.holds(2)
    desk.painter.draw(desk.plan(2, config_version=2, outer=PlanOuter("every", 1, (0.0, 0.0, 1.7))))
    assert outer.generation == drawn, "the outer picture stays"
    desk.painter.forget(1)
    desk.painter.present(desk.plan(3, config_version=2), 5, "none")
    desk.painter.draw(desk.plan(3, config_version=2))
    # Another size is another version in everything.
    assert desk.prepare(desk.version(3, ("scale: 16", "scale: 8"))) > 5
