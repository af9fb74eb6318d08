"""The audit log: who did what to the show, what was before and after, at which frame, in which take. Append-only.

Each entry carries the hash of the one before it and its own, so that a log with something taken out or changed does
not fit together any more. It lies in the show's database and is written with the change it tells of: a change that was
acknowledged is told, one that was not is not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

What = Literal[
    "change", "undo", "redo", "rollback", "config", "lock", "action", "refused", "session", "user", "key", "device"
]

TABLES: Final = """
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, t_tai_ns INTEGER NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL,
    what TEXT NOT NULL, path TEXT NOT NULL, before BLOB NOT NULL, after BLOB NOT NULL, frame INTEGER NOT NULL,
    take TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log stays'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_whole BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log stays'); END;
"""
FIRST: Final = "0" * 64


class Deed(Struct, frozen=True):
    """Something that was done, or refused."""

    t_tai_ns: int
    who: str
    role: str
    what: What
    path: str
    """Address, route or name it was done to."""
    before: Any = None
    after: Any = None
    frame: int = -1
    """Newest frame planned then; -1: none yet."""
    take: str = ""
    """The take that rolled."""


class Entry(Struct, frozen=True):
    """A deed in the log."""

    id: int
    t_tai_ns: int
    who: str
    role: str
    what: What
    path: str
    before: Any
    after: Any
    frame: int
    take: str
    hash: str
    """Mark of this entry and all before it."""


def add(db: sqlite3.Connection, deeds: Iterable[Deed]) -> None:
    """Write deeds down, inside the caller's transaction."""
    row = db.execute("SELECT hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    previous = row[0] if row else FIRST
    for deed in deeds:
        before, after = msgspec.json.encode(deed.before), msgspec.json.encode(deed.after)
        told = (deed.t_tai_ns, deed.who, deed.role, deed.what, deed.path, before, after, deed.frame, deed.take)
        mark = _hash(previous, told)
        db.execute(
            "INSERT INTO audit (t_tai_ns, who, role, what, path, before, after, frame, take, previous, hash) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*told, previous, mark),
        )
        previous = mark


def read(db: sqlite3.Connection, *, before: int | None, limit: int, take: str | None) -> list[Entry]:
    """The newest entries, newest first: older than number `before`, of one take if told."""
    query = "SELECT * FROM audit WHERE id < ? AND (? IS NULL OR take = ?) ORDER BY id DESC LIMIT ?"
    rows = db.execute(query, (before if before is not None else 1 << 62, take, take, limit)).fetchall()
    return [
        Entry(
            r[0], r[1], r[2], r[3], r[4], r[5], msgspec.json.decode(r[6]), msgspec.json.decode(r[7]), r[8], r[9], r[11]
        )
        for r in rows
    ]


def faults(db: sqlite3.Connection) -> Iterator[str]:
    """Where the log does not fit together; nothing when it is whole."""
    previous, number = FIRST, 0
    for row in db.execute("SELECT * FROM audit ORDER BY id"):
        if row[0] != number + 1:
            yield f"entries {number + 1} to {row[0] - 1} are not there"
        if row[10] != previous:
            yield f"entry {row[0]} does not go on from the one before it"
        if row[11] != _hash(row[10], row[1:10]):
            yield f"entry {row[0]} was changed"
        previous, number = row[11], row[0]


def _hash(previous: str, told: tuple[Any, ...]) -> str:
    return sha256(msgspec.msgpack.encode((previous, *told))).hexdigest()
