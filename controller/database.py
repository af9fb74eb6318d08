"""What our SQLite files have in common: one writer at a time, all or nothing, and errors that name the file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from controller.errors import StoreError
from stage.errors import Problem


@contextlib.contextmanager
def writing(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Write in one transaction: kept when the block ends, taken back when it raises. Raises StoreError."""
    try:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise store_error(path, str(error)) from error


def store_error(path: Path, detail: str) -> StoreError:
    """A file that cannot be used."""
    damaged = "malformed" in detail or "not a database" in detail
    mend = (
        "start the show again: the newest good backup takes its place (openvolume show backups lists them)"
        if damaged
        else "free space, mend the permissions, or set XDG_STATE_HOME"
    )
    return StoreError(Problem(StoreError.code, str(path), detail, mend=mend))
