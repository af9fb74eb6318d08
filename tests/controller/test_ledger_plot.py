"""The ledger's picture: its columns are the frames' own steps, and every ledger can be drawn."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from controller.ledger_plot import COLOURS, course_of, ledger_figure, save_figure, summary
from controller.ledger_record import FrameRecord, steps_ms
from stage.rate import Rate


@pytest.fixture(scope="module")
def kit() -> ModuleType:
    name = "ledgerkit"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "_ledgerkit.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def test_columns_are_the_steps_of_each_frame(kit: ModuleType) -> None:
    records = kit.a_ledger(50, draws_ms={20: 30.0}).latest(50)
    course = course_of(records)
    assert course.group == 1
    assert course.t_s == pytest.approx([frame / 24 for frame in range(50)])
    for row, record in zip(course.steps_ms, records, strict=True):
        assert row == pytest.approx(list(steps_ms(record) or ()))
        total_ns = record.nodes["main"].t_presented_ns - record.cameras["a"].t_received_ns
        assert row.sum() == pytest.approx(total_ns / 1e6)
    assert course.steps_ms[20, 3] == pytest.approx(30.0)
    assert course.lead_ms == pytest.approx([16.0] * 50)


def test_long_ledgers_are_grouped_and_keep_their_worst(kit: ModuleType) -> None:
    records = kit.a_ledger(4000, draws_ms={2001: 33.0}).latest(4000)
    course = course_of(records, most=400)
    assert course.group == 10
    assert len(course.t_s) == 400
    assert course.steps_ms[200, 3] < 20.0
    assert course.worst_ms[200] == pytest.approx(33.0, abs=1.0)
    assert np.isfinite(course.steps_ms).all()


def test_a_gap_between_runs_is_left_open(kit: ModuleType) -> None:
    records = kit.a_ledger(100).latest(100)
    course = course_of(records[:30] + records[60:])
    assert len(course.t_s) == 71
    assert np.isnan(course.steps_ms[30]).all()


def test_the_picture_shows_drawing_where_it_was_and_says_what_was_missed(kit: ModuleType, tmp_path: Path) -> None:
    ledger = kit.a_ledger(300, draws_ms={100: 30.0, 200: 28.0})
    records = ledger.latest(300)
    stall = (records[150].t_latched_ns, records[150].t_present_ns)
    path = tmp_path / "ledger.png"
    save_figure(ledger_figure(records, stalls=[stall], title="a run"), path)
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    blue = np.array([int(COLOURS["draw"][i : i + 2], 16) for i in (1, 3, 5)])
    share = (np.abs(picture - blue).max(axis=2) < 3).mean()
    assert share > 0.05, "drawing is most of the time, and must be seen to be"
    text = summary(records)
    assert "2 slots repeated an older picture, 2 of them because drawing was late" in text
    assert "most of it: drawing (12" in text


@pytest.mark.parametrize(
    "records",
    [
        [],
        [FrameRecord(1, t_present_ns=5)],
        [FrameRecord(frame, t_present_ns=frame * 40_000_000, presented=False, reason="fenced") for frame in range(3)],
    ],
)
def test_ledgers_that_know_nothing_can_be_drawn(records: list[FrameRecord], tmp_path: Path) -> None:
    for name in ("a.png", "a.svg"):
        save_figure(ledger_figure(records, rate=Rate(24)), tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000


def test_columns_without_a_picture_of_their_own_are_empty(kit: ModuleType) -> None:
    records = kit.a_ledger(20).latest(20)
    node = records[5].nodes["main"]
    records[5].nodes["main"] = type(node)(0, 0, node.t_presented_ns, 0, node.canvases)
    course = course_of(records)
    assert np.isnan(course.steps_ms[5]).all()
    assert np.isfinite(course.steps_ms[4]).all()
