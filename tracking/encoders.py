"""Turns poses into datagrams of every protocol: the simulated trackers' side of `tracking/protocols/`. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal
from uuid import NAMESPACE_URL, uuid5

from stage.errors import Problem
from stage.frames import pan_tilt_roll_from_rotation
from stage.rate import NS_PER_S, Rate
from tracking.config import Source
from tracking.errors import SendError
from tracking.mocap_config import NatNetSection
from tracking.mocap_encoders import natnet_datagrams, vmc_camera, vmc_figure
from tracking.moment import Moment
from tracking.protocol_config import MosysF4Section, PsnSection, RttrpmSection, StypeSection
from tracking.protocols.freed import FreeDPacket
from tracking.protocols.opentrackio import CBOR, JSON, OpenTrackIOPacket
from tracking.protocols.opentrackio_sample import (
    XYZ,
    Lens,
    PanTiltRoll,
    Ratio,
    Timestamp,
    Timing,
    Tracker,
    TrackSample,
    Transform,
)
from tracking.protocols.opentrackio_sample import Protocol as ProtocolName
from tracking.protocols.osc import IMMEDIATELY, OscPacket, bundle, time_tag_from_unix_ns
from tracking.protocols.osc_mapping import OscMapping
from tracking.protocols.zmq_pose import PoseMessage, ZmqPosePacket
from tracking.sample import LensReading
from tracking.wire_encoders import (
    cooke_record,
    live_link_packet,
    mosys_f4_packet,
    psn_packets,
    rttrpm_packet,
    stype_packet,
)

PROTOCOLS: Final = (
    "osc", "osc_bundle", "zmq", "zmq_msgpack", "freed", "opentrackio", "opentrackio_cbor", "mosys_f4", "stype",
    "stype_a5", "psn", "rttrpm", "live_link", "natnet", "vmc", "vmc_performer",
)  # fmt: skip
"""`osc_bundle` sends each pose in a bundle with a time tag; the others name the format (`stype` is HF;
`vmc_performer` sends a walking figure beside the camera, as `natnet` always does). `cooke` sends the lens alone."""

KNOWN: Final = (*PROTOCOLS, "cooke")
"""The lens' own too."""

Encode = Callable[[Moment], list[bytes]]


def encoder(
    protocol: str,
    *,
    camera: str = "a",
    rate: Rate | None = None,
    camera_id: int = 1,
    source_number: int = 1,
    source: Source | None = None,
) -> Encode:
    """Turns a `Moment` into datagrams of a protocol, stage units into wire units.

    camera: name on the wire (OSC address, zmq `camera`, names of trackers); camera_id: FreeD, Mo-Sys F4;
    source_number: OpenTrackIO; source: the one that will read them, whose sections say which axes and ids it expects.

    Raises
    ------
    SendError : no such protocol.
    """
    if protocol == "freed":
        return lambda moment: [bytes(freed_packet(moment, camera_id=camera_id))]
    if protocol in ("osc", "osc_bundle"):
        tagged = protocol == "osc_bundle"
        if source is not None and source.protocol == "osc":
            told = source.osc.mapping(source.body or camera)
            return lambda moment: osc_datagrams(moment, told, tagged=tagged)
        return lambda moment: [bytes(osc_packet(moment, camera=camera, tagged=tagged))]
    if protocol in ("zmq", "zmq_msgpack"):
        msgpack = protocol == "zmq_msgpack"
        return lambda moment: [bytes(zmq_packet(moment, camera=camera, msgpack=msgpack))]
    if protocol in ("opentrackio", "opentrackio_cbor"):
        encoding = CBOR if protocol == "opentrackio_cbor" else JSON
        source_id = uuid5(NAMESPACE_URL, f"openvolume/simulator/{camera}/{source_number}").urn
        return lambda moment: opentrackio_packet(
            moment, source_id=source_id, source_number=source_number, rate=rate, encoding=encoding
        ).datagrams()
    if protocol == "cooke":
        return lambda moment: [] if moment.lens is None else [bytes(cooke_record(moment.lens))]
    if protocol in _SECTIONED:
        return _sectioned(protocol, source, camera=camera, rate=rate, camera_id=camera_id)
    raise SendError(
        Problem(
            "tracking.unknown_protocol",
            "protocol",
            "no such protocol",
            protocol,
            f"use {', '.join(KNOWN)}",
        )
    )


_SECTIONED: Final = ("mosys_f4", "stype", "stype_a5", "psn", "rttrpm", "live_link", "natnet", "vmc", "vmc_performer")


def _sectioned(protocol: str, source: Source | None, *, camera: str, rate: Rate | None, camera_id: int) -> Encode:
    """The encoder of a protocol that leaves something open, as a source's section closes it."""
    body = source.body if source is not None else ""
    name = body or camera
    if protocol == "mosys_f4":
        f4 = source.mosys_f4 if source is not None else MosysF4Section()
        return lambda moment: [bytes(mosys_f4_packet(moment, f4, camera_id=camera_id, rate=rate))]
    if protocol in ("stype", "stype_a5"):
        stype = source.stype if source is not None else StypeSection()
        kind: Literal["hf", "a5"] = "hf" if protocol == "stype" else "a5"
        return lambda moment: [bytes(stype_packet(moment, stype, kind=kind))]
    if protocol == "psn":
        psn = source.psn if source is not None else PsnSection()
        tracker_id = int(body) & 0xFFFF if body.isdecimal() else 1
        return lambda moment: psn_packets(moment, psn, tracker_id=tracker_id, name=name, rate=rate)
    if protocol == "rttrpm":
        rttrpm = source.rttrpm if source is not None else RttrpmSection()
        return lambda moment: [bytes(rttrpm_packet(moment, rttrpm, name=name))]
    if protocol == "natnet":
        natnet = source.natnet if source is not None else NatNetSection()
        number = int(body) & 0xFFFF if body.isdecimal() else 1
        return lambda moment: natnet_datagrams(moment, natnet, body_id=number, name=name, rate=rate)
    if protocol == "vmc":
        return lambda moment: [bytes(vmc_camera(moment, name=body or "Camera"))]
    if protocol == "vmc_performer":
        return lambda moment: [bytes(vmc_camera(moment, name=body or "Camera")), vmc_figure(moment)]
    bone = source.live_link.bone if source is not None else ""
    return lambda moment: [bytes(live_link_packet(moment, name=name, bone=bone))]


def freed_packet(moment: Moment, *, camera_id: int = 1) -> FreeDPacket:
    """FreeD D1: pan + = right, millimetres; focal length as mm * 100 in zoom and focus distance as mm in focus.

    Raises
    ------
    ValueError : a position beyond 131 m.
    """
    pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(moment.stage_from_camera)
    x, y, z = (1000.0 * float(v) for v in moment.stage_from_camera[:3, 3])
    lens = moment.lens or LensReading()
    return FreeDPacket.from_units(
        camera_id=camera_id, pan_deg=-pan_deg, tilt_deg=tilt_deg, roll_deg=roll_deg, x_mm=x, y_mm=y, z_mm=z,
        zoom=round(100 * (lens.focal_length_mm or 0.0)),
        focus=min(0xFFFFFF, round(1000 * (lens.focus_distance_m or 0.0))),
        spare=moment.number & 0xFFFF,
    )  # fmt: skip


def osc_packet(moment: Moment, *, camera: str = "a", tagged: bool = False) -> OscPacket:
    """The default OSC pose message; `tagged` puts it into a bundle with the moment as its time tag."""
    angles = pan_tilt_roll_from_rotation(moment.stage_from_camera)
    arguments = [float(v) for v in (*moment.stage_from_camera[:3, 3], *angles)]
    if moment.lens is not None and moment.lens.focal_length_mm is not None:
        arguments.append(moment.lens.focal_length_mm)
        if moment.lens.focus_distance_m is not None:
            arguments.append(moment.lens.focus_distance_m)
    time_tag = time_tag_from_unix_ns(moment.t_ns) if tagged else None
    return OscPacket.build(f"/openvolume/camera/{camera}/pose", tuple(arguments), time_tag=time_tag)


def osc_datagrams(moment: Moment, mapping: OscMapping, *, tagged: bool = False) -> list[bytes]:
    """A pose as the sender of a mapping says it: one datagram a message, or one bundle where a pose is one (`tagged`:
    always, with the moment as its time tag)."""
    messages = [
        OscPacket.build(address, arguments)
        for address, arguments in mapping.messages(moment.stage_from_camera, moment.lens, moment.quaternion_xyzw)
    ]
    if not tagged and mapping.complete != "bundle":
        return [bytes(message) for message in messages]
    return [bundle(messages, time_tag_from_unix_ns(moment.t_ns) if tagged else IMMEDIATELY)]


def zmq_packet(moment: Moment, *, camera: str = "a", msgpack: bool = False) -> ZmqPosePacket:
    """OpenVolume's own pose message, with a quaternion."""
    x, y, z = (float(v) for v in moment.stage_from_camera[:3, 3])
    lens = moment.lens or LensReading()
    message = PoseMessage(
        position_m=(x, y, z), camera=camera, t_ns=moment.t_ns, sequence=moment.number, rotation=moment.quaternion(),
        focal_length_mm=lens.focal_length_mm, focus_distance_m=lens.focus_distance_m,
        entrance_pupil_m=lens.entrance_pupil_m, f_stop=lens.f_stop,
    )  # fmt: skip
    return ZmqPosePacket(message, "msgpack" if msgpack else "json")


def opentrackio_packet(
    moment: Moment, *, source_id: str, source_number: int = 1, rate: Rate | None = None, encoding: int = JSON
) -> OpenTrackIOPacket:
    """A recommended OpenTrackIO sample: pose, lens, time stamp, all in one datagram."""
    pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(moment.stage_from_camera)
    x, y, z = (float(v) for v in moment.stage_from_camera[:3, 3])
    lens = moment.lens
    sample = TrackSample(
        protocol=ProtocolName("OpenTrackIO", (1, 0, 1)),
        sample_id=uuid5(NAMESPACE_URL, f"{source_id}/{moment.number}").urn,
        source_id=source_id,
        source_number=source_number,
        tracker=Tracker(status="Optical Good", recording=False),
        timing=Timing(
            mode="internal",
            sample_rate=None if rate is None else Ratio(rate.num, rate.den),
            sample_timestamp=Timestamp(moment.t_ns // NS_PER_S, moment.t_ns % NS_PER_S),
            sequence_number=moment.number,
        ),
        lens=None
        if lens is None
        else Lens(
            focal_length_mm=lens.focal_length_mm,
            focus_distance_m=lens.focus_distance_m,
            entrance_pupil_m=lens.entrance_pupil_m,
            f_stop=lens.f_stop,
        ),
        transforms=(Transform(XYZ(x, y, z), PanTiltRoll(pan_deg, tilt_deg, roll_deg), id="Camera"),),
    )
    return OpenTrackIOPacket.build(sample, sequence=moment.number, encoding=encoding)
