"""Dynamic resolution: down in small steps when drawing takes too long, up when it is safe, and never to and fro."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.config import compile_config, load_config
from controller.planner import InnerLimits, Planner
from controller.resolution import (
    MOST_AT_ONCE,
    PIXELS_A_STEP,
    RAISE_S,
    STEPS_PER_OCTAVE,
    DynamicResolution,
    ResolutionLimits,
)
from controller.show import CameraSettings, Show, first_show
from stage.compiled import CompiledStage
from stage.rate import Rate

RATE = Rate(50)
LIMITS = ResolutionLimits.of(ceiling=1.25, floor_=0.625, budget_share=0.75)
BUDGET_MS = 15.0


class Drawn:
    """A house that draws: what a frame takes depends on the steps its plan was made with."""

    def __init__(self, cost_ms: Callable[[int, int], float], limits: ResolutionLimits = LIMITS) -> None:
        self.resolution = DynamicResolution(RATE, limits)
        self.cost_ms, self.frame = cost_ms, 0
        self.steps: list[int] = []

    def draw(self, seconds: float, *, held: bool = False) -> list[int]:
        """The steps of every frame of so many seconds; reports come two frames late."""
        for _ in range(round(seconds * RATE.hz)):
            self.steps.append(self.resolution.decide(self.frame, held=held))
            reported = self.frame - 2
            if reported >= 0:
                cost_ms = self.cost_ms(reported, self.steps[reported])
                self.resolution.measured("node", reported, round(cost_ms * 1e6))
            self.frame += 1
        return self.steps[-round(seconds * RATE.hz) :]


def pixels(full_ms: float, fixed_ms: float = 0.0) -> Callable[[int, int], float]:
    return lambda frame, steps: fixed_ms + full_ms / PIXELS_A_STEP**steps


def test_limits_come_from_texels() -> None:
    assert LIMITS.steps_most == STEPS_PER_OCTAVE
    assert ResolutionLimits.of(ceiling=1.0, floor_=2.0, budget_share=0.5).steps_most == 0


def test_quick_enough_is_left_alone() -> None:
    assert set(Drawn(pixels(14.0)).draw(20.0)) == {0}


def test_too_slow_is_lowered_within_a_second_in_small_steps_until_it_fits() -> None:
    drawn = Drawn(pixels(25.0))
    steps = drawn.draw(1.0)
    assert 0 < max(np.diff(steps)) <= MOST_AT_ONCE
    assert drawn.cost_ms(0, steps[-1]) <= BUDGET_MS
    assert drawn.cost_ms(0, steps[-1] - 1) > BUDGET_MS
    assert drawn.resolution.draw_p99_ns <= drawn.resolution.budget_ns


def test_the_floor_holds_whatever_it_costs() -> None:
    assert Drawn(lambda frame, steps: 60.0).draw(10.0)[-1] == LIMITS.steps_most


def test_switched_off_nothing_is_lowered() -> None:
    assert set(Drawn(lambda frame, steps: 60.0, ResolutionLimits()).draw(10.0)) == {0}


def test_it_rises_one_step_at_a_time_and_only_after_its_wait() -> None:
    heavy = Drawn(lambda frame, steps: (25.0 if frame < 100 else 6.0) / PIXELS_A_STEP**steps)
    heavy.draw(2.0)
    lowered = heavy.steps[-1]
    assert lowered
    rising = np.array(heavy.draw(60.0))
    assert rising[-1] == 0
    changes = np.flatnonzero(np.diff(rising))
    assert set(np.diff(rising)[changes]) == {-1}
    assert np.diff(changes).min() >= RAISE_S * RATE.hz


@settings(max_examples=12, deadline=None)
@given(
    full_ms=st.floats(5.0, 60.0),
    fixed_ms=st.floats(0.0, 20.0),
    noise=st.floats(0.0, 0.09),
    seed=st.integers(0, 2**16),
)
def test_a_steady_load_settles_without_oscillation(full_ms: float, fixed_ms: float, noise: float, seed: int) -> None:
    """Once settled it stays: no frame of the last minute differs from the one before."""
    random = np.random.default_rng(seed)
    factors = 1.0 + noise * random.uniform(-1.0, 1.0, 8192)
    cost = pixels(full_ms, fixed_ms)
    drawn = Drawn(lambda frame, steps: cost(frame, steps) * factors[frame % 8192])
    drawn.draw(90.0)
    assert len(set(drawn.draw(60.0))) == 1


def test_a_picture_that_costs_more_than_its_pixels_is_tried_ever_more_seldom() -> None:
    """One step finer costs double: going up is wrong each time, and the wait doubles each time."""
    drawn = Drawn(lambda frame, steps: 10.0 if steps else 20.0)
    steps = np.array(drawn.draw(600.0))
    tries = np.flatnonzero((np.diff(steps) < 0) & (steps[1:] == 0))
    assert 2 <= len(tries) <= 8
    assert (np.diff(tries)[1:] > 1.5 * np.diff(tries)[:-1]).all()
    assert np.mean(steps == 0) < 0.02


def test_a_slow_frame_in_a_hundred_is_the_host() -> None:
    drawn = Drawn(lambda frame, steps: 40.0 if frame % 120 == 7 else 9.0)
    assert set(drawn.draw(30.0)) == {0}


def test_a_burst_that_recurs_is_a_p99_over_budget() -> None:
    drawn = Drawn(lambda frame, steps: (18.0 if frame % 20 == 0 else 8.0) / PIXELS_A_STEP**steps)
    steps = drawn.draw(20.0)
    assert 18.0 / PIXELS_A_STEP ** steps[-1] <= BUDGET_MS
    assert max(np.diff(steps)) == 1


def test_nothing_changes_while_held_and_the_slowest_node_counts() -> None:
    drawn = Drawn(pixels(25.0))
    assert set(drawn.draw(5.0, held=True)) == {0}
    assert drawn.draw(1.0)[-1] > 0
    two = DynamicResolution(RATE, LIMITS)
    for frame in range(200):
        two.decide(frame)
        two.measured("quick", frame, 1_000_000)
        two.measured("slow", frame, 16_000_000)
    assert two.lowered_steps > 0


def test_another_picture_is_judged_by_its_own_drawings() -> None:
    drawn = Drawn(lambda frame, steps: 25.0 if frame < 11 else 5.0)
    drawn.draw(0.24)
    drawn.resolution.expect(drawn.frame)
    assert set(drawn.draw(5.0)) == {0}


# --- in the plan ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage() -> CompiledStage:
    return compile_config(load_config("demo"))


def show_of(stage: CompiledStage, mode: str = "auto", take: str = "") -> Show:
    show = first_show(stage, scenes=[])
    return msgspec.structs.replace(show, cameras={"a": CameraSettings(overscan_mode=mode)}, take=take)  # type: ignore[arg-type]


def test_every_step_is_in_the_plan_and_coarser(stage: CompiledStage) -> None:
    planner = Planner(stage, InnerLimits(texels_per_led=2.0, max_side_px=16384))
    show = show_of(stage)
    widths, full = [], 0.0
    for frame in range(STEPS_PER_OCTAVE + 1):
        planner.lowered_steps = frame
        camera = planner.plan(show, {}, frame=frame, t_present_ns=frame * 10**7).cameras[0]
        assert camera.lowered_steps == frame
        widths.append(camera.raster_px[0])
        full = full or planner.texels_per_led("a")
        assert planner.texels_per_led("a") == pytest.approx(full * 2.0 ** (-frame / STEPS_PER_OCTAVE))
    assert (np.diff(widths) < 0).all()
    assert widths[-1] == pytest.approx(widths[0] / 2, abs=32)


def test_a_take_and_a_frozen_camera_keep_their_size_also_through_a_restart(stage: CompiledStage) -> None:
    planner = Planner(stage, InnerLimits())
    planner.lowered_steps = 2
    first = planner.plan(show_of(stage), {}, frame=0, t_present_ns=0)
    planner.lowered_steps = 5
    for held in (show_of(stage, "frozen"), show_of(stage, take="A001")):
        plan = planner.plan(held, {}, frame=1, t_present_ns=10**7)
        assert plan.cameras[0].lowered_steps == 2
        assert plan.cameras[0].raster_px == first.cameras[0].raster_px
    successor = Planner(stage, InnerLimits())
    successor.remember(plan)
    again = successor.plan(show_of(stage, "frozen"), {}, frame=2, t_present_ns=2 * 10**7)
    assert again.cameras[0].raster_px == first.cameras[0].raster_px
    assert planner.plan(show_of(stage), {}, frame=2, t_present_ns=2 * 10**7).cameras[0].lowered_steps == 5
