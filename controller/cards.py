"""Light cards and flags of the show: what an operator sets of one, its addresses, and what plans have of it. Pure.

`cards/<id>` holds a whole card (null takes it away), `cards/<id>/pan_deg` one value of it, which may move over time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_type_hints

from msgspec import Meta, Struct

from stage.plan import Vec3
from stage.plan_cards import MOST_CORNERS, CardGradient, CardKind, CardShape, PlanCard

if TYPE_CHECKING:
    from stage.wall_rays import WallRays

_Metre = Annotated[float, Meta(ge=-1000.0, le=1000.0)]
_Share = Annotated[float, Meta(ge=0.0, le=1.0)]
_Side = Annotated[float, Meta(ge=-1.0, le=1.0)]

FEWEST_CORNERS: Final = 3
MOST_DEG: Final = 170.0


def _says(about: str) -> Meta:
    return Meta(description=about)


class Card(Struct, frozen=True, forbid_unknown_fields=True):
    """A light card or a flag on the walls: a flat shape, seen square from one point of the stage."""

    label: Annotated[str, Meta(max_length=80), _says("What operators call it.")] = ""
    kind: Annotated[CardKind, _says("light: covers what lies beneath; flag: darkens it by `exposure_ev`.")] = "light"
    visible: Annotated[bool, _says("Whether it is on the walls.")] = True
    rank: Annotated[int, Meta(ge=0, le=999), _says("A higher rank covers a lower one.")] = 0
    shape: Annotated[CardShape, _says("Seen from its point.")] = "rectangle"
    corners: Annotated[
        list[tuple[_Side, _Side]],
        Meta(max_length=MOST_CORNERS),
        _says("Of a polygon, in order: x right, y up, -1 to 1 from edge to edge; three at least."),
    ] = []
    from_m: Annotated[
        tuple[_Metre, _Metre, _Metre] | None, _says("The point it is seen from; null: the eye point, wherever that is.")
    ] = None
    pan_deg: Annotated[float, Meta(ge=-360.0, le=360.0), _says("Where its middle is seen, + = left.")] = 0.0
    tilt_deg: Annotated[float, Meta(ge=-90.0, le=90.0), _says("Where its middle is seen, + = up.")] = 0.0
    spin_deg: Annotated[float, Meta(ge=-360.0, le=360.0), _says("Clockwise as seen.")] = 0.0
    size_in: Annotated[Literal["deg", "m"], _says("deg: its size is an angle; m: metres at the wall.")] = "deg"
    width_deg: Annotated[float, Meta(ge=0.05, le=MOST_DEG), _says("Through its middle.")] = 20.0
    height_deg: Annotated[float, Meta(ge=0.05, le=MOST_DEG), _says("Through its middle.")] = 10.0
    width_m: Annotated[float, Meta(ge=0.005, le=200.0), _says("Held square where its middle meets the wall.")] = 2.0
    height_m: Annotated[float, Meta(ge=0.005, le=200.0), _says("Held square where its middle meets the wall.")] = 1.0
    feather: Annotated[_Share, _says("Share of the way from edge to middle over which it fades in; 0: sharp.")] = 0.0
    nits: Annotated[float, Meta(ge=0.0, le=10_000.0), _says("Luminance of a light.")] = 100.0
    exposure_ev: Annotated[
        float, Meta(ge=-20.0, le=20.0), _says("Stops on top; of a flag: what lies beneath changes by so many stops.")
    ] = 0.0
    temperature_k: Annotated[float, Meta(ge=1700.0, le=25_000.0), _says("6504: the walls' own white.")] = 6504.0
    tint: Annotated[_Side, _says("+ greener, - more magenta; 1 is 0.02 Duv.")] = 0.0
    colour: Annotated[tuple[_Share, _Share, _Share], _says("Linear Rec.709, multiplied into the light.")] = (
        1.0, 1.0, 1.0,
    )  # fmt: skip
    opacity: Annotated[_Share, _says("Of light and of flag.")] = 1.0
    gradient: Annotated[CardGradient, _says("linear: from one side to the other; radial: from the middle.")] = "none"
    gradient_deg: Annotated[
        float, Meta(ge=-360.0, le=360.0), _says("Where a linear one goes: 0 to the top, 90 to the right.")
    ] = 0.0
    gradient_ev: Annotated[float, Meta(ge=-20.0, le=20.0), _says("Stops by which the end differs.")] = -4.0
    walls: Annotated[list[str], Meta(max_length=64), _says("Walls it lies on; empty: all.")] = []
    in_camera: Annotated[
        list[str], Meta(max_length=64), _says("Cameras whose shot it shows in, too; else their inner covers it.")
    ] = []


CARD_FIELDS: Final[dict[str, Any]] = {
    name: kind for name, kind in get_type_hints(Card, include_extras=True).items() if not name.startswith("__")
}
"""The type of every value of a card, with its limits and what it means."""
MOVING: Final = (
    "pan_deg", "tilt_deg", "spin_deg", "width_deg", "height_deg", "width_m", "height_m", "feather", "nits",
    "exposure_ev", "temperature_k", "tint", "colour", "opacity", "gradient_deg", "gradient_ev",
)  # fmt: skip
"""Values that may move over time."""


def card_fault(card: Card, *, walls: Collection[str], cameras: Collection[str]) -> tuple[str, str, Any, str] | None:
    """What is wrong with a card besides the limits of its values: field, detail, value, mend; None when nothing is."""
    if card.shape == "polygon" and len(card.corners) < FEWEST_CORNERS:
        return "corners", "a polygon needs three corners at least", card.corners, "[[-1, -1], [1, -1], [0, 1]]"
    for name, known, wanted in (("walls", walls, card.walls), ("in_camera", cameras, card.in_camera)):
        for one in wanted:
            if one not in known:
                what = "wall" if name == "walls" else "camera"
                return name, f"no {what} of this show", one, f"use of {', '.join(sorted(known)) or '(none)'}"
    return None


def planned_cards(
    cards: Mapping[str, Card], rays: WallRays, eye_m: Vec3, *, walls: Collection[str], cameras: Collection[str]
) -> list[PlanCard]:
    """What plans have of the cards that are seen, from the undermost on. `walls` and `cameras` are those of the stage:
    others, of another configuration, are left out."""
    seen = sorted((card.rank, name) for name, card in cards.items() if card.visible and card.opacity > 0.0)
    found = []
    for _, name in seen:
        card = cards[name]
        if card.walls and not set(card.walls) & set(walls):
            continue
        width_deg, height_deg = shown_size_deg(card, rays, eye_m)
        found.append(
            PlanCard(
                id=name,
                kind=card.kind,
                shape=card.shape,
                from_m=card.from_m or eye_m,
                pan_deg=card.pan_deg,
                tilt_deg=card.tilt_deg,
                spin_deg=card.spin_deg,
                width_deg=width_deg,
                height_deg=height_deg,
                light=light_of(card),
                opacity=card.opacity,
                feather=card.feather,
                gradient=card.gradient,
                gradient_deg=card.gradient_deg,
                gradient_ev=card.gradient_ev if card.gradient != "none" else 0.0,
                corners=card.corners if card.shape == "polygon" else [],
                walls=card.walls,
                in_camera=[camera for camera in card.in_camera if camera in cameras],
            )
        )
    return found


def shown_size_deg(card: Card, rays: WallRays, eye_m: Vec3) -> tuple[float, float]:
    """Width and height of a card as angles. One in metres whose middle meets no wall is as large as its angles say."""
    import numpy as np

    if card.size_in == "m":
        distance_m = distance_to_wall_m(card, rays, eye_m)
        if distance_m is not None:
            width_deg, height_deg = np.degrees(2.0 * np.arctan2([card.width_m, card.height_m], 2.0 * distance_m))
            return min(MOST_DEG, float(width_deg)), min(MOST_DEG, float(height_deg))
    return card.width_deg, card.height_deg


def distance_to_wall_m(card: Card, rays: WallRays, eye_m: Vec3) -> float | None:
    """From a card's point to where its middle meets a wall; None: it meets none."""
    from stage.frames import rotation_from_pan_tilt_roll

    ahead = rotation_from_pan_tilt_roll(card.pan_deg, card.tilt_deg, 0.0)[:, 1]
    return rays.distance_m(card.from_m or eye_m, ahead, card.walls)


def light_of(card: Card) -> Vec3:
    """Linear ACEScg of a light (1.0 = 100 nit); of a flag the factor, alike for all colours."""
    import numpy as np

    from renderer.colour.light import light_colour
    from renderer.working import AP1_FROM_REC709

    if card.kind == "flag":
        factor = 2.0**card.exposure_ev
        return factor, factor, factor
    level = card.nits / 100.0 * 2.0**card.exposure_ev
    light = light_colour(card.temperature_k, card.tint) * level
    if card.colour != (1.0, 1.0, 1.0):
        light = AP1_FROM_REC709 @ (np.linalg.solve(AP1_FROM_REC709, light) * np.array(card.colour))
    red, green, blue = (max(0.0, float(value)) for value in light)
    return red, green, blue
