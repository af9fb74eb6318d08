"""Canvases that one camera sees together are of one frame: where an engine is late with one, they repeat with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from configs import find
from controller.beginning import fresh_show, snapshot_of
from controller.config import compile_config, load_config_text
from controller.engines import LOOK_FRAMES
from controller.node_telling import NodeTelling
from controller.painter import GLPainter
from controller.planner import still_plan
from controller.rundir import RunDir
from controller.show import encode_snapshot
from controller.sources import inner_limits
from controller.swap_group import canvases_by_wall, with_inner_of
from runtime.clock import VirtualClock
from runtime.ring import KIND_CANVAS, KIND_REPORTS, RingReader, RingWriter, fourcc
from stage.compiled import encode_stage
from stage.frames import pose_from_pan_tilt_roll
from stage.plan import FramePlan, PlanEngine, PlanOutput, decode_report

HOLD_FRAMES = 3
CANVAS = """
    {name}:
      processor: {processor}
      width_px: 704
      height_px: 880
      encoding: {{ transfer: srgb, bits: 8 }}
      tiles:
        - wall: main
          wall_px: [{x}, 0, 704, 880]
          at_px: [0, 0]
"""


@pytest.fixture
def shm() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ov", dir="/dev/shm") as name:
        yield Path(name)


class TwoCanvases:
    """A painter of two canvases that one camera sees, and an engine's ring for the left one."""

    def __init__(self, folder: Path) -> None:
        self.run, self.clock = RunDir(folder), VirtualClock()
        text = Path(str(find("minimal"))).read_text()
        begin, end = text.index("  canvases:\n"), text.index("\ncameras:\n")
        led2 = "    led2:\n      model: brompton_tessera_sx40\n"
        parts = [CANVAS.format(name=n, processor=p, x=x) for n, p, x in (("left", "led1", 0), ("right", "led2", 704))]
        text = text[:begin].rstrip() + "\n" + led2 + "\n  canvases:" + "".join(parts).rstrip() + "\n" + text[end:]
        self.loaded = load_config_text(text)
        self.stage = compile_config(self.loaded)
        self.show = msgspec.structs.replace(fresh_show(self.loaded.config, self.stage), version=1, config_version=1)
        snapshot = snapshot_of(self.show, self.loaded, encode_stage(self.stage))
        self.run.write_snapshot(1, encode_snapshot(snapshot))
        self.run.set_current_version(1)
        self.painter = GLPainter(run=self.run, clock=self.clock)
        for _ in self.painter.prepare(snapshot):
            pass
        self.telling = NodeTelling(self.run, "main")
        self.ring = RingWriter.create(
            self.run.engine_canvas("left"), kind=KIND_CANVAS, slots=8, capacity=88 * 110 * 4, width=88, height=110,
            row_stride=88 * 4, pixel_format=fourcc("AB24"),
        )  # fmt: skip
        self.frame = 0

    def slot(self, *, engine: bool, outputs: dict[str, PlanOutput] | None = None, on_air: bool = True) -> FramePlan:
        """One frame; `engine`: whether it has drawn its picture in time."""
        self.frame += 1
        pose = pose_from_pan_tilt_roll((0.0, -1.0, 1.4), pan_deg=0.0, tilt_deg=0.0)
        limits = inner_limits(self.loaded.config.render)
        plan = still_plan(self.stage, self.show, camera="a", stage_from_camera=pose, limits=limits, frame=self.frame)
        grid = PlanEngine("grid", canvases=["left"], hold_frames=HOLD_FRAMES)
        camera = msgspec.structs.replace(plan.cameras[0], on_air=on_air)
        plan = msgspec.structs.replace(plan, engines=[grid], outputs=outputs or {}, cameras=[camera])
        if engine:
            picture = np.full((110, 88, 4), self.frame % 256, dtype=np.uint8)
            self.ring.publish(picture.data.cast("B"), frame=self.frame, t_ns=self.frame)
        self.painter.draw(plan)
        self.painter.present(plan, 0, "none")
        shown = min(self.painter.late.values(), default=self.frame)
        self.telling.report(
            self.frame, self.painter, shown=self.frame, reason="none", presented=True, t_presented_ns=self.frame
        )
        assert shown <= self.frame
        return plan

    def newest(self, canvas: str) -> int:
        """The frame of a canvas' newest picture in its ring."""
        reader = RingReader.open(self.run.canvas(canvas), kind=KIND_CANVAS)
        slot = reader.latest()
        reader.close()
        assert slot is not None
        return slot.frame

    def told(self) -> dict[str, tuple[int, str]]:
        """What the newest report says of each canvas."""
        reader = RingReader.open(self.run.reports("main"), kind=KIND_REPORTS)
        slot = reader.latest()
        reader.close()
        assert slot is not None
        return {n: (c.presented_frame, c.reason) for n, c in decode_report(slot.data).canvases.items()}

    def close(self) -> None:
        self.painter.close()
        self.telling.close()
        self.ring.close()


def test_what_one_camera_sees_repeats_together(shm: Path) -> None:
    house = TwoCanvases(shm)
    try:
        for _ in range(LOOK_FRAMES + 2):  # its ring is looked for every few frames
            house.slot(engine=True)
        assert house.painter.late == {}
        good = house.frame
        assert (house.newest("left"), house.newest("right")) == (good, good)
        # Late: the other canvas shows the same older frame, and both are told as repeated.
        for _ in range(HOLD_FRAMES):
            house.slot(engine=False)
            assert house.painter.late == {"left": good, "right": good}
            assert house.newest("right") == good
            assert house.told() == {"left": (good, "late_engine"), "right": (good, "late_engine")}
        # Held no longer: our own picture, on both, of this frame.
        house.slot(engine=False)
        assert house.painter.late == {}
        assert house.newest("right") == house.frame
        # It is back; late once, and black in place of the right one: that waits for nobody.
        house.slot(engine=True)
        assert house.painter.late == {}
        good = house.frame
        house.slot(engine=False, outputs={"right": PlanOutput("black", house.frame)})
        assert house.painter.late == {"left": good}
        assert house.newest("right") == house.frame
        # A camera that is not on air binds nothing together.
        house.slot(engine=True)
        house.slot(engine=False, on_air=False)
        assert set(house.painter.late) == {"left"}
        house.slot(engine=True)
        assert house.painter.late == {}
    finally:
        house.close()


def test_groups_grow_over_cameras_and_walls(shm: Path) -> None:
    house = TwoCanvases(shm)
    try:
        by_wall = canvases_by_wall(house.stage)
        assert by_wall == {"main": frozenset({"left", "right"})}
        plan = house.slot(engine=True)
        camera = plan.cameras[0]
        three = {"x": frozenset({"a", "b"}), "y": frozenset({"b", "c"}), "z": frozenset({"d"})}
        cameras = [
            msgspec.structs.replace(camera, id=str(n), walls=[wall], on_air=True) for n, wall in enumerate(three)
        ]
        plan = msgspec.structs.replace(plan, cameras=cameras)
        assert with_inner_of(plan, three, {"a"}) == {"a", "b", "c"}
        assert with_inner_of(plan, three, {"d"}) == {"d"}
        assert with_inner_of(plan, three, ()) == set()
    finally:
        house.close()
