"""Light cards, flags and keys as a frame plan has them: what lies over the outer picture and over the cameras' own."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

CardKind = Literal["light", "flag"]
CardShape = Literal["rectangle", "ellipse", "polygon"]
CardGradient = Literal["none", "linear", "radial"]
KeyMarkers = Literal["none", "crosses", "dots", "triangles", "grid"]
MarkerSpace = Literal["camera", "stage"]

MOST_CARDS = 32
"""Cards one plan may have."""
MOST_CORNERS = 12
"""Corners a polygon may have."""

_Numbers3 = tuple[float, float, float]


class PlanCard(Struct, frozen=True, forbid_unknown_fields=True):
    """A card on the walls, seen from one point of the stage as a flat shape square to the view of its middle.

    Its own axes are x to the right and y up, -1 to 1 from edge to edge. Plans list cards from the undermost on.
    """

    id: str
    kind: CardKind
    """light: it covers what lies beneath; flag: what lies beneath is multiplied by its `light`."""
    shape: CardShape
    from_m: _Numbers3
    """The point it is seen from, stage frame."""
    pan_deg: float
    """Where its middle is seen, + = left,"""
    tilt_deg: float
    """+ = up."""
    spin_deg: float
    """Clockwise as seen."""
    width_deg: float
    """Angle between its left and right edges through its middle."""
    height_deg: float
    light: _Numbers3
    """Linear ACEScg where a gradient begins, 1.0 = 100 nit; of a flag: the factor."""
    opacity: float = 1.0
    feather: float = 0.0
    """Share of the way from its edge to its middle (of the shorter side) over which it fades in; 0: a sharp edge."""
    gradient: CardGradient = "none"
    gradient_deg: float = 0.0
    """Where a linear gradient goes: 0 to its top, 90 to its right."""
    gradient_ev: float = 0.0
    """Stops by which `light` differs at the gradient's end."""
    corners: list[tuple[float, float]] = []
    """Of a polygon, in its own axes."""
    walls: list[str] = []
    """Walls it lies on; empty: all."""
    in_camera: list[str] = []
    """Cameras whose inner pictures it lies on, too."""


class PlanKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A plain colour over what one camera sees, with its markers; nothing of the picture's colour touches it."""

    id: str
    camera: str
    """Its pose, pupil and walls are those of the plan's camera."""
    tangents: tuple[float, float, float, float]
    """Left, right, bottom, top over forward: what it covers, seen from the pupil along the camera's axes."""
    nits: _Numbers3
    """Red, green and blue of the canvas' own primaries, each as in a white of so many nits."""
    codes: tuple[int, int, int] | None = None
    """In place of `nits`: the codes themselves, of 10 bits (a canvas of 8 shows the upper eight)."""
    markers: KeyMarkers = "none"
    marker_space: MarkerSpace = "camera"
    """camera: they stay in the picture's frame; stage: they stay where they are on the wall."""
    marker_size: float = 0.0
    """Of a marker: tangent of the camera, or metres on the wall."""
    marker_spacing: float = 1.0
    """From marker to marker, alike."""
    marker_line: float = 0.15
    """Thickness of lines, share of the size."""
    marker_nits: _Numbers3 = (0.0, 0.0, 0.0)
    marker_codes: tuple[int, int, int] | None = None
