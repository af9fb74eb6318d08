"""Builds the resources of the show from what is set (the desk) and what is measured (the backend). It only reads.

How the processes and frames do is in `present_running`, whether all is well in `present_health`.
"""

from __future__ import annotations

import msgspec

from controller.addresses import ADDRESSES
from controller.api.backend import Backend
from controller.api.present_frame_lines import frame_line_addresses, frame_lines
from controller.api.views import (
    ActionView,
    AddressView,
    CameraView,
    CanvasView,
    DelaysView,
    EncodingView,
    EngineView,
    NudgeView,
    PatternView,
    PositionView,
    ShowView,
    SourceView,
    WallView,
)
from controller.desk import Desk
from controller.layer_addresses import layer_rows
from controller.look_addresses import look_rows
from controller.show import Nudge, OutputState, SourceDelays
from controller.status import SourceStatus
from renderer.pattern_kinds import pattern_about
from runtime.clock import NS_PER_MS
from stage.compiled import CompiledStage
from stage.frames import pan_tilt_roll_from_rotation
from stage.outputs import ways_to_light
from stage.plan import FramePlan, PlanCamera, matrix16, transform_of
from stage.published import field_of_view_deg


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
