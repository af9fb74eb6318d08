"""The output benchmark measures what it says: pictures that came whole through a ring."""

from __future__ import annotations

import shutil

import pytest

from controller.bench import NAMES, _lines, output


def test_it_runs_and_tells_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "output" in NAMES
    monkeypatch.setattr(output, "WIDTH", 256)
    monkeypatch.setattr(output, "HEIGHT", 128)
    figures = output.run(rounds=1, seconds_s=0.15, paced_s=0.4)
    assert figures["fps"]["copy"] > 100
    assert figures["ratio"]["writer"] > 0
    readers = {"python_reader"} | ({"c_reader"} if shutil.which("cc") else set())
    assert figures["at_60"].keys() == readers
    for told in figures["at_60"].values():
        assert 0 < told["fps"] <= told["written_fps"] * 1.05
        assert told["torn"] == 0
        assert 0 < told["delay_p50_ms"] <= told["delay_p99_ms"]
    assert figures["missing"].keys() == {"c_reader"} - readers


def test_figures_of_which_nothing_is_missing_are_printed() -> None:
    assert _lines({"copy": {"ms": 1.5}, "missing": {}}) == ["copy", "  ms  1.5", "missing"]
