"""A system clock that tests keep: what `runtime.references.system` reads, under a virtual clock."""

from __future__ import annotations

from typing import Any

from runtime.clock import NS_PER_S
from runtime.references.ptp import PtpState
from runtime.references.system import KernelClock, Sync, judge

TAI_MINUS_MONOTONIC_NS = 1_700_000_000 * NS_PER_S
"""Of a fresh VirtualClock."""


class KeptClock:
    """Discipline: kept by PTP until a test says otherwise. `step` sets the clock of `show` by so much."""

    def __init__(self, *, tai_minus_monotonic_ns: int = TAI_MINUS_MONOTONIC_NS) -> None:
        self.epoch_ns = -tai_minus_monotonic_ns
        self.kernel = KernelClock(synchronised=True, tai_offset_s=37, max_error_ns=2_000)
        self.ptp: PtpState | None = None
        self.followed = False
        self.reads = 0

    def read(self, now_ns: int) -> Sync:
        self.reads += 1
        tai_ns = now_ns - self.epoch_ns
        utc_ns = tai_ns - self.kernel.tai_offset_s * NS_PER_S
        return judge(self.kernel, self.ptp, self.epoch_ns, tai_ns=tai_ns, realtime_ns=utc_ns, followed=self.followed)

    def close(self) -> None:
        pass

    def lose(self) -> None:
        """Nobody keeps it any more."""
        self.kernel = KernelClock(synchronised=False, tai_offset_s=37)

    def keep(self) -> None:
        """Somebody does again."""
        self.kernel = KernelClock(synchronised=True, tai_offset_s=37)

    def step(self, show: Any, delta_ns: int) -> None:
        """Set the time of day (and TAI with it) by so much."""
        show.clock.step_tai(delta_ns)
        self.epoch_ns -= delta_ns
