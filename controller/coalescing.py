"""How many datagrams wake the conductor: each one while they are few, those of a few milliseconds together when they
are many. The kernel has stamped them, and predictions are made at the latch, which reads all that waits: what is put
off is work, never a pose."""

from __future__ import annotations

from typing import Final

from runtime.clock import NS_PER_MS, NS_PER_S

FEW_HZ: Final = 1000
"""Up to so many datagrams a second each is read when it comes: four trackers of 240 Hz."""
BURST: Final = 100
"""So many more may come at once."""
PAUSE_NS: Final = 8 * NS_PER_MS
"""So long nobody listens after the sockets have been emptied, while there are more."""


class Coalescing:
    """Keeps account of how much comes.

    Attributes
    ----------
    until_ns : until when the sockets are left alone; what waits in them is read then.
    """

    def __init__(self, *, few_hz: int = FEW_HZ, pause_ns: int = PAUSE_NS) -> None:
        self._few_hz, self._pause_ns = few_hz, pause_ns
        self._left = float(BURST)
        self._heard_ns = 0
        self._many = False
        self.until_ns = 0

    def heard(self, datagrams: int, now_ns: int) -> None:
        """The sockets have been emptied of so many."""
        grown = (now_ns - self._heard_ns) * self._few_hz / NS_PER_S
        self._heard_ns = now_ns
        self._left = max(0.0, min(BURST, self._left + grown) - datagrams)
        # Left again only when it has been few for a while: no flapping.
        self._many = self._left < BURST / 2 if self._many else self._left == 0.0
        if datagrams:
            self.until_ns = now_ns + self._pause_ns if self._many else 0
        elif now_ns >= self.until_ns:
            self.until_ns = 0
