"""Every kind of change over HTTP is a revision with its hand, before, after and frame, taken back and brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from controller.show import Nudge

if TYPE_CHECKING:
    from controller.show import Show
    from tests.controller.conftest import RunningHouse

CUE: Final = {"number": "7", "changes": {"exposure_ev": 1.0}}
KINDS: Final[dict[str, list[tuple[str, str, Any]]]] = {
    "a value of the show": [("PATCH", "show", {"exposure_ev": -1.25})],
    "a camera": [("PATCH", "cameras/a", {"soft_edge_deg": 3.0, "on_air": False})],
    "the overscan, which moves its mode": [("PATCH", "cameras/a", {"overscan_deg": [1, 2, 3, 4]})],
    "a scene on air": [("POST", "scenes/hall/activate", None)],
    "a scene's light": [("PATCH", "scenes/grey", {"background": [0.1, 0.2, 0.3]})],
    "a position": [("POST", "positions/far/activate", None)],
    "a grade": [("PATCH", "look", {"outer": {"exposure_ev": -1.0, "gain": [1, 0.9, 0.8]}})],
    "a stored look": [("PUT", "looks/dusk", {"grades": {"inner": {"contrast": 1.2}}})],
    "a look that is put on": [
        ("PUT", "looks/dusk", {"grades": {"inner": {"contrast": 1.2}, "outer": {"exposure_ev": -2}}}),
        ("POST", "looks/dusk/apply", None),
    ],
    "a look that is stored from what stands": [("POST", "looks/now/store", {"label": "Now"})],
    "a look that is deleted": [("PUT", "looks/dusk", {"grades": {"inner": {}}}), ("DELETE", "looks/dusk", None)],
    "a card": [("PUT", "cards/fill", {"pan_deg": 12.0})],
    "a card that is moved": [("PUT", "cards/fill", {"pan_deg": 12.0}), ("PATCH", "cards/fill", {"nits": 50.0})],
    "a card that is deleted": [("PUT", "cards/fill", {"pan_deg": 12.0}), ("DELETE", "cards/fill", None)],
    "a key": [("PUT", "chromakeys/green", {"camera": "a"})],
    "a key that is changed": [
        ("PUT", "chromakeys/green", {"camera": "a"}), ("PATCH", "chromakeys/green", {"nits": 40}),
    ],
    "a cue": [("PUT", "cues/seven", CUE)],
    "a cue that is edited": [("PUT", "cues/seven", CUE), ("PATCH", "cues/seven", {"label": "seventh", "seconds": 2})],
    "a cue that is deleted": [("PUT", "cues/seven", CUE), ("DELETE", "cues/seven", None)],
    "the order of cues": [
        ("PUT", "cues/seven", CUE), ("PUT", "cues/eight", {**CUE, "number": "8"}),
        ("PUT", "cues/order", {"ids": ["eight", "seven"]}),
    ],
    "a GO": [("PUT", "cues/seven", CUE), ("POST", "cues/go", {"number": "7"})],
    "time code that is chased": [("POST", "cues/chase", {"on": True})],
    "line-up": [("POST", "sources/tracker/nudge", {"x_m": 0.01, "pan_deg": 0.5})],
    "a source's delay": [("PATCH", "sources/tracker", {"delay_ms": 12.0})],
    "a test picture": [("PUT", "patterns/eye_card", {"on": True, "targets": ["main"]})],
    "a canvas that is black": [("PATCH", "canvases/main", {"black": True})],
    "the delay of an output": [("PATCH", "canvases/main", {"delay_frames": 2})],
    "the outer picture": [("PATCH", "show", {"outer_mode": "frozen", "eye_m": [0.5, 0.5, 1.5]})],
    "the configuration": [("PUT", "config", "shutter_deg: 180.0 -> shutter_deg: 90.0")],
}  # fmt: skip


def state(house: RunningHouse) -> tuple[Show, str]:
    """The show and its configuration as they stand, without numbers that count changes."""
    show = house.control.desk.show
    states = {
        name: msgspec.structs.replace(one, version=0)
        for name, one in show.scene_states.items()
        if one.edits or one.preload
    }
    plain = {"version": 0, "config_version": 0, "grades_version": 0, "switches": [], "transitions": []}
    nudges = {name: nudge for name, nudge in show.nudges.items() if nudge != Nudge()}
    show = msgspec.structs.replace(show, **plain, scene_states=states, nudges=nudges)
    return show, house.control.desk.loaded.source


def send(house: RunningHouse, method: str, path: str, body: Any) -> Any:
    headers = {}
    if method in ("PUT", "DELETE") and house.client.get(f"/api/v1/{path}").status_code == 200:
        headers["if-match"] = house.client.get(f"/api/v1/{path}").headers["etag"]
    if path == "cues/order":
        headers["if-match"] = house.client.get("/api/v1/cues").headers["etag"]
    if path == "config":
        old, _, new = body.partition(" -> ")
        text = house.get("config")["text"]
        assert old in text
        headers["content-type"] = "application/yaml"
        answer = house.client.put("/api/v1/config", content=text.replace(old, new).encode(), headers=headers)
    else:
        answer = house.client.request(method, f"/api/v1/{path}", json=body, headers=headers)
    assert answer.status_code == 200, f"{method} {path}: {answer.text}"
    return answer.json()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_told_taken_back_and_brought_back(house: RunningHouse, kind: str) -> None:
    first = state(house)
    *before, last = KINDS[kind]
    for request in before:
        send(house, *request)
    made = state(house)
    outcome = send(house, *last)
    after = state(house)
    assert after != made
    # Who, what, before, after; and the frame it holds from.
    (newest,) = house.get("config/revisions?limit=1")["revisions"]
    assert (newest["rev"], newest["who"][:5], newest["undone_by"]) == (outcome["rev"], "http ", None)
    assert newest["changes"] == outcome["changes"]
    assert newest["changes"].keys() != set()
    assert outcome["frame"] is not None
    told = house.eventually(
        lambda: [one for one in house.get("audit?limit=30")["entries"] if one["path"] in newest["changes"]]
    )[0]
    assert told["who"] == newest["who"]
    assert told["frame"] > 0
    if told["what"] == "change":
        assert {"before": told["before"], "after": told["after"]} == newest["changes"][told["path"]]

    house.client.post("/api/v1/undo").raise_for_status()
    assert state(house) == made
    assert house.get("config/revisions?limit=2")["revisions"][1]["undone_by"] == outcome["rev"] + 1
    house.client.post("/api/v1/redo").raise_for_status()
    assert state(house) == after
    for _ in KINDS[kind]:
        house.client.post("/api/v1/undo").raise_for_status()
    assert state(house) == first
