"""The libraries: every panel and processor, against the reference tables they were made from."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from stage.config import CanvasConfig, PanelConfig, ProcessorConfig, TileConfig
from stage.errors import Problem
from stage.panels import panel_library, panels_of
from stage.processors import line_capacity_px, load_of, pixel_limits, processor_library
from stage.rate import RATES, Rate


def test_panels_are_those_of_the_table(reference: Path) -> None:
    rows = [
        r for r in csv.DictReader((reference / "output/panels.csv").read_text().splitlines()) if r["maker"] != "generic"
    ]
    library = {(p.maker, p.model): p for p in panel_library().values()}
    assert len(library) == len(rows)
    for row in rows:
        panel = library[row["maker"], row["model"].replace(" (floor)", "")]
        assert (panel.width_mm, panel.height_mm) == (float(row["width_mm"]), float(row["height_mm"]))
        assert (panel.width_px, panel.height_px) == (int(row["px_w"]), int(row["px_h"]))
        assert panel.nits == (float(row["nits"]) if row["nits"] else None)
        assert panel.confidence == row["confidence"]


def test_pitch_comes_from_pixels_never_from_the_rounded_figure() -> None:
    library = panel_library()
    for name, panel in panels_of({}).items():
        published = library[name].pitch_published_mm
        assert panel.pitch_mm == pytest.approx(panel.width_m * 1000.0 / panel.width_px)
        if published is not None:
            assert panel.pitch_mm == pytest.approx(published, rel=0.01)
    # 500 mm / 2.84 mm would be 176.06 LEDs.
    assert panels_of({})["roe_bp2v2"].pitch_mm != 2.84


def test_own_panels_go_before_the_library() -> None:
    own = PanelConfig(width_mm=600, height_mm=300, width_px=100, height_px=50)
    panels = panels_of({"roe_bp2v2": own, "mine": own})
    assert panels["roe_bp2v2"].width_px == 100
    assert panels["mine"].name == "mine"
    assert "roe_cb5_mkii" in panels


def test_processors_are_those_of_the_table(reference: Path) -> None:
    rows = {r["model"]: r for r in csv.DictReader((reference / "output/processors.csv").read_text().splitlines())}
    library = processor_library()

    def check(name: str, model: str) -> None:
        row, ours = rows[model], library[name]
        if row["max_px_60hz"]:
            assert ours.max_px == int(row["max_px_60hz"])
        if row["px_rate_limit"]:
            assert ours.px_per_s == int(row["px_rate_limit"])
        if row["port_px_8bit_60hz"]:
            assert ours.line_px == int(row["port_px_8bit_60hz"])
        if "x" in row["max_canvas"] and " " not in row["max_canvas"]:
            assert f"{ours.max_width_px}x{ours.max_height_px}" == row["max_canvas"]

    check("brompton_tessera_sx40", "Tessera SX40")
    check("brompton_tessera_s8", "Tessera S8")
    check("brompton_tessera_m2", "Tessera M2")
    check("megapixel_helios", "HELIOS")
    check("novastar_mx40_pro", "MX40 Pro")
    check("novastar_mx30", "MX30")
    check("novastar_mx20", "MX20 / KU20")
    check("novastar_mx_fibre_card", "MX 4x10G or 1x40G fibre output card")
    check("colorlight_z", "Z / X series")


@pytest.mark.parametrize(("rate", "most_px"), [(24, 9_000_000), (60, 9_000_000), (120, 4_500_000)])
def test_the_sx40_holds_its_pixel_rate(rate: int, most_px: int) -> None:
    sx40 = processor_library()["brompton_tessera_sx40"]
    px, per_second = pixel_limits(sx40, Rate(rate))
    assert px is not None
    assert per_second is not None
    assert min(px, per_second // rate) == most_px


def test_lines_carry_less_at_more_frames_and_bits() -> None:
    sx40 = processor_library()["brompton_tessera_sx40"]
    assert line_capacity_px(sx40, Rate(60), 8) == 525_000
    assert line_capacity_px(sx40, Rate(24), 8) == 525_000
    assert line_capacity_px(sx40, Rate(120), 8) == 262_500
    assert line_capacity_px(sx40, Rate(60), 10) == 420_000
    assert line_capacity_px(processor_library()["megapixel_helios"], Rate(60), 8) is None
    # The published panels per line of a Black Pearl.
    assert 525_000 // (176 * 176) == 16


def load(
    model: str, width_px: int, height_px: int, *, rate: str = "60", lines: int | None = None, panel_px: int = 30976
) -> tuple[dict[str, float], list[Problem]]:
    canvas = CanvasConfig(processor="led", width_px=width_px, height_px=height_px, tiles=[TileConfig(wall="w")])
    problems: list[Problem] = []
    processor = load_of(
        "led", ProcessorConfig(model=model, data_lines=lines), processor_library()[model], ("c", canvas),
        rate=RATES[rate], panel_px={panel_px: width_px * height_px // panel_px}, delay_ms=0.0, problems=problems,
    )  # fmt: skip
    return processor.load, problems


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (("brompton_tessera_sx40", 4224, 1760, "60", None), "canvas width 4,224 is over the 4,096"),
        (("brompton_tessera_sx40", 4000, 2200, "60", None), "canvas height 2,200 is over the 2,160"),
        (("brompton_tessera_sx40", 3520, 1760, "120", None), "is over the 540,000,000"),
        (("brompton_tessera_m2", 1936, 1056, "50", None), "canvas width 1,936 is over the 1,920"),
        (("novastar_mx20", 3611, 1080, "120", None), "pixels a second at 120 467,985,600 is over the 233,992,800"),
        (("brompton_tessera_sx40", 2112, 1760, "60", 7), "needed: 8 is over the 7"),
    ],
)
def test_over_capacity_is_refused_with_both_numbers(case: tuple, said: str) -> None:
    model, width, height, rate, lines = case
    _, problems = load(model, width, height, rate=rate, lines=lines)
    assert problems
    assert all(p.code == "stage.over_capacity" and p.mend for p in problems)
    assert any(said in p.detail for p in problems), [str(p) for p in problems]


def test_a_panel_larger_than_a_line_is_refused() -> None:
    _, problems = load("brompton_tessera_sx40", 1000, 1000, panel_px=600_000)
    assert [p.code for p in problems] == ["stage.over_capacity"]
    assert "600,000 px is over the 525,000" in problems[0].detail


def test_the_load_is_told() -> None:
    figures, problems = load("brompton_tessera_sx40", 2112, 1760, rate="24", lines=8)
    assert not problems
    assert figures["px"] == 2112 * 1760
    assert figures["px_per_s"] == 2112 * 1760 * 24
    # 120 panels, 16 on a line.
    assert figures["lines_used"] == 8
    assert figures["share"] == 1.0


def test_unknown_limits_are_not_made_up() -> None:
    figures, problems = load("colorlight_z", 8000, 4000)
    assert not problems
    assert figures["share"] == 0.0
    assert "lines_used" not in figures
