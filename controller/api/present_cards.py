"""Cards and chroma keys as the desk has them, made into their views."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from controller.api.views_cards import CardView, ChromaKeyView
from controller.cards import Card, distance_to_wall_m, shown_size_deg
from controller.desk import Desk
from stage.compiled import CompiledStage
from stage.plan import Vec3
from stage.wall_rays import WallRays

_Place = tuple[float | None, tuple[float, float]]


@dataclass(slots=True)
class CardPlaces:
    """Where cards come to lie; each is worked out once, until it, the eye point or the walls change."""

    _stage: CompiledStage | None = None
    _rays: WallRays | None = None
    _known: dict[str, tuple[Card, Vec3, _Place]] = field(default_factory=dict)

    def place(self, stage: CompiledStage, name: str, card: Card, eye_m: Vec3) -> _Place:
        """A card's distance to the wall, and its size as angles."""
        if self._rays is None or self._stage is not stage:
            self._stage, self._rays = stage, WallRays(stage)
            self._known.clear()
        known = self._known.get(name)
        if known is None or known[0] is not card or known[1] != eye_m:
            place = distance_to_wall_m(card, self._rays, eye_m), shown_size_deg(card, self._rays, eye_m)
            known = self._known[name] = card, eye_m, place
        return known[2]


_PLACES = CardPlaces()


def cards(desk: Desk, places: CardPlaces = _PLACES) -> dict[str, CardView]:
    """Every card, by id."""
    show, found = desk.show, {}
    for name, card in show.cards.items():
        distance_m, shown_deg = places.place(desk.stage, name, card, show.eye_m)
        found[name] = CardView(
            id=name,
            rev=desk.rev_of(f"cards/{name}"),
            seen_from_m=card.from_m or show.eye_m,
            distance_m=distance_m,
            shown_deg=shown_deg,
            **msgspec.structs.asdict(card),
        )
    return found


def chromakeys(desk: Desk) -> dict[str, ChromaKeyView]:
    """Every chroma key, by id."""
    return {
        name: ChromaKeyView(id=name, rev=desk.rev_of(f"chromakeys/{name}"), **msgspec.structs.asdict(key))
        for name, key in desk.show.chromakeys.items()
    }
