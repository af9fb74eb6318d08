"""The list of takes in SQLite, beside the show's revisions: each write is on the disk when the call returns."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from controller.database import store_error, writing
from controller.errors import UnknownAddress
from controller.takes.take import Take
from stage.errors import Problem

FILE: Final = "takes.db"
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS takes (
    id INTEGER PRIMARY KEY, slate TEXT NOT NULL, rolls INTEGER NOT NULL, document TEXT NOT NULL
)"""


class TakeBook:
    """All takes of a show.

    Raises
    ------
    StoreError : the file cannot be used; from every method.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_TABLE)
        except sqlite3.Error as error:
            raise store_error(self.path, str(error)) from error

    def add(self, take: Take) -> Take:
        """Keep a new one; it gets the next number in `id`."""
        with writing(self._db, self.path):
            (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM takes").fetchone()
            take = msgspec.structs.replace(take, id=last + 1)
            self._db.execute("INSERT INTO takes VALUES (?, ?, ?, ?)", _row(take))
        return take

    def keep(self, take: Take) -> None:
        """Keep what became of one."""
        with writing(self._db, self.path):
            number, *rest = _row(take)
            self._db.execute("UPDATE takes SET slate = ?, rolls = ?, document = ? WHERE id = ?", (*rest, number))

    def get(self, take: int) -> Take:
        """One of them. Raises UnknownAddress."""
        found = self._read("SELECT document FROM takes WHERE id = ?", take)
        if not found:
            raise UnknownAddress(Problem(UnknownAddress.code, f"takes/{take}", "there is none of this number"))
        return found[0]

    def rolling(self) -> Take | None:
        """The one that rolls."""
        found = self._read("SELECT document FROM takes WHERE rolls ORDER BY id DESC LIMIT 1")
        return found[0] if found else None

    def newest(self, *, before: int | None = None, limit: int = 100) -> list[Take]:
        """The last ones, newest first. before : only those with a lower number."""
        if before is None:
            return self._read("SELECT document FROM takes ORDER BY id DESC LIMIT ?", limit)
        return self._read("SELECT document FROM takes WHERE id < ? ORDER BY id DESC LIMIT ?", before, limit)

    def count(self, slate: str) -> int:
        """The highest number a slate has; 0: none."""
        found = self._read("SELECT document FROM takes WHERE slate = ?", slate)
        return max((take.number for take in found), default=0)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def _read(self, words: str, *values: object) -> list[Take]:
        try:
            rows = self._db.execute(words, values).fetchall()
            return [msgspec.json.decode(document, type=Take) for (document,) in rows]
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise store_error(self.path, str(error)) from error


def _row(take: Take) -> tuple[int, str, bool, str]:
    return take.id, take.slate, take.t_end_tai_ns is None, msgspec.json.encode(take).decode()
