"""OSC mapping files, the shipped ones (`presets/*.yaml` beside this file), and a source's `osc` section.

A mapping file says which messages carry a pose, what each argument means, in which frame, and when a pose is complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stage.errors import ConfigError, Problem
from tracking.protocols.osc_mapping import (
    LENS_FIELDS,
    ROTATIONS,
    Complete,
    EulerOrder,
    Frame,
    OscMapping,
    OscPart,
)
from tracking.protocols.osc_mapping import Field as OscField

FOLDER: Final = files("tracking") / "osc_presets"
Address = Annotated[str, Field(max_length=256)]


def address_checked(address: str) -> str:
    """The address as it is.

    Raises
    ------
    ValueError : not an OSC address; `*` stands for one part between slashes, `{camera}` for the camera's name.
    """
    if not address.startswith("/") or not address.isascii() or any(c in address for c in " #,?[]"):
        raise ValueError("an OSC address starts with / and holds no spaces or pattern characters other than *")
    if any("*" in part and part != "*" for part in address.split("/")):
        raise ValueError("an OSC address starts with /, and * stands for a whole part between slashes")
    return address


def fields_checked(fields: Iterable[OscField], frame: Frame) -> None:
    """Nothing.

    Raises
    ------
    ValueError : they are no whole pose, or their rotation does not fit the frame.
    """
    names = [f for f in fields if f not in ("_", "name")]
    if len(set(names)) != len(names):
        raise ValueError("a field is named twice")
    have = set(names)
    if not any({f"{a}_{unit}" for a in "xyz"} <= have for unit in ("m", "cm", "mm")):
        raise ValueError("x, y and z are needed in one unit (x_m y_m z_m, x_cm ..., x_mm ...)")
    if not any(rotation <= have for rotation in ROTATIONS):
        raise ValueError(
            "a rotation is needed: qx qy qz qw, or pan_deg tilt_deg, or yaw_deg pitch_deg, or rx_deg ry_deg rz_deg"
        )
    if frame == "unreal" and not have & {"yaw_deg", "qw"}:
        raise ValueError("the unreal frame takes pitch_deg yaw_deg roll_deg, or a quaternion")
    if frame in ("unity", "y_up") and not have & {"qw", "rx_deg"}:
        raise ValueError(f"the {frame} frame takes a quaternion (qx qy qz qw), or rx_deg ry_deg rz_deg")
    if frame == "stage" and have & {"yaw_deg", "rx_deg"}:
        raise ValueError("yaw_deg and pitch_deg belong to the unreal frame, rx_deg ry_deg rz_deg to unity and y_up")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class OscMessage(_Section):
    """One kind of message."""

    address: Address
    """`{camera}` stands for the camera's name, `*` for any one part between slashes."""
    fields: list[OscField] = Field(min_length=1, max_length=64)
    """Meaning of each argument in order; `_` skips one, `name` must be the camera's name."""
    required: int | None = Field(None, ge=1, le=64)
    """So many arguments must be there. Left out: up to the last that is about the pose."""

    @field_validator("address")
    @classmethod
    def _address(cls, address: str) -> str:
        return address_checked(address)

    def part(self) -> OscPart:
        """What the decoder asks."""
        needed = [i + 1 for i, f in enumerate(self.fields) if f != "_" and f not in LENS_FIELDS]
        required = self.required or max(needed, default=1)
        return OscPart(self.address, tuple(self.fields), required)


class OscMap(_Section):
    """What a sender's messages mean: the content of an OSC mapping file."""

    openvolume_osc: Literal[1] = 1
    """Version of this format."""
    label: Annotated[str, Field(max_length=200)] = ""
    """Which sender, in words."""
    frame: Frame = "stage"
    """stage; unity: left-handed, Y up, Z forward; y_up: right-handed, looking along -Z; unreal: left-handed, X
    forward, Z up."""
    euler: EulerOrder = "zxy"
    """Order in which rx_deg, ry_deg, rz_deg are applied about the sender's fixed axes (Unity: zxy)."""
    complete: Complete = "message"
    """`message`: each message is a whole pose; `bundle`: its parts come in one bundle; `parts`: one after another."""
    within_ms: float = Field(100.0, gt=0.0, le=1000.0)
    """Parts further apart than this are not of one pose."""
    messages: list[OscMessage] = Field(min_length=1, max_length=32)

    @model_validator(mode="after")
    def _is_a_pose(self) -> OscMap:
        poses = [message for message in self.messages if message.part().carries_pose]
        if not poses:
            raise ValueError("no message carries a pose: x_m y_m z_m and a rotation are needed")
        whole = [[f for message in poses for f in message.fields]]
        for fields in whole if self.complete != "message" else [message.fields for message in poses]:
            fields_checked(fields, self.frame)
        return self

    def mapping(self, name: str) -> OscMapping:
        """The mapping for a source with that name on the wire."""
        return OscMapping(
            name,
            tuple(message.part() for message in self.messages),
            self.frame,
            self.euler,
            self.complete,
            int(self.within_ms * 1e6),
        )


def presets() -> list[str]:
    """Names of the shipped mapping files."""
    return sorted(entry.name.removesuffix(".yaml") for entry in FOLDER.iterdir() if entry.name.endswith(".yaml"))


@lru_cache(maxsize=64)
def preset(name: str) -> OscMap:
    """A shipped mapping. Raises KeyError: there is none of that name."""
    if name not in presets():
        raise KeyError(name)
    return _read((FOLDER / f"{name}.yaml").read_bytes(), name)


def read_mapping_file(path: Path) -> OscMap:
    """The mapping in a file.

    Raises
    ------
    ConfigError : it cannot be read, or says something wrong; every fault is named with its line.
    """
    from stage.documents import MAX_BYTES

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = Problem(
            "tracking.osc_file", str(path), f"cannot be read: {error.strerror}", mend="name an OSC mapping file"
        )
        raise ConfigError(problem) from error
    return _read(data, str(path))


def _read(data: bytes, where: str) -> OscMap:
    # The YAML reader is imported when there is something to read: senders and small tools need none.
    from stage.documents import read_yaml, validate

    found, problems = validate(OscMap, read_yaml(data))
    if found is None:
        raise ConfigError(*(Problem(p.code, f"{where}:{p.path}", p.detail, p.value, p.mend, p.line) for p in problems))
    return found


class OscSection(_Section):
    """Which OSC messages carry the pose: a preset and what differs from it, or a mapping file."""

    preset: Annotated[str, Field(max_length=64)] = "stage"
    """Name of a shipped mapping."""
    file: Annotated[str, Field(max_length=1000)] = ""
    """An OSC mapping file, relative to the configuration; it counts instead of the preset."""
    map: OscMap | None = None
    """A mapping written here; it counts instead of the preset."""
    address: Address = ""
    """Pose address; `{camera}` stands for the camera's name. Empty: the preset's."""
    lens_address: Address | None = None
    """Lens address; empty text: none. Left out: the preset's."""
    fields: list[OscField] = []
    """Meaning of each argument of the pose in order; empty: the preset's."""
    frame: Frame | None = None

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in presets():
            raise ValueError(f"unknown preset; use one of {', '.join(presets())}")
        return name

    @field_validator("address", "lens_address")
    @classmethod
    def _address(cls, address: str | None) -> str | None:
        return address_checked(address) if address else address

    @field_validator("file")
    @classmethod
    def _file(cls, file: str) -> str:
        if file and not file.endswith((".yaml", ".yml")):
            raise ValueError("an OSC mapping file is YAML (.yaml)")
        return file

    @model_validator(mode="after")
    def _fits_together(self) -> OscSection:
        changed = self.address or self.fields or self.frame is not None or self.lens_address is not None
        if (self.file or self.map is not None) and (changed or self.preset != "stage"):
            raise ValueError("a mapping stands alone: without preset, address, lens_address, fields or frame")
        if (changed or self.preset != "stage") and not self.file:
            self._mapping()
        return self

    def mapping(self, name: str) -> OscMapping:
        """The mapping for a source with that name on the wire.

        Raises
        ------
        ConfigError : its file has not been read (`with_osc_files`).
        """
        return self._mapping().mapping(name)

    def _mapping(self) -> OscMap:
        if self.map is not None:
            return self.map
        if self.file:
            problem = Problem("tracking.osc_file", "osc/file", "has not been read", self.file, "read it first")
            raise ConfigError(problem)
        base = preset(self.preset)
        if not (self.address or self.fields or self.frame is not None or self.lens_address is not None):
            return base
        pose = next(message for message in base.messages if message.part().carries_pose)
        lens = next((message for message in base.messages if not message.part().carries_pose), None)
        if base.complete != "message":
            raise ValueError(f"the {self.preset} preset has several messages: write a mapping of your own (map, file)")
        changes: dict[str, object] = {}
        if self.address:
            changes["address"] = self.address
        if self.fields:
            changes |= {"fields": self.fields, "required": None}
        messages = [pose.model_copy(update=changes)]
        if self.lens_address is None:
            messages += [] if lens is None else [lens]
        elif self.lens_address:
            messages.append(
                OscMessage(address=self.lens_address, fields=list(LENS_FIELDS[:4]), required=1)
                if lens is None
                else lens.model_copy(update={"address": self.lens_address})
            )
        return OscMap(frame=self.frame or base.frame, euler=base.euler, messages=messages)
