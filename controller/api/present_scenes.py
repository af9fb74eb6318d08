"""Builds the resources of scenes: what is set (the desk), what is held (nodes), what is known of files (scenery)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from controller.api.backend import Backend
from controller.api.views_scenes import (
    CompiledView,
    SceneAddressView,
    SceneMemoryView,
    SceneView,
    SunPositionView,
    SwitchView,
)
from controller.desk import Desk
from controller.library.cache import CompiledState
from controller.scenery import Scenery
from controller.show import SceneState
from controller.status import ResidentScene
from controller.switching import under_way


def scenes(desk: Desk, backend: Backend, scenery: Scenery) -> dict[str, SceneView]:
    """Every scene."""
    active = {scene.id for scene in desk.show.scenes}
    plan = backend.plan
    weights = {entry.id: entry.weight for entry in (plan.scenes if plan is not None else desk.show.scenes)}
    held: dict[str, dict[str, ResidentScene]] = {}
    for node, status in backend.nodes.items():
        for resident in status.scenes:
            held.setdefault(f"{resident.scene}/{resident.key}", {})[node] = resident
    found = {}
    for name, config in desk.loaded.config.scenes.items():
        state = desk.show.scene_states.get(name, SceneState())
        nodes = {node: resident.size_bytes for node, resident in held.get(f"{name}/{state.key}", {}).items()}
        now = scenery.states.get(name, "")
        ready: Literal["cold", "compiling", "loading", "ready"] = "ready" if nodes else "cold"
        if now in ("compiling", "loading"):
            ready = "compiling" if now == "compiling" else "loading"
        alarm = scenery.alarms.get(name)
        found[name] = SceneView(
            id=name,
            rev=desk.rev_of(f"scenes/{name}"),
            label=config.label,
            active=name in active,
            weight=weights.get(name, 0.0),
            position=config.position or "",
            version=state.version,
            state=ready,
            nodes=nodes,
            compiled=state.key,
            preload=state.preload,
            edits=state.edits,
            playing=state.transport.playing,
            speed=state.transport.speed,
            problem=alarm.detail if alarm is not None else "",
        )
    return found


def scene_memory(backend: Backend) -> list[SceneMemoryView]:
    """What scenes take on each node."""
    return [
        SceneMemoryView(
            name, sum(entry.size_bytes for entry in status.scenes), status.scene_budget_bytes, status.loading,
            status.scenes,
        )
        for name, status in sorted(backend.nodes.items())
    ]  # fmt: skip


def switches(desk: Desk) -> list[SwitchView]:
    """Switches that wait or are under way."""
    moment = desk.moment
    if moment is None:
        return []
    left = under_way(desk.show.switches, moment.t_present_ns, moment.rate)
    if not left:
        return []
    comes = [*(switch.scene for switch in left[1:]), desk.show.scenes[0].id if desk.show.scenes else ""]
    return [
        SwitchView(
            scene, switch.kind, switch.begin_frame, switch.frames,
            switch.frames - switch.step(moment.t_present_ns, moment.rate),
        )
        for switch, scene in zip(left, comes, strict=True)
    ]  # fmt: skip


def scene_addresses(desk: Desk, scene: str) -> list[SceneAddressView]:
    """Every live value of a scene."""
    values = desk.scene_values.get(scene)
    edits = desk.show.scene_states.get(scene, SceneState()).edits
    return [
        SceneAddressView(
            entry.address, entry.kind, edits.get(entry.address, entry.value), entry.address in edits, entry.unit,
            entry.low, entry.high, list(entry.choices), entry.label, entry.exposed,
        )
        for entry in (values.known.values() if values is not None else ())
    ]  # fmt: skip


def compiled(state: CompiledState, *, shown: bool) -> CompiledView:
    """One compiled state."""
    return CompiledView(
        state.key, shown, state.t_tai_ns, state.size_bytes, state.gpu_bytes, state.triangles, state.draws,
        round(state.took_ms, 1), state.files, state.notes,
    )  # fmt: skip


def sun_position(when: datetime, latitude_deg: float, longitude_deg: float, north_deg: float) -> SunPositionView:
    """Where the sun stands, and its way through that date. `when` has an offset from UTC; `north_deg` is the pan of
    north in the scene."""
    from renderer.sun_position import sun_azimuth_elevation_deg

    def at(moment: datetime) -> tuple[float, float, float]:
        azimuth, elevation = sun_azimuth_elevation_deg(moment, latitude_deg, longitude_deg)
        return azimuth, (north_deg - azimuth + 180.0) % 360.0 - 180.0, elevation

    midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
    day = [at(midnight + timedelta(minutes=30 * half))[1:] for half in range(49)]
    return SunPositionView(*at(when), day)
