"""What OSC messages mean for one source: addresses, arguments, frame, and when a pose is complete.

There is no standard: one sender puts a pose into one message, another spreads it over several. A `Joiner` holds the
parts of one source until the pose is whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import hypot
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from stage.frames import (
    Array,
    euler_from_quaternion,
    pan_tilt_roll_from_rotation,
    pose_from_pan_tilt_roll,
    pose_from_quaternion,
    pose_from_unity,
    pose_from_unreal,
    pose_from_unreal_quaternion,
    pose_from_y_up,
    quaternion_from_euler,
    quaternion_from_rotation,
    unity_from_pose,
    unreal_from_pose,
    y_up_from_pose,
)
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping
    from tracking.protocols.osc import OscPacket

Frame = Literal["stage", "unity", "y_up", "unreal"]
Complete = Literal["message", "bundle", "parts"]
EulerOrder = Literal["xyz", "xzy", "yxz", "yzx", "zxy", "zyx"]
Field = Literal[
    "_", "name", "x_m", "y_m", "z_m", "x_mm", "y_mm", "z_mm", "x_cm", "y_cm", "z_cm",
    "pan_deg", "tilt_deg", "roll_deg", "yaw_deg", "pitch_deg", "rx_deg", "ry_deg", "rz_deg", "qx", "qy", "qz", "qw",
    "focal_length_mm", "focus_distance_m", "entrance_pupil_m", "f_stop", "zoom_raw", "focus_raw", "iris_raw",
]  # fmt: skip
"""What one OSC argument means; `_` is skipped, `name` must be the source's name on the wire. `rx_deg ry_deg rz_deg`
turn about the sender's own axes, in the order the mapping says."""

UNIT_SLACK: Final = 0.02
"""How far a quaternion's length may be off 1 (Unity's senders need not care)."""
SCALES: Final = {"m": 1.0, "cm": 0.01, "mm": 0.001}
LENS_FIELDS: Final[tuple[Field, ...]] = (
    "focal_length_mm", "focus_distance_m", "entrance_pupil_m", "f_stop", "zoom_raw", "focus_raw", "iris_raw",
)  # fmt: skip
ROTATIONS: Final[tuple[frozenset[str], ...]] = (
    frozenset({"qx", "qy", "qz", "qw"}),
    frozenset({"pan_deg", "tilt_deg"}),
    frozenset({"yaw_deg", "pitch_deg"}),
    frozenset({"rx_deg", "ry_deg", "rz_deg"}),
)
"""A pose needs one of these sets of fields."""
_NO_POSE: Final = frozenset({"_", "name", *LENS_FIELDS})


@dataclass(frozen=True, slots=True)
class OscPart:
    """One kind of message: an address and the meaning of its arguments.

    In the address `{camera}` stands for the source's name on the wire and `*` for any one part between slashes.
    """

    address: str
    fields: tuple[Field, ...]
    required: int
    """So many leading arguments must be there; the rest may be left out."""

    @property
    def carries_pose(self) -> bool:
        """Whether any of it is the pose; else it is about the lens."""
        return not _NO_POSE.issuperset(self.fields)


@dataclass(frozen=True, slots=True)
class OscMapping:
    """Which messages carry one source's pose and lens, and what their arguments mean."""

    name: str
    """The source's name on the wire."""
    parts: tuple[OscPart, ...]
    frame: Frame = "stage"
    euler: EulerOrder = "zxy"
    """Which of the sender's axes is turned about first, second and third (fixed axes)."""
    complete: Complete = "message"
    """`message`: each message is a whole pose; `bundle`: all parts come in one bundle; `parts`: they come one after
    the other, and the next pose begins when one comes again."""
    within_ns: int = 100_000_000
    """Parts further apart than this are not of one pose."""
    _exact: dict[str, OscPart] = field(init=False, repr=False, compare=False)
    _patterns: tuple[tuple[re.Pattern[str], OscPart], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact: dict[str, OscPart] = {}
        patterns: list[tuple[re.Pattern[str], OscPart]] = []
        for part in self.parts:
            address = part.address.replace("{camera}", self.name)
            if "*" in address:
                patterns.append((re.compile("[^/]*".join(map(re.escape, address.split("*")))), part))
            else:
                exact[address] = part
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_patterns", tuple(patterns))

    def part_of(self, address: str, arguments: tuple[Any, ...]) -> OscPart | None:
        """The part that a message is; None: it is for somebody else."""
        part = self._exact.get(address)
        if part is None:
            part = next((p for pattern, p in self._patterns if pattern.fullmatch(address)), None)
            if part is None:
                return None
        if "name" in part.fields:
            at = part.fields.index("name")
            if at >= len(arguments) or str(arguments[at]) != self.name:
                return None
        return part

    @property
    def pose_parts(self) -> frozenset[str]:
        """Addresses of the parts that make a pose."""
        return frozenset(part.address for part in self.parts if part.carries_pose)

    def pose(self, values: dict[str, float]) -> Array:
        """The pose, [4, 4], in stage axes, of the fields that came.

        Raises
        ------
        KeyError : a field is missing. ValueError : a quaternion that is no rotation.
        """
        unit = "m" if "x_m" in values else "cm" if "x_cm" in values else "mm"
        k = SCALES[unit]
        x, y, z = k * values["x_" + unit], k * values["y_" + unit], k * values["z_" + unit]
        frame = self.frame
        if "pan_deg" in values:
            return pose_from_pan_tilt_roll(
                (x, y, z), pan_deg=values["pan_deg"], tilt_deg=values["tilt_deg"], roll_deg=values.get("roll_deg", 0.0)
            )
        if "yaw_deg" in values:
            roll = values.get("roll_deg", 0.0)
            return pose_from_unreal(100 * x, 100 * y, 100 * z, values["pitch_deg"], values["yaw_deg"], roll)
        if "rx_deg" in values:
            q = quaternion_from_euler(values["rx_deg"], values["ry_deg"], values["rz_deg"], self.euler)
        else:
            q = (values["qx"], values["qy"], values["qz"], values["qw"])  # type: ignore[assignment]
            length = hypot(*q)
            if frame != "unity" and length > 0.0 and abs(length - 1.0) > UNIT_SLACK:
                raise ValueError(f"a quaternion of length {length:.3g}")
        if frame == "unity":
            return pose_from_unity((x, y, z), q)
        if frame == "y_up":
            return pose_from_y_up((x, y, z), q)
        if frame == "unreal":
            return pose_from_unreal_quaternion((100 * x, 100 * y, 100 * z), q)
        return pose_from_quaternion((x, y, z), q)

    def values(self, stage_from_camera: Array, lens: LensReading | None = None) -> dict[str, float]:
        """Every field that the frame has of a pose, [4, 4], and of a lens: `pose` undone."""
        pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(stage_from_camera)
        if self.frame == "unity":
            position, q = unity_from_pose(stage_from_camera)
        elif self.frame == "y_up":
            position, q = y_up_from_pose(stage_from_camera)
        elif self.frame == "unreal":
            position, q = unreal_from_pose(stage_from_camera)
            position = position / 100.0
        else:
            position, q = stage_from_camera[:3, 3], quaternion_from_rotation(stage_from_camera)
        out = {f"{a}_{unit}": float(v) / k for unit, k in SCALES.items() for a, v in zip("xyz", position, strict=True)}
        out |= dict(zip(("qx", "qy", "qz", "qw"), map(float, q), strict=True))
        out |= dict(zip(("rx_deg", "ry_deg", "rz_deg"), euler_from_quaternion(q, self.euler), strict=True))
        out |= {"pan_deg": pan_deg, "tilt_deg": tilt_deg, "roll_deg": roll_deg}
        out |= {"yaw_deg": -pan_deg, "pitch_deg": tilt_deg}
        if lens is not None:
            out |= {name: value for name in LENS_FIELDS if (value := getattr(lens, name)) is not None}
        return out

    def messages(
        self,
        stage_from_camera: Array,
        lens: LensReading | None = None,
        quaternion_xyzw: tuple[float, float, float, float] | None = None,
    ) -> list[tuple[str, tuple[Any, ...]]]:
        """Address and arguments of the messages that say a pose, [4, 4], and a lens; a part that carries the lens alone
        is left out where nothing is known of it. quaternion_xyzw: said instead of the pose's own (a fault)."""
        values = self.values(stage_from_camera, lens)
        if quaternion_xyzw is not None:
            values |= dict(zip(("qx", "qy", "qz", "qw"), quaternion_xyzw, strict=True))
        out: list[tuple[str, tuple[Any, ...]]] = []
        said: set[tuple[Field, ...]] = set()
        for part in self.parts:
            arguments: list[Any] = []
            for at, name in enumerate(part.fields):
                if name not in values and name not in ("_", "name"):
                    break
                whole = int(self.name) if self.name.isdecimal() else self.name
                arguments.append(whole if name == "name" else 1 if name == "_" and at == 1 else values.get(name, 0.0))
            # Two addresses with the same fields are two ways to say the same.
            if len(arguments) >= part.required and part.fields not in said:
                said.add(part.fields)
                out.append((part.address.replace("{camera}", self.name).replace("*", "openvolume"), tuple(arguments)))
        return out


def values_of(part: OscPart, arguments: tuple[Any, ...]) -> dict[str, float] | Refusal:
    """The numbers of one message by field."""
    if len(arguments) < part.required:
        return Refusal("type", f"{len(arguments)} arguments, {part.required} needed")
    values: dict[str, float] = {}
    for name, value in zip(part.fields, arguments, strict=False):
        if name == "_" or name == "name":
            continue
        if type(value) is not float and type(value) is not int:
            return Refusal("type", f"{name} is {type(value).__name__}")
        values[name] = float(value)
    return values


def reading_of(values: dict[str, float]) -> LensReading | None:
    """What the numbers say about the lens; None: nothing."""
    if not any(name in values for name in LENS_FIELDS):
        return None
    get = values.get
    return LensReading(
        get("focal_length_mm"), get("focus_distance_m"), get("entrance_pupil_m"), get("f_stop"),
        zoom_raw=get("zoom_raw"), focus_raw=get("focus_raw"), iris_raw=get("iris_raw"),
    )  # fmt: skip


def read_message(
    address: str, arguments: tuple[Any, ...], mapping: Mapping, stamp: Stamp
) -> list[Sample | LensReading | Refusal]:
    """What one message that is a whole pose, or about the lens, says."""
    osc = mapping.osc
    part = None if osc is None else osc.part_of(address, arguments)
    if osc is None or part is None:
        return []
    values = values_of(part, arguments)
    if isinstance(values, Refusal):
        return [values]
    if part.carries_pose:
        return [_sample(osc, values, mapping, stamp)]
    lens = reading_of(values)
    if lens is None:
        return []
    return [mapping.lens(lens)]


def _sample(osc: OscMapping, values: dict[str, float], mapping: Mapping, stamp: Stamp) -> Sample | Refusal:
    try:
        return mapping.sample(osc.pose(values), reading_of(values), stamp)
    except ValueError as error:
        return Refusal("range", str(error))
    except KeyError as error:
        return Refusal("type", f"no argument for {error}")


class Joiner:
    """Parts of one source's pose until it is whole. No clock: the parts' own stamps say how far apart they are."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._seen: set[str] = set()
        self._first: Stamp | None = None
        self._position = -1

    def feed(self, packet: OscPacket, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """What a message completes."""
        address, arguments, position = packet.address, packet.arguments, packet.position
        osc = mapping.osc
        part = None if osc is None else osc.part_of(address, arguments)
        if osc is None or part is None:
            return []
        if not part.carries_pose:
            return read_message(address, arguments, mapping, stamp)
        values = values_of(part, arguments)
        if isinstance(values, Refusal):
            return [values]
        out: list[Sample | LensReading | Refusal] = []
        first = self._first
        if first is not None and (
            part.address in self._seen
            or abs(stamp.t_received_ns - first.t_received_ns) > osc.within_ns
            or (osc.complete == "bundle" and (stamp.t_received_ns != first.t_received_ns or position <= self._position))
        ):
            out.append(Refusal("segment", f"{len(self._seen)} parts of an unfinished pose"))
            self._forget()
            first = None
        if first is None:
            self._first = first = stamp
        self._position = position
        self._seen.add(part.address)
        self._values.update(values)
        if self._seen >= osc.pose_parts:
            # The parts are of one pose, and the first of them is nearest to when it was taken.
            stamp = msgspec.structs.replace(stamp, t_sampled_ns=min(first.t_sampled_ns, stamp.t_sampled_ns))
            out.append(_sample(osc, self._values, mapping, stamp))
            self._forget()
        return out

    def _forget(self) -> None:
        self._values = {}
        self._seen.clear()
        self._first = None
        self._position = -1
