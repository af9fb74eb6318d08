"""Who holds a slider, and who took it from whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.api.hands import HELD_NS, MOST, SliderHands
from runtime.clock import NS_PER_S

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def test_the_last_hand_holds_it_until_it_lets_go() -> None:
    hands = SliderHands()
    hands.moved(["exposure_ev"], "anna", 0)
    hands.moved(["exposure_ev"], "anna", NS_PER_S)
    found = hands.view(NS_PER_S).hands["exposure_ev"]
    assert (found.hand, found.since_ns, found.moved_ns, found.taken_from) == ("anna", 0, NS_PER_S, "")
    hands.moved(["exposure_ev"], "osc 10.0.0.4", 2 * NS_PER_S)
    found = hands.view(2 * NS_PER_S).hands["exposure_ev"]
    assert (found.hand, found.since_ns, found.taken_from) == ("osc 10.0.0.4", 2 * NS_PER_S, "anna")
    assert hands.view(2 * NS_PER_S + HELD_NS).hands
    assert hands.view(2 * NS_PER_S + HELD_NS + 1).hands == {}
    hands.moved(["exposure_ev"], "anna", 100 * NS_PER_S)
    assert hands.view(100 * NS_PER_S).hands["exposure_ev"].taken_from == "", "nobody held it any more"
    hands.moved((f"cameras/c{number}/rank" for number in range(MOST + 9)), "anna", 100 * NS_PER_S)
    assert len(hands.view(100 * NS_PER_S).hands) == MOST


def test_it_is_told_to_everybody(house: RunningHouse) -> None:
    house.client.patch("/api/v1/show", json={"exposure_ev": 1.0}).raise_for_status()
    snapshot: dict[str, Any] = house.get("hands")["hands"]
    assert snapshot["exposure_ev"]["hand"] == "http 127.0.0.1"
    assert house.control.objects()["hands"][2].hands["exposure_ev"].hand == "http 127.0.0.1"
    house.client.post("/api/v1/undo").raise_for_status()
