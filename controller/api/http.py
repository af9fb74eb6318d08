"""What every resource needs: JSON out with its ETag, JSON in, preconditions, and how it is told in OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from msgspec import Struct
from starlette.requests import HTTPConnection

from controller.access.roles import HAND
from controller.api.control import Control
from controller.api.pictures import MEDIA_TYPES, Format, Picture
from controller.api.problems import BadRequest, NeedsRevision, WrongMediaType, problem
from controller.api.views import OutcomeView
from controller.commands import Command
from controller.errors import BadValue, StaleChange, UnknownAddress
from controller.transaction import Outcome

PREFIX: Final = "/api/v1"
JSON_TYPES: Final = frozenset({"application/json", "application/merge-patch+json"})
YAML_TYPES: Final = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})


async def _control(connection: HTTPConnection) -> Control:  # async: a plain one would hop through a thread
    return cast("Control", connection.app.state.control)


Here = Annotated[Control, Depends(_control)]
"""The running control plane, as a parameter of a resource."""


def router() -> APIRouter:
    """A group of resources under the API's prefix."""
    return APIRouter(prefix=PREFIX, default_response_class=Response)


def answers(kind: Any, *, many: bool = False, status: int = 200, about: str = "") -> dict[int | str, dict[str, Any]]:
    """What a resource answers, for OpenAPI: a struct (or a mapping of it by id), and problems."""
    name = kind if isinstance(kind, str) else kind.__name__
    ref: dict[str, Any] = {"$ref": f"#/components/schemas/{name}"}
    schema = {"type": "object", "additionalProperties": ref} if many else ref
    told = about or "What was asked for" if status == 200 else about
    problems = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {
        status: {"description": told, "content": {"application/json": {"schema": schema}}},
        "default": {"description": "What is wrong, and what to do", "content": problems},
    }


def picture_answers(form: Format) -> dict[int | str, dict[str, Any]]:
    """As `answers`, for a picture."""
    told = answers("ProblemDocument")
    content = {MEDIA_TYPES[form]: {"schema": {"type": "string", "format": "binary"}}}
    told[200] = {"description": "The picture", "content": content}
    return told


def takes(schema: dict[str, Any], *media_types: str, required: bool = True) -> dict[str, Any]:
    """The body a resource takes, for OpenAPI."""
    content = {media_type: {"schema": schema} for media_type in media_types or ("application/json",)}
    return {"requestBody": {"required": required, "content": content}}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """The schema of an object that takes these properties and no others."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


def send_json(value: Any, *, rev: int | None = None, status: int = 200) -> Response:
    """A struct (or plain data) as JSON; its ETag is the revision, the struct's own `rev` unless told."""
    if rev is None and isinstance(value, Struct):
        rev = getattr(value, "rev", None)
    headers = {"cache-control": "no-store"}
    if rev is not None:
        headers["etag"] = f'"{rev}"'
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def send_picture(picture: Picture, form: Format) -> Response:
    """A picture; `X-Frame` tells the frame it shows."""
    headers = {"cache-control": "no-store", "x-frame": str(picture.frame), "etag": f'"{picture.n}"'}
    return Response(picture.data, headers=headers, media_type=MEDIA_TYPES[form])


def media_type(request: Request) -> str:
    """The media type of a body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_object(request: Request, *, optional: bool = False) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises
    ------
    WrongMediaType, BadRequest
    """
    body = await request.body()
    if not body and optional:
        return {}
    if media_type(request) not in JSON_TYPES:
        # Also what keeps a page of another site out: a browser asks before it sends this type.
        mend = "send application/json"
        raise problem(
            WrongMediaType, "content-type", "not a type this resource takes", value=media_type(request), mend=mend
        )
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise problem(BadRequest, "body", f"no JSON object: {error}", mend="send a JSON object") from error


def only(body: dict[str, Any], *known: str) -> None:
    """Refuse fields that mean nothing here. Raises BadValue."""
    for name, value in body.items():
        if name not in known:
            raise problem(BadValue, name, "no such field", value=value, mend=f"use {', '.join(known) or 'none'}")


def needed_rev(request: Request, rev: int, path: str) -> None:
    """Hold a structural write to the revision it was made from.

    Raises
    ------
    NeedsRevision : no If-Match. StaleChange : another revision runs. BadRequest : no revision at all.
    """
    told = request.headers.get("if-match")
    if told is None:
        mend = f'GET it first and send its ETag: If-Match: "{rev}"'
        raise problem(NeedsRevision, path, "say which revision this change was made from", mend=mend)
    checked_rev(request, rev, path)


def checked_rev(request: Request, rev: int, path: str) -> None:
    """As `needed_rev`, for writes that may do without."""
    told = request.headers.get("if-match")
    if told is None or told.strip() == "*":
        return
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in told.split(",")]
    if not all(tag.isdecimal() for tag in tags):
        raise problem(BadRequest, "if-match", "not a revision", value=told, mend=f'If-Match: "{rev}"')
    if str(rev) not in tags:
        raise problem(StaleChange, path, f"revision {rev} runs", value=told, mend="GET it again, and change that")


def known(name: str, ids: Any, path: str) -> str:
    """The id, if it is one of `ids`. Raises UnknownAddress."""
    if name not in ids:
        mend = f"use one of {', '.join(sorted(ids)) or '(none)'}"
        raise problem(UnknownAddress, path, "there is none of this name", mend=mend)
    return name


def who(_: Request) -> str:
    """Whose hand a request is, for the log."""
    return HAND.get().name


def flat(prefix: str, body: dict[str, Any], *, nested: tuple[str, ...] = ()) -> dict[str, Any]:
    """A merge patch as addresses: `{"soft_edge_deg": 1}` under `cameras/a` is `cameras/a/soft_edge_deg`.

    null would mean to remove a field, and none can be: it is refused as a bad value by the address itself.
    """
    found: dict[str, Any] = {}
    for name, value in body.items():
        if name in nested and isinstance(value, dict):
            found.update(flat(f"{prefix}/{name}", value))
        else:
            found[f"{prefix}/{name}" if prefix else name] = value
    return found


async def change(control: Control, command: Command) -> Outcome:
    """Make a change and wait until it holds."""
    return await control.desk.submit(command)


def send_outcome(outcome: Outcome) -> Response:
    """What a change has come to."""
    return send_json(OutcomeView(outcome.rev, outcome.frame, outcome.changes, outcome.t_committed_ns, outcome.undoes))
