"""A run without nodes: a version with windows, rings the test draws into, and the presenter's process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.beginning import begin_show, write_first_snapshot
from controller.config import compile_config, load_config_text
from controller.ledger_record import SCREENS
from controller.rundir import RunDir
from controller.store import Store
from controller.windows.status import WindowsStatus, decode_windows
from renderer.renderer import CanvasPicture
from renderer.sinks.ring import canvas_ring
from runtime.ring import RingReader, RingWriter
from stage.plan import FrameReport, decode_report

STAGE = """
openvolume: 1
name: windowed
rate: {rate}
stage:
  eye_m: [0.0, 0.0, 1.7]
  panels:
    small: {{width_mm: 500.0, height_mm: 500.0, width_px: 100, height_px: 100, nits: 1500}}
  walls:
    main: {{type: flat, panel: small, columns: 12, rows: 5, position_m: [0.0, 3.0, 0.0], pan_deg: 0.0}}
  processors:
    led1: {{model: brompton_tessera_sx40, simulated: true}}
    led2: {{model: brompton_tessera_sx40, simulated: true}}
  canvases:
    wide:
      processor: led1
      width_px: 900
      height_px: 400
      encoding: {{transfer: srgb, bits: {bits}}}
      tiles: [{{wall: main, wall_px: [0, 0, 900, 400], at_px: [0, 0]}}]
    rest:
      processor: led2
      width_px: 400
      height_px: 500
      encoding: {{transfer: srgb, bits: {bits}}}
      tiles: [{{wall: main, wall_px: [900, 0, 300, 500], at_px: [0, 0]}}]
render: {{scale: {scale}}}
"""
WINDOWS = """
windows:
  gpu:
    display: "{display}"
    monitors:
      a: {{connector: DUMMY0, mode_px: [640, 480]}}
      b: {{connector: DUMMY1}}
      c: {{connector: DUMMY2}}
outputs:
  wide:
    monitors:
      - {{monitor: a, canvas_px: [0, 0, 600, 400], at_px: [20, 30]}}
      - {{monitor: b, canvas_px: [600, 0, 300, 400]}}
  rest:
    monitors:
      - {{monitor: b, canvas_px: [0, 0, 400, 100], at_px: [0, 420]}}
      - {{monitor: c, canvas_px: [0, 100, 400, 400]}}
"""


class Show:
    """A run that shows what the test draws."""

    def __init__(
        self, root: Path, display: str, *, bits: int = 8, rate: int = 25, scale: int = 1, windows: str = WINDOWS
    ) -> None:
        self.run = RunDir.create(f"windows-test-{time.monotonic_ns()}", root=root)
        self.bits, self.scale = bits, scale
        text = (STAGE + windows).format(rate=rate, bits=bits, scale=scale, display=display)
        loaded = load_config_text(text)
        store = Store(root / f"store-{time.monotonic_ns()}")
        write_first_snapshot(self.run, begin_show(loaded, compile_config(loaded), store, t_tai_ns=0))
        store.close()
        self.rings: dict[str, RingWriter] = {}
        self.frame = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._status: RingReader | None = None

    def start(self, environment: dict[str, str]) -> None:
        """Start the presenter."""
        arguments = [sys.executable, "-P", "-m", "controller.processes.windows", str(self.run.path), "--no-fifo"]
        self.process = subprocess.Popen(arguments, env=environment)

    def draw(self, seed: int, *, only: str = "", frame: int | None = None) -> dict[str, NDArray[Any]]:
        """Put a picture of noise into every canvas; the codes of each."""
        self.frame = self.frame + 1 if frame is None else frame
        found = {}
        for name, (width, height) in {"wide": (900, 400), "rest": (400, 500)}.items():
            if only in ("", name):
                codes = codes_of(seed, name, width // self.scale, height // self.scale, self.bits)
                picture = CanvasPicture(name, "rgba8" if self.bits == 8 else "rgb10a2", codes)
                if name not in self.rings:
                    self.rings[name] = canvas_ring(self.run.canvas(name), picture)
                ring = self.rings[name]
                ring.publish(codes.data.cast("B"), frame=self.frame, t_ns=time.monotonic_ns(), plan_hash=self.frame)
                found[name] = codes
        return found

    def status(self) -> WindowsStatus | None:
        """What the presenter tells."""
        if self._status is None:
            self._status = RingReader.try_open(self.run.windows_status)
        slot = self._status.latest() if self._status is not None else None
        return decode_windows(slot.data) if slot is not None else None

    def alarms(self) -> dict[str, str]:
        """Code of every alarm, and where."""
        status = self.status()
        return {alarm.code: alarm.path for alarm in status.alarms} if status is not None else {}

    def shows(self, frame: int | None = None) -> bool:
        """Whether this presenter (not one before it) has shown the frame drawn last."""
        status = self.status()
        if status is None or self.process is None or status.pid != self.process.pid:
            return False
        wanted = self.frame if frame is None else frame
        return any(window.frame == wanted for window in status.windows.values())

    def reports(self) -> list[FrameReport]:
        """What was told of frames on the screens."""
        reader = RingReader.open(self.run.reports(SCREENS))
        found = [decode_report(slot.data) for slot in reader.read_since(0).slots]
        reader.close()
        return found

    def kill(self) -> None:
        """End the presenter without asking it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def end(self) -> int:
        """Ask it to end; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for ring in self.rings.values():
            ring.close()
        if self._status is not None:
            self._status.close()


def codes_of(seed: int, canvas: str, width: int, height: int, bits: int) -> NDArray[Any]:
    """Noise: no two tiles, shifts or turns of it are alike."""
    noise = np.random.default_rng([seed, len(canvas), width])
    if bits == 8:
        return noise.integers(0, 256, (height, width, 4), dtype=np.uint8)
    return noise.integers(0, 1 << 30, (height, width), dtype=np.uint32) | np.uint32(3 << 30)
