"""Swap groups and swap times against a driver made up for it: called as GLX wants it, and every refusal told."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_bool, c_int, c_int64, c_uint, c_ulong, c_void_p
from typing import Any

import pytest

from controller.windows.glx import NV, OML, SwapGroup, SwapTimes, extensions

DISPLAY, WINDOW = 0x1234, 0x56


class Driver:
    """GLX as a library would give it: functions by name."""

    def __init__(self, *names: str, groups: int = 1, barriers: int = 1, joins: bool = True, binds: bool = True) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.ust_us = 5_000_000
        self._keep: list[Any] = []
        self._found: dict[str, Any] = {}
        pointers = (POINTER(c_int64), POINTER(c_int64), POINTER(c_int64))

        def limits(display: int, screen: int, most: Any, barrier: Any) -> bool:
            most[0], barrier[0] = groups, barriers
            return True

        def sync(display: int, window: int, ust: Any, msc: Any, sbc: Any) -> int:
            ust[0], msc[0], sbc[0] = self.ust_us, 7, 3
            return 1

        def wait(display: int, window: int, target: int, ust: Any, msc: Any, sbc: Any) -> int:
            self.calls.append(("wait", display, window, target))
            return sync(display, window, ust, msc, sbc)

        # A callback cannot return a text of Python's; an address of one it can.
        text = ctypes.create_string_buffer(" ".join(names).encode())
        self._keep.append(text)
        self._add("glXQueryExtensionsString", lambda *_: ctypes.addressof(text), c_void_p, c_void_p, c_int)
        if NV in names:
            self._add("glXQueryMaxSwapGroupsNV", limits, c_bool, c_void_p, c_int, POINTER(c_uint), POINTER(c_uint))
            self._add("glXJoinSwapGroupNV", self._told("join", joins), c_bool, c_void_p, c_ulong, c_uint)
            self._add("glXBindSwapBarrierNV", self._told("bind", binds), c_bool, c_void_p, c_uint, c_uint)
        if OML in names:
            self._add("glXGetSyncValuesOML", sync, c_int, c_void_p, c_ulong, *pointers)
            self._add("glXWaitForSbcOML", wait, c_int, c_void_p, c_ulong, c_int64, *pointers)

    def _told(self, name: str, answer: bool) -> Any:
        def call(*arguments: Any) -> bool:
            self.calls.append((name, *arguments))
            return answer

        return call

    def _add(self, name: str, call: Any, result: Any, *arguments: Any) -> None:
        self._keep.append(ctypes.CFUNCTYPE(result, *arguments)(call))
        self._found[name] = ctypes.cast(self._keep[-1], c_void_p)

    def get_proc_address(self, name: str) -> Any:
        return self._found.get(name, c_void_p())


def test_what_the_driver_can_is_read() -> None:
    assert extensions(Driver("GLX_EXT_a", NV), DISPLAY) == {"GLX_EXT_a", NV}


def test_the_group_and_its_barrier_are_joined() -> None:
    driver = Driver(NV, "GLX_other")
    assert SwapGroup.join(driver, DISPLAY, WINDOW).state == "barrier"
    assert driver.calls == [("join", DISPLAY, WINDOW, 1), ("bind", DISPLAY, 1, 1)]


@pytest.mark.parametrize(
    ("driver", "state", "said"),
    [
        (Driver(), "absent", "GLX_NV_swap_group"),
        (Driver("GLX_NV_swap_group_not"), "absent", "GLX_NV_swap_group"),
        (Driver(NV, groups=0), "refused", "no swap groups"),
        (Driver(NV, joins=False), "refused", "could not be joined"),
        (Driver(NV, barriers=0), "joined", "no sync board"),
        (Driver(NV, binds=False), "joined", "could not be bound"),
    ],
)
def test_what_is_missing_is_told(driver: Driver, state: str, said: str) -> None:
    found = SwapGroup.join(driver, DISPLAY, WINDOW)
    assert found.state == state
    assert said in found.detail


def test_a_group_that_is_not_wanted_is_left_alone() -> None:
    driver = Driver(NV)
    assert SwapGroup.join(driver, DISPLAY, WINDOW, wanted=False).state == "unwanted"
    assert driver.calls == []


def test_a_driver_that_names_it_and_has_it_not() -> None:
    driver = Driver(NV)
    del driver._found["glXBindSwapBarrierNV"]
    assert SwapGroup.join(driver, DISPLAY, WINDOW).state == "absent"


def test_times_come_from_the_display() -> None:
    driver = Driver(OML)
    times = SwapTimes(driver, DISPLAY, WINDOW)
    assert times.there
    assert times.wait() == 5_000_000_000
    # Zero: the last swap, whichever that is.
    assert driver.calls == [("wait", DISPLAY, WINDOW, 0)]


@pytest.mark.parametrize("names", [(), (OML,)])
def test_a_display_that_tells_nothing_is_not_asked(names: tuple[str, ...]) -> None:
    driver = Driver(*names)
    driver.ust_us = 0
    times = SwapTimes(driver, DISPLAY, WINDOW)
    assert not times.there
    assert times.wait() is None
