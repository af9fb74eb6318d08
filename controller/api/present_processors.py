"""Builds the resources of LED processors: from the compiled stage, and from what their process says of them."""

from __future__ import annotations

from collections.abc import Sequence

from controller.api.backend import Backend
from controller.api.views_processors import (
    ProcessorDelayView,
    ProcessorDriftView,
    ProcessorResultView,
    ProcessorSetView,
    ProcessorView,
)
from controller.desk import Desk
from controller.processors.keeper import SetResult
from controller.processors.mode import Delay
from controller.processors.model import Health, InputSignal
from controller.processors.wishes import wanted
from stage.processors import processor_library


def processors(desk: Desk, backend: Backend) -> dict[str, ProcessorView]:
    """Every processor."""
    return {name: processor(desk, backend, name) for name in desk.stage.processors}


def processor(desk: Desk, backend: Backend, name: str) -> ProcessorView:
    """One processor."""
    told = desk.stage.processors[name]
    control = desk.loaded.config.stage.processors[name].control
    scene = desk.show.scenes[-1].id if desk.show.scenes else ""
    status = backend.processors.processors.get(name) if backend.processors is not None and control is not None else None
    return ProcessorView(
        id=name,
        rev=desk.rev_of(f"processors/{name}"),
        model=told.model,
        latency_frames=told.latency_frames,
        delay=_delay(desk, name, None if status is None else status.delay),
        capacity=None if status is None else status.capacity,
        load=told.load,
        canvases=[c.id for c in desk.stage.canvases.values() if c.processor == name],
        driver=None if control is None else control.driver,
        address=status.address if status is not None else control.address if control is not None else "",
        emulated=status is not None and status.emulated,
        link=None if status is None else status.link,
        trouble=status.trouble.detail if status is not None and status.trouble is not None else "",
        identity=None if status is None else status.identity,
        signal=InputSignal() if status is None else status.signal,
        health=Health() if status is None else status.health,
        settings={} if status is None else status.settings,
        desired=status.desired
        if status is not None
        else wanted(control, scene, desk.show.processor_settings.get(name))
        if control is not None
        else {},
        drift={} if status is None else {d.name: ProcessorDriftView(d.wanted, d.found) for d in status.drift},
        abilities={} if status is None else status.abilities,
        results={} if status is None else results(status.results),
        notes=[] if status is None else list(status.notes),
    )


def _delay(desk: Desk, name: str, delay: Delay | None) -> ProcessorDelayView:
    config = desk.loaded.config.stage.processors[name]
    configured = config.latency_frames
    if configured is None:
        configured = processor_library()[config.model].latency_frames
    used = desk.show.processor_frames.get(name, configured)
    if delay is None:
        return ProcessorDelayView(configured, None, used, [])
    return ProcessorDelayView(configured, delay.real_frames, used, list(delay.why))


def results(found: Sequence[SetResult]) -> dict[str, ProcessorResultView]:
    """What came of settings, by name."""
    return {r.name: ProcessorResultView(r.wanted, r.found, r.outcome, r.detail) for r in found}


def done(name: str, found: Sequence[SetResult], *, dry_run: bool = False) -> ProcessorSetView:
    """The answer to setting or restoring one."""
    return ProcessorSetView(name, dry_run, results(found))
