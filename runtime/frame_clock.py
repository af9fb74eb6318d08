"""The frame clock: which monotonic instant each frame number begins at, and how that may change while a show runs.

Frame n begins at `origin + (n - lead) * den * 10^9 // num`: exact for ever while nothing disturbs it. A reference
(PTP's TAI, an outside time code) moves the origin by at most 50 ppm, so no slot is longer or shorter than its period
by more than that. What would be a jump is refused, waits, and happens only on order and outside a take: then at a
named frame, with numbers that only rise and no slot shorter than its period. Pure: no clock of its own.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from runtime.errors import HouseError
from stage.errors import Problem
from stage.rate import NS_PER_S, Rate

MAX_SLEW_PPM: Final = 50
STEP_NS: Final = 10_000_000
"""An error beyond this (or half a period, if that is less) is a step: at 50 ppm it would take minutes."""
_PPB: Final = 1_000_000_000


class ClockStateError(HouseError):
    """A frame clock asked for what its state does not allow."""

    code = "runtime.clock_state"


class ClockState(enum.Enum):
    """How the frame clock stands to its reference."""

    FREE = "free"
    """Follows nothing."""
    LOCKING = "locking"
    """Has a reference that was not believed yet."""
    LOCKED = "locked"
    SLEWING = "slewing"
    """Moves to the reference, by 50 ppm at most."""
    HOLDOVER = "holdover"
    """The reference is gone: goes on at the last known speed."""
    STEP_REFUSED = "step_refused"
    """The reference jumped: goes on as before until somebody orders a jam."""


_NEXT: Final[dict[ClockState, frozenset[ClockState]]] = {
    ClockState.FREE: frozenset({ClockState.LOCKING}),
    ClockState.LOCKING: frozenset(
        {ClockState.LOCKED, ClockState.SLEWING, ClockState.STEP_REFUSED, ClockState.FREE},
    ),
    **{
        state: frozenset(set(ClockState) - {state})
        for state in (ClockState.LOCKED, ClockState.SLEWING, ClockState.HOLDOVER, ClockState.STEP_REFUSED)
    },
}
"""A clock that follows nothing cannot be locked or lose anything; one that never locked has nothing to hold over."""


@dataclass(frozen=True, slots=True)
class Loop:
    """How a reference is followed.

    settle_s : time in which an error is worked off, 0 as fast as 50 ppm allow; learns : whether its speed is learned
    (a reference that the monotonic clock is not disciplined by); dead_band_ns : errors that are only noise.
    """

    settle_s: float = 0.0
    learns: bool = False
    dead_band_ns: int = 1_000


class FrameClock:
    """Frame numbers and their instants.

    Attributes
    ----------
    rate : Rate; origin_ns : where `frame_lead` begins; frame_lead : how far numbers are ahead of the reference's own
    state : ClockState; rolling : a take rolls, nothing may jump
    error_ns : reference minus this clock, as told last and not worked off yet; positive: this clock is early
    refused_ns : the step that waits, 0 without
    """

    def __init__(self, rate: Rate, *, origin_ns: int, frame_lead: int = 0, loop: Loop | None = None) -> None:
        self.rate = rate
        self.frame_lead = frame_lead
        self.loop = loop or Loop()
        self.state = ClockState.FREE
        self.rolling = False
        self.refused_ns = 0
        # In billionths of a nanosecond: 50 ppm of a period, and a millionth of that, are whole numbers then.
        self._origin = origin_ns * _PPB
        self._debt = 0
        self._frequency_ppb = 0.0
        self._slewed_ppb = 0.0
        self._followed_ns: int | None = None

    @property
    def origin_ns(self) -> int:
        """Monotonic ns at which frame `frame_lead` begins, as things stand now."""
        return self._origin // _PPB

    @property
    def error_ns(self) -> int:
        """What is still to be slewed, or the step that is refused."""
        return self.refused_ns or self._debt // _PPB

    @property
    def slew_ppm(self) -> float:
        """By how much the last slot was longer (+) or shorter than its period."""
        return self._slewed_ppb / 1000.0

    @property
    def frequency_ppm(self) -> float:
        """How much slower (+) the reference runs than this machine, as learned."""
        return self._frequency_ppb / 1000.0

    @property
    def step_ns(self) -> int:
        """The smallest error that is a step."""
        return min(STEP_NS, self.rate.period_ns // 2)

    def deadline_ns(self, frame: int) -> int:
        """When a frame begins, as things stand now."""
        return self.rate.deadline_ns(self._origin // _PPB, frame - self.frame_lead)

    def frame_at(self, t_ns: int) -> int:
        """The frame whose slot holds an instant."""
        return self.rate.frame_at(self._origin // _PPB, t_ns) + self.frame_lead

    def nearest(self, t_ns: int) -> tuple[int, int]:
        """The frame that begins nearest to an instant, and how much later than its beginning that is, ns."""
        frame = self.frame_at(t_ns)
        after_ns = t_ns - self.deadline_ns(frame)
        before_ns = t_ns - self.deadline_ns(frame + 1)
        return (frame, after_ns) if after_ns <= -before_ns else (frame + 1, before_ns)

    def first_after(self, t_ns: int) -> int:
        """The first frame that begins at or after an instant."""
        frame = self.frame_at(t_ns)
        return frame if self.deadline_ns(frame) == t_ns else frame + 1

    # --- the reference ------------------------------------------------------------------------------------------

    def go(self, state: ClockState) -> None:
        """Change the state.

        Raises
        ------
        ClockStateError : there is no such way.
        """
        if state is self.state:
            return
        if state not in _NEXT[self.state]:
            allowed = ", ".join(sorted(s.value for s in _NEXT[self.state]))
            raise ClockStateError(
                Problem(
                    ClockStateError.code,
                    "clock",
                    f"{self.state.value} cannot become {state.value}",
                    mend=f"from {self.state.value}: {allowed}",
                ),
            )
        self.state = state
        if state in (ClockState.FREE, ClockState.LOCKING):
            self._debt = self.refused_ns = 0
            self._followed_ns = None
        if state is ClockState.FREE:
            self._frequency_ppb = 0.0

    def follow(self, error_ns: int, now_ns: int) -> None:
        """Take in how far the reference is from this clock (positive: it is later). Small errors are slewed away;
        a step changes nothing but the state.

        Raises
        ------
        ClockStateError : it follows nothing.
        """
        if abs(error_ns) > self.step_ns:
            self.refused_ns, self._debt = error_ns, 0
            self.go(ClockState.STEP_REFUSED)
            return
        self.refused_ns = 0
        before_ns, self._followed_ns = self._followed_ns, now_ns
        if before_ns is not None:
            self._learn(error_ns, now_ns - before_ns)
        within = abs(error_ns) <= self.loop.dead_band_ns
        self._debt = 0 if within and not self.loop.settle_s else error_ns * _PPB
        self.go(ClockState.LOCKED if within else ClockState.SLEWING)

    def _learn(self, error_ns: int, since_ns: int) -> None:
        """Take in what an error says about the reference's speed."""
        settle_ns = self.loop.settle_s * NS_PER_S
        if not self.loop.learns or not settle_ns:
            return
        most = MAX_SLEW_PPM * 1000.0
        if abs(error_ns / settle_ns * _PPB + self._frequency_ppb) > most:
            # It is worked off as fast as is allowed: it says nothing about the speed yet.
            return
        # Critically damped: the speed is learned four times more slowly than the error is worked off.
        learned = error_ns * since_ns / (4.0 * settle_ns * settle_ns) * _PPB
        self._frequency_ppb = min(most, max(-most, self._frequency_ppb + learned))

    def lose(self) -> None:
        """The reference is gone: what it asked for last is forgotten, its speed is kept."""
        self._debt = self.refused_ns = 0
        self._followed_ns = None
        if self.state not in (ClockState.FREE, ClockState.LOCKING):
            self.go(ClockState.HOLDOVER)

    def passed(self, frames: int = 1) -> None:
        """So many frames were latched: those that follow move by what may be slewed in that time."""
        if not self._debt and not self._frequency_ppb:
            self._slewed_ppb = 0.0
            return
        period = frames * self.rate.den * NS_PER_S * _PPB // self.rate.num
        most = frames * self.rate.den * NS_PER_S * MAX_SLEW_PPM * 1000 // self.rate.num
        settle_s = self.loop.settle_s
        pull = self._debt
        if settle_s:
            pull = int(self._debt * min(1.0, period / (settle_s * NS_PER_S * _PPB)))
        own = int(self._frequency_ppb * period / _PPB)
        move = min(most, max(-most, own + pull))
        self._origin += move
        self._slewed_ppb = move * _PPB / period
        worked_off = move - own
        # Never past the goal, whichever side it was on.
        self._debt = max(0, self._debt - worked_off) if self._debt > 0 else min(0, self._debt - worked_off)

    # --- what is ordered ----------------------------------------------------------------------------------------

    def jam(self, frame: int, error_ns: int, *, counts: bool) -> int:
        """Jump to the reference with the slot of `frame`, the first that is not latched: it begins at the
        reference's first boundary at or after its old one. Returns the number it gets: never less than `frame`.

        counts : the reference knows numbers, which are taken over if they are ahead; else only its phase counts.

        Raises
        ------
        ClockStateError : a take rolls.
        """
        if self.rolling:
            raise ClockStateError(
                Problem(ClockStateError.code, "clock", "a take rolls: time does not jump", mend="jam after the take"),
            )
        due_ns = self.deadline_ns(frame)
        target_ns = self.origin_ns + error_ns
        theirs = self.rate.frame_at(target_ns, due_ns - 1) + 1
        number = max(frame, theirs) if counts else frame
        self._place(number, target_ns, theirs)
        self.refused_ns = self._debt = 0
        return number

    def change_rate(self, rate: Rate, frame: int, *, on_grid: bool) -> None:
        """Go on at another rate with `frame`, whose number stays; its slot begins where it would have, or `on_grid`
        at the first instant after that at which a frame of the new rate begins since the origin."""
        due_ns = self.deadline_ns(frame)
        self.rate = rate
        if on_grid:
            target_ns = self.origin_ns
            self._place(frame, target_ns, rate.frame_at(target_ns, due_ns - 1) + 1)
        else:
            self.frame_lead = 0
            self._origin = (due_ns - rate.deadline_ns(0, frame)) * _PPB

    def resume(self, frame: int, t_ns: int) -> None:
        """Let `frame` begin at `t_ns`, as a process before this one had it."""
        self._origin = (t_ns - self.rate.deadline_ns(0, frame - self.frame_lead)) * _PPB

    def learn(self, frequency_ppm: float) -> None:
        """Begin with a speed that was learned before."""
        most = MAX_SLEW_PPM * 1000.0
        self._frequency_ppb = min(most, max(-most, frequency_ppm * 1000.0))

    def _place(self, number: int, target_ns: int, theirs: int) -> None:
        """Number `number` begins where `theirs` does, counted from `target_ns`."""
        self.frame_lead = number - theirs
        self._origin = target_ns * _PPB
