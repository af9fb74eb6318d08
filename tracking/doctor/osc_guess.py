"""Which OSC messages carry a pose, and which mapping reads them: the shipped presets first, then a guess by numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot
from statistics import median
from typing import Any, Final

from tracking.osc_config import preset, presets
from tracking.protocols.osc import OscPacket
from tracking.protocols.osc_mapping import OscPart

UNIT: Final = 0.02
"""How far a quaternion's length may be off 1."""
CENTIMETRES: Final = 20.0
"""A coordinate whose usual size is above this is no metre."""
MILLIMETRES: Final = 400.0


@dataclass(slots=True)
class _Seen:
    """Messages of one address."""

    address: str
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def numbers(self, at: int, count: int) -> list[tuple[float, ...]]:
        """So many arguments of each message from a place on; messages that have no numbers there are left out."""
        out = []
        for row in self.rows:
            cut = row[at : at + count]
            if len(cut) == count and all(type(v) in (float, int) for v in cut):
                out.append(tuple(float(v) for v in cut))
        return out

    def has_quaternion(self, at: int) -> bool:
        """Whether four arguments from a place on are a unit quaternion, nearly always."""
        rows = self.numbers(at, 4)
        unit = sum(1 for row in rows if abs(hypot(*row) - 1.0) < UNIT)
        return bool(rows) and unit >= 0.9 * len(self.rows)


def osc_bodies(messages: Sequence[OscPacket]) -> list[tuple[str, dict[str, Any]]]:
    """Name on the wire and keys of the source, for each pose that the messages carry."""
    seen: dict[str, _Seen] = {}
    for message in messages:
        seen.setdefault(message.address, _Seen(message.address)).rows.append(message.arguments)
    found = _by_presets(list(seen.values()))
    return found or _by_numbers(list(seen.values()))


def _by_presets(seen: list[_Seen]) -> list[tuple[str, dict[str, Any]]]:
    best: dict[str, str] = {}
    parts_of: dict[tuple[str, str], set[str]] = {}
    needed: dict[str, set[str]] = {}
    examples: dict[str, _Seen] = {}
    for name in presets():
        if name == "vmc":
            continue
        mapped = preset(name)
        parts = [message.part() for message in mapped.messages]
        needed[name] = {part.address for part in parts if part.carries_pose}
        for part in parts:
            if not part.carries_pose:
                continue
            for one in seen:
                for camera in _names(part, one):
                    parts_of.setdefault((name, camera), set()).add(part.address)
                    if mapped.complete == "message":
                        examples.setdefault(camera, one)
    for (name, camera), parts_seen in parts_of.items():
        complete = preset(name).complete
        whole = bool(parts_seen) if complete == "message" else parts_seen >= needed[name]
        if whole and camera not in best:
            best[camera] = name
    out = []
    for camera, name in best.items():
        chosen = _openvolume_preset(examples[camera]) if preset(name).complete == "message" and name in _OWN else name
        osc = {} if chosen == "stage" else {"osc": {"preset": chosen}}
        out.append((camera, {"camera_name": camera, **osc} if camera else osc))
    return out


_OWN: Final = ("stage", "stage_quaternion", "unity", "unreal", "y_up")
"""Presets at OpenVolume's own addresses: only the numbers tell them apart."""


def _openvolume_preset(seen: _Seen) -> str:
    if seen.has_quaternion(3):
        return "stage_quaternion"
    return "unreal" if _scale(seen.numbers(0, 3)) == "cm" else "stage"


def _names(part: OscPart, seen: _Seen) -> set[str]:
    """Names of the cameras that an address's messages speak of as this part; empty: they are something else."""
    pattern = re.escape(part.address).replace(r"\{camera\}", "(?P<camera>[^/]+)").replace(r"\*", "[^/]+")
    match = re.fullmatch(pattern, seen.address)
    if match is None or not any(len(row) >= part.required for row in seen.rows):
        return set()
    if "name" in part.fields:
        at = part.fields.index("name")
        return {str(row[at]) for row in seen.rows if len(row) > at}
    return {match.groupdict().get("camera") or ""}


def _by_numbers(seen: list[_Seen]) -> list[tuple[str, dict[str, Any]]]:
    """Messages of no known sender: three numbers of a place, then a unit quaternion or three angles."""
    out = []
    for one in seen:
        row = one.rows[0]
        lead = next((i for i, v in enumerate(row) if type(v) in (float, int)), len(row))
        while lead < len(row) and type(row[lead]) is int:
            lead += 1  # an index or a switch before the pose
        if len(one.numbers(lead, 6)) < 0.9 * len(one.rows):
            continue
        unit = _scale(one.numbers(lead, 3))
        place = [f"{axis}_{unit}" for axis in "xyz"]
        turn = ["qx", "qy", "qz", "qw"] if one.has_quaternion(lead + 3) else ["pan_deg", "tilt_deg", "roll_deg"]
        osc = {"address": one.address, "lens_address": "", "fields": ["_"] * lead + place + turn}
        out.append((one.address, {"osc": osc}))
    return out


def _scale(rows: Sequence[tuple[float, ...]]) -> str:
    """The unit in which places of that size are places on a stage."""
    size = median(max(map(abs, row)) for row in rows) if rows else 0.0
    return "m" if size < CENTIMETRES else "cm" if size < MILLIMETRES else "mm"
