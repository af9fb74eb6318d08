"""The presenter under a clock of its own: what is shown when, on windows that only take notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.ledger_feed import RingQueue
from controller.ledger_record import SCREENS
from controller.rundir import RunDir
from controller.windows.blanks import BlankRing
from controller.windows.config import MonitorConfig, WindowConfig
from controller.windows.layout import Part, Rect
from controller.windows.presenter import PACE_SWAPS, Presenter
from controller.windows.status import WindowsStatus, decode_windows
from controller.windows.wishes import WindowWish
from controller.windows.xlib import DisplayError, Found
from renderer.renderer import CanvasPicture
from renderer.sinks.ring import canvas_ring
from runtime.clock import NS_PER_MS, VirtualClock
from runtime.ring import KIND_REPORTS, RingReader, RingWriter
from stage.errors import Problem
from stage.plan import FrameReport, decode_report
from stage.rate import Rate

BLANK_NS = 20 * NS_PER_MS
"""Displays of 50 Hz."""


class Screen:
    def __init__(self) -> None:
        self.found = [Found(f"DP-{i}", True, True, (100 * i, 0), (100, 80), (100, 80), Fraction(50)) for i in range(2)]
        self.news = self.closed = False
        self.awake = self.cleared = 0
        self.depth_bits = 24

    def fileno(self) -> int:
        return 0

    def changed(self) -> bool:
        news, self.news = self.news, False
        return news

    def outputs(self) -> list[Found]:
        return self.found

    def keep_awake(self) -> None:
        self.awake += 1

    def may_sleep(self) -> None:
        self.awake = 0

    def clear_away(self) -> None:
        self.cleared += 1

    def close(self) -> None:
        self.closed = True


class Window:
    """Waits for blanks of a virtual display, and notes what it shows."""

    def __init__(self, name: str, wish: WindowWish, clock: VirtualClock, story: list[tuple[str, str]]) -> None:
        self.name, self._clock, self._story = name, clock, story
        self.damaged, self.renderer, self.software, self.red_bits = False, "none", False, wish.bits
        self.waits = False
        self.blanks = True
        self.box: Rect | None = None
        self.pictures: dict[str, int] = {}
        self.shown: list[dict[str, int]] = []
        self.swaps_with = ("absent", "")
        self.stamped_by = "return"
        self.closed = False

    def pace(self, *, waits: bool) -> None:
        self.waits = waits

    def place(self, box_px: Rect | None) -> None:
        self.box = box_px

    def on_top(self) -> None:
        pass

    def take(
        self, canvas: str, pixels: memoryview, size_px: tuple[int, int], *, ten_bits: bool, scale: int = 1
    ) -> None:
        self.pictures[canvas] = pixels[0]

    def draw(self, tiles: Any) -> None:
        self.damaged = False

    def swap(self) -> None:
        self._story.append((self.name, "waits" if self.waits else "at once"))
        if self.waits and self.blanks:
            now_ns = self._clock.now_ns()
            self._clock.advance_to((now_ns // BLANK_NS + 1) * BLANK_NS)
        self.shown.append(dict(self.pictures))

    def shown_ns(self, now_ns: Any) -> int:
        return int(now_ns())

    def forget(self, keep: Any) -> None:
        self.pictures = {name: value for name, value in self.pictures.items() if name in keep}

    def events(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class House:
    """A presenter, its rings and its windows."""

    def __init__(self, folder: Path, wishes: Mapping[str, WindowWish]) -> None:
        self.run = RunDir.create("presenter", root=folder)
        self.run.set_current_version(1)
        self.clock = VirtualClock(1_000_000_000)
        self.screens: dict[str, Screen] = {}
        self.windows: dict[str, Window] = {}
        self.story: list[tuple[str, str]] = []
        self.wishes: tuple[int, Mapping[str, WindowWish]] | None = (1, wishes)
        self.display_there = True
        self.presenter = Presenter(
            run=self.run, clock=self.clock, screen=self._screen, window=self._window, wishes=lambda _: self.wishes
        )
        self.presenter.start()
        self.rings: dict[str, RingWriter] = {}

    def _screen(self, name: str) -> Screen:
        if not self.display_there:
            raise DisplayError(Problem(DisplayError.code, "windows/display", "cannot be reached", name, "start it"))
        return self.screens.setdefault(name, Screen())

    def _window(self, name: str, wish: WindowWish) -> Window:
        self.windows[name] = Window(name, wish, self.clock, self.story)
        return self.windows[name]

    def draw(self, canvas: str, frame: int, t_ns: int | None = None) -> None:
        codes = np.full((8, 10, 4), frame % 256, np.uint8)
        if canvas not in self.rings:
            self.rings[canvas] = canvas_ring(self.run.canvas(canvas), CanvasPicture(canvas, "rgba8", codes))
        t_ns = self.clock.now_ns() if t_ns is None else t_ns
        self.rings[canvas].publish(codes.data.cast("B"), frame=frame, t_ns=t_ns, plan_hash=frame + 1000)

    def for_ms(self, ms: float) -> None:
        end_ns = self.clock.now_ns() + round(ms * NS_PER_MS)
        while self.clock.now_ns() < end_ns:
            due_ns = self.presenter.step(self.clock.now_ns())
            assert due_ns is not None
            assert due_ns > self.clock.now_ns() - 1, "it must not spin"
            self.clock.advance_to(min(max(due_ns, self.clock.now_ns() + 1), end_ns) if due_ns < end_ns else end_ns)

    def status(self) -> WindowsStatus:
        reader = RingReader.open(self.run.windows_status)
        slot = reader.latest()
        reader.close()
        assert slot is not None
        return decode_windows(slot.data)

    def reports(self) -> list[FrameReport]:
        queue = RingQueue(self.run.reports(SCREENS), KIND_REPORTS)
        found = [decode_report(slot.data) for slot in queue.take(look=True)]
        queue.close()
        return found

    def close(self) -> None:
        self.presenter.stop()
        for ring in self.rings.values():
            ring.close()


def wish(monitor: int, *canvases: str, bits: int = 8, display: str = "") -> WindowWish:
    config = WindowConfig(display=display, monitors={f"m{monitor}": MonitorConfig(connector=f"DP-{monitor}")})
    parts = tuple(Part(canvas, (0, 0, 10, 8), f"m{monitor}", (10 * i, 0)) for i, canvas in enumerate(canvases))
    return WindowWish(config, parts, bits, Rate(25), 1)


@pytest.fixture
def house(shm: Path) -> Iterator[House]:
    """Two windows: one shows canvases l and r, the other r."""
    found = House(shm, {"one": wish(0, "l", "r"), "two": wish(1, "r")})
    yield found
    found.close()


def test_only_the_first_of_several_windows_waits_for_the_blank(house: House) -> None:
    house.draw("l", 1)
    house.draw("r", 1)
    house.for_ms(600)
    del house.story[:]
    for frame in range(2, 12):
        house.draw("l", frame)
        house.draw("r", frame)
        house.for_ms(40)
    # One blank a frame, whatever the number of windows: 25 a second on displays of 50.
    assert house.story == [("one", "waits"), ("two", "at once")] * 10
    assert [window.pace for window in house.status().windows.values()] == ["blank", "follows"]
    assert [report.frame for report in house.reports()] == list(range(1, 12))
    assert all(report.canvases["l"].reason == "none" for report in house.reports())
    # Every time is one of a blank.
    assert all(report.t_presented_ns % BLANK_NS == 0 for report in house.reports())
    ring = BlankRing(house.run)
    blanks = ring.take(house.clock.now_ns())
    ring.close()
    assert all(blank.t_ns % BLANK_NS == 0 and blank.period_ns == BLANK_NS for blank in blanks)
    assert len(blanks) >= 11
    # When the window that waits has no monitor any more, the next one waits.
    screen = house.screens[""]
    screen.found[0] = replace(screen.found[0], connected=False)
    screen.news = True
    house.for_ms(40)
    del house.story[:]
    house.draw("l", 12)
    house.draw("r", 12)
    house.for_ms(40)
    assert house.story == [("two", "waits")]
    house.for_ms(150)
    assert house.status().windows["one"].box_px is None


def test_canvases_of_all_windows_change_together(house: House) -> None:
    for frame in (1, 2):
        house.draw("l", frame)
        house.draw("r", frame)
        house.for_ms(600 if frame == 1 else 40)
    count = len(house.windows["one"].shown)
    house.draw("l", 3)
    house.for_ms(5)
    assert len(house.windows["one"].shown) == count, "half a frame is waited with"
    house.draw("r", 3)
    house.for_ms(40)
    assert house.windows["one"].shown[count:] == [{"l": 3, "r": 3}]
    # One that stays away holds up the others for a quarter of a frame, not for ever.
    house.draw("l", 4)
    house.for_ms(60)
    assert house.windows["one"].shown[-1] == {"l": 4, "r": 3}
    assert house.status().windows["one"].mixed == 1


def test_what_came_and_was_never_shown_is_told(house: House) -> None:
    house.draw("l", 1)
    house.draw("r", 1)
    house.for_ms(600)
    for frame in (2, 3, 4):
        house.draw("l", frame)
        house.draw("r", frame)
    house.for_ms(100)
    found = {report.frame: report for report in house.reports()}
    assert sorted(found) == [1, 2, 3, 4]
    assert found[2].canvases["l"].presented_frame == 1
    assert found[3].canvases["r"].reason == "late_draw"
    assert found[2].plan_hash == 0
    assert found[4].plan_hash == 1004
    assert house.status().windows["one"].passed_over == 2


def test_a_display_without_a_blank_is_told_and_paces_nothing(shm: Path) -> None:
    house = House(shm, {"one": wish(0, "l")})
    try:
        house.presenter.step(house.clock.now_ns())
        house.windows["one"].blanks = False
        house.draw("l", 1)
        house.for_ms(600)
        assert house.status().windows["one"].pace == "none"
        assert "windows.no_blank" in {alarm.code for alarm in house.status().alarms}
        before = BlankRing(house.run)
        heard = len(before.take(house.clock.now_ns()))
        house.draw("l", 2)
        house.for_ms(40)
        assert before.take(house.clock.now_ns()) == []
        assert heard <= PACE_SWAPS + 1
        before.close()
    finally:
        house.close()


def test_a_display_that_is_not_there_is_tried_again(shm: Path) -> None:
    house = House(shm, {"one": wish(0, "l", bits=10)})
    try:
        house.display_there = False
        house.draw("l", 1)
        house.for_ms(500)
        (alarm,) = house.status().alarms
        assert (alarm.code, alarm.severity) == ("windows.no_display", "critical")
        house.display_there = True
        house.for_ms(2500)
        assert house.windows["one"].shown[-1] == {"l": 1}
        assert not {alarm.code for alarm in house.status().alarms} & {"windows.no_display", "windows.bits"}
        house.windows["one"].red_bits = 8
        house.windows["one"].swaps_with = ("refused", "no sync board")
        house.for_ms(200)
        assert {"windows.bits", "windows.swap_group"} <= {alarm.code for alarm in house.status().alarms}
    finally:
        house.close()


def test_a_version_that_changes_windows_is_followed(house: House) -> None:
    house.draw("l", 1)
    house.draw("r", 1)
    house.for_ms(600)
    assert house.screens[""].cleared == 2
    house.wishes = (2, {"one": wish(0, "r")})
    house.run.set_current_version(2)
    house.for_ms(600)
    assert house.windows["two"].closed
    assert house.windows["one"].shown[-1] == {"r": 1}
    # Another display needs another process: this one ends, and is started again.
    house.wishes = (3, {"one": wish(0, "r", display=":7")})
    house.run.set_current_version(3)
    house.clock.advance_to(house.clock.now_ns() + 1_000_000_000)
    assert house.presenter.step(house.clock.now_ns()) is None


def test_what_is_damaged_is_drawn_again(house: House) -> None:
    house.draw("l", 1)
    house.draw("r", 1)
    house.for_ms(600)
    count = len(house.windows["two"].shown)
    house.windows["two"].damaged = True
    house.for_ms(50)
    assert len(house.windows["two"].shown) == count + 1
    assert len(house.reports()) == 1, "the same picture again is no frame"
