"""OpenVolume's own pose message for ZeroMQ (SUB or PULL), as JSON or msgpack: one map a sample.

    camera              text, optional: the camera's name, checked against the source's
    t_ns                integer, optional: the sender's clock when the camera stood there (any epoch)
    sequence            integer, optional: counts up by one
    position_m          [x, y, z], stage frame
    rotation            [x, y, z, w], unit quaternion   -- or --   pan_deg, tilt_deg, roll_deg
    focal_length_mm, focus_distance_m, entrance_pupil_m, f_stop    numbers, optional
    quality             text, optional: `ok` unless the tracker says otherwise
Unknown keys are ignored. A message may have several frames (a topic first): the last one is the sample.
"""

from __future__ import annotations

from math import hypot, isfinite
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from stage.frames import pose_from_pan_tilt_roll, pose_from_quaternion
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "zmq"
MAX_DATAGRAM: Final = 16384
UNIT_SLACK: Final = 0.02
"""How far a quaternion's length may be off 1: what few decimals leave. Farther, it is no rotation."""


class PoseMessage(Struct, frozen=True, omit_defaults=True):
    """The map on the wire."""

    position_m: tuple[float, float, float]
    camera: str | None = None
    t_ns: int | None = None
    sequence: int | None = None
    rotation: tuple[float, float, float, float] | None = None
    pan_deg: float | None = None
    tilt_deg: float | None = None
    roll_deg: float | None = None
    focal_length_mm: float | None = None
    focus_distance_m: float | None = None
    entrance_pupil_m: float | None = None
    f_stop: float | None = None
    quality: str = "ok"


_FLOATS: Final = (
    "pan_deg", "tilt_deg", "roll_deg", "focal_length_mm", "focus_distance_m", "entrance_pupil_m", "f_stop",
)  # fmt: skip
_JSON: Final = msgspec.json.Decoder(PoseMessage)
_MSGPACK: Final = msgspec.msgpack.Decoder(PoseMessage)


class ZmqPosePacket(Struct, frozen=True):
    """One pose message and the encoding it came in."""

    message: PoseMessage
    encoding: Literal["json", "msgpack"] = "json"

    def __bytes__(self) -> bytes:
        if self.encoding == "json":
            return msgspec.json.encode(self.message)
        return msgspec.msgpack.encode(self.message)

    @property
    def t_source_ns(self) -> int | None:
        return self.message.t_ns

    @property
    def sequence(self) -> int | None:
        return self.message.sequence

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the message names the source's camera, or none."""
        return self.message.camera is None or self.message.camera == mapping.camera_name

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The pose in stage units."""
        m = self.message
        if m.rotation is not None:
            length = hypot(*m.rotation)
            if length > 0.0 and abs(length - 1.0) > UNIT_SLACK:
                return [Refusal("range", f"a quaternion of length {length:.3g}")]
            try:
                tracker_from_body = pose_from_quaternion(m.position_m, m.rotation)
            except ValueError as error:
                return [Refusal("range", str(error))]
        else:
            tracker_from_body = pose_from_pan_tilt_roll(
                m.position_m, pan_deg=m.pan_deg or 0.0, tilt_deg=m.tilt_deg or 0.0, roll_deg=m.roll_deg or 0.0
            )
        lens = None
        if m.focal_length_mm is not None or m.focus_distance_m is not None or m.entrance_pupil_m is not None:
            lens = LensReading(m.focal_length_mm, m.focus_distance_m, m.entrance_pupil_m, m.f_stop)
        return [mapping.sample(tracker_from_body, lens, stamp, sequence=m.sequence, quality=m.quality)]


def parse(datagram: bytes) -> list[ZmqPosePacket | Refusal]:
    """The sample of one message frame, JSON or msgpack told apart by the first byte. Never raises."""
    if not datagram:
        return [Refusal("short", "empty message")]
    if len(datagram) > MAX_DATAGRAM:
        return [Refusal("long", f"{len(datagram)} bytes")]
    first = datagram[0]
    try:
        if first in b"{ \t\r\n":
            packet = ZmqPosePacket(_JSON.decode(datagram), "json")
        elif 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
            packet = ZmqPosePacket(_MSGPACK.decode(datagram), "msgpack")
        else:
            return [Refusal("encoding", f"first byte {first:#04x} begins neither a JSON nor a msgpack map")]
    except msgspec.ValidationError as error:
        return [Refusal("schema", str(error))]
    except Exception as error:  # noqa: BLE001 - whatever does not decode is one bad message
        return [Refusal("malformed", type(error).__name__)]
    m = packet.message
    if m.rotation is None and (m.pan_deg is None or m.tilt_deg is None):
        return [Refusal("schema", "rotation, or pan_deg and tilt_deg, is needed")]
    numbers = [*m.position_m, *(m.rotation or ()), *(v for n in _FLOATS if (v := getattr(m, n)) is not None)]
    if not all(map(isfinite, numbers)):
        return [Refusal("nan", "a number is not finite")]
    return [packet]
