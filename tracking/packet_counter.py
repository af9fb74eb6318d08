"""A sender's own packet counter: unwrapped, so that lost, doubled and overtaken packets are told apart. No clock."""

from __future__ import annotations

from typing import Final, Literal

MODULI: Final[dict[str, int]] = {
    "opentrackio": 1 << 16,
    "psn": 1 << 8,
    "stype": 1 << 8,
    "mosys_f4": 1 << 4,
    "natnet": 1 << 32,
    "rttrpm": 1 << 32,
    "zmq": 1 << 63,
}
"""Where each protocol's counter begins again."""
TRUSTED_FROM: Final = 8
"""So many steps forward in a row make a counter believed: some senders leave it at 0."""
DOUBTED_FROM: Final = 4
"""So many packets in a row that did not count up: the sender has begun again, or does not count."""

Verdict = Literal["next", "duplicate", "late"]


class PacketCounter:
    """Follows one counter.

    Attributes
    ----------
    number : the newest packet's, unwrapped: counted on from the first one seen, past every wrap.
    lost : numbers that never came.
    """

    def __init__(self, modulus: int) -> None:
        self._modulus = modulus
        self._last: int | None = None
        self._forward = 0
        self._backward = 0
        self.number = 0
        self.lost = 0

    @property
    def trusted(self) -> bool:
        """Whether it counts up, as far as can be seen."""
        return self._forward >= TRUSTED_FROM

    def take(self, number: int) -> Verdict:
        """What a packet of that number is; `next` while the counter is not trusted."""
        number %= self._modulus
        last = self._last
        if last is None:
            self._last = self.number = number
            return "next"
        step = (number - last) % self._modulus
        if 0 < step <= self._modulus // 2:
            if self.trusted:
                self.lost += step - 1
            self._forward += 1
            self._backward = 0
            self._last = number
            self.number += step
            return "next"
        self._backward += 1
        if self._backward >= DOUBTED_FROM or not self.trusted:
            self._forward = self._backward = 0
            self._last = number
            self.number += step
            return "next"
        if step == 0:
            return "duplicate"
        self.lost = max(0, self.lost - 1)
        return "late"
