"""How a run begins: with the last accepted revision while its file is unchanged, else with the file, and says which.

`openvolume run` calls `begin_show` before any process starts and writes the snapshot into the run directory; only
`run` resumes. Everything that looks at a configuration without running it uses `fresh_show`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from controller.carrying import carry_over, made_by_hand, settle, with_states_of
from controller.commands import Command, apply
from controller.config import (
    LoadedConfig,
    OpenVolumeConfig,
    compile_loaded,
    lens_tables,
    load_config_text,
    osc_maps,
)
from controller.library.cache import CACHE_FOLDER
from controller.processors.wishes import scene_wishes
from controller.rundir import RunDir
from controller.scene_book import write_states
from controller.show import Show, Snapshot, encode_snapshot, first_show
from controller.sources import configured_delays
from controller.store import Revision, Store, StoredConfig, state_folder
from controller.surroundings import Surroundings
from controller.windows.wishes import write_order
from stage.compiled import CompiledStage, encode_stage
from stage.errors import OpenVolumeError
from stage.plan import PlanEngine
from tracking.lens_table import encode_grid


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a run starts with.

    said : one sentence for the person who started it; resumed : False when the file was taken.
    """

    snapshot: Snapshot
    loaded: LoadedConfig
    stage: CompiledStage
    resumed: bool
    said: str


def surroundings(config: OpenVolumeConfig, stage: CompiledStage) -> Surroundings:
    """Everything the addresses of a configuration's show may name."""
    return Surroundings(
        cameras=frozenset(stage.cameras),
        sources=frozenset(config.tracking.sources),
        trackers={
            camera: tuple(name for name, source in config.tracking.sources.items() if source.moves == camera)
            for camera in stage.cameras
        },
        frame_lines={
            name: tuple(camera.sensor.modes[camera.sensor.mode].frame_lines) for name, camera in config.cameras.items()
        },
        scenes=tuple(config.scenes),
        scene_processors=scene_wishes(config.stage.processors),
        scene_positions={name: scene.position or "" for name, scene in config.scenes.items()},
        walls=frozenset(stage.walls),
        canvases=frozenset(stage.canvases),
        processors=frozenset(name for name, one in config.stage.processors.items() if one.control is not None),
        engines=frozenset(config.engines),
        positions={name: position.scene_from_stage for name, position in config.positions.items()},
    )


def fresh_show(config: OpenVolumeConfig, stage: CompiledStage, *, scene: str | None = None) -> Show:
    """The show a configuration starts with: its first scene (or `scene`) at the position that scene opens with.

    Raises
    ------
    BadValue : the configuration has no such scene.
    """
    show = msgspec.structs.replace(
        first_show(stage, scenes=[]),
        delays=configured_delays(config.tracking),
        engines=[
            PlanEngine(name, list(engine.canvases), list(engine.cameras), engine.wait_ms, engine.hold_frames)
            for name, engine in config.engines.items()
        ],
        engines_off=[name for name, engine in config.engines.items() if not engine.enabled],
    )
    if config.render.outer_every_frames > 1:
        every = config.render.outer_every_frames
        show = msgspec.structs.replace(show, outer_mode="every", outer_every_frames=every)
    chosen = scene or next(iter(config.scenes), None)
    if chosen is None:
        return show
    return apply(show, Command({"scenes/active": chosen}), surroundings(config, stage))[0]


def snapshot_of(show: Show, loaded: LoadedConfig, stage: bytes) -> Snapshot:
    """One whole version for the run directory. `stage` is `encode_stage` of the compiled stage."""
    return Snapshot(
        show=show,
        config_text=loaded.source,
        base_dir=str(loaded.base_dir),
        stage=stage,
        lens_tables={name: encode_grid(grid) for name, grid in lens_tables(loaded).items()},
        relays=bool(loaded.config.tracking.relays),
        processors=any(processor.control for processor in loaded.config.stage.processors.values()),
        windows=_windows(loaded.config),
        sends=any(output.st2110 or output.v4l2 or output.ndi for output in loaded.config.outputs.values()),
        scene_cache=str(state_folder(loaded.name) / CACHE_FOLDER),
        library=_library(loaded),
        osc_maps={name: found.model_dump_json() for name, found in osc_maps(loaded).items()},
    )


def _library(loaded: LoadedConfig) -> str:
    library = loaded.config.library
    if library is None:
        return ""
    return library.model_copy(update={"folder": str((loaded.base_dir / library.folder).absolute())}).model_dump_json()


def _windows(config: OpenVolumeConfig) -> str:
    return write_order(
        config.windows, config.outputs, config.stage.canvases, rate=config.rate, scale=config.render.scale
    )


def begin_show(
    loaded: LoadedConfig, stage: CompiledStage, store: Store, *, t_tai_ns: int, fresh: bool = False
) -> Beginning:
    """Choose between the store's last revision and the file; after this the store's last revision is what runs.

    A file that was edited is taken as one that is put into a running show is (`carry_over`): what was made by hand
    stays where it still fits, and of values that both have changed the file's hold.

    Raises
    ------
    StoreError : the database cannot be written.
    """
    why = mishap = ""
    if loaded.path is not None:
        store.remember_file(loaded.path.absolute())
    if store.damaged is None:
        store.forget_damage()
    else:
        mishap = f"the stored show was damaged and moved to {store.damaged}"
        mishap += f"; backup {store.recovered.name} is used" if store.recovered is not None else ""
    last = store.last()
    if last is not None and fresh:
        why = f"the stored changes up to revision {last[0].rev} are left aside (--fresh)"
    elif last is not None and store.file_hash != loaded.sha256:
        why = f"the file has changed since revision {last[0].rev}, so the file wins where it differs"
    elif last is not None:
        try:
            beginning = _resume(loaded, stage, store, *last)
            return replace(beginning, said=f"{beginning.said}: {mishap}") if mishap else beginning
        except OpenVolumeError as error:
            why = f"revision {last[0].rev} cannot be used any more ({error.problems[0]})"
    why = "; ".join(part for part in (mishap, why) if part) or "its changes are stored from now on"
    first = fresh_show(loaded.config, stage)
    begun, kept = (first, "") if last is None or fresh else _carried(loaded, stage, store, first, *last)
    revision, show = store.begin(
        file_text=loaded.source,
        base_dir=str(loaded.base_dir),
        file_hash=loaded.sha256,
        show=begun,
        who="start",
        t_tai_ns=t_tai_ns,
    )
    said = f"{loaded.name}: begun from the file as revision {revision.rev}: {why}{kept}"
    return Beginning(snapshot_of(show, loaded, encode_stage(stage)), loaded, stage, resumed=False, said=said)


def write_first_snapshot(run: RunDir, beginning: Beginning) -> None:
    """Put what a run starts with where every process looks for it."""
    version = beginning.snapshot.show.version
    write_states(run, beginning.snapshot.show)
    run.write_snapshot(version, encode_snapshot(beginning.snapshot))
    run.set_current_version(version)


def load_stored(config: StoredConfig) -> tuple[LoadedConfig, CompiledStage]:
    """A stored configuration, compiled. Raises ConfigError when it cannot be used (any more)."""
    loaded = load_config_text(config.text, base_dir=Path(config.base_dir))
    return loaded, compile_loaded(loaded).stage


def _carried(
    loaded: LoadedConfig, stage: CompiledStage, store: Store, first: Show, revision: Revision, last: Show
) -> tuple[Show, str]:
    """What the file begins with, and what of the last revision still fits it; and words about that."""
    before: LoadedConfig | None = None
    config = store.config(revision.config)
    with contextlib.suppress(OpenVolumeError):
        before, old_stage = load_stored(config) if config is not None else (None, stage)
    # Where the old configuration cannot be read, nobody knows what was moved by hand of what it had: the file holds.
    old_first = fresh_show(before.config, old_stage) if before is not None else last
    show = settle(carry_over(old_first, last, first), surroundings(loaded.config, stage), wanted=last)
    show = _at_rest(with_states_of(show, before, loaded))
    kept, told = made_by_hand(show), made_by_hand(last)
    words = [f"{len(names)} {what}{'s' if len(names) > 1 else ''}" for what, names in kept.items() if names]
    gone = [f"{what} {name}" for what, names in told.items() for name in names if name not in kept[what]]
    said = f"; kept: {', '.join(words)}" if words else ""
    return show, said + (f"; not kept, for it has no place any more: {', '.join(gone)}" if gone else "")


def _at_rest(show: Show) -> Show:
    """Instants of another run mean nothing to this one: whatever was under way is done."""
    show = msgspec.structs.replace(show, action=None, take="", switches=[], transitions=[])
    return msgspec.structs.replace(show, cues_at=msgspec.structs.replace(show.cues_at, waiting=[]))


def _resume(loaded: LoadedConfig, stage: CompiledStage, store: Store, revision: Revision, show: Show) -> Beginning:
    config = store.config(revision.config)
    if config is not None and config.text != loaded.source:
        loaded, stage = load_stored(config)
    show = settle(show, surroundings(loaded.config, stage), wanted=show)
    delays = {**configured_delays(loaded.config.tracking), **show.delays}
    show = _at_rest(msgspec.structs.replace(show, delays=delays))
    said = f"{loaded.name}: goes on with revision {revision.rev}"
    return Beginning(snapshot_of(show, loaded, encode_stage(stage)), loaded, stage, resumed=True, said=said)
