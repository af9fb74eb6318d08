"""A v4l2loopback device that is written to: one ioctl says the form, then every write is a picture.

RGB of 8 bits, full range, as the canvas has it (10-bit codes lose their lowest two bits).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.eight_bits import eight_bits
from controller.errors import ControllerError
from stage.errors import Problem

SET_FORMAT: Final = 0xC0D05605
"""VIDIOC_S_FMT: _IOWR('V', 5, struct v4l2_format), whose 208 bytes are type, padding, and a union of 200."""
_OUTPUT: Final = 2
_RGB24: Final = int.from_bytes(b"RGB3", "little")
_NO_FIELDS: Final = 1
_SRGB: Final = 8
_FULL_RANGE: Final = 1
_FORMAT: Final = struct.Struct("=II12I152x")

Ioctl = Callable[[int, int, bytearray], Any]


class DeviceError(ControllerError):
    """A video device that is not there, or takes no pictures of this size."""

    code = "sender.no_device"


class VideoDevice:
    """One device. Opened without waiting; a picture that it cannot take now is lost."""

    def __init__(self, path: str, width_px: int, height_px: int, *, where: str, ioctl: Ioctl = fcntl.ioctl) -> None:
        """where : address of the configuration, for errors. Raises DeviceError."""
        self.refused = 0
        """Pictures that the device did not take."""
        self._octets = np.empty((height_px, width_px, 3), np.uint8)
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            mend = "load the module: modprobe v4l2loopback video_nr=10, and let this user write to it"
            raise _refused(where, error.strerror or str(error), path, mend) from error
        size = self._octets.nbytes
        wanted = bytearray(
            _FORMAT.pack(
                _OUTPUT, 0, width_px, height_px, _RGB24, _NO_FIELDS, 3 * width_px, size, _SRGB, 0, 0, 0, _FULL_RANGE, 0
            )
        )
        try:
            ioctl(self._fd, SET_FORMAT, wanted)
            found = _FORMAT.unpack(wanted)
        except OSError as error:
            self.close()
            mend = "name a device of v4l2loopback (cat /sys/devices/virtual/video4linux/*/name)"
            if error.errno == errno.EBUSY:
                mend = "end the program that writes to it"
            raise _refused(where, f"it takes no pictures: {error.strerror}", path, mend) from error
        if found[2:5] != (width_px, height_px, _RGB24):
            self.close()
            detail = f"it wants {found[2]} x {found[3]} px, the canvas is {width_px} x {height_px}"
            raise _refused(where, detail, path, "set its format free: close the programs that read it")

    def write(self, picture: NDArray[Any]) -> None:
        """Show a canvas, as `controller.eight_bits` takes it. Never raises for the device."""
        eight_bits(picture, self._octets)
        try:
            written = os.write(self._fd, self._octets.data)
        except OSError:
            written = 0
        self.refused += written != self._octets.nbytes

    def close(self) -> None:
        """Let it go; what reads it keeps the last picture for as long as the device does."""
        os.close(self._fd)


def _refused(where: str, detail: str, path: str, mend: str) -> DeviceError:
    return DeviceError(Problem(DeviceError.code, where, detail, path, mend))
