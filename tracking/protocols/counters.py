"""Time from counters and time code: what a sender locked to a rate says about when its packets were taken. No clock."""

from __future__ import annotations

from stage.rate import Rate

DAY_S = 86_400
MOST_PACKETS = 10
"""Packets during one frame of time code; above it the time code stands still."""


class CounterClock:
    """Unwraps a counter that goes up by one a packet: packet n is n periods old. Late packets keep their place."""

    def __init__(self, modulus: int, rate: Rate) -> None:
        self._modulus, self._rate = modulus, rate
        self._n: int | None = None
        self._last = 0

    def t_ns(self, number: int) -> int:
        """When the packet was taken, ns since the first one."""
        if self._n is None:
            self._n, self._last = 0, number
            return 0
        step = (number - self._last) % self._modulus
        if step > self._modulus // 2:
            return self._rate.deadline_ns(0, self._n + step - self._modulus)
        self._n += step
        self._last = number
        return self._rate.deadline_ns(0, self._n)


class TimecodeClock:
    """Time code that goes over midnight, and packets that come more than once a frame of it.

    Between two frames the packets' own counter tells how far on they are, once a whole frame has shown how many
    packets it holds. Time code that stands still gives the same time again and again.
    """

    def __init__(self, modulus: int) -> None:
        self._modulus = modulus
        """Of the packets' counter."""
        self._frame: int | None = None
        self._days = 0
        self._counter = 0
        self._within = 0
        self._held = 0
        """Packets in one frame of time code; 0 = not known yet."""
        self._whole = False
        """Whether the present frame was seen from its first packet on."""

    def t_ns(self, hours: int, minutes: int, seconds: int, frames: int, fps: int, counter: int) -> int | None:
        """When the packet was taken, ns since midnight of the first day; None: between frames, and not known how far.

        fps: frames a second the time code counts with; counter: the packet's own.
        """
        frame = ((hours * 60 + minutes) * 60 + seconds) * fps + frames
        step = (counter - self._counter) % self._modulus
        self._counter = counter
        last = self._frame
        if last is None:
            self._frame = frame
            return self._at(frame, 0, fps)
        if frame == last:
            self._within += max(1, step)
            if self._held and self._within < self._held:
                return self._at(frame, self._within, fps)
            if not self._held and self._within < MOST_PACKETS:
                return None
            return self._at(frame, 0, fps)
        day = DAY_S * fps
        if frame < last - day // 2:
            self._days += 1
        elif frame > last + day // 2:
            self._days -= 1
        if (frame - last) % day == 1:
            if self._whole:
                self._held = self._within + 1 if self._within < MOST_PACKETS else 0
            self._whole = True
        else:
            self._whole = False
        self._frame, self._within = frame, 0
        return self._at(frame, 0, fps)

    def _at(self, frame: int, within: int, fps: int) -> int:
        held = self._held or 1
        return Rate(fps * held).deadline_ns(0, (self._days * DAY_S * fps + frame) * held + within)
