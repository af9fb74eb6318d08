"""The vertical blank as the show's reference: frames begin so long before it, whatever the display's own speed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clock import NS_PER_MS, NS_PER_S, VirtualClock
from runtime.config import TimeConfig
from runtime.frame_clock import FrameClock
from runtime.references.display import Blank, DisplayPhase
from runtime.timekeeper import Timekeeper
from stage.rate import Rate

START_NS = 5 * NS_PER_S


class Monitor:
    """A display with a speed of its own, of which the blanks are heard that pictures are met with."""

    def __init__(self, refresh_hz: float, *, ppm: float = 0.0, phase_ns: int = 0, jitter_ns: int = 0) -> None:
        self.period_ns = NS_PER_S / refresh_hz
        self._real_ns = self.period_ns * (1 - ppm * 1e-6)
        self._phase_ns, self._jitter_ns = START_NS + phase_ns, jitter_ns
        self._noise = np.random.default_rng(5)
        self.on = True
        self._met: list[int] = []

    def next_ns(self, t_ns: int) -> int:
        """The first blank after an instant."""
        count = -((self._phase_ns - t_ns) // self._real_ns)
        return round(self._phase_ns + count * self._real_ns)

    def show(self, t_ns: int) -> None:
        """A picture is swapped."""
        if self.on:
            self._met.append(self.next_ns(t_ns))

    def take(self, now_ns: int) -> Iterable[Blank]:
        past, self._met = [t for t in self._met if t <= now_ns], [t for t in self._met if t > now_ns]
        return [Blank(t + int(self._noise.integers(0, self._jitter_ns + 1)), round(self.period_ns)) for t in past]

    def close(self) -> None:
        pass


class Show:
    """What a conductor does with a timekeeper, and a presenter beside it."""

    def __init__(self, monitor: Monitor, rate: int = 24, lead_ms: float = 4.0) -> None:
        self.clock, self.monitor, self.rate = VirtualClock(START_NS), monitor, Rate(rate)
        config = TimeConfig(reference="display", display_lead_ms=lead_ms)
        self.keeper = Timekeeper(config, self.rate, self.clock, sockets=False, blanks=monitor)
        self.frame = self.keeper.begin()
        self.before_ms: list[float] = []
        """From a frame's beginning to the blank it is shown with."""

    def run(self, seconds: float) -> None:
        end_ns = self.clock.now_ns() + int(seconds * NS_PER_S)
        while (due_ns := self.keeper.frames.deadline_ns(self.frame)) <= end_ns:
            for t_ns in (due_ns - self.rate.period_ns // 2, due_ns):
                self.clock.advance_to(max(t_ns, self.clock.now_ns()))
                self.keeper.look(self.clock.now_ns())
            self.frame = self.keeper.latching(self.frame)
            # It is presented when its slot begins.
            slot_ns = self.keeper.frames.deadline_ns(self.frame)
            self.monitor.show(slot_ns)
            self.before_ms.append((self.monitor.next_ns(slot_ns) - slot_ns) / NS_PER_MS)
            self.keeper.latched()
            self.frame += 1

    def alarms(self) -> set[str]:
        return {problem.code for _, problem, _ in self.keeper.alarms(self.clock.now_ns())}


@pytest.mark.parametrize(("refresh_hz", "rate"), [(24.0, 24), (48.0, 24), (60.0, 60), (120.0, 24), (50.0, 25)])
@pytest.mark.parametrize("ppm", [-30.0, 0.0, 17.0])
def test_frames_begin_just_before_the_blank(refresh_hz: float, rate: int, ppm: float) -> None:
    show = Show(Monitor(refresh_hz, ppm=ppm, phase_ns=11 * NS_PER_MS, jitter_ns=200_000), rate)
    show.run(90.0)
    assert show.keeper.frames.state.value in ("locked", "slewing")
    steady = np.array(show.before_ms[-rate * 20 :])
    assert np.abs(steady - 4.0).max() < 0.5, (steady.min(), steady.max())
    assert show.alarms() == set()


def test_a_display_that_goes_is_held_over_and_taken_up_again() -> None:
    monitor = Monitor(24.0, ppm=20.0, phase_ns=7 * NS_PER_MS)
    show = Show(monitor)
    show.run(60.0)
    monitor.on = False
    show.run(20.0)
    assert show.keeper.frames.state.value == "holdover"
    assert "clock.holdover" in show.alarms()
    # The speed it had is kept: it is met again where it was left.
    assert abs(np.median(show.before_ms[-24:]) - 4.0) < 0.6
    monitor.on = True
    show.run(30.0)
    assert show.keeper.frames.state.value in ("locked", "slewing")
    assert show.alarms() == set()


def test_without_blanks_frames_go_on_and_it_is_told() -> None:
    monitor = Monitor(24.0)
    monitor.on = False
    show = Show(monitor)
    show.run(5.0)
    assert show.keeper.frames.state.value == "locking"
    assert show.alarms() == {"clock.no_blank"}
    assert len(show.before_ms) >= 100


@settings(max_examples=60)
@given(
    phase=st.integers(0, 41_000_000), lead=st.integers(500_000, 20_000_000), times=st.integers(1, 5),
    noise=st.lists(st.integers(-200_000, 200_000), min_size=5, max_size=20),
)  # fmt: skip
def test_the_error_is_the_way_to_the_nearest_blank(phase: int, lead: int, times: int, noise: list[int]) -> None:
    frames = FrameClock(Rate(24), origin_ns=START_NS)
    display, period = DisplayPhase(lead), Rate(24).period_ns // times
    for i, off in enumerate(noise):
        display.hear(Blank(START_NS + phase + i * times * period + off, period), frames)
    error = display.error_ns()
    assert error is not None
    # Moved by it, frames begin `lead` before a blank: within the noise, and rounding of the period.
    rest = (START_NS + phase - (START_NS + error + lead)) % period
    assert min(rest, period - rest) <= 200_000 + 1000
    assert abs(error) <= period // 2 + 200_000
    assert display.error_ns() is None
