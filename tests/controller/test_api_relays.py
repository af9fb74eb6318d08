"""Relays in a running show: added over the API, heard by other programs' sockets, told with what they do."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest

from controller.api.app import create_app
from controller.config import load_config
from controller.config_patch import with_relay
from stage.errors import OpenVolumeError
from stage.frames import Array, pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll
from stage.plan import transform_of
from stage.rate import NS_PER_S, Rate
from tracking.config import Source
from tracking.decoders import assembler_of, parser_of
from tracking.encoders import encoder
from tracking.mapping import Mapping, mapping_of
from tracking.moment import Moment
from tracking.sample import Sample, Stamp

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

DOCUMENT = create_app(version="0").openapi()
TRUE = pose_from_pan_tilt_roll((0.7, -1.0, 1.6), pan_deg=12.0, tilt_deg=-4.0, roll_deg=1.0)


class Listener:
    """Another program: a socket, and OpenVolume's own decoder of the protocol."""

    def __init__(self, protocol: str, **keys: Any) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.target = f"127.0.0.1:{self.socket.getsockname()[1]}"
        source = Source.model_validate(
            {"protocol": protocol, "listen": "127.0.0.1:1", "camera": "a", "pose_point": "sensor", **keys}
        )
        self._mapping: Mapping = mapping_of("t", source)
        parse = parser_of(source)
        self._feed = parse if parse is not None else assembler_of(source).feed

    def newest(self) -> Sample | None:
        """Of what waits (0.2 s at most)."""
        found = None
        try:
            while True:
                data = self.socket.recv(65536)
                self.socket.settimeout(0.0)
                for packet in self._feed(data):
                    for item in packet.samples(self._mapping, Stamp()):  # type: ignore[union-attr]
                        found = item if isinstance(item, Sample) else found
        except (TimeoutError, BlockingIOError):
            pass
        finally:
            self.socket.settimeout(0.2)
        return found

    def close(self) -> None:
        self.socket.close()


class Tracker(threading.Thread):
    """A still camera, 50 times a second, at the source's socket."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        host, port = address.rsplit(":", 1)
        self._to, self.ended = (host, int(port)), threading.Event()

    def run(self) -> None:
        encode, n = encoder("opentrackio", rate=Rate(50)), 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not self.ended.wait(0.02):
                for data in encode(Moment(TRUE, n, 1_700_000_000 * NS_PER_S + n * NS_PER_S // 50)):
                    sender.sendto(data, self._to)
                n += 1


@pytest.fixture(scope="module")
def moving(house: RunningHouse) -> Iterator[RunningHouse]:
    """The house with a tracker, and the relay's own process."""

    def address() -> str:
        status = house.control.backend.conductor
        told = "" if status is None else status.sources["tracker"].address
        return "" if told.endswith(":0") else told

    tracker = Tracker(house.eventually(address))
    tracker.start()
    argv = [sys.executable, "-P", "-m", "controller.processes.relay", str(house.run.path)]
    relay = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    house.eventually(lambda: house.get("sources/tracker")["state"] == "ok")
    yield house
    tracker.ended.set()
    relay.terminate()
    relay.wait(10)


@pytest.fixture(autouse=True)
def in_order(house: RunningHouse) -> Iterator[None]:
    yield
    while house.client.post("/api/v1/undo").status_code == 200:
        pass


def put(house: RunningHouse, name: str, **body: Any) -> Any:
    headers = {"If-Match": f'"{house.control.desk.rev_of("config")}"'}
    return house.client.put(f"/api/v1/relays/{name}", json=body, headers=headers)


def sensor(house: RunningHouse) -> Array:
    """Where the plan has the camera's sensor."""
    plan = house.control.backend.plan
    assert plan is not None
    return transform_of(plan.cameras[0].stage_from_camera)


@pytest.mark.parametrize(
    ("protocol", "pose"),
    [
        ("freed", "predicted"),
        ("opentrackio", "raw"),
        ("opentrackio_cbor", "predicted"),
        ("osc", "raw"),
        ("osc_bundle", "predicted"),
        *(
            pytest.param(protocol, pose, marks=pytest.mark.slow)
            for protocol, pose in [
                ("freed", "raw"),
                ("opentrackio", "predicted"),
                ("opentrackio_cbor", "raw"),
                ("osc", "predicted"),
                ("osc_bundle", "raw"),
            ]
        ),
    ],
)
def test_another_program_hears_the_camera(moving: RunningHouse, protocol: str, pose: str) -> None:
    kind = {"opentrackio_cbor": "opentrackio", "osc_bundle": "osc"}.get(protocol, protocol)
    before = moving.control.desk.loaded.source
    with closing(Listener(kind)) as one, closing(Listener(kind)) as two:
        answer = put(moving, "out", camera="a", protocol=protocol, pose=pose, targets=[one.target, two.target])
        assert answer.status_code == 200, answer.text
        for program in (one, two):
            sample = moving.eventually(program.newest)
            true = TRUE @ moving.control.desk.stage.cameras["a"].body_from_sensor
            np.testing.assert_allclose(sample.stage_from_camera, true, atol=3e-4)
            np.testing.assert_allclose(sensor(moving), true, atol=3e-4)
            assert pan_tilt_roll_from_rotation(sample.stage_from_camera)[0] == pytest.approx(12.0, abs=1e-3)
            if kind == "opentrackio":
                lens = moving.control.desk.stage.cameras["a"].lens
                if pose == "predicted":
                    assert sample.lens is not None
                    assert sample.lens.focal_length_mm == pytest.approx(lens.focal_length_mm)
        view = moving.eventually(lambda: (v := moving.get("relays/out"))["rate_hz"] > 10 and v)
        reference = {"$ref": "#/components/schemas/RelayView", "components": DOCUMENT["components"]}
        jsonschema.validate(view, reference)
        assert (view["targets"], view["pose"], view["fault"]) == ([one.target, two.target], pose, "")
        assert (view["state"], view["unsendable"]) == ("sending", 0)
        assert moving.get("relays") == {"out": moving.get("relays")["out"]}
        # Comments and all else of the file stay.
        after = moving.control.desk.loaded.source.splitlines()
        assert [line for line in after if line in before.splitlines()] == before.splitlines()
        headers = {"If-Match": f'"{moving.control.desk.rev_of("config")}"'}
        assert moving.client.delete("/api/v1/relays/out", headers=headers).status_code == 200
        assert moving.get("relays") == {}
        assert moving.control.desk.loaded.source == before
        moving.eventually(lambda: one.newest() is None)


def test_what_cannot_be_relayed_is_refused_in_words(moving: RunningHouse) -> None:
    listen = moving.control.backend.conductor
    assert listen is not None
    good = {"camera": "a", "protocol": "freed", "targets": ["127.0.0.1:40199"]}
    for change, words in (
        ({"camera": "z"}, "camera"),
        ({"targets": []}, "targets"),
        ({"targets": ["127.0.0.1:0"]}, "port 0"),
        ({"protocol": "morse"}, "protocol"),
        ({"encoders": True}, "encoders"),
        ({"interface": "eth0"}, "IPv4"),
        ({"more": 1}, "more"),
    ):
        answer = put(moving, "out", **{**good, **change})
        assert answer.status_code == 422, (change, answer.text)
        document = answer.json()
        told = " ".join([document["path"], document["detail"], *(p["path"] for p in document.get("problems", []))])
        assert words in told
    assert put(moving, "Not An Id", **good).status_code == 422
    assert moving.client.put("/api/v1/relays/out", json=good).status_code == 428
    assert moving.client.put("/api/v1/relays/out", json=good, headers={"If-Match": '"99999"'}).status_code == 412
    headers = {"If-Match": f'"{moving.control.desk.rev_of("config")}"'}
    assert moving.client.delete("/api/v1/relays/out", headers=headers).status_code == 404
    assert moving.client.get("/api/v1/relays/out").status_code == 404
    assert moving.get("relays") == {}


def test_an_interface_that_is_not_there_is_an_alarm(moving: RunningHouse) -> None:
    answer = put(moving, "out", camera="a", protocol="freed", targets=["239.1.2.3:40198"], interface="203.0.113.9")
    assert answer.status_code == 200, answer.text
    view = moving.eventually(lambda: (v := moving.get("relays/out"))["state"] == "failed" and v)
    assert "interface" in view["fault"]
    assert (view["poses"], view["rate_hz"]) == (0, 0.0)
    (alarm,) = moving.eventually(lambda: [a for a in moving.get("alarms")["alarms"] if a["path"] == "relays/out"])
    assert (alarm["code"], alarm["severity"]) == ("relay.not_open", "warning")
    assert put(moving, "out", camera="a", protocol="freed", targets=["127.0.0.1:40198"]).status_code == 200
    moving.eventually(lambda: not [a for a in moving.get("alarms")["alarms"] if a["path"] == "relays/out"])


@pytest.mark.parametrize("name", ["minimal", "demo", "yongchuan"])
def test_a_relay_put_into_a_file_and_taken_out_again_leaves_it_as_it_was(name: str) -> None:
    loaded = load_config(name)
    camera = next(iter(loaded.config.cameras))
    one = with_relay(loaded, "one", {"camera": camera, "protocol": "freed", "targets": ["10.0.0.9:40000"]})
    two = with_relay(one, "two", {"camera": camera, "protocol": "osc", "targets": ["10.0.0.9:9000"]})
    assert set(two.config.tracking.relays) == {"one", "two"}
    assert two.config.model_copy(update={"tracking": loaded.config.tracking}) == loaded.config
    back = with_relay(with_relay(two, "one", None), "two", None)
    assert (back.source, back.config) == (loaded.source, loaded.config)
    with pytest.raises(OpenVolumeError, match="none of this name"):
        with_relay(loaded, "one", None)
