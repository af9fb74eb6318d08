"""Values that move over time: curves, what each frame has, who takes over, and what it costs when nothing moves."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.addresses import find
from controller.commands import Command, apply
from controller.config import compile_config, load_config
from controller.planner import InnerLimits, Planner
from controller.show import CameraSettings, Show, first_show
from controller.surroundings import Surroundings
from controller.switching import Moment
from controller.transitions import FADED, FadeCurve, eased, numbers_of, show_at, with_numbers, with_transitions
from stage.plan import FramePlan
from stage.rate import Rate

CURVES = get_args(FadeCurve)
RATE = Rate(24000, 1001)
T0_NS = 5_000_000_123
NOW = Moment(1000, RATE.deadline_ns(T0_NS, 1000), RATE.deadline_ns(0, 1000), RATE)
AROUND = Surroundings(cameras=frozenset({"a"}), moment=NOW)
SHOW = Show(cameras={"a": CameraSettings()})
shares = st.floats(0.0, 1.0)


def present_ns(frame: int) -> int:
    return RATE.deadline_ns(T0_NS, frame)


def moving(
    show: Show, changes: dict[str, object], frames: int = 3, begin: int = 1100, curve: FadeCurve = "linear"
) -> Show:
    after, _ = apply(show, Command(changes), AROUND)
    return with_transitions(
        show, after, list(changes), frames=frames, curve=curve, moment=NOW, begin_ns=present_ns(begin)
    )


def ev(show: Show, frame: int, late_ns: int = 0) -> float:
    return show_at(show, present_ns(frame) + late_ns, RATE).exposure_ev


@given(st.sampled_from(CURVES), shares, shares)
def test_curves_rise_from_nothing_to_all(curve: FadeCurve, one: float, other: float) -> None:
    assert (eased(curve, 0.0), eased(curve, 1.0)) == (0.0, 1.0)
    assert (eased(curve, -0.5), eased(curve, 1.5)) == (0.0, 1.0)
    low, high = sorted((one, other))
    assert 0.0 <= eased(curve, low) <= eased(curve, high) + 1e-12 <= 1.0 + 2e-12


@given(st.sampled_from(("linear", "smooth", "s_curve")), shares)
def test_even_curves_look_the_same_from_both_ends(curve: FadeCurve, share: float) -> None:
    assert eased(curve, share) == pytest.approx(1.0 - eased(curve, 1.0 - share), abs=1e-9)


def test_a_transition_has_exactly_its_frames() -> None:
    show = moving(SHOW, {"exposure_ev": 4.0})
    assert show.exposure_ev == 4.0, "the show holds the end"
    assert [ev(show, n) for n in range(1098, 1105)] == pytest.approx([0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.0])
    # The clock is slewed by microseconds a frame: the frame counts, not the nanosecond.
    assert ev(show, 1101, late_ns=900_000) == ev(show, 1101)


def test_cut_at_end_waits() -> None:
    show = moving(SHOW, {"exposure_ev": 4.0}, curve="cut_at_end")
    assert [ev(show, n) for n in range(1099, 1105)] == [0.0, 0.0, 0.0, 0.0, 4.0, 4.0]


def test_nothing_is_made_when_nothing_moves() -> None:
    assert show_at(SHOW, present_ns(1000), RATE) is SHOW
    show = moving(SHOW, {"exposure_ev": 4.0})
    assert show_at(show, present_ns(1103), RATE) is show
    # What is done is left out when the next one begins.
    later = msgspec.structs.replace(NOW, frame=1200, t_present_ns=present_ns(1200))
    after = msgspec.structs.replace(show, eye_m=(1.0, 2.0, 3.0))
    show = with_transitions(
        show, after, ["outer/eye_m"], frames=2, curve="linear", moment=later, begin_ns=present_ns(1201)
    )
    assert [t.address for t in show.transitions] == ["outer/eye_m"]
    # What changes nothing is not kept.
    assert moving(SHOW, {"exposure_ev": 0.0}).transitions == []


def test_the_next_one_goes_on_from_where_it_is() -> None:
    show = moving(SHOW, {"exposure_ev": 4.0}, frames=99, begin=1001)
    there = ev(show, 1051)
    show = moving(show, {"exposure_ev": 0.0}, frames=9, begin=1051)
    assert len(show.transitions) == 1
    assert ev(show, 1051) == pytest.approx(there * 0.9)
    assert ev(show, 1060) == 0.0


def test_who_sets_a_value_takes_it_over_and_the_others_go_on() -> None:
    show = moving(SHOW, {"exposure_ev": 4.0, "cameras/a/soft_edge_deg": 5.0}, frames=99, begin=1001)
    taken, changes = apply(show, Command({"exposure_ev": 4.0}), AROUND)
    assert list(changes) == ["exposure_ev"], "the same value, but at once: a change"
    assert [t.address for t in taken.transitions] == ["cameras/a/soft_edge_deg"]
    assert ev(taken, 1001) == 4.0


@given(
    st.floats(-20.0, 20.0), st.floats(-20.0, 20.0), st.integers(0, 200), st.integers(-5, 210), st.sampled_from(CURVES)
)
def test_values_stay_between_their_ends(before: float, after: float, frames: int, step: int, curve: FadeCurve) -> None:
    show = moving(msgspec.structs.replace(SHOW, exposure_ev=before), {"exposure_ev": after}, frames=frames, curve=curve)
    value = ev(show, 1100 + step)
    assert min(before, after) - 1e-9 <= value <= max(before, after) + 1e-9
    assert step >= 0 or value == before
    assert step < frames or value == after


@pytest.mark.parametrize(
    "name", [name for name in CameraSettings.__struct_fields__ if FADED.fullmatch(f"cameras/a/{name}")]
)
def test_every_value_that_may_move_is_an_address_of_numbers(name: str) -> None:
    path = f"cameras/a/{name}"
    address, camera = find(path, AROUND)
    assert address.numeric
    moved = with_numbers(SHOW, path, (3.25,))
    assert (numbers_of(moved, path), address.read(moved, camera)) == ((3.25,), 3.25)
    assert not FADED.fullmatch("cameras/a/delay_ms")
    assert not FADED.fullmatch("scenes/x/sun/pan_deg")


def test_plans_have_what_lies_between_and_restarts_change_nothing() -> None:
    stage = compile_config(load_config("minimal"))
    first = first_show(stage, scenes=[])
    rate = stage.rate
    moment = Moment(0, rate.deadline_ns(T0_NS, 0), 0, rate)
    after = msgspec.structs.replace(first, exposure_ev=-2.0, eye_m=(1.0, 0.0, 1.7))
    show = with_transitions(
        first, after, ["exposure_ev", "outer/eye_m"],
        frames=3, curve="linear", moment=moment, begin_ns=rate.deadline_ns(T0_NS, 2),
    )  # fmt: skip

    def plans(planner: Planner, frames: range) -> list[FramePlan]:
        return [planner.plan(show, {}, frame=n, t_present_ns=rate.deadline_ns(T0_NS, n)) for n in frames]

    whole = plans(Planner(stage, InnerLimits()), range(8))
    assert [plan.exposure_ev for plan in whole] == pytest.approx([0.0, 0.0, -0.5, -1.0, -1.5, -2.0, -2.0, -2.0])
    assert whole[3].outer.eye_m == pytest.approx(
        (0.5 * 1.0 + stage.eye_m[0] * 0.5, stage.eye_m[1] / 2, (1.7 + stage.eye_m[2]) / 2)
    )
    successor = Planner(stage, InnerLimits())
    successor.remember(whole[3])
    assert plans(successor, range(4, 8)) == whole[4:]
