"""A Cooke /i lens on a serial line in a running show: what it says reaches the camera of every plan."""

from __future__ import annotations

import importlib.util
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from controller.config import compile_loaded
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


# --- under a virtual clock ----------------------------------------------------------------------------------------

LENS = "    lens_a: {protocol: cooke, listen: '127.0.0.1:40003', camera: a, cooke: {units: metric}}\n"


class VirtualLens:
    """Role: a lens at the far end of a bridge, fifty records a second. zoom_mm : at a time since it began."""

    def __init__(self, show: Any, zoom_mm: Callable[[float], float]) -> None:
        self._show, self._zoom_mm, self._began_ns = show, zoom_mm, show.clock.now_ns()

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def step(self, now_ns: int) -> int:
        record = KIT.record(focus_m=2.5, zoom_mm=self._zoom_mm((now_ns - self._began_ns) / NS_PER_S), pupil_m=0.08)
        self._show.conductor.inputs.inject("lens_a", bytes(record))
        return now_ns + NS_PER_S // 50


def with_lens(text: str, *, alone: bool) -> str:
    """A configuration with a lens that speaks for itself, beside the tracker or in its place."""
    if not alone:
        return text.replace("  sources:\n", "  sources:\n" + LENS, 1)
    text, changed = re.subn(r"^  sources:\n(?:    .*\n|\n)*", "  sources:\n" + LENS + "\n", text, flags=re.MULTILINE)
    assert changed == 1
    return text


@pytest.mark.parametrize("alone", [True, False])
def test_a_zoom_pull_of_the_lens_alone_widens_the_overscan(shm: Path, housekit: ModuleType, alone: bool) -> None:
    """With the lens as the camera's only source, too: then it stands where the file puts it."""
    text = with_lens(housekit.minimal_text(), alone=alone)

    def zoom_mm(t_s: float) -> float:
        return 40.0 - 15.0 * min(max(t_s - 4.0, 0.0), 1.0)

    with housekit.VirtualShow(shm, text, tracker=not alone, node=False) as show:
        show.house.add("lens", VirtualLens(show, zoom_mm))
        show.run_for(8.0)
        plans = [plan.cameras[0] for plan in show.plans.values()]
        status = show.conductor_status()
    told = {camera.lens.focal_length_mm for camera in plans[:80]}
    assert 40.0 in told
    assert told <= {40.0, 35.0}  # as the file has it until the lens speaks
    last = plans[-1].lens
    assert (last.focal_length_mm, last.focus_distance_m, last.entrance_pupil_m) == (25.0, 2.5, 0.08)
    rest, pull = plans[90].overscan_deg, [camera.overscan_deg for camera in plans[97:125]]
    # A held frame is covered while it zooms out, and what the pull was foretold wrongly by stays covered after it.
    assert max(sides[0] for sides in pull) > rest[0] + 0.5
    causes = status.cameras["a"].overscan_causes_deg
    assert causes["prediction"] > 0.2
    if alone:
        assert {camera.quality for camera in plans} == {"untracked"}
        assert {camera.source for camera in plans} == {""}
        expected = show.stage.cameras["a"].default_stage_from_camera.reshape(16).tolist()
        assert all(camera.stage_from_camera == expected for camera in plans)


def test_a_lens_moves_no_camera_and_is_no_second_tracker(housekit: ModuleType) -> None:
    """What `check` warns of."""

    def codes(text: str) -> set[str]:
        return {w.code for w in compile_loaded(housekit.loaded_of(text)).warnings}

    text = housekit.minimal_text()
    assert codes(with_lens(text, alone=False)) == codes(text)
    assert codes(with_lens(text, alone=True)) - codes(text) == {"controller.untracked"}
