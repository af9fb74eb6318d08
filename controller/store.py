"""The show's memory: every accepted change as a numbered revision in SQLite, kept through crashes and power cuts.

One database per show name under the user's state folder. WAL with synchronous=FULL: what was acknowledged is on the
disk. The configuration file is where a history begins; a start resumes the last revision while the file's bytes are
unchanged, else the file wins (`controller.beginning`). One writer: the service (before it: the start of the run).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec
from msgspec import Struct

from controller import audit
from controller.audit import Deed, Entry
from controller.database import store_error, writing
from controller.errors import NothingToUndo
from controller.show import Show
from controller.store_backups import FOLDER, back_up, backed_up_rev, backups, copy_database
from stage.errors import Problem

SCHEMA: Final = 1
KEEP_REVISIONS: Final = 2000
KEEP_CONFIGS: Final = 50

NEVER_UNDONE: Final = frozenset({"lock"})
"""Whoever takes back what was changed before a take does not mean the take's lock."""

Kind = Literal["file", "set", "config", "undo", "redo", "rollback"]

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS configs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, base_dir TEXT NOT NULL, text TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS revisions (
    rev INTEGER PRIMARY KEY, t_tai_ns INTEGER NOT NULL, who TEXT NOT NULL, kind TEXT NOT NULL,
    changes BLOB NOT NULL, config INTEGER NOT NULL REFERENCES configs (id), show BLOB NOT NULL, undone_by INTEGER
);
CREATE TABLE IF NOT EXISTS taken_back (
    rev INTEGER NOT NULL, path TEXT NOT NULL, taken_by INTEGER NOT NULL, PRIMARY KEY (rev, path)
);
"""


class Change(Struct, frozen=True):
    """What one address held before and after."""

    before: Any
    after: Any


class Revision(Struct, frozen=True):
    """One accepted change."""

    rev: int
    t_tai_ns: int
    who: str
    kind: Kind
    changes: dict[str, Change]
    config: int
    """Number of the configuration it ran with (`Store.config`)."""
    undone_by: int | None = None

    def touches(self, prefix: str) -> bool:
        """Whether it changed anything at or under an address; any, if it is empty."""
        return any(_under(path, prefix) for path in self.changes) or not prefix


class StoredConfig(Struct, frozen=True):
    """One configuration text."""

    id: int
    sha256: str
    base_dir: str
    """Folder that file names in it are relative to."""
    text: str


def state_folder(name: str) -> Path:
    """Where the show `name` keeps its state: XDG_STATE_HOME (or ~/.local/state) / openvolume / name."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    plain = "".join(c if c.isalnum() or c in "-_ ." else "_" for c in name).strip(". ")[:80] or "show"
    # Two names that look alike once made plain and short must not share a folder.
    mark = "" if plain == name else "-" + sha256(name.encode()).hexdigest()[:8]
    return Path(home).expanduser() / "openvolume" / (plain + mark)


def text_hash(text: str) -> str:
    """SHA-256 of a configuration text, hexadecimal."""
    return sha256(text.encode()).hexdigest()


class Store:
    """The database of one show. Calls block on the disk: the service makes them from a thread of their own.

    Attributes
    ----------
    path : the database file
    damaged : where a damaged database was moved to when this one was opened; None when it was sound
    recovered : the backup that is used in its place; None: there was no good one
    """

    def __init__(self, folder: Path) -> None:
        """Open the store in `folder`, made if absent.

        Raises
        ------
        StoreError : the folder or file cannot be written, or it was made by a newer version.
        """
        self.path = folder / "show.db"
        self.damaged: Path | None = None
        self.recovered: Path | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                self._db = self._open()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self.damaged = self._move_aside()
                self._db = self._recovered()
                self._remember_damage()
        except (OSError, sqlite3.Error) as error:
            raise store_error(self.path, str(error)) from error

    def _open(self) -> sqlite3.Connection:
        # The service uses it from one worker thread, which is not the thread that opened it.
        db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=5.0)
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                db.execute(f"PRAGMA {pragma}")
            (schema,) = db.execute("PRAGMA user_version").fetchone()
            if schema > SCHEMA:
                raise store_error(self.path, f"was written by a newer version (schema {schema})")
            check_sound(db)
            db.executescript(_TABLES + audit.TABLES)
            db.execute(f"PRAGMA user_version={SCHEMA}")
        except BaseException:
            db.close()
            raise
        return db

    def _move_aside(self) -> Path:
        number = 1
        while (aside := self.path.with_name(f"show.db.damaged-{number}")).exists():
            number += 1
        self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(aside.with_name(aside.name + suffix))
        return aside

    def _recovered(self) -> sqlite3.Connection:
        """The newest backup that is sound, in place of a damaged database; without one, a new database."""
        for backup in backups(self.path.parent):
            try:
                copy_database(backup, self.path, check=check_sound)
                db = self._open()
            except sqlite3.DatabaseError:
                # No better than what it was to replace: an older one may be.
                _remove(self.path)
                continue
            self.recovered = backup
            return db
        return self._open()

    def _remember_damage(self) -> None:
        """The service tells it to people, who did not see the start."""
        told = "" if self.recovered is None else self.recovered.name
        assert self.damaged is not None
        self._set_meta("damaged", f"{self.damaged.name}\n{told}")

    def damage(self) -> tuple[Path, Path | None] | None:
        """Where a damaged database lies and the backup taken in its place, until the next sound beginning."""
        told = self._meta("damaged")
        if not told:
            return None
        aside, _, backup = told.partition("\n")
        return self.path.with_name(aside), self.path.parent / FOLDER / backup if backup else None

    def remember_file(self, path: Path) -> None:
        """Which file the show was begun from: where that cannot be read one day, this is what ran of it."""
        if self._meta("file_path") != str(path):
            self._set_meta("file_path", str(path))

    def forget_damage(self) -> None:
        """A run begins soundly: what was, need not be told any more. Raises StoreError."""
        if self._meta("damaged"):
            self._set_meta("damaged", "")

    def back_up(self, t_tai_ns: int) -> Path | None:
        """Copy the database if it has changed since the last copy; None when it has not. Safe on any thread.

        Raises
        ------
        StoreError : there is no room for it, or the database is damaged.
        """
        try:
            with contextlib.closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as db:
                (rev,) = db.execute("SELECT coalesce(max(rev), 0) FROM revisions").fetchone()
        except sqlite3.Error as error:
            raise store_error(self.path, str(error)) from error
        if rev == 0 or rev == backed_up_rev(self.path.parent):
            return None
        return back_up(self.path, rev=rev, t_tai_ns=t_tai_ns, check=check_sound)

    def adopt(self, show: Show, *, text: str, base_dir: str, who: str, t_tai_ns: int) -> None:
        """Take in what runs, where the history does not know it: the database was damaged meanwhile.

        Raises
        ------
        StoreError : it cannot be written.
        """
        with writing(self._db, self.path):
            self._db.execute(
                "INSERT INTO configs VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256, "
                "base_dir = excluded.base_dir, text = excluded.text",
                (show.config_version, text_hash(text), base_dir, text),
            )
            self._db.execute("DELETE FROM revisions WHERE rev = ?", (show.version,))
            changes = {"show": Change(None, show.version)}
            self._insert(Revision(show.version, t_tai_ns, who, "file", changes, show.config_version), show)
            if not self.file_hash:
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('file_sha256', ?)", (text_hash(text),))

    def _meta(self, key: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

    def _set_meta(self, key: str, value: str) -> None:
        with writing(self._db, self.path):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def file_hash(self) -> str:
        """Hash of the configuration file the history goes on from; empty before the first start."""
        return self._meta("file_sha256")

    @property
    def last_rev(self) -> int:
        """Number of the newest revision; 0 before the first."""
        (rev,) = self._db.execute("SELECT coalesce(max(rev), 0) FROM revisions").fetchone()
        return int(rev)

    def begin(
        self, *, file_text: str, base_dir: str, file_hash: str, show: Show, who: str, t_tai_ns: int
    ) -> tuple[Revision, Show]:
        """Start a history anew from a configuration file; older revisions stay to be looked at.

        `show.version` and `show.config_version` are given here: the next revision, a new configuration.
        """
        with writing(self._db, self.path):
            config = self._add_config(file_text, base_dir)
            rev = self.last_rev + 1
            whole = msgspec.structs.replace(show, version=rev, config_version=config)
            revision = Revision(rev, t_tai_ns, who, "file", {}, config)
            self._insert(revision, whole)
            self._db.execute(
                "INSERT INTO meta VALUES ('file_sha256', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (file_hash,),
            )
            self._prune()
        return revision, whole

    def add_config(self, text: str, base_dir: str) -> int:
        """Keep a configuration text; its number, which no other has or had."""
        with writing(self._db, self.path):
            return self._add_config(text, base_dir)

    def append(
        self,
        revision: Revision,
        show: Show,
        *,
        undoes: int | None = None,
        taken: Collection[str] | None = None,
        replaces: int | None = None,
        deeds: Sequence[Deed] = (),
    ) -> None:
        """Keep an accepted change; on the disk when this returns.

        undoes : revision that it takes back; taken : which of its addresses (None: all that are left); replaces :
        revision of the same gesture that it stands for from now on; deeds : what the audit log tells of it.

        Raises
        ------
        StoreError : the disk is full or gone. Nothing was kept.
        """
        with writing(self._db, self.path):
            if replaces is not None:
                self._db.execute("DELETE FROM revisions WHERE rev = ?", (replaces,))
            self._insert(revision, show)
            if undoes is not None:
                self._take_back(undoes, revision, taken)
            audit.add(self._db, deeds)

    def withdraw(self, rev: int, *, before: tuple[Revision, Show] | None = None, deeds: Sequence[Deed] = ()) -> None:
        """Take out a change that was kept while it was still asked for, and refused: it never held.

        before : the revision of the same gesture that it stood for; deeds : what the audit log tells of it.

        Raises
        ------
        StoreError : it stays, until the next change that is kept.
        """
        with writing(self._db, self.path):
            self._db.execute("DELETE FROM revisions WHERE rev = ?", (rev,))
            if before is not None:
                self._insert(*before)
            audit.add(self._db, deeds)

    def note(self, deeds: Sequence[Deed]) -> None:
        """Write down what was done that is no change of the show, or was refused. Raises StoreError."""
        with writing(self._db, self.path):
            audit.add(self._db, deeds)

    def audit(self, *, before: int | None = None, limit: int = 100, take: str | None = None) -> list[Entry]:
        """The newest entries of the audit log, newest first."""
        return audit.read(self._db, before=before, limit=limit, take=take)

    def audit_faults(self) -> list[str]:
        """Where the audit log does not fit together."""
        return list(audit.faults(self._db))

    def last(self) -> tuple[Revision, Show] | None:
        """The newest revision with its show, or None."""
        return self.get(self.last_rev)

    def get(self, rev: int) -> tuple[Revision, Show] | None:
        """One revision with its show; None when there is none of that number (any more)."""
        row = self._db.execute("SELECT * FROM revisions WHERE rev = ?", (rev,)).fetchone()
        if row is None:
            return None
        return _revision(row), msgspec.msgpack.decode(row[6], type=Show)

    def config(self, number: int) -> StoredConfig | None:
        """One configuration; None when there is none of that number (any more)."""
        row = self._db.execute("SELECT id, sha256, base_dir, text FROM configs WHERE id = ?", (number,)).fetchone()
        return StoredConfig(*row) if row else None

    def revisions(self, *, before: int | None = None, limit: int = 50) -> list[Revision]:
        """The newest revisions, newest first, older than `before`."""
        query = "SELECT * FROM revisions WHERE rev < ? ORDER BY rev DESC LIMIT ?"
        rows = self._db.execute(query, (before if before is not None else 1 << 62, limit)).fetchall()
        return [_revision(row) for row in rows]

    def last_undoable(self, prefix: str = "", *, who: str | None = None) -> Revision | None:
        """The newest change (of one hand's, where `who` is told) that touches an address at or under `prefix`, with
        those of its addresses that were not taken back yet.

        A history begins with the file: what lies before is not undone any more.

        Raises
        ------
        NothingToUndo : somebody else has changed one of those addresses since.
        """
        newer: dict[str, Revision] = {}
        for revision in self._holding():
            if revision.kind == "file":
                return None
            if revision.kind in ("undo", "redo") or revision.changes.keys() <= NEVER_UNDONE:
                continue
            if revision.touches(prefix) and who in (None, revision.who):
                for path in revision.changes if who is not None else ():
                    if (other := newer.get(path) or newer.get("config")) is not None and _under(path, prefix):
                        raise _changed_since(path, other)
                return revision
            newer = {**dict.fromkeys(revision.changes, revision), **newer}
        return None

    def last_redoable(self, prefix: str = "", *, who: str | None = None) -> Revision | None:
        """The newest undo (of one hand's, where `who` is told) at or under `prefix`, with those of its addresses that
        were not brought back yet; None where something else was changed there since, or nothing was undone."""
        newer: set[str] = set()
        for revision in self._holding():
            if revision.kind == "redo" or (revision.changes.keys() <= NEVER_UNDONE and revision.kind != "file"):
                continue
            if revision.kind == "file":
                return None
            if not revision.touches(prefix):
                continue
            if revision.kind == "undo" and who in (None, revision.who):
                return None if newer & {path for path in revision.changes if _under(path, prefix)} else revision
            if who is None:
                return None
            newer |= revision.changes.keys()
        return None

    def _holding(self) -> Iterator[Revision]:
        """Every revision of which something was not taken back, newest first, with the addresses of which that is so;
        the first one's file last."""
        taken: dict[int, set[str]] = {}
        for rev, path in self._db.execute("SELECT rev, path FROM taken_back"):
            taken.setdefault(rev, set()).add(path)
        # Closed whatever comes of it: while it is open nothing can be written.
        with contextlib.closing(self._db.execute("SELECT * FROM revisions ORDER BY rev DESC")) as rows:
            for row in rows:
                revision = _revision(row)
                if revision.undone_by is not None:
                    continue
                gone = taken.get(revision.rev, set())
                if gone:
                    left = {path: change for path, change in revision.changes.items() if path not in gone}
                    revision = msgspec.structs.replace(revision, changes=left)
                yield revision

    def close(self) -> None:
        """Close it; everything acknowledged is on the disk already."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_back(self, rev: int, by: Revision, taken: Collection[str] | None) -> None:
        """Note what of a revision does not hold any more; it is undone once nothing of it is left."""
        row = self._db.execute("SELECT * FROM revisions WHERE rev = ?", (rev,)).fetchone()
        every = set() if row is None else _revision(row).changes.keys()
        paths = every if taken is None else every & set(taken)
        if by.kind == "redo":
            # What that undo had taken back holds again, and may be taken back again.
            query = "SELECT rev, path FROM taken_back WHERE taken_by = ?"
            again = {(one, path) for one, path in self._db.execute(query, (rev,)) if path in paths}
            self._db.executemany("DELETE FROM taken_back WHERE rev = ? AND path = ?", again)
            self._db.executemany("UPDATE revisions SET undone_by = NULL WHERE rev = ?", {(one,) for one, _ in again})
            if paths == every:
                self._db.execute("UPDATE revisions SET undone_by = NULL WHERE undone_by = ?", (rev,))
        self._db.executemany(
            "INSERT OR REPLACE INTO taken_back VALUES (?, ?, ?)", [(rev, path, by.rev) for path in sorted(paths)]
        )
        gone = {path for (path,) in self._db.execute("SELECT path FROM taken_back WHERE rev = ?", (rev,))}
        if every <= gone:
            self._db.execute("UPDATE revisions SET undone_by = ? WHERE rev = ?", (by.rev, rev))

    def _add_config(self, text: str, base_dir: str) -> int:
        # Never the number of an equal text before: processes know a configuration by its number alone.
        row = (text_hash(text), base_dir, text)
        cursor = self._db.execute("INSERT INTO configs (sha256, base_dir, text) VALUES (?, ?, ?)", row)
        return int(cursor.lastrowid or 0)

    def _insert(self, revision: Revision, show: Show) -> None:
        self._db.execute(
            "INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                revision.rev,
                revision.t_tai_ns,
                revision.who,
                revision.kind,
                msgspec.json.encode(revision.changes),
                revision.config,
                msgspec.msgpack.encode(show),
                revision.undone_by,
            ),
        )

    def _prune(self) -> None:
        oldest = self.last_rev - KEEP_REVISIONS
        row = self._db.execute(
            "SELECT id FROM configs ORDER BY id DESC LIMIT 1 OFFSET ?", (KEEP_CONFIGS - 1,)
        ).fetchone()
        oldest_config = row[0] if row else 0
        current = self.last_rev
        self._db.execute(
            "DELETE FROM revisions WHERE rev <> ? AND (rev <= ? OR config < ?)", (current, oldest, oldest_config)
        )
        self._db.execute("DELETE FROM taken_back WHERE rev NOT IN (SELECT rev FROM revisions)")
        self._db.execute(
            "DELETE FROM configs WHERE id < ? AND id NOT IN (SELECT config FROM revisions)", (oldest_config,)
        )


def check_sound(db: sqlite3.Connection) -> None:
    """Look a database over: SQLite's own check, and whether what a start needs of it can be read.

    Raises
    ------
    sqlite3.DatabaseError : it is damaged.
    """
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"malformed: {verdict}")
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"revisions", "configs"} <= tables:
        return
    try:
        for row in db.execute("SELECT * FROM revisions ORDER BY rev"):
            _revision(row)
        row = db.execute("SELECT * FROM revisions ORDER BY rev DESC LIMIT 1").fetchone()
        if row is not None:
            msgspec.msgpack.decode(row[6], type=Show)
            config = db.execute("SELECT sha256, text FROM configs WHERE id = ?", (row[5],)).fetchone()
            if config is None or config[0] != text_hash(config[1]):
                raise sqlite3.DatabaseError(f"configuration {row[5]} is not as it was written")
    except (msgspec.MsgspecError, UnicodeError, TypeError) as error:
        raise sqlite3.DatabaseError(f"a revision cannot be read: {error}") from error


def _under(path: str, prefix: str) -> bool:
    return not prefix or path == prefix or path.startswith(prefix + "/")


def _changed_since(path: str, other: Revision) -> NothingToUndo:
    detail = f"{other.who or 'somebody'} has changed it since (revision {other.rev})"
    mend = "set it by hand, or undo at this address without `mine`: that takes the newer change back first"
    return NothingToUndo(Problem(NothingToUndo.code, path, detail, None, mend))


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _revision(row: tuple[Any, ...]) -> Revision:
    changes = msgspec.json.decode(row[4], type=dict[str, Change])
    return Revision(row[0], row[1], row[2], row[3], changes, row[5], row[7])
