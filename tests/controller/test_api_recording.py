"""Recording over HTTP: a real recorder beside the running house, begun, looked at and ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controller.recorder import Recorder
from controller.tracking_recorder import stop_recording
from runtime.clock import SystemClock
from tracking.capture import read_capture

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


@pytest.fixture
def recorder(house: RunningHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    clock = SystemClock()
    made = Recorder(run=house.run, clock=clock, folder=tmp_path / "ledger", keep_bytes=0, show="t")
    made.start()
    made.step(clock.now_ns())
    yield made
    stop_recording(house.run)
    made.stop()


def look(house: RunningHouse, recorder: Recorder, state: str) -> dict:  # type: ignore[type-arg]
    """The recording's state once the recorder has come to it."""

    def seen() -> dict | None:  # type: ignore[type-arg]
        recorder.step(SystemClock().now_ns())
        found = house.get("tracking/record")
        return found if found["state"] == state else None

    found = house.eventually(seen)
    assert isinstance(found, dict)
    return found


def test_start_look_stop(house: RunningHouse, recorder: Recorder, tmp_path: Path) -> None:
    assert house.get("tracking/record")["asked"] is False
    answer = house.client.post("/api/v1/tracking/record", json={"action": "start", "name": "take_7"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["asked"] is True
    assert answer.json()["path"].endswith("/recordings/take_7.mcap")
    told = look(house, recorder, "recording")
    path = Path(told["path"])
    assert path.is_relative_to(tmp_path)
    again = house.client.post("/api/v1/tracking/record", json={"action": "start", "name": "take_7"})
    assert again.status_code == 409
    assert again.json()["code"] == "controller.recording"
    answer = house.client.post("/api/v1/tracking/record", json={"action": "stop"})
    assert answer.json()["asked"] is False
    told = look(house, recorder, "idle")
    assert told["path"] == str(path)
    capture = read_capture(path)
    assert not capture.torn
    assert capture.info.run == house.run.run
    assert "openvolume: 1" in capture.info.config_text


def test_without_a_name_it_is_called_by_the_time(house: RunningHouse, recorder: Recorder) -> None:
    answer = house.client.post("/api/v1/tracking/record", json={"action": "start"})
    assert answer.status_code == 200
    name = Path(answer.json()["path"]).stem
    assert len(name) == len("20260101-120000")
    look(house, recorder, "recording")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "action"),
        ({"action": "pause"}, "action"),
        ({"action": "start", "name": "../../etc/passwd"}, "name"),
        ({"action": "start", "name": ""}, "name"),
        ({"action": "start", "name": 7}, "name"),
        ({"action": "stop", "name": "a"}, "name"),
        ({"action": "start", "file": "a"}, "file"),
    ],
)
def test_what_cannot_be_asked(house: RunningHouse, body: dict[str, object], path: str) -> None:
    answer = house.client.post("/api/v1/tracking/record", json=body)
    assert answer.status_code == 422
    assert answer.json()["path"] == path


def test_without_a_recorder_nothing_begins(house: RunningHouse) -> None:
    def refused() -> bool:
        answer = house.client.post("/api/v1/tracking/record", json={"action": "start"})
        if answer.status_code == 200:
            house.client.post("/api/v1/tracking/record", json={"action": "stop"})
        return answer.status_code == 409 and "no recorder runs" in answer.text

    assert house.eventually(refused)
