"""Addresses of looks and grades: `look/<layer>/<field>` is the grade that holds, `looks/<id>` a stored look. Pure.

`look/active` names the look that was put on last. Whoever sets it sets all that the look says (`expanded`); an undo
puts back the name alone, and every value beside it by its own address.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, get_type_hints

import msgspec

from controller.address import Address, bad_value, unknown_address
from controller.errors import BadValue, UnknownAddress
from controller.looks import ACTIVE, MOST_LOOKS, Look, find_look, is_light, layers_of
from controller.scene_addresses import scene_address, state_of
from controller.show import Show
from controller.surroundings import Surroundings
from stage.errors import Problem
from stage.grade import FIELDS, NEUTRAL, Grade

ABOUT: Final = {
    "exposure_ev": "Stops.",
    "temperature_k": "The white that white comes to, kelvin: fewer are warmer; 6000 leaves it.",
    "tint": "Of that white: + magenta, - green.",
    "cdl_slope": "ASC CDL slope.",
    "cdl_offset": "ASC CDL offset; 1.0 is 100 nit.",
    "cdl_power": "ASC CDL power.",
    "cdl_saturation": "ASC CDL saturation.",
    "contrast": "Slope about mid grey (18 nit), in logarithm.",
    "lift": "What black comes to; 1.0 is 100 nit.",
    "gamma": "More is brighter between black and 100 nit.",
    "gain": "What 100 nit comes to, as a factor.",
    "saturation": "0 grey, 1 as it is.",
}
KINDS: Final[dict[str, Any]] = {
    name: kind | None for name, kind in get_type_hints(Grade, include_extras=True).items() if name in FIELDS
}
"""What each value of a grade is; None: neutral."""


def look_address(parts: list[str], around: Surroundings) -> Address | None:
    """The row of an address below `look/` or `looks/`; None of any other.

    Raises
    ------
    UnknownAddress : no such layer, or no such value of a grade.
    """
    if parts[0] == "looks" and len(parts) == 2:
        return _stored(parts[1])
    if parts[0] != "look" or len(parts) < 2:
        return None
    if parts[1:] == ["active"]:
        return _ACTIVE
    layer, field = "/".join(parts[1:-1]), parts[-1]
    path = "/".join(parts)
    layers = layers_of(around.cameras, around.walls)
    if layer not in layers:
        raise unknown_address(path, f"no layer {layer!r} of this show", f"use one of {', '.join(layers)}")
    if field not in FIELDS:
        raise unknown_address(path, f"a grade has no {field!r}", f"use one of {', '.join(FIELDS)}")
    return _graded(layer, field)


def look_rows(around: Surroundings) -> list[Address]:
    """Every such address of a show, for lists of what can be changed."""
    return [_ACTIVE, *(_graded(layer, name) for layer in layers_of(around.cameras, around.walls) for name in FIELDS)]


def expanded(changes: Mapping[str, Any], show: Show) -> dict[str, Any]:
    """Changes with all that a look says in place of its name alone; what else they set holds over it.

    Raises
    ------
    UnknownAddress : no such look.
    """
    if ACTIVE not in changes:
        return dict(changes)
    name = changes[ACTIVE]
    coming = changes.get(f"looks/{name}")
    if not isinstance(name, str):
        raise bad_value(ACTIVE, "needs the name of a look", name, "GET /api/v1/looks lists them")
    said = (
        {ACTIVE: name}
        if name == ""
        else {
            ACTIVE: name,
            **_changes_of(coming if isinstance(coming, Look) else find_look(show.looks, name), show),
        }
    )
    return {**said, **{path: value for path, value in changes.items() if path != ACTIVE}}


def look_faults(name: str, look: Look, around: Surroundings) -> None:
    """Hold a look that is to be stored to what the show has: layers, scenes, and values of their light.

    Raises
    ------
    UnknownAddress, BadValue : with every fault.
    """
    layers, problems = layers_of(around.cameras, around.walls), list[Problem]()
    for layer in look.grades:
        if layer not in layers:
            path, mend = f"looks/{name}/grades/{layer}", f"use one of {', '.join(layers)}"
            problems.append(Problem(UnknownAddress.code, path, "no such layer of this show", layer, mend))
    if problems:
        raise UnknownAddress(*problems)
    for scene, edits in look.scenes.items():
        for below, value in edits.items():
            path = f"looks/{name}/scenes/{scene}/{below}"
            scene_address(scene, below, around)
            fault = around.scene_values[scene].fault(below, value)
            if fault is not None:
                problems.append(Problem(BadValue.code, path, fault.detail, value, fault.mend))
        if scene not in around.scenes:
            mend = f"use one of {', '.join(sorted(around.scenes)) or '(none)'}"
            raise unknown_address(f"looks/{name}/scenes/{scene}", "no scene of this show", mend)
    if problems:
        raise BadValue(*problems)


def spreads(address: Address) -> bool:
    """Whether one number may stand for all three of a value of a grade."""
    return address.base is None and address.kind is not str


def with_grade(show: Show, layer: str, grade: Grade) -> Show:
    """The show with another grade of a layer; a neutral one is none."""
    others = {name: held for name, held in show.grades.items() if name != layer}
    return msgspec.structs.replace(show, grades=others if grade == NEUTRAL else {**others, layer: grade})


def _changes_of(look: Look, show: Show) -> dict[str, Any]:
    """What is otherwise now, or moves, of all that a look says: few, of several hundred values."""
    moving = {transition.address for transition in show.transitions}
    changes: dict[str, Any] = {}
    for layer, grade in look.grades.items():
        held = show.grades.get(layer, NEUTRAL)
        for name in FIELDS:
            path, value = f"look/{layer}/{name}", getattr(grade, name)
            if getattr(held, name) != value or path in moving:
                changes[path] = value
    for scene, edits in look.scenes.items():
        now = state_of(show, scene).edits
        for address in [*(name for name in now if is_light(name) and name not in edits), *edits]:
            path, value = f"scenes/{scene}/{address}", edits.get(address)
            if now.get(address) != value or path in moving:
                changes[path] = value
    return changes


def _write_active(show: Show, _: str, name: str, __: Surroundings) -> Show:
    return msgspec.structs.replace(show, look=name)


_ACTIVE: Final = Address(
    ACTIVE, "", str, "The look that was put on last; setting it puts one on.", lambda show, _: show.look, _write_active
)


@cache
def _graded(layer: str, field: str) -> Address:
    def read(show: Show, _: str) -> Any:
        return getattr(show.grades.get(layer, NEUTRAL), field)

    def write(show: Show, _: str, value: Any, __: Surroundings) -> Show:
        grade = show.grades.get(layer, NEUTRAL)
        value = getattr(NEUTRAL, field) if value is None else value
        return with_grade(show, layer, msgspec.structs.replace(grade, **{field: value}))

    neutral = getattr(NEUTRAL, field)
    return Address(
        f"look/{layer}/{field}", "", KINDS[field], ABOUT[field], read, write,
        neutral if isinstance(neutral, float) else None,
    )  # fmt: skip


def _stored(name: str) -> Address:
    def read(show: Show, _: str) -> Any:
        return show.looks.get(name)

    def write(show: Show, _: str, look: Look | None, __: Surroundings) -> Show:
        others = {other: held for other, held in show.looks.items() if other != name}
        if look is not None and len(others) >= MOST_LOOKS:
            raise bad_value(f"looks/{name}", f"a show has at most {MOST_LOOKS}", name, "delete some")
        return msgspec.structs.replace(show, looks=others if look is None else {**others, name: look})

    return Address(f"looks/{name}", "", Look | None, "A stored look; null: there is none.", read, write)
