"""Shows under the virtual clock: exact, the same again, and every fault of the house seen by a limit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from controller.timing.changes import Changer, Stretch, storm
from controller.timing.judging import Judge, judge_slots
from controller.timing.limits import Limits, load_limits
from controller.timing.played import played
from controller.timing.settings import Settings, configuration, settings_of
from controller.timing.virtual import Plot, VirtualShow, usual_cost
from controller.timing.virtual_run import run_virtual, wrong_versions
from runtime.clock import NS_PER_MS, NS_PER_S
from stage.rate import Rate

MINIMAL: Settings = settings_of("minimal", virtual=True, seconds_s=4.0, photos=0)


@pytest.fixture(scope="module")
def limits() -> Limits:
    return load_limits(None, "virtual")


def silent(_: str) -> None:
    pass


def test_the_demo_is_within_its_limits_and_the_same_again(limits: Limits) -> None:
    settings = settings_of("demo", virtual=True, photos=0, seconds_s=2.0)
    first, again = (run_virtual(settings, limits, silent) for _ in range(2))
    assert first.broken == []
    assert len(first.slots) == 48
    assert first.slots.own.all()
    assert first.plans_hash == again.plans_hash
    other = run_virtual(replace(settings, seed=1), limits, silent)
    assert other.plans_hash != first.plans_hash
    # The age is what the walls need, the drawing with its guard, and at most a sample's wait.
    age_ms = first.cameras["a"].photos.age_ms
    assert age_ms.min() > 100.0
    assert age_ms.max() < 160.0


def test_drawing_that_takes_longer_ages_the_pose_by_as_much(limits: Limits) -> None:
    """Many samples, so that waiting for one does not blur it."""
    ages = []
    for draw_ms in (5.0, 25.0):
        settings = settings_of("minimal", virtual=True, draw_ms=draw_ms, photos=0, samples="480", seconds_s=2.0)
        result = run_virtual(settings, limits, silent)
        assert result.broken == []
        ages.append(float(np.median(result.cameras["a"].photos.age_ms)))
    assert ages[1] - ages[0] == pytest.approx(20.0 * 1.05, abs=3.0)


@pytest.mark.parametrize("rate", ["23.976", "60", "120"])
def test_other_rates(rate: str, limits: Limits) -> None:
    result = run_virtual(settings_of("minimal", virtual=True, rate=rate, seconds_s=2.0, photos=0), limits, silent)
    assert result.broken == []
    assert len(result.slots) == pytest.approx(2.0 * float(rate), abs=1)


def test_every_load_keeps_every_slot_and_mixes_nothing(limits: Limits) -> None:
    result = run_virtual(replace(MINIMAL, loads=tuple(settings_of("minimal", loads="all").loads), seconds_s=10.0),
                         limits, silent)  # fmt: skip
    assert result.broken == [], [check.told() for check in result.broken]
    assert result.slots.own.all()
    assert result.loads["flood"]["changes"] > 10
    assert result.loads["config_storm"]["changes"] > 3
    assert result.loads["scene_reload"]["changes"] > 1


def stormy(count: int, seed: int = 0) -> tuple[VirtualShow, Changer]:
    show = VirtualShow(Plot(configuration(MINIMAL), seed=seed))
    random = Random(seed)
    stretch = Stretch(
        "storm",
        show.begin_ns,
        1 << 62,
        storm(show, seed, count=count),
        lambda: int(random.uniform(0.0, 0.2) * NS_PER_S),
    )
    return show, Changer(show, [stretch])


def ride_out(count: int, seed: int = 0) -> None:
    """Random applies, roll-backs, live changes and refused ones: every frame one version, every slot a picture."""
    show, changer = stormy(count, seed)
    with show:
        show.house.add("changes", changer)
        assert show.house.run_while(lambda: len(changer.done) < count, until_ns=show.begin_ns + 3600 * NS_PER_S)
        show.run_to(show.seconds(show.clock.now_ns()) + 1.0)
        result = played(show)
        kinds = Counter(done.kind for done in changer.done)
        assert set(kinds) == {"config", "live", "rollback"}
        assert any(done.refused for done in changer.done)
        assert all(done.refused == done.meant_to_be_refused for done in changer.done)
        assert all((done.frame is None) == done.refused for done in changer.done)
        assert wrong_versions(show.recording, changer) == 0
        assert show.painter.wrong == []
        assert result.whole.own.all(), result.whole.repeats()
        assert not result.whole.mixed.any()


def test_a_storm_of_changes() -> None:
    ride_out(60)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_1000_random_applies_and_roll_backs() -> None:
    ride_out(1000, seed=5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_hour(limits: Limits) -> None:
    settings = settings_of("minimal", virtual=True, seconds_s=3600.0, photos=0)
    result = run_virtual(settings, limits, silent)
    assert result.broken == [], [check.told() for check in result.broken]
    assert len(result.slots) == 86_400
    assert result.slots.own.all()


# --- limits that must break ---------------------------------------------------------------------------------------


def broken_names(settings: Settings, limits: Limits) -> set[str]:
    return {check.name for check in run_virtual(settings, limits, silent).broken}


def test_a_show_that_draws_too_slowly_breaks_its_limit(limits: Limits) -> None:
    names = broken_names(replace(MINIMAL, draw_ms=55.0), limits)
    assert "repeats_beyond_metronome_share" in names
    assert "age_beyond_wall_p99_frames" in names


def test_a_stricter_file_breaks_what_the_defaults_allow(limits: Limits) -> None:
    strict = limits.model_copy(update={"slip_p99_px": 0.01, "age_p99_ms": 50.0, "covered_share": 1.0})
    assert broken_names(MINIMAL, strict) == {"slip_p99_px", "age_p99_ms"}


def test_a_prediction_that_holds_still_is_seen(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: the newest sample, as if it were the photo's."""
    good = run_virtual(MINIMAL, limits, silent).cameras["a"].figures["slip_px"]["p50"]
    from tracking.inputs import TrackingInputs

    predict = TrackingInputs.predict

    def hold(self: TrackingInputs, camera: str, t_photo_ns: int, now_ns: int | None = None) -> object:
        newest = self.latest(camera)
        return predict(self, camera, t_photo_ns if newest is None else newest.t_sampled_ns, now_ns)

    monkeypatch.setattr(TrackingInputs, "predict", hold)
    held = run_virtual(MINIMAL, limits, silent).cameras["a"].figures["slip_px"]["p50"]
    assert held > 1.5 * good


def test_a_node_that_shows_another_frame_is_seen() -> None:
    show = VirtualShow(Plot(configuration(MINIMAL)))
    with show:
        draw = show.painter.draw

        def late(plan: object) -> None:
            draw(plan)  # type: ignore[arg-type]
            assert show.painter._drawn is not None
            show.painter._drawn = (show.painter._drawn[0] - 1, show.painter._drawn[1])

        show.painter.draw = late  # type: ignore[method-assign]
        show.run_to(1.0)
        assert len(show.painter.wrong) > 10


def test_a_conductor_that_carries_the_wrong_version_is_seen() -> None:
    show, changer = stormy(5)
    with show:
        show.house.add("changes", changer)
        show.house.run_while(lambda: len(changer.done) < 5, until_ns=show.begin_ns + 60 * NS_PER_S)
        show.run_to(show.seconds(show.clock.now_ns()) + 0.5)
        assert wrong_versions(show.recording, changer) == 0
        show.recording.show_version[-1] -= 1
        assert wrong_versions(show.recording, changer) == 1


def test_a_stalled_conductor_is_seen_but_loses_no_slot(limits: Limits) -> None:
    show = VirtualShow(Plot(configuration(MINIMAL)))
    with show:
        show.stall(2.0, 0.5)
        show.run_to(4.0)
        result = played(show)
        judge = Judge(limits)
        judge_slots(judge, result.whole)
        assert {check.name for check in judge.broken} == {"slots_without_plan_share"}
        assert result.age_at_latch_ms(2.5) is not None
        assert result.qualities(3.5, 4.0) == ["ok"]


def test_costs_are_seeded_and_near_what_was_asked() -> None:
    cost = usual_cost(Rate(24), 10.0, 3)
    costs = [cost(frame) for frame in range(200)]
    assert costs == [usual_cost(Rate(24), 10.0, 3)(frame) for frame in range(200)]
    assert np.mean(costs) == pytest.approx(10 * NS_PER_MS, rel=0.02)
    assert len(set(costs)) > 150
    assert usual_cost(Rate(60), None, 0)(0) == pytest.approx(Rate(60).period_ns * 0.4, rel=0.06)
