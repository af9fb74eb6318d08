"""What the conductor says of itself ten times a second: state, clock, sources, cameras, alarms."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from controller.camera_status import camera_status, resolution_status
from controller.lead import AdaptiveLead
from controller.ledger import Series
from controller.planner import all_held
from controller.resolution import DynamicResolution
from controller.sources import source_alarms, source_status
from controller.status import Alarm, ConductorStatus, RoleState
from controller.versions import Version
from runtime.clock import NS_PER_MS
from runtime.rights import Rights
from runtime.timekeeper import Timekeeper
from stage.plan import FramePlan
from tracking.inputs import TrackingInputs

WINDOW = 512
"""Frames that the status tells percentiles of; the report takes all."""


def conductor_status(
    state: RoleState,
    *,
    now_ns: int,
    frame: int,
    epoch: int,
    plans: int,
    slots_skipped: int,
    version: Version,
    lead: AdaptiveLead,
    keeper: Timekeeper,
    rights: Rights,
    inputs: TrackingInputs,
    resolution: DynamicResolution,
    last: FramePlan | None,
    own_ms: Series,
    history_ms: Series,
    alarms: Sequence[Alarm],
    between: Callable[[], object],
) -> ConductorStatus:
    """The whole status. between : called after each longer piece, so that what comes meanwhile need not wait for all
    of them."""
    sources = source_status(inputs, now_ns)
    between()
    cameras = camera_status(last, version.planner)
    between()
    own_share_ms, receive_to_history_ms = own_ms.percentiles(WINDOW), history_ms.percentiles(WINDOW)
    between()
    told = [*alarms, *source_alarms(inputs, now_ns)]
    told += [
        Alarm(p.code, p.path, p.detail, weight, p.mend, since, p.values) for weight, p, since in keeper.alarms(now_ns)
    ]
    if rights.mend:
        why = {"reason": rights.why}
        told.append(Alarm("conductor.no_realtime", "conductor", rights.why, "info", rights.mend, values=why))
    rate, held = version.stage.rate, all_held(version.show)
    return ConductorStatus(
        t_ns=now_ns,
        pid=os.getpid(),
        state=state,
        frame=max(0, frame - 1),
        rate=(rate.num, rate.den),
        epoch=epoch,
        t0_ns=keeper.frames.deadline_ns(0),
        show_version=version.show.version,
        config_version=version.show.config_version,
        rt_class=rights.rt_class,
        lead_ms=lead.lead_ns / NS_PER_MS,
        plans=plans,
        slots_skipped=slots_skipped,
        own_share_ms=own_share_ms,
        clock=keeper.report(now_ns),
        receive_to_history_ms=receive_to_history_ms,
        sources=sources,
        cameras=cameras,
        resolution=resolution_status(resolution, held=held),
        alarms=told,
    )
