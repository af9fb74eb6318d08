"""The guided axis check in a running show: a simulated tracker with wrong signs, real sockets, the real conductor."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema
import numpy as np
import pytest

from controller.api.app import create_app
from stage.frames import Array, pose_from_pan_tilt_roll

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

_SPEC = importlib.util.spec_from_file_location(
    "_doctorkit", Path(__file__).parents[1] / "tracking/doctor/_doctorkit.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
_KIT = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_KIT)
step_arrivals, told_wrongly = _KIT.step_arrivals, _KIT.told_wrongly
GUIDED = "/api/v1/sources/tracker/guided"
DOCUMENT = create_app(version="0").openapi()


class Tracker:
    """Speaks to the socket that the conductor has opened for the source."""

    def __init__(self, house: RunningHouse) -> None:
        host, port = house.eventually(lambda: self.address(house)).rsplit(":", 1)
        self._to, self._house = (host, int(port)), house
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sent = 0

    @staticmethod
    def address(house: RunningHouse) -> str:
        status = house.control.backend.conductor
        told = "" if status is None else status.sources["tracker"].address
        return "" if told.endswith(":0") else told

    def say(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self._socket.sendto(datagram, self._to)
        self.sent += len(datagrams)
        self._house.eventually(lambda: self._house.control.guided.source == "" or self.heard() >= self.sent)

    def heard(self) -> int:
        heard: int = self._house.client.get(GUIDED).json()["heard"]
        return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def tracker(house: RunningHouse) -> Iterator[Tracker]:
    with closing(Tracker(house)) as made:
        yield made
    house.client.post(GUIDED, json={"action": "stop"})
    while house.client.post("/api/v1/undo").status_code == 200:
        pass


def post(house: RunningHouse, **body: Any) -> dict[str, Any]:
    answer = house.client.post(GUIDED, json=body)
    assert answer.status_code == 200, answer.text
    return checked(answer)


def checked(answer: httpx.Response) -> dict[str, Any]:
    view: dict[str, Any] = answer.json()
    reference = {"$ref": "#/components/schemas/GuidedView", "components": DOCUMENT["components"]}
    jsonschema.validate(view, reference)
    return view


def walk_through(house: RunningHouse, tracker: Tracker, spoil: Any, *, only: tuple[str, ...] = ()) -> dict[str, Any]:
    steps, _ = step_arrivals("opentrackio", spoil, **({"only": only} if only else {}))
    post(house, action="start")
    tracker.sent = 0
    for step, came in steps.items():
        view = post(house, action="step", step=step)
        assert (view["state"], view["step"], view["result"]) == ("recording", step, None)
        tracker.say([arrival.data for arrival in came])
        view = post(house, action="hold")
        told = next(one for one in view["steps"] if one["id"] == step)
        assert told["samples"] == len(came)
    assert view["state"] == "waiting"
    return view


def plan_pose(house: RunningHouse) -> Array:
    plan = house.control.backend.plan
    assert plan is not None
    return np.array(plan.cameras[0].stage_from_camera).reshape(4, 4)


def test_wrong_signs_are_found_and_set_in_the_running_show(house: RunningHouse, tracker: Tracker) -> None:
    before = house.control.desk.loaded.source
    wrong = told_wrongly({"signs": {"pan": -1}, "axes": {"x": "-x"}})
    view = walk_through(house, tracker, wrong)
    result = view["result"]
    assert view["next"] is None
    assert (result["right"], result["certain"]) == (False, True)
    assert result["change"] == {"signs": {"pan": -1}, "axes": {"x": "-x"}}
    assert [f["weight"] for f in result["findings"]].count("fault") == 1
    # Nothing has changed yet.
    assert house.control.desk.loaded.source == before
    answer = house.client.post(f"{GUIDED}/apply", headers={"If-Match": f'"{view["rev"]}"'})
    assert answer.status_code == 200, answer.text
    assert list(answer.json()["changes"]) == ["config"]
    source = house.get("config")["config"]["tracking"]["sources"]["tracker"]
    assert (source["signs"]["pan"], source["axes"]["x"]) == (-1, "-x")
    # Only these lines are new; comments stay.
    after = house.control.desk.loaded.source.splitlines()
    assert [line for line in after if line not in before.splitlines()] == [
        "      signs: {pan: -1}",
        "      axes: {x: -x}",
    ]
    assert [line for line in after if line in before.splitlines()] == before.splitlines()
    # The check goes on, and says so.
    again = checked(house.client.get(GUIDED))
    assert (again["result"]["right"], again["result"]["change"]) == (True, {})
    assert again["rev"] == answer.json()["rev"]
    refused = house.client.post(f"{GUIDED}/apply")
    assert (refused.status_code, refused.json()["code"]) == (422, "controller.bad_value")
    # The walls follow the camera rightly now: a camera that stands somewhere is planned there.
    true = pose_from_pan_tilt_roll((0.7, -1.0, 1.6), pan_deg=12.0, tilt_deg=-4.0)
    made, _ = step_arrivals("opentrackio", lambda _: wrong(true), only=("still",))

    def planned() -> bool:
        tracker.say([arrival.data for arrival in made["still"]])
        mount = house.control.desk.stage.cameras["a"].body_from_sensor
        return bool(np.abs(plan_pose(house) - true @ mount).max() < 1e-4)

    house.eventually(planned)
    # One step of undo takes it back, whole.
    assert house.client.post("/api/v1/undo").status_code == 200
    assert house.control.desk.loaded.source == before
    assert checked(house.client.get(GUIDED))["result"]["change"] == result["change"]


def test_a_tracker_that_is_right_needs_no_change(house: RunningHouse, tracker: Tracker) -> None:
    view = walk_through(house, tracker, lambda pose: pose)
    assert (view["result"]["right"], view["result"]["certain"], view["result"]["change"]) == (True, True, {})
    moved = {step["id"]: (step["turned_deg"], step["moved_m"]) for step in view["steps"]}
    assert moved["pan_right"][0] == pytest.approx(43.0, abs=0.5)
    assert moved["walk_forward"][1] == pytest.approx(1.1, abs=0.01)


def test_steps_are_done_again_and_left_out(house: RunningHouse, tracker: Tracker) -> None:
    wrong = told_wrongly({"signs": {"tilt": -1}})
    view = walk_through(house, tracker, wrong, only=("pan_right", "walk_forward"))
    assert (view["next"], view["result"]["right"], view["result"]["certain"]) == ("still", True, False)
    # The step that shows the fault, first botched: the camera was not moved at all.
    steps, _ = step_arrivals("opentrackio", wrong, only=("still", "tilt_up"))
    for step in ("still", "tilt_up"):
        post(house, action="step", step="tilt_up")
        tracker.say([arrival.data for arrival in steps[step]])
    view = post(house, action="hold")
    assert view["result"]["change"] == {"signs": {"tilt": -1}}
    told = {step["id"]: step["samples"] for step in view["steps"]}
    assert told["tilt_up"] == len(steps["tilt_up"])
    assert told["raise"] == 0


def test_what_cannot_be_done_is_refused_in_words(house: RunningHouse, tracker: Tracker) -> None:
    def refused(status: int, **body: Any) -> dict[str, Any]:
        answer = house.client.post(GUIDED, json=body)
        assert answer.status_code == status, answer.text
        document: dict[str, Any] = answer.json()
        return document

    off = checked(house.client.get(GUIDED))
    assert (off["state"], off["result"], len(off["steps"])) == ("off", None, 7)
    assert all(step["prompt"] for step in off["steps"])
    assert "start" in refused(412, action="step", step="still")["mend"]
    assert refused(412, action="hold")["code"] == "controller.stale"
    assert house.client.post(f"{GUIDED}/apply").status_code == 412
    for body in ({"action": "dance"}, {"action": "step"}, {"action": "step", "step": "jump"},
                 {"action": "start", "step": "still"}, {"action": "start", "more": 1}, {}):  # fmt: skip
        assert refused(422, **body)["code"] == "controller.bad_value"
    assert house.client.get("/api/v1/sources/none/guided").status_code == 404
    assert house.client.post("/api/v1/sources/none/guided", json={"action": "start"}).status_code == 404
    post(house, action="start")
    assert house.client.post(f"{GUIDED}/apply").json()["code"] == "controller.bad_value"
    assert house.client.post(f"{GUIDED}/apply", headers={"If-Match": '"999"'}).status_code == 412
    # Nobody speaks: a step without poses tells nothing.
    post(house, action="step", step="still")
    view = post(house, action="hold")
    assert (view["heard"], view["result"]) == (0, None)
    assert post(house, action="stop")["state"] == "off"


def test_a_check_ends_when_the_source_becomes_another(house: RunningHouse, tracker: Tracker) -> None:
    post(house, action="start")
    text = house.control.desk.loaded.source.replace("protocol: opentrackio", "protocol: freed")
    assert text != house.control.desk.loaded.source
    rev = house.control.desk.rev_of("config")
    headers = {"content-type": "application/yaml", "If-Match": f'"{rev}"'}
    assert house.client.put("/api/v1/config", content=text, headers=headers).status_code == 200
    assert house.client.post(GUIDED, json={"action": "step", "step": "still"}).status_code == 412
    house.eventually(lambda: checked(house.client.get(GUIDED))["state"] == "off")
