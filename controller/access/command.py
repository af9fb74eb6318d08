"""`openvolume access`: users and keys of this machine, for whoever may write their file."""

from __future__ import annotations

import getpass
import sys
from dataclasses import dataclass
from pathlib import Path

from controller.access.certificates import certificates, fingerprint, machine_names, tls_folder, utc
from controller.access.roles import ROLES, Role
from controller.access.secrets import LEAST_PASSWORD, new_key, password_hash
from controller.access.store import AccessStore, Key, access_folder
from controller.errors import BadValue
from runtime.clock import NS_PER_S, SystemClock
from stage.errors import Problem


@dataclass(frozen=True, slots=True)
class Asked:
    """What `openvolume access` was told."""

    role: str | None = None
    days: float | None = None


def access_command(what: str, name: str | None, asked: Asked) -> str:
    """List, make or drop users and keys, or tell of the authority behind this machine's https; what to print.

    Raises
    ------
    BadValue, UnknownAddress, StoreError, CertificateError
    """
    if what == "ca":
        return _authority(name)
    store = AccessStore(access_folder())
    try:
        match what:
            case "list":
                return _listed(store)
            case "user":
                return _user(store, _needed(name), asked)
            case "key":
                return _key(store, _needed(name), asked)
            case "drop-user":
                store.drop_user(_needed(name))
                return f"user {name} is gone, with their sessions"
            case "drop-key":
                store.drop_key(_needed(name))
                return f"key {name} lets nobody in any more"
        raise _bad("WHAT", "no such thing to do", what, "use list, user, key, drop-user, drop-key or ca")
    finally:
        store.close()


def _authority(out: str | None) -> str:
    """Made if it is not there yet: it can be handed round before the first show."""
    found = certificates(tls_folder(), machine_names(), now=utc(SystemClock().tai_ns()))
    data = found.authority.read_bytes()
    told = f"SHA-256 {fingerprint(data)}"
    if out is None:
        return f"{data.decode()}{told}"
    try:
        Path(out).write_bytes(data)
    except OSError as error:
        raise _bad("NAME", f"cannot be written: {error.strerror}", out, "name a file in a folder of yours") from error
    return f"{out}: {told}\nHave browsers and programs trust it (docs/access.md): then they trust this machine's shows."


def _listed(store: AccessStore) -> str:
    lines = [f"user {user.name}  {user.role}" for user in store.everybody()]
    lines += [f"key  {key.name}  {key.role}  made by {key.made_by}" for key in store.every_key()]
    return "\n".join(lines) or "nobody yet: `openvolume access user NAME --role admin` makes the first"


def _user(store: AccessStore, name: str, asked: Asked) -> str:
    there = {user.name: user for user in store.everybody()}.get(name)
    role = _role(asked.role or (there.role if there else "admin" if not store.is_set_up else None))
    password = _password(name)
    store.put_user(name, role, password_hash(password), SystemClock().tai_ns())
    return f"{name} is {role}"


def _key(store: AccessStore, name: str, asked: Asked) -> str:
    secret, now_ns = new_key(), SystemClock().tai_ns()
    expires_ns = None if asked.days is None else now_ns + int(asked.days * 86400 * NS_PER_S)
    store.put_key(Key(name, _role(asked.role), getpass.getuser(), now_ns, expires_ns), secret)
    return f"{secret}\nIt is shown this once. Send it as `Authorization: Bearer ...`, or set OPENVOLUME_KEY."


def _password(name: str) -> str:
    """Asked for twice on a terminal; else the first line that comes in."""
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password for {name}: ")
        if password != getpass.getpass("Once more: "):
            raise _bad("password", "they differ", None, "try again")
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < LEAST_PASSWORD:
        raise _bad("password", "too short", len(password), f"take at least {LEAST_PASSWORD} characters")
    return password


def _role(role: str | None) -> Role:
    found = next((known for known in ROLES if known == role), None)
    if found is None:
        raise _bad("--role", "no role", role, f"use one of {', '.join(ROLES)}")
    return found


def _needed(name: str | None) -> str:
    if not name:
        raise _bad("NAME", "whose?", name, "name the user or key")
    return name


def _bad(path: str, detail: str, value: object, mend: str) -> BadValue:
    return BadValue(Problem(BadValue.code, path, detail, value, mend))
