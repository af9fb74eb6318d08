"""What a node tells: a report of every slot, its status ten times a second, and alarms while something fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from controller.action import ActionOrder
from controller.drawing import Painter
from controller.ledger import percentiles_of
from controller.rundir import RunDir
from controller.status import KIND_STATUS, STATUS_CAPACITY, Alarm, NodeStatus, RoleState, encode_status
from runtime.clock import NS_PER_MS
from runtime.rights import Rights
from runtime.ring import KIND_REPORTS, RingWriter
from stage.errors import OpenVolumeError
from stage.plan import CanvasReport, FramePlan, FrameReport, Reason, encode_report

log = logging.getLogger(__name__)

REPORT_SLOTS = 1024
REPORT_CAPACITY = 4032


class NodeTelling:
    """The rings a node tells by, and what it has counted."""

    def __init__(self, run: RunDir, name: str) -> None:
        self._name = name
        self._status = RingWriter.create(run.node_status(name), kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY)
        self._reports = RingWriter.create(
            run.reports(name), kind=KIND_REPORTS, slots=REPORT_SLOTS, capacity=REPORT_CAPACITY
        )
        self._presented = self._repeated = 0
        self._repeats: dict[str, int] = {}
        self._alarms: dict[str, Alarm] = {}

    def close(self) -> None:
        """Let the rings go."""
        self._status.close()
        self._reports.close()

    def report(
        self,
        slot: int,
        painter: Painter,
        *,
        shown: int,
        reason: Reason,
        presented: bool,
        plan_hash: int = 0,
        t_draw_started_ns: int = 0,
        t_drawn_ns: int = 0,
        t_presented_ns: int,
    ) -> None:
        """What became of a slot; `shown` is the frame that is up, the hash and times are of its own drawing."""
        if presented:
            self._presented += 1
        else:
            self._repeated += 1
            self._repeats[reason] = self._repeats.get(reason, 0) + 1
        late = {name: CanvasReport(frame, "late_engine") for name, frame in painter.late.items()} if presented else {}
        report = FrameReport(
            frame=slot,
            node=self._name,
            plan_hash=plan_hash,
            canvases={name: CanvasReport(shown, reason) for name in painter.canvases} | late,
            t_draw_started_ns=t_draw_started_ns,
            t_drawn_ns=t_drawn_ns,
            t_presented_ns=t_presented_ns,
        )
        self._reports.publish(encode_report(report), frame=slot, t_ns=t_presented_ns)

    def failed(self, code: str, error: Exception, now_ns: int) -> None:
        """Tell a failure once, with its traceback, and keep an alarm up until the same thing works again."""
        detail = str(error) if isinstance(error, OpenVolumeError) else f"{type(error).__name__}: {error}"
        if code not in self._alarms:
            log.error("%s: the last picture stays", code, exc_info=error)
        since_ns = self._alarms[code].since_ns if code in self._alarms else now_ns
        mend = "see the node's log; a change back mends it"
        path, values = f"nodes/{self._name}", {"error": detail}
        self._alarms[code] = Alarm(code, path, detail, "critical", mend, since_ns, values)

    def works(self, code: str) -> None:
        """What had failed works again."""
        self._alarms.pop(code, None)

    def status(
        self,
        now_ns: int,
        state: RoleState,
        painter: Painter,
        *,
        shown: int,
        plan: FramePlan | None,
        rights: Rights,
        draw_ns: Iterable[int],
        held: ActionOrder,
    ) -> None:
        """How the node is. plan : the newest it knows; draw_ns : what its last drawings took; held : the action."""
        alarms = [*self._alarms.values(), *painter.alarms]
        if rights.mend:
            path, why = f"nodes/{self._name}", {"reason": rights.why}
            alarms.append(Alarm("node.no_realtime", path, rights.why, "info", rights.mend, values=why))
        status = NodeStatus(
            t_ns=now_ns,
            pid=self._status.writer_pid,
            node=self._name,
            state=state,
            frame=shown,
            show_version=plan.show_version if plan else 0,
            config_version=plan.config_version if plan else 0,
            rt_class=rights.rt_class,
            renderer=painter.device,
            canvases=list(painter.canvases),
            presented=self._presented,
            repeated=self._repeated,
            repeats=self._repeats,
            draw_ms=percentiles_of([ns / NS_PER_MS for ns in draw_ns]),
            scenes=painter.scenes,
            scene_budget_bytes=painter.scene_budget_bytes,
            loading=painter.loading,
            action=held.action,
            action_stamp_ns=held.stamp_ns,
            alarms=alarms,
        )
        self._status.publish(encode_status(status), frame=shown, t_ns=now_ns)
        self._status.heartbeat(now_ns)
