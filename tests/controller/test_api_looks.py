"""Looks over HTTP in a running house: grades moved live, stored, put on over time, compared and taken back."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from controller.access.roles import scope_of_address, scope_of_request
from stage.grade import Grade
from stage.plan import FramePlan

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def send(house: RunningHouse, method: str, path: str, body: Any = None, *, rev: int | None = None) -> Any:
    headers = {} if rev is None else {"if-match": f'"{rev}"'}
    answer = house.client.request(method, f"/api/v1/{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def status(house: RunningHouse, method: str, path: str, body: Any = None) -> int:
    return house.client.request(method, f"/api/v1/{path}", json=body).status_code


def planned(house: RunningHouse) -> FramePlan:
    plan = house.control.backend.plan
    assert plan is not None
    return plan


def layers(house: RunningHouse) -> dict[str, Grade]:
    """The grades of the newest plan."""
    return {look.targets[0]: look.grade for look in planned(house).looks if look.grade is not None}


@pytest.fixture(autouse=True)
def as_found(house: RunningHouse) -> Iterator[None]:
    yield
    send(house, "PATCH", "look", dict.fromkeys(("outer", "inner")))
    for name in house.get("looks")["looks"]:
        send(house, "DELETE", f"looks/{name}", rev=house.get(f"looks/{name}")["rev"])
    house.eventually(lambda: planned(house).show_version == house.control.desk.rev)
    assert layers(house) == {}


def test_sliders_grade_layers(house: RunningHouse) -> None:
    now = house.get("look")
    assert set(now["layers"]) >= {"outer", "inner", "cameras/a", "walls/main"}
    assert now["layers"]["outer"]["exposure_ev"] == 0.0
    assert {field["field"] for field in house.get("look/fields")["fields"]} == set(Grade.__struct_fields__)
    outcome = send(house, "PATCH", "look", {"outer": {"exposure_ev": -1.5, "gain": [1, 0.9, 0.8]}})
    assert outcome["changes"]["look/outer/exposure_ev"] == {"before": 0.0, "after": -1.5}
    house.eventually(lambda: layers(house) == {"outer": Grade(exposure_ev=-1.5, gain=(1.0, 0.9, 0.8))})
    assert planned(house).looks[0].version == outcome["rev"]
    # One number stands for all three; null is neutral.
    send(house, "PATCH", "look", {"outer": {"gain": 1.2, "exposure_ev": None}, "walls": {"main": {"contrast": 1.1}}})
    house.eventually(lambda: layers(house) == {"outer": Grade(gain=(1.2, 1.2, 1.2)), "walls/main": Grade(contrast=1.1)})
    send(house, "PATCH", "look", {"outer": None, "walls": {"main": None}})
    house.eventually(lambda: layers(house) == {})
    for body in (
        {"outer": {"brightness": 1}}, {"walls": {"none": {"contrast": 1}}}, {"outer": {"contrast": -1}},
        {"sky": {}}, {"outer": 3}, {"walls": 3},
    ):  # fmt: skip
        assert status(house, "PATCH", "look", body) in (404, 422), body
    assert house.get("look")["layers"]["outer"]["exposure_ev"] == 0.0


def test_a_look_is_stored_put_on_over_time_and_taken_back(house: RunningHouse) -> None:
    send(house, "PATCH", "look", {"outer": {"exposure_ev": -2.0, "temperature_k": 4000.0}})
    send(house, "POST", "looks/night/store", {"label": "Night"})
    night = house.get("looks/night")
    assert (night["label"], night["active"], night["grades"]["outer"]["temperature_k"]) == ("Night", True, 4000.0)
    send(house, "PATCH", "look", {"outer": None})
    assert house.get("look")["modified"] is True
    send(house, "PUT", "looks/day", {"grades": {"outer": {}, "inner": {"saturation": 1.2}}})
    changes = house.get("looks/night/diff?other=day")["changes"]
    assert changes["look/outer/exposure_ev"] == {"before": 0.0, "after": -2.0}
    assert house.get("looks/day/diff")["changes"] == {"look/inner/saturation": {"before": 1.0, "after": 1.2}}
    outcome = send(house, "POST", "looks/night/apply?seconds=0.4&curve=smooth")
    assert outcome["changes"]["look/outer/exposure_ev"] == {"before": 0.0, "after": -2.0}
    assert "look/outer/exposure_ev" in house.get("look")["moving"]
    house.eventually(lambda: -2.0 < layers(house).get("outer", Grade()).exposure_ev < 0.0)
    house.eventually(lambda: layers(house) == {"outer": Grade(exposure_ev=-2.0, temperature_k=4000.0)})
    now = house.get("look")
    assert (now["look"], now["modified"], now["moving"]) == ("night", False, [])
    send(house, "POST", "undo")
    house.eventually(lambda: layers(house) == {})
    assert house.get("look")["look"] == "night", "as it was named when it was stored"


def test_stored_looks_are_changed_by_who_has_seen_them(house: RunningHouse) -> None:
    send(house, "PUT", "looks/warm", {"grades": {"outer": {"temperature_k": 3200}}})
    rev = house.get("looks/warm")["rev"]
    for method, path, body in (
        ("PUT", "looks/warm", {}), ("POST", "looks/warm/store", {}), ("PATCH", "looks/warm", {"label": "Warm"}),
        ("DELETE", "looks/warm", None),
    ):  # fmt: skip
        assert status(house, method, path, body) == 428, method
    send(house, "PATCH", "looks/warm", {"label": "Warm"}, rev=rev)
    answer = house.client.delete("/api/v1/looks/warm", headers={"if-match": f'"{rev}"'})
    assert answer.status_code == 412
    send(house, "DELETE", "looks/warm", rev=house.get("looks/warm")["rev"])
    assert house.client.get("/api/v1/looks/warm").status_code == 404
    send(house, "POST", "undo")
    assert house.get("looks/warm")["grades"]["outer"]["temperature_k"] == 3200.0
    for name, body in (
        ("bad", {"grades": {"roof": {}}}), ("bad", {"scenes": {"nowhere": {}}}), ("Bad name", {}), ("active", {}),
        ("bad", {"grades": {"outer": {"contrast": "high"}}}), ("bad", {"scenes": {"hall": {"sun/size": 3}}}),
    ):  # fmt: skip
        assert status(house, "PUT", f"looks/{name}", body) in (404, 422), body
    assert status(house, "POST", "looks/none/apply") == 404
    assert status(house, "POST", "looks/warm/apply?seconds=-1") == 422
    assert status(house, "POST", "looks/warm/apply?curve=bounce") == 422


def test_a_cue_puts_a_look_on(house: RunningHouse) -> None:
    send(house, "PUT", "looks/dim", {"grades": {"outer": {"exposure_ev": -3.0}}})
    send(house, "PUT", "cues/dimmed", {"number": "71", "changes": {"look/active": "dim"}, "seconds": 0.2})
    assert house.get("cues/dimmed/preview")["changes"]["look/outer/exposure_ev"] == {"before": 0.0, "after": -3.0}
    send(house, "POST", "cues/go", {"number": "71"})
    house.eventually(lambda: layers(house) == {"outer": Grade(exposure_ev=-3.0)})
    assert house.get("look")["look"] == "dim"
    send(house, "POST", "cues/back")
    house.eventually(lambda: layers(house) == {})
    send(house, "DELETE", "cues/dimmed")


def test_directors_may() -> None:
    for path in ("look", "looks/warm", "looks/warm/apply", "looks/warm/store"):
        assert scope_of_request("PATCH", f"/api/v1/{path}") == "look"
    for address in ("look/outer/exposure_ev", "look/active", "looks/warm"):
        assert scope_of_address(address) == "look"


def test_a_look_is_looked_at_before_it_is_put_on(house: RunningHouse) -> None:
    send(house, "PUT", "looks/night", {"grades": {"outer": {"exposure_ev": -1}}})
    rev, on = house.get("show")["rev"], house.get("look")["look"]
    seen = []
    for path in (
        "look/preview.jpg",
        "looks/night/preview.jpg?width_px=128",
        "looks/night/preview.png?of=canvases/main",
    ):
        answer = house.client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        picture = Image.open(io.BytesIO(answer.content))
        red, green, blue = picture.convert("RGB").getpixel((8, 8))  # type: ignore[misc]
        assert max(red, green, blue) - min(red, green, blue) <= 2
        seen.append((picture.format, picture.width, round(green / 4) * 4))
    assert seen == [("JPEG", 640, 64), ("JPEG", 128, 32), ("PNG", 640, 32)]
    assert [order.of for order in house.node.looks[-3:]] == ["cameras/a/photo"] * 2 + ["canvases/main"]
    # Two that are compared are seen by one frame's cameras.
    frame = int(answer.headers["x-frame"])
    again = house.client.get(f"/api/v1/looks/night/preview.jpg?frame={frame}")
    assert int(again.headers["x-frame"]) == frame
    assert house.get("show")["rev"] == rev, "nothing changed"
    assert house.get("look")["look"] == on
    assert layers(house) == {}
    assert not list(house.run.path.glob("look-order-*")), "nothing is left behind"
    for path in ("looks/none/preview.jpg", "look/preview.jpg?of=cameras/z/photo", "look/preview.jpg?of=canvases/z"):
        assert status(house, "GET", path) == 404, path
    assert status(house, "GET", "look/preview.jpg?of=walls/main") == 422
    assert status(house, "GET", "look/preview.jpg?width_px=9") == 422
