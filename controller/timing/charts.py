"""The pictures of a timing report, as SVG text: what a frame's time went on, and what the camera saw over time."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from controller.ledger_plot import REASON_COLOURS, draw_budget, draw_histogram, draw_misses, draw_typical
from controller.timing.result import CameraResult, Phase, Result
from controller.timing.settings import LOADS
from runtime.clock import NS_PER_MS, NS_PER_S
from stage.frames import Array
from stage.plan import REASONS

WIDTH_IN: Final = 11.5
COLUMNS: Final = 900
"""Points of a course: more than the picture has columns would only make the file larger."""
_INK: Final = "#22303c"
_BLUE: Final = "#2f6f9f"
_PALE: Final = "#a9c4d8"
_RED: Final = "#c1121f"
_SHADE: Final = "#f2e9dc"


def typical(result: Result) -> str:
    """The median frame, step by step."""
    figure = Figure(figsize=(WIDTH_IN, 1.9), layout="constrained")
    draw_typical(figure.add_subplot(), result.records, rate=result.stage.rate)
    return _svg(figure, "typical")


def budget(result: Result) -> str:
    """Every frame's time over the run."""
    figure = Figure(figsize=(WIDTH_IN, 4.0), layout="constrained")
    axes = figure.add_subplot()
    draw_budget(axes, result.records, stalls=result.stalls)
    if result.records:
        # The ledger keeps the newest frames only: its seconds are put on the run's own axis.
        shift_s = (result.records[0].t_present_ns - result.begin_ns) / NS_PER_S
        _shade(axes, [Phase(x.name, x.begin_s - shift_s, x.end_s - shift_s) for x in result.phases], named=False)
        low, high = axes.get_xlim()
        ticks = np.asarray(MaxNLocator(8).tick_values(low + shift_s, high + shift_s))
        axes.set_xticks(ticks - shift_s, [f"{tick:g}" for tick in ticks])
        axes.set_xlim(low, high)
    return _svg(figure, "budget")


def spread(result: Result) -> str:
    """How frames spread, and which slots repeated."""
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1.0])
    draw_histogram(left, result.records, rate=result.stage.rate)
    draw_misses(right, result.records)
    return _svg(figure, "spread")


def course(result: Result, camera: str) -> str:
    """Age, slip and pose error of one camera's photos over time."""
    found = result.cameras[camera]
    figure = Figure(figsize=(WIDTH_IN, 6.4), layout="constrained")
    age, slip, error = figure.subplots(3, 1, sharex=True, height_ratios=[1.0, 1.2, 1.0])
    t_s = (found.photos.t_photo_ns - result.begin_ns) / NS_PER_S
    _age(age, result, found, t_s)
    _slip(slip, result, found, t_s)
    _error(error, found, t_s)
    for number, axes in enumerate((age, slip, error)):
        _calm(axes)
        _shade(axes, result.phases, named=number == 0)
        _misses(axes, result)
        axes.set_xlim(0.0, max(result.phases[-1].end_s, 0.1))
    error.set_xlabel("seconds", loc="right", labelpad=-2)
    return _svg(figure, f"course-{camera}")


def _age(axes: Axes, result: Result, found: CameraResult, t_s: Array) -> None:
    reach_ms = float(np.median(found.photos.t_photo_ns - _presented(result, found))) / NS_PER_MS
    columns, low, middle, high = _columns(t_s, found.photos.age_ms)
    axes.fill_between(columns, low, high, color=_PALE, linewidth=0, step="mid")
    axes.plot(columns, middle, color=_BLUE, linewidth=1.0, drawstyle="steps-mid")
    axes.axhspan(0.0, reach_ms, color="#e8edf1", linewidth=0)
    axes.text(
        0.005, reach_ms, " LED processors, exposure and read-out need this much by themselves", va="top", fontsize=8,
        color="#5d6b76", transform=axes.get_yaxis_transform(),
    )  # fmt: skip
    axes.set_ylim(0.0, max(1.15 * _high(high), reach_ms * 1.15, 1.0))
    axes.set_ylabel("ms")
    axes.set_title("How old the camera's pose is when it is photographed", loc="left", fontsize=10)
    period_ms = result.stage.rate.period_ns / NS_PER_MS
    frames = axes.secondary_yaxis(
        "right", functions=(lambda v: np.asarray(v) / period_ms, lambda v: np.asarray(v) * period_ms)
    )
    frames.spines["right"].set_color("#9aa7b2")
    frames.set_ylabel("frames", fontsize=8)
    frames.tick_params(labelsize=8, colors=_INK)


def _presented(result: Result, found: CameraResult) -> Any:
    known = result.slots.only(result.slots.plan >= 0)
    return known.t_present_ns[: len(found.photos.t_photo_ns)]


def _slip(axes: Axes, result: Result, found: CameraResult, t_s: Array) -> None:
    columns, _, _, worst = _columns(t_s, found.measured.slip_max_px)
    axes.fill_between(columns, 0.0, worst, color=_PALE, linewidth=0, step="mid", label="worst point of the photo")
    columns, _, _, high = _columns(t_s, found.measured.slip_px)
    axes.plot(columns, high, color=_BLUE, linewidth=1.0, drawstyle="steps-mid", label="mean over the photo")
    limit = result.judge.limits.slip_p99_px
    if limit is not None:
        label = f"limit for 99 of 100: {limit:g} px"
        axes.axhline(limit, color=_RED, linewidth=0.9, linestyle=(0, (5, 3)), label=label)
    for photo in result.rendered:
        shown = photo.get("geometry", {}).get("mean_px")
        if photo.get("camera") == found.photos.camera and shown is not None:
            axes.plot(photo["t_s"], shown, "o", color="white", markeredgecolor=_INK, markersize=6, zorder=6)
    high_px = max(_high(worst), 1.0)
    axes.set_ylim(0.0, max(1.2 * high_px, (limit or 0.0) * 1.15 if limit is not None and limit < 3 * high_px else 0.0))
    axes.set_ylabel("px of 3840")
    title = "Slip: how far what stands far behind the wall lies beside its place in the photo"
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False, loc="upper right", ncols=3)


def _error(axes: Axes, found: CameraResult, t_s: Array) -> None:
    columns, _, _, high = _columns(t_s, found.measured.error_mm)
    axes.plot(columns, high, color=_BLUE, linewidth=1.0, drawstyle="steps-mid")
    axes.set_ylim(0.0, 1.2 * max(_high(high), 0.5))
    axes.set_ylabel("mm", color=_BLUE)
    turned = axes.twinx()
    columns, _, _, high = _columns(t_s, found.measured.error_deg)
    turned.plot(columns, high, color="#d1495b", linewidth=0.9, drawstyle="steps-mid")
    turned.set_ylim(0.0, 1.2 * max(_high(high), 0.05))
    turned.set_ylabel("degrees", color="#d1495b", fontsize=8)
    turned.tick_params(labelsize=8, colors=_INK)
    for side in ("top", "left", "bottom"):
        turned.spines[side].set_visible(False)
    turned.spines["right"].set_color("#9aa7b2")
    title = "Pose error: where the picture was drawn for, and where the camera truly was"
    axes.set_title(title, loc="left", fontsize=10)


def _columns(t_s: Array, values: Array) -> tuple[Array, Array, Array, Array]:
    """At most COLUMNS groups of neighbours: middle time, least, median, greatest; nan where nothing is known."""
    group = max(1, -(-len(t_s) // COLUMNS))
    if group == 1:
        return t_s, values, values, values
    padding = -len(t_s) % group
    times = np.pad(t_s, (0, padding), mode="edge").reshape(-1, group)
    folded = np.pad(values, (0, padding), constant_values=np.nan).reshape(-1, group)
    empty = np.asarray(np.isnan(folded).all(axis=1))
    filled = np.where(empty[:, None], 0.0, folded)
    found = [np.where(empty, np.nan, how(filled, axis=1)) for how in (np.nanmin, np.nanmedian, np.nanmax)]
    return times.mean(axis=1), found[0], found[1], found[2]


def _high(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, 99.8)) if len(known) else 0.0


def _shade(axes: Axes, phases: Sequence[Phase], *, named: bool) -> None:
    for number, phase in enumerate(phases):
        if phase.name not in LOADS:
            continue
        axes.axvspan(phase.begin_s, phase.end_s, color=_SHADE, alpha=1.0 if number % 2 else 0.6, linewidth=0, zorder=-5)
        if named:
            axes.text(
                (phase.begin_s + phase.end_s) / 2, 0.95, phase.name.replace("_", " "), ha="center", va="top",
                fontsize=8, color="#7a5c2e", transform=axes.get_xaxis_transform(),
            )  # fmt: skip


def _misses(axes: Axes, result: Result) -> None:
    """Slots that repeated, on the upper edge."""
    repeated = result.slots.repeated
    t_s = result.t_s
    for reason in np.unique(result.slots.reason[repeated]):
        at_s = t_s[repeated & (result.slots.reason == reason)]
        axes.plot(
            at_s, np.full(len(at_s), 0.985), "v", color=REASON_COLOURS[REASONS[int(reason)]], markersize=5,
            markeredgecolor="white", markeredgewidth=0.5, transform=axes.get_xaxis_transform(), zorder=7,
        )  # fmt: skip


def _calm(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#9aa7b2")
    axes.tick_params(colors=_INK, labelsize=8)
    axes.yaxis.label.set_fontsize(8)


def _svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element; ids carry the name, so that several share one page."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        FigureCanvasSVG(figure)
        data = io.StringIO()
        figure.savefig(data, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = data.getvalue()
    text = text[text.index("<svg") :]
    # The page scales it, and brings its own fonts.
    text = re.sub(r"(<svg[^>]*?) (?:width|height)=\"[^\"]+\"", r"\1", text, count=1)
    text = re.sub(r"(<svg[^>]*?) (?:width|height)=\"[^\"]+\"", r"\1", text, count=1)
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))

    def own(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    text = re.sub(r' id="([^"]+)"', own, text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    return re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
