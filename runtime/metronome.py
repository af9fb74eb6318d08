"""A pacer that only sleeps: what it loses, the machine took. The yardstick of every real-time claim.

Timing tests and `openvolume bench` run it beside the thing they measure, in a process of equal scheduling class:
slots lost beyond the metronome's are the product's own. As a command it prints its report as one JSON line:
`python -P -m runtime.metronome 24/1 600 [--fifo 20]`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.clock import NS_PER_MS, Clock, SystemClock
from runtime.pace import Pacer
from runtime.rights import take_fifo
from stage.rate import Rate, parse_rate


@dataclass(frozen=True, slots=True)
class Spread:
    """p50, p95, p99 and maximum of a set of values, in the values' own unit; all 0 for an empty set."""

    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """By nearest rank: every figure is one that was measured."""
        if not values:
            return cls(0.0, 0.0, 0.0, 0.0)
        ranked = sorted(values)
        at = [ranked[min(len(ranked) - 1, max(0, -(-len(ranked) * share // 100) - 1))] for share in (50, 95, 99)]
        return cls(at[0], at[1], at[2], ranked[-1])


@dataclass(frozen=True, slots=True)
class MetronomeReport:
    """What a machine did to a process that did nothing.

    slots : slots asked for; host_stalls : slots lost whole; half_late : slots taken over half a period late;
    late_ms : how late the taken slots were; rt_class : 0 or the FIFO priority; stolen_ms : processor time the
    hypervisor took meanwhile (a window with any is void).
    """

    slots: int
    host_stalls: int
    half_late: int
    late_ms: Spread
    rt_class: int
    stolen_ms: float


class Metronome:
    """Sleeps from slot to slot and counts its own late ones. One `Role`: `start`, `step`, `stop`."""

    def __init__(self, clock: Clock, rate: Rate, *, slots: int, lead_ns: int = 20 * NS_PER_MS) -> None:
        self._clock = clock
        self._rate = rate
        self._slots = slots
        self._lead_ns = lead_ns
        self._pacer = Pacer(rate, clock.now_ns() + lead_ns)
        self._late_ns: list[int] = []
        self._half_late = 0
        self._stolen_start_ns = 0

    def start(self) -> None:
        """Begin with slot 0 a lead from now, so that the first sleep is a whole one."""
        self._pacer = Pacer(self._rate, self._clock.now_ns() + self._lead_ns)
        self._stolen_start_ns = stolen_ns()

    def step(self, now_ns: int) -> int | None:
        """Take the slot that is due; the next deadline, None once all slots have passed."""
        due = self._pacer.take(now_ns)
        if due is not None and due.frame < self._slots:
            self._late_ns.append(due.late_ns)
            self._half_late += due.late_ns * 2 > self._rate.period_ns
        return self._pacer.deadline_ns if self._pacer.frame < self._slots else None

    def stop(self) -> None:
        """Nothing is held."""

    def run(self) -> MetronomeReport:
        """All slots, on the calling thread."""
        self.start()
        deadline_ns = self.step(self._clock.now_ns())
        while deadline_ns is not None:
            self._clock.sleep_until(deadline_ns)
            deadline_ns = self.step(self._clock.now_ns())
        self.stop()
        return self.report()

    def report(self, *, rt_class: int = 0) -> MetronomeReport:
        """The figures so far."""
        passed = min(self._slots, self._pacer.frame)
        return MetronomeReport(
            slots=passed,
            host_stalls=passed - len(self._late_ns),
            half_late=self._half_late,
            late_ms=Spread.of([late_ns / NS_PER_MS for late_ns in self._late_ns]),
            rt_class=rt_class,
            stolen_ms=(stolen_ns() - self._stolen_start_ns) / NS_PER_MS,
        )


def stolen_ns(stat: Path = Path("/proc/stat")) -> int:
    """Processor time the hypervisor gave to others since boot, over all cores; 0 where the kernel does not say."""
    try:
        words = stat.read_text().split("\n", 1)[0].split()
    except OSError:
        return 0
    # "cpu user nice system idle iowait irq softirq steal ...", in ticks of 10 ms.
    return int(words[8]) * 10 * NS_PER_MS if len(words) > 8 and words[0] == "cpu" else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one metronome and print its report."""
    parser = argparse.ArgumentParser(prog="python -P -m runtime.metronome", description="Count this machine's stalls.")
    parser.add_argument("rate", type=parse_rate, help="frames a second: 24, 23.976, 24000/1001")
    parser.add_argument("slots", type=int, help="how many slots")
    parser.add_argument("--fifo", type=int, default=0, help="SCHED_FIFO priority to ask for (0: none)")
    given = parser.parse_args(arguments)
    rt_class = take_fifo(given.fifo).rt_class if given.fifo else 0
    metronome = Metronome(SystemClock(), given.rate, slots=given.slots)
    metronome.run()
    sys.stdout.write(json.dumps(asdict(metronome.report(rt_class=rt_class))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
