"""Lens tables: monotone curves equal to scipy's, grids over zoom and focus, files and every fault of theirs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.config import LensTable, Source
from tracking.lens_table import (
    Curve,
    CurvesReader,
    GridReader,
    LensFile,
    LensTableError,
    decode_grid,
    encode_grid,
    grid_of,
    monotone_slopes,
    read_lens_table,
)
from tracking.mapping import mapping_of
from tracking.protocols.freed import FreeDPacket
from tracking.sample import LensReading, Sample, Stamp

points = st.lists(
    st.tuples(st.floats(0.01, 10.0), st.floats(-100.0, 100.0).map(lambda v: round(v, 3))), min_size=2, max_size=12
)


@given(points, st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_curves_equal_pchip(steps: list[tuple[float, float]], at: list[float]) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    x = np.cumsum([step for step, _ in steps])
    y = np.array([value for _, value in steps])
    oracle = interpolate.PchipInterpolator(x, y)
    curve = Curve(list(x), y)
    where = x[0] + np.array(at) * (x[-1] - x[0])
    got = np.array([float(curve.at(v)) for v in where])
    np.testing.assert_allclose(got, oracle(np.clip(where, x[0], x[-1])), atol=1e-9 * (1.0 + np.abs(y).max()))


@given(points, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_curves_never_leave_their_neighbours_and_never_turn(
    steps: list[tuple[float, float]], a: float, b: float
) -> None:
    x = np.cumsum([step for step, _ in steps])
    y = np.sort([value for _, value in steps])
    curve = Curve(list(x), y)
    low, high = (x[0] + v * (x[-1] - x[0]) for v in sorted((a, b)))
    assert curve.at(low) <= curve.at(high) + 1e-9
    i = int(np.clip(np.searchsorted(x, low, side="right"), 1, len(x) - 1))
    assert y[i - 1] - 1e-9 <= curve.at(low) <= y[i] + 1e-9


def test_slopes_of_columns_are_those_of_each() -> None:
    x = np.array([0.0, 0.2, 0.7, 1.0])
    y = np.random.default_rng(3).normal(size=(4, 5))
    together = monotone_slopes(x, y)
    for k in range(5):
        np.testing.assert_allclose(together[:, k], monotone_slopes(x, y[:, k]), atol=1e-12)


def zoom_lens(zooms: int = 7, focuses: int = 6, **changes: Any) -> LensFile:
    """A zoom of 20 to 100 mm that breathes, with a pupil and a barrel that follow the zoom; encoders 1000..61000 and
    60000..0 (near to far), rows in no order."""
    rows = [
        {"zoom": 1000.0 + 60_000.0 * z, "focus": 60_000.0 * (1.0 - f), **lens_at(z, f)}
        for z in np.linspace(0.0, 1.0, zooms).tolist()
        for f in np.linspace(0.0, 1.0, focuses).tolist()
    ]
    Random(1).shuffle(rows)
    top = {"openvolume_lens": 1, "zoom_raw": [1000.0, 61_000.0], "focus_raw": [60_000.0, 0.0]}
    return LensFile.model_validate_json(msgspec.json.encode({**top, "rows": rows, **changes}))


def lens_at(z: float, f: float) -> dict[str, Any]:
    focal = 20.0 * 5.0**z * (1.0 + 0.03 * (1.0 - f))
    return {
        "focal_length_mm": focal,
        "focus_distance_m": 1.0 / (1.0 - 0.999 * f),
        "entrance_pupil_m": 0.15 - 0.1 * z,
        "radial": [2e-4 * (1.0 - z) ** 2, 0.0, 1e-8],
        "tangential": [0.0, 1e-6],
        "distortion_offset_mm": [0.02 * z, -0.01],
        "projection_offset_mm": [0.0, 0.005 * z],
    }


def read(reader: GridReader | CurvesReader, zoom: float | None, focus: float | None) -> LensReading:
    return reader.apply(LensReading(zoom_raw=zoom, focus_raw=focus, f_stop=2.8))


def test_rows_come_back_exactly() -> None:
    table = zoom_lens()
    reader = GridReader(grid_of(table))
    for row in table.rows:
        got = read(reader, row.zoom, row.focus)
        assert got.focal_length_mm == pytest.approx(row.focal_length_mm, rel=1e-12)
        assert got.focus_distance_m == pytest.approx(row.focus_distance_m, rel=1e-9)
        assert got.entrance_pupil_m == pytest.approx(row.entrance_pupil_m, rel=1e-12)
        assert got.radial == pytest.approx(tuple(row.radial or ()), abs=1e-18)
        assert got.tangential == pytest.approx(tuple(row.tangential or ()), abs=1e-18)
        assert got.distortion_offset_mm == pytest.approx(row.distortion_offset_mm, abs=1e-15)
        assert got.projection_offset_mm == pytest.approx(row.projection_offset_mm, abs=1e-15)
        assert (got.model, got.fault, got.f_stop) == ("Brown-Conrady D-U", "", 2.8)


def test_between_rows_it_is_near_the_lens_and_monotone_in_zoom() -> None:
    reader = GridReader(grid_of(zoom_lens()))
    worst_focal = worst_dioptre = 0.0
    for f in np.linspace(0.0, 1.0, 23):
        focal = []
        for z in np.linspace(0.0, 1.0, 41):
            got = read(reader, 1000.0 + 60_000.0 * z, 60_000.0 * (1.0 - f))
            true = lens_at(z, f)
            assert got.focal_length_mm is not None
            assert got.focus_distance_m is not None
            focal.append(got.focal_length_mm)
            worst_focal = max(worst_focal, abs(got.focal_length_mm / true["focal_length_mm"] - 1.0))
            worst_dioptre = max(worst_dioptre, abs(1 / got.focus_distance_m - 1 / true["focus_distance_m"]))
        assert all(a < b for a, b in pairwise(focal))
    assert worst_focal < 2e-3  # seven rows for five times the focal length
    assert worst_dioptre < 1e-9  # linear in 1/m, as focus rings are


def test_another_encoder_box_reads_the_same_lens() -> None:
    grid = grid_of(zoom_lens())
    own = GridReader(grid)
    other = GridReader(grid, zoom_raw=(65_447.0, 80.0), focus_raw=(0.0, 1.0))
    for z in (0.0, 0.13, 0.5, 1.0):
        a = read(own, 1000.0 + 60_000.0 * z, 60_000.0 * 0.7)
        b = read(other, 65_447.0 + z * (80.0 - 65_447.0), 0.3)
        assert a.focal_length_mm == pytest.approx(b.focal_length_mm, rel=1e-12)


@pytest.mark.parametrize(
    ("zoom", "focus", "words"),
    [
        (300.0, 100.0, "zoom 300 lies beyond 1000..61000"),
        (70_000.0, 100.0, "zoom 70000 lies beyond 1000..61000"),
        (5000.0, -5000.0, "focus -5000 lies beyond 60000..0"),
        (5000.0, None, "no focus encoder is sent"),
        (float("nan"), 100.0, "no zoom encoder is sent"),
        (70_000.0, 70_000.0, "zoom 70000 lies beyond 1000..61000; focus 70000 lies beyond 60000..0"),
    ],
)
def test_beyond_its_ends_nothing_is_guessed(zoom: float | None, focus: float | None, words: str) -> None:
    got = read(GridReader(grid_of(zoom_lens())), zoom, focus)
    assert got.fault == words
    assert (got.focal_length_mm, got.focus_distance_m, got.radial, got.distortion_offset_mm) == (None,) * 4
    assert got.f_stop == 2.8


def test_a_slight_overrun_is_the_end() -> None:
    reader = GridReader(grid_of(zoom_lens()))
    assert read(reader, 700.0, 60_300.0).focal_length_mm == read(reader, 1000.0, 60_000.0).focal_length_mm


def test_a_prime_needs_no_zoom_and_a_fixed_lens_no_encoder() -> None:
    prime = GridReader(grid_of(LensFile.model_validate_json(msgspec.json.encode({
        "openvolume_lens": 1,
        "rows": [{"focus": f, "focal_length_mm": 50.0 + f / 100.0, "focus_distance_m": 1.0 + f} for f in (0, 10, 90)],
    }))))  # fmt: skip
    got = read(prime, None, 90.0)
    assert (got.focal_length_mm, got.focus_distance_m) == pytest.approx((50.9, 91.0))
    fixed = GridReader(grid_of(LensFile.model_validate_json(
        msgspec.json.encode({"openvolume_lens": 1, "rows": [{"focal_length_mm": 32.5}]})
    )))  # fmt: skip
    assert read(fixed, None, None).focal_length_mm == 32.5


def test_a_grid_travels() -> None:
    grid = grid_of(zoom_lens())
    assert decode_grid(encode_grid(grid)) == grid


CSV = """# label: Zoom 24-70
# model: Brown-Conrady U-D
# zoom_raw: 0 4095
zoom,focus,focal_length_mm,focus_distance_m,entrance_pupil_m,k1,k3,p1,p2
0,0,24.0,0.5,0.12,1e-4,2e-8,0,1e-6
0,1000,24.4,20,0.12,1e-4,2e-8,0,1e-6

4095,0,70.0,0.5,0.05,-1e-5,0,0,0
4095,1000,69.0,20,0.05,-1e-5,0,0,0
"""


def test_csv_and_yaml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "lens.csv").write_text(CSV)
    (tmp_path / "lens.yaml").write_text("""
openvolume_lens: 1
label: Zoom 24-70
model: Brown-Conrady U-D
zoom_raw: [0, 4095]
rows:
  - {zoom: 0, focus: 0, focal_length_mm: 24, focus_distance_m: 0.5, entrance_pupil_m: 0.12,
     radial: [1.0e-4, 0, 2.0e-8], tangential: [0, 1.0e-6]}
  - {zoom: 0, focus: 1000, focal_length_mm: 24.4, focus_distance_m: 20, entrance_pupil_m: 0.12,
     radial: [1.0e-4, 0, 2.0e-8], tangential: [0, 1.0e-6]}
  - {zoom: 4095, focus: 0, focal_length_mm: 70, focus_distance_m: 0.5, entrance_pupil_m: 0.05,
     radial: [-1.0e-5, 0, 0], tangential: [0, 0]}
  - {zoom: 4095, focus: 1000, focal_length_mm: 69, focus_distance_m: 20, entrance_pupil_m: 0.05,
     radial: [-1.0e-5, 0, 0], tangential: [0, 0]}
""")
    csv, yaml = (read_lens_table(tmp_path / f"lens.{kind}") for kind in ("csv", "yaml"))
    assert csv == yaml
    got = read(GridReader(csv), 0, 500)
    assert got.focal_length_mm == pytest.approx(24.2)
    assert got.radial == (1e-4, 0.0, 2e-8)
    assert got.model == "Brown-Conrady U-D"
    assert got.focus_distance_m == pytest.approx(2 / (1 / 0.5 + 1 / 20))


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("24.4,20", "24.4,many"), 6, "must be a valid number"),
        (("24.4,20", "-1,20"), 6, "must be greater than 0"),
        (("24.4,20,0.12", "24.4,20,"), 6, "lacks entrance_pupil_m, which other rows give"),
        (("0,1000,24.4", ",1000,24.4"), 6, "lacks zoom"),
        (("zoom,focus,focal_length_mm", "zoom,focus,focal"), 4, "no such column, or twice: focal"),
        (("24.4,20,0.12,1e-4", "24.4,20"), 6, "7 cells under 9 columns"),
        (("4095,1000,69.0", "4095,0,69.0"), 9, "stands where row 3 stands already"),
        (("4095,1000,69.0", "4095,500,69.0"), 9, "not measured up to the farthest focus"),
        (("# zoom_raw: 0 4095", "# zoom_raw: 9 9"), None, "the two ends of an encoder differ"),
        (("24.0,0.5", "inf,0.5"), 5, "must be a valid number"),
    ],
)
def test_faults_of_a_file_are_named_with_their_line(
    tmp_path: Path, change: tuple[str, str], line: int | None, words: str
) -> None:
    assert change[0] in CSV
    (tmp_path / "lens.csv").write_text(CSV.replace(*change))
    with pytest.raises(LensTableError) as caught:
        read_lens_table(tmp_path / "lens.csv")
    found = [p for p in caught.value.problems if words in p.detail]
    assert found, caught.value
    assert line is None or found[0].line == line
    assert all(p.mend for p in caught.value.problems)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LensTableError, match="cannot be read"):
        read_lens_table(tmp_path / "none.yaml")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(LensTableError, match="not UTF-8"):
        read_lens_table(tmp_path / "binary.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(LensTableError):
        read_lens_table(tmp_path / "empty.csv")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_named_faults(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name in ("any.csv", "any.yaml"):
        (folder / name).write_bytes(data)
        with pytest.raises(LensTableError) as caught:
            read_lens_table(folder / name)
        assert caught.value.problems


# --- in a source ----------------------------------------------------------------------------------------------------


def source(**changes: Any) -> Source:
    return Source.model_validate({"protocol": "freed", "listen": "127.0.0.1:1", "camera": "a", **changes})


def test_the_short_tables_of_a_configuration() -> None:
    table = {"focal_length_mm": [[0, 24.0], [1000, 70.0]], "focus_distance_m": [[0, 0.5], [500, 2.0], [1000, 20.0]]}
    reader = CurvesReader(LensTable.model_validate(table))
    assert read(reader, 500.0, 500.0).focal_length_mm == 47.0
    assert read(reader, 500.0, 500.0).focus_distance_m == 2.0
    middle = read(reader, 500.0, 750.0).focus_distance_m
    assert middle is not None
    assert 2.0 < middle < 11.0  # a curve that bends upwards, not the chord
    assert [read(reader, raw, 0.0).focal_length_mm for raw in (-5.0, 0.0, 1000.0, 1009.0)] == [24.0, 24.0, 70.0, 70.0]
    beyond = read(reader, 1100.0, 0.0)
    assert (beyond.focal_length_mm, beyond.focus_distance_m) == (None, 0.5)
    assert beyond.fault == "zoom 1100 lies beyond 0..1000"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "a file, or tables"),
        ({"file": "a.csv", "focal_length_mm": [[0, 24], [1, 70]]}, "not both"),
        ({"focal_length_mm": [[0, 24], [1, 70]], "zoom_raw": [0, 1]}, "belongs to a file"),
        ({"file": "a.csv", "zoom_raw": [5, 5]}, "ends of an encoder differ"),
    ],
)
def test_tables_that_cannot_be(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LensTable.model_validate(table)


def test_protocols_without_encoders_take_none() -> None:
    with pytest.raises(ValueError, match="carries no lens encoders"):
        source(protocol="zmq", listen="tcp://127.0.0.1:1", lens_table={"file": "a.csv"})


def test_a_packet_is_read_through_the_table() -> None:
    mapping = mapping_of("t", source(lens_table={"file": "lens.csv"}), lens_grid=grid_of(zoom_lens()))
    packet = FreeDPacket.from_units(
        camera_id=1, pan_deg=0.0, tilt_deg=0.0, roll_deg=0.0, x_mm=0.0, y_mm=0.0, z_mm=1500.0, zoom=31_000, focus=30_000
    )
    (sample,) = packet.samples(mapping, Stamp())
    assert isinstance(sample, Sample)
    assert sample.lens is not None
    assert sample.lens.focal_length_mm == pytest.approx(lens_at(0.5, 0.5)["focal_length_mm"], rel=2e-3)
    assert sample.lens.radial is not None


def test_a_distortion_no_lens_has_is_left_out() -> None:
    mapping = mapping_of("t", source())
    good = LensReading(focal_length_mm=35.0, radial=(-2e-4, 0.0, 1e-7), tangential=(1e-5, 0.0))
    assert mapping.believed(good) is good
    for radial in ((-0.2,), (0.0, -0.01), (float("nan"),), (0.5,)):
        got = mapping.believed(msgspec.structs.replace(good, radial=radial))
        assert (got.radial, got.tangential, got.focal_length_mm) == (None, None, 35.0)
        assert got.fault.startswith("distortion: ")
