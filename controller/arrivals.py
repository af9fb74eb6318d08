"""How long samples of tracking took from the kernel's stamp until plans could use them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from controller.ledger import Series
from runtime.clock import NS_PER_MS
from stage.plan import FramePlan
from tracking.sample import Sample


class Arrivals:
    """`history_ms`: of every sample; and of the newest of each source, for the plan that is made from it."""

    def __init__(self, keep: int) -> None:
        self.history_ms = Series(keep)
        self._joined: dict[str, tuple[int, int]] = {}

    def joined(
        self,
        samples: Sequence[Sample],
        *,
        began_ns: int,
        joined_ns: int,
        deaf_from_ns: int,
        latch: bool,
        practising: bool,
    ) -> None:
        """Note samples that came into their history, read since `began_ns`.

        Of those that came after `deaf_from_ns`, when it stopped listening for the frame, the wait for the latch is
        left out: what is read in between, `practising`, counts from when its reading began; what is read at the latch
        is part of that.
        """
        note, joined = self.history_ms.add, self._joined
        waits = latch or practising
        for sample in samples:
            t_received_ns = sample.t_received_ns
            if waits and t_received_ns >= deaf_from_ns:
                joined[sample.source] = (sample.packet_id, 0 if latch else max(0, joined_ns - began_ns))
                continue
            took_ns = joined_ns - t_received_ns if joined_ns > t_received_ns else 0
            joined[sample.source] = (sample.packet_id, took_ns)
            note(took_ns / NS_PER_MS)

    def slowest_ns(self, plan: FramePlan) -> int:
        """How long the slowest of the samples a plan is made from took into its history."""
        took = [
            self._joined[camera.source][1]
            for camera in plan.cameras
            if camera.source in self._joined and self._joined[camera.source][0] == camera.packet_id
        ]
        return max(took, default=0)
