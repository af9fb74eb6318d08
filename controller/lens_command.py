"""`openvolume lens fit FILE ...`: lenses of other programs, or measured points, as OpenLensIO coefficients."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from calibration.lens_files import LensFileFound, read_lens_file
from calibration.lens_fit import LensFit, fit_lens
from controller.errors import BadValue
from stage.errors import Problem

WORST_PX = 1.0
"""More left over anywhere in the picture is worth a word."""
ODD_STRETCH = 0.005


def lens_fit_command(
    files: Sequence[Path],
    *,
    sensor_mm: str,
    squeeze: float = 1.0,
    model: str | None = None,
    width_px: int | None = None,
    height_px: int | None = None,
    out: Path | None = None,
    as_json: bool = False,
) -> int:
    """Fit every file and tell what is left over; with `out` also a lens table (YAML) of them all. The exit code.

    Raises
    ------
    BadValue, CalibrationError, LensTableError : something given that cannot be used.
    """
    width_mm, height_mm = _sensor(sensor_mm)
    chosen = _model(model)
    fits: list[tuple[Path, LensFileFound, LensFit]] = []
    for path in files:
        found = read_lens_file(path, width_px=width_px, height_px=height_px)
        fit = fit_lens(found.lens, sensor_width_mm=width_mm, sensor_height_mm=height_mm, squeeze=squeeze, model=chosen)
        fits.append((path, found, fit))
    if out is not None:
        _write(out, fits)
    if as_json:
        sys.stdout.write(json.dumps([_document(*one) for one in fits], indent=2) + "\n")
        return 0
    for one in fits:
        sys.stdout.write(_words(*one))
    if out is not None:
        sys.stdout.write(f"written to {out}\n")
    return 0


def _words(path: Path, found: LensFileFound, fit: LensFit) -> str:
    lens = fit.lens
    lines = [
        f"{path} ({found.kind})",
        f"  focal_length_mm: {lens.focal_length_mm:.4f}",
        f"  model: {lens.model}",
        f"  radial: [{', '.join(f'{v:.8g}' for v in lens.radial)}]",
        f"  tangential: [{', '.join(f'{v:.8g}' for v in lens.tangential)}]",
        f"  distortion_offset_mm: [{', '.join(f'{v:.5f}' for v in lens.distortion_offset_mm)}]",
        f"  projection_offset_mm: [{', '.join(f'{v:.5f}' for v in lens.projection_offset_mm)}]",
        f"  # left over: {fit.rms_px:.3f} px RMS, {fit.worst_px:.3f} px at worst ({1000 * fit.worst_mm:.2f} um)",
    ]
    if found.kind == "points":
        lines.append(f"  # the points lie {found.rms_px:.3f} px RMS from the lens through them")
    if fit.worst_px > WORST_PX:
        lines.append("  ! more than a pixel is left over: terms OpenLensIO lacks, or another sensor size or order")
    if abs(fit.stretch - 1.0) > ODD_STRETCH:
        lines.append(f"  ! pixels are {fit.stretch:.4f} times as high as wide: check --sensor and --squeeze")
    return "\n".join(lines) + "\n"


def _row(found: LensFileFound, fit: LensFit) -> dict[str, Any]:
    lens = fit.lens
    return {
        **found.at,
        "focal_length_mm": lens.focal_length_mm,
        "radial": list(lens.radial),
        "tangential": list(lens.tangential),
        "distortion_offset_mm": list(lens.distortion_offset_mm),
        "projection_offset_mm": list(lens.projection_offset_mm),
    }


def _document(path: Path, found: LensFileFound, fit: LensFit) -> dict[str, Any]:
    return {
        "file": str(path),
        "kind": found.kind,
        "model": fit.lens.model,
        **_row(found, fit),
        "rms_px": fit.rms_px,
        "worst_px": fit.worst_px,
        "stretch": fit.stretch,
    }


def _write(out: Path, fits: Sequence[tuple[Path, LensFileFound, LensFit]]) -> None:
    """A lens table of all fits. Raises BadValue, LensTableError: they cannot stand in one, or it cannot be written."""
    from ruamel.yaml import YAML

    from tracking.lens_table import LensTableError, read_lens_table

    models = {fit.lens.model for _, _, fit in fits}
    if len(models) > 1:
        raise _bad("--model", "the lenses come out in both directions", ", ".join(sorted(models)), "say du or ud")
    rows = [_row(found, fit) for _, found, fit in fits]
    document: dict[str, Any] = {"openvolume_lens": 1, "label": out.stem, "model": models.pop()}
    for name in ("zoom", "focus"):
        raw = [row[name] for row in rows if name in row]
        if raw and len(raw) != len(rows):
            raise _bad(name, f"some files tell {name}, others do not", None, f"name `{name}` (raw) in every file")
        if raw and min(raw) < max(raw):
            document[f"{name}_raw"] = [min(raw), max(raw)]
    if len({(row.get("zoom"), row.get("focus")) for row in rows}) < len(rows):
        raise _bad("FILE", "two files stand at the same encoders", None, "name `zoom` and `focus` (raw) in each")
    terms = max(len(row["radial"]) for row in rows)
    for row in rows:
        # Rows of a table give the same terms.
        row["radial"] += [0.0] * (terms - len(row["radial"]))
    document["rows"] = rows
    try:
        with out.open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump(document, file)
        read_lens_table(out)
    except LensTableError:
        # What does not load is not left lying about.
        out.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise _bad("--out", f"cannot be written: {error.strerror}", str(out), "another place") from error


def _sensor(text: str) -> tuple[float, float]:
    width, cross, height = text.lower().partition("x")
    try:
        size = float(width), float(height)
    except ValueError:
        size = (0.0, 0.0)
    if not cross or not all(1.0 <= v <= 200.0 for v in size):
        raise _bad("--sensor", "the active area in millimetres is needed", text, "--sensor 36x20.25")
    return size


def _model(text: str | None) -> Literal["Brown-Conrady D-U", "Brown-Conrady U-D"] | None:
    if text is None:
        return None
    if text.lower() in ("du", "d-u"):
        return "Brown-Conrady D-U"
    if text.lower() in ("ud", "u-d"):
        return "Brown-Conrady U-D"
    raise _bad("--model", "which way the polynomial runs", text, "du or ud")


def _bad(path: str, detail: str, value: object, mend: str) -> BadValue:
    return BadValue(Problem(BadValue.code, path, detail, value, mend))
