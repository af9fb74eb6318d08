"""Two node processes share a wall: both show every slot, and together what one node draws of the same plan."""

from __future__ import annotations

import re
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from controller.config import load_config
from controller.painter import GLPainter
from controller.rundir import RunDir
from controller.show import decode_snapshot
from controller.status import KIND_STATUS, decode_node
from renderer.sinks.ring import codes_of
from runtime.clock import VirtualClock
from runtime.ring import KIND_CANVAS, KIND_REPORTS, RingReader
from stage.plan import decode_report

CANVASES = """  canvases:
    left:
      processor: led1
      width_px: 528
      height_px: 880
      encoding: {transfer: srgb, bits: 8}
      tiles: [{wall: main, wall_px: [0, 0, 528, 880], at_px: [0, 0]}]
    right:
      processor: led2
      width_px: 880
      height_px: 880
      encoding: {transfer: srgb, bits: 8}
      tiles: [{wall: main, wall_px: [528, 0, 880, 880], at_px: [0, 0]}]

nodes:
  port: {canvases: [left]}
  starboard: {canvases: [right]}

"""


def shared(folder: Path) -> Path:
    """The shipped minimal stage, its wall on two canvases of two nodes, its scene the demo's sky."""
    text = load_config("minimal").source
    for pattern, new in (
        (r"^  canvases:\n[\s\S]*?(?=^cameras:)", CANVASES),
        (r"^tracking:[\s\S]*?(?=^scenes:)", ""),
        (r"^    background: .*$", f"    dome: {{file: {load_config('minimal').base_dir / 'assets/demo_sky.hdr'}}}"),
        (r"^    led1:\n", "    led2: {model: brompton_tessera_sx40, simulated: true}\n    led1:\n"),
    ):
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        assert count == 1, pattern
    path = folder / "shared.yaml"
    path.write_text(text + "\ncontrol:\n  http: {port: 0}\n  osc: null\n")
    return path


def test_two_processes_share_a_wall(start: Callable[..., Any], tmp_path: Path) -> None:
    run = start(str(shared(tmp_path)), "--port", "0")
    names = ("node-port", "node-starboard", "conductor")
    run.until(lambda: all(run.child(name)["state"] == "running" for name in names), "they run")

    def presented(node: str) -> int:
        reader = RingReader.try_open(run.dir.node_status(node), kind=KIND_STATUS)
        slot = None if reader is None else reader.latest()
        if reader is not None:
            reader.close()
        return 0 if slot is None else decode_node(slot.data).presented

    run.until(lambda: min(presented("port"), presented("starboard")) > 10, "pictures")
    rings = {name: run.follow(run.dir.canvas(name), KIND_CANVAS) for name in ("left", "right")}
    reports = {node: run.follow(run.dir.reports(node), KIND_REPORTS) for node in ("port", "starboard")}
    run.plans()
    run.until(lambda: min(len(ring.slots) for ring in rings.values()) > 24, "a second of pictures")
    plans = {plan.frame: plan for plan in run.plans()}
    told = {node: {r.frame: r for r in (decode_report(s.data) for s in ring.slots)} for node, ring in reports.items()}
    assert [set(next(iter(of.values())).canvases) for of in told.values()] == [{"left"}, {"right"}]
    shown = {name: {slot.frame: slot for slot in ring.slots} for name, ring in rings.items()}
    frame = max(frame for frame in shown["left"].keys() & shown["right"].keys() & plans.keys())
    assert told["port"][frame].plan_hash == told["starboard"][frame].plan_hash == shown["left"][frame].plan_hash
    shapes = {}
    for name in shown:
        ring = RingReader.open(run.dir.canvas(name), kind=KIND_CANVAS)
        shapes[name] = ring.shape
        ring.close()
    snapshot = decode_snapshot(run.dir.snapshot(plans[frame].show_version).read_bytes())
    # One painter of the test's own draws all of the wall by the same plan.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        alone = RunDir(Path(folder))
        painter = GLPainter(run=alone, clock=VirtualClock())
        for _ in painter.prepare(snapshot):
            pass
        painter.draw(plans[frame])
        painter.present(plans[frame], 1, "none")
        for name in shown:
            ring = RingReader.open(alone.canvas(name), kind=KIND_CANVAS)
            slot = ring.latest()
            assert slot is not None
            one = codes_of(ring.shape, slot.data)
            ring.close()
            assert len(np.unique(one)) > 20
            assert np.array_equal(codes_of(shapes[name], shown[name][frame].data), one), name
        painter.close()
    assert run.end(signal.SIGTERM) == 0
