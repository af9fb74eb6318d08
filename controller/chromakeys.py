"""Chroma keys of the show: a plain colour inside a camera's frustum, with its tracking markers. Pure.

`chromakeys/<id>` holds a whole key (null takes it away), `chromakeys/<id>/nits` one value of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal, get_type_hints

from msgspec import Meta, Struct

from stage.plan import PlanCamera, PlanLens
from stage.plan_cards import KeyMarkers, MarkerSpace, PlanKey

_Code = Annotated[int, Meta(ge=0, le=1023)]
_Light = Annotated[float, Meta(ge=0.0, le=10_000.0)]
_Degrees = Annotated[float, Meta(ge=0.05, le=60.0)]


def _says(about: str) -> Meta:
    return Meta(description=about)


class ChromaKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A key over what one camera sees. It bypasses exposure, looks and roll-off, and has no dither."""

    camera: Annotated[str, _says("Whose frustum it fills, while its inner is on the walls.")]
    label: Annotated[str, Meta(max_length=80), _says("What operators call it.")] = ""
    visible: Annotated[bool, _says("Whether it is on the walls.")] = True
    area: Annotated[Literal["inner", "frame"], _says("inner: with all its overscan; frame: what the lens sees.")] = (
        "inner"
    )
    margin_deg: Annotated[float, Meta(ge=-30.0, le=30.0), _says("Added all round; negative: taken away.")] = 0.0
    colour: Annotated[Literal["green", "blue", "custom"], _says("custom: as `custom_nits`.")] = "green"
    nits: Annotated[_Light, _says("Of green or blue: what that LED colour adds to white of so many nits.")] = 100.0
    custom_nits: Annotated[
        tuple[_Light, _Light, _Light], _says("Red, green, blue LEDs, each as in white of so many nits.")
    ] = (0.0, 100.0, 0.0)
    codes: Annotated[
        tuple[_Code, _Code, _Code] | None, _says("10-bit codes exactly as the processor gets them, in place of nits.")
    ] = None
    markers: Annotated[KeyMarkers, _says("Drawn on the key.")] = "none"
    marker_space: Annotated[MarkerSpace, _says("camera: they move with the frame; stage: they stay on the wall.")] = (
        "stage"
    )
    marker_size_deg: Annotated[_Degrees, _says("In camera space, in the middle of the frame.")] = 1.0
    marker_spacing_deg: Annotated[_Degrees, _says("In camera space, in the middle of the frame.")] = 8.0
    marker_size_m: Annotated[float, Meta(ge=0.005, le=5.0), _says("In stage space.")] = 0.1
    marker_spacing_m: Annotated[float, Meta(ge=0.02, le=20.0), _says("In stage space.")] = 0.5
    marker_line: Annotated[float, Meta(ge=0.02, le=1.0), _says("Thickness of lines, share of the size.")] = 0.2
    marker_nits: Annotated[tuple[_Light, _Light, _Light], _says("As `custom_nits`.")] = (0.0, 30.0, 0.0)
    marker_codes: Annotated[tuple[_Code, _Code, _Code] | None, _says("As `codes`; where `codes` are told.")] = None


KEY_FIELDS: Final[dict[str, Any]] = {
    name: kind for name, kind in get_type_hints(ChromaKey, include_extras=True).items() if not name.startswith("__")
}
"""The type of every value of a key, with its limits and what it means."""
MOVING: Final = (
    "margin_deg", "nits", "custom_nits", "marker_size_deg", "marker_spacing_deg", "marker_size_m", "marker_spacing_m",
    "marker_line", "marker_nits",
)  # fmt: skip
"""Values that may move over time."""


def key_fault(key: ChromaKey, *, cameras: Collection[str]) -> tuple[str, str, Any, str] | None:
    """What is wrong with a key besides the limits of its values: field, detail, value, mend; None when nothing is."""
    if key.camera not in cameras:
        return "camera", "no camera of this show", key.camera, f"use one of {', '.join(sorted(cameras)) or '(none)'}"
    return None


def planned_keys(keys: Mapping[str, ChromaKey], cameras: Collection[PlanCamera]) -> list[PlanKey] | None:
    """What plans have of the keys that are seen; None without any."""
    by_id = {camera.id: camera for camera in cameras}
    found = [
        _planned(name, key, by_id[key.camera])
        for name, key in sorted(keys.items())
        if key.visible and key.camera in by_id
    ]
    return found or None


def _planned(name: str, key: ChromaKey, camera: PlanCamera) -> PlanKey:
    in_camera = key.marker_space == "camera"
    size = math.tan(math.radians(key.marker_size_deg)) if in_camera else key.marker_size_m
    spacing = math.tan(math.radians(key.marker_spacing_deg)) if in_camera else key.marker_spacing_m
    light = {"green": (0.0, key.nits, 0.0), "blue": (0.0, 0.0, key.nits)}.get(key.colour, key.custom_nits)
    return PlanKey(
        id=name,
        camera=key.camera,
        tangents=_tangents(camera.lens, camera.overscan_deg, key.area, key.margin_deg),
        nits=light,
        codes=key.codes,
        markers=key.markers,
        marker_space=key.marker_space,
        marker_size=size,
        marker_spacing=spacing,
        marker_line=key.marker_line,
        marker_nits=key.marker_nits,
        marker_codes=key.marker_codes if key.codes is not None else None,
    )


def _tangents(
    lens: PlanLens, overscan_deg: tuple[float, float, float, float], area: str, margin_deg: float
) -> tuple[float, float, float, float]:
    """What a key covers: the inner picture, or what the lens sees, with a margin as angles."""
    import numpy as np

    from stage.lens import lens_cover_deg
    from stage.projection import overscan_tangents

    sides = np.array(overscan_deg if area == "inner" else lens_cover_deg(lens)) + margin_deg
    left, right, bottom, top = overscan_tangents(lens, (sides[0], sides[1], sides[2], sides[3]))
    return float(left), float(right), float(bottom), float(top)
