"""The lead in the whole house, under a virtual clock: scenes swapped, slow frames, their cost in age and slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.messages import Committed
from controller.show import ActiveScene
from runtime.clock import NS_PER_MS
from stage.plan import FramePlan

COSTS_MS = {"slow": 31.0, "fast": 6.0, "huge": 39.0}
"""A tracker of 120 samples a second, in step with the frames: 25 ms are three of its samples."""
Build = Callable[..., Any]


@pytest.fixture
def build(shm: Path, housekit: ModuleType) -> Iterator[Build]:
    """A show whose scenes take as long to draw as COSTS_MS says."""
    made: list[Any] = []

    class ScenePainter(housekit.TimedPainter):
        def draw(self, plan: FramePlan) -> None:
            self.cost_ms.setdefault(plan.frame, sum(COSTS_MS[scene.id] for scene in plan.scenes))
            super().draw(plan)

    def painter(show: Any) -> Any:
        out = ScenePainter(show.clock)
        out.canvases = tuple(show.stage.canvases)
        return out

    def make(*scenes: str) -> Any:
        folder = shm / str(len(made))
        folder.mkdir()
        first = {"scenes": [ActiveScene(name) for name in scenes]}
        made.append(housekit.VirtualShow(folder, housekit.minimal_text(), painter=painter, first=first))
        return made[-1]

    yield make
    for show in made:
        show.__exit__()


def swap(show: Any, version: int, *scenes: str, frame: int = 0) -> int:
    """Ask for other scenes; the first frame that shows them."""
    changed = msgspec.structs.replace(show.first, version=version, scenes=[ActiveScene(name) for name in scenes])
    show.write(changed)
    show.prepare(changed)
    show.run_for(0.2)
    show.commit(version, frame)
    show.run_for(0.4)
    (committed,) = [a for a in show.answers() if isinstance(a, Committed) and a.version == version]
    return int(committed.frame)


def lost(show: Any) -> list[int]:
    return [frame for frame, (_, reason) in show.outcome().items() if reason != "none"]


def age_ms(show: Any, frames: range) -> float:
    """Mean age at the photo of the sample each plan was made from."""
    ages = [plan.cameras[0].t_photo_ns - plan.cameras[0].t_sampled_ns for plan in map(show.plans.get, frames)]
    return float(np.mean(ages)) / NS_PER_MS


def test_a_fast_scene_after_a_slow_one_is_younger_by_the_time_saved_and_costs_no_slot(build: Build) -> None:
    show = build("slow")
    show.run_to(200)
    swapped = swap(show, 2, "fast")
    show.run_to(swapped + 200)
    before, after = age_ms(show, range(swapped - 100, swapped)), age_ms(show, range(swapped + 100, swapped + 200))
    saved_ms = COSTS_MS["slow"] - COSTS_MS["fast"]
    assert before - after == pytest.approx(saved_ms, rel=0.15)
    assert lost(show) == []
    # Within seconds: all of it a second and a half after the switch.
    soon = age_ms(show, range(swapped + 40, swapped + 64))
    assert before - soon == pytest.approx(saved_ms, rel=0.15)


@pytest.mark.parametrize("heavy", ["slow", "huge"])
def test_a_slow_scene_after_a_fast_one_costs_no_slot(build: Build, heavy: str) -> None:
    """Nobody knows what it takes: the lead grows before the first frame of it is latched."""
    show = build("fast")
    show.run_to(200)
    swapped = swap(show, 2, heavy)
    show.run_to(swapped + 200)
    assert lost(show) == []
    plans = show.plans
    leads_ms = [(plans[f].t_present_ns - plans[f].t_latched_ns) / NS_PER_MS for f in sorted(plans)]
    assert leads_ms[swapped - 1] < 10.0
    assert leads_ms[swapped] == pytest.approx(1000 / 24, abs=0.1)
    assert leads_ms[swapped + 60] == pytest.approx(min(1000 / 24, COSTS_MS[heavy] + 2.5), abs=0.1)
    assert plans[swapped].scenes[0].id == heavy
    assert plans[swapped - 1].scenes[0].id == "fast"


def test_a_scene_known_from_before_needs_no_caution(build: Build) -> None:
    show = build("fast")
    show.run_to(120)
    swap(show, 2, "slow")
    show.run_to(220)
    back = swap(show, 3, "fast")
    show.run_to(back + 60)
    again = swap(show, 4, "slow")
    show.run_to(again + 60)
    assert lost(show) == []
    plans = show.plans
    leads_ms = {f: (plan.t_present_ns - plan.t_latched_ns) / NS_PER_MS for f, plan in plans.items()}
    assert leads_ms[back + 59] == pytest.approx(COSTS_MS["fast"] + 2.5, abs=0.1)
    for frame in range(again, again + 60):
        assert leads_ms[frame] == pytest.approx(COSTS_MS["slow"] + 2.5, abs=0.1)


def test_a_dissolve_draws_both_and_loses_nothing(build: Build) -> None:
    show = build("fast")
    show.run_to(150)
    both = swap(show, 2, "fast", "slow")
    show.run_to(both + 60)
    alone = swap(show, 3, "slow")
    show.run_to(alone + 100)
    assert lost(show) == []


def test_a_named_frame_is_kept_and_the_lead_has_grown_by_then(build: Build) -> None:
    show = build("fast")
    show.run_to(200)
    assert swap(show, 2, "slow", frame=212) == 212
    show.run_to(300)
    assert show.plans[212].scenes[0].id == "slow"
    assert show.plans[211].scenes[0].id == "fast"
    assert lost(show) == []


def test_many_scenes_asked_for_at_once_come_in_their_order(build: Build) -> None:
    show = build("fast")
    show.run_to(150)
    for version, name in ((2, "slow"), (3, "huge"), (4, "fast"), (5, "slow")):
        changed = msgspec.structs.replace(show.first, version=version, scenes=[ActiveScene(name)])
        show.write(changed)
        show.prepare(changed)
    show.run_for(0.2)
    for version in (2, 3, 4, 5):
        show.commit(version)
    show.run_to(230)
    frames = {a.version: a.frame for a in show.answers() if isinstance(a, Committed)}
    assert list(frames) == [2, 3, 4, 5]
    assert sorted(frames.values()) == list(frames.values())
    assert show.plans[229].scenes[0].id == "slow"
    assert lost(show) == []


def test_a_slider_changes_no_lead(build: Build) -> None:
    show = build("fast")
    show.run_to(150)
    changed = msgspec.structs.replace(show.first, version=2, exposure_ev=1.0)
    show.write(changed)
    show.prepare(changed)
    show.run_for(0.2)
    show.commit(2)
    show.run_to(220)
    plans = show.plans
    assert plans[219].exposure_ev == 1.0
    leads = {plans[f].t_present_ns - plans[f].t_latched_ns for f in range(60, 220)}
    assert len(leads) == 1


def test_one_stall_costs_one_slot_and_a_second_of_age(build: Build) -> None:
    show = build("fast")
    show.run_to(100)
    show.painter.cost_ms[150] = 60.0
    show.run_to(260)
    assert 1 <= len(lost(show)) <= 2
    plans = show.plans
    leads_ms = {f: (plans[f].t_present_ns - plans[f].t_latched_ns) / NS_PER_MS for f in range(100, 260)}
    calm_ms = leads_ms[140]
    raised = [f for f, lead_ms in leads_ms.items() if lead_ms > calm_ms + 1.0]
    assert raised
    assert max(raised) < 150 + 32


@pytest.mark.parametrize(("ahead_ms", "drawing_ms"), [(15.0, 12.0), (5.0, 6.0), (12.0, 24.0)])
def test_what_is_drawn_ahead_makes_no_frame_older(
    shm: Path, housekit: ModuleType, ahead_ms: float, drawing_ms: float
) -> None:
    """Between two frames there is time for both: the lead is what the frame alone needs."""

    def painter(show: Any) -> Any:
        out = housekit.TimedPainter(show.clock, usual_ms=drawing_ms)
        out.canvases, out.ahead_ms = tuple(show.stage.canvases), ahead_ms
        return out

    with housekit.VirtualShow(shm, housekit.minimal_text(), painter=painter) as show:
        show.run_to(200)
        plans = show.plans
        leads_ms = [(plans[f].t_present_ns - plans[f].t_latched_ns) / NS_PER_MS for f in range(100, 200)]
        assert max(leads_ms) == pytest.approx(drawing_ms + 2.5, abs=0.1)
        assert lost(show) == []
        assert show.painter.looked_ahead >= 190


def test_what_there_is_no_time_to_draw_ahead_is_put_off(shm: Path, housekit: ModuleType) -> None:
    def painter(show: Any) -> Any:
        out = housekit.TimedPainter(show.clock, usual_ms=30.0)
        out.canvases, out.ahead_ms = tuple(show.stage.canvases), 15.0
        return out

    with housekit.VirtualShow(shm, housekit.minimal_text(), painter=painter) as show:
        show.run_to(300)
        # Once in a while it is done all the same: all of it at once would be worse.
        assert 20 < show.painter.looked_ahead < 60
        assert len(lost(show)) < 60


def test_drawing_ahead_goes_on_after_a_stretch_without_time_for_it(shm: Path, housekit: ModuleType) -> None:
    """Frames that drew the whole outer picture, because there was no time to draw it ahead, do not make it stay so."""
    pieces, piece_ms = 4, 5.0

    def painter(show: Any) -> Any:
        class Painter(housekit.TimedPainter):  # type: ignore[misc, name-defined]
            """22 ms a frame, and 5 ms for each piece of the outer picture that was not drawn ahead."""

            missing = pieces
            took_ms: dict[int, float] = {}

            def draw(self, plan: Any) -> None:
                cost_ms = 39.5 if 150 <= plan.frame < 190 else 22.0
                if plan.outer.drawn_frame == plan.frame:
                    cost_ms, self.missing = cost_ms + piece_ms * self.missing, pieces
                self.cost_ms[plan.frame] = self.took_ms[plan.frame] = cost_ms
                super().draw(plan)

            def ahead(self, most: int) -> int:
                super().ahead(most)
                if self.missing:
                    self.missing -= 1
                    self.clock.sleep_until(self.clock.now_ns() + int(piece_ms * NS_PER_MS))
                return 1

        out = Painter(show.clock)
        out.canvases = tuple(show.stage.canvases)
        return out

    text = housekit.minimal_text().replace("\nrender:\n", "\nrender:\n  outer_every_frames: 8\n")
    with housekit.VirtualShow(shm, text, painter=painter) as show:
        show.run_to(400)
        took_ms = show.painter.took_ms
        assert max(took_ms.get(frame, 0.0) for frame in range(150, 190)) > 44.0
        assert max(took_ms.get(frame, 0.0) for frame in range(240, 400)) == 22.0
        assert [frame for frame in lost(show) if frame > 195] == []


def test_a_configuration_that_draws_the_same_changes_no_lead(build: Build, housekit: ModuleType) -> None:
    show = build("fast")
    show.run_to(150)
    loaded = housekit.loaded_of(housekit.minimal_text(prediction="off"))
    changed = msgspec.structs.replace(show.first, version=2, config_version=2)
    show.write(changed, loaded)
    show.prepare(changed)
    show.prepare(changed, to="main")
    show.run_for(0.4)
    show.commit(2)
    show.run_to(250)
    plans = show.plans
    assert plans[249].config_version == 2
    leads = {plans[f].t_present_ns - plans[f].t_latched_ns for f in range(60, 250)}
    assert len(leads) == 1
    assert lost(show) == []


def test_a_configuration_that_draws_something_else_is_met_with_caution(build: Build, housekit: ModuleType) -> None:
    show = build("fast")
    show.run_to(150)
    loaded = housekit.loaded_of(housekit.minimal_text().replace("scale: 8", "scale: 8\n  shadow_px: 512"))
    changed = msgspec.structs.replace(show.first, version=2, config_version=2)
    show.write(changed, loaded)
    show.prepare(changed)
    show.prepare(changed, to="main")
    show.run_for(0.4)
    show.commit(2)
    show.run_to(250)
    plans = show.plans
    first = min(f for f, plan in plans.items() if plan.config_version == 2)
    leads_ms = [(plans[f].t_present_ns - plans[f].t_latched_ns) / NS_PER_MS for f in sorted(plans)]
    assert leads_ms[first] == pytest.approx(1000 / 24, abs=0.1)
    assert lost(show) == []
