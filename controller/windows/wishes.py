"""What a configuration says of windows: checked, and as the parts of canvases that each window shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from controller.windows.config import OutputPart, WindowConfig
from controller.windows.layout import Part, Rect, intersect
from stage.config import CanvasConfig, Id, Section
from stage.documents import join
from stage.errors import Problem
from stage.rate import Rate
from stage.walls import unknown


class Output(Protocol):
    """What is read of `outputs/<canvas>`."""

    @property
    def monitors(self) -> Sequence[OutputPart]:
        """Where it is shown; empty: nowhere."""


_MOST_BITS: Final = 10


class SizedCanvas(Protocol):
    """What is read of a compiled canvas."""

    @property
    def width_px(self) -> int: ...
    @property
    def height_px(self) -> int: ...


@dataclass(frozen=True, slots=True)
class WindowWish:
    """One window: where it lies, what it shows.

    bits : of each colour: the most that any of its canvases has, 8 or 10; scale : `render.scale`.
    """

    config: WindowConfig
    parts: tuple[Part, ...]
    bits: int
    rate: Rate
    scale: int

    @property
    def canvases(self) -> tuple[str, ...]:
        """Those it shows, each once."""
        return tuple(dict.fromkeys(part.canvas for part in self.parts))


def wishes_of(
    windows: Mapping[str, WindowConfig],
    outputs: Mapping[str, Output],
    canvases: Mapping[str, SizedCanvas],
    bits: Mapping[str, int],
    *,
    rate: Rate,
    scale: int,
) -> dict[str, WindowWish]:
    """Every window that shows something. bits : of each canvas."""
    parts = parts_of(outputs, canvases)
    result = {}
    for name, config in windows.items():
        own = tuple(part for part in parts if part.monitor in config.monitors)
        if own:
            deepest = max(bits.get(part.canvas, 8) for part in own)
            result[name] = WindowWish(config, own, 10 if deepest > 8 else 8, rate, scale)
    return result


class _Canvas(Section):
    """What is asked of a canvas."""

    width_px: int
    height_px: int
    bits: int


class _Order(Section):
    """The windows of a version, as little as the presenter needs: it reads them between two pictures."""

    windows: dict[Id, WindowConfig]
    outputs: dict[Id, tuple[OutputPart, ...]]
    canvases: dict[Id, _Canvas]
    rate: tuple[int, int]
    scale: int


@dataclass(frozen=True, slots=True)
class _Shown:
    monitors: tuple[OutputPart, ...]


def write_order(
    windows: Mapping[str, WindowConfig],
    outputs: Mapping[str, Output],
    canvases: Mapping[str, CanvasConfig],
    *,
    rate: Rate,
    scale: int,
) -> str:
    """What a version's snapshot says of windows; empty: nothing is shown on monitors."""
    shown = {name: tuple(output.monitors) for name, output in outputs.items() if output.monitors}
    if not shown:
        return ""
    sizes = {
        name: _Canvas(width_px=canvas.width_px, height_px=canvas.height_px, bits=canvas.encoding.bits)
        for name, canvas in canvases.items()
    }
    order = _Order(windows=dict(windows), outputs=shown, canvases=sizes, rate=(rate.num, rate.den), scale=scale)
    return order.model_dump_json()


def read_order(text: str) -> dict[str, WindowWish]:
    """The windows of a snapshot. Raises ValueError when the text is none of `write_order`."""
    if not text:
        return {}
    order = _Order.model_validate_json(text)
    outputs = {name: _Shown(parts) for name, parts in order.outputs.items()}
    bits = {name: canvas.bits for name, canvas in order.canvases.items()}
    return wishes_of(order.windows, outputs, order.canvases, bits, rate=Rate(*order.rate), scale=order.scale)


def parts_of(outputs: Mapping[str, Output], canvases: Mapping[str, SizedCanvas]) -> list[Part]:
    """Every part of a canvas that lies on a monitor."""
    return [
        Part(canvas, part.canvas_px or _whole(canvases[canvas]), part.monitor, part.at_px)
        for canvas, output in outputs.items()
        if canvas in canvases
        for part in output.monitors
    ]


def _whole(canvas: SizedCanvas) -> Rect:
    return 0, 0, canvas.width_px, canvas.height_px


def window_problems(
    windows: Mapping[str, WindowConfig], outputs: Mapping[str, Output], canvases: Mapping[str, CanvasConfig]
) -> list[Problem]:
    """What cannot be shown as it is configured."""
    problems: list[Problem] = []
    monitors: dict[str, str] = {}
    displays = {window.display for window in windows.values()}
    if len(displays) > 1:
        detail = f"windows on {len(displays)} displays; one show covers one"
        mend = "let one X server drive every output"
        problems.append(Problem("controller.window_displays", "windows", detail, sorted(displays), mend))
    for name, window in windows.items():
        for monitor in window.monitors:
            if monitor in monitors:
                path, detail = join("windows", name, "monitors", monitor), f"window `{monitors[monitor]}` has one too"
                problems.append(Problem("controller.monitor_name", path, detail, monitor, "give each its own name"))
            monitors[monitor] = name
    for canvas, output in outputs.items():
        path = join("outputs", canvas, "monitors")
        if output.monitors and canvas in canvases and canvases[canvas].encoding.bits > _MOST_BITS:
            detail = f"an X server shows {_MOST_BITS} bits of a colour at most, the canvas has more"
            mend = f"set stage/canvases/{canvas}/encoding/bits to 10, or send it by ST 2110"
            problems.append(Problem("controller.window_bits", path, detail, canvases[canvas].encoding.bits, mend))
        for i, part in enumerate(output.monitors):
            problems += _part_problems(join(path, i), part, canvases.get(canvas), windows, monitors)
    return problems + _overlaps(outputs, canvases)


def _part_problems(
    path: str,
    part: OutputPart,
    canvas: CanvasConfig | None,
    windows: Mapping[str, WindowConfig],
    monitors: Mapping[str, str],
) -> list[Problem]:
    problems: list[Problem] = []
    if part.monitor not in monitors:
        problems.append(unknown("monitor", join(path, "monitor"), part.monitor, monitors))
    if canvas is None:
        return problems
    x, y, w, h = part.canvas_px or _whole(canvas)
    if x + w > canvas.width_px or y + h > canvas.height_px:
        detail = f"reaches beyond the canvas of {canvas.width_px} x {canvas.height_px} px"
        problems.append(
            Problem("controller.window_off_canvas", join(path, "canvas_px"), detail, [x, y, w, h], "keep it inside")
        )
    if part.monitor in monitors:
        mode = windows[monitors[part.monitor]].monitors[part.monitor].mode_px
        if mode is not None and (part.at_px[0] + w > mode[0] or part.at_px[1] + h > mode[1]):
            detail = f"{w} x {h} px at {list(part.at_px)} reach beyond the monitor's mode of {mode[0]} x {mode[1]} px"
            mend = "cut it with `canvas_px`, or put the rest on another monitor"
            problems.append(Problem("controller.window_off_monitor", path, detail, None, mend))
    return problems


def _overlaps(outputs: Mapping[str, Output], canvases: Mapping[str, CanvasConfig]) -> list[Problem]:
    problems: list[Problem] = []
    seen: list[tuple[str, Part]] = []
    for part in parts_of(outputs, canvases):
        path = join("outputs", part.canvas, "monitors")
        for other_path, other in seen:
            if part.monitor == other.monitor and intersect(part.rect_px, other.rect_px):
                detail = f"covers part of what {other_path} shows on monitor `{part.monitor}`"
                problems.append(Problem("controller.window_overlap", path, detail, None, "move one with `at_px`"))
        seen.append((path, part))
    return problems
