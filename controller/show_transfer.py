"""Whole shows in and out of a store, and what of their files is there: beside a running show, or without one."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from controller.addresses import ADDRESSES, convert
from controller.beginning import fresh_show, surroundings
from controller.carrying import settle
from controller.config import LoadedConfig, compile_loaded, load_config_text
from controller.errors import BadValue, UnknownAddress
from controller.library.inputs import inputs_of
from controller.show import Show
from controller.show_file import Reference, ShowFile, at_rest, write_show_file
from controller.store import Revision, Store, StoredConfig, text_hash
from controller.surroundings import Surroundings
from stage.compiled import CompiledStage
from stage.errors import Problem

HISTORY: int = 500
"""So many revisions go with a show."""
_CHUNK: int = 1 << 20


class StoredShow(Struct, frozen=True):
    """What a store holds of a show."""

    config: StoredConfig
    show: Show
    revisions: list[Revision]
    configs: dict[int, str]


def stored_show(store: Store) -> StoredShow:
    """What a store holds last, with its history. Raises UnknownAddress when there is no show in it."""
    last = store.last()
    config = store.config(last[0].config) if last is not None else None
    if last is None or config is None:
        raise UnknownAddress(Problem(UnknownAddress.code, str(store.path), "there is no show in it", None, "run one"))
    revisions = store.revisions(limit=HISTORY)
    told = {number: store.config(number) for number in {revision.config for revision in revisions}}
    configs = {number: found.text for number, found in told.items() if found is not None}
    return StoredShow(config, last[1], revisions, configs)


def packed(stored: StoredShow, *, t_tai_ns: int) -> bytes:
    """The file of a show. Reads every file that its configuration names: call it on a thread.

    Raises
    ------
    ConfigError : the configuration cannot be read (any more).
    """
    loaded = load_config_text(stored.config.text, base_dir=Path(stored.config.base_dir))
    return write_show_file(
        name=loaded.name,
        software=importlib.metadata.version("openvolume"),
        t_tai_ns=t_tai_ns,
        config=stored.config.text,
        show=stored.show,
        revisions=stored.revisions,
        configs=stored.configs,
        references=references(loaded),
    )


def references(loaded: LoadedConfig) -> list[Reference]:
    """Every file a configuration names, as it is now. Reads all of them."""
    named: set[Path] = set(loaded.scene_files.values())
    for scene in loaded.config.scenes.values():
        named.update(inputs_of(scene, loaded.base_dir).files)
    for source in loaded.config.tracking.sources.values():
        if source.lens_table is not None and source.lens_table.file:
            named.add(loaded.base_dir / source.lens_table.file)
        if source.osc.file:
            named.add(loaded.base_dir / source.osc.file)
    return sorted((_reference(path, loaded.base_dir) for path in named), key=lambda found: found.path)


def changed_references(told: Iterable[Reference], base_dir: Path) -> dict[str, str]:
    """Of the files a show names: those that are `missing` or `other` here, by name. Reads all of them."""
    found = {}
    for reference in told:
        here = _reference(base_dir / reference.path, base_dir)
        if here.sha256 != reference.sha256:
            found[reference.path] = "other" if here.sha256 else "missing"
    return found


def fitted(file: ShowFile, base_dir: Path) -> tuple[LoadedConfig, CompiledStage, Show]:
    """The configuration of a file, read and compiled where its files lie, and its show with all that this needs.

    Raises
    ------
    ConfigError : with every problem. BadValue : numbers of the show that are out of range.
    """
    loaded = load_config_text(file.config, base_dir=base_dir)
    stage = compile_loaded(loaded).stage
    first, show = fresh_show(loaded.config, stage), at_rest(file.show)
    show = msgspec.structs.replace(
        show,
        cameras={name: show.cameras.get(name, settings) for name, settings in first.cameras.items()},
        scenes=show.scenes or first.scenes,
        output_delays={name: show.output_delays.get(name, delay) for name, delay in first.output_delays.items()},
        output_delays_ms={name: show.output_delays_ms.get(name, ms) for name, ms in first.output_delays_ms.items()},
        delays={**first.delays, **show.delays},
        engines=first.engines,
    )
    around = surroundings(loaded.config, stage)
    show = settle(show, around, wanted=show)
    _in_range(show, around)
    return loaded, stage, show


def _in_range(show: Show, around: Surroundings) -> None:
    """Hold every number of a show to what its address takes: a file may have been written by hand."""
    faults: list[Problem] = []
    for address in ADDRESSES:
        if not address.numeric or address.collection not in ("", "cameras", "sources", "canvases"):
            continue
        for name in sorted(getattr(around, address.collection)) if address.collection else ("",):
            try:
                convert(address, address.pattern.replace("{}", name), address.read(show, name))
            except BadValue as error:
                faults += error.problems
    if faults:
        raise BadValue(*faults)


def begin_with(store: Store, file: ShowFile, config: Path, *, t_tai_ns: int) -> int:
    """Have a store begin with a file's show, whose configuration was written to `config`; its revision.

    Raises
    ------
    ConfigError : nothing was stored. StoreError
    """
    loaded, _, show = fitted(file, config.parent)
    revision, _ = store.begin(
        file_text=file.config,
        base_dir=str(loaded.base_dir),
        file_hash=text_hash(file.config),
        show=show,
        who="import",
        t_tai_ns=t_tai_ns,
    )
    return revision.rev


def _reference(path: Path, base_dir: Path) -> Reference:
    shown = str(path.relative_to(base_dir)) if path.is_relative_to(base_dir) else str(path)
    digest, size = sha256(), 0
    try:
        with path.open("rb") as file:
            while part := file.read(_CHUNK):
                digest.update(part)
                size += len(part)
    except OSError:
        return Reference(shown, "", 0)
    return Reference(shown, digest.hexdigest(), size)
