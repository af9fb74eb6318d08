"""What the API tells of users, keys and sessions."""

from __future__ import annotations

from controller.access.roles import Role
from controller.api.views import View
from controller.audit import Entry


class SessionView(View, frozen=True):
    """Who is asking, and what they may."""

    name: str
    """For logs; of a user their name."""
    role: Role
    scopes: list[str]
    user: str = ""
    """Empty: nobody has said who it is."""
    set_up: bool = True
    """False while there is no administrator: `POST /setup` makes the first one."""


class UserView(View, frozen=True):
    """Somebody with a password."""

    name: str
    role: Role
    t_made_tai_ns: int


class KeyView(View, frozen=True):
    """A program's way in."""

    name: str
    role: Role
    made_by: str
    t_made_tai_ns: int
    t_expires_tai_ns: int | None = None
    key: str | None = None
    """The key itself: told once, to whoever made it."""


class AuditView(View, Entry, frozen=True):
    """Something that was done, or refused."""


class AuditCheckView(View, frozen=True):
    """Whether the audit log is whole."""

    whole: bool
    faults: list[str]


class HandView(View, frozen=True):
    """Whose hand is on a slider."""

    hand: str
    since_ns: int
    """When it took it, CLOCK_MONOTONIC."""
    moved_ns: int
    """When it moved it last."""
    taken_from: str
    """Whose hand was on it in that moment; empty: nobody's."""


class HandsView(View, frozen=True):
    """Who moves what now: continuous values are the last writer's. A hand that moves nothing for three seconds has let
    go."""

    hands: dict[str, HandView]
    """By address."""
