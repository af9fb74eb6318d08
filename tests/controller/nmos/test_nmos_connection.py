"""IS-05 connections: staging, the three activations, locks, and what is refused; the bodies are AMWA's own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.nmos.answers import Answer
from controller.nmos.connection import Activation, BadRequest, ConnectedSender
from controller.nmos.connection_api import ConnectionApi
from controller.st2110.connection import Connection, Leg
from controller.st2110.network import Interface
from controller.st2110.status import PathStatus, StreamStatus

RECEIVER = "0a174530-e3cf-11e6-bf01-fe55135034f3"
ID = "5709255c-c0ae-4e1e-99a0-e872e83e48e0"
S = 1_000_000_000
TAI = 1_496_759_000 * S
ADDRESSES = ("192.168.200.10", "192.168.201.10")


class Rig:
    """A sender of two paths, and what became of its activations."""

    def __init__(self) -> None:
        legs = [Leg(f"239.{n}.1.1", 5004, address) for n, address in enumerate(ADDRESSES, 1)]
        self.configured = Connection(legs)
        self.status = StreamStatus("sending", self.configured, paths=self.paths(legs))
        self.sender = ConnectedSender(
            status=lambda: self.status,
            configured=lambda: self.configured,
            interfaces=lambda: [Interface(f"eth{n}", a, "aa-bb-cc-dd-ee-ff") for n, a in enumerate(ADDRESSES)],
        )
        self.activated: list[Activation] = []
        self.cancelled: list[str] = []
        self.now_ns = TAI
        self.api = ConnectionApi(
            {ID: self.sender},
            activate=self.activate,
            cancel=self.cancelled.append,
            description=lambda _: "v=0\r\n" if self.status.connection.paths else "",
            tai_ns=lambda: self.now_ns,
        )

    def paths(self, legs: list[Leg]) -> list[PathStatus]:
        return [
            PathStatus(leg.destination, leg.port, leg.source, leg.source_port or 40_000, leg.enabled) for leg in legs
        ]

    async def activate(self, id_: str, activation: Activation) -> Answer:
        assert id_ == ID
        self.activated.append(activation)
        if not activation.immediate:
            return Answer(202, self.sender.staged())
        return Answer(200, self.happen(self.now_ns + 7))

    def happen(self, tai_ns: int) -> dict[str, Any]:
        connection = self.sender.connection()
        self.status = msgspec.structs.replace(self.status, connection=connection, paths=self.paths(connection.legs))
        return self.sender.done(tai_ns)

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        parts = [part for part in path.split("/") if part]
        return asyncio.run(self.api.answer(method, parts, body))

    def patch(self, body: Any) -> Answer:
        return self.ask("PATCH", f"v1.1/single/senders/{ID}/staged", body)

    def get(self, name: str) -> Any:
        answer = self.ask("GET", f"v1.1/single/senders/{ID}/{name}")
        assert answer.status == 200
        return answer.body


@pytest.fixture
def rig() -> Rig:
    return Rig()


def validators() -> Any:
    """`validator` of the test of resources."""
    name = "nmos_resources_test"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("test_nmos_resources.py"))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name].validator


def test_the_tree_is_the_documents(rig: Rig) -> None:
    assert rig.ask("GET", "").body == ["v1.1/"]
    assert rig.ask("GET", "v1.1").body == ["bulk/", "single/"]
    assert rig.ask("GET", "v1.1/single").body == rig.ask("GET", "v1.1/bulk").body == ["senders/", "receivers/"]
    assert rig.ask("GET", "v1.1/single/senders").body == [f"{ID}/"]
    assert rig.ask("GET", "v1.1/single/receivers").body == []
    below = rig.ask("GET", f"v1.1/single/senders/{ID}").body
    assert below == ["constraints/", "staged/", "active/", "transportfile/", "transporttype/"]
    assert rig.get("transporttype") == "urn:x-nmos:transport:rtp"
    told = rig.ask("GET", f"v1.1/single/senders/{ID}/transportfile")
    assert (told.body, told.media_type) == (b"v=0\r\n", "application/sdp")
    for path in ("v1.0", "v1.1/single/senders/x", f"v1.1/single/senders/{ID}/other", "v1.1/single/receivers/x"):
        assert rig.ask("GET", path).status == 404
    for method, path in (("PUT", "staged"), ("PATCH", "active"), ("POST", "transportfile"), ("DELETE", "constraints")):
        assert rig.ask(method, f"v1.1/single/senders/{ID}/{path}").status == 405


def test_answers_fit_the_schemas(rig: Rig, reference: Path) -> None:
    folder = reference / "output/nmos/is05/schemas"
    validator = validators()
    response = validator(folder, "sender-response-schema.json")
    leg = validator(folder, "sender_transport_params_rtp.json")
    definition = json.loads((folder / "constraint-schema.json").read_text())["definitions"]["constraint"]
    constraint = type(leg)(definition)
    for told in (rig.get("staged"), rig.get("active")):
        assert list(response.iter_errors(told)) == []
        for one in told["transport_params"]:
            assert list(leg.iter_errors(one)) == []
    constraints = rig.get("constraints")
    assert len(constraints) == 2
    for one in constraints:
        assert one.keys() == rig.get("staged")["transport_params"][0].keys()
        for value in one.values():
            assert list(constraint.iter_errors(value)) == []


def test_amwas_own_request_is_taken(rig: Rig, reference: Path) -> None:
    body = json.loads((reference / "output/nmos/is05/sender-patch-absolute.json").read_text())
    stage = validators()(reference / "output/nmos/is05/schemas", "sender-stage-schema.json")
    assert list(stage.iter_errors(body)) == []
    body["transport_params"].append({})
    answer = rig.patch(body)
    assert answer.status == 202
    told = answer.body
    assert told["activation"] == {
        "mode": "activate_scheduled_absolute", "requested_time": "1496759200:0", "activation_time": "1496759200:0",
    }  # fmt: skip
    assert told["transport_params"][0] == {
        "source_ip": "192.168.200.10", "destination_ip": "232.105.26.177", "source_port": 5000,
        "destination_port": 5000, "rtp_enabled": True,
    }  # fmt: skip
    assert rig.get("active")["transport_params"][0]["destination_ip"] == "239.1.1.1"
    assert rig.activated[0].at_tai_ns == 1_496_759_200 * S
    # Nothing but cancelling is taken while it waits.
    assert rig.patch({"master_enable": False}).status == 423
    assert rig.get("staged") == told
    rig.happen(1_496_759_200 * S + 3)
    active = rig.get("active")
    assert active["transport_params"][0]["destination_ip"] == "232.105.26.177"
    assert active["activation"]["activation_time"] == "1496759200:3"
    assert rig.get("staged")["activation"] == {"mode": None, "requested_time": None, "activation_time": None}


def test_at_once_with_autos(rig: Rig) -> None:
    params = [{"destination_ip": "auto", "destination_port": "auto", "source_ip": "auto", "source_port": "auto"}, {}]
    staged = rig.patch({"transport_params": params})
    assert (staged.status, staged.body["transport_params"][0]["source_port"]) == (200, "auto")
    assert rig.get("active")["transport_params"][0]["source_port"] == 40_000
    done = rig.patch({"activation": {"mode": "activate_immediate"}})
    assert done.status == 200
    assert done.body["activation"] == {
        "mode": "activate_immediate", "requested_time": None, "activation_time": f"{TAI // S}:7",
    }  # fmt: skip
    first = rig.get("active")["transport_params"][0]
    assert first == {
        "source_ip": ADDRESSES[0], "destination_ip": "239.1.1.1", "source_port": 5004, "destination_port": 5004,
        "rtp_enabled": True,
    }  # fmt: skip
    assert rig.get("staged")["transport_params"][0]["source_port"] == "auto"
    assert rig.get("staged")["activation"]["mode"] is None


def test_after_a_while_and_cancelled(rig: Rig) -> None:
    asked = {"mode": "activate_scheduled_relative", "requested_time": "2:500000000"}
    answer = rig.patch({"activation": asked, "master_enable": False, "receiver_id": RECEIVER})
    assert answer.status == 202
    assert rig.activated[0].at_tai_ns == TAI + 2_500_000_000
    assert answer.body["activation"]["activation_time"] == f"{TAI // S + 2}:500000000"
    cancelled = rig.patch({"activation": {"mode": None, "requested_time": None}})
    assert (cancelled.status, cancelled.body["activation"]["mode"]) == (200, None)
    assert rig.cancelled == [ID]
    # What was staged stays staged.
    assert (cancelled.body["master_enable"], cancelled.body["receiver_id"]) == (False, RECEIVER)
    assert rig.get("active")["master_enable"] is True
    rig.patch({"activation": {"mode": "activate_immediate"}})
    assert (rig.get("active")["master_enable"], rig.get("active")["receiver_id"]) == (False, RECEIVER)
    assert rig.ask("GET", f"v1.1/single/senders/{ID}/transportfile").status == 404


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "object"),
        ({"transport_file": {}}, "transport_file"),
        ({"master_enable": 1}, "master_enable"),
        ({"receiver_id": "me"}, "receiver_id"),
        ({"transport_params": [{}]}, "transport_params"),
        ({"transport_params": [{}, 3]}, "transport_params/1"),
        ({"transport_params": [{"fec_enabled": True}, {}]}, "transport_params/0/fec_enabled"),
        ({"transport_params": [{"destination_port": 0}, {}]}, "destination_port"),
        ({"transport_params": [{"destination_port": True}, {}]}, "destination_port"),
        ({"transport_params": [{"source_port": "any"}, {}]}, "source_port"),
        ({"transport_params": [{"source_ip": "10.9.9.9"}, {}]}, "source_ip"),
        ({"transport_params": [{"destination_ip": "2001:db8::1"}, {}]}, "destination_ip"),
        ({"transport_params": [{"destination_ip": "0.0.0.0"}, {}]}, "destination_ip"),
        ({"transport_params": [{"rtp_enabled": "auto"}, {}]}, "rtp_enabled"),
        ({"activation": {"mode": "now"}}, "activation/mode"),
        ({"activation": {"requested_time": "1:0"}}, "activation"),
        ({"activation": {"mode": "activate_immediate", "requested_time": "1:0"}}, "requested_time"),
        ({"activation": {"mode": "activate_scheduled_absolute"}}, "requested_time"),
        ({"activation": {"mode": "activate_scheduled_relative", "requested_time": "1:1000000000"}}, "requested_time"),
        ({"activation": {"mode": None, "requested_time": "1:0"}}, "requested_time"),
    ],
)
def test_what_cannot_be_staged_changes_nothing(rig: Rig, body: Any, place: str) -> None:
    before = rig.get("staged")
    if isinstance(body, dict):
        # A good part of a bad request is not staged either.
        body = {"receiver_id": RECEIVER, **body}
    answer = rig.patch(body)
    assert (answer.status, answer.body["code"]) == (400, 400)
    assert place in answer.body["debug"]
    assert rig.get("staged") == before
    assert rig.activated == []


def test_several_at_once(rig: Rig) -> None:
    asked = [
        {"id": ID, "params": {"activation": {"mode": "activate_immediate"}}},
        {"id": "x", "params": {}},
        {"id": ID, "params": {"master_enable": 3}},
    ]
    answer = rig.ask("POST", "v1.1/bulk/senders", asked)
    assert [one["code"] for one in answer.body] == [200, 404, 400]
    assert "master_enable" in answer.body[2]["debug"]
    assert rig.ask("POST", "v1.1/bulk/senders", {"id": ID}).status == 400
    assert rig.ask("POST", "v1.1/bulk/receivers", []).body == []


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=8)
        | st.sampled_from(["auto", "1:0", "activate_immediate"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["activation", "mode", "requested_time", "transport_params", "source_ip", "rtp_enabled", "x"]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_no_body_breaks_it(body: Any) -> None:
    rig = Rig()
    with contextlib.suppress(BadRequest):
        rig.sender.stage(body, tai_ns=TAI)
    rig.sender.connection()
