"""`openvolume bench wall`: figures that mean something, and a clear word about names that do not exist."""

from __future__ import annotations

import json

import pytest

from controller.bench import NAMES, bench_command
from controller.bench.wall import run


@pytest.mark.slow
def test_the_figures_are_whole_and_cost_follows_the_footprint() -> None:
    figures = run(rounds=3)
    json.dumps(figures)
    assert 0.5 < figures["ratio"] < 6.0
    reached = [entry["reached"] for entry in figures["rest"]]
    assert reached == sorted(reached, reverse=True)
    assert figures["rest"][-1]["ratio"] < 0.6 * figures["rest"][0]["ratio"]


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_command("nothing") == 2
    told = capsys.readouterr().err
    assert "'nothing'" in told
    for name in NAMES:
        assert name in told
