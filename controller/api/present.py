"""Builds the resources from what is set (the desk) and what is measured (the backend). It only reads."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Final, Literal

import msgspec

from controller.addresses import ADDRESSES
from controller.api.backend import PATIENCE_NS, STALE_NS, AnyStatus, Backend
from controller.api.present_frame_lines import frame_line_addresses, frame_lines
from controller.api.views import (
    ActionView,
    AddressView,
    CameraView,
    CanvasView,
    ConductorView,
    DelaysView,
    EncodingView,
    EngineView,
    FramesView,
    HealthView,
    NodeState,
    NodesView,
    NodeView,
    NudgeView,
    PatternView,
    PositionView,
    RecordView,
    ShowView,
    SourceView,
    StallsView,
    StatisticsView,
    StoredView,
    WallView,
)
from controller.desk import Desk
from controller.layer_addresses import layer_rows
from controller.ledger_record import FrameRecord, Steps, intervals_ms, steps_ms
from controller.ledger_words import Why
from controller.look_addresses import look_rows
from controller.messages import Alarm, NodeStatus, Percentiles, SourceStatus
from controller.show import Nudge, OutputState, SourceDelays
from renderer.pattern_kinds import pattern_about
from runtime.clock import NS_PER_MS
from runtime.clock_report import ClockReport
from stage.compiled import CompiledStage
from stage.frames import pan_tilt_roll_from_rotation
from stage.outputs import ways_to_light
from stage.plan import FramePlan, PlanCamera, matrix16, transform_of
from stage.published import field_of_view_deg

WINDOW: Final = 512
"""Frames that live percentiles are made of."""
COURSE: Final = 240
STEPS: Final = 128
"""Frames that the median frame is made of."""
COURSES: Final = ("receive_to_present", "draw", "receive_to_plan")
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


def plan_camera(plan: FramePlan | None, camera: str) -> PlanCamera | None:
    """A camera as the newest plan has it."""
    return next((c for c in plan.cameras if c.id == camera), None) if plan is not None else None


Feeds = frozenset[tuple[str, str]]
"""Which canvas feeds which wall: (canvas, wall)."""


def feeds_of(stage: CompiledStage) -> Feeds:
    """Worked out once for a configuration: a large stage has thousands of tiles."""
    cabinets = {(cabinet.canvas, cabinet.wall) for cabinet in stage.cabinets}
    return frozenset(cabinets | {(mesh.canvas, mesh.wall) for mesh in stage.meshes})


def walls(desk: Desk, feeds: Feeds) -> dict[str, WallView]:
    """Every wall."""
    return {
        wall.id: WallView(
            id=wall.id,
            rev=desk.rev_of(f"walls/{wall.id}"),
            type=wall.kind,
            width_px=wall.width_px,
            height_px=wall.height_px,
            width_m=round(wall.width_m, 6),
            height_m=round(wall.height_m, 6),
            nits=wall.nits,
            pitch_mm=wall.pitch_mm,
            cabinets=wall.cabinets,
            columns=wall.columns,
            rows=wall.rows,
            canvases=sorted(canvas for canvas, fed in feeds if fed == wall.id),
        )
        for wall in desk.stage.walls.values()
    }


def canvas(desk: Desk, backend: Backend, name: str, feeds: Feeds) -> CanvasView:
    """One canvas."""
    told = desk.stage.canvases[name]
    state = backend.canvas_state(name)
    node = next((status.node for status in backend.nodes.values() if name in status.canvases), None)
    newest = backend.ledger.latest(1)
    reason = None
    if newest:
        said = [stamps.canvases[name] for stamps in newest[0].nodes.values() if name in stamps.canvases]
        reason = said[0].removeprefix("repeat:") if said and said[0].startswith("repeat:") else "none"
    encoding = told.encoding
    show = desk.show
    way = ways_to_light(desk.stage, show.output_delays, show.output_delays_ms, show.processor_frames)[name]
    state_of = desk.show.outputs.get(name, OutputState())
    return CanvasView(
        id=name,
        rev=desk.rev_of(f"canvases/{name}"),
        processor=told.processor,
        width_px=told.width_px,
        height_px=told.height_px,
        scale=desk.stage.scale,
        rate=str(told.rate),
        encoding=EncodingView(encoding.transfer, encoding.peak_nits, encoding.bits, encoding.primaries, encoding.range),
        walls=sorted(wall for canvas, wall in feeds if canvas == name),
        delay_frames=desk.show.output_delays.get(name, 0),
        delay_ms=desk.show.output_delays_ms.get(name, 0.0),
        black=state_of.black,
        frozen=state_of.frozen,
        identify=state_of.identify,
        engine=next((engine.id for engine in desk.show.engines if name in engine.canvases), None),
        held_back_frames=way.held_back_frames,
        to_light_frames=way.to_light_frames,
        to_light_ms=way.to_light_frames * told.rate.period_ns / NS_PER_MS,
        node=node,
        frame=state.frame if state is not None else None,
        reason=reason,
        picture=f"/api/v1/canvases/{name}.png",
    )


def engines(desk: Desk) -> dict[str, EngineView]:
    """The programs that draw beside us."""
    return {
        engine.id: EngineView(
            engine.id,
            desk.rev_of(f"engines/{engine.id}"),
            engine.canvases,
            engine.cameras,
            engine.id not in desk.show.engines_off,
            engine.wait_ms,
            engine.hold_frames,
        )
        for engine in desk.show.engines
    }


def camera(desk: Desk, backend: Backend, name: str) -> CameraView:
    """One camera: as it was planned last, or as configured before the first plan."""
    told, settings = desk.stage.cameras[name], desk.show.cameras[name]
    planned = plan_camera(backend.plan, name)
    status = backend.conductor.cameras.get(name) if backend.conductor is not None else None
    stage_from_camera = told.default_stage_from_camera if planned is None else transform_of(planned.stage_from_camera)
    pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(stage_from_camera)
    x_m, y_m, z_m = (round(v, 6) for v in stage_from_camera[:3, 3].tolist())
    lens = told.lens if planned is None else planned.lens
    sampled = planned is not None and planned.t_sampled_ns > 0
    return CameraView(
        id=name,
        rev=desk.rev_of(f"cameras/{name}"),
        label=told.label,
        **{field: getattr(settings, field) for field in settings.__struct_fields__ if field != "framing"},
        walls=list(told.walls),
        resolution_px=told.resolution_px,
        frame_lines=frame_lines(desk, name),
        shutter_deg=told.shutter_deg,
        state=status.state if status is not None else "waiting",
        source=planned.source if planned is not None else "",
        quality=planned.quality if planned is not None else "untracked",
        position_m=(x_m, y_m, z_m),
        pan_deg=pan_deg,
        tilt_deg=tilt_deg,
        roll_deg=roll_deg,
        pupil_m=planned.pupil_m if planned is not None else (x_m, y_m, z_m),
        lens=lens,
        field_of_view_deg=field_of_view_deg(lens),
        age_ms=(planned.t_photo_ns - planned.t_sampled_ns) / NS_PER_MS if planned is not None and sampled else None,
        overscan_now_deg=planned.overscan_deg if planned is not None else settings.overscan_deg,
        overscan_causes_deg=status.overscan_causes_deg if status is not None else {},
        overscan_now_px=status.overscan_px if status is not None else (0.0, 0.0, 0.0, 0.0),
        overscan_cost_percent=status.overscan_cost_percent if status is not None else 0.0,
        raster_px=planned.raster_px if planned is not None else (0, 0),
        texels_per_led=status.texels_per_led if status is not None else 0.0,
        lowered_steps=planned.lowered_steps if planned is not None else 0,
        photo=f"/api/v1/cameras/{name}/photo.jpg",
    )


def source(desk: Desk, backend: Backend, name: str) -> SourceView:
    """One tracking source."""
    told = desk.loaded.config.tracking.sources[name]
    nudge = desk.show.nudges.get(name, Nudge())
    delays = desk.show.delays.get(name, SourceDelays())
    status = backend.conductor.sources.get(name) if backend.conductor is not None else None
    if status is None:
        status = SourceStatus("waiting", told.protocol, told.listen)
    alignment = status.stage_from_tracker or matrix16(nudge.pose() @ told.stage_from_tracker.pose())
    return SourceView(
        id=name,
        rev=desk.rev_of(f"sources/{name}"),
        protocol=told.protocol,
        listen=status.address or told.listen,
        camera=told.camera,
        pose_point=told.pose_point,
        prediction=told.prediction,
        match=told.match,
        priority=told.priority,
        moves=status.moves,
        delay_ms=delays.delay_ms,
        delays=msgspec.convert(delays, DelaysView, from_attributes=True),
        nudge=msgspec.convert(nudge, NudgeView, from_attributes=True),
        stage_from_tracker=alignment,
        state=status.state,
        reason=status.reason,
        sender=status.sender,
        datagrams=status.datagrams,
        samples=status.samples,
        refused=status.refused,
        lost=status.lost,
        dropped=status.dropped,
        rate_hz=status.rate_hz,
        age_ms=status.age_ms,
        jitter_ms=status.jitter_ms,
        clock_drift_ppm=status.clock_drift_ppm,
        clock_jumps=status.clock_jumps,
        prediction_error_deg=status.prediction_error_deg,
        prediction_error_mm=status.prediction_error_mm,
        prediction_rms_deg=status.prediction_rms_deg,
        prediction_rms_mm=status.prediction_rms_mm,
        prediction_learned_s=status.prediction_learned_s,
    )


def positions(desk: Desk) -> dict[str, PositionView]:
    """Every named stage position."""
    return {
        name: PositionView(
            id=name,
            rev=desk.rev_of("position"),
            label=config.label,
            active=desk.show.position == name,
            scene_from_stage=matrix16(config.scene_from_stage),
        )
        for name, config in desk.loaded.config.positions.items()
    }


def patterns(desk: Desk) -> dict[str, PatternView]:
    """Every line-up and test picture."""
    kinds = dict.fromkeys([*desk.around.patterns, *(shown.kind for shown in desk.show.patterns)])
    return {kind: pattern(desk, kind) for kind in kinds}


def pattern(desk: Desk, kind: str) -> PatternView:
    """One line-up or test picture."""
    shown = next((one for one in desk.show.patterns if one.kind == kind), None)
    rev = max(desk.rev_of(f"patterns/{kind}"), desk.revs.get("patterns", 0))
    targets = [] if shown is None else shown.targets
    return PatternView(id=kind, rev=rev, on=shown is not None, targets=targets, about=pattern_about(kind))


def show(desk: Desk, backend: Backend) -> ShowView:
    """What holds for the whole show."""
    now = desk.show
    return ShowView(
        rev=now.version,
        config_rev=desk.rev_of("config"),
        name=desk.loaded.name,
        scene=max(now.scenes, key=lambda scene: scene.weight).id if now.scenes else "",
        position=now.position,
        exposure_ev=now.exposure_ev,
        outer_mode=now.outer_mode,
        outer_every_frames=now.outer_every_frames,
        eye_m=now.eye_m,
        action=backend.action().action,
        take=now.take,
        lock=now.lock,
    )


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


def action(backend: Backend) -> ActionView:
    """What is ordered, and who obeys."""
    order = backend.action()
    obeyed = {name: status.action for name, status in sorted(backend.nodes.items())}
    return ActionView(order.action, order.stamp_ns, obeyed)


def addresses(desk: Desk) -> list[AddressView]:
    """Everything that can be changed while the show runs."""
    return (
        [
            AddressView(
                address=address.pattern.replace("{}", "<id>"),
                about=address.about,
                schema=msgspec.json.schema(address.kind),
                ids=sorted(getattr(desk.around, address.collection)) if address.collection else [],
            )
            for address in ADDRESSES
        ]
        + frame_line_addresses(desk)
        + [
            AddressView(
                address=address.pattern.replace("{}", "<id>"),
                about=address.about,
                schema=msgspec.json.schema(address.kind),
                ids=sorted(getattr(desk.show, address.pattern.split("/")[0])),
            )
            for address in layer_rows()
        ]
        + [
            AddressView(address.pattern, address.about, msgspec.json.schema(address.kind), [])
            for address in look_rows(desk.around)
        ]
    )


def _rounded(value: Percentiles) -> Percentiles:
    return Percentiles(*(round(v, 4) for v in (value.p50, value.p95, value.p99, value.max)))
