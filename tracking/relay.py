"""Cameras' poses sent on: what a relay says of a pose in FreeD, OpenTrackIO or OSC, and the sockets it uses.

Poses are in the stage frame, after alignment: a program that receives a relay needs none of the tracker's own. The
sensor's middle is sent; the entrance pupil goes along where the protocol has a field for it. OpenTrackIO carries the
whole lens, with six radial terms (what Unreal needs), and every two seconds the camera's static block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from msgspec.structs import replace

from stage.plan import PlanLens
from stage.rate import NS_PER_S, Rate
from tracking.encoders import encoder, freed_packet, opentrackio_packet, osc_datagrams
from tracking.moment import Moment
from tracking.protocols.opentrackio import CBOR, JSON, OpenTrackIOPacket
from tracking.protocols.opentrackio_sample import (
    XY,
    Distortion,
    Ratio,
    SensorSize,
    Static,
    StaticCamera,
    TrackSample,
)
from tracking.relay_config import Relay
from tracking.sample import LensReading
from tracking.sender import UdpWire, Wire

STATIC_NS: Final = 2 * NS_PER_S
TAI_MINUS_UNIX_NS: Final = 37 * NS_PER_S
RADIAL_TERMS: Final = 6

OpenWire = Callable[[str, str], Wire]
"""Target and interface to a wire."""


def lens_of_plan(lens: PlanLens) -> LensReading:
    """What a plan says of a lens, as a tracker would say it."""
    return LensReading(
        focal_length_mm=lens.focal_length_mm,
        focus_distance_m=lens.focus_distance_m,
        entrance_pupil_m=lens.entrance_pupil_m,
        f_stop=lens.f_stop,
        radial=tuple(lens.radial) or None,
        tangential=tuple(lens.tangential) or None,
        model=lens.model if lens.radial else None,
        distortion_offset_mm=lens.distortion_offset_mm if any(lens.distortion_offset_mm) else None,
        projection_offset_mm=lens.projection_offset_mm if any(lens.projection_offset_mm) else None,
        sensor_width_mm=lens.sensor_width_mm,
        sensor_height_mm=lens.sensor_height_mm,
        squeeze=lens.squeeze,
    )


@dataclass(slots=True)
class RelayStatistics:
    """What a relay has done."""

    poses: int = 0
    datagrams: int = 0
    unsendable: int = 0
    """Poses the protocol cannot hold, and datagrams the network refused."""


@dataclass(slots=True)
class RelaySender:
    """One relay: its encoder and its sockets. `open` it, then `send` each pose.

    name : the relay's id; rate : samples a second told in OpenTrackIO, if known; wire : opens a wire, a UDP socket by
    default.
    """

    name: str
    relay: Relay
    rate: Rate | None = None
    wire: OpenWire = field(default=lambda target, interface: UdpWire(target, interface=interface))
    statistics: RelayStatistics = field(default_factory=RelayStatistics)
    _wires: list[Wire] = field(default_factory=list)
    _number: int = 0
    _static_ns: int | None = None

    def open(self) -> None:
        """Raises SendError: a target that cannot be sent to."""
        self._wires = [self.wire(target, self.relay.interface) for target in self.relay.targets]

    def close(self) -> None:
        """Let the sockets go."""
        for wire in self._wires:
            wire.close()
        self._wires = []

    def send(self, moment: Moment) -> int:
        """Say where the camera is; datagrams sent. `moment.t_ns` is TAI, its number is not used. Never raises."""
        if not self._wires:
            return 0
        try:
            datagrams = self.datagrams(moment)
        except (ValueError, OverflowError):
            self.statistics.unsendable += 1
            return 0
        sent = 0
        for wire in self._wires:
            for datagram in datagrams:
                try:
                    wire.send(datagram)
                except OSError:
                    self.statistics.unsendable += 1
                    continue
                sent += 1
        self.statistics.poses += 1
        self.statistics.datagrams += sent
        return sent

    def datagrams(self, moment: Moment) -> list[bytes]:
        """A pose as the relay says it. Raises ValueError: the protocol cannot hold it."""
        relay = self.relay
        number, self._number = self._number, self._number + 1
        if relay.protocol == "freed":
            return [self._freed(moment, number)]
        if relay.protocol.startswith("opentrackio"):
            return self._opentrackio(moment, number)
        said = Moment(moment.stage_from_camera, number, moment.t_ns - TAI_MINUS_UNIX_NS, moment.lens)
        name = relay.camera_name or relay.camera
        if relay.osc == type(relay.osc)():
            return encoder(relay.protocol, camera=name)(said)
        return osc_datagrams(said, relay.osc.mapping(name), tagged=relay.protocol == "osc_bundle")

    def _freed(self, moment: Moment, number: int) -> bytes:
        packet = freed_packet(
            Moment(moment.stage_from_camera, number, moment.t_ns, moment.lens), camera_id=self.relay.camera_id
        )
        lens = moment.lens
        if self.relay.encoders and lens is not None and lens.zoom_raw is not None and lens.focus_raw is not None:
            packet = replace(packet, zoom=_counts(lens.zoom_raw), focus=_counts(lens.focus_raw))
        return bytes(packet)

    def _opentrackio(self, moment: Moment, number: int) -> list[bytes]:
        relay = self.relay
        source_id = uuid5(NAMESPACE_URL, f"openvolume/relay/{self.name}/{relay.source_number}").urn
        packet = opentrackio_packet(
            Moment(moment.stage_from_camera, number, moment.t_ns, moment.lens),
            source_id=source_id,
            source_number=relay.source_number,
            rate=self.rate,
        )
        sample = _with_lens(packet.sample, moment.lens)
        if moment.lens is not None and (self._static_ns is None or not 0 <= moment.t_ns - self._static_ns < STATIC_NS):
            static = _static(moment.lens)
            if static is not None:
                sample = replace(sample, static=static)
                self._static_ns = moment.t_ns
        encoding = CBOR if relay.protocol == "opentrackio_cbor" else JSON
        return OpenTrackIOPacket.build(sample, sequence=number & 0xFFFF, encoding=encoding).datagrams()


def senders_of(
    relays: Mapping[str, Relay], *, pose: str, rate: Rate | None = None, wire: OpenWire | None = None
) -> dict[str, list[RelaySender]]:
    """The relays that send `raw` or `predicted` poses, not yet opened, by camera."""
    out: dict[str, list[RelaySender]] = {}
    for name, relay in relays.items():
        if relay.pose == pose:
            made = RelaySender(name, relay, rate) if wire is None else RelaySender(name, relay, rate, wire)
            out.setdefault(relay.camera, []).append(made)
    return out


def _with_lens(sample: TrackSample, lens: LensReading | None) -> TrackSample:
    if sample.lens is None or lens is None:
        return sample
    distortion = None
    if lens.radial is not None:
        radial = (*lens.radial, *([0.0] * (RADIAL_TERMS - len(lens.radial))))
        distortion = (Distortion(lens.model, radial, lens.tangential or (0.0, 0.0)),)
    offset, centre = lens.distortion_offset_mm, lens.projection_offset_mm
    return replace(
        sample,
        lens=replace(
            sample.lens,
            distortion=distortion,
            t_stop=lens.t_stop,
            distortion_offset=None if offset is None else XY(*offset),
            projection_offset=None if centre is None else XY(*centre),
        ),
    )


def _static(lens: LensReading) -> Static | None:
    if lens.sensor_width_mm is None or lens.sensor_height_mm is None:
        return None
    squeeze = Fraction(lens.squeeze or 1.0).limit_denominator(1000)
    return Static(
        camera=StaticCamera(
            active_sensor_physical_dimensions=SensorSize(lens.sensor_width_mm, lens.sensor_height_mm),
            anamorphic_squeeze=None if squeeze == 1 else Ratio(squeeze.numerator, squeeze.denominator),
        )
    )


def _counts(raw: float) -> int:
    return min(max(round(raw), 0), 0xFFFFFF)
