"""A Cooke /i lens on a serial line in a running show: what it says reaches the camera of every plan."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from stage.frames import pose_from_pan_tilt_roll
from stage.plan import PlanCamera
from stage.rate import NS_PER_S, Rate
from tracking.encoders import encoder
from tracking.moment import Moment
from tracking.sample import LensReading

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def _kit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_lenskit", Path(__file__).parents[1] / "tracking/_lenskit.py")
    assert spec is not None
    assert spec.loader is not None
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)
    return kit


KIT = _kit()


class World(threading.Thread):
    """A tracked camera, and its lens at the far end of a line."""

    def __init__(self, address: str, device: Path) -> None:
        super().__init__(daemon=True)
        host, port = address.rsplit(":", 1)
        self._to, self.lens, self.ended = (host, int(port)), KIT.Lens(device), threading.Event()
        self.record = KIT.record(focus_m=2.5, zoom_mm=50.0, pupil_m=0.08)
        self.plugged = True
        """Whether the line is to be there."""

    def run(self) -> None:
        encode, n, there = encoder("opentrackio", rate=Rate(50)), 0, True
        pose = pose_from_pan_tilt_roll((0.0, -1.0, 1.6))
        own = LensReading(focal_length_mm=30.0, f_stop=4.0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not self.ended.wait(0.02):
                for data in encode(Moment(pose, n, 1_700_000_000 * NS_PER_S + n * NS_PER_S // 50, own)):
                    sender.sendto(data, self._to)
                n += 1
                if self.plugged != there:
                    there = self.plugged
                    (self.lens.plug_in if there else self.lens.pull_out)()
                if there:
                    self.lens.step()
                    if self.lens.sends:
                        self.lens.send(self.record)
        if there:
            self.lens.pull_out()


@pytest.fixture
def world(house: RunningHouse, tmp_path: Path) -> Iterator[World]:
    def address() -> str:
        status = house.control.backend.conductor
        told = "" if status is None else status.sources["tracker"].address
        return "" if told.endswith(":0") else told

    made = World(house.eventually(address), tmp_path / "ttyLens")
    house.eventually(lambda: house.control.backend.plan)
    made.start()
    yield made
    while house.client.post("/api/v1/undo").status_code == 200:
        pass
    made.ended.set()
    made.join(5)


def camera(house: RunningHouse) -> PlanCamera:
    plan = house.control.backend.plan
    assert plan is not None
    return plan.cameras[0]


def put(house: RunningHouse, text: str) -> Any:
    headers = {"content-type": "application/yaml", "If-Match": f'"{house.control.desk.rev_of("config")}"'}
    return house.client.put("/api/v1/config", content=text, headers=headers)


def test_the_lens_of_the_line_is_the_lens_of_the_plans(house: RunningHouse, world: World, tmp_path: Path) -> None:
    house.eventually(lambda: camera(house).lens.focal_length_mm == pytest.approx(30.0))
    source = f"    lens_a: {{protocol: cooke, listen: 'serial:{tmp_path}/ttyLens', camera: a}}\n"
    text = house.control.desk.loaded.source.replace("  sources:\n", "  sources:\n" + source, 1)
    answer = put(house, text)
    assert answer.status_code == 200, answer.text
    house.eventually(lambda: camera(house).lens.focal_length_mm == pytest.approx(50.0))
    lens = camera(house).lens
    assert lens.focus_distance_m == pytest.approx(2.5)
    assert lens.entrance_pupil_m == pytest.approx(0.08)
    assert lens.f_stop == pytest.approx(4.0)  # what the lens does not say comes with the pose
    assert camera(house).source == "tracker"
    # It cannot be chosen to move the camera, and has no axes to check.
    refused = house.client.patch("/api/v1/cameras/a", json={"preferred_source": "lens_a"})
    assert refused.status_code == 422
    assert "tracker" in refused.json()["mend"]
    assert house.client.post("/api/v1/sources/lens_a/guided", json={"action": "start"}).status_code == 422
    # A focus pull shows.
    world.record = KIT.record(focus_m=1.25, zoom_mm=50.0, pupil_m=0.07)
    house.eventually(lambda: camera(house).lens.focus_distance_m == pytest.approx(1.25))
    house.eventually(lambda: camera(house).lens.entrance_pupil_m == pytest.approx(0.07))
    view = house.eventually(lambda: (v := house.get("sources/lens_a"))["state"] == "ok" and v)
    assert (view["protocol"], view["camera"], view["moves"]) == ("cooke", "a", False)
    assert view["samples"] > 0
    # Out of its socket: an alarm in words, the camera goes on, its own tracker's lens counts again.
    world.plugged = False
    found = house.eventually(
        lambda: [a for a in house.get("alarms")["alarms"] if a["code"] == "tracking.device"], timeout_s=20
    )
    assert "ttyLens" in found[0]["detail"]
    house.eventually(lambda: camera(house).lens.focal_length_mm == pytest.approx(30.0))
    assert house.get("sources/tracker")["state"] == "ok"
    world.plugged = True
    house.eventually(lambda: camera(house).lens.focal_length_mm == pytest.approx(50.0), timeout_s=20)
    house.eventually(lambda: not [a for a in house.get("alarms")["alarms"] if a["code"] == "tracking.device"])


def test_a_line_that_is_none_is_refused_in_words(house: RunningHouse) -> None:
    source = "    lens_a: {protocol: cooke, listen: 'serial:/dev/ttyUSB0@1234', camera: a}\n"
    text = house.control.desk.loaded.source.replace("  sources:\n", "  sources:\n" + source, 1)
    answer = put(house, text)
    assert answer.status_code == 422
    document = answer.json()
    assert document["path"].startswith("tracking/sources/lens_a")
    assert "no rate" in document["detail"]
