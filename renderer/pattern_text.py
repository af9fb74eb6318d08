"""What test pictures say: rows of glyph numbers for the shader, of tiles and of told fields."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from renderer.canvas_mesh import CanvasMesh
from renderer.glyphs import numbers_of
from stage.compiled import CompiledStage
from stage.plan import FramePlan

LINE_CHARS: Final = 14
TILE_LINES: Final = 4
FIELD_CHARS: Final = 8
MOST_FIELDS: Final = 32
COUNT_CHARS: Final = 12
_NITS: Final = (
    0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 750.0, 1000.0,
    1250.0, 1500.0, 2000.0, 3000.0, 4000.0, 5000.0, 7500.0, 10000.0,
)  # fmt: skip
RANGE_CODES: Final = (0, 16, 32, 48, 64, 80, 96, 128, 896, 920, 940, 960, 980, 1000, 1012, 1023)
"""Of 10 bits: 64 and 940 are black and white of the legal range."""


def data_lines(stage: CompiledStage, canvas_id: str) -> dict[str, int]:
    """The data line, from 1, of each cabinet of a canvas: as many cabinets as a line carries, in the order the stage
    lists them. 0 where the processor's capacity is not known."""
    canvas = stage.canvases[canvas_id]
    processor = stage.processors.get(canvas.processor)
    line_px = (processor.load or {}).get("line_px", 0.0) if processor is not None else 0.0
    found: dict[str, int] = {}
    line, used_px = 1, 0
    for cabinet in stage.cabinets:
        if cabinet.canvas != canvas_id:
            continue
        px = cabinet.rect_px[2] * cabinet.rect_px[3]
        if line_px < px:
            found[cabinet.id] = 0
            continue
        if used_px + px > line_px:
            line, used_px = line + 1, 0
        used_px += px
        found[cabinet.id] = line
    return found


def tile_rows(mesh: CanvasMesh, stage: CompiledStage) -> NDArray[np.uint8]:
    """[tiles, TILE_LINES * LINE_CHARS + 2]  number, name, place on the canvas and data line of each tile; then the
    longest of all lines in signs, and the data line."""
    lines_of = data_lines(stage, mesh.canvas.id)
    place = {cabinet.id: cabinet.rect_px[:2] for cabinet in stage.cabinets}
    place |= {tile.id: tile.rect_px[:2] for tile in stage.meshes}
    rows = np.zeros((len(mesh.labels), TILE_LINES * LINE_CHARS + 2), dtype=np.uint8)
    for number, name in enumerate(mesh.labels):
        line = lines_of.get(name, 0)
        x, y = place[name]
        told = (str(number + 1), name, f"{x},{y}", f"LINE {line}" if line else mesh.canvas.id)
        for at, text in enumerate(told):
            rows[number, at * LINE_CHARS : (at + 1) * LINE_CHARS] = numbers_of(text, LINE_CHARS)
        rows[number, -2:] = min(LINE_CHARS, max(map(len, told))), line % 256
    # One size for all of them.
    rows[:, -2] = rows[:, -2].max(initial=1)
    return rows


def nit_steps(peak_nits: float) -> list[float]:
    """The luminances that are shown on a canvas: those up to its peak, and the peak."""
    steps = [nits for nits in _NITS if nits < peak_nits]
    return [*steps, peak_nits][-MOST_FIELDS:]


def field_rows(values: list[float] | tuple[float, ...]) -> NDArray[np.uint8]:
    """[fields, FIELD_CHARS + 1]  each value as text, then its length."""
    texts = [f"{value:g}" for value in values]
    return np.stack([np.append(numbers_of(text, FIELD_CHARS), len(text)) for text in texts]).astype(np.uint8)


def count_rows(plan: FramePlan) -> NDArray[np.uint8]:
    """[2, COUNT_CHARS + 1]  the frame's number and its time code, each with its length."""
    texts = (f"{plan.frame % 10**10}", plan.timecode or f"{plan.rate[0] / plan.rate[1]:.4g} FPS")
    return np.stack([np.append(numbers_of(text, COUNT_CHARS), min(COUNT_CHARS, len(text))) for text in texts]).astype(
        np.uint8
    )


def depth_rows() -> NDArray[np.uint8]:
    """[4, FIELD_CHARS + 1]  the names of the bands of `bit_depth`."""
    texts = ("10 BIT", "9 BIT", "8 BIT", "7 BIT")
    return np.stack([np.append(numbers_of(text, FIELD_CHARS), len(text)) for text in texts]).astype(np.uint8)
