"""What a configuration says of processors that nobody could carry out, with the mend; and the wishes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from controller.processors.model import SETTINGS, Kind, Value
from stage.config import ProcessorConfig, ProcessorControlConfig
from stage.documents import join
from stage.errors import Problem

MAKERS = {"tessera": "brompton", "helios": "megapixel", "coex": "novastar", "colorlight": "colorlight"}
"""What a library id of each driver's maker begins with."""


EMULATED = "emulated"
"""The address of a processor that the running show emulates itself."""


def wanted(
    control: ProcessorControlConfig, scene: str = "", since: Mapping[str, Value] | None = None
) -> dict[str, Value]:
    """The show's wishes, whole numbers as such: as configured, as `scene` has it, as wanted `since`."""
    told = {**control.settings, **control.scenes.get(scene, {}), **(since or {})}
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in told.items()
        if name in SETTINGS
    }


def scene_wishes(processors: Mapping[str, ProcessorConfig]) -> dict[str, dict[str, dict[str, object]]]:
    """What each scene wants of each processor."""
    found: dict[str, dict[str, dict[str, object]]] = {}
    for name, processor in processors.items():
        for scene, settings in processor.control.scenes.items() if processor.control is not None else ():
            found.setdefault(scene, {})[name] = dict(settings)
    return found


def problems_of(
    processors: Mapping[str, ProcessorConfig], scenes: Collection[str] | None = None, folder: Path | None = None
) -> list[Problem]:
    """What nobody could carry out: settings of no such name, drivers of another maker, scenes that are not there,
    tables that are none (`folder`: the configuration's)."""
    problems: list[Problem] = []
    for name, processor in processors.items():
        if processor.control is None:
            continue
        path = join("stage/processors", name, "control")
        maker = MAKERS[processor.control.driver]
        if not processor.model.startswith(maker):
            detail = f"{processor.model} is none of {maker.capitalize()}'s processors"
            mend = "give the driver of its maker: " + ", ".join(f"{d} ({m})" for d, m in MAKERS.items())
            problems.append(
                Problem("controller.processor_driver", f"{path}/driver", detail, processor.control.driver, mend)
            )
        if processor.control.address == EMULATED and not processor.simulated:
            detail = "a processor that is not simulated has an address of its own"
            mend = "give its host, or `simulated: true`"
            problems.append(Problem("controller.processor_address", f"{path}/address", detail, EMULATED, mend))
        problems += strange_settings(f"{path}/settings", processor.control.settings, wishes=True)
        problems += _table_problems(f"{path}/settings", processor.control.settings, folder)
        for scene, settings in processor.control.scenes.items():
            where = join(f"{path}/scenes", scene)
            if scenes is not None and scene not in scenes:
                mend = f"use one of {', '.join(scenes) or '(none)'}"
                problems.append(Problem("controller.unknown_scene", where, "no scene of this show", scene, mend))
            problems += strange_settings(where, settings, wishes=True)
            problems += _table_problems(where, settings, folder)
    return problems


def _table_problems(path: str, settings: Mapping[str, object], folder: Path | None) -> list[Problem]:
    name = settings.get("lut_file")
    if folder is None or not isinstance(name, str):
        return []
    from controller.processors.driver import RefusedError
    from controller.processors.tables import Tables

    try:
        Tables(folder).cube(join(path, "lut_file"), name)
    except RefusedError as error:
        return [replace(problem, code="controller.processor_table") for problem in error.problems]
    return []


def strange_settings(path: str, settings: Mapping[str, object], *, wishes: bool = False) -> list[Problem]:
    """Settings of no such name or kind. wishes : orders of the moment (blackout, freeze, test picture) are none."""
    problems: list[Problem] = []
    for setting, value in settings.items():
        kind = SETTINGS[setting].kind if setting in SETTINGS else None
        where = join(path, setting)
        if kind is None or (wishes and SETTINGS[setting].live):
            known = ", ".join(n for n, s in SETTINGS.items() if not (wishes and s.live))
            what = "no setting of this name" if kind is None else "an order of the moment, not a setting"
            problems.append(Problem("controller.processor_setting", where, what, value, f"use one of {known}"))
        elif not _is(kind, value):
            told = {"switch": "true or false", "number": "a number"}.get(kind, "text")
            problems.append(Problem("controller.processor_setting", where, f"takes {told}", value, f"give {told}"))
    return problems


def _is(kind: Kind, value: object) -> bool:
    if kind == "switch" or isinstance(value, bool):
        return kind == "switch" and isinstance(value, bool)
    return isinstance(value, int | float) if kind == "number" else isinstance(value, str)
