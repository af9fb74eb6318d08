"""Health of a source: waiting, ok, coasting, lost or bad, each with its reason."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final

from stage.errors import Problem
from tracking.errors import IllegalTransition
from tracking.sample import Reason

COAST_NS: Final = 100_000_000
"""Predicted so long beyond the last expected sample; then the pose eases to a hold."""
LOST_NS: Final = 150_000_000
"""Overdue by so much, the source is lost."""
DEFAULT_PERIOD_NS: Final = 40_000_000
LONGEST_PERIOD_NS: Final = 100_000_000
OVERDUE_PERIODS: Final = 1.5
MISSED_PERIODS: Final = 3.25
"""A source without a sample for so long coasts: one or two lost on the way are nobody's concern."""
BAD_WINDOW: Final = 20
BAD_IN_A_ROW: Final = 3
HARMLESS: Final = frozenset(
    {"duplicate", "other_message", "not_mine", "late", "second_sender", "not_allowed", "rate", "segment"}
)
"""Refusals that say nothing about the tracker's poses."""


class State(StrEnum):
    """What an operator needs to know about a source."""

    WAITING = "waiting"
    """Nothing ever came."""
    OK = "ok"
    COASTING = "coasting"
    """A sample is overdue; poses are predicted on."""
    LOST = "lost"
    """Nothing comes; the last pose is held."""
    BAD = "bad"
    """What comes cannot be used; the last good pose is held."""


LEGAL: Final = frozenset(
    {
        (State.WAITING, State.OK), (State.WAITING, State.BAD),
        (State.LOST, State.OK), (State.LOST, State.BAD),
        (State.OK, State.COASTING), (State.OK, State.BAD),
        (State.COASTING, State.OK), (State.COASTING, State.LOST), (State.COASTING, State.BAD),
        (State.BAD, State.OK), (State.BAD, State.LOST),
    }
)  # fmt: skip
"""A source is never lost without having coasted, and never coasts without having been ok."""


class Health:
    """State of one source, driven by what arrives and by the time.

    Attributes
    ----------
    state : the present state; a source begins `waiting`.
    reason : why, in words.
    since_ns : when the state began.
    """

    def __init__(self, now_ns: int = 0) -> None:
        self.state = State.WAITING
        self.reason = "nothing received yet"
        self.since_ns = now_ns
        self._last_good_ns: int | None = None
        self._last_any_ns: int | None = None
        self._period_ns = DEFAULT_PERIOD_NS
        self._bad: deque[bool] = deque(maxlen=BAD_WINDOW)
        self._bad_in_a_row = 0

    def accepted(self, t_received_ns: int, period_ns: int | None) -> None:
        """A sample entered the history; `period_ns` is the source's present period, if known."""
        self._last_good_ns = self._last_any_ns = t_received_ns
        self._bad.append(False)
        self._bad_in_a_row = 0
        if period_ns is not None:
            self._period_ns = min(max(period_ns, 1_000_000), LONGEST_PERIOD_NS)
        if self.state is not State.OK and not self._mostly_bad():
            self._enter(State.OK, "samples arrive", t_received_ns)

    def refused(self, reason: Reason, t_received_ns: int, detail: str = "") -> None:
        """Something was refused. Reasons that say nothing about the poses change nothing."""
        if reason in HARMLESS:
            return
        self._last_any_ns = t_received_ns
        self._bad.append(True)
        self._bad_in_a_row += 1
        if self.state is not State.BAD and (self._bad_in_a_row >= BAD_IN_A_ROW or self._mostly_bad()):
            self._enter(State.BAD, f"{reason}: {detail}" if detail else reason, t_received_ns)

    def overdue_ns(self, now_ns: int) -> int:
        """How long a sample has been overdue; 0 while none is."""
        if self._last_good_ns is None:
            return 0
        return max(0, now_ns - self._last_good_ns - int(OVERDUE_PERIODS * self._period_ns))

    def step(self, now_ns: int) -> State:
        """Let time pass."""
        overdue_ns = self.overdue_ns(now_ns)
        missed_ns = min(int((MISSED_PERIODS - OVERDUE_PERIODS) * self._period_ns), COAST_NS)
        if self.state is State.OK and overdue_ns > missed_ns:
            self._enter(State.COASTING, f"no sample for {MISSED_PERIODS:g} periods", now_ns)
        if self.state is State.COASTING and overdue_ns > LOST_NS:
            self._enter(State.LOST, "nothing received", now_ns)
        if self.state is State.BAD and self._last_any_ns is not None and now_ns - self._last_any_ns > LOST_NS:
            self._bad.clear()
            self._bad_in_a_row = 0
            self._enter(State.LOST, "nothing received", now_ns)
        return self.state

    def _mostly_bad(self) -> bool:
        return len(self._bad) >= BAD_WINDOW // 2 and sum(self._bad) > len(self._bad) // 2

    def _enter(self, state: State, reason: str, now_ns: int) -> None:
        if (self.state, state) not in LEGAL:
            raise IllegalTransition(
                Problem(
                    IllegalTransition.code,
                    "health",
                    f"{self.state.value} cannot become {state.value}",
                    mend="let `step` pass through the states between",
                )
            )
        self.state, self.reason, self.since_ns = state, reason, now_ns
