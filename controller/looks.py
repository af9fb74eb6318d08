"""Looks: a grade for each layer of the walls and the light of scenes, kept with the show by name. Pure.

A look names whole states: each layer it names is graded as it says and not otherwise, and the light of each scene it
names is edited as it says and not otherwise; what it does not name stays as it is. Putting one on is a change of those
addresses, so it is taken back, moves over time, and goes into cues as any other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from controller.errors import BadValue, UnknownAddress
from stage.errors import Problem
from stage.grade import FIELDS, NEUTRAL, Grade
from stage.plan import PlanLook

MOST_LOOKS: Final = 200
ACTIVE: Final = "look/active"
"""The address that puts a look on."""
WORDS: Final = frozenset({"active", "diff"})
"""No look is called so."""
LIGHT: Final = frozenset({"sun", "sky", "fog", "lights", "dome", "occlusion", "ambient", "background", "exposure_ev"})
"""Sections of a scene that are its light."""
_ID: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Look(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A stored look."""

    label: Annotated[str, Meta(max_length=80)] = ""
    notes: Annotated[str, Meta(max_length=2000)] = ""
    grades: dict[str, Grade] = {}
    """By layer (`stage.grade`): all of its grade."""
    scenes: dict[str, dict[str, Any]] = {}
    """By scene: all edits of its light, by address below the scene; light that is not named is as configured."""


def is_light(address: str) -> bool:
    """Whether an address below a scene is a part of its light."""
    return address.partition("/")[0] in LIGHT


def layers_of(cameras: Collection[str], walls: Collection[str]) -> list[str]:
    """Every layer that can be graded."""
    return [
        "outer", "inner", *(f"cameras/{name}" for name in sorted(cameras)), *(f"walls/{name}" for name in sorted(walls))
    ]  # fmt: skip


def stored(
    layers: Collection[str], grades: dict[str, Grade], edits: dict[str, dict[str, Any]], *, label: str, notes: str
) -> Look:
    """What stands now as a look: the grades of layers, and of scenes' edits those of their light.

    edits : by scene, all that hold.
    """
    light = {
        scene: {address: value for address, value in held.items() if is_light(address)} for scene, held in edits.items()
    }
    return Look(label, notes, {layer: grades.get(layer, NEUTRAL) for layer in layers}, light)


def look_of(name: str, body: object) -> Look:
    """A look from plain data. Raises BadValue."""
    path = f"looks/{name}"
    if not _ID.fullmatch(name) or name in WORDS:
        raise _bad(path, "no look is called so", name, "small letters, digits, _ and -; 40 at most")
    try:
        return msgspec.convert(body, Look)
    except msgspec.ValidationError as error:
        mend = '{"grades": {"outer": {"exposure_ev": -1.0}}, "scenes": {"plaza": {"sun/elevation_deg": 5.0}}}'
        raise _bad(path, str(error), None, mend) from None


def find_look(looks: dict[str, Look], name: str) -> Look:
    """The look of a name. Raises UnknownAddress."""
    if name not in looks:
        mend = f"use one of {', '.join(sorted(looks)) or '(none)'}"
        raise UnknownAddress(Problem(UnknownAddress.code, f"looks/{name}", "no look of this name", name, mend))
    return looks[name]


def values_of(look: Look) -> dict[str, Any]:
    """What a look says, by address of the show: every value of the layers it names, and the edits of its scenes."""
    values: dict[str, Any] = {
        f"look/{layer}/{field}": getattr(grade, field) for layer, grade in look.grades.items() for field in FIELDS
    }
    for scene, edits in look.scenes.items():
        values |= {f"scenes/{scene}/{address}": value for address, value in edits.items()}
    return values


def planned_looks(grades: Mapping[str, Grade], look: str, version: int) -> list[PlanLook]:
    """The grades of a show at a frame, as its plan carries them: one entry a layer that is not neutral."""
    return [PlanLook(look, version, 1.0, [layer], grade) for layer, grade in sorted(grades.items()) if grade != NEUTRAL]


def _bad(path: str, detail: str, value: object, mend: str) -> BadValue:
    return BadValue(Problem(BadValue.code, path, detail, value, mend))
