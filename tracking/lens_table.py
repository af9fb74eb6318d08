"""Lens tables: what raw zoom and focus encoders mean for the lens that is mounted.

A table is a grid over zoom and focus: each row gives, at one position of both encoders, the focal length (which may
breathe with focus), focus distance, entrance pupil and distortion. Between rows values follow a monotone cubic
(Fritsch-Carlson slopes with Butland's harmonic mean): along focus first, then along zoom, both in normalised encoder
space, so that no value ever leaves the range of the rows around it. Focus distance is interpolated as 1/m, which is
what a focus ring is nearly linear in. Beyond its ends a table is never continued: the reading then lacks those values
and says so in its `fault`.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

import msgspec
import numpy as np
from msgspec import Struct
from pydantic import Field, model_validator

from stage.config import Label, Offset, Section
from stage.documents import Document, read_yaml, validate, with_lines
from stage.errors import Problem
from stage.frames import Array
from stage.lens import distortion_fault
from tracking.config import LensTable
from tracking.errors import TrackingError
from tracking.sample import LensReading

SLACK: Final = 0.01
"""Encoders overrun their ends by so much of their range and still count as the end."""
MAX_ROWS: Final = 4000
RADIAL: Final = ("k1", "k2", "k3", "k4", "k5", "k6")
TANGENTIAL: Final = ("p1", "p2")
OFFSETS: Final = ("distortion_x_mm", "distortion_y_mm", "projection_x_mm", "projection_y_mm")
COLUMNS: Final = ("focal_length_mm", "focus_distance_m", "entrance_pupil_m", *RADIAL, *TANGENTIAL, *OFFSETS)
"""What a row may give, named as in CSV files."""

Encoder = Annotated[float, Field(ge=-1e9, le=1e9)]
Ends = tuple[Encoder, Encoder]


class LensTableError(TrackingError):
    """A lens table file that cannot be used; `problems` names every fault with its line."""

    code = "tracking.lens_table"


class LensRow(Section):
    """The lens at one position of its encoders."""

    zoom: Encoder | None = None
    """Raw zoom encoder; left out in all rows of a prime lens."""
    focus: Encoder | None = None
    """Raw focus encoder; left out in all rows of a lens measured at one focus."""
    focal_length_mm: Annotated[float, Field(gt=0.0, le=5000.0)] | None = None
    """Pinhole focal length; with breathing, as it is at this focus."""
    focus_distance_m: Annotated[float, Field(gt=0.0, le=100_000.0)] | None = None
    """From the sensor; 100000 stands for infinity."""
    entrance_pupil_m: Annotated[float, Field(ge=-2.0, le=2.0)] | None = None
    """In front of the sensor."""
    radial: Annotated[list[float], Field(max_length=6)] | None = None
    """OpenLensIO order: numerator and denominator in turn, mm^-2, mm^-2, mm^-4 ..."""
    tangential: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    distortion_offset_mm: Offset | None = None
    """Of the distortion's centre: right, down."""
    projection_offset_mm: Offset | None = None
    """Of the optical axis from the sensor's middle: right, down."""


class LensFile(Section):
    """A lens table as a YAML file."""

    openvolume_lens: Literal[1]
    """Version of this format."""
    label: Label = ""
    model: Literal["Brown-Conrady D-U", "Brown-Conrady U-D"] = "Brown-Conrady D-U"
    zoom_raw: Ends | None = None
    """What the zoom encoder says at its ends, wide and tele; left out, the ends of the rows."""
    focus_raw: Ends | None = None
    """What the focus encoder says at its ends, near and far; left out, the ends of the rows."""
    rows: Annotated[list[LensRow], Field(min_length=1, max_length=MAX_ROWS)]

    @model_validator(mode="after")
    def _ends_differ(self) -> LensFile:
        for name in ("zoom_raw", "focus_raw"):
            ends = getattr(self, name)
            if ends is not None and ends[0] == ends[1]:
                raise ValueError(f"{name}: the two ends of an encoder differ")
        return self


class LensGrid(Struct, frozen=True):
    """A table that is in order, ready to travel: everything in plain numbers."""

    columns: tuple[str, ...]
    """Which of COLUMNS each row gives."""
    zooms: tuple[float, ...]
    """Normalised zoom of each row of the grid, rising; one: zoom does not matter."""
    focuses: tuple[tuple[float, ...], ...]
    """Normalised focus of the points of each row, rising; one: focus does not matter."""
    values: tuple[tuple[tuple[float, ...], ...], ...]
    """[zoom][focus][column]"""
    zoom_raw: tuple[float, float]
    """Raw encoder values at normalised 0 and 1."""
    focus_raw: tuple[float, float]
    model: str = "Brown-Conrady D-U"
    label: str = ""


class LensReader(Protocol):
    """Fills a reading from its raw encoders."""

    def apply(self, reading: LensReading) -> LensReading:
        """The reading with what the encoders mean."""


# --- files ----------------------------------------------------------------------------------------------------------


def read_lens_table(path: Path) -> LensGrid:
    """The table in a YAML file, or in a CSV file (`.csv`): a header of `zoom`, `focus` and COLUMNS, a row a line,
    `# model: ...`, `# label: ...`, `# zoom_raw: 80 65447` and `# focus_raw: ...` as comments before it.

    Raises
    ------
    LensTableError : the file cannot be read, or is no table; every fault is named with its line.
    """
    try:
        stat = path.stat()
        return _read(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        detail = f"{path} cannot be read: {error.strerror}"
        raise LensTableError(
            Problem(LensTableError.code, "", detail, mend="correct the name or put the file there")
        ) from error


@lru_cache(maxsize=32)
def _read(path: Path, _mtime_ns: int, _size: int) -> LensGrid:
    data = path.read_bytes()
    document = _read_csv(data) if path.suffix.lower() == ".csv" else read_yaml(data)
    table, problems = validate(LensFile, document)
    if table is None:
        raise LensTableError(*problems)
    return grid_of(table, document.lines)


def encode_grid(grid: LensGrid) -> bytes:
    """A grid as msgpack bytes."""
    return msgspec.msgpack.encode(grid)


def decode_grid(data: bytes) -> LensGrid:
    """The grid of `encode_grid`'s bytes. Raises msgspec.ValidationError when they are none."""
    return msgspec.msgpack.decode(data, type=LensGrid)


def grid_of(table: LensFile, lines: Mapping[str, int] | None = None) -> LensGrid:
    """The grid a table's rows make, in whatever order they stand.

    Raises
    ------
    LensTableError : rows that make no grid; every fault is named, with its line where `lines` knows it.
    """
    problems: list[Problem] = []
    rows = [_values(row) for row in table.rows]
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    if not columns:
        problems.append(_problem("rows", "no row says anything about the lens", "give focal_length_mm"))
    for i, row in enumerate(rows):
        missing = [name for name in columns if name not in row]
        if missing:
            problems.append(
                _problem(f"rows/{i}", f"lacks {', '.join(missing)}, which other rows give", "give it in all rows")
            )
    for axis in ("zoom", "focus"):
        said = [getattr(row, axis) is not None for row in table.rows]
        if any(said) and not all(said):
            at = said.index(False)
            problems.append(_problem(f"rows/{at}", f"lacks {axis}, which other rows give", "give it in all rows"))
    if problems:
        raise LensTableError(*with_lines(problems, lines or {}))
    zoom_raw = table.zoom_raw or _ends(row.zoom for row in table.rows)
    focus_raw = table.focus_raw or _ends(row.focus for row in table.rows)
    found: dict[float, dict[float, tuple[int, tuple[float, ...]]]] = {}
    for i, (place, values) in enumerate(zip(table.rows, rows, strict=True)):
        zoom = normalised(place.zoom or 0.0, zoom_raw)
        focus = normalised(place.focus or 0.0, focus_raw)
        other = found.setdefault(zoom, {}).setdefault(focus, (i, tuple(values[name] for name in columns)))
        if other[0] != i:
            problems.append(
                _problem(f"rows/{i}", f"stands where row {other[0] + 1} stands already", "remove one of the two")
            )
    zooms = sorted(found)
    problems += _uneven(found)
    if problems:
        raise LensTableError(*with_lines(problems, lines or {}))
    return LensGrid(
        tuple(columns),
        tuple(zooms),
        tuple(tuple(sorted(found[zoom])) for zoom in zooms),
        tuple(tuple(found[zoom][focus][1] for focus in sorted(found[zoom])) for zoom in zooms),
        zoom_raw,
        focus_raw,
        table.model,
        table.label,
    )


def normalised(raw: float, ends: tuple[float, float]) -> float:
    """0 at the first end, 1 at the second."""
    return (raw - ends[0]) / (ends[1] - ends[0])


def _ends(raws: Iterable[float | None]) -> tuple[float, float]:
    known = [raw for raw in raws if raw is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    return (low, high) if low < high else (low, low + 1.0)


def _values(row: LensRow) -> dict[str, float]:
    out = {name: float(value) for name in COLUMNS[:3] if (value := getattr(row, name)) is not None}
    for names, values in (
        (RADIAL, row.radial),
        (TANGENTIAL, row.tangential),
        (OFFSETS[:2], row.distortion_offset_mm),
        (OFFSETS[2:], row.projection_offset_mm),
    ):
        out |= dict(zip(names, map(float, values or ()), strict=False))
    return out


def _uneven(found: Mapping[float, Mapping[float, tuple[int, tuple[float, ...]]]]) -> list[Problem]:
    """Every zoom must be measured over the same stretch of focus: beyond one row's end nothing could be said."""
    low = min(min(points) for points in found.values())
    high = max(max(points) for points in found.values())
    problems = []
    for points in found.values():
        first, last = points[min(points)][0], points[max(points)][0]
        if min(points) > low + SLACK:
            problems.append(_problem(f"rows/{first}", "this zoom is not measured down to the nearest focus of others",
                                     "measure every zoom position over the whole focus ring"))  # fmt: skip
        if max(points) < high - SLACK:
            problems.append(_problem(f"rows/{last}", "this zoom is not measured up to the farthest focus of others",
                                     "measure every zoom position over the whole focus ring"))  # fmt: skip
    return problems


def _problem(path: str, detail: str, mend: str) -> Problem:
    return Problem(LensTableError.code, path, detail, None, mend)


def _read_csv(data: bytes) -> Document:
    """A CSV table as the data a YAML file would hold, with its lines."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Document(
            {}, {}, (Problem("stage.bad_text", "", f"not UTF-8 at byte {error.start}", None, "save it so"),)
        )
    top: dict[str, object] = {"openvolume_lens": 1}
    rows: list[dict[str, object]] = []
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    header: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            key, _, value = line.lstrip("# ").partition(":")
            if key in ("label", "model"):
                top[key] = value.strip()
            elif key in ("zoom_raw", "focus_raw"):
                top[key] = [_number(part) for part in value.split()]
            lines[key] = number
            continue
        cells = next(csv.reader(io.StringIO(line)), [])
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = [cell.strip() for cell in cells]
            bad = [name for name in header if name not in ("zoom", "focus", *COLUMNS)]
            bad += [name for i, name in enumerate(header) if name in header[:i]]
            if bad:
                known = ", ".join(("zoom", "focus", *COLUMNS))
                problems.append(
                    Problem(LensTableError.code, "", f"no such column, or twice: {', '.join(bad)}", None,
                            f"use {known}", number)
                )  # fmt: skip
            continue
        if len(cells) != len(header):
            problems.append(
                Problem(LensTableError.code, "", f"{len(cells)} cells under {len(header)} columns", None,
                        "give a cell for every column; an empty one is allowed", number)
            )  # fmt: skip
            continue
        lines[f"rows/{len(rows)}"] = number
        rows.append(_csv_row({name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}))
    return Document({**top, "rows": rows}, lines, tuple(problems))


def _csv_row(cells: dict[str, str]) -> dict[str, object]:
    row: dict[str, object] = {name: _number(cell) for name, cell in cells.items() if name in COLUMNS[:3]}
    row |= {name: _number(cells[name]) for name in ("zoom", "focus") if name in cells}
    used = [i for i, name in enumerate(RADIAL) if name in cells]
    if used:
        row["radial"] = [_number(cells.get(name, "0")) for name in RADIAL[: used[-1] + 1]]
    for key, names in (
        ("tangential", TANGENTIAL),
        ("distortion_offset_mm", OFFSETS[:2]),
        ("projection_offset_mm", OFFSETS[2:]),
    ):
        if any(name in cells for name in names):
            row[key] = [_number(cells.get(name, "0")) for name in names]
    return row


def _number(cell: str) -> object:
    try:
        number = float(cell)
    except ValueError:
        return cell
    return number if isfinite(number) else cell


# --- monotone curves ------------------------------------------------------------------------------------------------


def monotone_slopes(x: Array, y: Array) -> Array:
    """Slopes, as `y`, of a cubic through points that rises and falls only where they do.

    x : [n] rising; y : [n, ...]. Fritsch-Carlson with Butland's weighted harmonic mean inside, a limited three-point
    formula at the ends (what is known as PCHIP).
    """
    n = len(x)
    if n == 1:
        return np.zeros_like(y)
    h = np.diff(x).reshape(-1, *([1] * (y.ndim - 1)))
    d = np.diff(y, axis=0) / h
    if n == 2:
        return np.concatenate([d, d])
    before, after = d[:-1], d[1:]
    w1, w2 = 2.0 * h[1:] + h[:-1], h[1:] + 2.0 * h[:-1]
    inner = _mean_slopes(before, after, w1, w2)
    first = _end_slope(h[0], h[1], d[0], d[1])
    last = _end_slope(h[-1], h[-2], d[-1], d[-2])
    return np.concatenate([first[None], inner, last[None]])


def _mean_slopes(before: Array, after: Array, w1: Array | float, w2: Array | float) -> Array:
    """Weighted harmonic mean of the slopes beside a point; 0 where they differ in sign: there it turns."""
    both = before * after
    mean = w1 * after + w2 * before
    return np.asarray(np.where(both > 0.0, (w1 + w2) * both / np.where(both > 0.0, mean, 1.0), 0.0))


def _end_slope(h0: Array, h1: Array, d0: Array, d1: Array) -> Array:
    slope = ((2.0 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
    turned = np.sign(slope) != np.sign(d0)
    steep = (np.sign(d0) != np.sign(d1)) & (np.abs(slope) > 3.0 * np.abs(d0))
    return np.where(turned, 0.0, np.where(steep, 3.0 * d0, slope))


def _hermite(x0: float, x1: float, y0: Array, y1: Array, m0: Array, m1: Array, x: float) -> Array:
    # In powers of the step from x0: exact on straight lines.
    h, s = x1 - x0, x - x0
    d = (y1 - y0) / h
    return y0 + s * (m0 + s / h * (3.0 * d - 2.0 * m0 - m1 + s / h * (m0 + m1 - 2.0 * d)))


class Curve:
    """A monotone cubic through points of rising x; never continued beyond them."""

    def __init__(self, x: Sequence[float], y: Array) -> None:
        self.x = [float(v) for v in x]
        self._y = np.asarray(y, dtype=np.float64)
        self._slopes = monotone_slopes(np.asarray(self.x), self._y)

    def at(self, x: float, begin: int | None = None, end: int | None = None) -> Array:
        """The value, as one of `y` (or the part of it from `begin` to `end`), at x, which is held at the ends."""
        xs, y, m = self.x, self._y, self._slopes
        part = slice(begin, end) if begin is not None else ...
        if x <= xs[0]:
            return np.asarray(y[0][part])
        if x >= xs[-1]:
            return np.asarray(y[-1][part])
        i = bisect_right(xs, x)
        return _hermite(xs[i - 1], xs[i], y[i - 1][part], y[i][part], m[i - 1][part], m[i][part], x)


def distortion_faults(grid: LensGrid, reach_mm: float) -> list[str]:
    """What is wrong with the distortion of a table for a picture that reaches so far from its centre, row by row."""
    faults = []
    for zoom, focuses, values in zip(grid.zooms, grid.focuses, grid.values, strict=True):
        for focus, row in zip(focuses, values, strict=True):
            radial = _fields_of(grid, np.array(row)).get("radial")
            fault = distortion_fault(radial, reach_mm) if isinstance(radial, tuple) else ""
            if fault:
                zoom_raw = grid.zoom_raw[0] + zoom * (grid.zoom_raw[1] - grid.zoom_raw[0])
                focus_raw = grid.focus_raw[0] + focus * (grid.focus_raw[1] - grid.focus_raw[0])
                faults.append(f"zoom {zoom_raw:g}, focus {focus_raw:g}: {fault}")
    return faults


class GridReader:
    """Reads a table at the encoders of each sample; the same encoders again cost nothing.

    zoom_raw, focus_raw: what this source's encoders say at the ends of the lens, when the table was made with others.
    """

    def __init__(
        self,
        grid: LensGrid,
        *,
        zoom_raw: tuple[float, float] | None = None,
        focus_raw: tuple[float, float] | None = None,
    ) -> None:
        self.grid = grid
        self._zoom_raw, self._focus_raw = zoom_raw or grid.zoom_raw, focus_raw or grid.focus_raw
        self._inverse = [i for i, name in enumerate(grid.columns) if name == "focus_distance_m"]
        self._zooms = list(grid.zooms)
        self._rows: list[Curve] = []
        tables = []
        for focuses, values in zip(grid.focuses, grid.values, strict=True):
            table = np.array(values, dtype=np.float64)
            table[:, self._inverse] = 1.0 / table[:, self._inverse]
            tables.append(table)
            self._rows.append(Curve(focuses, table))
        even = all(focuses == grid.focuses[0] for focuses in grid.focuses)
        self._sheet = Curve(grid.focuses[0], np.stack(tables, axis=1)) if even else None
        """All rows at once, [focus, zoom, column], where each is measured at the same focuses: four times quicker."""
        self._needs_zoom = len(grid.zooms) > 1
        self._needs_focus = any(len(points) > 1 for points in grid.focuses)
        self._said: tuple[float | None, float | None] | None = None
        self._fields: dict[str, object] = {}
        self._nothing = dict.fromkeys(_fields_of(grid, np.ones(len(grid.columns))))

    def apply(self, reading: LensReading) -> LensReading:
        """The reading with what the encoders mean; beyond the table without, and `fault` says where."""
        said = (reading.zoom_raw, reading.focus_raw)
        if said != self._said:
            self._said = said
            self._fields = self._look_up(*said)
        return msgspec.structs.replace(reading, **self._fields)

    def at(self, zoom: float, focus: float) -> Array:
        """Values of the grid's columns, [k], at normalised zoom and focus, held at the ends."""
        zooms, rows = self._zooms, self._rows
        if zoom <= zooms[0]:
            out = np.array(rows[0].at(focus))
        elif zoom >= zooms[-1]:
            out = np.array(rows[-1].at(focus))
        else:
            i = bisect_right(zooms, zoom)
            begin, end = max(0, i - 2), min(len(zooms), i + 2)
            y = self._across(focus, begin, end)
            a, b = i - 1 - begin, i - begin
            if end - begin == 4:
                # Away from the ends, where a moving zoom mostly is, two slopes are enough.
                x0, x1, x2, x3 = zooms[begin:end]
                h0, h1, h2 = x1 - x0, x2 - x1, x3 - x2
                d0, d1, d2 = (y[1] - y[0]) / h0, (y[2] - y[1]) / h1, (y[3] - y[2]) / h2
                m0 = _mean_slopes(d0, d1, 2.0 * h1 + h0, h1 + 2.0 * h0)
                m1 = _mean_slopes(d1, d2, 2.0 * h2 + h1, h2 + 2.0 * h1)
            else:
                m = monotone_slopes(np.asarray(zooms[begin:end]), y)
                m0, m1 = m[a], m[b]
            out = _hermite(zooms[i - 1], zooms[i], y[a], y[b], m0, m1, zoom)
        out[self._inverse] = 1.0 / out[self._inverse]
        return out

    def _across(self, focus: float, begin: int, end: int) -> Array:
        """Values of some rows at one focus, [rows, columns]."""
        if self._sheet is not None:
            return self._sheet.at(focus, begin, end)
        return np.stack([row.at(focus) for row in self._rows[begin:end]])

    def _look_up(self, zoom_raw: float | None, focus_raw: float | None) -> dict[str, object]:
        beyond = []
        place = []
        for name, raw, ends, needed, low, high in (
            ("zoom", zoom_raw, self._zoom_raw, self._needs_zoom, self._zooms[0], self._zooms[-1]),
            ("focus", focus_raw, self._focus_raw, self._needs_focus,
             min(row.x[0] for row in self._rows), max(row.x[-1] for row in self._rows)),
        ):  # fmt: skip
            if not needed:
                place.append(low)
                continue
            if raw is None or not isfinite(raw):
                beyond.append(f"no {name} encoder is sent")
                continue
            value = normalised(raw, ends)
            if not low - SLACK <= value <= high + SLACK:
                first, last = (ends[0] + v * (ends[1] - ends[0]) for v in (low, high))
                beyond.append(f"{name} {raw:g} lies beyond {first:g}..{last:g}")
            place.append(value)
        if beyond:
            return {**self._nothing, "fault": "; ".join(beyond)}
        return _fields_of(self.grid, self.at(*place))


def _fields_of(grid: LensGrid, values: Array) -> dict[str, object]:
    by_name = dict(zip(grid.columns, (float(v) for v in values), strict=True))
    fields: dict[str, object] = {name: by_name[name] for name in COLUMNS[:3] if name in by_name}
    used = [i for i, name in enumerate(RADIAL) if name in by_name]
    if used:
        fields["radial"] = tuple(by_name.get(name, 0.0) for name in RADIAL[: used[-1] + 1])
        fields["model"] = grid.model
    if "p1" in by_name:
        fields["tangential"] = (by_name["p1"], by_name["p2"])
    if "distortion_x_mm" in by_name:
        fields["distortion_offset_mm"] = (by_name["distortion_x_mm"], by_name["distortion_y_mm"])
    if "projection_x_mm" in by_name:
        fields["projection_offset_mm"] = (by_name["projection_x_mm"], by_name["projection_y_mm"])
    fields["fault"] = ""
    return fields


class CurvesReader:
    """The short tables of a configuration: each value by one encoder alone."""

    def __init__(self, table: LensTable) -> None:
        self._curves = [
            (name, encoder, Curve([row[0] for row in rows], np.array([row[1] for row in rows])))
            for name, encoder, rows in (
                ("focal_length_mm", "zoom", table.focal_length_mm),
                ("focus_distance_m", "focus", table.focus_distance_m),
                ("entrance_pupil_m", "zoom", table.entrance_pupil_m),
            )
            if rows
        ]
        self._said: tuple[float | None, float | None] | None = None
        self._fields: dict[str, object] = {}

    def apply(self, reading: LensReading) -> LensReading:
        """The reading with what the encoders mean; beyond a table without, and `fault` says where."""
        said = (reading.zoom_raw, reading.focus_raw)
        if said != self._said:
            self._said = said
            self._fields = self._look_up({"zoom": said[0], "focus": said[1]})
        return msgspec.structs.replace(reading, **self._fields)

    def _look_up(self, raws: Mapping[str, float | None]) -> dict[str, object]:
        fields: dict[str, object] = {}
        beyond: list[str] = []
        for name, encoder, curve in self._curves:
            raw, x = raws[encoder], curve.x
            slack = SLACK * (x[-1] - x[0])
            fields[name] = None
            if raw is None or not isfinite(raw):
                beyond.append(f"no {encoder} encoder is sent")
            elif not x[0] - slack <= raw <= x[-1] + slack:
                beyond.append(f"{encoder} {raw:g} lies beyond {x[0]:g}..{x[-1]:g}")
            else:
                fields[name] = float(curve.at(raw))
        fields["fault"] = "; ".join(dict.fromkeys(beyond))
        return fields
