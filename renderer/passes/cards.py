"""Cards and flags for the wall pass: their numbers for the shader, and which items of wall each may touch.

Items that no card touches are drawn by programs that know nothing of cards; the others evaluate those that touch them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.canvas_mesh import CanvasMesh, Part
from stage.frames import Array, rotation_from_pan_tilt_roll
from stage.plan_cards import MOST_CARDS, MOST_CORNERS, CardShape, PlanCard

BINDING: Final = 1
"""Of the uniform block."""
_SHAPES: Final[dict[CardShape, int]] = {"rectangle": 0, "ellipse": 1, "polygon": 2}
_CARD: Final = np.dtype(
    [(name, "<f4", 4) for name in ("across", "up", "ahead", "light", "edge", "fade")] + [("what", "<i4", 4)]
)
_BLOCK_BYTES: Final = MOST_CARDS * (_CARD.itemsize + MOST_CORNERS // 2 * 16)
_MARGIN: Final = 0.01
"""A sharp edge is half an LED wide outside the card: items that lie this near (a tangent) count as touched."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A card's axes: of a stage point d metres from `from_m`, `across @ d / (ahead @ d)` is -1 to 1 from edge to edge.

    `across`, `up` [3] in half sizes, `ahead` [3] the way to its middle; `tangents` half width and half height.
    """

    from_m: Array
    across: Array
    up: Array
    ahead: Array
    tangents: tuple[float, float]

    @classmethod
    def of(cls, card: PlanCard) -> Seen:
        """Of a plan's card."""
        axes = rotation_from_pan_tilt_roll(card.pan_deg, card.tilt_deg, card.spin_deg)
        half = np.tan(np.radians([card.width_deg, card.height_deg]) / 2.0)
        return cls(
            np.array(card.from_m, dtype=np.float64),
            axes[:, 0] / half[0],
            axes[:, 2] / half[1],
            axes[:, 1],
            (float(half[0]), float(half[1])),
        )

    def may_touch(self, points_m: Array) -> NDArray[np.bool_]:
        """Whether hulls, [k, c, 3] stage points, may reach into the card's rectangle, [k]: False only where none
        does."""
        d = points_m - self.from_m
        x, y, z = d @ self.across, d @ self.up, d @ self.ahead
        wide, high = (1.0 + _MARGIN / half for half in self.tangents)
        out = (
            np.all(z <= 0.0, axis=1)
            | np.all(x < -wide * z, axis=1)
            | np.all(x > wide * z, axis=1)
            | np.all(y < -high * z, axis=1)
            | np.all(y > high * z, axis=1)
        )
        return np.asarray(~out)


def facing(part: Part, from_m: Array, origin_m: Array) -> NDArray[np.bool_]:
    """Whether any of an item's lit side is turned to a point, [k]."""
    if part.kind == "cabinets":
        return np.asarray(np.sum(part.item_normal * (from_m - part.points_m[:, 0]), axis=1) > 0.0)
    turned = np.sum(part.normal * (from_m - origin_m - part.position_m), axis=1) > 0.0
    found = np.zeros(part.items, dtype=bool)
    np.logical_or.at(found, part.triangle_item, turned[part.triangles].any(axis=1))
    return found


class CardSheet:
    """The cards of a plan on the GPU, and the items they touch; worked out again only when they change."""

    def __init__(self, ctx: moderngl.Context) -> None:
        self._buffer = ctx.buffer(reserve=_BLOCK_BYTES, dynamic=True)
        self.cards: tuple[PlanCard, ...] = ()
        self._seen: list[Seen] = []
        self._touched: dict[tuple[int, int], tuple[Part, NDArray[np.int64]]] = {}
        self._origin_m: Array | None = None

    def put(self, cards: list[PlanCard], origin_m: Array) -> None:
        """Take the cards of a plan; `origin_m`, [3], is what positions on the walls count from."""
        same = self._origin_m is not None and bool(np.array_equal(self._origin_m, origin_m))
        if same and self.cards == tuple(cards):
            return
        self.cards, self._origin_m = tuple(cards), np.array(origin_m)
        self._seen = [Seen.of(card) for card in cards]
        self._touched.clear()
        if cards:
            self._buffer.write(block_of(cards, self._seen, origin_m))

    def bind(self) -> None:
        """Make the block the one programs read."""
        self._buffer.bind_to_uniform_block(BINDING)

    def touched(self, mesh: CanvasMesh, index: int) -> NDArray[np.int64]:
        """Of part `index` of a canvas: which cards touch each item, [k], a bit a card."""
        part = mesh.parts[index]
        held = self._touched.get((id(mesh), index))
        if held is not None and held[0] is part:
            return held[1]
        found = np.zeros(part.items, dtype=np.int64)
        for number, (card, seen) in enumerate(zip(self.cards, self._seen, strict=True)):
            on = np.array([not card.walls or wall in card.walls for wall in part.walls], dtype=bool)[part.wall]
            if on.any():
                on &= facing(part, seen.from_m, mesh.origin_m)
            on[on] = seen.may_touch(part.points_m[on])
            found |= on.astype(np.int64) << number
        self._touched[id(mesh), index] = part, found
        return found

    def use(self, touching: int, *, outer: bool, base: str, above: list[str]) -> NDArray[np.int32]:
        """Of the cards in a bit mask, those that show in a group of items, [n, 2]: number, layers they lie on.

        outer : the base picture is the outer one; base : else the camera it is of; above : cameras of the pictures
        above it.
        """
        rows = []
        for number, card in enumerate(self.cards):
            if touching >> number & 1:
                layers = int(outer or base in card.in_camera)
                layers |= sum(2 << i for i, camera in enumerate(above) if camera in card.in_camera)
                if layers:
                    rows.append((number, layers))
        return np.array(rows, dtype=np.int32).reshape(-1, 2)

    def release(self) -> None:
        """Free it."""
        self._buffer.release()


def block_of(cards: list[PlanCard], seen: list[Seen], origin_m: Array) -> bytes:
    """The uniform block of `shaders/wall/cards.glsl`."""
    table = np.zeros(MOST_CARDS, dtype=_CARD)
    corners = np.zeros((MOST_CARDS, MOST_CORNERS, 2), dtype=np.float32)
    for row, points, card, at in zip(table, corners, cards, seen, strict=False):
        offset = origin_m - at.from_m
        for name, axis in (("across", at.across), ("up", at.up), ("ahead", at.ahead)):
            row[name] = (*axis, axis @ offset)
        row["light"] = (*card.light, card.opacity)
        row["edge"] = (*at.tangents, card.feather * min(at.tangents), card.gradient_ev)
        turn = np.radians(card.gradient_deg)
        row["fade"] = (np.sin(turn), np.cos(turn), card.gradient == "linear", card.gradient == "radial")
        row["what"] = (_SHAPES[card.shape], card.kind == "flag", len(card.corners), 0)
        if card.corners:
            points[: len(card.corners)] = np.array(card.corners) * at.tangents
    return table.tobytes() + corners.tobytes()
