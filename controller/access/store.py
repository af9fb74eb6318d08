"""Users, keys and sessions in SQLite, beside the shows: whoever may run one show of this machine may run them all.

Passwords are kept as argon2id, keys, sessions and the set-up code as SHA-256. Written by the service and by
`openvolume access`; each write is on the disk when the call returns.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import Final

from msgspec import Struct

from controller.access.roles import ROLES, Role
from controller.access.secrets import token_hash
from controller.database import store_error, writing
from controller.errors import BadValue, UnknownAddress
from runtime.clock import NS_PER_S
from stage.errors import Problem

SCHEMA: Final = 1
FILE: Final = "access.db"
SESSION_NS: Final = 12 * 3600 * NS_PER_S
IDLE_NS: Final = 2 * 3600 * NS_PER_S
"""A session ends so long after its last request, and at the latest after `SESSION_NS`."""
DAMAGED: Final = (
    "put a copy of it back; or move it away (mv) and begin without users: whoever is on this machine may do everything "
    "until there is an administrator again"
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, t_made_tai_ns INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS keys (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, made_by TEXT NOT NULL,
    t_made_tai_ns INTEGER NOT NULL, t_expires_tai_ns INTEGER
);
CREATE TABLE IF NOT EXISTS sessions (
    hash TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    t_made_tai_ns INTEGER NOT NULL, t_used_tai_ns INTEGER NOT NULL
);
"""


class User(Struct, frozen=True):
    """Somebody with a password."""

    name: str
    role: Role
    t_made_tai_ns: int


class Key(Struct, frozen=True):
    """A program's way in."""

    name: str
    role: Role
    made_by: str
    t_made_tai_ns: int
    t_expires_tai_ns: int | None = None
    """None: never."""


def access_folder() -> Path:
    """Where users are kept: XDG_STATE_HOME (or ~/.local/state) / openvolume."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "openvolume"


class AccessStore:
    """The database of users. Calls block on the disk for about a millisecond."""

    def __init__(self, folder: Path) -> None:
        """Open it in `folder`, made if absent. Raises StoreError."""
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=5.0)
            self.path.chmod(0o600)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            (schema,) = self._db.execute("PRAGMA user_version").fetchone()
            if schema > SCHEMA:
                raise store_error(self.path, f"was written by a newer version (schema {schema})")
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version={SCHEMA}")
        except (OSError, sqlite3.Error) as error:
            # Unlike a damaged show, damaged users are not replaced: that would let anyone in.
            raise store_error(self.path, str(error), damaged=DAMAGED) from error

    # --- the first user -------------------------------------------------------------------------------------------

    @property
    def is_set_up(self) -> bool:
        """Whether there is an administrator: from then on nobody writes without saying who they are."""
        return self._db.execute("SELECT 1 FROM users WHERE role = 'admin' LIMIT 1").fetchone() is not None

    def keep_code(self, code: str) -> None:
        """Keep a new set-up code; the one before means nothing any more."""
        with writing(self._db, self.path):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('setup_code', ?)", (token_hash(code),))

    def takes_code(self, code: str) -> bool:
        """Whether this is the set-up code, and it has not been used."""
        row = self._db.execute("SELECT value FROM meta WHERE key = 'setup_code'").fetchone()
        return row is not None and row[0] == token_hash(code) and not self.is_set_up

    # --- users ----------------------------------------------------------------------------------------------------

    def everybody(self) -> list[User]:
        """Everybody, by name."""
        return [User(*row) for row in self._db.execute("SELECT name, role, t_made_tai_ns FROM users ORDER BY name")]

    def put_user(self, name: str, role: Role, password: str, t_tai_ns: int) -> None:
        """Make or change a user; sessions of one who was there end.

        password : its hash (`secrets.password_hash`).

        Raises
        ------
        BadValue : a bad name or role, or it would leave no administrator.
        """
        _checked(name, role, "users")
        with writing(self._db, self.path):
            self._db.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET role = excluded.role, "
                "password = excluded.password",
                (name, role, password, t_tai_ns),
            )
            self._db.execute("DELETE FROM sessions WHERE user = ?", (name,))
            self._keep_an_admin(name)

    def set_role(self, name: str, role: Role) -> None:
        """Give a user another role. Raises UnknownAddress, BadValue."""
        _checked(name, role, "users")
        with writing(self._db, self.path):
            if self._db.execute("UPDATE users SET role = ? WHERE name = ?", (role, name)).rowcount == 0:
                raise _unknown(f"users/{name}")
            self._keep_an_admin(name)

    def drop_user(self, name: str) -> None:
        """Take a user away, with their sessions. Raises UnknownAddress, BadValue."""
        with writing(self._db, self.path):
            if self._db.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount == 0:
                raise _unknown(f"users/{name}")
            self._keep_an_admin(name)

    def password_of(self, name: str) -> str | None:
        """The kept hash of a user's password; None when there is no such user."""
        row = self._db.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    # --- keys -----------------------------------------------------------------------------------------------------

    def every_key(self) -> list[Key]:
        """Every key, by name; the keys themselves are nowhere."""
        query = "SELECT name, role, made_by, t_made_tai_ns, t_expires_tai_ns FROM keys ORDER BY name"
        return [Key(*row) for row in self._db.execute(query)]

    def put_key(self, key: Key, secret: str) -> None:
        """Keep a key. Raises BadValue when there is one of that name."""
        _checked(key.name, key.role, "keys")
        with writing(self._db, self.path):
            try:
                self._db.execute(
                    "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)",
                    (key.name, key.role, token_hash(secret), key.made_by, key.t_made_tai_ns, key.t_expires_tai_ns),
                )
            except sqlite3.IntegrityError:
                mend = "take that one away first, or use another name"
                raise BadValue(
                    Problem(BadValue.code, f"keys/{key.name}", "there is a key of this name", key.name, mend)
                ) from None

    def drop_key(self, name: str) -> None:
        """Take a key away: it lets nobody in any more. Raises UnknownAddress."""
        with writing(self._db, self.path):
            if self._db.execute("DELETE FROM keys WHERE name = ?", (name,)).rowcount == 0:
                raise _unknown(f"keys/{name}")

    def key_of(self, secret: str, t_tai_ns: int) -> Key | None:
        """The key a secret is; None when it is none, or has expired."""
        row = self._db.execute(
            "SELECT name, role, made_by, t_made_tai_ns, t_expires_tai_ns FROM keys WHERE hash = ?",
            (token_hash(secret),),
        ).fetchone()
        if row is None:
            return None
        key = Key(*row)
        return None if key.t_expires_tai_ns is not None and key.t_expires_tai_ns <= t_tai_ns else key

    # --- sessions -------------------------------------------------------------------------------------------------

    def begin_session(self, user: str, token: str, t_tai_ns: int) -> None:
        """A user has come in; sessions that have ended are swept out."""
        with writing(self._db, self.path):
            self._db.execute(
                "DELETE FROM sessions WHERE t_made_tai_ns <= ? OR t_used_tai_ns <= ?",
                (t_tai_ns - SESSION_NS, t_tai_ns - IDLE_NS),
            )
            self._db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (token_hash(token), user, t_tai_ns, t_tai_ns))

    def session_of(self, token: str, t_tai_ns: int) -> User | None:
        """Whose session a token is, by now; None when it is none, or has ended."""
        row = self._db.execute(
            "SELECT u.name, u.role, u.t_made_tai_ns, s.t_made_tai_ns, s.t_used_tai_ns FROM sessions s "
            "JOIN users u ON u.name = s.user WHERE s.hash = ?",
            (token_hash(token),),
        ).fetchone()
        if row is None or row[3] <= t_tai_ns - SESSION_NS or row[4] <= t_tai_ns - IDLE_NS:
            return None
        if t_tai_ns - row[4] > IDLE_NS // 10:
            with writing(self._db, self.path):
                self._db.execute("UPDATE sessions SET t_used_tai_ns = ? WHERE hash = ?", (t_tai_ns, token_hash(token)))
        return User(row[0], row[1], row[2])

    def end_session(self, token: str) -> None:
        """A user has gone."""
        with writing(self._db, self.path):
            self._db.execute("DELETE FROM sessions WHERE hash = ?", (token_hash(token),))

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def _keep_an_admin(self, name: str) -> None:
        if not self.is_set_up:
            mend = "make another user admin first"
            raise BadValue(Problem(BadValue.code, f"users/{name}", "would leave no administrator", name, mend))


def _checked(name: str, role: str, where: str) -> None:
    if not _NAME.fullmatch(name):
        mend = "use 1 to 40 of a-z 0-9 _ . -, beginning with a letter or digit"
        raise BadValue(Problem(BadValue.code, f"{where}/name", "no good name", name, mend))
    if role not in ROLES:
        mend = f"use one of {', '.join(ROLES)}"
        raise BadValue(Problem(BadValue.code, f"{where}/{name}/role", "no role", role, mend))


def _unknown(path: str) -> UnknownAddress:
    return UnknownAddress(Problem(UnknownAddress.code, path, "there is none of this name"))
