"""IS-04 v1.3 resources of a show: one node, one device, and for each canvas that is sent a source, a flow, a sender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from controller.st2110.network import Interface
from controller.st2110.sdp import is_multicast
from controller.st2110.status import StreamStatus
from stage.rate import Rate

NODE_API: Final = "v1.3"
CONNECTION_API: Final = "v1.1"
KINDS: Final = ("node", "device", "source", "flow", "sender")
"""In the order in which registries must learn of them."""
FORMAT_VIDEO: Final = "urn:x-nmos:format:video"

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What resources are made from.

    seed : names this machine and show for ever; grandmaster : 16 hexadecimal digits, or "" without; locked : whether
    the clock follows it.
    """

    seed: str
    label: str
    hostname: str
    host: str
    port: int
    rate: Rate
    interfaces: Sequence[Interface]
    streams: Mapping[str, StreamStatus]
    grandmaster: str = ""
    locked: bool = False

    @property
    def url(self) -> str:
        """Of the node, without a path."""
        return f"http://{self.host}:{self.port}"

    def id(self, kind: str, name: str = "") -> str:
        """The id of a resource: the same for ever."""
        return str(uuid5(NAMESPACE_URL, f"openvolume:{self.seed}/{kind}/{name}"))


def tai_text(tai_ns: int) -> str:
    """`seconds:nanoseconds`."""
    return f"{tai_ns // 1_000_000_000}:{tai_ns % 1_000_000_000}"


class Shelf:
    """Every resource with its version, which counts when its content changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Resource] = {}

    def update(self, facts: Facts, *, tai_ns: int) -> None:
        """Make them anew; what is as it was keeps its version."""
        made = {(kind, resource["id"]): resource for kind, resource in _made(facts)}
        for key, resource in made.items():
            known = self._known.get(key)
            if known is not None and {**known, "version": ""} == {**resource, "version": ""}:
                resource["version"] = known["version"]
            else:
                resource["version"] = tai_text(tai_ns)
        self._known = made

    def all(self, kind: str) -> list[Resource]:
        """Those of a kind."""
        return [resource for (of, _), resource in self._known.items() if of == kind]

    def get(self, kind: str, id_: str) -> Resource | None:
        """One of them."""
        return self._known.get((kind, id_))

    def items(self) -> list[tuple[str, Resource]]:
        """All, with their kinds, in the order in which registries must learn of them."""
        return [(kind, resource) for kind in KINDS for resource in self.all(kind)]


def _made(facts: Facts) -> list[tuple[str, Resource]]:
    made = [("node", _node(facts)), ("device", _device(facts))]
    for name, stream in facts.streams.items():
        made += [
            ("source", _source(facts, name)),
            ("flow", _flow(facts, name, stream)),
            ("sender", _sender(facts, name, stream)),
        ]
    return made


def _core(facts: Facts, kind: str, name: str, label: str, description: str) -> Resource:
    return {
        "id": facts.id(kind, name),
        "version": "0:0",
        "label": label,
        "description": description,
        "tags": {},
    }


def _node(facts: Facts) -> Resource:
    clock: Resource = {"name": "clk0", "ref_type": "internal"}
    if len(facts.grandmaster) == 16:
        digits = facts.grandmaster.lower()
        gmid = "-".join(digits[i : i + 2] for i in range(0, 16, 2))
        # Whether the grandmaster is traceable to TAI is not asked of it.
        clock = {
            "name": "clk0", "ref_type": "ptp", "traceable": False, "version": "IEEE1588-2008", "gmid": gmid,
            "locked": facts.locked,
        }  # fmt: skip
    return {
        **_core(facts, "node", "", facts.label, "OpenVolume"),
        "href": f"{facts.url}/",
        "hostname": facts.hostname,
        "caps": {},
        "api": {
            "versions": [NODE_API],
            "endpoints": [{"host": facts.host, "port": facts.port, "protocol": "http", "authorization": False}],
        },
        "services": [],
        "clocks": [clock],
        "interfaces": [{"name": i.name, "chassis_id": None, "port_id": i.mac} for i in facts.interfaces],
    }


def _device(facts: Facts) -> Resource:
    return {
        **_core(facts, "device", "", facts.label, "Canvases of LED walls"),
        "type": "urn:x-nmos:device:generic",
        "node_id": facts.id("node"),
        "senders": [facts.id("sender", name) for name in facts.streams],
        "receivers": [],
        "controls": [
            {
                "href": f"{facts.url}/x-nmos/connection/{CONNECTION_API}/",
                "type": f"urn:x-nmos:control:sr-ctrl/{CONNECTION_API}",
                "authorization": False,
            }
        ],
    }


def _grain(rate: Rate) -> Resource:
    return {"numerator": rate.num, "denominator": rate.den}


def _source(facts: Facts, name: str) -> Resource:
    return {
        **_core(facts, "source", name, name, f"Canvas {name}"),
        "grain_rate": _grain(facts.rate),
        "caps": {},
        "device_id": facts.id("device"),
        "parents": [],
        "clock_name": "clk0",
        "format": FORMAT_VIDEO,
    }


def _flow(facts: Facts, name: str, stream: StreamStatus) -> Resource:
    width, height = stream.width_px, stream.height_px
    narrow = width if stream.sampling == "RGB" else width // 2
    names = ("R", "G", "B") if stream.sampling == "RGB" else ("Y", "Cb", "Cr")
    widths = (width, narrow, narrow)
    return {
        **_core(facts, "flow", name, name, f"Canvas {name} as uncompressed video"),
        "grain_rate": _grain(facts.rate),
        "source_id": facts.id("source", name),
        "device_id": facts.id("device"),
        "parents": [],
        "format": FORMAT_VIDEO,
        "media_type": "video/raw",
        "frame_width": width,
        "frame_height": height,
        "interlace_mode": "progressive",
        "colorspace": stream.colorimetry or "UNSPECIFIED",
        "transfer_characteristic": stream.transfer or "SDR",
        "components": [
            {"name": part, "width": part_px, "height": height, "bit_depth": stream.bits}
            for part, part_px in zip(names, widths, strict=True)
        ],
    }


def _sender(facts: Facts, name: str, stream: StreamStatus) -> Resource:
    id_ = facts.id("sender", name)
    by_address = {i.address: i.name for i in facts.interfaces}
    legs = stream.connection.legs
    multicast = all(is_multicast(leg.destination) for leg in legs)
    active = bool(stream.connection.paths)
    receiver = stream.connection.receiver if active and not multicast else ""
    return {
        **_core(facts, "sender", name, name, f"Canvas {name} over ST 2110-20"),
        "caps": {},
        "flow_id": facts.id("flow", name),
        "transport": f"urn:x-nmos:transport:rtp.{'mcast' if multicast else 'ucast'}",
        "device_id": facts.id("device"),
        "manifest_href": f"{facts.url}/x-nmos/connection/{CONNECTION_API}/single/senders/{id_}/transportfile",
        "interface_bindings": [by_address[leg.source] for leg in legs if leg.source in by_address],
        "subscription": {"receiver_id": receiver or None, "active": active},
    }
