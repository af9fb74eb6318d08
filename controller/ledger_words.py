"""Why a frame was late, in words: which step took longer than usual, whose it was, and what else happened then.

Pure: one slot's record, its neighbours, the metronome's notes and the events of that time go in; sentences come out.
Every figure in them is one of the ledger's.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

from msgspec import Struct

from controller.ledger_record import (
    GRACE_SHARE,
    SCREENS,
    STEP_PROCESS,
    STEP_WORDS,
    Event,
    FrameRecord,
    HostNote,
    Steps,
    last_node,
    newest_camera,
    period_ns,
    steps_ms,
)
from runtime.clock import NS_PER_MS, NS_PER_S

REASON_WORDS: Final = {
    "late_draw": "drawing was late",
    "late_plan": "the plan was late",
    "host_stall": "the machine stood still",
    "no_plan": "no plan came",
    "switching": "switching the configuration",
    "held": "HOLD was ordered",
    "fenced": "a node, or what shows it on monitors, was away",
    "late_engine": "an engine's picture was late",
    "none": "no reason told",
}
"""What each reason is called where people read it."""
SENT_WORDS: Final = {
    "late": "packets left late, or an older picture in its place",
    "repeat": "the picture before was sent again, because none came in time",
    "held": "the picture before was sent again, because HOLD was ordered",
    "torn": "part of the picture before was in it",
    "away": "nothing was sent, because the sender was away",
}
"""What became of slots on the network (controller.st2110.status)."""
AROUND: Final = 60
"""Slots before and after a frame that say what is usual."""
EVENT_NS: Final = 3 * NS_PER_S
"""What happened so long before a slot may have cost it."""
AFTER_NS: Final = NS_PER_S // 4
"""What happened so long after it may tell why: an end is noticed when it has happened."""
_EVENT_WORDS: Final = {
    "process_ended": "ended", "process_started": "was started", "run_ending": "ended the run",
    "not_sent": "was not sent as it should have been",
}  # fmt: skip
_MUCH: Final = 1.3
"""A step this many times its usual length is longer than usual,"""
_LEAST_MS: Final = 0.5
"""if that is at least so much."""


class StepTold(Struct, frozen=True):
    """One step of a frame beside what is usual, ms."""

    step: str
    words: str
    process: str
    took_ms: float
    usual_ms: float
    longer: bool
    """Whether it took so much longer than usual that it is worth a word."""


class Why(Struct, frozen=True):
    """What became of a slot, and why."""

    frame: int
    presented: bool | None
    reason: str
    headline: str
    """One sentence."""
    details: list[str]
    steps: list[StepTold]
    """Empty when the frame was not drawn from its own plan."""

    @property
    def sentences(self) -> list[str]:
        """All of it."""
        return [self.headline, *self.details]


class _Usual(NamedTuple):
    steps: Steps
    lead_ms: float
    outer_share: float
    raster_px: dict[str, int]


def explain(
    record: FrameRecord,
    around: Sequence[FrameRecord],
    *,
    notes: Sequence[HostNote] = (),
    events: Sequence[Event] = (),
) -> Why:
    """Why a slot is as it is.

    around : slots before and after it, in order (about `AROUND` each way); the record itself may be among them.
    """
    before = [other for other in around if other.frame < record.frame]
    usual = _usual([other for other in around if other.frame != record.frame])
    steps = steps_ms(record)
    told = _steps(steps, usual)
    headline = _headline(record, before, usual, steps, notes, events)
    # What the headline says of a step need not be said again.
    details = _longer(told, record, headline)
    details += _plan_came(record, usual)
    details += _host(record, notes)
    details += _changes(record, before, usual)
    details += _packets(record)
    details += _sent(record)
    details += _events(record, events)
    details += _company(record, around)
    return Why(record.frame, record.presented, record.reason, headline, details, told)


def slot_ns(record: FrameRecord) -> int:
    """When a slot was due."""
    return record.t_present_ns or max((node.t_presented_ns for node in record.nodes.values()), default=0)


def shown_frame(record: FrameRecord) -> int | None:
    """The oldest frame on any wall while this slot repeated; None when no node told."""
    return min((node.shown_frame for node in record.nodes.values() if node.shown_frame >= 0), default=None)


def _headline(
    record: FrameRecord,
    before: Sequence[FrameRecord],
    usual: _Usual | None,
    steps: Steps | None,
    notes: Sequence[HostNote],
    events: Sequence[Event],
) -> str:
    name = f"Frame {record.frame}"
    if record.presented is None:
        return f"{name} has not been reported yet."
    if record.presented:
        return f"{name} was shown in its slot{_how_presented(record, steps)}."
    shown = shown_frame(record)
    older = f"frame {shown}" if shown is not None else "an earlier frame"
    repeated = f"{name} was not shown in its slot: the walls showed the picture of {older}"
    cause = _cause(record, before, usual, steps, notes, events)
    return f"{repeated}, because {cause}."


def _how_presented(record: FrameRecord, steps: Steps | None) -> str:
    if record.reason == "no_plan":
        return ", as a picture the node made from the plan before, because its own plan had not come"
    if steps is None:
        return ""
    node = last_node(record)
    assert node is not None
    early_ms = (record.t_present_ns - record.nodes[node].t_drawn_ns) / NS_PER_MS
    if early_ms < 0:
        return f"; it was ready {_ms(-early_ms)} after the slot began, which is still in time"
    return f"; it was ready {_ms(early_ms)} before it had to be"


def _cause(
    record: FrameRecord,
    before: Sequence[FrameRecord],
    usual: _Usual | None,
    steps: Steps | None,
    notes: Sequence[HostNote],
    events: Sequence[Event],
) -> str:
    if record.reason == "host_stall":
        if record.stall_ns:
            return f"the machine stood still for at least {_ms(record.stall_ns / NS_PER_MS)} while it was made"
        return _woken_late(record, notes)
    if record.reason == "held":
        return "HOLD was ordered"
    if record.reason == "late_engine":
        return "an engine that draws for it had no picture in time: its last one stayed up"
    if record.reason == "switching":
        return f"the node was loading configuration {record.config_version}, which it had not been told of before"
    if record.reason == "fenced":
        ended = [e for e in events if e.what == "process_ended" and -AFTER_NS < slot_ns(record) - e.t_ns < EVENT_NS]
        # Nodes handed it over, and a monitor that shows it is gone, or who shows it there.
        unseen = SCREENS in record.nodes or (ended and ended[-1].name == "windows")
        silent = "it was handed over, and not seen on every monitor" if unseen else "no node reported it"
        return silent + (f": {ended[-1].name} had ended ({ended[-1].detail})" if ended else "")
    if not record.planned:
        return "no plan was published for it"
    if record.reason == "late_plan":
        return _late_plan(record, usual)
    if steps is not None:
        return _late_draw(record, before, usual, steps)
    overdue = next((other for other in reversed(before[-8:]) if other.frame == shown_frame(record)), None)
    if overdue is not None and overdue.presented is False and last_node(overdue) is not None:
        return f"the picture of frame {overdue.frame} had come late and took its place: there was no time to draw both"
    busy = _busy_with(record, before)
    if busy is not None:
        other, took_ms = busy
        return f"the node was still drawing frame {other.frame}, which took {_ms(took_ms)}"
    return f"{REASON_WORDS[record.reason]}, and the node told no times"


def _woken_late(record: FrameRecord, notes: Sequence[HostNote]) -> str:
    """The node came too late to its slot, and no standstill that was noticed lay within its making."""
    due_ns, length_ns = slot_ns(record), period_ns(record)
    before = [(a, b) for note in notes for a, b in note.stalls if due_ns - 3 * length_ns < b <= due_ns + length_ns]
    if before:
        first_ns, end_ns = before[-1]
        return f"the machine had stood still for at least {_ms((end_ns - first_ns) / NS_PER_MS)} just before"
    return "the machine woke the node too late (for less time than the metronome notices, or other programs had it)"


def _late_plan(record: FrameRecord, usual: _Usual | None) -> str:
    early_ms = (record.t_present_ns - record.t_published_ns) / NS_PER_MS
    said = f"its plan was published {_ms(abs(early_ms))} {'before' if early_ms >= 0 else 'after'} the slot"
    if usual is None:
        return said
    said += f", and drawing usually takes {_ms(usual.steps.draw)}"
    latched_ms = (record.t_present_ns - record.t_latched_ns) / NS_PER_MS
    planning_ms = (record.t_published_ns - record.t_latched_ns) / NS_PER_MS
    if usual.lead_ms - latched_ms > max(_LEAST_MS, planning_ms - usual.steps.plan):
        return f"{said}: the conductor came to latch it {_ms(usual.lead_ms - latched_ms)} later than usual"
    return f"{said}: planning took {_ms(planning_ms)}, usually {_ms(usual.steps.plan)}"


def _late_draw(record: FrameRecord, before: Sequence[FrameRecord], usual: _Usual | None, steps: Steps) -> str:
    node = record.nodes[last_node(record) or ""]
    late_ms = (node.t_drawn_ns - record.t_present_ns) / NS_PER_MS
    grace_ms = period_ns(record) / GRACE_SHARE / NS_PER_MS
    ready = f"so it was ready {_ms(late_ms)} after its slot began ({_ms(grace_ms)} are forgiven)"
    if usual is None:
        return f"its drawing took {_ms(steps.draw)}, {ready}"
    longer = {name: getattr(steps, name) - getattr(usual.steps, name) for name in ("draw", "hand_over", "plan")}
    worst = max(longer, key=longer.__getitem__)
    if longer[worst] < _LEAST_MS:
        lead_ms = (record.t_present_ns - record.t_latched_ns) / NS_PER_MS
        return (
            f"it was begun too late for a drawing that took {_ms(steps.draw)} as usual: its poses were latched "
            f"{_ms(lead_ms)} before the slot, {ready}"
        )
    if worst == "draw":
        on = f"drawing on node {last_node(record)} took {_ms(steps.draw)}"
        return f"{on} instead of the usual {_ms(usual.steps.draw)}, {ready}"
    if worst == "hand_over":
        busy = _busy_with(record, before, at_ns=record.t_published_ns)
        why = f" (it was still drawing frame {busy[0].frame})" if busy is not None else ""
        return f"the node began to draw it {_ms(steps.hand_over)} after its plan was there{why}, {ready}"
    return f"planning took {_ms(steps.plan)} instead of the usual {_ms(usual.steps.plan)}, {ready}"


def _busy_with(
    record: FrameRecord, before: Sequence[FrameRecord], *, at_ns: int = 0
) -> tuple[FrameRecord, float] | None:
    """The earlier frame that was being drawn at a moment (by default when this one's slot began), and for how long."""
    at_ns = at_ns or slot_ns(record) - period_ns(record) // 2
    for other in reversed(before[-8:]):
        for node in other.nodes.values():
            if node.t_draw_started_ns and node.t_draw_started_ns < at_ns <= node.t_drawn_ns:
                return other, (node.t_drawn_ns - node.t_draw_started_ns) / NS_PER_MS
    return None


def _usual(others: Sequence[FrameRecord]) -> _Usual | None:
    """What is usual of the slots around: medians of those that were shown, of all that were drawn if none was."""
    drawn = [(other, steps) for other in others if (steps := steps_ms(other)) is not None]
    shown = [(other, steps) for other, steps in drawn if other.presented]
    chosen = shown if len(shown) >= 4 else drawn
    if len(chosen) < 4:
        return None
    rasters: dict[str, list[int]] = {}
    for other, _ in chosen:
        for name, camera in other.cameras.items():
            rasters.setdefault(name, []).append(camera.raster_px[0] * camera.raster_px[1])
    return _Usual(
        Steps(*(median(values) for values in zip(*(steps for _, steps in chosen), strict=True))),
        median((other.t_present_ns - other.t_latched_ns) / NS_PER_MS for other, _ in chosen),
        sum(other.outer_drawn for other, _ in chosen) / len(chosen),
        {name: int(median(values)) for name, values in rasters.items()},
    )


def _steps(steps: Steps | None, usual: _Usual | None) -> list[StepTold]:
    if steps is None:
        return []
    told: list[StepTold] = []
    for name in Steps._fields:
        took = getattr(steps, name)
        normal = getattr(usual.steps, name) if usual is not None else 0.0
        longer = usual is not None and name not in ("wait", "hold") and took > normal * _MUCH + _LEAST_MS
        told.append(StepTold(name, STEP_WORDS[name], STEP_PROCESS[name], round(took, 3), round(normal, 3), longer))
    return told


def _longer(told: Sequence[StepTold], record: FrameRecord, headline: str) -> list[str]:
    """Steps that exceeded their share and are not in the headline, the worst first."""
    found = sorted((step for step in told if step.longer), key=lambda step: step.usual_ms - step.took_ms)
    node = last_node(record)
    return [
        f"{step.words[0].upper()}{step.words[1:]} took {_ms(step.took_ms)}, usually {_ms(step.usual_ms)} "
        f"({step.process}{' ' + node if step.process == 'node' and node else ''})."
        for step in found
        if f"took {_ms(step.took_ms)} " not in headline
    ]


def _plan_came(record: FrameRecord, usual: _Usual | None) -> list[str]:
    """A plan that left too little time, where the reason does not say so."""
    if record.presented is not False or not record.planned or usual is None or record.reason == "late_plan":
        return []
    early_ms = (record.t_present_ns - record.t_published_ns) / NS_PER_MS
    if early_ms >= usual.steps.draw:
        return []
    when = f"{_ms(abs(early_ms))} {'before' if early_ms >= 0 else 'after'} the slot"
    return [f"Its plan was published {when}; drawing usually takes {_ms(usual.steps.draw)}."]


def _host(record: FrameRecord, notes: Sequence[HostNote]) -> list[str]:
    said: list[str] = []
    if record.stall_ns:
        where = ""
        first_ns = next((a for note in notes for a, b in note.stalls if b - a == record.stall_ns), None)
        if first_ns is not None:
            from_ms = (slot_ns(record) - first_ns) / NS_PER_MS
            where = f", from {_ms(abs(from_ms))} {'before' if from_ms >= 0 else 'after'} the slot on"
        said.append(
            f"The machine stood still for at least {_ms(record.stall_ns / NS_PER_MS)}{where} (the metronome's figure)."
        )
    length_ns = period_ns(record)
    stolen_ns = sum(note.stolen_ns for note in notes if abs(note.t_slot_ns - slot_ns(record)) <= length_ns)
    if stolen_ns and record.stall_ns:
        said.append(f"The hypervisor gave {_ms(stolen_ns / NS_PER_MS)} of processor time to other machines then.")
    for process, waited_ns in sorted(record.waited_ns.items(), key=lambda item: -item[1]):
        said.append(f"{process} waited {_ms(waited_ns / NS_PER_MS)} for a processor in the half second about it.")
    return said


def _changes(record: FrameRecord, before: Sequence[FrameRecord], usual: _Usual | None) -> list[str]:
    said: list[str] = []
    planned = [other for other in before if other.planned]
    if planned and record.planned:
        last = planned[-1]
        if last.config_version != record.config_version:
            said.append(f"The configuration was switched with it: {record.config_version} after {last.config_version}.")
        if last.show_version != record.show_version:
            said.append(f"The show was changed with it: revision {record.show_version} after {last.show_version}.")
        if last.rate != record.rate:
            said.append("The frame rate was changed with it.")
    if usual is not None:
        if record.outer_drawn and usual.outer_share < 0.5:
            said.append("The outer picture was drawn anew in it, which most frames do not do.")
        for name, camera in record.cameras.items():
            normal = usual.raster_px.get(name, 0)
            pixels = camera.raster_px[0] * camera.raster_px[1]
            if normal and pixels > 1.15 * normal:
                width, height = camera.raster_px
                said.append(
                    f"The inner picture of camera {name} was larger than usual: {width} x {height}, "
                    f"{pixels / normal:.2g} times the pixels."
                )
    return said


def _packets(record: FrameRecord) -> list[str]:
    said: list[str] = []
    newest = newest_camera(record)
    for name, camera in record.cameras.items():
        if not camera.t_received_ns:
            said.append(f"Camera {name} had no tracking.")
            continue
        waited_ms = (record.t_latched_ns - camera.t_received_ns) / NS_PER_MS
        quality = "" if camera.quality == "ok" else f"; its pose was {camera.quality}"
        said.append(
            f"Camera {name} followed packet {camera.packet_id} of {camera.source}, which had come {_ms(waited_ms)} "
            f"before the latch; its pose was {_ms(camera.age_ms)} old at the photo{quality}."
        )
    return said if newest is not None or record.cameras else []


def _sent(record: FrameRecord) -> list[str]:
    """What became of it on the network, where that is worth a word."""
    return [
        f"On the network: {SENT_WORDS.get(reason, reason)} (canvas {canvas})."
        for canvas, reason in sorted(record.sent.items())
    ]


def _events(record: FrameRecord, events: Sequence[Event]) -> list[str]:
    said: list[str] = []
    for event in events:
        ago_ns = slot_ns(record) - event.t_ns
        if not -AFTER_NS <= ago_ns <= EVENT_NS:
            continue
        what = _EVENT_WORDS.get(event.what, event.what)
        detail = f" ({event.detail})" if event.detail else ""
        when = (
            "then"
            if abs(ago_ns) < NS_PER_MS * 5
            else f"{abs(ago_ns) / NS_PER_S:.2f} s " + ("before it" if ago_ns > 0 else "after it")
        )
        said.append(f"{event.name} {what}{detail} {when}.")
    return said


def _company(record: FrameRecord, around: Sequence[FrameRecord]) -> list[str]:
    """Whether it is one of many."""
    if record.presented is not False:
        return []
    second = [
        other for other in around if other.presented is False and abs(slot_ns(other) - slot_ns(record)) <= NS_PER_S // 2
    ]
    others = len([other for other in second if other.frame != record.frame])
    if not others:
        return ["No other slot within half a second was missed."]
    return [f"{others} other slot{'s were' if others > 1 else ' was'} missed within half a second of it."]


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if value >= 0.95 else f"{value:.2f} ms"
