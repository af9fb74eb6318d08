"""Looks and grades as they are sent; see `controller.api.views`."""

from __future__ import annotations

from typing import Any

from controller.api.views import View


class GradeView(View, frozen=True):
    """All values of a layer's grade; colours are red, green, blue of linear ACEScg."""

    exposure_ev: float
    temperature_k: float
    tint: float
    cdl_slope: tuple[float, float, float]
    cdl_offset: tuple[float, float, float]
    cdl_power: tuple[float, float, float]
    cdl_saturation: float
    contrast: float
    lift: tuple[float, float, float]
    gamma: tuple[float, float, float]
    gain: tuple[float, float, float]
    saturation: float


class GradeFieldView(View, frozen=True):
    """What one value of a grade may be."""

    field: str
    about: str
    low: float
    high: float
    neutral: float
    """Of each of its numbers."""
    size: int
    """1, or 3: red, green, blue."""


class GradeFieldsView(View, frozen=True):
    """What the values of a grade may be."""

    fields: list[GradeFieldView]


class LookNowView(View, frozen=True):
    """How the walls are graded now."""

    rev: int
    look: str
    """The look that was put on last; empty: none."""
    modified: bool
    """Whether anything it says is otherwise now."""
    layers: dict[str, GradeView]
    """Every layer: `outer`, `inner`, `cameras/<id>`, `walls/<id>`. An inner frustum has the grade of `inner`, its
    camera's and its wall's together, all else that of `outer` and its wall's."""
    moving: list[str]
    """Addresses of grades and light that are on their way; what is told of them is where they end."""


class LookView(View, frozen=True):
    """A stored look."""

    id: str
    rev: int
    label: str
    notes: str
    active: bool
    """Whether it was put on last."""
    grades: dict[str, GradeView]
    """By layer; layers it does not name stay as they are when it is put on."""
    scenes: dict[str, dict[str, Any]]
    """By scene: edits of its light, by address below the scene; light not named is as configured when it is put on."""


class LooksView(View, frozen=True):
    """Every stored look by id."""

    rev: int
    look: str
    """The look that was put on last; empty: none."""
    looks: dict[str, LookView]


class LookValueView(View, frozen=True):
    """What two looks say of one address; null: nothing, or as configured."""

    before: Any
    after: Any


class LookDiffView(View, frozen=True):
    """What is otherwise in one look than in another, or than now."""

    look: str
    other: str
    """Empty: how it stands now."""
    changes: dict[str, LookValueView]
    """By address of the show: what `other` says, and what `look` does."""
