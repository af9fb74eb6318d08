"""The example engine takes over a canvas and an inner picture: exactly, in the right place, and only while it lives."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.beginning import fresh_show, snapshot_of
from controller.config import compile_config, load_config, load_config_text
from controller.engines import KIND_INNER
from controller.node_telling import NodeTelling
from controller.painter import GLPainter
from controller.planner import still_plan
from controller.rundir import RunDir
from controller.show import encode_snapshot
from controller.sources import inner_limits
from renderer.device import Device
from renderer.sinks.ring import codes_of
from renderer.twin.camera import VirtualCamera
from runtime.clock import SystemClock
from runtime.ring import KIND_CANVAS, KIND_PLANS, KIND_REPORTS, RingReader, RingWriter
from stage.compiled import encode_stage
from stage.frames import pose_from_pan_tilt_roll
from stage.plan import REASONS, CanvasReport, FramePlan, PlanEngine, decode_report, encode_plan, plan_hash
from stage.published import stage_document

HOLD_FRAMES = 3


class Show:
    """A painter beside rings that the test fills as the conductor does, and engines in processes of their own."""

    def __init__(self, path: Path, *, scale: int, bits: int = 10) -> None:
        self.run, self.clock = RunDir(path), SystemClock()
        text = load_config("minimal").source.replace("scale: 8", f"scale: {scale}").replace("bits: 8", f"bits: {bits}")
        self.loaded = load_config_text(text)
        self.stage = compile_config(self.loaded)
        self.show = msgspec.structs.replace(fresh_show(self.loaded.config, self.stage), version=1, config_version=1)
        snapshot = snapshot_of(self.show, self.loaded, encode_stage(self.stage))
        self.run.write_snapshot(1, encode_snapshot(snapshot))
        self.run.set_current_version(1)
        self.plans = RingWriter.create(self.run.plans, kind=KIND_PLANS, slots=256, capacity=16384)
        self.painter = GLPainter(run=self.run, clock=self.clock)
        for _ in self.painter.prepare(snapshot):
            pass
        self.engines: list[subprocess.Popen[bytes]] = []
        self.frame = 0

    def engine(self, root: Path, *arguments: str) -> subprocess.Popen[bytes]:
        script = root / "docs/examples/engine/engine.py"
        made = subprocess.Popen([sys.executable, str(script), str(self.run.path), "--camera", "a", *arguments])
        self.engines.append(made)
        return made

    def plan(self, engine: PlanEngine | None, *, pan_deg: float = 0.0, overscan_deg: float = 2.0) -> FramePlan:
        """The next frame's plan, published."""
        self.frame += 1
        pose = pose_from_pan_tilt_roll((0.1, -1.0, 1.4), pan_deg=pan_deg, tilt_deg=3.0)
        limits = inner_limits(self.loaded.config.render)
        plan = still_plan(self.stage, self.show, camera="a", stage_from_camera=pose, limits=limits, frame=self.frame)
        camera = msgspec.structs.replace(plan.cameras[0], overscan_deg=(overscan_deg,) * 4)
        plan = msgspec.structs.replace(plan, cameras=[camera], engines=[] if engine is None else [engine])
        data = encode_plan(plan)
        self.hash = plan_hash(data)
        self.plans.publish(data, frame=plan.frame, t_ns=self.clock.now_ns(), config_version=1, plan_hash=self.hash)
        return plan

    def present(self, plan: FramePlan) -> np.ndarray:
        """What the canvas shows then."""
        self.painter.draw(plan)
        self.painter.present(plan, self.hash, "none")
        return self.newest(self.run.canvas("main"), plan.frame)

    def newest(self, path: Path, frame: int) -> np.ndarray:
        ring = RingReader.open(path, kind=KIND_CANVAS)
        slot = ring.latest()
        assert slot is not None
        assert slot.frame == frame
        codes = codes_of(ring.shape, slot.data).copy()
        ring.close()
        return np.asarray(codes)

    def drawn_by_engine(self, path: Path, frame: int) -> None:
        """Wait until an engine has drawn a frame."""

        def there() -> bool:
            ring = RingReader.try_open(path)
            view = ring.peek() if ring is not None else None
            found = view is not None and view.frame >= frame
            if ring is not None:
                del view
                ring.close()
            return found

        eventually(there)

    def close(self) -> None:
        for engine in self.engines:
            engine.kill()
            engine.wait()
        self.painter.close()
        self.plans.close()


def eventually(check: Callable[[], bool], *, seconds_s: float = 20.0) -> None:
    end_s = time.monotonic() + seconds_s
    while not check():
        assert time.monotonic() < end_s, "it does not come"


@pytest.fixture
def shm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ov", dir="/dev/shm") as name:
        yield Path(name)


def stage_file(show: Show, tmp_path: Path) -> str:
    path = tmp_path / "stage.json"
    path.write_text(json.dumps(stage_document(show.stage)))
    return str(path)


@pytest.mark.parametrize("bits", [8, 10])
def test_an_engine_takes_over_a_canvas_and_is_missed_when_it_dies(
    shm: Path, root: Path, tmp_path: Path, bits: int
) -> None:
    show = Show(shm, scale=8, bits=bits)
    try:
        grid = PlanEngine("grid", canvases=["main"], hold_frames=HOLD_FRAMES)
        ours = show.present(show.plan(None))
        drawn = show.run.engine_canvas("main")
        # Configured, and not started: our own picture, and it is said.
        for _ in range(3):
            assert np.array_equal(show.present(show.plan(grid)), ours)
        (alarm,) = show.painter.alarms
        assert "nothing yet" in alarm.detail
        assert "our own picture" in alarm.detail
        engine = show.engine(root, "--canvas", "main", "--stage", stage_file(show, tmp_path))
        show.plan(grid)
        show.drawn_by_engine(drawn, show.frame)
        theirs = ours
        for n in range(16):  # the ring is looked for every few frames
            plan = show.plan(grid, pan_deg=float(n))
            show.drawn_by_engine(drawn, plan.frame)
            shown = show.present(plan)
            theirs = show.newest(drawn, plan.frame)
        assert np.array_equal(shown, theirs), "to the bit"
        assert not np.array_equal(theirs, ours)
        assert (show.painter.late, show.painter.alarms) == ({}, [])
        good = show.frame
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        for _ in range(HOLD_FRAMES):
            assert np.array_equal(show.present(show.plan(grid)), theirs), "the last good one stays"
            assert show.painter.late == {"main": good}
        (alarm,) = show.painter.alarms
        assert (alarm.code, alarm.path) == ("node.engine_late", "engines/grid/canvases/main")
        assert "its process has ended" in alarm.detail
        assert np.array_equal(show.present(show.plan(grid)), ours), "then our own"
        (alarm,) = show.painter.alarms
        assert alarm.severity == "critical"
        # Another one takes over again; switched off, nothing of it is shown.
        show.engine(root, "--canvas", "main", "--stage", stage_file(show, tmp_path))
        before = show.frame
        show.plan(grid)
        show.drawn_by_engine(drawn, before + 1)
        for _ in range(16):
            plan = show.plan(grid)
            show.drawn_by_engine(drawn, plan.frame)
            shown = show.present(plan)
        assert np.array_equal(shown, show.newest(drawn, plan.frame))
        assert show.painter.alarms == []
        assert np.array_equal(show.present(show.plan(None)), ours)
    finally:
        show.close()


def line_at(photo: np.ndarray, row: int, near: float, *, reach: int = 14) -> float:
    """Where a bright vertical line crosses a row, px: the centre of what is brighter than its surroundings."""
    first = round(near) - reach
    light = photo[row - 1 : row + 2, first : first + 2 * reach, :].sum(axis=(0, 2))
    above = np.clip(light - np.percentile(light, 40) * 1.5, 0.0, None)
    return float((above * (np.arange(len(above)) + first + 0.5)).sum() / above.sum())


@pytest.mark.parametrize("pan_deg", [0.0, -6.0])
def test_the_engines_grid_stands_where_it_belongs_in_the_photo(
    shm: Path, root: Path, pan_deg: float, tmp_path: Path
) -> None:
    """As an independent projection (OpenCV) of the stage points has it, within a pixel."""
    cv2 = pytest.importorskip("cv2")
    show = Show(shm, scale=2)
    width_px = 960
    try:
        grid = PlanEngine("grid", cameras=["a"], wait_ms=4000.0, hold_frames=HOLD_FRAMES)
        show.engine(root)
        show.plan(grid)
        show.drawn_by_engine(show.run.engine_inner("a"), show.frame)
        for _ in range(2):
            plan = show.plan(grid, pan_deg=pan_deg)
            codes = show.present(plan)
        assert show.painter.alarms == []
        with Device.create() as device:
            camera = VirtualCamera(device, show.stage)
            photo = camera.photo({"main": codes}, plan, width_px=width_px, fine=4)[..., :3]
            camera.release()
        height_px = photo.shape[0]
        told = plan.cameras[0]
        rotation = np.array(told.stage_from_camera).reshape(4, 4)[:3, :3]
        # OpenCV: x right, y down, z ahead.
        cv_from_stage = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) @ rotation.T
        focal_px = told.lens.focal_length_mm / told.lens.sensor_width_mm * width_px
        inside = np.array([[focal_px, 0, width_px / 2], [0, focal_px, height_px / 2], [0, 0, 1]])
        moved = -cv_from_stage @ np.array(told.pupil_m)
        apart = []
        for x in (-2.0, -1.0, 0.0, 1.0, 2.0):
            points = np.array([[x, 8.0, z] for z in (1.5, 2.5)])  # between the lines across
            seen = cv2.projectPoints(points, cv2.Rodrigues(cv_from_stage)[0], moved, inside, None)[0].reshape(-1, 2)
            for u, v in seen:
                if 20 < u < width_px - 20 and 20 < v < height_px - 20:
                    apart.append(line_at(photo, round(v - 0.5), u) - u)
        assert len(apart) >= 6
        assert np.abs(apart).max() <= 1.0
        assert np.abs(np.mean(apart)) <= 0.5
    finally:
        show.close()


def test_an_inner_picture_that_is_late_stays_where_it_was_and_then_gives_way(
    shm: Path, root: Path, tmp_path: Path
) -> None:
    show = Show(shm, scale=8)
    try:
        grid = PlanEngine("grid", cameras=["a"], wait_ms=4000.0, hold_frames=HOLD_FRAMES)
        ours = show.present(show.plan(None))
        engine = show.engine(root, "--finer", "0.5")
        show.plan(grid)
        show.drawn_by_engine(show.run.engine_inner("a"), show.frame)
        theirs = show.present(show.plan(grid))
        assert not np.array_equal(theirs, ours)
        ring = RingReader.open(show.run.engine_inner("a"), kind=KIND_INNER)
        assert ring.shape.width < show.plan(None).cameras[0].raster_px[0], "any size will do"
        ring.close()
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        began_s = time.monotonic()
        # Held where it was drawn for: the wall does not move with the camera, it is one picture late.
        assert np.array_equal(show.present(msgspec.structs.replace(show.plan(grid))), theirs)
        assert show.painter.late == {"main": show.frame}
        for _ in range(HOLD_FRAMES):
            last = show.present(show.plan(grid))
        assert np.array_equal(last, ours)
        (alarm,) = show.painter.alarms
        assert alarm.path == "engines/grid/cameras/a"
        for _ in range(10):
            show.present(show.plan(grid))
        assert time.monotonic() - began_s < 30.0, "nobody waits for the dead"
    finally:
        show.close()


def test_the_node_reports_it(shm: Path) -> None:
    """`late_engine`, and the frame that is shown: in the report, the alarms and so in the ledger."""

    class Late:
        canvases = ("left", "right")
        late: Any = {"left": 7}

    run = RunDir.create("t", root=shm)
    telling = NodeTelling(run, "main")
    telling.report(9, Late(), shown=9, reason="none", presented=True, t_presented_ns=1)  # type: ignore[arg-type]
    reports = RingReader.open(run.reports("main"), kind=KIND_REPORTS)
    slot = reports.latest()
    assert slot is not None
    sent = decode_report(slot.data)
    reports.close()
    telling.close()
    assert sent.canvases == {"left": CanvasReport(7, "late_engine"), "right": CanvasReport(9, "none")}
    assert "late_engine" in REASONS
