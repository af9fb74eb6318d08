"""What a Cooke /i lens has to be told so that it sends its data: the dialogue on its serial line. Pure, no clock.

`H` ends whatever it sends, `N` must come first after it starts, `Y` sets metric units, `Kc` makes it send records
without end. A lens that falls silent was switched off, or exchanged: the dialogue begins again, at the other of the
two rates lenses start with.
"""

from __future__ import annotations

from typing import Final

from stage.rate import NS_PER_S

BAUDS: Final = (115_200, 9_600)
"""Lenses of today start with the first, older ones with the second."""
STEPS: Final = (b"H\r", b"N\r", b"Y\r", b"Kc\r")
ANSWER_NS: Final = NS_PER_S * 3 // 10
SILENT_NS: Final = NS_PER_S
TRIES: Final = 2
"""Dialogues at one rate before the other is tried."""


class CookeDialogue:
    """State of one line. bauds : the rates it may have, the likeliest first.

    Attributes
    ----------
    baud : the rate to listen and talk at now.
    running : whether records come.
    """

    def __init__(self, bauds: tuple[int, ...] = BAUDS) -> None:
        self._bauds = bauds
        self._which = 0
        self._step = -1
        self._due_ns = 0
        self._failed = 0
        self.running = False

    @property
    def baud(self) -> int:
        """The rate to listen and talk at now."""
        return self._bauds[self._which]

    def heard(self, data: bytes, now_ns: int) -> None:
        """Take note of bytes from the line."""
        if b"\n\r" not in data:
            return
        if self._step == len(STEPS) - 1 or self.running:
            # Acknowledgements of what was said before may still come; records are what is waited for.
            if b"d" in data or b"D" in data:
                self.running, self._failed = True, 0
                self._due_ns = now_ns + SILENT_NS
            return
        self._due_ns = min(self._due_ns, now_ns)

    def say(self, now_ns: int) -> bytes:
        """What to send now; empty: nothing."""
        if now_ns < self._due_ns:
            return b""
        if self.running or self._step == len(STEPS) - 1:
            # It has fallen silent, or never began.
            if not self.running:
                self._failed += 1
                if self._failed >= TRIES:
                    self._failed, self._which = 0, (self._which + 1) % len(self._bauds)
            self.running, self._step = False, -1
        self._step += 1
        self._due_ns = now_ns + (SILENT_NS if self._step == len(STEPS) - 1 else ANSWER_NS)
        return STEPS[self._step]

    def begin_again(self, now_ns: int) -> None:
        """The line was opened anew."""
        self.running, self._step, self._due_ns = False, -1, now_ns
