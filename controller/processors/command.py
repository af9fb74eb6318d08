"""`openvolume processors CONFIG`: how the LED processors of a stage are, what drifted, and putting it right."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from controller.config import compile_config, load_config
from controller.errors import BadValue
from controller.processors.configured import keepers_of
from controller.processors.driver import ProcessorError
from controller.processors.keeper import Kept, SetResult, said
from controller.processors.mode import capacity_of, delay_of, panels_of
from controller.processors.model import SETTINGS
from controller.processors.wishes import EMULATED
from stage.compiled import CompiledStage
from stage.config import ProcessorConfig
from stage.errors import Problem
from stage.processors import processor_library

EXIT_FAILED = 1


async def looked_at(
    processors: Mapping[str, ProcessorConfig], scene: str = "", *, folder: Path | None = None
) -> dict[str, Kept]:
    """One look at every processor that is spoken to, all at once. `folder`: the configuration's."""
    keepers = keepers_of(processors, scene, folder=folder)
    try:
        await asyncio.gather(*(keeper.look() for keeper in keepers.values()))
    finally:
        await asyncio.gather(*(keeper.close() for keeper in keepers.values()))
    return {name: keeper.kept for name, keeper in keepers.items()}


async def restored(
    processors: Mapping[str, ProcessorConfig], scene: str = "", *, folder: Path | None = None, dry_run: bool = False
) -> dict[str, tuple[Kept, list[SetResult], list[Problem]]]:
    """Set every processor as the show wants it, and read it back; or say what that would be."""
    keepers = keepers_of(processors, scene, folder=folder)

    async def one(name: str) -> tuple[Kept, list[SetResult], list[Problem]]:
        try:
            results = await keepers[name].restore(dry_run=dry_run)
        except ProcessorError as error:
            return keepers[name].kept, [], list(error.problems)
        return keepers[name].kept, results, []

    try:
        found = await asyncio.gather(*(one(name) for name in keepers))
    finally:
        await asyncio.gather(*(keeper.close() for keeper in keepers.values()))
    return dict(zip(keepers, found, strict=True))


def processors_command(
    config: str, *, restore: bool = False, dry_run: bool = False, as_json: bool = False, scene: str | None = None
) -> int:
    """Tell how every processor is; with `restore` set what drifted, with `dry_run` only say what that would be. 1 when
    one is not as the show wants it."""
    loaded = load_config(config)
    compiled = compile_config(loaded)
    processors, scenes = loaded.config.stage.processors, loaded.config.scenes
    # As the show begins: with its first scene.
    scene = next(iter(scenes), "") if scene is None else scene
    if scene and scene not in scenes:
        mend = f"use one of {', '.join(scenes) or '(none)'}"
        raise BadValue(Problem(BadValue.code, "scene", "no scene of this show", scene, mend))
    if not any(processor.control for processor in processors.values()):
        mend = "add `control: {driver: tessera, address: HOST}` to a processor of the stage"
        sys.stdout.write(f"{loaded.name}: no processor is spoken to -> {mend}\n")
        return 0
    emulated = [name for name, p in processors.items() if p.control is not None and p.control.address == EMULATED]
    done: dict[str, list[SetResult]] = {}
    failures: dict[str, list[Problem]] = {}
    if restore or dry_run:
        outcome = asyncio.run(restored(processors, scene, folder=loaded.base_dir, dry_run=dry_run))
        kept = {name: one[0] for name, one in outcome.items()}
        done = {name: one[1] for name, one in outcome.items()}
        failures = {name: one[2] for name, one in outcome.items() if one[2]}
    else:
        kept = asyncio.run(looked_at(processors, scene, folder=loaded.base_dir))
    modes = {name: _modes(name, one, processors[name], compiled) for name, one in kept.items()}
    good = (
        all(one.link == "ready" and not one.drift for one in kept.values())
        and not failures
        and all(m[2] for m in modes.values())
    )
    if as_json:
        sys.stdout.write(
            json.dumps(
                {
                    **{name: {"link": "emulated"} for name in emulated},
                    **{name: {**_document(kept[name], done.get(name, [])), **modes[name][0]} for name in kept},
                },
                indent=2,
            )
            + "\n"
        )
    else:
        for name in emulated:
            sys.stdout.write(
                f"{name}: emulated, it lives in the run -> openvolume run, then GET /api/v1/processors/{name}\n"
            )
        for name, one in kept.items():
            sys.stdout.write(_told(name, one, done.get(name, []), failures.get(name, [])))
            sys.stdout.write("".join(f"{line}\n" for line in modes[name][1]))
        if restore or dry_run:
            sys.stdout.write(_summary(kept, done, dry_run=dry_run, good=good))
    return 0 if good else EXIT_FAILED


def _summary(kept: Mapping[str, Kept], done: Mapping[str, list[SetResult]], *, dry_run: bool, good: bool) -> str:
    count = sum(len(results) for results in done.values())
    if dry_run:
        return f"dry run: {count} settings of {len(kept)} processors would be set; nothing was written\n"
    state = "all as the show wants them, read back" if good else "not all as the show wants them"
    return f"{count} settings were set; {len(kept)} processors: {state}\n"


def restore_in_run(run: str | None, *, dry_run: bool = False, as_json: bool = False) -> int:
    """Set every processor of a running show as it wants them, and tell what came of it; 1 when one is not so after.

    Raises
    ------
    As `controller.asking.ask`.
    """
    from controller.asking import ask

    answer = ask(lambda show: show.restore_processors(dry_run=dry_run), run=run)
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(answer), indent=2) + "\n")
        return 0 if answer.good else EXIT_FAILED
    for name, one in answer.processors.items():
        told = one.trouble or ("as the show wants it" if not one.results else "")
        sys.stdout.write(f"{name}: {one.link or 'not looked at yet'} {told}".rstrip() + "\n")
        for setting, result in one.results.items():
            before = f" (is {said(result.found)})" if dry_run and result.found is not None else ""
            words = f"{setting} {said(result.wanted)}{before}: {result.outcome} {result.detail}"
            sys.stdout.write(f"  {words.rstrip()}\n")
    sys.stdout.write("good\n" if answer.good else "not as the show wants them\n")
    return 0 if answer.good else EXIT_FAILED


def _document(kept: Kept, results: list[SetResult]) -> dict[str, Any]:
    return {
        "link": kept.link,
        "trouble": msgspec.to_builtins(kept.trouble) if kept.trouble else None,
        "reading": msgspec.to_builtins(kept.reading) if kept.reading else None,
        "desired": kept.desired,
        "drift": [{"name": d.name, "wanted": d.wanted, "found": d.found} for d in kept.drift],
        "set": [
            {"name": r.name, "wanted": r.wanted, "found": r.found, "outcome": r.outcome, "detail": r.detail}
            for r in results
        ],
    }


def _told(name: str, kept: Kept, results: list[SetResult], failures: list[Problem]) -> str:
    lines = []
    reading = kept.reading
    if reading is None:
        lines.append(f"{name}: {kept.link}")
    else:
        who = reading.identity
        lines.append(f"{name}: {kept.link}, {who.maker} {who.model} {who.name} ({who.serial}, {who.firmware})".rstrip())
        signal = reading.signal
        if signal.present:
            size = f"{signal.width_px} x {signal.height_px} px" if signal.width_px else ""
            lines.append(f"  input     {signal.port} {size} {signal.rate_hz or 0:g} Hz {signal.bits or ''}".rstrip())
        elif signal.present is False:
            lines.append(f"  input     nothing arrives at {signal.port or 'it'}")
        lines += [f"  trouble   {trouble}" for trouble in reading.health.troubles]
        for setting, shown in SETTINGS.items():
            if setting in reading.settings:
                drift = next((d for d in kept.drift if d.name == setting), None)
                mark = f"   the show wants {said(drift.wanted)}" if drift else ""
                lines.append(f"  {said(reading.settings[setting]):>12} {shown.unit:7} {setting}{mark}")
        lines += [f"  note      {note}" for note in reading.notes]
    if kept.trouble is not None:
        lines.append(f"  {kept.trouble}")
    lines += [f"  set       {r.name} {said(r.wanted)}: {r.outcome} {r.detail}".rstrip() for r in results]
    lines += [f"  {problem}" for problem in failures]
    return "\n".join(lines) + "\n"


def _modes(
    name: str, kept: Kept, config: ProcessorConfig, stage: CompiledStage
) -> tuple[dict[str, Any], list[str], bool]:
    """Delay and capacity in the mode it is in: as plain data, as lines, and whether they are as the show takes them."""
    if kept.reading is None:
        return {}, [], True
    library = processor_library()[config.model]
    delay = delay_of(config, library, kept.reading, kept.desired, stage.rate)
    real = "not told" if delay.real_frames is None else f"{delay.real_frames:g} frames in this mode"
    lines = [f"  delay     {delay.configured_frames:g} frames configured, {real} ({'; '.join(delay.why)})"]
    if delay.differs:
        lines.append(f"            -> set stage/processors/{name}/latency_frames to {delay.real_frames:g}")
    document: dict[str, Any] = {"delay": msgspec.to_builtins(delay)}
    canvas = next((c for c in stage.canvases.values() if c.processor == name), None)
    if canvas is None:
        return document, lines, not delay.differs
    capacity = capacity_of(config, library, kept.reading, canvas, panels_of(stage, canvas.id))
    most = "" if capacity.most_px_per_s is None else f" of {capacity.most_px_per_s / 1e6:,.0f}"
    lines.append(f"  capacity  {capacity.px_per_s / 1e6:,.0f}{most} million pixels a second at {capacity.rate_hz:g} Hz")
    lines += [f"  over      {words}" for words in capacity.over]
    return {**document, "capacity": msgspec.to_builtins(capacity)}, lines, not delay.differs and not capacity.over
