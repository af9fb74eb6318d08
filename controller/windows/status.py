"""What the process of the windows knows of them, published about ten times a second in `windows.ring`."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from controller.status import Alarm, Percentiles, RoleState
from runtime.ring import fourcc

KIND_BLANKS: Final = fourcc("VBLK")
"""Rings of vertical blanks (`Blank`)."""

Pace = Literal["none", "blank", "follows"]
"""none: swaps wait for nothing (no vertical blank here); blank: for its own vertical blank; follows: swapped at once,
right after the one window that waits."""


class MonitorStatus(Struct, frozen=True):
    """One configured monitor."""

    connector: str
    """Where it was found; empty: it is not there."""
    edid: str
    """Maker, model and serial number, as it says itself."""
    position_px: tuple[int, int]
    mode_px: tuple[int, int]
    refresh_hz: float
    multiple: int
    """Its pictures to a frame of the show; 0: no whole number."""


class WindowStatus(Struct, frozen=True):
    """One window."""

    display: str
    renderer: str
    """GL renderer string; empty while there is no window."""
    box_px: tuple[int, int, int, int] | None
    """Left, top, width, height on the display; None: none of its monitors is there."""
    bits: int
    """Of each colour, as the window has it; 0 while there is none."""
    wanted_bits: int
    canvases: list[str]
    monitors: dict[str, MonitorStatus]
    pace: Pace = "none"
    stamped_by: str = "return"
    swap_group: str = "absent"
    frame: int = -1
    """The newest frame it shows."""
    shown: int = 0
    """Frames shown."""
    passed_over: int = 0
    """Frames that came and were replaced before they could be shown."""
    mixed: int = 0
    """Times its canvases showed different frames, because one of them brought none."""
    delay_ms: Percentiles = Percentiles()
    """From a frame's slot to its being on the screen."""


class WindowsStatus(Struct, frozen=True):
    """All of them."""

    t_ns: int
    pid: int
    state: RoleState
    config_version: int
    windows: dict[str, WindowStatus] = {}
    alarms: list[Alarm] = []


class Blank(Struct, frozen=True):
    """A vertical blank of the display that paces, as far as it was met."""

    t_ns: int
    period_ns: int
    """Between two, by the mode's figures."""


_DECODER: Final = msgspec.msgpack.Decoder(WindowsStatus)


def decode_windows(data: bytes | memoryview) -> WindowsStatus:
    """The status. Raises msgspec.ValidationError when the bytes are not one."""
    return _DECODER.decode(data)


def encode_windows(status: WindowsStatus | Blank) -> bytes:
    """As bytes."""
    encoder: Any = msgspec.msgpack.encode
    return bytes(encoder(status))
