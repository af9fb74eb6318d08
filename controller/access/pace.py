"""How much one client may ask for: a bucket of tokens each, filled at a steady pace. Pure.

Generous: a desk full of sliders sends a few hundred changes a second. It is there so that a program in a loop, or
somebody who means harm, takes the service from nobody else.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from runtime.clock import NS_PER_S

PACE_HZ: Final = 300.0
BURST: Final = 900.0
"""Requests at once, from a client that was quiet; then `PACE_HZ` of them a second."""
MOST_CLIENTS: Final = 2048
"""Clients that are kept apart; who was quiet longest is forgotten, and begins anew."""


class Paces:
    """Every client's bucket."""

    def __init__(self, pace_hz: float = PACE_HZ, burst: float = BURST) -> None:
        self._pace_hz, self._burst = pace_hz, burst
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Tokens that were left, and when."""

    def wait_s(self, client: str, now_ns: int) -> float:
        """Take a token; 0 when there was one, else after how many seconds there will be."""
        left, then_ns = self._left.get(client, (self._burst, now_ns))
        left = min(self._burst, left + (now_ns - then_ns) / NS_PER_S * self._pace_hz)
        taken = left >= 1.0
        self._left[client] = (left - taken, now_ns)
        self._left.move_to_end(client)
        if len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if taken else (1.0 - left) / self._pace_hz
