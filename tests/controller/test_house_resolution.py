"""Dynamic resolution in a whole show under a virtual clock: the plans get coarser, the pictures come in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from controller.resolution import PIXELS_A_STEP
from runtime.clock import NS_PER_MS
from stage.plan import FramePlan

Build = Callable[..., Any]


def dynamic_text(housekit: ModuleType) -> str:
    text: str = housekit.minimal_text()
    assert text.count("\n  scale: 8\n") == 1
    return text.replace("\n  scale: 8\n", "\n  scale: 8\n  dynamic: {enabled: true, floor_texels_per_led: 0.3}\n")


@pytest.fixture
def build(shm: Path, housekit: ModuleType) -> Iterator[Build]:
    """Shows that are ended at the end."""
    made: list[Any] = []

    def make(text: str, painter: Callable[[Any], Any], **options: Any) -> Any:
        folder = shm / str(len(made))
        folder.mkdir()
        made.append(housekit.VirtualShow(folder, text, painter=painter, **options))
        return made[-1]

    yield make
    for show in made:
        show.__exit__()


def slow_painter(housekit: ModuleType, full_ms: float) -> Callable[[Any], Any]:
    """Draws at a cost that follows the inner picture's pixels: `full_ms` when nothing is lowered."""

    class Slow(housekit.TimedPainter):  # type: ignore[misc, name-defined]
        def draw(self, plan: FramePlan) -> None:
            self.usual_ms = full_ms / PIXELS_A_STEP ** plan.cameras[0].lowered_steps
            super().draw(plan)

    def make(show: Any) -> Any:
        painter = Slow(show.clock)
        painter.canvases = tuple(show.stage.canvases)
        return painter

    return make


def test_what_cannot_be_drawn_in_time_is_drawn_coarser_until_it_can(build: Build, housekit: ModuleType) -> None:
    show = build(dynamic_text(housekit), painter=slow_painter(housekit, 55.0))
    show.run_to(700)
    plans, outcome = show.plans, show.outcome()
    steps = [plans[frame].cameras[0].lowered_steps for frame in range(701)]
    budget_ms = 0.75 * show.stage.rate.period_ns / NS_PER_MS
    assert steps[0] == 0
    assert show.painter.usual_ms <= budget_ms < show.painter.usual_ms * PIXELS_A_STEP
    # Settled: it has what it needs, and every frame is shown.
    assert steps[600:] == [steps[600]] * 101
    assert all(outcome[frame] == (frame, "none") for frame in range(200, 680))
    told = show.conductor_status().resolution
    assert (told.enabled, told.lowered_steps) == (True, steps[700])
    assert 0.0 < told.draw_p99_ms <= told.budget_ms
    # A successor goes on with it.
    show.kill_conductor()
    show.start_conductor()
    show.run_to(760)
    assert show.plans[755].cameras[0].lowered_steps == steps[700]


def test_a_rolling_take_keeps_its_size_and_without_leave_nothing_is_lowered(build: Build, housekit: ModuleType) -> None:
    rolling = build(dynamic_text(housekit), painter=slow_painter(housekit, 38.0), first={"take": "A001"})
    rolling.run_to(120)
    assert {plan.cameras[0].lowered_steps for plan in rolling.plans.values()} == {0}
    assert rolling.conductor_status().resolution.held
    ended = msgspec.structs.replace(rolling.first, version=2, take="")
    rolling.write(ended)
    rolling.prepare(ended)
    rolling.run_for(0.2)
    rolling.commit(2)
    rolling.run_to(240)
    assert rolling.plans[239].cameras[0].lowered_steps > 0
    plain = build(housekit.minimal_text(), painter=slow_painter(housekit, 38.0))
    plain.run_to(120)
    assert {plan.cameras[0].lowered_steps for plan in plain.plans.values()} == {0}
    assert not plain.conductor_status().resolution.enabled
