"""One canvas on its way into a video device, or another program's library: every new picture of its ring, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from numpy.typing import NDArray

from controller.errors import ControllerError
from controller.ledger_feed import open_ring
from controller.v4l2.device import VideoDevice
from renderer.sinks.ring import codes_of
from runtime.clock import NS_PER_MS, NS_PER_S
from runtime.ring import KIND_CANVAS, RingReader, RingShape

POLL_NS: Final = 2 * NS_PER_MS
LOOK_NS: Final = 2 * NS_PER_S
"""A device that is not there is looked for so often."""


class Device(Protocol):
    """Takes pictures."""

    def write(self, picture: NDArray[Any]) -> None:
        """Show a canvas, as `controller.eight_bits` takes it."""

    def close(self) -> None:
        """Let it go."""


def _video_device(path: str, width_px: int, height_px: int, where: str) -> Device:
    return VideoDevice(path, width_px, height_px, where=where)


class DeviceOutput:
    """Follows a canvas' ring. detail : why nothing is written; empty: all is well.

    device : path or name of the device; where : address of the configuration, for errors; open_device : makes it, from
    its name, width and height in px, and `where`; raises ControllerError where it is not there.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        device: str,
        *,
        where: str = "",
        open_device: Callable[[str, int, int, str], Device] = _video_device,
    ) -> None:
        self.name, self.device = name, device
        self.where = where or f"outputs/{name}/v4l2/device"
        self.detail = self.mend = self.code = ""
        self.frames = 0
        self._path, self._open_device = path, open_device
        self._reader: RingReader | None = None
        self._shape: RingShape | None = None
        self._device: Device | None = None
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
        try:
            self._device = self._open_device(self.device, self._shape.width, self._shape.height, self.where)
        except ControllerError as error:
            problem = error.problems[0]
            self.code, self.detail, self.mend = problem.code, f"{self.device}: {problem.detail}", problem.mend
        else:
            self.code = self.detail = self.mend = ""
