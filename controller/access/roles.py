"""Roles and what each may do. Pure tables: every route and every address of the show finds its scope here."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final, Literal

from msgspec import Struct

from controller.errors import NotAllowed
from stage.errors import Problem

Role = Literal["viewer", "director", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "director", "operator", "admin")

Scope = Literal["read", "look", "run", "manage"]
"""read: see everything but users and keys; look: what the picture is (scenes, positions, exposure, looks, light);
run: everything else of the show, its configuration and the devices; manage: users, keys, the audit log."""

SCOPES: Final[dict[Role, frozenset[Scope]]] = {
    "viewer": frozenset({"read"}),
    "director": frozenset({"read", "look"}),
    "operator": frozenset({"read", "look", "run"}),
    "admin": frozenset({"read", "look", "run", "manage"}),
}

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

OPEN_PATHS: Final = frozenset({"/api/v1/session", "/api/v1/setup"})
"""Who is not known yet begins here; both answer for themselves."""

_MANAGED: Final = re.compile(r"/api/v1/(users|keys|audit)(/.*)?")
_LOOKS: Final = tuple(
    re.compile("/api/v1/" + pattern)
    for pattern in (
        r"show",
        r"scenes/[^/]+(/(?!compile$).+)?",
        r"positions/[^/]+/activate",
        r"position",
        r"look",
        r"looks(/.*)?",
        r"cards(/.*)?",
        r"cameras/[^/]+",
        r"takes/(?!replay$)[^/]+",
        r"(undo|redo)",
    )
)
"""Where a director writes. What of the body is the director's to change, addresses tell."""
_LOOK_ADDRESSES: Final = re.compile(
    r"exposure_ev|scene|scenes/.*|position|look(/.*)?|looks/.*|cards/.*|cameras/[^/]+/frame_lines/.*"
)


class Hand(Struct, frozen=True):
    """Whose hand does something."""

    name: str
    """For logs: `anna`, `key desk-2`, `http 127.0.0.1`, `osc 127.0.0.1:9000`."""
    role: Role
    user: str = ""
    """The user it belongs to; empty: nobody has said who it is."""

    def may(self, scope: Scope) -> bool:
        """Whether its role has a scope."""
        return scope in SCOPES[self.role]


HERE: Final = Hand("here", "admin", "here")
"""Whoever runs the show, by our own commands."""
HAND: ContextVar[Hand] = ContextVar("hand", default=HERE)
"""The hand that the running task works for."""


def scope_of_request(method: str, path: str) -> Scope:
    """The scope a request needs."""
    if _MANAGED.fullmatch(path):
        return "manage"
    if method in READS:
        return "read"
    return "look" if any(pattern.fullmatch(path) for pattern in _LOOKS) else "run"


def scope_of_address(address: str) -> Scope:
    """The scope a change at an address of the show needs."""
    return "look" if _LOOK_ADDRESSES.fullmatch(address) else "run"


def allowed(scope: Scope, path: str, hand: Hand | None = None) -> None:
    """Hold a hand (None: the running task's) to its role, whichever way it came: a request's gate has looked at the
    path only.

    Raises
    ------
    NotAllowed : its role lacks the scope.
    """
    hand = hand or HAND.get()
    if not hand.may(scope):
        detail = f"{hand.name} is {hand.role}, and may not change this"
        raise NotAllowed(Problem(NotAllowed.code, path, detail, hand.role, f"ask {needed(scope)}"))


def needed(scope: Scope) -> str:
    """Who may do it, for people."""
    return {"read": "any user", "look": "a director", "run": "an operator", "manage": "an admin"}[scope]
