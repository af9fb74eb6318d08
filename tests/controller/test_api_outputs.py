"""Single outputs and engines over the API: what a canvas shows instead, its signed delays, who draws it; with undo.
(`captures` are tested in tests/controller/capture.)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


@pytest.mark.parametrize("what", ["black", "frozen", "identify"])
def test_an_output_shows_something_else_until_it_is_undone(house: RunningHouse, what: str) -> None:
    answer = house.patch("canvases/main", {what: True})
    assert answer.status_code == 200, answer.text
    frame = answer.json()["frame"]
    found = house.get("canvases/main")
    assert [found[name] for name in ("black", "frozen", "identify")] == [
        name == what for name in ("black", "frozen", "identify")
    ]

    def planned() -> Any:
        plan = house.control.backend.plan
        return plan.outputs.get("main") if plan is not None and plan.frame >= frame else None

    told = house.eventually(planned)
    assert told.picture == what
    assert told.since_frame >= frame - 1
    undone = house.client.post("/api/v1/undo", json={})
    assert undone.status_code == 200, undone.text
    assert house.get("canvases/main")[what] is False


def test_delays_are_signed(house: RunningHouse) -> None:
    before = house.get("canvases/main")
    assert house.patch("canvases/main", {"delay_ms": 41.0, "delay_frames": -3}).status_code == 200
    found = house.get("canvases/main")
    assert (found["delay_ms"], found["delay_frames"]) == (41.0, -3)
    assert found["held_back_frames"] == before["held_back_frames"], "alone, there is nobody to be ahead of"
    assert found["to_light_ms"] > before["to_light_ms"] + 41.0
    assert house.client.post("/api/v1/undo", json={}).status_code == 200
    for field, value in (("delay_ms", 5000), ("delay_frames", -61), ("black", "yes")):
        answer = house.patch("canvases/main", {field: value})
        assert (answer.status_code, answer.json()["path"]) == (422, f"canvases/main/{field}")


def test_engines_are_told_and_switched(house: RunningHouse) -> None:
    assert house.get("engines") == {}
    assert house.patch("engines/grid", {"enabled": True}).status_code == 404
    etag = house.client.get("/api/v1/config").headers["etag"]
    text = house.config_text + "\nengines:\n  grid: {cameras: [a], canvases: [main], hold_frames: 5}\n"
    headers = {"if-match": etag, "content-type": "application/yaml"}
    answer = house.client.put("/api/v1/config", content=text, headers=headers)
    assert answer.status_code == 200, answer.text
    found = house.get("engines/grid")
    assert (found["cameras"], found["canvases"], found["enabled"], found["hold_frames"]) == (["a"], ["main"], True, 5)
    assert house.get("canvases/main")["engine"] == "grid"

    def drawing() -> list[str] | None:
        plan = house.control.backend.plan
        return None if plan is None else [engine.id for engine in plan.engines]

    assert house.eventually(lambda: drawing() == ["grid"])
    assert house.patch("engines/grid", {"enabled": False}).status_code == 200
    assert house.get("engines/grid")["enabled"] is False
    assert house.eventually(lambda: drawing() == [])
    etag = house.client.get("/api/v1/config").headers["etag"]
    headers["if-match"] = etag
    assert house.client.put("/api/v1/config", content=house.config_text, headers=headers).status_code == 200
    bad = house.config_text + "\nengines:\n  grid: {cameras: [nobody]}\n"
    headers["if-match"] = house.client.get("/api/v1/config").headers["etag"]
    answer = house.client.put("/api/v1/config", content=bad, headers=headers)
    assert (answer.status_code, answer.json()["path"]) == (422, "engines/grid/cameras")
