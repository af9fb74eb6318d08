"""A simulated tracker with faults, live: what `tracking.faults` makes of each datagram is sent at its own time.

Datagrams that another program would send (a rival, a flood) leave through sockets of their own. Faults of the reader
(T4) cannot be made from here: such datagrams arrive when they would be read.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from runtime.clock import Clock
from stage.rate import Rate
from tracking.encoders import Encode
from tracking.faults import Faults, Timed
from tracking.moment import Moment
from tracking.pulls import LensAt
from tracking.sender import PoseAt, Sender, Truth, Wire


class FaultySender(Sender):
    """As `Sender`, through faults.

    other : opens a wire for another program that sends to the same place.

    Attributes
    ----------
    unsendable : poses the protocol could not hold; its tracker would not have sent them either.
    """

    def __init__(
        self,
        pose_at: PoseAt,
        encode: Encode,
        wire: Wire,
        clock: Clock,
        rate: Rate,
        faults: Faults,
        other: Callable[[], Wire],
        *,
        lens: LensAt | None = None,
        unix_time: bool = False,
        truth: Truth | None = None,
    ) -> None:
        super().__init__(pose_at, encode, wire, clock, rate, lens=lens, unix_time=unix_time, truth=truth)
        self._faults, self._other = faults, other
        self._others: dict[tuple[str, int], Wire] = {}
        self._waiting: list[tuple[int, int, Timed]] = []
        self._ages = count()
        self.unsendable = 0

    def step(self, now_ns: int) -> int:
        """Send what is due at `now_ns`, samples and datagrams that were held up; when the next one is due, ns."""
        self._flush(now_ns)
        due_ns = super().step(now_ns)
        self._flush(now_ns)
        return min(due_ns, self._waiting[0][0]) if self._waiting else due_ns

    def close(self) -> None:
        """Close the other programs' wires."""
        for wire in self._others.values():
            wire.close()
        self._others.clear()

    def _emit(self, moment: Moment, due_ns: int, now_ns: int) -> None:
        try:
            datagrams = self._encode(self._faults.spoil(moment, due_ns))
        except (ValueError, OverflowError):
            self.unsendable += 1
            return
        for data in datagrams:
            for item in self._faults.feed(Timed(now_ns, data)):
                heapq.heappush(self._waiting, (item.reads_ns, next(self._ages), item))

    def _flush(self, now_ns: int) -> None:
        while self._waiting and self._waiting[0][0] <= now_ns:
            item = heapq.heappop(self._waiting)[2]
            if not item.host:
                self._wire.send(item.data)
                continue
            key = (item.host, item.port)
            if key not in self._others:
                self._others[key] = self._other()
            self._others[key].send(item.data)
