"""When a process is hung: its heartbeat stands still although it had the processor, or nothing to wait for.

On a machine with more work than processors a good process stands in the kernel's queue for seconds. To kill it makes
that worse: it begins anew, with more to do than before, and is killed again. So what its threads have stood in that
queue does not count. Who sleeps for ever, spins or was stopped stands in no queue, and is found after `timeout_s` as
ever. Standard library only, as the supervisor that asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

from controller.processes.run_spec import HeartbeatSpec

NS_PER_S: Final = 1_000_000_000
STARVED_MOST: Final = 8
"""So many times its patience the supervisor waits at most, however little of a processor a process got."""

Waits = Mapping[int, int]
"""By thread: how long it has stood in the kernel's queue since it began, in nanoseconds."""


def waits_of(pid: int) -> Waits:
    """What the kernel says of a living process; nothing where it keeps no account, or the process is gone."""
    found: dict[int, int] = {}
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
                found[int(thread)] = int(file.read().split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return found


class HangWatch:
    """Watches the heartbeat of one process. Pure: it is told the time, and asks `waits` for the queues."""

    def __init__(self, beat: HeartbeatSpec, waits: Callable[[], Waits]) -> None:
        self._beat, self._waits = beat, waits
        self._since_ns = -1
        self._before: Waits | None = None

    def hung(self, since_ns: int, now_ns: int, *, first: bool) -> str:
        """Why it is hung; empty: it is not.

        since_ns : its last heartbeat, or when it was started or last excused; first : it has never beaten.
        """
        timeout_s = self._beat.start_timeout_s if first else self._beat.timeout_s
        if since_ns != self._since_ns:
            self._since_ns, self._before = since_ns, None
        age_ns, patience_ns = now_ns - since_ns, round(timeout_s * NS_PER_S)
        if self._before is None and age_ns > patience_ns // 2:
            # Looked at only now: what beats as it should costs nothing. What it stood before this counts against it.
            self._before = self._waits()
        if age_ns <= patience_ns:
            return ""
        starved_ns = self._starved_ns()
        if age_ns - starved_ns <= patience_ns and age_ns <= STARVED_MOST * patience_ns:
            return ""
        what = f"no first heartbeat within {age_ns / NS_PER_S:.1f} s" if first else (
            f"no heartbeat for {age_ns / NS_PER_S:.2f} s"
        )  # fmt: skip
        told = starved_ns > patience_ns // 10
        return f"hung: {what}" + (f", {starved_ns / NS_PER_S:.1f} s of them without a processor" if told else "")

    def _starved_ns(self) -> int:
        # The thread that beats may wait for a lock (Python's own) of one that stands in the queue: the longest counts.
        before = self._before or {}
        return max((ns - before.get(thread, 0) for thread, ns in self._waits().items()), default=0)
