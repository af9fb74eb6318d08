"""What the API tells of windows: canvases on the monitors that feed LED processors."""

from __future__ import annotations

from controller.api.views import View
from controller.status import Percentiles
from controller.windows.status import MonitorStatus, Pace


class WindowView(View, frozen=True):
    """One window over monitors of a graphics card."""

    id: str
    rev: int
    open: bool
    """Whether it is there; false: its display is not, see the alarms."""
    display: str
    renderer: str
    box_px: tuple[int, int, int, int] | None
    """Left, top, width, height on the display; null: none of its monitors is there."""
    bits: int
    """Of each colour, as the window has it."""
    wanted_bits: int
    canvases: list[str]
    monitors: dict[str, MonitorStatus]
    pace: Pace
    """none: swaps wait for no vertical blank; blank: for this window's; follows: for that of the window before."""
    stamped_by: str
    """Where the times of presentation come from: the `display`, or the `return` of a swap."""
    swap_group: str
    """absent, unwanted, refused, joined or barrier (NV_swap_group)."""
    frame: int
    """The newest frame it shows; -1 before the first."""
    shown: int
    passed_over: int
    """Frames that came and were replaced before they could be shown."""
    mixed: int
    """Times its canvases showed different frames, because one of them brought none."""
    delay_ms: Percentiles
    """From a frame's slot to its being on the screen, of the newest frames."""
