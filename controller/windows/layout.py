"""Which output is which monitor, what is wrong with it, and what of which canvas lies where in the window. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from controller.status import AlarmValue, Severity
from controller.windows.config import MonitorConfig, WindowConfig
from controller.windows.edid import Edid, EdidError, parse_edid
from controller.windows.xlib import Found
from stage.rate import Rate

Rect = tuple[int, int, int, int]

FOLLOWED_PPM: Final = 50.0
"""The frame clock follows a display this far off."""
NEAR_PPM: Final = 500.0
"""Further off than this it is another rate."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a canvas on a monitor; pixels at scale 1."""

    canvas: str
    canvas_px: Rect
    monitor: str
    at_px: tuple[int, int]

    @property
    def rect_px(self) -> Rect:
        return (*self.at_px, self.canvas_px[2], self.canvas_px[3])


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a canvas in the window; `at_px` from the window's top left corner."""

    canvas: str
    canvas_px: Rect
    at_px: tuple[int, int]
    monitor: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Something about a monitor a person should mend."""

    kind: str
    monitor: str
    """Empty: the display itself."""
    detail: str
    mend: str
    severity: Severity = "critical"
    values: Mapping[str, AlarmValue] = field(default_factory=dict)
    """What `detail` speaks of (`controller.alarm_codes`)."""


@dataclass(frozen=True, slots=True)
class MonitorState:
    """A configured monitor as it was found."""

    output: Found | None
    edid: Edid | None = None
    multiple: int = 0
    """Pictures of the monitor to a frame of the show; 0: no whole number."""
    off_ppm: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a window lies on its display and what it shows there.

    box_px : left, top, width, height on the display; None: no monitor of it is there
    """

    box_px: Rect | None
    tiles: tuple[Tile, ...] = ()
    monitors: Mapping[str, MonitorState] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


def lay_out(window: WindowConfig, parts: Sequence[Part], found: Sequence[Found], rate: Rate) -> Layout:
    """Lay a window over those of its monitors that are there."""
    faults: list[Fault] = []
    states: dict[str, MonitorState] = {}
    for name, output in recognise(window.monitors, found, faults).items():
        states[name] = _state(output, rate)
    there: dict[str, Found] = {}
    for name, state in states.items():
        config, own = window.monitors[name], [part for part in parts if part.monitor == name]
        faults += _faults(name, config, state, own)
        output = state.output
        if output is not None and output.connected and output.active:
            there[name] = output
    faults += _overlaps(there)
    if not there:
        return Layout(None, (), states, tuple(faults))
    left, top = (min(output.position_px[i] for output in there.values()) for i in (0, 1))
    right, bottom = (max(o.position_px[i] + o.size_px[i] for o in there.values()) for i in (0, 1))
    box = (left, top, right - left, bottom - top)
    faults += _strangers(box, there, found)
    tiles = [tile for part in parts if part.monitor in there for tile in _tile(part, there[part.monitor], box)]
    return Layout(box, tuple(tiles), states, tuple(faults))


def recognise(
    monitors: Mapping[str, MonitorConfig], found: Sequence[Found], faults: list[Fault]
) -> dict[str, Found | None]:
    """The output of every configured monitor, None for those that are not there; what is doubtful goes to `faults`."""
    edids = {output.connector: edid_of(output) for output in found}
    result: dict[str, Found | None] = {}
    taken: dict[str, str] = {}
    # Those that say which connector they are at choose first among equals.
    for name in sorted(monitors, key=lambda name: not monitors[name].connector):
        config = monitors[name]
        fit = [o for o in found if o.connected and _fits(config, o, edids[o.connector])]
        free = [o for o in fit if o.connector not in taken]
        chosen = next((o for o in free if o.connector == config.connector), free[0] if free else None)
        if chosen is None and fit:
            detail = f"{fit[0].connector} is `{taken[fit[0].connector]}` already"
            values: dict[str, AlarmValue] = {"connector": fit[0].connector, "monitor": taken[fit[0].connector]}
            mend = "name each by its own connector or serial number"
            faults.append(Fault("monitor_twice", name, detail, mend, values=values))
        elif chosen is not None and len(free) > 1 and chosen.connector != config.connector:
            which = ", ".join(o.connector for o in free)
            mend = "add its serial number, or its connector"
            detail = f"{which} all fit; {chosen.connector} is taken"
            values = {"connectors": [o.connector for o in free], "connector": chosen.connector}
            faults.append(Fault("monitor_ambiguous", name, detail, mend, values=values))
        elif chosen is not None and config.connector and chosen.connector != config.connector:
            detail = f"hangs on {chosen.connector}, not on {config.connector}; its picture follows it"
            mend = f"plug it back, or set connector: {chosen.connector}"
            values = {"connector": chosen.connector, "configured": config.connector}
            faults.append(Fault("monitor_moved", name, detail, mend, "warning", values))
        if chosen is not None:
            taken[chosen.connector] = name
        result[name] = chosen
    return {name: result[name] for name in monitors}


def edid_of(output: Found) -> Edid | None:
    """What hangs on an output says of itself; None where it says nothing that can be read."""
    try:
        return parse_edid(output.edid)
    except EdidError:
        return None


def _fits(config: MonitorConfig, output: Found, edid: Edid | None) -> bool:
    if not config.by_edid:
        return output.connector == config.connector
    if edid is None:
        return False
    return (
        config.vendor in ("", edid.vendor)
        and config.product.lower() in ("", edid.name.lower(), f"{edid.product_code:04x}")
        and config.serial in ("", edid.serial_text, str(edid.serial_number))
    )


def multiple_of(refresh_hz: Fraction, rate: Rate) -> tuple[int, float]:
    """How many pictures of a display come to a frame of the show, and how far off that is, parts per million.

    A display slower than the show has 0 to a frame.
    """
    times = refresh_hz / Fraction(rate.num, rate.den)
    whole = round(times)
    return (whole, float((times / whole - 1) * 1_000_000)) if whole else (0, 0.0)


def _state(output: Found | None, rate: Rate) -> MonitorState:
    if output is None:
        return MonitorState(None)
    multiple, off_ppm = multiple_of(output.refresh_hz, rate) if output.active else (0, 0.0)
    return MonitorState(output, edid_of(output), multiple if abs(off_ppm) <= NEAR_PPM else 0, off_ppm)


def _faults(name: str, config: MonitorConfig, state: MonitorState, parts: Sequence[Part]) -> Iterator[Fault]:
    output = state.output
    if output is None:
        who = " ".join(p for p in (config.vendor, config.product, config.serial) if p)
        where = f" at {config.connector}" if config.connector else ""
        mend = "look at its power and cable; its picture comes back with it"
        values = {"monitor": who, "connector": config.connector}
        yield Fault("monitor_lost", name, f"{who or 'nothing'}{where} is not there", mend, values=values)
        return
    need = _needed_px(config, parts)
    at = output.connector
    if not output.active:
        mode = f"--mode {need[0]}x{need[1]}" if need else "--auto"
        mend = f"xrandr --output {at} {mode}"
        yield Fault("monitor_off", name, f"{at} is switched off", mend, values={"connector": at})
        return
    if config.mode_px is not None and output.mode_px != config.mode_px:
        detail = f"{at} runs at {_size(output.mode_px)}, not {_size(config.mode_px)}"
        sizes = {"connector": at, "found_px": _size(output.mode_px), "wanted_px": _size(config.mode_px)}
        yield Fault("monitor_mode", name, detail, f"xrandr --output {at} --mode {_size(config.mode_px)}", values=sizes)
    elif need and (output.size_px[0] < need[0] or output.size_px[1] < need[1]):
        detail = f"{at} has {_size(output.size_px)} px, its picture needs {_size(need)}: the rest is cut off"
        sizes = {"connector": at, "found_px": _size(output.size_px), "wanted_px": _size(need)}
        yield Fault("monitor_mode", name, detail, f"xrandr --output {at} --mode {_size(need)}", values=sizes)
    if output.size_px != output.mode_px:
        detail = f"{at} scales {_size(output.size_px)} to {_size(output.mode_px)}: no pixel is a pixel"
        sizes = {"connector": at, "found_px": _size(output.size_px), "wanted_px": _size(output.mode_px)}
        yield Fault("monitor_scale", name, detail, f"xrandr --output {at} --scale 1x1 --panning 0x0", values=sizes)
    yield from _rate_faults(name, state, at)
    if config.position_px is not None and output.position_px != config.position_px:
        detail = f"{at} lies at {_size(output.position_px)}, not at {_size(config.position_px)}"
        mend = f"xrandr --output {at} --pos {_size(config.position_px)}"
        places = {
            "connector": at, "found_px": _size(output.position_px), "wanted_px": _size(config.position_px),
        }  # fmt: skip
        yield Fault("monitor_position", name, f"{detail}; its picture follows it", mend, "warning", places)


def _rate_faults(name: str, state: MonitorState, at: str) -> Iterator[Fault]:
    output = state.output
    assert output is not None
    shown = f"{at} runs at {float(output.refresh_hz):.4g} Hz"
    mend = f"xrandr --output {at} --rate R: the show's rate or a whole multiple of it, to the last digit"
    if state.multiple == 0:
        values: dict[str, AlarmValue] = {"connector": at, "found_hz": round(float(output.refresh_hz), 4)}
        yield Fault("monitor_rate", name, f"{shown}: no whole multiple of the show's rate", mend, values=values)
    elif abs(state.off_ppm) > FOLLOWED_PPM:
        every_s = 1e6 / abs(state.off_ppm) / float(output.refresh_hz)
        detail = f"{shown}, {state.off_ppm:+.0f} ppm off: one of its pictures is doubled or lost every {every_s:.0f} s"
        values = {"connector": at, "found_hz": round(float(output.refresh_hz), 4), "off_ppm": round(state.off_ppm, 1)}
        yield Fault("monitor_rate", name, detail, mend, "warning", values)


def _needed_px(config: MonitorConfig, parts: Sequence[Part]) -> tuple[int, int] | None:
    if config.mode_px is not None:
        return config.mode_px
    if not parts:
        return None
    rects = [part.rect_px for part in parts]
    return max(x + w for x, _, w, _ in rects), max(y + h for _, y, _, h in rects)


def _overlaps(there: Mapping[str, Found]) -> Iterator[Fault]:
    names = list(there)
    for i, a in enumerate(names):
        for b in names[:i]:
            if intersect(there[a].rect_px, there[b].rect_px):
                ways = f"{there[a].connector} --right-of {there[b].connector}"
                mend = f"xrandr --output {ways}"
                yield Fault("monitors_overlap", a, f"shows part of what `{b}` shows", mend, values={"monitor": b})


def _strangers(box: Rect, there: Mapping[str, Found], found: Sequence[Found]) -> Iterator[Fault]:
    own = {output.connector for output in there.values()}
    for output in found:
        if output.active and output.connector not in own and intersect(box, output.rect_px):
            detail = f"{output.connector} lies between this window's monitors and is covered"
            mend = "move it aside: xrandr --output ... --pos"
            yield Fault("monitor_covered", "", detail, mend, "warning", {"connector": output.connector})


def intersect(a: Rect, b: Rect) -> Rect | None:
    """What two rectangles have in common."""
    x, y = max(a[0], b[0]), max(a[1], b[1])
    w, h = min(a[0] + a[2], b[0] + b[2]) - x, min(a[1] + a[3], b[1] + b[3]) - y
    return (x, y, w, h) if w > 0 and h > 0 else None


def _tile(part: Part, output: Found, box: Rect) -> Iterator[Tile]:
    """The part where the window has it, cut to the monitor."""
    seen = intersect(part.rect_px, (0, 0, *output.size_px))
    if seen is None:
        return
    x, y, w, h = seen
    from_px = (part.canvas_px[0] + x - part.at_px[0], part.canvas_px[1] + y - part.at_px[1], w, h)
    left, top = output.position_px
    yield Tile(part.canvas, from_px, (left + x - box[0], top + y - box[1]), part.monitor)


def _size(pair: tuple[int, int]) -> str:
    return f"{pair[0]}x{pair[1]}"
