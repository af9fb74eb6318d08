"""Cards and keys as plain data: colour of light, sizes in metres, what undo and another configuration leave of them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cards import CARD_FIELDS, MOVING, Card, light_of, planned_cards, shown_size_deg
from controller.chromakeys import KEY_FIELDS, ChromaKey
from controller.chromakeys import MOVING as MOVING_OF_KEYS
from controller.commands import Command, apply, undo_of
from controller.layer_addresses import about_of, layer_rows, settled_layers
from controller.show import Show
from controller.surroundings import Surroundings
from controller.transitions import FADED, numbers_of, with_numbers
from renderer.colour.light import light_colour, white_xy
from renderer.colour.primaries import target_from_ap1
from renderer.working import REC709, xyz_from_rgb
from stage.compiled import Cabinet, CompiledStage, Wall
from stage.rate import Rate
from stage.wall_rays import WallRays

AROUND = Surroundings(cameras=frozenset({"a", "b"}), walls=frozenset({"main"}), canvases=frozenset({"c"}))


def flat_stage(distance_m: float) -> CompiledStage:
    """A wall of 8 x 4 m straight ahead, lit towards the origin."""
    corners = np.array([(x, distance_m, z) for z in (-2.0, 2.0) for x in (-4.0, 4.0)])
    cabinet = Cabinet("k", "main", "p", corners, (0, 0, 80, 40), "c", (0, 0, 80, 40), 0, False)
    wall = Wall("main", "flat", 80, 40, 1500.0, 100.0, 8.0, 4.0, 1)
    return CompiledStage("t", Rate(24), (0.0, 0.0, 0.0), {"main": wall}, {}, {}, (cabinet,), (), {})


@pytest.mark.parametrize(
    ("temperature_k", "xy"),
    # CIE publications: illuminants A (2,856 K), D50 (5,003 K), D55, D65, D75.
    [(2856.0, (0.44758, 0.40745)), (5003.0, (0.34567, 0.35850)), (5503.0, (0.33242, 0.34743)),
     (6504.0, (0.31272, 0.32903)), (7504.0, (0.29902, 0.31485))],
)  # fmt: skip
def test_white_lights_are_where_the_cie_has_them(temperature_k: float, xy: tuple[float, float]) -> None:
    assert white_xy(temperature_k) == pytest.approx(xy, abs=6e-4)


@given(temperature_k=st.floats(1700.0, 25000.0), tint=st.floats(-1.0, 1.0))
def test_light_is_as_bright_as_told_whatever_its_colour(temperature_k: float, tint: float) -> None:
    y = (xyz_from_rgb(REC709) @ target_from_ap1("rec709") @ light_colour(temperature_k, tint))[1]
    assert y == pytest.approx(1.0, abs=1e-9)


def test_neutral_is_exact_and_tint_goes_from_magenta_to_green() -> None:
    assert light_colour(6504.0) == pytest.approx([1.0, 1.0, 1.0], abs=1e-12)
    greens = [light_colour(4300.0, tint)[1] for tint in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    assert greens == sorted(greens)
    assert light_of(Card(nits=50.0, exposure_ev=2.0)) == pytest.approx((2.0, 2.0, 2.0))
    assert light_of(Card(kind="flag", exposure_ev=-3.0, temperature_k=3000.0)) == (0.125, 0.125, 0.125)
    red = light_of(Card(colour=(1.0, 0.0, 0.0)))
    assert np.argmax(red) == 0
    assert min(red) >= 0.0


def test_metres_are_those_of_a_board_at_the_wall() -> None:
    rays = WallRays(flat_stage(5.0))
    board = Card(size_in="m", width_m=1.0, height_m=2.0)
    expected = np.degrees(2 * np.arctan([0.1, 0.2]))
    assert shown_size_deg(board, rays, (0.0, 0.0, 0.0)) == pytest.approx(expected)
    # Seen at an angle, the wall is farther away; past its end there is none, and the angles count.
    turned = msgspec.structs.replace(board, pan_deg=30.0)
    assert shown_size_deg(turned, rays, (0.0, 0.0, 0.0))[0] == pytest.approx(
        np.degrees(2 * np.arctan(0.1 * np.cos(np.radians(30.0))))
    )
    assert shown_size_deg(msgspec.structs.replace(board, pan_deg=60.0), rays, (0.0, 0.0, 0.0)) == (20.0, 10.0)
    assert rays.distance_m((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), ["other"]) is None
    assert rays.distance_m((0.0, 0.0, 0.0), (0.0, -1.0, 0.0)) is None


def test_plans_have_what_is_seen_from_the_undermost_on() -> None:
    rays = WallRays(flat_stage(5.0))
    cards = {
        "b": Card(rank=1), "a": Card(rank=1, in_camera=["a", "gone"]), "low": Card(), "off": Card(visible=False),
        "clear": Card(opacity=0.0), "away": Card(walls=["gone"]), "own": Card(rank=2, from_m=(1.0, 0.0, 0.0)),
    }  # fmt: skip
    found = planned_cards(cards, rays, (0.0, 0.0, 1.0), walls={"main"}, cameras={"a"})
    assert [card.id for card in found] == ["low", "a", "b", "own"]
    assert found[1].in_camera == ["a"]
    assert [card.from_m for card in found[2:]] == [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0)]


def test_undo_takes_a_card_away_that_was_made_and_moved_in_one_step() -> None:
    made, first = apply(Show(), Command({"cards/x": {"pan_deg": 3}}), AROUND)
    moved, second = apply(made, Command({"cards/x/pan_deg": 5.0, "exposure_ev": 1.0}), AROUND)
    back, _ = apply(moved, undo_of({**first, **second}), AROUND)
    assert back.cards == {}
    assert back.exposure_ev == 0.0
    # A value, then the whole: the whole goes back first.
    again, third = apply(made, Command({"cards/x/pan_deg": 7.0}), AROUND)
    gone, fourth = apply(again, Command({"cards/x": None}), AROUND)
    assert gone.cards == {}
    back, _ = apply(gone, undo_of({**third, **fourth}), AROUND)
    assert back.cards == made.cards


def test_steps_are_added_to_numbers_of_cards() -> None:
    show, _ = apply(Show(), Command({"cards/x": {"pan_deg": 3}}), AROUND)
    show, _ = apply(show, Command(steps={"cards/x/pan_deg": -0.5}), AROUND)
    assert show.cards["x"].pan_deg == 2.5


def test_another_configuration_keeps_what_still_fits() -> None:
    show = Show(
        cards={"a": Card(walls=["main", "old"], in_camera=["a", "old"]), "b": Card(walls=["old"]), "c": Card()},
        chromakeys={"k": ChromaKey("a"), "l": ChromaKey("old")},
    )
    left = settled_layers(show, {"main"}, {"a"})
    assert set(left.cards) == {"a", "c"}
    assert (left.cards["a"].walls, left.cards["a"].in_camera) == (["main"], ["a"])
    assert set(left.chromakeys) == {"k"}


def test_every_value_is_told_and_what_moves_is_numbers() -> None:
    for kind in (*CARD_FIELDS.values(), *KEY_FIELDS.values()):
        assert about_of(kind).endswith((".", ";")) or about_of(kind), kind
    assert len(layer_rows()) == len(CARD_FIELDS) + len(KEY_FIELDS) + 2
    show = Show(cards={"x": Card()}, chromakeys={"k": ChromaKey("a")})
    for address in [*(f"cards/x/{name}" for name in MOVING), *(f"chromakeys/k/{name}" for name in MOVING_OF_KEYS)]:
        assert FADED.fullmatch(address)
        numbers = numbers_of(show, address)
        assert numbers_of(with_numbers(show, address, tuple(n + 0.01 for n in numbers)), address) == pytest.approx(
            [n + 0.01 for n in numbers]
        )
    assert numbers_of(show, "cards/gone/pan_deg") == ()
