"""Looks at every request: whose hand it is, and whether that hand may.

Until somebody is administrator, whoever is on this machine may do everything and nobody else may do anything. From
then on, programs on this machine that do not say who they are may look; everybody else says who they are, with a
session (cookie) or a key (`Authorization: Bearer ov_...`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final, Literal

from starlette.datastructures import Headers

from controller.access.pace import Paces
from controller.access.roles import HERE, OPEN_PATHS, Hand, Role, Scope
from controller.access.secrets import KEY_PREFIX, new_key
from controller.access.store import AccessStore
from controller.show_lock import ShowLock
from runtime.clock import NS_PER_S, Clock

COOKIE: Final = "ov_session"
REMEMBER_NS: Final = 2 * NS_PER_S
"""Whom a token belongs to is looked up again after this: `openvolume access` may have changed it."""
MOST_REMEMBERED: Final = 1024
TRIES: Final = 5
TRIES_NS: Final = 60 * NS_PER_S
"""So many wrong passwords or codes from one host in this time; then it waits."""


class Doorman:
    """Knows everybody. `store` None: nobody is asked (documents and tests of resources)."""

    def __init__(self, store: AccessStore | None, *, clock: Clock) -> None:
        self.store, self._clock = store, clock
        self.local_key = new_key()
        """Lets the commands of whoever runs the show in (`RunDir.local_key`)."""
        self.lock: Callable[[], ShowLock] = ShowLock
        """The show lock as it stands."""
        self.on_refused: Callable[[Hand, str, str], None] = lambda _, __, ___: None
        """Is told of writes that are not let through: hand, path, why."""
        self.paces = Paces()
        self._known: OrderedDict[str, tuple[int, Hand | None]] = OrderedDict()
        self._set_up = (0, False)
        self._failed: OrderedDict[str, list[int]] = OrderedDict()

    @property
    def is_set_up(self) -> bool:
        """Whether there is an administrator."""
        if self.store is None:
            return False
        at_ns, known = self._set_up
        if not known and (at_ns == 0 or self._clock.now_ns() - at_ns > REMEMBER_NS):
            known = self.store.is_set_up
            self._set_up = (self._clock.now_ns(), known)
        return known

    def wait_s(self, headers: Headers, host: str) -> float:
        """Count a request: 0, or after how many seconds its client may ask again. Whoever is known has a pace of
        their own; all others of an address share one, so that tokens made up cost no look-ups without end."""
        token = token_of(headers)
        if token and compare_digest(token.encode(), self.local_key.encode()):
            return 0.0
        known = self._known.get(token) if token else None
        client = token if known is not None and known[1] is not None else f"at {host}"
        return self.paces.wait_s(client, self._clock.now_ns())

    def hand(self, headers: Headers, client: str, *, is_here: bool) -> Hand | None:
        """Whose hand a request is; None: it shows a token that lets nobody in."""
        token = token_of(headers)
        if self.store is not None and token:
            known = self._lookup(token)
            if known is not None or self.is_set_up:
                return known
            # A browser may still hold a session of users that are gone: without users everybody is met alike.
        role: Role = "admin" if is_here and not self.is_set_up else "viewer"
        return Hand(f"http {client}", role)

    def stranger(self, client: str) -> Hand:
        """Whoever shows a token that lets nobody in, where everybody is let in."""
        return Hand(f"http {client}", "viewer")

    def lets_in(self, hand: Hand | None, scope: Scope, path: str, *, is_here: bool) -> Literal["yes", "who", "no"]:
        """Whether a hand may: `who`: it should say who it is first; `no`: its role is not enough."""
        if path in OPEN_PATHS:
            return "yes"
        if hand is None:
            return "who"
        if not hand.user and self.is_set_up and not is_here and path.startswith("/api/"):
            return "who"
        if hand.may(scope):
            return "yes"
        return "who" if not hand.user and self.is_set_up else "no"

    def admits(self, headers: Headers, host: str, path: str) -> bool:
        """Whether whoever reads at a path over a connection that stays is let in still: sessions end, keys expire and
        are taken away. It counts as a request of theirs."""
        here = is_here(host)
        hand = self.hand(headers, host or "local", is_here=here)
        return self.lets_in(hand, "read", path, is_here=here) == "yes"

    def forget(self) -> None:
        """Users, keys or sessions have changed: look everybody up again."""
        self._known.clear()
        self._set_up = (0, False)

    def may_try(self, host: str) -> bool:
        """Whether a host may try another password."""
        now_ns = self._clock.now_ns()
        tries = [t for t in self._failed.get(host, []) if now_ns - t < TRIES_NS]
        self._failed[host] = tries
        return len(tries) < TRIES

    def failed(self, host: str) -> None:
        """A password or code was wrong."""
        self._failed.setdefault(host, []).append(self._clock.now_ns())
        self._failed.move_to_end(host)
        while len(self._failed) > MOST_REMEMBERED:
            self._failed.popitem(last=False)

    def _lookup(self, token: str) -> Hand | None:
        assert self.store is not None
        if compare_digest(token.encode(), self.local_key.encode()):
            return HERE
        now_ns = self._clock.now_ns()
        known = self._known.get(token)
        if known is not None and now_ns - known[0] < REMEMBER_NS:
            return known[1]
        t_tai_ns = self._clock.tai_ns()
        hand: Hand | None = None
        if token.startswith(KEY_PREFIX):
            key = self.store.key_of(token, t_tai_ns)
            hand = None if key is None else Hand(f"key {key.name}", key.role, key.name)
        else:
            user = self.store.session_of(token, t_tai_ns)
            hand = None if user is None else Hand(user.name, user.role, user.name)
        self._known[token] = (now_ns, hand)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return hand


def is_here(host: str) -> bool:
    """Whether an address is of this machine; so are those of no network (a Unix socket)."""
    if not host:
        return True
    try:
        found = ip_address(host)
    except ValueError:
        return True
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def token_of(headers: Headers) -> str:
    """The key or session token a request shows; empty: none."""
    kind, _, said = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and said.strip():
        return said.strip()
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
