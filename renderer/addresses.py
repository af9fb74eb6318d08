"""The addresses of a scene: what may be changed live, of which kind, and what it is now. Pure: no GPU, no state.

An address is a path within the scene (`sun/elevation_deg`, `objects/statue/materials/stone/roughness`); the whole
one is `scenes/<id>/` and that. It is the path of a value in the scene's configuration in its normal form, so an edit
is a configuration with one value changed. Every number, switch, colour and choice of every section has one; objects
also have one for each node, material and animation of their asset, written in the configuration or not.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError

from renderer.config import SceneConfig
from renderer.errors import RendererError
from renderer.gltf.outline import Outline
from renderer.object_config import AnimationConfig, MaterialConfig, NodeConfig, ObjectConfig
from renderer.scene_file import normal_form
from stage.documents import join
from stage.errors import Problem

Kind = Literal["number", "switch", "colour", "vector", "choice", "text"]
Value = bool | float | int | str | tuple[float, ...] | None

FIXED: Final = frozenset(
    {
        "label",
        "tags",
        "file",
        "position",
        "bindings",
        "exposed",
        "gltf",
        "shadow_range_m",
        "light_limit",
        "colour_space",
        "centre_m",
        "reach_m",
        "cells",
    }
)
"""Fields that are no live values: they say what is loaded, not how it looks."""
AIR: Final = frozenset({"haze", "ozone", "ground_albedo", "altitude_m"})
"""What a sky's table is made for: half a second each, so that none of it moves over time."""
MATT: Final = 0.8
"""Roughness from which a dielectric's mirror image of the dome is not told from its light."""
_UNITS: Final = {
    "_m": "m", "_mm": "mm", "_deg": "deg", "_s": "s", "_ev": "EV", "_nits": "nit", "_hz": "Hz", "_k": "K",
    "_lux": "lx", "_lumens": "lm", "_candela": "cd",
}  # fmt: skip
_COLOURS: Final = ("colour", "color", "ambient", "background", "emissive", "albedo")


class UnknownAddressError(RendererError):
    """An edit names an address the scene does not have."""

    code = "renderer.unknown_address"


class EditValueError(RendererError):
    """An edit gives a value of the wrong kind or out of range."""

    code = "renderer.edit_value"


@dataclass(frozen=True, slots=True)
class Address:
    """One live value of a scene."""

    address: str
    """Within the scene."""
    kind: Kind
    value: Value
    """What it is now; None where the asset decides (a variant, an animation)."""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    """Of a `choice`."""
    size: int = 1
    """Numbers of a colour (4: with alpha) or vector."""
    label: str = ""
    """From the scene's `exposed`."""
    exposed: str = ""
    """Its id in the scene's `exposed`, empty for all others."""


def addresses(config: SceneConfig, outlines: Mapping[str, Outline]) -> dict[str, Address]:
    """Every live value of a scene by its address. `outlines`: by object of the normal form (`renderer.scene_file`);
    of an object without one only what the configuration says is listed."""
    config = normal_form(config)
    found = {entry.address: entry for entry in _section(config, "")}
    for name, thing in config.objects.items():
        path = join("objects", name)
        for entry in _object(thing, path, outlines.get(name)):
            found[entry.address] = entry
    for exposed_id, exposed in config.exposed.items():
        own = found.get(exposed.address)
        if own is not None:
            found[exposed.address] = replace(
                own,
                label=exposed.label or own.label,
                unit=exposed.unit or own.unit,
                low=own.low if exposed.low is None else exposed.low,
                high=own.high if exposed.high is None else exposed.high,
                exposed=exposed_id,
            )
    return found


def edited(config: SceneConfig, edits: Mapping[str, Any], known: Mapping[str, Address]) -> SceneConfig:
    """The scene's normal form with `edits` (address -> value) laid over it, checked; all or nothing.

    `known` is what `addresses` says of the same configuration.

    Raises
    ------
    UnknownAddressError, EditValueError
    """
    out = normal_form(config)
    if not edits:
        return out
    problems = [_unknown(address, known) for address in edits if address not in known]
    if problems:
        raise UnknownAddressError(*problems)
    faults: list[Problem] = []
    for address, value in sorted(edits.items()):
        fault = _fault(known[address], value)
        if fault:
            faults.append(fault)
            continue
        plain = tuple(float(v) for v in value) if isinstance(value, list | tuple) else value
        try:
            out = _with(out, address.split("/"), plain)
        except ValidationError as error:
            detail = str(error.errors(include_url=False)[0]["msg"])
            faults.append(Problem("renderer.edit_value", address, detail, value, "give a value in range"))
    if faults:
        raise EditValueError(*faults)
    return out


# --- listing --------------------------------------------------------------------------------------------------------


def _section(section: BaseModel, path: str) -> Iterator[Address]:
    for name, field in type(section).model_fields.items():
        if name in FIXED or (path == "" and name == "objects"):
            continue
        value = getattr(section, name)
        here = join(path, name)
        if isinstance(value, BaseModel):
            yield from _section(value, here)
        elif isinstance(value, dict):
            for key, entry in value.items():
                if isinstance(entry, BaseModel):
                    yield from _section(entry, join(here, key))
        else:
            entry_ = _value(name, here, field.annotation, tuple(field.metadata), value)
            if entry_ is not None:
                yield entry_


def _value(name: str, path: str, annotation: Any, metadata: tuple[Any, ...], value: Any) -> Address | None:
    annotation, metadata = _plain(annotation, metadata)
    unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
    if annotation is bool:
        return None if value is None else Address(path, "switch", value)
    if get_origin(annotation) is Literal:
        choices = tuple(v for v in get_args(annotation) if isinstance(v, str))
        return Address(path, "choice", value, choices=choices) if choices else None
    if annotation is str:
        return None if value is None else Address(path, "text", value)
    if annotation in (float, int):
        return None if value is None else Address(path, "number", value, unit, *_range(metadata))
    if get_origin(annotation) is tuple and isinstance(value, tuple):
        parts = get_args(annotation)
        inner, marks = _plain(parts[0], ())
        if inner in (float, int):
            colour = any(word in name for word in _COLOURS)
            return Address(path, "colour" if colour else "vector", value, unit, *_range(marks), size=len(value))
    return None


def _plain(annotation: Any, metadata: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """The type without `| None` and `Annotated`, and all metadata on the way."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata = (*metadata, *more)
        elif get_origin(annotation) in (Union, UnionType):
            parts = [part for part in get_args(annotation) if part is not NoneType]
            if len(parts) != 1:
                return annotation, metadata
            annotation = parts[0]
        else:
            return annotation, metadata


def _range(metadata: tuple[Any, ...]) -> tuple[float | None, float | None]:
    low: float | None = None
    high: float | None = None
    for mark in metadata:
        for piece in (mark, *getattr(mark, "metadata", ())):
            if isinstance(piece, annotated_types.Ge):
                low = float(piece.ge)  # type: ignore[arg-type]
            elif isinstance(piece, annotated_types.Gt):
                low = float(piece.gt)  # type: ignore[arg-type]
            elif isinstance(piece, annotated_types.Le):
                high = float(piece.le)  # type: ignore[arg-type]
            elif isinstance(piece, annotated_types.Lt):
                high = float(piece.lt)  # type: ignore[arg-type]
    return low, high


def _object(thing: ObjectConfig, path: str, outline: Outline | None) -> Iterator[Address]:
    inside = {"nodes", "materials", "animations", "variant", "animation"}
    yield from (e for e in _section(thing, path) if e.address[len(path) + 1 :].split("/")[0] not in inside)
    if outline is None:
        outline = Outline({}, {}, {}, ())
    if outline.variants:
        yield Address(join(path, "variant"), "choice", thing.variant, choices=outline.variants)
    if outline.animations:
        yield Address(join(path, "animation"), "choice", thing.animation, choices=(*outline.animations, "none"))
    plain_node, plain_animation = NodeConfig(), AnimationConfig()
    for name in outline.nodes or thing.nodes:
        yield from _section(thing.nodes.get(name, plain_node), join(path, "nodes", name))
    for name in outline.animations or thing.animations:
        here = join(path, "animations", name)
        entry = thing.animations.get(name, plain_animation)
        yield Address(join(here, "on"), "switch", entry.on)
        yield from _section(entry, here)
    for name, own in outline.materials.items():
        here = join(path, "materials", name)
        material = thing.materials.get(name, MaterialConfig())
        emissive = own.emissive if material.emissive is None else material.emissive
        roughness = own.roughness if material.roughness is None else material.roughness
        metallic = own.metallic if material.metallic is None else material.metallic
        yield Address(
            join(here, "base_colour"), "colour", material.base_colour or own.base_colour, "", 0.0, 1.0, size=4
        )
        yield Address(join(here, "metallic"), "number", metallic, "", 0.0, 1.0)
        yield Address(join(here, "roughness"), "number", roughness, "", 0.0, 1.0)
        yield Address(join(here, "emissive"), "colour", emissive, "", 0.0, 1_000_000.0, size=3)


def takes_preparing(address: str, before: Any, after: Any) -> bool:
    """Whether a change of a value may need programs, pictures or tables that are not there yet: such a change is made
    ready off the frame path before it holds (`renderer.passes.rehearsal`). Says yes too often rather than too rarely,
    but never of a slider that goes from one ordinary value to another."""
    if before == after:
        return False
    name = address.rpartition("/")[2]
    if isinstance(before, bool) or isinstance(after, bool):
        # What of an object is seen, cast or moved needs nothing new.
        return not address.startswith("objects/")
    if name in AIR or name == "variant":
        return True
    if name == "roughness":
        return (float(before or 0.0) >= MATT) != (float(after or 0.0) >= MATT)
    if name in ("metallic", "emissive", "sun_glow", "radius_m", "range_m"):
        return _any(before) != _any(after)
    return False


def _any(value: Any) -> bool:
    return any(value) if isinstance(value, list | tuple) else bool(value)


# --- editing --------------------------------------------------------------------------------------------------------


def _unknown(address: str, known: Mapping[str, Address]) -> Problem:
    near = difflib.get_close_matches(address, known, 1, 0.6)
    mend = f"did you mean `{near[0]}`?" if near else "take one of the scene's addresses"
    return Problem("renderer.unknown_address", address, "the scene has no such value", None, mend)


def _fault(entry: Address, value: Any) -> Problem | None:
    """What is wrong with an edit's value. None takes back what only the asset decides."""
    detail, mend = "", ""
    if value is None and (entry.kind == "choice" or entry.address.endswith("/on")):
        return None
    if entry.kind == "switch" and not isinstance(value, bool):
        detail, mend = "must be true or false", "give true or false"
    elif entry.kind == "number" and not _finite(value):
        detail, mend = "must be a finite number", "give a number"
    elif entry.kind == "choice" and value not in entry.choices:
        detail, mend = "is not one of the choices", f"use {', '.join(entry.choices)}"
    elif entry.kind == "text" and not isinstance(value, str):
        detail, mend = "must be a text", "give a text"
    elif entry.kind in ("colour", "vector"):
        good = isinstance(value, list | tuple) and len(value) == entry.size and all(_finite(v) for v in value)
        if not good:
            detail, mend = f"must be {entry.size} finite numbers", f"give {entry.size} numbers"
    return Problem("renderer.edit_value", entry.address, detail, value, mend) if detail else None


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _with(section: Any, parts: list[str], value: Any) -> Any:
    """The section (or mapping of them) with one value replaced and validated on the way up."""
    head, *rest = parts
    if isinstance(section, dict):
        return {**section, head: _with(section[head], rest, value)}
    old = getattr(section, head)
    if not rest:
        new = value
    elif isinstance(section, ObjectConfig) and head in _INSIDE:
        name, *deeper = rest
        new = {**old, name: _with(old.get(name, _INSIDE[head]()), deeper, value)}
    else:
        new = _with(old, rest, value)
    if rest:
        return section.model_copy(update={head: new})
    return type(section).model_validate({**{k: getattr(section, k) for k in section.model_fields_set}, head: new})


_INSIDE: Final[dict[str, Any]] = {"nodes": NodeConfig, "materials": MaterialConfig, "animations": AnimationConfig}
