"""When a node draws what coming frames will need, and how much of it: pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final

AHEAD_WINDOW: Final = 32
PUT_OFF: Final = 2
"""After so many slots in a row without time for looking ahead a piece is drawn if it and a usual drawing fit;"""
MOST_PUT_OFF: Final = 8
"""after so many if a usual drawing fits."""


class Ahead:
    """Between two slots: work that would make a coming frame late, while there is time for it.

    It is done by the time the slot's plan comes, or at least so that the plan's drawing is in time all the same. A
    node without such time for several slots does it nevertheless while a usual drawing still fits: all of it at once
    would take longer. Drawings that had to do all of it at once do not count here: they would keep it from being done
    ahead for ever. Nor does a single slow one, which was the host.
    """

    def __init__(self) -> None:
        self._pieces_ns: deque[int] = deque(maxlen=AHEAD_WINDOW)
        """What a piece took in the last slots."""
        self._put_off = 0
        """Slots in a row that had no time for it."""

    def most(self, time_ns: int, left_ns: int, expected_ns: int) -> int:
        """How many pieces may be drawn now.

        time_ns : what is left for it; left_ns : until the slot's picture is due; expected_ns : a usual drawing.
        """
        piece_ns = longest_but_one(self._pieces_ns, 0)
        if piece_ns > time_ns:
            self._put_off += 1
            usual_ns = sorted(self._pieces_ns)[len(self._pieces_ns) // 2] if self._pieces_ns else 0
            fits = self._put_off >= PUT_OFF and left_ns >= expected_ns + usual_ns
            if not fits and (self._put_off < MOST_PUT_OFF or left_ns < expected_ns):
                return 0
        self._put_off = 0
        # Never more than there is time for: pieces that were put off are not made up for at once.
        return max(1, time_ns // max(1, piece_ns))

    def drew(self, pieces: int, took_ns: int) -> None:
        """Note how long the pieces took together."""
        self._pieces_ns.append(took_ns // max(1, pieces))


def longest_but_one(times_ns: Collection[int], default_ns: int) -> int:
    """What all but one stay within; the longest of fewer than three, `default_ns` without any."""
    times = sorted(times_ns)
    return times[-2 if len(times) > 2 else -1] if times else default_ns
