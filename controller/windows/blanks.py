"""Vertical blanks out of the ring in which the presenter notes them."""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from controller.ledger_feed import RingQueue
from controller.rundir import RunDir
from controller.windows.status import KIND_BLANKS
from controller.windows.status import Blank as Noted
from runtime.clock import NS_PER_S
from runtime.references.display import Blank

LOOK_NS: Final = NS_PER_S // 4
_DECODER: Final = msgspec.msgpack.Decoder(Noted)


class BlankRing:
    """Blanks of a run, from whichever presenter is there."""

    def __init__(self, run: RunDir) -> None:
        self._queue = RingQueue(run.blanks, KIND_BLANKS)
        self._look_due_ns = 0

    def take(self, now_ns: int) -> list[Blank]:
        """Those not taken yet."""
        look = now_ns >= self._look_due_ns
        if look:
            self._look_due_ns = now_ns + LOOK_NS
        found = []
        for slot in self._queue.take(look=look):
            with contextlib.suppress(msgspec.MsgspecError):
                noted = _DECODER.decode(slot.data)
                found.append(Blank(noted.t_ns, noted.period_ns))
        return found

    def close(self) -> None:
        """Let go of the ring."""
        self._queue.close()
