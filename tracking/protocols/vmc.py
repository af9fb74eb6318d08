"""The VMC protocol (OSC over UDP, usually port 39539): bones, facial weights, cameras, props and lights of avatars.

`parse` reads single messages; an `Assembler` per sender joins bones into whole figures and applies facial weights when
the sender says so. Frame: Unity's (left-handed, Y up, Z forward, metres, quaternions xyzw that need not be unit). Bones
are given in their parents' axes, by Unity's names. Unknown addresses and extra arguments are let pass.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from msgspec import Struct

from stage.frames import joints_from_unity, pose_from_quaternion, pose_from_unity
from tracking.protocols import osc
from tracking.protocols.osc import OscPacket
from tracking.protocols.pinhole import focal_length_from_fov
from tracking.sample import LensReading, Refusal, Sample, Stamp
from tracking.skeleton import MAX_JOINTS, Skeleton, chained, relative_joints

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "vmc"
PORT: Final = 39539
PREFIX: Final = "/VMC/Ext/"
MAX_SHAPES: Final = 1024
NO_JOINTS: Final = np.zeros((0, 7))
ROOT, BONE, SHAPE, APPLY, AVAILABLE, TIME = "Root/Pos", "Bone/Pos", "Blend/Val", "Blend/Apply", "OK", "T"
CAMERA, LIGHT = "Cam", "Light"
DEVICES: Final = frozenset(
    {"Hmd/Pos", "Con/Pos", "Tra/Pos", "Hmd/Pos/Local", "Con/Pos/Local", "Tra/Pos/Local"}
)  # fmt: skip
_POSE: Final = (str, *(float,) * 7)
KINDS: Final[dict[str, tuple[type, ...]]] = {
    AVAILABLE: (int,), TIME: (float,), ROOT: _POSE, BONE: _POSE, SHAPE: (str, float), APPLY: (),
    CAMERA: (*_POSE, float), LIGHT: (*_POSE, *(float,) * 4), **dict.fromkeys(DEVICES, _POSE),
    "Con": (int, str, int, int, int, float, float, float), "Key": (int, str, int),
    "Midi/Note": (int, int, int, float), "Midi/CC/Val": (int, float), "Midi/CC/Bit": (int, int),
    "Rcv": (int, int), "VRM": (str, str), "Remote": (str, str), "Opt": (str,), "Config": (str,),
    "Setting/Color": (float,) * 4, "Setting/Win": (int,) * 4,
}  # fmt: skip
"""Messages and the arguments they need, after `/VMC/Ext/`."""

PARENTS: Final[dict[str, str]] = {
    "Spine": "Hips", "Chest": "Spine", "UpperChest": "Chest", "Neck": "UpperChest", "Head": "Neck",
    "LeftEye": "Head", "RightEye": "Head", "Jaw": "Head",
    **{
        side + child: side + parent if parent in ("UpperLeg", "LowerLeg", "Foot", "Shoulder", "UpperArm", "LowerArm")
        else parent
        for side in ("Left", "Right")
        for child, parent in (
            ("UpperLeg", "Hips"), ("LowerLeg", "UpperLeg"), ("Foot", "LowerLeg"), ("Toes", "Foot"),
            ("Shoulder", "UpperChest"), ("UpperArm", "Shoulder"), ("LowerArm", "UpperArm"), ("Hand", "LowerArm"),
        )
    },
    **{
        f"{side}{finger}{part}": f"{side}{finger}{before}" if before else f"{side}Hand"
        for side in ("Left", "Right")
        for finger in ("Thumb", "Index", "Middle", "Ring", "Little")
        for before, part in (("", "Proximal"), ("Proximal", "Intermediate"), ("Intermediate", "Distal"))
    },
}  # fmt: skip
"""Parent of each bone of Unity's humanoid; bones a model lacks are stepped over."""
ORDER: Final[dict[str, int]] = {name: i for i, name in enumerate(("Hips", *PARENTS))}

VRM0_SHAPES: Final[dict[str, str]] = {
    "neutral": "Neutral", "aa": "A", "ih": "I", "ou": "U", "ee": "E", "oh": "O", "blink": "Blink",
    "blinkLeft": "Blink_L", "blinkRight": "Blink_R", "happy": "Joy", "angry": "Angry", "sad": "Sorrow",
    "relaxed": "Fun", "lookUp": "LookUp", "lookDown": "LookDown", "lookLeft": "LookLeft", "lookRight": "LookRight",
}  # fmt: skip
"""VRM 1 names of facial shapes and the VRM 0 names that stand for them, which are the protocol's default."""


class VmcMessage(Struct, frozen=True, gc=False):
    """One message of the protocol; wire units."""

    kind: str
    """The address after `/VMC/Ext/`."""
    packet: OscPacket

    def __bytes__(self) -> bytes:
        return bytes(self.packet)

    @property
    def name(self) -> str:
        """Of a bone, camera, device or shape: the first argument; empty for messages without."""
        arguments = self.packet.arguments
        return arguments[0] if arguments and isinstance(arguments[0], str) else ""

    @property
    def numbers(self) -> tuple[float, ...]:
        """x y z (metres) and qx qy qz qw of a message with a pose; empty for others."""
        needed = KINDS[self.kind]
        return self.packet.arguments[1:8] if needed[: len(_POSE)] == _POSE else ()

    @property
    def t_source_ns(self) -> int | None:
        """The bundle's time tag, Unix ns; None: none, or "now"."""
        return self.packet.t_source_ns

    @property
    def sequence(self) -> None:
        """The protocol has no counter."""
        return None

    def is_for(self, mapping: Mapping) -> bool:
        """Whether it is the source's body: a device or light by its name, a camera by its name or as the only one.
        A device in its own axes is called `<name>/local`."""
        if self.kind == CAMERA:
            return mapping.kind == "camera" if not mapping.body else mapping.body == self.name
        if self.kind != LIGHT and self.kind not in DEVICES:
            return False
        name = f"{self.name}/local" if self.kind.endswith("/Local") else self.name
        return name == (mapping.body or mapping.camera_name)

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The pose of a camera, device or light in stage units; a camera's field of view becomes a focal length where
        its picture's height is known."""
        numbers = self.numbers
        if not numbers:
            return []
        lens = None
        if self.kind == CAMERA and mapping.picture_mm is not None:
            focal_length_mm = focal_length_from_fov(mapping.picture_mm[1], self.packet.arguments[8])
            lens = None if focal_length_mm is None else LensReading(focal_length_mm=focal_length_mm)
        try:
            return [mapping.sample(pose_from_unity(numbers[:3], numbers[3:]), lens, stamp)]
        except ValueError as error:
            return [Refusal("range", str(error))]


class VmcFigure(Struct, frozen=True, eq=False):
    """A whole figure: its root, its bones (in their parents' axes) and its facial weights; wire units."""

    root: tuple[float, ...] | None
    """x y z qx qy qz qw; None: never sent, and the figure stands at the origin."""
    root_name: str
    bones: MappingOf[str, tuple[float, ...]]
    shapes: MappingOf[str, float]
    """As sent and applied."""
    available: int | None = None
    """What the sender says about itself: 1 = a model is loaded; None: it does not say."""
    t_source_ns: int | None = None
    """Time tag of the bundle that made it whole, Unix ns."""

    @property
    def sequence(self) -> None:
        return None

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the source follows a figure (the only one a sender has), or one of its bones."""
        if mapping.body and mapping.body in self.bones:
            return True
        return mapping.kind == "performer" and mapping.body in ("", self.root_name)

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The hips' pose and all joints in stage units; or the pose of the bone that is meant."""
        if self.available == 0:
            return [Refusal("untracked", "the sender has no model loaded")]
        names = sorted(self.bones, key=lambda name: ORDER.get(name, len(ORDER)))
        parents = parent_indices(names)
        root = self.root or (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        try:
            # The root comes first, so every chain begins at it.
            local = [_unit(root), *(_unit(self.bones[name]) for name in names)]
            joints = joints_from_unity(chained(local, (-1, *(parent + 1 for parent in parents))))[1:]
        except ValueError as error:
            return [Refusal("range", str(error))]
        at = names.index(mapping.body) if mapping.body in self.bones else 0 if names[:1] == ["Hips"] else None
        if at is None:
            tracker_from_subject = pose_from_unity(root[:3], root[3:])
        else:
            tracker_from_subject = pose_from_quaternion(joints[at, :3], joints[at, 3:])
        sample = mapping.sample(tracker_from_subject, None, stamp)
        if isinstance(sample, Refusal) or mapping.body in self.bones:
            return [sample]
        shapes = {VRM0_SHAPES.get(name, name): weight for name, weight in self.shapes.items()}
        skeleton = Skeleton(tuple(names), parents, relative_joints(joints, tracker_from_subject), shapes)
        return [msgspec.structs.replace(sample, skeleton=skeleton)]


def parent_indices(names: list[str]) -> tuple[int, ...]:
    """Index of the nearest bone above each that is there; -1 for those that hang at the root."""
    index = {name: i for i, name in enumerate(names)}
    out = []
    for i, name in enumerate(names):
        parent = PARENTS.get(name)
        while parent is not None and index.get(parent, i) >= i:
            parent = PARENTS.get(parent)
        out.append(-1 if parent is None else index[parent])
    return tuple(out)


def _unit(numbers: tuple[float, ...]) -> tuple[float, ...]:
    x, y, z, qx, qy, qz, qw = numbers
    length = sqrt(qx * qx + qy * qy + qz * qz + qw * qw)
    if not 1e-9 < length < 1e9:
        raise ValueError(f"quaternion {[qx, qy, qz, qw]} has no direction")
    return x, y, z, qx / length, qy / length, qz / length, qw / length


def parse(datagram: bytes) -> list[VmcMessage | Refusal]:
    """Every message of a datagram. Never raises; addresses of others and unknown ones are refused by name."""
    return [item if isinstance(item, Refusal) else _message(item) for item in osc.parse(datagram)]


def _message(packet: OscPacket) -> VmcMessage | Refusal:
    if not packet.address.startswith(PREFIX):
        return Refusal("other_message", packet.address)
    kind = packet.address[len(PREFIX) :]
    needed = KINDS.get(kind)
    if needed is None:
        return Refusal("other_message", packet.address)
    arguments = packet.arguments
    if len(arguments) < len(needed):
        return Refusal("type", f"{kind}: {len(arguments)} arguments, {len(needed)} needed")
    for argument, wanted in zip(arguments, needed, strict=False):
        if type(argument) is not wanted:
            return Refusal("type", f"{kind}: {type(argument).__name__} instead of {wanted.__name__}")
    return VmcMessage(kind, packet)


class Assembler:
    """State of one sender: bones of the figure that is coming in, facial weights, what it says about itself.

    The protocol has no mark for the end of a figure. It is whole when every bone of the one before has come again,
    looked at after each datagram; or, when fewer come than before, when the next one begins: with a root, with the
    hips of a sender that has no root, or with a bone for the second time. No clock.
    """

    def __init__(self) -> None:
        self._root: tuple[float, ...] | None = None
        self._root_name = ""
        self._bones: dict[str, tuple[float, ...]] = {}
        self._expected: frozenset[str] = frozenset()
        self._waiting: dict[str, float] = {}
        self._shapes: dict[str, float] = {}
        self._available: int | None = None
        self._t_source_ns: int | None = None
        self._has_bones = False

    def feed(self, datagram: bytes, t_received_ns: int = 0) -> list[VmcMessage | VmcFigure | Refusal]:
        """Poses of cameras, devices and lights as they come, and figures when they are whole. Never raises."""
        out: list[VmcMessage | VmcFigure | Refusal] = []
        moved = False
        # Bones from an earlier datagram: a new figure may begin within this one.
        carried = bool(self._bones)
        for item in parse(datagram):
            if isinstance(item, Refusal):
                out.append(item)
                continue
            kind, arguments = item.kind, item.packet.arguments
            if kind == BONE:
                moved = True
                begins = carried and item.name == "Hips" and self._root is None
                if self._bones and (begins or item.name in self._bones):
                    out += self._cut()
                    carried = False
                if len(self._bones) < MAX_JOINTS:
                    self._bones[item.name] = item.numbers
                    self._t_source_ns = item.t_source_ns
            elif kind == ROOT:
                moved = True
                if carried and self._bones and not self._is_whole():
                    out += self._cut()
                    carried = False
                self._root, self._root_name = item.numbers, item.name
            elif kind == SHAPE:
                if item.name in self._waiting or len(self._waiting) < MAX_SHAPES:
                    self._waiting[item.name] = arguments[1]
            elif kind == APPLY:
                self._apply()
                if not self._has_bones:
                    self._t_source_ns = item.t_source_ns
                    out.append(self._figure())
            elif kind == AVAILABLE:
                self._available = arguments[0]
            elif kind in (CAMERA, LIGHT) or kind in DEVICES:
                out.append(item)
        if moved and self._is_whole():
            out.append(self._figure())
        return out

    def _cut(self) -> list[VmcMessage | VmcFigure | Refusal]:
        """What was there when the next figure began; the very first may lack what came before this end listened."""
        if self._expected:
            return [self._figure()]
        self._expected = frozenset(self._bones)
        self._has_bones = True
        self._bones = {}
        return []

    def _is_whole(self) -> bool:
        return bool(self._expected) and self._bones.keys() >= self._expected

    def _apply(self) -> None:
        known = {name: self._shapes[name] for name in self._shapes if name not in self._waiting}
        room = MAX_SHAPES - len(self._waiting)
        self._shapes = dict(list(known.items())[:room]) | {n: w for n, w in self._waiting.items() if isfinite(w)}
        self._waiting = {}

    def _figure(self) -> VmcFigure:
        bones, self._bones = self._bones, {}
        self._expected = frozenset(bones)
        self._has_bones = self._has_bones or bool(bones)
        return VmcFigure(self._root, self._root_name, bones, self._shapes, self._available, self._t_source_ns)
