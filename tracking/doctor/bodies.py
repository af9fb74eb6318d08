"""From one sender's datagrams to the bodies it tells of: packets of each, and what of a source picks it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tracking.config import ProtocolName, Source
from tracking.decoders import Packet, assembler_of, joiner_of, parser_of
from tracking.doctor.osc_guess import osc_bodies
from tracking.mapping import mapping_of
from tracking.protocols import natnet, vmc
from tracking.protocols.cooke import CookePacket
from tracking.protocols.freed import ANY_CAMERA, FreeDPacket
from tracking.protocols.live_link import LiveLinkPacket
from tracking.protocols.mosys_f4 import F4Packet
from tracking.protocols.natnet import Frame
from tracking.protocols.opentrackio import OpenTrackIOPacket
from tracking.protocols.osc import OscPacket
from tracking.protocols.psn import PsnData
from tracking.protocols.rttrpm import RttrpmPacket
from tracking.protocols.stype import StypePacket
from tracking.protocols.vmc import VmcFigure, VmcMessage
from tracking.protocols.zmq_pose import ZmqPosePacket
from tracking.receivers import Arrival
from tracking.sample import LensReading, Refusal, Sample, Stamp
from tracking.source_clock import SourceClock

ANY_LISTEN: Final = "0.0.0.0:0"
ANY_ENDPOINT: Final = "tcp://127.0.0.1:5556"
MAX_BODIES: Final = 64
WITH_CHECKSUM: Final = ("freed", "mosys_f4", "stype")


@dataclass(slots=True)
class Body:
    """One camera, or another tracked thing."""

    name: str
    """On the wire; empty: it has none."""
    keys: dict[str, Any]
    """Of the source that follows it and nothing else."""
    items: list[tuple[Arrival, Packet]] = field(default_factory=list)


@dataclass(slots=True)
class Decoded:
    """What one sender said."""

    bodies: list[Body]
    refused: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)
    packets: list[tuple[Arrival, Packet]] = field(default_factory=list)
    fixed: dict[str, Any] = field(default_factory=dict)
    """Keys of every source of this sender, whichever body it follows."""
    server: natnet.ServerInfo | None = None


def source_of(protocol: ProtocolName, keys: dict[str, Any]) -> Source:
    """A source to look with: any address, any camera, and the given keys."""
    listen = ANY_ENDPOINT if protocol == "zmq" else ANY_LISTEN
    checksum = {"checksum": "ignore"} if protocol in WITH_CHECKSUM else {}
    return Source.model_validate({"protocol": protocol, "listen": listen, "camera": "a", **checksum, **keys})


def decode(protocol: ProtocolName, arrivals: Sequence[Arrival], fixed: dict[str, Any]) -> Decoded:
    """Every packet of a sender, sorted by body. Never raises."""
    source = source_of(protocol, fixed)
    parse = parser_of(source)
    assembler = None if parse is not None else assembler_of(source)
    out = Decoded([], fixed=fixed)
    for arrival in arrivals:
        if parse is not None:
            items: Sequence[Packet | Refusal] = parse(arrival.data)
        elif type(assembler) is natnet.Assembler:
            items = assembler.feed(arrival.data, arrival.t_received_ns)
            out.server = assembler.info
        else:
            assert assembler is not None
            items = assembler.feed(arrival.data)
        for item in items:
            if isinstance(item, Refusal):
                out.refused[item.reason] += 1
                out.details.setdefault(item.reason, item.detail)
            else:
                out.packets.append((arrival, item))
    if protocol == "osc":
        out.bodies = _osc_bodies(out.packets)
        return out
    found: dict[str, Body] = {}
    for arrival, packet in out.packets:
        for name, keys in named(packet):
            body = found.get(name)
            if body is None:
                if len(found) >= MAX_BODIES:
                    continue
                body = found[name] = Body(name, keys)
            body.items.append((arrival, packet))
    out.bodies = list(found.values())
    return out


def named(packet: Packet) -> Iterable[tuple[str, dict[str, Any]]]:
    """Name and keys of each body that a packet tells of."""
    match packet:
        case FreeDPacket():
            yield str(packet.camera_id), {} if packet.camera_id == ANY_CAMERA else {"camera_id": packet.camera_id}
        case F4Packet():
            yield str(packet.camera_id), {"camera_id": packet.camera_id}
        case StypePacket() | CookePacket():
            yield "", {}
        case OpenTrackIOPacket():
            sample = packet.sample
            if sample.source_number is not None:
                yield str(sample.source_number), {"source_number": sample.source_number}
            else:
                yield sample.source_id or "", {} if sample.source_id is None else {"source_id": sample.source_id}
        case ZmqPosePacket():
            camera = packet.message.camera
            yield camera or "", {} if camera is None else {"camera_name": camera}
        case PsnData():
            for tracker in packet.trackers:
                yield str(tracker.id), {"body": str(tracker.id)}
        case RttrpmPacket():
            for trackable in packet.trackables:
                yield trackable.name, {"body": trackable.name}
        case LiveLinkPacket():
            for subject in packet.subjects:
                yield subject, {"body": subject}
        case Frame():
            for rigid in packet.rigid_bodies:
                yield str(rigid.id), {"body": str(rigid.id)}
        case VmcMessage() | VmcFigure():
            yield from _of_vmc(packet)
        case _:
            return


def _of_vmc(packet: VmcMessage | VmcFigure) -> Iterable[tuple[str, dict[str, Any]]]:
    if isinstance(packet, VmcFigure):
        if packet.bones:
            hips = "Hips" if "Hips" in packet.bones else next(iter(packet.bones))
            yield hips, {"body": hips}
    elif packet.kind == vmc.CAMERA:
        yield packet.name, {"body": packet.name}
    elif packet.numbers:
        name = f"{packet.name}/local" if packet.kind.endswith("/Local") else packet.name
        yield name, {"body": name}


def _osc_bodies(packets: list[tuple[Arrival, Packet]]) -> list[Body]:
    messages = [packet for _, packet in packets if isinstance(packet, OscPacket)]
    out = []
    for name, keys in osc_bodies(messages):
        mapping = mapping_of("doctor", source_of("osc", keys))
        body = Body(name, keys)
        body.items = [(arrival, packet) for arrival, packet in packets if packet.is_for(mapping)]
        out.append(body)
    return out


@dataclass(slots=True)
class Poses:
    """What a source would make of one body's packets."""

    samples: list[Sample]
    refused: Counter[str]
    details: dict[str, str]


def poses_of(protocol: ProtocolName, body: Body, keys: dict[str, Any]) -> Poses:
    """The samples of a body by the very way a running source goes; no gates. Never raises."""
    mapping = mapping_of("doctor", source_of(protocol, keys))
    joiner = joiner_of(mapping)
    clock = SourceClock()
    out = Poses([], Counter(), {})
    for number, (arrival, packet) in enumerate(body.items, 1):
        t_ns = arrival.t_received_ns
        stamp = Stamp(clock.local_ns(packet.t_source_ns, t_ns), t_ns, number)
        if not packet.is_for(mapping):
            continue
        for item in packet.samples(mapping, stamp) if joiner is None else joiner.feed(packet, mapping, stamp):
            if isinstance(item, Sample):
                out.samples.append(item)
            elif isinstance(item, LensReading):
                continue
            else:
                out.refused[item.reason] += 1
                out.details.setdefault(item.reason, item.detail)
    return out
