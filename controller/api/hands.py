"""Whose hand is on which slider: continuous values are the last writer's, so everybody is shown who moves what."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from controller.api.views_access import HandsView, HandView
from runtime.clock import NS_PER_S

HELD_NS: Final = 3 * NS_PER_S
"""A hand that has moved nothing for so long has let go."""
MOST: Final = 256


class SliderHands:
    """The hands of the last seconds, by address."""

    def __init__(self) -> None:
        self._moved: OrderedDict[str, tuple[str, int, int, str]] = OrderedDict()
        """Hand, since when, until when, and whose it was just before."""

    def moved(self, addresses: Iterable[str], hand: str, now_ns: int) -> None:
        """A hand has moved these."""
        for address in addresses:
            known = self._moved.pop(address, None)
            held = known is not None and now_ns - known[2] <= HELD_NS
            if known is not None and held and known[0] == hand:
                self._moved[address] = (hand, known[1], now_ns, known[3])
            else:
                self._moved[address] = (hand, now_ns, now_ns, known[0] if known is not None and held else "")
        while len(self._moved) > MOST:
            self._moved.popitem(last=False)

    def view(self, now_ns: int) -> HandsView:
        """Who holds what now, by address."""
        for address in [a for a, (_, _, last_ns, _) in self._moved.items() if now_ns - last_ns > HELD_NS]:
            del self._moved[address]
        return HandsView(
            {
                address: HandView(hand, since_ns, last_ns, taken_from)
                for address, (hand, since_ns, last_ns, taken_from) in sorted(self._moved.items())
            }
        )
