"""Every route of the API, found in the app itself: what roles and the show lock are walked over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import Message, Receive, Scope, Send

from controller.access.doorman import Doorman
from controller.access.roles import HAND
from controller.api.app import create_app
from controller.api.guard import Guard
from runtime.clock import SystemClock

METHODS = ("get", "put", "post", "patch", "delete")

WHO_AND_WHEN: dict[str, str] = {
    # Whoever is not known yet.
    "POST /setup": "anyone, in a take",
    "POST /session": "anyone, in a take",
    "DELETE /session": "anyone, in a take",
    # What the picture is: directors, too.
    "PATCH /show": "look, in a take",  # of it, addresses tell
    "PATCH /takes/{take}": "look, in a take",  # notes and marks
    "PATCH /cards/{card}": "look, in a take",  # whether it is seen, and what was marked
    "PUT /cards/{card}": "look",
    "DELETE /cards/{card}": "look",
    "PATCH /cameras/{camera}": "look",  # its frame lines: addresses tell
    "PATCH /look": "look",
    "PUT /looks/{look}": "look",
    "PATCH /looks/{look}": "look",
    "DELETE /looks/{look}": "look",
    "POST /looks/{look}/store": "look",
    "POST /looks/{look}/apply": "look",
    "PUT /position": "look",
    "POST /positions/{position}/activate": "look",
    "PATCH /scenes/{scene}": "look",
    "PATCH /scenes/{scene}/{below}": "look",
    "POST /scenes/{scene}/activate": "look",
    "POST /undo": "look",  # whoever may make a change may take it back: addresses tell
    "POST /redo": "look",
    # Playing the show: also while a take rolls.
    "POST /actions/{action}": "run, in a take",
    "PUT /lock": "run, in a take",
    "POST /cues/go": "run, in a take",
    "POST /cues/back": "run, in a take",
    "POST /cues/stop": "run, in a take",
    "POST /cues/chase": "run, in a take",
    "POST /cues/{cue}/go": "run, in a take",
    "POST /captures": "run, in a take",
    "POST /captures/{capture}/end": "run, in a take",
    "POST /tracking/record": "run, in a take",
    "POST /config/check": "run, in a take",  # changes nothing
    "POST /show/import/check": "run, in a take",  # changes nothing
    "POST /show/backups": "run, in a take",
    # Everything else of the show, its configuration and devices.
    "PUT /config": "run",
    "POST /config/revisions/{rev}/restore": "run",
    "POST /show/import": "run",
    "POST /preflight": "run",
    "PUT /cues/order": "run",
    "PUT /cues/{cue}": "run",
    "PATCH /cues/{cue}": "run",
    "DELETE /cues/{cue}": "run",
    "PUT /chromakeys/{key}": "run",
    "PATCH /chromakeys/{key}": "run",
    "DELETE /chromakeys/{key}": "run",
    "PUT /patterns/{pattern}": "run",
    "DELETE /patterns": "run",
    "POST /scenes/{scene}/compile": "run",
    "PATCH /canvases/{canvas}": "run",
    "PATCH /engines/{engine}": "run",
    "PATCH /streams/{canvas}": "run",
    "POST /frames/jam": "run",
    "PATCH /library/{entry}": "run",
    "POST /library/{entry}/restore": "run",
    "PATCH /processors/{processor}": "run",
    "POST /processors/restore": "run",
    "POST /processors/{processor}/restore": "run",
    "POST /processors/{processor}/keep": "run",
    "PUT /relays/{relay}": "run",
    "DELETE /relays/{relay}": "run",
    "PATCH /sources/{source}": "run",
    "POST /sources/{source}/zero": "run",
    "POST /sources/{source}/undo": "run",
    "POST /sources/{source}/nudge": "run",
    "POST /sources/{source}/guided": "run",
    "POST /sources/{source}/guided/apply": "run",
    "POST /takes/{take}/replay": "run",
    "DELETE /takes/replay": "run",
    # Users and keys: admins alone. A reset password must not wait for the end of a take.
    "PUT /users/{name}": "manage, in a take",
    "DELETE /users/{name}": "manage, in a take",
    "PUT /keys/{name}": "manage, in a take",
    "DELETE /keys/{name}": "manage, in a take",
    # What is looked at needs `read`, but for these.
    "GET /session": "anyone",
    "GET /users": "manage",
    "GET /keys": "manage",
    "GET /audit": "manage",
    "GET /audit/check": "manage",
}
"""Whose every request that writes is (a scope of `controller.access.roles`, or anyone), and whether it acts while a
take rolls. Told by hand, and held against the gate for every route there is: a new one is not forgotten."""
FORGOTTEN = (
    "nobody has said whose this is: add it to WHO_AND_WHEN of tests/controller/_routekit.py as `look` (directors too), "
    "`run` (operators), `manage` (admins), with `, in a take` if it acts while a take rolls; then tell "
    "controller/access/roles.py (_LOOKS, _MANAGED) and controller/show_lock.py (_ACTING), else it is `run` and shut"
)


@dataclass(frozen=True)
class Route:
    """One method of one path: `template` as in the document, `path` with a word in place of each name."""

    method: str
    template: str
    operation: dict[str, Any] = field(compare=False, hash=False)

    @property
    def path(self) -> str:
        parts = self.template.split("/")
        return "/".join("1" if part in ("{rev}", "{frame}") else _filled(part) for part in parts)

    @property
    def name(self) -> str:
        return f"{self.method} {self.template.removeprefix('/api/v1')}"

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def scope(self) -> str:
        """What is needed for it by the table: a scope, or `anyone`."""
        told = WHO_AND_WHEN.get(self.name)
        assert told is not None or not self.writes, f"{self.name}: {FORGOTTEN}"
        return "read" if told is None else told.partition(",")[0]

    @property
    def acts_in_a_take(self) -> bool:
        """By the table."""
        assert self.scope
        return not self.writes or WHO_AND_WHEN[self.name].endswith(", in a take")


def _filled(part: str) -> str:
    begin, end = part.find("{"), part.find("}")
    return part if begin < 0 else part[:begin] + "a" + part[end + 1 :]


def every_route() -> Iterator[Route]:
    """Every method of every path in the document."""
    for template, item in create_app(version="test").openapi()["paths"].items():
        for method in METHODS:
            if method in item:
                yield Route(method.upper(), template, item[method])


async def knock(
    doorman: Doorman, method: str, path: str, *headers: tuple[bytes, bytes], client: str = "127.0.0.1"
) -> tuple[int, dict[str, Any]]:
    """Status and problem of the gate's answer; 200 where it lets the request through."""
    sent: list[Message] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "client": (client, 5), "server": (client, 7400),
        "headers": [(b"host", b"127.0.0.1"), *headers],
    }  # fmt: skip
    token = HAND.set(HAND.get())
    try:
        await Guard(app, doorman=doorman)(scope, receive, send)
    finally:
        HAND.reset(token)
    return sent[0]["status"], msgspec.json.decode(sent[1]["body"])


def unguarded() -> Doorman:
    """One that asks nobody who they are."""
    return Doorman(None, clock=SystemClock())
