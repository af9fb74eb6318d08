"""Errors as RFC 9457 problem documents: what is wrong, where, with which value, and what to do about it."""

from __future__ import annotations

import http
import logging
import math
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from msgspec import Struct
from starlette.exceptions import HTTPException

from controller.api.pictures import PictureError
from controller.api.streams import NotConnectedError
from controller.capture.order import CaptureError
from controller.errors import (
    BadValue,
    ChangeRefused,
    ChangeTimedOut,
    ConductorAbsent,
    ControllerError,
    NotAllowed,
    NothingToGo,
    NothingToUndo,
    PreflightFailed,
    ShowLocked,
    StaleChange,
    StoreError,
    UnknownAddress,
)
from controller.processors.driver import BusyError, LockedError, RefusedError, StrangeAnswerError, UnreachableError
from controller.show_file import ShowFileError
from controller.tracking_recorder import RecordingError
from stage.errors import OpenVolumeError, Problem

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"


class BadRequest(ControllerError):
    """A request that cannot be read: no JSON, the wrong media type, an unknown field."""

    code = "controller.bad_request"


class WrongMediaType(ControllerError):
    """A body in a format this resource does not take."""

    code = "controller.media_type"


class TooLarge(ControllerError):
    """A body over the limit."""

    code = "controller.too_large"


class Forbidden(ControllerError):
    """A request from where none is taken: another site's page, another machine."""

    code = "controller.forbidden"


class Unauthorized(ControllerError):
    """A request of somebody who has not said who they are."""

    code = "controller.unauthorized"


class TooFast(ControllerError):
    """More requests, or wrong passwords, than are taken in this time."""

    code = "controller.too_fast"


class TooSlow(ControllerError):
    """A body that does not come."""

    code = "controller.too_slow"


class UrlTooLong(ControllerError):
    """An address nobody has made by hand."""

    code = "controller.url_too_long"


class TooManyHeaders(ControllerError):
    """More headers than any client sends."""

    code = "controller.head_too_large"


class NeedsRevision(ControllerError):
    """A write that must say which revision it was made from (If-Match)."""

    code = "controller.needs_if_match"


class TooMany(ControllerError):
    """No more clients of this kind are taken."""

    code = "controller.too_many"


STATUS: Final[dict[type[OpenVolumeError], int]] = {
    UnknownAddress: 404,
    BadValue: 422,
    NothingToUndo: 409,
    NothingToGo: 409,
    ChangeRefused: 409,
    NotConnectedError: 409,
    RecordingError: 409,
    CaptureError: 409,
    ShowLocked: 423,
    StaleChange: 412,
    NeedsRevision: 428,
    BadRequest: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotAllowed: 403,
    TooFast: 429,
    TooSlow: 408,
    TooLarge: 413,
    UrlTooLong: 414,
    TooManyHeaders: 431,
    WrongMediaType: 415,
    LockedError: 409,
    RefusedError: 409,
    StrangeAnswerError: 502,
    UnreachableError: 503,
    BusyError: 503,
    TooMany: 503,
    ConductorAbsent: 503,
    PreflightFailed: 503,
    PictureError: 503,
    ChangeTimedOut: 504,
    ShowFileError: 422,
    StoreError: 507,
}
"""Status by error class; subclasses go by their nearest base, everything else of ours is 422."""


class ProblemDetail(Struct, frozen=True):
    """One of several faults of a request."""

    code: str
    path: str
    detail: str
    value: Any = None
    mend: str = ""
    line: int | None = None


class ProblemDocument(Struct, frozen=True):
    """RFC 9457, with what a person needs to mend it. The fields of the first fault stand at the top."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    path: str = ""
    value: Any = None
    mend: str = ""
    line: int | None = None
    problems: list[ProblemDetail] = []
    """Every fault, when there is more than one."""


def status_of(error: OpenVolumeError) -> int:
    """HTTP status of an error of ours."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 422)


def document(status: int, problems: tuple[Problem, ...] | list[Problem]) -> ProblemDocument:
    """The problem document of one or more faults."""
    first = problems[0]
    details = [ProblemDetail(p.code, p.path, p.detail, plain(p.value), p.mend, p.line) for p in problems]
    return ProblemDocument(
        type=f"urn:openvolume:{first.code}",
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=first.detail,
        code=first.code,
        path=first.path,
        value=plain(first.value),
        mend=first.mend,
        line=first.line,
        problems=details if len(details) > 1 else [],
    )


def problem_response(
    status: int, problems: tuple[Problem, ...] | list[Problem], *, headers: dict[str, str] | None = None
) -> Response:
    """The same as a response."""
    body = msgspec.json.encode(document(status, problems))
    return Response(body, status, media_type=MEDIA_TYPE, headers=headers)


def refusal_response(error: OpenVolumeError) -> Response:
    """What an error of ours is answered with."""
    status = status_of(error)
    headers = {}
    if status in (429, 503):
        wait_s = error.problems[0].value if isinstance(error, TooFast) else None
        headers["retry-after"] = str(max(1, math.ceil(wait_s))) if isinstance(wait_s, float) else "1"
    elif status == 401:
        headers["www-authenticate"] = 'Bearer realm="openvolume"'
    return problem_response(status, error.problems, headers=headers)


def plain(value: Any) -> Any:
    """A value as JSON can carry it, shortened: it is shown, not used."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple) and len(value) <= 16:
        return [plain(item) for item in value]
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= 200 else text[:200] + "…"


def problem(
    kind: type[ControllerError], path: str, detail: str, *, value: Any = None, mend: str = ""
) -> ControllerError:
    """An error with one fault."""
    return kind(Problem(kind.code, path, detail, value, mend))


def install(app: FastAPI) -> None:
    """Answer every failure of the app with a problem document."""

    @app.exception_handler(OpenVolumeError)
    async def ours(_: Request, error: OpenVolumeError) -> Response:
        return refusal_response(error)

    @app.exception_handler(RequestValidationError)
    async def parameters(_: Request, error: RequestValidationError) -> Response:
        problems = [
            Problem(BadValue.code, "/".join(map(str, fault["loc"][1:])), str(fault["msg"]), plain(fault.get("input")))
            for fault in error.errors()
        ]
        return problem_response(422, problems)

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        code = {404: "controller.unknown_path", 405: "controller.method"}.get(error.status_code, "controller.http")
        detail = {404: "there is nothing here", 405: f"it takes no {request.method}"}.get(error.status_code)
        mend = "/api/v1/openapi.json lists every resource and what it takes" if detail else ""
        problems = [Problem(code, request.url.path, detail or str(error.detail), None, mend)]
        return problem_response(error.status_code, problems, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        detail = f"{type(error).__name__} while answering; the log tells more"
        # The server lets the connection go when it hears of the error: nobody must send his next request over it.
        closing = {"connection": "close"}
        return problem_response(500, [Problem("controller.internal", request.url.path, detail)], headers=closing)
