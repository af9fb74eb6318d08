"""Who may do what: the first user, coming in and going, users, and keys for programs."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import Query, Request
from fastapi.responses import Response
from msgspec import Meta, Struct

from controller.access.doorman import COOKIE, TRIES_NS, Doorman, token_of
from controller.access.roles import HAND, ROLES, SCOPES, Hand, Role
from controller.access.secrets import (
    LEAST_PASSWORD,
    MOST_PASSWORD,
    new_key,
    new_token,
    password_fits,
    password_hash,
)
from controller.access.store import SESSION_NS, AccessStore, Key
from controller.api.control import Control
from controller.api.http import Here, answers, read_object, router, send_json, takes
from controller.api.problems import Forbidden, TooFast, Unauthorized, problem
from controller.api.views_access import AuditCheckView, AuditView, KeyView, SessionView, UserView
from controller.errors import BadValue
from runtime.clock import NS_PER_S

routes = router()
_Password = Annotated[str, Meta(min_length=LEAST_PASSWORD, max_length=MOST_PASSWORD)]
_Word = Annotated[str, Meta(max_length=MOST_PASSWORD)]
_Body = TypeVar("_Body", bound=Struct)
_Days = Annotated[float, Meta(gt=0.0, le=3650.0)]


class _SetUp(Struct, forbid_unknown_fields=True):
    code: _Word
    name: _Word
    password: _Password


class _LogIn(Struct, forbid_unknown_fields=True):
    name: _Word
    password: _Word


class _User(Struct, forbid_unknown_fields=True):
    role: Role | None = None
    password: _Password | None = None


class _Key(Struct, forbid_unknown_fields=True):
    role: Role
    days: _Days | None = None


_MENDS: Final = {
    "code": "send the set-up code, as the start of `openvolume run` printed it",
    "name": "send a name: 1 to 40 of a-z 0-9 _ . -",
    "password": f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters",
    "role": f"send one of {', '.join(ROLES)}",
    "days": "so many days it holds: more than 0, 3650 at most; left out: for ever",
}
"""What is wanted of each field, for people."""
_ROLE: Final[dict[str, Any]] = {"type": "string", "enum": list(ROLES)}
_TEXT: Final[dict[str, Any]] = {"type": "string"}
_NEW: Final[dict[str, Any]] = {"type": "string", "minLength": LEAST_PASSWORD, "maxLength": MOST_PASSWORD}


def _schema(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return takes(
        {"type": "object", "additionalProperties": False, "required": required, "properties": dict(properties)}
    )


@routes.get("/session", responses=answers(SessionView), tags=["access"])
async def get_session(control: Here) -> Response:
    """Who is asking, and what they may."""
    return send_json(_session(control))


@routes.post(
    "/setup",
    responses=answers(SessionView),
    openapi_extra=_schema(["code", "name", "password"], code=_TEXT, name=_TEXT, password=_NEW),
    tags=["access"],
)
async def set_up(request: Request, control: Here) -> Response:
    """Make the first user, an administrator, with the code that `openvolume run` printed; they are in at once."""
    body = await _read(request, _SetUp)
    host = _tries(request, control.doorman)
    store = _store(control)
    if not store.takes_code(body.code.strip().upper()):
        control.doorman.failed(host)
        detail = "there are users already" if store.is_set_up else "this is not the code"
        mend = "log in" if store.is_set_up else "`openvolume run` prints it when it starts"
        raise problem(Forbidden, "code", detail, mend=mend)
    kept = await asyncio.to_thread(password_hash, body.password)
    if not store.takes_code(body.code.strip().upper()):
        raise problem(Forbidden, "code", "somebody else has just used it", mend="log in")
    store.put_user(body.name, "admin", kept, control.clock.tai_ns())
    control.note("user", f"users/{body.name}", None, "admin")
    return _come_in(request, control, body.name)


@routes.post(
    "/session",
    responses=answers(SessionView),
    openapi_extra=_schema(["name", "password"], name=_TEXT, password=_TEXT),
    tags=["access"],
)
async def log_in(request: Request, control: Here) -> Response:
    """Come in with a password. The answer's cookie is the session: a page need do nothing more."""
    body = await _read(request, _LogIn)
    host = _tries(request, control.doorman)
    kept = _store(control).password_of(body.name)
    # As slow for a name that nobody has: the time tells nothing.
    fits = await asyncio.to_thread(lambda: password_fits(kept or _nobody(), body.password))
    if kept is None or not fits:
        control.doorman.failed(host)
        control.note("refused", "session", None, f"wrong password for {body.name!r}")
        raise problem(Unauthorized, "session", "no such name and password", mend="try again, or ask an admin")
    return _come_in(request, control, body.name)


@routes.delete("/session", responses=answers(SessionView), tags=["access"])
async def log_out(request: Request, control: Here) -> Response:
    """Go: the session ends."""
    token = request.cookies.get(COOKIE, "")
    if token:
        _store(control).end_session(token)
        control.doorman.forget()
    response = send_json(_session(control))
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


@routes.get("/users", responses=answers("Users"), tags=["access"])
async def get_users(control: Here) -> Response:
    """Everybody with a password."""
    return send_json(
        {"users": [msgspec.convert(u, UserView, from_attributes=True) for u in _store(control).everybody()]}
    )


@routes.put(
    "/users/{name}",
    responses=answers(UserView),
    openapi_extra=_schema([], role=_ROLE, password=_NEW),
    tags=["access"],
)
async def put_user(request: Request, control: Here, name: str) -> Response:
    """Make a user (role and password), or give one another role or password. Their sessions end with the password."""
    body, store = await _read(request, _User), _store(control)
    there = {user.name: user for user in store.everybody()}.get(name)
    if body.password is not None:
        role = body.role or (there.role if there else None)
        if role is None:
            raise problem(BadValue, f"users/{name}/role", "a new user needs a role", mend=f"one of {', '.join(ROLES)}")
        kept = await asyncio.to_thread(password_hash, body.password)
        store.put_user(name, role, kept, control.clock.tai_ns())
    elif body.role is not None and there is not None:
        store.set_role(name, body.role)
    elif there is None:
        raise problem(BadValue, f"users/{name}/password", "a new user needs a password", mend="send role and password")
    after = {"role": body.role, "password": "another one" if body.password is not None else None}
    control.note("user", f"users/{name}", there.role if there else None, after)
    control.doorman.forget()
    return send_json(
        next(msgspec.convert(u, UserView, from_attributes=True) for u in store.everybody() if u.name == name)
    )


@routes.delete("/users/{name}", responses=answers("Users"), tags=["access"])
async def drop_user(control: Here, name: str) -> Response:
    """Take a user away; their sessions end."""
    _store(control).drop_user(name)
    control.note("user", f"users/{name}", "was there", None)
    control.doorman.forget()
    return await get_users(control)


@routes.get("/keys", responses=answers("Keys"), tags=["access"])
async def get_keys(control: Here) -> Response:
    """Every key, without what it is."""
    return send_json({"keys": [msgspec.convert(k, KeyView, from_attributes=True) for k in _store(control).every_key()]})


@routes.put(
    "/keys/{name}",
    responses=answers(KeyView),
    openapi_extra=_schema(["role"], role=_ROLE, days={"type": "number", "exclusiveMinimum": 0, "maximum": 3650}),
    tags=["access"],
)
async def put_key(request: Request, control: Here, name: str) -> Response:
    """Make a key for a program, for so many `days` (for ever without). The answer tells it, and nothing does again."""
    body, secret = await _read(request, _Key), new_key()
    now_ns = control.clock.tai_ns()
    expires_ns = None if body.days is None else now_ns + int(body.days * 86400 * NS_PER_S)
    key = Key(name, body.role, HAND.get().name, now_ns, expires_ns)
    _store(control).put_key(key, secret)
    control.note("key", f"keys/{name}", None, key.role)
    return send_json(KeyView(name, key.role, key.made_by, now_ns, expires_ns, secret))


@routes.delete("/keys/{name}", responses=answers("Keys"), tags=["access"])
async def drop_key(control: Here, name: str) -> Response:
    """Take a key away: from now on it lets nobody in."""
    _store(control).drop_key(name)
    control.note("key", f"keys/{name}", "was there", None)
    control.doorman.forget()
    return await get_keys(control)


@routes.get("/audit", responses=answers("Audit"), tags=["access"])
async def get_audit(
    control: Here,
    before: Annotated[int | None, Query(ge=1, description="Only entries older than this number.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    take: Annotated[str | None, Query(max_length=80, description="Only what was done while it rolled.")] = None,
) -> Response:
    """Who did what, newest first: before, after, frame, take. Nothing is ever taken out of it."""
    entries = await control.desk.audit(before=before, limit=limit, take=take)
    return send_json({"entries": [msgspec.convert(e, AuditView, from_attributes=True) for e in entries]})


@routes.get("/audit/check", responses=answers(AuditCheckView), tags=["access"])
async def check_audit(control: Here) -> Response:
    """Whether the audit log is whole: every entry carries the mark of the one before it."""
    found = await control.desk.audit_faults()
    return send_json(AuditCheckView(not found, found[:100]))


def _store(control: Control) -> AccessStore:
    store = control.doorman.store
    assert store is not None, "a served app has one"
    return store


def _session(control: Control) -> SessionView:
    hand = HAND.get()
    return SessionView(hand.name, hand.role, sorted(SCOPES[hand.role]), hand.user, control.doorman.is_set_up)


def _come_in(request: Request, control: Control, name: str) -> Response:
    token = new_token()
    before = token_of(request.headers)
    store = _store(control)
    if before:
        store.end_session(before)
    store.begin_session(name, token, control.clock.tai_ns())
    control.doorman.forget()
    user = next(user for user in store.everybody() if user.name == name)
    control.note("session", f"users/{name}", None, "came in", Hand(name, user.role, name))
    response = send_json(SessionView(name, user.role, sorted(SCOPES[user.role]), name))
    secure = request.url.scheme == "https"
    age_s = SESSION_NS // NS_PER_S
    response.set_cookie(COOKIE, token, max_age=age_s, path="/", httponly=True, samesite="strict", secure=secure)
    return response


def _tries(request: Request, doorman: Doorman) -> str:
    host = request.client.host if request.client else "local"
    if not doorman.may_try(host):
        raise problem(TooFast, "session", "too many wrong tries", value=TRIES_NS / NS_PER_S, mend="wait a minute")
    return host


_kept_nobody: list[str] = []


def _nobody() -> str:
    """A hash that no password fits."""
    if not _kept_nobody:
        _kept_nobody.append(password_hash(new_token()))
    return _kept_nobody[0]


async def _read(request: Request, kind: type[_Body]) -> _Body:
    body = await read_object(request)
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        # The last name it quotes is the field: "... - at `$.password`", "... required field `role`".
        named = re.findall(r"`[$.]*(\w+)`", str(error))
        field = named[-1] if named else ""
        mend = _MENDS.get(field, f"send {', '.join(one.name for one in msgspec.structs.fields(kind))}")
        raise problem(BadValue, field if field in _MENDS else "body", str(error), mend=mend) from None
