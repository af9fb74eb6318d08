"""What GLX may know of swaps: when they reached the screen (GLX_OML_sync_control), and swapping together with other
machines (GLX_NV_swap_group). Both are asked for; where a driver has neither, that is told."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_bool, c_char_p, c_int, c_int64, c_uint, c_ulong, c_void_p
from dataclasses import dataclass
from typing import Any, Final, Literal

OML: Final = "GLX_OML_sync_control"
NV: Final = "GLX_NV_swap_group"
NS_PER_US: Final = 1000

GroupState = Literal["absent", "refused", "joined", "barrier", "unwanted"]


def extensions(glfw: Any, display: int) -> frozenset[str]:
    """What GLX can do on a display."""
    query = _function(glfw, "glXQueryExtensionsString", c_char_p, c_void_p, c_int)
    text = query(display, 0) if query is not None else None
    return frozenset((text or b"").decode().split())


def _function(glfw: Any, name: str, result: Any, *arguments: Any) -> Any:
    address = ctypes.cast(glfw.get_proc_address(name), c_void_p).value
    return ctypes.CFUNCTYPE(result, *arguments)(address) if address else None


@dataclass(frozen=True, slots=True)
class SwapGroup:
    """Whether a window swaps together with others.

    state : `absent` the driver cannot; `refused` it can and would not; `joined` with the windows of this machine;
    `barrier` with those of other machines too; `unwanted` it was not asked for.
    """

    state: GroupState
    detail: str = ""

    @classmethod
    def join(cls, glfw: Any, display: int, window: int, *, wanted: bool = True, group: int = 1) -> SwapGroup:
        """Join the group, and its barrier where the hardware has one. Needs the window's context to be current."""
        if not wanted:
            return cls("unwanted")
        if NV not in extensions(glfw, display):
            return cls("absent", f"the driver has no {NV}")
        most = _function(glfw, "glXQueryMaxSwapGroupsNV", c_bool, c_void_p, c_int, c_void_p, c_void_p)
        join = _function(glfw, "glXJoinSwapGroupNV", c_bool, c_void_p, c_ulong, c_uint)
        bind = _function(glfw, "glXBindSwapBarrierNV", c_bool, c_void_p, c_uint, c_uint)
        if most is None or join is None or bind is None:
            return cls("absent", f"the driver names {NV} and does not have it")
        groups, barriers = c_uint(), c_uint()
        if not most(display, 0, byref(groups), byref(barriers)) or groups.value < group:
            return cls("refused", "the graphics card has no swap groups")
        if not join(display, window, group):
            return cls("refused", f"swap group {group} could not be joined")
        if not barriers.value:
            return cls("joined", "no barrier: no sync board, or it is not connected")
        if not bind(display, group, 1):
            return cls("joined", "the barrier could not be bound: is the sync board connected?")
        return cls("barrier")


class SwapTimes:
    """When swaps reached the screen, as the display tells it. Mesa counts microseconds of CLOCK_MONOTONIC."""

    def __init__(self, glfw: Any, display: int, window: int) -> None:
        self._display, self._window = display, window
        self._wait: Any = None
        if OML in extensions(glfw, display):
            pointers = (c_void_p, c_void_p, c_void_p)
            self._wait = _function(glfw, "glXWaitForSbcOML", c_int, c_void_p, c_ulong, c_int64, *pointers)
            self._get = _function(glfw, "glXGetSyncValuesOML", c_int, c_void_p, c_ulong, *pointers)
            if self._wait is None or self._get is None or not self._works():
                self._wait = None

    def _works(self) -> bool:
        ust, msc, sbc = c_int64(), c_int64(), c_int64()
        return bool(self._get(self._display, self._window, byref(ust), byref(msc), byref(sbc))) and ust.value > 0

    @property
    def there(self) -> bool:
        """Whether the display tells."""
        return self._wait is not None

    def wait(self) -> int | None:
        """Wait for the last swap; the instant of its vertical blank (CLOCK_MONOTONIC ns), None where nobody tells."""
        if self._wait is None:
            return None
        ust, msc, sbc = c_int64(), c_int64(), c_int64()
        if not self._wait(self._display, self._window, 0, byref(ust), byref(msc), byref(sbc)):
            return None
        return ust.value * NS_PER_US
