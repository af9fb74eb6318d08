"""What of LED processors is part of the show: the delay they really have, and how they are wanted to be set. Pure.

A processor is wanted as its configuration says, then as the scene on air wants it (`control.scenes`), then as somebody
wanted it since; a scene that comes on air takes over what it names.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from controller.errors import BadValue
from controller.processors.model import Value
from controller.processors.wishes import strange_settings
from controller.show import Show
from controller.store import Change

SceneWishes = Mapping[str, Mapping[str, Mapping[str, object]]]
"""By scene, then processor: settings by name."""


def with_latency(show: Show, processor: str, frames: float | None) -> Show:
    """The show with a processor's real delay, frames; None: as configured."""
    others = {name: known for name, known in show.processor_frames.items() if name != processor}
    return msgspec.structs.replace(show, processor_frames=others if frames is None else {**others, processor: frames})


def with_settings(show: Show, processor: str, settings: Mapping[str, Value]) -> Show:
    """The show that wants a processor set so, beyond its configuration and scene. Raises BadValue."""
    strange = strange_settings(f"processors/{processor}/settings", settings, wishes=True)
    if strange:
        raise BadValue(*strange)
    others = {name: known for name, known in show.processor_settings.items() if name != processor}
    kept = {**others, processor: dict(settings)} if settings else others
    return msgspec.structs.replace(show, processor_settings=kept)


def with_scene(before: Show, after: Show, wishes: SceneWishes) -> Show:
    """`after` without what somebody wanted of processors that the scene which comes on air wants otherwise."""
    scene = after.scenes[-1].id if after.scenes else ""
    if not after.processor_settings or scene == (before.scenes[-1].id if before.scenes else ""):
        return after
    named = wishes.get(scene, {})
    kept = {
        name: {key: value for key, value in settings.items() if key not in named.get(name, {})}
        for name, settings in after.processor_settings.items()
    }
    return msgspec.structs.replace(after, processor_settings={name: one for name, one in kept.items() if one})


def settings_moved(before: Show, after: Show) -> dict[str, Change]:
    """What a scene that came on air took over, by address."""
    return {
        f"processors/{name}/settings": Change(old, after.processor_settings.get(name, {}))
        for name, old in before.processor_settings.items()
        if old != after.processor_settings.get(name, {})
    }
