"""The cue list over HTTP and OSC's hand in a running house: GO, BACK, follow-on, in a take, and who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from controller.access.roles import HAND, Hand, scope_of_request
from controller.errors import NotAllowed

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def put(house: RunningHouse, name: str, **body: Any) -> None:
    answer = house.client.put(f"/api/v1/cues/{name}", json=body)
    assert answer.status_code == 200, answer.text


def go(house: RunningHouse, path: str = "go", body: Any = None) -> Any:
    answer = house.client.post(f"/api/v1/cues/{path}", json=body) if body else house.client.post(f"/api/v1/cues/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def planned(house: RunningHouse) -> Any:
    return house.control.backend.plan


def test_a_list_is_made_played_and_taken_back(house: RunningHouse) -> None:
    start = house.get("show")["exposure_ev"]
    put(house, "low", number="1", label="low", changes={"exposure_ev": start - 2.0})
    put(house, "high", number="2", changes={"exposure_ev": start + 1.0}, seconds=0.2, follow="after", follow_s=0.3)
    put(house, "home", number="3", changes={"exposure_ev": start + 0.5})
    told = house.get("cues")
    assert ([cue["number"] for cue in told["cues"]], told["current"], told["next"]) == (["1", "2", "3"], "", "low")
    assert house.get("cues/low/preview")["changes"] == {"exposure_ev": {"before": start, "after": start - 2.0}}
    outcome = go(house)
    assert outcome["changes"]["exposure_ev"] == {"before": start, "after": start - 2.0}
    assert house.get("show")["exposure_ev"] == start - 2.0
    # The second moves, and the third follows by itself at its frame.
    went = go(house, "go", {"number": "2"})
    waiting = house.get("cues")["waiting"]
    assert [one["cue"] for one in waiting] == ["home"]
    house.eventually(lambda: house.get("cues")["current"] == "home")
    rev = house.control.desk.rev
    house.eventually(lambda: planned(house).show_version == rev and planned(house).exposure_ev == start + 0.5)
    assert house.get("cues")["waiting"] == []
    first = next(o for o in house.get("config/revisions")["revisions"] if o["rev"] == rev)
    assert first["who"] == "cues"
    assert waiting[0]["frame"] > went["frame"]
    for _ in range(3):
        go(house, "back")
    # `cues/stop`: what waits goes no more.
    put(house, "high", number="2", changes={"exposure_ev": start + 1.0}, follow="after", follow_s=600)
    go(house, "go", {"number": "2"})
    assert [one["cue"] for one in house.get("cues")["waiting"]] == ["home"]
    go(house, "stop")
    assert house.get("cues")["waiting"] == []
    go(house, "back")
    assert (house.get("show")["exposure_ev"], house.get("cues")["current"]) == (start, "")
    answer = house.client.post("/api/v1/cues/back")
    assert (answer.status_code, answer.json()["code"]) == (409, "controller.nothing_to_go")
    for name in ("low", "high", "home"):
        assert house.client.delete(f"/api/v1/cues/{name}").status_code == 200
    assert house.client.post("/api/v1/cues/go").status_code == 409


def test_go_acts_in_a_take_and_undo_takes_a_go_back_whole(house: RunningHouse) -> None:
    start = house.get("show")["exposure_ev"]
    put(house, "a", number="10", changes={"exposure_ev": start + 3.0, "outer/eye_m": [0.5, 0.0, 1.7]}, seconds=5.0)
    put(house, "b", number="11", changes={"exposure_ev": start + 4.0})
    assert house.client.put("/api/v1/lock", json={"state": "rolling", "take": "1/1"}).status_code == 200
    try:
        assert house.client.patch("/api/v1/show", json={"exposure_ev": 1.0}).status_code == 423
        house.wait(house.control.cues.osc(["10", "go"], True, "osc"))
        house.wait(house.control.cues.osc(["go"], False, "osc"))
        assert house.get("cues")["current"] == "a"
    finally:
        assert house.client.put("/api/v1/lock", json={"state": "open"}).status_code == 200
    assert len(house.control.desk.show.transitions) == 2
    house.wait(house.control.cues.osc(["go"], True, "osc"))
    for _ in range(2):
        assert house.client.post("/api/v1/undo").status_code == 200
    assert (house.get("show")["exposure_ev"], house.get("cues")["current"]) == (start, "")
    assert house.control.desk.show.transitions == []


def test_the_list_is_ordered_and_changed(house: RunningHouse) -> None:
    put(house, "x", number="20")
    put(house, "y", number="21", notes="wait for the actor")
    before = house.get("cues")
    ids = [cue["id"] for cue in before["cues"]]
    assert house.client.put("/api/v1/cues/order", json={"ids": ids[::-1]}).status_code == 428
    headers = {"if-match": f'"{before["rev"]}"'}
    assert house.client.put("/api/v1/cues/order", json={"ids": ids[::-1]}, headers=headers).status_code == 200
    assert [cue["id"] for cue in house.get("cues")["cues"]] == ids[::-1]
    assert house.client.patch("/api/v1/cues/y", json={"label": "door"}).status_code == 200
    (door,) = [cue for cue in house.get("cues")["cues"] if cue["id"] == "y"]
    assert (door["label"], door["notes"]) == ("door", "wait for the actor")
    answer = house.client.put("/api/v1/cues/z", json={"number": "20"})
    assert (answer.status_code, answer.json()["path"]) == (422, "cues/z/number")
    assert house.client.get("/api/v1/cues/none/preview").status_code == 404


def test_who_may(house: RunningHouse) -> None:
    for path in ("cues/go", "cues/back", "cues/chase", "cues/a/go"):
        assert scope_of_request("POST", f"/api/v1/{path}") == "run"
    assert scope_of_request("GET", "/api/v1/cues") == "read"

    async def as_director() -> None:
        HAND.set(Hand("dora", "director"))
        await house.control.cues.back(who="dora")

    with pytest.raises(NotAllowed):
        house.wait(as_director())
