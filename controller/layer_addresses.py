"""Addresses of what lies over the picture: light cards, flags and chroma keys, made and taken away while the show runs.

`cards/key_light` is the whole card (null: none), `cards/key_light/pan_deg` one value of it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec

from controller.address import Address, bad_value, unknown_address
from controller.cards import CARD_FIELDS, Card, card_fault
from controller.chromakeys import KEY_FIELDS, ChromaKey, key_fault
from controller.show import Show
from controller.surroundings import Surroundings
from controller.transitions import taken_over_below
from stage.plan_cards import MOST_CARDS

Fault = tuple[str, str, Any, str]
_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
MOST_KEYS: Final = 16


@dataclass(frozen=True, slots=True)
class Layer:
    """One kind of thing: the field of the show that holds them, what one is, how many there may be at most."""

    name: str
    kind: type[Card | ChromaKey]
    fields: Mapping[str, Any]
    most: int
    called: str
    fault: Callable[[Any, Surroundings], Fault | None]

    def held(self, show: Show) -> dict[str, Any]:
        """All of them by id."""
        found: dict[str, Any] = getattr(show, self.name)
        return found

    def whole(self, name: str) -> Address:
        """The address of a whole one."""

        def write(show: Show, name: str, value: Any, around: Surroundings) -> Show:
            held = self.held(show)
            if value is None:
                left = {other: one for other, one in held.items() if other != name}
                return taken_over_below(msgspec.structs.replace(show, **{self.name: left}), f"{self.name}/{name}/")
            if not _ID.fullmatch(name):
                raise bad_value(f"{self.name}/{name}", "no id", name, "small letters, digits and _, a letter first")
            if name not in held and len(held) >= self.most:
                raise bad_value(f"{self.name}/{name}", f"there are {self.most} already", name, "take one away")
            show = taken_over_below(show, f"{self.name}/{name}/")
            return self._with(show, name, value, around)

        about = f"A whole {self.called}; null takes it away."
        return Address(
            f"{self.name}/{name}", "", self.kind | None, about, lambda show, one: self.held(show).get(one), write
        )

    def field(self, name: str, field: str) -> Address:
        """The address of one value."""

        def write(show: Show, name: str, value: Any, around: Surroundings) -> Show:
            return self._with(show, name, msgspec.structs.replace(self._one(show, name), **{field: value}), around)

        def read(show: Show, name: str) -> Any:
            # An undo may name a value of what it brings back before: then it holds nothing yet.
            return getattr(self.held(show).get(name), field, None)

        kind = _plain(self.fields[field])
        base = 0.0 if msgspec.inspect.type_info(kind).__class__.__name__ == "FloatType" else None
        return Address(f"{self.name}/{name}/{field}", "", kind, about_of(self.fields[field]), read, write, base)

    def _one(self, show: Show, name: str) -> Any:
        one = self.held(show).get(name)
        if one is None:
            known = ", ".join(sorted(self.held(show))) or "(none)"
            raise unknown_address(f"{self.name}/{name}", f"there is no {self.called} {name!r}", f"use one of {known}")
        return one

    def _with(self, show: Show, name: str, value: Any, around: Surroundings) -> Show:
        fault = self.fault(value, around)
        if fault is not None:
            field, detail, wrong, mend = fault
            raise bad_value(f"{self.name}/{name}/{field}", detail, wrong, mend)
        return msgspec.structs.replace(show, **{self.name: {**self.held(show), name: value}})


CARDS: Final = Layer(
    "cards", Card, CARD_FIELDS, MOST_CARDS, "card",
    lambda card, around: card_fault(card, walls=around.walls, cameras=around.cameras),
)  # fmt: skip
KEYS: Final = Layer(
    "chromakeys", ChromaKey, KEY_FIELDS, MOST_KEYS, "key", lambda key, around: key_fault(key, cameras=around.cameras)
)
LAYERS: Final[dict[str, Layer]] = {"cards": CARDS, "chromakeys": KEYS}


def layer_address(parts: list[str]) -> Address | None:
    """The address of `cards/<id>[/<value>]` or `chromakeys/...`; None: it is none of them."""
    layer = LAYERS.get(parts[0])
    if layer is None or len(parts) not in (2, 3):
        return None
    if len(parts) == 2:
        return layer.whole(parts[1])
    return layer.field(parts[1], parts[2]) if parts[2] in layer.fields else None


def layer_rows() -> list[Address]:
    """Rows for people: what can be changed of each, `{}` for its id."""
    return [
        row
        for layer in LAYERS.values()
        for row in (layer.whole("{}"), *(layer.field("{}", name) for name in layer.fields))
    ]


def settled_layers(show: Show, walls: Collection[str], cameras: Collection[str]) -> Show:
    """A show with cards and keys that fit another configuration: what is not there any more is left out of them."""
    cards = {}
    for name, card in show.cards.items():
        left = [wall for wall in card.walls if wall in walls]
        if left or not card.walls:
            seen = [camera for camera in card.in_camera if camera in cameras]
            cards[name] = msgspec.structs.replace(card, walls=left, in_camera=seen)
    keys = {name: key for name, key in show.chromakeys.items() if key.camera in cameras}
    return msgspec.structs.replace(show, cards=cards, chromakeys=keys)


def is_whole(path: str) -> bool:
    """Whether an address is that of a whole thing: set before single values of it."""
    parts = path.split("/")
    return len(parts) == 2 and parts[0] in LAYERS


def orphans(changes: Mapping[str, Any], befores: Callable[[str], Any]) -> set[str]:
    """Addresses among changes whose whole thing was not there before: undoing takes that away."""
    return {
        path
        for path in changes
        if (parts := path.split("/"))[0] in LAYERS
        and len(parts) == 3
        and (whole := "/".join(parts[:2])) in changes
        and befores(whole) is None
    }


def about_of(kind: Any) -> str:
    """The sentence that a type's description says."""
    notes = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((note.description for note in notes if isinstance(note, msgspec.Meta) and note.description), "")


def _plain(kind: Any) -> Any:
    """A type with its limits, without its description: what values are converted to, and steps are added to."""
    if get_origin(kind) is not Annotated:
        return kind
    plain, *notes = get_args(kind)
    for note in notes:
        if not note.description:
            plain = Annotated[plain, note]
    return plain
