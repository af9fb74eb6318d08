"""Windows on an X server: every tile's pixels on every monitor, through loss and return, death and restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

A, B, C = (0, 0), (640, 0), (100, 520)


def seen(server: Any, codes: dict[str, NDArray[Any]], kit: ModuleType, words: Any = None) -> bool:
    """Whether every tile's pixels are where they must be, and everything between is black."""
    words = words or kit.words_of
    wide, rest = words(codes["wide"]), words(codes["rest"])
    wanted = np.zeros((920, 1040), np.uint32)
    wanted[30:430, 20:620] = wide[:400, :600]
    wanted[0:400, 640:940] = wide[:400, 600:900]
    wanted[420:520, 640:1040] = rest[:100]
    wanted[520:920, 100:500] = rest[100:500]
    return bool((server.pixels((0, 0, 1040, 920)) == wanted).all())


def plug(server: Any, kit: ModuleType, *which: str) -> None:
    """Three monitors of different modes: the show's 25 Hz, twice and three times that."""
    modes = {
        "DUMMY0": (kit.Mode(640, 480, 25), A),
        "DUMMY1": (kit.Mode(400, 520, 50), B),
        "DUMMY2": (kit.Mode(480, 400, 75), C),
    }
    for connector in which or modes:
        server.monitor(connector, *modes[connector])


@pytest.fixture
def wall(server: Any, xorg: ModuleType, shows: ModuleType, shm: Path) -> Iterator[Any]:
    """A show on three monitors."""
    plug(server, xorg)
    show = shows.Show(shm, server.name)
    show.start(server.environment)
    yield show
    show.close()


def test_every_tile_is_right_on_every_monitor(server: Any, xorg: ModuleType, wall: Any) -> None:
    codes = wall.draw(1)
    xorg.wait_for(wall.shows)
    assert seen(server, codes, xorg)
    # The next pictures take their place, whole.
    for seed in (2, 3):
        codes = wall.draw(seed)
        xorg.wait_for(wall.shows)
        assert seen(server, codes, xorg)
    status = wall.status()
    window = status.windows["gpu"]
    assert window.box_px == (0, 0, 1040, 920)
    assert {name: monitor.multiple for name, monitor in window.monitors.items()} == {"a": 1, "b": 2, "c": 3}
    assert [monitor.refresh_hz for monitor in window.monitors.values()] == [25.0, 50.0, 75.0]
    assert {alarm.severity for alarm in status.alarms} <= {"info"}
    reports = wall.reports()
    assert [report.frame for report in reports] == [1, 2, 3]
    assert all(report.t_presented_ns > 0 and report.canvases["wide"].reason == "none" for report in reports)
    assert wall.end() == 0
    # The show has ended: nothing of it is left on the screens.
    assert not server.pixels((0, 0, 1040, 920)).any()


def test_a_monitor_that_goes_is_an_alarm_and_comes_back_by_itself(server: Any, xorg: ModuleType, wall: Any) -> None:
    codes = wall.draw(1)
    xorg.wait_for(wall.shows)
    server.off("DUMMY1")
    xorg.wait_for(lambda: {"windows.monitor_off", "windows.monitor_lost"} & wall.alarms().keys())
    assert "windows/gpu/monitors/b" in wall.alarms().values()
    # The others go on.
    codes = wall.draw(2)
    xorg.wait_for(wall.shows)
    assert (server.pixels((20, 30, 600, 400)) == xorg.words_of(codes["wide"])[:, :600]).all()
    assert (server.pixels((100, 520, 400, 400)) == xorg.words_of(codes["rest"])[100:]).all()
    plug(server, xorg, "DUMMY1")
    xorg.wait_for(lambda: not {"windows.monitor_off", "windows.monitor_lost"} & wall.alarms().keys())
    # Nothing new was drawn: what was up before is whole again.
    xorg.wait_for(lambda: seen(server, codes, xorg), what="the picture did not come back with the monitor")
    # All of them at once.
    server.off("DUMMY0", "DUMMY1", "DUMMY2")
    xorg.wait_for(lambda: wall.status().windows["gpu"].box_px is None)
    wall.draw(3)
    plug(server, xorg)
    codes = wall.draw(4)
    xorg.wait_for(lambda: seen(server, codes, xorg), what="the pictures did not come back with the monitors")


def test_the_last_picture_stays_when_the_presenter_is_killed(
    server: Any, xorg: ModuleType, shows: ModuleType, wall: Any
) -> None:
    from controller.windows.xlib import MARK, Display

    codes = wall.draw(1)
    xorg.wait_for(wall.shows)
    wall.kill()
    assert seen(server, codes, xorg)
    wall.start(server.environment)
    xorg.wait_for(wall.shows)
    assert seen(server, codes, xorg)
    codes = wall.draw(2)
    xorg.wait_for(wall.shows)
    assert seen(server, codes, xorg)
    display = Display(server.name)
    # What the killed one left is gone.
    assert len(display.marked(MARK)) == 1
    assert not display.sleeps
    display.close()


def test_canvases_change_together_until_one_stays_away(server: Any, xorg: ModuleType, wall: Any) -> None:
    first = wall.draw(1)
    xorg.wait_for(wall.shows)
    # Half of a frame: the other node is gone. The wall is not held up for ever, nor mixed at once.
    half = wall.draw(2, only="wide")
    xorg.wait_for(wall.shows)
    assert wall.status().windows["gpu"].mixed == 1
    assert seen(server, {**first, **half}, xorg)


def test_a_canvas_drawn_smaller_fills_its_monitors(server: Any, xorg: ModuleType, shows: ModuleType, shm: Path) -> None:
    plug(server, xorg)
    show = shows.Show(shm, server.name, scale=4)
    try:
        show.start(server.environment)
        codes = show.draw(1)
        xorg.wait_for(show.shows)
        large = {name: np.kron(found, np.ones((4, 4, 1), np.uint8)) for name, found in codes.items()}
        assert seen(server, large, xorg)
    finally:
        show.close()


def test_ten_bits_are_exact_on_a_display_of_depth_30(
    xorg: ModuleType, shows: ModuleType, shm: Path, tmp_path: Path
) -> None:
    server = xorg.XServer(tmp_path, depth=30)
    show = shows.Show(shm, server.name, bits=10)
    try:
        plug(server, xorg)
        show.start(server.environment)
        codes = show.draw(1)
        xorg.wait_for(show.shows)

        def thirty(found: NDArray[Any]) -> NDArray[np.uint32]:
            # The canvas has red in its low bits, the display in its high ones.
            return (found & 1023) << 20 | found & 1023 << 10 | found >> 20 & 1023

        assert show.status().windows["gpu"].bits == 10
        assert seen(server, codes, xorg, thirty)
        assert "windows.bits" not in show.alarms()
    finally:
        show.close()
        server.close()


def test_ten_bits_on_a_display_of_eight_are_told(server: Any, xorg: ModuleType, shows: ModuleType, shm: Path) -> None:
    plug(server, xorg)
    show = shows.Show(shm, server.name, bits=10)
    try:
        show.start(server.environment)
        codes = show.draw(1)
        xorg.wait_for(show.shows)

        def eight(found: NDArray[Any]) -> NDArray[np.uint32]:
            fields = [np.rint((found >> shift & 1023) / 1023 * 255).astype(np.uint32) for shift in (0, 10, 20)]
            return fields[0] << 16 | fields[1] << 8 | fields[2]

        assert seen(server, codes, xorg, eight)
        xorg.wait_for(lambda: "windows.bits" in show.alarms())
    finally:
        show.close()
