"""IS-04 resources against AMWA's schemas, and what those leave out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from controller.nmos import node_api
from controller.nmos.resources import KINDS, Facts, Shelf
from controller.st2110.connection import Connection, Leg
from controller.st2110.network import Interface
from controller.st2110.status import StreamStatus
from stage.rate import Rate

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
VERSION = re.compile(r"^[0-9]+:[0-9]+$")
LEGS = [Leg("239.1.1.1", 5004, "10.0.0.2"), Leg("239.2.1.1", 5004, "10.1.0.2")]
STREAM = StreamStatus(
    "sending", Connection(LEGS), width_px=1920, height_px=1080, sampling="YCbCr-4:2:2", bits=10, colorimetry="BT709",
    transfer="SDR",
)  # fmt: skip
FACTS = Facts(
    seed="machine/show", label="Stage 1", hostname="stage1", host="10.0.0.2", port=7480, rate=Rate(24000, 1001),
    interfaces=[Interface("eth1", "10.0.0.2", "aa-bb-cc-dd-ee-ff"), Interface("eth2", "10.1.0.2", "aa-bb-cc-dd-ee-00")],
    streams={"left": STREAM},
)  # fmt: skip


def shelf_of(facts: Facts = FACTS, tai_ns: int = 5) -> Shelf:
    shelf = Shelf()
    shelf.update(facts, tai_ns=tai_ns)
    return shelf


def validator(folder: Path, name: str) -> Draft4Validator:
    """Of one of the schemas that are here; those they refer to and that are not, take anything."""

    def found(uri: str) -> Resource[Any]:
        file = folder / uri
        content = json.loads(file.read_text()) if file.is_file() else {}
        return Resource(content, DRAFT4)

    registry: Registry[Any] = Registry(retrieve=found)  # type: ignore[call-arg]
    return Draft4Validator(json.loads((folder / name).read_text()), registry=registry)


@pytest.mark.parametrize(("kind", "schema"), [("node", "node"), ("flow", "flow_video_raw"), ("sender", "sender")])
@pytest.mark.parametrize("grandmaster", ["", "EC4670FFFE00CEDE"])
def test_resources_fit_the_schemas(reference: Path, kind: str, schema: str, grandmaster: str) -> None:
    shelf = shelf_of(replace(FACTS, grandmaster=grandmaster, locked=True))
    check = validator(reference / "output/nmos/is04/schemas", f"{schema}.json")
    resources = shelf.all(kind)
    assert resources
    for resource in resources:
        assert list(check.iter_errors(resource)) == []
    broken = {**resources[0]}
    del broken[{"node": "api", "flow": "components", "sender": "subscription"}[kind]]
    assert list(check.iter_errors(broken))


def test_the_clock_is_the_grandmaster(reference: Path) -> None:
    check = validator(reference / "output/nmos/is04/schemas", "clock_ptp.json")
    (node,) = shelf_of(replace(FACTS, grandmaster="EC4670FFFE00CEDE", locked=True)).all("node")
    assert list(check.iter_errors(node["clocks"][0])) == []
    assert node["clocks"][0]["gmid"] == "ec-46-70-ff-fe-00-ce-de"


def test_every_resource_has_the_core_and_refers_to_others_that_are() -> None:
    shelf = shelf_of()
    there = {(kind, resource["id"]) for kind, resource in shelf.items()}
    for kind, resource in shelf.items():
        assert kind in KINDS
        assert UUID.match(resource["id"])
        assert VERSION.match(resource["version"])
        assert isinstance(resource["label"], str)
        assert isinstance(resource["description"], str)
        assert resource["tags"] == {}
        for key, of in (("node_id", "node"), ("device_id", "device"), ("source_id", "source"), ("flow_id", "flow")):
            if key in resource:
                assert (of, resource[key]) in there
    (device,) = shelf.all("device")
    assert device["senders"] == [sender["id"] for sender in shelf.all("sender")]
    (flow,) = shelf.all("flow")
    assert flow["grain_rate"] == {"numerator": 24000, "denominator": 1001}
    assert [(c["name"], c["width"]) for c in flow["components"]] == [("Y", 1920), ("Cb", 960), ("Cr", 960)]
    (sender,) = shelf.all("sender")
    assert (sender["transport"], sender["interface_bindings"]) == ("urn:x-nmos:transport:rtp.mcast", ["eth1", "eth2"])
    assert sender["subscription"] == {"receiver_id": None, "active": True}


def test_ids_stay_and_versions_count_with_content() -> None:
    shelf = shelf_of()
    before = {resource["id"]: resource["version"] for _, resource in shelf.items()}
    shelf.update(FACTS, tai_ns=6)
    assert {resource["id"]: resource["version"] for _, resource in shelf.items()} == before
    receiver = "0a174530-e3cf-11e6-bf01-fe55135034f3"
    one = Connection([Leg("10.0.0.9", 5004, "10.0.0.2")], receiver=receiver)
    moved = replace(FACTS, streams={"left": msgspec.structs.replace(STREAM, connection=one)})
    shelf.update(moved, tai_ns=7_000_000_008)
    after = {resource["id"]: resource["version"] for _, resource in shelf.items()}
    (sender,) = shelf.all("sender")
    assert {id_ for id_, version in after.items() if version != before[id_]} == {sender["id"]}
    assert sender["version"] == "7:8"
    assert sender["transport"] == "urn:x-nmos:transport:rtp.ucast"
    assert sender["subscription"] == {"receiver_id": receiver, "active": True}
    other = {resource["id"] for _, resource in shelf_of(replace(FACTS, seed="other/show")).items()}
    assert not other & set(after)


def test_the_node_api_lists_and_refuses() -> None:
    shelf = shelf_of()
    assert node_api.answer(shelf, "GET", []).body == ["v1.3/"]
    listed = node_api.answer(shelf, "GET", ["v1.3"]).body
    assert listed == ["self/", "sources/", "flows/", "devices/", "senders/", "receivers/"]
    assert node_api.answer(shelf, "GET", ["v1.3", "self"]).body == shelf.all("node")[0]
    for name in listed[1:]:
        found = node_api.answer(shelf, "GET", ["v1.3", name.rstrip("/")]).body
        assert len(found) == (name != "receivers/")
        for one in found:
            assert node_api.answer(shelf, "GET", ["v1.3", name.rstrip("/"), one["id"]]).body == one
    assert node_api.answer(shelf, "GET", ["v1.3", "senders", "x"]).status == 404
    assert node_api.answer(shelf, "GET", ["v1.9"]).body["code"] == 404
    assert node_api.answer(shelf, "POST", ["v1.3", "self"]).status == 405
