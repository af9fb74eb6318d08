"""The `tracking` section of the configuration: where poses come from, and what each source's numbers mean."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from runtime.config import udp_address
from stage.frames import Array, pose_from_pan_tilt_roll
from tracking.follower import STEP_DEG, STEP_MM
from tracking.mocap_config import NatNetSection, SubjectKind
from tracking.osc_config import OscMap, OscSection
from tracking.protocol_config import (
    CookeSection,
    FreeDSection,
    LiveLinkSection,
    MosysF4Section,
    OpenTrackIOSection,
    PsnSection,
    RttrpmSection,
    StypeSection,
)
from tracking.relay_config import Relay, reaches
from tracking.sample import PosePoint
from tracking.source_clock import Match

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
ProtocolName = Literal[
    "osc", "zmq", "freed", "opentrackio", "mosys_f4", "stype", "psn", "rttrpm", "live_link", "natnet", "vmc", "cooke",
]  # fmt: skip
Axis = Literal["x", "-x", "y", "-y", "z", "-z"]
Sign = Literal[1, -1]
Metres = Annotated[float, Field(ge=-1000.0, le=1000.0)]
Degrees = Annotated[float, Field(ge=-360.0, le=360.0)]
Milliseconds = Annotated[float, Field(ge=-1000.0, le=1000.0)]
Frames = Annotated[float, Field(ge=-60.0, le=60.0)]
Table = list[tuple[float, float]]
WITH_ENCODERS: Final = ("freed", "opentrackio", "mosys_f4", "stype", "osc", "cooke")
"""Protocols that carry raw zoom and focus encoders."""


WITH_TIMECODE: Final = ("opentrackio", "mosys_f4")
"""Protocols that carry time code."""
WITH_SKELETONS: Final = ("natnet", "vmc")
"""Protocols that carry performers."""
LENS_ONLY: Final = ("cooke",)
"""Protocols that say what the lens does, and no pose: such a source stands beside the one that moves the camera."""
ON_SERIAL: Final = {"cooke": False, "freed": True}
"""Protocols of serial lines, and whether their bytes carry odd parity."""
SERIAL: Final = "serial:"
BAUDS: Final = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400)
NUMBERED: Final = ("freed", "mosys_f4")
"""Protocols whose messages carry a camera id and no names."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


@dataclass(frozen=True, slots=True)
class SerialLine:
    """What `listen: serial:/dev/ttyUSB0@115200` names. baud : None: the protocol's usual one."""

    device: str
    baud: int | None
    odd_parity: bool

    @property
    def bits_per_byte(self) -> int:
        """Start and stop bit, and parity, included."""
        return 11 if self.odd_parity else 10

    @classmethod
    def of(cls, listen: str, protocol: str) -> SerialLine:
        """Raises ValueError: no device, no rate, or a protocol of the network."""
        if protocol not in ON_SERIAL:
            raise ValueError(f"{protocol} is not sent over serial lines; {' and '.join(ON_SERIAL)} are")
        device, at, baud = listen.removeprefix(SERIAL).partition("@")
        if not device.startswith("/"):
            raise ValueError(f"{listen!r} names no device (serial:/dev/ttyUSB0, serial:/dev/ttyUSB0@115200)")
        if at and (not baud.isdecimal() or int(baud) not in BAUDS):
            raise ValueError(f"{baud!r} is no rate of serial lines here; use {', '.join(map(str, BAUDS))}")
        return cls(device, int(baud) if at else None, ON_SERIAL[protocol])


class PoseOffset(_Section):
    """A fixed pose: metres and stage angles (pan + = left, tilt + = up)."""

    x_m: Metres = 0.0
    y_m: Metres = 0.0
    z_m: Metres = 0.0
    pan_deg: Degrees = 0.0
    tilt_deg: Degrees = 0.0
    roll_deg: Degrees = 0.0

    def pose(self) -> Array:
        """[4, 4]"""
        return pose_from_pan_tilt_roll(
            (self.x_m, self.y_m, self.z_m), pan_deg=self.pan_deg, tilt_deg=self.tilt_deg, roll_deg=self.roll_deg
        )


class AxisMap(_Section):
    """Which of the tracker's axes (after its protocol's own conversion) each stage axis is: for trackers that were
    set up looking along another axis, or with a mirrored one."""

    x: Axis = "x"
    y: Axis = "y"
    z: Axis = "z"

    @model_validator(mode="after")
    def _each_axis_once(self) -> AxisMap:
        if sorted(a[-1] for a in (self.x, self.y, self.z)) != ["x", "y", "z"]:
            raise ValueError("each of x, y and z must be used once, with or without a minus sign")
        return self


class AngleSigns(_Section):
    """+1 or -1 for each stage angle, for trackers that turn the other way."""

    pan: Sign = 1
    tilt: Sign = 1
    roll: Sign = 1


class AngleOffsets(_Section):
    """Degrees added to each stage angle after its sign, for trackers whose zero looks elsewhere."""

    pan_deg: Degrees = 0.0
    tilt_deg: Degrees = 0.0
    roll_deg: Degrees = 0.0


class Gates(_Section):
    """What no camera does: samples beyond are counted and dropped."""

    range_m: float = Field(100.0, gt=0.0, le=10_000.0)
    """Farthest from the stage's origin, metres."""
    speed_m_s: float = Field(10.0, gt=0.0, le=1000.0)
    turn_deg_s: float = Field(720.0, gt=0.0, le=100_000.0)
    tilt_deg: float = Field(90.0, gt=0.0, le=90.0)
    """Farthest that it looks up or down."""
    settle_ms: float = Field(150.0, ge=0.0, le=10_000.0)
    """A jump beyond the speed gates is believed once the samples have stayed at the new place for so long."""


class Delays(_Section):
    """How much older one part of a sample is than its time says; negative: younger. Milliseconds and frames of the show
    (parts of one too) add up, and `delay_ms` comes on top."""

    position_ms: Milliseconds = 0.0
    position_frames: Frames = 0.0
    rotation_ms: Milliseconds = 0.0
    rotation_frames: Frames = 0.0
    lens_ms: Milliseconds = 0.0
    lens_frames: Frames = 0.0


class ReturnLimit(_Section):
    """The most that a camera is moved in one frame, beyond its own movement, when a source that was lost comes back or
    another one takes over."""

    step_mm: float = Field(STEP_MM, gt=0.0, le=100_000.0)
    step_deg: float = Field(STEP_DEG, gt=0.0, le=180.0)


class LensTable(_Section):
    """What raw encoders mean for the lens that is mounted: a file, or short tables, each a list of [raw, value] with
    raw rising. Between rows values follow a monotone curve; beyond them nothing is guessed."""

    file: str = Field("", max_length=1000)
    """A lens table over zoom and focus (YAML or CSV), relative to the configuration; see the lens page."""
    zoom_raw: tuple[float, float] | None = None
    """With a file: what this source's zoom encoder says at the ends the file names (wide, tele)."""
    focus_raw: tuple[float, float] | None = None
    """With a file: what this source's focus encoder says at the ends the file names (near, far)."""
    focal_length_mm: Table = []
    """by zoom"""
    focus_distance_m: Table = []
    """by focus"""
    entrance_pupil_m: Table = []
    """by zoom"""

    @field_validator("focal_length_mm", "focus_distance_m", "entrance_pupil_m")
    @classmethod
    def _rising(cls, rows: Table) -> Table:
        if len(rows) == 1:
            raise ValueError("a table needs at least two rows")
        if any(b[0] <= a[0] for a, b in pairwise(rows)):
            raise ValueError("raw values must rise from row to row")
        return rows

    @model_validator(mode="after")
    def _a_file_or_tables(self) -> LensTable:
        tables = self.focal_length_mm or self.focus_distance_m or self.entrance_pupil_m
        if bool(self.file) == bool(tables):
            raise ValueError("give a file, or tables from encoders to values, and not both")
        for name in ("zoom_raw", "focus_raw"):
            ends = getattr(self, name)
            if ends is not None and not self.file:
                raise ValueError(f"{name} belongs to a file; tables hold raw values themselves")
            if ends is not None and ends[0] == ends[1]:
                raise ValueError(f"{name}: the two ends of an encoder differ")
        return self


class ZmqSection(_Section):
    """How the ZeroMQ socket is made."""

    mode: Literal["sub", "pull"] = "sub"
    bind: bool | None = None
    """True: listen for senders; False: connect to one. Left out: SUB connects, PULL binds."""
    topic: str = ""
    """SUB only: subscribed prefix of the first frame."""

    @property
    def binds(self) -> bool:
        return self.mode == "pull" if self.bind is None else self.bind


class Source(_Section):
    """One stream of poses: of a camera, of subjects, or of both."""

    protocol: ProtocolName
    listen: str
    """`host:port` to receive on (a multicast group joins it); for zmq an endpoint such as `tcp://127.0.0.1:5556`; for
    cooke and freed also a serial line such as `serial:/dev/ttyUSB0`."""
    camera: Identifier | Literal[""] = ""
    """The camera it moves; empty: none, it carries subjects only."""
    interface: str = ""
    """Address of the network interface to join a multicast group on; empty: the system's choice."""
    pose_point: PosePoint = "body"
    """What the tracker's pose is the pose of: the tracked `body` (the camera's mount then leads to the sensor), the
    `sensor`'s middle, or the entrance `pupil`."""
    camera_id: int | None = Field(None, ge=0, le=255)
    """FreeD, Mo-Sys F4: only messages of this camera id (255 in a FreeD message means any)."""
    source_id: str | None = None
    """OpenTrackIO: only samples of this sourceId."""
    source_number: int | None = Field(None, ge=1, le=200)
    """OpenTrackIO: only samples of this sourceNumber."""
    camera_name: str | None = None
    """OSC and zmq: the camera's name on the wire, when it is not its id."""
    body: str = Field("", max_length=256)
    """Which of the tracked bodies a stream carries this is, by its name or its number; empty: the one named like the
    camera, or the only one."""
    stage_from_tracker: PoseOffset = PoseOffset()
    """Where the tracker's origin stands in the stage, and how it is turned."""
    body_from_camera: PoseOffset = PoseOffset()
    """Where the camera sits on the tracked body: M = stage_from_tracker T body_from_camera."""
    axes: AxisMap = AxisMap()
    signs: AngleSigns = AngleSigns()
    offsets: AngleOffsets = AngleOffsets()
    delay_ms: Milliseconds = 0.0
    """How much older a pose is than its time stamp (or its arrival) says; negative: younger."""
    delays: Delays = Delays()
    """The same for position, rotation and lens apart."""
    match: Match = "auto"
    """What tells when a sample was taken: the kernel's stamp at its `arrival`; its own `timecode`, met with the show's;
    the sender's clock, mapped to ours (`sample_time`); or that where the protocol carries one that runs (`auto`)."""
    priority: int = Field(0, ge=-100, le=100)
    """Of the sources of one camera the highest moves it; of equals the one that came first."""
    reclaim_s: float | None = Field(None, ge=0.0, le=3600.0)
    """It takes its camera back from a source of lower priority once it has been ok for so long; left out: only when an
    operator says so."""
    returning: ReturnLimit = ReturnLimit()
    prediction: Literal["auto", "off"] = "auto"
    """`auto`: predicted to the photo; `off`: the newest sample exactly."""
    allow: list[str] = []
    """Senders let in, as addresses or networks (`10.0.0.0/24`); empty: all that reach the socket."""
    rate_limit_hz: float = Field(1000.0, gt=0.0, le=100_000.0)
    """Datagrams a second taken from one sender; more are dropped unread."""
    checksum: Literal["strict", "zero", "ignore"] = "strict"
    """FreeD, Mo-Sys F4, stYpe: `zero` also takes messages of senders that leave the checksum 0; `ignore` takes all."""
    lens_table: LensTable | None = None
    """What zoom and focus encoders mean for the lens that is mounted (protocols that carry encoders)."""
    gates: Gates = Gates()
    cooke: CookeSection = CookeSection()
    freed: FreeDSection = FreeDSection()
    opentrackio: OpenTrackIOSection = OpenTrackIOSection()
    mosys_f4: MosysF4Section = MosysF4Section()
    stype: StypeSection = StypeSection()
    psn: PsnSection = PsnSection()
    rttrpm: RttrpmSection = RttrpmSection()
    live_link: LiveLinkSection = LiveLinkSection()
    natnet: NatNetSection = NatNetSection()
    osc: OscSection = OscSection()
    zmq: ZmqSection = ZmqSection()

    @field_validator("allow")
    @classmethod
    def _networks(cls, allow: list[str]) -> list[str]:
        for entry in allow:
            try:
                ipaddress.ip_network(entry, strict=False)
            except ValueError as error:
                raise ValueError(f"{entry!r} is not an address or network (10.0.0.7, 10.0.0.0/24)") from error
        return allow

    @model_validator(mode="before")
    @classmethod
    def _time_is_match(cls, data: Any) -> Any:
        # Stored shows of before know `match` as `time`.
        if isinstance(data, dict) and "time" in data and "match" not in data:
            data = {**data, "match": "sample_time" if data["time"] == "sample" else data["time"]}
            del data["time"]
        return data

    @field_validator("interface")
    @classmethod
    def _interface(cls, interface: str) -> str:
        if interface:
            try:
                ipaddress.IPv4Address(interface)
            except ValueError as error:
                raise ValueError("the IPv4 address of a network interface is needed") from error
        return interface

    @model_validator(mode="after")
    def _fits_the_protocol(self) -> Source:
        if self.protocol == "zmq":
            if not self.listen.startswith(("tcp://", "ipc://", "inproc://")):
                raise ValueError("zmq listens on an endpoint such as tcp://127.0.0.1:5556")
            if self.allow:
                raise ValueError("zmq does not tell the sender's address: an allow list cannot be kept; bind to an "
                                 "interface only trusted senders reach")  # fmt: skip
        elif self.listen.startswith(SERIAL):
            SerialLine.of(self.listen, self.protocol)
            if self.allow:
                raise ValueError("a serial line has one end: an allow list is for addresses")
        else:
            udp_address(self.listen)
        if self.protocol in LENS_ONLY and not self.camera:
            raise ValueError(f"{self.protocol} says what a camera's lens does: name the camera")
        only = {
            "camera_id": ("freed", "mosys_f4"), "source_id": ("opentrackio",), "source_number": ("opentrackio",),
        }  # fmt: skip
        for name, protocols in only.items():
            if getattr(self, name) is not None and self.protocol not in protocols:
                raise ValueError(f"{name} belongs to {' and '.join(protocols)} sources, this one is {self.protocol}")
        if self.match == "timecode" and self.protocol not in WITH_TIMECODE:
            raise ValueError(f"{self.protocol} carries no time code; match: timecode is for {', '.join(WITH_TIMECODE)}")
        if self.natnet.server and self.protocol != "natnet":
            raise ValueError(f"natnet belongs to natnet sources, this one is {self.protocol}")
        if self.lens_table is not None and self.protocol not in WITH_ENCODERS:
            raise ValueError(f"{self.protocol} carries no lens encoders; lens_table is for {', '.join(WITH_ENCODERS)}")
        return self

    @property
    def moves(self) -> str:
        """The camera it can move; empty: none, or only its lens."""
        return "" if self.protocol in LENS_ONLY else self.camera

    @property
    def serial_line(self) -> SerialLine | None:
        """The line it listens on; None: a socket."""
        return SerialLine.of(self.listen, self.protocol) if self.listen.startswith(SERIAL) else None

    @property
    def link(self) -> tuple[str, ...]:
        """What must be equal for two sources to share one socket."""
        if self.protocol == "zmq":
            return ("zmq", self.listen, self.zmq.mode, str(self.zmq.binds), self.zmq.topic)
        if self.listen.startswith(SERIAL):
            return ("serial", self.listen)
        return ("udp", self.listen, self.interface, self.natnet.server)

    @property
    def sections(self) -> tuple[object, ...]:
        """What a protocol's numbers mean."""
        return (self.freed, self.mosys_f4, self.stype, self.psn, self.rttrpm, self.live_link, self.natnet)

    @property
    def decoding(self) -> tuple[object, ...]:
        """What must be equal for two sources to share what reads a socket's datagrams."""
        return (
            self.protocol, self.checksum, self.freed.stream, self.stype.rate, self.rttrpm.timestamp_hz, self.cooke.asks,
        )  # fmt: skip


class Subject(_Section):
    """A prop, light or performer that a source's tracker follows beside the cameras."""

    source: Identifier
    """The source whose stream carries it: its socket, protocol, alignment, delay and gates hold."""
    kind: SubjectKind = "prop"
    """performer: a skeleton and facial weights come with the pose, where the protocol carries them."""
    body: str = Field("", max_length=256)
    """Its name or number in the stream; empty: the one named like it, or the only one."""
    body_from_subject: PoseOffset = PoseOffset()
    """Where its own origin sits on the tracked body."""


class TrackingConfig(_Section):
    """The `tracking` section."""

    sources: dict[Identifier, Source] = {}
    subjects: dict[Identifier, Subject] = {}
    """Props, lights and performers beside the cameras."""
    relays: dict[Identifier, Relay] = {}
    """Cameras' poses sent on to other programs."""

    def with_osc_files(self, found: Mapping[str, OscMap]) -> TrackingConfig:
        """The section with what the OSC mapping files hold put in its sources; `found`: by the name a source gives."""
        sources = {
            name: source.model_copy(update={"osc": OscSection(map=found[source.osc.file])})
            if source.osc.file in found
            else source
            for name, source in self.sources.items()
        }
        return self.model_copy(update={"sources": sources})

    @model_validator(mode="after")
    def _subjects_have_sources(self) -> TrackingConfig:
        for name, subject in self.subjects.items():
            if subject.source not in self.sources:
                known = ", ".join(self.sources) or "none is configured"
                raise ValueError(f"subject {name}: there is no source {subject.source} ({known})")
            protocol = self.sources[subject.source].protocol
            if protocol in LENS_ONLY:
                raise ValueError(f"subject {name}: {protocol} carries no poses")
            if subject.kind == "performer" and protocol not in WITH_SKELETONS:
                raise ValueError(
                    f"subject {name}: {protocol} carries no skeletons; a performer needs {' or '.join(WITH_SKELETONS)}"
                )
            if protocol in NUMBERED and subject.body and not subject.body.isdecimal():
                raise ValueError(f"subject {name}: {protocol} tells bodies apart by number: body must be one")
        used = {subject.source for subject in self.subjects.values()}
        for name, source in self.sources.items():
            if not source.camera and name not in used:
                raise ValueError(f"source {name} moves nothing: name its camera, or a subject that follows it")
        return self

    @model_validator(mode="after")
    def _relays_feed_others(self) -> TrackingConfig:
        for name, relay in self.relays.items():
            for target in relay.targets:
                fed = [other for other, source in self.sources.items() if reaches(target, source.listen)]
                if fed:
                    raise ValueError(f"relay {name} would send to {target}, where source {fed[0]} listens: to itself")
        return self

    @model_validator(mode="after")
    def _sockets_are_shared_by_equals(self) -> TrackingConfig:
        seen: dict[str, tuple[str, Source]] = {}
        for name, source in self.sources.items():
            other_name, other = seen.setdefault(source.listen, (name, source))
            if other is source:
                continue
            if other.protocol != source.protocol:
                raise ValueError(
                    f"sources {other_name} ({other.protocol}) and {name} ({source.protocol}) listen on "
                    f"{source.listen}; one address carries one protocol"
                )
            if other.link != source.link or other.decoding != source.decoding:
                raise ValueError(
                    f"sources {other_name} and {name} share {source.listen} and must agree on interface, checksum, "
                    "zmq settings and on what stamps their samples"
                )
        return self
