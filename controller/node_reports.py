"""What nodes report, read out of their rings: newest first seen, none twice, also after a conductor was killed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from controller.lead import wanted_from_ns
from controller.ledger_record import SCREENS
from controller.rundir import RunDir
from runtime.clock import NS_PER_S
from runtime.ring import KIND_REPORTS, RingReader
from stage.plan import FrameReport, decode_report

LOOK_NS: Final = NS_PER_S // 50
"""How often it looks whether a node that was not there has come."""
KEPT_FRAMES: Final = 256


class NodeReports:
    """The reports of a run's nodes.

    Attributes
    ----------
    read_to : by node: the number of the last report taken, which a successor goes on from
    """

    def __init__(self, run: RunDir, nodes: Sequence[str]) -> None:
        # Screens tell when pictures were seen, as nodes tell when they were drawn.
        self._run, self._nodes = run, [*nodes, SCREENS]
        self.read_to: dict[str, int] = dict.fromkeys(self._nodes, 0)
        self._readers: dict[str, RingReader] = {}
        self._look_due_ns = 0
        self._published_ns: dict[int, int] = {}
        self._shown_ns: dict[str, tuple[int, int]] = {}
        """By node: the slot it ended last, and when."""

    def published(self, frame: int, t_ns: int) -> None:
        """A plan went out."""
        self._published_ns[frame] = t_ns
        self._published_ns.pop(frame - KEPT_FRAMES, None)

    def read(self, now_ns: int) -> Iterator[FrameReport]:
        """Every report that has come since."""
        look = now_ns >= self._look_due_ns
        if look:
            self._look_due_ns = now_ns + LOOK_NS
        for node in self._nodes:
            reader = self._readers.get(node)
            if reader is None:
                reader = RingReader.try_open(self._run.reports(node), kind=KIND_REPORTS) if look else None
                if reader is None:
                    continue
                self._readers[node] = reader
            batch = reader.read_since(self.read_to[node])
            self.read_to[node] = batch.latest_n
            for slot in batch.slots:
                yield decode_report(slot.data)

    def plan_to_drawn_ns(self, report: FrameReport) -> int | None:
        """From when the node could have begun with the plan to the picture being ready; None where it drew none of
        ours. To be asked once a report, in order."""
        published_ns = self._published_ns.get(report.frame)
        took_ns = None
        if published_ns is not None and report.t_drawn_ns:
            frame_before, free_ns = self._shown_ns.get(report.node, (0, 0))
            if frame_before == report.frame - 1:
                published_ns = wanted_from_ns(published_ns, free_ns, report.t_draw_started_ns)
            took_ns = max(0, report.t_drawn_ns - published_ns)
        self._shown_ns[report.node] = (report.frame, report.t_presented_ns)
        return took_ns
