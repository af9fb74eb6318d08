"""Walls as a configuration describes them, compiled, drawn and photographed: the whole chain from YAML to photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.config import compile_config, load_config_text

COMMON = """
openvolume: 1
name: walls
rate: 24
cameras:
  a:
    sensor: {{mode: m, modes: {{m: {{width_mm: 28.0, height_mm: 15.75, width_px: 3840, height_px: 2160}}}}}}
    lens: {{focal_length_mm: 28.0}}
    inner_on: [main]
stage:
  eye_m: [0.0, 0.0, 1.6]
  panels:
    small: {{width_px: 96, height_px: 96, width_mm: 500, height_mm: 500, nits: 1500}}
  processors:
    p1: {{model: simulated}}
  walls:
    main: {wall}
  canvases:
    main:
      processor: p1
      width_px: {size[0]}
      height_px: {size[1]}
      encoding: {{transfer: pq, peak_nits: 1500, bits: 10, primaries: p3d65}}
      tiles:
{tiles}
"""

WHOLE = "        - {wall: main}"
HALVES = """        - {wall: main, wall_px: [0, 0, 480, 384], at_px: [0, 0], rotate: 90, flip: true}
        - {wall: main, wall_px: [480, 0, 288, 384], at_px: [384, 0], rotate: 180}"""
CASES = {
    "flat": ("{type: flat, panel: small, columns: 8, rows: 4, position_m: [0.0, 3.0, 0.5]}", (768, 384), WHOLE),
    "turned": ("{type: flat, panel: small, columns: 8, rows: 4, position_m: [0.0, 3.0, 0.5]}", (768, 480), HALVES),
    "leaning": (
        "{type: flat, panel: small, columns: 8, rows: 4, position_m: [0.3, 2.8, 0.6], pan_deg: -12, tilt_deg: 9}",
        (768, 384),
        WHOLE,
    ),
    "arc": (
        "{type: arc, panel: small, columns: 10, rows: 4, radius_m: 2.8, centre_m: [0.0, 0.0, 0.5]}",
        (960, 384),
        WHOLE,
    ),
    "ceiling": ("{type: ceiling, panel: small, columns: 6, rows: 6, centre_m: [0.0, 1.0, 3.2]}", (576, 576), WHOLE),
    "mesh": ("{type: mesh, file: sheet.obj, up: z, width_px: 768, height_px: 384, nits: 1500}", (768, 480), HALVES),
}


def sheet_obj() -> str:
    """A doubly curved sheet of 4 x 2 m that looks towards -Y, Z up, as an OBJ with UV."""
    columns, rows = 16, 8
    lines = []
    for r in range(rows + 1):
        for c in range(columns + 1):
            u, v = c / columns, r / rows
            x, z = (u - 0.5) * 4.0, 0.5 + v * 2.0
            lines.append(f"v {x} {3.0 - 0.09 * x * x - 0.3 * (z - 1.5) ** 2} {z}\nvt {u} {v}")
    for r in range(rows):
        for c in range(columns):
            a = r * (columns + 1) + c + 1
            b, d = a + 1, a + columns + 1
            lines.append(f"f {a}/{a} {b}/{b} {d + 1}/{d + 1} {d}/{d}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("lens", ["pinhole", "barrel"])
@pytest.mark.parametrize("case", CASES)
def test_a_configured_wall_shows_the_truth(case: str, lens: str, lenses, stands, tmp_path: Path) -> None:
    wall, size, tiles = CASES[case]
    (tmp_path / "sheet.obj").write_text(sheet_obj())
    text = COMMON.format(wall=wall, size=size, tiles=tiles)
    stage = compile_config(load_config_text(text, base_dir=tmp_path))
    place = stands(case, stage)
    rng = np.random.default_rng([list(CASES).index(case), lens == "barrel", 3])
    plan = place.plan(place.room.random_pose(rng), lenses[lens])
    found = place.gather(plan, width_px=640)
    assert found.inner_coverage > 0.4
    assert found.geometry.good, found.report()
    assert found.path.count > 500
    assert found.path.within(0.05, 0.15), found.report()
    place.release()
