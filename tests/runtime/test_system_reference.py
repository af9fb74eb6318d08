"""The system clock as a reference: what kernel and ptp4l say together, and every way it can be 37 s wrong."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.clock import NS_PER_S, SystemClock, VirtualClock
from runtime.references.ptp import PtpMonitor, PtpState
from runtime.references.system import KernelClock, Sync, SystemDiscipline, judge, read_kernel_clock

KEPT = KernelClock(synchronised=True, tai_offset_s=37)
UTC_NS = 1_800_000_000 * NS_PER_S
TAI_NS = UTC_NS + 37 * NS_PER_S
LOCKED = PtpState(
    0, True, "aa.bb.cc", 12, TAI_NS, "SLAVE", "eth0", "HARDWARE", 37, utc_offset_valid=True, ptp_timescale=True
)


def codes(sync: Sync) -> set[str]:
    assert all(problem.mend for _, problem in sync.alarms)
    return {problem.code for _, problem in sync.alarms}


def seen(kernel: KernelClock, ptp: PtpState | None = None, *, tai_ns: int = TAI_NS, followed: bool = False) -> Sync:
    return judge(kernel, ptp, -TAI_NS, tai_ns=tai_ns, realtime_ns=tai_ns - 37 * NS_PER_S, followed=followed)


@pytest.mark.parametrize("ptp", [None, LOCKED])
def test_a_clock_that_is_kept_is_good(ptp: PtpState | None) -> None:
    sync = seen(KEPT, ptp)
    assert (sync.good, sync.alarms, sync.epoch_ns) == (True, (), -TAI_NS)


def test_a_clock_that_nobody_keeps_is_not() -> None:
    sync = seen(replace(KEPT, synchronised=False))
    assert not sync.good
    assert codes(sync) == {"clock.unsynchronised"}
    # ptp4l with a card disciplines before the kernel calls it so.
    assert seen(replace(KEPT, synchronised=False), LOCKED).good


def test_a_grandmaster_that_is_gone_is_told_although_the_kernel_says_kept() -> None:
    for state in ("LISTENING", "silent", "FAULTY"):
        lost = replace(LOCKED, elsewhere=False, port_state=state)
        assert codes(seen(KEPT, lost)) == {"clock.grandmaster_lost"}
    leads = replace(LOCKED, elsewhere=False, port_state="MASTER")
    assert seen(KEPT, leads).good, "this machine is the one that others follow"
    assert codes(seen(KEPT, leads, followed=True)) == {"clock.grandmaster_lost"}
    settling = replace(LOCKED, port_state="UNCALIBRATED")
    assert (seen(KEPT, settling).good, codes(seen(KEPT, settling))) == (True, {"clock.ptp_settling"})


def test_every_way_to_be_37_s_wrong_is_named() -> None:
    untold = seen(replace(KEPT, tai_offset_s=0))
    assert (untold.good, codes(untold)) == (True, {"clock.tai_unset"})
    counted = seen(replace(KEPT, tai_offset_s=1))
    assert codes(counted) == {"clock.tai_unset"}, "a leap second alone, counted from nothing"
    other = seen(KEPT, replace(LOCKED, utc_offset_s=38))
    assert codes(other) == {"clock.utc_offset"}
    for wrong_s in (37, -37):
        slipped = seen(KEPT, LOCKED, tai_ns=TAI_NS + wrong_s * NS_PER_S)
        assert not slipped.good
        (alarm,) = slipped.alarms
        assert (alarm[0], alarm[1].code, alarm[1].value) == ("critical", "clock.tai_slip", wrong_s)
        assert "phc2sys" in alarm[1].mend


def test_the_kernel_tells(tmp_path: Path) -> None:
    found = read_kernel_clock()
    assert isinstance(found.synchronised, bool)
    assert 0 <= found.tai_offset_s < 100
    assert abs(found.frequency_ppm) < 1000
    kernel_s = round((time.clock_gettime_ns(time.CLOCK_TAI) - time.time_ns()) / NS_PER_S)
    assert found.tai_offset_s == kernel_s
    discipline = SystemDiscipline(SystemClock(), PtpMonitor(tmp_path / "nobody"))
    sync = discipline.read(time.monotonic_ns())
    assert sync.kernel.tai_offset_s == kernel_s
    assert sync.epoch_ns is None or abs(sync.epoch_ns + SystemClock().tai_ns() - time.monotonic_ns()) < NS_PER_S
    assert sync.ptp is None
    discipline.close()


def test_a_kernel_that_tells_nothing_counts_as_one_that_nobody_keeps() -> None:
    def forbidden() -> KernelClock:
        raise OSError(1, "adjtimex")

    clock = VirtualClock()
    sync = SystemDiscipline(clock, None, kernel=forbidden, realtime_ns=clock.tai_ns).read(clock.now_ns())
    assert not sync.good
    assert sync.epoch_ns == clock.now_ns() - clock.tai_ns()


def test_setting_the_kernels_tai_while_a_show_runs_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """37 s were assumed; then ntpd tells the kernel 37: CLOCK_TAI jumps, our TAI does not."""
    kernel_s = 0

    def gettime(which: int) -> int:
        return UTC_NS + (kernel_s * NS_PER_S if which == time.CLOCK_TAI else 0)

    monkeypatch.setattr("runtime.clock.time.clock_gettime_ns", gettime)
    clock = SystemClock()
    assert (clock.tai_ns(), clock.tai_assumed, clock.tai_offset_s) == (TAI_NS, True, 37)
    kernel_s = 37
    assert (clock.tai_ns(), clock.tai_assumed, clock.tai_offset_s) == (TAI_NS, False, 37)
    kernel_s = 1
    assert (clock.tai_ns(), clock.tai_assumed, clock.tai_offset_s) == (TAI_NS + NS_PER_S, True, 38)
