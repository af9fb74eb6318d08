"""From GO to the first changed frame: the plan's lead and one frame, whenever in a frame it comes; exact in virtual
time, and with a margin in a real show, read from its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from controller.bench.control import BAR_MS, _figures, _share, run
from runtime.clock import NS_PER_MS, NS_PER_S

PHASES = 12


@pytest.fixture
def show(shm: Path, housekit: ModuleType) -> Iterator[Any]:
    made = housekit.VirtualShow(shm, housekit.minimal_text())
    yield made
    made.__exit__()


def test_a_change_holds_from_the_next_latch_on_whenever_it_comes(show: Any) -> None:
    """GO reaches the conductor at twelve places of a frame; each is seen within the lead and one frame."""
    show.run_to(60)
    period_ns = show.stage.rate.period_ns
    held = show.first
    for n in range(PHASES):
        show.run_for((1.0 + n / PHASES) * period_ns / NS_PER_S)
        held = msgspec.structs.replace(held, version=held.version + 1, exposure_ev=float(n + 1))
        t_ns = show.clock.now_ns()
        show.write(held)
        show.prepare(held)
        show.commit(held.version)
        show.run_for(0.2)
        first = next(plan for plan in show.plans.values() if plan.exposure_ev == n + 1)
        before = show.plans[first.frame - 1]
        lead_ns = first.t_present_ns - first.t_latched_ns
        # What was latched before it came cannot have it; the next that is latched does.
        assert before.t_latched_ns <= t_ns + NS_PER_MS
        assert before.show_version < held.version == first.show_version
        assert first.t_present_ns - t_ns <= lead_ns + period_ns + NS_PER_MS


def test_no_change_overtakes_one_that_was_asked_for_earlier(show: Any) -> None:
    """Each version is the whole show: one that held before the one it was made of would take that back."""
    show.run_to(60)
    frame = max(show.plans) + 8
    for version, ev, at_frame in ((2, 1.0, frame), (3, 2.0, frame - 3), (4, 3.0, 0)):
        held = msgspec.structs.replace(show.first, version=show.first.version + version, exposure_ev=ev)
        show.write(held)
        show.prepare(held)
        show.commit(held.version, at_frame)
    show.run_for(0.6)
    assert [show.plans[n].exposure_ev for n in (frame - 2, frame - 1, frame)] == [show.first.exposure_ev] * 2 + [3.0]
    versions = [show.plans[n].show_version for n in sorted(show.plans)]
    assert versions == sorted(versions)


@pytest.mark.slow
@pytest.mark.timing
def test_go_and_sliders_are_on_the_walls_in_time() -> None:
    told: dict[str, Any] = {}
    for _ in range(3):
        told = run(goes=8, sets=12)
        # Getting ready takes milliseconds on a machine with room; tests of this kind may share theirs.
        if told["go"]["frames_beyond_lead"]["p50"] <= 1.5 and told["slider"]["to_presented_ms"]["p50"] <= BAR_MS:
            return
    raise AssertionError(told)


def test_figures_tell_what_is_late() -> None:
    one = {
        "presented_ms": 50.0, "frames": 1.2, "lead_frames": 0.4, "answered_ms": 5.0, "repeated": 0.0, "ready_ms": 2.0,
        "missed": 0.0,
    }  # fmt: skip
    told = _figures([one, {**one, "presented_ms": 90.0, "repeated": 1.0, "frames": 1.5, "missed": 1.0}])
    assert (told["changes"], told["to_presented_ms"]["max"], told["repeated"]) == (2, 90.0, 1)
    assert told["frames_beyond_lead"]["p50"] == pytest.approx(1.1)
    assert (told["whole_frames_beyond_lead"], told["latches_missed"]) == ({"1": 1, "2": 1}, 1)
    assert told["ready_ms"]["p95"] == 2.0
    # 2 ms of each 41.7 ms: requests that come then are late, strictly counted.
    assert _share([1.0, 3.0]) == 4.8
