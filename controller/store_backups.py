"""Copies of a show's database beside it: made whole while it runs, checked before they count, bounded in number.

A copy is one file that `sqlite3` opens by itself. The newest `KEEP_NEWEST` stay, and the newest of each of the last
`KEEP_DAYS` days that have one.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from controller.database import store_error
from runtime.clock import ASSUMED_TAI_MINUS_UTC_S, NS_PER_S

FOLDER: Final = "backups"
KEEP_NEWEST: Final = 10
KEEP_DAYS: Final = 7
_NAME: Final = re.compile(r"show-(\d{8})-\d{6}-r(\d+)(-\d+)?\.db")


def backups(folder: Path) -> list[Path]:
    """The copies of a show, newest first."""
    found = [path for path in (folder / FOLDER).glob("show-*.db") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: (path.name[:20], _rev(path), path.name), reverse=True)


def backed_up_rev(folder: Path) -> int:
    """The revision of the newest copy; 0 without one."""
    newest = backups(folder)[:1]
    return _rev(newest[0]) if newest else 0


def back_up(database: Path, *, rev: int, t_tai_ns: int, check: Callable[[sqlite3.Connection], None]) -> Path:
    """Copy a database as it is in this moment, while others write to it. Reads and writes files; call it on a thread.

    check : raises sqlite3.DatabaseError where the copy is not sound: then it is not kept.

    Raises
    ------
    StoreError : there is no room, or the database is damaged.
    """
    now = datetime.fromtimestamp(t_tai_ns // NS_PER_S - ASSUMED_TAI_MINUS_UTC_S, UTC)
    folder = database.parent / FOLDER
    stem = f"show-{now:%Y%m%d-%H%M%S}-r{rev}"
    target = folder / f"{stem}.db"
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{stem}-{number}.db"
    partial = folder / f".{target.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy_database(database, partial, check=check)
        partial.rename(target)
        _sync(folder)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise store_error(target, str(error)) from error
    _prune(folder.parent)
    return target


def copy_database(source: Path, target: Path, *, check: Callable[[sqlite3.Connection], None]) -> None:
    """Copy a database into a new file, whole and on the disk. Raises OSError, sqlite3.Error."""
    with (
        contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as original,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
        # One file, without a log beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
        check(copy)
    target.chmod(0o600)
    _sync(target)


def _prune(folder: Path) -> None:
    days: dict[str, Path] = {}
    found = backups(folder)
    for path in found:
        days.setdefault(path.name[5:13], path)
    kept = {*found[:KEEP_NEWEST], *list(days.values())[:KEEP_DAYS]}
    for path in found:
        if path not in kept:
            with contextlib.suppress(OSError):
                path.unlink()


def _rev(path: Path) -> int:
    named = _NAME.fullmatch(path.name)
    return int(named[2]) if named else 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
