"""One canvas on its way into a video device: every new picture of its ring, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from controller.ledger_feed import open_ring
from controller.v4l2.device import DeviceError, VideoDevice
from renderer.sinks.ring import codes_of
from runtime.clock import NS_PER_MS, NS_PER_S
from runtime.ring import KIND_CANVAS, RingReader, RingShape

POLL_NS: Final = 2 * NS_PER_MS
LOOK_NS: Final = 2 * NS_PER_S
"""A device that is not there is looked for so often."""


class DeviceOutput:
    """Follows a canvas' ring. detail : why nothing is written; empty: all is well."""

    def __init__(
        self,
        name: str,
        path: Path,
        device: str,
        *,
        open_device: Callable[[str, int, int, str], VideoDevice] = lambda path, width_px, height_px, where: VideoDevice(
            path, width_px, height_px, where=where
        ),
    ) -> None:
        self.name, self.device = name, device
        self.detail = self.mend = ""
        self.frames = 0
        self._path, self._open_device = path, open_device
        self._reader: RingReader | None = None
        self._shape: RingShape | None = None
        self._device: VideoDevice | None = None
        self._n = 0
        self._look_due_ns = 0

    def step(self, now_ns: int) -> int:
        """Write what is new; when to be called again."""
        if now_ns >= self._look_due_ns:
            self._look_due_ns = now_ns + LOOK_NS
            self._look()
        if self._reader is None or self._device is None:
            return self._look_due_ns
        view = self._reader.peek()
        if view is not None and view.n != self._n:
            self._n = view.n
            # What was overwritten meanwhile is eight pictures old: the next one comes at once.
            self._device.write(codes_of(self._reader.shape, view.data))
            self.frames += 1
        return now_ns + POLL_NS

    def close(self) -> None:
        """Let ring and device go."""
        if self._reader is not None:
            self._reader.close()
        if self._device is not None:
            self._device.close()
        self._reader = self._device = None

    def _look(self) -> None:
        if self._reader is None:
            self._reader = open_ring(self._path, KIND_CANVAS)
        elif self._reader.refresh():
            self._n = 0
        if self._reader is None or (self._device is not None and self._shape == self._reader.shape):
            return
        if self._device is not None:
            self._device.close()
            self._device = None
        self._shape = self._reader.shape
        where = f"outputs/{self.name}/v4l2/device"
        try:
            self._device = self._open_device(self.device, self._shape.width, self._shape.height, where)
        except DeviceError as error:
            problem = error.problems[0]
            self.detail, self.mend = f"{self.device}: {problem.detail}", problem.mend
        else:
            self.detail = self.mend = ""
