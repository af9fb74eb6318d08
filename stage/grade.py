"""Grades: how the light of a layer of the walls is bent before layers are put together. Pure numbers, no pictures.

A grade is a set of independent, named values; one that is nowhere set is neutral and costs nothing. What they mean in
light is `renderer.colour.grade`. Layers of a wall are named as everywhere: `outer`, `inner` (every inner frustum),
`cameras/<id>` (the inner frustum of one) and `walls/<id>` (whatever that wall shows of either).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

NEUTRAL_K: Final = 6000.0
"""Temperature at which the white of the working space (ACES, about daylight of 6,000 K) stays as it is."""

_Factor = Annotated[float, Meta(ge=0.0, le=100.0)]
_Shift = Annotated[float, Meta(ge=-10.0, le=10.0)]
_Exponent = Annotated[float, Meta(ge=0.05, le=20.0)]
Factors = tuple[_Factor, _Factor, _Factor]
Shifts = tuple[_Shift, _Shift, _Shift]
Exponents = tuple[_Exponent, _Exponent, _Exponent]

ONES: Final = (1.0, 1.0, 1.0)
ZEROS: Final = (0.0, 0.0, 0.0)


class Grade(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is done to light, in this order: exposure and white, CDL, contrast, lift/gamma/gain, saturation. Colours
    are red, green, blue of linear ACEScg; 1.0 is 100 nit."""

    exposure_ev: Annotated[float, Meta(ge=-20.0, le=20.0)] = 0.0
    """Stops."""
    temperature_k: Annotated[float, Meta(ge=1667.0, le=25000.0)] = NEUTRAL_K
    """What was white comes to the white of this temperature, as bright as before: fewer kelvin are warmer."""
    tint: Annotated[float, Meta(ge=-100.0, le=100.0)] = 0.0
    """+ makes that white more magenta, - greener; 100 is 0.03 off the curve of black bodies (CIE 1960 uv)."""
    cdl_slope: Factors = ONES
    """ASC CDL, on linear light: `(x * slope + offset) ** power`, negative values past the power as they are."""
    cdl_offset: Shifts = ZEROS
    cdl_power: Exponents = ONES
    cdl_saturation: _Factor = 1.0
    """Of the CDL: about the Rec.709 luma its standard names."""
    contrast: Annotated[float, Meta(ge=0.05, le=20.0)] = 1.0
    """Slope in logarithm about mid grey, 0.18."""
    lift: Shifts = ZEROS
    """What black comes to; 1.0 stays where gain puts it."""
    gamma: Exponents = ONES
    """`x ** (1 / gamma)` after lift and gain: more is brighter between black and 1.0."""
    gain: Factors = ONES
    """What 1.0 comes to; black stays where lift puts it."""
    saturation: _Factor = 1.0
    """About the luminance of ACEScg; 0 is grey."""


NEUTRAL: Final = Grade()
FIELDS: Final[tuple[str, ...]] = Grade.__struct_fields__
_ADDED: Final = frozenset({"exposure_ev", "tint", "cdl_offset", "lift"})
"""Fields that add up where grades are laid over each other; all others multiply, and temperatures as told below."""


def blended(before: Grade, after: Grade, share: float) -> Grade:
    """A grade on its way from one to another, value by value; exact at both ends. A temperature goes evenly in
    reciprocal kelvin, as it looks."""
    if share <= 0.0:
        return before
    if share >= 1.0 or before == after:
        return after
    values = {name: _between(name, getattr(before, name), getattr(after, name), share) for name in FIELDS}
    return msgspec.structs.replace(after, **values)


def kelvin_between(before_k: float, after_k: float, share: float) -> float:
    """A temperature between two, even in reciprocal kelvin."""
    return before_k if before_k == after_k else 1.0 / ((1.0 - share) / before_k + share / after_k)


def stacked(grades: Iterable[Grade]) -> Grade:
    """Grades laid over each other: stops and shifts add up, factors and exponents multiply, whites move by the sum of
    their distances from neutral. The order does not matter, and what is neutral changes nothing."""
    out = NEUTRAL
    for grade in grades:
        if grade == NEUTRAL:
            continue
        if out == NEUTRAL:
            out = grade
            continue
        values = {name: _over(name, getattr(out, name), getattr(grade, name)) for name in FIELDS}
        out = msgspec.structs.replace(out, **values)
    return out


def _between(name: str, before: float | Sequence[float], after: float | Sequence[float], share: float) -> object:
    if before == after:
        return before
    if name == "temperature_k":
        assert isinstance(before, float | int)
        assert isinstance(after, float | int)
        return kelvin_between(before, after, share)
    if isinstance(before, Sequence):
        assert isinstance(after, Sequence)
        return tuple(b + (a - b) * share for b, a in zip(before, after, strict=True))
    assert not isinstance(after, Sequence)
    return before + (after - before) * share


def _over(name: str, one: float | Sequence[float], other: float | Sequence[float]) -> object:
    if name == "temperature_k":
        assert isinstance(one, float | int)
        assert isinstance(other, float | int)
        # Both whites may be far on one side: there is no white beyond what a grade may name.
        reciprocal = 1.0 / one + 1.0 / other - 1.0 / NEUTRAL_K
        return min(25000.0, max(1667.0, 1.0 / reciprocal if reciprocal > 0.0 else 25000.0))
    if isinstance(one, Sequence):
        assert isinstance(other, Sequence)
        pairs = list(zip(one, other, strict=True))
        return tuple(a + b for a, b in pairs) if name in _ADDED else tuple(a * b for a, b in pairs)
    assert not isinstance(other, Sequence)
    return one + other if name in _ADDED else one * other
