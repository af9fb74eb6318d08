"""Builds the resources of what runs: processes, frames, their latencies, and slots of the ledger. It only reads."""

from __future__ import annotations

from statistics import median
from typing import Final

import msgspec

from controller.api.backend import PATIENCE_NS, STALE_NS, AnyStatus, Backend
from controller.api.views import (
    ConductorView,
    FramesView,
    NodeState,
    NodesView,
    NodeView,
    RecordView,
    StallsView,
    StatisticsView,
    StoredView,
)
from controller.ledger_record import FrameRecord, Steps, intervals_ms, steps_ms
from controller.ledger_words import Why
from controller.status import NodeStatus, Percentiles
from runtime.clock import NS_PER_MS
from runtime.clock_report import ClockReport

WINDOW: Final = 512
"""Frames that live percentiles are made of."""
COURSE: Final = 240
STEPS: Final = 128
"""Frames that the median frame is made of."""
COURSES: Final = ("receive_to_present", "draw", "receive_to_plan")


def state_of(backend: Backend, status: AnyStatus | None, role: str = "") -> NodeState:
    """How a process stands: what it says of itself, unless it says nothing any more. One that has said nothing yet
    stands as the supervisor has it under the name of its role; it has not gone."""
    age_ns = backend.age_ns(status)
    if status is None:
        told = None if backend.supervisor is None else backend.supervisor.children.get(role)
        return "gone" if told is None else "starting" if told.state in ("running", "ready") else told.state
    if age_ns is None:
        return "gone"
    # The darkroom says nothing while it makes a photo, which may take seconds beside a busy node.
    patient = status is backend.darkroom or status is backend.processors
    patience_ns = PATIENCE_NS if patient else STALE_NS
    return "stale" if age_ns > patience_ns and status.state in ("running", "ready") else status.state


def nodes(backend: Backend) -> NodesView:
    """Every process of the run."""
    conductor = backend.conductor
    told = backend.supervisor
    return NodesView(
        conductor=None
        if conductor is None
        else ConductorView(
            state=state_of(backend, conductor),
            pid=conductor.pid,
            frame=conductor.frame,
            show_version=conductor.show_version,
            config_version=conductor.config_version,
            rt_class=conductor.rt_class,
            lead_ms=conductor.lead_ms,
            plans=conductor.plans,
            slots_skipped=conductor.slots_skipped,
            own_share_ms=conductor.own_share_ms,
            resolution=conductor.resolution,
            age_ms=(backend.age_ns(conductor) or 0) / NS_PER_MS,
        ),
        nodes=[node(backend, status) for _, status in sorted(backend.nodes.items())],
        darkroom=node(backend, backend.darkroom) if backend.darkroom is not None else None,
        processes=told.children if told is not None else {},
    )


def node(backend: Backend, status: NodeStatus) -> NodeView:
    """One process that draws."""
    return NodeView(
        id=status.node,
        state=state_of(backend, status),
        pid=status.pid,
        frame=status.frame,
        show_version=status.show_version,
        config_version=status.config_version,
        rt_class=status.rt_class,
        renderer=status.renderer,
        canvases=list(status.canvases),
        presented=status.presented,
        repeated=status.repeated,
        repeats=status.repeats,
        draw_ms=status.draw_ms,
        action=status.action,
        age_ms=(backend.age_ns(status) or 0) / NS_PER_MS,
    )


def frames(backend: Backend, *, window: int = WINDOW, course: int = COURSE) -> FramesView:
    """Counts and latencies."""
    ledger = backend.ledger
    return FramesView(
        rate=str(ledger.rate),
        frames=ledger.frames,
        presented=ledger.presented,
        repeated=ledger.repeated,
        repeats=ledger.repeats,
        made_by_node=ledger.made_by_node,
        first_frame=ledger.first_frame,
        window=window,
        latency_ms={name: _rounded(value) for name, value in ledger.latency_ms(window).items()},
        age_ms={name: _rounded(value) for name, value in ledger.age_ms(window).items()},
        course_ms={name: [round(v, 3) for v in ledger.history_ms(name, course)] for name in COURSES},
        clock=clock(backend),
    )


def clock(backend: Backend) -> ClockReport:
    """How the show's time stands, as the conductor said last."""
    return backend.conductor.clock if backend.conductor is not None else ClockReport()


def statistics(backend: Backend, *, window: int = WINDOW) -> StatisticsView:
    """Where the time goes."""
    ledger = backend.ledger
    drawn = [steps for found in ledger.latest(min(window, STEPS)) if (steps := steps_ms(found)) is not None]
    medians = [round(median(values), 4) for values in zip(*drawn, strict=True)]
    stalls_ms = [(end_ns - first_ns) / NS_PER_MS for note in backend.notes for first_ns, end_ns in note.stalls]
    told = backend.recorder
    return StatisticsView(
        rate=str(ledger.rate),
        window=window,
        frames=ledger.frames,
        presented=ledger.presented,
        repeated=ledger.repeated,
        repeats=ledger.repeats,
        made_by_node=ledger.made_by_node,
        latency_ms={name: _rounded(value) for name, value in ledger.latency_ms(window).items()},
        age_ms={name: _rounded(value) for name, value in ledger.age_ms(window).items()},
        steps_ms=dict(zip(Steps._fields, medians, strict=False)),
        stalls=StallsView(
            ledger.stalls, round(ledger.stalled_ns / NS_PER_MS, 3), [round(ms, 3) for ms in stalls_ms[-COURSE:]]
        ),
        stored=None
        if told is None
        else StoredView(told.frame, told.frames, told.lost, told.missed, told.written_bytes, told.path),
    )


def record(found: FrameRecord, why: Why | None = None) -> RecordView:
    """One slot of the ledger."""
    return RecordView(
        frame=found.frame,
        presented=found.presented,
        reason=found.reason,
        t_present_ns=found.t_present_ns,
        t_latched_ns=found.t_latched_ns,
        t_published_ns=found.t_published_ns,
        plan_hash=f"{found.plan_hash:016x}",
        show_version=found.show_version,
        config_version=found.config_version,
        cameras=msgspec.to_builtins(found.cameras),
        nodes={
            name: {
                **msgspec.to_builtins(stamps),
                # 64 bits do not fit a JSON number of every reader.
                "plan_hash": f"{stamps.plan_hash:016x}",
            }
            for name, stamps in found.nodes.items()
        },
        intervals_ms={name: round(ms, 4) for name, ms in intervals_ms(found).items()},
        age_ms={name: round(stamps.age_ms, 4) for name, stamps in found.cameras.items() if stamps.t_sampled_ns},
        stall_ms=round(found.stall_ns / NS_PER_MS, 3),
        waited_ms={name: round(ns / NS_PER_MS, 3) for name, ns in found.waited_ns.items()},
        why=why.sentences if why is not None else [],
    )


def _rounded(value: Percentiles) -> Percentiles:
    return Percentiles(*(round(v, 4) for v in (value.p50, value.p95, value.p99, value.max)))
