"""OSC poses over UDP. There is no standard: an `OscMapping` says which address carries what, in which frame.

Default, one message a pose, big-endian floats:
    /openvolume/camera/<id>/pose  x y z (m)  pan tilt roll (deg, stage signs)  [focal_length_mm [focus_distance_m]]
    /openvolume/camera/<id>/lens  focal_length_mm [focus_distance_m [entrance_pupil_m [f_stop]]]
Bundles are walked here (python-osc loops for ever on a negative element size and recurses without limit); each
message goes through python-osc's parser. Its dispatcher is not used: it sleeps on time tags.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct
from pythonosc.osc_message import OscMessage as PythonOscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from stage.frames import (
    Array,
    pose_from_pan_tilt_roll,
    pose_from_quaternion,
    pose_from_unity,
    pose_from_unreal,
    pose_from_y_up,
)
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "osc"
MAX_DATAGRAM: Final = 9216
MAX_DEPTH: Final = 8
MAX_MESSAGES: Final = 256
MAX_ADDRESS: Final = 256
MAX_ARGUMENTS: Final = 256
IMMEDIATELY: Final = 1
"""The time tag that means "now"."""
NTP_TO_UNIX_S: Final = 2_208_988_800
_BUNDLE: Final = b"#bundle\0"
_TAGS: Final = frozenset(b"ifsbhdTFNrm[]")
_SIZES: Final = dict.fromkeys(b"ifrm", 4) | dict.fromkeys(b"hd", 8) | dict.fromkeys(b"TFN[]", 0)
"""Bytes of each argument of fixed size."""
_INT: Final = struct.Struct(">i")
_TAG: Final = struct.Struct(">Q")

Frame = Literal["stage", "unity", "y_up", "unreal"]
Field = Literal[
    "_", "x_m", "y_m", "z_m", "x_mm", "y_mm", "z_mm", "x_cm", "y_cm", "z_cm", "pan_deg", "tilt_deg", "roll_deg",
    "yaw_deg", "pitch_deg", "qx", "qy", "qz", "qw", "focal_length_mm", "focus_distance_m", "entrance_pupil_m", "f_stop",
]  # fmt: skip
"""What one OSC argument means; `_` is skipped."""

_SCALE: Final = {"m": 1.0, "cm": 0.01, "mm": 0.001}
LENS_FIELDS: Final[tuple[Field, ...]] = ("focal_length_mm", "focus_distance_m", "entrance_pupil_m", "f_stop")


@dataclass(frozen=True, slots=True)
class OscMapping:
    """Which messages carry a camera's pose and lens, and what their arguments mean."""

    pose_address: str
    pose_fields: tuple[Field, ...]
    frame: Frame = "stage"
    lens_address: str = ""
    """Empty: no lens message."""
    required: int = 0
    """So many leading arguments must be there; the rest may be left out."""


@dataclass(frozen=True, slots=True)
class OscPreset:
    """A known sender's convention; `{camera}` in an address stands for the camera's name."""

    pose_address: str
    lens_address: str
    pose_fields: tuple[Field, ...]
    frame: Frame
    required: int

    def mapping(self, camera_name: str) -> OscMapping:
        """The mapping with the camera's name put into the addresses."""
        return OscMapping(
            self.pose_address.replace("{camera}", camera_name),
            self.pose_fields,
            self.frame,
            self.lens_address.replace("{camera}", camera_name),
            self.required,
        )


_POSE = "/openvolume/camera/{camera}/pose"
_LENS_ADDRESS = "/openvolume/camera/{camera}/lens"
_QUATERNION: Final[tuple[Field, ...]] = (
    "x_m", "y_m", "z_m", "qx", "qy", "qz", "qw", "focal_length_mm", "focus_distance_m",
)  # fmt: skip
PRESETS: Final[dict[str, OscPreset]] = {
    "stage": OscPreset(
        _POSE, _LENS_ADDRESS,
        ("x_m", "y_m", "z_m", "pan_deg", "tilt_deg", "roll_deg", "focal_length_mm", "focus_distance_m"), "stage", 6,
    ),
    "stage_quaternion": OscPreset(_POSE, _LENS_ADDRESS, _QUATERNION, "stage", 7),
    "unity": OscPreset(_POSE, _LENS_ADDRESS, _QUATERNION, "unity", 7),
    "y_up": OscPreset(_POSE, _LENS_ADDRESS, _QUATERNION, "y_up", 7),
    "unreal": OscPreset(
        _POSE, _LENS_ADDRESS,
        ("x_cm", "y_cm", "z_cm", "pitch_deg", "yaw_deg", "roll_deg", "focal_length_mm", "focus_distance_m"),
        "unreal", 6,
    ),
    "vmc": OscPreset(
        "/VMC/Ext/Cam", "", ("_", "x_m", "y_m", "z_m", "qx", "qy", "qz", "qw"), "unity", 8,
    ),
}  # fmt: skip
"""`stage` is OpenVolume's own; `unity`, `y_up` and `unreal` are the same addresses in those programs' frames; `vmc`
is the camera message of the VMC protocol."""


class OscPacket(Struct, frozen=True, gc=False):
    """One OSC message with the time tag of the bundle it came in."""

    address: str
    arguments: tuple[Any, ...]
    time_tag: int | None = None
    """64 bit NTP time tag; None = it came bare."""
    data: bytes = b""
    """The message's own bytes."""

    @classmethod
    def build(cls, address: str, arguments: tuple[Any, ...], *, time_tag: int | None = None) -> OscPacket:
        """A message of the given arguments: float -> f, int -> i, str -> s, bytes -> b, True/False/None."""
        builder = OscMessageBuilder(address=address)
        for argument in arguments:
            builder.add_arg(argument)
        message = builder.build()
        return cls(address, tuple(message.params), time_tag, message.dgram)

    def __bytes__(self) -> bytes:
        if self.time_tag is None:
            return self.data
        return b"".join((_BUNDLE, _TAG.pack(self.time_tag), _INT.pack(len(self.data)), self.data))

    @property
    def t_source_ns(self) -> int | None:
        """The bundle's time tag as Unix ns; None when there is none or it means "now"."""
        tag = self.time_tag
        if tag is None or tag <= IMMEDIATELY:
            return None
        return ((tag >> 32) - NTP_TO_UNIX_S) * 1_000_000_000 + ((tag & 0xFFFFFFFF) * 1_000_000_000 >> 32)

    @property
    def sequence(self) -> None:
        """OSC carries no counter."""
        return None

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the address is one the source's mapping names."""
        osc = mapping.osc
        return osc is not None and (self.address == osc.pose_address or self.address == osc.lens_address)

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The pose in stage units; a lens message gives a `LensReading`, which holds until the next one."""
        osc = mapping.osc
        if osc is None:
            return []
        is_pose = self.address == osc.pose_address
        if not is_pose and self.address != osc.lens_address:
            return []
        fields, required = (osc.pose_fields, osc.required) if is_pose else (LENS_FIELDS, 1)
        arguments = self.arguments
        if len(arguments) < required:
            return [Refusal("type", f"{len(arguments)} arguments, {required} needed")]
        values: dict[str, float] = {}
        for name, value in zip(fields, arguments, strict=False):
            if name == "_":
                continue
            if type(value) is not float and type(value) is not int:
                return [Refusal("type", f"{name} is {type(value).__name__}")]
            values[name] = float(value)
        lens = _lens(values)
        if not is_pose:
            if lens is None:
                return []
            return [mapping.lens_gate(lens) or lens]
        try:
            tracker_from_body = _pose(values, osc.frame)
        except ValueError as error:
            return [Refusal("range", str(error))]
        except KeyError as error:
            return [Refusal("type", f"no argument for {error}")]
        return [mapping.sample(tracker_from_body, lens, stamp)]


def _lens(values: dict[str, float]) -> LensReading | None:
    if not any(name in values for name in LENS_FIELDS):
        return None
    get = values.get
    return LensReading(get("focal_length_mm"), get("focus_distance_m"), get("entrance_pupil_m"), get("f_stop"))


def _pose(values: dict[str, float], frame: Frame) -> Array:
    get = values.get
    unit = "m" if "x_m" in values else "cm" if "x_cm" in values else "mm"
    k = _SCALE[unit]
    x, y, z = k * values["x_" + unit], k * values["y_" + unit], k * values["z_" + unit]
    if "qw" in values:
        q = (values["qx"], values["qy"], values["qz"], values["qw"])
        if frame == "unity":
            return pose_from_unity((x, y, z), q)
        if frame == "y_up":
            return pose_from_y_up((x, y, z), q)
        return pose_from_quaternion((x, y, z), q)
    if frame == "unreal":
        return pose_from_unreal(100 * x, 100 * y, 100 * z, values["pitch_deg"], values["yaw_deg"], get("roll_deg", 0.0))
    return pose_from_pan_tilt_roll(
        (x, y, z), pan_deg=values["pan_deg"], tilt_deg=values["tilt_deg"], roll_deg=get("roll_deg", 0.0)
    )


def parse(datagram: bytes) -> list[OscPacket | Refusal]:
    """Every message of a datagram, bundles opened. Never raises; a message with NaN or infinity is refused."""
    size = len(datagram)
    if size < 4:
        return [Refusal("short", f"{size} bytes")]
    if size > MAX_DATAGRAM:
        return [Refusal("long", f"{size} bytes")]
    if datagram[0] == 0x2F:  # "/"
        return [_message(datagram, None)]
    if not datagram.startswith(_BUNDLE):
        return [Refusal("magic", "neither a message nor a bundle")]
    out: list[OscPacket | Refusal] = []
    stack: list[tuple[bytes, int]] = [(datagram, 1)]
    while stack:
        bundle, depth = stack.pop()
        if len(bundle) < 16:
            out.append(Refusal("short", "bundle without a time tag"))
            continue
        time_tag = _TAG.unpack_from(bundle, 8)[0]
        inner: list[tuple[bytes, int]] = []
        at = 16
        while at < len(bundle):
            if len(out) >= MAX_MESSAGES:
                return [*out, Refusal("long", f"more than {MAX_MESSAGES} messages")]
            if at + 4 > len(bundle):
                out.append(Refusal("short", "bundle element cut off"))
                break
            length = _INT.unpack_from(bundle, at)[0]
            at += 4
            if length <= 0 or length % 4 or at + length > len(bundle):
                out.append(Refusal("malformed", f"bundle element of {length} bytes"))
                break
            element = bundle[at : at + length]
            at += length
            if element[0] == 0x2F:
                out.append(_message(element, time_tag))
            elif not element.startswith(_BUNDLE):
                out.append(Refusal("magic", "bundle element is neither a message nor a bundle"))
            elif depth >= MAX_DEPTH:
                out.append(Refusal("depth", f"bundles nested deeper than {MAX_DEPTH}"))
            else:
                inner.append((element, depth + 1))
        stack.extend(reversed(inner))
    return out


def _message(data: bytes, time_tag: int | None) -> OscPacket | Refusal:
    comma, address_end = data.find(b","), data.find(b"\0")
    if address_end < 0:
        return Refusal("malformed", "the address does not end")
    if address_end > MAX_ADDRESS:
        return Refusal("long", "address")
    begin = (address_end & ~3) + 4
    if len(data) > begin:
        tags_end = data.find(b"\0", begin)
        if comma != begin or tags_end < 0:
            return Refusal("malformed", "no type tags after the address")
        tags = data[begin + 1 : tags_end]
        if not _TAGS.issuperset(tags):
            return Refusal("type", "unknown type tag")
        if len(tags) > MAX_ARGUMENTS:
            return Refusal("long", f"{len(tags)} arguments")
        if tags.count(b"[") > MAX_DEPTH:
            return Refusal("depth", "too many arrays")
        # python-osc reads a missing number as 0: a message cut off would become a pose at the origin.
        if len(data) % 4 or not _is_whole(data, begin, tags):
            return Refusal("short", "arguments cut off")
    try:
        message = PythonOscMessage(data)
        address, arguments = message.address, tuple(message)
    except Exception as error:  # noqa: BLE001 - python-osc raises more than it documents: it is one bad message
        return Refusal("malformed", type(error).__name__)
    for value in arguments:
        if type(value) is float and not isfinite(value):
            return Refusal("nan", address)
    return OscPacket(address, arguments, time_tag, data)


def _is_whole(data: bytes, comma: int, tags: bytes) -> bool:
    """Whether the arguments that the type tags announce are all there."""
    at = comma + (len(tags) + 5 & ~3)
    for tag in tags:
        if tag == 0x73:  # s
            end = data.find(b"\0", at)
            if end < 0:
                return False
            at += (end - at & ~3) + 4
        elif tag == 0x62:  # b
            if at + 4 > len(data):
                return False
            size = _INT.unpack_from(data, at)[0]
            if size < 0:
                return False
            at += 4 + (size + 3 & ~3)
        else:
            at += _SIZES[tag]
    return at <= len(data)


def time_tag_from_unix_ns(t_unix_ns: int) -> int:
    """64 bit NTP time tag of a Unix time, ns."""
    seconds, rest = divmod(t_unix_ns, 1_000_000_000)
    # Rounded up, so that the tag turns back into the very nanosecond it was made from.
    return ((seconds + NTP_TO_UNIX_S) << 32) + -((-rest << 32) // 1_000_000_000)
