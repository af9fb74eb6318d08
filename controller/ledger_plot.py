"""The ledger drawn: where the time of every frame goes, how it spreads, and what was missed.

Functions that draw records on a matplotlib figure or on axes of the caller's; nothing here opens a window. Import it
only where a picture is wanted: matplotlib takes its time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from controller.ledger_record import STEP_WORDS, FrameRecord, Steps, misses, newest_camera, period_ns, steps_ms
from controller.ledger_words import REASON_WORDS
from runtime.clock import NS_PER_MS, NS_PER_S
from stage.rate import Rate

COLOURS: Final = {
    "wait": "#b9c4d0",
    "plan": "#d1495b",
    "hand_over": "#edae49",
    "draw": "#2f6f9f",
    "hold": "#d9e6ef",
}
"""Of the steps: work is strong, waiting is pale."""
REASON_COLOURS: Final = {
    "late_draw": "#c1121f",
    "late_plan": "#e85d04",
    "host_stall": "#6a4c93",
    "no_plan": "#f48c06",
    "switching": "#2a9d8f",
    "held": "#6c757d",
    "fenced": "#111111",
    "late_engine": "#bc5090",
    "none": "#8d6e63",
}
_MOST_COLUMNS: Final = 1500
"""More frames than this are drawn in groups: a picture has no more columns."""
_INK: Final = "#22303c"
_WHITE: Final = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
_STEPS: Final = tuple(STEP_WORDS)


@dataclass(frozen=True, slots=True)
class Course:
    """What is drawn, as columns: one for each frame, or for each group of `group` frames (their medians).

    t_s : ndarray, [n]  seconds since the first record's slot
    steps_ms : ndarray, [n, 5]  the steps of `Steps`; NaN where no frame of the group was drawn from its own plan
    worst_ms : ndarray, [n]  the group's longest from latch to finished picture; NaN as above
    lead_ms : ndarray, [n]  from the latch to the slot: when the picture had to be there; NaN without a plan
    age_ms : ndarray, [n]  the newest packet's camera: age at the photo; NaN without tracking
    """

    t_s: NDArray[np.float64]
    steps_ms: NDArray[np.float64]
    worst_ms: NDArray[np.float64]
    lead_ms: NDArray[np.float64]
    age_ms: NDArray[np.float64]
    group: int
    t0_ns: int

    @property
    def drawn_ms(self) -> NDArray[np.float64]:
        """The columns whose steps are known, [m, 5]."""
        return self.steps_ms[~np.isnan(self.steps_ms).any(axis=1)]


def course_of(records: Sequence[FrameRecord], camera: str | None = None, *, most: int = _MOST_COLUMNS) -> Course:
    """The columns of some records, in order of their slots; gaps of more than a slot become empty columns."""
    timed = [record for record in records if record.t_present_ns]
    nothing = Steps(*[float("nan")] * len(_STEPS))
    t0_ns = timed[0].t_present_ns if timed else 0
    t_s: list[float] = []
    steps: list[Steps] = []
    leads: list[float] = []
    ages: list[float] = []
    before_ns = t0_ns
    for record in timed:
        if record.t_present_ns - before_ns > 2 * max(period_ns(record), NS_PER_MS):
            t_s.append((before_ns - t0_ns) / NS_PER_S)
            steps.append(nothing)
            leads.append(float("nan"))
            ages.append(float("nan"))
        before_ns = record.t_present_ns
        t_s.append((record.t_present_ns - t0_ns) / NS_PER_S)
        steps.append(steps_ms(record, camera) or nothing)
        leads.append((record.t_present_ns - record.t_latched_ns) / NS_PER_MS if record.t_latched_ns else float("nan"))
        name = camera or newest_camera(record)
        stamps = record.cameras.get(name) if name is not None else None
        ages.append(stamps.age_ms if stamps is not None and stamps.t_sampled_ns else float("nan"))
    table = np.array(steps, dtype=np.float64).reshape(-1, len(_STEPS))
    # Without the two waits at the ends: from the latch to the finished picture.
    work = table[:, 1:-1].sum(axis=1)
    group = max(1, -(-len(t_s) // most))
    return Course(
        t_s=_grouped(np.array(t_s), group, np.nanmin),
        steps_ms=_grouped(table, group, np.nanmedian),
        worst_ms=_grouped(work, group, np.nanmax),
        lead_ms=_grouped(np.array(leads), group, np.nanmedian),
        age_ms=_grouped(np.array(ages), group, np.nanmedian),
        group=group,
        t0_ns=t0_ns,
    )


def ledger_figure(
    records: Sequence[FrameRecord],
    *,
    title: str = "",
    rate: Rate | None = None,
    stalls: Sequence[tuple[int, int]] = (),
    camera: str | None = None,
) -> Figure:
    """The whole picture of a ledger: the course of the budget with its misses, its spread, its typical frame.

    records : in order of their slots; stalls : standstills of the host, monotonic ns from and to.
    """
    layout = ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12, hspace=0.03, wspace=0.03, rect=(0.0, 0.0, 1.0, 0.945))
    figure = Figure(figsize=(13.0, 8.6), dpi=110, layout=layout)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, 2, height_ratios=[0.85, 2.6, 1.9], width_ratios=[1.25, 1.0])
    rate = rate or _rate_of(records)
    draw_typical(figure.add_subplot(grid[0, :]), records, rate=rate, camera=camera)
    draw_budget(figure.add_subplot(grid[1, :]), records, stalls=stalls, camera=camera)
    draw_histogram(figure.add_subplot(grid[2, 0]), records, rate=rate, camera=camera)
    draw_misses(figure.add_subplot(grid[2, 1]), records)
    figure.suptitle(title or "Where the time of each frame goes", x=0.01, ha="left", fontsize=14, color=_INK)
    figure.text(0.01, 0.951, summary(records, rate=rate, camera=camera), ha="left", va="top", fontsize=10, color=_INK)
    return figure


def summary(records: Sequence[FrameRecord], *, rate: Rate | None = None, camera: str | None = None) -> str:
    """What the picture says, in two lines."""
    course = course_of(records, camera, most=max(1, len(records)) * 2)
    drawn = course.drawn_ms
    missed = misses(records)
    first = f"{len(records)} frames" + (f" at {rate.hz:.5g} a second" if rate is not None else "")
    if missed:
        worst, count = Counter(record.reason for record in missed).most_common(1)[0]
        first += f"; {len(missed)} slots repeated an older picture, {count} of them because {REASON_WORDS[worst]}"
    else:
        first += "; every slot showed its own picture"
    if not len(drawn):
        return first
    medians = np.median(drawn, axis=0)
    most = int(medians.argmax())
    second = (
        f"from packet to wall {medians.sum():.1f} ms in a typical frame, "
        f"most of it: {STEP_WORDS[_STEPS[most]]} ({medians[most]:.1f} ms)"
    )
    ages = course.age_ms[np.isfinite(course.age_ms)]
    if len(ages):
        second += f"; the pose is {np.median(ages):.1f} ms old at the photo"
    return f"{first}\n{second}"


def draw_typical(
    axes: Axes, records: Sequence[FrameRecord], *, rate: Rate | None = None, camera: str | None = None
) -> None:
    """The median frame as one bar, its steps named and measured, with what is still free of the frame."""
    course = course_of(records, camera, most=max(1, len(records)) * 2)
    drawn = course.drawn_ms
    _calm(axes)
    axes.set_title("A typical frame (medians), from the tracker's packet to the wall", loc="left", fontsize=10)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if not len(drawn):
        axes.text(0.5, 0.5, "no frame was drawn from its own plan", ha="center", transform=axes.transAxes)
        return
    medians = np.median(drawn, axis=0)
    total = float(medians.sum())
    left = 0.0
    for name, value in zip(_STEPS, medians.tolist(), strict=True):
        axes.barh(0, value, left=left, color=COLOURS[name], edgecolor="white", height=0.7)
        if value >= 0.1 * total:
            ink = "white" if name in ("draw", "plan") else _INK
            words = "\n".join(wrap(f"{STEP_WORDS[name]} {value:.1f}", 14))
            axes.text(left + value / 2, 0, words, ha="center", va="center", color=ink, fontsize=8)
        left += value
    axes.text(total * 1.01, 0, f"{total:.1f} ms", va="center", fontsize=10, weight="bold", bbox=_WHITE, zorder=5)
    widest = total * 1.12
    if rate is not None:
        widest = max(widest, rate.period_ns / NS_PER_MS * 1.08)
        _period_line(axes, rate)
    axes.set_xlim(0, widest)
    axes.set_ylim(-0.55, 0.55)
    axes.set_xlabel("ms", loc="right", labelpad=1)


def draw_budget(
    axes: Axes,
    records: Sequence[FrameRecord],
    *,
    stalls: Sequence[tuple[int, int]] = (),
    camera: str | None = None,
) -> None:
    """Every frame's steps stacked over time, from the moment its poses were latched (0): what lies below is how old
    the packet was by then. Drawing that crosses the line was not ready for its slot. Misses are marked on top,
    standstills of the host as bands."""
    course = course_of(records, camera)
    _calm(axes)
    filled = np.maximum(np.nan_to_num(course.steps_ms), 0.0)
    axes.fill_between(course.t_s, 0.0, -filled[:, 0], color=COLOURS["wait"], step="mid", linewidth=0)
    floor = np.zeros(len(filled))
    for at, name in enumerate(_STEPS[1:], 1):
        top = floor + filled[:, at]
        axes.fill_between(course.t_s, floor, top, color=COLOURS[name], step="mid", linewidth=0)
        floor = top
    axes.axhline(0.0, color=_INK, linewidth=0.8)
    axes.plot(course.t_s, course.lead_ms, color=_INK, linewidth=1.1, drawstyle="steps-mid", zorder=4)
    ceiling = 1.25 * max(_high(course.worst_ms), _high(course.lead_ms), 0.8)
    if course.group > 1:
        worst = np.minimum(course.worst_ms, ceiling)
        axes.plot(course.t_s, worst, color=COLOURS["draw"], linewidth=0.7, alpha=0.8)
    for first_ns, end_ns in stalls:
        first_s, end_s = ((t_ns - course.t0_ns) / NS_PER_S for t_ns in (first_ns, end_ns))
        axes.axvspan(first_s, end_s, color=REASON_COLOURS["host_stall"], alpha=0.3, linewidth=1.0)
    missed = [record for record in misses(records) if record.t_present_ns]
    for reason in dict.fromkeys(record.reason for record in missed):
        at_s = [(r.t_present_ns - course.t0_ns) / NS_PER_S for r in missed if r.reason == reason]
        axes.plot(
            at_s, [ceiling * 0.97] * len(at_s), "v", color=REASON_COLOURS[reason], markersize=7,
            markeredgecolor="white", markeredgewidth=0.6, clip_on=False, zorder=5,
        )  # fmt: skip
    # A tracker that is lost for seconds must not flatten everything else.
    floor_ms = min(1.2 * max(_high(filled[:, 0]), 0.1 * ceiling), 0.6 * ceiling)
    axes.set_ylim(-floor_ms, ceiling)
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    if len(course.t_s):
        axes.set_xlim(float(course.t_s[0]), max(float(course.t_s[-1]), float(course.t_s[0]) + 0.1))
    axes.set_title(_budget_title(course), loc="left", fontsize=10)
    axes.set_xlabel("seconds", loc="right", labelpad=1)
    axes.set_ylabel("ms before | after the latch")
    _budget_legend(axes, course, [record.reason for record in missed], stalled=bool(stalls))


def draw_histogram(
    axes: Axes, records: Sequence[FrameRecord], *, rate: Rate | None = None, camera: str | None = None
) -> None:
    """How the whole way from packet to wall, and the drawing within it, spread over the frames."""
    course = course_of(records, camera, most=max(1, len(records)) * 2)
    drawn = course.drawn_ms
    _calm(axes)
    axes.set_title("How the frames spread", loc="left", fontsize=10)
    axes.set_xlabel("ms", loc="right", labelpad=1)
    axes.set_ylabel("frames (logarithmic)")
    if not len(drawn):
        return
    shown = (
        ("drawing", drawn[:, _STEPS.index("draw")], COLOURS["draw"]),
        ("packet to wall", drawn.sum(axis=1), "#7d8b99"),
    )
    most = max(1.15 * _high(shown[0][1]), 1.3 * float(np.percentile(shown[1][1], 95)))
    if rate is not None:
        most = max(most, rate.period_ns / NS_PER_MS * 1.25)
    beyond = int((shown[1][1] > most).sum())
    bins = np.linspace(0.0, most, 90)
    for name, values, colour in shown:
        p50, p99 = np.percentile(values, [50, 99])
        label = f"{name}: p50 {p50:.1f}, p99 {p99:.1f}, longest {values.max():.1f} ms"
        axes.hist(np.minimum(values, most), bins=bins.tolist(), color=colour, alpha=0.8, label=label)
    if rate is not None:
        _period_line(axes, rate, low=True)
    if beyond:
        axes.text(most, 1.0, f"{beyond} longer ", ha="right", va="bottom", fontsize=8, color=_INK,
                  transform=axes.get_xaxis_transform())  # fmt: skip
    axes.set_xlim(0, most)
    axes.set_yscale("symlog", linthresh=10)
    # Room for the legend above the highest column.
    axes.set_ylim(0, axes.get_ylim()[1] * 12)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(fontsize=8, frameon=True, facecolor="white", edgecolor="none", framealpha=0.9, loc="upper left")


def draw_misses(axes: Axes, records: Sequence[FrameRecord]) -> None:
    """Repeated slots by reason."""
    counted = Counter(record.reason for record in misses(records)).most_common()
    _calm(axes)
    axes.set_title("Slots that repeated an older picture", loc="left", fontsize=10)
    if not counted:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "none", ha="center", va="center", fontsize=22, color="#2a9d8f", transform=axes.transAxes)
        return
    rows = list(range(len(counted)))[::-1]
    greatest = counted[0][1]
    for row, (reason, count) in zip(rows, counted, strict=True):
        axes.barh(row, count, color=REASON_COLOURS[reason], height=0.6)
        share = 100.0 * count / len(records)
        axes.text(count + greatest * 0.02, row, f"{count}  ({share:.2g} %)", va="center", fontsize=9)
    axes.set_yticks(rows, [REASON_WORDS[reason] for reason, _ in counted], fontsize=9)
    axes.set_ylim(-0.6, max(len(counted) - 0.4, 2.0))
    axes.set_xlim(0, greatest * 1.3)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)


def save_figure(figure: Figure, path: Path) -> None:
    """Write it: PNG, SVG or PDF by the name's ending. Raises OSError; ValueError for an ending nobody can write."""
    figure.savefig(path, format=path.suffix.lstrip(".").lower() or "png", facecolor="white")


def _grouped(values: NDArray[np.float64], group: int, how: object) -> NDArray[np.float64]:
    """Each `group` rows as one, by a function that leaves NaN out; groups of nothing but NaN stay NaN."""
    if group == 1 or not len(values):
        return values
    padding = -len(values) % group
    width = [(0, padding)] + [(0, 0)] * (values.ndim - 1)
    folded = np.pad(values, width, constant_values=np.nan).reshape(-1, group, *values.shape[1:])
    empty: NDArray[np.bool_] = np.asarray(np.isnan(folded).all(axis=1))
    filled = np.where(empty[:, None], 0.0, folded)
    assert callable(how)
    found: NDArray[np.float64] = how(filled, axis=1)
    return np.where(empty, np.nan, found)


def _rate_of(records: Sequence[FrameRecord]) -> Rate | None:
    counted = Counter(record.rate for record in records if record.rate[0])
    return Rate(*counted.most_common(1)[0][0]) if counted else None


def _calm(axes: Axes) -> None:
    """No frame and no grid that says nothing."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#9aa7b2")
    axes.tick_params(colors=_INK, labelsize=8)


def _period_line(axes: Axes, rate: Rate, *, low: bool = False) -> None:
    """Where one frame ends; named above the axes, or (`low`) beside the line."""
    period_ms = rate.period_ns / NS_PER_MS
    axes.axvline(period_ms, color=_INK, linestyle=(0, (4, 3)), linewidth=0.9)
    words = f"one frame, {period_ms:.1f} ms"
    if low:
        axes.text(
            period_ms, 0.45, words, ha="right", va="center", fontsize=8, color=_INK, rotation=90,
            transform=axes.get_xaxis_transform(), bbox=_WHITE,
        )  # fmt: skip
    else:
        axes.text(
            period_ms, 1.0, words, ha="center", va="bottom", fontsize=8, color=_INK,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip


def _high(values: NDArray[np.float64]) -> float:
    """All but the rarest are no higher."""
    finite = values[np.isfinite(values)]
    return float(np.percentile(finite, 99.5)) if len(finite) else 0.0


def _budget_title(course: Course) -> str:
    if course.group == 1:
        return "Every frame: what its time was spent on"
    return f"Medians of {course.group} frames each: what their time was spent on (thin line: the slowest of them)"


def _budget_legend(axes: Axes, course: Course, reasons: Sequence[str], *, stalled: bool) -> None:
    drawn = course.drawn_ms
    handles: list[Patch | Line2D] = [Line2D([], [], color=_INK, linewidth=1.1, label="its slot: must be drawn by then")]
    for at in reversed(range(len(_STEPS))):
        usual = f": {np.median(drawn[:, at]):.1f} ms" if len(drawn) else ""
        handles.append(Patch(color=COLOURS[_STEPS[at]], label=f"{STEP_WORDS[_STEPS[at]]}{usual}"))
    handles += [
        Line2D([], [], marker="v", linestyle="", color=REASON_COLOURS[reason], label=f"repeat: {REASON_WORDS[reason]}")
        for reason in dict.fromkeys(reasons)
    ]
    if stalled:
        handles.append(Patch(color=REASON_COLOURS["host_stall"], alpha=0.3, label="the machine stood still"))
    axes.legend(
        handles=handles, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.005, 1.0), borderaxespad=0.0
    )
