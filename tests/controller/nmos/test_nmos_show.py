"""NMOS of a running show over HTTP, with a real sender: what it tells the registry, and streams that really move."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from controller.nmos.config import NmosConfig
from controller.nmos.service import NmosNode, nmos
from controller.processors.emulators.server import serving
from controller.st2110.rfc4175 import CLOCK_HZ, Parsed, parse, rtp_timestamp
from runtime.clock import SystemClock

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

S = 1_000_000_000


def an_ear(group: str) -> socket.socket:
    """A receiver of a group on the loopback."""
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    ear.bind((group, 0))
    joined = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
    ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    ear.setblocking(False)
    return ear


GROUPS = ("239.77.1.1", "239.77.2.1", "239.77.1.2", "239.77.1.3")


@pytest.fixture(scope="module")
def ears() -> Iterator[list[socket.socket]]:
    """One for each group; two of them are sent to from the beginning."""
    made = [an_ear(group) for group in GROUPS]
    yield made
    for ear in made:
        ear.close()


@pytest.fixture(scope="module")
def more(ears: list[socket.socket]) -> str:
    ports = [ear.getsockname()[1] for ear in ears]
    return f"""
outputs:
  main:
    st2110:
      paths:
        - {{destination: {GROUPS[0]}, port: {ports[0]}, source: lo}}
        - {{destination: {GROUPS[1]}, port: {ports[1]}, source: lo}}
"""


def heard(ear: socket.socket) -> list[Parsed]:
    out = []
    while True:
        try:
            packet = parse(ear.recv(2048))
        except BlockingIOError:
            return out
        assert packet is not None
        out.append(packet)


class Show:
    """A house with its sender, a registry, and a controller's HTTP client."""

    def __init__(self, house: RunningHouse, node: NmosNode, registry: Any, url: str, ears: list[socket.socket]) -> None:
        self.house, self.node, self.registry = house, node, registry
        self.ears = ears
        self.ports = [ear.getsockname()[1] for ear in ears]
        self.client = httpx.Client(base_url=url, timeout=20, trust_env=False)
        (id_,) = node.senders
        self.sender = f"/x-nmos/connection/v1.1/single/senders/{id_}"

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def patch(self, body: Any) -> httpx.Response:
        return self.client.patch(f"{self.sender}/staged", json=body)


@pytest.fixture(scope="module")
def show(house: RunningHouse, ears: list[socket.socket]) -> Iterator[Show]:
    spec = importlib.util.spec_from_file_location("nmos_registry", Path(__file__).with_name("_registry.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    registry = module.RegistryEmulator()
    argv = [sys.executable, "-P", "-m", "controller.processes.sender", str(house.run.path)]
    process = subprocess.Popen(argv)
    house.eventually(lambda: house.get("streams/main")["state"] == "sending")
    stack = AsyncExitStack()

    async def begin() -> tuple[NmosNode, str]:
        address = await stack.enter_async_context(serving(registry.app))
        config = NmosConfig(port=0, registries=[f"http://{address}"], label="Stage 1")
        node = await stack.enter_async_context(nmos(house.control, config))
        assert node is not None
        return node, node.shelf.all("node")[0]["href"]

    node, url = house.wait(begin())
    made = Show(house, node, registry, url, ears)
    yield made
    made.client.close()
    house.wait(stack.aclose())
    assert registry.kinds() == []
    process.terminate()
    assert process.wait(5) == 0


def test_the_registry_learns_of_every_canvas(show: Show) -> None:
    show.house.eventually(lambda: len(show.registry.resources) == 5)
    assert show.get("/x-nmos/") == ["connection/", "node/"]
    sender = show.get("/x-nmos/node/v1.3/senders/")[0]
    assert show.registry.resources["sender", sender["id"]] == sender
    assert sender["interface_bindings"] == ["lo", "lo"]
    flow = show.get(f"/x-nmos/node/v1.3/flows/{sender['flow_id']}")
    assert (flow["frame_width"], flow["components"][0]["bit_depth"]) == (176, 8)
    answer = show.client.get(sender["manifest_href"])
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.text.count("m=video") == 2
    assert show.client.options("/x-nmos/node/v1.3/self").status_code == 200
    assert show.client.get("/x-nmos/other").json()["code"] == 404
    wrong = show.client.patch(f"{show.sender}/staged", content=b"{", headers={"content-type": "application/json"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, 400)


def test_a_stream_moves_at_its_time_with_a_frame(show: Show) -> None:
    clock = SystemClock()
    at_ns = clock.tai_ns() + 600_000_000
    params = [{"destination_ip": GROUPS[2], "destination_port": show.ports[2]}, {"rtp_enabled": False}]
    asked = {"mode": "activate_scheduled_absolute", "requested_time": f"{at_ns // S}:{at_ns % S}"}
    for ear in show.ears:
        heard(ear)
    answer = show.patch({"transport_params": params, "activation": asked})
    assert answer.status_code == 202, answer.text
    assert show.patch({"master_enable": False}).status_code == 423
    assert show.get(f"{show.sender}/active")["transport_params"][0]["destination_ip"] == GROUPS[0]
    show.house.eventually(
        lambda: show.get(f"{show.sender}/active")["transport_params"][0]["destination_ip"] == GROUPS[2]
    )
    after: list[Parsed] = []
    show.house.eventually(lambda: after.extend(heard(show.ears[2])) or len(after) > 200)
    before = heard(show.ears[0])
    last, first = before[-1], after[0]
    # One picture ended on the old group, the next began on the new one, at the asked time.
    assert last.marker
    assert first.sequence == last.sequence + 1
    late_ticks = (first.timestamp - rtp_timestamp(at_ns)) % 2**32
    assert late_ticks <= CLOCK_HZ / 60 + 1
    active = show.get(f"{show.sender}/active")
    assert active["activation"]["mode"] == "activate_scheduled_absolute"
    seconds, _, ns = active["activation"]["activation_time"].partition(":")
    assert 0 <= int(seconds) * S + int(ns) - at_ns <= S // 60 + 1000
    assert heard(show.ears[1])[-1].sequence == last.sequence
    assert show.get(f"{show.sender}/staged")["activation"]["mode"] is None
    assert f"c=IN IP4 {GROUPS[2]}/32" in show.client.get(f"{show.sender}/transportfile").text
    # The registry hears of it, and our own API.
    id_ = show.sender.rpartition("/")[2]
    show.house.eventually(
        lambda: show.registry.resources["sender", id_] == show.get(f"/x-nmos/node/v1.3/senders/{id_}")
    )
    assert show.house.get("streams/main")["connection"]["legs"][1]["enabled"] is False


def test_at_once_off_and_on_again(show: Show) -> None:
    now = {"activation": {"mode": "activate_immediate"}}
    off = show.patch({"master_enable": False, **now})
    assert (off.status_code, off.json()["activation"]["mode"]) == (200, "activate_immediate")
    assert show.client.get(f"{show.sender}/transportfile").status_code == 404
    sender = show.get("/x-nmos/node/v1.3/senders/")[0]
    assert sender["subscription"] == {"receiver_id": None, "active": False}
    for ear in show.ears:
        heard(ear)
    back = [{"destination_ip": GROUPS[3], "destination_port": show.ports[3]}, {"rtp_enabled": True}]
    assert show.patch({"master_enable": True, "transport_params": back, **now}).status_code == 200
    show.house.eventually(lambda: heard(show.ears[3]))
    show.house.eventually(lambda: heard(show.ears[1]))
    assert heard(show.ears[2]) == []


def test_after_a_while_and_not_at_all(show: Show) -> None:
    asked = {"mode": "activate_scheduled_relative", "requested_time": "3600:0"}
    assert show.patch({"transport_params": [{"destination_port": 9}, {}], "activation": asked}).status_code == 202
    assert show.patch({"activation": {"mode": None}}).status_code == 200
    asked["requested_time"] = "0:100000000"
    params = [{"destination_ip": GROUPS[0], "destination_port": show.ports[0]}, {}]
    heard(show.ears[0])
    assert show.patch({"transport_params": params, "activation": asked}).status_code == 202
    show.house.eventually(lambda: heard(show.ears[0]))
    assert show.get(f"{show.sender}/active")["activation"]["mode"] == "activate_scheduled_relative"


def test_a_port_in_use_is_an_alarm(show: Show) -> None:
    async def begin() -> object:
        async with nmos(show.house.control, NmosConfig(port=show.house.service.port)) as node:
            return node

    assert show.house.wait(begin()) is None
    assert show.house.control.own_alarms.pop("nmos").code == "nmos.port"


def test_the_address_that_is_announced_is_one() -> None:
    with pytest.raises(ValueError, match="announced"):
        NmosConfig(host="0.0.0.0")
