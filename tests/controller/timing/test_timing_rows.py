"""Every row of the fault matrix that can be played under the virtual clock, and faults of ours that a row must find."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config import load_config
from controller.timing.limits import Limits, load_limits
from controller.timing.rows import PLAYABLE, play_row
from controller.timing.rows_clock import next_label
from controller.timing.settings import REAL_ONLY, ROWS, settings_of
from stage.rate import RATES
from stage.timecode import frames_per_day, timecode_at
from tracking.follower import Follower

QUICK = ("T1", "T2", "T4", "R6")
"""The others are played by `scripts/test --all`."""
MINIMAL = settings_of("minimal", virtual=True)


@pytest.fixture(scope="module")
def limits() -> Limits:
    return load_limits(None, "virtual")


def told(row: str, limits: Limits, protocol: str | None = None, config: str = "minimal") -> list[str]:
    result = play_row(row, settings_of(config, virtual=True, protocol=protocol), limits)
    assert result.checks
    assert result.row == row
    return [check.told() + " | " + check.words for check in result.checks if check.good is False]


def test_every_row_is_played_somewhere() -> None:
    assert set(PLAYABLE) | REAL_ONLY == set(ROWS)


@pytest.mark.parametrize("row", QUICK)
def test_rows_hold(row: str, limits: Limits) -> None:
    assert told(row, limits) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", PLAYABLE)
@pytest.mark.parametrize("protocol", ["opentrackio", "freed", "osc", "zmq_msgpack"])
def test_rows_hold_in_every_protocol(row: str, protocol: str, limits: Limits) -> None:
    assert told(row, limits, protocol) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", PLAYABLE)
def test_rows_hold_for_the_demo(row: str, limits: Limits) -> None:
    assert told(row, limits, config="demo") == []


# --- faults of ours -----------------------------------------------------------------------------------------------


def names(row: str, limits: Limits) -> set[str]:
    return {check.name for check in play_row(row, MINIMAL, limits).checks if check.good is False}


def test_a_source_that_is_called_lost_too_late_is_found(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracking.health.LOST_NS", 600_000_000)
    assert "lost_told_ms" in names("T1", limits)


def test_a_picture_that_jumps_when_its_source_returns_is_found(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Follower, "follow", lambda self, predicted, t_photo_ns, *, holding: predicted)
    assert "return_m_s" in names("T1", limits)


def test_gates_that_let_everything_in_are_found(limits: Limits, tmp_path: Path) -> None:
    text = load_config("minimal").source
    opened = (
        "      gates: {range_m: 10000, speed_m_s: 1000, turn_deg_s: 100000, settle_ms: 0}\n      camera: a\n\nscenes:"
    )
    assert "      camera: a\n\nscenes:" in text
    path = tmp_path / "open.yaml"
    path.write_text(text.replace("      camera: a\n\nscenes:", opened))
    result = play_row("T7", settings_of(str(path), virtual=True), limits)
    assert "last_good_kept" in {check.name for check in result.checks if check.good is False}


def test_a_node_that_falls_out_of_phase_is_found(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.timing.rows.HOOK_SHARE", 2.5)
    found = names("R6", limits)
    assert "one_each" in found
    assert "in_phase" in found


@pytest.mark.parametrize("name", ["23.976", "29.97", "59.94", "120"])
def test_labels_counted_one_by_one_are_the_labels(name: str) -> None:
    rate = RATES[name]
    for start in (0, frames_per_day(rate) - 40, 60 * 30 - 20, 600 * 30 - 20):
        label = timecode_at(rate, start)
        for frame in range(start + 1, start + 60):
            label = next_label(rate, label)
            assert label == timecode_at(rate, frame)
