"""The limits of a timing run: defaults for every place, a file of one's own, and every fault in it told."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.timing.limits import LEAST, NAMES, TITLES, about, load_limits
from controller.timing.page import UNITS
from controller.timing.settings import TimingError


def test_every_place_has_every_figure() -> None:
    virtual, software, gpu = (load_limits(None, place) for place in ("virtual", "software_gl", "gpu"))
    assert virtual.repeats_beyond_metronome_share == 0.0
    assert gpu.repeats_beyond_metronome_share is not None
    assert software.repeats_beyond_metronome_share is not None
    assert gpu.repeats_beyond_metronome_share < software.repeats_beyond_metronome_share
    assert gpu.own_share_p99_ms == 1.0, "the budget of the controller's own share"
    for limits in (virtual, software, gpu):
        assert limits.slots_mixed == limits.slots_unreported == limits.repeats_without_reason == 0.0
    assert set(NAMES) >= LEAST


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_is_told_with_a_unit(name: str) -> None:
    assert len(about(name)) > 10
    assert name in TITLES, "people read a title"
    counted = name.startswith(("slots_", "repeats_without", "changes_", "processes_"))
    assert counted or name.endswith((*UNITS, "_share")), "a figure has its unit in its name"


def test_a_file_names_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("slip_p99_px: 2.5\nage_p99_ms: 90\nerror_p99_mm: null\n")
    default, mine = load_limits(None, "gpu"), load_limits(path, "gpu")
    assert (mine.slip_p99_px, mine.age_p99_ms, mine.error_p99_mm) == (2.5, 90.0, None)
    assert mine.covered_share == default.covered_share


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("slip_p99_px: 1\nslip_p99: 2\n", "stage.unknown_key", 2),
        ("covered_share: 2\n", "stage.", 1),
        ("age_p99_ms: .nan\n", "stage.not_finite", 1),
        ("age_p99_ms: fast\n", "stage.", 1),
        ("- 1\n", "stage.", None),
        ("a: [", "stage.", None),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, text: str, code: str, line: int | None) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(TimingError) as caught:
        load_limits(path, "virtual")
    assert caught.value.exit_code == 2
    (problem, *_) = caught.value.problems
    assert problem.code.startswith(code)
    assert line is None or problem.line == line


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TimingError) as caught:
        load_limits(tmp_path / "none.yaml", "gpu")
    assert caught.value.problems[0].path == "--limits"
