"""Builds what is wrong: alarms of every process, and whether pictures reach the walls. It only reads."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

from controller.api.backend import Backend
from controller.api.present_running import clock, state_of
from controller.api.views import (
    HealthView,
)
from controller.desk import Desk
from controller.status import Alarm

REPEATS_S: Final = 2.0
REPEATS_PER_S: Final = 3
_MENDS: Final = {
    "late_draw": "drawing takes longer than a frame: a larger render.scale, a smaller scene, or a GPU",
    "late_plan": "plans come late: free the machine, and see openvolume preflight for real-time rights",
    "host_stall": "the machine stands still now and then: free it of other work",
    "fenced": "it is restarted by itself; if it stays away, Timing names the process, and its log says why",
    "late_engine": "an engine is late: see its own log, or switch it off (engines/<id>/enabled)",
    "none": "a node says nothing of why: report it",
}
"""Reasons that nobody asked for (HOLD and switching are meant), and what to do about each."""
_CAUSES: Final = {
    "late_draw": "they are drawn too late",
    "late_plan": "they are planned too late",
    "host_stall": "the machine stood still",
    "fenced": "a node was away",
    "late_engine": "an engine is late",
    "none": "of what its node does not tell",
}
_SEVERITY: Final = {"critical": 0, "warning": 1, "info": 2}


def alarms(backend: Backend, own: list[Alarm]) -> list[Alarm]:
    """Every alarm, the worst first; one for each code and path."""
    found: dict[tuple[str, str], Alarm] = {}
    told = [*own, *_absences(backend), *_repeats(backend)]
    if backend.conductor is not None:
        told += backend.conductor.alarms
    for status in (*backend.nodes.values(), *([backend.darkroom] if backend.darkroom is not None else [])):
        told += status.alarms
    if backend.recorder is not None:
        told += backend.recorder.alarms
    if backend.relay is not None:
        told += backend.relay.alarms
    if backend.processors is not None:
        told += backend.processors.alarms
    if backend.windows is not None:
        told += backend.windows.alarms
    if backend.sender is not None:
        told += backend.sender.alarms
    if backend.capture is not None:
        told += backend.capture.alarms
    if backend.supervisor is not None:
        told += [
            Alarm(
                "supervisor.given_up",
                f"processes/{name}",
                f"it ended {child.restarts} times and is not restarted at once any more ({child.last_exit})",
                "critical",
                "read its log; it is tried again now and then",
                values={"ends": child.restarts, "last_exit": str(child.last_exit)},
            )
            for name, child in backend.supervisor.children.items()
            if child.state == "failed"
        ]
    for alarm in told:
        found.setdefault((alarm.code, alarm.path), alarm)
    return sorted(found.values(), key=lambda alarm: (_SEVERITY[alarm.severity], alarm.path, alarm.code))


def _repeats(backend: Backend) -> list[Alarm]:
    """Slots that repeat an older picture, as soon as they are three a second."""
    rate = backend.ledger.rate
    recent = backend.ledger.latest(round(REPEATS_S * rate.hz))
    reasons = Counter(record.reason for record in recent if record.presented is False and record.reason in _MENDS)
    repeated = reasons.total()
    if not recent or repeated < REPEATS_PER_S * REPEATS_S:
        return []
    reason = reasons.most_common(1)[0][0]
    share = max(5, round(20 * repeated / len(recent)) * 5)
    detail = f"about {share} % of the slots repeat an older picture, mostly because {_CAUSES[reason]} ({reason})"
    values = {"repeated_percent": share, "reason": reason}
    return [Alarm("frames.repeated", "frames", detail, "warning", _MENDS[reason], values=values)]


def _absences(backend: Backend) -> list[Alarm]:
    """Processes that are gone or silent."""
    gone: list[tuple[str, str, str, Literal["critical", "warning"]]] = []
    state = state_of(backend, backend.conductor)
    if state in ("gone", "stale"):
        gone.append(("conductor", state, "the nodes go on by themselves; cameras are not followed", "critical"))
    for name, status in sorted(backend.nodes.items()):
        state = state_of(backend, status)
        if state in ("gone", "stale"):
            gone.append((f"nodes/{name}", state, "its walls hold their last picture", "critical"))
    if backend.darkroom is not None and (state := state_of(backend, backend.darkroom)) in ("gone", "stale"):
        gone.append(("darkroom", state, "no photos are made", "warning"))
    if backend.processors is not None and (state := state_of(backend, backend.processors)) in ("gone", "stale"):
        gone.append(("processors", state, "LED processors stay as they are and are not looked after", "warning"))
    shows = backend.windows is not None and backend.windows.windows
    if shows and (state := state_of(backend, backend.windows)) in ("gone", "stale"):
        gone.append(("windows", state, "monitors hold their last picture", "critical"))
    return [
        Alarm(f"process.{state}", path, f"it {'hangs' if state == 'stale' else 'is not there'}: {effect}", severity,
              "the supervisor restarts it within a second; if it stays, read its log", values={"effect": effect})
        for path, state, effect, severity in gone
    ]  # fmt: skip


def health(desk: Desk, backend: Backend, *, uptime_s: float, version: str, own: list[Alarm]) -> HealthView:
    """Whether pictures reach the walls."""
    conductor = state_of(backend, backend.conductor, "conductor")
    drawing = {name: state_of(backend, status) for name, status in sorted(backend.nodes.items())}
    told = alarms(backend, own)
    worst = told[0].severity if told else None
    alive = any(state in ("running", "ready") for state in drawing.values())
    if not alive:
        status: Literal["ok", "degraded", "down"] = "down"
    elif (
        conductor != "running"
        or worst in ("critical", "warning")
        or any(s not in ("running", "ready") for s in drawing.values())
    ):
        status = "degraded"
    else:
        status = "ok"
    plan = backend.plan
    return HealthView(
        status=status,
        name=desk.loaded.name,
        run=backend.run.run,
        version=version,
        rev=desk.rev,
        rate=str(desk.stage.rate),
        uptime_s=round(uptime_s, 3),
        frame=plan.frame if plan is not None else 0,
        timecode=plan.timecode if plan is not None else "",
        reference=clock(backend).reference,
        clock=clock(backend).state,
        action=backend.action().action,
        conductor=conductor,
        nodes=drawing,
        darkroom=state_of(backend, backend.darkroom, "darkroom"),
        alarms=len(told),
        severity=worst,
    )
