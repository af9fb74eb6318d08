"""What our SQLite files have in common: one writer at a time, all or nothing, and errors that name the file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

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


DAMAGED_SHOW: Final = "start the show again: the newest good backup takes its place (`openvolume show backups`)"


def store_error(path: Path, detail: str, *, damaged: str = DAMAGED_SHOW) -> StoreError:
    """A file that cannot be used. damaged : what to do where it is the file that is broken."""
    said = detail.lower()
    if "malformed" in said or "not a database" in said:
        mend = damaged
    elif "is full" in said or "no space" in said:
        mend = "free space on its disk (df -h): what was acknowledged is kept, changes are taken again at once"
    else:
        mend = "mend the disk or its permissions, free space on it, or set XDG_STATE_HOME"
    return StoreError(Problem(StoreError.code, str(path), detail, mend=mend))
