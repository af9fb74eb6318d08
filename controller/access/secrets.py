"""Passwords, tokens and codes: how they are made, and how they are kept so that reading the file tells none."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Final

KEY_PREFIX: Final = "ov_"
_LETTERS: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Nothing that looks like something else when it is read from a terminal."""
LEAST_PASSWORD: Final = 10
MOST_PASSWORD: Final = 256
_TIME_COST, _MEMORY_KIB, _LANES = 3, 32 * 1024, 1
"""argon2id: about 50 ms here. One lane: it runs beside a show."""


def new_token() -> str:
    """A session's token: 256 bits."""
    return secrets.token_urlsafe(32)


def new_key() -> str:
    """A program's key; shown once."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def new_code() -> str:
    """A one-time set-up code: 60 bits, as `ABCD-EFGH-JKLM`."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(12))
    return "-".join(letters[i : i + 4] for i in range(0, 12, 4))


def token_hash(token: str) -> str:
    """How tokens, keys and codes are kept. They are random: a plain hash cannot be tried out."""
    return sha256(token.encode()).hexdigest()


def password_hash(password: str) -> str:
    """argon2id. Takes about 50 ms: call it on a thread."""
    from argon2 import PasswordHasher

    return PasswordHasher(_TIME_COST, _MEMORY_KIB, _LANES).hash(password)


def password_fits(kept: str, password: str) -> bool:
    """Whether a password is the one that was kept. As slow as `password_hash`, also when it is not."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher(_TIME_COST, _MEMORY_KIB, _LANES).verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
