"""A start with a configuration file that cannot be read (truncated, half saved): what ran from it last.

Only when it is asked for: nobody shall wonder why a file that was changed does nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

from controller.access.store import access_folder
from controller.config import LoadedConfig, config_path, load_config_text
from controller.errors import UnknownAddress
from controller.store import Store
from stage.errors import OpenVolumeError, Problem


def last_good(config: str) -> LoadedConfig:
    """The configuration that ran last of the show that was begun from a file; a start with it goes on with all that
    was live.

    Raises
    ------
    UnknownAddress : nothing ever ran from this file. StoreError, ConfigError
    """
    wanted = str(config_path(config).absolute())
    for database in sorted(access_folder().glob("*/show.db")):
        if _begun_from(database) != wanted:
            continue
        with Store(database.parent) as store:
            last = store.last()
            found = store.config(last[0].config) if last is not None else None
            if found is not None:
                loaded = load_config_text(found.text, base_dir=Path(found.base_dir))
                # The history goes on from the file as it was when it was good.
                return replace(loaded, sha256=store.file_hash)
    detail, mend = "no show was ever begun from this file", "mend the file"
    raise UnknownAddress(Problem(UnknownAddress.code, "--last-good", detail, wanted, mend))


def hint(config: str) -> list[Problem]:
    """That what ran last from a file is kept, where something did: whoever broke the file wants to know."""
    try:
        wanted = str(config_path(config).absolute())
    except OpenVolumeError:
        return []
    if not any(_begun_from(database) == wanted for database in access_folder().glob("*/show.db")):
        return []
    mend = f"mend the file; or `openvolume run {config} --last-good` goes on with that"
    return [Problem("controller.last_good", config, "what ran last from this file is kept", None, mend)]


def _begun_from(database: Path) -> str:
    try:
        with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'file_path'").fetchone()
    except sqlite3.Error:
        return ""
    return row[0] if row else ""
