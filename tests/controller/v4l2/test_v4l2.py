"""Video devices: the form as the kernel lays it out, pictures byte for byte, and what a missing device says."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.v4l2.device import SET_FORMAT, DeviceError, VideoDevice
from controller.v4l2.output import LOOK_NS, DeviceOutput
from runtime.ring import KIND_CANVAS, RingWriter, fourcc


class Kernel:
    """Takes the form, or refuses; `format` is what it was told."""

    def __init__(self, fault: int = 0, width_px: int = 0) -> None:
        self.fault, self.width_px = fault, width_px
        self.format = b""

    def ioctl(self, fd: int, request: int, data: bytearray) -> int:
        assert request == SET_FORMAT
        assert len(data) == 208
        self.format = bytes(data)
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        if self.width_px:
            data[8:12] = self.width_px.to_bytes(4, "little")
        return 0


def test_the_form_is_the_kernels() -> None:
    # _IOWR('V', 5, 208 bytes): direction 3, size, type, number.
    assert 3 << 30 | 208 << 16 | ord("V") << 8 | 5 == SET_FORMAT


def test_pictures_are_written_as_they_are(tmp_path: Path) -> None:
    target, kernel = tmp_path / "device", Kernel()
    target.touch()
    device = VideoDevice(str(target), 6, 2, where="outputs/main", ioctl=kernel.ioctl)
    assert struct.unpack_from("=II4I2I", kernel.format) == (2, 0, 6, 2, int.from_bytes(b"RGB3", "little"), 1, 18, 36)
    rng = np.random.default_rng(1)
    eight = rng.integers(0, 256, (2, 6, 4), dtype=np.uint8)
    device.write(eight)
    ten = rng.integers(0, 1 << 30, (2, 6), dtype=np.uint32)
    device.write(ten)
    device.close()
    assert device.refused == 0
    data = np.frombuffer(target.read_bytes(), np.uint8).reshape(2, 2, 6, 3)
    assert (data[0] == eight[..., :3]).all()
    assert (data[1] == np.stack([ten >> s & 1023 for s in (0, 10, 20)], -1) >> 2).all()


@pytest.mark.parametrize(
    ("kernel", "told"),
    [
        (Kernel(errno.ENOTTY), "takes no pictures"),
        (Kernel(errno.EBUSY), "takes no pictures"),
        (Kernel(width_px=640), "640 x 2 px"),
    ],
)
def test_a_device_that_refuses_says_why(tmp_path: Path, kernel: Kernel, told: str) -> None:
    target = tmp_path / "device"
    target.touch()
    with pytest.raises(DeviceError, match=told) as caught:
        VideoDevice(str(target), 6, 2, where="outputs/main", ioctl=kernel.ioctl)
    assert caught.value.problems[0].mend


def test_what_is_no_video_device_is_refused_by_the_kernel_itself(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.touch()
    with pytest.raises(DeviceError, match="takes no pictures"):
        VideoDevice(str(target), 6, 2, where="outputs/main")


def test_a_device_is_waited_for_and_fed(tmp_path: Path) -> None:
    opened: list[tuple[Any, ...]] = []

    def open_device(path: str, width_px: int, height_px: int, where: str) -> VideoDevice:
        opened.append((path, width_px, height_px, where))
        return VideoDevice(path, width_px, height_px, where=where, ioctl=Kernel().ioctl)

    target = tmp_path / "device"
    ring = RingWriter.create(
        tmp_path / "canvas.ring", kind=KIND_CANVAS, capacity=96, width=6, height=4, row_stride=24,
        pixel_format=fourcc("AB24"),
    )  # fmt: skip
    output = DeviceOutput("main", tmp_path / "canvas.ring", str(target), open_device=open_device)
    assert output.step(0) == LOOK_NS
    assert "No such file" in output.detail
    assert "modprobe" in output.mend
    target.touch()
    picture = np.random.default_rng(2).integers(0, 256, (4, 6, 4), dtype=np.uint8)
    ring.publish(picture.tobytes(), frame=1, t_ns=1)
    output.step(LOOK_NS)
    output.step(LOOK_NS + 1)
    assert (output.detail, output.frames) == ("", 1)
    assert target.read_bytes() == picture[..., :3].tobytes()
    assert opened[-1] == (str(target), 6, 4, "outputs/main/v4l2/device")
    output.close()
    ring.close()
