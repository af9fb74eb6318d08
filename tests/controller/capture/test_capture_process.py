"""The shell of the capture processes: asleep until something of their kind is ordered, each with its own captures."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from controller.capture.order import decode_capture, together
from controller.processes.capture import LOOK_NS, CaptureWhenNeeded
from runtime.ring import RingReader


def status(path: Path) -> Any:
    reader = RingReader.open(path)
    slot = reader.latest()
    assert slot is not None
    told = decode_capture(slot.data)
    reader.close()
    return told


def test_each_wakes_for_its_own_kind(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    takes, draws = (CaptureWhenNeeded(run=wall.run, clock=wall.clock, draws=draws) for draws in (False, True))
    for role in (takes, draws):
        role.start()
        now_ns = wall.clock.now_ns()
        assert role.step(now_ns) == now_ns + LOOK_NS
    first = capturekit.FIRST
    wall.order(tmp_path / "c", "png", first_frame=first, last_frame=first)
    takes.step(wall.clock.now_ns())
    assert takes._capture is not None
    draws.step(wall.clock.now_ns())
    assert draws._capture is None, "nothing to draw"
    wall.order(tmp_path / "p", "png", kind="photo", of="a", first_frame=first, last_frame=first, width_px=64)
    draws.step(wall.clock.now_ns())
    assert draws._capture is not None
    wall.show_frame(first)

    def done() -> bool:
        wall.clock.sleep_until(wall.clock.now_ns() + LOOK_NS)
        for role in (takes, draws):
            role.step(wall.clock.now_ns())
        told = together(status(wall.run.capture_status), status(wall.run.drawer_status))
        return told is not None and [(job.order.kind, job.state, job.written) for job in told.jobs] == [
            ("canvas", "done", 1), ("photo", "done", 1),
        ]  # fmt: skip

    wall.capture = takes._capture  # what `until` steps and `close` ends
    wall.until(done)
    draws.stop()
    wall.run.capture_orders.write_text("not json")
    asleep = CaptureWhenNeeded(run=wall.run, clock=wall.clock, draws=True)
    asleep.start()
    assert asleep._capture is None


def test_nobody_tells_anything_while_nothing_runs() -> None:
    assert together(None, None) is None
