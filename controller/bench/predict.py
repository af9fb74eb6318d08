"""`openvolume bench predict`: prediction on simulated moves and recorded takes, against what is possible; its cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stage.rate import NS_PER_S
from tracking.config import Gates
from tracking.history import History
from tracking.moves import MOVES, move
from tracking.predict import Predictor
from tracking.sample import Sample
from tracking.yardstick import (
    AHEAD_MS,
    MOST_P95,
    MOST_RMS,
    WAYS,
    Mark,
    marks_of,
    overshoots_deg,
    recorded_path,
    simulated_path,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COST_HZ, COST_SAMPLES = 60, 900
LABELS = {
    "predicted": "OpenVolume",
    "linear": "best linear (knows the move)",
    "held": "hold",
    "velocity": "constant velocity",
}
COLOURS = {"predicted": "#1f6feb", "linear": "#2da44e", "held": "#8c959f", "velocity": "#cf222e"}


def run(*, takes: Sequence[Path] = (), plot: Path | None = None) -> dict[str, Any]:
    """Figures of every path and time ahead. `takes`: recorded files (FreeD lines or Mo-Sys F4); `plot`: a picture.

    Raises
    ------
    PlayError, ValueError : a take cannot be read.
    """
    marks: list[Mark] = []
    for path in [*(recorded_path(file) for file in takes), *(simulated_path(name) for name in MOVES)]:
        marks += marks_of(path)
    if plot is not None:
        draw(marks, plot)
    return {
        "bars": {"rms_over_best_linear": MOST_RMS, "p95_over_best_of_hold_and_velocity": MOST_P95},
        "paths": {name: _rows([m for m in marks if m.path == name]) for name in dict.fromkeys(m.path for m in marks)},
        "overshoot_deg": [_overshoot(ahead_ms) for ahead_ms in AHEAD_MS],
        "cost_us": cost_us(),
        "good": all(m.good for m in marks),
    }


def cost_us() -> dict[str, float]:
    """What a prediction and its learning take for a sample that has just come, microseconds."""
    named = move("handheld", 1)
    history, predictor = History(Gates()), Predictor()
    predict_ns, adapt_ns = [], []
    for n in range(COST_SAMPLES):
        t_ns, camera = n * NS_PER_S // COST_HZ, named.pose(n / COST_HZ)
        history.add(Sample("cost", "a", t_ns, t_ns, camera, camera))
        began_ns = time.perf_counter_ns()
        predictor.predict(history, t_ns + 80_000_000, 0)
        done_ns = time.perf_counter_ns()
        predictor.adapt(history)
        predict_ns.append(done_ns - began_ns)
        adapt_ns.append(time.perf_counter_ns() - done_ns)
    out = {}
    for name, taken in (("predict", predict_ns), ("adapt", adapt_ns)):
        p50, p99 = np.percentile(taken, (50, 99)) / 1000.0
        out[f"{name}_p50"], out[f"{name}_p99"] = round(float(p50), 1), round(float(p99), 1)
    return out


def draw(marks: Sequence[Mark], file: Path) -> None:
    """RMS over the time ahead, one column a path, turning above moving; written to `file`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(m.path for m in marks))
    figure = Figure(figsize=(2.6 * len(names), 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(names), sharex=True, squeeze=False)
    for column, name in enumerate(names):
        for row, unit in enumerate(("deg", "mm")):
            _panel(grid[row][column], [m for m in marks if m.path == name and m.unit == unit])
        grid[0][column].set_title(name if len(name) < 16 else "real take", fontsize=10)
        grid[1][column].set_xlabel("ahead (ms)")
    grid[0][0].set_ylabel("turning: RMS error (deg)")
    grid[1][0].set_ylabel("moving: RMS error (mm)")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def _panel(axes: Axes, marks: Sequence[Mark]) -> None:
    for way in WAYS:
        axes.plot(
            [m.ahead_ms for m in marks],
            [m.ways[way].rms for m in marks],
            color=COLOURS[way],
            label=LABELS[way],
            marker="o",
            markersize=3,
            linewidth=2.2 if way == "predicted" else 1.2,
            linestyle="--" if way == "linear" else "-",
        )
    axes.set_yscale("log")
    axes.grid(alpha=0.25, which="major")
    axes.tick_params(labelsize=8)


def _rows(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    return [
        {
            "ahead_ms": m.ahead_ms,
            "unit": m.unit,
            **{f"{way}_rms": _short(m.ways[way].rms) for way in WAYS},
            "rms_ratio": round(m.rms_ratio, 2),
            **{f"{way}_p95": _short(m.ways[way].p95) for way in WAYS},
            "p95_ratio": round(m.p95_ratio, 2),
            "good": m.good,
        }
        for m in marks
    ]


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _overshoot(ahead_ms: float) -> dict[str, float]:
    predicted, velocity = overshoots_deg(ahead_ms=ahead_ms)
    return {"ahead_ms": ahead_ms, "predicted": _short(predicted), "velocity": _short(velocity)}
