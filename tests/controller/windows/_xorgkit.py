"""An X server of our own with the dummy driver: monitors that exist only in memory, and what is seen on them."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_char_p, c_int, c_ubyte, c_uint, c_ulong, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

PACKAGES = "xserver-xorg-core xserver-xorg-video-dummy x11-xserver-utils"
_CONFIG = """
Section "Device"
  Identifier "card"
  Driver "dummy"
  VideoRam 65536
EndSection
Section "Monitor"
  Identifier "monitor"
  HorizSync 1-1000
  VertRefresh 1-1000
EndSection
Section "Screen"
  Identifier "screen"
  Device "card"
  Monitor "monitor"
  DefaultDepth {depth}
  SubSection "Display"
    Depth {depth}
    Virtual 2048 2048
    Modes "640x480"
  EndSubSection
EndSection
Section "ServerFlags"
  Option "AutoAddDevices" "false"
  Option "AutoEnableDevices" "false"
EndSection
"""


@dataclass(frozen=True)
class Mode:
    """A mode of so many pixels, and so many pictures a second to the last digit."""

    width: int
    height: int
    refresh: int

    @property
    def name(self) -> str:
        return f"{self.width}x{self.height}@{self.refresh}"

    @property
    def line(self) -> list[str]:
        # 10 kHz steps of the pixel clock: totals that make the rate exact.
        h_total, v_total = -(-(self.width + 80) // 100) * 100, -(-(self.height + 20) // 100) * 100
        clock_mhz = h_total * v_total * self.refresh / 1e6
        horizontal = [self.width, self.width + 16, self.width + 32, h_total]
        vertical = [self.height, self.height + 3, self.height + 6, v_total]
        return [f"{clock_mhz:.6f}", *map(str, horizontal), *map(str, vertical)]


class _Image(Structure):
    _fields_ = [
        ("width", c_int), ("height", c_int), ("xoffset", c_int), ("format", c_int), ("data", c_void_p),
        ("byte_order", c_int), ("bitmap_unit", c_int), ("bitmap_bit_order", c_int), ("bitmap_pad", c_int),
        ("depth", c_int), ("bytes_per_line", c_int), ("bits_per_pixel", c_int),
    ]  # fmt: skip


class XServer:
    """A running server. `name` is its display."""

    def __init__(self, folder: Path, *, depth: int = 24) -> None:
        config = folder / "xorg.conf"
        config.write_text(_CONFIG.format(depth=depth))
        reader, writer = os.pipe()
        arguments = ["-displayfd", str(writer), "-config", str(config), "-logfile", str(folder / "xorg.log")]
        self.process = subprocess.Popen(
            ["Xorg", *arguments, "-noreset", "-nolisten", "tcp", "-ac"],
            pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writer)
        with os.fdopen(reader) as told:
            number = told.readline().strip()
        if not number:
            self.process.wait(10)
            raise RuntimeError((folder / "xorg.log").read_text()[-2000:])
        self.name = f":{number}"
        self._x = ctypes.CDLL("libX11.so.6")
        self._randr = ctypes.CDLL("libXrandr.so.2")
        x = self._x
        x.XOpenDisplay.restype = c_void_p
        x.XGetImage.restype = POINTER(_Image)
        x.XGetImage.argtypes = [c_void_p, c_ulong, c_int, c_int, c_uint, c_uint, c_ulong, c_int]
        x.XDefaultRootWindow.restype, x.XDefaultRootWindow.argtypes = c_ulong, [c_void_p]
        x.XInternAtom.restype, x.XInternAtom.argtypes = c_ulong, [c_void_p, c_char_p, c_int]
        for name in ("XCloseDisplay", "XDestroyImage"):
            getattr(x, name).argtypes = [c_void_p]
        x.XSync.argtypes = [c_void_p, c_int]
        self._display = x.XOpenDisplay(self.name.encode())
        assert self._display

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DISPLAY": self.name, "LP_NUM_THREADS": "0"}

    def xrandr(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xrandr", *arguments], env=self.environment, capture_output=True, text=True, check=True, timeout=20
        )
        return done.stdout

    def monitor(self, connector: str, mode: Mode, at: tuple[int, int]) -> None:
        """Switch a monitor on; the display is made as large as it needs by itself."""
        subprocess.run(["xrandr", "--newmode", mode.name, *mode.line], env=self.environment, capture_output=True)
        subprocess.run(["xrandr", "--addmode", connector, mode.name], env=self.environment, check=True)
        self.xrandr("--output", connector, "--mode", mode.name, "--pos", f"{at[0]}x{at[1]}")
        # The server learns of monitors when it is asked to look, as it does by itself where cables are plugged.
        self.xrandr("--query")

    def off(self, *connectors: str) -> None:
        self.xrandr(*(word for name in connectors for word in ("--output", name, "--off")))

    def set_edid(self, connector: str, edid: bytes) -> None:
        """Let an output's monitor say this of itself."""
        from controller.windows import xlib

        display, randr = xlib.Display(self.name), xlib.library("xrandr")
        resources = randr.XRRGetScreenResourcesCurrent(display.handle, display.root)
        table = resources.contents
        change = self._randr.XRRChangeOutputProperty
        change.restype, change.argtypes = None, [c_void_p, c_ulong, c_ulong, c_ulong, c_int, c_int, c_char_p, c_int]
        atom = self._x.XInternAtom(display.handle, b"EDID", 0)
        for i in range(table.output_count):
            info = randr.XRRGetOutputInfo(display.handle, resources, table.outputs[i])
            if info.contents.name.decode() == connector:
                change(display.handle, table.outputs[i], atom, 19, 8, 0, edid, len(edid))
            randr.XRRFreeOutputInfo(info)
        self._x.XSync(display.handle, 0)
        randr.XRRFreeScreenResources(resources)
        display.close()

    def pixels(self, rect: tuple[int, int, int, int]) -> NDArray[np.uint32]:
        """What is seen there: uint32 [h, w], 0x00RRGGBB, or 10 bits each in a display of depth 30."""
        x, y, w, h = rect
        image = self._x.XGetImage(
            self._display, self._x.XDefaultRootWindow(self._display), x, y, w, h, ~0 & (2**64 - 1), 2
        )
        assert image
        told = image.contents
        assert told.bits_per_pixel == 32
        rows = np.ctypeslib.as_array(ctypes.cast(told.data, POINTER(c_ubyte)), (h, told.bytes_per_line))
        found: NDArray[np.uint32] = rows[:, : w * 4].copy().view("<u4").astype(np.uint32)
        self._x.XDestroyImage(ctypes.cast(image, c_void_p))
        return found & np.uint32(0xFFFFFF if told.depth == 24 else 0x3FFFFFFF)

    def close(self) -> None:
        self._x.XCloseDisplay(self._display)
        self.process.terminate()
        self.process.wait(10)


def need_xorg() -> None:
    """Skip, with the reason, where such a server cannot run."""
    if platform.system() != "Linux":
        pytest.skip("Xorg's dummy driver is tested on Linux")
    driver = any(Path(p).exists() for p in ("/usr/lib/xorg/modules/drivers/dummy_drv.so",
                                            "/usr/lib64/xorg/modules/drivers/dummy_drv.so"))  # fmt: skip
    if not shutil.which("Xorg") or not shutil.which("xrandr") or not driver:
        pytest.skip(f"no Xorg with the dummy driver here: apt-get install {PACKAGES}")


def wait_for(condition: Any, *, seconds: float = 40.0, what: str = "") -> None:
    """Wait until another process has done something."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what or "it did not come"
        _nap()


def _nap() -> None:
    import select

    select.select([], [], [], 0.02)


def words_of(codes: NDArray[Any]) -> NDArray[np.uint32]:
    """What a depth 24 display shows of uint8 [h, w, 4] canvas codes."""
    c = codes.astype(np.uint32)
    return c[..., 0] << 16 | c[..., 1] << 8 | c[..., 2]


__all__: Sequence[str] = ("Mode", "XServer", "need_xorg", "wait_for", "words_of")
