"""Light cards, flags and chroma keys as they are sent; see `controller.api.views`."""

from __future__ import annotations

from controller.api.views import View
from controller.cards import Card
from controller.chromakeys import ChromaKey
from stage.plan import Vec3


class CardView(Card, View, frozen=True, kw_only=True):
    """A light card or a flag: what can be set of it, and where it comes to lie."""

    id: str
    rev: int
    seen_from_m: Vec3
    """The point it is seen from: `from_m`, or the eye point."""
    distance_m: float | None
    """From there to where its middle meets a wall; null: it meets none."""
    shown_deg: tuple[float, float]
    """Width and height as they are shown, whichever way they are told."""


class ChromaKeyView(ChromaKey, View, frozen=True, kw_only=True):
    """A chroma key."""

    id: str
    rev: int
