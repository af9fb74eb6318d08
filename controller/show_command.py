"""`openvolume show`: whole shows in and out as files, copies of the database, and back to one.

A show that runs is asked: its database is the service's alone. One at rest is read here.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from controller.access.store import access_folder
from controller.database import store_error
from controller.errors import BadValue, UnknownAddress
from controller.rundir import RunDir, is_alive, replace_file, runs
from controller.show_file import ShowFile, read_show_file
from controller.show_transfer import begin_with, changed_references, packed, stored_show
from controller.store import Store, check_sound, state_folder
from controller.store_backups import backups, copy_database
from runtime.clock import SystemClock
from stage.errors import Problem

if TYPE_CHECKING:
    from controller.client import Client


@dataclass(frozen=True, slots=True)
class Asked:
    """What `openvolume show` was told."""

    show: str | None = None
    """Its name; default: the only one."""
    config: Path | None = None
    """import without a running show: where its configuration is written."""
    dry_run: bool = False
    run: str | None = None


def show_command(what: str, file: Path | None, asked: Asked) -> str:
    """Do it; what to print.

    Raises
    ------
    BadValue, UnknownAddress, ShowFileError, StoreError, ConfigError; and as `controller.asking.ask`.
    """
    match what:
        case "list":
            return "\n".join(_names()) or "no show was ever run here"
        case "export":
            return _export(_needed(file), asked)
        case "import":
            return _import(_needed(file), asked)
        case "backup":
            return _back_up(asked)
        case "backups":
            return _listed(asked)
        case "restore":
            return _restore(_needed(file), asked)
    raise _bad("WHAT", "no such thing to do", what, "use list, export, import, backup, backups or restore")


def _export(file: Path, asked: Asked) -> str:
    run, name = _whom(asked)
    damage: tuple[Path, Path | None] | None = None
    if run is not None:
        from controller.asking import ask

        async def taken(client: Client) -> tuple[str, int, bytes]:
            health = await client.health()
            return health.name, health.rev, await client.export_show()

        name, rev, data = ask(taken, run=run)
    else:
        with Store(state_folder(name)) as store:
            data = packed(stored_show(store), t_tai_ns=SystemClock().tai_ns())
            rev = store.last_rev
            damage = store.damage()
    _write(file, data)
    told = f"{name}, revision {rev}: {file}, {len(data)} bytes; users and keys are not in it"
    if damage is not None:
        aside, backup = damage
        instead = f"this is of backup {backup.name}" if backup is not None else "no backup was sound: this is empty"
        told += f"\nits database was damaged and lies in {aside.name}; {instead}"
    return told


def _import(file: Path, asked: Asked) -> str:
    show = read_show_file(_read(file))
    if asked.config is not None:
        return _begin(show, asked.config)
    from controller.asking import ask

    if asked.dry_run:
        found = ask(lambda client: client.check_import(file.read_bytes()), run=asked.run)
        lines = [
            *found.config,
            *(f"{path}: {_short(c.before)} -> {_short(c.after)}" for path, c in found.changes.items()),
        ]
        lines += [f"{path}: {state} here" for path, state in found.files.items()]
        return "\n".join(lines) or "nothing would change"
    outcome = ask(lambda client: client.import_show(file.read_bytes()), run=asked.run)
    return f"{show.manifest.name}: revision {outcome.rev}, holds from frame {outcome.frame}"


def _begin(show: ShowFile, config: Path) -> str:
    """Without a running show: the configuration into a file, everything live into the store it will resume."""
    config = config.absolute()
    if config.exists():
        raise _bad("--config", "is there already", str(config), "name a new file beside the show's assets")
    missing = changed_references(show.manifest.references, config.parent)
    from controller.config import load_config_text

    name = load_config_text(show.config, base_dir=config.parent).name
    _at_rest(name)
    with Store(state_folder(name)) as store:
        rev = begin_with(store, show, config, t_tai_ns=SystemClock().tai_ns())
    _write(config, show.config.encode())
    told = "".join(f"\n{path}: {state} here" for path, state in missing.items())
    return f"{name}: revision {rev}; `openvolume run {config}` goes on with it{told}"


def _back_up(asked: Asked) -> str:
    run, name = _whom(asked)
    unchanged = "has not changed since the newest backup"
    if run is not None:
        from controller.asking import ask

        async def made_there(client: Client) -> tuple[str, list[str], list[str]]:
            before = [one.name for one in (await client.backups()).backups]
            return (await client.health()).name, before, [one.name for one in (await client.back_up()).backups]

        name, before, after = ask(made_there, run=run)
        return next((one for one in after if one not in before), f"{name} {unchanged}")
    with Store(state_folder(name)) as store:
        made = store.back_up(SystemClock().tai_ns())
    return str(made) if made is not None else f"{name} {unchanged}"


def _listed(asked: Asked) -> str:
    found = backups(state_folder(_name(asked)))
    return "\n".join(f"{path.name}  {path.stat().st_size} bytes" for path in found) or "no backups yet"


def _restore(file: Path, asked: Asked) -> str:
    name = _name(asked)
    folder = state_folder(name)
    chosen = next((path for path in backups(folder) if path.name == str(file)), file)
    if not chosen.exists():
        raise _bad("FILE", "no such backup", str(file), "`openvolume show backups` lists them")
    _at_rest(name)
    target = folder / "show.db"
    partial = folder / ".show.db.restored"
    partial.unlink(missing_ok=True)
    try:
        copy_database(chosen, partial, check=check_sound)
        aside = _set_aside(target)
        partial.rename(target)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise store_error(chosen, str(error)) from error
    with Store(folder) as store:
        rev = store.last_rev
    kept = f"; what was there lies in {aside.name}" if aside is not None else ""
    return f"{name}: revision {rev} of {chosen.name} is what the next start goes on with{kept}"


def _set_aside(database: Path) -> Path | None:
    if not database.exists():
        return None
    number = 1
    while (aside := database.with_name(f"show.db.replaced-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = database.with_name(database.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _names() -> list[str]:
    return sorted(path.parent.name for path in access_folder().glob("*/show.db"))


def _name(asked: Asked) -> str:
    if asked.show is not None:
        if not (state_folder(asked.show) / "show.db").exists():
            raise _unknown(asked.show, "no show of this name was ever run here")
        return asked.show
    names = _names()
    if len(names) != 1:
        raise _unknown(None, "which show?" if names else "no show was ever run here")
    return names[0]


def _whom(asked: Asked) -> tuple[str | None, str]:
    """The run to ask (its name or URL), or None and the name of a show at rest."""
    if asked.run is not None:
        return asked.run, ""
    name = _name(asked)
    return next(iter(_living(name)), None), name


def _living(name: str) -> list[str]:
    return [run.run for run in runs() if is_alive(run) and _name_of(run) == name]


def _at_rest(name: str) -> None:
    """Nobody may write a store that a running show writes."""
    living = _living(name)
    if living:
        mend = "end it first; `openvolume show import FILE` takes a file into a running show"
        raise _bad("--show", f"it runs (run {living[0]})", name, mend)


def _name_of(run: RunDir) -> str:
    from controller.desk import read_current

    try:
        return read_current(run)[1].name
    except (OSError, ValueError, msgspec.MsgspecError):
        return ""


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _bad(
            "FILE", f"cannot be read: {error.strerror}", str(file), "name what `openvolume show export` wrote"
        ) from (error)


def _write(file: Path, data: bytes) -> None:
    try:
        replace_file(file.absolute(), data)
    except OSError as error:
        raise _bad("FILE", f"cannot be written: {error.strerror}", str(file), "name a file in a folder of yours") from (
            error
        )


def _needed(file: Path | None) -> Path:
    if file is None:
        raise _bad("FILE", "which file?", None, "name it")
    return file


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown(name: str | None, detail: str) -> UnknownAddress:
    known = ", ".join(_names()) or "(none)"
    return UnknownAddress(Problem(UnknownAddress.code, "--show", detail, name, f"use one of {known}"))


def _bad(path: str, detail: str, value: object, mend: str) -> BadValue:
    return BadValue(Problem(BadValue.code, path, detail, value, mend))
