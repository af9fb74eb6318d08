"""Which output is which monitor, what is wrong with it, and where every pixel of a canvas comes to lie."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config import load_config_text
from controller.windows.config import MonitorConfig, OutputPart, WindowConfig
from controller.windows.layout import Part, intersect, lay_out, multiple_of, recognise
from controller.windows.wishes import read_order, window_problems, wishes_of, write_order
from controller.windows.xlib import Found, refresh_hz
from stage.config import CanvasConfig, EncodingConfig
from stage.rate import Rate

R24 = Rate(24)


def output(connector: str, size: tuple[int, int] = (100, 80), at: tuple[int, int] = (0, 0), **more: object) -> Found:
    found = Found(connector, True, True, at, size, size, Fraction(24))
    return replace(found, **more)  # type: ignore[arg-type]


def window(**monitors: MonitorConfig) -> WindowConfig:
    return WindowConfig(monitors=monitors)


def kinds(config: WindowConfig, found: list[Found], parts: list[Part] | None = None) -> list[tuple[str, str]]:
    layout = lay_out(config, parts or [], found, R24)
    return [(fault.kind, fault.severity) for fault in layout.faults]


PLACES = st.tuples(st.integers(0, 200), st.integers(0, 200))
SIZES = st.tuples(st.integers(1, 120), st.integers(1, 120))


@given(places=st.lists(st.tuples(PLACES, SIZES), min_size=1, max_size=3), data=st.data())
def test_every_pixel_lies_where_it_must(
    places: list[tuple[tuple[int, int], tuple[int, int]]], data: st.DataObject
) -> None:
    found = [output(f"DP-{i}", size, at) for i, (at, size) in enumerate(places)]
    config = window(**{f"m{i}": MonitorConfig(connector=f"DP-{i}") for i in range(len(found))})
    parts = []
    for i in range(len(found)):
        x, y, w, h = (data.draw(st.integers(low, 90)) for low in (0, 0, 1, 1))
        parts.append(Part("c", (x, y, w, h), f"m{i}", data.draw(PLACES)))
    layout = lay_out(config, parts, found, R24)
    assert layout.box_px is not None
    left, top = layout.box_px[:2]
    for part, out in zip(parts, found, strict=True):
        # By hand: canvas pixel (u, v) lies at monitor pixel at + (u, v) - from, if the monitor has that.
        tiles = [tile for tile in layout.tiles if tile.monitor == part.monitor]
        shown = np.full((300, 300), -1)
        for tile in tiles:
            x, y, w, h = tile.canvas_px
            mx, my = tile.at_px[0] + left - out.position_px[0], tile.at_px[1] + top - out.position_px[1]
            shown[my : my + h, mx : mx + w] = (np.arange(y, y + h)[:, None] << 16) + np.arange(x, x + w)
        wanted = np.full((300, 300), -1)
        for v in range(part.canvas_px[3]):
            for u in range(0, part.canvas_px[2], 7):
                px, py = part.at_px[0] + u, part.at_px[1] + v
                if px < out.size_px[0] and py < out.size_px[1]:
                    wanted[py, px] = (part.canvas_px[1] + v << 16) + part.canvas_px[0] + u
        known = wanted >= 0
        assert (shown[known] == wanted[known]).all()
        assert (np.argwhere(shown >= 0) < out.size_px[::-1]).all()


@given(a=st.tuples(*[st.integers(0, 30)] * 4), b=st.tuples(*[st.integers(0, 30)] * 4))
def test_what_rectangles_have_in_common(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> None:
    grid = np.zeros((2, 64, 64), bool)
    for layer, (x, y, w, h) in zip(grid, (a, b), strict=True):
        layer[y : y + h, x : x + w] = True
    both = grid.all(axis=0)
    found = intersect(a, b)
    assert (found is None) == (not both.any())
    if found is not None:
        x, y, w, h = found
        assert both[y : y + h, x : x + w].all()
        assert both.sum() == w * h


@pytest.mark.parametrize(
    ("refresh", "rate", "multiple", "ppm"),
    [
        (Fraction(60), Rate(60), 1, 0.0),
        (Fraction(60), Rate(30), 2, 0.0),
        (Fraction(120), Rate(24), 5, 0.0),
        (Fraction(24), Rate(24000, 1001), 1, 1000.0),
        (Fraction(148_351_648, 2200 * 1125), Rate(60000, 1001), 1, 0.0),
        (Fraction(50), Rate(60), 1, -166_666.0),
        (Fraction(24), Rate(60), 0, 0.0),
    ],
)
def test_how_many_pictures_come_to_a_frame(refresh: Fraction, rate: Rate, multiple: int, ppm: float) -> None:
    found = multiple_of(refresh, rate)
    assert found[0] == multiple
    assert found[1] == pytest.approx(ppm, abs=1.0)


def test_refresh_is_exact() -> None:
    assert refresh_hz(148_500_000, 2200, 1125) == 60
    assert refresh_hz(74_250_000, 2200, 1125, 0x10) == 60
    assert refresh_hz(148_500_000, 2200, 1125, 0x20) == 30
    assert refresh_hz(0, 0, 0) == 0


def test_monitors_are_found_by_what_they_say(edids: ModuleType) -> None:
    left, right = edids.edid(serial="left"), edids.edid(serial="right")
    config = {
        "l": MonitorConfig(connector="DP-0", vendor="BRO", serial="left"),
        "r": MonitorConfig(connector="DP-1", vendor="BRO", serial="right"),
    }
    faults: list[object] = []
    straight = [output("DP-0", edid=left), output("DP-1", edid=right)]
    assert [o.connector for o in recognise(config, straight, faults).values() if o] == ["DP-0", "DP-1"]  # type: ignore[arg-type]
    assert not faults
    # Somebody has crossed the cables: pictures follow the processors, and it is told.
    crossed = [output("DP-0", edid=right), output("DP-1", edid=left)]
    assert [o.connector for o in recognise(config, crossed, faults).values() if o] == ["DP-1", "DP-0"]  # type: ignore[arg-type]
    assert [fault.kind for fault in faults] == ["monitor_moved"] * 2  # type: ignore[attr-defined]


def test_two_that_say_the_same_are_told(edids: ModuleType) -> None:
    found = [output("DP-0", edid=edids.edid()), output("DP-1", (100, 80), (100, 0), edid=edids.edid())]
    same = MonitorConfig(vendor="BRO", product="sx40")
    assert ("monitor_ambiguous", "critical") in kinds(window(a=same), found)
    # With a connector each they are told apart.
    named = {f"m{i}": same.model_copy(update={"connector": f"DP-{i}"}) for i in (0, 1)}
    assert kinds(window(**named), found) == []
    # One that is left over is not shown twice.
    assert ("monitor_twice", "critical") in kinds(window(**named, c=same), found)
    # By code and number too; another's EDID, a damaged one or none is nobody.
    assert kinds(window(a=MonitorConfig(product="1234", serial="7", connector="DP-0")), found[:1]) == []
    for strange in (edids.edid(product=0x4321, name=""), b"", edids.edid()[:-1] + b"\0"):
        assert kinds(window(a=same), [output("DP-0", edid=strange)]) == [("monitor_lost", "critical")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"connected": False}, [("monitor_lost", "critical")]),
        ({"active": False}, [("monitor_off", "critical")]),
        ({"mode_px": (50, 40)}, [("monitor_mode", "critical"), ("monitor_scale", "critical")]),
        ({"size_px": (50, 40), "mode_px": (50, 40)}, [("monitor_mode", "critical")]),
        ({"refresh_hz": Fraction(25)}, [("monitor_rate", "critical")]),
        ({"refresh_hz": Fraction(48)}, []),
        ({"refresh_hz": Fraction(240024, 10_000)}, [("monitor_rate", "warning")]),
        ({"position_px": (10, 0)}, [("monitor_position", "warning")]),
    ],
)
def test_what_is_wrong_with_a_monitor(change: dict[str, object], expected: list[tuple[str, str]]) -> None:
    config = window(a=MonitorConfig(connector="DP-0", mode_px=(100, 80), position_px=(0, 0)))
    layout = lay_out(config, [], [output("DP-0", **change)], R24)
    assert [(fault.kind, fault.severity) for fault in layout.faults] == expected
    assert all(fault.mend for fault in layout.faults)


def test_what_a_part_needs_must_be_there() -> None:
    config = window(a=MonitorConfig(connector="DP-0"))
    part = Part("c", (0, 0, 90, 80), "a", (20, 0))
    assert kinds(config, [output("DP-0")], [part]) == [("monitor_mode", "critical")]
    layout = lay_out(config, [part], [output("DP-0")], R24)
    assert layout.tiles[0].canvas_px == (0, 0, 80, 80), "what does not fit is cut off"


def test_monitors_over_and_between_each_other_are_told() -> None:
    config = window(a=MonitorConfig(connector="DP-0"), b=MonitorConfig(connector="DP-1"))
    over = [output("DP-0"), output("DP-1", at=(50, 0))]
    assert kinds(config, over) == [("monitors_overlap", "critical")]
    between = [output("DP-0"), output("DP-1", at=(200, 0)), output("HDMI-0", at=(100, 0))]
    assert kinds(config, between) == [("monitor_covered", "warning")]


def test_what_is_configured_must_be_possible() -> None:
    canvas = CanvasConfig.model_validate({"processor": "p", "width_px": 100, "height_px": 80, "tiles": [{"wall": "w"}]})

    class Out:
        def __init__(self, *monitors: OutputPart) -> None:
            self.monitors = monitors

    def codes(outputs: dict[str, Out], **monitors: MonitorConfig) -> list[str]:
        windows = {"gpu": window(**monitors)} if monitors else {}
        return [problem.code for problem in window_problems(windows, outputs, {"c": canvas})]

    a = MonitorConfig(connector="DP-0", mode_px=(100, 80))
    assert codes({"c": Out(OutputPart(monitor="a"))}, a=a) == []
    assert codes({"c": Out(OutputPart(monitor="b"))}, a=a) == ["stage.unknown_monitor"]
    off = OutputPart(monitor="a", canvas_px=(50, 0, 51, 10))
    assert "controller.window_off_canvas" in codes({"c": Out(off)}, a=a)
    wide = OutputPart(monitor="a", at_px=(1, 0))
    assert codes({"c": Out(wide)}, a=a) == ["controller.window_off_monitor"]
    halves = [OutputPart(monitor="a", canvas_px=(0, 0, 50, 80)), OutputPart(monitor="a", canvas_px=(50, 0, 50, 80))]
    assert codes({"c": Out(*halves)}, a=a) == ["controller.window_overlap"]
    deep = canvas.model_copy(update={"encoding": EncodingConfig(bits=12)})
    (refused,) = window_problems({"gpu": window(a=a)}, {"c": Out(OutputPart(monitor="a"))}, {"c": deep})
    assert (refused.code, refused.path) == ("controller.window_bits", "outputs/c/monitors")
    assert "ST 2110" in refused.mend
    two = {"x": window(a=a), "y": WindowConfig(display=":1", monitors={"a": a})}
    found = [problem.code for problem in window_problems(two, {}, {"c": canvas})]
    assert found == ["controller.window_displays", "controller.monitor_name"]


def test_windows_that_show_nothing_are_left_out() -> None:
    class Out:
        monitors = (OutputPart(monitor="a"),)

    class Canvas:
        width_px, height_px = 100, 80

    windows = {"x": window(a=MonitorConfig(connector="DP-0")), "y": window(b=MonitorConfig(connector="DP-1"))}
    wishes = wishes_of(windows, {"c": Out()}, {"c": Canvas()}, {"c": 12}, rate=R24, scale=1)
    assert list(wishes) == ["x"]
    assert wishes["x"].bits == 10
    assert wishes["x"].parts == (Part("c", (0, 0, 100, 80), "a", (0, 0)),)


def test_what_a_version_says_of_windows_is_read_again(shows: ModuleType) -> None:
    """The presenter reads it between two pictures: no configuration is parsed for it."""
    config = load_config_text((shows.STAGE + shows.WINDOWS).format(rate=50, bits=10, scale=2, display=":5")).config
    text = write_order(
        config.windows, config.outputs, config.stage.canvases, rate=config.rate, scale=config.render.scale
    )
    bits = {name: canvas.encoding.bits for name, canvas in config.stage.canvases.items()}
    wanted = wishes_of(
        config.windows, config.outputs, config.stage.canvases, bits, rate=config.rate, scale=config.render.scale
    )
    assert read_order(text) == wanted
    assert wanted["gpu"].bits == 10
    assert read_order("") == {}
    assert write_order(config.windows, {}, config.stage.canvases, rate=config.rate, scale=1) == ""
    with pytest.raises(ValueError, match="windows"):
        read_order("{}")


def test_a_monitor_must_have_a_name() -> None:
    with pytest.raises(ValueError, match="openvolume monitors"):
        MonitorConfig()
