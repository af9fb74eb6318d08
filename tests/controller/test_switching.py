"""From scene to scene: what every frame of a switch shows, and what orders are refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.carrying import settle
from controller.commands import Command, apply, undo_of
from controller.errors import BadValue
from controller.show import ActiveScene, SceneState, Show, Transport, scenes_at
from controller.surroundings import Surroundings
from controller.switching import Curve, Moment, SwitchOrder, curved
from stage.plan import PlanScene
from stage.rate import Rate

RATE = Rate(24000, 1001)
T0_NS = 5_000_000_123
NOW = Moment(1000, RATE.deadline_ns(T0_NS, 1000), RATE.deadline_ns(0, 1000), RATE)
AROUND = Surroundings(scenes=("a", "b", "c"), moment=NOW)
SHOW = Show(scenes=[ActiveScene("a")])


def ordered(show: Show, now: Moment = NOW, /, **order: object) -> Show:
    around = Surroundings(scenes=("a", "b", "c"), moment=now)
    return apply(show, Command({"scenes/active": order}), around)[0]


def at(show: Show, frame: int, late_ns: int = 0) -> list[PlanScene]:
    return scenes_at(show, RATE.deadline_ns(T0_NS, frame) + late_ns, RATE.deadline_ns(0, frame), RATE)


def shown(show: Show, frame: int, late_ns: int = 0) -> dict[str, float]:
    return {entry.id: entry.weight for entry in at(show, frame, late_ns)}


def test_a_name_cuts_at_once() -> None:
    show = apply(SHOW, Command({"scenes/active": "b"}), AROUND)[0]
    assert (shown(show, 0), show.switches) == ({"b": 1.0}, [])


def test_a_cut_happens_on_its_frame() -> None:
    show = ordered(SHOW, scene="b", at_frame=1100)
    assert [shown(show, n) for n in (1000, 1099, 1100, 1101)] == [{"a": 1.0}, {"a": 1.0}, {"b": 1.0}, {"b": 1.0}]


def test_a_dissolve_has_exactly_its_frames() -> None:
    show = ordered(SHOW, scene="b", kind="dissolve", frames=3, at_frame=1100)
    weights = [shown(show, n).get("b", 0.0) for n in range(1098, 1105)]
    assert weights == pytest.approx([0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
    # The clock is slewed by microseconds a frame: the frame counts, not the nanosecond.
    assert shown(show, 1100, late_ns=900_000) == shown(show, 1100)


def test_without_a_frame_it_begins_soon_and_never_in_the_past() -> None:
    switch = ordered(SHOW, scene="b", kind="dissolve", frames=24).switches[0]
    assert 1001 < switch.begin_frame <= 1000 + RATE.hz / 4
    with pytest.raises(BadValue, match="has passed"):
        ordered(SHOW, scene="b", at_frame=1000)


def test_a_wipe_covers_from_nothing_to_all() -> None:
    show = ordered(SHOW, scene="b", kind="wipe", frames=9, at_frame=1100, angle_deg=90.0, softness_deg=10.0)
    middle = at(show, 1104)
    assert [entry.id for entry in middle] == ["a", "b"]
    assert sum(entry.weight for entry in middle) == pytest.approx(1.0)
    wipe = middle[1].wipe
    assert wipe is not None
    assert wipe.direction == pytest.approx((0.0, 0.0, 1.0))
    assert wipe.edge_deg == pytest.approx(0.0)
    edges = [at(show, n)[1].wipe.edge_deg for n in range(1100, 1109)]  # type: ignore[union-attr]
    assert edges == sorted(edges)
    assert edges[0] > -95.0
    assert edges[-1] < 95.0
    assert at(show, 1109)[0].wipe is None


def test_switches_wait_for_each_other() -> None:
    show = ordered(SHOW, scene="b", kind="dissolve", frames=10, at_frame=1010)
    show = ordered(show, scene="c", kind="dissolve", frames=10)
    assert [switch.begin_frame for switch in show.switches] == [1010, 1020]
    assert shown(show, 1005) == {"a": 1.0}
    assert set(shown(show, 1012)) == {"a", "b"}
    assert set(shown(show, 1022)) == {"b", "c"}
    assert shown(show, 1030) == {"c": 1.0}
    with pytest.raises(BadValue, match="done at frame 1030"):
        ordered(show, scene="a", at_frame=1025)
    # A cut needs nobody's leave, and ends them all.
    cut = apply(show, Command({"scenes/active": "a"}), AROUND)[0]
    assert (shown(cut, 1012), cut.switches) == ({"a": 1.0}, [])


def test_a_cut_to_where_a_dissolve_goes_ends_it() -> None:
    show = ordered(SHOW, scene="b", kind="dissolve", frames=100)
    cut, changes = apply(show, Command({"scenes/active": "b"}), AROUND)
    assert cut.switches == []
    assert changes


def test_done_switches_are_forgotten_with_the_next() -> None:
    show = ordered(SHOW, scene="b", kind="dissolve", frames=4, at_frame=1010)
    later = Moment(1100, RATE.deadline_ns(T0_NS, 1100), RATE.deadline_ns(0, 1100), RATE)
    show = ordered(show, later, scene="c", kind="dissolve", frames=4)
    assert [switch.scene for switch in show.switches] == ["b"]


def test_time_that_jumps_moves_no_switch() -> None:
    show = ordered(SHOW, scene="b", kind="dissolve", frames=4, at_frame=1010)
    present_ns = RATE.deadline_ns(T0_NS, 1012)
    before = scenes_at(show, present_ns, RATE.deadline_ns(0, 1012), RATE)
    after = scenes_at(show, present_ns, RATE.deadline_ns(0, 90_000), RATE)
    assert [(s.id, s.weight) for s in before] == [(s.id, s.weight) for s in after]


def test_undo_is_a_cut_back() -> None:
    show, changes = apply(SHOW, Command({"scenes/active": {"scene": "b", "kind": "dissolve", "frames": 9}}), AROUND)
    back = apply(show, undo_of(changes), AROUND)[0]
    assert (shown(back, 1000), back.switches) == ({"a": 1.0}, [])


def test_before_the_first_plan_everything_is_a_cut() -> None:
    around = Surroundings(scenes=("a", "b"))
    show = apply(SHOW, Command({"scenes/active": {"scene": "b", "kind": "dissolve", "frames": 9}}), around)[0]
    assert show.switches == []


@pytest.mark.parametrize("order", [{"scene": "x"}, {"scene": "b", "frames": -1}, {"scene": "b", "kind": "fold"},
                                   {"scene": "b", "later": 1}, {}])  # fmt: skip
def test_bad_orders_are_refused(order: dict[str, object]) -> None:
    with pytest.raises(BadValue):
        apply(SHOW, Command({"scenes/active": order}), AROUND)


def test_a_configuration_without_the_scene_ends_its_switches() -> None:
    show = ordered(SHOW, scene="b", kind="dissolve", frames=9)
    show = msgspec.structs.replace(show, scene_states={"a": SceneState(7)})
    settled = settle(show, Surroundings(scenes=("b", "c")), wanted=show)
    assert (settled.switches, settled.scene_states) == ([], {})
    assert settle(show, AROUND, wanted=show).switches == show.switches


@given(st.sampled_from(["linear", "smooth", "ease_in", "ease_out"]), st.floats(0, 1), st.floats(0, 1))
def test_curves_begin_at_nothing_end_at_all_and_never_go_back(curve: Curve, a: float, b: float) -> None:
    assert (curved(curve, 0.0), curved(curve, 1.0)) == (0.0, 1.0)
    low, high = sorted((a, b))
    assert 0.0 <= curved(curve, low) <= curved(curve, high) + 1e-12 <= 1.0 + 1e-12


@given(st.integers(1, 50), st.integers(900, 1200), st.sampled_from(["cut", "dissolve", "wipe"]))
def test_weights_always_sum_to_one(frames: int, frame: int, kind: str) -> None:
    show = ordered(SHOW, scene="b", kind=kind, frames=frames, at_frame=1005)
    show = ordered(show, scene="c", kind="dissolve", frames=7)
    assert sum(shown(show, frame).values()) == pytest.approx(1.0)


def test_versions_and_transport_of_both_scenes_are_in_the_plan() -> None:
    states = {"a": SceneState(7), "b": SceneState(9, transport=Transport(0.5, True, 100, 10**12, 1.0, 0))}
    show = msgspec.structs.replace(SHOW, scene_states=states)
    show = ordered(show, scene="b", kind="dissolve", frames=9, at_frame=1010)
    found = {entry.id: (entry.version, entry.time_speed) for entry in at(show, 1012)}
    assert found == {"a": (7, 1.0), "b": (9, 1.0)}, "the transport holds from its time on"
    late = scenes_at(show, RATE.deadline_ns(T0_NS, 1012), 2 * 10**12, RATE)[1]
    assert late.time_ns(2 * 10**12) == 10**12 + 100


def test_orders_read_back() -> None:
    order = SwitchOrder("b", "wipe", 5, "smooth", 7, 90.0, 2.0)
    assert msgspec.convert(msgspec.to_builtins(order), SwitchOrder) == order
