"""`openvolume ledger FILE`: what the ledger of a run holds, as a table, as a picture, or one frame in words."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.errors import ControllerError
from controller.ledger import percentiles_of
from controller.ledger_file import (
    FOLDER,
    SUFFIX,
    LedgerFileError,
    Reading,
    around_frame,
    read_segments,
    runs_in,
)
from controller.ledger_record import INTERVALS, FrameRecord, intervals_ms, misses, steps_ms
from controller.ledger_words import AROUND, REASON_WORDS, SENT_WORDS, Why, explain
from controller.status import Percentiles
from controller.store import state_folder
from runtime.clock import NS_PER_MS, NS_PER_S
from stage.errors import Problem
from stage.rate import Rate

INTERVAL_WORDS: Final = {
    "receive_to_latch": "pose waits for the latch",
    "latch_to_plan": "planning",
    "receive_to_plan": "packet to plan",
    "plan_to_draw": "plan on its way to the node",
    "draw": "drawing",
    "receive_to_present": "packet to wall",
}
"""What each interval of CONTRACTS is called where people read it."""
_MOST_MISSES: Final = 12
_PICTURES: Final = (".png", ".svg", ".pdf")


class PictureError(ControllerError):
    """The picture cannot be written where it was asked for."""

    code = "controller.ledger_picture"


def ledger_command(
    where: str, *, plot: Path | None = None, frame: int | None = None, run: str | None = None, as_json: bool = False
) -> int:
    """Print what the ledger holds; returns the exit code.

    Raises
    ------
    LedgerFileError : nothing of that name, or it cannot be read. PictureError : `plot` cannot be written.
    """
    paths, others = find_segments(where, run)
    if frame is not None:
        return _tell_frame(paths, frame, as_json=as_json)
    reading = read_segments(paths)
    if plot is not None:
        draw(reading, plot)
    told = summary_of(reading)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n")
    else:
        _print_summary(told, reading, others)
        if plot is not None:
            sys.stdout.write(f"drawn: {plot}\n")
    return 0


def find_segments(where: str, run: str | None = None) -> tuple[list[Path], list[str]]:
    """The segments of one run, and the names of the other runs there are: of a segment file, a folder of them, a
    show's state folder, or a show by its name (or its configuration file's).

    Raises
    ------
    LedgerFileError
    """
    path = Path(where).expanduser()
    if path.is_file() and path.suffix == SUFFIX:
        return [path], []
    folders = [path, path / FOLDER] if path.is_dir() else []
    folders.append(state_folder(_show_name(where, path)) / FOLDER)
    for folder in folders:
        runs = runs_in(folder)
        if not runs:
            continue
        if run is not None and run not in runs:
            raise _not_found(where, f"there is no run {run} in {folder}", f"use one of {', '.join(runs)}")
        chosen = run if run is not None else list(runs)[-1]
        return runs[chosen], [name for name in runs if name != chosen]
    raise _not_found(
        where, f"no ledger in {' or '.join(map(str, folders))}", "give a .ledger file, a folder, or a show that has run"
    )


def _show_name(where: str, path: Path) -> str:
    """The show's own name when a configuration was meant; else what was given."""
    if not path.is_file():
        return where
    from controller.config import load_config

    return load_config(where).name


def draw(reading: Reading, plot: Path) -> None:
    """Draw a ledger into a file. Raises PictureError."""
    if plot.suffix.lower() not in _PICTURES:
        mend = f"end its name in {', '.join(_PICTURES)}"
        raise PictureError(Problem(PictureError.code, "--plot", "no picture of this kind is made", str(plot), mend))
    from controller.ledger_plot import ledger_figure, save_figure

    title = f"{reading.opening.show}, {_date(reading)}" if reading.opening is not None else ""
    figure = ledger_figure(counted_of(reading), title=title, stalls=reading.stalls)
    try:
        save_figure(figure, plot)
    except OSError as error:
        problem = Problem(PictureError.code, "--plot", f"cannot be written: {error.strerror}", str(plot))
        raise PictureError(problem) from error


def counted_of(reading: Reading) -> list[FrameRecord]:
    """The slots that figures are made of: from the first that every canvas reported, to where the run was ended (then
    its processes go one by one)."""
    end_ns = min((event.t_ns for event in reading.events if event.what == "run_ending"), default=1 << 63)
    return [record for record in reading.records if record.counted and record.t_present_ns < end_ns]


def summary_of(reading: Reading) -> dict[str, Any]:
    """Counts, percentiles of every interval, and every miss: plain data."""
    counted = counted_of(reading)
    values: dict[str, list[float]] = {name: [] for name in INTERVALS if name != "own_share"}
    ages: dict[str, list[float]] = {}
    holds: list[float] = []
    for record in counted:
        for name, ms in intervals_ms(record).items():
            values[name].append(ms)
        steps = steps_ms(record)
        if steps is not None:
            holds.append(steps.hold)
        for name, camera in record.cameras.items():
            if camera.t_sampled_ns:
                ages.setdefault(name, []).append(camera.age_ms)
    missed = misses(counted)
    opening = reading.opening
    stalls_ms = [(end_ns - first_ns) / NS_PER_MS for first_ns, end_ns in reading.stalls]
    rates = Counter(record.rate for record in counted if record.rate[0])
    return {
        "show": opening.show if opening is not None else "",
        "run": opening.run if opening is not None else "",
        "began": _date(reading),
        "rate": str(Rate(*rates.most_common(1)[0][0])) if rates else "",
        "frames": len(counted),
        "presented": len(counted) - len(missed),
        "repeated": len(missed),
        "repeats": dict(Counter(record.reason for record in missed).most_common()),
        "not_sent": {
            canvas: dict(Counter(record.sent[canvas] for record in counted if canvas in record.sent).most_common())
            for canvas in sorted({canvas for record in counted for canvas in record.sent})
        },
        "made_by_node": sum(record.presented is True and record.reason == "no_plan" for record in counted),
        "latency_ms": {name: _rounded(found) for name, found in values.items()},
        "hold_ms": _rounded(holds),
        "age_ms": {name: _rounded(found) for name, found in sorted(ages.items())},
        "stalls": {"count": len(stalls_ms), "total_ms": round(sum(stalls_ms), 1), "ms": _rounded(stalls_ms)},
        "stolen_ms": round(sum(note.stolen_ns for note in reading.notes) / NS_PER_MS, 1),
        "misses": [
            {
                "frame": record.frame,
                "reason": record.reason,
                "seconds": round((record.t_present_ns - counted[0].t_present_ns) / NS_PER_S, 3),
            }
            for record in missed
        ],
        "events": [msgspec.to_builtins(event) for event in reading.events],
        "not_stored": {"lost": reading.lost, "missed": reading.missed, "cut_bytes": reading.cut_bytes},
        "segments": [str(path) for path in reading.segments],
    }


def why_of(reading: Reading, frame: int) -> tuple[FrameRecord, Why] | None:
    """A slot and why it is as it is; None when the reading does not hold it."""
    record = next((record for record in reading.records if record.frame == frame), None)
    if record is None:
        return None
    return record, explain(record, reading.records, notes=reading.notes, events=reading.events)


def _tell_frame(paths: Sequence[Path], frame: int, *, as_json: bool) -> int:
    reading = around_frame(list(paths), frame, before=AROUND, after=AROUND)
    found = why_of(reading, frame)
    if found is None:
        whole = read_segments(list(paths)).records
        span = f"it holds {whole[0].frame} to {whole[-1].frame}" if whole else "it is empty"
        raise _not_found(str(frame), f"the ledger has no frame {frame}: {span}", "name one of those", path="--frame")
    record, why = found
    if as_json:
        told = {"record": record, "why": why}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n")
        return 0
    console = _console()
    console.print(why.headline, style="bold", highlight=False)
    for sentence in why.details:
        console.print(f"  {sentence}", highlight=False)
    if why.steps:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
        for name in ("step", "whose", "took ms", "usually ms", ""):
            table.add_column(name, justify="right" if name.endswith("ms") else "left")
        for step in why.steps:
            more = "longer" if step.longer else ""
            table.add_row(step.words, step.process, f"{step.took_ms:.2f}", f"{step.usual_ms:.2f}", more)
        console.print()
        console.print(table, highlight=False)
    return 0


def _print_summary(told: dict[str, Any], reading: Reading, others: Sequence[str]) -> None:
    from rich.table import Table

    console = _console()
    console.print(f"{told['show']}  run {told['run']}, {told['began']}", style="bold", highlight=False)
    share = 100.0 * told["repeated"] / max(1, told["frames"])
    shown = f"{told['frames']} frames at {told['rate'] or '?'} a second: {told['presented']} shown in their slot"
    console.print(f"{shown}, {told['repeated']} repeated an older picture ({share:.3g} %)", highlight=False)
    for reason, count in told["repeats"].items():
        console.print(f"  {count:>6}  {REASON_WORDS[reason]}", highlight=False)
    if told["made_by_node"]:
        console.print(f"  {told['made_by_node']} were made by the node itself, without a plan", highlight=False)
    for canvas, reasons in told["not_sent"].items():
        for reason, count in reasons.items():
            console.print(f"  {count:>6}  on the network, {canvas}: {SENT_WORDS.get(reason, reason)}", highlight=False)
    stalls = told["stalls"]
    if stalls["count"]:
        longest = stalls["ms"]["max"]
        still = f"The machine stood still {stalls['count']} times, {stalls['total_ms']:.0f} ms together"
        console.print(f"{still}, {longest:.1f} ms at most", highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column("ms")
    for name in ("p50", "p95", "p99", "max"):
        table.add_column(name, justify="right")
    rows = [(INTERVAL_WORDS[name], found) for name, found in told["latency_ms"].items()]
    rows.insert(-1, ("picture waits for its slot", told["hold_ms"]))
    rows += [(f"age at the photo, camera {name}", found) for name, found in told["age_ms"].items()]
    for name, found in rows:
        table.add_row(name, *(f"{found[key]:.2f}" for key in ("p50", "p95", "p99", "max")))
    console.print()
    console.print(table, highlight=False)
    missed = told["misses"]
    if missed:
        console.print()
        groups = _in_rows(missed)
        for row in groups[:_MOST_MISSES]:
            found = why_of(reading, row[0]["frame"])
            assert found is not None
            more = f" So were the {len(row) - 1} after it." if len(row) > 1 else ""
            console.print(f"  {row[0]['seconds']:>9.2f} s  {found[1].headline}{more}", highlight=False)
        if len(groups) > _MOST_MISSES:
            left = sum(len(row) for row in groups[_MOST_MISSES:])
            console.print(f"  and {left} more (--json lists all)", highlight=False)
    _print_gaps(told, others)


def _in_rows(missed: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Misses that follow each other for the same reason, together."""
    rows: list[list[dict[str, Any]]] = []
    for miss in missed:
        last = rows[-1][-1] if rows else None
        if last is not None and miss["frame"] == last["frame"] + 1 and miss["reason"] == last["reason"]:
            rows[-1].append(miss)
        else:
            rows.append([miss])
    return rows


def _print_gaps(told: dict[str, Any], others: Sequence[str]) -> None:
    console = _console()
    gaps = told["not_stored"]
    if gaps["lost"]:
        console.print(f"{gaps['lost']} frames could not be stored: the disk was full or gone", highlight=False)
    if gaps["missed"]:
        console.print(f"{gaps['missed']} plans or reports came faster than they were stored", highlight=False)
    if gaps["cut_bytes"]:
        console.print(f"{gaps['cut_bytes']} bytes at a torn end were left out", highlight=False)
    if others:
        console.print(f"other runs (--run): {', '.join(others[-8:])}", highlight=False)


def _console() -> Any:
    from rich.console import Console

    # A pipe gets whole lines, not 80 columns of them.
    return Console(width=None if sys.stdout.isatty() else 200, markup=False, soft_wrap=True)


def _date(reading: Reading) -> str:
    if reading.opening is None:
        return "unknown date"
    opening = reading.opening
    tai_ns = opening.tai_ns
    if reading.records:
        tai_ns += reading.records[0].t_present_ns - opening.t_ns
    return datetime.fromtimestamp(tai_ns / NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S TAI")


def _rounded(values: Sequence[float]) -> dict[str, float]:
    found: Percentiles = percentiles_of(values)
    return {key: round(value, 4) for key, value in msgspec.structs.asdict(found).items()}


def _not_found(where: str, detail: str, mend: str, *, path: str = "FILE") -> LedgerFileError:
    return LedgerFileError(Problem(LedgerFileError.code, path, detail, where, mend))
