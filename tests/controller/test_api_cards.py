"""Light cards, flags and chroma keys over HTTP and OSC in a running house: made, dragged, undone, in cues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from controller.commands import Command
from controller.errors import BadValue, UnknownAddress
from controller.osc import command_of as osc_command

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def send(
    house: RunningHouse, method: str, path: str, body: Any = None, *, match: bool = False, status: int = 200
) -> Any:
    headers = {"if-match": house.client.get(f"/api/v1/{path}").headers["etag"]} if match else {}
    answer = house.client.request(method, f"/api/v1/{path}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def planned(house: RunningHouse, rev: int) -> Any:
    house.eventually(lambda: house.control.backend.plan.show_version >= rev)
    return house.control.backend.plan


def test_a_card_is_made_dragged_undone_and_taken_away(house: RunningHouse) -> None:
    made = send(house, "PUT", "cards/fill", {"pan_deg": 30, "width_deg": 12.0, "nits": 250})
    told = house.get("cards/fill")
    assert (told["pan_deg"], told["nits"], told["shape"], told["rev"]) == (30.0, 250.0, "rectangle", made["rev"])
    assert told["seen_from_m"] == house.get("show")["eye_m"]
    card = planned(house, made["rev"]).cards[0]
    assert (card.id, card.pan_deg, card.width_deg, card.light[1]) == ("fill", 30.0, 12.0, pytest.approx(2.5))
    for step in range(3):
        dragged = send(house, "PATCH", "cards/fill", {"pan_deg": 31.0 + step, "tilt_deg": 1.0 + step})
    assert planned(house, dragged["rev"]).cards[0].pan_deg == 33.0
    # Three drags of one hand are one step of undo.
    send(house, "POST", "undo", {"prefix": "cards/fill"})
    assert (house.get("cards/fill")["pan_deg"], house.get("cards/fill")["tilt_deg"]) == (30.0, 0.0)
    send(house, "PUT", "cards/fill", {}, status=428)
    send(house, "DELETE", "cards/fill", status=428)
    gone = send(house, "DELETE", "cards/fill", match=True)
    assert planned(house, gone["rev"]).cards == []
    send(house, "GET", "cards/fill", status=404)
    send(house, "POST", "undo")
    assert house.get("cards")["fill"]["nits"] == 250.0
    send(house, "POST", "undo", {"prefix": "cards"})
    assert house.get("cards") == {}


def test_what_a_card_cannot_be_is_refused_with_its_field(house: RunningHouse) -> None:
    for body, path in (
        ({"shape": "polygon"}, "cards/odd/corners"),
        ({"walls": ["nowhere"]}, "cards/odd/walls"),
        ({"in_camera": ["z"]}, "cards/odd/in_camera"),
        ({"nits": -1.0}, "cards/odd"),
        ({"colour": [2.0, 0.0, 0.0]}, "cards/odd"),
        ({"glow": 1}, "cards/odd"),
    ):
        problem = send(house, "PUT", "cards/odd", body, status=422)
        assert problem["path"] == path, problem
    send(house, "PUT", "cards/Odd", {}, status=422)
    send(house, "PATCH", "cards/odd", {"nits": 1.0}, status=404)
    with pytest.raises(UnknownAddress):
        house.submit(Command({"cards/odd/nits": 1.0}))
    assert house.get("cards") == {}


def test_a_key_follows_its_camera_and_its_switch_takes_what_osc_sends(house: RunningHouse) -> None:
    camera = next(iter(house.get("cameras")))
    rev = send(house, "PUT", "chromakeys/main", {"camera": camera, "colour": "blue", "markers": "crosses"})["rev"]
    plan = planned(house, rev)
    assert [(key.camera, key.nits, key.markers) for key in plan.key] == [(camera, (0.0, 0.0, 100.0), "crosses")]
    outcome = house.submit(Command({"chromakeys/main/visible": 0}, who="osc"))
    assert planned(house, outcome.rev).key is None
    with pytest.raises(BadValue):
        house.submit(Command({"chromakeys/main/camera": "nobody"}))
    addresses = {entry["address"]: entry for entry in house.get("addresses")["addresses"]}
    assert addresses["chromakeys/<id>/nits"]["ids"] == ["main"]
    assert addresses["cards/<id>/pan_deg"]["about"]
    send(house, "DELETE", "chromakeys/main", match=True)
    assert house.get("chromakeys") == {}


def test_a_cue_moves_a_card_over_time_and_undo_ends_it(house: RunningHouse) -> None:
    send(house, "PUT", "cards/sun", {"pan_deg": 0.0, "opacity": 0.5})
    send(house, "PUT", "cues/rise", {"number": "71", "changes": {"cards/sun/pan_deg": 10.0}, "seconds": 0.4})
    rev = send(house, "POST", "cues/go", {"number": "71"})["rev"]
    assert house.get("cards/sun")["pan_deg"] == 10.0
    seen: set[float] = set()

    def arrived() -> bool:
        plan = house.control.backend.plan
        if plan.show_version >= rev:
            seen.add(plan.cards[0].pan_deg)
        return 10.0 in seen

    house.eventually(arrived)
    assert all(0.0 <= pan <= 10.0 for pan in seen)
    # Creating one cannot take time, and one that is taken away in the middle moves no more.
    send(house, "PUT", "cues/more", {"number": "72", "changes": {"cards/new": {}}, "seconds": 1.0}, status=422)
    send(house, "PUT", "cues/far", {"number": "73", "changes": {"cards/sun/pan_deg": 90.0}, "seconds": 60.0})
    send(house, "POST", "cues/go", {"number": "73"})
    assert [one.address for one in house.control.desk.show.transitions] == ["cards/sun/pan_deg"]
    gone = send(house, "DELETE", "cards/sun", match=True)
    assert house.control.desk.show.transitions == []
    assert planned(house, gone["rev"]).cards == []
    for cue in ("rise", "far"):
        send(house, "DELETE", f"cues/{cue}")


def test_test_pictures_lie_on_walls_and_canvases_and_go_in_one_call(house: RunningHouse) -> None:
    canvas = next(iter(house.get("canvases")))
    send(house, "PUT", "patterns/nit_steps", {"on": True, "targets": [canvas]})
    rev = send(house, "PUT", "patterns/uniform_203", {"on": True})["rev"]
    told = house.get("patterns")
    assert {name for name, view in told.items() if view["on"]} == {"nit_steps", "uniform_203"}
    assert all(view["about"] for view in told.values())
    assert [(p.kind, p.targets) for p in planned(house, rev).patterns] == [("nit_steps", [canvas]), ("uniform_203", [])]
    send(house, "PUT", "patterns/range", {"on": True, "targets": ["nowhere"]}, status=422)
    send(house, "PUT", "patterns/uniform_-1", {"on": True}, status=404)
    rev = send(house, "DELETE", "patterns")["rev"]
    assert planned(house, rev).patterns == []
    send(house, "POST", "undo")
    assert house.get("patterns/uniform_203")["on"]
    command = osc_command("/patterns/clear", (), "osc")
    assert command is not None
    house.submit(command)
    assert not any(view["on"] for view in house.get("patterns").values())
    assert osc_command("/patterns/clear", (0,), "osc") is None
