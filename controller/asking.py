"""What a command asks of a running show, through `controller.client`: of one that runs on this machine, by its name,
or of any by its URL.

Every command that speaks to a show does it here, so that what goes wrong is told alike: what the show says of a
refusal as it says it, and what keeps anybody from asking (no show, no answer, a key that lets nobody in) with its mend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from controller.client import KEY_VARIABLE, ApiError, Client
from controller.errors import ControllerError
from stage.errors import Problem

TIMEOUT_S = 660.0
"""A scene that was never compiled is compiled first."""
_URLS = ("http://", "https://")

Answer = TypeVar("Answer")


class ShowSilentError(ControllerError):
    """The show does not answer."""

    code = "controller.no_answer"
    exit_code = 1


class AskedInVainError(ControllerError):
    """The show answered that it does not do it."""

    code = "controller.asked_in_vain"

    def __init__(self, *problems: Problem, exit_code: int) -> None:
        super().__init__(*problems)
        self.exit_code = exit_code


def ask(call: Callable[[Client], Awaitable[Answer]], *, run: str | None = None) -> Answer:
    """What a running show answers to a call of its client.

    run : its run's name, on this machine (default: the only one), or its URL; there the key is OPENVOLUME_KEY's.

    Raises
    ------
    UnknownAddress : no such show runs here, or several do.
    AskedInVainError : it refused, with the problems it told; ends a command with 2 where what was asked is wrong, with
        1 where it cannot be now (locked, changed meanwhile, a process is away).
    ShowSilentError : it does not answer, or not as a show does.
    """
    import msgspec
    from httpx import HTTPError, InvalidURL

    far = run if run is not None and run.startswith(_URLS) else None

    async def answered() -> Answer:
        show = Client(far, timeout_s=TIMEOUT_S) if far is not None else Client.here(run, timeout_s=TIMEOUT_S)
        async with show:
            return await call(show)

    try:
        return asyncio.run(answered())
    except ApiError as error:
        raise _refused(error, far) from error
    except msgspec.MsgspecError as error:
        raise _silent(run, f"what answers there is no show of this version ({error})", _look(far)) from error
    except PermissionError as error:
        mend = f"let whoever started it ask, or set {KEY_VARIABLE} and give its URL as --run"
        raise _silent(run, "it was started by somebody else", mend) from error
    except (OSError, HTTPError, InvalidURL) as error:
        said = str(error) or type(error).__name__
        mend = _look(far)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            mend = "set OPENVOLUME_CA to what `openvolume access ca FILE` wrote on the show's machine"
        raise _silent(run, f"the show does not answer: {said}", mend) from error


def _refused(error: ApiError, far: str | None) -> AskedInVainError:
    problems = error.problems
    if error.status == 401 and far is not None:
        mend = "`openvolume access key NAME --role ROLE` on the show's machine makes one"
        problems = tuple(Problem(p.code, KEY_VARIABLE, p.detail, None, mend) for p in problems)
    wrong = error.status in (400, 401, 403, 404, 413, 414, 415, 422)
    return AskedInVainError(*problems, exit_code=2 if wrong else 1)


def _look(far: str | None) -> str:
    if far is None:
        return "a service that ended is restarted within a second: try again"
    return "look whether it runs, and whether address and port are the show's"


def _silent(run: str | None, detail: str, mend: str) -> ShowSilentError:
    return ShowSilentError(Problem(ShowSilentError.code, "--run", detail, run, mend))
