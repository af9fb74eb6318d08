"""Rings that a test fills as conductor and node do, and a capture role that follows them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from controller.beginning import fresh_show, snapshot_of
from controller.capture.account import Sidecar
from controller.capture.order import CaptureOrder, begin_capture
from controller.capture.role import Capture
from controller.config import compile_config
from controller.planner import still_plan
from controller.rundir import RunDir
from controller.show import encode_snapshot
from renderer.sinks.png import code_values  # noqa: F401 - tests read codes with it
from runtime.clock import VirtualClock
from runtime.ring import KIND_CANVAS, KIND_PLANS, KIND_REPORTS, RingWriter, fourcc
from stage.compiled import encode_stage
from stage.plan import CanvasReport, FramePlan, FrameReport, Reason, encode_plan, encode_report, plan_hash
from stage.timecode import timecode_at

FIRST = 86_400 * 24
"""01.01.1970 and a day: 00:00:00:00 again."""


class Wall:
    """One canvas, `main`, whose frames a test shows; and the capture role."""

    def __init__(self, path: Path, kit: ModuleType, *, bits: int = 10, more: tuple[tuple[str, str], ...] = ()) -> None:
        self.run, self.clock = RunDir(path), VirtualClock()
        text = kit.minimal_text()
        for old, new in (("bits: 8", f"bits: {bits}"), *more):
            assert old in text
            text = text.replace(old, new)
        self.loaded = kit.loaded_of(text)
        self.stage = compile_config(self.loaded)
        self.show = msgspec.structs.replace(fresh_show(self.loaded.config, self.stage), version=1, config_version=1)
        self.run.write_snapshot(1, encode_snapshot(snapshot_of(self.show, self.loaded, encode_stage(self.stage))))
        self.run.set_current_version(1)
        canvas = self.stage.canvases["main"]
        self.bits, self.size = bits, (canvas.width_px // self.stage.scale, canvas.height_px // self.stage.scale)
        width, height = self.size
        octets = 8 if bits == 12 else 4
        self.plans = RingWriter.create(self.run.plans, kind=KIND_PLANS, slots=64, capacity=8192)
        self.reports = RingWriter.create(self.run.reports("main"), kind=KIND_REPORTS, slots=64, capacity=4032)
        RingWriter.create(self.run.node_status("main"), kind=fourcc("STAT"), slots=4, capacity=64).close()
        self.ring = RingWriter.create(
            self.run.canvas("main"), kind=KIND_CANVAS, slots=8, capacity=width * height * octets, width=width,
            height=height, row_stride=width * octets,
            pixel_format=fourcc({8: "AB24", 10: "AB30", 12: "AB4C"}[bits]),
        )  # fmt: skip
        self.shown: dict[int, np.ndarray] = {}
        self.capture: Capture | None = None

    def plan(self, frame: int, **changes: Any) -> FramePlan:
        plan = still_plan(self.stage, self.show, camera="a", frame=frame)
        return msgspec.structs.replace(plan, timecode=timecode_at(self.stage.rate, frame), **changes)

    def show_frame(self, frame: int, pixels: np.ndarray | None = None, **changes: Any) -> np.ndarray:
        """The plan, the picture and the report of a frame."""
        data = encode_plan(self.plan(frame, **changes))
        self.plans.publish(data, frame=frame, t_ns=frame, config_version=1, plan_hash=plan_hash(data))
        if pixels is None:
            pixels = noise(self.size, self.bits, frame)
        self.shown[frame] = pixels
        self.ring.publish(pixels.data.cast("B"), frame=frame, t_ns=frame, config_version=1, plan_hash=plan_hash(data))
        self._report(frame, frame, "none")
        return pixels

    def repeat_frame(self, frame: int, reason: Reason = "late_draw") -> None:
        """A slot whose picture was not ready."""
        data = encode_plan(self.plan(frame))
        self.plans.publish(data, frame=frame, t_ns=frame, config_version=1, plan_hash=plan_hash(data))
        self._report(frame, frame - 1, reason)

    def _report(self, frame: int, presented: int, reason: Reason) -> None:
        report = FrameReport(frame, "main", 0, {"main": CanvasReport(presented, reason)}, 0, 0, 0)
        self.reports.publish(encode_report(report), frame=frame, t_ns=frame)

    def order(self, path: Path, form: str, **fields: Any) -> CaptureOrder:
        fields = {"kind": "canvas", "of": "main", **fields}
        return begin_capture(self.run, CaptureOrder(number=0, format=form, path=str(path), **fields))

    def begin(self, **fields: Any) -> Capture:
        """Start the role."""
        self.capture = Capture(run=self.run, clock=self.clock, **fields)
        self.capture.start()
        self.step()
        jobs = self.capture._jobs
        self.until(lambda: all(job.ready for job in jobs.values() if not job.ended))
        return self.capture

    def step(self) -> None:
        """One turn of the role, orders looked for."""
        assert self.capture is not None
        self.clock.sleep_until(self.clock.now_ns() + 300_000_000)
        self.capture.step(self.clock.now_ns())

    def until(self, done: Callable[[], object], *, seconds_s: float = 20.0) -> None:
        """Step until something holds: threads write."""
        end_s = time.monotonic() + seconds_s
        while not done():
            assert time.monotonic() < end_s, "it does not come"
            self.step()
            time.sleep(0.001)

    def settle(self) -> None:
        """Until every capture is done."""
        assert self.capture is not None
        jobs = self.capture._jobs
        self.until(lambda: all(job.ended for job in jobs.values()))

    def told(self, order: CaptureOrder) -> Sidecar:
        return msgspec.json.decode(order.sidecar.read_bytes(), type=Sidecar)

    def codes(self, frame: int) -> np.ndarray:
        """What was shown, [h, w, 3] uint16."""
        pixels = self.shown[frame]
        if pixels.ndim == 3:
            return pixels[..., :3].astype(np.uint16)
        return np.stack([(pixels >> shift) & 1023 for shift in (0, 10, 20)], axis=-1).astype(np.uint16)

    def close(self) -> None:
        if self.capture is not None:
            self.capture.stop()
        for ring in (self.plans, self.reports, self.ring):
            ring.close()


def noise(size: tuple[int, int], bits: int, seed: int) -> np.ndarray:
    """Every code of every channel may come."""
    width, height = size
    random = np.random.default_rng(seed)
    if bits == 10:
        return random.integers(0, 1 << 30, (height, width), dtype=np.uint32) | np.uint32(3 << 30)
    if bits == 12:
        wide = random.integers(0, 4096, (height, width, 4), dtype=np.uint16)
        wide[..., 3] = 65535
        return wide
    pixels = random.integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    return pixels
