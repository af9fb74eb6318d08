"""Scenes' values and looks on their way: which way they go, what each frame's plan has of them, and who plans them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.commands import Command, apply, undo_of
from controller.config import compile_config, load_config
from controller.cue_play import back, check_cue, play
from controller.cues import Cue
from controller.errors import BadValue, UnknownAddress
from controller.look_addresses import expanded, look_faults
from controller.looks import Look, find_look, look_of, stored
from controller.moves import applied, moves
from controller.osc import command_of
from controller.planner import InnerLimits, Planner
from controller.scene_values import SceneValues
from controller.show import ActiveScene, SceneState, Show, first_show
from controller.store import Change
from controller.surroundings import Surroundings
from controller.switching import Moment
from controller.transitions import Transition, moving_values, numbers_at
from renderer.addresses import addresses
from renderer.config import SceneConfig
from stage.grade import Grade
from stage.plan import FramePlan
from stage.rate import Rate

RATE = Rate(24, 1)
T0_NS = 5_000_000_123
NOW = Moment(1000, RATE.deadline_ns(T0_NS, 1000), RATE.deadline_ns(0, 1000), RATE)
CONFIG = SceneConfig.model_validate(
    {
        "sun": {"pan_deg": 170.0, "elevation_deg": 40.0},
        "fog": {"distance_m": 100.0, "colour": (0.5, 0.6, 0.7)},
        "lights": {"lamp": {"kind": "point", "candela": 100.0, "temperature_k": 6000.0}},
        "exposure_ev": -1.0,
    }
)
VALUES = SceneValues(CONFIG, addresses(CONFIG, {}))
AROUND = Surroundings(
    cameras=frozenset({"a"}), walls=frozenset({"main"}), scenes=("hall",), scene_values={"hall": VALUES}, moment=NOW
)
SHOW = Show(scenes=[ActiveScene("hall")])


def over(seconds: float, **changes: object) -> Show:
    """The show with live values of the hall on their way; `__` stands for `/`."""
    told = {f"scenes/hall/{path.replace('__', '/')}": value for path, value in changes.items()}
    return applied(SHOW, Command(told, seconds=seconds), AROUND)[0]


def at(show: Show, step: int) -> dict[str, object]:
    """What moves at a frame: the first that moves is 0."""
    return moving_values(show, NOW.present_ns(1001 + step), RATE).get("hall", {})


def test_numbers_and_colours_go_evenly_and_then_the_edits_hold() -> None:
    show = over(3 / 24, sun__elevation_deg=0.0, fog__colour=[0.1, 0.2, 0.3])
    assert show.scene_states["hall"].edits == {"sun/elevation_deg": 0.0, "fog/colour": [0.1, 0.2, 0.3]}
    heights = [at(show, step).get("sun/elevation_deg") for step in range(-1, 4)]
    assert heights == [40.0, pytest.approx(30.0), pytest.approx(20.0), pytest.approx(10.0), None]
    assert at(show, 1)["fog/colour"] == pytest.approx([0.3, 0.4, 0.5])
    assert moving_values(show, NOW.present_ns(1004), RATE) == {}


def test_directions_take_the_shorter_way_and_temperatures_go_as_they_look() -> None:
    show = over(3 / 24, sun__pan_deg=-170.0, lights__lamp__temperature_k=3000.0)
    assert [at(show, step)["sun/pan_deg"] for step in range(3)] == pytest.approx([175.0, 180.0, 185.0])
    assert at(show, 1)["lights/lamp/temperature_k"] == pytest.approx(4000.0)


@given(st.floats(-360.0, 360.0), st.floats(-360.0, 360.0), st.integers(0, 30))
def test_turns_are_never_more_than_half_and_stay_in_range(before: float, after: float, step: int) -> None:
    transition = Transition("scenes/hall/sun/pan_deg", (before,), NOW.t_present_ns, 20, "linear", (after,), "turn")
    (value,) = numbers_at(transition, (after,), NOW.present_ns(1000 + step), RATE)
    assert -360.0 <= value <= 360.0
    turned = abs((value - before + 180.0) % 360.0 - 180.0)
    assert turned <= 180.0 + 1e-9
    assert step < 20 or value == after


def test_lamps_go_on_at_once_and_off_when_all_is_there() -> None:
    off = over(3 / 24, lights__lamp__on=False)
    assert [at(off, step).get("lights/lamp/on") for step in range(4)] == [True, True, True, None]
    on = applied(off, Command({"scenes/hall/lights/lamp/on": True}, seconds=1.0), AROUND)[0]
    assert (on.transitions, on.scene_states["hall"].edits) == ([], {"lights/lamp/on": True})


def test_null_moves_to_what_is_configured_and_the_next_goes_on_from_there() -> None:
    show = over(0.0, exposure_ev=3.0)
    assert (show.transitions, show.scene_states["hall"].edits) == ([], {"exposure_ev": 3.0})
    back_to = applied(show, Command({"scenes/hall/exposure_ev": None}, seconds=3 / 24), AROUND)[0]
    assert [at(back_to, step).get("exposure_ev") for step in range(4)] == [2.0, 1.0, 0.0, None]
    later = msgspec.structs.replace(NOW, frame=1001, t_present_ns=NOW.present_ns(1001))
    around = msgspec_around(later)
    again = applied(back_to, Command({"scenes/hall/exposure_ev": 2.0}, seconds=1 / 24), around)[0]
    (transition,) = again.transitions
    assert (transition.before, transition.after) == ((1.0,), (2.0,))


def msgspec_around(moment: Moment) -> Surroundings:
    from dataclasses import replace

    return replace(AROUND, moment=moment)


def test_what_may_take_time() -> None:
    for path in ("scenes/hall/sun/elevation_deg", "scenes/hall/sun/shadow", "look/outer/contrast", "look/active"):
        assert moves(path, AROUND), path
    for path in ("scenes/hall/preload", "cameras/a/enabled", "scenes/active"):
        assert not moves(path, AROUND), path
    with pytest.raises(UnknownAddress):
        moves("look/roof/contrast", AROUND)


def test_plans_have_each_frames_values_whoever_plans_them() -> None:
    stage = compile_config(load_config("minimal"))
    rate = stage.rate
    moment = Moment(0, rate.deadline_ns(T0_NS, 0), 0, rate)
    first = msgspec.structs.replace(
        first_show(stage, scenes=["hall"]), looks={"warm": Look(grades={"outer": Grade(temperature_k=3000.0)})}
    )
    command = Command({"scenes/hall/sun/elevation_deg": 0.0, "look/active": "warm"}, seconds=3 * rate.den / rate.num)
    show = applied(first, command, msgspec_around(moment))[0]

    def plans(planner: Planner, frames: range) -> list[FramePlan]:
        return [planner.plan(show, {}, frame=n, t_present_ns=rate.deadline_ns(T0_NS, n)) for n in frames]

    whole = plans(Planner(stage, InnerLimits()), range(7))
    assert [plan.scenes[0].moving.get("sun/elevation_deg") for plan in whole] == [
        40.0, pytest.approx(30.0), pytest.approx(20.0), pytest.approx(10.0), None, None, None
    ]  # fmt: skip
    kelvins = [look.grade.temperature_k for plan in whole for look in plan.looks if look.grade is not None]
    assert kelvins == pytest.approx([4800.0, 4000.0, 24000.0 / 7.0, 3000.0, 3000.0, 3000.0])
    assert [look.id for look in whole[-1].looks] == ["warm"]
    successor = Planner(stage, InnerLimits())
    successor.remember(whole[2])
    assert plans(successor, range(3, 7)) == whole[3:]


# --- looks ------------------------------------------------------------------------------------------------------------


def looked() -> Show:
    warm = Look("Warm", "", {"outer": Grade(exposure_ev=1.0), "inner": Grade()}, {"hall": {"sun/elevation_deg": 5.0}})
    state = SceneState(edits={"fog/distance_m": 20.0})
    return msgspec.structs.replace(SHOW, looks={"warm": warm}, scene_states={"hall": state})


def test_a_look_says_all_of_what_it_names_and_undo_takes_it_back() -> None:
    show = apply(looked(), Command({"look/inner/contrast": 1.3, "look/cameras/a/tint": 9.0}), AROUND)[0]
    after, changes = applied(show, Command({"look/active": "warm"}), AROUND)
    assert after.grades == {"outer": Grade(exposure_ev=1.0), "cameras/a": Grade(tint=9.0)}
    assert after.scene_states["hall"].edits == {"sun/elevation_deg": 5.0}, "light that is not named is as configured"
    assert changes["scenes/hall/fog/distance_m"] == Change(20.0, None)
    assert len(changes) == 5, "only what changes"
    kept = msgspec.json.decode(msgspec.json.encode(changes), type=dict[str, Change])
    undone = apply(after, undo_of(kept), AROUND)[0]
    assert undone == show
    # Its own values hold over it.
    told = expanded({"look/active": "warm", "look/outer/exposure_ev": 2.0}, show)
    assert told["look/outer/exposure_ev"] == 2.0
    assert expanded({"look/active": ""}, show) == {"look/active": ""}


def test_looks_in_cues_move_and_go_back() -> None:
    cue = Cue("x", "1", changes={"look/active": "warm", "scenes/hall/lights/lamp/on": False}, seconds=1.0)
    show = msgspec.structs.replace(looked(), cues=[cue])
    check_cue(show, cue, AROUND)
    gone = play(show, AROUND, cue)[0]
    assert {transition.address for transition in gone.transitions} == {
        "look/outer/exposure_ev", "scenes/hall/sun/elevation_deg", "scenes/hall/fog/distance_m",
        "scenes/hall/lights/lamp/on",
    }  # fmt: skip
    assert back(gone, AROUND)[0] == show
    with pytest.raises(UnknownAddress, match="no look"):
        check_cue(show, msgspec.structs.replace(cue, changes={"look/active": "none"}), AROUND)


def test_what_stands_is_stored() -> None:
    edits = {"hall": {"sun/elevation_deg": 5.0, "objects/chair/x_m": 1.0}}
    look = stored(["outer", "inner"], {"outer": Grade(tint=4.0)}, edits, label="L", notes="")
    assert look == Look("L", "", {"outer": Grade(tint=4.0), "inner": Grade()}, {"hall": {"sun/elevation_deg": 5.0}})
    assert msgspec.convert(msgspec.to_builtins(look), Look) == look
    look_faults("l", look, AROUND)
    with pytest.raises(BadValue):
        look_faults("l", Look(scenes={"hall": {"sun/elevation_deg": 500.0}}), AROUND)
    with pytest.raises(BadValue):
        look_of("diff", {})
    with pytest.raises(UnknownAddress):
        find_look({}, "l")


def test_osc_puts_looks_on() -> None:
    assert command_of("/looks/warm/apply", (), "o") == Command({"look/active": "warm"}, who="o")
    assert command_of("/looks/warm/apply", (0,), "o") is None
    faded = command_of("/looks/warm/fade", (2.5,), "o")
    assert faded is not None
    assert (faded.changes, faded.seconds) == ({"look/active": "warm"}, 2.5)
    for wrong in ((), ("x",), (-1.0,), (True,)):
        with pytest.raises(UnknownAddress):
            command_of("/looks/warm/fade", wrong, "o")
    assert command_of("/look/outer/gain", (1.0, 0.9, 0.8), "o") == Command(
        {"look/outer/gain": [1.0, 0.9, 0.8]}, who="o"
    )
