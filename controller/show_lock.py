"""The show lock: while a take rolls, only a short list of things acts. Pure.

`open` -> `armed` (the next take is named; configuration and roll-backs wait) -> `rolling` -> `locked` (between two
takes of one set-up: nothing changes) -> `open`. Who holds it moves it on; anybody else breaks it, with a reason that is
kept.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from controller.errors import BadValue, ShowLocked
from stage.errors import Problem

LockState = Literal["open", "armed", "rolling", "locked"]
LOCK_STATES: Final[tuple[LockState, ...]] = ("open", "armed", "rolling", "locked")
SHUT: Final = ("rolling", "locked")
"""States in which only what is listed acts."""
_ACTS: Final = re.compile(r"take|cards/[^/]+/visible|cues/(go|back|chase|stop)")
"""Addresses that act in a take all the same: its own name, whether a card is seen, and playing (never editing) cues."""
_MARKABLE: Final = re.compile(
    r"exposure_ev|(cameras|cards|looks|scenes|sources)/[a-z0-9_-]+(/[A-Za-z0-9_.~-]+)+|look(/[a-z0-9_]+)+"
)
"""Where sliders may be marked to act in a take: what the picture is, never devices, outputs or the configuration."""
MOST_MARKED: Final = 64

_ACTING: Final = re.compile(
    r"POST /(setup|session|actions/[^/]+|captures|captures/[^/]+/end|tracking/record|config/check"
    r"|show/import/check|show/backups|cues/(go|back|chase|stop)|cues/[^/]+/go)"
    r"|DELETE /(session|users/[^/]+|keys/[^/]+)|PUT /(lock|users/[^/]+|keys/[^/]+)"
    r"|PATCH /(show|cards/[^/]+|takes/[^/]+)"
)
"""Requests that are let through in a take, method and path; of those that change the show, addresses tell the rest."""


class ShowLock(Struct, frozen=True):
    """How the lock stands."""

    state: LockState = "open"
    holder: str = ""
    """Who moved it last; empty: nobody."""
    take: str = ""
    """What it was armed for."""
    reason: str = ""
    """Why it was broken, if it was."""
    acts: list[str] = []
    """Addresses of sliders that act all the same in this take."""


class LockOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants of the lock."""

    state: LockState
    take: Annotated[str, Meta(max_length=80)] | None = None
    """Of the take; the one it was armed for if it is not told."""
    reason: Annotated[str, Meta(max_length=500)] = ""
    """Needed by whoever does not hold it, while it is rolling or locked."""
    acts: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=MOST_MARKED)] | None = None
    """Sliders that shall act in this take; those it was armed with if they are not told."""


def moved(lock: ShowLock, order: LockOrder, hand: str) -> ShowLock:
    """The lock after an order.

    Raises
    ------
    BadValue : there is no take to roll, or it breaks somebody's lock without a reason.
    """
    breaks = lock.state in SHUT and lock.holder != hand and order.state != lock.state
    reason = order.reason.strip()
    if breaks and not reason:
        detail = f"{lock.holder} holds it for take {lock.take or '(no name)'}"
        raise BadValue(Problem(BadValue.code, "lock/reason", detail, order.state, "say why: it is kept with the show"))
    take = lock.take if order.take is None else order.take.strip()
    if order.state == "open":
        return ShowLock(reason=reason if breaks else "")
    if order.state == "rolling" and not take:
        raise BadValue(Problem(BadValue.code, "lock/take", "what take rolls?", take, 'for example "12A/3"'))
    acts = lock.acts if order.acts is None else _marked(order.acts)
    if order.acts is not None and lock.state in SHUT and not set(acts) <= set(lock.acts):
        detail = "no more is let through while it is shut"
        raise BadValue(
            Problem(BadValue.code, "lock/acts", detail, acts, "open it first, or mark them while it is armed")
        )
    return ShowLock(order.state, hand, take, reason if breaks else "", acts)


def _marked(acts: list[str]) -> list[str]:
    for address in acts:
        if not _MARKABLE.fullmatch(address):
            mend = "mark values of cameras, sources, scenes, looks and cards, or exposure_ev"
            raise BadValue(Problem(BadValue.code, "lock/acts", "cannot act in a take", address, mend))
    return sorted(set(acts))


def rolling_take(lock: ShowLock) -> str:
    """The take that rolls; empty: none."""
    return lock.take if lock.state == "rolling" else ""


def held(lock: ShowLock, *addresses: str, whole: bool = False) -> None:
    """Hold a change to the lock. whole: it is a configuration or a roll-back, which an armed lock holds, too.

    Raises
    ------
    ShowLocked : with holder and take.
    """
    if lock.state == "open" or (lock.state == "armed" and not whole):
        return
    barred = [address for address in addresses if whole or not (_ACTS.fullmatch(address) or address in lock.acts)]
    if barred or not addresses:
        doing = "armed" if lock.state == "armed" else "rolling" if lock.state == "rolling" else "locked"
        detail = f"the show is {doing}: {lock.holder} holds it for take {lock.take or '(no name)'}"
        mend = "wait for the end of the take, or break the lock with a reason (PUT /api/v1/lock)"
        raise ShowLocked(Problem(ShowLocked.code, barred[0] if barred else "show", detail, lock.take, mend))


def request_held(lock: ShowLock, method: str, path: str) -> None:
    """Hold a writing request to the lock, whatever it writes to: devices do not know of takes. Raises ShowLocked."""
    if lock.state not in SHUT:
        return
    below = path.removeprefix("/api/v1")
    if _ACTING.fullmatch(f"{method} {below}"):
        return
    own = below.count("/") > 1 or below == "/look"
    if method == "PATCH" and own and any(address.startswith(below[1:] + "/") for address in lock.acts):
        # The marked slider's own object: the desk looks at what of it the body changes.
        return
    held(lock, below[1:])


def lock_order(body: object) -> LockOrder:
    """An order from plain data. Raises BadValue."""
    try:
        return msgspec.convert(body, LockOrder)
    except msgspec.ValidationError as error:
        mend = '{"state": "rolling", "take": "12A/3"}; open, armed, rolling or locked'
        raise BadValue(Problem(BadValue.code, "lock", str(error), None, mend)) from None
