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
PAUSE_NS: Final = 18 * NS_PER_MS
"""So long nobody listens after the sockets have been emptied, while there are more: a process that wakes finds its code
and data gone from the caches, and the first datagrams it reads cost twice what those behind them do."""
SHORT_PAUSE_NS: Final = 8 * NS_PER_MS
"""The same where every sample is sent on as it comes, and after so much at once that a socket may run over."""
A_LOT: Final = 5 * BURST
"""So much at once: four times what sixteen trackers of 240 Hz send in a pause, or a flood that is not noticed yet."""
AHEAD_NS: Final = 3 * NS_PER_MS
"""So long before what must be in time they are emptied once more: then little is left to be read."""


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

    @property
    def pause_ns(self) -> int:
        """The longest pause."""
        return self._pause_ns

    @pause_ns.setter
    def pause_ns(self, pause_ns: int) -> None:
        self._pause_ns = pause_ns
        self.until_ns = 0

    def heard(self, datagrams: int, now_ns: int, due_ns: int = 0) -> None:
        """The sockets have been emptied of so many. due_ns : when what must be in time begins; 0: nothing is known."""
        grown = (now_ns - self._heard_ns) * self._few_hz / NS_PER_S
        self._heard_ns = now_ns
        self._left = max(0.0, min(BURST, self._left + grown) - datagrams)
        # Left again only when it has been few for a while: no flapping.
        self._many = self._left < BURST / 2 if self._many else self._left == 0.0
        if datagrams:
            pause_ns = self._pause_ns if datagrams < A_LOT else min(SHORT_PAUSE_NS, self._pause_ns)
            self.until_ns = now_ns + pause_ns if self._many else 0
            if now_ns < due_ns - AHEAD_NS < self.until_ns:
                self.until_ns = due_ns - AHEAD_NS
        elif now_ns >= self.until_ns:
            self.until_ns = 0
