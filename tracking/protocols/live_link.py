"""Unreal Live Link JSON: one text datagram a frame, as the JSON Live Link example plug-in and its forks take it.

`{"Subject": [{"Name": "root", "Parent": -1, "Location": [x, y, z], "Rotation": [x, y, z, w], "Scale": [...]}, ...]}`,
`{"Subject": {"Bone": [...], "Parameter": [...]}}`, or for cameras `{"Subject": [{"Type": "CameraAnimation"},
{"Location": [...], "Rotation": [...], "Values": [horizontal field of view, aspect, focal length]}]}`.
Unreal's frame: left-handed, X forward, Y right, Z up, centimetres. No time, no counter.
"""

from __future__ import annotations

from math import hypot, isfinite
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from stage.frames import pose_from_unreal_quaternion
from tracking.protocols.bodies import chosen_body
from tracking.protocols.pinhole import focal_length_from_fov
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "live_link"
PORT: Final = 54321
MAX_DATAGRAM: Final = 16384
MAX_SUBJECTS: Final = 64
CAMERA: Final = "CameraAnimation"
"""Type of a camera's subject, with a pose."""
_UNIT: Final = 0.01
"""How far a quaternion's length may be off 1."""


class LiveLinkBone(Struct, frozen=True, gc=False, rename="pascal", omit_defaults=True):
    """One bone, or the camera's one entry; only its place and its turn are needed."""

    name: str = ""
    parent: int | None = None
    """Index of the bone it hangs on; -1: none."""
    location: tuple[float, float, float] | None = None
    """Centimetres."""
    rotation: tuple[float, float, float, float] | None = None
    """Quaternion xyzw."""
    scale: tuple[float, float, float] | None = None
    values: tuple[float, ...] | None = None
    """Cameras: horizontal field of view (degrees), aspect, focal length (mm)."""
    type: str = ""
    """Of the first entry of a typed subject: `CameraAnimation`, `CameraSubject` ..."""


class LiveLinkParameter(Struct, frozen=True, gc=False, rename="pascal"):
    """A named number of a subject."""

    name: str
    value: float


class LiveLinkBody(Struct, frozen=True, gc=False, rename="pascal", omit_defaults=True):
    """A subject with bones and parameters."""

    bone: tuple[LiveLinkBone, ...] = ()
    parameter: tuple[LiveLinkParameter, ...] = ()


Subject = tuple[LiveLinkBone, ...] | LiveLinkBody
_DECODER: Final = msgspec.json.Decoder(dict[str, Subject])


class LiveLinkPacket(Struct, frozen=True, gc=False):
    """One datagram: subjects by name."""

    subjects: dict[str, Subject]
    raw: bytes = b""
    """The text as it came."""

    def __bytes__(self) -> bytes:
        return self.raw or msgspec.json.encode(self.subjects)

    @property
    def t_source_ns(self) -> None:
        """Live Link JSON carries no time."""
        return None

    @property
    def sequence(self) -> None:
        """Live Link JSON carries no counter."""
        return None

    def bones_for(self, mapping: Mapping) -> tuple[LiveLinkBone, ...] | None:
        """The bones of the subject a source follows; None: it is not in this packet."""
        names = list(self.subjects)
        chosen = chosen_body([(None, name) for name in names], mapping.body, mapping.camera_name)
        if chosen is None:
            return None
        subject = self.subjects[names[chosen]]
        return subject.bone if isinstance(subject, LiveLinkBody) else subject

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the source's subject is in this packet."""
        return self.bones_for(mapping) is not None

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The bone's pose in stage units; what announces a subject gives nothing."""
        bones = self.bones_for(mapping)
        if not bones:
            return []
        if bones[0].type:
            bones = bones[1:] if bones[0].type.endswith("Animation") else ()
            if not bones:
                return []
        wanted = mapping.live_link.bone
        bone = next((b for b in bones if b.name == wanted), None) if wanted else bones[0]
        if bone is None:
            return [Refusal("not_mine", f"no bone {wanted}")]
        if bone.location is None or bone.rotation is None:
            return [Refusal("schema", f"{bone.name or 'the first entry'} lacks Location or Rotation")]
        if not isfinite(sum(bone.location) + sum(bone.rotation)):
            return [Refusal("nan", bone.name)]
        if abs(hypot(*bone.rotation) - 1.0) > _UNIT:
            return [Refusal("range", f"a quaternion of length {hypot(*bone.rotation):.3g}")]
        pose = pose_from_unreal_quaternion(bone.location, bone.rotation)
        return [mapping.sample(pose, _lens(bone, mapping), stamp)]


def _lens(bone: LiveLinkBone, mapping: Mapping) -> LensReading | None:
    values = bone.values
    if not values or not all(map(isfinite, values)):
        return None
    focal_mm = None if mapping.picture_mm is None else focal_length_from_fov(mapping.picture_mm[0], values[0])
    if focal_mm is None and len(values) > 2 and values[2] > 0.0:
        focal_mm = values[2]
    return None if focal_mm is None else LensReading(focal_length_mm=focal_mm)


def parse(datagram: bytes) -> list[LiveLinkPacket | Refusal]:
    """The subjects of one datagram, or a refusal. Never raises."""
    size = len(datagram)
    if size == 0:
        return [Refusal("short", "empty datagram")]
    if size > MAX_DATAGRAM:
        return [Refusal("long", f"{size} bytes")]
    if datagram[:1] != b"{":
        return [Refusal("magic", "no JSON object")]
    try:
        subjects = _DECODER.decode(datagram)
    except msgspec.ValidationError as error:
        return [Refusal("schema", str(error)[:120])]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return [Refusal("malformed", type(error).__name__)]
    except RecursionError:
        return [Refusal("depth", "nested too deeply")]
    if not subjects:
        return [Refusal("schema", "no subject")]
    if len(subjects) > MAX_SUBJECTS:
        return [Refusal("schema", f"{len(subjects)} subjects")]
    return [LiveLinkPacket(subjects, datagram)]
