"""Builds the resources of LED processors: from the compiled stage, and from what their process says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from controller.api.backend import Backend
from controller.api.views_processors import (
    ProcessorDelayView,
    ProcessorDriftView,
    ProcessorRestoredView,
    ProcessorResultView,
    ProcessorSetView,
    ProcessorsRestoredView,
    ProcessorView,
)
from controller.desk import Desk
from controller.processors.driver import ProcessorError
from controller.processors.keeper import SetResult
from controller.processors.mode import Delay
from controller.processors.model import SETTINGS, Health, InputSignal, Value, same
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


GOOD: Final = ("applied", "rounded", "unchecked")
"""What may come of a setting of a processor that is as the show wants it."""


def restored(
    backend: Backend, found: Mapping[str, Sequence[SetResult] | ProcessorError], *, dry_run: bool
) -> ProcessorsRestoredView:
    """The answer to restoring all of them."""
    status = {} if backend.processors is None else backend.processors.processors
    processors: dict[str, ProcessorRestoredView] = {}
    good = True
    for name, one in found.items():
        link = status[name].link if name in status else None
        if isinstance(one, ProcessorError):
            processors[name] = ProcessorRestoredView(link, one.problems[0].detail, {})
            good = False
        else:
            processors[name] = ProcessorRestoredView(link, "", results(one))
            good = good and (not one if dry_run else all(result.outcome in GOOD for result in one))
    return ProcessorsRestoredView(dry_run, good, processors)


def to_keep(desk: Desk, backend: Backend, name: str) -> dict[str, Value]:
    """What the show must want of a processor, beyond configuration and scene, to want it as it is read."""
    control = desk.loaded.config.stage.processors[name].control
    status = None if backend.processors is None else backend.processors.processors.get(name)
    if control is None or status is None or status.link != "ready":
        return {}
    scene = desk.show.scenes[-1].id if desk.show.scenes else ""
    told = wanted(control, scene)
    return {
        setting: value
        for setting, value in status.settings.items()
        if setting in SETTINGS and not SETTINGS[setting].live
        if (ability := status.abilities.get(setting)) is not None and ability.writable and ability.readable
        if setting not in told or not same(told[setting], value, ability)
    }
