"""Commands: one table of addresses, values checked, undo exact, live changes carried over a new configuration."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.addresses import ADDRESSES, find
from controller.carrying import carry_over, settle
from controller.commands import Command, apply, undo_of
from controller.errors import BadValue, UnknownAddress
from controller.show import ActiveScene, CameraSettings, Nudge, Show
from controller.surroundings import Surroundings
from stage.frames import pose_from_pan_tilt_roll
from stage.plan import PlanPattern, transform_of

AROUND = Surroundings(
    cameras=frozenset({"a", "b"}),
    sources=frozenset({"fiz"}),
    scenes=("hall", "valley"),
    walls=frozenset({"main", "roof"}),
    canvases=frozenset({"left", "right"}),
    engines=frozenset({"grid"}),
    processors=frozenset({"led1"}),
    positions={"home": np.eye(4), "hill": pose_from_pan_tilt_roll((10.0, 20.0, 3.0), pan_deg=30.0)},
    scene_positions={"valley": "hill"},
    patterns=("grid", "eye"),
)
SHOW = Show(
    version=7,
    cameras={"a": CameraSettings(), "b": CameraSettings(rank=1)},
    scenes=[ActiveScene("hall")],
    output_delays={"left": 0, "right": 2},
)


def changed(**changes: Any) -> Show:
    return apply(SHOW, Command({path.replace("__", "/"): value for path, value in changes.items()}), AROUND)[0]


def test_a_value_lands_at_its_address_and_nowhere_else() -> None:
    show = changed(cameras__a__soft_edge_deg=2.5)
    assert show.cameras["a"].soft_edge_deg == 2.5
    assert msgspec.structs.replace(show, cameras=SHOW.cameras) == SHOW
    assert show.cameras["b"] == SHOW.cameras["b"]


def test_overscan_takes_one_number_or_four_and_becomes_fixed() -> None:
    assert changed(cameras__a__overscan_deg=3).cameras["a"].overscan_deg == (3.0, 3.0, 3.0, 3.0)
    show = changed(cameras__a__overscan_deg=[1, 2, 3, 4])
    assert show.cameras["a"].overscan_deg == (1.0, 2.0, 3.0, 4.0)
    assert show.cameras["a"].overscan_mode == "fixed"


def test_undo_of_overscan_gives_the_mode_back_too() -> None:
    show, changes = apply(SHOW, Command({"cameras/a/overscan_deg": 3}), AROUND)
    assert set(changes) == {"cameras/a/overscan_deg", "cameras/a/overscan_mode"}
    assert apply(show, undo_of(changes), AROUND)[0] == SHOW


def test_a_mode_named_with_the_value_counts() -> None:
    show = changed(cameras__a__overscan_deg=3, cameras__a__overscan_mode="frozen")
    assert show.cameras["a"].overscan_mode == "frozen"


def test_steps_add_up_exactly() -> None:
    show = SHOW
    for _ in range(1000):
        show, _ = apply(
            show, Command(steps={"sources/fiz/nudge/x_m": 0.001, "sources/fiz/nudge/pan_deg": -0.01}), AROUND
        )
    assert show.nudges["fiz"] == Nudge(x_m=1.0, pan_deg=-10.0)


def test_a_nudge_back_at_zero_is_still_told() -> None:
    show, _ = apply(SHOW, Command({"sources/fiz/nudge/x_m": 0.5}), AROUND)
    show, _ = apply(show, Command({"sources/fiz/nudge/x_m": 0}), AROUND)
    assert show.nudges == {"fiz": Nudge()}


def test_a_scene_and_a_position_are_switched() -> None:
    show = changed(scenes__active="valley", position="hill")
    assert show.scenes == [ActiveScene("valley")]
    assert show.position == "hill"
    product = transform_of(show.stage_from_scene) @ AROUND.positions["hill"]
    assert np.allclose(product, np.eye(4), atol=1e-12)


def test_a_scene_opens_at_its_own_position() -> None:
    show, changes = apply(SHOW, Command({"scenes/active": "valley"}), AROUND)
    assert show.position == "hill"
    assert apply(show, undo_of(changes), AROUND)[0] == SHOW
    both = changed(scenes__active="valley", position="home")
    assert (both.scenes, both.position) == ([ActiveScene("valley")], "home")


def test_patterns_go_on_and_off() -> None:
    show = changed(patterns__grid=True)
    assert show.patterns == [PlanPattern("grid")]
    show, _ = apply(show, Command({"patterns/eye": ["main", "a"]}), AROUND)
    assert show.patterns == [PlanPattern("grid"), PlanPattern("eye", ["main", "a"])]
    show, _ = apply(show, Command({"patterns/grid": False}), AROUND)
    assert show.patterns == [PlanPattern("eye", ["main", "a"])]


def test_osc_numbers_stand_for_truth() -> None:
    assert changed(cameras__a__enabled=0).cameras["a"].enabled is False
    assert changed(patterns__grid=1).patterns == [PlanPattern("grid")]


def test_what_is_equal_changes_nothing() -> None:
    show, changes = apply(SHOW, Command({"cameras/a/soft_edge_deg": 1, "scenes/active": "hall"}), AROUND)
    assert show is SHOW
    assert changes == {}


@pytest.mark.parametrize(
    ("path", "mend"),
    [
        ("cameras/c/enabled", "use one of a, b"),
        ("cameras/a/enabledd", "GET /api/v1/addresses"),
        ("cameras/a", "GET /api/v1/addresses"),
        ("sources/x/nudge/x_m", "use one of fiz"),
        ("patterns/plaid", "use one of eye, grid"),
        ("", "GET /api/v1/addresses"),
    ],
)
def test_an_unknown_address_is_told_with_what_is_known(path: str, mend: str) -> None:
    with pytest.raises(UnknownAddress) as error:
        apply(SHOW, Command({path: 1}), AROUND)
    assert mend in error.value.problems[0].mend


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cameras/a/soft_edge_deg", -1),
        ("cameras/a/soft_edge_deg", "wide"),
        ("cameras/a/soft_edge_deg", math.nan),
        ("cameras/a/soft_edge_deg", math.inf),
        ("cameras/a/soft_edge_deg", None),
        ("cameras/a/overscan_deg", [1, 2, 3]),
        ("cameras/a/overscan_deg", [1, 2, 3, math.nan]),
        ("cameras/a/overscan_deg", True),
        ("cameras/a/overscan_mode", "wild"),
        ("cameras/a/rank", 1.5),
        ("cameras/a/rank", -1),
        ("cameras/a/enabled", 2),
        ("scenes/active", "nowhere"),
        ("position", "moon"),
        ("patterns/grid", ["ceiling"]),
        ("canvases/left/delay_frames", -61),
        ("outer/eye_m", [0, 0]),
    ],
)
def test_a_bad_value_is_refused_with_its_path(path: str, value: Any) -> None:
    with pytest.raises(BadValue) as error:
        apply(SHOW, Command({path: value}), AROUND)
    assert error.value.problems[0].path == path
    assert error.value.problems[0].mend


def test_a_command_applies_whole_or_not_at_all_and_names_every_fault() -> None:
    command = Command({"cameras/a/soft_edge_deg": 2, "cameras/a/rank": -1, "cameras/x/rank": 1})
    with pytest.raises(BadValue) as error:
        apply(SHOW, command, AROUND)
    assert [problem.path for problem in error.value.problems] == ["cameras/a/rank", "cameras/x/rank"]


def test_steps_are_for_numbers_only() -> None:
    with pytest.raises(BadValue, match="numbers only"):
        apply(SHOW, Command(steps={"scenes/active": 1}), AROUND)


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "cameras/a/enabled": st.booleans(),
    "cameras/b/on_air": st.booleans(),
    "cameras/a/rank": st.integers(0, 63),
    "cameras/a/overscan_mode": st.sampled_from(["auto", "fixed", "frozen"]),
    "cameras/a/overscan_deg": st.floats(0, 80) | st.lists(st.floats(0, 80), min_size=4, max_size=4),
    "cameras/b/soft_edge_deg": st.floats(0, 20),
    "cameras/a/delay_ms": st.floats(-1000, 1000),
    "sources/fiz/nudge/x_m": st.floats(-100, 100),
    "sources/fiz/nudge/pan_deg": st.floats(-360, 360),
    "scenes/active": st.sampled_from(["hall", "valley"]),
    "position": st.sampled_from(["home", "hill"]),
    "exposure_ev": st.floats(-20, 20),
    "outer/mode": st.sampled_from(["live", "every", "frozen"]),
    "canvases/right/delay_frames": st.integers(0, 60),
    "patterns/grid": st.booleans() | st.just(["main"]),
}


@given(
    st.lists(st.dictionaries(st.sampled_from(sorted(GOOD)), st.none(), min_size=1, max_size=4), max_size=8), st.data()
)
def test_undo_back_to_the_start_gives_the_first_show(keys: list[dict[str, None]], data: st.DataObject) -> None:
    first = show = SHOW
    log = []
    for chosen in keys:
        show, changes = apply(show, Command({path: data.draw(GOOD[path]) for path in chosen}), AROUND)
        log.append(changes)
    for changes in reversed(log):
        show, _ = apply(show, undo_of(changes), AROUND)
    assert msgspec.structs.replace(show, nudges={}, patterns=[]) == first
    assert all(nudge == Nudge() for nudge in show.nudges.values())
    assert show.patterns == []


def test_every_address_is_told_and_readable() -> None:
    for address in ADDRESSES:
        assert address.about.endswith("."), address.pattern
        names = {"cameras": "a", "sources": "fiz", "canvases": "left", "patterns": "grid", "scenes": "hall", "": ""}
        names["engines"] = "grid"
        names["processors"] = "led1"
        name = names[address.collection]
        found, found_name = find(address.pattern.replace("{}", name), AROUND)
        assert (found, found_name) == (address, name)
        address.read(SHOW, name)


def test_live_changes_are_kept_over_a_new_configuration_unless_it_changed_them_too() -> None:
    first = SHOW
    live = changed(cameras__a__soft_edge_deg=3, cameras__a__rank=5, canvases__left__delay_frames=4, exposure_ev=1)
    new = msgspec.structs.replace(
        first,
        cameras={
            "a": msgspec.structs.replace(first.cameras["a"], rank=9, delay_ms=12.0),
            "c": CameraSettings(rank=2),
        },
    )
    show = carry_over(first, live, new)
    assert show.cameras["a"] == CameraSettings(soft_edge_deg=3.0, rank=9, delay_ms=12.0)
    assert show.cameras["c"] == CameraSettings(rank=2)
    assert "b" not in show.cameras
    assert show.output_delays == {"left": 4, "right": 2}
    assert show.exposure_ev == 1.0


def test_settle_keeps_scene_and_position_only_while_they_exist() -> None:
    wanted = changed(scenes__active="valley", position="hill", patterns__grid=True, sources__fiz__nudge__x_m=1)
    assert settle(SHOW, AROUND, wanted=wanted).scenes == [ActiveScene("valley")]
    less = Surroundings(scenes=("hall",), walls=AROUND.walls, cameras=AROUND.cameras, patterns=())
    show = settle(msgspec.structs.replace(wanted, scenes=SHOW.scenes, position=""), less, wanted=wanted)
    assert show.scenes == SHOW.scenes
    assert show.position == ""
    assert show.patterns == []
    assert show.nudges == {}
