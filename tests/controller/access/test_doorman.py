"""Whose hand a request is, and whether it may: every route and every role; tokens that are wrong, old or gone."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from controller.access.doorman import COOKIE, TRIES, TRIES_NS, Doorman
from controller.access.roles import HAND, ROLES, SCOPES, Hand, Role, allowed, scope_of_address
from controller.access.secrets import new_code, new_key, new_token, password_fits, password_hash
from controller.access.setup import set_up_words
from controller.access.store import IDLE_NS, SESSION_NS, AccessStore, Key
from controller.addresses import ADDRESSES
from controller.api.app import create_app
from controller.api.guard import Guard
from controller.errors import BadValue, NotAllowed, UnknownAddress
from runtime.clock import NS_PER_S, VirtualClock

MANAGED: Final = ("/api/v1/users", "/api/v1/keys", "/api/v1/audit")
OPEN: Final = {"/api/v1/session", "/api/v1/setup"}


def requests() -> list[tuple[str, str]]:
    paths: dict[str, dict[str, Any]] = create_app(version="0").openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


class Door:
    """A guard over nothing, with a key for every role."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(NS_PER_S)
        self.store = AccessStore(folder)
        self.store.put_user("boss", "admin", "no hash", 0)
        self.keys: dict[Role, str] = {}
        for role in ROLES:
            self.keys[role] = new_key()
            self.store.put_key(Key(f"for-{role}", role, "test", 0), self.keys[role])
        self.doorman = Doorman(self.store, clock=self.clock)
        self.hands: list[Hand] = []

    async def status(
        self, method: str, path: str, token: str = "", *, client: str = "127.0.0.1", cookie: str = ""
    ) -> int:
        sent: list[Message] = []

        async def app(_: Scope, receive: Receive, send: Send) -> None:
            self.hands.append(HAND.get())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", b"127.0.0.1:7400" if client == "127.0.0.1" else b"10.0.0.1:7400")]
        if token:
            headers.append((b"authorization", b"Bearer " + token.encode()))
        if cookie:
            headers.append((b"cookie", f"a=b; {COOKIE}={cookie}".encode()))
        scope = {
            "type": "http", "method": method, "path": path, "headers": headers, "client": (client, 5),
            "server": ("127.0.0.1" if client == "127.0.0.1" else "10.0.0.1", 7400),
        }  # fmt: skip
        await Guard(app, doorman=self.doorman)(scope, receive, send)
        return int(sent[0]["status"])


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.mark.parametrize("role", ROLES)
async def test_every_route_holds_to_the_role_table(door: Door, role: Role, routekit: ModuleType) -> None:
    wrong = []
    for route in routekit.every_route():
        good = route.scope == "anyone" or route.scope in SCOPES[role]
        status = await door.status(route.method, route.path, door.keys[role])
        if status != (200 if good else 403):
            wrong.append(f"{route.name}: {status}, the table says {route.scope}")
    assert not wrong, f"{role}: controller/access/roles.py and WHO_AND_WHEN of _routekit differ: {wrong}"


async def test_the_document_tells_the_scope_that_the_gate_asks_for(door: Door) -> None:
    paths: dict[str, dict[str, Any]] = create_app(version="0").openapi()["paths"]
    for template, methods in paths.items():
        for method, operation in methods.items():
            scopes = {scope for way in operation["security"] for told in way.values() for scope in told}
            assert len(scopes) == (template not in OPEN), f"{method} {template} tells no scope"
            for role in ROLES:
                path = re.sub(r"\{[^}]*\}", "x", template)
                good = scopes <= SCOPES[role]
                assert await door.status(method.upper(), path, door.keys[role]) == (200 if good else 403), template


async def test_who_does_not_say_who_they_are_may_look_here_and_nothing_from_elsewhere(door: Door) -> None:
    for method, template in requests():
        if template in OPEN:
            continue
        path = re.sub(r"\{[^}]*\}", "x", template)
        may = method == "GET" and not template.startswith(MANAGED)
        assert await door.status(method, path) == (200 if may else 401), path
        assert await door.status(method, path, client="10.0.0.7") == 401, path
    assert await door.status("GET", "/", client="10.0.0.7") == 200, "the page, to log in"


async def test_before_the_first_user_this_machine_may_do_everything_and_no_other_may_write(tmp_path: Path) -> None:
    door = Door(tmp_path / "other")
    door.doorman = Doorman(AccessStore(tmp_path / "new"), clock=door.clock)
    assert await door.status("PATCH", "/api/v1/show") == 200
    assert door.hands[-1] == Hand("http 127.0.0.1", "admin")
    assert await door.status("PATCH", "/api/v1/show", client="10.0.0.7") == 403
    assert await door.status("GET", "/api/v1/users", client="10.0.0.7") == 403


async def test_wrong_tokens_are_told_apart_from_none(door: Door) -> None:
    assert await door.status("GET", "/api/v1/show", "ov_forged") == 401, "who shows a key means to be known"
    assert await door.status("GET", "/api/v1/show", cookie="forged") == 401
    assert await door.status("POST", "/api/v1/session", cookie="forged") == 200, "an old cookie must not lock out"


async def test_keys_expire_and_can_be_taken_away(door: Door) -> None:
    secret, until_ns = new_key(), door.clock.tai_ns() + 10 * NS_PER_S
    door.store.put_key(Key("short", "operator", "boss", 0, until_ns), secret)
    assert await door.status("PUT", "/api/v1/config", secret) == 200
    assert door.hands[-1].name == "key short"
    door.clock.jump(11 * NS_PER_S)
    assert await door.status("PUT", "/api/v1/config", secret) == 401
    assert await door.status("PUT", "/api/v1/config", door.keys["operator"]) == 200
    door.store.drop_key("for-operator")
    door.doorman.forget()
    assert await door.status("PUT", "/api/v1/config", door.keys["operator"]) == 401
    with pytest.raises(UnknownAddress):
        door.store.drop_key("for-operator")


async def test_sessions_end_when_idle_and_in_any_case(door: Door) -> None:
    token = new_token()
    door.store.begin_session("boss", token, door.clock.tai_ns())
    began_ns = door.clock.now_ns()
    assert await door.status("GET", "/api/v1/users", cookie=token) == 200
    while door.clock.now_ns() - began_ns < SESSION_NS - IDLE_NS:
        door.clock.jump(IDLE_NS // 2)
        assert await door.status("GET", "/api/v1/users", cookie=token) == 200, "it is used"
    door.clock.jump(began_ns + SESSION_NS - door.clock.now_ns())
    assert await door.status("GET", "/api/v1/users", cookie=token) == 401, "half a day is a day's work"
    other = new_token()
    door.store.begin_session("boss", other, door.clock.tai_ns())
    door.clock.jump(IDLE_NS)
    assert await door.status("GET", "/api/v1/users", cookie=other) == 401, "nobody was there"


async def test_a_user_who_is_gone_has_no_session(door: Door) -> None:
    door.store.put_user("anna", "director", "no hash", 0)
    token = new_token()
    door.store.begin_session("anna", token, door.clock.tai_ns())
    assert await door.status("PATCH", "/api/v1/show", cookie=token) == 200
    door.store.set_role("anna", "viewer")
    door.doorman.forget()
    assert await door.status("PATCH", "/api/v1/show", cookie=token) == 403, "her role counts, not the one she had"
    door.store.drop_user("anna")
    door.doorman.forget()
    assert await door.status("PATCH", "/api/v1/show", cookie=token) == 401


def test_the_last_admin_stays(door: Door) -> None:
    with pytest.raises(BadValue, match="no administrator"):
        door.store.drop_user("boss")
    with pytest.raises(BadValue, match="no administrator"):
        door.store.set_role("boss", "operator")
    assert door.store.is_set_up
    with pytest.raises(BadValue, match="no good name"):
        door.store.put_user("An na", "viewer", "", 0)


def test_wrong_passwords_are_slowed_down_by_host(door: Door) -> None:
    for _ in range(TRIES):
        assert door.doorman.may_try("10.0.0.7")
        door.doorman.failed("10.0.0.7")
    assert not door.doorman.may_try("10.0.0.7")
    assert door.doorman.may_try("10.0.0.8")
    door.clock.jump(TRIES_NS)
    assert door.doorman.may_try("10.0.0.7")


def test_the_set_up_code_is_good_once(tmp_path: Path) -> None:
    store = AccessStore(tmp_path)
    words = set_up_words(store)
    code = re.search(r"[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{4}", words)
    assert code is not None
    assert store.takes_code(code[0])
    assert not store.takes_code(new_code())
    later = set_up_words(store)
    assert not store.takes_code(code[0]), "a new start, a new code"
    store.put_user("boss", "admin", password_hash("a long password"), 0)
    assert not any(store.takes_code(word) for word in later.split())
    assert set_up_words(store) == ""


def test_nothing_secret_lies_in_the_file(door: Door, tmp_path: Path) -> None:
    kept = password_hash("correct horse battery")
    door.store.put_user("anna", "viewer", kept, 0)
    token = new_token()
    door.store.begin_session("anna", token, 0)
    door.store.close()
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (*door.keys.values(), token, "correct horse battery"):
        assert secret.encode() not in data
    assert (tmp_path / "access.db").stat().st_mode & 0o077 == 0
    assert kept.startswith("$argon2id$")
    assert password_fits(kept, "correct horse battery")
    assert not password_fits(kept, "Correct horse battery")
    assert not password_fits("rubbish", "x")


def test_addresses_of_the_picture_are_the_directors() -> None:
    directors = {address.pattern for address in ADDRESSES if scope_of_address(address.pattern) == "look"}
    assert {"exposure_ev", "scenes/active", "position"} <= directors
    assert not any(
        address.startswith(("cameras/", "sources/", "outer/", "canvases/", "patterns")) for address in directors
    )
    token = HAND.set(Hand("dora", "director", "dora"))
    try:
        allowed("look", "exposure_ev")
        with pytest.raises(NotAllowed, match="dora is director"):
            allowed("run", "cameras/a/rank")
    finally:
        HAND.reset(token)


def test_tokens_are_read_from_header_and_cookie(door: Door) -> None:
    from controller.access.doorman import token_of

    assert token_of(Headers({"authorization": "Bearer abc"})) == "abc"
    assert token_of(Headers({"authorization": "Basic abc"})) == ""
    assert token_of(Headers({"cookie": f"x=1; {COOKIE}=abc; y=2"})) == "abc"
    assert token_of(Headers({})) == ""


async def test_who_it_is_is_looked_up_once_in_a_while_not_for_each_request(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    before = door.store.key_of

    def key_of(secret: str, t_tai_ns: int) -> Key | None:
        looked.append(secret)
        return before(secret, t_tai_ns)

    monkeypatch.setattr(door.store, "key_of", key_of)
    for _ in range(50):
        assert await door.status("GET", "/api/v1/show", door.keys["viewer"]) == 200
        assert await door.status("GET", "/api/v1/show", "ov_forged") == 401
    assert len(looked) == 2, "also who is nobody is remembered"
    door.store.drop_key("for-viewer")
    door.doorman.forget()
    assert await door.status("GET", "/api/v1/show", door.keys["viewer"]) == 401, "and a change holds at once"
