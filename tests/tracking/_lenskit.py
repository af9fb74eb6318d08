"""A Cooke /i lens at the other end of a pseudo-terminal: answers commands, and sends records when it is told to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from tracking.protocols.cooke import END, CookeRecord
from tracking.sample import LensReading
from tracking.wire_encoders import cooke_record

FIXED = b"NS5/100-009OCooke Optics Electronic Lenses!LZN025M250UBt92  B5.03"


def until(check: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait until the kernel has carried bytes from one end of a line to the other."""
    deadline_s = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        os.sched_yield()


def record(
    focus_m: float = 2.5, zoom_mm: float | None = 50.0, pupil_m: float = -0.04, stop: float = 2.8
) -> CookeRecord:
    """A record of these values."""
    lens = LensReading(
        focal_length_mm=zoom_mm,
        focus_distance_m=focus_m,
        entrance_pupil_m=pupil_m,
        t_stop=stop,
        zoom_raw=None if zoom_mm is None else 32768.0,
    )
    return cooke_record(lens)


class Lens:
    """The far end of a line whose near end is the file `device` (a link, so that it can be plugged in again)."""

    def __init__(self, device: Path, *, knows: bytes = b"HNYK", fixed: bytes = FIXED) -> None:
        self._device, self._knows, self._fixed = device, knows, fixed
        self.heard: list[bytes] = []
        self.sends = False
        self._rest = b""
        self.plug_in()

    def plug_in(self) -> None:
        """A line appears under the device's name; the lens has just been switched on."""
        self.far, self._near = os.openpty()
        os.set_blocking(self.far, False)
        self._device.unlink(missing_ok=True)
        self._device.symlink_to(os.ttyname(self._near))
        self.sends = False

    def pull_out(self) -> None:
        """The device is gone."""
        self._device.unlink(missing_ok=True)
        for fd in (self.far, self._near):
            os.close(fd)

    def step(self) -> int:
        """Answer what has come; how many commands."""
        try:
            self._rest += os.read(self.far, 4096)
        except (BlockingIOError, OSError):
            return 0
        *commands, self._rest = self._rest.split(b"\r")
        for command in commands:
            self.heard.append(command)
            if command[:1] not in self._knows:
                self.say(b"?")
            elif command == b"N":
                self.say(self._fixed)
            elif command == b"Kc":
                self.sends = True
            else:
                self.sends = False if command == b"H" else self.sends
                self.say(b"!")
        return len(commands)

    def say(self, answer: bytes) -> None:
        """An answer, with its line end."""
        os.write(self.far, answer + END)

    def send(self, *records: CookeRecord) -> None:
        """Records one after the other."""
        os.write(self.far, b"".join(bytes(one) for one in records))
